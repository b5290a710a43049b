"""All-sky frames by time range, from a server in the archive's layout and a local tree. The frames are simulated."""

import gc
import logging
import tracemalloc
import weakref
from operator import attrgetter
from pathlib import Path

import numpy as np
import pytest

import pyspedas_similarity as sim
from pyspedas_similarity import tplot
from pyspedas_similarity.errors import ArgumentError, LoadError, TimeError
from pyspedas_similarity.instruments import asi_files, themis_asi
from pyspedas_similarity.instruments import segments as pieces
from pyspedas_similarity.instruments.asi_files import Skymap
from tests import archive_server, asi_tree

FIRST = np.datetime64("2011-01-31T22:00:00", "ns")  # the range crosses midnight and the end of a month
HOUR, SECOND = np.timedelta64(1, "h"), np.timedelta64(1, "s")
RANGE = ["2011-01-31/22:00", "2011-02-01/01:00"]


def stamps(hour=0, n=3):
    """Times of one hour's frames: 3 s apart, some microseconds late."""
    offsets = np.arange(n) * 3_000_000 + np.arange(n) * 1_234 + 63_119
    return FIRST + hour * HOUR + offsets.astype("timedelta64[us]")


def hours(*arguments, **keywords):
    """Frames of one segment after another; none is held here."""
    return map(attrgetter("distribution"), themis_asi.segments(*arguments, **keywords))


def pixels(hour=0, n=3, size=16):
    return np.random.default_rng(hour).integers(2000, 60000, (n, size, size)).astype(np.uint16)


def write(root, site="gako", hour=0, datatype="asf", seconds=None, values=None, inside=None):
    """A file of the archive with the variables of the real ones; its epoch is zero as theirs is."""
    seconds = stamps(hour).astype("int64") / 1e9 if seconds is None else np.asarray(seconds, float)
    values = pixels(hour) if values is None else values
    return asi_tree.write_frames(root, site, FIRST + hour * HOUR, seconds, values, datatype, inside)


@pytest.fixture
def settings(tmp_path, monkeypatch):
    """pyspedas's settings for THEMIS, with a local tree of the test's own, and a server that fails at once."""
    from pyspedas.projects.themis.config import CONFIG

    monkeypatch.setitem(CONFIG, "local_data_dir", str(tmp_path / "local"))
    monkeypatch.setitem(CONFIG, "remote_data_dir", "http://127.0.0.1:9/")
    monkeypatch.setattr(pieces, "_BACKOFF_S", 0.0)
    return CONFIG


@pytest.fixture
def server(tmp_path, settings):
    (tmp_path / "served").mkdir()
    with archive_server.ArchiveServer(tmp_path / "served") as running:
        settings["remote_data_dir"] = running.url  # the fixture `settings` takes it back
        yield running


def asked(server):
    return [name for name in server.asked if name.endswith(".cdf")]


def messages(caplog, level=logging.WARNING):
    return [r.getMessage() for r in caplog.records if r.name.startswith("pyspedas_similarity") and r.levelno >= level]


def test_a_range_over_several_hours_arrives_complete(server, settings, caplog):
    for hour in range(4):
        write(server.root, hour=hour)
    assert sim.load_asi(RANGE, "GAKO") == ["thg_asf_gako"]
    frames = tplot.read("thg_asf_gako")
    np.testing.assert_array_equal(frames.times, np.concatenate([stamps(hour) for hour in range(3)]))
    np.testing.assert_array_equal(frames.values, np.concatenate([pixels(hour) for hour in range(3)]))
    assert frames.values.dtype == np.uint16 and frames.units == "counts"
    about = frames.attributes["data_att"]
    assert (about["site"], about["latitude"], about["longitude"]) == ("gako", 62.407, -145.158)
    # The range ends where the fourth file begins, which is not asked for.
    assert len(asked(server)) == 3 and not messages(caplog)
    kept = sorted(path.name for path in Path(settings["local_data_dir"]).rglob("*.cdf"))
    assert kept == sorted(asked(server))


def test_what_is_here_is_not_asked_for_again(server):
    for hour in range(3):
        write(server.root, hour=hour)
    assert sim.load_asi(["2011-01-31/22:30", "2011-01-31/23:30"], "gako", time_clip=False) == ["thg_asf_gako"]
    assert len(asked(server)) == 2
    sim.load_asi(RANGE, "gako")
    assert len(asked(server)) == 3 == len(set(asked(server)))
    assert len(tplot.read("thg_asf_gako").times) == 9


