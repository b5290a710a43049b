"""Methods of the comparison: the package's own search, and others on the same cells."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from types import ModuleType

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

import pyspedas_similarity as sim
from benchmarks.data_sets.tasks import DataUnavailable
from benchmarks.panels.measures import Scored
from pyspedas_similarity import tplot
from pyspedas_similarity.imaging.panels import Grid, cell_means
from pyspedas_similarity.imaging.recipes import PanelRecipe
from pyspedas_similarity.instruments.panels import Panel, panel_of
from pyspedas_similarity.times import Span, cadence

POINTS = PanelRecipe.POINTS
COMPONENTS, _SAMPLE = 48, 4096
STRIDE, RADIUS = POINTS // 8, POINTS // 8
"""Stride of windows and width of the band of dynamic time warping, in cells."""

DURATIONS = (0.5, 1.0, 2.0)


@dataclass(frozen=True)
class Case:
    """What is searched: series, each the names of its panels, and the query in the series `own`.

    With `elsewhere` only matches in other series count; `logarithmic` is as in `PanelRecipe`, for all methods.
    """

    series: tuple[tuple[str, ...], ...]
    query: Span
    own: int = 0
    elsewhere: bool = False
    logarithmic: bool | None = None

    @property
    def length(self) -> np.timedelta64:
        """Duration of the query."""
        return self.query.end - self.query.start


@dataclass(frozen=True, eq=False)
class Gridded:
    """Panels of one series on one clock: values (n, channels), with middles of windows that begin at each cell (w,).

    Windows are `known` (w,) in which all panels are; `weights` (channels,) are 1 over the number of channels of the
    panel.
    """

    times: np.ndarray
    values: np.ndarray
    known: np.ndarray
    weights: np.ndarray

    def windows(self, rows: slice = slice(None)) -> np.ndarray:
        """Return windows (m, channels, points)."""
        return sliding_window_view(self.values, POINTS, axis=0)[rows]

    def scored(self, scores: np.ndarray, rows: slice = slice(None)) -> Scored:
        """Return the scores of windows, NaN where a panel is not known."""
        return Scored(self.times[rows], np.where(self.known[rows], scores, np.nan))


Method = Callable[[Case], list[Scored]]


def ours(case: Case, recipe: PanelRecipe | None = None) -> list[Scored]:
    """Return the scores of `sim.search`."""
    together = any(len(one) > 1 for one in case.series)
    names = [list(one) if together else one[0] for one in case.series]
    found = sim.search(
        names[0] if together and len(names) == 1 else names,
        like=(case.series[case.own][0], [case.query.start, case.query.end]),
        together=together,
        recipe=replace(recipe or PanelRecipe(), logarithmic=case.logarithmic),
        progress=False,
    )
    return [Scored(one.times, one.scores) for one in found.searched]


def gridded(case: Case, share: float = 1.0) -> list[Gridded]:
    """Return all series in cells of 1/32 of the length of the query, or of a share of it."""
    recipe = PanelRecipe(logarithmic=case.logarithmic)
    read = [[panel_of(tplot.read(name), recipe) for name in names] for names in case.series]
    cell_ns = share * float(case.length / np.timedelta64(1, "ns")) / POINTS
    return [_on_grid(panels, case.query.start, cell_ns) for panels in read]


def _on_grid(panels: Sequence[Panel], edge: np.datetime64, cell_ns: float) -> Gridded:
    ends = min(one.times[0] for one in panels), max(one.times[-1] + cadence(one.times) for one in panels)
    grid = Grid.covering(*ends, edge, cell_ns)
    cells = [cell_means(one.times, one.values, grid) for one in panels]
    first = np.arange(grid.n - POINTS + 1)
    known = np.logical_and.reduce([one.is_known(first, POINTS) for one in cells])
    values = np.hstack([one.means for one in cells]).astype(np.float64)
    weights = np.concatenate([np.full(one.means.shape[1], 1 / one.means.shape[1]) for one in cells])
    return Gridded(grid.times(first + POINTS / 2), values, known, weights)


def query_row(one: Gridded, case: Case) -> int:
    """Return the row of the window that is the query."""
    return int(np.abs(one.times - case.query.middle).argmin())


def mass(case: Case, by_panel: bool = False, durations: Sequence[float] = (1.0,)) -> list[Scored]:
    """Return the negative sum of the z-normalized distances of all channels, by MASS of stumpy.

    With `by_panel` that of the mean distances of each panel. The best of windows of several `durations` counts, in
    units of that of the query.
    """
    stumpy = optional("stumpy")
    series = gridded(case)
    own = series[case.own]
    query = own.windows()[query_row(own, case)].copy()
    found = []
    for share in durations:
        on = series if share == 1 else gridded(case, share)
        found.append([one.scored(-_mass_sum(stumpy, query, one, by_panel)) for one in on])
    at = found[list(durations).index(1.0)]
    return [_best_of(one, [each[number] for each in found]) for number, one in enumerate(at)]


def _mass_sum(stumpy: ModuleType, query: np.ndarray, one: Gridded, by_panel: bool) -> np.ndarray:
    """Return the sum of distances (w,) from a query (channels, points)."""
    total = np.zeros(len(one.times))
    for channel, values, weight in zip(query, one.values.T, one.weights, strict=True):
        total += (weight if by_panel else 1.0) * stumpy.mass(channel, np.ascontiguousarray(values))
    return total


def _best_of(at: Scored, others: Sequence[Scored]) -> Scored:
    """Return the best score at each time of one grid, of the windows of other grids around it."""
    best = at.scores.copy()
    for one in others:
        if one is not at:
            after = np.clip(np.searchsorted(one.times, at.times), 1, len(one.times) - 1)
            nearer = at.times - one.times[after - 1] < one.times[after] - at.times
            inside = (at.times >= one.times[0]) & (at.times <= one.times[-1])
            best = np.where(inside, np.fmax(best, one.scores[after - nearer]), best)
    return Scored(at.times, best)


def euclidean(case: Case) -> list[Scored]:
    """Return the negative distance of z-scored channels, without normalizing windows, by MASS of aeon."""
    search = optional("aeon.similarity_search.subsequence").MASS(length=POINTS, normalize=False)
    series = [replace(one, values=one.values * np.sqrt(one.weights)) for one in _z_scored(gridded(case))]
    own = series[case.own]
    query, found = own.windows()[query_row(own, case)].copy(), []
    for one in series:
        search.fit(np.ascontiguousarray(one.values.T)[None])
        found.append(one.scored(-search.compute_distance_profile(query)[0]))
    return found


def pca(case: Case) -> list[Scored]:
    """Return the cosine of the principal components of stacked windows of z-scored channels."""
    series = _z_scored(gridded(case))
    stacked = [one.windows().reshape(len(one.times), -1).astype(np.float32) for one in series]
    known = np.concatenate([rows[one.known] for rows, one in zip(stacked, series, strict=True)])
    center, axes = principal_axes(known)
    made = [unit((rows - center) @ axes) for rows in stacked]
    query = made[case.own][query_row(series[case.own], case)]
    return [one.scored(rows @ query) for rows, one in zip(made, series, strict=True)]


def principal_axes(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean (d,) and the first principal directions (d, components) of rows (n, d)."""
    center = rows.mean(axis=0)
    some = rows[:: -(-len(rows) // _SAMPLE)] - center
    axes = np.linalg.eigh(some.T @ some)[1]  # in ascending order
    return center, axes[:, ::-1][:, :COMPONENTS]


def warping(case: Case) -> list[Scored]:
    """Return the negative distance by dynamic time warping of z-normalized windows, by tslearn.

    All channels are warped together; one window in each eighth of the query's length.
    """
    series = gridded(case)
    own = series[case.own]
    query = _z_windows(own, slice(query_row(own, case), query_row(own, case) + 1))
    found = []
    for one in series:
        at = query_row(one, case) % STRIDE if one is own else 0
        rows = slice(at, None, STRIDE)
        found.append(one.scored(-warped(_z_windows(one, rows), query)[:, 0], rows))
    return found


def warped(windows: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """Return distances (m, q) by dynamic time warping with a Sakoe-Chiba band, of windows (m, points, channels)."""
    metrics = optional("tslearn.metrics")
    return metrics.cdist_dtw(windows, queries, global_constraint="sakoe_chiba", sakoe_chiba_radius=RADIUS)


def z_normalized(windows: np.ndarray) -> np.ndarray:
    """Return windows (m, channels, points) less their means, over their standard deviations; 0 where constant."""
    less = windows - windows.mean(axis=2, keepdims=True)
    spread = less.std(axis=2, keepdims=True)
    return np.where(spread > 1e-9, less / np.where(spread > 1e-9, spread, 1), 0)


def _z_windows(one: Gridded, rows: slice) -> np.ndarray:
    return np.ascontiguousarray(z_normalized(one.windows(rows)).swapaxes(1, 2))


def _z_scored(series: Sequence[Gridded]) -> list[Gridded]:
    values = np.concatenate([one.values for one in series])
    center, spread = values.mean(axis=0), values.std(axis=0)
    return [replace(one, values=(one.values - center) / np.where(spread > 0, spread, 1)) for one in series]


def unit(rows: np.ndarray) -> np.ndarray:
    """Return rows (n, d) of unit length; 0 where all are 0."""
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)


def optional(name: str) -> ModuleType:
    """Import a module that only the benchmark needs, or raise DataUnavailable."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        package = name.split(".")[0]
        raise DataUnavailable(f"{package} is not installed (pip install {package})") from error


OURS: dict[str, Method] = {
    "ours": ours,
    "ours, any orientation": partial(ours, recipe=PanelRecipe(vectors="any_orientation")),
    "ours, 3 durations": partial(ours, recipe=PanelRecipe(durations=DURATIONS)),
    "ours, 3 durations, any o.": partial(ours, recipe=PanelRecipe(vectors="any_orientation", durations=DURATIONS)),
    "ours, shape": partial(ours, recipe=PanelRecipe(values="shape")),
}
OTHERS: dict[str, Method] = {
    "MASS, channels": mass,
    "MASS, panels": partial(mass, by_panel=True),
    "MASS, 3 durations": partial(mass, durations=DURATIONS),
    "Euclidean": euclidean,
    "PCA": pca,
    "DTW": warping,
}
