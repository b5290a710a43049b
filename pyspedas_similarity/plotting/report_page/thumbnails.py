"""Small pictures of one sample: as it was measured, and as the encoder saw it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from io import BytesIO

import numpy as np

from ...errors import SimilarityError
from ...imaging.recipes import DistributionRecipe, FrameRecipe, Recipe, SpectrumRecipe
from ...instruments import frames
from ...instruments.sample_images import images
from ...tplot import Variable
from .content import Picture

# Half the width of a cut through velocity space, km/s, where the recipe has none: MMS FPI ions and electrons.
_SPEEDS = {"ion": 1000.0, "electron": 15000.0}
# Phase space density, s^3 cm^-6, between which a cut is made; what is drawn of it is stretched to what is there.
_LEAST, _MOST = 1e-33, 1e-12
_LARGEST = 128
_UNKNOWN = 255
"""Of the palette: gray, for what was not measured."""


def measured_picture(sample: Variable, recipe: Recipe) -> Picture:
    """The sample as it was measured, before anything the recipe does for the encoder.

    Parameters
    ----------
    sample : Variable
        One prepared sample.
    recipe : Recipe
        Says what kind of measurement it is.

    Raises
    ------
    SimilarityError
        If no picture can be made of it.
    """
    if isinstance(recipe, DistributionRecipe):
        return _cut(sample, recipe)
    if isinstance(recipe, FrameRecipe):
        frame = frames.north_up(sample)[0][0].astype(np.float64)
        return Picture(_png(_stretched(_reduced(frame)), "gray"), "the frame as measured", "measured")
    values = np.asarray(sample.values[0], np.float64)
    # Time, pitch angle or look by bins of energy; a window has energy upward, as spectrograms have.
    turned = values if isinstance(recipe, SpectrumRecipe) else values.T
    return Picture(_png(_stretched(_logarithm(turned))[::-1], "viridis"), "the spectrogram as measured", "measured")


def encoded_picture(image: np.ndarray, recipe: Recipe) -> Picture:
    """Return a picture of an image for the encoder, channels side by side.

    Parameters
    ----------
    image : numpy.ndarray, shape (channels, pixels, pixels)
    recipe : Recipe
    """
    if isinstance(recipe, FrameRecipe):
        return Picture(_png(_scaled(_reduced(image[0]), -2, 3), "gray"), "the image for the encoder", "as encoded")
    names = [*recipe.planes, *(["agyrotropy"] if recipe.agyrotropy else [])] if _is_distribution(recipe) else []
    beside = np.concatenate(list(image[:, ::-1]), axis=1)  # rows ascend upward
    alt = "the image for the encoder" + (f", planes {', '.join(names)}" if names else "")
    return Picture(_png(_scaled(beside, 0, 1), "viridis"), alt, ", ".join(names) or "as encoded")


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


def _cut(sample: Variable, recipe: DistributionRecipe) -> Picture:
    """Phase space density in a plane of the instrument's axes, in km/s: nothing taken off, nothing smoothed."""
    width = recipe.speed_max if recipe.speed_unit == "km/s" else _SPEEDS[recipe.species]
    changes = {"planes": ("xy",), "agyrotropy": False, "speed_unit": "km/s", "speed_max": width, "depth": 0}
    changes |= {"subtract_velocity": False, "density_unit": "absolute", "floor": _LEAST, "ceiling": _MOST}
    changes |= {"blur": 0.0, "least_counts": 0.0, "energy_min_ev": 0.0, "average": 1, "pixels": 64, "bad_flags": 0}
    plane = next(images(sample, replace(recipe, **changes)))[0, 0]
    alt = f"cut through the distribution as measured, v_x to the right and v_y upward, {width:g} km/s to each side"
    shown = np.where(plane > 0, plane, np.nan)[::-1]
    return Picture(_png(_stretched(shown), "viridis"), alt, f"measured, xy, ±{width:g} km/s")


def _is_distribution(recipe: Recipe) -> bool:
    return isinstance(recipe, DistributionRecipe)


def _logarithm(values: np.ndarray) -> np.ndarray:
    return np.log10(np.where(values > 0, values, np.nan))


def _stretched(values: np.ndarray) -> np.ndarray:
    """From 0 to 1, but for the darkest and brightest hundredth."""
    known = values[np.isfinite(values)]
    low, high = np.percentile(known, (1, 99.5)) if known.size else (0.0, 1.0)
    return _scaled(values, low, high if high > low else low + 1)


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
