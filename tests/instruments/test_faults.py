"""Short forms of benchmarks/source_faults.py, which has the long ones, one command each."""

import json
import os
import pickle
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from benchmarks import source_faults as faults
from pyspedas_similarity import tplot
from pyspedas_similarity.errors import LoadError, SimilarityError
from pyspedas_similarity.instruments import asi_files, file_checks, isolated_reader
from pyspedas_similarity.instruments.checked_loading import load_checked
from pyspedas_similarity.instruments.file_checks import check_cdf, read_npz

hostile = faults.hostile

posix = pytest.mark.skipif(sys.platform == "win32", reason="limits, pipes and file descriptors of POSIX")


@pytest.fixture(autouse=True)
def patient(monkeypatch):
    """Time is judged by the benchmark, on a quiet machine, and memory too: here it is that of all tests before."""
    monkeypatch.setattr(faults, "MAX_SECONDS", 60.0)
    monkeypatch.setattr(faults, "MAX_MEMORY_MB", 16_000)


@pytest.fixture
def frames(tmp_path):
    return hostile.write_frames(tmp_path / "frames.cdf", hostile.frames())


@pytest.fixture
def simulated_only(monkeypatch):
    monkeypatch.delenv("PYSPEDAS_SIMILARITY_DATA", raising=False)


@posix
def test_damaged_files_are_read_or_refused(tmp_path, simulated_only):
    found = faults.mutations(100, 1, tmp_path)
    assert found["as it should be"], found
    assert found["files"] == 100 and sum(n for key, n in found.items() if key.endswith(": refused")) > 20


@posix
@pytest.mark.parametrize("kind", ["cdf", "pgm", "sav", "npz"])
def test_a_bomb_of_each_kind_is_refused(tmp_path, kind):
    """The whole list is in the benchmark."""
    (tmp_path / "made").mkdir()
    name, content = {
        "cdf": lambda: ("2 kB that say 256 MB", hostile.cdf_bombs(tmp_path / "made")["2 kB that say 256 MB"]),
        "pgm": lambda: ("256 MB of zeros", hostile.stream_bombs()["256 MB of zeros"]()),
        "sav": lambda: ("10^6 structures", hostile.sav_bombs()["10^6 structures"]),
        "npz": lambda: ("256 MB of zeros", hostile.npz_bombs()["256 MB of zeros"]()),
    }[kind]()
    found = faults._read_alone(content, kind, tmp_path)
    assert found["outcome"] == "refused", name
    assert found["MB"] < 500  # numpy, cdflib and this package in two processes are half of it


@posix
def test_downloads_that_go_wrong_are_not_kept(tmp_path):
    found = faults.downloads(12, 1, tmp_path)
    assert found["as it should be"], found
    assert found["cases"] == 12 and found["refused and told"] == 12


@posix
def test_a_download_that_is_kept_is_noticed(tmp_path, monkeypatch):
    """The judge of that test has to see what comes and stays: right station and time, other counts."""
    other = hostile.write_frames(tmp_path / "other.cdf", hostile.frames(seed=1)).read_bytes()
    monkeypatch.setattr(faults, "_download_cases", lambda folder: {"other": (hostile.moved(lambda _: other), False)})
    found = faults.downloads(1, 1, tmp_path)
    (told,) = [key for key in found if key.startswith("other: ")]
    assert "kept or loaded" in told and "left something as good" in told and "other frames came" in told
    assert not found["as it should be"]


@posix
def test_hostile_weights_and_records_run_nothing(tmp_path):
    pytest.importorskip("torch")
    found = faults.weights(1, 1, tmp_path)
    assert found["as it should be"], found
    assert found["hostile files"] > 70 and found["things that were run"] == 0


@posix
def test_nothing_that_loads_unpickles(tmp_path, simulated_only):
    pytest.importorskip("torch")
    found = faults.unpickle(1, 1, tmp_path)
    assert found["as it should be"], found
    assert found["ways of loading"] > 15 and found["readers that were listened to"] == 1


