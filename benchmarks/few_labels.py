"""How many labels does it take? Accuracy against labels per class, for encoders and for networks trained on them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pyspedas_similarity.encoder.finetune import FEWEST_LABELS, backbone_of, in_torch, tuned_network
from pyspedas_similarity.encoder.fitted import NAMED
from pyspedas_similarity.encoder.runtime import Encoder
from pyspedas_similarity.encoder.supervised import FROM_NOTHING, LabelPlan, make_labeled, train_on_labels
from pyspedas_similarity.errors import ArgumentError, SimilarityError
from pyspedas_similarity.search.linear_classifier import fit_probe

from . import table
from .labeled import LabeledSet, electrons, nights, region_windows
from .measures import BOOTSTRAPS, Estimate
from .run import SLOW, Plan, encoders_of, recipe_of
from .tasks import LeftOut

if TYPE_CHECKING:
    from astropy.table import Table

STEM = "labels"
SETS = ("regions", "edr", "nights")
LABELS = (1, 3, 10, 30)
DRAWS = 5
"""Of the groups that labels come from, and of the labels."""

ENCODERS = ("pixels", "hog", "oriented", "hybrid", "random")
REFERENCE, NOTHING, TUNED = "pixels", "from nothing", "{}, tuned"
"""Lines: what others are compared with; the network that knows nothing but the labels; a fine-tuned encoder."""

QUICK: dict[str, dict[str, Any]] = {
    "edr": {"events": 8, "most": 4},
    "nights": {"nights": 5, "duration_s": 900.0, "cadence_s": 20.0, "most": 6},
}
QUICK_LABELS, QUICK_DRAWS = (1, 10), 2
_TRIES = 10_000


@dataclass(frozen=True, eq=False)
class Draw:
    """Where labels come from once.

    Attributes
    ----------
    seed : int
    tested : numpy.ndarray
        Rows to be told: all of the groups that no label comes from.
    rows : dict of int to numpy.ndarray
        Labeled rows by labels per class; the fewer are among the more.
    """

    seed: int
    tested: np.ndarray
    rows: dict[int, np.ndarray]


@dataclass(frozen=True, eq=False)
class Answers:
    """What a line of the table said.

    Attributes
    ----------
    right : dict of int to list of numpy.ndarray
        By labels per class: which of the tested were told rightly, one (tested,) for each draw.
    seconds : dict of int to float
        Processor time of all trainings.
    """

    right: dict[int, list[np.ndarray]]
    seconds: dict[int, float]


def run(plan: Plan, folder: Path, say: Callable[[str], None] = print) -> Table:
    """Ask every encoder and network, print the table, write it and draw its picture.

    Parameters
    ----------
    plan : Plan
        Of the benchmark; without encoders, `ENCODERS`.
    folder : Path
        Where ``labels.txt``, ``labels.ecsv``, ``labels.csv`` and ``labels.png`` go; made if it is not there.
    say : callable
        Takes the lines to print.

    Returns
    -------
    astropy.table.Table
        A line for each data set, encoder and number of labels; none if every data set had to be left out.

    Raises
    ------
    ArgumentError
        A data set without labels is asked for, or the folder cannot be written.
    """
    from benchmarks.label_curves import plot_label_curves

    from .label_table import heading, print_set

    for name in plan.only:
        if name not in SETS:
            raise ArgumentError("--only", f"found {name!r}, which has no labels", f"Give of {', '.join(SETS)}.")
    table.begin(folder, STEM)
    rows: list[dict[str, Any]] = []
    lines: list[str] = []

    def tell(line: str) -> None:
        lines.append(line)
        say(line)

    tell(heading(plan))
    for name in plan.only or SETS:
        began = time.perf_counter()
        try:
            data = make(name, plan)
            found = run_set(data, plan, tell)
            rows += found
            print_set(data, found, tell)
        except LeftOut as reason:
            tell(f"{name}: left out, {reason}\n")
        say(f"  [{name}: {time.perf_counter() - began:.0f} s]\n")
        made = table.write(rows, lines, plan, folder, STEM)  # after each: what is done stays if the rest is stopped
        if rows:
            plot_label_curves(made, folder / f"{STEM}.png")
    return made


def make(name: str, plan: Plan) -> LabeledSet:
    """One of `SETS`; LeftOut where it cannot be had."""
    if name == "regions":
        if plan.data is None:
            raise LeftOut("it is real data: give its folder with --data")
        return region_windows(plan.data)
    return {"edr": electrons, "nights": nights}[name](**QUICK[name] if plan.quick else {})


def run_set(data: LabeledSet, plan: Plan, say: Callable[[str], None]) -> list[dict[str, Any]]:
    """Lines of the table for one data set."""
    counts = QUICK_LABELS if plan.quick else LABELS
    drawn = draws(data, counts, QUICK_DRAWS if plan.quick else DRAWS)
    answers: dict[str, Answers] = {}
    images: dict[str, np.ndarray] = {}
    for name in _names(plan):
        try:
            recipe = recipe_of(name, data.recipe)
            if recipe is None:
                continue
            if recipe.hash not in images:
                images = {recipe.hash: data.draw(recipe)}  # one at a time: images are what takes memory
            encoders = list(encoders_of(name, images[recipe.hash], recipe, plan.seeds))
            title = Path(name).name
            answers[title] = by_probe([one.encode(images[recipe.hash]) for one in encoders], data, drawn)
            if name not in NAMED and all(map(backbone_of, encoders)):
                answers[TUNED.format(title)] = by_tuning(encoders, images[recipe.hash], data, drawn)
        except SimilarityError as error:
            say(f"{data.name}: {name} left out, {error}")
    if data.recipe.hash not in images:
        images = {data.recipe.hash: data.draw(data.recipe)}
    answers[NOTHING] = from_nothing(images[data.recipe.hash], data, drawn)
    return list(_rows(data, drawn, answers))


def _names(plan: Plan) -> tuple[str, ...]:
    """Those asked for, the reference before them."""
    names = plan.encoders or tuple(name for name in ENCODERS if not (plan.quick and name in SLOW))
    return names if REFERENCE in names else (REFERENCE, *names)


def draws(data: LabeledSet, counts: Sequence[int], number: int) -> list[Draw]:
    """Split groups in two halves at random, each with every label, and draw labels of one half.

    Labels of a class are taken from the groups in turn, at random within each: that is how somebody labels who knows
    that neighbors are alike. Where a class has fewer than are asked for, all that it has are taken.
    """
    names = np.unique(data.group)
    classes = np.unique(data.label)
    found = []
    for seed in range(number):
        rng = np.random.default_rng([seed, 11])
        labeled = np.isin(data.group, _half(data, names, classes, rng))
        turns = [_in_turn(np.flatnonzero(labeled & (data.label == each)), data.group, rng) for each in classes]
        rows = {count: np.concatenate([one[:count] for one in turns]) for count in counts}
        found.append(Draw(seed, np.flatnonzero(~labeled), rows))
    return found


def _half(data: LabeledSet, names: np.ndarray, classes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Groups of a half without which, and in which, every class is there."""
    for _ in range(_TRIES):
        size = len(names) // 2 + rng.integers(2) * (len(names) % 2)
        chosen = rng.permutation(names)[:size]
        inside = np.isin(data.group, chosen)
        if all(len(np.unique(data.label[side])) == len(classes) for side in (inside, ~inside)):
            return chosen
    raise LeftOut("its groups cannot be parted so that every class is on both sides")


