"""Export of results to files, as tables and text lists, and to objects of other packages."""

from __future__ import annotations

import csv
import importlib
import io
import json
import re
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import tplot
from ..errors import ArgumentError, VariableError
from ..files import check_place, write_whole
from ..provenance import ATTRIBUTE
from .flat import Column, Flat, flatten, plain
from .tplot_output import result_table

if TYPE_CHECKING:
    from astropy.table import QTable, Table
    from sunpy.time import TimeRange
    from sunpy.timeseries import GenericTimeSeries

__all__ = ["export", "time_list", "time_ranges", "to_timeseries"]

ENDINGS = {".ecsv": "ecsv", ".csv": "csv", ".xml": "votable", ".vot": "votable", ".json": "json"}

# Spreadsheets evaluate cells that begin with these characters as formulas (CWE-1236).
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
_UCD = {"start": "time.start", "end": "time.end", "peak": "time.epoch", "source": "meta.dataset"}
_PANDAS = {"time": "string", "text": "string", "number": "number", "integer": "integer"}
# readcol of the IDL Astronomy Library separates columns at blanks and commas; its comments begin with a semicolon.
_SEPARATORS = re.compile(r"""[\s,;"'\x00-\x1f\x7f]+""")
_NO_TEXT = "-"
_HPEVENT = {"start": "TIME_BEGIN", "end": "TIME_END", "peak": "TIME_PEAK"}
_MEANINGS = {
    "TIME_BEGIN": "start of the interval, UTC",
    "TIME_END": "end of the interval, UTC",
    "TIME_PEAK": "time of the best sample, UTC",
    "SCORE": "cosine of the best sample to the nearest query",
    "N_SAMPLES": "samples at or above the threshold",
    "SOURCE": "variable or source that was searched",
}


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
        texts[path.with_name(f"{path.stem}_description.txt")] = hpevent_description(table)
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
    return pyspedas_times(flatten(result_table(found)))


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
    components = enumerate(variable.values.T)
    columns = (
        {f"{name}_{i}": values for i, values in components} if variable.values.ndim > 1 else {name: variable.values}
    )
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


def _unit(text: str) -> Any:
    from astropy import units

    try:
        return units.Unit(text)
    except ValueError:  # not a unit that astropy can parse
        return units.dimensionless_unscaled


def ecsv(table: Table, delimiter: str = " ") -> str:
    """Return ECSV, from which astropy reads the same table with Time columns and meta."""
    text = io.StringIO()
    table.write(text, format="ascii.ecsv", delimiter=delimiter)
    return text.getvalue()


def csv_text(table: QTable) -> str:
    """Return CSV (RFC 4180): a header, times as ISO text, empty cells for missing values.

    Text that a spreadsheet would evaluate as a formula is prefixed by an apostrophe. CSV holds no provenance.
    """
    flat = flatten(table)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([_escape_formula(name) for name in flat.names])
    columns = [[_cell(value, column) for value in column.values] for column in flat.columns]
    writer.writerows(zip(*columns, strict=True))
    return text.getvalue()


def json_text(table: QTable) -> str:
    """Return JSON that pandas reads with ``orient='table'``, with the provenance next to ``schema`` and ``data``."""
    flat = flatten(table)
    fields = [{"name": column.name, "type": _PANDAS[column.kind]} for column in flat.columns]
    columns = [plain(column.values) for column in flat.columns]
    rows = [dict(zip(flat.names, row, strict=True)) for row in zip(*columns, strict=True)]
    made = {"schema": {"fields": fields}, "data": rows, "provenance": flat.provenance, "time_scale": "utc"}
    # Escape '<', so that the text is safe inside a script element of a web page.
    return json.dumps(made, indent=1, allow_nan=False).replace("<", "\\u003c") + "\n"


def votable(table: QTable) -> str:
    """Return VOTable 1.4: times as ISO text with xtype 'timestamp' (IVOA DALI), provenance in an INFO element."""
    from astropy.io.votable import from_table
    from astropy.io.votable.tree import Info
    from astropy.table import Table

    flat = flatten(table)
    made = from_table(Table([_array(column) for column in flat.columns], names=flat.names))
    made.version = "1.4"
    resource = made.resources[0]
    for field, column in zip(resource.tables[0].fields, flat.columns, strict=True):
        field.ucd = _UCD.get(column.name)
        if column.kind == "time":
            field.xtype = "timestamp"
        if column.unit:
            field.unit = column.unit
    resource.description = "Intervals of pyspedas-similarity. Times are UTC."
    resource.infos.append(Info(name="provenance", value=flat.provenance_line()))
    written = io.BytesIO()
    made.to_xml(written)
    return written.getvalue().decode("utf-8")


def _cell(value: object, column: Column) -> str:
    if value is None:
        return ""
    return repr(value) if column.kind == "number" else _escape_formula(value) if column.kind == "text" else str(value)


