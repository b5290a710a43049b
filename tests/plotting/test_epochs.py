"""Superposed epochs beside what is computed by hand, with gaps, edges and few events."""

from __future__ import annotations

import numpy as np
import pytest

from pyspedas_similarity.errors import ArgumentError, VariableError
from pyspedas_similarity.plotting.epochs import epochs_figure, overlapping, superpose
from pyspedas_similarity.tplot import Variable

START = np.datetime64("2016-12-31T23:59:50.000000007", "ns")
SECOND = np.timedelta64(10**9, "ns")


def at(seconds):
    return START + (np.asarray(seconds, float) * 1e9).astype("timedelta64[ns]")


def line(values, every=1.0):
    values = np.asarray(values, float)
    return Variable("line", at(np.arange(len(values)) * every), values, {}, {"data_att": {"units": "nT"}})


def by_hand(values, events, offsets):
    """Of each offset, the quartiles over the events whose sample is there."""
    found = []
    for offset in offsets:
        there = [
            values[e + offset] for e in events if 0 <= e + offset < len(values) and np.isfinite(values[e + offset])
        ]
        found.append(np.percentile(there, (25, 50, 75)) if there else [np.nan] * 3)
    return np.array(found).T


def test_quartiles_are_those_of_the_samples_at_each_offset():
    values = np.random.default_rng(0).standard_normal(300)
    events = np.array([50, 90, 130, 200, 260])
    found = superpose(line(values), at(events), (10 * SECOND, 5 * SECOND))
    offsets = np.arange(-10, 6)
    np.testing.assert_allclose(found.seconds, offsets)
    lower, median, upper = by_hand(values, events, offsets)
    np.testing.assert_allclose(found.median[:, 0], median)
    np.testing.assert_allclose(found.lower[:, 0], lower)
    np.testing.assert_allclose(found.upper[:, 0], upper)
    assert (found.n_events == 5).all() and found.unit == "nT" and found.axis is None


def test_edges_and_gaps_leave_fewer_events_and_none_are_made_up():
    values = np.random.default_rng(1).standard_normal(100)
    values[40:44] = np.nan
    events = np.array([3, 42, 98])
    found = superpose(line(values), at(events), (5 * SECOND, 5 * SECOND))
    offsets = np.arange(-5, 6)
    expected = [sum(0 <= e + o < 100 and np.isfinite(values[e + o]) for e in events) for o in offsets]
    assert found.n_events.tolist() == expected and (min(expected), max(expected)) == (2, 3)
    np.testing.assert_allclose(found.median[:, 0], by_hand(values, events, offsets)[1])
    # Samples that are not there at all do as NaN does.
    kept = np.isfinite(values)
    lacking = Variable("line", at(np.flatnonzero(kept)), values[kept])
    again = superpose(lacking, at(events), (5 * SECOND, 5 * SECOND), SECOND)
    np.testing.assert_array_equal(again.n_events, found.n_events)
    np.testing.assert_allclose(again.median, found.median)


def test_a_bin_without_any_sample_is_nan():
    found = superpose(line(np.arange(20.0)), at([18]), (2 * SECOND, 4 * SECOND))
    assert found.n_events.tolist() == [1, 1, 1, 1, 0, 0, 0]
    np.testing.assert_array_equal(found.median[:, 0], [16, 17, 18, 19, np.nan, np.nan, np.nan])


def test_events_weigh_the_same_however_many_samples_they_have():
    # One event sampled every second, the other every quarter, in bins of a second.
    times = np.concatenate([at(np.arange(0, 10)), at(np.arange(100, 110, 0.25))])
    values = np.concatenate([np.full(10, 1.0), np.full(40, 3.0)])
    found = superpose(Variable("line", times, values), at([5, 105]), (2 * SECOND, 2 * SECOND), SECOND)
    np.testing.assert_allclose(found.median, 2.0)
    assert (found.n_events == 2).all()


