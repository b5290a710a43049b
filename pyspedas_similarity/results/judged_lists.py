"""Lists of judged matches as ECSV files: written exactly, read with every row checked."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ArgumentError, TimeError
from ..times import to_datetime64

if TYPE_CHECKING:
    from astropy.table import Table

META = "similarity_review"
VERSION = 1
_ANSWERS = ("", "yes", "no")
NUMBERS = {"number": int, "round": int, "score": float, "n_samples": int}
"""Types of the columns of numbers."""


@dataclass(frozen=True)
class Judged:
    """One match and what was answered.

    Attributes
    ----------
    number : int
        By which it is answered; no other match of the review has it.
    answer : {'', 'yes', 'no'}
    round : int
        Of the search that found it; 0 is the first.
    source : str
        The variable.
    start, end, peak : numpy.datetime64
        In nanoseconds, UTC; `peak` is the best sample, which becomes a like or an unlike.
    score : float
        At that search.
    n_samples : int
    extra : mapping of str
        What else stands in its row of the file.
    """

    number: int
    answer: str
    round: int
    source: str
    start: np.datetime64
    end: np.datetime64
    peak: np.datetime64
    score: float
    n_samples: int
    extra: Mapping[str, str] = field(default_factory=dict)

    def cell(self, name: str) -> Any:
        """Return the value of a column of the file."""
        if name not in COLUMNS:
            return self.extra.get(name, "")
        value = getattr(self, name)
        return str(value) if isinstance(value, np.datetime64) else value


COLUMNS = tuple(one.name for one in fields(Judged) if one.name != "extra")


@dataclass(frozen=True)
class JudgedList:
    """Contents of a file: rows, metadata, and the SHA-256 of its bytes."""

    rows: tuple[Judged, ...]
    about: Mapping[str, Any]
    stamp: str


def read_list(path: str | Path) -> JudgedList:
    """Read what `Review.save` wrote, perhaps changed by hand since; ArgumentError if a row cannot be read."""
    place = Path(path)
    try:
        content = place.read_bytes()
    except OSError as error:
        raise ArgumentError(f"list {place}", f"it cannot be read ({error})", "Give what Review.save wrote.") from error
    table = _table(content, place)
    about = table.meta.get(META)
    if not isinstance(about, Mapping) or about.get("version") != VERSION or not about.get("search"):
        remedy = "Give what Review.save of this release wrote, with its head."
        raise ArgumentError(f"list {place}", "it has no record of a review that is known here", remedy)
    missing = [name for name in COLUMNS if name not in table.colnames]
    if missing:
        found = f"it lacks the columns {', '.join(missing)}; it has {', '.join(table.colnames[:20])}"
        raise ArgumentError(f"list {place}", found, "Put them back; other columns may stay.")
    rows = tuple(_row(table, line, place) for line in range(len(table)))
    _check_numbers(rows, place)
    return JudgedList(rows, about, hashlib.sha256(content).hexdigest())


def _table(content: bytes, place: Path) -> Table:
    from astropy.table import Table

    try:
        return Table.read(content.decode("utf-8"), format="ascii.ecsv")
    # Whatever a damaged file makes of the readers of text, YAML and numbers.
    except Exception as error:
        found = f"it is no ECSV file ({type(error).__name__}: {str(error).strip()[:200]})"
        raise ArgumentError(f"list {place}", found, "Give what Review.save wrote.") from error


def _row(table: Table, line: int, place: Path) -> Judged:
    where = f"list {place}, row {line + 1}"
    values = {name: table[name][line] for name in table.colnames}
    cells = {name: "" if np.ma.is_masked(value) else str(value) for name, value in values.items()}
    answer = cells["answer"].strip().lower()
    if answer not in _ANSWERS:
        raise ArgumentError(where, f"found the answer {answer!r:.80}", "Write yes, no, or nothing.")
    try:
        start, end, peak = (to_datetime64(cells[name]) for name in ("start", "end", "peak"))
    except TimeError as error:
        raise ArgumentError(where, str(error), "Times are UTC, or have an offset such as +02:00.") from error
    if not start <= peak <= end:
        found = f"start {start}, peak {peak} and end {end} are not in this order"
        raise ArgumentError(where, found, "Correct its times.")
    numbers = {}
    for name, kind in NUMBERS.items():
        try:
            numbers[name] = kind(cells[name])
        except ValueError as error:
            raise ArgumentError(where, f"found {name} {cells[name]!r:.80}", "Write a number.") from error
    if not cells["source"]:
        raise ArgumentError(where, "it names no source", "Write the name of the variable.")
    extra = {name: cells[name] for name in table.colnames if name not in COLUMNS}
    times = {"start": start, "end": end, "peak": peak}
    return Judged(answer=answer, source=cells["source"], extra=extra, **times, **numbers)


def _check_numbers(rows: tuple[Judged, ...], place: Path) -> None:
    numbers = [one.number for one in rows]
    double = sorted({one for one in numbers if numbers.count(one) > 1})
    if double:
        found = f"the number {double[0]} stands in more than one row"
        raise ArgumentError(f"list {place}", found, "Give every row a number of its own.")
