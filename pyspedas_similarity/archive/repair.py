"""Repair of a damaged archive: intact rows are kept, damaged parts are removed.

commit record damaged    rewritten if all rows of the version are intact; else the version is removed
manifest damaged         the version is removed; the files that its commit record added are appended to the previous one
rows damaged             their file is rewritten without them
index damaged            removed; it can be rebuilt
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from ..errors import ArchiveError, DamagedArchiveError
from . import lance_index
from .commit_records import (
    CommitRecord,
    check_manifest,
    commit_record_name,
    committed_versions,
    manifest_name,
    read_commit_record,
    write_commit_record,
)
from .commits import HINT, Change, make_commit_record, open_version, write_identity
from .fragments import convert_lance_errors, read_heads
from .maintenance import bad_identity, intact_rows, replacement, verify, write_intact
from .store import Report

if TYPE_CHECKING:
    from lance import LanceDataset

    from .lance_store import LanceStore

_ROWS_PER_FILE = 2**20


def repair(store: LanceStore) -> Report:
    """Remove what is damaged and keep all intact rows.

    Returns
    -------
    Report
        Report of the damage before the repair.

    Raises
    ------
    DamagedArchiveError
        If no version can be read.
    """
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
    written = write_intact(store, damaged.values(), _ROWS_PER_FILE)
    store.make(replacement("repair", [damaged], [written], newest), newest)
