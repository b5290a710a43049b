"""Libraries of loaded variables, or of data that an instrument loads."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from .. import tplot
from ..errors import QueryError, VariableError
from ..imaging.recipes import FrameRecipe
from ..instruments import sample_images
from ..instruments.segments import Segment
from ..tplot import Variable
from .embedding import Embedded, embed
from .options import EncodingOptions
from .plan import Plan
from .samples import (
    FEWEST_SAMPLES,
    Request,
    parts_in_range,
    prepare,
    prepared_segments,
    prepared_variables,
    progress_bar,
)
from .series import Library, LoadedSeries

logger = logging.getLogger(__name__)


def open_loaded(request: Request, options: EncodingOptions) -> Library | None:
    """Open what a request names; None where there are no data.

    Loaded variables are not embedded yet. Data of an instrument with segments are embedded while they are loaded.
    """
    if request.has_segments:
        return streamed_library(request.segments(), options)
    variables = request.variables()
    plan, samples = prepared_variables(variables, options)
    if plan is None:
        return None
    return library_of(samples, plan, request.trange, {one.name: one for one in variables})


def library_of(
    samples: list[Variable], plan: Plan, trange: Any = None, held: dict[str, Variable] | None = None
) -> Library:
    """Return the library of prepared samples, of which those in a time range are searched."""
    whole = tuple(LoadedSeries(one, plan) for one in samples)
    parts = parts_in_range(samples, trange)
    series = whole if trange is None else tuple(LoadedSeries(one, plan) for one in parts)
    return _library(series, whole, samples[0], plan, held or {})


def streamed_library(segments: Iterator[Segment], options: EncodingOptions) -> Library | None:
    """Return the library of segments, embedded one after another and not kept; None where there are none."""
    plan, bar = None, None
    parts: dict[str, list[Embedded]] = {}
    firsts: dict[str, Variable] = {}
    for plan, samples in prepared_segments(segments, options):
        bar = progress_bar(plan, desc=samples.name) if bar is None else bar  # a bar without a total has no truth value
        if samples.name not in firsts:
            firsts[samples.name] = _first_sample(samples)
        made = embed(samples, plan, progress=False)
        parts.setdefault(samples.name, []).append(made)
        bar.update(len(made.times))
        del samples, made
    if bar is not None:
        bar.close()
    if plan is None:
        return None
    joined = {name: Embedded.joined(found) for name, found in parts.items()}
    series = tuple(LoadedSeries(firsts[name], plan, one) for name, one in joined.items() if _is_enough(name, joined))
    parts_in_range([replace(one.samples, times=one.times) for one in series], None)
    return _library(series, series, next(iter(firsts.values())), plan, {})


def _library(
    series: tuple[LoadedSeries, ...],
    query_series: tuple[LoadedSeries, ...],
    template: Variable,
    plan: Plan,
    held: dict[str, Variable],
) -> Library:
    def open_other(name: str) -> LoadedSeries:
        return LoadedSeries(prepare(tplot.read(name), plan), plan)

    def array_series(array: np.ndarray) -> LoadedSeries:
        shape = template.values.shape[1:]
        if array.shape not in (shape, (len(array), *shape)):
            remedy = f"Give one sample of the shape {shape}, as in {template.name}, or several stacked."
            raise QueryError("like", f"found an array of the shape {array.shape}", remedy)
        stack = array.reshape(-1, *shape)
        first = sample_images.select(template, np.zeros(len(stack), np.int64))
        samples = replace(first, name="like", values=stack)
        sample_images.check(samples, plan.recipe)
        return LoadedSeries(samples, plan)

    is_frames = isinstance(plan.recipe, FrameRecipe)
    one_frame = partial(frame_series, plan=plan, template=template) if is_frames else None
    return Library(series, query_series, open_other, array_series, held, plan.encoder.card.blocks, one_frame)


def frame_series(frame: np.ndarray, plan: Plan, template: Variable | None = None) -> LoadedSeries:
    """Return the series of one frame of any size, turned as those of a template are, without its skymap.

    Raises
    ------
    VariableError
        If the recipe needs a skymap or a background in time, which a single frame does not have.
    """
    recipe = plan.recipe
    if recipe.projection != "none" or recipe.least_elevation is not None or recipe.background_s:
        needs = "a background in time" if recipe.background_s else "a skymap"
        raise VariableError("like", f"the recipe needs {needs}, which an image file does not have", "Give a time.")
    about = {} if template is None else dict(template.attributes.get("data_att", {}))
    variable = Variable("like", np.zeros(1, "datetime64[ns]"), frame[None], attributes={"data_att": about})
    # The rules of quality are for raw counts of the searched camera.
    unjudged = replace(plan, options=replace(plan.options, usable_only=False))
    return LoadedSeries(prepare(variable, unjudged), unjudged)


def _is_enough(name: str, joined: dict[str, Embedded]) -> bool:
    """Return False, after a warning, for a series that is too short to be searched where others are not."""
    counts = {key: len(one.times) for key, one in joined.items()}
    if counts[name] >= FEWEST_SAMPLES or max(counts.values()) < FEWEST_SAMPLES:
        return True
    logger.warning("%s is left out: it has %d samples, fewer than %d.", name, counts[name], FEWEST_SAMPLES)
    return False


def _first_sample(samples: Variable) -> Variable:
    """Copy the first sample: a view of it would keep the whole segment in memory."""
    first = sample_images.select(samples, np.array([0]))
    tables = {key: table.copy() for key, table in first.coordinates.items()}
    return replace(first, values=first.values.copy(), coordinates=tables)