def test_no_update_needs_no_server(server, caplog):
    for hour in range(2):
        write(server.root, hour=hour)
    sim.load_asi(RANGE, "gako")
    server.stop()
    before = list(server.asked)
    assert sim.load_asi(RANGE, "gako", suffix="_again", no_update=True) == ["thg_asf_gako_again"]
    once, again = tplot.read("thg_asf_gako"), tplot.read("thg_asf_gako_again")
    np.testing.assert_array_equal(again.times, once.times)
    np.testing.assert_array_equal(again.values, once.values)
    assert server.asked == before and not messages(caplog)
    server.start()  # for the fixture to stop


def test_a_file_that_is_cut_off_is_not_kept_and_comes_later(server, settings, caplog):
    paths = [write(server.root, hour=hour) for hour in range(3)]
    server.cut = {paths[1].name}
    assert sim.load_asi(RANGE, "gako") == ["thg_asf_gako"]
    frames = tplot.read("thg_asf_gako")
    np.testing.assert_array_equal(frames.times, np.concatenate([stamps(0), stamps(2)]))
    (warning,) = messages(caplog)
    assert paths[1].name in warning and paths[0].name not in warning
    local = Path(settings["local_data_dir"])
    assert not list(local.rglob(paths[1].name)) and len(list(local.rglob("*.cdf"))) == 2
    server.cut = set()
    sim.load_asi(RANGE, "gako")
    assert len(tplot.read("thg_asf_gako").times) == 9


def test_a_half_file_on_disk_is_replaced(server, settings, caplog):
    path = write(server.root)
    half = Path(settings["local_data_dir"]) / path.relative_to(server.root)
    half.parent.mkdir(parents=True)
    half.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert sim.load_asi(RANGE, "gako", no_update=True) == []
    (error,) = messages(caplog)
    assert path.name in error and "not a whole CDF" in error
    sim.load_asi(RANGE, "gako")
    np.testing.assert_array_equal(tplot.read("thg_asf_gako").values, pixels(0))
    assert half.read_bytes() == path.read_bytes()


def test_a_server_that_dies_is_asked_again_later(server, caplog):
    paths = [write(server.root, hour=hour) for hour in range(3)]
    server.killed_at = paths[1].name
    assert len(list(hours(RANGE, "gako"))) == 1
    (warning,) = messages(caplog)
    assert paths[1].name in warning and "list of thg_l1_asf_gako of 2011-02 (the server does not answer" in warning
    server.start()
    server.asked.clear()
    assert len(list(hours(RANGE, "gako"))) == 3
    assert sorted(asked(server)) == sorted(path.name for path in paths[1:])


def test_a_missing_hour_is_no_loss_but_is_told(server, caplog):
    for hour in (0, 2):
        write(server.root, hour=hour)
    with caplog.at_level(logging.INFO, "pyspedas_similarity"):
        assert len(list(hours(RANGE, "gako"))) == 2
        assert not messages(caplog, logging.INFO)
        sim.load_asi(RANGE, "gako")
    (told,) = messages(caplog, logging.INFO)
    assert told.endswith("no frames in 1 of 3 files' times: 2011-01-31T23.")


def test_nothing_is_one_warning_and_a_dead_server_one_error(server, caplog):
    assert sim.load_asi(RANGE, "gako") == []
    assert len(messages(caplog)) == 1 and "no data" in messages(caplog)[0]
    assert sim.load_asi(RANGE, "gako", downloadonly=True) == [] and len(messages(caplog)) == 2
    server.stop()
    with pytest.raises(LoadError, match="nothing could be loaded: .*does not answer"):
        sim.load_asi(RANGE, "gako", errors="raise")
    server.start()


def test_time_clip(settings):
    for hour in range(2):
        write(settings["local_data_dir"], hour=hour)
    trange = [stamps(0)[1], stamps(1)[0]]
    sim.load_asi(trange, "gako", no_update=True)
    np.testing.assert_array_equal(tplot.read("thg_asf_gako").times, [*stamps(0)[1:], stamps(1)[0]])
    np.testing.assert_array_equal(tplot.read("thg_asf_gako").values, [*pixels(0)[1:], pixels(1)[0]])
    sim.load_asi(trange, "gako", no_update=True, time_clip=False)
    assert len(tplot.read("thg_asf_gako").times) == 6


