"""Prepared samples as rows of an archive, some thousands at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..archive.rows import Rows, make_rows
from ..errors import SimilarityError
from ..instruments.registry import station_of
from ..instruments.sample_images import select
from ..plotting.report_page.pictures import measured_picture
from ..times import sample_ends
from ..tplot import Variable
from .embedding import embed_some, frame_quality
from .plan import Plan


@dataclass(frozen=True, eq=False)
class Marks:
    """End times and quality flags of samples, which depend on all samples of a series.

    Attributes
    ----------
    ends : numpy.ndarray of datetime64[ns], shape (n,)
    flags : numpy.ndarray of int16, shape (n,)
        0 is good.
    """

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
    """The wanted samples as rows, NaN where they cannot be encoded.

    Parameters
    ----------
    samples : Variable
        Prepared.
    plan : Plan
    wanted : numpy.ndarray of bool, shape (n,)
    marks : Marks
    """
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
            made.append(measured_picture(select(samples, np.array([row])), plan.recipe).png)
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
