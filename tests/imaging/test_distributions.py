"""Planes of velocity space against distributions whose moments are known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyspedas_similarity.errors import VariableError
from pyspedas_similarity.imaging import distributions as imaging
from pyspedas_similarity.imaging.plasma import ELECTRON_VOLT, MASS_KG, distributions
from pyspedas_similarity.imaging.recipes import DistributionRecipe

AZIMUTH = np.arange(32) * 11.25 + 5.625
POLAR = np.arange(16) * 11.25 + 5.625
ENERGY = np.geomspace(10, 17800, 32)
PIXEL = 2 * 1000 / 32  # km/s, of the default recipe


def distribution_images(density, azimuth, polar, energy_ev, recipe, **companions):
    return imaging.distribution_images(distributions(density, azimuth, polar, energy_ev, **companions), recipe)


def maxwellian(velocity, thermal_speed=150.0, azimuth=AZIMUTH):
    """Phase space density in the instrument's bins; `velocity` and `thermal_speed` in km/s."""
    speed = np.sqrt(2 * ENERGY * ELECTRON_VOLT / MASS_KG["ion"]) / 1e3
    phi, theta = np.radians(azimuth)[:, None, None], np.radians(POLAR)[None, :, None]
    look = np.stack(np.broadcast_arrays(np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)))
    particle = -look * speed  # a particle flies against the look direction
    distance = sum((particle[i] - velocity[i]) ** 2 for i in range(3))
    return (1e-20 * np.exp(-distance / thermal_speed**2))[None]


def center_of(plane):
    """Mean position of the brightest parts, in km/s: (to the right, upward)."""
    weight = np.where(np.isfinite(plane), plane, 0) ** 4
    axis = (np.arange(len(plane)) + 0.5) * PIXEL - 1000
    return (weight.sum(0) @ axis) / weight.sum(), (weight.sum(1) @ axis) / weight.sum()


@pytest.mark.parametrize("velocity", [(-300, 0, 0), (0, 350, 0), (0, 0, -320), (200, -250, 180), (0, 0, 0)])
def test_a_drifting_maxwellian_stands_at_its_velocity(velocity):
    image = distribution_images(maxwellian(velocity), AZIMUTH, POLAR, ENERGY, DistributionRecipe())[0]
    for plane, axes in zip(image, ((0, 1), (0, 2), (1, 2)), strict=True):
        assert center_of(plane) == pytest.approx([velocity[axis] for axis in axes], abs=PIXEL)


def test_density_along_the_normal_matches_the_integral():
    # Mean along z of a Maxwellian at rest: f(vx, vy, 0) * sqrt(pi) * vth / (2 vmax); all of it is inside the cube.
    recipe = DistributionRecipe(planes=("xy",), blur=0.0, depth=16, floor=1e-25, ceiling=1e-20)
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
        assert center_of(image[0, 0]) == pytest.approx(center_of(still[0, 0]), abs=PIXEL / 2)


def test_the_order_of_the_sectors_does_not_matter():
    order = np.random.default_rng(1).permutation(32)
    # Turned, so that no point of the grid lies on the edge of two sectors: there, rounding decides, which differs
    # between processors.
    azimuth = (AZIMUTH + 1.3) % 360
    density = maxwellian((-300, 100, 50), azimuth=azimuth)
    recipe = DistributionRecipe()
    np.testing.assert_allclose(
        distribution_images(density[:, order], azimuth[order], POLAR, ENERGY, recipe),
        distribution_images(density, azimuth, POLAR, ENERGY, recipe),
        atol=1e-6,
    )


def test_tables_per_sample_are_those_of_their_sample():
    two = np.concatenate([maxwellian((-300, 0, 0)), maxwellian((-300, 0, 0), azimuth=(AZIMUTH + 90) % 360)])
    tables = np.stack([AZIMUTH, (AZIMUTH + 90) % 360])
    images = distribution_images(two, tables, POLAR, np.stack([ENERGY, ENERGY]), DistributionRecipe())
    assert np.corrcoef(images[0].ravel(), images[1].ravel())[0, 1] > 0.99


