"""Occlusion sensitivity of a score: change of the score when parts of an image are hidden.

After Zeiler and Fergus (2014), doi 10.1007/978-3-319-10590-1_53, who hide by a gray square. Here a square takes the
mean of what lies around it, so that no edge is put there, or the median of other images: what is usual in its place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ..errors import ArgumentError
from .gallery import AGYROTROPY, Original, colors_of
from .style import Style, color_limits

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FILLS = ("mean", "median")
_BATCH = 64
_PARTS = 6
"""Of an image's side that a square covers by default."""


@dataclass(frozen=True, eq=False)
class Occlusion:
    """Dependence of a score on the parts of an image.

    Attributes
    ----------
    score : float
        Of the whole image.
    change : numpy.ndarray, shape (channels, rows, columns)
        How much lower the score is without what is at a pixel: the mean over the squares that cover it. Above 0 it
        raises the score, below 0 lowers it; NaN where nothing was measured.
    patch : int
        Side of a square, pixels.
    fill : {'mean', 'median'}
    figure : matplotlib.figure.Figure or None
    """

    score: float
    change: np.ndarray
    patch: int
    fill: str
    figure: Figure | None = field(default=None, repr=False)

    @property
    def strongest(self) -> tuple[int, int, int]:
        """Channel, row and column of the pixel without which the score falls most."""
        where = np.where(np.isfinite(self.change), self.change, -np.inf)
        return tuple(int(one) for one in np.unravel_index(int(np.argmax(where)), where.shape))


def occlude(
    image: np.ndarray,
    score_of: Callable[[np.ndarray], np.ndarray],
    patch: int | None = None,
    usual: np.ndarray | None = None,
) -> Occlusion:
    """Hide each part of an image (channels, pixels, pixels) in turn; NaN, where nothing was measured, stays so.

    `score_of` scores at most 64 images at once. Squares with a side of `patch` pixels, by default a sixth of the
    image's, lie half a side apart, in one channel at a time. They are filled with `usual`, or with the mean of what is
    measured as far as half a side around. ArgumentError if the patch does not fit, or the image has no score.
    """
    side = _side(image, patch)
    score = float(score_of(image[None].astype(np.float32))[0])
    if not np.isfinite(score):
        raise ArgumentError("image", "it has no score", "Give a sample that can be encoded.")
    total, covered = np.zeros(image.shape), np.zeros(image.shape)
    places = list(_squares(image, side))
    for first in range(0, len(places), _BATCH):
        part = places[first : first + _BATCH]
        hidden = np.stack([_hidden(image, place, usual) for place in part]).astype(np.float32)
        scores = score_of(hidden)
        for place, one in zip(part, scores, strict=True):
            if np.isfinite(one):
                total[place] += score - one
                covered[place] += 1
    change = np.where((covered > 0) & np.isfinite(image), total / np.maximum(covered, 1), np.nan)
    return Occlusion(score, change, side, "mean" if usual is None else "median")