def test_jitter_of_the_times_does_not_move_samples_to_other_bins():
    rng = np.random.default_rng(4)
    values = rng.standard_normal(200)
    times = at(np.arange(200.0)) + rng.integers(-1000, 1000, 200).astype("timedelta64[us]")
    found = superpose(Variable("line", times, values), times[[50, 120]], (4 * SECOND, 4 * SECOND), SECOND)
    assert (found.n_events == 2).all()
    np.testing.assert_allclose(found.median[:, 0], (values[46:55] + values[116:125]) / 2)


def test_a_spectrogram_keeps_its_axis_and_vectors_their_names():
    values = np.random.default_rng(2).random((100, 3))
    tables = np.tile([10.0, 100.0, 1000.0], (100, 1)) * (1 + 0.1 * (np.arange(100) % 2))[:, None]
    window = (3 * SECOND, 3 * SECOND)
    spectrum = superpose(Variable("spectrum", line(values[:, 0]).times, values, {"v": tables}), at([30, 60]), window)
    np.testing.assert_allclose(spectrum.axis, [10.5, 105, 1050])
    np.testing.assert_allclose(spectrum.median[3], (values[30] + values[60]) / 2)
    vector = Variable("vector", line(values[:, 0]).times, values)
    assert superpose(vector, at([30]), window).components == ("component 0", "component 1", "component 2")
    assert superpose(vector, at([30]), window, None, ["Bx", "By", "Bz"]).components == ("Bx", "By", "Bz")


def test_the_table_has_the_numbers():
    table = superpose(line(np.arange(50.0)), at([20, 30]), (2 * SECOND, 2 * SECOND)).table()
    assert table.colnames == ["seconds", "median", "lower", "upper", "n_events"] and table.meta["units"] == "nT"
    np.testing.assert_allclose(table["median"], [23, 24, 25, 26, 27])
    assert str(table["seconds"].unit) == "s"


def test_overlapping_windows_are_counted():
    times = at([100, 0, 15, 60])
    assert overlapping(times, 10 * SECOND, 10 * SECOND) == 1
    assert overlapping(times, 10 * SECOND, 5 * SECOND) == 0


def test_thousands_of_events():
    rng = np.random.default_rng(3)
    values = rng.standard_normal(200_000)
    events = rng.integers(100, 199_900, 5000)
    found = superpose(line(values), at(events), (50 * SECOND, 50 * SECOND))
    assert (found.n_events == 5000).all() and len(found.seconds) == 101
    np.testing.assert_allclose(found.median[50, 0], np.median(values[events]))


def test_too_few_events_have_no_quartiles_drawn_and_it_is_told():
    window = (5 * SECOND, 5 * SECOND)
    few = epochs_figure([superpose(line(np.arange(100.0)), at([20, 40]), window)], 2)
    assert "quartiles need 4 events" in few.get_suptitle() and not _band(few)
    many = epochs_figure([superpose(line(np.arange(100.0)), at([20, 40, 60, 80]), window)], 4)
    assert "median and quartiles" in many.get_suptitle() and _band(many)
    lost = epochs_figure([superpose(line(np.arange(100.0)), at([20, 4000]), window)], 2)
    assert "1 of 2 events" in lost.get_suptitle()


def _band(figure):
    """Whether anything of a band has an area."""
    paths = [path.vertices for band in figure.axes[0].collections for path in band.get_paths()]
    return any(np.isfinite(one).all() and len(one) for one in paths)


def test_bad_input_is_refused():
    window = (5 * SECOND, 5 * SECOND)
    with pytest.raises(VariableError, match="none of 2 events has a sample"):
        superpose(line(np.arange(9.0)), at([500, 600]), window)
    with pytest.raises(VariableError, match=r"\(9, 2, 2\)"):
        superpose(Variable("frames", at(np.arange(9)), np.zeros((9, 2, 2))), at([3]), window)
    with pytest.raises(VariableError, match="times go back"):
        superpose(Variable("line", at([3, 2, 1]), np.zeros(3)), at([2]), window)
    with pytest.raises(ArgumentError, match="step"):
        superpose(line(np.arange(9.0)), at([3]), window, np.timedelta64(1, "ns"))
