"""Speed and size of an archive compared with numpy, faiss, LanceDB and pynndescent, on the same vectors in one run.

    python -m benchmarks.bench_archive --rows 1000000 --dimension 128 --build graph hnsw pq

The vectors are synthetic. `walk` is a random walk in 12 dimensions through a random layer, with noise: neighbors in
time are similar, as in real data. `clusters` are 1,000 random directions, each with noise of the same size in all
dimensions: neighbors within a cluster differ by noise alone, which is the hardest case for an index.

Every search time is the median of searches for different rows, after a first one, with one thread. faiss-cpu and
lancedb are measured if they are installed; --build names those whose index takes minutes to build (graph: that of the
archive, by pynndescent; pq: OPQ64,IVF,PQ64 with 500 candidates, as in THEMISim). Memory is the largest resident size of
a separate process that opens the archive and scores all rows, minus that of one that only imports the same modules.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import numpy as np

from benchmarks.timing import fastest, in_one_thread, resident_kb
from pyspedas_similarity.archive.archive import Archive
from pyspedas_similarity.archive.rows import Identity, make_rows

START, STEP = np.datetime64("2015-01-01", "ns"), np.timedelta64(3, "s")
BATCH, QUERIES, K = 20_000, 100, 10
MB = 1e6


def vectors(kind: str, n: int, dimension: int) -> np.ndarray:
    """Return synthetic unit vectors, float32 (n, dimension)."""
    found = np.empty((n, dimension), np.float32)
    make = {"walk": _walk, "clusters": _clusters}[kind](np.random.default_rng(0), dimension)
    for first in range(0, n, BATCH):
        rows = slice(first, min(first + BATCH, n))
        found[rows] = make(rows.stop - rows.start)
        found[rows] /= np.linalg.norm(found[rows], axis=1, keepdims=True)
    return found


def _clusters(rng: np.random.Generator, dimension: int) -> Callable[[int], np.ndarray]:
    centers = rng.standard_normal((1000, dimension)).astype(np.float32)

    def make(size: int) -> np.ndarray:
        return centers[rng.integers(1000, size=size)] + rng.standard_normal((size, dimension), np.float32)

    return make


def _walk(rng: np.random.Generator, dimension: int, inner: int = 12, keeps: float = 0.98) -> Callable:
    from scipy.signal import lfilter

    first, second = rng.standard_normal((inner, 64)) * 0.7, rng.standard_normal((64, dimension))
    state = rng.standard_normal((1, inner))

    def make(size: int) -> np.ndarray:
        nonlocal state
        steps = np.sqrt(1 - keeps**2) * rng.standard_normal((size, inner))
        path, _ = lfilter([1], [1, -keeps], steps, axis=0, zi=keeps * state)
        state = path[-1:]
        return np.tanh(path @ first) @ second + 0.3 * rng.standard_normal((size, dimension))

    return make


def typical(ask: Callable[[np.ndarray], object], queries: np.ndarray) -> float:
    """Return the median time in seconds of a search for one of several rows, after a first one."""
    ask(queries[0])
    return float(np.median([fastest(lambda query=query: ask(query), 1) for query in queries]))


def report(quantity: str, value: str, note: str = "") -> None:
    print(f"{quantity:52s} {value:>14s}  {note}", flush=True)


def fill(folder: Path, truth: np.ndarray) -> None:
    """Append all vectors, and report the time until they are durable."""
    n, dimension = truth.shape
    archive = Archive(folder)
    store = archive.begin(Identity("frame", "synthetic", "synthetic", dimension))
    start = START + np.arange(n) * STEP
    began = time.perf_counter()
    for first in range(0, n, BATCH):
        rows = slice(first, first + BATCH)
        store.append(make_rows(truth[rows], start[rows], start[rows] + STEP, f"night{first // 100_000:05d}", "fsmi"))
    taken = time.perf_counter() - began
    report("adding, durable, batches of 20,000", f"{n / taken:,.0f} /s")
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    report("bytes per row on the disk", f"{size / n:,.1f}", f"the vector itself has {4 * dimension}")
    began = time.perf_counter()
    archive.compact(keep=1)
    report("joining small files", f"{time.perf_counter() - began:.2f} s", "every row checked on the way")
    began = time.perf_counter()
    recall = archive.build_index()
    note = f"recall as measured then {recall:.3f}"
    report("building the index", f"{time.perf_counter() - began:.2f} s", note)
    files = [path for path in (folder / "rows.lance" / "_indices").rglob("*") if path.is_file()]
    report("bytes per row of the index", f"{sum(path.stat().st_size for path in files) / n:,.1f}")


def opening(folder: Path) -> Archive:
    """Report the time to open an archive, and to answer a first search."""
    report("opening", f"{fastest(lambda: len(Archive(folder)), 7) * 1e3:.2f} ms", "version and number of rows")
    archive = Archive(folder)
    began = time.perf_counter()
    index = archive.index()
    report("times, sources, quality of all rows", f"{time.perf_counter() - began:.2f} s", "checked, in order of time")
    began = time.perf_counter()
    index.scores(np.zeros((1, archive.identity.dimension), np.float32))
    report("first search", f"{time.perf_counter() - began:.2f} s", "reads and checks all vectors")
    return archive


def searching(archive: Archive, truth: np.ndarray, build: list[str]) -> None:
    """Report the time of scores and of ten nearest neighbors, and compare with others."""
    index = archive.index()
    rng = np.random.default_rng(1)
    queries = truth[rng.choice(len(truth), QUERIES)] + 0.02 * rng.standard_normal((QUERIES, truth.shape[1]), np.float32)
    queries = (queries / np.linalg.norm(queries, axis=1, keepdims=True)).astype(np.float32)
    one = queries[0]
    block = index.embeddings(slice(None))
    # Alternating, so that other work on the machine disturbs both equally.
    pairs = [(fastest(lambda: block @ one, 1), fastest(lambda: index.scores(one[None]), 1)) for _ in range(40)]
    plain, ours = (min(times) for times in zip(*pairs, strict=True))
    report("score of every row: numpy product", f"{plain * 1e3:.1f} ms")
    report("score of every row: archive", f"{ours * 1e3:.1f} ms", f"{ours / plain:.2f} times numpy")
    exact = np.stack([np.argpartition(-(truth @ query), K)[:K] for query in queries])
    for way in ("product", "index", *(["graph"] if "graph" in build else [])):
        if way == "graph":
            began = time.perf_counter()
            measured = archive.prepare()
            taken = time.perf_counter() - began
            report("making the graph in memory", f"{taken:.0f} s", f"recall as measured then {measured:.3f}")
        with mock.patch.object(index, "way", lambda *_, way=way: way):
            index._near = index._store.near(index._heads)
            if {"graph": index._graph, "index": index._near}.get(way, "exact") is None:
                report(f"10 nearest: archive, {way}", "-", "not used, since it misses too many: exact instead")
                continue
            mine = [index._stored[index.nearest(query, K)[0]] for query in queries]
            taken = typical(lambda query: index.nearest(query, K), queries)
        report(f"10 nearest: archive, {way}", f"{taken * 1e3:.3f} ms", f"recall {recall(mine, exact):.3f}")
    others(truth, queries, exact, build)


def others(truth: np.ndarray, queries: np.ndarray, exact: np.ndarray, build: list[str]) -> None:
    """Report the time of others for the ten nearest neighbors."""
    taken = typical(lambda query: np.argpartition(-(truth @ query), K)[:K], queries)
    report("10 nearest: numpy product and argpartition", f"{taken * 1e3:.3f} ms")
    makers: dict[str, Callable] = {"faiss flat": faiss_flat, "LanceDB, no index": lancedb_flat}
    makers |= {"faiss HNSW32": faiss_hnsw} if "hnsw" in build else {}
    makers |= {"faiss OPQ-IVF-PQ, 500 reranked": faiss_pq} if "pq" in build else {}
    makers |= {"LanceDB, its default index": lancedb_index}
    for name, maker in makers.items():
        began = time.perf_counter()
        try:
            with tempfile.TemporaryDirectory() as folder:
                ask = maker(truth, folder)
                made = time.perf_counter() - began
                found = [ask(query) for query in queries]
                taken = typical(ask, queries)
        except ImportError:
            report(f"10 nearest: {name}", "-", "not installed")
        else:
            note = f"recall {recall(found, exact):.3f}, built in {made:.1f} s"
            report(f"10 nearest: {name}", f"{taken * 1e3:.3f} ms", note)


def recall(found: list[np.ndarray], exact: np.ndarray) -> float:
    return float(np.mean([np.isin(right, mine).mean() for mine, right in zip(found, exact, strict=True)]))


def faiss_flat(truth: np.ndarray, _: str) -> Callable:
    import faiss

    faiss.omp_set_num_threads(1)
    index = faiss.IndexFlatIP(truth.shape[1])
    index.add(truth)
    return lambda query: index.search(query[None], K)[1][0]


def faiss_hnsw(truth: np.ndarray, _: str) -> Callable:
    import faiss

    index = faiss.IndexHNSWFlat(truth.shape[1], 32, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efSearch = 128
    index.add(truth)
    return lambda query: index.search(query[None], K)[1][0]


def faiss_pq(truth: np.ndarray, _: str) -> Callable:
    import faiss

    lists = int(4 * np.sqrt(len(truth)))
    index = faiss.index_factory(truth.shape[1], f"OPQ64,IVF{lists},PQ64", faiss.METRIC_INNER_PRODUCT)
    index.train(truth[:: max(len(truth) // 100_000, 1)])
    index.add(truth)
    faiss.extract_index_ivf(index).nprobe = 32

    def ask(query: np.ndarray) -> np.ndarray:
        near = index.search(query[None], 500)[1][0]
        near = near[near >= 0]
        return near[np.argsort(-(truth[near] @ query))[:K]]

    return ask


def lancedb_flat(truth: np.ndarray, folder: str, config: object = None) -> Callable:
    import lancedb
    import pyarrow as pa

    lists = pa.FixedSizeListArray.from_arrays(pa.array(truth.ravel()), truth.shape[1])
    table = lancedb.connect(folder).create_table("t", pa.table({"vector": lists, "row": np.arange(len(truth))}))
    if config is not None:
        table.create_index("vector", config=config)
    return lambda query: (
        table.search(query).metric("cosine").select(["row", "_distance"]).limit(K).to_arrow()["row"].to_numpy()
    )


def lancedb_index(truth: np.ndarray, folder: str) -> Callable:
    from lancedb.index import IvfPq

    return lancedb_flat(truth, folder, IvfPq(distance_type="cosine"))


def beyond_memory(folder: Path) -> None:
    """Report the time of scores with the vectors on disk only."""
    index = Archive(folder, memory=0).index()
    one = np.zeros((1, index._store.identity.dimension), np.float32)
    one[0, 0] = 1
    report("score of every row, from the disk", f"{fastest(lambda: index.scores(one), 2):.2f} s", "nothing is kept")


def memory(folder: Path, truth_bytes: int) -> None:
    """Report the memory of a separate process, beyond that of the vectors."""
    sizes = {}
    for task in ("nothing", "kept", "streamed"):
        command = [sys.executable, "-m", "benchmarks.bench_archive", "_" + task, str(folder)]
        sizes[task] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    above = sizes["kept"] - sizes["nothing"] - truth_bytes
    report("memory beyond the vectors, kept", f"{above / MB:,.0f} MB", f"vectors {truth_bytes / MB:,.0f} MB")
    report("memory, streamed", f"{(sizes['streamed'] - sizes['nothing']) / MB:,.0f} MB")


def _measure(task: str, folder: str) -> None:
    import lance  # noqa: F401
    import pyarrow  # noqa: F401

    if task != "nothing":
        archive = Archive(folder, memory=0 if task == "streamed" else None)
        archive.index().scores(np.ones((1, archive.identity.dimension), np.float32))
    print(1024 * resident_kb())


def main() -> None:
    if len(sys.argv) > 1 and sys.argv[1].startswith("_"):
        _measure(sys.argv[1][1:], sys.argv[2])
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--dimension", type=int, default=128)
    parser.add_argument("--build", nargs="+", default=[], choices=("graph", "hnsw", "pq"))
    parser.add_argument("--vectors", default="walk", choices=("walk", "clusters"))
    chosen = parser.parse_args()
    what = f"{chosen.rows:,} synthetic vectors of {chosen.dimension} numbers ({chosen.vectors})"
    print(f"{what}, one thread, {os.cpu_count()} cores")
    truth = vectors(chosen.vectors, chosen.rows, chosen.dimension)
    folder = Path(tempfile.mkdtemp(prefix="bench-archive-"))
    try:
        fill(folder / "archive", truth)
        archive = opening(folder / "archive")
        searching(archive, truth, chosen.build)
        beyond_memory(folder / "archive")
        del archive
        memory(folder / "archive", truth.nbytes)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    in_one_thread("benchmarks.bench_archive", ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"))
    main()
