"""Conjunctions of matches in space and on the ground, by time and footprint."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import tplot
from ..conventions import pyspedas_convention
from ..errors import ArgumentError, VariableError
from ..imaging.camera_geometry import STATIONS, direction_of
from ..search.enrichment import Intervals, pairs
from ..times import Span, bounds, cadence, to_astropy, to_timedelta64
from .tplot_output import CARRIED, intervals_of, result_table

if TYPE_CHECKING:
    from astropy.table import QTable, Table

__all__ = ["conjunctions"]


@pyspedas_convention(lambda: conjunctions([], []), errors="raise")
def conjunctions(
    space: str | Iterable[str] | Table,
    ground: str | Iterable[str] | Table,
    *,
    footprint: str | Sequence[str] | None = None,
    station: tuple[float, float] | Mapping[str, tuple[float, float]] | None = None,
    height_km: float = 110.0,
    min_elevation: float = 10.0,
    tolerance: Any = 0,
) -> QTable:
    """Find times with simultaneous matches of a spacecraft and of a camera or another instrument on the ground.

    Parameters
    ----------
    space, ground : str, list of str, or astropy Table
        Output of `find_similar` or `intervals`.
    footprint : str or pair of str, optional
        A tplot variable (time, 2) with geodetic latitude and longitude, degrees, of the magnetic footprint of the
        spacecraft, or one variable for each. The result is then limited to the time in which the footprint is visible
        from the station. Footprints are computed by other packages.
    station : (latitude, longitude), or mapping of site to that, optional
        Position of the camera, geodetic degrees. Default: that of the THEMIS station with the ``site`` of `ground`.
    height_km : float
        Height of the emission.
    min_elevation : float
        Minimum elevation at which the footprint is visible, degrees.
    tolerance : seconds, timedelta or Quantity
        Matches on the ground are extended by this time at both ends.

    Returns
    -------
    astropy.table.QTable
        One row per pair, sorted by start: ``start`` and ``end`` of the overlap, the columns of each match with the
        prefixes ``space_`` and ``ground_``, and with `footprint` the highest ``elevation`` and its ``azimuth``
        (degrees).

    Raises
    ------
    SimilarityError
        If the footprint cannot be read or the position of a station is unknown.

    Notes
    -----
    The footprint is interpolated along great circles; in gaps longer than three cadences, and before the first and
    after the last sample, it is unknown and not visible. Visibility is evaluated at the footprint samples in the
    overlap and at its start and end.
    """
    tables = {"space": result_table(space), "ground": result_table(ground)}
    wide = intervals_of(tables["ground"]).widened(to_timedelta64(tolerance, "tolerance"))
    order = np.argsort(wide.start, kind="stable")
    rows, start, end = _pairs_sharing_time(intervals_of(tables["space"]), Intervals(wide.start[order], wide.end[order]))
    rows["ground"] = order[rows["ground"]]
    view = None
    if footprint is not None:
        path = _Footprint.read(footprint)
        places = _station_positions(tables["ground"], station)
        seen = [
            _visible_part(path, places[row], (first, last), height_km, min_elevation)
            for row, first, last in zip(rows["ground"], start, end, strict=True)
        ]
        keep = np.array([one is not None for one in seen], bool)
        rows = {key: one[keep] for key, one in rows.items()}
        view = [one for one in seen if one is not None]
        start, end = bounds(view)
    return _conjunction_table(tables, rows, Intervals(start, end), view)


def _pairs_sharing_time(space: Intervals, ground: Intervals) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    """Return the rows of overlapping pairs and their overlaps, sorted by start; `ground` must be sorted by start."""
    i, j = pairs(space, ground)
    start, end = np.maximum(space.start[i], ground.start[j]), np.minimum(space.end[i], ground.end[j])
    order = np.argsort(start, kind="stable")
    return {"space": i[order], "ground": j[order]}, start[order], end[order]


@dataclass(frozen=True, eq=False)
class _Footprint:
    """Footprint of a field line: times (n,) and unit vectors (n, 3)."""

    times: np.ndarray
    toward: np.ndarray

    @classmethod
    def read(cls, names: str | Sequence[str]) -> _Footprint:
        names = tplot.expand(names)
        variables = [tplot.read(name) for name in names]
        times = variables[0].times
        shapes = [variable.values.shape for variable in variables]
        fits = shapes == [(len(times), 2)] or shapes == [(len(times),)] * 2
        if not fits or any(not np.array_equal(times, variable.times) for variable in variables):
            remedy = "Give one variable (time, 2) with latitude and longitude, or one for each, at the same times."
            raise VariableError(", ".join(names), f"found the shapes {shapes}", remedy)
        latitude, longitude = variables[0].values.T if len(names) == 1 else [one.values for one in variables]
        goes_back = (np.diff(times) <= np.timedelta64(0, "ns")).any()
        if goes_back or not (np.abs(latitude[np.isfinite(latitude)]) <= 90).all():
            raise VariableError(
                names[0], "its latitudes exceed 90 degrees or its times decrease", "Check the variable."
            )
        return cls(times, _unit_vectors(np.radians(latitude.astype(float)), np.radians(longitude.astype(float))))

    def at(self, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Interpolate latitude and longitude in degrees; NaN where unknown."""
        if len(self.times) < 2:
            known = np.isin(times, self.times)
            toward = np.where(known[:, None], self.toward[:1], np.nan)
        else:
            before = np.clip(np.searchsorted(self.times, times, side="right") - 1, 0, len(self.times) - 2)
            step = self.times[before + 1] - self.times[before]
            part = ((times - self.times[before]) / step)[:, None]
            toward = _interpolate_great_circle(self.toward[before], self.toward[before + 1], part)
            known = (part[:, 0] >= 0) & (part[:, 0] <= 1) & (step <= 3 * cadence(self.times))
            known |= np.isin(times, self.times)
            toward = np.where(known[:, None], toward, np.nan)
        return np.degrees(np.arcsin(np.clip(toward[:, 2], -1, 1))), np.degrees(np.arctan2(toward[:, 1], toward[:, 0]))


