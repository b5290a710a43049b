"""Readers of image files and movies, frame by frame in one channel, and of times in the names and tables of files.

Stated sizes are checked before memory is allocated. Rows and columns stay in the order of the file. Times are UTC.
"""

from __future__ import annotations

import csv
import datetime as dt
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ArgumentError, LoadError, TimeError
from ..times import to_datetime64, to_times

if TYPE_CHECKING:
    from PIL import Image

_FORMATS = ("PNG", "JPEG", "TIFF", "GIF")
_FITS_SUFFIXES = (".fits", ".fit", ".fts")
# The form that a movie is read as: FFmpeg would try all it has, among them playlists that name addresses.
_CONTAINERS = {".avi": "avi", ".mkv": "matroska", ".webm": "matroska", ".mpg": "mpeg", ".mpeg": "mpeg"}
_CONTAINERS |= dict.fromkeys((".mp4", ".m4v", ".mov"), "mov")
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".gif", *_FITS_SUFFIXES)
MOVIE_SUFFIXES = tuple(_CONTAINERS)

_SMALLEST_SIDE, _LARGEST_SIDE, _MOST_PIXELS, _MOST_FRAMES = 8, 16384, 2**26, 10**6
# Modes of Pillow with more than 8 bits, which numpy takes as they are.
_WIDE = {"I;16": np.uint16, "I;16L": np.uint16, "I;16B": np.uint16, "I;16N": np.uint16, "I": np.int32, "F": np.float32}
# Colors of gray frames of movies differ by up to so much, from rounding in the codec.
_SAME_COLOR = 4
_COLORS = {"red": 0, "green": 1, "blue": 2}
CHANNELS = ("brightness", *_COLORS)
_FILE_COLUMNS = ("file", "filename", "path", "image", "picture", "name")
_TIME_COLUMNS = ("time", "datetime", "timestamp", "utc", "date", "start")
_MOST_TABLE_BYTES = 2**27
# 20151007_082355.961, 2015-10-07T08:23:55, 20151007082355 and the like, not inside a longer number.
_IN_NAME = re.compile(
    r"(?<!\d)(?P<year>[12]\d{3})[-_./]?(?P<month>\d\d)[-_./]?(?P<day>\d\d)[-_T ]?"
    r"(?P<hour>\d\d)[-_:.h]?(?P<minute>\d\d)[-_:.m]?(?P<second>\d\d)(?:[.,](?P<fraction>\d{1,9}))?(?!\d)"
)
_GROUPS = {"year", "month", "day", "hour", "minute", "second", "fraction", "doy", "time"}
TimeOf = Callable[[Path], "np.datetime64 | None"]


@dataclass(frozen=True)
class Header:
    """Rows and columns, type of a pixel and number of frames (0 if not known), as a file states them."""

    shape: tuple[int, int]
    dtype: np.dtype
    count: int


def header_of(path: Path) -> Header:
    """Return the size of the frames of a file, without decoding the pixels of images and movies.

    LoadError if the file is not there, empty or damaged, or states implausible sizes.
    """
    if path.suffix.lower() in _FITS_SUFFIXES:
        with _opened_fits(path) as image:
            part = image.section[tuple(slice(1) for _ in image.shape)]
            count = image.shape[0] if len(image.shape) == 3 else 1
            return Header(tuple(image.shape[-2:]), np.asarray(part).dtype.newbyteorder("="), count)
    if path.suffix.lower() in _CONTAINERS:
        with _opened_movie(path) as movie:
            video = movie.streams.video[0]
            return Header((video.height, video.width), np.dtype(np.uint8), video.frames)
    with _opened_image(path) as image:
        return Header(image.size[::-1], np.dtype(_WIDE.get(image.mode, np.uint8)), getattr(image, "n_frames", 1))


def frames_of(path: Path, channel: str | None = None) -> Iterator[np.ndarray]:
    """Yield the frames (rows, columns) of a file, one at a time, in the type of the file.

    Colors of a palette are looked up, and what is transparent is laid on black. `channel` is one of `CHANNELS` for
    frames in color, 'brightness' the mean of the three; frames whose colors are equal are gray, whatever the channel.
    LoadError as `header_of`, if pixels cannot be decoded, and for colors without `channel`.
    """
    if path.suffix.lower() in _FITS_SUFFIXES:
        yield from _fits_frames(path)
        return
    made = _movie_frames(path) if path.suffix.lower() in _CONTAINERS else _image_frames(path)
    for frame in made:
        yield one_channel(frame, channel, path)


