"""What is searched when an archive is: its series as variables, its scores, and queries that are in it or not."""

from __future__ import annotations

import fnmatch
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .. import tplot
from ..archive.archive import Archive
from ..archive.identity import Identity
from ..archive.index import Choice, Index, Series
from ..archive.store import Part
from ..errors import ArchiveError, ArgumentError, QueryError, VariableError
from ..imaging.recipes import recipe_from_dict
from ..instruments.registry import instrument_named
from ..provenance import METHOD, versions
from ..search.query import Query, read_queries
from ..search.scoring import centers_of, less_unlike
from ..times import Span, to_spans
from ..tplot import Variable
from .encoding import Choices, Plan, embed_query, make_plan, prepare

logger = logging.getLogger(__name__)

# Attribute of the variables that stand for series of an archive.
_KEPT = "kept in an archive"


@dataclass(frozen=True, eq=False)
class Kept:
    """The part of an archive that is searched.

    Attributes
    ----------
    archive : Archive
    index : Index
    series : tuple of Series
    variables : list of Variable
        Each series; the values are the numbers of its rows.
    searched : list of numpy.ndarray of bool, one for each series
        Samples that may be found: in the time range, and usable.
    choices : Choices
    spans : tuple of Span or None
        The time range.
    """

    archive: Archive
    index: Index
    series: tuple[Series, ...]
    variables: list[Variable]
    searched: list[np.ndarray]
    choices: Choices
    spans: tuple[Span, ...] | None = None

    @property
    def choice(self) -> Choice | None:
        """The rows that are searched, or None where that is all there are."""
        mask = np.zeros(len(self.index), bool)
        for series, searched in zip(self.series, self.searched, strict=True):
            mask[series.first : series.first + len(series)] = searched
        if mask.all():
            return None
        named = tuple((one.source, one.site) for one in self.series)
        times = None if self.spans is None else tuple((one.start, one.end) for one in self.spans)
        part = Part(named, times, self.choices.usable_only is not False, float(mask.mean()))
        return Choice(mask, self._stretches, part)

    def queries(self, like: Any) -> list[Query]:
        """What `like` stands for; bare times are looked up in the archive."""
        arrays = like if isinstance(like, (list, tuple)) else [like]
        if any(getattr(one, "ndim", 0) >= 2 and one.dtype.kind in "fiu" for one in arrays):
            remedy = "Store it as a tplot variable and give ('name', time)."
            raise QueryError("like", "an array says nothing of the variable it belongs to", remedy)
        return read_queries(like, self.variables, open_other=self._other)

    def embedded(self, query: Query) -> np.ndarray:
        """Embeddings of a query's samples, (n, dimension): those that are kept, or made of a loaded variable.

        Raises
        ------
        SimilarityError
            If none can be made, or the encoder is not the archive's.
        """
        if _KEPT in query.samples.attributes:
            found = self.index.embeddings(query.samples.values)
        else:
            found = embed_query(query, self._plan(query.samples.name))
        if not np.isfinite(found).any():
            raise QueryError(f"query {query.label}", "it is damaged in the archive", "Give another query.")
        return found

    def scores(self, likes: Sequence[np.ndarray], unlikes: Sequence[np.ndarray]) -> list[np.ndarray]:
        """One score for each sample of each series, float64, NaN where it is not searched."""
        stretches = self._stretches
        found = self.index.scores(centers_of(likes), stretches)
        if unlikes:
            found = less_unlike(found, self.index.scores(centers_of(unlikes), stretches))
        parts = [found[one.first : one.first + len(one)].astype(np.float64) for one in self.series]
        return [np.where(searched, part, np.nan) for part, searched in zip(parts, self.searched, strict=True)]

    def provenance_of(self, variable: Variable) -> dict[str, Any]:
        """What made a result, in plain values."""
        identity = self.archive.identity
        card = identity.card
        encoder = {"name": card.get("name", ""), "method": card.get("method", ""), "hash": identity.encoder}
        return {
            "source": variable.attributes["source"],
            "station": variable.attributes["station"],
            "encoder": encoder,
            "recipe": dict(identity.settings) | {"hash": identity.recipe},
            "archive": {"path": str(self.archive.path), "version": self.index.version, "damaged": self.index.damaged},
            "versions": versions(),
            "reference": METHOD,
        }

    def _other(self, name: str) -> Variable:
        """A variable of the archive that is not searched, or a loaded one, for a query."""
        kept = {variable.name: variable for variable in _variables(self.index.series)}
        return kept[name] if name in kept else prepare(tplot.read(name), self._plan(name))

    def _plan(self, name: str) -> Plan:
        return plan_like([tplot.read(name)], self.choices, self.archive)

    @property
    def _stretches(self) -> list[slice]:
        """Of the index, one for each series, that hold all that is searched."""
        return [self._stretch(*pair) for pair in zip(self.series, self.searched, strict=True)]

    @staticmethod
    def _stretch(series: Series, searched: np.ndarray) -> slice:
        inside = np.flatnonzero(searched)
        if not len(inside):
            return slice(series.first, series.first)
        return slice(series.first + int(inside[0]), series.first + int(inside[-1]) + 1)


