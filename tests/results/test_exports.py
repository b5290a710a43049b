"""Every export read back by the reader of its own world, to the nanosecond, and what is refused."""

import csv
import io
import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pandas
import pyspedas
import pytest
from astropy.io.votable import parse, validate
from astropy.table import QTable, Table
from astropy.time import Time

import pyspedas_similarity as sim
from pyspedas_similarity import cli, tplot
from pyspedas_similarity.errors import ArgumentError, SimilarityError, TimeError, VariableError
from pyspedas_similarity.results import exports
from pyspedas_similarity.tplot import Variable

# An ordinary one, one of no length, one that overlaps it, one into the leap second, and one of a nanosecond.
START = [
    "2020-11-19T23:36:20.123456789",
    "2020-11-19T23:40:00.000000001",
    "2020-11-19T23:39:59.999999999",
    "2016-12-31T23:59:59.999999999",
    "2015-10-16T13:07:02.160000000",
]
END = [
    "2020-11-19T23:36:25.000000007",
    "2020-11-19T23:40:00.000000001",
    "2020-11-19T23:40:09.000000000",
    "2016-12-31T23:59:60.500000001",
    "2015-10-16T13:07:02.160000001",
]
HOSTILE = [
    "<script>alert(\"1\")</script> & 'x'",
    'two\nlines, "quoted"; a | b',
    '=HYPERLINK("http://example.org")',
    "é 漢字 🌌 ]]>",
    "x" * 20_000,
]
LEAP = 3


def table(rows=slice(None), sources=HOSTILE):
    made = QTable(meta={"similarity": [{"source": HOSTILE[0], "threshold": 0.5, "note": HOSTILE[1], "bad": np.nan}]})
    for name, texts in (("start", START), ("end", END), ("peak", START)):
        made[name] = Time(texts, scale="utc", precision=9)
    made["score"] = [1 / 3, 0.1 + 0.2, 1.0, -0.25, 5e-300]
    made["n_samples"] = [1, 2, 3, 4, 2**40]
    made["source"] = sources
    made["probe"] = ["mms1", "", "@SUM(A1)", "-1+1", "+1"]
    made["p_value"] = [0.5, np.nan, 1e-300, 0.0, 1.0]
    return made[rows]


def test_ecsv_by_astropy(tmp_path):
    read = QTable.read(sim.export(table(), tmp_path / "found.ecsv"), format="ascii.ecsv")
    given = table()
    for name in ("start", "end", "peak"):
        assert isinstance(read[name], Time) and read[name].isot.tolist() == given[name].isot.tolist()
        assert ((read[name] - given[name]).sec == 0).all()
    for name in ("score", "n_samples", "p_value"):
        np.testing.assert_array_equal(read[name], given[name])
    assert read["source"].tolist() == HOSTILE
    # In meta, astropy's reader takes the end of a line for a blank.
    assert read.meta["similarity"][0]["note"] == HOSTILE[1].replace("\n", " ")
    assert read.meta["similarity"][0]["source"] == HOSTILE[0] and read.meta["similarity"][0]["threshold"] == 0.5


def test_votable_by_astropy(tmp_path):
    path = sim.export(table(), tmp_path / "found.xml")
    read = Table.read(path, format="votable")
    for name, texts in (("start", START), ("end", END)):
        assert Time(read[name].tolist(), precision=9).isot.tolist() == texts
        assert [str(one) for one in read[name]] == texts
    for name in ("score", "n_samples", "p_value"):
        np.testing.assert_array_equal(np.ma.filled(read[name].astype(float), np.nan), table()[name])
    assert [str(one) for one in read["source"]] == HOSTILE
    votable = parse(path)
    field = votable.get_first_table().get_field_by_id("start")
    assert (field.xtype, field.ucd, field.datatype) == ("timestamp", "time.start", "char")
    (info,) = votable.resources[0].infos
    assert json.loads(info.value)["similarity"][0]["note"] == HOSTILE[1]


