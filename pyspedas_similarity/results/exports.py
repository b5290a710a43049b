"""Results as files and objects of other programs."""

from __future__ import annotations

import importlib
import json
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import tplot
from ..errors import ArgumentError, VariableError
from ..files import write_whole
from ..provenance import ATTRIBUTE
from .formats import lists, tables
from .formats.flat import flatten
from .tables import result_table

if TYPE_CHECKING:
    from astropy.table import QTable, Table
    from sunpy.time import TimeRange
    from sunpy.timeseries import GenericTimeSeries

__all__ = ["export", "time_list", "time_ranges", "to_timeseries"]

FORMATS: dict[str, Callable[[QTable], str]] = {
    "ecsv": tables.ecsv,
    "csv": tables.csv_text,
    "votable": tables.votable,
    "json": tables.json_text,
    "time_list": lists.time_list,
    "idl": lists.idl,
    "hpevent": lists.hpevent,
    "autoplot": lists.autoplot,
}
ENDINGS = {".ecsv": "ecsv", ".csv": "csv", ".xml": "votable", ".vot": "votable", ".json": "json"}


def export(
    found: str | Iterable[str] | Table | Path, path: str | Path, format: str | None = None, overwrite: bool = False
) -> Path:
    """Write a table of intervals to a file.

    Parameters
    ----------
    found : str, list of str, or astropy Table
        What `find_similar` or `classify` returned, or what `intervals` or `join_events` did; any table with columns
        ``start`` and ``end``, or the Path of its file. An empty list gives a file without intervals.
    path : str or Path
    format : str, optional
        By default from the ending of `path`: .ecsv, .csv, .xml or .vot (VOTable), .json. Others are lists as text:

        ========== ====================================================================================
        ecsv       for astropy, with Times and all provenance
        csv        for pandas and spreadsheets; has no place for provenance
        votable    for TOPCAT, Aladin and astropy; provenance in an INFO element
        json       for pandas (``orient='table'``); provenance next to the data
        time_list  a start and an end in a line, as pyspedas writes times; provenance in a comment
        idl        columns of fixed width for ``readcol``, ``read_ascii`` and ``time_double``; provenance in a comment
        hpevent    table and description for the HPEC tools, which make Heliophysics Event lists of them
        autoplot   events list of Autoplot
        ========== ====================================================================================
    overwrite : bool
        False: a file that is there is an error.

    Returns
    -------
    Path
        Of the file. It is there whole or not at all.

    Raises
    ------
    SimilarityError
        If the format is unknown, the file is there or cannot be written, or `found` is no table of intervals.

    Notes
    -----
    Times are written in UTC with nine digits of a second in every format. What a reader keeps of them depends on its
    clock: astropy, pandas and numpy keep nanoseconds, ``pyspedas.time_double`` cuts to microseconds, IDL's doubles hold
    about 0.2 microseconds. A time inside a leap second is kept by astropy alone; the text is right in every format.
    """
    path = Path(path)
    format = format_of(path, format)
    table = result_table(found)
    texts = {path: FORMATS[format](table)}
    if format == "hpevent":
        texts[path.with_name(f"{path.stem}_description.txt")] = lists.hpevent_description(table)
    there = [str(one) for one in texts if one.exists()]
    if there and not overwrite:
        raise ArgumentError(f"file {there[0]}", "it exists and overwrite=False", "Give another, or overwrite=True.")
    for one, text in texts.items():
        write_whole(one, text.encode("utf-8"), overwrite)
    return path


def time_list(found: str | Iterable[str] | Table) -> list[list[str]]:
    """The intervals as pyspedas writes time ranges, for ``trange`` of its loaders.

    Parameters
    ----------
    found : str, list of str, or astropy Table
        As in `export`.

    Returns
    -------
    list of [str, str]
        Like ``['2020-11-19/23:36:20.123456789', '2020-11-19/23:36:25.000000000']``, UTC, in the order of the table.
        ``pyspedas.time_double`` cuts what comes after microseconds.

    Raises
    ------
    SimilarityError
        As in `export`.
    """
    return lists.pyspedas_times(flatten(result_table(found)))


def time_ranges(found: str | Iterable[str] | Table) -> list[TimeRange]:
    """The intervals as sunpy TimeRanges.

    Parameters
    ----------
    found : str, list of str, or astropy Table
        As in `export`.

    Returns
    -------
    list of sunpy.time.TimeRange
        Exact to the nanosecond, in the order of the table.

    Raises
    ------
    SimilarityError
        As in `export`.
    """
    from sunpy.time import TimeRange

    table = result_table(found)
    return [TimeRange(start, end) for start, end in zip(table["start"], table["end"], strict=True)]


def to_timeseries(name: str) -> GenericTimeSeries:
    """A variable with a value or a few for each time, such as ``X_similarity``, as a sunpy TimeSeries.

    Parameters
    ----------
    name : str
        A loaded tplot variable, (time) or (time, component).

    Returns
    -------
    sunpy.timeseries.GenericTimeSeries
        Its index is exact to the nanosecond, UTC. Provenance is in its meta, as JSON, under ``similarity``.

    Raises
    ------
    SimilarityError
        If it is no such variable, or sunpy's time series are not installed.
    """
    series = _sunpy_timeseries()
    import xarray

    (name,) = tplot.expand(name)
    variable = tplot.read(name)
    if variable.values.ndim > 2 or variable.values.dtype.kind not in "fiub":
        found = f"found {variable.values.dtype} of the shape {variable.values.shape}"
        raise VariableError(name, found, "Give a variable (time) or (time, component) of numbers.")
    columns = _columns(variable)
    times = xarray.DataArray(variable.times, dims="time")
    frame = xarray.Dataset({key: ("time", values) for key, values in columns.items()}, {"time": times}).to_dataframe()
    meta = {"similarity": json.dumps(variable.attributes.get(ATTRIBUTE, {}), default=str)}
    return series.TimeSeries(frame, meta, {key: _unit(variable.units) for key in columns})


def format_of(path: Path, format: str | None = None) -> str:
    """Return the format that a name or an ending identifies; ArgumentError if there is none."""
    chosen = ENDINGS.get(path.suffix.lower()) if format is None else format
    if chosen in FORMATS:
        return chosen
    found = f"found the ending {path.suffix!r}" if format is None else f"found {format!r}"
    endings = f"a name ending in {', '.join(ENDINGS)}, or " if format is None else ""
    raise ArgumentError("format", found, f"Give {endings}format of {', '.join(FORMATS)}.")


def _sunpy_timeseries() -> Any:
    try:
        with warnings.catch_warnings():
            # sunpy warns of every package of its extra that is missing before it fails, or works without.
            warnings.filterwarnings("ignore", message="Importing sunpy")
            return importlib.import_module("sunpy.timeseries")
    except ImportError as error:
        remedy = 'pip install "pyspedas-similarity[sunpy]".'
        raise ArgumentError("to_timeseries", f"sunpy's time series are not installed ({error})", remedy) from error


def _columns(variable: tplot.Variable) -> dict[str, Any]:
    if variable.values.ndim == 1:
        return {variable.name: variable.values}
    return {f"{variable.name}_{i}": values for i, values in enumerate(variable.values.T)}


def _unit(text: str) -> Any:
    from astropy import units

    try:
        return units.Unit(text)
    except ValueError:  # not a unit that astropy can parse
        return units.dimensionless_unscaled
