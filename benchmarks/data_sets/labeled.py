"""Data sets whose samples have labels: of a few the others are to be told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pyspedas_similarity.imaging.recipes import FrameRecipe, Recipe
from pyspedas_similarity.instruments.registry import ELECTRONS
from pyspedas_similarity.simulate.fpi import DES, SimulatedPass, simulate_event

from .edr import WITHOUT_REGION, images_of
from .sky import simulate
from .tasks import thin
from .windows import REGION_RECIPE, REGIONS, read_regions

FIRST_EVENT, FIRST_NIGHT = 600, 700
"""Seeds of simulated events and nights: none of the benchmark of retrieval, nor of what was chosen or trained by."""

CADENCE_MS = 120
"""Of simulated distributions: neighbors at the 30 ms of DES are nearly equal."""

FRAMES = FrameRecipe(pixels=64, contrast_pixels=2.0)
"""The default recipe at half its size, as the encoder of frames is trained on: a quarter of the time."""

TOGETHER = 10
"""Windows of a pass one after another that are held out together; the passes are too few to be."""

FEWEST_GROUPS = 2
"""Of a class: one to take labels from, one to test in."""


@dataclass(frozen=True, eq=False)
class LabeledSet:
    """Samples with labels.

    Attributes
    ----------
    name, title : str
    truth : str
        Where the labels come from.
    simulated : bool
    recipe : Recipe
        For encoders that bring none of their own.
    draw : callable
        From a recipe to the images of all samples, (n, channels, pixels, pixels) float32.
    label : numpy.ndarray of str, shape (n,)
    group : numpy.ndarray, shape (n,)
        Event, pass or night: labels come from some, the test is in others.
    stretch : numpy.ndarray, shape (n,)
        What is held out together, of the labels, to say when a network has been trained enough.
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
    """Real ion spectrograms; the regions that were seen in two passes or more.

    Raises
    ------
    DataUnavailable
        Where the file is not there, or nothing that reads it.
    """
    windows = read_regions(data)
    label = np.array(REGIONS)[windows.label]
    rows = np.flatnonzero(has_enough_groups(label, windows.pass_number))
    kept = replace(windows, **{name: getattr(windows, name)[rows] for name in ("flux", "label", "pass_number")})
    # Rows of a pass are in the order of time.
    place = np.concatenate([np.arange(count) for count in np.unique(kept.pass_number, return_counts=True)[1]])
    return LabeledSet(
        "regions",
        "MMS ion spectrograms of 3 minutes: of which region",
        "region labels of the file, inferred from fields, temperatures and positions by those who made it",
        simulated=False,
        recipe=REGION_RECIPE,
        draw=kept.images,
        label=label[rows],
        group=kept.pass_number,
        stretch=1000 * kept.pass_number + place // TOGETHER,
    )


def electrons(events: int = 24, duration_s: float = 12.0, most: int = 6) -> LabeledSet:
    """Simulated electron distributions at reconnection sites, by what the spacecraft is in.

    Parameters
    ----------
    events : int
    duration_s : float
    most : int
        Distributions of a region in an event, evenly spread.
    """
    seeds = range(FIRST_EVENT, FIRST_EVENT + events)

    def crossing(seed: int) -> SimulatedPass:
        has_region = (seed - FIRST_EVENT) % WITHOUT_REGION != WITHOUT_REGION - 1
        instrument = replace(DES, cadence_ms=CADENCE_MS)
        return simulate_event(seed, duration_s=duration_s, instrument=instrument, edr=has_region)

    def draw(recipe: Recipe) -> np.ndarray:
        # Simulated anew: the distributions of all events would be much memory.
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


def nights(
    nights: int = 16, duration_s: float = 1560.0, cadence_s: float = 15.0, size: int = 128, most: int = 12
) -> LabeledSet:
    """Simulated all-sky frames by the kind of aurora: those in which it is seen well, and empty clear skies.

    Parameters
    ----------
    nights : int
    duration_s, cadence_s : float
    size : int
        Pixels along a side of a frame.
    most : int
        Frames of a kind in a night, evenly spread; both stations together.
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
    """At most so many rows of each label in each group, evenly spread; ascending."""
    pairs = np.unique(np.stack([label.astype(str), group.astype(str)]), axis=1, return_inverse=True)[1].ravel()
    return np.sort(np.concatenate([thin(np.flatnonzero(pairs == each), most) for each in np.unique(pairs)]))


def has_enough_groups(label: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Which samples are of a label that `FEWEST_GROUPS` groups have: (n,) bool."""
    names = [each for each in np.unique(label) if len(np.unique(group[label == each])) >= FEWEST_GROUPS]
    return np.isin(label, names)
