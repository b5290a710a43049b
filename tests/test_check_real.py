"""The check on measured data, on simulated files at a server on loopback in the archives' layout."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from pyspedas_similarity import check_real, cli
from pyspedas_similarity.check_real import (
    CHANGED,
    NEW,
    RECORD,
    SAME,
    AuroraPlan,
    ElectronPlan,
    Verdict,
    Window,
    checked_files,
    share_as_similar,
)
from pyspedas_similarity.errors import ArgumentError, LoadError
from pyspedas_similarity.instruments import segments
from pyspedas_similarity.simulate.allsky import simulate_nights
from pyspedas_similarity.simulate.fpi import simulate_event
from pyspedas_similarity.simulate.stations import NightOptions
from tests import archive_server, asi_tree, fpi_files

ELECTRONS = ElectronPlan(query="2015-10-16/13:07:02.0", around_s=3.0, tolerance_s=0.5)
AURORA = AuroraPlan(near_s=90.0)
HOUR = np.datetime64("2015-03-18T07:00", "ns")


def write_electrons(root: Path, with_region: tuple[bool, ...]) -> None:
    """Write six seconds around each encounter, with or without a diffusion region."""
    for number, (time, edr) in enumerate(zip(ELECTRONS.times, with_region, strict=True)):
        start = time - np.timedelta64(3, "s")
        event = simulate_event(300 + number, start=start, duration_s=6.0, probe=ELECTRONS.probe, edr=edr)
        fpi_files.write_tree(root, event)
    archive_server.as_spdf(root)


def write_night(root: Path, seeds: tuple[int, int]) -> None:
    """Write an hour of both stations; with two seeds they see different nights."""
    for site, seed in zip(AURORA.sites, seeds, strict=True):
        options = NightOptions(conditions=("clear",))
        night = simulate_nights(HOUR, 3600.0, seed, AURORA.sites, cadence_s=10.0, size=64, options=options)[site]
        asi_tree.write_frames(root, site, HOUR, night.times.astype("int64") / 1e9, night.frames)


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    root = tmp_path_factory.mktemp("archive")
    write_electrons(root, (True,) * 4)
    write_night(root, (4, 4))
    return root


@pytest.fixture
def settings(monkeypatch):
    """pyspedas's settings with a server that refuses connections."""
    from pyspedas.projects.mms.mms_load_data_spdf import CONFIG as MMS
    from pyspedas.projects.themis.config import CONFIG as THEMIS

    for config in (MMS, THEMIS):
        monkeypatch.setitem(config, "remote_data_dir", "http://127.0.0.1:9/")
    monkeypatch.setattr(segments, "_BACKOFF_S", 0.0)
    monkeypatch.setattr(check_real, "ElectronPlan", lambda: ELECTRONS)  # what the command runs
    monkeypatch.setattr(check_real, "AuroraPlan", lambda: AURORA)
    return MMS, THEMIS


@pytest.fixture
def serve(settings):
    """Serve a tree for MMS and THEMIS."""
    running = []

    def start(root):
        running.append(archive_server.ArchiveServer(root))
        for config in settings:
            config["remote_data_dir"] = running[-1].url  # the fixture `settings` takes it back
        return running[-1]

    yield start
    for server in running:
        server.stop()


@pytest.fixture
def quick(monkeypatch):
    """Leave the searches out, where only files are looked at."""
    for name in ("check_electrons", "check_aurora"):
        monkeypatch.setattr(check_real, name, lambda plan, out: [Verdict("anything", True, "yes")])


def asked(server):
    return sorted(name for name in server.asked if name.endswith(".cdf"))


def command(tmp_path, *more):
    return cli.main(["check-real", "--folder", str(tmp_path / "data"), "--out", str(tmp_path / "out"), *more])


