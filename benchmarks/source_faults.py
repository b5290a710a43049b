"""What becomes of broken and hostile files, downloads and weights, each by one command that prints what it found.

    python -m benchmarks.source_faults mutations   10,000 damaged CDF, PGM and SAV files through the sources
    python -m benchmarks.source_faults bombs       small files that expand to 256 MB, or have no end
    python -m benchmarks.source_faults downloads   more than 50 ways in which a server on loopback can fail
    python -m benchmarks.source_faults weights     hostile weights, cards, networks, archives and exports
    python -m benchmarks.source_faults unpickle    all that loads, with an alarm; and a scan of the source
    python -m benchmarks.source_faults speed       what checks and a process of its own cost

`-n` changes the number, `--seed` what is drawn. Exit status 1 where something was not as it should be.
tests/instruments/test_faults.py runs a short form of each.
"""

from __future__ import annotations

import ast
import contextlib
import dataclasses
import functools
import gzip
import hashlib
import io
import itertools
import json
import logging
import os
import random
import resource
import shutil
import subprocess
import sys
import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pyspedas_similarity.errors import SimilarityError
from pyspedas_similarity.functions.cameras import load_asi
from pyspedas_similarity.instruments import asi_files, isolated_reader, mms_fpi, segments, themis_asi
from pyspedas_similarity.instruments.file_checks import check_cdf, read_npz
from pyspedas_similarity.instruments.segments import Segment
from pyspedas_similarity.tplot import Variable

MAX_SECONDS, MAX_MEMORY_MB, MAX_BOMB_MB, MAX_RATIO = 2.0, 1000, 256, 1.5


from benchmarks import archive_faults
from benchmarks.archive_faults import command, environment, judged
from tests import archive_server, fpi_files, hostile_weights
from tests import hostile_files as hostile

FRAMES_RANGE = [hostile.FIRST, hostile.FIRST + np.timedelta64(1, "h")]
FPI_RANGE = [hostile.START, hostile.START + np.timedelta64(10, "s")]


@dataclass(frozen=True)
class Form:
    """A good file, how it is damaged, and what reads it."""

    path: Path
    content: bytes
    damage: Callable[[bytes, random.Random], bytes]
    read: Callable[[], Any]


def mutations(n: int, seed: int, folder: Path) -> dict:
    """Read damaged files one after another; the process that asks lives, and hears of one family of errors."""
    rng, found, slowest = random.Random(seed), Counter(), 0.0
    readers = _Readers()
    with _settings(folder) as reported:
        forms = {**_simulated(folder), **_real(folder)}
        # What cannot be read before shows nothing; and imports take their time now.
        good = {name: _fingerprint(form.read()) for name, form in forms.items()}
        for number in range(n):
            # The real files are larger: one of them for every forty small ones.
            names = [name for name in forms if name.startswith("real") == (number % 40 == 39)] or list(forms)
            name = rng.choice(names)
            form = forms[name]
            form.path.write_bytes(form.damage(form.content, rng))
            reported.clear()
            began = time.monotonic()
            outcome = _outcome(form.read, good[name], reported)
            took = time.monotonic() - began
            slowest = max(slowest, took)
            found[f"{name}: {outcome}"] += 1
            found["longer than 2 s"] += took > MAX_SECONDS
            found["other errors"] += outcome.startswith("other error")
            readers.look()
            form.path.write_bytes(form.content)
        alive = all(_fingerprint(form.read()) == good[name] for name, form in forms.items())
    found["files"], found["readers that were ended"] = n, readers.ended
    memory = {"MB at most, here": _peak(), "MB at most, a reader that lived": readers.peak}
    reported = dict(sorted(found.items())) | {"slowest, s": round(slowest, 2)} | memory
    return judged(
        Counter(reported), ("longer than 2 s", "other errors"), alive and max(memory.values()) < MAX_MEMORY_MB
    )


def _outcome(read: Callable[[], Any], good: str, reported: list) -> str:
    try:
        found = _fingerprint(read())
    except SimilarityError:
        return "refused"
    except Exception as error:
        return f"other error {type(error).__name__}: {error}"[:150]
    if found == good:
        return "read as before"
    return "read in part, and told" if reported else "read with other values"


def _fingerprint(value: Any) -> str:
    """Of all arrays in what a source gave."""
    digest = hashlib.sha256()

    def take(part: Any) -> None:
        if isinstance(part, np.ndarray):
            digest.update(np.ascontiguousarray(part).tobytes())
        elif isinstance(part, (list, tuple)):
            for each in part:
                take(each)
        elif isinstance(part, dict):
            take([part[key] for key in sorted(part)])
        elif isinstance(part, Segment):
            take([part.distribution, dict(part.companions)])
        elif isinstance(part, Variable):
            take([part.times, part.values, dict(part.coordinates)])
        elif dataclasses.is_dataclass(part):
            take([getattr(part, each.name) for each in dataclasses.fields(part)])

    take(value)
    return digest.hexdigest()