def one_channel(frame: np.ndarray, channel: str | None, path: Path) -> np.ndarray:
    """Return a frame (rows, columns) or (rows, columns, channels) as one channel; LoadError for colors without one."""
    if frame.ndim == 2:
        return frame
    if frame.shape[2] in (2, 4):  # the last is opacity
        opacity = frame[..., -1:].astype(np.float32) / np.iinfo(frame.dtype).max
        colors = frame[..., :-1]
        frame = colors if (opacity == 1).all() else np.rint(colors * opacity).astype(frame.dtype)
    if frame.shape[2] == 1:
        return frame[..., 0]
    red, green, blue = (frame[..., i] for i in range(3))
    spread = np.maximum(np.maximum(red, green), blue) - np.minimum(np.minimum(red, green), blue)
    if spread.max() <= _SAME_COLOR:
        return red
    if channel is None:
        remedy = f"Give channel={', '.join(map(repr, CHANNELS[:-1]))} or {CHANNELS[-1]!r}."
        raise LoadError(str(path), "in color", remedy)
    if channel == "brightness":
        return np.rint(frame.mean(axis=2)).astype(frame.dtype)
    return frame[..., _COLORS[channel]]


def _image_frames(path: Path) -> Iterator[np.ndarray]:
    with _opened_image(path) as image:
        for number in range(getattr(image, "n_frames", 1)):
            with _quiet():
                image.seek(number)
                frame = _pixels(image)
            yield frame


def _pixels(image: Image.Image) -> np.ndarray:
    """The pixels of an opened image: palettes, bits and other color spaces as gray, RGB or RGBA."""
    mode = image.mode
    if mode in _WIDE:
        return np.asarray(image).astype(_WIDE[mode], copy=False)
    if mode == "1":
        image = image.convert("L")
    elif mode in ("P", "PA"):
        image = image.convert("RGBA" if mode == "PA" or "transparency" in image.info else "RGB")
    elif mode not in ("L", "LA", "RGB", "RGBA"):
        image = image.convert("RGB")
    return np.asarray(image)


def _movie_frames(path: Path) -> Iterator[np.ndarray]:
    with _opened_movie(path) as movie:
        for frame in movie.decode(video=0):
            _check_size(path, (frame.height, frame.width))  # a stream may change it
            gray = frame.format.name.startswith("gray")
            yield frame.to_ndarray(format="gray" if gray else "rgb24")


def _fits_frames(path: Path) -> Iterator[np.ndarray]:
    with _opened_fits(path) as image:
        for number in range(image.shape[0] if len(image.shape) == 3 else 1):
            with _quiet():
                part = np.asarray(image.section[number] if len(image.shape) == 3 else image.section[:])
            yield part.astype(part.dtype.newbyteorder("="))


@contextmanager
def _opened_image(path: Path) -> Iterator[Image.Image]:
    from PIL import Image

    with _load_errors(path, "an image"):
        try:
            with _quiet():
                opened = Image.open(path, formats=_FORMATS)
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
            raise _too_large(path, str(error)) from error
        with opened as image:
            with _quiet():
                count = getattr(image, "n_frames", 1)
            _check_size(path, image.size[::-1], count)
            yield image


@contextmanager
def _opened_fits(path: Path) -> Iterator[Any]:
    """Open the first image in a FITS file, with two axes or three: frames, rows, columns."""
    from astropy.io import fits

    with _load_errors(path, "FITS"), path.open("rb") as file:
        if file.read(6) != b"SIMPLE":  # astropy would expand compressed files without a limit
            raise LoadError(str(path), "not readable as FITS (it does not begin with SIMPLE)", "Expand it.")
        file.seek(0)
        with _quiet():
            units = fits.open(file, memmap=False, lazy_load_hdus=True)
            image = next((one for one in units if one.is_image and len(one.shape) in (2, 3)), None)
        with units:
            if image is None:
                raise LoadError(str(path), "without an image of two or three axes", "Give another file.")
            _check_size(path, image.shape[-2:], image.shape[0] if len(image.shape) == 3 else 1)
            yield image


