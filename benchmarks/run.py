"""Encoders x tasks: embeddings, measures, one table."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pyspedas_similarity.encoder.cards import Card
from pyspedas_similarity.encoder.fitted import FITTED, NAMED, fit_pca, fit_random, named_encoder
from pyspedas_similarity.encoder.runtime import Encoder
from pyspedas_similarity.encoder.shipped import AUTOMATIC, available, shipped_for
from pyspedas_similarity.encoder.weights import CARD, load_encoder
from pyspedas_similarity.errors import ArgumentError, SimilarityError
from pyspedas_similarity.imaging.recipes import Recipe, recipe_from_dict

from .edr import make_edr
from .measures import ACROSS_GROUPS, MEASURES, Estimate, lead, measure_queries, summarize
from .shipping import train_as, windows
from .shipping.folds import unseen_scores
from .sky import make_movie, make_nights, make_projected
from .tasks import DataSet, LeftOut, Task
from .windows import make_reduced, make_regions

if TYPE_CHECKING:
    from astropy.table import Table

DATASETS = ("edr", "nights", "projected", "reduced", "regions", "movie")
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
        Names of `NAMED`, 'shipped' for those that come with the package, and folders of saved encoders, or of folders
        of one encoder trained with several seeds, or of such folders that are named after the data set, or the kind of
        image, that each is for; empty: all names.
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
            if name not in (*NAMED, AUTOMATIC) and not _folders(name) and not any(Path(name).glob(f"*/*/{CARD}")):
                remedy = f"Give of {', '.join((*NAMED, AUTOMATIC))}, or folders of saved encoders."
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
        named = tuple(name for name in NAMED if not (self.quick and name in SLOW))
        return self.encoders or (*named, *([AUTOMATIC] if available() else []))


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
    recipe : str
        Hash of that of the images.
    hash : str
        Of the encoder, that of the first seed.
    """

    embeddings: list[np.ndarray]
    ms_per_image: float
    kilobytes: float
    recipe: str
    hash: str


@dataclass(frozen=True)
class Measured:
    """What an encoder found in a data set.

    Attributes
    ----------
    scores : dict of (str, bool) to list of dict
        By task and leak control, for each seed what `measures.measure_queries` gave.
    about : dict
        Columns of the table that are the same for all tasks.
    """

    scores: dict[tuple[str, bool], list[dict[str, np.ndarray]]]
    about: dict[str, Any]


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
    if name in ("nights", "projected"):
        made = make_nights if name == "nights" else make_projected
        return made(**QUICK["nights"] if plan.quick else {})
    if plan.data is None:
        raise LeftOut("it is real data: give its folder with --data")
    return [{"reduced": make_reduced, "regions": make_regions, "movie": make_movie}[name](plan.data)]


def run_dataset(data: DataSet, plan: Plan, say: Callable[[str], None]) -> list[dict[str, Any]]:
    """Lines of the table for all encoders on the tasks of one data set."""
    found: dict[str, Measured] = {}
    drawn: dict[str, np.ndarray] = {}

    def draw(recipe: Recipe) -> np.ndarray:
        if recipe.hash not in drawn:
            drawn.clear()  # one at a time: images are what takes memory
            drawn[recipe.hash] = data.draw(recipe)
        return drawn[recipe.hash]

    for name in plan.names:
        try:
            if name == AUTOMATIC and data.name in windows.TRAINED_ON:
                found[name] = measure_unseen(data, plan)
                continue
            source = source_for(name, data)
            recipe = recipe_of(source, data.recipe)
            if recipe is not None:
                found[name] = measure(embed(source, draw(recipe), recipe, plan.seeds), data)
        except SimilarityError as error:
            say(f"{data.name}: {name} left out, {error}")
    return [row for task in data.tasks for row in lines_of(data, task, found)]


def source_for(name: str, data: DataSet) -> str:
    """The name, or the folder inside it that is named after the data set or after the kind of its images."""
    if name not in (*NAMED, AUTOMATIC):
        for own in (data.name, data.recipe.kind):
            if (Path(name) / own).is_dir():
                return str(Path(name) / own)
    return name


def recipe_of(name: str, natural: Recipe) -> Recipe | None:
    """The recipe of the images that an encoder takes, or None where it is made for images of another kind."""
    if name in NAMED:
        return natural
    if name == AUTOMATIC:
        card = shipped_for(natural.kind, natural.hash, natural.shape).card
    else:
        folders = _folders(name)
        if not folders:
            return None
        card = Card.from_json((folders[0] / CARD).read_text(), name)
    if card.kind != natural.kind:
        return None
    return recipe_from_dict(card.recipe) if card.recipe else natural


