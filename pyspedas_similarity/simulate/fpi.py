"""Simulated MMS FPI DIS burst ions of a pass along the magnetopause: plasma first, then the instrument.

The plasma is a sum of drifting bi-Maxwellians that the spacecraft meets one region after another. The instrument
counts: every value is a whole number of counts times the phase space density of one count.

Angles are look directions, as in the real files::

        look azimuth 0 (towards the Sun, +x)
          O  spacecraft  <----  ion with velocity (-v, 0, 0) enters the sector of azimuth 0

so an ion moves along azimuth + 180 degrees and 180 degrees - polar.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..errors import ArgumentError
from ..times import to_interval
from ..tplot import Variable, write
from .plasma import PROTON_EV, Plasma, phase_space_density, plasma_along, true_moments
from .timeline import draw_episodes, kind_at, presence, random_streams, sample_times, seconds_since_first

# Samples simulated at a time: temporaries stay near 10 MB each, whatever the length of the pass.
CHUNK = 100
# Shortest and longest stay in each region, in seconds. At their longest, four jets still fit into 300 s.
STAY_S = {"magnetosheath": (12, 28), "boundary_layer": (4, 8), "magnetosphere": (12, 28), "jet": (3, 8)}
RAMP_S = 0.8


@dataclass(frozen=True)
class Instrument:
    """What makes one particle instrument different from another; the defaults are DIS in burst.

    `one_count_at_1ev` and `background_counts` are those of a real file (2020-11-19): the smallest value above zero
    is 1.74e-18 / E^2 s^3 cm^-6 at high energies, 5.5e-27 at 17.8 keV, and about 1 bin in 200 is filled where no
    plasma is. That file has one energy table (`tables` = 1); files with interleaved tables have two.
    """

    cadence_ms: int = 150
    energy_range_ev: tuple[float, float] = (2.16, 17800.0)
    tables: int = 2
    table_step: float = 1.04
    one_count_at_1ev: float = 1.74e-18
    background_counts: float = 0.005
    spin_deg_s: float = 18.3

    def one_count(self, energy_ev: np.ndarray) -> np.ndarray:
        """Phase space density of one count in s^3 cm^-6, of the shape of `energy_ev`."""
        return self.one_count_at_1ev / energy_ev**2

    def energy_tables(self) -> np.ndarray:
        """Centres of the energy steps in eV, shape (tables, 32)."""
        base = np.geomspace(*self.energy_range_ev, 32)
        return base * self.table_step ** np.arange(self.tables)[:, None]


DIS = Instrument()


@dataclass(frozen=True)
class SimulatedPass:
    """A simulated pass: what the instrument gives, and the truth behind it.

    ``times`` (n,) datetime64[ns]; ``distribution`` (n, 32 azimuth, 16 polar, 32 energy) float32 s^3 cm^-6;
    ``azimuth`` (n, 32) and ``polar`` (16,) look directions in degrees; ``energy_ev`` (n, 32); ``parity`` (n,) the
    energy table in use; truth: ``density`` (n,) cm^-3, ``velocity`` (n, 3) km/s, ``temperature_ev`` (n,),
    ``region`` (n,) str.
    """

    times: np.ndarray
    distribution: np.ndarray
    azimuth: np.ndarray
    polar: np.ndarray
    energy_ev: np.ndarray
    parity: np.ndarray
    density: np.ndarray
    velocity: np.ndarray
    temperature_ev: np.ndarray
    region: np.ndarray
    seed: int


def simulate_pass(
    start: np.datetime64, duration_s: float = 300.0, seed: int = 0, instrument: Instrument = DIS
) -> SimulatedPass:
    """Simulate ion distributions of a pass through magnetosheath, boundary layer, jets and magnetosphere.

    Parameters
    ----------
    start : numpy.datetime64
    duration_s : float
        300 s hold at least four separate jets.
    seed : int
        Of one seed, a shorter pass is the beginning of a longer one.
    instrument : Instrument

    Returns
    -------
    SimulatedPass

    Raises
    ------
    ArgumentError
        If `duration_s` or `seed` is not usable.
    """
    course, draws, counting = random_streams(seed, 3)
    times = sample_times(start, duration_s, np.timedelta64(instrument.cadence_ms, "ms"))
    times_s = seconds_since_first(times)
    episodes = draw_episodes(_crossings(course), STAY_S, duration_s, course)
    share = presence(episodes, times_s, RAMP_S)
    plasma = plasma_along(episodes, share, times_s, draws)
    azimuth, polar = look_directions(times_s, instrument.spin_deg_s, counting)
    parity = (np.arange(times.size) % instrument.tables).astype(np.uint8)
    energy_ev = instrument.energy_tables().astype(np.float32)[parity]
    distribution = measure(plasma, azimuth, polar, energy_ev, instrument, counting)
    return SimulatedPass(
        times, distribution, azimuth, polar, energy_ev, parity, *true_moments(plasma), kind_at(episodes, share), seed
    )


def _crossings(rng: np.random.Generator) -> Iterator[str]:
    """Regions in the order met: to and fro across the boundary, every crossing through a jet in its layer."""
    sides = ("magnetosheath", "magnetosphere")
    side = int(rng.integers(2))
    while True:
        yield from (sides[side], "boundary_layer", "jet", "boundary_layer")
        side = 1 - side


def look_directions(times_s: np.ndarray, spin_deg_s: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Look azimuth (n, 32) and polar angle (16,) in degrees, float32.

    The sectors are fixed to the turning spacecraft and sorted from the Sun: the first lies between 0 and 11.25
    degrees and moves on by the spin, in steps of 1/16 degree (Sun-pulse clock of 5760 counts a turn, as in the real
    files).
    """
    turned = rng.uniform(0, 360) + spin_deg_s * times_s
    first = np.floor(turned * 16) / 16 % 11.25
    azimuth = first[:, None] + 11.25 * np.arange(32)
    return azimuth.astype(np.float32), (5.625 + 11.25 * np.arange(16)).astype(np.float32)


