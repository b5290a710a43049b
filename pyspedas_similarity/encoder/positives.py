"""Physical positives: which other samples saw the same thing, from times and places alone.

Each function gives partners as rows of the library, -1 where there is none: what `training.train` takes as
``positives``. Several of them side by side (``numpy.hstack`` of (n, k) arrays) are partners of every kind.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..errors import ArgumentError

_EARTH_RADIUS_KM = 6371.0


def next_in_time(
    times: np.ndarray, group: np.ndarray | None, lag: np.timedelta64, least: np.timedelta64 | None = None
) -> np.ndarray:
    """The next sample in time of the same group.

    Parameters
    ----------
    times : numpy.ndarray
        (n,) datetime64, in any order.
    group : numpy.ndarray, optional
        (n,) labels; only samples of one label follow each other: spacecraft, station, or station and night.
    lag : numpy.timedelta64
        The partner is at most this much later.
    least : numpy.timedelta64, optional
        And at least this much; by default anything later. Consecutive frames are nearly equal, and teach little.

    Returns
    -------
    numpy.ndarray
        (n, 1) int64, -1 where no sample follows.

    Raises
    ------
    ArgumentError
        Shapes differ, a time is missing, or `lag` is below `least` or not above 0.
    """
    ticks = _ticks(times)
    _, label = np.unique(np.zeros(len(ticks)) if group is None else _labels("group", group, ticks), return_inverse=True)
    longest, shortest = _duration("lag", lag), 1 if least is None else _duration("least", least)
    if not 1 <= shortest <= longest:
        raise ArgumentError("lag, least", f"{lag}, {least}", "Give durations above 0, lag not below least.")
    partners = np.full((len(ticks), 1), -1)
    for each in range(label.max(initial=-1) + 1):
        rows = np.flatnonzero(label == each)
        rows = rows[np.argsort(ticks[rows], kind="stable")]
        found = np.searchsorted(ticks[rows], ticks[rows] + shortest)
        following = rows[np.minimum(found, len(rows) - 1)]
        near = (found < len(rows)) & (ticks[following] - ticks[rows] <= longest)
        partners[rows[near], 0] = following[near]
    return partners


def same_time(times: np.ndarray, source: np.ndarray, tolerance: np.timedelta64) -> np.ndarray:
    """Return samples of other sources at the same time, such as sibling spacecraft.

    Parameters
    ----------
    times : numpy.ndarray
        (n,) datetime64, in any order.
    source : numpy.ndarray
        (n,) labels: spacecraft or station.
    tolerance : numpy.timedelta64
        Largest difference in time either way; of several samples the nearest is taken.

    Returns
    -------
    numpy.ndarray
        (n, number of sources) int64: column j is the partner from the j-th label in sorted order; -1 where there is
        none, and in a sample's own column.

    Raises
    ------
    ArgumentError
        Shapes differ, a time is missing, or `tolerance` is negative.
    """
    ticks = _ticks(times)
    names, label = np.unique(_labels("source", source, ticks), return_inverse=True)
    return _at_same_time(ticks, label, ~np.eye(len(names), dtype=bool), tolerance)


def neighboring_station(
    times: np.ndarray,
    station: np.ndarray,
    places: Mapping[str, tuple[float, float]],
    tolerance: np.timedelta64,
    distance_km: float,
) -> np.ndarray:
    """Return samples of nearby stations at the same time.

    Parameters
    ----------
    times : numpy.ndarray
        (n,) datetime64, in any order.
    station : numpy.ndarray
        (n,) station codes.
    places : mapping of str to (float, float)
        Geographic latitude and longitude of each station, degrees.
    tolerance : numpy.timedelta64
        Largest difference in time either way.
    distance_km : float
        Farthest neighbor along the ground. Fields of view of cameras overlap up to some 800 km (emission at 110 km,
        seen down to 15 degrees above the horizon).

    Returns
    -------
    numpy.ndarray
        (n, number of stations) int64, as in `same_time`.

    Raises
    ------
    ArgumentError
        A station has no place, shapes differ, a time is missing, or a limit is negative.
    """
    ticks = _ticks(times)
    names, label = np.unique(_labels("station", station, ticks), return_inverse=True)
    missing = [str(name) for name in names if name not in places]
    if missing:
        raise ArgumentError("places", f"nothing on {', '.join(missing)}", "Give latitude and longitude of each.")
    if not distance_km >= 0:
        raise ArgumentError("distance_km", f"{distance_km}", "Give 0 or more.")
    latitude, longitude = np.radians([places[name] for name in names]).reshape(-1, 2).T
    cosine = np.sin(latitude) * np.sin(latitude[:, None]) + np.cos(latitude) * np.cos(latitude[:, None]) * np.cos(
        longitude - longitude[:, None]
    )
    near = _EARTH_RADIUS_KM * np.arccos(np.clip(cosine, -1, 1)) <= distance_km
    return _at_same_time(ticks, label, near & ~np.eye(len(names), dtype=bool), tolerance)


def _at_same_time(ticks: np.ndarray, label: np.ndarray, paired: np.ndarray, tolerance: np.timedelta64) -> np.ndarray:
    """Nearest sample in time of each paired source: (n, sources), -1 where none is within the tolerance."""
    limit = _duration("tolerance", tolerance)
    partners = np.full((len(ticks), len(paired)), -1)
    for column, asking in enumerate(paired.T):
        there = np.flatnonzero(label == column)
        there = there[np.argsort(ticks[there], kind="stable")]
        rows = np.flatnonzero(asking[label])
        after = np.clip(np.searchsorted(ticks[there], ticks[rows]), 1, max(len(there) - 1, 1))
        before = there[after - 1]
        after = there[np.minimum(after, len(there) - 1)]
        nearer = np.abs(ticks[after] - ticks[rows]) < np.abs(ticks[before] - ticks[rows])
        nearest = np.where(nearer, after, before)
        within = np.abs(ticks[nearest] - ticks[rows]) <= limit
        partners[rows[within], column] = nearest[within]
    return partners


def _ticks(times: np.ndarray) -> np.ndarray:
    """Times as whole nanoseconds."""
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
