"""Planes of velocity space against distributions whose moments are known."""

import numpy as np
import pytest

from pyspedas_similarity.errors import VariableError
from pyspedas_similarity.imaging.distributions import ELECTRON_VOLT, MASS_KG, distribution_images
from pyspedas_similarity.imaging.recipe import DistributionRecipe

AZIMUTH = np.arange(32) * 11.25 + 5.625
POLAR = np.arange(16) * 11.25 + 5.625
ENERGY = np.geomspace(10, 17800, 32)
PIXEL = 2 * 1000 / 32  # km/s, of the default recipe


def maxwellian(velocity, thermal_speed=150.0, azimuth=AZIMUTH):
    """Phase space density in the instrument's bins; `velocity` and `thermal_speed` in km/s."""
    speed = np.sqrt(2 * ENERGY * ELECTRON_VOLT / MASS_KG["ion"]) / 1e3
    phi, theta = np.radians(azimuth)[:, None, None], np.radians(POLAR)[None, :, None]
    look = np.stack(np.broadcast_arrays(np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)))
    particle = -look * speed  # a particle flies against the look direction
    distance = sum((particle[i] - velocity[i]) ** 2 for i in range(3))
    return (1e-20 * np.exp(-distance / thermal_speed**2))[None]


def centre_of(plane):
    """Mean position of the brightest parts, in km/s: (to the right, upward)."""
    weight = np.where(np.isfinite(plane), plane, 0) ** 4
    axis = (np.arange(len(plane)) + 0.5) * PIXEL - 1000
    return (weight.sum(0) @ axis) / weight.sum(), (weight.sum(1) @ axis) / weight.sum()


@pytest.mark.parametrize("velocity", [(-300, 0, 0), (0, 350, 0), (0, 0, -320), (200, -250, 180), (0, 0, 0)])
def test_a_drifting_maxwellian_stands_at_its_velocity(velocity):
    image = distribution_images(maxwellian(velocity), AZIMUTH, POLAR, ENERGY, DistributionRecipe())[0]
    for plane, axes in zip(image, ((0, 1), (0, 2), (1, 2)), strict=True):
        assert centre_of(plane) == pytest.approx([velocity[axis] for axis in axes], abs=PIXEL)


def test_density_along_the_normal_matches_the_integral():
    # Mean along z of a Maxwellian at rest: f(vx, vy, 0) * sqrt(pi) * vth / (2 vmax); all of it is inside the cube.
    recipe = DistributionRecipe(planes=("xy",), blur_pixels=0.0)
    image = distribution_images(maxwellian((0, 0, 0), 250.0), AZIMUTH, POLAR, ENERGY, recipe)[0, 0]
    density = recipe.floor * (recipe.ceiling / recipe.floor) ** image
    axis = (np.arange(32) + 0.5) * PIXEL - 1000
    expected = 1e-20 * np.exp(-(axis[:, None] ** 2 + axis**2) / 250.0**2) * np.sqrt(np.pi) * 250.0 / 2000
    bright = expected > 1e-23
    # Bins are up to 25 % wide in energy: the nearest bin stands for its whole width.
    assert np.median(density[bright] / expected[bright]) == pytest.approx(1, abs=0.1)


def test_azimuth_tables_that_turn_leave_the_image_in_place():
    recipe = DistributionRecipe()
    still = distribution_images(maxwellian((-300, 100, 0)), AZIMUTH, POLAR, ENERGY, recipe)
    for turn in (1.0, 3.7, 11.25, 200.0):
        turned = (AZIMUTH + turn) % 360
        image = distribution_images(maxwellian((-300, 100, 0), azimuth=turned), turned, POLAR, ENERGY, recipe)
        assert centre_of(image[0, 0]) == pytest.approx(centre_of(still[0, 0]), abs=PIXEL / 2)


def test_the_order_of_the_sectors_does_not_matter():
    order = np.random.default_rng(1).permutation(32)
    density = maxwellian((-300, 100, 50))
    recipe = DistributionRecipe()
    np.testing.assert_array_equal(
        distribution_images(density[:, order], AZIMUTH[order], POLAR, ENERGY, recipe),
        distribution_images(density, AZIMUTH, POLAR, ENERGY, recipe),
    )


def test_tables_per_sample_are_those_of_their_sample():
    two = np.concatenate([maxwellian((-300, 0, 0)), maxwellian((-300, 0, 0), azimuth=(AZIMUTH + 90) % 360)])
    tables = np.stack([AZIMUTH, (AZIMUTH + 90) % 360])
    images = distribution_images(two, tables, POLAR, np.stack([ENERGY, ENERGY]), DistributionRecipe())
    assert np.corrcoef(images[0].ravel(), images[1].ravel())[0, 1] > 0.99


def test_beyond_the_energies_nothing_is_claimed():
    slow = np.geomspace(10, 1000, 32)  # up to 438 km/s
    recipe = DistributionRecipe(planes=("xy",))
    image = distribution_images(np.ones((1, 32, 16, 32)), AZIMUTH, POLAR, slow, recipe)[0, 0]
    axis = (np.arange(32) + 0.5) * PIXEL - 1000
    speed = np.hypot(axis[:, None], axis)
    assert np.isnan(image[speed > 470]).all()
    assert np.isfinite(image[speed < 400]).all()


def test_missing_bins_and_samples():
    density = np.concatenate([maxwellian((0, 0, 0)), np.full((1, 32, 16, 32), np.nan), np.zeros((1, 32, 16, 32))])
    density[0, :5] = -1e31  # the fill value of the files
    images = distribution_images(density, AZIMUTH, POLAR, ENERGY, DistributionRecipe())
    assert np.isnan(images[1]).all()
    assert np.nanmax(images[2]) == 0  # counted, and nothing there
    assert centre_of(images[0, 2])[1] == pytest.approx(0, abs=PIXEL)
    assert images.min(initial=0, where=np.isfinite(images)) == 0


def test_the_input_is_left_as_it_is():
    density = maxwellian((0, 0, 0))
    before = density.copy()
    distribution_images(density, AZIMUTH, POLAR, ENERGY, DistributionRecipe())
    np.testing.assert_array_equal(density, before)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"azimuth": AZIMUTH[:-1]}, "azimuth"),
        ({"polar": np.full(16, np.nan)}, "polar"),
        ({"energy_ev": ENERGY[::-1]}, "energy"),
        ({"energy_ev": ENERGY - 100}, "energy"),
        ({"density": np.zeros((2, 32, 16))}, "distribution"),
    ],
)
def test_tables_that_do_not_fit(wrong, named):
    given = {"density": np.zeros((1, 32, 16, 32)), "azimuth": AZIMUTH, "polar": POLAR, "energy_ev": ENERGY, **wrong}
    with pytest.raises(VariableError, match=named):
        distribution_images(**given, recipe=DistributionRecipe())
