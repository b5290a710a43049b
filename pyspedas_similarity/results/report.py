"""The HTML page of a search."""

from __future__ import annotations

import logging
import platform
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..conventions import check_choice
from ..errors import ArgumentError
from ..files import check_place, write_whole
from ..library.plan import recipe_of_record
from ..plotting.embedding_map import FEWEST, METHODS, embedding_map
from ..plotting.report_page.content import (
    Card,
    Map,
    Picture,
    Report,
    Result,
    Table,
    count,
    methods_text,
    table_of,
    tidy,
)
from ..plotting.report_page.page import render
from ..plotting.report_page.pictures import histogram, pictures_of, score_plot
from ..provenance import versions as package_versions
from ..times import Span, nearest_rows, to_text
from . import tplot_output
from .reload import SAME_TIME, Reloaded, ReloadOptions, reload_file, reload_series

if TYPE_CHECKING:
    from .search_result import SearchResult
    from .searched_series import QueryRecord, SearchedSeries

logger = logging.getLogger(__name__)

PICTURES = 60
OTHERS_ON_MAP, EVENTS_ON_MAP = 1200, 1000
"""Largest numbers of samples that belong to no event, and of events, on the map."""


@dataclass(frozen=True)
class PageOptions:
    """Options of a page, as in `SearchResult.report`."""

    title: str | None = None
    overwrite: bool = False
    gallery: int = PICTURES
    map_by: str = "auto"

    def __post_init__(self) -> None:
        if isinstance(self.gallery, bool) or not isinstance(self.gallery, (int, np.integer)) or self.gallery < 0:
            raise ArgumentError("gallery", f"found {self.gallery!r}", "Give the number of pictures, 0 or more.")
        check_choice("map_by", self.map_by, (*METHODS, "none"))


def write_page(result: SearchResult, path: str | Path, page: PageOptions, options: ReloadOptions) -> Path:
    """Write the page of a search, or raise a SimilarityError and leave no part of it."""
    place = check_place(path, (".html", ".htm"), page.overwrite)
    contents = [_content(result, one) for one in result.searched]
    table = table_of(contents)
    reloaded = [
        _reload(result, series, content, table, page, options)
        for series, content in zip(result.searched, contents, strict=True)
    ]
    made = _report(result, contents, table, reloaded, page)
    write_whole(place, render(made).encode("utf-8"), page.overwrite)
    logger.info("Wrote %s: %d events.", place, len(table))
    return place


def _content(result: SearchResult, series: SearchedSeries) -> Result:
    events, calibration = result.events_of(series), result.calibration_of(series)
    found = tplot_output.event_record({}, events, calibration)["intervals"]
    return Result(series.record, found, series.times, series.scores)


def _reload(
    result: SearchResult,
    series: SearchedSeries,
    content: Result,
    table: Table,
    page: PageOptions,
    options: ReloadOptions,
) -> Reloaded:
    peaks = table.column("peak")[: page.gallery]
    drawn = [peak for peak, owner in zip(peaks, table.owners, strict=False) if owner is content]
    drawn = np.array(drawn, "datetime64[ns]")
    return reload_series(result, series, drawn, options, _map_times(result, series))


def _map_times(result: SearchResult, series: SearchedSeries) -> np.ndarray:
    """Return times for the map: the peaks of events, and samples evenly spread."""
    peaks = result.events_of(series).peak[:EVENTS_ON_MAP]
    if series.times is None:
        return peaks
    known = np.flatnonzero(np.isfinite(series.scores))
    few = known[np.linspace(0, len(known) - 1, min(OTHERS_ON_MAP, len(known))).round().astype(int)]
    return np.union1d(peaks, series.times[few])


def _report(
    result: SearchResult, contents: list[Result], table: Table, reloaded: list[Reloaded], page: PageOptions
) -> Report:
    versions = dict(result.record.get("versions", {})) or package_versions()
    notes = {"gallery": _gallery_notes(table, page.gallery, reloaded), "plots": (), "map": ()}
    scored = [pair for pair in zip(contents, reloaded, strict=True) if pair[0].searched]
    lacking = [one.source for one in contents if not one.searched]
    if lacking or not contents:
        notes["plots"] = (f"The scores of {', '.join(lacking) or 'the search'} are not loaded.",)
    drawn, notes["map"] = _map(result, contents, table, reloaded, page.map_by)
    plots = [plot for one, made in scored for plot in (score_plot(one, made.variable, made.recipe), histogram(one))]
    return Report(
        title=page.title or _title(result),
        made=datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S"),
        results=tuple(contents),
        methods=methods_text(contents, versions),
        table=table,
        cards=tuple(_cards(result, contents, table, reloaded, page.gallery)),
        notes=notes,
        plots=tuple(plots),
        map=drawn,
        versions=versions | {"Python that wrote this page": platform.python_version()},
    )


def _title(result: SearchResult) -> str:
    if not result.searched:
        return "Nothing found"
    queries = result.queries
    label = tidy(queries[0].label) if queries else "a query"
    more = f" and {count(len(queries) - 1, 'other query', 'other queries')}" if len(queries) > 1 else ""
    return f"Events like {label}{more}"


