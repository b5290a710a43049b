"""Identity of an archive: properties that all its rows share."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from ..errors import ArchiveError, MixingError

FORMAT_VERSION = 1
METRIC = "cosine"

# Upper limit for plausibility checks.
_MAX_DIMENSIONS = 2**20

_COMPARED = ("kind", "encoder", "recipe", "dimension", "metric", "format_version")
_REMEDY = {
    "format_version": "Export it with the version of this package that wrote it and import it with this one.",
    "kind": "Keep each kind of image in an archive of its own.",
}
_ANOTHER = "Give that encoder and recipe, or keep these embeddings in another archive: open_archive('another folder')."


@dataclass(frozen=True)
class Identity:
    """Identity of an archive.

    Attributes
    ----------
    kind : str
        The kind of image: 'distribution', 'frame', 'spectrum' or 'window'.
    encoder, recipe : str
        Hashes of the encoder and the recipe of the embeddings.
    dimension : int
    metric : str
        'cosine': embeddings have unit length and are compared by their dot product.
    format_version : int
        Version of the on-disk format.
    card, settings : mapping
        Card of the encoder and settings of the recipe; recorded, not compared.
    """

    kind: str
    encoder: str
    recipe: str
    dimension: int
    metric: str = METRIC
    format_version: int = FORMAT_VERSION
    card: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if type(self.dimension) is not int or not 1 <= self.dimension <= _MAX_DIMENSIONS:
            raise ArchiveError("dimension", f"found {self.dimension!r}", "Give the length of an embedding.")
        for name in ("kind", "encoder", "recipe", "metric"):
            if not isinstance(getattr(self, name), str) or not getattr(self, name):
                raise ArchiveError(name, f"found {getattr(self, name)!r}", "Give a text.")

    @property
    def compared(self) -> dict[str, Any]:
        """Properties that must be equal within an archive."""
        return {name: getattr(self, name) for name in _COMPARED}

    @property
    def hash(self) -> str:
        """SHA-256 of the compared properties: first 32 hexadecimal digits."""
        text = json.dumps(self.compared, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    def check(self, other: Identity, where: str) -> None:
        """Check that another identity is compatible with this one.

        Raises
        ------
        MixingError
            If a compared property differs; names all that differ.
        """
        mine, theirs = self.compared, other.compared
        different = [name for name in _COMPARED if mine[name] != theirs[name]]
        if different:
            found = "; ".join(f"it holds {name} {mine[name]!r}, not {theirs[name]!r}" for name in different)
            remedy = next((_REMEDY[name] for name in _REMEDY if name in different), _ANOTHER)
            raise MixingError(where, found, remedy)

    def to_dict(self) -> dict[str, Any]:
        """Return the identity as a dict of JSON types."""
        return json.loads(json.dumps(asdict(self)))

    @classmethod
    def from_dict(cls, record: Mapping[str, Any], where: str) -> Identity:
        """Make an identity from the output of `to_dict`.

        Raises
        ------
        MixingError
            If the format version is not supported.
        """
        version = record.get("format_version") if isinstance(record, Mapping) else None
        if version != FORMAT_VERSION:
            found = f"its layout is version {version!r}; this version of the package reads {FORMAT_VERSION}"
            raise MixingError(where, found, _REMEDY["format_version"])
        known = {one.name for one in fields(cls)}
        try:
            return cls(**{name: value for name, value in record.items() if name in known})
        except TypeError as error:
            raise ArchiveError(where, f"the identity of its rows is incomplete ({error})", "Take a copy.") from error
