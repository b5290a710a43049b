"""The page of a search: what `find_similar` found, gathered and written as one HTML file."""

from __future__ import annotations

import logging
import platform
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from . import products, tplot
from .archived import as_archive
from .encoder.fitted import NAMED
from .encoder.runtime import Encoder
from .encoder.shipped import SHIPPED
from .errors import ArgumentError, SimilarityError, VariableError
from .imaging.recipe import Recipe, recipe_from_dict
from .manners import pyspedas_manners
from .opening import load_variables, open_segments
from .pipeline import Choices, Plan, make_plan, prepare, prepared_segments
from .products import ATTRIBUTE
from .search.scoring import similarity
from .show.embedding_map import FEWEST, METHODS, embedding_map
from .show.report.content import Card, Map, Report, Result, Table, table_of
from .show.report.page import render
from .show.report.plots import histogram, score_plot
from .show.report.thumbnails import pictures_of
from .show.report.wording import count, methods_text, tidy
from .sources.tplot_variable import images_of, select
from .times import Span
from .tplot import Variable
from .writing import check_place, write_whole

logger = logging.getLogger(__name__)

MOST_PICTURES = 60
_MOST_OTHERS, _MOST_MARKS = 1200, 1000
"""Of the map: samples that are no match, and matches."""

_SAME = 1e-3
"""Scores of the same sample differ by less: eight-bit encoders round otherwise in other batches."""


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
    seeds and matches, the score against time, a map of embeddings, the provenance and what to cite.

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
    again = _Again(encoder, instrument, trange, probe, {"field": field, "velocity": velocity}, progress, load_keywords)
    seen = [_look(result, table, int(gallery), again) for result in results]
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
        if not isinstance(record, Mapping) or not {"source", "seeds", "threshold"} <= set(record):
            remedy = "Give what find_similar returned."
            raise VariableError(variable.name, "it is not the result of a search with a seed", remedy)
    bars = [one for one in variables if "intervals" in one.attributes[ATTRIBUTE]]
    with_bars = [_without_intervals(one) for one in bars]
    alone = [one for one in variables if one not in bars and one.attributes[ATTRIBUTE] not in with_bars]
    return [*(_result(one, _series_of(one)) for one in bars), *(_result(one, one) for one in alone)]


def _result(carrier: Variable, series: Variable | None) -> Result:
    nothing = {"start_ns": [], "end_ns": [], "peak_ns": [], "score": [], "n_samples": []}
    found = carrier.attributes[ATTRIBUTE].get("intervals", nothing)
    scores = (series.times, series.values) if series is not None else (None, None)
    return Result(_without_intervals(carrier), found, *scores)


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
class _Again:
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
class _Seen:
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
    cards: dict[np.datetime64, tuple[tuple[Any, ...], str]] = field(default_factory=dict)
    times: np.ndarray = field(default_factory=lambda: np.array([], "datetime64[ns]"))
    embeddings: np.ndarray | None = None
    missing: str = ""
    no_map: str = ""


def _look(result: Result, table: Table, gallery: int, again: _Again) -> _Seen:
    """Read what was searched again, for pictures and map; what cannot be had is told."""
    seen = _Seen()
    record = {key: value for key, value in result.record["recipe"].items() if key != "hash"}
    try:
        recipe = recipe_from_dict(record)
        wanted = _wanted(result, table, gallery)
        parts = _parts(result, again, recipe, seen)
        _take(parts, wanted, recipe, seen, result)
    except SimilarityError as error:
        seen.missing = seen.no_map = str(error)
    if seen.embeddings is None and "archive" in result.record:
        _take_kept(result, seen)
    return seen


@dataclass(frozen=True, eq=False)
class _Wanted:
    """Times of samples: to be drawn in the gallery, and to be put on the map."""

    drawn: np.ndarray
    mapped: np.ndarray


