"""Identity of an archive, its rows as arrays, and the content hashes and checksums of these.

The checksum is the multilinear hash of Lemire and Kaser (2014, doi 10.1093/comjnl/bxt070): the sum over the 32-bit
words of a row of word times weight, modulo 2^64. All weights are odd, so a change of a single word is always detected,
and a change of several words is missed with a probability of about 2^-32. It runs at memory bandwidth, in contrast to
a cryptographic hash per row.
"""

from __future__ import annotations

import functools
import hashlib
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import numpy as np

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
        """Raise MixingError if a compared property of another identity differs; it names all that differ."""
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
        """Make an identity from the output of `to_dict`; MixingError if the format version is not supported."""
        version = record.get("format_version") if isinstance(record, Mapping) else None
        if version != FORMAT_VERSION:
            found = f"its layout is version {version!r}; this version of the package reads {FORMAT_VERSION}"
            raise MixingError(where, found, _REMEDY["format_version"])
        known = {one.name for one in fields(cls)}
        try:
            return cls(**{name: value for name, value in record.items() if name in known})
        except TypeError as error:
            raise ArchiveError(where, f"the identity of its rows is incomplete ({error})", "Take a copy.") from error


ID_BYTES = 16
# Rows per block, so that the words, widened to 64 bits, stay in the CPU cache.
_BLOCK = 512
_UNIT_TOLERANCE = 1e-3


@dataclass(frozen=True, eq=False)
class Rows:
    """Embedded samples.

    Attributes
    ----------
    embeddings : numpy.ndarray of float32, shape (n, dimension)
    start, end : numpy.ndarray of datetime64[ns], shape (n,)
        Start and end of the sample.
    source : numpy.ndarray of str objects, shape (n,)
        Name of the variable.
    site : numpy.ndarray of str objects, shape (n,)
        Probe or station; '' if unknown.
    quality : numpy.ndarray of int16, shape (n,)
        0 is good; for camera frames the flag of `frame_quality`.
    thumbnail : numpy.ndarray of bytes or None, shape (n,)
        Encoded small picture, for a gallery; None for none.
    """

    embeddings: np.ndarray
    start: np.ndarray
    end: np.ndarray
    source: np.ndarray
    site: np.ndarray
    quality: np.ndarray
    thumbnail: np.ndarray

    def __len__(self) -> int:
        return len(self.embeddings)

    def take(self, chosen: np.ndarray) -> Rows:
        """Return selected rows, by number or mask."""
        return Rows(*(getattr(self, one.name)[chosen] for one in fields(Rows)))

    @classmethod
    def joined(cls, parts: Sequence[Rows]) -> Rows:
        """Concatenate rows."""
        return cls(*(np.concatenate([getattr(part, one.name) for part in parts]) for one in fields(Rows)))


def make_rows(
    embeddings: np.ndarray,
    start: np.ndarray,
    end: np.ndarray,
    source: object,
    site: object = "",
    quality: object = 0,
    thumbnail: object = None,
) -> Rows:
    """Make rows in the stored types; a single value is broadcast to all rows. Times may be int64 (ns since 1970)."""
    array = np.ascontiguousarray(embeddings, np.float32)
    if array.ndim != 2:
        raise ArchiveError("embeddings", f"found the shape {array.shape}", "Give one row for each sample.")
    n = len(array)
    times = [np.asarray(one).astype("datetime64[ns]") for one in (start, end)]
    objects = [_filled(one, n, object) for one in (source, site, thumbnail)]
    rows = Rows(array, *times, *objects[:2], _filled(quality, n, np.int16), objects[2])
    for one in fields(Rows):
        if len(getattr(rows, one.name)) != n:
            found = f"{len(getattr(rows, one.name))} values for {n} embeddings"
            raise ArchiveError(one.name, found, "Give one for each embedding.")
    return rows


def check_rows(rows: Rows, identity: Identity) -> None:
    """Check that rows can be stored and searched; ArchiveError names the first problem found."""
    if rows.embeddings.shape[1] != identity.dimension:
        found = f"found dimension {rows.embeddings.shape[1]}; the archive has {identity.dimension}"
        raise ArchiveError("embeddings", found, "Use a separate archive for each dimension.")
    if not np.isfinite(rows.embeddings).all():
        raise ArchiveError("embeddings", "some are not finite", "Omit samples that cannot be encoded.")
    if identity.metric == METRIC and len(rows):
        worst = float(np.abs(np.linalg.norm(rows.embeddings, axis=1) - 1).max())
        if worst > _UNIT_TOLERANCE:
            raise ArchiveError("embeddings", f"a length differs from 1 by {worst:.3g}", "Divide each by its length.")
    if np.isnat(rows.start).any() or np.isnat(rows.end).any() or (rows.end < rows.start).any():
        raise ArchiveError("start, end", "some times are NaT, or end before they start", "Give start <= end.")
    for name in ("source", "site"):
        for one in set(getattr(rows, name).tolist()):
            if not isinstance(one, str) or one != one.encode("utf-8", "replace").decode():
                raise ArchiveError(name, f"found {one!r:.80}, which is not a str that UTF-8 can encode", "Give str.")
    if not all(one is None or isinstance(one, bytes) for one in rows.thumbnail):
        raise ArchiveError("thumbnail", "not all are bytes or None", "Give the bytes of a small picture, or None.")


