"""Every accepted form of time, to the nanosecond, over the leap second of 2016-12-31."""

import datetime as dt
import itertools
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from astropy.time import Time
from hypothesis import given
from hypothesis import strategies as st
from sunpy.time import TimeRange

from pyspedas_similarity.errors import ArgumentError, TimeError
from pyspedas_similarity.times import (
    Span,
    cadence,
    rows_in_order,
    to_astropy,
    to_datetime64,
    to_interval,
    to_spans,
    to_timedelta64,
    to_times,
)

BEFORE = np.datetime64("2016-12-31T23:59:59.999999999", "ns")
AFTER = np.datetime64("2017-01-01T00:00:00.000000001", "ns")
LEAP = [BEFORE, np.datetime64("2017-01-01T00:00:00", "ns"), AFTER]
IDS = ["last", "midnight", "first"]


@pytest.mark.parametrize("instant", LEAP, ids=IDS)
@pytest.mark.parametrize("scale", ["utc", "tai", "tt", "tdb", "tcg", "tcb"])
def test_astropy_time_of_any_scale_round_trips(instant, scale):
    time = getattr(Time(str(instant), scale="utc", precision=9), scale)
    assert to_datetime64(time) == instant


def test_unix_seconds_of_low_precision_are_refused():
    with pytest.raises(TimeError, match="float32 seconds are 128 s apart here.*float64"):
        to_datetime64(np.float32(1.6e9))
    assert to_datetime64(np.float32(5.0)) == np.datetime64(5, "s")


@pytest.mark.parametrize("instant", LEAP, ids=IDS)
@pytest.mark.parametrize("form", ["isot", "jd", "mjd", "datetime64", "cxcsec", "gps", "unix_tai"])
def test_astropy_time_of_any_format_round_trips(instant, form):
    time = Time(str(instant), scale="utc", precision=9).replicate(format=form)
    assert to_datetime64(time) == instant


@pytest.mark.parametrize("instant", LEAP, ids=IDS)
def test_strings_round_trip(instant):
    iso = str(instant)
    assert to_datetime64(iso) == instant
    assert to_datetime64(iso.replace("T", "/")) == instant
    assert to_datetime64(iso.replace("T", " ") + "Z") == instant
    shifted = str(instant + np.timedelta64(9, "h"))
    assert to_datetime64(shifted + "+09:00") == instant
    assert to_datetime64(shifted + "+0900") == instant
    assert to_datetime64(str(instant - np.timedelta64(210, "m")) + "-03:30") == instant


@pytest.mark.parametrize("instant", LEAP, ids=IDS)
def test_numpy_and_pandas_round_trip(instant):
    assert to_datetime64(instant) == instant
    assert to_datetime64(np.array(instant)) == instant
    assert to_datetime64(pd.Timestamp(instant)) == instant
    assert to_datetime64(pd.Timestamp(instant, tz="UTC").tz_convert("Asia/Tokyo")) == instant


