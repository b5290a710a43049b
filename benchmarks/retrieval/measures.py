"""Measures of retrieval, with bootstrap intervals."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from benchmarks.data_sets.tasks import Rule, Task
from pyspedas_similarity.search.reference import Reference

DEPTHS, RECALL_DEPTHS, SIX = (1, 5, 10), (10, 100), 6
MEASURES = ("p@1", "p@5", "p@10", "ap", "r@10", "r@100", "rank", "gain@10", "two@6", "two@6e")
"""Precision at 1, 5 and 10; average precision; recall at 10 and 100; median rank of the first right answer; precision
at 10 divided by that of random answers; share of queries with right answers of two groups among the first six samples,
and among the first six groups, each with its nearest sample only."""

ACROSS_GROUPS = ("two@6", "two@6e")
"""Measures that apply only if right answers lie in other groups than the query."""

Scores = Callable[[np.ndarray], np.ndarray]
"""From rows of queries (k,) to the score of every row for each, (k, n); NaN where one of them has no embedding."""

BOOTSTRAPS = 1000
_BLOCK = 128


@dataclass(frozen=True)
class Estimate:
    """A value and the bounds of its 95 % interval; the bounds are NaN if there is only one group."""

    value: float
    low: float
    high: float


def plain(embeddings: np.ndarray) -> Scores:
    """Return the plain cosine between embeddings (n, dimension) of unit length."""
    embeddings = embeddings.astype(np.float64)
    return lambda rows: embeddings[rows] @ embeddings.T


def relative(embeddings: np.ndarray, reference: Reference) -> Scores:
    """Return the cosine relative to a library, as a search for each row alone would compute it."""
    known: dict[str, np.ndarray] = {}

    def scores(rows: np.ndarray) -> np.ndarray:
        found = np.full((len(rows), len(embeddings)), np.nan)
        for i, row in enumerate(rows):
            if np.isfinite(embeddings[row]).all():
                view = reference.view([embeddings[[row]]])
                if view.hash not in known:
                    known.clear()
                    known[view.hash] = view.directions(embeddings)
                found[i] = known[view.hash] @ known[view.hash][row]
        return found

    return scores


def measure_queries(scores: Scores, group: np.ndarray, task: Task, leak_control: bool = True) -> dict[str, np.ndarray]:
    """Return the measures (m,) of every query, from scores `plain` or `relative`.

    A row of NaN is never found, and finds nothing as a query. Without `leak_control`, `task.leaky` gives the
    candidates. ``rank`` counts from 1, and is the number of candidates plus 1 if no right answer is found. ``base`` is
    the share of right answers among the candidates, and ``candidates`` their number. All are NaN for a query without a
    right answer.
    """
    allowed = task.allowed if leak_control else task.leaky
    group = np.unique(group, return_inverse=True)[1]
    blocks = [task.queries[first : first + _BLOCK] for first in range(0, len(task.queries), _BLOCK)]
    parts = [_measure_block(scores, group, rows, task.relevant, allowed) for rows in blocks]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _measure_block(
    scores: Scores, group: np.ndarray, rows: np.ndarray, relevant: Rule, allowed: Rule
) -> dict[str, np.ndarray]:
    candidates = allowed(rows)
    right = relevant(rows) & candidates
    order, found = ranking(scores(rows), candidates)
    hits = np.take_along_axis(right, order, axis=1) & found
    n_right, n_candidates = right.sum(axis=1), candidates.sum(axis=1)
    cumulative = hits.cumsum(axis=1)
    ranks = np.arange(1, hits.shape[1] + 1)
    divisor = np.maximum(n_right, 1)
    measures = {f"p@{k}": hits[:, :k].sum(axis=1) / k for k in DEPTHS}
    measures["ap"] = (hits * cumulative / ranks).sum(axis=1) / divisor
    measures |= {f"r@{k}": hits[:, :k].sum(axis=1) / divisor for k in RECALL_DEPTHS}
    measures["rank"] = np.where(hits.any(axis=1), hits.argmax(axis=1) + 1.0, n_candidates + 1.0)
    measures["two@6"] = _from_two_groups(hits[:, :SIX], group[order[:, :SIX]])
    measures["two@6e"] = (_nearest_of_groups(order, hits, found, group).sum(axis=1) >= 2).astype(float)
    measures["base"] = n_right / np.maximum(n_candidates, 1)
    measures["candidates"] = n_candidates.astype(float)
    return {name: np.where(n_right > 0, values, np.nan) for name, values in measures.items()}


def ranking(scores: np.ndarray, candidates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rank candidates by their scores (k, n), best first; equal ones in the order of rows.

    Return all rows, ranked (k, n), and whether the row at each rank is a candidate with an embedding.
    """
    possible = candidates & np.isfinite(scores)
    order = np.argsort(-np.where(possible, scores, -np.inf), axis=1, kind="stable")
    return order, np.take_along_axis(possible, order, axis=1)


