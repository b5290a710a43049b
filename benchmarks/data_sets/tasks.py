"""Tasks of the retrieval benchmark: queries, candidates and right answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from pyspedas_similarity.imaging.recipes import Recipe
from pyspedas_similarity.search.reference import KIND

Rule = Callable[[np.ndarray], np.ndarray]
"""A relation between queries and samples: from rows of queries (k,) to bool (k, n)."""


class DataUnavailable(Exception):
    """A data set is not available; the message gives the reason in one line."""


def data_file(data: Path, name: str) -> Path:
    """Return the path of a real file; raise DataUnavailable if the folder does not have it."""
    path = data / name
    if not path.is_file():
        raise DataUnavailable(f"there is no file {name} in the data folder")
    return path


@dataclass(frozen=True, eq=False)
class Task:
    """Queries of a data set (rows), with their candidates and right answers.

    `labels` is the source of the labels, and why it can be trusted; `relevant` the `Rule` of right answers, candidates
    or not; `allowed` that of candidates, without samples that would be right for a trivial reason (the leak control);
    `leaky` that of candidates without this control, to show its effect. `across_groups` is True if right answers lie in
    other groups than the query, so that it is worth counting whether the first six contain two of them; `list_groups`
    if the table lists every group.
    """

    name: str
    title: str
    labels: str
    queries: np.ndarray
    relevant: Rule
    allowed: Rule
    leaky: Rule
    across_groups: bool = False
    list_groups: bool = False
    looking_for: str = KIND


@dataclass(frozen=True, eq=False)
class DataSet:
    """Samples, their images and tasks.

    `recipe` is for encoders that do not have their own; `draw` returns the images (n, channels, pixels, pixels) of a
    recipe, float32. `group` (n,) are events, nights or stretches of time, which the bootstrap resamples; `following`
    (n,) the row of the next sample of the same series, -1 for none; `library` (n,) the samples that are searched and
    that similarity is relative to, None for all.
    """

    name: str
    title: str
    simulated: bool
    recipe: Recipe
    draw: Callable[[Recipe], np.ndarray]
    group: np.ndarray
    tasks: tuple[Task, ...] = field(default=())
    following: np.ndarray | None = None
    library: np.ndarray | None = None

    def next_of(self, embeddings: np.ndarray) -> np.ndarray:
        """Return the embedding (n, dimension) of the next sample of the same series; NaN where there is none."""
        found = np.full(embeddings.shape, np.nan, np.float32)
        if self.following is not None:
            has = self.following >= 0
            found[has] = embeddings[self.following[has]]
        return found


def next_rows(series: np.ndarray) -> np.ndarray:
    """Return the row of the next sample of the same series, -1 for none; rows of a series follow each other."""
    rows = np.arange(1, len(series) + 1)
    return np.where(np.append(series[1:] == series[:-1], False), rows, -1)


def same_value(values: np.ndarray) -> Rule:
    """Return the rule that query and sample have the same value in `values` (n,)."""
    return lambda rows: values[rows][:, None] == values


def within(times: np.ndarray, limit: np.timedelta64) -> Rule:
    """Return the rule that query and sample are at most `limit` apart in time."""
    return lambda rows: np.abs(times[rows][:, None] - times) <= limit


def not_self(n: int) -> Rule:
    """Return the rule that a sample is not the query itself."""
    return lambda rows: np.arange(n) != rows[:, None]


def all_of(*rules: Rule) -> Rule:
    """Return the rule that all rules hold."""
    return lambda rows: np.logical_and.reduce([rule(rows) for rule in rules])


def negate(rule: Rule) -> Rule:
    """Return the rule that another does not hold."""
    return lambda rows: ~rule(rows)


def flagged(flags: np.ndarray) -> Rule:
    """Return the rule that a sample is flagged in `flags` (n,) bool, for any query."""
    return lambda rows: np.broadcast_to(flags, (len(rows), len(flags)))


def thin(rows: np.ndarray, limit: int) -> np.ndarray:
    """Return at most `limit` of the rows, evenly spaced."""
    if len(rows) <= limit:
        return rows
    return rows[np.linspace(0, len(rows) - 1, limit).round().astype(int)]
