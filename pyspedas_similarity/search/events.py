r"""From a score per sample to intervals: hits above a threshold, or events around peaks.

  score
    |      peak                     hits: scores at or above the threshold, outside every exclusion
T --|-----/-\----/\--------         hits no further apart than the gap are one interval
    |____/   \__/  \_______ time    an interval ends where its last sample ends: [start, end)
        [=========)

Events around peaks, and the event of the query itself::

  score
   1 |       query
     |      /\               A                     heights are counted from the median score
     |     /  \             / \   B
     |    /    \    _      /   \_/ \               B is part of A: between them the score stays above half of B
     |   /      \__/ \    /         \       C      C is an event of its own
   --|--/-------------\--/-----------\_____/ \___  background
     |  [  own event   ) [     A      )    [C)     an event ends where the score falls below half of its peak

A peak is an event if the score falls below half of its height on the way to any higher peak: its prominence
(scipy.signal.peak_prominences) is at least half of its height.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..times import Span, cadence, longest_step, sample_ends
from .scoring import ScoreScale

_HALF = 0.5
"""Share of the height of a peak at which its event ends."""

_OWN, _GAP = 10.0, -10.0
"""Heights of the query's event and of gaps in the data: above and below those of all scores, which are from -2 to 2."""


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
    """Join samples at or above the threshold into intervals, by descending score; of equal scores the earlier first.

    Scores are NaN where a sample may not be reported. Hits at most `gap` apart belong to one interval; never less than
    one and a half cadences.
    """
    hits = np.flatnonzero(scores >= threshold)  # False for NaN
    return join_hits(times[hits], sample_ends(times)[hits], scores[hits], max(gap, longest_step(times)))


def join_hits(times: np.ndarray, ends: np.ndarray, scores: np.ndarray, gap: np.timedelta64) -> Events:
    """Join hits, in order of time, no further apart than a gap into intervals, ordered as by `find_events`."""
    runs = np.split(np.arange(len(times)), np.flatnonzero(np.diff(times) > gap) + 1) if len(times) else []
    peaks = np.array([run[np.argmax(scores[run])] for run in runs], np.int64)
    order = np.argsort(-scores[peaks], kind="stable")
    first = np.array([runs[i][0] for i in order], np.int64)
    last = np.array([runs[i][-1] for i in order], np.int64)
    n_samples = np.array([len(runs[i]) for i in order], np.int64)
    return Events(times[first], ends[last], times[peaks[order]], scores[peaks[order]], n_samples)


def own_event(
    times: np.ndarray, scores: np.ndarray, spans: Sequence[Span], scale: ScoreScale, gap: np.timedelta64
) -> np.ndarray:
    """Find the samples that belong to the events of the queries: bool (n,).

    On both sides of a query, the event ends where the score falls to the background for longer than the gap, or at the
    lowest score before a peak of more than twice its height. Shorter dips of the score do not end an event.
    """
    own = ~outside(times, spans, np.timedelta64(0, "ns"))
    if not own.any():  # the query is of another series
        return own
    line = _Line.of(times, scores, scale, gap)
    inside = np.flatnonzero(np.concatenate([[False], own])[line.rows + 1])  # row -1 is a gap
    if not len(inside):
        return own
    for run in np.split(inside, np.flatnonzero(np.diff(inside) > 1) + 1):
        first, last = run[0], run[-1]
        left = _reach(line.heights[:first][::-1], scale.background - scale.middle)
        right = _reach(line.heights[last + 1 :], scale.background - scale.middle)
        own[line.rows[first - left] : line.rows[last + right] + 1] = True
    return own


