"""Arithmetic on intervals against brute force: every pair looked at, every second counted."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyspedas_similarity.search.enrichment import Intervals, inside, merged, pairs, shared

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