def test_both_studies_pass_where_the_structures_are_there(archive, serve, tmp_path, capsys):
    server = serve(archive)
    assert command(tmp_path) == cli.FOUND
    printed = capsys.readouterr().out
    assert printed.count("passed: ") == 5 and "FAILED" not in printed
    report = (tmp_path / "out" / "check.md").read_text(encoding="utf-8")
    for time in ("2015-10-16T10:33:30", "2015-12-08T11:20:44", "2015-12-14T01:17:40"):
        assert f"{time} is number" in report
    assert report.count(f"| {NEW} |") == 14 and "14 files" in report  # 4 x 3 of MMS, 2 of THEMIS
    for name in ("electrons", "aurora"):
        assert f"![query and matches]({name}.png)" in report
        assert (tmp_path / "out" / f"{name}.png").stat().st_size > 20_000
        assert "intervals found" in (tmp_path / "out" / f"{name}.html").read_text(encoding="utf-8")
    recorded = json.loads((tmp_path / "data" / "mms" / RECORD).read_text(encoding="utf-8"))
    assert len(recorded) == 12 and all(len(one) == 64 for one in recorded.values())
    assert all((tmp_path / "data" / "mms" / name).is_file() for name in recorded)
    assert len(asked(server)) == 14


def test_the_check_fails_where_no_other_encounter_has_a_diffusion_region(serve, tmp_path, capsys):
    root = tmp_path / "archive"
    write_electrons(root, (False, True, False, False))
    serve(root)
    assert command(tmp_path, "--electrons") == cli.NOTHING_FOUND
    printed = capsys.readouterr().out
    assert "passed: The files are" in printed and "FAILED: Of the 6 nearest events, at least 2" in printed
    assert "| FAILED |" in (tmp_path / "out" / "check.md").read_text(encoding="utf-8")


def test_the_check_fails_where_the_neighbor_sees_another_night(serve, tmp_path, capsys):
    root = tmp_path / "archive"
    write_night(root, (4, 14))
    serve(root)
    assert command(tmp_path, "--aurora") == cli.NOTHING_FOUND
    printed = capsys.readouterr().out
    assert "passed: fsmi, 90 s around the query but for 30 s" in printed and "FAILED: atha" in printed


def test_a_sky_without_aurora_fails(serve, tmp_path, capsys):
    seconds = HOUR.astype("int64") / 1e9 + np.arange(360) * 10.0
    noise = np.random.default_rng(0).normal(3000, 20, (360, 64, 64)).astype(np.uint16)
    for site in AURORA.sites:
        asi_tree.write_frames(tmp_path / "archive", site, HOUR, seconds, noise)
    serve(tmp_path / "archive")
    assert command(tmp_path, "--aurora") == cli.NOTHING_FOUND
    assert "FAILED: fsmi has a usable frame with aurora: none in the hour" in capsys.readouterr().out


def test_what_is_here_is_compared_and_not_asked_for_again(archive, serve, quick, tmp_path, capsys):
    server = serve(archive)
    assert command(tmp_path) == cli.FOUND
    before = asked(server)
    server.stop()
    server.start()
    assert command(tmp_path) == cli.FOUND
    assert asked(server) == before
    report = (tmp_path / "out" / "check.md").read_text(encoding="utf-8")
    assert report.count(f"| {SAME} |") == 14 and NEW not in report


def test_downloaded_files_need_no_server(archive, serve, quick, tmp_path, capsys):
    server = serve(archive)
    assert command(tmp_path) == cli.FOUND
    server.stop()
    assert command(tmp_path) == cli.BAD_INPUT
    assert "the server does not answer" in capsys.readouterr().err
    assert command(tmp_path, "--no-update") == cli.FOUND
    next((tmp_path / "data" / "mms").rglob("*des-dist_20151214*.cdf")).unlink()
    assert command(tmp_path, "--no-update", "--aurora") == cli.FOUND
    assert command(tmp_path, "--no-update", "--electrons") == cli.BAD_INPUT
    assert "there is no file" in capsys.readouterr().err
    server.start()


