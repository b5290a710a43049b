"""Growth of an archive: size and time at several numbers of rows, a fitted power law, and its extrapolation to 10^9.

    python -m benchmarks.bench_scale --rows 100000 300000 1000000 3000000

The vectors are synthetic (`walk` of bench_archive.py). One archive grows; at each size small files are joined, the
index is built again and all is measured. The law is n to a power, a straight line through the logarithms; the largest
deviation of a measured point is printed. Values beyond the measured sizes are this law, not a measurement.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks import bench_archive
from benchmarks.timing import in_one_thread
from pyspedas_similarity.archive.archive import Archive
from pyspedas_similarity.archive.rows import Identity, make_rows

START, STEP, BATCH, K = np.datetime64("2015-01-01", "ns"), np.timedelta64(3, "s"), 20_000, 10
SIZES = (10**8, 10**9)
# Assumptions of the plan: rows on one machine, number of cameras, frames in ten hours of night.
PARTITION, STATIONS, FRAMES_A_NIGHT = 10**8, 20, 12_000
# Quantities with units, and whether they grow with the number of rows.
MEASURES = {
    "adding, rows a second": True,
    "bytes a row, rows": False,
    "bytes a row, index": False,
    "joining small files, s": True,
    "building the index, s": True,
    "opening and heads, s": True,
    "score of every row from the disk, s": True,
    "score of every row in memory, ms": True,
    "10 nearest by the index, vectors on the disk, ms": True,
    "recall of the index": False,
    "bytes a row in memory, heads": False,
}


def measure_growth(folder: Path, rows: list[int], dimension: int) -> dict[str, list[float]]:
    """Measure one archive at each number of rows."""
    found: dict[str, list[float]] = {name: [] for name in MEASURES}
    truth = bench_archive.vectors("walk", max(rows), dimension)
    archive = Archive(folder)
    store = archive.begin(Identity("frame", "synthetic", "synthetic", dimension))
    filled = 0
    for size in rows:
        measured = fill(store, truth, filled, size) | tidy(folder, size) | search(folder, truth[:size])
        for name, value in measured.items():
            found[name].append(value)
        filled = size
        print(f"{size:,} rows measured", file=sys.stderr, flush=True)
    return found


def fill(store: object, truth: np.ndarray, first: int, last: int) -> dict[str, float]:
    """Append rows up to a number."""
    began = time.perf_counter()
    for begin in range(first, last, BATCH):
        rows = slice(begin, min(begin + BATCH, last))
        start = START + np.arange(rows.start, rows.stop) * STEP
        store.append(make_rows(truth[rows], start, start + STEP, f"night{begin // 100_000:05d}", "fsmi"))
    return {"adding, rows a second": (last - first) / (time.perf_counter() - began)}


def tidy(folder: Path, size: int) -> dict[str, float]:
    """Join files, delete old versions, build the index."""
    archive = Archive(folder)
    began = time.perf_counter()
    archive.compact(keep=1)
    joined = time.perf_counter() - began
    rows = sum(path.stat().st_size for path in (folder / "rows.lance" / "data").iterdir())
    began = time.perf_counter()
    recall = archive.build_index()
    built = time.perf_counter() - began
    archive.compact(keep=1)  # the index before this one goes with its version
    index = sum(path.stat().st_size for path in (folder / "rows.lance" / "_indices").rglob("*") if path.is_file())
    return {
        "joining small files, s": joined,
        "bytes a row, rows": rows / size,
        "bytes a row, index": index / size,
        "building the index, s": built,
        "recall of the index": recall,
    }


def search(folder: Path, truth: np.ndarray) -> dict[str, float]:
    """Measure searches with the vectors on disk and in memory."""
    queries = truth[np.random.default_rng(1).choice(len(truth), 50)]
    began = time.perf_counter()
    index = Archive(folder, memory=0).index()
    opened = time.perf_counter() - began
    heads = _bytes_of(index)
    began = time.perf_counter()
    index.scores(queries[:1])
    streamed = time.perf_counter() - began
    by_index = np.nan
    if index.way() == "index":
        by_index = 1e3 * bench_archive.typical(lambda query: index.nearest(query, K), queries)
    kept = Archive(folder, memory=2 * truth.nbytes).index()
    product = 1e3 * bench_archive.typical(lambda query: kept.scores(query[None]), queries[:10])
    return {
        "opening and heads, s": opened,
        "bytes a row in memory, heads": heads / len(truth),
        "score of every row from the disk, s": streamed,
        "score of every row in memory, ms": product,
        "10 nearest by the index, vectors on the disk, ms": by_index,
    }


def _bytes_of(index: object) -> int:
    """Return the bytes of all arrays that an index keeps in memory while the vectors are on disk."""
    heads = [value for value in vars(index._heads).values() if isinstance(value, np.ndarray)]
    series = [array for one in index.series for array in (one.start, one.end, one.quality)]
    return sum(array.nbytes for array in (*heads, *series, index._stored, index._position))


def print_growth(rows: list[int], found: dict[str, list[float]]) -> None:
    """Print the measurements, the fitted law and its extrapolation."""
    ahead = [f"{size:.0e}".replace("e+0", "e") for size in SIZES]
    print(
        f"\n{'':50s}"
        + "".join(f"{size:>12,}" for size in rows)
        + "   law       off it"
        + "".join(f"{a:>12s}" for a in ahead)
    )
    for name, grows in MEASURES.items():
        values = np.array(found[name])
        line = f"{name:50s}" + "".join(f"{value:12.4g}" for value in values)
        known = np.isfinite(values) & (values > 0)
        if not grows:
            print(f"{line}   {'constant':18s}" + f"{values[-1]:12.4g}" * len(SIZES))
        elif known.sum() > 2:
            x, y = np.log(np.array(rows)[known]), np.log(values[known])
            power, height = np.polyfit(x, y, 1)
            off = np.exp(np.abs(y - power * x - height).max()) - 1
            predicted = [np.exp(height + power * np.log(size)) for size in SIZES]
            print(f"{line}   n^{power:.2f}    {off:7.0%}" + "".join(f"{value:12.3g}" for value in predicted))
        else:
            print(f"{line}   too few points")


def print_plan(found: dict[str, list[float]], price: float) -> None:
    """Print the resources for 10^9 rows in partitions, and for one more night."""
    size = found["bytes a row, rows"][-1] + found["bytes a row, index"][-1]
    night, commits = STATIONS * FRAMES_A_NIGHT, STATIONS * FRAMES_A_NIGHT / 4096
    adding = found["adding, rows a second"][-1]
    heads = found["bytes a row in memory, heads"][-1]
    print(f"\n10^9 rows in {10**9 // PARTITION} partitions of {PARTITION:.0e}; prices are assumed, not measured")
    print(f"  rows and index                {size:8.0f} GB, {size * price:.0f} a month at {price} a GB")
    memory = heads * PARTITION / 1e9
    print(f"  a partition                   {size * PARTITION / 1e9:8.1f} GB, and {memory:.1f} GB of memory")
    print(f"  a night of {STATIONS} cameras at 3 s   {night:8,} rows, {size * night / 1e9:.2f} GB")
    print(f"  to add them                   {night / adding:8.0f} s at {adding:,.0f} rows a second, without encoding")
    print(f"  requests to an object store   {4 * commits:8.0f} puts, for {commits:.0f} commits of 4,096 rows")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 300_000, 1_000_000, 3_000_000])
    parser.add_argument("--dimension", type=int, default=128)
    parser.add_argument("--price", type=float, default=0.023, help="of a GB and month of object storage, assumed")
    chosen = parser.parse_args()
    rows = sorted(chosen.rows)
    print(f"synthetic vectors of {chosen.dimension} numbers (walk), one thread for products, {os.cpu_count()} cores")
    folder = Path(tempfile.mkdtemp(prefix="bench-scale-"))
    try:
        found = measure_growth(folder / "archive", rows, chosen.dimension)
        print_growth(rows, found)
        print_plan(found, chosen.price)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    in_one_thread("benchmarks.bench_scale", ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"))
    main()
