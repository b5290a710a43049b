"""Samples whose times go back or are missing: each function gives what it gives without them, and says so once."""

import logging
from dataclasses import replace

import numpy as np
import pytest

import pyspedas_similarity as sim
from pyspedas_similarity import tplot
from pyspedas_similarity.errors import VariableError
from pyspedas_similarity.imaging.recipes import FrameRecipe, WindowRecipe
from pyspedas_similarity.tplot import Variable

N = 80
TIMES = np.datetime64("2020-01-01", "ns") + np.arange(N) * np.timedelta64(3, "s")
LIKE = TIMES[40]
OPTIONS = {"recipe": FrameRecipe(pixels=32), "progress": False, "errors": "raise"}
LOST = np.array([10, 11, 12, 30, 55])


def frames():
    rng = np.random.default_rng(1)
    wave = 1 + np.sin(np.arange(N)[:, None, None] / 5 + np.arange(32) / 3)
    return Variable("sky", TIMES, rng.poisson(300, (N, 32, 32)) * wave + 50.0)


def disordered(times):
    """A block that goes back, one stamp far ahead and one that is missing."""
    times = times.copy()
    times[10:13] -= np.timedelta64(60, "s")
    times[30] += np.timedelta64(1, "D")
    times[55] = np.datetime64("NaT")
    return times


def find(folder):
    sim.find_similar("sky", like=LIKE, **OPTIONS)
    found = tplot.read("sky_similarity")
    return found.times, found.values


def encode(folder):
    sim.encode("sky", **OPTIONS)
    found = tplot.read("sky_embedding")
    return found.times, found.values


def add(folder):
    sim.add(folder, "sky", **OPTIONS)
    sim.find_similar(archive=folder, like=LIKE, progress=False, errors="raise")
    found = tplot.read("sky_similarity")
    return found.times, found.values


def classify(folder):
    sim.classify("sky", {"a": [TIMES[5], TIMES[25]], "b": [TIMES[40], TIMES[60]]}, **OPTIONS)
    found = tplot.read("sky_probability")
    return found.times, found.values


def train(folder):
    pytest.importorskip("torch")
    trained = sim.train("sky", epochs=1, batch_size=16, seed=1, recipe=OPTIONS["recipe"], progress=False)
    sim.save_encoder(trained, folder)
    sim.encode("sky", encoder=folder, progress=False, errors="raise")
    found = tplot.read("sky_embedding")
    return found.times, found.values


@pytest.mark.parametrize("function", [find, encode, add, classify, train])
def test_each_function_leaves_out_only_these_samples(function, tmp_path, caplog):
    whole = frames()
    rest = np.delete(np.arange(N), LOST)
    tplot.write(replace(whole, times=whole.times[rest], values=whole.values[rest]))
    times, expected = function(tmp_path / "rest")
    np.testing.assert_array_equal(times, TIMES[rest])
    caplog.clear()
    tplot.write(replace(whole, times=disordered(TIMES)))
    times, found = function(tmp_path / "all")
    np.testing.assert_array_equal(times, TIMES[rest])
    np.testing.assert_array_equal(found, expected)
    warnings = [one.getMessage() for one in caplog.records if one.levelno == logging.WARNING]
    about = [one for one in warnings if "go back" in one]
    assert set(about) == {"sky: 5 of 80 samples are left out: their times go back or are missing."}
    assert len(about) == (2 if function is train else 1)  # there it is read for each of two functions
    np.testing.assert_array_equal(tplot.read("sky").times, disordered(TIMES))


@pytest.mark.parametrize("function", [find, encode, add, classify])
def test_a_majority_out_of_order_is_an_error(function, tmp_path):
    times = TIMES.copy()
    times[: N // 2 + 1] = times[N // 2 :: -1]
    times[N // 2 + 1 :] -= np.timedelta64(1, "D")
    times[N // 2 + 1 :] = times[N // 2 + 1 :][::-1]
    tplot.write(replace(frames(), times=times))
    with pytest.raises(VariableError, match=r"sky: the times of 79 of 80 samples go back or are missing.*Sort it"):
        function(tmp_path / "all")


def test_windows_over_left_out_samples_have_no_score(caplog):
    tables = {"v": np.geomspace(10, 30000, 16)}
    flux = np.random.default_rng(1).lognormal(0, 1, (N, 16)) * 1e6 / tables["v"]
    options = {"recipe": WindowRecipe(12, 3, pixels=16), "reference": None, "progress": False, "errors": "raise"}
    found = {}
    for times in (TIMES, disordered(TIMES)):
        tplot.write(Variable("flux", times, flux, tables))
        sim.find_similar("flux", like=LIKE, **options)
        scores = tplot.read("flux_similarity")
        found[len(scores.times)] = scores
    whole, left = found[77], found[72]  # windows of four samples, of all and without five
    known = np.isfinite(left.values)
    # Each of the three stretches that are left out breaks the three windows across it.
    assert (~known).sum() == 9 and np.isfinite(whole.values).all()
    at = np.searchsorted(whole.times, left.times[known])
    np.testing.assert_array_equal(whole.times[at], left.times[known])
    np.testing.assert_allclose(left.values[known], whole.values[at], atol=1e-6)


def test_pictures_of_matches_are_those_of_their_times(tmp_path):
    whole = frames()
    tplot.write(replace(whole, times=disordered(TIMES)))
    found = sim.search("sky", LIKE, progress=False, recipe=OPTIONS["recipe"])
    held = found.held[found.searched[0].name]
    rest = np.delete(np.arange(N), LOST)
    np.testing.assert_array_equal(held.times, TIMES[rest])
    np.testing.assert_array_equal(held.values, whole.values[rest])
    found.plot_matches(tmp_path / "matches.png")
    assert (tmp_path / "matches.png").stat().st_size > 10_000
