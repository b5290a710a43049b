"""The verbs that learn from labels: a classifier of a few, and fine-tuning where there are more."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import tplot
from ..conventions import nothing_found, pyspedas_manners, result_names
from ..encoder.runtime import Encoder
from ..errors import ArgumentError, VariableError
from ..imaging.recipes import Recipe
from ..instruments import sample_images
from ..library.encoding import Choices, Embedded, Plan, embed_query, images, make_plan, prepare, prepared_segments
from ..library.inputs import Opened, load_variables, open_samples, open_segments, provenance_of
from ..results import tplot_output
from ..search.events import find_events
from ..search.linear_classifier import Probe, fit_probe
from ..search.query import Query, read_queries, spans_of
from ..times import cadence, to_timedelta64
from ..tplot import Variable

if TYPE_CHECKING:
    from ..encoder.supervised import LabelPlan

__all__ = ["classify", "fine_tune"]

_MARGIN = 3
"""Samples on each side of an example that are kept of a segment, so that its cadence is known."""

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
    recognized, not how well others will be.
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


def fine_tune(
    names: str | int | Iterable[str | int] | None = None,
    examples: Mapping[str, Any] | None = None,
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
    """Train a trained encoder on with labels: what they tell apart, its embeddings tell apart better.

    Parameters
    ----------
    names, trange, instrument, probe, recipe, field, velocity
        As in `find_similar`.
    examples : mapping of str to times, intervals, or any `like` of `find_similar`
        As in `classify`. Of every class 10 samples or more, from two events or more: with fewer, classify with the
        encoder as it is, which is then as good.
    encoder : str, path or Encoder
        A trained one, with a backbone that can learn on: shipped, saved, or from `train`. Not one of the fixed ones.
    event_gap : seconds, timedelta or Quantity
        Examples no further apart than this are of one event. Whole events are held out to say when to stop.
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
        For bad input: an encoder that cannot be trained on, too few labels (it says what is needed).

    Notes
    -----
    A verb of its own and no keyword of `classify`, since what comes back is an encoder, as from `train`: it is saved,
    has a card that says from which encoder and how many labels it comes, and serves any search. How many labels it
    takes until it pays is measured in docs/benchmarks.
    """
    from ..encoder import finetune, supervised

    classes = _classes(examples)
    if plan is not None and options:
        raise ArgumentError("plan", f"given beside {', '.join(options)}", "Give either a plan or single options.")
    try:
        plan = plan or supervised.LabelPlan(**options)
    except TypeError as error:
        raise ArgumentError("options", str(error), "See pyspedas_similarity.encoder.supervised.LabelPlan.") from error
    if encoder is None:
        raise ArgumentError("encoder", "none is given", "Give a trained encoder: shipped, saved, or from train.")
    gap = to_timedelta64(event_gap, "event_gap")
    choices = Choices(instrument, encoder, recipe, {"field": field, "velocity": velocity}, progress)
    settled, variables = _holding(classes, names, trange, probe, dict(load_keywords or {}), choices)
    finetune.check_tunable(settled.encoder)
    queries = {each: _queries(like, variables, variables, settled) for each, like in classes.items()}
    blocks = {
        each: [np.concatenate(list(images(s.samples, settled))) for s in found] for each, found in queries.items()
    }
    counts = {each: sum(map(len, found)) for each, found in blocks.items()}
    return finetune.fine_tune(
        np.concatenate([block for found in blocks.values() for block in found]),
        np.repeat(list(counts), list(counts.values())),
        _events([one for found in queries.values() for one in found], gap),
        settled.encoder,
        plan,
        name,
        list(dict.fromkeys(one.samples.name for found in queries.values() for one in found)),
    )


def _holding(
    classes: Mapping[str, Any], names: Any, trange: Any, probe: Any, keywords: dict[str, Any], choices: Choices
) -> tuple[Plan, list[Variable]]:
    """Prepared variables that hold the examples: all of what is loaded, of segments what lies about the examples."""
    segments = open_segments(names, trange, choices.instrument, probe, keywords)
    if segments is None:
        loaded = load_variables(names, trange, choices.instrument, probe, keywords)
        if not loaded:
            raise VariableError(str(choices.instrument), f"there are no data in {trange}", "Give another time range.")
        plan = make_plan(loaded, choices)
        return plan, [prepare(one, plan) for one in loaded]
    spans = [span for like in classes.values() for span in spans_of(like)]
    parts, plan = [], None
    for plan, samples in prepared_segments(segments, choices):  # noqa: B007  the last plan is that of all
        margin = _MARGIN * cadence(samples.times)
        near = [(samples.times >= one.start - margin) & (samples.times <= one.end + margin) for one in spans]
        rows = np.flatnonzero(np.logical_or.reduce(near)) if near else np.array([], int)
        if len(rows):
            parts.append(sample_images.select(samples, rows))
        del samples
    if not parts:
        raise VariableError(str(choices.instrument), f"no example lies in {trange}", "Give a range that holds them.")
    return plan, parts


def _queries(like: Any, variables: list[Variable], templates: list[Variable], plan: Plan) -> list[Query]:
    return read_queries(like, variables, templates, lambda one: prepare(tplot.read(one), plan))


def _events(queries: list[Query], gap: np.timedelta64) -> np.ndarray:
    """Number of the event of each sample: samples no further apart than `gap` are of one; an array is one by itself."""
    times = [query.samples.times for query in queries if query.span is not None]
    known = np.unique(np.concatenate(times)) if times else np.array([], "datetime64[ns]")
    number = np.append(0, (np.diff(known) > gap).cumsum())
    events = []
    for position, query in enumerate(queries):
        if query.span is None:
            events.append(np.full(len(query.samples.times), -1 - position))
        else:
            events.append(number[np.searchsorted(known, query.samples.times)])
    return np.concatenate(events)


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
        for query in _queries(like, opened.samples, opened.templates, opened.plan):
            rows = embed_query(query, opened.plan, opened.embedded or ())
            rows = rows[np.isfinite(rows).all(axis=1)]
            numbers += [len(embeddings)] * len(rows)
            labels += [name] * len(rows)
            embeddings.append(rows)
    return fit_probe(np.concatenate(embeddings), np.array(labels), np.array(numbers))


def _products(
    one: Embedded, fitted: Probe, opened: Opened, threshold: float, gap: np.timedelta64, title: tuple[str, ...]
) -> list[tplot_output.Product]:
    variable = one.source
    found = fitted.probabilities(one.embeddings)
    if one.gate is not None:
        found[~one.gate.usable] = np.nan
    if not np.isfinite(found).any():
        raise VariableError(variable.name, "none of its samples can be encoded", "Look at it with tplot.")
    chosen = {"threshold": threshold, "classes": list(fitted.classes), "probe": fitted.about}
    provenance = provenance_of(variable, opened.plan) | chosen
    made = [tplot_output.probability_series(variable, title[0], found, fitted.classes, provenance)]
    for column, name in enumerate(fitted.classes):
        hits = find_events(variable.times, found[:, column], threshold, gap)
        if len(hits):
            made.append(tplot_output.event_bars(variable, title[1 + column], hits, provenance | {"class": name}))
    return made
