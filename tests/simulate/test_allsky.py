from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from pyspedas_similarity.errors import ArgumentError
from pyspedas_similarity.simulate import allsky
from pyspedas_similarity.simulate.allsky import Camera
from pyspedas_similarity.simulate.aurora import Arc, Patches, Quiet, Streamer

START = np.datetime64("2015-03-26T06:00:00", "ns")


@pytest.fixture(scope="module")
def night() -> allsky.SimulatedNight:
    return allsky.simulate_night(START, 1800.0, seed=3, size=96)


def runs(labels: np.ndarray) -> list[tuple[str, int, int]]:
    edges = [0, *(np.flatnonzero(labels[1:] != labels[:-1]) + 1), labels.size]
    return [(str(labels[a]), int(a), int(b)) for a, b in pairwise(edges)]


def ground(step: float = 4.0, reach: float = 200.0) -> tuple[np.ndarray, np.ndarray]:
    """East and north in km of an even grid, row 0 in the north."""
    along = np.arange(-reach, reach + 1, step)
    return np.meshgrid(along, -along)


def gradient_energy(image: np.ndarray) -> tuple[float, float]:
    """Diagonal of the structure tensor: mean squared gradient north-south, east-west."""
    down, right = np.gradient(image.astype(float))
    return float((down**2).mean()), float((right**2).mean())


@pytest.mark.parametrize("seed", range(8))
def test_every_kind_comes_in_two_separate_episodes(seed: int):
    kinds = [kind for kind, _, _ in runs(allsky.simulate_night(START, 1800.0, seed=seed, size=16).kind)]
    for kind in ("quiet", "arc", "patches", "streamer"):
        assert kinds.count(kind) >= 2, kind


def test_shapes_and_exact_cadence(night: allsky.SimulatedNight):
    assert night.frames.shape == (600, 96, 96) and night.frames.dtype == np.uint16
    assert night.times.dtype == "datetime64[ns]" and night.times[0] == START
    assert (np.diff(night.times).astype(int) == 3_000_000_000).all()
    assert night.kind.shape == (600,)


def test_north_is_up_and_east_is_right():
    camera = Camera(size=128)
    spot = Patches(
        x_km=np.array([90.0]),
        y_km=np.array([50.0]),
        radius_km=np.array([15.0]),
        level_kr=np.array([5.0]),
        period_s=np.array([10.0]),
        phase=np.array([0.5]),
        drift_km_s=(0.0, 0.0),
        warp_km=0.0,
        warp_phase=0.0,
    )
    image = spot.emission(*camera.ground_position(), 0.0)
    row, column = np.unravel_index(image.argmax(), image.shape)
    azimuth = np.degrees(np.arctan2(column - 63.5, 63.5 - row))
    assert azimuth == pytest.approx(np.degrees(np.arctan2(90.0, 50.0)), abs=8.0)


def test_distance_on_the_ground_is_height_times_tangent_of_zenith_angle():
    camera = Camera(size=256)
    east, north = camera.ground_position()
    zenith = camera.zenith_angle()
    inside = zenith < 80
    expected = 110.0 * np.tan(np.radians(zenith[inside]))
    np.testing.assert_allclose(np.hypot(east, north)[inside], expected, rtol=1e-4)
    assert (np.diff(north[:, 100]) < 0).all() and (np.diff(east[100]) > 0).all()


@pytest.mark.parametrize("seed", range(5))
def test_an_arc_lies_east_west_and_a_streamer_north_south(seed: int):
    x, y = ground()
    down, right = gradient_energy(Arc.draw(np.random.default_rng(seed)).emission(x, y, 30.0))
    assert down > 4 * right
    down, right = gradient_energy(Streamer.draw(np.random.default_rng(seed)).emission(x, y, 90.0))
    assert right > 4 * down


def test_arcs_and_streamers_keep_their_direction_in_the_frames(night: allsky.SimulatedNight):
    clear = np.median(night.frames[night.kind == "quiet"], axis=0)
    middle = np.s_[28:68, 28:68]
    for kind, first, end in runs(night.kind):
        if kind not in ("arc", "streamer") or end - first < 30:
            continue
        last = night.frames[end - 8 : end - 4].mean(axis=0) - clear
        down, right = gradient_energy(last[middle])
        assert (down > 1.5 * right) if kind == "arc" else (right > 1.5 * down), (kind, first)


