r"""Geometry of cameras: directions of pixels, positions of emission, and common maps of several cameras.

Light that a pixel sees is taken to come from one height, where the line of sight pierces it::

            * aurora at height h
           /
          /
         / elevation, azimuth (clockwise from north)
    ____o____________  WGS84 ellipsoid
      camera

Every image made with a view has north up and east to the right, as seen on a map. Seen from below, as a person lying
on their back with the head to the north would, east is to the left.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

# WGS84 (NIMA TR8350.2): half axes in km.
_EQUATOR_KM, _POLE_KM = 6378.137, 6356.7523142
MEAN_RADIUS_KM = 6371.0088
# IGRF-13 for 2020.0 (Alken et al. 2021, doi 10.1186/s40623-020-01288-x): g10, g11, h11 in nT.
_DIPOLE_NT = (-29404.8, -1450.9, 4652.5)


@dataclass(frozen=True, eq=False)
class View:
    """Directions of the pixels of a camera.

    Attributes
    ----------
    latitude, longitude : float
        Of the camera, geodetic degrees, east positive, longitude from -180 to 180.
    azimuth, elevation : numpy.ndarray, shape (row, column)
        Of the middle of each pixel, degrees; azimuth clockwise from north, elevation from the horizon; NaN where the
        lens shows nothing.
    """

    latitude: float
    longitude: float
    azimuth: np.ndarray
    elevation: np.ndarray


@dataclass(frozen=True)
class Map:
    """A square map, north up and east to the right, equidistant from its center.

    Attributes
    ----------
    latitude, longitude : float
        Of the center, geographic degrees.
    width_km : float
        From edge to edge, on the ground.
    pixels : int
    magnetic : bool
        Whether up is the north of the centered dipole instead of the Earth's axis.
    """

    latitude: float
    longitude: float
    width_km: float
    pixels: int
    magnetic: bool = False

    def positions(self) -> tuple[np.ndarray, np.ndarray]:
        """Geographic latitude and longitude of the middle of each pixel, degrees, each (pixels, pixels)."""
        offset = (np.arange(self.pixels) - (self.pixels - 1) / 2) * self.width_km / self.pixels
        east, north = np.meshgrid(offset, -offset)
        center = np.array([self.latitude]), np.array([self.longitude])
        frame = _to_dipole(*center) if self.magnetic else center
        latitude, longitude = from_offsets(east, north, (float(frame[0][0]), float(frame[1][0])))
        return _from_dipole(latitude, longitude) if self.magnetic else (latitude, longitude)


def emission_position(
    azimuth: np.ndarray, elevation: np.ndarray, latitude: float, longitude: float, height_km: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the positions where lines of sight reach a height.

    Parameters
    ----------
    azimuth, elevation : numpy.ndarray, any shape
        Degrees.
    latitude, longitude : float
        Of the camera, geodetic degrees.
    height_km : float

    Returns
    -------
    tuple of numpy.ndarray
        Geodetic latitude and longitude (-180 to 180) in degrees, NaN below the horizon.

    Notes
    -----
    The height's surface is taken as the ellipsoid with half axes longer by it, which is wrong by less than a metre at
    auroral heights.
    """
    east, north, up = _direction(azimuth, elevation)
    origin = _to_cartesian(latitude, longitude, 0.0)
    axes = _local_axes(latitude, longitude)
    ray = east[..., None] * axes[0] + north[..., None] * axes[1] + up[..., None] * axes[2]
    half = np.array([_EQUATOR_KM, _EQUATOR_KM, _POLE_KM]) + height_km
    a, b, c = ((ray / half) ** 2).sum(-1), (ray * origin / half**2).sum(-1), ((origin / half) ** 2).sum() - 1
    distance = (-b + np.sqrt(b**2 - a * c)) / a
    x, y, z = np.moveaxis(origin + distance[..., None] * ray, -1, 0)
    found = np.degrees(np.arctan2(z / half[2] ** 2, np.hypot(x, y) / half[0] ** 2)), np.degrees(np.arctan2(y, x))
    return tuple(np.where(up >= 0, value, np.nan) for value in found)  # type: ignore[return-value]


