"""Ion populations near the magnetopause: sums of drifting bi-Maxwellians, drawn region by region, and their moments."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .timeline import Episode

# Energy of a proton at 1 km/s, m_p / 2e in CODATA 2018 values.
PROTON_EV = 5.219852e-3


@dataclass(frozen=True)
class Maxwellian:
    """A drifting bi-Maxwellian: cm^-3, km/s, eV along and across the unit vector `axis`."""

    density: float
    velocity: np.ndarray
    temperature_parallel: float
    temperature_perpendicular: float
    axis: np.ndarray


@dataclass(frozen=True)
class Plasma:
    """k populations at n times: `density` (k, n) cm^-3, `velocity` (k, n, 3) km/s, and what does not change."""

    populations: tuple[Maxwellian, ...]
    density: np.ndarray
    velocity: np.ndarray


def plasma_along(
    episodes: tuple[Episode, ...], share: np.ndarray, times_s: np.ndarray, rng: np.random.Generator
) -> Plasma:
    """Draw the populations of every episode and mix them by its `share` (k episodes, n); waves move them all."""
    rates, phases = rng.uniform(0.3, 2.0, (4, 1)), rng.uniform(0, 2 * np.pi, (4, 1))
    waves = np.sin(rates * times_s + phases)  # one for density, three for velocity
    populations, density, velocity = [], [], []
    for episode, part in zip(episodes, share, strict=True):
        for population in REGIONS[episode.kind](rng):
            populations.append(population)
            density.append(population.density * part * (1 + 0.08 * waves[0]))
            velocity.append(population.velocity + 12.0 * waves[1:].T)
    return Plasma(tuple(populations), np.array(density), np.array(velocity))


def _direction(rng: np.random.Generator, towards: tuple[float, float, float], spread: float) -> np.ndarray:
    vector = np.array(towards) + rng.normal(0.0, spread, 3)
    return vector / np.linalg.norm(vector)


def _magnetosheath(rng: np.random.Generator) -> list[Maxwellian]:
    flow = rng.uniform(80, 200) * _direction(rng, (-0.4, 0.6, 0.6), 0.3)
    parallel = rng.uniform(130, 300)
    return [
        Maxwellian(rng.uniform(12, 35), flow, parallel, parallel * rng.uniform(1, 1.6), _direction(rng, (0, 0, 1), 0.3))
    ]


def _magnetosphere(rng: np.random.Generator) -> list[Maxwellian]:
    flow, temperature = rng.normal(0, 15, 3), rng.uniform(2000, 4500)
    return [
        Maxwellian(
            rng.uniform(0.3, 1.0), flow, temperature, temperature * rng.uniform(1, 1.3), _direction(rng, (0, 0, 1), 0.2)
        )
    ]


def _boundary_layer(rng: np.random.Generator) -> list[Maxwellian]:
    sheath, hot = _magnetosheath(rng)[0], _magnetosphere(rng)[0]
    part = rng.uniform(0.25, 0.6)
    parallel, perpendicular = sheath.temperature_parallel * 1.4, sheath.temperature_perpendicular * 1.3
    return [Maxwellian(part * sheath.density, 0.7 * sheath.velocity, parallel, perpendicular, sheath.axis), hot]


def _jet(rng: np.random.Generator) -> list[Maxwellian]:
    """Two ion beams that pass through each other along the field, carried northward or southward by the outflow."""
    outflow = rng.uniform(300, 480) * _direction(rng, (0, 0, rng.choice([-1.0, 1.0])), 0.2)
    field = _direction(rng, (0.4, 0.0, 1.0), 0.3)
    density = rng.uniform(6, 16)
    first = rng.uniform(0.5, 0.8)  # share of the density; the beams balance, so that the bulk flow is the outflow
    relative = rng.uniform(250, 550) * rng.choice([-1.0, 1.0]) * field
    cold, warm = rng.uniform(90, 220), rng.uniform(250, 700)
    return [
        Maxwellian(density * first, outflow + (1 - first) * relative, cold, cold * rng.uniform(1, 1.8), field),
        Maxwellian(density * (1 - first), outflow - first * relative, warm, warm * rng.uniform(1, 1.4), field),
    ]


REGIONS: dict[str, Callable[[np.random.Generator], list[Maxwellian]]] = {
    "magnetosheath": _magnetosheath,
    "boundary_layer": _boundary_layer,
    "magnetosphere": _magnetosphere,
    "jet": _jet,
}


def true_moments(plasma: Plasma) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Density (n,) cm^-3, bulk velocity (n, 3) km/s and temperature (n,) eV (a third of the pressure's trace)."""
    density = plasma.density.sum(axis=0)
    velocity = (plasma.density[..., None] * plasma.velocity).sum(axis=0) / density[:, None]
    own = np.array([(p.temperature_parallel + 2 * p.temperature_perpendicular) / 3 for p in plasma.populations])
    drift = 2 * PROTON_EV / 3 * ((plasma.velocity - velocity) ** 2).sum(axis=-1)
    return density, velocity, (plasma.density * (own[:, None] + drift)).sum(axis=0) / density


