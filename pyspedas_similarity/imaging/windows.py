"""Two-dimensional samples to images: spectra by pitch angle or look, and windows of spectrograms.

A bin reaches half way to its neighbors, on the scale of the axis; a pixel is the mean of the measured bins in it, each
by the share of the pixel that it covers, and NaN where less than half of the pixel was measured. The order of the bins
does not matter; bins of one value (HOPE's burst table names each energy eight times) share their place; bins without a
value are left out.
"""

from __future__ import annotations

import numpy as np

from ..errors import VariableError
from .recipes import Recipe, SpectrumRecipe, WindowRecipe
from .tables import LEAST_FILL, check_pitch_angles, fitting_table, is_evenly_logarithmic

_FULL_PITCH_ANGLE = (0.0, 180.0)  # degrees
# ELFIN pads its tables with an empty bin at both ends, which may lie beyond 0 or 180 degrees by part of its width.
_PADDING = 30.0  # degrees
# Least share of a pixel that has to be measured.
_LEAST_MEASURED = 0.5
# A step from sample to sample of fewer or more cadences than these is uneven; a window may be so much shorter or longer
# than asked for, as a share of its length, or else one sample.
_SMALLEST_STEP, _LARGEST_STEP, _LENGTH_TOLERANCE = 0.5, 1.5, 0.1
# Values, and spectra, worked on at once: bounds intermediate arrays to some tens of MB.
_BLOCK, _ROWS = 2**18, 2**16


def spectrum_images(flux: np.ndarray, first: np.ndarray, second: np.ndarray, recipe: SpectrumRecipe) -> np.ndarray:
    """Spectra by direction on a common grid of energy and pitch angle, on a logarithmic scale from 0 to 1.

    Parameters
    ----------
    flux : numpy.ndarray, shape (n, first, second)
        Flux, phase space density, counts; NaN, infinite or negative where nothing was measured.
    first, second : numpy.ndarray, shape (bins,) or (n, bins)
        Pitch angle in degrees (or look number) and energy, in the order of the recipe's ``energy_axis``; in any
        order of values, NaN where a bin has none.

    Returns
    -------
    numpy.ndarray of float32, shape (n, 1, pixels, pixels)
        Rows are pitch angle or look, columns energy, both ascending; NaN where not measured.
    """
    if flux.ndim != 3:
        remedy = "Give (time, pitch angle, energy) or, with energy_axis=1, (time, energy, pitch angle)."
        raise VariableError("spectrum", f"found the shape {flux.shape}", remedy)
    if recipe.energy_axis == 1:
        flux, first, second = flux.swapaxes(1, 2), second, first
    energy = fitting_table("energy table", second, len(flux), flux.shape[2])
    columns = _weights(energy, recipe.energy_range, recipe.pixels, logarithmic=True)
    if recipe.direction == "look":
        rows = _weights_by_number(flux.shape[1], recipe.pixels)
    else:
        angle = fitting_table("pitch angle table", first, len(flux), flux.shape[1])
        check_pitch_angles("pitch angle table", angle, _PADDING)
        rows = _weights(angle, _FULL_PITCH_ANGLE, recipe.pixels, logarithmic=False)
    with np.errstate(invalid="ignore", divide="ignore"):
        factor = energy**recipe.energy_power
    flux = flux * np.where(np.isfinite(factor), factor, np.nan)[..., None, :]
    return _logarithmic(_means(flux, rows, columns), recipe)[:, None]


