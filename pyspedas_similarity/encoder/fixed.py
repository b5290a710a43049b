"""Encoders without training: block averages, descriptors of oriented structure, and mean curves."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from itertools import pairwise

import numpy as np

from ..errors import ArgumentError
from .cards import KINDS, Card
from .filters import FLOOR, REFERENCE_PIXELS, each_channel, filter_matrix, weighted_mean
from .mean_curves import spectrum_features
from .resizing import averaging
from .runtime import Encoder, unit_length
from .scattering import scattering_features
from .structure import blocks_of_kind, structure_features

METHOD = "fixed transform"
TRANSFORM_VERSION = 1
"""Raised with every change that changes an embedding."""

SIDE = 16
"""Blocks along a side of the 'pixels' image."""

SIGMAS = (1.0, 2.0, 4.0, 8.0)
BAND_SIGMAS = (*SIGMAS, 16.0)
"""Gaussian scales in pixels of a 128 px image; at other sizes they grow with the image."""

FEATURE_NAMES = tuple(
    f"{name}, sigma {sigma:g}"
    for sigma in SIGMAS
    for name in ("log energy", "cos 2a", "sin 2a", "cos 4a", "sin 4a", "log peakedness")
) + tuple(f"log band variance, sigma {sigma:g}" for sigma in BAND_SIGMAS)

KERNEL_WIDTH = 1.0
"""Distance of two descriptors, in natural units (e-folds of energy), at which their similarity is exp(-1/2)."""

KERNEL_PAIRS = 256
"""Pairs of random Fourier features; the error of a similarity is about (1 - its square) / sqrt(2 * pairs)."""

PLACE_SHARE = 0.25
"""Weight of 'pixels' in 'hybrid': enough to prefer the same place among equal structures, and no more."""

CELLS, ORIENTATIONS = 8, 9
"""Cells along a side and orientations in a half turn of 'hog'."""

HOG_FLOOR = 1e-3
"""Gradients of a block, per pixel, that are not blown up to unit length."""

DEFAULT = "structure"

FIXED = {
    "pixels": "Each channel averaged over 16 x 16 blocks, image mean removed: cosine is Pearson's correlation. "
    "True to place and shape.",
    "oriented": "Energy, orientation and peakedness of brightness gradients at four scales and variance in five bands, "
    "pooled over the image; cosine is a Gaussian of their distance. Free of place, true to orientation.",
    "hybrid": "Three parts 'oriented', one part 'pixels': cosine is the weighted mean of their two cosines.",
    "hog": "Histograms of oriented gradients in 8 x 8 cells (Dalal & Triggs 2005). True to place and orientation.",
    "spectrum": "Mean over time (windows), direction (spectra) or rings (distributions), or power by wave number "
    "(frames): cosine is Pearson's correlation of these curves. Free of orientation.",
    "structure": "Strength, orientation and shape of structure at three scales, free of place and true to orientation; "
    "beside them place and mean curve, which count where the same event is searched. Made for comparison relative to a "
    "library.",
    "scattering": "Wavelet scattering of two orders, pooled over the image, on a logarithmic scale (Bruna & Mallat "
    "2013). Free of place, true to orientation.",
}


def default_encoder(kind: str) -> Encoder:
    """Return the encoder that is used unless another is given: 'structure', for images of every kind.

    Raises
    ------
    ArgumentError
        `kind` is unknown.
    """
    return fixed_encoder(DEFAULT, kind)


def fixed_encoder(name: str, kind: str) -> Encoder:
    """A fixed encoder.

    Parameters
    ----------
    name : str
        One of `FIXED`; each takes images of every kind.
    kind : {'distribution', 'frame', 'spectrum', 'window'}
        The kind of image.

    Raises
    ------
    ArgumentError
        The name or kind is unknown.
    """
    if kind not in KINDS:
        raise ArgumentError("kind", f"{kind!r}", f"Use one of {', '.join(KINDS)}.")
    if name not in FIXED:
        raise ArgumentError("name", f"{name!r}", f"Use one of {', '.join(FIXED)}.")
    constants: dict[str, object] = {"transform_version": TRANSFORM_VERSION}
    if name == "structure":
        # In a list, since the order of names in an object of JSON has no meaning.
        constants["blocks"] = [list(block) for block in blocks_of_kind(kind).items()]
    card = Card(name=name, kind=kind, method=METHOD, description=FIXED[name], training=constants)
    transform = _TRANSFORMS[name]
    return Encoder(card, partial(transform, kind=kind) if name in _OF_KIND else transform)


def pixel_features(filled: np.ndarray, measured: np.ndarray) -> np.ndarray:
    """Block averages without their mean: (n, channels * side**2), side at most 16.

    Parameters
    ----------
    filled, measured : numpy.ndarray
        (n, channels, pixels, pixels); `measured` is not used, pixels not measured count as 0.
    """
    images = filled.astype(np.float64)
    if images.shape[-1] > SIDE:
        average = averaging(images.shape[-1], SIDE)
        images = average @ images @ average.T
    blocks = images.reshape(len(images), -1)
    centered = blocks - blocks.mean(axis=1, keepdims=True)
    # What is left of a flat image is float32 rounding of its pixels: no direction.
    flat = np.abs(centered).max(axis=1) <= 1e-6 * np.abs(filled).reshape(len(filled), -1).max(axis=1)
    centered[flat] = 0
    return centered


def oriented_features(filled: np.ndarray, measured: np.ndarray) -> np.ndarray:
    """The descriptor of oriented structure on a sphere: (n, 2 * `KERNEL_PAIRS`) of unit length, see `describe`.

    Cosines of descriptors themselves would depend on where their zero is put, which is arbitrary for a logarithm.
    Random Fourier features (Rahimi and Recht 2007, NIPS 20) turn them into vectors whose cosine is a Gaussian of
    their distance.
    """
    waves = _waves(filled.shape[1] * len(FEATURE_NAMES))
    # One product an image: the same to the last bit whatever other images are in the batch.
    phases = (waves @ describe(filled, measured)[:, :, None])[:, :, 0]
    return np.hstack([np.cos(phases), np.sin(phases)]) / np.sqrt(KERNEL_PAIRS)


def hybrid_features(filled: np.ndarray, measured: np.ndarray) -> np.ndarray:
    """'pixels' and 'oriented', weighted by `PLACE_SHARE`; a part without direction is 0."""
    place, structure = (unit_length(each(filled, measured)) for each in (pixel_features, oriented_features))
    return np.nan_to_num(np.hstack([np.sqrt(PLACE_SHARE) * place, np.sqrt(1 - PLACE_SHARE) * structure]))


def describe(filled: np.ndarray, measured: np.ndarray) -> np.ndarray:
    """Statistics of brightness gradients over each channel, in natural units (`FEATURE_NAMES`).

    Parameters
    ----------
    filled, measured : numpy.ndarray
        (n, channels, pixels, pixels); means run over measured pixels only.

    Returns
    -------
    numpy.ndarray
        (n, channels * 29) float64.

    Notes
    -----
    Angles count from growing column toward growing row. The doubled angle of the gradient weighted by its energy is
    the structure tensor's orientation (Bigun & Granlund 1987, ICCV); twice that angle splits one orientation from two
    crossed ones. Peakedness is <e^2>/<e>^2 of the gradient energy e, large where structure is rare.
    """
    return each_channel(_describe, filled, measured)


def _describe(images: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """`describe` for single-channel images (m, pixels, pixels) float32: (m, 29)."""
    pixels, mean = images.shape[-1], weighted_mean(weights)
    # Around the mean, so that the rim of the measured disc is no edge.
    images = np.where(weights > 0, images - mean(images).astype(np.float32)[:, None, None], 0)
    features, blurred = [], [images]
    for sigma in BAND_SIGMAS:
        sigma = sigma * pixels / REFERENCE_PIXELS
        smooth, slope = filter_matrix(pixels, sigma, 0), filter_matrix(pixels, sigma, 1)
        rows = smooth @ images
        blurred.append(rows @ smooth.T)
        if len(blurred) - 1 <= len(SIGMAS):
            features += _gradient_features(rows @ slope.T, slope @ images @ smooth.T, mean)
    for fine, coarse in pairwise(blurred):
        band = fine - coarse
        features.append(np.log(np.maximum(mean(band * band) - mean(band) ** 2, 0) + FLOOR))
    return np.stack(features, axis=1)


def _gradient_features(
    across: np.ndarray, down: np.ndarray, mean: Callable[[np.ndarray], np.ndarray]
) -> list[np.ndarray]:
    """Energy, orientation and peakedness of gradients along columns and rows, each (m, pixels, pixels)."""
    energy = across * across + down * down
    cos2, sin2 = across * across - down * down, 2 * across * down
    divisor = np.maximum(energy, np.finfo(np.float32).tiny)
    cos4, sin4 = (cos2 * cos2 - sin2 * sin2) / divisor, 2 * cos2 * sin2 / divisor
    total = mean(energy)
    safe = np.where(total > 0, total, 1)
    moments = [mean(each) / safe for each in (cos2, sin2, cos4, sin4)]
    peaked = np.where(total > 0, mean(energy * energy) / safe**2, 1)
    return [np.log(total + FLOOR), *moments, np.log(np.maximum(peaked, 1))]


@cache
def _waves(dimension: int) -> np.ndarray:
    """Wave vectors (`KERNEL_PAIRS`, dimension) of the Gaussian kernel.

    NumPy guarantees the same numbers from its legacy generator only, and embeddings must not change.
    """
    drawn = np.random.RandomState(20240520).standard_normal((KERNEL_PAIRS, dimension))
    return drawn / KERNEL_WIDTH


def hog_features(filled: np.ndarray, measured: np.ndarray) -> np.ndarray:
    """Histograms of oriented gradients (Dalal & Triggs 2005, CVPR, 886): (n, channels * 7 * 7 * 36).

    Parameters
    ----------
    filled, measured : numpy.ndarray
        (n, channels, pixels, pixels); a gradient counts only where the pixels on both sides were measured.

    Notes
    -----
    8 x 8 cells at any size of image, 9 unsigned orientations shared linearly between neighbors, blocks of 2 x 2 cells
    at every cell, 'L2-Hys' (unit length, clipped at 0.2, unit length again). Angles count from growing column toward
    growing row; orientation b is centered on (b + 1/2) * 20 degrees.
    """
    n, pixels = len(filled), filled.shape[-1]
    images, known = (each.reshape(-1, pixels, pixels) for each in (filled.astype(np.float32, copy=False), measured))
    # A few at a time stay in the processor's cache.
    parts = [_hog(images[first : first + 8], known[first : first + 8]) for first in range(0, len(images), 8)]
    return np.concatenate(parts).reshape(n, -1)


def _hog(images: np.ndarray, known: np.ndarray) -> np.ndarray:
    """`hog_features` of single-channel images (m, pixels, pixels) float32."""
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
    "oriented": oriented_features,
    "hybrid": hybrid_features,
    "hog": hog_features,
    "scattering": scattering_features,
    "spectrum": spectrum_features,
    "structure": structure_features,
}
_OF_KIND = ("spectrum", "structure")
"""Names of transforms that depend on the kind of image."""
