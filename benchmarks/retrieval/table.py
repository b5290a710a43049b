"""Table of the retrieval benchmark: printed, and as text, CSV and ECSV."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.data_sets.tasks import DataSet, Task
from benchmarks.retrieval.measures import MEASURES
from pyspedas_similarity.errors import ArgumentError

if TYPE_CHECKING:
    from astropy.table import Table

    from benchmarks.retrieval.plan import Plan

STEM = "bench"
HEADLINE = "ap"
"""Measure that is also shown for the other ways to compare."""

_WIDTH = 118
_COUNTS = {"rank", "gain@10"}


def prepare_folder(folder: Path, stem: str = STEM) -> None:
    """Make the folder and check that it can be written, before hours of work depend on it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{stem}.txt").touch()
    except OSError as error:
        raise ArgumentError(
            f"--out {folder}", f"it cannot be written ({error.strerror})", "Give another folder."
        ) from error


def heading(plan: Plan) -> str:
    """Return the description of the columns."""
    form = "quick form: small simulated sets" if plan.quick else "full form"
    text = (
        f"Retrieval benchmark, {form}. Parentheses: 95 % intervals from a bootstrap over groups (events, nights, "
        "passes, stretches of time) and seeds; the queries of a group are resampled together. p@k: precision among "
        "the first k. ap: average precision. r@k: recall. median rank: rank of the first right answer. gain@10: p@10 "
        "divided by the share of right candidates. two@6: share of queries with right answers from two groups among "
        "the first six samples; two@6e: among the first six groups, each with its nearest sample only. All of these "
        "compare relative to the data set, as a search does by default. ap, plain: plain cosine; ap, leaky: without "
        "the leak control; ap, other: looking for the event where the task asks for the kind, or the reverse. over "
        "best: difference in ap to the best other encoder that needs no training, paired by query. "
        "kB: size of the encoder's files, 0 for a formula. Times depend on the machine."
    )
    return textwrap.fill(text, _WIDTH) + "\n"


def print_task(data: DataSet, task: Task, rows: Sequence[dict[str, Any]], say: Callable[[str], None]) -> None:
    """Print the description of one task, and a line for each encoder."""
    controlled = [row for row in rows if row["compared"] == "relative"]
    if not controlled:
        say(f"{data.name}/{task.name}: no query has a right answer\n")
        return
    by_way = {(row["encoder"], row["compared"]): row for row in rows}
    others = ("plain", "leaky", "other question")
    first = controlled[0]
    origin = "SIMULATED" if data.simulated else "real data"
    title = task.name if task.name == data.name else f"{data.name}/{task.name}"
    say(f"{title} [{origin}] {data.title}")
    about = f"{task.title}. Looking for the {task.looking_for}. Labels: {task.labels}."
    say(textwrap.fill(about, _WIDTH, initial_indent="  ", subsequent_indent="  "))
    say(
        f"  {first['queries']} queries of {first['groups']} groups, {first['candidates']:.0f} candidates on average, "
        f"{first['base']:.4f} of them right"
    )
    shown = [key for key in MEASURES if np.isfinite(first[key])]
    heads = "".join(f"{_head(key):18s}" for key in shown)
    costs = f"{'ms/image':>9s}{'dim':>6s}{'kB':>8s}{'seeds':>6s}"
    extra = "".join(f"{HEADLINE + ', ' + one.split()[0]:18s}" for one in others)
    say(f"  {'encoder':26s}{heads}{extra}{'over best':36s}{costs}")
    for row in controlled:
        cells = "".join(f"{_cell(row, key):18s}" for key in shown)
        extra = "".join(f"{_cell(by_way[row['encoder'], one], HEADLINE):18s}" for one in others)
        costs = f"{row['ms_per_image']:9.2f}{row['dimension']:6d}{row['kilobytes']:8.0f}{row['seeds']:6d}"
        say(f"  {row['encoder']:26s}{cells}{extra}{_over(row):36s}{costs}")
    if task.list_groups:
        say("  ap of each group:")
        for row in controlled:
            indent = " " * 28
            say(textwrap.fill(f"  {row['encoder']:26s}{row['ap_by_group']}", _WIDTH, subsequent_indent=indent))
    say("")


def print_means(rows: Sequence[dict[str, Any]], say: Callable[[str], None]) -> None:
    """Print the mean, lowest and highest average precision of each encoder over draws of one data set."""
    draws = sorted({row["dataset"] for row in rows})
    if len(draws) < 2:
        return
    for task in dict.fromkeys(row["task"] for row in rows):
        say(f"{task}: mean ap of {len(draws)} data sets (lowest-highest), relative and plain")
        for encoder in dict.fromkeys(row["encoder"] for row in rows):
            cells = []
            for compared in ("relative", "plain"):
                keys = (task, encoder, compared)
                found = [row[HEADLINE] for row in rows if (row["task"], row["encoder"], row["compared"]) == keys]
                cells.append(f"{np.mean(found):.3f} ({min(found):.2f}-{max(found):.2f})")
            say(f"  {encoder:26s}{cells[0]:22s}{cells[1]}")
    say("")


def _over(row: dict[str, Any]) -> str:
    """Return the lead of the row over the best baseline, and the name of that."""
    if not row["best_baseline"]:
        return ""
    bounds = "" if np.isnan(row["lead_low"]) else f" ({row['lead_low']:+.3f} to {row['lead_high']:+.3f})"
    return f"{row['lead']:+.3f}{bounds} {row['best_baseline']}"


def _head(key: str) -> str:
    return {"rank": "median rank", "ap": "mean ap"}.get(key, key)


def _cell(row: dict[str, Any], key: str) -> str:
    value, low, high = (_number(row[name], key) for name in (key, f"{key}_low", f"{key}_high"))
    return value if np.isnan(row[f"{key}_low"]) else f"{value} ({low}-{high})"


def _number(value: float, key: str) -> str:
    if key in _COUNTS:
        return f"{value:.1f}" if value < 10 else f"{value:.0f}"
    return f"{value:.2f}"


def write(rows: Sequence[dict[str, Any]], lines: Sequence[str], plan: Plan, folder: Path, stem: str = STEM) -> Table:
    """Write the text, and the table as CSV and ECSV; return the table."""
    from astropy.table import Table

    (folder / f"{stem}.txt").write_text("\n".join(lines) + "\n")
    table = Table(list(rows)) if rows else Table()
    settings = {key: str(value) if isinstance(value, Path) else value for key, value in asdict(plan).items()}
    table.meta["plan"] = {key: list(value) if isinstance(value, tuple) else value for key, value in settings.items()}
    if rows:
        for ending, form in (("ecsv", "ascii.ecsv"), ("csv", "ascii.csv")):
            table.write(folder / f"{stem}.{ending}", format=form, overwrite=True)
    return table
