"""Graphs of neighbors, kept on the disk: a cache that may be deleted, and is not used where it is damaged.

``<archive>/graphs/<hash>.npz`` holds the neighbors (int32) and the recall; the scores are computed again.
"""

from __future__ import annotations

import hashlib
import io
import logging
import zipfile
from contextlib import suppress
from pathlib import Path

import numpy as np

from ..files import replace_whole
from .neighbors import EXACT_ROWS, NeighborGraph, make_graph, scored

logger = logging.getLogger(__name__)

# Graphs of what an archive held before are kept up to this number.
_KEPT = 4


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
    found = _read(path, (len(embeddings), k))
    if found is None:
        graph = make_graph(embeddings, k, seed)
        try:
            _write(path, graph)
        except OSError as error:
            logger.info("The graph of neighbors is not kept: %s", error)
        return graph
    return scored(embeddings, *found)


def _read(path: Path, shape: tuple[int, int]) -> tuple[np.ndarray, float] | None:
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


def _write(path: Path, graph: NeighborGraph) -> None:
    """Write a graph, and remove the oldest ones."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = io.BytesIO()
    np.savez(content, neighbors=graph.neighbors, recall=graph.recall)
    replace_whole(path, content.getvalue())
    for old in sorted(path.parent.glob("*.npz"), key=lambda one: one.stat().st_mtime)[:-_KEPT]:
        with suppress(OSError):
            old.unlink()
