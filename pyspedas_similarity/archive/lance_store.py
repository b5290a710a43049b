"""The store on Lance: Lance keeps the columns and the versions; what it does not do is done here.

What Lance does: columns in files that are never changed, a manifest for each version that appears whole or not at all.
What it does not (measured, see tests/benchmarks/archive_faults.py): it never calls fsync, it has no checksums, and a
blind retry stores rows twice. So files are synced before a version is acknowledged, every row has a checksum, every
version a seal (see `seals`), and rows are known by the hash of their content.

A batch is written and synced while others write theirs; only the commit, some milliseconds, holds the lock.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ArchiveError, BusyArchiveError, DamagedArchiveError
from . import lance_index, maintenance, repair, staging
from .durable import lease, make_folder, read_record, sync, sync_folder, write_record
from .fragments import (
    FileHeads,
    failures_of_lance,
    joined_labels,
    names_of,
    read_embeddings,
    read_heads,
    read_rows,
    read_some_embeddings,
    schema,
    to_arrow,
    write_files,
)
from .identity import Identity
from .rows import Rows, check_rows, content_hashes
from .seals import (
    Seal,
    check_manifest,
    manifest_hash,
    manifest_path,
    manifest_versions,
    read_seal,
    sealed_versions,
    write_seal,
)
from .store import Appended, Heads, Near, Report, Staged, Version

if TYPE_CHECKING:
    from lance import LanceDataset
    from lance.fragment import FragmentMetadata

ROWS_PER_FILE = 2**20
_IDENTITY, _COPY = "archive.json", "archive.copy.json"
# How long a writer waits for the others: a commit takes milliseconds.
PATIENCE_S = 120.0
# How often a batch is written again because others added some of its rows in the meantime.
_ATTEMPTS = 5
_REPAIR = "Run pyspedas-similarity archive repair."
# Of the number that says where a row lies: its place in the file below, the number of the file above.
_OFFSET_BITS = 32


@dataclass(frozen=True, eq=False)
class Snapshot:
    """One version, whose list of files is the one that was sealed."""

    seal: Seal
    dataset: LanceDataset

    @property
    def version(self) -> int:
        """Its number."""
        return self.seal.version

    def files(self) -> dict[str, Any]:
        """Name of the data file -> fragment, in the order they are stored."""
        return {names_of([one.metadata])[0]: one for one in self.dataset.get_fragments()}


class LanceStore:
    """Keeps the rows of an archive in a folder; see `Store` and the module.

    Parameters
    ----------
    folder : Path
        Of an archive that was begun by `create`.

    Raises
    ------
    ArchiveError
        If there is none, or it is of a layout that is not read.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.rows_folder, self.seals_folder = self.folder / "rows.lance", self.folder / "seals"
        self.indexes_folder = self.folder / "indexes"
        self._identity = read_identity(self.folder)
        # By name of the data file, which never changes.
        self._heads: dict[str, FileHeads] = {}
        self._snapshot: Snapshot | None = None
        self._known: tuple[frozenset[str], list[np.ndarray]] = (frozenset(), [])
        # Indexes whose files were seen to be as they were written.
        self.checked_indexes: set[str] = set()

    @classmethod
    def create(cls, folder: str | Path, identity: Identity) -> LanceStore:
        """Begin an archive, or open one of the same identity.

        Raises
        ------
        MixingError
            If there is one of another identity.
        ArchiveError
            If it cannot be written.
        """
        folder = Path(folder)
        with writing(folder):
            for one in (folder / "locks", folder / "seals"):
                make_folder(one)
            with lease(folder / "locks" / "commit.lock", PATIENCE_S, "beginning it"):
                if not sealed_versions(folder / "seals"):
                    _begin(folder, identity)
        store = cls(folder)
        store.identity.check(identity, str(folder))
        return store

    @property
    def identity(self) -> Identity:
        """What made its rows."""
        return self._identity

    def latest(self) -> int:
        """Number of the newest version that was acknowledged."""
        sealed = sealed_versions(self.seals_folder)
        if not sealed:
            raise ArchiveError(str(self.folder), "it was never begun", "Add something to it.")
        return sealed[-1]

    def versions(self) -> list[Version]:
        """All that one can go back to, oldest first; those whose seals are damaged are left out."""
        found = []
        for version in sealed_versions(self.seals_folder):
            with suppress(DamagedArchiveError):
                found.append(read_seal(self.seals_folder, version).told)
        return found

    def told(self, version: int | None = None) -> Version:
        """What is known of a version, or of the newest."""
        return read_seal(self.seals_folder, self.latest() if version is None else version).told

    def snapshot(self, version: int | None = None) -> Snapshot:
        """A version, or the newest, after its list of files was checked.

        Raises
        ------
        ArchiveError
            If there is no such version, or it is damaged.
        """
        version = self.latest() if version is None else version
        seal = read_seal(self.seals_folder, version)
        if self._snapshot is not None and self._snapshot.seal == seal:
            return self._snapshot
        if seal.identity != self.identity.hash:
            raise DamagedArchiveError(str(self.folder), f"version {version} is of another archive", _REPAIR)
        check_manifest(self.rows_folder, seal)
        self._snapshot = Snapshot(seal, self.open(version))
        return self._snapshot

    def open(self, version: int) -> LanceDataset:
        """Lance's data set at a version."""
        import lance

        with failures_of_lance(DamagedArchiveError(str(self.folder), f"version {version} cannot be opened", _REPAIR)):
            return lance.dataset(str(self.rows_folder), version=version)

    def append(self, rows: Rows) -> Appended:
        """Keep rows; when this returns they outlast a loss of power.

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
            with writing(self.folder):
                written = self._write(rows.take(fresh), ids[fresh])
            try:
                with self.committing():
                    if not self.is_known(ids[fresh]).any():
                        version = self.commit_append(written, len(fresh))
                        return Appended(version, len(fresh), len(rows) - len(fresh))
            except BaseException:
                self.discard(written)
                raise
            self.discard(written)
        found = f"others added some of the same rows, {_ATTEMPTS} times in a row"
        raise BusyArchiveError(str(self.folder), found, "Try again, with one writer for the same data.")

    def stage(self, rows: Rows, job: str) -> Staged:
        """Write rows that belong to no version yet, for a job; they outlast a loss of power then."""
        return staging.stage(self, rows, job)

    def adopt(self, staged: Sequence[Staged]) -> Appended:
        """Make one version that holds staged rows as well; what is there already is kept once."""
        return staging.adopt(self, staged)

    def unstage(self, job: str) -> None:
        """Give up what was staged for a job and not adopted."""
        staging.unstage(self, job)

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
        """What proposes neighbours, rows added since included; None where there is no index that can be trusted."""
        return lance_index.near(self, heads)

    def restore(self, version: int) -> int:
        """Make a new version that holds what an older one held; its number."""
        import lance

        with self.committing() as newest:
            old = self.snapshot(version)
            operation = lance.LanceOperation.Restore(version)
            return self.commit(operation, newest, "restore", old.seal.rows, origin=version)

    def compact(self, rows_per_file: int = ROWS_PER_FILE) -> int:
        """Join small files and free what no version needs; the number of the version then."""
        return maintenance.compact(self, rows_per_file)

    def forget(self, keep: int) -> int:
        """Give up all but the newest versions; how many were given up."""
        return maintenance.forget(self, keep)

    def verify(self) -> Report:
        """Read everything and tell what is not as it was written."""
        return maintenance.verify(self)

    def repair(self) -> Report:
        """Leave out what is damaged, and keep every row that is not; what was found before."""
        return repair.repair(self)

    def committing(self) -> AbstractContextManager[Snapshot]:
        """Hold the lock under which versions are made; gives the newest version."""
        return _Committing(self)

    def lock_of_commits(self) -> AbstractContextManager[None]:
        """Hold that lock and look at nothing."""
        return lease(self.folder / "locks" / "commit.lock", PATIENCE_S, "writing to it")

    def maintaining(self) -> AbstractContextManager[None]:
        """Hold the lock of maintenance, which readers and writers do not need."""
        return lease(self.folder / "locks" / "maintenance.lock", 1.0, "looking after it")

    def commit_append(self, written: list[FragmentMetadata], rows: int) -> int:
        """Make the version that holds new files as well, under the lock; its number."""
        import lance

        newest = self.snapshot()
        operation = lance.LanceOperation.Append(written)
        return self.commit(operation, newest, "append", newest.seal.rows + rows, rows, names_of(written))

    def fragments_of(self, names: Sequence[str]) -> list[FragmentMetadata]:
        """Data files that lie among the archive's and that no version names yet, as they can be committed."""
        from lance.fragment import LanceFragment

        dataset = self.snapshot().dataset
        return [LanceFragment.create_from_file(name, dataset, 0) for name in names]

    def commit(
        self,
        operation: Any,
        newest: Snapshot,
        what: str,
        rows: int,
        added: int = 0,
        files: Sequence[str] = (),
        origin: int = 0,
    ) -> int:
        """Make a version, bring it to the disk and seal it, under the lock; its number."""
        import lance

        before = {path.name for path in (self.rows_folder / "_transactions").iterdir()}
        with writing(self.folder):
            try:
                dataset = lance.LanceDataset.commit(str(self.rows_folder), operation, read_version=newest.version)
                transactions = [p for p in (self.rows_folder / "_transactions").iterdir() if p.name not in before]
                sync([*transactions, manifest_path(self.rows_folder, dataset.version)])
                dataset = self.open(dataset.version)  # as it is on the disk, which may have become full
                if sum(one.metadata.physical_rows for one in dataset.get_fragments()) != rows:
                    raise OSError(f"the list of files of version {dataset.version} is not whole")
                seal = self.seal(dataset.version, what, rows, added, files, origin)
            except BaseException:
                with suppress(OSError):
                    self.drop_unsealed()
                raise
        self._snapshot = Snapshot(seal, dataset)
        return seal.version

    def seal(
        self, version: int, what: str, rows: int, added: int = 0, files: Sequence[str] = (), origin: int = 0
    ) -> Seal:
        """Acknowledge a version whose files are on the disk."""
        digest = manifest_hash(self.rows_folder, version)
        now = str(np.datetime64("now", "us"))
        seal = Seal(version, now, what, rows, added, tuple(files), digest, self.identity.hash, origin)
        write_seal(self.seals_folder, seal)
        return seal

    def drop_unsealed(self) -> None:
        """Remove versions that a writer left without acknowledging them; only under the lock, when it is gone."""
        newest = self.latest()
        leftover = [one for one in manifest_versions(self.rows_folder) if one > newest]
        for version in leftover:
            manifest_path(self.rows_folder, version).unlink()
        if leftover:
            # Lance's own note of the newest version; it looks for itself where there is none.
            (self.rows_folder / "_versions" / "latest_version_hint.json").unlink(missing_ok=True)
            sync_folder(self.rows_folder / "_versions")

    def write_identity(self) -> None:
        """Write it anew, from what was read."""
        write_identity(self.folder, self.identity)

    def identity_paths(self) -> list[Path]:
        """Where what made its rows is written."""
        return [self.folder / name for name in (_IDENTITY, _COPY)]

    def discard(self, written: Sequence[FragmentMetadata]) -> None:
        """Remove data files that no version took."""
        for name in names_of(written):
            with suppress(OSError):
                (self.rows_folder / "data" / name).unlink()

    def _write(self, rows: Rows, ids: np.ndarray) -> list[FragmentMetadata]:
        table = to_arrow(rows, ids, self.identity)
        return write_files(self.rows_folder, table, table.schema, ROWS_PER_FILE)

    def is_known(self, ids: np.ndarray) -> np.ndarray:
        """Which rows the newest version has already: bool, shape (n,)."""
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


