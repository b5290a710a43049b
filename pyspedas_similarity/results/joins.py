"""Comparison of matches with lists of events: known, new, missed, and the enrichment over chance."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import tplot
from ..conventions import pyspedas_convention
from ..errors import ArgumentError, VariableError
from ..provenance import ATTRIBUTE
from ..search.enrichment import Counts, Enrichment, Intervals, binomial, bootstrap, inside, merged, pairs, shared
from ..search.events import outside
from ..times import Span, bounds, sample_ends, to_astropy, to_spans, to_timedelta64, to_times
from .event_lists import event_table
from .searched_series import SearchedSeries
from .tplot_output import CARRIED, events_of_names, intervals_of, result_table

if TYPE_CHECKING:
    from astropy.table import QTable, Table

__all__ = ["join_events", "read_events"]

_SECOND = np.timedelta64(10**9, "ns")
_UNCOVERED = "not covered"
_STATUSES = ("known", "new", _UNCOVERED, "missed")
_NOTHING = Intervals(np.array([], "datetime64[ns]"), np.array([], "datetime64[ns]"))


@pyspedas_convention(lambda: event_table([]), errors="raise")
def read_events(events: Any, columns: Sequence[str] | None = None) -> QTable:
    """Read a list of events, to inspect or filter it before `join_events`.

    Parameters
    ----------
    events : path, astropy Table, pandas DataFrame, list of [start, end], names of bars
        A file may be ECSV, CSV (such as lists of SITL selections), VOTable, or text with a start and an end, or one
        time, per line. Events with one time are instants. Times may have any format, time zone or scale that can be
        converted to UTC.
    columns : sequence of one or two str, optional
        Names of the columns of starts and ends, or of times. Default: common names.

    Returns
    -------
    astropy.table.QTable
        ``start`` and ``end`` (Time, UTC), ``label`` and all other columns, in the order given.

    Raises
    ------
    SimilarityError
        If the list cannot be read; if no time columns are found, the existing ones are named.

    Examples
    --------
    >>> import pyspedas_similarity as sim
    >>> sitl = sim.read_events('sitl_selections.csv')  # doctest: +SKIP
    >>> jets = sitl[['jet' in tags for tags in sitl['label']]]  # doctest: +SKIP
    """
    names = _loaded(events)
    if names:
        events = events_of_names(names)
    return event_table(events, columns)


@pyspedas_convention(lambda: join_events([], []), errors="raise")
def join_events(
    found: str | Iterable[str] | Table | Path,
    events: Any,
    *,
    tolerance: Any = 0,
    searched: Any = None,
    covered: Any = None,
    columns: Sequence[str] | None = None,
    interval: str = "binomial",
    stretch: Any = 86400,
    confidence: float = 0.95,
    seed: int = 0,
) -> QTable:
    """Compare matches with a list of events: known and new matches, missed events.

    Parameters
    ----------
    found : str, list of str, or astropy Table
        Output of `find_similar` or `intervals`, or the Path of a file of it.
    events : path, astropy Table, pandas DataFrame, list of [start, end], or output of `find_similar`
        As in `read_events`. Overlapping events are merged.
    tolerance : seconds, timedelta or Quantity
        Events are extended by this time at both ends before the comparison. Instants need it for a base rate.
    searched : names of similarity variables, or time ranges, optional
        Time that was searched. Default: samples with a score in the ``X_similarity`` of `found`, without the own events
        of the queries. Required for a table.
    covered : time ranges, optional
        Time in which the list is complete; the comparison is limited to it. Default: from the start of the first to the
        end of the last event; matches outside are not called new.
    columns : sequence of one or two str, optional
        Columns of `events`, as in `read_events`.
    interval : {'binomial', 'bootstrap'}
        Confidence interval of the enrichment: exact, for independent matches; or by a block bootstrap over the searched
        time, for matches in groups.
    stretch : seconds, timedelta or Quantity
        Length of a block of the bootstrap, counted from 1970; default one day.
    confidence : float
        Confidence level of the interval.
    seed : int
        Seed of the bootstrap.

    Returns
    -------
    astropy.table.QTable
        One row for each match, as in `found`, then one for each missed event. ``status`` is 'known' (overlaps an
        event), 'new', 'not covered' (its peak is outside the time covered by the list) or 'missed'; ``event_start``,
        ``event_end`` and ``event`` are those of the event with the longest overlap, masked for none, and ``overlap_s``
        is the overlap. ``meta['join']`` has the counts, the searched time covered by the list, and the enrichment: the
        fraction of matches with the peak in an event, divided by the fraction of the searched time in events. Events
        and peaks outside the searched time are not counted.

    Raises
    ------
    SimilarityError
        If the events cannot be read or the searched time is unknown.

    Notes
    -----
    Status is defined by overlap, since that is what a reader inspects; the enrichment is defined by peaks, since a long
    match overlaps an event by chance more often than the base rate.
    """
    table = result_table(found)
    listed = _Events.read(read_events(events, columns), to_timedelta64(tolerance, "tolerance"))
    parts = _searched(found, searched)
    stretches, queries = [one.time for one in parts], [one.queries for one in parts]
    coverage = listed.hull
    if covered is not None:
        coverage = merged(Intervals(*bounds(to_spans(covered))), touching=True)[0]
        stretches = [shared(one, coverage) for one in stretches]
    matches = intervals_of(table)
    best, overlap = _best_event(matches, listed.widened)
    reachable = _reachable(listed, stretches, queries)
    missed = np.setdiff1d(np.flatnonzero(reachable), pairs(matches, listed.widened)[1])
    _check_confidence(confidence)
    counts = _counts(table, listed, stretches, to_timedelta64(stretch, "stretch") if interval == "bootstrap" else None)
    if interval == "binomial":
        enrichment = binomial(counts, confidence)
    elif interval == "bootstrap":
        enrichment = bootstrap(counts, confidence, seed)
    else:
        raise ArgumentError("interval", f"found {interval!r}", "Give 'binomial' or 'bootstrap'.")
    of_matches = np.where(best >= 0, "known", np.where(inside(_peaks(table), coverage), "new", _UNCOVERED))
    status = np.append(of_matches, np.full(len(missed), "missed", of_matches.dtype))
    joined = _joined_table(table, listed, best, overlap, missed, status)
    counted = {"events_merged": len(listed.stretches), "events_searched": int(reachable.sum())}
    joined.meta["join"] = _summary(joined, listed, stretches, coverage, enrichment) | counted
    return joined


def summary_of(joined: Table) -> str:
    """Return a summary of `join_events` in two lines."""
    numbers = joined.meta["join"]
    counted = ", ".join(
        f"{numbers[status]} {status}" for status in _STATUSES if numbers[status] or status != _UNCOVERED
    )
    events = f"{numbers['events_searched']} of {numbers['events']} events searched"
    covered = f"of which the list covers {numbers['covered_s']:g} s"
    return f"{counted}; {events}, {numbers['searched_s']:g} s, {covered}\n{Enrichment(**numbers['enrichment'])}"


@dataclass(frozen=True, eq=False)
class _Events:
    """Merged events, ascending, with their labels."""

    stretches: Intervals
    label: np.ndarray
    tolerance: np.timedelta64
    n_given: int

    @classmethod
    def read(cls, table: QTable, tolerance: np.timedelta64) -> _Events:
        stretches, group = merged(intervals_of(table))
        labels = [[] for _ in range(len(stretches))]
        for label, one in zip(table["label"], group, strict=True):
            if label and label not in labels[one]:
                labels[one].append(str(label))
        return cls(stretches, np.array(["; ".join(one) for one in labels] or np.empty(0, "U1")), tolerance, len(table))

    @property
    def hull(self) -> Intervals:
        """Interval from the start of the first to the end of the last event."""
        events = self.widened
        return Intervals(events.start[:1], np.maximum.accumulate(events.end)[-1:])

    @property
    def widened(self) -> Intervals:
        return self.stretches.widened(self.tolerance)


@dataclass(frozen=True, eq=False)
class _Searched:
    """Searched time of a variable, and the queries in it; both ascending, the time without overlap."""

    time: Intervals
    queries: Intervals = _NOTHING


def _searched(found: Any, searched: Any) -> list[_Searched]:
    """Return the searched time of each variable."""
    if searched is not None:
        names = _loaded(searched)
        if names:
            return [_searched_time_of_variable(name) for name in names]
        return [_Searched(merged(Intervals(*bounds(to_spans(searched))), touching=True)[0])]
    if hasattr(found, "searched"):  # a SearchResult
        parts = [_searched_time(one.times, one.scores, one.record) for one in found.searched if one.scores is not None]
    else:
        bars = {name for name in _loaded(found) if "intervals" in tplot.read(name).attributes.get(ATTRIBUTE, {})}
        parts = [_searched_time_of_variable(name) for name in _loaded(found) if name not in bars]
    if not parts and isinstance(found, (list, tuple)) and not found:
        return [_Searched(_NOTHING)]
    if not parts:
        remedy = "Give searched: the names of the similarity variables, or time ranges."
        raise ArgumentError("searched", "the searched time is unknown", remedy)
    return parts


def _loaded(names: Any) -> list[str]:
    """The names, where all of them are of loaded variables."""
    names = [names] if isinstance(names, str) else names
    if not isinstance(names, (list, tuple)) or not names or not all(isinstance(name, str) for name in names):
        return []
    loaded = set(tplot.loaded_names())
    return list(names) if loaded.issuperset(names) else []


def _searched_time_of_variable(name: str) -> _Searched:
    """Return the time of the samples of a similarity variable that could be reported as matches."""
    variable = tplot.read(name)
    if variable.values.ndim != 1 or variable.values.dtype.kind != "f" or variable.values.shape != variable.times.shape:
        found = f"found {variable.values.dtype} of shape {variable.values.shape}"
        raise VariableError(name, found, "Give the variable ending in _similarity that find_similar returned.")
    return _searched_time(variable.times, variable.values, variable.attributes.get(ATTRIBUTE, {}))


def _searched_time(times: np.ndarray, scores: np.ndarray, record: Mapping[str, Any]) -> _Searched:
    """Return the time of the samples that could be reported as matches."""
    series, exclude = SearchedSeries(record), to_timedelta64(record.get("exclude_s", 0))
    own = [Span(one.start, one.end - np.timedelta64(1, "ns")) for one in series.own_events()]  # intervals are half-open
    keep = np.isfinite(scores) & outside(times, series.own_spans(), exclude)
    keep &= outside(times, own, np.timedelta64(0, "ns"))
    time = merged(Intervals(times[keep], sample_ends(times)[keep]), touching=True)[0]
    return _Searched(time, merged(Intervals(*bounds(series.own_spans())))[0])


def _best_event(matches: Intervals, events: Intervals) -> tuple[np.ndarray, np.ndarray]:
    """Return the event with the longest overlap for each match, -1 for none, and the overlap."""
    i, j = pairs(matches, events)
    common = np.minimum(matches.end[i], events.end[j]) - np.maximum(matches.start[i], events.start[j])
    best, overlap = np.full(len(matches), -1), np.zeros(len(matches), "timedelta64[ns]")
    for row in np.lexsort((-j, common)):  # the last assignment wins: longest overlap, then earliest event
        best[i[row]], overlap[i[row]] = j[row], common[row]
    return best, overlap


def _reachable(listed: _Events, searched: list[Intervals], queries: list[Intervals]) -> np.ndarray:
    """Return a mask of events that overlap the searched time of a variable in which they are not the query's event."""
    found = np.zeros(len(listed.stretches), bool)
    for time, own in zip(searched, queries, strict=True):
        found[np.setdiff1d(pairs(listed.stretches, time)[0], pairs(listed.stretches, own)[0])] = True
    return found