def _wanted(result: Result, table: Table, gallery: int) -> _Wanted:
    spans = _seed_spans(result)
    middles = [span.start + (span.end - span.start) // 2 for span in spans]
    best = table.rows[:gallery]
    source, peak = table.columns.index("source"), table.columns.index("peak")
    drawn = np.array([row[peak] for row in best if row[source] == result.source], "datetime64[ns]")
    return _Wanted(np.concatenate([drawn, np.array(middles, "datetime64[ns]")]), _times_on_map(result))


def _seed_spans(result: Result) -> list[Span]:
    """Those of the seeds that lie in the searched variable."""
    found = []
    for seed in [*result.record["seeds"], *result.record.get("unlike", ())]:
        if "start" in seed and str(seed["label"]).startswith(result.source + " "):
            found.append(Span(np.datetime64(seed["start"], "ns"), np.datetime64(seed["end"], "ns")))
    return found


def _times_on_map(result: Result) -> np.ndarray:
    """Samples that are embedded anew: the matches, samples evenly spread, and seeds, which their spans add."""
    peaks = np.array(result.intervals["peak_ns"][:_MOST_MARKS], np.int64).astype("datetime64[ns]")
    if result.times is None:
        return peaks
    known = np.flatnonzero(np.isfinite(result.scores))
    few = known[np.linspace(0, len(known) - 1, min(_MOST_OTHERS, len(known))).round().astype(int)]
    return np.union1d(peaks, result.times[few])


def _parts(result: Result, again: _Again, recipe: Recipe, seen: _Seen) -> Iterator[tuple[Plan, Variable]]:
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


def _take(
    parts: Iterator[tuple[Plan, Variable]], wanted: _Wanted, recipe: Recipe, seen: _Seen, result: Result
) -> None:
    """Pictures and embeddings of the wanted samples, part by part; nothing else stays."""
    times, embeddings, samples, encoder = [], [], {}, None
    spans = _seed_spans(result)
    for plan, part in parts:
        encoder = plan.encoder
        drawn, mapped = np.isin(part.times, wanted.drawn), np.isin(part.times, wanted.mapped)
        for span in spans:
            mapped |= (part.times >= span.start) & (part.times <= span.end)
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
        seen.times, seen.embeddings = np.concatenate(times), np.concatenate(embeddings)
        _check_same(result, seen, spans)
    else:
        name = result.record["encoder"].get("name", "")
        seen.no_map = f"The encoder '{name}' that was searched with is not at hand; give it as encoder."
    seen.cards = samples


def _images_at(samples: Variable, recipe: Recipe, rows: np.ndarray) -> np.ndarray:
    """Images of some samples; where neighbours are averaged, they are there to be."""
    wanted = np.zeros(len(samples.times), bool)
    wanted[rows] = True
    if getattr(recipe, "average", 1) == 1:
        samples, wanted = select(samples, rows), np.ones(len(rows), bool)
    return np.concatenate([made[wanted[block]] for block, made in images_of(samples, recipe, wanted)])


def _check_same(result: Result, seen: _Seen, spans: list[Span]) -> None:
    """Refuse pictures of other data than were searched: the scores would come out otherwise.

    Raises
    ------
    VariableError
        If they do.
    """
    n_seeds = len(result.record["seeds"])
    if len(spans) < n_seeds + len(result.record.get("unlike", ())):
        return  # a seed is in another variable, or in none: the scores cannot be made again here
    seeds = [seen.embeddings[(seen.times >= one.start) & (seen.times <= one.end)] for one in spans]
    if not all(np.isfinite(one).any() for one in seeds):
        raise _other_data(result)
    scores = similarity(seen.embeddings, seeds[:n_seeds], seeds[n_seeds:])
    peaks = np.array(result.intervals["peak_ns"], np.int64).astype("datetime64[ns]")
    _, mine, theirs = np.intersect1d(seen.times, peaks, return_indices=True)
    expected = np.asarray(result.intervals["score"], float)[theirs]
    if len(peaks) and (not len(mine) or not np.allclose(scores[mine], expected, atol=_SAME)):
        raise _other_data(result)


def _other_data(result: Result) -> VariableError:
    found = "what is loaded now gives other scores than those found"
    return VariableError(result.source, found, "Load what was searched, and give field and velocity as they were given.")


def _take_kept(result: Result, seen: _Seen) -> None:
    """Embeddings out of the archive that was searched."""
    about = result.record["archive"]
    try:
        index = as_archive(about["path"]).at(about["version"]).index()
        sites = list(result.record.get("station", {}).values())
        wanted = _times_on_map(result)
        for series in index.series:
            if series.source == result.record["source"] and (not sites or series.site in sites):
                near = np.isin(series.start, wanted)
                for span in _seed_spans(result):
                    near |= (series.start >= span.start) & (series.start <= span.end)
                rows = np.flatnonzero(near)
                seen.times, seen.embeddings = series.start[rows], index.embeddings(series.first + rows)
                seen.no_map = ""
    except SimilarityError as error:
        seen.no_map = str(error)


@dataclass(frozen=True)
class _Shown:
    """How much is shown as pictures, and how the map is made."""

    gallery: int
    map_by: str


def _report(results: list[Result], table: Table, seen: list[_Seen], title: str | None, shown: _Shown) -> Report:
    versions = dict(results[0].record.get("versions", {})) if results else products.versions()
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
    seeds = results[0].record["seeds"]
    label = tidy(str(seeds[0]["label"])) if seeds else "a seed"
    return f"Intervals like {label}" + (f" and {count(len(seeds) - 1, 'other seed')}" if len(seeds) > 1 else "")


def _gallery_notes(table: Table, gallery: int, seen: list[_Seen]) -> tuple[str, ...]:
    notes = []
    if len(table) > gallery:
        notes.append(f"Of {count(len(table), 'match', 'matches')}, the best {gallery} are shown; the table has all.")
    return (*notes, *dict.fromkeys(one.missing for one in seen if one.missing))


def _cards(results: list[Result], table: Table, seen: list[_Seen], gallery: int) -> Iterator[Card]:
    by_source = {result.source: one for result, one in zip(results, seen, strict=True)}
    for seed in results[0].record["seeds"] if results else ():
        yield _seed_card(seed, results, by_source)
    peak, score, source = (table.columns.index(name) for name in ("peak", "score", "source"))
    for number, row in enumerate(table.rows[:gallery]):
        pictures, missing = _pictures_at(by_source[row[source]], np.datetime64(row[peak], "ns"))
        when, where = row[peak][:23].replace("T", " "), row[source] if len(results) > 1 else ""
        yield Card(f"{number + 1}", when, number, f"{float(row[score]):.4f}", pictures, missing, where)


def _seed_card(seed: Mapping[str, Any], results: list[Result], by_source: Mapping[str, _Seen]) -> Card:
    if "start" not in seed:
        return Card("Seed", "array", missing="it was given as an array.")
    owner = next((one.source for one in results if str(seed["label"]).startswith(one.source + " ")), None)
    start, end = (np.datetime64(seed[key], "ns") for key in ("start", "end"))
    when = str(start)[:23].replace("T", " ") + ("" if start == end else f" to {str(end)[11:23]}")
    if owner is None:
        return Card("Seed", when, missing=f"it lies in another variable ({seed['label']}).")
    one = by_source[owner]
    nearest = min(one.cards, key=lambda time: abs(time - (start + (end - start) // 2)), default=None)
    inside = nearest is not None and start <= nearest <= end
    pictures, missing = one.cards[nearest] if inside else ((), one.missing or "it was not drawn.")
    return Card("Seed", when, pictures=pictures, missing=missing)


def _pictures_at(seen: _Seen, time: np.datetime64) -> tuple[tuple[Any, ...], str]:
    return seen.cards.get(time, ((), seen.missing or "no sample is there any more."))


def _map(
    results: list[Result], table: Table, seen: list[_Seen], method: str
) -> tuple[Map | None, tuple[str, ...]]:
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
    if len(table) > _MOST_MARKS:
        notes = (*notes, f"The best {_MOST_MARKS} matches of each variable are drawn.")
    return drawn, notes


def _marks(result: Result, times: np.ndarray, table: Table) -> Iterator[tuple[str, str, int]]:
    """Kind, text and row of each sample on the map."""
    peak, source, score = (table.columns.index(name) for name in ("peak", "source", "score"))
    rows = {
        row[peak]: (number, row[score]) for number, row in enumerate(table.rows) if row[source] == result.source
    }
    spans = _seed_spans(result)[: len(result.record["seeds"])]
    scores = dict(zip(result.times, result.scores, strict=True)) if result.times is not None else {}
    for time in times:
        text = f"{result.source}, {str(time)[:23]} UTC"
        number, known = rows.get(str(time), (-1, None))
        told = float(known) if known is not None else scores.get(time, np.nan)
        text += f", score {told:.4f}" if np.isfinite(told) else ""
        if any(span.start <= time <= span.end for span in spans):
            yield "seed", f"Seed: {text}", number
        elif number >= 0:
            yield "match", f"Match {number + 1}: {text}", number
        else:
            yield "other", text, -1
