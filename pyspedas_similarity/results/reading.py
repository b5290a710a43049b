"""Search results from what callers give: results, names of tplot variables, tables, files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .. import tplot
from ..errors import VariableError
from ..provenance import ATTRIBUTE
from ..tplot import Variable
from . import tplot_output
from .search_result import SearchResult
from .searched_series import SearchedSeries
from .tplot_output import result_table


def read_result(found: Any) -> SearchResult:
    """Return a search result from names of tplot variables, a table of events, the Path of its file, or itself.

    An empty list gives a result without events. SimilarityError if it is none of these.
    """
    if isinstance(found, SearchResult):
        return found
    is_table = hasattr(found, "colnames") or isinstance(found, Path)
    if not is_table and isinstance(found, (str, Iterable)):
        names = [found] if isinstance(found, str) else list(found)
        return _from_variables([tplot.read(one) for one in tplot.expand(names)] if names else [])
    table = result_table(found)
    records = [one for one in table.meta.get("similarity") or [] if isinstance(one, Mapping)]
    return SearchResult(table, [SearchedSeries(_checked(one, "the table")) for one in records])


def _from_variables(variables: list[Variable]) -> SearchResult:
    records = {one.name: _checked(one.attributes.get(ATTRIBUTE), one.name) for one in variables}
    bars = [one for one in variables if "intervals" in records[one.name]]
    scores = [one for one in variables if "intervals" not in records[one.name]]
    for one in scores:
        if one.values.ndim != 1 or "queries" not in records[one.name]:
            found = "it is not the result of a search with a query"
            raise VariableError(one.name, found, "Give what find_similar returned.")
    searched = []
    for one in bars:
        own = tplot_output.without_events(records[one.name])
        carrier = next((s for s in scores if records[s.name] == own), None) or _scores_of(one, own)
        searched.append(_searched(own, carrier, one.store))
        scores = [s for s in scores if carrier is None or s.name != carrier.name]
    searched += [_searched(records[one.name], one, one.store) for one in scores]
    table = tplot_output.event_table([records[one.name] for one in bars])
    table.meta["similarity"] = [tplot_output.table_record(one.record) for one in searched] or table.meta["similarity"]
    return SearchResult(table, searched)


def _searched(record: Mapping[str, Any], scores: Variable | None, store: str) -> SearchedSeries:
    if scores is None:
        return SearchedSeries(record, store=store)
    return SearchedSeries(record, scores.times.copy(), np.array(scores.values), scores.name, store)


def _scores_of(bars: Variable, record: Mapping[str, Any]) -> Variable | None:
    """Return the loaded variable with the scores that the events of bars belong to: that with the same record."""
    near = bars.name.replace("_similar", "_similarity")
    for name in dict.fromkeys([near, *tplot.loaded_names()]):
        try:
            candidate = tplot.read(name)
        except VariableError:
            continue
        if candidate.values.ndim == 1 and candidate.attributes.get(ATTRIBUTE) == record:
            return candidate
    return None


def _checked(record: Any, subject: str) -> Mapping[str, Any]:
    """Return the record of a result; VariableError if it is none, or of an earlier version."""
    if not isinstance(record, Mapping) or "source" not in record:
        raise VariableError(
            subject, "it is not the result of a search with a query", "Give what find_similar returned."
        )
    if "seeds" in record:
        found = "its record was stored by a version of this package that this one does not read"
        raise VariableError(subject, found, "Search again.")
    return record
