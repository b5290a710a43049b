"""What `like` may be: times, intervals, (name, time), arrays, and lists of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..errors import QueryError, TimeError
from ..instruments.sample_images import select
from ..times import Span, cadence, to_datetime64, to_spans
from ..tplot import Variable, loaded_names, read


@dataclass(frozen=True)
class Query:
    """One example of what is looked for.

    Attributes
    ----------
    label : str
        For provenance: variable and time, or 'array'.
    samples : Variable
        The sample or samples it consists of.
    span : Span or None
        Their time; None for an array.
    """

    label: str
    samples: Variable
    span: Span | None


def read_queries(
    like: Any,
    variables: Sequence[Variable],
    templates: Sequence[Variable] = (),
    open_other: Callable[[str], Variable] = read,
) -> list[Query]:
    """Find the samples that `like` stands for.

    Parameters
    ----------
    like : time, interval, array, (name, time or interval), or a list of them
        A bare time or interval is looked up in the first of `variables` that has samples there. An array has the shape
        of one sample, or of several stacked; its tables of angles and energies are those of the first variable's first
        sample. For the forms of time see `pyspedas_similarity.times.to_spans`.
    variables : sequence of Variable
        Those to be searched.
    templates : sequence of Variable, optional
        Samples whose shape and tables an array takes, where `variables` do not hold the measurements.
    open_other : callable
        Reads a variable that is not searched, by name.

    Raises
    ------
    QueryError
        If there is no query, or no sample at it.
    """
    if like is None:
        raise QueryError("like", "no query is given", "Give a time that interests you: like='2015-10-16/13:07:02.2'.")
    if _is_samples(like):
        return [_from_array(np.asarray(like), (templates or variables)[0])]
    if _is_named(like):
        name, where = like
        searched = {variable.name: variable for variable in variables}
        # A variable loaded for this search alone is in no store.
        owner = searched[name] if name in searched else open_other(name)
        return [_from_span(span, [owner]) for span in to_spans(where)]
    if isinstance(like, (list, tuple)) and any(_is_samples(one) or _is_named(one) for one in like):
        return [query for one in like for query in read_queries(one, variables, templates, open_other)]
    return [_from_span(span, variables) for span in to_spans(like)]


def query_records(queries: Sequence[Query], others: Sequence[Query] = ()) -> dict[str, Any]:
    """What was looked for, and what not, in plain values for the provenance of a result."""
    record = {"queries": [_record(query) for query in queries]}
    return record | ({"unlike": [_record(query) for query in others]} if others else {})


def _record(query: Query) -> dict[str, Any]:
    span = query.span
    times = {} if span is None else {"start": str(span.start), "end": str(span.end)}
    return {"label": query.label, "n_samples": len(query.samples.times), **times}


def spans_of(like: Any) -> list[Span]:
    """The times and intervals in `like`, whatever variable they are of; arrays have none."""
    if like is None or _is_samples(like):
        return []
    if _is_named(like):
        return to_spans(like[1])
    if isinstance(like, (list, tuple)) and any(_is_samples(one) or _is_named(one) for one in like):
        return [span for one in like for span in spans_of(one)]
    return to_spans(like)


def _is_samples(like: Any) -> bool:
    """An array of measurements; arrays of one column or of pairs are times."""
    array = getattr(like, "values", like)
    return isinstance(array, np.ndarray) and array.ndim >= 2 and array.shape[1] > 2 and array.dtype.kind in "fiu"


def _is_named(like: Any) -> bool:
    if not (isinstance(like, tuple) and len(like) == 2 and isinstance(like[0], str)):
        return False
    try:
        to_datetime64(like[0])
    except TimeError:
        return True
    return like[0] in loaded_names()


def _from_array(array: np.ndarray, variable: Variable) -> Query:
    shape = variable.values.shape[1:]
    if array.shape not in (shape, (len(array), *shape)):
        remedy = f"Give one sample of the shape {shape}, like those of {variable.name}, or several stacked."
        raise QueryError("like", f"found an array of the shape {array.shape}", remedy)
    stack = array.reshape(-1, *shape)
    first = select(variable, np.zeros(len(stack), np.int64))
    return Query("array", replace(first, name="like", values=stack), None)


def _from_span(span: Span, variables: Sequence[Variable]) -> Query:
    for variable in variables:
        samples = _samples_at(span, variable.times)
        if len(samples):
            part = select(variable, samples)
            return Query(f"{variable.name} {span}", part, Span(part.times[0], part.times[-1]))
    ranges = "; ".join(f"{v.name} has {v.times[0]} to {v.times[-1]}" for v in variables)
    found = "no sample within one cadence of it" if span.is_instant else "no sample inside it"
    raise QueryError(f"query {span}", f"{found}: {ranges}", "Give a time at which there are data.")


def _samples_at(span: Span, times: np.ndarray) -> np.ndarray:
    if not span.is_instant:
        return np.flatnonzero((times >= span.start) & (times <= span.end))
    distance = np.abs(times - span.start)
    nearest = int(np.argmin(distance))
    return np.array([nearest] if distance[nearest] <= cadence(times) else [], np.int64)
