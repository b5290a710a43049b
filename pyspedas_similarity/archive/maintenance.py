"""Looking after an archive: joining small files, going back, giving up old versions, finding damage, leaving it out.

Maintenance holds a lock of its own, so that two never work at once; readers and writers go on meanwhile. The lock of
commits, where there is one, is held only when the result is put in the place of the old files. A process that dies in
between leaves files that no version names. In an object store the lock is a lease that can lapse; it saves work, and
two that compact or give up versions at once do no harm.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ArchiveError, BusyArchiveError, DamagedArchiveError
from . import lance_index
from .commits import IDENTITY_RECORDS, Change
from .fragments import (
    COLUMNS,
    failures_of_lance,
    ids_of,
    names_of,
    scan,
    schema,
    suppressed_damage,
    whole_rows,
    write_files,
)
from .records import read_record
from .seals import check_manifest, manifest_versions, read_seal, seal_name, sealed_versions
from .store import Report

if TYPE_CHECKING:
    import pyarrow as pa
    from lance.fragment import FragmentMetadata, LanceFragment

    from .lance_store import LanceStore, Snapshot

_ATTEMPTS = 5
_REPAIR = "Run pyspedas-similarity archive repair."


def compact(store: LanceStore, rows_per_file: int) -> int:
    """Join neighboring small files into larger ones; every row is checked on the way.

    Returns
    -------
    int
        The version then; the old one where there was nothing to do.

    Raises
    ------
    DamagedArchiveError
        If a row is damaged: joining would hide where.
    """
    with store.maintaining():
        for _ in range(_ATTEMPTS):
            snapshot = store.snapshot()
            groups = _small_neighbors(snapshot, rows_per_file)
            if not groups:
                return snapshot.version
            written = [_copied(store, group, rows_per_file) for group in groups]
            version = store.commit(partial(exchanged, "compact", groups, written))
            if version is not None:
                return version
            for files in written:
                store.discard(files)
    raise BusyArchiveError(store.place.address, "others took its files away meanwhile", "Do it again.")


def forget(store: LanceStore, keep: int) -> int:
    """Give up all but the newest versions, and the files that only those needed.

    Files of batches that are being written belong to no version yet; Lance leaves alone what is younger than a week.

    Returns
    -------
    int
        How many versions were given up.
    """
    if isinstance(keep, bool) or not isinstance(keep, int) or keep < 1:
        raise ArchiveError("keep", f"found {keep!r}", "Give the number of versions to keep, 1 or more.")
    with store.maintaining(), store.committing() as newest:
        sealed = sealed_versions(store.place)
        given_up, kept = sealed[:-keep], sealed[-keep:]
        # The seals first: a version without a seal cannot be opened, so no incomplete version is ever seen.
        store.place.retire(*(seal_name(version) for version in given_up))
        listed = [version for version in manifest_versions(store.place) if version < kept[0]]
        found = ArchiveError(store.place.address, "old files cannot be removed", "Check the disk and its rights.")
        if listed:
            with failures_of_lance(found):
                newest.dataset.cleanup_old_versions(versions=listed)
        return len(given_up)


def restore(store: LanceStore, version: int) -> int:
    """Make a new version that holds what an older one held; its number."""
    return store.commit(partial(_restored, store, version, {}))


def _restored(store: LanceStore, version: int, copies: dict[str, list[FragmentMetadata]], newest: Snapshot) -> Change:
    """Return the operation that restores an old version.

    Where no lock keeps others from giving that version up, and removing its files, those that the newest version lacks
    are copied; the newest is never given up.
    """
    import lance

    old, there, fragments = store.snapshot(version), newest.files(), []
    for name, fragment in old.files().items():
        if store.place.locks or name in there:
            fragments.append(fragment.metadata)
        else:
            copies[name] = copies.get(name) or _copied(store, {name: fragment}, fragment.metadata.physical_rows)
            fragments += copies[name]
    new = tuple(name for files in copies.values() for name in names_of(files))
    return Change("restore", lance.LanceOperation.Restore(version), fragments, new, origin=version)


def verify(store: LanceStore) -> Report:
    """Read everything of the newest version, and the records of all, and report what is damaged."""
    problems = [*bad_identity(store), *_bad_versions(store)]
    newest = max(sealed_versions(store.place), default=0)
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
    problems += [f"{doubled} rows are kept twice"] if doubled else []
    return Report(snapshot.version, intact, snapshot.seal.rows - intact, tuple(problems))


def _small_neighbors(snapshot: Snapshot, rows_per_file: int) -> list[dict[str, LanceFragment]]:
    """Runs of two or more files that together are no larger than one should be."""
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


def _copied(store: LanceStore, group: dict[str, LanceFragment], rows_per_file: int) -> list[FragmentMetadata]:
    """New files with the rows of old ones; DamagedArchiveError if not all are intact."""
    expected = sum(one.metadata.physical_rows for one in group.values())
    written = write_intact(store, group.values(), rows_per_file)
    rows = sum(one.physical_rows for one in written)
    if rows < expected:
        store.discard(written)
        raise DamagedArchiveError(store.place.address, f"{expected - rows} rows are damaged", _REPAIR)
    return written


def write_intact(store: LanceStore, fragments: Any, rows_per_file: int) -> list[FragmentMetadata]:
    """New files with the intact rows of old ones, not yet of any version."""
    import pyarrow as pa

    layout = schema(store.identity.dimension)
    batches = (batch.cast(layout) for one in fragments for _, batch in intact_rows(one, store))
    failed = ArchiveError(store.place.address, "its files cannot be written (is the disk full?)", "Make room.")
    with failures_of_lance(failed):
        return write_files(store.place, pa.RecordBatchReader.from_batches(layout, batches), layout, rows_per_file)


def intact_rows(fragment: LanceFragment, store: LanceStore) -> Iterator[tuple[int, pa.RecordBatch]]:
    """All columns of the intact rows of a file, in fresh buffers."""
    import pyarrow as pa

    for offset, batch in scan(fragment, COLUMNS):
        with suppressed_damage():
            intact, _ = whole_rows(batch, store.identity)
            if intact.any():
                yield offset, batch.filter(pa.array(intact))


def exchanged(
    what: str, groups: Sequence[dict[str, Any]], written: Sequence[list[FragmentMetadata]], newest: Snapshot
) -> Change | None:
    """Return the operation that replaces old files by new ones; None if some old files are gone."""
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
    """Return which of the two records of the identity cannot be read, in words."""
    bad = []
    for name in IDENTITY_RECORDS:
        try:
            read_record(store.place, name)
        except (DamagedArchiveError, OSError):
            bad.append(f"{name} is not as it was written")
    return bad


def _bad_versions(store: LanceStore) -> list[str]:
    """Seals and manifests that are not as they were written, and versions that were never acknowledged."""
    bad = []
    sealed = sealed_versions(store.place)
    for version in sealed:
        try:
            check_manifest(store.place, read_seal(store.place, version))
        except DamagedArchiveError as error:
            bad.append(f"version {version}: {error.subject}: {error.found}")
    return bad
