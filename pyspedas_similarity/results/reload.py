"""Samples of a search, read again for pictures and maps.

They come from the variables that a result holds, from the tplot store, from the loader of the instrument, or, as
thumbnails and embeddings, from the archive that was searched. Samples that give other scores than the search did are
refused: the data were changed since.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import tplot
from ..archive.index import Index
from ..encoder.runtime import Encoder
from ..errors import ArgumentError, EncoderError, SimilarityError, VariableError
from ..imaging.recipes import DistributionRecipe, Recipe
from ..instruments import frames, sample_images
from ..instruments.companions import find_companions
from ..instruments.image_files import frames_of
from ..instruments.panels import Panel, panel_of
from ..instruments.registry import recipe_of
from ..library.archived import as_archive
from ..library.plan import EncodingOptions, Plan, is_available_by_name, make_plan, recipe_of_record
from ..library.samples import Request, prepare, prepared_parts, prepared_variables
from ..plotting.panels import Column, Row, panels_figure, part_of, row_of
from ..plotting.style import Style
from ..search.scoring import similarity
from ..times import Span, nearest_rows
from ..tplot import Variable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from .search_result import SearchResult
    from .searched_series import QueryRecord, SearchedSeries

# Scores of one sample differ by less than this: products round by the size of the batch.
TOLERANCE = 1e-3
SAME_TIME = np.timedelta64(1, "ms")
"""Times that differ by no more are of one sample: unix seconds as floats are off by some 100 ns."""
_NO_TIMES = np.array([], "datetime64[ns]")


@dataclass(frozen=True)
class ReloadOptions:
    """Sources of samples, where they differ from what the result records, as in `SearchResult.report`.

    `originals` names loaded variables by those that were searched, or the one where one was searched.
    """

    originals: Mapping[str, str] | str | None = None
    encoder: Any = None
    instrument: str | None = None
    trange: Any = None
    probe: Any = None
    load_keywords: Mapping[str, Any] | None = None
    field: str | None = None
    velocity: str | None = None

    def __post_init__(self) -> None:
        if self.originals is not None and not isinstance(self.originals, (str, Mapping)):
            raise ArgumentError("originals", f"found {self.originals!r:.60}", "Give a name, or {source: name}.")

    def input_of(self, series: SearchedSeries) -> dict[str, Any]:
        """Return instrument, time range and other arguments by which a series was loaded."""
        given = {key: getattr(self, key) for key in ("instrument", "trange", "probe", "field", "velocity")}
        given["load_keywords"] = self.load_keywords
        recorded = dict(series.record.get("input", {}))
        if given["instrument"] is not None and given["trange"] is None and series.times is not None:
            given["trange"] = [series.times[0], series.times[-1]]
        return recorded | {key: value for key, value in given.items() if value is not None}

    def loaded_name(self, source: str) -> str:
        """Return the name of the loaded variable with the samples of a searched one."""
        return self.originals if isinstance(self.originals, str) else (self.originals or {}).get(source, source)


@dataclass(eq=False)
class Reloaded:
    """Samples of one series that were read again.

    `samples` holds prepared samples by their times, `images` (channels, pixels, pixels) theirs, `thumbnails` PNG files;
    `embeddings` (n, dimension) at `times` are in the view of the search. `missing` and `no_embeddings` are the reasons
    why there are none.
    """

    recipe: Recipe | None = None
    variable: Variable | None = None
    samples: dict[np.datetime64, Variable] = field(default_factory=dict)
    images: dict[np.datetime64, np.ndarray] = field(default_factory=dict)
    thumbnails: dict[np.datetime64, bytes] = field(default_factory=dict)
    thumbnails_show: str = "the sample as measured, kept in the archive"
    times: np.ndarray = field(default_factory=lambda: _NO_TIMES)
    embeddings: np.ndarray | None = None
    plan: Plan | None = None
    missing: str = ""
    no_embeddings: str = ""

    def nearest(self, span: Span) -> np.datetime64 | None:
        """Return the time of the sample nearest to the middle of a span, if it is in the span."""
        found = self._nearest(span.middle)
        return found if found is not None and span.contains(found) else None

    def at(self, time: np.datetime64) -> np.datetime64:
        """Return the time of the sample at a time; the same time if there is none (`SAME_TIME`)."""
        found = self._nearest(time)
        return found if found is not None and abs(found - time) <= SAME_TIME else time

    def _nearest(self, time: np.datetime64) -> np.datetime64 | None:
        return min({*self.samples, *self.thumbnails}, key=lambda known: abs(known - time), default=None)


def reload_series(
    result: SearchResult,
    series: SearchedSeries,
    drawn: np.ndarray,
    options: ReloadOptions,
    embedded: np.ndarray = _NO_TIMES,
) -> Reloaded:
    """Read samples of a series again; what is not available is recorded in `missing` and `no_embeddings`.

    Samples at the times `drawn` are read as measured, with the middle one of each query in the series; those at the
    times `embedded` as embeddings, with all of the queries.
    """
    if series.is_of_panels:
        return _panels(result, series, drawn)
    made = Reloaded()
    try:
        made.recipe = recipe_of_record(series.record)
        _take_samples(made, _parts(result, series, made, options), series, drawn, embedded)
        _check_scores(result, series, made)
    except SimilarityError as error:
        made = Reloaded(made.recipe, missing=str(error), no_embeddings=str(error))
    if made.embeddings is None and "archive" in series.record:
        _take_archived(made, series, drawn, embedded)
    return made


def _panels(result: SearchResult, series: SearchedSeries, drawn: np.ndarray) -> Reloaded:
    """Return pictures of the windows of a series."""
    nothing = "There is no map of windows of panels."
    try:
        pictures = panel_pictures(result, series, drawn)
    except SimilarityError as error:
        return Reloaded(missing=str(error), no_embeddings=nothing)
    return Reloaded(thumbnails=pictures, thumbnails_show="the panels as measured", no_embeddings=nothing)


def reload_file(query: QueryRecord, recipe: Recipe) -> Reloaded:
    """Read the frame of a query that was given as an image file again: the only sample, at the start of 1970."""
    made, start = Reloaded(recipe), np.datetime64(0, "ns")
    try:
        with closing(frames_of(Path(query.file).expanduser(), "brightness")) as found:
            frame = next(found)[None]
        variable = Variable(query.label, np.array([start]), frame, attributes={"data_att": dict(query.about)})
        made.samples[start] = frames.prepared(variable, recipe)
        made.images[start] = images_of_rows(made.samples[start], recipe, np.zeros(1, np.intp))[0]
    except SimilarityError as error:
        made.missing = str(error)
    return made


def query_series(result: SearchResult, variable: str) -> SearchedSeries | None:
    """Return the searched series that a query names, or None."""
    return next((one for one in result.searched if one.name == variable), None)


def _parts(
    result: SearchResult, series: SearchedSeries, made: Reloaded, options: ReloadOptions
) -> Iterator[tuple[Plan, Variable]]:
    given, name = options.input_of(series), options.loaded_name(series.source)
    encoding = _encoding_options(result, series, options, given)
    if _is_held(result, series.name, options) or name in tplot.loaded_names():
        made.variable = variable_of(result, series.name, name, options)
    if made.variable is not None:
        plan, (samples,) = prepared_variables([made.variable], _drawable(made.variable, encoding))
        yield plan, samples
        return
    if given.get("instrument") is None or given.get("trange") is None:
        remedy = "Load it, or give instrument, trange and probe as they were given to find_similar."
        raise VariableError(series.source, "it is not loaded, so there is no picture of it", remedy)
    request = Request(None, given["trange"], given["instrument"], given.get("probe"), given.get("load_keywords") or {})
    found = False
    for plan, samples in prepared_parts(request, encoding):
        if samples.name == series.source:
            found = True
            yield plan, samples
    if not found:
        raise VariableError(series.source, f"{given['instrument']} has no data of it now", "Check the local files.")


def variable_of(result: SearchResult, series_name: str, loaded_name: str, options: ReloadOptions) -> Variable:
    """Return the variable that a result holds of a series, or else the loaded one; VariableError if there is none."""
    if _is_held(result, series_name, options):
        return result.held[series_name]
    return sample_images.in_order(tplot.read(loaded_name))


def _is_held(result: SearchResult, series_name: str, options: ReloadOptions) -> bool:
    return series_name in result.held and options.originals is None


def _encoding_options(
    result: SearchResult, series: SearchedSeries, options: ReloadOptions, given: Mapping[str, Any]
) -> EncodingOptions:
    name = series.record.get("encoder", {}).get("name")
    encoder = options.encoder if options.encoder is not None else result.encoder
    if encoder is None:  # another encoder makes the same samples; its hash shows that it is another
        encoder = name if is_available_by_name(name) else "pixels"
    companions = {key: given.get(key) for key in ("field", "velocity")}
    recipe = recipe_of_record(series.record)
    return EncodingOptions(given.get("instrument"), encoder, recipe, companions, False)


def _drawable(variable: Variable, encoding: EncodingOptions) -> EncodingOptions:
    """Return the options with planes in instrument axes, where the field that the recipe needs is no longer loaded."""
    recipe = encoding.recipe
    needs_field = isinstance(recipe, DistributionRecipe) and recipe.field_aligned
    if needs_field and "field" not in find_companions(variable, encoding.companions):
        return replace(encoding, recipe=recipe.without_field(), encoder="pixels")
    return encoding


def _take_samples(
    made: Reloaded,
    parts: Iterator[tuple[Plan, Variable]],
    series: SearchedSeries,
    drawn: np.ndarray,
    embedded: np.ndarray,
) -> None:
    times, embeddings = [], []
    spans = series.own_spans(unlike=True)
    for plan, part in parts:
        made.plan = plan
        draw, keep = _with_queries(part.times, _is_nearest(part.times, drawn), _is_nearest(part.times, embedded), spans)
        rows = np.flatnonzero(draw | keep)
        if not len(rows):
            continue
        images = images_of_rows(part, plan.recipe, rows)
        searched = series.record["encoder"]["hash"], series.record["recipe"]["hash"]
        if (plan.encoder.hash, plan.recipe.hash) == searched:
            times.append(part.times[rows])
            embeddings.append(in_view(series, plan.encoder.encode(images)))
        for row in np.flatnonzero(draw):
            made.recipe = plan.recipe
            made.samples[part.times[row]] = sample_images.select(part, np.array([row]))
            made.images[part.times[row]] = images[np.searchsorted(rows, row)]
    if times:
        made.times, made.embeddings = np.concatenate(times), np.concatenate(embeddings)
    else:
        name = series.record["encoder"].get("name", "")
        made.no_embeddings = f"The encoder '{name}' of the search is not available; give it as encoder."


def in_view(series: SearchedSeries, embeddings: np.ndarray) -> np.ndarray:
    """Return embeddings as the search compared them."""
    view = series.view
    return embeddings if view is None else view.directions(embeddings)


def _is_nearest(times: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Return the samples nearest to wanted times, if within a cadence: bool."""
    found, rows = np.zeros(len(times), bool), nearest_rows(times, wanted)
    found[rows[rows >= 0]] = True
    return found


