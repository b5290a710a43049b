"""Leave-one-group-out measures, for data sets that an encoder is also trained on."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from benchmarks.data_sets.tasks import DataSet
from benchmarks.retrieval.measures import measure_queries
from benchmarks.shipped_encoders.paired_images import PairedImages
from pyspedas_similarity.encoder.runtime import Encoder


def cross_validated_scores(
    dataset: DataSet, images: PairedImages, fit: Callable[[PairedImages], Encoder], leak_control: bool = True
) -> dict[str, dict[str, np.ndarray]]:
    """Return measures of every query, each by an encoder that was trained without its group.

    One encoder is trained for each group. Where right answers lie in other groups than the query, they were part of
    its training, without labels.

    Parameters
    ----------
    dataset : DataSet
        Its group g is the group ``"<name of the data set> g"`` of `images`.
    images : PairedImages
        Training images.
    fit : callable
        Function that trains an encoder on a part of `images`.
    leak_control : bool
        See `measures.measure_queries`.

    Returns
    -------
    dict of str to dict
        Result of `measures.measure_queries` for each task, in the order of its queries.
    """
    all_images = dataset.draw(dataset.recipe)
    found: dict[str, dict[str, np.ndarray]] = {}
    for group in np.unique(dataset.group):
        encoder = fit(images.select(images.groups != f"{dataset.name} {group}"))
        embeddings = encoder.encode(all_images)
        for task in dataset.tasks:
            scores = measure_queries(embeddings, dataset.group, task, leak_control)
            inside = dataset.group[task.queries] == group
            kept = found.setdefault(task.name, {key: np.full(len(inside), np.nan) for key in scores})
            for key, values in scores.items():
                kept[key][inside] = values[inside]
    return found
