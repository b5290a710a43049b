"""Libraries of embeddings in an archive."""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from .. import tplot
from ..archive.archive import Archive
from ..archive.index import Choice, Index
from ..archive.index import Series as IndexedSeries
from ..archive.rows import Identity
from ..archive.store import Part
from ..encoder.cards import blocks_of
from ..encoder.library_view import LibraryView
from ..encoder.runtime import Encoder
from ..encoder.weights import check_not_removed
from ..errors import ArgumentError, MixingError, VariableError
from ..imaging.recipes import FrameRecipe, recipe_from_dict
from ..instruments.registry import instrument_named
from ..provenance import METHOD, versions
from ..times import Span, to_spans
from ..tplot import Variable
from .plan import EncodingOptions, Plan, is_available_by_name, make_plan
from .samples import prepare
from .series import Library, LoadedSeries, Series, frame_series


class ArchivedSeries(Series):
    """Embeddings of one source and site in an archive, of the version of an index."""

    without_embedding = "its row in the archive is damaged"

    def __init__(self, archive: Archive, index: Index, indexed: IndexedSeries, name: str, searched: np.ndarray) -> None:
        self.archive, self.index, self.indexed, self.name = archive, index, indexed, name
        self.times, self._searched = indexed.start, searched

    @property
    def searched(self) -> np.ndarray:
        """Samples that get a score: those in the time range, and of camera frames the usable ones."""
        return self._searched

    @property
    def stretch(self) -> slice:
        """Rows of the index from the first to the last sample that is searched."""
        inside = np.flatnonzero(self.searched)
        if not len(inside):
            return slice(self.indexed.first, self.indexed.first)
        return slice(self.indexed.first + int(inside[0]), self.indexed.first + int(inside[-1]) + 1)

    def holds(self, rows: np.ndarray) -> np.ndarray:
        """Return which rows of the index are of this series: bool."""
        return (rows >= self.indexed.first) & (rows < self.indexed.first + len(self.times))

    def embeddings(self, rows: np.ndarray) -> np.ndarray:
        """Return the embeddings of some samples."""
        return self.index.embeddings(self.indexed.first + rows)

    def cosines(self, view: LibraryView, directions: np.ndarray) -> np.ndarray:
        """Return the cosine between each sample and the nearest direction."""
        rows = slice(self.indexed.first, self.indexed.first + len(self.times))
        # Of plain cosines the rows have unit length: their lengths need not be computed.
        given = None if view.is_plain else view
        return self.index.scores(directions, [self.stretch], given)[rows].astype(np.float64)

    @property
    def provenance(self) -> dict[str, Any]:
        """Record of archive, encoder, recipe and source, in plain values."""
        identity, card, site = self.archive.identity, self.archive.identity.card, self.indexed.site
        key = "probe" if site[-1:].isdigit() else "site"
        return {
            "source": self.indexed.source,
            "name": self.name,
            "station": {key: site} if site else {},
            "encoder": {"name": card.get("name", ""), "method": card.get("method", ""), "hash": identity.encoder},
            "recipe": dict(identity.settings) | {"hash": identity.recipe},
            "archive": {"path": str(self.archive.path), "version": self.index.version, "damaged": self.index.damaged},
            "versions": versions(),
            "reference": METHOD,
        }


@dataclass(frozen=True, eq=False, kw_only=True)
class ArchiveLibrary(Library):
    """The part of an archive that is searched; `choice` is None for all of it."""

    archive: Archive
    index: Index
    choice: Choice | None = None

    @property
    def kept_references(self) -> dict[str, Any] | None:
        """Return the references of searches of all rows of this version, each of up to 50 MB; None for a choice."""
        return self.index.references if self.choice is None else None


