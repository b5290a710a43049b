"""Networks and fixed encoders on the simulator by other authors, relative to the searched library."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.data_sets.foreign import KINDS, OTHER_KINDS, data_set_of, images_of, load_simulator
from benchmarks.data_sets.tasks import DataSet
from benchmarks.retrieval import table
from benchmarks.retrieval.encoders import label_of
from benchmarks.retrieval.measures import Estimate, lead, summarize
from benchmarks.retrieval.plan import Plan
from benchmarks.retrieval.run import RELATIVE, Measured, measure_all, rows_of, thinned
from pyspedas_similarity.encoder.fixed import DEFAULT
from pyspedas_similarity.encoder.weights import PREFIX
from pyspedas_similarity.imaging.recipes import Recipe
from pyspedas_similarity.instruments.registry import ELECTRONS

FIXED = ("pixels", "hog", "pca", "random_compact")
EVENTS, SAMPLES = 16, 400

_WIDTH = 118
_GROUPS = 1000
"""Number of a draw times it, plus that of an event, is the number of a group."""


@dataclass
class Judged:
    """Rows of the table, and the scores of every query by task and encoder with their groups."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    scores: dict[str, dict[str, list[list[dict[str, np.ndarray]]]]] = field(default_factory=dict)
    groups: dict[str, list[np.ndarray]] = field(default_factory=dict)

    def add(self, number: int, data: DataSet, found: Mapping[str, Measured]) -> None:
        """Add the measures of a draw."""
        for task in data.tasks:
            self.rows += rows_of(data, task, found)
            scores = {label_of(name): each.scores[task.name, RELATIVE] for name, each in found.items()}
            right = np.isfinite(next(iter(scores.values()))[0]["ap"])
            self.groups.setdefault(task.name, []).append(_GROUPS * number + data.group[task.queries[right]])
            for label, seeds in scores.items():
                kept = [{key: values[right] for key, values in each.items()} for each in seeds]
                self.scores.setdefault(task.name, {}).setdefault(label, []).append(kept)

    def pooled(self, task: str, label: str) -> list[dict[str, np.ndarray]]:
        """Return the scores of the queries of all draws, for each seed of an encoder."""
        draws = self.scores[task][label]
        return [
            {key: np.concatenate([draw[seed][key] for draw in draws]) for key in draws[0][seed]}
            for seed in range(len(draws[0]))
        ]

    def summary(self) -> Iterator[dict[str, Any]]:
        """Yield for each task and encoder its mean average precision over all draws, and its lead over `DEFAULT`."""
        for task, by_encoder in self.scores.items():
            group = np.concatenate(self.groups[task])
            for label, draws in by_encoder.items():
                own, default = self.pooled(task, label), self.pooled(task, DEFAULT)
                each = [np.mean([seed["ap"].mean() for seed in draw]) for draw in draws]
                yield {
                    "task": task,
                    "encoder": label,
                    "ap": summarize(own, group)["ap"],
                    "lead": lead(own, default, group),
                    "draws": (min(each), max(each)),
                    "queries": len(group),
                    "groups": len(np.unique(group)),
                }


def foreign_sets(folder: Path | None, draws: Sequence[int], kept: Path) -> Iterator[tuple[int, DataSet]]:
    """Yield the draws of the simulator; their images are kept in a folder, since a draw takes a minute or two."""
    simulator = load_simulator(folder)
    for seed in draws:
        path = kept / f"foreign-{seed}.npz"
        if not path.is_file():
            passes = simulator.make(seed, EVENTS, SAMPLES)
            temporary = path.with_suffix(".part.npz")
            np.savez(temporary, images=images_of(passes, ELECTRONS), event=passes["event"], region=passes["region"])
            temporary.replace(path)
            del passes
        with np.load(path) as file:
            images, event, region = file["images"], file["event"], file["region"]
        yield seed, data_set_of(seed, event, region, _Kept(images), KINDS | OTHER_KINDS)


@dataclass(frozen=True, eq=False)
class _Kept:
    """Images of `ELECTRONS`, as the function of a recipe."""

    images: np.ndarray

    def __call__(self, recipe: Recipe) -> np.ndarray:
        if recipe.hash != ELECTRONS.hash:
            raise ValueError(f"images are kept for the recipe {ELECTRONS.hash} only, not {recipe.hash}")
        return self.images


def with_default(networks: Sequence[str]) -> tuple[str, ...]:
    """Return networks, and each next to 'structure'."""
    return (*networks, *(f"{PREFIX}{each}" for each in networks))


def judge(sets: Iterator[tuple[int, DataSet]], plan: Plan, out: Path, stem: str, say: Callable[[str], None]) -> Judged:
    """Measure all encoders of a plan on all draws; print the tables and write them as ``STEM.txt`` and ``STEM.csv``."""
    table.prepare_folder(out, stem)
    judged, lines = Judged(), []

    def report(line: str) -> None:
        lines.append(line)
        say(line)

    for number, data in sets:
        data = thinned(data, plan.most)
        judged.add(number, data, measure_all(data, plan, report, (RELATIVE,)))
    print_summary(judged, report)
    print_groups(judged, report)
    table.write(judged.rows, lines, plan, out, stem)
    return judged


def print_summary(judged: Judged, say: Callable[[str], None]) -> None:
    """Print the mean average precision of all draws, and the lead over the default encoder."""
    text = (
        "Mean average precision over the queries of all draws, relative to the searched library. Parentheses: 95 % "
        f"intervals from a bootstrap over groups (events of a draw) and seeds. lead: difference to {DEFAULT}, paired "
        f"by query. {PREFIX}NAME: the features of NAME as one more block next to those of {DEFAULT}."
    )
    say(textwrap.fill(text, _WIDTH) + "\n")
    task = ""
    for row in judged.summary():
        if row["task"] != task:
            task = row["task"]
            say(f"{task}: {row['queries']} queries of {row['groups']} groups [SIMULATED, by other authors]")
            say(f"  {'encoder':40s}{'ap':22s}{'draws':14s}lead")
        low, high = row["draws"]
        gained = "" if row["encoder"] == DEFAULT else _interval(row["lead"], "+.3f")
        say(f"  {row['encoder']:40s}{_interval(row['ap'], '.3f'):22s}{f'{low:.2f}-{high:.2f}':14s}{gained}".rstrip())
    say("")


def print_groups(judged: Judged, say: Callable[[str], None]) -> None:
    """Print the average precision of every group."""
    say("Mean average precision of the queries of each event")
    for row in judged.rows:
        lines = textwrap.wrap(row["ap_by_group"], _WIDTH - 6)
        say(f"  {row['dataset']}, {row['task']}: {row['encoder']}")
        for line in lines:
            say(f"      {line}")


def _interval(estimate: Estimate, form: str) -> str:
    to = " to " if form.startswith("+") else "-"
    return f"{estimate.value:{form}} ({estimate.low:{form}}{to}{estimate.high:{form}})"
