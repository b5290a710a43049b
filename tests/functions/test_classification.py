"""A few labels, on a simulated pass of the magnetopause and a simulated night."""

from __future__ import annotations

import numpy as np
import pyspedas
import pytest

import pyspedas_similarity as sim
from pyspedas_similarity import tplot
from pyspedas_similarity.errors import ArgumentError, QueryError
from pyspedas_similarity.simulate.allsky import simulate_nights
from pyspedas_similarity.simulate.stations import NightOptions
from pyspedas_similarity.tplot import Variable

START = np.datetime64("2020-01-02T06:00:00", "ns")


@pytest.fixture(scope="module")
def night():
    options = NightOptions(
        ("quiet", "arc", "patches"), conditions=("clear",), heights_km=(110.0,), height_weights=(1.0,)
    )
    return simulate_nights(START, 1800.0, 3, ("fsmi",), cadence_s=10.0, size=128, options=options)["fsmi"]


@pytest.fixture
def name(night):
    return tplot.write(Variable("simulated_asf_fsmi", night.times, night.frames, attributes={"skymap": night.view}))


def examples(night, count: int) -> dict[str, list[np.datetime64]]:
    """Frames in the first half of the night, evenly among those of their kind."""
    half = len(night.times) // 2
    return {
        kind: [night.times[i] for i in np.flatnonzero(night.kind[:half] == kind)[2:-2:][:: 40 // count][:count]]
        for kind in ("quiet", "arc", "patches")
    }


def test_classes_of_the_other_half_of_the_night(name, night):
    given = examples(night, 5)
    found = sim.classify(name, examples=given)
    assert found[-1] == "simulated_asf_fsmi_probability"
    probability = tplot.read(found[-1])
    classes = probability.attributes["similarity"]["classes"]
    assert classes == ["arc", "patches", "quiet"] and probability.values.shape == (len(night.times), 3)
    known = np.isfinite(probability.values).all(axis=1)
    np.testing.assert_allclose(probability.values[known].sum(axis=1), 1)
    half = np.arange(len(night.times)) >= len(night.times) // 2
    right = np.array(classes)[np.nan_to_num(probability.values).argmax(axis=1)] == night.kind
    base = max((night.kind[half] == kind).mean() for kind in classes)
    assert right[half & known].mean() > max(0.75, base + 0.1)
    assert probability.attributes["similarity"]["probe"]["calibrated"]


def test_intervals_of_each_class(name, night):
    found = sim.classify(name, examples=examples(night, 3), threshold=0.6, suffix="_few")
    assert set(found[:-1]) <= {f"{name}_{kind}_few" for kind in ("quiet", "arc", "patches")}
    table = sim.intervals(found)
    assert set(table["class"]) == {one.removeprefix(f"{name}_").removesuffix("_few") for one in found[:-1]}
    assert (table["score"] >= 0.6).all() and (table["end"] > table["start"]).all()
    values, classes = tplot.read(found[-1]).values, tplot.read(found[-1]).attributes["similarity"]["classes"]
    hits = (values >= 0.6).sum(axis=0)
    for kind in set(table["class"]):
        assert table["n_samples"][table["class"] == kind].sum() == hits[classes.index(kind)]
    _, panels = pyspedas.tplot(found, display=False, return_plot_objects=True)
    *bars, last = panels
    assert all(not one.axison and one.get_legend() is None for one in bars)
    assert last.axison and [one.get_text() for one in last.get_legend().get_texts()] == classes
    for title, panel in zip(found, bars, strict=False):
        line = last.get_lines()[classes.index(title.removeprefix(f"{name}_").removesuffix("_few"))]
        assert panel.get_lines()[0].get_color() == line.get_color()


def test_one_example_of_each_of_two_distinct_plasmas_is_sure():
    from pyspedas_similarity.simulate import fpi

    made = fpi.load_electrons([START, START + np.timedelta64(12, "s")], seed=8)[0]
    region = np.array(tplot.read(made).attributes["simulated"]["region"])
    times = tplot.read(made).times
    sheath, sphere = (np.flatnonzero(region == one) for one in ("magnetosheath", "magnetosphere"))
    given = {"sheath": times[sheath[len(sheath) // 2]], "sphere": times[sphere[len(sphere) // 2]]}
    found = tplot.read(sim.classify(made, examples=given)[-1])
    assert not found.attributes["similarity"]["probe"]["calibrated"]
    for column, rows in enumerate((sheath, sphere)):
        assert np.median(found.values[rows, column]) > 0.95


def test_one_example_of_each_is_not_calibrated(name, night):
    found = sim.classify(name, examples=examples(night, 1), newname="one")
    assert found[-1] == "one_probability"
    assert not tplot.read(found[-1]).attributes["similarity"]["probe"]["calibrated"]


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (None, "found None"),
        ({"arc": [START]}, r"found \['arc'\].*two classes"),
        ({"arc": [START], "no/path": [START]}, "class 'no/path'.*letters"),
        ({"arc": [START], 3: [START]}, "class 3"),
    ],
)
def test_examples_that_are_none(name, given, reason):
    with pytest.raises(ArgumentError, match=reason):
        sim.classify(name, examples=given, errors="raise")


def test_an_example_without_data_and_a_threshold_that_is_none(name, night):
    with pytest.raises(QueryError, match="1999"):
        sim.classify(name, examples={"a": night.times[3], "b": "1999-01-01"}, errors="raise")
    with pytest.raises(ArgumentError, match="threshold.*found 2"):
        sim.classify(name, examples=examples(night, 1), threshold=2, errors="raise")
    assert "simulated_asf_fsmi_probability" not in tplot.loaded_names()