def open_kept(
    archive: Any, names: Any, trange: Any, probe: Any, choices: Choices, keywords: dict[str, Any]
) -> Kept | None:
    """The part of an archive that is meant; None where it holds nothing of it.

    Parameters
    ----------
    archive : Archive, str or Path
    names : str or list of str or None
        Sources, globs allowed.
    trange : time range, or a list of them (events), or None
    probe : str or list or None
        Probes or sites.
    choices : Choices
    keywords : dict
        Of a loader; there is none.
    """
    if keywords:
        raise ArgumentError(", ".join(keywords), "given beside an archive, from which nothing is loaded", "Leave out.")
    if choices.active_only:
        raise ArgumentError("active_only", "activity is not kept in an archive", "Leave it out.")
    archive = as_archive(archive)
    index = archive.index()
    chosen = _chosen(index.series, names, probe, choices.instrument)
    spans = None if trange is None else to_spans(trange)
    kept = []
    for series in chosen:
        searched = _inside(series, spans)
        if choices.usable_only is not False:
            searched &= series.quality == 0
        if searched.any():
            kept.append((series, searched))
    if not kept:
        return None
    variables = _variables([series for series, _ in kept])
    series, searched = (list(column) for column in zip(*kept, strict=True))
    return Kept(archive, index, tuple(series), variables, searched, choices, None if spans is None else tuple(spans))


def as_archive(archive: Any) -> Archive:
    """An archive, opened where it was given by its path."""
    if isinstance(archive, Archive):
        return archive
    if isinstance(archive, (str, Path)):
        return Archive(archive)
    raise ArgumentError("archive", f"found {archive!r:.80}", "Give what open_archive returns, or a folder.")


def identity_of(plan: Plan, dimension: int) -> Identity:
    """What makes the rows that a plan's embeddings become."""
    import json

    card = json.loads(plan.encoder.card.to_json())
    recipe = plan.recipe
    return Identity(recipe.kind, plan.encoder.hash, recipe.hash, dimension, card=card, settings=recipe.to_dict())


def with_encoder_of(choices: Choices, archive: Archive) -> Choices:
    """The choices with the archive's encoder where none is given and its name says which it is."""
    from dataclasses import replace

    from ..encoder.fitted import NAMED
    from ..encoder.shipped import SHIPPED

    name = archive.identity.card.get("name") if archive.begun else None
    return replace(choices, encoder=name) if choices.encoder is None and name in (*NAMED, *SHIPPED) else choices


def plan_like(variables: Sequence[Variable], choices: Choices, archive: Archive) -> Plan:
    """How samples become embeddings like those of an archive.

    Raises
    ------
    MixingError
        If encoder or recipe are others.
    """
    plan = make_plan(variables, with_encoder_of(choices, archive))
    archive.identity.check(identity_of(plan, archive.identity.dimension), str(archive.path))
    return plan


def recipe_of_archive(archive: Archive) -> Any:
    """The recipe its images were made by."""
    if not archive.identity.settings:
        raise ArchiveError(str(archive.path), "it does not tell its recipe", "Give recipe.")
    return recipe_from_dict(dict(archive.identity.settings))


def _chosen(series: Iterable[Series], names: Any, probe: Any, instrument: str | None) -> list[Series]:
    series = list(series)
    patterns = None if names is None else ([names] if isinstance(names, str) else list(names))
    sites = None if probe is None else {str(one).lower() for one in ([probe] if np.ndim(probe) == 0 else probe)}
    if instrument is not None:
        glob = instrument_named(instrument).variables
        series = [one for one in series if fnmatch.fnmatchcase(one.source, glob)]
    found = [
        one
        for one in series
        if (patterns is None or any(fnmatch.fnmatchcase(one.source, str(pattern)) for pattern in patterns))
        and (sites is None or _is_one_of(one.site, sites))
    ]
    if patterns is not None and series and not found and sites is None:
        there = ", ".join(sorted({one.source for one in series})[:8])
        raise VariableError(str(names), "the archive holds nothing of this name", f"It holds {there}.")
    return found


def _is_one_of(site: str, sites: set[str]) -> bool:
    """As loaders take probes: 'mms1' is also 1, and 'rbspa' also 'a'."""
    return site.lower() in sites or site[-1:].lower() in sites


def _inside(series: Series, spans: Sequence[Span] | None) -> np.ndarray:
    if spans is None:
        return np.ones(len(series), bool)
    found = np.zeros(len(series), bool)
    for span in spans:
        first, last = np.searchsorted(series.start, span.start), np.searchsorted(series.start, span.end, side="right")
        found[first:last] = True
    return found


def _variables(series: Sequence[Series]) -> list[Variable]:
    """Each series as a variable; where one source is at several sites, the names tell which."""
    sources = [one.source for one in series]
    found = []
    for one in series:
        name = one.source if sources.count(one.source) == 1 else f"{one.source}_{one.site}"
        key = "probe" if one.site[-1:].isdigit() else "site"
        about = {"source": one.source, "station": {key: one.site} if one.site else {}, _KEPT: True}
        found.append(Variable(name, one.start, one.first + np.arange(len(one)), {}, about))
    return found
