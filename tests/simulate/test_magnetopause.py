from __future__ import annotations

from dataclasses import asdict, replace
from functools import cache

import numpy as np
import pytest

from pyspedas_similarity.errors import ArgumentError
from pyspedas_similarity.simulate import fpi
from pyspedas_similarity.simulate.magnetopause import RANGES, STATES, STAY_S, Event
from pyspedas_similarity.simulate.plasma import ENERGY_AT_1_KM_S
from pyspedas_similarity.simulate.timeline import random_streams

ORDER = {state: i for i, state in enumerate(STATES)}


@cache
def event(seed: int, **keywords: object) -> fpi.SimulatedPass:
    return fpi.simulate_event(seed, **{"duration_s": 6.0, **keywords})


def drawn(seed: int, edr: bool = True) -> Event:
    return Event.draw(seed, edr, random_streams(seed, 1)[0])


def quiet(species: str) -> fpi.Instrument:
    """An instrument with ten thousand times as many counts and nothing else in them."""
    own = fpi.INSTRUMENTS[species, "brst"]
    return replace(own, one_count_at_1ev=own.one_count_at_1ev / 1e4, background_counts=0.0, photoelectron_density=0.0)


def velocities(seen: fpi.SimulatedPass, i: int) -> tuple[np.ndarray, np.ndarray]:
    """Velocity (3, 32, 16, 32) km/s of the bins of a sample and their weight: counts to density, in cm^-3.

    Written apart from the simulator. Below the lowest energy step the distribution goes on as it is there.
    """
    phi, theta = np.radians(seen.azimuth[i] + 180)[:, None, None], np.radians(180 - seen.polar)[None, :, None]
    speed = np.sqrt(seen.energy_ev[i].astype(float) / ENERGY_AT_1_KM_S[seen.species])
    step = np.log(speed[-1] / speed[0]) / 31
    volume = speed**3 * step * np.sin(theta) * np.radians(11.25) ** 2
    volume = np.broadcast_to(volume, (32, 16, 32)).copy()
    volume[..., 0] += ((speed[0] * np.exp(-step / 2)) ** 3 / 3 * np.sin(theta) * np.radians(11.25) ** 2)[..., 0]
    direction = np.broadcast_arrays(np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta))
    return np.stack(direction) * speed, seen.distribution[i].astype(float) * 1e15 * volume


def axis_of(seen: fpi.SimulatedPass, i: int) -> np.ndarray:
    near = np.abs(seen.field_times - seen.times[i]).argmin()
    return seen.field[near, :3].astype(float) / seen.field[near, 3]