def test_the_alarm_hears_what_it_is_for(tmp_path):
    """In a process of its own, because an audit hook stays."""
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parents[2])!r}); from pathlib import Path\n"
        "from benchmarks import source_faults as faults; import json, pickle\n"
        f"trap = faults.hostile_weights.trap(Path({str(tmp_path)!r}))\n"
        "alarm = faults._Alarm()\n"
        "with alarm.listening() as heard:\n"
        "    pickle.loads(trap); exec('1 + 1')\n"
        "print(json.dumps([one.split()[0] for one in heard]))\n"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(out.stdout.splitlines()[-1])[:2] == ["pickle.find_class", "os.system"]
    assert "exec" in json.loads(out.stdout.splitlines()[-1]) and (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("import pickle", "pickle"),
        ("from joblib import load", "joblib"),
        ("np.load(file)", "np.load(file)"),
        ("np.load(file, allow_pickle=True)", "np.load(file, allow_pickle=True)"),
        ("eval(text)", "eval(text)"),
        ("subprocess.run(text, shell=True)", "subprocess.run(text, shell=True)"),
    ],
)
def test_the_scan_sees_what_it_is_for(line, what):
    import ast

    assert what in [faults._unsafe(node) for node in ast.walk(ast.parse(line))]
    assert not any(faults._unsafe(node) for node in ast.walk(ast.parse("np.load(file, allow_pickle=False)")))


def test_a_reader_that_dies_is_started_again(frames):
    before = isolated_reader._process()
    before._process.kill()
    before._process.wait()
    np.testing.assert_array_equal(asi_files.read_cdf(frames).values, hostile.frames())
    assert isolated_reader._process() is not before


def test_a_reader_that_dies_at_work_is_an_error_and_the_next_file_is_read(frames, monkeypatch):
    opened = isolated_reader.IsolatedCdf(frames)
    ask = isolated_reader._Process.ask

    def dying(self, question, patience):
        self._process.kill()
        return ask(self, question, patience)

    with monkeypatch.context() as patched:
        patched.setattr(isolated_reader._Process, "ask", dying)
        with pytest.raises(LoadError, match="frames.cdf: not readable as CDF .*time or memory"):
            opened.varinq("thg_asf_gako")
    assert list(opened.varinq("thg_asf_gako").Dim_Sizes) == [16, 16]


@posix
def test_a_reader_that_computes_for_ever_is_ended(tmp_path):
    """The structure has a thousand million rows of nothing: scipy would count them all."""
    path = tmp_path / "skymap.sav"
    good = hostile.skymap()
    path.write_bytes(good)
    asi_files.read_skymap(path)
    limits = {"seconds": 0.2, "bytes": 2**30}
    process, began = isolated_reader._process(), time.monotonic()
    endless = {"reader": "sav", "arguments": [str(path), list(file_checks.identity_of(path)), "skymap", []], **limits}
    path.write_bytes(good[:8] + (4).to_bytes(4, "big") + good[12:])  # a record that follows itself
    endless["arguments"][1] = list(file_checks.identity_of(path))
    assert process.ask(endless, 30) == {"error": "the reader took too much time or memory"}
    assert time.monotonic() - began < 20 and not process.is_running


def test_a_reader_that_waits_for_ever_is_ended(frames):
    process = isolated_reader._process()
    question = {"reader": "cdf", "arguments": [], "seconds": 0, "bytes": 0}
    began = time.monotonic()
    if hasattr(os, "kill") and hasattr(__import__("signal"), "SIGSTOP"):
        os.kill(process._process.pid, __import__("signal").SIGSTOP)
        assert "time or memory" in process.ask(question, 0.3)["error"]
        assert time.monotonic() - began < 20 and not process.is_running


def test_an_answer_is_not_believed(frames):
    process = isolated_reader._process()
    for wrong in (["|O", [1], [0]], ["<f4", [-1], [0]], ["<f4", [2**40], [0]], ["V8", [1], [0]], ["<f4", ["1"], [0]]):
        with pytest.raises(ValueError, match="answers with"):
            process._array(*wrong)


