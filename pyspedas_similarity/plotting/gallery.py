"""Samples as they were measured, in physical units, and as encoded: the query next to its matches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ..errors import ArgumentError, SimilarityError, VariableError
from ..imaging import distributions
from ..imaging.plasma import moments
from ..imaging.recipes import DistributionRecipe, FrameRecipe, Recipe, SpectrumRecipe, WindowRecipe
from ..instruments import frames, sample_images
from ..tplot import Variable
from .style import Style, bins_label, brightness_unit, color_limits, flux_unit, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure

FAINT_COLOR = "0.6"
FAINT_NOTE = "; gray: does not stand out of the background"
_PER_LINE, _GAMMA = 8, 0.4
# Units of pictures that are no measured quantity; agyrotropy has both signs.
ENCODED, AGYROTROPY = "image for the encoder", "agyrotropy for the encoder"
PITCH_ANGLE = "pitch angle (deg)"
_DIRECTIONS = {"pitch_angle": PITCH_ANGLE, "look": "look"}
_AXES = {
    "x": "$v_x$",
    "y": "$v_y$",
    "z": "$v_z$",
    "par": r"$v_\parallel$",
    # The sign of \perp is not in matplotlib's own font.
    "perp1": r"$v_{\bot 1}$",
    "perp2": r"$v_{\bot 2}$",
}


@dataclass(frozen=True, eq=False)
class Original:
    """A picture of one sample: values (rows, columns), the first row at the bottom, or colors (rows, columns, 3 or 4).

    `x` and `y` are middles of columns and rows, with units in their labels if they have any; `label` says what it
    shows, such as the plane; `unit`, for a color bar, is escaped; `gray` is True for a photograph; `frame` says where a
    cut lies.
    """

    values: np.ndarray
    x: np.ndarray
    y: np.ndarray
    x_label: str = ""
    y_label: str = ""
    label: str = ""
    unit: str = ""
    logarithmic: bool = False
    y_logarithmic: bool = False
    gray: bool = False
    x_logarithmic: bool = False
    frame: str = ""


@dataclass(frozen=True, eq=False)
class Shown:
    """One sample of a gallery: lines above its pictures, pictures from top to bottom, or why there is none.

    `faint` is True for a match that does not stand out of the background.
    """

    heading: tuple[str, ...]
    pictures: tuple[Original, ...]
    is_query: bool = False
    missing: str = ""
    faint: bool = False


def gallery_figure(shown: Sequence[Shown], style: Style | None = None, title: str = "", note: str = "") -> Figure:
    """Draw samples side by side, eight in a line, all on the same scale of colors.

    `note`, below, may hold formulas. ArgumentError if there is nothing to show.
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
        panel.set(xticks=[], yticks=[])
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
    panel.set_xlabel(one.x_label, fontsize="xx-small", labelpad=1)
    if first:
        panel.set_ylabel(one.y_label, fontsize="xx-small", labelpad=1)


def _empty(panel: Axes, why: str) -> None:
    import textwrap

    panel.set(xticks=[], yticks=[])
    panel.set_facecolor("0.95")
    text = "\n".join(plain(line) for line in textwrap.wrap(why, 22)[:8])
    panel.text(0.5, 0.5, text, ha="center", va="center", transform=panel.transAxes, fontsize=5, color="0.3")


