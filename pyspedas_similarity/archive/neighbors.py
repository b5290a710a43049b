"""Graph of the neighbors in an archive, by pynndescent, and searches along it.

The graph serves maps, clusters, novelty and duplicates. It is kept in ``<archive>/graphs/<hash>.npz``, a cache that may
be deleted: its scores are products of embeddings, and it is built again when these change. Nearest neighbor descent:
Dong et al. 2011 (doi 10.1145/1963405.1963487).
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
"""Up to so many all products are computed, which takes less time than the compilation of pynndescent."""

MIN_RECALL = 0.99
"""Of an index that is used: the share of the ten nearest that it finds."""

AIM = 0.995
"""What its settings are chosen for: rows find each other better than a query from outside finds them."""

# Graphs of what an archive held before are kept up to this number.
_KEPT = 4
# Rows by which that is measured, and neighbors of each.
_QUERIES, _K = 400, 10
# Pairs of rows whose products are in memory at once: 64 MB.
_PRODUCTS = 2**24
# Of pynndescent: neighbors of each row that a search goes along, and how far from the best it strays.
_DEGREE, _STRAYS = 30, (0.05, 0.1, 0.2, 0.4)


@dataclass(frozen=True, eq=False)
class NeighborGraph:
    """The nearest other rows of each row, best first.

    Attributes
    ----------
    neighbors : numpy.ndarray of int32, shape (n, k)
        Numbers of rows; -1 where there is none.
    scores : numpy.ndarray of float32, shape (n, k)
        Cosines; NaN where there is none.
    recall : float
        Share of the true neighbors that are in it, measured on some hundred rows; 1 where all products were computed.
    """

    neighbors: np.ndarray
    scores: np.ndarray
    recall: float

    def __len__(self) -> int:
        return len(self.neighbors)


def make_graph(embeddings: np.ndarray, k: int = 15, seed: int = 0) -> NeighborGraph:
    """Find the k nearest other rows of each row.

    Parameters
    ----------
    embeddings : numpy.ndarray of float32, shape (n, dimension)
        Of unit length; rows with NaN have no neighbors and are nobody's neighbor.
    k : int
        Fewer where there are not so many rows.
    seed : int

    Returns
    -------
    NeighborGraph
    """
    if isinstance(k, bool) or not isinstance(k, (int, np.integer)) or k < 1:
        raise ArgumentError("k", f"found {k!r}", "Give the number of neighbors, 1 or more.")
    known = np.flatnonzero(np.isfinite(embeddings).all(axis=1))
    vectors = embeddings if len(known) == len(embeddings) else embeddings[known]
    near, recall = _by_products(vectors, k) if len(known) <= EXACT_ROWS else _by_descent(vectors, k, seed)
    neighbors = np.full((len(embeddings), k), -1, np.int32)
    neighbors[known[:, None], np.arange(near.shape[1])] = np.where(near < 0, -1, known[near])
    return scored(embeddings, neighbors, recall)


def scored(embeddings: np.ndarray, neighbors: np.ndarray, recall: float) -> NeighborGraph:
    """A graph of these neighbors, in order of their scores."""
    n, k = neighbors.shape
    scores = np.full((n, k), np.nan, np.float32)
    for rows in _blocks(n, k * embeddings.shape[1]):
        there = neighbors[rows]
        products = np.einsum("nd,nkd->nk", embeddings[rows], embeddings[there])
        scores[rows] = np.where(there < 0, np.nan, np.clip(products, -1, 1))
    order = np.argsort(-np.nan_to_num(scores, nan=-np.inf), axis=1, kind="stable")
    return NeighborGraph(np.take_along_axis(neighbors, order, 1), np.take_along_axis(scores, order, 1), recall)


def nearest_others(embeddings: np.ndarray, rows: np.ndarray, barred: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The nearest of all rows to some of them, by all products.

    Parameters
    ----------
    embeddings : numpy.ndarray of float32, shape (n, dimension)
    rows : numpy.ndarray of int, shape (m,)
    barred : numpy.ndarray of int, shape (m, 2)
        First and last row, not included, of a stretch that does not count for each.

    Returns
    -------
    nearest : numpy.ndarray of int32, shape (m,)
        -1 where there is none.
    scores : numpy.ndarray of float32, shape (m,)
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
    """Return the graph of embeddings, from the disk where it was made before; small ones are computed every time.

    Parameters
    ----------
    folder : Path or None
        Of the graphs of one archive; made where there is none. One that cannot be written to costs the cache alone, and
        so does None.
    embeddings, k, seed
        As in `make_graph`.
    """
    if folder is None or len(embeddings) <= EXACT_ROWS:
        return make_graph(embeddings, k, seed)
    made_of = hashlib.sha256(np.ascontiguousarray(embeddings)).hexdigest()
    path = folder / f"{hashlib.sha256(f'{made_of} {k} {seed}'.encode()).hexdigest()[:32]}.npz"
    found = _read_graph(path, (len(embeddings), k))
    if found is None:
        graph = make_graph(embeddings, k, seed)
        try:
            _write_graph(path, graph)
        except OSError as error:
            logger.info("The graph of neighbors is not kept: %s", error)
        return graph
    return scored(embeddings, *found)


def _read_graph(path: Path, shape: tuple[int, int]) -> tuple[np.ndarray, float] | None:
    """Return neighbors and recall; None where there is none or it is damaged, which the checksums of a zip show."""
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            neighbors, recall = file["neighbors"], float(file["recall"])
        if neighbors.shape != shape or neighbors.dtype != np.int32:
            raise ValueError(f"it holds {neighbors.dtype} of shape {neighbors.shape}")
        if neighbors.min() < -1 or neighbors.max() >= shape[0]:
            raise ValueError("it names rows that are not there")
        return neighbors, recall
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        logger.warning("The graph of neighbors is built again: %s", error)
        return None


def _write_graph(path: Path, graph: NeighborGraph) -> None:
    """Write a graph, and remove the oldest ones."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = io.BytesIO()
    np.savez(content, neighbors=graph.neighbors, recall=graph.recall)
    replace_whole(path, content.getvalue())
    for old in sorted(path.parent.glob("*.npz"), key=lambda one: one.stat().st_mtime)[:-_KEPT]:
        with suppress(OSError):
            old.unlink()


