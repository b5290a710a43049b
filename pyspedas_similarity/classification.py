"""The verb that makes a classifier of a few labels."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from . import products, tplot
from .encoder.runtime import Encoder
from .errors import ArgumentError, VariableError
from .imaging.recipe import Recipe
from .manners import nothing_found, pyspedas_manners, result_names
from .opening import Opened, open_samples, provenance_of
from .pipeline import Choices, Embedded, embed_seed, prepare
from .search.intervals import find_intervals
from .search.probe import Probe, fit_probe
from .sources.seeds import read_seeds
from .times import to_timedelta64

__all__ = ["classify"]

_CLASS = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,31}")


@pyspedas_manners
def classify(
    names: str | int | Iterable[str | int] | None = None,
    examples: Mapping[str, Any] | None = None,
    trange: Any = None,
    instrument: str | None = None,
    probe: Any = None,
    encoder: str | Path | Encoder | None = None,
    threshold: float = 0.5,
    gap: Any = 0,
    newname: str | Sequence[str] | None = None,
    suffix: str | None = None,
    overwrite: bool = True,
    recipe: Recipe | None = None,
    field: str | None = None,
    velocity: str | None = None,
    usable_only: bool | None = None,
    progress: bool = True,
    **load_keywords: Any,
) -> list[str]:
    """Classify every sample by a few examples of each class.

    Parameters
    ----------
    names, trange, instrument, probe, encoder, recipe, field, velocity, usable_only, progress
        As in `find_similar`.
    newname, suffix, overwrite, errors
        As in `find_similar`.
    examples : mapping of str to times, intervals, or any `like` of `find_similar`
        Two classes or more, such as ``{'edr': [t1, t2], 'sheath': [[t3, t4], t5]}``. What belongs to none of them is
        put into one all the same: give an 'other' class with examples of the rest.
    threshold : float
        Probability that a sample in an interval has at least.
    gap : seconds, timedelta or Quantity
        Hits no further apart than this are one interval.
    **load_keywords
        As in `find_similar`.

    Returns
    -------
    list of str
        For each variable X ``X_probability``, float64 (time, class), NaN where a sample cannot be encoded; and for each
        class with hits ``X_<class>``, bars, from which `intervals` makes a table with a column ``class``.

    Raises
    ------
    SimilarityError
        With ``errors='raise'``, for bad input.

    Notes
    -----
    Logistic regression on the embeddings. With two examples or more of each class its penalty and its calibration are
    chosen on examples that are left out in turn, and the metadata tell how often those were right; with one, the
    probabilities are not calibrated, and the metadata say so. Examples from one event show how well that event is
    recognised, not how well others will be.
    """
    classes = _classes(examples)
    if isinstance(threshold, bool) or not isinstance(threshold, (int, float, np.number)) or not 0 < threshold <= 1:
        raise ArgumentError("threshold", f"found {threshold!r}", "Give a probability above 0, at most 1.")
    joined = to_timedelta64(gap, "gap")
    companions = {"field": field, "velocity": velocity}
    choices = Choices(instrument, encoder, recipe, companions, progress, usable_only=usable_only)
    opened = open_samples(names, trange, probe, load_keywords, choices)
    if opened is None:
        return nothing_found(f"there are no data of {instrument} in {trange}")
    titles = result_names(
        opened.samples, newname, suffix, ("_probability", *(f"_{name}" for name in classes)), overwrite
    )
    fitted = _fitted(classes, opened)
    made = []
    for one, title in zip(opened.embed(), titles, strict=True):
        made += _products(one, fitted, opened, float(threshold), joined, title)
    return [tplot.write(product.variable, product.options) for product in made]


def _classes(examples: Any) -> dict[str, Any]:
    if not isinstance(examples, Mapping) or len(examples) < 2:
        found = f"found {sorted(map(str, examples))}" if isinstance(examples, Mapping) else f"found {examples!r:.80}"
        remedy = "Give two classes or more: {'edr': [t1, t2], 'other': [t3, t4]}."
        raise ArgumentError("examples", found, remedy)
    for name in examples:
        if not isinstance(name, str) or not _CLASS.fullmatch(name):
            raise ArgumentError("examples", f"found the class {name!r:.80}", "Give letters, digits, _ and -.")
    return dict(sorted(examples.items()))


def _fitted(classes: Mapping[str, Any], opened: Opened) -> Probe:
    embeddings, labels, numbers = [], [], []
    for name, like in classes.items():
        for seed in read_seeds(
            like, opened.samples, opened.templates, lambda one: prepare(tplot.read(one), opened.plan)
        ):
            rows = embed_seed(seed, opened.plan, opened.embedded or ())
            rows = rows[np.isfinite(rows).all(axis=1)]
            numbers += [len(embeddings)] * len(rows)
            labels += [name] * len(rows)
            embeddings.append(rows)
    return fit_probe(np.concatenate(embeddings), np.array(labels), np.array(numbers))


def _products(
    one: Embedded, fitted: Probe, opened: Opened, threshold: float, gap: np.timedelta64, title: tuple[str, ...]
) -> list[products.Product]:
    variable = one.source
    found = fitted.probabilities(one.embeddings)
    if one.gate is not None:
        found[~one.gate.usable] = np.nan
    if not np.isfinite(found).any():
        raise VariableError(variable.name, "none of its samples can be encoded", "Look at it with tplot.")
    chosen = {"threshold": threshold, "classes": list(fitted.classes), "probe": fitted.about}
    provenance = provenance_of(variable, opened.plan) | chosen
    made = [products.probability_series(variable, title[0], found, fitted.classes, provenance)]
    for column, name in enumerate(fitted.classes):
        hits = find_intervals(variable.times, found[:, column], threshold, gap)
        if len(hits):
            made.append(products.interval_bars(variable, title[1 + column], hits, provenance | {"class": name}))
    return made
