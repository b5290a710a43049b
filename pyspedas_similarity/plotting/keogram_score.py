"""A keogram with the score below it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ..imaging.keogram import Keogram
from ..times import cadence
from .marks import Marks, drawable
from .style import Style, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST_COLUMNS = 3000


@dataclass(frozen=True, eq=False)
class Strip:
    """One camera: its keogram, its scores, and what was found.

    Attributes
    ----------
    name, unit : str
        Of the frames.
    times : numpy.ndarray of datetime64[ns], shape (n,)
    keogram : Keogram
    score_times : numpy.ndarray of datetime64[ns], shape (m,)
    scores : numpy.ndarray, shape (m,)
    marks : Marks
    """

    name: str
    unit: str
    times: np.ndarray
    keogram: Keogram
    score_times: np.ndarray
    scores: np.ndarray
    marks: Marks = field(default_factory=Marks)


def keogram_figure(strips: Sequence[Strip], style: Style | None = None, title: str = "") -> Figure:
    """Draw two panels for each camera: its keogram, and the score with its threshold; queries and matches in both.

    Parameters
    ----------
    strips : sequence of Strip
    style : Style, optional
    title : str
    """
    from matplotlib.figure import Figure

    style = style or Style()
    figure = Figure(figsize=style.size(9.0, 0.9 + 3.6 * len(strips)), layout="constrained")
    panels = figure.subplots(2 * len(strips), 1, sharex=True, height_ratios=[5, 3] * len(strips), squeeze=False)[:, 0]
    first = min(one.times[0] for one in strips)
    last = max(one.times[-1] for one in strips)
    for upper, lower, strip in zip(panels[::2], panels[1::2], strips, strict=True):
        _keogram(upper, strip, style)
        _score(lower, strip)
        for panel in (upper, lower):
            _mark(panel, strip.marks, (first, last), style, full=panel is lower)
    panels[-1].set_xlim(first, last)
    panels[-1].set_xlabel("UTC")
    place = {"loc": "lower right", "bbox_to_anchor": (1.0, 1.0), "ncols": 4, "frameon": False, "borderpad": 0}
    panels[1].legend(fontsize="x-small", **place)
    figure.suptitle(style.heading(title), fontsize="medium")
    return figure


def _keogram(panel: Axes, strip: Strip, style: Style) -> None:
    times, values = _with_gaps(strip.times, strip.keogram.values)
    known = values[np.isfinite(values)]
    low, high = np.percentile(known, (2, 99.5)) if len(known) else (0.0, 1.0)
    panel.set_facecolor("0.85")
    mesh = panel.pcolormesh(
        times,
        strip.keogram.axis,
        values.T,
        vmin=low,
        vmax=high if high > low else low + 1,
        cmap=style.cmap or "viridis",
        shading="nearest",
        rasterized=True,
    )
    bar = panel.figure.colorbar(mesh, ax=panel, pad=0.01)
    bar.set_label(plain(strip.unit or "brightness as stored", 30), fontsize="small")
    side = "south to north" if strip.keogram.name != "latitude" else "geodetic"
    panel.set_ylabel(f"{strip.keogram.name} ({strip.keogram.units})\n{side}", fontsize="small")
    panel.set_title(plain(strip.name), fontsize="small", loc="left")


def _score(panel: Axes, strip: Strip) -> None:
    panel.plot(strip.score_times, strip.scores, color="black", linewidth=0.9)
    known = strip.scores[np.isfinite(strip.scores)]
    low = float(known.min()) if len(known) else -1.0
    panel.set_ylim(low - 0.05 * (1 - low) - 0.01, 1 + 0.05 * (1 - low) + 0.01)
    panel.set_ylabel("similarity\n(cosine)", fontsize="small")
    if np.isfinite(strip.marks.threshold):
        panel.axhline(strip.marks.threshold, color="0.4", linestyle=":", linewidth=1, label="threshold")


def _mark(panel: Axes, marks: Marks, ends: tuple[np.datetime64, np.datetime64], style: Style, full: bool) -> None:
    """Shade queries and matches below; above, where they would cover the keogram, draw them as a bar at its foot."""
    for (starts, stops), color, name in (
        (drawable(marks.start, marks.end, *ends), style.match, "similar"),
        (drawable(marks.query_start, marks.query_end, *ends), style.query, "query"),
    ):
        for number, (start, stop) in enumerate(zip(starts, stops, strict=True)):
            label = name if number == 0 and full else None
            if full:
                panel.axvspan(start, stop, color=color, alpha=0.3, linewidth=0, label=label)
            else:
                panel.axvspan(start, stop, ymin=0, ymax=0.04, color=color, linewidth=0)


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
