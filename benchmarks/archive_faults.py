"""What becomes of an archive when things go wrong, each by one command that prints what it did and what it found.

    python -m benchmarks.archive_faults kill        200 kill -9 while batches are appended, each retried blindly
    python -m benchmarks.archive_faults compaction  30 kill -9 while files are joined and old versions given up
    python -m benchmarks.archive_faults index       30 kill -9 while an index is built
    python -m benchmarks.archive_faults power       loss of power at every fsync and at every acknowledgement
    python -m benchmarks.archive_faults bitflips    1,000 single-bit flips over all files
    python -m benchmarks.archive_faults writers     8 writers x 50 commits, 2 readers, 1 that compacts
    python -m benchmarks.archive_faults full        a full disk at 50 points: limited file sizes, and a tmpfs
    python -m benchmarks.archive_faults mixing      50 pairs of encoder, recipe, dimension, kind and metric
    python -m benchmarks.archive_faults hostile     100 hostile names, filters and paths; nothing is unpickled
    python -m benchmarks.archive_faults offline     import and search open no socket
    python -m benchmarks.archive_faults dask        kill -9 of workers that fill an archive from simulated files
    python -m benchmarks.archive_faults objects     an S3 on loopback: kills, many writers, broken connections

`-n` changes the number, `--seed` the points. Exit status 1 where something was not as it should be.
tests/archive/test_faults.py runs a short form of each.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from unittest import mock

import numpy as np

from pyspedas_similarity.archive import lance_index, locations
from pyspedas_similarity.archive.index import Index
from pyspedas_similarity.archive.lance_store import LanceStore
from pyspedas_similarity.archive.locations import place_of
from pyspedas_similarity.archive.neighbors import MIN_RECALL
from pyspedas_similarity.archive.objects import LEASE_S
from pyspedas_similarity.archive.rows import Identity, Rows, content_hashes, make_rows
from pyspedas_similarity.errors import ArchiveError, BusyArchiveError, MixingError, SimilarityError

IDENTITY = Identity("frame", "encoder-a", "recipe-a", 16)
START, STEP = np.datetime64("2015-10-16", "ns"), np.timedelta64(3, "s")
BATCH = 50
# Number of the first batch that all writers add.
_SHARED = 100_000
# Names the file that tells readers that the writers are done.
_STOP = "ARCHIVE_FAULTS_STOP"


def batch(number: int, rows: int = BATCH) -> Rows:
    """Batch `number` of an endless series: what it holds follows from its number."""
    numbers = np.arange(number * rows, (number + 1) * rows)
    embeddings = np.array([np.random.default_rng(one).standard_normal(16) for one in numbers], np.float32)
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    start = START + numbers * STEP
    return make_rows(embeddings, start, start + STEP, f"source{number % 3}", "fsmi", numbers % 5)


def dictionary(rows: Rows) -> dict[bytes, bytes]:
    """Content hash -> everything else, as bytes."""
    keys = content_hashes(rows, IDENTITY).view("V16")
    columns = [getattr(rows, one.name) for one in dataclasses.fields(Rows)]
    return {bytes(key): b"|".join(_bytes(one) for one in row) for key, *row in zip(keys, *columns, strict=True)}


def contents(store: LanceStore, version: int | None = None) -> tuple[dict[bytes, bytes], int]:
    """What a version gives by the two ways that a search reads, and how many rows it says are damaged."""
    heads = store.heads(version)
    embeddings = np.full((len(heads), IDENTITY.dimension), np.nan, np.float32)
    for numbers, block in store.blocks(heads):
        embeddings[numbers] = block
    intact = np.isfinite(embeddings).all(axis=1)
    texts = [np.array([names[code] for code in codes], object) for names, codes in _labels(heads)]
    rows = make_rows(embeddings, heads.start, heads.end, *texts, heads.quality).take(intact)
    found = {
        bytes(key): value for key, value in zip(heads.ids[intact].view("V16"), dictionary_values(rows), strict=True)
    }
    if len(found) != len(rows):
        raise AssertionError("a row is there twice")
    return found, heads.damaged + int((~intact).sum())


def dictionary_values(rows: Rows) -> list[bytes]:
    columns = [getattr(rows, one.name) for one in dataclasses.fields(Rows)]
    return [b"|".join(_bytes(one) for one in row) for row in zip(*columns, strict=True)]


def search(store: LanceStore, like: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The ten nearest rows: start times, and scores."""
    index = Index(store)
    rows, scores = index.nearest(like, 10)
    starts = np.concatenate([one.start for one in index.series]) if index.series else np.zeros(0, "datetime64[ns]")
    return starts[rows], scores