def window_images(values: np.ndarray, times: np.ndarray, axis: np.ndarray, recipe: WindowRecipe) -> np.ndarray:
    """Windows of a spectrogram on a common grid, on a logarithmic scale from 0 to 1.

    Parameters
    ----------
    values : numpy.ndarray, shape (n, length, bins)
        Successive spectra of each window; NaN, infinite or negative where nothing was measured.
    times : numpy.ndarray of datetime64, shape (n, length)
        A one-dimensional table (length,) means that all windows are whole.
    axis : numpy.ndarray, shape (bins,) or (n, length, bins)
        Energy or velocity of each bin.

    Returns
    -------
    numpy.ndarray of float32, shape (n, 1, pixels, pixels)
        Rows are energy or velocity, columns time, both ascending; all NaN where `is_uneven`.
    """
    if values.ndim != 3 or times.shape not in (values.shape[:2], values.shape[1:2]):
        found = f"found the shapes {values.shape} and {times.shape}"
        raise VariableError("windows", found, "Give values (windows, length, bins) and times (windows, length).")
    n, length, bins = values.shape
    if axis.shape not in ((bins,), values.shape):
        found, remedy = f"found the shape {axis.shape}", f"Give one value for each of the {bins} bins."
        raise VariableError("v table", found, remedy)
    by_time = _weights_by_number(length, recipe.pixels)
    images = np.empty((n, *recipe.shape), np.float32)
    size = max(1, _BLOCK // (length * bins))
    for start in range(0, n, size):
        block = slice(start, start + size)
        table = axis if axis.ndim == 1 else axis[block]
        weights = _weights(table.astype(np.float64), recipe.axis_range, recipe.pixels, recipe.axis_scale == "log")
        images[block, 0] = _logarithmic(_means(values[block], by_time, weights).swapaxes(1, 2), recipe)
    if times.ndim == 2:
        images[is_uneven(times, recipe)] = np.nan
    return images


def even_bins(table: np.ndarray, bins: int) -> tuple[np.ndarray, bool]:
    """Return the edges of bins that are even on the scale of a table, and whether that is logarithmic.

    There are no more bins than channels with different values; the table is (channels,) or (n, channels), in any order.
    """
    usual = table if table.ndim == 1 else table[np.isfinite(table).sum(axis=1).argmax()]
    centers = np.unique(usual[np.isfinite(usual)])
    if len(centers) < 2:
        raise VariableError("v table", f"found {len(centers)} values", "Give the energy or frequency of each channel.")
    logarithmic = is_evenly_logarithmic(centers)
    scaled = np.log(centers) if logarithmic else centers
    ends = 1.5 * scaled[0] - 0.5 * scaled[1], 1.5 * scaled[-1] - 0.5 * scaled[-2]
    edges = np.linspace(*ends, min(bins, len(centers)) + 1)
    return (np.exp(edges) if logarithmic else edges), logarithmic


def rebinned(values: np.ndarray, table: np.ndarray, bins: int) -> np.ndarray:
    """Average spectra (n, channels) in `even_bins` of their table: float64 (n, bins).

    NaN where less than half of a bin was measured.
    """
    if table.ndim == 2 and np.array_equal(table, np.broadcast_to(table[:1], table.shape), equal_nan=True):
        table = table[0]
    edges, logarithmic = even_bins(table, bins)
    limits, number = (edges[0], edges[-1]), len(edges) - 1
    found = np.empty((len(values), number))
    for start in range(0, len(values), _ROWS):
        block = slice(start, start + _ROWS)
        rows = table[None] if table.ndim == 1 else table[block]
        distinct, which = np.unique(rows, axis=0, return_inverse=True)
        which = np.broadcast_to(which.ravel(), len(values[block]))
        for number_of_table, weights in enumerate(_weights(distinct, limits, number, logarithmic)):
            own = which == number_of_table
            part = values[block][own]
            measured = np.isfinite(part)
            share, total = measured @ weights.T, np.where(measured, part, 0) @ weights.T
            known = share >= _LEAST_MEASURED - 1e-9
            found[block][own] = np.where(known, total / np.where(known, share, 1), np.nan)
    return found


def is_uneven(times: np.ndarray, recipe: WindowRecipe) -> np.ndarray:
    """Return which windows do not have the length asked for, or uneven steps: bool (n,), of times (n, length).

    Even steps are half to one and a half of a cadence, which is the recipe's length over the number of samples. A
    window covers the time from its first to its last sample and one mean step; this may differ from the recipe's
    length by a tenth of it, or by one cadence where that is more.
    """
    length = times.shape[1]
    cadence_s = recipe.length_s / length
    uneven = np.zeros(len(times), bool)
    size = max(1, _BLOCK // length)
    for start in range(0, len(times), size):
        block = slice(start, start + size)
        steps = np.diff(times[block], axis=1) / np.timedelta64(1, "s") / cadence_s
        covered_s = steps.mean(axis=1) * recipe.length_s
        off = np.abs(covered_s - recipe.length_s) > max(_LENGTH_TOLERANCE * recipe.length_s, cadence_s) * (1 + 1e-9)
        uneven[block] = ((steps < _SMALLEST_STEP) | (steps > _LARGEST_STEP)).any(axis=1) | off
    return uneven


def _means(values: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Means over pixels: values (n, r, c), weights (pixels, r) and (pixels, c) or with leading axes -> (n, p, p)."""
    values = np.asarray(values, np.float64)
    measured = (values >= 0) & (values < LEAST_FILL)
    share, total = (
        rows @ _along_columns(part, columns) for part in (measured.astype(np.float64), np.where(measured, values, 0))
    )
    # A pixel covered by just a half may come out a rounding error below it.
    known = share >= _LEAST_MEASURED - 1e-9
    return np.where(known, total / np.where(known, share, 1), np.nan)


def _along_columns(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    if weights.ndim < 4:
        return values @ weights.swapaxes(-1, -2)
    return (values[:, :, None, :] @ weights.swapaxes(-1, -2))[:, :, 0]  # each row of each sample has its own table


def _logarithmic(images: np.ndarray, recipe: Recipe) -> np.ndarray:
    measured = np.isfinite(images)
    if recipe.level == "sample":
        total, count = np.where(measured, images, 0).sum((1, 2), keepdims=True), measured.sum((1, 2), keepdims=True)
        # A sample in which nothing was counted has no level; it stays 0 everywhere.
        images = images * np.divide(count, total, out=np.ones_like(total), where=total > 0)
    decades = np.log10(recipe.ceiling / recipe.floor)
    scaled = np.log10(np.clip(images, recipe.floor, recipe.ceiling) / recipe.floor) / decades
    return np.where(measured, scaled, np.nan).astype(np.float32)


def _weights_by_number(bins: int, pixels: int) -> np.ndarray:
    return _weights(np.arange(bins, dtype=np.float64), (-0.5, bins - 0.5), pixels, logarithmic=False)


def _weights(tables: np.ndarray, limits: tuple[float, float], pixels: int, logarithmic: bool) -> np.ndarray:
    """Share of each pixel that each bin covers: tables (..., bins) -> (..., pixels, bins)."""
    with np.errstate(invalid="ignore", divide="ignore"):
        places, ends = (np.log(tables), np.log(limits)) if logarithmic else (tables, limits)
    edges = np.linspace(*ends, pixels + 1)
    # Tables repeat from sample to sample: each is worked out once.
    distinct, which = np.unique(places.reshape(-1, places.shape[-1]), axis=0, return_inverse=True)
    weights = np.stack([_shares(table, edges) for table in distinct])
    return weights[which.ravel()].reshape(*places.shape[:-1], pixels, places.shape[-1])


def _shares(places: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Return the widths of one table; all 0 if it has fewer than two values."""
    shares = np.zeros((len(edges) - 1, len(places)))
    usable = np.isfinite(places)
    centers, which, sharing = np.unique(places[usable], return_inverse=True, return_counts=True)
    if len(centers) < 2:
        return shares
    middles = (centers[1:] + centers[:-1]) / 2
    bounds = np.concatenate([[2 * centers[0] - middles[0]], middles, [2 * centers[-1] - middles[-1]]])
    overlap = np.minimum(bounds[1:], edges[1:, None]) - np.maximum(bounds[:-1], edges[:-1, None])
    shares[:, usable] = (np.clip(overlap, 0, None) / np.diff(edges)[:, None] / sharing)[:, which]
    return shares
