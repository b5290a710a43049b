"""The score against time below what was measured, with queries and events marked in both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ..times import cadence
from .marks import Marks, drawable
from .overview import Overview, on_one_table
from .style import Style, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure

_MOST_COLUMNS = 3000
_FAINT = "similar, does not stand out"
_DATES = ["", "%Y", "%Y-%b", "%Y-%m-%d", "%Y-%m-%d", "%Y-%m-%d"]


@dataclass(frozen=True, eq=False)
class Strip:
    """One variable: an overview of it, its scores, and what was found.

    Attributes
    ----------
    name : str
    times : numpy.ndarray of datetime64[ns], shape (n,)
        Of the overview.
    overview : Overview or None
        None: only the score is drawn.
    score_times : numpy.ndarray of datetime64[ns], shape (m,)
    scores : numpy.ndarray, shape (m,)
    marks : Marks
    """

    name: str
    times: np.ndarray
    overview: Overview | None
    score_times: np.ndarray
    scores: np.ndarray
    marks: Marks = field(default_factory=Marks)


def strips_figure(strips: Sequence[Strip], style: Style | None = None, title: str = "") -> Figure:
    """Draw the overview of each variable, and its score with the threshold; queries and events in both.

    Parameters
    ----------
    strips : sequence of Strip
    style : Style, optional
    title : str
    """
    from matplotlib.figure import Figure

    style = style or Style()
    ratios = [ratio for one in strips for ratio in ((3,) if one.overview is None else (5, 3))]
    figure = Figure(figsize=style.size(9.0, 0.9 + 0.45 * sum(ratios)), layout="constrained")
    panels = list(figure.subplots(len(ratios), 1, sharex=True, height_ratios=ratios, squeeze=False)[:, 0])
    ends = min(one.score_times[0] for one in strips), max(one.score_times[-1] for one in strips)
    unused = iter(panels)
    for number, strip in enumerate(strips):
        upper = next(unused)
        upper.set_title(plain(strip.name), fontsize="small", loc="left")
        if strip.overview is not None:
            _draw_overview(upper, strip, style)
            mark(upper, strip.marks, ends, style, full=False)
            upper = next(unused)
        _draw_score(upper, strip)
        mark(upper, strip.marks, ends, style)
        if number == 0:
            _legend(upper)
    panels[-1].set_xlim(*ends)
    date_axis(panels[-1])
    figure.suptitle(style.heading(title), fontsize="medium")
    return figure


def mark(panel: Axes, marks: Marks, ends: tuple[np.datetime64, np.datetime64], style: Style, full: bool = True) -> None:
    """Shade queries and events, or draw them as a bar at the foot of a panel whose colors have a meaning."""
    clear, faint = marks.parts()
    for (starts, stops), color, opacity, name in (
        (drawable(*clear, *ends), style.match, 0.3, "similar"),
        (drawable(*faint, *ends), style.match, 0.1, _FAINT),
        (drawable(marks.own_start, marks.own_end, *ends), style.query, 0.2, "own event"),
        (drawable(marks.query_start, marks.query_end, *ends), style.query, 0.5, "query"),
    ):
        look = {"alpha": opacity} if full else {"ymax": 0.1 if name == "query" else 0.05}
        if name == _FAINT and not full:
            look["alpha"] = 0.4
        for number, (start, stop) in enumerate(zip(starts, stops, strict=True)):
            label = name if number == 0 and full else None
            panel.axvspan(start, stop, color=color, linewidth=0, label=label, **look)


def date_axis(panel: Axes) -> None:
    """Label a time axis: UTC, with the date at its end."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator()
    panel.xaxis.set_major_locator(locator)
    panel.xaxis.set_major_formatter(ConciseDateFormatter(locator, offset_formats=_DATES))
    panel.set_xlabel("UTC", fontsize="small")


def _draw_overview(panel: Axes, strip: Strip, style: Style) -> None:
    drawn = strip.overview
    values, bins = on_one_table(drawn.values, drawn.bins)
    times, values = _with_gaps(strip.times, values)
    panel.set_facecolor("0.85")  # where nothing was measured
    shown = np.where(values > 0, values, np.nan) if drawn.logarithmic else values
    colors = {"norm": _scale(shown, drawn.logarithmic), "cmap": style.cmap or "viridis"}
    mesh = panel.pcolormesh(times, bins, shown.T, shading="nearest", rasterized=True, **colors)
    bar = panel.figure.colorbar(mesh, ax=panel, pad=0.01)
    bar.set_label(drawn.unit, fontsize="small")
    bar.ax.tick_params(labelsize="small", which="both")
    panel.set_ylabel(drawn.label.replace(", ", "\n"), fontsize="small")
    if drawn.logarithmic and (bins > 0).all():
        panel.set_yscale("log")


def _scale(values: np.ndarray, logarithmic: bool) -> Normalize:
    """Colors without the brightest stars and the darkest pixels: from percentile 2 to 99.5."""
    from matplotlib.colors import LogNorm, Normalize

    known = values[np.isfinite(values)]
    low, high = np.percentile(known, (2, 99.5)) if len(known) else (0.1, 1.0)
    return LogNorm(low, max(high, 2 * low)) if logarithmic else Normalize(low, high if high > low else low + 1)


def _draw_score(panel: Axes, strip: Strip) -> None:
    panel.plot(strip.score_times, strip.scores, color="black", linewidth=0.9)
    known = strip.scores[np.isfinite(strip.scores)]
    low = float(known.min()) if len(known) else -1.0
    panel.set_ylim(low - 0.05 * (1 - low) - 0.01, 1 + 0.05 * (1 - low) + 0.01)
    panel.set_ylabel("similarity", fontsize="small")
    if np.isfinite(strip.marks.threshold):
        panel.axhline(strip.marks.threshold, color="0.4", linestyle=":", linewidth=1, label="threshold")


def _legend(panel: Axes) -> None:
    """Above the panel, where it hides nothing."""
    if panel.get_legend_handles_labels()[0]:
        place = {"loc": "lower right", "bbox_to_anchor": (1.0, 1.0), "ncols": 4, "frameon": False, "borderpad": 0}
        panel.legend(fontsize="x-small", **place)


def _with_gaps(times: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return columns for drawing: means of neighbors, and an empty one where samples are missing."""
    step = -(-len(times) // _MOST_COLUMNS)
    if step > 1:
        n = len(times) // step * step
        times = times[:n:step]
        values = values[:n].reshape(-1, step, values.shape[1]).mean(axis=1)
    if len(times) < 2:
        return times, values
    usual = cadence(times)
    gaps = np.flatnonzero(np.diff(times) > 2 * usual)
    # One column just after what is there, and one just before what comes next.
    around = np.stack([times[gaps] + usual, times[gaps + 1] - usual], axis=1).ravel()
    nothing = np.full((len(around), values.shape[1]), np.nan)
    return np.insert(times, np.repeat(gaps + 1, 2), around), np.insert(
        values.astype(float), np.repeat(gaps + 1, 2), nothing, axis=0
    )