def embed(name: str, images: np.ndarray, recipe: Recipe, seeds: int) -> Embedded:
    """Embed all images with every seed of an encoder; those of `FITTED` are fitted to them, without labels."""
    embeddings, hashes, seconds, size = [], [], 0.0, 0
    for encoder in encoders_of(name, images, recipe, seeds):
        encoder.encode(images[:_WARM_UP])
        began = time.perf_counter()
        embeddings.append(encoder.encode(images))
        hashes.append(encoder.hash)
        seconds += time.perf_counter() - began
        size = sum(map(len, encoder.files.values()))
    return Embedded(embeddings, 1e3 * seconds / (len(images) * len(embeddings)), size / 1e3, recipe.hash, hashes[0])


def encoders_of(name: str, images: np.ndarray, recipe: Recipe, seeds: int) -> Iterator[Encoder]:
    """The encoder of a name or folder, once for each seed that it has."""
    if name == AUTOMATIC:
        yield shipped_for(recipe.kind, recipe.hash, images.shape[1:])
        return
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


def measure(embedded: Embedded, data: DataSet) -> Measured:
    """Every task of a data set, with and without leak control."""
    scores = {
        (task.name, control): [measure_queries(each, data.group, task, control) for each in embedded.embeddings]
        for task in data.tasks
        for control in (True, False)
    }
    about = {
        "dimension": embedded.embeddings[0].shape[1],
        "kilobytes": embedded.kilobytes,
        "ms_per_image": embedded.ms_per_image,
        "recipe": embedded.recipe,
        "hash": embedded.hash,
        "how": "",
    }
    return Measured(scores, about)


def measure_unseen(data: DataSet, plan: Plan) -> Measured:
    """As `measure`, of the shipped encoder where it was trained on the data: trained anew without each group in turn.

    What the files take and the time of an image are those of the one that is shipped.
    """
    images = data.draw(data.recipe)
    as_shipped = embed(AUTOMATIC, images, data.recipe, 1)
    scores: dict[tuple[str, bool], list[dict[str, np.ndarray]]] = {}
    for seed in range(plan.seeds):
        library = windows.library(data=plan.data, seed=seed)
        for control in (True, False):
            found = unseen_scores(data, library, partial(train_as, windows), control)
            for task, one in found.items():
                scores.setdefault((task, control), []).append(one)
    about = measure(as_shipped, replace(data, tasks=())).about
    return Measured(scores, about | {"how": "trained anew without each group"})


def lines_of(data: DataSet, task: Task, found: Mapping[str, Measured]) -> Iterator[dict[str, Any]]:
    """The lines of all encoders on one task, with leak control and without."""
    best = {control: _best_baseline(task, found, control) for control in (True, False)}
    for name, one in found.items():
        for control in (True, False):
            scores = one.scores[task.name, control]
            asked = np.isfinite(scores[0]["ap"])
            if not asked.any():
                continue
            group = data.group[task.queries[asked]]
            about = {
                "dataset": data.name,
                "task": task.name,
                "encoder": Path(name).name,
                "simulated": data.simulated,
                "seeds": len(scores),
                "leak_control": control,
                "queries": int(asked.sum()),
                "groups": len(np.unique(group)),
            }
            scores = [_asked(each, asked) for each in scores]
            above = {"best_baseline": "", "lead": np.nan, "lead_low": np.nan, "lead_high": np.nan}
            if name not in NAMED and best[control]:
                theirs = [_asked(each, asked) for each in found[best[control]].scores[task.name, control]]
                value = lead(scores, theirs, group)
                above = {"best_baseline": best[control], "lead": value.value}
                above |= {"lead_low": value.low, "lead_high": value.high}
            yield about | one.about | _columns(summarize(scores, group), task) | above


def _best_baseline(task: Task, found: Mapping[str, Measured], control: bool) -> str:
    """The encoder of `NAMED` with the highest mean average precision; '' where none was run."""
    means = {
        name: np.nanmean([each["ap"] for each in one.scores[task.name, control]])
        for name, one in found.items()
        if name in NAMED and np.isfinite(one.scores[task.name, control][0]["ap"]).any()
    }
    return max(means, key=means.__getitem__, default="")


def _asked(scores: Mapping[str, np.ndarray], asked: np.ndarray) -> dict[str, np.ndarray]:
    return {key: values[asked] for key, values in scores.items()}


def _columns(found: dict[str, Estimate], task: Task) -> dict[str, float]:
    columns = {"candidates": found["candidates"].value, "base": found["base"].value}
    for key in MEASURES:
        told = key not in ACROSS_GROUPS or task.across_groups
        estimate = found[key] if told else Estimate(np.nan, np.nan, np.nan)
        columns |= {key: estimate.value, f"{key}_low": estimate.low, f"{key}_high": estimate.high}
    return columns


def _folders(name: str) -> list[Path]:
    """The folder of a saved encoder, or those inside it, one for each seed."""
    folder = Path(name)
    if (folder / CARD).is_file():
        return [folder]
    return sorted(path.parent for path in folder.glob(f"*/{CARD}"))
