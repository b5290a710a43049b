"""Locations of an archive: the file operations that the store needs, for folders and object stores.

Names are texts with '/' between their parts, relative to the archive. What Lance keeps is below `ROWS`; Lance reads and
writes that itself, by the address `Place.rows`.
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
        Of the Lance data set.
    options : dict of str or None
        Options that Lance needs for access; never logged.
    locks : bool
        Whether a lock keeps other writers out for sure and dies with its holder. Where not, versions are made without
        one: see `RacingCommits`.
    """

    address: str
    rows: str
    options: dict[str, str] | None
    locks: bool

    def names(self, folder: str, after: str = "") -> list[str]:
        """Names of what lies right in a folder, those after a name; [] where there is no such folder."""

    def read(self, name: str) -> bytes:
        """Read a file; FileNotFoundError if there is none."""

    def size(self, name: str) -> int:
        """Its bytes; FileNotFoundError where there is none."""

    def write(self, name: str, content: bytes) -> None:
        """Write a file whole or not at all; it outlasts a loss of power when this returns."""

    def create(self, name: str, content: bytes) -> None:
        """Write a new file; FileExistsError if it exists, or was retired."""

    def remove(self, *names: str) -> None:
        """Remove files that may be there or not, one after the other."""

    def retire(self, *names: str) -> None:
        """Delete files; where versions are made without a lock, they cannot be created again."""

    def keep(self, *names: str) -> None:
        """Make files that Lance wrote outlast a loss of power."""

    def exclusive(self, name: str, patience_s: float, doing: str) -> AbstractContextManager[None]:
        """Hold a named lock; BusyArchiveError if another process still holds it after `patience_s` seconds."""


def place_of(where: Place | str | Path, options: dict[str, str] | None = None) -> Place:
    """The place that a path or an address means; nothing is contacted.

    Raises
    ------
    ArgumentError
        If it is no folder and no address that is served.
    """
    if not isinstance(where, (str, Path)):
        return where
    text = str(where)
    if isinstance(where, Path) and re.match(r"(?!file\b)[a-z][a-z0-9+]+:[/\\]", text):
        raise ArgumentError("archive", f"{text} is an address as a Path, which changes it", "Give it as text.")
    scheme, mark, _ = text.partition("://")
    if mark and scheme in SCHEMES:
        return Bucket(text, options or {})
    if mark or "\0" in text or not text:
        found = f"{scheme}:// addresses are not served" if mark else f"found {text!r}"
        served = ", ".join(f"{one}://" for one in SCHEMES)
        raise ArgumentError("archive", found, f"Give a folder, or an address of an object store: {served}.")
    if options:
        raise ArgumentError("storage_options", "a folder takes none", "Leave them out.")
    folder = Path(where).expanduser()
    if folder.exists() and not folder.is_dir():
        raise ArgumentError("archive", f"{folder} is a file", "Give a folder.")
    return Folder(folder)