def open_archived(
    archive: Archive | str | Path, names: Any, trange: Any, probe: Any, options: EncodingOptions
) -> ArchiveLibrary | None:
    """Open part of an archive, by sources (wildcards), time ranges, and probes or sites; None where it is empty."""
    if options.active_only:
        raise ArgumentError("active_only", "an archive does not hold the activity of frames", "Leave it out.")
    archive = as_archive(archive)
    index = archive.index()
    check_encoder_of(archive, options.encoder)
    spans = None if trange is None else to_spans(trange)
    found = []
    for one in _matching(index.series, names, probe, options.instrument):
        searched = _inside(one, spans)
        if options.usable_only is not False:
            searched &= one.quality == 0
        if searched.any():
            found.append((one, searched))
    if not found:
        return None
    titles = _names([one for one, _ in found])
    series = tuple(
        ArchivedSeries(archive, index, one, title, searched)
        for (one, searched), title in zip(found, titles, strict=True)
    )
    choice = _choice(index, series, spans, options)
    open_other = _other_series(archive, index, options)
    blocks = blocks_of(archive.identity.card)
    one_frame = _frame_series(archive, options) if archive.identity.kind == FrameRecipe.kind else None
    return ArchiveLibrary(
        series, series, open_other, None, {}, blocks, one_frame, archive=archive, index=index, choice=choice
    )


def as_archive(archive: Any) -> Archive:
    """Return an archive, opened if it was given by its path."""
    if isinstance(archive, Archive):
        return archive
    if isinstance(archive, (str, Path)):
        return Archive(archive)
    raise ArgumentError("archive", f"found {archive!r:.80}", "Give what open_archive returns, or a folder.")


def open_reference(reference: Any) -> ArchiveLibrary:
    """Open the archive that similarity is relative to; ArgumentError if it is none, or empty."""
    if not isinstance(reference, (Archive, str, Path)):
        raise ArgumentError("reference", f"found {reference!r:.80}", "Give 'library', an archive, a folder, or None.")
    library = open_archived(reference, None, None, None, EncodingOptions())
    if library is None:
        raise ArgumentError("reference", f"the archive {reference} is empty", "Give another, or 'library'.")
    return library


def check_same_encoder(library: Library, reference: Library) -> None:
    """Raise ArgumentError unless two libraries have the same encoder and recipe, as a reference needs."""
    mine, theirs = (one.series[0].provenance for one in (library, reference))
    for key in ("encoder", "recipe"):
        if mine[key]["hash"] != theirs[key]["hash"]:
            their, own = (f"{one[key].get('name', '')} {one[key]['hash']}".strip() for one in (theirs, mine))
            remedy = "Give an archive made with the same encoder and recipe, or search with its encoder=."
            raise ArgumentError("reference", f"its {key} ({their}) is not that of the search ({own})", remedy)


def identity_of(plan: Plan, dimension: int) -> Identity:
    """Return the identity of an archive that holds embeddings made by a plan."""
    card, recipe = json.loads(plan.encoder.card.to_json()), plan.recipe
    return Identity(recipe.kind, plan.encoder.hash, recipe.hash, dimension, card=card, settings=recipe.to_dict())


def check_encoder_of(archive: Archive, encoder: Any) -> None:
    """Raise MixingError if an encoder was given that is not that of an archive.

    A name stands for the archive's encoder of that name: one fitted anew ('pca') would have another hash.
    """
    if encoder is None:
        return
    identity = archive.identity
    kept = identity.card.get("name", "")
    given = encoder.card.name if isinstance(encoder, Encoder) else str(encoder)
    same = encoder.hash == identity.encoder if isinstance(encoder, Encoder) else given == kept
    if not same:
        found = f"the encoder given ({given!r}) is not that of its embeddings ({kept!r}, hash {identity.encoder})"
        raise MixingError(f"archive {archive.path}", found, "Leave encoder out, or fill another archive with it.")


def with_encoder_of(options: EncodingOptions, archive: Archive) -> EncodingOptions:
    """Return the options with the encoder of an archive, where none is given and its name identifies it."""
    if options.encoder is not None or not archive.begun:
        return options
    card = archive.identity.card
    name = card.get("name", "")
    check_not_removed(name, card.get("method", ""), f"archive {archive.path}")
    return replace(options, encoder=name) if is_available_by_name(name) else options