@pytest.mark.parametrize("second", ["2016-12-31T23:59:59", "2017-01-01T00:00:00"])
def test_datetime_and_unix_round_trip(second):
    instant = np.datetime64(second, "ns")
    unix = int(instant.astype("int64") // 10**9)
    assert to_datetime64(unix) == instant
    assert to_datetime64(float(unix)) == instant
    assert to_datetime64(dt.datetime.fromisoformat(second)) == instant
    aware = dt.datetime.fromisoformat(second).replace(tzinfo=dt.UTC).astimezone(dt.timezone(dt.timedelta(hours=-7)))
    assert to_datetime64(aware) == instant
    assert to_datetime64(np.datetime64(second, "s")) == instant


def test_sunpy_range_and_pairs_are_intervals():
    expected = (np.datetime64("2016-12-31T23:59:59", "ns"), np.datetime64("2017-01-01T00:00:01", "ns"))
    assert to_interval(TimeRange("2016-12-31 23:59:59", "2017-01-01 00:00:01")) == expected
    for form in (str, lambda t: str(t).replace("T", "/"), lambda t: Time(str(t), precision=9), np.datetime64):
        assert to_interval([form(expected[0]), form(expected[1])]) == expected
    assert to_interval(Time([str(t) for t in expected])) == expected
    assert to_interval(np.array(expected)) == expected


def test_lists_hold_times_and_intervals():
    day = np.datetime64("2015-10-16", "ns")
    hour = np.timedelta64(1, "h")
    times = [day, day + hour, day + 2 * hour]
    assert to_spans(times) == [Span(t, t) for t in times]
    assert to_spans(times[:2]) == [Span(day, day + hour)]
    assert to_spans([[times[0]], [times[1]]]) == [Span(times[0], times[0]), Span(times[1], times[1])]
    assert to_spans([times[0], (times[1], times[2])]) == [Span(times[0], times[0]), Span(times[1], times[2])]
    assert to_spans(np.array([[times[0], times[1]], [times[1], times[2]]])) == [Span(*times[:2]), Span(*times[1:])]
    minute = np.datetime64("2015-10-16T13:07", "ns")
    assert to_spans("2015-10-16/13:07") == [Span(minute, minute)]


def test_short_pyspedas_strings():
    assert to_datetime64("2015-10-16") == np.datetime64("2015-10-16", "ns")
    assert to_datetime64("2015-10-16/13") == np.datetime64("2015-10-16T13:00", "ns")
    assert to_datetime64("2015-1-6/3:7:2.16") == np.datetime64("2015-01-06T03:07:02.16", "ns")
    assert to_datetime64("2015-10-16T13:07:02,000000001") == np.datetime64("2015-10-16T13:07:02.000000001", "ns")


@pytest.mark.parametrize(
    "inside",
    ["2016-12-31/23:59:60", "2016-12-31T23:59:60.5", "2017-01-01T08:59:60+09:00", Time("2016-12-31T23:59:60.5")],
)
def test_inside_of_a_leap_second_is_refused(inside):
    with pytest.raises(TimeError, match="leap second"):
        to_datetime64(inside)


@pytest.mark.parametrize(
    "bad",
    [
        "yesterday",
        "",
        "2015-13-01",
        "2015-10-16/25:00",
        "1500-01-01",
        "2015-10-16/13:07:61",
        np.datetime64("NaT", "ns"),
        float("nan"),
        1.4e18,
        True,
        None,
        object(),
        np.datetime64("3000-01-01"),
        [],
        ["2015-10-17", "2015-10-16"],
    ],
)
def test_what_is_no_time_is_refused(bad):
    with pytest.raises(TimeError):
        to_spans(bad)


def test_one_time_is_no_interval():
    with pytest.raises(TimeError, match="start and an end"):
        to_interval("2015-10-16")


@given(st.integers(-(2**62), 2**62))
def test_unix_seconds_are_read_as_the_double_says(nanoseconds):
    unix = nanoseconds / 1e9
    read = int(to_datetime64(unix).astype("int64"))
    assert abs(Fraction(unix) * 10**9 - read) <= Fraction(1, 2)
    assert float(Fraction(read, 10**9)) == unix  # read / 1e9 would round twice above 2**53


@given(st.integers(-(2**62), 2**62))
def test_astropy_and_back_is_exact(nanoseconds):
    instant = np.datetime64(nanoseconds, "ns")
    if np.datetime64("1961") < instant < np.datetime64("2025"):  # where UTC is defined by its table
        assert to_datetime64(to_astropy(instant)) == instant


def test_astropy_out_keeps_shape_and_names_nanoseconds():
    assert to_astropy(np.array(LEAP)).isot.tolist() == [str(t) for t in LEAP]
    assert to_astropy(np.array([], "datetime64[ns]")).shape == (0,)
    leap_day = to_astropy(np.array([BEFORE, AFTER]))
    assert round((leap_day[1] - leap_day[0]).to_value("s"), 8) == 1.0  # the leap second lies between them


def test_durations():
    import astropy.units as u

    one = np.timedelta64(1_500_000_000, "ns")
    for form in (1.5, dt.timedelta(seconds=1.5), np.timedelta64(1500, "ms"), 1.5 * u.s, 0.025 * u.min):
        assert to_timedelta64(form) == one
    for bad in (-1, "soon", None, np.timedelta64("NaT", "ns"), float("nan"), float("inf")):
        with pytest.raises(ArgumentError):
            to_timedelta64(bad)


def test_cadence_is_the_median_step():
    times = np.array([0, 3, 6, 9, 60, 63], "datetime64[s]").astype("datetime64[ns]")
    assert cadence(times) == np.timedelta64(3, "s")
    assert cadence(times[:1]) == cadence(times[[0, 0]]) == np.timedelta64(0, "ns")
    assert cadence(np.repeat(times, 2)) == np.timedelta64(3, "s")


MANY = np.array([*LEAP, np.datetime64("1701-02-03T04:05:06.000000007", "ns"), np.datetime64("2199-12-31", "ns")])


@pytest.mark.parametrize(
    "values",
    [
        MANY,
        MANY.tolist()[:0],
        [str(one) for one in MANY],
        np.array([str(one).replace("T", "/") for one in MANY]),
        [f"{one}Z" for one in MANY],
        Time([str(one) for one in LEAP], scale="utc", precision=9).tai,
        [pd.Timestamp(one) for one in MANY],
        ["2020-01-02", "2020-01-02/03", "2020-01-02 03:04", "2020-01-02T03:04:05.6"],
    ],
    ids=["datetime64", "none", "text", "pyspedas", "zone", "TAI", "pandas", "short"],
)
def test_many_times_are_read_like_one(values):
    found = to_times(values)
    assert found.dtype == "datetime64[ns]"
    assert found.tolist() == np.array([to_datetime64(one) for one in values], "datetime64[ns]").tolist()


@pytest.mark.parametrize(
    ("values", "says"),
    [
        (["2020-01-01", "2020-02-30"], "2020-02-30"),
        (["2016-12-31T23:59:60.5"], "leap second"),
        (Time(["2016-12-31T23:59:59", "2016-12-31T23:59:60.5"]), "leap second"),
        (Time(["2020-01-01"], scale="local"), "has no UTC"),
        (np.array(["2020-01-01", "NaT"], "datetime64[s]"), "not a time"),
        (np.array(["2020-01-01", "2999-01-01"], "datetime64[s]"), "too far"),
        (["2020-01-01", None], "not one time"),
    ],
)
def test_one_of_many_that_is_no_time_is_named(values, says):
    with pytest.raises(TimeError, match=says):
        to_times(values)


def test_a_masked_time_among_many_is_refused():
    times = Time(["2020-01-01", "2020-01-02"])
    times[1] = np.ma.masked
    with pytest.raises(TimeError, match="masked"):
        to_times(times)


@pytest.mark.parametrize(
    ("seconds", "kept"),
    [
        ([0, 1, 2, 3], [0, 1, 2, 3]),
        ([0, 1, 1, 3], [0, 1, 2, 3]),
        ([0, 1, 90, 3, 4, 5], [0, 1, 3, 4, 5]),  # one stamp far ahead loses itself alone
        ([0, 1, 2, -9, 4, 5], [0, 1, 2, 4, 5]),
        ([0, 90, 2, 3, -9, 5], [0, 2, 3, 5]),  # one far ahead and one far back
        ([0, 7, 2, 3, 4, 5, 6, 1, 8], [0, 2, 3, 4, 5, 6, 8]),  # two that changed places
        ([0, 1, None, 3], [0, 1, 3]),
        ([None, None], []),
        ([], []),
    ],
)
def test_rows_in_order(seconds, kept):
    times = np.array([np.datetime64("NaT") if s is None else np.datetime64(s, "s") for s in seconds], "datetime64[ns]")
    assert rows_in_order(times).tolist() == kept


def test_rows_in_order_are_as_many_as_can_be():
    rng = np.random.default_rng(0)
    for _ in range(50):
        seconds = rng.integers(0, 9, 9)
        longest = max(
            len(rows)
            for mask in itertools.product((False, True), repeat=9)
            if (np.diff(seconds[rows := np.flatnonzero(mask)]) >= 0).all()
        )
        kept = rows_in_order(seconds.astype("datetime64[s]").astype("datetime64[ns]"))
        assert len(kept) == longest and (np.diff(seconds[kept]) >= 0).all() and (np.diff(kept) > 0).all()


@pytest.mark.parametrize("text", ["2015-289/13:07:02.5", "2015-289T13:07:02.5Z", "2015-289 14:07:02.5+01:00"])
def test_days_of_the_year(text):
    assert to_datetime64(text) == np.datetime64("2015-10-16T13:07:02.5", "ns")
    for wrong in ("2015-366", "2015-000"):
        with pytest.raises(TimeError, match="day of the year"):
            to_datetime64(wrong)


def test_scalars_of_numpy_and_xarray():
    times = np.datetime64("2015-10-16", "ns") + np.arange(3) * np.timedelta64(1, "s")
    along = xr.DataArray(np.arange(3), {"time": times}, ("time",)).time
    for one in (along[1], times[1], np.array(times[1]), np.str_("2015-10-16T00:00:01"), np.float64(1444953601)):
        assert to_datetime64(one) == times[1] and to_spans(one) == [Span(times[1], times[1])]
    assert to_interval(along[:2]) == to_interval([along[0], along[1]]) == (times[0], times[1])
    np.testing.assert_array_equal(to_times(along), times)
    assert to_timedelta64(xr.DataArray(2.5)) == to_timedelta64(np.float32(2.5)) == np.timedelta64(2500, "ms")
