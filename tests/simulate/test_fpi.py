from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from pyspedas_similarity.errors import ArgumentError
from pyspedas_similarity.simulate import fpi
from pyspedas_similarity.simulate.ion_pass import STAY_S, crossings
from pyspedas_similarity.simulate.plasma import Maxwellian, Plasma, frames_along, thermal_speed, true_moments
from pyspedas_similarity.simulate.timeline import draw_episodes, random_streams

START = np.datetime64("2015-10-16T13:05:00", "ns")
MASS = 1.67262192369e-27
CHARGE = 1.602176634e-19
SENSITIVE = replace(fpi.DIS, one_count_at_1ev=1e-22, background_counts=0.0)


@pytest.fixture(scope="module")
def whole() -> fpi.SimulatedPass:
    return fpi.simulate_pass(START, 300.0, seed=1)


@pytest.fixture(scope="module")
def short() -> fpi.SimulatedPass:
    return fpi.simulate_pass(START, 6.0, seed=1)


def plasma_of(*populations: tuple, n: int = 4) -> Plasma:
    """Still ions along z: (density, velocity, parallel and perpendicular temperature in eV) of each population."""
    shapes = tuple(Maxwellian(thermal_speed(par, "ion"), thermal_speed(perp, "ion")) for *_, par, perp in populations)
    density = np.array([[one[0]] * n for one in populations], float)
    velocity = np.array([[one[1]] * n for one in populations], float)
    frames = np.broadcast_to(frames_along(np.array([0.0, 0, 1]), np.array([1.0, 0, 0])), (*density.shape, 3, 3))
    return Plasma(shapes, density, velocity, frames, "ion")


def seen(plasma: Plasma, instrument: fpi.Instrument) -> tuple[np.ndarray, ...]:
    """Distribution, azimuth, polar, energy of a plasma as the instrument measures it."""
    rng = np.random.default_rng(0)
    n = plasma.density.shape[1]
    azimuth, polar, _ = fpi.look_directions(0.15 * np.arange(n), 18.0, rng)
    energy = instrument.energy_tables().astype(np.float32)[np.arange(n) % instrument.tables]
    return fpi.measure(plasma, azimuth, polar, energy, instrument, rng)[0], azimuth, polar, energy


def moments(
    distribution: np.ndarray, azimuth: np.ndarray, polar: np.ndarray, energy: np.ndarray
) -> tuple[float, np.ndarray, np.ndarray]:
    """Density cm^-3, velocity km/s and temperature tensor eV of one sample in SI, written apart from the simulator.

    An ion with look direction (azimuth, polar) moves along (azimuth + 180 degrees, 180 degrees - polar).
    """
    f = distribution.astype(float) * 1e12  # s^3 m^-6
    phi, theta = np.radians(azimuth + 180.0)[:, None, None], np.radians(180.0 - polar)[None, :, None]
    speed = np.sqrt(2 * energy.astype(float) * CHARGE / MASS)
    weight = f * speed**3 * np.gradient(np.log(speed)) * np.sin(theta) * np.radians(11.25) ** 2
    v = np.stack(
        np.broadcast_arrays(
            speed * np.sin(theta) * np.cos(phi), speed * np.sin(theta) * np.sin(phi), speed * np.cos(theta)
        )
    )
    density = weight.sum()
    bulk = (weight * v).sum(axis=(1, 2, 3)) / density
    c = v - bulk[:, None, None, None]
    tensor = MASS / CHARGE * np.einsum("ape,iape,jape->ij", weight, c, c) / density
    return density / 1e6, bulk / 1e3, tensor


def runs(labels: np.ndarray) -> list[tuple[str, int, int]]:
    edges = [0, *(np.flatnonzero(labels[1:] != labels[:-1]) + 1), labels.size]
    return [(str(labels[a]), int(a), int(b)) for a, b in pairwise(edges)]


