"""Tables of events from results in any form."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import tplot
from ..errors import ArgumentError
from ..provenance import ATTRIBUTE, CALIBRATED
from ..search.enrichment import Intervals
from ..times import to_times
from .formats.event_lists import table_of_file
from .formats.flat import checked_intervals, no_intervals
from .tplot_output import carried_record, event_table

if TYPE_CHECKING:
    from astropy.table import QTable

CARRIED = ("peak", "score", "n_samples", "source", "probe", "site", "class", *CALIBRATED)
"""Columns of a table of intervals that go along into tables made of it."""


def result_table(found: Any) -> QTable:
    """The table of intervals behind names of bars, in a file or a table itself; of an empty list, one without rows.

    Raises
    ------
    SimilarityError
        If it is no table of intervals.
    """
    found = getattr(found, "events", found)  # a SearchResult
    if hasattr(found, "colnames"):
        return checked_intervals(found)
    if isinstance(found, Path):
        return checked_intervals(table_of_file(found))
    if not isinstance(found, Iterable):
        remedy = "Give what find_similar or intervals returned."
        raise ArgumentError("found", f"{type(found).__name__} is no table of intervals", remedy)
    return checked_intervals(events_of_names(found))


def events_of_names(names: str | Iterable[str | int]) -> QTable:
    """Return the events of bars together, best first; a table without rows for an empty list.

    Raises
    ------
    VariableError
        If a variable carries no events.
    """
    names = names if isinstance(names, (str, int)) else list(names)
    if names == []:
        return no_intervals()
    variables = [tplot.read(one) for one in tplot.expand(names)]
    # Of the list that find_similar returned, the scores carry no events.
    bars = [one for one in variables if "intervals" in one.attributes.get(ATTRIBUTE, {})]
    return event_table([carried_record(one) for one in bars or variables])


def intervals_of(table: QTable) -> Intervals:
    """Starts and ends of a table of intervals."""
    return Intervals(to_times(table["start"]), to_times(table["end"]))


def loaded(names: Any) -> list[str]:
    """The names, where all of them are of loaded variables."""
    names = [names] if isinstance(names, str) else names
    if not isinstance(names, (list, tuple)) or not names or not all(isinstance(name, str) for name in names):
        return []
    loaded = set(tplot.loaded_names())
    return list(names) if loaded.issuperset(names) else []