def _in_turn(rows: np.ndarray, group: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """All of `rows`, one of each group before the second of any."""
    rows = rng.permutation(rows)
    turn = np.empty(len(rows), int)
    for name in np.unique(group[rows]):
        members = group[rows] == name
        turn[members] = np.arange(members.sum())
    return rows[np.argsort(turn, kind="stable")]


def by_probe(embeddings: Sequence[np.ndarray], data: LabeledSet, drawn: Sequence[Draw]) -> Answers:
    """A probe on the embeddings of an encoder, as `classify` fits it; its seeds take turns over the draws."""
    right: dict[int, list[np.ndarray]] = {count: [] for count in drawn[0].rows}
    seconds = dict.fromkeys(right, 0.0)
    for one in drawn:
        vectors = embeddings[one.seed % len(embeddings)]
        for count, rows in one.rows.items():
            began = time.process_time()
            right[count].append(_told(vectors, rows, data.label, one.tested))
            seconds[count] += time.process_time() - began
    return Answers(right, seconds)


def by_tuning(encoders: Sequence[Encoder], images: np.ndarray, data: LabeledSet, drawn: Sequence[Draw]) -> Answers:
    """The same on the embeddings of the encoder after fine-tuning, where there are labels enough for it."""
    right: dict[int, list[np.ndarray]] = {count: [] for count in drawn[0].rows if count >= FEWEST_LABELS}
    seconds = dict.fromkeys(right, 0.0)
    for one in drawn:
        encoder = encoders[one.seed % len(encoders)]
        for count in right:
            rows, began = one.rows[count], time.process_time()
            plan = LabelPlan(seed=one.seed)
            network = tuned_network(images[rows], data.label[rows], data.stretch[rows], encoder, plan)
            seconds[count] += time.process_time() - began
            seen = np.concatenate([rows, one.tested])
            made = in_torch(encoder, network).encode(images[seen])
            vectors = np.full((len(images), made.shape[1]), np.nan, np.float32)
            vectors[seen] = made
            right[count].append(_told(vectors, rows, data.label, one.tested))
    return Answers(right, seconds)


def from_nothing(images: np.ndarray, data: LabeledSet, drawn: Sequence[Draw]) -> Answers:
    """A compact network with random weights, trained on the labels alone."""
    right: dict[int, list[np.ndarray]] = {count: [] for count in drawn[0].rows}
    seconds = dict.fromkeys(right, 0.0)
    for one in drawn:
        for count, rows in one.rows.items():
            began = time.process_time()
            labeled = make_labeled(images[rows], data.label[rows], data.stretch[rows])
            network = train_on_labels(labeled, replace(FROM_NOTHING, seed=one.seed))
            seconds[count] += time.process_time() - began
            right[count].append(network.predict(images[one.tested]) == data.label[one.tested])
    return Answers(right, seconds)


def _told(vectors: np.ndarray, rows: np.ndarray, label: np.ndarray, tested: np.ndarray) -> np.ndarray:
    """Which of the tested are told rightly by a probe on the labeled rows; who has no embedding is not."""
    rows = rows[np.isfinite(vectors[rows]).all(axis=1)]
    probe = fit_probe(vectors[rows], label[rows], np.arange(len(rows)))
    found = np.nan_to_num(probe.probabilities(vectors[tested]))
    return (np.array(probe.classes)[found.argmax(axis=1)] == label[tested]) & (found.max(axis=1) > 0)


def _rows(data: LabeledSet, drawn: Sequence[Draw], answers: Mapping[str, Answers]) -> Iterator[dict[str, Any]]:
    curves = {name: curve(one.right, data, drawn) for name, one in answers.items()}
    fewest = {
        count: min(np.unique(data.label[one.rows[count]], return_counts=True)[1].min() for one in drawn)
        for count in drawn[0].rows
    }
    about = {"dataset": data.name, "simulated": data.simulated, "classes": len(np.unique(data.label))}
    about |= {"groups": len(np.unique(data.group)), "draws": len(drawn)}
    for name, accuracies in curves.items():
        for count, drawn_again in accuracies.items():
            line = about | {"line": name, "labels": count, "fewest": int(fewest[count])}
            line |= _columns("accuracy", drawn_again)
            for other, column in ((REFERENCE, "less_pixels"), (NOTHING, "less_nothing")):
                if other in curves and other != name:
                    line |= _columns(column, drawn_again - curves[other][count])
                else:
                    line |= dict.fromkeys((column, f"{column}_low", f"{column}_high"), np.nan)
            yield line | {"seconds": answers[name].seconds[count] / len(drawn)}


def _columns(name: str, drawn_again: np.ndarray) -> dict[str, float]:
    found = Estimate(float(drawn_again[0]), *np.nanpercentile(drawn_again[1:], (2.5, 97.5)).tolist())
    return {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}


def curve(
    right: Mapping[int, Sequence[np.ndarray]], data: LabeledSet, drawn: Sequence[Draw], seed: int = 0
) -> dict[int, np.ndarray]:
    """Accuracy, mean over classes and draws: its value, and then that of every bootstrap sample.

    Parameters
    ----------
    right : mapping of int to list of numpy.ndarray
        Which of the tested were told rightly, of each draw.
    data : LabeledSet
    drawn : sequence of Draw
    seed : int
        Of the bootstrap, which draws groups and draws again with replacement. It is the same for all lines, so that
        differences between two are of the same groups and draws (paired).

    Returns
    -------
    dict of int to numpy.ndarray, shape (1 + BOOTSTRAPS,)
        NaN in a sample that has no group of any of its draws.
    """
    groups, group = np.unique(data.group, return_inverse=True)
    classes, truth = np.unique(data.label, return_inverse=True)
    rng = np.random.default_rng(seed)
    of_groups = _weights(len(groups), rng)
    of_draws = _weights(len(drawn), rng)
    found = {}
    for count, hits in right.items():
        means, weights = [], []
        for one, hit in zip(drawn, hits, strict=True):
            cell = group[one.tested] * len(classes) + truth[one.tested]
            tables = [np.bincount(cell, values, len(groups) * len(classes)) for values in (np.ones(len(hit)), hit)]
            asked, told = (of_groups @ each.reshape(len(groups), len(classes)) for each in tables)
            present = asked > 0  # where no group that was drawn again has the class, it is not counted
            recall = np.where(present, told / np.where(present, asked, 1), 0)
            means.append(recall.sum(axis=1) / np.maximum(present.sum(axis=1), 1))
            weights.append(present.any(axis=1))
        weight = of_draws * np.array(weights).T
        total = weight.sum(axis=1)
        mean = (weight * np.array(means).T).sum(axis=1) / np.where(total > 0, total, 1)
        found[count] = np.where(total > 0, mean, np.nan)
    return found


def _weights(count: int, rng: np.random.Generator) -> np.ndarray:
    """How often each of `count` is drawn: once in the first line, then in every bootstrap sample."""
    drawn = rng.multinomial(count, np.full(count, 1 / count), BOOTSTRAPS)
    return np.vstack([np.ones(count), drawn])