@posix
def test_a_fork_has_a_reader_of_its_own(frames):
    """In a process of its own, because Lance, once it is imported, warns of forks."""
    code = (
        "import os, sys; from pyspedas_similarity.instruments import asi_files, isolated_reader as reader\n"
        f"def read(): return int(asi_files.read_cdf({str(frames)!r}).values.sum()), reader._process()._process.pid\n"
        "first = read(); pid = os.fork()\n"
        "if pid == 0:\n"
        "    second = read(); reader._stop()\n"
        "    os._exit(0 if second[0] == first[0] and second[1] != first[1] else 1)\n"
        "print(os.waitpid(pid, 0)[1] == 0 and read() == first, first[0])\n"
    )
    # Python 3.12 and newer warn of a fork where other threads run; here they do not matter.
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", code]
    out = subprocess.run(command, capture_output=True, text=True, check=True)
    assert out.stdout.split() == ["True", str(hostile.frames().sum())] and not out.stderr


def test_what_cdflib_gives_comes_back_as_it_is(frames):
    import cdflib

    there, here = isolated_reader.IsolatedCdf(frames), cdflib.CDF(frames)
    assert list(there.names) == here.cdf_info().zVariables
    for name in there.names:
        values, expected = there.varget(name), here.varget(name)
        np.testing.assert_array_equal(values, expected)
        assert (values.dtype, values.strides) == (expected.dtype, expected.strides)
        assert there.varattsget(name) == here.varattsget(name)
        assert list(there.varinq(name).Dim_Sizes) == list(here.varinq(name).Dim_Sizes)
    assert there.globalattsget() == here.globalattsget()


def test_a_file_that_is_swapped_is_refused(frames):
    opened = isolated_reader.IsolatedCdf(frames)
    hostile.write_frames(frames, hostile.frames(seed=1))
    with pytest.raises(LoadError, match="changed while it was read"):
        opened.varget("thg_asf_gako")


def test_what_a_check_finds_without_and_with_contents(frames):
    content = frames.read_bytes()
    summary = check_cdf(frames, contents=True)
    assert summary.names == ("thg_asf_gako", "thg_asf_gako_time", "thg_asf_gako_tend")
    assert summary.expanded_bytes == hostile.frames().nbytes + 2 * 6 * 8
    frames.write_bytes(hostile.damages()["a block that is damaged"](content))
    assert check_cdf(frames).names == summary.names  # its records are as they were
    with pytest.raises(LoadError, match="not a whole CDF file"):
        check_cdf(frames, contents=True)


def test_a_checksum_is_compared(tmp_path):
    import cdflib

    path = tmp_path / "sum.cdf"
    cdf = cdflib.cdfwrite.CDF(path, cdf_spec={"Checksum": True})
    about = {"Variable": "x", "Data_Type": 45, "Num_Elements": 1, "Rec_Vary": True, "Dim_Sizes": []}
    cdf.write_var(about | {"Compress": 0}, var_data=np.arange(100.0))
    cdf.close()
    check_cdf(path, contents=True)
    content = path.read_bytes()
    at = content.index(np.arange(50.0, 60.0).tobytes())
    path.write_bytes(content[:at] + b"\1" + content[at + 1 :])
    check_cdf(path)
    with pytest.raises(LoadError, match="checksum is of another content"):
        check_cdf(path, contents=True)


DAYS = np.datetime64("2011-01-31") + np.arange(4)


@pytest.fixture
def days(tmp_path):
    """Four files of a day each."""
    return [hostile.write_frames(tmp_path / f"day{n}.cdf", hostile.frames(), day) for n, day in enumerate(DAYS)]


def daily_loader(files, calls, refuses=()):
    """A loader as those of pyspedas, of 12 hourly samples with the number of the day."""

    def loader(**options):
        calls.append(options)
        start, end = np.array(options["trange"], "datetime64[ns]")
        chosen = [n for n, day in enumerate(DAYS) if day < end and day + 1 > start]
        if options.get("downloadonly"):
            return [str(files[n]) for n in chosen]
        if set(chosen) & set(refuses):
            raise ValueError("no such values")
        if not chosen:
            return []
        times = np.concatenate([DAYS[n] + np.arange(12) * np.timedelta64(1, "h") for n in chosen])
        tplot.write(tplot.Variable("wanted", times.astype("datetime64[ns]"), np.repeat(np.array(chosen, float), 12)))
        tplot.write(tplot.Variable("other", times.astype("datetime64[ns]"), np.zeros(len(times))))
        return ["other"]

    return loader


