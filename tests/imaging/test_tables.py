"""Tables of angles and energies that are something else are refused with what they are; right ones pass."""

import numpy as np
import pyspedas
import pytest

import pyspedas_similarity as sim
from pyspedas_similarity import tplot
from pyspedas_similarity.errors import VariableError
from pyspedas_similarity.imaging.plasma import distributions
from pyspedas_similarity.imaging.recipes import SpectrumRecipe, WindowRecipe
from pyspedas_similarity.imaging.tables import is_numbering
from pyspedas_similarity.simulate import fpi

AZIMUTH, POLAR, ENERGY = np.arange(32) * 11.25 + 5.6, np.arange(16) * 11.25 + 5.6, np.geomspace(10, 30000, 32)
TIMES = 1.6e9 + 3.0 * np.arange(60)


def checked(azimuth=AZIMUTH, polar=POLAR, energy=ENERGY):
    density = np.ones((2, *(np.shape(one)[-1] for one in (azimuth, polar, energy))), np.float32)
    return distributions(density, azimuth, polar, energy)


@pytest.mark.parametrize(
    "tables",
    [
        {},
        {"azimuth": AZIMUTH - 180},
        {"azimuth": np.tile(AZIMUTH, (2, 1)) + 8},
        {"azimuth": np.arange(360.0)},
        {"polar": POLAR[::-1]},
        {"polar": np.arange(180.0)},
        {"energy": np.geomspace(3, 4600, 48)},
    ],
)
def test_right_tables_pass(tables):
    assert len(checked(**tables)) == 2


@pytest.mark.parametrize(
    ("tables", "found"),
    [
        ({"polar": POLAR - 90}, "latitudes.*90 - latitude"),
        ({"polar": AZIMUTH}, "azimuths.*exchange v1 and v2"),
        ({"polar": AZIMUTH - 180}, "azimuths.*exchange v1 and v2"),
        ({"polar": np.radians(POLAR)}, "polar table.*radians"),
        ({"polar": np.arange(16)}, "polar table.*numbers of the bins"),
        ({"azimuth": np.radians(AZIMUTH)}, "azimuth table.*radians"),
        ({"azimuth": np.radians(AZIMUTH - 180)}, "azimuth table.*radians"),
        ({"azimuth": np.arange(1, 33)}, "azimuth table.*numbers of the bins"),
        ({"azimuth": ENERGY}, "no azimuths"),
        ({"energy": np.arange(32)}, "energy table.*0, 1, 2, ..., the numbers"),
        ({"energy": np.arange(1, 33)}, "energy table.*1, 2, 3, ..., the numbers"),
        ({"energy": ENERGY[::-1]}, "do not ascend"),
        ({"energy": ENERGY / 1000}, "up to 30 only, which are not in eV"),
        ({"energy": ENERGY * 1.6e-19}, "not in eV"),
    ],
)
def test_wrong_tables_of_distributions_are_refused(tables, found):
    with pytest.raises(VariableError, match=found):
        checked(**tables)


@pytest.mark.parametrize(
    ("angle", "energy", "found"),
    [
        (np.radians(np.linspace(5, 175, 18)), ENERGY, "radians"),
        (np.linspace(-0.95, 0.95, 18), ENERGY, "cosines"),
        (np.arange(18), ENERGY, "numbers of the bins"),
        (ENERGY[:18], np.linspace(5, 175, 32), "pitch angle table|holds less than two"),
        (np.linspace(5, 175, 18), np.arange(32), "energy table.*numbers of the bins"),
        (np.linspace(5, 175, 18), ENERGY * 1e-6, "from 1e-05 to 0.03, of which the recipe's range"),
    ],
)
def test_wrong_tables_of_spectra_are_refused(angle, energy, found):
    y = np.random.default_rng(0).lognormal(0, 1, (60, 18, 32))
    pyspedas.store_data("spectra", data={"x": TIMES, "y": y, "v1": angle, "v2": energy})
    with pytest.raises(VariableError, match=found):
        sim.find_similar("spectra", like=TIMES[5], recipe=SpectrumRecipe(), errors="raise", progress=False)


