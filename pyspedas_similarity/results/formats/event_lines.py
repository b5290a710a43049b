"""Parser for lines of text that begin with one or two times, in formats common in lists of events.

2015-10-16 13:07:02 2015-10-16 13:07:05     blanks, tabs, commas or semicolons between them; a zone behind each
2015-10-16/13:07:02 - 13:07:05              the second one of the same day, or of the next one where it is earlier
2015-289T13:07:02Z  2015:289:13:07:05       days of the year
20151016_130702 16-Oct-2015 13:07:05        compact, or with the name of the month
2015 10 16 13 07 02  2015 289 13 07 05      numbers alone
"""

from __future__ import annotations

import re

import numpy as np

from ...errors import TimeError, named_errors
from ...times import to_datetime64

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
    """Parse one or two times at the beginning of a line; the rest of the line is ignored.

    Parameters
    ----------
    line : str
        Up to two words, such as a number and a label, may precede the first time.
    subject : str
        File and line number for error messages.

    Returns
    -------
    start, end : numpy.datetime64
        Nanoseconds, UTC; the end is None if there is one time.

    Raises
    ------
    TimeError
        If there is no time, or an invalid one.
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
