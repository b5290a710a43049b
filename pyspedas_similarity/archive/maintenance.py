"""Maintenance of an archive: merging small files, restoring and deleting versions, verification and repair.

Maintenance holds a lock of its own, which does not block readers and writers; the commit lock, if there is one, is
held only to replace the old files by the new ones. A process that is killed before leaves files that belong to no
version. In an object store the maintenance lock is a lease that can expire; it only saves work, since concurrent
compactions and deletions of versions are safe.

A repair keeps intact rows and removes damaged parts:

commit record damaged    rewritten if all rows of the version are intact; else the version is removed
manifest damaged         the version is removed; the files that its commit record added are appended to the previous one
rows damaged             their file is rewritten without them
index damaged            removed; it can be rebuilt
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ArchiveError, BusyArchiveError, DamagedArchiveError
from . import lance_index
from .commit_records import (
    CommitRecord,
    check_manifest,
    commit_record_name,
    committed_versions,
    manifest_name,
    manifest_versions,
    read_commit_record,
    read_record,
    write_commit_record,
)
from .commits import HINT, IDENTITY_RECORDS, Change, make_commit_record, open_version, write_identity
from .fragments import (
    COLUMNS,
    ROWS_PER_FILE,
    convert_lance_errors,
    ids_of,
    names_of,
    read_heads,
    scan,
    schema,
    skip_damaged,
    whole_rows,
    write_files,
)
from .locations import REPAIR
from .store import Report

if TYPE_CHECKING:
    import pyarrow as pa
    from lance import LanceDataset
    from lance.fragment import FragmentMetadata, LanceFragment

    from .lance_store import LanceStore, Snapshot

_ATTEMPTS = 5


def compact(store: LanceStore, rows_per_file: int = ROWS_PER_FILE) -> int:
    """Merge consecutive small files, verifying every row, and return the number of the newest version."""
    with store.maintenance_lock():
        for _ in range(_ATTEMPTS):
            snapshot = store.snapshot()
            groups = _small_neighbors(snapshot, rows_per_file)
            if not groups:
                return snapshot.version
            written = [_copy_rows(store, group, rows_per_file) for group in groups]
            version = store.commit(partial(replacement, "compact", groups, written))
            if version is not None:
                return version
            for files in written:
                store.discard(files)
    raise BusyArchiveError(store.place.address, "other processes replaced its files in the meantime", "Try again.")


def forget(store: LanceStore, keep: int) -> int:
    """Delete all but the newest `keep` versions, and the files that only those used; return the number deleted.

    Unused files younger than a week are kept, since they may belong to a batch that is being written.
    """
    if isinstance(keep, bool) or not isinstance(keep, int) or keep < 1:
        raise ArchiveError("keep", f"found {keep!r}", "Give the number of versions to keep, 1 or more.")
    with store.maintenance_lock(), store.committing() as newest:
        committed = committed_versions(store.place)
        deleted, kept = committed[:-keep], committed[-keep:]
        # Commit records first: a version without one cannot be opened, so readers never see an incomplete version.
        store.place.retire(*(commit_record_name(version) for version in deleted))
        listed = [version for version in manifest_versions(store.place) if version < kept[0]]
        found = ArchiveError(store.place.address, "old files cannot be removed", "Check the disk and its permissions.")
        if listed:
            with convert_lance_errors(found):
                newest.dataset.cleanup_old_versions(versions=listed)
        return len(deleted)


def restore(store: LanceStore, version: int) -> int:
    """Commit a new version with the content of an older one and return its number."""
    return store.commit(partial(_restore_change, store, version, {}))


def _restore_change(
    store: LanceStore, version: int, copies: dict[str, list[FragmentMetadata]], newest: Snapshot
) -> Change:
    """Return the change that restores an old version.

    Without a lock, another process may delete the old version and its files at any time; files that the newest version
    does not use are then copied. The newest version is never deleted.
    """
    import lance

    old, there, fragments = store.snapshot(version), newest.files(), []
    for name, fragment in old.files().items():
        if store.place.locks or name in there:
            fragments.append(fragment.metadata)
        else:
            copies[name] = copies.get(name) or _copy_rows(store, {name: fragment}, fragment.metadata.physical_rows)
            fragments += copies[name]
    new = tuple(name for files in copies.values() for name in names_of(files))
    return Change("restore", lance.LanceOperation.Restore(version), fragments, new, origin=version)


def verify(store: LanceStore) -> Report:
    """Read all rows of the newest version and the records of all versions, and report any damage."""
    problems = [*bad_identity(store), *_bad_versions(store)]
    newest = max(committed_versions(store.place), default=0)
    try:
        snapshot = store.snapshot()
    except (ArchiveError, OSError):
        return Report(newest, 0, 0, (*problems, f"version {newest}, the newest, cannot be opened"))
    intact, ids = 0, [np.zeros(0, "S16")]
    for name, fragment in snapshot.files().items():
        here, rows = 0, fragment.metadata.physical_rows
        for _, batch in intact_rows(fragment, store):
            here += len(batch)
            ids.append(ids_of(batch).copy())
        if here < rows:
            problems.append(f"{name}: {rows - here} of {rows} rows are damaged")
        intact += here
    problems += ["its index is damaged and not used"] if lance_index.is_damaged(store, snapshot) else []
    doubled = intact - len(np.unique(np.concatenate(ids)))
    problems += [f"{doubled} rows are stored twice"] if doubled else []
    return Report(snapshot.version, intact, snapshot.record.rows - intact, tuple(problems))


def _small_neighbors(snapshot: Snapshot, rows_per_file: int) -> list[dict[str, LanceFragment]]:
    """Return groups of two or more consecutive files that together have at most `rows_per_file` rows."""
    groups: list[dict[str, LanceFragment]] = [{}]
    total = 0
    for name, fragment in snapshot.files().items():
        rows = fragment.metadata.physical_rows
        if total + rows > rows_per_file:
            groups.append({})
            total = 0
        groups[-1][name] = fragment
        total += rows
    return [group for group in groups if len(group) > 1]


def _copy_rows(store: LanceStore, group: dict[str, LanceFragment], rows_per_file: int) -> list[FragmentMetadata]:
    """Write new files with the rows of old ones; DamagedArchiveError if a row is damaged."""
    expected = sum(one.metadata.physical_rows for one in group.values())
    written = write_intact(store, group.values(), rows_per_file)
    rows = sum(one.physical_rows for one in written)
    if rows < expected:
        store.discard(written)
        raise DamagedArchiveError(store.place.address, f"{expected - rows} rows are damaged", REPAIR)
    return written


def write_intact(store: LanceStore, fragments: Any, rows_per_file: int) -> list[FragmentMetadata]:
    """Write new files with the intact rows of old ones; the files belong to no version yet."""
    import pyarrow as pa

    layout = schema(store.identity.dimension)
    batches = (batch.cast(layout) for one in fragments for _, batch in intact_rows(one, store))
    failed = ArchiveError(store.place.address, "its files cannot be written (is the disk full?)", "Free disk space.")
    with convert_lance_errors(failed):
        return write_files(store.place, pa.RecordBatchReader.from_batches(layout, batches), layout, rows_per_file)


def intact_rows(fragment: LanceFragment, store: LanceStore) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Yield the number of the first row and the intact rows of each batch of a file, all columns, copied."""
    import pyarrow as pa

    for offset, batch in scan(fragment, COLUMNS):
        with skip_damaged():
            intact, _ = whole_rows(batch, store.identity)
            if intact.any():
                yield offset, batch.filter(pa.array(intact))