def test_votable_breaks_no_rule(tmp_path):
    told = io.StringIO()
    assert validate(str(sim.export(table(), tmp_path / "found.vot")), output=told)
    assert "no violations" in told.getvalue()


def test_csv_by_pandas_astropy_and_the_standard_library(tmp_path):
    path = sim.export(table(), tmp_path / "found.csv")
    exact = {"score": float, "p_value": float}  # pandas before 3.1 parses numbers inexactly by default
    read = pandas.read_csv(path, keep_default_na=False, na_values=["nan"], converters=exact)
    assert read["start"].tolist() == START and read["end"].tolist() == END
    # The clock of pandas has no leap second; all others are there to the nanosecond.
    rows = [row for row in range(5) if row != LEAP]
    times = pandas.to_datetime(read["end"][rows])
    np.testing.assert_array_equal(
        times.to_numpy().astype("datetime64[ns]"), np.array(END, "U29")[rows].astype("M8[ns]")
    )
    with pytest.raises(ValueError):
        pandas.to_datetime(read["end"][LEAP])
    for name in ("score", "n_samples", "p_value"):
        np.testing.assert_array_equal(read[name], table()[name])
    by_astropy = Table.read(path, format="ascii.csv", guess=False, encoding="utf-8")
    assert Time(by_astropy["end"].tolist(), precision=9).isot.tolist() == END
    with path.open(newline="", encoding="utf-8") as file:
        by_csv = list(csv.DictReader(file))
    for found in (read["source"].tolist(), by_astropy["source"].tolist(), [row["source"] for row in by_csv]):
        assert found == [text if not text.startswith("=") else f"'{text}" for text in HOSTILE]


