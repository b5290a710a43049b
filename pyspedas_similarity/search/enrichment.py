"""Enrichment of events among matches over the base rate, with an interval."""

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
