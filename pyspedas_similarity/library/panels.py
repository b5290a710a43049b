"""Series of windows of time series and spectrograms: of one variable, or of several on one clock."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from .. import tplot
from ..encoder.library_view import LibraryView
from ..encoder.panel_features import VERSION, block_sizes, block_weight, panel_features
from ..errors import ArgumentError, QueryError, VariableError
from ..imaging.panels import Cells, Grid, cell_means
from ..imaging.recipes import PanelRecipe
from ..instruments.panels import Panel, check_same, may_be_panel, of_embeddings, panel_of
from ..instruments.registry import instrument_named, station_of
from ..provenance import METHOD, versions
from ..times import Span, cadence, nearest_rows, to_interval
from ..tplot import Variable
from .embedding import embed
from .plan import EncodingOptions, make_plan
from .samples import Request, prepare
from .series import Library, Series

logger = logging.getLogger(__name__)

POINTS = PanelRecipe.POINTS
MAX_WINDOWS = 2**20
"""Windows of a series, as long as their stride is not more than `_LARGEST_STRIDE` cells."""

DEFAULT_CADENCES = 32
"""Length of the windows for a query that is a single time, in cadences of the slowest variable."""

_LARGEST_STRIDE = 8
_FEWEST_WINDOWS = 10
_SAMPLE = 4096
# Windows whose mean is the origin of embeddings.
_AT_ONCE = 2**13
_FEW_KNOWN = 0.95
# Share of windows in which a panel is known, below which a warning says so.


@dataclass(frozen=True)
class PanelBlock:
    """A block of features of one panel: its name in `encoder.panel_features.BLOCKS`, and its place in an embedding."""

    panel: int
    name: str
    part: slice


@dataclass(frozen=True, eq=False)
class _Windows:
    """Windows of one duration: cells of all panels on one grid."""

    grid: Grid
    cells: tuple[Cells, ...]

    @classmethod
    def of(
        cls, panels: Sequence[Panel], ends: Sequence[np.datetime64], edge: np.datetime64, length_s: float
    ) -> _Windows:
        grid = Grid.covering(*ends, edge, length_s * 1e9 / POINTS)
        return cls(grid, tuple(cell_means(one.times, one.values, grid) for one in panels))

    @property
    def number(self) -> int:
        return self.grid.n - POINTS + 1

    def features(self, first: np.ndarray, panels: Sequence[Panel], recipe: PanelRecipe) -> np.ndarray:
        """Return features of windows that begin at given cells, NaN where a panel is not known."""
        equality = (recipe.values, recipe.vectors)
        made = []
        for cells, one in zip(self.cells, panels, strict=True):
            parts = cells.windows(first, POINTS), cells.variances(first, POINTS)
            made.append(panel_features(*parts, cells.scale, one.kind, equality))
            made[-1][~cells.is_known(first, POINTS)] = np.nan
        return np.hstack(made)

    def nearest(self, middles: np.ndarray) -> np.ndarray:
        """Return the first cell of the window around each time, -1 where there is none."""
        first = np.round(self.grid.places(middles) - POINTS / 2).astype(np.int64)
        return np.where((first >= 0) & (first < self.number), first, -1)


class PanelSeries(Series):
    """Windows over one group of panels, embedded when needed; the recipe has a length, a window begins at `edge`."""

    without_embedding = "too little was measured in the window"
    overlapping = True

    def __init__(self, name: str, panels: Sequence[Panel], recipe: PanelRecipe, edge: np.datetime64) -> None:
        self.name, self.panels, self.recipe = name, tuple(panels), recipe
        self.store = self.panels[0].variable.store
        self._edge = edge
        self._ends = min(one.times[0] for one in panels), max(one.times[-1] + cadence(one.times) for one in panels)
        self._windows = self._windows_of(1.0)
        self._check_length()
        self._stride = min(-(-self._windows.number // MAX_WINDOWS), _LARGEST_STRIDE)
        at_edge = round(float(self._windows.grid.places(edge)))
        self._first = np.arange(at_edge % self._stride, self._windows.number, self._stride)
        self.times = self._windows.grid.times(self._first + POINTS / 2)
        self.origin: np.ndarray | None = None

    @property
    def length(self) -> np.timedelta64:
        """Duration of a window."""
        return np.timedelta64(round(self.recipe.length_s * 1e9), "ns")

    @property
    def stride_s(self) -> float:
        """Seconds from one window to the next."""
        return self._stride * self.recipe.length_s / POINTS

    @property
    def shortest_gap(self) -> np.timedelta64:
        """The length of a window: windows that overlap a better match, or the query, belong to its event."""
        return self.length

    @cached_property
    def blocks(self) -> tuple[PanelBlock, ...]:
        """Blocks of features in an embedding, in their order."""
        equality, found, first = (self.recipe.values, self.recipe.vectors), [], 0
        for number, one in enumerate(self.panels):
            for name, size in block_sizes(one.values.shape[1], POINTS, one.kind, equality).items():
                found.append(PanelBlock(number, name, slice(first, first + size)))
                first += size
        return tuple(found)

    def _windows_of(self, share: float) -> _Windows:
        return _Windows.of(self.panels, self._ends, self._edge, share * self.recipe.length_s)

    @cached_property
    def _of_duration(self) -> dict[float, _Windows]:
        """Windows of each duration that is searched."""
        return {one: self._windows if one == 1 else self._windows_of(one) for one in self.recipe.durations}

    def parts_of(self, panel: int) -> list[slice]:
        """Return the places of the blocks of a panel; its first block is not known where the panel is not."""
        return [one.part for one in self.blocks if one.panel == panel]

    @cached_property
    def known(self) -> np.ndarray:
        """Share of windows in which each panel is known: (panels,)."""
        return np.array([cells.is_known(self._first, POINTS).mean() for cells in self._windows.cells])

    def features(self, rows: np.ndarray) -> np.ndarray:
        """Return features of some windows before the origin is subtracted; NaN where a panel is not known."""
        return self._windows.features(self._first[rows], self.panels, self.recipe)

    def embeddings(self, rows: np.ndarray) -> np.ndarray:
        """Return the embeddings of some windows; 0 in what is not known, NaN where less than half is known."""
        return self._from_origin(self.features(rows))

    def embedding_of(self, span: Span) -> np.ndarray:
        """Return the embedding of exactly one interval, whatever its duration: float32 (1, dimension)."""
        grid = Grid(span.start, (span.end - span.start) / np.timedelta64(1, "ns") / POINTS, POINTS)
        margin = (span.end - span.start) // 2
        cells = []
        for one, own in zip(self.panels, self._windows.cells, strict=True):
            rows = slice(*np.searchsorted(one.times, [span.start - margin, span.end + margin]))
            cells.append(replace(cell_means(one.times[rows], one.values[rows], grid), scale=own.scale))
        windows = _Windows(grid, tuple(cells))
        return self._from_origin(windows.features(np.array([0]), self.panels, self.recipe))

    def unknown_in(self, embedding: np.ndarray) -> list[str]:
        """Return the names of panels that are not known in an interval with an embedding."""
        return [one.name for number, one in enumerate(self.panels) if not embedding[:, self.parts_of(number)[0]].any()]

    def cosines(self, view: LibraryView, directions: np.ndarray) -> np.ndarray:
        """Return the score of each window with the nearest direction, the best of all durations."""
        best = np.full(len(self.times), np.nan)
        for share in self.recipe.durations:
            best = np.fmax(best, self._scores(share, view, directions, np.arange(len(self.times))))
        return best

    def extents(self, view: LibraryView, directions: np.ndarray, peaks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return start and end of the windows around peaks, of the duration that scores best there."""
        rows = np.searchsorted(self.times, peaks)
        scores = np.stack([self._scores(share, view, directions, rows) for share in self.recipe.durations])
        best = np.array(self.recipe.durations)[np.where(np.isfinite(scores), scores, -np.inf).argmax(axis=0)]
        half = np.round(best * (self.length / np.timedelta64(2, "ns"))).astype("timedelta64[ns]")
        return peaks - half, peaks + half

    @property
    def searched(self) -> np.ndarray:
        """All windows."""
        return np.ones(len(self.times), bool)

    @property
    def provenance(self) -> dict[str, Any]:
        """Record of recipe, panels and source, in plain values."""
        about = [one.record | {"known": float(share)} for one, share in zip(self.panels, self.known, strict=True)]
        encoder = {"name": "panels", "method": "fixed transform", "hash": f"{VERSION:016x}"}
        return {
            "source": self.name,
            "station": station_of(self.panels[0].variable),
            "encoder": encoder,
            "recipe": self.recipe.to_dict() | {"hash": self.recipe.hash},
            "panels": about,
            "stride_s": self.stride_s,
            "versions": versions(),
            "reference": METHOD,
        }

    def _check_length(self) -> None:
        if self._windows.number < _FEWEST_WINDOWS:
            found = f"it covers {self._ends[0]} to {self._ends[1]}, for windows of {self.recipe.length_s:g} s"
            covered = (self._ends[1] - self._ends[0]) / np.timedelta64(1, "s")
            longest = covered * POINTS / (POINTS + _FEWEST_WINDOWS)
            remedy = f"Load a longer time, or give a query of less than {longest:.3g} s."
            raise VariableError(self.name, found, remedy)

    def _scores(self, share: float, view: LibraryView, directions: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Return the scores of windows of one duration around some rows; NaN where there is none."""
        windows = self._of_duration[share]
        first = self._first[rows] if share == 1 else windows.nearest(self.times[rows])
        compare = view.agreements if self.recipe.values == "absolute" else view.cosines
        found = np.full(len(rows), np.nan)
        for start in range(0, len(rows), _AT_ONCE):
            inside = np.flatnonzero(first[start : start + _AT_ONCE] >= 0) + start
            if len(inside):
                made = self._from_origin(windows.features(first[inside], self.panels, self.recipe))
                known = np.isfinite(made[:, 0])
                scores = compare(made, directions)
                # A window of usual values only has no direction: nothing in it is like the query.
                found[inside] = np.where(known, np.nan_to_num(scores), np.nan)
        return found

    def _from_origin(self, features: np.ndarray) -> np.ndarray:
        first = [self.parts_of(number)[0].start for number in range(len(self.panels))]
        known = np.isfinite(features[:, first]).mean(axis=1) >= 0.5
        origin = 0 if self.origin is None else self.origin
        made = np.nan_to_num(features - origin, nan=0.0).astype(np.float32)
        made[~known] = np.nan
        return made


@dataclass(frozen=True, eq=False)
class PanelLibrary(Library):
    """Library of windows; all series have the same panels."""

    recipe: PanelRecipe = field(default_factory=PanelRecipe)

    @property
    def by_length(self) -> bool:
        """True if the size of a deviation from what is usual counts, too."""
        return self.recipe.values == "absolute"

    def block_slices(self, dimension: int) -> dict[str, slice]:
        """Return where each block lies in an embedding."""
        return {str(number): one.part for number, one in enumerate(self.series[0].blocks)}

    def block_weights(self, likes: Sequence[np.ndarray], unlikes: Sequence[np.ndarray]) -> dict[str, float]:
        """Return the weight of each block; learned from examples where the recipe says so."""
        series = self.series[0]
        n_panels = len(series.panels)
        if self.recipe.weights == "learned":
            weights = learned_weights(series, likes, unlikes)
        else:
            weights = np.array(self.recipe.weights or np.ones(n_panels))
        return {
            str(number): block_weight(one.name, series.panels[one.panel].kind) * weights[one.panel]
            for number, one in enumerate(series.blocks)
        }


def learned_weights(series: PanelSeries, likes: Sequence[np.ndarray], unlikes: Sequence[np.ndarray]) -> np.ndarray:
    """Return the weight of each panel: how much its windows at the queries agree, and differ from those at `unlike`."""
    likes, unlikes = (np.concatenate(one) if len(one) else np.empty((0, 1)) for one in (likes, unlikes))
    if len(likes) < 2 and not len(unlikes):
        remedy = "Give at least two queries, or one example in unlike."
        raise ArgumentError("recipe.weights", "'learned' from a single query", remedy)
    agreement = np.zeros(len(series.panels))
    for number in range(len(series.panels)):
        own, other = (_balanced(one, series.parts_of(number)) for one in (likes, unlikes))
        pairs = own @ own.T
        mutual = pairs[np.triu_indices(len(own), 1)].mean() if len(own) > 1 else 1.0
        agreement[number] = mutual - ((own @ other.T).mean() if len(other) else 0.0)
    weights = np.maximum(agreement, 0.05)
    logger.info("weights: %s", ", ".join(f"{one.name} {w:.2f}" for one, w in zip(series.panels, weights, strict=True)))
    return weights / weights.mean()


def _balanced(embeddings: np.ndarray, parts: Sequence[slice]) -> np.ndarray:
    """Return the blocks of one panel, each of unit length, as directions (m, d)."""
    if not len(embeddings):
        return np.empty((0, 1))
    blocks = [embeddings[:, part].astype(np.float64) for part in parts]
    blocks = [one / np.maximum(np.linalg.norm(one, axis=1, keepdims=True), 1e-12) for one in blocks]
    joined = np.hstack(blocks)
    return joined / np.maximum(np.linalg.norm(joined, axis=1, keepdims=True), 1e-12)


def open_panels(request: Request, options: EncodingOptions, query: Span, together: bool) -> PanelLibrary | None:
    """Open the library of windows of loaded variables; None where there are no data.

    The first query decides length and edge of the windows. With `together`, the variables are searched as one, and
    names may be a list of lists: the same panels of several spacecraft.
    """
    recipe = options.recipe or PanelRecipe()
    groups = _read_groups(request, options, recipe, together)
    if not groups:
        return None
    panels = [panel for one in groups.values() for panel in one]
    recipe = _with_length(recipe, query, panels)
    _check_weights(recipe, len(next(iter(groups.values()))))
    edge = query.middle - np.timedelta64(round(recipe.length_s * 5e8), "ns")

    def series_of(name: str, members: Sequence[Panel]) -> PanelSeries:
        return PanelSeries(name, members, recipe, edge)

    parts = groups if request.trange is None else {n: _in_range(one, request.trange) for n, one in groups.items()}
    series = tuple(series_of(*one) for one in parts.items())
    whole = series if request.trange is None else tuple(series_of(*one) for one in groups.items())
    origin = _origin(series)

    def open_other(name: str) -> PanelSeries:
        if len(panels) > len(groups):
            raise QueryError("like", f"{name} is none of the searched groups", "Give times in one of these.")
        other = panel_of(tplot.read(name), recipe)
        check_same([series[0].panels[0], other], recipe.vectors)
        made = series_of(name, [other])
        made.origin = origin
        return made

    for one in {*series, *whole}:
        one.origin = origin
    _log_understood(series)
    held = {panel.name: panel.variable for panel in panels}
    return PanelLibrary(series, whole, open_other, None, held, recipe=recipe)


def is_for_panels(request: Request, options: EncodingOptions, together: bool) -> bool:
    """Return True if a search is one of windows: asked for, or of time series and spectrograms only."""
    if together or isinstance(options.recipe, PanelRecipe):
        return True
    if options.instrument and options.recipe is None and options.encoder is None:
        return instrument_named(options.instrument).is_for_panels
    if request.names is None or options.recipe is not None or options.instrument or options.encoder is not None:
        return False
    return all(may_be_panel(tplot.read(name)) for name in tplot.expand(request.names))


def _read_groups(
    request: Request, options: EncodingOptions, recipe: PanelRecipe, together: bool
) -> dict[str, list[Panel]]:
    names = request.names
    if names is None:
        variables = _by_station(request.variables(together)) if together else [[one] for one in request.variables()]
    else:
        wanted = names if together and tplot.has_groups(names) else [names]
        variables = [[tplot.read(name) for name in tplot.expand(one)] for one in wanted]
        variables = variables if together else [[one] for one in variables[0]]
    groups = {}
    for members in variables:
        read = [_panel(one, options, recipe, together) for one in members]
        groups[members[0].name + ("_together" if len(members) > 1 else "")] = read
    first = next(iter(groups.values()), [])
    for one in groups.values():
        if len(one) != len(first):
            found = f"{len(one)} variables, where the first group has {len(first)}"
            raise VariableError(one[0].name, found, "Give the same variables of each spacecraft, in the same order.")
        for panel, wanted in zip(one, first, strict=True):
            check_same([wanted, panel], recipe.vectors)
    _check_overlap(groups)
    return groups


def _by_station(variables: Sequence[Variable]) -> list[list[Variable]]:
    """Return the variables of each spacecraft or site."""
    groups: dict[tuple[str, ...], list[Variable]] = {}
    for one in variables:
        groups.setdefault(tuple(station_of(one).values()), []).append(one)
    return list(groups.values())


def _panel(variable: Variable, options: EncodingOptions, recipe: PanelRecipe, together: bool) -> Panel:
    """Return a variable as a panel; distributions and frames, in a search of several together, by their embeddings."""
    if may_be_panel(variable) or not together:
        return panel_of(variable, recipe)
    plan = make_plan([variable], replace(options, recipe=None))
    samples = prepare(variable, plan)
    made = embed(samples, plan)
    return of_embeddings(variable, made.times, made.embeddings)


def _with_length(recipe: PanelRecipe, span: Span, panels: Sequence[Panel]) -> PanelRecipe:
    if recipe.length_s is not None:
        return recipe
    if span.is_instant:
        step = max(cadence(one.times) for one in panels)
        seconds = DEFAULT_CADENCES * float(step / np.timedelta64(1, "s"))
    else:
        seconds = float((span.end - span.start) / np.timedelta64(1, "s"))
    return replace(recipe, length_s=seconds)


def _check_weights(recipe: PanelRecipe, number: int) -> None:
    if isinstance(recipe.weights, tuple) and recipe.weights and len(recipe.weights) != number:
        found = f"found {len(recipe.weights)} for {number} variables"
        raise ArgumentError("recipe.weights", found, "Give one for each variable.")
    if isinstance(recipe.weights, tuple) and recipe.weights and not any(recipe.weights):
        raise ArgumentError("recipe.weights", "all are 0", "Give one above 0.")


def _check_overlap(groups: Mapping[str, Sequence[Panel]]) -> None:
    for members in groups.values():
        start, end = max(one.times[0] for one in members), min(one.times[-1] for one in members)
        if start > end:
            late = max(members, key=lambda one: one.times[0])
            early = min(members, key=lambda one: one.times[-1])
            found = f"it begins at {late.times[0]}, after {early.name} ends at {early.times[-1]}"
            raise VariableError(late.name, found, "Load all variables for the same time.")


def _in_range(members: Sequence[Panel], trange: Any) -> list[Panel]:
    start, end = to_interval(trange)
    parts = []
    for one in members:
        rows = slice(*np.searchsorted(one.times, [start, end + np.timedelta64(1, "ns")]))
        if rows.stop - rows.start < 2:
            covered = f"{one.times[0]} to {one.times[-1]}"
            remedy = "Give a range with data."
            raise VariableError(one.name, f"fewer than two samples in {start} to {end}; it covers {covered}", remedy)
        parts.append(replace(one, times=one.times[rows], values=one.values[rows]))
    return parts


def _origin(series: Sequence[PanelSeries]) -> np.ndarray:
    """Return the mean features of windows spread evenly over all series; 0 where one is nowhere known."""
    total = sum(len(one.times) for one in series)
    step = max(1, -(-total // _SAMPLE))
    features = np.concatenate([one.features(np.arange(0, len(one.times), step)) for one in series])
    known = np.isfinite(features)
    counts = known.sum(axis=0)
    sums = np.where(known, features, 0).sum(axis=0, dtype=np.float64)
    return (sums / np.maximum(counts, 1)).astype(np.float32)


def _log_understood(series: Sequence[PanelSeries]) -> None:
    one = series[0]
    for panel in one.panels:
        logger.info("%s", panel)
    logger.info("windows of %g s, one every %.4g s", one.recipe.length_s, one.stride_s)
    for each in series:
        for panel, share in zip(each.panels, each.known, strict=True):
            if share < _FEW_KNOWN:
                text = "%s: measured in %.0f %% of the windows of %s; it does not count in the others."
                logger.warning(text, panel.name, 100 * share, each.name)


def nearest_window(series: PanelSeries, span: Span) -> np.ndarray:
    """Return the row of the window around the middle of a span; empty where there is none."""
    rows = nearest_rows(series.times, np.array([span.middle]))
    return rows[rows >= 0]
