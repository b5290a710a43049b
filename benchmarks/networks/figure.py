"""Figure of the trials: average precision by epoch and by the number of images."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pyspedas_similarity.encoder.fixed import DEFAULT
from pyspedas_similarity.encoder.weights import PREFIX
from pyspedas_similarity.errors import ArgumentError

if TYPE_CHECKING:
    from astropy.table import Table
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TABLES = {"epoch": "curve.ecsv", "images": "networks.ecsv"}
# Okabe & Ito (2008), in addition to markers.
_COLORS = {"vicreg": "#0072B2", "simsiam": "#E69F00", "simclr": "#009E73", "state": "#CC79A7"}
_MARKERS = {"vicreg": "o", "simsiam": "s", "simclr": "D", "state": "^"}
_TRIAL = re.compile(r"(?P<method>[a-z]+)-(?P<backbone>[a-z0-9]+)-(?P<images>\d+)(?:-(?P<epoch>\d+))?")


def plot_trials(folder: Path, axis: str = "epoch", path: Path | None = None) -> Figure:
    """Plot a table of a folder with the output of ``judge``, a panel for each task.

    The axis 'epoch' is for the table of ``judge --curve``, 'images' for that of ``judge``. The figure is written to
    `path`, if given. Raise ArgumentError if the table is missing.
    """
    from astropy.table import Table
    from matplotlib.figure import Figure

    file = folder / TABLES[axis]
    if not file.is_file():
        raise ArgumentError(str(folder), f"there is no {file.name}", "Run judge first, for epochs with --curve.")
    table = Table.read(file, format="ascii.ecsv")
    tasks = list(dict.fromkeys(table["task"]))
    figure = Figure(figsize=(9.6, 3.4), layout="constrained")
    panels = figure.subplots(1, len(tasks), sharey=True, squeeze=False)[0]
    for axes, task in zip(panels, tasks, strict=True):
        _draw(axes, table[table["task"] == task], axis)
        title = "diffusion regions" if task == "foreign" else task
        axes.set(title=title, xlabel="epoch" if axis == "epoch" else "training images", ylim=(0, 1.03))
    panels[0].set_ylabel("mean average precision")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, fontsize=8)
    figure.suptitle("Simulated distributions by other authors")
    if path is not None:
        figure.savefig(path, dpi=120)
    return figure


def curves_of(table: Table, axis: str) -> dict[tuple[str, bool], tuple[np.ndarray, np.ndarray]]:
    """Return values of `axis` and mean precisions over draws of a task, by method and whether next to `DEFAULT`."""
    points: dict[tuple[str, bool], dict[int, list[float]]] = {}
    for row in table:
        joined = row["encoder"].startswith(PREFIX)
        found = _TRIAL.fullmatch(row["encoder"].removeprefix(PREFIX))
        if found and found[axis] and found["backbone"] == "compact":
            name = found["method"] if axis == "images" else f"{found['method']}, {found['images']} images"
            points.setdefault((name, joined), {}).setdefault(int(found[axis]), []).append(float(row["ap"]))
    return {key: _means(values.items()) for key, values in points.items()}


def _means(values: Iterable[tuple[int, list[float]]]) -> tuple[np.ndarray, np.ndarray]:
    pairs = sorted((at, float(np.mean(found))) for at, found in values)
    return np.array([at for at, _ in pairs]), np.array([mean for _, mean in pairs])


def _draw(axes: Axes, table: Table, axis: str) -> None:
    for (name, joined), (at, mean) in sorted(curves_of(table, axis).items()):
        method = name.partition(",")[0]
        label = f"{DEFAULT} and {name}" if joined else name
        style = {"color": _COLORS[method], "marker": _MARKERS[method], "linestyle": "--" if joined else "-"}
        axes.plot(at, mean, label=label, markersize=4, **style)
    for name, style in ((DEFAULT, "-"), ("random_compact", ":")):
        rows = table[table["encoder"] == name]
        if len(rows):
            axes.axhline(np.mean(rows["ap"]), color="black", linestyle=style, label=name)
    if axis == "images":
        sizes = sorted({int(size) for at, _ in curves_of(table, axis).values() for size in at})
        axes.set_xscale("log")
        axes.set_xticks(sizes, [f"{size / 1000:g}k" for size in sizes])
        axes.set_xticks([], minor=True)
    axes.grid(alpha=0.3)
