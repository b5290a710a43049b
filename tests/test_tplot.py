"""The door to tplot: both stores, names, metadata, nanoseconds."""

import tracemalloc

import numpy as np
import pyspedas
import pytest
import pytplot
from pyspedas import tplot_tools

from pyspedas_similarity import tplot
from pyspedas_similarity.errors import VariableError
from pyspedas_similarity.tplot import Variable

TIMES = np.datetime64("2016-12-31T23:59:59.999999999", "ns") + np.arange(4) * np.timedelta64(150_000_001, "ns")


def store(name, module=tplot_tools, **more):
    module.store_data(name, data={"x": TIMES, "y": np.arange(4.0), **more}, attr_dict={"data_att": {"units": "km"}})


def test_pytplot_that_installs_today_is_a_store_of_its_own():
    assert pytplot.data_quants is not tplot_tools.data_quants


def test_reads_from_both_stores_and_writes_back_to_the_same():
    store("mine")
    store("theirs", pytplot)
    for name, of in (("mine", "pyspedas"), ("theirs", "pytplot")):
        variable = tplot.read(name)
        assert variable.store == of
        assert variable.units == "km"
        np.testing.assert_array_equal(variable.times, TIMES)
        tplot.write(Variable(f"{name}_2", TIMES, np.ones(4), store=of), {"ytitle": "two", "yrange": [0, 2]})
    assert "mine_2" in tplot_tools.data_quants and "mine_2" not in pytplot.data_quants
    assert "theirs_2" in pytplot.data_quants and "theirs_2" not in tplot_tools.data_quants
    assert pytplot.data_quants["theirs_2"].attrs["plot_options"]["yaxis_opt"]["axis_label"] == "two"
    assert tplot_tools.data_quants["mine_2"].attrs["plot_options"]["yaxis_opt"]["y_range"] == [0, 2]


def test_a_name_in_both_stores_is_that_of_pyspedas():
    store("same", pytplot)
    store("same")
    assert tplot.read("same").store == "pyspedas"
    assert tplot.loaded_names().count("same") == 1


def test_what_comes_out_cannot_be_changed_by_accident():
    store("mine")
    with pytest.raises(ValueError, match="read-only"):
        tplot.read("mine").values[0] = 5
    assert pyspedas.get_data("mine").y[0] == 0


def test_four_dimensions_keep_their_tables():
    values = np.random.default_rng(0).random((4, 3, 2, 5))
    tables = {"v1": np.arange(12.0).reshape(4, 3), "v2": np.arange(2.0), "v3": np.arange(20.0).reshape(4, 5)}
    tplot.write(Variable("dist", TIMES, values, tables))
    back = tplot.read("dist")
    np.testing.assert_array_equal(back.values, values)
    for key, table in tables.items():
        np.testing.assert_array_equal(back.coordinates[key], table)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("mms1_a", ["mms1_a"]),
        ("mms?_a", ["mms1_a", "mms2_a"]),
        (["mms2_*", "mms1_a"], ["mms2_a", "mms1_a"]),
        ("mms1_a mms2_a", ["mms1_a", "mms2_a"]),
        (["mms*", "mms1_a"], ["mms1_a", "mms2_a"]),
        (1, ["mms2_a"]),
        ("name with blanks", ["name with blanks"]),
    ],
)
def test_names_globs_and_indices(asked, expected):
    for name in ("mms1_a", "mms2_a", "name with blanks"):
        store(name)
    assert tplot.expand(asked) == expected


@pytest.mark.parametrize("asked", ["mms1_b", "xyz*", "", 99, -1, True, None, [], ["mms1_a", "nothing"], 1.5])
def test_names_that_are_not_there(asked):
    store("mms1_a")
    with pytest.raises(VariableError):
        tplot.expand(asked)


def test_an_unknown_name_is_told_its_neighbors():
    store("mms1_dis_dist_brst")
    with pytest.raises(VariableError, match="mms1_dis_dist_brst"):
        tplot.expand("mms1_dis_dist_bst")


def test_pseudovariables_and_constants_are_refused():
    store("a")
    store("b")
    pyspedas.store_data("both", data=["a", "b"])
    pyspedas.store_data("constant", data={"y": np.arange(3)})
    for name in ("both", "constant", "missing"):
        with pytest.raises(VariableError, match=name):
            tplot.read(name)


def test_an_empty_variable_is_refused():
    with pytest.raises(VariableError, match="at least one sample"):
        tplot.write(Variable("empty", TIMES[:0], np.zeros(0)))


def test_a_long_movie_is_stored_as_a_short_one_is(monkeypatch):
    frames = np.random.default_rng(0).integers(3, 900, (4, 20, 30), dtype=np.uint16)
    short, long = (Variable(name, TIMES, frames, attributes={"data_att": {"units": "counts"}}) for name in ("s", "l"))
    tplot.write(short)
    monkeypatch.setattr(tplot, "_LONG_BYTES", 100)
    tplot.write(long, {"ytitle": "frames"})
    one, other = (tplot_tools.data_quants[name] for name in ("s", "l"))
    np.testing.assert_array_equal(one.values, other.values)
    assert one.dims == other.dims and list(one.coords) == list(other.coords) and one.dtype == other.dtype
    assert other.attrs["data_att"] == {"units": "counts"} and other.attrs["plot_options"]["yaxis_opt"]["axis_label"]
    ranges = [entry.attrs["plot_options"]["yaxis_opt"]["y_range"] for entry in (one, other)]
    assert ranges[0] == ranges[1] == [frames.min(), frames.max()]
    assert not np.shares_memory(other.values, frames) and other.values.flags.writeable


def test_a_long_movie_takes_one_copy_of_its_memory():
    frames = np.ones((60, 1024, 1024), np.uint8)
    times = TIMES[0] + np.arange(60) * np.timedelta64(3, "s")
    tracemalloc.start()
    try:
        tplot.write(Variable("movie", times, frames))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert frames.nbytes <= peak < 1.1 * frames.nbytes


def test_preserved_puts_everything_back():
    store("mine")
    before = pyspedas.get_data("mine").y.copy()
    with pytest.raises(RuntimeError), tplot.preserved():
        tplot_tools.store_data("mine", data={"x": TIMES, "y": np.full(4, 9.0)})
        store("new")
        raise RuntimeError
    np.testing.assert_array_equal(pyspedas.get_data("mine").y, before)
    assert "new" not in tplot.loaded_names()


@pytest.mark.parametrize("name", ["flux[1]", "flux*", "flux?", "a b", "[ab]", "B{x}", "100%", "é", "flux [eV] *"])
def test_a_name_with_odd_characters_means_itself_first(name):
    from pyspedas import tplot_tools

    for one in ("flux1", "fluxX", "a", "b", "similar", name):
        tplot_tools.store_data(one, data={"x": [0.0, 1.0], "y": [1.0, 2.0]})
    plain = {one: str(tplot_tools.data_quants[one].attrs) for one in ("flux1", "fluxX", "a", "b", "similar")}
    assert tplot.expand(name) == [name] and tplot.read(name).name == name
    times = np.array([0, 10**9], "datetime64[ns]")
    written = tplot.Variable(name, times, np.array([3.0, 4.0]))
    assert tplot.write(written, {"ytitle": "score", "line_color": ["green"]}) == name
    assert tplot.options_of(name)["axis_label"] == "score" and tplot.options_of(name)["line_color"] == ["green"]
    assert {one: str(tplot_tools.data_quants[one].attrs) for one in plain} == plain
    assert list(tplot_tools.data_quants)[-1] == name
