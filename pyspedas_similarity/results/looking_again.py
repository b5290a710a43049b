"""What a search found, seen again: pictures of queries and matches, and embeddings for a map.

What was searched is read from where it is: the tplot store, the instrument's loader, or the archive. Where scores come
out otherwise than they were, the data are others, and nothing is shown of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .. import tplot
from ..archive.index import Index, Series
from ..encoder.fitted import NAMED
from ..encoder.shipped import SHIPPED
from ..errors import SimilarityError, VariableError
from ..imaging.recipes import Recipe, recipe_from_dict
from ..instruments.sample_images import images_of, select
from ..library.archived import as_archive
from ..library.encoding import Choices, Plan, make_plan, prepare, prepared_segments
from ..library.inputs import load_variables, open_segments
from ..plotting.report_page.content import Picture, Result, Table
from ..plotting.report_page.thumbnails import pictures_of
from ..search.scoring import similarity
from ..times import Span
from ..tplot import Variable

MOST_OTHERS, MOST_MARKS = 1200, 1000
"""Of the map: samples that are no match, and matches."""

_PNG = b"\x89PNG\r\n\x1a\n"
_SAME = 1e-3
"""Scores of the same sample differ by less: eight-bit encoders round otherwise in other batches."""


@dataclass(frozen=True)
class Again:
    """How what was searched can be read again."""

    encoder: Any
    instrument: str | None
    trange: Any
    probe: Any
    companions: Mapping[str, str | None]
    progress: bool
    load_keywords: Mapping[str, Any]

    def choices(self, record: Mapping[str, Any], recipe: Recipe) -> Choices:
        """Those of the search; an encoder that cannot be had is replaced, which its hash will tell."""
        encoder = self.encoder
        if encoder is None:
            name = record.get("encoder", {}).get("name")
            encoder = name if name in (*NAMED, *SHIPPED) else "pixels"
        return Choices(self.instrument, encoder, recipe, self.companions, self.progress)


@dataclass(eq=False)
class Seen:
    """What was seen of one result when it was read again.

    Attributes
    ----------
    variable : Variable or None
        As loaded, for the plot.
    cards : dict
        From time (datetime64[ns]) to pictures and what is missing of them.
    times, embeddings : numpy.ndarray, shape (n,), (n, dimension)
        Of the samples on the map.
    missing : list of str
        What there is not, and why.
    """

    variable: Variable | None = None
    cards: dict[np.datetime64, tuple[tuple[Picture, ...], str]] = field(default_factory=dict)
    times: np.ndarray = field(default_factory=lambda: np.array([], "datetime64[ns]"))
    embeddings: np.ndarray | None = None
    missing: str = ""
    no_map: str = ""


def pictures_at(result: Result, times: np.ndarray, again: Again) -> Seen:
    """Pictures of some samples of one result; `missing` says why there are none."""
    seen = Seen()
    nothing = np.array([], "datetime64[ns]")
    try:
        recipe = recipe_from_dict({key: value for key, value in result.record["recipe"].items() if key != "hash"})
        _take(_parts(result, again, recipe, seen), _Wanted(times, nothing), recipe, seen, result)
    except SimilarityError as error:
        seen.missing = str(error)
        if "archive" in result.record:
            _take_kept(result, seen, times)
    return seen


def look(result: Result, table: Table, gallery: int, again: Again) -> Seen:
    """Read what was searched again, for pictures and map; what cannot be had is told."""
    seen = Seen()
    record = {key: value for key, value in result.record["recipe"].items() if key != "hash"}
    try:
        recipe = recipe_from_dict(record)
        wanted = _wanted(result, table, gallery)
        parts = _parts(result, again, recipe, seen)
        _take(parts, wanted, recipe, seen, result)
    except SimilarityError as error:
        seen.missing = seen.no_map = str(error)
        seen.variable = None  # it may hold other data than were searched
    if seen.embeddings is None and "archive" in result.record:
        _take_kept(result, seen, _wanted(result, table, gallery).drawn)
    return seen


@dataclass(frozen=True, eq=False)
class _Wanted:
    """Times of samples: to be drawn in the gallery, and to be put on the map. Queries are both."""

    drawn: np.ndarray
    mapped: np.ndarray


def _wanted(result: Result, table: Table, gallery: int) -> _Wanted:
    peaks = table.column("peak")[:gallery]
    drawn = [peak for peak, owner in zip(peaks, table.owners, strict=False) if owner is result]
    return _Wanted(np.array(drawn, "datetime64[ns]"), _times_on_map(result))


def query_spans(result: Result) -> list[Span]:
    """Those of the queries that lie in the searched variable."""
    found = []
    for query in [*result.record["queries"], *result.record.get("unlike", ())]:
        if "start" in query and result.has(query):
            found.append(Span(np.datetime64(query["start"], "ns"), np.datetime64(query["end"], "ns")))
    return found


def _times_on_map(result: Result) -> np.ndarray:
    """Samples that are embedded anew: the matches, samples evenly spread, and queries, which their spans add."""
    peaks = np.array(result.intervals["peak_ns"][:MOST_MARKS], np.int64).astype("datetime64[ns]")
    if result.times is None:
        return peaks
    known = np.flatnonzero(np.isfinite(result.scores))
    few = known[np.linspace(0, len(known) - 1, min(MOST_OTHERS, len(known))).round().astype(int)]
    return np.union1d(peaks, result.times[few])


def _parts(result: Result, again: Again, recipe: Recipe, seen: Seen) -> Iterator[tuple[Plan, Variable]]:
    """The plan and prepared samples of what was searched, as far as it can be had."""
    choices = again.choices(result.record, recipe)
    if result.source in tplot.loaded_names():
        seen.variable = tplot.read(result.source)
        plan = make_plan([seen.variable], choices)
        yield plan, prepare(seen.variable, plan)
        return
    if again.instrument is None:
        remedy = "Load it, or give instrument, trange and probe as they were given to find_similar."
        raise VariableError(result.source, "it is not loaded, so there is no picture of it", remedy)
    trange, keywords = again.trange, dict(again.load_keywords)
    if trange is None and result.times is not None:
        trange = [result.times[0], result.times[-1]]
    segments = open_segments(None, trange, again.instrument, again.probe, keywords)
    if segments is not None:
        yield from (pair for pair in prepared_segments(segments, choices) if pair[1].name == result.source)
        return
    loaded = load_variables(None, trange, again.instrument, again.probe, keywords)
    found = [one for one in loaded if one.name == result.source]
    if not found:
        raise VariableError(result.source, f"{again.instrument} did not bring it", "Give the probe that was searched.")
    seen.variable, plan = found[0], make_plan(loaded, choices)
    yield plan, prepare(found[0], plan)


def _take(parts: Iterator[tuple[Plan, Variable]], wanted: _Wanted, recipe: Recipe, seen: Seen, result: Result) -> None:
    """Pictures and embeddings of the wanted samples, part by part; nothing else stays."""
    times, embeddings, samples, encoder = [], [], {}, None
    spans = query_spans(result)
    for plan, part in parts:
        encoder = plan.encoder
        drawn, mapped = np.isin(part.times, wanted.drawn), np.isin(part.times, wanted.mapped)
        for span in spans:
            inside = np.flatnonzero((part.times >= span.start) & (part.times <= span.end))
            mapped[inside] = True
            drawn[inside[len(inside) // 2 : len(inside) // 2 + 1]] = True
        rows = np.flatnonzero(drawn | mapped)
        if not len(rows):
            continue
        images = _images_at(part, recipe, rows)
        if encoder.hash == result.record["encoder"]["hash"]:
            times.append(part.times[rows])
            embeddings.append(encoder.encode(images))
        for row in np.flatnonzero(drawn):
            one = select(part, np.array([row]))
            samples[part.times[row]] = pictures_of(one, images[np.searchsorted(rows, row)], recipe)
    if times:
        times, embeddings = np.concatenate(times), np.concatenate(embeddings)
        _check_same(result, times, embeddings)
        seen.times, seen.embeddings = times, embeddings
    else:
        name = result.record["encoder"].get("name", "")
        seen.no_map = f"The encoder '{name}' that was searched with is not at hand; give it as encoder."
    seen.cards = samples


def _images_at(samples: Variable, recipe: Recipe, rows: np.ndarray) -> np.ndarray:
    """Images of some samples; where neighbors are averaged, they are there to be."""
    wanted = np.zeros(len(samples.times), bool)
    wanted[rows] = True
    if getattr(recipe, "average", 1) == 1:
        samples, wanted = select(samples, rows), np.ones(len(rows), bool)
    return np.concatenate([made[wanted[block]] for block, made in images_of(samples, recipe, wanted)])


def _check_same(result: Result, times: np.ndarray, embeddings: np.ndarray) -> None:
    """Refuse pictures of other data than were searched: the scores would come out otherwise.

    Raises
    ------
    VariableError
        If they do.
    """
    n_queries, spans = len(result.record["queries"]), query_spans(result)
    if len(spans) < n_queries + len(result.record.get("unlike", ())):
        return  # a query is in another variable, or in none: the scores cannot be made again here
    queries = [embeddings[(times >= one.start) & (times <= one.end)] for one in spans]
    if not all(np.isfinite(one).any() for one in queries):
        raise _other_data(result)
    scores = similarity(embeddings, queries[:n_queries], queries[n_queries:])
    peaks = np.array(result.intervals["peak_ns"], np.int64).astype("datetime64[ns]")
    _, mine, theirs = np.intersect1d(times, peaks, return_indices=True)
    expected = np.asarray(result.intervals["score"], float)[theirs]
    if len(mine) and not np.allclose(scores[mine], expected, atol=_SAME):
        raise _other_data(result)


def _other_data(result: Result) -> VariableError:
    found = "what is loaded now gives other scores than those found"
    return VariableError(
        result.source, found, "Load what was searched, and give field and velocity as they were given."
    )


def _take_kept(result: Result, seen: Seen, drawn: np.ndarray) -> None:
    """Embeddings and thumbnails out of the archive that was searched."""
    about = result.record["archive"]
    try:
        index = as_archive(about["path"]).at(about["version"]).index()
        sites = list(result.record.get("station", {}).values())
        wanted = _times_on_map(result)
        for series in index.series:
            if series.source == result.source and (not sites or series.site in sites):
                near = np.isin(series.start, wanted)
                for span in query_spans(result):
                    near |= (series.start >= span.start) & (series.start <= span.end)
                rows = np.flatnonzero(near)
                seen.times, seen.embeddings = series.start[rows], index.embeddings(series.first + rows)
                seen.no_map = ""
                _take_thumbnails(index, series, _rows_of_cards(series, drawn, query_spans(result)), seen)
    except SimilarityError as error:
        seen.no_map = str(error)


def _rows_of_cards(series: Series, drawn: np.ndarray, spans: list[Span]) -> np.ndarray:
    """Which samples of a series are drawn: those wanted, and the middle one of each query."""
    chosen = np.isin(series.start, drawn)
    for span in spans:
        inside = np.flatnonzero((series.start >= span.start) & (series.start <= span.end))
        chosen[inside[len(inside) // 2 : len(inside) // 2 + 1]] = True
    return np.flatnonzero(chosen)


def _take_thumbnails(index: Index, series: Series, rows: np.ndarray, seen: Seen) -> None:
    """Pictures that were kept with the samples."""
    kept = dict(zip(series.start[rows], index.thumbnails(series.first + rows), strict=True))
    made = {time: png for time, png in kept.items() if png is not None and png.startswith(_PNG)}
    picture = "the sample as measured, kept in the archive"
    seen.cards |= {time: ((Picture(png, picture, "measured"),), "") for time, png in made.items()}
    if made:
        seen.missing = "" if len(made) == len(kept) else "no thumbnail of it was kept."
