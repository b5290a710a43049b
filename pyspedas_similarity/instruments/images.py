"""Folders, lists and movies of images as an instrument: frames in order of time, some MB of them at once."""

from __future__ import annotations

import glob
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from logging import getLogger
from pathlib import Path
from typing import Any

import numpy as np

from .. import tplot
from ..conventions import check_choice
from ..errors import ArgumentError, LoadError, SimilarityError
from ..times import to_interval, to_timedelta64
from ..tplot import Variable
from .image_files import (
    CHANNELS,
    IMAGE_SUFFIXES,
    MOVIE_SUFFIXES,
    Header,
    TimeTable,
    frames_of,
    given_times,
    header_of,
    time_of_files,
)
from .segments import Piece, Segment, concatenate

logger = getLogger(__name__)

# A segment has as many frames as are made into images at once, or fewer where they are large.
_SEGMENT_FRAMES, _SEGMENT_BYTES = 256, 2**26
# Files of which the sizes are looked at to find the usual one.
_HEADERS = 32
_NAMED = 3
_MOMENT = np.timedelta64(1, "ns")


@dataclass(frozen=True)
class TimedFile:
    """A file with the time of its first frame, or the times of all frames: datetime64[ns]."""

    path: Path
    start: np.datetime64
    times: np.ndarray | None = None


@dataclass
class LeftOut:
    """Files and frames that are left out, with the first names of each reason, and the number of loaded frames."""

    subject: str
    loaded: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    named: dict[str, list[str]] = field(default_factory=dict)
    last: LoadError | None = None

    def add(self, name: str, error: LoadError | str) -> None:
        """Count one, by an error of its own or by a reason."""
        self.last = error if isinstance(error, LoadError) else LoadError(name, error, "See the page on images.")
        reason = self.last.found.partition(" (")[0]
        self.counts[reason] += 1
        names = self.named.setdefault(reason, [])
        if len(names) < _NAMED:
            names.append(name)

    def __str__(self) -> str:
        found = self.counts.most_common()
        parts = (f"{n} {reason} ({', '.join(self.named[reason])}{', ...' * (n > _NAMED)})" for reason, n in found)
        return "; ".join(parts)

    def report(self, expected: bool = True) -> None:
        """Log what was left out in one line; LoadError if nothing was loaded and something was expected."""
        if not self.counts:
            return
        if expected and not self.loaded:
            raise LoadError(self.subject, f"no image could be loaded: {self}", self.last.remedy)
        total = sum(self.counts.values())
        logger.warning("%s: %d images are left out, %d are loaded: %s.", self.subject, total, self.loaded, self)


@dataclass(frozen=True)
class ImageRequest:
    """Checked arguments of the loaders, made by `ImageRequest.read`.

    `files` are in order of time, those that may have frames from `start` to `end`; `cadence` is between frames of one
    file; `left_out` is what is known before files are opened.
    """

    name: str
    files: tuple[TimedFile, ...]
    start: np.datetime64
    end: np.datetime64
    cadence: np.timedelta64 | None
    channel: str | None
    left_out: LeftOut

    @classmethod
    def read(
        cls,
        trange: Any,
        path: Any,
        times: Any = None,
        cadence_s: Any = None,
        name: str | None = None,
        channel: str | None = None,
    ) -> ImageRequest:
        """Check the arguments, list the files and find their times; `trange` may be None.

        ArgumentError for what is not understood, or if there are no such files; LoadError if no file has a time.
        """
        if channel is not None:
            check_choice("channel", channel, CHANNELS)
        cadence = None if cadence_s is None else to_timedelta64(cadence_s, "cadence_s")
        if cadence is not None and cadence <= np.timedelta64(0, "ns"):
            raise ArgumentError("cadence_s", f"found {cadence_s!r:.80}", "Give seconds above 0.")
        paths = files_at(path)
        left_out = LeftOut(f"images of {_short(path)}")
        files = sorted(_timed(paths, times, left_out), key=lambda file: (file.start, file.path))
        if not files:
            left_out.report()
        start, end = (files[0].start, np.datetime64("2261-01-01", "ns")) if trange is None else to_interval(trange)
        near = tuple(one for one in files if _may_hold(one, start, end, cadence))
        return cls(_variable_name(name, path), near, start, end, cadence, channel, left_out)

    def within(self, piece: Piece | None) -> ImageRequest:
        """Return the request of those files that begin in a piece."""
        if piece is None:
            return self
        files = tuple(one for one in self.files if piece.start <= one.start <= piece.end)
        return replace(self, files=files, left_out=LeftOut(self.left_out.subject))


def segments(trange: Any, path: Any, piece: Piece | None = None, **keywords: Any) -> Iterator[Segment]:
    """Yield frames in order of time, up to 256 at once, without companions.

    `path` is a folder, of which the images directly inside are read, a file, a pattern such as ``'2013/**/*.png'``, or
    a list of them. `keywords` are ``times``, ``cadence_s``, ``name`` and ``channel`` of
    `pyspedas_similarity.load_images`.
    """
    return read_segments(ImageRequest.read(trange, path, **keywords).within(piece))


