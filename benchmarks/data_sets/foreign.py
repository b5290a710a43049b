"""Electron diffusion regions of a simulator by other authors, loaded from a folder and not distributed here."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import ModuleType

import numpy as np

from benchmarks.data_sets.edr import edr_task
from benchmarks.data_sets.tasks import DataSet, DataUnavailable, next_rows
from pyspedas_similarity.imaging.distributions import distribution_images
from pyspedas_similarity.imaging.plasma import distributions
from pyspedas_similarity.imaging.recipes import Recipe
from pyspedas_similarity.instruments.registry import ELECTRONS

MODULE_FILE = "magnetopause_passes.py"
"""Its ``make(seed, n_events, n_samples)`` returns a dict of arrays: dist, phi, theta, energy, b, v, event, region."""

FOLDER, DATA_VARIABLE = "foreign", "PYSPEDAS_SIMILARITY_DATA"
EDR = 3
"""Number of the diffusion region in ``region``."""

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
    """Yield magnetopause passes, half of them with a diffusion region: a data set for each draw.

    Parameters
    ----------
    folder : Path or None
        Folder of `MODULE_FILE`.
    draws : sequence of int
        Seeds of the simulator.
    events, samples : int
        Number of events of a draw, and of samples of an event.

    Raises
    ------
    DataUnavailable
        If the folder or the file is missing.
    """
    simulator = load_simulator(folder)

    for seed in draws:
        # Only the truth is kept: the distributions of one draw take 0.4 GB.
        passes = simulator.make(seed, events, samples)
        event, is_edr = passes["event"], passes["region"] == EDR
        del passes
        yield DataSet(
            f"foreign-{seed}",
            f"electron distributions of magnetopause passes, from a simulator by other authors, draw {seed}",
            simulated=True,
            recipe=ELECTRONS,
            draw=partial(_draw, simulator, (seed, events, samples)),
            group=event,
            tasks=(replace(edr_task(event, is_edr), name="foreign", list_groups=True),),
            following=next_rows(event),
        )


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
