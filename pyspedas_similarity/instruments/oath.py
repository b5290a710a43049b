"""Oslo Auroral THEMIS (OATH) pictures as they are distributed, one variable for each station.

    <folder>/images/cropped_scaled/00001.png               or below images/, or in the folder itself
    <folder>/classifications/classifications.csv           license, dashes, class2,class6,picNum,picType,rotAng
    <folder>/images/files_origin.csv                       station and time of each picture

Clausen and Nickisch 2018, doi 10.1029/2018JA025274; tid.uio.no/plasma/oath shows the folders. Frames are cropped by 15
percent, so that the low elevations outside the circle of the recipe are not in them. They are not rotated: ``rotAng``
is a random angle by which the script ``rotate.sh`` of the data set makes rotated copies in another folder, which are
not read here. Of pictures in color the green channel is taken.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from .. import tplot
from ..errors import ArgumentError, LoadError
from ..times import to_interval
from .image_files import read_columns, time_in_text
from .images import ImageRequest, LeftOut, TimedFile, pieces_of, read_segments, read_variable
from .segments import Piece, Segment

CLASSES = ("arc", "diffuse", "discrete", "cloudy", "moon", "noaurora")
"""Names of ``class6``, 0 to 5."""

_IMAGES = ("images/cropped_scaled", "images", "")
_CLASS_FILES = tuple(
    f"{place}{name}.csv" for name in ("classifications", "classification") for place in (f"{name}/", "")
)
_ORIGIN_FILES = ("images/files_origin.csv", "files_origin.csv")
_NUMBER = ("picnum", "picture", "pic", "number", "num", "image", "file", "filename", "name")
_CLASS_COLUMNS = {"picture": _NUMBER, "class6": ("class6",), "class2": ("class2",), "label": ("pictype",)}
_CLASS_COLUMNS |= {"rotation": ("rotang",)}
# The names of the columns are not documented; these are plausible, others are refused with a sentence that names them.
_ORIGIN_COLUMNS = {
    "picture": _NUMBER,
    "station": ("station", "stationcode", "site", "siteuid", "stat", "code", "location", "loc"),
    "time": ("time", "datetime", "timestamp", "utc", "ut", "timeutc", "datetimeutc"),
    "date": ("date", "day"),
}


@dataclass(frozen=True)
class Picture:
    """One picture: file, station, time, label of its class, number of it among 6 and 2 (-1 if unknown), rotation."""

    number: int
    path: Path
    station: str
    time: np.datetime64
    label: str = ""
    class6: int = -1
    class2: int = -1
    rotation: float = np.nan


def read_pictures(path: Any) -> tuple[list[Picture], LeftOut]:
    """Return the pictures in a folder whose station and time are known, by station and time, and what is left out.

    No picture is opened. LoadError if there are no pictures or no table of their origin, or a table has other columns.
    """
    folder = _folder(path)
    left_out = LeftOut(f"OATH in {folder}")
    files = _files(folder, left_out)
    classes = _classes(folder, files, left_out)
    origin = read_columns(_table(folder, _ORIGIN_FILES), _ORIGIN_COLUMNS)
    if not {"time", "date"} & origin.keys():
        raise LoadError(left_out.subject, f"files_origin.csv has only {', '.join(origin)}", "A column time is needed.")
    days, clocks = (origin.get(key) or [""] * len(origin["picture"]) for key in ("date", "time"))
    found: dict[int, Picture] = {}
    for name, station, day, clock in zip(origin["picture"], origin["station"], days, clocks, strict=True):
        number, time = _number(name), time_in_text(clock)
        time = time_in_text(f"{day} {clock}".strip()) if time is None else time
        if number not in files:
            left_out.add(name, "named in files_origin.csv and not there")
        elif number in found:
            left_out.add(name, "named in files_origin.csv again")
        elif time is None or not station.isalnum():
            left_out.add(name, "without station or time in files_origin.csv")
        else:
            found[number] = Picture(number, files[number], station.lower(), time, *classes.get(number, ()))
    for number in files.keys() - found.keys():
        left_out.add(files[number].name, "not in files_origin.csv")
    return sorted(found.values(), key=lambda one: (one.station, one.time, one.number)), left_out


def segments(trange: Any, path: Any, probe: Any = "", piece: Piece | None = None) -> Iterator[Segment]:
    """Yield the pictures of one station after another (all by default), in order of time, up to 256 at once."""
    for request in _requests(trange, path, probe if piece is None else piece.probe):
        yield from read_segments(request.within(piece))


def pieces(trange: Any, path: Any, probe: Any = "") -> Iterator[Piece]:
    """Yield pieces of `segments`: up to 256 pictures of one station."""
    for request in _requests(trange, path, probe):
        yield from pieces_of(request, request.name.removeprefix("oath_"))


def load(trange: Any, path: Any, probe: Any = "", suffix: str = "") -> list[str]:
    """Load ``oath_<station>`` of each station into tplot variables; parameters are those of `segments`."""
    found = [read_variable(request) for request in _requests(trange, path, probe)]
    return [tplot.write(replace(one, name=one.name + suffix)) for one in found if one is not None]


def _requests(trange: Any, path: Any, probe: Any) -> Iterator[ImageRequest]:
    """Yield the request of each station; pictures that are not known are reported with the first."""
    pictures, left_out = read_pictures(path)
    start, end = to_interval(trange)
    for station in _stations(probe, pictures):
        mine = [one for one in pictures if one.station == station and start <= one.time <= end]
        files = tuple(TimedFile(one.path, one.time) for one in mine)
        yield ImageRequest(f"oath_{station}", files, start, end, None, "green", left_out)
        left_out = LeftOut(left_out.subject)


def _stations(probe: Any, pictures: Sequence[Picture]) -> list[str]:
    there = list(dict.fromkeys(one.station for one in pictures))
    wanted = [probe] if isinstance(probe, str) else list(probe)
    wanted = [str(one).lower() for one in wanted if one != ""] or there
    if missing := [one for one in wanted if one not in there]:
        raise ArgumentError("probe", f"no picture is of {', '.join(missing)}", f"Stations: {', '.join(there)}.")
    return list(dict.fromkeys(wanted))


def _folder(path: Any) -> Path:
    if not isinstance(path, (str, Path)) or not Path(path).expanduser().is_dir():
        raise ArgumentError("path", f"found {path!r:.120}, which is no folder", "Give the folder of OATH.")
    return Path(path).expanduser()


def _files(folder: Path, left_out: LeftOut) -> dict[int, Path]:
    """Return the pictures of the first folder that holds any, by number."""
    for place in _IMAGES:
        files: dict[int, Path] = {}
        for file in sorted((folder / place).glob("*.png")):
            number = _number(file.name)
            if number < 0 or number in files:
                left_out.add(file.name, "without a number" if number < 0 else "with the number of another")
            else:
                files[number] = file
        if files:
            return files
    raise LoadError(str(folder), "there are no pictures such as images/cropped_scaled/00001.png", "Unpack OATH there.")


def _classes(folder: Path, files: dict[int, Path], left_out: LeftOut) -> dict[int, tuple[str, int, int, float]]:
    """Return label, class6, class2 and rotation by number; empty where there is no table of classes."""
    found: dict[int, tuple[str, int, int, float]] = {}
    if not any((folder / one).is_file() for one in _CLASS_FILES):
        return found
    table = read_columns(_table(folder, _CLASS_FILES), _CLASS_COLUMNS)
    for row, name in enumerate(table["picture"]):
        number = _number(name)
        six, two, angle = (_whole(table, key, row) for key in ("class6", "class2", "rotation"))
        if number not in files:
            left_out.add(name, "named in classifications.csv and not there")
        elif number in found:
            left_out.add(name, "named in classifications.csv again")
        elif not 0 <= six < len(CLASSES):
            left_out.add(name, "with an unknown class in classifications.csv")
        else:
            label = table["label"][row] if "label" in table else CLASSES[six]
            found[number] = label, six, two, float(angle) if angle >= 0 else np.nan
    return found


def _whole(table: dict[str, list[str]], key: str, row: int) -> int:
    text = table.get(key, [""] * (row + 1))[row]
    return int(text) if text.isdecimal() and len(text) < 10 else -1


def _number(name: str) -> int:
    """The number in a name such as 00001, 00001.png or images/00001.png; -1 if there is none."""
    stem = Path(name.replace("\\", "/")).name.partition(".")[0]
    return int(stem) if stem.isdecimal() and len(stem) < 10 else -1


def _table(folder: Path, names: Sequence[str]) -> Path:
    path = next((folder / one for one in names if (folder / one).is_file()), None)
    if path is None:
        raise LoadError(str(folder), f"there is no {' and no '.join(names)}", "Unpack the whole data set there.")
    return path
