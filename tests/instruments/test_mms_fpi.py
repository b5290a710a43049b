"""MMS by time range: from a server and from a local tree, with everything that goes wrong on the way."""

import builtins
import gc
import sys
import tracemalloc
import weakref
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from cdflib import cdfepoch

from pyspedas_similarity.errors import ArgumentError, LoadError, TimeError
from pyspedas_similarity.instruments import mms_fpi
from pyspedas_similarity.instruments import segments as pieces
from pyspedas_similarity.instruments.file_checks import check_cdf
from pyspedas_similarity.instruments.segments import after, concatenate, join
from pyspedas_similarity.tplot import Variable
from tests import archive_server, fpi_files

START = np.datetime64("2020-01-31T23:59:50", "ns")  # the range crosses midnight and the end of a month
STEP = np.timedelta64(30, "ms")
SECOND = np.timedelta64(1, "s")


def simulated(start=START, n=40, step=STEP, data_rate="brst", shape=(4, 2, 8), seed=0, probe="1"):
    """Simulated numbers without physics, with what a file of FPI and one of FGM hold."""
    rng = np.random.default_rng(seed)
    times = start + np.arange(n) * step
    field_step = step / 4
    field_times = np.arange(times[0] - SECOND, times[-1] + SECOND, field_step)
    azimuth, polar, energy = shape
    distribution = rng.uniform(1e-28, 1e-26, (n, *shape)).astype(np.float32)
    return SimpleNamespace(
        times=times, species="electron", data_rate=data_rate, probe=probe, seed=seed,
        azimuth=rng.uniform(0, 360, (n, azimuth)), polar=np.linspace(5, 175, polar),
        energy_ev=np.geomspace(10, 3e4, energy) * rng.uniform(0.9, 1, (n, 1)),
        distribution=distribution, error=distribution / 10, omni=rng.uniform(1, 2, (n, energy)),
        density=rng.uniform(1, 20, n), velocity=rng.normal(0, 100, (n, 3)), temperature=rng.uniform(1, 9, (n, 3, 3)),
        temperature_parallel=rng.uniform(50, 90, n), temperature_perpendicular=rng.uniform(50, 90, n),
        error_flags=np.arange(n), parity=np.arange(n) % 2, startdelphi_count=np.arange(n).astype(np.uint16),
        field_times=field_times, field=rng.normal(0, 20, (len(field_times), 4)),
    )  # fmt: skip


@pytest.fixture
def settings(tmp_path, monkeypatch):
    """pyspedas's settings for MMS, with a local tree of the test's own, and a server that fails at once."""
    from pyspedas.projects.mms.mms_load_data_spdf import CONFIG

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


def served(server, *events, segments=1):
    for event in events:
        fpi_files.write_tree(server.root, event, segments=segments)
    return archive_server.as_spdf(server.root)


def span(*events):
    return [min(event.times[0] for event in events), max(event.times[-1] for event in events)]


def collected(trange, **keywords):
    return list(mms_fpi.segments_electrons(trange, **keywords))


def times_of(segments):
    return np.concatenate([segment.distribution.times for segment in segments])


def warnings_of(caplog):
    return [record.getMessage() for record in caplog.records if record.name == pieces.logger.name]


def files_below(root, kind="des-dist"):
    return sorted(path for path in Path(root).rglob("*.cdf") if kind in path.name)