def kill(n: int, seed: int, folder: Path, archive: Path | str | None = None, longest: float = 0.06) -> dict:
    """Kill a writer at any moment, and let the next one try again what was not acknowledged."""
    rng, archive, found = random.Random(seed), archive or folder / "archive", Counter()
    LanceStore.create(archive, IDENTITY)
    acknowledged = 0
    with Nursery(folder) as nursery:
        for turn in range(n):
            if turn % 8 == 7:
                LanceStore(archive).compact()  # so that reading everything after each kill stays quick
            with nursery.worker("append", archive, acknowledged) as worker:
                last = acknowledged + rng.randrange(4)
                # Of what it has printed, nothing may be lost, whether it was read before the kill or after.
                for line in worker.stdout:
                    acknowledged = int(line.split()[1]) + 1
                    if acknowledged > last:
                        break
                time.sleep(rng.uniform(0, longest))
                worker.kill()
                for line in worker.stdout:
                    acknowledged = int(line.split()[1]) + 1 if line.endswith("\n") else acknowledged
            found["kills"] += 1
            found["left unsealed"] += _uncommitted(archive)
            there, damaged = contents(LanceStore(archive))
            found["partial batches"] += len(there) % BATCH != 0
            found["damaged"] += damaged
            missing = acknowledged * BATCH - len(there)
            found["acknowledged rows lost"] += max(missing, 0)
            found["committed but not acknowledged"] += missing < 0
    store = LanceStore(archive)
    for number in range(acknowledged):
        found["rows added by a blind retry of everything"] += store.append(batch(number)).added
    there, _ = contents(store)
    whole = len(there) // BATCH
    truth = {key: value for number in range(whole) for key, value in dictionary(batch(number)).items()}
    found["wrong rows"] = len(dict(there.items() ^ truth.items()))
    found["acknowledged batches"], found["rows"] = acknowledged, len(there)
    found["sound"] = int(store.verify().sound)
    bad = ("acknowledged rows lost", "partial batches", "damaged", "wrong rows")
    bad += ("rows added by a blind retry of everything",)
    return judged(found, bad, found["sound"] == 1)


def compaction(n: int, seed: int, folder: Path) -> dict:
    """Kill maintenance at any moment."""
    found = _killed("compact", n, seed, folder, 0.5, _after_compaction)
    bad = [key for key in found if "differ" in key or key.startswith(("not ", "leases", "more"))]
    return judged(found, bad, True)


def _killed(command: str, n: int, seed: int, folder: Path, longest: float, after: Callable) -> Counter:
    """Kill a worker at any moment, each in a copy of one archive, and count what is found afterward."""
    rng, found = random.Random(seed), Counter()
    template = folder / "template"
    store = LanceStore.create(template, IDENTITY)
    for number in range(24):
        store.append(batch(number))
    truth, _ = contents(store)
    like = batch(3).embeddings[7]
    answer = search(store, like)
    with Nursery(folder) as nursery:
        for turn in range(n):
            if command == "index" and turn == n // 2:
                store.build_index()
            archive = folder / f"turn{turn}"
            shutil.copytree(template, archive)
            with nursery.worker(command, archive, 0) as worker:
                worker.stdout.readline()
                time.sleep(rng.uniform(0, longest))
                worker.kill()
            found["kills"] += 1
            found.update(after(LanceStore(archive), truth, like, answer))
            shutil.rmtree(archive)
    return found


def _differences(store: LanceStore, truth: dict, like: np.ndarray, answer: tuple) -> dict[str, int]:
    """Count rows and answers that are not as before."""
    there, damaged = contents(store)
    same = all(np.array_equal(*pair) for pair in zip(search(store, like), answer, strict=True))
    return {"rows that differ": len(dict(there.items() ^ truth.items())) + damaged, "answers that differ": not same}


def _after_compaction(store: LanceStore, truth: dict, like: np.ndarray, answer: tuple) -> Counter:
    found: Counter = Counter()
    done = sum(one.what == "compact" for one in store.versions())
    states = ("before the first was done", "between the first and the second", "after the second")
    found[f"kills {states[done]}"] += 1
    found.update(_differences(store, truth, like, answer))
    began = time.monotonic()
    store.compact()
    found["leases not freed"] += time.monotonic() - began > 30
    found["not sound after the next compaction"] += not store.verify().sound
    found["rows that differ after it"] += contents(store)[0] != truth
    found["more than one file then"] += len(store.snapshot().files()) > 1
    return found


def index(n: int, seed: int, folder: Path) -> dict:
    """Kill the building of an index at any moment, the first or one that takes the place of another."""
    found = _killed("index", n, seed, folder, 0.25, _after_index)
    bad = [key for key in found if "differ" in key or key.startswith(("not ", "proposals"))]
    return judged(found, bad, True)


def _after_index(store: LanceStore, truth: dict, like: np.ndarray, answer: tuple) -> Counter:
    found: Counter = Counter()
    near = store.near(store.heads())
    found[f"kills that left {'no index' if near is None else 'a measured index'}"] += 1
    found.update(_differences(store, truth, like, answer))
    if near is not None:
        found["proposals without the nearest"] += not _proposes_the_first(store, near, like, answer)
    found["not sound"] += not store.verify().sound
    found["not built the next time"] += store.build_index() < MIN_RECALL or store.near(store.heads()) is None
    found["rows that differ after it"] += contents(store)[0] != truth
    return found


def _proposes_the_first(store: LanceStore, near: object, like: np.ndarray, answer: tuple) -> bool:
    heads = store.heads()
    return answer[0][0] in heads.start[near.propose(like, 10)]


def _index_of_few_rows() -> contextlib.AbstractContextManager:
    """Of so few it is of no use, but can be lost and damaged like a large one."""
    return mock.patch.object(lance_index, "MIN_ROWS", 100)


