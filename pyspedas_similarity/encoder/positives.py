"""Positive pairs for training from observation times: samples of the same event.

Each function returns partners as row numbers, -1 for none, for the argument ``positives`` of `training.train`. Combine
several kinds of partners by ``numpy.hstack`` of the (n, k) arrays.
"""

from __future__ import annotations

import numpy as np

from ..errors import ArgumentError


def next_in_time(times: np.ndarray, group: np.ndarray, lag: np.timedelta64) -> np.ndarray:
    """Return the row of the next sample in time of the same group within `lag`: (n, 1) int64, -1 for none."""
    ticks = _ticks(times)
    _, label = np.unique(_labels("group", group, ticks), return_inverse=True)
    longest = _duration("lag", lag)
    if not longest:
        raise ArgumentError("lag", f"{lag}", "Give a duration above 0.")
    partners = np.full((len(ticks), 1), -1)
    for each in range(label.max(initial=-1) + 1):
        rows = np.flatnonzero(label == each)
        rows = rows[np.argsort(ticks[rows], kind="stable")]
        found = np.searchsorted(ticks[rows], ticks[rows], side="right")
        following = rows[np.minimum(found, len(rows) - 1)]
        near = (found < len(rows)) & (ticks[following] - ticks[rows] <= longest)
        partners[rows[near], 0] = following[near]
    return partners


def same_time(times: np.ndarray, source: np.ndarray, tolerance: np.timedelta64) -> np.ndarray:
    """Return the nearest samples of other sources within `tolerance`, such as sibling spacecraft.

    (n, number of sources) int64: column j is the partner with the j-th label in sorted order; -1 for none, and in the
    column of the sample's own label.
    """
    ticks = _ticks(times)
    names, label = np.unique(_labels("source", source, ticks), return_inverse=True)
    limit = _duration("tolerance", tolerance)
    partners = np.full((len(ticks), len(names)), -1)
    for column in range(len(names)):
        there, rows = np.flatnonzero(label == column), np.flatnonzero(label != column)
        there = there[np.argsort(ticks[there], kind="stable")]
        after = np.clip(np.searchsorted(ticks[there], ticks[rows]), 1, max(len(there) - 1, 1))
        before = there[after - 1]
        after = there[np.minimum(after, len(there) - 1)]
        nearer = np.abs(ticks[after] - ticks[rows]) < np.abs(ticks[before] - ticks[rows])
        nearest = np.where(nearer, after, before)
        within = np.abs(ticks[nearest] - ticks[rows]) <= limit
        partners[rows[within], column] = nearest[within]
    return partners


def _ticks(times: np.ndarray) -> np.ndarray:
    """Return times as integer nanoseconds."""
    times = np.asarray(times)
    if times.ndim != 1 or times.dtype.kind != "M" or np.isnat(times).any():
        raise ArgumentError("times", f"{times.dtype} of shape {times.shape}", "Give (n,) datetime64, none missing.")
    return times.astype("datetime64[ns]").astype(np.int64)


def _labels(name: str, labels: np.ndarray, ticks: np.ndarray) -> np.ndarray:
    if np.shape(labels) != ticks.shape:
        raise ArgumentError(
            name, f"shape {np.shape(labels)}, but times have {ticks.shape}", "Give one label per sample."
        )
    return np.asarray(labels)


def _duration(name: str, duration: np.timedelta64) -> int:
    if not isinstance(duration, np.timedelta64) or np.isnat(duration) or duration < np.timedelta64(0, "ns"):
        raise ArgumentError(name, f"{duration!r}", "Give a numpy.timedelta64 of 0 or more.")
    return int(duration.astype("timedelta64[ns]").astype(np.int64))
