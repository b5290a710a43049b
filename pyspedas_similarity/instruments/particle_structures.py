"""Distributions from the particle structures of pyspedas, which its ``..._get_dist`` functions return.

A structure is a dictionary with ``data``, ``bins``, ``energy``, ``phi`` and ``theta`` on (energy, azimuth, anode):
angles of each bin may depend on all three. Images need one table for each axis:

    phi (energy, azimuth, anode)    ->  azimuths, even steps; where bins differ, each takes its nearest measured one
    theta (anode)                   ->  polar angles, ascending; anodes at one polar angle are one bin
    energy (energy)                 ->  ascending; energies measured twice are averaged

phi and theta are azimuth and latitude of the particles' flight, as the routines of pyspedas for moments and slices take
them; tables here are those of look directions, which are opposite.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import LoadError, VariableError
from ..imaging.plasma import ELECTRON_VOLT, MASS_KG
from ..tplot import Variable
from .asi_files import to_times

_ARRAYS = ("data", "bins", "energy", "phi", "theta")
_NEEDED = frozenset((*_ARRAYS, "mass", "charge", "units_name"))
# Masses in pyspedas are rounded, and of ions whole multiples of a proton's.
_MASS_TOLERANCE = 0.1
# Anodes are at one polar angle, and bins at one azimuth, if they differ by less, degrees.
_SAME_POLAR, _SAME_AZIMUTH = 1.0, 1e-3
_SAME_ENERGY = 1e-3
# Azimuths of the even grid in each sector: a bin is then moved by a quarter of a sector at most.
_FINER = 2
_KM_TO_CM = 1e-30  # s^3 km^-6 to s^3 cm^-6
_REMEDY = "Give what a function such as pyspedas.projects.mms.mms_get_fpi_dist returns."


def are_particle_structures(data: Any) -> bool:
    """Return True for a particle structure with a time axis, or a sequence of those of single times."""
    if isinstance(data, Mapping):
        return _NEEDED <= set(data)
    return isinstance(data, (list, tuple)) and bool(data) and all(are_particle_structures(one) for one in data)


def structures_of(get_dist: Callable[..., Any], name: str, **keywords: Any) -> Any:
    """Call a function of pyspedas that makes particle structures of a tplot variable; LoadError if it makes none."""
    try:
        found = get_dist(name, **keywords)
    except Exception as error:  # values that are wrong lead these functions to nearly every exception there is
        reason = f"{get_dist.__name__} of pyspedas fails ({type(error).__name__}: {error})"
        raise LoadError(name, reason, "See whether pyspedas makes slices of it.") from error
    if not are_particle_structures(found):
        raise LoadError(name, f"{get_dist.__name__} of pyspedas makes no distribution of it", "See what it logged.")
    return found


def from_particle_structures(structures: Mapping[str, Any] | Sequence[Mapping[str, Any]], name: str) -> Variable:
    """Make a distribution of particle structures.

    Parameters
    ----------
    structures : list of dict, or dict
        One for each time, as of MMS and Cluster, or one with time as the last axis, as of ERG. Units: 'df_cm', 'df_km',
        'psd', or what pyspedas converts to 'df_cm'.
    name : str
        Of the variable.

    Returns
    -------
    Variable
        Phase space density, s^3 cm^-6, float32 (time, azimuth, polar, energy), with look directions in degrees in v1
        and v2 and energies in eV in v3; NaN where ``bins`` is 0 and where nothing was measured. Energies that a sample
        lacks are put above its highest one, with NaN. ``data_att`` states the species: 'ion' (protons), 'electron',
        'helium' or 'oxygen'. Times are the starts of the samples, to the microsecond.

    Raises
    ------
    VariableError
        If these are no structures, have no polar angles, unknown units or particles, tables that are no table of an
        axis, or change their size.
    """
    if not are_particle_structures(structures):
        raise VariableError(name, "these are no particle structures", _REMEDY)
    parts = [structures] if isinstance(structures, Mapping) else structures
    samples = [one for part in parts for one in _samples(_in_density(part, name), name)]
    if not samples:
        raise VariableError(name, "there is no sample in the particle structures", _REMEDY)
    geometries = _geometries(samples, name)
    if len({(one["data"].shape, grid.bins.shape) for one, grid in zip(samples, geometries, strict=True)}) > 1:
        raise VariableError(name, "its structures change in size", "Give those of one mode of the instrument.")
    values, energies = zip(*map(_by_table, samples, geometries), strict=True)
    tables = {"v1": [grid.azimuth for grid in geometries], "v2": [grid.polar for grid in geometries], "v3": energies}
    about = {key: str(parts[0].get(key)) for key in ("project_name", "spacecraft", "data_name")}
    data_att = {"units": "s^3/cm^6", "coord_sys": "", "species": _species(parts[0], name)}
    return Variable(
        name,
        to_times(np.array([one["time"] for one in samples])),
        np.stack(values),
        {key: _table(rows) for key, rows in tables.items()},
        {"data_att": data_att, "particle_structures": about},
    )


@dataclass(frozen=True, eq=False)
class _Geometry:
    """Look directions of a structure, in degrees, from its `phi` and `theta`, (energy, azimuth, anode).

    `bins`, (energy, azimuth, polar), are numbers of the bin (azimuth, anode) of the structure that each direction is
    in; -1 where there is none.
    """

    phi: np.ndarray
    theta: np.ndarray
    azimuth: np.ndarray
    polar: np.ndarray
    bins: np.ndarray

    @classmethod
    def of(cls, sample: Mapping[str, Any], name: str) -> _Geometry:
        phi, theta = sample["phi"], sample["theta"]
        if np.abs(theta - theta[:1, :1]).max() > _SAME_POLAR:
            found = "found polar angles that depend on energy or azimuth"
            raise VariableError(name, found, "Give structures in which theta depends on the anode only.")
        look, polar = (phi + 180) % 360, 90 + theta[0, 0]
        order = np.argsort(polar, kind="stable")
        groups = np.split(order, np.flatnonzero(np.diff(polar[order]) > _SAME_POLAR) + 1)
        if len(groups) < 2:
            found = f"all its bins have the polar angle {polar[0]:g} degrees: it is no 3-D distribution"
            raise VariableError(name, found, "Search the loaded flux with SpectrumRecipe(direction='look').")
        middles = np.array([polar[group].mean() for group in groups])
        if len(groups) == len(polar) and _apart(look, look[:1, :, :1]).max() < _SAME_AZIMUTH:
            numbers = np.arange(look[0].size).reshape(look.shape[1:])[:, order]
            return cls(phi, theta, look[0, :, 0], middles, np.broadcast_to(numbers, look.shape))
        azimuth, bins = _even(look, _widths(sample), groups)
        return cls(phi, theta, azimuth, middles, bins)

    def belongs_to(self, sample: Mapping[str, Any]) -> bool:
        """Return True if the angles of a sample are these."""
        return np.array_equal(self.phi, sample["phi"]) and np.array_equal(self.theta, sample["theta"])


def _geometries(samples: Sequence[dict[str, Any]], name: str) -> list[_Geometry]:
    """Return the geometry of each sample. One whose angles are not known is unmeasured, in the geometry of another."""
    known = [bool(np.isfinite(one["phi"]).all() and np.isfinite(one["theta"]).all()) for one in samples]
    if not any(known):
        raise VariableError(name, "found no angles that are finite", "Load it again.")
    geometry = _Geometry.of(samples[known.index(True)], name)
    found = []
    for one, good in zip(samples, known, strict=True):
        if not good:
            one["bins"] = np.zeros_like(one["bins"])
        elif not geometry.belongs_to(one):
            geometry = _Geometry.of(one, name)
        found.append(geometry)
    return found


def _even(look: np.ndarray, widths: np.ndarray, groups: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return even azimuths, and the number of the nearest bin there: (energy, azimuth, polar); -1 beyond its width."""
    count = _FINER * round(360 / np.median(widths))
    azimuth = (np.arange(count) + 0.5) * 360 / count
    numbers = np.arange(look[0].size).reshape(look.shape[1:])
    bins = np.full((len(look), len(azimuth), len(groups)), -1)
    for place, anodes in enumerate(groups):
        there, wide = (table[:, :, anodes].reshape(len(look), 1, -1) for table in (look, widths))
        distance = _apart(there, azimuth[:, None])
        nearest = distance.argmin(axis=2)
        reached = distance.min(axis=2) <= np.take_along_axis(wide[:, 0], nearest, axis=1)
        bins[..., place] = np.where(reached, numbers[:, anodes].ravel()[nearest], -1)
    return azimuth, bins


