"""The map of an archive: which samples are drawn, which are marked, and their colors."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..archive.archive import Archive
from ..conventions import check_choice, pyspedas_convention
from ..errors import ArchiveError, ArgumentError
from ..library.archived import ArchivedSeries, ArchiveLibrary, open_archived
from ..library.plan import EncodingOptions
from ..plotting.embedding_map import Colors, MapMarks, archive_map_figure, embedding_map, spread_places
from ..plotting.gallery import kept_picture
from ..plotting.style import Style, saved
from ..results.joins import read_events
from ..results.reading import read_result
from ..search.search_series import check_count
from ..times import nearest_rows, to_times

if TYPE_CHECKING:
    from astropy.table import QTable
    from matplotlib.figure import Figure

    from ..results.search_result import SearchResult
    from ..results.searched_series import SearchedSeries

__all__ = ["plot_archive_map"]

logger = logging.getLogger(__name__)

_DRAWN = 10_000

COLORS = ("time", "source", "site", "score")


@pyspedas_convention()
def plot_archive_map(
    archive: Archive | str | Path,
    found: Any = None,
    *,
    events: Any = None,
    color: str = "time",
    path: str | Path | None = None,
    names: str | Sequence[str] | None = None,
    trange: Any = None,
    probe: Any = None,
    limit: int = _DRAWN,
    method: str = "auto",
    seed: int = 0,
    insets: int = 0,
    **style: Any,
) -> Figure:
    """Draw the map of an archive, in which similar samples lie close to each other.

    Parameters
    ----------
    archive : Archive, str or Path
    found : SearchResult, names, table or path, optional
        A search whose queries and matches are marked.
    events : as in `read_events`, optional
        Known events; the middle sample of each is marked.
    color : {'time', 'source', 'site', 'score'}
        Quantity shown by the color of a sample; 'score' is that of `found`.
    path : str or Path, optional
        Picture to write; its ending gives the format.
    names, trange, probe
        Part of the archive that is drawn, as in `find_similar`.
    limit : int
        Largest number of samples drawn: of more, as many are taken evenly in time, and all marked; the title states
        so.
    method : {'auto', 'umap', 'pca'}
        'umap' (McInnes et al. 2018) on the graph of neighbors, half a minute for 10,000 samples; 'pca' the first two
        principal components. The picture names the method.
    seed : int
        Seed of UMAP.
    insets : int
        Draw the pictures of so many samples, spread over the map; of an archive with thumbnails (`add`).
    **style
        ``cmap``, ``query``, ``match``, ``event``, ``figsize``, ``dpi``, ``title``.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    SimilarityError
        With ``errors='raise'``: the archive holds nothing of this, or bad input.
    """
    looks = Style.of(style)
    check_count("limit", limit)
    if insets:
        check_count("insets", insets)
    library = open_archived(archive, names, trange, probe, EncodingOptions(usable_only=False))
    if library is None:
        raise ArchiveError(str(archive), "it holds nothing of this", "Give other names, probe or trange.")
    result = None if found is None else read_result(found)
    marks, missing = marked_rows(library, result, None if events is None else read_events(events))
    drawn = drawn_rows(library, marks.rows, limit)
    colors = map_colors(library, drawn, color, result)
    places = embedding_map(library.index.embeddings(drawn.rows), method, seed, library.archive.graph)
    title = f"{len(drawn.rows)} samples of an archive"
    if drawn.available > len(drawn.rows):
        title = f"{len(drawn.rows)} of {drawn.available} samples of an archive, evenly in time"
    for one in missing:
        logger.warning("%s: %s.", library.archive.path, one)
    pictures = inset_pictures(library, drawn, spread_places(places.places, insets))
    if insets and not pictures:
        logger.warning("%s holds no thumbnails of these samples, so there are no insets.", library.archive.path)
    return saved(archive_map_figure(places, colors, marks.among(drawn.rows), looks, title, pictures), path, looks)


@dataclass(frozen=True, eq=False)
class DrawnRows:
    """Samples on a map: ascending rows of the archive's index, number of the series and time of each.

    `available` is the number of samples from which they were taken.
    """

    rows: np.ndarray
    series: np.ndarray
    times: np.ndarray
    available: int


def marked_rows(
    library: ArchiveLibrary, result: SearchResult | None, events: QTable | None
) -> tuple[MapMarks, list[str]]:
    """Find queries, events of a search, and known events among the samples of an archive.

    Returned are their rows in the archive's index, and, in words, what is not in the archive.
    """
    query = match = event = faint = np.array([], np.int64)
    missing = []
    if result is not None:
        match, faint = (_rows_of_events(library, result, wanted) for wanted in (~result.faint, result.faint))
        query, lacking = _rows_of_queries(library, result)
        if lacking:
            missing.append("a query is not in the archive")
        lost = len(result) - len(match) - len(faint)
        if lost:
            missing.append(f"{lost} matches are not in the archive")
    if events is not None and len(events):
        pairs = list(zip(to_times(events["start"]), to_times(events["end"]), strict=True))
        event = np.array([row for one in pairs for row in _middle_rows(library.series, *one)], np.int64)
    return MapMarks(query, match, event, faint), missing


def drawn_rows(library: ArchiveLibrary, wanted: np.ndarray, limit: int) -> DrawnRows:
    """Return all samples, or `limit` of them evenly spread, and in any case the wanted ones."""
    rows = np.sort(np.concatenate([one.indexed.first + np.flatnonzero(one.searched) for one in library.series]))
    available = len(rows)
    if available > limit:
        rows = rows[np.linspace(0, available - 1, limit).round().astype(np.int64)]
    rows = np.union1d(rows, wanted)
    number, times = np.full(len(rows), -1), np.empty(len(rows), "datetime64[ns]")
    for place, one in enumerate(library.series):
        inside = one.holds(rows)
        number[inside], times[inside] = place, one.times[rows[inside] - one.indexed.first]
    return DrawnRows(rows, number, times, available)


def inset_pictures(library: ArchiveLibrary, drawn: DrawnRows, places: np.ndarray) -> list[tuple[int, np.ndarray]]:
    """Return the thumbnails of some places of a map, those that the archive holds."""
    if not len(places):
        return []
    found = zip(places.tolist(), library.index.thumbnails(drawn.rows[places]), strict=True)
    return [(place, kept_picture(png).values) for place, png in found if png]


def map_colors(library: ArchiveLibrary, drawn: DrawnRows, color: str, result: SearchResult | None) -> Colors:
    """Return the quantity that the colors of a map show; ArgumentError if it is unknown or there are no scores."""
    check_choice("color", color, COLORS)
    if color == "time":
        return Colors(drawn.times, "time (UTC)")
    if color == "score":
        return Colors(_scores(library, drawn, result), "similarity (cosine)")
    names = np.array([getattr(one.indexed, color) for one in library.series], dtype=object)
    return Colors(names[drawn.series].astype(str), color)


def _scores(library: ArchiveLibrary, drawn: DrawnRows, result: SearchResult | None) -> np.ndarray:
    scored = [one for one in (result.searched if result is not None else ()) if one.scores is not None]
    if not scored:
        raise ArgumentError("color", "'score', and no scores are given", "Give found as find_similar returned it.")
    scores = np.full(len(drawn.rows), np.nan)
    for one in scored:
        for place, series in enumerate(library.series):
            if _is_same(one, series):
                inside = np.flatnonzero(drawn.series == place)
                at = np.clip(np.searchsorted(one.times, drawn.times[inside]), 0, len(one.times) - 1)
                same = one.times[at] == drawn.times[inside]
                scores[inside[same]] = one.scores[at[same]]
    return scores


def _is_same(searched: SearchedSeries, series: ArchivedSeries) -> bool:
    site = series.indexed.site
    return searched.source == series.indexed.source and (not searched.place or not site or site == searched.place)


def _rows_of_events(library: ArchiveLibrary, result: SearchResult, wanted: np.ndarray) -> np.ndarray:
    """Return the rows of the peaks of some events, which a mask selects."""
    rows: list[int] = []
    sources, peaks = result.source, result.peak
    for number in np.flatnonzero(wanted):
        source, peak, site = sources[number], peaks[number], result.place(number)
        own = [one for one in library.series if one.indexed.source == source and site in ("", one.indexed.site)]
        rows += [row for one in own[:1] for row in _nearest_row(one, peak)]
    return np.array(rows, np.int64)


def _rows_of_queries(library: ArchiveLibrary, result: SearchResult) -> tuple[np.ndarray, bool]:
    """Return the rows of the middle samples, and True if a query has none."""
    rows: list[int] = []
    lacking = False
    for query in result.queries:
        own = [one for one in library.series if one.name == query.variable]
        here = [] if query.span is None else list(_middle_rows(own, query.span.start, query.span.end))
        rows, lacking = rows + here, lacking or not here
    return np.array(rows, np.int64), lacking


def _middle_rows(series: Iterable[ArchivedSeries], start: np.datetime64, end: np.datetime64) -> Iterator[int]:
    """Yield for each series the middle sample in an interval, or the one nearest to an instant."""
    for one in series:
        first, last = np.searchsorted(one.times, start), np.searchsorted(one.times, end, side="right")
        if last > first:
            yield one.indexed.first + int(first + (last - first) // 2)
        elif start == end:
            yield from _nearest_row(one, start)


def _nearest_row(series: ArchivedSeries, time: np.datetime64) -> Sequence[int]:
    """Return the row of the sample nearest to a time, if within a cadence."""
    rows = nearest_rows(series.times, np.array([time]))
    return (series.indexed.first + rows[rows >= 0]).tolist()
