"""Gaussian filters of images, and means over what was measured."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np

from .runtime import Transform

REFERENCE_PIXELS = 128
"""Scales are given in pixels of an image of this side; at other sizes they grow with the image."""

FLOOR = 1e-6
"""Added to energies and variances under a logarithm, so that an empty scale has a finite value."""

AMPLITUDE_FLOOR = 1e-4
"""Added to mean gradients under a logarithm, so that an empty scale has a finite value."""


def each_channel(transform: Transform, filled: np.ndarray, measured: np.ndarray) -> np.ndarray:
    """A transform of single-channel images and weights, both (m, pixels, pixels) float32, side by side: (n, length)."""
    n, _, pixels, _ = filled.shape
    images = filled.reshape(-1, pixels, pixels).astype(np.float32, copy=False)
    weights = measured.reshape(images.shape).astype(np.float32)
    # A few at a time stay in the processor's cache.
    parts = [transform(images[first : first + 8], weights[first : first + 8]) for first in range(0, len(images), 8)]
    return np.concatenate(parts).reshape(n, -1)


def weighted_mean(weights: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """The function that gives means of maps (m, pixels, pixels) by weights of that shape: (m,) float64."""
    shares = weights / np.maximum(weights.sum(axis=(1, 2), keepdims=True), 1)
    shares = shares.reshape(len(weights), 1, -1)

    def mean(values: np.ndarray) -> np.ndarray:
        # One dot product an image: the same to the last bit whatever other images are in the batch.
        columns = values.reshape(len(values), -1, 1)
        return np.matmul(shares, columns)[:, 0, 0].astype(np.float64)

    return mean


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