def _bars(
    figure: Figure, panels: np.ndarray, shown: Sequence[Shown], rows: int, looks: tuple[dict[str, Normalize], Style]
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


def measured(sample: Variable, recipe: Recipe, speed: float | None = None) -> tuple[Original, ...]:
    """Return pictures of one sample as measured, before anything a recipe does for an encoder: of each plane, or one.

    `speed` is the half width of a cut in km/s, by default `half_width`. SimilarityError if no picture can be made of
    it.
    """
    if isinstance(recipe, DistributionRecipe):
        return _cuts(sample, recipe, half_width(sample, recipe) if speed is None else speed)
    if isinstance(recipe, FrameRecipe):
        frame = frames.north_up(sample)[0][0].astype(np.float64)[::-1]
        places = (np.arange(side, dtype=float) for side in frame.shape[::-1])
        label = "measured, north up" if "first_row" in sample.attributes.get("data_att", {}) else "measured"
        return (Original(frame, *places, label=label, unit=brightness_unit(sample), gray=True),)
    return (_spectrogram(sample, recipe),)


def encoded(sample: Variable, recipe: Recipe) -> tuple[Original, ...]:
    """The channels of the image that the encoder is given of one sample."""
    return encoded_image(next(sample_images.images(sample, recipe))[0], recipe)


def encoded_image(image: np.ndarray, recipe: Recipe) -> tuple[Original, ...]:
    """The channels of one image, (channels, pixels, pixels), as pictures."""
    names = ["as encoded"] * len(image)
    if isinstance(recipe, DistributionRecipe):
        channels = [*recipe.planes, *(["agyrotropy"] if recipe.agyrotropy else [])]
        names = [f"{channel}, as encoded" for channel in channels]
    is_frame = isinstance(recipe, FrameRecipe)
    places = [np.arange(side, dtype=float) for side in image.shape[:0:-1]]
    planes = image[:, ::-1] if is_frame else image
    pairs = [(name, AGYROTROPY if name.startswith("agyrotropy") else ENCODED) for name in names]
    return tuple(
        Original(plane, *places, label=name, unit=unit, gray=is_frame)
        for plane, (name, unit) in zip(planes, pairs, strict=True)
    )


def kept_picture(png: bytes) -> Original:
    """A small picture that an archive kept, in its own colors: (rows, columns, 4) from 0 to 1."""
    from io import BytesIO

    from matplotlib.image import imread

    pixels = np.asarray(imread(BytesIO(png), format="png"), float)[::-1]
    places = (np.arange(side, dtype=float) for side in pixels.shape[1::-1])
    return Original(pixels, *places, label="kept in the archive")


def half_width(sample: Variable, recipe: DistributionRecipe) -> float:
    """Return the half width of a cut, km/s: that of the recipe, to two digits where it is in thermal speeds."""
    speed = distributions.half_width(sample_images.measured(sample, recipe), recipe)
    if not np.isfinite(speed):
        raise VariableError(sample.name, f"no temperature at {sample.times[0]}", "Give a sample with counts.")
    return speed


def _cuts(sample: Variable, recipe: DistributionRecipe, speed: float) -> tuple[Original, ...]:
    """Phase space density where the encoded image is: its planes, as thick, through the same velocity; not smoothed."""
    cut = distributions.physical_recipe(recipe, speed, distributions.SLICE_PIXELS)
    cut = replace(cut, least_counts=0.0, energy_min_ev=0.0, bad_flags=0)
    density = sample_images.slices_of(_with_velocity(sample, recipe), cut).density[0].astype(np.float64)
    if not np.isfinite(density).any():
        raise VariableError(sample.name, f"nothing was measured at {sample.times[0]}", "See it with tplot.")
    density = np.where(density > 0, density, np.nan)
    middles = distributions.middles(cut)
    frame = frame_text(sample, recipe, distributions.thickness(cut) / 2)
    found = []
    for plane, values in zip(cut.planes, density, strict=True):
        across, up = plane.split("-") if "-" in plane else plane
        labels = (f"{_AXES[across]} (km/s)", f"{_AXES[up]} (km/s)", f"{plane} plane")
        found.append(Original(values, middles, middles, *labels, "f (s$^3$ cm$^{-6}$)", True, frame=frame))
    return tuple(found)


def _with_velocity(sample: Variable, recipe: DistributionRecipe) -> Variable:
    """Return the sample with the bulk velocity that its image is made with, where none was measured."""
    if "velocity" in sample.coordinates or not (recipe.field_aligned or recipe.subtract_velocity):
        return sample
    velocity = moments(sample_images.measured(sample, recipe), recipe.energy_min_ev).velocity
    return replace(sample, coordinates={**sample.coordinates, "velocity": velocity})


def frame_text(sample: Variable, recipe: DistributionRecipe, half_thickness: float = 0.0) -> str:
    """Return where the planes of a recipe lie, in words: frame of reference, axes, thickness in km/s."""
    where = "plasma frame, bulk velocity at 0" if recipe.subtract_velocity else "spacecraft frame"
    axes = str(sample.attributes.get("data_att", {}).get("coord_sys") or "").upper()
    turned = f"{axes} axes" if axes else "axes of the measurement"
    if recipe.field_aligned:
        turned = r"axes by B and V: $\parallel$ along B, $\bot 1$ along V across B, $\bot 2$ along B x V"
    two_digits = float(f"{half_thickness:.2g}")
    thick = f"; mean over {two_digits:.0f} km/s on each side of the plane" if half_thickness else ""
    return f"{where}; {turned}{thick}"


def _spectrogram(sample: Variable, recipe: Recipe) -> Original:
    """A window with time to the right, or a spectrum with energy to the right, as images for the encoder have them."""
    values = np.asarray(sample.values[0], np.float64)
    unit = flux_unit(sample)
    if isinstance(recipe, WindowRecipe):
        seconds = (sample.coordinates["v1"][0] - sample.times[0]) / np.timedelta64(1, "s")
        table = np.asarray(sample.coordinates["v2"], float)
        bins = table.reshape(-1, table.shape[-1])[0]
        label = bins_label(sample, "v", "energy" if recipe.axis_scale == "log" else "velocity")
        labels = ("time from the middle (s)", label, "measured")
        return Original(values.T, seconds, bins, *labels, unit, logarithmic=True, y_logarithmic=_is_wide(bins))
    if not isinstance(recipe, SpectrumRecipe) or values.ndim != 2:
        found = f"found the shape {sample.values.shape}"
        raise VariableError(sample.name, found, "Give distributions, frames or spectrograms.")
    places = [_row(sample.coordinates.get(key), side) for key, side in zip(("v1", "v2"), values.shape, strict=True)]
    if recipe.energy_axis == 1:
        values, places = values.T, places[::-1]
    direction, energy = places
    if recipe.direction == "look":
        direction = np.arange(len(direction), dtype=float)
    labels = (bins_label(sample, f"v{recipe.energy_axis}"), _DIRECTIONS[recipe.direction], "measured")
    return Original(values, energy, direction, *labels, unit, logarithmic=True, x_logarithmic=_is_wide(energy))


def _row(table: np.ndarray | None, length: int) -> np.ndarray:
    """The places of bins out of a table that may change with time; without one, their numbers."""
    if table is None:
        return np.arange(length, dtype=float)
    return np.asarray(table, float).reshape(-1, length)[0]


def _is_wide(bins: np.ndarray) -> bool:
    """Return True if bins call for a logarithmic axis."""
    return bool(np.isfinite(bins).all() and (bins > 0).all() and bins.max() > 20 * bins.min())


def as_measured_or_encoded(
    sample: Variable, recipe: Recipe, speed: float | None = None
) -> tuple[tuple[Original, ...], str]:
    """Return pictures as measured, or where that fails of the encoder's image; and the reason why it failed."""
    try:
        return measured(sample, recipe, speed), ""
    except SimilarityError as error:
        reason = str(error)
    try:
        return encoded(sample, recipe), reason
    except SimilarityError:
        return (), reason
