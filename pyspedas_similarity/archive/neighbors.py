"""Nearest-neighbor graph of an archive, by pynndescent, and approximate search with it.

The graph is the basis of maps, clusters, novelty and duplicates. It is cached in ``<archive>/graphs/<hash>.npz``, which
may be deleted; it is rebuilt when the embeddings change. Nearest neighbor descent: Dong et al. 2011
(doi 10.1145/1963405.1963487).
"""

from __future__ import annotations

import hashlib
import io
import logging
import time
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import ArgumentError
from ..files import replace_whole

if TYPE_CHECKING:
    from pynndescent import NNDescent

logger = logging.getLogger(__name__)

EXACT_ROWS = 20_000
"""Maximum number of rows for exact computation, which is then faster than the compilation of pynndescent."""

MIN_RECALL = 0.99
"""Minimum recall of the ten nearest for an index to be used."""

AIM = 0.995
"""Recall that the search settings are chosen for; higher, since queries outside the archive have a lower recall."""

# Maximum number of cached graphs.
_KEPT = 4
# Queries and neighbors per query for measuring the recall.
_QUERIES, _K = 400, 10

FEWEST_ROWS = _K + 1
"""Fewest rows of which a graph is built: a row and the ten others whose recall is measured."""

# Products in memory at once: 64 MB.
_PRODUCTS = 2**24
# Settings of pynndescent: neighbors per row (n_neighbors), and search widths (epsilon).
_DEGREE, _EPSILONS = 30, (0.05, 0.1, 0.2, 0.4)


@dataclass(frozen=True, eq=False)
class NeighborGraph:
    """Nearest other rows of each row, best first.

    Attributes
    ----------
    neighbors : numpy.ndarray of int32, shape (n, k)
        Row numbers; -1 for none.
    scores : numpy.ndarray of float32, shape (n, k)
        Cosine similarities; NaN for none.
    recall : float
        Fraction of the true neighbors found, measured on some hundred rows; 1 for exact computation.
    """

    neighbors: np.ndarray
    scores: np.ndarray
    recall: float

    def __len__(self) -> int:
        return len(self.neighbors)


def make_graph(embeddings: np.ndarray, k: int = 15, seed: int = 0) -> NeighborGraph:
    """Find the k nearest other rows of each row, fewer if there are not enough; rows with NaN take no part."""
    if isinstance(k, bool) or not isinstance(k, (int, np.integer)) or k < 1:
        raise ArgumentError("k", f"found {k!r}", "Give the number of neighbors, 1 or more.")
    known = np.flatnonzero(np.isfinite(embeddings).all(axis=1))
    vectors = embeddings if len(known) == len(embeddings) else embeddings[known]
    near, recall = (
        _exact_neighbors(vectors, k) if len(known) <= EXACT_ROWS else _approximate_neighbors(vectors, k, seed)
    )
    neighbors = np.full((len(embeddings), k), -1, np.int32)
    neighbors[known[:, None], np.arange(near.shape[1])] = np.where(near < 0, -1, known[near])
    return make_sorted_graph(embeddings, neighbors, recall)


def make_sorted_graph(embeddings: np.ndarray, neighbors: np.ndarray, recall: float) -> NeighborGraph:
    """Return the graph of given neighbors, with exact scores, sorted by score."""
    n, k = neighbors.shape
    scores = np.full((n, k), np.nan, np.float32)
    for rows in _blocks(n, k * embeddings.shape[1]):
        candidates = neighbors[rows]
        products = np.einsum("nd,nkd->nk", embeddings[rows], embeddings[candidates])
        scores[rows] = np.where(candidates < 0, np.nan, np.clip(products, -1, 1))
    order = np.argsort(-np.nan_to_num(scores, nan=-np.inf), axis=1, kind="stable")
    return NeighborGraph(np.take_along_axis(neighbors, order, 1), np.take_along_axis(scores, order, 1), recall)