def test_csv_starts_no_formula(tmp_path):
    with sim.export(table(), tmp_path / "found.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["probe"] for row in rows] == ["mms1", "", "'@SUM(A1)", "'-1+1", "'+1"]
    numbers = {"score", "p_value"}
    texts = [text for row in rows for name, text in row.items() if name not in numbers]
    assert not [text for text in texts if text.startswith(("=", "+", "-", "@", "\t", "\r"))]
    assert rows[3]["score"] == "-0.25"  # a number is no formula


def test_json_by_pandas(tmp_path):
    path = sim.export(table(), tmp_path / "found.json")
    read = pandas.read_json(path, orient="table", precise_float=True)
    assert read["start"].tolist() == START and read["end"].tolist() == END
    np.testing.assert_array_equal(read["score"], table()["score"])
    np.testing.assert_array_equal(read["n_samples"], table()["n_samples"])
    assert read["source"].tolist() == HOSTILE
    text = path.read_text(encoding="ascii")
    assert "<" not in text  # it may stand inside a script element
    document = json.loads(text, parse_constant=pytest.fail)
    assert document["data"][1]["p_value"] is None and document["provenance"]["similarity"][0]["bad"] is None
    assert document["provenance"]["similarity"][0]["note"] == HOSTILE[1]


def test_time_list_by_pyspedas(tmp_path):
    rows = [0, 1, 2, 4]
    given = table(rows)
    pairs = sim.time_list(given)
    assert pairs[0] == ["2020-11-19/23:36:20.123456789", "2020-11-19/23:36:25.000000007"]
    path = sim.export(given, tmp_path / "found.txt", "time_list")
    assert np.genfromtxt(path, dtype=str).tolist() == pairs
    for pair, row in zip(pairs, rows, strict=True):
        for text, exact in zip(pair, (START[row], END[row]), strict=True):
            # time_double reads no further than microseconds, and cuts there.
            microseconds = np.datetime64(exact[:26], "us").astype(int)
            assert round(pyspedas.time_double(text) * 1e6) == microseconds
            assert pyspedas.time_string(pyspedas.time_double(text)) == exact[:26].replace("T", " ")
        # What pyspedas cuts, this package reads: the list can be searched again.
        assert sim.join_events(table(rows), [pair], searched=pair)["status"][rows.index(row)] == "known"


def test_a_leap_second_is_written_as_it_is_though_pyspedas_cannot_read_it():
    text = sim.time_list(table())[LEAP][1]
    assert text == "2016-12-31/23:59:60.500000001"
    with pytest.raises(ValueError):
        pyspedas.time_double(text)
    assert Time(text.replace("/", "T"), precision=9).isot == END[LEAP]


def test_time_ranges_by_sunpy():
    ranges = sim.time_ranges(table())
    assert [one.start.isot for one in ranges] == START and [one.end.isot for one in ranges] == END
    assert ranges[1].seconds.value == 0
    # 23:59:59.999999999 to 23:59:60.500000001 is half a second and two nanoseconds, in the leap second.
    assert (ranges[LEAP].end - ranges[LEAP].start).sec == pytest.approx(0.500000002, abs=1e-10)
    assert sim.join_events(table([0]), ranges[:1], searched=ranges[0])["status"].tolist() == ["known"]


def test_idl_text_has_fixed_columns(tmp_path):
    path = sim.export(table([0, 1, 2, 3]), tmp_path / "found.dat", "idl")
    lines = path.read_text(encoding="utf-8").splitlines()
    comments = [line for line in lines if line.startswith(";")]
    assert len(comments) == 2 and lines[:2] == comments
    assert comments[1] == "; start end peak score n_samples source probe p_value"
    rows = lines[2:]
    # As readcol parts columns: at blanks, commas and tabs.
    words = [row.replace(",", " ").split() for row in rows]
    assert [len(one) for one in words] == [8] * 4
    assert len(set(map(len, rows))) == 1 and all(row[29] == " " and row[59] == " " for row in rows)
    assert [one[0] for one in words] == [text.replace("T", "/") for text in START[:4]]
    assert [float(one[3]) for one in words] == table()["score"][:4].tolist()
    assert [one[6] for one in words] == ["mms1", "-", "@SUM(A1)", "-1+1"]
    assert words[1][7] == "NaN"
    # A double of unix time, as time_double gives it, is good to a quarter of a microsecond at these dates.
    assert np.spacing(1.6e9) == pytest.approx(2.4e-7, rel=0.01)


GDL = """
types = [7L, 7, 7, 5, 14, 7, 7, 5]
names = ['first', 'last', 'peak', 'score', 'n', 'source', 'probe', 'p']
template = {VERSION: 1.0, DATASTART: 0L, DELIMITER: 32B, MISSINGVALUE: !VALUES.F_NAN, COMMENTSYMBOL: ';', $
  FIELDCOUNT: 8L, FIELDTYPES: types, FIELDNAMES: names, FIELDLOCATIONS: lindgen(8), FIELDGROUPS: lindgen(8)}
d = read_ascii('PATH', template=template)
for i = 0, n_elements(d.n) - 1 do print, d.first[i], d.last[i], d.score[i], d.n[i], d.p[i], $
  format='("row ", A, " ", A, " ", E25.17, " ", I0, " ", E25.17)'
exit
"""


@pytest.mark.skipif(shutil.which("gdl") is None, reason="GDL, the free IDL, is not installed")
def test_idl_text_by_read_ascii(tmp_path):
    path = sim.export(table([0, 1, 2, 3]), tmp_path / "found.dat", "idl")
    script = tmp_path / "read.pro"
    script.write_text(GDL.replace("PATH", str(path)))
    run = subprocess.run(["gdl", "-q", str(script)], capture_output=True, text=True, timeout=120, check=True)
    rows = [line.split()[1:] for line in run.stdout.splitlines() if line.startswith("row ")]
    assert [row[0].replace("/", "T") for row in rows] == START[:4]
    assert [row[1].replace("/", "T") for row in rows] == END[:4]
    assert [float(row[2]) for row in rows] == table()["score"][:4].tolist()
    assert [int(row[3]) for row in rows] == [1, 2, 3, 4]
    assert [float(row[4]) for row in rows][2:] == [1e-300, 0.0] and np.isnan(float(rows[1][4]))


def test_hpevent_tables_come_with_their_description(tmp_path):
    path = sim.export(table(), tmp_path / "found.txt", "hpevent")
    read = pandas.read_csv(path, sep=" ", header=None, quoting=csv.QUOTE_NONE, keep_default_na=False)
    assert read.shape == (5, 8)
    assert read[0].tolist() == [f"{text}Z" for text in START] and read[1].tolist() == [f"{text}Z" for text in END]
    assert Time([text.rstrip("Z") for text in read[1]], precision=9).isot.tolist() == END
    description = (tmp_path / "found_description.txt").read_text(encoding="utf-8").splitlines()
    fields = [line.split("  ")[:2] for line in description[1:-1]]
    assert fields[:5] == [
        ["TIME_BEGIN", "string"],
        ["TIME_END", "string"],
        ["TIME_PEAK", "string"],
        ["SCORE", "double"],
        ["N_SAMPLES", "long64"],
    ]
    assert json.loads(description[-1].removeprefix("Provenance: "))["similarity"][0]["threshold"] == 0.5
    with pytest.raises(ArgumentError, match="found_description.txt: it exists"):
        path.unlink()
        sim.export(table(), path, "hpevent")


def test_autoplot_lists_have_four_columns(tmp_path):
    lines = sim.export(table(), tmp_path / "found.txt", "autoplot").read_text(encoding="utf-8").splitlines()
    rows = [next(csv.reader([line], skipinitialspace=True)) for line in lines]
    assert [len(row) for row in rows] == [4] * 5
    assert [row[0] for row in rows] == [f"{text}Z" for text in START]
    assert rows[1][3] == "two lines, quoted ; a | b 0.300"


def test_what_find_similar_returns_is_exported_with_its_provenance(tmp_path):
    trange = ["2020-01-02/06:00", "2020-01-02/06:02"]
    names = sim.find_similar(
        instrument="simulated_asi", trange=trange, like="2020-01-02/06:01", k=2, exclude=6, errors="raise"
    )
    found = sim.intervals(names)
    read = QTable.read(sim.export(names, tmp_path / "found.ecsv"), format="ascii.ecsv")
    assert read["start"].isot.tolist() == found["start"].isot.tolist() and read["site"][0] == "simulated"
    assert read.meta["similarity"][0]["encoder"] == found.meta["similarity"][0]["encoder"]
    text = sim.export(names[0], tmp_path / "list.txt", "idl").read_text()
    provenance = json.loads(text.splitlines()[0].removeprefix("; provenance: "))
    assert provenance["similarity"][0]["recipe"]["hash"] == found.meta["similarity"][0]["recipe"]["hash"]
    assert {"queries", "versions", "threshold"} <= set(provenance["similarity"][0])


@pytest.mark.parametrize("format", exports.FORMATS)
def test_nothing_found_is_a_file_without_intervals(tmp_path, format):
    path = sim.export([], tmp_path / "none", format)
    readers = {
        "ecsv": lambda: len(QTable.read(path, format="ascii.ecsv")),
        "csv": lambda: len(pandas.read_csv(path)),
        "votable": lambda: len(Table.read(path, format="votable")),
        "json": lambda: len(pandas.read_json(path, orient="table")),
    }
    lines = [line for line in path.read_text().splitlines() if not line.startswith(("#", ";"))]
    assert (readers[format]() if format in readers else len(lines)) == 0


@pytest.mark.parametrize("format", exports.FORMATS)
def test_thousands_of_intervals(tmp_path, format):
    start = np.datetime64("2015-09-01", "ns") + np.arange(3000) * np.timedelta64(60_000_000_001, "ns")
    many = Table({"start": start, "end": start + np.timedelta64(30, "s"), "score": np.linspace(1, 0, 3000)})
    lines = sim.export(many, tmp_path / "many", format).read_text().splitlines()
    texts = [str(one) for one in start[[0, 1500, 2999]]]
    for text in texts:
        assert sum(text in line or text.replace("T", "/") in line for line in lines) == 1


@pytest.mark.parametrize("format", exports.FORMATS)
def test_text_that_no_file_can_hold(tmp_path, format):
    bad = table(sources=["a\x00b", "\x1c\x85\u2028", "half \ud800 pair", "\x1b[31mred", "\r\n"])
    path = sim.export(bad, tmp_path / "found", format)
    text = path.read_bytes().decode("utf-8")
    assert not set("\x00\x1b\x1c\x85\u2028\r") & set(text)
    if format == "votable":
        found = Table.read(path, format="votable")["source"]
    elif format == "ecsv":
        found = QTable.read(path, format="ascii.ecsv")["source"]
    else:
        return
    assert found[0] == "a\ufffdb" and found[2] == "half \\ud800 pair" and found[3] == "\ufffd[31mred"


def test_a_file_that_is_there_stays_unless_asked(tmp_path):
    path = tmp_path / "found.csv"
    path.write_text("mine")
    with pytest.raises(ArgumentError, match="it exists and overwrite=False"):
        sim.export(table(), path)
    assert path.read_text() == "mine"
    assert sim.export(table(), path, overwrite=True) == path and path.read_text() != "mine"
    assert [one.name for one in tmp_path.iterdir()] == ["found.csv"]


def test_an_interrupt_leaves_nothing(tmp_path, monkeypatch):
    path = tmp_path / "found.csv"
    path.write_text("mine")

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)  # when it is written and has no name yet
    with pytest.raises(KeyboardInterrupt):
        sim.export(table(), path, overwrite=True)
    assert path.read_text() == "mine" and [one.name for one in tmp_path.iterdir()] == ["found.csv"]


