"""On-disk vector index by Lance, which proposes candidates that the caller ranks by their verified embeddings.

An inverted file index (IVF): rows are partitioned into cells, and stored as one bit per dimension (RaBitQ, Gao & Long
2024, doi 10.1145/3654970), or unquantized for small dimensions. A search probes the cells nearest to the query, and
scans all rows added after the index was built. The record ``indexes/<uuid>.json`` holds hashes of the index files,
data files covered, and the measured recall; an index with a damaged file or record is not used.
"""

from __future__ import annotations

import hashlib
import logging
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import reduce
from operator import or_
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ArchiveError, DamagedArchiveError
from .commit_records import read_record, write_record
from .commits import Change
from .fragments import convert_lance_errors
from .locations import ROWS, make_folder, sync, sync_folder
from .neighbors import AIM, MIN_RECALL, share_found
from .store import Heads, NeighborIndex, Part

if TYPE_CHECKING:
    from lance import LanceDataset

    from .lance_store import LanceStore, Snapshot

logger = logging.getLogger(__name__)

NAME = "near"
MIN_ROWS = 1000
"""Minimum number of rows of an index."""

# Standard error of the recall: 0.003 at a recall of 0.98, with correlated neighbors of a query.
_QUERIES, _K = 400, 10
# Candidates per requested neighbor, to compensate for the errors of quantization and rounding.
_CANDIDATES = {"IVF_RQ": 10, "IVF_FLAT": 2}
_MAX_CELLS = 4096
_CELLS_ASKED = (8, 16, 32, 64, 128, 256)


@dataclass(frozen=True)
class IndexDescription:
    """Description of an index.

    `files` are the data files covered, by fragment number; `hashes` the SHA-256 of the index files. `recall` is that
    of the ten nearest, with `cells` probed per search, on `n_queries` queries that were not used to choose `cells`.
    """

    uuid: str
    kind: str
    rows: int
    files: dict[str, str]
    hashes: dict[str, str]
    cells: int = 0
    recall: float = 0.0
    n_queries: int = 0


def build(store: LanceStore, seed: int = 0) -> IndexDescription:
    """Build an index of all rows, replace an older one, and measure its recall; ArchiveError if there are too few rows.

    Readers and writers are not blocked. Rows added later are scanned exhaustively until the index is rebuilt.
    """
    if not store.place.locks:
        # Optimistic commits overwrite the list of files, and Lance then drops the index of the previous version.
        found = "an index cannot be stored in an object store"
        raise ArchiveError(
            store.place.address, found, "Every search is exact there; prepare() builds a graph in memory."
        )
    with store.maintenance_lock():
        snapshot = store.snapshot()
        if snapshot.record.rows < MIN_ROWS:
            found = f"it holds {snapshot.record.rows} rows"
            remedy = f"An index needs {MIN_ROWS} rows; fewer are searched exactly."
            raise ArchiveError(store.place.address, found, remedy)
        failed = ArchiveError(store.place.address, "its index cannot be written (is the disk full?)", "Make room.")
        with convert_lance_errors(failed):
            made = _create_index(snapshot.dataset, snapshot.record.rows, store.identity.dimension)
            built = _describe(store, made, snapshot)
        make_folder(store.place.folder / "indexes")
        write_record(store.place, _record_name(built.uuid), asdict(built))
        _commit_index(store, made, built)
        measured = _measure_recall(store, built, np.random.default_rng(seed))
        write_record(store.place, _record_name(built.uuid), asdict(measured))
        _remove_unused_records(store)
    logger.info("Index of %d rows: %d cells probed, recall %.3f.", measured.rows, measured.cells, measured.recall)
    return measured


def near(store: LanceStore, heads: Heads) -> NeighborIndex | None:
    """Return the index of a version; None if there is none that can be used."""
    snapshot = store.snapshot(heads.version)
    if not _segments(snapshot.dataset):
        return None
    built = _read_checked(store, snapshot)
    if built is None:
        logger.warning("The index of %s is damaged and is not used; build it again.", store.place.address)
        return None
    if built.recall < MIN_RECALL:
        if built.cells:
            logger.warning("The recall of the index is only %.3f; every search is exact.", built.recall)
        return None
    return LanceIndex(snapshot.dataset, heads, built)


def is_damaged(store: LanceStore, snapshot: Snapshot) -> bool:
    """Return True if the index of a version is damaged."""
    return bool(_segments(snapshot.dataset)) and _read_checked(store, snapshot) is None


