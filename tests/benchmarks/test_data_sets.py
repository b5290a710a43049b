"""The rules of the data sets: what may be found, what is right, and that nothing leaks."""

import importlib.util

import numpy as np
import pytest

from benchmarks.data_sets import sky, windows
from benchmarks.data_sets.edr import edr_task
from benchmarks.data_sets.tasks import DataUnavailable, thin
from pyspedas_similarity.imaging.recipes import FrameRecipe


def test_a_diffusion_region_looks_for_those_of_other_events():
    event, is_edr = np.repeat([7, 8, 9], 10), np.tile(np.arange(10) < 3, 3)
    task = edr_task(event, is_edr)
    assert is_edr[task.queries].all() and len(task.queries) == 9
    allowed = task.allowed(task.queries)
    assert not (allowed & (event == event[task.queries][:, None])).any()
    assert (task.relevant(task.queries) & allowed).sum(axis=1).tolist() == [6] * 9
    leaky = task.leaky(task.queries)
    assert not leaky[np.arange(9), task.queries].any() and leaky.sum() == 9 * 29


def reduced_file():
    """Three events on two spacecraft, the last two 3 s apart, and the known copy."""
    rng = np.random.default_rng(0)
    file = {}
    for event, start_s in (("01", 0.0), ("02", 500.0), ("03", 507.0)):
        for spacecraft in ("1", "2"):
            key = f"ev{event}_mms{spacecraft}"
            file[f"{key}_orig_f"] = rng.random((128, 141)).astype(np.float32)
            offset = 4e6 if spacecraft == "2" else 0.0
            file[f"{key}_orig_tt2000"] = (start_s * 1e9 + offset + np.arange(128) * 30_000_000).astype(np.int64)
            file[f"{key}_v_kms"] = np.linspace(-7e4, 7e4, 141)
    for name in ("orig_f", "orig_tt2000", "v_kms"):
        file[f"ev10_mms4_{name}"] = file[f"ev01_mms1_{name}"]
    return file


def test_reduced_windows_are_cut_and_events_that_follow_closely_are_one_crossing():
    cut = windows.cut_windows(reduced_file())
    assert cut.values.shape == (6 * 5, 64, 141) and set(cut.spacecraft) == {1, 2}
    assert [set(cut.group[cut.event == event]) for event in (1, 2, 3)] == [{0}, {1}, {1}]
    np.testing.assert_array_equal(cut.values[1], reduced_file()["ev01_mms1_orig_f"][16:80])


def test_a_window_looks_for_its_siblings_at_its_own_time():
    cut = windows.cut_windows(reduced_file())
    siblings, crossing = windows.reduced_tasks(cut)
    rows = np.arange(len(cut.event))
    for task in (siblings, crossing):
        assert not (task.allowed(rows) & (cut.spacecraft == cut.spacecraft[:, None])).any()
    # Windows begin every 0.48 s: 0, 0.48 and 0.96 s away lie within half a window, 0.96 s, less what clocks differ.
    right = siblings.relevant(rows) & siblings.allowed(rows)
    apart = np.abs(cut.middle[:, None] - cut.middle) / np.timedelta64(1, "s")
    assert apart[right].max() <= 0.96 and apart[siblings.allowed(rows) & ~right].min() > 0.96
    assert (crossing.relevant(rows) & crossing.allowed(rows)).sum(axis=1).tolist() == ([5] * 10 + [10] * 20)


def test_windows_that_go_on_from_each_other_are_one_pass():
    first = np.array([10.0, 9.5, 9.0, -5.0, -4.5, np.nan])
    last = np.array([9.6, 9.1, 8.6, -4.6, -4.1, np.nan])
    assert windows.passes(first, last).tolist() == [0, 0, 0, 1, 1, 2]
    task = windows.region_task(np.array([1, 1, 1, 1, 2, 2]), windows.passes(first, last))
    allowed = task.allowed(task.queries)
    assert allowed[0].tolist() == [False, False, False, True, True, True]
    assert (task.relevant(task.queries) & allowed)[0].tolist() == [False, False, False, True, False, False]


@pytest.fixture(scope="module")
def nights():
    return sky.simulate(nights=2, duration_s=420.0, cadence_s=12.0, size=32)


def test_simulated_frames_of_a_night_are_seen_from_two_stations(nights):
    assert nights.frames.shape == (2 * 2 * 35, 32, 32) and set(nights.station) == set(sky.STATIONS)
    a, b = (nights.station == station for station in sky.STATIONS)
    np.testing.assert_array_equal(nights.episode[a], nights.episode[b])
    np.testing.assert_array_equal(nights.times[a], nights.times[b])
    assert all(len(set(nights.kind[nights.episode == episode])) == 1 for episode in set(nights.episode))
    assert len(set(nights.night[nights.episode == nights.episode[0]])) == 1
    np.testing.assert_array_equal(sky.seen_elsewhere(nights)[a], nights.seen[b])
    assert not nights.seen[nights.kind == "quiet"].any()


