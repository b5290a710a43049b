"""Lists of events in text files."""

import pytest

import pyspedas_similarity as sim

START, END = "2015-10-16T13:07:02.000000000", "2015-10-16T13:07:05.500000000"


@pytest.mark.parametrize(
    "line",
    [
        "2015-10-16 13:07:02 2015-10-16 13:07:05.5",
        "2015-10-16 13:07:02, 2015-10-16 13:07:05.5",
        "2015-10-16\t13:07:02\t2015-10-16\t13:07:05.5\tedr",
        "2015-10-16/13:07:02 2015-10-16/13:07:05.5",
        "2015-10-16T13:07:02Z 2015-10-16T13:07:05.5Z",
        "2015-10-16 13:07:02Z 2015-10-16 13:07:05.5Z",
        "2015-10-16 14:07:02+01:00 2015-10-16 14:07:05.5+01:00",
    ],
)
def test_a_date_and_a_clock_are_one_time(tmp_path, line):
    path = tmp_path / "list.txt"
    path.write_text(f"# start end\n{line}\n{line}\n")
    table = sim.read_events(path)
    assert table["start"].isot.tolist() == [START] * 2 and table["end"].isot.tolist() == [END] * 2


def test_a_date_and_a_clock_alone_are_an_instant(tmp_path):
    path = tmp_path / "list.txt"
    path.write_text("2015-10-16 3:07:02\n2015-10-17 13:07:02\n")
    table = sim.read_events(path)
    assert table["start"].isot[0] == table["end"].isot[0] == "2015-10-16T03:07:02.000000000"
