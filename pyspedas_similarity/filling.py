"""Public functions that keep embeddings: `open_archive` and `add`."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .archive.archive import Archive
from .archive.rows import Rows, make_rows
from .archived import as_archive, identity_of, with_encoder_of
from .encoder.runtime import Encoder
from .errors import BusyArchiveError, DamagedArchiveError
from .imaging.gate import Gate
from .imaging.recipe import Recipe
from .opening import load_variables, open_segments, within
from .pipeline import Choices, Plan, judged, make_plan, new_embeddings, prepare, prepared_segments, progress_bar
from .search.intervals import sample_ends
from .sources.registry import station_of
from .tplot import Variable

logger = logging.getLogger(__name__)

# Samples that become durable together: what a crash costs at most.
_BATCH = 4096
# Small files slow down opening and reading; so many of them are joined.
_MOST_BATCHES = 64


@dataclass(frozen=True)
class Added:
    """What became of the samples that were given to `add`.

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


def open_archive(path: str | Path, version: int | None = None, memory: float | None = None) -> Archive:
    """Open an archive of embeddings, or name the folder of one that `add` will begin.

    Parameters
    ----------
    path : str or Path
        A folder. Nothing is written before something is added.
    version : int, optional
        Look at an older state (``versions()`` lists them); default the newest at every call.
    memory : float, optional
        Gigabytes that embeddings may take in memory. An archive that needs more is read from the disk at every search.
        Default half of the machine's memory.

    Returns
    -------
    Archive
        For `add` and ``find_similar(archive=...)``. Its methods: ``versions()``, ``at(version)``, ``restore(version)``,
        ``verify()``, ``repair()``, ``compact(keep=...)``.

    Raises
    ------
    ArchiveError
        If the folder holds an archive that cannot be read.

    Examples
    --------
    >>> import pyspedas_similarity as sim
    >>> archive = sim.open_archive('electrons')  # doctest: +SKIP
    >>> sim.add(archive, instrument='mms_des', probe=1, trange=['2015-10-16', '2015-10-17'])  # doctest: +SKIP
    >>> sim.find_similar(archive=archive, like='2015-10-16/13:07:02.2')  # doctest: +SKIP
    """
    archive = Archive(path, version, None if memory is None else int(memory * 1e9))
    if archive.begun:
        logger.info("%r", archive)
    return archive


