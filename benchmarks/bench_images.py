"""Time from a folder of PNG files to a ranked list, and the memory it takes.

    python -m benchmarks.bench_images [-n 6000] [--size 256] [--folder FOLDER]

The simulator writes a folder in the layout of the OATH data set, which is not timed. Then one picture is searched for
in all: the files are read, decoded, made into images and encoded, scores are computed and events ranked. 'again'
is the same search on the archive that `add` filled meanwhile. One run each; memory is the largest of the process.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

import pyspedas_similarity as sim
from benchmarks.timing import resident_kb
from pyspedas_similarity.instruments import oath
from pyspedas_similarity.simulate.oath import write_oath

TRANGE = ["2020-01-01", "2021-01-01"]


def timed(text: str, work: Callable[[], object], n: int) -> object:
    """Print how long a call takes, by clock and of processors; return what it returns."""
    began, busy = time.perf_counter(), time.process_time()
    found = work()
    seconds, processor = time.perf_counter() - began, time.process_time() - busy
    print(f"{text:40s} {seconds:9.1f} {processor:13.1f} {1000 * processor / n:16.2f}", flush=True)
    return found


def run(folder: Path, n: int, scratch: Path) -> None:
    """Print the table of one folder."""
    table = sim.read_oath(folder)
    discrete = table[table["class"] == "discrete"]
    query = (f"oath_{discrete['station'][0]}", discrete["time"][len(discrete) // 2])
    asked = {"instrument": "oath", "trange": TRANGE, "load_keywords": {"path": str(folder)}, "progress": False}
    print(f"{'step':40s} {'clock (s)':>9s} {'processor (s)':>13s} {'processor ms/img':>16s}")
    timed("read station, time and class", lambda: sim.read_oath(folder), n)
    timed("read and decode all pictures", lambda: [len(s.distribution.times) for s in oath.segments(TRANGE, folder)], n)
    found = timed("images to ranked list", lambda: sim.search(**asked, like=query), n)
    archive = sim.open_archive(scratch / "archive")
    timed("images to archive, with thumbnails", lambda: sim.add(archive, **asked), n)
    again = timed("again: archive to ranked list", lambda: sim.search(archive, query), n)
    same = np.array_equal(found.peak[:5], again.peak[:5])
    print(f"five best events of both searches are the same: {same}; memory: {resident_kb() / 1024:.0f} MB")


def main() -> None:
    """Write the folder and time the search."""
    parser = argparse.ArgumentParser(description="Time from a folder of PNG files to a ranked list.")
    parser.add_argument("-n", type=int, default=6000, help="number of pictures (default: 6000)")
    parser.add_argument("--size", type=int, default=256, help="pixels along a side (default: 256)")
    parser.add_argument("--folder", type=Path, help="where the pictures are, or are written (default: temporary)")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = chosen.folder or Path(scratch, "oath")
        if not (folder / "images").is_dir():
            write_oath(folder, chosen.n, seed=1, size=chosen.size)
        print(f"{chosen.n} simulated PNG of {chosen.size} x {chosen.size}, {os.cpu_count()} processors")
        run(folder, chosen.n, Path(scratch))


if __name__ == "__main__":
    main()
