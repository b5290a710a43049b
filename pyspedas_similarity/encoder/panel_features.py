"""Features of windows of time series and spectrograms: curve, level and fluctuations.

The curve is the course of each column less its mean in the window; the level is that mean; the fluctuations are the
logarithms of the structure function (mean squared differences over 1, 2, 4 and 8 cells) and of the variance within
cells, which do not depend on the phase of a wave. Vectors of any orientation are compared by their Gram matrix, the
products of the vectors at all pairs of times, which is complete up to rotations and reflections (as used for
trajectories of molecules by Kabsch 1976, doi 10.1107/S0567739476001873).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

BLOCKS = {"curve": 1.0, "level": 0.5, "fluctuations": 1.0, "embedding": 1.5}
"""Blocks of features of one variable and their weights: half for a level, which mostly says in which region it is."""

SPECTRUM_LEVEL = 1.0
"""Weight of the level of a spectrogram, which is a whole spectrum; docs/benchmarks/panels says how it was chosen."""

VERSION = 1
"""Raised with every change that changes a feature."""

_LAGS = (1, 2, 4, 8)
_COARSE = 2
# Cells averaged in the curves of spectrograms, and in Gram matrices.
_FLOOR = 1e-3
# Smallest amplitude that counts, in standard deviations of the variable.
_TINY = np.finfo(np.float32).tiny


def panel_features(
    windows: np.ndarray, variances: np.ndarray, scale: float, kind: str, equality: tuple[str, str]
) -> np.ndarray:
    """Compute the features of windows (m, columns, points) of one variable: float32 (m, sum of `block_sizes`).

    `variances` (m, points) within each cell are NaN where not known, and the last feature then too. `scale` is the
    standard deviation of the variable, `equality` the `values` and `vectors` of `imaging.recipes.PanelRecipe`.
    Embeddings are averaged over the window.
    """
    values, vectors = equality
    if kind == "vector" and vectors == "turning":
        windows = _turning(windows, scale)
    level = windows.mean(axis=2)
    if kind == "embedding":
        return level.astype(np.float32)
    curve = windows - level[:, :, None]
    power = _fluctuations(curve, variances, scale)
    if kind == "vector" and vectors == "any_orientation":
        level, curve = np.linalg.norm(level, axis=1, keepdims=True), _gram(_averaged(curve))
    elif kind == "spectrogram":
        curve = _averaged(curve)
    curve = curve.reshape(len(curve), -1)
    if values != "shape":
        return np.hstack([curve, level, power]).astype(np.float32)
    smallest = _FLOOR * scale * np.sqrt(curve.shape[1]) + _TINY
    curve = curve / np.maximum(np.linalg.norm(curve, axis=1, keepdims=True), smallest)
    return np.hstack([curve, power - power[:, :1]]).astype(np.float32)


def block_sizes(columns: int, points: int, kind: str, equality: tuple[str, str]) -> Mapping[str, int]:
    """Return the number of features of one variable in each block, in their order."""
    values, vectors = equality
    if kind == "embedding":
        return {"embedding": columns}
    curve, level = columns * points, columns
    if kind == "spectrogram":
        curve = columns * points // _COARSE
    if kind == "vector" and vectors == "turning":
        curve, level = 2 * points, 2
    if kind == "vector" and vectors == "any_orientation":
        curve, level = (points // _COARSE) * (points // _COARSE + 1) // 2, 1
    sizes = {"curve": curve, "level": level, "fluctuations": len(_LAGS) + 1}
    return {name: size for name, size in sizes.items() if values != "shape" or name != "level"}


def block_weight(name: str, kind: str) -> float:
    """Return the weight of a block of features of a variable of a kind."""
    return SPECTRUM_LEVEL if name == "level" and kind == "spectrogram" else BLOCKS[name]


def _averaged(windows: np.ndarray) -> np.ndarray:
    """Return means of successive cells: (m, columns, points / 2)."""
    return (windows[:, :, ::_COARSE] + windows[:, :, 1::_COARSE]) / _COARSE


def _turning(windows: np.ndarray, scale: float) -> np.ndarray:
    """Return magnitude, and angle to the mean direction in radians times the mean magnitude: (m, 2, points)."""
    magnitude = np.linalg.norm(windows, axis=1)
    mean = windows.mean(axis=2, keepdims=True)
    along = (windows * mean).sum(axis=1)
    across = np.linalg.norm(np.cross(windows, np.broadcast_to(mean, windows.shape), axis=1), axis=1)
    angle = np.arctan2(across, along)
    return np.stack([magnitude, angle * np.maximum(magnitude.mean(axis=1, keepdims=True), _FLOOR * scale)], axis=1)


def _gram(curve: np.ndarray) -> np.ndarray:
    """Return the upper triangle of the Gram matrix over the square root of its norm: of the dimension of the values."""
    points = curve.shape[2]
    products = np.matmul(curve.swapaxes(1, 2), curve)
    rows, columns = np.triu_indices(points)
    # Off the diagonal each product stands for two.
    triangle = products[:, rows, columns] * np.where(rows == columns, 1, np.sqrt(2)).astype(np.float32)
    return triangle / np.sqrt(np.maximum(np.linalg.norm(triangle, axis=1, keepdims=True), _TINY))


def _fluctuations(curve: np.ndarray, variances: np.ndarray, scale: float) -> np.ndarray:
    """Return logarithms of mean squared differences, and of the variance within cells (NaN where unknown): (m, 5)."""
    floor = (_FLOOR * scale) ** 2 + _TINY
    found = []
    for lag in _LAGS:
        difference = curve[:, :, lag:] - curve[:, :, :-lag]
        found.append(np.einsum("mcp,mcp->m", difference, difference) / difference.shape[2])
    return np.log10(np.stack([*found, variances.mean(axis=1)], axis=1) + floor)
