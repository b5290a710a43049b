"""Interface of the store of an archive.

A store appends batches atomically and durably, stores equal rows once, never returns a damaged row, and keeps every
version unchanged until it is deleted. tests/contracts checks every store against this contract.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from .rows import Identity, Rows


@dataclass(frozen=True)
class Version:
    """Version of an archive.

    Attributes
    ----------
    number : int
        Ascending from 1.
    made : numpy.datetime64
        Time of the commit, UTC.
    what : str
        Kind of change: 'create', 'append', 'compact', 'restore', 'repair' or 'index'.
    rows : int
        Number of rows.
    added : int
        Number of rows added by this version.
    """

    number: int
    made: np.datetime64
    what: str
    rows: int
    added: int = 0


@dataclass(frozen=True)
class Appended:
    """Outcome of appending a batch.

    Attributes
    ----------
    version : int
        First version that holds all rows of the batch.
    added, skipped : int
        Number of new rows, and of rows that were stored already or duplicated in the batch.
    """

    version: int
    added: int
    skipped: int


@dataclass(frozen=True, eq=False)
class Heads:
    """Metadata columns of the intact rows of one version, in stored order.

    Attributes
    ----------
    version : int
    ids : numpy.ndarray of 'S16', shape (n,)
        Content hashes.
    start, end : numpy.ndarray of datetime64[ns], shape (n,)
    source, site : numpy.ndarray of int32, shape (n,)
        Codes: positions in `sources` and `sites`.
    sources, sites : tuple of str
    quality : numpy.ndarray of int16, shape (n,)
    place : numpy.ndarray of int64, shape (n,)
        Row addresses, in a format of the store.
    checksum : numpy.ndarray of uint64, shape (n,)
        Checksums of the metadata, see `head_checksums`.
    damaged : int
        Number of rows of this version with damaged metadata.
    """

    version: int
    ids: np.ndarray
    start: np.ndarray
    end: np.ndarray
    source: np.ndarray
    site: np.ndarray
    sources: tuple[str, ...]
    sites: tuple[str, ...]
    quality: np.ndarray
    place: np.ndarray
    checksum: np.ndarray
    damaged: int

    def __len__(self) -> int:
        return len(self.start)


@dataclass(frozen=True)
class Report:
    """Report of a verification.

    Attributes
    ----------
    version : int
        Newest version that could be read; 0 for none.
    rows : int
        Number of intact rows of that version.
    damaged : int
        Number of damaged rows of that version.
    problems : tuple of str
        One message for each problem found.
    """

    version: int
    rows: int
    damaged: int
    problems: tuple[str, ...]

    @property
    def sound(self) -> bool:
        """True if no damage was found."""
        return not self.problems and not self.damaged


@dataclass(frozen=True)
class Part:
    """Part of an archive to search.

    Attributes
    ----------
    series : tuple of (str, str)
        Source and site of each series.
    spans : tuple of (numpy.datetime64, numpy.datetime64) or None
        Closed time intervals for the start of a row; None for all times.
    usable_only : bool
        If True, only rows of quality 0.
    share : float
        Fraction of all rows that are in the part; an index probes more cells for a smaller fraction.
    """

    series: tuple[tuple[str, str], ...]
    spans: tuple[tuple[np.datetime64, np.datetime64], ...] | None = None
    usable_only: bool = False
    share: float = 1.0


class NeighborIndex(Protocol):
    """Approximate index that proposes nearest neighbors; the caller reranks them by their embeddings."""

    @property
    def recall(self) -> float:
        """Recall of the ten nearest, as measured when the index was built."""

    def propose(self, center: np.ndarray, m: int, part: Part | None = None) -> np.ndarray:
        """Return positions in `Heads` of candidates for the m nearest rows of a part, unsorted; may be more than m."""


class Store(Protocol):
    """Store of rows of one identity; see the module."""

    @property
    def identity(self) -> Identity:
        """Identity of the rows."""

    def latest(self) -> int:
        """Return the number of the newest acknowledged version."""

    def versions(self) -> list[Version]:
        """Return all versions that can be restored, oldest first."""

    def version_info(self, version: int | None = None) -> Version:
        """Return number, time, kind of change and row counts of a version, by default the newest."""

    def append(self, rows: Rows) -> Appended:
        """Append rows that are not stored yet; they are durable on return."""

    def heads(self, version: int | None = None) -> Heads:
        """Read the metadata columns of the intact rows of a version, by default the newest."""

    def blocks(self, heads: Heads) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield ascending positions in `heads`, (m,), and embeddings, (m, dimension), of all intact rows, in blocks."""

    def take(self, heads: Heads, chosen: Sequence[int] | np.ndarray) -> Rows:
        """Read all columns of the rows at positions in `heads`; DamagedArchiveError if one is damaged."""

    def embeddings(self, heads: Heads, chosen: np.ndarray) -> np.ndarray:
        """Read the embeddings at positions in `heads`: float32, shape (m, dimension); NaN where damaged."""

    def build_index(self) -> float:
        """Build the index of the newest version and return its recall; ArchiveError if there are too few rows."""

    def near(self, heads: Heads) -> NeighborIndex | None:
        """Return the index, with the rows added since it was built; None if there is none that can be used."""

    def restore(self, version: int) -> int:
        """Commit a new version with the content of an older one and return its number."""

    def compact(self, rows_per_file: int = ...) -> int:
        """Merge small files and return the number of the newest version."""

    def forget(self, keep: int) -> int:
        """Delete all but the newest `keep` versions and return the number of deleted versions."""

    def verify(self) -> Report:
        """Read all rows and records and report any damage."""

    def repair(self) -> Report:
        """Remove what is damaged, keep all intact rows, and return the report from before."""
