"""Readers of all-sky imager files: THEMIS CDF frames and thumbnails, raw streams of the University of Calgary, skymaps.

Rows and columns of frames are in the order of the file, with their orientation as metadata. Sizes stated in a file are
checked before memory is allocated.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import LoadError
from ..imaging.camera_geometry import View
from ..tplot import Variable
from .isolated_reader import IsolatedCdf, cdf_errors, read_sav

# An hour of full frames every 3 s has 157 MB, a day of thumbnails 59 MB, a minute of a raw stream 2.6 MB, up to 10 MB
# for the largest camera of that archive. Reading a stream takes three times its size in memory.
_MOST_BYTES, _MOST_STREAM_BYTES, _MOST_SKYMAP_BYTES = 2**30, 2**26, 2**26
_SMALLEST_SIDE, _LARGEST_SIDE = 8, 4096
# Frames per read call of cdflib, which needs several times their memory.
_BLOCK = 128
# Integer types of CDF and their bytes (CDF Internal Format Description 3.9, table 2.5): INT1, 2, 4, UINT1, 2, 4.
_INTEGERS = {1: 1, 2: 2, 4: 4, 11: 1, 12: 2, 14: 4}

_LONGEST_HEADER, _MOST_STREAM_FRAMES = 2**16, 10_000
_HEADER_ITEM = re.compile(rb"\s*(?:#([^\n]*)\n|(\d{1,5})(?=\s))")
_COMMENT = re.compile(r'\s*"([^"]+)"\s*(.*)')
_REQUEST = "Image request start"
_STAMP = re.compile(r"(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d(?:\.\d{1,9})?)(?: UTC)?\s*")

_MAPS = ("azimuth", "elevation", "map_latitude", "map_longitude")
_ABOUT = ("site_uid", "imager_uid", "site_map_latitude", "site_map_longitude")
_DEGREES = {"azimuth": (0, 360), "elevation": (-90, 90), "map_latitude": (-90, 90), "map_longitude": (-360, 360)}

# Orientation of the frames, stored in their attributes. CDF: verified by the stars of Gakona,
# tests/real_data/test_orientation.py. Raw streams, by the first letters of the project: asilib documents that the first
# pixel of its frames is in the southeastern corner, for which it reverses the rows of THEMIS and REGO, and rows and
# columns of TREx (asilib/asi/themis.py, rego.py, trex.py). For other projects the orientation is unknown.
_CDF_ORIENTATION = {"first_row": "south", "first_column": "west"}
_STREAM_TURNED = {
    "themis": {"first_row": "north", "first_column": "east"},
    "rego": {"first_row": "north", "first_column": "east"},
    "trex": {"first_row": "north", "first_column": "west"},
}
# Projects with one camera per site, and the prefix of their variable names.
_ONE_CAMERA = {"themis": "thg", "rego": "rego"}

_AGAIN = "Remove the file and load again."


@dataclass(frozen=True, eq=False)
class Skymap(View):
    """Directions of the pixels of a camera from a skymap file.

    Attributes
    ----------
    latitude, longitude, azimuth, elevation
        As in `View`; float32 (row, column).
    site, imager : str
        For example 'gako' and 'themis20'.
    map_altitude_km : numpy.ndarray, shape (altitude,)
    map_latitude, map_longitude : numpy.ndarray of float32, shape (altitude, row + 1, column + 1)
        Corners of each pixel at these altitudes, geodetic degrees, longitude as in the file (0 to 360).
    """

    site: str
    imager: str
    map_altitude_km: np.ndarray
    map_latitude: np.ndarray
    map_longitude: np.ndarray

    def turned(self) -> Skymap:
        """Return the skymap of an array with reversed rows and columns."""
        return replace(self, **{key: getattr(self, key)[..., ::-1, ::-1] for key in _MAPS})


class FrameFile:
    """Open THEMIS CDF file of full frames or thumbnails, read in parts.

    `name`, such as ``thg_asf_gako``, is required if a file holds frames of several cameras. `times` are starts of
    exposures from ``<name>_time``: the epoch of these files is a virtual variable and contains zeros. `shape` is (rows,
    columns). LoadError if the file is incomplete, not a CDF, has no such frames or those of several cameras, or invalid
    sizes.
    """

    def __init__(self, path: str | Path, name: str | None = None) -> None:
        self.path = Path(path)
        if not self.path.is_file():
            raise LoadError(str(path), "there is no such file", "Check the path.")
        with cdf_errors(self.path):
            self._cdf = IsolatedCdf(path)
            self.name = self._choose_camera(name)
            count, self.shape = self._sizes()
            if self._records(f"{self.name}_time") != count:
                raise LoadError(str(path), f"{count} frames, but not as many times", _AGAIN)
            seconds = self._cdf.varget(f"{self.name}_time") if count else np.empty(0)
            self.times = to_times(np.atleast_1d(seconds))

    def frames(self, rows: np.ndarray) -> Variable:
        """Read the frames with given ascending indices, as counts in the type of the file; LoadError if that fails."""
        with cdf_errors(self.path):
            values = self._read(rows)
            about = {"VATT": self._cdf.varattsget(self.name), "GATT": self._cdf.globalattsget()}
        values.flags.writeable = False
        units = str(about["VATT"].get("UNITS", ""))
        attributes = {
            "CDF": about | {"FILENAME": str(self.path)},
            "data_att": {"units": units, "coord_sys": "", "site": self.name[-4:], **_CDF_ORIENTATION},
        }
        return Variable(self.name, self.times[rows], values, attributes=attributes)

    def ends(self, rows: np.ndarray) -> Variable | None:
        """Return the ends of the exposures as ``<name>_tend``, unix seconds, or None if the file has none."""
        name = f"{self.name}_tend"
        if name not in self._cdf.names or self._records(name) != len(self.times) or len(rows) == 0:
            return None
        with cdf_errors(self.path):
            seconds = np.atleast_1d(self._cdf.varget(name)).astype(np.float64)
        attributes = {"data_att": {"units": "s", "coord_sys": "", "site": self.name[-4:]}}
        return Variable(name, self.times[rows], seconds[rows], attributes=attributes)

    def _choose_camera(self, name: str | None) -> str:
        cameras = [one for one in self._cdf.names if re.fullmatch(r"thg_as[ft]_[a-z]{4}", one)]
        if name is None and len(cameras) == 1:
            return cameras[0]
        if name not in cameras:
            found = f"it holds {', '.join(cameras) or 'no frames'}" + (f", not {name}" if name else "")
            raise LoadError(str(self.path), found, "Give a file with the frames of one camera, or the name of one.")
        return str(name)

    def _sizes(self) -> tuple[int, tuple[int, int]]:
        info = self._cdf.varinq(self.name)
        count, shape = info.Last_Rec + 1, tuple(int(size) for size in info.Dim_Sizes)
        plausible = len(shape) == 2 and all(_SMALLEST_SIDE <= size <= _LARGEST_SIDE for size in shape)
        if not plausible or info.Data_Type not in _INTEGERS or not info.Rec_Vary or count < 0:
            found = f"{self.name} has frames of {shape} as {info.Data_Type_Description}"
            raise LoadError(str(self.path), found, "Give frames of integers, (time, row, column).")
        if count * shape[0] * shape[1] * _INTEGERS[info.Data_Type] > _MOST_BYTES:
            found = f"{self.name} has {count} frames of {shape}, more than {_MOST_BYTES >> 20} MiB"
            raise LoadError(str(self.path), found, "Give an hour of full frames or a day of thumbnails.")
        return count, (shape[0], shape[1])

    def _records(self, name: str) -> int:
        """Return the number of scalars of a variable, 0 if there is none."""
        info = self._cdf.varinq(name) if name in self._cdf.names else None
        return info.Last_Rec + 1 if info is not None and not info.Dim_Sizes and info.Rec_Vary else 0

    def _read(self, rows: np.ndarray) -> np.ndarray:
        dtype = np.asarray(self._cdf.varget(self.name, startrec=0, endrec=0)).dtype if len(self.times) else np.uint16
        values = np.empty((len(rows), *self.shape), dtype)
        for first in range(0, len(rows), _BLOCK):
            part = rows[first : first + _BLOCK]
            start, end = int(part[0]), int(part[-1])
            block = np.reshape(self._cdf.varget(self.name, startrec=start, endrec=end), (-1, *self.shape))
            values[first : first + _BLOCK] = block[part - start]
        return values


def read_cdf(path: str | Path, name: str | None = None) -> Variable:
    """Read all frames of a THEMIS CDF.

    Parameters
    ----------
    path : str or Path
    name : str, optional
        Variable name, such as ``thg_asf_gako``; required if a file holds frames of several cameras.

    Returns
    -------
    Variable
        Values (n, rows, columns): 256 x 256 for full frames, 32 x 32 for thumbnails.

    Raises
    ------
    LoadError
        As `FrameFile`.
    """
    opened = FrameFile(path, name)
    return opened.frames(np.arange(len(opened.times)))


def to_times(seconds: np.ndarray) -> np.ndarray:
    """Convert Unix seconds to datetime64[ns], rounded to microseconds; NaT if not finite or before 1970.

    Time stamps of the cameras have microsecond resolution at best. A double near 2e9 s has a resolution of 0.24
    microseconds, so digits below a microsecond are noise, and integer microseconds are recovered exactly.
    """
    seconds = np.asarray(seconds, np.float64)
    usable = np.isfinite(seconds) & (seconds >= 0) & (seconds < 2.0**32)
    microseconds = np.rint(np.where(usable, seconds, 0) * 1e6).astype(np.int64)
    times = microseconds.astype("datetime64[us]").astype("datetime64[ns]")
    return np.where(usable, times, np.datetime64("NaT", "ns"))


def read_stream(paths: str | Path | Iterable[str | Path], skymap: Skymap | str | Path | None = None) -> Variable:
    """Read frames of raw stream files, ``.pgm`` or ``.pgm.gz``: concatenated binary PGM with the header in comments.

    Parameters
    ----------
    paths : path or paths
        Files of one camera, in any order.
    skymap : Skymap or path of a .sav file, optional
        Unmodified skymap; its rows and columns match the streams and define their orientation.

    Returns
    -------
    Variable
        ``thg_asf_<site>`` for the project THEMIS, ``rego_asf_<site>`` for REGO, else
        ``<project>_<imager>_asf_<site>``, such as ``trex_blue-814_asf_gill``. Values (n, rows, columns), uint16 or
        uint8; times are the starts of the image requests, with the precision of the header.

    Raises
    ------
    LoadError
        If a file is not a raw stream or is truncated, has frames of different sizes, of two cameras, of a spectrograph
        or without a time, if the times do not increase, or the skymap is of another camera.

    Notes
    -----
    The format is binary PGM of Netpbm (netpbm.sourceforge.net/doc/pgm.html), with 16-bit samples in big-endian order.
    """
    single = isinstance(paths, (str, Path))
    files = [_read_stream_file(Path(path)) for path in ([paths] if single else paths)]
    if not files:
        raise LoadError("streams", "no file is given", "Give at least one .pgm or .pgm.gz file.")
    files.sort(key=lambda file: file.times[0])
    first = files[0]
    for other in files[1:]:
        if other.camera != first.camera:
            raise _two_cameras(other.path, first.camera, other.camera)
        if other.frames.shape[1:] != first.frames.shape[1:]:
            raise _two_sizes(other.path, first.frames.shape[1:], other.frames.shape[1:], f"those of {first.path.name}")
    times = np.concatenate([file.times for file in files])
    if (back := np.flatnonzero(np.diff(times) <= np.timedelta64(0, "ns"))).size:
        found = f"its times decrease or repeat at {times[back[0] + 1]}"
        raise LoadError(str(first.path), found, "Give each file once.")
    values = np.concatenate([file.frames for file in files]) if len(files) > 1 else first.frames
    values.flags.writeable = False
    attributes: dict[str, Any] = {"data_att": _stream_attributes(first)}
    if skymap is not None:
        attributes["skymap"] = _matching_skymap(
            read_skymap(skymap) if isinstance(skymap, (str, Path)) else skymap, first
        )
    return Variable(_stream_name(first), times, values, attributes=attributes)


def read_skymap(path: str | Path) -> Skymap:
    """Read a skymap of the University of Calgary, an IDL save file.

    Raises
    ------
    LoadError
        If it cannot be read, is not a skymap, or the shapes of its arrays do not match.

    Notes
    -----
    Compressed save files are refused, since scipy decompresses them without a size limit. Skymap files are not
    compressed.
    """
    path = Path(path)
    record = _idl_record(path)
    try:
        arrays = {key: np.array(record[f"full_{key}"], np.float32) for key in (*_MAPS, "map_altitude")}
        about = [record[key] for key in _ABOUT]
        site, imager = (value.decode("ascii") if isinstance(value, bytes) else str(value) for value in about[:2])
        latitude, longitude = float(about[2]), (float(about[3]) + 180) % 360 - 180
    except (KeyError, ValueError, TypeError) as error:
        found = f"this is no skymap ({type(error).__name__}: {error})"
        raise LoadError(str(path), found, "Give a file such as themis_skymap_gako_20110305.sav.") from error
    _check_skymap(path, arrays)
    for array in arrays.values():
        array.flags.writeable = False
    altitude = arrays.pop("map_altitude") / 1000
    about = {"site": site.lower(), "imager": imager.lower(), "latitude": latitude, "longitude": longitude}
    return Skymap(**about, map_altitude_km=altitude, **arrays)


@dataclass(frozen=True)
class _StreamFile:
    path: Path
    frames: np.ndarray
    times: np.ndarray
    comments: Mapping[str, str]

    @property
    def camera(self) -> str:
        """Site and imager of the camera."""
        return _camera_of(self.comments)


def _read_stream_file(path: Path) -> _StreamFile:
    content = _decompress(path)
    frames, times, at = [], [], 0
    comments: dict[str, str] = {}
    while at < len(content):
        if len(frames) == _MOST_STREAM_FRAMES:
            raise LoadError(str(path), f"more than {_MOST_STREAM_FRAMES} frames", "A minute has 20 to 60.")
        keys, frame, at = _next_frame(path, content, at, len(frames))
        if frames and frame.shape != frames[0].shape:
            raise _two_sizes(path, frames[0].shape, frame.shape, "those before", len(frames))
        if _camera_of(comments | keys) != _camera_of(comments) and frames:
            raise _two_cameras(path, _camera_of(comments), _camera_of(comments | keys))
        times.append(_request_time(path, keys, len(frames)))
        frames.append(frame)
        comments |= keys
    if not frames:
        raise LoadError(str(path), "the file is empty", _AGAIN)
    values = np.stack(frames)
    return _StreamFile(path, values.astype(values.dtype.newbyteorder("=")), np.array(times), comments)


def _decompress(path: Path) -> bytes:
    if not path.is_file():
        raise LoadError(str(path), "there is no such file", "Give a .pgm or .pgm.gz file.")
    try:
        with path.open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
        with gzip.open(path) if packed else path.open("rb") as file:
            content = file.read(_MOST_STREAM_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise LoadError(str(path), f"not readable as gzip ({type(error).__name__}: {error})", _AGAIN) from error
    if len(content) > _MOST_STREAM_BYTES:
        found = f"it holds more than {_MOST_STREAM_BYTES >> 20} MiB"
        raise LoadError(str(path), found, "Give one file of a raw stream, which holds a minute.")
    return content


def _next_frame(path: Path, content: bytes, at: int, number: int) -> tuple[dict[str, str], np.ndarray, int]:
    """Parse the frame that begins at `at`; return comments, pixels and the position of the next frame."""
    limit = min(len(content), at + _LONGEST_HEADER)
    position, sizes, comments = at + 2, [], {}
    while len(sizes) < 3:
        item = _HEADER_ITEM.match(content, position, limit) if content[at : at + 2] == b"P5" else None
        if item is None:
            raise LoadError(str(path), f"frame {number + 1} has no complete header of a binary PGM", _AGAIN)
        position = item.end()
        if item[2] is not None:
            sizes.append(int(item[2]))
        elif pair := _COMMENT.fullmatch(item[1].decode("latin-1")):
            comments[pair[1]] = pair[2].strip()
    columns, rows, largest = sizes
    if not all(_SMALLEST_SIDE <= size <= _LARGEST_SIDE for size in (columns, rows)) or not 0 < largest < 2**16:
        found = f"frame {number + 1} states {columns} x {rows} pixels up to {largest}"
        raise LoadError(str(path), found, _AGAIN)
    dtype = np.dtype(">u2" if largest > 255 else "u1")
    start = position + 1  # the header ends with one byte of white space
    end = start + rows * columns * dtype.itemsize
    if end > len(content):
        found = f"it ends within frame {number + 1}, {end - len(content)} bytes too early"
        raise LoadError(str(path), found, _AGAIN)
    return comments, np.frombuffer(content, dtype, rows * columns, start).reshape(rows, columns), end


def _request_time(path: Path, comments: Mapping[str, str], number: int) -> np.datetime64:
    try:
        day, time = _STAMP.fullmatch(comments.get(_REQUEST, "")).groups()  # type: ignore[union-attr]
        return np.datetime64(f"{day}T{time}", "ns")
    except (AttributeError, ValueError) as error:
        found = f"frame {number + 1} has no time '{_REQUEST}' in its header"
        raise LoadError(str(path), found, "Give unmodified raw stream files.") from error


def _camera_of(comments: Mapping[str, str]) -> str:
    return " ".join(comments.get(f"{part} unique ID", "?").lower() for part in ("Site", "Imager"))


def _two_cameras(path: Path, one: str, other: str) -> LoadError:
    return LoadError(str(path), f"frames of two cameras, {one} and {other}", "Read those of one at a time.")


def _two_sizes(path: Path, one: tuple, other: tuple, which: str, number: int = 0) -> LoadError:
    found = f"frame {number + 1} has {other[0]} x {other[1]} pixels, {which} {one[0]} x {one[1]}"
    return LoadError(str(path), found, "Read frames of one size at a time.")


def _stream_name(file: _StreamFile) -> str:
    names = [file.comments.get(f"{part} unique ID", "").lower() for part in ("Project", "Site")]
    if not all(re.fullmatch(r"[a-z0-9-]{2,16}", name) for name in names):
        found = "its header has no project and site"
        raise LoadError(str(file.path), found, "Give unmodified raw stream files.")
    project, site = names
    imager = file.comments.get("Imager unique ID", "").lower()
    if re.search("spect", f"{project} {imager}") or re.search("spectr|spect-", file.path.name.lower()):
        found = f"it is of the spectrograph {imager or project}, which observes spectra along a line of the sky"
        raise LoadError(str(file.path), found, "Give the stream of a camera.")
    short = next((short for start, short in _ONE_CAMERA.items() if project.startswith(start)), None)
    if short is None and re.fullmatch(r"[a-z0-9_-]{2,24}", imager):
        return f"{project}_{imager}_asf_{site}"
    return f"{short or project}_asf_{site}"


def _stream_attributes(file: _StreamFile) -> dict[str, Any]:
    keys = {"site": "Site unique ID", "imager": "Imager unique ID"}
    about: dict[str, Any] = {key: file.comments[name].lower() for key, name in keys.items() if name in file.comments}
    for key in ("latitude", "longitude"):
        place = re.compile(rf"(?:geodetic|geographic) {key}", re.IGNORECASE)
        texts = [text for name, text in file.comments.items() if place.fullmatch(name)]
        try:
            about[key] = float(texts[0])
        except (IndexError, ValueError):  # the coordinates of a station are optional
            continue
    project = file.comments.get("Project unique ID", "").lower()
    turned = next((turned for start, turned in _STREAM_TURNED.items() if project.startswith(start)), {})
    return {"units": "counts", "coord_sys": "", **about, **turned}


def _matching_skymap(skymap: Skymap, file: _StreamFile) -> Skymap:
    """Return the skymap after checking that it matches the frames; LoadError if not."""
    site, shape = file.comments.get("Site unique ID", "").lower(), file.frames.shape[1:]
    if skymap.site != site or skymap.azimuth.shape != shape:
        found = f"the skymap is of {skymap.site} with {skymap.azimuth.shape} pixels, the frames of {site} with {shape}"
        raise LoadError(str(file.path), found, "Give the skymap of this camera.")
    return skymap


def _idl_record(path: Path) -> Any:
    """Read the required fields of the structure 'skymap' of an IDL save file."""
    keys = [*(f"full_{key}" for key in (*_MAPS, "map_altitude")), *_ABOUT]
    return read_sav(path, "skymap", keys, _MOST_SKYMAP_BYTES)


def _check_skymap(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    rows, columns = shape = (*arrays["azimuth"].shape, 0, 0)[:2]
    corners = (arrays["map_altitude"].size, rows + 1, columns + 1)
    expected = {"azimuth": shape, "elevation": shape, "map_latitude": corners, "map_longitude": corners}
    fits = all(arrays[key].shape == value for key, value in expected.items())
    if not fits or not all(_SMALLEST_SIDE <= size <= _LARGEST_SIDE for size in shape):
        shapes = ", ".join(f"{key} {array.shape}" for key, array in arrays.items())
        raise LoadError(str(path), f"the shapes of its arrays do not match: {shapes}", "Give another skymap.")
    for key, (low, high) in _DEGREES.items():
        values = arrays[key][np.isfinite(arrays[key])]
        if not values.size or values.min() < low or values.max() > high:
            raise LoadError(str(path), f"{key} is not within {low} and {high} degrees", "Give another skymap.")
