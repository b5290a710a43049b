"""Shapes of aurora as emission in kR over x (km east), y (km north) and t (seconds since the shape began).

They know nothing of a camera: whoever maps pixels to x and y can look at them, from one station or from two.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np


class Aurora(Protocol):
    """Anything that emits."""

    def emission(self, x_km: np.ndarray, y_km: np.ndarray, t_s: float) -> np.ndarray:
        """Emission in kR, of the shape of `x_km` and `y_km`, never negative."""
        ...


@dataclass(frozen=True)
class Quiet:
    """No aurora."""

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Quiet:
        """The one there is; nothing is drawn."""
        return cls()

    def emission(self, x_km: np.ndarray, y_km: np.ndarray, t_s: float) -> np.ndarray:
        """Nothing, everywhere."""
        return np.zeros_like(x_km)


@dataclass(frozen=True)
class Arc:
    """An east-west arc, or two or three side by side, drifting north or south, folded a little along its length.

    ``offsets_km`` and ``widths_km`` (k arcs,) from `y_km`; ``levels_kr`` (k,); the southern flank is the sharper one.
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
        """Draw one with its first arc within about 60 degrees of the zenith."""
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
            phase=rng.uniform(0, 2 * np.pi),
            speed_km_s=rng.uniform(-1.5, 1.5),
        )

    def emission(self, x_km: np.ndarray, y_km: np.ndarray, t_s: float) -> np.ndarray:
        """Gaussian flanks across the folded line, each arc with its own width."""
        wave = 2 * np.pi / self.wavelength_km * (x_km - self.speed_km_s * t_s) + self.phase
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
    """Patches with sharp, crooked edges that drift together and pulsate each in its own time, on a weak glow.

    Arrays of shape (k,): centre, radius, brightness, period and phase of each; ``warp_km`` bends their edges.
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
            phase=rng.uniform(0, 2 * np.pi, count),
            drift_km_s=(rng.uniform(0.2, 0.7), rng.uniform(-0.15, 0.15)),
            warp_km=rng.uniform(8, 16),
            warp_phase=rng.uniform(0, 2 * np.pi),
        )

    def emission(self, x_km: np.ndarray, y_km: np.ndarray, t_s: float) -> np.ndarray:
        """Flat tops with steep edges, each patch lit by its own clock."""
        x, y = x_km - np.float32(self.drift_km_s[0] * t_s), y_km - np.float32(self.drift_km_s[1] * t_s)
        warp = np.float32(self.warp_km)
        x, y = x + warp * np.sin(y / 17 + self.warp_phase), y + warp * np.sin(x / 23 - self.warp_phase)
        # A pulsating patch is on or off rather than a sine: the power makes the passage short.
        on = (0.5 + 0.5 * np.tanh(2.5 * np.sin(2 * np.pi * t_s / self.period_s + self.phase))) * self.level_kr
        total = np.float32(0.4) * np.exp(-(x**2 + y**2) / np.float32(300.0**2))
        for k, level in enumerate(0.1 * self.level_kr + 0.9 * on):
            distance = (x - np.float32(self.x_km[k])) ** 2 + (y - np.float32(self.y_km[k])) ** 2
            total += np.float32(level) * np.exp(-((distance / np.float32(self.radius_km[k] ** 2)) ** 2))
        return total.astype(x_km.dtype)


@dataclass(frozen=True)
class Streamer:
    """A north-south structure whose tip runs south from a poleward band while the whole drifts east or west."""

    x_km: float
    drift_km_s: float
    north_km: float
    tip_speed_km_s: float
    width_km: float
    level_kr: float
    bend_km: float
    wavelength_km: float
    phase: float
    second_km: float
    second_level: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Streamer:
        """Draw one that passes within about 45 degrees of the zenith."""
        return cls(
            x_km=rng.uniform(-90, 90),
            drift_km_s=rng.uniform(-0.4, 0.4),
            north_km=rng.uniform(220, 350),
            tip_speed_km_s=rng.uniform(4, 9),
            width_km=rng.uniform(9, 18),
            level_kr=rng.uniform(5, 12),
            bend_km=rng.uniform(8, 30),
            wavelength_km=rng.uniform(300, 600),
            phase=rng.uniform(0, 2 * np.pi),
            second_km=rng.choice([-1, 1]) * rng.uniform(40, 80),
            second_level=rng.uniform(0.2, 0.6),
        )

    def emission(self, x_km: np.ndarray, y_km: np.ndarray, t_s: float) -> np.ndarray:
        """Gaussian flanks across a bent line, between the tip and the poleward end."""
        bend = self.bend_km * np.sin(2 * np.pi * y_km / self.wavelength_km + self.phase - 0.02 * t_s)
        across = (x_km - self.x_km - self.drift_km_s * t_s - bend) / self.width_km
        second = (across * self.width_km - self.second_km - 0.15 * y_km) / (0.7 * self.width_km)
        tip_km = max(self.north_km - self.tip_speed_km_s * t_s, -260.0)
        reached = 0.5 * (1 + np.tanh((y_km - tip_km) / 30)) * 0.5 * (1 - np.tanh((y_km - self.north_km) / 60))
        streams = np.exp(-(across**2)) + self.second_level * np.exp(-(second**2))
        return (self.level_kr * streams * reached).astype(x_km.dtype)


DRAW: dict[str, Callable[[np.random.Generator], Aurora]] = {
    "quiet": Quiet.draw,
    "arc": Arc.draw,
    "patches": Patches.draw,
    "streamer": Streamer.draw,
}
