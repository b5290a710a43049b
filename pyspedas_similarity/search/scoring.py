"""The score: how near an embedding lies to the queries."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np


def similarity(embeddings: np.ndarray, queries: Sequence[np.ndarray], unlike: Sequence[np.ndarray] = ()) -> np.ndarray:
    """Cosine between each embedding and the nearest query, less where something unlike is nearer: float64 (n,).

    A query of several samples, (m, dimension), is represented by their mean direction; of several queries the nearest
    counts: queries of different looks may be given together. 1 is the query itself, NaN where there is no embedding.
    The measure is that of Smith et al. 2024 (doi 10.1029/2023JA032096), turned from a distance into a
    similarity: for unit vectors, distance squared = 2 - 2 * similarity.
    """
    found = _nearest(embeddings, queries)
    return lower_unlike(found, _nearest(embeddings, unlike)) if unlike else found


def lower_unlike(scores: np.ndarray, unlike: np.ndarray) -> np.ndarray:
    """Lower cosines to the nearest query by as much as something unlike is nearer.

    A sample that is nearer to a query than to anything unlike keeps its score, so scores stay comparable with those
    of a search without; 1 is still the query itself.
    """
    return np.maximum(scores - np.maximum(unlike - scores, 0), -1)


def query_directions(queries: Iterable[np.ndarray]) -> np.ndarray:
    """Return the mean direction of each query's samples: unit length, float64, shape (queries, dimension)."""
    tiny = np.finfo(np.float64).tiny
    return np.stack([mean / max(float(np.linalg.norm(mean)), tiny) for mean in query_means(queries)])


def query_means(queries: Iterable[np.ndarray]) -> np.ndarray:
    """Return the mean of each query's samples: float64, shape (queries, dimension)."""
    return np.stack([np.nanmean(query.astype(np.float64), axis=0) for query in queries])


def _nearest(embeddings: np.ndarray, queries: Sequence[np.ndarray]) -> np.ndarray:
    return np.clip((embeddings.astype(np.float64) @ query_directions(queries).T).max(axis=1), -1, 1)


def decorrelation_lag(scores: np.ndarray) -> int:
    """Return the decorrelation lag of scores in samples: at least 1, at most a twentieth of the series.

    The lag at which the autocorrelation of the scores, less their running median over a tenth of the series, falls
    below 1/e. Without taking that off, one step in the series (a boundary crossed once) would make the answer the
    length of the whole region.
    """
    from scipy.ndimage import median_filter

    known = scores[np.isfinite(scores)]
    longest = len(known) // 20
    if longest < 2:
        return 1
    detail = known - median_filter(known, 2 * longest + 1, mode="nearest")
    detail -= detail.mean()
    spectrum = np.abs(np.fft.rfft(detail, 2 * len(detail))) ** 2
    correlation = np.fft.irfft(spectrum)[: longest + 1]
    if correlation[0] <= 0:
        return 1
    below = np.flatnonzero(correlation < correlation[0] / np.e)
    return max(1, int(below[0]) if len(below) else longest)


@dataclass(frozen=True)
class ScoreScale:
    """Scores of what is common in a library, on which others are judged: those of any encoder on their own scale.

    `middle` is the median of all scores; `spread` is the standard deviation of a normal distribution with their median
    absolute deviation, which what is looked for does not change where it is rare.
    """

    middle: float
    spread: float

    @classmethod
    def of(cls, scores: np.ndarray) -> ScoreScale:
        """Make the scale of scores; NaN are passed over. The middle is 1 where there is no score."""
        known = scores[np.isfinite(scores)]
        if not known.size:
            return cls(1.0, 0.0)
        middle = float(np.median(known))
        return cls(middle, 1.4826 * float(np.median(np.abs(known - middle))))

    @property
    def threshold(self) -> float:
        """Score that stands out: three standard deviations above the median, between 1/2 and 4/5 of the way to 1.

        Half of the way keeps out what is unusual but unlike the query, where scores hardly vary; 4/5 of it leave room
        for matches where they vary much.
        """
        way = 1 - self.middle
        return self.middle + min(max(3 * self.spread, 0.5 * way), 0.8 * way)

    @property
    def background(self) -> float:
        """Upper edge of the background: a standard deviation above the median, at most 1/4 of the way to 1."""
        return self.middle + min(self.spread, 0.25 * (1 - self.middle))

    def deviations(self, scores: np.ndarray) -> np.ndarray:
        """Return how many standard deviations scores lie above the median; NaN where all scores are the same."""
        return (scores - self.middle) / self.spread if self.spread > 0 else np.full(np.shape(scores), np.nan)
