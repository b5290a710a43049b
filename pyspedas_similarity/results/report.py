"""The page of a search: what `find_similar` found, gathered and written as one HTML file."""

from __future__ import annotations

import logging
import platform
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from .. import tplot
from ..conventions import pyspedas_manners
from ..encoder.runtime import Encoder
from ..errors import ArgumentError, VariableError
from ..files import check_place, write_whole
from ..plotting.embedding_map import FEWEST, METHODS, embedding_map
from ..plotting.report_page.content import Card, Map, Report, Result, Table, table_of
from ..plotting.report_page.page import render
from ..plotting.report_page.plots import histogram, score_plot
from ..plotting.report_page.wording import count, methods_text, tidy
from ..provenance import ATTRIBUTE
from ..provenance import versions as package_versions
from ..tplot import Variable
from .looking_again import MOST_MARKS, Again, Seen, look, query_spans

logger = logging.getLogger(__name__)

MOST_PICTURES = 60


@pyspedas_manners
def report(
    names: str | Iterable[str],
    path: str | Path,
    title: str | None = None,
    overwrite: bool = False,
    gallery: int = MOST_PICTURES,
    encoder: str | Path | Encoder | None = None,
    instrument: str | None = None,
    trange: Any = None,
    probe: Any = None,
    field: str | None = None,
    velocity: str | None = None,
    progress: bool = True,
    map_by: str = "auto",
    **load_keywords: Any,
) -> list[str]:
    """Write what a search found as one HTML file, which needs nothing else and asks no network.

    The page has words for a methods section, the table of all matches, which sorts, filters and exports, a gallery of
    queries and matches, the score against time, a map of embeddings, the provenance and what to cite.

    Parameters
    ----------
    names : str or list of str
        What `find_similar` returned; also ``X_similarity`` alone, of a search that found nothing. An empty list gives a
        page that says so.
    path : str or Path
        The file, ending in .html.
    title : str, optional
    overwrite : bool
        Replace a file that is there.
    gallery : int
        How many of the best matches are shown as pictures. The table has all.
    errors : {'log', 'raise'}
        As in `find_similar`.
    encoder : str, path or Encoder, optional
        The one that was searched with, where it has no name that says which it is: for the map.
    instrument, trange, probe, **load_keywords
        As they were given to `find_similar`, where it loaded what it searched: what was searched is read again for
        pictures and map.
    field, velocity : str, optional
        As they were given to `find_similar`.
    progress : bool
        Show a progress bar while samples are read again.
    map_by : {'auto', 'umap', 'pca', 'none'}
        How the map is made: UMAP takes half a minute the first time, principal components no time. 'auto' takes UMAP
        where umap-learn is installed, 'none' leaves the map out.

    Returns
    -------
    list of str
        The path of the page; [] after an error was logged.

    Raises
    ------
    SimilarityError
        With ``errors='raise'``: what is named is no result, or the page cannot be written. No part of a page is left.

    Notes
    -----
    Pictures and map are made of the variables that were searched, if they are still loaded. They are checked: where
    scores come out otherwise than they were, the data are others, and there is no picture of them. Whatever is missing
    is told on the page.

    Examples
    --------
    >>> import pyspedas_similarity as sim
    >>> found = sim.find_similar('mms1_dis_dist_brst', like='2020-11-19/23:36:20')  # doctest: +SKIP
    >>> sim.report(found, 'jets.html')  # doctest: +SKIP
    """
    if isinstance(gallery, bool) or not isinstance(gallery, (int, np.integer)) or gallery < 0:
        raise ArgumentError("gallery", f"found {gallery!r}", "Give the number of pictures, 0 or more.")
    if map_by not in (*METHODS, "none"):
        raise ArgumentError("map_by", f"found {map_by!r}", f"Give one of {', '.join(METHODS)}, none.")
    place = check_place(path, (".html", ".htm"), overwrite)
    results = read_results(names)
    table = table_of(results)
    again = Again(encoder, instrument, trange, probe, {"field": field, "velocity": velocity}, progress, load_keywords)
    seen = [look(result, table, int(gallery), again) for result in results]
    made = _report(results, table, seen, title, _Shown(int(gallery), map_by))
    write_whole(place, render(made).encode("utf-8"), overwrite)
    logger.info("Wrote %s: %d intervals.", place, len(table))
    return [str(place)]


