"""Enrichment of events among matches over the base rate, with an interval; overlap of time intervals."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

_DRAWS = 2000


@dataclass(frozen=True)
class Enrichment:
    """Share of the matches whose peak lies in an event, over the share of the searched time that does.

    Attributes
    ----------
    value, low, high : float
        NaN where there is no match, or no searched time in events.
    confidence : float
    method : {'binomial', 'bootstrap'}
    n_matches, n_inside : int
        Matches, and those of them whose peak lies in an event.
    share, base_rate : float
        ``n_inside / n_matches``, and the share of the searched time that lies in events.
    """

    value: float
    low: float
    high: float
    confidence: float
    method: str
    n_matches: int
    n_inside: int
    share: float
    base_rate: float

    def __str__(self) -> str:
        shares = f"{self.n_inside} of {self.n_matches} matches against {self.base_rate:.3g} of the searched time"
        limits = f"{100 * self.confidence:g} % interval {self.low:.3g} to {self.high:.3g}, {self.method}"
        return f"enrichment {self.value:.3g} ({limits}; {shares})"

    def to_dict(self) -> dict[str, Any]:
        """In plain values."""
        return asdict(self)


@dataclass(frozen=True)
class Counts:
    """Counts in each of s parts of the searched time.

    Attributes
    ----------
    matches, inside : numpy.ndarray of int64, shape (s,)
    searched_s, events_s : numpy.ndarray of float64, shape (s,)
        Seconds searched, and those of them in events.
    """

    matches: np.ndarray
    inside: np.ndarray
    searched_s: np.ndarray
    events_s: np.ndarray


def binomial(counts: Counts, confidence: float) -> Enrichment:
    """The exact interval of Clopper and Pearson (1934, doi 10.1093/biomet/26.4.404) for the share of the matches.

    It assumes that matches are independent, and that the base rate is known.
    """
    from scipy.stats import beta

    n, k = int(counts.matches.sum()), int(counts.inside.sum())
    tail = (1 - confidence) / 2
    low = float(beta.ppf(tail, k, n - k + 1)) if k else 0.0
    high = float(beta.ppf(1 - tail, k + 1, n - k)) if k < n else 1.0
    return _enrichment(counts, (low, high), confidence, "binomial")


def bootstrap(counts: Counts, confidence: float, seed: int) -> Enrichment:
    """Percentiles over stretches of the searched time, drawn with replacement.

    It takes for granted that stretches, not matches, are independent: right where matches come in groups, given
    stretches longer than the groups and enough of them. Draws without a match or without time in events are skipped.
    """
    rng = np.random.default_rng(seed)
    n = len(counts.matches)
    drawn = rng.multinomial(n, np.full(n, 1 / n), size=_DRAWS) if n else np.zeros((0, 0))
    sums = [drawn @ one for one in (counts.inside, counts.matches, counts.events_s, counts.searched_s)]
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = (sums[0] / sums[1]) / (sums[2] / sums[3])
    ratios = ratios[np.isfinite(ratios)]
    tail = (1 - confidence) / 2
    limits = np.quantile(ratios, (tail, 1 - tail)) if len(ratios) else (np.nan, np.nan)
    return _enrichment(counts, (float(limits[0]), float(limits[1])), confidence, "bootstrap")


def _enrichment(counts: Counts, limits: tuple[float, float], confidence: float, method: str) -> Enrichment:
    """From limits of the share (binomial) or of the ratio (bootstrap)."""
    n, k = int(counts.matches.sum()), int(counts.inside.sum())
    searched = float(counts.searched_s.sum())
    base = float(counts.events_s.sum()) / searched if searched else np.nan
    share = k / n if n else np.nan
    scale = 1.0 if method == "bootstrap" else base
    value, low, high = (
        one / by if by > 0 else np.nan for one, by in ((share, base), *((one, scale) for one in limits))
    )
    known = np.isfinite(value)
    return Enrichment(value, low if known else np.nan, high if known else np.nan, confidence, method, n, k, share, base)


@dataclass(frozen=True)
class Intervals:
    """Events by their starts and ends, (n,); an instant is one that ends where it starts."""

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
    """Join intervals, in any order, that share time, and instants with what they lie in.

    Returns ascending ones without overlap, and which of them each interval went into, (n,). `touching` also joins an
    interval with one that begins where it ends.
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

    Starts of `other` ascend. Returns rows of `one` and of `other`, ascending, (k,) each.
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
