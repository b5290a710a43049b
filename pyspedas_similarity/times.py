"""Conversion of times: any form in, datetime64[ns] inside, astropy Time out.

Inside the package a time is UTC held in ``numpy.datetime64[ns]``, as in tplot variables. That clock has no name for
the inside of a leap second (23:59:60.x), so such a time is refused rather than moved; the times on both sides of it
pass through exactly.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import ArgumentError, TimeError

if TYPE_CHECKING:
    from astropy.time import Time

TIME_FORMS = (
    "Give a pyspedas or ISO string, unix seconds, a datetime, a numpy datetime64, an astropy Time or a sunpy TimeRange."
)
# datetime64[ns] reaches from 1677-09-21 to 2262-04-11; numpy wraps around silently beyond it.
_FIRST_YEAR, _LAST_YEAR = 1678, 2261
_COARSEST = 1e-3
# Seconds between neighboring numbers of a type of low precision, above which they hold no time of a sample.
_LARGEST_UNIX = 9.2e9

_TIME_STRING = re.compile(
    r"\s*(?P<date>\d{4}-\d{1,2}-\d{1,2}|\d{4}-(?P<of_year>\d{3}))"
    r"(?:(?:[/T]|\s+)(?P<hour>\d{1,2})(?::(?P<minute>\d{1,2})(?::(?P<second>\d{1,2})(?:[.,](?P<fraction>\d+))?)?)?)?"
    r"\s*(?P<offset>Z|UTC|[+-]\d{2}(?::?\d{2})?)?\s*",
    re.IGNORECASE,
)

# What numpy reads as fast as it comes: no zone, no leap second, a year that it cannot wrap.
_PLAIN = re.compile(r"(?:1[789]|20|21)\d\d-\d\d-\d\d(?:[T/ ]\d\d(?::\d\d(?::[0-5]\d(?:\.\d{1,9})?)?)?)?")


@dataclass(frozen=True)
class Span:
    """A stretch of time, or one instant where ``start == end``; both ends belong to it."""

    start: np.datetime64
    end: np.datetime64

    def __str__(self) -> str:
        return str(self.start) if self.is_instant else f"{self.start} to {self.end}"

    @property
    def is_instant(self) -> bool:
        """True for one time, False for an interval."""
        return bool(self.start == self.end)

    @property
    def middle(self) -> np.datetime64:
        """The middle of the span."""
        return self.start + (self.end - self.start) // 2

    def contains(self, times: np.ndarray) -> np.ndarray:
        """Return which times lie in the span: bool, of the shape of `times`."""
        return (times >= self.start) & (times <= self.end)


def bounds(spans: Iterable[Span]) -> tuple[np.ndarray, np.ndarray]:
    """Return the starts and the ends of spans, datetime64[ns], shape (n,) each."""
    spans = list(spans)
    starts, ends = ([getattr(one, key) for one in spans] for key in ("start", "end"))
    return np.array(starts, "datetime64[ns]"), np.array(ends, "datetime64[ns]")


def to_datetime64(value: Any) -> np.datetime64:
    """Read one time, in any accepted form, as UTC.

    Parameters
    ----------
    value : str, float, int, datetime, numpy.datetime64, pandas.Timestamp or astropy.time.Time
        A string is pyspedas's ``2015-10-16/13:07:02.16`` or ISO, by month and day or by day of the year, with or
        without offset (without: UTC); a number is unix seconds; a datetime without time zone is UTC; a Time may have
        any format and any scale but ``local``. An array of numpy or xarray without dimensions is what is in it.

    Returns
    -------
    numpy.datetime64
        In nanoseconds, UTC.

    Raises
    ------
    TimeError
        If it cannot be read, is not a time (NaT, NaN), lies inside a leap second or outside the years 1678 to 2261.
    """
    value = scalar(value)
    if isinstance(value, bytes):
        value = value.decode("latin-1")
    if isinstance(value, str):
        return _from_string(value)
    if hasattr(value, "to_datetime64"):  # pandas.Timestamp keeps nanoseconds that datetime does not
        return _from_numpy(value.to_datetime64())
    if isinstance(value, np.datetime64):
        return _from_numpy(value)
    if isinstance(value, dt.date):
        return _from_datetime(value)
    if isinstance(value, Real) and not isinstance(value, (bool, np.bool_, np.timedelta64)):
        return _from_unix(value)
    if _is_astropy_time(value) and value.isscalar:
        return _from_astropy(value)
    raise TimeError(repr(value)[:80], f"{type(value).__name__} is not one time", TIME_FORMS)


def to_times(values: Any) -> np.ndarray:
    """Read many times as UTC.

    Parameters
    ----------
    values : numpy.ndarray of datetime64, astropy.time.Time, or iterable of what `to_datetime64` reads; shape (n,)

    Returns
    -------
    numpy.ndarray of datetime64[ns], shape (n,)

    Raises
    ------
    TimeError
        As `to_datetime64`, for the first of them that cannot be read.
    """
    if _is_astropy_time(values) and values.ndim == 1:
        return _from_astropy_array(values)
    if isinstance(values, np.ndarray) and values.dtype.kind == "M" and values.ndim == 1:
        for extreme in (np.min(values), np.max(values)) if values.size else ():  # NaT where one of them is
            _from_numpy(extreme)
        return values.astype("datetime64[ns]")
    if _is_xarray(values):
        return to_times(np.asarray(values.values))
    values = list(values)
    if values and all(isinstance(one, str) and _PLAIN.fullmatch(one) for one in values):
        try:
            return to_times(np.array([f"{one[:10]}T{one[11:] or '00'}" for one in values], "datetime64[ns]"))
        except ValueError:  # found one by one below, to name it
            pass
    return np.array([to_datetime64(one) for one in values], "datetime64[ns]")


def to_interval(value: Any) -> tuple[np.datetime64, np.datetime64]:
    """Read a time range: a pair of times in any form, a `Span` or a sunpy TimeRange.

    Returns
    -------
    start, end : numpy.datetime64
        In nanoseconds, UTC, with ``start <= end``.

    Raises
    ------
    TimeError
        If it is not one range, or ends before it starts.
    """
    spans = to_spans(value)
    if len(spans) != 1 or (spans[0].is_instant and _is_single_time(value)):
        raise TimeError(repr(value)[:80], "this is not one time range", "Give a start and an end: [start, end].")
    return spans[0].start, spans[0].end


def parts_of(interval: tuple[np.datetime64, np.datetime64], length: np.timedelta64) -> list[Span]:
    """Return the parts of an interval between multiples of a length from midnight; no sample is in two of them."""
    start, end = interval
    day, length = start.astype("datetime64[D]").astype(start.dtype), length.astype("timedelta64[ns]")
    edges = np.arange(day + length * ((start - day) // length + 1), end, length)
    return [Span(a, b) for a, b in zip([start, *edges], [*(edges - np.timedelta64(1, "ns")), end], strict=True)]


def to_spans(value: Any) -> list[Span]:
    """Read one time, one interval, or a list of them.

    A list, tuple or array of exactly two times is an interval, as in pyspedas's ``trange``; of any other number, so
    many single times. Two single times are written ``[[t1], [t2]]``. A sunpy TimeRange is an interval.

    Raises
    ------
    TimeError
        If something in it is not a time, nothing is in it, or an interval ends before it starts.
    """
    if isinstance(value, Span):
        return [value]
    if _is_time_range(value):
        return [_interval(value.start, value.end)]
    if _is_single_time(value):
        instant = to_datetime64(value)
        return [Span(instant, instant)]
    if not isinstance(value, Iterable):
        to_datetime64(value)
    if _is_xarray(value):
        value = np.asarray(value.values)
    items = list(value)
    if not items:
        raise TimeError(repr(value)[:80], "there is no time in it", TIME_FORMS)
    if len(items) == 2 and all(_is_single_time(item) for item in items):
        return [_interval(*items)]
    return [span for item in items for span in to_spans(item)]


def to_timedelta64(value: Any, subject: str = "duration") -> np.timedelta64:
    """Read a duration: seconds, timedelta, numpy timedelta64 or astropy Quantity; not negative.

    Returns
    -------
    numpy.timedelta64
        In nanoseconds.

    Raises
    ------
    ArgumentError
        If it is not a duration, or negative.
    """
    remedy = "Give seconds, a timedelta, a numpy timedelta64 or an astropy Quantity, not negative."
    value = scalar(value)
    try:
        if hasattr(value, "to_value"):
            value = float(value.to_value("s"))
        if isinstance(value, dt.timedelta):
            duration = np.timedelta64(value).astype("timedelta64[ns]")
        elif isinstance(value, np.timedelta64):
            duration = value.astype("timedelta64[ns]")
        else:
            duration = np.timedelta64(round(float(value) * 1e9), "ns")
    except (TypeError, ValueError, OverflowError) as error:
        raise ArgumentError(subject, f"found {value!r}, which is not a duration", remedy) from error
    if np.isnat(duration) or duration < np.timedelta64(0, "ns"):
        raise ArgumentError(subject, f"found {value!r}", remedy)
    return duration


def to_astropy(times: np.ndarray | np.datetime64) -> Time:
    """Turn datetime64 times into an astropy Time (UTC, shown as ISO with nanoseconds).

    Parameters
    ----------
    times : numpy.ndarray of datetime64, shape (n,), or one datetime64

    Returns
    -------
    astropy.time.Time
        Of the same shape; an empty Time where `times` is empty.
    """
    from astropy.time import Time

    times = np.asarray(times, dtype="datetime64[ns]")
    if times.size == 0:
        return Time(np.zeros(0), np.zeros(0), format="jd", scale="utc", precision=9).replicate(format="isot")
    # Time reads datetime64 through its ISO text, which gives a leap-second day its 86,401 seconds.
    return Time(times, format="datetime64", scale="utc", precision=9).replicate(format="isot")


def to_text(time: np.datetime64 | str) -> str:
    """Return a time, or its ISO text, as date, blank and time of day to the millisecond."""
    return str(time)[:23].replace("T", " ")


def cadence(times: np.ndarray) -> np.timedelta64:
    """Return the median step between successive samples of different times, ascending; 0 ns below two times."""
    steps = np.diff(times).astype("int64")
    steps = steps[steps > 0]  # where every stamp is there twice, as of files that overlap, the median of all would be 0
    return np.timedelta64(int(np.median(steps)) if len(steps) else 0, "ns")


def nearest_rows(times: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Return the row of the sample nearest to each of `wanted` (m,), -1 where none is within one cadence.

    `times` (n,) ascend; the earlier one of two samples at the same distance counts.
    """
    if not len(times):
        return np.full(len(wanted), -1)
    after = np.clip(np.searchsorted(times, wanted), 0, len(times) - 1)
    before = np.maximum(after - 1, 0)
    near = np.where(np.abs(times[before] - wanted) <= np.abs(times[after] - wanted), before, after)
    near = np.searchsorted(times, times[near])  # the first of samples with the same time
    return np.where(np.abs(times[near] - wanted) <= cadence(times), near, -1)


