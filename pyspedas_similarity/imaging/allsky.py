"""Camera frames to images. Rows and columns stay as they are in the frame; orientation comes with the loader."""

from __future__ import annotations

import numpy as np

from ..errors import VariableError
from .recipe import FrameRecipe

_SMALLEST_FRAME = 16
# Frames worked on at once: bounds the memory of the intermediate images to some tens of MB.
_BLOCK = 64


def frame_images(frames: np.ndarray, recipe: FrameRecipe) -> np.ndarray:
    """Mask, stretch and locally normalise camera frames.

    Parameters
    ----------
    frames : numpy.ndarray, shape (n, rows, columns)
        Counts or any measure of brightness.
    recipe : FrameRecipe

    Returns
    -------
    numpy.ndarray of float32, shape (n, 1, pixels, pixels)
        NaN outside the mask; all NaN for a frame that is constant or holds a pixel that is not finite inside it.

    Raises
    ------
    VariableError
        If these are no frames, or too small.
    """
    if frames.ndim != 3 or min(frames.shape[1:]) < _SMALLEST_FRAME:
        remedy = f"Give (time, row, column) with at least {_SMALLEST_FRAME} rows and columns."
        raise VariableError("frames", f"found the shape {frames.shape}", remedy)
    rows, columns = (_area_weights(size, recipe.pixels) for size in frames.shape[1:])
    mask = circular_mask(recipe)
    images = np.empty((len(frames), *recipe.shape), np.float32)
    for start in range(0, len(frames), _BLOCK):
        block = rows @ frames[start : start + _BLOCK].astype(np.float32) @ columns.T
        images[start : start + _BLOCK, 0] = _normalise(block, mask, recipe)
    return images


def circular_mask(recipe: FrameRecipe) -> np.ndarray:
    """Pixels inside the recipe's circle: bool, shape (pixels, pixels)."""
    axis = np.arange(recipe.pixels) - (recipe.pixels - 1) / 2
    return np.hypot(axis[:, None], axis) <= recipe.mask_radius * recipe.pixels / 2


def _normalise(block: np.ndarray, mask: np.ndarray, recipe: FrameRecipe) -> np.ndarray:
    inside = block[:, mask]
    usable = np.isfinite(inside).all(axis=1)
    low, high = np.percentile(np.where(usable[:, None], inside, 0), recipe.stretch, axis=1)
    usable &= high > low
    scale = np.where(usable, high - low, 1)
    stretched = np.where(usable[:, None, None], (block - low[:, None, None]) / scale[:, None, None], 0)
    stretched = np.where(mask, np.clip(stretched, 0, 1), 0).astype(np.float32)
    if recipe.contrast_pixels > 0:
        stretched = _local_contrast(stretched, mask, recipe)
    return np.where(mask & usable[:, None, None], stretched, np.nan)


def _local_contrast(images: np.ndarray, mask: np.ndarray, recipe: FrameRecipe) -> np.ndarray:
    """Take off the neighbourhood's mean and divide by its standard deviation, both over the masked sky only."""
    from scipy.ndimage import gaussian_filter

    sigma = (0, recipe.contrast_pixels, recipe.contrast_pixels)
    weight = np.maximum(gaussian_filter(mask.astype(np.float32), sigma[1:], mode="constant"), 1e-3)
    detail = np.where(mask, images - gaussian_filter(images, sigma, mode="constant") / weight, 0)
    variance = gaussian_filter(detail**2, sigma, mode="constant") / weight
    return detail / (np.sqrt(variance) + recipe.contrast_floor)


def _area_weights(size: int, pixels: int) -> np.ndarray:
    """Matrix (pixels, size) that averages `size` samples over `pixels` equal stretches, fractions included."""
    edges = np.linspace(0, size, pixels + 1)
    left, right = edges[:-1, None], edges[1:, None]
    sample = np.arange(size)
    overlap = np.clip(np.minimum(right, sample + 1) - np.maximum(left, sample), 0, None)
    return (overlap / overlap.sum(axis=1, keepdims=True)).astype(np.float32)