@pytest.mark.parametrize(
    ("table", "options", "found"),
    [
        (np.arange(32), {}, "numbers of the bins"),
        (ENERGY / 1e5, {}, "in the unit of the table"),
        (-ENERGY, {}, "in the unit of the table"),
        (ENERGY, {"axis_range": (-5.0, 5.0), "axis_scale": "linear"}, "in the unit of the table"),
    ],
)
def test_wrong_tables_of_spectrograms_are_refused(table, options, found):
    y = np.random.default_rng(0).lognormal(0, 1, (60, 32))
    pyspedas.store_data("spectrogram", data={"x": TIMES, "y": y, "v": table})
    recipe = WindowRecipe(30, 3, **options)
    with pytest.raises(VariableError, match=found):
        sim.find_similar("spectrogram", like=TIMES[20], recipe=recipe, errors="raise", progress=False)


def test_rows_of_a_keogram_are_numbers_on_a_linear_axis():
    y = np.random.default_rng(0).lognormal(0, 1, (60, 32))
    pyspedas.store_data("keogram", data={"x": TIMES, "y": y, "v": np.arange(32)})
    recipe = WindowRecipe(30, 3, axis_range=(0.0, 31.0), axis_scale="linear")
    assert sim.find_similar("keogram", like=TIMES[20], recipe=recipe, k=1, errors="raise", progress=False)


def test_numbering():
    assert is_numbering(np.arange(5)) and is_numbering(np.arange(1, 9)[::-1])
    assert not any(
        is_numbering(np.array(one)) for one in ([0, 1, 2], [2, 3, 4, 5, 6], [0, 1, 2, 4, 5], [0, 0.5, 1, 1.5])
    )


@pytest.mark.parametrize(("key", "row"), [("v3", np.nan), ("v3", 0.0), ("v1", np.nan)])
def test_samples_with_an_unknown_table_have_no_score_and_no_other_lacks_one(key, row):
    (name, *_) = fpi.load(["2020-01-01/00:00:00", "2020-01-01/00:01:00"], seed=1)
    one, like = tplot.read(name), "2020-01-01/00:00:12"
    keywords = {"like": like, "instrument": "mms_dis", "errors": "raise", "progress": False, "reference": None}
    sim.find_similar(name, **keywords)
    whole = pyspedas.get_data(f"{name}_similarity").y
    tables = {k: np.array(np.broadcast_to(t, (len(one.times), t.shape[-1]))) for k, t in one.coordinates.items()}
    lost = np.zeros(len(one.times), bool)
    lost[-9:] = True
    tables[key][lost] = row
    pyspedas.store_data("damaged", data={"x": one.times, "y": one.values, **tables}, attr_dict=dict(one.attributes))
    sim.find_similar("damaged", **keywords)
    scores = pyspedas.get_data("damaged_similarity").y
    assert np.isnan(scores[lost]).all()
    np.testing.assert_allclose(scores[~lost], whole[~lost], atol=1e-6)


@pytest.mark.parametrize("fill", [1e31, -1e31, 9.96921e36, np.inf])
def test_fill_values_that_are_left_are_not_measured(fill):
    y = np.random.default_rng(0).lognormal(0, 1, (60, 32))
    y[:, 4] = np.nan
    pyspedas.store_data("a", data={"x": TIMES, "y": y, "v": ENERGY})
    pyspedas.store_data("b", data={"x": TIMES, "y": np.where(np.isnan(y), fill, y), "v": ENERGY})
    scores = []
    for name in "ab":
        sim.find_similar(name, like=TIMES[20], recipe=WindowRecipe(30, 3), errors="raise", progress=False)
        scores.append(pyspedas.get_data(f"{name}_similarity").y)
    np.testing.assert_array_equal(*scores)


@pytest.mark.parametrize(
    ("key", "fill", "kind"),
    [
        ("FILLVAL", -999.9, "f4"),
        ("FILLVAL", 99999.9, "f8"),
        ("_FillValue", 0.0, "f8"),
        ("missing_value", -999.9, "f8"),
        ("fill", -32768, "i2"),
    ],
)
def test_fill_values_of_the_metadata_are_not_measured(key, fill, kind):
    frames = np.random.default_rng(0).poisson(300, (20, 64, 64)).astype(kind)
    lost = frames.copy()
    lost[:, 30:32, 40] = fill
    expected = np.where(lost == np.dtype(kind).type(fill), np.nan, frames).astype(float)
    times = TIMES[:20]
    pyspedas.store_data("a", data={"x": times, "y": expected})
    pyspedas.store_data("b", data={"x": times, "y": lost}, attr_dict={"CDF": {"VATT": {key: fill}}})
    scores = []
    for name in "ab":
        sim.find_similar(name, like=times[5], errors="raise", progress=False)
        scores.append(pyspedas.get_data(f"{name}_similarity").y)
    np.testing.assert_allclose(*scores, atol=1e-5)
    assert np.isfinite(scores[0]).all()
