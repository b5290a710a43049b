"""Tests for benchmarks/panels: peaks, right answers and average precision on small arrays, and the other methods."""

import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.data_sets.tasks import DataUnavailable
from benchmarks.panels import cases, methods
from benchmarks.panels.measures import Events, Scored, average_precision, hits, peaks, without
from benchmarks.panels.regions import by_components, by_correlation, by_distance
from pyspedas_similarity import tplot
from pyspedas_similarity.simulate.panels import SimulatedPanels
from pyspedas_similarity.times import Span
from pyspedas_similarity.tplot import Variable

START = np.datetime64("2020-01-01", "ns")
SECOND = np.timedelta64(1, "s")


def scored(scores: list[float]) -> Scored:
    return Scored(START + np.arange(len(scores)) * SECOND, np.array(scores, float))


def events_at(places: list[int], tolerance: int, series: list[int] | None = None) -> Events:
    number = np.array(series if series is not None else [0] * len(places))
    return Events(number, START + np.array(places) * SECOND, np.full(len(places), tolerance * SECOND))


def test_peaks_are_further_apart_than_the_distance_and_best_first() -> None:
    one = scored([0, 5, 4, 3, 1, 2, np.nan, 9])
    np.testing.assert_array_equal(peaks(one, 2 * SECOND), [7, 1, 4])


def test_peaks_of_equal_scores_begin_with_the_first() -> None:
    np.testing.assert_array_equal(peaks(scored([1, 1, 1, 1]), SECOND), [0, 2])


def test_windows_near_the_query_do_not_count() -> None:
    left = without(scored([1, 2, 3, 4, 5]), START + 2 * SECOND, SECOND)
    np.testing.assert_array_equal(left.scores, [1, np.nan, np.nan, np.nan, 5])
    assert np.isnan(without(scored([1, 2]), START).scores).all()


def test_each_event_is_found_once_within_its_tolerance() -> None:
    one = scored([0, 9, 0, 8, 0, 7, 0, 0, 0, 6])
    # Peaks at 1, 3, 5 and 9, then those left of 0: the event at 2 is found by the peak at 1, and not again by 3.
    right = hits([one], events_at([2, 9], 1), SECOND)
    np.testing.assert_array_equal(right[:4], [True, False, False, True])
    assert right.sum() == 2


def test_events_count_in_their_own_series_and_peaks_are_ranked_over_all() -> None:
    pair = [scored([0, 3, 0]), scored([0, 4, 0])]
    np.testing.assert_array_equal(hits(pair, events_at([1], 0, [0]), 2 * SECOND), [False, True])


def test_a_peak_finds_the_nearest_of_two_events() -> None:
    right = hits([scored([0, 0, 9, 0, 0, 8])], events_at([0, 3], 3), 2 * SECOND)
    np.testing.assert_array_equal(right, [True, False])
    right = hits([scored([8, 0, 0, 9, 0, 0])], events_at([0, 3], 3), 2 * SECOND)
    np.testing.assert_array_equal(right, [True, True])


def test_average_precision_by_hand() -> None:
    # Right at ranks 1 and 3 of three events: (1 + 2/3) / 3.
    assert average_precision(np.array([True, False, True]), 3) == pytest.approx(5 / 9)
    assert average_precision(np.zeros(4, bool), 2) == 0
    assert average_precision(np.array([], bool), 2) == 0


def test_queries_are_the_intervals_of_median_duration() -> None:
    lengths = np.array([10, 40, 20, 21, 90])
    intervals = np.stack([np.full(5, START), START + lengths * SECOND], axis=1)
    np.testing.assert_array_equal(cases.typical(intervals), [3, 2, 1])


def test_queries_are_wider_by_a_tenth_and_tolerances_a_quarter_of_the_longer() -> None:
    starts = START + np.array([0, 100, 300]) * SECOND
    ends = starts + np.array([10, 8, 40]) * SECOND
    panels = SimulatedPanels({}, np.array(["bow_shock"] * 3), starts, ends)
    query = cases.widened(panels.of_kind("bow_shock")[0])
    assert (query.end - query.start) / SECOND == 12
    rest = cases.others(panels, "bow_shock", 0, query)
    np.testing.assert_array_equal((rest.middle - START) / SECOND, [104, 320])
    np.testing.assert_array_equal(rest.tolerance / SECOND, [3, 10])


@pytest.fixture
def planted() -> methods.Case:
    """Noise of one second cadence with a pulse at 100 s, the query, and the same pulse at 300 s."""
    values = 0.1 * np.random.default_rng(0).standard_normal((500, 3))
    pulse = np.sin(np.linspace(0, 6 * np.pi, 32))[:, None] * [1, 2, 3]
    values[100:132] += pulse
    values[300:332] += pulse
    name = tplot.write(Variable("planted", START + np.arange(500) * SECOND, values))
    other = tplot.write(Variable("other", START + np.arange(500) * SECOND, values[:, 0]))
    return methods.Case(((name, other),), Span(START + 100 * SECOND, START + 132 * SECOND))