def _check_confidence(confidence: float) -> None:
    if not isinstance(confidence, (int, float, np.number)) or not 0 < confidence < 1:
        raise ArgumentError("confidence", f"found {confidence!r}", "Give a number between 0 and 1, such as 0.95.")


def _counts(table: QTable, listed: _Events, searched: list[Intervals], stretch: np.timedelta64 | None) -> Counts:
    """Return the counts for each block of the searched time, or for all of it."""
    peaks = _peaks(table)
    everywhere = Intervals(*(np.concatenate([getattr(one, key) for one in searched]) for key in ("start", "end")))
    peaks = peaks[inside(peaks, merged(everywhere, touching=True)[0])]
    union = merged(listed.widened, touching=True)[0]
    met = inside(peaks, union)
    if stretch is None:
        in_events = sum(shared(one, union).seconds for one in searched)
        sums = ([len(peaks)], [met.sum()], [sum(one.seconds for one in searched)], [in_events])
        return Counts(*(np.array(one) for one in sums))
    if stretch <= np.timedelta64(0, "ns"):
        raise ArgumentError("stretch", "it is not positive", "Give seconds, such as 86400.")
    bins = np.unique(np.concatenate([_bin_number(peaks, stretch), *(_bins_of(one, stretch) for one in searched)]))
    counted = [
        np.bincount(np.searchsorted(bins, _bin_number(p, stretch)), minlength=len(bins)) for p in (peaks, peaks[met])
    ]
    seconds = [np.zeros(len(bins)), np.zeros(len(bins))]
    grid = Intervals(*((bins + k).astype("int64") * stretch + np.datetime64(0, "ns") for k in (0, 1)))
    for one in searched:
        for total, part in zip(seconds, (one, shared(one, union)), strict=True):
            i, j = pairs(grid, part)
            common = np.minimum(grid.end[i], part.end[j]) - np.maximum(grid.start[i], part.start[j])
            np.add.at(total, i, common / _SECOND)
    return Counts(*counted, *seconds)


