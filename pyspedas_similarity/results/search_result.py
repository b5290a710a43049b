"""The result of a search: events, scores, queries, and what can be made of them."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import tplot
from ..conventions import result_names
from ..encoder.runtime import Encoder
from ..errors import ArgumentError
from ..plotting.style import Style
from ..provenance import ATTRIBUTE, CALIBRATED
from ..search.events import Events
from ..search.search_series import SeriesMatches
from ..times import bounds, to_astropy, to_datetime64, to_times
from ..tplot import Variable
from . import exports, figures, joins, tplot_output
from .reload import ReloadOptions
from .report import PICTURES, PageOptions, write_page
from .searched_series import QueryRecord, SearchedSeries

if TYPE_CHECKING:
    from astropy.table import QTable
    from matplotlib.figure import Figure
    from sunpy.time import TimeRange
    from xarray import DataArray

    from ..plotting.epochs import SuperposedEpochs
    from ..plotting.occlusion import Occlusion

logger = logging.getLogger(__name__)


class SearchResult:
    """The result of a search. Later searches do not change it.

    Made by `pyspedas_similarity.search` and `pyspedas_similarity.result`.

    Parameters
    ----------
    table : astropy.table.QTable
        Events, best first.
    searched : sequence of SearchedSeries
    held : mapping of str to Variable, optional
        The searched variables as they were loaded, by the names of their series.
    encoder : Encoder, optional
        The encoder of the search, where it was kept.
    shortfalls : sequence of str
        Reasons why nothing was found.
    """

    ENDINGS = ("_similarity", "_similar")

    def __init__(
        self,
        table: QTable,
        searched: Sequence[SearchedSeries],
        held: Mapping[str, Variable] | None = None,
        encoder: Encoder | None = None,
        shortfalls: Sequence[str] = (),
    ) -> None:
        self._table, self.searched = table, tuple(searched)
        self.held, self.encoder, self.shortfalls = dict(held or {}), encoder, tuple(shortfalls)

    @classmethod
    def empty(cls, reason: str) -> SearchResult:
        """Make the result of a search that had no data."""
        return cls(tplot_output.event_table([]), (), shortfalls=[reason])

    @classmethod
    def of_matches(
        cls, matches: Sequence[SeriesMatches], stores: Sequence[str], held: Mapping[str, Variable], encoder: Any
    ) -> SearchResult:
        """Make the result of what `search_library` found."""
        records = [tplot_output.event_record(one.record, one.events, one.calibration) for one in matches]
        searched = [
            SearchedSeries(one.record, one.times, one.scores, store=store)
            for one, store in zip(matches, stores, strict=True)
        ]
        shortfalls = [one.shortfall for one in matches if one.shortfall]
        return cls(tplot_output.event_table(records), searched, held, encoder, shortfalls)

    def __len__(self) -> int:
        return len(self._table)

    def __repr__(self) -> str:
        names = ", ".join(one.name for one in self.searched)
        return f"<SearchResult: {len(self)} events like {self.title_query or 'nothing'} in {names or 'no series'}>"

    def _repr_html_(self) -> str:
        from html import escape

        own = "".join(f"<p>{escape(line)}</p>" for line in self.own_event_lines())
        return f"<p>{escape(repr(self)[1:-1])}</p>{own}{self.events._repr_html_()}"

    @property
    def events(self) -> QTable:
        """The events, best first: ``score``, ``peak``, ``start``, ``end`` (Time, UTC) and others; a copy."""
        return self._table.copy()

    @property
    def own_events(self) -> QTable:
        """The events around the queries, which are no matches: ``start``, ``end`` (Time, UTC) and ``source``."""
        from astropy.table import QTable

        spans = [(one.source, span) for one in self.searched for span in one.own_events()]
        start, end = (to_astropy(times) for times in bounds(span for _, span in spans))
        return QTable([start, end, np.array([source for source, _ in spans], str)], names=["start", "end", "source"])

    def own_event_lines(self) -> list[str]:
        """Return a line of text for each event around a query."""
        return [
            f"own event of the query: {row['start'].isot} to {row['end'].isot} in {row['source']}"
            for row in self.own_events
        ]

    @property
    def scores(self) -> dict[str, DataArray]:
        """The score of each sample, as a DataArray (time) under the name of each series; copies."""
        from xarray import DataArray

        return {
            one.name: DataArray(one.scores.copy(), {"time": one.times.copy()}, name=f"{one.name}_similarity")
            for one in self.searched
            if one.scores is not None
        }

    @property
    def queries(self) -> list[QueryRecord]:
        """The queries, each once."""
        found = [query for one in self.searched for query in one.queries]
        return list({query.label: query for query in found}.values())

    @property
    def record(self) -> Mapping[str, Any]:
        """Provenance and settings of the first series; empty if none was searched."""
        return self.searched[0].record if self.searched else {}

    @property
    def title_query(self) -> str:
        """The first query in words; empty if there is none."""
        return next((one.label for one in self.queries), "")

    @property
    def start(self) -> np.ndarray:
        """Starts of the events, datetime64[ns]."""
        return self._times("start")

    @property
    def end(self) -> np.ndarray:
        """Ends of the events, datetime64[ns]."""
        return self._times("end")

    @property
    def peak(self) -> np.ndarray:
        """Times of the best samples, datetime64[ns]; the middles of events in a table without them."""
        if "peak" in self._table.colnames:
            return self._times("peak")
        return self.start + (self.end - self.start) // 2

    @property
    def score(self) -> np.ndarray:
        """Scores of the events, NaN in a table without them."""
        has = "score" in self._table.colnames
        return np.array(self._table["score"], float) if has else np.full(len(self), np.nan)

    @property
    def source(self) -> list[str]:
        """Name of the variable of each event, empty where it is not known."""
        has = "source" in self._table.colnames
        return [str(one) for one in self._table["source"]] if has else [""] * len(self)

    @property
    def faint(self) -> np.ndarray:
        """Events that do not stand out of the background: bool; none of a table that does not say."""
        has = "stands_out" in self._table.colnames
        return ~np.array(self._table["stands_out"], bool) if has else np.zeros(len(self), bool)

    def place(self, row: int) -> str:
        """Return the probe or site of an event, or an empty string."""
        found = [str(self._table[key][row]) for key in ("probe", "site") if key in self._table.colnames]
        return next((one for one in found if one), "")

    def series_of(self, row: int) -> SearchedSeries:
        """Return the series of an event.

        Raises
        ------
        ArgumentError
            If the table has lost its provenance.
        """
        source, place = self.source[row], self.place(row)
        same = [one for one in self.searched if one.source == source]
        here = [one for one in same if place in ("", one.place)]
        for one in here or same:
            return one
        remedy = "Give what find_similar or search returned."
        raise ArgumentError("found", "the table has no provenance (meta['similarity'])", remedy)

    def rows_of(self, series: SearchedSeries) -> np.ndarray:
        """Return which events are of a series: bool."""
        own = [
            source == series.source and self.place(row) in ("", series.place) for row, source in enumerate(self.source)
        ]
        return np.array(own, bool)

    def events_of(self, series: SearchedSeries) -> Events:
        """Return the events of a series as arrays."""
        own = self.rows_of(series)
        counts = np.array(self._table["n_samples"], np.int64)[own] if own.any() else np.zeros(0, np.int64)
        return Events(self.start[own], self.end[own], self.peak[own], self.score[own], counts)

    def calibration_of(self, series: SearchedSeries) -> dict[str, list[float]]:
        """Return ``deviations``, ``share_higher`` and ``p_value`` of the events of a series, where they are known."""
        own = self.rows_of(series)
        return {key: self._table[key][own].tolist() for key in CALIBRATED if key in self._table.colnames}

    def row_of(self, event: Any) -> int:
        """Return the row of an event, given by that number or by a time in it.

        Raises
        ------
        ArgumentError
            If there is none.
        """
        if isinstance(event, (int, np.integer)) and not isinstance(event, bool):
            if 0 <= event < len(self):
                return int(event)
            raise ArgumentError("match", f"found {event}", f"Give a number from 0 to {len(self) - 1}, or a time.")
        time = to_datetime64(event)
        inside = np.flatnonzero((self.start <= time) & (self.end >= time))
        if not len(inside):
            raise ArgumentError("match", f"no event holds {time}", "Give a row of the table, or a time in an event.")
        return int(inside[0])

    def _times(self, name: str) -> np.ndarray:
        return to_times(self._table[name]) if len(self) else np.array([], "datetime64[ns]")

    def to_tplot(
        self, newname: str | Sequence[str] | None = None, *, suffix: str | None = None, overwrite: bool = True
    ) -> list[str]:
        """Store scores and events as tplot variables.

        Parameters
        ----------
        newname : str or list of str, optional
            Replaces the names of the searched series in those of the variables.
        suffix : str, optional
            Appended to the names.
        overwrite : bool
            False: existing variables of these names are an error.

        Returns
        -------
        list of str
            For each series X ``X_similar`` where it has events, and below it ``X_similarity``, so that
            ``pyspedas.tplot`` draws the bars above the score and the time axis at the foot of the score.
        """
        scored = [one for one in self.searched if one.scores is not None]
        titles = result_names([one.name for one in scored], newname, suffix, self.ENDINGS, overwrite)
        names = []
        for one, (series, bars) in zip(scored, titles, strict=True):
            _log_replaced(series, one.record)
            made = [tplot_output.similarity_series(one, series, one.scores, one.record)]
            events, calibration = self.events_of(one), self.calibration_of(one)
            if len(events):
                made.insert(0, tplot_output.event_bars(one, bars, events, one.record, calibration))
            names += tplot_output.write_all(made)
        return names

    def plot_matches(
        self,
        path: str | Path | None = None,
        *,
        limit: int = 7,
        encoded: bool = False,
        originals: Mapping[str, str] | str | None = None,
        **style: Any,
    ) -> Figure:
        """Draw the query next to the best matches, as they were measured.

        Distributions are cut where their images are: in the planes and axes of the recipe, as thick, through the bulk
        velocity if the recipe subtracts it, in km/s, with phase space density as color: nothing is scaled or smoothed.
        Frames have north up. All samples share one color scale.

        Parameters
        ----------
        path : str or Path, optional
            Picture to write; its ending gives the format.
        limit : int
            Number of matches drawn, the best ones.
        encoded : bool
            Also draw the images that the encoder was given.
        originals : str or mapping of str to str, optional
            Names of loaded variables to draw from, where they differ from those that were searched.
        **style
            ``cmap``, ``query``, ``match``, ``figsize``, ``dpi``, ``title``; fonts follow ``matplotlib.rcParams``.

        Returns
        -------
        matplotlib.figure.Figure
            Samples that are no longer loaded are shown by the thumbnail in the archive, or by the reason why they are
            missing.

        Raises
        ------
        SimilarityError
            If there is no match, or for bad input.
        """
        return figures.matches_figure(self, limit, encoded, ReloadOptions(originals), path, Style.of(style))

    def plot_score(
        self,
        names: str | int | Iterable[str | int] | None = None,
        *,
        trange: Any = None,
        path: str | Path | None = None,
        **style: Any,
    ) -> Figure:
        """Draw tplot variables and the score below each other, with queries and events shaded.

        Panels are drawn by ``pyspedas.tplot`` with the options that the variables have. Spectrograms without a color
        map of their own get one that suits color-blind readers; distributions and spectra are drawn as spectrograms of
        all directions, frames as keograms.

        Parameters
        ----------
        names : str, int or list of them, optional
            Loaded tplot variables, with wildcards, drawn above the score.
        trange : time range, optional
            Time to draw; by default all that was searched.
        path : str or Path, optional
            Picture to write; its ending gives the format.
        **style
            ``cmap``, ``query``, ``match``, ``figsize``, ``dpi``, ``title``.

        Returns
        -------
        matplotlib.figure.Figure

        Raises
        ------
        SimilarityError
            If there is neither a score nor a variable to draw, or for bad input.
        """
        return figures.score_figure(self, names, trange, path, Style.of(style))

    def plot_keogram(
        self,
        path: str | Path | None = None,
        *,
        height_km: float | None = None,
        width: float | None = None,
        originals: Mapping[str, str] | str | None = None,
        **style: Any,
    ) -> Figure:
        """Draw keograms of the searched cameras with the score below, queries and events marked in both.

        Parameters
        ----------
        path : str or Path, optional
            Picture to write; its ending gives the format.
        height_km, width
            As in `keogram`.
        originals
            As in `plot_matches`.
        **style
            ``cmap``, ``query``, ``match``, ``figsize``, ``dpi``, ``title``.

        Returns
        -------
        matplotlib.figure.Figure
            At most four cameras.

        Raises
        ------
        SimilarityError
            If the frames are no longer loaded, or for bad input.
        """
        options = ReloadOptions(originals)
        return figures.keogram_score_figure(self, (height_km, width), options, path, Style.of(style))

    def superposed_epochs(
        self,
        names: str | int | Iterable[str | int],
        *,
        before: Any = 60.0,
        after: Any = 60.0,
        step: Any = None,
        queries: bool = False,
        path: str | Path | None = None,
        **style: Any,
    ) -> SuperposedEpochs:
        """Superpose variables around the matches: median and quartiles relative to their best samples.

        Parameters
        ----------
        names : str, int or list of them
            Loaded tplot variables: lines, vectors, spectrograms.
        before, after : seconds, timedelta or Quantity
            Window around each best sample; around the middle of events in a table without best samples.
        step : seconds, timedelta or Quantity, optional
            Bins of relative time. Default: the cadence of each variable, or 240 bins.
        queries : bool
            Count the queries among the events. By default they are left out: the matches were chosen to resemble them.
        path : str or Path, optional
            Picture to write; its ending gives the format.
        **style
            ``cmap``, ``match``, ``figsize``, ``dpi``, ``title``.

        Returns
        -------
        SuperposedEpochs
            With the figure, and ``result[name].table()`` for seconds, median, quartiles and number of events. Gaps and
            windows that reach beyond the data leave fewer events in a bin; nothing is filled in.

        Raises
        ------
        SimilarityError
            If there is no event, none lies in a variable, or for bad input.
        """
        return figures.epochs_of_events(self, names, (before, after), step, queries, path, Style.of(style))

    def what_drove(
        self,
        match: Any = 0,
        *,
        encoder: str | Path | Encoder | None = None,
        patch: int | None = None,
        fill: str = "mean",
        originals: Mapping[str, str] | str | None = None,
        path: str | Path | None = None,
        **style: Any,
    ) -> Occlusion:
        """Find the part of a match's image that its score depends on: the part that lowers it most when hidden.

        Parameters
        ----------
        match : int or time
            Row of the match in the table of events, 0 the best, or a time in it.
        encoder : str, path or Encoder, optional
            Encoder of the search, where its name does not identify it.
        patch : int, optional
            Side of the hidden patch, in pixels of the encoder's image; default a sixth of the image's side.
        fill : {'mean', 'median'}
            Replacement of a patch: the mean of its surroundings, or the median of up to 64 images spread over the
            variable. 'mean' needs nothing else and removes what is smaller than the patch; 'median' also removes what
            is larger, but parts that are the same in most images do not count then.
        originals
            As in `plot_matches`.
        path : str or Path, optional
            Picture to write; its ending gives the format.
        **style
            ``cmap``, ``diverging``, ``query``, ``match``, ``figsize``, ``dpi``, ``title``.

        Returns
        -------
        Occlusion
            ``change``, (channels, pixels, pixels): loss of score; the score, and the figure.

        Raises
        ------
        SimilarityError
            If there is no match, if the loaded data give another score than was found, or for bad input.

        Notes
        -----
        Occlusion sensitivity: Zeiler and Fergus 2014, doi 10.1007/978-3-319-10590-1_53. It shows what the score depends
        on, not why the phenomenon is what it is; redundant parts hide each other's share.
        """
        options = ReloadOptions(originals)
        return figures.occlusion_of_event(self, match, encoder, (patch, fill), options, path, Style.of(style))

    def report(
        self,
        path: str | Path,
        *,
        title: str | None = None,
        overwrite: bool = False,
        gallery: int = PICTURES,
        map_by: str = "auto",
        encoder: str | Path | Encoder | None = None,
        instrument: str | None = None,
        trange: Any = None,
        probe: Any = None,
        field: str | None = None,
        velocity: str | None = None,
        load_keywords: Mapping[str, Any] | None = None,
    ) -> list[str]:
        """Write the result as one HTML file, which needs no other file and no network.

        The page has text for a methods section, a table of all events that can be sorted, filtered and exported, a
        gallery of queries and events, the score against time, a map of embeddings, the provenance and citations.

        Parameters
        ----------
        path : str or Path
            The file, ending in .html.
        title : str, optional
        overwrite : bool
            Replace an existing file.
        gallery : int
            Number of the best events that are shown as pictures. The table has all.
        map_by : {'auto', 'umap', 'pca', 'none'}
            Method of the map: principal components ('auto' and 'pca') take no time, UMAP half a minute for the first
            map in a session.
        encoder : str, path or Encoder, optional
            Encoder of the search, where its name does not identify it: for the map.
        instrument, trange, probe, field, velocity, load_keywords
            As in `find_similar`, where the searched data have to be loaded again and the result does not record how.

        Returns
        -------
        list of str
            The path of the page.

        Raises
        ------
        SimilarityError
            If the page cannot be written. No part of it is left then.

        Notes
        -----
        Pictures and map are made of the searched data, if they are available. They are checked: where the data give
        other scores than the search did, there is no picture of them. The page lists what is missing.
        """
        page = PageOptions(title, overwrite, gallery, map_by)
        options = ReloadOptions(None, encoder, instrument, trange, probe, load_keywords, field, velocity)
        return [str(write_page(self, path, page, options))]

    def export(self, path: str | Path, *, format: str | None = None, overwrite: bool = False) -> Path:
        """Write the events to a file; see `pyspedas_similarity.export`."""
        return exports.export(self._table, path, format=format, overwrite=overwrite)

    def join_events(self, events: Any, **options: Any) -> QTable:
        """Compare the events with a list of known ones; see `pyspedas_similarity.join_events`."""
        return joins.join_events(self, events, **options)

    def time_list(self) -> list[list[str]]:
        """Return the events as pyspedas writes time ranges, ``[start, end]``, UTC."""
        return exports.time_list(self._table)

    def time_ranges(self) -> list[TimeRange]:
        """Return the events as sunpy TimeRanges, exact to the nanosecond."""
        return exports.time_ranges(self._table)


def _log_replaced(name: str, record: Mapping[str, Any]) -> None:
    """Report that a stored result of another search is replaced."""
    if name in tplot.loaded_names():
        earlier = tplot.read(name).attributes.get(ATTRIBUTE)
        if isinstance(earlier, Mapping) and earlier.get("queries") != record.get("queries"):
            logger.info("%s: the result of an earlier search is replaced; newname or suffix keeps both.", name)