def test_a_range_over_several_files_arrives_complete(server, settings, caplog):
    event = simulated(n=400)
    served(server, event, segments=6)
    segments = collected(span(event))
    whole = join(segments)
    assert [len(segment.distribution.times) for segment in segments] == [67, 67, 67, 67, 66, 66]
    distribution, beside = whole.distribution, whole.companions
    assert distribution.name == "mms1_des_dist_brst" and distribution.units == "s^3/cm^6"
    np.testing.assert_array_equal(distribution.times, event.times)
    np.testing.assert_array_equal(distribution.values, event.distribution)
    np.testing.assert_array_equal(distribution.coordinates["v1"], event.azimuth.astype(np.float32))
    np.testing.assert_array_equal(distribution.coordinates["v2"], event.polar.astype(np.float32))
    np.testing.assert_array_equal(distribution.coordinates["v3"], event.energy_ev.astype(np.float32))
    np.testing.assert_array_equal(beside["error"].values, event.error)
    np.testing.assert_array_equal(beside["flags"].values, event.error_flags)
    assert beside["field"].name == "mms1_fgm_b_dmpa_brst_l2"
    within = (event.field_times >= event.times[0] - SECOND) & (event.field_times < event.times[-1] + SECOND)
    np.testing.assert_array_equal(beside["field"].times, event.field_times[within])
    np.testing.assert_array_equal(beside["field"].values, event.field[within].astype(np.float32))
    for key in ("velocity", "density", "temperature_parallel", "temperature_perpendicular"):
        np.testing.assert_array_equal(beside[key].times, event.times)
        np.testing.assert_array_equal(beside[key].values, getattr(event, key).astype(np.float32))
    assert beside["velocity"].name == "mms1_des_bulkv_dbcs_brst"
    assert not warnings_of(caplog)
    # Every file is asked for once, and every list.
    assert len(server.asked) == len(set(server.asked) - {"01", "02"}) + 6
    assert len(files_below(server.root, "_v")) == len(files_below(settings["local_data_dir"], "_v")) == 18


def test_each_segment_brings_field_and_moments_from_around_it(server, monkeypatch):
    event = simulated(n=400)
    served(server, event, segments=3)
    opened, read = [], mms_fpi._Reader._read
    monkeypatch.setattr(mms_fpi._Reader, "_read", lambda self, *file: opened.append(file[0].name) or read(self, *file))
    for segment in collected(span(event)):
        first, last = segment.distribution.times[[0, -1]]
        for key in ("field", "velocity"):
            times = segment.companions[key].times
            assert times[0] >= first - SECOND and times[-1] <= last + SECOND
        assert segment.companions["field"].times[0] < first and segment.companions["field"].times[-1] > last
        np.testing.assert_array_equal(segment.companions["error"].times, segment.distribution.times)
    assert len(opened) == len(set(opened)) == 6  # those that two segments need are kept


def test_only_samples_of_the_range_come(server):
    event = simulated(n=200)
    served(server, event, segments=4)
    trange = [event.times[70], event.times[130]]
    np.testing.assert_array_equal(times_of(collected(trange)), event.times[70:131])
    assert collected([event.times[70] + STEP / 4, event.times[70] + STEP / 2]) == []
    # The range begins in the same second as a file does, but before its first sample.
    second = event.times[50].astype("datetime64[s]").astype("datetime64[ns]")
    expected = event.times[(event.times >= second) & (event.times <= event.times[60])]
    np.testing.assert_array_equal(times_of(collected([second, event.times[60]])), expected)


def test_samples_that_two_files_share_come_once(server):
    first, second = simulated(n=100, seed=1), simulated(start=START + 60 * STEP, n=100, seed=2)
    served(server, first, second)
    segments = collected(span(first, second))
    whole = join(segments).distribution
    np.testing.assert_array_equal(times_of(segments), START + np.arange(160) * STEP)
    np.testing.assert_array_equal(whole.values, np.concatenate([first.distribution, second.distribution[40:]]))


def test_times_without_data_are_silent(server, caplog):
    early, late = simulated(n=50), simulated(start=START + np.timedelta64(40, "m"), n=50, seed=1)
    served(server, early, late)
    segments = collected([START - np.timedelta64(90, "D"), START + np.timedelta64(20, "D")])
    np.testing.assert_array_equal(times_of(segments), np.concatenate([early.times, late.times]))
    assert collected([START + np.timedelta64(10, "m"), START + np.timedelta64(20, "m")]) == []
    assert collected(["2018-01-01", "2018-01-02"]) == []
    assert not warnings_of(caplog)


def stamp_of(event):
    return str(event.times[0].astype("datetime64[s]"))


def name_of(event, kind="des-dist"):
    return f"{kind}_{''.join(character for character in stamp_of(event) if character.isdigit())}"


def five_events(server):
    events = [simulated(start=START + k * np.timedelta64(5, "m"), n=30, seed=k) for k in range(5)]
    served(server, *events)
    return events