def drop(store: LanceStore) -> None:
    """Commit a version without the index; call only under the commit lock."""
    import lance

    newest = store.snapshot()
    operation = lance.LanceOperation.CreateIndex([], _lance_indexes(newest.dataset))
    store.make(Change("index", operation, newest.fragments()), newest)


class LanceIndex:
    """Index of one version on disk; see `NeighborIndex`."""

    def __init__(self, dataset: LanceDataset, heads: Heads, built: IndexDescription) -> None:
        self._dataset, self._built = dataset, built
        self.recall = built.recall
        order = np.argsort(heads.place, kind="stable")
        self._order = order.astype(np.int32 if len(order) < 2**31 else np.int64)
        self._places = heads.place if (np.diff(order) > 0).all() else heads.place[order]

    def propose(self, center: np.ndarray, m: int, part: Part | None = None) -> np.ndarray:
        """Return positions in `heads` of candidates for the m nearest rows, unsorted, and more than m of them."""
        # Scan as many rows of a part as of the whole archive, for which the recall was measured.
        cells = self._built.cells if part is None else int(np.ceil(self._built.cells / max(part.share, 1e-6)))
        nearest = {
            "column": "embedding",
            "q": np.ascontiguousarray(center, np.float32),
            "k": max(m, 10) * _CANDIDATES[self._built.kind],
            "nprobes": min(cells, _MAX_CELLS),
        }
        options: dict[str, Any] = {"columns": [], "with_row_address": True, "disable_scoring_autoprojection": True}
        if part is not None:
            options |= {"filter": _filter_expression(part), "prefilter": True}
        failed = DamagedArchiveError("archive", "its index cannot be read", "Build it again.")
        with convert_lance_errors(failed):
            found = self._dataset.scanner(nearest=nearest, **options).to_table()
        places = found["_rowaddr"].to_numpy().astype(np.int64)
        at = np.minimum(np.searchsorted(self._places, places), max(len(self._places) - 1, 0))
        # Rows with damaged metadata are in the index but not in `heads`.
        return self._order[at[self._places[at] == places]] if len(self._places) else at[:0]


def _create_index(dataset: LanceDataset, rows: int, dimension: int) -> Any:
    """Write a Lance index of all fragments without committing it."""
    cells = min(max(int(np.sqrt(rows) / 2), 1), _MAX_CELLS)
    fragments = [one.fragment_id for one in dataset.get_fragments()]
    kind = _index_type(dimension)
    options = {"metric": "dot", "name": NAME, "replace": True, "num_partitions": cells, "fragment_ids": fragments}
    return dataset.create_index_uncommitted("embedding", kind, **options)


def _index_type(dimension: int) -> str:
    """Return the index type: quantized for multiples of 8 from 64 dimensions on, as Lance requires; else flat."""
    return "IVF_FLAT" if dimension < 64 or dimension % 8 else "IVF_RQ"


def _describe(store: LanceStore, made: Any, snapshot: Snapshot) -> IndexDescription:
    """Return the description of an index, without recall; the index files are durable on return."""
    folder = _files_folder(store, made.uuid)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    sizes = {one.path: one.size_bytes for one in made.files or ()}
    for path in files:
        if sizes.get(path.name, path.stat().st_size) != path.stat().st_size:
            raise OSError(f"{path.name} is truncated")
    sync(files)
    for one in (folder.parent, folder.parent.parent):
        sync_folder(one)
    covered = {str(one.fragment_id): name for name, one in snapshot.files().items()}
    kind = _index_type(store.identity.dimension)
    return IndexDescription(made.uuid, kind, snapshot.record.rows, covered, {path.name: _hash(path) for path in files})


def _commit_index(store: LanceStore, made: Any, built: IndexDescription) -> None:
    """Commit a version with the index; an older index is replaced."""
    import lance

    with store.committing() as newest:
        if not _matches_data_files(built, newest):
            found = "it was restored to an older version while its index was built"
            raise ArchiveError(store.place.address, found, "Build it again.")
        operation = lance.LanceOperation.CreateIndex([made], _lance_indexes(newest.dataset))
        store.make(Change("index", operation, newest.fragments()), newest)


def _read_checked(store: LanceStore, snapshot: Snapshot) -> IndexDescription | None:
    """Read the description of the index of a version; None if it or a file is damaged. Files are hashed once."""
    segments = _segments(snapshot.dataset)
    if len(segments) != 1:
        return None
    try:
        built = IndexDescription(**read_record(store.place, _record_name(segments[0].uuid)))
        if built.uuid not in store.checked_indexes:
            folder = _files_folder(store, built.uuid)
            if any(_hash(folder / name) != found for name, found in built.hashes.items()):
                return None
            store.checked_indexes.add(built.uuid)
    except (DamagedArchiveError, OSError, TypeError):
        return None
    return built if _matches_data_files(built, snapshot) else None


