"""What of an archive is put on a map: which samples, and which of them are query, match or known event."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import tplot
from ..archive.index import Series
from ..errors import ArgumentError
from ..library.archived import Kept
from ..plotting.archive_map import Colors, MapMarks
from ..provenance import ATTRIBUTE
from ..times import cadence, to_times
from ..tplot import Variable
from .originals import Found, is_score

if TYPE_CHECKING:
    from astropy.table import QTable

COLORS = ("time", "source", "site", "score")


@dataclass(frozen=True, eq=False)
class Marked:
    """Rows of an archive's index that are to be marked, and what is not in it.

    Attributes
    ----------
    query, match, event : numpy.ndarray of int
    missing : tuple of str
        In words.
    """

    query: np.ndarray
    match: np.ndarray
    event: np.ndarray
    missing: tuple[str, ...] = ()

    @property
    def rows(self) -> np.ndarray:
        """All of them, once."""
        return np.unique(np.concatenate([self.query, self.match, self.event]))

    def among(self, rows: np.ndarray) -> MapMarks:
        """The same as places in a list of rows, ascending, that holds them."""
        return MapMarks(*(np.searchsorted(rows, one) for one in (self.query, self.match, self.event)))


@dataclass(frozen=True, eq=False)
class Mapped:
    """The samples on a map.

    Attributes
    ----------
    rows : numpy.ndarray of int, shape (n,)
        Of the archive's index, ascending.
    series : numpy.ndarray of int, shape (n,)
        Which of `Kept.series` each is of.
    times : numpy.ndarray of datetime64[ns], shape (n,)
    there : int
        How many could have been taken.
    """

    rows: np.ndarray
    series: np.ndarray
    times: np.ndarray
    there: int


def marked(kept: Kept, found: Found | None, events: QTable | None) -> Marked:
    """Find queries, matches and events among what is kept."""
    nothing = np.array([], np.int64)
    query, match, event, missing = nothing, nothing, nothing, ()
    if found is not None:
        match = _rows_of_matches(kept, found)
        query, lacking = _rows_of_queries(kept, found)
        missing = ("a query is not in the archive",) if lacking else ()
        missing += (f"{len(found) - len(match)} matches are not in the archive",) if len(match) < len(found) else ()
    if events is not None and len(events):
        pairs = list(zip(to_times(events["start"]), to_times(events["end"]), strict=True))
        event = np.array([row for one in pairs for row in _middles(kept.series, *one)], np.int64)
    return Marked(query, match, event, missing)


def mapped(kept: Kept, wanted: np.ndarray, most: int) -> Mapped:
    """The samples to draw: all, or as many as asked for spread evenly, and those wanted in any case."""
    parts = [one.first + np.flatnonzero(mask) for one, mask in zip(kept.series, kept.searched, strict=True)]
    rows = np.sort(np.concatenate(parts))
    there = len(rows)
    if there > most:
        rows = rows[np.linspace(0, there - 1, most).round().astype(np.int64)]
    rows = np.union1d(rows, wanted)
    number, times = np.full(len(rows), -1), np.empty(len(rows), "datetime64[ns]")
    for place, one in enumerate(kept.series):
        inside = (rows >= one.first) & (rows < one.first + len(one))
        number[inside], times[inside] = place, one.start[rows[inside] - one.first]
    return Mapped(rows, number, times, there)


def colors_of(kept: Kept, drawn: Mapped, color: str, found: Any) -> Colors:
    """What the color of each sample tells.

    Raises
    ------
    ArgumentError
        If it is no such choice, or the scores are not loaded.
    """
    if color not in COLORS:
        raise ArgumentError("color", f"found {color!r:.60}", f"Give one of {', '.join(COLORS)}.")
    if color == "time":
        return Colors(drawn.times, "time (UTC)")
    if color == "score":
        return Colors(_scores(kept, drawn, found), "similarity (cosine)")
    names = np.array([getattr(one, color) for one in kept.series], dtype=object)
    return Colors(names[drawn.series].astype(str), color)


def _scores(kept: Kept, drawn: Mapped, found: Any) -> np.ndarray:
    names = [found] if isinstance(found, str) else found if isinstance(found, (list, tuple)) else []
    series = [one for one in (tplot.read(name) for name in tplot.expand(names)) if is_score(one)] if names else []
    if not series:
        raise ArgumentError("color", "'score', and no scores are given", "Give found as find_similar returned it.")
    scores = np.full(len(drawn.rows), np.nan)
    for one in series:
        for place, kept_series in enumerate(kept.series):
            if _is_of(one, kept_series):
                inside = np.flatnonzero(drawn.series == place)
                at = np.clip(np.searchsorted(one.times, drawn.times[inside]), 0, len(one.times) - 1)
                same = one.times[at] == drawn.times[inside]
                scores[inside[same]] = one.values[at[same]]
    return scores


def _is_of(score: Variable, series: Series) -> bool:
    record = score.attributes[ATTRIBUTE]
    sites = {str(one) for one in (record.get("station") or {}).values()}
    return record.get("source") == series.source and (not sites or not series.site or series.site in sites)


def _rows_of_matches(kept: Kept, found: Found) -> np.ndarray:
    rows = []
    for number, (source, peak) in enumerate(zip(found.source, found.peak, strict=True)):
        site = found.place(number)
        own = [one for one in kept.series if one.source == source and site in ("", one.site)]
        rows += [row for one in own[:1] for row in _nearest(one, peak)]
    return np.array(rows, np.int64)


def _rows_of_queries(kept: Kept, found: Found) -> tuple[np.ndarray, bool]:
    """Rows of the middle samples, and whether a query has none."""
    rows, lacking = [], False
    for name, span, _ in found.queries():
        own = [one for one, variable in zip(kept.series, kept.variables, strict=True) if variable.name == name]
        here = list(_middles(own, span.start, span.end)) if span is not None else []
        rows, lacking = rows + here, lacking or not here
    return np.array(rows, np.int64), lacking


def _middles(series: Iterable[Series], start: np.datetime64, end: np.datetime64) -> Iterable[int]:
    """Of each series, the middle sample in an interval, or the one nearest to an instant."""
    for one in series:
        first, last = np.searchsorted(one.start, start), np.searchsorted(one.start, end, side="right")
        if last > first:
            yield one.first + int(first + (last - first) // 2)
        elif start == end:
            yield from _nearest(one, start)


def _nearest(series: Series, time: np.datetime64) -> list[int]:
    """Row of the sample nearest to a time, if within a cadence."""
    place = int(np.searchsorted(series.start, time))
    near = [one for one in (place - 1, place) if 0 <= one < len(series)]
    best = min(near, key=lambda one: abs(series.start[one] - time), default=None)
    step = cadence(series.start) if len(series) > 1 else np.timedelta64(0, "ns")
    return [series.first + best] if best is not None and abs(series.start[best] - time) <= step else []
