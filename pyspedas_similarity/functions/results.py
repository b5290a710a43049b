"""Public functions that take a search result: the methods of `SearchResult`, reading results, reviews."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..conventions import pyspedas_convention
from ..results.flat import no_intervals
from ..results.reading import read_result
from ..results.review import Review, begin_review
from ..results.search_result import SearchResult
from ..results.tplot_output import events_of_names, result_table
from .search import find_similar

if TYPE_CHECKING:
    from astropy.table import QTable

__all__ = [
    "Review",
    "intervals",
    "plot_keogram",
    "plot_matches",
    "plot_score",
    "report",
    "result",
    "resume_review",
    "review",
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
        Columns ``score``, ``peak`` (Time, UTC), ``duration`` (s), ``start``, ``end``, ``n_samples``, ``source``, and
        ``probe``, ``site``, ``class``, ``deviations``, ``share_higher``, ``p_value`` and ``stands_out`` where they are
        known. ``meta['similarity']`` has the provenance.

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


def review(found: Any, **search: Any) -> Review:
    """Review the matches of a search, and search again with the answers.

    Parameters
    ----------
    found : names of tplot variables or SearchResult
        What `find_similar` or `search` returned.
    **search
        Keywords of `find_similar` for the searches that follow, where the result does not record them: an encoder
        whose name does not identify it; ``instrument``, ``trange``, ``probe``, ``load_keywords``; ``field``,
        ``velocity``; ``like`` where a query was an array.

    Returns
    -------
    Review
        In a notebook with ipywidgets it shows queries and matches with buttons. Elsewhere: ``next()``, ``judge(number,
        'yes')``, ``again()``, ``save(path)``.

    Raises
    ------
    SimilarityError
        If `found` is no result of a search, or the search cannot be repeated.

    Examples
    --------
    >>> import pyspedas_similarity as sim
    >>> found = sim.find_similar('mms1_dis_dist_brst', like='2020-11-19/23:36:20')  # doctest: +SKIP
    >>> judged = sim.review(found)  # doctest: +SKIP
    """
    return begin_review(found, find_similar, search)


def resume_review(path: str | Path, **search: Any) -> Review:
    """Resume a saved review.

    Parameters
    ----------
    path : str or Path
        File written by `Review.save`. Times may carry an offset from UTC; unknown columns are kept.
    **search
        As in `review`; they take precedence over those in the file.

    Raises
    ------
    ArgumentError
        If the file is no review, or one of its rows cannot be read; the message names the row.
    """
    return Review.resume(path, find_similar, **search)
