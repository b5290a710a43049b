"""One sample as it was measured, in physical units: a cut through velocity space, a frame, a spectrogram."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..errors import SimilarityError, VariableError
from ..imaging.plasma import moments
from ..imaging.recipes import DistributionRecipe, FrameRecipe, Recipe, SpectrumRecipe, WindowRecipe
from ..instruments import frames, sample_images
from ..tplot import Variable
from .style import plain

ENCODED = "image for the encoder"
"""Unit of what was measured no more."""

# Phase space density, s^3 cm^-6, between which a cut is kept on a logarithmic scale.
_LEAST, _MOST = 1e-36, 1e-9
_PIXELS = 64
_MASS_EV_S2_KM2 = {"ion": 938272088.2 / 299792.458**2, "electron": 510998.95 / 299792.458**2}
_THERMAL_SPEEDS = 4.0
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
    logarithmic, y_logarithmic : bool
    gray : bool
        Whether it is a photograph.
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
        unit = plain(sample.units or "brightness as stored")
        places = (np.arange(side, dtype=float) for side in frame.shape[::-1])
        return (Original(frame, *places, label="measured", unit=unit, gray=True),)
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
    pairs = zip(planes, names, strict=True)
    return tuple(Original(plane, *places, label=name, unit=ENCODED, gray=is_frame) for plane, name in pairs)


def kept_picture(png: bytes) -> Original:
    """A small picture that an archive kept, in its own colors: (rows, columns, 4) from 0 to 1."""
    from io import BytesIO

    from matplotlib.image import imread

    pixels = np.asarray(imread(BytesIO(png), format="png"), float)[::-1]
    places = (np.arange(side, dtype=float) for side in pixels.shape[1::-1])
    return Original(pixels, *places, label="kept in the archive")


def half_width(sample: Variable, recipe: DistributionRecipe) -> float:
    """Return the half width of a cut, km/s: that of the recipe, or four thermal speeds, to two digits."""
    if recipe.speed_unit == "km/s":
        return recipe.speed_max
    temperature = float(moments(sample_images.measured(sample, recipe), recipe.energy_min_ev).temperature[0])
    if not np.isfinite(temperature) or temperature <= 0:
        raise VariableError(sample.name, f"no temperature at {sample.times[0]}", "Give a sample with counts.")
    speed = _THERMAL_SPEEDS * np.sqrt(2 * temperature / _MASS_EV_S2_KM2[recipe.species])
    digits = 10.0 ** (np.floor(np.log10(speed)) - 1)
    return float(np.ceil(speed / digits) * digits)


def _cuts(sample: Variable, recipe: DistributionRecipe, speed: float) -> tuple[Original, ...]:
    """Phase space density at the nearest instrument bin: nothing taken off, nothing smoothed."""
    changes = {"agyrotropy": False, "speed_unit": "km/s", "speed_max": speed, "depth": 0, "pixels": _PIXELS}
    changes |= {"subtract_velocity": False, "density_unit": "absolute", "floor": _LEAST, "ceiling": _MOST}
    changes |= {"blur": 0.0, "least_counts": 0.0, "energy_min_ev": 0.0, "average": 1, "bad_flags": 0}
    cut = replace(recipe, **changes)
    image = next(sample_images.images(sample, cut))[0].astype(np.float64)
    if not np.isfinite(image).any():
        raise VariableError(sample.name, f"nothing was measured at {sample.times[0]}", "See it with tplot.")
    density = np.where(image > 0, _LEAST * (_MOST / _LEAST) ** image, np.nan)
    middles = (np.arange(_PIXELS) + 0.5) / _PIXELS * 2 * speed - speed
    found = []
    for plane, values in zip(cut.planes, density, strict=True):
        across, up = plane.split("-") if "-" in plane else plane
        labels = (f"{_AXES[across]} (km/s)", f"{_AXES[up]} (km/s)", f"{plane} plane")
        found.append(Original(values, middles, middles, *labels, "f (s$^3$ cm$^{-6}$)", logarithmic=True))
    return tuple(found)


def _spectrogram(sample: Variable, recipe: Recipe) -> Original:
    values = np.asarray(sample.values[0], np.float64)
    unit = plain(sample.units or "as stored")
    if isinstance(recipe, WindowRecipe):
        seconds = (sample.coordinates["v1"][0] - sample.times[0]) / np.timedelta64(1, "s")
        table = np.asarray(sample.coordinates["v2"], float)
        bins = table.reshape(-1, table.shape[-1])[0]
        labels = ("time from the middle (s)", "energy or speed, as stored")
        return Original(values.T, seconds, bins, *labels, "measured", unit, True, _is_wide(bins))
    if not isinstance(recipe, SpectrumRecipe) or values.ndim != 2:
        found = f"found the shape {sample.values.shape}"
        raise VariableError(sample.name, found, "Give distributions, frames or spectrograms.")
    places = [_row(sample.coordinates.get(key), side) for key, side in zip(("v1", "v2"), values.shape, strict=True)]
    if recipe.energy_axis == 1:
        values, places = values.T, places[::-1]
    across = "pitch angle (deg)" if recipe.direction == "pitch_angle" else "look"
    if recipe.direction == "look":
        places[0] = np.arange(len(places[0]), dtype=float)
    logarithmic = _is_wide(places[1])
    return Original(values.T, *places, across, "energy, as stored", "measured", unit, True, logarithmic)


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
    """Pictures as measured; where that fails those of the encoder's image; and what failed, in words."""
    try:
        return measured(sample, recipe, speed), ""
    except SimilarityError as error:
        told = str(error)
    try:
        return encoded(sample, recipe), told
    except SimilarityError:
        return (), told
