"""Figure of accuracy against labels per class."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from astropy.table import Table
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe & Ito (2008): distinguishable with all kinds of color vision, in addition to markers and dashes.
_COLORS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#999933")
_MARKERS = "osD^vP*X"
_NOTHING, _TUNED, _SHIFT = "from nothing", ", tuned", 0.06
"""The network trained from nothing is black and dashed; a fine-tuned encoder is dotted, in the color of the original.
Lines are shifted by `_SHIFT` octaves, so that all are visible."""


def plot_label_curves(table: Table, path: str | Path | None = None) -> Figure:
    """Plot accuracy against labels per class from the table of `run`, one panel for each data set.

    Bars are 95 % intervals; a gray level marks chance. The figure is written to `path`, if given.
    """
    from matplotlib.figure import Figure

    datasets = list(dict.fromkeys(table["dataset"]))
    lines = list(dict.fromkeys(table["line"]))
    figure = Figure(figsize=(1.2 + 3.6 * len(datasets), 4.8), layout="constrained")
    panels = figure.subplots(1, len(datasets), squeeze=False)[0]
    for panel, name in zip(panels, datasets, strict=True):
        _draw(panel, table[table["dataset"] == name], lines)
    panels[0].set_ylabel("accuracy, mean over classes")
    handles = {
        label: handle for panel in panels for handle, label in zip(*panel.get_legend_handles_labels(), strict=True)
    }
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=4, fontsize="small")
    if path is not None:
        figure.savefig(path, dpi=110)
    return figure


def _draw(panel: Axes, rows: Table, lines: list[str]) -> None:
    encoders = [name for name in lines if name != _NOTHING and not name.endswith(_TUNED)]
    for number, name in enumerate(lines):
        chosen = rows[rows["line"] == name]
        if not len(chosen):
            continue
        plain = name.removesuffix(_TUNED)
        place = encoders.index(plain) if plain in encoders else 0
        color = "black" if name == _NOTHING else _COLORS[place % len(_COLORS)]
        labels = np.array(chosen["labels"]) * 2.0 ** (_SHIFT * (number - (len(lines) - 1) / 2))
        dashes = "--" if name == _NOTHING else "-" if name == plain else ":"
        style = {"color": color, "linestyle": dashes, "marker": _MARKERS[number % len(_MARKERS)]}
        style |= {} if name == plain else {"markerfacecolor": "white"}
        panel.fill_between(
            labels, chosen["accuracy_low"], chosen["accuracy_high"], color=color, alpha=0.06, linewidth=0
        )
        ends = np.abs(np.stack([chosen["accuracy_low"], chosen["accuracy_high"]]) - np.array(chosen["accuracy"]))
        panel.errorbar(labels, chosen["accuracy"], ends, label=name, markersize=5, elinewidth=0.7, **style)
    panel.axhline(1 / rows["classes"][0], color="0.6", linewidth=1, linestyle=":", label="chance")
    marks = sorted(set(rows["labels"]))
    panel.set_xscale("log")
    panel.set_xticks(marks, [str(each) for each in marks])
    panel.minorticks_off()
    panel.set_xlabel("labels per class")
    panel.set_ylim(0, 1.02)
    panel.grid(color="0.92")
    panel.set_axisbelow(True)
    origin = "simulated" if rows["simulated"][0] else "real data"
    panel.set_title(f"{rows['dataset'][0]} ({origin}, {rows['classes'][0]} classes)", fontsize="medium", loc="left")
