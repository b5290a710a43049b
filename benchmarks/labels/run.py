"""Run of the label benchmark: accuracy against labels per class, for encoders and networks trained on labels."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.data_sets.foreign import default_folder
from benchmarks.data_sets.labeled import LabeledSet, electrons, nights, other_simulator, region_windows
from benchmarks.data_sets.tasks import DataUnavailable
from benchmarks.labels.figure import plot_label_curves
from benchmarks.labels.table import heading, print_set
from benchmarks.retrieval.encoders import encoders_of, recipe_of
from benchmarks.retrieval.measures import BOOTSTRAPS, Estimate
from benchmarks.retrieval.plan import SLOW, Plan
from benchmarks.retrieval.table import prepare_folder, write
from pyspedas_similarity.encoder.finetune import MIN_LABELS, as_torch_encoder, backbone_of, tuned_network
from pyspedas_similarity.encoder.fitted import NAMED
from pyspedas_similarity.encoder.library_view import LibraryView
from pyspedas_similarity.encoder.runtime import Encoder
from pyspedas_similarity.encoder.structure import block_slices
from pyspedas_similarity.encoder.supervised import FROM_NOTHING, LabelPlan, make_labeled, train_on_labels
from pyspedas_similarity.errors import ArgumentError, SimilarityError
from pyspedas_similarity.search.linear_classifier import fit_linear_classifier
from pyspedas_similarity.search.reference import KIND, Reference, Sample

if TYPE_CHECKING:
    from astropy.table import Table

STEM = "labels"
SETS = ("regions", "foreign", "edr", "nights")
LABELS = (1, 3, 10, 30)
DRAWS = 5
"""Number of random splits of the groups, each with its own draw of labels."""

ENCODERS = ("pixels", "hog", "structure", "random")
REFERENCE, NOTHING, TUNED = "pixels", "from nothing", "{}, tuned"
"""Lines of the table: the reference; the network trained on the labels alone; a fine-tuned encoder."""

QUICK: dict[str, dict[str, Any]] = {
    "foreign": {"seed": 0, "events": 8, "samples": 100, "most": 4},
    "edr": {"events": 8, "most": 4},
    "nights": {"nights": 5, "duration_s": 900.0, "cadence_s": 20.0, "most": 6},
}
QUICK_LABELS, QUICK_DRAWS = (1, 10), 2
BINS = 10
"""Bins of the probability for the calibration error."""

_TRIES = 10_000


@dataclass(frozen=True, eq=False)
class Split:
    """Random split into rows of the test, all of the groups without labels, and labeled rows by labels per class.

    Smaller sets of labeled rows are contained in larger ones.
    """

    seed: int
    test: np.ndarray
    labeled: dict[int, np.ndarray]


@dataclass(frozen=True, eq=False)
class Outcome:
    """Predictions of one line of the table, by labels per class.

    `correct` is True for test rows with the right prediction, one array for each split; `seconds` are the processor
    time of all trainings; `calibration` is the error in the test for each split, empty for networks, whose
    probabilities are not used.
    """

    correct: dict[int, list[np.ndarray]]
    seconds: dict[int, float]
    calibration: dict[int, list[float]] = field(default_factory=dict)


def run(plan: Plan, folder: Path, say: Callable[[str], None] = print) -> Table:
    """Measure every encoder and network; print, write and plot the table, a row for each set, encoder and labels.

    `ENCODERS` if the plan has none. The folder is made if it does not exist. Raise ArgumentError if a data set in the
    plan has no labels, or the folder cannot be written.
    """
    for name in plan.only:
        if name not in SETS:
            raise ArgumentError("--only", f"found {name!r}, which has no labels", f"Use {', '.join(SETS)}.")
    prepare_folder(folder, STEM)
    rows: list[dict[str, Any]] = []
    lines: list[str] = []

    def report(line: str) -> None:
        lines.append(line)
        say(line)

    report(heading(plan))
    for name in plan.only or SETS:
        began = time.perf_counter()
        try:
            data = make_labeled_set(name, plan)
            found = run_set(data, plan, report)
            rows += found
            print_set(data, found, report)
        except DataUnavailable as reason:
            report(f"{name}: left out, {reason}\n")
        say(f"  [{name}: {time.perf_counter() - began:.0f} s]\n")
        made = write(rows, lines, plan, folder, STEM)  # after each data set, in case a later one is interrupted
        if rows:
            plot_label_curves(made, folder / f"{STEM}.png")
    return made


def make_labeled_set(name: str, plan: Plan) -> LabeledSet:
    """Return one of `SETS`; raise DataUnavailable if it is not available."""
    if name == "regions":
        if plan.data is None:
            raise DataUnavailable("it is real data: give its folder with --data")
        return region_windows(plan.data)
    if name == "foreign":
        return other_simulator(plan.foreign or default_folder(plan.data), **(QUICK[name] if plan.quick else {}))
    return {"edr": electrons, "nights": nights}[name](**QUICK[name] if plan.quick else {})


def run_set(data: LabeledSet, plan: Plan, say: Callable[[str], None]) -> list[dict[str, Any]]:
    """Return the rows of the table for one data set."""
    counts = QUICK_LABELS if plan.quick else LABELS
    splits = make_splits(data, counts, QUICK_DRAWS if plan.quick else DRAWS)
    outcomes: dict[str, Outcome] = {}
    images: dict[str, np.ndarray] = {}
    for name in _names(plan):
        try:
            recipe = recipe_of(name, data.recipe)
            if recipe is None:
                continue
            if recipe.hash not in images:
                images = {recipe.hash: data.draw(recipe)}  # of one recipe only, to save memory
            encoders = list(encoders_of(name, images[recipe.hash], recipe, plan.seeds))
            title = Path(name).name
            embeddings = [each.encode(images[recipe.hash]) for each in encoders]
            outcomes[title] = by_classifier(embeddings, data, splits, encoders[0].card.blocks)
            if name not in NAMED and all(map(backbone_of, encoders)):
                outcomes[TUNED.format(title)] = by_tuning(encoders, images[recipe.hash], data, splits)
        except SimilarityError as error:
            say(f"{data.name}: {name} left out, {error}")
    if data.recipe.hash not in images:
        images = {data.recipe.hash: data.draw(data.recipe)}
    outcomes[NOTHING] = from_nothing(images[data.recipe.hash], data, splits)
    return list(_rows(data, splits, outcomes))


def _names(plan: Plan) -> tuple[str, ...]:
    """Return the encoders of the plan, with the reference."""
    names = plan.encoders or tuple(name for name in ENCODERS if not (plan.quick and name in SLOW))
    return names if REFERENCE in names else (REFERENCE, *names)


def make_splits(data: LabeledSet, counts: Sequence[int], number: int) -> list[Split]:
    """Split the groups into two halves at random, each with every class, and draw labels of one half.

    Labels of a class are taken from the groups in turn, at random within each, as a person would label who knows that
    neighbors are similar. If a class has fewer samples than requested, all are taken.
    """
    names = np.unique(data.group)
    classes = np.unique(data.label)
    found = []
    for seed in range(number):
        rng = np.random.default_rng([seed, 11])
        labeled = np.isin(data.group, _half(data, names, classes, rng))
        turns = [_in_turn(np.flatnonzero(labeled & (data.label == each)), data.group, rng) for each in classes]
        rows = {count: np.concatenate([turn[:count] for turn in turns]) for count in counts}
        found.append(Split(seed, np.flatnonzero(~labeled), rows))
    return found


def _half(data: LabeledSet, names: np.ndarray, classes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return half of the groups such that both halves have every class."""
    for _ in range(_TRIES):
        size = len(names) // 2 + rng.integers(2) * (len(names) % 2)
        chosen = rng.permutation(names)[:size]
        inside = np.isin(data.group, chosen)
        if all(len(np.unique(data.label[side])) == len(classes) for side in (inside, ~inside)):
            return chosen
    raise DataUnavailable("its groups cannot be split so that every class is on both sides")