@dataclass(frozen=True)
class _View(Span):
    """Time in which a footprint is visible, and its highest direction."""

    elevation: float
    azimuth: float


def _visible_part(
    path: _Footprint, place: tuple[float, float], span: tuple[np.datetime64, np.datetime64], height: float, limit: float
) -> _View | None:
    between = path.times[(path.times > span[0]) & (path.times < span[1])]
    times = np.unique(np.concatenate([np.array(span, "datetime64[ns]"), between]))
    latitude, longitude = path.at(times)
    azimuth, elevation = direction_of(latitude, longitude, height, place)
    seen = np.flatnonzero(elevation >= limit)  # False for NaN
    if not len(seen):
        return None
    best = seen[np.argmax(elevation[seen])]
    return _View(times[seen[0]], times[seen[-1]], float(elevation[best]), float(azimuth[best]))


def _unit_vectors(latitude: np.ndarray, longitude: np.ndarray) -> np.ndarray:
    return np.stack([np.cos(latitude) * np.cos(longitude), np.cos(latitude) * np.sin(longitude), np.sin(latitude)], -1)


def _interpolate_great_circle(one: np.ndarray, other: np.ndarray, part: np.ndarray) -> np.ndarray:
    """Interpolate unit vectors along great circles by fractions `part`; equal vectors are returned unchanged."""
    angle = np.arccos(np.clip((one * other).sum(axis=-1, keepdims=True), -1, 1))
    near = angle <= 1e-9
    sine = np.where(near, 1.0, np.sin(angle))
    return np.where(near, one, (np.sin((1 - part) * angle) * one + np.sin(part * angle) * other) / sine)


def _station_positions(ground: QTable, station: Any) -> list[tuple[float, float]]:
    """Return latitude and longitude of the station of each match on the ground."""
    if station is not None and not isinstance(station, Mapping):
        if len(station) != 2 or not all(np.isfinite(station)) or abs(station[0]) > 90:
            raise ArgumentError("station", f"found {station!r}", "Give latitude and longitude in degrees.")
        return [tuple(station)] * len(ground)
    known = STATIONS if station is None else station
    if "site" not in ground.colnames:
        raise ArgumentError("station", "the matches on the ground have no site", "Give station=(latitude, longitude).")
    unknown = sorted(set(map(str, ground["site"])) - set(known))
    if unknown:
        remedy = "Give station, a mapping of site to (latitude, longitude)."
        raise ArgumentError("station", f"the positions of {', '.join(unknown)} are unknown", remedy)
    return [tuple(known[str(site)]) for site in ground["site"]]


def _conjunction_table(
    tables: Mapping[str, QTable], rows: Mapping[str, np.ndarray], common: Intervals, view: list[_View] | None
) -> QTable:
    from astropy.table import QTable

    made = QTable(meta={key: dict(table.meta) for key, table in tables.items()})
    made["start"], made["end"] = to_astropy(common.start), to_astropy(common.end)
    for key, table in tables.items():
        for name in ("start", "end", *CARRIED):
            if name in table.colnames:
                made[f"{key}_{name}"] = table[name][rows[key]]
    if view is not None:
        made["elevation"] = np.array([one.elevation for one in view], float)
        made["azimuth"] = np.array([one.azimuth for one in view], float)
    return made
