"""Velocity distributions as they were measured, their moments, and the axes of field and flow.

 perp2 = b x perp1
   |                 par    along the magnetic field
   |                 perp1  along the part of the bulk velocity across the field
   +------ perp1     perp2  along B x V
  /
par (toward you)    These are the axes of pyspedas's slice rotations: 'bv' shows par to the right and perp1
                     upward, 'be' par and perp2, 'perp' perp1 and perp2.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import VariableError
from .tables import check_azimuth, check_energies_ev, check_polar, fitting_table

ELECTRON_VOLT = 1.602176634e-19  # J
MASS_KG = {"ion": 1.67262192e-27, "electron": 9.1093837e-31, "helium": 6.6455e-27, "oxygen": 2.65593e-26}
"""Of a proton, an electron, He+ and O+."""

# A bulk velocity within a thousandth of the field's direction does not define perp1.
_LEAST_ACROSS = 1e-3


@dataclass(frozen=True)
class Distributions:
    """Measured distributions with what is needed to turn them.

    Attributes
    ----------
    density : numpy.ndarray, shape (n, azimuth, polar, energy)
        Phase space density, s^3 cm^-6; NaN or negative where nothing was measured.
    azimuth, polar : numpy.ndarray, shape (n, azimuth), (n, polar)
        Look directions, degrees: azimuth from x toward y, polar from z. Particles fly the other way.
    energy_ev : numpy.ndarray, shape (n, energy)
        Ascending, eV.
    species : {'ion', 'electron', 'helium', 'oxygen'}
        'ion' means protons.
    field : numpy.ndarray or None, shape (n, 3)
        Magnetic field in the axes of the angles, any unit; NaN where it is not known.
    velocity : numpy.ndarray or None, shape (n, 3)
        Bulk velocity of the particles in the axes of the angles, km/s; NaN where it is not known. None: that of the
        distribution itself.
    error : numpy.ndarray or None, shape of density
        Standard deviation of the density by counting.
    flags : numpy.ndarray or None, shape (n,)
        Error flags of the instrument, bits.
    """

    density: np.ndarray
    azimuth: np.ndarray
    polar: np.ndarray
    energy_ev: np.ndarray
    species: str = "ion"
    field: np.ndarray | None = None
    velocity: np.ndarray | None = None
    error: np.ndarray | None = None
    flags: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.density)

    def part(self, rows: slice | np.ndarray) -> Distributions:
        """Some of the samples."""
        optional = (self.field, self.velocity, self.error, self.flags)
        return Distributions(
            self.density[rows],
            self.azimuth[rows],
            self.polar[rows],
            self.energy_ev[rows],
            self.species,
            *(None if values is None else values[rows] for values in optional),
        )


@dataclass(frozen=True)
class Moments:
    """Number density (n,), cm^-3; bulk velocity (n, 3), km/s; a third of the trace of the temperature (n,), eV."""

    density: np.ndarray
    velocity: np.ndarray
    temperature: np.ndarray

    def thermal_speed(self, species: str) -> np.ndarray:
        """sqrt(2 k T / m), km/s."""
        return speed_of(np.maximum(self.temperature, 0), species)


def distributions(
    density: np.ndarray,
    azimuth: np.ndarray,
    polar: np.ndarray,
    energy_ev: np.ndarray,
    species: str = "ion",
    **companions: np.ndarray | None,
) -> Distributions:
    """Check arrays and put them together; tables may be given once for all samples.

    `companions` are ``field``, ``velocity``, ``error`` and ``flags``. VariableError if shapes do not fit, or tables
    hold values that cannot be angles or energies.
    """
    if density.ndim != 4:
        remedy = "Give (time, azimuth, polar, energy), as pyspedas.projects.mms.fpi leaves it."
        raise VariableError("distribution", f"found the shape {density.shape}", remedy)
    given = {"azimuth": azimuth, "polar": polar, "energy": energy_ev}
    tables = [_table(name, table, density, axis + 1) for axis, (name, table) in enumerate(given.items())]
    check_azimuth("azimuth table", tables[0])
    check_polar("polar table", tables[1])
    check_energies_ev("energy table", tables[2])
    shapes = {
        "field": (len(density), 3),
        "velocity": (len(density), 3),
        "error": density.shape,
        "flags": density.shape[:1],
    }
    for name, values in companions.items():
        if values is not None and values.shape != shapes[name]:
            raise VariableError(name, f"found the shape {values.shape}", f"Give the shape {shapes[name]}.")
    return Distributions(density, *tables, species, **companions)


def speed_of(energy_ev: np.ndarray, species: str) -> np.ndarray:
    """Speed in km/s of a particle of this energy (not relativistic, as FPI's own processing)."""
    return np.sqrt(2 * np.asarray(energy_ev, np.float64) * ELECTRON_VOLT / MASS_KG[species]) / 1e3


def moments(measured: Distributions, energy_min_ev: float = 0.0) -> Moments:
    """Density, bulk velocity and temperature by summing over the bins; NaN where the density is zero.

    A bin weighs v^2 dv sin(polar) dpolar dazimuth; dv reaches to the middles between neighboring energies (on the
    logarithmic axis). What was not measured counts as empty; bins below `energy_min_ev` are left out (photoelectrons).
    """
    density = np.where(measured.density > 0, measured.density, 0).astype(np.float32, copy=False)
    polar, azimuth = np.radians(measured.polar[0]), np.radians(measured.azimuth)
    speed, width = _speeds(measured, energy_min_ev)
    solid = np.sin(polar) * np.gradient(polar) * 2 * np.pi / measured.azimuth.shape[1]
    # Sums over the polar angle with the weights of 1, of the components across the axis and along it. The polar table
    # is one for all samples on FPI; elsewhere that of the first sample is used for all.
    flux, across, along = (np.einsum("tape,p->tae", density, solid * w) for w in (1, np.sin(polar), np.cos(polar)))
    weight = speed**2 * width * 1e15  # km^3/s^3 to cm^3/s^3
    number = (flux.sum(axis=1) * weight).sum(axis=1)
    second = (flux.sum(axis=1) * weight * speed**2).sum(axis=1)
    first = [np.einsum("tae,ta,te->t", across, trig(azimuth), weight * speed) for trig in (np.cos, np.sin)]
    first.append((along.sum(axis=1) * weight * speed).sum(axis=1))
    filled = np.where(number > 0, number, np.nan)
    velocity = -np.stack(first, axis=1) / filled[:, None]  # particles fly against the look direction
    mean_square = second / filled - (velocity**2).sum(axis=1)
    temperature = MASS_KG[measured.species] * mean_square * 1e6 / 3 / ELECTRON_VOLT
    return Moments(number, velocity, temperature)


def _speeds(measured: Distributions, energy_min_ev: float) -> tuple[np.ndarray, np.ndarray]:
    """Speed of each energy bin and its width, km/s, shape (n, energy); width 0 below the least energy."""
    logarithm = np.log(measured.energy_ev)
    middles = (logarithm[:, 1:] + logarithm[:, :-1]) / 2
    lowest, highest = 2 * logarithm[:, :1] - middles[:, :1], 2 * logarithm[:, -1:] - middles[:, -1:]
    edges = speed_of(np.exp(np.hstack([lowest, middles, highest])), measured.species)
    width = np.where(measured.energy_ev >= energy_min_ev, np.diff(edges, axis=1), 0)
    return speed_of(measured.energy_ev, measured.species), width


def _table(name: str, table: np.ndarray, density: np.ndarray, axis: int) -> np.ndarray:
    """One row of a table for every sample."""
    n, size = len(density), density.shape[axis]
    table = fitting_table(f"{name} table", table, n, size)
    if not np.isfinite(table).all():
        raise VariableError(f"{name} table", "found values that are not finite", "Load the variable again.")
    return np.broadcast_to(table, (n, size))


def plasma_axes(field: np.ndarray, velocity: np.ndarray) -> np.ndarray:
    """Unit vectors par, perp1, perp2 of each sample: (n, 3, 3), from field and velocity (n, 3) in one system of axes.

    NaN where the field is zero or either is not known. Where the velocity is along the field, perp1 is the direction
    across the field nearest to the x axis (or to y, where the field is along x).
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        par = field / np.linalg.norm(field, axis=1, keepdims=True)
        across = velocity - (velocity * par).sum(axis=1, keepdims=True) * par
        size = np.linalg.norm(across, axis=1)
        unclear = size <= _LEAST_ACROSS * np.linalg.norm(velocity, axis=1)
        along_x = np.abs(par[:, 0]) > 0.9
        other = np.where(along_x[:, None], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0])
        other = other - (other * par).sum(axis=1, keepdims=True) * par
        across = np.where(unclear[:, None], other, across)
        perp1 = across / np.linalg.norm(across, axis=1, keepdims=True)
    axes = np.stack([par, perp1, np.cross(par, perp1)], axis=1)
    known = np.isfinite(field).all(axis=1) & np.isfinite(velocity).all(axis=1) & np.isfinite(axes).all(axis=(1, 2))
    return np.where(known[:, None, None], axes, np.nan)


def at_times(values: np.ndarray, times: np.ndarray, wanted: np.ndarray, gap: np.timedelta64) -> np.ndarray:
    """Vectors (m, k) interpolated linearly to other times: (n, k); NaN inside gaps and beyond the ends.

    Rows that are not finite are passed over, and so widen the gap. `gap` is the widest distance between two neighboring
    rows that is bridged; at the ends, half of it is allowed for.
    """
    known = np.isfinite(values).all(axis=1)
    values, times = values[known].astype(np.float64), times[known]
    if len(times) == 0:
        return np.full((len(wanted), values.shape[1]), np.nan)
    origin = times[0]
    here, there = ((t - origin).astype(np.int64).astype(np.float64) for t in (wanted, times))
    result = np.stack([np.interp(here, there, column) for column in values.T], axis=1)
    after = np.clip(np.searchsorted(times, wanted), 1, max(len(times) - 1, 1))
    width = np.diff(times, append=times[-1:])[after - 1] if len(times) > 1 else np.zeros(len(wanted), "timedelta64[ns]")
    outside = (wanted < times[0] - gap // 2) | (wanted > times[-1] + gap // 2)
    on_a_row = np.isin(wanted, times)
    return np.where((outside | ((width > gap) & ~on_a_row))[:, None], np.nan, result)