def _peaks(table: QTable) -> np.ndarray:
    """Return the peaks of matches, or their midpoints in a table without peaks."""
    if "peak" in table.colnames:
        return to_times(table["peak"])
    stretches = intervals_of(table)
    return stretches.start + (stretches.end - stretches.start) // 2


def _bin_number(times: np.ndarray, stretch: np.timedelta64) -> np.ndarray:
    return (times - np.datetime64(0, "ns")) // stretch


def _bins_of(stretches: Intervals, stretch: np.timedelta64) -> np.ndarray:
    """Return the numbers of all bins that the intervals overlap."""
    first, last = _bin_number(stretches.start, stretch), _bin_number(stretches.end, stretch)
    parts = [np.arange(a, b + 1) for a, b in zip(first, last, strict=True)]
    return np.concatenate(parts) if parts else np.empty(0, np.int64)


def _joined_table(
    table: QTable, listed: _Events, best: np.ndarray, overlap: np.ndarray, missed: np.ndarray, status: np.ndarray
) -> QTable:
    """Return the rows of the matches, followed by those of the missed events."""
    from astropy.table import MaskedColumn, QTable

    n = len(missed)
    rows = np.concatenate([best, missed]).astype(np.int64)
    joined = QTable(meta=dict(table.meta))
    joined["status"] = status
    for name in ("start", "end"):
        joined[name] = to_astropy(np.concatenate([to_times(table[name]), getattr(listed.stretches, name)[missed]]))
    for name in (name for name in CARRIED if name in table.colnames):
        joined[name] = _extend_masked(table[name], n)
    for name in ("start", "end"):
        joined[f"event_{name}"] = _masked_times(getattr(listed.stretches, name), rows)
    labels = np.append(listed.label, "")[rows]  # -1 selects the last
    joined["event"] = MaskedColumn(labels, mask=rows < 0) if (rows < 0).any() else labels
    joined["overlap_s"] = np.concatenate([overlap / _SECOND, np.zeros(n)])
    return joined


