"""Public functions that search."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..archive.archive import Archive
from ..conventions import check_result_names, nothing_found, pyspedas_convention, result_names
from ..encoder.runtime import Encoder
from ..errors import ArgumentError, QueryError, VariableError
from ..imaging.recipes import Recipe
from ..library.archived import check_same_encoder, open_archived, open_reference
from ..library.panels import PanelLibrary, is_for_panels, open_panels
from ..library.plan import EncodingOptions, resolve_encoder
from ..library.samples import Request
from ..library.series import Library, LoadedSeries, open_loaded
from ..results.search_result import SearchResult
from ..search.query import Example, find_queries, parse_query
from ..search.reference import KIND, LIBRARY
from ..search.search_series import SearchSettings, search_library
from ..times import to_interval
from ..tplot import expand_measured, has_groups

__all__ = ["find_similar", "search"]

logger = logging.getLogger(__name__)

_SPAN = "Give a time, or an interval."


@pyspedas_convention(lambda: SearchResult.empty("bad input"), errors="raise")
def search(
    data: str | int | Iterable[str | int] | Archive | Path | None = None,
    like: Any = None,
    *,
    trange: Any = None,
    instrument: str | None = None,
    probe: Any = None,
    encoder: str | Path | Encoder | None = None,
    k: int | None = None,
    threshold: float | str | None = None,
    fdr: float | None = None,
    exclude: Any = "auto",
    unlike: Any = None,
    archive: Archive | str | Path | None = None,
    recipe: Recipe | None = None,
    together: bool = False,
    field: str | None = None,
    velocity: str | None = None,
    usable_only: bool | None = None,
    active_only: bool = False,
    looking_for: str = KIND,
    reference: Archive | str | Path | None = LIBRARY,
    progress: bool = True,
    load_keywords: Mapping[str, Any] | None = None,
) -> SearchResult:
    """Search for the intervals that look like a query.

    Parameters
    ----------
    data : str, int, list of them, Archive or Path, optional
        Loaded tplot variables, with wildcards, or an archive.
    like, trange, instrument, probe, encoder, k, threshold, fdr, exclude, unlike, archive, recipe, together, field, \
