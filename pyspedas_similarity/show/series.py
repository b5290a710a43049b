"""The score against the time series, with seeds and matches marked."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..products import ATTRIBUTE
from ..tplot import Variable
from .overview import Overview, overview

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Of the colour-blind safe palette of Okabe and Ito (2008).
SEED_COLOUR = "#D55E00"
MATCH_COLOUR = "#009E73"


def plot_score(source: Variable, series: Variable, bars: Variable, path: Path, title: str = "") -> Path:
    """Draw what a variable holds above its similarity to the seed.

    Parameters
    ----------
    source : Variable
        The one that was searched.
    series, bars : Variable
        ``X_similarity`` and ``X_similar``.
    path : Path
        Picture to write; its ending says the format.
    title : str

    Returns
    -------
    Path
        Where it was written.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 5.5), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    _draw_overview(upper, source.times, overview(source))
    record = bars.attributes[ATTRIBUTE]
    lower.plot(series.times, series.values, color="black", linewidth=0.8)
    lower.axhline(record["threshold"], color="0.5", linestyle=":", linewidth=1, label="threshold")
    lower.set_ylabel("similarity\n(cosine)")
    for panel in (upper, lower):
        _mark(panel, record)
    lower.set_xlabel("UTC")
    lower.set_xlim(source.times[0], source.times[-1])
    lower.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=3, frameon=False, fontsize="small", borderpad=0)
    upper.set_title(title or source.name, loc="left", fontsize="medium")
    figure.savefig(path, dpi=120)
    return Path(path)


def _draw_overview(panel: Axes, times: np.ndarray, drawn: Overview) -> None:
    from matplotlib.colors import LogNorm

    values = np.asarray(drawn.values, np.float64)
    positive = values[np.isfinite(values) & (values > 0)]
    low, high = np.percentile(positive, (2, 99.5)) if len(positive) else (0.1, 1)
    norm = LogNorm(low, max(high, 2 * low)) if drawn.logarithmic else None
    limits = {} if norm else {"vmin": low, "vmax": high}
    panel.set_facecolor("0.85")  # where nothing was counted
    shown = np.where(values > 0, values, np.nan) if drawn.logarithmic else values
    mesh = panel.pcolormesh(
        times, drawn.bins, shown.T, norm=norm, cmap="viridis", shading="nearest", rasterized=True, **limits
    )
    panel.figure.colorbar(mesh, ax=panel, label=drawn.unit, pad=0.01)
    panel.set_ylabel(drawn.label)
    if drawn.logarithmic:
        panel.set_yscale("log")
    else:
        panel.invert_yaxis()  # row 0 of a frame is its top


def _mark(panel: Axes, record: dict) -> None:
    found = record["intervals"]
    spans = zip(found["start_ns"], found["end_ns"], strict=True)
    for i, (start, end) in enumerate(spans):
        label = "similar" if i == 0 else None
        times = np.array([start, end], "datetime64[ns]")
        panel.axvspan(*times, ymin=0, ymax=0.04, color=MATCH_COLOUR, linewidth=1, label=label)
        panel.axvspan(*times, color=MATCH_COLOUR, alpha=0.18, linewidth=0)
    seeds = [seed for seed in record["seeds"] if "start" in seed and seed["label"].startswith(record["source"] + " ")]
    for i, seed in enumerate(seeds):
        times = np.array([seed["start"], seed["end"]], "datetime64[ns]")
        panel.axvspan(*times, color=SEED_COLOUR, linewidth=1.5, label="seed" if i == 0 else None)
