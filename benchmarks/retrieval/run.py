"""Run of the retrieval benchmark: every encoder on every task, in one table."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.data_sets.tasks import DataSet, DataUnavailable, Task, thin
from benchmarks.retrieval import table
from benchmarks.retrieval.encoders import Embedded, embed, label_of, recipe_of, source_for
from benchmarks.retrieval.measures import (
    ACROSS_GROUPS,
    MEASURES,
    Estimate,
    lead,
    measure_queries,
    plain,
    relative,
    summarize,
)
from benchmarks.retrieval.plan import DATASETS, Plan, make_data_sets
from pyspedas_similarity.encoder.fitted import NAMED
from pyspedas_similarity.encoder.fixed import DEFAULT
from pyspedas_similarity.errors import SimilarityError
from pyspedas_similarity.imaging.recipes import Recipe
from pyspedas_similarity.search.reference import (
    EVENT,
    KIND,
    QUESTIONS,
    Reference,
    Sample,
    sampled_rows,
)

if TYPE_CHECKING:
    from astropy.table import Table


RELATIVE, PLAIN, LEAKY, OTHER = "relative", "plain", "leaky", "other question"
BASELINES = tuple(name for name in NAMED if name != DEFAULT)
"""Encoders that the others are compared with: all that have a name, without the default one."""

COMPARED = (RELATIVE, PLAIN, LEAKY, OTHER)
"""How embeddings are compared: relative to the data set, as a search does by default; by plain cosines; relative
without the leak control; and relative, with the question that the task does not ask, 'kind' for 'event' or the reverse.
"""


@dataclass(frozen=True)
class Measured:
    """Measures of an encoder on a data set: for each seed, by task and one of `COMPARED`; and columns for all tasks."""

    scores: dict[tuple[str, str], list[dict[str, np.ndarray]]]
    about: dict[str, Any]


def run(plan: Plan, folder: Path, say: Callable[[str], None] = print) -> Table:
    """Run every encoder on every task; print and write the table, a row for each task, encoder and one of `COMPARED`.

    The folder is made if it does not exist; raise ArgumentError if it cannot be written.
    """
    table.prepare_folder(folder)
    rows: list[dict[str, Any]] = []
    lines: list[str] = []

    def report(line: str) -> None:
        lines.append(line)
        say(line)

    report(table.heading(plan))
    for name in plan.only or DATASETS:
        began = time.perf_counter()
        try:
            for data in map(partial(thinned, most=plan.most), make_data_sets(name, plan)):
                found = run_data_set(data, plan, report)
                rows += found
                for task in data.tasks:
                    table.print_task(data, task, [row for row in found if row["task"] == task.name], report)
            table.print_means([row for row in rows if row["dataset"].startswith(f"{name}-")], report)
        except DataUnavailable as reason:
            report(f"{name}: left out, {reason}\n")
        say(f"  [{name}: {time.perf_counter() - began:.0f} s]\n")
    return table.write(rows, lines, plan, folder)


def thinned(data: DataSet, most: int | None) -> DataSet:
    """Return a data set with at most so many queries in a task."""
    if most is None:
        return data
    return replace(data, tasks=tuple(replace(task, queries=thin(task.queries, most)) for task in data.tasks))


def run_data_set(data: DataSet, plan: Plan, say: Callable[[str], None]) -> list[dict[str, Any]]:
    """Return the rows of the table for all encoders on the tasks of one data set."""
    found = measure_all(data, plan, say)
    return [row for task in data.tasks for row in rows_of(data, task, found)]


def measure_all(
    data: DataSet, plan: Plan, say: Callable[[str], None], compared: Sequence[str] = COMPARED
) -> dict[str, Measured]:
    """Return the measures of all encoders on one data set; those that do not fit it are left out."""
    found: dict[str, Measured] = {}
    drawn: dict[str, np.ndarray] = {}

    def draw(recipe: Recipe) -> np.ndarray:
        if recipe.hash not in drawn:
            drawn.clear()  # keep the images of one recipe only, to save memory
            drawn[recipe.hash] = data.draw(recipe)
        return drawn[recipe.hash]

    for name in plan.names:
        try:
            source = source_for(name, data.name, data.recipe.kind)
            recipe = recipe_of(source, data.recipe)
            if recipe is not None:
                found[name] = measure(embed(source, draw(recipe), recipe, plan.seeds), data, compared)
        except SimilarityError as error:
            say(f"{data.name}: {name} left out, {error}")
    return found


def measure(embedded: Embedded, data: DataSet, chosen: Sequence[str] = COMPARED) -> Measured:
    """Return the measures of every task of a data set, compared in some ways of `COMPARED`."""
    scores: dict[tuple[str, str], list[dict[str, np.ndarray]]] = {}
    for embeddings in embedded.embeddings:
        sample = sample_of(embeddings, data, embedded.blocks)
        by_question = {name: relative(embeddings, Reference(sample, name)) for name in QUESTIONS}
        for task in data.tasks:
            own, other = by_question[task.looking_for], by_question[KIND if task.looking_for == EVENT else EVENT]
            for compared, how, control in (
                (RELATIVE, own, True),
                (PLAIN, plain(embeddings), True),
                (LEAKY, own, False),
                (OTHER, other, True),
            ):
                if compared not in chosen:
                    continue
                found = measure_queries(how, data.group, task, control)
                scores.setdefault((task.name, compared), []).append(found)
    about = {
        "dimension": embedded.embeddings[0].shape[1],
        "kilobytes": embedded.kilobytes,
        "ms_per_image": embedded.ms_per_image,
        "recipe": embedded.recipe,
        "hash": embedded.hash,
    }
    return Measured(scores, about)


def sample_of(embeddings: np.ndarray, data: DataSet, blocks: Mapping[str, slice]) -> Sample:
    """Return the sample of a data set that similarity is relative to, chosen as a search chooses it."""
    searched = np.arange(len(embeddings)) if data.library is None else np.flatnonzero(data.library)
    rows = searched[sampled_rows(len(searched), embeddings.shape[1])]
    return Sample(embeddings[rows], data.next_of(embeddings)[rows], blocks)


def rows_of(data: DataSet, task: Task, found: Mapping[str, Measured]) -> Iterator[dict[str, Any]]:
    """Yield the rows of all encoders on one task, compared in every way of `COMPARED`."""
    known = {compared for each in found.values() for name, compared in each.scores if name == task.name}
    best = {compared: _best_baseline(task, found, compared) for compared in COMPARED if compared in known}
    for name, measured in found.items():
        for compared in best:
            scores = measured.scores[task.name, compared]
            answerable = np.isfinite(scores[0]["ap"])
            if not answerable.any():
                continue
            group = data.group[task.queries[answerable]]
            scores = [_select(each, answerable) for each in scores]
            about = {
                "dataset": data.name,
                "task": task.name,
                "encoder": label_of(name),
                "simulated": data.simulated,
                "seeds": len(scores),
                "looking_for": task.looking_for,
                "compared": compared,
                "queries": int(answerable.sum()),
                "groups": len(np.unique(group)),
            }
            baseline = "" if name in BASELINES else best[compared]
            theirs = found[baseline].scores[task.name, compared] if baseline else []
            theirs = [_select(each, answerable) for each in theirs]
            yield (
                about
                | measured.about
                | _columns(summarize(scores, group), task)
                | _lead_columns(scores, baseline, theirs, group)
                | {"ap_by_group": _ap_by_group(scores, group)}
            )


def _best_baseline(task: Task, found: Mapping[str, Measured], compared: str) -> str:
    """Return the one of `BASELINES` with the highest mean average precision, or '' if none was run."""
    means = {
        name: np.nanmean([each["ap"] for each in measured.scores[task.name, compared]])
        for name, measured in found.items()
        if name in BASELINES and np.isfinite(measured.scores[task.name, compared][0]["ap"]).any()
    }
    return max(means, key=means.__getitem__, default="")


def _select(scores: Mapping[str, np.ndarray], kept: np.ndarray) -> dict[str, np.ndarray]:
    return {key: values[kept] for key, values in scores.items()}


def _columns(found: dict[str, Estimate], task: Task) -> dict[str, float]:
    columns = {"candidates": found["candidates"].value, "base": found["base"].value}
    for key in MEASURES:
        applies = key not in ACROSS_GROUPS or task.across_groups
        estimate = found[key] if applies else Estimate(np.nan, np.nan, np.nan)
        columns |= {key: estimate.value, f"{key}_low": estimate.low, f"{key}_high": estimate.high}
    return columns


def _lead_columns(
    scores: list[dict[str, np.ndarray]], baseline: str, theirs: list[dict[str, np.ndarray]], group: np.ndarray
) -> dict[str, Any]:
    estimate = lead(scores, theirs, group) if baseline else Estimate(np.nan, np.nan, np.nan)
    columns = {"lead": estimate.value, "lead_low": estimate.low, "lead_high": estimate.high}
    return {"best_baseline": baseline} | columns


def _ap_by_group(scores: list[dict[str, np.ndarray]], group: np.ndarray) -> str:
    """Return the mean average precision of the queries of each group, as text."""
    precision = np.mean([each["ap"] for each in scores], axis=0)
    return ", ".join(f"{name} {precision[group == name].mean():.2f}" for name in dict.fromkeys(group.tolist()))
