"""Content of a report page, and the paragraphs of its methods section, whose numbers are all of the provenance."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...imaging.recipes import PanelRecipe
from ...provenance import CALIBRATED, METHOD

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
# Trailing zeros of a time of day.
_ZEROS = re.compile(r"(\d\d:\d\d:\d\d)(\.\d*?)0+(?!\d)")
# From this number on, variables that were searched with the same settings share one paragraph.
_MANY = 3
SOFTWARE = "pyspedas-similarity developers, pyspedas-similarity"


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


def methods_text(results: Sequence[Result], versions: Mapping[str, str]) -> tuple[str, ...]:
    """Return paragraphs for a methods section on how the events were found, by software of these versions."""
    if not results:
        return ("No interval was found, and no record of a search was given.",)
    record = results[0].record
    first = " ".join((_what(record, versions), _score(record)))
    software = ", ".join(f"{name} {version}" for name, version in versions.items())
    return tuple(tidy(one) for one in (first, *_paragraphs(results), f"Software: {software}."))


def tidy(text: str) -> str:
    """Times without the zeros at their ends."""
    return _ZEROS.sub(lambda found: found[1] + found[2].rstrip("."), text)


def citation(versions: Mapping[str, str]) -> tuple[str, ...]:
    """Return the citations of the method and of this software."""
    return METHOD, f"{SOFTWARE}, version {versions.get('pyspedas-similarity', 'unknown')}"


def _what(record: Mapping[str, Any], versions: Mapping[str, str]) -> str:
    version = versions.get("pyspedas-similarity", "of unknown version")
    method = METHOD.partition(",")[0]
    return (
        f"Events that resemble {_queries(record.get('queries', ()))} were searched for with pyspedas-similarity "
        f"{version}, by the method of {method}."
    )


def _queries(queries: Sequence[Mapping[str, Any]]) -> str:
    if not queries:
        return "a query that is not recorded"
    if len(queries) == 1:
        return f"the query {_query(queries[0])}"
    parts = [_query(one) for one in queries[:3]]
    if len(queries) > 3:
        parts.append(f"{len(queries) - 3} more")
    return f"{len(queries)} queries: {'; '.join(parts[:-1])} and {parts[-1]}"


def _query(query: Mapping[str, Any]) -> str:
    label = str(query.get("label", ""))
    n = query.get("n_samples", 1)
    if "file" in query:
        return f"the image file {label}"
    if "start" not in query:
        return "an array given by the user"
    return f"{label} UTC" + (f" (mean of {n} samples)" if n != 1 else "")


def _score(record: Mapping[str, Any]) -> str:
    many = len(record.get("queries", ())) > 1
    query = "the nearest query" if many else "the query"
    is_panel = record.get("recipe", {}).get("kind") == PanelRecipe.kind
    text = _windows(record, query) if is_panel else _images(record, query)
    unlike = len(record.get("unlike", ()))
    if unlike:
        text += f", lowered by the difference where it is nearer to one of {count(unlike, 'unlike example')}"
    return f"{text}.{_relative(record)}"


def _images(record: Mapping[str, Any], query: str) -> str:
    recipe, encoder = record.get("recipe", {}), record.get("encoder", {})
    return (
        f"Every sample was made into an image by a fixed recipe for {recipe.get('kind', 'unknown')} images (hash "
        f"{recipe.get('hash', 'unknown')}) and into an embedding by the encoder '{encoder.get('name', 'unknown')}' "
        f"({encoder.get('method', 'unknown')}; hash {encoder.get('hash', 'unknown')}). "
        f"The score of a sample is the cosine between its embedding and that of {query}"
    )


def _windows(record: Mapping[str, Any], query: str) -> str:
    recipe = record["recipe"]
    names = ", ".join(str(one["name"]) for one in record.get("panels", ()))
    length, stride = recipe.get("length_s"), record.get("stride_s")
    long = f"Windows of {length:g} s" if length is not None else "Windows as long as the query"
    every = f", one every {stride:g} s," if stride is not None else ""
    return (
        f"{long}{every} of {names} were compared by curve, level and fluctuations (recipe hash "
        f"{recipe.get('hash', 'unknown')}). The score of a window is its similarity to {query}"
    )


def _relative(record: Mapping[str, Any]) -> str:
    """Return what similarity is relative to; nothing for a record that does not say."""
    rule = record.get("view", {}).get("rule")
    if rule == "none":
        return " The score is not relative to a library."
    where = "a reference archive" if "relative_to" in record else "the searched library"
    common = f" It is relative to {where}: what its samples have in common was subtracted before the comparison."
    return common if rule is not None else ""


def _paragraphs(results: Sequence[Result]) -> Iterator[str]:
    """One paragraph for each variable, or one for all that were searched by the same rules, if these are many."""
    groups: dict[tuple[str, str], list[Result]] = {}
    for result in results:
        groups.setdefault((_archive(result.record), _rules(result.record)), []).append(result)
    for group in groups.values():
        if len(group) < _MANY:
            yield from map(_searched, group)
        else:
            yield _all_searched(group)


def _all_searched(results: Sequence[Result]) -> str:
    record = results[0].record
    each = "; ".join(f"{result.source}, {_samples(result)}" for result in results)
    scores = [score for result in results for score in result.intervals.get("score", ())]
    text = f"{len(results)} variables were searched{_archive(record)}: {each}. {_rules(record)}"
    if not scores:
        return f"{text} No interval was found."
    with_some = sum(len(result.intervals.get("score", ())) > 0 for result in results)
    found = f"{count(len(scores), 'interval')} in {count(with_some, 'variable')}"
    return f"{text} This gave {found}, {_scores_of(results)}."


def _scores_of(results: Sequence[Result]) -> str:
    """Return the range of the scores, and how many stand out of the background, where that is known."""
    scores = [score for result in results for score in result.intervals.get("score", ())]
    text = f"with scores from {min(scores):.4f} to {max(scores):.4f}"
    known = [bool(one) for result in results for one in result.intervals.get("stands_out", ())]
    if len(known) < len(scores):
        return text
    number = sum(known)
    if len(known) == 1:
        return f"{text}; it {'stands' if number else 'does not stand'} out of the background"
    which = "none" if number == 0 else "all" if number == len(known) else str(number)
    return f"{text}; {which} of them {'stands' if number < 2 else 'stand'} out of the background"


def _archive(record: Mapping[str, Any]) -> str:
    if "archive" not in record:
        return ""
    return f" in version {record['archive'].get('version', 'unknown')} of an archive"


def _searched(result: Result) -> str:
    record, found = result.record, result.intervals.get("score", ())
    text = f"In {result.source}, {_samples(result)} were searched{_archive(record)}. {_rules(record)}"
    if len(found):
        return f"{text} This gave {count(len(found), 'interval')}, {_scores_of([result])}."
    return f"{text} No interval was found."


def _samples(result: Result) -> str:
    n = result.searched
    if n is None:
        return "samples whose number is not recorded"
    if not len(result.times):
        return "0 samples"
    return f"{count(n, 'sample')} from {result.times[0]} to {result.times[-1]} UTC"


def _rules(record: Mapping[str, Any]) -> str:
    exclude, threshold = record.get("exclude_s"), record.get("threshold")
    text = ""
    if record.get("own_events") and record.get("exclude") == "auto":
        text += "The event that holds a query, down to where the score falls to the background, was left out. "
    elif exclude is not None:
        text += f"Samples within {exclude:g} s of a query were left out. "
    text += "An event is a peak of the score, as far as the score stays above half of its height above the median."
    if threshold is not None and not math.isfinite(threshold):
        text += " No score stands out of the background."
    elif threshold is not None and record.get("threshold_by") == "background":
        text += f" Scores from {threshold:.4f} on stand out of the background."
    elif threshold is not None:
        text += f" Events with a score of at least {threshold:.4f} were taken."
    if record.get("k") is not None:
        text += f" At most the best {count(record['k'], 'interval')} were kept."
    calibrated = record.get("fdr")
    if calibrated:
        text += (
            f" The threshold keeps the false discovery rate among the intervals at {calibrated['fdr']:g} (Benjamini "
            f"and Hochberg), judged by {count(calibrated['n_stretches'], 'stretch', 'stretches')} of background."
        )
    gate = record.get("gate")
    if gate and gate.get("usable_only"):
        text += f" Frames that are not usable were left out ({gate.get('frames', '')})."
    return text


def count(n: int, one: str, more: str | None = None) -> str:
    """A number with its noun."""
    return f"{n:,} {one if n == 1 else more or one + 's'}"