class _Committing:
    """The lock of commits, taken; what a dead writer left is gone."""

    def __init__(self, store: LanceStore) -> None:
        self._store = store
        self._lease = store.lock_of_commits()

    def __enter__(self) -> Snapshot:
        self._lease.__enter__()
        try:
            self._store.drop_unsealed()
            return self._store.snapshot()
        except BaseException:
            self._lease.__exit__(None, None, None)
            raise

    def __exit__(self, *error: object) -> None:
        self._lease.__exit__(None, None, None)


def writing(folder: Path) -> AbstractContextManager[None]:
    """Turn what goes wrong while writing into one error that says that nothing was kept of it."""
    found = "it cannot be written (is the disk full?); nothing of this batch was kept, all before is"
    return failures_of_lance(ArchiveError(str(folder), found, "Make room, or check its rights, and do it again."))


def read_identity(folder: Path) -> Identity:
    """What made the rows of an archive; from the copy where the first record is damaged.

    Raises
    ------
    ArchiveError
        If there is no archive, both are damaged, or its layout is not read.
    """
    damaged = None
    for name in (_IDENTITY, _COPY):
        try:
            return Identity.from_dict(read_record(folder / name), str(folder))
        except DamagedArchiveError as error:
            damaged = error
        except OSError as error:
            if damaged is None:
                found, remedy = "there is no archive", "Give the folder of one; sim.add begins one."
                raise ArchiveError(str(folder), found, remedy) from error
    raise damaged


def write_identity(folder: Path, identity: Identity) -> None:
    """Keep what made the rows, twice."""
    for name in (_IDENTITY, _COPY):
        write_record(folder / name, identity.to_dict())


def _begin(folder: Path, identity: Identity) -> None:
    """Lay down an empty archive; what an earlier attempt left is replaced, since nothing was ever acknowledged."""
    import shutil

    import lance

    rows = folder / "rows.lance"
    shutil.rmtree(rows, ignore_errors=True)
    write_identity(folder, identity)
    dataset = lance.write_dataset(schema(identity.dimension).empty_table(), str(rows))
    (rows / "data").mkdir(exist_ok=True)
    sync(path for path in rows.rglob("*") if path.is_file())
    for one in (rows / "data", rows, folder):
        sync_folder(one)
    now, digest = str(np.datetime64("now", "us")), manifest_hash(rows, dataset.version)
    write_seal(folder / "seals", Seal(dataset.version, now, "create", 0, 0, (), digest, identity.hash))


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
