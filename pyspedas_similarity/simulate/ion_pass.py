"""Ions of a long pass along the magnetopause, with a jet in every boundary crossing.

`magnetopause` is one crossing of a reconnection site on electron scales; this is a series of crossings over minutes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from ..errors import ArgumentError
from .plasma import Maxwellian, Plasma, frames_along, thermal_speed
from .timeline import Episode, draw_episodes, kind_at, presence

# Shortest and longest stay in each region, in seconds. With the longest, four jets still fit into 300 s.
STAY_S = {"magnetosheath": (12, 28), "boundary_layer": (4, 8), "magnetosphere": (12, 28), "jet": (3, 8)}
RAMP_S = 0.8
FIELD_NT = 40.0


@dataclass(frozen=True)
class Drifting:
    """A drifting bi-Maxwellian: cm^-3, km/s, eV along and across the unit vector `axis`."""

    density: float
    velocity: np.ndarray
    temperature_parallel: float
    temperature_perpendicular: float
    axis: np.ndarray


@dataclass(frozen=True)
class IonPass:
    """Episodes with their populations, and waves (rates per second and phases (4, 1)) that modulate all of them."""

    episodes: tuple[Episode, ...]
    populations: tuple[tuple[Drifting, ...], ...]
    rates: np.ndarray
    phases: np.ndarray

    @classmethod
    def draw(cls, duration_s: float, course: np.random.Generator, draws: np.random.Generator) -> IonPass:
        """Draw the order of regions from `course` and their populations from `draws`."""
        episodes = draw_episodes(crossings(course), STAY_S, duration_s, course)
        rates, phases = draws.uniform(0.3, 2.0, (4, 1)), draws.uniform(0, 2 * np.pi, (4, 1))
        return cls(episodes, tuple(tuple(REGIONS[episode.kind](draws)) for episode in episodes), rates, phases)

    def region(self, times_s: np.ndarray) -> np.ndarray:
        """Return the region (n,) str at times in seconds from the start."""
        return kind_at(self.episodes, presence(self.episodes, times_s, RAMP_S))

    def plasma(self, species: str, times_s: np.ndarray) -> Plasma:
        """Return the populations of all episodes, weighted by presence; raise ArgumentError for electrons."""
        if species != "ion":
            raise ArgumentError("instrument", f"found one for {species}s", "Use one for ions: the pass has only ions.")
        waves = np.sin(self.rates * times_s + self.phases)  # one for density, three for velocity
        shapes, density, velocity, frames = [], [], [], []
        for populations, part in zip(self.populations, presence(self.episodes, times_s, RAMP_S), strict=True):
            for one in populations:
                temperatures = (one.temperature_parallel, one.temperature_perpendicular)
                shapes.append(Maxwellian(*(thermal_speed(temperature, "ion") for temperature in temperatures)))
                density.append(one.density * np.where(part > 1e-7, part, 0) * (1 + 0.08 * waves[0]))
                velocity.append(one.velocity + 12.0 * waves[1:].T)
                frames.append(frames_along(one.axis, np.array([1.0, 0.0, 0.0])))
        spread = np.broadcast_to(np.array(frames)[:, None], (len(shapes), times_s.size, 3, 3))
        return Plasma(tuple(shapes), np.array(density), np.array(velocity), spread, "ion")

    def field(self, times_s: np.ndarray) -> np.ndarray:
        """Return the magnetic field (n, 3) nT, of constant strength along the mean axis of the populations.

        Where populations with different axes overlap, each is gyrotropic about its own axis.
        """
        axes = np.array([np.mean([one.axis for one in populations], axis=0) for populations in self.populations])
        direction = presence(self.episodes, times_s, RAMP_S).T @ axes
        return FIELD_NT * direction / np.linalg.norm(direction, axis=1, keepdims=True)


def crossings(rng: np.random.Generator) -> Iterator[str]:
    """Yield regions in order: back and forth across the boundary, with a jet in the layer at every crossing."""
    sides = ("magnetosheath", "magnetosphere")
    side = int(rng.integers(2))
    while True:
        yield from (sides[side], "boundary_layer", "jet", "boundary_layer")
        side = 1 - side


def _direction(rng: np.random.Generator, toward: tuple[float, float, float], spread: float) -> np.ndarray:
    vector = np.array(toward) + rng.normal(0.0, spread, 3)
    return vector / np.linalg.norm(vector)


def _magnetosheath(rng: np.random.Generator) -> list[Drifting]:
    flow = rng.uniform(80, 200) * _direction(rng, (-0.4, 0.6, 0.6), 0.3)
    parallel = rng.uniform(130, 300)
    density, perpendicular = rng.uniform(12, 35), parallel * rng.uniform(1, 1.6)
    return [Drifting(density, flow, parallel, perpendicular, _direction(rng, (0, 0, 1), 0.3))]


def _magnetosphere(rng: np.random.Generator) -> list[Drifting]:
    flow, parallel = rng.normal(0, 15, 3), rng.uniform(2000, 4500)
    density, perpendicular = rng.uniform(0.3, 1.0), parallel * rng.uniform(1, 1.3)
    return [Drifting(density, flow, parallel, perpendicular, _direction(rng, (0, 0, 1), 0.2))]


def _boundary_layer(rng: np.random.Generator) -> list[Drifting]:
    sheath, hot = _magnetosheath(rng)[0], _magnetosphere(rng)[0]
    part = rng.uniform(0.25, 0.6)
    parallel, perpendicular = sheath.temperature_parallel * 1.4, sheath.temperature_perpendicular * 1.3
    return [Drifting(part * sheath.density, 0.7 * sheath.velocity, parallel, perpendicular, sheath.axis), hot]


def _jet(rng: np.random.Generator) -> list[Drifting]:
    """Return two counter-streaming ion beams along the field, moving northward or southward with the outflow."""
    outflow = rng.uniform(300, 480) * _direction(rng, (0, 0, rng.choice([-1.0, 1.0])), 0.2)
    field = _direction(rng, (0.4, 0.0, 1.0), 0.3)
    density = rng.uniform(6, 16)
    first = rng.uniform(0.5, 0.8)  # share of the density; the beams balance, so that the bulk flow is the outflow
    relative = rng.uniform(250, 550) * rng.choice([-1.0, 1.0]) * field
    cold, warm = rng.uniform(90, 220), rng.uniform(250, 700)
    return [
        Drifting(density * first, outflow + (1 - first) * relative, cold, cold * rng.uniform(1, 1.8), field),
        Drifting(density * (1 - first), outflow - first * relative, warm, warm * rng.uniform(1, 1.4), field),
    ]


REGIONS: dict[str, Callable[[np.random.Generator], list[Drifting]]] = {
    "magnetosheath": _magnetosheath,
    "boundary_layer": _boundary_layer,
    "magnetosphere": _magnetosphere,
    "jet": _jet,
}