def _with_queries(
    times: np.ndarray, draw: np.ndarray, keep: np.ndarray, spans: Sequence[Span]
) -> tuple[np.ndarray, np.ndarray]:
    """Add the middle sample of each query to the samples that are drawn, and all its samples to those embedded."""
    for span in spans:
        inside = np.flatnonzero(span.contains(times))
        keep[inside] = True
        draw[inside[len(inside) // 2 : len(inside) // 2 + 1]] = True
    return draw, keep


def images_of_rows(samples: Variable, recipe: Recipe, rows: np.ndarray) -> np.ndarray:
    """Return images of some prepared samples; a recipe that averages neighbors gets these, too."""
    wanted = np.zeros(len(samples.times), bool)
    wanted[rows] = True
    if getattr(recipe, "average", 1) == 1:
        samples, wanted = sample_images.select(samples, rows), np.ones(len(rows), bool)
    return np.concatenate([made[wanted[block]] for block, made in sample_images.images_of(samples, recipe, wanted)])


def _check_scores(result: SearchResult, series: SearchedSeries, made: Reloaded) -> None:
    """Raise VariableError if the samples give other scores than the search found."""
    spans, n_queries = series.own_spans(unlike=True), len(series.queries)
    if made.embeddings is None or len(spans) < n_queries + len(series.unlike) or series.has_lost_view:
        return  # the scores cannot be computed again: a query is in another variable or an array, or the table was read
    queries = [made.embeddings[one.contains(made.times)] for one in spans]
    if not all(np.isfinite(one).any() for one in queries):
        raise _other_data(series)
    scores = similarity(made.embeddings, queries[:n_queries], queries[n_queries:])
    events = result.events_of(series)
    _, mine, theirs = np.intersect1d(made.times, events.peak, return_indices=True)
    if len(mine) and not np.allclose(scores[mine], events.score[theirs], atol=TOLERANCE):
        raise _other_data(series)


def _other_data(series: SearchedSeries) -> VariableError:
    remedy = "Load the data that were searched, with the same field and velocity."
    return VariableError(series.source, "the loaded data give other scores than those found", remedy)


def _take_archived(made: Reloaded, series: SearchedSeries, drawn: np.ndarray, embedded: np.ndarray) -> None:
    """Take embeddings and thumbnails from the archive that was searched."""
    about = series.record["archive"]
    try:
        index = as_archive(about["path"]).at(about["version"]).index()
        for one in index.series:
            if one.source == series.source and series.place in ("", one.site):
                near, draw = np.isin(one.start, embedded), np.isin(one.start, drawn)
                draw, near = _with_queries(one.start, draw, near, series.own_spans(unlike=True))
                rows = np.flatnonzero(near)
                made.times, made.embeddings = one.start[rows], in_view(series, index.embeddings(one.first + rows))
                made.no_embeddings = ""
                _take_thumbnails(made, index, one.first, one.start, np.flatnonzero(draw))
    except SimilarityError as error:
        made.no_embeddings = str(error)


def _take_thumbnails(made: Reloaded, index: Index, first: int, times: np.ndarray, rows: np.ndarray) -> None:
    stored = index.thumbnails(first + rows)
    found = {times[row]: png for row, png in zip(rows, stored, strict=True) if png is not None}
    made.thumbnails |= {time: png for time, png in found.items() if png.startswith(b"\x89PNG\r\n\x1a\n")}
    if made.thumbnails:
        made.missing = "" if len(made.thumbnails) == len(rows) else "the archive holds no thumbnail of it."


def other_variable(name: str, recipe: Recipe, options: ReloadOptions) -> tuple[Plan, Variable]:
    """Return plan and prepared samples of a loaded variable that was not searched but holds a query."""
    variable = tplot.read(options.loaded_name(name))
    plan = make_plan([variable], EncodingOptions(encoder="pixels", recipe=recipe, progress=False))
    return plan, prepare(variable, plan)


def checked_encoder(result: SearchResult, series: SearchedSeries, encoder: Any) -> Encoder | str:
    """Return the encoder of a search; ArgumentError if neither the result nor its name provides it."""
    name = series.record.get("encoder", {}).get("name")
    found = encoder if encoder is not None else result.encoder or (name if is_available_by_name(name) else None)
    if found is None:
        raise EncoderError(f"encoder {name}", "its name does not identify it", "Give it as encoder.")
    return found


def panels_of(result: SearchResult, series: SearchedSeries, names: dict[str, str] | None = None) -> list[Panel]:
    """Return the panels of a series, from the variables that the result holds or else from loaded ones.

    `names` has the loaded variables by the names of those that were searched. VariableError if one is not loaded.
    """
    recipe = recipe_of_record(series.record)
    panels = []
    for about in series.record["panels"]:
        name = str(about["name"])
        given = (names or {}).get(name)
        variable = result.held[name] if given is None and name in result.held else tplot.read(given or name)
        if about["kind"] == "embedding":
            panels.append(Panel(variable, variable.times, np.empty((len(variable.times), 0)), "embedding"))
        else:
            panels.append(panel_of(variable, recipe))
    return panels


def labels_of(panels: list[Panel]) -> list[Row]:
    """Return labels and scales of panels."""
    rows = []
    for one in panels:
        options = one.variable.options
        title = options.get("axis_label")
        names = tuple(str(name) for name in options.get("legend_names") or ())
        rows.append(row_of(one, names, title if isinstance(title, str) else ""))
    return rows


def column_of(panels: list[Panel], span: Span, heading: tuple[str, ...], is_query: bool = False) -> Column:
    """Return what was measured in an interval."""
    half = float((span.end - span.start) / np.timedelta64(2, "s"))
    return Column(heading, half, tuple(part_of(one, span, _recipe(one)) for one in panels), is_query)


def panel_pictures(result: SearchResult, series: SearchedSeries, drawn: np.ndarray) -> dict[np.datetime64, bytes]:
    """Return the panels of events of a series with given peaks, and of the queries in it by their middles, as PNG."""
    panels, events = panels_of(result, series), result.events_of(series)
    rows = labels_of(panels)
    style = Style(figsize=(3.4, 0.5 + 0.9 * len(rows)), dpi=110)
    spans = {one.middle: one for one in series.own_spans()}
    for start, end, peak in zip(events.start, events.end, events.peak, strict=True):
        if peak in drawn:
            spans[peak] = Span(start, end)
    columns = {time: column_of(panels, span, ()) for time, span in spans.items()}
    return {time: _png(panels_figure(rows, [column], style), style.dpi) for time, column in columns.items()}


def _png(figure: Figure, dpi: float) -> bytes:
    drawn = BytesIO()
    figure.savefig(drawn, format="png", dpi=dpi)
    return drawn.getvalue()


def _recipe(panel: Panel) -> object:
    if panel.kind != "embedding":
        return None
    try:
        return recipe_of(panel.variable)
    except SimilarityError:
        return None