@pytest.mark.parametrize("velocity", [(-300.0, 0.0, 0.0), (-120.0, 150.0, -200.0), (0.0, 0.0, 400.0)])
def test_moments_of_the_counts_give_back_the_plasma(velocity: tuple[float, float, float]):
    arrays = seen(plasma_of((20.0, velocity, 200.0, 320.0)), SENSITIVE)
    for distribution, azimuth, energy in zip(arrays[0], arrays[1], arrays[3], strict=True):
        density, bulk, tensor = moments(distribution, azimuth, arrays[2], energy)
        assert density == pytest.approx(20.0, rel=0.03)
        np.testing.assert_allclose(bulk, velocity, atol=8.0)
        np.testing.assert_allclose(np.diag(tensor), [320.0, 320.0, 200.0], rtol=0.06)


def test_flow_away_from_the_sun_arrives_where_the_sector_looks_at_the_sun():
    distribution, azimuth, polar, _ = seen(plasma_of((20.0, (-300.0, 0.0, 0.0), 300.0, 300.0)), SENSITIVE)
    brightest = np.unravel_index(distribution[0].argmax(), distribution[0].shape)
    assert abs((azimuth[0, brightest[0]] + 180) % 360 - 180) < 11.25
    assert abs(polar[brightest[1]] - 90) < 11.25


def test_flow_to_the_north_arrives_where_the_pixel_looks_south():
    distribution, _, polar, _ = seen(plasma_of((20.0, (0.0, 0.0, 500.0), 100.0, 100.0)), SENSITIVE)
    assert polar[distribution[0].sum(axis=(0, 2)).argmax()] > 150


def test_true_moments_of_two_beams():
    plasma = plasma_of((6.0, (200.0, 0.0, 0.0), 100.0, 100.0), (2.0, (-200.0, 0.0, 0.0), 100.0, 100.0), n=1)
    density, velocity, temperature = true_moments(plasma)
    assert density == pytest.approx(8.0)
    np.testing.assert_allclose(velocity[0], [100.0, 0.0, 0.0], atol=1e-9)
    # The beams drift at +100 and -300 km/s against the mean: <c^2> = (6 * 1e10 + 2 * 9e10) / 8 m^2 s^-2.
    along = MASS * 3e10 / CHARGE
    np.testing.assert_allclose(temperature[0], np.diag([100.0 + along, 100.0, 100.0]), rtol=1e-5, atol=1e-6)


def test_moments_of_a_whole_pass_follow_the_truth_where_counts_are_many():
    data = fpi.simulate_pass(START, 40.0, seed=2, instrument=SENSITIVE)
    cold = np.flatnonzero(data.temperature_ev < 700)[::20]
    assert cold.size >= 3
    for i in cold:
        density, bulk, tensor = moments(data.distribution[i], data.azimuth[i], data.polar, data.energy_ev[i])
        assert density == pytest.approx(data.density[i], rel=0.05)
        np.testing.assert_allclose(bulk, data.velocity[i], atol=15.0)
        assert np.trace(tensor) / 3 == pytest.approx(data.temperature_ev[i], rel=0.1)


def test_every_value_is_a_whole_number_of_counts(short: fpi.SimulatedPass):
    counts = short.distribution.astype(float) / fpi.DIS.one_count(short.energy_ev.astype(float))[:, None, None, :]
    assert counts.max() > 3
    np.testing.assert_allclose(counts, np.rint(counts), rtol=1e-5, atol=1e-5)
    assert fpi.DIS.one_count(np.array(17800.0)) == pytest.approx(5.49e-27, rel=1e-3)


def test_counts_scatter_as_poisson_about_what_is_expected():
    plasma = plasma_of((20.0, (0.0, 0.0, 0.0), 300.0, 300.0), n=400)
    distribution, _, _, energy = seen(plasma, fpi.DIS)
    counts = distribution[:, 0, 8, :] / fpi.DIS.one_count(energy)
    thermal = CHARGE * 300.0 / MASS  # (m/s)^2
    peak = 20e6 / (2 * np.pi * thermal) ** 1.5 * 1e-12
    expected = peak * np.exp(-energy[0] / 300.0) / fpi.DIS.one_count(energy[0]) + 0.005
    many = expected > 1
    mean, variance = counts[:, many].mean(axis=0), counts[:, many].var(axis=0)
    assert many.sum() >= 5
    np.testing.assert_allclose(mean, expected[many], rtol=0.15)
    np.testing.assert_allclose(variance / mean, 1.0, atol=0.3)
    assert (distribution[..., -1] > 0).mean() == pytest.approx(0.005, rel=0.1)


