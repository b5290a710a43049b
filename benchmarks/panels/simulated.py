"""Simulated panels with known events of six kinds."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from benchmarks.panels.measures import Events
from benchmarks.panels.methods import Case
from pyspedas_similarity.simulate.panels import KINDS, SimulatedPanels, simulate_panels, store
from pyspedas_similarity.times import Span

START, DAY_S = np.datetime64("2020-01-01", "ns"), 86400.0
QUERIES, WIDER = 3, 0.1


def cases(seed: int) -> Iterator[tuple[str, Case, Events]]:
    """Yield kind, case and right events of the queries of one simulated day, which is stored in tplot."""
    panels = simulate_panels(START, DAY_S, seed)
    names = tuple(store(panels))
    for kind in KINDS:
        intervals = panels.of_kind(kind)
        for row in typical(intervals):
            query = widened(intervals[row])
            yield kind, Case((names,), query), others(panels, kind, row, query)


def typical(intervals: np.ndarray) -> np.ndarray:
    """Return rows of the intervals (m, 2) whose durations are nearest to the median, nearest first."""
    length = (intervals[:, 1] - intervals[:, 0]) / np.timedelta64(1, "s")
    return np.argsort(np.abs(np.log(length / np.median(length))), kind="stable")[:QUERIES]


def widened(interval: np.ndarray) -> Span:
    """Return an interval (2,), longer by a tenth of its duration on both sides."""
    margin = np.timedelta64(round(float((interval[1] - interval[0]) / np.timedelta64(1, "ns")) * WIDER), "ns")
    return Span(interval[0] - margin, interval[1] + margin)


def others(panels: SimulatedPanels, kind: str, row: int, query: Span) -> Events:
    """Return the events of a kind without one: a peak may lie a quarter of the longer of query and event away."""
    rest = np.delete(panels.of_kind(kind), row, axis=0)
    length = rest[:, 1] - rest[:, 0]
    tolerance = np.maximum(length, query.end - query.start) // 4
    return Events(np.zeros(len(rest), int), rest[:, 0] + length // 2, tolerance)
