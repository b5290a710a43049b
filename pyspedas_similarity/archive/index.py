"""Search of one version of an archive: exact scores by a matrix product, and nearest neighbors.

Rows are sorted by source, site and time, so that the samples of a time range are contiguous in memory. Embeddings that
fit into memory are read once and kept; larger archives are read block by block at every search.
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
from .neighbors import FEWEST_ROWS, MIN_RECALL, GraphIndex
from .rows import METRIC
from .store import Part, Store

logger = logging.getLogger(__name__)

PRODUCT, GRAPH, INDEX = "product", "graph", "index"
FEW_ROWS = 100_000
"""Maximum number of rows for which the product, a few milliseconds, is always used."""

# For more neighbors than this, a graph or an index is no faster than the product.
_MAX_PROPOSED = 4096
_FEW_OF = 100
_UNKNOWN = object()  # the store was not yet asked for an index
_DEFAULT_MEMORY = 4 * 2**30
# Rows per block when there are several centers, to bound the memory of the products.
_ROWS = 2**16


@dataclass(frozen=True, eq=False)
class Series:
    """Samples of one source and site, ascending in time; `first` is the row number of the first in the index."""

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
    """Selection of rows to search: a mask, contiguous ranges that contain them, and the same for the store."""

    mask: np.ndarray
    stretches: Sequence[slice]
    part: Part


class Index:
    """Search index of one version of a store, by default the newest.

    `memory` is the maximum for embeddings, in bytes, by default half of the machine's; larger archives stay on disk.
    `damaged` counts damaged rows, which have no score; `references` keeps what all rows have in common, by question.
    """

    def __init__(self, store: Store, version: int | None = None, memory: int | None = None) -> None:
        if store.identity.metric != METRIC:
            found = f"its metric is {store.identity.metric!r}"
            raise ArchiveError("archive", found, f"Only {METRIC!r} is supported.")
        self._store = store
        self._heads = store.heads(version)
        self.version, self.damaged = self._heads.version, self._heads.damaged
        heads = self._heads
        ranks = [
            _alphabetical_ranks(texts)[codes]
            for texts, codes in ((heads.sites, heads.site), (heads.sources, heads.source))
        ]
        order = np.lexsort((heads.start.view(np.int64), *ranks))
        # 32-bit row numbers take half the memory.
        self._stored = order.astype(np.int32 if len(order) < 2**31 else np.int64)
        del order, ranks
        self._position = np.empty_like(self._stored)
        self._position[self._stored] = np.arange(len(self._stored), dtype=self._stored.dtype)
        self.series = self._split_series(self._stored)
        self.memory = default_memory() if memory is None else memory
        size = len(self) * store.identity.dimension * 4
        self.in_memory = size <= self.memory
        message = "kept in memory" if self.in_memory else "read from the disk at every search"
        logger.info("Archive, version %d: %d rows, %.3g GB, %s.", self.version, len(self), size / 1e9, message)
        self._block: np.ndarray | None = None
        self._near: Any = _UNKNOWN
        self._graph: GraphIndex | None = None
        self._lengths: tuple[str, np.ndarray] | None = None
        self.references: dict[str, Any] = {}

    def __len__(self) -> int:
        return len(self._stored)

    def scores(
        self, centers: np.ndarray, chosen: Sequence[slice] | None = None, view: LibraryView | None = None
    ) -> np.ndarray:
        """Compute the cosine similarity of each row to the nearest of several centers: float32, shape (n,).

        NaN for rows outside `chosen` (default all) or damaged. With a view, its directions are compared instead of the
        embeddings; for rows in memory, the first search then takes one more pass, and 4 bytes per row are cached.
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
        self._warn_of_damage(lost)
        return found

    def _lengths_in(self, view: LibraryView, block: np.ndarray) -> np.ndarray:
        """Return the length of each row in a view; the lengths of the last view are cached."""
        if self._lengths is None or self._lengths[0] != view.hash:
            self._lengths = view.hash, view.lengths(block).astype(np.float32)
        return self._lengths[1]

    def embeddings(self, rows: np.ndarray | slice) -> np.ndarray:
        """Return the embeddings of rows: float32, shape (n, dimension); NaN where damaged."""
        number = len(range(len(self))[rows]) if isinstance(rows, slice) else len(rows)
        # Reading a few rows from disk is faster than loading all.
        if self._block is not None or (self.in_memory and number > len(self) // _FEW_OF):
            return self._loaded()[rows]
        return self._store.embeddings(self._heads, self._stored[rows])

    def thumbnails(self, rows: np.ndarray) -> list[bytes | None]:
        """Return the thumbnails of rows, None where none is stored; DamagedArchiveError if one is damaged."""
        return list(self._store.take(self._heads, self._stored[rows]).thumbnail)

    def nearest(self, center: np.ndarray, k: int, chosen: Choice | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Return row numbers and exact scores of the k nearest rows, best first; fewer if there are fewer rows."""
        center, way = np.ascontiguousarray(center, np.float32), self.way(chosen, k)
        if way == PRODUCT:
            scores = self.scores(center[None], None if chosen is None else chosen.stretches)
            if chosen is not None:
                scores[~chosen.mask] = np.nan
            rows = np.flatnonzero(np.isfinite(scores))
            rows = rows[np.argpartition(-scores[rows], k - 1)[:k]] if k < len(rows) else rows
            found = scores[rows]
        else:
            if way == GRAPH:
                rows = self._graph.propose(center, k)
            else:
                rows = self._position[self._near.propose(center, k, None if chosen is None else chosen.part)]
            # Rounding differs from the product over all rows by about 1e-7.
            found = np.clip(self.embeddings(rows) @ center, -1, 1)
            rows, found = rows[np.isfinite(found)], found[np.isfinite(found)]
        best = np.lexsort((rows, -found))[:k]
        return rows[best], found[best]

    def way(self, chosen: Choice | None = None, k: int = 1) -> str:
        """Return the method of `nearest`: 'product' (exact), 'graph' (in memory) or 'index' (on disk).

        The graph is used if `prepare` built one and all rows are searched; else the index, if one was built and more
        than 100,000 rows are searched; else, and for more than 4096 neighbors, the product.
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
        """Return the recall of a method for ten neighbors, as measured when its graph or index was built."""
        return {GRAPH: self._graph, INDEX: self._near}[way].recall if way in (GRAPH, INDEX) else 1.0

    def prepare(self, seed: int = 0) -> float:
        """Build a graph of all rows in memory, for many searches, and return its recall.

        The graph takes a second copy of the embeddings and, for a million rows, minutes to build. With a recall below
        0.99 it is not used, and a warning is logged.
        """
        embeddings = self._loaded()
        n_known = int(np.isfinite(embeddings).all(axis=1).sum())
        if n_known < FEWEST_ROWS:
            remedy = f"A graph needs {FEWEST_ROWS} rows; fewer are searched exactly."
            raise ArchiveError(self._store.place.address, f"it holds {n_known} rows", remedy)
        graph = GraphIndex(embeddings, seed)
        if graph.recall < MIN_RECALL:
            logger.warning("The recall of the graph is only %.3f; it is not used.", graph.recall)
        else:
            self._graph = graph
        return graph.recall

    def _loaded(self) -> np.ndarray:
        """Load all embeddings in row order; NaN where damaged."""
        if self._block is None:
            block = np.full((len(self), self._store.identity.dimension), np.nan, np.float32)
            there = 0
            for numbers, embeddings in self._store.blocks(self._heads):
                block[self._position[numbers]] = embeddings
                there += len(numbers)
            self._warn_of_damage(len(self) - there)
            block.flags.writeable = False
            self._block = block
        return self._block

    def _warn_of_damage(self, lost: int) -> None:
        damaged = self._heads.damaged + lost
        if damaged:
            message = "%d of %d rows are damaged and left out; see pyspedas-similarity archive verify and repair."
            logger.warning(message, damaged, len(self) + self._heads.damaged)
        self.damaged = damaged

    def _split_series(self, order: np.ndarray) -> tuple[Series, ...]:
        heads = self._heads
        source, site = heads.source[order], heads.site[order]
        starts = np.flatnonzero((np.diff(source, prepend=-1) != 0) | (np.diff(site, prepend=-1) != 0))
        found = []
        for first, last in zip(starts, np.append(starts, len(order))[1:], strict=True):
            rows = order[first:last]
            labels = heads.sources[source[first]], heads.sites[site[first]]
            found.append(Series(*labels, heads.start[rows], heads.end[rows], heads.quality[rows], int(first)))
        return tuple(found)


def _alphabetical_ranks(texts: Sequence[str]) -> np.ndarray:
    """Return the alphabetical rank of each text, so that the row order is independent of the order of additions."""
    return np.argsort(np.array(sorted(range(len(texts)), key=texts.__getitem__), np.int64)).astype(np.int32)


def default_memory() -> int:
    """Return half of the machine's memory in bytes, or 4 GB if it is unknown."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    except (AttributeError, ValueError, OSError):
        return _DEFAULT_MEMORY


def score_rows(
    embeddings: np.ndarray, weights: np.ndarray, offsets: np.ndarray | None, lengths: np.ndarray | None, out: np.ndarray
) -> None:
    """Compute the maximum over weights of ``(embeddings @ weights.T - offsets) / lengths``, clipped, in `out`."""
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