def occlusion_figure(
    found: Occlusion,
    query: Sequence[Original],
    match: Sequence[Original],
    style: Style | None = None,
    headings: tuple[str, str] = ("query", "match"),
) -> Figure:
    """Draw query, if there is an image of it, match and what drove the score, one row for each channel."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure

    style = style or Style()
    rows = len(found.change)
    figure = Figure(figsize=style.size(7.6, 2.2 * rows + 1.0), layout="constrained")
    panels = figure.subplots(rows, 3, squeeze=False)
    largest = max(float(np.nanmax(np.abs(found.change))), 1e-9)
    for row in range(rows):
        pair = [match[row].values, *([query[row].values] if len(query) else [])]
        ends = color_limits(np.concatenate(pair, axis=None), 1, 99.5)
        if len(query):
            _image(panels[row, 0], query[row], ends, style)
        else:
            panels[row, 0].set_axis_off()
        _image(panels[row, 1], match[row], ends, style)
        _overlay(panels[row, 2], match[row], found.change[row], largest, style)
        panels[row, 0].set_ylabel(match[row].label, fontsize="small")
    colors = (style.query, style.match, "black")
    for panel, text, color in zip(panels[0], (*headings, "score lost when hidden"), colors, strict=True):
        panel.set_title(text, fontsize="small", color=color)
    scale = ScalarMappable(Normalize(-largest, largest), style.diverging)
    bar = figure.colorbar(scale, ax=panels[:, 2], pad=0.02, aspect=30, shrink=0.8)
    bar.set_label(f"fall of the score ({found.score:.3f} with all)", fontsize="small")
    bar.ax.tick_params(labelsize="x-small")
    hidden = {"mean": "the mean around them", "median": "the median of all images"}[found.fill]
    method = f"squares of {found.patch} x {found.patch} pixels replaced by {hidden}"
    figure.supxlabel(method, fontsize="x-small", color="0.3")
    figure.suptitle(style.heading("What drove the score"), fontsize="medium")
    return figure


def _image(panel: Axes, one: Original, ends: tuple[float, float], style: Style) -> None:
    low, high = ends
    if one.unit == AGYROTROPY:
        high = max(abs(low), abs(high))
        low = -high
    panel.set_facecolor("0.85")
    look = {"cmap": colors_of(one, style), "vmin": low, "vmax": high}
    panel.imshow(one.values, origin="lower", interpolation="nearest", **look)
    panel.set(xticks=[], yticks=[])


def _overlay(panel: Axes, one: Original, change: np.ndarray, largest: float, style: Style) -> None:
    """The change in colors, and where it is more than half of the largest, the outline on top."""
    shown = change[::-1] if one.gray else change  # photographs were turned, so that north is up
    panel.set_facecolor("0.85")
    panel.imshow(shown, origin="lower", cmap=style.diverging, vmin=-largest, vmax=largest, interpolation="nearest")
    filled = np.nan_to_num(shown)
    if filled.max() > largest / 2:
        panel.contour(filled, levels=[largest / 2], colors="black", linewidths=0.8)
    panel.set(xticks=[], yticks=[])


def _side(image: np.ndarray, patch: int | None) -> int:
    smallest = min(image.shape[1:])
    side = max(2, smallest // _PARTS) if patch is None else patch
    if isinstance(side, bool) or not isinstance(side, (int, np.integer)) or not 1 <= side <= smallest:
        raise ArgumentError("patch", f"found {patch!r}", f"Give a number of pixels, 1 to {smallest}.")
    return int(side)


def _squares(image: np.ndarray, side: int) -> Iterator[tuple[int, slice, slice]]:
    """All squares in which something was measured, so that the last ones end with the image."""
    step = max(1, side // 2)
    starts = [sorted({*range(0, length - side + 1, step), length - side}) for length in image.shape[1:]]
    for channel in range(len(image)):
        for row in starts[0]:
            for column in starts[1]:
                place = (channel, slice(row, row + side), slice(column, column + side))
                if np.isfinite(image[place]).any():
                    yield place


def _hidden(image: np.ndarray, place: tuple[int, slice, slice], usual: np.ndarray | None) -> np.ndarray:
    made = image.astype(np.float32)
    inside = made[place]
    if usual is not None:
        made[place] = np.where(np.isfinite(inside), usual[place], np.nan)
        return made
    channel, rows, columns = place
    margin = max(1, (rows.stop - rows.start) // 2)
    wide = (
        channel,
        slice(max(rows.start - margin, 0), rows.stop + margin),
        slice(max(columns.start - margin, 0), columns.stop + margin),
    )
    ring = made.copy()
    ring[place] = np.nan
    around = ring[wide][np.isfinite(ring[wide])]
    # A square with nothing measured around it takes its own mean.
    level = around.mean() if len(around) else inside[np.isfinite(inside)].mean()
    made[place] = np.where(np.isfinite(inside), level, np.nan)
    return made