def test_times_of_any_scale_and_form_come_out_in_utc(tmp_path):
    tai = table()
    for name in ("start", "end", "peak"):
        tai[name] = tai[name].tai
    read = QTable.read(sim.export(tai, tmp_path / "tai.ecsv"), format="ascii.ecsv")
    assert read["end"].isot.tolist() == END and read["end"].scale == "utc"
    text = Table({"start": ["2020-01-01T09:00:00+09:00"], "end": ["2020-01-01/00:00:01.5"]})
    assert sim.time_list(text) == [["2020-01-01/00:00:00.000000000", "2020-01-01/00:00:01.500000000"]]


BAD = {
    "ending": (lambda folder: (table(), folder / "found.xyz"), ArgumentError, r"\.ecsv.*time_list"),
    "text without format": (lambda folder: (table(), folder / "found.txt"), ArgumentError, "format"),
    "format": (lambda folder: (table(), folder / "found.csv", "excel"), ArgumentError, "found 'excel'"),
    "no folder": (lambda folder: (table(), folder / "no" / "found.csv"), ArgumentError, "there is no folder"),
    "a folder": (lambda folder: (table(), folder, "csv", True), ArgumentError, "it is a folder"),
    "no table": (lambda folder: (7, folder / "found.csv"), ArgumentError, "int is no table"),
    "no such variable": (lambda folder: ("missing", folder / "found.csv"), VariableError, "no tplot variable"),
    "no columns": (
        lambda folder: (Table({"a": [1]}), folder / "f.csv"),
        ArgumentError,
        "no column start and end; found a",
    ),
    "not times": (lambda folder: (Table({"start": ["x"], "end": ["y"]}), folder / "f.csv"), TimeError, "not a time"),
    "backward": (
        lambda folder: (Table({"start": END, "end": START})[[0]], folder / "f.csv"),
        ArgumentError,
        "before it starts",
    ),
    "masked": (lambda folder: (masked(), folder / "f.csv"), TimeError, "row 1 has no time"),
    "arrays in rows": (lambda folder: (wide(), folder / "f.csv"), ArgumentError, "column wide"),
    "local times": (
        lambda folder: (
            Table({"start": Time(START, scale="local"), "end": Time(END[:3] + START[3:], scale="local")}),
            folder / "f.csv",
        ),
        TimeError,
        "scale 'local' has no UTC",
    ),
}


