r"""Significance of scores against the background of their series, and thresholds for a false discovery rate.

Neighboring scores are not independent, so what is counted is not samples but stretches longer than the scores'
memory, each by its highest score s. Its distance from the query, 1 - s, is the smallest of many that cannot be below 0,
and such follow, under wide conditions, a Weibull law (Coles 2001, An Introduction to Statistical Modeling of Extreme
Values, doi 10.1007/978-1-4471-3675-0): the probability that a stretch of background comes so near is

    p = 1 - exp(-((1 - s) / distance) ** shape)

where the shape is half the number of directions in which embeddings vary around the query (Amsaleg et al. 2015,
doi 10.1145/2783258.2783405). It is fitted to the middle of the stretches only, between the median and the 90 %
quantile of s, since the highest may be what is looked for; those above and below count by their number (Efron 2004,
doi 10.1198/016214504000000089, calls this an empirical null).

On a sphere the number of directions that show grows toward the query, so that p-values far out are too large rather
than too small; and what is looked for, where it is more than a few hundredths of the stretches, makes the law wider,
which errs to the same side. Where the background changes character within the series, they may be too small.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import ArgumentError

_LOW, _HIGH = 0.5, 0.9
_FEWEST_BLOCKS = 50
_SMALLEST = 1e-9


@dataclass(frozen=True, eq=False)
class Background:
    """The law of the highest score of a stretch in which nothing is like the query.

    Attributes
    ----------
    distance, shape : float
        Of the Weibull law of 1 - score.
    block : int
        Samples in a stretch.
    maxima : numpy.ndarray of float64, shape (m,)
        The highest score of each stretch.
    """

    distance: float
    shape: float
    block: int
    maxima: np.ndarray

    def p_value(self, scores: np.ndarray) -> np.ndarray:
        """Probability that a stretch of background reaches a score."""
        return -np.expm1(-((_distance(scores) / self.distance) ** self.shape))

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
        Cosines; NaN where there is none, or where the query is near.
    block : int
        Samples in a stretch: more than the scores remember, see `scoring.decorrelation_lag`.

    Raises
    ------
    ArgumentError
        If there are too few stretches, or their scores are all the same.
    """
    maxima = _maxima(scores, block)
    if len(maxima) < _FEWEST_BLOCKS:
        found = f"{len(maxima)} independent stretches of {block} samples are too few to estimate the background"
        raise ArgumentError("fdr", found, f"Search a longer range, of {_FEWEST_BLOCKS} or more, or give a threshold.")
    near, far = _distance(np.quantile(maxima, (_HIGH, _LOW)))
    if not near < far:
        raise ArgumentError("fdr", "the scores are all the same", "Give a threshold.")
    from scipy.optimize import minimize

    distances = _distance(maxima)
    # By the law of a Weibull variable, log(-log(share that is further)) is a straight line over log(distance).
    shape = np.log(np.log(1 - _LOW) / np.log(_HIGH)) / np.log(far / near)
    start = np.array([np.log(far) - np.log(-np.log(1 - _LOW)) / shape, np.log(shape)])
    inside = np.log(distances[(distances >= near) & (distances < far)])
    counts = int((distances < near).sum()), int((distances >= far).sum())
    options = {"xatol": 1e-7, "fatol": 1e-9}
    found = minimize(_loss, start, (inside, np.log([near, far]), counts), method="Nelder-Mead", options=options)
    return Background(*np.exp(found.x).tolist(), block, maxima)


def _distance(scores: np.ndarray) -> np.ndarray:
    return np.maximum(1 - np.asarray(scores, np.float64), _SMALLEST)


def _maxima(scores: np.ndarray, block: int) -> np.ndarray:
    """The highest of each stretch in which at least half of the samples have a score."""
    stretches = scores[: len(scores) // block * block].reshape(-1, block)
    known = np.isfinite(stretches).sum(axis=1) * 2 >= block
    return np.nanmax(stretches[known], axis=1) if known.any() else np.zeros(0)


def _loss(parameters: np.ndarray, inside: np.ndarray, edges: np.ndarray, counts: tuple[int, int]) -> float:
    """Negative logarithm of the likelihood of log-distances between two edges, and of the numbers on both sides."""
    shape = np.exp(parameters[1])
    reduced = shape * (inside - parameters[0])
    density = parameters[1] + reduced - np.exp(np.minimum(reduced, 700))
    near, far = np.exp(np.minimum(shape * (edges - parameters[0]), 700))
    nearer = np.log(max(-np.expm1(-near), 1e-300))
    return -float(density.sum() + counts[0] * nearer - counts[1] * far)