def _extend_masked(column: Any, n: int) -> Any:
    """Append n masked rows to a column of the matches."""
    from astropy.table import MaskedColumn

    if hasattr(column, "scale"):
        times = to_times(column)
        return _masked_times(times, np.concatenate([np.arange(len(times)), np.full(n, -1)]))
    values = np.ma.asarray(column)
    nothing = np.ma.masked_all(n, values.dtype)
    nothing.data[...] = np.zeros(1, values.dtype)[0]
    return MaskedColumn(np.ma.concatenate([values, nothing])) if n else column


def _masked_times(times: np.ndarray, rows: np.ndarray) -> Any:
    """Return the times of rows, masked where a row is -1."""
    made = to_astropy(np.append(times, np.datetime64(0, "ns"))[rows])
    if (rows < 0).any():
        made[np.flatnonzero(rows < 0)] = np.ma.masked
    return made


def _summary(
    joined: QTable, listed: _Events, searched: list[Intervals], coverage: Intervals, enrichment: Enrichment
) -> dict[str, Any]:
    numbers = {status: int((np.asarray(joined["status"]) == status).sum()) for status in _STATUSES}
    times = {"tolerance_s": float(listed.tolerance / _SECOND), "searched_s": sum(one.seconds for one in searched)}
    times["covered_s"] = sum(shared(one, coverage).seconds for one in searched)
    return numbers | {"events": listed.n_given} | times | {"enrichment": enrichment.to_dict()}
