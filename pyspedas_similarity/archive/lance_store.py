"""Store based on Lance, with durability, checksums and deduplication added.

Lance never calls fsync, has no checksums, and stores rows twice when a write is retried (measured, see
benchmarks/archive_faults.py). Here files are synced before a version is acknowledged, every row has checksums, every
version a commit record, and rows are identified by a hash of their content. Only the commit holds the lock.
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
from . import lance_index, maintenance
from .commit_records import check_manifest, committed_versions, newest_committed, read_commit_record
from .commits import PATIENCE_S, Change, CommitConflictError, Snapshot, commit_protocol, open_version, read_identity
from .fragments import (
    ROWS_PER_FILE,
    FileHeads,
    concatenate_labels,
    convert_lance_errors,
    names_of,
    read_embeddings,
    read_heads,
    read_rows,
    read_some_embeddings,
    to_arrow,
    write_files,
)
from .locations import DATA, REPAIR, Place, place_of
from .rows import Identity, Rows, check_rows, content_hashes
from .store import Appended, Heads, Version

if TYPE_CHECKING:
    from lance.fragment import FragmentMetadata

# Maximum number of writes of a batch when other writers add some of its rows concurrently.
_ATTEMPTS = 5
# Low bits of a row address: position in the file; high bits: number of the fragment.
_OFFSET_BITS = 32
# Maximum random delay before retrying a conflicting commit.
_PAUSE_S = 0.05
_TYPES = {"ids": "S16", "start": "datetime64[ns]", "end": "datetime64[ns]", "quality": np.int16, "checksum": np.uint64}


class LanceStore:
    """Store of an archive in a folder or an object store; see `Store` and the module."""

    def __init__(self, where: Place | str | Path) -> None:
        self.place = place_of(where)
        self.identity = read_identity(self.place)
        self._commits = commit_protocol(self.place, self.identity)
        self._newest = 0  # newest version seen so far
        # By name of the data file; files are immutable.
        self._heads: dict[str, FileHeads] = {}
        self._snapshot: Snapshot | None = None
        self._known: tuple[frozenset[str], list[np.ndarray]] = (frozenset(), [])
        # Identifiers of indexes whose file hashes were verified.
        self.checked_indexes: set[str] = set()

    @classmethod
    def create(cls, where: Place | str | Path, identity: Identity) -> LanceStore:
        """Create an archive, or open an existing one of the same identity; MixingError if its identity differs."""
        place = place_of(where)
        with _convert_write_errors(place):
            if place.locks or not committed_versions(place):
                commit_protocol(place, identity).begin()
        store = cls(place)
        store.identity.check(identity, place.address)
        return store

    def latest(self) -> int:
        """Return the number of the newest acknowledged version."""
        self._newest = newest_committed(self.place, self._newest)
        if not self._newest:
            raise ArchiveError(self.place.address, "it is empty", "Add samples to it.")
        return self._newest

    def versions(self) -> list[Version]:
        """Return all versions that can be restored, oldest first; those with damaged commit records are omitted."""
        found = []
        for version in committed_versions(self.place):
            with suppress(DamagedArchiveError):
                found.append(read_commit_record(self.place, version).version_info)
        return found

    def version_info(self, version: int | None = None) -> Version:
        """Return number, time, kind of change and row counts of a version, by default the newest."""
        return read_commit_record(self.place, self.latest() if version is None else version).version_info

    def snapshot(self, version: int | None = None) -> Snapshot:
        """Open a version, by default the newest, after checking its manifest.

        Raise ArchiveError if it does not exist or is damaged.
        """
        version = self.latest() if version is None else version
        record = read_commit_record(self.place, version)
        if self._snapshot is not None and self._snapshot.record == record:
            return self._snapshot
        if record.identity != self.identity.hash:
            raise DamagedArchiveError(self.place.address, f"version {version} is of another archive", REPAIR)
        check_manifest(self.place, record)
        self._snapshot = Snapshot(record, open_version(self.place, version))
        return self._snapshot

    def append(self, rows: Rows) -> Appended:
        """Append rows that are not stored yet; durable on return. After an ArchiveError none of them is stored."""
        check_rows(rows, self.identity)
        ids = content_hashes(rows, self.identity)
        fresh = np.sort(np.unique(ids, return_index=True)[1])
        for _ in range(_ATTEMPTS):
            fresh = fresh[~self.contains(ids[fresh])]
            if not len(fresh):
                return Appended(self.latest(), 0, len(rows))
            with _convert_write_errors(self.place):
                table = to_arrow(rows.take(fresh), ids[fresh], self.identity)
                written = write_files(self.place, table, table.schema, ROWS_PER_FILE)
            with self.discard_on_error(written):
                version = self.commit(partial(self._append_change, written, ids[fresh]))
            if version is not None:
                return Appended(version, len(fresh), len(rows) - len(fresh))
            self.discard(written)
        found = f"other writers added some of the same rows, {_ATTEMPTS} times in a row"
        raise BusyArchiveError(self.place.address, found, "Try again, with one writer for the same data.")

    def heads(self, version: int | None = None) -> Heads:
        """Read the metadata columns of the intact rows of a version, by default the newest."""
        snapshot = self.snapshot(version)
        files = snapshot.files()
        parts = [self._file_heads(name, fragment) for name, fragment in files.items()]
        places = [
            part.offset + (fragment.fragment_id << _OFFSET_BITS)
            for part, fragment in zip(parts, files.values(), strict=True)
        ]
        source, sources = concatenate_labels([part.source for part in parts])
        site, sites = concatenate_labels([part.site for part in parts])
        self._heads = {name: self._heads[name] for name in files}
        return Heads(
            version=snapshot.version,
            **{name: _concatenate([getattr(part, name) for part in parts], kind) for name, kind in _TYPES.items()},
            source=source,
            site=site,
            sources=tuple(sources),
            sites=tuple(sites),
            place=_concatenate(places, np.int64),
            damaged=snapshot.record.rows - sum(len(part.offset) for part in parts),
        )

    def blocks(self, heads: Heads) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield ascending positions in `heads`, (m,), and embeddings, (m, dimension), of all intact rows, in blocks."""
        first = 0
        for name, fragment in self.snapshot(heads.version).files().items():
            known = self._file_heads(name, fragment)
            for numbers, embeddings in read_embeddings(fragment, known, self.identity):
                yield first + numbers, embeddings
            first += len(known.offset)

    def take(self, heads: Heads, chosen: Sequence[int] | np.ndarray) -> Rows:
        """Read all columns, thumbnails included, of the rows at positions in `heads`."""
        parts, order = [self._empty_rows()], []
        for fragment, offsets, inside in self._by_file(heads, chosen):
            ascending, back = np.unique(offsets, return_inverse=True)  # Lance requires ascending rows
            parts.append(read_rows(fragment, ascending, self.identity).take(back))
            order.append(inside)
        back = np.argsort(np.concatenate(order)) if order else np.zeros(0, np.int64)
        return Rows.joined(parts).take(back)

    def embeddings(self, heads: Heads, chosen: np.ndarray) -> np.ndarray:
        """Read the embeddings at positions in `heads`: float32, shape (m, dimension); NaN where damaged."""
        found = np.full((len(chosen), self.identity.dimension), np.nan, np.float32)
        for fragment, offsets, inside in self._by_file(heads, chosen):
            ascending, back = np.unique(offsets, return_inverse=True)
            sums = np.empty(len(ascending), np.uint64)
            sums[back] = heads.checksum[np.asarray(chosen)[inside]]
            found[inside] = read_some_embeddings(fragment, ascending, sums, self.identity)[back]
        return found

    def _by_file(
        self, heads: Heads, chosen: Sequence[int] | np.ndarray
    ) -> Iterator[tuple[Any, np.ndarray, np.ndarray]]:
        """Yield for each file the fragment, row numbers in it, and their positions in `chosen`."""
        chosen = np.asarray(chosen, np.int64)
        fragments = {one.fragment_id: one for one in self.snapshot(heads.version).files().values()}
        file, offset = heads.place[chosen] >> _OFFSET_BITS, heads.place[chosen] & ((1 << _OFFSET_BITS) - 1)
        for number in np.unique(file):
            inside = np.flatnonzero(file == number)
            yield fragments[number], offset[inside], inside

    def build_index(self) -> float:
        """Build the index of the newest version and return its recall."""
        return lance_index.build(self).recall

    # Functions whose first argument is the store are its methods.
    near = lance_index.near
    restore, compact, forget = maintenance.restore, maintenance.compact, maintenance.forget
    verify, repair = maintenance.verify, maintenance.repair

    def maintenance_lock(self) -> AbstractContextManager[None]:
        """Hold the maintenance lock; readers and writers do not need it."""
        return self.place.exclusive("maintenance", 1.0, "maintaining it")

    def commit_lock(self) -> AbstractContextManager[None]:
        """Hold the commit lock, if the commit protocol has one."""
        return self._commits.lock()

    @contextmanager
    def committing(self) -> Iterator[Snapshot]:
        """Hold the commit lock, complete or remove an unacknowledged version, and yield the newest version."""
        with self.commit_lock():
            self._commits.resolve_uncommitted(self._newest)
            yield self.snapshot()

    def commit(self, change_of: Callable[[Snapshot], Change | None]) -> int | None:
        """Commit the change that `change_of` returns for the newest version; return the new number, None for no change.

        After a conflicting commit, `change_of` is called again with the new version.
        """
        until = time.monotonic() + PATIENCE_S
        while True:
            try:
                with self.committing() as newest:
                    change = change_of(newest)
                    return None if change is None else self.make(change, newest)
            except CommitConflictError:
                if time.monotonic() > until:
                    raise
                time.sleep(random.SystemRandom().uniform(0, _PAUSE_S))

    def make(self, change: Change, newest: Snapshot) -> int:
        """Commit a version and return its number; call only under the commit lock, if there is one."""
        with _convert_write_errors(self.place):
            self._snapshot = self._commits.make(change, newest)
        return self._snapshot.version

    def discard(self, written: Sequence[FragmentMetadata]) -> None:
        """Remove data files that belong to no version."""
        with suppress(OSError):
            self.place.remove(*(f"{DATA}/{name}" for name in names_of(written)))

    @contextmanager
    def discard_on_error(self, written: Sequence[FragmentMetadata]) -> Iterator[None]:
        """Remove new data files after an error, if they certainly belong to no version.

        In an object store this is uncertain, since a commit may have succeeded with its response lost. There, unused
        files are removed by `forget` when they are a week old.
        """
        try:
            yield
        except BaseException:
            if self.place.locks:
                self.discard(written)
            raise

    def _append_change(self, written: list[FragmentMetadata], ids: np.ndarray, newest: Snapshot) -> Change | None:
        """Return the change that appends new files; None if another writer added some of the rows."""
        import lance

        if self.contains(ids).any():
            return None
        fragments, rows = [*newest.fragments(), *written], sum(one.physical_rows for one in written)
        return Change("append", lance.LanceOperation.Append(written), fragments, tuple(names_of(written)), rows)

    def contains(self, ids: np.ndarray) -> np.ndarray:
        """Return a mask of the rows that are in the newest version: bool, shape (n,)."""
        files = self.snapshot().files()
        seen, known = self._known
        if not seen <= files.keys():
            seen, known = frozenset(), []
        for name in files.keys() - seen:
            known = _merge_sorted(known, self._file_heads(name, files[name]).ids)
        self._known = (frozenset(files), known)
        there = np.zeros(len(ids), bool)
        for part in known:
            there |= part[np.minimum(np.searchsorted(part, ids), len(part) - 1)] == ids
        return there

    def _file_heads(self, name: str, fragment: Any) -> FileHeads:
        if name not in self._heads:
            self._heads[name] = read_heads(fragment, self.identity)
        return self._heads[name]

    def _empty_rows(self) -> Rows:
        times, texts = np.zeros(0, "datetime64[ns]"), np.zeros(0, object)
        empty = np.zeros((0, self.identity.dimension), np.float32)
        return Rows(empty, times, times, texts, texts, np.zeros(0, np.int16), texts)