@pytest.mark.parametrize("name", ["ours", "MASS, channels", "MASS, panels", "Euclidean", "PCA", "DTW"])
@pytest.mark.filterwarnings("ignore::numba.core.errors.NumbaWarning")
def test_each_method_finds_a_planted_event(planted: methods.Case, name: str) -> None:
    needed = {"MASS": "stumpy", "Eucl": "aeon", "DTW": "tslearn"}.get(name[:4])
    if needed:
        pytest.importorskip(needed, exc_type=ImportError)
    (found,) = (methods.OURS | methods.OTHERS)[name](planted)
    best = peaks(without(found, planted.query.middle, planted.length), planted.length // 2)[0]
    assert abs((found.times[best] - START) / SECOND - 316) <= methods.STRIDE


def test_cells_of_all_panels_have_equal_weight_in_sum(planted: methods.Case) -> None:
    (one,) = methods.gridded(planted)
    assert one.values.shape == (500, 4)
    np.testing.assert_allclose(one.weights, [1 / 3, 1 / 3, 1 / 3, 1])
    assert one.times[methods.query_row(one, planted)] == planted.query.middle


def test_normalized_windows_have_no_mean_and_unit_variance() -> None:
    windows = np.array([[[1.0, 2, 3, 4], [5, 5, 5, 5]]])
    found = methods.z_normalized(windows)
    assert found[0, 0].mean() == pytest.approx(0)
    assert found[0, 0].std() == pytest.approx(1)
    np.testing.assert_array_equal(found[0, 1], 0)


def test_scores_of_windows_agree_with_their_definitions() -> None:
    windows = np.random.default_rng(0).standard_normal((6, 2, 8))
    normal = methods.z_normalized(windows)
    expected = -np.linalg.norm(normal[2] - normal[4], axis=1).sum()
    assert by_correlation(windows)(np.array([2]))[0, 4] == pytest.approx(expected)
    scaled = (windows - windows.mean(axis=(0, 2), keepdims=True)) / windows.std(axis=(0, 2), keepdims=True)
    assert by_distance(windows)(np.array([2]))[0, 4] == pytest.approx(-np.linalg.norm(scaled[2] - scaled[4]))
    assert by_components(windows)(np.array([3]))[0, 3] == pytest.approx(1)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "stumpy", None)
    with pytest.raises(DataUnavailable, match="stumpy is not installed"):
        methods.optional("stumpy")


def test_right_answers_are_the_same_time_on_other_spacecraft_that_measured_it() -> None:
    def crossing(event: str, spacecraft: int, start: int, end: int) -> cases.Crossing:
        span = Span(START + start * SECOND, START + end * SECOND)
        return cases.Crossing(event, spacecraft, f"ev{event}_mms{spacecraft}", span)

    found = list(
        cases.sibling_cases(
            [crossing("1", 1, 0, 3), crossing("1", 2, 0, 4), crossing("1", 3, 1, 4), crossing("2", 2, 90, 93)], True
        )
    )
    event, case, events = found[0]
    assert (event, case.own, case.series[case.own], case.elsewhere) == ("1", 3, ("ev1_mms1",), True)
    # Spacecraft 3 did not measure the first second; the other event of spacecraft 2 is searched, and is wrong.
    assert [case.series[number] for number in events.series] == [("ev1_mms2",)]
    assert len(case.series) == 4
    assert ((events.middle - START) / SECOND).tolist() == [1]
    assert {event for event, _, _ in found} == {"1"}


def test_overlapping_events_of_a_spacecraft_are_joined(tmp_path: Path) -> None:
    file, velocity = {}, np.linspace(-7e4, 7e4, 141)
    for number in range(1, 11):
        for spacecraft in range(1, 5):
            key, first = f"ev{number:02d}_mms{spacecraft}", 10 * number
            file[f"{key}_orig_f"] = np.full((15, 141), float(number))
            file[f"{key}_orig_tt2000"] = 10**9 * (first + np.arange(15))
            file[f"{key}_v_kms"] = velocity
    (tmp_path / "mms").mkdir()
    np.savez(tmp_path / cases.REDUCED_FILE, **file)
    crossings = cases.read_crossings(tmp_path)
    # Eight groups of events on four spacecraft, less the copy.
    assert len(crossings) == 31
    (joined,) = [one for one in crossings if (one.event, one.spacecraft) == ("6-8", 1)]
    values = tplot.read(joined.name).values
    assert values.shape == (35, 141)
    assert np.unique(values).tolist() == [6, 7, 8]
