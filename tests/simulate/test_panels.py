"""Simulated panels: reproducible, with the events that they say they have."""

import numpy as np
import pytest

from pyspedas_similarity import tplot
from pyspedas_similarity.errors import ArgumentError
from pyspedas_similarity.simulate.panels import KINDS, load, simulate_panels

START = np.datetime64("2020-01-01", "ns")


@pytest.fixture(scope="module")
def day():
    return simulate_panels(START, 43200.0, seed=3)


def inside(day, name, start, end):
    one = day.variables[name]
    return one.values[(one.times >= start) & (one.times <= end)]


def test_events_do_not_overlap_and_every_kind_is_as_frequent(day):
    assert (day.start[1:] > day.end[:-1]).all()
    counts = {kind: int((day.kinds == kind).sum()) for kind in KINDS}
    assert len(set(counts.values())) == 1
    assert counts["bow_shock"] >= 5


def test_the_same_seed_gives_the_same_values(day):
    again = simulate_panels(START, 43200.0, seed=3)
    for name, one in day.variables.items():
        assert one.values.tobytes() == again.variables[name].values.tobytes()
    assert (
        simulate_panels(START, 43200.0, seed=4).variables["simulated1_fgm_b_gse"].values[0, 0]
        != (day.variables["simulated1_fgm_b_gse"].values[0, 0])
    )


def test_events_show_what_defines_them(day):
    quiet = np.median(day.variables["simulated1_dis_numberdensity"].values)
    for start, end in day.of_kind("bow_shock"):
        assert inside(day, "simulated1_dis_numberdensity", start, end).max() > 2 * quiet
    for start, end in day.of_kind("dipolarization"):
        rise = inside(day, "simulated1_fgm_b_gse", start, end)[:, 2]
        assert rise.max() - rise[: len(rise) // 4].mean() > 5
    usual = np.log10(day.variables["simulated1_edp_power"].values).mean(axis=0)
    for start, end in day.of_kind("whistler_burst"):
        assert (np.log10(inside(day, "simulated1_edp_power", start, end)) - usual).max() > 0.9


def test_load_stores_variables_called_simulated():
    names = load(["2020-01-01/00:00", "2020-01-01/04:00"], suffix="_x")
    assert all(name.startswith("simulated1_") and name.endswith("_x") for name in names)
    assert tplot.read(names[0]).units == "nT"
    with pytest.raises(ArgumentError, match="probe"):
        load(["2020-01-01/00:00", "2020-01-01/04:00"], probe=2)


def test_bad_arguments_are_refused():
    with pytest.raises(ArgumentError, match="kinds"):
        simulate_panels(START, 43200.0, kinds=["comet"])
    with pytest.raises(ArgumentError, match="at least"):
        simulate_panels(START, 60.0)
