"""One panel that shows what a variable holds against time: omnidirectional spectrogram or keogram."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import VariableError
from ..tplot import Variable

_KEOGRAM_COLUMNS = 5


@dataclass(frozen=True)
class Overview:
    """A spectrogram-like picture against time.

    Attributes
    ----------
    values : numpy.ndarray, shape (n, bins)
    bins : numpy.ndarray, shape (bins,)
        Energy in eV, or row of the frame.
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


def overview(variable: Variable) -> Overview:
    """The panel for a variable of distributions or frames.

    Raises
    ------
    VariableError
        If it holds neither.
    """
    if variable.values.ndim == 4 and "v3" in variable.coordinates:
        return _omnidirectional(variable)
    if variable.values.ndim == 3:
        return _keogram(variable)
    remedy = "Give distributions (time, azimuth, polar, energy) or frames (time, row, column)."
    raise VariableError(variable.name, f"found the shape {variable.values.shape}", remedy)


def _omnidirectional(variable: Variable) -> Overview:
    """Phase space density averaged over the sphere, times energy squared: proportional to the energy flux."""
    polar = np.radians(np.atleast_2d(variable.coordinates["v2"])[0])
    weight = np.sin(polar) / np.sin(polar).sum()
    density = np.stack([np.nanmean(sample, axis=0).T @ weight for sample in variable.values])
    energy = np.atleast_2d(variable.coordinates["v3"])
    return Overview(density * energy**2, energy[0], "energy (eV)", "f E$^2$ (s$^3$ cm$^{-6}$ eV$^2$)", True)


def _keogram(variable: Variable) -> Overview:
    middle, half = variable.values.shape[2] // 2, _KEOGRAM_COLUMNS // 2
    values = variable.values[:, :, middle - half : middle + half + 1].mean(axis=2)
    return Overview(values, np.arange(values.shape[1]), "row (keogram)", variable.units or "brightness", False)