def test_beyond_the_energies_nothing_is_claimed():
    slow = np.geomspace(10, 1000, 32)  # up to 438 km/s
    recipe = DistributionRecipe(planes=("xy",), depth=0)
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
    assert center_of(images[0, 2])[1] == pytest.approx(0, abs=PIXEL)
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
        ({"polar": 90 - POLAR}, "latitudes"),
        ({"polar": 2 * POLAR}, "azimuths"),
        ({"energy_ev": ENERGY[::-1]}, "energy"),
        ({"energy_ev": ENERGY - 100}, "energy"),
        ({"density": np.zeros((2, 32, 16))}, "distribution"),
    ],
)
def test_tables_that_do_not_fit(wrong, named):
    given = {"density": np.zeros((1, 32, 16, 32)), "azimuth": AZIMUTH, "polar": POLAR, "energy_ev": ENERGY, **wrong}
    with pytest.raises(VariableError, match=named):
        distribution_images(**given, recipe=DistributionRecipe())


FIELD_PLANES = ("perp1-perp2", "par-perp1", "par-perp2")
SOME_FIELD, SOME_FLOW = np.array([20.0, -35.0, 12.0]), np.array([-180.0, 240.0, 90.0])


def axes_of(field, flow):
    """par, perp1, perp2 by their definition."""
    par = field / np.linalg.norm(field)
    perp1 = flow - flow @ par * par
    perp1 /= np.linalg.norm(perp1)
    return np.stack([par, perp1, np.cross(par, perp1)])


def field_aligned(density, field=SOME_FIELD, flow=SOME_FLOW, azimuth=AZIMUTH, **recipe):
    recipe = DistributionRecipe(**{"planes": FIELD_PLANES, **recipe})
    companions = {"field": np.asarray(field, float)[None], "velocity": np.asarray(flow, float)[None]}
    return distribution_images(density, azimuth, POLAR, ENERGY, recipe, **companions)[0]


@pytest.mark.parametrize("depth", [0, 2, 16])
@pytest.mark.parametrize("local", [(300, 0, 0), (0, 280, 0), (0, 0, -320), (-250, 200, 0), (0, 0, 0)])
def test_a_population_stands_at_its_velocity_in_the_axes_of_field_and_flow(local, depth):
    axes = axes_of(SOME_FIELD, SOME_FLOW)
    image = field_aligned(maxwellian(np.array(local) @ axes), depth=depth)
    for plane, (column, row) in zip(image, ((1, 2), (0, 1), (0, 2)), strict=True):
        off_plane = local[({0, 1, 2} - {column, row}).pop()]
        if depth == 0 and off_plane:
            continue  # a cut beside the population shows its flank only
        assert center_of(plane) == pytest.approx([local[column], local[row]], abs=PIXEL)


def test_the_flow_taken_out_stands_at_the_center():
    image = field_aligned(maxwellian(SOME_FLOW), subtract_velocity=True)
    for plane in image:
        assert center_of(plane) == pytest.approx([0, 0], abs=PIXEL / 2)


def rotations():
    """A turn about each axis by steps that map FPI's bins onto bins, so that nothing but the turn differs."""
    for steps in (1, 5, 16):
        angle = np.radians(11.25 * steps)
        cosine, sine = np.cos(angle), np.sin(angle)
        yield steps, np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]])


@pytest.mark.parametrize(("steps", "turn"), list(rotations()))
def test_instrument_field_and_flow_turned_together_leave_the_image(steps, turn):
    velocity = np.array([-100.0, 300.0, 150.0])
    still = field_aligned(maxwellian(velocity))
    turned = field_aligned(np.roll(maxwellian(velocity), steps, axis=1), turn @ SOME_FIELD, turn @ SOME_FLOW)
    # Points on the edge of two bins fall to either by rounding.
    assert np.mean(np.abs(turned - still) > 1e-3) < 0.01
    assert np.corrcoef(turned.ravel(), still.ravel())[0, 1] > 0.9999


