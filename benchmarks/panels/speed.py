"""Time and memory of one search: an interval of burst data, and a year of 4 s data."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.panels.methods import Case
from benchmarks.timing import resident_kb
from pyspedas_similarity import tplot
from pyspedas_similarity.times import Span
from pyspedas_similarity.tplot import Variable

START = np.datetime64("2020-01-01", "ns")
YEAR_SAMPLES, YEAR_S, YEAR_QUERY_S = 8_000_000, 4.0, 600
BURST_S, BURST_QUERY_S = 120.0, 4


def burst() -> Case:
    """Store two minutes of red noise: field at 128 Hz, moments and a spectrogram at 150 ms; return a case."""
    rng = np.random.default_rng(0)
    names = (
        _store("b", _red(rng, int(BURST_S * 128), 3), 1 / 128),
        _store("n", _red(rng, int(BURST_S / 0.15), 1)[:, 0], 0.15),
        _store("v", _red(rng, int(BURST_S / 0.15), 3), 0.15),
        _store("s", np.exp(0.2 * _red(rng, int(BURST_S / 0.15), 32)), 0.15),
    )
    return Case((names,), _span(BURST_S / 2, BURST_QUERY_S))


def year() -> Case:
    """Store a year of red noise at 4 s: three vectors, three scalars, two spectrograms of 8 bins; return a case."""
    rng = np.random.default_rng(0)
    names = [_store(name, _red(rng, YEAR_SAMPLES, 3), YEAR_S) for name in ("b", "v", "e")]
    names += [_store(name, _red(rng, YEAR_SAMPLES, 1)[:, 0], YEAR_S) for name in ("n", "t", "p")]
    names += [_store(name, np.exp(0.2 * _red(rng, YEAR_SAMPLES, 8)), YEAR_S) for name in ("s1", "s2")]
    return Case((tuple(names),), _span(YEAR_SAMPLES * YEAR_S / 2, YEAR_QUERY_S))


def cost(work: Callable[[], object]) -> tuple[float, float]:
    """Return seconds of a call, and by how many MB it raised the largest resident memory; NaN where not known."""
    before = resident_kb("VmRSS") if _forget_peak() else np.nan
    began = time.perf_counter()
    work()
    return time.perf_counter() - began, (resident_kb() - before) / 1e3


def _forget_peak() -> bool:
    """Set the largest resident memory of this process to the current one, where the system permits it."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def _span(start_s: float, length_s: float) -> Span:
    start = START + np.timedelta64(round(start_s * 1e9), "ns")
    return Span(start, start + np.timedelta64(round(length_s * 1e9), "ns"))


def _red(rng: np.random.Generator, number: int, columns: int) -> np.ndarray:
    from scipy.signal import lfilter

    return lfilter([1], [1, -0.98], rng.standard_normal((number, columns), np.float32), axis=0).astype(np.float32)


def _store(name: str, values: np.ndarray, cadence_s: float) -> str:
    times = START + np.arange(len(values)) * np.timedelta64(round(cadence_s * 1e9), "ns")
    table = {"v": np.geomspace(10.0, 1e4, values.shape[1])} if values.ndim == 2 and values.shape[1] > 3 else {}
    return tplot.write(Variable(name, times, values, table))
