"""Seals: one small record for each acknowledged version, by which a version is known to be whole.

    <archive>/archive.json              what made its rows, and a copy of it
    <archive>/seals/0000...0042.json    version 42 was acknowledged; hash of its manifest, files it added
    <archive>/rows.lance/               the rows: a Lance data set
    <archive>/locks/                    held while a version is committed, or during maintenance

A Lance manifest lists the files of a version and has no checksum; one wrong bit in it can remove rows without a
word. The seal holds its hash. A version without a seal was never acknowledged: readers do not see it, and the next
writer decides about it (see `commits`).
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import asdict, dataclass, fields

import numpy as np

from ..errors import ArchiveError, DamagedArchiveError
from .locations import ROWS, Place
from .records import read_record, to_bytes, write_record
from .store import Version

_REPAIR = "Run pyspedas-similarity archive repair."
# No path: a seal names files of this archive only.
_FILE = re.compile(r"\w[\w.-]*")
_LAST_VERSION = 2**64 - 1


@dataclass(frozen=True)
class Seal:
    """Seal of an acknowledged version.

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
        """Check types of fields (TypeError, ValueError); the checksum shows only that the record is complete."""
        for one in fields(self):
            if type(getattr(self, one.name)) is not {"str": str, "int": int}.get(str(one.type), tuple):
                raise TypeError(f"{one.name} is {getattr(self, one.name)!r:.40}")
        for name in self.files:
            if not isinstance(name, str) or not _FILE.fullmatch(name):
                raise ValueError(f"a file is called {name!r:.40}")
        np.datetime64(self.made, "ns")

    @property
    def version_info(self) -> Version:
        """Return the version as shown to users."""
        return Version(self.version, np.datetime64(self.made, "ns"), self.what, self.rows, self.added)


def sealed_versions(place: Place, after: int = -1) -> list[int]:
    """Numbers of all acknowledged versions after a number, ascending; [] where there are none."""
    names = place.names("seals", seal_name(after).rpartition("/")[2] if after >= 0 else "")
    return sorted(int(name[:-5]) for name in names if name.endswith(".json") and name[:-5].isdecimal())


def newest_sealed(place: Place, since: int = 0) -> int:
    """Number of the newest acknowledged version, 0 for none; quicker where it is known that one was `since`."""
    found = (since and sealed_versions(place, since - 1)) or sealed_versions(place)
    return max(found, default=0)


def seal_name(version: int) -> str:
    """Return the path of the seal of a version."""
    return f"seals/{version:020d}.json"


def write_seal(place: Place, seal: Seal) -> None:
    """Acknowledge a version, or do so again; it lasts when this returns."""
    write_record(place, seal_name(seal.version), asdict(seal))


def create_seal(place: Place, seal: Seal) -> None:
    """Acknowledge a version; FileExistsError if it is acknowledged already."""
    place.create(seal_name(seal.version), to_bytes(asdict(seal)))


def read_seal(place: Place, version: int) -> Seal:
    """The seal of a version.

    Raises
    ------
    ArchiveError
        If there is no such version.
    DamagedArchiveError
        If it is not as it was written.
    """
    name = seal_name(version)
    try:
        record = read_record(place, name)
    except FileNotFoundError as error:
        known = sealed_versions(place)
        found = f"there is no version {version}; there are {len(known)}, the newest is {max(known, default=0)}"
        raise ArchiveError(place.address, found, "See pyspedas-similarity archive info.") from error
    try:
        seal = Seal(**{**record, "files": tuple(record["files"])})
        seal.check()
    except (TypeError, KeyError, ValueError) as error:
        raise DamagedArchiveError(f"{place.address}/{name}", f"it is no seal ({error})", _REPAIR) from error
    return seal


def manifest_name(version: int) -> str:
    """Return the path of Lance's manifest of a version: descending numbers, so that the newest is listed first."""
    return f"{ROWS}/_versions/{_LAST_VERSION - version:020d}.manifest"


def manifest_versions(place: Place) -> list[int]:
    """Numbers of all versions that have a manifest, ascending, sealed or not."""
    names = [name for name in place.names(f"{ROWS}/_versions") if name.endswith(".manifest")]
    return sorted(_LAST_VERSION - int(name[:-9]) for name in names if name[:-9].isdecimal())


def manifest_hash(place: Place, version: int) -> str:
    """SHA-256 of a manifest; DamagedArchiveError if it is gone."""
    name = manifest_name(version)
    try:
        return hashlib.sha256(place.read(name)).hexdigest()
    except OSError as error:
        raise DamagedArchiveError(f"{place.address}/{name}", f"it cannot be read ({error})", _REPAIR) from error


def check_manifest(place: Place, seal: Seal) -> None:
    """DamagedArchiveError if the manifest of a version is not the one that was sealed."""
    if manifest_hash(place, seal.version) != seal.manifest:
        where = f"{place.address}/{manifest_name(seal.version)}"
        raise DamagedArchiveError(where, f"the list of files of version {seal.version} is not as written", _REPAIR)
