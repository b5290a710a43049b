"""Arguments in the forms of numpy and xarray, names of spacecraft, paths with odd characters."""

import numpy as np
import pyspedas
import pytest
import xarray as xr

import pyspedas_similarity as sim
from pyspedas_similarity import tplot
from pyspedas_similarity.conventions import probe_names
from pyspedas_similarity.errors import ArgumentError, SimilarityError, VariableError
from pyspedas_similarity.imaging.recipes import FrameRecipe, WindowRecipe, recipe_from_dict
from pyspedas_similarity.simulate import fpi

TIMES = 1.6e9 + 3.0 * np.arange(300)
ENERGY = np.geomspace(10, 30000, 32)
FLUX = np.random.default_rng(0).lognormal(0, 1, (300, 32)) * 1e6 / ENERGY
RECIPE = WindowRecipe(60, 6)
QUIET = {"errors": "raise", "progress": False}


@pytest.fixture
def stored():
    pyspedas.store_data("flux", data={"x": TIMES, "y": FLUX, "v": ENERGY})
    return xr.DataArray(np.arange(300), {"time": (TIMES * 1e9).astype("M8[ns]")}, ("time",)).time


def scores(**keywords):
    sim.find_similar("flux", **{"like": TIMES[100], "recipe": RECIPE, "k": 3} | QUIET | keywords)
    return pyspedas.get_data("flux_similarity").y.tobytes()


def forms(time):
    return {
        "k": [np.int64(3), np.array(3), xr.DataArray(3), np.uint8(3)],
        "threshold": [0.5, np.float32(0.5), np.array(0.5), xr.DataArray(0.5)],
        "exclude": [30, np.int32(30), np.timedelta64(30, "s"), xr.DataArray(30.0)],
        "like": [time[100], time[100].values, time.values[100], [time[100]], ("flux", time[100]), TIMES[100]],
        "trange": [time[[0, -1]], time.values[[0, -1]], [time[0], time[-1]], (TIMES[0], np.float64(TIMES[-1]))],
        "recipe": [
            WindowRecipe(np.int64(60), np.float32(6)),
            WindowRecipe(np.float64(60), 6, axis_range=(np.float32(10), np.int64(30000)), pixels=np.int64(32)),
            WindowRecipe(60, 6, axis_range=np.array([10.0, 30000.0])),
        ],
    }


@pytest.mark.parametrize("argument", ["k", "threshold", "exclude", "like", "trange", "recipe"])
def test_every_form_of_a_scalar_gives_the_same_scores(stored, argument):
    found = {scores(**{argument: form}) for form in forms(stored)[argument]}
    assert len(found) == 1


def test_recipes_of_numpy_scalars_are_plain_in_records():
    recipe = FrameRecipe(pixels=np.int64(64), mask_radius=np.float64(0.5), stretch=(np.int64(1), np.float64(99.0)))
    plain = FrameRecipe(pixels=64, mask_radius=0.5, stretch=(1, 99.0))
    assert recipe.hash == plain.hash and recipe_from_dict(recipe.to_dict()) == plain


NONSENSE = ["x", np.nan, [], [[]], {}, set(), object(), np.zeros((3, 3)), b"x", True, 1 + 2j, np.datetime64("NaT")]
KEYS = ("like", "unlike", "trange", "exclude", "recipe", "instrument", "encoder", "field", "reference")
KEYS += ("looking_for", "newname", "suffix", "fdr", "threshold", "k")


@pytest.mark.parametrize("key", KEYS)
def test_nonsense_is_an_error_of_this_package(stored, key):
    for value in NONSENSE:
        try:
            sim.find_similar("flux", **{"like": TIMES[100], "recipe": RECIPE, "k": 3} | QUIET | {key: value})
        except SimilarityError as error:
            assert error.remedy.endswith(".")


@pytest.mark.parametrize(
    ("shape", "tables", "found"),
    [
        ((32,), {"v": np.array([f"channel {i}" for i in range(32)])}, "text"),
        ((8, 1, 32), {"v1": np.arange(8) * 45.0, "v2": np.array([90.0]), "v3": ENERGY}, r"\(300, 8, 1, 32\)"),
        ((8, 4, 1), {"v1": np.arange(8) * 45.0, "v2": np.arange(4) * 45.0, "v3": ENERGY[9:10]}, r"\(300, 8, 4, 1\)"),
    ],
)
def test_tables_that_no_image_can_be_made_of(shape, tables, found):
    values = np.random.default_rng(0).lognormal(0, 1, (300, *shape)) * 1e-26
    about = {"data_att": {"units": "s^3/cm^6"}}
    pyspedas.store_data("odd", data={"x": TIMES, "y": values, **tables}, attr_dict=about)
    given = {"recipe": RECIPE} if len(shape) == 1 else {"instrument": "mms_dis"}
    with pytest.raises(VariableError, match=found):
        sim.find_similar("odd", like=TIMES[9], **given, **QUIET)


@pytest.mark.parametrize("given", [1, "1", "mms1", "MMS1", "MMS-1", "mms 1", np.int64(1), ["1", "mms1"]])
def test_names_of_spacecraft(given):
    assert probe_names(given, "mms", ("1", "2", "3", "4")) == ["1"]


def test_probes_of_numpy_are_taken_for_simulated_data():
    trange = ["2020-01-01/00:00:00", "2020-01-01/00:00:01"]
    assert fpi.load(trange, np.int64(1)) == fpi.load(trange, "1")
    electrons = fpi.load_electrons(trange, np.array([1, 2]))
    assert [one.split("_")[0] for one in electrons[:2]] == ["simulated1", "simulated2"]
    like = "2020-01-01/00:00:00.5"
    found = sim.search(instrument="simulated_des", trange=trange, probe=np.array([1, 2]), like=like)
    assert found.record["input"]["probe"] == [1, 2]


def test_several_spacecraft_and_those_that_do_not_exist():
    assert probe_names(["rbspb", "A"], "rbsp", ("a", "b")) == ["b", "a"]
    assert probe_names(np.array([1, 4]), "mms", ("1", "2", "3", "4")) == ["1", "4"]
    for wrong in (5, "mms5", "", [], None, True, "mms", 1.5):
        with pytest.raises(ArgumentError, match="probe"):
            probe_names(wrong, "mms", ("1", "2", "3", "4"))


@pytest.mark.parametrize("folder", ["with blanks", "a [1]", "100% #é", "x*y?", "~home"])
def test_archives_in_folders_with_odd_names(tmp_path, stored, folder):
    path = tmp_path / folder / "archive"
    for given in (path, str(path)):
        sim.add(given, "flux", recipe=RECIPE, **QUIET)
        found = sim.find_similar(archive=given, like=TIMES[100], k=2, **QUIET)
        assert "flux_similarity" in found


def test_a_source_with_odd_characters_in_an_archive_means_itself_first(tmp_path):
    for number, name in enumerate(("flux*", "fluxes", "flux[1]", "flux1")):
        values = np.random.default_rng(number).lognormal(0, 1, (300, 32)) * 1e6 / ENERGY
        pyspedas.store_data(name, data={"x": TIMES, "y": values, "v": ENERGY})
        tplot.read(name)
        sim.add(tmp_path / "a", name, recipe=RECIPE, **QUIET)
    for name in ("flux*", "flux[1]"):
        found = sim.find_similar(name, archive=tmp_path / "a", like=TIMES[100], k=1, **QUIET)
        assert {one.removesuffix("_similarity").removesuffix("_similar") for one in found} == {name}
