"""Library of simulated electron distributions with random plasma and random instruments, to train networks."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np

from pyspedas_similarity.errors import ArgumentError
from pyspedas_similarity.imaging.distributions import distribution_images
from pyspedas_similarity.imaging.plasma import distributions
from pyspedas_similarity.instruments.registry import ELECTRONS
from pyspedas_similarity.simulate.fpi import DES, FIELD_NOISE_NT, Instrument, look_directions, measure
from pyspedas_similarity.simulate.magnetopause import PROBES, RANGES, Event, EventParameters
from pyspedas_similarity.simulate.plasma import true_moments
from pyspedas_similarity.simulate.timeline import random_streams

PER_EVENT = 4
"""Instants of an event."""

IMAGES_OF_INSTANT = ("first", "instrument", "next", "sibling")
"""Images of an instant: by one instrument; the same plasma by another instrument; the next sample; a sibling
spacecraft at the same time. They are partners of each other."""

FIRST_SEED = 100_000
"""Seeds of the other benchmarks are lower."""

_FACTOR = 1.6
"""Quantities with these units are multiplied by a random factor between its inverse and it."""
_SCALED = ("km/s", "eV", "cm^-3", "nT", "T_par / sheath")
# Crescents drift along E x B in some theories and along the current in others, at any angle to the axis of the recipe;
# some are nearly rings, others narrow; they are hot or cold along the field.
_REPLACED = {"crescent_turn": (-180.0, 180.0), "crescent_opening": (0.3, 6.0), "crescent_parallel": (800.0, 6000.0)}
_REPLACED |= {"crescent_share": (0.1, 0.6), "guide_field": (0.02, 0.8), "sheath_anisotropy": (0.7, 1.5)}
_EDGE_S = 1.0
"""Longest time before and after the crossing that instants lie in."""
_FIELD_ERROR_DEG, _FLOW_ERROR_KM_S = 3.0, 30.0


@dataclass(frozen=True, eq=False)
class RandomLibrary:
    """``images`` (n, channels, pixels, pixels); rows of their ``partners`` (n, k); ``event`` and ``state`` (n,)."""

    images: np.ndarray
    partners: np.ndarray
    event: np.ndarray
    state: np.ndarray

    def first(self, number: int) -> RandomLibrary:
        """Return the library of the first events, with `number` images at most."""
        kept = slice(0, number)
        return RandomLibrary(self.images[kept], self.partners[kept], self.event[kept], self.state[kept])


def make_electrons(events: int, first_seed: int = FIRST_SEED) -> RandomLibrary:
    """Simulate a library: `PER_EVENT` instants of each event, with an image for each of `IMAGES_OF_INSTANT`."""
    parts = [_images_of_event(seed) for seed in range(first_seed, first_seed + events)]
    images, state = (np.concatenate(each) for each in zip(*parts, strict=True))
    per_instant = len(IMAGES_OF_INSTANT)
    row = np.arange(len(images))
    instant = row - row % per_instant
    partners = instant[:, None] + (row[:, None] + np.arange(1, per_instant)) % per_instant
    return RandomLibrary(images, partners, row // (PER_EVENT * per_instant), state)


def random_parameters(rng: np.random.Generator) -> EventParameters:
    """Draw the parameters of an event from wider ranges than those of the simulator."""
    drawn = EventParameters.draw(rng)
    changed = {}
    for each in fields(EventParameters):
        factor = float(np.exp(rng.uniform(-1, 1) * np.log(_FACTOR)))
        if each.name in _REPLACED:
            changed[each.name] = float(rng.uniform(*_REPLACED[each.name]))
        elif RANGES[each.name][2] in _SCALED:
            changed[each.name] = getattr(drawn, each.name) * factor
    return replace(drawn, **changed)


def random_instrument(rng: np.random.Generator) -> Instrument:
    """Draw an instrument: energies, tables, sensitivity, background and photoelectrons."""
    sensitivity, background = np.exp(rng.uniform(-1, 1, 2) * np.log(4))
    return replace(
        DES,
        energy_range_ev=(float(rng.uniform(5, 12)), float(rng.uniform(15e3, 35e3))),
        tables=int(rng.integers(1, 3)),
        one_count_at_1ev=DES.one_count_at_1ev * float(sensitivity),
        background_counts=DES.background_counts * float(background),
        photoelectron_density=float(rng.uniform(0, 4)),
        photoelectron_ev=float(rng.uniform(2, 4)),
    )


def _images_of_event(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return images (n, channels, pixels, pixels) and states (n,) of an event, instant by instant."""
    draws, course, counting = random_streams(seed, 3)
    event = replace(Event.draw(seed, bool(draws.random() < 0.7), course), parameters=random_parameters(draws))
    sibling = event.delay_s(PROBES[0]) - event.delay_s(str(draws.choice(PROBES[1:])))
    times = _instants(event, draws)
    instruments = [random_instrument(draws) for _ in range(2)]
    next_s = DES.cadence_ms / 1000
    measured = [(times, 0), (times, 1), (times + next_s, 0), (times + sibling, 0)]
    images = [_observed(event, when, instruments[number], counting) for when, number in measured]
    states = [event.region(when) for when, _ in measured]
    pixels = images[0].shape[1:]
    return np.stack(images, axis=1).reshape(-1, *pixels), np.stack(states, axis=1).ravel()


def _instants(event: Event, rng: np.random.Generator) -> np.ndarray:
    """Draw times in s: states with equal probability, so that rare ones are not missed."""
    starts = np.array([each.start_s for each in event.episodes])
    starts[0] = starts[1] - _EDGE_S
    ends = np.append(starts[1:], starts[-1] + _EDGE_S)
    chosen = rng.integers(0, len(starts), PER_EVENT)
    return rng.uniform(starts[chosen], ends[chosen])


def _observed(event: Event, times: np.ndarray, instrument: Instrument, rng: np.random.Generator) -> np.ndarray:
    """Return the images of some times, with errors of field and flow."""
    azimuth, polar, _ = look_directions(times, instrument.spin_deg_s, rng)
    energy_ev = instrument.energy_tables().astype(np.float32)[rng.integers(0, instrument.tables, len(times))]
    plasma = event.plasma("electron", times)
    distribution, error = measure(plasma, azimuth, polar, energy_ev, instrument, rng)
    field, flow = event.field(times), true_moments(plasma)[1]
    strength = np.linalg.norm(field, axis=1, keepdims=True)
    field = field + strength * np.radians(_FIELD_ERROR_DEG) * rng.standard_normal(field.shape)
    field += FIELD_NOISE_NT * rng.standard_normal(field.shape)
    flow = flow + _FLOW_ERROR_KM_S * rng.standard_normal(flow.shape)
    found = distributions(distribution, azimuth, polar, energy_ev, "electron", field=field, velocity=flow, error=error)
    return distribution_images(found, ELECTRONS).astype(np.float16)


def load_or_make(path: Path, events: int) -> RandomLibrary:
    """Return the library in a file, which is made if it does not exist; raise ArgumentError if it has fewer events."""
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        made = make_electrons(events)
        temporary = path.with_suffix(".part.npz")
        np.savez(temporary, **{each.name: getattr(made, each.name) for each in fields(made)})
        temporary.replace(path)
    with np.load(path) as file:
        library = RandomLibrary(**{name: file[name] for name in file.files})
    found = int(library.event.max()) + 1
    if found < events:
        raise ArgumentError(
            str(path), f"it has {found} events, {events} are needed", "Remove it, or give another --out."
        )
    return library
