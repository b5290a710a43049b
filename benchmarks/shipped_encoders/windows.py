"""Encoder of windows of spectrograms and reduced distributions, trained on unlabeled MMS data and simulated data."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.data_sets.tasks import DataUnavailable
from benchmarks.data_sets.windows import CADENCE_S, LENGTH, REDUCED_FILE, cut_windows, make_reduced, make_regions
from benchmarks.shipped_encoders.paired_images import SEED_STEP, PairedImages, concatenate
from pyspedas_similarity.encoder.canonical import CanonicalPlan
from pyspedas_similarity.encoder.positives import same_time
from pyspedas_similarity.errors import ArgumentError
from pyspedas_similarity.imaging.recipes import WindowRecipe
from pyspedas_similarity.imaging.windows import window_images
from pyspedas_similarity.instruments.npz_files import read_npz
from pyspedas_similarity.simulate.fpi import DES, SimulatedPass, simulate_event

NAME, KIND, RECIPE, INSTEAD_OF = "windows", "window", None, ()

PLAN = CanonicalPlan(components=64)
FIXED, SHARE = "oriented", 0.75
"""Chosen on the real windows, leaving each group out in turn: no others are available."""

TRAINED_ON = ("reduced", "regions")
"""Data sets of the benchmark for which it is trained again without each group (`retrieval.cross_validation`)."""

FIRST_SEED = 2000
EVENTS = 8
"""Number of simulated events, 12 s each, on four spacecraft."""

ELECTRON_RECIPE = WindowRecipe(length_s=LENGTH * CADENCE_S, stride_s=LENGTH * CADENCE_S)

KNOWN_FAILURES = [
    "Trained on ten events of one month in the tail, 585 windows of eight passes, and 8 simulated events.",
    "Its settings were chosen on the windows it is measured on, for want of others.",
    "Windows of other sizes than 32 px are refused.",
]


def training_images(quick: bool = False, data: Path | None = None, seed: int = 0) -> PairedImages:
    """Return windows of all kinds; positives are other spacecraft at the same time, or the next windows of a pass.

    Parameters
    ----------
    quick : bool
        A few simulated windows only.
    data : Path, optional
        Folder of the real files; required unless `quick`.
    seed : int
        Seed of the simulated events.

    Raises
    ------
    ArgumentError
        If the folder of the real files is missing, or a file in it.
    """
    if quick:
        return electrons(1, seed)
    if data is None:
        raise ArgumentError("--data", "it is missing", "Give the folder of the real files.")
    try:
        return concatenate(reduced(data), regions(data), electrons(EVENTS, seed))
    except DataUnavailable as reason:
        raise ArgumentError(f"--data {data}", str(reason), "Give the folder of the real files.") from reason


def reduced(data: Path) -> PairedImages:
    """Return windows of reduced electron distributions; positives are other spacecraft at the same time."""
    dataset = make_reduced(data)
    windows = cut_windows(read_npz(data / REDUCED_FILE))
    return PairedImages(
        dataset.draw(dataset.recipe),
        same_time(windows.middle, windows.spacecraft, np.timedelta64(240, "ms")),
        np.char.add("reduced ", dataset.group.astype(str)),
        ["ten tail events of July 2017, reduced electron distributions"],
    )


def regions(data: Path) -> PairedImages:
    """Return windows of ion spectrograms; positives are the next two of the same pass. The labels are not used."""
    dataset = make_regions(data)
    return PairedImages(
        dataset.draw(dataset.recipe),
        _following(dataset.group),
        np.char.add("regions ", dataset.group.astype(str)),
        ["585 ion spectrograms of eight passes, without their labels"],
    )


def electrons(events: int, seed: int = 0) -> PairedImages:
    """Return spectrograms of simulated reconnection sites; positives are other spacecraft at the same time."""
    instrument = replace(DES, cadence_ms=60)
    parts, first = [], FIRST_SEED + seed * SEED_STEP
    for number in range(first, first + events):
        crossings = [simulate_event(number, probe=probe, instrument=instrument) for probe in "1234"]
        cut = [_cut(each, 32, 32) for each in crossings]
        middle = np.concatenate([times[:, 16] for _, times, _ in cut])
        source = np.repeat(np.arange(4), [len(times) for _, times, _ in cut])
        parts.append(
            PairedImages(
                np.concatenate([window_images(*each, ELECTRON_RECIPE) for each in cut]),
                same_time(middle, source, np.timedelta64(240, "ms")),
                np.full(len(middle), f"simulated event {number}"),
                [],
            )
        )
    name = f"simulated electron spectrograms, events {first} to {first + events - 1}"
    return replace(concatenate(*parts), data=[name])


def _cut(crossing: SimulatedPass, length: int, stride: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return windows of energy flux (n, length, 32), their times (n, length) and energies (n, length, 32)."""
    starts = np.arange(0, len(crossing.times) - length + 1, stride)
    rows = starts[:, None] + np.arange(length)
    return crossing.omni[rows], crossing.times[rows], crossing.energy_ev[rows]


def _following(group: np.ndarray) -> np.ndarray:
    """Return the next two rows of the same group: (n, 2), -1 for none."""
    row = np.arange(len(group))
    columns = []
    for step in (1, 2):
        later = np.minimum(row + step, len(row) - 1)
        columns.append(np.where((group[later] == group) & (row + step < len(row)), later, -1))
    return np.stack(columns, axis=1)
