r"""A fisheye camera: directions of its pixels, and conversion of light to counts.

Orientation of a frame before the camera's own rotation, as seen on a map, row 0 first::

              north
            .--------.
          /            \
    west |   zenith +   | east
          \            /
            '--------'
              south

A camera at a station is rotated by a few degrees and shifted by one or two pixels; `Camera.view` is the true skymap.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..imaging.camera_geometry import View

LAYER_KM = 110.0


@dataclass(frozen=True)
class Camera:
    """A fisheye camera whose zenith angle grows linearly from the center to `edge_deg` at the rim.

    Dark level, read noise and counts per electron are those of a raw THEMIS file (Gakona, 2011-01-06): 2300, 20 and
    about 1.8, the last from the variance between frames above the read noise. `counts_per_kr` is assumed.

    Attributes
    ----------
    size : int
        Pixels along each side.
    radius : float
        Radius of the disc, as a share of `size`.
    edge_deg : float
        Zenith angle at the rim.
    dark_counts, read_noise, counts_per_electron, counts_per_kr : float
    vignetting : float
        Share of the light lost at the rim.
    rotation_deg : float
        Azimuth of the upward direction in the frame.
    offset : tuple of float
        Offset of the zenith from the middle of the frame, pixels to the right and down.
    trees_deg : float
        Elevation of the highest trees, 0 for a flat horizon.
    trees_seed : int
        Seed of their shape.
    """

    size: int = 256
    radius: float = 0.47
    edge_deg: float = 85.0
    dark_counts: float = 2300.0
    read_noise: float = 20.0
    counts_per_electron: float = 1.8
    counts_per_kr: float = 400.0
    vignetting: float = 0.35
    rotation_deg: float = 0.0
    offset: tuple[float, float] = (0.0, 0.0)
    trees_deg: float = 0.0
    trees_seed: int = 0

    @classmethod
    def draw(cls, rng: np.random.Generator, size: int = 256) -> Camera:
        """Draw the camera of a station: rotated, off center, among trees."""
        return cls(
            size=size,
            rotation_deg=rng.choice([-1.0, 1.0]) * rng.uniform(2, 8),
            offset=tuple(rng.uniform(-2, 2, 2) * size / 256),
            trees_deg=rng.uniform(6, 14),
            trees_seed=int(rng.integers(2**32)),
        )

    def zenith_angle(self) -> np.ndarray:
        """Return the zenith angle in degrees of every pixel, above `edge_deg` outside the disc, shape (size, size)."""
        return np.hypot(*self._offsets()) * self.edge_deg

    def azimuth(self) -> np.ndarray:
        """Return the azimuth of every pixel in degrees clockwise from north, 0 to 360, shape (size, size)."""
        return np.degrees(np.arctan2(*self._offsets())) % 360

    def view(self, latitude: float, longitude: float) -> View:
        """Return the true skymap of a camera at a place, NaN outside the disc."""
        zenith = self.zenith_angle()
        outside = zenith > self.edge_deg
        return View(
            latitude, longitude, np.where(outside, np.nan, self.azimuth()), np.where(outside, np.nan, 90 - zenith)
        )

    def pixel_of(self, azimuth: np.ndarray, elevation: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the fractional row and column of a direction in degrees; also beyond the rim."""
        r = (90 - elevation) / self.edge_deg * self.radius * self.size
        turned = np.radians(azimuth - self.rotation_deg)
        middle = (self.size - 1) / 2
        return middle + self.offset[1] - r * np.cos(turned), middle + self.offset[0] + r * np.sin(turned)

    def ground_position(self, height_km: float = LAYER_KM) -> tuple[np.ndarray, np.ndarray]:
        """Return the east and north distance in km where each pixel meets a flat layer, each (size, size) float32.

        This is accurate enough for clouds; aurora needs a curved Earth.
        """
        east, north = self._offsets()
        distance = height_km * np.tan(np.radians(np.minimum(self.zenith_angle(), self.edge_deg)))
        scale = distance / np.maximum(np.hypot(east, north), 1e-9)
        return (east * scale).astype(np.float32), (north * scale).astype(np.float32)

    def transmission(self) -> np.ndarray:
        """Return the share of light transmitted: vignetting inside, soft edges at rim and trees, 0 outside."""
        r = np.hypot(*self._offsets())
        horizon = np.minimum(1.0, (90 - self._trees()) / self.edge_deg)
        return (1 - self.vignetting * r**2) / (
            1 + np.exp(np.minimum((r - horizon) * self.radius * self.size / 0.5, 50))
        )

    def _trees(self) -> np.ndarray:
        """Return the elevation in degrees of the trees at the azimuth of each pixel: smooth, with pointed tops."""
        rng = np.random.default_rng(self.trees_seed)
        around = np.linspace(0, 360, 721)
        hills = np.sum([np.sin(np.radians(k * around) + rng.uniform(0, 2 * np.pi)) / k for k in (1, 2, 3)], axis=0)
        profile = 0.55 + 0.2 * hills + 0.2 * rng.random(around.size)
        profile[-1] = profile[0]
        return self.trees_deg * np.interp(self.azimuth(), around, profile)

    def _offsets(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the east and north offset from the zenith in disc radii, each (size, size)."""
        along = np.arange(self.size) - (self.size - 1) / 2
        right, up = np.meshgrid(along - self.offset[0], -(along - self.offset[1]))
        turn, scale = np.radians(self.rotation_deg), self.radius * self.size
        return (
            (right * np.cos(turn) + up * np.sin(turn)) / scale,
            (up * np.cos(turn) - right * np.sin(turn)) / scale,
        )


def expose(light: np.ndarray, camera: Camera, rng: np.random.Generator) -> np.ndarray:
    """Return raw counts (uint16) of a frame of `light` in kR, with shot noise, read noise and dark level.

    Shot noise is a normal variate with the Poisson variance, which is ten times faster: it differs from Poisson only at
    a few electrons, below the read noise of 11 electrons.
    """
    signal = np.asarray(light, np.float32) * np.float32(camera.counts_per_kr)
    spread = np.sqrt(signal * np.float32(camera.counts_per_electron) + np.float32(camera.read_noise**2))
    counts = rng.standard_normal(signal.shape, np.float32) * spread
    counts += signal
    counts += np.float32(camera.dark_counts)
    return np.clip(np.rint(counts), 0, np.iinfo(np.uint16).max).astype(np.uint16)
