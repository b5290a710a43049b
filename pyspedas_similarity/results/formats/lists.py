"""Writers of lists of intervals as text: for pyspedas, IDL, the HPEvent tools and Autoplot."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from .flat import Column, Flat, flatten

if TYPE_CHECKING:
    from astropy.table import QTable

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


def pyspedas_times(flat: Flat) -> list[list[str]]:
    """Return ``[start, end]`` of each interval, with times in the format of pyspedas."""
    return [
        [start.replace("T", "/"), end.replace("T", "/")] for start, end in zip(flat["start"], flat["end"], strict=True)
    ]


def time_list(table: QTable) -> str:
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