def content_hashes(rows: Rows, identity: Identity) -> np.ndarray:
    """Return a hash of time, source, embedding and identity of each row: 'S16', shape (n,).

    Quality and thumbnail describe a sample but do not identify it. Compare with ``view('V16')``, which keeps trailing
    zero bytes.
    """
    key = bytes.fromhex(identity.hash)
    times = np.stack([rows.start.astype("<i8"), rows.end.astype("<i8")], axis=1)
    embeddings = np.ascontiguousarray(rows.embeddings, "<f4")
    begun: dict[tuple[str, str], hashlib.blake2b] = {}
    found = bytearray()
    for position, label in enumerate(zip(rows.source, rows.site, strict=True)):
        if label not in begun:
            texts = [text.encode() for text in label]
            start = hashlib.blake2b(digest_size=ID_BYTES, key=key)
            for text in texts:
                start.update(len(text).to_bytes(8, "little") + text)
            begun[label] = start
        one = begun[label].copy()
        one.update(times[position])
        one.update(embeddings[position])
        found += one.digest()
    return np.frombuffer(bytes(found), f"S{ID_BYTES}")


def head_checksums(columns: Sequence[np.ndarray], identity: Identity) -> np.ndarray:
    """Compute the checksum of the metadata columns of each row: uint64, shape (n,).

    The bytes of the columns, each of n rows, are read as 32-bit words; the identity determines the weights, so that
    rows of another archive are detected.
    """
    n = len(columns[0])
    words = [np.ascontiguousarray(column).view("<u4").reshape(n, -1) for column in columns]
    return _multilinear(np.concatenate(words, axis=1), "head", identity)


def body_checksums(heads: np.ndarray, embeddings: np.ndarray, identity: Identity) -> np.ndarray:
    """Compute the checksum of each embedding and the metadata checksum of its row: uint64, shape (n,)."""
    words = np.ascontiguousarray(embeddings, "<f4").view("<u4")
    head_words = np.ascontiguousarray(heads, "<u8").view("<u4").reshape(len(heads), 2)
    return _multilinear(words, "embedding", identity) + _multilinear(head_words, "beside", identity)


def label_words(texts: Sequence[str]) -> np.ndarray:
    """Return CRC-32 and length in bytes of each text: uint32, shape (n, 2)."""
    encoded = [text.encode() for text in texts]
    return np.array([(zlib.crc32(one), len(one)) for one in encoded], np.uint32).reshape(-1, 2)


def thumbnail_sums(thumbnails: Sequence[bytes | None]) -> np.ndarray:
    """Return length and CRC-32 of each thumbnail in one number, -1 for none: int64, shape (n,)."""
    return np.array([-1 if one is None else (len(one) << 32) | zlib.crc32(one) for one in thumbnails], np.int64)


def factorize(texts: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Return int32 codes and the unique texts in order of appearance, as `pandas.factorize` does."""
    numbers: dict[str, int] = {}
    codes = [numbers.setdefault(text, len(numbers)) for text in texts.tolist()]
    return np.array(codes, np.int32), list(numbers)


def _multilinear(words: np.ndarray, part: str, identity: Identity) -> np.ndarray:
    weights = _weights(identity.hash, part, words.shape[1] + 1)
    sums = np.empty(len(words), np.uint64)
    for begin in range(0, len(words), _BLOCK):
        block = words[begin : begin + _BLOCK].astype(np.uint64)
        sums[begin : begin + _BLOCK] = np.einsum("ij,j->i", block, weights[1:])
    return sums + weights[0]


@functools.lru_cache(maxsize=32)
def _weights(key: str, part: str, number: int) -> np.ndarray:
    """Return odd weights derived from a hash of the identity, independent of numpy's random generators."""
    drawn = hashlib.shake_256(f"{key} {part}".encode()).digest(8 * number)
    return np.frombuffer(drawn, "<u8") | np.uint64(1)


def _filled(values: object, n: int, dtype: type) -> np.ndarray:
    array = np.empty(n, dtype)
    if isinstance(values, (np.ndarray, list, tuple)):
        if len(values) != n:
            return np.asarray(values, dtype)
        array[:] = values
    else:
        array[:] = [values] * n
    return array