def _other_series(archive: Archive, index: Index, options: EncodingOptions) -> Any:
    """Return a function that opens a series that is not searched: of the archive, or of a loaded variable."""

    def open_other(name: str) -> Series:
        for one, title in zip(index.series, _names(index.series), strict=True):
            if title == name:
                return ArchivedSeries(archive, index, one, name, np.ones(len(one), bool))
        variable = tplot.read(name)
        plan = _plan_as(archive, variable, options)
        return LoadedSeries(prepare(variable, plan), plan)

    return open_other


def _frame_series(archive: Archive, options: EncodingOptions) -> Any:
    """Return a function that encodes a frame as those in the archive were; their orientation is taken for its own."""

    def series_of(frame: np.ndarray) -> LoadedSeries:
        recipe = recipe_from_dict(archive.identity.settings)
        variable = Variable("like", np.zeros(1, "datetime64[ns]"), frame[None])
        return frame_series(frame, _plan_as(archive, variable, replace(options, instrument=None, recipe=recipe)))

    return series_of


def _plan_as(archive: Archive, variable: Variable, options: EncodingOptions) -> Plan:
    """Return the plan for a variable, by the encoder of an archive; MixingError if it does not fit the archive."""
    plan = make_plan([variable], with_encoder_of(options, archive))
    archive.identity.check(identity_of(plan, archive.identity.dimension), str(archive.path))
    return plan


def _choice(
    index: Index, series: Sequence[ArchivedSeries], spans: Sequence[Span] | None, options: EncodingOptions
) -> Choice | None:
    mask = np.zeros(len(index), bool)
    for one in series:
        mask[one.indexed.first : one.indexed.first + len(one.times)] = one.searched
    if mask.all():
        return None
    named = tuple((one.indexed.source, one.indexed.site) for one in series)
    times = None if spans is None else tuple((one.start, one.end) for one in spans)
    part = Part(named, times, options.usable_only is not False, float(mask.mean()))
    return Choice(mask, [one.stretch for one in series], part)


def _matching(series: Iterable[IndexedSeries], names: Any, probe: Any, instrument: str | None) -> list[IndexedSeries]:
    series = list(series)
    patterns = None if names is None else ([names] if isinstance(names, str) else list(names))
    sites = None if probe is None else {str(one).lower() for one in ([probe] if np.ndim(probe) == 0 else probe)}
    if instrument is not None:
        glob = instrument_named(instrument).variables
        series = [one for one in series if fnmatch.fnmatchcase(one.source, glob)]
    sources = {one.source for one in series}
    found = [
        one
        for one in series
        if (patterns is None or any(_is_named(one.source, str(pattern), sources) for pattern in patterns))
        and (sites is None or _is_one_of(one.site, sites))
    ]
    if patterns is not None and series and not found and sites is None:
        held = ", ".join(sorted({one.source for one in series})[:8])
        raise VariableError(str(names), "the archive holds nothing of this name", f"It holds {held}.")
    return found


def _is_named(source: str, pattern: str, sources: set[str]) -> bool:
    """Return True if a pattern means a source: a name that exists means itself only."""
    return source == pattern if pattern in sources else fnmatch.fnmatchcase(source, pattern)


def _is_one_of(site: str, sites: set[str]) -> bool:
    """Compare as loaders do: 'mms1' is also 1, and 'rbspa' also 'a'."""
    return site.lower() in sites or site[-1:].lower() in sites


def _inside(series: IndexedSeries, spans: Sequence[Span] | None) -> np.ndarray:
    if spans is None:
        return np.ones(len(series), bool)
    found = np.zeros(len(series), bool)
    for span in spans:
        first, last = np.searchsorted(series.start, span.start), np.searchsorted(series.start, span.end, side="right")
        found[first:last] = True
    return found


def _names(series: Sequence[IndexedSeries]) -> list[str]:
    """Return a name for each series: its source, with the site where the source occurs at several sites."""
    sources = [one.source for one in series]
    return [one.source if sources.count(one.source) == 1 else f"{one.source}_{one.site}" for one in series]
