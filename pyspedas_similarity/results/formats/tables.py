"""Writers of tables of intervals for astropy, pandas, TOPCAT and spreadsheets."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING

import numpy as np

from .flat import Column, flatten, plain

if TYPE_CHECKING:
    from astropy.table import QTable, Table

# Spreadsheets evaluate cells that begin with these characters as formulas (CWE-1236).
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
_UCD = {"start": "time.start", "end": "time.end", "peak": "time.epoch", "source": "meta.dataset"}
_PANDAS = {"time": "string", "text": "string", "number": "number", "integer": "integer"}


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
