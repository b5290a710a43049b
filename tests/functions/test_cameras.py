"""The verbs of all-sky frames, on a simulated night: quality, keograms, searches that leave out what is not usable."""

from __future__ import annotations

import logging

import numpy as np
import pytest

import pyspedas_similarity as sim
from pyspedas_similarity import tplot
from pyspedas_similarity.errors import QueryError, VariableError
from pyspedas_similarity.imaging.frame_quality import FLAGS
from pyspedas_similarity.imaging.recipes import FrameRecipe
from pyspedas_similarity.simulate.allsky import SimulatedNight, simulate_nights
from pyspedas_similarity.simulate.stations import NightOptions
from pyspedas_similarity.tplot import Variable

START = np.datetime64("2020-01-02T06:00:00", "ns")
CLEAR = NightOptions(("quiet", "arc"), conditions=("clear",), heights_km=(110.0,), height_weights=(1.0,))


@pytest.fixture(scope="module")
def night() -> SimulatedNight:
    """Quiet sky and arcs, simulated; six frames in the middle lie under an even gray."""
    made = simulate_nights(START, 600.0, 5, ("fsmi",), cadence_s=10.0, size=128, options=CLEAR)["fsmi"]
    inside = np.isfinite(made.view.elevation)
    gray = np.random.default_rng(0).normal(4000, 25, made.frames[30:36].shape)
    made.frames[30:36] = np.where(inside, gray, made.frames[30:36]).astype(np.uint16)
    made.frames[40] = 0
    made.frames[50] = made.frames[49]
    return made


@pytest.fixture
def name(night: SimulatedNight) -> str:
    attributes = {"data_att": {"units": "counts", "site": "fsmi"}, "skymap": night.view}
    return tplot.write(Variable("simulated_asf_fsmi", night.times, night.frames, attributes=attributes))


def test_quality_as_two_variables(name, night):
    assert sim.frame_quality(name) == ["simulated_asf_fsmi_flag", "simulated_asf_fsmi_activity"]
    flag, activity = (tplot.read(f"{name}_{ending}").values for ending in ("flag", "activity"))
    assert (flag[30:36] == FLAGS["cloud"]).all() and flag[40] == FLAGS["dropped"] and flag[50] == FLAGS["duplicate"]
    spoiled = np.isin(np.arange(60), [*range(30, 36), 40, 50])
    assert (flag[~spoiled] == 0).mean() > 0.9
    arc = (night.kind == "arc") & ~spoiled
    changes = np.flatnonzero(night.kind[1:] != night.kind[:-1])
    settled = (np.abs(np.arange(60)[:, None] - changes) > 3).all(axis=1) & ~spoiled
    assert (activity[arc] >= 1).mean() > 0.9 and (activity[(night.kind == "quiet") & settled] < 1).all()
    assert np.isnan(activity[40])
    about = tplot.read(f"{name}_flag").attributes
    assert about["data_att"]["flags"].startswith("0 usable, 1 cloud") and about["similarity"]["source"] == name


def test_a_search_leaves_out_what_is_not_usable(name, night, caplog):
    seed = int(np.flatnonzero(night.kind == "arc")[3])
    with caplog.at_level(logging.INFO):
        found = sim.find_similar(name, like=night.times[seed], k=2, exclude=30)
    scores, flags = tplot.read(found[-1]).values, tplot.read(sim.frame_quality(name)[0]).values
    np.testing.assert_array_equal(np.isnan(scores), flags != 0)
    assert f"{(flags != 0).sum()} of 60 frames have no score" in caplog.text
    gate = tplot.read(found[0]).attributes["similarity"]["frame_quality"]
    assert gate["usable_only"] and not gate["active_only"] and "6 cloud" in gate["frames"]
    everything = sim.find_similar(name, like=night.times[seed], k=2, exclude=30, usable_only=False, newname="all")
    assert np.isfinite(tplot.read(everything[-1]).values).sum() == 59  # all but the black frame


def test_inactive_frames_are_not_reported_on_request(name, night):
    quiet = int(np.flatnonzero(night.kind == "quiet")[2])
    rules = {"like": night.times[quiet], "threshold": -1.0, "exclude": 0}
    everything, active = (
        sim.intervals(sim.find_similar(name, active_only=only, newname=str(only), **rules)) for only in (False, True)
    )
    activity = tplot.read(sim.frame_quality(name)[1]).values
    assert active["n_samples"].sum() < everything["n_samples"].sum()
    assert active["n_samples"].sum() <= (activity >= 1).sum()


