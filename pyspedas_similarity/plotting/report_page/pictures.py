"""Pictures of a page as PNG: score against time, histogram, small pictures of samples; and cards as one picture."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...errors import SimilarityError
from ...imaging.recipes import DistributionRecipe, FrameRecipe, Recipe
from ...provenance import own_events
from ...tplot import Variable
from ..gallery import half_width, measured
from ..series import Marks, Strip, overview, strips_figure
from ..style import MATCH_COLOR, QUERY_COLOR, color_limits
from .content import Card, Picture, Result, count

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_BINS = 80
_DPI = 110
_ENDS = ("start_ns", "end_ns")
_LARGEST, _SIDE = 128, 64
# Of the palette: gray, for what was not measured.
_UNKNOWN = 255
_COLUMNS = 6


def score_plot(result: Result, source: Variable | None, recipe: Recipe | None = None) -> Picture:
    """Draw the score against time with the events, below what was measured where that can be shown."""
    above = None
    if source is not None:
        # What has no overview, such as lines, is shown by its score alone.
        with suppress(SimilarityError):
            above = overview(source, recipe)
    times = result.times if source is None else source.times
    figure = strips_figure([Strip(result.source, times, above, result.times, result.scores, _marks(result))])
    found = count(len(result.intervals["score"]), "interval")
    alt = f"Score of {result.source} against time, from {result.times[0]} to {result.times[-1]} UTC; {found} marked."
    return Picture(png(figure), alt, f"{result.source}: score against time; query orange, matches green.")


def _marks(result: Result) -> Marks:
    starts, ends = (np.asarray(result.intervals[key], np.int64).astype("datetime64[ns]") for key in _ENDS)
    spans = [(one["start"], one["end"]) for one in result.record["queries"] if "start" in one and result.has(one)]
    queries = np.array(spans, "datetime64[ns]").reshape(-1, 2)
    faint = ~np.array(result.intervals["stands_out"], bool) if "stands_out" in result.intervals else None
    threshold = float(result.record.get("threshold", np.nan))
    return Marks(starts, ends, *queries.T, *own_events(result.record), threshold, faint)


def histogram(result: Result) -> Picture:
    """Draw the histogram of scores with the threshold and the peaks of the matches."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 2.6), layout="constrained")
    panel = figure.subplots()
    known = result.scores[np.isfinite(result.scores)]
    panel.hist(known, bins=_BINS, color="0.55", label="all samples")
    panel.set_yscale("symlog", linthresh=1)  # with a place for 0
    panel.set_ylim(0, None)
    panel.yaxis.set_major_formatter("{x:g}")
    panel.set_xlabel("score (similarity)")
    panel.set_ylabel("samples")
    threshold = result.record.get("threshold", np.nan)
    if np.isfinite(threshold):
        panel.axvline(threshold, color="black", linestyle=":", label="threshold")
    found = np.asarray(result.intervals["score"], float)
    if len(found):
        style = {"color": MATCH_COLOR, "marker": "v", "linestyle": "none", "markersize": 7, "clip_on": False}
        panel.plot(found, np.full(len(found), 0.97), transform=panel.get_xaxis_transform(), label="matches", **style)
    place = {"loc": "lower right", "bbox_to_anchor": (1.0, 1.0), "ncols": 3, "frameon": False, "borderpad": 0}
    panel.legend(fontsize="small", **place)
    middle = float(np.median(known))
    alt = f"Histogram of {count(len(known), 'score')} of {result.source}, from {known.min():.3f} to {known.max():.3f}"
    return Picture(png(figure), f"{alt}, median {middle:.3f}.", f"{result.source}: how the scores are spread.")


def png(figure: Figure) -> bytes:
    """A figure as the bytes of a file, in few colors: it is drawn in few."""
    from PIL import Image

    file, small = BytesIO(), BytesIO()
    figure.savefig(file, format="png", dpi=_DPI)
    Image.open(file).convert("RGB").quantize(256).save(small, "PNG", optimize=True)
    return small.getvalue()


def measured_picture(sample: Variable, recipe: Recipe) -> Picture:
    """Draw a prepared sample as it was measured; SimilarityError if no picture can be made of it."""
    width = half_width(sample, recipe) if isinstance(recipe, DistributionRecipe) else None
    made = measured(sample, recipe, width)
    if isinstance(recipe, FrameRecipe):
        return Picture(_png(_stretched(_reduced(made[0].values[::-1])), "gray"), "the frame as measured", made[0].label)
    squares = [_square(one.values)[::-1] for one in made]  # rows ascend upward
    shown = [np.log10(np.where(values > 0, values, np.nan)) for values in squares]
    picture = _png(_stretched(np.concatenate(shown, axis=1)), "viridis")
    if isinstance(recipe, DistributionRecipe):
        planes, frame = ", ".join(recipe.planes), re.split("[,;]", made[0].frame)[0]
        alt = f"cuts through the distribution as measured, planes {planes}, {width:g} km/s to each side, {frame}"
        return Picture(picture, alt, f"measured: {planes}; ±{width:g} km/s, {frame}")
    axes = f"{made[0].x_label} to the right, {made[0].y_label} upward"
    return Picture(picture, f"the spectrogram as measured, {axes}", f"measured: {axes}")


