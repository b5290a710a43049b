"""Checks of axis tables against physics: angles in degrees and in their ranges, energies that are energies."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import VariableError

LEAST_FILL = 1e30
"""Numbers from here on are fill values in any unit: -1e31 of CDF, 9.97e36 of netCDF."""

_MOST_AZIMUTH = (-360.0, 720.0)  # degrees; a spinning spacecraft may count on over a turn
_LEAST_ENERGY_EV = 100.0  # no instrument for 3-D distributions ends below
_LEAST_BINS = 4  # fewer show neither radians nor numbering


def fitting_table(name: str, table: np.ndarray, n: int, bins: int) -> np.ndarray:
    """Return a table of (bins,) or (n, bins) as float64; VariableError for one of another shape."""
    table = np.asarray(table, np.float64)
    if table.shape not in ((bins,), (n, bins)):
        remedy = f"Give one value for each of the {bins} bins, or for each sample and bin."
        raise VariableError(name, f"found the shape {table.shape}", remedy)
    return table


def is_numbering(values: np.ndarray, fewest: int = _LEAST_BINS) -> bool:
    """Return True for consecutive whole numbers from 0 or 1, in either order: the numbers of bins, not their values."""
    values = np.sort(np.asarray(values, np.float64).ravel())
    return len(values) >= fewest and values[0] in (0, 1) and bool((np.diff(values) == 1).all())


def is_evenly_logarithmic(values: np.ndarray) -> bool:
    """Return True for ascending values above 0 whose logarithms have more even steps than the values themselves."""
    if values[0] <= 0 or len(values) < 3:
        return False
    steps, ratios = np.diff(values), np.diff(np.log(values))
    return bool(ratios.std() / ratios.mean() < steps.std() / steps.mean())


def check_polar(name: str, table: np.ndarray) -> None:
    """Refuse polar angles that are latitudes, azimuths, radians or numbers of bins; table (bins,) or (n, bins)."""
    low, high = _ends(table)
    if high > 180 or low < -90:
        remedy = "Give (time, azimuth, polar, energy): transpose the values, and exchange v1 and v2."
        raise VariableError(name, f"found angles from {low:g} to {high:g}, which are azimuths", remedy)
    if low < 0:
        remedy = "Give angles from the z axis, 0 to 180 degrees: 90 - latitude."
        raise VariableError(name, f"found angles from {low:g} to {high:g}, which are latitudes", remedy)
    _check_degrees(name, table, np.pi)


def check_azimuth(name: str, table: np.ndarray) -> None:
    """Refuse azimuths that are something else: far beyond a turn, radians or numbers of bins."""
    low, high = _ends(table)
    if low < _MOST_AZIMUTH[0] or high > _MOST_AZIMUTH[1]:
        remedy = "Give (time, azimuth, polar, energy) with azimuths in degrees in v1."
        raise VariableError(name, f"found values from {low:g} to {high:g}, which are no azimuths", remedy)
    _check_degrees(name, table, 2 * np.pi)


def check_pitch_angles(name: str, table: np.ndarray, padding: float) -> None:
    """Refuse pitch angles beyond 0 to 180 degrees by more than a padding, cosines, radians and numbers of bins."""
    low, high = _ends(table)
    if low < -padding or high > 180 + padding:
        found = f"found values from {low:g} to {high:g}"
        remedy = "Give degrees from 0 to 180, or direction='look'; where energy is in v1, energy_axis=1."
        raise VariableError(name, found, remedy)
    if np.shape(table)[-1] >= _LEAST_BINS and -1 <= low < 0 and high <= 1:
        raise VariableError(name, f"found values from {low:g} to {high:g}, which are cosines", "Give degrees.")
    _check_degrees(name, table, np.pi)


def check_energies_ev(name: str, table: np.ndarray) -> None:
    """Refuse energies of a 3-D distribution that are numbers of channels, do not ascend, or are not in eV."""
    _check_no_numbering(name, table)
    if (table <= 0).any() or (np.diff(table, axis=-1) <= 0).any():
        raise VariableError(name, "found energies that do not ascend from above 0", "Sort the energy axis.")
    if table.size and table.max() < _LEAST_ENERGY_EV:
        found = f"found energies up to {table.max():g} only, which are not in eV or are no energies"
        raise VariableError(name, found, "Give energies in eV.")


def check_range(name: str, table: np.ndarray, limits: tuple[float, float], logarithmic: bool) -> None:
    """Refuse a table with fewer than two values within the limits of a recipe, and numbers of bins on a log axis."""
    if logarithmic:
        _check_no_numbering(name, table)
    inside = (table >= limits[0]) & (table <= limits[1])
    if np.size(table) and inside.sum(axis=-1).max() < 2:
        low, high = _ends(np.where(table > 0, table, np.nan) if logarithmic and (table > 0).any() else table)
        found = f"found values from {low:g} to {high:g}, of which the recipe's range, {limits[0]:g} to {limits[1]:g},"
        hint = "Give the range in the unit of the table (eV or keV), and the table that holds energies, not widths."
        raise VariableError(name, f"{found} holds less than two", hint)


def _ends(table: np.ndarray) -> tuple[float, float]:
    known = np.asarray(table, np.float64)
    known = known[np.isfinite(known)]
    return (float(known.min()), float(known.max())) if known.size else (0.0, 0.0)


def _check_degrees(name: str, table: np.ndarray, turn: float) -> None:
    bins, (low, high) = np.shape(table)[-1], _ends(table)
    if bins < _LEAST_BINS or high == low:
        return
    if low >= -turn and high <= turn * 1.001:
        raise VariableError(name, f"found angles from {low:g} to {high:g}, which are radians", "Give degrees.")
    if high < 90:
        _check_no_numbering(name, table)


def _check_no_numbering(name: str, table: np.ndarray) -> None:
    rows = np.asarray(table, np.float64).reshape(-1, np.shape(table)[-1])
    if len(rows) and is_numbering(rows[0]):
        found = f"found {rows[0][0]:g}, {rows[0][1]:g}, {rows[0][2]:g}, ..., the numbers of the bins"
        raise VariableError(name, found, "Give the values of the bins: energies or angles.")


def is_rectangle(sides: Sequence[float]) -> bool:
    """Return True for top, bottom, left and right that ascend from 0 to 1."""
    return len(sides) == 4 and 0 <= sides[0] < sides[1] <= 1 and 0 <= sides[2] < sides[3] <= 1