class _Readers:
    """What is seen from outside of the processes that read."""

    def __init__(self) -> None:
        self.peak, self.ended, self._last = 0, 0, 0

    def look(self) -> None:
        """Most memory of the one that runs, MB (on Linux), and whether it is another one."""
        process = isolated_reader._readers[0]._process if isolated_reader._readers else None
        now = process.pid if process and process.poll() is None else 0
        self.ended += self._last not in (0, now)
        self._last = now
        self.peak = max(self.peak, _peak(now) if now else 0)


def bombs(n: int, seed: int, folder: Path) -> dict:
    """Each in a process of its own, whose memory beyond that of a good file of the same form is printed."""
    found: Counter = Counter()
    (folder / "made").mkdir()
    kinds = {
        "cdf": hostile.cdf_bombs(folder / "made"), "pgm": hostile.stream_bombs(), "sav": hostile.sav_bombs(),
        "npz": hostile.npz_bombs(),
    }  # fmt: skip
    good = {
        "cdf": (folder / "made" / "small.cdf").read_bytes(), "pgm": gzip.compress(hostile.stream()),
        "sav": hostile.skymap(), "npz": hostile.good_npz(),
    }  # fmt: skip
    most = {f"{kind}: most MB beyond a good file": 0 for kind in kinds}
    for kind, files in kinds.items():
        usual = _read_alone(good[kind], kind, folder)
        found["good files that were not read"] += usual["outcome"] != "read"
        for name, content in files.items():
            one = _read_alone(content() if callable(content) else content, kind, folder)
            found["bombs"] += 1
            found["refused"] += one["outcome"] == "refused"
            beyond = one["MB"] - usual["MB"]
            key = f"{kind}: most MB beyond a good file"
            most[key] = max(most[key], beyond)
            found["most computing of both, s"] = max(found["most computing of both, s"], one["s"])
            if one["outcome"] != "refused" or beyond >= MAX_BOMB_MB or one["s"] > MAX_SECONDS:
                found[f"{kind}, {name}: {one}"] += 1
                found["not as they should be"] += 1
    bad = ("not as they should be", "good files that were not read")
    return judged(found | Counter(most), bad, found["bombs"] == found["refused"])


def _read_alone(content: bytes, kind: str, folder: Path) -> dict:
    """What a process that reads this says: outcome, and its computing time and memory with those of its reader."""
    path = folder / f"file.{kind}"
    path.write_bytes(content)
    command = [sys.executable, "-m", "benchmarks.source_faults", "_read", kind, str(path)]
    quiet = os.environ | {"OMP_NUM_THREADS": "1"}
    out = subprocess.run(command, capture_output=True, text=True, env=quiet, timeout=120, check=False)
    return json.loads(out.stdout) if out.stdout else {"outcome": f"died: {out.returncode}", "MB": 0, "s": 0}


def _work_read(kind: str, path: str) -> None:
    read = {"cdf": asi_files.read_cdf, "pgm": asi_files.read_stream, "sav": asi_files.read_skymap, "npz": read_npz}
    isolated_reader._process()
    readers, before = _Readers(), sum(os.times()[:4])
    watch = _Watch(readers)
    outcome = "read"
    try:
        read[kind](path)
    except SimilarityError:
        outcome = "refused"
    except Exception as error:
        outcome = f"other error {type(error).__name__}: {error}"[:150]
    watch.stop()
    isolated_reader._stop()  # so that its time counts
    took = sum(os.times()[:4]) - before
    print(json.dumps({"outcome": outcome, "MB": _peak() + readers.peak, "s": round(took, 2)}))


class _Watch(threading.Thread):
    """Looks at the reader every few milliseconds: one that is ended tells nothing afterward."""

    def __init__(self, readers: _Readers) -> None:
        super().__init__(daemon=True)
        self._readers, self._over = readers, threading.Event()
        self.start()

    def run(self) -> None:
        while not self._over.wait(0.002):
            self._readers.look()

    def stop(self) -> None:
        self._over.set()
        self.join()
        self._readers.look()


