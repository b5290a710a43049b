"""Linear map applied to embeddings before they are compared, and its record in the provenance of a result."""

from __future__ import annotations

import base64
import hashlib
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

PACKED = "numbers"
"""Key of center and axes in a record."""

_AT_ONCE = 2**14
_TINY = 1e-12


@dataclass(frozen=True, eq=False)
class LibraryView:
    """Directions by which embeddings are compared: ``(embedding - center) @ axes``, normalized to unit length.

    Center (d,) and axes (d,) or (d, m) are float64; `about` is the provenance, JSON types.
    """

    center: np.ndarray
    axes: np.ndarray
    about: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def plain(cls, dimension: int, reason: str) -> LibraryView:
        """Return the identity view, which does not change embeddings."""
        return cls(np.zeros(dimension), np.ones(dimension), {"rule": "none", "reason": reason})

    @property
    def is_plain(self) -> bool:
        """True for the identity view."""
        return self.about.get("rule") == "none"

    @cached_property
    def hash(self) -> str:
        """Hash of center and axes, 16 hexadecimal digits."""
        return hashlib.sha256(self._bytes()).hexdigest()[:16]

    def project(self, embeddings: np.ndarray) -> np.ndarray:
        """Return projections, not normalized: float64 (n, m); NaN for missing embeddings."""
        relative = embeddings.astype(np.float64) - self.center
        return relative * self.axes if self.axes.ndim == 1 else relative @ self.axes

    def directions(self, embeddings: np.ndarray) -> np.ndarray:
        """Return unit-length projections: float64 (n, m); NaN for missing embeddings and at the center."""
        projected = self.project(embeddings)
        length = np.linalg.norm(projected, axis=1, keepdims=True)
        return np.where(length > _TINY, projected / np.where(length > _TINY, length, 1), np.nan)

    def lengths(self, embeddings: np.ndarray) -> np.ndarray:
        """Return the length of each projection: float64 (n,); NaN for missing embeddings."""
        length = _in_parts(embeddings, lambda part: np.linalg.norm(self.project(part), axis=1))
        return np.where(length > _TINY, length, np.nan)

    def weights(self, directions: np.ndarray) -> np.ndarray:
        """Return weights (q, d) with ``weights @ (embedding - center) == directions @ projection``."""
        return directions * self.axes if self.axes.ndim == 1 else directions @ self.axes.T

    def cosines(self, embeddings: np.ndarray, directions: np.ndarray) -> np.ndarray:
        """Return the cosine similarity of each embedding to the nearest of some directions (q, m): float64 (n,)."""
        found = _in_parts(embeddings, lambda part: (self.directions(part) @ directions.T).max(axis=1))
        return np.clip(found, -1, 1)

    def agreements(self, embeddings: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Return the agreement of projections with the nearest of some targets (q, m), not normalized: float64 (n,).

        The agreement of a and b is 2 a.b / (a.a + b.b), as in the concordance of Lin 1989 (doi 10.2307/2532051): 1 if
        they are equal, less if their directions or their lengths differ.
        """

        def of_part(part: np.ndarray) -> np.ndarray:
            projected = self.project(part)
            squares = (projected**2).sum(axis=1)[:, None] + (targets**2).sum(axis=1)
            return (2 * projected @ targets.T / np.maximum(squares, _TINY)).max(axis=1)

        return _in_parts(embeddings, of_part)

    def to_record(self) -> dict[str, Any]:
        """Return the view as a dict of JSON types, for the provenance of a result."""
        packed = zlib.compress(self._bytes())
        return {
            **self.about,
            "hash": self.hash,
            "shape": list(self.axes.shape),
            PACKED: base64.b64encode(packed).decode(),
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> LibraryView | None:
        """Make a view from the provenance of a result; None if only its hash was stored, as in exported tables."""
        if PACKED not in record:
            return None
        values = np.frombuffer(zlib.decompress(base64.b64decode(record[PACKED])), np.float32).astype(np.float64)
        shape = tuple(record["shape"])
        about = {key: value for key, value in record.items() if key not in ("hash", "shape", PACKED)}
        return cls(values[: shape[0]], values[shape[0] :].reshape(shape), about)

    def _bytes(self) -> bytes:
        return self.center.astype(np.float32).tobytes() + self.axes.astype(np.float32).tobytes()


def _in_parts(embeddings: np.ndarray, function: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Apply a function to parts of bounded size: float64 (n,)."""
    found = np.empty(len(embeddings))
    for first in range(0, len(embeddings), _AT_ONCE):
        found[first : first + _AT_ONCE] = function(embeddings[first : first + _AT_ONCE])
    return found
