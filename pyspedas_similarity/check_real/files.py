"""Download of the pinned files, and their SHA-256: recorded at first use, compared afterwards."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import ArgumentError, LoadError
from ..files import replace_whole
from ..instruments import mms_fpi, themis_asi
from ..times import to_interval
from .plans import AuroraPlan, ElectronPlan

RECORD = "check_real_sha256.json"
NEW, SAME, CHANGED = "recorded now", "as recorded", "changed"


@dataclass(frozen=True)
class CheckedFile:
    """A file that the check reads.

    Attributes
    ----------
    name : str
        Path below the folder of the data.
    sha256 : str
    megabytes : float
    state : str
        `NEW`, `SAME` or `CHANGED`.
    """

    name: str
    sha256: str
    megabytes: float
    state: str


def fetch_electrons(plan: ElectronPlan, no_update: bool = False) -> list[Path]:
    """Download what is missing of distributions, moments and magnetic field; return the paths of all.

    Raises
    ------
    LoadError
        If a file cannot be had.
    """
    options = {"probe": plan.probe, "no_update": no_update}
    return [path for trange in plan.tranges for path in mms_fpi.files("des", trange, **options)]


def fetch_aurora(plan: AuroraPlan, no_update: bool = False) -> list[Path]:
    """Download what is missing of the frames; return the paths of all.

    Raises
    ------
    LoadError
        If a file cannot be had.
    """
    found = []
    start, end = to_interval(plan.trange)
    hours = int(np.ceil((end - start) / np.timedelta64(1, "h")))
    for site in plan.sites:
        request = themis_asi.Request.read(plan.trange, site, no_update=no_update)
        paths = themis_asi.files(request)
        if len(paths) < hours:
            found_text = f"{len(paths)} of {hours} files are there"
            raise LoadError(str(request), found_text, "Try again later, or with another --folder.")
        found += map(Path, paths)
    return found


def checked_files(root: Path, paths: Iterable[Path]) -> list[CheckedFile]:
    """Compare files with the record in the folder of the data; record those that are new.

    Parameters
    ----------
    root : Path
        Folder of the data, which holds the record.
    paths : iterable of Path

    Raises
    ------
    ArgumentError
        If the record cannot be read or written.
    """
    record = root / RECORD
    known, checked = _read(record), []
    for path in dict.fromkeys(paths):
        name = path.relative_to(root).as_posix()
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        state = NEW if name not in known else SAME if known[name] == digest else CHANGED
        checked.append(CheckedFile(name, digest, path.stat().st_size / 1e6, state))
    new = {one.name: one.sha256 for one in checked if one.state == NEW}
    if new:
        try:
            replace_whole(record, json.dumps(known | new, indent=1, sort_keys=True).encode())
        except OSError as error:
            raise ArgumentError(str(record), f"it cannot be written ({error})", "Give another --folder.") from error
    return checked


def _read(record: Path) -> dict[str, str]:
    if not record.exists():
        return {}
    remedy = "Delete it to record all files anew."
    try:
        known = json.loads(record.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ArgumentError(str(record), f"it cannot be read ({error})", remedy) from error
    if not isinstance(known, dict) or not all(isinstance(one, str) for one in known.values()):
        raise ArgumentError(str(record), "it is no record of files", remedy)
    return known
