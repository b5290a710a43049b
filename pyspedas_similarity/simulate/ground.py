"""Distances from a reference point (azimuthal equidistant projection), and fractal noise.

Aurora and clouds are in kilometers east and north, independent of the camera.
"""

from __future__ import annotations

import numpy as np

from ..imaging.camera_geometry import MEAN_RADIUS_KM

_TEXELS = 256


def to_km(latitude: np.ndarray, longitude: np.ndarray, reference: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Return kilometers east and north of a point, by great circle distance and bearing.

    Inverse of `camera_geometry.from_offsets`.

    Parameters
    ----------
    latitude, longitude : numpy.ndarray, any shape
        Degrees.
    reference : tuple of float
        Latitude and longitude of the point, degrees.

    Returns
    -------
    tuple of numpy.ndarray
    """
    latitude, start = np.radians(np.asarray(latitude, float)), np.radians(reference[0])
    east = np.radians(np.asarray(longitude, float) - reference[1])
    y = np.cos(start) * np.sin(latitude) - np.sin(start) * np.cos(latitude) * np.cos(east)
    x = np.cos(latitude) * np.sin(east)
    up = np.sin(start) * np.sin(latitude) + np.cos(start) * np.cos(latitude) * np.cos(east)
    distance = MEAN_RADIUS_KM * np.arctan2(np.hypot(x, y), up)
    bearing = np.arctan2(x, y)
    return distance * np.sin(bearing), distance * np.cos(bearing)


class Texture:
    """Fractal noise that repeats every 256 texels, with mean 0 and variance 1.

    Parameters
    ----------
    rng : numpy.random.Generator
    slope : float
        Amplitude is proportional to the wavenumber to the power of ``-slope``: larger is smoother.
    """

    def __init__(self, rng: np.random.Generator, slope: float) -> None:
        along = np.fft.fftfreq(_TEXELS) * _TEXELS
        wavenumber = np.hypot(along[:, None], along)
        wavenumber[0, 0] = np.inf
        field = np.fft.ifft2(np.fft.fft2(rng.standard_normal((_TEXELS, _TEXELS))) * wavenumber**-slope).real
        # One more row and column, so that the neighbors of the last texel need no second wrap.
        self._values = np.pad((field / field.std()).astype(np.float32), ((0, 1), (0, 1)), mode="wrap").ravel()

    def at(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return values at x and y in texels, float32, by linear interpolation."""
        column, row = np.floor(x), np.floor(y)
        across, down = x - column, y - row
        first = (row.astype(np.int32) & (_TEXELS - 1)) * (_TEXELS + 1) + (column.astype(np.int32) & (_TEXELS - 1))
        upper = self._values[first]
        upper += across * (self._values[first + 1] - upper)
        first += _TEXELS + 1
        lower = self._values[first]
        lower += across * (self._values[first + 1] - lower)
        lower -= upper
        lower *= down
        lower += upper
        return lower