def downloads(n: int, seed: int, folder: Path) -> dict:
    """Ask a server that does something wrong; then what it left here without it; then once more when it is well."""
    found: Counter = Counter()
    cases = list(_download_cases(folder).items())
    connections: list[tuple] = []
    sys.addaudithook(lambda event, arguments: connections.append(arguments[1]) if event == "socket.connect" else None)
    with _short_waits():
        for number, (name, (prepare, good)) in enumerate(cases[:n] if n > 1 else cases):
            one = _downloaded(prepare, folder / f"case{number}")
            found["cases"] += 1
            found["requests"] += one["requests"]
            found["slowest, s"] = max(found["slowest, s"], one["s"])
            wrong = [
                *(["not loaded" if good else "kept or loaded"] if one["loaded"] != good else []),
                *(["not told"] if not good and not one["told"] else []),
                *(["left something as good"] if one["offline"] != good or one["left"] else []),
                *(["does not come afterward"] if not one["afterward"] else []),
                *(["too many requests or too long"] if one["requests"] > 12 or one["s"] > 5 * MAX_SECONDS else []),
                *([one["other error"]] if one["other error"] else []),
            ]
            found["came all the same, as it should"] += good and not wrong
            found["refused and told"] += not good and not wrong
            if wrong:
                found[f"{name}: {', '.join(wrong)}"] += 1
                found["not as they should be"] += 1
    found["connections to other machines"] = sum(address[0] not in ("127.0.0.1", "::1") for address in connections)
    return judged(found, ("not as they should be", "connections to other machines"), found["cases"] > 0)


def _downloaded(prepare: Callable, folder: Path) -> dict:
    """What became of one case."""
    (folder / "served").mkdir(parents=True)
    (folder / "local").mkdir()
    one = {"other error": "", "told": False}
    path = hostile.write_frames(hostile.frames_path(folder / "served"), hostile.frames())
    with archive_server.ArchiveServer(folder / "served") as server, _settings(folder / "local", server.url) as reported:
        with prepare(server, path, hostile.frames_path(folder / "local")) or contextlib.nullcontext():
            began = time.monotonic()
            one["loaded"] = _same_frames(one, no_update=False)
            one["s"], one["requests"] = round(time.monotonic() - began, 2), len(server.asked)
            one["told"] |= bool(reported)
        one["offline"] = _same_frames(dict(one), no_update=True)
        one["left"] = [str(path) for path in (folder / "local").rglob(".download-*") if not (path / "earlier").exists()]
        server.answers.clear()
        server.busy.clear()
        hostile.write_frames(path, hostile.frames())
        one["afterward"] = _same_frames(dict(one), no_update=False)
    return one


def _same_frames(one: dict, no_update: bool) -> bool:
    """Whether the frames came as they are; what came otherwise is noted."""
    try:
        found = load_asi(FRAMES_RANGE, "gako", no_update=no_update, notplot=True)
    except Exception as error:
        one["other error"] = f"{type(error).__name__}: {error}"[:150]
        return False
    if found and not np.array_equal(found["thg_asf_gako"]["y"], hostile.frames()):
        one["other error"] = "other frames came"
    return bool(found)


@contextlib.contextmanager
def _short_waits() -> Iterator[None]:
    short = {"_TIMEOUT_S": (0.5, 0.5), "_PATIENCE_S": 1.0, "_BACKOFF_S": 0.0, "_MOST_FILE_BYTES": 2**22}
    before = {name: getattr(segments, name) for name in short}
    try:
        for name, value in short.items():
            setattr(segments, name, value)
        yield
    finally:
        for name, value in before.items():
            setattr(segments, name, value)


