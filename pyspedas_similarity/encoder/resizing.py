"""Matrices that bring a column of pixels to another length; ``m @ images @ m.T`` does it to whole images."""

from __future__ import annotations

from functools import cache

import numpy as np


@cache
def averaging(pixels: int, side: int) -> np.ndarray:
    """The matrix (side, pixels) that averages a column over equal blocks, parts of pixels counted by their share."""
    edges = np.arange(side + 1) * pixels / side
    left = np.maximum(edges[:-1, None], np.arange(pixels))
    right = np.minimum(edges[1:, None], np.arange(1, pixels + 1))
    return np.clip(right - left, 0, None) * side / pixels


@cache
def resizing(pixels: int, side: int) -> np.ndarray:
    """The matrix (side, pixels) that averages blocks where it makes a column shorter, else interpolates linearly.

    A pixel's value is at its center; beyond the outermost centers the outermost values go on.
    """
    if side <= pixels:
        return averaging(pixels, side)
    places = np.clip((np.arange(side) + 0.5) * pixels / side - 0.5, 0, pixels - 1)
    return np.clip(1 - np.abs(places[:, None] - np.arange(pixels)), 0, None)
