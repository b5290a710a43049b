"""Shapes of aurora as emission in kR over x (km east), y (km north) and t (seconds since the shape began).

The origin is near the middle of the shape. Shapes are modeled by eye on frames of the THEMIS cameras, not on physics
of the magnetosphere.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from .sky import Texture
from .timeline import Drawn, uniform

_TURN = 2 * np.pi


class Aurora(Protocol):
    """Type of aurora with an emission as a function of position and time."""

    def emission(self, x_km: np.ndarray, y_km: np.ndarray, t_s: float) -> np.ndarray:
        """Return the emission in kR, in the array shape of `x_km` and `y_km`, never negative."""
        ...


def _either_sign(low: float, high: float) -> Any:
    return field(metadata={"draw": lambda rng: float(rng.choice([-1.0, 1.0])) * rng.uniform(low, high)})


def _step(value: np.ndarray) -> np.ndarray:
    """Return the logistic function, 0 to 1."""
    return 1 / (1 + np.exp(np.clip(-value, -40, 40)))


@dataclass(frozen=True)
class Quiet(Drawn):
    """No aurora."""

    def emission(self, x_km: np.ndarray, y_km: np.ndarray, t_s: float) -> np.ndarray:
        """Return zeros."""
        return np.zeros_like(x_km)


@dataclass(frozen=True)
class Arc:
    """One to three parallel east-west arcs, drifting north or south, slightly folded along their length.

    ``offsets_km`` and ``widths_km`` (k arcs,) from `y_km`; ``levels_kr`` (k,); the southern flank is sharper.
    """

    y_km: float
    drift_km_s: float
    offsets_km: np.ndarray
    widths_km: np.ndarray
    levels_kr: np.ndarray
    tilt: float
    fold_km: float
    wavelength_km: float
    phase: float
    speed_km_s: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Arc:
        """Draw arcs, the first of them within about 60 degrees of the zenith."""
        count = int(rng.integers(1, 4))
        return cls(
            y_km=rng.uniform(-60, 160),
            drift_km_s=rng.uniform(-0.35, 0.15),
            offsets_km=np.concatenate([[0.0], np.cumsum(rng.uniform(35, 70, count - 1))]),
            widths_km=rng.uniform(6, 16, count),
            levels_kr=rng.uniform(5, 14) * np.concatenate([[1.0], rng.uniform(0.3, 0.8, count - 1)]),
            tilt=rng.uniform(-0.12, 0.12),
            fold_km=rng.uniform(2, 12),
            wavelength_km=rng.uniform(150, 500),
            phase=rng.uniform(0, _TURN),
            speed_km_s=rng.uniform(-1.5, 1.5),
        )

    def emission(self, x_km: np.ndarray, y_km: np.ndarray, t_s: float) -> np.ndarray:
        """Return emission with Gaussian flanks across the folded line, each arc with its own width."""
        wave = _TURN / self.wavelength_km * (x_km - self.speed_km_s * t_s) + self.phase
        line = y_km - self.y_km - self.drift_km_s * t_s - self.tilt * x_km - self.fold_km * np.sin(wave)
        along = 1 + 0.25 * np.sin(0.6 * wave + 1.0)
        total = np.zeros_like(x_km)
        for offset, width, level in zip(self.offsets_km, self.widths_km, self.levels_kr, strict=True):
            across = line - np.float32(offset)
            sides = np.where(across > 0, np.float32(1 / (1.8 * width)), np.float32(1 / width))
            total += np.float32(level) * np.exp(-((across * sides) ** 2))
        return (total * along).astype(x_km.dtype)


@dataclass(frozen=True)
class Patches:
    """Patches with sharp, irregular edges that drift together and pulsate independently, on a weak glow.

    Arrays of shape (k,): center, radius, brightness, period and phase of each; ``warp_km`` bends their edges.
    """

    x_km: np.ndarray
    y_km: np.ndarray
    radius_km: np.ndarray
    level_kr: np.ndarray
    period_s: np.ndarray
    phase: np.ndarray
    drift_km_s: tuple[float, float]
    warp_km: float
    warp_phase: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Patches:
        """Draw 10 to 20 patches within about 250 km."""
        count = int(rng.integers(10, 21))
        return cls(
            x_km=rng.uniform(-280, 220, count),
            y_km=rng.uniform(-220, 220, count),
            radius_km=rng.uniform(12, 40, count),
            level_kr=rng.uniform(2.0, 6.0, count),
            period_s=rng.uniform(7, 25, count),
            phase=rng.uniform(0, _TURN, count),
            drift_km_s=(rng.uniform(0.2, 0.7), rng.uniform(-0.15, 0.15)),
            warp_km=rng.uniform(8, 16),
            warp_phase=rng.uniform(0, _TURN),
        )

    def emission(self, x_km: np.ndarray, y_km: np.ndarray, t_s: float) -> np.ndarray:
        """Return emission with flat tops and steep edges, each patch with its own period and phase."""
        x, y = x_km - np.float32(self.drift_km_s[0] * t_s), y_km - np.float32(self.drift_km_s[1] * t_s)
        warp = np.float32(self.warp_km)
        x, y = x + warp * np.sin(y / 17 + self.warp_phase), y + warp * np.sin(x / 23 - self.warp_phase)
        # A pulsating patch is on or off rather than sinusoidal: tanh makes the transition short.
        on = (0.5 + 0.5 * np.tanh(2.5 * np.sin(_TURN * t_s / self.period_s + self.phase))) * self.level_kr
        total = np.float32(0.4) * np.exp(-(x**2 + y**2) / np.float32(300.0**2))
        for k, level in enumerate(0.1 * self.level_kr + 0.9 * on):
            distance = (x - np.float32(self.x_km[k])) ** 2 + (y - np.float32(self.y_km[k])) ** 2
            total += np.float32(level) * np.exp(-((distance / np.float32(self.radius_km[k] ** 2)) ** 2))
        return total.astype(x_km.dtype)


@dataclass(frozen=True)
class Streamer(Drawn):
    """A north-south structure whose tip moves south from a poleward band while all of it drifts east or west.

    It passes within about 45 degrees of the zenith.
    """

    x_km: float = uniform(-90, 90)
    drift_km_s: float = uniform(-0.4, 0.4)
    north_km: float = uniform(220, 350)
    tip_speed_km_s: float = uniform(4, 9)
    width_km: float = uniform(9, 18)
    level_kr: float = uniform(5, 12)
    bend_km: float = uniform(8, 30)
    wavelength_km: float = uniform(300, 600)
    phase: float = uniform(0, _TURN)
    second_km: float = _either_sign(40, 80)
    second_level: float = uniform(0.2, 0.6)

    def emission(self, x_km: np.ndarray, y_km: np.ndarray, t_s: float) -> np.ndarray:
        """Return emission with Gaussian flanks across a bent line, between the tip and the poleward end."""
        bend = self.bend_km * np.sin(_TURN * y_km / self.wavelength_km + self.phase - 0.02 * t_s)
        across = (x_km - self.x_km - self.drift_km_s * t_s - bend) / self.width_km
        second = (across * self.width_km - self.second_km - 0.15 * y_km) / (0.7 * self.width_km)
        tip_km = max(self.north_km - self.tip_speed_km_s * t_s, -260.0)
        reached = 0.5 * (1 + np.tanh((y_km - tip_km) / 30)) * 0.5 * (1 - np.tanh((y_km - self.north_km) / 60))
        streams = np.exp(-(across**2)) + self.second_level * np.exp(-(second**2))
        return (self.level_kr * streams * reached).astype(x_km.dtype)


@dataclass(frozen=True)
class FoldedArc(Drawn):
    """An arc with a long and a short fold that grow until they tilt over, so that a meridian crosses it several times.

    ``lean`` is the tilt of the folds, ``grow_s`` their growth time.
    """

    width_km: float = uniform(8, 15)
    level_kr: float = uniform(9, 30)
    folds_km: tuple[float, float] = uniform((35, 5), (65, 11))
    wavelengths_km: tuple[float, float] = uniform((220, 70), (380, 120))
    phases: tuple[float, float] = uniform((0, 0), (_TURN, _TURN))
    lean: float = _either_sign(0.7, 1.2)
    speed_km_s: float = _either_sign(0.3, 1.5)
    drift_km_s: float = uniform(-0.3, 0.4)
    grow_s: float = uniform(30, 70)

    def emission(self, x_km: np.ndarray, y_km: np.ndarray, t_s: float) -> np.ndarray:
        """Return emission with Gaussian flanks at the distance from the folded line (level over gradient)."""
        y = y_km - self.drift_km_s * t_s
        grown = 0.5 + 0.5 * math.tanh(t_s / self.grow_s)
        along = x_km - self.speed_km_s * t_s + self.lean * grown * y
        line, slope = y, 0.0
        for fold, length, phase in zip(self.folds_km, self.wavelengths_km, self.phases, strict=True):
            number = _TURN / length
            line = line - grown * fold * np.sin(number * along + phase)
            slope = slope + grown * fold * number * np.cos(number * along + phase)
        across = line / np.sqrt(slope**2 + (1 - self.lean * grown * slope) ** 2 + 0.1)
        bright = 1 + 0.45 * np.sin(along / 47 + self.phases[0]) * np.sin(along / 29 - 0.1 * t_s)
        haze = 0.1 * np.exp(-np.abs(across) / 50)
        return (self.level_kr * (np.exp(-((across / self.width_km) ** 2)) * bright + haze)).astype(x_km.dtype)


@dataclass(frozen=True)
class Spiral(Drawn):
    """An arc wound up counterclockwise around a point: every circle around it is rotated, inner ones more."""

    radius_km: float = uniform(70, 130)
    width_km: float = uniform(8, 14)
    level_kr: float = uniform(12, 40)
    turns: float = uniform(0.75, 1.4)
    wind_s: float = uniform(40, 90)
    drift_km_s: tuple[float, float] = uniform((-0.6, -0.2), (0.6, 0.3))
    tilt: float = uniform(-0.3, 0.3)

    def emission(self, x_km: np.ndarray, y_km: np.ndarray, t_s: float) -> np.ndarray:
        """Return emission with Gaussian flanks at the distance from the wound line (level over gradient)."""
        x, y = x_km - self.drift_km_s[0] * t_s, y_km - self.drift_km_s[1] * t_s
        squared = (x**2 + y**2) / self.radius_km**2
        wound = _TURN * self.turns * (0.5 + 0.5 * math.tanh(t_s / self.wind_s)) * np.exp(-squared)
        angle = self.tilt - wound
        sine, cosine = np.sin(angle), np.cos(angle)
        along, across = x * cosine - y * sine, x * sine + y * cosine
        # Along the radius r the angle changes by 2 wound r / radius^2; the square of r times that enters the gradient.
        change = 2 * wound * squared
        r_squared = squared * self.radius_km**2 + 1e-3
        gradient = 1 + (2 * along * across * change + along**2 * change**2) / r_squared
        distance = across / np.sqrt(np.maximum(gradient, 0.15))
        core = 1 + 0.8 * np.exp(-2 * squared)
        shape = np.exp(-((distance / self.width_km) ** 2)) + 0.08 * np.exp(-np.abs(distance) / 50)
        return (self.level_kr * core * shape).astype(x_km.dtype)


@dataclass(frozen=True, eq=False)
class Breakup(Drawn):
    """An arc that brightens and bulges poleward: a very bright irregular front, with changing filaments behind it.

    The front starts at `y_km` and moves north by `reach_km`, initially at `front_km_s`; the bulge widens at
    `widen_km_s`.
    """

    texture: Texture = field(metadata={"draw": lambda rng: Texture(rng, 2.0)})
    y_km: float = uniform(-140, -30)
    level_kr: float = uniform(80, 220)
    reach_km: float = uniform(180, 320)
    front_km_s: float = uniform(1.5, 3.5)
    width_km: float = uniform(70, 130)
    widen_km_s: float = uniform(1.0, 2.5)
    surge_km_s: float = uniform(-1.5, -0.3)

    def emission(self, x_km: np.ndarray, y_km: np.ndarray, t_s: float) -> np.ndarray:
        """Return emission of the front, filaments behind it and a diffuse floor; all brighten in the first seconds."""
        since = max(t_s, 0.0)
        noise = self.texture.at(x_km / 3.2 - 0.3 * since, y_km / 3.2 + 0.05 * since)
        noise += self.texture.at(x_km / 2.6 + 0.2 * since + 91.3, y_km / 2.6 - 0.1 * since)
        bulge = self.reach_km * (1 - math.exp(-since * self.front_km_s / self.reach_km))
        across = (x_km - self.surge_km_s * since) / (self.width_km + self.widen_km_s * since)
        front = self.y_km + bulge * np.exp(-(across**2)) + 18 * noise
        behind = front - y_km
        inside = _step(behind / 6) * _step((y_km - self.y_km + 25) / 9)
        edge = np.exp(-((behind / np.where(behind > 0, 22, 8)) ** 2))
        filaments = np.exp(-((noise / 0.35) ** 2)) * np.exp(-np.maximum(behind, 0) / 140)
        envelope = 0.25 + 0.75 * np.exp(-0.5 * across**2)
        level = self.level_kr * (0.15 + 0.85 * math.tanh(since / 25) * math.exp(-since / 300))
        return (level * envelope * (edge * (0.8 + 0.2 * noise).clip(0.1) + inside * (0.1 + 0.4 * filaments))).astype(
            x_km.dtype
        )


@dataclass(frozen=True)
class Omega(Drawn):
    """Omega bands: round torches with necks along the poleward edge of a diffuse band, drifting east.

    `phase`, `radius` and `height` of the torches are fractions of the distance between them, `wavelength_km`.
    """

    wavelength_km: float = uniform(180, 320)
    y_km: float = uniform(-110, -20)
    phase: float = uniform(0, 1)
    radius: float = uniform(0.19, 0.25)
    height: float = uniform(0.16, 0.28)
    speed_km_s: float = uniform(0.4, 1.6)
    edge_km: float = uniform(9, 16)
    level_kr: float = uniform(6, 16)
    depth_km: float = uniform(50, 100)

    def emission(self, x_km: np.ndarray, y_km: np.ndarray, t_s: float) -> np.ndarray:
        """Return emission with a bright edge and a weaker interior, from the signed distance to band and torches."""
        length, phase_km = self.wavelength_km, self.phase * self.wavelength_km
        along = (x_km - self.speed_km_s * t_s - phase_km) / length
        # Torches are slightly tilted and differ from each other.
        number = np.floor(along + 0.5)
        y = y_km - self.y_km
        x = (along - number) * length - 0.25 * y + 9 * np.sin(y / 31 + number)
        size = 1 + 0.15 * np.sin(2.4 * number + phase_km)
        torch = np.hypot(x, 0.8 * y - self.height * length) - self.radius * length * size
        band = y + 10 * np.sin(5.1 * along)
        # Smooth minimum of two distances (quadratic polynomial), which joins neck and band.
        mixed = np.clip(0.5 + 0.5 * (band - torch) / 45, 0, 1)
        distance = band + mixed * (torch - band) - 45 * mixed * (1 - mixed)
        edge = np.exp(-((distance / np.where(distance > 0, 0.6 * self.edge_km, self.edge_km)) ** 2))
        inside = np.exp(np.minimum(distance, 0) / self.depth_km) * _step(-distance / 5)
        return (self.level_kr * (0.5 * edge + 0.7 * inside)).astype(x_km.dtype)


@dataclass(frozen=True, eq=False)
class Glow(Drawn):
    """Diffuse aurora: a wide, drifting band without edges, faintly mottled."""

    texture: Texture = field(metadata={"draw": lambda rng: Texture(rng, 2.2)})
    y_km: float = uniform(-150, 150)
    width_km: float = uniform(70, 200)
    level_kr: float = uniform(2.5, 7)
    drift_km_s: tuple[float, float] = uniform((-0.4, -0.3), (0.8, 0.2))
    mottling: float = uniform(0.1, 0.35)

    def emission(self, x_km: np.ndarray, y_km: np.ndarray, t_s: float) -> np.ndarray:
        """Return emission with a Gaussian profile, mottled by noise of some tens of km."""
        x, y = x_km - self.drift_km_s[0] * t_s, y_km - self.drift_km_s[1] * t_s
        noise = self.texture.at(x / 7, y / 7)
        shape = np.exp(-(((y - self.y_km - 25 * noise) / self.width_km) ** 2))
        return (self.level_kr * shape * (1 + self.mottling * noise).clip(0.2)).astype(x_km.dtype)


DRAW: dict[str, Callable[[np.random.Generator], Aurora]] = {
    "quiet": Quiet.draw,
    "arc": Arc.draw,
    "patches": Patches.draw,
    "streamer": Streamer.draw,
    "folded_arc": FoldedArc.draw,
    "spiral": Spiral.draw,
    "breakup": Breakup.draw,
    "omega": Omega.draw,
    "glow": Glow.draw,
}
