"""What makes written files stay: fsync of files and folders, records with a checksum, locks that die with their holder.

A file is on the disk when it was fsynced, and can be found there when its folder was. Lance does neither, so that after
a loss of power a committed version may name files that are empty. Everything an archive acknowledges passes through
here first.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ..errors import ArchiveError, BusyArchiveError, DamagedArchiveError


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


def write_record(path: Path, record: Mapping[str, Any]) -> None:
    """Write plain values as JSON with a checksum: whole and on the disk when this returns, or not at all."""
    text = json.dumps(record, sort_keys=True, indent=1).encode()
    body = text + b"\n" + hashlib.sha256(text).hexdigest().encode() + b"\n"
    temporary = path.parent / f".tmp{os.getpid()}-{secrets.token_hex(4)}"
    try:
        with temporary.open("xb") as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError:
        with suppress(OSError):
            temporary.unlink()
        raise
    sync_folder(path.parent)


def read_record(path: Path) -> dict[str, Any]:
    """What `write_record` wrote.

    Raises
    ------
    DamagedArchiveError
        If one bit of it is different.
    FileNotFoundError
        If there is none.
    """
    damaged = DamagedArchiveError(str(path), "it is not as it was written", "Run pyspedas-similarity archive repair.")
    raw = path.read_bytes()
    text, _, rest = raw.rpartition(b"\n")[0].rpartition(b"\n")
    if len(raw) != len(text) + len(rest) + 2 or hashlib.sha256(text).hexdigest().encode() != rest:
        raise damaged
    try:
        record = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise damaged from error
    if not isinstance(record, dict):
        raise damaged
    return record


@contextmanager
def lease(path: Path, patience_s: float, doing: str) -> Iterator[None]:
    """Hold the lock of a file; the operating system takes it back when the process ends, however it ends.

    Raises
    ------
    BusyArchiveError
        If somebody else still holds it after `patience_s` seconds.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(path, timeout=patience_s, poll_interval=0.005)
    try:
        lock.acquire()
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
