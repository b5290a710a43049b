"""What an encoder finds in groups that it was not trained on, where a benchmark's data are its training data too."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pyspedas_similarity.encoder.runtime import Encoder

from ..measures import measure_queries
from ..tasks import DataSet
from .images import TrainingImages


def unseen_scores(
    dataset: DataSet, library: TrainingImages, fit: Callable[[TrainingImages], Encoder], leak_control: bool = True
) -> dict[str, dict[str, np.ndarray]]:
    """Measures of every query, each by an encoder that was trained without its group.

    An encoder is trained for each group, without that group. Where right answers lie in other groups than the query,
    these were seen in training, without labels.

    Parameters
    ----------
    dataset : DataSet
        Samples of group g are those of the library's group ``"<name of the data set> g"``.
    library : TrainingImages
        What is trained on.
    fit : callable
        From part of the library to an encoder.
    leak_control : bool
        As in `measures.measure_queries`.

    Returns
    -------
    dict of str to dict
        By the task's name: what `measures.measure_queries` gives, in the order of its queries.
    """
    images = dataset.draw(dataset.recipe)
    found: dict[str, dict[str, np.ndarray]] = {}
    for group in np.unique(dataset.group):
        encoder = fit(library.where(library.groups != f"{dataset.name} {group}"))
        embeddings = encoder.encode(images)
        for task in dataset.tasks:
            scores = measure_queries(embeddings, dataset.group, task, leak_control)
            inside = dataset.group[task.queries] == group
            kept = found.setdefault(task.name, {key: np.full(len(inside), np.nan) for key in scores})
            for key, values in scores.items():
                kept[key][inside] = values[inside]
    return found