def _download_cases(folder: Path) -> dict[str, tuple[Callable, bool]]:
    """What is done to server and tree before, and whether the frames are to come all the same."""
    (folder / "other").mkdir()
    other = hostile.write_frames(folder / "other" / "fsmi.cdf", hostile.frames(), site="fsmi").read_bytes()
    later = hostile.FIRST + np.timedelta64(2, "h")
    hour = hostile.write_frames(folder / "other" / "hour.cdf", hostile.frames(), later).read_bytes()
    small = hostile.write_frames(folder / "other" / "small.cdf", hostile.frames()[:, :4, :4].copy()).read_bytes()
    page = b"<html><body>Please log in: <a href='x.cdf'>here</a></body></html>"
    cases: dict[str, tuple[Callable, bool]] = {}

    def answered(name: str, answer: Callable, good: bool = False) -> None:
        cases[name] = (lambda server, path, here: server.answers.update({path.name: answer}), good)

    def prepared(name: str, prepare: Callable, good: bool = False) -> None:
        cases[name] = (prepare, good)

    for share in (0.0, 0.001, 0.01, 0.25, 0.5, 0.75, 0.99, 0.9999):
        answered(f"cut at {share:.2%}", hostile.cut(share))
        answered(f"cut at {share:.2%}, no length told", hostile.cut(share, length=False))
    answered("cut between chunks", hostile.chunked(0.5, end=False))
    answered("whole in chunks", hostile.chunked(1.0, end=True), good=True)
    answered("half in whole chunks", hostile.chunked(0.5, end=True))
    answered("a length that is too short", hostile.sent(length=-100))
    answered("a length that is too long", hostile.sent(length=100))
    answered("another kind of content told", hostile.sent(kind="text/html"), good=True)
    answered("bytes behind the end", hostile.sent(lambda content: content + bytes(8)))
    for name, content in (
        ("a page with status 200", page), ("nothing", b""), ("one byte", b"\xcd"), ("JSON", b'{"error": 1}'),
        ("zip", b"PK\x03\x04" + bytes(500)), ("netCDF", b"CDF\x01" + bytes(500)),
        ("another station's file", other), ("another hour's file", hour), ("frames of 4 x 4", small),
        ("frames of a raw stream", hostile.stream()),
    ):  # fmt: skip
        answered(name, hostile.sent(lambda _, content=content: content))
    answered("gzip of the file", hostile.sent(gzip.compress))
    answered("gzip that is told", hostile.sent(gzip.compress, encoding="gzip"), good=True)
    answered("gzip that is told and is none", hostile.sent(encoding="gzip"))
    answered(
        "gzip that is told and expands to 64 MB", hostile.sent(lambda _: gzip.compress(bytes(2**26)), encoding="gzip")
    )
    answered("without end", hostile.endless)
    for part in ("no answer", "in the head", "after the head", "in the middle", "byte by byte"):
        answered(f"stalled: {part}", hostile.stalled(part))
    for status in (401, 403, 404, 410, 500, 502, 503):
        answered(f"status {status}", hostile.refused(status))
    answered("status 503 that asks to wait for a day", hostile.refused(503, {"Retry-After": "86400"}))
    prepared("status 503 twice", lambda server, path, here: server.busy.update({path.name: 2}), good=True)
    answered("sent to itself", hostile.redirected("{name}"))
    answered("sent to another host", hostile.redirected("http://localhost:{port}/copy/{name}"))
    answered("sent to another port", hostile.redirected("http://127.0.0.1:9/{name}"))
    answered("sent to a file", hostile.redirected("file:///etc/hostname"))
    prepared("sent to another place", hostile.moved(lambda content: content), good=True)
    prepared("sent to another station's file", hostile.moved(lambda _: other))
    prepared("sent to a page", hostile.moved(lambda _: page))
    for name, damage in hostile.damages().items():
        answered(f"records: {name}", hostile.sent(damage))
    prepared("half a file left here", hostile.left_half, good=True)
    prepared("half a file left here, and the server fails", hostile.left_half_alone)
    prepared("a download left by a process that died", hostile.left_download, good=True)
    prepared("swapped after it was checked", hostile.swapped(isolated_reader, other))
    answered_list = {
        "list: a page": hostile.sent(lambda _: page), "list: without end": hostile.endless,
        "list: status 500": hostile.refused(500), "list: stalled": hostile.stalled("in the middle"),
        "list: impossible dates": hostile.listed(
            "thg_l1_asf_gako_2011013199_v01.cdf", "thg_l1_asf_gako_20119901_v01.cdf"
        ),
        "list: places elsewhere": hostile.listed("../../../thg_l1_asf_gako_2011013122_v99.cdf/..%2f..%2fx.cdf"),
    }  # fmt: skip
    for name, answer in answered_list.items():
        cases[name] = (
            lambda server, path, here, answer=answer: server.answers.update({path.parent.name: answer}),
            False,
        )
    return cases


# What nothing that reads may do. Modules that are imported are executed as well; the names of their files tell them.
ALARMS = (
    "pickle.find_class", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "os.forkpty",
    "subprocess.Popen", "socket.connect", "socket.bind", "ctypes.dlopen", "marshal.loads",
    "urllib.Request", "code.__new__",
)  # fmt: skip