class Disk:
    """What of a folder would be there after a loss of power, by the fsync calls that Python made.

    A name is there if its folder was synced after it was made, a file holds what it held when it was last synced, or
    nothing. Calls that Lance would make are not seen; strace counts none. What a real disk keeps beyond that is luck,
    except that it does not lie about fsync, which is taken for granted.
    """

    def __init__(self, root: Path) -> None:
        self.root, self.synced, self.names = root, {}, {}
        self.calls = 0
        self.at_call: Callable[[], None] = lambda: None

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Watch os.fsync."""
        fsync = os.fsync

        def watching(handle: int) -> None:
            self.at_call()  # power may go just before
            fsync(handle)
            self.calls += 1
            path = Path(os.readlink(f"/proc/self/fd/{handle}"))
            if path.is_relative_to(self.root):
                if path.is_dir():
                    self.names[path] = {one.name: (one.stat().st_ino, one.is_dir()) for one in path.iterdir()}
                else:
                    self.synced[os.fstat(handle).st_ino] = path.read_bytes()

        os.fsync = locations.os.fsync = watching
        try:
            yield
        finally:
            os.fsync = locations.os.fsync = fsync

    def after_power_loss(self, target: Path) -> None:
        """Write what is left into a folder."""
        shutil.rmtree(target, ignore_errors=True)
        self._write(self.root, target)

    def _write(self, folder: Path, target: Path) -> None:
        target.mkdir(parents=True)
        for name, (inode, is_folder) in self.names.get(folder, {}).items():
            if is_folder:
                self._write(folder / name, target / name)
            else:
                (target / name).write_bytes(self.synced.get(inode, b""))


def power(n: int, seed: int, folder: Path) -> dict:
    """Lose the power at every fsync and after every acknowledgement of `n` operations."""
    rng, found = random.Random(seed), Counter()
    root, left = folder / "archive", folder / "left"
    root.mkdir()
    disk = Disk(root)
    before = after = {}
    states: dict[int, dict] = {1: {}}

    def lose(allowed: list[dict], when: str) -> None:
        disk.after_power_loss(left)
        found[f"losses of power {when}"] += 1
        try:
            there, damaged = contents(LanceStore(left))
        except SimilarityError as error:
            found[f"not opened {when}: {error}"] += 1
            return
        found[f"wrong {when}"] += there not in allowed or damaged > 0

    with disk.watched(), _index_of_few_rows():
        store = LanceStore.create(root, IDENTITY)
        lose([{}], "after acknowledgement")
        for turn in range(n):
            every = ["append", "append", "append", "compact", "restore", "forget", "index"]
            what = "append" if turn < 3 else rng.choice(every)
            what = "append" if what == "index" and len(before) < lance_index.MIN_ROWS else what
            if what == "append":
                after = before | dictionary(batch(turn))
            elif what == "restore":
                version = rng.choice([one.number for one in store.versions()])
                after = states[version]
            else:
                after = before
            pair = [before, after]
            disk.at_call = lambda pair=pair: lose(pair, "at an fsync")
            if what == "append":
                number = store.append(batch(turn)).version
            elif what == "restore":
                number = store.restore(version)
            elif what == "compact":
                number = store.compact()
            elif what == "index":
                store.build_index()
                number = store.latest()
            else:
                store.forget(4)
                number = store.latest()
            disk.at_call = lambda: None
            states[number] = before = after
            found[what] += 1
            lose([after], "after acknowledgement")
            survivor = LanceStore(left)
            found["not usable afterward"] += survivor.append(batch(10_000)).added != BATCH
            found["not sound afterward"] += not survivor.verify().sound
    found["fsync calls"] = disk.calls
    bad = [key for key in found if key.startswith(("wrong", "not "))]
    return judged(found, bad, True)


def bitflips(n: int, seed: int, folder: Path) -> dict:
    """Flip one bit anywhere, and read, search, verify and repair; in other processes, should one die of it."""
    template = folder / "template"
    store = LanceStore.create(template, IDENTITY)
    for number in range(6):
        store.append(batch(number))
    store.compact(3 * BATCH)
    with _index_of_few_rows():
        store.build_index()
    store.append(batch(6))
    found: Counter = Counter()
    for first in range(0, n, 50):
        with _worker("flip", template, seed * 1_000_003 + first, min(50, n - first)) as worker:
            lines = worker.stdout.read().splitlines()
            worker.wait()
        for line in lines:
            found.update(json.loads(line))
        if len(lines) < min(50, n - first):
            found["processes that died"] += 1
    bad = [key for key in found if key.startswith(("silently", "other error", "processes", "repair"))]
    return judged(found, bad, found["flips"] == n)


def writers(
    n: int, seed: int, folder: Path, number: int = 8, readers: int = 2, archive: Path | str | None = None
) -> dict:
    """Writers that overlap, readers and one that compacts, all at once; `n` commits by each writer."""
    archive, found, stop = archive or folder / "archive", Counter(), folder / "stop"
    LanceStore.create(archive, IDENTITY)
    os.environ[_STOP] = str(stop)
    with contextlib.ExitStack() as stack:
        writing = [stack.enter_context(_worker("write", archive, one, n)) for one in range(number)]
        reading = [stack.enter_context(_worker("read", archive, one)) for one in range(readers)]
        compacting = stack.enter_context(_worker("tidy", archive, 0))
        for one in writing:
            out, _ = one.communicate()
            found["commits"] += out.count("ack ")
            found["writers that failed"] += one.returncode != 0
        stop.touch()
        for one in (*reading, compacting):
            for key, value in json.loads(one.communicate()[0] or '{"others that failed": 1}').items():
                found[key] += value
    stop.unlink()
    store = LanceStore(archive)
    # Writer w wrote batches w * n ... w * n + n - 1 of its own and, in turn, the shared ones.
    truth = dictionary(Rows.joined([batch(one) for one in _numbers_of_writers(number, n)]))
    there, damaged = contents(store)
    found["rows"] = len(there)
    found["rows lost, wrong or too many"] = len(dict(there.items() ^ truth.items())) + damaged
    found["not sound"] = int(not store.verify().sound)
    found["compactions"] = sum(one.what == "compact" for one in store.versions())
    bad = (
        "rows lost, wrong or too many",
        "not sound",
        "writers that failed",
        "others that failed",
        "reads that went back",
        "wrong reads",
    )
    return judged(found, bad, found["compactions"] > 0 and found["reads"] > 0)


def full(n: int, seed: int, folder: Path) -> dict:
    """Run out of room while appending or compacting."""
    found: Counter = Counter()
    with _worker("limited", folder / "archive", seed, n) as worker:
        found.update(json.loads(worker.communicate()[0] or '{"processes that died": 1}'))
    found.update(_full_tmpfs(max(n // 5, 1), seed, folder))
    bad = [key for key in found if key.startswith(("wrong", "other error", "processes", "not "))]
    return judged(found, bad, found["typed errors"] > 0)


def mixing(n: int, seed: int, folder: Path) -> dict:
    """Try to put into an archive what is of another identity, in one to four ways at once."""
    rng, found = random.Random(seed), Counter()
    changes = {"kind": "window", "encoder": "encoder-b", "recipe": "recipe-b", "dimension": 8, "metric": "dot"}
    archive = folder / "archive"
    LanceStore.create(archive, IDENTITY).append(batch(0))
    before = {path: path.read_bytes() for path in archive.rglob("*") if path.is_file()}
    for turn in range(n):
        names = [list(changes)[turn % 5]] if turn < 5 else rng.sample(list(changes), rng.randint(1, 4))
        other = dataclasses.replace(IDENTITY, **{name: changes[name] for name in names})
        try:
            LanceStore.create(archive, other)
            found["accepted"] += 1
        except MixingError as error:
            found["refused"] += 1
            found["reasons not told"] += sum(name not in str(error) for name in names)
            found["way out not told"] += "archive" not in error.remedy
    found["files changed"] = sum(path.read_bytes() != text for path, text in before.items())
    return judged(found, ("accepted", "reasons not told", "way out not told", "files changed"), found["refused"] == n)


HOSTILE = [
    "../../escaped", "/tmp/escaped", "..\\..\\escaped", "a/b/c", "~root", "$(touch escaped)", "`touch escaped`",
    "' OR '1'='1", "'; DROP TABLE rows; --", '" OR ""="', "source = 'a' OR true", "%s%n%x", "\x00", "a\x00b", "\n\r\t",
    "\ud800", "\U0001f4a9" * 50, "." * 5000, "", " ", "CON", "nul.txt", "<script>", "{0.__class__}", "*", "[a-z]", "?",
    "_versions", "rows.lance", "archive.json", "-rf", "--version", "NaN", "None", "0", "\u202e", "\ufeff",
]  # fmt: skip


def hostile(n: int, seed: int, folder: Path) -> dict:
    """Names as sources, sites and filters, and as paths; with an alarm on unpickling."""
    from pyspedas_similarity.archive.archive import Archive, export_archive, import_archive

    found, alarm = Counter(), []
    sys.addaudithook(lambda event, arguments: alarm.append(event) if event.startswith("pickle.") else None)
    rng = random.Random(seed)
    names = (HOSTILE + ["".join(rng.choices("'\"\\/.;%_-*\x00\n[]a", k=12)) for _ in range(n)])[:n]
    (folder / "inside").mkdir()
    archive = Archive(folder / "inside" / "archive")
    here = Path.cwd() / "escaped"
    for number, name in enumerate(names):
        texts = np.empty(BATCH, object)
        texts[:] = [name] * BATCH  # np.full would cut off a NUL at the end
        rows = dataclasses.replace(batch(number), source=texts, site=texts)
        try:
            archive.begin(IDENTITY).append(rows)
            found["kept"] += 1
        except ArchiveError:
            found["refused"] += 1
            continue
        series = [one for one in archive.index().series if (one.source, one.site) == (name, name)]
        found["names that changed"] += len(series) != 1 or len(series[0]) % BATCH != 0
    export_archive(archive, folder / "inside" / "all.parquet")
    found["rows imported"] = import_archive(
        Archive(folder / "inside" / "again"), folder / "inside" / "all.parquet"
    ).added
    outside = [path for path in folder.iterdir() if path.name != "inside"]
    strange = [
        path for path in (folder / "inside" / "archive").rglob("*") if not _is_ours(path, folder / "inside" / "archive")
    ]
    found["files outside"] = len(outside) + here.exists() + Path("/tmp/escaped").exists()
    found["strange files inside"] = len(strange)
    found["things unpickled"] = len(alarm)
    bad = ("names that changed", "files outside", "strange files inside", "things unpickled")
    return judged(found, bad, found["kept"] * BATCH == found["rows imported"])


def offline(n: int, seed: int, folder: Path) -> dict:
    """Import, fill, search and verify in a process that records every socket."""
    with _worker("offline", folder / "archive", 0) as worker:
        out = worker.communicate()[0]
    found = Counter(json.loads(out or '{"processes that died": 1}'))
    return judged(found, ("sockets", "names looked up", "processes that died"), found["rows"] == BATCH)


def spread(n: int, seed: int, folder: Path) -> dict:
    """Kill one of two Dask workers at any moment of `n` fillings of an archive from simulated files."""
    import logging

    logging.disable(logging.WARNING)  # pyspedas tells every file it opens, Dask every worker it loses
    rng, found, data = random.Random(seed), Counter(), _simulated_files(folder / "data")
    for name in ("first", "serial"):  # the first imports
        found["seconds alone"] = _fill(folder / name, data)
    truth = _everything(folder / "serial")
    found["samples"] = len(truth)
    for number in (1, 2):
        with _cluster(number) as client:
            _fill(folder / f"warm{number}", data, client)
            found[f"seconds with {number} worker{'s'[: number - 1]}"] = _fill(folder / f"timed{number}", data, client)
            found["not the same without kills"] += _everything(folder / f"timed{number}") != truth
    for turn in range(n):
        with _cluster(2) as client:
            _fill(folder / f"warm{turn}", data | {"trange": [str(START), str(START + np.timedelta64(15, "s"))]}, client)
            moment = rng.uniform(0, found["seconds with 2 workers"])
            with _killing(client, moment, found):
                _fill(folder / f"turn{turn}", data, client)
        found.update(_after_kill(folder / f"turn{turn}", truth))
    bad = [key for key in found if key.startswith(("not ", "rows ", "left"))]
    return judged(found, bad, found["kills while it had a task"] > 0)


def _simulated_files(root: Path) -> dict:
    """Twelve files of simulated electrons in the layout of the MMS archive, and the arguments that add them."""

    from pyspedas.projects.mms.mms_load_data_spdf import CONFIG

    from pyspedas_similarity.simulate.fpi import simulate_event
    from tests import fpi_files

    fpi_files.write_tree(root, simulate_event(3, start=START + np.timedelta64(10, "s"), duration_s=48.0), segments=12)
    CONFIG["local_data_dir"] = str(root)
    return {
        "instrument": "mms_des",
        "trange": [str(START), str(START + np.timedelta64(60, "s"))],
        "load_keywords": {"no_update": True},
    }


@contextlib.contextmanager
def _cluster(number: int) -> Iterator[object]:
    """A client of so many workers, in processes of their own."""
    import logging

    from distributed import Client, LocalCluster

    quiet = {"threads_per_worker": 1, "host": "127.0.0.1", "dashboard_address": "127.0.0.1:0"}
    with LocalCluster(n_workers=number, **quiet) as cluster, Client(cluster) as client:
        client.run(logging.disable, logging.WARNING)
        yield client


def _fill(archive: Path, data: dict, client: object = None) -> float:
    """Seconds that it takes."""
    import pyspedas_similarity as sim

    began = time.monotonic()
    sim.add(archive, client=client, progress=False, **data)
    return round(time.monotonic() - began, 1)


def _everything(archive: Path) -> dict:
    """Source and start time -> all that is kept of a sample, as bytes."""
    store = LanceStore(archive)
    heads = store.heads()
    rows = store.take(heads, np.arange(len(heads)))
    kept = zip(rows.source, rows.start.astype(np.int64), heads.ids.view("V16"), dictionary_values(rows), strict=True)
    found = [((source, int(start)), bytes(key) + value) for source, start, key, value in kept]
    if len(dict(found)) != len(found):
        raise AssertionError("a sample is there twice")
    return dict(found)


@contextlib.contextmanager
def _killing(client: object, moment: float, found: Counter) -> Iterator[None]:
    """Kill one of the workers a moment after work began."""
    import threading

    address, process = next(iter(client.run(os.getpid).items()))

    def kill_one() -> None:
        time.sleep(moment)
        found["kills while it had a task"] += bool(client.processing([address]).get(address))
        os.kill(process, signal.SIGKILL)
        found["kills"] += 1

    killer = threading.Thread(target=kill_one)
    killer.start()
    try:
        yield
    finally:
        killer.join()


def _after_kill(archive: Path, truth: dict) -> dict:
    found: Counter = Counter()
    there = _everything(archive)
    found["rows lost or too many"] = len(there.keys() ^ truth.keys())
    found["rows with other bits"] = sum(there.get(key) not in (None, value) for key, value in truth.items())
    store = LanceStore(archive)
    listed = set(store.snapshot().files())
    found["left files of no version"] = len(
        {path.name for path in (archive / "rows.lance" / "data").iterdir()} - listed
    )
    found["not sound"] = not store.verify().sound
    return dict(found)


def objects(
    n: int, seed: int, folder: Path, chosen: Sequence[str] = ("kill", "compaction", "writers", "connections")
) -> dict:
    """An archive in an object store: kill writers and maintenance, let many write at once, and break connections."""
    from tests import object_server as server_of

    found, address = {}, f"s3://archives/{folder.name}"
    with server_of.serving() as server, environment(server.environment):
        parts = {
            "kill": lambda: kill(n, seed, folder, f"{address}/kill", 0.4),
            "compaction": lambda: _killed_maintenance(
                max(n // 10, 1), seed, folder / "maintenance", f"{address}/maintenance"
            ),
            "writers": lambda: writers(max(n // 10, 2), seed, folder, 4, 1, f"{address}/writers"),
            "connections": lambda: _broken_connections(server, n, seed, f"{address}/connections"),
        }
        (folder / "maintenance").mkdir()
        for name in chosen:
            found |= {f"{name}: {key}": value for key, value in parts[name]().items()}
        found["requests"] = len(server.asked)
    kept = [key for key in found if key.endswith("as it should be")]
    return {key: value for key, value in found.items() if key not in kept} | {
        "as it should be": all(found[key] for key in kept)
    }


def _killed_maintenance(n: int, seed: int, folder: Path, archive: str) -> dict:
    """Kill who holds the lease; the next one gets it when it has lapsed, and no row has changed."""
    rng, found = random.Random(seed), Counter()
    store = LanceStore.create(archive, IDENTITY)
    with Nursery(folder) as nursery:
        for turn in range(n):
            for number in range(8 * turn, 8 * turn + 8):
                store.append(batch(number))
            truth, _ = contents(store)
            with nursery.worker("compact", archive, 0) as worker:
                worker.stdout.readline()
                time.sleep(rng.uniform(0, 1.0))
                worker.kill()
            found["kills"] += 1
            there, damaged = contents(LanceStore(archive))
            found["rows that differ"] += len(dict(there.items() ^ truth.items())) + damaged
            began = time.monotonic()
            while time.monotonic() < began + LEASE_S + 60:
                with contextlib.suppress(BusyArchiveError):
                    store.compact()
                    break
            waited = time.monotonic() - began
            found["leases that had to lapse"] += waited > LEASE_S / 2
            found["leases not freed"] += waited > LEASE_S + 30
            found["rows that differ after it"] += contents(store) != (truth, 0)
            found["more than one file then"] += len(store.snapshot().files()) > 1
            found["not sound"] += not store.verify().sound
    bad = [key for key in found if key.startswith(("rows that", "leases not", "more", "not "))]
    return judged(found, bad, True)


def _broken_connections(server: object, n: int, seed: int, archive: str) -> dict:
    """Every tenth request is lost, its answer is, or the server is busy; what is not acknowledged is tried again."""
    rng, found = random.Random(seed), Counter()
    store, truth = LanceStore.create(archive, IDENTITY), {}

    def fault(number: int, method: str, path: str) -> str | None:
        chosen = rng.choice(["lost", "unanswered", "busy"]) if rng.random() < 0.1 else None
        found[f"requests {chosen}"] += chosen is not None
        return chosen

    for number in range(n):
        server.fault, acknowledged = fault, False
        while not acknowledged:
            try:
                store.append(batch(number))
                acknowledged = True
            except ArchiveError:
                found["typed errors"] += 1
            except Exception as error:
                found[f"other error {type(error).__name__}: {error}"[:150]] += 1
                break
        server.fault = lambda number, method, path: None
        truth |= dictionary(batch(number))
        found["acknowledged"] += acknowledged
        found["wrong rows"] += contents(LanceStore(archive)) != (truth, 0)
    found["not sound"] = int(not store.verify().sound)
    bad = [key for key in found if key.startswith(("other error", "wrong", "not "))]
    return judged(found, bad, found["acknowledged"] == n)


@contextlib.contextmanager
def environment(values: dict[str, str]) -> Iterator[None]:
    """Set variables for a while, for the workers as well."""
    before = dict(os.environ)
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def judged(found: Counter, bad: object, otherwise: bool) -> dict:
    return dict(found) | {"as it should be": bool(otherwise and not any(found[key] for key in bad))}


class Nursery:
    """Starts workers without the seconds that imports take: a process that has imported everything forks them.

    It has opened no archive, so that Lance's threads, which do not survive a fork, are not there yet.
    """

    def __init__(self, folder: Path) -> None:
        self._pipe = folder / "pipe"
        os.mkfifo(self._pipe)

    def __enter__(self) -> Nursery:
        command = [sys.executable, "-m", "benchmarks.archive_faults", "_fork", str(self._pipe)]
        quiet = os.environ | {"RUST_BACKTRACE": "0", "OMP_NUM_THREADS": "1"}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        self._process = subprocess.Popen(command, text=True, env=quiet, **pipes)
        return self

    def __exit__(self, *error: object) -> None:
        self._process.communicate()

    @contextlib.contextmanager
    def worker(self, task: str, archive: Path | str, number: int) -> Iterator[Child]:
        """One worker; it is dead afterward."""
        self._process.stdin.write(json.dumps([task, str(archive), number]) + "\n")
        self._process.stdin.flush()
        with self._pipe.open() as lines:  # waits until the worker opens its end
            child = Child(int(self._process.stdout.readline()), lines)
            try:
                yield child
            finally:
                child.kill()
                lines.read()  # ends when the worker has


@dataclasses.dataclass
class Child:
    """A worker that was forked, and the lines that it prints."""

    pid: int
    stdout: object

    def kill(self) -> None:
        """With SIGKILL, dead or not."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)


