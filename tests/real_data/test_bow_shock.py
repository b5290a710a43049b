"""The real DIS burst of 2020-11-19 through the whole line: archive tree, pyspedas, find_similar, tplot, table.

Solar wind until about record 650, then foot, ramp (about 662) and downstream of the bow shock.
"""

import os

import cdflib
import numpy as np
import pyspedas
import pytest
from pyspedas import tplot_tools
from pyspedas.projects.mms.config import CONFIG

import pyspedas_similarity as sim

FILE = "mms/mms1_fpi_brst_l2_dis-dist_20201119233433_v3.3.0.cdf"
NAME = "mms1_dis_dist_brst"
TRANGE = ["2020-11-19/23:34:33", "2020-11-19/23:36:34"]
RAMP = 662


@pytest.fixture
def tree(real_data, tmp_path, monkeypatch):
    """A folder laid out like the archive, with a link to the file."""
    source = real_data(FILE)
    folder = tmp_path / "mms1/fpi/brst/l2/dis-dist/2020/11/19"
    folder.mkdir(parents=True)
    os.symlink(source, folder / source.name)
    monkeypatch.setitem(CONFIG, "local_data_dir", str(tmp_path))
    return source


@pytest.fixture
def burst(tree):
    names = pyspedas.projects.mms.fpi(
        trange=TRANGE, probe=1, data_rate="brst", datatype="dis-dist", time_clip=True, no_update=True
    )
    assert NAME in names
    return tree


@pytest.fixture
def epoch(burst):
    with cdflib.CDF(burst) as cdf:
        return cdflib.cdfepoch.to_datetime(cdf.varget("Epoch")).astype("datetime64[ns]")


def test_from_the_tree_to_the_table_and_back(burst, epoch):
    before = pyspedas.get_data(NAME).y.copy()
    names = sim.find_similar(NAME, like="2020-11-19/23:36:22", errors="raise")
    assert names == [f"{NAME}_similar", f"{NAME}_similarity"]
    series = tplot_tools.get_data(names[-1], dt=True)
    assert series.y.shape == (800,) and series.y.dtype == np.float64
    np.testing.assert_array_equal(series.times, epoch)
    table = sim.intervals(names)
    assert set(table.colnames) == {
        *("start", "end", "peak", "duration", "score", "n_samples", "source", "probe"),
        *("deviations", "share_higher", "p_value", "stands_out"),
    }
    for column in ("start", "peak"):
        assert np.isin(table[column].to_value("datetime64"), epoch).all()
    assert np.isin(table["end"].to_value("datetime64"), np.append(epoch, epoch[-1] + np.median(np.diff(epoch)))).all()
    assert set(table["probe"]) == {"mms1"} and set(table["source"]) == {NAME}
    bars = tplot_tools.get_data(names[0], dt=True)
    order = np.argsort(table["start"].to_value("datetime64"))
    expected = np.stack([table[c].to_value("datetime64") for c in ("start", "start", "end", "end")], axis=1)[order]
    similar = np.isfinite(bars.y[:, 0])
    np.testing.assert_array_equal(bars.times[similar], expected[:, 1:3].ravel())
    assert np.isfinite(bars.y[:, 1]).sum() == 2  # the own event of the query
    record = tplot_tools.get_data(names[0], metadata=True)["similarity"]
    assert record["recipe"]["species"] == "ion" and record["queries"][0]["n_samples"] == 1
    assert np.datetime64(record["queries"][0]["start"], "ns") in epoch
    np.testing.assert_array_equal(pyspedas.get_data(NAME).y, before)


def test_the_loader_is_reached_by_instrument_and_range(tree):
    names = sim.find_similar(
        instrument="mms_dis",
        trange=TRANGE,
        probe=1,
        load_keywords={"no_update": True},
        like="2020-11-19/23:36:22",
        errors="raise",
    )
    assert names == [f"{NAME}_similar", f"{NAME}_similarity"]
    assert pyspedas.get_data(names[-1]).y.shape == (800,)
    assert set(tplot_tools.data_quants) == set(names)


def best_of(seed, n=20):
    """Records of the n best samples outside the exclusion that find_similar chose."""
    names = sim.find_similar(NAME, like=seed, k=1, errors="raise")
    series = pyspedas.get_data(names[-1], dt=True)
    exclude = np.timedelta64(int(pyspedas.get_data(names[-1], metadata=True)["similarity"]["exclude_s"] * 1e9), "ns")
    scores = np.where(np.abs(series.times - seed) > exclude, series.y, -np.inf)
    return np.argsort(-scores)[:n]


def test_a_downstream_seed_finds_downstream_and_an_upstream_seed_upstream(burst, epoch):
    downstream = [np.mean(best_of(epoch[record]) >= RAMP) for record in range(680, 800, 10)]
    upstream = [np.mean(best_of(epoch[record]) < RAMP) for record in range(20, 640, 60)]
    assert min(upstream) == 1.0
    assert min(downstream) >= 0.95