def measure(
    plasma: Plasma,
    azimuth: np.ndarray,
    polar: np.ndarray,
    energy_ev: np.ndarray,
    instrument: Instrument,
    rng: np.random.Generator,
) -> np.ndarray:
    """Count the plasma: distribution (n, 32, 16, 32) float32 in s^3 cm^-6, Poisson counts times one-count level.

    `azimuth` (n, 32) and `polar` (16,) in degrees, `energy_ev` (n, 32).
    """
    n = len(azimuth)
    measured = np.empty((n, azimuth.shape[1], polar.size, energy_ev.shape[1]), np.float32)
    for first in range(0, n, CHUNK):
        rows = slice(first, first + CHUNK)
        one_count = instrument.one_count(energy_ev[rows])[:, None, None, :]
        expected = phase_space_density(plasma, rows, azimuth[rows], polar, energy_ev[rows]) / one_count
        expected += instrument.background_counts
        np.multiply(rng.poisson(expected), one_count, out=measured[rows], casting="same_kind")
    return measured


def omni_energy_flux(distribution: np.ndarray, polar: np.ndarray, energy_ev: np.ndarray) -> np.ndarray:
    """Energy flux averaged over all directions, v^4 f / 2, in keV/(cm^2 s sr keV), shape (n, 32)."""
    solid_angle = np.sin(np.radians(polar))
    mean = np.einsum("tape,p->te", distribution, solid_angle) / (solid_angle.sum() * distribution.shape[1])
    speed_squared = energy_ev / PROTON_EV * 1e10  # (cm/s)^2
    return (0.5 * speed_squared**2 * mean).astype(np.float32)


def load(
    trange: object,
    probe: str | int = "1",
    data_rate: str = "brst",
    suffix: str = "",
    seed: int = 0,
) -> list[str]:
    """Simulate FPI ions and store them as tplot variables, as the FPI loader stores real ones.

    Parameters
    ----------
    trange : pair of times
        The pass begins at the first: the same seed at another start is the same plasma at another time.
    probe : str or int
        '1': one spacecraft is simulated.
    data_rate : str
        'brst': burst is simulated.
    suffix : str
        Put after every name.
    seed : int

    Returns
    -------
    list of str
        Distribution, then density, bulk velocity (both the truth, not computed from counts), omni energy spectrum.

    Raises
    ------
    SimilarityError
        If the range, probe, rate or seed cannot be used.
    """
    if str(probe) != "1" or data_rate != "brst":
        found = f"found probe {probe!r}, data_rate {data_rate!r}"
        raise ArgumentError("simulated FPI", found, "Use probe '1' and data_rate 'brst'.")
    start, end = to_interval(trange)
    return _store(simulate_pass(start, float((end - start) / np.timedelta64(1, "s")), seed), suffix)


def _store(data: SimulatedPass, suffix: str) -> list[str]:
    truth = {"seed": data.seed, "region": data.region.tolist()}

    def store(name: str, values: np.ndarray, units: str, coordinates: dict, options: dict) -> str:
        attributes = {"data_att": {"units": units}, "simulated": truth}
        variable = Variable(f"simulated_dis_{name}_brst{suffix}", data.times, values, coordinates, attributes)
        return write(variable, options)

    look = {"v1": data.azimuth, "v2": data.polar, "v3": data.energy_ev}
    flux = omni_energy_flux(data.distribution, data.polar, data.energy_ev)
    title = "simulated DIS"
    spectrogram = {"ytitle": f"{title} energy", "ysubtitle": "[eV]", "ztitle": "[keV/(cm^2 s sr keV)]"}
    spectrogram |= {"spec": True, "ylog": True, "zlog": True}
    flow = {"ytitle": f"{title} velocity", "legend_names": ["Vx DBCS", "Vy DBCS", "Vz DBCS"]}
    return [
        store("dist", data.distribution, "s^3/cm^6", look, {"ytitle": f"{title} distribution"}),
        store("numberdensity", data.density, "cm^-3", {}, {"ytitle": f"{title} density"}),
        store("bulkv_dbcs", data.velocity, "km/s", {}, flow),
        store("energyspectr_omni", flux, "keV/(cm^2 s sr keV)", {"v": data.energy_ev}, spectrogram),
    ]