class _Alarm:
    """Notes what an audit hook hears of while it listens, and which files are opened to be written."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.listens = False
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple) -> None:
        if not self.listens:
            return
        if event in ALARMS:
            # The reader's process is started by its script and nothing else.
            ours = event == "subprocess.Popen" and str(isolated_reader._SCRIPT) in map(str, arguments[1])
            if not ours:
                self.heard.append(f"{event} {str(arguments)[:80]}")
        elif event in ("exec", "compile"):
            name = str(getattr(arguments[0], "co_filename", arguments[-1]))
            if name == "<unknown>":  # ast.parse, by which NumPy reads the head of an array: nothing is run
                return
            if not name.startswith(("<frozen", "/")) and not _is_a_library_that_writes_functions():
                self.heard.append(f"{event} {name[:80]}")

    @contextlib.contextmanager
    def listening(self) -> Iterator[list[str]]:
        self.heard.clear()
        self.listens = True
        try:
            yield self.heard
        finally:
            self.listens = False


def _is_a_library_that_writes_functions() -> bool:
    """Whether it is dataclasses, namedtuple and their like, which write functions of names in source code."""
    frame = sys._getframe(2)
    while frame is not None:
        if Path(frame.f_code.co_filename).name in ("dataclasses.py", "enum.py", "_bootstrap_external>", "_make.py"):
            return True
        if frame.f_code.co_filename.endswith("collections/__init__.py"):
            return True
        frame = frame.f_back
    return False


def weights(n: int, seed: int, folder: Path) -> dict:
    """Load each in one process that listens to what it does; what dies, hangs or eats memory is printed by name."""
    command = [sys.executable, "-m", "benchmarks.source_faults", "_weights", str(folder)]
    quiet = os.environ | {"OMP_NUM_THREADS": "1", "RUST_BACKTRACE": "0"}
    out = subprocess.run(command, capture_output=True, text=True, env=quiet, timeout=900, check=False)
    found: Counter = Counter({"things that were run": 0, "files that appeared elsewhere": 0, "not refused": 0})
    for line in out.stdout.splitlines():
        one = json.loads(line)
        found["hostile files"] += 1
        found["refused"] += one["outcome"] == "refused"
        found["things that were run"] += len(one["heard"])
        found["files that appeared elsewhere"] += one["sprung"]
        found["slowest, s"] = max(found["slowest, s"], one["s"])
        found["MB at most"] = max(found["MB at most"], one["MB"])
        harmless = one["name"] in hostile_weights.HARMLESS and one["outcome"] == "loaded"
        found["loaded, because what is hostile is not looked at"] += harmless
        if not (one["outcome"] == "refused" or harmless) or one["heard"] or one["sprung"] or one["s"] > 2 * MAX_SECONDS:
            found["not refused"] += 1
            found[f"{one['name']}: {one['outcome']}, {one['heard']}, {one['s']} s"] += 1
    found["died"] = int(out.returncode != 0)
    if out.returncode:
        found[out.stderr[-300:]] = 1
    bad = ("things that were run", "files that appeared elsewhere", "not refused", "died")
    return judged(found, bad, found["hostile files"] >= 20 and found["MB at most"] < MAX_MEMORY_MB)


def _work_weights(place: str) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (2**33, 2**33))  # a bomb that works ends this process, not the machine
    template, alarm = Path(place) / "good", _Alarm()
    loads = _good_files(template)
    for load in loads.values():
        load(template)  # good files go through, and imports are done
    for number, (name, load, prepare) in enumerate(_weight_cases(loads)):
        folder = Path(place) / f"case{number}"
        shutil.copytree(template, folder)
        prepare(folder)
        began = time.monotonic()
        with alarm.listening() as heard, warnings.catch_warnings():
            warnings.simplefilter("error")
            try:
                load(folder)
                outcome = "loaded"
            except SimilarityError:
                outcome = "refused"
            except BaseException as error:
                outcome = f"other error {type(error).__name__}: {error}"[:150]
        reported = {"name": name, "outcome": outcome, "heard": list(heard), "s": round(time.monotonic() - began, 2)}
        print(json.dumps(reported | {"sprung": (folder / "sprung").exists(), "MB": _peak()}), flush=True)
        shutil.rmtree(folder)


def _good_files(folder: Path) -> dict[str, Callable[[Path], Any]]:
    """Make good files of every form in a folder, and give what loads each."""
    from pyspedas_similarity.archive.archive import Archive, export_archive, import_archive
    from pyspedas_similarity.encoder.fitted import fit_pca, fit_random
    from pyspedas_similarity.encoder.foreign import import_onnx
    from pyspedas_similarity.encoder.weights import load_encoder, save_encoder
    from pyspedas_similarity.imaging.recipes import FrameRecipe

    noise = np.random.default_rng(0).random((20, 1, 32, 32), np.float32)
    save_encoder(fit_pca(noise, "window"), folder / "encoder")
    save_encoder(fit_random(noise, "window", "random_compact"), folder / "trained")  # runs in ONNX Runtime
    (folder / "network.onnx").write_bytes(hostile_weights.network().SerializeToString())
    archive = Archive(folder / "archive")
    for number in range(2):
        archive.begin(archive_faults.IDENTITY).append(archive_faults.batch(number))
    export_archive(archive, folder / "rows.parquet")

    images = np.random.default_rng(0).random((2, 1, 32, 32), np.float32)

    def search(at: Path) -> None:
        opened = Archive(at / "archive")
        opened.index()
        opened.versions()
        if not opened.verify().sound:
            raise SimilarityError(str(at), "it is damaged", "Repair it.")

    return {
        "encoder": lambda at: load_encoder(at / "encoder").encode(images),
        "trained": lambda at: load_encoder(at / "trained").encode(images),
        "network": lambda at: import_onnx(at / "network.onnx", FrameRecipe(pixels=16)),
        "archive": search,
        "export": lambda at: import_archive(Archive(at / "again"), at / "rows.parquet"),
    }


def _weight_cases(loads: dict[str, Callable]) -> Iterator[tuple[str, Callable, Callable[[Path], Any]]]:
    import onnx

    for name, prepare in hostile_weights.weight_cases().items():
        yield name, loads["encoder"], prepare
    for name, change in hostile_weights.network_cases().items():

        def prepare(at: Path, change: Callable = change, into: str = "") -> None:
            path = at / into / ("encoder.onnx" if into else "network.onnx")
            made = change(onnx.load_model_from_string(path.read_bytes()))
            content = made if isinstance(made, bytes) else made.SerializeToString()
            hostile_weights.rewrite(at, "encoder.onnx", content, into) if into else path.write_bytes(content)

        yield f"foreign network: {name}", loads["network"], prepare
        yield f"network: {name}", loads["trained"], functools.partial(prepare, into="trained")
    for name, prepare in hostile_weights.archive_cases().items():
        yield f"archive: {name}", loads["archive"], prepare
    for name, prepare in hostile_weights.export_cases().items():
        yield name, loads["export"], prepare


def unpickle(n: int, seed: int, folder: Path) -> dict:
    """Go through all that loads while an alarm listens, in the reader's process as well; then scan the source."""
    heard_there = folder / "heard"
    (folder / "site").mkdir()
    (folder / "site" / "sitecustomize.py").write_text(
        "import sys\n"
        f"ALARMS = {ALARMS!r}\n"
        "def hear(event, arguments):\n"
        "    if event in ALARMS and not event.startswith(('ctypes', 'marshal', 'code')):\n"
        f"        open({str(heard_there)!r}, 'a').write(event + ' ' + str(arguments)[:80] + '\\n')\n"
        "sys.addaudithook(hear)\n"
        f"open({str(heard_there)!r}, 'a').write('listens\\n')\n"
    )
    paths = os.pathsep.join([str(folder / "site"), os.environ.get("PYTHONPATH", "")])
    isolated_reader._stop()  # so that one is started that listens
    found: Counter = Counter()
    alarm = _Alarm()
    with environment({"PYTHONPATH": paths}), _settings(folder / "local"):
        loads = _all_that_loads(folder)
        for load in loads.values():
            load()  # imports are done
        heard_there.write_text("")
        isolated_reader._stop()
        for name, load in loads.items():
            with alarm.listening() as heard:
                load()
            found["ways of loading"] += 1
            for one in heard:
                found[f"{name}: {one}"] += 1
                found["alarms"] += 1
        isolated_reader._stop()
    reported = heard_there.read_text().splitlines()
    found["readers that were listened to"] = reported.count("listens")
    found["alarms in readers"] = len(reported) - reported.count("listens")
    files, wrong = _scan()
    found["source files scanned"], found["lines that unpickle or run what they read"] = files, len(wrong)
    found.update(dict.fromkeys(wrong, 1))
    found["alarms"] += 0
    bad = ("alarms", "alarms in readers", "lines that unpickle or run what they read")
    return judged(found, bad, found["readers that were listened to"] > 0 and files > 50)


