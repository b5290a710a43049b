"""Printed table of the label benchmark."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.data_sets.labeled import LabeledSet

if TYPE_CHECKING:
    from benchmarks.retrieval.plan import Plan

_WIDTH = 118


def heading(plan: Plan) -> str:
    """Return the description of the columns."""
    form = "quick form: small sets, few draws" if plan.quick else "full form"
    text = (
        f"Accuracy against labels per class, {form}. Labels come from half of the groups (events, passes, nights), "
        "the test uses the other half; accuracy is the mean over classes. Parentheses: 95 % intervals from a "
        "bootstrap over groups and draws of labels. 'less pixels' and 'less nothing': difference to the linear "
        "classifier on pixels and to the network from nothing, at the largest number of labels, paired by labels, "
        "groups and draws. A line is a linear classifier on the embeddings of an encoder, as in classify; 'tuned': "
        "the same after fine-tuning its backbone; 'from nothing': a compact network with random weights, trained on "
        "the labels alone. calibration error: mean difference of the probability of a prediction and the share of "
        "right ones, in the test. s: processor time in seconds of a training with the most labels; it depends on the "
        "machine."
    )
    return textwrap.fill(text, _WIDTH) + "\n"


def print_set(data: LabeledSet, rows: Sequence[dict[str, Any]], say: Callable[[str], None]) -> None:
    """Print the description of a data set, and a line for each encoder and network."""
    origin = "SIMULATED" if data.simulated else "real data"
    say(f"{data.name} [{origin}] {data.title}")
    classes, counts = np.unique(data.label, return_counts=True)
    named = ", ".join(f"{each} {count}" for each, count in zip(classes, counts, strict=True))
    _wrapped(f"Labels: {data.truth}. Samples: {named}.", say)
    first = rows[0]
    fewest = {row["labels"]: row["fewest"] for row in rows if row["fewest"] < row["labels"]}
    lacking = "".join(f" At {most} labels, a class may have only {least}." for most, least in fewest.items())
    _wrapped(
        f"{first['groups']} groups, {first['draws']} draws of labels; chance is {1 / first['classes']:.2f}.{lacking}",
        say,
    )
    labels = sorted({row["labels"] for row in rows})
    heads = "".join(f"{each:<18d}" for each in labels)
    say(f"  {'labels per class':26s}{heads}{'less pixels':22s}{'less nothing':22s}{'s':>6s}")
    for name in dict.fromkeys(row["line"] for row in rows):
        found = {row["labels"]: row for row in rows if row["line"] == name}
        cells = "".join(f"{_cell(found[each]) if each in found else '':18s}" for each in labels)
        last = found[max(found)]
        differences = "".join(f"{_difference(last, key):22s}" for key in ("less_pixels", "less_nothing"))
        say(f"  {name:26s}{cells}{differences}{last['seconds']:6.1f}")
    say("  calibration error")
    for name in dict.fromkeys(row["line"] for row in rows if np.isfinite(row["calibration"])):
        found = {row["labels"]: row["calibration"] for row in rows if row["line"] == name}
        say(f"    {name:24s}" + "".join(f"{found[each]:<18.2f}" for each in labels).rstrip())
    say("")


def _wrapped(text: str, say: Callable[[str], None]) -> None:
    say(textwrap.fill(text, _WIDTH, initial_indent="  ", subsequent_indent="  "))


def _cell(row: dict[str, Any]) -> str:
    return f"{row['accuracy']:.2f} ({row['accuracy_low']:.2f}-{row['accuracy_high']:.2f})"


def _difference(row: dict[str, Any], key: str) -> str:
    if np.isnan(row[key]):
        return ""
    return f"{row[key]:+.2f} ({row[f'{key}_low']:+.2f} {row[f'{key}_high']:+.2f})"