def test_support_data_and_names(settings):
    write(settings["local_data_dir"])
    both = sim.load_asi(RANGE, "gako", get_support_data=True, no_update=True, suffix="_s")
    assert both == ["thg_asf_gako_s", "thg_asf_gako_tend_s"]
    ends = tplot.read("thg_asf_gako_tend_s")
    np.testing.assert_array_equal(ends.times, stamps())
    np.testing.assert_array_equal(ends.values, stamps().astype("int64") / 1e9 + 0.985)
    assert sim.load_asi(RANGE, "gako", varnames="thg_asf_gako_tend", no_update=True) == ["thg_asf_gako_tend"]
    assert "thg_asf_gako" not in tplot.loaded_names()
    assert sim.load_asi(RANGE, "gako", varnames=["*"], no_update=True) == ["thg_asf_gako"]
    assert sim.load_asi(RANGE, "gako", varnames=["thg_asf_fsmi"], no_update=True) == []


def test_downloadonly_and_notplot_store_nothing(server, settings):
    paths = [write(server.root, hour=hour) for hour in range(2)]
    files = sim.load_asi(RANGE, "gako", downloadonly=True)
    assert [Path(file).read_bytes() for file in files] == [path.read_bytes() for path in paths]
    assert all(Path(file).is_relative_to(settings["local_data_dir"]) for file in files)
    data = sim.load_asi(RANGE, "gako", suffix="_n", notplot=True)
    assert list(data) == ["thg_asf_gako_n"] and tplot.loaded_names() == []
    np.testing.assert_array_equal(data["thg_asf_gako_n"]["y"], np.concatenate([pixels(0), pixels(1)]))
    times = np.concatenate([stamps(0), stamps(1)])
    np.testing.assert_array_equal(data["thg_asf_gako_n"]["x"], times.astype("int64") / 1e9)


def test_thumbnails_come_by_day(server):
    seconds = (FIRST + np.arange(0, 7000, 1000) * SECOND).astype("int64") / 1e9
    write(server.root, hour=-22, datatype="ast", seconds=seconds, values=pixels(5, n=7))
    assert sim.load_asi(["2011-01-31/22:30", "2011-01-31/23:00"], "gako", datatype="ast") == ["thg_ast_gako"]
    np.testing.assert_array_equal(tplot.read("thg_ast_gako").values, pixels(5, n=7)[2:4])
    assert asked(server) == ["thg_l1_ast_gako_20110131_v01.cdf"]


def test_several_sites_are_several_variables(settings):
    for hour, site in enumerate(("gako", "fsmi")):
        write(settings["local_data_dir"], site=site, hour=hour)
    assert sim.load_asi(RANGE, ["fsmi", "gako", "fsmi"], no_update=True) == ["thg_asf_fsmi", "thg_asf_gako"]
    np.testing.assert_array_equal(tplot.read("thg_asf_fsmi").values, pixels(1))


def test_a_station_that_does_not_exist(caplog):
    with pytest.raises(ArgumentError, match="site: found 'gaco'.* Near names: .*gako"):
        sim.load_asi(RANGE, "gaco", errors="raise")
    assert sim.load_asi(RANGE, "gaco") == [] and len(messages(caplog)) == 1
    for wrong in ("", "../x", "gako/..", None, 5, [], ["gako", "zzzz"]):
        with pytest.raises(ArgumentError, match="site"):
            hours(RANGE, wrong)
    with pytest.raises(ArgumentError, match="datatype: found 'ask'"):
        hours(RANGE, "gako", datatype="ask")
    with pytest.raises(TimeError):
        hours("2011", "gako")


def test_files_that_are_not_what_their_name_says(settings, caplog):
    """One file of another camera, one with another size and one with other times; the good one comes."""
    root = settings["local_data_dir"]
    write(root)
    paths = [
        write(root, hour=1, inside=["fsmi", "gill"]),
        write(root, hour=2, values=pixels(2, size=24)),
        write(root, hour=3, seconds=[0, 0, 0]),
    ]
    (frames,) = hours([FIRST, FIRST + 5 * HOUR], "gako", no_update=True)
    np.testing.assert_array_equal(frames.values, pixels(0))
    (warning,) = messages(caplog)
    reasons = (
        "it holds thg_asf_fsmi, thg_asf_gill, not thg_asf_gako",
        "its frames have 24 x 24",
        "none of its 3 times",
    )
    for path, reason in zip(paths, reasons, strict=True):
        assert f"{path.name} ({reason}" in warning


