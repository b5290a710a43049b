"""Public functions about neighbors in an archive: the nearest intervals, novelty, groups, duplicates."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..archive.archive import Archive
from ..archive.neighbors import NeighborGraph, nearest_others
from ..conventions import nothing_found, pyspedas_convention, result_names
from ..errors import ArgumentError
from ..library.archived import ArchiveLibrary, open_archived
from ..library.plan import EncodingOptions
from ..results import tplot_output
from ..search.events import Events, join_hits, outside
from ..search.query import Query, find_queries, parse_query, query_records
from ..search.scoring import decorrelation_lag, lower_unlike, query_directions
from ..search.search_series import check_count, check_exclude, check_threshold
from ..times import cadence, longest_step, to_astropy, to_timedelta64

if TYPE_CHECKING:
    from astropy.table import QTable
    from scipy.sparse import csr_array

__all__ = ["clusters", "duplicates", "find_nearest", "novelty"]

logger = logging.getLogger(__name__)
_Maker = Callable[..., tplot_output.Product]

# Neighbors of each sample in the graph that novelty, clusters and duplicates use.
_NEIGHBORS = 15
# Cosines are float32: samples nearer than this, as the length of a chord, cannot be distinguished.
_LEAST_DISTANCE = 1e-3
# Samples looked at first for each interval wanted, and how many times more at every further attempt.
_FIRST, _MORE = 16, 4
# Samples on each side of a query from which the duration of its event is estimated.
_AROUND = 4096
# Products that novelty may take in addition to the graph: some minutes on two cores.
_MOST_PRODUCTS = 4e10
# Least share of all samples that one is compared with for its novelty.
_LEAST_COMPARED = 0.1


def _no_pairs() -> QTable:
    """Return a table of duplicates without rows."""
    rows = np.zeros(0, np.int64)
    return _table_of_pairs(np.zeros(0, "datetime64[ns]"), np.zeros(0, str), rows, rows, np.zeros(0))


@pyspedas_convention()
def find_nearest(
    archive: Archive | str | Path,
    like: Any = None,
    *,
    k: int = 10,
    names: str | Sequence[str] | None = None,
    trange: Any = None,
    probe: Any = None,
    unlike: Any = None,
    exclude: Any = "auto",
    newname: str | Sequence[str] | None = None,
    suffix: str | None = None,
    overwrite: bool = True,
    usable_only: bool | None = None,
) -> list[str]:
    """Find the k intervals of an archive nearest to a query, without a score for every sample.

    Quicker than ``find_similar(archive=...)`` where an index was built or a graph prepared
    (`Archive.build_index`, `Archive.prepare`), and the only way where a score for each of 10^8 samples is of no use.
    Scores are plain cosines, as those of ``find_similar(..., reference=None)``: an index holds embeddings, not what a
    search makes of them relative to its library.

    Parameters
    ----------
    archive : Archive, str or Path
    like, names, trange, probe, unlike, newname, suffix, overwrite, errors, usable_only
        As in `find_similar` with an archive.
    k : int
        Events wanted, of all series together. Samples around the query, and those that belong to an interval that
        was found already, are not counted.
    exclude : 'auto', seconds, timedelta or Quantity
        As in `find_similar`; 'auto' goes by the scores around the query.

    Returns
    -------
    list of str
        ``X_similar`` for each series X in which something was found: bars, from which `intervals` makes a table. An
        interval holds the samples that score at least as much as the last one that had to be counted. [] where nothing
        is there, after one warning. How it was searched is in the provenance, as ``searched_by``: 'product' (exact),
        'graph' or 'index', with the recall measured when that was made.

    Raises
    ------
    SimilarityError
        With ``errors='raise'``, for bad input.
    """
    check_count("k", k)
    wanted = check_exclude(exclude)
    examples, unlikes = parse_query(like, unlike)
    library = open_archived(archive, names, trange, probe, EncodingOptions(usable_only=usable_only))
    if library is None:
        return nothing_found(f"the archive {archive} holds nothing of this")
    titles = result_names([one.name for one in library.series], newname, suffix, ("_similar",), overwrite)
    queries, others = find_queries(examples, library), find_queries(unlikes, library)
    search = _NearestSearch(
        library,
        query_directions([query.embeddings() for query in queries]).astype(np.float32),
        query_directions([query.embeddings() for query in others]).astype(np.float32) if others else None,
    )
    gap = _length_of_event(search, queries) if wanted is None else wanted
    found, way = _nearest_intervals(search, queries, gap, k)
    if not any(len(one) for one in found):
        return nothing_found("everything that is searched lies within the exclusion around the queries")
    about = query_records(queries, others) | {
        "exclude_s": float(gap / np.timedelta64(1, "s")),
        "k": k,
        "searched_by": way,
        "recall": library.index.recall(way),
    }
    logger.info("%d intervals, searched by %s.", sum(len(one) for one in found), way)
    return tplot_output.write_all(
        tplot_output.event_bars(series, title, events, series.provenance | about)
        for series, events, (title,) in zip(library.series, found, titles, strict=True)
        if len(events)
    )


@pyspedas_convention()
def novelty(
    archive: Archive | str | Path,
    names: str | Sequence[str] | None = None,
    *,
    trange: Any = None,
    probe: Any = None,
    exclude: Any = 60.0,
    newname: str | Sequence[str] | None = None,
    suffix: str | None = None,
    overwrite: bool = True,
    usable_only: bool | None = None,
) -> list[str]:
    """Compute the novelty of each sample: its distance to the nearest other sample in the archive.

    Parameters
    ----------
    archive : Archive, str or Path
    names, trange, probe, newname, suffix, overwrite, errors, usable_only
        As in `find_similar` with an archive. Only what is so chosen is compared.
    exclude : seconds, timedelta or Quantity
        Samples of the same series as near in time as this do not count: they are the same event.

    Returns
    -------
    list of str
        For each series X ``X_novelty``, float64 (time): 1 less the cosine to the nearest sample that counts; NaN where
        fewer than a tenth of all samples count, which one warning reports.

    Raises
    ------
    SimilarityError
        With ``errors='raise'``, for bad input, or where it would take hours; the message states what to do.
    """
    apart = to_timedelta64(exclude, "exclude")
    library = open_archived(archive, names, trange, probe, EncodingOptions(usable_only=usable_only))
    if library is None:
        return nothing_found(f"the archive {archive} holds nothing of this")
    titles = result_names([one.name for one in library.series], newname, suffix, ("_novelty",), overwrite)
    compared = _Compared.of(library)
    values = np.where(_comparable(compared, apart), 1 - _nearest_apart(compared, apart).astype(np.float64), np.nan)
    about = {"exclude_s": float(apart / np.timedelta64(1, "s")), "compared": len(compared)}
    return compared.store(titles, values, tplot_output.novelty_series, about)


@pyspedas_convention()
def clusters(
    archive: Archive | str | Path,
    names: str | Sequence[str] | None = None,
    *,
    trange: Any = None,
    probe: Any = None,
    threshold: float | None = None,
    fewest: int = 10,
    newname: str | Sequence[str] | None = None,
    suffix: str | None = None,
    overwrite: bool = True,
    usable_only: bool | None = None,
) -> list[str]:
    """Cluster the samples of an archive.

    Parameters
    ----------
    archive : Archive, str or Path
    names, trange, probe, newname, suffix, overwrite, errors, usable_only
        As in `find_similar` with an archive.
    threshold : float, optional
        Cosine of two similar samples, the same in all groups. Default: groups may differ in density, see Notes.
    fewest : int
        Samples of the smallest group. With a threshold: a sample with so many similar ones, itself included, is the
        core of a group.

    Returns
    -------
    list of str
        For each series X ``X_cluster``, float64 (time): number of the group, 0 the largest; NaN for samples of none.

    Raises
    ------
    SimilarityError
        With ``errors='raise'``, for bad input.

    Notes
    -----
    HDBSCAN (Campello et al. 2013, doi 10.1007/978-3-642-37456-2_14) on the graph of neighbors, by scikit-learn: a group
    is a region that is denser than what lies between it and the others, over a wide range of densities. One region
    without such a gap is no group, and its samples are NaN. With a threshold it is DBSCAN (Ester et al. 1996).

    Consecutive samples are similar: a group may be a single event; `duplicates` and `novelty` take times into account,
    this does not. Of many samples in few dimensions, small groups can be due to chance; raise `fewest`.
    """
    check_count("fewest", fewest)
    check_threshold(threshold)
    library = open_archived(archive, names, trange, probe, EncodingOptions(usable_only=usable_only))
    if library is None:
        return nothing_found(f"the archive {archive} holds nothing of this")
    titles = result_names([one.name for one in library.series], newname, suffix, ("_cluster",), overwrite)
    compared = _Compared.of(library)
    graph = compared.graph(max(fewest - 1, _NEIGHBORS))
    groups = _groups(graph, threshold, fewest)
    method = "HDBSCAN" if threshold is None else "DBSCAN"
    about = {"method": method, "threshold": threshold, "fewest": fewest, "compared": len(compared)}
    return compared.store(titles, np.where(groups < 0, np.nan, groups), tplot_output.cluster_series, about)


@pyspedas_convention(_no_pairs, errors="raise")
def duplicates(
    archive: Archive | str | Path,
    names: str | Sequence[str] | None = None,
    *,
    trange: Any = None,
    probe: Any = None,
    threshold: float = 0.9999,
    exclude: Any = 60.0,
) -> QTable:
    """Find pairs of nearly equal samples: files under two names, a camera that stands still.

    Parameters
    ----------
    archive : Archive, str or Path
    names, trange, probe
        As in `find_similar` with an archive.
    threshold : float
        Cosine of such a pair.
    exclude : seconds, timedelta or Quantity
        Pairs of the same series as near in time as this are left out.

    Returns
    -------
    astropy.table.QTable
        ``time_1``, ``time_2`` (Time, UTC), ``source_1``, ``source_2``, ``score``, best first; empty where none is.

    Raises
    ------
    SimilarityError
        For bad input.
    """
    apart = to_timedelta64(exclude, "exclude")
    library = open_archived(archive, names, trange, probe, EncodingOptions(usable_only=False))
    if library is None:
        return _no_pairs()
    compared = _Compared.of(library)
    graph = compared.graph(_NEIGHBORS)
    one, place = np.nonzero(graph.scores >= threshold)
    other = graph.neighbors[one, place]
    counted = (one < other) | ~(graph.neighbors[other] == one[:, None]).any(axis=1)
    counted &= ~compared.same_event(one, other, apart)
    scores = graph.scores[one, place][counted].astype(float)
    return _table_of_pairs(compared.times, compared.names, one[counted], other[counted], scores)


def _table_of_pairs(
    times: np.ndarray, sources: np.ndarray, first: np.ndarray, second: np.ndarray, score: np.ndarray
) -> QTable:
    """Return the table of pairs of rows of samples with these times and sources, best first."""
    from astropy.table import QTable

    order = np.argsort(-score, kind="stable")
    table = QTable()
    for number, rows in (("1", first[order]), ("2", second[order])):
        table[f"time_{number}"] = to_astropy(times[rows])
        table[f"source_{number}"] = sources[rows]
    table["score"] = score[order]
    return table["time_1", "time_2", "source_1", "source_2", "score"]


@dataclass(frozen=True, eq=False)
class _NearestSearch:
    """Directions of the queries and of what is not looked for, and the library that is searched."""

    library: ArchiveLibrary
    centers: np.ndarray
    unlike: np.ndarray | None

    def scores(self, rows: np.ndarray) -> np.ndarray:
        """Exact scores of some rows, NaN where damaged."""
        found = self.library.index.embeddings(rows)
        scores = np.clip((found @ self.centers.T).max(axis=1), -1, 1)
        return scores if self.unlike is None else lower_unlike(scores, (found @ self.unlike.T).max(axis=1))

    def best(self, m: int) -> tuple[np.ndarray, np.ndarray, bool]:
        """All rows above some score, with their scores, best first; and whether these are all rows there are.

        What is nearest to each center is taken; below the worst of these another row may be better, so that only those
        above are returned. `unlike` only lowers scores, so that the bound holds with it as well.
        """
        rows, bound, whole = [], -np.inf, True
        for center in self.centers:
            near, scores = self.library.index.nearest(center, m, self.library.choice)
            rows.append(near)
            if len(near) >= m:
                bound, whole = max(bound, float(scores[-1])), False
        near = np.unique(np.concatenate(rows))
        scores = self.scores(near)
        # Two products of the same rows may differ in the last digit.
        inside = np.isfinite(scores) & (scores >= bound - 1e-6)
        near, scores = near[inside], scores[inside]
        order = np.lexsort((near, -scores))
        return near[order], scores[order].astype(np.float64), whole


def _nearest_intervals(
    search: _NearestSearch, queries: Sequence[Query], gap: np.timedelta64, k: int
) -> tuple[list[Events], str]:
    """The k best intervals, as lists for each series, and how they were searched."""
    m = _FIRST * k
    while True:
        way = search.library.index.way(search.library.choice, m)
        rows, scores, whole = search.best(m)
        free = _outside_queries(search.library, queries, rows, gap)
        rows, scores = rows[free], scores[free]
        found = _joined(search.library, rows, scores, gap)
        if whole or sum(len(one) for one in found) >= k:
            break
        m *= _MORE
    lowest, highest = 1, len(rows)
    while lowest < highest:  # as few samples as make k intervals, so that these do not grow into each other
        middle = (lowest + highest) // 2
        fewer = _joined(search.library, rows[:middle], scores[:middle], gap)
        if sum(len(one) for one in fewer) >= k:
            highest, found = middle, fewer
        else:
            lowest = middle + 1
    return _best_of_all(found, k), way


def _joined(library: ArchiveLibrary, rows: np.ndarray, scores: np.ndarray, gap: np.timedelta64) -> list[Events]:
    """Rows as intervals of each series."""
    found = []
    for series in library.series:
        inside = np.flatnonzero(series.holds(rows))
        inside = inside[np.argsort(rows[inside])]
        at = rows[inside] - series.indexed.first
        least = max(gap, longest_step(series.times)) if len(at) else gap
        found.append(join_hits(series.times[at], series.indexed.end[at], scores[inside], least))
    return found


def _best_of_all(found: list[Events], k: int) -> list[Events]:
    """The k best of several lists, each in its list."""
    scores = np.sort(np.concatenate([one.score for one in found]))[::-1]
    least = scores[min(k, len(scores)) - 1] if len(scores) else np.inf
    return [one.best(int((one.score >= least).sum())) for one in found]


def _outside_queries(
    library: ArchiveLibrary, queries: Sequence[Query], rows: np.ndarray, gap: np.timedelta64
) -> np.ndarray:
    """Return which rows are further than the gap from every query of their own series: bool."""
    free = np.ones(len(rows), bool)
    for series in library.series:
        inside = series.holds(rows)
        spans = [query.span for query in queries if query.variable == series.name]
        free[inside] = outside(series.times[rows[inside] - series.indexed.first], spans, gap)
    return free


def _length_of_event(search: _NearestSearch, queries: Sequence[Query]) -> np.timedelta64:
    """Twice the longest time in which scores around a query lose their autocorrelation."""
    library, longest = search.library, np.timedelta64(0, "ns")
    for series in library.series:
        for query in queries:
            if query.variable != series.name:
                continue
            middle = int(np.searchsorted(series.times, query.span.start))
            first, last = max(middle - _AROUND, 0), min(middle + _AROUND, len(series.times))
            scores = search.scores(series.indexed.first + np.arange(first, last)).astype(np.float64)
            longest = max(longest, 2 * decorrelation_lag(scores) * cadence(series.times))
    return longest


@dataclass(frozen=True, eq=False)
class _Compared:
    """The samples that are compared with each other, in order of series and time."""

    library: ArchiveLibrary
    rows: np.ndarray
    series: np.ndarray
    times: np.ndarray

    @classmethod
    def of(cls, library: ArchiveLibrary) -> _Compared:
        rows = [one.indexed.first + np.flatnonzero(one.searched) for one in library.series]
        times = [one.times[one.searched] for one in library.series]
        number = np.repeat(np.arange(len(rows)), [len(one) for one in rows])
        return cls(library, np.concatenate(rows), number, np.concatenate(times))

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def names(self) -> np.ndarray:
        """Name of the series of each sample."""
        return np.array([one.name for one in self.library.series])[self.series]

    def store(self, titles: Sequence[tuple[str]], values: np.ndarray, make: _Maker, about: dict[str, Any]) -> list[str]:
        """Store a value of each as a variable of each series, NaN for samples that are not compared."""
        made = []
        for number, (series, (title,)) in enumerate(zip(self.library.series, titles, strict=True)):
            found = np.full(len(series.times), np.nan)
            found[series.searched] = values[self.series == number]
            made.append(make(series, title, found, series.provenance | about))
        return tplot_output.write_all(made)

    def embeddings(self) -> np.ndarray:
        """Return all embeddings, float32 (n, dimension); ArgumentError if they exceed the memory."""
        index = self.library.index
        size = 4 * len(self) * self.library.archive.identity.dimension
        if not index.in_memory and size > index.memory:
            found = f"{len(self)} samples take {size / 1e9:.3g} GB"
            raise ArgumentError(
                "archive", found, "Choose fewer by trange, names or probe, or open it with more memory."
            )
        return index.embeddings(slice(None) if len(self) == len(index) else self.rows)

    def graph(self, k: int) -> NeighborGraph:
        """Return the graph of neighbors among the samples."""
        return self.library.archive.graph(self.embeddings(), k)

    def same_event(self, one: np.ndarray, other: np.ndarray, apart: np.timedelta64) -> np.ndarray:
        """Return which pairs are of one series and no further apart than `apart`: bool."""
        return (self.series[one] == self.series[other]) & (np.abs(self.times[one] - self.times[other]) <= apart)


def _nearest_apart(compared: _Compared, apart: np.timedelta64) -> np.ndarray:
    """Cosine of each sample to the nearest that is not of the same event, float32 (n,), NaN where there is none."""
    graph = compared.graph(_NEIGHBORS)
    one = np.arange(len(compared))[:, None]
    counts = (graph.neighbors >= 0) & ~compared.same_event(one, graph.neighbors, apart)
    best = np.where(counts, graph.scores, -np.inf).max(axis=1)
    open_rows = np.flatnonzero(~counts.any(axis=1) & (graph.neighbors >= 0).any(axis=1))
    if not len(open_rows):
        return np.where(np.isfinite(best), best, np.nan).astype(np.float32)
    if len(open_rows) * float(len(compared)) > _MOST_PRODUCTS:
        found = f"of {len(open_rows)} of {len(compared)} samples all neighbors are of the same event"
        raise ArgumentError("exclude", found, "Give a shorter one, or choose fewer samples by trange, names or probe.")
    _, scores = nearest_others(compared.embeddings(), open_rows, _same_event_rows(compared, open_rows, apart))
    best[open_rows] = scores
    return np.where(np.isfinite(best), best, np.nan).astype(np.float32)


def _comparable(compared: _Compared, apart: np.timedelta64) -> np.ndarray:
    """Return which samples have enough others to be compared with: bool; a warning where some have not."""
    first, end = _same_event_rows(compared, np.arange(len(compared)), apart).T
    enough = len(compared) - (end - first) >= max(1, _LEAST_COMPARED * len(compared))
    if not enough.all():
        text = "novelty: %d of %d samples are compared with too few others outside exclude=%g s and are NaN."
        logger.warning(text, int((~enough).sum()), len(compared), apart / np.timedelta64(1, "s"))
    return enough


def _same_event_rows(compared: _Compared, rows: np.ndarray, apart: np.timedelta64) -> np.ndarray:
    """First and last, not included, of the samples that are of the same event as each."""
    found = np.empty((len(rows), 2), np.int64)
    for number in np.unique(compared.series[rows]):
        inside = compared.series[rows] == number
        first = int(np.searchsorted(compared.series, number))
        times = compared.times[compared.series == number]
        here = compared.times[rows[inside]]
        found[inside, 0] = first + np.searchsorted(times, here - apart)
        found[inside, 1] = first + np.searchsorted(times, here + apart, side="right")
    return found


def _groups(graph: NeighborGraph, threshold: float | None, fewest: int) -> np.ndarray:
    """Number of the group of each row, the largest 0; -1 for none."""
    from sklearn.cluster import DBSCAN, HDBSCAN
    from sklearn.neighbors import sort_graph_by_row_values

    found, known = np.full(len(graph), -1), np.isfinite(graph.scores).any(axis=1)
    if known.sum() < max(fewest, 2):
        return found
    pairs = _distances(graph)[known][:, known]
    if threshold is None:
        method = HDBSCAN(min_cluster_size=max(fewest, 2), min_samples=fewest, metric="precomputed", copy=True)
        pairs = _connected(pairs)
    else:
        eps = max(_chord(np.float64(threshold)), _LEAST_DISTANCE) + 1e-9
        method = DBSCAN(eps=eps, min_samples=fewest, metric="precomputed")
        pairs = sort_graph_by_row_values(pairs, warn_when_not_sorted=False)  # scikit-learn warns of unsorted rows
    found[known] = method.fit(_with_short_indices(pairs)).labels_
    numbers, counts = np.unique(found[found >= 0], return_counts=True)
    renumbered = np.full(len(numbers) + 1, -1)
    renumbered[numbers[np.argsort(-counts, kind="stable")]] = np.arange(len(numbers))
    return renumbered[found]


def _chord(cosine: np.ndarray) -> np.ndarray:
    """Distance of two points of the unit sphere."""
    return np.sqrt(2 - 2 * np.minimum(cosine, 1))


def _distances(graph: NeighborGraph) -> csr_array:
    """Distances of neighbors and of each row to itself, float64 (n, n)."""
    from scipy.sparse import coo_array, eye_array

    one, place = np.nonzero(graph.neighbors >= 0)
    distance = np.maximum(_chord(graph.scores[one, place].astype(np.float64)), _LEAST_DISTANCE)
    n = len(graph)
    pairs = coo_array((distance, (one, graph.neighbors[one, place])), shape=(n, n)).tocsr()
    # Zero would mean that there is no entry; each row is at no distance from itself.
    return (pairs.maximum(pairs.T) + 1e-12 * eye_array(n)).tocsr()


def _with_short_indices(pairs: csr_array) -> csr_array:
    """The same with indices of 32 bits, the only ones that older releases of scipy make spanning trees of."""
    from scipy.sparse import csr_array

    return csr_array((pairs.data, pairs.indices.astype(np.int32), pairs.indptr.astype(np.int32)), shape=pairs.shape)


def _connected(pairs: csr_array) -> csr_array:
    """The distances, with one more from the first part of the graph to each other part: HDBSCAN takes only one part.

    No sample has a neighbor in another part; the distance is the largest there is, that of opposite directions.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    parts, part = connected_components(pairs, directed=False)
    firsts = np.unique(part, return_index=True)[1]
    ends = (np.zeros(parts - 1, int) + firsts[0], firsts[1:])
    links = coo_array((np.full(parts - 1, _chord(np.float64(-1))), ends), shape=pairs.shape)
    return (pairs + links + links.T).tocsr()
