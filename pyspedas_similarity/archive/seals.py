"""Seals: one small record for each acknowledged version, by which a version is known to be whole.

    <archive>/archive.json              what made its rows, and a copy of it
    <archive>/seals/0000...0042.json    version 42 was acknowledged; hash of its manifest, files it added
    <archive>/rows.lance/               the rows: a Lance data set
    <archive>/locks/                    held while a version is committed, or during maintenance

A Lance manifest says which files make up a version and has no checksum; one bit in it can take rows away without a
word. The seal holds its hash. A version without a seal was never acknowledged: readers do not see it, and the next
writer, who holds the lock and so knows that its maker is gone, removes it.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np

from ..errors import ArchiveError, DamagedArchiveError
from .durable import read_record, write_record
from .store import Version

_REPAIR = "Run pyspedas-similarity archive repair."
# No path: a seal names files of this archive only.
_FILE = re.compile(r"\w[\w.-]*")
_LAST_VERSION = 2**64 - 1


@dataclass(frozen=True)
class Seal:
    """What is known of an acknowledged version.

    Attributes
    ----------
    version : int
    made : str
        UTC.
    what : str
        As in `Version`.
    rows, added : int
    files : tuple of str
        Data files that this version added.
    manifest : str
        SHA-256 of its manifest.
    identity : str
        Hash of the archive's identity.
    origin : int
        Of a restored version, which it was; else 0.
    """

    version: int
    made: str
    what: str
    rows: int
    added: int
    files: tuple[str, ...]
    manifest: str
    identity: str
    origin: int = 0

    def check(self) -> None:
        """TypeError or ValueError if a field is not what it is called; the checksum only tells who wrote it whole."""
        for one in fields(self):
            if type(getattr(self, one.name)) is not {"str": str, "int": int}.get(str(one.type), tuple):
                raise TypeError(f"{one.name} is {getattr(self, one.name)!r:.40}")
        for name in self.files:
            if not isinstance(name, str) or not _FILE.fullmatch(name):
                raise ValueError(f"a file is called {name!r:.40}")
        np.datetime64(self.made, "ns")

    @property
    def told(self) -> Version:
        """As shown to the user."""
        return Version(self.version, np.datetime64(self.made, "ns"), self.what, self.rows, self.added)


def sealed_versions(folder: Path) -> list[int]:
    """Numbers of all acknowledged versions, ascending; [] where there is no such folder."""
    try:
        names = [path.name for path in folder.iterdir()]
    except FileNotFoundError:
        return []
    return sorted(int(name[:-5]) for name in names if name.endswith(".json") and name[:-5].isdecimal())


def seal_path(folder: Path, version: int) -> Path:
    """Where the seal of a version lies."""
    return folder / f"{version:020d}.json"


def write_seal(folder: Path, seal: Seal) -> None:
    """Acknowledge a version; on the disk when this returns."""
    write_record(seal_path(folder, seal.version), asdict(seal))


def read_seal(folder: Path, version: int) -> Seal:
    """The seal of a version.

    Raises
    ------
    ArchiveError
        If there is no such version.
    DamagedArchiveError
        If it is not as it was written.
    """
    path = seal_path(folder, version)
    try:
        record = read_record(path)
    except FileNotFoundError as error:
        known = sealed_versions(folder)
        found = f"there is no version {version}; there are {len(known)}, the newest is {max(known, default=0)}"
        raise ArchiveError(str(folder.parent), found, "See pyspedas-similarity archive info.") from error
    try:
        seal = Seal(**{**record, "files": tuple(record["files"])})
        seal.check()
    except (TypeError, KeyError, ValueError) as error:
        raise DamagedArchiveError(str(path), f"it is no seal ({error})", _REPAIR) from error
    return seal


def manifest_path(rows: Path, version: int) -> Path:
    """Where Lance keeps the manifest of a version: numbers that descend, so that the newest is listed first."""
    return rows / "_versions" / f"{_LAST_VERSION - version:020d}.manifest"


def manifest_versions(rows: Path) -> list[int]:
    """Numbers of all versions that have a manifest, ascending, sealed or not."""
    names = [path.name for path in (rows / "_versions").glob("*.manifest")]
    return sorted(_LAST_VERSION - int(name[:-9]) for name in names if name[:-9].isdecimal())


def manifest_hash(rows: Path, version: int) -> str:
    """SHA-256 of a manifest; DamagedArchiveError if it is gone."""
    path = manifest_path(rows, version)
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise DamagedArchiveError(str(path), f"it cannot be read ({error})", _REPAIR) from error


def check_manifest(rows: Path, seal: Seal) -> None:
    """DamagedArchiveError if the manifest of a version is not the one that was sealed."""
    if manifest_hash(rows, seal.version) != seal.manifest:
        path = str(manifest_path(rows, seal.version))
        raise DamagedArchiveError(path, f"the list of files of version {seal.version} is not as written", _REPAIR)
