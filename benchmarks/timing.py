"""Timing and memory of calls, for the benchmarks."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path


def fastest(work: Callable[[], object], repeats: int) -> float:
    """Return the shortest time of several calls in seconds."""
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return min(times)


def rates(work: Callable[[], object], items: int, repeats: int) -> tuple[float, float]:
    """Return items per second by clock and per second of processor time: the best of several calls after a first."""
    work()
    clock, processor = [], []
    for _ in range(repeats):
        start, busy = time.perf_counter(), time.process_time()
        work()
        clock.append(items / (time.perf_counter() - start))
        processor.append(items / (time.process_time() - busy))
    return max(clock), max(processor)


def resident_kb(entry: str = "VmHWM") -> int:
    """Return resident memory of this process in kB: VmRSS is the current value, VmHWM the maximum so far.

    getrusage would return the maximum of the parent process if that was larger.
    """
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(entry)]
    return int(line.split()[1])
