"""Series that were searched, and queries, as a result keeps them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from ..encoder.library_view import PACKED, LibraryView
from ..imaging.recipes import PanelRecipe
from ..provenance import own_events
from ..times import Span, to_timedelta64


@dataclass(frozen=True)
class QueryRecord:
    """A query as a result keeps it.

    Attributes
    ----------
    variable : str
        Name of the series that holds it; empty for an array or an image file.
    span : Span or None
        Times of its first and last sample; None for an array or an image file.
    n_samples : int
    label : str
        The query in words.
    file : str
        Image file that it was read from; empty for none.
    about : mapping of str to str
        What the searched frames state of its ``first_row``, ``first_column`` and ``units``; for an image file only.
    """

    variable: str
    span: Span | None
    n_samples: int
    label: str
    file: str = ""
    about: Mapping[str, str] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """The form in which samples were given that are in no variable, in words."""
        return "an image file" if self.file else "an array"

    @classmethod
    def read(cls, record: Mapping[str, Any]) -> QueryRecord:
        """Read the record of a query."""
        span = None
        if "start" in record:
            span = Span(np.datetime64(record["start"], "ns"), np.datetime64(record["end"], "ns"))
        counted, file = int(record["n_samples"]), str(record.get("file", ""))
        return cls(str(record["variable"]), span, counted, str(record["label"]), file, record.get("about", {}))


@dataclass(frozen=True, eq=False)
class SearchedSeries:
    """One series that was searched.

    Attributes
    ----------
    record : mapping
        Provenance and settings, in plain values.
    times : numpy.ndarray of datetime64[ns], shape (n,), or None
        None where the scores are not available, as in a table read from a file.
    scores : numpy.ndarray, shape (n,), or None
        NaN where a sample was not searched or has no embedding.
    variable : str
        Name of the tplot variable with the scores; empty where they are in none.
    store : {'pyspedas', 'pytplot'}
    """

    record: Mapping[str, Any]
    times: np.ndarray | None = None
    scores: np.ndarray | None = None
    variable: str = ""
    store: str = "pyspedas"

    @property
    def source(self) -> str:
        """Name of the variable that was searched."""
        return str(self.record["source"])

    @property
    def name(self) -> str:
        """Name under which queries refer to the series: the source, or source and site."""
        return str(self.record.get("name") or self.source)

    @property
    def place(self) -> str:
        """Probe or site, or an empty string."""
        return next((str(one) for one in (self.record.get("station") or {}).values() if one), "")

    @property
    def is_of_panels(self) -> bool:
        """True for a series of windows of time series and spectrograms."""
        return self.record.get("recipe", {}).get("kind") == PanelRecipe.kind

    @property
    def panel_names(self) -> list[str]:
        """Names of the variables of a series of windows."""
        return [str(one["name"]) for one in self.record.get("panels", ())]

    @cached_property
    def view(self) -> LibraryView | None:
        """The map by which embeddings were compared; None in a result that does not have it."""
        return LibraryView.from_record(self.record.get("view", {}))

    @property
    def has_lost_view(self) -> bool:
        """True for a record out of a table, which names the view of the search but does not hold it."""
        return "view" in self.record and PACKED not in self.record["view"]

    @property
    def queries(self) -> list[QueryRecord]:
        """The queries of the search."""
        return [QueryRecord.read(one) for one in self.record.get("queries", ())]

    @property
    def unlike(self) -> list[QueryRecord]:
        """The examples of what was not looked for."""
        return [QueryRecord.read(one) for one in self.record.get("unlike", ())]

    def own_spans(self, unlike: bool = False) -> list[Span]:
        """Return the times of the queries that lie in this series; with `unlike` of those examples, too."""
        found = [*self.queries, *(self.unlike if unlike else [])]
        return [one.span for one in found if one.span is not None and one.variable == self.name]

    def own_events(self) -> list[Span]:
        """Return the events around the queries in this series, which are no matches."""
        if "own_events" in self.record:
            return [Span(start, end) for start, end in zip(*own_events(self.record), strict=True)]
        # A result of an earlier version, or of `find_nearest`: what was excluded around the queries.
        exclude = to_timedelta64(self.record.get("exclude_s", 0))
        last = exclude + np.timedelta64(1, "ns")  # the end of a span belongs to it, that of an event does not
        return [Span(one.start - exclude, one.end + last) for one in self.own_spans()]