def rows_in_order(times: np.ndarray) -> np.ndarray:
    """Return the rows of samples without those whose time is missing (NaT) or goes back.

    As few as possible are left out: where times go back, those before the step may be too late, or those after it too
    early. What stays is the longest ascending subsequence (Fredman 1975, doi 10.1016/0012-365X(75)90103-X); equal
    times are kept.
    """
    rows = np.flatnonzero(~np.isnat(times))
    nanoseconds = times[rows].astype("datetime64[ns]").astype(np.int64)
    if (np.diff(nanoseconds) >= 0).all():
        return rows
    ends: list[int] = []  # the least last time of an ascending subsequence of each length
    last, before = [], np.full(len(rows), -1)  # the row of each of these, and the one before each row
    for row, time in enumerate(nanoseconds.tolist()):
        length = bisect_right(ends, time)
        before[row] = last[length - 1] if length else -1
        ends[length : length + 1], last[length : length + 1] = [time], [row]
    kept = [last[-1]]
    while before[kept[-1]] >= 0:
        kept.append(int(before[kept[-1]]))
    return rows[kept[::-1]]


def sample_ends(times: np.ndarray) -> np.ndarray:
    """Return the end of each sample: the next one, or one cadence later before a gap and at the end."""
    step = cadence(times)
    if step == np.timedelta64(0, "ns"):
        return times.copy()
    following = np.append(times[1:], times[-1:] + step)
    return np.where(following - times > longest_step(times), times + step, following)


