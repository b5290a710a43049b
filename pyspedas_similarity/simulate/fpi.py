"""Simulated MMS FPI distributions of electrons and ions, and the magnetic field.

The plasma model is a crossing of a reconnection site (`magnetopause`) or a long pass of ions (`ion_pass`). The
instrument model converts it to integer counts times the phase space density of one count.

Angles are look directions, as in the real files::

        look azimuth 0 (toward the Sun, +x)
          O  spacecraft  <----  particle with velocity (-v, 0, 0) enters the sector of azimuth 0

so a particle moves in the direction azimuth + 180 degrees, 180 degrees - polar.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..conventions import probe_names
from ..errors import ArgumentError
from ..tplot import Variable, write
from .ion_pass import IonPass
from .magnetopause import PROBES, Event
from .plasma import ENERGY_AT_1_KM_S, Plasma, average_exposures, phase_space_density, true_moments
from .timeline import random_streams, sample_times, seconds_since_first, start_and_duration

# Samples simulated at a time, so that temporary arrays take about 3 MB each.
CHUNK = 50
# Default start of an event.
START = np.datetime64("2020-01-01T12:00:00", "ns")
# The field covers a longer time than the distributions, as in real files.
FIELD_MARGIN_S = 1.0
FIELD_NOISE_NT = 0.02
_FIELD_STEP = {"brst": np.timedelta64(7_812_500, "ns"), "fast": np.timedelta64(62_500_000, "ns")}  # 128 and 16 / s
_FIELD_RATE = {"brst": "brst", "fast": "srvy"}
# One-count level times E^2 (E in eV), from the smallest positive values at high energies in a DIS file of 2020-11-19.
_DIS_ONE_COUNT = 1.74e-18
_MASS_RATIO = ENERGY_AT_1_KM_S["electron"] / ENERGY_AT_1_KM_S["ion"]


@dataclass(frozen=True)
class Instrument:
    """Properties of a particle instrument; the defaults are those of DIS in burst mode.

    One count is f = 2 / (v^4 G dt), proportional to m^2 / (E^2 G dt), with the geometric factor G and the time dt at
    one energy and direction. `one_count_at_1ev` of DIS is that of a real file (2020-11-19), 5.5e-27 s^3 cm^-6 at
    17.8 keV, and so are `background_counts`: about 1 bin in 200 is filled without plasma. That file alternates between
    two tables that are identical. No DES file was available: its one count is that of DIS, scaled by the masses and a
    fifth of the time (30 instead of 150 ms), with equal geometric factors. That is an assumption, accurate to the
    order of magnitude (instruments: Pollock et al. 2016, doi 10.1007/s11214-016-0245-4). The background and
    photoelectrons of DES are assumed.

    ``tables`` of 32 energies each are interleaved on one logarithmic scale over `energy_range_ev` and alternate from
    sample to sample. Photoelectrons of the spacecraft are isotropic, with their own density and temperature. Each
    sample is the mean of `exposures` times.
    """

    species: str = "ion"
    data_rate: str = "brst"
    cadence_ms: int = 150
    energy_range_ev: tuple[float, float] = (2.16, 17800.0)
    tables: int = 1
    one_count_at_1ev: float = _DIS_ONE_COUNT
    background_counts: float = 0.005
    photoelectron_density: float = 0.0
    photoelectron_ev: float = 2.5
    spin_deg_s: float = 18.3
    exposures: int = 1

    def one_count(self, energy_ev: np.ndarray) -> np.ndarray:
        """Return the phase space density of one count in s^3 cm^-6, for each of `energy_ev`."""
        return self.one_count_at_1ev / energy_ev**2

    def energy_tables(self) -> np.ndarray:
        """Return the centers of the energy steps in eV, shape (tables, 32)."""
        return np.geomspace(*self.energy_range_ev, 32 * self.tables).reshape(32, self.tables).T

    def photoelectrons(self, energy_ev: np.ndarray) -> np.ndarray:
        """Return the phase space density of spacecraft photoelectrons in s^3 cm^-6, for each of `energy_ev`."""
        spread = 1e5 * np.sqrt(self.photoelectron_ev / (2 * ENERGY_AT_1_KM_S[self.species]))  # cm/s
        peak = self.photoelectron_density / ((2 * np.pi) ** 1.5 * spread**3)
        return peak * np.exp(-energy_ev / self.photoelectron_ev)


DIS = Instrument()
DES = Instrument(
    species="electron",
    cadence_ms=30,
    energy_range_ev=(6.0, 30000.0),
    tables=2,
    one_count_at_1ev=_DIS_ONE_COUNT * 5 * _MASS_RATIO**2,
    background_counts=0.002,
    photoelectron_density=2.0,
)
# Fast survey: sums over 4.5 s with one table; the background grows accordingly.
_FAST: dict[str, Any] = {"data_rate": "fast", "cadence_ms": 4500, "tables": 1, "exposures": 45, "spin_deg_s": 0.0}
DIS_FAST = replace(DIS, **_FAST, one_count_at_1ev=DIS.one_count_at_1ev / 30, background_counts=0.15)
DES_FAST = replace(DES, **_FAST, one_count_at_1ev=DES.one_count_at_1ev / 150, background_counts=0.3)
INSTRUMENTS = {(each.species, each.data_rate): each for each in (DIS, DES, DIS_FAST, DES_FAST)}


@dataclass(frozen=True)
class SimulatedPass:
    """Simulated measurements of one spacecraft, and the truth.

    Measured: ``times`` (n,) datetime64[ns]; ``distribution`` and its 1-sigma ``error`` (n, 32 azimuth, 16 polar,
    32 energy) float32 s^3 cm^-6; ``error_flags`` (n,) uint32; ``azimuth`` (n, 32) and ``polar`` (16,) look directions
    in degrees; ``energy_ev`` (n, 32); ``parity`` (n,) uint8; ``startdelphi_count`` (n,) uint16, the spin phase in
    1/16 degree; ``field_times`` (m,) and ``field`` (m, 4) nT, the last component its strength. The axes serve as
    DBCS, DMPA and GSE.

    Truth, moments of the plasma, not of the counts: ``density`` (n,) cm^-3; ``velocity`` (n, 3) km/s;
    ``temperature`` (n, 3, 3) eV; ``region`` (n,) str.
    """

    times: np.ndarray
    distribution: np.ndarray
    error: np.ndarray
    error_flags: np.ndarray
    azimuth: np.ndarray
    polar: np.ndarray
    energy_ev: np.ndarray
    parity: np.ndarray
    startdelphi_count: np.ndarray
    field_times: np.ndarray
    field: np.ndarray
    density: np.ndarray
    velocity: np.ndarray
    temperature: np.ndarray
    temperature_parallel: np.ndarray
    temperature_perpendicular: np.ndarray
    region: np.ndarray
    seed: int
    probe: str
    instrument: Instrument

    @property
    def species(self) -> str:
        """'ion' or 'electron'."""
        return self.instrument.species

    @property
    def data_rate(self) -> str:
        """'brst' or 'fast'."""
        return self.instrument.data_rate

    @property
    def temperature_ev(self) -> np.ndarray:
        """Scalar temperature, a third of the trace, (n,) eV."""
        return np.trace(self.temperature, axis1=1, axis2=2) / 3

    @property
    def omni(self) -> np.ndarray:
        """Energy flux of the counts averaged over all directions, keV/(cm^2 s sr keV), (n, 32)."""
        return omni_energy_flux(self.distribution, self.polar, self.energy_ev, self.species)


def simulate_event(
    seed: int = 0,
    species: str = "electron",
    start: np.datetime64 = START,
    duration_s: float = 12.0,
    probe: str | int = "1",
    instrument: Instrument | None = None,
    edr: bool = True,
) -> SimulatedPass:
    """Simulate a crossing of a reconnection site by one of four spacecraft.

    The middle of the crossing is near that of the interval, so that a short one contains the diffusion region and its
    surroundings, and a long one the adjacent magnetosheath and magnetosphere as well. Without `edr` there is outflow in
    the middle. Other probes and species of the same seed have the same plasma, with independent counting noise. The
    default instrument is that of the species in burst mode; if one is given, its species is used. `species` is
    'electron' or 'ion', `probe` '1' to '4'. Raise ArgumentError if an argument is invalid.
    """
    if str(probe) not in PROBES:
        raise ArgumentError("probe", f"found {probe!r}", "Give 1, 2, 3 or 4.")
    probe = str(probe)
    if instrument is None:
        instrument = _instrument(species, "brst")
    streams = random_streams(seed, 1 + 2 * len(PROBES))
    event = Event.draw(seed, edr, streams[0])
    counting = streams[1 + 2 * PROBES.index(probe) + (instrument.species == "ion")]
    times = sample_times(start, duration_s, np.timedelta64(instrument.cadence_ms, "ms"))
    middle_s = duration_s * (0.5 + event.parameters.edr_offset) + event.delay_s(probe)
    return _observe(event, times, -middle_s, instrument, counting, seed, probe)


def simulate_pass(
    start: np.datetime64, duration_s: float = 300.0, seed: int = 0, instrument: Instrument = DIS
) -> SimulatedPass:
    """Simulate ion distributions of a long pass through magnetosheath, boundary layer, jets and magnetosphere.

    300 s contain at least four separate jets. For the same seed, a shorter pass is the beginning of a longer one.
    ArgumentError if `duration_s` or `seed` is invalid.
    """
    course, draws, counting = random_streams(seed, 3)
    times = sample_times(start, duration_s, np.timedelta64(instrument.cadence_ms, "ms"))
    return _observe(IonPass.draw(duration_s, course, draws), times, 0.0, instrument, counting, seed, "1")


def _observe(
    scene: Event | IonPass,
    times: np.ndarray,
    first_s: float,
    instrument: Instrument,
    counting: np.random.Generator,
    seed: int,
    probe: str,
) -> SimulatedPass:
    """Measure a scene; `first_s` is the time of the scene at the first of `times`."""
    middles_s = first_s + seconds_since_first(times)
    azimuth, polar, spin = look_directions(seconds_since_first(times), instrument.spin_deg_s, counting)
    parity = (np.arange(times.size) % 2).astype(np.uint8)
    energy_ev = instrument.energy_tables().astype(np.float32)[parity % instrument.tables]
    plasma = _exposed(scene, middles_s, instrument)
    distribution, error = measure(plasma, azimuth, polar, energy_ev, instrument, counting)
    density, velocity, temperature = true_moments(plasma)
    parallel, perpendicular = _along_and_across(scene.field(middles_s), temperature)
    field_times, field = _measured_field(scene, times, first_s, instrument, counting)
    return SimulatedPass(
        times=times,
        distribution=distribution,
        error=error,
        error_flags=np.zeros(times.size, np.uint32),
        azimuth=azimuth,
        polar=polar,
        energy_ev=energy_ev,
        parity=parity,
        startdelphi_count=spin,
        field_times=field_times,
        field=field,
        density=density,
        velocity=velocity,
        temperature=temperature,
        temperature_parallel=parallel,
        temperature_perpendicular=perpendicular,
        region=scene.region(middles_s),
        seed=seed,
        probe=probe,
        instrument=instrument,
    )


def _along_and_across(field: np.ndarray, temperature: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the temperatures (n,) along and across a field (n, 3), of tensors (n, 3, 3)."""
    b = field / np.linalg.norm(field, axis=1, keepdims=True)
    parallel = np.einsum("ni,nij,nj->n", b, temperature, b)
    return parallel, (np.trace(temperature, axis1=1, axis2=2) - parallel) / 2


