"""Timing and memory of calls, threads and printed lines, for the benchmarks."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path


def fastest(work: Callable[[], object], repeats: int = 1) -> float:
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


def in_one_thread(module: str, variables: Sequence[str]) -> None:
    """Start a command again with variables set to 1, unless they are: they must be set before numpy is imported."""
    if any(os.environ.get(name) != "1" for name in variables):
        os.environ |= dict.fromkeys(variables, "1")
        os.execv(sys.executable, [sys.executable, "-m", module, *sys.argv[1:]])


class Output:
    """Function that prints a line, and writes it to a file if there is one."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        if path is not None:
            path.write_text("")

    def __call__(self, line: str) -> None:
        print(line, flush=True)
        if self.path is not None:
            with self.path.open("a") as file:
                file.write(line + "\n")
