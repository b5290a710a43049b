"""Search of a library: scores of each series, and the events in them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from ..encoder.library_view import LibraryView
from ..errors import ArgumentError, VariableError
from ..library.series import Library, Series
from ..times import cadence, sample_ends, to_timedelta64
from .background import Background, fit_background
from .events import Events, outside, own_event, peak_events
from .query import Query, query_records
from .reference import KIND, QUESTIONS, Reference, sample_library
from .scoring import ScoreScale, decorrelation_lag, lower_unlike, query_directions, query_means

logger = logging.getLogger(__name__)

DEFAULT_K = 10
"""Number of events where neither a number nor a threshold is asked for."""

_LOOKS_LIKE = 0.5
"""Score from which a sample looks like the query, for the warning that most of a library does."""


@dataclass(frozen=True)
class SearchSettings:
    """Settings by which scores become events.

    Attributes
    ----------
    k : int or None
        Number of events of a series, the best ones; None: `DEFAULT_K`, or all where there is a threshold.
    threshold : float, 'auto' or None
        Score that the peak of an event reaches; 'auto': see `scoring.ScoreScale.threshold`; None: none is required.
    exclude : numpy.timedelta64 or None
        Samples this close to a query are not reported; None: those of the query's own event.
    fdr : float or None
        False discovery rate, in place of a threshold.
    active_only : bool
        Report only active camera frames.
    looking_for : {'kind', 'event'}
        See `reference.QUESTIONS`.
    """

    k: int | None = None
    threshold: float | str | None = None
    exclude: np.timedelta64 | None = None
    fdr: float | None = None
    active_only: bool = False
    looking_for: str = KIND

    @classmethod
    def checked(
        cls, k: Any, threshold: Any, exclude: Any, fdr: Any, active_only: bool = False, looking_for: Any = KIND
    ) -> SearchSettings:
        """Check the arguments of a search: each in its range, and not both a threshold and a false discovery rate."""
        if k is not None:
            check_count("k", k)
        if not is_auto(threshold):
            check_threshold(threshold, ", 'auto'")
        if fdr is not None and not (_is_number(fdr) and 0 < fdr < 1):
            raise ArgumentError("fdr", f"found {fdr!r}", "Give a share between 0 and 1, such as 0.05, or None.")
        if fdr is not None and threshold is not None:
            raise ArgumentError("fdr", "given with a threshold", "Give one of them.")
        if not isinstance(looking_for, str) or looking_for not in QUESTIONS:
            raise ArgumentError("looking_for", f"found {looking_for!r:.60}", f"Give one of {', '.join(QUESTIONS)}.")
        return cls(k, threshold, check_exclude(exclude), fdr, active_only, looking_for)

    @property
    def threshold_by(self) -> str:
        """Origin of the threshold: 'caller', 'fdr', or 'background' where none is required."""
        if self.fdr is not None:
            return "fdr"
        return "background" if self.threshold is None or is_auto(self.threshold) else "caller"


@dataclass(frozen=True, eq=False)
class SeriesMatches:
    """Scores of one series, and the events in it.

    Attributes
    ----------
    times : numpy.ndarray of datetime64[ns], shape (n,)
    scores : numpy.ndarray of float64, shape (n,)
        NaN where a sample was not searched or has no embedding.
    events : Events
    calibration : mapping of str to numpy.ndarray, shape (m,)
        ``deviations``, ``share_higher``, ``p_value`` (NaN where the background could not be fitted) and ``stands_out``
        of the events.
    record : mapping
        Provenance and settings, in plain values.
    shortfall : str
        Reason why nothing was found, for the warning; empty if something was.
    """

    times: np.ndarray
    scores: np.ndarray
    events: Events
    calibration: Mapping[str, np.ndarray] = field(default_factory=dict)
    record: Mapping[str, Any] = field(default_factory=dict)
    shortfall: str = ""


def search_library(
    library: Library,
    queries: Sequence[Query],
    unlike: Sequence[Query],
    settings: SearchSettings,
    reference: Library | None = None,
) -> list[SeriesMatches]:
    """Score every sample of a library and find the events.

    `reference` is the library that similarity is relative to; None: plain cosines of embeddings. QueryError if a query
    cannot be encoded, VariableError if no sample of a series can.
    """
    likes, others = ([one.embeddings() for one in group] for group in (queries, unlike))
    if reference is None:
        view = LibraryView.plain(likes[0].shape[1], "no reference")
    else:
        weights = library.block_weights(likes, others)
        view = _reference_of(reference, settings.looking_for, weights).view(likes)
    likes, others = (_targets(view, group, library.by_length) if group else None for group in (likes, others))
    scores = [_scores(series, view, likes, others) for series in library.series]
    known = np.concatenate(scores)
    ranked = np.sort(known[np.isfinite(known)])
    _log_majority(ranked, view.is_plain)
    about = {"view": view.to_record()}
    return [
        _matches(series, found, (queries, unlike), settings, ranked, about, partial(series.extents, view, likes))
        for series, found in zip(library.series, scores, strict=True)
    ]


def _targets(view: LibraryView, queries: Sequence[np.ndarray], by_length: bool) -> np.ndarray:
    """Return what samples are compared with: a direction for each query, or where lengths count its mean projection."""
    if by_length:
        return query_means(map(view.project, queries))
    return query_directions(map(view.directions, queries))


def _log_majority(scores: np.ndarray, is_plain: bool) -> None:
    """Warn where most of what is searched looks like the query."""
    share = float((scores > _LOOKS_LIKE).mean()) if scores.size else 0.0
    if share > 0.5:
        why = "embeddings are compared without a reference" if is_plain else "similarity is relative to the rest"
        text = "%.0f %% of what is searched looks like the query (score above %g): %s."
        logger.warning(text, 100 * share, _LOOKS_LIKE, why)


def _scores(series: Series, view: LibraryView, likes: np.ndarray, others: np.ndarray | None) -> np.ndarray:
    scores = series.cosines(view, likes)
    if others is not None:
        scores = lower_unlike(scores, series.cosines(view, others))
    if not np.isfinite(scores).any():
        found = f"none of its samples can be encoded: {series.without_embedding}"
        raise VariableError(series.name, found, "Inspect it with tplot; it may hold fill values only.")
    return np.where(series.searched, scores, np.nan)


def _matches(
    series: Series,
    scores: np.ndarray,
    asked: tuple[Sequence[Query], Sequence[Query]],
    settings: SearchSettings,
    ranked: np.ndarray,
    about: Mapping[str, Any],
    extents: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray] | None],
) -> SeriesMatches:
    """Find the events of one series.

    `ranked` are the scores of all series in ascending order; `extents` gives the intervals that samples cover.
    """
    scale = ScoreScale.of(ranked)
    around = _Around.find(series, scores, asked[0], scale, settings)
    candidates = np.where(around.left_out, np.nan, scores)
    if settings.active_only and series.quality is not None:
        candidates[~series.quality.active] = np.nan
    background = _background(candidates, around.block, settings)
    threshold, k = _selection(settings, scale, background)
    rule = {"threshold": -np.inf if threshold is None else threshold, "k": k}
    events = peak_events(series.times, candidates, around.slopes, scale, around.gap, **rule)
    if len(events) and (covered := extents(events.peak)) is not None:
        events = replace(events, start=covered[0], end=covered[1])
    _log_number(series, events, scale, threshold)
    _log_unmeasured(series, scores)
    shortfall = "" if len(events) else _shortfall(series, candidates, threshold, settings)
    threshold = float(scale.threshold if threshold is None else threshold)
    record = series.provenance | {"name": series.name} | query_records(*asked) | about | around.record
    record |= {"threshold": threshold, "threshold_by": settings.threshold_by, "k": k}
    record |= _quality_record(series, settings) | _background_record(background, settings)
    if len(events):
        _log_unusable(series)
    calibration = _calibration(events, scale, ranked, background)
    return SeriesMatches(series.times, scores, events, calibration, record, shortfall)


@dataclass(frozen=True, eq=False)
class _Around:
    """What surrounds the queries in one series.

    Attributes
    ----------
    gap : numpy.timedelta64
        Shorter dips do not end an event.
    block : int
        Samples in a stretch of background, longer than the scores' memory.
    left_out : numpy.ndarray of bool, shape (n,)
        Samples that are not reported.
    slopes : numpy.ndarray of bool, shape (n,)
        Samples of own events, on whose slopes there is no other event; none where the caller chose the exclusion.
    record : mapping
        Own events and exclusion in plain values.
    """

    gap: np.timedelta64
    block: int
    left_out: np.ndarray
    slopes: np.ndarray
    record: Mapping[str, Any]

    @classmethod
    def find(
        cls,
        series: Series,
        scores: np.ndarray,
        queries: Sequence[Query],
        scale: ScoreScale,
        settings: SearchSettings,
    ) -> _Around:
        chosen, times = settings.exclude, series.times
        lag, step = decorrelation_lag(scores), cadence(times)
        # Samples two decorrelation times apart are independent; shorter dips than one are noise within an event.
        gap, exclude = (lag * step, 2 * lag * step) if chosen is None else (chosen, chosen)
        if chosen is None:
            gap, exclude = max(gap, series.shortest_gap), max(exclude, series.shortest_gap // 2)
        seconds = float(exclude / np.timedelta64(1, "s"))
        # A longer duration than that of the series excludes no more, and would be added to times or counted in samples.
        longest = times[-1] - times[0] + max(step, np.timedelta64(1, "ns"))
        gap, exclude = min(gap, longest), min(exclude, longest)
        spans = [query.span for query in queries if query.variable == series.name]
        near = ~outside(times, spans, exclude)
        own = own_event(times, scores, spans, scale, gap) if chosen is None else near
        slopes = own | near if chosen is None else np.zeros(len(times), bool)
        block = max(2 * lag, int(exclude // max(step, np.timedelta64(1, "ns"))))
        record = {"own_events": _own_records(times, own), "exclude_s": seconds}
        return cls(gap, block, own | near, slopes, record | {"exclude": "auto" if chosen is None else seconds})


def _selection(
    settings: SearchSettings, scale: ScoreScale, background: Background | None
) -> tuple[float | None, int | None]:
    """Return the score that peaks must reach, None for any, and the number of events, None for all."""
    threshold = scale.threshold if is_auto(settings.threshold) else settings.threshold
    if settings.fdr is not None:
        threshold = background.threshold(settings.fdr)
    return threshold, DEFAULT_K if settings.k is None and threshold is None else settings.k


def _own_records(times: np.ndarray, own: np.ndarray) -> list[dict[str, Any]]:
    """Return start, end and number of samples of each run of a mask, in plain values."""
    ends, edges = sample_ends(times), np.flatnonzero(np.diff(np.concatenate([[False], own, [False]])))
    return [
        {"start": str(times[first]), "end": str(ends[end - 1]), "n_samples": int(end - first)}
        for first, end in edges.reshape(-1, 2)
    ]


def _background(candidates: np.ndarray, block: int, settings: SearchSettings) -> Background | None:
    """Fit the background; None where there are too few scores and the caller does not ask for it."""
    try:
        return fit_background(candidates, block)
    except ArgumentError:
        if settings.fdr is not None:
            raise
        return None


def _calibration(
    events: Events, scale: ScoreScale, ranked: np.ndarray, background: Background | None
) -> dict[str, np.ndarray]:
    """Return what events' scores mean among all scores of the search."""
    unknown = np.full(len(events), np.nan)
    return {
        "deviations": scale.deviations(events.score),
        "share_higher": 1 - np.searchsorted(ranked, events.score, side="right") / max(len(ranked), 1),
        "p_value": unknown if background is None else background.p_value(events.score),
        "stands_out": events.score >= scale.threshold,
    }