def nearest_others(embeddings: np.ndarray, rows: np.ndarray, barred: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find the exact nearest row of each of some rows (-1 for none), and its score.

    `barred` is a half-open range of rows, [first, last), to exclude for each: int, shape (m, 2).
    """
    nearest, scores = np.full(len(rows), -1, np.int32), np.full(len(rows), np.nan, np.float32)
    for block in _blocks(len(rows), len(embeddings)):
        products = np.nan_to_num(embeddings[rows[block]] @ embeddings.T, nan=-np.inf)
        for one, (first, last) in zip(products, barred[block], strict=True):
            one[first:last] = -np.inf
        best = products.argmax(axis=1)
        found = np.take_along_axis(products, best[:, None], 1)[:, 0]
        nearest[block] = np.where(np.isfinite(found), best, -1)
        scores[block] = np.where(np.isfinite(found), np.clip(found, -1, 1), np.nan)
    return nearest, scores


def cached_graph(folder: Path | None, embeddings: np.ndarray, k: int, seed: int = 0) -> NeighborGraph:
    """Return the graph of embeddings, read from the cache if possible; small graphs are not cached.

    A folder of None, or one that cannot be written to, disables caching.
    """
    if folder is None or len(embeddings) <= EXACT_ROWS:
        return make_graph(embeddings, k, seed)
    content_hash = hashlib.sha256(np.ascontiguousarray(embeddings)).hexdigest()
    path = folder / f"{hashlib.sha256(f'{content_hash} {k} {seed}'.encode()).hexdigest()[:32]}.npz"
    found = _read_graph(path, (len(embeddings), k))
    if found is None:
        graph = make_graph(embeddings, k, seed)
        try:
            _write_graph(path, graph)
        except OSError as error:
            logger.info("The neighbor graph is not cached: %s", error)
        return graph
    return make_sorted_graph(embeddings, *found)


def _read_graph(path: Path, shape: tuple[int, int]) -> tuple[np.ndarray, float] | None:
    """Read neighbors and recall from the cache; None if the file does not exist or is damaged (zip checksums)."""
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            neighbors, recall = file["neighbors"], float(file["recall"])
        if neighbors.shape != shape or neighbors.dtype != np.int32:
            raise ValueError(f"it holds {neighbors.dtype} of shape {neighbors.shape}")
        if neighbors.min() < -1 or neighbors.max() >= shape[0]:
            raise ValueError("it holds row numbers out of range")
        return neighbors, recall
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        logger.warning("The cached neighbor graph cannot be used and is built again: %s", error)
        return None


def _write_graph(path: Path, graph: NeighborGraph) -> None:
    """Write a graph to the cache and remove the oldest files."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = io.BytesIO()
    np.savez(content, neighbors=graph.neighbors, recall=graph.recall)
    replace_whole(path, content.getvalue())
    for old in sorted(path.parent.glob("*.npz"), key=lambda one: one.stat().st_mtime)[:-_KEPT]:
        with suppress(OSError):
            old.unlink()


class GraphIndex:
    """In-memory index by graph search, with a copy of the embeddings; recall as of `lance_index.IndexDescription`."""

    def __init__(self, embeddings: np.ndarray, seed: int = 0) -> None:
        self._known = np.flatnonzero(np.isfinite(embeddings).all(axis=1)).astype(np.int32)
        vectors = embeddings if len(self._known) == len(embeddings) else embeddings[self._known]
        began = time.perf_counter()
        self._descent = _descent(vectors, _DEGREE, seed)
        with _ignore_warnings():
            self._descent.prepare()
        self.recall = self._measure_recall(vectors, np.random.default_rng(seed))
        elapsed = time.perf_counter() - began
        logger.info("Graph of %d rows in %.0f s, recall %.3f.", len(vectors), elapsed, self.recall)

    def propose(self, center: np.ndarray, m: int) -> np.ndarray:
        """Return row numbers of candidates for the m nearest rows."""
        m = min(m, len(self._known))
        found = self._descent.query(np.asarray(center, np.float32)[None], m, epsilon=self._epsilon)[0][0]
        return self._known[found[found >= 0]]

    def _measure_recall(self, vectors: np.ndarray, rng: np.random.Generator) -> float:
        """Choose the search width by half of the queries, and measure the recall by the others."""
        queries = rng.choice(len(vectors), min(_QUERIES, len(vectors)), replace=False)
        # The query row itself is not counted.
        expected = _highest_scores(vectors, queries, _K + 1)[:, 1:]

        def recall(half: slice) -> float:
            shares = []
            for row, best in zip(queries[half], expected[half], strict=True):
                found = self._descent.query(vectors[row][None], _K + 1, epsilon=self._epsilon)[0][0]
                shares.append(share_found(vectors[found[(found >= 0) & (found != row)]] @ vectors[row], best))
            return float(np.mean(shares))

        for epsilon in _EPSILONS:
            self._epsilon = epsilon
            if recall(slice(0, None, 2)) >= AIM:
                break
        return recall(slice(1, None, 2))


def share_found(scores: np.ndarray, best: np.ndarray) -> float:
    """Return the share of the best scores that are reached: equal scores are interchangeable, up to rounding."""
    return float((scores >= best[-1] - 1e-6).sum() / len(best))


def _exact_neighbors(vectors: np.ndarray, k: int) -> tuple[np.ndarray, float]:
    n = len(vectors)
    k = min(k, max(n - 1, 0))
    near = np.full((n, k), -1, np.int32)
    for rows in _blocks(n, n) if k else ():
        products = vectors[rows] @ vectors.T
        products[np.arange(len(products)), np.arange(n)[rows]] = -np.inf
        near[rows] = np.argpartition(-products, k - 1, axis=1)[:, :k]
    return near, 1.0


def _approximate_neighbors(vectors: np.ndarray, k: int, seed: int) -> tuple[np.ndarray, float]:
    with _ignore_warnings():
        # The recall of the descent is lower for few neighbors.
        near = _descent(vectors, max(k + 1, _DEGREE), seed).neighbor_graph[0]
    # Drop each row from its own neighbors, or the last neighbor if the row is not among them.
    mine = near == np.arange(len(near))[:, None]
    mine[~mine.any(axis=1), -1] = True
    near = near[~mine].reshape(len(near), -1)[:, :k].astype(np.int32)
    queries = np.random.default_rng(seed).choice(len(vectors), _QUERIES, replace=False)
    best = _highest_scores(vectors, queries, min(_K, k) + 1)[:, 1:]
    shares = []
    for row, expected in zip(queries, best, strict=True):
        candidates = near[row][near[row] >= 0]
        shares.append(share_found(vectors[candidates] @ vectors[row], expected))
    recall = float(np.minimum(shares, 1).mean())
    if recall < MIN_RECALL:
        logger.warning("The recall of the neighbor graph is only %.3f.", recall)
    return near, recall


def _descent(vectors: np.ndarray, degree: int, seed: int) -> NNDescent:
    from pynndescent import NNDescent

    with _ignore_warnings():
        return NNDescent(vectors, metric="dot", n_neighbors=min(degree, len(vectors) - 1), random_state=seed)


def _highest_scores(vectors: np.ndarray, queries: np.ndarray, k: int) -> np.ndarray:
    """Compute the k highest scores of all rows, the query row included, descending: shape (m, k)."""
    best = []
    for rows in _blocks(len(queries), len(vectors)):
        products = vectors[queries[rows]] @ vectors.T
        best.append(-np.sort(np.partition(-products, k - 1, axis=1)[:, :k], axis=1))
    return np.concatenate(best)


def _blocks(n: int, width: int) -> Iterator[slice]:
    """Return slices of n rows such that a block of `width` columns has at most `_PRODUCTS` values."""
    size = max(_PRODUCTS // max(width, 1), 1)
    return (slice(first, min(first + size, n)) for first in range(0, n, size))


@contextmanager
def _ignore_warnings() -> Iterator[None]:
    """Ignore warnings of pynndescent about compilation and about rows with too few neighbors."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
