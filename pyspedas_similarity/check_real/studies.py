"""Both studies of Smith et al. 2024 (doi 10.1029/2023JA032096) by the public functions, each with its verdicts."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .. import tplot
from ..functions.archives import add
from ..functions.cameras import frame_quality, load_asi
from ..functions.search import search
from ..results.search_result import SearchResult
from .plans import AuroraPlan, ElectronPlan

_OFFLINE = {"no_update": True}  # what was compared with the record is what is read


@dataclass(frozen=True)
class Verdict:
    """One question of the check.

    Attributes
    ----------
    question : str
    passed : bool
    found : str
        The answer in numbers.
    """

    question: str
    passed: bool
    found: str


def check_electrons(plan: ElectronPlan, folder: Path) -> list[Verdict]:
    """Search the surroundings of all encounters from one of them; write figure and page.

    Parameters
    ----------
    plan : ElectronPlan
    folder : Path
        Of the figure ``electrons.png`` and the page ``electrons.html``.
    """
    with tempfile.TemporaryDirectory() as temporary:
        archive = Path(temporary, "electrons")
        source: dict[str, Any] = {"instrument": "mms_des", "probe": plan.probe, "load_keywords": _OFFLINE}
        for trange in plan.tranges:
            add(archive, trange=trange, thumbnails=True, progress=False, **source)
        found = search(archive=archive, like=plan.query, k=plan.nearest)
        _draw(found, folder, "electrons", "MMS electrons, from the encounter of 2015-10-16 13:07:02")
        return [_nearest_verdict(plan, found), _windows_verdict(plan, found)]


def _nearest_verdict(plan: ElectronPlan, found: SearchResult) -> Verdict:
    """Judge how many of the nearest events are other encounters."""
    near = np.abs(found.peak[:, None] - plan.others) <= plan.tolerance
    lines = [
        f"{_text(time)} is number {int(np.argmax(column)) + 1}"
        for time, column in zip(plan.others, near.T, strict=True)
        if column.any()
    ]
    count = len(lines)
    question = f"Of the {plan.nearest} nearest events, at least {plan.fewest} are other published encounters"
    chance = f"probability for events at random times {plan.chance:.2g}"
    return Verdict(question, count >= plan.fewest, f"{count}: {'; '.join(lines) or 'none'} ({chance})")


def _windows_verdict(plan: ElectronPlan, found: SearchResult) -> Verdict:
    """Judge whether the seconds around the other encounters are more similar to the query than the rest."""
    times = np.concatenate([one.times for one in found.searched])
    scores = np.concatenate([one.scores for one in found.searched])
    window = Window(plan.tolerance, np.timedelta64(0, "ns"), np.max)
    shares = [share_as_similar(times, scores, one, window, plan.times) for one in plan.others]
    rows = [f"{_text(time)}: {share:.3f}" for time, share in zip(plan.others, shares, strict=True)]
    passed = sum(share <= plan.most for share in shares) >= plan.fewest
    question = f"At {plan.fewest} other encounters or more, at most {plan.most:g} of the windows elsewhere, "
    return Verdict(question + f"{2 * plan.tolerance_s:g} s each, have a sample as similar", passed, "; ".join(rows))


def check_aurora(plan: AuroraPlan, folder: Path) -> list[Verdict]:
    """Search an hour of two stations from the most active frame of one of them; write figure and page.

    Parameters
    ----------
    plan : AuroraPlan
    folder : Path
        Of the figure ``aurora.png`` and the page ``aurora.html``.
    """
    with tplot.preserved():
        query = _most_active(plan)
    if query is None:
        return [Verdict(f"{plan.sites[0]} has a usable frame with aurora", False, "none in the hour")]
    name = f"thg_asf_{plan.sites[0]}"
    source: dict[str, Any] = {"instrument": "themis_asi", "probe": list(plan.sites), "load_keywords": _OFFLINE}
    found = search(like=(name, query), looking_for="event", trange=list(plan.trange), progress=False, **source)
    _draw(found, folder, "aurora", f"THEMIS all-sky imagers, from {name} {_text(query)}")
    return [_window_verdict(plan, found, site, query) for site in plan.sites]


def _most_active(plan: AuroraPlan) -> np.datetime64 | None:
    """Return the time of the most active usable frame that is not close to the ends of the hour."""
    name = load_asi(list(plan.trange), plan.sites[0], no_update=True)[0]
    flag, activity = (tplot.read(one) for one in frame_quality(name, errors="raise"))
    inside = (flag.times - flag.times[0] >= plan.near) & (flag.times[-1] - flag.times >= plan.near)
    usable = inside & (flag.values == 0) & (activity.values >= 1)
    if not usable.any():
        return None
    return flag.times[np.where(usable, activity.values, -np.inf).argmax()]


def _window_verdict(plan: AuroraPlan, found: SearchResult, site: str, query: np.datetime64) -> Verdict:
    """Judge whether the minutes around the query are more similar to it than the rest of the hour."""
    own = site == plan.sites[0]
    series = next(one for one in found.searched if one.source == f"thg_asf_{site}")
    apart = plan.apart if own else np.timedelta64(0, "ns")
    share = share_as_similar(series.times, series.scores, query, Window(plan.near, apart, np.mean), query[None])
    where = f"{site}, {plan.near_s:g} s around the query" + (f" but for {plan.apart_s:g} s" if own else "")
    question = f"{where}: at most {plan.most:g} of the other windows of the hour are as similar"
    answer = "too few usable frames" if np.isnan(share) else f"{share:.3f}"
    return Verdict(question, bool(share <= plan.most), answer)


@dataclass(frozen=True)
class Window:
    """Samples around a time, and what is compared of their scores.

    Attributes
    ----------
    near, apart : numpy.timedelta64
        A window holds what is at most `near` and at least `apart` from its center.
    of : callable
        Number of an array of scores.
    """

    near: np.timedelta64
    apart: np.timedelta64
    of: Callable[[np.ndarray], float]

    def value(self, times: np.ndarray, scores: np.ndarray, center: np.datetime64) -> float:
        """Return the number for the window around a time; NaN if fewer than half of its samples have a score."""
        distance = np.abs(times - center)
        inside = scores[(distance <= self.near) & (distance >= self.apart)]
        known = inside[np.isfinite(inside)]
        return float(self.of(known)) if len(known) * 2 >= max(len(inside), 1) else np.nan


def share_as_similar(
    times: np.ndarray, scores: np.ndarray, center: np.datetime64, window: Window, left_out: np.ndarray
) -> float:
    """Return the share of windows that are at least as similar to the query as the one around a time.

    Parameters
    ----------
    times : numpy.ndarray of datetime64[ns], shape (n,)
    scores : numpy.ndarray, shape (n,)
        NaN for samples that are not searched.
    center : numpy.datetime64
    window : Window
    left_out : numpy.ndarray of datetime64[ns], shape (m,)
        Windows that overlap those around these times are not compared.

    Returns
    -------
    float
        Of the windows around each sample that lie within the series; NaN if none of these, or not the one around
        `center`, has enough scores.
    """
    compared = (times - times[0] >= window.near) & (times[-1] - times >= window.near)
    for one in left_out:
        compared &= np.abs(times - one) >= 2 * window.near
    others = np.array([window.value(times, scores, one) for one in times[compared]])
    others, own = others[np.isfinite(others)], window.value(times, scores, center)
    return float((others >= own).mean()) if len(others) and np.isfinite(own) else np.nan


def _text(time: np.datetime64) -> str:
    return str(np.datetime_as_string(time, "s"))


def _draw(found: SearchResult, folder: Path, name: str, title: str) -> None:
    """Write the figure of the matches and the page of a search."""
    if len(found):
        found.plot_matches(folder / f"{name}.png", limit=6, title=title)
    found.report(folder / f"{name}.html", title=title, overwrite=True, map_by="pca")