def _in_turn(rows: np.ndarray, group: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return all of `rows`, one of each group before the second of any."""
    rows = rng.permutation(rows)
    turn = np.empty(len(rows), int)
    for name in np.unique(group[rows]):
        members = group[rows] == name
        turn[members] = np.arange(members.sum())
    return rows[np.argsort(turn, kind="stable")]


def by_classifier(
    embeddings: Sequence[np.ndarray], data: LabeledSet, splits: Sequence[Split], blocks: Mapping[str, int] | None = None
) -> Outcome:
    """Fit a linear classifier to the embeddings of an encoder, as `classify` does; its seeds alternate over splits."""
    correct: dict[int, list[np.ndarray]] = {count: [] for count in splits[0].labeled}
    seconds, calibration = dict.fromkeys(correct, 0.0), {count: [] for count in correct}
    for split in splits:
        vectors = embeddings[split.seed % len(embeddings)]
        sample = Sample(vectors, np.full_like(vectors, np.nan), block_slices(vectors.shape[1], blocks or {}))
        view = Reference(sample, KIND).balanced()
        for count, rows in split.labeled.items():
            began = time.process_time()
            right, sure = _predicted(vectors, rows, data.label, split.test, view)
            correct[count].append(right)
            calibration[count].append(calibration_error(sure, right))
            seconds[count] += time.process_time() - began
    return Outcome(correct, seconds, calibration)


def by_tuning(encoders: Sequence[Encoder], images: np.ndarray, data: LabeledSet, splits: Sequence[Split]) -> Outcome:
    """Fit the same classifier after fine-tuning the encoder, for the numbers of labels that allow it."""
    correct: dict[int, list[np.ndarray]] = {count: [] for count in splits[0].labeled if count >= MIN_LABELS}
    seconds = dict.fromkeys(correct, 0.0)
    for split in splits:
        encoder = encoders[split.seed % len(encoders)]
        for count in correct:
            rows, began = split.labeled[count], time.process_time()
            plan = LabelPlan(seed=split.seed)
            network = tuned_network(images[rows], data.label[rows], data.stretch[rows], encoder, plan)
            seconds[count] += time.process_time() - began
            needed = np.concatenate([rows, split.test])
            embedded = as_torch_encoder(encoder, network).encode(images[needed])
            vectors = np.full((len(images), embedded.shape[1]), np.nan, np.float32)
            vectors[needed] = embedded
            correct[count].append(_predicted(vectors, rows, data.label, split.test)[0])
    return Outcome(correct, seconds)


def from_nothing(images: np.ndarray, data: LabeledSet, splits: Sequence[Split]) -> Outcome:
    """Train a compact network with random weights on the labels alone."""
    correct: dict[int, list[np.ndarray]] = {count: [] for count in splits[0].labeled}
    seconds = dict.fromkeys(correct, 0.0)
    for split in splits:
        for count, rows in split.labeled.items():
            began = time.process_time()
            labeled = make_labeled(images[rows], data.label[rows], data.stretch[rows])
            network = train_on_labels(labeled, replace(FROM_NOTHING, seed=split.seed))
            seconds[count] += time.process_time() - began
            correct[count].append(network.predict(images[split.test]) == data.label[split.test])
    return Outcome(correct, seconds)


def _predicted(
    vectors: np.ndarray, rows: np.ndarray, label: np.ndarray, test: np.ndarray, view: LibraryView | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return whether a classifier on the labeled rows predicts each test row, and its probability.

    Both are 0 without an embedding.
    """
    rows = rows[np.isfinite(vectors[rows]).all(axis=1)]
    classifier = fit_linear_classifier(vectors[rows], label[rows], np.arange(len(rows)), view)
    found = np.nan_to_num(classifier.probabilities(vectors[test]))
    sure = found.max(axis=1)
    return (np.array(classifier.classes)[found.argmax(axis=1)] == label[test]) & (sure > 0), sure


def calibration_error(sure: np.ndarray, right: np.ndarray) -> float:
    """Return the mean difference of the probabilities (n,) and the share of right predictions (n,).

    In ten bins of the probability, weighted by the samples in them (Guo et al. 2017, arXiv:1706.04599).
    """
    cell = np.minimum((sure * BINS).astype(int), BINS - 1)
    return float(np.abs(np.bincount(cell, sure - right, BINS)).sum() / len(sure))


def _rows(data: LabeledSet, splits: Sequence[Split], outcomes: Mapping[str, Outcome]) -> Iterator[dict[str, Any]]:
    curves = {name: accuracy_curve(outcome.correct, data, splits) for name, outcome in outcomes.items()}
    fewest = {
        count: min(np.unique(data.label[split.labeled[count]], return_counts=True)[1].min() for split in splits)
        for count in splits[0].labeled
    }
    about = {"dataset": data.name, "simulated": data.simulated, "classes": len(np.unique(data.label))}
    about |= {"groups": len(np.unique(data.group)), "draws": len(splits)}
    for name, accuracies in curves.items():
        for count, resampled in accuracies.items():
            row = about | {"line": name, "labels": count, "fewest": int(fewest[count])}
            row |= _columns("accuracy", resampled)
            for other, column in ((REFERENCE, "less_pixels"), (NOTHING, "less_nothing")):
                if other in curves and other != name:
                    row |= _columns(column, resampled - curves[other][count])
                else:
                    row |= dict.fromkeys((column, f"{column}_low", f"{column}_high"), np.nan)
            errors = outcomes[name].calibration.get(count, [np.nan])
            yield row | {"seconds": outcomes[name].seconds[count] / len(splits), "calibration": float(np.mean(errors))}


def _columns(name: str, resampled: np.ndarray) -> dict[str, float]:
    found = Estimate(float(resampled[0]), *np.nanpercentile(resampled[1:], (2.5, 97.5)).tolist())
    return {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}


def accuracy_curve(
    correct: Mapping[int, Sequence[np.ndarray]], data: LabeledSet, splits: Sequence[Split], seed: int = 0
) -> dict[int, np.ndarray]:
    """Return the accuracy, mean over classes and splits, followed by that of every bootstrap sample.

    The bootstrap resamples groups and splits with replacement. It is the same for all lines, so that a difference
    between two lines is of the same groups and splits (paired). NaN for a sample without a group of any of its splits.
    """
    groups, group = np.unique(data.group, return_inverse=True)
    classes, truth = np.unique(data.label, return_inverse=True)
    rng = np.random.default_rng(seed)
    group_weights = _weights(len(groups), rng)
    split_weights = _weights(len(splits), rng)
    found = {}
    for count, hits in correct.items():
        means, weights = [], []
        for split, hit in zip(splits, hits, strict=True):
            cell = group[split.test] * len(classes) + truth[split.test]
            tables = [np.bincount(cell, values, len(groups) * len(classes)) for values in (np.ones(len(hit)), hit)]
            total, right = (group_weights @ each.reshape(len(groups), len(classes)) for each in tables)
            present = total > 0  # a class that no resampled group has is not counted
            recall = np.where(present, right / np.where(present, total, 1), 0)
            means.append(recall.sum(axis=1) / np.maximum(present.sum(axis=1), 1))
            weights.append(present.any(axis=1))
        weight = split_weights * np.array(weights).T
        sums = weight.sum(axis=1)
        mean = (weight * np.array(means).T).sum(axis=1) / np.where(sums > 0, sums, 1)
        found[count] = np.where(sums > 0, mean, np.nan)
    return found


def _weights(count: int, rng: np.random.Generator) -> np.ndarray:
    """Return how often each of `count` items occurs: once in the first row, then in every bootstrap sample."""
    drawn = rng.multinomial(count, np.full(count, 1 / count), BOOTSTRAPS)
    return np.vstack([np.ones(count), drawn])