@pytest.mark.parametrize("seed", range(4))
def test_any_orientation_of_the_plasma_gives_nearly_the_same_image(seed):
    rng = np.random.default_rng(seed)
    turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    turn *= np.sign(np.linalg.det(turn))
    velocity = np.array([-100.0, 300.0, 150.0])
    still = field_aligned(maxwellian(velocity))
    turned = field_aligned(maxwellian(turn @ velocity), turn @ SOME_FIELD, turn @ SOME_FLOW)
    assert np.corrcoef(turned.ravel(), still.ravel())[0, 1] > 0.97


def test_thermal_units_take_density_and_temperature_out():
    recipe = {"speed_unit": "thermal", "speed_max": 4.0, "density_unit": "thermal", "floor": 1e-4, "ceiling": 1.0}
    recipe |= {"subtract_velocity": True}
    images = [field_aligned(factor * maxwellian(SOME_FLOW, vth), **recipe) for factor, vth in ((1, 150), (30, 320))]
    known = np.isfinite(images).all(axis=0)
    assert known.mean() > 0.9 and np.corrcoef(images[0][known], images[1][known])[0, 1] > 0.98
    # At its center a Maxwellian holds pi^-1.5 of n / v^3; a cut shows it.
    cut = field_aligned(maxwellian(SOME_FLOW, 300), **recipe, depth=0, blur=0.0)[0]
    middle = 1e-4 ** (1 - cut[15:17, 15:17].mean())
    assert middle == pytest.approx(np.pi**-1.5, rel=0.25)


def test_agyrotropy_shows_the_side_and_is_nothing_for_a_gyrotropic_distribution():
    axes = axes_of(SOME_FIELD, SOME_FLOW)
    still = maxwellian((0, 0, 0), 300)
    lump = 0.5 * maxwellian(500 * axes[1], 120)
    plain, lumpy = (field_aligned(d, agyrotropy=True, depth=16)[3] for d in (still, still + lump))
    assert np.nanmax(np.abs(plain)) < 0.05
    row, column = np.unravel_index(np.nanargmax(lumpy), lumpy.shape)
    assert abs(row - 15.5) < 4 and 20 <= column <= 27  # toward +perp1, at 500 km/s
    assert np.nanmax(lumpy) > 0.1


def test_bins_of_one_count_are_emptied_and_low_energies_unmeasured():
    density = maxwellian((0, 0, 0))
    counts = np.round(density / 1e-22)
    density, error = counts * 1e-22, np.sqrt(np.maximum(counts, 1)) * 1e-22
    recipe = DistributionRecipe(depth=0, blur=0.0, least_counts=2.0)
    kept = distribution_images(density, AZIMUTH, POLAR, ENERGY, recipe, error=error)
    expected = distribution_images(np.where(counts >= 2, density, 0), AZIMUTH, POLAR, ENERGY, recipe)
    np.testing.assert_array_equal(kept, expected)
    assert (kept > 0).sum() < (distribution_images(density, AZIMUTH, POLAR, ENERGY, recipe) > 0).sum()
    high = DistributionRecipe(depth=0, blur=0.0, energy_min_ev=100.0)
    image = distribution_images(density, AZIMUTH, POLAR, ENERGY, high)[0, 0]
    assert np.isnan(image[15:17, 15:17]).all() and np.isfinite(image[15, 20])


def test_flagged_samples_have_no_image():
    density = np.repeat(maxwellian((0, 0, 0)), 3, axis=0)
    flags = np.array([0, 3, 4])
    images = distribution_images(density, AZIMUTH, POLAR, ENERGY, DistributionRecipe(), flags=flags)
    assert np.isnan(images).all(axis=(1, 2, 3)).tolist() == [False, True, False]


@pytest.mark.parametrize("lost", ["flags", "field", "velocity", "density"])
def test_samples_without_an_image_may_fill_whole_blocks(lost):
    n, gap = 40, slice(5, 30)
    density = np.repeat(maxwellian((0, 0, 0)), n, axis=0)
    given = {"field": np.tile(np.float64(SOME_FIELD), (n, 1)), "velocity": np.tile(np.float64(SOME_FLOW), (n, 1))}
    given["flags"] = np.zeros(n, int)
    recipe = DistributionRecipe(planes=FIELD_PLANES, agyrotropy=True)
    expected = distribution_images(density, AZIMUTH, POLAR, ENERGY, recipe, **given)
    (density if lost == "density" else given[lost])[gap] = 1 if lost == "flags" else np.nan
    images = distribution_images(density, AZIMUTH, POLAR, ENERGY, recipe, **given)
    assert np.isnan(images[gap]).all()
    rest = np.setdiff1d(np.arange(n), np.arange(n)[gap])
    np.testing.assert_array_equal(images[rest], expected[rest])


