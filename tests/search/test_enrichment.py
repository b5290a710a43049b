"""The interval of the enrichment: against published values, and how often it holds what is true."""

import numpy as np
import pytest

from pyspedas_similarity.search.enrichment import Counts, binomial, bootstrap


def counts(matches, inside, searched=(1000.0,), events=(100.0,)):
    return Counts(*(np.atleast_1d(np.asarray(one)) for one in (matches, inside, searched, events)))


def test_clopper_and_pearson_as_published():
    # 3 of 10 at 95 %: 0.0667 to 0.6525, in any table of exact binomial limits; the base rate is a tenth.
    found = binomial(counts([10], [3]), 0.95)
    assert found.value == pytest.approx(3.0) and found.share == 0.3 and found.base_rate == 0.1
    assert (found.low, found.high) == (pytest.approx(0.667, abs=5e-4), pytest.approx(6.525, abs=5e-4))
    assert binomial(counts([10], [0]), 0.95).low == 0
    assert binomial(counts([10], [10]), 0.95).high == pytest.approx(10)
    # None of n: the upper limit is 1 - 0.025 ** (1 / n).
    assert binomial(counts([10], [0]), 0.95).high == pytest.approx(10 * (1 - 0.025**0.1))


@pytest.mark.parametrize("method", [binomial, lambda c, level: bootstrap(c, level, 0)], ids=["binomial", "bootstrap"])
@pytest.mark.parametrize("given", [counts([0], [0]), counts([5], [0], [1000.0], [0.0]), counts([], [], [], [])])
def test_what_cannot_be_known_is_nan(method, given):
    found = method(given, 0.95)
    assert np.isnan([found.value, found.low, found.high]).all()


def test_stretches_that_are_all_alike_leave_no_doubt():
    alike = counts([4] * 6, [2] * 6, [100.0] * 6, [10.0] * 6)
    found = bootstrap(alike, 0.95, seed=1)
    assert found.value == pytest.approx(5) and found.low == pytest.approx(5) and found.high == pytest.approx(5)


def test_the_same_seed_is_the_same_interval():
    rng = np.random.default_rng(0)
    given = counts(rng.integers(0, 9, 20), rng.integers(0, 2, 20), np.full(20, 100.0), rng.uniform(1, 20, 20))
    first, again, other = (bootstrap(given, 0.9, seed) for seed in (3, 3, 4))
    assert first == again and (first.low, first.high) != (other.low, other.high)
    assert first.low < first.value < first.high


def test_without_any_relation_the_intervals_hold_one():
    rng = np.random.default_rng(5)
    n, base = 40, 0.15
    held = 0
    for _ in range(400):
        found = binomial(counts([n], [rng.binomial(n, base)], [1000.0], [1000.0 * base]), 0.95)
        held += found.low <= 1 <= found.high
    assert held / 400 >= 0.95


def test_matches_in_groups_need_the_bootstrap():
    """Ten matches at a time lie in an event or not: as if there were a tenth as many."""
    rng = np.random.default_rng(6)
    held = {"binomial": 0, "bootstrap": 0}
    for trial in range(200):
        inside = 10 * (rng.random(60) < 0.3)
        given = counts(np.full(60, 10), inside, np.full(60, 100.0), np.full(60, 30.0))
        for name, found in (("binomial", binomial(given, 0.95)), ("bootstrap", bootstrap(given, 0.95, trial))):
            held[name] += found.low <= 1 <= found.high
    assert held["bootstrap"] / 200 > 0.88 and held["binomial"] / 200 < 0.6


def test_it_says_what_it_is():
    assert str(binomial(counts([10], [3]), 0.95)) == (
        "enrichment 3 (95 % interval 0.667 to 6.52, binomial; 3 of 10 matches against 0.1 of the searched time)"
    )
