"""Putting an archive in order after damage: every intact row stays, what is damaged is left out.

seal damaged             its list of files is not: the version is read, and sealed again if all of its rows are whole
list of files damaged    the version before is taken, and the files that the seal says were added since
rows damaged             their file is written again without them
index damaged            it is given up, and can be built again
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from ..errors import ArchiveError, DamagedArchiveError
from . import lance_index
from .durable import sync_folder
from .fragments import failures_of_lance, read_heads
from .maintenance import bad_identity, exchange, intact_rows, verify, write_intact
from .seals import Seal, check_manifest, manifest_path, read_seal, seal_path, sealed_versions
from .store import Report

if TYPE_CHECKING:
    from lance import LanceDataset

    from .lance_store import LanceStore

_ROWS_PER_FILE = 2**20


def repair(store: LanceStore) -> Report:
    """Leave out what is damaged, and keep every row that is not.

    Returns
    -------
    Report
        What was found before.

    Raises
    ------
    DamagedArchiveError
        If no version can be read at all.
    """
    before = verify(store)
    if before.sound:
        return before
    with store.maintaining(), store.lock_of_commits():
        if bad_identity(store):
            store.write_identity()
        _seal_again(store)
        lost = _lost_lists(store)
        trusted = [one for one in sealed_versions(store.seals_folder) if one not in {seal.version for seal in lost}]
        if not trusted:
            raise DamagedArchiveError(str(store.folder), "no version of it can be read", "Take a copy from elsewhere.")
        for seal in lost:
            _remove(store, seal.version)
        for seal in (one for one in lost if one.version > trusted[-1]):
            _replay(store, seal)
        _leave_out_damaged(store)
        if lance_index.is_damaged(store, store.snapshot()):
            lance_index.drop(store)
    return before


def _seal_again(store: LanceStore) -> None:
    """Seal versions whose seals are damaged and whose rows are whole; give up the others."""
    for version in sealed_versions(store.seals_folder):
        try:
            read_seal(store.seals_folder, version)
        except DamagedArchiveError:
            rows = _whole_rows_of(store, version)
            if rows is None:
                _remove(store, version)
            else:
                store.seal(version, "repair", rows)


def _whole_rows_of(store: LanceStore, version: int) -> int | None:
    """Number of rows of a version that has no seal, or None if one of them is damaged."""
    try:
        fragments = store.open(version).get_fragments()
    except DamagedArchiveError:
        return None
    rows = [(len(read_heads(one, store.identity).offset), one.metadata.physical_rows) for one in fragments]
    return sum(there for there, _ in rows) if all(there == expected for there, expected in rows) else None


def _lost_lists(store: LanceStore) -> list[Seal]:
    """Seals of the versions whose lists of files are damaged, oldest first."""
    lost = []
    for version in sealed_versions(store.seals_folder):
        seal = read_seal(store.seals_folder, version)
        try:
            check_manifest(store.rows_folder, seal)
        except DamagedArchiveError:
            lost.append(seal)
    return lost


def _remove(store: LanceStore, version: int) -> None:
    """Give up a version that cannot be read."""
    hint = store.rows_folder / "_versions" / "latest_version_hint.json"
    for path in (seal_path(store.seals_folder, version), manifest_path(store.rows_folder, version), hint):
        with suppress(FileNotFoundError):
            path.unlink()
            sync_folder(path.parent)


def _replay(store: LanceStore, seal: Seal) -> None:
    """Do again, on the newest version, what a lost version did; compaction and repair changed no intact row."""
    import lance

    newest = store.snapshot()
    if seal.what == "restore":
        with suppress(ArchiveError):  # where that version is lost as well, the newest one stays
            rows = store.snapshot(seal.origin).seal.rows
            store.commit(lance.LanceOperation.Restore(seal.origin), newest, "restore", rows, origin=seal.origin)
    elif seal.what == "append":
        fragments = [one for name in seal.files for one in _fragments_of(store, newest.dataset, name)]
        rows = sum(one.physical_rows for one in fragments)
        if fragments:
            operation = lance.LanceOperation.Append(fragments)
            store.commit(operation, newest, "append", newest.seal.rows + rows, rows, seal.files)


def _fragments_of(store: LanceStore, dataset: LanceDataset, name: str) -> list:
    """A data file that no list names, as something that can be listed; nothing where it cannot be read."""
    from lance.fragment import LanceFragment

    damaged = DamagedArchiveError(name, "it cannot be read", "")
    with suppress(DamagedArchiveError), failures_of_lance(damaged):
        return [LanceFragment.create_from_file(name, dataset, 0)]
    return []


def _leave_out_damaged(store: LanceStore) -> None:
    """Write files anew that have damaged rows, without them."""
    newest = store.snapshot()
    damaged = {}
    for name, fragment in newest.files().items():
        intact = sum(len(batch) for _, batch in intact_rows(fragment, store))
        if intact < fragment.metadata.physical_rows:
            damaged[name] = fragment
    if not damaged:
        return
    written = write_intact(store, damaged.values(), _ROWS_PER_FILE)
    rows = newest.seal.rows
    rows += sum(one.physical_rows for one in written) - sum(one.metadata.physical_rows for one in damaged.values())
    exchange(store, newest, [damaged], [written], "repair", rows)
