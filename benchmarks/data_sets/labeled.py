"""Data sets with a label for every sample, for the label benchmark."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.data_sets import foreign
from benchmarks.data_sets.edr import WITHOUT_REGION, images_of
from benchmarks.data_sets.sky import simulate
from benchmarks.data_sets.tasks import thin
from benchmarks.data_sets.windows import REGION_RECIPE, REGIONS, read_regions
from pyspedas_similarity.imaging.recipes import FrameRecipe, Recipe
from pyspedas_similarity.instruments.registry import ELECTRONS
from pyspedas_similarity.simulate.fpi import DES, SimulatedPass, simulate_event

FIRST_EVENT, FIRST_NIGHT = 600, 700
"""First seeds of events and nights, not used by the retrieval benchmark, nor for training or choosing settings."""

CADENCE_MS = 120
"""Cadence of simulated distributions: at the 30 ms of DES neighbors are nearly equal."""

FRAMES = FrameRecipe(pixels=64, contrast_pixels=4.0)
"""The default recipe at half its size: a quarter of the time."""

TOGETHER = 10
"""Number of successive windows of a pass that are held out together; there are too few passes to hold out one."""

MIN_GROUPS = 2
"""Fewest groups of a class: one for labels, one for the test."""


@dataclass(frozen=True, eq=False)
class LabeledSet:
    """Samples with labels (n,) of `truth`.

    `recipe` is for encoders that do not have their own; `draw` returns the images (n, channels, pixels, pixels) of a
    recipe, float32. Some groups (n,) - events, passes or nights - are for labels, others for the test; a stretch (n,)
    of labeled samples is held out together to decide when to stop training a network.
    """

    name: str
    title: str
    truth: str
    simulated: bool
    recipe: Recipe
    draw: Callable[[Recipe], np.ndarray]
    label: np.ndarray
    group: np.ndarray
    stretch: np.ndarray


def region_windows(data: Path) -> LabeledSet:
    """Return real ion spectrograms of the regions that occur in two or more passes, or raise DataUnavailable."""
    windows = read_regions(data)
    label = np.array(REGIONS)[windows.label]
    rows = np.flatnonzero(has_enough_groups(label, windows.pass_number))
    kept = replace(windows, **{name: getattr(windows, name)[rows] for name in ("flux", "label", "pass_number")})
    # Rows of a pass are in order of time.
    place = np.concatenate([np.arange(count) for count in np.unique(kept.pass_number, return_counts=True)[1]])
    return LabeledSet(
        "regions",
        "MMS ion spectrograms of 3 minutes: of which region",
        "region labels of the file, inferred from fields, temperatures and positions by its authors",
        simulated=False,
        recipe=REGION_RECIPE,
        draw=kept.images,
        label=label[rows],
        group=kept.pass_number,
        stretch=1000 * kept.pass_number + place // TOGETHER,
    )


def electrons(events: int = 24, duration_s: float = 12.0, most: int = 6) -> LabeledSet:
    """Return simulated electron distributions at reconnection sites, with the region of the spacecraft.

    There are at most `most` distributions of a region in an event, evenly spaced.
    """
    seeds = range(FIRST_EVENT, FIRST_EVENT + events)

    def crossing(seed: int) -> SimulatedPass:
        has_region = (seed - FIRST_EVENT) % WITHOUT_REGION != WITHOUT_REGION - 1
        instrument = replace(DES, cadence_ms=CADENCE_MS)
        return simulate_event(seed, duration_s=duration_s, instrument=instrument, edr=has_region)

    def draw(recipe: Recipe) -> np.ndarray:
        # Simulated again: the distributions of all events would take much memory.
        return np.concatenate([images_of(crossing(seed), recipe) for seed in seeds])[rows]

    regions = [crossing(seed).region for seed in seeds]
    group, label = np.repeat(seeds, [len(each) for each in regions]), np.concatenate(regions)
    rows = thin_by_label(label, group, most)
    rows = rows[has_enough_groups(label[rows], group[rows])]
    return LabeledSet(
        "edr",
        "simulated MMS electron distributions at reconnection sites: in which region",
        "the simulator's truth of where the spacecraft is",
        simulated=True,
        recipe=ELECTRONS,
        draw=draw,
        label=label[rows],
        group=group[rows],
        stretch=group[rows],
    )


def other_simulator(
    folder: Path | None, seed: int = foreign.DRAWS[0], events: int = 16, samples: int = 400, most: int = 10
) -> LabeledSet:
    """Return electron distributions of magnetopause passes, from a simulator by other authors, with their region.

    There are at most `most` distributions of a region in an event, evenly spaced. Raise DataUnavailable if the
    simulator is missing.
    """
    simulator = foreign.load_simulator(folder)
    passes = simulator.make(seed, events, samples)
    label, group = np.array(foreign.REGIONS)[passes["region"]], passes["event"]
    del passes
    rows = thin_by_label(label, group, most)
    rows = rows[has_enough_groups(label[rows], group[rows])]
    return LabeledSet(
        "foreign",
        f"electron distributions of magnetopause passes, from a simulator by other authors, draw {seed}: which region",
        "the simulator's truth of the region",
        simulated=True,
        recipe=ELECTRONS,
        draw=lambda recipe: foreign.images_of(simulator.make(seed, events, samples), recipe)[rows],
        label=label[rows],
        group=group[rows],
        stretch=group[rows],
    )


def nights(
    nights: int = 16, duration_s: float = 1560.0, cadence_s: float = 15.0, size: int = 128, most: int = 12
) -> LabeledSet:
    """Return simulated all-sky frames with the kind of aurora: clearly seen aurora, and empty clear skies.

    There are at most `most` frames of a kind in a night, evenly spaced, of both stations together.
    """
    sky = simulate(nights, duration_s, cadence_s, size, FIRST_NIGHT)
    clear = np.flatnonzero(sky.seen | sky.empty)
    rows = clear[thin_by_label(sky.kind[clear], sky.night[clear], most)]
    rows = rows[has_enough_groups(sky.kind[rows], sky.night[rows])]
    names = ("frames", "view", "times", "night", "station", "kind", "episode", "seen", "empty")
    kept = replace(sky, **{name: getattr(sky, name)[rows] for name in names})
    return LabeledSet(
        "nights",
        "simulated all-sky frames of two stations: which kind of aurora",
        "the simulator's truth; frames with 0.3 of the light above 20 degrees in a clear sky, and empty clear skies",
        simulated=True,
        recipe=FRAMES,
        draw=kept.images,
        label=kept.kind,
        group=kept.night,
        stretch=kept.night,
    )


def thin_by_label(label: np.ndarray, group: np.ndarray, most: int) -> np.ndarray:
    """Return at most `most` rows of each label in each group, evenly spaced, in ascending order."""
    pairs = np.unique(np.stack([label.astype(str), group.astype(str)]), axis=1, return_inverse=True)[1].ravel()
    return np.sort(np.concatenate([thin(np.flatnonzero(pairs == each), most) for each in np.unique(pairs)]))


def has_enough_groups(label: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Return True for samples whose label occurs in `MIN_GROUPS` groups or more: (n,) bool."""
    names = [each for each in np.unique(label) if len(np.unique(group[label == each])) >= MIN_GROUPS]
    return np.isin(label, names)