def test_a_server_that_dies_and_comes_back_loses_one_segment(server, monkeypatch, caplog):
    events = five_events(server)
    server.killed_at = name_of(events[2])
    failure = pieces.FileTree._to_load_error

    def comes_back(*arguments):
        found = failure(*arguments)
        if "does not answer" in str(found):  # to the second try, after half of the file
            server.start()
        return found

    monkeypatch.setattr(pieces.FileTree, "_to_load_error", comes_back)
    kept = [event for event in events if event is not events[2]]
    np.testing.assert_array_equal(times_of(collected(span(*events))), np.concatenate([e.times for e in kept]))
    (warning,) = warnings_of(caplog)
    assert f"mms1 des {stamp_of(events[2])} (" in warning and "does not answer" in warning
    assert "1 part of" in warning and not any(f"{stamp_of(event)} (" in warning for event in kept)


def test_a_dead_server_leaves_what_is_here(server, settings, caplog):
    events = five_events(server)
    collected(span(*events[4:]))  # and the file before it, which may reach into the range
    server.killed_at = name_of(events[1])
    segments = collected(span(*events))
    kept = np.concatenate([event.times for event in (events[0], *events[3:])])
    np.testing.assert_array_equal(times_of(segments), kept)
    (warning,) = warnings_of(caplog)
    assert stamp_of(events[1]) in warning and stamp_of(events[2]) in warning
    assert all("field" in segment.companions and "velocity" in segment.companions for segment in segments)
    # Half of the file was sent, and nothing of it is left.
    assert len(files_below(settings["local_data_dir"])) == 3
    # Now also the lists cannot be had: what is here is used all the same, and that is said.
    caplog.clear()
    np.testing.assert_array_equal(times_of(collected(span(*events))), kept)
    (warning,) = warnings_of(caplog)
    assert "list of mms1_fpi_brst_l2_des-dist of 2020-01" in warning


def test_a_server_that_is_busy_for_a_moment_is_asked_again(server, caplog):
    events = five_events(server)
    names = [path.name for path in files_below(server.root)]
    server.busy = {names[1]: 2, names[3]: 99}
    kept = np.concatenate([event.times for event in events if event is not events[3]])
    np.testing.assert_array_equal(times_of(collected(span(*events))), kept)
    (warning,) = warnings_of(caplog)
    assert f"{stamp_of(events[3])} (" in warning and "HTTP status 503" in warning and "1 part of" in warning


def test_a_server_that_stays_away_is_not_asked_for_ever(server, caplog):
    events = [simulated(start=START + k * np.timedelta64(5, "m"), n=3, seed=k) for k in range(14)]
    served(server, *events)
    server.killed_at = name_of(events[1])
    np.testing.assert_array_equal(times_of(collected(span(*events))), events[0].times)
    (warning,) = warnings_of(caplog)
    assert "failed 5 times in a row" in warning and "and 3 more" in warning
    assert server.asked[-1].startswith(f"mms1_fpi_brst_l2_{name_of(events[1])}")


def test_nothing_but_failures_is_an_error(settings, caplog):
    walk = mms_fpi.segments_electrons(["2020-01-31", "2020-02-02"], probe=["1", "2"])
    with pytest.raises(LoadError, match="mms1_fpi_brst_l2_des-dist of 2020-01 .*mms2_fpi.*no_update"):
        next(walk)
    assert not warnings_of(caplog)


def test_without_updates_the_files_of_the_first_run_are_found(server, settings, caplog):
    event = simulated(n=200)
    served(server, event, segments=3)
    first = join(collected(span(event)))
    server.stop()
    asked = len(server.asked)
    again = join(collected(span(event), no_update=True))
    np.testing.assert_array_equal(again.distribution.values, first.distribution.values)
    np.testing.assert_array_equal(again.companions["field"].values, first.companions["field"].values)
    assert len(server.asked) == asked and not warnings_of(caplog)
    server.start()