def test_a_file_that_changed_fails_until_the_record_is_deleted(archive, serve, quick, tmp_path, capsys):
    serve(archive)
    assert command(tmp_path, "--electrons") == cli.FOUND
    (changed,) = (tmp_path / "data" / "mms").rglob("*des-moms_20151208*.cdf")
    other = simulate_event(9, start=ELECTRONS.times[2] - np.timedelta64(3, "s"), duration_s=6.0, probe="2")
    paths = fpi_files.write_tree(tmp_path / "other", other)
    shutil.copy(next(one for one in paths if "des-moms" in one.name), changed)
    capsys.readouterr()
    for _ in range(2):
        assert command(tmp_path, "--electrons") == cli.NOTHING_FOUND
        printed = capsys.readouterr().out
        assert "FAILED: The files are those that were recorded at first use: changed: mms2/fpi/brst" in printed
        assert changed.name in printed
    assert f"| {CHANGED} |" in (tmp_path / "out" / "check.md").read_text(encoding="utf-8")
    (tmp_path / "data" / "mms" / RECORD).unlink()
    assert command(tmp_path, "--electrons") == cli.FOUND


@pytest.mark.parametrize("study", ["--electrons", "--aurora"])
def test_without_server_and_data_it_is_one_sentence_and_status_two(settings, tmp_path, capsys, study):
    assert command(tmp_path, study) == cli.BAD_INPUT
    error = capsys.readouterr().err
    assert error.startswith("pyspedas-similarity: ") and error.count("\n") == 1
    assert "the server does not answer" in error
    assert not (tmp_path / "out" / "check.md").exists()


@pytest.mark.parametrize(
    ("kind", "fault", "says"),
    [
        ("des-dist", "missing", "HTTP status 404"),
        ("fgm", "missing", "HTTP status 404"),
        ("des-moms", "cut", "not a whole CDF file"),
        ("asf_atha", "missing", "HTTP status 404"),
    ],
)
def test_a_file_that_cannot_be_had_is_status_two(archive, serve, quick, tmp_path, capsys, kind, fault, says):
    server = serve(archive)
    wanted = "2015031807" if kind.startswith("asf") else "20151208"
    name = next(path.name for path in archive.rglob("*.cdf") if kind in path.name and wanted in path.name)
    getattr(server, fault).add(name)
    study = "--aurora" if kind.startswith("asf") else "--electrons"
    assert command(tmp_path, study) == cli.BAD_INPUT
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and says in error and name in error
    getattr(server, fault).clear()
    assert command(tmp_path, study) == cli.FOUND


def test_a_time_without_files_is_status_two(serve, quick, tmp_path, capsys):
    write_electrons(tmp_path / "archive", (True,) * 4)
    for path in (tmp_path / "archive").rglob("*_20151214*.cdf"):
        path.unlink()
    serve(tmp_path / "archive")
    assert command(tmp_path, "--electrons") == cli.BAD_INPUT
    assert "des-dist 2015-12-14T01:17:37 to 2015-12-14T01:17:43: there is no file" in capsys.readouterr().err


def test_a_station_without_a_file_is_status_two(serve, quick, tmp_path, capsys):
    write_night(tmp_path / "archive", (4, 4))
    for path in (tmp_path / "archive").rglob("*_atha_*.cdf"):
        path.unlink()
    serve(tmp_path / "archive")
    assert command(tmp_path, "--aurora") == cli.BAD_INPUT
    error = capsys.readouterr().err
    assert "THEMIS asf atha" in error and "0 of 1 files are there" in error and error.count("\n") == 1


def test_an_interrupted_download_leaves_no_part_and_goes_on(archive, serve, quick, tmp_path, capsys):
    server = serve(archive)
    server.killed_at = "des-dist_20151208"
    assert command(tmp_path, "--electrons") == cli.BAD_INPUT
    here = {path.name for path in (tmp_path / "data").rglob("*.cdf")}
    assert len(here) == 6 and not (tmp_path / "data" / "mms" / RECORD).exists()
    assert not [path for path in (tmp_path / "data").rglob("*") if ".download" in path.name]
    server.asked.clear()
    server.start()
    assert command(tmp_path, "--electrons") == cli.FOUND
    assert len(asked(server)) == 6 and not here & set(asked(server))


