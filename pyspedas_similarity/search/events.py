r"""From a score per sample to intervals.

  score
    |      peak                     hits: scores at or above the threshold, outside every exclusion
T --|-----/-\----/\--------         hits no further apart than the gap are one interval
    |____/   \__/  \_______ time    an interval ends where its last sample ends: [start, end)
        [=========)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..times import Span, longest_step, sample_ends


@dataclass(frozen=True)
class Events:
    """Intervals of similar samples, best first.

    Attributes
    ----------
    start, end, peak : numpy.ndarray of datetime64[ns], shape (m,)
        `end` is where the last sample ends; `peak` is the time of the best sample.
    score : numpy.ndarray of float64, shape (m,)
        The best sample's.
    n_samples : numpy.ndarray of int64, shape (m,)
        Samples at or above the threshold.
    """

    start: np.ndarray
    end: np.ndarray
    peak: np.ndarray
    score: np.ndarray
    n_samples: np.ndarray

    def __len__(self) -> int:
        return len(self.start)

    def best(self, k: int | None) -> Events:
        """The k intervals of highest score, or all."""
        return Events(self.start[:k], self.end[:k], self.peak[:k], self.score[:k], self.n_samples[:k])


def outside(times: np.ndarray, spans: Sequence[Span], exclude: np.timedelta64) -> np.ndarray:
    """Samples further than `exclude` from every span: bool, shape (n,)."""
    free = np.ones(len(times), bool)
    for span in spans:
        free &= (times < span.start - exclude) | (times > span.end + exclude)
    return free


def find_events(times: np.ndarray, scores: np.ndarray, threshold: float, gap: np.timedelta64) -> Events:
    """Join samples at or above the threshold into intervals.

    Parameters
    ----------
    times : numpy.ndarray of datetime64[ns], shape (n,), ascending
    scores : numpy.ndarray, shape (n,)
        NaN where a sample may not be reported.
    threshold : float
    gap : numpy.timedelta64
        Hits at most this far apart belong to one interval; never less than one and a half cadences.

    Returns
    -------
    Events
        By descending score; of equal scores the earlier first.
    """
    hits = np.flatnonzero(scores >= threshold)  # False for NaN
    return join_hits(times[hits], sample_ends(times)[hits], scores[hits], max(gap, longest_step(times)))


def join_hits(times: np.ndarray, ends: np.ndarray, scores: np.ndarray, gap: np.timedelta64) -> Events:
    """Join samples no further apart than a gap into intervals.

    Parameters
    ----------
    times, ends : numpy.ndarray of datetime64[ns], shape (n,), ascending
        Of the hits alone.
    scores : numpy.ndarray, shape (n,)
    gap : numpy.timedelta64

    Returns
    -------
    Events
        By descending score; of equal scores the earlier first.
    """
    runs = np.split(np.arange(len(times)), np.flatnonzero(np.diff(times) > gap) + 1) if len(times) else []
    peaks = np.array([run[np.argmax(scores[run])] for run in runs], np.int64)
    order = np.argsort(-scores[peaks], kind="stable")
    first = np.array([runs[i][0] for i in order], np.int64)
    last = np.array([runs[i][-1] for i in order], np.int64)
    n_samples = np.array([len(runs[i]) for i in order], np.int64)
    return Events(times[first], ends[last], times[peaks[order]], scores[peaks[order]], n_samples)
