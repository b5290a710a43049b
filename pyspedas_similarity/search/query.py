"""Queries: the samples that `like` and `unlike` name."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import LoadError, QueryError, TimeError, VariableError
from ..instruments.frames import SIDES
from ..instruments.image_files import CHANNELS, IMAGE_SUFFIXES, frames_of
from ..library.panels import DEFAULT_CADENCES, PanelLibrary, nearest_window
from ..library.series import Library, Series
from ..times import Span, cadence, nearest_rows, to_datetime64, to_spans
from ..tplot import loaded_names

logger = logging.getLogger(__name__)

_FOR_FRAMES = "an image file is a query for camera frames only"


@dataclass(frozen=True, eq=False)
class Example:
    """One entry of `like`, before any data are loaded: a span, or an array, which may be read from an image file.

    `variable` is the one that the span belongs to; None for the first searched one with samples there.
    """

    span: Span | None = None
    variable: str | None = None
    array: np.ndarray | None = None
    file: Path | None = None

    def is_same(self, other: Example) -> bool:
        """Return True for an example of the same samples, named in the same way."""
        if self.array is not None and other.array is not None:
            return np.array_equal(self.array, other.array, equal_nan=True)
        return self.span is not None and (self.span, self.variable) == (other.span, other.variable)


@dataclass(frozen=True, eq=False)
class Query:
    """Samples of one example: the rows of a series.

    `span` holds the times of the first and last sample, None for an array; `asked` is the time or interval as it was
    given; `file` is the image file that the sample was read from.
    """

    series: Series
    rows: np.ndarray
    span: Span | None = None
    asked: str = ""
    file: Path | None = None

    @property
    def variable(self) -> str:
        """Name of the series; empty for an array."""
        return "" if self.span is None else self.series.name

    @property
    def label(self) -> str:
        """The query in words."""
        if self.span is not None:
            return f"{self.series.name} {self.asked}"
        return "array" if self.file is None else self.file.name

    @property
    def record(self) -> dict[str, Any]:
        """The query in plain values, for the provenance of a result."""
        times = {} if self.span is None else {"start": str(self.span.start), "end": str(self.span.end)}
        record = {"label": self.label, "variable": self.variable, "n_samples": len(self.rows), **times}
        if self.file is None:
            return record
        about = self.series.samples.attributes["data_att"]
        return record | {
            "file": str(self.file),
            "about": {key: about[key] for key in (*SIDES, "units") if key in about},
        }

    def embeddings(self) -> np.ndarray:
        """Return the embeddings of the samples: float32 (m, dimension), NaN where a sample has none or is not usable.

        QueryError if no sample can be encoded, or no frame is usable.
        """
        quality, found = self.series.quality_of(self.rows), self.series.embeddings(self.rows)
        if quality is not None:
            if not quality.usable.any():
                remedy = "Give another query, or usable_only=False."
                raise QueryError(f"query {self.label}", f"it is not usable: {quality}", remedy)
            found = np.where(quality.usable[:, None], found, np.float32(np.nan))
        if not np.isfinite(found).any():
            remedy = "Give a query at which something was measured."
            raise QueryError(f"query {self.label}", f"it cannot be encoded: {self.series.why_not(self.rows)}", remedy)
        return found


def parse_examples(like: Any, argument: str = "like", channel: str | None = None) -> list[Example]:
    """Parse `like`: a time, an interval, (name, time or interval), an array, an image file, or a list of them.

    `channel` is that of images in color, as of `image_files.frames_of`. QueryError if it is none of these, or the file
    cannot be read.
    """
    if like is None:
        raise QueryError(argument, "no query is given", "Give a time of interest: like='2015-10-16/13:07:02.2'.")
    if _is_samples(like):
        masked = np.ma.isMaskedArray(like)
        return [Example(array=np.ma.filled(like.astype(np.float64), np.nan) if masked else np.asarray(like))]
    if _is_file(like):
        return [Example(array=_read_frame(Path(like).expanduser(), channel), file=Path(like))]
    if _is_named(like):
        return [Example(span, like[0]) for span in to_spans(like[1])]
    if isinstance(like, (list, tuple)) and any(_is_samples(one) or _is_named(one) or _is_file(one) for one in like):
        return [example for one in like for example in parse_examples(one, argument, channel)]
    return [Example(span) for span in to_spans(like)]


def parse_query(like: Any, unlike: Any = None, channel: str | None = None) -> tuple[list[Example], list[Example]]:
    """Parse `like` and `unlike` of a search; QueryError if one of them is no example, or is in both."""
    examples = parse_examples(like, channel=channel), []
    if unlike is not None:
        examples[1].extend(parse_examples(unlike, "unlike", channel))
    for one in examples[1]:
        if any(one.is_same(other) for other in examples[0]):
            found = f"{one.variable or ''} {one.span or one.file or 'an array'} is also in like".strip()
            raise QueryError("unlike", found, "Give examples of what is not looked for, or leave unlike out.")
    return examples


@dataclass(frozen=True, eq=False)
class WindowQuery(Query):
    """A query that is one interval of panels, from the start to the end of its span."""

    def embeddings(self) -> np.ndarray:
        """Return the embedding of the interval: float32 (1, dimension); QueryError if less than half is known in it."""
        found = self.series.embedding_of(self.span)
        if not np.isfinite(found).all():
            step = max(cadence(one.times) for one in self.series.panels)
            remedy = "Give an interval in which the variables were measured."
            if self.span.end - self.span.start < step:
                remedy = f"Give an interval longer than the cadence, {step / np.timedelta64(1, 's'):g} s."
            raise QueryError(f"query {self.label}", f"it cannot be encoded: {self.series.without_embedding}", remedy)
        for name in self.series.unknown_in(found):
            logger.warning("query %s: %s was not measured there, and does not count.", self.asked, name)
        return found


def find_queries(examples: Sequence[Example], library: Library) -> list[Query]:
    """Find the samples of examples in a library; QueryError if one has no sample. Nothing is embedded yet."""
    if isinstance(library, PanelLibrary):
        found = [_find_window(one, library) for one in examples]
        if examples and examples[0].span.is_instant:
            text = "the query is a single time: windows have %g s, by default %d cadences; an interval sets another."
            logger.warning(text, library.recipe.length_s, DEFAULT_CADENCES)
        return found
    return [_find_array(one, library) if one.array is not None else _find_span(one, library) for one in examples]


def query_records(queries: Sequence[Query], unlike: Sequence[Query] = ()) -> dict[str, Any]:
    """Return the record of queries for the provenance of a result."""
    record = {"queries": [query.record for query in queries]}
    return record | ({"unlike": [query.record for query in unlike]} if unlike else {})


def _find_array(example: Example, library: Library) -> Query:
    if example.file is not None:
        return _find_frame(example, library)
    if library.array_series is None:
        remedy = "Store it as a tplot variable and give ('name', time)."
        raise QueryError("like", "an array does not identify the variable it belongs to", remedy)
    series = library.array_series(example.array)
    return Query(series, np.arange(len(series.times)))


def _find_frame(example: Example, library: Library) -> Query:
    """Return the query of an image file; QueryError where no frames are searched, or frames with other geometry."""
    subject = f"query {example.file}"
    if library.frame_series is None:
        raise QueryError(subject, _FOR_FRAMES, "Give a time, or an interval.")
    try:
        return Query(library.frame_series(example.array), np.arange(1), file=example.file)
    except VariableError as error:
        raise QueryError(subject, error.found, error.remedy) from error


def _find_span(example: Example, library: Library) -> Query:
    span, candidates = example.span, library.query_series
    if example.variable is not None:
        named = [one for one in candidates if one.name == example.variable]
        candidates = named or [library.open_other(example.variable)]
    for series in candidates:
        rows = _rows_at(span, series.times)
        if len(rows):
            return Query(series, rows, Span(series.times[rows[0]], series.times[rows[-1]]), str(span))
    ranges = "; ".join(f"{one.name} covers {one.times[0]} to {one.times[-1]}" for one in candidates)
    found = "no sample within one cadence of it" if span.is_instant else "no sample inside it"
    raise QueryError(f"query {span}", f"{found}: {ranges}", "Give a time at which there are data.")


def _find_window(example: Example, library: PanelLibrary) -> WindowQuery:
    if example.file is not None:
        raise QueryError(f"query {example.file}", _FOR_FRAMES, "Give an interval.")
    if example.array is not None:
        remedy = "Store it as a tplot variable and give ('name', [start, end])."
        raise QueryError("like", "an array does not identify the variables it belongs to", remedy)
    span, candidates = example.span, library.query_series
    if example.variable is not None:
        named = [one for one in candidates if example.variable in (one.name, *(each.name for each in one.panels))]
        candidates = named or [library.open_other(example.variable)]
    if span.is_instant:
        half = candidates[0].length // 2
        span = Span(span.start - half, span.start + half)
    for series in candidates:
        rows = nearest_window(series, span)
        if len(rows):
            return WindowQuery(series, rows, span, str(example.span))
    ranges = "; ".join(f"{one.name} covers {one.times[0]} to {one.times[-1]}" for one in candidates)
    found = f"no window of {library.recipe.length_s:g} s around it; middles of windows: {ranges}"
    raise QueryError(f"query {example.span}", found, "Give an interval inside the data.")


def _is_samples(like: Any) -> bool:
    """Return True for an array of measurements; arrays of one column or of pairs are times."""
    array = getattr(like, "values", like)
    return isinstance(array, np.ndarray) and array.ndim >= 2 and array.shape[1] > 2 and array.dtype.kind in "fiu"


def _is_file(like: Any) -> bool:
    """Return True for a Path, text with the suffix of an image, and text that is no time but a file that exists."""
    if isinstance(like, Path):
        return True
    if not isinstance(like, str) or not like.strip():
        return False
    if Path(like).suffix.lower() in IMAGE_SUFFIXES:
        return True
    try:
        to_datetime64(like)
    except TimeError:
        return os.path.isfile(like)  # False for text that is no path
    return False


def _read_frame(path: Path, channel: str | None) -> np.ndarray:
    """Return the only frame of an image file: (rows, columns)."""
    try:
        with closing(frames_of(path, channel if channel in CHANNELS else None)) as frames:
            first = next(frames)
            if next(frames, None) is not None:
                raise QueryError(f"query {path}", "it holds several frames", "Give a file with one.")
            return first
    except LoadError as error:
        raise QueryError(f"query {path}", f"it is {error.found}", error.remedy) from error


def _is_named(like: Any) -> bool:
    if not (isinstance(like, tuple) and len(like) == 2 and isinstance(like[0], str)):
        return False
    try:
        to_datetime64(like[0])
    except TimeError:
        return True
    return like[0] in loaded_names()


def _rows_at(span: Span, times: np.ndarray) -> np.ndarray:
    """Return the rows in an interval, or the row nearest to a time if it is within one cadence."""
    if not span.is_instant:
        return np.flatnonzero(span.contains(times))
    rows = nearest_rows(times, np.array([span.start]))
    return rows[rows >= 0]
