"""Public functions that draw what a search found. No figure is registered with pyplot: none stays open."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import tplot
from ..archive.archive import Archive
from ..conventions import nothing_found, pyspedas_manners
from ..encoder.runtime import Encoder
from ..errors import ArgumentError, VariableError
from ..imaging.keogram import keogram
from ..imaging.recipes import DistributionRecipe
from ..instruments import frames
from ..library.archived import open_kept
from ..library.encoding import Choices
from ..plotting.archive_map import archive_map_figure
from ..plotting.embedding_map import embedding_map
from ..plotting.epochs import SuperposedEpochs, epochs_figure, overlapping, superpose
from ..plotting.gallery import Shown, gallery_figure, told
from ..plotting.keogram_score import Strip, keogram_figure
from ..plotting.marks import Marks, drawable
from ..plotting.occlusion import FILLS, Occlusion, occlusion_figure
from ..plotting.original import as_measured_or_encoded, encoded, half_width, kept_picture
from ..plotting.overview import overview
from ..plotting.style import Style, plain, save
from ..provenance import ATTRIBUTE
from ..times import to_interval, to_timedelta64
from ..tplot import Panel, Variable
from .driving import Driven
from .joins import read_events
from .mapped import colors_of, mapped, marked
from .originals import Found, Originals, Sample, is_score, middle_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["plot_archive_map", "plot_keogram", "plot_matches", "plot_score", "superposed_epochs", "what_drove"]

logger = logging.getLogger(__name__)

MOST_QUERIES, MOST_CAMERAS, MOST_ON_MAP = 3, 4, 10_000


@pyspedas_manners
def plot_matches(
    found: Any,
    path: str | Path | None = None,
    most: int = 7,
    encoded_too: bool = False,
    originals: Mapping[str, str] | str | None = None,
    **style: Any,
) -> Figure:
    """Draw the query beside its best matches, as they were measured.

    Distributions are cut in the planes of the recipe, in km/s, with phase space density as color: nothing is scaled,
    smoothed or taken off. Frames have north up. All samples share one scale of colors.

    Parameters
    ----------
    found : names, table or path
        What `find_similar` returned, a table of its intervals (chosen from, joined), or a file of one.
    path : str or Path, optional
        Picture to write; its ending says the format.
    most : int
        Matches that are drawn, the best ones.
    encoded_too : bool
        Below, the images that the encoder was given.
    originals : str or mapping of str to str, optional
        Names of the loaded variables to draw from, where they are called otherwise than those that were searched.
    errors : {'log', 'raise'}
        As in `find_similar`.
    **style
        ``cmap``, ``query``, ``match``, ``figsize``, ``dpi``, ``title``; fonts follow ``matplotlib.rcParams``.

    Returns
    -------
    matplotlib.figure.Figure
        [] where there is no match, after one warning. Of a sample whose variable is no longer loaded there is the small
        picture that the archive kept, if one was searched that has it; else its place says so.

    Raises
    ------
    SimilarityError
        With ``errors='raise'``, for bad input.
    """
    _check_count("most", most)
    looks, read = Style.of(style), Found.read(found)
    if not len(read):
        return nothing_found("there is no match to draw; lower the threshold of the search")
    opened, several = Originals(originals), len({*read.source, *(name for name, *_ in read.queries())}) > 1
    samples: list[tuple[Sample, tuple[str, ...], bool]] = []
    for name, span, record in read.queries()[:MOST_QUERIES]:
        if span is None:
            samples.append((Sample(None, None, "the query was given as an array"), ("query", "array"), True))
        else:
            sample = opened.at(name, middle_of(span, opened.times(name, record)), record)
            samples.append((sample, ("query", *_when(sample, span.start), *([name] * several)), True))
    for row in range(min(most, len(read))):
        time = read.peak[row]
        sample = opened.at(_name_at(read, row), time, read.record(row))
        heading = (f"{row + 1}: {read.score[row]:.3f}", *_when(sample, time), *([read.source[row]] * several))
        samples.append((sample, heading, False))
    title = "Query and matches" if several else f"Query and matches in {read.source[0]}"
    figure = gallery_figure(_shown(samples, encoded_too), looks, title, told(min(most, len(read)), len(read)))
    return _given(figure, path, looks)


@pyspedas_manners
def plot_score(
    found: Any,
    names: str | int | Iterable[str | int] | None = None,
    trange: Any = None,
    path: str | Path | None = None,
    **style: Any,
) -> Figure:
    """Draw tplot variables and the score below each other, with queries and intervals shaded.

    Panels are drawn by ``pyspedas.tplot`` with the options that the variables have. Spectrograms without a color map
    of their own get one that is safe for color-blind readers; of distributions and frames the omnidirectional
    spectrogram and the keogram are drawn.

    Parameters
    ----------
    found, path, errors
        As in `plot_matches`; of a table alone there is no score, and `names` are needed.
    names : str, int or list of them, optional
        Loaded tplot variables, globs allowed, drawn above the score.
    trange : time range, optional
        What is drawn; default all that was searched.
    **style
        ``cmap``, ``query``, ``match``, ``figsize``, ``dpi``, ``title``.

    Returns
    -------
    matplotlib.figure.Figure
        [] where there is nothing, after one warning.

    Raises
    ------
    SimilarityError
        With ``errors='raise'``, for bad input.

    See Also
    --------
    plot_keogram : for cameras
    """
    looks = Style.of(style)
    if isinstance(found, (list, tuple)) and not len(found):
        return nothing_found("there is no search to draw")
    scores = _scores_of(found)
    read = Found.read(found) if _has_intervals(found) else Found.read([])
    beside = [] if names is None else [tplot.read(name) for name in tplot.expand(names)]
    if not scores and not beside:
        remedy = "Give what find_similar returned, or names of variables to draw."
        raise ArgumentError("found", "there are no scores with it", remedy)
    ends = _ends(scores or beside, trange)
    for one in beside:
        if not ((one.times >= ends[0]) & (one.times <= ends[1])).any():
            raise VariableError(one.name, f"no sample from {ends[0]} to {ends[1]}", "Load that time, or give trange.")
    queries = [(span.start, span.end) for _, span, _ in _queries(read, scores) if span is not None]
    panels = [_panel(one, _shaded(read.start, read.end, queries, ends, looks), looks) for one in beside]
    for one in scores:
        own, names_told = _own_rows(read, one), [plain(_searched_name(one), 30)] if len(scores) > 1 else None
        here = [
            (s.start, s.end) for name, s, _ in _queries(read, [one]) if s is not None and name == _searched_name(one)
        ]
        shaded = _shaded(read.start[own], read.end[own], here, ends, looks)
        panels.append(Panel(one.name, shaded, options={"legend_names": names_told}))
    figure = tplot.panels(panels, ends, looks.size(10.0, 1.2 + 1.5 * len(panels)))
    for panel, one in zip(figure.axes[len(beside) :], scores, strict=False):
        _threshold(panel, one)
    _legend(figure, bool(len(read)), bool(queries), bool(scores), looks)
    figure.suptitle(looks.heading(_title(read, scores)), fontsize="medium")
    return _given(figure, path, looks)


@pyspedas_manners
def superposed_epochs(
    names: str | int | Iterable[str | int],
    found: Any,
    before: Any = 60.0,
    after: Any = 60.0,
    step: Any = None,
    queries: bool = False,
    path: str | Path | None = None,
    **style: Any,
) -> SuperposedEpochs:
    """Put the matches on top of each other: median and quartiles of variables around their best samples.

    Parameters
    ----------
    names : str, int or list of them
        Loaded tplot variables: lines, vectors, spectrograms.
    found, path, errors
        As in `plot_matches`; any table with ``start`` and ``end`` will do, of which the middles are taken.
    before, after : seconds, timedelta or Quantity
        Window around each best sample.
    step : seconds, timedelta or Quantity, optional
        Bins of relative time. Default: each variable's cadence, or what gives 240 bins.
    queries : bool
        Count the queries among the events. By default they are left out: the matches were chosen to be like them.
    **style
        ``cmap``, ``match``, ``figsize``, ``dpi``, ``title``.

    Returns
    -------
    SuperposedEpochs
        With the figure, and ``result[name].table()`` for the numbers: seconds, median, quartiles, number of events.
        Gaps and windows that reach beyond the data leave fewer events in a bin, and none are made up. [] where there
        is no event, after one warning.

    Raises
    ------
    SimilarityError
        With ``errors='raise'``, for bad input, or where no event lies in a variable.
    """
    looks, read = Style.of(style), Found.read(found)
    window = (to_timedelta64(before, "before"), to_timedelta64(after, "after"))
    if min(window) < np.timedelta64(0, "ns") or sum(window, np.timedelta64(0, "ns")) <= np.timedelta64(0, "ns"):
        raise ArgumentError("before, after", f"found {before!r}, {after!r}", "Give seconds, one of them above 0.")
    times = read.peak
    if queries:
        spans = [span for _, span, _ in read.queries() if span is not None]
        times = np.concatenate([times, np.array([middle_of(span) for span in spans], "datetime64[ns]")])
    if not len(times):
        return nothing_found("there is no event to superpose; lower the threshold of the search")
    variables = [tplot.read(name) for name in tplot.expand(names)]
    wide = None if step is None else to_timedelta64(step, "step")
    epochs = tuple(
        superpose(one, np.sort(times), window, wide, tplot.options_of(one.name).get("legend_names") or ())
        for one in variables
    )
    shared = overlapping(times, *window)
    figure = _given(epochs_figure(epochs, len(times), shared, looks), path, looks)
    return SuperposedEpochs(epochs, np.sort(times), shared, figure)


@pyspedas_manners
def plot_keogram(
    found: Any,
    path: str | Path | None = None,
    height_km: float | None = None,
    width: float | None = None,
    originals: Mapping[str, str] | str | None = None,
    **style: Any,
) -> Figure:
    """Draw keograms of the cameras that were searched with the score below, queries and matches marked in both.

    Parameters
    ----------
    found, path, originals, errors
        As in `plot_matches`, but with the scores: what `find_similar` returned. At most four cameras.
    height_km, width
        As in `keogram`.
    **style
        ``cmap``, ``query``, ``match``, ``figsize``, ``dpi``, ``title``.

    Returns
    -------
    matplotlib.figure.Figure
        [] where there is nothing, after one warning.

    Raises
    ------
    SimilarityError
        With ``errors='raise'``, for bad input, or where the frames are no longer loaded.
    """
    looks = Style.of(style)
    if isinstance(found, (list, tuple)) and not len(found):
        return nothing_found("there is no search to draw")
    scores = _scores_of(found)
    if not scores:
        raise ArgumentError("found", "there are no scores with it", "Give what find_similar returned.")
    read = Found.read(found) if _has_intervals(found) else Found.read([])
    strips = []
    for one in scores[:MOST_CAMERAS]:
        source = str(one.attributes[ATTRIBUTE]["source"])
        loaded = originals if isinstance(originals, str) else (originals or {}).get(source, source)
        variable = tplot.read(loaded)
        frames.check(variable)
        part = _part(variable, one.times[0], one.times[-1])
        made = keogram(*frames.north_up(part), height_km, width)
        strips.append(
            Strip(variable.name, variable.units, part.times, made, one.times, one.values, _marks_of(read, one))
        )
    title = _title(read, scores)
    if len(scores) > MOST_CAMERAS:
        title += f"; {MOST_CAMERAS} of {len(scores)} cameras"
    return _given(keogram_figure(strips, looks, title), path, looks)


@pyspedas_manners
def plot_archive_map(
    archive: Archive | str | Path,
    found: Any = None,
    events: Any = None,
    color: str = "time",
    path: str | Path | None = None,
    names: str | Sequence[str] | None = None,
    trange: Any = None,
    probe: Any = None,
    most: int = MOST_ON_MAP,
    method: str = "auto",
    seed_number: int = 0,
    **style: Any,
) -> Figure:
    """Draw the map of an archive: alike samples lie near each other.

    Parameters
    ----------
    archive : Archive, str or Path
    found : names, table or path, optional
        A search whose queries and matches are marked.
    events : as in `read_events`, optional
        Known events; of each, the middle sample is marked.
    color : {'time', 'source', 'site', 'score'}
        What the color of a sample tells; 'score' is that of `found`.
    path, errors
        As in `plot_matches`.
    names, trange, probe
        What of the archive is drawn, as in `find_similar`.
    most : int
        Samples that are drawn: of more, as many are taken evenly in time, and all that are marked. The title says so.
    method : {'auto', 'umap', 'pca'}
        'umap' (McInnes et al. 2018) on the graph of neighbors, half a minute for 10,000 samples; 'pca' the first two
        principal components; 'auto' takes UMAP where umap-learn is installed. The picture says which.
    seed_number : int
        Of the random numbers of UMAP.
    **style
        ``cmap``, ``query``, ``match``, ``event``, ``figsize``, ``dpi``, ``title``.

    Returns
    -------
    matplotlib.figure.Figure
        [] where the archive holds nothing of this, after one warning.

    Raises
    ------
    SimilarityError
        With ``errors='raise'``, for bad input.
    """
    looks = Style.of(style)
    _check_count("most", most)
    kept = open_kept(archive, names, trange, probe, Choices(usable_only=False), {})
    if kept is None:
        return nothing_found(f"the archive {archive} holds nothing of this")
    read = None if found is None else Found.read(found)
    marks = marked(kept, read, None if events is None else read_events(events))
    drawn = mapped(kept, marks.rows, most)
    colors = colors_of(kept, drawn, color, found)
    embeddings = kept.index.embeddings(drawn.rows)
    places = embedding_map(embeddings, method, seed_number, kept.archive.graph)
    title = f"{len(drawn.rows)} samples of an archive"
    if drawn.there > len(drawn.rows):
        title = f"{len(drawn.rows)} of {drawn.there} samples of an archive, evenly in time"
    for one in marks.missing:
        logger.warning("%s: %s.", kept.archive.path, one)
    return _given(archive_map_figure(places, colors, marks.among(drawn.rows), looks, title), path, looks)


@pyspedas_manners
def what_drove(
    found: Any,
    match: Any = 0,
    encoder: str | Path | Encoder | None = None,
    patch: int | None = None,
    fill: str = "mean",
    originals: Mapping[str, str] | str | None = None,
    path: str | Path | None = None,
    **style: Any,
) -> Occlusion:
    """Find the part of a match's image that drove its score: the part whose hiding lowers it most.

    Parameters
    ----------
    found, originals, path, errors
        As in `plot_matches`.
    match : int or time
        Which: its row in the table of `intervals`, 0 the best, or a time in it.
    encoder : str, path or Encoder, optional
        The one that was searched with, where it has no name that says which it is.
    patch : int, optional
        Side of what is hidden at once, in pixels of the encoder's image; default a sixth of the image's side.
    fill : {'mean', 'median'}
        What takes its place: the mean of what lies around it, or the median of up to 64 images spread over the
        variable. 'mean' needs nothing else and takes out what is smaller than the patch; 'median' also takes out what
        is larger, but a part that is as usual does not count then.
    **style
        ``cmap``, ``diverging``, ``query``, ``match``, ``figsize``, ``dpi``, ``title``.

    Returns
    -------
    Occlusion
        ``change``, (channels, pixels, pixels): how much the score falls, the score, and the figure. [] where there is
        no match, after one warning.

    Raises
    ------
    SimilarityError
        With ``errors='raise'``, for bad input, or where what is loaded gives another score than was found.

    Notes
    -----
    Occlusion sensitivity: Zeiler and Fergus 2014, doi 10.1007/978-3-319-10590-1_53. It tells what the score depends
    on, not why the phenomenon is what it is; parts that stand for each other hide each other's share.
    """
    looks = Style.of(style)
    if fill not in FILLS:
        raise ArgumentError("fill", f"found {fill!r:.60}", f"Give one of {', '.join(FILLS)}.")
    read = Found.read(found)
    if not len(read):
        return nothing_found("there is no match to explain; lower the threshold of the search")
    driven = Driven.of(read, read.row_of(match), encoder, originals)
    made = driven.occluded(patch, fill)
    headings = (plain(driven.query_heading), plain(f"match {driven.row + 1}, {_text_of(driven.time)}"))
    figure = occlusion_figure(made, driven.query_pictures(), driven.match_pictures(), looks, headings)
    return replace(made, figure=_given(figure, path, looks))


def _given(figure: Figure, path: str | Path | None, looks: Style) -> Figure:
    if path is not None:
        save(figure, path, looks)
    return figure


def _text_of(time: np.datetime64) -> str:
    return str(time)[:23].replace("T", " ")


def _check_count(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise ArgumentError(name, f"found {value!r:.60}", "Give a number, 1 or more.")


def _when(sample: Sample, time: np.datetime64) -> tuple[str, str]:
    """Date and time of day, of the sample itself where it is there."""
    text = str(time if sample.variable is None else sample.variable.times[0])
    return text[:10], text[11:23]


def _name_at(read: Found, row: int) -> str:
    return read.source[row] or str(read.record(row).get("source", ""))


def _shown(samples: Sequence[tuple[Sample, tuple[str, ...], bool]], encoded_too: bool) -> list[Shown]:
    """Pictures of samples, cuts through velocity space all of one width: that of the first."""
    width = None
    shown = []
    for sample, heading, is_query in samples:
        if sample.variable is None:
            kept = () if sample.kept is None else (kept_picture(sample.kept),)
            shown.append(Shown(heading, kept, is_query, sample.missing))
            continue
        if width is None and isinstance(sample.recipe, DistributionRecipe):
            width = half_width(sample.variable, sample.recipe)
        pictures, missing = as_measured_or_encoded(sample.variable, sample.recipe, width)
        if encoded_too and not missing:
            pictures = (*pictures, *encoded(sample.variable, sample.recipe))
        shown.append(Shown(heading, pictures, is_query, missing))
    return shown


def _names_in(found: Any) -> list[str]:
    """The loaded variables that are meant, where names were given."""
    if hasattr(found, "colnames") or isinstance(found, Path):
        return []
    return tplot.expand(found)


def _scores_of(found: Any) -> list[Variable]:
    """The scores among the variables named, or beside the bars named."""
    variables = [tplot.read(name) for name in _names_in(found)]
    scores = [one for one in variables if is_score(one)]
    if scores:
        return scores
    loaded = set(tplot.loaded_names())
    near = [one.name.replace("_similar", "_similarity", 1) for one in variables]
    return [one for one in (tplot.read(name) for name in near if name in loaded) if is_score(one)]


def _has_intervals(found: Any) -> bool:
    names = _names_in(found)
    return not names or any("intervals" in tplot.read(name).attributes.get(ATTRIBUTE, {}) for name in names)


def _ends(variables: Sequence[Variable], trange: Any) -> tuple[np.datetime64, np.datetime64]:
    if trange is not None:
        return to_interval(trange)
    known = [one.times for one in variables if len(one.times)]
    if not known:
        raise ArgumentError("found", "it has no samples", "Give what find_similar returned.")
    return min(times[0] for times in known), max(times[-1] for times in known)


def _queries(read: Found, scores: Sequence[Variable]) -> list[tuple[str, Any, Any]]:
    """Those of what was found, or, where nothing was, of the scores."""
    records = [one.attributes[ATTRIBUTE] for one in scores]
    return Found(read.table, [*read.records, *records]).queries()


def _searched_name(score: Variable) -> str:
    """What queries call the variable that was searched: an archive may add the site to the source."""
    record = score.attributes[ATTRIBUTE]
    source = str(record["source"])
    longer = "_".join([source, *map(str, (record.get("station") or {}).values())])
    labels = [str(one.get("label", "")) for one in record.get("queries", ())]
    return longer if any(one.startswith(f"{longer} ") for one in labels) else source


def _own_rows(read: Found, score: Variable) -> np.ndarray:
    """Which matches are of a score's variable: bool."""
    record = score.attributes[ATTRIBUTE]
    sites = {"", *(str(one) for one in (record.get("station") or {}).values())}
    return np.array(
        [source == record["source"] and read.place(row) in sites for row, source in enumerate(read.source)], bool
    )