class GraphNear:
    """Proposes neighbors by a walk along a graph that is kept in memory, with a second copy of the embeddings.

    Parameters
    ----------
    embeddings : numpy.ndarray of float32, shape (n, dimension)
        Of unit length.
    seed : int

    Attributes
    ----------
    recall : float
        Share of the ten nearest that are among its proposals for ten, of rows that its width was not chosen by.
    """

    def __init__(self, embeddings: np.ndarray, seed: int = 0) -> None:
        self._known = np.flatnonzero(np.isfinite(embeddings).all(axis=1)).astype(np.int32)
        vectors = embeddings if len(self._known) == len(embeddings) else embeddings[self._known]
        began = time.perf_counter()
        self._descent = _descent(vectors, _DEGREE, seed)
        with _quietly():
            self._descent.prepare()
        self._stray, self.recall = self._measured(vectors, np.random.default_rng(seed))
        taken = time.perf_counter() - began
        logger.info("Graph of %d rows in %.0f s, recall %.3f.", len(vectors), taken, self.recall)

    def propose(self, center: np.ndarray, m: int) -> np.ndarray:
        """Numbers of rows proposed for the m nearest."""
        m = min(m, len(self._known))
        found = self._descent.query(np.asarray(center, np.float32)[None], m, epsilon=self._stray)[0][0]
        return self._known[found[found >= 0]]

    def _measured(self, vectors: np.ndarray, rng: np.random.Generator) -> tuple[float, float]:
        asked = rng.choice(len(vectors), min(_QUERIES, len(vectors)), replace=False)
        # The row that asks is found by any graph, and is not counted.
        right = _best_scores(vectors, asked, _K + 1)[:, 1:]
        chosen, judged = (slice(start, None, 2) for start in (0, 1))
        for stray in _STRAYS:
            self._stray = stray
            if self._mean_share(vectors, asked[chosen], right[chosen]) >= AIM:
                break
        return stray, self._mean_share(vectors, asked[judged], right[judged])

    def _mean_share(self, vectors: np.ndarray, rows: np.ndarray, right: np.ndarray) -> float:
        return float(np.mean([self._share(vectors, *pair) for pair in zip(rows, right, strict=True)]))

    def _share(self, vectors: np.ndarray, row: int, best: np.ndarray) -> float:
        found = self._descent.query(vectors[row][None], _K + 1, epsilon=self._stray)[0][0]
        scores = vectors[found[(found >= 0) & (found != row)]] @ vectors[row]
        return float((scores >= best[-1] - 1e-6).sum() / len(best))


