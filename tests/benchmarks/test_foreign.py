"""Data set of a simulator by other authors, with a small simulator in its place."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.__main__ import BAD_INPUT, main
from benchmarks.data_sets.foreign import MODULE_FILE, default_folder, load_simulator, make_foreign
from benchmarks.data_sets.tasks import DataUnavailable
from benchmarks.retrieval.plan import Plan
from benchmarks.retrieval.run import RELATIVE, run_data_set

SIMULATOR = """
import numpy as np

def make(seed=0, n_events=4, n_samples=6):
    rng = np.random.default_rng(seed)
    n = n_events * n_samples
    event = np.repeat(np.arange(n_events), n_samples)
    sample = np.tile(np.arange(n_samples), n_events)
    region = np.where((event % 2 == 0) & (sample < 2), 3, 0)
    energy = np.geomspace(10.0, 27000.0, 32)
    # Outside the diffusion region the temperature is that of the event.
    width = np.where(region == 3, 100.0, 1000.0 + 300.0 * event + 30.0 * sample)
    dist = 1e-26 * np.exp(-energy / width[:, None])[:, None, None, :] * (1 + 0.01 * rng.random((n, 32, 16, 32)))
    return {
        "time": np.datetime64("2016-11-01", "ns") + np.arange(n) * np.timedelta64(30, "ms"),
        "dist": dist.astype("f4"),
        "phi": np.tile(np.arange(32) * 11.25, (n, 1)).astype("f4"),
        "theta": np.linspace(5.625, 174.375, 16).astype("f4"),
        "energy": np.tile(energy, (n, 1)).astype("f4"),
        "b": np.tile([3.0, 4.0, 12.0], (n, 1)),
        "v": np.tile([100.0, -50.0, 20.0], (n, 1)),
        "event": event,
        "region": region,
    }
"""


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "foreign"
    place.mkdir()
    (place / MODULE_FILE).write_text(SIMULATOR)
    return place


def test_queries_are_in_diffusion_regions_and_their_own_event_is_excluded(folder):
    data_sets = list(make_foreign(folder, draws=(5, 6), events=4, samples=6))
    assert [one.name for one in data_sets] == ["foreign-5", "foreign-6"]
    for data in data_sets:
        (task,) = data.tasks
        assert data.simulated and data.group.tolist() == np.repeat(range(4), 6).tolist()
        assert len(task.queries) == 4 and set(data.group[task.queries]) == {0, 2}
        allowed, right = task.allowed(task.queries), task.relevant(task.queries)
        np.testing.assert_array_equal(allowed, data.group[task.queries][:, None] != data.group)
        assert (right & allowed).sum(axis=1).tolist() == [2] * 4


def test_images_are_those_of_the_draw(folder):
    first, second = (one.draw(one.recipe) for one in make_foreign(folder, draws=(5, 6), events=4, samples=6))
    (again,) = make_foreign(folder, draws=(6,), events=4, samples=6)
    assert first.shape == (24, *again.recipe.shape)
    np.testing.assert_array_equal(second, again.draw(again.recipe))
    assert not np.array_equal(first, second)


def test_every_event_is_listed(folder):
    (data,) = make_foreign(folder, draws=(5,), events=4, samples=6)
    rows = [row for row in run_data_set(data, Plan(encoders=("pixels",)), print) if row["compared"] == RELATIVE]
    listed = dict(part.split() for part in rows[0]["ap_by_group"].split(", "))
    assert set(listed) == {"0", "2"}
    # Two queries in each event, so that the mean over events is the mean over queries.
    assert np.mean([float(value) for value in listed.values()]) == pytest.approx(rows[0]["ap"], abs=0.006)


def test_the_command_prints_every_event(folder, tmp_path, capsys):
    arguments = ["retrieval", "--quick", "--only", "foreign", "--encoders", "pixels", "--out", str(tmp_path / "out")]
    assert main([*arguments, "--foreign", str(folder)]) == 0
    printed = capsys.readouterr().out
    assert "foreign-0/foreign [SIMULATED]" in printed and "ap of each group:" in printed


def test_the_folder_is_next_to_the_data(folder, tmp_path, monkeypatch):
    monkeypatch.delenv("PYSPEDAS_SIMILARITY_DATA", raising=False)
    data = tmp_path / "data"
    data.mkdir()
    assert default_folder(data) == folder and default_folder(None) is None
    assert default_folder(folder / "data") is None
    monkeypatch.setenv("PYSPEDAS_SIMILARITY_DATA", str(data))
    assert default_folder(None) == folder


def test_without_the_simulator_the_data_set_is_unavailable(tmp_path, capsys):
    with pytest.raises(DataUnavailable, match="--foreign"):
        next(make_foreign(None))
    with pytest.raises(DataUnavailable, match=MODULE_FILE):
        load_simulator(tmp_path)
    assert main(["retrieval", "--foreign", str(tmp_path / "no"), "--out", str(tmp_path)]) == BAD_INPUT
    assert "no such folder" in capsys.readouterr().err
