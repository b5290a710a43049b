"""The rule that makes intervals, against a plain loop and by its promises."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pyspedas_similarity.search.events import find_events, outside
from pyspedas_similarity.times import Span, sample_ends

SECOND = np.timedelta64(1_000_000_000, "ns")
START = np.datetime64("2016-12-31T23:59:30", "ns")


def at(*seconds):
    return START + np.array(seconds) * SECOND


def plain_rule(times, scores, threshold, gap):
    """The documented rule as a loop: (first, last) index of every interval, in time order."""
    runs = []
    for i, score in enumerate(scores):
        if not score >= threshold:
            continue
        if runs and times[i] - times[runs[-1][-1]] <= gap:
            runs[-1].append(i)
        else:
            runs.append([i])
    return runs


@given(
    st.lists(st.one_of(st.just(float("nan")), st.floats(-1, 1)), min_size=2, max_size=60),
    st.floats(-1, 1),
    st.integers(2, 9),
)
def test_intervals_are_those_of_the_plain_rule(scores, threshold, gap):
    scores = np.array(scores)
    times = at(*range(len(scores)))
    found = find_events(times, scores, threshold, gap * SECOND)
    runs = plain_rule(times, scores, threshold, gap * SECOND)
    assert sorted(found.start) == [times[run[0]] for run in runs]
    assert sorted(found.end) == [times[run[-1]] + SECOND for run in runs]
    assert sorted(found.n_samples) == sorted(len(run) for run in runs)
    assert sorted(found.score) == sorted(max(scores[run]) for run in runs)
    assert (np.diff(found.score) <= 0).all()
    np.testing.assert_array_equal(scores[np.searchsorted(times, found.peak)], found.score)


def test_neighboring_samples_join_even_without_a_gap_allowed():
    scores = np.array([0, 1, 1, 0, 1.0])
    found = find_events(at(0, 1, 2, 3, 4), scores, 0.5, 0 * SECOND)
    assert sorted(found.start) == list(at(1, 4))


def test_an_interval_ends_with_its_last_sample_and_not_in_the_gap_behind_it():
    times = at(0, 1, 2, 60, 61)
    np.testing.assert_array_equal(sample_ends(times), at(1, 2, 3, 61, 62))
    found = find_events(times, np.array([0, 0, 1, 0, 0.5]), 0.4, 5 * SECOND)
    assert list(found.end) == list(at(3, 62))


def test_irregular_samples_touch_without_overlap():
    times = at(0, 1, 2) + np.array([0, 7, 0]) * np.timedelta64(1, "ns")
    np.testing.assert_array_equal(sample_ends(times)[:2], times[1:])


def test_nothing_above_the_threshold_is_nothing():
    found = find_events(at(0, 1, 2), np.array([0.1, np.nan, 0.2]), 0.5, SECOND)
    assert len(found) == 0 and found.start.dtype == "datetime64[ns]"


def test_outside_leaves_out_both_sides_of_every_seed():
    times = at(*range(10))
    spans = [Span(times[2], times[2]), Span(times[6], times[7])]
    assert list(outside(times, spans, SECOND)) == [True, False, False, False, True, False, False, False, False, True]
    assert outside(times, [], SECOND).all()