velocity, usable_only, active_only, \
looking_for, reference, progress, load_keywords, errors
        As in `find_similar`; by default errors are raised here.

    Returns
    -------
    SearchResult
        Events, scores and settings; it draws, reports and exports them. It is not changed by later searches.

    Raises
    ------
    SimilarityError
        For bad input, or if there are no data.

    Examples
    --------
    >>> import pyspedas_similarity as sim
    >>> found = sim.search('mms1_dis_dist_brst', like='2020-11-19/23:36:20')  # doctest: +SKIP
    >>> found.events, found.plot_matches()  # doctest: +SKIP
    """
    if isinstance(data, (Archive, Path)):
        if archive is not None:
            raise ArgumentError("archive", "given twice", "Give it once.")
        data, archive = None, data
    source = _Source(data, archive, trange, instrument, probe, load_keywords or {}, together)
    companions = {"field": field, "velocity": velocity}
    options = EncodingOptions(instrument, encoder, recipe, companions, progress, False, usable_only, active_only)
    settings = SearchSettings.checked(k, threshold, exclude, fdr, active_only, looking_for)
    return _run(source, (like, unlike), settings, options, reference)


@pyspedas_convention()
def find_similar(
    names: str | int | Iterable[str | int] | None = None,
    like: Any = None,
    *,
    trange: Any = None,
    instrument: str | None = None,
    probe: Any = None,
    encoder: str | Path | Encoder | None = None,
    k: int | None = None,
    threshold: float | str | None = None,
    fdr: float | None = None,
    exclude: Any = "auto",
    unlike: Any = None,
    archive: Archive | str | Path | None = None,
    newname: str | Sequence[str] | None = None,
    suffix: str | None = None,
    overwrite: bool = True,
    recipe: Recipe | None = None,
    together: bool = False,
    field: str | None = None,
    velocity: str | None = None,
    usable_only: bool | None = None,
    active_only: bool = False,
    looking_for: str = KIND,
    reference: Archive | str | Path | None = LIBRARY,
    progress: bool = True,
    load_keywords: Mapping[str, Any] | None = None,
) -> list[str]:
    """Find the intervals that look like a query, as tplot variables.

    Parameters
    ----------
    names : str, int or list of them, optional
        Loaded tplot variables: 3-D distributions (time, azimuth, polar, energy) or frames (time, row, column), with
        wildcards as in pyspedas. Without it, `instrument` and `trange` name what to load; the loaded data are not kept.
    like : time, interval, (name, time), array, image file, or a list of them
        The query or queries. A time is the sample nearest to it, if within one cadence; an interval (two times, as in
        `trange`) all samples in it; ``('name', time)`` a sample of another variable; an array a sample that is in no
        variable (tables, field and velocity are then those of the first sample of the first variable); a Path, or text
        with a suffix such as ``.png``, an image file with one frame, for searches of frames. Two single times
        are written ``[[t1], [t2]]``. A bare time belongs to the first variable with data there.
    trange : time range, optional
        With `names`: the part to search. Otherwise: the range to load.
    instrument : str, optional
        With `names`: the instrument whose recipe is used, where the name does not identify it. Otherwise: what to load.
    probe : str or list, optional
        Spacecraft, or station of a camera, to load.
    encoder : str, path or Encoder, optional
        Name of an encoder that needs no training (``pyspedas-similarity info`` lists them; 'pca' and 'random' are
        fitted to the searched data), folder of a saved one, or one from `train`. ``"structure+FOLDER"`` compares the
        features of a network next to those of 'structure'. Default: 'structure', for images of every kind; for
        electrons of MMS with a magnetic field 'structure+mms_electrons', with a network of the package.
    k : int, optional
        Number of events for each variable, the best ones, whether or not they stand out. Default: 10, or all where a
        threshold is given.
    threshold : float or 'auto', optional
        Score that the peak of an event reaches; 'auto': all events that stand out of the background. An event ends
        where the score falls below the threshold or below half of the height of its peak above the median score.
    fdr : float, optional
        In place of a threshold: largest expected share of background among the events of a variable (Benjamini and
        Hochberg), estimated from the background of the same variable.
    exclude : 'auto', seconds, timedelta or Quantity
        'auto': the own event of a query, in its variable, is not reported: on both sides until the score falls to the
        background, at least twice the decorrelation time of the scores. A duration: samples so close to a query are
        left out instead. Shorter dips of the score than this do not end an event.
    unlike : as `like`, optional
        Examples of what is not looked for. Where a sample is closer to one of them than to a query, its score is
        lowered by the difference.
    archive : Archive, str or Path, optional
        Search what `add` stored there; nothing is loaded or encoded. `names` are then the sources to search (wildcards
        allowed), `probe` their probes or sites, `trange` may be a list of time ranges, and bare times in `like` are
        looked up in the archive; ``('name', time)`` may also name another of its sources, or a loaded variable.
    newname : str or list of str, optional
        Replaces the names of the variables in those of the results.
    suffix : str, optional
        Appended to the names of the results.
    overwrite : bool
        False: existing variables of these names are an error.
    recipe : Recipe, optional
        Recipe in place of the instrument's or the encoder's.
    field, velocity : str, optional
        Names of tplot variables, (time, 3), in the axes of the distributions: magnetic field and bulk velocity. By
        default they are found by probe and data rate where the recipe needs them; a velocity that is not loaded is
        computed from the distribution.
    usable_only : bool, optional
        Give no score to camera frames with cloud, Moon or twilight, or that are saturated, dropped or doubled, as
        `frame_quality` flags them. Default: True for registered all-sky cameras, False for others. Thumbnails are too
        small to be flagged.
    active_only : bool
        Report only active camera frames.
    looking_for : {'kind', 'event'}
        'kind': the same kind of structure, wherever it is in the image. 'event': the same event, as another spacecraft
        or station, or the next minutes, show it: place and mean spectrum count as well, and what changes from one
        sample to the next counts less.
    reference : 'library', Archive, str, Path, or None
        What similarity is relative to. 'library': all that is searched; what its samples have in common is subtracted
        before they are compared. An archive made with the same encoder and recipe is a background of its own, for a
        search in a short interval around one event. None: plain cosine of the embeddings. See the page on scores.
    progress : bool
        Show a progress bar, in a terminal, for anything that takes more than two seconds.
    load_keywords : mapping, optional
        Keywords of the instrument's loader, such as ``data_rate`` or ``no_update``.
    errors : {'log', 'raise'}
        Response to bad input: log it and return [], or raise.

    Returns
    -------
    list of str
        For each variable X, as ``pyspedas.tplot`` draws them from top to bottom: where something is found in it,
        ``X_similar``, bars over the events; and ``X_similarity``, float64 (time): cosine to the nearest query, relative
        to the reference; about 0 for what is usual in it, and NaN where a sample cannot be encoded. Of each event,
        `intervals` gives the number of standard deviations above the median score (``deviations``), the share of the
        library that scores higher, the probability that a stretch of background as long as the scores' memory scores
        so high (``p_value``, where the data are long enough), and ``stands_out``: at least three standard
        deviations, and between 1/2 and 4/5 of the way from the median to 1. [] where nothing is found in any, after one
        warning; the similarity is stored nevertheless.

    Raises
    ------
    SimilarityError
        With ``errors='raise'``, for bad input. The tplot store is then unchanged.

    See Also
    --------
    intervals : the events as a table
    result : the events, scores and settings as a `SearchResult`
    search : the same search, without tplot variables

    Notes
    -----
    The method is that of Smith et al. 2024 (doi 10.1029/2023JA032096): distance between embeddings is similarity.
    Times are those of the variable's samples, UTC to the nanosecond; an event ends where its last sample ends.

    Examples
    --------
    >>> import pyspedas_similarity as sim
    >>> found = sim.find_similar('mms1_dis_dist_brst', like='2020-11-19/23:36:20')  # doctest: +SKIP
    >>> sim.intervals(found)  # doctest: +SKIP
    """
    source = _Source(names, archive, trange, instrument, probe, load_keywords or {}, together)
    companions = {"field": field, "velocity": velocity}
    options = EncodingOptions(instrument, encoder, recipe, companions, progress, False, usable_only, active_only)
    settings = SearchSettings.checked(k, threshold, exclude, fdr, active_only, looking_for)
    naming = (newname, suffix, SearchResult.ENDINGS, overwrite)
    found = _run(source, (like, unlike), settings, options, reference, naming)
    stored = found.to_tplot(newname, suffix=suffix, overwrite=overwrite)
    if len(found):
        return stored
    scores = f"; see {', '.join(stored)}" if stored else ""
    return nothing_found("; ".join(found.shortfalls) + scores)


@dataclass(frozen=True)
class _Source:
    """Data to search, as named by the caller."""

    names: Any
    archive: Any
    trange: Any
    instrument: str | None
    probe: Any
    load_keywords: Mapping[str, Any]
    together: bool

    def check(self) -> None:
        """Check names and time range; nothing is loaded."""
        if self.archive is None:
            if self.names is None and self.instrument is not None and self.trange is None:
                remedy = f"Give the time range of {self.instrument} to load, or the names of loaded variables."
                raise ArgumentError("trange", "it is missing", remedy)
            self.request()
        elif self.load_keywords:
            found = "given with an archive, from which nothing is loaded"
            raise ArgumentError(", ".join(self.load_keywords), found, "Leave it out.")

    def without_results(self) -> _Source:
        """Return the same without variables that a wildcard matched and that are no measurement; they are logged."""
        if self.archive is not None or self.names is None:
            return self
        groups = self.names if has_groups(self.names) else [self.names]
        found = [expand_measured(one) for one in groups]
        names, left_out = [one for one, _ in found], [name for _, rest in found for name in rest]
        if not left_out:
            return self
        if not all(names):
            remedy = "Give the names of measured variables."
            raise VariableError(str(self.names), f"only results of searches match ({', '.join(left_out)})", remedy)
        logger.info("left out, as results or errors: %s", ", ".join(left_out))
        return replace(self, names=names if len(names) > 1 else names[0])

    @property
    def variables(self) -> Any:
        """Names of loaded variables; None where the names are in an archive, or are not known yet."""
        return self.names if self.archive is None and not self.together else None

    def request(self) -> Request:
        return Request(self.names, self.trange, self.instrument, self.probe, self.load_keywords)

    def open(self, options: EncodingOptions, examples: Sequence[Example]) -> Library | None:
        if self.archive is not None:
            return open_archived(self.archive, self.names, self.trange, self.probe, options)
        request = self.request()
        first = next((one.span for one in examples if one.span is not None), None)
        if first is None and self.together:
            raise QueryError("like", "a search of several variables together has no time to start from", _SPAN)
        if first is not None and is_for_panels(request, options, self.together):
            return open_panels(request, options, first, self.together)
        return open_loaded(request, options)

    def record(self, companions: Mapping[str, str | None]) -> dict[str, Any]:
        """Return arguments that name the data, in plain values that attributes can hold, to load them again."""
        if self.archive is not None:
            return {}
        trange = None if self.trange is None else [str(time) for time in to_interval(self.trange)]
        probe = None if self.probe is None else np.asarray(self.probe).tolist()
        keywords = {key: _plain(one) for key, one in self.load_keywords.items()}
        keywords = {key: one for key, one in keywords.items() if one is not None}
        given = {"instrument": self.instrument, "trange": trange, "probe": probe, "load_keywords": keywords}
        return {"input": given | {key: name for key, name in companions.items() if name is not None}}

    def __str__(self) -> str:
        if self.archive is not None:
            return f"the archive {self.archive} holds nothing of this"
        return f"there are no data of {self.instrument} in {self.trange}"


def _plain(value: Any) -> Any:
    """Return a keyword of a loader as plain values; None for what has none, such as a function."""
    if isinstance(value, (list, tuple)):
        found = [_plain(one) for one in value]
        return None if any(one is None for one in found) else found
    if isinstance(value, Path):
        return str(value)
    return value if isinstance(value, (str, int, float, bool)) else None


def _run(
    source: _Source,
    like: tuple[Any, Any],
    settings: SearchSettings,
    options: EncodingOptions,
    reference: Any,
    naming: tuple[Any, ...] | None = None,
) -> SearchResult:
    """Check everything that needs no data, open the library, search.

    `like` is what is and is not looked for; `naming` the arguments after the first of `result_names`, where the result
    will be stored.
    """
    examples, unlike = parse_query(*like, channel=source.load_keywords.get("channel"))
    options = replace(options, encoder=resolve_encoder(options.encoder))
    source.check()
    source = source.without_results()
    is_library = isinstance(reference, str) and reference == LIBRARY
    background = None if reference is None or is_library else open_reference(reference)
    if naming is not None:
        check_result_names(source.variables, *naming)
    library = source.open(options, examples)
    if library is None:
        return SearchResult.empty(str(source))
    if isinstance(library, PanelLibrary) and not is_library:
        remedy = "Leave it out: units of different variables are balanced by the library."
        raise ArgumentError("reference", "panels are only compared relative to what is searched", remedy)
    if naming is not None:
        result_names([one.name for one in library.series], *naming)
    queries, others = find_queries(examples, library), find_queries(unlike, library)
    n_samples = sum(len(one.rows) for one in queries)
    word = "query" if len(queries) == 1 else "queries"
    logger.info("%d %s, %d sample%s", len(queries), word, n_samples, "s" * (n_samples != 1))
    if background is not None:
        check_same_encoder(library, background)
    relative_to = library if background is None and reference is not None else background
    matches = search_library(library, queries, others, settings, relative_to)
    record = source.record(options.companions)
    if background is not None:
        record["relative_to"] = str(background.archive.path)
    plan = next((one.plan for one in library.series if isinstance(one, LoadedSeries)), None)
    stores = [one.store for one in library.series]
    matches = [replace(one, record={**one.record, **record}) for one in matches]
    return SearchResult.of_matches(matches, stores, library.held, plan and plan.encoder)