def phase_space_density(
    plasma: Plasma, rows: slice, azimuth: np.ndarray, polar: np.ndarray, energy_ev: np.ndarray
) -> np.ndarray:
    """Phase space density at the centre of every bin.

    Parameters
    ----------
    plasma : Plasma
    rows : slice
        The m of its times that are meant.
    azimuth, polar, energy_ev : numpy.ndarray, shapes (m, 32), (16,), (m, 32)
        Look directions in degrees, energies in eV.

    Returns
    -------
    numpy.ndarray of float32, shape (m, 32, 16, 32)
        In s^3 cm^-6.
    """
    phi, theta = np.radians(azimuth)[:, :, None], np.radians(polar)
    look = np.stack(np.broadcast_arrays(np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)), -1)
    moving = -look  # an ion that comes from where the sector looks moves the other way
    speed = np.sqrt(energy_ev / PROTON_EV).astype(np.float32)[:, None, None, :]
    total = np.zeros((*moving.shape[:3], energy_ev.shape[1]), np.float32)
    for population, density, velocity in zip(plasma.populations, plasma.density, plasma.velocity, strict=True):
        if density[rows].max() > 1e-6:
            total += _maxwellian(population, density[rows], velocity[rows], moving, speed)
    return total


def _maxwellian(
    population: Maxwellian, density: np.ndarray, drift: np.ndarray, moving: np.ndarray, speed: np.ndarray
) -> np.ndarray:
    """One population at `speed` (m, 1, 1, 32) km/s along `moving` (m, 32, 16, 3); (m, 32, 16, 32) s^3 cm^-6."""
    parallel = population.temperature_parallel / (2 * PROTON_EV)  # thermal speed squared, (km/s)^2
    perpendicular = population.temperature_perpendicular / (2 * PROTON_EV)
    along_drift = (moving @ drift[:, None, :, None]).astype(np.float32)
    along_axis = (moving @ population.axis)[..., None].astype(np.float32)
    drift_squared = (drift**2).sum(axis=1)[:, None, None, None].astype(np.float32)
    drift_along_axis = (drift @ population.axis)[:, None, None, None].astype(np.float32)
    exponent = (speed * (2 * along_drift - speed) - drift_squared) / np.float32(2 * perpendicular)
    if parallel != perpendicular:
        exponent -= (speed * along_axis - drift_along_axis) ** 2 * np.float32(0.5 / parallel - 0.5 / perpendicular)
    peak = density / ((2 * np.pi) ** 1.5 * parallel**0.5 * perpendicular * 1e15)  # 1e15 (cm/km)^3
    return np.exp(exponent, out=exponent) * peak.astype(np.float32)[:, None, None, None]
