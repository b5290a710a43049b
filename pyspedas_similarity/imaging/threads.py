"""Blocks of samples worked on by several threads."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor


def run_in_threads(work: Callable[[int], None], starts: Iterable[int]) -> None:
    """Call a function with the first sample of each block; numpy lets other threads run while it computes."""
    starts = list(starts)
    if len(starts) < 2:  # starting threads takes longer than one small block
        for start in starts:
            work(start)
        return
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        list(pool.map(work, starts))
