"""Sample times of a simulation, its random parameters, and its episodes with smooth transitions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Self

import numpy as np

from ..errors import ArgumentError, TimeError
from ..times import to_interval


@dataclass(frozen=True)
class Episode:
    """Interval of one kind, from `start_s` (seconds after the first sample) to the start of the next episode."""

    kind: str
    start_s: float


class Drawn:
    """A dataclass whose fields are random: each has a function in its metadata, as of `uniform`, that draws it."""

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Self:
        """Draw each field, in their order."""
        return cls(*(each.metadata["draw"](rng) for each in fields(cls)))


def uniform(low: Any, high: Any, unit: str = "") -> Any:
    """Return a field of `Drawn` that is uniform within a range: one number, or as many as the bounds have."""

    def draw(rng: np.random.Generator) -> Any:
        return tuple(rng.uniform(low, high).tolist()) if isinstance(low, tuple) else rng.uniform(low, high)

    return field(metadata={"draw": draw, "range": (low, high, unit)})


def random_streams(seed: int, count: int) -> list[np.random.Generator]:
    """Return `count` independent generators from one seed; raise ArgumentError if it is no integer of at least 0."""
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise ArgumentError("seed", f"found {seed!r}", "Give an integer of at least 0.")
    return [np.random.default_rng(child) for child in np.random.SeedSequence(int(seed)).spawn(count)]


def sample_times(start: np.datetime64, duration_s: float, cadence: np.timedelta64) -> np.ndarray:
    """Return sample times from `start` to before ``start + duration_s``, datetime64[ns] (n,).

    Raise ArgumentError if `duration_s` is not positive and finite.
    """
    if not (np.isfinite(duration_s) and duration_s > 0):
        raise ArgumentError("duration_s", f"found {duration_s!r}", "Give a positive number of seconds.")
    step_ns = int(cadence / np.timedelta64(1, "ns"))
    count = -(-round(duration_s * 1e9) // step_ns)
    return start.astype("datetime64[ns]") + np.arange(count) * np.timedelta64(step_ns, "ns")


def start_and_duration(trange: Any) -> tuple[np.datetime64, float]:
    """Return the start of a time range, datetime64[ns], and its duration in seconds; raise TimeError if it is empty."""
    start, end = to_interval(trange)
    if start == end:
        raise TimeError("trange", f"it is empty: it starts and ends at {start}", "Give an end after the start.")
    return start, float((end - start) / np.timedelta64(1, "s"))


def seconds_since_first(times: np.ndarray) -> np.ndarray:
    """Return seconds since the first of `times`, float64, shape (n,)."""
    return (times - times[0]) / np.timedelta64(1, "s")


def draw_episodes(
    kinds: Iterator[str],
    length_s: Mapping[str, tuple[float, float]],
    duration_s: float,
    rng: np.random.Generator,
) -> tuple[Episode, ...]:
    """Draw episodes of `kinds` until `duration_s` is covered, their lengths in seconds from the ranges `length_s`.

    There is one that starts after the end, so that a short simulation is the beginning of a long one.
    """
    episodes, start_s = [], 0.0
    while start_s <= duration_s + 200.0:
        kind = next(kinds)
        episodes.append(Episode(kind, start_s))
        start_s += rng.uniform(*length_s[kind])
    return tuple(episodes)


def presence(episodes: tuple[Episode, ...], times_s: np.ndarray, ramp_s: float) -> np.ndarray:
    """Return the share of each of k episodes at each time, float64 (k, n); the sum over episodes is 1 at every time.

    `ramp_s` is the scale of the hyperbolic tangent of the transition between episodes.
    """
    starts = np.array([episode.start_s for episode in episodes])
    begun = 0.5 * (1.0 + np.tanh((times_s - starts[:, None]) / ramp_s))
    begun[0] = 1.0
    return begun - np.vstack([begun[1:], np.zeros_like(times_s)])


def kind_at(episodes: tuple[Episode, ...], share: np.ndarray) -> np.ndarray:
    """Return the kind (n,) of the strongest episode at each time, from shares (k, n)."""
    return np.array([episode.kind for episode in episodes])[share.argmax(axis=0)]
