"""Velocity distributions to images.

      v_y                      Angles of FPI say where an instrument looks. A particle seen in look direction
  look |  / velocity           (azimuth, polar) flies the other way: along azimuth + 180 degrees and
   dir |/                      180 degrees - polar. Velocities here are those of the particles.
-------+------- v_x
"""

from __future__ import annotations

import numpy as np

from ..errors import VariableError
from .recipe import DistributionRecipe

ELECTRON_VOLT = 1.602176634e-19  # J
MASS_KG = {"ion": 1.67262192e-27, "electron": 9.1093837e-31}
# The cube axis along which a plane is averaged.
_NORMAL_AXIS = {"xy": 2, "xz": 1, "yz": 0}


def distribution_images(
    density: np.ndarray, azimuth: np.ndarray, polar: np.ndarray, energy_ev: np.ndarray, recipe: DistributionRecipe
) -> np.ndarray:
    """Average planes of velocity space, on a logarithmic scale from 0 to 1.

    Parameters
    ----------
    density : numpy.ndarray, shape (n, azimuth, polar, energy)
        Phase space density, s^3 cm^-6; NaN or negative where nothing was measured.
    azimuth : numpy.ndarray, shape (azimuth,) or (n, azimuth)
        Look direction, degrees from x towards y.
    polar : numpy.ndarray, shape (polar,) or (n, polar)
        Look direction, degrees from z.
    energy_ev : numpy.ndarray, shape (energy,) or (n, energy)
        Ascending, eV.
    recipe : DistributionRecipe

    Returns
    -------
    numpy.ndarray of float32, shape (n, planes, pixels, pixels)
        NaN where no energy of the instrument reaches, and all NaN for a sample without any measured bin.

    Raises
    ------
    VariableError
        If a table does not fit the distributions or its values cannot be angles or energies.
    """
    tables = _tables(density, azimuth, polar, energy_ev)
    grid = _VelocityGrid(recipe)
    images = np.empty((len(density), *recipe.shape), np.float32)
    for i, sample in enumerate(density):
        bins, covered = grid.bins(*(table[i] for table in tables))
        images[i] = _planes(sample[bins], covered, recipe)
    return _logarithmic(images, recipe)