def _quality_record(series: Series, settings: SearchSettings) -> dict[str, Any]:
    quality = series.quality
    if quality is None:
        return {}
    about = {"usable_only": series.usable_only, "active_only": settings.active_only}
    return {"frame_quality": {**about, "frames": str(quality), "active": int(quality.active.sum())}}


def _log_unusable(series: Series) -> None:
    """Report how many frames have no score: as a warning where it is most of them."""
    lost = int((~series.searched).sum())
    if lost and series.quality is not None:
        level = logging.WARNING if lost > len(series.times) / 2 else logging.INFO
        text = "%s: %d of %d frames have no score (%s); usable_only=False searches all."
        logger.log(level, text, series.name, lost, len(series.times), series.quality)


def _log_unmeasured(series: Series, scores: np.ndarray) -> None:
    """Report how many of the samples that were searched have no score."""
    lost = int((series.searched & ~np.isfinite(scores)).sum())
    if lost:
        what = "windows" if series.overlapping else "samples"
        logger.info("%s: %d of %d %s have no score.", series.name, lost, len(series.times), what)


def _background_record(background: Background | None, settings: SearchSettings) -> dict[str, Any]:
    if background is None:
        return {}
    record = {
        "stretch": background.block,
        "n_stretches": len(background.maxima),
        "distance": background.distance,
        "shape": background.shape,
    }
    return {"background": record} if settings.fdr is None else {"fdr": {"fdr": settings.fdr, **record}}


