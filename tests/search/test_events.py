"""The rule that makes intervals, and events around peaks: by hand, against loops, and by their promises."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pyspedas_similarity.search.events import find_events, outside, own_event, peak_events
from pyspedas_similarity.search.scoring import ScoreScale
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


SCALE = ScoreScale(0.0, 0.1)


def seconds(times):
    return ((times - START) / SECOND).tolist()


def events(scores, own=(), gap=0, **options):
    scores = np.array(scores, float)
    mask = np.isin(np.arange(len(scores)), own)
    return peak_events(at(*range(len(scores))), np.where(mask, np.nan, scores), mask, SCALE, gap * SECOND, **options)


def own_rows(scores, query, gap=0, scale=SCALE):
    times = at(*range(len(scores)))
    return np.flatnonzero(
        own_event(times, np.array(scores, float), [Span(times[query], times[query])], scale, gap * SECOND)
    )


def test_an_event_ends_below_half_of_its_peak_and_a_lower_peak_is_an_event_where_the_score_falls_below_half_of_it():
    #                0    1    2    3    4    5     6    7    8    9   10
    found = events([0.0, 0.3, 0.5, 0.9, 0.6, 0.41, 0.7, 0.2, 0.1, 0.3, 0.0])
    # The dip of 0.41 is above half of 0.7, so that both are one event; it ends at 0.45, half of its peak of 0.9.
    assert seconds(found.peak) == [3, 9] and found.score.tolist() == [0.9, 0.3]
    assert seconds(found.start) == [2, 9] and seconds(found.end) == [5, 10]
    assert found.n_samples.tolist() == [3, 1]
    deeper = events([0.0, 0.3, 0.5, 0.9, 0.6, 0.34, 0.7, 0.2, 0.1, 0.3, 0.0])
    assert seconds(deeper.peak) == [3, 6, 9] and seconds(deeper.start) == [2, 6, 9]


def test_the_extent_of_an_event_follows_its_own_peak_however_many_are_asked_for():
    scores = np.full(200, 0.05)
    scores[90:100] = 0.9
    scores[20], scores[150] = 0.12, 0.11
    for k in (1, 3, 50):
        found = events(scores, k=k)
        assert len(found) == min(k, 3)
        assert seconds(found.start[:1]) == [90] and seconds(found.end[:1]) == [100]
    assert found.n_samples.max() == 10


def test_dips_and_gaps_shorter_than_asked_for_do_not_end_an_event():
    scores = [0, 0.9, 0.8, 0.0, 0.8, 0, 0, 0, 0.7, 0]
    assert seconds(events(scores, gap=2).end) == [5, 9]
    assert seconds(events(scores, gap=4).end) == [9]
    scores[3] = np.nan
    assert events(scores, gap=2).n_samples.tolist() == [3, 1]
    assert seconds(events(scores, gap=1).start) == [1, 4, 8]


def test_a_threshold_is_what_a_peak_reaches_and_where_an_event_ends():
    scores = [0, 0.5, 0.8, 0.9, 0.6, 0, 0.7, 0]
    found = events(scores, threshold=0.7)
    assert found.score.tolist() == [0.9, 0.7] and found.n_samples.tolist() == [2, 1]
    assert events(scores, threshold=0.91).start.tolist() == []


def test_peaks_of_the_same_height_share_an_event_if_the_score_stays_above_half_of_it():
    found = events([0.0, 1.0, 0.6, 1.0, 0.0, 0.0])
    assert seconds(found.start) == [1] and seconds(found.end) == [4] and found.n_samples.tolist() == [3]
    assert seconds(events([0.0, 1.0, 0.4, 1.0, 0.0, 0.0]).peak) == [1, 3]


def test_no_event_is_on_the_slope_of_the_query_s_own():
    scores = [0.0, 0.0, 0.2, 0.5, 1.0, 0.6, 0.45, 0.2, 0.0, 0.8, 0.0]
    found = events(scores, own=[4])
    assert seconds(found.peak) == [9]


def test_the_own_event_reaches_down_to_the_background_on_both_sides():
    #         0    1    2    3    4    5    6    7     8    9
    scores = [0.0, 0.8, 0.0, 0.2, 0.5, 1.0, 0.6, 0.15, 0.0, 0.9]
    assert own_rows(scores, 5).tolist() == [3, 4, 5, 6, 7]
    assert own_rows(scores, 5, gap=3).tolist() == list(range(1, 10))  # dips of two samples are shorter than the gap
    # 0.3 is above the background, but less than half of the next peak: the own event ends at the lowest score.
    assert own_rows([1.0, 0.6, 0.3, 0.35, 0.9, 0.0], 0).tolist() == [0, 1]
    assert own_rows([1.0, 0.6, 0.46, 0.6, 0.9, 0.0], 0).tolist() == [0, 1, 2, 3, 4]


def test_the_own_event_ends_at_a_gap_in_the_data():
    times = at(0, 1, 2, 60, 61)
    own = own_event(times, np.array([0.9, 1, 0.9, 0.9, 0.9]), [Span(times[1], times[1])], SCALE, SECOND)
    assert own.tolist() == [True, True, True, False, False]


@given(
    st.lists(st.one_of(st.just(float("nan")), st.floats(-1, 1)), min_size=2, max_size=60),
    st.integers(0, 59),
    st.integers(0, 5),
)
def test_events_lie_apart_from_each_other_and_from_the_own_event(scores, query, gap):
    scores, times = np.array(scores), at(*range(len(scores)))
    span = Span(times[query % len(times)], times[query % len(times)])
    scale = ScoreScale.of(scores)
    own = own_event(times, scores, [span], scale, gap * SECOND)
    found = peak_events(times, np.where(own, np.nan, scores), own, scale, gap * SECOND)
    assert own[query % len(times)] and (np.diff(found.score) <= 0).all()
    order = np.argsort(found.start)
    assert (found.end[order][:-1] <= found.start[order][1:]).all()
    for start, end, peak, score in zip(found.start, found.end, found.peak, found.score, strict=True):
        inside = (times >= start) & (times < end)
        assert not own[inside].any() and np.nanmax(scores[inside]) == score == scores[times == peak][0]
        assert score > scale.middle or len(found) == 1


def test_the_highest_score_outside_the_own_event_is_always_an_event():
    rng = np.random.default_rng(0)
    for _ in range(50):
        scores = np.clip(rng.normal(0, 0.2, 300), -1, 1)
        found = events(scores, own=[0], k=10)
        assert len(found) == 10 and found.score[0] == scores[1:].max()
