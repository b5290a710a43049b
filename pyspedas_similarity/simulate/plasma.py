"""Plasma as a sum of populations: velocity distribution functions, moments, and phase space density in bins.

Each shape is defined in its own frame, with velocities relative to its origin::

        perp1 (toward which a crescent lies)
          |    w
          |   /        parallel: along b, signed
          |  /         squared:  |w|^2
          | /          perp1:    along perp1, signed
          |/______ b
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

# Energy in eV of a particle at 1 km/s, m / 2e with CODATA 2018 values.
ENERGY_AT_1_KM_S = {"ion": 5.219852e-3, "electron": 2.842815e-6}
_NODES = 80  # quadrature nodes per axis; doubling them changes no moment by more than 1e-4


class Shape:
    """Velocity distribution function without normalization; ``uses_perp1`` is True if it is not gyrotropic.

    A shape without `spread` (standard deviation, km/s) has to define `reach`.
    """

    spread: float
    uses_perp1 = False

    @property
    def reach(self) -> tuple[float, float]:
        """Integration limits along and across b in km/s: six standard deviations, unless a shape has others."""
        return 6 * self.spread, 6 * self.spread

    def value(self, parallel: np.ndarray, squared: np.ndarray, perp1: np.ndarray | None) -> np.ndarray:
        """Return the relative phase space density, never negative; `perp1` may be None if it is not used."""
        raise NotImplementedError


@dataclass(frozen=True)
class Maxwellian(Shape):
    """A bi-Maxwellian; the widths are standard deviations of velocity along and across b, km/s."""

    parallel: float
    perpendicular: float

    @property
    def reach(self) -> tuple[float, float]:
        """Six standard deviations."""
        return 6 * self.parallel, 6 * self.perpendicular

    def value(self, parallel: np.ndarray, squared: np.ndarray, perp1: np.ndarray | None) -> np.ndarray:
        """Return exp(-w_par^2 / 2 s_par^2 - w_perp^2 / 2 s_perp^2)."""
        across = np.float32(-0.5 / self.perpendicular**2)
        exponent = squared * across
        if self.parallel != self.perpendicular:
            exponent += parallel**2 * (np.float32(-0.5 / self.parallel**2) - across)
        return np.exp(exponent, out=exponent)


@dataclass(frozen=True)
class CutMaxwellian(Shape):
    """A Maxwellian without velocities below `cut` along b (or against b if `sense` is -1), as in reconnection jets.

    The edge is `softness` wide; all in km/s.
    """

    spread: float
    cut: float
    softness: float
    sense: int = 1

    def value(self, parallel: np.ndarray, squared: np.ndarray, perp1: np.ndarray | None) -> np.ndarray:
        """Return the Maxwellian times a smooth step."""
        whole = np.exp(squared * np.float32(-0.5 / self.spread**2))
        return whole * _step((self.sense * parallel - self.cut) / self.softness)


@dataclass(frozen=True)
class FlatTop(Shape):
    """Flat inside an ellipsoid with half axes `parallel` and `perpendicular` (km/s), steep outside: 1/(1 + x^10)."""

    parallel: float
    perpendicular: float

    @property
    def reach(self) -> tuple[float, float]:
        """Eight half axes; the fraction of the pressure beyond is 3e-5."""
        return 8 * self.parallel, 8 * self.perpendicular

    def value(self, parallel: np.ndarray, squared: np.ndarray, perp1: np.ndarray | None) -> np.ndarray:
        """Return 1 / (1 + x^10), x the radius in units of the half axes."""
        across = np.float32(1 / self.perpendicular**2)
        radius = squared * across + parallel**2 * (np.float32(1 / self.parallel**2) - across)
        return 1 / (1 + radius * (radius * radius) ** 2)


@dataclass(frozen=True)
class LossCone(Shape):
    """An isotropic Maxwellian reduced by the fraction `depth` within `angle_deg` of b, on both sides."""

    spread: float
    angle_deg: float
    depth: float

    def value(self, parallel: np.ndarray, squared: np.ndarray, perp1: np.ndarray | None) -> np.ndarray:
        """Return the Maxwellian times 1 - depth exp(-(sin pitch angle / sin cone)^4)."""
        inside = (1 - parallel**2 / np.maximum(squared, 1e-6)) * np.float32(1 / np.sin(np.radians(self.angle_deg)) ** 2)
        left = 1 - np.float32(self.depth) * np.exp(-(inside**2))
        return np.exp(squared * np.float32(-0.5 / self.spread**2)) * left


@dataclass(frozen=True)
class Lens(Shape):
    """Intersection of two spheres: radius `radius`, centers at `offset` on either side along b, edges `softness`, km/s.

    It is thin along b (radius - offset) and wide across b (square root of radius^2 - offset^2).
    """

    radius: float
    offset: float
    softness: float

    @property
    def reach(self) -> tuple[float, float]:
        """Extent of the spheres plus eight widths of their edges."""
        return (self.radius - self.offset + 8 * self.softness, self.radius + 8 * self.softness)

    def value(self, parallel: np.ndarray, squared: np.ndarray, perp1: np.ndarray | None) -> np.ndarray:
        """Return a smooth step at the larger of the distances from the two centers."""
        farther = squared + 2 * np.float32(self.offset) * np.abs(parallel) + np.float32(self.offset**2)
        return _step((self.radius - np.sqrt(farther)) / self.softness)


@dataclass(frozen=True)
class Crescent(Shape):
    """An arc of speed `speed` across b, on the side of perp1; widths along b and of the arc in km/s.

    Its dependence on gyrophase is exp(-opening (1 - cos phase)^2): broad in front, almost 0 behind; half the density
    at 80 degrees on either side for an opening of 1, at 59 degrees for 3.
    """

    speed: float
    width: float
    parallel: float
    opening: float
    uses_perp1 = True

    @property
    def reach(self) -> tuple[float, float]:
        """Six widths."""
        return 6 * self.parallel, self.speed + 6 * self.width

    def value(self, parallel: np.ndarray, squared: np.ndarray, perp1: np.ndarray | None) -> np.ndarray:
        """Return Gaussians along b and in perpendicular speed, times the dependence on gyrophase."""
        along = parallel**2
        across = np.sqrt(np.maximum(squared - along, 1.0))
        exponent = (across - np.float32(self.speed)) ** 2 * np.float32(-0.5 / self.width**2)
        exponent += along * np.float32(-0.5 / self.parallel**2)
        exponent -= (1 - perp1 / across) ** 2 * np.float32(self.opening)
        return np.exp(exponent, out=exponent)


def _step(x: np.ndarray) -> np.ndarray:
    """Return a smooth step from 0 to 1 around 0."""
    return 0.5 + 0.5 * np.tanh(0.5 * x)


@dataclass(frozen=True)
class ShapeMoments:
    """Integral (km/s)^3, mean velocity (3,) km/s and covariance (3, 3) (km/s)^2 of a shape in its own frame."""

    integral: float
    mean: np.ndarray
    covariance: np.ndarray


@lru_cache(maxsize=1)
def _quadrature() -> tuple[np.ndarray, np.ndarray]:
    return np.polynomial.legendre.leggauss(_NODES)


@lru_cache(maxsize=256)
def shape_moments(shape: Shape) -> ShapeMoments:
    """Integrate a shape over its reach, by Gauss-Legendre quadrature along and across b and uniformly in gyrophase."""
    nodes, weights = _quadrature()
    parallel = shape.reach[0] * nodes[:, None, None]
    across = shape.reach[1] * (nodes[None, :, None] + 1) / 2
    phase = np.pi * (np.arange(48 if shape.uses_perp1 else 4) + 0.5) / (24 if shape.uses_perp1 else 2)
    volume = shape.reach[0] * weights[:, None, None] * shape.reach[1] / 2 * weights[None, :, None] * across
    velocity = np.stack(np.broadcast_arrays(parallel, across * np.cos(phase), across * np.sin(phase)))
    density = shape.value(velocity[0], (velocity**2).sum(axis=0), velocity[1]) * volume * (2 * np.pi / phase.size)
    integral = density.sum()
    mean = np.einsum("iabc,abc->i", velocity, density) / integral
    second = np.einsum("iabc,jabc,abc->ij", velocity, velocity, density, optimize=True) / integral
    return ShapeMoments(float(integral), mean, second - np.outer(mean, mean))


def frames_along(axis: np.ndarray, toward: np.ndarray) -> np.ndarray:
    """Return frames (..., 3, 3): b along `axis`, perp1 the part of `toward` across it, both (..., 3), and b x perp1."""
    b = axis / np.linalg.norm(axis, axis=-1, keepdims=True)
    perp1 = toward - (toward * b).sum(axis=-1, keepdims=True) * b
    perp1 = perp1 / np.linalg.norm(perp1, axis=-1, keepdims=True)
    return np.stack([b, perp1, np.cross(b, perp1)], axis=-2)


def thermal_speed(temperature_ev: float, species: str) -> float:
    """Return the standard deviation of one component of velocity, km/s, at a temperature in eV."""
    return float(np.sqrt(temperature_ev / (2 * ENERGY_AT_1_KM_S[species])))


@dataclass(frozen=True)
class Plasma:
    """k populations of one species at n times.

    ``shapes`` (k); ``density`` (k, n) cm^-3; ``velocity`` (k, n, 3) km/s of the origins of the shapes; ``frames``
    (k, n, 3, 3) unit vectors b, perp1, perp2 as rows; ``species`` 'ion' or 'electron'.
    """

    shapes: tuple[Shape, ...]
    density: np.ndarray
    velocity: np.ndarray
    frames: np.ndarray
    species: str


def average_exposures(plasma: Plasma, count: int) -> Plasma:
    """Return the mean plasma over every `count` consecutive times."""
    k, n = plasma.density.shape[0], plasma.density.shape[1] // count

    def spread(values: np.ndarray) -> np.ndarray:
        parts = values[:, : n * count].reshape(k, n, count, *values.shape[2:])
        return np.moveaxis(parts, 2, 1).reshape(k * count, n, *values.shape[2:])

    shapes = tuple(shape for shape in plasma.shapes for _ in range(count))
    density = spread(plasma.density) / count
    return Plasma(shapes, density, spread(plasma.velocity), spread(plasma.frames), plasma.species)


def true_moments(plasma: Plasma) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return density (n,) cm^-3, bulk velocity (n, 3) km/s and temperature tensor (n, 3, 3) eV of the model."""
    mean = np.array([shape_moments(shape).mean for shape in plasma.shapes])
    covariance = np.array([shape_moments(shape).covariance for shape in plasma.shapes])
    each = plasma.velocity + np.einsum("kj,knji->kni", mean, plasma.frames)
    density = plasma.density.sum(axis=0)
    velocity = np.einsum("kn,kni->ni", plasma.density, each) / density[:, None]
    away = each - velocity
    second = np.einsum("kn,kni,knj->nij", plasma.density, away, away)
    axes = plasma.frames
    second += np.einsum("kn,knai,kab,knbj->nij", plasma.density, axes, covariance, axes, optimize=True)
    return density, velocity, 2 * ENERGY_AT_1_KM_S[plasma.species] * second / density[:, None, None]


