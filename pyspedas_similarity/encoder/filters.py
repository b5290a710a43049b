"""Gaussian filters of images."""

from __future__ import annotations

from functools import cache

import numpy as np

REFERENCE_PIXELS = 128
"""Image side that filter scales refer to, in pixels; scales are proportional to the side of an image."""

FLOOR = 1e-6
"""Added to energies and variances under a logarithm, so that an empty scale has a finite value."""

AMPLITUDE_FLOOR = 1e-4
"""Added to mean gradients under a logarithm, so that an empty scale has a finite value."""


@cache
def filter_matrix(pixels: int, sigma: float, order: int) -> np.ndarray:
    """Return the matrix (pixels, pixels) of a Gaussian filter of a column.

    Derivatives are multiplied by sigma (Lindeberg 1998, IJCV 30, 79).
    """
    from scipy import ndimage

    impulses = np.eye(pixels)
    matrix = ndimage.gaussian_filter1d(impulses, sigma, axis=0, order=order, mode="reflect") * sigma**order
    return matrix.astype(np.float32)


@cache
def _filters(pixels: int, sigma: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return the matrices for smoothing and for the derivative, and both transposed; sigma as `REFERENCE_PIXELS`."""
    smooth, slope = (filter_matrix(pixels, sigma * pixels / REFERENCE_PIXELS, order) for order in (0, 1))
    # Products with a contiguous copy are twice as fast as with a transposed view.
    return smooth, slope, np.ascontiguousarray(smooth.T), np.ascontiguousarray(slope.T)


def blurred(images: np.ndarray, sigma: float) -> np.ndarray:
    """Apply a Gaussian filter to images (m, pixels, pixels); sigma as `REFERENCE_PIXELS`."""
    smooth, _, across, _ = _filters(images.shape[-1], sigma)
    return smooth @ images @ across


def gradient(images: np.ndarray, sigma: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the gradient along columns and rows of images (m, pixels, pixels), times sigma; see `blurred`."""
    smooth, slope, smooth_across, slope_across = _filters(images.shape[-1], sigma)
    return smooth @ images @ slope_across, slope @ images @ smooth_across
