"""The same structure on other spacecraft: reduced electron distributions f(t, v) of ten events, MMS1 to MMS4."""

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
from pyspedas_similarity.times import Span
from pyspedas_similarity.tplot import Variable

EVENTS = ((1,), (2,), (3,), (4,), (5,), (6, 7, 8), (9,), (10,))
"""Numbers of the events in the file; those that overlap are joined."""

LENGTH, STEP = np.timedelta64(2, "s"), np.timedelta64(1500, "ms")
"""Duration of a query, and time from one to the next."""


@dataclass(frozen=True)
class Crossing:
    """One event on one spacecraft: the name of its variable, in tplot, and its first and last time."""

    event: str
    spacecraft: int
    name: str
    span: Span


def read_crossings(data: Path) -> list[Crossing]:
    """Store the reduced distributions of all events in tplot, a variable for each spacecraft.

    Raises
    ------
    DataUnavailable
        If the file is missing.
    """
    file = read_npz(data_file(data, REDUCED_FILE))
    found = []
    for numbers in EVENTS:
        for spacecraft in range(1, 5):
            keys = [f"ev{number:02d}_mms{spacecraft}" for number in numbers]
            keys = [key for key in keys if key not in COPIES]
            if keys:
                found.append(
                    _store(keys, spacecraft, "-".join(str(one) for one in {numbers[0]: 0, numbers[-1]: 0}), file)
                )
    return found


def _store(keys: list[str], spacecraft: int, event: str, file: dict[str, np.ndarray]) -> Crossing:
    counts = np.concatenate([file[f"{key}_orig_tt2000"] for key in keys])
    values = np.concatenate([file[f"{key}_orig_f"] for key in keys])
    counts, rows = np.unique(counts, return_index=True)
    # Only differences matter, so leap seconds in these times do not.
    times = np.datetime64("2000-01-01T12", "ns") + counts.astype("timedelta64[ns]")
    name = tplot.write(Variable(keys[0], times, values[rows], {"v": file[f"{keys[0]}_v_kms"]}), {"spec": True})
    return Crossing(event, spacecraft, name, Span(times[0], times[-1]))


def cases(crossings: list[Crossing], logarithmic: bool) -> Iterator[tuple[str, Case, Events]]:
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