def _apart(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the angles between azimuths, 0 to 180 degrees."""
    return np.abs((first - second + 180) % 360 - 180)


def _widths(sample: Mapping[str, Any]) -> np.ndarray:
    """Width in azimuth of each bin, degrees: what the structure states, or that of all sectors of a turn."""
    phi = sample["phi"]
    stated = np.abs(np.broadcast_to(np.asarray(sample.get("dphi", 0.0), float), phi.shape))
    return np.where((stated > 0) & (stated <= 90), stated, 360 / phi.shape[1])


def _samples(structure: Mapping[str, Any], name: str) -> Iterator[dict[str, Any]]:
    """Yield the arrays (energy, azimuth, anode) of each time."""
    arrays = {key: np.asarray(structure[key]) for key in (*_ARRAYS, "dphi") if key in structure}
    times = np.asarray(structure["time"] if "time" in structure else structure["start_time"], float)
    shapes = {key: one.shape for key, one in arrays.items() if key != "dphi"}
    if len(set(shapes.values())) > 1 or arrays["data"].ndim != 3 + times.ndim:
        found = f"found arrays of the shapes {shapes}, not (energy, azimuth, anode) at each time"
        raise VariableError(name, found, "Search the loaded flux with a SpectrumRecipe.")
    if times.ndim == 0:
        yield {**arrays, "time": times}
        return
    for number, time in enumerate(times):
        yield {**{key: one[..., number] for key, one in arrays.items()}, "time": time}


def _by_table(sample: Mapping[str, Any], geometry: _Geometry) -> tuple[np.ndarray, np.ndarray]:
    """Return density, float32 (azimuth, polar, energy), and the energies of one sample."""
    measured = np.where(sample["bins"] != 0, sample["data"], np.nan)
    measured = measured.reshape(len(measured), -1)
    turned = np.take_along_axis(measured, geometry.bins.reshape(len(measured), -1).clip(0), axis=1)
    turned = np.where(geometry.bins < 0, np.nan, turned.reshape(geometry.bins.shape))
    density, energy = _by_energy(turned, sample["energy"][:, 0, 0], np.isfinite(measured).any(axis=1))
    return density.transpose(1, 2, 0).astype(np.float32), energy


def _by_energy(density: np.ndarray, energy: np.ndarray, measured: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sort by energy, with the mean of those measured twice and NaN at further energies for what was not measured.

    A sample without two energies has NaN in its table.
    """
    energies, found = np.full(len(energy), np.nan), np.full(density.shape, np.nan)
    good = np.flatnonzero(measured & (energy > 0) & np.isfinite(energy))
    order = good[np.argsort(energy[good], kind="stable")]
    groups = np.split(order, np.flatnonzero(np.diff(np.log(energy[order])) > _SAME_ENERGY) + 1)
    if len(order) == 0 or len(groups) < 2:
        return found, energies
    for place, group in enumerate(groups):
        energies[place] = energy[group].mean()
        found[place] = density[group[0]] if len(group) == 1 else _mean(density[group])
    steps = np.arange(1, len(energy) - len(groups) + 1)
    energies[len(groups) :] = (
        energies[len(groups) - 1] * (energies[len(groups) - 1] / energies[len(groups) - 2]) ** steps
    )
    return found, energies


def _mean(values: np.ndarray) -> np.ndarray:
    """Mean over the first axis of what is finite."""
    good = np.isfinite(values)
    count = good.sum(axis=0)
    total = np.where(good, values, 0).sum(axis=0)
    return np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)