def peak_events(
    times: np.ndarray,
    scores: np.ndarray,
    own: np.ndarray,
    scale: ScoreScale,
    gap: np.timedelta64,
    *,
    threshold: float = -np.inf,
    k: int | None = None,
) -> Events:
    """Find the events around the peaks of a score, by descending score; of equal scores the earlier first.

    Parameters
    ----------
    times, scores : numpy.ndarray, shape (n,)
        In order of time; NaN where a sample may not be reported.
    own : numpy.ndarray of bool, shape (n,)
        Samples of the query's own events, and of nothing else.
    scale : ScoreScale
    gap : numpy.timedelta64
        Shorter dips, and shorter gaps in the data, do not end an event; never less than one and a half cadences.
    threshold : float
        Score that the peak of an event reaches. An event ends where the score falls below it or below half of the
        peak's height. If there is no peak above the median, the highest below it is the only event.
    k : int, optional
        Number of events, the best ones; None for all.
    """
    from scipy.signal import find_peaks

    line = _Line.of(times, np.where(own, scale.middle + _OWN, scores), scale, gap)
    lowest = np.nextafter(threshold - scale.middle, -np.inf)  # the threshold itself passes
    at, found = find_peaks(line.heights, height=(lowest, _OWN / 2), prominence=0, plateau_size=1)
    heights, prominences = found["peak_heights"], found["prominences"]
    kept = (heights > 0) & (prominences >= _HALF * heights)
    if len(heights) and not kept.any():
        kept[np.argmax(heights)] = True
    at, heights = at[kept], heights[kept]
    best = np.argsort(-heights, kind="stable")
    least = np.maximum(np.minimum(_HALF * heights, heights), lowest)
    above, hits = scores - scale.middle, {}
    for number in best:
        if len(hits) == k:
            break
        rows = _hits(line, at[number], above, least[number])
        hits.setdefault(rows[0], rows)  # peaks of the same height may share an event
    return _as_events(times, scores, list(hits.values()))


@dataclass(frozen=True, eq=False)
class _Line:
    """Heights (m,) of scores above their median in order of time, with short dips filled and a mark at each gap.

    `rows` (m,) are the numbers of the samples; -1 at gaps, the first and the last among them.
    """

    rows: np.ndarray
    heights: np.ndarray

    @classmethod
    def of(cls, times: np.ndarray, scores: np.ndarray, scale: ScoreScale, gap: np.timedelta64) -> _Line:
        known = np.flatnonzero(np.isfinite(scores))
        gap = max(gap, longest_step(times))
        step = max(cadence(times), np.timedelta64(1, "ns"))
        rows, heights = [[-1]], [[_GAP]]
        for part in np.split(known, np.flatnonzero(np.diff(times[known]) > gap) + 1):
            rows += [part, [-1]]
            heights += [_filled(scores[part] - scale.middle, min(int(gap // step), len(part))), [_GAP]]
        return cls(np.concatenate(rows).astype(np.int64), np.concatenate(heights))


def _filled(heights: np.ndarray, width: int) -> np.ndarray:
    """Fill dips of fewer samples than a width, by a morphological closing."""
    from scipy.ndimage import grey_closing

    if width < 2:
        return heights
    padded = np.pad(heights, width, constant_values=_GAP)  # the ends are no dips
    return grey_closing(padded, width)[width:-width]


def _reach(heights: np.ndarray, background: float) -> int:
    """Return how many of the heights next to an event belong to it."""
    below = np.flatnonzero(heights < background)
    heights = heights[: below[0]] if len(below) else heights
    lowest = np.minimum.accumulate(heights)
    rises = np.flatnonzero(lowest < _HALF * heights)
    return int(np.argmin(heights[: rises[0]])) if len(rises) else len(heights)


def _hits(line: _Line, peak: int, heights: np.ndarray, least: float) -> np.ndarray:
    """Return the rows around a peak with at least a height, dips bridged."""
    first = peak - _length(line.heights[:peak][::-1], least)
    last = peak + _length(line.heights[peak + 1 :], least)
    rows = line.rows[first : last + 1]
    return rows[heights[rows] >= least]


def _length(heights: np.ndarray, least: float) -> int:
    """Return the number of heights before the first that is lower, or an own event; there is one, at a gap."""
    size = 64
    while not (ends := (heights[:size] < least) | (heights[:size] > _OWN / 2)).any():
        size *= 4
    return int(np.argmax(ends))


def _as_events(times: np.ndarray, scores: np.ndarray, hits: Sequence[np.ndarray]) -> Events:
    hits = sorted(hits, key=lambda rows: -scores[rows].max())
    first, last, peak = (
        np.array([choose(rows) for rows in hits], np.int64)
        for choose in (lambda rows: rows[0], lambda rows: rows[-1], lambda rows: rows[np.argmax(scores[rows])])
    )
    counts = np.array([len(rows) for rows in hits], np.int64)
    return Events(times[first], sample_ends(times)[last], times[peak], scores[peak], counts)
