"""Physical positives: each sample's partners are those that a plain loop over all samples finds."""

from __future__ import annotations

import numpy as np
import pytest

from pyspedas_similarity.encoder.training_images import next_in_time, same_time
from pyspedas_similarity.errors import ArgumentError

START = np.datetime64("2015-10-16T13:06", "ns")


def ms(number: float) -> np.timedelta64:
    return np.timedelta64(int(number), "ms")


@pytest.fixture
def samples():
    """300 samples of three sources at random times, some of them equal, in random order."""
    rng = np.random.default_rng(2)
    times = START + rng.integers(0, 400, 300) * ms(30)
    return times, rng.choice(["gill", "rank", "fsmi"], 300)


def test_next_in_time_is_the_first_later_sample_of_the_group(samples):
    times, group = samples
    found = next_in_time(times, group, ms(120))
    assert found.shape == (300, 1) and (found >= 0).mean() > 0.2 and (found < 0).mean() > 0.05
    for row, partner in enumerate(found[:, 0]):
        later = (group == group[row]) & (times > times[row]) & (times <= times[row] + ms(120))
        assert (partner >= 0) == later.any()
        if partner >= 0:
            assert later[partner] and times[partner] == times[later].min()


def test_same_time_is_the_nearest_sample_of_each_other_source(samples):
    times, source = samples
    found = same_time(times, source, ms(60))
    names = np.unique(source)
    assert found.shape == (300, 3) and 0.1 < (found >= 0).mean() < 0.66
    for row in range(300):
        for column, name in enumerate(names):
            away = np.abs(times - times[row])[source == name].min()
            expected = name != source[row] and away <= ms(60)
            partner = found[row, column]
            assert (partner >= 0) == expected
            if expected:
                assert source[partner] == name and abs(times[partner] - times[row]) == away


def test_one_source_or_no_sample_has_no_partners():
    times = START + np.arange(3) * ms(30)
    np.testing.assert_array_equal(same_time(times, np.array(["1"] * 3), ms(30)), np.full((3, 1), -1))
    assert next_in_time(times[:0], times[:0], ms(30)).shape == (0, 1)
    assert same_time(times[:0], np.array([], str), ms(30)).shape == (0, 0)
    np.testing.assert_array_equal(next_in_time(times, np.zeros(3), ms(30))[:, 0], [1, 2, -1])


@pytest.mark.parametrize(
    ("call", "subject"),
    [
        (lambda t: next_in_time(t.astype(float), np.zeros(3), ms(1)), "times"),
        (lambda t: next_in_time(np.array([np.datetime64("NaT", "ns")]), np.zeros(1), ms(1)), "times"),
        (lambda t: next_in_time(t, np.zeros(2), ms(1)), "group"),
        (lambda t: next_in_time(t, np.zeros(3), 3.0), "lag"),
        (lambda t: next_in_time(t, np.zeros(3), ms(0)), "lag"),
        (lambda t: same_time(t, np.zeros(3), ms(-1)), "tolerance"),
    ],
)
def test_bad_input_is_named(call, subject):
    with pytest.raises(ArgumentError, match=subject):
        call(START + np.arange(3) * ms(30))