def _convert_write_errors(place: Place) -> AbstractContextManager[None]:
    """Convert write errors to an ArchiveError that states which data were stored."""
    if place.locks:
        found = "it cannot be written (is the disk full?); this batch was not stored, all previous ones are"
        remedy = "Free disk space or check the permissions, and try again."
    else:
        found = "it cannot be written; this batch may or may not be stored, all previous ones are"
        remedy = "Check the network and the credentials, and try again: rows are never stored twice."
    return convert_lance_errors(ArchiveError(place.address, found, remedy))


def _concatenate(parts: Sequence[np.ndarray], kind: Any) -> np.ndarray:
    """Concatenate arrays; a single one is returned without a copy."""
    return parts[0] if len(parts) == 1 else np.concatenate([np.zeros(0, kind), *parts])


def _merge_sorted(known: list[np.ndarray], ids: np.ndarray) -> list[np.ndarray]:
    """Add content hashes to sorted arrays, merged so that each is more than twice as long as the next.

    Sorting a single array again with every batch would take longer than writing it, for many millions of rows.
    """
    known, ids = list(known), np.sort(ids)
    while known and len(known[-1]) <= 2 * len(ids):
        ids = np.sort(np.concatenate([known.pop(), ids]), kind="stable")
    return [*known, ids] if len(ids) else known
