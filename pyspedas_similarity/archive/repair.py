"""Putting an archive in order after damage: every intact row stays, what is damaged is left out.

seal damaged             its list of files is not: the version is read, and sealed again if all of its rows are whole
list of files damaged    the previous version is taken, with the files that the seal lists as added since
rows damaged             their file is written again without them
index damaged            it is given up, and can be built again
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from ..errors import ArchiveError, DamagedArchiveError
from . import lance_index
from .commits import HINT, Change, open_version, seal_of, write_identity
from .fragments import failures_of_lance, read_heads
from .maintenance import bad_identity, exchanged, intact_rows, verify, write_intact
from .seals import Seal, check_manifest, manifest_name, read_seal, seal_name, sealed_versions, write_seal
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
            write_identity(store.place, store.identity)
        _seal_again(store)
        lost = _lost_lists(store)
        trusted = [one for one in sealed_versions(store.place) if one not in {seal.version for seal in lost}]
        if not trusted:
            raise DamagedArchiveError(
                str(store.place.address), "no version of it can be read", "Take a copy from elsewhere."
            )
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
    for version in sealed_versions(store.place):
        try:
            read_seal(store.place, version)
        except DamagedArchiveError:
            if _is_whole(store, version):
                fragments = [one.metadata for one in open_version(store.place, version).get_fragments()]
                change = Change("repair", None, fragments)
                write_seal(store.place, seal_of(store.place, store.identity, version, change))
            else:
                _remove(store, version)


def _is_whole(store: LanceStore, version: int) -> bool:
    """Return True if no row of a version without seal is damaged."""
    try:
        fragments = open_version(store.place, version).get_fragments()
    except DamagedArchiveError:
        return False
    return all(len(read_heads(one, store.identity).offset) == one.metadata.physical_rows for one in fragments)


def _lost_lists(store: LanceStore) -> list[Seal]:
    """Seals of the versions whose lists of files are damaged, oldest first."""
    lost = []
    for version in sealed_versions(store.place):
        seal = read_seal(store.place, version)
        try:
            check_manifest(store.place, seal)
        except DamagedArchiveError:
            lost.append(seal)
    return lost


def _remove(store: LanceStore, version: int) -> None:
    """Give up a version that cannot be read; its list of files first, so that it is not sealed again."""
    store.place.remove(manifest_name(version), HINT, seal_name(version))


def _replay(store: LanceStore, seal: Seal) -> None:
    """Do again, on the newest version, what a lost version did; compaction and repair changed no intact row."""
    import lance

    newest = store.snapshot()
    if seal.what == "restore":
        with suppress(ArchiveError):  # where that version is lost as well, the newest one stays
            fragments = store.snapshot(seal.origin).fragments()
            operation = lance.LanceOperation.Restore(seal.origin)
            store.make(Change("restore", operation, fragments, origin=seal.origin), newest)
    elif seal.what == "append":
        new = [one for name in seal.files for one in _fragments_of(store, newest.dataset, name)]
        if new:
            rows, operation = sum(one.physical_rows for one in new), lance.LanceOperation.Append(new)
            store.make(Change("append", operation, [*newest.fragments(), *new], seal.files, rows), newest)


def _fragments_of(store: LanceStore, dataset: LanceDataset, name: str) -> list:
    """A data file that no list names, as something that can be listed; nothing where it cannot be read."""
    from lance.fragment import LanceFragment

    damaged = DamagedArchiveError(name, "it cannot be read", "")
    with suppress(DamagedArchiveError), failures_of_lance(damaged):
        return [LanceFragment.create_from_file(name, dataset, 0)]
    return []


def _leave_out_damaged(store: LanceStore) -> None:
    """Write files with damaged rows again, without these rows."""
    newest = store.snapshot()
    damaged = {}
    for name, fragment in newest.files().items():
        intact = sum(len(batch) for _, batch in intact_rows(fragment, store))
        if intact < fragment.metadata.physical_rows:
            damaged[name] = fragment
    if not damaged:
        return
    written = write_intact(store, damaged.values(), _ROWS_PER_FILE)
    store.make(exchanged("repair", [damaged], [written], newest), newest)
