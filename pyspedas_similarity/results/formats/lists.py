"""Lists of intervals as plain text: for pyspedas, IDL, the HPEvent tools and Autoplot."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from .flat import Column, Flat, flatten

if TYPE_CHECKING:
    from astropy.table import QTable

# readcol of the IDL Astronomy Library parts columns at blanks and commas; its comments begin with a semicolon.
_PARTS = re.compile(r"""[\s,;"'\x00-\x1f\x7f]+""")
_NO_TEXT = "-"
_HPEVENT = {"start": "TIME_BEGIN", "end": "TIME_END", "peak": "TIME_PEAK"}
_MEANS = {
    "TIME_BEGIN": "start of the interval, UTC",
    "TIME_END": "end of the interval, UTC",
    "TIME_PEAK": "time of the best sample, UTC",
    "SCORE": "cosine of the best sample to the nearest query",
    "N_SAMPLES": "samples at or above the threshold",
    "SOURCE": "variable or source that was searched",
}


def pyspedas_times(flat: Flat) -> list[list[str]]:
    """A ``[start, end]`` for each interval, as pyspedas writes times."""
    return [
        [start.replace("T", "/"), end.replace("T", "/")] for start, end in zip(flat["start"], flat["end"], strict=True)
    ]


def time_list(table: QTable) -> str:
    """Start and end of each interval in a line, as pyspedas writes times; comments begin with '#'."""
    flat = flatten(table)
    lines = [f"# provenance: {flat.provenance_line()}", "# start end, UTC"]
    return _joined([*lines, *(" ".join(pair) for pair in pyspedas_times(flat))])


def idl(table: QTable) -> str:
    """Columns of fixed width for IDL's ``readcol`` and ``read_ascii``; comments begin with ';'.

    Times are as ``time_double`` of IDL SPEDAS takes them. In text, what parts columns becomes '_'.
    """
    flat = flatten(table)
    columns = [_padded(column) for column in flat.columns]
    heading = [f"; provenance: {flat.provenance_line()}", f"; {' '.join(flat.names)}"]
    return _joined([*heading, *(" ".join(row) for row in zip(*columns, strict=True))])


def hpevent(table: QTable) -> str:
    """The table that the HPEC tools make a Heliophysics Event list (.hpe) of.

    Parted by blanks, without a line of names, each line an event, times like 1995-01-02T02:54:00.0Z: so
    ``make_txt_hpe`` takes it, and asks for the names of the fields, which `hpevent_description` lists.

    Notes
    -----
    HPEC toolkit, Catholic University of America, https://sites.google.com/cua.edu/hpelists/hpec-toolkit.
    """
    flat = flatten(table)
    columns = [_words(column, "T", "Z") for column in flat.columns]
    return _joined([" ".join(row) for row in zip(*columns, strict=True)])


def hpevent_description(table: QTable) -> str:
    """Return the description: name, type and meaning of each field, and the provenance."""
    flat = flatten(table)
    types = {"time": "string", "text": "string", "number": "double", "integer": "long64"}
    lines = ["Events found by similarity to a query (pyspedas-similarity). Fields in the order of the columns:"]
    for column in flat.columns:
        name = hpevent_name(column.name)
        means = _MEANS.get(name, "")
        lines.append("  ".join(part for part in (name, types[column.kind], column.unit, means) if part))
    return _joined([*lines, f"Provenance: {flat.provenance_line()}"])


def hpevent_name(name: str) -> str:
    """The name of a field there."""
    return _HPEVENT.get(name, re.sub(r"[^A-Z0-9_]", "_", name.upper()))


def autoplot(table: QTable) -> str:
    """An events list of Autoplot: start, end, color and label, parted by commas.

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
    return _joined(lines)


def _joined(lines: list[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _words(column: Column, between: str, after: str) -> list[str]:
    """Each value as one word."""
    if column.kind == "time":
        return [_NO_TEXT if one is None else one.replace("T", between) + after for one in column.values]
    if column.kind == "text":
        return [_PARTS.sub("_", one or "") or _NO_TEXT for one in column.values]
    return ["NaN" if one is None or one != one else repr(one) for one in column.values]


def _padded(column: Column) -> list[str]:
    words = _words(column, "/", "")
    width = max(map(len, words), default=0)
    return [word.ljust(width) if column.kind in ("time", "text") else word.rjust(width) for word in words]
