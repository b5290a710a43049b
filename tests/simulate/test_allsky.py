from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from pyspedas_similarity.errors import ArgumentError
from pyspedas_similarity.imaging.camera_geometry import Map, View, direction_of, emission_position, from_offsets
from pyspedas_similarity.imaging.keogram import keogram
from pyspedas_similarity.simulate import allsky, stations
from pyspedas_similarity.simulate.aurora import DRAW, Arc, Patches, Quiet, Streamer
from pyspedas_similarity.simulate.sky import Camera, Cloud, Moon, direction_vector, expose, horizontal, to_km
from pyspedas_similarity.simulate.stations import NightOptions, SharedSky

START = np.datetime64("2015-03-26T06:00:00", "ns")


@pytest.fixture(scope="module")
def night() -> allsky.SimulatedNight:
    return allsky.simulate_night(START, 1800.0, seed=3, size=96)


def nights(duration_s: float, seed: int = 3, **keywords) -> dict[str, allsky.SimulatedNight]:
    return allsky.simulate_nights(START, duration_s, seed, **{"size": 64, **keywords})


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


@pytest.mark.parametrize("kind", list(DRAW))
def test_emission_is_never_negative_and_no_two_draws_are_alike(kind: str):
    rng = np.random.default_rng(0)
    first, second = (DRAW[kind](rng).emission(*ground(), 60.0) for _ in range(2))
    assert first.min() >= 0
    assert kind == "quiet" or np.abs(first - second).max() > 1


def test_counts_have_the_mean_and_variance_of_shot_and_read_noise():
    camera = Camera()
    counts = expose(np.full((400, 400), 3.0), camera, np.random.default_rng(0)).astype(float)
    signal = 3.0 * camera.counts_per_kr
    assert counts.mean() == pytest.approx(camera.dark_counts + signal, abs=1.0)
    # Rounding to whole counts adds 1/12.
    assert counts.var() == pytest.approx(signal * camera.counts_per_electron + camera.read_noise**2 + 1 / 12, rel=0.02)


def test_bright_light_saturates_at_sixteen_bits():
    assert (expose(np.full((4, 4), 1e4), Camera(), np.random.default_rng(0)) == 65535).all()


def test_outside_the_disc_is_dark(night: allsky.SimulatedNight):
    corner = night.frames[:, :8, :8].astype(float)
    assert corner.mean() == pytest.approx(night.camera.dark_counts, abs=1.0)
    assert corner.std() == pytest.approx(night.camera.read_noise, rel=0.02)
    assert night.frames[:, 40:56, 40:56].min() > night.camera.dark_counts + 200


def test_stars_turn_about_the_pole_at_the_sidereal_rate():
    quiet = NightOptions(kinds=("quiet",), conditions=("clear",))
    night = nights(7201, sites=("gill",), cadence_s=7200.0, size=256, options=quiet)["gill"]
    azimuth, elevation = night.view.azimuth, night.view.elevation
    first, later = night.frames.astype(float)
    background = np.nanmedian(np.where(elevation > 40, first, np.nan))
    spots = [(row, column) for row, column in np.argwhere(first > background + 1800) if elevation[row, column] > 45]
    assert len(spots) > 8
    # A turn of 15.041 degrees an hour, east to west, about the axis toward the pole (Rodrigues' formula).
    latitude, angle = np.radians(night.view.latitude), np.radians(2 * 15.0410686)
    pole = np.array([0.0, np.cos(latitude), np.sin(latitude)])
    sky = direction_vector(azimuth, elevation)
    for row, column in spots:
        star = sky[:, row, column].astype(float)
        along = pole * (pole @ star)
        turned = along + (star - along) * np.cos(angle) - np.cross(pole, star) * np.sin(angle)
        if turned[2] < np.sin(np.radians(40)):
            continue
        there = np.nanargmax(np.tensordot(turned, sky, 1))
        r, c = np.unravel_index(there, first.shape)
        assert later[r - 1 : r + 2, c - 1 : c + 2].max() > background + 1200
        assert later[row, column] < background + 1200 or np.hypot(r - row, c - column) < 3


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


