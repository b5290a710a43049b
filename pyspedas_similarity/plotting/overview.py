"""One panel that shows what a variable holds against time: spectrogram of energies, or keogram."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import VariableError
from ..imaging.keogram import keogram
from ..imaging.recipes import Recipe, SpectrumRecipe
from ..instruments import frames
from ..tplot import Variable
from .labels import bins_label, brightness_unit, flux_unit, slice_label


@dataclass(frozen=True)
class Overview:
    """A spectrogram-like picture against time.

    Attributes
    ----------
    values : numpy.ndarray, shape (n, bins)
    bins : numpy.ndarray, shape (bins,) or (n, bins)
        Energies, or places along a keogram.
    label, unit : str
        Of the bins, and of the values.
    logarithmic : bool
        Whether both scales are.
    """

    values: np.ndarray
    bins: np.ndarray
    label: str
    unit: str
    logarithmic: bool


def overview(
    variable: Variable, recipe: Recipe | None = None, height_km: float | None = None, width: float | None = None
) -> Overview:
    """The panel for a variable of distributions, spectra or frames.

    Parameters
    ----------
    variable : Variable
        As loaded.
    recipe : Recipe, optional
        Distinguishes spectra by direction from frames, which have as many dimensions.
    height_km, width : float, optional
        Of a keogram, as in `imaging.keogram.keogram`.

    Raises
    ------
    VariableError
        If it holds none of these.
    """
    if variable.values.ndim == 4 and "v3" in variable.coordinates:
        return _omnidirectional(variable)
    if variable.values.ndim == 3 and isinstance(recipe, SpectrumRecipe):
        return _over_directions(variable, recipe)
    if variable.values.ndim == 3:
        made = keogram(*frames.north_up(variable), height_km, width)
        return Overview(made.values, made.axis, slice_label(made, variable), brightness_unit(variable), False)
    if variable.values.ndim == 2 and "v" in variable.coordinates:
        return Overview(
            variable.values, variable.coordinates["v"], bins_label(variable, "v"), flux_unit(variable), True
        )
    remedy = "Give distributions (time, azimuth, polar, energy), spectra, or frames (time, row, column)."
    raise VariableError(variable.name, f"found the shape {variable.values.shape}", remedy)


def _omnidirectional(variable: Variable) -> Overview:
    """Phase space density averaged over the sphere, times energy squared: proportional to the energy flux."""
    polar = np.radians(np.atleast_2d(variable.coordinates["v2"])[0])
    weight = np.sin(polar) / np.sin(polar).sum()
    density = np.stack([np.nanmean(sample, axis=0).T @ weight for sample in variable.values])
    energy = variable.coordinates["v3"]
    unit = "f E$^2$ (s$^3$ cm$^{-6}$ eV$^2$)"
    return Overview(density * np.atleast_2d(energy) ** 2, energy, bins_label(variable, "v3", "energy (eV)"), unit, True)


def _over_directions(variable: Variable, recipe: SpectrumRecipe) -> Overview:
    """Mean over pitch angles or looks of what was measured."""
    axis = 3 - recipe.energy_axis
    known = np.isfinite(variable.values)
    total = np.where(known, variable.values, 0).sum(axis=axis, dtype=float)
    mean = np.divide(total, known.sum(axis=axis), out=np.full(total.shape, np.nan), where=known.any(axis=axis))
    key = f"v{recipe.energy_axis}"
    over = "pitch angles" if recipe.direction == "pitch_angle" else "looks"
    bins = variable.coordinates.get(key, np.arange(1, mean.shape[1] + 1))
    label = bins_label(variable, key) if key in variable.coordinates else "energy channel"
    return Overview(mean, bins, label, f"mean over {over}\n{flux_unit(variable)}", True)


def on_one_table(values: np.ndarray, bins: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return spectra in the ascending bins of one table.

    Where the table changes with time it is the most frequent one of those with most known bins. Other rows are drawn in
    the nearest of their own bins, and are NaN where they have none as near as the bins of that table are to each other.

    Parameters
    ----------
    values : numpy.ndarray, shape (n, bins)
    bins : numpy.ndarray, shape (bins,) or (n, bins)
        NaN where a bin has no value.
    """
    values, bins = np.array(values, float), np.asarray(bins, float)
    if bins.ndim == 1:
        known = np.isfinite(bins)
        values, usual = values[:, known], bins[known]
    else:
        values, usual = _moved(values, np.where(np.isfinite(bins), bins, np.inf))
    order = np.argsort(usual)
    return values[:, order], usual[order]


def _moved(values: np.ndarray, bins: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Move spectra to the bins of one table of (n, bins), in which inf stands for what is not known."""
    tables, rows, counts = np.unique(bins, axis=0, return_inverse=True, return_counts=True)
    usual = tables[np.lexsort((-counts, -np.isfinite(tables).sum(axis=1)))[0]]
    usual = usual[np.isfinite(usual)]
    width = np.abs(np.gradient(usual)) if len(usual) > 1 else np.inf
    moved = np.full((len(values), len(usual)), np.nan)
    for number, table in enumerate(tables):
        own, known = rows.ravel() == number, table[np.isfinite(table)]
        if known.size:
            nearest = values[own][:, np.abs(table - usual[:, None]).argmin(axis=1)]
            beyond = (usual < known.min() - width) | (usual > known.max() + width)
            moved[own] = np.where(beyond, np.nan, nearest)
    return moved, usual
