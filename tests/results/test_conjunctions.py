"""In space and on the ground at the same time, and the footprint above the station."""

import numpy as np
import pytest
from astropy.table import QTable

import pyspedas_similarity as sim
from pyspedas_similarity import tplot
from pyspedas_similarity.errors import ArgumentError, SimilarityError, VariableError
from pyspedas_similarity.imaging.camera_geometry import STATIONS, direction_of
from pyspedas_similarity.times import to_astropy
from pyspedas_similarity.tplot import Variable

T0 = np.datetime64("2015-03-26T06:00:00", "ns")
GILL = STATIONS["gill"]


def at(seconds):
    return T0 + (np.asarray(seconds, float) * 1e9).astype("timedelta64[ns]")


def table(rows, **more):
    start, end = (at(column) for column in np.array(rows, float).reshape(-1, 2).T)
    made = QTable({"start": to_astropy(start), "end": to_astropy(end)})
    made["score"] = np.linspace(0.9, 0.5, len(rows))
    for name, value in more.items():
        made[name] = value
    return made


def seconds(column):
    return ((column.to_value("datetime64") - T0) / np.timedelta64(1, "s")).tolist()


def footprint(latitude, longitude, every=60.0):
    """Stored under the name 'foot': one sample every so many seconds."""
    values = np.stack([latitude, longitude], axis=1)
    return tplot.write(Variable("foot", at(np.arange(len(values)) * every), values))


def test_pairs_by_hand():
    space = table([(10, 20), (100, 200), (300, 310)], probe=["mms1"] * 3)
    ground = table([(150, 400), (15, 30), (0, 12), (200, 210)], site=["gill", "gill", "fsmi", "gill"])
    found = sim.conjunctions(space, ground)
    # (10-20 and 0-12), (10-20 and 15-30), (100-200 and 150-400), (300-310 and 150-400); 200-210 only touches.
    assert seconds(found["start"]) == [10, 15, 150, 300] and seconds(found["end"]) == [12, 20, 200, 310]
    assert found["ground_site"].tolist() == ["fsmi", "gill", "gill", "gill"]
    assert found["space_probe"].tolist() == ["mms1"] * 4
    assert seconds(found["space_start"]) == [10, 10, 100, 300] and seconds(found["ground_start"]) == [0, 15, 150, 150]
    np.testing.assert_allclose(found["ground_score"], np.array([0.9, 0.9 - 0.4 / 3, 0.9 - 0.8 / 3, 0.5])[[2, 1, 0, 0]])
    assert len(sim.conjunctions(space, ground, tolerance=1)) == 5


def test_pairs_against_brute_force():
    rng = np.random.default_rng(1)
    space, ground = (np.stack([s := rng.integers(0, 500, n), s + rng.integers(0, 40, n)], axis=1) for n in (60, 80))
    found = sim.conjunctions(table(space), table(ground))
    expected = []
    for a, b in space:
        for c, d in ground:
            start, end = max(a, c), min(b, d)
            if end > start or (end == start and (a == b or c == d)):
                expected.append((float(start), float(end)))
    assert sorted(zip(seconds(found["start"]), seconds(found["end"]), strict=True)) == sorted(expected)


def test_a_footprint_above_the_station_stands_at_the_zenith():
    footprint(np.full(11, GILL[0]), np.full(11, GILL[1]))
    found = sim.conjunctions(table([(30, 200)]), table([(100, 300)], site=["gill"]), footprint="foot")
    assert seconds(found["start"]) == [100] and seconds(found["end"]) == [200]
    assert found["elevation"][0] == pytest.approx(90, abs=0.2)


def test_only_the_time_in_view_is_kept():
    # From 12 degrees north of the station to 12 south in 600 s: in view where the elevation is 20 degrees and more.
    latitude = np.linspace(GILL[0] + 12, GILL[0] - 12, 11)
    footprint(latitude, np.full(11, GILL[1]))
    elevation = direction_of(latitude, np.full(11, GILL[1]), 110.0, GILL)[1]
    seen = np.flatnonzero(elevation >= 20) * 60.0
    assert 0 < len(seen) < 11
    found = sim.conjunctions(table([(0, 600)]), table([(0, 600)], site=["gill"]), footprint="foot", min_elevation=20)
    assert seconds(found["start"]) == [seen[0]] and seconds(found["end"]) == [seen[-1]]
    assert found["elevation"][0] == pytest.approx(elevation.max())
    low = table([(0, 60)])
    assert len(sim.conjunctions(low, table([(0, 60)], site=["gill"]), footprint="foot", min_elevation=20)) == 0


