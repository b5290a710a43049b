r"""Crossing of a reconnection site at the magnetopause: parameters, sequence of states, plasma and field.

The boundary is a plane that moves along its normal N past four spacecraft, which measure it with different delays.
Axes of the boundary, as usual (Sonnerup & Cahill 1967)::

       L  (reconnecting field; outflow along +L or -L)      sheath side:        B_L < 0, dense, cool
       |                                                    magnetosphere side: B_L > 0, thin, hot
       |____ N (out, to the sheath)
      /
     M  (guide field; electrons of the diffusion region drift across B and N)

L, M, N have any orientation in the frame of the instruments, which serves as DBCS, DMPA and GSE. States, from
the sheath inwards, those in parentheses not in every event::

    magnetosheath (boundary_layer) (separatrix) (flat_top) edr
        outflow (lens) (separatrix) (boundary_layer) magnetosphere

This is not a simulation of reconnection. Crescents are modeled on Burch et al. 2016 (doi 10.1126/science.aaf2939),
beams of separatrices and D-shaped ions of jets on the review of Paschmann et al. 2013
(doi 10.1007/s11214-012-9957-2); flat-tops, lenses and loss cones have the simplest possible forms. Parameters are drawn
from stated ranges, so results hold for this simulation only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np

from .plasma import (
    Crescent,
    CutMaxwellian,
    FlatTop,
    Lens,
    LossCone,
    Maxwellian,
    Plasma,
    Shape,
    frames_along,
    thermal_speed,
)
from .timeline import Drawn, Episode, kind_at, presence, uniform

STATES = ("magnetosheath", "boundary_layer", "separatrix", "flat_top", "edr", "outflow", "lens", "magnetosphere")
PROBES = ("1", "2", "3", "4")
# Corners of a regular tetrahedron with edges of length 1, about its center.
_CORNERS = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) / np.sqrt(8)
# Smaller shares count as 0.
_MIN_SHARE = 1e-4


@dataclass(frozen=True)
class EventParameters(Drawn):
    """Random parameters of an event, uniform within the ranges in `RANGES`.

    Shares are relative to the density of the state; densities of states between sheath and magnetosphere are relative
    to that of the sheath. Temperatures are those of electrons unless the name contains ``ion``.
    """

    boundary_speed: float = uniform(20, 80, "km/s")
    separation: float = uniform(4, 10, "km")
    ramp: float = uniform(0.015, 0.06, "s")
    edr_offset: float = uniform(-0.1, 0.1, "of the duration")
    wave_amplitude: float = uniform(0.02, 0.08, "")
    sheath_field: float = uniform(15, 40, "nT")
    magnetosphere_field: float = uniform(40, 70, "nT")
    guide_field: float = uniform(0.05, 0.35, "of the magnetosphere's")
    normal_field: float = uniform(-3, 3, "nT")
    edr_field: float = uniform(0.1, 0.4, "of the magnetosphere's")
    sheath_density: float = uniform(10, 30, "cm^-3")
    magnetosphere_density: float = uniform(0.5, 1.5, "cm^-3")
    sheath_flow: float = uniform(60, 220, "km/s")
    sheath_flow_angle: float = uniform(-90, 90, "deg from M toward L")
    sheath_temperature: float = uniform(25, 50, "eV")
    sheath_anisotropy: float = uniform(0.9, 1.25, "T_perp / T_par")
    magnetosphere_temperature: float = uniform(300, 900, "eV")
    loss_cone_angle: float = uniform(25, 45, "deg")
    loss_cone_depth: float = uniform(0.7, 0.95, "")
    cold_share: float = uniform(0.1, 0.4, "")
    cold_temperature: float = uniform(20, 60, "eV")
    boundary_layer_share: float = uniform(0.4, 0.8, "of the sheath's density")
    boundary_layer_heating: float = uniform(1.3, 2.2, "T_par / sheath")
    separatrix_share: float = uniform(0.2, 0.5, "of the sheath's density")
    beam_share: float = uniform(0.35, 0.6, "")
    beam_balance: float = uniform(0.35, 0.65, "along B, of both beams")
    beam_speed: float = uniform(4500, 8000, "km/s")
    beam_temperature: float = uniform(15, 40, "eV")
    flat_top_share: float = uniform(0.3, 0.6, "of the sheath's density")
    flat_top_speed: float = uniform(5000, 8500, "km/s")
    flat_top_aspect: float = uniform(0.55, 0.9, "perp / par")
    edr_share: float = uniform(0.3, 0.6, "of the sheath's density")
    edr_parallel_temperature: float = uniform(45, 100, "eV")
    edr_perpendicular_temperature: float = uniform(20, 36, "eV")
    edr_drift: float = uniform(100, 600, "km/s")
    crescent_share: float = uniform(0.15, 0.35, "")
    crescent_speed: float = uniform(6500, 10000, "km/s")
    crescent_width: float = uniform(600, 1300, "km/s")
    crescent_parallel: float = uniform(1500, 3000, "km/s")
    crescent_opening: float = uniform(0.8, 3.0, "")
    crescent_turn: float = uniform(-25, 25, "deg from the drift")
    outflow_share: float = uniform(0.35, 0.7, "of the sheath's density")
    outflow_speed: float = uniform(250, 500, "km/s")
    outflow_parallel_temperature: float = uniform(60, 130, "eV")
    outflow_anisotropy: float = uniform(0.6, 1.0, "T_perp / T_par")
    lens_share: float = uniform(0.1, 0.25, "of the sheath's density")
    lens_radius: float = uniform(9000, 13000, "km/s")
    lens_offset: float = uniform(0.5, 0.75, "of the radius")
    sheath_ion_temperature: float = uniform(150, 400, "eV")
    magnetosphere_ion_temperature: float = uniform(1500, 3500, "eV")
    hot_ion_share: float = uniform(0.05, 0.2, "between sheath and magnetosphere")
    jet_ion_temperature: float = uniform(250, 600, "eV")
    jet_ion_cut: float = uniform(-0.6, 0.2, "of the thermal speed")


# Lowest and highest value of each parameter, and its unit.
RANGES = {each.name: each.metadata["range"] for each in fields(EventParameters)}

# Shortest and longest stay in each state in s; the probability of each state in parentheses above.
STAY_S = {
    "boundary_layer": (0.6, 2.0),
    "separatrix": (0.3, 1.0),
    "flat_top": (0.4, 1.2),
    "edr": (0.3, 1.5),
    "outflow": (0.8, 2.5),
    "lens": (0.4, 1.0),
}
CHANCE = 0.75
# B_L of each state on either side, in units of the sheath's field if negative and the magnetosphere's if positive.
_FIELD_L = {"boundary_layer": (-0.9, 0.9), "separatrix": (-0.7, 0.75), "flat_top": (-0.45, 0.45), "outflow": (0.3, 0.3)}
_FIELD_L |= {"magnetosheath": (-1.0, -1.0), "lens": (0.6, 0.6), "magnetosphere": (1.0, 1.0)}


@dataclass(frozen=True)
class Component:
    """A population of a state: shape and density in cm^-3.

    Drift in km/s: `flow` along L, M, N, `along` b, and `across` along perp1; `turn_deg` is its rotation about b.
    """

    shape: Shape
    density: float
    flow: np.ndarray
    along: float = 0.0
    across: float = 0.0
    turn_deg: float = 0.0


@dataclass(frozen=True)
class Event:
    """A random event: plasma and field, independent of instruments.

    ``axes`` (3, 3): L, M, N as rows, in the frame of the instruments; ``positions`` (4, 3) km of the spacecraft;
    ``senses``: +1 or -1 for outflow along L, for the drift of electrons along N x b, and +1 for a boundary that moves
    outwards, so that the spacecraft start in the sheath; ``episodes``: seconds from the middle of the crossing;
    ``waves`` (5, 2): rate and phase of density, three components of velocity, and field.
    """

    seed: int
    parameters: EventParameters
    axes: np.ndarray
    positions: np.ndarray
    senses: tuple[int, int, int]
    episodes: tuple[Episode, ...]
    waves: np.ndarray

    @classmethod
    def draw(cls, seed: int, edr: bool, rng: np.random.Generator) -> Event:
        """Draw an event with or without a diffusion region; the rest is the same for the same generator."""
        parameters = EventParameters.draw(rng)
        axes, tetrahedron = (_rotation(rng) for _ in range(2))
        senses = tuple(int(sense) for sense in rng.choice([-1, 1], 3))
        episodes = _episodes(edr, senses[2], rng)
        waves = np.column_stack([rng.uniform(1.0, 8.0, 5), rng.uniform(0, 2 * np.pi, 5)])
        return cls(seed, parameters, axes, parameters.separation * _CORNERS @ tetrahedron, senses, episodes, waves)

    def delay_s(self, probe: str) -> float:
        """Return the delay in seconds of the boundary at a spacecraft, relative to the center of the tetrahedron."""
        along_normal = float(self.positions[PROBES.index(probe)] @ self.axes[2])
        return along_normal / (self.senses[2] * self.parameters.boundary_speed)

    def region(self, times_s: np.ndarray) -> np.ndarray:
        """Return the state (n,) str at times in seconds from the middle."""
        return kind_at(self.episodes, self._shares(times_s))

    def field(self, times_s: np.ndarray) -> np.ndarray:
        """Return the magnetic field (n, 3) nT in the frame of the instruments."""
        p = self.parameters
        levels = [self._field_l(i) for i in range(len(self.episodes))]
        along_l = self._shares(times_s).T @ np.array(levels)
        wave = 0.5 * p.wave_amplitude * p.sheath_field * self._wave(4, times_s)
        along_m = p.guide_field * p.magnetosphere_field + wave
        along_n = p.normal_field + 0.5 * wave
        return np.stack([along_l + wave, along_m, along_n], axis=-1) @ self.axes

    def plasma(self, species: str, times_s: np.ndarray) -> Plasma:
        """Return the populations of all states, weighted by presence."""
        states = _electrons if species == "electron" else _ions
        frames = frames_along(b := self.field(times_s), self.senses[1] * np.cross(self.axes[2], b))
        swing = 1 + self.parameters.wave_amplitude * self._wave(0, times_s)
        motion = 100 * self.parameters.wave_amplitude * np.stack([self._wave(i, times_s) for i in (1, 2, 3)], axis=-1)
        shapes, density, velocity, rotated = [], [], [], []
        for i, part in enumerate(self._shares(times_s)):
            for component in states(self, self.episodes[i].kind, self._is_sheath_side(i)):
                shapes.append(component.shape)
                density.append(component.density * part * swing)
                flow = component.flow @ self.axes + motion
                velocity.append(flow + component.along * frames[:, 0] + component.across * frames[:, 1])
                rotated.append(_rotated(frames, component.turn_deg))
        return Plasma(tuple(shapes), np.array(density), np.array(velocity), np.array(rotated), species)

    def density(self, state: str, sheath_side: bool) -> float:
        """Return the density of a state in cm^-3; boundary layer and separatrix are half as dense on the inner side."""
        p = self.parameters
        if state in ("magnetosheath", "magnetosphere"):
            return p.sheath_density if state == "magnetosheath" else p.magnetosphere_density
        side = 0.5 if state in ("boundary_layer", "separatrix") and not sheath_side else 1.0
        return side * getattr(p, f"{state}_share") * p.sheath_density

    def _shares(self, times_s: np.ndarray) -> np.ndarray:
        share = presence(self.episodes, times_s, self.parameters.ramp)
        share = np.where(share > _MIN_SHARE, share, 0)
        return share / share.sum(axis=0)

    def _wave(self, which: int, times_s: np.ndarray) -> np.ndarray:
        rate, phase = self.waves[which]
        return np.sin(rate * times_s + phase)

    def _is_sheath_side(self, i: int) -> bool:
        """True if an episode lies on the magnetosheath side of the middle, at 0 s."""
        return (self.episodes[i].start_s < 0) == (self.senses[2] > 0)

    def _field_l(self, i: int) -> float:
        p, state = self.parameters, self.episodes[i].kind
        level = p.edr_field if state == "edr" else _FIELD_L[state][0 if self._is_sheath_side(i) else 1]
        return level * (p.sheath_field if level < 0 else p.magnetosphere_field)


def _rotation(rng: np.random.Generator) -> np.ndarray:
    """Return a rotation matrix, uniform over orientations: from a random unit quaternion (Shoemake 1992)."""
    w, x, y, z = (q := rng.standard_normal(4)) / np.linalg.norm(q)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def _episodes(edr: bool, inward: int, rng: np.random.Generator) -> tuple[Episode, ...]:
    """Draw states with their starts; the middle of the diffusion region, or else of the outflow, is at 0 s."""
    order, present = ["boundary_layer", "separatrix", "flat_top", "edr", "outflow", "lens", "separatrix"], []
    for state in [*order, "boundary_layer"]:
        is_present, stay = rng.random() < CHANCE, float(rng.uniform(*STAY_S[state]))
        if edr if state == "edr" else is_present or state == "outflow":
            present.append((state, stay))
    present = present if inward > 0 else present[::-1]
    names = [state for state, _ in present]
    ends = np.cumsum([stay for _, stay in present])
    middle = names.index("edr" if edr else "outflow")
    starts = ends - [stay for _, stay in present]
    zero = (starts[middle] + ends[middle]) / 2
    sides = ("magnetosheath", "magnetosphere")[:: 1 if inward > 0 else -1]
    first = Episode(sides[0], -np.inf)
    inner = (Episode(state, float(start - zero)) for state, start in zip(names, starts, strict=True))
    return (first, *inner, Episode(sides[1], float(ends[-1] - zero)))


def _rotated(frames: np.ndarray, angle_deg: float) -> np.ndarray:
    """Return frames (n, 3, 3) rotated about b."""
    cosine, sine = np.cos(np.radians(angle_deg)), np.sin(np.radians(angle_deg))
    return np.array([[1, 0, 0], [0, cosine, sine], [0, -sine, cosine]]) @ frames


def _flow(event: Event, sheath: float, jet: float) -> np.ndarray:
    """Return the flow along L, M, N: a share of the sheath's, a share of the jet's, and the motion of the boundary."""
    p = event.parameters
    angle = np.radians(p.sheath_flow_angle)
    along_l = sheath * p.sheath_flow * np.sin(angle) + jet * event.senses[0] * p.outflow_speed
    return np.array([along_l, sheath * p.sheath_flow * np.cos(angle), event.senses[2] * p.boundary_speed])


def _warm(parallel_ev: float, perpendicular_ev: float, species: str = "electron") -> Maxwellian:
    return Maxwellian(thermal_speed(parallel_ev, species), thermal_speed(perpendicular_ev, species))


def _electrons(event: Event, state: str, sheath_side: bool) -> Iterator[Component]:
    """Yield the populations of electrons in a state."""
    p, n = event.parameters, event.density(state, sheath_side)
    cool, sheath = p.sheath_temperature, _flow(event, 1.0, 0.0)
    if state == "magnetosheath":
        yield Component(_warm(cool, cool * p.sheath_anisotropy), n, sheath)
    elif state == "magnetosphere":
        spread = thermal_speed(p.magnetosphere_temperature, "electron")
        calm = _flow(event, 0.1, 0.0)
        yield Component(LossCone(spread, p.loss_cone_angle, p.loss_cone_depth), n * (1 - p.cold_share), calm)
        yield Component(_warm(p.cold_temperature, p.cold_temperature), n * p.cold_share, calm)
    elif state == "boundary_layer":
        hot = 0.1 if sheath_side else 0.3
        yield Component(_warm(cool * p.boundary_layer_heating, cool), n * (1 - hot), _flow(event, 0.6, 0.1))
        yield Component(_warm(*[0.5 * p.magnetosphere_temperature] * 2), n * hot, _flow(event, 0.6, 0.1))
    elif state == "separatrix":
        slow, beam = _flow(event, 0.6, 0.2), _warm(p.beam_temperature, p.beam_temperature)
        yield Component(_warm(cool, cool), n * (1 - p.beam_share), slow)
        yield Component(beam, n * p.beam_share * p.beam_balance, slow, along=p.beam_speed)
        yield Component(beam, n * p.beam_share * (1 - p.beam_balance), slow, along=-p.beam_speed)
    elif state == "flat_top":
        yield Component(FlatTop(p.flat_top_speed, p.flat_top_aspect * p.flat_top_speed), n, _flow(event, 0.4, 0.6))
    elif state == "edr":
        yield from _diffusion_region(p, n, _flow(event, 0.3, 0.2))
    elif state == "outflow":
        hot = p.outflow_parallel_temperature
        yield Component(_warm(hot, hot * p.outflow_anisotropy), n, _flow(event, 0.2, 1.0))
    else:
        trapped = Lens(p.lens_radius, p.lens_offset * p.lens_radius, 0.06 * p.lens_radius)
        yield Component(trapped, 0.8 * n, _flow(event, 0.2, 0.1))
        yield Component(_warm(cool, cool), 0.2 * n, _flow(event, 0.2, 0.1))


def _diffusion_region(p: EventParameters, n: float, flow: np.ndarray) -> Iterator[Component]:
    """Yield an elongated core that drifts along perp1, and a crescent on that side."""
    core = _warm(p.edr_parallel_temperature, p.edr_perpendicular_temperature)
    crescent = Crescent(p.crescent_speed, p.crescent_width, p.crescent_parallel, p.crescent_opening)
    yield Component(core, n * (1 - p.crescent_share), flow, across=p.edr_drift)
    yield Component(crescent, n * p.crescent_share, flow, turn_deg=p.crescent_turn)


def _ions(event: Event, state: str, sheath_side: bool) -> Iterator[Component]:
    """Yield the populations of ions in a state: from the sheath (D-shaped in the jet) and from the magnetosphere."""
    p, n = event.parameters, event.density(state, sheath_side)
    hot = {"magnetosheath": 0.0, "magnetosphere": 1.0}.get(state, p.hot_ion_share)
    sheath, jet = {"magnetosheath": (1.0, 0.0), "boundary_layer": (0.6, 0.1), "separatrix": (0.6, 0.2)}.get(
        state, (0.2, {"flat_top": 0.6, "edr": 0.2, "outflow": 1.0}.get(state, 0.0))
    )
    flow = _flow(event, sheath, jet)
    if hot < 1:
        if state in ("flat_top", "outflow"):
            spread = thermal_speed(p.jet_ion_temperature, "ion")
            away = event.senses[0] * (-1 if state == "flat_top" and sheath_side else 1)  # from the X-line, along b
            shape = CutMaxwellian(spread, p.jet_ion_cut * spread, 0.1 * spread, away)
        else:
            shape = _warm(*[p.sheath_ion_temperature] * 2, "ion")
        yield Component(shape, n * (1 - hot), flow)
    if hot > 0:
        yield Component(_warm(*[p.magnetosphere_ion_temperature] * 2, "ion"), n * hot, flow)
