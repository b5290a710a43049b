"""Simulated electron diffusion regions: queries in one event, right answers in other events."""

from __future__ import annotations

import numpy as np

from benchmarks.data_sets.tasks import DataSet, Task, flagged, negate, next_rows, not_self, same_value, thin
from pyspedas_similarity.imaging.distributions import distribution_images
from pyspedas_similarity.imaging.plasma import Distributions, at_times, distributions
from pyspedas_similarity.imaging.recipes import Recipe
from pyspedas_similarity.instruments.registry import INSTRUMENTS
from pyspedas_similarity.simulate.fpi import SimulatedPass, simulate_event

FIRST_SEED = 200
"""Lower seeds were used to choose and report on the recipe, see benchmarks/bench_edr.py."""

WITHOUT_REGION = 5
"""Every so many events has no diffusion region."""

_FIELD_GAP = np.timedelta64(1, "s")
_MAX_QUERIES = 600


def make_edr(events: int = 15, duration_s: float = 12.0, first_seed: int = FIRST_SEED) -> DataSet:
    """Return crossings of reconnection sites by one spacecraft; 15 of 12 s are 6,000 distributions."""
    seeds = range(first_seed, first_seed + events)

    def crossing(seed: int) -> SimulatedPass:
        has_region = (seed - first_seed) % WITHOUT_REGION != WITHOUT_REGION - 1
        return simulate_event(seed, "electron", duration_s=duration_s, edr=has_region)

    def draw(recipe: Recipe) -> np.ndarray:
        # Simulated again: the distributions of all events would be a gigabyte.
        return np.concatenate([images_of(crossing(seed), recipe) for seed in seeds])

    regions = [crossing(seed).region for seed in seeds]
    event = np.repeat(seeds, [len(each) for each in regions])
    return DataSet(
        "edr",
        "simulated MMS electron distributions at reconnection sites",
        simulated=True,
        recipe=INSTRUMENTS["mms_des"].recipe,
        draw=draw,
        group=event,
        tasks=(edr_task(event, np.concatenate(regions) == "edr"),),
        following=next_rows(event),
    )


def edr_task(event: np.ndarray, is_edr: np.ndarray) -> Task:
    """Return the task to find samples in diffusion regions of other events; both arrays (n,)."""
    return Task(
        "edr",
        "a sample in a diffusion region finds those of other events; its own event left out",
        "the simulator's truth of where the diffusion region is",
        queries=thin(np.flatnonzero(is_edr), _MAX_QUERIES),
        relevant=flagged(is_edr),
        allowed=negate(same_value(event)),
        leaky=not_self(len(event)),
        across_groups=True,
    )


def images_of(crossing: SimulatedPass, recipe: Recipe) -> np.ndarray:
    """Return the images of one crossing, with the field as measured."""
    return distribution_images(distributions_of(crossing), recipe)


def distributions_of(crossing: SimulatedPass) -> Distributions:
    """Return the distributions of one crossing, with the field as measured."""
    field = at_times(crossing.field[:, :3], crossing.field_times, crossing.times, _FIELD_GAP)
    return distributions(
        crossing.distribution,
        crossing.azimuth,
        crossing.polar,
        crossing.energy_ev,
        crossing.species,
        field=field,
        velocity=crossing.velocity,
        error=crossing.error,
    )
