"""Magnetic field, moments, ion spectra and wave power of one spacecraft, with known events of six kinds.

Every event is a change that lasts for a drawn duration, in a background of red noise: a crossing of the bow shock, a
flux transfer event, a dipolarization, a current sheet, a Pc5 wave, a burst of whistler waves. Durations vary fourfold;
flux transfer events and current sheets have any orientation. All of it is simulated, in round figures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .. import tplot
from ..errors import ArgumentError
from ..tplot import Variable
from .timeline import random_streams, sample_times, seconds_since_first, start_and_duration

# Kinds of events, with their mean duration in seconds.
KINDS = {
    "bow_shock": 240.0,
    "flux_transfer_event": 60.0,
    "dipolarization": 180.0,
    "current_sheet": 60.0,
    "pc5_wave": 900.0,
    "whistler_burst": 120.0,
}
_SHORTEST, _LONGEST = 0.5, 2.0  # durations of events, as shares of the mean
FIELD_S, MOMENTS_S, WAVES_S = 1.0, 4.0, 8.0  # cadences of the field, of moments and spectra, and of wave power
ENERGIES = np.geomspace(10.0, 30000.0, 32)  # of the ion spectra, eV
FREQUENCIES = np.geomspace(10.0, 2000.0, 24)  # of the wave power, Hz
_TITLES = {
    "simulated1_fgm_b_gse": ("B", ""),
    "simulated1_dis_numberdensity": ("density", ""),
    "simulated1_dis_bulkv_gse": ("velocity", ""),
    "simulated1_dis_energyspectr": ("ion energy", "eV"),
    "simulated1_edp_power": ("frequency", "Hz"),
}
_GYROFREQUENCY_HZ = 28.0  # of electrons in a field of 1 nT
_PROTON_EV = 5.22e-3  # energy of a proton at 1 km/s


@dataclass(frozen=True, eq=False)
class SimulatedPanels:
    """Time series of one simulated spacecraft, by name, and its events in order of time.

    ``kinds`` (m,) str; ``start``, ``end`` (m,) datetime64[ns].
    """

    variables: Mapping[str, Variable]
    kinds: np.ndarray
    start: np.ndarray
    end: np.ndarray

    def of_kind(self, kind: str) -> np.ndarray:
        """Return start and end of the events of a kind: datetime64[ns] (m, 2)."""
        own = self.kinds == kind
        return np.stack([self.start[own], self.end[own]], axis=1)


@dataclass
class _State:
    """Plasma along the time of the field: seconds (n,), vectors (n, 3), others (n,)."""

    seconds: np.ndarray
    field: np.ndarray
    velocity: np.ndarray
    density: np.ndarray
    temperature: np.ndarray
    waves: np.ndarray


def simulate_panels(
    start: np.datetime64, duration_s: float = 86400.0, seed: int = 0, kinds: Sequence[str] = tuple(KINDS)
) -> SimulatedPanels:
    """Simulate panels with as many events as fit, the same number of each of some `KINDS`.

    Raise ArgumentError if an argument is invalid, or the time is too short for one event of each kind.
    """
    if unknown := [kind for kind in kinds if kind not in KINDS]:
        raise ArgumentError("kinds", f"found {unknown[0]!r}", f"Give some of {', '.join(KINDS)}.")
    times = sample_times(start, duration_s, np.timedelta64(round(FIELD_S * 1e9), "ns"))
    course, noise, shapes, counting = random_streams(seed, 4)
    seconds = seconds_since_first(times)
    state = _background(seconds, noise)
    events = _draw_events(float(duration_s), kinds, course)
    for kind, begin, length in events:
        _ADD[kind](state, begin, length, shapes)
    names = np.array([kind for kind, _, _ in events])
    bounds = np.array([(begin, begin + length) for _, begin, length in events])
    edges = times[0] + (bounds * 1e9).round().astype("timedelta64[ns]")
    return SimulatedPanels(_measured(times, state, counting), names, edges[:, 0], edges[:, 1])


def store(panels: SimulatedPanels, suffix: str = "") -> list[str]:
    """Store the variables; return their names, those of field and density first."""
    names = []
    for name, one in panels.variables.items():
        names.append(tplot.write(replace(one, name=name + suffix), _options(one)))
    return names


def load(trange: object, probe: str | int = "1", suffix: str = "", seed: int = 0) -> list[str]:
    """Simulate panels, store them in the manner of a pyspedas loader, and return the names; the only probe is 1."""
    if str(probe) != "1":
        raise ArgumentError("probe", f"found {probe!r}", "Give 1, the only simulated spacecraft.")
    start, duration_s = start_and_duration(trange)
    return store(simulate_panels(start, duration_s, seed), suffix)


def _draw_events(duration_s: float, kinds: Sequence[str], rng: np.random.Generator) -> list[tuple[str, float, float]]:
    """Return kind, start and duration of events in order of time, spread evenly with gaps of random length."""
    mean = 1.2 * sum(KINDS[kind] for kind in kinds)
    rounds = int(duration_s / (2.5 * mean))
    if rounds < 1:
        found = f"found {duration_s:g} s"
        raise ArgumentError("duration_s", found, f"Give at least {2.5 * mean:.0f} s for these kinds.")
    order = [kind for _ in range(rounds) for kind in rng.permutation(kinds)]
    lengths = np.array([KINDS[kind] for kind in order])
    lengths = lengths * np.exp(rng.uniform(np.log(_SHORTEST), np.log(_LONGEST), len(order)))
    lengths *= min(1.0, 0.6 * duration_s / lengths.sum())
    gaps = rng.uniform(0.5, 1.5, len(order) + 1)
    gaps *= (duration_s - lengths.sum()) / gaps.sum()
    starts = np.cumsum(gaps[:-1]) + np.concatenate([[0], np.cumsum(lengths[:-1])])
    return [
        (str(kind), float(start), float(length)) for kind, start, length in zip(order, starts, lengths, strict=True)
    ]


def _red_noise(seconds: np.ndarray, memory_s: float, rng: np.random.Generator, columns: int = 1) -> np.ndarray:
    """Return noise (n, columns) of unit variance that forgets within a time."""
    from scipy.signal import lfilter

    keep = np.exp(-FIELD_S / memory_s)
    white = rng.standard_normal((len(seconds), columns)) * np.sqrt(1 - keep**2)
    white[0] = rng.standard_normal(columns)
    return lfilter([1.0], [1.0, -keep], white, axis=0)


def _background(seconds: np.ndarray, rng: np.random.Generator) -> _State:
    slow = _red_noise(seconds, 3600.0, rng, 8)
    fast = _red_noise(seconds, 20.0, rng, 8)
    field = np.array([5.0, -4.0, 8.0]) + 2.5 * slow[:, :3] + 1.0 * fast[:, :3]
    velocity = np.array([-150.0, 20.0, 0.0]) + 30 * slow[:, 3:6] + 15 * fast[:, 3:6]
    density = 6.0 * np.exp(0.25 * slow[:, 6] + 0.1 * fast[:, 6])
    temperature = 400.0 * np.exp(0.2 * slow[:, 7] + 0.08 * fast[:, 7])
    return _State(seconds, field, velocity, density, temperature, np.zeros(len(seconds)))


def _phase(state: _State, begin: float, length: float) -> np.ndarray:
    """Return time from -1 at the start to 1 at the end of an event."""
    return 2 * (state.seconds - begin) / length - 1


def _axes(rng: np.random.Generator) -> np.ndarray:
    """Return three random orthogonal unit vectors: rows L, M, N."""
    axes, upper = np.linalg.qr(rng.standard_normal((3, 3)))
    return (axes * np.sign(np.diag(upper))).T


def _add_bow_shock(state: _State, begin: float, length: float, rng: np.random.Generator) -> None:
    """A sharp crossing into the magnetosheath after a third of the event, and a slow return at its end."""
    phase, strength = _phase(state, begin, length), rng.uniform(0.8, 1.2)
    inside = 0.5 * (np.tanh((phase + 0.33) / 0.04) - np.tanh((phase - 0.9) / 0.15))
    overshoot = np.exp(-(((phase + 0.25) / 0.06) ** 2))
    state.field *= (1 + strength * (2 * inside + overshoot))[:, None]
    state.velocity *= (1 - 0.5 * strength * inside)[:, None]
    state.density *= 1 + strength * (2 * inside + 0.8 * overshoot)
    state.temperature *= 1 + 2 * strength * inside


def _add_flux_transfer_event(state: _State, begin: float, length: float, rng: np.random.Generator) -> None:
    """A bipolar component along N and an increase along M, in any orientation."""
    phase, axes, strength = _phase(state, begin, length), _axes(rng), rng.uniform(8, 14)
    shape = np.exp(-((phase / 0.5) ** 2))
    bipolar = -phase / 0.35 * np.exp(0.5 - 0.5 * (phase / 0.35) ** 2)
    state.field += strength * (bipolar[:, None] * axes[2] + 1.2 * shape[:, None] * axes[1])
    state.density *= 1 - 0.4 * shape
    state.temperature *= 1 + 0.5 * shape


def _add_dipolarization(state: _State, begin: float, length: float, rng: np.random.Generator) -> None:
    """A dip and then a sharp rise of the field along z, with a flow burst and hotter, thinner plasma behind it."""
    phase, strength = _phase(state, begin, length), rng.uniform(10, 18)
    front = 0.5 * (1 + np.tanh((phase + 0.2) / 0.05)) * np.exp(-np.clip(phase + 0.2, 0, None) / 0.7)
    front *= phase < 3
    dip = np.exp(-(((phase + 0.32) / 0.1) ** 2))
    state.field[:, 2] += strength * (front - 0.4 * dip)
    state.velocity[:, 0] += 400 * front * rng.uniform(0.8, 1.2)
    state.density *= 1 - 0.5 * front + 0.3 * dip
    state.temperature *= 1 + 2.5 * front


def _add_current_sheet(state: _State, begin: float, length: float, rng: np.random.Generator) -> None:
    """A reversal of the field along L inside the event, with less field and more density, in any orientation."""
    phase, axes, strength = _phase(state, begin, length), _axes(rng), rng.uniform(8, 14)
    inside = 0.5 * (np.tanh((phase + 0.9) / 0.08) - np.tanh((phase - 0.9) / 0.08))
    own = strength * (np.tanh(phase / 0.25)[:, None] * axes[0] + 0.3 * axes[1])
    state.field += inside[:, None] * (own - 0.7 * state.field)
    state.density *= 1 + 0.8 * np.exp(-((phase / 0.25) ** 2))


def _add_pc5_wave(state: _State, begin: float, length: float, rng: np.random.Generator) -> None:
    """Five to seven periods of an oscillation across the field, with the velocity a quarter of a period later."""
    phase, periods = _phase(state, begin, length), rng.uniform(5, 7)
    envelope = np.exp(-((phase / 0.6) ** 4))
    turn = np.pi * periods * phase + rng.uniform(0, 2 * np.pi)
    state.field[:, 1] += rng.uniform(4, 7) * envelope * np.cos(turn)
    state.velocity[:, 1] += rng.uniform(60, 100) * envelope * np.sin(turn)


def _add_whistler_burst(state: _State, begin: float, length: float, rng: np.random.Generator) -> None:
    """Several short bursts of wave power between 0.1 and 0.5 gyrofrequencies."""
    for _ in range(rng.integers(3, 6)):
        center, width = begin + length * rng.uniform(0.15, 0.85), length * rng.uniform(0.05, 0.12)
        state.waves += rng.uniform(1.5, 2.5) * np.exp(-(((state.seconds - center) / width) ** 2))


_ADD = {
    "bow_shock": _add_bow_shock,
    "flux_transfer_event": _add_flux_transfer_event,
    "dipolarization": _add_dipolarization,
    "current_sheet": _add_current_sheet,
    "pc5_wave": _add_pc5_wave,
    "whistler_burst": _add_whistler_burst,
}


def _measured(times: np.ndarray, state: _State, rng: np.random.Generator) -> dict[str, Variable]:
    """Return the variables that the instruments would leave, with noise."""
    field = state.field + 0.05 * rng.standard_normal(state.field.shape)
    every, seldom = round(MOMENTS_S / FIELD_S), round(WAVES_S / FIELD_S)
    density = state.density[::every] * np.exp(0.03 * rng.standard_normal(len(state.density[::every])))
    velocity = state.velocity[::every] + 3 * rng.standard_normal(state.velocity[::every].shape)
    spectra = _ion_spectra(density, velocity, state.temperature[::every], rng)
    power = _wave_power(state.waves[::seldom], np.linalg.norm(state.field[::seldom], axis=1), rng)
    coarse, rare = times[::every], times[::seldom]
    made = (
        ("simulated1_fgm_b_gse", times, field, {}, "nT", "GSE"),
        ("simulated1_dis_numberdensity", coarse, density, {}, "cm^-3", ""),
        ("simulated1_dis_bulkv_gse", coarse, velocity, {}, "km/s", "GSE"),
        ("simulated1_dis_energyspectr", coarse, spectra, {"v": ENERGIES}, "eV/(cm^2 s sr eV)", ""),
        ("simulated1_edp_power", rare, power, {"v": FREQUENCIES}, "(mV/m)^2/Hz", ""),
    )
    return {
        name: Variable(name, at, values, tables, {"data_att": {"units": units, "coord_sys": system, **_bins(name)}})
        for name, at, values, tables, units, system in made
    }


def _bins(name: str) -> dict[str, str]:
    """Return the units of bins under the name that pyspedas gives them."""
    subtitle = _TITLES[name][1]
    return {"depend_1_units": subtitle} if subtitle else {}


def _ion_spectra(
    density: np.ndarray, velocity: np.ndarray, temperature: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Return energy fluxes (n, energies) of drifting Maxwellians, averaged over directions, with counting noise."""
    drift = np.sqrt(_PROTON_EV) * np.linalg.norm(velocity, axis=1)[:, None]  # square root of the energy of the flow
    root, width = np.sqrt(ENERGIES)[None], np.sqrt(temperature)[:, None]
    near, far = np.exp(-(((root - drift) / width) ** 2)), np.exp(-(((root + drift) / width) ** 2))
    mean = (near - far) / (4 * np.maximum(root * drift, 1e-6) / width**2)
    flux = 2e6 * density[:, None] * ENERGIES**2 / temperature[:, None] ** 1.5 * mean
    level = 2e3
    return rng.poisson(flux / level + 0.5) * level


def _wave_power(waves: np.ndarray, field: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return power (n, frequencies): a falling background, and bursts at 0.3 gyrofrequencies."""
    center = 0.3 * _GYROFREQUENCY_HZ * np.maximum(field, 1.0)
    band = np.exp(-((np.log(FREQUENCIES[None] / center[:, None]) / 0.5) ** 2))
    quiet = -4.0 - 1.5 * np.log10(FREQUENCIES / 10)
    return 10 ** (quiet + waves[:, None] * band + 0.2 * rng.standard_normal((len(waves), len(FREQUENCIES))))


def _options(variable: Variable) -> dict[str, Any]:
    title, subtitle = _TITLES[variable.name]
    options: dict[str, Any] = {"ytitle": f"simulated {title}", "ysubtitle": f"[{subtitle or variable.units}]"}
    if "v" in variable.coordinates:
        return options | {"spec": True, "ylog": True, "zlog": True, "ztitle": f"[{variable.units}]"}
    return options | ({"legend_names": ["x", "y", "z"], "color": ["b", "g", "r"]} if variable.values.ndim == 2 else {})
