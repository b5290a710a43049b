"""The plots of a page, as PNG: score against time, and how the scores are spread."""

from __future__ import annotations

from contextlib import suppress
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np

from ...errors import SimilarityError
from ...imaging.recipes import Recipe
from ...provenance import own_events
from ...tplot import Variable
from ..marks import Marks
from ..overview import overview
from ..series import Strip, strips_figure
from ..style import MATCH_COLOR
from .content import Picture, Result
from .wording import count

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_BINS = 80
_DPI = 110
_ENDS = ("start_ns", "end_ns")


def score_plot(result: Result, source: Variable | None, recipe: Recipe | None = None) -> Picture:
    """The score against time with the events, below what was measured where that can be shown.

    Parameters
    ----------
    result : Result
        With times and scores.
    source : Variable or None
        As loaded.
    recipe : Recipe, optional
        Of the search.
    """
    above = None
    if source is not None:
        # What has no overview, such as lines, is shown by its score alone.
        with suppress(SimilarityError):
            above = overview(source, recipe)
    times = result.times if source is None else source.times
    figure = strips_figure([Strip(result.source, times, above, result.times, result.scores, _marks(result))])
    found = count(len(result.intervals["score"]), "interval")
    alt = f"Score of {result.source} against time, from {result.times[0]} to {result.times[-1]} UTC; {found} marked."
    return Picture(png(figure), alt, f"{result.source}: score against time; query orange, matches green.")


def _marks(result: Result) -> Marks:
    starts, ends = (np.asarray(result.intervals[key], np.int64).astype("datetime64[ns]") for key in _ENDS)
    spans = [(one["start"], one["end"]) for one in result.record["queries"] if "start" in one and result.has(one)]
    queries = np.array(spans, "datetime64[ns]").reshape(-1, 2)
    faint = ~np.array(result.intervals["stands_out"], bool) if "stands_out" in result.intervals else None
    threshold = float(result.record.get("threshold", np.nan))
    return Marks(starts, ends, *queries.T, *own_events(result.record), threshold, faint)


def histogram(result: Result) -> Picture:
    """Draw the histogram of scores with the threshold and the peaks of the matches."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 2.6), layout="constrained")
    panel = figure.subplots()
    known = result.scores[np.isfinite(result.scores)]
    panel.hist(known, bins=_BINS, color="0.55", label="all samples")
    panel.set_yscale("symlog", linthresh=1)  # with a place for 0
    panel.set_ylim(0, None)
    panel.yaxis.set_major_formatter("{x:g}")
    panel.set_xlabel("score (similarity)")
    panel.set_ylabel("samples")
    threshold = result.record.get("threshold", np.nan)
    if np.isfinite(threshold):
        panel.axvline(threshold, color="black", linestyle=":", label="threshold")
    found = np.asarray(result.intervals["score"], float)
    if len(found):
        style = {"color": MATCH_COLOR, "marker": "v", "linestyle": "none", "markersize": 7, "clip_on": False}
        panel.plot(found, np.full(len(found), 0.97), transform=panel.get_xaxis_transform(), label="matches", **style)
    place = {"loc": "lower right", "bbox_to_anchor": (1.0, 1.0), "ncols": 3, "frameon": False, "borderpad": 0}
    panel.legend(fontsize="small", **place)
    middle = float(np.median(known))
    alt = f"Histogram of {count(len(known), 'score')} of {result.source}, from {known.min():.3f} to {known.max():.3f}"
    return Picture(png(figure), f"{alt}, median {middle:.3f}.", f"{result.source}: how the scores are spread.")


def png(figure: Figure) -> bytes:
    """A figure as the bytes of a file, in few colors: it is drawn in few."""
    from PIL import Image

    file, small = BytesIO(), BytesIO()
    figure.savefig(file, format="png", dpi=_DPI)
    Image.open(file).convert("RGB").quantize(256).save(small, "PNG", optimize=True)
    return small.getvalue()
