"""Archives in a folder: durable writes by fsync of files and folders, and file locks.

A file is durable after fsync of the file and of its folder. Lance calls neither, so after a power failure a committed
version may refer to empty files. Every file of a version is therefore synced here before the version is acknowledged.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

from ..errors import ArchiveError, BusyArchiveError
from ..files import replace_whole


def sync(files: Iterable[Path]) -> None:
    """Sync files, then their folders, to disk."""
    folders = []
    for file in files:
        _fsync(file, os.O_RDWR)
        folders.append(file.parent)
    for folder in dict.fromkeys(folders):
        sync_folder(folder)


def sync_folder(folder: Path) -> None:
    """Sync the entries of a folder to disk; does nothing on Windows, which does not need it."""
    if os.name != "nt":
        _fsync(folder, os.O_RDONLY)


def make_folder(folder: Path) -> None:
    """Create a folder and its parents; their entries are durable on return."""
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for one in reversed(missing):
        sync_folder(one.parent)


class Folder:
    """Archive location in a local folder; see `Place`.

    Parameters
    ----------
    folder : Path
    """

    locks = True
    options = None

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.address = str(folder)
        self.rows = str(folder / "rows.lance")

    def names(self, folder: str, after: str = "") -> list[str]:
        """See `Place`."""
        try:
            return sorted(path.name for path in (self.folder / folder).iterdir() if path.name > after)
        except FileNotFoundError:
            return []

    def read(self, name: str) -> bytes:
        """See `Place`."""
        return (self.folder / name).read_bytes()

    def size(self, name: str) -> int:
        """See `Place`."""
        return (self.folder / name).stat().st_size

    def write(self, name: str, content: bytes) -> None:
        """See `Place`."""
        path = self.folder / name
        replace_whole(path, content)
        sync_folder(path.parent)

    def create(self, name: str, content: bytes) -> None:
        """See `Place`; call only under a lock."""
        if (self.folder / name).exists():
            raise FileExistsError(name)
        self.write(name, content)

    def remove(self, *names: str) -> None:
        """See `Place`."""
        for name in names:
            with suppress(FileNotFoundError):
                (self.folder / name).unlink()
        for folder in dict.fromkeys((self.folder / name).parent for name in names):
            sync_folder(folder)

    retire = remove

    def make_durable(self, *names: str) -> None:
        """See `Place`."""
        sync(self.folder / name for name in names)

    def exclusive(self, name: str, patience_s: float, doing: str) -> AbstractContextManager[None]:
        """See `Place`."""
        return file_lock(self.folder / "locks" / f"{name}.lock", patience_s, doing)


@contextmanager
def file_lock(path: Path, patience_s: float, doing: str) -> Iterator[None]:
    """Hold a file lock; the operating system releases it when the process ends.

    Raises
    ------
    BusyArchiveError
        If another process still holds it after `patience_s` seconds.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(path, timeout=patience_s)
    try:
        lock.acquire(poll_interval=0.005)
    except Timeout as error:
        found = f"another process has been {doing} for more than {patience_s:g} s"
        raise BusyArchiveError(str(path.parent.parent), found, "Wait until it is done, or end it.") from error
    except OSError as error:
        raise ArchiveError(
            str(path), f"it cannot be locked ({error})", "Check the disk and its permissions."
        ) from error
    try:
        yield
    finally:
        lock.release()


def _fsync(path: Path, flags: int) -> None:
    handle = os.open(path, flags)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
