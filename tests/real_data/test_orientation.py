"""Stars over Gakona tell how frames and skymap of a THEMIS camera lie to each other."""

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import AltAz, EarthLocation, SkyCoord
from astropy.time import Time
from scipy.ndimage import gaussian_filter, maximum_filter, median_filter
from scipy.spatial import KDTree

from pyspedas_similarity.imaging.camera_geometry import View, direction_of, emission_position
from pyspedas_similarity.instruments.asi_files import read_cdf, read_skymap

FRAMES = "asi/thg_l1_asf_gako_2011010617_v01.cdf"
SKYMAP = "asi/themis_skymap_gako_20110305.sav"
# Right ascension and declination, J2000, degrees.
STARS = {
    "Vega": (279.2347, 38.7837),
    "Arcturus": (213.9153, 19.1824),
    "Deneb": (310.3580, 45.2803),
    "Capella": (79.1723, 45.9980),
    "Alioth": (193.5073, 55.9598),
    "Dubhe": (165.9320, 61.7510),
    "Alkaid": (206.8852, 49.3133),
    "Mizar": (200.9814, 54.9254),
    "Merak": (165.4603, 56.3824),
    "Kochab": (222.6764, 74.1555),
    "Polaris": (37.9546, 89.2641),
    "Alphecca": (233.6720, 26.7147),
}
ORIENTATIONS = {
    "as it is": lambda a: a,
    "up down": lambda a: a[::-1],
    "left right": lambda a: a[:, ::-1],
    "half turn": lambda a: a[::-1, ::-1],
    "transposed": lambda a: a.T,
    "quarter turn": lambda a: a.T[::-1],
    "other quarter turn": lambda a: a.T[:, ::-1],
    "other transposed": lambda a: a.T[::-1, ::-1],
}


def unit_vectors(azimuth, elevation):
    azimuth, elevation = np.broadcast_arrays(np.radians(azimuth), np.radians(elevation))
    east, north = np.cos(elevation) * np.sin(azimuth), np.cos(elevation) * np.cos(azimuth)
    return np.stack([east, north, np.sin(elevation)], -1)


def stars_above(view, time, lowest=20):
    """Azimuth and elevation of the stars, degrees."""
    there = EarthLocation(lon=view.longitude * u.deg, lat=view.latitude * u.deg)
    found = SkyCoord(list(STARS.values()), unit="deg").transform_to(AltAz(obstime=Time(str(time)), location=there))
    high = found.alt.deg > lowest
    return found.az.deg[high], found.alt.deg[high]


def light_at(points, view, azimuth, elevation, rotations):
    """Mean over the stars of what is seen within two pixels of their places, for each rotation of the sky."""
    known = np.isfinite(view.azimuth) & (view.elevation > 15)
    seen = unit_vectors(view.azimuth[known], view.elevation[known])
    brightest = maximum_filter(points, 5)[known]
    stars = unit_vectors(azimuth[:, None] + rotations, elevation[:, None])
    nearest = KDTree(seen).query(stars)[1]
    # One star or planet shall not outweigh the others.
    return np.minimum(brightest[nearest], 60).mean(axis=0)


@pytest.fixture
def gako(real_data):
    frames, skymap = read_cdf(real_data(FRAMES)), read_skymap(real_data(SKYMAP))
    return frames, skymap


def test_the_stars_say_that_frames_are_the_skymap_turned_by_half_a_circle(gako):
    frames, skymap = gako
    mean = frames.values.astype(float).mean(axis=0)
    points = gaussian_filter(mean, 0.8) - median_filter(mean, 11)
    points /= 1.48 * np.median(np.abs(points))
    azimuth, elevation = stars_above(skymap, frames.times[len(frames.times) // 2])
    assert len(azimuth) >= 8
    rotations = np.arange(-180, 180)
    light = {}
    for name, turn in ORIENTATIONS.items():
        view = View(skymap.latitude, skymap.longitude, turn(skymap.azimuth), turn(skymap.elevation))
        light[name] = light_at(points, view, azimuth, elevation, rotations)
    best = light["half turn"]
    assert abs(rotations[np.argmax(best)]) <= 3
    assert best.max() > 1.5 * best[np.abs(rotations) > 10].max()
    others = [light[name].max() for name in ("up down", "left right", "transposed", "other transposed")]
    assert best.max() > 1.5 * max(others)
    # Turns by half and quarter circles are rotations of the same sky: unturned they do not fit.
    for name in set(ORIENTATIONS) - {"half turn"}:
        assert best.max() > 1.5 * light[name][np.abs(rotations) <= 10].max(), name


def test_the_skymap_has_its_corners_where_lines_of_sight_meet_the_light(gako):
    _, skymap = gako
    for latitudes, longitudes, height in zip(
        skymap.map_latitude, skymap.map_longitude, skymap.map_altitude_km, strict=True
    ):
        found = emission_position(skymap.azimuth, skymap.elevation, skymap.latitude, skymap.longitude, float(height))
        middle, east = (
            (corner[:-1, :-1] + corner[1:, :-1] + corner[:-1, 1:] + corner[1:, 1:]) / 4
            for corner in (latitudes, longitudes)
        )
        high = np.isfinite(middle) & (skymap.elevation > 25)
        assert high.sum() > 15000
        assert np.abs(found[0] - middle)[high].max() < 0.01
        assert np.abs((found[1] - east + 180) % 360 - 180)[high].max() < 0.01
        back = direction_of(*found, float(height), (skymap.latitude, skymap.longitude))
        np.testing.assert_allclose(back[1][high], skymap.elevation[high], atol=3e-4)