@pytest.mark.parametrize("content", ["{", "[1, 2]", '{"a": 1}'])
def test_a_damaged_record_is_not_replaced(tmp_path, content):
    (tmp_path / RECORD).write_text(content)
    (tmp_path / "data.cdf").write_bytes(b"simulated")
    with pytest.raises(ArgumentError, match="Delete it to record all files anew"):
        checked_files(tmp_path, [tmp_path / "data.cdf"])
    assert (tmp_path / RECORD).read_text() == content


def test_folders_of_pyspedas_are_used_and_set_back(archive, serve, quick, settings, tmp_path, monkeypatch):
    serve(archive)
    for config, name in zip(settings, ("m", "t"), strict=True):
        monkeypatch.setitem(config, "local_data_dir", str(tmp_path / name))
    assert check_real.run(tmp_path / "out", None, ELECTRONS, AURORA, say=lambda line: None)
    assert (tmp_path / "m" / RECORD).is_file() and (tmp_path / "t" / RECORD).is_file()
    with pytest.raises(LoadError):
        settings[0]["remote_data_dir"] = settings[1]["remote_data_dir"] = "http://127.0.0.1:9/"
        check_real.run(tmp_path / "out", tmp_path / "else", ELECTRONS, say=lambda line: None)
    assert [config["local_data_dir"] for config in settings] == [str(tmp_path / "m"), str(tmp_path / "t")]


def test_an_output_that_cannot_be_written_is_known_first(settings, tmp_path, capsys):
    (tmp_path / "out").write_text("mine")
    assert command(tmp_path) == cli.BAD_INPUT
    assert "it cannot be written" in capsys.readouterr().err and not (tmp_path / "data").exists()


def test_share_of_windows_is_that_of_a_loop():
    rng = np.random.default_rng(1)
    times = np.datetime64("2015-01-01", "ns") + np.arange(300) * np.timedelta64(1, "s")
    scores = rng.normal(size=300)
    scores[rng.integers(0, 300, 40)] = np.nan
    scores[100:140] = np.nan
    second = np.timedelta64(1, "s")
    window = Window(10 * second, 3 * second, np.mean)
    found = share_as_similar(times, scores, times[200], window, times[[200, 50]])

    def mean(middle):
        part = [scores[i] for i in range(300) if 3 <= abs(i - middle) <= 10]
        known = [one for one in part if not np.isnan(one)]
        return sum(known) / len(known) if len(known) >= len(part) / 2 else None

    others = [mean(i) for i in range(10, 290) if abs(i - 200) >= 20 and abs(i - 50) >= 20]
    others = [one for one in others if one is not None]
    assert len(others) < 220
    assert found == pytest.approx(sum(one >= mean(200) for one in others) / len(others))
    assert np.isnan(share_as_similar(times, scores, times[120], window, times[[120]]))


def test_plans_are_those_of_the_sources(real_data):
    plan = ElectronPlan()
    listed = np.loadtxt(real_data("mms/edr_encounters.csv"), str, delimiter=",", skiprows=1)
    webster = [time for time, _, source in listed if source == "Webster et al. 2018"]
    assert set(np.datetime_as_string(plan.times, "s")) <= set(webster)
    assert len(plan.others) == 3 and plan.chance == pytest.approx(0.0328, abs=5e-4)
    pinned = json.loads(real_data("asi/themisim_pilot_specs.json").read_text())["small"]["cdfs"]
    hours = {(one["site"], one["datetime"]) for one in pinned}
    assert {(site, "2015031807") for site in AuroraPlan().sites} <= hours


def test_studies_are_drawn_without_a_match(tmp_path, monkeypatch):
    from pyspedas_similarity.results.search_result import SearchResult

    written = []
    monkeypatch.setattr(SearchResult, "report", lambda self, path, **options: written.append(path))
    check_real._draw(SearchResult.empty("nothing"), tmp_path, "electrons", "title")
    assert written == [tmp_path / "electrons.html"] and not (tmp_path / "electrons.png").exists()
