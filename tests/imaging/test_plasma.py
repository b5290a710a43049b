"""Moments, axes and interpolation against their definitions."""

import numpy as np
import pytest

from pyspedas_similarity.errors import VariableError
from pyspedas_similarity.imaging.plasma import (
    ELECTRON_VOLT,
    MASS_KG,
    at_times,
    distributions,
    moments,
    plasma_axes,
    speed_of,
)

AZIMUTH, POLAR = np.arange(32) * 11.25 + 5.625, np.arange(16) * 11.25 + 5.625
ENERGY = np.geomspace(2, 30000, 64)
SECOND = np.timedelta64(1_000_000_000, "ns")
START = np.datetime64("2015-10-16", "ns")


@pytest.mark.parametrize(
    ("species", "density", "velocity", "temperature"),
    [
        ("ion", 12.0, (-250, 60, -120), 300.0),
        ("electron", 5.0, (400, -300, 100), 80.0),
        ("ion", 0.3, (0, 0, 0), 2000.0),
    ],
)
def test_moments_of_a_maxwellian_come_back(species, density, velocity, temperature):
    thermal = speed_of(temperature, species)
    speed = speed_of(ENERGY, species)
    phi, theta = np.radians(AZIMUTH)[:, None, None], np.radians(POLAR)[None, :, None]
    look = np.stack(np.broadcast_arrays(np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)))
    distance = sum((-look[i] * speed - velocity[i]) ** 2 for i in range(3))
    density_of_phase_space = density / (np.pi**1.5 * (thermal * 1e5) ** 3) * np.exp(-distance / thermal**2)
    found = moments(distributions(density_of_phase_space[None], AZIMUTH, POLAR, ENERGY, species))
    assert found.density[0] == pytest.approx(density, rel=0.03)
    np.testing.assert_allclose(found.velocity[0], velocity, atol=0.03 * thermal)
    assert found.temperature[0] == pytest.approx(temperature, rel=0.05)
    assert found.thermal_speed(species)[0] == pytest.approx(thermal, rel=0.03)


def test_moments_of_nothing_are_not_known():
    found = moments(distributions(np.zeros((2, 32, 16, 64)), AZIMUTH, POLAR, ENERGY))
    assert (found.density == 0).all() and np.isnan(found.velocity).all() and np.isnan(found.temperature).all()


def test_energies_left_out_do_not_count():
    density = np.zeros((1, 32, 16, 64))
    density[..., :10] = 1e-20
    measured = distributions(density, AZIMUTH, POLAR, ENERGY)
    assert moments(measured).density[0] > 0
    assert moments(measured, energy_min_ev=ENERGY[10]).density[0] == 0


def test_speed_and_energy():
    assert 0.5 * MASS_KG["electron"] * (speed_of(100.0, "electron") * 1e3) ** 2 == pytest.approx(100 * ELECTRON_VOLT)


def test_axes_are_those_of_the_slice_rotations():
    rng = np.random.default_rng(0)
    field, velocity = rng.normal(size=(2, 50, 3))
    axes = plasma_axes(field, velocity)
    np.testing.assert_allclose(axes @ axes.swapaxes(1, 2), np.broadcast_to(np.eye(3), (50, 3, 3)), atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(axes), 1)
    np.testing.assert_allclose(np.cross(axes[:, 0], field), 0, atol=1e-12)
    assert ((axes[:, 0] * field).sum(1) > 0).all() and ((axes[:, 1] * velocity).sum(1) > 0).all()
    np.testing.assert_allclose((axes[:, 2] * velocity).sum(1), 0, atol=1e-12)


def test_axes_agree_with_pyspedas():
    from pyspedas.particles.spd_slice2d.spd_cal_rot import spd_cal_rot

    field, velocity = np.array([20.0, -35.0, 12.0]), np.array([-180.0, 240.0, 90.0])
    theirs = spd_cal_rot(field, velocity)
    np.testing.assert_allclose(np.abs(plasma_axes(field[None], velocity[None])[0] @ theirs), np.eye(3), atol=1e-6)


def test_a_flow_along_the_field_still_gives_axes():
    axes = plasma_axes(np.array([[1.0, 0, 0], [0, 0, 2.0]]), np.array([[300.0, 0, 0], [0, 0, -5.0]]))
    assert np.isfinite(axes).all()
    np.testing.assert_allclose(axes @ axes.swapaxes(1, 2), np.broadcast_to(np.eye(3), (2, 3, 3)), atol=1e-12)


def test_unknown_fields_give_no_axes():
    axes = plasma_axes(np.array([[0.0, 0, 0], [np.nan, 1, 1], [1, 0, 0]]), np.ones((3, 3)) * [1, 2, 3])
    assert np.isnan(axes).all(axis=(1, 2)).tolist() == [True, True, False]


def test_interpolation_is_linear_and_stops_at_gaps_and_ends():
    times = START + np.array([0, 1, 2, 10, 11]) * SECOND
    values = np.stack([np.array([0, 1, 2, 10, 11.0]), np.array([0, -2, -4, -20, -22.0])], axis=1)
    wanted = START + np.array([0, 500, 1500, 2000, 5000, 10000, 10250, 11400, 11600, -400, -600]) * (SECOND // 1000)
    found = at_times(values, times, wanted, SECOND)
    np.testing.assert_allclose(found[:, 0], [0, 0.5, 1.5, 2, np.nan, 10, 10.25, 11, np.nan, 0, np.nan])
    np.testing.assert_allclose(found[:, 1], -2 * found[:, 0])


def test_rows_that_are_not_finite_widen_the_gap():
    times = START + np.arange(5) * SECOND
    values = np.arange(5.0)[:, None] * np.ones(3)
    values[2, 1] = np.nan
    wanted = START + np.array([500, 1500, 2500, 3500]) * (SECOND // 1000)
    np.testing.assert_allclose(at_times(values, times, wanted, SECOND)[:, 0], [0.5, np.nan, np.nan, 3.5])
    np.testing.assert_allclose(at_times(values, times, wanted, 2 * SECOND)[:, 0], [0.5, 1.5, 2.5, 3.5])
    assert np.isnan(at_times(np.full((5, 3), np.nan), times, wanted, SECOND)).all()


@pytest.mark.parametrize("name", ["field", "velocity", "error", "flags"])
def test_companions_have_the_shape_of_the_samples(name):
    with pytest.raises(VariableError, match=name):
        distributions(np.zeros((2, 32, 16, 64)), AZIMUTH, POLAR, ENERGY, **{name: np.zeros((3, 7))})
