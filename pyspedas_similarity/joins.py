"""The verbs that hold matches against lists of events, and matches in space against matches on the ground."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from . import products, tplot
from .errors import ArgumentError, VariableError
from .exchange.event_lists import event_table
from .exchange.flat import checked_intervals, no_intervals
from .imaging.sky import direction_of
from .search.enrichment import Counts, Enrichment, binomial, bootstrap
from .search.intervals import outside, sample_ends
from .search.overlap import Stretches, inside, merged, pairs, shared
from .sources.themis_asi import STATIONS
from .times import Span, cadence, to_astropy, to_datetime64, to_spans, to_timedelta64, to_times
from .verbs import intervals

if TYPE_CHECKING:
    from astropy.table import QTable, Table

__all__ = ["conjunctions", "join_events", "read_events"]

_SECOND = np.timedelta64(10**9, "ns")
_CARRIED = ("peak", "score", "n_samples", "source", "probe", "site", "class")


def read_events(events: Any, columns: Sequence[str] | None = None) -> QTable:
    """Read a list of events, to look at it or to choose of it before `join_events`.

    Parameters
    ----------
    events : path, astropy Table, pandas DataFrame, list of [start, end], names of bars
        A file may be ECSV, CSV (such as lists of SITL selections), VOTable, or text with a start and an end, or one
        time, in a line. Events of one time are instants. Times may have any form, zone or scale that has a UTC.
    columns : sequence of one or two str, optional
        Names of the columns of starts and ends, or of times, where they are not common ones.

    Returns
    -------
    astropy.table.QTable
        ``start`` and ``end`` (Time, UTC), ``label`` and all other columns, in the order given.

    Raises
    ------
    SimilarityError
        If it cannot be read; where columns are not known, those that were found are named.

    Examples
    --------
    >>> import pyspedas_similarity as sim
    >>> sitl = sim.read_events('sitl_selections.csv')  # doctest: +SKIP
    >>> jets = sitl[['jet' in tags for tags in sitl['label']]]  # doctest: +SKIP
    """
    names = _loaded(events)
    if names:
        events = intervals(names)
    return event_table(events, columns)


def join_events(
    found: str | Iterable[str] | Table,
    events: Any,
    tolerance: Any = 0,
    searched: Any = None,
    columns: Sequence[str] | None = None,
    interval: str = "binomial",
    stretch: Any = 86400,
    confidence: float = 0.95,
    seed: int = 0,
) -> QTable:
    """Hold matches against a list of events: which are known, which are new, which events are missed.

    Parameters
    ----------
    found : str, list of str, or astropy Table
        What `find_similar` returned, or what `intervals` did.
    events : path, astropy Table, pandas DataFrame, list of [start, end], or what `find_similar` returned
        As in `read_events`. Events that share time become one.
    tolerance : seconds, timedelta or Quantity
        Events are made so much longer at both ends before anything is compared. Events of one time need it for a base
        rate.
    searched : names of similarity variables, or time ranges, optional
        What was searched. By default the samples with a score in the ``X_similarity`` of `found`, without those that
        were left out around the seeds: a seed's own event is neither found nor missed. Of a table it has to be given.
    columns : sequence of one or two str, optional
        Of `events`, as in `read_events`.
    interval : {'binomial', 'bootstrap'}
        How the interval of the enrichment is made: exactly, if matches are independent of each other; or over
        stretches of the searched time, where matches come in groups.
    stretch : seconds, timedelta or Quantity
        Length of a stretch of the bootstrap, counted from 1970; a day by default.
    confidence : float
        Of the interval.
    seed : int
        Of the bootstrap.

    Returns
    -------
    astropy.table.QTable
        One row for each match, as in `found`, then one for each event that was missed. ``status`` is 'known' (it shares
        time with an event), 'new' or 'missed'; ``event_start``, ``event_end`` and ``event`` are those of the event that
        it shares most time with, masked where there is none, and ``overlap_s`` is that time. ``meta['join']`` has the
        numbers of each and the enrichment: the share of matches whose peak lies in an event, over the share of the
        searched time that does. Events outside of what was searched do not count.

    Raises
    ------
    SimilarityError
        If the events cannot be read or it is not known what was searched.

    Notes
    -----
    Known is counted by overlap, for that is what one wants to look at; the enrichment by peaks, because a long match
    meets an event by chance more often than the base rate says.
    """
    table = _matches(found)
    listed = _Events.read(read_events(events, columns), to_timedelta64(tolerance, "tolerance"))
    stretches = _searched(found, searched)
    matches = _stretches_of(table)
    best, overlap = _best_event(matches, listed.widened)
    missed = _missed(listed, matches, stretches)
    _check_confidence(confidence)
    counts = _counts(table, listed, stretches, to_timedelta64(stretch, "stretch") if interval == "bootstrap" else None)
    if interval == "binomial":
        enrichment = binomial(counts, confidence)
    elif interval == "bootstrap":
        enrichment = bootstrap(counts, confidence, seed)
    else:
        raise ArgumentError("interval", f"found {interval!r}", "Give 'binomial' or 'bootstrap'.")
    joined = _joined(table, listed, best, overlap, missed)
    joined.meta["join"] = _summary(joined, listed, stretches, enrichment) | {"tolerance_s": listed.tolerance / _SECOND}
    return joined


def conjunctions(
    space: str | Iterable[str] | Table,
    ground: str | Iterable[str] | Table,
    footprint: str | Sequence[str] | None = None,
    station: tuple[float, float] | Mapping[str, tuple[float, float]] | None = None,
    height_km: float = 110.0,
    min_elevation: float = 10.0,
    tolerance: Any = 0,
) -> QTable:
    """The matches of a spacecraft during which a camera, or another instrument, has a match as well.

    Parameters
    ----------
    space, ground : str, list of str, or astropy Table
        What `find_similar` returned, or what `intervals` did.
    footprint : str or pair of str, optional
        A tplot variable (time, 2) with geodetic latitude and longitude, degrees, of the foot of the spacecraft's field
        line, or one variable for each. With it, only the time is kept in which the station sees the footprint.
        Mapping along field lines is for other packages: give their result.
    station : (latitude, longitude), or mapping of site to that, optional
        Of the camera, geodetic degrees. By default the ``site`` of `ground` is looked up among the THEMIS stations.
    height_km : float
        Of the light.
    min_elevation : float
        Degrees above the station's horizon at which the footprint is still seen.
    tolerance : seconds, timedelta or Quantity
        Matches on the ground are made so much longer at both ends.

    Returns
    -------
    astropy.table.QTable
        One row for each pair: ``start`` and ``end`` of the time that they share, ``space_`` and ``ground_`` with the
        columns of each, and with `footprint` ``elevation`` and ``azimuth`` (degrees) where it stands highest. By start.

    Raises
    ------
    SimilarityError
        If the footprint cannot be read or the place of a station is not known.

    Notes
    -----
    Between two samples the footprint goes along the great circle; where they are further apart than three cadences, or
    before the first or after the last, it is not known and nothing is seen. A time counts as seen where one of these
    is: the samples in the shared time, its start and its end.
    """
    tables = {"space": _matches(space), "ground": _matches(ground)}
    wide = _stretches_of(tables["ground"]).widened(to_timedelta64(tolerance, "tolerance"))
    order = np.argsort(wide.start, kind="stable")
    rows, start, end = _pairs_of(_stretches_of(tables["space"]), Stretches(wide.start[order], wide.end[order]))
    rows["ground"] = order[rows["ground"]]
    view = None
    if footprint is not None:
        path = _Footprint.read(footprint)
        places = _places(tables["ground"], station)
        seen = [
            _seen(path, places[row], (first, last), height_km, min_elevation)
            for row, first, last in zip(rows["ground"], start, end, strict=True)
        ]
        keep = np.array([one is not None for one in seen], bool)
        rows = {key: one[keep] for key, one in rows.items()}
        view = [one for one in seen if one is not None]
        start, end = (np.array([getattr(one, key) for one in view], "datetime64[ns]") for key in ("start", "end"))
    return _conjunction_table(tables, rows, Stretches(start, end), view)


@dataclass(frozen=True, eq=False)
class _Events:
    """Events without overlap, ascending, and what they are called."""

    stretches: Stretches
    label: np.ndarray
    tolerance: np.timedelta64
    n_given: int

    @classmethod
    def read(cls, table: QTable, tolerance: np.timedelta64) -> _Events:
        given = Stretches(to_times(table["start"]), to_times(table["end"]))
        stretches, group = merged(given)
        labels = [[] for _ in range(len(stretches))]
        for label, one in zip(table["label"], group, strict=True):
            if label and label not in labels[one]:
                labels[one].append(str(label))
        return cls(stretches, np.array(["; ".join(one) for one in labels] or np.empty(0, "U1")), tolerance, len(table))

    @property
    def widened(self) -> Stretches:
        return self.stretches.widened(self.tolerance)


def _loaded(names: Any) -> list[str]:
    """The names, where all of them are of loaded variables."""
    names = [names] if isinstance(names, str) else names
    if not isinstance(names, (list, tuple)) or not names or not all(isinstance(name, str) for name in names):
        return []
    loaded = set(tplot.loaded_names())
    return list(names) if loaded.issuperset(names) else []


def _matches(found: Any) -> QTable:
    if hasattr(found, "colnames"):
        return checked_intervals(found)
    if isinstance(found, (list, tuple)) and not found:
        return no_intervals()
    return checked_intervals(intervals(found))


def _stretches_of(table: QTable) -> Stretches:
    return Stretches(to_times(table["start"]), to_times(table["end"]))


def _searched(found: Any, searched: Any) -> list[Stretches]:
    """What was searched of each variable, ascending and without overlap."""
    if searched is None and not hasattr(found, "colnames"):
        names = _loaded(found)
        series = [name for name in names if "intervals" not in tplot.read(name).attributes.get(products.ATTRIBUTE, {})]
        if series:
            return [_scored(name) for name in series]
    if searched is None:
        remedy = "Give searched: the names of the similarity variables, or time ranges."
        raise ArgumentError("searched", "it is not known what was searched", remedy)
    names = _loaded(searched)
    if names:
        return [_scored(name) for name in names]
    spans = to_spans(searched)
    start, end = (np.array([getattr(span, key) for span in spans], "datetime64[ns]") for key in ("start", "end"))
    return [merged(Stretches(start, end), touching=True)[0]]


def _scored(name: str) -> Stretches:
    """The time of the samples that could be reported."""
    variable = tplot.read(name)
    if variable.values.ndim != 1 or variable.values.dtype.kind != "f" or variable.values.shape != variable.times.shape:
        found = f"found {variable.values.dtype} of the shape {variable.values.shape}"
        raise VariableError(name, found, "Give the variable ending in _similarity that find_similar returned.")
    record = variable.attributes.get(products.ATTRIBUTE, {})
    source = record.get("source", "")
    own = {source, f"{source}_{next(iter(record.get('station', {}).values()), '')}"}
    spans = [
        Span(to_datetime64(seed["start"]), to_datetime64(seed["end"]))
        for seed in record.get("seeds", [])
        if "start" in seed and seed["label"].split(" ")[0] in own
    ]
    exclude = to_timedelta64(record.get("exclude_s", 0))
    keep = np.isfinite(variable.values) & outside(variable.times, spans, exclude)
    samples = Stretches(variable.times[keep], sample_ends(variable.times)[keep])
    return merged(samples, touching=True)[0]


def _best_event(matches: Stretches, events: Stretches) -> tuple[np.ndarray, np.ndarray]:
    """The event that each match shares most time with, -1 where there is none, and how much that is."""
    i, j = pairs(matches, events)
    common = np.minimum(matches.end[i], events.end[j]) - np.maximum(matches.start[i], events.start[j])
    best, overlap = np.full(len(matches), -1), np.zeros(len(matches), "timedelta64[ns]")
    for row in np.lexsort((-j, common)):  # the last one stays: most time, then the earliest
        best[i[row]], overlap[i[row]] = j[row], common[row]
    return best, overlap


def _missed(listed: _Events, matches: Stretches, searched: list[Stretches]) -> np.ndarray:
    """Rows of the events that were searched and have no match."""
    reachable = _reachable(listed, searched)
    reachable[pairs(matches, listed.widened)[1]] = False
    return np.flatnonzero(reachable)


def _reachable(listed: _Events, searched: list[Stretches]) -> np.ndarray:
    """Which events share time with what was searched."""
    found = np.zeros(len(listed.stretches), bool)
    for one in searched:
        found[pairs(listed.stretches, one)[0]] = True
    return found


def _check_confidence(confidence: float) -> None:
    if not isinstance(confidence, (int, float, np.number)) or not 0 < confidence < 1:
        raise ArgumentError("confidence", f"found {confidence!r}", "Give a share between 0 and 1, such as 0.95.")


def _counts(table: QTable, listed: _Events, searched: list[Stretches], stretch: np.timedelta64 | None) -> Counts:
    """What is counted in each stretch of the searched time, or in all of it together."""
    peaks = to_times(table["peak"]) if "peak" in table.colnames else _middles(_stretches_of(table))
    union = merged(listed.widened, touching=True)[0]
    met = inside(peaks, union)
    if stretch is None:
        in_events = sum(shared(one, union).seconds for one in searched)
        sums = ([len(peaks)], [met.sum()], [sum(one.seconds for one in searched)], [in_events])
        return Counts(*(np.array(one) for one in sums))
    if stretch <= np.timedelta64(0, "ns"):
        raise ArgumentError("stretch", "it has no length", "Give seconds, such as 86400.")
    cells = np.unique(np.concatenate([_cell(peaks, stretch), *(_cells_of(one, stretch) for one in searched)]))
    counted = [
        np.bincount(np.searchsorted(cells, _cell(p, stretch)), minlength=len(cells)) for p in (peaks, peaks[met])
    ]
    seconds = [np.zeros(len(cells)), np.zeros(len(cells))]
    grid = Stretches(*((cells + k).astype("int64") * stretch + np.datetime64(0, "ns") for k in (0, 1)))
    for one in searched:
        for total, part in zip(seconds, (one, shared(one, union)), strict=True):
            i, j = pairs(grid, part)
            common = np.minimum(grid.end[i], part.end[j]) - np.maximum(grid.start[i], part.start[j])
            np.add.at(total, i, common / _SECOND)
    return Counts(*counted, *seconds)


def _middles(stretches: Stretches) -> np.ndarray:
    return stretches.start + (stretches.end - stretches.start) // 2


def _cell(times: np.ndarray, stretch: np.timedelta64) -> np.ndarray:
    return (times - np.datetime64(0, "ns")) // stretch


def _cells_of(stretches: Stretches, stretch: np.timedelta64) -> np.ndarray:
    """Numbers of all cells that the stretches reach into."""
    first, last = _cell(stretches.start, stretch), _cell(stretches.end, stretch)
    parts = [np.arange(a, b + 1) for a, b in zip(first, last, strict=True)]
    return np.concatenate(parts) if parts else np.empty(0, np.int64)


def _joined(table: QTable, listed: _Events, best: np.ndarray, overlap: np.ndarray, missed: np.ndarray) -> QTable:
    """The rows of the matches, then those of the events that were missed."""
    from astropy.table import MaskedColumn, QTable

    n = len(missed)
    rows = np.concatenate([best, missed]).astype(np.int64)
    of_match = np.arange(len(rows)) < len(table)
    joined = QTable(meta=dict(table.meta))
    status = np.where(of_match, np.where(rows >= 0, "known", "new"), "missed")
    joined["status"] = status if len(status) else np.empty(0, "U6")
    for name in ("start", "end"):
        joined[name] = to_astropy(np.concatenate([to_times(table[name]), getattr(listed.stretches, name)[missed]]))
    for name in (name for name in _CARRIED if name in table.colnames):
        joined[name] = _extended(table[name], n)
    for name in ("start", "end"):
        joined[f"event_{name}"] = _where_known(getattr(listed.stretches, name), rows)
    labels = np.append(listed.label, "")[rows]  # -1 takes the last
    joined["event"] = MaskedColumn(labels, mask=rows < 0) if (rows < 0).any() else labels
    joined["overlap_s"] = np.concatenate([overlap / _SECOND, np.zeros(n)])
    return joined


def _extended(column: Any, n: int) -> Any:
    """A column of the matches, with n more rows that hide what they hold."""
    from astropy.table import MaskedColumn

    if hasattr(column, "scale"):
        times = to_times(column)
        return _where_known(times, np.concatenate([np.arange(len(times)), np.full(n, -1)]))
    values = np.ma.asarray(column)
    nothing = np.ma.masked_all(n, values.dtype)
    nothing.data[...] = np.zeros(1, values.dtype)[0]
    return MaskedColumn(np.ma.concatenate([values, nothing])) if n else column


def _where_known(times: np.ndarray, rows: np.ndarray) -> Any:
    """Times of rows, masked where a row is -1."""
    made = to_astropy(np.append(times, np.datetime64(0, "ns"))[rows])
    if (rows < 0).any():
        made[np.flatnonzero(rows < 0)] = np.ma.masked
    return made


def _summary(joined: QTable, listed: _Events, searched: list[Stretches], enrichment: Enrichment) -> dict[str, Any]:
    numbers = {status: int((np.asarray(joined["status"]) == status).sum()) for status in ("known", "new", "missed")}
    events = {
        "events": listed.n_given,
        "events_merged": len(listed.stretches),
        "events_searched": int(_reachable(listed, searched).sum()),
    }
    return numbers | events | {"searched_s": sum(one.seconds for one in searched), "enrichment": enrichment.to_dict()}


def _pairs_of(space: Stretches, ground: Stretches) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    """Rows of the pairs that share time, and what they share, by start; `ground` ascending by start."""
    # Ends need not ascend, where a long interval holds a short one: by the furthest end so far none is passed over.
    i, j = pairs(space, Stretches(ground.start, np.maximum.accumulate(ground.end)))
    start, end = np.maximum(space.start[i], ground.start[j]), np.minimum(space.end[i], ground.end[j])
    instant = (space.start[i] == space.end[i]) | (ground.start[j] == ground.end[j])
    keep = (end > start) | ((end == start) & instant)
    order = np.flatnonzero(keep)[np.argsort(start[keep], kind="stable")]
    return {"space": i[order], "ground": j[order]}, start[order], end[order]


@dataclass(frozen=True, eq=False)
class _Footprint:
    """Where the foot of the field line is: times (n,) and unit vectors (n, 3)."""

    times: np.ndarray
    towards: np.ndarray

    @classmethod
    def read(cls, names: str | Sequence[str]) -> _Footprint:
        names = tplot.expand(names)
        variables = [tplot.read(name) for name in names]
        times = variables[0].times
        shapes = [variable.values.shape for variable in variables]
        fits = shapes == [(len(times), 2)] or shapes == [(len(times),)] * 2
        if not fits or any(not np.array_equal(times, variable.times) for variable in variables):
            remedy = "Give one variable (time, 2) with latitude and longitude, or one for each, at the same times."
            raise VariableError(", ".join(names), f"found the shapes {shapes}", remedy)
        latitude, longitude = variables[0].values.T if len(names) == 1 else [one.values for one in variables]
        if not (np.abs(latitude[np.isfinite(latitude)]) <= 90).all() or (np.diff(times) <= np.timedelta64(0)).any():
            raise VariableError(names[0], "its latitudes exceed 90 degrees or its times go back", "Check it.")
        return cls(times, _unit_vectors(np.radians(latitude.astype(float)), np.radians(longitude.astype(float))))

    def at(self, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Latitude and longitude in degrees, NaN where it is not known."""
        if len(self.times) < 2:
            known = np.isin(times, self.times)
            towards = np.where(known[:, None], self.towards[:1], np.nan)
        else:
            before = np.clip(np.searchsorted(self.times, times, side="right") - 1, 0, len(self.times) - 2)
            step = self.times[before + 1] - self.times[before]
            part = ((times - self.times[before]) / step)[:, None]
            towards = _along(self.towards[before], self.towards[before + 1], part)
            known = (part[:, 0] >= 0) & (part[:, 0] <= 1) & (step <= 3 * cadence(self.times))
            known |= np.isin(times, self.times)
            towards = np.where(known[:, None], towards, np.nan)
        return np.degrees(np.arcsin(np.clip(towards[:, 2], -1, 1))), np.degrees(
            np.arctan2(towards[:, 1], towards[:, 0])
        )


