"""Looking after an archive: joining small files, giving up old versions, finding damage and leaving it out.

Maintenance holds a lock of its own, so that two never work at once; readers and writers go on meanwhile. The lock of
commits is held only when the result is put in the place of the old files. A process that dies in between leaves files
that no version names.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ArchiveError, BusyArchiveError, DamagedArchiveError
from . import lance_index
from .durable import read_record, sync_folder
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
from .seals import check_manifest, read_seal, seal_path, sealed_versions
from .store import Report

if TYPE_CHECKING:
    import pyarrow as pa
    from lance.fragment import FragmentMetadata, LanceFragment

    from .lance_store import LanceStore, Snapshot

_ATTEMPTS = 5
_REPAIR = "Run pyspedas-similarity archive repair."


def compact(store: LanceStore, rows_per_file: int) -> int:
    """Join neighbouring small files into larger ones; every row is checked on the way.

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
            groups = _small_neighbours(snapshot, rows_per_file)
            if not groups:
                return snapshot.version
            written = [_copied(store, group, rows_per_file) for group in groups]
            with store.committing() as newest:
                if {name for group in groups for name in group} <= newest.files().keys():
                    return exchange(store, newest, groups, written, "compact", newest.seal.rows)
            for files in written:
                store.discard(files)
    raise BusyArchiveError(str(store.folder), "others took its files away meanwhile", "Do it again.")


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
        given_up = sealed_versions(store.seals_folder)[:-keep]
        # The seals first: what has none cannot be asked for, so no half of a version is ever seen.
        for version in given_up:
            seal_path(store.seals_folder, version).unlink()
        sync_folder(store.seals_folder)
        found = ArchiveError(str(store.folder), "old files cannot be removed", "Check the disk and its rights.")
        with failures_of_lance(found):
            newest.dataset.cleanup_old_versions(older_than=timedelta(0), retain_versions=keep)
        return len(given_up)


def verify(store: LanceStore) -> Report:
    """Read everything of the newest version, and the records of all, and tell what is not as it was written."""
    problems = [*bad_identity(store), *_bad_versions(store)]
    newest = max(sealed_versions(store.seals_folder), default=0)
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


def _small_neighbours(snapshot: Snapshot, rows_per_file: int) -> list[dict[str, LanceFragment]]:
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
        raise DamagedArchiveError(str(store.folder), f"{expected - rows} rows are damaged", _REPAIR)
    return written


def write_intact(store: LanceStore, fragments: Any, rows_per_file: int) -> list[FragmentMetadata]:
    """New files with the intact rows of old ones, not yet of any version."""
    import pyarrow as pa

    layout = schema(store.identity.dimension)
    batches = (batch.cast(layout) for one in fragments for _, batch in intact_rows(one, store))
    failed = ArchiveError(str(store.folder), "its files cannot be written (is the disk full?)", "Make room.")
    with failures_of_lance(failed):
        return write_files(store.rows_folder, pa.RecordBatchReader.from_batches(layout, batches), layout, rows_per_file)


def intact_rows(fragment: LanceFragment, store: LanceStore) -> Iterator[tuple[int, pa.RecordBatch]]:
    """All columns of the intact rows of a file, in fresh buffers."""
    import pyarrow as pa

    for offset, batch in scan(fragment, COLUMNS):
        with suppressed_damage():
            intact, _ = whole_rows(batch, store.identity)
            if intact.any():
                yield offset, batch.filter(pa.array(intact))


def exchange(
    store: LanceStore,
    newest: Snapshot,
    groups: Sequence[dict[str, Any]],
    written: Sequence[list[FragmentMetadata]],
    what: str,
    rows: int,
) -> int:
    """Make a version in which new files stand in the place of old ones, under the lock."""
    import lance

    at = newest.files()
    exchanged = [
        lance.LanceOperation.RewriteGroup([at[name].metadata for name in group], files)
        for group, files in zip(groups, written, strict=True)
    ]
    names = [name for files in written for name in names_of(files)]
    return store.commit(lance.LanceOperation.Rewrite(exchanged, []), newest, what, rows, files=names)


def bad_identity(store: LanceStore) -> list[str]:
    """Which of the two records of what made the rows cannot be read, in words."""
    bad = []
    for path in store.identity_paths():
        try:
            read_record(path)
        except (DamagedArchiveError, OSError):
            bad.append(f"{path.name} is not as it was written")
    return bad


def _bad_versions(store: LanceStore) -> list[str]:
    """Seals and manifests that are not as they were written, and versions that were never acknowledged."""
    bad = []
    sealed = sealed_versions(store.seals_folder)
    for version in sealed:
        try:
            check_manifest(store.rows_folder, read_seal(store.seals_folder, version))
        except DamagedArchiveError as error:
            bad.append(f"version {version}: {error.subject}: {error.found}")
    return bad