def _all_that_loads(folder: Path) -> dict[str, Callable[[], Any]]:
    import pyspedas_similarity as sim
    from pyspedas_similarity import cli
    from pyspedas_similarity.encoder.checkpoints import read_checkpoint, write_checkpoint

    forms = _simulated(folder / "local")
    good = folder / "good"
    loads = {name: functools.partial(load, good) for name, load in _good_files(good).items()}
    del loads["export"]  # below: it may be imported once into each archive
    numbers = itertools.count()
    write_checkpoint(folder / "run", {"run": 1}, {"a": np.zeros(3)}, {})
    np.savez_compressed(folder / "frames.npz", frames=hostile.frames())
    sim.save_encoder(sim.load_encoder(good / "encoder"), folder / "saved")
    kept = sim.open_archive(folder / "kept")
    asked = {"instrument": "themis_asi", "probe": "gako", "trange": FRAMES_RANGE, "load_keywords": {"no_update": True}}
    like = str(hostile.FIRST)
    command = ["find", "--cdf", str(forms["fpi dist"].path), "--variable", "mms1_des_dist_brst"]

    def imported() -> None:
        from pyspedas_similarity.archive.archive import Archive, import_archive

        import_archive(Archive(folder / f"again{next(numbers)}"), good / "rows.parquet")

    return {
        **loads,
        **{name: form.read for name, form in forms.items()},
        "export": imported,
        "npz": lambda: read_npz(folder / "frames.npz"),
        "checkpoint": lambda: read_checkpoint(folder / "run", {"run": 1}),
        "load_encoder": lambda: sim.load_encoder(folder / "saved"),
        "load_asi": lambda: sim.load_asi(FRAMES_RANGE, "gako", no_update=True),
        "find_similar": lambda: sim.find_similar(**asked, like=like, encoder="pixels", errors="raise"),
        "add": lambda: sim.add(kept, **asked, encoder="pixels"),
        "find_similar in an archive": lambda: sim.find_similar(archive=kept, like=like, errors="raise"),
        "find --cdf": lambda: _quietly(cli.main, [*command, "--like", str(hostile.START)]),
    }


