"""Superposed epochs: what variables do around many times, as median and quartiles.

The method goes by Chree (1913), doi 10.1098/rsta.1913.0003; medians and quartiles are used in place of means since a
few events are often unlike the rest.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ..errors import ArgumentError, VariableError
from ..times import cadence
from ..tplot import Variable, over_lines
from .style import Style, bins_label, color_limits, plain, units_text

if TYPE_CHECKING:
    from astropy.table import QTable
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_BINS = 240
FEWEST = 4
"""Events in a bin from which quartiles are drawn."""

# After Okabe & Ito (2008), distinguishable by all kinds of color vision; the dashes differ as well.
_COLORS = ("#0072B2", "#009E73", "#D55E00", "#000000", "#CC79A7", "#E69F00")
_DASHES = ("-", "--", ":", "-.", (0, (5, 1)), (0, (1, 1)))


@dataclass(frozen=True, eq=False)
class Epoch:
    """One variable around many times.

    Attributes
    ----------
    name, unit : str
    seconds : numpy.ndarray, shape (bins,)
        Middle of each bin of relative time.
    median, lower, upper : numpy.ndarray, shape (bins, components)
        Over the events, quartiles 1 and 3; NaN where no event has a sample. Of a spectrogram, a component is a bin of
        its axis.
    n_events : numpy.ndarray of int, shape (bins,)
        How many events have a finite value there, in any component.
    axis : numpy.ndarray or None
        Of a spectrogram: the place of each component, as its median over time.
    components : tuple of str
    axis_label : str
        Of that axis, with units where they are known.
    """

    name: str
    unit: str
    seconds: np.ndarray
    median: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    n_events: np.ndarray
    axis: np.ndarray | None = None
    components: tuple[str, ...] = ("",)
    axis_label: str = ""

    def table(self) -> QTable:
        """One row for each bin: ``seconds``, ``median``, ``lower``, ``upper``, ``n_events``."""
        from astropy import units
        from astropy.table import QTable

        table = QTable(meta={"name": self.name, "units": self.unit, "components": list(self.components)})
        if self.axis is not None:
            table.meta["axis"] = self.axis.tolist()
        table["seconds"] = self.seconds * units.s
        single = self.axis is None and self.median.shape[1] == 1
        for key in ("median", "lower", "upper"):
            table[key] = getattr(self, key)[:, 0] if single else getattr(self, key)
        table["n_events"] = self.n_events
        return table


@dataclass(frozen=True, eq=False)
class SuperposedEpochs:
    """Variables around the same times.

    Attributes
    ----------
    epochs : tuple of Epoch
    centers : numpy.ndarray of datetime64[ns]
        The times around which it is.
    overlapping : int
        How many of their windows share time with the one before: they are not independent of each other.
    figure : matplotlib.figure.Figure
    """

    epochs: tuple[Epoch, ...]
    centers: np.ndarray
    overlapping: int
    figure: Figure = field(repr=False)

    def __getitem__(self, name: str) -> Epoch:
        for one in self.epochs:
            if one.name == name:
                return one
        raise KeyError(name)


def superpose(
    variable: Variable,
    times: np.ndarray,
    window: tuple[np.timedelta64, np.timedelta64],
    step: np.timedelta64 | None = None,
    components: Sequence[str] = (),
) -> Epoch:
    """Return median and quartiles of a variable, a line, lines or a spectrogram with ``v``, around times.

    Of each event the mean of its samples in a bin counts, so that events weigh the same. `window` is the time before
    and after each; `step` the length of a bin, one of which has its middle at the event, by default a cadence of the
    variable or more where that gave too many; `components` are names of lines. VariableError if no event has a sample,
    or the variable is neither lines nor a spectrogram.
    """
    values = _columns(variable)
    before, after = window
    step = _step(variable, before, after, step)
    first, n_bins = -int(before // step), int(before // step) + int(after // step) + 1
    # A sample at the event itself lies in the middle of a bin, so that jitter of the times does not part equal ones.
    begin = times + first * step - step // 2
    rows, events, bins = _members(variable.times, begin, step, n_bins)
    if not len(rows):
        span = f"{variable.times[0]} to {variable.times[-1]}" if len(variable.times) else "nothing"
        found = f"none of {len(times)} events has a sample within its window; it has {span}"
        raise VariableError(variable.name, found, "Load it for the events, or widen before and after.")
    n_kept = int(events.max()) + 1
    quartiles = np.full((3, n_bins, values.shape[1]), np.nan)
    there = np.zeros((n_kept, n_bins), bool)
    for component in range(values.shape[1]):
        each = _event_means(values[rows, component], events * n_bins + bins, n_kept * n_bins).reshape(n_kept, n_bins)
        there |= np.isfinite(each)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "All-NaN slice", RuntimeWarning)  # a bin without any sample is NaN
            quartiles[:, :, component] = np.nanpercentile(each, (25, 50, 75), axis=0)
    seconds = (first + np.arange(n_bins)) * (step / np.timedelta64(1, "s"))
    lower, median, upper = quartiles
    axis = _axis(variable)
    names = ("",)
    if axis is None and values.shape[1] > 1:
        numbers = tuple(f"component {one}" for one in range(values.shape[1]))
        names = tuple(map(str, components)) if len(components) == values.shape[1] else numbers
    label = bins_label(variable, "v", "")
    return Epoch(variable.name, variable.units, seconds, median, lower, upper, there.sum(axis=0), axis, names, label)


def overlapping(times: np.ndarray, before: np.timedelta64, after: np.timedelta64) -> int:
    """Return the number of windows around times that overlap the previous one."""
    return int((np.diff(np.sort(times)) < before + after).sum())


def epochs_figure(epochs: Sequence[Epoch], n_times: int, shared: int = 0, style: Style | None = None) -> Figure:
    """Draw median and quartiles against relative time, one panel each, and how many events there are.

    `shared` is the number of overlapping windows.
    """
    from matplotlib.figure import Figure

    style = style or Style()
    figure = Figure(figsize=style.size(7.2, 1.1 + 1.9 * len(epochs) + 0.9), layout="constrained")
    ratios = [2.4] * len(epochs) + [1.0]
    panels = figure.subplots(len(epochs) + 1, 1, sharex=True, height_ratios=ratios)
    for panel, epoch in zip(panels, epochs, strict=False):
        (_lines if epoch.axis is None else _spectrogram)(panel, epoch, style)
        panel.axvline(0, color=style.match, linewidth=1)
    for number, epoch in enumerate(epochs):
        look = {"color": _COLORS[number % len(_COLORS)], "linestyle": _DASHES[number % len(_DASHES)]}
        panels[-1].step(epoch.seconds, epoch.n_events, where="mid", linewidth=1, label=plain(epoch.name), **look)
    panels[-1].set_ylim(0, 1.1 * max(1, *(int(one.n_events.max()) for one in epochs)))
    panels[-1].yaxis.get_major_locator().set_params(integer=True, nbins=3)
    panels[-1].set_ylabel("events", fontsize="small")
    panels[-1].set_xlabel("time from the best sample of each event (s)")
    if len(epochs) > 1:
        panels[-1].legend(fontsize="xx-small", loc="lower right")
    ends = np.array([_ends(one.seconds) for one in epochs])
    panels[-1].set_xlim(ends[:, 0].min(), ends[:, 1].max())
    figure.suptitle(style.heading(_heading(epochs, n_times, shared)), fontsize="medium")
    return figure


def _heading(epochs: Sequence[Epoch], n_times: int, shared: int) -> str:
    there = max(int(one.n_events.max()) for one in epochs)
    events = f"{there} of {n_times} events" if there < n_times else f"{n_times} event{'s' * (n_times != 1)}"
    drawn = "median and quartiles" if there >= FEWEST else f"median (quartiles need {FEWEST} events)"
    overlaps = f"; {shared} window{'s' * (shared != 1)} overlapping another" if shared else ""
    return f"Superposed epochs of {events}: {drawn}{overlaps}"


def _ends(seconds: np.ndarray) -> tuple[float, float]:
    """Outer edges of the first and the last bin."""
    half = (seconds[1] - seconds[0]) / 2 if len(seconds) > 1 else max(abs(seconds[0]), 0.5)
    return seconds[0] - half, seconds[-1] + half


def _lines(panel: Axes, epoch: Epoch, style: Style) -> None:
    enough = epoch.n_events >= FEWEST
    for number, name in enumerate(epoch.components):
        color = _COLORS[number % len(_COLORS)]
        between = (np.where(enough, part[:, number], np.nan) for part in (epoch.lower, epoch.upper))
        panel.fill_between(epoch.seconds, *between, color=color, alpha=0.25, linewidth=0, step="mid")
        label = plain(name, 24) or "median"
        dashes = _DASHES[number % len(_DASHES)]
        panel.plot(epoch.seconds, epoch.median[:, number], color=color, linestyle=dashes, linewidth=1.4, label=label)
    if len(epoch.components) > 1:
        place = {"loc": "lower right", "bbox_to_anchor": (1.0, 1.0), "frameon": False, "borderpad": 0}
        panel.legend(fontsize="xx-small", ncols=6, **place)
    unit = f"\n({units_text(epoch.unit, 24)})" if epoch.unit else ""
    panel.set_ylabel(f"{over_lines(plain(epoch.name, 64), 20)}{unit}", fontsize="small")
    panel.margins(x=0)


def _spectrogram(panel: Axes, epoch: Epoch, style: Style) -> None:
    from matplotlib.colors import LogNorm, Normalize

    known = epoch.median[np.isfinite(epoch.median)]
    positive = known[known > 0]
    logarithmic = len(positive) > 0.5 * len(known) > 0 and positive.max() > 20 * np.percentile(positive, 2)
    shown = np.where(epoch.median > 0, epoch.median, np.nan) if logarithmic else epoch.median
    low, high = color_limits(positive if logarithmic else known, 2, 99.8)
    panel.set_facecolor("0.85")
    order = np.argsort(epoch.axis, kind="stable")
    mesh = panel.pcolormesh(
        epoch.seconds,
        epoch.axis[order],
        shown[:, order].T,
        norm=(LogNorm if logarithmic else Normalize)(low, high),
        cmap=style.cmap or "viridis",
        shading="nearest",
        rasterized=True,
    )
    bar = panel.figure.colorbar(mesh, ax=panel, pad=0.01)
    bar.set_label(units_text(epoch.unit, 30) or "no unit stored", fontsize="x-small")
    bar.ax.tick_params(labelsize="x-small", which="both")
    if (epoch.axis > 0).all() and epoch.axis.max() > 20 * epoch.axis.min():
        panel.set_yscale("log")
    panel.set_ylabel(f"{over_lines(plain(epoch.name, 64), 20)}\n{epoch.axis_label}".strip(), fontsize="small")


def _columns(variable: Variable) -> np.ndarray:
    values = variable.values
    if values.ndim not in (1, 2) or values.dtype.kind not in "fiub":
        found = f"found {values.dtype} of the shape {values.shape}"
        raise VariableError(variable.name, found, "Give lines or spectrograms: (time) or (time, bins) of numbers.")
    if np.isnat(variable.times).any() or (np.diff(variable.times) < np.timedelta64(0, "ns")).any():
        raise VariableError(variable.name, "its times go back or are missing", "Sort it by time and store it again.")
    return values.reshape(len(values), -1)


def _axis(variable: Variable) -> np.ndarray | None:
    table = variable.coordinates.get("v")
    if variable.values.ndim != 2 or table is None or np.asarray(table).dtype.kind not in "fiu":
        return None
    table = np.asarray(table, float)
    table = table if table.ndim == 1 else np.nanmedian(table, axis=0)
    return table if np.isfinite(table).all() and len(table) == variable.values.shape[1] else None


def _step(
    variable: Variable, before: np.timedelta64, after: np.timedelta64, step: np.timedelta64 | None
) -> np.timedelta64:
    whole = before + after
    if step is None:
        own = cadence(variable.times) if len(variable.times) > 1 else whole
        step = max(own, whole // MOST_BINS, np.timedelta64(1, "ns"))
    if step <= np.timedelta64(0, "ns") or whole // step > 100 * MOST_BINS:
        raise ArgumentError("step", f"found {step}", f"Give a time that parts {whole} into fewer than 24000 bins.")
    return step


def _members(
    samples: np.ndarray, begin: np.ndarray, step: np.timedelta64, n_bins: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return rows of samples in any window, with the number of the event and of the bin of each.

    Events without samples are left out. A sample may be in the windows of several events.
    """
    first = np.searchsorted(samples, begin)
    last = np.searchsorted(samples, begin + n_bins * step)
    there = np.flatnonzero(last > first)
    lengths = (last - first)[there]
    events = np.repeat(np.arange(len(there)), lengths)
    within = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    rows = first[there][events] + within
    bins = ((samples[rows] - begin[there][events]) // step).astype(np.int64)
    return rows, events, bins


def _event_means(values: np.ndarray, cells: np.ndarray, n_cells: int) -> np.ndarray:
    """Mean of the finite values in each cell, NaN where there is none."""
    known = np.isfinite(values)
    counts = np.bincount(cells[known], minlength=n_cells)
    sums = np.bincount(cells[known], values[known].astype(np.float64), minlength=n_cells)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
