"""The query next to its matches, as they were measured and, on request, as encoded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..errors import ArgumentError
from .original import AGYROTROPY, ENCODED, PITCH_ANGLE, Original
from .style import Style, color_limits, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure

FAINT_COLOR = "0.6"
FAINT_NOTE = "; gray: does not stand out of the background"
_PER_LINE, _GAMMA = 8, 0.4


@dataclass(frozen=True, eq=False)
class Shown:
    """One sample of a gallery.

    Attributes
    ----------
    heading : tuple of str
        Lines above its pictures, as they are to be read.
    pictures : tuple of Original
        From top to bottom.
    is_query : bool
    missing : str
        Why there is no picture.
    faint : bool
        True for a match that does not stand out of the background.
    """

    heading: tuple[str, ...]
    pictures: tuple[Original, ...]
    is_query: bool = False
    missing: str = ""
    faint: bool = False


def gallery_figure(shown: Sequence[Shown], style: Style | None = None, title: str = "", note: str = "") -> Figure:
    """Draw samples side by side, all on the same scale of colors.

    Parameters
    ----------
    shown : sequence of Shown
        Eight in a line; the queries first.
    style : Style, optional
    title, note : str
        Above and below; the note may hold formulas.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ArgumentError
        If there is nothing to show.
    """
    from matplotlib.figure import Figure

    if not shown:
        raise ArgumentError("gallery", "there is no sample to show", "Give a search that found something.")
    style = style or Style()
    rows = max(1, *(len(one.pictures) for one in shown))
    columns = min(len(shown), _PER_LINE)
    ticks = any(picture.x_label for one in shown for picture in one.pictures)
    lines = -(-len(shown) // columns)
    size = style.size(max(1.55 * columns + 1.3, 4.2), lines * (1.5 * rows + 0.55) + (0.9 if ticks else 0.6))
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(lines * rows, columns, squeeze=False)
    scales = _scales(shown)
    for number in range(lines * columns):
        line, column = divmod(number, columns)
        part = panels[line * rows : (line + 1) * rows, column]
        if number < len(shown):
            _column(part, shown[number], column == 0, (scales, style))
        else:
            for panel in part:
                panel.set_axis_off()
    _bars(figure, panels, shown, rows, (scales, style))
    figure.suptitle(style.heading(title), fontsize="medium")
    frames = dict.fromkeys(picture.frame for one in shown for picture in one.pictures if picture.frame)
    figure.supxlabel("\n".join([note, *frames]).strip(), fontsize="x-small", color="0.3")
    return figure


def gallery_note(drawn: int, there: int, faint: bool = False) -> str:
    """Return the line below a gallery; `faint` if some of what is drawn does not stand out."""
    which = f"the {drawn} best of {there} matches" if drawn < there else f"all {there} matches" if there > 1 else ""
    text = f"above each: similarity and time (UTC) of the best sample{'; ' if which else ''}{which}"
    return text + (FAINT_NOTE if faint else "")


def _scales(shown: Sequence[Shown]) -> dict[str, Normalize]:
    """One scale of colors for each unit: from percentile 2 to 99.8 of all that is shown in it."""
    from matplotlib.colors import LogNorm, Normalize, PowerNorm

    found: dict[str, list[Original]] = {}
    for one in shown:
        for picture in one.pictures:
            if picture.values.ndim == 2:
                found.setdefault(picture.unit, []).append(picture)
    scales = {}
    for unit, pictures in found.items():
        known = np.concatenate([picture.values[np.isfinite(picture.values)] for picture in pictures])
        if pictures[0].logarithmic:
            known = known[known > 0]
            low, high = np.percentile(known, (2, 99.8)) if len(known) else (0.1, 1.0)
            scales[unit] = LogNorm(low, max(high, 2 * low))
        elif unit == AGYROTROPY:
            most = np.percentile(np.abs(known), 99.8) if len(known) else 1.0
            scales[unit] = Normalize(-most, most)
        else:
            low, high = color_limits(known, 1, 99.8)
            # Square root of camera frames, so that a faint arc shows next to a bright one; the color bar has it too.
            is_photograph = pictures[0].gray and unit != ENCODED
            scales[unit] = PowerNorm(_GAMMA, low, high) if is_photograph else Normalize(low, high)
    return scales


def _column(panels: np.ndarray, one: Shown, first: bool, looks: tuple[dict[str, Normalize], Style]) -> None:
    scales, style = looks
    color = style.query if one.is_query else FAINT_COLOR if one.faint else style.match
    for row, panel in enumerate(panels):
        if row < len(one.pictures):
            _picture(panel, one.pictures[row], scales.get(one.pictures[row].unit), style)
            last = row == len(one.pictures) - 1 or one.pictures[row + 1].unit != one.pictures[row].unit
            _axes(panel, one.pictures[row], first, last)
        else:
            _empty(panel, one.missing if row == 0 else "")
        for spine in panel.spines.values():
            spine.set(color=color, linewidth=1.5)
    heading = "\n".join(plain(line, 26) for line in one.heading)
    panels[0].set_title(heading, fontsize="x-small", color=color if one.is_query or one.faint else "black")


def _picture(panel: Axes, one: Original, scale: Normalize | None, style: Style) -> None:
    if one.values.ndim == 3:
        panel.imshow(one.values, origin="lower", interpolation="nearest")
        return
    colors = colors_of(one, style)
    panel.set_facecolor("0.85")  # where nothing was measured
    shown = np.where(one.values > 0, one.values, np.nan) if one.logarithmic else one.values
    panel.pcolormesh(one.x, one.y, shown, norm=scale, cmap=colors, shading="nearest", rasterized=True)
    if one.x_logarithmic:
        panel.set_xscale("log")
    if one.y_logarithmic:
        panel.set_yscale("log")
    if "km/s" in one.x_label or not one.x_label:
        panel.set_aspect("equal")
    if "km/s" in one.x_label:
        panel.axhline(0, color="white", linewidth=0.4)
        panel.axvline(0, color="white", linewidth=0.4)


def colors_of(one: Original, style: Style) -> str:
    """Return the name of the color map of a picture."""
    return style.diverging if one.unit == AGYROTROPY else style.cmap or ("gray" if one.gray else "viridis")


def _axes(panel: Axes, one: Original, first: bool, last: bool) -> None:
    """Ticks where they have a unit, numbers only at the left and below."""
    panel.tick_params(labelsize="xx-small", labelleft=first, labelbottom=last, length=2, which="both")
    if not one.x_label:
        panel.set_xticks([])
        panel.set_yticks([])
        if first:
            panel.set_ylabel(one.label, fontsize="x-small")
        return
    if not one.x_logarithmic:
        panel.locator_params(axis="x", nbins=3)
    if one.y_label == PITCH_ANGLE:  # one range for all: tables change from sample to sample
        panel.set_ylim(0, 180)
        panel.set_yticks([0, 45, 90, 135, 180])
    elif not one.y_logarithmic:
        panel.locator_params(axis="y", nbins=4)
    if last or one.x_label:
        panel.set_xlabel(one.x_label, fontsize="xx-small", labelpad=1)
    if first:
        panel.set_ylabel(one.y_label, fontsize="xx-small", labelpad=1)


def _empty(panel: Axes, why: str) -> None:
    import textwrap

    panel.set_xticks([])
    panel.set_yticks([])
    panel.set_facecolor("0.95")
    text = "\n".join(plain(line) for line in textwrap.wrap(why or "", 22)[:8])
    panel.text(0.5, 0.5, text, ha="center", va="center", transform=panel.transAxes, fontsize=5, color="0.3")


def _bars(
    figure: Figure,
    panels: np.ndarray,
    shown: Sequence[Shown],
    rows: int,
    looks: tuple[dict[str, Normalize], Style],
) -> None:
    """Draw a color bar for each measured unit, next to its rows."""
    from matplotlib.cm import ScalarMappable

    scales, style = looks
    fullest = max(shown, key=lambda one: len(one.pictures)).pictures
    for unit, scale in scales.items():
        own = [row for row, picture in enumerate(fullest) if picture.unit == unit]
        if unit in (ENCODED, AGYROTROPY) or not own:
            continue
        one = fullest[own[0]]
        measured = [panel for line in range(0, len(panels), rows) for row in own for panel in panels[line + row]]
        colors = colors_of(one, style)
        bar = figure.colorbar(ScalarMappable(scale, colors), ax=measured, pad=0.01, aspect=25, fraction=0.05)
        bar.set_label(unit, fontsize="x-small")
        bar.ax.tick_params(labelsize="xx-small", which="both")