def _exposed(scene: Event | IonPass, times_s: np.ndarray, instrument: Instrument) -> Plasma:
    """Return the plasma of each sample, averaged over its exposures."""
    count, cadence_s = instrument.exposures, instrument.cadence_ms / 1000
    if count == 1:
        return scene.plasma(instrument.species, times_s)
    offsets_s = (np.arange(count) + 0.5) / count * cadence_s
    return average_exposures(scene.plasma(instrument.species, (times_s[:, None] + offsets_s).ravel()), count)


def _measured_field(
    scene: Event | IonPass, times: np.ndarray, first_s: float, instrument: Instrument, counting: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return times (m,) and field (m, 4) nT float32 with its strength, from 1 s before to 1 s after `times`."""
    step = _FIELD_STEP[instrument.data_rate]
    margin = np.timedelta64(round(FIELD_MARGIN_S * 1e9), "ns")
    last = np.timedelta64(instrument.cadence_ms, "ms")
    field_times = np.arange(times[0] - margin, times[-1] + last + margin, step)
    field = scene.field(first_s + (field_times - times[0]) / np.timedelta64(1, "s"))
    field = field + FIELD_NOISE_NT * counting.standard_normal(field.shape)
    return field_times, np.column_stack([field, np.linalg.norm(field, axis=1)]).astype(np.float32)


def look_directions(
    times_s: np.ndarray, spin_deg_s: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return look azimuth (n, 32) and polar angle (16,) in degrees, float32, and spin phase (n,) uint16 in 1/16 degree.

    As in the real file, sectors are sorted from the Sun: the first is between 0 and 11.25 degrees and moves with the
    spin, in steps of the Sun-pulse clock of 5760 counts per turn, 155 counts ahead of the spin phase.
    """
    turned = np.floor((rng.uniform(0, 360) + spin_deg_s * times_s) * 16)
    azimuth = (turned / 16 % 11.25)[:, None] + 11.25 * np.arange(32)
    spin = ((turned - 155) % 5760).astype(np.uint16)
    return azimuth.astype(np.float32), (5.625 + 11.25 * np.arange(16)).astype(np.float32), spin


def measure(
    plasma: Plasma,
    azimuth: np.ndarray,
    polar: np.ndarray,
    energy_ev: np.ndarray,
    instrument: Instrument,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Count the plasma, photoelectrons and background at look directions (n, 32), (16,) and energies (n, 32).

    Return Poisson counts N times the one-count level and the square root of N times it, in s^3 cm^-6, both float32
    (n, 32, 16, 32). The error is 0 for no counts, as in the real file.
    """
    shape = (len(azimuth), azimuth.shape[1], polar.size, energy_ev.shape[1])
    distribution, error = np.empty(shape, np.float32), np.empty(shape, np.float32)
    for first in range(0, shape[0], CHUNK):
        rows = slice(first, first + CHUNK)
        one_count = instrument.one_count(energy_ev[rows].astype(np.float64))
        floor = instrument.background_counts + instrument.photoelectrons(energy_ev[rows]) / one_count
        expected = phase_space_density(plasma, rows, azimuth[rows], polar, energy_ev[rows])
        expected *= (1 / one_count).astype(np.float32)[:, None, None, :]
        expected += floor.astype(np.float32)[:, None, None, :]
        counts = rng.poisson(expected).astype(np.float32)
        level = one_count.astype(np.float32)[:, None, None, :]
        np.multiply(counts, level, out=distribution[rows])
        np.multiply(np.sqrt(counts, out=counts), level, out=error[rows])
    return distribution, error


def omni_energy_flux(
    distribution: np.ndarray, polar: np.ndarray, energy_ev: np.ndarray, species: str = "ion"
) -> np.ndarray:
    """Return the energy flux averaged over all directions, v^4 f / 2, in keV/(cm^2 s sr keV), shape (n, 32)."""
    solid_angle = np.sin(np.radians(polar))
    mean = np.einsum("tape,p->te", distribution, solid_angle) / (solid_angle.sum() * distribution.shape[1])
    speed_squared = energy_ev.astype(np.float64) / ENERGY_AT_1_KM_S[species] * 1e10  # (cm/s)^2
    return (0.5 * speed_squared**2 * mean).astype(np.float32)


def load(
    trange: object,
    probe: str | int | Sequence[str | int] = "1",
    data_rate: str = "brst",
    suffix: str = "",
    seed: int = 0,
    species: str = "ion",
    scene: str | None = None,
) -> list[str]:
    """Simulate FPI and FGM data and store them as tplot variables, like the loaders of real data.

    Parameters
    ----------
    trange : pair of times
        The same seed at another start is the same plasma at another time. The middle of an event is near that of the
        range.
    probe : str, int, or several
        '1' to '4'; only '1' for the long pass.
    data_rate : {'brst', 'fast'}
    suffix : str
        Appended to every name.
    seed : int
    species : {'ion', 'electron'}
    scene : {'pass', 'event', 'control'}, optional
        A long pass of ions (the default for ions), a crossing with a diffusion region (the default for electrons), or
        one without.

    Returns
    -------
    list of str
        Distributions first, one for each probe; then for each probe errors and error flags, density, bulk velocity,
        temperatures (the truth, not computed from counts), omnidirectional energy spectrum and magnetic field.

    Raises
    ------
    SimilarityError
        If an argument is invalid.
    """
    probes = probe_names(probe, "simulated|mms", PROBES)
    instrument, (start, duration_s) = _instrument(species, data_rate), start_and_duration(trange)
    scene = scene or ("pass" if species == "ion" else "event")
    if scene not in ("pass", "event", "control"):
        raise ArgumentError("scene", f"found {scene!r}", "Give 'pass', 'event' or 'control'.")
    if scene == "pass" and (species != "ion" or set(probes) != {"1"}):
        raise ArgumentError("scene 'pass'", f"found {species}s, probe {probe!r}", "It has only ions and probe '1'.")
    names = []
    for name in probes:
        if scene == "pass":
            simulated = simulate_pass(start, duration_s, seed, instrument)
        else:
            simulated = simulate_event(seed, species, start, duration_s, name, instrument, scene == "event")
        names.append(store(simulated, suffix))
    return [stored[0] for stored in names] + [name for stored in names for name in stored[1:]]


def load_electrons(trange: object, probe: str | int | Sequence[str | int] = "1", **keywords: Any) -> list[str]:
    """Simulate electrons of a crossing of a reconnection site; see `load`."""
    return load(trange, probe, **{"species": "electron", **keywords})


def _instrument(species: str, data_rate: str) -> Instrument:
    if (species, data_rate) not in INSTRUMENTS:
        found = f"found species {species!r}, data_rate {data_rate!r}"
        raise ArgumentError("simulated FPI", found, "Give 'electron' or 'ion', 'brst' or 'fast'.")
    return INSTRUMENTS[species, data_rate]


def store(data: SimulatedPass, suffix: str = "") -> list[str]:
    """Store a simulated pass under the names of real variables, but `simulated1` instead of `mms1`; return them."""
    sensor, rate = f"d{data.species[0]}s", data.data_rate
    about = {"seed": data.seed, "region": data.region.tolist()}
    title = f"simulated{data.probe} {sensor.upper()}"

    def write_variable(name: str, values: np.ndarray, units: str, coordinates: dict, options: dict) -> str:
        attributes = {"data_att": {"units": units}, "simulated": about}
        end = "_dist" if name == "errorflags" else ""  # as the MMS loader, which appends this to the suffix
        full = f"simulated{data.probe}_{sensor}_{name}_{rate}{suffix}{end}"
        variable = Variable(full, data.times, values, coordinates, attributes)
        return write(variable, {"ytitle": f"{title} {name}"} | options)

    look = {"v1": data.azimuth if rate == "brst" else data.azimuth[0], "v2": data.polar, "v3": data.energy_ev}
    spectrogram = {"ytitle": f"{title} energy", "ysubtitle": "[eV]", "ztitle": "[keV/(cm^2 s sr keV)]"}
    spectrogram |= {"spec": True, "ylog": True, "zlog": True}
    flow = {"ytitle": f"{title} velocity", "legend_names": ["Vx DBCS", "Vy DBCS", "Vz DBCS"]}
    return [
        write_variable("dist", data.distribution, "s^3/cm^6", look, {"ytitle": f"{title} distribution"}),
        write_variable("disterr", data.error, "s^3/cm^6", look, {}),
        write_variable("errorflags", data.error_flags, "", {}, {}),
        write_variable("numberdensity", data.density, "cm^-3", {}, {"ytitle": f"{title} density"}),
        write_variable("bulkv_dbcs", data.velocity, "km/s", {}, flow),
        write_variable("temppara", data.temperature_parallel, "eV", {}, {}),
        write_variable("tempperp", data.temperature_perpendicular, "eV", {}, {}),
        write_variable("energyspectr_omni", data.omni, "keV/(cm^2 s sr keV)", {"v": data.energy_ev}, spectrogram),
        _store_field(data, suffix),
    ]


def _store_field(data: SimulatedPass, suffix: str) -> str:
    name = f"simulated{data.probe}_fgm_b_dmpa_{_FIELD_RATE[data.data_rate]}_l2{suffix}"
    about = {"data_att": {"units": "nT"}, "simulated": {"seed": data.seed}}
    variable = Variable(name, data.field_times, data.field, {}, about)
    options = {"ytitle": f"simulated{data.probe} FGM", "legend_names": ["Bx DMPA", "By DMPA", "Bz DMPA", "B total"]}
    return write(variable, options)