def _by_products(vectors: np.ndarray, k: int) -> tuple[np.ndarray, float]:
    n = len(vectors)
    k = min(k, max(n - 1, 0))
    near = np.full((n, k), -1, np.int32)
    for rows in _blocks(n, n) if k else ():
        products = vectors[rows] @ vectors.T
        products[np.arange(len(products)), np.arange(n)[rows]] = -np.inf
        near[rows] = np.argpartition(-products, k - 1, axis=1)[:, :k]
    return near, 1.0


def _by_descent(vectors: np.ndarray, k: int, seed: int) -> tuple[np.ndarray, float]:
    with _quietly():
        # Of few neighbors the descent finds fewer of the right ones.
        near = _descent(vectors, max(k + 1, _DEGREE), seed).neighbor_graph[0]
    # A row is its own neighbor, mostly the first; where it is not, the last is one too many.
    mine = near == np.arange(len(near))[:, None]
    mine[~mine.any(axis=1), -1] = True
    near = near[~mine].reshape(len(near), -1)[:, :k].astype(np.int32)
    asked = np.random.default_rng(seed).choice(len(vectors), _QUERIES, replace=False)
    best = _best_scores(vectors, asked, min(_K, k) + 1)[:, 1:]
    shares = []
    for row, right in zip(asked, best, strict=True):
        there = near[row][near[row] >= 0]
        shares.append((vectors[there] @ vectors[row] >= right[-1] - 1e-6).sum() / len(right))
    recall = float(np.minimum(shares, 1).mean())
    if recall < MIN_RECALL:
        logger.warning("The graph of neighbors holds %.3f of the nearest only.", recall)
    return near, recall


def _descent(vectors: np.ndarray, degree: int, seed: int) -> NNDescent:
    from pynndescent import NNDescent

    with _quietly():
        return NNDescent(vectors, metric="dot", n_neighbors=min(degree, len(vectors) - 1), random_state=seed)


def _best_scores(vectors: np.ndarray, asked: np.ndarray, k: int) -> np.ndarray:
    """Scores of the k best of all rows, the asked one among them, descending: (m, k)."""
    best = []
    for rows in _blocks(len(asked), len(vectors)):
        products = vectors[asked[rows]] @ vectors.T
        best.append(-np.sort(np.partition(-products, k - 1, axis=1)[:, :k], axis=1))
    return np.concatenate(best)


def _blocks(n: int, width: int) -> Iterator[slice]:
    """Rows whose tables of so many columns are in memory together."""
    size = max(_PRODUCTS // max(width, 1), 1)
    return (slice(first, min(first + size, n)) for first in range(0, n, size))


@contextmanager
def _quietly() -> Iterator[None]:
    """Silence pynndescent's warnings about compilation, and about rows with too few neighbors."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
