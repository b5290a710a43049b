"""The store on Lance: Lance keeps the columns and the versions; what it does not do is done here.

What Lance does: columns in files that are never changed, a manifest for each version that appears whole or not at all.
What it does not (measured, see benchmarks/archive_faults.py): it never calls fsync, it has no checksums, and a
blind retry stores rows twice. So files are synced before a version is acknowledged, every row has a checksum, every
version a seal (see `seals`), and rows are known by the hash of their content.

A batch is written and synced while others write theirs; only the commit, some milliseconds, holds the lock.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ArchiveError, BusyArchiveError, DamagedArchiveError
from . import lance_index, maintenance, repair
from .commits import PATIENCE_S, Change, OvertakenError, Snapshot, commits_of, open_version, read_identity
from .fragments import (
    FileHeads,
    failures_of_lance,
    joined_labels,
    names_of,
    read_embeddings,
    read_heads,
    read_rows,
    read_some_embeddings,
    to_arrow,
    write_files,
)
from .identity import Identity
from .locations import DATA, Place, place_of
from .rows import Rows, check_rows, content_hashes
from .seals import check_manifest, newest_sealed, read_seal, sealed_versions
from .store import Appended, Heads, Near, Report, Version

if TYPE_CHECKING:
    from lance.fragment import FragmentMetadata

ROWS_PER_FILE = 2**20
# How often a batch is written again because others added some of its rows in the meantime.
_ATTEMPTS = 5
_REPAIR = "Run pyspedas-similarity archive repair."
# Bits of a row address: position in the file below, number of the file above.
_OFFSET_BITS = 32
# Where others were first: at most so long until the next attempt, so that not all begin again at once.
_PAUSE_S = 0.05


class LanceStore:
    """Keeps the rows of an archive in a folder or an object store; see `Store` and the module.

    Parameters
    ----------
    where : Place, str or Path
        Of an archive that was begun by `create`.

    Raises
    ------
    ArchiveError
        If there is none, or it is of a layout that is not read.
    """

    def __init__(self, where: Place | str | Path) -> None:
        self.place = place_of(where)
        self._identity = read_identity(self.place)
        self._commits = commits_of(self.place, self._identity)
        self._newest = 0  # that was seen
        # By name of the data file, which never changes.
        self._heads: dict[str, FileHeads] = {}
        self._snapshot: Snapshot | None = None
        self._known: tuple[frozenset[str], list[np.ndarray]] = (frozenset(), [])
        # Indexes whose files were seen to be as they were written.
        self.checked_indexes: set[str] = set()

    @classmethod
    def create(cls, where: Place | str | Path, identity: Identity) -> LanceStore:
        """Begin an archive, or open one of the same identity.

        Raises
        ------
        MixingError
            If there is one of another identity.
        ArchiveError
            If it cannot be written.
        """
        place = place_of(where)
        with _writing(place):
            if place.locks or not sealed_versions(place):
                commits_of(place, identity).begin()
        store = cls(place)
        store.identity.check(identity, place.address)
        return store

    @property
    def identity(self) -> Identity:
        """Identity of the rows."""
        return self._identity

    def latest(self) -> int:
        """Number of the newest version that was acknowledged."""
        self._newest = newest_sealed(self.place, self._newest)
        if not self._newest:
            raise ArchiveError(self.place.address, "it was never begun", "Add something to it.")
        return self._newest

    def versions(self) -> list[Version]:
        """All that one can go back to, oldest first; those whose seals are damaged are left out."""
        found = []
        for version in sealed_versions(self.place):
            with suppress(DamagedArchiveError):
                found.append(read_seal(self.place, version).version_info)
        return found

    def version_info(self, version: int | None = None) -> Version:
        """Return columns of a version, by default the newest, without embeddings."""
        return read_seal(self.place, self.latest() if version is None else version).version_info

    def snapshot(self, version: int | None = None) -> Snapshot:
        """A version, or the newest, after its list of files was checked.

        Raises
        ------
        ArchiveError
            If there is no such version, or it is damaged.
        """
        version = self.latest() if version is None else version
        seal = read_seal(self.place, version)
        if self._snapshot is not None and self._snapshot.seal == seal:
            return self._snapshot
        if seal.identity != self.identity.hash:
            raise DamagedArchiveError(self.place.address, f"version {version} is of another archive", _REPAIR)
        check_manifest(self.place, seal)
        self._snapshot = Snapshot(seal, open_version(self.place, version))
        return self._snapshot

    def append(self, rows: Rows) -> Appended:
        """Store rows durably: they survive a loss of power once this returns.

        Raises
        ------
        ArchiveError
            If the rows do not fit, or cannot be written; then none of them is kept.
        BusyArchiveError
            If others keep the lock.
        """
        check_rows(rows, self.identity)
        ids = content_hashes(rows, self.identity)
        fresh = np.sort(np.unique(ids, return_index=True)[1])
        for _ in range(_ATTEMPTS):
            fresh = fresh[~self.is_known(ids[fresh])]
            if not len(fresh):
                return Appended(self.latest(), 0, len(rows))
            with _writing(self.place):
                written = self._write(rows.take(fresh), ids[fresh])
            with self.discarding(written):
                version = self.commit(partial(self._appended, written, ids[fresh]))
            if version is not None:
                return Appended(version, len(fresh), len(rows) - len(fresh))
            self.discard(written)
        found = f"others added some of the same rows, {_ATTEMPTS} times in a row"
        raise BusyArchiveError(self.place.address, found, "Try again, with one writer for the same data.")

    def heads(self, version: int | None = None) -> Heads:
        """The intact rows of a version, or of the newest, without their embeddings."""
        snapshot = self.snapshot(version)
        files = snapshot.files()
        parts = [self._file_heads(name, fragment) for name, fragment in files.items()]
        places = [
            part.offset + (fragment.fragment_id << _OFFSET_BITS)
            for part, fragment in zip(parts, files.values(), strict=True)
        ]
        source, sources = joined_labels([part.source for part in parts])
        site, sites = joined_labels([part.site for part in parts])
        self._heads = {name: self._heads[name] for name in files}
        return Heads(
            version=snapshot.version,
            ids=_joined([part.ids for part in parts], "S16"),
            start=_joined([part.start for part in parts], "datetime64[ns]"),
            end=_joined([part.end for part in parts], "datetime64[ns]"),
            source=source,
            site=site,
            sources=tuple(sources),
            sites=tuple(sites),
            quality=_joined([part.quality for part in parts], np.int16),
            place=_joined(places, np.int64),
            checksum=_joined([part.checksum for part in parts], np.uint64),
            damaged=snapshot.seal.rows - sum(len(part.offset) for part in parts),
        )

    def blocks(self, heads: Heads) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Numbers (m,) in `heads`, ascending, and embeddings (m, dimension) of all intact rows, block by block."""
        first = 0
        for name, fragment in self.snapshot(heads.version).files().items():
            known = self._file_heads(name, fragment)
            for numbers, embeddings in read_embeddings(fragment, known, self.identity):
                yield first + numbers, embeddings
            first += len(known.offset)

    def take(self, heads: Heads, chosen: Sequence[int] | np.ndarray) -> Rows:
        """Whole rows, thumbnails included, of these numbers in `heads`."""
        parts, order = [self._no_rows()], []
        for fragment, offsets, inside in self._located(heads, chosen):
            ascending, back = np.unique(offsets, return_inverse=True)  # Lance takes ascending rows
            parts.append(read_rows(fragment, ascending, self.identity).take(back))
            order.append(inside)
        back = np.argsort(np.concatenate(order)) if order else np.zeros(0, np.int64)
        return Rows.joined(parts).take(back)

    def embeddings(self, heads: Heads, chosen: np.ndarray) -> np.ndarray:
        """Embeddings of these numbers in `heads`: float32, (m, dimension); NaN where damaged."""
        found = np.full((len(chosen), self.identity.dimension), np.nan, np.float32)
        for fragment, offsets, inside in self._located(heads, chosen):
            ascending, back = np.unique(offsets, return_inverse=True)
            sums = np.empty(len(ascending), np.uint64)
            sums[back] = heads.checksum[np.asarray(chosen)[inside]]
            found[inside] = read_some_embeddings(fragment, ascending, sums, self.identity)[back]
        return found

    def _located(
        self, heads: Heads, chosen: Sequence[int] | np.ndarray
    ) -> Iterator[tuple[Any, np.ndarray, np.ndarray]]:
        """File by file: the fragment, places in it, and which of the chosen these are."""
        chosen = np.asarray(chosen, np.int64)
        fragments = {one.fragment_id: one for one in self.snapshot(heads.version).files().values()}
        file, offset = heads.place[chosen] >> _OFFSET_BITS, heads.place[chosen] & ((1 << _OFFSET_BITS) - 1)
        for number in np.unique(file):
            inside = np.flatnonzero(file == number)
            yield fragments[number], offset[inside], inside

    def build_index(self) -> float:
        """Make what `near` needs, for the rows of now, and give its recall."""
        return lance_index.build(self).recall

    def near(self, heads: Heads) -> Near | None:
        """Return the index, with the rows added since it was built; None if there is no sound one."""
        return lance_index.near(self, heads)

    def restore(self, version: int) -> int:
        """Make a new version that holds what an older one held; its number."""
        return maintenance.restore(self, version)

    def compact(self, rows_per_file: int = ROWS_PER_FILE) -> int:
        """Join small files and free what no version needs; the number of the version then."""
        return maintenance.compact(self, rows_per_file)

    def forget(self, keep: int) -> int:
        """Give up all but the newest versions; how many were given up."""
        return maintenance.forget(self, keep)

    def verify(self) -> Report:
        """Read everything and report what is damaged."""
        return maintenance.verify(self)

    def repair(self) -> Report:
        """Leave out what is damaged, and keep every row that is not; what was found before."""
        return repair.repair(self)

    def maintaining(self) -> AbstractContextManager[None]:
        """Hold the lock of maintenance; readers and writers do not need it."""
        return self.place.exclusive("maintenance", 1.0, "looking after it")

    def lock_of_commits(self) -> AbstractContextManager[None]:
        """Hold the lock for making versions, where there is one."""
        return self._commits.lock()

    @contextmanager
    def committing(self) -> Iterator[Snapshot]:
        """Hold that lock, finish or undo what a dead writer left, and return the newest version."""
        with self.lock_of_commits():
            self._commits.resolve_unsealed(self._newest)
            yield self.snapshot()

    def commit(self, change_of: Callable[[Snapshot], Change | None]) -> int | None:
        """Make the version that `change_of` wants of the newest one; its number, None where it wants none.

        Where others have made a version meanwhile, it is asked again.

        Raises
        ------
        BusyArchiveError
            If others keep the lock, or are always first.
        """
        until = time.monotonic() + PATIENCE_S
        while True:
            try:
                with self.committing() as newest:
                    change = change_of(newest)
                    return None if change is None else self.make(change, newest)
            except OvertakenError:
                if time.monotonic() > until:
                    raise
                time.sleep(random.SystemRandom().uniform(0, _PAUSE_S))

    def make(self, change: Change, newest: Snapshot) -> int:
        """Make a version and seal it, under the lock where there is one; its number."""
        with _writing(self.place):
            self._snapshot = self._commits.make(change, newest)
        return self._snapshot.version

    def discard(self, written: Sequence[FragmentMetadata]) -> None:
        """Remove data files that no version took."""
        with suppress(OSError):
            self.place.remove(*(f"{DATA}/{name}" for name in names_of(written)))

    @contextmanager
    def discarding(self, written: Sequence[FragmentMetadata]) -> Iterator[None]:
        """Remove data files when something goes wrong, if it is sure that no version took them.

        In an object store it is not: a version may be made of which only the answer is lost. What no version names is
        removed by `forget` when it is a week old.
        """
        try:
            yield
        except BaseException:
            if self.place.locks:
                self.discard(written)
            raise

    def _appended(self, written: list[FragmentMetadata], ids: np.ndarray, newest: Snapshot) -> Change | None:
        """Return the operation that makes new files part of the archive; None if others added some of the rows."""
        import lance

        if self.is_known(ids).any():
            return None
        fragments, rows = [*newest.fragments(), *written], sum(one.physical_rows for one in written)
        return Change("append", lance.LanceOperation.Append(written), fragments, tuple(names_of(written)), rows)

    def _write(self, rows: Rows, ids: np.ndarray) -> list[FragmentMetadata]:
        table = to_arrow(rows, ids, self.identity)
        return write_files(self.place, table, table.schema, ROWS_PER_FILE)

    def is_known(self, ids: np.ndarray) -> np.ndarray:
        """Return which rows are in the newest version: bool, shape (n,)."""
        files = self.snapshot().files()
        seen, known = self._known
        if not seen <= files.keys():
            seen, known = frozenset(), []
        for name in files.keys() - seen:
            known = _with_sorted(known, self._file_heads(name, files[name]).ids)
        self._known = (frozenset(files), known)
        there = np.zeros(len(ids), bool)
        for part in known:
            there |= part[np.minimum(np.searchsorted(part, ids), len(part) - 1)] == ids
        return there

    def _file_heads(self, name: str, fragment: Any) -> FileHeads:
        if name not in self._heads:
            self._heads[name] = read_heads(fragment, self.identity)
        return self._heads[name]

    def _no_rows(self) -> Rows:
        times, texts = np.zeros(0, "datetime64[ns]"), np.zeros(0, object)
        empty = np.zeros((0, self.identity.dimension), np.float32)
        return Rows(empty, times, times, texts, texts, np.zeros(0, np.int16), texts)


def _writing(place: Place) -> AbstractContextManager[None]:
    """Convert any failure of writing into one error that says what became of the data."""
    if place.locks:
        found = "it cannot be written (is the disk full?); nothing of this batch was kept, all before is"
        remedy = "Make room, or check its rights, and do it again."
    else:
        found = "it cannot be written; this batch may be there or not, all before is"
        remedy = "Check the network and the credentials, and do it again: nothing is kept twice."
    return failures_of_lance(ArchiveError(place.address, found, remedy))


def _joined(parts: Sequence[np.ndarray], kind: Any) -> np.ndarray:
    """One array of several; of a single one itself, since these may be large."""
    return parts[0] if len(parts) == 1 else np.concatenate([np.zeros(0, kind), *parts])


def _with_sorted(known: list[np.ndarray], ids: np.ndarray) -> list[np.ndarray]:
    """Sorted arrays of content hashes and one more, joined so that each is more than twice as long as the next.

    One array would be sorted again with every batch, which for many millions takes longer than to write the batch.
    """
    known, ids = list(known), np.sort(ids)
    while known and len(known[-1]) <= 2 * len(ids):
        ids = np.sort(np.concatenate([known.pop(), ids]), kind="stable")
    return [*known, ids] if len(ids) else known
