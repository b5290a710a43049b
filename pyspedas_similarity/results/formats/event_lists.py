"""Lists of events as they come: tables, files, pairs of times."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import ArgumentError, TimeError
from ...times import to_astropy, to_spans, to_times

if TYPE_CHECKING:
    from astropy.table import QTable, Table

# Names in use, in the order in which they are looked for; case and underscores do not count.
_STARTS = ("start", "starttime", "timestart", "tstart", "timebegin", "begin", "begintime", "starttimeutc", "startutc")
_ENDS = ("end", "endtime", "timeend", "tend", "stop", "stoptime", "timestop", "endtimeutc", "endutc", "stoputc")
_INSTANTS = ("time", "timeutc", "timetag", "datetime", "date", "epoch", "utc", "peak", "timepeak")
_LABELS = ("label", "event", "tags", "class", "kind", "type", "description", "region", "source", "name")
_FORMATS = {".ecsv": "ascii.ecsv", ".csv": "ascii.csv", ".xml": "votable", ".vot": "votable"}
# A spreadsheet may write a mark of byte order first.
_AS_CSV = {"guess": False, "encoding": "utf-8-sig"}
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}|\d{4}/\d{2}/\d{2}")
_CLOCK = re.compile(r"\d{1,2}:\d{2}(:\d{2}(\.\d*)?)?(Z|[+-]\d{2}:?\d{2})?")
_FORMS = "Give a table with start and end (or time), a file (.ecsv, .csv, .xml, .txt), or a list of [start, end]."


def event_table(events: Any, columns: Sequence[str] | None = None) -> QTable:
    """Read a list of events.

    Parameters
    ----------
    events : astropy Table, pandas DataFrame, path, or what `times.to_spans` reads
        A file may be ECSV, CSV, VOTable, or text with a start and an end (or one time) in a line and '#' or ';' before
        comments. Events of one time are instants.
    columns : sequence of one or two str, optional
        Names of the columns of starts and ends, or of times. By default common names are looked for.

    Returns
    -------
    astropy.table.QTable
        ``start`` and ``end`` (Time, UTC), ``label``, and all other columns, in the order given.

    Raises
    ------
    SimilarityError
        If it cannot be read, has no such columns, or an event ends before it starts.
    """
    if isinstance(events, Path) or (isinstance(events, str) and _is_file(events)):
        return _of_table(table_of_file(Path(events)), str(events), columns)
    if hasattr(events, "colnames"):
        return _of_table(events, "table", columns)
    if hasattr(events, "iloc") and hasattr(events, "columns"):
        from astropy.table import Table

        return _of_table(Table({str(key): events[key].tolist() for key in events.columns}), "table", columns)
    if events is None:
        raise ArgumentError("events", "none are given", _FORMS)
    spans = to_spans(events) if not _is_empty(events) else []
    starts, ends = (np.array([getattr(span, key) for span in spans], "datetime64[ns]") for key in ("start", "end"))
    return _made(starts, ends, np.full(len(spans), "", "U1"))


def _is_file(text: str) -> bool:
    return Path(text).suffix.lower() in (*_FORMATS, ".txt", ".dat") or os.path.isfile(text)


def _is_empty(events: Any) -> bool:
    return (
        isinstance(events, Iterable) and not isinstance(events, str) and hasattr(events, "__len__") and not len(events)
    )


def table_of_file(path: Path) -> Table:
    """The table in a file: ECSV, CSV, VOTable, or text with a start and an end, or one time, in a line.

    Raises
    ------
    ArgumentError
        If it is not there or cannot be read.
    """
    from astropy.table import QTable, Table

    if not path.is_file():
        raise ArgumentError(f"file {path}", "there is no such file", "Check the path.")
    format = _FORMATS.get(path.suffix.lower())
    try:
        if format is None:
            return _from_lines(path)
        kind = QTable if format == "ascii.ecsv" else Table
        return kind.read(path, format=format, **(_AS_CSV if format == "ascii.csv" else {}))
    except (ValueError, OSError, IndexError, KeyError, TypeError) as error:
        raise ArgumentError(f"file {path}", f"not readable ({str(error)[:200]})", _FORMS) from error


def _from_lines(path: Path) -> Table:
    """One or two times in a line, whatever follows them."""
    from astropy.table import Table

    lines = [_words(line) for line in path.read_text(encoding="utf-8").splitlines()]
    rows = [words for words in lines if words and not words[0].startswith(("#", ";"))]
    if not rows:
        return Table({"start": np.empty(0, "U1"), "end": np.empty(0, "U1")})
    pairs = [len(words) > 1 and words[1][:4].isdigit() and "-" in words[1] for words in rows]
    if any(pairs) and not all(pairs):
        odd = " ".join(rows[pairs.index(False)])[:80]
        raise ArgumentError(f"file {path}", f"one time in {odd!r} and two in others", "Give two in each line.")
    return Table({"start": [words[0] for words in rows], "end": [words[int(pairs[0])] for words in rows]})


def _words(line: str) -> list[str]:
    """Return what blanks or commas separate, a date and the clock after it as one time."""
    words: list[str] = []
    for word in line.replace(",", " ").split():
        if words and _CLOCK.fullmatch(word) and _DATE.fullmatch(words[-1]):
            words[-1] += f"T0{word}" if word[1] == ":" else f"T{word}"
        else:
            words.append(word)
    return words


def _of_table(table: Table, subject: str, columns: Sequence[str] | None) -> QTable:
    start, end = _time_columns(table, subject, columns)
    starts = _times(table[start], f"{subject}, column {start}")
    ends = starts if end == start else _times(table[end], f"{subject}, column {end}")
    label = _named(table, _LABELS)
    texts = np.full(len(table), "", "U1") if label is None else _texts(table[label])
    made = _made(starts, ends, texts, subject)
    for name in table.colnames:
        if name not in ("start", "end", "label", start, end):
            made[name] = table[name]
    return made


def _time_columns(table: Table, subject: str, columns: Sequence[str] | None) -> tuple[str, str]:
    found = f"found the columns {', '.join(table.colnames) or 'none'}"
    if columns is not None:
        names = [columns] if isinstance(columns, str) else list(columns)
        missing = [name for name in names if name not in table.colnames]
        if missing or len(names) not in (1, 2):
            raise ArgumentError(subject, f"no columns {names}; {found}", "Give one name or two of them.")
        return names[0], names[-1]
    start, end, instant = (_named(table, names) for names in (_STARTS, _ENDS, _INSTANTS))
    if start is not None and end is not None:
        return start, end
    single = instant if instant is not None else None if end is not None else start
    if single is None:
        remedy = "Name them: columns=['start', 'end'], or the column of one time."
        raise ArgumentError(subject, f"no columns of times that are known by name; {found}", remedy)
    return single, single


def _named(table: Table, names: Sequence[str]) -> str | None:
    there = {name.lower().replace("_", "").replace(" ", ""): name for name in reversed(table.colnames)}
    return next((there[name] for name in names if name in there), None)


def _times(column: Any, subject: str) -> np.ndarray:
    if not hasattr(column, "scale"):
        if np.ma.getmaskarray(np.ma.asarray(column)).any():
            raise TimeError(subject, "a row has no time", "Leave such rows out.")
        column = np.asarray(column)
        column = column if column.dtype.kind == "M" else column.tolist()
    try:
        return to_times(column)
    except TimeError as error:
        raise TimeError(f"{subject}: {error.subject}", error.found, error.remedy) from error


def _texts(column: Any) -> np.ndarray:
    texts = np.array([str(one) for one in np.ma.filled(np.ma.asarray(column).astype(object), "")])
    return texts if len(texts) else np.empty(0, "U1")


def _made(starts: np.ndarray, ends: np.ndarray, labels: np.ndarray, subject: str = "events") -> QTable:
    from astropy.table import QTable

    backward = np.flatnonzero(ends < starts)
    if len(backward):
        row = int(backward[0])
        found = f"row {row} ends at {ends[row]}, before it starts at {starts[row]}"
        raise ArgumentError(subject, found, "Check its times.")
    made = QTable()
    made["start"], made["end"], made["label"] = to_astropy(starts), to_astropy(ends), labels
    return made