def _escape_formula(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text


def _array(column: Column) -> np.ma.MaskedArray:
    hidden = [value is None for value in column.values]
    if column.kind in ("time", "text"):
        texts = ["" if value is None else value for value in column.values]
        is_ascii = column.kind == "time" or all(text.isascii() for text in texts)
        # Bytes are written as 'char', the type of a timestamp in DALI.
        return np.array([text.encode() for text in texts] or np.empty(0, "S1")) if is_ascii else np.array(texts)
    dtype = float if column.kind == "number" else np.int64
    return np.ma.array([0 if value is None else value for value in column.values], dtype=dtype, mask=hidden)


def pyspedas_times(flat: Flat) -> list[list[str]]:
    """Return ``[start, end]`` of each interval, with times in the format of pyspedas."""
    return [
        [start.replace("T", "/"), end.replace("T", "/")] for start, end in zip(flat["start"], flat["end"], strict=True)
    ]


def _time_lines(table: QTable) -> str:
    """Return one line per interval, start and end in the format of pyspedas; comments begin with '#'."""
    flat = flatten(table)
    lines = [f"# provenance: {flat.provenance_line()}", "# start end, UTC"]
    return _to_lines([*lines, *(" ".join(pair) for pair in pyspedas_times(flat))])


def idl(table: QTable) -> str:
    """Return columns of fixed width for IDL's ``readcol`` and ``read_ascii``; comments begin with ';'.

    Times are in the format of ``time_double`` of IDL SPEDAS. Separators in text are replaced by '_'.
    """
    flat = flatten(table)
    columns = [_pad_values(column) for column in flat.columns]
    heading = [f"; provenance: {flat.provenance_line()}", f"; {' '.join(flat.names)}"]
    return _to_lines([*heading, *(" ".join(row) for row in zip(*columns, strict=True))])


def hpevent(table: QTable) -> str:
    """Return the input table of the HPEC tools for a Heliophysics Event list (.hpe).

    One line per event, separated by blanks, without header, times like 1995-01-02T02:54:00.0Z. ``make_txt_hpe`` reads
    it and asks for the names of the fields, which `hpevent_description` lists.

    Notes
    -----
    HPEC toolkit, Catholic University of America, https://sites.google.com/cua.edu/hpelists/hpec-toolkit.
    """
    flat = flatten(table)
    columns = [_format_values(column, "T", "Z") for column in flat.columns]
    return _to_lines([" ".join(row) for row in zip(*columns, strict=True)])


def hpevent_description(table: QTable) -> str:
    """Return the description for `hpevent`: name, type and meaning of each field, and the provenance."""
    flat = flatten(table)
    types = {"time": "string", "text": "string", "number": "double", "integer": "long64"}
    lines = ["Events found by similarity to a query (pyspedas-similarity). Fields in the order of the columns:"]
    for column in flat.columns:
        name = _HPEVENT.get(column.name, re.sub(r"[^A-Z0-9_]", "_", column.name.upper()))
        meaning = _MEANINGS.get(name, "")
        lines.append("  ".join(part for part in (name, types[column.kind], column.unit, meaning) if part))
    return _to_lines([*lines, f"Provenance: {flat.provenance_line()}"])


def autoplot(table: QTable) -> str:
    """Return an events list of Autoplot: start, end, color and label, separated by commas.

    Notes
    -----
    Autoplot, developer.eventsList, http://autoplot.org/developer.eventsList: no more than four columns.
    """
    flat = flatten(table)
    scores = flat["score"] if "score" in flat.names else [None] * len(flat)
    sources = flat["source"] if "source" in flat.names else [""] * len(flat)
    lines = []
    for start, end, score, source in zip(flat["start"], flat["end"], scores, sources, strict=True):
        label = " ".join(re.sub(r'["\x00-\x1f\x7f]+', " ", source or "").split())
        label = label if score is None else f"{label} {score:.3f}".strip()
        lines.append(f'{start}Z, {end}Z, 0x008000, "{label}"')
    return _to_lines(lines)


def _to_lines(lines: list[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _format_values(column: Column, between: str, after: str) -> list[str]:
    """Format each value as one word without separators."""
    if column.kind == "time":
        return [_NO_TEXT if one is None else one.replace("T", between) + after for one in column.values]
    if column.kind == "text":
        return [_SEPARATORS.sub("_", one or "") or _NO_TEXT for one in column.values]
    return ["NaN" if one is None or one != one else repr(one) for one in column.values]


def _pad_values(column: Column) -> list[str]:
    words = _format_values(column, "/", "")
    width = max(map(len, words), default=0)
    return [word.ljust(width) if column.kind in ("time", "text") else word.rjust(width) for word in words]


FORMATS: dict[str, Callable[[QTable], str]] = {
    "ecsv": ecsv,
    "csv": csv_text,
    "votable": votable,
    "json": json_text,
    "time_list": _time_lines,
    "idl": idl,
    "hpevent": hpevent,
    "autoplot": autoplot,
}
