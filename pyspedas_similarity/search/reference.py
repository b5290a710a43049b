"""Similarity relative to a library: what a query has that the library as a whole has not.

Embeddings of one library have much in common, and a plain cosine mostly measures that. Here the center of the library
is subtracted first, and blocks of features are balanced by their variance in the library (`LibraryView`). Both come
from a sample of the library, evenly spread: for the same rows it is the same sample, however they were added, and
nothing has to be stored with an archive. Speaker recognition compares voices in this way (Garcia-Romero and
Espy-Wilson 2011, Interspeech).

A look that makes up most of a library moves the mean there, and what is looked for would be subtracted. Where more than
a quarter of the sample looks like the query, as judged around the mean of a few mutually distant samples (which a
majority cannot move; Gonzalez 1985, doi 10.1016/0304-3975(85)90224-5), the center is the mean of the others. A tenth of
every center is the origin of the encoder, which no library moves: it costs little where a library is varied, and saves
what can be saved where a library shows one thing only (benchmarks/bench_majority.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..encoder.fitted import mutually_distant, spread_evenly
from ..encoder.library_view import LibraryView
from ..library.series import Library, Series
from ..times import longest_step
from .scoring import query_directions

KIND, EVENT = "kind", "event"
LIBRARY = "library"
"""Value of the argument `reference` that stands for what is searched."""

SAMPLE, SAMPLE_SIZE = 4096, 2**23
"""Largest number of rows of a library that its center is taken from, and of numbers in them. The error of a mean of
4096 rows is 1/64 of a standard deviation."""

FEWEST = 10
"""Fewer rows have no center that differs from the query; they are compared as they are."""

DISTANT = 6
"""Mutually distant rows around whose mean it is judged how much of a library looks like the query."""

LIKE_QUERY, MAJORITY = 0.3, 0.25
"""Cosine from which a row may look like the query, and the share of such rows above which they are left out of the
center."""

OWN_SHARE = 0.9
"""Share of the library in the center; the rest is the origin of the encoder."""

COMPONENTS = 48
"""Principal directions in which embeddings are compared."""

BLOCK_WEIGHTS = {"network": 0.7}
"""Weights of blocks other than 1: a network next to 'structure' has half the variance of each other block. With as much
variance it finds beams and flat tops a little better, and diffusion regions of the simulator of this package worse
(docs/benchmarks/networks). For other weights that were tried see docs/benchmarks/retrieval."""


@dataclass(frozen=True)
class Question:
    """How a question is asked.

    `left_out` are blocks that do not count; `power` is that of the standard deviation, between successive samples, by
    which a direction is divided: 0 leaves it as it is, 1 gives all directions the same one; `shrinkage` is the share of
    equal variance in the covariance of successive samples.
    """

    left_out: tuple[str, ...]
    power: float
    shrinkage: float


QUESTIONS = {
    KIND: Question(("place", "profile"), 0.5, 0.5),
    EVENT: Question((), 1.0, 0.05),
}
"""The same kind of structure anywhere, or the same event, as other instruments see it. Chosen on the data sets of
docs/benchmarks/retrieval, on seeds below 50 of the simulator by other authors."""

_TINY = 1e-12
_SMALLEST_VARIANCE = 1e-12
# Of a direction, as a share of the largest: below are rounding errors.


@dataclass(frozen=True, eq=False)
class Sample:
    """Rows (n, d) of a library, the next sample of each (NaN where there is none), and its blocks of features."""

    embeddings: np.ndarray
    following: np.ndarray
    blocks: Mapping[str, slice]


def sampled_rows(n: int, dimension: int) -> np.ndarray:
    """Return the numbers of the rows of a library of n that are its sample, ascending: all if it is small."""
    return spread_evenly(n, max(min(SAMPLE, SAMPLE_SIZE // dimension), FEWEST))


def sample_library(library: Library) -> Sample:
    """Return rows of the searched part of a library, evenly spread, and those that follow them; all if it is small."""
    searched = [np.flatnonzero(one.searched) for one in library.series]
    dimension = library.series[0].searched_embeddings(searched[0][:1]).shape[1]
    chosen = sampled_rows(sum(map(len, searched)), dimension)
    starts = np.cumsum([0, *map(len, searched)])
    rows, following = [], []
    for one, inside, start, end in zip(library.series, searched, starts, starts[1:], strict=False):
        own = inside[chosen[np.searchsorted(chosen, start) : np.searchsorted(chosen, end)] - start]
        rows.append(one.searched_embeddings(own))
        following.append(np.full_like(rows[-1], np.nan) if one.overlapping else _following(one, own))
    return Sample(np.concatenate(rows), np.concatenate(following), library.block_slices(dimension))


def _following(series: Series, rows: np.ndarray) -> np.ndarray:
    """Return the embeddings of the samples after some; NaN after the last one and before a gap."""
    last = len(series.times) - 1
    after = np.minimum(rows + 1, last)
    follows = (rows < last) & (series.times[after] - series.times[rows] <= longest_step(series.times))
    return np.where(follows[:, None], series.searched_embeddings(after), np.float32(np.nan))


class Reference:
    """What the samples of a library have in common, for one question; rows without an embedding are passed over.

    `weights` are those of blocks that do not have the weight 1, in addition to `BLOCK_WEIGHTS`.
    """

    def __init__(self, sample: Sample, looking_for: str = KIND, weights: Mapping[str, float] | None = None) -> None:
        self.question, self._name = QUESTIONS[looking_for], looking_for
        known = np.isfinite(sample.embeddings).all(axis=1)
        pairs = known & np.isfinite(sample.following).all(axis=1)
        self._rows = sample.embeddings[known].astype(np.float64)
        self._steps = sample.following[pairs].astype(np.float64) - sample.embeddings[pairs]
        self._blocks = {name: part for name, part in sample.blocks.items() if name not in self.question.left_out}
        self._weights = BLOCK_WEIGHTS | dict(weights or {})
        self._views: dict[bytes, LibraryView] = {}
        self._unusable = ""
        if len(self._rows) < FEWEST:
            self._unusable = f"the library has fewer than {FEWEST} samples"
            return
        scales = self._scales(self._rows.mean(axis=0))
        if not scales.any():
            self._unusable = "all samples of the library are the same"
            return
        scaled = self._rows * scales
        center = self._rows[mutually_distant(scaled, scaled.mean(axis=0), DISTANT)].mean(axis=0)
        self._distant = LibraryView(center, self._scales(center))
        self._directions = self._distant.directions(self._rows)

    def view(self, queries: Sequence[np.ndarray]) -> LibraryView:
        """Return the view of the library in which queries, (m, d) each, are compared.

        The plain one, in which nothing is subtracted, where the library is too small or all of it is the same.
        """
        if self._unusable:
            return LibraryView.plain(self._rows.shape[1], self._unusable)
        likes = query_directions(map(self._distant.directions, queries))
        similar = (self._directions @ likes.T).max(axis=1) > LIKE_QUERY
        if not MAJORITY < similar.mean() < 1:
            similar[:] = False
        key = similar.tobytes()
        if key not in self._views:
            self._views = {key: self._fitted(~similar)}  # the last one only: queries of a benchmark mostly share it
        return self._views[key]

    def balanced(self) -> LibraryView:
        """Return the view for a classifier: around the mean of all rows, with balanced blocks.

        A classifier finds the directions that count from its labels. The plain view is returned as by `view`.
        """
        if self._unusable:
            return LibraryView.plain(self._rows.shape[1], self._unusable)
        mean = self._rows.mean(axis=0)
        return LibraryView(mean, self._scales(mean), {"rule": "balance", "n_samples": len(self._rows)})

    def _fitted(self, counted: np.ndarray) -> LibraryView:
        """Return the view around the center of the rows that count."""
        mean = self._rows[counted].mean(axis=0)
        center, scales = OWN_SHARE * mean, self._scales(mean)
        axes = _axes((self._rows - center) * scales, self._steps * scales, self.question) * scales[:, None]
        about = {"rule": "center", "looking_for": self._name, "n_samples": len(self._rows)}
        return LibraryView(center, axes, about | {"left_out": int((~counted).sum())})

    def _scales(self, center: np.ndarray) -> np.ndarray:
        """Return a factor for each component that gives blocks the variance of their weights; 0 where there is none."""
        scales = np.zeros(len(center))
        for name, part in self._blocks.items():
            spread = np.sqrt(((self._rows[:, part] - center[part]) ** 2).sum(axis=1).mean())
            scales[part] = self._weights.get(name, 1) / spread if spread > _TINY else 0
        return scales


def _axes(rows: np.ndarray, steps: np.ndarray, question: Question) -> np.ndarray:
    """Return principal directions (d, m), in which what differs between successive samples counts less.

    Within-class covariance normalization (Hatch et al. 2006, Interspeech) with successive samples as a class.
    """
    components = _principal(rows)
    changes = steps @ components
    within = changes.T @ changes / max(2 * len(changes), 1)
    number = len(within)
    level = np.trace(within) / number
    if level <= _TINY:  # no two samples follow each other, or they are the same
        return components
    within = (1 - question.shrinkage) * within + question.shrinkage * level * np.eye(number)
    variance, directions = np.linalg.eigh(within)
    return components @ directions / variance ** (question.power / 2)


def _principal(rows: np.ndarray) -> np.ndarray:
    """Return the principal directions (d, m) of rows (n, d) around zero."""
    is_long = len(rows) >= rows.shape[1]
    variance, vectors = np.linalg.eigh(rows.T @ rows if is_long else rows @ rows.T)
    kept = np.flatnonzero(variance > _SMALLEST_VARIANCE * variance[-1])[::-1][:COMPONENTS]
    components = vectors[:, kept] if is_long else rows.T @ vectors[:, kept]
    return components / np.linalg.norm(components, axis=0)