def test_nothing_of_the_own_station_or_night_leaks(nights):
    rows = np.flatnonzero(nights.seen)
    assert len(rows) > 10
    station, episode, _ = sky.station_tasks(nights)
    times, kind, _ = sky.single_station_tasks(nights)
    own_station = nights.station[rows][:, None] == nights.station
    apart = np.abs(nights.times[rows][:, None] - nights.times)
    for task in (station, episode):
        assert not (task.allowed(rows) & own_station).any()
    right = station.relevant(rows) & station.allowed(rows)
    assert apart[right].max() <= sky.SAME_TIME and (right.sum(axis=1) == 1).all()
    assert not (times.allowed(rows) & ~own_station).any()
    assert apart[times.allowed(rows)].min() > sky.TOO_NEAR
    assert apart[times.relevant(rows)].max() <= sky.NEAR
    assert not (kind.allowed(rows) & (nights.night[rows][:, None] == nights.night)).any()
    same_kind = nights.kind[rows][:, None] == nights.kind
    assert not (kind.allowed(rows) & same_kind & ~nights.seen).any()
    assert not (kind.relevant(rows) & ~same_kind).any()


def test_the_control_asks_empty_skies_for_empty_skies(nights):
    tasks = [*sky.station_tasks(nights), *sky.single_station_tasks(nights)]
    across, own = (task for task in tasks if task.name.startswith("empty"))
    rows = np.flatnonzero(nights.empty)
    assert set(nights.kind[rows]) == {"quiet"} and len(rows) > 0
    own_station = nights.station[rows][:, None] == nights.station
    np.testing.assert_array_equal(across.queries, rows)
    np.testing.assert_array_equal(across.allowed(rows), ~own_station & nights.empty)
    assert not (own.allowed(rows) & ~(own_station & nights.empty)).any()
    assert (across.name, own.name) == ("empty-other", "empty-own")


def test_images_of_a_station_are_made_with_its_own_view(nights):
    recipe = FrameRecipe(pixels=32, projection="sky", least_elevation=10.0)
    images = nights.images(recipe)
    assert images.shape == (140, 1, 32, 32)
    row = int(np.flatnonzero(nights.view == 3)[4])
    alone = sky.camera_images(nights.frames[[row]], nights.times[[row]], recipe, nights.views[3])
    np.testing.assert_array_equal(images[row], alone[0])


def test_frames_between_the_stretches_have_no_label_and_two_minutes_are_left_out():
    times = np.datetime64("2015-03-26T06:07:00", "ns") + np.arange(460) * np.timedelta64(3, "s")
    episode = sky.episodes_at(times)
    assert episode[0] == 0 and episode[36] == -1 and episode[-1] == 5
    kept = episode >= 0
    task = sky.movie_task(times[kept], episode[kept])
    allowed = task.allowed(task.queries)
    apart = np.abs(times[kept][:, None] - times[kept])
    assert apart[allowed].min() > np.timedelta64(120, "s")
    has_answer = (task.relevant(task.queries) & allowed).any(axis=1)
    # The arc lasts less than two minutes: nothing right is left for it, nor for the middle of the breakup.
    share = [has_answer[episode[kept] == number].mean() for number in range(6)]
    assert share[0] == 0 and 0.8 < share[1] < 1 and share[2:] == [1] * 4


def test_many_queries_are_thinned_evenly():
    assert thin(np.arange(5), 10).tolist() == [0, 1, 2, 3, 4]
    assert thin(np.arange(100), 3).tolist() == [0, 50, 99]


def test_a_missing_file_leaves_its_data_set_out(tmp_path):
    for make in (windows.make_reduced, windows.make_regions, sky.make_movie):
        with pytest.raises(DataUnavailable, match="there is no file"):
            make(tmp_path)


def test_without_h5py_the_regions_are_left_out(tmp_path, monkeypatch):
    path = tmp_path / windows.REGIONS_FILE
    path.parent.mkdir()
    path.touch()
    monkeypatch.setitem(__import__("sys").modules, "h5py", None)
    with pytest.raises(DataUnavailable, match="pip install h5py"):
        windows.make_regions(tmp_path)


def test_real_reduced_windows_are_of_five_crossings_and_the_copy_is_one(real_data):
    path = real_data(windows.REDUCED_FILE)
    with np.load(path) as file:
        np.testing.assert_array_equal(file["ev10_mms4_orig_f"], file["ev09_mms4_orig_f"])
    data = windows.make_reduced(path.parents[1])
    assert len(set(data.group)) == 5
    assert data.draw(data.recipe).shape == (208, 1, 32, 32)


def test_real_regions_come_from_few_passes(real_data):
    folder = real_data(windows.REGIONS_FILE).parents[1]
    if importlib.util.find_spec("h5py") is None:
        with pytest.raises(DataUnavailable, match="h5py"):
            windows.make_regions(folder)
        return
    data = windows.make_regions(folder)
    (task,) = data.tasks
    right = (task.relevant(task.queries) & task.allowed(task.queries)).any(axis=1)
    # Two of the six regions were met in one pass only.
    assert len(right) == 585 and right.sum() == 385


def test_real_movie_has_its_labeled_frames(real_data):
    data = sky.make_movie(real_data(sky.MOVIE_FILE).parents[1])
    assert len(data.group) == sum(sky.episodes_at(np.load(real_data(sky.MOVIE_FILE))["times"]) >= 0) == 275
