"""Locations of an archive: the file operations that the store needs, for folders and object stores.

Names are paths relative to the archive, separated by '/'. Lance reads and writes the files below `ROWS` itself, at the
address `Place.rows`. A file is durable after fsync of the file and of its folder. Lance calls neither, so after a power
failure a committed version may refer to empty files. Every file of a version is therefore synced here before the
version is acknowledged.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Protocol

from ..errors import ArchiveError, ArgumentError, BusyArchiveError
from ..files import replace_whole
from .objects import SCHEMES, Bucket

ROWS = "rows.lance"
DATA = f"{ROWS}/data"
REPAIR = "Run pyspedas-similarity archive repair."


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
    """Archive location in a local folder; see `Place`."""

    locks = True
    options = None

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.address = str(folder)
        self.rows = str(folder / ROWS)

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
    """Hold a file lock, released when the process ends; BusyArchiveError if it is held longer than `patience_s`."""
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


class Place(Protocol):
    """Location of an archive; see the module.

    `address` is shown to the user, `rows` is that of the Lance data set. `options`, which Lance needs for access, are
    never logged. Where `locks` is False, no lock excludes other writers reliably; see `OptimisticCommits`.
    """

    address: str
    rows: str
    options: dict[str, str] | None
    locks: bool

    def names(self, folder: str, after: str = "") -> list[str]:
        """Return the sorted names of the files in a folder that follow `after`; [] if the folder does not exist."""

    def read(self, name: str) -> bytes:
        """Read a file; FileNotFoundError if it does not exist."""

    def size(self, name: str) -> int:
        """Return the size of a file in bytes; FileNotFoundError if it does not exist."""

    def write(self, name: str, content: bytes) -> None:
        """Write a file atomically; durable on return."""

    def create(self, name: str, content: bytes) -> None:
        """Write a new file atomically; FileExistsError if it exists or was retired."""

    def remove(self, *names: str) -> None:
        """Remove files in the given order; missing files are ignored."""

    def retire(self, *names: str) -> None:
        """Remove files; if `locks` is False, their names stay reserved."""

    def make_durable(self, *names: str) -> None:
        """Make files written by Lance durable."""

    def exclusive(self, name: str, patience_s: float, doing: str) -> AbstractContextManager[None]:
        """Hold a named lock; BusyArchiveError if another process still holds it after `patience_s` seconds."""


def place_of(where: Place | str | Path, options: dict[str, str] | None = None) -> Place:
    """Return the location for a path or an address, without accessing it; ArgumentError if it is neither."""
    if not isinstance(where, (str, Path)):
        if hasattr(where, "address"):
            return where
        raise ArgumentError("archive", f"found {where!r}", "Give a folder, or the address of an object store.")
    text = str(where)
    if isinstance(where, Path) and re.match(r"(?!file\b)[a-z][a-z0-9+]+:[/\\]", text):
        raise ArgumentError("archive", f"{text} is an address as a Path, which changes it", "Give it as a str.")
    scheme, mark, _ = text.partition("://")
    if mark and scheme in SCHEMES:
        return Bucket(text, options or {})
    if mark or "\0" in text or not text:
        found = f"{scheme}:// addresses are not supported" if mark else f"found {text!r}"
        served = ", ".join(f"{one}://" for one in SCHEMES)
        raise ArgumentError("archive", found, f"Give a folder, or an address of an object store: {served}.")
    if options:
        raise ArgumentError("storage_options", "a folder takes none", "Omit them.")
    folder = Path(where).expanduser()
    if folder.exists() and not folder.is_dir():
        raise ArgumentError("archive", f"{folder} is a file", "Give a folder.")
    return Folder(folder)