@dataclass(frozen=True)
class _View:
    """When a footprint is seen, and where it stands highest."""

    start: np.datetime64
    end: np.datetime64
    elevation: float
    azimuth: float


def _seen(
    path: _Footprint, place: tuple[float, float], span: tuple[np.datetime64, np.datetime64], height: float, limit: float
) -> _View | None:
    between = path.times[(path.times > span[0]) & (path.times < span[1])]
    times = np.unique(np.concatenate([np.array(span, "datetime64[ns]"), between]))
    latitude, longitude = path.at(times)
    azimuth, elevation = direction_of(latitude, longitude, height, place)
    seen = np.flatnonzero(elevation >= limit)  # False for NaN
    if not len(seen):
        return None
    best = seen[np.argmax(elevation[seen])]
    return _View(times[seen[0]], times[seen[-1]], float(elevation[best]), float(azimuth[best]))


def _unit_vectors(latitude: np.ndarray, longitude: np.ndarray) -> np.ndarray:
    return np.stack([np.cos(latitude) * np.cos(longitude), np.cos(latitude) * np.sin(longitude), np.sin(latitude)], -1)


def _along(one: np.ndarray, other: np.ndarray, part: np.ndarray) -> np.ndarray:
    """Unit vectors on the great circle between two, a part of the way; where they are one, that one."""
    angle = np.arccos(np.clip((one * other).sum(axis=-1, keepdims=True), -1, 1))
    sine = np.where(angle > 1e-9, np.sin(angle), 1.0)
    near = angle <= 1e-9
    return np.where(near, one, (np.sin((1 - part) * angle) * one + np.sin(part * angle) * other) / sine)


