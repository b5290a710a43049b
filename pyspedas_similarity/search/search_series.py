"""Search of a library: scores of each series, and the events in them."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..encoder.library_view import LibraryView
from ..errors import VariableError
from ..library.series import Library, Series
from ..times import cadence
from .background import Background, fit_background
from .events import Events, best_events, find_events, outside
from .query import Query, query_records
from .reference import Reference, sample_library
from .scoring import centers_of, coherence_lag, default_threshold, deviations, less_unlike
from .settings import SearchSettings

logger = logging.getLogger(__name__)

_LOOKS_LIKE = 0.5
"""Score from which a sample looks like the query, for the warning that most of a library does."""


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
        ``deviations`` and ``share_higher`` of the events, and ``p_value`` where the background was fitted.
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

    Parameters
    ----------
    library : Library
    queries, unlike : sequence of Query
    settings : SearchSettings
    reference : Library, optional
        The library that similarity is relative to; None: plain cosines of embeddings.

    Raises
    ------
    QueryError
        If a query cannot be encoded.
    VariableError
        If no sample of a series can be encoded.
    """
    likes, others = ([one.embeddings() for one in group] for group in (queries, unlike))
    if reference is None:
        view = LibraryView.plain(likes[0].shape[1], "no reference")
    else:
        view = Reference(sample_library(reference), settings.looking_for).view(likes)
    likes, others = (centers_of(map(view.directions, group)) if group else None for group in (likes, others))
    scores = [_scores(series, view, likes, others) for series in library.series]
    known = np.concatenate(scores)
    ranked = np.sort(known[np.isfinite(known)])
    _log_majority(ranked)
    about = {"view": view.to_record()}
    return [
        _matches(series, found, (queries, unlike), settings, ranked, about)
        for series, found in zip(library.series, scores, strict=True)
    ]


def _log_majority(scores: np.ndarray) -> None:
    """Warn where most of what is searched looks like the query."""
    share = float((scores > _LOOKS_LIKE).mean()) if scores.size else 0.0
    if share > 0.5:
        text = "%.0f %% of what is searched looks like the query (score above %g): similarity is relative to the rest."
        logger.warning(text, 100 * share, _LOOKS_LIKE)


def _scores(series: Series, view: LibraryView, likes: np.ndarray, others: np.ndarray | None) -> np.ndarray:
    scores = series.cosines(view, likes)
    if others is not None:
        scores = less_unlike(scores, series.cosines(view, others))
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
) -> SeriesMatches:
    """Find the events of one series; `ranked` are the scores of all series in ascending order."""
    step = cadence(series.times)
    lag = coherence_lag(scores) if settings.exclude is None or settings.fdr is not None else 0
    exclude = settings.exclude if settings.exclude is not None else 2 * lag * step
    candidates = _candidates(series, scores, asked[0], exclude, settings)
    threshold = settings.threshold if settings.threshold is not None else default_threshold(scores)
    background = None
    if settings.fdr is not None:
        background = fit_background(candidates, max(2 * lag, int(exclude // step)))
        threshold = background.threshold(settings.fdr)
    if settings.k is not None and settings.threshold is None and background is None:
        events, threshold = best_events(series.times, candidates, threshold, exclude, settings.k)
    else:
        events = find_events(series.times, candidates, threshold, exclude).best(settings.k)
    seconds = float(exclude / np.timedelta64(1, "s"))
    logger.info("%s: threshold %.3f, exclude %g s, %d events", series.name, threshold, seconds, len(events))
    record = series.provenance | {"name": series.name} | query_records(*asked) | about
    record |= {"threshold": float(threshold), "exclude_s": seconds, "k": settings.k}
    record |= _quality_record(series, settings)
    higher = 1 - np.searchsorted(ranked, events.score, side="right") / len(ranked)
    calibration = {"deviations": deviations(events.score, ranked), "share_higher": higher}
    if background is not None:
        record["fdr"] = _background_record(background, settings)
        calibration["p_value"] = background.p_value(events.score)
    shortfall = "" if len(events) else _shortfall(series, candidates, threshold)
    if len(events):
        _log_unusable(series)
    return SeriesMatches(series.times, scores, events, calibration, record, shortfall)


def _candidates(
    series: Series, scores: np.ndarray, queries: Sequence[Query], exclude: np.timedelta64, settings: SearchSettings
) -> np.ndarray:
    """Return the scores of samples that may be reported, NaN elsewhere."""
    spans = [query.span for query in queries if query.variable == series.name]
    candidates = np.where(outside(series.times, spans, exclude), scores, np.nan)
    if settings.active_only and series.quality is not None:
        candidates = np.where(series.quality.active, candidates, np.nan)
    return candidates


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


def _background_record(background: Background, settings: SearchSettings) -> dict[str, Any]:
    return {
        "fdr": settings.fdr,
        "stretch": background.block,
        "n_stretches": len(background.maxima),
        "distance": background.distance,
        "shape": background.shape,
    }


def _shortfall(series: Series, candidates: np.ndarray, threshold: float) -> str:
    quality = series.quality
    if not np.isfinite(candidates).any():
        judged = f", or is not usable or active ({quality})" if quality is not None else ""
        return f"every sample of {series.name} lies within the exclusion around the queries{judged}"
    judged = f"; frames: {quality}" if quality is not None and not quality.usable.all() else ""
    best = int(np.nanargmax(candidates))
    wanted = f"reaches the threshold {threshold:.3f}" if np.isfinite(threshold) else "stands out of the background"
    found = f"{candidates[best]:.3f} at {series.times[best]}"
    return f"no sample of {series.name} {wanted}; the best is {found}{judged}"
