"""The verbs between tplot variables and the objects of other packages."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import tplot
from ..conventions import pyspedas_convention
from ..errors import ArgumentError, TimeError, VariableError
from ..imaging.camera_geometry import View
from ..instruments.identification import names_bins
from ..instruments.particle_structures import are_particle_structures, from_particle_structures
from ..instruments.sample_images import FILL_NAMES
from ..times import to_times
from ..tplot import Variable

if TYPE_CHECKING:
    from xarray import DataArray

__all__ = ["to_tplot", "to_xarray"]

logger = logging.getLogger(__name__)

_FORMS = (
    "Give an xarray DataArray, a SpeasyVariable, (data, meta) of hapiclient, an asilib Imager, particle structures, "
    "or an array with times."
)
_PUT_AWAY = "tplot"
# Names of coordinates that are not the values of bins.
_NO_VALUE = re.compile(
    r"width|delta|(?:^|_)d_?e(?:nergy)?$|err|sigma|uncert|quality|flag|bound|(?:^|_)(?:plus|minus|lo|hi|upper|lower)$",
    re.IGNORECASE,
)
_PLACE = ("site", "latitude", "longitude", "first_row", "first_column")

# asilib's Imager has the first pixel in the southeastern corner (asilib/imager.py: with the origin below, north is at
# the top and east at the left).
_ASILIB_TURNED = {"first_row": "south", "first_column": "east"}
_TPLOT_DIMENSION = re.compile(r"v[123]?(?:_dim)?|component|axis[123]|dim_\d+")
_DAY_OF_YEAR = 8  # characters of YYYY-DDD


@pyspedas_convention()
def to_tplot(
    data: Any, name: str | None = None, times: Any = None, units: str | None = None, overwrite: bool = True
) -> list[str]:
    """Store data of another package as tplot variables, for `find_similar` and all of pyspedas.

    Parameters
    ----------
    data : xarray.DataArray, SpeasyVariable, (data, meta), asilib.Imager, particle structures, or array
        A DataArray has one coordinate of times; its other coordinates become ``v`` or ``v1``, ``v2``, ``v3``. Of what
        hapiclient's ``hapi`` returns, each parameter becomes a variable, with fill values as NaN. Of an imager the
        frames are read as asilib reads them, with station, place, orientation and skymap. Particle structures of
        pyspedas, as ``mms_get_fpi_dist`` returns them, become a distribution (time, azimuth, polar, energy) in s^3/cm^6
        and need a name. An array goes with ``times``.
    name : str, optional
        Of the variable; by default what the data are called. Before the names of the parameters of HAPI.
    times : array of times, shape (n,), optional
        Of an array: in any form that the verbs take, one for each sample.
    units : str, optional
        By default as stated in the data.
    overwrite : bool
        False: existing variables of these names are an error.
    errors : {'log', 'raise'}
        What to do about bad input: log it and return [], or raise.

    Returns
    -------
    list of str
        Names of the variables. Times are UTC, to the nanosecond; values are copied.

    Raises
    ------
    SimilarityError
        With ``errors='raise'``: if there are no times, they go back or do not fit the samples, the values are not
        numbers, or the data are of another kind. Nothing is stored then.

    Notes
    -----
    The package that the data come from is not imported: what has its attributes is taken for its object.
    """
    if are_particle_structures(data):
        return _store_structures(data, name, times, units, overwrite)
    read = list(_read(data, name, times))
    for one in read:
        _check(one)
    _check_free((one.name for one in read), overwrite)
    return [tplot.write(_variable(one, units)) for one in read]


def to_xarray(name: str) -> DataArray:
    """A tplot variable as an xarray DataArray that can be saved to netCDF.

    Parameters
    ----------
    name : str
        A loaded tplot variable.

    Returns
    -------
    xarray.DataArray
        A copy. ``time`` is datetime64[ns], UTC; other dimensions have the names of tplot's tables (``v``, ``v1``, ...),
        which are coordinates, or ``component``. ``attrs`` holds ``units`` and, as JSON text, all other metadata that is
        plain.

    Raises
    ------
    VariableError
        If the variable is not loaded or does not vary with time.
    """
    import xarray

    (name,) = tplot.expand(name)
    variable = tplot.read(name)
    inner = variable.values.ndim - 1
    tables = ["v"] if inner == 1 else [f"v{i + 1}" for i in range(inner)]
    dims = ["time", *(_dimension(variable, table, i, inner) for i, table in enumerate(tables))]
    coordinates: dict[str, Any] = {"time": ("time", variable.times.copy())}
    for i, table in enumerate(tables):
        if table in variable.coordinates:
            values = variable.coordinates[table]
            coordinates[table if values.ndim == 1 else f"{table}_of_time"] = (
                (dims[i + 1],) if values.ndim == 1 else ("time", dims[i + 1]),
                values.copy(),
            )
    attributes = {"units": variable.units, "time_scale": "utc"}
    others = {key: value for key, value in variable.attributes.items() if _is_plain(value)}
    if others:
        attributes[_PUT_AWAY] = json.dumps(others)
    return xarray.DataArray(variable.values.copy(), coordinates, dims, name=name, attrs=attributes)


def _store_structures(data: Any, name: str | None, times: Any, units: str | None, overwrite: bool) -> list[str]:
    """Store particle structures as a distribution."""
    for argument, value in (("times", times), ("units", units)):
        if value is not None:
            raise ArgumentError(argument, "given for particle structures, which have their own", "Leave it out.")
    if not isinstance(name, str) or not name.strip():
        raise ArgumentError("name", f"found {name!r}; particle structures have none", "Give the name of the variable.")
    _check_free([name], overwrite)
    return [tplot.write(from_particle_structures(data, name))]


def _check_free(names: Iterable[str], overwrite: bool) -> None:
    """Raise VariableError if a variable of one of these names exists and may not be replaced."""
    taken = sorted(set(names) & set(tplot.loaded_names())) if not overwrite else []
    if taken:
        raise VariableError(taken[0], "it exists and overwrite=False", "Give name, or overwrite=True.")


@dataclass(frozen=True, eq=False)
class _Read:
    """Contents of an object: values (n, ...), times, tables of the other axes, metadata."""

    name: str
    times: np.ndarray
    values: np.ndarray
    tables: Mapping[int, np.ndarray] = field(default_factory=dict)
    units: str = ""
    about: Mapping[str, Any] = field(default_factory=dict)
    skymap: View | None = None


def _read(data: Any, name: str | None, times: Any) -> Iterator[_Read]:
    """The variables in an object, whatever package it is of."""
    if name is not None and (not isinstance(name, str) or not name.strip()):
        raise ArgumentError("name", f"found {name!r}", "Give the name of the variable as text.")
    is_array = isinstance(data, (np.ndarray, list)) or (hasattr(data, "__array__") and not hasattr(data, "dims"))
    has_times = hasattr(data, "dims") or _is_speasy(data) or _is_hapi(data) or _is_imager(data)
    if times is not None and has_times:
        raise ArgumentError("times", "given for data that have times", "Leave it out.")
    if hasattr(data, "data_vars"):
        remedy = "Give one of them: dataset[name]."
        raise ArgumentError("data", f"a Dataset with {', '.join(map(str, data.data_vars))}", remedy)
    if hasattr(data, "dims") and hasattr(data, "coords"):
        yield _from_xarray(data, name)
    elif _is_speasy(data):
        yield _from_speasy(data, name)
    elif _is_hapi(data):
        yield from _from_hapi(*data, name)
    elif _is_imager(data):
        yield _from_imager(data, name)
    elif is_array:
        yield _from_array(data, name, times)
    else:
        raise ArgumentError("data", f"{type(data).__name__} is not known", _FORMS)


def _is_speasy(data: Any) -> bool:
    return all(hasattr(data, key) for key in ("axes", "values", "time", "columns"))


def _is_hapi(data: Any) -> bool:
    pair = isinstance(data, (tuple, list)) and len(data) == 2
    return pair and getattr(getattr(data[0], "dtype", None), "names", None) is not None and isinstance(data[1], Mapping)


def _is_imager(data: Any) -> bool:
    return all(hasattr(data, key) for key in ("data", "meta", "skymap")) and not isinstance(data, np.ndarray)


def _from_xarray(data: Any, name: str | None) -> _Read:
    found = {key: data.coords[key] for key in data.coords if data.coords[key].ndim == 1}
    along = [key for key, one in found.items() if one.dims[0] in data.dims and _holds_times(one.values)]
    subject = str(name or data.name or "DataArray")
    along = [key for key in along if key == "time"] or along
    if len(along) != 1:
        listed = ", ".join(f"{key} ({one.dtype})" for key, one in found.items()) or "none"
        raise VariableError(subject, f"no one coordinate of times among {listed}", "Give it one of datetime64.")
    time = found[along[0]]
    others = [dim for dim in data.dims if dim != time.dims[0]]
    moved = data.transpose(time.dims[0], *others)
    tables = {i: _table_along(data, time.dims[0], dim, subject) for i, dim in enumerate(others)}
    tables = {i: one for i, one in tables.items() if one is not None}
    about = {key: value for key, value in data.attrs.items() if _is_plain(value)}
    if len(others) > 1 and not all(_TPLOT_DIMENSION.fullmatch(str(dim)) for dim in others):
        about["axes"] = [str(dim) for dim in others]  # what else would say that they are rows, angles or energies?
    units = str(data.attrs.get("units", ""))
    values = _without_fills(moved.values, data.attrs)
    return _Read(str(name or data.name or ""), _times(time.values, subject), values, tables, units, about)


def _table_along(data: Any, time: str, dim: str, subject: str) -> np.ndarray | None:
    """Return the values of the bins of a dimension, (bins,) or (time, bins); None where no coordinate has them.

    A coordinate of each time, named otherwise than the dimension, or of its name, in this order: numbers of channels go
    by the name of the dimension where energies are given as well. A coordinate of this and another dimension is taken
    where it does not depend on the other one. VariableError if several differ, there are only widths or errors, or the
    values depend on another dimension or are not among the coordinates.
    """
    numbers = [one for one in map(data.coords.get, data.coords) if one.dtype.kind in "fiu" and dim in one.dims]
    of_time = {one.name: one.transpose(time, dim).values for one in numbers if set(one.dims) == {time, dim}}
    along = {one.name: one.values for one in numbers if one.dims == (dim,)}
    named = {dim: along.pop(dim)} if dim in along else {}
    for found in (of_time, along, named):
        if len(found) > 1 and not all(np.array_equal(one, next(iter(found.values()))) for one in found.values()):
            remedy = "Drop all but the one with the values of the bins: data.drop_vars(name)."
            raise VariableError(subject, f"{', '.join(map(str, found))} all go along {dim!r}", remedy)
        if found and all(_NO_VALUE.search(str(name)) for name in found):
            text = f"{', '.join(map(str, found))} goes along {dim!r}, and nothing with the values of the bins"
            raise VariableError(subject, text, f"Add them: data.assign_coords(energy=({dim!r}, values)).")
        if found:
            return np.asarray(next(iter(found.values())))
    return _table_beside(data, dim, subject, [one for one in numbers if one.ndim > 1])


def _table_beside(data: Any, dim: str, subject: str, wider: list[Any]) -> np.ndarray | None:
    """Return the table of a dimension from a coordinate of several; VariableError where it is lost otherwise."""
    for one in wider:
        table = one.transpose(..., dim).values.reshape(-1, one.sizes[dim])
        if (table == table[0]).all():
            return table[0]
        if names_bins(str(one.name)) and (table != table[:, :1]).any():
            found = f"{one.name} has the dimensions {', '.join(map(str, one.dims))}"
            raise VariableError(subject, found, f"Give it one value for each {dim}, or for each time and {dim}.")
    named = data.attrs.get(f"DEPEND_{data.dims.index(dim)}")
    if isinstance(named, str) and named not in data.coords and names_bins(named):
        found = f"the values of its bins are in {named!r}, which is not among its coordinates"
        raise VariableError(subject, found, f"Add them: data.assign_coords({{{named!r}: ('{dim}', values)}}).")
    return None


def _without_fills(values: np.ndarray, attributes: Mapping[str, Any]) -> np.ndarray:
    """Return values with NaN in place of the fill values that attributes state, and of what is outside of their range.

    The range is that of VALIDMIN and VALIDMAX (CDF) or valid_min, valid_max and valid_range (netCDF).
    """
    low, high = -np.inf, np.inf
    for key, value in attributes.items():
        name = str(key).lower().replace("_", "")
        if str(key).lower() in FILL_NAMES and np.ndim(value) == 0:
            values = _without_fill(values, value)
        elif name in ("validmin", "validmax", "validrange") and np.size(value) == (2 if name == "validrange" else 1):
            try:
                ends = np.asarray(value, float).ravel()
            except (TypeError, ValueError):  # times or text
                continue
            low, high = (ends[0] if name != "validmax" else low), (ends[-1] if name != "validmin" else high)
    if values.dtype.kind not in "fiu" or not low < high:
        return values
    with np.errstate(invalid="ignore"):
        outside = (values < low) | (values > high)
    return np.where(outside, np.nan, values) if outside.any() else values


def _from_speasy(data: Any, name: str | None) -> _Read:
    values = np.asarray(data.values)
    tables = {i: np.asarray(axis.values) for i, axis in enumerate(data.axes[1:])}
    # Components come as (n, 1) where there is one, and their axis may be missing.
    if values.ndim == 2 and values.shape[1] == 1 and not tables:
        values = values[:, 0]
    meta = dict(data.meta or {})
    about = {key: value for key, value in meta.items() if _is_plain(value)}
    title = str(name or data.name or "")
    values = _without_fills(values, meta)
    return _Read(title, _times(data.time, title), values, tables, str(data.unit or ""), about)


def _from_hapi(data: np.ndarray, meta: Mapping[str, Any], name: str | None) -> Iterator[_Read]:
    parameters = {one.get("name"): one for one in meta.get("parameters", [])}
    first, *others = data.dtype.names
    times = _hapi_times(data[first])
    if not others:
        raise ArgumentError("data", f"it has {first} and no other parameter", "Ask HAPI for one.")
    for key in others:
        about = parameters.get(key, {})
        bins = about.get("bins") or []
        centers = {i: _centers(one, data, key) for i, one in enumerate(bins)}
        centers = {i: one for i, one in centers.items() if one is not None}
        values = _without_fill(data[key], about.get("fill"))
        plain = {k: value for k, value in about.items() if k not in ("bins", "name") and _is_plain(value)}
        units = about.get("units")
        text = units if isinstance(units, str) else ""
        yield _Read(f"{name}_{key}" if name else key, times, values, centers, text, plain)


def _centers(axis: Mapping[str, Any], data: np.ndarray, subject: str) -> np.ndarray | None:
    """Return the centers of the bins of HAPI, (bins,) or (n, bins); None where the axis does not have them.

    They are numbers, the name of a parameter that has them for each time, or the middles of ranges: geometric where all
    are positive, as energies are.
    """
    centers, ranges = axis.get("centers"), axis.get("ranges")
    for named in (centers, ranges):
        if isinstance(named, str) and named not in data.dtype.names:
            found = f"the values of its bins are in the parameter {named!r}, which is not in the data"
            raise VariableError(subject, found, f"Ask HAPI for {named} as well.")
    if isinstance(centers, str):
        return np.asarray(data[centers], float)
    try:
        if isinstance(centers, (list, tuple, np.ndarray)):
            return np.asarray(centers, float)
        if isinstance(ranges, str):
            ranges = data[ranges]
        low, high = np.moveaxis(np.asarray(ranges, float), -1, 0)
    except (TypeError, ValueError):  # none, or None among them
        return None
    return np.sqrt(low * high) if (low > 0).all() and (high > 0).all() else (low + high) / 2


def _without_fill(values: np.ndarray, fill: Any) -> np.ndarray:
    """The values with NaN in place of the fill value, which HAPI writes as text."""
    if fill is None or values.dtype.kind not in "fiu":
        return values
    try:
        missing = values == np.float64(fill)
        if values.dtype.kind == "f":  # as the type of the values rounds it
            missing |= values == values.dtype.type(fill)
    except (ValueError, TypeError):  # a fill value of text
        return values
    return np.where(missing, np.nan, values) if missing.any() else values


def _hapi_times(texts: np.ndarray) -> np.ndarray:
    """Times of HAPI: ISO 8601 cut anywhere, by month and day or by day of the year, UTC."""
    if texts.dtype.kind == "S":
        texts = np.char.decode(texts, "ascii", "replace")
    if texts.dtype.kind != "U":
        return _times(texts, "Time")
    plain = [text.strip().rstrip("Zz") for text in texts.tolist()]
    return _times(np.array([_calendar(text) for text in plain]), "Time")


def _calendar(text: str) -> str:
    """Return a time with month and day."""
    date, _, rest = text.partition("T")
    if len(date) == _DAY_OF_YEAR and date[4] == "-" and date[5:].isdigit():
        date = str(np.datetime64(date[:4], "D") + np.timedelta64(int(date[5:]) - 1, "D"))
    date = f"{date}-01-01"[:10]
    return f"{date}T{rest}" if rest else date


def _from_imager(data: Any, name: str | None) -> _Read:
    meta = dict(data.meta or {})
    station = str(meta.get("location", "")).lower()
    found = data.data
    times, frames = (found.time, found.image) if hasattr(found, "time") else found
    frames = np.asarray(frames)
    times = np.atleast_1d(np.asarray(times, object))
    if frames.ndim == 2 and len(times) == 1:  # an imager of one time has one frame
        frames = frames[None]
    place = {"site": station} if station else {}
    for key, short in (("latitude", "lat"), ("longitude", "lon")):
        if (degrees := _degrees(meta, short)) is not None:
            place[key] = degrees
    array = str(meta.get("array", "asi")).lower()
    title = name or "_".join(part for part in (array, "asi", station) if part)
    if "spect" in array:
        found = f"it is of the spectrograph {array}, which sees a line of the sky in many colors"
        raise ArgumentError("data", found, "Give the Imager of a camera.")
    units = meta.get("units")
    text = units if isinstance(units, str) else ""
    return _Read(title, _times(times, title), frames, {}, text, place | _ASILIB_TURNED, _view(data, frames))


def _view(data: Any, frames: np.ndarray) -> View | None:
    """The skymap of an imager as asilib turns it, with its frames; None where it has none of these frames."""
    sky, meta = data.skymap or {}, data.meta or {}
    latitude, longitude = _degrees(meta, "lat"), _degrees(meta, "lon")
    if not all(key in sky for key in ("az", "el")) or latitude is None or longitude is None:
        return None
    azimuth, elevation = (np.ma.filled(np.ma.asarray(sky[key]).astype(float), np.nan) for key in ("az", "el"))
    if not azimuth.shape == elevation.shape == frames.shape[1:3]:
        text = "the skymap of %s is left out: it is %s, and the frames are %s"
        logger.warning(text, meta.get("location", "the imager"), _size(azimuth.shape), _size(frames.shape[1:3]))
        return None
    return View(latitude, longitude, azimuth, elevation)


def _size(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))


def _degrees(meta: Mapping[str, Any], key: str) -> float | None:
    """Return a latitude or longitude; None where there is none, or None or NaN in its place."""
    try:
        found = float(meta.get(key, np.nan))
    except (TypeError, ValueError):
        return None
    return found if np.isfinite(found) else None


def _from_array(data: Any, name: str | None, times: Any) -> _Read:
    if times is None:
        raise ArgumentError("times", "an array has no times of its own", "Give one for each sample.")
    if name is None:
        raise ArgumentError("name", "an array has no name of its own", "Give it one.")
    values = np.asarray(data)
    if values.dtype.kind not in "fiub":
        raise VariableError(name, f"its values are {values.dtype}, not numbers", "Give numbers.")
    masked = np.broadcast_to(np.asarray(getattr(data, "mask", False), bool), values.shape)  # numpy's or astropy's
    units = str(getattr(data, "unit", ""))  # of an astropy Quantity
    return _Read(name, _times(times, name), np.where(masked, np.nan, values) if masked.any() else values, units=units)


def _holds_times(values: np.ndarray) -> bool:
    return values.dtype.kind == "M" or (values.dtype.kind == "O" and all(hasattr(one, "year") for one in values))


def _times(values: Any, subject: str) -> np.ndarray:
    if not isinstance(values, np.ndarray) and not isinstance(values, Iterable):
        raise ArgumentError("times", f"found {type(values).__name__}", "Give one for each sample.")
    if np.any(np.ma.getmask(values)):
        raise TimeError(f"{subject}: times", "some are masked", "Leave out the samples without a time.")
    if isinstance(values, np.ndarray) and values.dtype.kind == "O":
        values = values.tolist()
    try:
        return to_times(values)
    except TimeError as error:
        raise TimeError(f"{subject}: time {error.subject}", error.found, error.remedy) from error


def _check(one: _Read) -> None:
    """Refuse what tplot or a search cannot take."""
    if not one.name:
        raise ArgumentError("name", "the data have none", "Give it.")
    if one.values.dtype.kind not in "fiub":
        raise VariableError(one.name, f"its values are {one.values.dtype}, not numbers", "Give numbers.")
    if one.values.ndim == 0 or len(one.values) != len(one.times):
        found = f"{len(one.times)} times for values of the shape {one.values.shape}"
        raise VariableError(one.name, found, "Give a time for each sample, time as the first axis.")
    if not len(one.times):
        raise VariableError(one.name, "there is no sample in it", "Give one or more.")
    if one.values.ndim > 4:
        raise VariableError(one.name, f"{one.values.ndim - 1} axes in addition to time", "Tplot has three at most.")
    back = np.flatnonzero(np.diff(one.times) < np.timedelta64(0, "ns"))
    if len(back):
        found = f"its times go back, from {one.times[back[0]]} to {one.times[back[0] + 1]}"
        raise VariableError(one.name, found, "Sort it by time.")
    for axis, table in one.tables.items():
        shape = (one.values.shape[axis + 1],) if axis + 1 < one.values.ndim else ()
        if table.shape not in (shape, (len(one.times), *shape)):
            found = f"a table of the shape {table.shape} for axis {axis + 1} of values {one.values.shape}"
            raise VariableError(one.name, found, "Give a value for each bin, or for each time and bin.")


def _variable(one: _Read, units: str | None) -> Variable:
    inner = one.values.ndim - 1
    keys = ["v"] if inner == 1 else [f"v{i + 1}" for i in range(inner)]
    tables = {keys[axis]: np.array(table) for axis, table in one.tables.items()}
    if inner > 1 and tables:  # tplot wants all of them or none
        tables = {key: tables.get(key, np.arange(one.values.shape[i + 1])) for i, key in enumerate(keys)}
    attributes = _attributes(one, units)
    values = one.values.astype(np.uint8) if one.values.dtype.kind == "b" else np.array(one.values)
    return Variable(one.name, one.times, values, tables, attributes)


def _attributes(one: _Read, units: str | None) -> dict[str, Any]:
    """Metadata as tplot keeps it; what `to_xarray` put away as JSON comes back as it was."""
    try:
        attributes = dict(json.loads(one.about[_PUT_AWAY]))
        known = dict(attributes.get("data_att", {}))
    except (KeyError, TypeError, ValueError):
        attributes, known = {}, {"units": "", "coord_sys": ""}
    place = {key: one.about[key] for key in _PLACE if key in one.about}
    chosen = {"units": units} if units is not None else {"units": one.units} if one.units else {}
    others = {key: value for key, value in one.about.items() if key not in (*place, "units", "time_scale", _PUT_AWAY)}
    sky = {} if one.skymap is None else {"skymap": one.skymap}
    return attributes | {"data_att": known | place | chosen} | ({"taken_from": others} if others else {}) | sky


def _dimension(variable: Variable, table: str, axis: int, inner: int) -> str:
    """The name of an axis: of its table, where that does not change with time."""
    if table in variable.coordinates:
        return table
    return "component" if inner == 1 else f"axis{axis + 1}"


def _is_plain(value: Any) -> bool:
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        return False
    return True