def _marks_of(read: Found, score: Variable) -> Marks:
    own = _own_rows(read, score)
    spans = [span for name, span, _ in _queries(read, [score]) if span is not None and name == _searched_name(score)]
    starts, ends = (np.array([getattr(one, key) for one in spans], "datetime64[ns]") for key in ("start", "end"))
    threshold = float(score.attributes[ATTRIBUTE].get("threshold", np.nan))
    return Marks(read.start[own], read.end[own], starts, ends, threshold)


def _shaded(
    starts: np.ndarray,
    stops: np.ndarray,
    queries: Sequence[tuple[np.datetime64, np.datetime64]],
    ends: tuple[np.datetime64, np.datetime64],
    looks: Style,
) -> tuple[tuple[np.ndarray, np.ndarray, str, float], ...]:
    pairs = np.array(queries, "datetime64[ns]").reshape(-1, 2)
    return (
        (*drawable(starts, stops, *ends), looks.match, 0.3),
        (*drawable(pairs[:, 0], pairs[:, 1], *ends), looks.query, 0.5),
    )


def _panel(variable: Variable, shaded: Sequence[Any], looks: Style) -> Panel:
    """A variable as tplot draws it; what it does not draw by itself as an overview."""
    if variable.values.ndim >= 3:
        made = overview(variable)
        values = np.where(made.values > 0, made.values, np.nan) if made.logarithmic else made.values
        instead = replace(variable, values=values, coordinates={"v": made.bins})
        options = {"spec": True, "ytitle": plain(variable.name, 24), "ysubtitle": made.label, "ztitle": made.unit}
        options |= {"ylog": made.logarithmic, "zlog": made.logarithmic, "colormap": looks.cmap or "viridis"}
        return Panel(variable.name, shaded, instead, options)
    options = {"colormap": looks.cmap} if looks.cmap else {}
    if not looks.cmap and "colormap" not in tplot.options_of(variable.name):
        options = {"colormap": "viridis"}
    return Panel(variable.name, shaded, options=options)


