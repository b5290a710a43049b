"""The score against the time series, with queries and matches marked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from .overview import Overview

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Of the color-blind safe palette of Okabe and Ito (2008).
QUERY_COLOR = "#D55E00"
MATCH_COLOR = "#009E73"


def score_figure(
    times: np.ndarray,
    scores: np.ndarray,
    record: Mapping[str, Any],
    above: tuple[np.ndarray, Overview] | None = None,
    title: str = "",
) -> Figure:
    """The score against time with queries and intervals, below an overview where there is one.

    Parameters
    ----------
    times : numpy.ndarray of datetime64[ns], shape (n,)
    scores : numpy.ndarray, shape (n,)
    record : mapping
        Provenance, with ``intervals``.
    above : (times, Overview), optional
    title : str
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 5.5 if above else 2.8), layout="constrained")
    panels = figure.subplots(1 + bool(above), 1, sharex=True, height_ratios=(3, 2) if above else (1,), squeeze=False)
    upper, lower = panels[0, 0], panels[-1, 0]
    if above:
        _draw_overview(upper, *above)
    lower.plot(times, scores, color="black", linewidth=0.8)
    if np.isfinite(record.get("threshold", np.nan)):
        lower.axhline(record["threshold"], color="0.5", linestyle=":", linewidth=1, label="threshold")
    lower.set_ylabel("similarity\n(cosine)")
    for panel in panels[:, 0]:
        _mark(panel, record)
    lower.set_xlabel("UTC")
    lower.set_xlim(times[0], times[-1])
    if lower.get_legend_handles_labels()[0]:
        place = {"loc": "lower right", "bbox_to_anchor": (1.0, 1.0), "ncols": 3, "frameon": False, "borderpad": 0}
        lower.legend(fontsize="small", **place)
    upper.set_title(title, loc="left", fontsize="medium")
    return figure


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


def _mark(panel: Axes, record: Mapping[str, Any]) -> None:
    found = record["intervals"]
    starts, ends = (date_numbers(found[key]) for key in ("start_ns", "end_ns"))
    if len(starts):
        # One collection for all: thousands of patches would take seconds to draw.
        spans = np.stack([starts, ends - starts], axis=1)
        foot = {"color": MATCH_COLOR, "linewidth": 1, "label": "similar"}
        panel.broken_barh(spans, (0, 0.04), transform=panel.get_xaxis_transform(), **foot)
        behind = {"color": MATCH_COLOR, "alpha": 0.18, "linewidth": 0}
        panel.broken_barh(spans, (0, 1), transform=panel.get_xaxis_transform(), **behind)
    queries = [
        query for query in record["queries"] if "start" in query and query["label"].startswith(record["source"] + " ")
    ]
    for i, query in enumerate(queries):
        times = np.array([query["start"], query["end"]], "datetime64[ns]")
        panel.axvspan(*times, color=QUERY_COLOR, linewidth=1.5, label="query" if i == 0 else None)


def date_numbers(nanoseconds: Any) -> np.ndarray:
    """Matplotlib's numbers for times, float64, shape (n,)."""
    from matplotlib.dates import date2num

    return date2num(np.asarray(nanoseconds, np.int64).astype("datetime64[ns]"))
