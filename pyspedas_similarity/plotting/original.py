"""One sample as it was measured, in physical units: a cut through velocity space, a frame, a spectrogram."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..errors import SimilarityError, VariableError
from ..imaging import distributions as slices
from ..imaging.plasma import moments
from ..imaging.recipes import DistributionRecipe, FrameRecipe, Recipe, SpectrumRecipe, WindowRecipe
from ..instruments import frames, sample_images
from ..tplot import Variable
from .labels import bins_label, brightness_unit, flux_unit

ENCODED, AGYROTROPY = "image for the encoder", "agyrotropy for the encoder"
"""Units of what was measured no more; agyrotropy has both signs."""

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
    """A picture of one sample with its axes.

    Attributes
    ----------
    values : numpy.ndarray, shape (rows, columns)
        NaN where nothing was measured. The first row is at the bottom. Or colors, (rows, columns, 3 or 4).
    x, y : numpy.ndarray, shape (columns,), (rows,)
        Middle of each column and row.
    x_label, y_label : str
        With units; empty where the axes have none.
    label : str
        What the picture shows, such as the plane.
    unit : str
        Of the values, for a color bar: what came from metadata is escaped.
    logarithmic, y_logarithmic, x_logarithmic : bool
    gray : bool
        Whether it is a photograph.
    frame : str
        Of a cut: where it lies, in which axes.
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


def measured(sample: Variable, recipe: Recipe, speed: float | None = None) -> tuple[Original, ...]:
    """Pictures of one sample as measured, before anything a recipe does for an encoder.

    Parameters
    ----------
    sample : Variable
        One sample, of distributions with field and velocity where the recipe needs them.
    recipe : Recipe
        Says what kind of measurement it is, and which planes are cut.
    speed : float, optional
        Half width of a cut in km/s; default `half_width`.

    Returns
    -------
    tuple of Original
        One for each plane; else one.

    Raises
    ------
    SimilarityError
        If no picture can be made of it.
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
    speed = slices.half_width(sample_images.measured(sample, recipe), recipe)
    if not np.isfinite(speed):
        raise VariableError(sample.name, f"no temperature at {sample.times[0]}", "Give a sample with counts.")
    return speed


def _cuts(sample: Variable, recipe: DistributionRecipe, speed: float) -> tuple[Original, ...]:
    """Phase space density where the encoded image is: its planes, as thick, through the same velocity; not smoothed."""
    cut = slices.physical_recipe(recipe, speed, slices.PIXELS)
    cut = replace(cut, least_counts=0.0, energy_min_ev=0.0, bad_flags=0)
    density = sample_images.slices_of(_with_velocity(sample, recipe), cut).density[0].astype(np.float64)
    if not np.isfinite(density).any():
        raise VariableError(sample.name, f"nothing was measured at {sample.times[0]}", "See it with tplot.")
    density = np.where(density > 0, density, np.nan)
    middles = slices.middles(cut)
    frame = frame_text(sample, recipe, slices.thickness(cut) / 2)
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
