"""What was measured at the queries and matches of a search, read again from the tplot store."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import tplot
from ..archive.archive import Archive
from ..errors import ArgumentError, SimilarityError, VariableError
from ..imaging.recipes import DistributionRecipe, FrameRecipe, Recipe, recipe_from_dict
from ..instruments import frames, sample_images
from ..instruments.companions import find_companions, with_companions
from ..instruments.registry import recipe_of
from ..times import Span, cadence, to_datetime64, to_times
from ..tplot import Variable
from .tables import result_table

if TYPE_CHECKING:
    from astropy.table import QTable

_NO_PEAK = "Give what find_similar returned."
_TIME = r"\d{4}-\d\d-\d\dT[\d:.]+"


@dataclass(frozen=True, eq=False)
class Found:
    """The matches of a search, best first, and what made each.

    Attributes
    ----------
    table : astropy.table.QTable
        As `intervals` gives it.
    records : list of mapping
        The provenance of each result in it.
    """

    table: QTable
    records: list[Mapping[str, Any]]

    @classmethod
    def read(cls, found: Any) -> Found:
        """What names of results, a table of intervals or a file of one hold."""
        table = result_table(found)
        records = table.meta.get("similarity") or []
        return cls(table, [one for one in records if isinstance(one, Mapping)])

    def __len__(self) -> int:
        return len(self.table)

    @property
    def start(self) -> np.ndarray:
        """Of the intervals, datetime64[ns]."""
        return to_times(self.table["start"]) if len(self) else np.array([], "datetime64[ns]")

    @property
    def end(self) -> np.ndarray:
        """Of the intervals, datetime64[ns]."""
        return to_times(self.table["end"]) if len(self) else np.array([], "datetime64[ns]")

    @property
    def peak(self) -> np.ndarray:
        """Times of the best samples, datetime64[ns]; of a table without them, the middles."""
        if len(self) and "peak" in self.table.colnames:
            return to_times(self.table["peak"])
        return self.start + (self.end - self.start) // 2

    @property
    def score(self) -> np.ndarray:
        """Of each, NaN where the table has none."""
        has = "score" in self.table.colnames
        return np.array(self.table["score"], float) if has else np.full(len(self), np.nan)

    @property
    def source(self) -> list[str]:
        """Name of the variable of each."""
        return [str(one) for one in self.table["source"]] if "source" in self.table.colnames else [""] * len(self)

    def place(self, row: int) -> str:
        """Probe or site of a match, or nothing."""
        there = [str(self.table[key][row]) for key in ("probe", "site") if key in self.table.colnames]
        return next((one for one in there if one), "")

    def record(self, row: int) -> Mapping[str, Any]:
        """What made a match.

        Raises
        ------
        ArgumentError
            If the table has lost its provenance.
        """
        of_source = [one for one in self.records if one.get("source") == self.source[row]]
        here = [one for one in of_source if self.place(row) in {"", *_stations(one)}]
        for one in here or of_source:
            return one
        raise ArgumentError("found", "the table does not tell how it was made (meta['similarity'])", _NO_PEAK)

    def row_of(self, match: Any) -> int:
        """The row that a number or a time stands for.

        Raises
        ------
        ArgumentError
            If there is none.
        """
        if isinstance(match, (int, np.integer)) and not isinstance(match, bool):
            if 0 <= match < len(self):
                return int(match)
            raise ArgumentError("match", f"found {match}", f"Give a number from 0 to {len(self) - 1}, or a time.")
        time = to_datetime64(match)
        inside = np.flatnonzero((self.start <= time) & (self.end >= time))
        if not len(inside):
            raise ArgumentError("match", f"no interval holds {time}", "Give a row of the table, or a time in one.")
        return int(inside[0])

    def queries(self) -> list[tuple[str, Span | None, Mapping[str, Any]]]:
        """Variable, time and record of each query, once; an array has no time."""
        found = {}
        for record in self.records:
            for query in record.get("queries", ()):
                found.setdefault(str(query.get("label", "")), (variable_of(query), span_of(query), record))
        return list(found.values())


@dataclass(frozen=True, eq=False)
class Sample:
    """One sample as it was measured, with what its pictures need; None where it is not at hand, and why.

    `kept` is a small picture of it as PNG, where the archive that was searched has one.
    """

    variable: Variable | None
    recipe: Recipe | None
    missing: str = ""
    kept: bytes | None = None


class Originals:
    """Reads samples of loaded variables, one at a time.

    Parameters
    ----------
    names : mapping of str to str, or str, optional
        Under which names the searched variables are loaded now, where others; a single name for a single source.
    """

    def __init__(self, names: Mapping[str, str] | str | None = None) -> None:
        if names is not None and not isinstance(names, (str, Mapping)):
            raise ArgumentError("originals", f"found {names!r:.60}", "Give a name, or {source: name}.")
        self._names = names
        self._opened: dict[str, tuple[Variable, Recipe]] = {}

    def at(self, name: str, time: np.datetime64, record: Mapping[str, Any]) -> Sample:
        """The sample of a variable at a time."""
        try:
            variable, recipe = self.opened(name, record)
            return Sample(self._one(variable, time, recipe), recipe)
        except SimilarityError as error:
            return Sample(None, None, str(error), _kept_picture(name, time, record))

    def times(self, name: str, record: Mapping[str, Any]) -> np.ndarray | None:
        """Of the samples of a variable; None where it is not at hand."""
        try:
            return self.opened(name, record)[0].times
        except SimilarityError:
            return None

    def opened(self, name: str, record: Mapping[str, Any]) -> tuple[Variable, Recipe]:
        """The samples that were searched, and how images are made of them, in axes for which all is there."""
        if name not in self._opened:
            loaded = self._names if isinstance(self._names, str) else (self._names or {}).get(name, name)
            variable = tplot.read(loaded)
            settings = {key: value for key, value in record.get("recipe", {}).items() if key != "hash"}
            recipe = recipe_from_dict(settings) if settings else recipe_of(variable)
            samples = sample_images.as_samples(variable, recipe)
            sample_images.check(samples, recipe)
            if isinstance(recipe, DistributionRecipe) and "field" not in find_companions(variable, {}):
                recipe = recipe.without_field()
            if isinstance(recipe, FrameRecipe):
                samples = frames.prepared(samples, recipe)
            self._opened[name] = samples, recipe
        return self._opened[name]

    @staticmethod
    def _one(variable: Variable, time: np.datetime64, recipe: Recipe) -> Variable:
        if not len(variable.times):
            raise VariableError(variable.name, "it holds no sample", "Load what was searched.")
        near = int(np.argmin(np.abs(variable.times - time)))
        if abs(variable.times[near] - time) > cadence(variable.times):
            raise VariableError(variable.name, f"it has no sample at {time}", "Load what was searched.")
        if not isinstance(recipe, DistributionRecipe):
            return sample_images.select(variable, np.array([near]))
        # Neighbors tell the cadence by which field and velocity are interpolated.
        first = max(near - 2, 0)
        part = sample_images.select(variable, np.arange(first, min(near + 3, len(variable.times))))
        whole = with_companions(part, find_companions(variable, {}), recipe)
        return sample_images.select(whole, np.array([near - first]))


def middle_of(span: Span, times: np.ndarray | None = None) -> np.datetime64:
    """The middle of a query; where times of samples are known, that of the middle sample in it."""
    if times is not None:
        inside = times[(times >= span.start) & (times <= span.end)]
        if len(inside):
            return inside[len(inside) // 2]
    return span.start + (span.end - span.start) // 2


def _kept_picture(name: str, time: np.datetime64, record: Mapping[str, Any]) -> bytes | None:
    """What the archive that was searched kept of a sample; None where there is no such archive or picture."""
    about = record.get("archive")
    if not isinstance(about, Mapping):
        return None
    try:
        index, sites = Archive(about["path"], about["version"]).index(), _stations(record)
        for one in index.series:
            by_source = name == one.source and (not sites or one.site in sites)
            if by_source or name == f"{one.source}_{one.site}":
                row = int(np.searchsorted(one.start, time))
                if row < len(one) and one.start[row] == time:
                    (png,) = index.thumbnails(np.array([one.first + row]))
                    return png if png is not None and png.startswith(b"\x89PNG") else None
    except SimilarityError:
        return None
    return None


def is_score(variable: Variable) -> bool:
    """Whether a variable holds the scores of a search."""
    record = variable.attributes.get("similarity")
    return isinstance(record, Mapping) and "intervals" not in record and variable.values.ndim == 1


def _stations(record: Mapping[str, Any]) -> set[str]:
    return {str(one) for one in (record.get("station") or {}).values()}


def variable_of(query: Mapping[str, Any]) -> str:
    """The name before the time, or the two times, at the end of a query's label; of an array nothing."""
    label = str(query.get("label", ""))
    for ending in (f" {_TIME} to {_TIME}", f" {_TIME}"):
        match = re.fullmatch(f"(.*){ending}", label, re.DOTALL)
        if match:
            return match[1]
    return ""


def span_of(query: Mapping[str, Any]) -> Span | None:
    """The time of a query, as a record of it tells; None for an array."""
    if "start" not in query:
        return None
    return Span(np.datetime64(query["start"], "ns"), np.datetime64(query["end"], "ns"))
