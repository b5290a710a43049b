"""The night sky as a fisheye camera sees it: directions of pixels, stars, Moon, twilight, airglow, clouds, and counts.

Light is in kR. Stars and Moon rotate about the pole; they are random, not from a catalog or ephemeris. In a frame,
before the camera's own rotation, north is up and east to the right, as on a map.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..imaging.camera_geometry import MEAN_RADIUS_KM, View
from .timeline import Drawn, uniform

LAYER_KM = 110.0
_TEXELS = 256
# Rotation of the Earth relative to the stars, degrees per second (Astronomical Almanac, 2020, section B).
SIDEREAL_DEG_S = 360.98564736629 / 86400
# The Moon lags behind the stars by 360 degrees per sidereal month (27.321662 days).
MOON_DEG_S = SIDEREAL_DEG_S - 360 / (27.321662 * 86400)
_STARS = 1200
CLOUD_KM = 6.0


@dataclass(frozen=True)
class Camera:
    """A fisheye camera whose zenith angle grows linearly from the center to `edge_deg` at the rim.

    Dark level, read noise and counts per electron are those of a raw THEMIS file (Gakona, 2011-01-06): 2300, 20 and
    about 1.8, the last from the variance between frames above the read noise. `counts_per_kr` is assumed.

    `size` in pixels along each side, `radius` of the disc as a share of it, `vignetting` the share of the light lost at
    the rim, `rotation_deg` the azimuth of the upward direction, `offset` of the zenith in pixels to the right and down,
    `trees_deg` the elevation of the highest trees.
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


class Texture:
    """Fractal noise that repeats every 256 texels, with mean 0 and variance 1.

    Its amplitude is proportional to the wavenumber to the power of ``-slope``: larger is smoother.
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


def to_km(latitude: np.ndarray, longitude: np.ndarray, reference: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Return kilometers east and north of a point (degrees), by great circles: the inverse of `from_offsets`."""
    latitude, start = np.radians(np.asarray(latitude, float)), np.radians(reference[0])
    east = np.radians(np.asarray(longitude, float) - reference[1])
    y = np.cos(start) * np.sin(latitude) - np.sin(start) * np.cos(latitude) * np.cos(east)
    x = np.cos(latitude) * np.sin(east)
    up = np.sin(start) * np.sin(latitude) + np.cos(start) * np.cos(latitude) * np.cos(east)
    distance = MEAN_RADIUS_KM * np.arctan2(np.hypot(x, y), up)
    bearing = np.arctan2(x, y)
    return distance * np.sin(bearing), distance * np.cos(bearing)


def horizontal(hour_angle: np.ndarray, declination: np.ndarray, latitude: float) -> tuple[np.ndarray, np.ndarray]:
    """Return azimuth (0 to 360) and elevation of a position on the celestial sphere, in degrees.

    The hour angle is positive toward the west; `latitude` is that of the observer.
    """
    hour, declination, latitude = np.radians(hour_angle), np.radians(declination), np.radians(latitude)
    east = -np.cos(declination) * np.sin(hour)
    north = np.cos(latitude) * np.sin(declination) - np.sin(latitude) * np.cos(declination) * np.cos(hour)
    up = np.sin(latitude) * np.sin(declination) + np.cos(latitude) * np.cos(declination) * np.cos(hour)
    return np.degrees(np.arctan2(east, north)) % 360, np.degrees(np.arctan2(up, np.hypot(east, north)))


@dataclass(frozen=True, eq=False)
class Stars:
    """Random stars, uniform over the whole sphere: right ascension and declination in degrees, each (k,).

    At the first sample right ascension 0 crosses the meridian of longitude 0. The brightness, from a power law, is in
    kR in the brightest pixel of a camera of 256 pixels.
    """

    right_ascension: np.ndarray
    declination: np.ndarray
    brightness: np.ndarray

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Stars:
        """Draw 1200 stars."""
        return cls(
            right_ascension=rng.uniform(0, 360, _STARS),
            declination=np.degrees(np.arcsin(rng.uniform(-1, 1, _STARS))),
            brightness=np.minimum(0.5 * (1 - rng.random(_STARS)) ** -0.8, 25.0),
        )

    def light(self, camera: Camera, t_s: float, latitude: float, longitude: float) -> np.ndarray:
        """Return the light of stars, spots 0.6 pixels wide: kR of every pixel, float32, shape (size * size,)."""
        hour_angle = SIDEREAL_DEG_S * t_s + longitude - self.right_ascension
        azimuth, elevation = horizontal(hour_angle, self.declination, latitude)
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
class Twilight(Drawn):
    """Dawn: a brightness gradient toward the Sun in the east, at `azimuth` in degrees."""

    azimuth: float = uniform(50, 110)
    full_kr: float = uniform(12, 40)
    rise_s: float = uniform(40, 80)

    def light(self, toward: np.ndarray, since_s: float) -> np.ndarray:
        """Return kR of pixels that look `toward` (3, p), `since_s` seconds after the start: float32, shape (p,)."""
        cosine = direction_vector(self.azimuth, 0.0) @ toward
        level = self.full_kr / (1 + np.exp(2.5 - since_s / self.rise_s))
        return np.float32(level) * np.exp(np.float32(2.2) * (cosine - 1) - toward[2] + np.float32(0.3))


@dataclass(frozen=True, eq=False)
class Cloud:
    """A drifting layer of fractal cloud: two layers of noise with different motion, so that shapes change.

    Noise above -`cover` is cloud: -0.5 for broken, 2 for nearly closed cloud. `depth` is the optical depth of thick
    parts, `scale_km` the size of a texel, `town_kr` light from towns below.
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
        squared = (position[0] ** 2 + position[1] ** 2) / np.float32(CLOUD_KM**2)
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
