"""The work of `add` on the workers of a Dask cluster: tasks that load and encode, and the rows that they return.

    caller    cuts the work into tasks, a few for each worker at a time      ...adds their rows in the order of tasks
    worker    loads a file, or takes samples sent to it; encodes; returns rows: embeddings, times and small pictures

Only the caller writes to the archive, so a worker that dies leaves nothing behind.
"""

from __future__ import annotations

import functools
import logging
import secrets
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..archive.rows import Rows
from ..encoder.cards import Card
from ..encoder.runtime import Encoder
from ..encoder.weights import assemble
from ..errors import ArgumentError, LoadError, MixingError, SimilarityError, WorkerError
from ..imaging.recipes import DistributionRecipe, recipe_from_dict
from ..instruments.sample_images import BLOCK, select
from ..instruments.segments import Piece
from ..tplot import Variable
from .embedding import Marks, marks_of, rows_of
from .plan import EncodingOptions, Plan
from .samples import Request, prepared_segments

if TYPE_CHECKING:
    from distributed import Client, Future

logger = logging.getLogger(__name__)

# Tasks that wait or run for each worker at a time: enough that none is idle while the oldest is waited for.
_AHEAD = 4
# Bytes of samples that are sent with a task, where a worker cannot load them itself; at least one block.
_SENT_BYTES = 2**24
# How long to look away while a task runs, and how long a cluster may have no worker at all.
_LOOK_S, _PATIENCE_S = 5.0, 60.0
_SLACK = np.timedelta64(2, "m")
_EVER = int(np.iinfo(np.int64).min)
# What images need of the attributes of a variable; the rest need not travel.
_NEEDED = ("data_att", "skymap", "disc", "background")
_EXTRA = "Install pyspedas-similarity[scale], here and where the workers run."
# The tplot store is one for a process, and so is the bound of memory.
_ONE_TASK = threading.Lock()


Packed = tuple[str, tuple[tuple[str, bytes], ...]]
"""Card of an encoder as JSON, and the names and contents of its files."""


@dataclass(frozen=True)
class Job:
    """Settings shared by all tasks: hashes of encoder and recipe, settings of the recipe, and options."""

    encoder: str
    recipe: str
    settings: Mapping[str, Any]
    instrument: str | None
    thumbnails: bool = False


@dataclass(frozen=True, eq=False)
class FileTask:
    """A file that a worker is to load, with the keywords of the instrument's loader.

    `there` are the start times (int64, ns) of its samples that are in the archive; only samples later than `after` are
    taken: those before are in another file.
    """

    label: str
    trange: tuple[str, str]
    piece: Piece
    keywords: Mapping[str, Any]
    there: np.ndarray
    after: int = _EVER


@dataclass(frozen=True, eq=False)
class ArrayTask:
    """Prepared samples that are sent to a worker, with neighbors of those wanted, where images need them."""

    label: str
    samples: Variable
    wanted: np.ndarray
    marks: Marks


@dataclass(frozen=True, eq=False)
class Done:
    """Outcome of a task.

    `rows` are new; `skipped` counts samples that were there already; `lost` says why nothing could be loaded. `first`
    and `last` are start times of the samples of a file, in nanoseconds; the smallest integer where there are none.
    """

    label: str
    rows: tuple[Rows, ...]
    skipped: int
    warnings: tuple[str, ...]
    lost: str
    first: int = _EVER
    last: int = _EVER


def check_client(client: Any) -> None:
    """Raise ArgumentError for what is no usable client of a Dask cluster, or has no workers."""
    try:
        from distributed import Client
    except ImportError as error:
        raise ArgumentError("client", f"dask.distributed is not installed ({error})", _EXTRA) from error
    if not isinstance(client, Client):
        raise ArgumentError("client", f"found {client!r:.80}", "Give a dask.distributed.Client.")
    if client.asynchronous:
        raise ArgumentError("client", "it is asynchronous", "Give one made without asynchronous=True.")
    if client.status != "running":
        raise ArgumentError("client", f"it is {client.status}", "Make a new one, connected to a running scheduler.")
    if not client.nthreads():
        raise ArgumentError("client", "its cluster has no workers", "Start some: client.cluster.scale(2).")


