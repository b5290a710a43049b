"""Modulation of the strength of structure: fine texture that fills the image, or occurs in bands and patches.

The second order of wavelet scattering (Bruna & Mallat 2013, IEEE TPAMI 35, 1872) with gradients in the place of
oriented wavelets: a tenth of the time, and on simulated nights no loss (docs/benchmarks/retrieval).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .filters import AMPLITUDE_FLOOR, each_channel, gradient, weighted_mean
from .fixed import BAND_SIGMAS, SIGMAS

FEATURE_NAMES = tuple(
    name
    for number, sigma in enumerate(SIGMAS)
    for name in (
        f"log mean gradient, sigma {sigma:g}",
        *(
            f"{name} of it, sigma {coarse:g}"
            for coarse in BAND_SIGMAS[number + 1 :]
            for name in ("log modulation", "cos 2a", "sin 2a")
        ),
    )
)


def modulation_features(filled: np.ndarray, measured: np.ndarray) -> np.ndarray:
    """Strength of gradients at four scales, and gradients of that strength at all coarser ones.

    Parameters
    ----------
    filled, measured : numpy.ndarray
        (n, channels, pixels, pixels); means run over measured pixels only.

    Returns
    -------
    numpy.ndarray
        (n, channels * 34) float64 (`FEATURE_NAMES`). Logarithms are natural ones of amplitudes; a modulation is
        relative to the mean it modulates, so that contrast moves the first of a scale only. Angles as in
        `fixed.describe`.
    """
    return each_channel(_modulation, filled, measured)


def _modulation(images: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """`modulation_features` of single-channel images (m, pixels, pixels) float32: (m, 34)."""
    mean = weighted_mean(weights)

    def centered(maps: np.ndarray, level: np.ndarray) -> np.ndarray:
        # Around the mean, so that the rim of the measured disc is no edge.
        return np.where(weights > 0, maps - level.astype(np.float32)[:, None, None], 0)

    images = centered(images, mean(images))
    features = []
    for number, sigma in enumerate(SIGMAS):
        across, down = gradient(images, sigma)
        strength = np.sqrt(across * across + down * down)
        level = mean(strength)
        loudness = np.log(level + AMPLITUDE_FLOOR)
        features.append(loudness)
        strength = centered(strength, level)
        for coarse in BAND_SIGMAS[number + 1 :]:
            features += _relative_gradient(*gradient(strength, coarse), loudness, mean)
    return np.stack(features, axis=1)


def _relative_gradient(
    across: np.ndarray, down: np.ndarray, loudness: np.ndarray, mean: Callable[[np.ndarray], np.ndarray]
) -> list[np.ndarray]:
    """Amplitude of a gradient over what it is a gradient of, and its mean orientation, each (m,)."""
    right, below = across * across, down * down
    total = mean(right + below)
    safe = np.where(total > 0, total, 1)
    amplitude = np.log(total + AMPLITUDE_FLOOR**2) / 2 - loudness
    return [amplitude, mean(right - below) / safe, mean(2 * across * down) / safe]
