"""Velocity distributions to images and to slices in physical units, all samples at once.

      v_y                      Angles of FPI are look directions. A particle seen in look direction
  look |  / velocity           (azimuth, polar) flies the other way: along azimuth + 180 degrees and
   dir |/                      180 degrees - polar. Velocities here are those of the particles.
-------+------- v_x
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from ..errors import VariableError
from .plasma import Distributions, moments, plasma_axes, speed_of
from .recipes import DistributionRecipe
from .threads import run_in_threads

SLICE_PIXELS = 64
"""Rows and columns of a slice where nothing else is asked for."""

# Column and row of each plane, and the axis along which its layers lie, as indices of (par, perp1, perp2) or (x, y, z).
_AXES = {
    "perp1-perp2": (1, 2, 0),
    "par-perp1": (0, 1, 2),
    "par-perp2": (0, 2, 1),
    "xy": (0, 1, 2),
    "xz": (0, 2, 1),
    "yz": (1, 2, 0),
}
# Samples that one thread works on at a time: bounds the memory of the points' velocities to some tens of MB.
_BLOCK = 8
# Steps of an energy table: for FPI's two decades of speed, each is 0.06 % of a speed.
_ENERGY_STEPS = 8192


@dataclass(frozen=True)
class Placement:
    """Velocity grid of each sample: v = unit * (grid @ axes) + center.

    `axes` (n, 3, 3) are unit vectors in those of the measurement; `unit` (n,) and `center` (n, 3) are in km/s,
    `density_unit` (n,) in s^3 cm^-6.
    """

    axes: np.ndarray
    unit: np.ndarray
    center: np.ndarray
    density_unit: np.ndarray

    @property
    def known(self) -> np.ndarray:
        """Samples that can be placed."""
        parts = (self.axes.reshape(len(self.unit), -1), self.unit[:, None], self.center, self.density_unit[:, None])
        return np.isfinite(np.hstack(parts)).all(axis=1) & (self.unit > 0) & (self.density_unit > 0)

    def part(self, rows: np.ndarray) -> Placement:
        """Return the grids of some samples."""
        return Placement(self.axes[rows], self.unit[rows], self.center[rows], self.density_unit[rows])


def distribution_images(measured: Distributions, recipe: DistributionRecipe) -> np.ndarray:
    """Planes of velocity space from 0 to 1 on a logarithmic scale: float32 (n, channels, pixels, pixels).

    NaN where the instrument does not reach. All NaN for a sample that was not measured, is flagged, or whose field,
    velocity or temperature is needed and not known. VariableError if the recipe needs a field and there is none.
    """
    images = np.full((len(measured), *recipe.shape), np.nan, np.float32)

    def keep(rows: np.ndarray, planes: np.ndarray, _: Placement) -> None:
        scaled = _logarithmic(planes, recipe)
        images[rows, : len(recipe.planes)] = scaled
        if recipe.agyrotropy:
            images[rows, -1] = _agyrotropy(scaled, recipe)

    each_block(measured, recipe, keep)
    return images


def each_block(
    measured: Distributions, recipe: DistributionRecipe, keep: Callable[[np.ndarray, np.ndarray, Placement], None]
) -> None:
    """Look up the planes of all samples, some at a time and in several threads, and hand each block to `keep`.

    ``keep(rows, planes, placement)`` gets the indices of the samples that can be placed, float32 (rows, planes, pixels,
    pixels) in the recipe's unit of density, and where these planes lie.
    """
    if recipe.field_aligned and measured.field is None:
        remedy = "Give the magnetic field, or use recipe.without_field()."
        raise VariableError("field", "the recipe's planes are those of the field, and none is given", remedy)
    grid = _grid(recipe)

    def work(start: int) -> None:
        end = min(start + _BLOCK, len(measured))
        first = max(start - recipe.average, 0)  # neighbors take part in a running mean
        part = _cleaned(measured.part(slice(first, end + recipe.average)), recipe)
        part = part.part(slice(start - first, end - first))
        placement = _placement(part, recipe)
        usable = placement.known
        if part.flags is not None:
            usable &= (part.flags.astype(np.int64) & recipe.bad_flags) == 0
        rows = np.flatnonzero(usable)
        if len(rows):  # none in a gap of the field longer than a block
            keep(start + rows, _planes(part, rows, placement, grid, recipe), placement.part(rows))

    run_in_threads(work, range(0, len(measured), _BLOCK))


def _cleaned(measured: Distributions, recipe: DistributionRecipe) -> Distributions:
    """Bins of too few counts emptied, bins of too little energy unmeasured, neighbors averaged."""
    density = measured.density
    if recipe.least_counts > 0 and measured.error is not None:
        with np.errstate(invalid="ignore", divide="ignore"):
            few = density < np.sqrt(recipe.least_counts) * measured.error
        density = np.where(few & (density > 0), 0, density)
    if recipe.energy_min_ev > 0:
        low = measured.energy_ev[:, None, None, :] < recipe.energy_min_ev
        density = np.where(low, np.float32(np.nan), density)
    return _averaged(replace(measured, density=density), recipe.average)


def _averaged(measured: Distributions, count: int) -> Distributions:
    """Running mean over `count` samples, each shifted to the sectors and energies of the middle one.

    Sectors turn and energies alternate from sample to sample: the nearest sector and energy of each neighbor counts.
    """
    if count == 1:
        return measured
    n = len(measured)
    total, known = np.zeros(measured.density.shape, np.float32), np.zeros(measured.density.shape, np.float32)
    step = 360 / measured.azimuth.shape[1]
    for offset in range(-(count // 2), count - count // 2):
        rows = np.clip(np.arange(n) + offset, 0, n - 1)
        turned = np.rint((measured.azimuth[:, 0] - measured.azimuth[rows, 0]) / step).astype(int)
        sectors = (np.arange(measured.azimuth.shape[1]) + turned[:, None]) % measured.azimuth.shape[1]
        neighbor = measured.density[rows[:, None], sectors]
        good = neighbor >= 0
        total += np.where(good, neighbor, 0)
        known += good
    mean = np.divide(total, known, out=np.full_like(total, np.nan), where=known > 0)
    return replace(measured, density=mean)


def _placement(measured: Distributions, recipe: DistributionRecipe) -> Placement:
    n, velocity = len(measured), measured.velocity
    thermal, density = np.ones(n), np.ones(n)
    needs_velocity = velocity is None and (recipe.field_aligned or recipe.subtract_velocity)
    if needs_velocity or "thermal" in (recipe.speed_unit, recipe.density_unit):
        scalars = moments(measured, recipe.energy_min_ev)
        velocity = scalars.velocity if velocity is None else velocity
        thermal, density = scalars.thermal_speed(recipe.species), scalars.density
    axes = np.broadcast_to(np.eye(3), (n, 3, 3))
    if recipe.field_aligned:
        axes = plasma_axes(measured.field, velocity)
    return Placement(
        axes=axes,
        unit=thermal if recipe.speed_unit == "thermal" else np.ones(n),
        center=velocity if recipe.subtract_velocity else np.zeros((n, 3)),
        # n / v^3 in s^3 cm^-6: 1 km/s is 1e5 cm/s.
        density_unit=density / (thermal * 1e5) ** 3 if recipe.density_unit == "thermal" else np.ones(n),
    )


def _grid(recipe: DistributionRecipe) -> np.ndarray:
    """Points of all planes and layers in units of the speed axis: shape (planes, layers, rows, columns, 3)."""
    pixel = 2 * recipe.speed_max / recipe.pixels
    axis = (np.arange(recipe.pixels) + 0.5) * pixel - recipe.speed_max
    layers = np.arange(-recipe.depth, recipe.depth + 1) * pixel
    grid = np.empty((len(recipe.planes), len(layers), recipe.pixels, recipe.pixels, 3), np.float32)
    for points, plane in zip(grid, recipe.planes, strict=True):
        column, row, normal = _AXES[plane]
        points[..., column], points[..., row] = axis[None, None, :], axis[None, :, None]
        points[..., normal] = layers[:, None, None]
    return grid


def _planes(
    measured: Distributions, rows: np.ndarray, placement: Placement, grid: np.ndarray, recipe: DistributionRecipe
) -> np.ndarray:
    """Mean over the layers of each plane, of what was measured; NaN where nothing was."""
    points = np.ascontiguousarray(grid.reshape(-1, 3).T)
    found = np.empty((len(rows), *grid.shape[:-1]), np.float32)
    for place, i in enumerate(rows):
        turned = (placement.unit[i] * placement.axes[i].T).astype(np.float32)
        # Not by @: the threads of BLAS and those here would wait for each other, for a hundred times as long.
        velocity = np.einsum("ij,jn->in", turned, points)
        velocity += placement.center[i].astype(np.float32)[:, None]
        found[place] = _look_up(measured, i, velocity).reshape(grid.shape[:-1])
    good = found >= 0  # False for NaN
    count = good.sum(axis=2, dtype=np.int16)
    total = np.where(good, found, np.float32(0)).sum(axis=2)
    mean = total / np.maximum(count, np.float32(1)) / placement.density_unit[rows, None, None, None].astype(np.float32)
    return np.where(count > 0, mean, np.float32(np.nan))


def _look_up(measured: Distributions, i: int, velocity: np.ndarray) -> np.ndarray:
    """Density of sample i in the bin that each velocity (3, m) falls in; NaN beyond the energies."""
    vx, vy, vz = velocity
    speed = np.sqrt(vx * vx + vy * vy + vz * vz)
    np.maximum(speed, np.finfo(np.float32).tiny, out=speed)
    bins = nearest_azimuth(measured.azimuth[i], np.degrees(np.arctan2(-vy, -vx)))  # of the look direction
    bins *= measured.polar.shape[1]
    bins += nearest_polar(measured.polar[i], np.degrees(np.arccos(-vz / speed)))
    energy, reached = nearest_energy(measured.energy_ev[i], speed, measured.species)
    bins *= measured.energy_ev.shape[1]
    bins += energy
    return np.where(reached, measured.density[i].ravel().take(bins), np.float32(np.nan))


def nearest_azimuth(table: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """Sector (int32) of the nearest azimuth, for angles from -180 to 180 degrees."""
    step = 360 / len(table)
    turned = (table - table[0]) % 360
    if np.abs(turned - np.arange(len(table)) * step).max() < 0.01 * step and len(table) % 2 == 0:
        # Even sectors, as FPI's: rounding is five times as fast as searching.
        sectors = np.rint((angle - np.float32(table[0])) * np.float32(1 / step)).astype(np.int32)
        return sectors % len(table)
    order = np.argsort(table % 360).astype(np.int32)
    angles = table[order] % 360
    # Midpoints between neighbors; the one beyond the last closes the circle and may lie past 360 degrees.
    middles = np.append((angles[1:] + angles[:-1]) / 2, (angles[-1] + angles[0] + 360) / 2)
    return np.append(order, order[0])[np.searchsorted(middles, (angle - middles[-1]) % 360 + middles[-1] - 360)]


def nearest_polar(table: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """Bin (int32) of the nearest polar angle, for angles from 0 to 180 degrees.

    The plane z = 0 is the edge of two of FPI's bins. An edge belongs to the bin of the smaller angle, as in pyspedas.
    """
    step = 180 / len(table)
    if np.abs(table - (np.arange(len(table)) + 0.5) * step).max() < 0.01 * step:
        return np.clip(np.ceil(angle * np.float32(1 / step)).astype(np.int32) - 1, 0, len(table) - 1)
    order = np.argsort(table).astype(np.int32)
    return order[np.searchsorted((table[order][1:] + table[order][:-1]) / 2, angle)]


def nearest_energy(table: np.ndarray, speed: np.ndarray, species: str) -> tuple[np.ndarray, np.ndarray]:
    """Bin (int32) of the nearest energy on the logarithmic axis, and whether the table reaches so far.

    A fine table of logarithmic steps replaces a search, which would take ten times as long; it puts the edges of
    the bins right to a few parts in ten thousand of the speed.
    """
    lowest, highest, steps = _energy_steps(table.tobytes(), species)
    position = np.log(speed)
    reached = (position >= lowest) & (position <= highest)
    position -= lowest
    position *= np.float32(len(steps) / (highest - lowest))
    return steps.take(position.astype(np.int32), mode="clip"), reached


@lru_cache(maxsize=256)
def _energy_steps(table: bytes, species: str) -> tuple[np.float32, np.float32, np.ndarray]:
    """Lowest and highest logarithm of speed that an energy table reaches, and the bin of each fine step between."""
    logarithm = np.log(speed_of(np.frombuffer(table), species))
    middles = (logarithm[1:] + logarithm[:-1]) / 2
    lowest, highest = 2 * logarithm[0] - middles[0], 2 * logarithm[-1] - middles[-1]
    steps = lowest + (np.arange(_ENERGY_STEPS) + 0.5) / _ENERGY_STEPS * (highest - lowest)
    return np.float32(lowest), np.float32(highest), np.searchsorted(middles, steps).astype(np.int32)


def _logarithmic(images: np.ndarray, recipe: DistributionRecipe) -> np.ndarray:
    from scipy.ndimage import gaussian_filter

    missing = np.isnan(images)
    if recipe.blur > 0:
        sigma = (0, 0, recipe.blur, recipe.blur)
        filled = gaussian_filter(np.where(missing, 0, images), sigma, mode="nearest")
        weight = gaussian_filter((~missing).astype(np.float32), sigma, mode="nearest")
        images = filled / np.maximum(weight, np.finfo(np.float32).tiny)
    decades = np.log10(recipe.ceiling / recipe.floor)
    scaled = np.log10(np.clip(images, recipe.floor, recipe.ceiling) / recipe.floor) / decades
    return np.where(missing, np.nan, scaled).astype(np.float32)


def _agyrotropy(scaled: np.ndarray, recipe: DistributionRecipe) -> np.ndarray:
    """The perp1-perp2 plane less its mean over rings around the field: shape (n, pixels, pixels)."""
    plane = scaled[:, recipe.planes.index("perp1-perp2")].reshape(len(scaled), -1)
    axis = np.arange(recipe.pixels) + 0.5 - recipe.pixels / 2
    ring = np.hypot(axis[:, None], axis).astype(int).ravel()
    order, starts = np.argsort(ring, kind="stable"), np.append(0, np.cumsum(np.bincount(ring))[:-1])
    good = np.isfinite(plane)
    total = np.add.reduceat(np.where(good, plane, 0)[:, order], starts, axis=1)
    mean = total / np.maximum(np.add.reduceat(good[:, order], starts, axis=1, dtype=np.float32), 1)
    return (plane - mean[:, ring]).reshape(len(scaled), recipe.pixels, recipe.pixels)


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
    """Cut distributions along the planes of a recipe in km/s, such as `physical_recipe` makes."""
    n, pixels = len(measured), recipe.pixels
    density = np.full((n, len(recipe.planes), pixels, pixels), np.nan, np.float32)
    axes, center = np.full((n, 3, 3), np.nan), np.full((n, 3), np.nan)

    def keep(rows: np.ndarray, planes: np.ndarray, placement: Placement) -> None:
        density[rows], axes[rows], center[rows] = planes, placement.axes, placement.center

    each_block(measured, recipe, keep)
    return Slices(density, axes, center)


def physical_recipe(recipe: DistributionRecipe, half_width: float, pixels: int) -> DistributionRecipe:
    """Return the recipe of the same planes in km/s and s^3 cm^-6, not smoothed; they stay as thick."""
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