@contextmanager
def _opened_movie(path: Path) -> Iterator[Any]:
    try:
        import av
    except ImportError as error:
        remedy = 'Run: python -m pip install "pyspedas-similarity[images]".'
        raise LoadError(str(path), "movies need av, which is not installed", remedy) from error
    with _load_errors(path, "a movie"), av.open(str(path), format=_CONTAINERS[path.suffix.lower()]) as movie:
        if not movie.streams.video:
            raise LoadError(str(path), "without a picture", "Give another file.")
        video = movie.streams.video[0]
        _check_size(path, (video.height, video.width))
        yield movie


@contextmanager
def _quiet() -> Iterator[None]:
    """Ignore warnings of metadata and cards that are not used; not while a caller has a frame."""
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


@contextmanager
def _load_errors(path: Path, form: str) -> Iterator[None]:
    """Convert any exception while a file is read, which may be damaged, to a LoadError."""
    try:
        if not path.is_file():
            raise LoadError(str(path), "not there", "Check the path.")
        if path.stat().st_size == 0:
            raise LoadError(str(path), "empty", "Get the file again.")
        yield
    except LoadError:
        raise
    except Exception as error:  # damaged files lead to nearly every exception there is
        found = f"not readable as {form} ({type(error).__name__}: {str(error)[:200]})"
        raise LoadError(str(path), found, "Get the file again.") from error


def _check_size(path: Path, shape: tuple[int, ...], count: int = 1) -> None:
    plausible = all(_SMALLEST_SIDE <= size <= _LARGEST_SIDE for size in shape)
    if not plausible or shape[0] * shape[1] > _MOST_PIXELS or not 0 < count <= _MOST_FRAMES:
        raise _too_large(path, f"{count} frames of {shape[0]} x {shape[1]} pixels")


def _too_large(path: Path, found: str) -> LoadError:
    remedy = f"Give frames with sides of {_SMALLEST_SIDE} to {_LARGEST_SIDE} and at most {_MOST_PIXELS} pixels."
    return LoadError(str(path), f"too large or too small ({found})", remedy)


def time_of_files(times: Any) -> TimeOf:
    """Return a function from the path of a file to the time of its first frame, or None where it has none.

    `times` is None for ``YYYYMMDD_HHMMSS`` in the name, with or without separators and fractions; a format of
    `datetime.strptime` for the whole name; a regular expression with the groups `_GROUPS`; a .csv file with a column of
    files and one of times; or a function from the path. ArgumentError for others, LoadError if the table cannot be
    read.
    """
    if times is None:
        return lambda path: _by_pattern(_IN_NAME, path.stem)
    if callable(times):
        return lambda path: to_datetime64(times(path))
    if isinstance(times, Path) or (isinstance(times, str) and times.lower().endswith(".csv")):
        return TimeTable(Path(times))
    if isinstance(times, str) and "(?P<" in times:
        pattern = _compiled(times)
        return lambda path: _by_pattern(pattern, path.name)
    if isinstance(times, str) and "%" in times:
        return lambda path: _by_format(times, path)
    remedy = "Give a format such as 'frame_%Y%m%d_%H%M%S', a regular expression, a .csv file or a function."
    raise ArgumentError("times", f"found {times!r:.80}", remedy)


def given_times(times: Any) -> np.ndarray | None:
    """Return times that are given themselves, one or several: datetime64[ns] (n,); None for a rule."""
    if times is None or callable(times) or isinstance(times, Path):
        return None
    try:
        return np.array([to_datetime64(times)])
    except TimeError:
        return None if isinstance(times, str) or not isinstance(times, Iterable) else to_times(times)


def time_in_text(text: str) -> np.datetime64 | None:
    """Return a time written in any form that verbs take, or as in names of files; None where there is none."""
    try:
        return to_datetime64(text)
    except TimeError:
        return _by_pattern(_IN_NAME, text)