@pytest.mark.parametrize("species", ["electron", "ion"])
@pytest.mark.parametrize("seed", [0, 1, 2, 4])
def test_moments_of_many_counts_give_back_the_truth_within_3_percent(seed: int, species: str):
    seen = event(seed, species=species, instrument=quiet(species))
    met = 0
    for state in STATES:
        inside = np.flatnonzero(seen.region == state)
        for i in inside[len(inside) // 2 : len(inside) // 2 + 1]:
            v, weight = velocities(seen, i)
            density = weight.sum()
            bulk = np.einsum("iape,ape->i", v, weight) / density
            away = v - bulk[:, None, None, None]
            tensor = np.einsum("iape,jape,ape->ij", away, away, weight, optimize=True) / density
            tensor *= 2 * ENERGY_AT_1_KM_S[species]
            thermal = np.sqrt(seen.temperature_ev[i] / ENERGY_AT_1_KM_S[species])
            assert density == pytest.approx(seen.density[i], rel=0.03), state
            assert np.linalg.norm(bulk - seen.velocity[i]) < 0.03 * max(thermal, np.linalg.norm(bulk)), state
            assert np.trace(tensor) / 3 == pytest.approx(seen.temperature_ev[i], rel=0.03), state
            met += 1
    assert met >= 4


@pytest.mark.parametrize("seed", range(8))
def test_crescent_lies_across_b_on_the_side_of_the_drift(seed: int):
    seen = event(seed, duration_s=3.0)
    inside = np.flatnonzero(seen.region == "edr")
    i = inside[len(inside) // 2]
    b = axis_of(seen, i)
    across = seen.velocity[i] - seen.velocity[i] @ b * b
    assert np.linalg.norm(across) > 500
    v, weight = velocities(seen, i)
    v = v - (seen.velocity[i] @ b * b)[:, None, None, None]
    parallel, drift = (np.einsum("i,iape->ape", axis, v) for axis in (b, across / np.linalg.norm(across)))
    fast = np.sqrt((v**2).sum(axis=0) - parallel**2) > 6000
    fast &= np.sqrt((v**2).sum(axis=0)) < 14000
    front, behind = weight[fast & (drift > 0)].sum(), weight[fast & (drift < 0)].sum()
    assert front > 3 * behind
    mean_parallel = (parallel * weight)[fast].sum() / weight[fast].sum()
    mean_drift = (drift * weight)[fast].sum() / weight[fast].sum()
    assert mean_drift > 2500 and abs(mean_parallel) < 0.1 * mean_drift


def test_no_crescent_outside_the_diffusion_region():
    seen = event(1, duration_s=8.0)
    for i in np.flatnonzero(np.isin(seen.region, ["magnetosheath", "outflow", "flat_top"]))[::10]:
        b = axis_of(seen, i)
        assert np.linalg.norm(seen.velocity[i] - seen.velocity[i] @ b * b) < 900


def test_beams_of_the_separatrix_run_along_the_field_both_ways():
    seen = next(one for one in (event(seed, duration_s=8.0) for seed in range(9)) if "separatrix" in one.region)
    inside = np.flatnonzero(seen.region == "separatrix")
    i = inside[len(inside) // 2]
    v, weight = velocities(seen, i)
    b = axis_of(seen, i)
    parallel = np.einsum("i,iape->ape", b, v)
    fast = np.sqrt((v**2).sum(axis=0)) > 6000
    cosine = abs(parallel) / np.sqrt((v**2).sum(axis=0))
    along, across = weight[fast & (cosine > 0.8)].sum(), weight[fast & (cosine < 0.5)].sum()
    assert along > 2 * across
    assert weight[fast & (parallel > 0)].sum() > 0 and weight[fast & (parallel < 0)].sum() > 0


def test_temperatures_are_told_along_and_across_the_field():
    seen = event(1, duration_s=8.0)
    total = seen.temperature_parallel + 2 * seen.temperature_perpendicular
    np.testing.assert_allclose(total, 3 * seen.temperature_ev, rtol=1e-9)
    lens, separatrix = seen.region == "lens", seen.region == "separatrix"
    assert (seen.temperature_parallel[lens] < 0.7 * seen.temperature_perpendicular[lens]).all() and lens.any()
    assert np.median(seen.temperature_parallel[separatrix] / seen.temperature_perpendicular[separatrix]) > 1.5


def test_four_spacecraft_see_the_same_states_one_after_another():
    whole = {probe: event(3, duration_s=8.0, probe=probe, species="ion") for probe in "1234"}
    plan = drawn(3)
    orders = {tuple(seen.region[np.r_[True, seen.region[1:] != seen.region[:-1]]]) for seen in whole.values()}
    assert len(orders) == 1 and len(orders.pop()) >= 5
    reference = whole["1"]
    grid = (np.arange(800) + 100) * np.timedelta64(7, "ms") + reference.field_times[0]
    for probe in "234":
        later = plan.delay_s(probe) - plan.delay_s("1")
        assert abs(later) <= 10 / 20 + 1e-9
        shifted = np.interp(
            _seconds(grid, reference) - later, _seconds(reference.field_times, reference), reference.field[:, 0]
        )
        there = np.interp(
            _seconds(grid, reference), _seconds(whole[probe].field_times, reference), whole[probe].field[:, 0]
        )
        assert np.abs(there - shifted).max() < 6 * fpi.FIELD_NOISE_NT + 0.5
    assert len({round(plan.delay_s(probe), 4) for probe in "1234"}) == 4


def _seconds(times: np.ndarray, reference: fpi.SimulatedPass) -> np.ndarray:
    return (times - reference.times[0]) / np.timedelta64(1, "s")


def test_spacecraft_are_a_tetrahedron_of_the_separation_drawn():
    plan = drawn(7)
    edges = [np.linalg.norm(plan.positions[i] - plan.positions[j]) for i in range(4) for j in range(i)]
    np.testing.assert_allclose(edges, plan.parameters.separation)
    np.testing.assert_allclose(plan.axes @ plan.axes.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(plan.axes) == pytest.approx(1)


def test_counting_noise_of_two_spacecraft_is_their_own():
    one, other = event(3, duration_s=2.0, probe="1"), event(3, duration_s=2.0, probe="2")
    assert not np.array_equal(one.azimuth, other.azimuth)
    assert not np.array_equal(one.distribution, other.distribution)


def test_ions_and_electrons_of_one_event_have_one_density_and_one_field():
    electrons, ions = event(5), event(5, species="ion")
    np.testing.assert_allclose(ions.density, electrons.density[::5], rtol=1e-9)
    np.testing.assert_array_equal(ions.region, electrons.region[::5])
    inside = np.searchsorted(electrons.field_times, ions.field_times[10:20])
    assert np.abs(electrons.field[inside] - ions.field[10:20]).max() < 1.0


def test_states_follow_the_order_of_the_docstring_in_either_direction():
    seen = set()
    for seed in range(30):
        met = [one.kind for one in drawn(seed).episodes]
        seen.update(met)
        met = met if drawn(seed).senses[2] > 0 else met[::-1]
        assert met[0] == "magnetosheath" and met[-1] == "magnetosphere"
        assert met.index("edr") + 1 == met.index("outflow")
        before, after = met[1 : met.index("edr")], met[met.index("outflow") + 1 : -1]
        assert before == sorted(before, key=["boundary_layer", "separatrix", "flat_top"].index)
        assert after == sorted(after, key=["lens", "separatrix", "boundary_layer"].index)
    assert seen == set(STATES)


def test_diffusion_region_lasts_as_stated_and_lies_near_the_middle():
    for seed in range(6):
        seen = event(seed, duration_s=4.0)
        inside = np.flatnonzero(seen.region == "edr")
        assert STAY_S["edr"][0] / 0.03 - 3 <= inside.size <= STAY_S["edr"][1] / 0.03 + 3
        assert (np.diff(inside) == 1).all()
        delay = drawn(seed).delay_s("1")
        assert abs(inside.mean() * 0.03 - 2.0 - delay) <= 0.4 + 0.06


def test_control_has_no_diffusion_region_and_the_same_parameters():
    for seed in range(10):
        with_edr, without = drawn(seed), drawn(seed, edr=False)
        assert with_edr.parameters == without.parameters
        kinds = [one.kind for one in without.episodes]
        assert "edr" not in kinds and "outflow" in kinds
    assert "edr" not in event(1, edr=False).region


def test_parameters_lie_in_their_ranges_and_no_two_events_are_alike():
    events = [asdict(drawn(seed).parameters) for seed in range(30)]
    for name, (low, high, _) in RANGES.items():
        values = np.array([one[name] for one in events])
        assert ((values >= low) & (values <= high)).all(), name
        assert len(set(values)) == 30 and np.ptp(values) > 0.6 * (high - low), name
    normals = np.array([drawn(seed).axes[2] for seed in range(30)])
    assert (np.abs(normals @ normals.T - np.eye(30)) < 0.9999).all()


def test_electron_tables_interleave_and_parity_says_which():
    seen = event(1, duration_s=0.3)
    assert seen.parity.tolist() == [0, 1] * 5
    even, odd = seen.energy_ev[0], seen.energy_ev[1]
    np.testing.assert_array_equal(seen.energy_ev[2], even)
    assert (even < odd).all() and (odd[:-1] < even[1:]).all()
    assert even[0] == pytest.approx(6.0) and odd[-1] == pytest.approx(30000.0)


def test_values_are_whole_counts_and_errors_their_roots():
    seen = event(1, duration_s=0.9)
    level = fpi.DES.one_count(seen.energy_ev.astype(float))[:, None, None, :]
    counts = seen.distribution / level
    np.testing.assert_allclose(counts, np.rint(counts), rtol=2e-6, atol=1e-5)
    assert counts.max() > 20
    np.testing.assert_allclose(seen.error / level, np.sqrt(np.rint(counts)), rtol=1e-5)
    assert (seen.error[seen.distribution == 0] == 0).all() and not seen.error_flags.any()


def test_one_count_of_electrons_follows_from_that_of_ions():
    mass_ratio = 9.1093837015e-31 / 1.67262192369e-27
    expected = 1.74e-18 * 5 * mass_ratio**2 / 100.0**2
    assert fpi.DES.one_count(np.array(100.0)) == pytest.approx(expected, rel=1e-5)


def test_photoelectrons_are_seen_below_15_ev_only():
    bright = replace(fpi.DES, photoelectron_density=2.0, background_counts=0.0)
    lit, dark = (event(1, duration_s=1.5, instrument=replace(bright, photoelectron_density=n)) for n in (2.0, 0.0))
    energy = lit.energy_ev.min(axis=0)
    low, middle = energy < 7, (energy > 20) & (energy < 200)
    ratio = [lit.distribution[..., part].sum() / dark.distribution[..., part].sum() for part in (low, middle)]
    assert ratio[0] > 1.5 and ratio[1] == pytest.approx(1, abs=0.03)


def test_spin_phase_and_first_sector_turn_together():
    seen = event(1, duration_s=1.5)
    np.testing.assert_array_equal((seen.startdelphi_count / 16 + 155 / 16) % 11.25, seen.azimuth[:, 0])
    assert set(np.diff(seen.startdelphi_count.astype(int)) % 5760) <= {8, 9}  # 18.3 * 0.03 * 16 = 8.784


def test_field_is_longer_than_the_distributions_with_its_strength_last():
    seen = event(1, duration_s=1.5)
    assert (np.diff(seen.field_times).astype(int) == 7_812_500).all()
    assert seen.field_times[0] == seen.times[0] - np.timedelta64(1, "s")
    assert seen.field_times[-1] > seen.times[-1] + np.timedelta64(990, "ms")
    np.testing.assert_allclose(np.linalg.norm(seen.field[:, :3], axis=1), seen.field[:, 3], rtol=1e-5)
    assert 0.5 < seen.field[:, 3].min() and seen.field[:, 3].max() < 90


def test_fast_samples_are_averages_of_what_burst_sees():
    fast = fpi.simulate_event(2, duration_s=9.0, instrument=fpi.DES_FAST)
    burst = fpi.simulate_event(2, duration_s=9.0)
    assert fast.times.size == 2 and np.ptp(fast.azimuth, axis=0).max() == 0
    halves = burst.density.reshape(2, 150).mean(axis=1)
    np.testing.assert_allclose(fast.density, halves, rtol=0.02)
    flux = [(burst.density[:, None] * burst.velocity)[part].mean(axis=0) for part in (slice(0, 150), slice(150, 300))]
    np.testing.assert_allclose(fast.velocity, np.array(flux) / halves[:, None], atol=30)


def test_memory_beyond_the_result_does_not_grow_with_the_length():
    import tracemalloc

    beyond = []
    for duration_s in (3.0, 12.0):
        tracemalloc.start()
        seen = fpi.simulate_event(1, duration_s=duration_s)
        beyond.append(tracemalloc.get_traced_memory()[1] - seen.distribution.nbytes - seen.error.nbytes)
        tracemalloc.stop()
    assert max(beyond) < 60e6 and beyond[1] < beyond[0] + 15e6


def test_seed_decides_everything_and_the_global_state_nothing():
    before = np.random.get_state()
    again = fpi.simulate_event(1, duration_s=0.9)
    after = np.random.get_state()
    assert before[2:] == after[2:] and np.array_equal(before[1], after[1])
    np.testing.assert_array_equal(again.distribution, event(1, duration_s=0.9).distribution)
    np.testing.assert_array_equal(again.field, event(1, duration_s=0.9).field)
    assert not np.array_equal(again.distribution, event(2, duration_s=0.9).distribution)


@pytest.mark.parametrize("wrong", [{"probe": 5}, {"species": "muon"}, {"seed": -1}, {"duration_s": 0.0}])
def test_unusable_arguments_are_refused(wrong: dict):
    with pytest.raises(ArgumentError):
        fpi.simulate_event(**wrong)


def test_load_stores_electrons_of_several_spacecraft():
    import pyspedas.tplot_tools

    names = fpi.load_electrons(["2020-01-01/12:00:00", "2020-01-01/12:00:03"], probe=["1", "4"], seed=2, suffix="_b")
    assert names[:2] == ["simulated1_des_dist_brst_b", "simulated4_des_dist_brst_b"]
    expected = fpi.simulate_event(2, duration_s=3.0, probe="4")
    kept = pyspedas.tplot_tools.get_data(names[1])
    np.testing.assert_array_equal(kept.y, expected.distribution)
    about = pyspedas.tplot_tools.get_data(names[1], metadata=True)["simulated"]
    assert about["region"] == expected.region.tolist() and "edr" in about["region"]
    assert len(names) == 18 and "simulated4_fgm_b_dmpa_brst_l2_b" in names
    control = fpi.load(["2020-01-01/12:00:00", "2020-01-01/12:00:03"], species="electron", scene="control", seed=2)
    assert "edr" not in pyspedas.tplot_tools.get_data(control[0], metadata=True)["simulated"]["region"]
