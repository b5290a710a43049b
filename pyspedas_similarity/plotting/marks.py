"""Events on a time axis: thousands as few, and those without length to be seen."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

_NARROWEST = 1 / 600
"""Of the axis: about a pixel and a half of a page's width."""


def _none() -> np.ndarray:
    return np.array([], "datetime64[ns]")


@dataclass(frozen=True, eq=False)
class Marks:
    """Marks on a time axis.

    Attributes
    ----------
    start, end : numpy.ndarray of datetime64[ns], shape (n,)
        Of the intervals.
    query_start, query_end : numpy.ndarray of datetime64[ns], shape (m,)
        Of the queries.
    own_start, own_end : numpy.ndarray of datetime64[ns], shape (l,)
        Of the events around the queries.
    threshold : float
        NaN for none.
    faint : numpy.ndarray of bool, shape (n,), or None
        Intervals that do not stand out of the background; None: all do.
    """

    start: np.ndarray = field(default_factory=_none)
    end: np.ndarray = field(default_factory=_none)
    query_start: np.ndarray = field(default_factory=_none)
    query_end: np.ndarray = field(default_factory=_none)
    own_start: np.ndarray = field(default_factory=_none)
    own_end: np.ndarray = field(default_factory=_none)
    threshold: float = np.nan
    faint: np.ndarray | None = None

    def parts(self) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
        """Return starts and ends of the intervals that stand out, and of those that do not."""
        faint = np.zeros(len(self.start), bool) if self.faint is None else self.faint
        return (self.start[~faint], self.end[~faint]), (self.start[faint], self.end[faint])


def drawable(
    starts: np.ndarray, ends: np.ndarray, first: np.datetime64, last: np.datetime64
) -> tuple[np.ndarray, np.ndarray]:
    """Events inside an axis, none narrower than can be seen, those that then touch made one.

    Parameters
    ----------
    starts, ends : numpy.ndarray of datetime64[ns], shape (n,)
    first, last : datetime64[ns]
        Ends of the axis.

    Returns
    -------
    starts, ends : numpy.ndarray of datetime64[ns], shape (m,)
        In order; m is at most the number that can be distinguished.
    """
    inside = (ends >= first) & (starts <= last)
    starts, ends = np.maximum(starts[inside], first), np.minimum(ends[inside], last)
    if not len(starts):
        return starts, ends
    least = np.timedelta64(int((last - first).astype(np.int64) * _NARROWEST), "ns")
    lacking = np.maximum(least - (ends - starts), np.timedelta64(0, "ns"))
    starts, ends = starts - lacking // 2, ends + lacking // 2
    order = np.argsort(starts, kind="stable")
    starts, ends = starts[order], np.maximum.accumulate(ends[order])
    apart = np.append(True, starts[1:] > ends[:-1])
    return starts[apart], ends[np.append(np.flatnonzero(apart)[1:] - 1, len(ends) - 1)]