def _where(archive: str) -> Path | str:
    return archive if "://" in archive else Path(archive)


def _work_fork(pipe: Path) -> None:
    import lance.fragment  # noqa: F401
    import pyarrow  # noqa: F401

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them
    for line in sys.stdin:
        task, archive, number = json.loads(line)
        pid = os.fork()
        if pid == 0:
            with pipe.open("w") as out, contextlib.redirect_stdout(out):
                globals()["_work_" + task](_where(archive), number)
            os._exit(0)
        print(pid, flush=True)


@contextlib.contextmanager
def _worker(task: str, archive: Path | str, *numbers: int) -> Iterator[subprocess.Popen]:
    command = [sys.executable, "-m", "benchmarks.archive_faults", "_" + task, str(archive), *map(str, numbers)]
    quiet = os.environ | {"RUST_BACKTRACE": "0", "OMP_NUM_THREADS": "1"}
    worker = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=quiet)
    try:
        yield worker
    finally:
        worker.kill()
        worker.wait()
        worker.stdout.close()


def _work_append(archive: Path | str, first: int) -> None:
    store = LanceStore(archive)
    for number in range(first, 10**6):
        store.append(batch(number))
        print("ack", number, flush=True)


def _work_compact(archive: Path | str, _: int) -> None:
    store = LanceStore(archive)
    print("start", flush=True)
    store.compact(8 * BATCH)
    store.compact()
    store.forget(2)
    print("done", flush=True)


