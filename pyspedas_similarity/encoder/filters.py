"""Gaussian filters of images."""

from __future__ import annotations

from functools import cache

import numpy as np

REFERENCE_PIXELS = 128
"""Scales are given in pixels of an image of this side; at other sizes they grow with the image."""

FLOOR = 1e-6
"""Added to energies and variances under a logarithm, so that an empty scale has a finite value."""

AMPLITUDE_FLOOR = 1e-4
"""Added to mean gradients under a logarithm, so that an empty scale has a finite value."""


@cache
def filter_matrix(pixels: int, sigma: float, order: int) -> np.ndarray:
    """The matrix (pixels, pixels) that filters a column; slopes are scaled by sigma (Lindeberg 1998, IJCV 30, 79)."""
    from scipy import ndimage

    impulses = np.eye(pixels)
    matrix = ndimage.gaussian_filter1d(impulses, sigma, axis=0, order=order, mode="reflect") * sigma**order
    return matrix.astype(np.float32)


@cache
def _filters(pixels: int, sigma: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Matrices that smooth columns, take their slope, and both transposed; sigma as `REFERENCE_PIXELS`."""
    smooth, slope = (filter_matrix(pixels, sigma * pixels / REFERENCE_PIXELS, order) for order in (0, 1))
    # Products with a transposed copy take half the time of those with a transposed view.
    return smooth, slope, np.ascontiguousarray(smooth.T), np.ascontiguousarray(slope.T)


def blurred(images: np.ndarray, sigma: float) -> np.ndarray:
    """Return smooth images (m, pixels, pixels); sigma as `REFERENCE_PIXELS`."""
    smooth, _, across, _ = _filters(images.shape[-1], sigma)
    return smooth @ images @ across


def gradient(images: np.ndarray, sigma: float) -> tuple[np.ndarray, np.ndarray]:
    """Return slopes along columns and rows, times sigma, of images (m, pixels, pixels); sigma as `REFERENCE_PIXELS`."""
    smooth, slope, smooth_across, slope_across = _filters(images.shape[-1], sigma)
    return smooth @ images @ slope_across, slope @ images @ smooth_across