def test_an_arc_is_bright_along_its_rows(night: allsky.SimulatedNight):
    clear = np.median(night.frames[night.kind == "quiet"], axis=0)
    _, first, end = next(run for run in runs(night.kind) if run[0] == "arc")
    rows = (night.frames[(first + end) // 2] - clear)[:, 33:63].mean(axis=1)
    assert rows.max() > 500
    assert rows.max() > 10 * np.median(rows[20:76])


def test_arc_drifts_at_its_speed():
    arc = replace(Arc.draw(np.random.default_rng(0)), speed_km_s=0.0)
    x, y = ground()
    later = arc.emission(x, y + 60 * arc.drift_km_s, 60.0)
    np.testing.assert_allclose(later, arc.emission(x, y, 0.0), rtol=1e-6, atol=1e-9)


def test_patches_pulsate_and_drift():
    drawn = Patches.draw(np.random.default_rng(0))
    patches = replace(drawn, period_s=np.full_like(drawn.period_s, 12.0))
    x, y = ground()
    dx, dy = patches.drift_km_s
    later = patches.emission(x + 12 * dx, y + 12 * dy, 12.0)
    np.testing.assert_allclose(later, patches.emission(x, y, 0.0), rtol=1e-3, atol=1e-3)
    half = [patches.emission(x + t * dx, y + t * dy, t) for t in (0.0, 3.0, 6.0, 9.0)]
    assert (np.max(half, axis=0) / np.min(half, axis=0)).max() > 3


def test_a_streamer_runs_south_at_its_speed():
    streamer = Streamer.draw(np.random.default_rng(0))
    x, y = ground(reach=300.0)

    def tip(t_s: float) -> float:
        brightest = streamer.emission(x, y, t_s).max(axis=1)
        return float(y[brightest > 0.5 * brightest.max(), 0].min())

    assert tip(20.0) - tip(40.0) == pytest.approx(20 * streamer.tip_speed_km_s, abs=15.0)


def test_quiet_sky_emits_nothing():
    assert Quiet().emission(*ground(), 5.0).max() == 0


@pytest.mark.parametrize("kind", list(allsky.DRAW))
def test_emission_is_never_negative_and_no_two_draws_are_alike(kind: str):
    rng = np.random.default_rng(0)
    first, second = (allsky.DRAW[kind](rng).emission(*ground(), 60.0) for _ in range(2))
    assert first.min() >= 0
    assert kind == "quiet" or np.abs(first - second).max() > 1


def test_counts_have_the_mean_and_variance_of_shot_and_read_noise():
    camera = Camera()
    counts = allsky.expose(np.full((400, 400), 3.0), camera, np.random.default_rng(0)).astype(float)
    signal = 3.0 * camera.counts_per_kr
    assert counts.mean() == pytest.approx(camera.dark_counts + signal, abs=1.0)
    # Rounding to whole counts adds 1/12.
    assert counts.var() == pytest.approx(signal * camera.counts_per_electron + camera.read_noise**2 + 1 / 12, rel=0.02)


def test_bright_light_saturates_at_sixteen_bits():
    assert (allsky.expose(np.full((4, 4), 1e4), Camera(), np.random.default_rng(0)) == 65535).all()


def test_outside_the_disc_is_dark(night: allsky.SimulatedNight):
    corner = night.frames[:, :8, :8].astype(float)
    assert corner.mean() == pytest.approx(night.camera.dark_counts, abs=1.0)
    assert corner.std() == pytest.approx(night.camera.read_noise, rel=0.02)
    assert night.frames[:, 40:56, 40:56].min() > night.camera.dark_counts + 200


def test_stars_stay_where_they_are(night: allsky.SimulatedNight):
    quiet = night.frames[night.kind == "quiet"].astype(float)
    half = quiet.shape[0] // 2
    early, late = (np.median(part, axis=0) for part in (quiet[:half], quiet[half:]))
    bright = np.flatnonzero(early > np.percentile(early, 99.7))
    np.testing.assert_allclose(late.flat[bright], early.flat[bright], rtol=0.05)
    assert early.max() > np.median(early) + 1000


def test_keogram_is_the_mean_of_five_columns_from_south_to_north(night: allsky.SimulatedNight):
    values, angle = allsky.keogram(night.frames, night.camera)
    assert (np.diff(angle) > 0).all()
    assert angle[0] == pytest.approx(-angle[-1]) and 80 < angle[-1] < 85
    rows = (night.camera.size - angle.size) // 2
    expected = night.frames[:, rows:-rows, 46:51].astype(float).mean(axis=2)[:, ::-1]
    np.testing.assert_allclose(values, expected, rtol=1e-6)


def test_seed_decides_everything_and_a_short_night_is_the_beginning_of_a_long_one(night: allsky.SimulatedNight):
    again = allsky.simulate_night(START, 300.0, seed=3, size=96)
    np.testing.assert_array_equal(again.frames, night.frames[:100])
    np.testing.assert_array_equal(again.kind, night.kind[:100])
    other = allsky.simulate_night(START, 300.0, seed=4, size=96)
    assert (other.frames != again.frames).mean() > 0.9


def test_global_random_state_is_left_alone():
    before = np.random.get_state()
    allsky.simulate_night(START, 9.0, size=16)
    after = np.random.get_state()
    assert before[0] == after[0] and before[2:] == after[2:]
    np.testing.assert_array_equal(before[1], after[1])


def test_a_frame_of_few_pixels_is_refused():
    with pytest.raises(ArgumentError, match="size"):
        allsky.simulate_night(START, 9.0, size=4)


@pytest.fixture
def store():
    tplot_tools = pytest.importorskip("pyspedas.tplot_tools")
    yield tplot_tools
    for name in [name for name in tplot_tools.data_quants if name.startswith("simulated_asf")]:
        del tplot_tools.data_quants[name]


def test_load_stores_frames_and_keogram(store):
    names = allsky.load(["2015-03-26/06:00:00", "2015-03-26/06:00:30"], suffix="_a", seed=3)
    assert names == ["simulated_asf_a", "simulated_keogram_a"]
    expected = allsky.simulate_night(START, 30.0, seed=3)
    frames, rows = store.get_data(names[0]), store.get_data(names[1])
    np.testing.assert_array_equal(frames.y, expected.frames)
    assert frames.y.dtype == np.uint16
    values, angle = allsky.keogram(expected.frames, expected.camera)
    np.testing.assert_array_equal(rows.y, values)
    np.testing.assert_array_equal(rows.v, angle)
    for name in names:
        simulated = store.get_data(name, metadata=True)["simulated"]
        assert simulated == {"seed": 3, "kind": expected.kind.tolist()}
    assert store.get_data(names[1], metadata=True)["plot_options"]["extras"]["spec"] == 1


@pytest.mark.parametrize("wrong", [{"probe": "gako"}, {"seed": -1}])
def test_load_refuses_what_it_does_not_simulate(wrong: dict):
    trange = ["2015-03-26/06:00:00", "2015-03-26/06:00:30"]
    with pytest.raises(ArgumentError):
        allsky.load(trange, **wrong)