def _work_index(archive: Path, _: int) -> None:
    store = LanceStore(archive)
    print("start", flush=True)
    store.build_index()
    print("done", flush=True)


def _numbers_of_writers(number: int, n: int) -> list[int]:
    return [*range(number * n), *range(_SHARED, _SHARED + n)]


def _work_write(archive: Path | str, writer: int, n: int) -> None:
    store = LanceStore(archive)
    for one in range(n):
        store.append(Rows.joined([batch(writer * n + one), batch(_SHARED + one)]))
        print("ack", one, flush=True)


def _work_read(archive: Path | str, _: int) -> None:
    found: Counter = Counter()
    last = (0, 0)
    store = LanceStore(archive)
    while not Path(os.environ[_STOP]).exists():
        there, damaged = contents(store)
        heads = store.heads()
        found["reads"] += 1
        found["reads that went back"] += (heads.version, len(there)) < last or len(there) < last[1]
        found["wrong reads"] += len(there) % BATCH != 0 or damaged > 0
        last = (heads.version, len(there))
    print(json.dumps(found))


def _work_tidy(archive: Path | str, _: int) -> None:
    store, found = LanceStore(archive), Counter()
    while not Path(os.environ[_STOP]).exists():
        before = store.latest()
        found["compactions that were told"] += store.compact() > before
        time.sleep(0.2)
    print(json.dumps(found))