def _gallery_notes(table: Table, gallery: int, reloaded: list[Reloaded]) -> tuple[str, ...]:
    notes = []
    if len(table) > gallery:
        notes.append(f"Of {count(len(table), 'match', 'matches')}, the best {gallery} are shown; the table has all.")
    return (*notes, *dict.fromkeys(one.missing for one in reloaded if one.missing))


def sample_pictures(made: Reloaded, time: np.datetime64) -> tuple[tuple[Picture, ...], str]:
    """Return the pictures of a sample that was read again, and what is missing of them."""
    time = made.at(time)
    if time in made.samples:
        return pictures_of(made.samples[time], made.images[time], made.recipe)
    if time in made.thumbnails:
        return (Picture(made.thumbnails[time], made.thumbnails_show, "measured"),), ""
    return (), made.missing or "it is not available."


def _cards(
    result: SearchResult, contents: list[Result], table: Table, reloaded: list[Reloaded], gallery: int
) -> Iterator[Card]:
    made_of = {id(content): made for content, made in zip(contents, reloaded, strict=True)}
    by_name = {content.name: made_of[id(content)] for content in reversed(contents)}
    for query in result.queries:
        made = reload_file(query, recipe_of_record(result.record)) if query.file else by_name.get(query.variable)
        yield _query_card(query, made)
    peak, score = (table.columns.index(name) for name in ("peak", "score"))
    for number, (row, owner) in enumerate(zip(table.rows[:gallery], table.owners, strict=False)):
        pictures, missing = sample_pictures(made_of[id(owner)], np.datetime64(row[peak], "ns"))
        when, where = to_text(row[peak]), owner.source if len(contents) > 1 else ""
        faint = table.faint[number]
        yield Card(f"{number + 1}", when, number, f"{float(row[score]):.4f}", pictures, missing, where, faint)


def _query_card(query: QueryRecord, made: Reloaded | None) -> Card:
    if query.file:
        pictures, missing = sample_pictures(made, np.datetime64(0, "ns"))
        return Card("Query", query.label, pictures=pictures, missing=missing)
    if query.span is None:
        return Card("Query", "array", missing="it was given as an array.")
    span = query.span
    when = to_text(span.start) + ("" if span.is_instant else f" to {str(span.end)[11:23]}")
    if made is None:
        return Card("Query", when, missing=f"it lies in another variable ({query.label}).")
    time = made.nearest(span)
    pictures, missing = ((), made.missing or "it was not drawn.") if time is None else sample_pictures(made, time)
    return Card("Query", when, pictures=pictures, missing=missing)


def _map(
    result: SearchResult, contents: list[Result], table: Table, reloaded: list[Reloaded], method: str
) -> tuple[Map | None, tuple[str, ...]]:
    """Return the map of all series together, and the reasons why there is none."""
    if method == "none":
        return None, ("It was left out on request.",)
    notes = tuple(dict.fromkeys(one.no_embeddings for one in reloaded if one.no_embeddings))
    of_series = zip(result.searched, contents, reloaded, strict=True)
    mapped = [(series.own_spans(), content, made) for series, content, made in of_series if made.embeddings is not None]
    hashes = {content.record["encoder"]["hash"] for _, content, _ in mapped}
    if not mapped or len(hashes) > 1:
        return None, notes or ("There is nothing to draw.",)
    embeddings = np.concatenate([made.embeddings for _, _, made in mapped])
    known = np.isfinite(embeddings).all(axis=1)
    if known.sum() < FEWEST:
        return None, (*notes, "There are too few samples for a map.")
    places = embedding_map(embeddings, method)
    marks = [mark for spans, content, made in mapped for mark in _map_marks(content, spans, made.times, table)]
    kept = [mark for mark, has_place in zip(marks, known, strict=True) if has_place]
    drawn = Map(places.places[known], *(list(part) for part in zip(*kept, strict=True)), places.method)
    if len(table) > EVENTS_ON_MAP:
        notes = (*notes, f"The best {EVENTS_ON_MAP} matches of each variable are drawn.")
    return drawn, notes


def _map_marks(
    content: Result, queries: Sequence[Span], times: np.ndarray, table: Table
) -> Iterator[tuple[str, str, int]]:
    """Yield kind, text and row of each sample on the map."""
    peaks, scored = table.column("peak"), table.column("score")
    own = [number for number, owner in enumerate(table.owners) if owner is content]
    wanted = np.array([peaks[number] for number in own], "datetime64[ns]")
    near = nearest_rows(times, wanted)
    rows = {
        int(row): (number, scored[number])
        for number, row, peak in zip(own, near, wanted, strict=True)
        if row >= 0 and abs(times[row] - peak) <= SAME_TIME
    }
    scores = dict(zip(content.times, content.scores, strict=True)) if content.times is not None else {}
    for row, time in enumerate(times):
        text = f"{content.source}, {str(time)[:23]} UTC"
        number, known = rows.get(row, (-1, None))
        score = float(known) if known is not None else scores.get(time, np.nan)
        text += f", score {score:.4f}" if np.isfinite(score) else ""
        if any(one.contains(time) for one in queries):
            yield "query", f"Query: {text}", number
        elif number >= 0:
            yield "match", f"Match {number + 1}: {text}", number
        else:
            yield "other", text, -1