def read_results(names: Any) -> list[Result]:
    """The results of a search that tplot variables carry, each with its scores where they are loaded.

    Raises
    ------
    VariableError
        If one of the names is no result of `find_similar`.
    """
    if not isinstance(names, str) and isinstance(names, Iterable):
        names = list(names)
        if not names:
            return []
    variables = [tplot.read(one) for one in tplot.expand(names)]
    for variable in variables:
        record = variable.attributes.get(ATTRIBUTE)
        if not isinstance(record, Mapping) or not {"source", "queries"} <= set(record):
            remedy = "Give what find_similar returned."
            raise VariableError(variable.name, "it is not the result of a search with a query", remedy)
    bars = [one for one in variables if "intervals" in one.attributes[ATTRIBUTE]]
    with_bars = [_without_intervals(one) for one in bars]
    alone = [one for one in variables if one not in bars and one.attributes[ATTRIBUTE] not in with_bars]
    return [*(_result(one, _series_of(one)) for one in bars), *(_result(one, one) for one in alone)]


def _result(carrier: Variable, series: Variable | None) -> Result:
    nothing = {"start_ns": [], "end_ns": [], "peak_ns": [], "score": [], "n_samples": []}
    found = carrier.attributes[ATTRIBUTE].get("intervals", nothing)
    scores = (series.times, series.values) if series is not None else (None, None)
    record = _without_intervals(carrier)
    return Result(record, found, *scores, name=_name_of(record, carrier.name))


def _name_of(record: Mapping[str, Any], carrier: str) -> str:
    """An archive that has one source at several sites calls the series by both, and so its results and queries."""
    longer = "_".join([str(record["source"]), *map(str, (record.get("station") or {}).values())])
    named = [carrier, *(str(query.get("label", "")) for query in record["queries"])]
    is_longer = "archive" in record and any(one.startswith((f"{longer}_similar", f"{longer} ")) for one in named)
    return longer if is_longer else str(record["source"])


def _without_intervals(carrier: Variable) -> dict[str, Any]:
    return {key: value for key, value in carrier.attributes[ATTRIBUTE].items() if key != "intervals"}


def _series_of(bars: Variable) -> Variable | None:
    """The scores that the intervals are of: the loaded variable with the same provenance."""
    wanted = _without_intervals(bars)
    near = bars.name.replace("_similar", "_similarity")
    for name in dict.fromkeys([near, *tplot.loaded_names()]):
        try:
            candidate = tplot.read(name)
        except VariableError:
            continue
        if candidate.values.ndim == 1 and candidate.attributes.get(ATTRIBUTE) == wanted:
            return candidate
    return None


@dataclass(frozen=True)
class _Shown:
    """How much is shown as pictures, and how the map is made."""

    gallery: int
    map_by: str


def _report(results: list[Result], table: Table, seen: list[Seen], title: str | None, shown: _Shown) -> Report:
    versions = dict(results[0].record.get("versions", {})) if results else package_versions()
    notes = {"gallery": _gallery_notes(table, shown.gallery, seen), "plots": (), "map": ()}
    scored = [(result, one.variable) for result, one in zip(results, seen, strict=True) if result.searched]
    lacking = [result.source for result in results if not result.searched]
    if lacking or not results:
        notes["plots"] = (f"The scores of {', '.join(lacking) or 'the search'} are not loaded.",)
    drawn, notes["map"] = _map(results, table, seen, shown.map_by)
    return Report(
        title=title or _title(results),
        made=datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S"),
        results=tuple(results),
        methods=methods_text(results, versions),
        table=table,
        cards=tuple(_cards(results, table, seen, shown.gallery)),
        notes=notes,
        plots=tuple(plot for pair in scored for plot in (score_plot(*pair), histogram(pair[0]))),
        map=drawn,
        versions=versions | {"Python that wrote this page": platform.python_version()},
    )


def _title(results: list[Result]) -> str:
    if not results:
        return "Nothing found"
    queries = results[0].record["queries"]
    label = tidy(str(queries[0]["label"])) if queries else "a query"
    return f"Intervals like {label}" + (f" and {count(len(queries) - 1, 'other query')}" if len(queries) > 1 else "")