def test_averaging_follows_the_turning_sectors():
    turns = np.arange(5) * 4.0
    tables = (AZIMUTH + turns[:, None]) % 360
    density = np.concatenate([maxwellian((-300, 100, 0), azimuth=table) for table in tables])
    noisy = density * np.random.default_rng(0).poisson(3, density.shape) / 3
    recipes = [DistributionRecipe(average=count) for count in (1, 5)]
    truth = distribution_images(density, tables, POLAR, ENERGY, recipes[0])[2]
    one, five = (distribution_images(noisy, tables, POLAR, ENERGY, recipe)[2] for recipe in recipes)
    assert np.abs(five - truth).mean() < np.abs(one - truth).mean()
    assert center_of(five[0]) == pytest.approx((-300, 100), abs=PIXEL)


@pytest.mark.parametrize(
    ("field", "flow"),
    [((0, 0, 0), SOME_FLOW), ((np.nan, 0, 1), SOME_FLOW), (SOME_FIELD, (np.nan, 0, 0))],
    ids=["no field strength", "field not known", "velocity not known"],
)
def test_samples_that_cannot_be_turned_are_nan(field, flow):
    assert np.isnan(field_aligned(maxwellian((0, 0, 0)), field, flow)).all()


def test_planes_of_the_field_need_a_field():
    with pytest.raises(VariableError, match="without_field"):
        distribution_images(maxwellian((0, 0, 0)), AZIMUTH, POLAR, ENERGY, DistributionRecipe(planes=FIELD_PLANES))


@given(st.permutations(range(12)), st.floats(0, 360), st.lists(st.floats(-180, 180), min_size=1, max_size=20))
def test_nearest_azimuth_is_the_nearest_on_the_circle(order, turn, angles):
    spacing = np.cumsum([30, 20, 40, 30, 10, 50, 30, 30, 45, 15, 30, 30]) + turn
    for table in (spacing % 360, (np.arange(12) * 30.0 + turn) % 360):
        table = table[list(order)] if table is not spacing else table
        found = imaging.nearest_azimuth(table, np.array(angles))
        distance = np.abs((table[None] - np.array(angles)[:, None] + 180) % 360 - 180)
        chosen = distance[np.arange(len(angles)), found]
        np.testing.assert_allclose(chosen, distance.min(axis=1), atol=1e-4)


@given(st.lists(st.floats(0, 180), min_size=1, max_size=20))
def test_nearest_polar_and_energy_are_the_nearest(angles):
    angles = np.array(angles)
    for table in (POLAR, POLAR[::-1], np.array([5.0, 40, 60, 100, 170])):
        distance = np.abs(table[None] - angles[:, None])
        np.testing.assert_allclose(
            distance[np.arange(len(angles)), imaging.nearest_polar(table, angles)], distance.min(axis=1), atol=1e-4
        )
    speed = np.exp(angles / 180 * 7).astype(np.float32)
    energy = (speed * 1e3) ** 2 * MASS_KG["ion"] / 2 / ELECTRON_VOLT
    bins, reached = imaging.nearest_energy(ENERGY, speed, "ion")
    distance = np.abs(np.log(ENERGY)[None] - np.log(energy)[:, None])
    chosen = distance[np.arange(len(speed)), bins]
    np.testing.assert_allclose(chosen[reached], distance.min(axis=1)[reached], atol=3e-3)
    half = np.log(ENERGY[1] / ENERGY[0]) / 2
    np.testing.assert_array_equal(
        reached, (np.log(energy / ENERGY[0]) >= -half) & (np.log(energy / ENERGY[-1]) <= half)
    )
