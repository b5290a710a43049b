"""Figure of the trials: average precision by epoch and by the number of images."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.networks.trials import KEPT
from benchmarks.retrieval.encoders import JOIN
from pyspedas_similarity.encoder.fixed import DEFAULT
from pyspedas_similarity.errors import ArgumentError

if TYPE_CHECKING:
    from astropy.table import Table
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TASK = "foreign"
# Okabe & Ito (2008), in addition to markers.
_COLORS = {"vicreg": "#0072B2", "simsiam": "#E69F00", "simclr": "#009E73", "state": "#CC79A7"}
_MARKERS = {"vicreg": "o", "simsiam": "s", "simclr": "D", "state": "^"}
_TRIAL = re.compile(r"(?P<method>[a-z]+)-(?P<backbone>[a-z0-9]+)-(?P<images>\d+)(?:-(?P<epoch>\d+))?")


def plot_trials(folder: Path, path: Path | None = None, task: str = TASK) -> Figure:
    """Plot the tables of a folder with the output of ``judge`` and ``judge --curve``.

    Raises
    ------
    ArgumentError
        A table is missing.
    """
    from astropy.table import Table
    from matplotlib.figure import Figure

    tables = []
    for stem in ("curve", "networks"):
        if not (folder / f"{stem}.ecsv").is_file():
            raise ArgumentError(str(folder), f"there is no {stem}.ecsv", "Run judge and judge --curve first.")
        table = Table.read(folder / f"{stem}.ecsv", format="ascii.ecsv")
        tables.append(table[table["task"] == task])
    figure = Figure(figsize=(9.6, 3.8), layout="constrained")
    by_epoch, by_size = figure.subplots(1, 2, sharey=True)
    _draw(by_epoch, tables[0], "epoch")
    _draw(by_size, tables[1], "images")
    by_epoch.set(xlabel="epoch", ylabel="mean average precision", title=f"{TASK}: diffusion regions (simulated)")
    by_size.set(xlabel="training images (simulated)", xscale="log", title=f"epoch of the {KEPT} precision in training")
    by_epoch.legend(fontsize=8, loc="lower right")
    if path is not None:
        figure.savefig(path, dpi=120)
    return figure


def curves_of(table: Table, axis: str) -> dict[tuple[str, bool], tuple[np.ndarray, np.ndarray]]:
    """Return values of `axis` and mean average precisions over draws, by method and whether next to `DEFAULT`.

    Parameters
    ----------
    table : astropy.table.Table
        Rows of one task.
    axis : {'epoch', 'images'}
    """
    points: dict[tuple[str, bool], dict[int, list[float]]] = {}
    for row in table:
        joined = row["encoder"].startswith(f"{DEFAULT}{JOIN}")
        found = _TRIAL.fullmatch(row["encoder"].removeprefix(f"{DEFAULT}{JOIN}"))
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
        axes.plot(at, mean, label=label, markersize=4, alpha=1 if "6400" in name or axis == "images" else 0.5, **style)
    for name, style in ((DEFAULT, "-"), ("random_compact", ":")):
        rows = table[table["encoder"] == name]
        if len(rows):
            axes.axhline(np.mean(rows["ap"]), color="black", linestyle=style, label=name)
    axes.grid(alpha=0.3)
