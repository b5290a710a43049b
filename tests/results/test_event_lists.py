"""Lists of events in text files."""

import pytest

import pyspedas_similarity as sim
from pyspedas_similarity.errors import SimilarityError

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
        "2015-10-16T06:07:02-0700\t2015-10-16T13:07:05.5 UT",
        "2015-10-16/13:07:02 - 13:07:05.5",
        "2015-10-16 13:07:02 to 2015-10-16 13:07:05.5",
        "2015-10-16T13:07:02Z/2015-10-16T13:07:05.5Z",
        "2015-10-16,13:07:02,2015-10-16,13:07:05.5,edr",
        '"2015-10-16 13:07:02","2015-10-16 13:07:05.5","edr, clear"',
        "2015-10-16 13:07:02;2015-10-16 13:07:05.5;0.98",
        "2015-289T13:07:02Z 2015:289:13:07:05.5",
        "2015/289 13:07:02 2015289 130705.5",
        "20151016_130702 20151016130705.5",
        "16-Oct-2015 13:07:02 16 October 2015 13:07:05.5",
        "2015 10 16 13 07 02  2015 289 13 07 05.5",
        "12, 2015-10-16 13:07:02, 2015-10-16 13:07:05.5",
        "edr 2015-10-16T13:07:02 2015-10-16T13:07:05.5 0.98",
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


@pytest.mark.parametrize("suffix", [".txt", ".csv", ".lst", ".tsv"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize(
    "header",
    ["", "# start, end\n", "start end\n", "% kept by hand\n\n", "Events of October\n", "; a\n# b\n"],
)
def test_headers_and_comments_are_no_events(tmp_path, suffix, mark, header):
    path = tmp_path / f"list{suffix}"
    lines = "2015-10-16 13:07:02\t2015-10-16 13:07:05.5\n# not this\n\n2015-10-16 13:07:02\t2015-10-16 13:07:05.5\r\n"
    path.write_bytes(mark + header.encode() + lines.encode())
    table = sim.read_events(path)
    assert table["start"].isot.tolist() == [START] * 2 and table["end"].isot.tolist() == [END] * 2


@pytest.mark.parametrize("separator", [",", "\t", ";"])
@pytest.mark.parametrize(
    "names",
    ["event{0}Start Time (UT){0}End Time (UT){0}n", "label{0}t_start{0}t_end{0}n", "kind{0}FROM{0}To [UTC]{0}n"],
)
def test_columns_under_a_header(tmp_path, separator, names):
    path = tmp_path / "list.txt"
    rows = ["edr{0}2015-289T13:07:02Z{0}2015-10-16 14:07:05.5+01:00{0}3"] * 2
    path.write_text("# comment\n" + "\n".join([names, *rows]).format(separator) + "\n")
    table = sim.read_events(path)
    assert table["start"].isot.tolist() == [START] * 2 and table["end"].isot.tolist() == [END] * 2
    assert table["label"].tolist() == ["edr"] * 2 and table["n"].tolist() == [3, 3]


def test_an_end_earlier_in_the_day_is_of_the_next_day(tmp_path):
    path = tmp_path / "list.txt"
    path.write_text("2015-10-16 23:50 00:10\n")
    assert sim.read_events(path)["end"].isot.tolist() == ["2015-10-17T00:10:00.000000000"]


@pytest.mark.parametrize(
    "line",
    [
        "10/16/2015 13:07:02 10/16/2015 13:07:05",
        "16.10.2015 13:07",
        "2015-13-40 13:07:02",
        "2015-366 13:07:02",
        "2015-10-16 25:07:02",
        "2015-10-16 13 07 02",
        "2015-10-16 13:07:02 MST",
        "2015-10-16 13:07:02 2015-10-1613:07",
        "2015-10-16 13:07:02 13.07:05",
        "2015-10-16 13:07:02 2015-xx-16 13:07:05",
        "2015-10-16 13:07:02 10/17/2015 13:07",
        "2015-289.54 2015-289.55",
        "2015101613 2015101614",
        "13:07:02 13:07:05",
        "no time here",
        "2015-10-16 13:07:02",
    ],
)
@pytest.mark.parametrize("suffix", [".txt", ".csv"])
def test_what_is_not_understood_is_an_error_with_the_line(tmp_path, suffix, line):
    path = tmp_path / f"list{suffix}"
    good = "2015-10-16 13:07:02 2015-10-16 13:07:05.5"
    path.write_text(f"# header\n{good}\n\n{good}\n{line}\n{good}\n")
    with pytest.raises(SimilarityError, match="line 5"):
        sim.read_events(path)


@pytest.mark.parametrize("bad", ["16.10.2015", "", "13:07"])
def test_an_error_in_a_column_names_the_line(tmp_path, bad):
    path = tmp_path / "list.csv"
    path.write_text(f"label,start,end\na,2015-10-16T13:07:02,2015-10-16T13:07:05\n# b\nc,{bad},2015-10-16T13:07:05\n")
    with pytest.raises(SimilarityError, match="line 4, column start"):
        sim.read_events(path)


@pytest.mark.parametrize("name", ["list with blanks.txt", "list [1].txt", "list*#%é.csv", "~list.txt", "list"])
def test_paths_with_odd_characters(tmp_path, name):
    path = tmp_path / name
    path.write_text("2015-10-16 13:07:02 2015-10-16 13:07:05.5\n")
    for given in (path, str(path)):
        assert sim.read_events(given)["start"].isot.tolist() == [START]


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1", "utf-8"])
def test_encodings(tmp_path, encoding):
    path = tmp_path / "list.txt"
    path.write_bytes("# Nordlicht über Tromsø\n2015-10-16 13:07:02 2015-10-16 13:07:05.5 schön\n".encode(encoding))
    assert sim.read_events(path)["start"].isot.tolist() == [START]


@pytest.mark.parametrize("content", [b"", b"\n\n", b"# nothing\n", bytes(range(256)), b"\xff\xfe\x00"])
@pytest.mark.parametrize("suffix", [".txt", ".csv", ".ecsv", ".xml"])
def test_no_exception_of_another_package(tmp_path, content, suffix):
    path = tmp_path / f"list{suffix}"
    path.write_bytes(content)
    try:
        assert len(sim.read_events(path)) == 0
    except SimilarityError as error:
        assert "list" in str(error)