def _lance_indexes(dataset: LanceDataset) -> list[Any]:
    """Return the index of a version as Lance objects, for its removal."""
    from lance.dataset import Index

    return [
        Index(one.uuid, NAME, [0], one.dataset_version_at_last_update, one.fragment_ids, one.index_version)
        for one in _segments(dataset)
    ]


def _segments(dataset: LanceDataset) -> list[Any]:
    """Return Lance's segments of the index of a version: one, or an empty list."""
    return [segment for one in dataset.describe_indices() if one.name == NAME for segment in one.segments]


def _matches_data_files(built: IndexDescription, snapshot: Snapshot) -> bool:
    """Return True if all covered fragments still have the data files that were indexed."""
    numbers = {str(one.fragment_id): name for name, one in snapshot.files().items()}
    return all(built.files.get(number, name) == name for number, name in numbers.items())


def _measure_recall(store: LanceStore, built: IndexDescription, rng: np.random.Generator) -> IndexDescription:
    """Choose the number of cells to probe by half of the queries, and measure the recall by the others."""
    heads = store.heads()
    queried = np.sort(rng.choice(len(heads), min(_QUERIES, len(heads)), replace=False))
    queries = np.full((len(queried), store.identity.dimension), np.nan, np.float32)
    for numbers, embeddings in store.blocks(heads):
        inside = np.isin(queried, numbers)
        queries[inside] = embeddings[np.searchsorted(numbers, queried[inside])]
    queries = queries[np.isfinite(queries).all(axis=1)]
    exact = _exact_scores(store, heads, queries)
    dataset = store.snapshot().dataset

    def recall(cells: int, half: slice) -> float:
        finder, shares = LanceIndex(dataset, heads, replace(built, cells=cells)), []
        for query, best in zip(queries[half], exact[half], strict=True):
            numbers = finder.propose(query, _K)
            # The query row itself is not counted.
            scores = -np.sort(-(store.embeddings(heads, numbers) @ query))[1 : _K + 1]
            shares.append(share_found(scores, best))
        return float(np.mean(shares))

    for cells in _CELLS_ASKED:
        if recall(cells, slice(0, None, 2)) >= AIM:
            break
    # A safety factor of two, since the number was chosen by few queries.
    cells, evaluated = 2 * cells, slice(1, None, 2)
    return replace(built, cells=cells, recall=recall(cells, evaluated), n_queries=len(queries[evaluated]))


def _exact_scores(store: LanceStore, heads: Heads, queries: np.ndarray) -> np.ndarray:
    """Compute the exact scores of the nearest other rows, best first: float32, shape (queries, k)."""
    best = np.full((len(queries), _K + 1), -np.inf, np.float32)
    for _, embeddings in store.blocks(heads):
        best = -np.partition(-np.hstack([best, queries @ embeddings.T]), _K, axis=1)[:, : _K + 1]
    return -np.sort(-best, axis=1)[:, 1:]


def _filter_expression(part: Part) -> Any:
    """Return a part of an archive as a filter expression; names are passed as values, never parsed."""
    import pyarrow as pa
    import pyarrow.compute as pc

    source, site, start = (pc.field(name) for name in ("source", "site", "start_ns"))
    allowed = reduce(or_, ((source == pa.scalar(one[0])) & (site == pa.scalar(one[1])) for one in part.series))
    if part.spans is not None:
        spans = [[int(time.astype("datetime64[ns]").astype(np.int64)) for time in span] for span in part.spans]
        allowed = allowed & reduce(or_, ((start >= low) & (start <= high) for low, high in spans))
    return allowed & (pc.field("quality") == 0) if part.usable_only else allowed


def _remove_unused_records(store: LanceStore) -> None:
    """Remove the records of indexes that belong to no version."""
    kept = store.place.names(f"{ROWS}/_indices")
    for name in store.place.names("indexes"):
        if name.endswith(".json") and name[:-5] not in kept:
            with suppress(OSError):
                store.place.remove(f"indexes/{name}")


def _record_name(uuid: str) -> str:
    return f"indexes/{uuid}.json"


def _files_folder(store: LanceStore, uuid: str) -> Path:
    return store.place.folder / ROWS / "_indices" / uuid


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
