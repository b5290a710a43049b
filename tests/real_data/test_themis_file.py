"""A real THEMIS full-frame file in the archive's layout, through the loader."""

import os

import cdflib
import numpy as np
import pytest
from pyspedas import tplot_tools
from pyspedas.projects.themis.config import CONFIG

import pyspedas_similarity as sim
from pyspedas_similarity.instruments import themis_asi

FILE = "asi/thg_l1_asf_gako_2011010617_v01.cdf"


@pytest.fixture
def tree(real_data, tmp_path, monkeypatch):
    source = real_data(FILE)
    folder = tmp_path / "thg/l1/asi/gako/2011/01"
    folder.mkdir(parents=True)
    os.symlink(source, folder / source.name)
    monkeypatch.setitem(CONFIG, "local_data_dir", str(tmp_path))
    return source


def test_frames_and_times_are_those_of_the_file(tree):
    assert themis_asi.load(["2011-01-06/17:00", "2011-01-06/17:01"], "gako", no_update=True) == ["thg_asf_gako"]
    data = tplot_tools.get_data("thg_asf_gako", dt=True)
    with cdflib.CDF(tree) as cdf:
        frames, unix = cdf.varget("thg_asf_gako"), cdf.varget("thg_asf_gako_time")
    np.testing.assert_array_equal(data.y, frames[: len(data.y)])
    assert len(data.y) >= 20
    # Its unix seconds are whole ones, so that nothing is left to rounding.
    np.testing.assert_array_equal(data.times.astype("int64"), unix[: len(data.y)].astype("int64") * 10**9)


def test_the_verb_loads_all_frames_with_the_skymap(tree, real_data):
    trange = ["2011-01-06/17:00", "2011-01-06/18:00"]
    skymap = real_data("asi/themis_skymap_gako_20110305.sav")
    names = sim.load_asi(trange, "gako", get_support_data=True, no_update=True, skymap=skymap, errors="raise")
    assert names == ["thg_asf_gako", "thg_asf_gako_tend"]
    with cdflib.CDF(tree) as cdf:
        np.testing.assert_array_equal(tplot_tools.get_data(names[0]).y, cdf.varget("thg_asf_gako"))
        np.testing.assert_array_equal(tplot_tools.get_data(names[1]).y, cdf.varget("thg_asf_gako_tend"))
    about = tplot_tools.get_data(names[0], metadata=True)
    assert about["skymap"].site == about["data_att"]["site"] == "gako"


def test_a_range_without_files_is_empty(tree):
    assert themis_asi.load(["2011-01-07/17:00", "2011-01-07/18:00"], "gako", no_update=True) == []


def test_find_similar_loads_by_site(tree):
    found = sim.find_similar(
        instrument="themis_asi",
        probe="gako",
        trange=["2011-01-06/17:00", "2011-01-06/17:02"],
        like="2011-01-06/17:00:30",
        load_keywords={"no_update": True},
        k=1,
        exclude=3,
        errors="raise",
    )
    assert found == ["thg_asf_gako_similar", "thg_asf_gako_similarity"]
