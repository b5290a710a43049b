"""Scores of every row of one version, exact: one matrix product; and its nearest rows, by the way that serves.

Rows are put in order of source, site and time, so that the scores of a stretch of a series are a product over a stretch
of memory, without a copy. What fits into memory is read once and kept; of what does not, blocks stream by at every
search, and only times and scores are kept.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..encoder.library_view import LibraryView
from ..errors import ArchiveError
from .identity import METRIC
from .neighbors import MIN_RECALL, GraphNear
from .store import Part, Store

logger = logging.getLogger(__name__)

PRODUCT, GRAPH, INDEX = "product", "graph", "index"
FEW_ROWS = 100_000
"""Up to so many rows a product takes a few milliseconds, and nothing else is worth its trouble."""

# Of more neighbors than this a graph or an index costs what a product does.
_MAX_PROPOSED = 4096
_FEW_OF = 100
_UNKNOWN = object()  # whether the store has an index
_DEFAULT_MEMORY = 4 * 2**30
# Rows of several centers scored at once, so that their products do not take the memory of all rows.
_ROWS = 2**16


@dataclass(frozen=True, eq=False)
class Series:
    """The samples of one source and site, ascending in time.

    Attributes
    ----------
    source, site : str
    start, end : numpy.ndarray of datetime64[ns], shape (n,)
    quality : numpy.ndarray of int16, shape (n,)
    first : int
        Number of its first sample among the rows of the index.
    """

    source: str
    site: str
    start: np.ndarray
    end: np.ndarray
    quality: np.ndarray
    first: int

    def __len__(self) -> int:
        return len(self.start)


@dataclass(frozen=True, eq=False)
class Choice:
    """Rows that are searched, in the forms that searches need.

    Attributes
    ----------
    mask : numpy.ndarray of bool, shape (n,)
        Of the rows of the index.
    stretches : sequence of slice
        That hold all of them.
    part : Part
        The same rows, in the form of the store.
    """

    mask: np.ndarray
    stretches: Sequence[slice]
    part: Part


class Index:
    """Answers from one version of a store.

    Parameters
    ----------
    store : Store
    version : int, optional
        Default the newest.
    memory : int, optional
        Bytes that embeddings may take; beyond, they stay on the disk. Default half of the machine's memory.

    Attributes
    ----------
    version : int
    series : tuple of Series
    memory : int
        Bytes that embeddings may take.
    in_memory : bool
        Whether they are kept there.
    damaged : int
        Rows that are not as they were written; they have no score.

    Raises
    ------
    ArchiveError
        If the archive is of a metric that is not served.
    """

    def __init__(self, store: Store, version: int | None = None, memory: int | None = None) -> None:
        if store.identity.metric != METRIC:
            found = f"its metric is {store.identity.metric!r}"
            raise ArchiveError("archive", found, f"Only {METRIC!r} is searched.")
        self._store = store
        self._heads = store.heads(version)
        self.version, self.damaged = self._heads.version, self._heads.damaged
        heads = self._heads
        ranks = [_ranks(texts)[codes] for texts, codes in ((heads.sites, heads.site), (heads.sources, heads.source))]
        order = np.lexsort((heads.start.view(np.int64), *ranks))
        # Numbers of rows take half the memory where they fit into 32 bits.
        self._stored = order.astype(np.int32 if len(order) < 2**31 else np.int64)
        del order, ranks
        self._position = np.empty_like(self._stored)
        self._position[self._stored] = np.arange(len(self._stored), dtype=self._stored.dtype)
        self.series = self._cut(self._stored)
        self.memory = default_memory() if memory is None else memory
        size = len(self) * store.identity.dimension * 4
        self.in_memory = size <= self.memory
        told = "kept in memory" if self.in_memory else "read from the disk at every search"
        logger.info("Archive, version %d: %d rows, %.3g GB, %s.", self.version, len(self), size / 1e9, told)
        self._block: np.ndarray | None = None
        self._near: Any = _UNKNOWN
        self._graph: GraphNear | None = None
        self._lengths: tuple[str, np.ndarray] | None = None

    def __len__(self) -> int:
        return len(self._stored)

    def scores(
        self, centers: np.ndarray, chosen: Sequence[slice] | None = None, view: LibraryView | None = None
    ) -> np.ndarray:
        """Compute the cosine of each row with the nearest of several centers.

        Parameters
        ----------
        centers : numpy.ndarray, shape (m, dimension), or the directions of `view`
            Of unit length.
        chosen : sequence of slice, optional
            Stretches of rows; the others have no score. Default all.
        view : LibraryView, optional
            Compare the directions of this view instead of the embeddings. For rows in memory it costs one more pass
            at the first search, and 4 bytes a row that are kept for the next one.

        Returns
        -------
        numpy.ndarray of float32, shape (n,)
            From -1 to 1; NaN where not chosen, or damaged.
        """
        weights = np.ascontiguousarray(centers if view is None else view.weights(centers), np.float32)
        offsets = None if view is None else (weights @ view.center).astype(np.float32)
        found = np.full(len(self), np.nan, np.float32)
        chosen = [slice(0, len(self))] if chosen is None else chosen
        if self.in_memory:
            block = self._loaded()
            lengths = None if view is None else self._lengths_in(view, block)
            for rows in chosen:
                score_rows(block[rows], weights, offsets, None if lengths is None else lengths[rows], found[rows])
            return found
        wanted = np.zeros(len(self), bool)
        for rows in chosen:
            wanted[rows] = True
        lost = len(self)
        for numbers, embeddings in self._store.blocks(self._heads):
            rows = self._position[numbers]
            lost -= len(rows)
            inside = wanted[rows]
            scores = np.empty(int(inside.sum()), np.float32)
            part = embeddings if inside.all() else embeddings[inside]
            score_rows(part, weights, offsets, None if view is None else view.lengths(part), scores)
            found[rows[inside]] = scores
        self._tell(lost)
        return found

    def _lengths_in(self, view: LibraryView, block: np.ndarray) -> np.ndarray:
        """Return the length of each row in a view; those of the last view are kept."""
        if self._lengths is None or self._lengths[0] != view.hash:
            self._lengths = view.hash, view.lengths(block).astype(np.float32)
        return self._lengths[1]

    def embeddings(self, rows: np.ndarray | slice) -> np.ndarray:
        """Return the embeddings of rows: float32, shape (n, dimension); NaN where damaged."""
        number = len(range(len(self))[rows]) if isinstance(rows, slice) else len(rows)
        # A few are sooner read from the disk than all are loaded.
        if self._block is not None or (self.in_memory and number > len(self) // _FEW_OF):
            return self._loaded()[rows]
        return self._store.embeddings(self._heads, self._stored[rows])

    def thumbnails(self, rows: np.ndarray) -> list[bytes | None]:
        """Small pictures of these rows, None where none was kept; DamagedArchiveError if one is damaged."""
        return list(self._store.take(self._heads, self._stored[rows]).thumbnail)

    def nearest(self, center: np.ndarray, k: int, chosen: Choice | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Numbers and scores of the k rows of highest score, best first; fewer where there are not so many.

        By the `way` that serves; scores are exact whichever it is.

        Parameters
        ----------
        center : numpy.ndarray, shape (dimension,)
            Of unit length.
        k : int
        chosen : Choice, optional
            The rows to search; default all.
        """
        center, way = np.ascontiguousarray(center, np.float32), self.way(chosen, k)
        if way == PRODUCT:
            scores = self.scores(center[None], None if chosen is None else chosen.stretches)
            if chosen is not None:
                scores[~chosen.mask] = np.nan
            rows = np.flatnonzero(np.isfinite(scores))
            rows = rows[np.argpartition(-scores[rows], k - 1)[:k]] if k < len(rows) else rows
            found = scores[rows]
        else:
            rows = self._proposed(center, k, chosen, way)
            # The copy of few rows, and a product that is rounded as that of all rows is not: by some 1e-7.
            found = np.clip(self.embeddings(rows) @ center, -1, 1)
            rows, found = rows[np.isfinite(found)], found[np.isfinite(found)]
        best = np.lexsort((rows, -found))[:k]
        return rows[best], found[best]

    def way(self, chosen: Choice | None = None, k: int = 1) -> str:
        """Return the method of `nearest`: 'product' (exact), 'graph' (in memory) or 'index' (on disk).

        The graph, where `prepare` has made one and all rows are searched; else the index, where one was built and more
        than a hundred thousand rows are searched; else, and for thousands of neighbors, the product with every row.
        """
        if k > _MAX_PROPOSED:
            return PRODUCT
        if self._graph is not None and chosen is None:
            return GRAPH
        rows = len(self) if chosen is None else int(chosen.mask.sum())
        if rows > FEW_ROWS:
            if self._near is _UNKNOWN:
                self._near = self._store.near(self._heads)
            if self._near is not None:
                return INDEX
        return PRODUCT

    def recall(self, way: str) -> float:
        """Share of the ten nearest that a way finds, as measured when what it goes by was made."""
        return {GRAPH: self._graph, INDEX: self._near}[way].recall if way in (GRAPH, INDEX) else 1.0

    def prepare(self, seed: int = 0) -> float:
        """Make a graph of all rows in memory, for many searches, and give its recall.

        It takes a second copy of the embeddings and, for a million rows, minutes. Below a recall of 0.99 it is not
        used, with a warning.
        """
        graph = GraphNear(self._loaded(), seed)
        if graph.recall < MIN_RECALL:
            logger.warning("The graph finds %.3f of the nearest only; it is not used.", graph.recall)
        else:
            self._graph = graph
        return graph.recall

    def _proposed(self, center: np.ndarray, k: int, chosen: Choice | None, way: str) -> np.ndarray:
        if way == GRAPH:
            return self._graph.propose(center, k)
        return self._position[self._near.propose(center, k, None if chosen is None else chosen.part)]

    def _loaded(self) -> np.ndarray:
        """All embeddings in the order of the rows; NaN where damaged."""
        if self._block is None:
            block = np.full((len(self), self._store.identity.dimension), np.nan, np.float32)
            there = 0
            for numbers, embeddings in self._store.blocks(self._heads):
                block[self._position[numbers]] = embeddings
                there += len(numbers)
            self._tell(len(self) - there)
            block.flags.writeable = False
            self._block = block
        return self._block

    def _tell(self, lost: int) -> None:
        damaged = self._heads.damaged + lost
        if damaged:
            told = "%d of %d rows are damaged and left out; see pyspedas-similarity archive verify and repair."
            logger.warning(told, damaged, len(self) + self._heads.damaged)
        self.damaged = damaged

    def _cut(self, order: np.ndarray) -> tuple[Series, ...]:
        heads = self._heads
        source, site = heads.source[order], heads.site[order]
        starts = np.flatnonzero((np.diff(source, prepend=-1) != 0) | (np.diff(site, prepend=-1) != 0))
        found = []
        for first, last in zip(starts, np.append(starts, len(order))[1:], strict=True):
            rows = order[first:last]
            labels = heads.sources[source[first]], heads.sites[site[first]]
            found.append(Series(*labels, heads.start[rows], heads.end[rows], heads.quality[rows], int(first)))
        return tuple(found)


def _ranks(texts: Sequence[str]) -> np.ndarray:
    """Place of each text in alphabetical order, so that it does not matter what was added first."""
    return np.argsort(np.array(sorted(range(len(texts)), key=texts.__getitem__), np.int64)).astype(np.int32)


def default_memory() -> int:
    """Return half of the machine's memory, in bytes, or 4 GB where it is not known."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    except (AttributeError, ValueError, OSError):
        return _DEFAULT_MEMORY


def score_rows(
    embeddings: np.ndarray,
    weights: np.ndarray,
    offsets: np.ndarray | None,
    lengths: np.ndarray | None,
    out: np.ndarray,
) -> None:
    """Compute the highest of the products with several weights, less their offsets, over the lengths."""
    if len(weights) == 1:
        np.matmul(embeddings, weights[0], out=out)
        if offsets is not None:
            out -= offsets[0]
    else:
        for first in range(0, len(embeddings), _ROWS):
            rows = slice(first, first + _ROWS)
            products = embeddings[rows] @ weights.T
            np.max(products if offsets is None else products - offsets, axis=1, out=out[rows])
    if lengths is not None:
        out /= lengths
    np.clip(out, -1, 1, out=out)
