r"""Keograms and ewograms: what the cameras saw along one line of the sky, over time.

A keogram runs from south to north through the zenith (Eather et al. 1976, doi 10.1029/JA081i019p03285), an ewogram
from west to east::

              north                    frame, row 0 first, as seen on a map
            .---+---.
          /     |     \            +   strip of a keogram
    west |======+======| east      =   strip of an ewogram
          \     |     /
            '---+---'
              south

With a view the strip is a great circle of the sky and its pixels are found wherever the camera has them; without one it
is the middle of the frame, which has to have north up and east to the right.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..errors import ArgumentError, VariableError
from .camera_geometry import View, emission_position

# Frames worked on at once: bounds memory, whatever the length of the series.
_BLOCK = 256
_WIDTH_PIXELS, _WIDTH_DEG = 5, 3.0
# Elevation below which no pixel of a view is used.
_LOWEST_DEG = 5.0
# Names of the axis in the frame and on the Earth.
_GROUND = {"row": "latitude", "column": "longitude"}
_STEP_DEG = {"zenith angle": 1.0, "latitude": 0.1, "longitude": 0.2}


@dataclass(frozen=True, eq=False)
class Keogram:
    """A line of the sky over time.

    Attributes
    ----------
    values : numpy.ndarray of float32, shape (n, k)
        Mean of the frames' brightness in each bin, in their units.
    axis : numpy.ndarray, shape (k,)
        Middle of each bin, evenly spaced and ascending: to the north in a keogram, to the east in an ewogram.
    name : {'row', 'column', 'zenith angle', 'latitude', 'longitude'}
        Of the axis. Rows count from the southern edge, columns from the western one; a zenith angle is positive to the
        north or east; latitude and longitude are geodetic, longitude without a jump at the date line.
    units : {'pixel', 'deg'}
        Of the axis.
    """

    values: np.ndarray
    axis: np.ndarray
    name: str
    units: str


def keogram(
    frames: np.ndarray,
    view: View | None = None,
    height_km: float | None = None,
    width: float | None = None,
    step_deg: float | None = None,
) -> Keogram:
    """Brightness from south to north through the zenith.

    Parameters
    ----------
    frames : array-like, shape (n, rows, columns)
        Read block by block. Without a view: row 0 in the north, column 0 in the west.
    view : View, optional
        Where their pixels look.
    height_km : float, optional
        With a view: bins are latitudes of the light at this height instead of zenith angles.
    width : float, optional
        Of the strip: columns without a view (default 5), degrees across with one (default 3).
    step_deg : float, optional
        From bin to bin: 1 degree of zenith angle or 0.1 degrees of latitude unless given. Not used without a view.

    Returns
    -------
    Keogram
        A bin between others in which no pixel lies, as at the horizon, has what lies between its neighbors.
    """
    return _along(frames, "row", view, height_km, width, step_deg)


def ewogram(
    frames: np.ndarray,
    view: View | None = None,
    height_km: float | None = None,
    width: float | None = None,
    step_deg: float | None = None,
) -> Keogram:
    """Brightness from west to east through the zenith; as `keogram`, with rows for columns.

    With a height, bins are longitudes, 0.2 degrees wide unless given. The strip stays the great circle of the sky; its
    ends lie some tenths of a degree nearer to the equator than the camera.
    """
    return _along(frames, "column", view, height_km, width, step_deg)


class _Bins(NamedTuple):
    """Flat indices of pixels, ascending by bin; where each bin that has some starts; the middles of all bins."""

    pixels: np.ndarray
    starts: np.ndarray
    filled: np.ndarray
    axis: np.ndarray


def _along(
    frames: np.ndarray,
    line: str,
    view: View | None,
    height_km: float | None,
    width: float | None,
    step_deg: float | None,
) -> Keogram:
    shape = tuple(frames.shape)
    if len(shape) != 3 or 0 in shape[1:]:
        raise VariableError("frames", f"found the shape {shape}", "Give (time, row, column).")
    given = {"width": width, "step_deg": step_deg, "height_km": height_km}
    for name, value in given.items():
        if value is not None and not 0 < value < np.inf:
            raise ArgumentError(name, f"found {value!r}", "Give a positive number.")
    if view is None:
        if height_km is not None:
            raise ArgumentError("height_km", "it needs a view", "Give where the pixels look, or no height.")
        bins, name = _middle_of(shape[1:], line, _WIDTH_PIXELS if width is None else width), line
        return Keogram(_means(frames, bins), bins.axis, name, "pixel")
    if view.azimuth.shape != shape[1:]:
        found = f"it has {view.azimuth.shape} pixels, the frames {shape[1:]}"
        raise VariableError("view", found, "Give the view of these frames.")
    name = "zenith angle" if height_km is None else _GROUND[line]
    position, inside = _positions(view, line, height_km, _WIDTH_DEG if width is None else width)
    bins = _bins(position, inside, _STEP_DEG[name] if step_deg is None else step_deg)
    return Keogram(_means(frames, bins), bins.axis, name, "deg")


def _middle_of(shape: tuple[int, int], line: str, width: float) -> _Bins:
    """Each row from the south, or column from the west, with its central pixels."""
    numbers = np.arange(shape[0] * shape[1]).reshape(shape)
    numbers = numbers[::-1] if line == "row" else numbers.T
    if int(width) != width or width > numbers.shape[1]:
        remedy = f"Give a whole number of pixels up to {numbers.shape[1]}."
        raise ArgumentError("width", f"found {width!r} without a view", remedy)
    width = int(width)
    first = (numbers.shape[1] - width + 1) // 2
    along = np.arange(len(numbers))
    return _Bins(numbers[:, first : first + width].ravel(), along * width, along, along)


def _positions(view: View, line: str, height_km: float | None, width_deg: float) -> tuple[np.ndarray, np.ndarray]:
    """Position of each pixel along the line, degrees, and whether it is in the strip: each (row, column)."""
    azimuth, elevation = (np.radians(np.asarray(angle, float)) for angle in (view.azimuth, view.elevation))
    north, east, up = np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)
    along, across = (north, east) if line == "row" else (east, north)
    inside = (np.abs(np.degrees(np.arcsin(across))) <= width_deg / 2) & (np.degrees(elevation) >= _LOWEST_DEG)
    if height_km is None:
        return np.degrees(np.arctan2(along, up)), inside
    latitude, longitude = emission_position(view.azimuth, view.elevation, view.latitude, view.longitude, height_km)
    if line == "row":
        return latitude, inside
    return view.longitude + (longitude - view.longitude + 180) % 360 - 180, inside


def _bins(position: np.ndarray, inside: np.ndarray, step: float) -> _Bins:
    """Sort the pixels of a strip into bins around whole multiples of the step."""
    pixels = np.flatnonzero(inside)
    if not pixels.size:
        raise ArgumentError("width", "no pixel of the view lies in the strip", "Give a wider strip.")
    number = np.rint(position.ravel()[pixels] / step).astype(int)
    order = np.argsort(number, kind="stable")
    filled, starts = np.unique(number[order], return_index=True)
    axis = np.arange(filled[0], filled[-1] + 1) * step
    return _Bins(pixels[order], starts, filled - filled[0], axis)


def _means(frames: np.ndarray, bins: _Bins) -> np.ndarray:
    """Mean in each bin, float32 (n, k), with empty bins interpolated."""
    count = np.diff(np.append(bins.starts, bins.pixels.size)).astype(np.float32)
    after = np.searchsorted(bins.filled, np.arange(bins.axis.size))
    before = np.where(bins.filled[after] == np.arange(bins.axis.size), after, after - 1)
    gap = np.maximum(bins.filled[after] - bins.filled[before], 1)
    share = ((np.arange(bins.axis.size) - bins.filled[before]) / gap).astype(np.float32)
    values = np.empty((len(frames), bins.axis.size), np.float32)
    for start in range(0, len(frames), _BLOCK):
        block = np.asarray(frames[start : start + _BLOCK])
        strip = block.reshape(len(block), -1)[:, bins.pixels].astype(np.float32)
        means = np.add.reduceat(strip, bins.starts, axis=1) / count
        values[start : start + _BLOCK] = means[:, before] * (1 - share) + means[:, after] * share
    return values