def replacement(
    what: str, groups: Sequence[dict[str, Any]], written: Sequence[list[FragmentMetadata]], newest: Snapshot
) -> Change | None:
    """Return the change that replaces old files by new ones; None if an old file is no longer in the version."""
    import lance

    at = newest.files()
    if not {name for group in groups for name in group} <= at.keys():
        return None
    rewritten = [
        lance.LanceOperation.RewriteGroup([at[name].metadata for name in group], files)
        for group, files in zip(groups, written, strict=True)
    ]
    instead: dict[str, list[FragmentMetadata]] = {name: [] for group in groups for name in group}
    instead |= {next(iter(group)): files for group, files in zip(groups, written, strict=True)}
    fragments = [one for name, fragment in at.items() for one in instead.get(name, [fragment.metadata])]
    new = tuple(name for files in written for name in names_of(files))
    return Change(what, lance.LanceOperation.Rewrite(rewritten, []), fragments, new)


def bad_identity(store: LanceStore) -> list[str]:
    """Return a message for each of the two identity records that is damaged."""
    bad = []
    for name in IDENTITY_RECORDS:
        try:
            read_record(store.place, name)
        except (DamagedArchiveError, OSError):
            bad.append(f"{name} is damaged")
    return bad


def _bad_versions(store: LanceStore) -> list[str]:
    """Return a message for each version with a damaged commit record or manifest."""
    bad = []
    committed = committed_versions(store.place)
    for version in committed:
        try:
            check_manifest(store.place, read_commit_record(store.place, version))
        except DamagedArchiveError as error:
            bad.append(f"version {version}: {error.subject}: {error.found}")
    return bad