def encoded_picture(image: np.ndarray, recipe: Recipe) -> Picture:
    """Draw an image for the encoder, (channels, pixels, pixels), channels side by side."""
    if isinstance(recipe, FrameRecipe):
        return Picture(_png(_scaled(_reduced(image[0]), -2, 3), "gray"), "the image for the encoder", "as encoded")
    names = ""
    if isinstance(recipe, DistributionRecipe):
        names = ", ".join([*recipe.planes, *(["agyrotropy"] if recipe.agyrotropy else [])])
        # Agyrotropy has both signs: none is in the middle of the colors.
        image = np.concatenate([image[: len(recipe.planes)], image[len(recipe.planes) :] + 0.5])
    joined = np.concatenate(list(image[:, ::-1]), axis=1)  # rows ascend upward
    alt = "the image for the encoder" + (f", planes {names}" if names else "")
    return Picture(_png(_scaled(joined, 0, 1), "viridis"), alt, f"as encoded: {names}" if names else "as encoded")


def pictures_of(sample: Variable, image: np.ndarray | None, recipe: Recipe) -> tuple[tuple[Picture, ...], str]:
    """Both pictures of a sample, or as many as can be made, and why one cannot."""
    made, missing = [], []
    makers: list[Callable[[], Picture]] = [lambda: measured_picture(sample, recipe)]
    if image is not None:
        makers.append(lambda: encoded_picture(image, recipe))
    for make in makers:
        try:
            made.append(make())
        except SimilarityError as error:
            missing.append(str(error))
    return tuple(made), "; ".join(missing)


def _square(values: np.ndarray) -> np.ndarray:
    """Values repeated or left out to as many rows as columns: bins of any number in a picture of one size."""
    side = max(_SIDE, *values.shape)
    rows, columns = (np.arange(side) * length // side for length in values.shape)
    return values[np.ix_(rows, columns)]


def _stretched(values: np.ndarray) -> np.ndarray:
    """From 0 to 1, but for the darkest and brightest hundredth."""
    return _scaled(values, *color_limits(values, 1, 99.5))


def _scaled(values: np.ndarray, low: float, high: float) -> np.ndarray:
    return np.clip((values - low) / (high - low), 0, 1)


def _reduced(frame: np.ndarray) -> np.ndarray:
    """Means over blocks, so that no side is longer than the page has room for."""
    step = max(1, -(-max(frame.shape) // _LARGEST))
    rows, columns = (side // step * step for side in frame.shape)
    blocks = frame[:rows, :columns].reshape(rows // step, step, columns // step, step)
    return blocks.mean(axis=(1, 3))


def _png(values: np.ndarray, colors: str) -> bytes:
    """Values from 0 to 1 in a palette of 255 colors; NaN is gray. Lossless, a few kilobytes."""
    from matplotlib import colormaps
    from PIL import Image

    known = np.isfinite(values)
    levels = np.full(values.shape, _UNKNOWN, np.uint8)
    levels[known] = np.rint(values[known] * (_UNKNOWN - 1))
    palette = (colormaps[colors](np.linspace(0, 1, _UNKNOWN))[:, :3] * 255).round().astype(np.uint8)
    picture = Image.fromarray(levels)
    picture.putpalette([*palette.ravel().tolist(), 190, 190, 190])
    file = BytesIO()
    picture.save(file, "PNG", optimize=True)
    return file.getvalue()


def plot_contact_sheet(cards: Sequence[Card], path: str | Path | None = None, title: str = "") -> Figure:
    """Draw cards side by side, each with its first picture, title, score and time; queries have no row."""
    from matplotlib.figure import Figure

    rows = -(-len(cards) // _COLUMNS)
    figure = Figure(figsize=(1.9 * _COLUMNS, 2.4 * rows + 0.4), layout="constrained")
    panels = figure.subplots(rows, _COLUMNS, squeeze=False).ravel()
    for panel in panels[len(cards) :]:
        panel.axis("off")
    for panel, card in zip(panels, cards, strict=False):
        _draw(panel, card)
    figure.suptitle(title, fontsize="medium")
    if path is not None:
        figure.savefig(path, dpi=110)
    return figure


def _draw(panel: Axes, card: Card) -> None:
    import matplotlib.image

    panel.set(xticks=[], yticks=[])
    # Names may hold what matplotlib takes for mathematics.
    text = f"{card.title}  {card.score}\n{card.when}".replace("$", r"\$")
    panel.set_title(text, fontsize="small")
    for spine in panel.spines.values():
        spine.set(color=QUERY_COLOR if card.row is None else MATCH_COLOR, linewidth=2)
    if card.pictures:
        panel.imshow(matplotlib.image.imread(BytesIO(card.pictures[0].png), format="png"))
    else:
        panel.text(0.5, 0.5, "no picture", ha="center", transform=panel.transAxes)
