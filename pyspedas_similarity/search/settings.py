"""Settings by which scores become events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import ArgumentError
from ..times import to_timedelta64
from .reference import KIND, QUESTIONS

DEFAULT_K = 10
"""Number of events where neither a number nor a threshold is asked for."""


@dataclass(frozen=True)
class SearchSettings:
    """Settings by which scores become events.

    Attributes
    ----------
    k : int or None
        Number of events of a series, the best ones; None: `DEFAULT_K`, or all where there is a threshold.
    threshold : float, 'auto' or None
        Score that the peak of an event reaches; 'auto': see `scoring.ScoreScale.threshold`; None: none is required.
    exclude : numpy.timedelta64 or None
        Samples this close to a query are not reported; None: those of the query's own event.
    fdr : float or None
        False discovery rate, in place of a threshold.
    active_only : bool
        Report only active camera frames.
    looking_for : {'kind', 'event'}
        See `reference.QUESTIONS`.
    """

    k: int | None = None
    threshold: float | str | None = None
    exclude: np.timedelta64 | None = None
    fdr: float | None = None
    active_only: bool = False
    looking_for: str = KIND

    @classmethod
    def checked(
        cls, k: Any, threshold: Any, exclude: Any, fdr: Any, active_only: bool = False, looking_for: Any = KIND
    ) -> SearchSettings:
        """Check the arguments of a search.

        Raises
        ------
        ArgumentError
            If one of them is out of range, or a threshold and a false discovery rate are both given.
        """
        if k is not None:
            check_count("k", k)
        if not is_auto(threshold):
            check_threshold(threshold, ", 'auto'")
        if fdr is not None and not (_is_number(fdr) and 0 < fdr < 1):
            raise ArgumentError("fdr", f"found {fdr!r}", "Give a share between 0 and 1, such as 0.05, or None.")
        if fdr is not None and threshold is not None:
            raise ArgumentError("fdr", "given with a threshold", "Give one of them.")
        if not isinstance(looking_for, str) or looking_for not in QUESTIONS:
            raise ArgumentError("looking_for", f"found {looking_for!r:.60}", f"Give one of {', '.join(QUESTIONS)}.")
        return cls(k, threshold, check_exclude(exclude), fdr, active_only, looking_for)

    @property
    def threshold_by(self) -> str:
        """Origin of the threshold: 'caller', 'fdr', or 'background' where none is required."""
        if self.fdr is not None:
            return "fdr"
        return "background" if self.threshold is None or is_auto(self.threshold) else "caller"


def check_count(name: str, value: Any) -> None:
    """Raise ArgumentError unless a value is a whole number from 1."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise ArgumentError(name, f"found {value!r:.60}", "Give a whole number, 1 or more.")


def check_threshold(threshold: Any, others: str = "") -> None:
    """Raise ArgumentError unless a threshold is a cosine or None; the message also names what else a caller takes."""
    if threshold is not None and not (_is_number(threshold) and -1 <= threshold <= 1):
        raise ArgumentError("threshold", f"found {threshold!r}", f"Give a cosine from -1 to 1{others}, or None.")


def check_exclude(exclude: Any) -> np.timedelta64 | None:
    """Return `exclude` as a duration, None for 'auto'; ArgumentError if it is neither."""
    return None if is_auto(exclude) else to_timedelta64(exclude, "exclude")


def is_auto(value: Any) -> bool:
    """Return True for the word 'auto'."""
    return isinstance(value, str) and value == "auto"


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
