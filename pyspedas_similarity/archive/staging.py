"""Files that many workers write and one commit joins.

    <archive>/staged/<job>/data/*.lance    written and on the disk, of no version yet
    <archive>/rows.lance/data/*.lance      where they are moved by the commit that takes them

They lie apart until then, so that what a killed worker left is known from what others are writing just now, and can be
removed as soon as its job is over.
"""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ArchiveError, DamagedArchiveError
from .appending import appending, writing
from .durable import Folder, make_folder, sync_folder
from .fragments import COLUMNS, HEAD, failures_of_lance, intact_heads, schema, to_arrow, whole_rows, write_file
from .locations import DATA
from .rows import Rows, check_rows, content_hashes
from .store import Appended, Staged

if TYPE_CHECKING:
    import pyarrow as pa

    from .lance_store import LanceStore

_JOB, _FILE = re.compile(r"[0-9a-f]{8,64}"), re.compile(r"[0-9A-Za-z_-]{1,100}\.lance")
_BATCH = 2048
# A job is over after a week without changes: Lance waits as long before it removes files of no version.
_FORGOTTEN_S = 7 * 86400.0


def job_folder(archive: Path, job: str) -> Path:
    """Return the folder of a job; ArchiveError if the name is not valid."""
    if not isinstance(job, str) or not _JOB.fullmatch(job):
        raise ArchiveError("job", f"found {job!r:.80}", "Give 8 to 64 hexadecimal digits.")
    return archive / "staged" / job


def _folder_of(store: LanceStore) -> Path:
    """The folder of an archive, in which files can be moved; ArchiveError where it is in an object store."""
    if not isinstance(store.place, Folder):
        found = "nothing is staged in an object store, where no file can be moved"
        raise ArchiveError(store.place.address, found, "Let each worker add to it: writers need no lock there.")
    return store.place.folder


def stage(store: LanceStore, rows: Rows, job: str) -> Staged:
    """See `Store.stage`."""
    check_rows(rows, store.identity)
    folder = job_folder(_folder_of(store), job)
    with writing(store.place):
        make_folder(folder / "data")
        name, size = write_file(folder, to_arrow(rows, content_hashes(rows, store.identity), store.identity))
    return Staged(job, name, len(rows), size)


def adopt(store: LanceStore, staged: Sequence[Staged]) -> Appended:
    """See `Store.adopt`."""
    _check_told(staged)
    there = set(store.snapshot().files())
    # Moved already: this was done before, and only the answer did not arrive.
    waiting = [one for one in staged if one.file not in there or _path(store, one).exists()]
    skipped = sum(one.rows for one in staged) - sum(one.rows for one in waiting)
    ids = [_checked_ids(store, one) for one in waiting]
    added, version, known = 0, store.latest(), []
    if waiting:
        with store.committing():
            known = _with_known_rows(store, ids)
            clean = [one for one, doubled in zip(waiting, known, strict=True) if not doubled]
            if clean:
                added = sum(one.rows for one in clean)
                version = _commit(store, clean)
    # Rare, and then only the rows that are new are written again.
    for one in (one for one, doubled in zip(waiting, known, strict=True) if doubled):
        appended = store.append(_rows(store, one))
        version, added, skipped = appended.version, added + appended.added, skipped + appended.skipped
        with suppress(OSError):
            _path(store, one).unlink()
    return Appended(version, added, skipped)


def unstage(store: LanceStore, job: str) -> None:
    """See `Store.unstage`."""
    clear(_folder_of(store), job)


def clear(archive: Path, job: str) -> None:
    """Remove the files of a job, and those of jobs without changes for a week."""
    shutil.rmtree(job_folder(archive, job), ignore_errors=True)
    with suppress(FileNotFoundError):
        for folder in (archive / "staged").iterdir():
            if _JOB.fullmatch(folder.name) and time.time() - _touched(folder) > _FORGOTTEN_S:
                shutil.rmtree(folder, ignore_errors=True)
    with suppress(OSError):  # others may be there
        (archive / "staged").rmdir()


def _touched(folder: Path) -> float:
    """Return the last change of a job's folder, in seconds since 1970; now if it is being deleted."""
    times = []
    for path in (folder, folder / "data"):
        with suppress(FileNotFoundError):
            times.append(path.stat().st_mtime)
    return max(times, default=time.time())