def _threshold(panel: Any, score: Variable) -> None:
    threshold = float(score.attributes[ATTRIBUTE].get("threshold", np.nan))
    if np.isfinite(threshold):
        panel.axhline(threshold, color="0.4", linestyle=":", linewidth=1)


def _legend(figure: Figure, matches: bool, queries: bool, scores: bool, looks: Style) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles = [Patch(color=looks.match, alpha=0.3, label="similar")] if matches else []
    handles += [Patch(color=looks.query, alpha=0.5, label="query")] if queries else []
    handles += [Line2D([], [], color="0.4", linestyle=":", label="threshold")] if scores else []
    if handles:
        figure.legend(handles=handles, loc="outside lower center", ncols=3, fontsize="small", frameon=False)


def _title(read: Found, scores: Sequence[Variable]) -> str:
    labels = [str(query.get("label", "")) for one in _records(read, scores) for query in one.get("queries", ())]
    query = f" like {labels[0]}" if labels else ""
    return f"{len(read)} interval{'s' * (len(read) != 1)}{query}"


def _records(read: Found, scores: Sequence[Variable]) -> list[Mapping[str, Any]]:
    return read.records or [one.attributes[ATTRIBUTE] for one in scores]


def _part(variable: Variable, first: np.datetime64, last: np.datetime64) -> Variable:
    rows = slice(*np.searchsorted(variable.times, [first, last + np.timedelta64(1, "ns")]))
    if rows.stop <= rows.start:
        remedy = "Load what was searched, or name it in originals."
        raise VariableError(variable.name, f"it has no frames from {first} to {last}", remedy)
    return replace(variable, times=variable.times[rows], values=variable.values[rows])