def masked():
    made = QTable({"start": Time(START[:2]), "end": Time(END[:2])})
    made["end"][1] = np.ma.masked
    return made


def wide():
    made = table()
    made["wide"] = np.ones((5, 3))
    return made


@pytest.mark.parametrize(("arguments", "error", "says"), BAD.values(), ids=BAD)
def test_bad_input_is_one_clear_error_and_no_file(tmp_path, arguments, error, says):
    with pytest.raises(error, match=says) as caught:
        sim.export(*arguments(tmp_path))
    assert isinstance(caught.value, SimilarityError) and caught.value.remedy.endswith(".")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(ArgumentError, match="cannot be written"):
        sim.export(table(), tmp_path / "found.csv")


TIMES = np.datetime64("2016-12-31T23:59:58.000000007", "ns") + np.arange(4) * np.timedelta64(1_000_000_001, "ns")


def test_timeseries_of_sunpy_to_the_nanosecond():
    record = {"source": "sky", "threshold": 0.5}
    attributes = {"data_att": {"units": "1"}, "similarity": record}
    tplot.write(Variable("sky_similarity", TIMES, np.array([0.1, 1 / 3, np.nan, 1.0]), {}, attributes))
    series = sim.to_timeseries("sky_similarity")
    frame = series.to_dataframe()
    np.testing.assert_array_equal(frame.index.to_numpy(), TIMES)
    np.testing.assert_array_equal(frame["sky_similarity"], [0.1, 1 / 3, np.nan, 1.0])
    assert str(series.units["sky_similarity"]) == ""
    assert json.loads(series.meta.metas[0]["similarity"]) == record
    tplot.write(Variable("probability", TIMES, np.ones((4, 2))))
    assert sim.to_timeseries("probability").columns == ["probability_0", "probability_1"]


