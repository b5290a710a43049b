"""The OATH data set as it is distributed. Pictures are simulated, in its layout; one test reads its real classes."""

import csv
import shutil

import numpy as np
import pytest
from PIL import Image

import pyspedas_similarity as sim
from pyspedas_similarity import tplot
from pyspedas_similarity.errors import ArgumentError, LoadError
from pyspedas_similarity.instruments import oath
from pyspedas_similarity.simulate.oath import simulated_pictures, write_oath

RANGE = ["2020-01-01", "2020-02-01"]


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return write_oath(tmp_path_factory.mktemp("oath") / "data", 48, seed=3, size=32, cadence_s=60)


@pytest.fixture
def folder(written, tmp_path):
    return shutil.copytree(written, tmp_path / "oath")


@pytest.fixture(scope="module")
def truth():
    found = simulated_pictures(3, ("fsmi", "fsim"), 32, 60)
    return [next(found) for _ in range(48)]


def load(folder, **keywords):
    return oath.load(RANGE, folder, **keywords)


def test_one_variable_for_each_station_with_exact_pixels_and_times(folder, truth):
    assert load(folder) == ["oath_fsim", "oath_fsmi"]
    for station in ("fsim", "fsmi"):
        mine = [one for one in truth if one.station == station]
        found = tplot.read(f"oath_{station}")
        np.testing.assert_array_equal(found.times, [one.time for one in mine])
        np.testing.assert_array_equal(found.values, [one.pixels for one in mine])


def test_both_stations_see_the_sky_at_the_same_times(truth):
    times = [[one.time for one in truth if one.station == station] for station in ("fsim", "fsmi")]
    assert times[0] == times[1] and len(times[0]) == 24


def test_table(folder, truth):
    table = sim.read_oath(folder)
    expected = sorted((one.station, str(one.time), one.label) for one in truth)
    assert [(row["station"], str(row["time"].datetime64), row["class"]) for row in table] == expected
    assert [oath.CLASSES[six] for six in table["class6"]] == table["class"].tolist()
    assert table["class2"].tolist() == [int(six > 2) for six in table["class6"]]
    assert set(table["picture"]) == set(range(1, 49)) and table["rotation"].min() >= 0
    own = Image.open(table["file"][5])
    np.testing.assert_array_equal(np.asarray(own)[..., 0], truth_of(truth, table[5]).pixels)


def truth_of(truth, row):
    return next(one for one in truth if (one.station, one.time) == (row["station"], row["time"].datetime64))


def test_stations_and_time_range(folder, truth):
    assert load(folder, probe="FSMI") == ["oath_fsmi"]
    some = ["2020-01-01/06:05", "2020-01-01/06:07"]
    assert [len(one.distribution.times) for one in oath.segments(some, folder)] == [3, 3]
    with pytest.raises(ArgumentError, match="no picture is of gako.*fsim, fsmi"):
        load(folder, probe="gako")


def test_pieces_are_the_whole(folder, monkeypatch):
    monkeypatch.setattr("pyspedas_similarity.instruments.images._SEGMENT_FRAMES", 7)
    whole = [one.distribution for one in oath.segments(RANGE, folder)]
    pieces = list(oath.pieces(RANGE, folder))
    assert [one.probe for one in pieces] == ["fsim"] * 4 + ["fsmi"] * 4
    parts = [one.distribution for piece in pieces for one in oath.segments(RANGE, folder, piece=piece)]
    for key in ("times", "values"):
        joined = [np.concatenate([getattr(one, key) for one in group]) for group in (whole, parts)]
        np.testing.assert_array_equal(*joined)


def test_search_and_classify(folder):
    asked = {"instrument": "oath", "trange": RANGE, "load_keywords": {"path": str(folder)}}
    table = sim.read_oath(folder)
    found = sim.find_similar(like=("oath_fsmi", table["time"][30]), k=2, **asked, errors="raise")
    rows = sim.intervals(found)
    assert set(rows["site"]) <= {"fsim", "fsmi"} and len(rows) >= 2
    examples = {
        kind: [(f"oath_{row['station']}", row["time"]) for row in table[table["class"] == kind]][:3]
        for kind in ("arc", "discrete")
    }
    made = sim.classify(examples=examples, **asked, errors="raise")
    assert {"oath_fsim_probability", "oath_fsmi_probability"} <= set(made)


def test_a_station_with_few_pictures_is_left_out(folder, caplog):
    change(origin(folder), lambda rows: rows[7].__setitem__(1, "gako"))
    asked = {"instrument": "oath", "trange": RANGE, "load_keywords": {"path": folder}}
    found = sim.search(like=sim.read_oath(folder)["time"][9], **asked)
    assert sorted(found.scores) == ["oath_fsim", "oath_fsmi"]
    assert "oath_gako is left out: it has 1 samples, fewer than 3" in caplog.text


def rows_of(path):
    with path.open(newline="") as file:
        return list(csv.reader(file))


def change(path, edit):
    rows = rows_of(path)
    edit(rows)
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)


def classes(folder):
    return folder / "classifications" / "classifications.csv"


def origin(folder):
    return folder / "images" / "files_origin.csv"


def picture(folder, number):
    return folder / "images" / "cropped_scaled" / f"{number:05d}.png"


