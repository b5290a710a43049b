"""The score against time below what was measured, with queries and events marked in both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ..errors import VariableError
from ..imaging.keogram import keogram
from ..imaging.recipes import Recipe, SpectrumRecipe
from ..instruments import frames
from ..times import cadence
from ..tplot import Variable
from .style import Style, bins_label, brightness_unit, flux_unit, plain, slice_label

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure

_MOST_COLUMNS = 3000
_FAINT = "similar, does not stand out"
_DATES = ["", "%Y", "%Y-%b", "%Y-%m-%d", "%Y-%m-%d", "%Y-%m-%d"]
# Of the axis: about a pixel and a half of a page's width.
_NARROWEST = 1 / 600


def _none() -> np.ndarray:
    return np.array([], "datetime64[ns]")


@dataclass(frozen=True, eq=False)
class Marks:
    """Marks on a time axis, datetime64[ns]: intervals, queries and the events around them; no threshold is NaN.

    `faint` are intervals that do not stand out of the background; None: all do.
    """

    start: np.ndarray = field(default_factory=_none)
    end: np.ndarray = field(default_factory=_none)
    query_start: np.ndarray = field(default_factory=_none)
    query_end: np.ndarray = field(default_factory=_none)
    own_start: np.ndarray = field(default_factory=_none)
    own_end: np.ndarray = field(default_factory=_none)
    threshold: float = np.nan
    faint: np.ndarray | None = None

    def parts(self) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
        """Return starts and ends of the intervals that stand out, and of those that do not."""
        faint = np.zeros(len(self.start), bool) if self.faint is None else self.faint
        return (self.start[~faint], self.end[~faint]), (self.start[faint], self.end[faint])


@dataclass(frozen=True)
class Overview:
    """A spectrogram-like picture against time: values (n, bins), their bins (bins,) or (n, bins), and labels."""

    values: np.ndarray
    bins: np.ndarray
    label: str
    unit: str
    logarithmic: bool


@dataclass(frozen=True, eq=False)
class Strip:
    """One variable: an overview of it at `times`, if there is one, its scores, and what was found."""

    name: str
    times: np.ndarray
    overview: Overview | None
    score_times: np.ndarray
    scores: np.ndarray
    marks: Marks = field(default_factory=Marks)


def strips_figure(strips: Sequence[Strip], style: Style | None = None, title: str = "") -> Figure:
    """Draw the overview of each variable, and its score with the threshold; queries and events in both."""
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


def overview(
    variable: Variable, recipe: Recipe | None = None, height_km: float | None = None, width: float | None = None
) -> Overview:
    """Return the panel for a variable of distributions, spectra or frames; VariableError if it holds none of these.

    `height_km` and `width` are those of `imaging.keogram.keogram`.
    """
    if variable.values.ndim == 4 and "v3" in variable.coordinates:
        return _omnidirectional(variable)
    if variable.values.ndim == 3 and isinstance(recipe, SpectrumRecipe):
        return _over_directions(variable, recipe)
    if variable.values.ndim == 3:
        made = keogram(*frames.north_up(variable), height_km, width)
        return Overview(made.values, made.axis, slice_label(made, variable), brightness_unit(variable), False)
    if variable.values.ndim == 2 and "v" in variable.coordinates:
        labels = bins_label(variable, "v"), flux_unit(variable)
        return Overview(variable.values, variable.coordinates["v"], *labels, True)
    remedy = "Give distributions (time, azimuth, polar, energy), spectra, or frames (time, row, column)."
    raise VariableError(variable.name, f"found the shape {variable.values.shape}", remedy)


def _omnidirectional(variable: Variable) -> Overview:
    """Phase space density averaged over the sphere, times energy squared: proportional to the energy flux."""
    polar = np.radians(np.atleast_2d(variable.coordinates["v2"])[0])
    weight = np.sin(polar) / np.sin(polar).sum()
    density = np.stack([np.nanmean(sample, axis=0).T @ weight for sample in variable.values])
    energy = variable.coordinates["v3"]
    unit = "f E$^2$ (s$^3$ cm$^{-6}$ eV$^2$)"
    return Overview(density * np.atleast_2d(energy) ** 2, energy, bins_label(variable, "v3", "energy (eV)"), unit, True)


def _over_directions(variable: Variable, recipe: SpectrumRecipe) -> Overview:
    """Mean over pitch angles or looks of what was measured."""
    axis = 3 - recipe.energy_axis
    known = np.isfinite(variable.values)
    total = np.where(known, variable.values, 0).sum(axis=axis, dtype=float)
    mean = np.divide(total, known.sum(axis=axis), out=np.full(total.shape, np.nan), where=known.any(axis=axis))
    key = f"v{recipe.energy_axis}"
    over = "pitch angles" if recipe.direction == "pitch_angle" else "looks"
    bins = variable.coordinates.get(key, np.arange(1, mean.shape[1] + 1))
    label = bins_label(variable, key) if key in variable.coordinates else "energy channel"
    return Overview(mean, bins, label, f"mean over {over}\n{flux_unit(variable)}", True)


def on_one_table(values: np.ndarray, bins: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return spectra (n, bins) in the ascending bins of one table; bins may change with time, and be NaN.

    Where the table changes it is the most frequent one of those with most known bins. Other rows are drawn in the
    nearest of their own bins, and are NaN where they have none as near as the bins of that table are to each other.
    """
    values, bins = np.array(values, float), np.asarray(bins, float)
    if bins.ndim == 1:
        known = np.isfinite(bins)
        values, usual = values[:, known], bins[known]
    else:
        values, usual = _moved(values, np.where(np.isfinite(bins), bins, np.inf))
    order = np.argsort(usual)
    return values[:, order], usual[order]


def _moved(values: np.ndarray, bins: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Move spectra to the bins of one table of (n, bins), in which inf stands for what is not known."""
    tables, rows, counts = np.unique(bins, axis=0, return_inverse=True, return_counts=True)
    usual = tables[np.lexsort((-counts, -np.isfinite(tables).sum(axis=1)))[0]]
    usual = usual[np.isfinite(usual)]
    width = np.abs(np.gradient(usual)) if len(usual) > 1 else np.inf
    moved = np.full((len(values), len(usual)), np.nan)
    for number, table in enumerate(tables):
        own, known = rows.ravel() == number, table[np.isfinite(table)]
        if known.size:
            nearest = values[own][:, np.abs(table - usual[:, None]).argmin(axis=1)]
            beyond = (usual < known.min() - width) | (usual > known.max() + width)
            moved[own] = np.where(beyond, np.nan, nearest)
    return moved, usual


def drawable(
    starts: np.ndarray, ends: np.ndarray, first: np.datetime64, last: np.datetime64
) -> tuple[np.ndarray, np.ndarray]:
    """Return starts and ends of events inside an axis, none narrower than can be seen, those that then touch as one."""
    inside = (ends >= first) & (starts <= last)
    starts, ends = np.maximum(starts[inside], first), np.minimum(ends[inside], last)
    if not len(starts):
        return starts, ends
    least = np.timedelta64(int((last - first).astype(np.int64) * _NARROWEST), "ns")
    lacking = np.maximum(least - (ends - starts), np.timedelta64(0, "ns"))
    starts, ends = starts - lacking // 2, ends + lacking // 2
    order = np.argsort(starts, kind="stable")
    starts, ends = starts[order], np.maximum.accumulate(ends[order])
    apart = np.append(True, starts[1:] > ends[:-1])
    return starts[apart], ends[np.append(np.flatnonzero(apart)[1:] - 1, len(ends) - 1)]