def test_regions_come_again_and_jets_last_three_to_eight_seconds(whole: fpi.SimulatedPass):
    met = runs(whole.region)
    for region in ("magnetosheath", "boundary_layer", "magnetosphere", "jet"):
        assert sum(name == region for name, _, _ in met) >= 2, region
    jets = [(b - a) * 0.15 for name, a, b in met[:-1] if name == "jet"]
    assert len(jets) >= 4
    assert min(jets) >= 3 - 0.3 and max(jets) <= 8 + 0.3
    assert np.ptp(jets) > 0.3


def test_four_jets_fit_whatever_the_seed():
    for seed in range(40):
        course, _, _ = random_streams(seed, 3)
        episodes = draw_episodes(crossings(course), STAY_S, 300.0, course)
        ends = {b.start_s: a.kind for a, b in pairwise(episodes)}
        assert sum(kind == "jet" and end <= 300 for end, kind in ends.items()) >= 4


def test_jets_are_faster_than_their_surroundings_and_no_two_alike(whole: fpi.SimulatedPass):
    speed = np.linalg.norm(whole.velocity, axis=1)
    middles = np.array([(a + b) // 2 for name, a, b in runs(whole.region) if name == "jet"])
    assert speed[middles].min() > 250 > np.percentile(speed[whole.region != "jet"], 95)
    gaps = np.abs(whole.velocity[middles, None] - whole.velocity[None, middles]).max(axis=-1)
    assert gaps[~np.eye(middles.size, dtype=bool)].min() > 5


def test_shapes_and_exact_cadence(whole: fpi.SimulatedPass):
    assert whole.distribution.shape == (2000, 32, 16, 32) and whole.distribution.dtype == np.float32
    assert whole.times.dtype == "datetime64[ns]" and whole.times[0] == START
    assert (np.diff(whole.times).astype(int) == 150_000_000).all()
    assert whole.velocity.shape == (2000, 3) and whole.region.shape == (2000,)


def test_sectors_turn_with_the_spacecraft(whole: fpi.SimulatedPass):
    first = whole.azimuth[:, 0]
    assert (first >= 0).all() and (first < 11.25).all()
    np.testing.assert_array_equal(np.diff(whole.azimuth, axis=1), 11.25)
    # 18.3 degrees a second are 2.745 a sample, in steps of 1/16: 43 or 44 of them, 43.92 on average.
    steps = np.diff(first) % 11.25 * 16
    assert set(steps.tolist()) == {43.0, 44.0}
    assert steps.mean() == pytest.approx(43.92, abs=0.01)
    np.testing.assert_array_equal(whole.polar, 5.625 + 11.25 * np.arange(16))


def test_ions_have_one_energy_table_flagged_as_two_in_turn(short: fpi.SimulatedPass):
    assert short.parity[:4].tolist() == [0, 1, 0, 1]
    np.testing.assert_allclose(short.energy_ev[0, [0, -1]], [2.16, 17800.0], rtol=1e-6)
    assert np.ptp(short.energy_ev, axis=0).max() == 0


def test_seed_decides_everything(short: fpi.SimulatedPass):
    again, other = fpi.simulate_pass(START, 6.0, seed=1), fpi.simulate_pass(START, 6.0, seed=2)
    np.testing.assert_array_equal(short.distribution, again.distribution)
    np.testing.assert_array_equal(short.azimuth, again.azimuth)
    assert not np.array_equal(short.distribution, other.distribution)
    assert not np.allclose(short.density, other.density)


def test_a_short_pass_is_the_beginning_of_a_long_one(short: fpi.SimulatedPass, whole: fpi.SimulatedPass):
    np.testing.assert_array_equal(short.distribution, whole.distribution[:40])
    np.testing.assert_array_equal(short.region, whole.region[:40])


def test_global_random_state_is_left_alone():
    before = np.random.get_state()
    fpi.simulate_pass(START, 1.0)
    after = np.random.get_state()
    assert before[0] == after[0] and before[2:] == after[2:]
    np.testing.assert_array_equal(before[1], after[1])


def test_omni_flux_of_an_isotropic_distribution():
    energy = np.array([[100.0, 1000.0]])
    flux = fpi.omni_energy_flux(np.full((1, 32, 16, 2), 1e-22), 5.625 + 11.25 * np.arange(16), energy)
    speed = np.sqrt(2 * energy * CHARGE / MASS) * 100  # cm/s
    np.testing.assert_allclose(flux, speed**4 * 1e-22 / 2, rtol=1e-5)


@pytest.fixture
def store():
    import pyspedas.tplot_tools

    return pyspedas.tplot_tools


SIX_SECONDS = ["2015-10-16/13:05:00", "2015-10-16/13:05:06"]


def test_load_stores_what_the_loader_would(store):
    names = fpi.load(SIX_SECONDS, suffix="_a", seed=1)
    assert names == [
        "simulated1_dis_dist_brst_a",
        "simulated1_dis_disterr_brst_a",
        "simulated1_dis_errorflags_brst_a_dist",
        "simulated1_dis_numberdensity_brst_a",
        "simulated1_dis_bulkv_dbcs_brst_a",
        "simulated1_dis_temppara_brst_a",
        "simulated1_dis_tempperp_brst_a",
        "simulated1_dis_energyspectr_omni_brst_a",
        "simulated1_fgm_b_dmpa_brst_l2_a",
    ]
    expected = fpi.simulate_pass(START, 6.0, seed=1)
    dist = store.get_data(names[0])
    np.testing.assert_array_equal(dist.y, expected.distribution)
    np.testing.assert_array_equal(dist.v1, expected.azimuth)
    np.testing.assert_array_equal(dist.v2, expected.polar)
    np.testing.assert_array_equal(dist.v3, expected.energy_ev)
    values = [store.get_data(name).y for name in names[1:]]
    wanted = (expected.error, expected.error_flags, expected.density, expected.velocity)
    wanted += (expected.temperature_parallel, expected.temperature_perpendicular, expected.omni, expected.field)
    for value, one in zip(values, wanted, strict=True):
        np.testing.assert_array_equal(value, one)
    np.testing.assert_array_equal(store.get_data(names[7]).v, expected.energy_ev)


def test_load_says_that_it_is_simulated_and_how_to_plot_it(store):
    names = fpi.load(SIX_SECONDS, probe=1, seed=1)
    for name in names[:-1]:
        metadata = store.get_data(name, metadata=True)
        assert metadata["simulated"]["seed"] == 1
        assert len(metadata["simulated"]["region"]) == 40
        assert metadata["plot_options"]["yaxis_opt"]["axis_label"].startswith("simulated1 DIS")
    assert store.get_data(names[-1], metadata=True)["simulated"]["seed"] == 1
    assert store.get_data(names[0], metadata=True)["data_att"]["units"] == "s^3/cm^6"
    options = store.get_data(names[7], metadata=True)["plot_options"]
    assert options["extras"]["spec"] == 1
    assert options["yaxis_opt"]["y_axis_type"] == "log" and options["zaxis_opt"]["z_axis_type"] == "log"
    flow = store.get_data(names[4], metadata=True)["plot_options"]["yaxis_opt"]
    assert flow["legend_names"] == ["Vx DBCS", "Vy DBCS", "Vz DBCS"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"probe": "5"},
        {"probe": "2"},  # not in the long pass
        {"data_rate": "srvy"},
        {"seed": -1},
        {"species": "muon"},
        {"species": "electron", "scene": "pass"},
        {"scene": "shock"},
    ],
)
def test_load_refuses_what_it_does_not_simulate(wrong: dict):
    with pytest.raises(ArgumentError):
        fpi.load(SIX_SECONDS, **wrong)
