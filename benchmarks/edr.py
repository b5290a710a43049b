"""Simulated electron diffusion regions: one is to find those of other events."""

from __future__ import annotations

import numpy as np

from pyspedas_similarity.imaging.axes import at_times
from pyspedas_similarity.imaging.distributions import distribution_images
from pyspedas_similarity.imaging.plasma import distributions
from pyspedas_similarity.imaging.recipes import Recipe
from pyspedas_similarity.instruments.registry import INSTRUMENTS
from pyspedas_similarity.simulate.fpi import SimulatedPass, simulate_event

from .tasks import DataSet, Task, marked, neither, others, same, spread

FIRST_SEED = 200
"""Events of lower seeds chose and reported on the recipe, see benchmarks/bench_edr.py."""

WITHOUT_REGION = 5
"""Every so many events has no diffusion region."""

_FIELD_GAP = np.timedelta64(1, "s")
_MOST_QUERIES = 600


def make_edr(events: int = 15, duration_s: float = 12.0, first_seed: int = FIRST_SEED) -> DataSet:
    """Crossings of reconnection sites by one spacecraft.

    Parameters
    ----------
    events : int
        15 of 12 s are 6,000 distributions.
    duration_s : float
    first_seed : int
    """
    seeds = range(first_seed, first_seed + events)

    def crossing(seed: int) -> SimulatedPass:
        has_region = (seed - first_seed) % WITHOUT_REGION != WITHOUT_REGION - 1
        return simulate_event(seed, "electron", duration_s=duration_s, edr=has_region)

    def draw(recipe: Recipe) -> np.ndarray:
        # Simulated anew: the distributions of all events would be a gigabyte.
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
    )


def edr_task(event: np.ndarray, is_edr: np.ndarray) -> Task:
    """From a sample inside a diffusion region to those of other events; both arrays (n,)."""
    return Task(
        "edr",
        "a sample in a diffusion region finds those of other events; its own event left out",
        "the simulator's truth of where the diffusion region is",
        queries=spread(np.flatnonzero(is_edr), _MOST_QUERIES),
        relevant=marked(is_edr),
        allowed=neither(same(event)),
        leaky=others(len(event)),
        across_groups=True,
    )


def images_of(crossing: SimulatedPass, recipe: Recipe) -> np.ndarray:
    """Images of one crossing, with the field as it was measured."""
    field = at_times(crossing.field[:, :3], crossing.field_times, crossing.times, _FIELD_GAP)
    measured = distributions(
        crossing.distribution,
        crossing.azimuth,
        crossing.polar,
        crossing.energy_ev,
        crossing.species,
        field=field,
        velocity=crossing.velocity,
        error=crossing.error,
    )
    return distribution_images(measured, recipe)
