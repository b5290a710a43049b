"""Matrices for resizing a column of pixels; ``m @ images @ m.T`` resizes whole images."""

from __future__ import annotations

from functools import cache

import numpy as np


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