def add(
    archive: Archive | str | Path,
    names: str | int | Iterable[str | int] | None = None,
    trange: Any = None,
    instrument: str | None = None,
    probe: Any = None,
    encoder: str | Path | Encoder | None = None,
    recipe: Recipe | None = None,
    field: str | None = None,
    velocity: str | None = None,
    progress: bool = True,
    **load_keywords: Any,
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
    **load_keywords
        Keywords of the instrument's loader.

    Returns
    -------
    Added
        How many samples were added, skipped because they were there, and left out.

    Raises
    ------
    MixingError
        If these samples would be embedded by another encoder or recipe than those in the archive.
    SimilarityError
        For bad input, or where the archive cannot be written.

    Notes
    -----
    Samples of a source and start time that are in the archive are not encoded again: called once more after a crash or
    with a longer range, it goes on where it stopped. Every few thousand samples are durable before the next ones are
    made; only those are in memory, and the loaded data: for an instrument with segments one segment, else all of it.

    Camera frames of registered all-sky cameras are kept whatever their state, with the flag of `frame_quality`;
    ``find_similar(archive=...)`` leaves out those that are not usable unless told otherwise.
    """
    archive = as_archive(archive)
    archive.check_writable()
    choices = Choices(instrument, encoder, recipe, {"field": field, "velocity": velocity}, progress, usable_only=None)
    filling = _Filling(archive, with_encoder_of(choices, archive))
    batches = filling.batches(_samples(names, trange, probe, load_keywords, filling.choices))
    with closing(batches):
        for plan, rows in batches:
            filling.keep(plan, rows)
    filling.tidy()
    return filling.told()


def _samples(
    names: Any, trange: Any, probe: Any, keywords: dict[str, Any], choices: Choices
) -> Iterator[tuple[Plan, Variable]]:
    """What is to be added, piece by piece, with the plan of how it is embedded."""
    segments = open_segments(names, trange, choices.instrument, probe, keywords)
    if segments is not None:
        yield from prepared_segments(segments, choices)
        return
    loaded = load_variables(names, trange, choices.instrument, probe, keywords)
    if loaded:
        plan = make_plan(loaded, choices)
        yield from ((plan, part) for part in within([prepare(one, plan) for one in loaded], trange))


class _Filling:
    """Counts, and knows what is in the archive."""

    def __init__(self, archive: Archive, choices: Choices) -> None:
        self.archive, self.choices = archive, choices
        self._added = self._skipped = self._left_out = self._batches = 0
        self._there: dict[str, np.ndarray] | None = None

    def told(self) -> Added:
        """The result."""
        version = self.archive.version if self.archive.begun else 0
        return Added(version, self._added, self._skipped, self._left_out)

    def batches(self, pieces: Iterator[tuple[Plan, Variable]]) -> Iterator[tuple[Plan, Rows]]:
        """Rows that are new, some thousands at a time."""
        bar = None
        try:
            for plan, samples in pieces:
                self._check(plan, samples)
                bar = progress_bar(plan, desc="adding") if bar is None else bar
                wanted = ~np.isin(samples.times.astype(np.int64), self._known(samples.name))
                self._skipped += int((~wanted).sum())
                if wanted.any():
                    for rows in _joined(_rows(samples, plan, wanted)):
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

    def tidy(self) -> None:
        """Join small files where there are many."""
        if not self._batches:
            return
        since = [one.what for one in self.archive.versions()]
        since = since[len(since) - since[::-1].index("compact") :] if "compact" in since else since
        if since.count("append") >= _MOST_BATCHES:
            try:
                self.archive.compact()
            except (BusyArchiveError, DamagedArchiveError) as error:
                logger.warning("Small files stay as they are: %s", error)

    def _check(self, plan: Plan, samples: Variable) -> None:
        """Refuse to mix before anything is encoded."""
        if self.archive.begun:
            there = self.archive.identity
            there.check(identity_of(plan, there.dimension), str(self.archive.path))

    def _known(self, source: str) -> np.ndarray:
        """Start times, in nanoseconds, of the samples of a source that were there when this began."""
        if self._there is None:
            self._there = {}
            if self.archive.begun:
                heads = self.archive.store.heads()
                starts = heads.start.astype(np.int64)
                self._there = {name: starts[heads.source == code] for code, name in enumerate(heads.sources)}
        return self._there.get(source, np.zeros(0, np.int64))


def _rows(samples: Variable, plan: Plan, wanted: np.ndarray) -> Iterator[Rows]:
    """The wanted samples as rows, NaN where they cannot be encoded."""
    gate = judged(samples, plan)
    ends, place = sample_ends(samples.times), station_of(samples)
    site = next((text for text in place.values() if text), "")
    for inside, embeddings in new_embeddings(samples, plan, wanted):
        chosen = np.flatnonzero(wanted[inside]) + inside.start
        found = embeddings[wanted[inside]]
        yield make_rows(found, samples.times[chosen], ends[chosen], samples.name, site, _flags(gate, chosen))


def _flags(gate: Gate | None, chosen: np.ndarray) -> np.ndarray:
    return np.zeros(len(chosen), np.int16) if gate is None else gate.flag[chosen].astype(np.int16)


def _joined(parts: Iterator[Rows]) -> Iterator[Rows]:
    """Batches of some thousands of rows."""
    held: list[Rows] = []
    for part in parts:
        held.append(part)
        if sum(len(one) for one in held) >= _BATCH:
            yield Rows.joined(held)
            held = []
    if held:
        yield Rows.joined(held)
