"""Content of a report page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...provenance import CALIBRATED

LABELS = {
    "peak": "peak (UTC)",
    "score": "score",
    "duration": "duration (s)",
    "start": "start (UTC)",
    "end": "end (UTC)",
    "n_samples": "samples",
    "p_value": "p-value",
    "share_higher": "share higher",
    "source": "source",
    "probe": "probe",
    "site": "site",
}
"""Columns in the order of the table, the most informative first: a phone shows three of them."""

NUMBERS = ("score", "duration", "n_samples", *CALIBRATED)


@dataclass(frozen=True, eq=False)
class Result:
    """One variable that was searched: its provenance without the intervals, these as columns, and the scores.

    `times` and `scores`, NaN where a sample was not searched, are None where the series of scores is not loaded.
    """

    record: Mapping[str, Any]
    intervals: Mapping[str, Sequence[Any]]
    times: np.ndarray | None = None
    scores: np.ndarray | None = None

    @property
    def source(self) -> str:
        """Name of the variable that was searched."""
        return str(self.record["source"])

    @property
    def name(self) -> str:
        """Name of the variable in queries: that of the source, to which an archive may add the site."""
        return str(self.record.get("name") or self.source)

    def has(self, query: Mapping[str, Any]) -> bool:
        """Return True if a query of the provenance lies in this variable."""
        return str(query.get("label", "")).startswith(self.name + " ")

    @property
    def searched(self) -> int | None:
        """Number of samples with a score."""
        return None if self.scores is None else int(np.isfinite(self.scores).sum())


@dataclass(frozen=True)
class Picture:
    """A small picture: the bytes of a PNG file, and what is to be seen in words."""

    png: bytes
    alt: str
    label: str


@dataclass(frozen=True)
class Card:
    """One place in the gallery: a query, or a match with the number of its row.

    `missing` is the reason why there is no picture; `faint` marks a match that does not stand out.
    """

    title: str
    when: str
    row: int | None = None
    score: str = ""
    pictures: tuple[Picture, ...] = ()
    missing: str = ""
    where: str = ""
    faint: bool = False


@dataclass(frozen=True, eq=False)
class Map:
    """Places of samples (n, 2) on a plane, with kind 'query', 'match' or 'other', text on hovering, row or -1."""

    places: np.ndarray
    kind: Sequence[str]
    text: Sequence[str]
    row: Sequence[int]
    method: str


@dataclass(frozen=True, eq=False)
class Report:
    """Everything on a page; `notes` say what is missing or was left out, under 'gallery', 'plots', 'map'."""

    title: str
    made: str
    results: tuple[Result, ...]
    methods: tuple[str, ...]
    table: Table
    cards: tuple[Card, ...] = ()
    notes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    plots: tuple[Picture, ...] = ()
    map: Map | None = None
    versions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Table:
    """The matches, best first, as text that is the same on the page and in what is exported.

    `owners` are the results of the rows; `faint` are rows that do not stand out of the background.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    owners: tuple[Result, ...]
    faint: tuple[bool, ...] = ()

    def __len__(self) -> int:
        return len(self.rows)

    def column(self, name: str) -> list[str]:
        """The values of one column."""
        place = self.columns.index(name)
        return [row[place] for row in self.rows]


def table_of(results: Sequence[Result]) -> Table:
    """Return the intervals of all results, best first; of equal scores in the order of the results.

    Columns that nothing is known for are left out.
    """
    pairs = [(row, result) for result in results for row in _rows(result)]
    pairs.sort(key=lambda pair: -float(pair[0]["score"]))
    rows = [row for row, _ in pairs]
    optional = {"probe", "site", *CALIBRATED}
    kept = tuple(name for name in LABELS if name not in optional or any(row.get(name) for row in rows))
    texts = tuple(tuple(row.get(name, "") for name in kept) for row in rows)
    faint = tuple(bool(row.get("stands_out")) and float(row["stands_out"]) == 0 for row in rows)
    return Table(kept, texts, tuple(result for _, result in pairs), faint)


def _rows(result: Result) -> list[dict[str, str]]:
    found = result.intervals
    station = result.record.get("station") or {}
    calibration = {key: found[key] for key in CALIBRATED if key in found}
    rows = []
    for number, score in enumerate(found.get("score", ())):
        start, end, peak = (int(found[f"{key}_ns"][number]) for key in ("start", "end", "peak"))
        row = {"start": time_text(start), "end": time_text(end), "peak": time_text(peak)}
        row |= {"score": repr(float(score)), "duration": repr((end - start) / 1e9)}
        row |= {"n_samples": str(int(found["n_samples"][number])), "source": result.source}
        row |= {key: str(value) for key, value in station.items()}
        row |= {key: repr(float(values[number])) for key, values in calibration.items()}
        rows.append(row)
    return rows


def time_text(nanoseconds: int) -> str:
    """ISO 8601 to the nanosecond, UTC."""
    return str(np.datetime64(nanoseconds, "ns"))