BAD = {
    "class without picture": (
        lambda folder: change(classes(folder), lambda rows: rows.append(["0", "0", "09999", "arc", "001"])),
        48,
        "1 named in classifications.csv and not there (09999)",
    ),
    "class twice": (
        lambda folder: change(classes(folder), lambda rows: rows.append(["0", "0", "00002", "arc", "001"])),
        48,
        "1 named in classifications.csv again (00002)",
    ),
    "no picture": (
        lambda folder: picture(folder, 7).unlink(),
        47,
        "1 named in files_origin.csv and not there (00007)",
    ),
    "no origin": (
        lambda folder: change(origin(folder), lambda rows: rows.pop(7)),
        47,
        "1 not in files_origin.csv (00007",
    ),
    "no time": (
        lambda folder: change(origin(folder), lambda rows: rows[7].__setitem__(2, "noon")),
        47,
        "1 without station or time in files_origin.csv (00007)",
    ),
    "doubled number": (
        lambda folder: shutil.copy(picture(folder, 7), picture(folder, 7).with_name("0007.png")),
        48,
        "1 with the number of another (0007.png)",
    ),
    "other name": (
        lambda folder: shutil.copy(picture(folder, 7), picture(folder, 7).with_name("mean.png")),
        48,
        "1 without a number (mean.png)",
    ),
    "empty": (lambda folder: picture(folder, 7).write_bytes(b""), 47, "1 empty (00007.png)"),
    "broken": (
        lambda folder: picture(folder, 7).write_bytes(picture(folder, 7).read_bytes()[:-300]),
        47,
        "1 not readable as an image (00007.png)",
    ),
    "same time": (
        lambda folder: change(origin(folder), lambda rows: rows[7].__setitem__(slice(1, 3), rows[8][1:])),
        47,
        "1 with the time of another, or an earlier one (00008.png)",
    ),
}


@pytest.mark.parametrize("kind", BAD)
def test_what_is_wrong_costs_only_itself(folder, caplog, kind):
    spoil, left, message = BAD[kind]
    spoil(folder)
    assert sum(len(tplot.read(name).times) for name in load(folder)) == left
    assert message in caplog.text and caplog.text.count("left out") == 1


def test_unknown_class_number(folder, caplog):
    change(classes(folder), lambda rows: rows[5].__setitem__(1, "9"))
    table = sim.read_oath(folder)
    assert len(table) == 48 and table["class"].tolist().count("") == 1
    assert "1 with an unknown class in classifications.csv (00002)" in caplog.text


@pytest.mark.parametrize(
    ("titles", "edit"),
    [
        (["Pic", "Site", "Date Time"], lambda row: [f"images/{row[0]}.png", row[1].upper(), row[2].replace("T", " ")]),
        (["number", "station_code", "UTC"], lambda row: [str(int(row[0])), row[1], row[2].replace("-", "/")[:19]]),
        (["file", "stat", "date", "time"], lambda row: [f"{row[0]}.png", row[1], row[2][:10], row[2][11:19]]),
    ],
)
def test_plausible_columns_of_the_origin(folder, truth, titles, edit):
    rows = rows_of(origin(folder))
    with origin(folder).open("w", newline="") as file:
        csv.writer(file).writerows([titles, *map(edit, rows[1:])])
    table = sim.read_oath(folder)
    assert sorted(str(one.time)[:19] for one in truth) == sorted(str(row["time"].datetime64)[:19] for row in table)


def test_other_columns_and_tables_that_are_missing(folder):
    change(origin(folder), lambda rows: rows[0].__setitem__(slice(None), ["a", "b", "c"]))
    with pytest.raises(LoadError, match="its columns are a, b, c.*station: station, stationcode"):
        sim.read_oath(folder)
    origin(folder).unlink()
    with pytest.raises(LoadError, match="there is no images/files_origin.csv and no files_origin.csv"):
        sim.read_oath(folder)
    shutil.rmtree(folder / "images" / "cropped_scaled")
    with pytest.raises(LoadError, match="no pictures such as images/cropped_scaled/00001.png"):
        sim.read_oath(folder)
    with pytest.raises(ArgumentError, match="which is no folder"):
        sim.read_oath(folder / "nowhere")
    assert len(sim.read_oath(folder, errors="log")) == 0


def test_classes_may_be_missing_or_have_the_names_of_the_web_page(folder):
    (folder / "classification").mkdir()
    classes(folder).rename(folder / "classification" / "classification.csv")
    assert "" not in sim.read_oath(folder)["class"]
    shutil.rmtree(folder / "classification")
    assert set(sim.read_oath(folder)["class"]) == {""}


def test_green_of_pictures_in_color(folder):
    color = np.random.default_rng(0).integers(0, 255, (32, 32, 3)).astype(np.uint8)
    Image.fromarray(color).save(picture(folder, 1))
    row = next(row for row in sim.read_oath(folder) if row["picture"] == 1)
    (name,) = load(folder, probe=row["station"])
    found = tplot.read(name)
    np.testing.assert_array_equal(found.values[found.times == row["time"].datetime64][0], color[..., 1])


def test_real_classes(real_data, folder, caplog):
    shutil.copy(real_data("asi/oath_classifications.csv"), classes(folder))
    table = sim.read_oath(folder)
    labels = {row["picture"]: (row["class"], row["class6"], row["class2"], row["rotation"]) for row in table}
    assert labels[1] == ("discrete", 2, 0, 334.0) and labels[4] == ("arc", 0, 0, 118.0)
    assert "5776 named in classifications.csv and not there" in caplog.text  # 5824 pictures without 48


def test_simulation_is_the_same_again_and_refuses_what_is_there(written, tmp_path):
    again = write_oath(tmp_path / "again", 48, seed=3, size=32, cadence_s=60)
    for name in ("images/files_origin.csv", "classifications/classifications.csv"):
        assert (again / name).read_bytes() == (written / name).read_bytes()
    assert "Simulated" in classes(again).read_text()
    with pytest.raises(ArgumentError, match="is not empty"):
        write_oath(again, 4)
    with pytest.raises(ArgumentError, match="at least 1 picture"):
        write_oath(tmp_path / "none", 0)
