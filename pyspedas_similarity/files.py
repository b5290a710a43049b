"""Atomic writing of files."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from .errors import ArgumentError


def check_place(path: Any, endings: tuple[str, ...], overwrite: bool) -> Path:
    """Return the path of a file that is to be written with one of the endings, if any; raise ArgumentError if not."""
    if not isinstance(path, (str, Path)) or not str(path) or "\0" in str(path):
        raise ArgumentError("path", f"found {path!r:.80}", "Give the name of a file.")
    place = Path(path)
    if endings and place.suffix.lower() not in endings:
        raise ArgumentError(f"path {place}", f"found the ending {place.suffix!r}", f"Give one in {endings[0]}.")
    if not place.parent.is_dir():
        raise ArgumentError(f"path {place}", f"there is no folder {place.parent}", "Make it, or give another place.")
    try:
        there = place.exists()
    except OSError as error:  # a name that is too long
        raise ArgumentError(f"path {place}", f"it cannot be read ({error.strerror})", "Give another name.") from error
    if place.is_dir():
        raise ArgumentError(f"path {place}", "it is a folder", "Give the name of a file in it.")
    if there and not overwrite:
        raise _is_there(place)
    if not os.access(place.parent, os.W_OK):
        raise ArgumentError(f"path {place}", "its folder cannot be written", "Give another place.")
    return place


def replace_whole(path: Path, content: bytes) -> None:
    """Write a file whole and to the disk, or not at all; OSError if it cannot be written.

    Whatever interrupts this, an older file stays as it was until the new one is whole.
    """
    with _written(path, content) as temporary:
        os.replace(temporary, path)


def write_whole(path: Path, content: bytes, overwrite: bool) -> None:
    """Write a file that a caller named, as `replace_whole`.

    Raise ArgumentError if it cannot be written, or one came there meanwhile and `overwrite` is False.
    """
    try:
        with _written(path, content) as temporary:
            if overwrite:
                os.replace(temporary, path)
            else:
                _take_name(temporary, path)
    except OSError as error:
        raise ArgumentError(f"path {path}", f"it cannot be written ({error})", "Give another place.") from error


@contextmanager
def _written(path: Path, content: bytes) -> Iterator[Path]:
    """Write a temporary file next to a path and flush it to the disk; it is removed unless it was renamed."""
    temporary = path.parent / f".{path.name[:80]}.{os.getpid()}-{secrets.token_hex(4)}.tmp"
    try:
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        yield temporary
    finally:
        with suppress(OSError):
            temporary.unlink()


def _take_name(temporary: Path, path: Path) -> None:
    """Rename, but never over a file that is there."""
    try:
        os.link(temporary, path)
    except FileExistsError as error:
        raise _is_there(path) from error
    except OSError:  # a file system without hard links
        if path.exists():
            raise _is_there(path) from None
        os.replace(temporary, path)


def _is_there(path: Path) -> ArgumentError:
    remedy = "Give another name, or overwrite=True (in a shell: --overwrite)."
    return ArgumentError(f"path {path}", "it is there already", remedy)
