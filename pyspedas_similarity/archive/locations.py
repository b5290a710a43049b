"""Locations of an archive: the file operations that the store needs, for folders and object stores.

Names are paths relative to the archive, separated by '/'. Lance reads and writes the files below `ROWS` itself, at the
address `Place.rows`.
"""

from __future__ import annotations

import re
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from ..errors import ArgumentError
from .durable import Folder
from .objects import SCHEMES, Bucket

ROWS = "rows.lance"
DATA = f"{ROWS}/data"


class Place(Protocol):
    """Location of an archive; see the module.

    Attributes
    ----------
    address : str
        The location as shown to the user.
    rows : str
        Address of the Lance data set.
    options : dict of str or None
        Options that Lance needs for access; never logged.
    locks : bool
        True if locks exclude other writers reliably and are released when their holder ends; else versions are
        committed without a lock, see `OptimisticCommits`.
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
    """Return the location for a path or an address, without accessing it.

    Raises
    ------
    ArgumentError
        If it is neither a folder nor a supported address.
    """
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
