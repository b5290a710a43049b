"""Fixed encoders: feature transforms without training, by name."""

from __future__ import annotations

from functools import partial

import numpy as np

from ..errors import ArgumentError
from .cards import KINDS, Card
from .filters import averaging
from .runtime import Encoder
from .structure import BLOCKS, spectrum_features, structure_features

METHOD = "fixed transform"
TRANSFORM_VERSION = 1
"""Version of the transforms; increased with every change of an embedding."""

SIDE = 16
"""Blocks along a side of the 'pixels' image."""

CELLS, ORIENTATIONS = 8, 9
"""Cells along a side and orientation bins in 180 degrees of 'hog'."""

HOG_FLOOR = 1e-3
"""Gradient per pixel below which a block is not normalized to unit length."""

DEFAULT = "structure"

FIXED = {
    "pixels": "Each channel averaged over 16 x 16 blocks, image mean removed: cosine is Pearson's correlation. "
    "True to place and shape.",
    "hog": "Histograms of oriented gradients in 8 x 8 cells (Dalal & Triggs 2005). True to place and orientation.",
    "spectrum": "Mean over time (windows), direction (spectra) or rings (distributions), or power by wave number "
    "(frames): cosine is Pearson's correlation of these curves. Free of orientation.",
    "structure": "Strength, orientation and shape of structure at three scales, free of place and true to orientation; "
    "in addition place and mean curve, which count where the same event is searched. Made for comparison relative to a "
    "library.",
}


def fixed_encoder(name: str, kind: str) -> Encoder:
    """Return the fixed encoder of a name in `FIXED`, which all support every kind of image."""
    if kind not in KINDS:
        raise ArgumentError("kind", f"{kind!r}", f"Use one of {', '.join(KINDS)}.")
    if name not in FIXED:
        raise ArgumentError("name", f"{name!r}", f"Use one of {', '.join(FIXED)}.")
    constants: dict[str, object] = {"transform_version": TRANSFORM_VERSION}
    if name == "structure":
        # A list, since JSON objects are unordered.
        constants["blocks"] = [list(block) for block in BLOCKS.get(kind, BLOCKS["other"]).items()]
    card = Card(name=name, kind=kind, method=METHOD, description=FIXED[name], training=constants)
    transform = _TRANSFORMS[name]
    return Encoder(card, partial(transform, kind=kind) if name in _OF_KIND else transform)


def pixel_features(filled: np.ndarray, measured: np.ndarray) -> np.ndarray:
    """Compute block averages less their mean: (n, channels * side**2), side at most 16."""
    images = filled.astype(np.float64)
    if images.shape[-1] > SIDE:
        average = averaging(images.shape[-1], SIDE)
        images = average @ images @ average.T
    blocks = images.reshape(len(images), -1)
    centered = blocks - blocks.mean(axis=1, keepdims=True)
    # The centered features of a constant image are float32 rounding errors without meaning.
    flat = np.abs(centered).max(axis=1) <= 1e-6 * np.abs(filled).reshape(len(filled), -1).max(axis=1)
    centered[flat] = 0
    return centered


def hog_features(filled: np.ndarray, measured: np.ndarray) -> np.ndarray:
    """Compute histograms of oriented gradients (Dalal & Triggs 2005, CVPR, 886): (n, channels * 7 * 7 * 36).

    8 x 8 cells at any image size, 9 unsigned orientations with linear interpolation, blocks of 2 x 2 cells at every
    cell, 'L2-Hys' normalization (unit length, clipped at 0.2, unit length again). Angles increase from the column axis
    toward the row axis; orientation b is centered on (b + 1/2) * 20 degrees. A gradient counts only where the pixels on
    both sides were measured.
    """
    n, pixels = len(filled), filled.shape[-1]
    images, known = (each.reshape(-1, pixels, pixels) for each in (filled.astype(np.float32, copy=False), measured))
    # Small batches fit into the CPU cache.
    parts = [_hog(images[first : first + 8], known[first : first + 8]) for first in range(0, len(images), 8)]
    return np.concatenate(parts).reshape(n, -1)


def _hog(images: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Compute `hog_features` of single-channel images (m, pixels, pixels) float32."""
    across, down = np.zeros_like(images), np.zeros_like(images)
    across[:, :, 1:-1] = (images[:, :, 2:] - images[:, :, :-2]) * (known[:, :, 2:] & known[:, :, :-2])
    down[:, 1:-1] = (images[:, 2:] - images[:, :-2]) * (known[:, 2:] & known[:, :-2])
    strength = np.hypot(across, down)
    place = np.arctan2(down, across) * np.float32(ORIENTATIONS / np.pi) - np.float32(0.5)
    lower = np.floor(place)
    upper_share = strength * (place - lower)
    bins = lower.astype(np.int8) % ORIENTATIONS
    pool = averaging(images.shape[-1], CELLS).astype(np.float32)
    cells = np.empty((len(images), CELLS, CELLS, ORIENTATIONS), np.float32)
    for b in range(ORIENTATIONS):
        own = np.where(bins == b, strength - upper_share, 0) + np.where(bins == (b - 1) % ORIENTATIONS, upper_share, 0)
        cells[..., b] = pool @ own @ pool.T
    corners = [cells[:, i : i + CELLS - 1, j : j + CELLS - 1] for i in (0, 1) for j in (0, 1)]
    blocks = np.concatenate(corners, axis=-1).astype(np.float64)
    for limit in (0.2, 1.0):
        blocks = np.minimum(blocks / np.sqrt((blocks**2).sum(axis=-1, keepdims=True) + HOG_FLOOR**2), limit)
    return blocks.reshape(len(images), -1)


_TRANSFORMS = {
    "pixels": pixel_features,
    "hog": hog_features,
    "spectrum": spectrum_features,
    "structure": structure_features,
}
_OF_KIND = ("spectrum", "structure")
"""Transforms that depend on the kind of image."""
