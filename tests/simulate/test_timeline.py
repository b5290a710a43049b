from __future__ import annotations

import itertools

import numpy as np
import pytest

from pyspedas_similarity.errors import ArgumentError, TimeError
from pyspedas_similarity.simulate.timeline import (
    Episode,
    draw_episodes,
    kind_at,
    presence,
    random_streams,
    sample_times,
    start_and_duration,
)

START = np.datetime64("2015-10-16T13:05:00.000000001", "ns")


def test_sample_times_are_exact_and_end_before_the_end():
    times = sample_times(START, 0.95, np.timedelta64(150, "ms"))
    assert (times - START).astype(int).tolist() == [i * 150_000_000 for i in range(7)]
    assert sample_times(START, 0.9, np.timedelta64(150, "ms")).size == 6


def test_an_empty_time_range_is_named():
    with pytest.raises(TimeError, match="trange: it is empty: it starts and ends at 2020-01-01"):
        start_and_duration(["2020-01-01", "2020-01-01"])
    assert start_and_duration(["2020-01-01", "2020-01-01/00:00:00.5"]) == (np.datetime64("2020-01-01"), 0.5)


@pytest.mark.parametrize("duration", [0.0, -1.0, np.nan, np.inf])
def test_no_duration_is_refused(duration: float):
    with pytest.raises(ArgumentError, match="duration_s"):
        sample_times(START, duration, np.timedelta64(3, "s"))


@pytest.mark.parametrize("seed", [-1, 1.5, "1", True, None])
def test_what_is_no_seed_is_refused(seed: object):
    with pytest.raises(ArgumentError, match="seed"):
        random_streams(seed, 2)


def test_streams_differ_from_each_other_and_come_again():
    first, second = (rng.random(4) for rng in random_streams(5, 2))
    again, _ = (rng.random(4) for rng in random_streams(5, 2))
    assert not np.array_equal(first, second)
    assert np.array_equal(first, again)


def test_episodes_have_lengths_within_their_range_and_cover_the_duration():
    lengths = {"a": (2.0, 3.0), "b": (7.0, 9.0)}
    episodes = draw_episodes(itertools.cycle("ab"), lengths, 100.0, np.random.default_rng(0))
    drawn = np.diff([episode.start_s for episode in episodes])
    assert [episode.kind for episode in episodes[:4]] == ["a", "b", "a", "b"]
    assert ((drawn[::2] >= 2) & (drawn[::2] <= 3)).all() and ((drawn[1::2] >= 7) & (drawn[1::2] <= 9)).all()
    assert episodes[0].start_s == 0 and episodes[-1].start_s > 100


def test_shares_sum_to_one_and_are_half_and_half_at_the_change():
    episodes = (Episode("a", 0.0), Episode("b", 10.0), Episode("c", 20.0))
    times_s = np.array([0.0, 5.0, 10.0, 15.0, 20.0, 40.0])
    share = presence(episodes, times_s, 1.0)
    np.testing.assert_allclose(share.sum(axis=0), 1.0, atol=1e-12)
    np.testing.assert_allclose(share[:2, 2], 0.5, atol=1e-6)
    np.testing.assert_allclose(share[1, 3], 1.0, atol=1e-3)
    assert kind_at(episodes, share)[[0, 1, 3, 5]].tolist() == ["a", "a", "b", "c"]
