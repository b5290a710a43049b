"""The panels of a query next to those of its matches, on the same axes."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..errors import ArgumentError, SimilarityError
from ..imaging.recipes import Recipe
from ..instruments.panels import LINE_KINDS, Panel, known_table
from ..instruments.sample_images import select
from ..times import Span
from .gallery import FAINT_COLOR
from .series import on_one_table, overview
from .style import Style, bins_label, plain, units_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure

# The color-blind safe palette of Okabe and Ito (2008); the first three for x, y, z.
_LINE_COLORS = ("#0072B2", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#E69F00", "#F0E442", "#000000")
_COMPONENTS = ("x", "y", "z")
# Samples of a spectrogram drawn in one window; more are averaged.
_MOST_COLUMNS = 600


@dataclass(frozen=True, eq=False)
class Part:
    """What one panel shows of one interval: seconds from its middle, values (n, columns), bins of a spectrogram."""

    seconds: np.ndarray
    values: np.ndarray
    bins: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Row:
    """Labels and scales that all parts of one variable share; `label`, of the bins, is empty for lines."""

    name: str
    label: str
    unit: str
    logarithmic: bool
    legend: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Column:
    """One interval, the query or a match, with one part for each row, None where nothing was measured.

    `faint` is True for a match that does not stand out of the background.
    """

    heading: tuple[str, ...]
    half_s: float
    parts: tuple[Part | None, ...]
    is_query: bool = False
    faint: bool = False

    def color(self, style: Style, otherwise: str) -> str:
        """Return the color of frame and heading."""
        return style.query if self.is_query else FAINT_COLOR if self.faint else otherwise


def row_of(panel: Panel, legend: Sequence[str] = (), title: str = "") -> Row:
    """Return labels and scales for a panel; `legend` names its lines, `title` takes the place of its name."""
    variable, name = panel.variable, title or panel.name
    if panel.kind in LINE_KINDS:
        names = tuple(legend) or (_COMPONENTS if panel.kind == "vector" else ())
        return Row(name, "", units_text(panel.units), panel.logarithmic, names[: panel.values.shape[1]])
    if panel.kind == "embedding":
        made = overview(variable)
        return Row(name, made.label, made.unit, made.logarithmic)
    return Row(name, bins_label(variable, "v", "bin"), units_text(panel.units), panel.logarithmic)


def part_of(panel: Panel, span: Span, recipe: Recipe | None = None) -> Part | None:
    """Return what was measured of a panel in an interval; None if nothing was."""
    variable = panel.variable
    first, last = np.searchsorted(variable.times, [span.start, span.end + np.timedelta64(1, "ns")])
    if first == last:
        return None
    # A sample more on both sides, so that lines reach the edges.
    cut = select(variable, slice(max(first - 1, 0), last + 1))
    seconds = (cut.times - span.middle) / np.timedelta64(1, "s")
    if panel.kind == "embedding":
        try:
            made = overview(cut, recipe)
        except SimilarityError:
            return None
        return Part(seconds, made.values, made.bins)
    values = cut.values.reshape(len(seconds), -1)
    if panel.kind in LINE_KINDS:
        return Part(seconds, values[:, : panel.values.shape[1]])
    bins = cut.coordinates.get("v", np.arange(values.shape[1], dtype=float))
    return Part(seconds, values, known_table(bins))


def panels_figure(
    rows: Sequence[Row], columns: Sequence[Column], style: Style | None = None, title: str = "", note: str = ""
) -> Figure:
    """Draw intervals side by side, one variable below the other; a variable has the same axes in all of them.

    ArgumentError if there is nothing to show.
    """
    from matplotlib.figure import Figure

    if not rows or not columns:
        raise ArgumentError("panels", "there is nothing to show", "Give a search that found something.")
    style = style or Style()
    size = style.size(1.2 + 1.75 * max(len(columns), 2), 1.1 + 1.15 * len(rows))
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(len(rows), len(columns), squeeze=False, sharey="row", sharex="col")
    for number, row in enumerate(rows):
        parts = [column.parts[number] for column in columns]
        scale = _scale(row, parts)
        for panel, part, column in zip(axes[number], parts, columns, strict=True):
            _draw(panel, row, part, scale, style)
            panel.tick_params(labelsize="xx-small", length=2, which="both")
            panel.set_xlim(-column.half_s, column.half_s)
            for spine in panel.spines.values():
                spine.set(color=column.color(style, "0.3"), linewidth=1.2 if column.is_query else 0.8)
        _label(figure, axes[number], row, scale, style)
    for panel, column in zip(axes[0], columns, strict=True):
        heading = "\n".join(plain(line, 26) for line in column.heading)
        panel.set_title(heading, fontsize="x-small", color=column.color(style, "black"))
    for panel in axes[-1]:
        panel.locator_params(axis="x", nbins=3)
    if title or style.title:
        figure.suptitle(style.heading(title), fontsize="medium")
    below = "seconds from the middle of each interval"
    figure.supxlabel("\n".join([below, note]).strip(), fontsize="x-small", color="0.3")
    return figure


def _scale(row: Row, parts: Sequence[Part | None]) -> Normalize | tuple[float, float] | None:
    """Return the color scale of a spectrogram, or the limits of lines, over all parts; None where nothing is known."""
    from matplotlib.colors import LogNorm, Normalize

    known = [part.values[np.isfinite(part.values)] for part in parts if part is not None]
    known = np.concatenate(known) if known else np.empty(0)
    known = known[known > 0] if row.logarithmic else known
    if not known.size:
        return None
    if not row.label:
        low, high = float(known.min()), float(known.max())
        margin = 0.05 * (high - low) or 1.0
        return (low / 1.1, high * 1.1) if row.logarithmic else (low - margin, high + margin)
    low, high = np.percentile(known, (2, 99.8))
    high = high if high > low else low * 2 if row.logarithmic else low + 1
    return LogNorm(low, high) if row.logarithmic else Normalize(low, high)


def _draw(panel: Axes, row: Row, part: Part | None, scale: object, style: Style) -> None:
    if part is None or scale is None:
        panel.text(0.5, 0.5, "not measured", ha="center", va="center", transform=panel.transAxes, fontsize="xx-small")
        panel.set_facecolor("0.95")
        return
    if not row.label:
        for number, line in enumerate(part.values.T):
            panel.plot(part.seconds, line, color=_LINE_COLORS[number % len(_LINE_COLORS)], linewidth=0.9)
        panel.set_yscale("log" if row.logarithmic else "linear")
        panel.set_ylim(*scale)
        return
    seconds, values, bins = _thinned(part)
    shown, bins = on_one_table(np.where(values > 0, values, np.nan) if row.logarithmic else values, bins)
    if len(seconds) == 1:  # a mesh needs two columns
        seconds, shown = np.array([-0.5, 0.5]) + seconds, np.repeat(shown, 2, 0)
    colors = style.cmap or "viridis"
    panel.set_facecolor("0.85")  # where nothing was measured
    panel.pcolormesh(seconds, bins, shown.T, norm=scale, cmap=colors, shading="nearest", rasterized=True)
    if bins[0] > 0 and bins[-1] > 10 * bins[0]:
        panel.set_yscale("log")


def _thinned(part: Part) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return at most so many spectra, means of successive ones."""
    step = -(-len(part.seconds) // _MOST_COLUMNS)
    if step < 2:
        return part.seconds, part.values, part.bins
    starts = np.arange(0, len(part.seconds), step)
    lengths = np.diff(np.append(starts, len(part.seconds)))
    known = np.isfinite(part.values)
    total = np.add.reduceat(np.where(known, part.values, 0).astype(np.float64), starts, axis=0)
    counts = np.add.reduceat(known.astype(np.int64), starts, axis=0)
    values = np.where(counts > 0, total / np.maximum(counts, 1), np.nan)
    seconds = np.add.reduceat(part.seconds, starts) / lengths
    return seconds, values, part.bins[starts] if np.ndim(part.bins) > 1 else part.bins


def _label(figure: Figure, panels: np.ndarray, row: Row, scale: object, style: Style) -> None:
    from matplotlib.cm import ScalarMappable

    lines = textwrap.wrap(plain(row.name.replace("_", " ")), 16)[:3]
    panels[0].set_ylabel("\n".join([*lines, row.label or (f"({row.unit})" if row.unit else "")]), fontsize="xx-small")
    if row.label and scale is not None:
        bar = figure.colorbar(ScalarMappable(scale, style.cmap or "viridis"), ax=list(panels), pad=0.01, aspect=12)
        bar.set_label(row.unit, fontsize="xx-small")
        bar.ax.tick_params(labelsize="xx-small", which="both")
    elif row.legend and len(row.legend) > 1:
        for number, text in enumerate(row.legend):
            panels[-1].annotate(
                plain(text, 10),
                (1.02, 0.98 - 0.26 * number),
                xycoords="axes fraction",
                va="top",
                fontsize="xx-small",
                color=_LINE_COLORS[number % len(_LINE_COLORS)],
            )
