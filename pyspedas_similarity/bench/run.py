"""Encoders x tasks: embeddings, measures, one table."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..encoder.cards import Card
from ..encoder.fitted import FITTED, NAMED, fit_pca, fit_random, named_encoder
from ..encoder.runtime import Encoder
from ..encoder.weights import CARD, load_encoder
from ..errors import ArgumentError, SimilarityError
from ..imaging.recipe import Recipe, recipe_from_dict
from .edr import make_edr
from .measures import MEASURES, Estimate, measure_queries, summarise
from .sky import make_movie, make_nights
from .tasks import DataSet, LeftOut, Task
from .windows import make_reduced, make_regions

if TYPE_CHECKING:
    from astropy.table import Table

DATASETS = ("edr", "nights", "reduced", "regions", "movie")
SLOW = ("random", "random_compact", "scattering")
"""Named encoders that a quick run leaves out."""

QUICK = {
    "edr": {"events": 6, "duration_s": 6.0},
    "nights": {"nights": 4, "duration_s": 420.0, "cadence_s": 6.0},
}
_WARM_UP = 8


@dataclass(frozen=True)
class Plan:
    """What to run.

    Attributes
    ----------
    quick : bool
        Small simulated sets and cheap encoders.
    data : Path or None
        Folder of the real files.
    only : tuple of str
        Of `DATASETS`; empty: all.
    encoders : tuple of str
        Names of `NAMED`, and folders of saved encoders, or of folders of one encoder trained with several seeds, or of
        such folders that are named after the data set, or the kind of image, that each is for; empty: all names.
    seeds : int
        For encoders that are fitted, such as networks with random weights.
    """

    quick: bool = False
    data: Path | None = None
    only: tuple[str, ...] = ()
    encoders: tuple[str, ...] = ()
    seeds: int = 3

    def __post_init__(self) -> None:
        for name in self.only:
            if name not in DATASETS:
                raise ArgumentError("--only", f"found {name!r}", f"Give of {', '.join(DATASETS)}.")
        for name in self.encoders:
            if name not in NAMED and not _folders(name) and not any(Path(name).glob(f"*/*/{CARD}")):
                remedy = f"Give of {', '.join(NAMED)}, or folders of saved encoders."
                raise ArgumentError("--encoders", f"found {name!r}, which is neither", remedy)
        if len({Path(name).name for name in self.encoders}) < len(self.encoders):
            raise ArgumentError("--encoders", "two of them have one name", "Give folders of different names.")
        if self.data is not None and not self.data.is_dir():
            raise ArgumentError(f"--data {self.data}", "there is no such folder", "Give the folder of the real files.")
        if self.seeds < 1:
            raise ArgumentError("--seeds", f"found {self.seeds}", "Give 1 or more.")

    @property
    def names(self) -> tuple[str, ...]:
        """The encoders to run."""
        return self.encoders or tuple(name for name in NAMED if not (self.quick and name in SLOW))


@dataclass(frozen=True)
class Embedded:
    """What an encoder made of a data set, once for each of its seeds.

    Attributes
    ----------
    embeddings : list of numpy.ndarray, each (n, dimension)
    ms_per_image : float
        On this machine, in one process.
    kilobytes : float
        Of the encoder's files; 0 where a formula is all there is.
    """

    embeddings: list[np.ndarray]
    ms_per_image: float
    kilobytes: float


def run(plan: Plan, folder: Path, say: Callable[[str], None] = print) -> Table:
    """Run every encoder on every task, print the table and write it.

    Parameters
    ----------
    plan : Plan
    folder : Path
        Where ``bench.ecsv``, ``bench.csv`` and ``bench.txt`` go; made if it is not there.
    say : callable
        Takes the lines to print.

    Returns
    -------
    astropy.table.Table
        A line for each task and encoder, with and without leak control; none if every data set had to be left out.

    Raises
    ------
    ArgumentError
        If the folder cannot be written.
    """
    from .table import begin, heading, print_task, write

    begin(folder)
    rows: list[dict[str, Any]] = []
    lines: list[str] = []

    def tell(line: str) -> None:
        lines.append(line)
        say(line)

    tell(heading(plan))
    for name in plan.only or DATASETS:
        began = time.perf_counter()
        try:
            for data in make(name, plan):
                found = run_dataset(data, plan, tell)
                rows += found
                for task in data.tasks:
                    print_task(data, task, [row for row in found if row["task"] == task.name], tell)
        except LeftOut as reason:
            tell(f"{name}: left out, {reason}\n")
        say(f"  [{name}: {time.perf_counter() - began:.0f} s]\n")
    return write(rows, lines, plan, folder)


def make(name: str, plan: Plan) -> Iterable[DataSet]:
    """The data sets of one of `DATASETS`; LeftOut where they cannot be had."""
    if name == "edr":
        return [make_edr(**QUICK[name] if plan.quick else {})]
    if name == "nights":
        return make_nights(**QUICK[name] if plan.quick else {})
    if plan.data is None:
        raise LeftOut("it is real data: give its folder with --data")
    return [{"reduced": make_reduced, "regions": make_regions, "movie": make_movie}[name](plan.data)]


def run_dataset(data: DataSet, plan: Plan, say: Callable[[str], None]) -> list[dict[str, Any]]:
    """Lines of the table for all encoders on the tasks of one data set."""
    rows = []
    drawn: dict[str, np.ndarray] = {}
    for name in plan.names:
        try:
            source = source_for(name, data)
            recipe = recipe_of(source, data.recipe)
            if recipe is None:
                continue
            if recipe.hash not in drawn:
                drawn = {recipe.hash: data.draw(recipe)}  # one at a time: images are what takes memory
            embedded = embed(source, drawn[recipe.hash], recipe, plan.seeds)
        except SimilarityError as error:
            say(f"{data.name}: {name} left out, {error}")
            continue
        for task in data.tasks:
            rows += [one | {"recipe": recipe.hash} for one in measure(name, embedded, data, task)]
    return rows


def source_for(name: str, data: DataSet) -> str:
    """The name, or the folder inside it that is named after the data set or after the kind of its images."""
    if name not in NAMED:
        for own in (data.name, data.recipe.kind):
            if (Path(name) / own).is_dir():
                return str(Path(name) / own)
    return name


def recipe_of(name: str, natural: Recipe) -> Recipe | None:
    """The recipe of the images that an encoder takes, or None where it is made for images of another kind."""
    if name in NAMED:
        return natural
    folders = _folders(name)
    if not folders:
        return None
    card = Card.from_json((folders[0] / CARD).read_text(), name)
    if card.kind != natural.kind:
        return None
    return recipe_from_dict(card.recipe) if card.recipe else natural


def embed(name: str, images: np.ndarray, recipe: Recipe, seeds: int) -> Embedded:
    """Embed all images with every seed of an encoder; those of `FITTED` are fitted to them, without labels."""
    embeddings, seconds, size = [], 0.0, 0
    for encoder in encoders_of(name, images, recipe, seeds):
        encoder.encode(images[:_WARM_UP])
        began = time.perf_counter()
        embeddings.append(encoder.encode(images))
        seconds += time.perf_counter() - began
        size = sum(map(len, encoder.files.values()))
    return Embedded(embeddings, 1e3 * seconds / (len(images) * len(embeddings)), size / 1e3)


def encoders_of(name: str, images: np.ndarray, recipe: Recipe, seeds: int) -> Iterator[Encoder]:
    """The encoder of a name or folder, once for each seed that it has."""
    if name not in NAMED:
        yield from map(load_encoder, _folders(name))
        return
    for seed in range(seeds if name in FITTED else 1):
        if name == "pca":
            yield fit_pca(images, recipe.kind, seed=seed)
        elif name in FITTED:
            yield fit_random(images, recipe.kind, name, seed)
        else:
            yield named_encoder(name, recipe.kind)


def measure(name: str, embedded: Embedded, data: DataSet, task: Task) -> Iterator[dict[str, Any]]:
    """The line of one encoder and task with leak control, and the one without."""
    about = {
        "dataset": data.name,
        "task": task.name,
        "encoder": Path(name).name,
        "simulated": data.simulated,
        "seeds": len(embedded.embeddings),
        "dimension": embedded.embeddings[0].shape[1],
        "kilobytes": embedded.kilobytes,
        "ms_per_image": embedded.ms_per_image,
    }
    for leak_control in (True, False):
        scores = [measure_queries(each, data.group, task, leak_control) for each in embedded.embeddings]
        asked = np.isfinite(scores[0]["ap"])
        if not asked.any():
            continue
        group = data.group[task.queries[asked]]
        found = summarise([{key: values[asked] for key, values in one.items()} for one in scores], group)
        counts = {"leak_control": leak_control, "queries": int(asked.sum()), "groups": len(np.unique(group))}
        yield about | counts | _columns(found, task)


def _columns(found: dict[str, Estimate], task: Task) -> dict[str, float]:
    columns = {"candidates": found["candidates"].value, "base": found["base"].value}
    for key in MEASURES:
        estimate = found[key] if key != "two@6" or task.across_groups else Estimate(np.nan, np.nan, np.nan)
        columns |= {key: estimate.value, f"{key}_low": estimate.low, f"{key}_high": estimate.high}
    return columns


def _folders(name: str) -> list[Path]:
    """The folder of a saved encoder, or those inside it, one for each seed."""
    folder = Path(name)
    if (folder / CARD).is_file():
        return [folder]
    return sorted(path.parent for path in folder.glob(f"*/{CARD}"))