def longest_step(times: np.ndarray) -> np.timedelta64:
    """Return 1.5 cadences: samples further apart than this have a gap between them."""
    return cadence(times) * 3 // 2


def scalar(value: Any) -> Any:
    """Return what is in an array of numpy or xarray without dimensions; anything else as it is."""
    if _is_xarray(value) and getattr(value, "ndim", None) == 0:
        value = np.asarray(value.values)
    return value[()] if isinstance(value, np.ndarray) and value.ndim == 0 else value


def _is_xarray(value: Any) -> bool:
    return hasattr(value, "dims") and hasattr(value, "values")


def _is_astropy_time(value: Any) -> bool:
    if not type(value).__module__.startswith(("astropy.", "sunpy.")):
        return False
    from astropy.time import Time

    return isinstance(value, Time)


def _is_time_range(value: Any) -> bool:
    return _is_astropy_time(getattr(value, "start", None)) and _is_astropy_time(getattr(value, "end", None))


def _is_single_time(value: Any) -> bool:
    """Return True if `value` has the form of one time, readable or not."""
    value = scalar(value)
    if isinstance(value, np.ndarray) or _is_astropy_time(value):
        return value.ndim == 0
    return isinstance(value, (str, bytes, Real, np.datetime64, dt.date)) or hasattr(value, "to_datetime64")


def _interval(start: Any, end: Any) -> Span:
    span = Span(to_datetime64(start), to_datetime64(end))
    if span.end < span.start:
        raise TimeError(str(span), "the interval ends before it starts", "Two single times are written [[t1], [t2]].")
    return span


