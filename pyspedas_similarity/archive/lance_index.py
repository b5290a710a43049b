"""Lance's own index of the rows: candidates for the nearest from the disk, to be ranked exactly by who asks.

Rows are parted among cells around centers, and each is kept as one bit per number (RaBitQ, Gao & Long 2024,
doi 10.1145/3654970), or unquantized where there are too few numbers for one bit each. A search looks into the
few cells nearest to what is asked, and, one by one, at all rows that came after the index was built. What it finds is a
proposal: the caller takes the embeddings themselves, checked, and ranks by those, so that a score is never approximate,
only a neighbor may be missed. How often is measured when the index is built, and kept with it:

    <archive>/indexes/<uuid>.json          hashes of its files, which data files it covers, its recall
    <archive>/rows.lance/_indices/<uuid>/  Lance's files

An index whose files or record are not as they were written is not used.
"""

from __future__ import annotations

import hashlib
import logging
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ArchiveError, DamagedArchiveError
from .commits import Change
from .durable import make_folder, sync, sync_folder
from .fragments import failures_of_lance
from .locations import ROWS
from .neighbors import AIM, MIN_RECALL
from .records import read_record, write_record
from .store import Heads, Near, Part

if TYPE_CHECKING:
    from lance import LanceDataset

    from .lance_store import LanceStore, Snapshot

logger = logging.getLogger(__name__)

NAME = "near"
MIN_ROWS = 1000
"""Rows; of fewer an index cannot be made, and need not."""

# Enough for a standard error of the recall of 0.003 where it is 0.98, as the answers to one query hang together.
_QUERIES, _K = 400, 10
# Candidates for each row requested, against the order that one bit per number, or rounding, gets wrong.
_CANDIDATES = {"IVF_RQ": 10, "IVF_FLAT": 2}
_MAX_CELLS = 4096
_CELLS_ASKED = (8, 16, 32, 64, 128, 256)


@dataclass(frozen=True)
class Built:
    """Description of an index.

    Attributes
    ----------
    uuid : str
    kind : str
        Lance's name of it.
    rows : int
        That it covers.
    files : dict of str
        Data file of each number of a fragment, as text, that it covers.
    hashes : dict of str
        SHA-256 of each of its own files.
    cells : int
        Looked into at every search; 0 where it was not measured.
    recall : float
        Share of the ten nearest that it found, of rows that `cells` was not chosen by.
    n_queries : int
        By how many that was measured.
    """

    uuid: str
    kind: str
    rows: int
    files: dict[str, str]
    hashes: dict[str, str]
    cells: int = 0
    recall: float = 0.0
    n_queries: int = 0


def build(store: LanceStore, seed: int = 0) -> Built:
    """Make an index of all rows, in the place of an older one, and measure it.

    Readers and writers go on meanwhile. What is added later is searched one by one until this is called again.

    Raises
    ------
    ArchiveError
        If there are too few rows, it cannot be written, or the archive was taken back to an older version meanwhile.
    BusyArchiveError
        If another process maintains the archive.
    """
    if not store.place.locks:
        # A version is made there of the whole list of files, with which Lance drops what belongs to the one before.
        found = "an object store keeps no index"
        raise ArchiveError(
            store.place.address, found, "Every search is exact there; prepare() makes a graph in memory."
        )
    with store.maintaining():
        snapshot = store.snapshot()
        if snapshot.seal.rows < MIN_ROWS:
            found = f"it holds {snapshot.seal.rows} rows"
            remedy = f"An index needs {MIN_ROWS}; fewer are searched exactly at once."
            raise ArchiveError(store.place.address, found, remedy)
        failed = ArchiveError(store.place.address, "its index cannot be written (is the disk full?)", "Make room.")
        with failures_of_lance(failed):
            made = _made(snapshot.dataset, snapshot.seal.rows, store.identity.dimension)
            built = _described(store, made, snapshot)
        make_folder(store.place.folder / "indexes")
        write_record(store.place, _record_name(built.uuid), asdict(built))
        _put_in_place(store, made, built)
        measured = _measured(store, built, np.random.default_rng(seed))
        write_record(store.place, _record_name(built.uuid), asdict(measured))
        _forget_others(store)
    logger.info("Index of %d rows: %d cells, recall %.3f.", measured.rows, measured.cells, measured.recall)
    return measured


def near(store: LanceStore, heads: Heads) -> Near | None:
    """Return the index of a version; None if there is no sound one."""
    snapshot = store.snapshot(heads.version)
    if not _segments(snapshot.dataset):
        return None
    built = _built(store, snapshot)
    if built is None:
        logger.warning("The index of %s is not as it was written and not used; build it again.", store.place.address)
        return None
    if built.recall < MIN_RECALL:
        if built.cells:
            logger.warning("The index finds %.3f of the nearest only; every search is exact.", built.recall)
        return None
    return LanceNear(snapshot.dataset, heads, built)


