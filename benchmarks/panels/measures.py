"""Measures of a search that returns scores along time: its peaks are compared with known events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Events:
    """Known events (m,) that a query should find: series they are in, middle, largest distance of a peak from it."""

    series: np.ndarray
    middle: np.ndarray
    tolerance: np.ndarray


@dataclass(frozen=True, eq=False)
class Scored:
    """Scores of the windows of one series: ``times`` of their middles, ascending, and ``scores``, NaN where unknown."""

    times: np.ndarray
    scores: np.ndarray


def peaks(scored: Scored, apart: np.timedelta64) -> np.ndarray:
    """Return rows of peaks, best first: the best window, then the best that is further than `apart` from all before."""
    first = np.searchsorted(scored.times, scored.times - apart)
    after = np.searchsorted(scored.times, scored.times + apart, side="right")
    left = np.isfinite(scored.scores)
    found = []
    for row in np.argsort(-scored.scores, kind="stable"):
        if left[row]:
            found.append(row)
            left[first[row] : after[row]] = False
    return np.array(found, int)


def without(scored: Scored, middle: np.datetime64, distance: np.timedelta64 | None = None) -> Scored:
    """Return scores with NaN within a distance of the query, or with NaN only."""
    if distance is None:
        return Scored(scored.times, np.full(len(scored.times), np.nan))
    near = np.abs(scored.times - middle) <= distance
    return Scored(scored.times, np.where(near, np.nan, scored.scores))


def hits(searched: Sequence[Scored], events: Events, apart: np.timedelta64) -> np.ndarray:
    """Return which peaks of all series, best first, are right: bool (n,).

    A peak is right if it lies within the tolerance of an event that no better peak has found.
    """
    parts = [
        (number, one.times[rows], one.scores[rows])
        for number, one in enumerate(searched)
        for rows in [peaks(one, apart)]
    ]
    series = np.concatenate([np.full(len(times), number) for number, times, _ in parts])
    times = np.concatenate([times for _, times, _ in parts])
    order = np.argsort(-np.concatenate([scores for _, _, scores in parts]), kind="stable")
    left, right = np.ones(len(events.middle), bool), np.zeros(len(order), bool)
    for rank, row in enumerate(order):
        distance = np.abs(events.middle - times[row])
        near = np.flatnonzero(left & (events.series == series[row]) & (distance <= events.tolerance))
        if len(near):
            left[near[distance[near].argmin()]] = False
            right[rank] = True
    return right


def average_precision(right: np.ndarray, number: int) -> float:
    """Return the mean of the precision at each right peak over the number of events, 0 for those not found."""
    precision = right.cumsum() / np.arange(1, len(right) + 1)
    return float(precision[right].sum() / number)
