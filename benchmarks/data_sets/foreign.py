"""Electron diffusion regions of a simulator by other authors, loaded from a folder and not distributed here."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import ModuleType

import numpy as np

from benchmarks.data_sets.edr import edr_task
from benchmarks.data_sets.tasks import DataSet, DataUnavailable, Task, next_rows
from pyspedas_similarity.imaging.distributions import distribution_images
from pyspedas_similarity.imaging.plasma import distributions
from pyspedas_similarity.imaging.recipes import Recipe
from pyspedas_similarity.instruments.registry import ELECTRONS

MODULE_FILE = "magnetopause_passes.py"
"""Its ``make(seed, n_events, n_samples)`` returns a dict of arrays: dist, phi, theta, energy, b, v, event, region."""

FOLDER, DATA_VARIABLE = "foreign", "PYSPEDAS_SIMILARITY_DATA"
EDR = 3
"""Number of the diffusion region in ``region``."""

REGIONS = ("magnetosheath", "boundary", "magnetosphere", "edr", "beams", "flat top")
"""Names of the numbers in ``region``."""

KINDS = {"foreign": EDR}
OTHER_KINDS = {"beams": 4, "flat tops": 5, "boundary": 1}
"""Numbers in ``region`` by the name of the task to find samples of this kind in other events."""

DRAWS = tuple(range(100, 110))
"""Seeds for reported tables; 0 to 49 are for development."""


def default_folder(data: Path | None) -> Path | None:
    """Return the folder `FOLDER` next to the data folder (given, or of the environment), or None if there is none."""
    if data is None:
        data = Path(os.environ[DATA_VARIABLE]) if os.environ.get(DATA_VARIABLE) else None
    folder = None if data is None else data.resolve().parent / FOLDER
    return folder if folder is not None and folder.is_dir() else None


def make_foreign(
    folder: Path | None, draws: Sequence[int] = DRAWS, events: int = 16, samples: int = 400
) -> Iterator[DataSet]:
    """Yield magnetopause passes, half of them with a diffusion region: a data set for each seed of the simulator.

    `samples` are those of each of the `events` of a draw. Raise DataUnavailable if `MODULE_FILE` is not in the folder.
    """
    simulator = load_simulator(folder)

    for seed in draws:
        # Only the truth is kept: the distributions of one draw take 0.4 GB.
        passes = simulator.make(seed, events, samples)
        event, region = passes["event"], passes["region"]
        del passes
        yield data_set_of(seed, event, region, partial(_draw, simulator, (seed, events, samples)))


def data_set_of(
    seed: int,
    event: np.ndarray,
    region: np.ndarray,
    draw: Callable[[Recipe], np.ndarray],
    kinds: Mapping[str, int] = KINDS,
) -> DataSet:
    """Return the data set of a draw, from events and regions (n,).

    `draw` returns the images of a recipe; `kinds` are the names of the tasks, and the number in `region` of what is
    looked for.
    """
    return DataSet(
        f"foreign-{seed}",
        f"electron distributions of magnetopause passes, from a simulator by other authors, draw {seed}",
        simulated=True,
        recipe=ELECTRONS,
        draw=draw,
        group=event,
        tasks=tuple(_task(event, region == number, name) for name, number in kinds.items()),
        following=next_rows(event),
    )


def _task(event: np.ndarray, is_kind: np.ndarray, name: str) -> Task:
    """Return the task to find samples of a kind in other events; both arrays (n,)."""
    task = replace(edr_task(event, is_kind), name=name, list_groups=True)
    if KINDS.get(name) == EDR:
        return task
    title = "a sample finds those of its kind in other events; its own event left out"
    return replace(task, title=title, labels="the simulator's truth of the kind of each sample")


def _draw(simulator: ModuleType, drawn: tuple[int, int, int], recipe: Recipe) -> np.ndarray:
    return images_of(simulator.make(*drawn), recipe)


def load_simulator(folder: Path | None) -> ModuleType:
    """Load the simulator from its folder."""
    if folder is None:
        raise DataUnavailable("it needs a simulator by other authors: give its folder with --foreign")
    path = folder / MODULE_FILE
    if not path.is_file():
        raise DataUnavailable(f"there is no file {MODULE_FILE} in {folder}")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def images_of(passes: dict[str, np.ndarray], recipe: Recipe) -> np.ndarray:
    """Return the images of one draw."""
    tables = (passes[key] for key in ("phi", "theta", "energy"))
    measured = distributions(passes["dist"], *tables, "electron", field=passes["b"], velocity=passes["v"])
    return distribution_images(measured, recipe)
