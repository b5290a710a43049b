"""Time to write a report page and to open it in headless Chromium, and its size.

    python -m benchmarks.bench_report [--matches 1000 ...] [--out FOLDER]

Synthetic frames (64 x 64, a bright band every ten samples, noise between) are searched and reported by `find_similar`
and `report`, with all pictures, plots and the map. 'opened' is the time from navigation to the load event, 'drawn'
that from the request of the page until it is painted, including the driver; 'sorted' and 'filtered' those from the
click to the next painted frame. Each is the median of five, each in a new browser.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

import pyspedas_similarity as sim
from pyspedas_similarity.tplot import Variable, write
from tests import browser

STEP, SIDE, OPENINGS = 10, 64, 5
_SORT = "document.querySelectorAll('thead button')[3].click()"
_FILTER = "const f = document.getElementById('contains'); f.value = ':30'; f.dispatchEvent(new Event('input'))"
_READY = "return document.readyState === 'complete' && performance.timing.loadEventEnd > 0"
_OPENED = "const t = performance.timing; return t.loadEventEnd - t.navigationStart"


def searched(matches: int) -> list[str]:
    """Run a search that finds `matches` intervals."""
    rng = np.random.default_rng(0)
    n = STEP * (matches + 1)
    frames = rng.integers(0, 400, (n, SIDE, SIDE)).astype(np.uint16)
    for frame in frames[::STEP]:
        row = rng.integers(20, 36)
        frame[row : row + 8] += 3000
    times = np.datetime64("2020-01-01", "ns") + np.arange(n) * np.timedelta64(3, "s")
    write(Variable("synthetic_frames", times, frames))
    return sim.find_similar("synthetic_frames", like=times[0], encoder="pixels", k=matches, exclude=4, errors="raise")


def opening(path: Path) -> dict[str, float]:
    """Return the times in milliseconds of opening the page in a new browser."""
    with tempfile.TemporaryDirectory() as folder, browser.chromium(Path(folder)) as driver:
        driver.set_script_timeout(60)
        began = time.perf_counter()
        driver.get(path.as_uri())
        browser.wait_until(lambda: driver.execute_script(_READY), 60)
        driver.execute_async_script("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")
        drawn = 1000 * (time.perf_counter() - began)
        found = {"opened": driver.execute_script(_OPENED), "drawn": drawn}
        for name, action in (("sorted", _SORT), ("filtered", _FILTER)):
            found[name] = driver.execute_async_script(timed_script(action))
        found["rows"] = driver.execute_script("return document.querySelectorAll('#matches tbody tr').length")
    return found


def timed_script(action: str) -> str:
    """Return a script that runs an action and returns the time until it is painted."""
    return (
        "const done = arguments[0], start = performance.now(); "
        f"{action}; requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now() - start)));"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--matches", type=int, nargs="+", default=[10, 1000, 5000])
    parser.add_argument("--out", type=Path, help="folder to keep the pages in")
    chosen = parser.parse_args()
    if browser.missing():
        parser.exit(1, f"{browser.missing()}\n")
    print("matches  written     size   opened    drawn   sorted filtered")
    print("               s       MB       ms       ms       ms       ms")
    with tempfile.TemporaryDirectory() as scratch:
        for matches in chosen.matches:
            found = searched(matches)
            path = Path(chosen.out or scratch).resolve() / f"matches_{matches}.html"
            began = time.perf_counter()
            sim.report(found, path, overwrite=True, errors="raise", map_by="pca")
            written = time.perf_counter() - began
            times = [opening(path) for _ in range(OPENINGS)]
            median = {name: float(np.median([one[name] for one in times])) for name in times[0]}
            size = path.stat().st_size / 1e6
            speed = "  ".join(f"{median[name]:7.0f}" for name in ("opened", "drawn", "sorted", "filtered"))
            print(f"{median['rows']:7.0f}  {written:7.1f}  {size:7.2f}  {speed}", flush=True)


if __name__ == "__main__":
    main()