def _gallery_notes(table: Table, gallery: int, seen: list[Seen]) -> tuple[str, ...]:
    notes = []
    if len(table) > gallery:
        notes.append(f"Of {count(len(table), 'match', 'matches')}, the best {gallery} are shown; the table has all.")
    return (*notes, *dict.fromkeys(one.missing for one in seen if one.missing))


def _cards(results: list[Result], table: Table, seen: list[Seen], gallery: int) -> Iterator[Card]:
    of_result = {id(result): one for result, one in zip(results, seen, strict=True)}
    for query in results[0].record["queries"] if results else ():
        owner = next((one for one in results if one.has(query)), None)
        yield _query_card(query, of_result[id(owner)] if owner else None)
    peak, score = (table.columns.index(name) for name in ("peak", "score"))
    for number, (row, owner) in enumerate(zip(table.rows[:gallery], table.owners, strict=False)):
        one = of_result[id(owner)]
        pictures, missing = one.cards.get(np.datetime64(row[peak], "ns"), ((), one.missing or "it is not there."))
        when, where = row[peak][:23].replace("T", " "), owner.source if len(results) > 1 else ""
        yield Card(f"{number + 1}", when, number, f"{float(row[score]):.4f}", pictures, missing, where)


def _query_card(query: Mapping[str, Any], seen: Seen | None) -> Card:
    if "start" not in query:
        return Card("Query", "array", missing="it was given as an array.")
    start, end = (np.datetime64(query[key], "ns") for key in ("start", "end"))
    when = str(start)[:23].replace("T", " ") + ("" if start == end else f" to {str(end)[11:23]}")
    if seen is None:
        return Card("Query", when, missing=f"it lies in another variable ({query['label']}).")
    middle = start + (end - start) // 2
    nearest = min(seen.cards, key=lambda time: abs(time - middle), default=None)
    inside = nearest is not None and start <= nearest <= end
    pictures, missing = seen.cards[nearest] if inside else ((), seen.missing or "it was not drawn.")
    return Card("Query", when, pictures=pictures, missing=missing)


def _map(results: list[Result], table: Table, seen: list[Seen], method: str) -> tuple[Map | None, tuple[str, ...]]:
    """The map of all results together, and why there is none."""
    if method == "none":
        return None, ("It was left out on request.",)
    notes = tuple(dict.fromkeys(one.no_map for one in seen if one.no_map))
    mapped = [(result, one) for result, one in zip(results, seen, strict=True) if one.embeddings is not None]
    hashes = {result.record["encoder"]["hash"] for result, _ in mapped}
    if not mapped or len(hashes) > 1:
        return None, notes or ("There is nothing to draw.",)
    embeddings = np.concatenate([one.embeddings for _, one in mapped])
    known = np.isfinite(embeddings).all(axis=1)
    if known.sum() < FEWEST:
        return None, (*notes, "There are too few samples for a map.")
    places = embedding_map(embeddings, method)
    marks = [mark for result, one in mapped for mark in _marks(result, one.times, table)]
    kept = [mark for mark, there in zip(marks, known, strict=True) if there]
    drawn = Map(places.places[known], *(list(part) for part in zip(*kept, strict=True)), places.method)
    if len(table) > MOST_MARKS:
        notes = (*notes, f"The best {MOST_MARKS} matches of each variable are drawn.")
    return drawn, notes


def _marks(result: Result, times: np.ndarray, table: Table) -> Iterator[tuple[str, str, int]]:
    """Kind, text and row of each sample on the map."""
    peaks, scored = table.column("peak"), table.column("score")
    rows = {
        peak: (number, score)
        for number, (peak, score, owner) in enumerate(zip(peaks, scored, table.owners, strict=True))
        if owner is result
    }
    spans = query_spans(result)[: len(result.record["queries"])]
    scores = dict(zip(result.times, result.scores, strict=True)) if result.times is not None else {}
    for time in times:
        text = f"{result.source}, {str(time)[:23]} UTC"
        number, known = rows.get(str(time), (-1, None))
        told = float(known) if known is not None else scores.get(time, np.nan)
        text += f", score {told:.4f}" if np.isfinite(told) else ""
        if any(span.start <= time <= span.end for span in spans):
            yield "query", f"Query: {text}", number
        elif number >= 0:
            yield "match", f"Match {number + 1}: {text}", number
        else:
            yield "other", text, -1
