"""Matrices that filter or resize a column of pixels; ``m @ images @ m.T`` applies them to whole images."""

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


@cache
def averaging(pixels: int, side: int) -> np.ndarray:
    """Return the matrix (side, pixels) that averages a column over equal blocks, with fractional pixels."""
    edges = np.arange(side + 1) * pixels / side
    left = np.maximum(edges[:-1, None], np.arange(pixels))
    right = np.minimum(edges[1:, None], np.arange(1, pixels + 1))
    return np.clip(right - left, 0, None) * side / pixels


@cache
def resizing(pixels: int, side: int) -> np.ndarray:
    """Return the matrix (side, pixels) that averages blocks to shorten a column, else interpolates linearly.

    Interpolation is between pixel centers, with constant values beyond the outermost centers.
    """
    if side <= pixels:
        return averaging(pixels, side)
    places = np.clip((np.arange(side) + 0.5) * pixels / side - 0.5, 0, pixels - 1)
    return np.clip(1 - np.abs(places[:, None] - np.arange(pixels)), 0, None)
