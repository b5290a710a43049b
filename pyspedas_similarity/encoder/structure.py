"""Structure features of an image: strength, orientation and shape at three scales, and two blocks that depend on place.

The features are invariant to place and sensitive to orientation: gradient energies, whose doubled angle is the
orientation of the structure tensor (Bigun & Granlund 1987, ICCV), band variances, and the modulation of gradients by
coarser scales (similar to wavelet scattering, Bruna & Mallat 2013, IEEE TPAMI 35, 1872). Images are reduced to at most
`SIDE` pixels, and the finest scale is omitted, since it differs between cameras and contains most of the noise. A
search subtracts the center of the library from each block and scales the blocks to equal variance in the library, see
`search.reference`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from itertools import pairwise

import numpy as np

from .filters import AMPLITUDE_FLOOR, FLOOR, averaging, blurred, gradient, resizing

SIDE = 64
"""Maximum side of the filtered images; larger ones are averaged over blocks first."""

SIGMAS = (2.0, 4.0, 8.0)
BAND_SIGMAS = (*SIGMAS, 16.0)
"""Gaussian scales in pixels of a 128 px image; proportional to the side of an image."""

PLACE_SIDE, PROFILE_BINS = 8, 16
_STRUCTURE = {"level": 10, "orientation": 24, "shape": 9}
BLOCKS = {
    "frame": _STRUCTURE,
    "other": _STRUCTURE | {"place": PLACE_SIDE**2, "profile": PROFILE_BINS},
}
"""Number of features per channel of each block, by kind of image. Frames have neither place nor profile, since cameras
see the same structure at different places."""

CONSTANT = 2.0
"""Last component before normalization, which preserves the distance of an image from a typical one."""

# Rounded means and spreads of the features by kind of image: origin and scale of the features before normalization.
# A search uses the center of its library in addition.
_LEVELS = {
    "frame": (-3.2, -3.5, -3.4, -4.3, -2.8, -1.7, -2.8, -1.6, -3.5, -1.9),
    "other": (-9.0, -8.2, -7.7, -6.9, -7.7, -4.3, -6.5, -3.7, -6.0, -3.3),
}
_SHAPES = (1.3, -1.2, -1.3, -1.5, 1.1, -1.3, -1.5, 0.9, -1.5)
_SPREADS = {"frame": (0.3, 0.3, 0.3), "other": (1.0, 0.3, 0.6, 1.0, 5.0)}

# Maps with this number of pixels fit into the CPU cache.
_PIXELS_AT_ONCE = 2**16


def structure_features(filled: np.ndarray, measured: np.ndarray, kind: str) -> np.ndarray:
    """Compute the blocks of `BLOCKS`, each of all channels, and append a constant.

    The result is float64, (n, 43 * channels + 1) for frames and (n, 123 * channels + 1) for other kinds.

    'level': logarithms of gradient energy, mean gradient and band variance. 'orientation': cosine and sine of the
    doubled and quadrupled angles of gradients and of modulations. 'shape': logarithms of peakedness and modulation.
    'place': 8 x 8 averages less their mean. 'profile': the mean curve at 16 points. The first three blocks have a
    typical length of 1, the last two less; those matter only in a search for the same event. Means run over measured
    pixels only.
    """
    images, weights = _reduced(filled, measured)
    n, channels, side, _ = images.shape
    flat, shares = images.reshape(-1, side, side), weights.reshape(-1, side, side)
    at_once = max(_PIXELS_AT_ONCE // side**2, 1)
    parts = [_structure(flat[i : i + at_once], shares[i : i + at_once]) for i in range(0, len(flat), at_once)]
    level, orientation, shape = (np.concatenate(one) for one in zip(*parts, strict=True))
    of_kind = "frame" if kind == "frame" else "other"
    blocks = [level - _LEVELS[of_kind], orientation, shape - _SHAPES]
    if of_kind == "other":
        profile = spectrum_features(images, weights > 0, kind).reshape(n * channels, -1)
        blocks += [_place(flat), profile @ resizing(profile.shape[-1], PROFILE_BINS).T]
    # Dividing by the square root of its size gives a block of features with unit spread unit length.
    scaled = [
        (block / (spread * np.sqrt(channels * block.shape[1]))).reshape(n, -1)
        for block, spread in zip(blocks, _SPREADS[of_kind], strict=True)
    ]
    return np.hstack([*scaled, np.full((n, 1), CONSTANT)])


def block_slices(dimension: int, blocks: Mapping[str, int]) -> dict[str, slice]:
    """Return the slice of each block in an embedding; `blocks` gives the features per channel, or is empty."""
    if not blocks:
        return {"all": slice(0, dimension)}
    channels, found, first = (dimension - 1) // sum(blocks.values()), {}, 0
    for name, size in blocks.items():
        found[name] = slice(first, first + channels * size)
        first += channels * size
    return found


def _reduced(filled: np.ndarray, measured: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return images of at most `SIDE` pixels, and the measured fraction of each pixel; both float32."""
    images, weights = filled.astype(np.float32, copy=False), measured.astype(np.float32)
    if images.shape[-1] <= SIDE:
        return images, weights
    total, weights = (_averaged(each) for each in (images * weights, weights))
    return total / np.where(weights > 0, weights, 1), weights