def _work_flip(template: Path, seed: int, n: int) -> None:
    truth, _ = contents(LanceStore(template))
    like = batch(3).embeddings[7]
    answer = search(LanceStore(template), like)
    files = sorted(path for path in template.rglob("*") if path.is_file() and path.stat().st_size)
    for number in range(n):
        rng = random.Random(seed + number)
        target = template.with_name(f"flipped-{os.getpid()}")
        shutil.copytree(template, target)
        file = target / rng.choice(files).relative_to(template)
        where = "archive.json and its copy" if file.parent == target else file.parent.name
        where = "the index" if file.parent.parent.name == "_indices" else where
        raw = bytearray(file.read_bytes())
        raw[rng.randrange(len(raw))] ^= 1 << rng.randrange(8)
        file.write_bytes(raw)
        print(json.dumps(_after_flip(target, truth, like, answer) | {"flips": 1, f"in {where}": 1}), flush=True)
        shutil.rmtree(target)


def _after_flip(archive: Path, truth: dict, like: np.ndarray, answer: tuple) -> dict:
    found: Counter = Counter()
    try:
        there, damaged = contents(LanceStore(archive))
        found["rows told to be damaged"] += damaged
        found["silently wrong rows"] += sum(truth.get(key) != value for key, value in there.items())
        found["silently missing rows"] += len(truth) - len(there) - damaged
        outcome = "nothing changed" if there == truth else "rows left out and told"
        starts, scores = search(LanceStore(archive), like)
        keep = np.isin(answer[0], starts)
        same = np.array_equal(starts[: keep.sum()], answer[0][keep]) and np.array_equal(
            scores[: keep.sum()], answer[1][keep]
        )
        found["silently wrong answers"] += not same
        store = LanceStore(archive)
        heads = store.heads()
        near = store.near(heads)
        if near is None:
            found["index not used"] += 1
        elif damaged == 0:
            proposed = heads.start[near.propose(like, 10)]
            found["silently wrong answers of the index"] += not set(answer[0]) <= set(proposed)
    except SimilarityError:
        outcome = "refused with a typed error"
    except Exception as error:
        outcome = f"other error {type(error).__name__}: {error}"[:150]
    found[outcome] += 1
    with contextlib.suppress(SimilarityError):
        store = LanceStore(archive)
        report = store.repair()
        found["found by verify"] += not report.sound
        there, damaged = contents(store)
        found["repairs that were wrong"] += not (there.items() <= truth.items()) or damaged > 0
        found["repairs that are not sound"] += not store.verify().sound
        found["rows given up by repair"] += len(truth) - len(there)
    return dict(found)