def _places(ground: QTable, station: Any) -> list[tuple[float, float]]:
    """Latitude and longitude of the station of each match on the ground."""
    if station is not None and not isinstance(station, Mapping):
        if len(station) != 2 or not all(np.isfinite(station)) or abs(station[0]) > 90:
            raise ArgumentError("station", f"found {station!r}", "Give latitude and longitude in degrees.")
        return [tuple(station)] * len(ground)
    known = STATIONS if station is None else station
    if "site" not in ground.colnames:
        raise ArgumentError("station", "the matches on the ground tell no site", "Give station=(latitude, longitude).")
    unknown = sorted(set(map(str, ground["site"])) - set(known))
    if unknown:
        remedy = "Give station, a mapping of site to (latitude, longitude)."
        raise ArgumentError("station", f"nothing is known of {', '.join(unknown)}", remedy)
    return [tuple(known[str(site)]) for site in ground["site"]]


def _conjunction_table(
    tables: Mapping[str, QTable], rows: Mapping[str, np.ndarray], common: Stretches, view: list[_View] | None
) -> QTable:
    from astropy.table import QTable

    made = QTable(meta={key: dict(table.meta) for key, table in tables.items()})
    made["start"], made["end"] = to_astropy(common.start), to_astropy(common.end)
    for key, name in _columns_of(tables):
        made[f"{key}_{name}"] = tables[key][name][rows[key]]
    if view is not None:
        made["elevation"] = np.array([one.elevation for one in view], float)
        made["azimuth"] = np.array([one.azimuth for one in view], float)
    return made


def _columns_of(tables: Mapping[str, QTable]) -> Iterator[tuple[str, str]]:
    for key, table in tables.items():
        yield from ((key, name) for name in ("start", "end", *_CARRIED) if name in table.colnames)
