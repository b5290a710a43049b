"""Public functions that keep embeddings: `open_archive` and `add`, alone or with the workers of a cluster."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..archive.archive import Archive
from ..archive.rows import Rows
from ..conventions import pyspedas_convention
from ..encoder.runtime import Encoder
from ..errors import BusyArchiveError, DamagedArchiveError, LoadError
from ..imaging.recipes import Recipe
from ..library.archived import as_archive, identity_of, with_encoder_of
from ..library.distributed import ArrayTask, Done, FileTask, Spread, array_tasks, check_client, file_tasks
from ..library.embedding import in_batches, marks_of, rows_of
from ..library.plan import EncodingOptions, Plan
from ..library.samples import (
    Request,
    prepared_parts,
    prepared_segments,
    progress_bar,
)
from ..times import to_interval
from ..tplot import Variable

if TYPE_CHECKING:
    from distributed import Client

logger = logging.getLogger(__name__)

# Samples that become durable together: what a crash costs at most.
_BATCH = 4096
# Small files slow down opening and reading; so many of them are joined.
_MAX_BATCHES = 64
_MAX_LOGGED = 10


@dataclass(frozen=True)
class Added:
    """Outcome of `add`.

    Attributes
    ----------
    version : int
        Of the archive, with them in it; 0 where there is still none.
    added : int
        Samples that are new.
    skipped : int
        Samples that were there already.
    left_out : int
        Samples that cannot be encoded: nothing measured, or the same everywhere.
    """

    version: int
    added: int
    skipped: int
    left_out: int


def open_archive(
    path: str | Path,
    version: int | None = None,
    memory: float | None = None,
    storage_options: dict[str, str] | None = None,
) -> Archive:
    """Open an archive of embeddings, or name the folder of one that `add` will begin.

    Parameters
    ----------
    path : str or Path
        A folder, or the address of an object store: 's3://bucket/prefix', 'gs://...' or 'az://...'. Nothing is written
        before something is added, and no store is contacted before something is asked of it.
    version : int, optional
        Look at an older state (``versions()`` lists them); default the newest at every call.
    memory : float, optional
        Gigabytes that embeddings may take in memory. An archive that needs more is read from the disk at every search.
        Default half of the machine's memory.
    storage_options : dict of str, optional
        Endpoint, region and credentials of an object store, such as ``{'endpoint': ..., 'access_key_id': ...}``, by the
        names of the Rust crate object_store. Default: the environment (``AWS_ACCESS_KEY_ID``, ...). Not logged
        and not stored.

    Returns
    -------
    Archive
        For `add` and ``find_similar(archive=...)``. Its methods: ``versions()``, ``at(version)``, ``restore(version)``,
        ``verify()``, ``repair()``, ``compact(keep=...)``.

    Raises
    ------
    ArchiveError
        If the folder holds an archive that cannot be read.
    ArgumentError
        If the address or the options are not served.

    Examples
    --------
    >>> import pyspedas_similarity as sim
    >>> archive = sim.open_archive('electrons')  # doctest: +SKIP
    >>> sim.add(archive, instrument='mms_des', probe=1, trange=['2015-10-16', '2015-10-17'])  # doctest: +SKIP
    >>> sim.find_similar(archive=archive, like='2015-10-16/13:07:02.2')  # doctest: +SKIP
    """
    archive = Archive(path, version, None if memory is None else int(memory * 1e9), storage_options)
    if isinstance(archive.path, Path) and archive.begun:
        logger.info("%r", archive)
    return archive


@pyspedas_convention(lambda: Added(0, 0, 0, 0), errors="raise")
def add(
    archive: Archive | str | Path,
    names: str | int | Iterable[str | int] | None = None,
    *,
    trange: Any = None,
    instrument: str | None = None,
    probe: Any = None,
    encoder: str | Path | Encoder | None = None,
    recipe: Recipe | None = None,
    field: str | None = None,
    velocity: str | None = None,
    progress: bool = True,
    client: Client | None = None,
    thumbnails: bool = False,
    load_keywords: Mapping[str, Any] | None = None,
) -> Added:
    """Embed samples and keep them.

    Parameters
    ----------
    archive : Archive, str or Path
        From `open_archive`, or its folder; begun where there is none.
    names, trange, instrument, probe, recipe, field, velocity
        As in `find_similar`.
    encoder : str, path or Encoder, optional
        As in `find_similar`; default the archive's own, where it is one that has a name.
    progress : bool
        Show a progress bar, in a terminal, on anything over two seconds.
    client : dask.distributed.Client, optional
        Let its workers load and encode. They have to see the folder of the data under the same path, and need this
        package with its extra ``scale``; only the caller writes to the archive.
    thumbnails : bool
        Keep a small picture of each sample as it was measured, some kilobytes, so that `report` and `review` can show
        what was found without loading anything. It takes some milliseconds a sample.
    load_keywords : mapping, optional
        Keywords of the instrument's loader.

    Returns
    -------
    Added
        How many samples were added, skipped because they were there, and left out.

    Raises
    ------
    MixingError
        If these samples would be embedded by another encoder or recipe than those in the archive.
    WorkerError
        If a task fails on a worker or kills one after the other; it names the file or the time.
    SimilarityError
        For bad input, or where the archive cannot be written.

    Notes
    -----
    Samples of a source and start time that are in the archive are not encoded again: called once more after a crash or
    with a longer range, it continues where it stopped. Every few thousand samples are durable before the next ones are
    made; only those are in memory, and the loaded data: of an instrument one segment, or one day (two hours of HPCA and
    Cluster CIS); all of a time series or spectrogram.

    Camera frames of registered all-sky cameras are kept whatever their state, with the flag of `frame_quality`;
    ``find_similar(archive=...)`` leaves out unusable ones by default.

    With a client, the first segment is loaded here to choose encoder and recipe. Then each task is one file of an
    instrument with segments; of other instruments and of `names`, which are loaded here, some 16 MB of samples that are
    sent to a worker. A few tasks for each worker exist at a time. What came back is added in the order of the tasks,
    some thousands of samples at a time. The rows are those that are made without a client, to the last bit where
    libraries and processors are the same. A worker does one task at a time, however many threads it has, in the memory
    that `add` takes alone.
    """
    request = Request(names, trange, instrument, probe, load_keywords or {})
    archive = as_archive(archive)
    archive.check_writable()
    if client is not None:
        check_client(client)
    companions = {"field": field, "velocity": velocity}
    options = EncodingOptions(
        instrument, encoder, recipe, companions, progress, usable_only=None, thumbnails=bool(thumbnails)
    )
    filling = _Filling(archive, with_encoder_of(options, archive))
    if client is not None:
        _spread(client, filling, request)
    else:
        with closing(filling.batches(prepared_parts(request, filling.options))) as batches:
            for plan, rows in batches:
                filling.keep(plan, rows)
    filling.tidy()
    return filling.summary()


def _spread(client: Client, filling: _Filling, request: Request) -> None:
    """Add the data of a request by the workers of a client."""
    tasks: Iterator[FileTask | ArrayTask]
    pieces = request.pieces()
    if pieces is not None:
        plan = _plan_of_first(request.segments(), filling)
        if plan is None:
            return
        tasks = file_tasks(pieces, to_interval(request.trange), request.load_keywords, filling.known)
    else:
        parts = prepared_parts(request, filling.options)
        first = next(parts, None)
        if first is None:
            return
        plan = first[0]
        filling.check(*first)  # before anything is sent
        tasks = _tasks_of_parts(chain([first], parts), filling)
        del first  # no part is in memory while a later one is loaded
    with closing(Spread(client, plan).results(tasks)) as results:
        filling.join(plan, results)


def _tasks_of_parts(parts: Iterator[tuple[Plan, Variable]], filling: _Filling) -> Iterator[ArrayTask]:
    """Yield the tasks of the samples that are not in the archive, one prepared part after another."""
    for plan, samples in parts:
        filling.check(plan, samples)
        yield from array_tasks(samples, plan, filling.wanted(samples))
        del samples


def _plan_of_first(segments: Iterator[Any], filling: _Filling) -> Plan | None:
    """Return the plan of the first segment; None if there is none."""
    with closing(segments), closing(prepared_segments(segments, filling.options)) as prepared:
        for plan, samples in prepared:
            filling.check(plan, samples)
            return plan
    return None


class _Filling:
    """Filling of an archive: new rows, and counts."""

    def __init__(self, archive: Archive, options: EncodingOptions) -> None:
        self.archive, self.options = archive, options
        self._added = self._skipped = self._left_out = self._batches = 0
        self._there: dict[str, np.ndarray] | None = None

    def summary(self) -> Added:
        """Return the counts."""
        version = self.archive.version if self.archive.begun else 0
        return Added(version, self._added, self._skipped, self._left_out)

    def batches(self, pieces: Iterator[tuple[Plan, Variable]]) -> Iterator[tuple[Plan, Rows]]:
        """Rows that are new, some thousands at a time."""
        bar = None
        try:
            for plan, samples in pieces:
                self.check(plan, samples)
                bar = progress_bar(plan.options.progress, desc="adding") if bar is None else bar
                wanted = self.wanted(samples)
                if wanted.any():
                    for rows in in_batches(rows_of(samples, plan, wanted, marks_of(samples, plan)), _BATCH):
                        yield plan, rows
                        bar.update(len(rows))
                del samples
        finally:
            if bar is not None:
                bar.close()

    def keep(self, plan: Plan, rows: Rows) -> None:
        """Make a batch durable."""
        measured = np.isfinite(rows.embeddings).all(axis=1)
        self._left_out += int((~measured).sum())
        if measured.any():
            store = self.archive.begin(identity_of(plan, rows.embeddings.shape[1]))
            appended = store.append(rows.take(measured))
            self._added += appended.added
            self._skipped += appended.skipped
            self._batches += appended.added > 0

    def join(self, plan: Plan, results: Iterator[Done]) -> None:
        """Make durable what workers return, some thousands of rows at a time."""
        held, lost, warnings = [], {}, []
        with progress_bar(plan.options.progress, desc="adding") as bar:
            try:
                for done in results:
                    self._skipped += done.skipped
                    warnings += done.warnings
                    lost |= {done.label: done.lost} if done.lost else {}
                    held += done.rows
                    bar.update(sum(map(len, done.rows)))
                    if sum(map(len, held)) >= _BATCH:
                        rows, held = Rows.joined(held), []
                        self.keep(plan, rows)
            finally:
                if held:  # what came before an error or an interrupt stays, as it does without workers
                    self.keep(plan, Rows.joined(held))
        self._log(warnings, lost)

    def _log(self, warnings: list[str], lost: dict[str, str]) -> None:
        """Log the warnings of workers and the files that could not be loaded; LoadError if nothing was loaded."""
        if lost and not (self._added or self._skipped or self._left_out):
            named = "; ".join(f"{label} ({why})" for label, why in list(lost.items())[:_MAX_LOGGED])
            raise LoadError(str(self.archive.path), f"nothing could be loaded: {named}", "Look whether workers see it.")
        messages = list(dict.fromkeys([*warnings, *(f"{label}: {why}" for label, why in lost.items())]))
        for one in messages[:_MAX_LOGGED]:
            logger.warning("%s", one)
        if len(messages) > _MAX_LOGGED:
            logger.warning("Workers logged %d more warnings.", len(messages) - _MAX_LOGGED)

    def tidy(self) -> None:
        """Join small files where there are many."""
        if not self._batches:
            return
        since = [one.what for one in self.archive.versions()]
        since = since[len(since) - since[::-1].index("compact") :] if "compact" in since else since
        if since.count("append") >= _MAX_BATCHES:
            try:
                self.archive.compact()
            except (BusyArchiveError, DamagedArchiveError) as error:
                logger.warning("Small files stay as they are: %s", error)

    def wanted(self, samples: Variable) -> np.ndarray:
        """Return which samples are not in the archive, bool (n,); count the others."""
        wanted = ~np.isin(samples.times.astype(np.int64), self.known(samples.name))
        self._skipped += int((~wanted).sum())
        return wanted

    def check(self, plan: Plan, samples: Variable) -> None:
        """Refuse to mix before anything is encoded."""
        if self.archive.begun:
            there = self.archive.identity
            there.check(identity_of(plan, there.dimension), str(self.archive.path))

    def known(self, source: str) -> np.ndarray:
        """Start times, in nanoseconds, of the samples of a source that were there when this began."""
        if self._there is None:
            self._there = {}
            if self.archive.begun:
                heads = self.archive.store.heads()
                starts = heads.start.astype(np.int64)
                self._there = {name: starts[heads.source == code] for code, name in enumerate(heads.sources)}
        return self._there.get(source, np.zeros(0, np.int64))
