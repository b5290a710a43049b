"""What an encoder finds in groups that it was not trained on, where a benchmark's data are its training data too."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ...encoder.runtime import Encoder
from ..measures import MEASURES, Estimate, measure_queries, summarise
from ..tasks import DataSet, Task
from .images import Library


def halves(group: np.ndarray) -> list[np.ndarray]:
    """Groups (labels) in two folds of about as many samples, the largest dealt first."""
    names, counts = np.unique(group, return_counts=True)
    folds: list[list] = [[], []]
    sizes = [0, 0]
    for each in np.argsort(-counts, kind="stable"):
        smaller = int(sizes[1] < sizes[0])
        folds[smaller].append(names[each])
        sizes[smaller] += counts[each]
    return [np.array(fold) for fold in folds]


def unseen_scores(
    datasets: Sequence[DataSet], library: Library, fit: Callable[[Library], Encoder]
) -> dict[str, dict[str, np.ndarray]]:
    """Measures of every query, each by an encoder that was trained without its group.

    Two encoders are trained, each without one half of the groups of every data set. Where right answers lie in other
    groups than the query, some of these were seen in training, without labels.

    Parameters
    ----------
    datasets : sequence of DataSet
        Samples of group g are those of the library's group ``"<name of the data set> g"``.
    library : Library
        What is trained on.
    fit : callable
        From part of the library to an encoder.

    Returns
    -------
    dict of str to dict
        By ``"<data set>/<task>"``: what `measures.measure_queries` gives, in the order of its queries.
    """
    found: dict[str, dict[str, np.ndarray]] = {}
    for folds in zip(*(halves(dataset.group) for dataset in datasets), strict=True):
        left_out = [
            np.char.add(f"{dataset.name} ", fold.astype(str)) for dataset, fold in zip(datasets, folds, strict=True)
        ]
        encoder = fit(library.where(~np.isin(library.groups, np.concatenate(left_out))))
        for dataset, fold in zip(datasets, folds, strict=True):
            embeddings = encoder.encode(dataset.draw(dataset.recipe))
            for task in dataset.tasks:
                scores = measure_queries(embeddings, dataset.group, task)
                inside = np.isin(dataset.group[task.queries], fold)
                blank = {key: np.full(len(inside), np.nan) for key in scores}
                kept = found.setdefault(f"{dataset.name}/{task.name}", blank)
                for key, values in scores.items():
                    kept[key][inside] = values[inside]
    return found


def estimates(scores: Sequence[dict[str, np.ndarray]], dataset: DataSet, task: Task) -> dict[str, Estimate]:
    """Means with intervals over groups and seeds, of what `unseen_scores` found with each seed."""
    asked = np.isfinite(scores[0]["ap"])
    group = dataset.group[task.queries[asked]]
    found = summarise([{key: values[asked] for key, values in one.items()} for one in scores], group)
    return {name: found[name] for name in MEASURES}
