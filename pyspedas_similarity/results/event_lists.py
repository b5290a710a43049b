"""Readers of lists of events: tables, files, pairs of times, and lines of text that begin with one or two times.

2015-10-16 13:07:02 2015-10-16 13:07:05     blanks, tabs, commas or semicolons between them; a zone behind each
2015-10-16/13:07:02 - 13:07:05              the second one of the same day, or of the next one where it is earlier
2015-289T13:07:02Z  2015:289:13:07:05       days of the year
20151016_130702 16-Oct-2015 13:07:05        compact, or with the name of the month
2015 10 16 13 07 02  2015 289 13 07 05      numbers alone
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ArgumentError, TimeError, named_errors
from ..times import bounds, to_astropy, to_datetime64, to_spans, to_times

if TYPE_CHECKING:
    from astropy.table import QTable, Table

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DATES = tuple(
    re.compile(text, re.IGNORECASE)
    for text in (
        r"(?P<year>\d{4})(?P<between>[-/.:]|\s+)(?P<month>\d{1,2})(?P=between)(?P<day>\d{1,2})(?!\d)",
        r"(?P<year>\d{4})(?P<between>[-/:]|\s+)(?P<of_year>\d{3})(?!\d)",
        r"(?P<year>(?:19|20)\d\d)(?P<month>\d\d)(?P<day>\d\d)(?P<between>)(?=\D|\d{4}(?:\d\d)?(?!\d)|$)",
        r"(?P<year>(?:19|20)\d\d)(?P<of_year>\d{3})(?P<between>)(?!\d)",
        r"(?P<day>\d{1,2})(?P<between>[-\s]+)(?P<name>[a-z]{3})[a-z]*[-\s,]+(?P<year>\d{4})(?!\d)",
    )
)
_CLOCK = re.compile(r"(?P<hour>\d{1,2}):(?P<minute>\d\d)(?::(?P<second>\d\d(?:\.\d*)?))?(?![\d:])")
_COMPACT = re.compile(r"(?P<hour>\d\d)(?P<minute>\d\d)(?P<second>\d\d(?:\.\d*)?)?(?![\d:])")
_NUMBERS = re.compile(r"(?P<hour>\d{1,2})\s+(?P<minute>\d{1,2})\s+(?P<second>\d{1,2}(?:\.\d*)?)(?![\d:])")
_AFTER_DATE = re.compile(r"[T/_:,;\s]*", re.IGNORECASE)
_ZONE = re.compile(r"\s*(?P<zone>Z|UTC?|GMT|[+-]\d\d(?::?\d\d)?)(?![\w:])", re.IGNORECASE)
_OTHER_ZONE = re.compile(r"\s*(?:[ECMP][SD]T|CES?T|BST|IST|JST|MSK|AK[SD]T|M?LT)\b")
_BETWEEN = re.compile("[\"'\\s,;|/]*(?:(?:-|\u2013|\u2014|to\\b|until\\b)[\"'\\s,;|]*)?", re.IGNORECASE)  # also dashes
_BEFORE = re.compile(r"(?:(?:\d{1,4}|[A-Za-z_]\w*)[.)]?(?:\s*[,;|]\s*|\s+)){0,2}[\"']?")
_REMEDY = "Write times like 2015-10-16/13:07:02, a start and an end in each line, and '#' before comments."


def times_of_line(line: str, subject: str) -> tuple[np.datetime64, np.datetime64 | None]:
    """Parse one or two times at the beginning of a line, datetime64[ns] in UTC; the rest of the line is ignored.

    Up to two words, such as a number and a label, may precede the first time. `subject` names the line in a TimeError.
    """
    found = _first_time(line, subject)
    if found is None:
        raise TimeError(subject, f"no time found in {line[:80]!r}", _REMEDY)
    start, at = found
    rest = line[_BETWEEN.match(line, at).end() :]
    second = _read_time(rest, subject)
    if second is None and (clock := _CLOCK.match(rest)):
        end = _time_of_day(start, clock, subject)
        at = clock.end()
    elif second is None:
        end, at = None, 0
    else:
        end, at = second
    words = rest[at:].lstrip(" \t,;").split(maxsplit=2)[:2]
    if end is None and any(re.match(r"\d+[:/]\d|\d{4}-|\d{7,}", word) for word in words):
        raise TimeError(subject, f"{rest[:40]!r} is not a valid time", _REMEDY)
    return start, end


def has_time(line: str) -> bool:
    """Return True if a line begins with a time, valid or not."""
    try:
        return _first_time(line, "") is not None
    except TimeError:
        return True


def _first_time(line: str, subject: str) -> tuple[np.datetime64, int] | None:
    found = _read_time(line, subject)
    if found is not None:
        return found
    before = _BEFORE.match(line)
    for words in (1, 2):  # skip a number or a label
        start = re.match(rf"(?:\S+?(?:\s*[,;|]\s*|\s+)){{{words}}}[\"']?", line)
        if start and start.end() <= before.end() and (found := _read_time(line[start.end() :], subject)):
            return found[0], found[1] + start.end()
    return None


def _read_time(text: str, subject: str) -> tuple[np.datetime64, int] | None:
    """Parse the time at the beginning of a text; return it and its end position, or None if there is none."""
    quote = len(text) - len(text.lstrip("\"'"))
    date = next((match for one in _DATES if (match := one.match(text, quote))), None)
    if date is None:
        return None
    at = _AFTER_DATE.match(text, date.end()).end()
    forms = (_CLOCK, *((_NUMBERS,) if date["between"].isspace() else ()), *(() if date["between"] else (_COMPACT,)))
    clock = next((match for one in forms if (match := one.match(text, at))), None)
    end = date.end() if clock is None else clock.end()
    zone = _ZONE.match(text, end) if clock else None
    end = zone.end() if zone else end
    if re.match(r"[\w.]", text[end:]) or (clock is None and re.match(r"[T_:]?\d{1,2}(?:\D|$)", text[at:])):
        raise TimeError(subject, f"{text[:40]!r} is not a valid time", _REMEDY)
    if clock and _OTHER_ZONE.match(text, end):
        raise TimeError(subject, f"the time zone in {text[:40]!r} is unknown", "Give times in UTC, or +hh:mm.")
    return _to_datetime64(date, clock, zone["zone"] if zone else "", subject), end


def _to_datetime64(date: re.Match[str], clock: re.Match[str] | None, zone: str, subject: str) -> np.datetime64:
    parts = date.groupdict()
    if parts.get("of_year"):
        day = f"{parts['year']}-{parts['of_year']}"
    else:
        month = parts.get("month") or _month(parts["name"], subject)
        day = f"{parts['year']}-{int(month):02d}-{int(parts['day']):02d}"
    time = "" if clock is None else f"T{int(clock['hour']):02d}:{int(clock['minute']):02d}:{_second(clock)}"
    plain = "" if zone.upper() in ("UT", "GMT", "") else zone
    with named_errors(subject, TimeError):
        return to_datetime64(day + time + plain)


def _second(clock: re.Match[str]) -> str:
    whole, _, fraction = (clock["second"] or "00").partition(".")
    return f"{int(whole):02d}.{fraction}" if fraction else f"{int(whole):02d}"


def _month(name: str, subject: str) -> int:
    if name.lower() not in _MONTHS:
        raise TimeError(subject, f"{name!r} is not a month", _REMEDY)
    return _MONTHS.index(name.lower()) + 1


def _time_of_day(start: np.datetime64, clock: re.Match[str], subject: str) -> np.datetime64:
    """Return the first time after `start` with a given time of day."""
    text = f"{start.astype('datetime64[D]')}T{int(clock['hour']):02d}:{clock['minute']}:{_second(clock)}"
    with named_errors(subject, TimeError):
        end = to_datetime64(text)
    return end if end >= start else end + np.timedelta64(1, "D")


# Common column names in order of preference; case and underscores are ignored.
_STARTS = ("start", "starttime", "timestart", "tstart", "timebegin", "begin", "begintime", "from")
_ENDS = ("end", "endtime", "timeend", "tend", "stop", "stoptime", "timestop", "to", "until")
_INSTANTS = ("time", "timetag", "datetime", "date", "epoch", "utc", "ut", "peak", "timepeak")
_LABELS = ("label", "event", "tags", "class", "kind", "type", "description", "region", "source", "name")
_FORMATS = {".ecsv": "ascii.ecsv", ".xml": "votable", ".vot": "votable"}
_TEXTS = (".csv", ".txt", ".dat", ".lst", ".tsv")
_FORMS = "Give a table with start and end (or time), a file (.ecsv, .csv, .xml, .txt), or a list of [start, end]."


def event_table(events: Any, columns: Sequence[str] | None = None) -> QTable:
    """Read a list of events as `read_events` does, or what `times.to_spans` takes.

    Text has a header, or a start and an end (or one time) in each line, with comments after '#', ';' or '%'. Events
    with one time are instants.
    """
    if isinstance(events, Path) or (isinstance(events, str) and _is_file(events)):
        return _to_event_table(table_of_file(Path(events)), str(events), columns)
    if hasattr(events, "colnames"):
        return _to_event_table(events, "table", columns)
    if hasattr(events, "iloc") and hasattr(events, "columns"):
        from astropy.table import Table

        return _to_event_table(Table({str(key): events[key].tolist() for key in events.columns}), "table", columns)
    if events is None:
        raise ArgumentError("events", "none are given", _FORMS)
    is_list = isinstance(events, Iterable) and not isinstance(events, str) and hasattr(events, "__len__")
    spans = [] if is_list and not len(events) else to_spans(events)
    return _make_event_table(*bounds(spans), np.full(len(spans), "", "U1"))


def _is_file(text: str) -> bool:
    return Path(text).suffix.lower() in (*_FORMATS, *_TEXTS) or os.path.isfile(text)


def table_of_file(path: Path) -> Table:
    """Read a table from a file: ECSV, VOTable, text with a header, or text with times at the beginning of each line.

    Text with a header is separated by commas, tabs or semicolons. Lines that begin with '#', ';' or '%' are comments.
    """
    from astropy.table import QTable, Table

    if not path.is_file():
        raise ArgumentError(f"file {path}", "there is no such file", "Check the path.")
    format = _FORMATS.get(path.suffix.lower())
    try:
        if format is None:
            return _read_text(path)
        return (QTable if format == "ascii.ecsv" else Table).read(path, format=format)
    except (ValueError, OSError, IndexError, KeyError, TypeError, ImportError) as error:
        raise ArgumentError(f"file {path}", f"not readable ({str(error)[:200]})", _FORMS) from error


def _read_text(path: Path) -> Table:
    from astropy.table import Table

    lines = [(number, line) for number, line in enumerate(_decode_file(path).splitlines(), 1) if line.strip(' \t,;|"')]
    lines = [(number, line) for number, line in lines if not line.lstrip().startswith(("#", ";", "%"))]
    if not lines:
        return Table({"start": np.empty(0, "U1"), "end": np.empty(0, "U1")})
    header = lines[0][1]
    separator = next((one for one in ("\t", ",", ";") if one in header), None)
    if not has_time(header):
        if separator is not None and (len(lines) == 1 or not has_time(lines[1][1]) or _has_times(header, separator)):
            return _read_columns(path, lines, separator)
        if len(lines) == 1 and path.suffix.lower() == ".csv":
            return Table({name: np.empty(0, "U1") for name in header.split()})
        lines = lines[1:] if not any(character.isdigit() for character in header) else lines
    return _read_lines(path, lines)


def _read_lines(path: Path, lines: list[tuple[int, str]]) -> Table:
    """Read a table from lines that begin with one or two times."""
    from astropy.table import Table

    times = [times_of_line(line, f"file {path}, line {number}") for number, line in lines]
    single = [end is None for _, end in times]
    if any(single) and not all(single):
        number, odd = lines[single.index(True)]
        found = f"one time in {odd[:80]!r} and two in others"
        raise ArgumentError(f"file {path}, line {number}", found, "Give two in each line.")
    starts = np.array([start for start, _ in times], "datetime64[ns]")
    return Table(
        {"start": starts, "end": np.array([start if end is None else end for start, end in times], starts.dtype)}
    )


def _read_columns(path: Path, lines: list[tuple[int, str]], separator: str) -> Table:
    """Read columns with a header; times are parsed here, so that errors name the line."""
    from astropy.table import Table

    table = Table.read([line for _, line in lines], format="ascii.csv", delimiter=separator, guess=False)
    numbers = [number for number, _ in lines[1:]]
    for name in table.colnames:
        known = {*_STARTS, *_ENDS, *_INSTANTS}
        if _normalized_name(name) in known and table[name].dtype.kind in "UO" and len(numbers) == len(table):
            masked = np.ma.getmaskarray(np.ma.asarray(table[name]))
            texts = ["" if lost else str(text) for text, lost in zip(table[name], masked, strict=True)]
            subjects = [f"file {path}, line {number}, column {name}" for number in numbers]
            read = [_read_single_time(text, subject) for text, subject in zip(texts, subjects, strict=True)]
            table[name] = np.array(read, "datetime64[ns]")
    return table


def _read_single_time(text: str, subject: str) -> np.datetime64:
    if not text.strip():
        raise TimeError(subject, "there is no time", "Omit such rows.")
    start, end = times_of_line(text, subject)
    if end is not None:
        raise TimeError(subject, f"two times in {text[:80]!r}", "Give one.")
    return start


def _decode_file(path: Path) -> str:
    """Read a text file in UTF-8 or UTF-16, with or without byte order mark, or in Latin-1."""
    content = path.read_bytes()
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return content.decode("utf-16")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def _has_times(header: str, separator: str) -> bool:
    return any(_normalized_name(name) in (*_STARTS, *_INSTANTS) for name in header.split(separator))


def _normalized_name(name: str) -> str:
    """Normalize a column name: lower case, without text in brackets, UT and UTC."""
    letters = re.sub(r"\(.*?\)|\[.*?\]|[_\s\"'.-]", "", name).lower()
    return letters if letters in ("utc", "ut") else re.sub(r"utc?$", "", letters)


def _to_event_table(table: Table, subject: str, columns: Sequence[str] | None) -> QTable:
    start, end = _time_columns(table, subject, columns)
    starts = _times(table[start], f"{subject}, column {start}")
    ends = starts if end == start else _times(table[end], f"{subject}, column {end}")
    label = _find_column(table, _LABELS)
    texts = np.full(len(table), "", "U1") if label is None else _texts(table[label])
    made = _make_event_table(starts, ends, texts, subject)
    for name in table.colnames:
        if name not in ("start", "end", "label", start, end):
            made[name] = table[name]
    return made


def _time_columns(table: Table, subject: str, columns: Sequence[str] | None) -> tuple[str, str]:
    found = f"found the columns {', '.join(table.colnames) or 'none'}"
    if columns is not None:
        names = [columns] if isinstance(columns, str) else list(columns)
        missing = [name for name in names if name not in table.colnames]
        if missing or len(names) not in (1, 2):
            raise ArgumentError(subject, f"no columns {names}; {found}", "Give one name or two of them.")
        return names[0], names[-1]
    start, end, instant = (_find_column(table, names) for names in (_STARTS, _ENDS, _INSTANTS))
    if start is not None and end is not None:
        return start, end
    single = instant if instant is not None else None if end is not None else start
    if single is None:
        remedy = "Name them: columns=['start', 'end'], or the column of one time."
        raise ArgumentError(subject, f"no time columns with a known name; {found}", remedy)
    return single, single


def _find_column(table: Table, names: Sequence[str]) -> str | None:
    there = {_normalized_name(name): name for name in reversed(table.colnames)}
    return next((there[name] for name in names if name in there), None)


def _times(column: Any, subject: str) -> np.ndarray:
    if not hasattr(column, "scale"):
        if np.ma.getmaskarray(np.ma.asarray(column)).any():
            raise TimeError(subject, "a row has no time", "Omit such rows.")
        column = np.asarray(column)
        column = column if column.dtype.kind == "M" else column.tolist()
    with named_errors(subject, TimeError):
        return to_times(column)


def _texts(column: Any) -> np.ndarray:
    return np.array([str(one) for one in np.ma.filled(np.ma.asarray(column).astype(object), "")], str)


def _make_event_table(starts: np.ndarray, ends: np.ndarray, labels: np.ndarray, subject: str = "events") -> QTable:
    from astropy.table import QTable

    backward = np.flatnonzero(ends < starts)
    if len(backward):
        row = int(backward[0])
        found = f"row {row} ends at {ends[row]}, before it starts at {starts[row]}"
        raise ArgumentError(subject, found, "Check its times.")
    made = QTable()
    made["start"], made["end"], made["label"] = to_astropy(starts), to_astropy(ends), labels
    return made
