"""The case studies of the documentation run, and find what they say they find."""

from __future__ import annotations

import runpy
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pyspedas
import pytest

import pyspedas_similarity as sim
from pyspedas_similarity import tplot
from pyspedas_similarity.instruments.companions import find_companions, with_companions
from pyspedas_similarity.instruments.sample_images import images, select

EXAMPLES = Path(__file__).resolve().parents[2] / "docs" / "examples"


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run a script with its page in a temporary folder; gives the names it leaves."""
    monkeypatch.setenv("CASE_STUDY_FOLDER", str(tmp_path))
    monkeypatch.setattr(plt.Figure, "show", lambda figure: None)  # without a display it would warn
    return lambda name: runpy.run_path(str(EXAMPLES / f"{name}.py"))


def test_diffusion_region_finds_all_others_and_nothing_else(run, tmp_path):
    names = run("case_diffusion_region")
    controls = [
        name
        for scene, pair in zip(names["scenes"], names["passes"], strict=True)
        for name in pair
        if scene == "control"
    ]
    assert len(names["truth"]) == 12 and len(controls) == 4
    assert 0.3 < names["best_control"] < 0.7 and 0.65 < names["threshold"] < 0.85
    table = names["table"]
    # One match in each of the twelve passages but that of the seed, and none in a control.
    assert len(table) == 11 and not set(table["source"]) & set(controls)
    for row in table:
        start, end = names["diffusion_region"](row["source"])
        assert start <= row["peak"].datetime64 < end
    assert {key: names["numbers"][key] for key in ("known", "new", "missed")} == {"known": 11, "new": 0, "missed": 0}
    assert names["chance"]["base_rate"] < 0.1  # the controls count as searched
    assert names["chance"]["value"] == pytest.approx(1 / names["chance"]["base_rate"])
    assert len(plt.get_fignums()) == 3
    assert "11 intervals found" in (tmp_path / "diffusion_region.html").read_text(encoding="utf-8")

    # The crescents of the matches point along perp1; the controls have none.
    nearest = sim.intervals(names["nearest_control"])
    assert sorted(nearest["source"]) == sorted(controls)
    assert [asymmetry(row) > 1.5 for row in table] == [True] * 11
    assert [asymmetry(row) > 1.5 for row in nearest] == [False] * 4


def test_study_of_electrons_gives_what_its_table_says(run):
    names = run("study_electrons")
    has_region, best = np.array(names["has_region"]), np.array(names["best"])
    assert names["size"] == 5200 and has_region.sum() == 6
    # All five other diffusion regions are among the six nearest events, and before all crossings without one.
    assert set(names["table"]["crossing"][:5].tolist()) == set(np.flatnonzero(has_region)[1:].tolist())
    assert names["table"]["region"].tolist() == [True] * 5 + [False]
    assert best[1:][has_region[1:]].max() < best[~has_region].min()
    assert min(names["recall"]) == pytest.approx(0.40, abs=0.01) and max(names["recall"]) == 1
    assert max(names["false_alarms"]) < 0.01
    assert names["r_squared"] == pytest.approx(0.88, abs=0.02)
    assert len(plt.get_fignums()) == 3
    (box,) = {type(one).__name__ for one in names["chart"].axes[0].artists}
    assert box == "AnnotationBbox" and len(names["chart"].axes[0].artists) == 12


def asymmetry(row) -> float:
    """Return phase space density at positive perp1 over that at negative perp1, at the peak of an event.

    In the plane across the magnetic field, in the frame of the electrons, above the energies of photoelectrons.
    """
    changes = {"planes": ("perp1-perp2",), "agyrotropy": False, "pixels": 96, "blur": 0.0}
    scale = {"speed_unit": "km/s", "speed_max": 14000.0, "density_unit": "absolute", "floor": 1e-29, "ceiling": 1e-25}
    plane = replace(sim.instruments.INSTRUMENTS["mms_des"].recipe, **changes, **scale)
    series = tplot.read(row["source"])
    sample = select(series, np.abs(series.times - row["peak"].datetime64).argmin()[None])
    scaled = next(images(with_companions(sample, find_companions(series, {}), plane), plane))[0, 0]
    density = np.nan_to_num(plane.floor * (plane.ceiling / plane.floor) ** scaled.astype(np.float64))
    return float(density[:, 48:].sum() / density[:, :48].sum())


def test_streamer_is_found_at_the_neighbor_and_later(run, tmp_path):
    names = run("case_streamer")
    table = names["table"]
    assert table["site"].tolist() == ["fsim", "fsmi"]
    first, second = names["streamers"]("simulated_asf_fsmi")
    assert table["score"][1] > 0.9
    for row, (start, end) in zip(table, (first, second), strict=True):
        assert start <= row["start"].datetime64 < row["end"].datetime64 <= end
    seed = np.datetime64("2020-01-02T06:13:12")
    assert table["start"][0].datetime64 < seed < table["end"][0].datetime64
    assert (second[0] - first[0]) / np.timedelta64(1, "m") == pytest.approx(12.55)
    # The neighbor's second streamer: all its frames under the Moon, hardly any searched.
    assert names["condition"].shape == (63,) and (names["condition"] == "moon").all()
    scores = pyspedas.get_data("simulated_asf_fsim_similarity").y[names["during"]]
    assert np.isfinite(scores).sum() == 2 and np.nanmax(scores) < 0.1
    assert names["joined"]["status"].tolist() == ["known", "missed"]
    assert len(plt.get_fignums()) == 2
    assert "2 intervals found" in (tmp_path / "streamer.html").read_text(encoding="utf-8")
    assert sim.intervals(names["found"])["score"].tolist() == table["score"].tolist()


def test_auroral_study(run):
    names = run("study_aurora")
    # The best match is the same spiral at the other station, at the same time.
    best = names["table"][0]
    assert (best["site"], str(best["peak"].datetime64)[:19]) == ("fsim", "2020-01-05T06:01:00")
    assert best["score"] > 0.95 and len(names["table"]) == 6
    ranks = {key: np.median(found) for key, found in names["ranks"].items()}
    assert ranks["20 s later, fsmi"] <= 4 and ranks["same time, fsim"] < 120  # 180 by chance
    # Above the share of the most frequent class.
    assert names["many"] > names["most"] + 0.2 and names["few"] > names["most"] + 0.1
    assert names["drawn"].places.shape == (720, 2) and len(names["chosen"]) >= 15
    assert len(plt.get_fignums()) == 4
    assert not Path(names["work"].name).exists()
