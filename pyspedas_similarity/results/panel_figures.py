"""Figures of a search of panels: the intervals of query and matches as they were measured."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np

from .. import tplot
from ..errors import SimilarityError
from ..imaging.recipes import PanelRecipe
from ..instruments.panels import Panel, panel_of
from ..instruments.registry import recipe_of
from ..library.plan import recipe_of_record
from ..plotting.panels import Column, Row, panels_figure, part_of, row_of
from ..plotting.style import Style
from ..times import Span
from ..tplot import Variable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from .search_result import SearchResult
    from .searched_series import SearchedSeries


def is_of_panels(series: SearchedSeries) -> bool:
    """Return True for a series of windows of time series and spectrograms."""
    return series.record.get("recipe", {}).get("kind") == PanelRecipe.kind


def panel_names(series: SearchedSeries) -> list[str]:
    """Return the names of the variables of a series of windows."""
    return [str(one["name"]) for one in series.record.get("panels", ())]


def panels_of(result: SearchResult, series: SearchedSeries, names: dict[str, str] | None = None) -> list[Panel]:
    """Return the panels of a series, from the variables that the result holds or else from loaded ones.

    Parameters
    ----------
    result : SearchResult
    series : SearchedSeries
    names : dict of str to str, optional
        Loaded variables by the names of those that were searched.

    Raises
    ------
    VariableError
        If one of them is not loaded.
    """
    recipe = recipe_of_record(series.record)
    panels = []
    for about in series.record["panels"]:
        name = str(about["name"])
        given = (names or {}).get(name)
        variable = result.held[name] if given is None and name in result.held else tplot.read(given or name)
        if about["kind"] == "embedding":
            panels.append(Panel(variable, variable.times, np.empty((len(variable.times), 0)), "embedding"))
        else:
            panels.append(panel_of(variable, recipe))
    return panels


def labels_of(panels: list[Panel]) -> list[Row]:
    """Return labels and scales of panels."""
    return [row_of(one, *_legend_and_title(one.variable)) for one in panels]


def column_of(panels: list[Panel], span: Span, heading: tuple[str, ...], is_query: bool = False) -> Column:
    """Return what was measured in an interval."""
    half = float((span.end - span.start) / np.timedelta64(2, "s"))
    return Column(heading, half, tuple(part_of(one, span, _recipe(one)) for one in panels), is_query)


def panel_pictures(result: SearchResult, series: SearchedSeries, drawn: np.ndarray) -> dict[np.datetime64, bytes]:
    """Return the panels of events of a series with given peaks, and of the queries in it by their middles, as PNG."""
    panels, events = panels_of(result, series), result.events_of(series)
    rows = labels_of(panels)
    style = Style(figsize=(3.4, 0.5 + 0.9 * len(rows)), dpi=110)
    spans = {one.middle: one for one in series.own_spans()}
    for start, end, peak in zip(events.start, events.end, events.peak, strict=True):
        if peak in drawn:
            spans[peak] = Span(start, end)
    columns = {time: column_of(panels, span, ()) for time, span in spans.items()}
    return {time: _png(panels_figure(rows, [column], style), style.dpi) for time, column in columns.items()}


def _png(figure: Figure, dpi: float) -> bytes:
    drawn = BytesIO()
    figure.savefig(drawn, format="png", dpi=dpi)
    return drawn.getvalue()


def _recipe(panel: Panel) -> object:
    if panel.kind != "embedding":
        return None
    try:
        return recipe_of(panel.variable)
    except SimilarityError:
        return None


def _legend_and_title(variable: Variable) -> tuple[tuple[str, ...], str]:
    """Return the names of lines and the title among the plot options of a variable; empty where it has none."""
    title = variable.options.get("axis_label")
    return tuple(str(one) for one in variable.options.get("legend_names") or ()), title if isinstance(
        title, str
    ) else ""
