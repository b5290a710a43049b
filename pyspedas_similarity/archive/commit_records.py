"""Records: JSON with a SHA-256; a commit record of each acknowledged version holds the hash of its manifest.

    <archive>/archive.json              identity of the archive; archive.copy.json is its backup copy
    <archive>/seals/0000...0042.json    commit record of version 42: hash of its manifest, data files it added
    <archive>/rows.lance/               rows: a Lance data set
    <archive>/locks/                    locks for commits and for maintenance

A Lance manifest lists the data files of a version and has no checksum, so a flipped bit in it can remove rows without
an error. The commit record holds its hash. A version without a commit record was not acknowledged: readers ignore it,
and the next writer completes or removes it (see `commits`).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from ..errors import ArchiveError, DamagedArchiveError
from .locations import REPAIR, ROWS, Place
from .store import Version


def to_bytes(record: Mapping[str, Any]) -> bytes:
    """Return the serialized record: JSON followed by its SHA-256."""
    text = json.dumps(record, sort_keys=True, indent=1).encode()
    return text + b"\n" + hashlib.sha256(text).hexdigest().encode() + b"\n"


def write_record(place: Place, name: str, record: Mapping[str, Any]) -> None:
    """Write a record atomically; durable on return."""
    place.write(name, to_bytes(record))


def read_record(place: Place, name: str) -> dict[str, Any]:
    """Read a record and verify its checksum; DamagedArchiveError if it is damaged."""
    where = f"{place.address}/{name}"
    damaged = DamagedArchiveError(where, "it is damaged", REPAIR)
    raw = place.read(name)
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


# File names without a folder: a commit record may only refer to files of this archive.
_FILE = re.compile(r"\w[\w.-]*")
_LAST_VERSION = 2**64 - 1


@dataclass(frozen=True)
class CommitRecord:
    """Commit record of an acknowledged version.

    `what` is as in `Version`; `files` are the data files that this version added; `manifest` and `identity`
    are hashes; `origin` is the number of the version that was restored, else 0.
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
        """Check the types of the fields; raises TypeError or ValueError."""
        for one in fields(self):
            if type(getattr(self, one.name)) is not {"str": str, "int": int}.get(str(one.type), tuple):
                raise TypeError(f"{one.name} is {getattr(self, one.name)!r:.40}")
        for name in self.files:
            if not isinstance(name, str) or not _FILE.fullmatch(name):
                raise ValueError(f"a file is called {name!r:.40}")
        np.datetime64(self.made, "ns")

    @property
    def version_info(self) -> Version:
        """Version as shown to users."""
        return Version(self.version, np.datetime64(self.made, "ns"), self.what, self.rows, self.added)


def committed_versions(place: Place, after: int = -1) -> list[int]:
    """Return the numbers of all acknowledged versions after a given one, ascending."""
    names = place.names("seals", commit_record_name(after).rpartition("/")[2] if after >= 0 else "")
    return sorted(int(name[:-5]) for name in names if name.endswith(".json") and name[:-5].isdecimal())


def newest_committed(place: Place, since: int = 0) -> int:
    """Return the newest acknowledged version, 0 for none; faster if `since` is a known acknowledged version."""
    found = (since and committed_versions(place, since - 1)) or committed_versions(place)
    return max(found, default=0)


def commit_record_name(version: int) -> str:
    """Return the path of the commit record of a version."""
    return f"seals/{version:020d}.json"


def write_commit_record(place: Place, commit: CommitRecord) -> None:
    """Write or replace the commit record of a version; durable on return."""
    write_record(place, commit_record_name(commit.version), asdict(commit))


def create_commit_record(place: Place, commit: CommitRecord) -> None:
    """Create the commit record of a version; FileExistsError if it exists."""
    place.create(commit_record_name(commit.version), to_bytes(asdict(commit)))


def read_commit_record(place: Place, version: int) -> CommitRecord:
    """Read the commit record of a version; ArchiveError if there is no such version, or the record is damaged."""
    name = commit_record_name(version)
    try:
        record = read_record(place, name)
    except FileNotFoundError as error:
        known = committed_versions(place)
        found = f"there is no version {version}; there are {len(known)}, the newest is {max(known, default=0)}"
        raise ArchiveError(place.address, found, "See pyspedas-similarity archive info.") from error
    try:
        commit = CommitRecord(**{**record, "files": tuple(record["files"])})
        commit.check()
    except (TypeError, KeyError, ValueError) as error:
        raise DamagedArchiveError(f"{place.address}/{name}", f"it is not a commit record ({error})", REPAIR) from error
    return commit


def manifest_name(version: int) -> str:
    """Return the path of the Lance manifest of a version; names descend, so that the newest is listed first."""
    return f"{ROWS}/_versions/{_LAST_VERSION - version:020d}.manifest"


def manifest_versions(place: Place) -> list[int]:
    """Return the numbers of all versions with a manifest, ascending, with or without a commit record."""
    names = [name for name in place.names(f"{ROWS}/_versions") if name.endswith(".manifest")]
    return sorted(_LAST_VERSION - int(name[:-9]) for name in names if name[:-9].isdecimal())


def manifest_hash(place: Place, version: int) -> str:
    """Return the SHA-256 of a manifest; DamagedArchiveError if it cannot be read."""
    name = manifest_name(version)
    try:
        return hashlib.sha256(place.read(name)).hexdigest()
    except OSError as error:
        raise DamagedArchiveError(f"{place.address}/{name}", f"it cannot be read ({error})", REPAIR) from error


def check_manifest(place: Place, commit: CommitRecord) -> None:
    """Raise DamagedArchiveError if the manifest of a version does not match its commit record."""
    if manifest_hash(place, commit.version) != commit.manifest:
        where = f"{place.address}/{manifest_name(commit.version)}"
        raise DamagedArchiveError(where, f"the manifest of version {commit.version} is damaged (wrong hash)", REPAIR)
