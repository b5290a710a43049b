"""Wavelet scattering, pooled over the image: how much of each scale and orientation, and what modulates it.

The transform of Bruna & Mallat (2013, IEEE TPAMI 35, 1872, arXiv:1203.1513) with Morlet wavelets in six orientations
and four octaves: ``S1 = mean |x * psi1|`` and ``S2 = mean ||x * psi1| * psi2|`` for coarser psi2. Means over the whole
image make it free of place.

The only other implementation that installs (kymatio 0.3) cannot be imported with the scipy that this package asks for.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from .resizing import averaging

OCTAVES, ORIENTATIONS = 4, 6
LARGEST_SIDE = 64
"""Larger images are averaged to it first: the coarsest wavelet is then a third of the image, and the time a quarter."""

PADDING = 16
FINEST_WAVE_NUMBER = 3 * np.pi / 4  # radians per pixel
ENVELOPE = 0.8  # pixels, standard deviation of the finest wavelet; it doubles with each octave, as the wavelength does
SLANT = 0.5  # of the envelope: twice as long along the wave fronts as across
FLOOR = 1e-3
"""Share of the mean first order, or of a ratio of 1, below which a coefficient counts as nothing."""


def scattering_features(filled: np.ndarray, measured: np.ndarray) -> np.ndarray:
    """Logarithms of first and second order: (n, channels * 240).

    Parameters
    ----------
    filled, measured : numpy.ndarray
        (n, channels, pixels, pixels); means run over measured pixels only.

    Notes
    -----
    The second order is divided by the first it comes from (Anden & Mallat 2014, IEEE TSP 62, 4114), and the logarithms
    of each order lose their mean: neither brightness nor contrast is left.
    """
    n, pixels = len(filled), filled.shape[-1]
    side = min(pixels, LARGEST_SIDE)
    shrink = averaging(pixels, side).astype(np.float32)
    weights = shrink @ measured.reshape(-1, pixels, pixels).astype(np.float32) @ shrink.T
    total = shrink @ filled.reshape(-1, pixels, pixels).astype(np.float32) @ shrink.T
    images = total / np.where(weights > 0, weights, 1)
    # Sums of one row an image: the same to the last bit whatever other images are in the batch.
    total, share = ((each * weights).reshape(len(images), -1).sum(axis=1) for each in (images, np.float32(1)))
    images = np.where(weights > 0, images - (total / np.maximum(share, 1))[:, None, None], 0)
    # One at a time: transforms of several differ in the last bit from those of one.
    parts = [_scatter(images[i : i + 1], weights[i : i + 1]) for i in range(len(images))]
    return np.concatenate(parts).reshape(n, -1)


def _scatter(images: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """`scattering_features` of single-channel images (m, side, side) float32 about their mean: (m, 240)."""
    from scipy import fft

    side = images.shape[-1]
    before, after = PADDING, _padded(side) - side - PADDING
    edges = ((0, 0), (before, after), (before, after))
    spectrum = fft.fft2(np.pad(images, edges, mode="symmetric"))
    weights = np.pad(weights, edges)
    filters = _wavelets(_padded(side))
    first, second = [], []
    for j, fine in enumerate(filters):
        modulus = _modulus(fft.ifft2(_cropped(spectrum, len(fine[0]))[:, None] * fine, overwrite_x=True))
        one = _mean(modulus, weights)
        first.append(one)
        spectra = fft.fft2(modulus)
        for coarse in filters[j + 1 :]:
            cut = _cropped(spectra, len(coarse[0]))[:, :, None] * coarse
            two = _mean(_modulus(fft.ifft2(cut, overwrite_x=True)), weights)
            second.append((two / np.where(one > 0, one, 1)[:, :, None]).reshape(len(images), -1))
    orders = np.concatenate(first, axis=1), np.concatenate(second, axis=1)
    floors = FLOOR * orders[0].mean(axis=1, keepdims=True), FLOOR
    logs = [np.log(order + np.where(floor > 0, floor, 1)) for order, floor in zip(orders, floors, strict=True)]
    return np.concatenate([each - each.mean(axis=1, keepdims=True) for each in logs], axis=1)


def _modulus(waves: np.ndarray) -> np.ndarray:
    return np.sqrt(waves.real**2 + waves.imag**2)


def _mean(modulus: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Means (m, ...) float64 of (m, ..., s, s) by weights (m, S, S), of which every S/s-th is taken."""
    step = weights.shape[-1] // modulus.shape[-1]
    chosen = weights[:, ::step, ::step].reshape(len(weights), -1, 1)
    chosen = chosen / np.maximum(chosen.sum(axis=1, keepdims=True), 1)
    # One product an image: the same to the last bit whatever other images are in the batch.
    means = modulus.reshape(len(modulus), -1, chosen.shape[1]) @ chosen
    return means.astype(np.float64).reshape(modulus.shape[:-2])


def _cropped(spectra: np.ndarray, size: int) -> np.ndarray:
    """The low wave numbers (..., size, size) of spectra: the field on a grid as much coarser."""
    have = spectra.shape[-1]
    if have == size:
        return spectra
    kept = np.r_[: size // 2, have - size // 2 : have]
    return spectra[..., kept[:, None], kept] * np.float32((size / have) ** 2)


def _padded(side: int) -> int:
    """Side with the padding, divisible by 8 so that it can be halved."""
    return -(-(side + 2 * PADDING) // 8) * 8


@cache
def _wavelets(size: int) -> tuple[np.ndarray, ...]:
    """Return for each octave the transforms (orientations, s, s) of its wavelets, s as small as possible."""
    found = []
    for octave in range(OCTAVES):
        s = size // 2 ** max(octave - 1, 0)
        along = np.fft.fftfreq(s) * 2 * np.pi * s / size
        angles = np.arange(ORIENTATIONS) * np.pi / ORIENTATIONS
        found.append(np.stack([_sampled(along, octave, angle) for angle in angles]).astype(np.float32))
    return tuple(found)


def _sampled(along: np.ndarray, octave: int, angle: float) -> np.ndarray:
    """The transform of a wavelet sampled at pixels: beyond the highest wave number it comes in at the other end."""
    turns = 2 * np.pi * np.array([-1, 0, 1])
    return sum(_morlet(along[:, None] + down, along[None] + right, octave, angle) for down in turns for right in turns)


def _morlet(down: np.ndarray, right: np.ndarray, octave: int, angle: float) -> np.ndarray:
    """The transform of a Morlet wavelet at wave numbers (radians per pixel); the wave runs along `angle`, no mean."""
    sigma, center = ENVELOPE * 2**octave, FINEST_WAVE_NUMBER / 2**octave
    across = right * np.cos(angle) + down * np.sin(angle)
    aside = (-right * np.sin(angle) + down * np.cos(angle)) / SLANT

    def bump(shift: float) -> np.ndarray:
        return np.exp(-(sigma**2) * ((across - shift) ** 2 + aside**2) / 2)

    return bump(center) - bump(0) * np.exp(-(sigma**2) * center**2 / 2)
