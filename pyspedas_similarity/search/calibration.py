r"""How surprising a score is against the background of its series, and which intervals pass a false discovery rate.

Neighbouring scores are not independent, so what is counted is not samples but stretches longer than the scores'
memory, each by its highest score. Highest scores of many samples follow, under wide conditions, a Gumbel law (Coles
2001, An Introduction to Statistical Modeling of Extreme Values, doi 10.1007/978-1-4471-3675-0):

    F(x) = exp(-exp(-(x - location) / scale))

It is fitted to the middle of them only, between their median and their 90 % quantile, since the highest may be what is
looked for; those above and below count by their number (Efron 2004, doi 10.1198/016214504000000089, calls this an
empirical null). Cosines are bounded and have a lighter tail than the law's, so that p-values far out are too large
rather than too small; and what is looked for, where it is more than a few hundredths of the stretches, makes the law
wider, which errs to the same side. Where the background changes character within the series, they may be too small.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import ArgumentError

_LOW, _HIGH = 0.5, 0.9
_FEWEST_BLOCKS = 50


@dataclass(frozen=True, eq=False)
class Background:
    """The law of the highest score of a stretch in which nothing is like the seed.

    Attributes
    ----------
    location, scale : float
    block : int
        Samples in a stretch.
    maxima : numpy.ndarray of float64, shape (m,)
        The highest score of each stretch.
    """

    location: float
    scale: float
    block: int
    maxima: np.ndarray

    def p_value(self, scores: np.ndarray) -> np.ndarray:
        """Probability that a stretch of background reaches a score."""
        reduced = (np.asarray(scores, np.float64) - self.location) / self.scale
        return -np.expm1(-np.exp(-np.clip(reduced, -30, None)))

    def threshold(self, fdr: float) -> float:
        """Lowest score of a stretch that passes, by Benjamini and Hochberg (1995); infinite where none does."""
        ordered = np.sort(self.maxima)[::-1]
        passing = self.p_value(ordered) <= fdr * np.arange(1, len(ordered) + 1) / len(ordered)
        return float(ordered[np.flatnonzero(passing)[-1]]) if passing.any() else np.inf


def fit_background(scores: np.ndarray, block: int) -> Background:
    """Fit the law to a series of scores.

    Parameters
    ----------
    scores : numpy.ndarray, shape (n,), in order of time
        NaN where there is none, or where the seed is near.
    block : int
        Samples in a stretch: more than the scores remember, see `scoring.coherence_lag`.

    Raises
    ------
    ArgumentError
        If there are too few stretches, or their scores are all the same.
    """
    maxima = _maxima(scores, block)
    if len(maxima) < _FEWEST_BLOCKS:
        found = f"{len(maxima)} independent stretches of {block} samples are too few to know the background"
        raise ArgumentError("fdr", found, f"Search a longer range, of {_FEWEST_BLOCKS} or more, or give a threshold.")
    low, high = np.quantile(maxima, (_LOW, _HIGH))
    if not high > low:
        raise ArgumentError("fdr", "the scores are all the same", "Give a threshold.")
    from scipy.optimize import minimize

    # On the scale of a Gumbel law the two quantiles lie this far apart.
    apart = np.log(np.log(_LOW) / np.log(_HIGH))
    scale = (high - low) / apart
    start = np.array([low + scale * np.log(-np.log(_LOW)), np.log(scale)])
    inside = maxima[(maxima > low) & (maxima <= high)]
    counts = int((maxima <= low).sum()), int((maxima > high).sum())
    found = minimize(
        _loss, start, (inside, low, high, counts), method="Nelder-Mead", options={"xatol": 1e-6, "fatol": 1e-9}
    )
    return Background(float(found.x[0]), float(np.exp(found.x[1])), block, maxima)


def _maxima(scores: np.ndarray, block: int) -> np.ndarray:
    """The highest of each stretch in which at least half of the samples have a score."""
    stretches = scores[: len(scores) // block * block].reshape(-1, block)
    known = np.isfinite(stretches).sum(axis=1) * 2 >= block
    return np.nanmax(stretches[known], axis=1) if known.any() else np.zeros(0)


def _loss(parameters: np.ndarray, inside: np.ndarray, low: float, high: float, counts: tuple[int, int]) -> float:
    """Negative logarithm of the likelihood of values inside, and of the numbers below and above."""
    location, scale = parameters[0], np.exp(parameters[1])
    reduced = (inside - location) / scale
    density = -reduced - np.exp(-np.clip(reduced, -50, None)) - parameters[1]
    below = -np.exp(-np.clip((low - location) / scale, -50, None))
    above = np.log(max(-np.expm1(-np.exp(-np.clip((high - location) / scale, -50, 700))), 1e-300))
    return -float(density.sum() + counts[0] * below + counts[1] * above)
