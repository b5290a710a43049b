"""Light of the night sky other than aurora: airglow, stars, Moon and twilight; and clouds.

All in kR. Stars and Moon rotate about the pole; they are random, not from a catalog or ephemeris.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .camera import Camera
from .ground import Texture

# Rotation of the Earth relative to the stars, degrees per second (Astronomical Almanac, 2020, section B).
SIDEREAL_DEG_S = 360.98564736629 / 86400
# The Moon lags behind the stars by 360 degrees per sidereal month (27.321662 days).
MOON_DEG_S = SIDEREAL_DEG_S - 360 / (27.321662 * 86400)
_STARS = 1200
_CLOUD_KM = 6.0


def horizontal(hour_angle: np.ndarray, declination: np.ndarray, latitude: float) -> tuple[np.ndarray, np.ndarray]:
    """Return azimuth (0 to 360) and elevation of a position on the celestial sphere.

    Parameters
    ----------
    hour_angle, declination : numpy.ndarray, any shape
        Degrees; the hour angle is positive toward the west.
    latitude : float
        Latitude of the observer, degrees.

    Returns
    -------
    tuple of numpy.ndarray
        Degrees.
    """
    hour, declination, latitude = np.radians(hour_angle), np.radians(declination), np.radians(latitude)
    east = -np.cos(declination) * np.sin(hour)
    north = np.cos(latitude) * np.sin(declination) - np.sin(latitude) * np.cos(declination) * np.cos(hour)
    up = np.sin(latitude) * np.sin(declination) + np.cos(latitude) * np.cos(declination) * np.cos(hour)
    return np.degrees(np.arctan2(east, north)) % 360, np.degrees(np.arctan2(up, np.hypot(east, north)))


@dataclass(frozen=True, eq=False)
class Stars:
    """Random stars over the whole sphere.

    Attributes
    ----------
    right_ascension, declination : numpy.ndarray, shape (k,)
        Degrees. At the first sample right ascension 0 crosses the meridian of longitude 0.
    brightness : numpy.ndarray, shape (k,)
        Brightness in kR in the brightest pixel of a camera of 256 pixels, from a power law.
    """

    right_ascension: np.ndarray
    declination: np.ndarray
    brightness: np.ndarray

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Stars:
        """Draw 1200 stars, uniformly over the sphere."""
        return cls(
            right_ascension=rng.uniform(0, 360, _STARS),
            declination=np.degrees(np.arcsin(rng.uniform(-1, 1, _STARS))),
            brightness=np.minimum(0.5 * (1 - rng.random(_STARS)) ** -0.8, 25.0),
        )

    def directions(self, t_s: float, latitude: float, longitude: float) -> tuple[np.ndarray, np.ndarray]:
        """Return azimuth and elevation in degrees, each (k,), `t_s` seconds after the first sample."""
        hour_angle = SIDEREAL_DEG_S * t_s + longitude - self.right_ascension
        return horizontal(hour_angle, self.declination, latitude)

    def light(self, camera: Camera, t_s: float, latitude: float, longitude: float) -> np.ndarray:
        """Return the light of stars, spots 0.6 pixels wide: kR of every pixel, float32, shape (size * size,)."""
        azimuth, elevation = self.directions(t_s, latitude, longitude)
        above = elevation > 90 - camera.edge_deg
        row, column = camera.pixel_of(azimuth[above], elevation[above])
        # In a small frame the same light falls on fewer, larger pixels.
        brightness = self.brightness[above] * (camera.size / 256) ** 2
        step = np.arange(-2, 3)
        rows, columns = np.rint(row)[:, None] + step, np.rint(column)[:, None] + step
        down = np.exp(-((rows - row[:, None]) ** 2) / 0.72)
        across = np.exp(-((columns - column[:, None]) ** 2) / 0.72)
        spots = brightness[:, None, None] * down[:, :, None] * across[:, None, :]
        # Spots beyond the edge of the frame are outside the disc, so they can be put anywhere.
        limit = camera.size - 1
        pixel = np.clip(rows, 0, limit)[:, :, None] * camera.size + np.clip(columns, 0, limit)[:, None, :]
        total = np.bincount(pixel.astype(np.intp).ravel(), spots.ravel(), minlength=camera.size**2)
        return total.astype(np.float32)


@dataclass(frozen=True)
class Moon:
    """A bright disc with a halo that lights the whole sky; above the horizon in the first hours of the night.

    ``hour_angle`` at longitude `meridian` at the first sample, and ``declination``, in degrees.
    """

    hour_angle: float
    declination: float
    meridian: float
    sky_kr: float

    @classmethod
    def draw(cls, rng: np.random.Generator, meridian: float) -> Moon:
        """Draw a Moon before its culmination."""
        return cls(rng.uniform(-80, -10), rng.uniform(15, 27), meridian, rng.uniform(1.5, 5.0))

    def direction(self, t_s: np.ndarray | float, latitude: float, longitude: float) -> tuple[np.ndarray, np.ndarray]:
        """Return azimuth and elevation in degrees."""
        hour_angle = np.asarray(self.hour_angle + MOON_DEG_S * t_s + longitude - self.meridian)
        return horizontal(hour_angle, np.asarray(self.declination), latitude)

    def light(self, toward: np.ndarray, t_s: float, latitude: float, longitude: float) -> np.ndarray:
        """Return the brightness of pixels that look `toward` (3, p) east, north and up: kR, float32, shape (p,)."""
        azimuth, elevation = self.direction(t_s, latitude, longitude)
        if elevation < 0:
            return np.zeros(toward.shape[1], np.float32)
        cosine = direction_vector(azimuth, elevation) @ toward
        # 1 - cos is half the squared angle. The lens makes the disc 1.2 degrees wide; halo and lit sky are added.
        spread = np.maximum(1 - cosine, 0)
        disc, halo = 600 * np.exp(-spread / np.float32(2e-4)), 6 / (1 + spread / np.float32(6e-3))
        return (disc + self.sky_kr * (halo + 0.6 * (1 + cosine**2))).astype(np.float32)


@dataclass(frozen=True)
class Twilight:
    """Dawn: a brightness gradient toward the Sun at `azimuth` in degrees."""

    azimuth: float
    full_kr: float
    rise_s: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Twilight:
        """Draw a dawn in the east."""
        return cls(rng.uniform(50, 110), rng.uniform(12, 40), rng.uniform(40, 80))

    def light(self, toward: np.ndarray, since_s: float) -> np.ndarray:
        """Return kR of pixels that look `toward` (3, p), `since_s` seconds after the start: float32, shape (p,)."""
        cosine = direction_vector(self.azimuth, 0.0) @ toward
        level = self.full_kr / (1 + np.exp(2.5 - since_s / self.rise_s))
        return np.float32(level) * np.exp(np.float32(2.2) * (cosine - 1) - toward[2] + np.float32(0.3))


@dataclass(frozen=True, eq=False)
class Cloud:
    """A drifting, slowly changing layer of fractal cloud.

    Attributes
    ----------
    first, second : Texture
        Two layers of noise with different motion, so that shapes change.
    cover : float
        Noise above -`cover` is cloud: -0.5 for broken, 2 for nearly closed cloud.
    depth : float
        Optical depth of thick parts.
    scale_km : float
        Size of a texel.
    wind_km_s : tuple of float
    town_kr : float
        Light from towns below.
    moonlit : bool
    """

    first: Texture
    second: Texture
    cover: float
    depth: float
    scale_km: float
    wind_km_s: tuple[float, float]
    town_kr: float
    moonlit: bool

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Cloud:
        """Draw a closed or broken layer."""
        closed = rng.random() < 0.5
        return cls(
            first=Texture(rng, 1.7),
            second=Texture(rng, 1.7),
            cover=rng.uniform(1.2, 2.2) if closed else rng.uniform(-0.2, 0.6),
            depth=rng.uniform(4, 8) if closed else rng.uniform(2, 5),
            scale_km=rng.uniform(0.2, 0.5),
            wind_km_s=(rng.uniform(-0.03, 0.03), rng.uniform(-0.02, 0.02)),
            town_kr=rng.uniform(0.5, 3.0),
            moonlit=bool(rng.random() < 0.4),
        )

    def thickness(self, position: tuple[np.ndarray, np.ndarray], t_s: float) -> np.ndarray:
        """Return the optical depth of lines of sight through the layer at `position` in km, each (p,): float32 (p,)."""
        x = (position[0] - np.float32(self.wind_km_s[0] * t_s)) / np.float32(self.scale_km)
        y = (position[1] - np.float32(self.wind_km_s[1] * t_s)) / np.float32(self.scale_km)
        creep = np.float32(0.02 * t_s)
        noise = self.first.at(x + creep, y) + self.second.at(x - creep, y + np.float32(91.3))
        # Near the horizon a line of sight crosses many clouds: noise averages out, gaps close, depth increases.
        squared = (position[0] ** 2 + position[1] ** 2) / np.float32(_CLOUD_KM**2)
        near = 1 / (1 + squared / 30)
        noise *= np.float32(0.7) * near
        noise += np.float32(self.cover + 0.6) - np.float32(0.6) * near
        return np.float32(self.depth) * np.clip(noise, 0, 2) * np.minimum(np.sqrt(1 + squared), 4)

    def veil(self, light: np.ndarray, share: float, position: tuple[np.ndarray, np.ndarray], t_s: float) -> np.ndarray:
        """Return `light` (p,) behind a `share` of this cloud, with the cloud's own light, kR."""
        thickness = np.float32(share) * self.thickness(position, t_s)
        passing = np.exp(-thickness)
        # Thick parts are darker than thin ones in light from above, and brighter in light from below.
        diffuse = np.float32(0.5 * light.mean()) * (1 + passing)
        diffuse += np.float32(self.town_kr) * (1 + 3 * thickness / (thickness + 15))
        return light * passing + diffuse * (1 - passing)


def cloud_position(camera: Camera) -> tuple[np.ndarray, np.ndarray]:
    """Return the east and north distance in km where each pixel meets the cloud layer, each (size, size)."""
    return camera.ground_position(_CLOUD_KM)


def direction_vector(azimuth: np.ndarray | float, elevation: np.ndarray | float) -> np.ndarray:
    """Return the unit vector (east, north, up) of a direction in degrees, float32, shape (3, ...)."""
    azimuth, elevation = np.radians(azimuth), np.radians(elevation)
    flat = np.cos(elevation)
    return np.stack([flat * np.sin(azimuth), flat * np.cos(azimuth), np.sin(elevation)]).astype(np.float32)


def airglow(toward: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return airglow of a thin layer (van Rhijn 1921) with extinction, brighter on a random side: kR, shape (p,)."""
    slant = 1 / np.sqrt(1 - (6371.0 / (6371.0 + 95.0)) ** 2 * (1 - toward[2] ** 2))
    side = direction_vector(rng.uniform(0, 360), 0.0) @ toward
    return (1.4 * slant**0.5 * (1 + 0.3 * side)).astype(np.float32)
