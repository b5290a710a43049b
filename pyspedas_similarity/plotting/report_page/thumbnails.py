"""Small pictures of one sample: as it was measured, and as the encoder is given it."""

from __future__ import annotations

import re
from collections.abc import Callable
from io import BytesIO

import numpy as np

from ...errors import SimilarityError
from ...imaging.recipes import DistributionRecipe, FrameRecipe, Recipe
from ...tplot import Variable
from ..original import half_width, measured
from ..style import color_limits
from .content import Picture

_LARGEST, _SIDE = 128, 64
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
    width = half_width(sample, recipe) if isinstance(recipe, DistributionRecipe) else None
    made = measured(sample, recipe, width)
    if isinstance(recipe, FrameRecipe):
        return Picture(_png(_stretched(_reduced(made[0].values[::-1])), "gray"), "the frame as measured", made[0].label)
    shown = [_logarithm(_square(one.values)[::-1]) for one in made]  # rows ascend upward
    picture = _png(_stretched(np.concatenate(shown, axis=1)), "viridis")
    if isinstance(recipe, DistributionRecipe):
        planes, frame = ", ".join(recipe.planes), re.split("[,;]", made[0].frame)[0]
        alt = f"cuts through the distribution as measured, planes {planes}, {width:g} km/s to each side, {frame}"
        return Picture(picture, alt, f"measured: {planes}; ±{width:g} km/s, {frame}")
    axes = f"{made[0].x_label} to the right, {made[0].y_label} upward"
    return Picture(picture, f"the spectrogram as measured, {axes}", f"measured: {axes}")


def encoded_picture(image: np.ndarray, recipe: Recipe) -> Picture:
    """Return a picture of an image for the encoder, channels side by side.

    Parameters
    ----------
    image : numpy.ndarray, shape (channels, pixels, pixels)
    recipe : Recipe
    """
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


def _logarithm(values: np.ndarray) -> np.ndarray:
    return np.log10(np.where(values > 0, values, np.nan))


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
