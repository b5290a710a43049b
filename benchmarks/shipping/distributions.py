"""Electron distributions at reconnection sites: simulated events, seen by two of four spacecraft."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from pyspedas_similarity.encoder.canonical import CanonicalPlan
from pyspedas_similarity.instruments.registry import ELECTRONS
from pyspedas_similarity.simulate.fpi import DES, simulate_event

from ..edr import images_of
from .images import SEED_STEP, TrainingImages, joined

NAME, KIND, RECIPE, INSTEAD_OF = "mms_electrons", "distribution", ELECTRONS, ()

FIRST_SEED = 1000
"""Of the events; those of the benchmark begin at 200, those of its choices below."""

EVENTS, DURATION_S, PROBES = 120, 12.0, 2
WITHOUT_REGION = 3
"""Every so many events has no diffusion region: what surrounds it is to be known as well."""

CADENCE_MS = 120
"""That of every fourth sample of DES in burst: neighbors at 30 ms are nearly equal and teach little."""

MOMENTS = 8
"""Drawn of each event; many events of few samples say more than few of many."""

PLAN = CanonicalPlan(components=24, group_noise=1.0)
"""Chosen on events 400 to 409. Means of events differ by density, temperature and field, which is of no interest."""

KNOWN_FAILURES = [
    "Trained on simulated distributions alone; never tried on distributions measured by DES.",
    "The six nearest samples are often of one event, since neighbors in time are nearly equal: count intervals.",
    "Ions, and electrons imaged by another recipe, are refused.",
]


def library(quick: bool = False, data: Path | None = None, seed: int = 0) -> TrainingImages:
    """Images of simulated events; spacecraft at the same time, and the next sample in time, are partners.

    Parameters
    ----------
    quick : bool
        A few short events, to try the command.
    data : Path, optional
        Not used: no real electron distributions are at hand.
    seed : int
        Other events for every seed.
    """
    events, duration_s = (3, 3.0) if quick else (EVENTS, DURATION_S)
    first = FIRST_SEED + seed * SEED_STEP
    seeds = range(first, first + events)
    parts = [_event(seed, duration_s) for seed in seeds]
    data = [f"simulated electrons, events {seeds[0]} to {seeds[-1]}, {PROBES} spacecraft each"]
    return replace(joined(*parts), data=data)


def _event(seed: int, duration_s: float) -> TrainingImages:
    """Some moments of an event, and those that follow, as two spacecraft saw them."""
    instrument = replace(DES, cadence_ms=CADENCE_MS)
    has_region = seed % WITHOUT_REGION != WITHOUT_REGION - 1
    images = []
    for probe in ("1", str(2 + seed % 3)):
        seen = simulate_event(seed, duration_s=duration_s, probe=probe, instrument=instrument, edr=has_region)
        images.append(images_of(seen, RECIPE))
    length = len(seen.times)
    chosen = np.zeros(length, bool)
    drawn = np.random.default_rng(seed).choice(length - 1, MOMENTS, replace=False)
    chosen[drawn] = chosen[drawn + 1] = True
    rows = np.arange(PROBES * length)
    sibling = (rows + length) % len(rows)
    following = np.where(rows % length < length - 1, rows + 1, -1)
    everything = TrainingImages(
        np.concatenate(images), np.stack([sibling, following], axis=1), np.full(len(rows), seed), []
    )
    return everything.where(np.tile(chosen, PROBES))
