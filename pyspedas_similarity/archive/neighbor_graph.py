"""Graphs of neighbors, kept on the disk: a cache that may be deleted, and is not used where it is damaged.

<archive>/graphs/<hash>.json          what it was made of, and a hash of the numbers
<archive>/graphs/<hash>.neighbors    int32, as numpy writes arrays; the scores are computed again
"""

from __future__ import annotations

import hashlib
import logging
import os
import secrets
from contextlib import suppress
from pathlib import Path

import numpy as np

from ..errors import DamagedArchiveError
from .durable import Folder, make_folder
from .neighbors import EXACT_ROWS, NeighborGraph, make_graph, scored
from .records import read_record, write_record

logger = logging.getLogger(__name__)


def cached_graph(folder: Path | None, embeddings: np.ndarray, k: int, seed: int = 0) -> NeighborGraph:
    """The graph of embeddings, from the disk where it was made before; small ones are computed every time.

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
    name = hashlib.sha256(f"{made_of} {k} {seed}".encode()).hexdigest()[:32]
    found = _read(folder, name, (len(embeddings), k))
    if found is None:
        graph = make_graph(embeddings, k, seed)
        try:
            _write(folder, name, graph)
        except OSError as error:
            logger.info("The graph of neighbors is not kept: %s", error)
        return graph
    neighbors, recall = found
    return scored(embeddings, neighbors, recall)


def _read(folder: Path, name: str, shape: tuple[int, int]) -> tuple[np.ndarray, float] | None:
    try:
        record, path = read_record(Folder(folder), f"{name}.json"), folder / f"{name}.neighbors"
        if path.stat().st_size != 4 * shape[0] * shape[1]:
            raise ValueError(f"it has {path.stat().st_size} bytes")
        raw = path.read_bytes()
        if hashlib.sha256(raw).hexdigest() != record["hash"]:
            raise ValueError("its numbers are not as they were written")
        neighbors = np.frombuffer(raw, "<i4").reshape(shape)
        if neighbors.min() < -1 or neighbors.max() >= shape[0]:
            raise ValueError("it names rows that are not there")
        return neighbors, float(record["recall"])
    except FileNotFoundError:
        return None
    except (DamagedArchiveError, OSError, ValueError, KeyError) as error:
        logger.warning("The graph of neighbors is built again: %s", error)
        return None


def _write(folder: Path, name: str, graph: NeighborGraph) -> None:
    """Put it there whole, and take away older ones, which are of what the archive held before."""
    make_folder(folder)
    raw = np.ascontiguousarray(graph.neighbors, "<i4").tobytes()
    temporary = folder / f".tmp{os.getpid()}-{secrets.token_hex(4)}"
    try:
        temporary.write_bytes(raw)
        os.replace(temporary, folder / f"{name}.neighbors")
    except OSError:
        with suppress(OSError):
            temporary.unlink()
        raise
    record = {"hash": hashlib.sha256(raw).hexdigest(), "recall": graph.recall}
    write_record(Folder(folder), f"{name}.json", record)
    _forget_oldest(folder)


def _forget_oldest(folder: Path, keep: int = 4) -> None:
    records = sorted(folder.glob("*.json"), key=lambda path: path.stat().st_mtime)
    for path in records[:-keep]:
        for one in (path, path.with_suffix(".neighbors")):
            with suppress(OSError):
                one.unlink()
