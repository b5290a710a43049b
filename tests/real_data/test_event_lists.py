"""The lists of events as they come: SITL selections and published encounters with electron diffusion regions."""

import pytest
from astropy.table import Table

import pyspedas_similarity as sim


def test_sitl_selections_as_they_come(real_data):
    path = real_data("mms/sitl_selections.csv")
    events = sim.read_events(path)
    lines = path.read_text().splitlines()[1:]
    assert len(events) == len(lines) == 49_728
    for row in (0, 20_000, 49_727):
        start, end, fom, tags = lines[row].split(",")
        assert events["start"].isot[row] == f"{start.replace('/', 'T')}.000000000"
        assert events["end"].isot[row] == f"{end.replace('/', 'T')}.000000000"
        assert str(events["fom"][row]) == fom and events["label"][row] == tags


def test_encounters_are_instants_and_lie_in_selections(real_data):
    encounters = sim.read_events(real_data("mms/edr_encounters.csv"))
    assert len(encounters) == 28 and (encounters["start"] == encounters["end"]).all()
    sitl = real_data("mms/sitl_selections.csv")
    selections = sim.read_events(sitl)
    within = [((selections["start"] <= t) & (t <= selections["end"])).any() for t in encounters["start"]]
    joined = sim.join_events(encounters, sitl, searched=["2015-09-01", "2018-01-01"])
    assert [status == "known" for status in joined["status"][:28]] == within
    assert sum(within) > 0 and joined.meta["join"]["known"] == sum(within)


def test_an_encounter_is_met_with_a_tolerance(real_data):
    day = ["2015-10-16", "2015-10-17"]
    second = Table({"start": ["2015-10-16T13:07:02"], "end": ["2015-10-16T13:07:03"]})
    joined = sim.join_events(second, real_data("mms/edr_encounters.csv"), tolerance=2, searched=day)
    assert joined["status"].tolist() == ["known", "missed"]
    assert joined["event"][0] == "dayside magnetopause"
    numbers = joined.meta["join"]
    assert numbers["events_searched"] == 2 and numbers["searched_s"] == 86400
    # Two encounters, 4 s each, in a day; the middle of the match lies in one.
    assert numbers["enrichment"]["base_rate"] == pytest.approx(8 / 86400)
    assert numbers["enrichment"]["value"] == pytest.approx(86400 / 8)
