"""Slices of velocity distributions in physical units, all samples at once."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from .distributions import Placement, each_block
from .plasma import Distributions, moments
from .recipes import DistributionRecipe

PIXELS = 64
"""Rows and columns of a slice where nothing else is asked for."""


@dataclass(frozen=True, eq=False)
class Slices:
    """Planes of velocity space of many samples.

    Attributes
    ----------
    density : numpy.ndarray of float32, shape (n, planes, pixels, pixels)
        Phase space density, s^3 cm^-6; 0 where nothing was counted, NaN where nothing was measured, and of a sample
        that is flagged or cannot be placed.
    axes : numpy.ndarray, shape (n, 3, 3)
        Unit vectors of the planes' axes (par, perp1, perp2; or x, y, z) in the axes of the measurement.
    center : numpy.ndarray, shape (n, 3)
        Velocity at the origin of the planes, km/s, in the axes of the measurement.
    """

    density: np.ndarray
    axes: np.ndarray
    center: np.ndarray


def density_slices(measured: Distributions, recipe: DistributionRecipe) -> Slices:
    """Cut distributions along the planes of a recipe in km/s, such as `physical_recipe` makes.

    Raises
    ------
    VariableError
        If the recipe needs a magnetic field and there is none.
    """
    n, pixels = len(measured), recipe.pixels
    density = np.full((n, len(recipe.planes), pixels, pixels), np.nan, np.float32)
    axes, center = np.full((n, 3, 3), np.nan), np.full((n, 3), np.nan)

    def keep(rows: np.ndarray, planes: np.ndarray, placement: Placement) -> None:
        density[rows], axes[rows], center[rows] = planes, placement.axes, placement.center

    each_block(measured, recipe, keep)
    return Slices(density, axes, center)


def physical_recipe(recipe: DistributionRecipe, half_width: float, pixels: int) -> DistributionRecipe:
    """Return the recipe of the same planes in km/s and s^3 cm^-6, not smoothed; they stay as thick.

    Parameters
    ----------
    recipe : DistributionRecipe
    half_width : float
        km/s, see `half_width`.
    pixels : int
    """
    # Layers lie one pixel apart on each side of the plane: as many as fill the same part of velocity space.
    depth = max(round((recipe.depth + 0.5) * pixels / recipe.pixels - 0.5), 0) if recipe.depth else 0
    units = {"speed_unit": "km/s", "density_unit": "absolute"}
    changes = {"speed_max": half_width, "depth": depth, "pixels": pixels, "agyrotropy": False, "blur": 0.0}
    return replace(recipe, **units, **changes, average=1)


def half_width(measured: Distributions, recipe: DistributionRecipe) -> float:
    """Return the half width of the planes, km/s: in thermal units that of the median sample, rounded up to two digits.

    NaN where it depends on the temperature and no sample has one.
    """
    if recipe.speed_unit == "km/s":
        return float(recipe.speed_max)
    thermal = moments(measured, recipe.energy_min_ev).thermal_speed(recipe.species)
    thermal = thermal[thermal > 0]
    if not len(thermal):
        return np.nan
    speed = recipe.speed_max * np.median(thermal)
    digits = 10.0 ** (np.floor(np.log10(speed)) - 1)
    return float(np.ceil(speed / digits) * digits)


def thickness(recipe: DistributionRecipe) -> float:
    """Return the thickness of the planes, in the recipe's unit of speed; 0 for a cut."""
    return (2 * recipe.depth + 1) * 2 * recipe.speed_max / recipe.pixels if recipe.depth else 0.0


def middles(recipe: DistributionRecipe) -> np.ndarray:
    """Middles of rows and columns, in the recipe's unit of speed, shape (pixels,)."""
    return (np.arange(recipe.pixels) + 0.5) / recipe.pixels * 2 * recipe.speed_max - recipe.speed_max