class _VelocityGrid:
    """The cells of the velocity cube and the instrument bins they fall in.

    A cell's look azimuth depends on (x, y) only and its energy on speed only; the tables repeat from sample to sample,
    so that each is looked up once.
    """

    def __init__(self, recipe: DistributionRecipe) -> None:
        edge = recipe.speed_max_km_s
        axis = (np.arange(recipe.pixels) + 0.5) / recipe.pixels * 2 * edge - edge
        vx, vy, vz = axis[:, None, None], axis[None, :, None], axis[None, None, :]
        speed = np.sqrt(vx**2 + vy**2 + vz**2)
        self._azimuth = np.degrees(np.arctan2(-vy, -vx)) % 360  # of the look direction
        self._polar = np.degrees(np.arccos(-vz / speed))
        self._energy = 0.5 * MASS_KG[recipe.species] * (speed * 1e3) ** 2 / ELECTRON_VOLT
        self._known: dict[tuple[str, bytes], tuple[np.ndarray, np.ndarray] | np.ndarray] = {}

    def bins(
        self, azimuth: np.ndarray, polar: np.ndarray, energy: np.ndarray
    ) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
        """Index of the nearest bin of every cell, and whether an energy bin covers the cell."""
        energy_bins, covered = self._look_up("energy", energy, self._nearest_energy)
        azimuth_bins = self._look_up("azimuth", azimuth, self._nearest_azimuth)
        polar_bins = self._look_up("polar", polar, self._nearest_polar)
        return (azimuth_bins, polar_bins, energy_bins), covered

    def _look_up(self, name, table, nearest):  # noqa: ANN001, ANN202 - a private cache in front of three methods
        key = (name, table.tobytes())
        if key not in self._known:
            if len(self._known) > 2000:  # a spinning instrument has hundreds of azimuth tables, not thousands
                self._known.clear()
            self._known[key] = nearest(table)
        return self._known[key]

    def _nearest_azimuth(self, table: np.ndarray) -> np.ndarray:
        order = np.argsort(table % 360)
        angles = table[order] % 360
        # Midpoints between neighbours; beyond the last one the circle closes on the first sector.
        middles = np.append((angles[1:] + angles[:-1]) / 2, (angles[-1] + angles[0] + 360) / 2)
        wrapped = np.where(self._azimuth < middles[-1] - 360, self._azimuth + 360, self._azimuth)
        return np.append(order, order[0])[np.searchsorted(middles, wrapped)]

    def _nearest_polar(self, table: np.ndarray) -> np.ndarray:
        order = np.argsort(table)
        angles = table[order]
        return order[np.searchsorted((angles[1:] + angles[:-1]) / 2, self._polar)]

    def _nearest_energy(self, table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        log_table, log_energy = np.log(table), np.log(self._energy)
        middles = (log_table[1:] + log_table[:-1]) / 2
        lowest, highest = 2 * log_table[0] - middles[0], 2 * log_table[-1] - middles[-1]
        return np.searchsorted(middles, log_energy), (log_energy >= lowest) & (log_energy <= highest)


def _planes(cube: np.ndarray, covered: np.ndarray, recipe: DistributionRecipe) -> np.ndarray:
    """Means of the measured cells along the cube axes; NaN where there is none."""
    measured = covered & (cube >= 0)  # False for NaN as well
    cube = np.where(measured, cube, 0)
    if not measured.any():
        return np.full(recipe.shape, np.nan)
    with np.errstate(invalid="ignore"):
        means = [cube.sum(axis) / measured.sum(axis) for axis in (_NORMAL_AXIS[plane] for plane in recipe.planes)]
    return np.stack([mean.T for mean in means])  # rows are the second axis of the plane


def _logarithmic(images: np.ndarray, recipe: DistributionRecipe) -> np.ndarray:
    from scipy.ndimage import gaussian_filter

    missing = np.isnan(images)
    if recipe.blur_pixels > 0:
        sigma = (0, 0, recipe.blur_pixels, recipe.blur_pixels)
        filled = gaussian_filter(np.where(missing, 0, images), sigma, mode="nearest")
        weight = gaussian_filter((~missing).astype(np.float32), sigma, mode="nearest")
        images = filled / np.maximum(weight, np.finfo(np.float32).tiny)
    decades = np.log10(recipe.ceiling / recipe.floor)
    scaled = np.log10(np.clip(images, recipe.floor, recipe.ceiling) / recipe.floor) / decades
    return np.where(missing, np.nan, scaled).astype(np.float32)


def _tables(
    density: np.ndarray, azimuth: np.ndarray, polar: np.ndarray, energy_ev: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The three tables, one row for every sample."""
    if density.ndim != 4:
        remedy = "Give (time, azimuth, polar, energy), as pyspedas.projects.mms.fpi leaves it."
        raise VariableError("distribution", f"found the shape {density.shape}", remedy)
    n = len(density)
    tables = []
    for name, table, size in zip(
        ("azimuth", "polar", "energy"), (azimuth, polar, energy_ev), density.shape[1:], strict=True
    ):
        table = np.asarray(table, np.float64)
        if table.shape not in ((size,), (n, size)):
            remedy = f"Give one value for each of the {size} bins, or for each sample and bin."
            raise VariableError(f"{name} table", f"found the shape {table.shape}", remedy)
        if not np.isfinite(table).all():
            raise VariableError(f"{name} table", "found values that are not finite", "Load the variable again.")
        tables.append(np.broadcast_to(table, (n, size)))
    energies = tables[2]
    if (energies <= 0).any() or (np.diff(energies, axis=1) <= 0).any():
        raise VariableError("energy table", "found energies that do not ascend from above 0", "Sort the energy axis.")
    return tuple(tables)