def file_tasks(
    pieces: Iterator[Piece], trange: Sequence[Any], keywords: Mapping[str, Any], known: Any
) -> Iterator[FileTask]:
    """One task for each file; `known` returns the start times (int64) of the samples of a source in the archive."""
    for piece in pieces:
        there = known(piece.source)
        near = there[(there >= _ns(piece.start - _SLACK)) & (there <= _ns(piece.end + _SLACK))]
        yield FileTask(f"{piece.probe} {piece.name}", (str(trange[0]), str(trange[1])), piece, dict(keywords), near)


def array_tasks(samples: Variable, plan: Plan, wanted: np.ndarray) -> Iterator[ArrayTask]:
    """Tasks of the wanted samples of a prepared variable; blocks are those that are encoded without a cluster.

    The bits of an embedding may depend on which images are encoded with it.
    """
    n = len(samples.times)
    marks = marks_of(samples, plan)
    samples = replace(
        samples, attributes={key: samples.attributes[key] for key in _NEEDED if key in samples.attributes}
    )
    arrays = [samples.values, *(table for table in samples.coordinates.values() if table.ndim >= 2 and len(table) == n)]
    bytes_each = max(sum(one[:1].nbytes for one in arrays), 1)
    step = BLOCK * max(1, _SENT_BYTES // (BLOCK * bytes_each))
    beside = plan.recipe.average if isinstance(plan.recipe, DistributionRecipe) else 0
    for start in range(0, n, step):
        inside = np.zeros(n, bool)
        inside[start : start + step] = wanted[start : start + step]
        if not inside.any():
            continue
        rows = slice(max(start - BLOCK, 0) if beside else start, min(start + step + beside, n))
        label = f"{samples.name} from {samples.times[start]}"
        yield ArrayTask(label, select(samples, rows), inside[rows], marks.part(rows))


class Spread:
    """Workers of a client at work for one call of `add`; the encoder of the plan is fitted already."""

    def __init__(self, client: Client, plan: Plan) -> None:
        recipe, options = plan.recipe, plan.options
        self.client = client
        self.job = Job(plan.encoder.hash, recipe.hash, recipe.to_dict(), options.instrument, options.thumbnails)
        self._name, self._submitted = secrets.token_hex(8), 0
        # The result of a task of its own: Dask hands it from worker to worker, and makes it again where it is lost.
        self._encoder = self._submit(_packed, plan.encoder.card.to_json(), tuple(plan.encoder.files.items()))

    def results(self, tasks: Iterator[FileTask | ArrayTask]) -> Iterator[Done]:
        """Yield the outcomes of tasks, in order; only some tasks exist at a time.

        What a task raised is raised with its label; WorkerError where workers die of it or there are none.
        """
        waiting: deque[tuple[FileTask | ArrayTask, Future]] = deque()
        reached: dict[str, int] = {}
        try:
            for task in tasks:
                while len(waiting) >= _AHEAD * max(len(self.client.nthreads()), 1):
                    yield self._oldest(waiting, reached)
                waiting.append((task, self._submit(work, self.job, self._encoder, task)))
            while waiting:
                yield self._oldest(waiting, reached)
        finally:
            if waiting and self.client.status == "running":
                self.client.cancel([future for _, future in waiting])

    def _oldest(self, waiting: deque[tuple[FileTask | ArrayTask, Future]], reached: dict[str, int]) -> Done:
        """The result of the oldest task, done again where its file begins before the last one ended."""
        task, future = waiting[0]
        done = self._result(task.label, future)
        if isinstance(task, FileTask):
            last = reached.get(task.piece.source, _EVER)
            if _EVER < done.first <= last:
                task = replace(task, after=last)
                waiting[0] = (task, self._submit(work, self.job, self._encoder, task))
                done = self._result(task.label, waiting[0][1])
            reached[task.piece.source] = max(last, done.last)
        waiting.popleft()
        return done

    def _submit(self, function: Callable[..., Any], *arguments: Any) -> Future:
        import dask

        self._submitted += 1
        key = f"similarity-{self._name}-{self._submitted}"
        # Dask warns of what is sent with a task; here its size is bounded, and no worker has it.
        with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1GiB"}):
            return self.client.submit(function, *arguments, key=key, pure=False)

    def _result(self, label: str, future: Future) -> Done:
        self._wait(label, future)
        if future.status == "finished":
            return future.result()
        error = future.exception() if future.status == "error" else None
        if isinstance(error, SimilarityError):
            raise type(error)(f"{label}: {error.subject}", error.found, error.remedy) from error
        found = f"its task failed ({type(error).__name__}: {error})" if error else f"its task is {future.status}"
        raise WorkerError(label, found, "See the log of the workers; what was added before is kept.") from error

    def _wait(self, label: str, future: Future) -> None:
        """Wait until a task is done; not endlessly if no worker is left."""
        from distributed import wait

        alone = 0.0
        while True:
            with suppress(TimeoutError):
                wait(future, timeout=_LOOK_S)
                return
            alone = 0.0 if self.client.nthreads() else alone + _LOOK_S
            if alone >= _PATIENCE_S:
                raise WorkerError(label, f"the cluster has had no worker for {alone:g} s", "Start some, and add again.")


def work(job: Job, encoder: Packed, task: FileTask | ArrayTask) -> Done:
    """Do a task on a worker, with the card and the files of the encoder."""
    lost, rows, counts = "", [], {"skipped": 0, "first": _EVER, "last": _EVER}
    with _ONE_TASK, _warnings() as warnings:
        plan = _plan(job, encoder)
        if isinstance(task, ArrayTask):
            parts = rows_of(task.samples, plan, task.wanted, task.marks)
        else:
            parts = _of_file(task, plan, counts)
        try:
            rows += parts
        except LoadError as error:
            lost = f"{error.subject}: {error.found}"
    return Done(task.label, tuple(rows), **counts, warnings=tuple(warnings), lost=lost)


def _packed(card: str, files: tuple[tuple[str, bytes], ...]) -> Packed:
    """Return an encoder in plain values."""
    return card, files


def _of_file(task: FileTask, plan: Plan, counts: dict[str, int]) -> Iterator[Any]:
    """Yield the rows of a file that are not in the archive; segments are released one by one."""
    request = Request(None, task.trange, plan.options.instrument, None, task.keywords)
    for _, samples in prepared_segments(request.segments_of(task.piece), plan.options, plan):
        starts = samples.times.astype(np.int64)
        later = starts > task.after
        wanted = later & ~np.isin(starts, task.there)
        counts["skipped"] += int((later & ~wanted).sum())
        if later.any():
            counts["first"] = int(starts[later][0]) if counts["first"] == _EVER else counts["first"]
            counts["last"] = int(starts[-1])
        if wanted.any():
            yield from rows_of(samples, plan, wanted, marks_of(samples, plan))
        del samples


def _plan(job: Job, packed: Packed) -> Plan:
    """Return the plan by which the samples of a job are encoded; MixingError if it differs from that of the caller."""
    encoder, recipe = _encoder(packed), recipe_from_dict(dict(job.settings))
    if (encoder.hash, recipe.hash) != (job.encoder, job.recipe):
        found = f"it has encoder {encoder.hash} and recipe {recipe.hash}, not {job.encoder} and {job.recipe}"
        raise MixingError("worker", found, "Install the same version of the package everywhere.")
    kept = {"progress": False, "usable_only": None, "thumbnails": job.thumbnails}
    return Plan(encoder, recipe, EncodingOptions(job.instrument, encoder, recipe, {}, **kept))


@functools.lru_cache(maxsize=2)
def _encoder(packed: Packed) -> Encoder:
    card, files = packed
    return assemble(Card.from_json(card), dict(files))


@contextmanager
def _warnings() -> Iterator[list[str]]:
    """Collect the warnings that the package logs meanwhile."""
    told: list[str] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            told.append(record.getMessage())

    listener, root = Listener(logging.WARNING), logging.getLogger("pyspedas_similarity")
    root.addHandler(listener)
    try:
        yield told
    finally:
        root.removeHandler(listener)


def _ns(time: np.datetime64) -> int:
    return int(time.astype("datetime64[ns]").astype(np.int64))
