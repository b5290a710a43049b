"""Matches against events: a table checked by hand, then every form and every bad form of events."""

import json

import numpy as np
import pytest
from astropy.table import QTable, Table
from astropy.time import Time

import pyspedas_similarity as sim
from pyspedas_similarity import cli, tplot
from pyspedas_similarity.errors import ArgumentError, SimilarityError, TimeError, VariableError
from pyspedas_similarity.results.joins import summary_of
from pyspedas_similarity.times import to_astropy
from pyspedas_similarity.tplot import Variable

T0 = np.datetime64("2020-01-01T00:00:00", "ns")


def at(seconds):
    return T0 + (np.asarray(seconds, float) * 1e9).astype("timedelta64[ns]")


def matches(rows):
    """A table as intervals gives it, best first, of (start, end, peak) in seconds."""
    start, end, peak = (at(column) for column in np.array(rows, float).reshape(-1, 3).T)
    table = QTable(meta={"similarity": [{"source": "made_up"}]})
    table["start"], table["end"], table["peak"] = map(to_astropy, (start, end, peak))
    table["score"] = np.linspace(0.9, 0.5, len(rows))
    table["n_samples"] = np.arange(1, len(rows) + 1)
    table["source"] = np.full(len(rows), "made_up")
    return table


def seconds_of(column):
    return ((column.to_value("datetime64") - T0) / np.timedelta64(1, "s")).tolist()


SEARCHED = [at(0), at(1000)]
# Events, 10 s longer at both ends: A and B are one, 90-260; C, an instant, 390-410; D 590-660; E 890-960; F is outside.
EVENTS = [[at(100), at(200)], [at(150), at(250)], [at(400), at(400)], [at(600), at(650)], [at(900), at(950)]]
EVENTS += [[at(2000), at(2100)]]
# start, end, peak; then by hand: status, start of its event, seconds shared, whether the peak lies in an event.
BY_HAND = [
    ((120, 130, 125), "known", 100, 10, True),
    ((255, 265, 258), "known", 100, 5, True),
    ((255, 300, 280), "known", 100, 5, False),
    ((300, 310, 305), "new", None, 0, False),
    ((395, 395, 395), "known", 400, 0, True),
    ((405, 420, 415), "known", 400, 5, False),
    ((500, 510, 505), "new", None, 0, False),
    ((240, 600, 420), "known", 100, 20, False),  # 20 s of AB, 20 s of C, 10 s of D: the earlier of the longest
    ((700, 720, 710), "new", None, 0, False),
    ((660, 670, 665), "new", None, 0, False),  # begins where D ends: no time is shared
]


def test_ten_rows_checked_by_hand():
    joined = sim.join_events(matches([row[0] for row in BY_HAND]), EVENTS, tolerance=10, searched=SEARCHED)
    assert joined["status"].tolist() == [row[1] for row in BY_HAND] + ["missed"]
    np.testing.assert_allclose(joined["overlap_s"], [row[3] for row in BY_HAND] + [0])
    known = [row[2] for row in BY_HAND if row[2] is not None]
    shown = joined[[row[2] is not None for row in BY_HAND] + [True]]
    assert seconds_of(shown["event_start"].unmasked) == [*known, 900]
    assert joined["event_start"].mask.tolist() == [row[2] is None for row in BY_HAND] + [False]
    # D is met by the eighth match, so that only E is missed.
    assert joined["start"].isot[-1] == str(at(900)) and joined["end"].isot[-1] == str(at(950))
    numbers = joined.meta["join"]
    assert (numbers["known"], numbers["new"], numbers["missed"]) == (6, 4, 1)
    assert (numbers["events"], numbers["events_merged"], numbers["events_searched"]) == (6, 5, 4)
    # Of 1000 s searched, 170 + 20 + 70 + 70 = 330 s lie in events; 3 of 10 peaks do: (3 / 10) / (330 / 1000) = 10 / 11.
    enrichment = numbers["enrichment"]
    assert (
        enrichment["base_rate"] == pytest.approx(0.33) and enrichment["n_inside"] == sum(row[4] for row in BY_HAND) == 3
    )
    assert enrichment["value"] == pytest.approx(10 / 11)
    # Exact limits of 3 of 10 are 0.06674 and 0.65245.
    assert enrichment["low"] == pytest.approx(0.06674 / 0.33, abs=1e-4)
    assert enrichment["high"] == pytest.approx(0.65245 / 0.33, abs=1e-4)
    assert (
        summary_of(joined).splitlines()[0]
        == "6 known, 4 new, 1 missed; 4 of 6 events searched, 1000 s, of which the list covers 910 s"
    )
    assert joined.meta["similarity"] == [{"source": "made_up"}]


