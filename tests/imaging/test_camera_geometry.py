"""Where light comes from, and maps."""

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import AltAz, EarthLocation
from astropy.time import Time

from pyspedas_similarity.imaging.camera_geometry import Map, _to_dipole, direction_of, emission_position

SITES = [(62.4, -145.2), (-69.0, 39.6), (0.0, 179.9)]
HEIGHT = 110.0


@pytest.mark.parametrize("site", SITES)
def test_light_is_where_astropy_says(site):
    time, station = Time("2011-01-06T17:00:00"), EarthLocation.from_geodetic(site[1], site[0], 0)
    light = EarthLocation.from_geodetic(site[1] + np.array([2.0, -3, 1]), site[0] + np.array([1.0, 2, -3]), 110e3)
    # As seen by one who stands there: without the light's travel, which stars have and aurora has not.
    seen = light.get_itrs(time, location=station).transform_to(AltAz(obstime=time, location=station))
    there = light.geodetic
    azimuth, elevation = direction_of(there.lat.deg, there.lon.deg, HEIGHT, site)
    np.testing.assert_allclose(elevation, seen.alt.to_value(u.deg), atol=1e-4)
    np.testing.assert_allclose(azimuth, seen.az.to_value(u.deg), atol=1e-4)
    latitude, longitude = emission_position(azimuth, elevation, *site, HEIGHT)
    np.testing.assert_allclose(latitude, there.lat.deg, atol=1e-4)
    np.testing.assert_allclose((longitude - there.lon.deg + 180) % 360 - 180, 0, atol=1e-4)


@pytest.mark.parametrize("site", SITES)
def test_direction_is_the_inverse_of_position(site):
    azimuth, elevation = np.meshgrid(np.arange(0.0, 360, 15), np.arange(1.0, 89, 8))
    found = direction_of(*emission_position(azimuth, elevation, *site, HEIGHT), HEIGHT, site)
    np.testing.assert_allclose(found[1], elevation, atol=3e-4)
    np.testing.assert_allclose((found[0] - azimuth + 180) % 360 - 180, 0, atol=2e-3)


def test_nothing_comes_from_below_the_horizon_and_the_zenith_is_above():
    latitude, longitude = emission_position(np.array([10.0, 0.0]), np.array([-1.0, 90.0]), 62.4, -145.2, HEIGHT)
    assert np.isnan(latitude[0]) and np.isnan(longitude[0])
    np.testing.assert_allclose((latitude[1], longitude[1]), (62.4, -145.2), atol=1e-3)


def test_the_dipole_has_its_pole_where_igrf_puts_it():
    # Alken et al. 2021, Table 3: geomagnetic north pole of IGRF-13 in 2020.0 at 80.65 N, 72.68 W.
    # Those are geodetic; on the sphere that is taken here, latitudes there differ by 0.06 degrees.
    assert _to_dipole(np.array([80.59]), np.array([-72.68]))[0][0] == pytest.approx(90, abs=0.01)
    assert _to_dipole(np.array([-80.59]), np.array([107.32]))[0][0] == pytest.approx(-90, abs=0.01)
    # Zero longitude runs from there through the geographic south pole, and east is positive.
    latitude, longitude = _to_dipole(np.array([-90.0, 0.0]), np.array([0.0, 17.32]))
    np.testing.assert_allclose((latitude[0], longitude[0]), (-80.59, 0), atol=0.01)
    assert longitude[1] == pytest.approx(90, abs=0.01)


def test_a_map_has_north_up_east_right_and_its_scale():
    latitude, longitude = Map(60.0, 20.0, 800.0, 80).positions()
    middle = latitude[39:41, 39:41].mean(), longitude[39:41, 39:41].mean()
    np.testing.assert_allclose(middle, (60, 20), atol=1e-3)
    assert (np.diff(latitude[:, 40]) < 0).all() and (np.diff(longitude[40]) > 0).all()
    # 790 km from the middle of the first to that of the last pixel, on a sphere of 6371 km.
    assert latitude[0, 40] - latitude[-1, 40] == pytest.approx(np.degrees(790 / 6371.0088), rel=1e-3)


def test_a_magnetic_map_has_the_dipoles_north_up():
    latitude, longitude = Map(62.4, -145.2, 800.0, 81, magnetic=True).positions()
    np.testing.assert_allclose((latitude[40, 40], longitude[40, 40]), (62.4, -145.2), atol=1e-6)
    up, along = _to_dipole(latitude, longitude)
    np.testing.assert_allclose(along[:, 40], along[40, 40], atol=1e-6)
    assert (np.diff(up[:, 40]) < 0).all() and (np.diff(along[40]) > 0).all()
