"""Overlap of time intervals: arithmetic on sorted starts and ends."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Intervals:
    """Events by their starts; an instant is one that ends where it starts.

    Attributes
    ----------
    start, end : numpy.ndarray of datetime64[ns], shape (n,)
    """

    start: np.ndarray
    end: np.ndarray

    def __len__(self) -> int:
        return len(self.start)

    @property
    def seconds(self) -> float:
        """Sum of their lengths; of time that two of them share, twice."""
        return float((self.end - self.start).sum() / np.timedelta64(1, "s")) if len(self) else 0.0

    def widened(self, by: np.timedelta64) -> Intervals:
        """Return the intervals extended at both ends."""
        return Intervals(self.start - by, self.end + by)


def merged(intervals: Intervals, touching: bool = False) -> tuple[Intervals, np.ndarray]:
    """Join intervals that share time, and instants with what they lie in.

    Parameters
    ----------
    intervals : Intervals
        In any order.
    touching : bool
        Also join an interval with one that begins where it ends.

    Returns
    -------
    intervals : Intervals, of length m
        Ascending, without overlap.
    group : numpy.ndarray of int64, shape (n,)
        Which of them each interval went into.
    """
    if not len(intervals):
        return intervals, np.zeros(0, np.int64)
    order = np.lexsort((intervals.end, intervals.start))
    start, end = intervals.start[order], intervals.end[order]
    begins, reached = start[1:], np.maximum.accumulate(end)[:-1]
    apart = begins > reached if touching else (begins > reached) | _touching_only(start, end)
    first = np.append(0, np.flatnonzero(apart) + 1)
    group = np.empty(len(order), np.int64)
    group[order] = np.cumsum(np.append(0, apart))
    return Intervals(start[first], np.maximum.reduceat(end, first)), group


def pairs(one: Intervals, other: Intervals) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the intervals that share time; an instant shares it with what it lies in, ends included.

    Parameters
    ----------
    one : Intervals, of length n
        In any order.
    other : Intervals, of length m
        Starts ascending.

    Returns
    -------
    i, j : numpy.ndarray of int64, shape (k,)
        Rows of `one` and of `other`, ascending.
    """
    first = np.searchsorted(np.maximum.accumulate(other.end), one.start, side="left")
    after = np.maximum(np.searchsorted(other.start, one.end, side="right"), first)
    i = np.repeat(np.arange(len(one)), after - first)
    j = np.arange(len(i)) - np.repeat(np.cumsum(after - first) - (after - first), after - first) + first[i]
    strict = (one.start[i] < other.end[j]) & (other.start[j] < one.end[i])
    closed = (one.start[i] <= other.end[j]) & (other.start[j] <= one.end[i])
    instant = (one.start[i] == one.end[i]) | (other.start[j] == other.end[j])
    keep = strict | (closed & instant)
    return i[keep], j[keep]


def shared(one: Intervals, other: Intervals) -> Intervals:
    """The time that lies in both; both ascending and each without overlap."""
    i, j = pairs(one, other)
    return Intervals(np.maximum(one.start[i], other.start[j]), np.minimum(one.end[i], other.end[j]))


def inside(times: np.ndarray, intervals: Intervals) -> np.ndarray:
    """Return which times lie in one of ascending intervals without overlap, ends included: bool, shape (n,)."""
    if not len(intervals):
        return np.zeros(len(times), bool)
    last = np.searchsorted(intervals.start, times, side="right") - 1
    return (last >= 0) & (times <= intervals.end[np.maximum(last, 0)])


def _touching_only(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Return which ascending intervals, but the first, begin where earlier ones end, both with a length."""
    has_length = end > start
    before = start[0] - np.timedelta64(1, "ns")
    reached = np.maximum.accumulate(np.where(has_length, end, before))[:-1]
    furthest = np.maximum.accumulate(end)[:-1]
    return has_length[1:] & (start[1:] == reached) & (reached == furthest)