def _check_told(staged: Sequence[Staged]) -> None:
    """Refuse values that no worker can have returned, before any is used as a path."""
    for one in staged:
        texts = isinstance(one.job, str) and isinstance(one.file, str)
        numbers = all(type(number) is int and number > 0 for number in (one.rows, one.size))
        if not (texts and numbers and _JOB.fullmatch(one.job) and _FILE.fullmatch(one.file)):
            raise _wrong(one, "this is no staged file")
    if len({one.file for one in staged}) < len(staged):
        raise _wrong(staged[0], "a file is named twice")


def _wrong(one: Staged, found: str) -> DamagedArchiveError:
    return DamagedArchiveError(f"staged {one.file!r:.80}", found, "Add its data again.")


def _path(store: LanceStore, one: Staged) -> Path:
    return job_folder(_folder_of(store), one.job) / "data" / one.file


def _checked_ids(store: LanceStore, one: Staged) -> np.ndarray:
    """Return content hashes of the rows of a file that matches its description and has sound metadata."""
    path = _path(store, one)
    if path.is_symlink() or not path.is_file():
        raise _wrong(one, "it is gone")
    if path.stat().st_size != one.size:
        raise _wrong(one, f"it has {path.stat().st_size} bytes, not {one.size}")
    with failures_of_lance(_wrong(one, "it cannot be read")):
        ids = [intact_heads(batch, store.identity) for batch in _batches(store, one, HEAD)]
    found = np.concatenate([np.zeros(0, "S16"), *ids])
    if len(found) != one.rows:
        raise _wrong(one, f"it holds {len(found)} intact rows of this archive, not {one.rows}")
    return found


def _batches(store: LanceStore, one: Staged, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    from lance.file import LanceFileReader

    reader = LanceFileReader(str(_path(store, one)), columns=list(columns))
    layouts = reader.metadata().schema, schema(store.identity.dimension)
    # Lance does not keep that the numbers of an embedding are never null.
    here, wanted = ([(field.name, str(field.type).replace(" not null", "")) for field in one] for one in layouts)
    if here != wanted:
        raise _wrong(one, "it has other columns than the archive")
    yield from reader.read_all(batch_size=_BATCH, batch_readahead=1).to_batches()


def _rows(store: LanceStore, one: Staged) -> Rows:
    """All rows of a staged file; DamagedArchiveError if one of them is not as it was written."""
    parts = []
    with failures_of_lance(_wrong(one, "it cannot be read")):
        for batch in _batches(store, one, COLUMNS):
            intact, rows = whole_rows(batch, store.identity)
            if not intact.all():
                raise _wrong(one, f"{int((~intact).sum())} of its rows are damaged")
            parts.append(rows)
    return Rows.joined(parts)


def _with_known_rows(store: LanceStore, ids: Sequence[np.ndarray]) -> list[bool]:
    """Return which files hold a row that is in the archive, in an earlier file, or twice in the file."""
    joined = np.concatenate(ids)
    doubled = np.ones(len(joined), bool)
    doubled[np.unique(joined, return_index=True)[1]] = False
    doubled |= store.is_known(joined)
    ends = np.cumsum([len(one) for one in ids])
    return [bool(part.any()) for part in np.split(doubled, ends[:-1])]


def _commit(store: LanceStore, clean: Sequence[Staged]) -> int:
    """Make the version that holds these files as well, under the lock; its number."""
    with _moved(store, clean), writing(store.place):
        newest = store.snapshot()
        return store.make(appending(store.fragments_of([one.file for one in clean]), newest), newest)


@contextmanager
def _moved(store: LanceStore, staged: Sequence[Staged]) -> Iterator[None]:
    """Files of a job among those of the archive; back again where the commit fails, so that it can be tried again."""
    data, done = store.place.folder / DATA, []
    try:
        for one in staged:
            _path(store, one).rename(data / one.file)
            done.append(one)
        sync_folder(data)
        yield
    except BaseException as error:
        for one in done:
            with suppress(OSError):
                (data / one.file).rename(_path(store, one))
        if isinstance(error, OSError):
            found = f"staged files cannot be moved ({error})"
            raise ArchiveError(store.place.address, found, "Check the disk and its rights.") from error
        raise


def as_told(record: Mapping[str, Any]) -> Staged:
    """Read the plain values that a worker returned; `adopt` checks them.

    Raises
    ------
    DamagedArchiveError
        If these are not the fields of one.
    """
    try:
        return Staged(**record)
    except TypeError as error:
        raise DamagedArchiveError("a staged file", f"found {record!r:.80}", "Add its data again.") from error
