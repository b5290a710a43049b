"""Public functions that take a search result in any form: the methods of `SearchResult`, and reading results."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from ..conventions import pyspedas_convention
from ..results.formats.flat import no_intervals
from ..results.reading import read_result
from ..results.search_result import SearchResult
from ..results.tables import events_of_names, result_table

if TYPE_CHECKING:
    from astropy.table import QTable

__all__ = [
    "intervals",
    "plot_keogram",
    "plot_matches",
    "plot_score",
    "report",
    "result",
    "superposed_epochs",
    "what_drove",
]

_FOUND = """found : SearchResult, names, table or path
    What `search`, `find_similar` or `intervals` returned, a selection of its rows, or a file of it.
"""


@pyspedas_convention(lambda: SearchResult.empty("bad input"), errors="raise")
def result(found: Any) -> SearchResult:
    """Return the search result that tplot variables, a table of events or its file hold.

    Parameters
    ----------
    found : names, table or Path
        What `find_similar` or `intervals` returned; for names, the scores alone or the bars alone are enough.

    Returns
    -------
    SearchResult

    Raises
    ------
    SimilarityError
        If it is no result of a search.
    """
    return read_result(found)


@pyspedas_convention(no_intervals, errors="raise")
def intervals(found: str | int | Iterable[str | int] | Any) -> QTable:
    """Return the events that `find_similar` or `classify` found, best first.

    Parameters
    ----------
    found : str, list of str, table or SearchResult
        What was returned. An empty list gives an empty table.

    Returns
    -------
    astropy.table.QTable
        Columns ``start``, ``end``, ``peak`` (Time, UTC), ``score``, ``n_samples``, ``source``, and ``probe``, ``site``,
        ``class``, ``p_value`` and ``share_higher`` where they are known. ``meta['similarity']`` has the provenance.

    Raises
    ------
    VariableError
        If a variable carries no events.
    """
    if isinstance(found, SearchResult):
        return found.events
    return result_table(found) if hasattr(found, "colnames") else events_of_names(found)


def _of_result(method: Callable[..., Any]) -> Callable[..., Any]:
    """Make a public function of a method of `SearchResult`: `found` first, and errors logged unless asked otherwise."""

    def function(found: Any, *arguments: Any, **keywords: Any) -> Any:
        return method(read_result(found), *arguments, **keywords)

    signature = inspect.signature(method)
    first = inspect.Parameter("found", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=Any)
    parameters = [first, *list(signature.parameters.values())[1:]]
    function.__name__ = function.__qualname__ = method.__name__
    function.__module__ = __name__
    function.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    # The indentation of __doc__ depends on the Python release; getdoc removes it.
    head, rule, rest = re.split(r"(^Parameters\n-+\n)", inspect.getdoc(method), maxsplit=1, flags=re.MULTILINE)
    function.__doc__ = head + rule + _FOUND + rest
    return pyspedas_convention()(function)


plot_matches = _of_result(SearchResult.plot_matches)
plot_score = _of_result(SearchResult.plot_score)
plot_keogram = _of_result(SearchResult.plot_keogram)
superposed_epochs = _of_result(SearchResult.superposed_epochs)
what_drove = _of_result(SearchResult.what_drove)
report = _of_result(SearchResult.report)