def test_a_seed_under_clouds_is_refused(name, night):
    with pytest.raises(QueryError, match="not usable: 1 cloud.*usable_only=False"):
        sim.find_similar(name, like=night.times[32], errors="raise")
    assert sim.find_similar(name, like=night.times[32], k=1, usable_only=False)


def test_a_night_without_a_usable_frame_is_nothing_found(name, night, caplog):
    clouded = np.where(np.isfinite(night.view.elevation), night.frames[31], night.frames[0])[None]
    noise = np.random.default_rng(1).integers(0, 9, (20, 128, 128), dtype=np.uint16)
    tplot.write(Variable("thg_asf_fsim", night.times[:20], clouded + noise))
    seed = (name, night.times[int(np.flatnonzero(night.kind == "arc")[3])])
    assert sim.find_similar("thg_asf_fsim", like=seed) == []
    warnings = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(warnings) == 1 and "20 cloud" in warnings[0].message
    assert np.isnan(tplot.read("thg_asf_fsim_similarity").values).all()


def test_frames_of_other_cameras_are_taken_as_they_are(night):
    tplot.write(Variable("mine", night.times, night.frames))
    found = sim.find_similar("mine", like=night.times[5], k=1, exclude=10)
    assert np.isfinite(tplot.read(found[-1]).values).sum() == 59
    judged = sim.find_similar("mine", like=night.times[5], k=1, exclude=10, usable_only=True, newname="judged")
    assert np.isfinite(tplot.read(judged[-1]).values).sum() < 54


def test_a_keogram_of_an_arc_at_its_latitude(name, night):
    assert sim.keogram(name, height_km=110.0) == ["simulated_asf_fsmi_keogram"]
    made = tplot.read("simulated_asf_fsmi_keogram")
    assert made.attributes["data_att"]["axis"] == "latitude" and made.values.shape == (60, len(made.coordinates["v"]))
    clear = night.kind == "quiet"
    clear[[*range(30, 36), 40]] = False
    light = made.values - np.median(made.values[clear], axis=0)
    for i in np.flatnonzero((night.kind == "arc") & (night.visible > 0.5))[2::5]:
        peak = made.coordinates["v"][np.argmax(light[i])]
        assert abs(peak - night.latitude[i]) < 1.5  # arcs come in threes, the truth is the middle of all


def test_a_keogram_and_an_ewogram_plot_at_once(name):
    import pyspedas

    names = sim.keogram(name) + sim.ewogram(name, suffix="_deg")
    assert names == ["simulated_asf_fsmi_keogram", "simulated_asf_fsmi_ewogram_deg"]
    for one in names:
        axis = tplot.read(one).coordinates["v"]
        assert axis[0] < -70 and axis[-1] > 70 and (np.diff(axis) > 0).all()
    pyspedas.tplot(names, display=False)


def test_frames_that_are_none(night):
    tplot.write(Variable("flat", night.times, night.frames[:, 0]))
    again = np.repeat(night.times[:30], 2)
    tplot.write(Variable("two", again, night.frames))
    for verb in (sim.keogram, sim.frame_quality):
        with pytest.raises(VariableError, match="flat.*shape"):
            verb("flat", errors="raise")
        with pytest.raises(VariableError, match=r"two.*two frames at .*of their own"):
            verb("two", errors="raise")
    with pytest.raises(VariableError, match="two frames at"):
        sim.find_similar("two", like=night.times[3], errors="raise")
    tplot.write(Variable("plain", night.times, night.frames))
    with pytest.raises(VariableError, match="plain.*no skymap"):
        sim.keogram("plain", height_km=110.0, errors="raise")


def test_images_on_a_map_and_without_the_background(name, night):
    recipe = FrameRecipe(pixels=64, projection="geographic", background_s=300.0)
    (embedding,) = sim.encode(name, recipe=recipe, encoder="pixels")
    made = tplot.read(embedding).values
    assert np.isfinite(made).all(axis=1).sum() == 59
    arc, quiet = (made[(night.kind == kind) & np.isfinite(made).all(axis=1)] for kind in ("arc", "quiet"))
    assert (arc @ arc.T).mean() > (arc @ quiet.T).mean() + 0.1
    tplot.write(Variable("plain", night.times, night.frames))
    with pytest.raises(VariableError, match="plain: .*view|plain: .*skymap"):
        sim.encode("plain", recipe=recipe, errors="raise")
