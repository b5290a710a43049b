"""What is searched: simulated panels with known events, and the same structure on other spacecraft."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.data_sets.tasks import data_file
from benchmarks.data_sets.windows import COPIES, REDUCED_FILE
from benchmarks.panels.measures import Events
from benchmarks.panels.methods import Case
from pyspedas_similarity import tplot
from pyspedas_similarity.instruments.file_checks import read_npz
from pyspedas_similarity.simulate.panels import KINDS, SimulatedPanels, simulate_panels, store
from pyspedas_similarity.times import Span
from pyspedas_similarity.tplot import Variable

START, DAY_S = np.datetime64("2020-01-01", "ns"), 86400.0
QUERIES, WIDER = 3, 0.1

EVENTS = ((1,), (2,), (3,), (4,), (5,), (6, 7, 8), (9,), (10,))
"""Numbers of the events in the file of reduced distributions; those that overlap are joined."""

LENGTH, STEP = np.timedelta64(2, "s"), np.timedelta64(1500, "ms")
"""Duration of a query in it, and time from one to the next."""


def simulated_cases(seed: int) -> Iterator[tuple[str, Case, Events]]:
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


@dataclass(frozen=True)
class Crossing:
    """One event on one spacecraft: the name of its variable, in tplot, and its first and last time."""

    event: str
    spacecraft: int
    name: str
    span: Span


def read_crossings(data: Path) -> list[Crossing]:
    """Store the reduced distributions of all events in tplot, a variable for each spacecraft."""
    file = read_npz(data_file(data, REDUCED_FILE))
    found = []
    for numbers in EVENTS:
        for spacecraft in range(1, 5):
            keys = [f"ev{number:02d}_mms{spacecraft}" for number in numbers]
            keys = [key for key in keys if key not in COPIES]
            if keys:
                event = "-".join(str(one) for one in {numbers[0]: 0, numbers[-1]: 0})
                found.append(_store(keys, spacecraft, event, file))
    return found


def _store(keys: list[str], spacecraft: int, event: str, file: dict[str, np.ndarray]) -> Crossing:
    counts = np.concatenate([file[f"{key}_orig_tt2000"] for key in keys])
    values = np.concatenate([file[f"{key}_orig_f"] for key in keys])
    counts, rows = np.unique(counts, return_index=True)
    # Only differences matter, so leap seconds in these times do not.
    times = np.datetime64("2000-01-01T12", "ns") + counts.astype("timedelta64[ns]")
    name = tplot.write(Variable(keys[0], times, values[rows], {"v": file[f"{keys[0]}_v_kms"]}), {"spec": True})
    return Crossing(event, spacecraft, name, Span(times[0], times[-1]))


def sibling_cases(crossings: list[Crossing], logarithmic: bool) -> Iterator[tuple[str, Case, Events]]:
    """Yield event, case and right answers: the same time on the three other spacecraft.

    All series of the other spacecraft are searched, and that of the query, in which matches do not count.
    """
    for query in crossings:
        others = [one for one in crossings if one.spacecraft != query.spacecraft]
        starts = np.arange(query.span.start, query.span.end - LENGTH, STEP)
        for span in (Span(start, start + LENGTH) for start in starts):
            right = [
                number for number, one in enumerate(others) if one.span.start <= span.start and span.end <= one.span.end
            ]
            if right:
                events = Events(np.array(right), np.full(len(right), span.middle), np.full(len(right), LENGTH // 4))
                series = (*((one.name,) for one in others), (query.name,))
                yield query.event, Case(series, span, len(others), elsewhere=True, logarithmic=logarithmic), events