def is_damaged(store: LanceStore, snapshot: Snapshot) -> bool:
    """Return True if the index of a version is damaged."""
    return bool(_segments(snapshot.dataset)) and _built(store, snapshot) is None


def drop(store: LanceStore) -> None:
    """Make a version without an index, under the lock of commits; the rows stay as they are."""
    import lance

    newest = store.snapshot()
    operation = lance.LanceOperation.CreateIndex([], _as_indexes(newest.dataset))
    store.make(Change("index", operation, newest.fragments()), newest)


class LanceNear:
    """Proposes neighbors by an index; see `Near`."""

    def __init__(self, dataset: LanceDataset, heads: Heads, built: Built) -> None:
        self._dataset, self._heads, self._built = dataset, heads, built
        self.recall = built.recall
        order = np.argsort(heads.place, kind="stable")
        self._order = order.astype(np.int32 if len(order) < 2**31 else np.int64)
        self._places = heads.place if _ascends(order) else heads.place[order]

    def propose(self, center: np.ndarray, m: int, part: Part | None = None) -> np.ndarray:
        """Numbers in the heads of about the m nearest rows, in no order, and of more than m."""
        # As many rows of a part are looked at as of the whole, which recall was measured on.
        cells = self._built.cells if part is None else int(np.ceil(self._built.cells / max(part.share, 1e-6)))
        nearest = {
            "column": "embedding",
            "q": np.ascontiguousarray(center, np.float32),
            "k": max(m, 10) * _CANDIDATES[self._built.kind],
            "nprobes": min(cells, _MAX_CELLS),
        }
        options: dict[str, Any] = {"columns": [], "with_row_address": True, "disable_scoring_autoprojection": True}
        if part is not None:
            options |= {"filter": _expression(part), "prefilter": True}
        failed = DamagedArchiveError("archive", "its index cannot be read", "Build it again.")
        with failures_of_lance(failed):
            found = self._dataset.scanner(nearest=nearest, **options).to_table()
        places = found["_rowaddr"].to_numpy().astype(np.int64)
        at = np.minimum(np.searchsorted(self._places, places), max(len(self._places) - 1, 0))
        # Rows whose heads are damaged are in the index, and not in the heads.
        return self._order[at[self._places[at] == places]] if len(self._places) else at[:0]


def _made(dataset: LanceDataset, rows: int, dimension: int) -> Any:
    """Lance's index of all fragments, written and of no version yet."""
    cells = min(max(int(np.sqrt(rows) / 2), 1), _MAX_CELLS)
    fragments = [one.fragment_id for one in dataset.get_fragments()]
    kind = _kind_for(dimension)
    options = {"metric": "dot", "name": NAME, "replace": True, "num_partitions": cells, "fragment_ids": fragments}
    return dataset.create_index_uncommitted("embedding", kind, **options)


def _kind_for(dimension: int) -> str:
    """Bits from 64 numbers on, where Lance takes them: by eights."""
    return "IVF_FLAT" if dimension < 64 or dimension % 8 else "IVF_RQ"


def _described(store: LanceStore, made: Any, snapshot: Snapshot) -> Built:
    """Return the description of an index before its recall is measured; its files are durable on return."""
    folder = _files_folder(store, made.uuid)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    sizes = {one.path: one.size_bytes for one in made.files or ()}
    for path in files:
        if sizes.get(path.name, path.stat().st_size) != path.stat().st_size:
            raise OSError(f"{path.name} was cut off")
    sync(files)
    for one in (folder.parent, folder.parent.parent):
        sync_folder(one)
    covered = {str(one.fragment_id): name for name, one in snapshot.files().items()}
    kind = _kind_for(store.identity.dimension)
    return Built(made.uuid, kind, snapshot.seal.rows, covered, {path.name: _hash(path) for path in files})


def _put_in_place(store: LanceStore, made: Any, built: Built) -> None:
    """Make the version that has the index, in the place of an older one."""
    import lance

    with store.committing() as newest:
        if not _covers_only_what_is_there(built, newest):
            found = "it was taken back to an older version while its index was built"
            raise ArchiveError(store.place.address, found, "Build it again.")
        operation = lance.LanceOperation.CreateIndex([made], _as_indexes(newest.dataset))
        store.make(Change("index", operation, newest.fragments()), newest)


def _built(store: LanceStore, snapshot: Snapshot) -> Built | None:
    """The record of a version's index, when it and the files are as they were written; these are read once."""
    uuids = [one.uuid for one in _segments(snapshot.dataset)]
    try:
        built = _read(store, *uuids)
        if built.uuid not in store.checked_indexes:
            folder = _files_folder(store, built.uuid)
            if any(_hash(folder / name) != found for name, found in built.hashes.items()):
                return None
            store.checked_indexes.add(built.uuid)
    except (DamagedArchiveError, OSError, TypeError):
        return None
    return built if _covers_only_what_is_there(built, snapshot) else None


