"""What a benchmark asks: for each query, which samples may be found and which of them are right."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from pyspedas_similarity.imaging.recipes import Recipe

Rule = Callable[[np.ndarray], np.ndarray]
"""From rows of queries (k,) to what holds between them and every sample: bool (k, n)."""


class LeftOut(Exception):
    """A data set cannot be had here; says why, in one line."""


def file_in(data: Path, name: str) -> Path:
    """The path of a real file; LeftOut where the folder does not have it."""
    path = data / name
    if not path.is_file():
        raise LeftOut(f"there is no file {name} in the data folder")
    return path


@dataclass(frozen=True, eq=False)
class Task:
    """One question to a data set.

    Attributes
    ----------
    name : str
        Short: it begins a line of the table.
    title : str
        What is asked, in one line.
    labels : str
        What says that an answer is right, and why that can be defended.
    queries : numpy.ndarray of int, shape (m,)
        Rows of the data set.
    relevant : callable
        `Rule`: which samples are right answers, whether they may be found or not.
    allowed : callable
        `Rule`: which samples may be found. The leak control is here: nothing that is right for a trivial reason.
    leaky : callable
        `Rule`: the same without the leak control, to show what it is worth.
    across_groups : bool
        Whether right answers lie in other groups than the query, so that those of two groups among the first six are
        worth counting.
    """

    name: str
    title: str
    labels: str
    queries: np.ndarray
    relevant: Rule
    allowed: Rule
    leaky: Rule
    across_groups: bool = False


@dataclass(frozen=True, eq=False)
class DataSet:
    """Samples, how they become images, and what is asked of them.

    Attributes
    ----------
    name, title : str
    simulated : bool
    recipe : Recipe
        For encoders that bring none of their own.
    draw : callable
        From a recipe to the images of all samples, (n, channels, pixels, pixels) float32.
    group : numpy.ndarray, shape (n,)
        Event, night or stretch of time of each sample: what the bootstrap draws.
    tasks : tuple of Task
    """

    name: str
    title: str
    simulated: bool
    recipe: Recipe
    draw: Callable[[Recipe], np.ndarray]
    group: np.ndarray
    tasks: tuple[Task, ...] = field(default=())


def same(values: np.ndarray) -> Rule:
    """The rule that query and sample agree in one of `values` (n,)."""
    return lambda rows: values[rows][:, None] == values


def within(times: np.ndarray, most: np.timedelta64) -> Rule:
    """The rule that query and sample are at most that far apart in time."""
    return lambda rows: np.abs(times[rows][:, None] - times) <= most


def others(n: int) -> Rule:
    """The rule that a sample is not the query itself."""
    return lambda rows: np.arange(n) != rows[:, None]


def both(*rules: Rule) -> Rule:
    """The rule that all of them hold."""
    return lambda rows: np.logical_and.reduce([rule(rows) for rule in rules])


def neither(rule: Rule) -> Rule:
    """The rule that another does not hold."""
    return lambda rows: ~rule(rows)


def marked(flags: np.ndarray) -> Rule:
    """The rule that a sample is marked, whatever the query: `flags` (n,) bool."""
    return lambda rows: np.broadcast_to(flags, (len(rows), len(flags)))


def spread(rows: np.ndarray, most: int) -> np.ndarray:
    """At most so many of the rows, evenly spread."""
    if len(rows) <= most:
        return rows
    return rows[np.linspace(0, len(rows) - 1, most).round().astype(int)]
