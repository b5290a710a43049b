"""Export of results to files and to objects of other packages."""

from __future__ import annotations

import importlib
import json
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import tplot
from ..errors import ArgumentError, VariableError
from ..files import check_place, write_whole
from ..provenance import ATTRIBUTE
from .formats import writers
from .formats.flat import flatten
from .tplot_output import result_table

if TYPE_CHECKING:
    from astropy.table import QTable, Table
    from sunpy.time import TimeRange
    from sunpy.timeseries import GenericTimeSeries

__all__ = ["export", "time_list", "time_ranges", "to_timeseries"]

FORMATS: dict[str, Callable[[QTable], str]] = {
    "ecsv": writers.ecsv,
    "csv": writers.csv_text,
    "votable": writers.votable,
    "json": writers.json_text,
    "time_list": writers.time_list,
    "idl": writers.idl,
    "hpevent": writers.hpevent,
    "autoplot": writers.autoplot,
}
ENDINGS = {".ecsv": "ecsv", ".csv": "csv", ".xml": "votable", ".vot": "votable", ".json": "json"}


def export(
    found: str | Iterable[str] | Table | Path, path: str | Path, format: str | None = None, overwrite: bool = False
) -> Path:
    """Write a table of intervals to a file.

    Parameters
    ----------
    found : str, list of str, or astropy Table
        Output of `find_similar`, `classify`, `intervals` or `join_events`; any table with columns ``start`` and
        ``end``, or the Path of its file. An empty list gives a file without intervals.
    path : str or Path
    format : str, optional
        Default by the extension of `path`: .ecsv, .csv, .xml or .vot (VOTable), .json. Other formats are text lists:

        ========== ====================================================================================
        ecsv       for astropy, with Time columns and all provenance
        csv        for pandas and spreadsheets; without provenance
        votable    for TOPCAT, Aladin and astropy; provenance in an INFO element
        json       for pandas (``orient='table'``); provenance next to the data
        time_list  start and end per line, in the time format of pyspedas; provenance in a comment
        idl        columns of fixed width for ``readcol``, ``read_ascii`` and ``time_double``; provenance in a comment
        hpevent    table and description for the HPEC tools, to make Heliophysics Event lists
        autoplot   events list of Autoplot
        ========== ====================================================================================
    overwrite : bool
        Replace an existing file; if False, an existing file is an error.

    Returns
    -------
    Path
        Path of the file, which is written atomically.

    Raises
    ------
    SimilarityError
        If the format is unknown, the file exists or cannot be written, or `found` is not a table of intervals.

    Notes
    -----
    All formats have times in UTC with nanoseconds. The precision after reading depends on the reader: astropy, pandas
    and numpy keep nanoseconds, ``pyspedas.time_double`` truncates to microseconds, IDL doubles resolve about 0.2
    microseconds. Only astropy represents a time inside a leap second; the text is correct in every format.
    """
    path = check_place(path, (), overwrite=True)
    format = format_of(path, format)
    table = result_table(found)
    texts = {path: FORMATS[format](table)}
    if format == "hpevent":
        texts[path.with_name(f"{path.stem}_description.txt")] = writers.hpevent_description(table)
    there = [str(one) for one in texts if one.exists()]
    if there and not overwrite:
        raise ArgumentError(f"file {there[0]}", "it exists and overwrite=False", "Give another, or overwrite=True.")
    for one, text in texts.items():
        write_whole(one, text.encode("utf-8"), overwrite)
    return path


def time_list(found: str | Iterable[str] | Table) -> list[list[str]]:
    """Return the intervals as pyspedas time ranges, for ``trange`` of its loaders.

    Parameters
    ----------
    found : str, list of str, or astropy Table
        As in `export`.

    Returns
    -------
    list of [str, str]
        Like ``['2020-11-19/23:36:20.123456789', '2020-11-19/23:36:25.000000000']``, UTC, in the order of the table.
        ``pyspedas.time_double`` truncates to microseconds.

    Raises
    ------
    SimilarityError
        As in `export`.
    """
    return writers.pyspedas_times(flatten(result_table(found)))


def time_ranges(found: str | Iterable[str] | Table) -> list[TimeRange]:
    """Return the intervals as sunpy TimeRanges.

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
    """Return a variable of one or a few components, such as ``X_similarity``, as a sunpy TimeSeries.

    Parameters
    ----------
    name : str
        A loaded tplot variable, (time) or (time, component).

    Returns
    -------
    sunpy.timeseries.GenericTimeSeries
        With an index in UTC, exact to the nanosecond, and provenance as JSON in ``meta`` under ``similarity``.

    Raises
    ------
    SimilarityError
        If the variable has another shape, or sunpy's time series are not installed.
    """
    series = _sunpy_timeseries()
    import xarray

    (name,) = tplot.expand(name)
    variable = tplot.read(name)
    if variable.values.ndim > 2 or variable.values.dtype.kind not in "fiub":
        found = f"found {variable.values.dtype} of shape {variable.values.shape}"
        raise VariableError(name, found, "Give a variable (time) or (time, component) of numbers.")
    columns = _columns(variable)
    times = xarray.DataArray(variable.times, dims="time")
    frame = xarray.Dataset({key: ("time", values) for key, values in columns.items()}, {"time": times}).to_dataframe()
    meta = {"similarity": json.dumps(variable.attributes.get(ATTRIBUTE, {}), default=str)}
    return series.TimeSeries(frame, meta, {key: _unit(variable.units) for key in columns})


def format_of(path: Path, format: str | None = None) -> str:
    """Return the format of a name or a file extension; ArgumentError if it is unknown."""
    chosen = ENDINGS.get(path.suffix.lower()) if format is None else format
    if chosen in FORMATS:
        return chosen
    found = f"found the ending {path.suffix!r}" if format is None else f"found {format!r}"
    endings = f"a name ending in {', '.join(ENDINGS)}, or " if format is None else ""
    raise ArgumentError("format", found, f"Give {endings}format of {', '.join(FORMATS)}.")


def _sunpy_timeseries() -> Any:
    try:
        with warnings.catch_warnings():
            # sunpy warns of every missing package of its extra before it fails or continues without.
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