def test_bootstrap_over_stretches_counts_by_hand():
    # Intervals of 600 s from 1970 part the 1000 s at 600 s. The first has eight peaks, three of them in an event, and
    # 170 + 20 + 10 = 200 s of events.
    assert sum(row[0][2] < 600 for row in BY_HAND) == 8
    table = matches([row[0] for row in BY_HAND])
    joined = sim.join_events(
        table, EVENTS, tolerance=10, searched=SEARCHED, interval="bootstrap", stretch=600, confidence=0.9, seed=2
    )
    found = joined.meta["join"]["enrichment"]
    assert found["method"] == "bootstrap" and found["value"] == pytest.approx(10 / 11)
    # A quarter of the draws has the second alone, which is 0; a quarter the first alone.
    assert found["low"] == 0 and found["high"] == pytest.approx((3 / 8) / (200 / 600))


@pytest.fixture
def sky():
    """A made-up similarity series, 0-99 s at 1 s, with a gap of scores at 20-29 s and a seed at 50 s."""
    times = at(np.arange(100))
    scores = np.where((np.arange(100) >= 20) & (np.arange(100) < 30), np.nan, 0.5)
    record = {
        "source": "sky",
        "exclude_s": 5.0,
        "queries": [
            {
                "label": f"sky {times[50]}",
                "variable": "sky",
                "n_samples": 1,
                "start": str(times[50]),
                "end": str(times[50]),
            }
        ],
    }
    tplot.write(Variable("sky_similarity", times, scores, {}, {"similarity": record}))
    return "sky_similarity"


def test_what_has_no_score_was_not_searched(sky):
    events = [[at(22), at(25)], [at(52), at(53)], [at(70), at(75)]]
    joined = sim.join_events([], events, searched=sky)
    # Neither the gap nor the seed's own surroundings, 45-55 s; each sample lasts until the next.
    assert joined["status"].tolist() == ["missed"] and seconds_of(joined["start"]) == [70]
    assert joined.meta["join"]["searched_s"] == 100 - 10 - 11
    other = sim.join_events([], events, searched=[at(0), at(100)])
    assert len(other) == 3


def test_the_seed_of_another_variable_leaves_nothing_out(sky):
    variable = tplot.read(sky)
    record = {**variable.attributes["similarity"], "source": "other"}
    tplot.write(Variable("other_similarity", variable.times, variable.values, {}, {"similarity": record}))
    joined = sim.join_events([], [[at(52), at(53)]], searched="other_similarity")
    assert joined.meta["join"]["searched_s"] == 90 and len(joined) == 1


def test_the_event_that_holds_the_query_is_neither_found_nor_missed(sky):
    events = [[at(40), at(51)], [at(70), at(75)]]  # the first one begins before the query's own surroundings
    joined = sim.join_events([], events, searched=sky)
    assert seconds_of(joined["start"]) == [70] and joined.meta["join"]["events_searched"] == 1
    variable = tplot.read(sky)
    record = {**variable.attributes["similarity"], "source": "other"}
    tplot.write(Variable("other_similarity", variable.times, variable.values, {}, {"similarity": record}))
    both = sim.join_events([], events, searched=[sky, "other_similarity"])  # it was searched in the other variable
    assert seconds_of(both["start"]) == [40, 70] and both.meta["join"]["events_searched"] == 2