def repair(store: LanceStore) -> Report:
    """Remove what is damaged, keep all intact rows, and return the report of the damage before."""
    before = verify(store)
    if before.sound:
        return before
    with store.maintenance_lock(), store.commit_lock():
        if bad_identity(store):
            write_identity(store.place, store.identity)
        _rewrite_commit_records(store)
        invalid = _records_without_manifest(store)
        trusted = [one for one in committed_versions(store.place) if one not in {record.version for record in invalid}]
        if not trusted:
            raise DamagedArchiveError(
                str(store.place.address), "no version of it can be read", "Restore it from a backup."
            )
        for record in invalid:
            _remove(store, record.version)
        for record in (one for one in invalid if one.version > trusted[-1]):
            _replay(store, record)
        _drop_damaged_rows(store)
        if lance_index.is_damaged(store, store.snapshot()):
            lance_index.drop(store)
    return before


def _rewrite_commit_records(store: LanceStore) -> None:
    """Rewrite damaged commit records of versions whose rows are all intact; remove the other versions."""
    for version in committed_versions(store.place):
        try:
            read_commit_record(store.place, version)
        except DamagedArchiveError:
            if _is_whole(store, version):
                fragments = [one.metadata for one in open_version(store.place, version).get_fragments()]
                change = Change("repair", None, fragments)
                write_commit_record(store.place, make_commit_record(store.place, store.identity, version, change))
            else:
                _remove(store, version)


def _is_whole(store: LanceStore, version: int) -> bool:
    """Return True if all rows of a version are intact."""
    try:
        fragments = open_version(store.place, version).get_fragments()
    except DamagedArchiveError:
        return False
    return all(len(read_heads(one, store.identity).offset) == one.metadata.physical_rows for one in fragments)


def _records_without_manifest(store: LanceStore) -> list[CommitRecord]:
    """Return the commit records of the versions with damaged manifests, oldest first."""
    invalid = []
    for version in committed_versions(store.place):
        record = read_commit_record(store.place, version)
        try:
            check_manifest(store.place, record)
        except DamagedArchiveError:
            invalid.append(record)
    return invalid


def _remove(store: LanceStore, version: int) -> None:
    """Remove an unreadable version; the manifest first, so that its commit record is not created again."""
    store.place.remove(manifest_name(version), HINT, commit_record_name(version))


def _replay(store: LanceStore, record: CommitRecord) -> None:
    """Repeat the change of a removed version on the newest one; compaction and repair change no intact row."""
    import lance

    newest = store.snapshot()
    if record.what == "restore":
        with suppress(ArchiveError):  # if that version is lost as well, keep the newest one
            fragments = store.snapshot(record.origin).fragments()
            operation = lance.LanceOperation.Restore(record.origin)
            store.make(Change("restore", operation, fragments, origin=record.origin), newest)
    elif record.what == "append":
        new = [one for name in record.files for one in _read_fragment(store, newest.dataset, name)]
        if new:
            rows, operation = sum(one.physical_rows for one in new), lance.LanceOperation.Append(new)
            store.make(Change("append", operation, [*newest.fragments(), *new], record.files, rows), newest)


def _read_fragment(store: LanceStore, dataset: LanceDataset, name: str) -> list:
    """Return the fragment metadata of a data file that is in no manifest; [] if it cannot be read."""
    from lance.fragment import LanceFragment

    damaged = DamagedArchiveError(name, "it cannot be read", "")
    with suppress(DamagedArchiveError), convert_lance_errors(damaged):
        return [LanceFragment.create_from_file(name, dataset, 0)]
    return []


def _drop_damaged_rows(store: LanceStore) -> None:
    """Rewrite files with damaged rows without these rows."""
    newest = store.snapshot()
    damaged = {}
    for name, fragment in newest.files().items():
        intact = sum(len(batch) for _, batch in intact_rows(fragment, store))
        if intact < fragment.metadata.physical_rows:
            damaged[name] = fragment
    if not damaged:
        return
    written = write_intact(store, damaged.values(), ROWS_PER_FILE)
    store.make(replacement("repair", [damaged], [written], newest), newest)