class TimeTable:
    """Times by file from a CSV file: a function from a path to a time, None for files that it does not name.

    `names` are times as written by file, the first one where a file is named again, as those in `repeated` are.
    """

    def __init__(self, path: Path) -> None:
        found = read_columns(path, {"file": _FILE_COLUMNS, "time": _TIME_COLUMNS})
        self.names: dict[str, str] = {}
        self.repeated: list[str] = []
        for name, time in zip(found["file"], found["time"], strict=True):
            if name in self.names:
                self.repeated.append(name)
            self.names.setdefault(name, time)
        self._keys = {_key(name): name for name in reversed(self.names)}

    def __call__(self, path: Path) -> np.datetime64 | None:
        """Look up the whole path, then shorter ends of it, down to the name."""
        for count in range(len(path.parts), 0, -1):
            name = self._keys.get("/".join(path.parts[-count:]))
            if name is not None:
                return time_in_text(self.names[name])
        return None

    def without(self, paths: Sequence[Path]) -> list[str]:
        """Return the names of files that are not among paths."""
        ends = {"/".join(path.parts[-count:]) for path in paths for count in range(1, len(path.parts) + 1)}
        return [name for key, name in self._keys.items() if key not in ends]


def read_columns(path: Path, wanted: Mapping[str, tuple[str, ...]]) -> dict[str, list[str]]:
    """Return columns of a CSV file, with stripped cells, by any of the names that each of them may have.

    Names in `wanted` have small letters and digits only, as other characters do not count. Text before a line of
    dashes, such as a license, is skipped. LoadError, with the columns there are, if the file is not there, too large,
    or has none of the first two columns.
    """
    if not path.is_file() or path.stat().st_size > _MOST_TABLE_BYTES:
        found = "there is no such file" if not path.is_file() else f"it has {path.stat().st_size} bytes"
        raise LoadError(str(path), found, f"Give a CSV file of at most {_MOST_TABLE_BYTES >> 20} MiB.")
    lines = path.read_text(encoding="utf-8-sig", errors="replace").splitlines()
    dashes = [number for number, line in enumerate(lines[:200]) if re.fullmatch(r"\s*#?\s*-{5,}\s*", line)]
    rows = list(csv.reader(line for line in lines[dashes[-1] + 1 if dashes else 0 :] if line.strip()))
    titles = [re.sub(r"[^a-z0-9]", "", title.lower()) for title in rows[0]] if rows else []
    found = {}
    for key, names in wanted.items():
        column = next((titles.index(name) for name in names if name in titles), None)
        if column is not None:
            found[key] = [row[column].strip() if len(row) > column else "" for row in rows[1:]]
    if not rows or not found.keys() >= {*list(wanted)[:2]}:
        there = ", ".join(rows[0])[:200] if rows else "none"
        forms = "; ".join(f"{key}: {', '.join(names)}" for key, names in wanted.items())
        raise LoadError(str(path), f"its columns are {there}", f"Name them as one of these ({forms}).")
    return found


def _key(name: str) -> str:
    return "/".join(Path(name.replace("\\", "/")).parts)


def _compiled(text: str) -> re.Pattern[str]:
    try:
        pattern = re.compile(text)
    except re.error as error:
        raise ArgumentError("times", f"{text!r:.80} is no regular expression ({error})", "Correct it.") from error
    names = pattern.groupindex.keys()
    if not names <= _GROUPS or not ("time" in names or {"year", "month", "day"} <= names or {"year", "doy"} <= names):
        remedy = "Give the groups year, month, day (or doy), hour, minute, second, fraction; or one group time."
        raise ArgumentError("times", f"the groups of {text!r:.80} are {', '.join(names)}", remedy)
    return pattern


def _by_pattern(pattern: re.Pattern[str], name: str) -> np.datetime64 | None:
    for match in pattern.finditer(name):
        found = {key: value for key, value in match.groupdict().items() if value}
        if "time" in found:
            return time_in_text(found["time"])
        day = found["doy"] if "doy" in found else f"{found['month']}-{found['day']}"
        clock = ":".join(found.get(key, "00") for key in ("hour", "minute", "second"))
        try:
            return to_datetime64(f"{found['year']}-{day}T{clock}.{found.get('fraction', '0')}")
        except TimeError:  # digits that are no time, such as a number of a station
            continue
    return None


def _by_format(form: str, path: Path) -> np.datetime64 | None:
    for name in (path.name, path.stem):
        try:
            return to_datetime64(dt.datetime.strptime(name, form))
        except ValueError:
            continue
    return None
