"""Windows of time series: means over cells of equal duration, whatever the cadence of the samples.

samples   x x x  x x x x x     x x x          of any cadence, with gaps
cells    |----|----|----|----|----|----|      of 1/32 of the window's length; the query begins at an edge
windows  [=================)                  32 cells each, one after another at a stride of whole cells
              [=================)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

LEAST_KNOWN = 0.75
"""Share of the cells of a window that have to be known; the others are interpolated."""

_LONGEST_STEP = 1.5
# Cadences between two samples from which on there is a gap.


@dataclass(frozen=True)
class Grid:
    """Cells of equal duration: `n` of `cell_ns` nanoseconds each from `start`."""

    start: np.datetime64
    cell_ns: float
    n: int

    @classmethod
    def covering(cls, first: np.datetime64, last: np.datetime64, edge: np.datetime64, cell_ns: float) -> Grid:
        """Make the grid with an edge at a given time that covers a time range, at least one cell."""
        before = int(np.ceil(((edge - first) / np.timedelta64(1, "ns")) / cell_ns - 1e-9))
        start = edge - np.timedelta64(round(before * cell_ns), "ns")
        covered = ((last - start) / np.timedelta64(1, "ns")) / cell_ns
        return cls(start, cell_ns, max(int(np.ceil(covered - 1e-9)), 1))

    def times(self, cells: np.ndarray) -> np.ndarray:
        """Return the times of places in units of cells from the start: datetime64[ns]."""
        return self.start + np.round(np.asarray(cells, np.float64) * self.cell_ns).astype("timedelta64[ns]")

    def places(self, times: np.ndarray) -> np.ndarray:
        """Return times in units of cells from the start: float64."""
        return ((times - self.start) / np.timedelta64(1, "ns")) / self.cell_ns


@dataclass(frozen=True, eq=False)
class Cells:
    """Means of the samples of one variable in the cells of a grid.

    Attributes
    ----------
    means : numpy.ndarray of float32, shape (n, columns)
        Interpolated where nothing was measured, so that it is finite everywhere.
    variance : numpy.ndarray of float32, shape (n,)
        Variance of the samples within each cell, summed over columns; NaN where there are fewer than two.
    known : numpy.ndarray of bool, shape (n,)
        Cells in which something was measured.
    scale : float
        Standard deviation of the means, over all columns.
    """

    means: np.ndarray
    variance: np.ndarray
    known: np.ndarray
    scale: float

    def windows(self, first: np.ndarray, points: int) -> np.ndarray:
        """Return windows that begin at given cells: (m, columns, points)."""
        return sliding_window_view(self.means, points, axis=0)[first]

    def variances(self, first: np.ndarray, points: int) -> np.ndarray:
        """Return the variance within the cells of windows that begin at given cells: (m, points)."""
        return sliding_window_view(self.variance, points)[first]

    def is_known(self, first: np.ndarray, points: int) -> np.ndarray:
        """Return which windows that begin at given cells have enough known cells: bool (m,)."""
        return sliding_window_view(self.known, points)[first].mean(axis=1) >= LEAST_KNOWN - 1e-9


def cell_means(times: np.ndarray, values: np.ndarray, grid: Grid) -> Cells:
    """Average samples (n, columns) at ascending times in the cells of a grid; one with a NaN is left out.

    A cell without a sample, between two samples that follow each other, has the value interpolated at its center.
    """
    measured = np.isfinite(values).all(axis=1)
    places = grid.places(times)
    steps = np.diff(places)
    steps = steps[steps > 0]  # stamps may be there twice
    longest = _LONGEST_STEP * max(float(np.median(steps)) if len(steps) else 1.0, 1.0)
    places, values = places[measured], values[measured].astype(np.float64)
    cell = np.floor(places + 1e-9).astype(np.int64)
    inside = (cell >= 0) & (cell < grid.n)
    counts = np.bincount(cell[inside], minlength=grid.n)
    means, variance = _statistics(cell[inside], values[inside], counts)
    known = counts > 0
    if len(places):
        _interpolate(means, known, places, values, longest)
    missing = ~known
    if missing.any() and known.any():
        at = np.flatnonzero(known)
        for column in means.T:
            column[missing] = np.interp(np.flatnonzero(missing), at, column[at])
    elif missing.all():
        means[:] = 0
    scale = float(means[known].std(axis=0).mean()) if known.any() else 0.0
    return Cells(means.astype(np.float32), variance.astype(np.float32), known, scale)


def _statistics(cell: np.ndarray, values: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return means (n, columns), NaN in empty cells, and variances (n,), NaN in cells with fewer than two samples."""
    means = np.full((len(counts), values.shape[1]), np.nan)
    squares = np.zeros(len(counts))
    filled, several = counts > 0, counts > 1
    for number, column in enumerate(values.T):
        level = column.mean() if len(column) else 0.0  # a variance around a large level would lose its digits
        total, square = (np.bincount(cell, (column - level) ** power, minlength=len(counts)) for power in (1, 2))
        means[filled, number] = level + total[filled] / counts[filled]
        squares[several] += square[several] - total[several] ** 2 / counts[several]
    variance = np.full(len(counts), np.nan)
    variance[several] = np.maximum(squares[several], 0) / (counts[several] - 1)
    return means, variance


def _interpolate(means: np.ndarray, known: np.ndarray, places: np.ndarray, values: np.ndarray, longest: float) -> None:
    """Fill the cells between two samples no further apart than `longest`; a sample alone fills half a step around."""
    centers = np.flatnonzero(~known) + 0.5
    after = np.searchsorted(places, centers)
    before = np.clip(after - 1, 0, len(places) - 1)
    after = np.clip(after, 0, len(places) - 1)
    step = places[after] - places[before]
    distance = np.minimum(np.abs(centers - places[before]), np.abs(places[after] - centers))
    near = (step <= longest) & (distance <= longest / 2)
    share = np.clip((centers - places[before]) / np.where(step > 0, step, 1), 0, 1)[:, None]
    filled = values[before] * (1 - share) + values[after] * share
    rows = np.flatnonzero(~known)[near]
    means[rows] = filled[near]
    known[rows] = True