def phase_space_density(
    plasma: Plasma, rows: slice, azimuth: np.ndarray, polar: np.ndarray, energy_ev: np.ndarray
) -> np.ndarray:
    """Return the phase space density at the center of every bin, float32 (m, 32, 16, 32) s^3 cm^-6, of m times `rows`.

    Look directions (m, 32), (16,) are in degrees, energies (m, 32) in eV.
    """
    phi, theta = np.radians(azimuth)[:, :, None], np.radians(polar)
    look = np.stack(np.broadcast_arrays(np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)), -1)
    moving = -look  # particles move opposite to the look direction
    speed = np.sqrt(energy_ev / ENERGY_AT_1_KM_S[plasma.species]).astype(np.float32)[:, None, None, :]
    total = np.zeros((*moving.shape[:3], energy_ev.shape[1]), np.float32)
    for k, shape in enumerate(plasma.shapes):
        present = np.flatnonzero(plasma.density[k, rows] > 0)
        if present.size:
            here = np.arange(plasma.density.shape[1])[rows][present]
            density = plasma.density[k, here] / (shape_moments(shape).integral * 1e15)  # 1e15 (cm/km)^3
            drift, frame = plasma.velocity[k, here], plasma.frames[k, here]
            relative = _relative(shape, drift, frame, moving[present], speed[present])
            total[present] += relative * density.astype(np.float32)[:, None, None, None]
    return total


def _relative(shape: Shape, drift: np.ndarray, frame: np.ndarray, moving: np.ndarray, speed: np.ndarray) -> np.ndarray:
    """Return values of a shape at `speed` (m, 1, 1, 32) km/s along `moving` (m, 32, 16, 3), float32 (m, 32, 16, 32)."""

    def along(axis: np.ndarray) -> np.ndarray:
        """Return the velocity relative to the drift along `axis` (m, 3)."""
        of_speed = np.einsum("mapi,mi->map", moving, axis)[..., None].astype(np.float32)
        return speed * of_speed - (drift * axis).sum(axis=1).astype(np.float32)[:, None, None, None]

    with_drift = 2 * np.einsum("mapi,mi->map", moving, drift)[..., None].astype(np.float32)
    squared = speed * (speed - with_drift) + (drift**2).sum(axis=1).astype(np.float32)[:, None, None, None]
    return shape.value(along(frame[:, 0]), squared, along(frame[:, 1]) if shape.uses_perp1 else None)