def test_names_of_a_search_bring_what_was_searched():
    trange = ["2020-01-02/06:00", "2020-01-02/06:04"]
    names = sim.find_similar(
        instrument="simulated_asi", trange=trange, like="2020-01-02/06:01", k=2, exclude=6, errors="raise"
    )
    table = sim.intervals(names)
    events = [[str(table["start"][0]), str(table["end"][0])]]
    joined = sim.join_events(names, events)
    # A list of one event covers that event; with `covered` it is said to be complete in all that was searched.
    assert joined["status"].tolist() == ["known"] + ["not covered"] * (len(table) - 1)
    complete = sim.join_events(names, events, covered=trange)
    assert complete["status"].tolist() == ["known"] + ["new"] * (len(table) - 1)
    assert complete.meta["join"]["covered_s"] == joined.meta["join"]["searched_s"]
    # 80 samples at 3 s; 57 to 63 s lie 6 s and less from the seed: five samples.
    assert joined.meta["join"]["searched_s"] == (80 - 5) * 3
    again = sim.join_events(names, names)
    assert set(again["status"]) == {"known"} and again["score"].tolist() == table["score"].tolist()


def test_nothing_is_compared_outside_of_what_the_list_covers():
    table = matches([row[0] for row in BY_HAND])
    joined = sim.join_events(table, EVENTS[:3], searched=SEARCHED, covered=[at(0), at(500)])
    numbers = joined.meta["join"]
    assert numbers["searched_s"] == numbers["covered_s"] == 500
    assert joined["status"].tolist()[8:10] == ["not covered"] * 2 and numbers["missed"] == 0
    by_list = sim.join_events(table, EVENTS[:3], searched=SEARCHED)
    assert by_list.meta["join"]["searched_s"] == 1000 and by_list.meta["join"]["covered_s"] == 300
    expected = [
        "known",
        "new",
        "new",
        "new",
        "new",
        "not covered",
        "not covered",
        "known",
        "not covered",
        "not covered",
    ]
    assert by_list["status"].tolist() == expected


def test_empty_on_either_side():
    table = matches([row[0] for row in BY_HAND])
    joined = sim.join_events(table, [], searched=SEARCHED)
    assert set(joined["status"]) == {"not covered"} and np.isnan(joined.meta["join"]["enrichment"]["value"])
    joined = sim.join_events([], EVENTS, searched=SEARCHED)
    assert joined["status"].tolist() == ["missed"] * 4
    joined = sim.join_events([], [], searched=SEARCHED)
    assert len(joined) == 0 and {"status", "start", "end", "event"} <= set(joined.colnames)


def test_thousands_of_matches_against_thousands_of_events():
    rng = np.random.default_rng(0)
    start = np.sort(rng.uniform(0, 1e6, 5000))
    table = matches(np.stack([start, start + rng.uniform(0, 40, 5000), start], axis=1))
    events = np.stack([at(e := np.sort(rng.uniform(0, 1e6, 4000))), at(e + rng.uniform(0, 60, 4000))], axis=1)
    joined = sim.join_events(table, events.tolist() and [list(pair) for pair in events], searched=[at(0), at(1e6)])
    starts, ends = events.T
    own_start, own_end = at(start), table["end"].to_value("datetime64").astype("datetime64[ns]")
    for row in range(0, 5000, 250):
        met = ((starts < own_end[row]) & (own_start[row] < ends)).any()
        covered = starts[0] <= own_start[row] <= ends.max()
        assert joined["status"][row] == ("known" if met else "new" if covered else "not covered")
    # Drawn without any relation, they are enriched by nothing.
    assert joined.meta["join"]["enrichment"]["low"] < 1 < joined.meta["join"]["enrichment"]["high"]


def as_table(times, **more):
    return Table({"start": times[:, 0], "end": times[:, 1], **more})


TEXTS = np.array([["2020-01-01T00:01:40", "2020-01-01T00:03:20"], ["2020-01-01T00:15:00", "2020-01-01T00:15:50"]])


