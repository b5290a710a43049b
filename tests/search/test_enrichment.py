"""The interval of the enrichment against published values; arithmetic on intervals against brute force."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyspedas_similarity.search.enrichment import Counts, Intervals, binomial, bootstrap, inside, merged, pairs, shared


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


LISTS = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 6)), max_size=12)


def stretches(intervals):
    start, length = np.array(intervals, np.int64).reshape(-1, 2).T
    return Intervals(start.astype("datetime64[ns]"), (start + length).astype("datetime64[ns]"))


def as_pairs(one):
    return list(zip(one.start.astype(int).tolist(), one.end.astype(int).tolist(), strict=True))


def share_time(a, b):
    if a[0] == a[1] or b[0] == b[1]:
        return a[0] <= b[1] and b[0] <= a[1]
    return a[0] < b[1] and b[0] < a[1]


def ascending(one):
    order = np.argsort(one.start, kind="stable")
    return Intervals(one.start[order], one.end[order])


@given(LISTS, LISTS)
@settings(max_examples=300, deadline=None)
def test_pairs_are_those_that_share_time(a, b):
    one, other = stretches(a), ascending(stretches(b))
    i, j = pairs(one, other)
    expected = [(i, j) for i, x in enumerate(as_pairs(one)) for j, y in enumerate(as_pairs(other)) if share_time(x, y)]
    assert list(zip(i.tolist(), j.tolist(), strict=True)) == expected


@given(LISTS)
@settings(max_examples=300, deadline=None)
def test_merging_is_joining_all_that_share_time_step_by_step(a):
    given = stretches(a)
    found, group = merged(given)
    blocks = [[one, {k}] for k, one in enumerate(as_pairs(given))]
    again = True
    while again:
        again = False
        for x in range(len(blocks)):
            for y in range(x + 1, len(blocks)):
                if share_time(blocks[x][0], blocks[y][0]):
                    (p, q), rows = blocks[x][0], blocks[x][1] | blocks[y][1]
                    r, s = blocks[y][0]
                    blocks[x] = [(min(p, r), max(q, s)), rows]
                    del blocks[y]
                    again = True
                    break
            if again:
                break
    # An instant where two intervals touch belongs to either: only the number of its block is then free.
    assert as_pairs(found) == sorted(block for block, _ in blocks)
    for row, one in enumerate(as_pairs(given)):
        block = as_pairs(found)[group[row]]
        assert block[0] <= one[0] and one[1] <= block[1]


def test_touching_intervals_are_two_unless_asked_otherwise():
    contiguous = stretches([(0, 5), (5, 5)])
    assert as_pairs(merged(contiguous)[0]) == [(0, 5), (5, 10)]
    assert as_pairs(merged(contiguous, touching=True)[0]) == [(0, 10)]
    # The instant at 7 has no length, so that what begins there joins it.
    assert as_pairs(merged(stretches([(0, 2), (7, 0), (7, 3)]))[0]) == [(0, 2), (7, 10)]


@given(LISTS, LISTS)
@settings(max_examples=200, deadline=None)
def test_shared_time_second_by_second(a, b):
    one, other = (merged(stretches(x), touching=True)[0] for x in (a, b))
    # Half-way between whole numbers, no end is met.
    seconds = np.arange(40) + 0.5
    covered = [[any(p <= s <= q for p, q in as_pairs(x)) for s in seconds] for x in (one, other)]
    expected = int(np.logical_and(*covered).sum())
    assert shared(one, other).seconds == pytest.approx(expected * 1e-9)


@given(LISTS, st.lists(st.integers(0, 40), max_size=10))
@settings(max_examples=200, deadline=None)
def test_inside_takes_both_ends(a, times):
    one = merged(stretches(a))[0]
    found = inside(np.array(times, "datetime64[ns]"), one)
    assert found.tolist() == [any(p <= t <= q for p, q in as_pairs(one)) for t in times]


def test_nothing_meets_nothing():
    none = stretches([])
    assert len(merged(none)[0]) == 0 and none.seconds == 0
    assert [len(one) for one in pairs(none, stretches([(0, 5)]))] == [0, 0]
    assert [len(one) for one in pairs(stretches([(0, 5)]), none)] == [0, 0]
    assert inside(np.array([1], "datetime64[ns]"), none).tolist() == [False]