def test_timeseries_of_frames_are_refused():
    tplot.write(Variable("frames", TIMES, np.ones((4, 3, 3))))
    with pytest.raises(VariableError, match=r"\(4, 3, 3\)"):
        sim.to_timeseries("frames")


def test_without_its_extra_sunpy_is_named(monkeypatch):
    tplot.write(Variable("x", TIMES, np.ones(4)))
    monkeypatch.setitem(sys.modules, "sunpy.timeseries", None)
    with pytest.raises(ArgumentError, match=r"pip install \"pyspedas-similarity\[sunpy\]\""):
        sim.to_timeseries("x")


def test_export_from_a_shell(tmp_path, capsys):
    given = sim.export(table(sources=["sky"] * 5), tmp_path / "found.ecsv")
    out = tmp_path / "found.json"
    assert cli.main(["export", str(given), str(out)]) == cli.FOUND
    assert pandas.read_json(out, orient="table")["end"].tolist() == END
    assert cli.main(["export", str(given), str(out)]) == cli.BAD_INPUT
    assert cli.main(["export", str(given), str(out), "--overwrite", "--format", "idl"]) == cli.FOUND
    assert cli.main(["export", "nowhere.ecsv", str(out)]) == cli.BAD_INPUT
    assert "there is no such file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (3, "found 3"),
        ("nowhere/x.csv", "there is no folder nowhere"),
        (f"{'x' * 300}.csv", "too long"),
        ("", "found ''"),
    ],
)
def test_places_that_cannot_be_written_are_refused(path, text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ArgumentError, match=text):
        sim.export(table(), path)
    assert not list(tmp_path.iterdir())