def test_between_samples_the_footprint_goes_along_the_great_circle():
    # Two samples a minute apart, the same distance to either side of the station: half way it stands at the zenith.
    footprint([GILL[0] - 1, GILL[0] + 1], [GILL[1]] * 2)
    found = sim.conjunctions(table([(30, 30)]), table([(0, 60)], site=["gill"]), footprint="foot")
    assert found["elevation"][0] == pytest.approx(90, abs=0.2)
    # Across the date line, half way is at 180 degrees, not at 0.
    footprint([60.0, 60.0], [179.0, -179.0])
    found = sim.conjunctions(table([(30, 30)]), table([(0, 60)]), footprint="foot", station=(60.0, 180.0))
    assert found["elevation"][0] == pytest.approx(90, abs=1)


def test_where_the_footprint_is_not_known_nothing_is_seen():
    here = np.full(5, GILL[0]), np.full(5, GILL[1])
    footprint(*here)
    ground = table([(0, 1000)], site=["gill"])
    assert len(sim.conjunctions(table([(250, 260)]), ground, footprint="foot")) == 0  # after the last, at 240 s
    values = np.stack(here, axis=1)
    tplot.write(Variable("foot", at([0, 60, 120, 900, 960]), values))
    assert len(sim.conjunctions(table([(500, 510)]), ground, footprint="foot")) == 0  # in a gap
    assert len(sim.conjunctions(table([(900, 900)]), ground, footprint="foot")) == 1
    values[2] = np.nan
    tplot.write(Variable("foot", at(np.arange(5) * 60), values))
    assert len(sim.conjunctions(table([(110, 130)]), ground, footprint="foot")) == 0


def test_each_station_sees_its_own_sky():
    footprint(np.full(5, GILL[0]), np.full(5, GILL[1]))
    ground = table([(0, 100), (0, 100)], site=["gill", "fsmi"])  # 900 km apart
    found = sim.conjunctions(table([(0, 100)]), ground, footprint="foot")
    assert found["ground_site"].tolist() == ["gill"]
    low = sim.conjunctions(table([(0, 100)]), ground, footprint="foot", station=dict(STATIONS), min_elevation=-90)
    assert sorted(low["ground_site"]) == ["fsmi", "gill"] and low["elevation"].min() < 10


def test_two_variables_are_a_footprint_too():
    times = at(np.arange(5) * 60)
    tplot.write(Variable("lat", times, np.full(5, GILL[0])))
    tplot.write(Variable("lon", times, np.full(5, GILL[1])))
    found = sim.conjunctions(table([(0, 60)]), table([(0, 60)], site=["gill"]), footprint=["lat", "lon"])
    assert found["elevation"][0] > 89


def test_no_match_is_a_table_without_rows():
    found = sim.conjunctions([], table([(0, 1)], site=["gill"]))
    assert len(found) == 0 and {"start", "end", "ground_site"} <= set(found.colnames)
    footprint(np.full(5, GILL[0]), np.full(5, GILL[1]))
    assert "elevation" in sim.conjunctions([], [], footprint="foot", station=GILL).colnames


def test_a_conjunction_is_exported(tmp_path):
    found = sim.conjunctions(table([(10, 20)]), table([(15, 30)], site=["gill"]))
    read = QTable.read(sim.export(found, tmp_path / "both.ecsv"), format="ascii.ecsv")
    assert read["space_end"].isot.tolist() == found["space_end"].isot.tolist()


BAD = {
    "unknown site": (dict(ground=table([(0, 60)], site=["mine"])), ArgumentError, "the positions of mine are unknown"),
    "no site": (dict(ground=table([(0, 60)])), ArgumentError, "have no site"),
    "place": (dict(station=(100.0, 0.0)), ArgumentError, "latitude and longitude"),
    "footprint of frames": (dict(footprint="frames"), VariableError, "shapes"),
    "no such footprint": (dict(footprint="missing"), VariableError, "no tplot variable"),
    "latitude": (dict(footprint="steep"), VariableError, "exceed 90"),
    "tolerance": (dict(tolerance="x"), ArgumentError, "tolerance"),
}


@pytest.mark.parametrize(("arguments", "error", "says"), BAD.values(), ids=BAD)
def test_bad_input_is_one_clear_error(arguments, error, says):
    footprint(np.full(5, GILL[0]), np.full(5, GILL[1]))
    tplot.write(Variable("frames", at(np.arange(5)), np.ones((5, 4, 4))))
    tplot.write(Variable("steep", at(np.arange(5)), np.full((5, 2), 95.0)))
    given = {"space": table([(0, 60)]), "ground": table([(0, 60)], site=["gill"]), "footprint": "foot"}
    with pytest.raises(error, match=says) as caught:
        sim.conjunctions(**given | arguments)
    assert isinstance(caught.value, SimilarityError) and caught.value.remedy.endswith(".")
