"""Public functions that learn from labels: a classifier of a few, and fine-tuning where there are more."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..conventions import check_result_names, nothing_found, pyspedas_convention, result_names
from ..encoder.runtime import Encoder
from ..errors import ArgumentError, VariableError
from ..imaging.recipes import Recipe
from ..instruments import sample_images
from ..library.plan import EncodingOptions, Plan, resolve_encoder
from ..library.samples import Request, prepared_segments, prepared_variables
from ..library.series import Library, LoadedSeries, library_of, open_loaded
from ..results import tplot_output
from ..search.events import find_events
from ..search.linear_classifier import LinearClassifier, fit_linear_classifier
from ..search.query import Example, Query, find_queries, parse_examples
from ..search.reference import KIND, LIBRARY, Reference, sample_library
from ..times import cadence, to_timedelta64
from ..tplot import Variable
from .encoders import plan_of

if TYPE_CHECKING:
    from ..encoder.supervised import LabelPlan

__all__ = ["classify", "fine_tune"]

_MARGIN = 3
"""Samples on each side of an example that are kept of a segment, so that its cadence is known."""

_CLASS = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,31}")


@pyspedas_convention()
def classify(
    names: str | int | Iterable[str | int] | None = None,
    examples: Mapping[str, Any] | None = None,
    *,
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
    reference: str | None = LIBRARY,
    progress: bool = True,
    load_keywords: Mapping[str, Any] | None = None,
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
    reference : 'library' or None
        'library': features are compared relative to all that is classified, see Notes. None: as they are; the
        probabilities of a sample then do not depend on the others.
    load_keywords : mapping, optional
        As in `find_similar`.

    Returns
    -------
    list of str
        For each variable X, as ``pyspedas.tplot`` draws them from top to bottom: for each class with hits
        ``X_<class>``, bars, from which `intervals` makes a table with a column ``class``; and ``X_probability``,
        float64 (time, class), NaN where a sample cannot be encoded.

    Raises
    ------
    SimilarityError
        With ``errors='raise'``, for bad input.

    Notes
    -----
    Logistic regression on the embeddings, without the blocks of features that do not count for ``looking_for='kind'``;
    the others have the same variance each among the classified samples (a network next to 'structure' half). With two
    examples or more of each class its penalty and its calibration are chosen on examples that are left out in turn, and
    the metadata give the share of correct ones; with one, the probabilities are not calibrated, as the metadata state.
    Examples from one event show how well that event is recognized, not how well others will be.
    """
    classes = _classes(examples)
    if isinstance(threshold, bool) or not isinstance(threshold, (int, float, np.number)) or not 0 < threshold <= 1:
        raise ArgumentError("threshold", f"found {threshold!r}", "Give a probability above 0, at most 1.")
    joined = to_timedelta64(gap, "gap")
    if reference not in (LIBRARY, None):
        raise ArgumentError("reference", f"found {reference!r:.80}", "Give 'library' or None.")
    request = Request(names, trange, instrument, probe, load_keywords or {})
    encoder = resolve_encoder(encoder)
    companions = {"field": field, "velocity": velocity}
    options = EncodingOptions(instrument, encoder, recipe, companions, progress, usable_only=usable_only)
    endings = ("_probability", *(f"_{name}" for name in classes))
    check_result_names(names, newname, suffix, endings, overwrite)
    library = open_loaded(request, options)
    if library is None:
        return nothing_found(f"there are no data of {instrument} in {trange}")
    titles = result_names([one.name for one in library.series], newname, suffix, endings, overwrite)
    fitted = _fitted(classes, library, reference)
    made = []
    for series, title in zip(library.series, titles, strict=True):
        made += _products(series, fitted, float(threshold), joined, title)
    return tplot_output.write_all(made)


def fine_tune(
    names: str | int | Iterable[str | int] | None = None,
    examples: Mapping[str, Any] | None = None,
    *,
    trange: Any = None,
    instrument: str | None = None,
    probe: Any = None,
    encoder: str | Path | Encoder | None = None,
    event_gap: Any = 60,
    plan: LabelPlan | None = None,
    name: str | None = None,
    recipe: Recipe | None = None,
    field: str | None = None,
    velocity: str | None = None,
    progress: bool = True,
    load_keywords: Mapping[str, Any] | None = None,
    **options: Any,
) -> Encoder:
    """Continue the training of an encoder with labels, so that its embeddings separate the classes better.

    Parameters
    ----------
    names, trange, instrument, probe, recipe, field, velocity
        As in `find_similar`.
    examples : mapping of str to times, intervals, or any `like` of `find_similar`
        As in `classify`. Of every class 10 samples or more, from two events or more: with fewer, classify with the
        encoder as it is, which is then as good.
    encoder : str, path or Encoder
        A trained one, with a backbone that can learn on: saved, or from `train`. Not one of the fixed ones.
    event_gap : seconds, timedelta or Quantity
        Examples no further apart than this are of one event. Whole events are held out for early stopping.
    plan : LabelPlan, optional
        All choices of training together.
    name : str, optional
        What to call the new encoder; default the old name and '_tuned'.
    progress : bool
        Show a progress bar in a terminal while data are loaded.
    load_keywords : mapping, optional
        Keywords of the instrument's loader.
    **options
        Single choices of `LabelPlan` instead of `plan`: ``epochs``, ``backbone_rate``, ``held_out``, ``seed`` and
        others.

    Returns
    -------
    Encoder
        For ``classify(encoder=...)`` and ``find_similar(encoder=...)``, and for `save_encoder`. The encoder that was
        given stays as it is. The same labels and seed give the same weights.

    Raises
    ------
    SimilarityError
        For bad input: an encoder that cannot be trained further, or too few labels (the message states the number).

    Notes
    -----
    A function of its own and no keyword of `classify`, since it returns an encoder, as `train` does: it can be saved,
    has a card with the original encoder and the number of labels, and serves any search. The number of labels from
    which it pays is measured in docs/benchmarks.
    """
    from ..encoder import finetune, supervised

    classes = _classes(examples)
    plan = plan_of(supervised.LabelPlan, plan, options)
    if encoder is None:
        raise ArgumentError("encoder", "none is given", "Give a trained encoder: saved, or from train.")
    gap = to_timedelta64(event_gap, "event_gap")
    request = Request(names, trange, instrument, probe, load_keywords or {})
    encoding = EncodingOptions(instrument, encoder, recipe, {"field": field, "velocity": velocity}, progress)
    library = _library_of_examples(classes, request, encoding)
    chosen = library.series[0].plan
    finetune.check_tunable(chosen.encoder)
    queries = {each: find_queries(examples, library) for each, examples in classes.items()}
    blocks = {each: [_images(one, chosen) for one in found] for each, found in queries.items()}
    counts = {each: sum(map(len, found)) for each, found in blocks.items()}
    return finetune.fine_tune(
        np.concatenate([block for found in blocks.values() for block in found]),
        np.repeat(list(counts), list(counts.values())),
        _events([one for found in queries.values() for one in found], gap),
        chosen.encoder,
        plan,
        name,
        list(dict.fromkeys(one.series.name for found in queries.values() for one in found)),
    )


