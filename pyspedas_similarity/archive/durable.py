"""An archive in a folder, and what makes its files stay: fsync of files and folders, locks that die with their holder.

A file is on the disk when it was fsynced, and can be found there when its folder was. Lance does neither, so that after
a loss of power a committed version may name files that are empty. Everything an archive acknowledges passes through
here first.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

from ..errors import ArchiveError, BusyArchiveError
from ..files import replace_whole


def sync(files: Iterable[Path]) -> None:
    """Bring files to the disk, then the folders they lie in."""
    folders = []
    for file in files:
        _fsync(file, os.O_RDWR)
        folders.append(file.parent)
    for folder in dict.fromkeys(folders):
        sync_folder(folder)


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk; Windows has no such call and needs none."""
    if os.name != "nt":
        _fsync(folder, os.O_RDONLY)


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, each known to the one above it when this returns."""
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for one in reversed(missing):
        sync_folder(one.parent)


class Folder:
    """A folder of this machine; see `Place`.

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
        """See `Place`; only under a lock."""
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

    def keep(self, *names: str) -> None:
        """See `Place`."""
        sync(self.folder / name for name in names)

    def exclusive(self, name: str, patience_s: float, doing: str) -> AbstractContextManager[None]:
        """See `Place`."""
        return lease(self.folder / "locks" / f"{name}.lock", patience_s, doing)


@contextmanager
def lease(path: Path, patience_s: float, doing: str) -> Iterator[None]:
    """Hold the lock of a file; the operating system releases it when the process ends.

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
        raise ArchiveError(str(path), f"it cannot be locked ({error})", "Check the disk and its rights.") from error
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
