"""Prepared samples: what images are made of, from loaded variables or from segments loaded one after another."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import tplot
from ..errors import ArgumentError, LoadError, VariableError
from ..imaging.recipes import DistributionRecipe, FrameRecipe
from ..instruments import frames, sample_images
from ..instruments.companions import Gaps, find_companions, with_companions
from ..instruments.registry import instrument_named
from ..instruments.segments import Piece, Segment
from ..times import parts_of, to_interval
from ..tplot import Variable
from .plan import EncodingOptions, Plan, fit_plan, make_plan

if TYPE_CHECKING:
    from tqdm import tqdm

logger = logging.getLogger(__name__)

FEWEST_SAMPLES = 3


@dataclass(frozen=True)
class Request:
    """Data that a caller names: loaded variables, or an instrument and a time range to load.

    `load_keywords` are those of the instrument's loader.
    """

    names: Any = None
    trange: Any = None
    instrument: str | None = None
    probe: Any = None
    load_keywords: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.names is None and (self.instrument is None or self.trange is None):
            remedy = "Give the names of loaded variables, or instrument and trange to load."
            raise ArgumentError("names", "there is nothing to search", remedy)
        unused = [*self.load_keywords, *(["probe"] if self.probe is not None else [])]
        if self.names is not None and unused:
            remedy = "Leave it out, or leave out names."
            raise ArgumentError(", ".join(unused), "given with names, for which nothing is loaded", remedy)
        if self.instrument is not None:
            instrument_named(self.instrument)
        if self.trange is not None:
            to_interval(self.trange)

    @property
    def has_segments(self) -> bool:
        """True if the data are loaded segment by segment; else all variables are in memory at once."""
        if self.names is not None:
            return False
        source, (start, end) = instrument_named(self.instrument), to_interval(self.trange)
        return source.segments is not None or (not source.is_for_panels and end - start > source.part)

    def segments(self) -> Iterator[Segment]:
        """Load the data segment by segment."""
        source = instrument_named(self.instrument)
        return self._parts(source.part) if source.segments is None else self._call(source.segments)

    def pieces(self) -> Iterator[Piece] | None:
        """Return the files that `segments` reads; None for instruments without segments by file."""
        if self.names is not None:
            return None
        pieces = instrument_named(self.instrument).pieces
        return None if pieces is None else self._call(pieces)

    def segments_of(self, piece: Piece) -> Iterator[Segment]:
        """Load the segments of one file."""
        return self._call(instrument_named(self.instrument).segments, probe=None, piece=piece)

    def variables(self, together: bool = False) -> list[Variable]:
        """Read the named variables, or load those of the instrument; the tplot store is left as it was.

        With `together` those are loaded, too, that the instrument has for searches of several variables. Samples whose
        times are missing or go back are left out, after a warning.
        """
        if self.names is not None:
            return [sample_images.in_order(tplot.read(name)) for name in tplot.expand(self.names)]
        source = instrument_named(self.instrument)
        with tplot.preserved():
            brought = self._call(source.load)
            return [sample_images.in_order(tplot.read(name)) for name in source.names_in(brought, together)]

    def _parts(self, longest: np.timedelta64) -> Iterator[Segment]:
        """Load one part of the time range after another; a part that cannot be loaded is left out, with a warning."""
        parts, lost, loaded = parts_of(to_interval(self.trange), longest), [], False
        for part in parts:
            try:
                segments = replace(self, trange=[part.start, part.end])._part()
            except LoadError as error:
                lost.append(error)
                continue
            loaded = loaded or bool(segments)
            while segments:  # nothing of a part is in memory while the next one is loaded
                yield segments.pop(0)
        if lost and not loaded:
            raise lost[0]
        if lost:
            text = "%s: %d of %d parts of the time range are left out: %s"
            logger.warning(text, self.instrument, len(lost), len(parts), "; ".join(dict.fromkeys(map(str, lost))))

    def _part(self) -> list[Segment]:
        """Load the time range at once, without samples of the next part: loaders of pyspedas round times to 0.2 us."""
        start, end = to_interval(self.trange)
        with tplot.preserved():
            made = self.variables()
            companions = [find_companions(one, {}) for one in made]
        parts = [_inside(one, start, end) for one in made]
        return [Segment(one, each) for one, each in zip(parts, companions, strict=True) if len(one.times)]

    def _call(self, loader: Callable[..., Any], **keywords: Any) -> Any:
        """Call a function of an instrument; ArgumentError where it does not accept the keywords."""
        keywords = {"probe": self.probe, **self.load_keywords, **keywords}
        keywords = {key: value for key, value in keywords.items() if key != "probe" or value is not None}
        try:
            return loader([str(time) for time in to_interval(self.trange)], **keywords)
        except TypeError as error:
            subject = f"keywords of {self.instrument}"
            raise ArgumentError(subject, str(error), "See the documentation of its loader.") from error


def prepared_parts(request: Request, options: EncodingOptions) -> Iterator[tuple[Plan, Variable]]:
    """Yield the plan and the prepared samples of one segment after another, or of one loaded variable after another.

    Segments are not kept: neither this function nor a caller should hold one while the next one is loaded.
    """
    if request.has_segments:
        yield from prepared_segments(request.segments(), options)
        return
    plan, samples = prepared_variables(request.variables(), options)
    for part in parts_in_range(samples, request.trange, fewest=1):
        yield plan, part


def prepared_variables(variables: list[Variable], options: EncodingOptions) -> tuple[Plan | None, list[Variable]]:
    """Return the fitted plan and the prepared samples of loaded variables; no plan where there are none."""
    if not variables:
        return None, []
    plan = make_plan(variables, options)
    samples = [prepare(variable, plan) for variable in variables]
    return fit_plan(plan, samples), samples


def prepare(variable: Variable, plan: Plan) -> Variable:
    """Return the samples that images are made of, with what the images need in addition (field, velocity, flags).

    Samples whose times are missing or go back are left out, after a warning.
    """
    variable = sample_images.in_order(variable)
    samples = sample_images.as_samples(sample_images.without_fills(variable), plan.recipe)
    sample_images.check(samples, plan.recipe)
    if isinstance(plan.recipe, FrameRecipe):
        return frames.prepared(samples, plan.recipe)
    if not isinstance(plan.recipe, DistributionRecipe):
        return samples
    companions = find_companions(variable, plan.options.companions)
    samples = with_companions(sample_images.known_tables(samples), companions, plan.recipe)
    gaps = Gaps()
    gaps.count(samples, plan.recipe)
    gaps.warn(variable.name, plan.recipe)
    return samples


def prepared_segments(
    segments: Iterator[Segment], options: EncodingOptions, plan: Plan | None = None
) -> Iterator[tuple[Plan, Variable]]:
    """Yield the plan, by default that of the first segment, and the prepared samples of one segment after another.

    An encoder that is fitted to samples is fitted to the first segment, since segments are read once only. Gaps in
    field and velocity are reported once for each variable, at the end.
    """
    gaps: dict[str, Gaps] = {}
    for one in segments:
        segment = replace(one, companions={**one.companions, **_given_companions(one, options)})
        del one
        plan = plan or make_plan([segment.distribution], options, "field" in segment.companions)
        gap = gaps.setdefault(segment.distribution.name, Gaps())
        held = [segment]
        del segment
        held = [_prepare_segment(held.pop(), plan, gap)]
        plan = fit_plan(plan, held)
        yield plan, held.pop()
    for name, gap in gaps.items():
        if isinstance(plan.recipe, DistributionRecipe):
            gap.warn(name, plan.recipe)


def parts_in_range(variables: list[Variable], trange: Any, fewest: int = FEWEST_SAMPLES) -> list[Variable]:
    """Return the part of each variable inside a time range; VariableError where it has fewer samples than `fewest`."""
    if trange is None:
        parts = variables
    else:
        start, end = to_interval(trange)
        parts = [_inside(one, start, end) for one in variables]
    for variable, part in zip(variables, parts, strict=True):
        if len(part.times) < fewest:
            covered = f"{variable.times[0]} to {variable.times[-1]}" if len(variable.times) else "no time"
            inside = f" in {start} to {end}; the variable covers {covered}" if trange is not None else ""
            remedy = f"Give a range with at least {fewest} sample{'s' * (fewest > 1)}."
            raise VariableError(
                variable.name, f"found {len(part.times)} sample{'s' * (len(part.times) != 1)}{inside}", remedy
            )
    return parts


def _inside(variable: Variable, start: np.datetime64, end: np.datetime64) -> Variable:
    """Return the samples from `start` to `end`, both included."""
    return sample_images.select(variable, np.flatnonzero((variable.times >= start) & (variable.times <= end)))


def progress_bar(shown: bool, **options: object) -> tqdm:
    """Return a progress bar that appears after two seconds, in a terminal only."""
    from tqdm import tqdm

    # disable=None keeps the bar out of logs and pipes.
    return tqdm(**options, delay=2, unit="sample", leave=False, disable=None if shown else True)


def _given_companions(segment: Segment, options: EncodingOptions) -> dict[str, Variable]:
    """Return the loaded variables that the caller names; they come before those of the segment."""
    given = [role for role, name in options.companions.items() if name is not None]
    found = find_companions(segment.distribution, options.companions) if given else {}
    return {role: found[role] for role in given}


def _prepare_segment(segment: Segment, plan: Plan, gaps: Gaps) -> Variable:
    """Prepare a segment with its own companions; count the gaps in them."""
    variable, companions = sample_images.in_order(segment.distribution), segment.companions
    sample_images.check(variable, plan.recipe)
    if isinstance(plan.recipe, FrameRecipe):
        return frames.prepared(variable, plan.recipe)
    if not isinstance(plan.recipe, DistributionRecipe):
        return variable
    if plan.recipe.field_aligned and "field" not in companions:
        # A segment without a field is a gap, not an error.
        companions = {**companions, "field": Variable("magnetic field", variable.times[:0], np.empty((0, 3)))}
    samples = with_companions(sample_images.known_tables(variable), companions, plan.recipe)
    gaps.count(samples, plan.recipe)
    return samples