def pieces(trange: Any, path: Any, **keywords: Any) -> Iterator[Piece]:
    """Yield pieces of `segments`: files that follow each other, up to 256, or one movie."""
    return pieces_of(ImageRequest.read(trange, path, **keywords))


def load(trange: Any, path: Any, suffix: str = "", **keywords: Any) -> list[str]:
    """Load all frames into a tplot variable; parameters are those of `segments`."""
    found = read_variable(ImageRequest.read(trange, path, **keywords))
    return [] if found is None else [tplot.write(replace(found, name=found.name + suffix))]


def read_variable(request: ImageRequest) -> Variable | None:
    """Read all frames of a request into memory; None where there is none in the time range."""
    parts = [segment.distribution for segment in read_segments(request)]
    return concatenate(parts) if parts else None


def read_segments(request: ImageRequest) -> Iterator[Segment]:
    """Yield the frames of a request, in order of time; log at the end what is left out.

    LoadError at the end, if there are files but no frame could be read.
    """
    usual = _usual_header(request)
    most = max(1, min(_SEGMENT_FRAMES, _SEGMENT_BYTES // (usual.dtype.itemsize * usual.shape[0] * usual.shape[1])))
    times, values = [], None
    with closing(_frames(request, usual)) as frames:
        for time, frame in frames:
            values = np.empty((most, *usual.shape), usual.dtype) if values is None else values
            values[len(times)] = frame
            times.append(time)
            if len(times) == most:
                segment = _segment(request, times, values)
                times, values = [], None
                # Keep no reference to a segment when the next one is read.
                yield segment
                del segment
        if times:
            yield _segment(request, times, values[: len(times)])
    request.left_out.report(expected=bool(request.files))


def pieces_of(request: ImageRequest, source: str = "") -> Iterator[Piece]:
    """Yield the pieces of a request; `segments` reads the files that begin in one. Log files without times."""
    request.left_out.report(expected=False)
    groups: list[list[TimedFile]] = []
    for file in request.files:
        alone = file.path.suffix.lower() in MOVIE_SUFFIXES
        if not groups or alone or len(groups[-1]) == _SEGMENT_FRAMES or groups[-1][0].path.suffix in MOVIE_SUFFIXES:
            groups.append([])
        groups[-1].append(file)
    ends = [group[0].start - _MOMENT for group in groups[1:]] + [request.end]
    for group, end in zip(groups, ends, strict=True):
        first = group[0]
        yield Piece(request.name, source, first.start, end, first.path.name, str(first.path.parent.absolute()), None)


def files_at(path: Any) -> list[Path]:
    """Return the images and movies that a folder, a file, a pattern or a list of them names, each once, sorted.

    ArgumentError if there are none.
    """
    given = [path] if isinstance(path, (str, Path)) else path
    if not isinstance(given, Iterable) or not (given := list(given)):
        raise ArgumentError("path", f"found {path!r:.80}", "Give a folder, a file, a pattern or a list of them.")
    found: dict[Path, None] = {}
    for one in given:
        if not isinstance(one, (str, Path)):
            raise ArgumentError("path", f"found {one!r:.80}", "Give text or a Path.")
        found |= dict.fromkeys(_files_of(Path(one).expanduser()))
    if not found:
        known = ", ".join((*IMAGE_SUFFIXES, *MOVIE_SUFFIXES))
        raise ArgumentError("path", f"there are no images at {_short(path)}", f"Suffixes that are read: {known}.")
    return sorted(found)


def _files_of(path: Path) -> Iterator[Path]:
    """Yield images in a folder, what a pattern matches, or a file itself, which may not be there."""
    if os.path.isdir(path):  # False for text that is no path
        inside: Iterable[Path] = path.iterdir()
    elif glob.has_magic(str(path)) and not os.path.exists(path):
        inside = map(Path, glob.iglob(str(path), recursive=True))
    else:
        yield path
        return
    yield from (one for one in inside if one.suffix.lower() in (*IMAGE_SUFFIXES, *MOVIE_SUFFIXES))


def _timed(paths: Sequence[Path], times: Any, left_out: LeftOut) -> Iterator[TimedFile]:
    """Yield the files whose times are known; count others."""
    given = given_times(times)
    if given is not None:
        yield from _given(paths, given)
        return
    time_of = time_of_files(times)
    for path in paths:
        try:
            time, why = time_of(path), "without a time"
        except SimilarityError as error:
            time, why = None, f"without a time ({error})"
        except Exception as error:  # of the caller's function
            time, why = None, f"without a time (times= failed: {type(error).__name__}: {error})"
        if time is None:
            remedy = "Give times=: a format, a regular expression, a .csv file or a function."
            left_out.add(path.name, LoadError(str(path), why, remedy))
        else:
            yield TimedFile(path, time)
    if isinstance(time_of, TimeTable):
        for name in time_of.without(paths):
            left_out.add(name, "named in the table and not there")
        for name in time_of.repeated:
            left_out.add(name, "named in the table again")


def _given(paths: Sequence[Path], given: np.ndarray) -> Iterator[TimedFile]:
    """Yield the files with given times: one for each file, or those of all frames of the only file."""
    if len(paths) == 1:
        yield TimedFile(paths[0], given[0], given if len(given) > 1 else None)
    elif len(given) == len(paths):
        yield from (TimedFile(path, time) for path, time in zip(paths, given, strict=True))
    else:
        found = f"{len(given)} times for {len(paths)} files"
        raise ArgumentError("times", found, "Give one for each file in order of the names, or a rule.")


def _may_hold(file: TimedFile, start: np.datetime64, end: np.datetime64, cadence: np.timedelta64 | None) -> bool:
    """Return False for a file that has no frame in a time range; a file of several frames may begin before it."""
    if cadence is None and file.times is None:
        return bool(start <= file.start <= end)
    return bool(file.start <= end)


def _usual_header(request: ImageRequest) -> Header:
    """Return the most frequent size and type of some files, evenly taken from all of them."""
    chosen = np.unique(np.linspace(0, len(request.files) - 1, min(len(request.files), _HEADERS)).astype(int))
    found: Counter[tuple[Any, Any]] = Counter()
    for number in chosen:
        try:
            header = header_of(request.files[number].path)
        except LoadError:  # counted when it is read
            continue
        found[header.shape, header.dtype] += 1
    shape, dtype = found.most_common(1)[0][0] if found else ((1, 1), np.dtype(np.uint8))
    return Header(shape, dtype, 0)


def _frames(request: ImageRequest, usual: Header) -> Iterator[tuple[np.datetime64, np.ndarray]]:
    """Yield time and pixels of the frames in the time range, times increasing; count what is left out."""
    last, left_out = None, request.left_out
    for file in request.files:
        try:
            with closing(_frames_in(file, request)) as frames:
                for time, frame in frames:
                    if not request.start <= time <= request.end:
                        continue
                    if last is not None and time <= last:
                        left_out.add(file.path.name, "with the time of another, or an earlier one")
                    elif (frame.shape, frame.dtype) != (usual.shape, usual.dtype):
                        left_out.add(file.path.name, _other_size(frame, usual))
                    else:
                        last = time
                        left_out.loaded += 1
                        yield time, frame
        except LoadError as error:
            left_out.add(file.path.name, error)


def _frames_in(file: TimedFile, request: ImageRequest) -> Iterator[tuple[np.datetime64, np.ndarray]]:
    """Yield times and frames of one file, until the end of the time range."""
    count = header_of(file.path).count
    if count == 1 and file.start < request.start:
        return
    if count != 1 and request.cadence is None and file.times is None:
        found = f"with several frames and no cadence_s ({count or 'an unknown number of'} frames)"
        raise LoadError(str(file.path), found, "Give cadence_s, seconds between frames, or the times of all frames.")
    with closing(frames_of(file.path, request.channel)) as frames:
        for number, frame in enumerate(frames):
            if file.times is not None and number >= len(file.times):
                raise LoadError(str(file.path), f"with more frames than times ({len(file.times)})", "Give them all.")
            step = request.cadence if number else np.timedelta64(0, "ns")
            time = file.start + number * step if file.times is None else file.times[number]
            if time > request.end:
                return
            yield time, frame


def _other_size(frame: np.ndarray, usual: Header) -> str:
    sizes = f"{frame.shape[0]} x {frame.shape[1]} {frame.dtype}, most are {usual.shape[0]} x {usual.shape[1]}"
    return f"of another size or type than most ({sizes} {usual.dtype})"


def _segment(request: ImageRequest, times: list[np.datetime64], values: np.ndarray) -> Segment:
    values.flags.writeable = False
    about: Mapping[str, Any] = {"data_att": {"units": "counts", "coord_sys": ""}}
    return Segment(Variable(request.name, np.array(times, "datetime64[ns]"), values, attributes=about), {})


def _variable_name(name: str | None, path: Any) -> str:
    if name is not None and (not isinstance(name, str) or not name.strip()):
        raise ArgumentError("name", f"found {name!r:.80}", "Give text, or leave it out.")
    first = path if isinstance(path, (str, Path)) else next(iter(path))
    parts = [part for part in Path(first).parts if not glob.has_magic(part)] or ["files"]
    stem = Path(parts[-1]).stem if Path(parts[-1]).suffix.lower() in (*IMAGE_SUFFIXES, *MOVIE_SUFFIXES) else parts[-1]
    return name or "images_" + (re.sub(r"\W+", "_", stem).strip("_") or "files")


def _short(path: Any) -> str:
    text = str(path) if isinstance(path, (str, Path)) else f"{len(list(path))} paths"
    return text if len(text) <= 120 else f"...{text[-117:]}"