def _in_density(structure: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return a structure in s^3 cm^-6."""
    units = str(structure["units_name"]).lower()
    if units == "df_cm":
        return structure
    if units in ("df_km", "psd"):
        return {**structure, "data": np.asarray(structure["data"]) * _KM_TO_CM}
    from pyspedas.projects.erg.satellite.erg.particle.erg_convert_flux_units import erg_convert_flux_units
    from pyspedas.projects.mms.particles.mms_convert_flux_units import mms_convert_flux_units

    convert = erg_convert_flux_units if structure.get("project_name") == "ERG" else mms_convert_flux_units
    known = units in ("flux", "eflux")
    try:
        converted = convert(structure, units="df_cm") if known else None
    except UnboundLocalError:  # that of ERG, for species it does not have
        converted = None
    if converted is None:
        found = f"found {structure['units_name']!r} of {structure.get('species')!r}, which pyspedas does not convert"
        raise VariableError(name, found, "Give structures in df_cm, df_km, flux or eflux.")
    return converted


def _species(structure: Mapping[str, Any], name: str) -> str:
    """Return the species with the mass (eV s^2 km^-2) and the sign of the charge of a structure."""
    mass, charge = float(structure["mass"]), float(structure["charge"])
    for species, kilograms in MASS_KG.items():
        same = abs(mass * ELECTRON_VOLT / 1e6 / kilograms - 1) < _MASS_TOLERANCE
        if same and (charge < 0) == (species == "electron"):
            return species
    found = f"found particles of {mass:g} eV s^2 km^-2 and charge {charge:g}"
    raise VariableError(name, found, f"Give one of {', '.join(MASS_KG)}.")


def _table(rows: Sequence[np.ndarray]) -> np.ndarray:
    """Return one row if all are the same, else all."""
    same = all(np.array_equal(one, rows[0]) for one in rows)
    return np.array(rows[0]) if same else np.stack(rows)