def _reference_of(library: Library, looking_for: str, weights: Mapping[str, float]) -> Reference:
    """Return what the samples of a library have in common; that of a whole archive is made once for each version."""
    kept = library.kept_references
    if kept is None or weights:
        return Reference(sample_library(library), looking_for, weights)
    if looking_for not in kept:
        kept[looking_for] = Reference(sample_library(library), looking_for)
    return kept[looking_for]


def _log_number(series: Series, events: Events, scale: ScoreScale, threshold: float | None) -> None:
    """Report the number of events, and how many of them stand out where no threshold chose them."""
    number = f"{len(events)} event{'s' * (len(events) != 1)}"
    if threshold is None and not len(events):
        logger.info("%s: no event", series.name)
        return
    if threshold is not None:
        logger.info("%s: %s with a score of at least %.3f", series.name, number, threshold)
        return
    standing = int((events.score >= scale.threshold).sum())
    text = "%s: %s, %d of them stand%s out (score above %.3f)"
    logger.info(text, series.name, number, standing, "s" * (standing == 1), scale.threshold)


def _shortfall(series: Series, candidates: np.ndarray, threshold: float | None, settings: SearchSettings) -> str:
    """Return the reason why a series has no event; `threshold` is None where none was asked for."""
    quality = series.quality
    if not np.isfinite(candidates).any():
        judged = f", or is not usable or active ({quality})" if quality is not None else ""
        return f"every sample of {series.name} lies within the exclusion around the queries{judged}"
    judged = f"; frames: {quality}" if quality is not None and not quality.usable.all() else ""
    best = int(np.nanargmax(candidates))
    found = f"{candidates[best]:.3f} at {series.times[best]}"
    if threshold is None or candidates[best] >= threshold:
        where = "outside of the own event" if settings.exclude is None else "outside of the exclusion"
        return f"the score of {series.name} has no peak {where}; the best sample there has {found}{judged}"
    by_background = is_auto(settings.threshold) or not np.isfinite(threshold)
    wanted = "stands out of the background" if by_background else "reaches the threshold"
    level = f" ({threshold:.3f})" if np.isfinite(threshold) else ""
    return f"no sample of {series.name} {wanted}{level}; the best is {found}{judged}"


def check_count(name: str, value: Any) -> None:
    """Raise ArgumentError unless a value is a whole number from 1."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise ArgumentError(name, f"found {value!r:.60}", "Give a whole number, 1 or more.")


def check_threshold(threshold: Any, others: str = "") -> None:
    """Raise ArgumentError unless a threshold is a cosine or None; the message also names what else a caller takes."""
    if threshold is not None and not (_is_number(threshold) and -1 <= threshold <= 1):
        raise ArgumentError("threshold", f"found {threshold!r}", f"Give a cosine from -1 to 1{others}, or None.")


def check_exclude(exclude: Any) -> np.timedelta64 | None:
    """Return `exclude` as a duration, None for 'auto'; ArgumentError if it is neither."""
    return None if is_auto(exclude) else to_timedelta64(exclude, "exclude")


def is_auto(value: Any) -> bool:
    """Return True for the word 'auto'."""
    return isinstance(value, str) and value == "auto"


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
