"""Conversion of a table of intervals to columns of plain Python values, for all writers."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ArgumentError, TimeError
from ..times import to_astropy, to_times

if TYPE_CHECKING:
    from astropy.table import QTable, Table
    from astropy.time import Time

TIMES = ("start", "end", "peak")
# Control characters and Unicode line separators; most of them are not allowed in XML 1.0.
_NO_TEXT = re.compile("[^\t\n\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_KINDS = {"f": "number", "i": "integer", "u": "integer", "b": "integer", "U": "text", "S": "text", "O": "text"}


@dataclass(frozen=True)
class Column:
    """One column of plain Python values, None where one is missing.

    `kind` is 'time', 'number', 'integer' or 'text'; times are ISO text in UTC, which also represents leap seconds.
    """

    name: str
    kind: str
    values: list[Any]
    unit: str = ""


@dataclass(frozen=True)
class Flat:
    """Columns, ``start`` and ``end`` first, and provenance."""

    columns: tuple[Column, ...]
    provenance: Any

    def __len__(self) -> int:
        return len(self.columns[0].values)

    def __getitem__(self, name: str) -> list[Any]:
        return next(column.values for column in self.columns if column.name == name)

    @property
    def names(self) -> list[str]:
        """Column names."""
        return [column.name for column in self.columns]

    def provenance_line(self) -> str:
        """Return the provenance as one line of ASCII JSON, which is safe in a comment."""
        return json.dumps(self.provenance, sort_keys=True, allow_nan=False)


def checked_intervals(table: Table) -> QTable:
    """Return a copy of a table of intervals with times in UTC, to the nanosecond, and printable text.

    ``start`` and ``end`` may be Time of any scale, datetime64 or text. ArgumentError if one of them is missing or an
    interval ends before it starts; TimeError if a time is invalid or missing.
    """
    from astropy.table import QTable

    missing = [name for name in ("start", "end") if name not in table.colnames]
    if missing:
        found = f"no column {' and '.join(missing)}; found {', '.join(table.colnames) or 'none'}"
        raise ArgumentError("table", found, "Give what intervals returns, or a table with start and end.")
    checked = QTable(table, copy=True)
    for name in ("start", "end"):
        checked[name] = _utc(table[name], name)
        if np.any(checked[name].mask):
            raise TimeError(name, f"row {int(np.argmax(checked[name].mask))} has no time", "Leave such rows out.")
    for name in set(table.colnames) - {"start", "end"}:
        kind = np.dtype(getattr(table[name], "dtype", object)).kind
        if hasattr(table[name], "scale") or kind == "M":
            checked[name] = _utc(table[name], name)
        elif _KINDS.get(kind) == "text":
            checked[name] = _texts(table[name])
    backward = np.flatnonzero(checked["end"] < checked["start"])
    if len(backward):
        row = int(backward[0])
        found = f"row {row} ends at {checked['end'][row].isot}, before it starts at {checked['start'][row].isot}"
        raise ArgumentError("table", found, "Check its times.")
    return checked


def flatten(table: QTable) -> Flat:
    """Convert a checked table to plain columns; ArgumentError unless each has one time, number or text per row."""
    names = [name for name in TIMES if name in table.colnames]
    names += [name for name in table.colnames if name not in names]
    return Flat(tuple(_column(name, table[name]) for name in names), plain(table.meta))


def plain(value: Any) -> Any:
    """Convert to JSON types: numbers that are not finite become None, keys become str."""
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple, set, np.ndarray)):
        return [plain(one) for one in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)


def no_intervals() -> QTable:
    """Return a table of intervals without rows."""
    from astropy.table import QTable

    table = QTable()
    for name in TIMES:
        table[name] = to_astropy(np.empty(0, "datetime64[ns]"))
    table["score"], table["n_samples"], table["source"] = np.empty(0), np.empty(0, int), np.empty(0, "U1")
    return table


def _utc(column: Any, name: str) -> Time:
    """Convert a column of times to UTC; times inside a leap second are preserved."""
    from astropy.time import ScaleValueError, Time

    if not isinstance(column, Time):
        masked = np.ma.getmaskarray(column) if isinstance(column, np.ma.MaskedArray) else np.zeros(len(column), bool)
        values = np.asarray(column)
        values = values if values.dtype.kind == "M" else [str(one) for one in values]
        if not masked.any():
            return to_astropy(to_times(values))
        raise TimeError(name, f"row {int(np.argmax(masked))} has no time", "Leave such rows out.")
    try:
        utc = column.utc
    except ScaleValueError as error:
        raise TimeError(name, f"scale {column.scale!r} has no UTC", "Give the Time a scale such as utc.") from error
    utc = utc.replicate(format="isot")
    utc.precision = 9
    return utc


def _column(name: str, column: Any) -> Column:
    from astropy.time import Time

    if isinstance(column, Time):
        hidden = np.broadcast_to(column.mask, column.shape)
        texts = np.asarray(getattr(column.isot, "unmasked", column.isot))
        return Column(name, "time", [None if one else str(text) for text, one in zip(texts, hidden, strict=True)])
    unit = str(getattr(column, "unit", None) or "")
    values = np.ma.asarray(getattr(column, "value", column))
    kind = _KINDS.get(values.dtype.kind)
    if kind is None or values.ndim != 1:
        found = f"it holds {values.dtype} of shape {values.shape[1:]} in each row"
        raise ArgumentError(f"column {name}", found, "Omit it.")
    hidden = np.ma.getmaskarray(values)
    read = {"number": float, "integer": int, "text": str}[kind]
    return Column(
        name, kind, [None if one else read(v) for v, one in zip(np.ma.getdata(values), hidden, strict=True)], unit
    )


def _texts(column: Any) -> np.ndarray:
    """Escape lone surrogates and replace control characters by U+FFFD."""
    hidden = np.ma.getmaskarray(column)
    found = [_clean_text(value) for value in np.ma.getdata(column)]
    texts = np.array(found) if found else np.empty(0, "U1")
    return np.ma.array(texts, mask=hidden) if hidden.any() else texts


def _clean_text(value: Any) -> str:
    text = value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)
    return _NO_TEXT.sub("\ufffd", text.encode("utf-8", "backslashreplace").decode("utf-8"))
