"""Images of any loaded variable, block by block."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..errors import VariableError
from ..imaging.allsky import frame_images
from ..imaging.distributions import distribution_images
from ..imaging.recipe import DistributionRecipe, Recipe
from ..tplot import Variable

# Samples made into images at once; 256 distributions or frames are about 20 MB of images.
BLOCK = 256
# Phase space density in other units than the recipe's, s^3 cm^-6.
_DENSITY_UNITS = {"": 1.0, "s^3/cm^6": 1.0, "s^3 cm^-6": 1.0, "s3/cm6": 1.0, "s^3/m^6": 1e-12, "s^3 m^-6": 1e-12}


def check(variable: Variable, recipe: Recipe) -> None:
    """Refuse a variable that the recipe cannot make images of.

    Raises
    ------
    VariableError
        For a wrong number of dimensions, missing tables, unknown units or times that go back.
    """
    values, times = variable.values, variable.times
    if np.isnat(times).any() or (np.diff(times) < np.timedelta64(0, "ns")).any():
        raise VariableError(variable.name, "its times go back or are missing", "Sort it by time and store it again.")
    if len(times) != len(values):
        raise VariableError(variable.name, f"{len(times)} times for {len(values)} samples", "Load it again.")
    if values.dtype.kind not in "fiu":
        raise VariableError(variable.name, f"its values are {values.dtype}, not numbers", "Give a variable of numbers.")
    if not isinstance(recipe, DistributionRecipe):
        if values.ndim != 3:
            raise VariableError(variable.name, f"found the shape {values.shape}", "Give frames (time, row, column).")
        return
    missing = [key for key in ("v1", "v2", "v3") if key not in variable.coordinates]
    if values.ndim != 4 or missing:
        found = f"found the shape {values.shape}" + (f" without {', '.join(missing)}" if missing else "")
        remedy = "Give (time, azimuth, polar, energy) with v1, v2, v3, as pyspedas.projects.mms.fpi leaves it."
        raise VariableError(variable.name, found, remedy)
    if variable.units not in _DENSITY_UNITS:
        remedy = "Give phase space density in s^3/cm^6."
        raise VariableError(variable.name, f"found the units {variable.units!r}", remedy)


def images(variable: Variable, recipe: Recipe, block: int = BLOCK) -> Iterator[np.ndarray]:
    """Images of a checked variable's samples, in their order.

    Yields
    ------
    numpy.ndarray of float32, shape (up to block, channels, pixels, pixels)
    """
    for start in range(0, len(variable.values), block):
        rows = slice(start, start + block)
        if isinstance(recipe, DistributionRecipe):
            yield _distributions(variable, rows, recipe)
        else:
            yield frame_images(variable.values[rows], recipe)


def select(variable: Variable, samples: np.ndarray | slice) -> Variable:
    """The same variable with some of its samples."""
    n = len(variable.values)
    coordinates = {
        key: table[samples] if table.ndim == 2 and len(table) == n else table
        for key, table in variable.coordinates.items()
    }
    return Variable(
        variable.name,
        variable.times[samples],
        variable.values[samples],
        coordinates,
        variable.attributes,
        variable.store,
    )


def _distributions(variable: Variable, rows: slice, recipe: DistributionRecipe) -> np.ndarray:
    part = select(variable, rows)
    density = part.values * np.float32(_DENSITY_UNITS[variable.units]) if variable.units else part.values
    try:
        return distribution_images(density, *(part.coordinates[key] for key in ("v1", "v2", "v3")), recipe)
    except VariableError as error:
        raise VariableError(f"{variable.name}: {error.subject}", error.found, error.remedy) from error
