"""Embeddings of prepared samples, block by block, and prepared samples as rows of an archive."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ..archive.rows import Rows, make_rows
from ..errors import SimilarityError
from ..imaging.frame_quality import FrameQuality
from ..imaging.recipes import FrameRecipe
from ..instruments import frames, sample_images
from ..instruments.companions import missing
from ..instruments.registry import station_of
from ..plotting.report_page.pictures import measured_picture
from ..times import sample_ends
from ..tplot import Variable
from .plan import Plan
from .samples import progress_bar


@dataclass(frozen=True, eq=False)
class Embedded:
    """Embeddings of samples of one variable, or of a segment of it: float32 (n, dimension), unit length or NaN.

    `scalars` are density (cm^-3) and temperature (eV), where requested and removed from the images by the recipe;
    `missing` the samples without an image because of a companion, see `instruments.companions.missing`.
    """

    times: np.ndarray
    embeddings: np.ndarray
    scalars: Mapping[str, np.ndarray] = field(default_factory=dict)
    quality: FrameQuality | None = None
    missing: Mapping[str, np.ndarray] = field(default_factory=dict)

    @classmethod
    def joined(cls, parts: Sequence[Embedded]) -> Embedded:
        """Return consecutive segments as one."""
        if len(parts) == 1:
            return parts[0]
        causes = dict.fromkeys(what for part in parts for what in part.missing)
        lost = {what: [part.missing.get(what, np.zeros(len(part.times), bool)) for part in parts] for what in causes}
        return cls(
            np.concatenate([part.times for part in parts]),
            np.concatenate([part.embeddings for part in parts]),
            {key: np.concatenate([part.scalars[key] for part in parts]) for key in parts[0].scalars},
            FrameQuality.joined([part.quality for part in parts]) if parts[0].quality is not None else None,
            {what: np.concatenate(rows) for what, rows in lost.items()},
        )


def embed(samples: Variable, plan: Plan, progress: bool = True) -> Embedded:
    """Embed all prepared samples; images of the whole variable never exist at once."""
    parts = []
    with progress_bar(plan.options.progress and progress, desc=samples.name, total=len(samples.times)) as bar:
        for block in sample_images.images(samples, plan.recipe):
            parts.append(plan.encoder.encode(block))
            bar.update(len(block))
    scalars = sample_images.scalars(samples, plan.recipe) if plan.options.scalars else {}
    return Embedded(
        samples.times, np.concatenate(parts), scalars, frame_quality(samples, plan), missing(samples, plan.recipe)
    )


def embed_some(samples: Variable, plan: Plan, wanted: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Embed prepared samples block by block, without blocks in which none is wanted; equal to those of `embed`."""
    for rows, made in sample_images.images_of(samples, plan.recipe, wanted):
        yield rows, plan.encoder.encode(made)


def frame_quality(samples: Variable, plan: Plan) -> FrameQuality | None:
    """Return flags and activity of prepared camera frames where they are requested; else None."""
    requested = plan.options.active_only or plan.options.requires_usable(samples)
    if not (requested and isinstance(plan.recipe, FrameRecipe) and frames.can_be_judged(samples)):
        return None
    return frames.assess(samples, plan.recipe)


@dataclass(frozen=True, eq=False)
class Marks:
    """End times and quality flags (0 is good) of samples, which depend on all samples of a series."""

    ends: np.ndarray
    flags: np.ndarray

    def part(self, rows: slice) -> Marks:
        """Return the marks of some samples."""
        return Marks(self.ends[rows], self.flags[rows])


def marks_of(samples: Variable, plan: Plan) -> Marks:
    """Return the end time and the quality flag of each sample."""
    quality = frame_quality(samples, plan)
    flags = np.zeros(len(samples.times), np.int16) if quality is None else quality.flag.astype(np.int16)
    return Marks(sample_ends(samples.times), flags)


def rows_of(samples: Variable, plan: Plan, wanted: np.ndarray, marks: Marks) -> Iterator[Rows]:
    """Yield the wanted ones of prepared samples as rows, NaN where they cannot be encoded."""
    place = station_of(samples)
    site = next((text for text in place.values() if text), "")
    for inside, embeddings in embed_some(samples, plan, wanted):
        chosen = np.flatnonzero(wanted[inside]) + inside.start
        seen = _thumbnails(samples, chosen, plan) if plan.options.thumbnails else None
        about = samples.name, site, marks.flags[chosen], seen
        yield make_rows(embeddings[wanted[inside]], samples.times[chosen], marks.ends[chosen], *about)


def _thumbnails(samples: Variable, chosen: np.ndarray, plan: Plan) -> list[bytes | None]:
    """Small pictures of samples as they were measured, as PNG; None where none can be made."""
    made: list[bytes | None] = []
    for row in chosen:
        try:
            made.append(measured_picture(sample_images.select(samples, np.array([row])), plan.recipe).png)
        except SimilarityError:
            made.append(None)
    return made


def in_batches(parts: Iterator[Rows], size: int) -> Iterator[Rows]:
    """Rows joined until there are `size` or more."""
    held: list[Rows] = []
    for part in parts:
        held.append(part)
        if sum(len(one) for one in held) >= size:
            yield Rows.joined(held)
            held = []
    if held:
        yield Rows.joined(held)