def _library_of_examples(classes: Mapping[str, list[Example]], request: Request, options: EncodingOptions) -> Library:
    """Open what holds the examples: all loaded variables; of segments only the samples around the examples."""
    if not request.has_segments:
        plan, samples = prepared_variables(request.variables(), options)
        if plan is None:
            found = f"there are no data in {request.trange}"
            raise VariableError(str(request.instrument), found, "Give another time range.")
        return library_of(samples, plan)
    spans = [one.span for examples in classes.values() for one in examples if one.span is not None]
    parts, plan = [], None
    for plan, samples in prepared_segments(request.segments(), options):  # noqa: B007  the last plan is that of all
        margin = _MARGIN * cadence(samples.times)
        near = [(samples.times >= one.start - margin) & (samples.times <= one.end + margin) for one in spans]
        rows = np.flatnonzero(np.logical_or.reduce(near)) if near else np.array([], int)
        if len(rows):
            parts.append(sample_images.select(samples, rows))
        del samples
    if not parts:
        found = f"no example lies in {request.trange}"
        raise VariableError(str(request.instrument), found, "Give a range that holds them.")
    return library_of(parts, plan)


def _images(query: Query, plan: Plan) -> np.ndarray:
    """Return the images of the samples of a query."""
    samples: Variable = sample_images.select(query.series.samples, query.rows)
    return np.concatenate(list(sample_images.images(samples, plan.recipe)))


def _events(queries: list[Query], gap: np.timedelta64) -> np.ndarray:
    """Return the number of the event of each sample: samples at most `gap` apart form one event, an array another."""
    times = [query.series.times[query.rows] for query in queries if query.span is not None]
    known = np.unique(np.concatenate(times)) if times else np.array([], "datetime64[ns]")
    number = np.append(0, (np.diff(known) > gap).cumsum())
    events = []
    for position, query in enumerate(queries):
        if query.span is None:
            events.append(np.full(len(query.rows), -1 - position))
        else:
            events.append(number[np.searchsorted(known, query.series.times[query.rows])])
    return np.concatenate(events)


def _classes(examples: Any) -> dict[str, list[Example]]:
    if not isinstance(examples, Mapping) or len(examples) < 2:
        found = f"found {sorted(map(str, examples))}" if isinstance(examples, Mapping) else f"found {examples!r:.80}"
        remedy = "Give two classes or more: {'edr': [t1, t2], 'other': [t3, t4]}."
        raise ArgumentError("examples", found, remedy)
    for name in examples:
        if not isinstance(name, str) or not _CLASS.fullmatch(name):
            raise ArgumentError("examples", f"found the class {name!r:.80}", "Give letters, digits, _ and -.")
    return {name: parse_examples(like, "examples") for name, like in sorted(examples.items())}


def _fitted(classes: Mapping[str, list[Example]], library: Library, reference: str | None) -> LinearClassifier:
    embeddings, labels, numbers = [], [], []
    for name, examples in classes.items():
        for query in find_queries(examples, library):
            rows = query.embeddings()
            rows = rows[np.isfinite(rows).all(axis=1)]
            numbers += [len(embeddings)] * len(rows)
            labels += [name] * len(rows)
            embeddings.append(rows)
    view = None if reference is None else Reference(sample_library(library), KIND).balanced()
    return fit_linear_classifier(np.concatenate(embeddings), np.array(labels), np.array(numbers), view)


def _products(
    series: LoadedSeries, fitted: LinearClassifier, threshold: float, gap: np.timedelta64, title: tuple[str, ...]
) -> list[tplot_output.Product]:
    found = fitted.probabilities(series.embedded.embeddings)
    found[~series.searched] = np.nan
    if not np.isfinite(found).any():
        raise VariableError(series.name, "none of its samples can be encoded", "Look at it with tplot.")
    chosen = {
        "threshold": threshold,
        "classes": list(fitted.classes),
        "probe": fitted.about,
        "view": fitted.view.to_record(),
    }
    provenance = series.provenance | chosen
    made = []
    for column, name in enumerate(fitted.classes):
        hits = find_events(series.times, found[:, column], threshold, gap)
        if len(hits):
            made.append(tplot_output.event_bars(series, title[1 + column], hits, provenance | {"class": name}))
    return [*made, tplot_output.probability_series(series, title[0], found, fitted.classes, provenance)]
