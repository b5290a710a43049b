"""Times of image files: from their names, from a table, by a function, or given one by one. All are UTC."""

from __future__ import annotations

import csv
import datetime as dt
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ArgumentError, LoadError, TimeError
from ..times import to_datetime64, to_times

_FILE_COLUMNS = ("file", "filename", "path", "image", "picture", "name")
_TIME_COLUMNS = ("time", "datetime", "timestamp", "utc", "date", "start")
_MOST_TABLE_BYTES = 2**27
# 20151007_082355.961, 2015-10-07T08:23:55, 20151007082355 and the like, not inside a longer number.
_IN_NAME = re.compile(
    r"(?<!\d)(?P<year>[12]\d{3})[-_./]?(?P<month>\d\d)[-_./]?(?P<day>\d\d)[-_T ]?"
    r"(?P<hour>\d\d)[-_:.h]?(?P<minute>\d\d)[-_:.m]?(?P<second>\d\d)(?:[.,](?P<fraction>\d{1,9}))?(?!\d)"
)
_GROUPS = {"year", "month", "day", "hour", "minute", "second", "fraction", "doy", "time"}

TimeOf = Callable[[Path], "np.datetime64 | None"]


def time_of_files(times: Any) -> TimeOf:
    """Return a function from the path of a file to the time of its first frame, or None where it has none.

    Parameters
    ----------
    times : str, Path, callable or None
        None: ``YYYYMMDD_HHMMSS`` in the name, with or without separators and fractions of a second. Text with ``%``: a
        format of `datetime.strptime` for the whole name, with or without the suffix. Text with ``(?P<``: a regular
        expression with the groups ``year``, ``month``, ``day`` (or ``doy``), ``hour``, ``minute``, ``second``,
        ``fraction``, or with one group ``time``. A Path, or text that ends with ``.csv``: a table with a column of
        files and one of times. A callable: from the path to a time in any form.

    Raises
    ------
    ArgumentError
        If it is none of these.
    LoadError
        If the table cannot be read.
    """
    if times is None:
        return lambda path: _by_pattern(_IN_NAME, path.stem)
    if callable(times):
        return lambda path: to_datetime64(times(path))
    if isinstance(times, Path) or (isinstance(times, str) and times.lower().endswith(".csv")):
        return TimeTable(Path(times))
    if isinstance(times, str) and "(?P<" in times:
        pattern = _compiled(times)
        return lambda path: _by_pattern(pattern, path.name)
    if isinstance(times, str) and "%" in times:
        return lambda path: _by_format(times, path)
    remedy = "Give a format such as 'frame_%Y%m%d_%H%M%S', a regular expression, a .csv file or a function."
    raise ArgumentError("times", f"found {times!r:.80}", remedy)


def given_times(times: Any) -> np.ndarray | None:
    """Return times that are given themselves, one or several: datetime64[ns] (n,); None for a rule."""
    if times is None or callable(times) or isinstance(times, Path):
        return None
    try:
        return np.array([to_datetime64(times)])
    except TimeError:
        return None if isinstance(times, str) or not isinstance(times, Iterable) else to_times(times)


def time_in_text(text: str) -> np.datetime64 | None:
    """Return a time written in any form that verbs take, or as in names of files; None where there is none."""
    try:
        return to_datetime64(text)
    except TimeError:
        return _by_pattern(_IN_NAME, text)


class TimeTable:
    """Times by file from a CSV file: a function from a path to a time, None for files that it does not name.

    Attributes
    ----------
    names : dict of str to str
        Time as written by file; the first one where a file is named twice.
    repeated : list of str
        Files that are named again.
    """

    def __init__(self, path: Path) -> None:
        found = read_columns(path, {"file": _FILE_COLUMNS, "time": _TIME_COLUMNS})
        self.names: dict[str, str] = {}
        self.repeated: list[str] = []
        for name, time in zip(found["file"], found["time"], strict=True):
            if name in self.names:
                self.repeated.append(name)
            self.names.setdefault(name, time)
        self._keys = {_key(name): name for name in reversed(self.names)}

    def __call__(self, path: Path) -> np.datetime64 | None:
        """Look up the whole path, then shorter ends of it, down to the name."""
        for count in range(len(path.parts), 0, -1):
            name = self._keys.get("/".join(path.parts[-count:]))
            if name is not None:
                return time_in_text(self.names[name])
        return None

    def without(self, paths: Sequence[Path]) -> list[str]:
        """Return the names of files that are not among paths."""
        ends = {"/".join(path.parts[-count:]) for path in paths for count in range(1, len(path.parts) + 1)}
        return [name for key, name in self._keys.items() if key not in ends]


