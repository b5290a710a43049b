"""Figures of a search result. No figure is registered with pyplot, so none stays open."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import tplot
from ..conventions import check_choice
from ..errors import ArgumentError, EncoderError, QueryError, SimilarityError, VariableError
from ..imaging.recipes import DistributionRecipe, FrameRecipe, Recipe
from ..instruments.identification import check_camera_frames
from ..instruments.registry import recipe_of
from ..instruments.sample_images import select
from ..library.plan import recipe_of_record
from ..library.samples import prepare
from ..plotting.epochs import SuperposedEpochs, epochs_figure, overlapping, superpose
from ..plotting.gallery import (
    FAINT_NOTE,
    Shown,
    as_measured_or_encoded,
    encoded,
    encoded_image,
    gallery_figure,
    gallery_note,
    half_width,
    kept_picture,
)
from ..plotting.occlusion import FILLS, Occlusion, occlude, occlusion_figure
from ..plotting.panels import panels_figure
from ..plotting.report_page.content import tidy
from ..plotting.series import Marks, Strip, date_axis, mark, overview, strips_figure
from ..plotting.style import Style, plain, saved
from ..search.scoring import similarity
from ..search.search_series import check_count
from ..times import Span, bounds, nearest_rows, to_interval, to_text, to_timedelta64
from ..tplot import Panel, Variable
from . import tplot_output
from .reload import (
    TOLERANCE,
    Reloaded,
    ReloadOptions,
    checked_encoder,
    column_of,
    images_of_rows,
    in_view,
    labels_of,
    other_variable,
    panels_of,
    query_series,
    reload_file,
    reload_series,
    variable_of,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from .search_result import SearchResult
    from .searched_series import QueryRecord, SearchedSeries

QUERIES_DRAWN, CAMERAS_DRAWN = 3, 4
# Samples whose median replaces a hidden patch.
_MEDIAN_OF = 64


def matches_figure(
    result: SearchResult, limit: int, show_encoded: bool, options: ReloadOptions, path: str | Path | None, style: Style
) -> Figure:
    """Draw the queries next to the best events, as they were measured; ArgumentError if there is no event."""
    check_count("limit", limit)
    _require_events(result, "draw")
    if any(one.is_of_panels for one in result.searched):
        return saved(_panel_matches(result, limit, options, style), path, style)
    drawn = range(min(limit, len(result)))
    peak, source, score = result.peak, result.source, result.score
    owners = [result.series_of(row) for row in drawn]
    reloaded = {}
    for series in dict.fromkeys(owners):
        times = peak[[row for row in drawn if owners[row] is series]]
        reloaded[id(series)] = reload_series(result, series, times, options)
    several = len({*source, *(one.variable for one in result.queries)}) > 1
    columns = [_query_column(result, one, reloaded, options, several) for one in result.queries[:QUERIES_DRAWN]]
    for row in drawn:
        made, time = reloaded[id(owners[row])], peak[row]
        place = [source[row]] if several else []
        found = made.at(time)
        heading = (f"{row + 1}: {score[row]:.3f}", *_date_and_time(found), *place)
        columns.append((_Sample.of(made, found), Shown(heading, (), faint=bool(result.faint[row]))))
    title = "Query and matches" if several else f"Query and matches in {source[0]}"
    note = gallery_note(len(drawn), len(result), bool(result.faint[: len(drawn)].any()))
    return saved(gallery_figure(_shown(columns, show_encoded), style, title, note), path, style)


def _panel_matches(result: SearchResult, limit: int, options: ReloadOptions, style: Style) -> Figure:
    """Draw the panels of the queries next to those of the best events, on the same axes."""
    names = options.originals if isinstance(options.originals, Mapping) else {}
    panels = {id(one): panels_of(result, one, names) for one in result.searched}
    several = len(result.searched) > 1
    columns = []
    for query in result.queries[:QUERIES_DRAWN]:
        series = query_series(result, query.variable) or result.searched[0]
        heading = ("query", *_date_and_time(query.span.start), *([query.variable] if several else []))
        columns.append(column_of(panels[id(series)], query.span, heading, True))
    number = min(limit, len(result))
    for row in range(number):
        span = Span(result.start[row], result.end[row])
        heading = (f"{row + 1}: {result.score[row]:.3f}", *_date_and_time(span.start))
        series = result.series_of(row)
        column = column_of(panels[id(series)], span, (*heading, *([series.name] if several else [])))
        columns.append(replace(column, faint=bool(result.faint[row])))
    rows = labels_of(panels[id(result.searched[0])])
    which = f"the {number} best of {len(result)} matches" if number < len(result) else f"all {number} matches"
    note = f"above each: similarity, and the start of the interval (UTC); {which}"
    note += FAINT_NOTE if result.faint[:number].any() else ""
    return panels_figure(rows, columns, style, "Query and matches", note)


def score_figure(
    result: SearchResult,
    names: str | int | Iterable[str | int] | None,
    trange: Any,
    path: str | Path | None,
    style: Style,
) -> Figure:
    """Draw tplot variables and the scores below each other, with queries and events shaded."""
    scored = [one for one in result.searched if one.scores is not None]
    if names is None:
        searched = dict.fromkeys(name for one in scored for name in one.panel_names)
        names = [name for name in searched if name in tplot.loaded_names()] or None
    above = [] if names is None else [tplot.read(name) for name in tplot.expand(names)]
    if not scored and not above:
        remedy = "Give what find_similar returned, or names of variables to draw."
        raise ArgumentError("found", "it has no scores", remedy)
    ends = _ends([one.times for one in scored or above], trange)
    for one in above:
        if not ((one.times >= ends[0]) & (one.times <= ends[1])).any():
            raise VariableError(one.name, f"no sample from {ends[0]} to {ends[1]}", "Load that time, or give trange.")
    spans = [one.span for one in result.queries if one.span is not None]
    own = [span for one in scored for span in one.own_events()]
    panels = [*(_panel(result, one, style) for one in above), *map(_score_panel, scored)]
    all_marks = Marks(result.start, result.end, *bounds(spans), *bounds(own), faint=result.faint)
    marks = [all_marks] * len(above) + [_marks(result, one) for one in scored]
    figure = tplot.panels(panels, ends, style.size(10.0, 1.2 + 1.5 * len(panels)))
    for panel, drawn, marked in zip(figure.axes, panels, marks, strict=False):
        mark(panel, marked, ends, style, full=not _is_colored(drawn))
        if np.isfinite(marked.threshold):
            panel.axhline(marked.threshold, color="0.4", linestyle=":", linewidth=1)
    date_axis(figure.axes[len(panels) - 1])
    kinds = (not all(result.faint), any(result.faint), bool(spans), bool(own), bool(scored))
    _draw_legend(figure, kinds, style)
    figure.suptitle(style.heading(_title(result)), fontsize="medium")
    return saved(figure, path, style)


def epochs_of_events(
    result: SearchResult,
    names: str | int | Iterable[str | int],
    window: tuple[Any, Any],
    step: Any,
    queries: bool,
    path: str | Path | None,
    style: Style,
) -> SuperposedEpochs:
    """Superpose variables around the best samples of the events."""
    before, after = (to_timedelta64(one, "before, after") for one in window)
    nothing = np.timedelta64(0, "ns")
    if min(before, after) < nothing or before + after <= nothing:
        raise ArgumentError(
            "before, after", f"found {window[0]!r}, {window[1]!r}", "Give seconds, one of them above 0."
        )
    times = result.peak
    if queries:
        spans = [one.span for one in result.queries if one.span is not None]
        times = np.concatenate([times, np.array([span.middle for span in spans], "datetime64[ns]")])
    if not len(times):
        raise ArgumentError("found", "there is no event to superpose", "Lower the threshold of the search.")
    variables = [tplot.read(name) for name in tplot.expand(names)]
    width = None if step is None else to_timedelta64(step, "step")
    epochs = tuple(
        superpose(one, np.sort(times), (before, after), width, tplot.options_of(one.name).get("legend_names") or ())
        for one in variables
    )
    shared = overlapping(times, before, after)
    figure = saved(epochs_figure(epochs, len(times), shared, style), path, style)
    return SuperposedEpochs(epochs, np.sort(times), shared, figure)


def keogram_score_figure(
    result: SearchResult,
    cut: tuple[float | None, float | None],
    options: ReloadOptions,
    path: str | Path | None,
    style: Style,
) -> Figure:
    """Draw keograms of the searched cameras with the scores below; `cut` is height (km) and width."""
    scored = [one for one in result.searched if one.scores is not None]
    if not scored:
        raise ArgumentError("found", "it has no scores", "Give what find_similar returned.")
    strips = []
    for one in scored[:CAMERAS_DRAWN]:
        variable = variable_of(result, one.name, options.loaded_name(one.source), options)
        check_camera_frames(variable)
        part = _part(variable, one.times[0], one.times[-1])
        made = overview(part, None, *cut)
        strips.append(Strip(variable.name, part.times, made, one.times, one.scores, _marks(result, one)))
    title = _title(result)
    if len(scored) > CAMERAS_DRAWN:
        title += f"; {CAMERAS_DRAWN} of {len(scored)} cameras"
    return saved(strips_figure(strips, style, title), path, style)


def occlusion_of_event(
    result: SearchResult,
    event: Any,
    encoder: Any,
    hiding: tuple[int | None, str],
    options: ReloadOptions,
    path: str | Path | None,
    style: Style,
) -> Occlusion:
    """Hide parts of an event's image in turn; `hiding` is the side of a patch and what replaces it."""
    patch, fill = hiding
    _check_occlusion(result, fill)
    row = result.row_of(event)
    series, time = result.series_of(row), result.peak[row]
    _check_queries_recorded(series)
    options = replace(options, encoder=checked_encoder(result, series, encoder))
    made = _reload_images(result, series, time, options)
    image = made.images[min(made.images, key=lambda one: abs(one - time))]
    likes, unlikes = (
        [_query_images(result, made, one, options) for one in group] for group in (series.queries, series.unlike)
    )
    usual = _median_image(result, series, made, image, options) if fill == "median" else None
    images = [[images for images, _ in group] for group in (likes, unlikes)]
    occluded = occlude(image, _score_function(series, made, *images), patch, usual)
    score = float(result.score[row])
    if np.isfinite(score) and abs(occluded.score - score) > TOLERANCE:
        text = f"the loaded data give the score {occluded.score:.4f}, and {score:.4f} was found"
        raise VariableError(series.source, text, "Load what was searched, with its field and velocity.")
    query_images, query_times = likes[0]
    query_image, query_time = query_images[len(query_images) // 2], query_times[len(query_times) // 2]
    headings = (plain(f"query, {to_text(query_time)}"), plain(f"match {row + 1}, {to_text(time)}"))
    pictures = (encoded_image(query_image, made.recipe), encoded_image(image, made.recipe))
    figure = occlusion_figure(occluded, *pictures, style, headings)
    return replace(occluded, figure=saved(figure, path, style))


def _check_occlusion(result: SearchResult, fill: str) -> None:
    """Raise ArgumentError for an unknown filling, and for a result without events or images."""
    check_choice("fill", fill, FILLS)
    _require_events(result, "explain")
    if any(one.is_of_panels for one in result.searched):
        remedy = "Compare the panels with plot_matches, or search them one by one."
        raise ArgumentError("found", "it is of panels, which have no image to hide parts of", remedy)


def _check_queries_recorded(series: SearchedSeries) -> None:
    """Raise QueryError for queries whose samples are in no variable."""
    for query in (*series.queries, *series.unlike):
        if query.span is None:
            found = f"the result does not hold the samples of {query.kind}"
            raise QueryError(f"query {query.label}", found, "Store it as a variable and search with ('name', time).")


def _reload_images(
    result: SearchResult, series: SearchedSeries, time: np.datetime64, options: ReloadOptions
) -> Reloaded:
    """Read the image at a time again, with the encoder of the search; raise where one of them is not available."""
    made = reload_series(result, series, np.array([time]), options)
    if made.plan is not None and made.plan.encoder.hash != series.record["encoder"]["hash"]:
        remedy = "Give the encoder of the search as encoder."
        raise EncoderError(f"encoder {made.plan.encoder.card.name}", "it differs from that of the search", remedy)
    if made.embeddings is None or not made.images:
        raise VariableError(series.source, made.missing or made.no_embeddings, "Load what was searched.")
    return made


def _score_function(
    series: SearchedSeries, made: Reloaded, likes: Sequence[np.ndarray], unlikes: Sequence[np.ndarray]
) -> Callable[[np.ndarray], np.ndarray]:
    """Return the function from images (n, channels, rows, columns) to their scores (n,)."""

    def encode(images: np.ndarray) -> np.ndarray:
        return in_view(series, made.plan.encoder.encode(images))

    like_embeddings, unlike_embeddings = (list(map(encode, group)) for group in (likes, unlikes))
    return lambda images: similarity(encode(images), like_embeddings, unlike_embeddings)


@dataclass(frozen=True, eq=False)
class _Sample:
    """One sample for a gallery: prepared, or a thumbnail, or the reason why there is none."""

    variable: Variable | None = None
    recipe: Recipe | None = None
    missing: str = ""
    thumbnail: bytes | None = None

    @classmethod
    def of(cls, made: Reloaded, time: np.datetime64) -> _Sample:
        """Take the sample at a time."""
        if time in made.samples:
            return cls(made.samples[time], made.recipe)
        return cls(None, made.recipe, made.missing or f"no sample at {time}", made.thumbnails.get(time))


def _query_column(
    result: SearchResult, query: QueryRecord, reloaded: dict[int, Reloaded], options: ReloadOptions, several: bool
) -> tuple[_Sample, Shown]:
    """Return the sample of a query, and its column without pictures."""
    if query.file:
        made = reload_file(query, recipe_of_record(result.record))
        return _Sample.of(made, np.datetime64(0, "ns")), Shown(("query", plain(query.label, 24)), (), True)
    if query.span is None:
        return _Sample(missing="the query was given as an array"), Shown(("query", "array"), (), True)
    name = [query.variable] if several else []
    series = query_series(result, query.variable)
    if series is None:
        sample, time = _other_sample(result, query, options)
        return sample, Shown(("query", *_date_and_time(time), *name), (), True)
    if id(series) not in reloaded:
        reloaded[id(series)] = reload_series(result, series, np.array([], "datetime64[ns]"), options)
    made = reloaded[id(series)]
    time = made.nearest(query.span) or query.span.start
    return _Sample.of(made, time), Shown(("query", *_date_and_time(time), *name), (), True)


def _other_sample(result: SearchResult, query: QueryRecord, options: ReloadOptions) -> tuple[_Sample, np.datetime64]:
    """Return the middle sample of a query in a variable that was not searched."""
    try:
        plan, samples = other_variable(query.variable, recipe_of_record(result.record), options)
        row = _middle_row(samples.times, query.span, query.variable)
        return _Sample(select(samples, np.array([row])), plan.recipe), samples.times[row]
    except SimilarityError as error:
        return _Sample(missing=str(error)), query.span.start


def _shown(columns: Sequence[tuple[_Sample, Shown]], show_encoded: bool) -> list[Shown]:
    """Return columns with their pictures; cuts through velocity space all have the width of the first."""
    width, shown = None, []
    for sample, column in columns:
        if sample.variable is None:
            stored = () if sample.thumbnail is None else (kept_picture(sample.thumbnail),)
            shown.append(replace(column, pictures=stored, missing=sample.missing))
            continue
        if width is None and isinstance(sample.recipe, DistributionRecipe):
            width = half_width(sample.variable, sample.recipe)
        pictures, missing = as_measured_or_encoded(sample.variable, sample.recipe, width)
        if show_encoded and not missing:
            pictures = (*pictures, *encoded(sample.variable, sample.recipe))
        shown.append(replace(column, pictures=pictures, missing=missing))
    return shown


def _query_images(
    result: SearchResult, made: Reloaded, query: QueryRecord, options: ReloadOptions
) -> tuple[np.ndarray, np.ndarray]:
    """Return the images and the times of the samples of a query."""
    series = query_series(result, query.variable)
    name = options.loaded_name(series.source if series is not None else query.variable)
    samples = prepare(variable_of(result, query.variable, name, options), made.plan)
    rows = np.flatnonzero(query.span.contains(samples.times))
    if not len(rows):
        raise VariableError(samples.name, f"no sample at {query.span}", "Load what was searched.")
    return images_of_rows(samples, made.plan.recipe, rows), samples.times[rows]


def _median_image(
    result: SearchResult, series: SearchedSeries, made: Reloaded, image: np.ndarray, options: ReloadOptions
) -> np.ndarray:
    """Return the median of images spread over the variable, for frames on the brightness scale of one image."""
    samples = prepare(variable_of(result, series.name, options.loaded_name(series.source), options), made.plan)
    rows = np.unique(np.linspace(0, len(samples.times) - 1, _MEDIAN_OF).round().astype(int))
    some = images_of_rows(samples, made.recipe, rows)
    known = np.isfinite(some).any(axis=0)
    usual = np.where(known, np.nanmedian(np.where(known, some, 0), axis=0), np.nan)
    if not isinstance(made.recipe, FrameRecipe):
        return usual
    low, middle, high = np.nanpercentile(usual, (25, 50, 75))
    own = np.nanpercentile(image, (25, 50, 75))
    return (usual - middle) * (own[2] - own[0]) / max(high - low, 1e-9) + own[1]


def _middle_row(times: np.ndarray, span: Span, name: str) -> int:
    inside = np.flatnonzero(span.contains(times))
    if len(inside):
        return int(inside[len(inside) // 2])
    near = int(nearest_rows(times, np.array([span.middle]))[0])
    if near < 0:
        raise VariableError(name, f"no sample at {span}", "Load what was searched.")
    return near


def _require_events(result: SearchResult, purpose: str) -> None:
    if not len(result):
        raise ArgumentError("found", f"there is no event to {purpose}", "Lower the threshold of the search.")


def _date_and_time(time: np.datetime64) -> tuple[str, str]:
    return str(time)[:10], str(time)[11:23]


def _ends(times: Sequence[np.ndarray], trange: Any) -> tuple[np.datetime64, np.datetime64]:
    if trange is not None:
        return to_interval(trange)
    known = [one for one in times if len(one)]
    if not known:
        raise ArgumentError("found", "it has no samples", "Give what find_similar returned.")
    return min(one[0] for one in known), max(one[-1] for one in known)


def _marks(result: SearchResult, series: SearchedSeries) -> Marks:
    events, threshold = result.events_of(series), float(series.record.get("threshold", np.nan))
    faint = result.faint[result.rows_of(series)]
    own = bounds(series.own_events())
    return Marks(events.start, events.end, *bounds(series.own_spans()), *own, threshold, faint)


def _panel(result: SearchResult, variable: Variable, style: Style) -> Panel:
    """Return a variable as tplot draws it; a distribution, spectra or frames as an overview."""
    if variable.values.ndim >= 3:
        made = overview(variable, _recipe(result, variable))
        values = np.where(made.values > 0, made.values, np.nan) if made.logarithmic else made.values
        instead = replace(variable, values=values, coordinates={"v": made.bins})
        options = {"spec": True, "ytitle": plain(variable.name, 24), "ysubtitle": made.label, "ztitle": made.unit}
        options |= {"ylog": made.logarithmic, "zlog": made.logarithmic, "colormap": style.cmap or "viridis"}
        return Panel(variable.name, instead=instead, options=options)
    options = {"colormap": style.cmap} if style.cmap else {}
    if not style.cmap and "colormap" not in tplot.options_of(variable.name):
        options = {"colormap": "viridis"}
    return Panel(variable.name, options=options)


def _recipe(result: SearchResult, variable: Variable) -> Recipe | None:
    """Return the recipe of the search in a variable, else that of its instrument; None if there is neither."""
    for one in result.searched:
        if one.source == variable.name:
            return recipe_of_record(one.record)
    try:
        return recipe_of(variable)
    except SimilarityError:
        return None


def _is_colored(panel: Panel) -> bool:
    """Return True if colors of a panel have a meaning, which shading would change."""
    options = {**tplot.options_of(panel.name), **panel.options} if panel.instead is None else panel.options
    return bool(options.get("spec"))


def _score_panel(series: SearchedSeries) -> Panel:
    made = tplot_output.similarity_series(series, series.variable or f"{series.name}_similarity", series.scores, {})
    return Panel(made.variable.name, instead=made.variable, options=made.options)


def _draw_legend(figure: Figure, kinds: Sequence[bool], style: Style) -> None:
    """Draw the legend of events, events that do not stand out, queries, own events and scores, as far as shown."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles = (
        Patch(color=style.match, alpha=0.3, label="similar"),
        Patch(color=style.match, alpha=0.1, label="similar, does not stand out"),
        Patch(color=style.query, alpha=0.5, label="query"),
        Patch(color=style.query, alpha=0.2, label="own event"),
        Line2D([], [], color="0.4", linestyle=":", label="threshold"),
    )
    shown = [one for one, there in zip(handles, kinds, strict=True) if there]
    if shown:
        figure.legend(handles=shown, loc="outside lower center", ncols=5, fontsize="small", frameon=False)


def _title(result: SearchResult) -> str:
    query = f" like {tidy(result.title_query)}" if result.title_query else ""
    return f"{len(result)} event{'s' * (len(result) != 1)}{query}"


def _part(variable: Variable, first: np.datetime64, last: np.datetime64) -> Variable:
    rows = slice(*np.searchsorted(variable.times, [first, last + np.timedelta64(1, "ns")]))
    if rows.stop <= rows.start:
        remedy = "Load what was searched, or name it in originals."
        raise VariableError(variable.name, f"it has no frames from {first} to {last}", remedy)
    return replace(variable, times=variable.times[rows], values=variable.values[rows])