def _averaged(images: np.ndarray) -> np.ndarray:
    """Return averages over blocks of pixels: (..., SIDE, SIDE)."""
    pixels = images.shape[-1]
    factor, rest = divmod(pixels, SIDE)
    if rest:
        average = averaging(pixels, SIDE).astype(np.float32)
        return average @ images @ average.T
    # Matrix products of this size would use BLAS threads, which are slow on a busy machine.
    rows = sum(images[..., first::factor, :] for first in range(factor))
    return sum(rows[..., first::factor] for first in range(factor)) / np.float32(factor**2)


def _structure(images: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the first three blocks of single-channel images, both (m, side, side) float32."""
    shares = weights / np.maximum(weights.sum(axis=(1, 2), keepdims=True), 1e-9)
    inside = (weights > 0).astype(np.float32)
    images = _centered(images, _dot(shares, images), inside)
    level, orientation, shape = [], [], []
    for fine, coarse in pairwise([images, *(blurred(images, sigma) for sigma in BAND_SIGMAS)]):
        band = fine - coarse
        weighted = band * shares
        variance = _dot(weighted, band) - _dot(shares, band) ** 2
        level.append(np.log(np.maximum(variance, 0) + FLOOR))
    for number, sigma in enumerate(SIGMAS):
        strength, total, turned, squares = _gradient_moments(*gradient(images, sigma), shares)
        amplitude, safe = _dot(shares, strength), np.where(total > 0, total, 1)
        log_amplitude = np.log(amplitude + AMPLITUDE_FLOOR)
        level += [np.log(total + FLOOR), log_amplitude]
        orientation += [one / safe for one in turned]
        shape.append(np.log(np.maximum(np.where(total > 0, squares / safe**2, 1), 1)))
        strength = _centered(strength, amplitude, inside)
        for coarse in BAND_SIGMAS[number + 1 :]:
            total, cos2, sin2 = _modulation_moments(*gradient(strength, coarse), shares)
            safe = np.where(total > 0, total, 1)
            shape.append(np.log(total + AMPLITUDE_FLOOR**2) / 2 - log_amplitude)
            orientation += [cos2 / safe, sin2 / safe]
    return np.stack(level, axis=1), np.stack(orientation, axis=1), np.stack(shape, axis=1)


def _dot(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return the sum over pixels of products of maps (m, side, side): float64 (m,)."""
    # One product per image, so that the result does not depend on the batch.
    flat = (each.reshape(len(one), -1) for each in (one, other))
    return np.vecdot(*flat).astype(np.float64)


def _centered(maps: np.ndarray, level: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Return maps less a level (m,), and 0 outside, so that the rim of the measured disc does not appear as an edge."""
    return (maps - level.astype(np.float32)[:, None, None]) * inside


def _gradient_moments(
    across: np.ndarray, down: np.ndarray, shares: np.ndarray
) -> tuple[np.ndarray, np.ndarray, tuple[np.ndarray, ...], np.ndarray]:
    """Compute moments of gradients.

    Returns magnitudes, their mean square, mean square times cosine and sine of 2 and 4 angles, and mean fourth power.
    """
    right, below, product = across * across, down * down, across * down
    energy, difference = right + below, right - below
    weighted = energy * shares
    # For energy e and angle a: e cos 4a = 2 (e cos 2a)^2 / e - e, and e sin 4a = 2 (e cos 2a) (e sin 2a) / e.
    ratio = difference * shares / np.maximum(energy, np.finfo(np.float32).tiny)
    total = _dot(shares, energy)
    cos4, sin4 = 2 * _dot(ratio, difference) - total, 4 * _dot(ratio, product)
    turned = _dot(shares, difference), 2 * _dot(shares, product), cos4, sin4
    return np.sqrt(energy), total, turned, _dot(weighted, energy)


def _modulation_moments(across: np.ndarray, down: np.ndarray, shares: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return the mean square of gradients, and mean square times cosine and sine of the doubled angle."""
    weighted = across * shares
    right, below = _dot(weighted, across), _dot(down * shares, down)
    return right + below, right - below, 2 * _dot(weighted, down)


def _place(images: np.ndarray) -> np.ndarray:
    """Return averages over blocks, less their mean: (m, 64) of images (m, side, side)."""
    side = images.shape[-1]
    resize = resizing(side, PLACE_SIDE)
    blocks = (resize @ images.astype(np.float64) @ resize.T).reshape(len(images), -1)
    return blocks - blocks.mean(axis=1, keepdims=True)


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