def test_what_is_downloaded_is_found_by_pyspedas_and_read_alike(server, settings):
    from pyspedas import get_data
    from pyspedas.projects import mms

    event = simulated(start=START + np.timedelta64(15, "s"), n=200)
    served(server, event, segments=2)
    ours = join(collected(span(event)))
    trange = [str(event.times[0]), str(event.times[-1] + STEP)]
    options = dict(trange=trange, probe="1", data_rate="brst", no_update=True)
    mms.fpi(datatype=["des-dist", "des-moms"], **options)
    mms.fgm(**options)
    names = {"velocity": "mms1_des_bulkv_dbcs_brst", "error": "mms1_des_disterr_brst"}
    for variable in (ours.distribution, *(ours.companions[key] for key in names)):
        theirs = get_data(variable.name, dt=True)
        np.testing.assert_array_equal(variable.times, theirs.times)
        np.testing.assert_array_equal(variable.values, theirs.y)
        for key, table in variable.coordinates.items():
            np.testing.assert_array_equal(table, getattr(theirs, key))
    field = get_data("mms1_fgm_b_dmpa_brst_l2", dt=True)
    near = np.searchsorted(field.times, ours.companions["field"].times)  # of samples in two files they keep both
    np.testing.assert_array_equal(ours.companions["field"].values, field.y[near])
    theirs = get_data(ours.distribution.name, metadata=True)["data_att"]
    assert ours.distribution.attributes["data_att"]["units"] == theirs["units"]


def test_files_that_pyspedas_brought_from_spdf_are_found(settings):
    event = simulated(n=50)
    archive_server.as_spdf(fpi_files.write_tree(settings_root(settings), event)[0].parents[8])
    assert files_below(settings["local_data_dir"])[0].parent.name == "01"
    assert files_below(settings["local_data_dir"])[0].parent.parent.name == "2020"
    np.testing.assert_array_equal(times_of(collected(span(event), no_update=True)), event.times)


def settings_root(settings):
    return Path(settings["local_data_dir"])


