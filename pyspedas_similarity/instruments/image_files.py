"""Readers of image files and movies, frame by frame, each as one channel: PNG, JPEG, TIFF, GIF, FITS and movies.

The size that a file states is checked before memory is allocated, and nothing is unpickled. Rows and columns stay as
they are in the file: the first row of a FITS image is its lowest one on a screen.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import LoadError

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


@dataclass(frozen=True)
class Header:
    """What a file states of its frames: rows and columns, type of a pixel, number of frames (0 if not known)."""

    shape: tuple[int, int]
    dtype: np.dtype
    count: int


def header_of(path: Path) -> Header:
    """Read the size of the frames of a file; no pixels of images and movies are decoded.

    Raises
    ------
    LoadError
        If the file is not there, empty or damaged, or states implausible sizes.
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
    """Yield the frames of a file, one at a time.

    Parameters
    ----------
    path : Path
    channel : {'brightness', 'red', 'green', 'blue'}, optional
        Channel of frames in color; 'brightness' is the mean of the three. None: frames in color are refused. Frames
        whose colors are equal are gray, whatever the channel.

    Yields
    ------
    numpy.ndarray, shape (rows, columns)
        In the type of the file: integers of 8 or 16 bits, or others of TIFF and FITS. Colors of a palette are looked
        up, and what is transparent is laid on black.

    Raises
    ------
    LoadError
        As `header_of`; if pixels cannot be decoded; for colors without `channel`.
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