def read_columns(path: Path, wanted: Mapping[str, tuple[str, ...]]) -> dict[str, list[str]]:
    """Read columns of a CSV file, by any of the names that each of them may have.

    Parameters
    ----------
    path : Path
        Text before a line of dashes, such as a license, is skipped.
    wanted : mapping of str to tuple of str
        Small letters and digits only, as other characters of the names in the file do not count.

    Returns
    -------
    dict of str to list of str
        Without those columns that the file does not have, if there are others. Cells are stripped.

    Raises
    ------
    LoadError
        If the file is not there, too large, or has none of the first or of all columns; names the columns there are.
    """
    if not path.is_file() or path.stat().st_size > _MOST_TABLE_BYTES:
        found = "there is no such file" if not path.is_file() else f"it has {path.stat().st_size} bytes"
        raise LoadError(str(path), found, f"Give a CSV file of at most {_MOST_TABLE_BYTES >> 20} MiB.")
    lines = path.read_text(encoding="utf-8-sig", errors="replace").splitlines()
    dashes = [number for number, line in enumerate(lines[:200]) if re.fullmatch(r"\s*#?\s*-{5,}\s*", line)]
    rows = list(csv.reader(line for line in lines[dashes[-1] + 1 if dashes else 0 :] if line.strip()))
    titles = [re.sub(r"[^a-z0-9]", "", title.lower()) for title in rows[0]] if rows else []
    found = {}
    for key, names in wanted.items():
        column = next((titles.index(name) for name in names if name in titles), None)
        if column is not None:
            found[key] = [row[column].strip() if len(row) > column else "" for row in rows[1:]]
    if not rows or not found.keys() >= {*list(wanted)[:2]}:
        there = ", ".join(rows[0])[:200] if rows else "none"
        forms = "; ".join(f"{key}: {', '.join(names)}" for key, names in wanted.items())
        raise LoadError(str(path), f"its columns are {there}", f"Name them as one of these ({forms}).")
    return found


def _key(name: str) -> str:
    return "/".join(Path(name.replace("\\", "/")).parts)


def _compiled(text: str) -> re.Pattern[str]:
    try:
        pattern = re.compile(text)
    except re.error as error:
        raise ArgumentError("times", f"{text!r:.80} is no regular expression ({error})", "Correct it.") from error
    names = pattern.groupindex.keys()
    if not names <= _GROUPS or not ("time" in names or {"year", "month", "day"} <= names or {"year", "doy"} <= names):
        remedy = "Give the groups year, month, day (or doy), hour, minute, second, fraction; or one group time."
        raise ArgumentError("times", f"the groups of {text!r:.80} are {', '.join(names)}", remedy)
    return pattern


def _by_pattern(pattern: re.Pattern[str], name: str) -> np.datetime64 | None:
    for match in pattern.finditer(name):
        found = {key: value for key, value in match.groupdict().items() if value}
        if "time" in found:
            return time_in_text(found["time"])
        day = found["doy"] if "doy" in found else f"{found['month']}-{found['day']}"
        clock = ":".join(found.get(key, "00") for key in ("hour", "minute", "second"))
        try:
            return to_datetime64(f"{found['year']}-{day}T{clock}.{found.get('fraction', '0')}")
        except TimeError:  # digits that are no time, such as a number of a station
            continue
    return None


def _by_format(form: str, path: Path) -> np.datetime64 | None:
    for name in (path.name, path.stem):
        try:
            return to_datetime64(dt.datetime.strptime(name, form))
        except ValueError:
            continue
    return None