def _from_two_groups(hits: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Return 1 for queries with hits of at least two groups, else 0."""
    lowest = np.where(hits, group, np.iinfo(group.dtype).max).min(axis=1)
    highest = np.where(hits, group, -1).max(axis=1)
    return (highest > lowest).astype(float)


def _nearest_of_groups(order: np.ndarray, hits: np.ndarray, found: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Return True where the nearest sample of each of the six nearest groups is right: (k, 6), padded with False."""
    nearest = np.zeros((len(order), SIX), bool)
    for line, (rows, right, known) in enumerate(zip(order, hits, found, strict=True)):
        _, first = np.unique(group[rows[known]], return_index=True)
        first = np.sort(first)[:SIX]
        nearest[line, : len(first)] = right[known][first]
    return nearest


def lead(
    scores: list[Mapping[str, np.ndarray]], others: list[Mapping[str, np.ndarray]], group: np.ndarray, seed: int = 0
) -> Estimate:
    """Return the paired difference in mean average precision between two encoders, each by its seeds.

    The interval is from a bootstrap over groups, with the same groups for both encoders: the difficulty of a group
    affects both and cancels in the difference.
    """
    difference = np.mean([one["ap"] for one in scores], axis=0) - np.mean([one["ap"] for one in others], axis=0)
    names, which = np.unique(group, return_inverse=True)
    weights = np.vstack([np.ones(len(names)), _draws(len(names), np.random.default_rng(seed))])
    counts = weights @ np.bincount(which, minlength=len(names))
    return _estimate(weights @ np.bincount(which, difference, len(names)) / counts, bounded=len(names) > 1)


def summarize(scores: list[Mapping[str, np.ndarray]], group: np.ndarray, seed: int = 0) -> dict[str, Estimate]:
    """Return means over queries (the median of ranks) and seeds, with a bootstrap over groups and seeds.

    The queries, without those that have NaN, of a group are resampled together (cluster bootstrap, percentile
    interval), since neighbors in time are not independent.
    """
    names, which = np.unique(group, return_inverse=True)
    rng = np.random.default_rng(seed)
    # The first row has each group once: the value itself.
    weights = np.vstack([np.ones(len(names)), _draws(len(names), rng)])
    seeds = np.vstack([np.ones(len(scores)), _draws(len(scores), rng)]) / len(scores)

    def mean(name: str) -> np.ndarray:
        sums = np.array([np.bincount(which, one[name], len(names)) for one in scores])
        per_seed = weights @ sums.T / (weights @ np.bincount(which, minlength=len(names)))[:, None]
        return (per_seed * seeds).sum(axis=1)

    drawn = {name: mean(name) for name in scores[0] if name != "rank"}
    drawn["gain@10"] = drawn["p@10"] / drawn["base"]
    medians = np.array([_weighted_median(one["rank"], weights[:, which]) for one in scores])
    drawn["rank"] = (medians.T * seeds).sum(axis=1)
    return {name: _estimate(values, bounded=len(names) > 1) for name, values in drawn.items()}


def _draws(count: int, rng: np.random.Generator) -> np.ndarray:
    """Return how often each of `count` items occurs in every bootstrap sample."""
    return rng.multinomial(count, np.full(count, 1 / count), BOOTSTRAPS).astype(float)


def _weighted_median(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return lower medians of `values` (m,) with each row of `weights` (b, m)."""
    order = np.argsort(values, kind="stable")
    below = weights[:, order].cumsum(axis=1)
    return values[order][(below >= below[:, -1:] / 2).argmax(axis=1)]


def _estimate(drawn: np.ndarray, bounded: bool) -> Estimate:
    low, high = np.percentile(drawn[1:], (2.5, 97.5)) if bounded else (np.nan, np.nan)
    return Estimate(float(drawn[0]), float(low), float(high))
