"""Encoder of electron distributions, trained on simulated events at reconnection sites, on two of four spacecraft."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.data_sets.edr import images_of
from benchmarks.shipped_encoders.paired_images import SEED_STEP, PairedImages, concatenate
from pyspedas_similarity.encoder.canonical import CanonicalPlan
from pyspedas_similarity.instruments.registry import ELECTRONS
from pyspedas_similarity.simulate.fpi import DES, simulate_event

NAME, KIND, RECIPE, INSTEAD_OF = "mms_electrons", "distribution", ELECTRONS, ()

FIRST_SEED = 1000
"""Seed of the first event; those of the benchmark start at 200, those for choosing its settings are lower."""

EVENTS, DURATION_S, PROBES = 120, 12.0, 2
WITHOUT_REGION = 3
"""Every so many events has no diffusion region, so that its surroundings are learned as well."""

CADENCE_MS = 120
"""Every fourth sample of DES in burst mode: neighbors at 30 ms are nearly equal."""

MOMENTS = 8
"""Random times of each event; many events of few samples are more informative than few events of many."""

PLAN = CanonicalPlan(components=24, group_noise=1.0)
"""Chosen on events 400 to 409. Differences of density, temperature and field between events count as noise."""

KNOWN_FAILURES = [
    "Trained on simulated distributions alone; never tried on distributions measured by DES.",
    "The six nearest samples are often of one event, since neighbors in time are nearly equal: count intervals.",
    "Ions, and electrons imaged by another recipe, are refused.",
]


def training_images(quick: bool = False, data: Path | None = None, seed: int = 0) -> PairedImages:
    """Return images of simulated events; positives are the other spacecraft at the same time and the next sample.

    Parameters
    ----------
    quick : bool
        Few and short events, to try the command.
    data : Path, optional
        Not used: no real electron distributions are available.
    seed : int
        Seed of the events.
    """
    events, duration_s = (3, 3.0) if quick else (EVENTS, DURATION_S)
    first = FIRST_SEED + seed * SEED_STEP
    seeds = range(first, first + events)
    parts = [_event(seed, duration_s) for seed in seeds]
    data = [f"simulated electrons, events {seeds[0]} to {seeds[-1]}, {PROBES} spacecraft each"]
    return replace(concatenate(*parts), data=data)


def _event(seed: int, duration_s: float) -> PairedImages:
    """Return images of random times of an event, and of the next ones, from two spacecraft."""
    instrument = replace(DES, cadence_ms=CADENCE_MS)
    has_region = seed % WITHOUT_REGION != WITHOUT_REGION - 1
    images = []
    for probe in ("1", str(2 + seed % 3)):
        simulated = simulate_event(seed, duration_s=duration_s, probe=probe, instrument=instrument, edr=has_region)
        images.append(images_of(simulated, RECIPE))
    length = len(simulated.times)
    chosen = np.zeros(length, bool)
    drawn = np.random.default_rng(seed).choice(length - 1, MOMENTS, replace=False)
    chosen[drawn] = chosen[drawn + 1] = True
    rows = np.arange(PROBES * length)
    sibling = (rows + length) % len(rows)
    following = np.where(rows % length < length - 1, rows + 1, -1)
    everything = PairedImages(
        np.concatenate(images), np.stack([sibling, following], axis=1), np.full(len(rows), seed), []
    )
    return everything.select(np.tile(chosen, PROBES))