RANGE = ["2011-01-31T03:00:00", "2011-02-04T00:00:00"]


def test_pyspedas_is_given_only_files_that_were_checked(days):
    calls = []
    loader = daily_loader(days, calls)
    assert load_checked(loader, "wanted", RANGE, force_download=True) == ["wanted"]
    assert calls[1:] == [{"trange": RANGE, "force_download": False, "no_update": True}]
    for path in days:
        path.write_bytes(path.read_bytes()[:-9])
    calls.clear()
    with pytest.raises(LoadError, match="day0.cdf: this is not a whole CDF"):
        load_checked(loader, "wanted", RANGE)
    assert all(one.get("downloadonly") for one in calls)


@pytest.mark.parametrize("refused", [(), (2,)], ids=["cut short", "cut short and not readable"])
def test_a_file_that_is_cut_short_costs_only_its_day(days, caplog, refused):
    days[1].write_bytes(days[1].read_bytes()[:-9])
    calls = []
    tplot.write(tplot.Variable("other", DAYS.astype("datetime64[ns]"), np.ones(4)))
    assert load_checked(daily_loader(days, calls, refused), "wanted", RANGE) == ["wanted"]
    left = [n for n in range(4) if n != 1 and n not in refused]
    np.testing.assert_array_equal(tplot.read("wanted").values, np.repeat(left, 12))
    np.testing.assert_array_equal(tplot.read("wanted").times[::12], DAYS[left])
    np.testing.assert_array_equal(tplot.read("other").values, 1)  # not replaced by a part of it
    (warning,) = caplog.messages
    assert f"{1 + len(refused)} of 4 files" in warning and "day1.cdf: this is not a whole CDF" in warning
    assert all(f"day{n}.cdf: not readable (ValueError: no such values)" in warning for n in refused)
    assert not any(f"day{n}.cdf" in warning for n in left)
    read = [one["trange"] for one in calls if not one.get("downloadonly")]
    assert not any(first[:10] == "2011-02-01" for first, _ in read)
    assert read[0] == ["2011-01-31T03:00:00.000000000", "2011-01-31T23:59:59.999999999"]


def test_one_file_that_is_not_readable_is_an_error_and_no_data_are_none(days):
    with pytest.raises(LoadError, match=r"day2.cdf: not readable \(ValueError"):
        load_checked(daily_loader(days, [], (2,)), "wanted", ["2011-02-02", "2011-02-03"])
    assert load_checked(daily_loader(days, []), "wanted", ["2012-02-02", "2012-02-03"]) == []


def test_arrays_of_numpy_come_as_they_are(tmp_path):
    arrays = {"a": np.arange(6.0).reshape(2, 3), "b": np.asfortranarray(hostile.frames()[0]), "c": np.array("text")}
    np.savez_compressed(tmp_path / "x.npz", **arrays)
    found = read_npz(tmp_path / "x.npz")
    assert list(found) == list(arrays)
    for name, values in arrays.items():
        np.testing.assert_array_equal(found[name], values)
        assert found[name].dtype == values.dtype
    (tmp_path / "x.npz").write_bytes(pickle.dumps(1))
    with pytest.raises(SimilarityError, match="x.npz: not readable as arrays of NumPy"):
        read_npz(tmp_path / "x.npz")


@pytest.mark.parametrize(
    ("begin", "found"),
    [("0000ffff0000ffff", "of a version before 2.6"), ("cdf30001cccc0001", "compressed as a whole")],
)
def test_nobody_is_told_to_remove_a_file_that_may_be_good(tmp_path, begin, found):
    path = tmp_path / "old.cdf"
    path.write_bytes(bytes.fromhex(begin) + bytes(400))
    with pytest.raises(LoadError, match=found) as caught:
        check_cdf(path)
    assert "cdfconvert" in caught.value.remedy and "Remove" not in str(caught.value)
    with pytest.raises(LoadError, match="no such file"):
        check_cdf(tmp_path / "none.cdf")
    with pytest.raises(LoadError, match="cannot be opened"):
        check_cdf(tmp_path)