def test_camera_view_and_pixel_are_inverse_also_when_turned_and_off_the_center():
    camera = Camera(size=96, rotation_deg=7.0, offset=(1.5, -0.7))
    view = camera.view(60.0, -100.0)
    inside = np.isfinite(view.azimuth)
    row, column = camera.pixel_of(view.azimuth[inside], view.elevation[inside])
    np.testing.assert_allclose(np.stack([row, column]), np.array(np.nonzero(inside)), atol=1e-6)
    assert (view.elevation[inside] >= 5).all() and np.isnan(view.elevation[0, 0])
    # What lies up in the frame has the azimuth of the rotation.
    assert camera.azimuth()[10, 49] == pytest.approx(7.0, abs=0.5)
    assert Camera(size=96).view(0, 0).azimuth[48, 80] == pytest.approx(90.0, abs=1.0)


def test_trees_hide_what_is_low_and_nothing_that_is_high():
    plain, among = Camera(size=128), Camera(size=128, trees_deg=12.0, trees_seed=1)
    elevation, share = 90 - plain.zenith_angle(), among.transmission() / plain.transmission()
    assert share[elevation > 17].min() > 0.99
    low = (elevation > 5.5) & (elevation < 7)
    assert share[low].min() < 0.05
    assert (share[(elevation > 8) & (elevation < 9)] < 0.5).mean() == pytest.approx(0.3, abs=0.3)


def test_kilometers_are_those_of_an_equidistant_map_and_back():
    reference = (61.0, -116.5)
    latitude, longitude = Map(*reference, width_km=1010.0, pixels=101).positions()
    x, y = to_km(latitude, longitude, reference)
    along = np.arange(-500.0, 501.0, 10.0)
    np.testing.assert_allclose(x, np.broadcast_to(along, x.shape), atol=1e-6)
    np.testing.assert_allclose(y, np.broadcast_to(-along[:, None], y.shape), atol=1e-6)
    np.testing.assert_allclose(from_offsets(x, y, reference), (latitude, longitude), atol=1e-9)


LINE = Arc(30.0, 0.0, np.zeros(1), np.array([9.0]), np.array([60.0]), 0.0, 0.0, 300.0, 0.0, 0.0)
ONE_HEIGHT = NightOptions(kinds=("arc",), conditions=("clear",), heights_km=(110.0,), height_weights=(1.0,))