def _work_limited(archive: Path, seed: int, n: int) -> None:
    """Files may not grow beyond a size that is drawn anew each time: the data file, the manifest or the seal fails."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    rng, found = random.Random(seed), Counter()
    store = LanceStore.create(archive, IDENTITY)
    expected = {}
    for number in range(n):
        limit = int(10 ** rng.uniform(1.5, 4.5))
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
        rows = batch(number)
        try:
            if number % 5 == 4:
                store.compact()
            else:
                store.append(rows)
                expected |= dictionary(rows)
            found["went through"] += 1
        except ArchiveError:
            found["typed errors"] += 1
        except Exception as error:
            found[f"other error {type(error).__name__}: {error}"[:150]] += 1
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        found.update(_after_full(store, archive, expected, rows))
    print(json.dumps(found))


def _after_full(store: LanceStore, archive: Path, expected: dict, rows: Rows) -> dict:
    """Committed rows are there, to a new reader too, and with room the same batch is taken."""
    found: Counter = Counter()
    found["points"] += 1
    found["wrong rows"] += contents(LanceStore(archive)) != (expected, 0)
    store.append(rows)
    expected |= dictionary(rows)
    found["not going on"] += contents(LanceStore(archive)) != (expected, 0)
    return found


def _full_tmpfs(n: int, seed: int, folder: Path) -> dict:
    """The same on a small tmpfs that is filled up to some bytes; where one may be mounted."""
    mount = folder / "tmpfs"
    mount.mkdir()
    asked = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(mount)], capture_output=True, check=False
    )
    if asked.returncode:
        return {"tmpfs may not be mounted here": 1}
    rng, found = random.Random(seed), Counter()
    try:
        store = LanceStore.create(mount / "archive", IDENTITY)
        expected: dict = {}
        for number in range(n):
            rows = batch(number)
            usage = shutil.disk_usage(mount)
            (mount / "filler").write_bytes(bytes(max(usage.free - 4096 * rng.randrange(6), 0)))
            try:
                store.append(rows)
                expected |= dictionary(rows)
                found["went through on tmpfs"] += 1
            except ArchiveError:
                found["typed errors"] += 1
            except Exception as error:
                found[f"other error {type(error).__name__}: {error}"[:150]] += 1
            (mount / "filler").unlink()
            found.update(_after_full(store, mount / "archive", expected, rows))
            found["points on tmpfs"] += 1
    finally:
        subprocess.run(["umount", str(mount)], check=False)
    return found


def _work_offline(archive: Path, _: int) -> None:
    found: Counter = Counter({"sockets": 0, "names looked up": 0})

    def watch(event: str, arguments: tuple) -> None:
        # urllib3, which pyspedas imports, binds one to ::1 to learn whether there is IPv6, and closes it.
        at_home = event == "socket.bind" and arguments[1][0] in ("::1", "127.0.0.1")
        found["sockets bound to this machine by an import"] += at_home
        found["sockets"] += event in ("socket.connect", "socket.bind", "socket.sendto") and not at_home
        found["names looked up"] += event in ("socket.getaddrinfo", "socket.gethostbyname")

    sys.addaudithook(watch)
    import pyspedas_similarity as sim

    kept = sim.open_archive(archive)
    kept.begin(IDENTITY).append(batch(0))
    found["rows"] = len(kept)
    sim.find_similar(archive=kept, like=str(START), errors="raise")
    kept.verify()
    kept.compact(keep=1)
    print(json.dumps(found))


def _uncommitted(archive: Path | str) -> int:
    from pyspedas_similarity.archive.commit_records import committed_versions, manifest_versions

    place = place_of(archive)
    return sum(one > max(committed_versions(place)) for one in manifest_versions(place))


def _is_ours(path: Path, archive: Path) -> bool:
    top = path.relative_to(archive).parts[0]
    return top in (
        "archive.json",
        "archive.copy.json",
        "locks",
        "seals",
        "rows.lance",
    ) and path.resolve().is_relative_to(archive)


def _labels(heads: object) -> list[tuple]:
    return [(heads.sources, heads.source), (heads.sites, heads.site)]


def _bytes(value: object) -> bytes:
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tobytes()
    return repr(value).encode()


TESTS = {
    "kill": (kill, 200),
    "compaction": (compaction, 30),
    "index": (index, 30),
    "power": (power, 60),
    "bitflips": (bitflips, 1000),
    "writers": (writers, 50),
    "full": (full, 50),
    "mixing": (mixing, 50),
    "hostile": (hostile, 100),
    "offline": (offline, 1),
    "dask": (spread, 12),
    "objects": (objects, 50),
}


def command(about: str, tests: dict[str, tuple[Callable, int]]) -> int:
    """Run the test that the command line names, print what it found, and return the exit status."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("test", choices=tests)
    parser.add_argument("-n", type=int)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    test, number = tests[chosen.test]
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        began = time.monotonic()
        found = test(chosen.n or number, chosen.seed, Path(folder).resolve())
    print(f"{chosen.test} (n={chosen.n or number}, seed={chosen.seed}), {time.monotonic() - began:.0f} s")
    for key, value in found.items():
        print(f"  {key}: {value}")
    return 0 if found["as it should be"] else 1


def main() -> int:
    if len(sys.argv) > 1 and sys.argv[1].startswith("_"):
        globals()["_work" + sys.argv[1]](_where(sys.argv[2]), *map(int, sys.argv[3:]))
        return 0
    return command(__doc__, TESTS)


if __name__ == "__main__":
    sys.exit(main())