def event_forms(tmp_path):
    """The same two events, 100-200 s and 900-950 s, in every form."""
    times = Time(TEXTS)
    csv = tmp_path / "events.csv"
    lines = "start,end,fom,tags\n2020-01-01/00:01:40,2020-01-01/00:03:20,26.0,\n"
    csv.write_text(lines + "2020-01-01/00:15:00,2020-01-01/00:15:50,20.0,é jet\n", encoding="utf-8-sig")
    text = tmp_path / "events.txt"
    text.write_text(
        "# mine\n; too\n\n2020-01-01/00:01:40 2020-01-01/00:03:20\n2020-01-01T00:15, 2020-01-01T00:15:50 x\n"
    )
    ecsv = tmp_path / "events.ecsv"
    QTable({"time_start": times[:, 0], "time_stop": times[:, 1]}).write(ecsv, format="ascii.ecsv")
    votable = sim.export(as_table(TEXTS), tmp_path / "events.xml")
    import pandas

    return {
        "pairs": TEXTS.tolist(),
        "Times in TAI": as_table(times.tai),
        "zones": as_table(np.array([[f"{t}+00:00" for t in row] for row in TEXTS])),
        "zone of Tokyo": as_table(np.array([[t.replace("T00", "T09") + "+09:00" for t in row] for row in TEXTS])),
        "datetime64": as_table(TEXTS.astype("datetime64[s]")),
        "HPEvent names": Table({"TIME_BEGIN": TEXTS[:, 0], "TIME_END": TEXTS[:, 1]}),
        "data frame": pandas.DataFrame({"Start Time": TEXTS[:, 0], "End Time": TEXTS[:, 1]}),
        "data frame of times": pandas.DataFrame(
            {"t_start": pandas.to_datetime(TEXTS[:, 0], utc=True), "t_end": pandas.to_datetime(TEXTS[:, 1], utc=True)}
        ),
        "csv": csv,
        "csv by str": str(csv),
        "text": text,
        "ecsv": ecsv,
        "votable": votable,
        "exported list": sim.export(as_table(TEXTS), tmp_path / "list.txt", format="time_list"),
        "sunpy": sim.time_ranges(as_table(TEXTS)),
    }


@pytest.mark.parametrize(
    "form",
    [
        "pairs",
        "Times in TAI",
        "zones",
        "zone of Tokyo",
        "datetime64",
        "HPEvent names",
        "data frame",
        "data frame of times",
        "csv",
        "csv by str",
        "text",
        "ecsv",
        "votable",
        "exported list",
        "sunpy",
    ],
)
def test_events_in_every_form(tmp_path, form):
    events = sim.read_events(event_forms(tmp_path)[form])
    assert seconds_of(events["start"]) == [100, 900] and seconds_of(events["end"]) == [200, 950]
    if form.startswith("csv"):
        assert events["label"].tolist() == ["", "é jet"] and events["fom"].tolist() == [26, 20]
    joined = sim.join_events(matches([(120, 130, 125)]), events, searched=SEARCHED)
    assert joined["status"].tolist() == ["known", "missed"]


def test_instants_and_named_columns():
    table = Table({"when": [str(at(5)), str(at(7))], "what": ["a", "b"]})
    with pytest.raises(ArgumentError, match="found the columns when, what"):
        sim.read_events(table)
    events = sim.read_events(table, columns="when")
    assert seconds_of(events["start"]) == [5, 7] == seconds_of(events["end"])
    assert seconds_of(sim.read_events(Table({"time_utc": [str(at(5))]}))["end"]) == [5]
    with pytest.raises(ArgumentError, match=r"no columns \['whence'\]"):
        sim.read_events(table, columns=["whence"])


def test_lines_with_one_time_and_with_two_are_not_guessed_at(tmp_path):
    path = tmp_path / "events.txt"
    path.write_text("2020-01-01/00:01:40 2020-01-01/00:03:20\n2020-01-01T00:15\n")
    with pytest.raises(ArgumentError, match="one time in '2020-01-01T00:15' and two in others"):
        sim.read_events(path)
    path.write_text("2020-01-01T00:15 a jet\n")
    assert seconds_of(sim.read_events(path)["end"]) == [900]
    path.write_text("# nothing\n")
    assert len(sim.read_events(path)) == 0
    with pytest.raises(TimeError, match="not a time"):
        sim.read_events("x" * 5000)  # no name of a file


def test_what_was_calibrated_goes_along():
    table = matches(MATCH)
    table["p_value"] = [0.01]
    joined = sim.join_events(table, EVENTS, searched=SEARCHED)
    assert joined["p_value"][0] == 0.01 and joined["p_value"].mask.tolist() == [False] + [True] * 4


def test_the_callers_tables_stay_as_they_were():
    table, events = matches([(1, 2, 1)]), Table({"begin": [str(at(1))], "stop": [str(at(3))]})
    before = repr(table), repr(events)
    sim.join_events(table, events, searched=SEARCHED)
    assert (repr(table), repr(events)) == before