@pytest.mark.parametrize("sites", [("fsmi", "fsim"), ("gill", "tpas")])
def test_an_arc_lies_at_its_latitude_for_both_stations(sites: tuple[str, str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(DRAW, "arc", lambda rng: LINE)
    pair = nights(9, sites=sites, size=256, options=ONE_HEIGHT)
    places = allsky.station_places(sites)
    sky = SharedSky.draw(pair[sites[0]].times, 9, 3, places, ONE_HEIGHT)
    y_km = round(sky.center_km[0, 1] + LINE.y_km)
    latitude, longitude = (grid[700 - y_km] for grid in Map(*sky.reference, width_km=1401.0, pixels=1401).positions())
    for site, night in pair.items():
        frame = np.where(night.view.elevation > 20, night.frames[1].astype(float), 0)
        columns = np.flatnonzero(frame.max(axis=0) > 0.5 * frame.max())
        rows = frame[:, columns].argmax(axis=0)
        seen = night.view.azimuth[rows, columns], night.view.elevation[rows, columns]
        crest = emission_position(*seen, *places[site], 110.0)
        assert len(columns) > 50
        np.testing.assert_allclose(crest[0], np.interp(crest[1], longitude, latitude), atol=0.3)
        assert night.latitude[1] == pytest.approx(np.interp(night.longitude[1], longitude, latitude), abs=0.05)


class Spot:
    """A round spot 20 km wide at a place of its own."""

    def __init__(self, x_km: float, y_km: float) -> None:
        self.x_km, self.y_km = x_km, y_km

    def emission(self, x_km: np.ndarray, y_km: np.ndarray, t_s: float) -> np.ndarray:
        return 80 * np.exp(-((x_km - self.x_km) ** 2 + (y_km - self.y_km) ** 2) / 20**2)


def test_a_spot_is_where_the_truth_says_and_seen_by_whom_it_says(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(DRAW, "arc", lambda rng: Spot(-200.0, -25.0))
    places = {"here": (60.0, -110.0), "far": (60.0, -100.0)}
    found = nights(9, sites=places, size=128, options=ONE_HEIGHT)
    sky = SharedSky.draw(found["here"].times, 9, 3, places, ONE_HEIGHT)
    expected = from_offsets(*(sky.center_km[0] + [-200.0, -25.0]), sky.reference)
    for site, night in found.items():
        assert (night.latitude[0], night.longitude[0]) == pytest.approx(expected, abs=0.02)
        azimuth, elevation = direction_of(*expected, 110.0, places[site])
        assert night.visible[0] == pytest.approx(float(elevation > 20), abs=0.02)
        if elevation > 20:
            row, column = np.unravel_index(night.frames[0].argmax(), (128, 128))
            brightest = direction_vector(night.view.azimuth[row, column], night.view.elevation[row, column])
            assert brightest @ direction_vector(azimuth, elevation) > np.cos(np.radians(3))
    assert {night.visible[0] > 0.5 for night in found.values()} == {True, False}


def test_place_is_unknown_and_nothing_visible_where_quiet():
    night = nights(600, sites=("gill",), size=16, options=NightOptions(kinds=("quiet", "glow")))["gill"]
    quiet = night.kind == "quiet"
    assert quiet.any() and not quiet.all()
    np.testing.assert_array_equal(np.isnan(night.latitude), quiet)
    np.testing.assert_array_equal(night.visible == 0, quiet)


def test_light_of_several_heights_is_spread_along_the_line_of_sight(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(DRAW, "arc", lambda rng: LINE)
    low, high = (replace(ONE_HEIGHT, heights_km=(h,)) for h in (100.0, 140.0))
    both = replace(ONE_HEIGHT, heights_km=(100.0, 140.0), height_weights=(0.5, 0.5))
    frames = [nights(3, options=one)["fsmi"].frames[0].astype(float) for one in (low, high, both)]
    assert np.abs(frames[0] - frames[1]).max() > 5000
    assert np.abs((frames[0] + frames[1]) / 2 - frames[2]).max() < 1500


def test_directions_on_the_sky_at_the_meridian_and_the_pole():
    assert np.array(horizontal(np.zeros(1), np.array([20.0]), 60.0)).ravel() == pytest.approx([180.0, 50.0])
    assert np.array(horizontal(np.array([77.0]), np.array([90.0]), 60.0))[1] == pytest.approx(60.0)
    azimuth, elevation = horizontal(np.array([90.0]), np.array([0.0]), 60.0)
    assert azimuth[0] == pytest.approx(270.0) and elevation[0] == pytest.approx(0.0, abs=1e-9)


def sparkle(frame: np.ndarray, view: View) -> float:
    """How far single pixels stand out of their neighborhood, above 30 degrees: the 99.5th percentile."""
    detail = frame.astype(float) - (frame + np.roll(frame, 3, 0) + np.roll(frame, 3, 1)).astype(float) / 3
    return float(np.percentile(detail[np.nan_to_num(view.elevation) > 30], 99.5))


def test_closed_cloud_hides_stars_and_aurora(monkeypatch: pytest.MonkeyPatch):
    closed = replace(Cloud.draw(np.random.default_rng(0)), cover=3.0, depth=8.0, moonlit=False)
    monkeypatch.setitem(stations._WEATHER, "cloud", lambda rng: closed)
    monkeypatch.setitem(DRAW, "arc", lambda rng: LINE)
    clear, cloudy = (
        nights(3, size=128, options=NightOptions(kinds=("arc",), conditions=(condition,)))["fsmi"]
        for condition in ("clear", "cloud")
    )
    assert sparkle(clear.frames[0], clear.view) > 5 * sparkle(cloudy.frames[0], cloudy.view)
    assert clear.frames.max() > 20000 and cloudy.frames.max() < 12000
    assert cloudy.condition.tolist() == ["cloud"] and clear.condition.tolist() == ["clear"]


def test_no_cloud_leaves_light_as_it_is_and_clouds_drift_with_the_wind():
    cloud = Cloud.draw(np.random.default_rng(1))
    light, here = np.linspace(1, 50, 400, dtype=np.float32), tuple(np.mgrid[-10:10, -10:10].reshape(2, -1) * 0.5)
    np.testing.assert_allclose(cloud.veil(light, 0.0, here, 5.0), light)
    assert np.ptp(cloud.veil(light, 100.0, here, 5.0) / cloud.veil(light, 50.0, here, 5.0)) < 10
    assert np.abs(cloud.thickness(here, 120.0) - cloud.thickness(here, 0.0)).max() > 0.1


def test_the_moon_lights_the_sky_and_stands_where_it_is():
    clear, moon = (
        nights(1801, sites=("gill",), cadence_s=1800.0, options=NightOptions(("quiet",), (condition,)))["gill"]
        for condition in ("clear", "moon")
    )
    assert np.median(moon.frames[0]) > np.median(clear.frames[0]) + 300
    assert moon.condition.tolist() == ["moon", "moon"]
    places = allsky.station_places(["gill"])
    about = SharedSky.draw(moon.times, 1801, 3, places, NightOptions(("quiet",), conditions=("moon",))).moon
    for i, t_s in enumerate((0.0, 1800.0)):
        toward = direction_vector(*about.direction(t_s, *places["gill"]))
        disc = moon.frames[i] == 65535
        seen = direction_vector(moon.view.azimuth[disc], moon.view.elevation[disc])
        assert disc.sum() >= 1 and (toward @ seen).min() > np.cos(np.radians(7))


def test_a_moon_below_the_horizon_is_no_moon(monkeypatch: pytest.MonkeyPatch):
    below = Moon(180.0, -20.0, -94.656, 3.0)
    monkeypatch.setattr(Moon, "draw", classmethod(lambda cls, rng, meridian: below))
    options = NightOptions(kinds=("quiet",), conditions=("moon",))
    night = nights(3, sites=("gill",), options=options)["gill"]
    clear = nights(3, sites=("gill",), options=replace(options, conditions=("clear",)))["gill"]
    assert night.condition.tolist() == ["clear"]
    np.testing.assert_array_equal(night.frames, clear.frames)


def test_twilight_rises_on_one_side():
    options = NightOptions(kinds=("quiet",), conditions=("twilight",))
    night = nights(181, sites=("gill",), cadence_s=60.0, options=options)["gill"]
    azimuth, low = night.view.azimuth, np.abs(night.view.elevation - 25) < 10
    east, west = (low & (np.abs(azimuth - side) < 40) for side in (80, 260))
    bright = [[np.median(frame[side]) for side in (east, west)] for frame in night.frames]
    rise = np.diff(bright, axis=0)
    assert (rise[:, 0] > 0).all() and rise[:, 0].sum() > 5 * abs(rise[:, 1].sum())
    assert bright[-1][0] > 1.5 * bright[-1][1]


def test_faulty_frames_are_what_the_truth_says():
    options = NightOptions(dropped=0.1, duplicate=0.2, saturated=0.05)
    night = nights(1800, sites=("fsim",), size=16, options=options)["fsim"]
    share = {kind: (night.condition == kind).mean() for kind in ("dropped", "duplicate", "saturated")}
    assert share == pytest.approx({"dropped": 0.1, "duplicate": 0.2, "saturated": 0.05}, abs=0.03)
    np.testing.assert_array_equal(night.frames.max(axis=(1, 2)) == 0, truly(night, 0, "dropped"))
    for i in np.flatnonzero(night.condition == "duplicate"):
        np.testing.assert_array_equal(night.frames[i], night.frames[i - 1])
    same = (night.frames[1:] == night.frames[:-1]).all(axis=(1, 2))
    both_dropped = (night.condition[1:] == "dropped") & truly(night, 0, "dropped")[:-1]
    np.testing.assert_array_equal(same, (night.condition[1:] == "duplicate") | both_dropped)
    high = night.view.elevation > 20
    assert (night.frames[night.condition == "saturated"][:, high] == 65535).all()
    clean = nights(1800, sites=("fsim",), size=16)["fsim"]
    good = ~np.isin(night.condition, list(share))
    np.testing.assert_array_equal(night.frames[good], clean.frames[good])
    np.testing.assert_array_equal(night.condition[good], clean.condition[good])


def truly(night: allsky.SimulatedNight, first: int, kind: str) -> np.ndarray:
    """Which frames are of a kind, or repeat one that is."""
    is_kind = night.condition == kind
    for i in range(first + 1, is_kind.size):
        is_kind[i] |= night.condition[i] == "duplicate" and is_kind[i - 1]
    return is_kind


def test_stations_share_the_aurora_but_not_the_weather():
    pair = nights(3600, cadence_s=30.0, size=16)
    np.testing.assert_array_equal(pair["fsmi"].kind, pair["fsim"].kind)
    assert set(pair["fsmi"].kind) == set(DRAW)
    assert (pair["fsmi"].condition != pair["fsim"].condition).mean() > 0.2
    assert set(pair["fsmi"].condition) == {"clear", "cloud", "moon", "twilight"}
    assert pair["fsmi"].camera != pair["fsim"].camera


def test_a_pair_often_sees_the_same_structure():
    pair = list(nights(7200, cadence_s=30.0, size=16).values())
    there = pair[0].kind != "quiet"
    both = np.minimum(pair[0].visible, pair[1].visible)[there]
    assert (both > 0.2).mean() > 0.5


def test_a_short_night_of_two_stations_is_the_beginning_of_a_long_one():
    long, short = (nights(seconds, size=32, options=NightOptions(duplicate=0.1)) for seconds in (900, 120))
    for site, night in short.items():
        for name in ("times", "frames", "kind", "condition", "latitude", "longitude", "visible"):
            np.testing.assert_array_equal(getattr(night, name), getattr(long[site], name)[:40], err_msg=name)
    other = nights(120, seed=4, size=32)
    assert (other["fsmi"].frames != short["fsmi"].frames).mean() > 0.9


@pytest.mark.parametrize(
    "wrong",
    [
        {"kinds": ("arc", "rainbow")},
        {"kinds": ()},
        {"conditions": "clear"},
        {"cameras": "best"},
        {"heights_km": (110.0,)},
        {"dropped": 1.5},
        {"saturated": float("nan")},
    ],
)
def test_options_that_do_not_exist_are_refused(wrong: dict):
    with pytest.raises(ArgumentError, match=next(iter(wrong))):
        NightOptions(**wrong)


@pytest.mark.parametrize("wrong", [{"sites": ["nowhere"]}, {"sites": {}}, {"cadence_s": 0.0}, {"size": 8}])
def test_nights_that_cannot_be_are_refused(wrong: dict):
    with pytest.raises(ArgumentError, match=next(iter(wrong))):
        nights(9, **wrong)


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
    line = keogram(expected.frames, expected.view)
    np.testing.assert_array_equal(rows.y, line.values)
    np.testing.assert_array_equal(rows.v, line.axis)
    assert line.name == "zenith angle" and line.axis[0] < -75 and line.axis[-1] > 75
    for name in names:
        simulated = store.get_data(name, metadata=True)["simulated"]
        assert simulated == {"seed": 3, "kind": expected.kind.tolist()}
    assert store.get_data(names[1], metadata=True)["plot_options"]["extras"]["spec"] == 1


@pytest.mark.parametrize("wrong", [{"probe": "xxxx"}, {"probe": ["fsmi", "mms1"]}, {"probe": []}, {"seed": -1}])
def test_load_refuses_what_it_does_not_simulate(wrong: dict):
    trange = ["2015-03-26/06:00:00", "2015-03-26/06:00:30"]
    with pytest.raises(ArgumentError):
        allsky.load(trange, **wrong)


def test_load_of_stations_stores_frames_with_skymap_and_truth(store):
    names = allsky.load(["2015-03-26/06:00:00", "2015-03-26/06:00:06"], probe=["gill", "tpas"], suffix="_a", seed=3)
    assert names == ["simulated_asf_gill_a", "simulated_asf_tpas_a"]
    expected = allsky.simulate_nights(START, 6.0, seed=3, sites=("gill", "tpas"))
    for name, night in zip(names, expected.values(), strict=True):
        np.testing.assert_array_equal(store.get_data(name).y, night.frames)
        about = store.get_data(name, metadata=True)
        latitude, longitude = allsky.station_places([night.site])[night.site]
        assert about["data_att"] == {
            "units": "counts",
            "site": night.site,
            "latitude": latitude,
            "longitude": longitude,
            "first_row": "north",
            "first_column": "west",
        }
        assert about["simulated"]["kind"] == night.kind.tolist() and about["simulated"]["seed"] == 3
        assert about["simulated"]["condition"] == night.condition.tolist()
        np.testing.assert_array_equal(about["skymap"].elevation, night.view.elevation)
    assert allsky.load(["2015-03-26/06:00:00", "2015-03-26/06:00:03"], probe="fsmi") == ["simulated_asf_fsmi"]