def direction_of(
    latitude: np.ndarray, longitude: np.ndarray, height_km: float, site: tuple[float, float]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the direction of a point from a camera: the inverse of `emission_position`.

    Parameters
    ----------
    latitude, longitude : numpy.ndarray, any shape
        Geodetic degrees.
    height_km : float
    site : tuple of float
        Latitude and longitude of the camera.

    Returns
    -------
    tuple of numpy.ndarray
        Azimuth (0 to 360) and elevation in degrees, below 0 for what is under the horizon.
    """
    away = _to_cartesian(latitude, longitude, height_km) - _to_cartesian(*site, 0.0)
    east, north, up = (away @ axis for axis in _local_axes(*site))
    return np.degrees(np.arctan2(east, north)) % 360, np.degrees(np.arctan2(up, np.hypot(east, north)))


def from_offsets(
    east_km: np.ndarray, north_km: np.ndarray, center: tuple[float, float]
) -> tuple[np.ndarray, np.ndarray]:
    """Points at a distance from a center, by great circles on the mean sphere.

    Parameters
    ----------
    east_km, north_km : numpy.ndarray, any shape
        Distance times sine and cosine of the bearing.
    center : tuple of float
        Latitude and longitude, degrees.

    Returns
    -------
    tuple of numpy.ndarray
        Latitude and longitude (-180 to 180), degrees.
    """
    arc, bearing = np.hypot(east_km, north_km) / MEAN_RADIUS_KM, np.arctan2(east_km, north_km)
    start = np.radians(center[0])
    sine = np.sin(start) * np.cos(arc) + np.cos(start) * np.sin(arc) * np.cos(bearing)
    turned = np.arctan2(np.sin(bearing) * np.sin(arc) * np.cos(start), np.cos(arc) - np.sin(start) * sine)
    return np.degrees(np.arcsin(sine)), (center[1] + np.degrees(turned) + 180) % 360 - 180


def _direction(azimuth: np.ndarray, elevation: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Unit vector toward east, north and up."""
    azimuth, elevation = (np.radians(np.asarray(angle, float)) for angle in (azimuth, elevation))
    flat = np.cos(elevation)
    return flat * np.sin(azimuth), flat * np.cos(azimuth), np.sin(elevation)


def _to_cartesian(latitude: np.ndarray | float, longitude: np.ndarray | float, height_km: float) -> np.ndarray:
    """Earth-centered position in km, (..., 3)."""
    latitude, longitude = np.radians(latitude), np.radians(longitude)
    squared = (_POLE_KM / _EQUATOR_KM) ** 2
    normal = _EQUATOR_KM / np.sqrt(np.cos(latitude) ** 2 + squared * np.sin(latitude) ** 2)
    flat = (normal + height_km) * np.cos(latitude)
    z = (squared * normal + height_km) * np.sin(latitude)
    return np.stack([flat * np.cos(longitude), flat * np.sin(longitude), z], -1)


def _local_axes(latitude: float, longitude: float) -> np.ndarray:
    """East, north and up as Earth-centered unit vectors, (3, 3)."""
    lat, lon = np.radians(latitude), np.radians(longitude)
    east = [-np.sin(lon), np.cos(lon), 0.0]
    north = [-np.sin(lat) * np.cos(lon), -np.sin(lat) * np.sin(lon), np.cos(lat)]
    return np.array([east, north, np.cross(east, north)])


@cache
def _dipole_axes() -> np.ndarray:
    """Axes of dipole coordinates as geographic unit vectors, (3, 3): the last one toward the northern pole."""
    g10, g11, h11 = _DIPOLE_NT
    pole = -np.array([g11, h11, g10]) / np.linalg.norm(_DIPOLE_NT)
    y = np.cross([0.0, 0.0, 1.0], pole)  # zero longitude runs through the geographic south pole
    y /= np.linalg.norm(y)
    return np.array([np.cross(y, pole), y, pole])


def _to_dipole(latitude: np.ndarray, longitude: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return _angles(_on_sphere(latitude, longitude) @ _dipole_axes().T)


def _from_dipole(latitude: np.ndarray, longitude: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return _angles(_on_sphere(latitude, longitude) @ _dipole_axes())


def _on_sphere(latitude: np.ndarray, longitude: np.ndarray) -> np.ndarray:
    latitude, longitude = np.radians(latitude), np.radians(longitude)
    flat = np.cos(latitude)
    return np.stack([flat * np.cos(longitude), flat * np.sin(longitude), np.sin(latitude)], -1)


def _angles(vector: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    x, y, z = np.moveaxis(vector, -1, 0)
    return np.degrees(np.arctan2(z, np.hypot(x, y))), np.degrees(np.arctan2(y, x))


# Geodetic latitude and longitude, degrees, of the cameras of the THEMIS ground-based observatories: those of
# thm_asi_stations.pro, and of Resolute Bay in thm_asi_create_mosaic.pro, both in SPEDAS (projects/themis/ground).
STATIONS = {
    "atha": (54.714, -113.314),
    "chbg": (49.814, -74.419),
    "ekat": (64.733, -110.670),
    "fsim": (61.762, -121.221),
    "fsmi": (59.984, -111.842),
    "fykn": (66.560, -145.214),
    "gako": (62.407, -145.158),
    "gbay": (53.316, -60.460),
    "gill": (56.354, -94.656),
    "inuv": (68.413, -133.770),
    "kapu": (49.392, -82.320),
    "kian": (66.971, -160.438),
    "kuuj": (58.155, -68.532),
    "mcgr": (62.953, -155.596),
    "nrsq": (61.162, -45.442),
    "pgeo": (53.815, -122.828),
    "pina": (50.163, -96.066),
    "rank": (62.828, -92.113),
    "resu": (74.733, -94.900),
    "snap": (63.580, -110.870),
    "snkq": (56.536, -79.231),
    "talo": (69.546, -93.577),
    "tpas": (53.994, -100.941),
    "whit": (61.010, -135.223),
    "yknf": (62.520, -114.313),
}