def test_files_that_are_cut_off_are_not_kept(server, settings, caplog):
    events = five_events(server)
    names = {name_of(event): event for event in events}
    on_server = {key: path for path in files_below(server.root) for key in names if key in path.name}
    short = on_server[name_of(events[1])]
    content = short.read_bytes()
    short.write_bytes(content[: len(content) * 2 // 3])  # whole for the server, but its CDF goes on
    server.cut = {on_server[name_of(events[2])].name}
    server.missing = {on_server[name_of(events[3])].name}
    kept = np.concatenate([events[0].times, events[4].times])
    np.testing.assert_array_equal(times_of(collected(span(*events))), kept)
    (warning,) = warnings_of(caplog)
    assert warning.count("not a whole CDF") == 2 and warning.count("HTTP status 404") == 1
    assert len(files_below(settings["local_data_dir"])) == 2
    assert not list(Path(settings["local_data_dir"]).rglob(".download-*"))
    short.write_bytes(content)
    server.cut, server.missing = set(), set()
    np.testing.assert_array_equal(times_of(collected(span(*events))), np.concatenate([e.times for e in events]))


def test_files_of_others_are_not_kept(server, settings, caplog):
    """One has the samples of another time, one those of another spacecraft."""
    events = five_events(server)
    paths = files_below(server.root)
    paths[1].write_bytes(paths[2].read_bytes())
    (elsewhere, *_) = fpi_files.write_tree(server.root.parent / "other", events[3], probe="2")
    paths[3].write_bytes(elsewhere.read_bytes())
    kept = np.concatenate([events[k].times for k in (0, 2, 4)])
    np.testing.assert_array_equal(times_of(collected(span(*events))), kept)
    (warning,) = warnings_of(caplog)
    assert "its samples begin at 2020-02-01T00:09:50" in warning and "it does not hold mms1_des_dist_brst" in warning
    assert {path.name for path in files_below(settings["local_data_dir"])} == {paths[k].name for k in (0, 2, 4)}


def test_a_broken_file_here_is_told_or_replaced(server, settings, caplog):
    events = five_events(server)
    collected(span(*events))
    broken = files_below(settings["local_data_dir"])[1]
    broken.write_bytes(broken.read_bytes()[:-600])
    kept = np.concatenate([event.times for event in events if event is not events[1]])
    np.testing.assert_array_equal(times_of(collected(span(*events), no_update=True)), kept)
    (warning,) = warnings_of(caplog)
    assert stamp_of(events[1]) in warning and broken.name in warning
    server.stop()
    np.testing.assert_array_equal(times_of(collected(span(*events))), kept)
    assert broken.exists()  # nothing is taken away before something better is there
    server.start()
    np.testing.assert_array_equal(times_of(collected(span(*events))), np.concatenate([e.times for e in events]))
    check_cdf(broken, contents=True)


def test_bytes_that_are_wrong_inside_a_file_lose_only_that_segment(settings, caplog):
    events = [simulated(start=START + k * np.timedelta64(5, "m"), n=30, seed=k) for k in range(3)]
    for event in events:
        fpi_files.write_tree(settings_root(settings), event)
    broken = files_below(settings["local_data_dir"])[1]
    content = bytearray(broken.read_bytes())
    content[len(content) // 3 : len(content) * 2 // 3] = bytes(len(content) * 2 // 3 - len(content) // 3)
    broken.write_bytes(content)
    kept = np.concatenate([events[0].times, events[2].times])
    np.testing.assert_array_equal(times_of(collected(span(*events), no_update=True)), kept)
    (warning,) = warnings_of(caplog)
    assert f"{stamp_of(events[1])} (" in warning and "is of kind 0" in warning


def test_a_field_that_cannot_be_had_leaves_the_distributions(server, caplog):
    events = five_events(server)
    before = events[1].times[0] - SECOND
    server.missing = {path.name for path in files_below(server.root, f"_{stamp_digits(before)}_v5")}
    assert len(server.missing) == 1
    segments = collected(span(*events))
    assert ["field" in segment.companions for segment in segments] == [True, False, True, True, True]
    assert all("velocity" in segment.companions for segment in segments)
    (warning,) = warnings_of(caplog)
    assert f"field of mms1 des {stamp_of(events[1])} (" in warning


def test_a_field_after_the_segment_that_cannot_be_had_is_no_loss_of_this_segment(server, caplog):
    early = simulated(n=50)
    late = simulated(start=early.times[-1] + np.timedelta64(1900, "ms"), n=50, seed=1)
    served(server, early, late)
    server.missing = {files_below(server.root, "fgm")[1].name}
    segments = collected(span(early, late))
    assert segments[0].companions["field"].times[-1] > early.times[-1]
    (warning,) = warnings_of(caplog)
    assert f"field of mms1 des {stamp_of(late)} (" in warning and "1 part of" in warning


def test_one_sample_has_its_field(server):
    event = simulated(n=50)
    event.field_times = event.field_times + np.timedelta64(1, "ms")  # at no time of a distribution
    served(server, event)
    (segment,) = collected([event.times[20], event.times[20]])
    assert segment.distribution.times.tolist() == [event.times[20].astype("int64")]
    times = segment.companions["field"].times
    assert times[0] < event.times[20] < times[-1] and not np.isin(event.times[20], times)


def test_a_field_of_the_neighbors_alone_is_none(server, caplog):
    event = simulated(n=300)
    served(server, event, segments=3)
    for path in (files_below(server.root, "fgm")[1], files_below(server.root, "des-moms")[1]):
        path.unlink()
    companions = [segment.companions for segment in collected(span(event))]
    # The files of the field overlap by a second on each side, those of the moments do not.
    assert ["field" in one for one in companions] == [True, True, True]
    assert ["velocity" in one for one in companions] == [True, False, True]
    assert list(companions[0]) == [
        *("velocity", "density", "temperature_parallel", "temperature_perpendicular"),
        *("field", "error", "flags"),
    ]
    assert not warnings_of(caplog)


def stamp_digits(time):
    return "".join(character for character in str(time.astype("datetime64[s]")) if character.isdigit())


def test_an_archive_without_field_or_moments_is_no_failure(server, caplog):
    event = simulated(n=50)
    served(server, event)
    for path in [*files_below(server.root, "des-moms"), *files_below(server.root, "fgm")]:
        path.unlink()
    (segment,) = collected(span(event))
    assert set(segment.companions) == {"error", "flags"}
    assert not warnings_of(caplog)


def test_flagged_field_and_fill_values_are_nan(settings, monkeypatch):
    event = simulated(n=50)
    event.distribution[3, 1, 1, 2] = -1e31
    event.flags = np.arange(len(event.field_times)) % 7 == 0
    vary = fpi_files._File.vary

    def with_flags(self, name, values, *rest, **keywords):
        vary(self, name, event.flags.astype(np.uint32) if "fgm_flag" in name else values, *rest, **keywords)

    monkeypatch.setattr(fpi_files._File, "vary", with_flags)
    fpi_files.write_tree(settings_root(settings), event)
    (segment,) = collected(span(event), no_update=True)
    assert np.argwhere(np.isnan(segment.distribution.values)).tolist() == [[3, 1, 1, 2]]
    field = segment.companions["field"]
    flagged = event.flags[np.isin(event.field_times, field.times)]
    np.testing.assert_array_equal(np.isnan(field.values), np.repeat(flagged[:, None], 4, axis=1))


def written(settings, monkeypatch, event, changed):
    """Write the files of an event with other stamps (TT2000, nanoseconds) than its own."""
    write = fpi_files._File._write

    def with_others(self, name, values, *rest, **keywords):
        write(self, name, changed(values) if name == "Epoch" else values, *rest, **keywords)

    monkeypatch.setattr(fpi_files._File, "_write", with_others)
    fpi_files.write_tree(settings_root(settings), event)


@pytest.mark.parametrize("shift_s", [-1, 10_000])
def test_field_stamps_that_go_back_or_ahead_in_a_file_lose_their_own_samples(settings, monkeypatch, caplog, shift_s):
    event = simulated(n=50)

    def changed(stamps):
        if len(stamps) == len(event.field_times):
            stamps = stamps.copy()
            stamps[200:205] += shift_s * 10**9
        return stamps

    written(settings, monkeypatch, event, changed)
    (segment,) = collected(span(event), no_update=True)
    np.testing.assert_array_equal(segment.distribution.times, event.times)
    kept = np.delete(event.field_times, slice(200, 205))
    found = segment.companions["field"].times
    np.testing.assert_array_equal(found, kept[(kept >= found[0]) & (kept <= found[-1])])
    (warning,) = warnings_of(caplog)
    assert "5 of" in warning and "fgm" in warning and "go back" in warning


def has_leap_seconds() -> bool:
    """Return False for a cdflib that reads 2016-12-31T23:59:60 as 23:01:00, such as 1.3.0; such files are refused."""
    inside = int(cdfepoch.compute_tt2000([2016, 12, 31, 23, 59, 59, 500, 0, 0])) + 10**9
    return cdfepoch.to_datetime(np.array([inside]))[0] > np.datetime64("2016-12-31T23:59")


@pytest.mark.skipif(not has_leap_seconds(), reason="this cdflib takes a leap second for another hour")
def test_samples_inside_a_leap_second_are_lost_and_no_others(settings, monkeypatch, caplog):
    start = np.datetime64("2016-12-31T23:59:59.2", "ns")
    event = simulated(start=start, n=100)
    first = int(cdfepoch.compute_tt2000([2016, 12, 31, 23, 59, 59, 200, 0, 0]))

    def changed(stamps):  # the clock runs on through the second that is inserted
        begin = event.times[0] if len(stamps) == 100 else event.field_times[0]
        steps = event.times if len(stamps) == 100 else event.field_times
        return first + int((begin - start).astype(np.int64)) + (steps - begin).astype(np.int64)

    written(settings, monkeypatch, event, changed)
    second, after_start = np.timedelta64(1, "s"), (event.times - start) / np.timedelta64(1, "s")
    expected = np.concatenate([event.times[after_start < 0.8], event.times[after_start >= 1.8] - second])
    (segment,) = collected([start, start + 5 * second], no_update=True)
    np.testing.assert_array_equal(segment.distribution.times, expected)
    assert (np.diff(segment.companions["field"].times) > np.timedelta64(0, "ns")).all()
    assert any("inside a leap second" in one for one in warnings_of(caplog))


def test_the_newest_version_of_each_file_is_used(settings, monkeypatch):
    event, old = simulated(n=50), simulated(n=50, seed=7)
    later = simulated(start=START + np.timedelta64(5, "m"), n=50, seed=8)
    for version, one in (("v3.10.0", event), ("v3.9.0", old), ("v3.9.0", later)):
        monkeypatch.setattr(fpi_files, "FPI_VERSION", version)
        fpi_files.write_tree(settings_root(settings), one)
    segments = collected(span(event, later), no_update=True)
    expected = np.concatenate([event.distribution, later.distribution])
    np.testing.assert_array_equal(join(segments).distribution.values, expected)


def test_fast_data_come_with_the_survey_field(server):
    step = np.timedelta64(4500, "ms")
    event = simulated(start=np.datetime64("2020-01-01T02:00:03", "ns"), n=90, step=step, data_rate="fast")
    served(server, event)
    (segment,) = collected(span(event), data_rate="fast")
    np.testing.assert_array_equal(segment.distribution.times, event.times)
    np.testing.assert_array_equal(segment.distribution.values, event.distribution)
    assert segment.companions["field"].name == "mms1_fgm_b_dmpa_srvy_l2"
    assert segment.companions["velocity"].name == "mms1_des_bulkv_dbcs_fast"
    # The file that began before the range is looked into as well.
    later = collected([event.times[80], event.times[85]], data_rate="fast")
    np.testing.assert_array_equal(times_of(later), event.times[80:86])


def test_several_probes_come_one_after_another(server):
    events = [simulated(n=20, seed=k, probe=str(k)) for k in (1, 3)]
    served(server, *events)
    segments = collected(span(*events), probe=[3, "1", 3])
    assert [segment.distribution.name[:4] for segment in segments] == ["mms3", "mms1"]
    np.testing.assert_array_equal(segments[0].distribution.values, events[1].distribution)
    (ions,) = [list(mms_fpi.segments_ions(span(*events), probe=1))]
    assert ions == []


def test_a_long_file_comes_in_parts(settings, monkeypatch):
    monkeypatch.setattr(mms_fpi, "_MOST_SAMPLES", 16)
    event = simulated(n=100)
    fpi_files.write_tree(settings_root(settings), event)
    segments = collected(span(event), no_update=True)
    assert max(len(segment.distribution.times) for segment in segments) <= 16 and len(segments) == 7
    whole = join(segments)
    np.testing.assert_array_equal(whole.distribution.values, event.distribution)
    np.testing.assert_array_equal(whole.companions["velocity"].times, event.times)


def test_an_hour_takes_no_more_memory_than_a_few_minutes(server, monkeypatch):
    """Twelve burst files in an hour, of which one segment at a time is in memory."""
    n, shape = 48, (32, 16, 32)
    events = [simulated(start=START + k * np.timedelta64(5, "m"), n=n, seed=k) for k in range(12)]
    for event in events:
        event.distribution = event.error = np.broadcast_to(np.float32(1e-27), (n, *shape))
        event.azimuth, event.polar, event.energy_ev = np.zeros((n, 32)), np.zeros(16), np.ones((n, 32))
    served(server, *events)
    collected(span(events[0]))  # what is allocated once, at the first use
    given, read = [], mms_fpi._SamplesFile.segment

    def alone(self, *arguments):
        assert not any(reference() is not None for reference in given)
        return read(self, *arguments)

    monkeypatch.setattr(mms_fpi._SamplesFile, "segment", alone)
    peaks = []
    for last in (3, 12):
        gc.collect()
        given.clear()
        tracemalloc.start()
        for segment in mms_fpi.segments_electrons(span(*events[:last])):
            given.append(weakref.ref(segment.distribution))
            assert segment.distribution.values.shape == (n, *shape)
            del segment
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert len(given) == last
    assert peaks[1] < 1.1 * peaks[0]
    assert peaks[1] < 3 * (n * np.prod(shape) * 4 * 2)  # of a segment, distributions and errors


def test_the_tplot_store_stays_as_it_was(server):
    import pyspedas.tplot_tools as store
    from pyspedas import store_data

    event = simulated(n=80)
    served(server, event, segments=2)
    for name in ("mine", "mms1_fgm_b_dmpa_brst_l2", "mms1_fgm_flag_brst_l2", "mms1_des_dist_brst"):
        store_data(name, data={"x": [1.0, 2.0], "y": [3.0, 4.0]})
    before = dict(store.data_quants)
    for _ in mms_fpi.segments_electrons(span(event)):
        assert dict(store.data_quants) == before
    assert all(store.data_quants[name] is variable for name, variable in before.items())
    assert list(store.data_quants) == list(before)


def test_nobody_is_asked_for_a_password(server, monkeypatch, tmp_path):
    monkeypatch.setattr(builtins, "input", lambda *_: pytest.fail("input() was called"))
    monkeypatch.setattr("getpass.getpass", lambda *_: pytest.fail("getpass() was called"))
    monkeypatch.setattr(sys, "stdin", None)
    monkeypatch.setenv("HOME", str(tmp_path))
    event = simulated(n=20)
    served(server, event)
    assert len(collected(span(event))) == 1
    assert len(collected(span(event), no_update=True)) == 1
    assert len(collected(span(event), no_update=True, spdf=False)) == 1
    with pytest.raises(ArgumentError, match="password"):
        mms_fpi.segments_electrons(span(event), spdf=False)
    assert not list(tmp_path.glob("mms_auth_info*"))


def test_wrong_arguments_are_told_at_the_call():
    trange = ["2020-01-01", "2020-01-02"]
    for probe in ("5", 0, [], ["1", "x"]):
        with pytest.raises(ArgumentError, match="probe"):
            mms_fpi.segments_electrons(trange, probe=probe)
    with pytest.raises(ArgumentError, match="data_rate: found 'srvy'"):
        mms_fpi.segments_ions(trange, data_rate="srvy")
    for wrong in (["2020-01-02", "2020-01-01"], "2020-01-01", ["yesterday", "today"], []):
        with pytest.raises(TimeError):
            mms_fpi.segments_ions(wrong)
    with pytest.raises(TypeError, match="level"):
        mms_fpi.segments_ions(trange, level="l2")


def test_a_caller_who_stops_early_is_told_all_the_same(server, caplog):
    events = five_events(server)
    server.missing = {path.name for path in files_below(server.root) if name_of(events[0]) in path.name}
    walk = mms_fpi.segments_electrons(span(*events))
    np.testing.assert_array_equal(next(walk).distribution.times, events[1].times)
    assert not warnings_of(caplog)
    walk.close()
    assert stamp_of(events[0]) in warnings_of(caplog)[0]


def test_the_range_that_is_given_is_not_changed(server):
    event = simulated(n=20)
    served(server, event)
    trange = [str(time) for time in span(event)]
    before = list(trange)
    assert len(collected(trange)) == 1
    assert trange == before


def test_load_puts_everything_into_the_store(server):
    from pyspedas_similarity import tplot

    event = simulated(n=80)
    served(server, event, segments=2)
    names = mms_fpi.load_electrons(span(event), suffix="_mine")
    assert names[0] == "mms1_des_dist_brst_mine" and "mms1_fgm_b_dmpa_brst_l2_mine" in names
    loaded = tplot.read(names[0])
    np.testing.assert_array_equal(loaded.times, event.times)
    np.testing.assert_array_equal(loaded.values, event.distribution)
    np.testing.assert_array_equal(loaded.coordinates["v3"], event.energy_ev.astype(np.float32))
    assert loaded.units == "s^3/cm^6"
    assert mms_fpi.load_electrons(["2018-01-01", "2018-01-02"]) == []


def test_after_keeps_what_ascends():
    times = START + np.array([0, 2, 2, 1, 5, 3, 6]) * SECOND
    times[4] = np.datetime64("NaT", "ns")
    assert after(times).tolist() == [0, 1, 5, 6]
    assert after(times, START + 2 * SECOND).tolist() == [5, 6]
    assert after(times[:0]).tolist() == []


def test_concatenate_keeps_tables_that_do_not_change():
    parts = [
        Variable("x", START + np.arange(k, k + 4) * SECOND, np.arange(k, k + 4.0), {"v": np.arange(3)}) for k in (0, 3)
    ]
    whole = concatenate(parts)
    assert whole.values.tolist() == [0, 1, 2, 3, 4, 5, 6] and whole.coordinates["v"].tolist() == [0, 1, 2]


def test_the_length_of_real_files_is_known(real_data, tmp_path):
    for path in real_data("mms").glob("*.cdf"):
        assert len(check_cdf(path, contents=True).names) > 9
        for size in (0, 5, 100, 400, path.stat().st_size - 17):
            cut = tmp_path / path.name
            cut.write_bytes(path.read_bytes()[:size])
            with pytest.raises(LoadError, match="not a whole CDF"):
                check_cdf(cut)
    with pytest.raises(LoadError, match="none.cdf"):
        check_cdf(tmp_path / "none.cdf")
