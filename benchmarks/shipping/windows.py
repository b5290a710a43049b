"""Windows of spectrograms and reduced distributions: real ones of MMS, unlabeled, and simulated ones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from pyspedas_similarity.encoder.canonical import CanonicalPlan
from pyspedas_similarity.encoder.positives import same_time
from pyspedas_similarity.errors import ArgumentError
from pyspedas_similarity.imaging.recipes import WindowRecipe
from pyspedas_similarity.imaging.windows import window_images
from pyspedas_similarity.instruments.npz_files import read_npz
from pyspedas_similarity.simulate.fpi import DES, SimulatedPass, simulate_event

from ..tasks import LeftOut
from ..windows import CADENCE_S, LENGTH, REDUCED_FILE, cut_windows, make_reduced, make_regions
from .images import SEED_STEP, TrainingImages, joined

NAME, KIND, RECIPE, INSTEAD_OF = "windows", "window", None, ()

PLAN = CanonicalPlan(components=64)
FIXED, SHARE = "oriented", 0.75
"""Chosen on the real windows, each left out in turn: no others are at hand."""

TRAINED_ON = ("reduced", "regions")
"""Data sets of the benchmark: there it is trained anew without each group (`folds`)."""

FIRST_SEED = 2000
EVENTS = 8
"""Simulated, 12 s each, as four spacecraft see them."""

ELECTRON_RECIPE = WindowRecipe(length_s=LENGTH * CADENCE_S, stride_s=LENGTH * CADENCE_S)

KNOWN_FAILURES = [
    "Trained on ten events of one month in the tail, 585 windows of eight passes, and 8 simulated events.",
    "Its settings were chosen on the windows it is measured on, for want of others.",
    "Windows of other sizes than 32 px are refused.",
]


def library(quick: bool = False, data: Path | None = None, seed: int = 0) -> TrainingImages:
    """Windows of all kinds; siblings at the same time are partners, or the next windows of a pass.

    Parameters
    ----------
    quick : bool
        A few simulated windows alone.
    data : Path, optional
        Folder of the real files; needed but for `quick`.
    seed : int
        Other simulated events for every seed.

    Raises
    ------
    ArgumentError
        The folder of the real files is missing, or a file in it.
    """
    if quick:
        return electrons(1, seed)
    if data is None:
        raise ArgumentError("--data", "it is missing", "Give the folder of the real files.")
    try:
        return joined(reduced(data), regions(data), electrons(EVENTS, seed))
    except LeftOut as reason:
        raise ArgumentError(f"--data {data}", str(reason), "Give the folder of the real files.") from reason


def reduced(data: Path) -> TrainingImages:
    """Windows of reduced electron distributions, the siblings' at the same time as partners."""
    dataset = make_reduced(data)
    windows = cut_windows(read_npz(data / REDUCED_FILE))
    return TrainingImages(
        dataset.draw(dataset.recipe),
        same_time(windows.middle, windows.spacecraft, np.timedelta64(240, "ms")),
        np.char.add("reduced ", dataset.group.astype(str)),
        ["ten tail events of July 2017, reduced electron distributions"],
    )


def regions(data: Path) -> TrainingImages:
    """Windows of ion spectrograms, the next two of the same pass as partners; the labels are not looked at."""
    dataset = make_regions(data)
    return TrainingImages(
        dataset.draw(dataset.recipe),
        _following(dataset.group),
        np.char.add("regions ", dataset.group.astype(str)),
        ["585 ion spectrograms of eight passes, without their labels"],
    )


def electrons(events: int, seed: int = 0) -> TrainingImages:
    """Simulated crossings of a reconnection site, energy by time, the siblings' at the same time as partners."""
    instrument = replace(DES, cadence_ms=60)
    parts, first = [], FIRST_SEED + seed * SEED_STEP
    for number in range(first, first + events):
        crossings = [simulate_event(number, probe=probe, instrument=instrument) for probe in "1234"]
        cut = [_cut(each, 32, 32) for each in crossings]
        middle = np.concatenate([times[:, 16] for _, times, _ in cut])
        source = np.repeat(np.arange(4), [len(times) for _, times, _ in cut])
        parts.append(
            TrainingImages(
                np.concatenate([window_images(*each, ELECTRON_RECIPE) for each in cut]),
                same_time(middle, source, np.timedelta64(240, "ms")),
                np.full(len(middle), f"simulated event {number}"),
                [],
            )
        )
    return replace(joined(*parts), data=[f"simulated electron spectrograms, events {first} to {first + events - 1}"])


def _cut(seen: SimulatedPass, length: int, stride: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Windows of energy flux (n, length, 32), their times (n, length) and energies (n, length, 32)."""
    starts = np.arange(0, len(seen.times) - length + 1, stride)
    rows = starts[:, None] + np.arange(length)
    return seen.omni[rows], seen.times[rows], seen.energy_ev[rows]


def _following(group: np.ndarray) -> np.ndarray:
    """The next and the next but one of the same group, in the order of rows: (n, 2), -1 for none."""
    row = np.arange(len(group))
    columns = []
    for step in (1, 2):
        then = np.minimum(row + step, len(row) - 1)
        columns.append(np.where((group[then] == group) & (row + step < len(row)), then, -1))
    return np.stack(columns, axis=1)