MATCH = [(1, 2, 1)]
BAD = {
    "no events": (lambda: dict(events=None), ArgumentError, "none are given"),
    "no such file": (lambda: dict(events="nowhere.csv"), ArgumentError, "there is no such file"),
    "file of no table": (lambda: dict(events=__file__), SimilarityError, "."),
    "unknown columns": (lambda: dict(events=Table({"a": [1.0], "b": ["x"]})), ArgumentError, "found the columns a, b"),
    "an end alone": (lambda: dict(events=Table({"end": ["2020-01-01"]})), ArgumentError, "found the columns end"),
    "backward": (lambda: dict(events=as_table(TEXTS[:, ::-1])), ArgumentError, "row 0 ends at"),
    "not a time": (lambda: dict(events=as_table(np.array([["x", "y"]]))), TimeError, "column start"),
    "a time is missing": (
        lambda: dict(events=Table({"start": np.ma.array(["a", "b"], mask=[0, 1]), "end": ["c", "d"]})),
        TimeError,
        "column start",
    ),
    "a leap second": (
        lambda: dict(events=Table({"time": ["2016-12-31T23:59:60.5"]})),
        TimeError,
        "inside a leap second",
    ),
    "not known what was searched": (lambda: dict(events=EVENTS, searched=None), ArgumentError, "Give searched"),
    "searched no scores": (lambda: dict(events=EVENTS, searched="frames"), VariableError, "_similarity"),
    "negative tolerance": (lambda: dict(events=EVENTS, tolerance=-1), ArgumentError, "tolerance"),
    "unknown interval": (lambda: dict(events=EVENTS, interval="guess"), ArgumentError, "'bootstrap'"),
    "confidence": (lambda: dict(events=EVENTS, confidence=95), ArgumentError, "0.95"),
    "no stretch": (lambda: dict(events=EVENTS, interval="bootstrap", stretch=0), ArgumentError, "not positive"),
    "no table": (lambda: dict(found=3, events=EVENTS), ArgumentError, "int is no table"),
    "table without end": (lambda: dict(found=Table({"start": [1]}), events=EVENTS), ArgumentError, "no column end"),
}


@pytest.mark.parametrize(("arguments", "error", "says"), BAD.values(), ids=BAD)
def test_bad_input_is_one_clear_error(arguments, error, says):
    tplot.write(Variable("frames", at(np.arange(5)), np.ones((5, 4, 4))))
    with pytest.raises(error, match=says) as caught:
        sim.join_events(**{"found": matches(MATCH), "searched": SEARCHED} | arguments())
    assert caught.value.remedy.endswith(".")


def test_a_join_is_exported_and_read_back(tmp_path):
    joined = sim.join_events(matches([row[0] for row in BY_HAND]), EVENTS, tolerance=10, searched=SEARCHED)
    read = QTable.read(sim.export(joined, tmp_path / "joined.ecsv"), format="ascii.ecsv")
    assert read["status"].tolist() == joined["status"].tolist()
    assert read["event_end"].mask.tolist() == joined["event_end"].mask.tolist()
    assert read.meta["join"]["enrichment"]["value"] == joined.meta["join"]["enrichment"]["value"]
    rows = json.loads(sim.export(joined, tmp_path / "joined.json").read_text())["data"]
    assert rows[-1]["score"] is None and rows[-1]["peak"] is None and rows[3]["event_start"] is None


def test_join_from_a_shell(tmp_path, capsys):
    table = sim.export(matches([row[0] for row in BY_HAND]), tmp_path / "found.ecsv")
    events = tmp_path / "events.txt"
    events.write_text("".join(f"{start} {end}\n" for start, end in EVENTS))
    out = tmp_path / "joined.csv"
    command = ["join", str(table), str(events), "--searched", str(at(0)), str(at(1000)), "--tolerance", "10"]
    assert cli.main([*command, "--out", str(out)]) == cli.FOUND
    printed = capsys.readouterr().out
    assert "6 known, 4 new, 1 missed" in printed and "enrichment 0.909" in printed
    assert out.read_text().count("known") == 6
    assert cli.main([*command, "--out", str(out)]) == cli.BAD_INPUT
    assert "exists" in capsys.readouterr().err
    assert cli.main(["join", str(table), "nowhere.csv", *command[3:]]) == cli.BAD_INPUT
