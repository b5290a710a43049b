"""Interface of the stores of an archive.

Of a store it is asked that a batch is there whole or not at all, that what was acknowledged stays, that the same
content is kept once, that a damaged row is never returned, and that a version, once seen, stays as it was until it is
forgotten. tests/contracts checks every store against it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from .identity import Identity
from .rows import Rows


@dataclass(frozen=True)
class Version:
    """A state of an archive that one can go back to.

    Attributes
    ----------
    number : int
        Ascending; the first is 1.
    made : numpy.datetime64
        When, UTC.
    what : str
        'create', 'append', 'compact', 'restore', 'repair' or 'index'.
    rows : int
        Rows it holds.
    added : int
        Rows it added.
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
        From which on all of its rows are there.
    added, skipped : int
        Rows that are new, and rows that were there already or twice in the batch.
    """

    version: int
    added: int
    skipped: int


@dataclass(frozen=True, eq=False)
class Heads:
    """Everything of the intact rows of one version but embeddings and thumbnails, in the order they are stored.

    Attributes
    ----------
    version : int
    ids : numpy.ndarray of 'S16', shape (n,)
        Content hashes.
    start, end : numpy.ndarray of datetime64[ns], shape (n,)
    source, site : numpy.ndarray of int32, shape (n,)
        Numbers in `sources` and `sites`.
    sources, sites : tuple of str
    quality : numpy.ndarray of int16, shape (n,)
    place : numpy.ndarray of int64, shape (n,)
        Where the store keeps each row, in its own way.
    checksum : numpy.ndarray of uint64, shape (n,)
    damaged : int
        Rows of this version whose heads are not as they were written.
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
    """Outcome of an inspection.

    Attributes
    ----------
    version : int
        The newest that could be read; 0 for none.
    rows : int
        Intact rows in it.
    damaged : int
        Rows in it that are not as they were written.
    problems : tuple of str
        Everything that is not as it should be, in words.
    """

    version: int
    rows: int
    damaged: int
    problems: tuple[str, ...]

    @property
    def sound(self) -> bool:
        """True if nothing is damaged."""
        return not self.problems and not self.damaged


@dataclass(frozen=True)
class Part:
    """A part of an archive.

    Attributes
    ----------
    series : tuple of (str, str)
        Source and site of each series in it.
    spans : tuple of (numpy.datetime64, numpy.datetime64) or None
        Rows that start in one of them, both ends included; None for all times.
    usable_only : bool
        Only rows of quality 0.
    share : float
        Of all rows, how many are in it: the fewer, the further away the nearest may lie.
    """

    series: tuple[tuple[str, str], ...]
    spans: tuple[tuple[np.datetime64, np.datetime64], ...] | None = None
    usable_only: bool = False
    share: float = 1.0


class Near(Protocol):
    """Proposes rows that may be nearest; who asks ranks them by their embeddings."""

    @property
    def recall(self) -> float:
        """Share of the ten nearest that are among its proposals for ten, as measured when it was made."""

    def propose(self, center: np.ndarray, m: int, part: Part | None = None) -> np.ndarray:
        """Numbers in the heads of proposals for the m nearest rows of a part, in no order; more than m where it can."""


class Store(Protocol):
    """Keeps rows of one identity; see the module."""

    @property
    def identity(self) -> Identity:
        """Identity of the rows."""

    def latest(self) -> int:
        """Number of the newest version that was acknowledged."""

    def versions(self) -> list[Version]:
        """All that one can go back to, oldest first."""

    def version_info(self, version: int | None = None) -> Version:
        """Return columns of a version, by default the newest, without embeddings."""

    def append(self, rows: Rows) -> Appended:
        """Store rows durably: they survive a loss of power once this returns."""

    def heads(self, version: int | None = None) -> Heads:
        """The intact rows of a version, or of the newest, without their embeddings."""

    def blocks(self, heads: Heads) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Numbers (m,) in `heads`, ascending, and embeddings (m, dimension) of all intact rows, block by block."""

    def take(self, heads: Heads, chosen: Sequence[int] | np.ndarray) -> Rows:
        """Whole rows, thumbnails included, of these numbers in `heads`; DamagedArchiveError if one is damaged."""

    def embeddings(self, heads: Heads, chosen: np.ndarray) -> np.ndarray:
        """Embeddings of these numbers in `heads`: float32, (m, dimension); NaN where damaged."""

    def build_index(self) -> float:
        """Make what `near` needs, for the rows of now, and give its recall; ArchiveError if there are too few rows."""

    def near(self, heads: Heads) -> Near | None:
        """Return the index, with the rows added since it was built; None if there is no sound one."""

    def restore(self, version: int) -> int:
        """Make a new version that holds what an older one held; its number."""

    def compact(self, rows_per_file: int = ...) -> int:
        """Join small files and free what no version needs; the number of the version then."""

    def forget(self, keep: int) -> int:
        """Give up all but the newest versions; how many were given up."""

    def verify(self) -> Report:
        """Read everything and report what is damaged."""

    def repair(self) -> Report:
        """Leave out what is damaged, and keep every row that is not; what was found before."""
