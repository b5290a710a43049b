"""Mean curves of images: averages over time, direction or rings, and power by wave number."""

from __future__ import annotations

from functools import cache

import numpy as np

from .filters import FLOOR


def spectrum_features(filled: np.ndarray, measured: np.ndarray, kind: str) -> np.ndarray:
    """Compute mean curves over measured pixels, less their mean: (n, channels * bins).

    'window': mean over time (columns). 'spectrum': mean over pitch angle or look direction (rows). Both are functions
    of energy. 'distribution': mean over rings, one pixel wide, around zero velocity. 'frame': logarithm of the power in
    rings of wave number, one cycle per image wide. Bins without measurements are set to the mean.
    """
    # Small batches fit into the CPU cache.
    blocks = (slice(first, first + 8) for first in range(0, len(filled), 8))
    return np.concatenate([_spectrum(filled[block], measured[block], kind) for block in blocks])


def _spectrum(filled: np.ndarray, measured: np.ndarray, kind: str) -> np.ndarray:
    values, weights = filled.astype(np.float64), measured.astype(np.float64)
    if kind == "frame":
        values, weights = _power(values, weights), np.ones_like(weights)
    if kind in ("window", "spectrum"):
        axis = 3 if kind == "window" else 2
        total, share = (each.sum(axis=axis) for each in (values * weights, weights))
    else:
        order, starts = _rings(values.shape[-1], kind)
        flat = (each.reshape(*values.shape[:2], -1)[..., order] for each in (values * weights, weights))
        total, share = (np.add.reduceat(each, starts, axis=2)[..., :-1] for each in flat)
    profile = np.where(share > 0, total / np.where(share > 0, share, 1), np.nan)
    if kind == "frame":
        # The floor is relative to the strongest ring, so that contrast only shifts the curve.
        profile = np.log(profile + FLOOR * profile.max(axis=2, keepdims=True) + np.finfo(np.float64).tiny)
    profile = profile.reshape(len(profile), -1)
    known = np.isfinite(profile)
    level = np.where(known, profile, 0).sum(axis=1, keepdims=True) / np.maximum(known.sum(axis=1, keepdims=True), 1)
    return np.where(known, profile - level, 0)


def _power(images: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Compute the power spectrum of images less their mean over measured pixels, with a Hann window."""
    count = np.maximum(weights.sum(axis=(2, 3), keepdims=True), 1)
    images = (images - (images * weights).sum(axis=(2, 3), keepdims=True) / count) * weights
    taper = np.hanning(images.shape[-1] + 2)[1:-1]
    return np.abs(np.fft.fft2(images * taper * taper[:, None])) ** 2


@cache
def _rings(pixels: int, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Return pixel numbers sorted by ring, and the start of each ring; the last ring holds the pixels beyond the edge.

    Rings of frames are wave numbers from 1 to `pixels` / 2; wave number 0 is assigned to the last ring.
    """
    if kind == "frame":
        along = np.fft.fftfreq(pixels, 1 / pixels)
        number = np.rint(np.hypot(along, along[:, None])).astype(int) - 1
    else:
        along = np.arange(pixels) - (pixels - 1) / 2
        number = np.floor(np.hypot(along, along[:, None])).astype(int)
    beyond = max(pixels // 2, 1)
    number = np.where((number < 0) | (number >= beyond), beyond, number).ravel()
    order = np.argsort(number, kind="stable")
    return order, np.searchsorted(number[order], np.arange(beyond + 1))
