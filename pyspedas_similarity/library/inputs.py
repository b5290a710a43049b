"""From what a caller names to what is to be encoded: loaded variables, or segments of an instrument that stream by."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import tplot
from ..errors import ArgumentError, VariableError
from ..instruments import sample_images
from ..instruments.registry import instrument_named, station_of
from ..instruments.segments import Piece, Segment
from ..provenance import METHOD, versions
from ..times import to_interval
from ..tplot import Variable
from .encoding import Choices, Embedded, Plan, embed, embed_segments, make_plan, prepare

_FEWEST_SAMPLES = 3


@dataclass(frozen=True)
class Opened:
    """What is to be encoded: samples and their parts in the time range, or embeddings of what was too long to keep."""

    plan: Plan
    samples: list[Variable]
    parts: list[Variable]
    templates: list[Variable]
    embedded: list[Embedded] | None = None

    def embed(self) -> list[Embedded]:
        """Embeddings of the parts."""
        return self.embedded if self.embedded is not None else [embed(part, self.plan) for part in self.parts]


def open_samples(names: Any, trange: Any, probe: Any, keywords: dict[str, Any], choices: Choices) -> Opened | None:
    """Read, or load and embed in one go, what is to be searched; None where there are no data."""
    segments = open_segments(names, trange, choices.instrument, probe, keywords)
    if segments is not None:
        plan, embedded, templates = embed_segments(segments, choices)
        if plan is None:
            return None
        samples = [one.source for one in embedded]
        return Opened(plan, samples, within(samples, None), templates, embedded)
    loaded = load_variables(names, trange, choices.instrument, probe, keywords)
    if not loaded:
        return None
    plan = make_plan(loaded, choices)
    samples = [prepare(variable, plan) for variable in loaded]
    return Opened(plan, samples, within(samples, trange), samples)


def open_segments(names: Any, trange: Any, instrument: str | None, probe: Any, keywords: dict[str, Any]) -> Any:
    """Segments of an instrument whose ranges may be long, or None where the data are loaded at once."""
    if names is not None or instrument is None or trange is None:
        return None
    source = instrument_named(instrument)
    if source.segments is None:
        return None
    return _call(source.segments, instrument, trange, probe, keywords)


def open_pieces(
    names: Any, trange: Any, instrument: str | None, probe: Any, keywords: dict[str, Any]
) -> Iterator[Piece] | None:
    """The files that `open_segments` goes through, or None where it gives none."""
    if names is not None or instrument is None or trange is None:
        return None
    source = instrument_named(instrument)
    return None if source.pieces is None else _call(source.pieces, instrument, trange, probe, keywords)


def open_piece(instrument: str, trange: Any, piece: Piece, keywords: Mapping[str, Any]) -> Iterator[Segment]:
    """The segments of one of these files."""
    return _call(instrument_named(instrument).segments, instrument, trange, None, {**keywords, "piece": piece})


def _call(loader: Callable[..., Any], instrument: str, trange: Any, probe: Any, keywords: dict[str, Any]) -> Any:
    """What a source's function gives; ArgumentError where it does not take the keywords."""
    keywords = keywords if probe is None else {"probe": probe, **keywords}
    try:
        return loader(trange, **keywords)
    except TypeError as error:
        raise ArgumentError(f"keywords of {instrument}", str(error), "See its loader's documentation.") from error


def load_variables(
    names: Any, trange: Any, instrument: str | None, probe: Any, keywords: dict[str, Any]
) -> list[Variable]:
    """The variables named, or those that an instrument's loader brings, which then leave the store again."""
    if names is not None:
        if keywords or probe is not None:
            found = ", ".join([*keywords, *(["probe"] if probe is not None else [])])
            raise ArgumentError(
                found, "given beside names, where nothing is loaded", "Leave it out, or leave out names."
            )
        return [tplot.read(name) for name in tplot.expand(names)]
    if instrument is None or trange is None:
        remedy = "Give the names of loaded variables, or instrument and trange to load."
        raise ArgumentError("names", "nothing to search is given", remedy)
    source = instrument_named(instrument)
    start, end = to_interval(trange)
    with tplot.preserved():
        brought = _call(source.load, instrument, [str(start), str(end)], probe, keywords)
        return [tplot.read(name) for name in brought if fnmatch.fnmatchcase(name, source.variables)]


def within(variables: list[Variable], trange: Any) -> list[Variable]:
    """The part of each variable in a time range."""
    if trange is None:
        parts = variables
    else:
        start, end = to_interval(trange)
        parts = [sample_images.select(v, np.flatnonzero((v.times >= start) & (v.times <= end))) for v in variables]
    for variable, part in zip(variables, parts, strict=True):
        if len(part.times) < _FEWEST_SAMPLES:
            span = f"{variable.times[0]} to {variable.times[-1]}" if len(variable.times) else "nothing"
            found = f"{len(part.times)} samples" + (
                f" in {start} to {end}; it has {span}" if trange is not None else ""
            )
            raise VariableError(variable.name, found, f"Give a range with at least {_FEWEST_SAMPLES} samples.")
    return parts


def provenance_of(variable: Variable, plan: Plan) -> dict[str, Any]:
    """What made a result, in plain values."""
    card = plan.encoder.card
    return {
        "source": variable.name,
        "station": station_of(variable),
        "encoder": {"name": card.name, "method": card.method, "hash": plan.encoder.hash},
        "recipe": plan.recipe.to_dict() | {"hash": plan.recipe.hash},
        "versions": versions(),
        "reference": METHOD,
    }