def _from_string(text: str) -> np.datetime64:
    match = _TIME_STRING.fullmatch(text)
    if match is None:
        raise TimeError(repr(text[:80]), "this is not a time", "Write it like 2015-10-16/13:07:02.16.")
    year, *date = (int(part) for part in match["date"].split("-"))
    hour, minute, second = (int(match[part] or 0) for part in ("hour", "minute", "second"))
    if (hour, minute, second) == (23, 59, 60) or (second == 60 and match["offset"]):
        raise _leap_second(text)
    try:
        month, day = (1, 1) if match["of_year"] else date
        whole = dt.datetime(year, month, day, hour, minute, second)
        if match["of_year"]:
            whole += dt.timedelta(days=int(match["of_year"]) - 1)
            if whole.year != year:
                raise ValueError("day of the year is out of range")
    except ValueError as error:
        raise TimeError(repr(text[:80]), f"this is not a time ({error})", "Check its date and time of day.") from error
    _check_year(year, text)
    nanoseconds = round(int(match["fraction"] or 0) * 10 ** (9 - len(match["fraction"] or "")))
    # No UTC offset has ever held a fraction of a minute, so a whole-minute shift crosses leap seconds unharmed.
    return np.datetime64(whole - _offset(match["offset"]), "ns") + np.timedelta64(nanoseconds, "ns")


def _offset(text: str | None) -> dt.timedelta:
    if text is None or text.upper() in ("Z", "UTC"):
        return dt.timedelta(0)
    digits = text[1:].replace(":", "").ljust(4, "0")
    size = dt.timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return -size if text[0] == "-" else size


def _from_numpy(value: np.datetime64) -> np.datetime64:
    if np.isnat(value):
        raise TimeError("NaT", "this is not a time", TIME_FORMS)
    _check_year(int(value.astype("datetime64[Y]").astype("int64")) + 1970, value)
    return value.astype("datetime64[ns]")


def _from_datetime(value: dt.date) -> np.datetime64:
    if not isinstance(value, dt.datetime):
        value = dt.datetime(value.year, value.month, value.day)
    if value.tzinfo is not None:
        value = value.astimezone(dt.UTC).replace(tzinfo=None)
    _check_year(value.year, value)
    return np.datetime64(value, "ns")


def _from_unix(value: Real) -> np.datetime64:
    if not abs(float(value)) < _LARGEST_UNIX:  # also catches NaN
        remedy = "Numbers are unix seconds; nanoseconds are written np.datetime64(value, 'ns')."
        raise TimeError(repr(value), "outside the years 1678 to 2261", remedy)
    if isinstance(value, Integral):
        return np.datetime64(int(value) * 10**9, "ns")
    if isinstance(value, (np.float16, np.float32)) and np.spacing(np.abs(value)) > _COARSEST:
        found = f"{type(value).__name__} seconds are {np.spacing(np.abs(value)):g} s apart here"
        raise TimeError(repr(value), found, "Give unix seconds as float64, or a text.")
    # Split before scaling: the product of the whole number and 1e9 would lose the nanoseconds.
    seconds = math.floor(value)
    return np.datetime64(seconds * 10**9 + round(float(value - seconds) * 1e9), "ns")


def _from_astropy(value: Time) -> np.datetime64:
    from astropy.time import ScaleValueError

    try:
        utc = value.utc
    except ScaleValueError as error:
        found = f"scale {value.scale!r} has no UTC"
        raise TimeError(str(value), found, "Give the Time a scale such as utc.") from error
    if np.any(utc.mask):
        raise TimeError(str(value), "this Time is masked", TIME_FORMS)
    _check_year(int(utc.ymdhms["year"]), value)
    try:
        return np.datetime64(utc.to_value("datetime64"), "ns")
    except ValueError as error:
        raise _leap_second(value) from error


def _from_astropy_array(values: Time) -> np.ndarray:
    from astropy.time import ScaleValueError

    try:
        utc = values.utc
        if values.size and not np.any(utc.mask):
            years = utc.ymdhms["year"]
            if _FIRST_YEAR <= years.min() and years.max() <= _LAST_YEAR:
                return utc.to_value("datetime64").astype("datetime64[ns]")
    except (ScaleValueError, ValueError):  # named below
        pass
    return np.array([_from_astropy(one) for one in values], "datetime64[ns]")


def _check_year(year: int, value: Any) -> None:
    if not _FIRST_YEAR <= year <= _LAST_YEAR:
        remedy = f"datetime64[ns] holds the years {_FIRST_YEAR} to {_LAST_YEAR}."
        raise TimeError(str(value)[:80], "too far from the present", remedy)


def _leap_second(value: Any) -> TimeError:
    found = "inside a leap second, which the clock of tplot variables cannot name"
    return TimeError(str(value)[:80], found, "Give 23:59:59.999999999 or 00:00:00 of the next day.")