def test_frames_whose_times_are_missing_or_go_back_are_counted(settings, caplog):
    seconds = stamps(0, 6).astype("int64") / 1e9
    seconds[2], seconds[4] = np.nan, seconds[1]
    write(settings["local_data_dir"], seconds=seconds, values=pixels(0, 6))
    (frames,) = hours(RANGE, "gako", no_update=True)
    np.testing.assert_array_equal(frames.times, stamps(0, 6)[[0, 1, 3, 5]])
    np.testing.assert_array_equal(frames.values, pixels(0, 6)[[0, 1, 3, 5]])
    (warning,) = messages(caplog)
    assert "2 of 6 frames of" in warning


def test_hours_stream_one_by_one(settings, monkeypatch):
    """Six hours take as much memory as two: an hour and what cdflib needs to read 16 frames."""
    monkeypatch.setattr(asi_files, "_BLOCK", 16)
    n, size = 200, 64
    for hour in range(6):
        seconds = stamps(hour, n).astype("int64") / 1e9
        write(settings["local_data_dir"], hour=hour, seconds=seconds, values=np.zeros((n, size, size), np.uint16))
    peaks, given = [], []
    for count in (1, 2, 6):  # the first for what is allocated once
        gc.collect()
        tracemalloc.start()
        walk = hours([FIRST, FIRST + count * HOUR], "gako", no_update=True)
        for frames in walk:
            assert not any(reference() is not None for reference in given)
            given.append(weakref.ref(frames))
            assert frames.values.shape == (n, size, size)
            del frames
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert len(given) == 9
    assert peaks[2] < 1.1 * peaks[1] < 2.2 * n * size * size * 2


def test_a_caller_who_stops_early_is_told_all_the_same(settings, caplog):
    first = write(settings["local_data_dir"])
    write(settings["local_data_dir"], hour=1)
    first.write_bytes(first.read_bytes()[:-40])
    walk = themis_asi.segments(RANGE, "gako", no_update=True)
    np.testing.assert_array_equal(next(walk).distribution.times, stamps(1))
    walk.close()
    (warning,) = messages(caplog)
    assert first.name in warning


def test_find_similar_streams(server, monkeypatch):
    hours = [pixels(hour, 20, size=32) for hour in range(3)]
    hours[2][7] = hours[1][4]
    for hour, values in enumerate(hours):
        write(server.root, hour=hour, seconds=stamps(hour, 20).astype("int64") / 1e9, values=values)
    monkeypatch.setattr(themis_asi, "variables", lambda *_: pytest.fail("all hours were loaded at once"))
    found = sim.find_similar(
        instrument="themis_asi",
        probe="gako",
        trange=RANGE,
        like=stamps(1, 20)[4],
        encoder="pixels",
        k=1,
        exclude=10,
        errors="raise",
    )
    assert found == ["thg_asf_gako_similar", "thg_asf_gako_similarity"]
    table = sim.intervals(found)
    assert table["peak"].datetime64[0] == stamps(2, 20)[7] and table["site"][0] == "gako"
    assert table["score"][0] == pytest.approx(1, abs=1e-5)
    assert len(tplot.read(found[-1]).times) == 60 and "thg_asf_gako" not in tplot.loaded_names()


def test_a_skymap_goes_into_the_attributes(settings):
    write(settings["local_data_dir"])

    def sky(site="gako", size=16):
        pixels, corners = np.arange(size**2).reshape(size, size), np.zeros((1, size + 1, size + 1))
        return Skymap(62.4, -145.2, pixels, pixels, site, "themis20", np.array([110.0]), corners, corners)

    given = sky()
    sim.load_asi(RANGE, "gako", no_update=True, skymap=given)
    frames = tplot.read("thg_asf_gako")
    np.testing.assert_array_equal(frames.attributes["skymap"].azimuth, given.azimuth[::-1, ::-1])
    about = frames.attributes["data_att"]
    assert (about["first_row"], about["first_column"]) == ("south", "west")
    for wrong, reason in ((sky("fsmi"), "of fsmi, not of gako"), (sky(size=17), r"\(17, 17\) pixels")):
        with pytest.raises(ArgumentError, match=reason):
            sim.load_asi(RANGE, "gako", no_update=True, skymap=wrong, errors="raise")


def test_the_range_that_is_given_is_not_changed(settings):
    write(settings["local_data_dir"])
    trange = list(RANGE)
    assert sim.load_asi(trange, "gako", no_update=True) == ["thg_asf_gako"]
    assert trange == RANGE