def _as_indexes(dataset: LanceDataset) -> list[Any]:
    """Return the index of a version in the form in which Lance removes it."""
    from lance.dataset import Index

    return [
        Index(one.uuid, NAME, [0], one.dataset_version_at_last_update, one.fragment_ids, one.index_version)
        for one in _segments(dataset)
    ]


def _segments(dataset: LanceDataset) -> list[Any]:
    """Return Lance's description of the index of a version: one segment, or None."""
    return [segment for one in dataset.describe_indices() if one.name == NAME for segment in one.segments]


def _read(store: LanceStore, uuid: str) -> Built:
    return Built(**read_record(store.place, _record_name(uuid)))


def _covers_only_what_is_there(built: Built, snapshot: Snapshot) -> bool:
    """Return True if all fragments have the data files that they had when the index was built."""
    numbers = {str(one.fragment_id): name for name, one in snapshot.files().items()}
    return all(built.files.get(number, name) == name for number, name in numbers.items())


def _measured(store: LanceStore, built: Built, rng: np.random.Generator) -> Built:
    """With how many cells it has to look into, chosen by half of the queries and judged by the others."""
    heads = store.heads()
    asked = np.sort(rng.choice(len(heads), min(_QUERIES, len(heads)), replace=False))
    queries = np.full((len(asked), store.identity.dimension), np.nan, np.float32)
    for numbers, embeddings in store.blocks(heads):
        inside = np.isin(asked, numbers)
        queries[inside] = embeddings[np.searchsorted(numbers, asked[inside])]
    queries = queries[np.isfinite(queries).all(axis=1)]
    exact = _nearest_of_all(store, heads, queries)
    dataset = store.snapshot().dataset
    chosen, judged = slice(0, None, 2), slice(1, None, 2)
    for cells in _CELLS_ASKED:
        finder = LanceNear(dataset, heads, replace(built, cells=cells))
        if _recall(store, heads, finder, queries[chosen], exact[chosen]) >= AIM:
            break
    # Twice as many as were enough, since what is enough was found on few queries.
    cells *= 2
    finder = LanceNear(dataset, heads, replace(built, cells=cells))
    recall = _recall(store, heads, finder, queries[judged], exact[judged])
    return replace(built, cells=cells, recall=recall, n_queries=len(queries[judged]))


def _nearest_of_all(store: LanceStore, heads: Heads, queries: np.ndarray) -> np.ndarray:
    """Scores of the nearest rows of all but the row that asks, best first: float32, (queries, k)."""
    best = np.full((len(queries), _K + 1), -np.inf, np.float32)
    for _, embeddings in store.blocks(heads):
        best = -np.partition(-np.hstack([best, queries @ embeddings.T]), _K, axis=1)[:, : _K + 1]
    return -np.sort(-best, axis=1)[:, 1:]


def _recall(store: LanceStore, heads: Heads, finder: Near, queries: np.ndarray, exact: np.ndarray) -> float:
    """Return the share of the nearest others that are found; rows of equal score are interchangeable."""
    shares = []
    for query, right in zip(queries, exact, strict=True):
        numbers = finder.propose(query, _K)
        # The row that asks is found by any index, and is not counted.
        scores = -np.sort(-(store.embeddings(heads, numbers) @ query))[1 : _K + 1]
        # As many of mine as reach the last of the right ones, up to rounding of two products in different order.
        shares.append((scores >= right[-1] - 1e-6).sum() / len(right))
    return float(np.mean(shares))


def _expression(part: Part) -> Any:
    """A part of an archive as a condition on its columns; names stay values, whatever is in them."""
    import pyarrow as pa
    import pyarrow.compute as pc

    allowed = None
    for series in part.series:
        one = (pc.field("source") == pa.scalar(series[0])) & (pc.field("site") == pa.scalar(series[1]))
        allowed = one if allowed is None else allowed | one
    if part.spans is not None:
        inside = None
        for start, end in part.spans:
            low, high = (int(time.astype("datetime64[ns]").astype(np.int64)) for time in (start, end))
            one = (pc.field("start_ns") >= low) & (pc.field("start_ns") <= high)
            inside = one if inside is None else inside | one
        allowed = allowed & inside
    return allowed & (pc.field("quality") == 0) if part.usable_only else allowed


def _forget_others(store: LanceStore) -> None:
    """Remove records of indexes that no version has any more."""
    kept = store.place.names(f"{ROWS}/_indices")
    for name in store.place.names("indexes"):
        if name.endswith(".json") and name[:-5] not in kept:
            with suppress(OSError):
                store.place.remove(f"indexes/{name}")


def _ascends(order: np.ndarray) -> bool:
    return bool((np.diff(order) > 0).all())


def _record_name(uuid: str) -> str:
    return f"indexes/{uuid}.json"


def _files_folder(store: LanceStore, uuid: str) -> Path:
    return store.place.folder / ROWS / "_indices" / uuid


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