def _quietly(call: Callable, *arguments: Any) -> None:
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        call(*arguments)


UNSAFE_MODULES = {"pickle", "_pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "yaml"}
UNSAFE_CALLS = {"eval", "exec", "compile", "__import__", "os.system", "os.popen", "torch.load", "pd.read_pickle"}


def _scan() -> tuple[int, list[str]]:
    """How many files of the package there are, and their lines that unpickle or run what they read."""
    import pyspedas_similarity

    root = Path(pyspedas_similarity.__file__).parent
    files = sorted(root.rglob("*.py"))
    wrong = []
    for path in files:
        for node in ast.walk(ast.parse(path.read_text())):
            if what := _unsafe(node):
                wrong.append(f"{path.relative_to(root)}:{node.lineno}: {what}")
    return len(files), wrong


def _unsafe(node: ast.AST) -> str:
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        names = [one.name for one in node.names] if isinstance(node, ast.Import) else [node.module or ""]
        return ", ".join(name for name in names if name.split(".")[0] in UNSAFE_MODULES)
    if not isinstance(node, ast.Call):
        return ""
    name = ast.unparse(node.func)
    keywords = {one.arg: ast.unparse(one.value) for one in node.keywords}
    loads = name in ("np.load", "numpy.load", "np.lib.format.read_array")
    unsafe = (
        name in UNSAFE_CALLS
        or keywords.get("allow_pickle", "False") != "False"
        or keywords.get("shell", "False") != "False"
        or (loads and "allow_pickle" not in keywords)
    )
    return ast.unparse(node)[:80] if unsafe else ""


def speed(n: int, seed: int, folder: Path) -> dict:
    """Reading with checks and in a process of its own beside cdflib in this process: medians of n runs in turns."""
    import cdflib

    frames = hostile.frames(1200, 256)
    hour = hostile.write_frames(folder / "hour.cdf", frames)
    (burst, *_) = fpi_files.write_tree(folder, hostile.event(1000, (32, 16, 32)))
    isolated_reader._process()

    ways = {
        "cdflib here": lambda path, names: _read_in_parts(cdflib.CDF(str(path)), names),
        "isolated": lambda path, names: _read_in_parts(isolated_reader.IsolatedCdf(path), names),
        "check": lambda path, names: check_cdf(path),
        "check of contents": lambda path, names: check_cdf(path, contents=True),
    }
    found: dict[str, Any] = {}
    for what, path, names in (
        ("an hour of full frames, 157 MB", hour, ["thg_asf_gako"]),
        ("1,000 distributions, 131 MB", burst, ["mms1_des_dist_brst", "mms1_des_disterr_brst"]),
    ):
        took: dict[str, list[float]] = {key: [] for key in ways}
        for _ in range(n):
            for key, call in ways.items():
                began = time.perf_counter()
                call(path, names)
                took[key].append(time.perf_counter() - began)
        found |= {f"{what}: {key}, s": round(float(np.median(values)), 3) for key, values in took.items()}
        ratios = np.array(took["isolated"]) / np.array(took["cdflib here"])
        found[f"{what}: isolated / here"] = round(float(np.median(ratios)), 2)
    starts = []
    for _ in range(n):
        isolated_reader._stop()
        began = time.perf_counter()
        isolated_reader.IsolatedCdf(hour).varinq("thg_asf_gako")
        starts.append(time.perf_counter() - began)
    found["starting a reader, s"] = round(float(np.median(starts)), 3)
    return judged(Counter(found), (), max(found[key] for key in found if key.endswith("/ here")) < MAX_RATIO)


def _read_in_parts(file: Any, names: list[str]) -> None:
    for name in names:
        last = file.varinq(name).Last_Rec
        for first in range(0, last + 1, 128):
            file.varget(name, startrec=first, endrec=min(first + 127, last))


def _simulated(folder: Path) -> dict[str, Form]:
    folder.mkdir(exist_ok=True)
    plain, packed = hostile.mutated, hostile.mutated_packed
    path = hostile.write_frames(hostile.frames_path(folder), hostile.frames())
    forms = {"frames": Form(path, path.read_bytes(), plain, _read_frames)}
    for path in fpi_files.write_tree(folder, hostile.event()):
        kind = "field" if "fgm" in path.name else path.name.split("_")[4].removeprefix("des-")
        forms[f"fpi {kind}"] = Form(path, path.read_bytes(), plain, _read_fpi)
    for name, content, damage, read in (
        ("stream.pgm", hostile.stream(), plain, asi_files.read_stream),
        ("stream.pgm.gz", gzip.compress(hostile.stream()), packed, asi_files.read_stream),
        ("skymap.sav", hostile.skymap(), plain, asi_files.read_skymap),
    ):
        forms[name] = _placed(folder / name, content, damage, read)
    return forms


def _real(folder: Path) -> dict[str, Form]:
    """Real files, where there are any; they are damaged in memory and only lie in a temporary folder."""
    data = Path(os.environ.get("PYSPEDAS_SIMILARITY_DATA", "/nowhere"))
    forms = {}
    for name, damage, read in (
        ("asi/thg_l1_ast_gako_20110505_v01.cdf", hostile.mutated, asi_files.read_cdf),
        ("asi/20140310_0600_gill_themis19_full.pgm.gz", hostile.mutated_packed, asi_files.read_stream),
        ("asi/themis_skymap_gako_20110305.sav", hostile.mutated, asi_files.read_skymap),
        ("mms/mms1_fgm_brst_l2_20201119233633_v5.270.0.cdf", hostile.mutated, _read_field),
    ):
        if (data / name).is_file():
            path = folder / "real" / Path(name).name
            forms[f"real {path.suffix}, {path.name[:12]}"] = _placed(path, (data / name).read_bytes(), damage, read)
    return forms


def _placed(path: Path, content: bytes, damage: Callable, read: Callable[[Path], Any]) -> Form:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    return Form(path, content, damage, lambda: read(path))


def _read_frames() -> list:
    return list(themis_asi.segments(FRAMES_RANGE, "gako", no_update=True))


def _read_fpi() -> list:
    return list(mms_fpi.segments_electrons(FPI_RANGE, no_update=True))


def _read_field(path: Path) -> Any:
    name = "mms1_fgm_b_dmpa_brst_l2"
    opened = mms_fpi._SamplesFile(path, [name], (np.datetime64("2020-11-19", "ns"), np.datetime64("2020-11-20", "ns")))
    return opened.variable(name, np.arange(len(opened.times)))


@contextlib.contextmanager
def _settings(local: Path, remote: str = "http://127.0.0.1:9/") -> Iterator[list[str]]:
    """pyspedas's settings for a tree of our own, for the time being; what loggers say is kept, not printed."""
    from pyspedas.projects.mms.mms_load_data_spdf import CONFIG as MMS
    from pyspedas.projects.themis.config import CONFIG as THEMIS

    before = [dict(MMS), dict(THEMIS)]
    reported: list[str] = []
    ears = logging.Handler(logging.WARNING)
    ears.emit = lambda record: reported.append(record.getMessage())
    ours, theirs = logging.getLogger("pyspedas_similarity"), logging.getLogger("urllib3")
    ours.addHandler(ears)
    ours.propagate = theirs.propagate = False
    try:
        for config in (MMS, THEMIS):
            config.update(local_data_dir=str(local), remote_data_dir=remote, no_download=False)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            yield reported
    finally:
        ours.removeHandler(ears)
        ours.propagate = theirs.propagate = True
        for config, values in zip((MMS, THEMIS), before, strict=True):
            config.update(values)


def _peak(process: int | str = "self") -> int:
    """Most memory of this process or another, MB.

    Not that of getrusage where it can be helped: to a process that was just started it tells its parent's.
    """
    try:
        return int(Path(f"/proc/{process}/status").read_text().split("VmHWM:")[1].split()[0]) // 2**10
    except (OSError, IndexError):  # not Linux, or it is gone
        own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // (2**20 if sys.platform == "darwin" else 2**10)
        return own if process == "self" else 0


TESTS = {
    "mutations": (mutations, 10_000),
    "bombs": (bombs, 1),
    "downloads": (downloads, 1),
    "weights": (weights, 1),
    "unpickle": (unpickle, 1),
    "speed": (speed, 5),
}


def main() -> int:
    if len(sys.argv) > 1 and sys.argv[1].startswith("_"):
        globals()["_work" + sys.argv[1]](*sys.argv[2:])
        return 0
    return command(__doc__, TESTS)


if __name__ == "__main__":
    sys.exit(main())
