"""Series of embeddings in order of time and libraries of them, all that a search handles; those of loaded data."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from .. import tplot
from ..encoder.library_view import LibraryView
from ..encoder.structure import block_slices
from ..errors import QueryError, VariableError
from ..imaging.frame_quality import FrameQuality
from ..imaging.recipes import FrameRecipe
from ..instruments import frames, sample_images
from ..instruments.companions import missing
from ..instruments.segments import Segment
from ..tplot import Variable
from .embedding import Embedded, embed, embed_some
from .plan import EncodingOptions, Plan
from .samples import (
    FEWEST_SAMPLES,
    Request,
    parts_in_range,
    prepare,
    prepared_segments,
    prepared_variables,
    progress_bar,
)

logger = logging.getLogger(__name__)


class Series(ABC):
    """Embeddings of the samples of one variable, ascending in time, named as queries refer to it.

    `without_embedding` is the reason why a sample may have none; `store` the tplot store that results go to. With
    `overlapping` samples, the difference between successive ones is no measure of noise; events closer than
    `shortest_gap`, the duration of a sample that covers an interval, are one.
    """

    name: str
    times: np.ndarray
    without_embedding = "nothing was measured, or the same value everywhere"
    usable_only = False
    store = "pyspedas"
    overlapping = False
    shortest_gap = np.timedelta64(0, "ns")

    @abstractmethod
    def embeddings(self, rows: np.ndarray) -> np.ndarray:
        """Return the embeddings of some samples: float32, shape (m, dimension), NaN where there is none."""

    def searched_embeddings(self, rows: np.ndarray) -> np.ndarray:
        """Return the embeddings of some samples of a series of which all are needed; as `embeddings`."""
        return self.embeddings(rows)

    def why_not(self, rows: np.ndarray) -> str:
        """Return why some samples have no embedding, for messages."""
        return self.without_embedding

    @abstractmethod
    def cosines(self, view: LibraryView, directions: np.ndarray) -> np.ndarray:
        """Return the cosine between each sample and the nearest of directions (q, m); NaN for no embedding."""

    def extents(
        self, view: LibraryView, directions: np.ndarray, peaks: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray] | None:
        """Return start and end of the samples at peaks, where these cover intervals; else None."""
        return None

    @property
    @abstractmethod
    def searched(self) -> np.ndarray:
        """Samples that get a score: bool, shape (n,)."""

    @property
    @abstractmethod
    def provenance(self) -> dict[str, Any]:
        """Record of encoder, recipe and source, in plain values."""

    @property
    def quality(self) -> FrameQuality | None:
        """Flags and activity of camera frames, where they were requested."""
        return None

    def quality_of(self, rows: np.ndarray) -> FrameQuality | None:
        """Return flags and activity of some samples where unusable ones may not be queries; else None."""
        return None


class LoadedSeries(Series):
    """Embeddings of prepared samples, computed when first needed.

    With `embedded`, where segments were embedded while loaded and not kept, the first sample is enough.
    """

    def __init__(self, samples: Variable, plan: Plan, embedded: Embedded | None = None) -> None:
        self.samples, self.plan, self._embedded = samples, plan, embedded
        self.name, self.store = samples.name, samples.store
        self.times = samples.times if embedded is None else embedded.times
        self.usable_only = plan.options.requires_usable(samples)

    @property
    def embedded(self) -> Embedded:
        """Embeddings of all samples."""
        if self._embedded is None:
            self._embedded = embed(self.samples, self.plan)
        return self._embedded

    def embeddings(self, rows: np.ndarray) -> np.ndarray:
        """Return the embeddings of some samples; only these are computed unless all are known."""
        if self._embedded is not None:
            return self._embedded.embeddings[rows]
        wanted = np.zeros(len(self.times), bool)
        wanted[rows] = True
        blocks = [(block.start, made) for block, made in embed_some(self.samples, self.plan, wanted)]
        numbers = np.concatenate([np.arange(first, first + len(made)) for first, made in blocks])
        return np.concatenate([made for _, made in blocks])[np.searchsorted(numbers, rows)]

    def why_not(self, rows: np.ndarray) -> str:
        """Return why some samples have no embedding: which companion is missing, from when to when, or what else."""
        loaded = len(self.samples.times) == len(self.times)
        causes = missing(self.samples, self.plan.recipe) if loaded else self.embedded.missing
        found = [f"{what} {_stretch(self.times, lost, rows)}" for what, lost in causes.items() if lost[rows].any()]
        if not found and loaded:
            found = [sample_images.why_no_image(sample_images.select(self.samples, rows), self.plan.recipe)]
        return "; ".join(one for one in found if one) or self.without_embedding

    def searched_embeddings(self, rows: np.ndarray) -> np.ndarray:
        """Return the embeddings of some samples; all are computed."""
        return self.embedded.embeddings[rows]

    def cosines(self, view: LibraryView, directions: np.ndarray) -> np.ndarray:
        """Return the cosine between each sample and the nearest direction."""
        return view.cosines(self.embedded.embeddings, directions)

    @property
    def searched(self) -> np.ndarray:
        """Samples that get a score: of all-sky frames only the usable ones, by default."""
        if self.quality is None or not self.usable_only:
            return np.ones(len(self.times), bool)
        return self.quality.usable

    @property
    def quality(self) -> FrameQuality | None:
        """Flags and activity of camera frames, where they were requested."""
        return self.embedded.quality

    def quality_of(self, rows: np.ndarray) -> FrameQuality | None:
        """Return flags and activity of some frames where unusable ones may not be queries; else None."""
        if not self.usable_only:
            return None
        if self._embedded is not None:
            return self.quality and self.quality.at(rows)
        part = sample_images.select(self.samples, rows)
        judged = self.plan.recipe.kind == "frame" and frames.can_be_judged(part)
        return frames.assess(part, self.plan.recipe) if judged else None

    @property
    def provenance(self) -> dict[str, Any]:
        """Record of encoder, recipe and source, in plain values."""
        return self.plan.provenance(self.samples)


def _stretch(times: np.ndarray, lost: np.ndarray, rows: np.ndarray) -> str:
    """The times between which samples are lost, around the first of some rows that is."""
    row = int(rows[lost[rows]][0])
    there = np.flatnonzero(~lost)
    before, after = there[there < row], there[there > row]
    first, last = (before[-1] + 1 if len(before) else 0), (after[0] - 1 if len(after) else len(times) - 1)
    return f"from {times[first]} to {times[last]}"


@dataclass(frozen=True, eq=False)
class Library:
    """The series that a search goes through.

    Times of queries are looked up in `query_series`, those of `series` at full length. `open_other` returns the series
    of another variable by its name, `array_series` that of an array of samples, `frame_series` that of a camera frame
    (None where these are not supported). `held` are variables as loaded, by the names of their series, where kept;
    `blocks` those of features in the embeddings, see `encoder.cards.Card.blocks`.
    """

    series: tuple[Series, ...]
    query_series: tuple[Series, ...]
    open_other: Callable[[str], Series]
    array_series: Callable[[np.ndarray], Series] | None = None
    held: Mapping[str, Variable] = field(default_factory=dict)
    blocks: Mapping[str, int] = field(default_factory=dict)
    frame_series: Callable[[np.ndarray], Series] | None = None

    @property
    def by_length(self) -> bool:
        """True if the size of a deviation from what is usual counts, and not its direction only."""
        return False

    def block_slices(self, dimension: int) -> Mapping[str, slice]:
        """Return where each block lies in an embedding."""
        return block_slices(dimension, self.blocks)

    @property
    def kept_references(self) -> dict[str, Any] | None:
        """Return where references of this library are kept for further searches, by question; None if nowhere."""
        return None

    def block_weights(self, likes: Sequence[np.ndarray], unlikes: Sequence[np.ndarray]) -> Mapping[str, float]:
        """Return the weights of blocks that do not have the weight 1, for the embeddings of queries."""
        return {}


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
        if bar is None:  # not `if not bar`: a bar without a total has no truth value
            bar = progress_bar(plan.options.progress, desc=samples.name)
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
    """Return the series of one frame of any size, turned as those of a template are, without its skymap."""
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
