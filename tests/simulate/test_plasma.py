from __future__ import annotations

import numpy as np
import pytest

from pyspedas_similarity.simulate import plasma
from pyspedas_similarity.simulate.plasma import (
    Crescent,
    CutMaxwellian,
    FlatTop,
    Lens,
    LossCone,
    Maxwellian,
    Plasma,
    average_exposures,
    frames_along,
    shape_moments,
    thermal_speed,
    true_moments,
)

SHAPES = (
    Maxwellian(3000.0, 2000.0),
    CutMaxwellian(200.0, 50.0, 20.0, -1),
    FlatTop(7000.0, 5000.0),
    LossCone(9000.0, 35.0, 0.9),
    Lens(11000.0, 7000.0, 660.0),
    Crescent(8000.0, 900.0, 2000.0, 1.5),
)


def test_temperature_is_mass_times_variance():
    assert thermal_speed(100.0, "electron") == pytest.approx(4193.8, rel=1e-4)  # sqrt(kT / m)
    assert thermal_speed(100.0, "ion") == pytest.approx(97.87, rel=1e-4)


def test_moments_of_a_maxwellian_are_those_of_the_formula():
    found = shape_moments(Maxwellian(3000.0, 2000.0))
    assert found.integral == pytest.approx((2 * np.pi) ** 1.5 * 3000.0 * 2000.0**2, rel=1e-6)
    np.testing.assert_allclose(found.mean, 0, atol=1e-9)
    np.testing.assert_allclose(found.covariance, np.diag([9e6, 4e6, 4e6]), rtol=1e-6, atol=1)


def test_moments_of_half_a_maxwellian():
    found = shape_moments(CutMaxwellian(200.0, 0.0, 0.5, -1))
    assert found.integral == pytest.approx(0.5 * (2 * np.pi) ** 1.5 * 200.0**3, rel=1e-2)
    # <|x|> = s sqrt(2 / pi), variance s^2 (1 - 2 / pi)
    np.testing.assert_allclose(found.mean, [-200 * np.sqrt(2 / np.pi), 0, 0], rtol=1e-2, atol=1e-6)
    assert found.covariance[0, 0] == pytest.approx(200.0**2 * (1 - 2 / np.pi), rel=3e-2)


def test_moments_of_the_lens_are_those_of_two_spherical_caps():
    radius, offset = 10000.0, 6000.0
    height = radius - offset
    volume = 2 * np.pi * height**2 * (radius - height / 3)
    assert shape_moments(Lens(radius, offset, 30.0)).integral == pytest.approx(volume, rel=0.01)


def test_crescent_lies_toward_perp1_and_across_b():
    found = shape_moments(Crescent(8000.0, 900.0, 2000.0, 1.5))
    assert 0.5 * 8000 < found.mean[1] < 8000
    np.testing.assert_allclose(found.mean[[0, 2]], 0, atol=1e-6)
    assert found.covariance[0, 0] == pytest.approx(2000.0**2, rel=1e-6)
    assert found.covariance[2, 2] > found.covariance[1, 1]  # it is an arc


@pytest.mark.parametrize("opening", [1.0, 3.0])
def test_crescent_has_half_its_density_where_its_docstring_says(opening: float):
    arc = Crescent(8000.0, 900.0, 2000.0, opening)
    phase = np.radians({1.0: 80.4, 3.0: 58.7}[opening])
    front, side = (arc.value(np.zeros(1), np.full(1, 6.4e7), 8000 * np.cos(np.array([one])))[0] for one in (0.0, phase))
    assert side / front == pytest.approx(0.5, abs=0.005)


def test_loss_cone_is_empty_along_the_field_and_full_across_it():
    shape = LossCone(9000.0, 35.0, 0.9)
    along = shape.value(np.array([-5000.0, 5000.0]), np.full(2, 2.5e7), None)
    across = shape.value(np.zeros(1), np.full(1, 2.5e7), None)
    np.testing.assert_allclose(along / across, 0.1, rtol=1e-3)


def test_flat_top_is_flat_inside_and_gone_at_twice_its_half_axes():
    shape = FlatTop(7000.0, 5000.0)
    along = shape.value(np.array([0.0, 3500.0, 14000.0]), np.array([0.0, 3500.0, 14000.0]) ** 2, None)
    across = shape.value(np.zeros(2), np.array([2500.0, 10000.0]) ** 2, None)
    np.testing.assert_allclose(along[:2], 1, atol=1e-3)
    np.testing.assert_allclose([across[0], along[2], across[1]], [1, 1 / 1025, 1 / 1025], atol=1e-3, rtol=1e-2)


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: type(shape).__name__)
def test_twice_as_many_nodes_change_no_moment(shape: object, monkeypatch: pytest.MonkeyPatch):
    once = shape_moments(shape)
    monkeypatch.setattr(plasma, "_quadrature", lambda: np.polynomial.legendre.leggauss(160))
    twice = shape_moments.__wrapped__(shape)
    scale = np.sqrt(np.trace(twice.covariance))
    assert once.integral == pytest.approx(twice.integral, rel=2e-3)
    np.testing.assert_allclose(once.mean, twice.mean, atol=2e-3 * scale)
    np.testing.assert_allclose(once.covariance, twice.covariance, atol=2e-3 * scale**2)


def test_frames_are_right_handed_with_perp1_toward_what_is_asked():
    frames = frames_along(np.array([[0.0, 0, 3], [1, 1, 0]]), np.array([1.0, 0, 1]))
    np.testing.assert_allclose(frames @ np.swapaxes(frames, 1, 2), np.broadcast_to(np.eye(3), (2, 3, 3)), atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(frames), 1)
    np.testing.assert_allclose(frames[0], [[0, 0, 1], [1, 0, 0], [0, 1, 0]], atol=1e-12)
    assert (frames[:, 1] @ [1, 0, 1] > 0).all()


def test_true_moments_turn_with_the_frame():
    arc, rng = Crescent(8000.0, 900.0, 2000.0, 1.5), np.random.default_rng(0)
    frames = frames_along(rng.standard_normal((1, 5, 3)), rng.standard_normal((1, 5, 3)))
    still = Plasma((arc,), np.full((1, 5), 2.0), np.zeros((1, 5, 3)), frames, "electron")
    density, velocity, temperature = true_moments(still)
    own = shape_moments(arc)
    np.testing.assert_allclose(density, 2)
    np.testing.assert_allclose(velocity, own.mean[1] * frames[0, :, 1], atol=1e-6)
    along = np.einsum("ni,nij,nj->n", frames[0, :, 0], temperature, frames[0, :, 0])
    np.testing.assert_allclose(along, 2 * plasma.ENERGY_AT_1_KM_S["electron"] * 2000.0**2, rtol=1e-6)


def test_averaging_two_beams_gives_their_moments_together():
    frames = np.broadcast_to(np.eye(3), (1, 2, 3, 3))
    velocity = np.array([[[100.0, 0, 0], [-100.0, 0, 0]]])
    beams = Plasma((Maxwellian(50.0, 50.0),), np.array([[3.0, 1.0]]), velocity, frames, "ion")
    density, mean, temperature = true_moments(average_exposures(beams, 2))
    np.testing.assert_allclose(density, [2.0])
    np.testing.assert_allclose(mean, [[50.0, 0, 0]], atol=1e-9)
    # variance 50^2 + (0.75 * 50^2 + 0.25 * 150^2)
    np.testing.assert_allclose(temperature[0, 0, 0], 2 * plasma.ENERGY_AT_1_KM_S["ion"] * 10000, rtol=1e-6)
