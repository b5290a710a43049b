"""The check on measured data: both studies of Smith et al. 2024 (doi 10.1029/2023JA032096) on a short list of files.

What is checked with which limits is in `ElectronPlan` and `AuroraPlan`, with the reasons. The SHA-256 of each file is
recorded at first use and compared afterwards.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from . import tplot
from .errors import ArgumentError, LoadError
from .files import check_place, replace_whole, write_whole
from .functions.archives import add
from .functions.cameras import frame_quality, load_asi
from .functions.search import search
from .instruments import mms_fpi, themis_asi
from .instruments.segments import local_folders
from .provenance import versions
from .results.search_result import SearchResult
from .times import to_datetime64, to_interval

REPORT = "check.md"
RECORD = "check_real_sha256.json"
NEW, SAME, CHANGED = "recorded now", "as recorded", "changed"
_OFFLINE = {"no_update": True}  # what was compared with the record is what is read


@dataclass(frozen=True)
class ElectronPlan:
    """Encounters with electron diffusion regions, and what a search from one of them has to find.

    Times are from the list of Webster et al. 2018 (doi 10.1029/2018JA025245). The query is the encounter of Burch et
    al. 2016 (doi 10.1126/science.aaf2939), with crescents in MMS2 at 13:07:02.160 to .280. The others are of the same
    dayside season; that of 2015-12-08 is the one of Burch and Phan 2016 (doi 10.1002/2016GL069787).

    Times around each encounter that are searched, 4 x 60 s of burst data, are 8,000 distributions, more than the 5,000
    of the paper. Of the `nearest` events, the `fewest` have to be other encounters: two of six, as in the paper (Smith
    et al. 2024, doi 10.1029/2023JA032096). Events at random times would pass with a probability of 0.03 (`chance`).
    `most` is the largest share of the windows elsewhere, as long as those around the encounters, that have a sample as
    similar as the best one of an encounter. With random scores two of three encounters would reach it with a
    probability of 0.03.
    """

    encounters: tuple[str, ...] = (
        "2015-10-16/10:33:30",
        "2015-10-16/13:07:02",
        "2015-12-08/11:20:44",
        "2015-12-14/01:17:40",
    )
    query: str = "2015-10-16/13:07:02.2"
    probe: str = "2"  # the others of a tetrahedron cross within less than a second of it
    around_s: float = 30.0
    tolerance_s: float = 2.0  # the list has whole seconds, for one of four spacecraft
    nearest: int = 6
    fewest: int = 2
    most: float = 0.1

    @property
    def times(self) -> np.ndarray:
        """Times of the encounters, datetime64[ns]."""
        return np.array([to_datetime64(one) for one in self.encounters])

    @property
    def others(self) -> np.ndarray:
        """Times of the encounters that the query is not in."""
        distance = np.abs(self.times - to_datetime64(self.query))
        return self.times[np.arange(len(distance)) != distance.argmin()]

    @property
    def tolerance(self) -> np.timedelta64:
        """Distance in time of a match from an encounter."""
        return _seconds(self.tolerance_s)

    @property
    def tranges(self) -> list[list[str]]:
        """Time ranges that are searched."""
        return [[str(one - _seconds(self.around_s)), str(one + _seconds(self.around_s))] for one in self.times]

    @property
    def chance(self) -> float:
        """Probability that as many of the nearest events are near other encounters, if their times were random."""
        from scipy.stats import binom

        share = self.tolerance_s / self.around_s * len(self.others) / len(self.times)
        return float(binom.sf(self.fewest - 1, self.nearest, share))


@dataclass(frozen=True)
class AuroraPlan:
    """An hour at two neighboring stations, and what a search from one frame has to find.

    Fort Smith and Athabasca are 590 km apart; light at 110 km is seen by both up to a few hundred km from the middle.
    The hour is one of the storm of 17 and 18 March 2015, of the pilot set of THEMISim 0.2, which has the SHA-256 of
    both files.

    The query is at the first of the `sites`. What is nearer in time than `near_s` shows the same structure: three
    minutes, a usual duration of auroral forms. Frames nearer than `apart_s` are left out at the query's station: those
    next to each other differ by noise only. `most` is the largest share of the other windows of the hour, of the same
    length, that are on average as similar to the query as the one around it. By chance, the window at one station would
    be among the most similar tenth in one of ten cases.
    """

    trange: tuple[str, str] = ("2015-03-18/07:00", "2015-03-18/08:00")
    sites: tuple[str, str] = ("fsmi", "atha")
    near_s: float = 180.0
    apart_s: float = 30.0
    most: float = 0.1

    @property
    def near(self) -> np.timedelta64:
        """Half width of the window around the query."""
        return _seconds(self.near_s)

    @property
    def apart(self) -> np.timedelta64:
        """Half width of the part of the window that is left out at the query's station."""
        return _seconds(self.apart_s)


def _seconds(value: float) -> np.timedelta64:
    return np.timedelta64(round(value * 1e9), "ns")


def run(
    out: Path,
    folder: Path | None = None,
    electrons: ElectronPlan | None = None,
    aurora: AuroraPlan | None = None,
    no_update: bool = False,
    say: Callable[[str], None] = print,
) -> bool:
    """Download the pinned files, compare them with the record, run the studies and write a report to the folder `out`.

    Both studies are run as pinned if none is given. The data are, or go, in `folder`, by default the folders of
    pyspedas. `say` takes the lines to print. Return True if every question has the answer that is expected; raise
    LoadError if a file cannot be had, and ArgumentError if `out` or the record of the files cannot be written.
    """
    if electrons is None and aurora is None:
        electrons, aurora = ElectronPlan(), AuroraPlan()
    studies = [name for name, plan in (("electrons", electrons), ("aurora", aurora)) if plan is not None]
    _make(out, studies)
    place = check_place(out / REPORT, (".md",), overwrite=True)
    files: list[CheckedFile] = []
    with local_folders(folder) as (mms, themis):
        # All files first: a server that does not answer is known before anything is computed.
        if electrons is not None:
            say("files of MMS ...")
            files += checked_files(mms, fetch_electrons(electrons, no_update))
        if aurora is not None:
            say("files of THEMIS ...")
            files += checked_files(themis, fetch_aurora(aurora, no_update))
        verdicts = [_files_verdict(files)]
        if electrons is not None:
            say("search among electron distributions ...")
            verdicts += check_electrons(electrons, out)
        if aurora is not None:
            say("search among all-sky frames ...")
            verdicts += check_aurora(aurora, out)
    figures = [name for name in studies if (out / f"{name}.png").exists()]
    write_whole(place, _report(verdicts, files, figures).encode(), overwrite=True)
    for one in verdicts:
        say(f"{_word(one)}: {one.question}: {one.found}")
    say(f"The report is {place}.")
    return all(one.passed for one in verdicts)


def _make(out: Path, studies: Iterable[str]) -> None:
    """Make the folder, without figures of these studies from an earlier check."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name in studies:
            (out / f"{name}.png").unlink(missing_ok=True)
    except OSError as error:
        raise ArgumentError(f"folder {out}", f"it cannot be written ({error})", "Give another --out.") from error


def _files_verdict(files: list[CheckedFile]) -> Verdict:
    """Judge whether the files are those of the first check."""
    changed = [one.name for one in files if one.state == CHANGED]
    found = f"changed: {', '.join(changed)}" if changed else f"{len(files)} files"
    return Verdict("The files are those that were recorded at first use", not changed, found)


def _word(verdict: Verdict) -> str:
    return "passed" if verdict.passed else "FAILED"


def _report(verdicts: list[Verdict], files: list[CheckedFile], figures: list[str]) -> str:
    """Return the report in Markdown."""
    made = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    about = ", ".join(f"{name} {version}" for name, version in versions().items())
    lines = ["# Check on measured data", "", f"{made}; {about}.", ""]
    lines += ["| result | question | found |", "|---|---|---|"]
    lines += [f"| {_word(one)} | {one.question} | {one.found} |" for one in verdicts]
    for name in figures:
        lines += ["", f"## {name}", "", f"![query and matches]({name}.png)"]
        lines += ["", f"[the page of this search]({name}.html)"]
    lines += ["", "## Files", "", "| file | MB | SHA-256 | state |", "|---|---|---|---|"]
    lines += [f"| {one.name} | {one.megabytes:.1f} | {one.sha256} | {one.state} |" for one in files]
    return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class CheckedFile:
    """A file that the check reads: path below the folder of the data, and `NEW`, `SAME` or `CHANGED`."""

    name: str
    sha256: str
    megabytes: float
    state: str


def fetch_electrons(plan: ElectronPlan, no_update: bool = False) -> list[Path]:
    """Download what is missing of distributions, moments and field; return the paths of all, or raise LoadError."""
    options = {"probe": plan.probe, "no_update": no_update}
    return [path for trange in plan.tranges for path in mms_fpi.files("des", trange, **options)]


def fetch_aurora(plan: AuroraPlan, no_update: bool = False) -> list[Path]:
    """Download what is missing of the frames; return the paths of all, or raise LoadError."""
    found = []
    start, end = to_interval(plan.trange)
    hours = int(np.ceil((end - start) / np.timedelta64(1, "h")))
    for site in plan.sites:
        request = themis_asi.Request.read(plan.trange, site, no_update=no_update)
        paths = themis_asi.files(request)
        if len(paths) < hours:
            found_text = f"{len(paths)} of {hours} files are there"
            raise LoadError(str(request), found_text, "Try again later, or with another --folder.")
        found += map(Path, paths)
    return found


def checked_files(root: Path, paths: Iterable[Path]) -> list[CheckedFile]:
    """Compare files with the record in the folder of the data; record those that are new.

    ArgumentError if the record cannot be read or written.
    """
    record = root / RECORD
    known, checked = _read(record), []
    for path in dict.fromkeys(paths):
        name = path.relative_to(root).as_posix()
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        state = NEW if name not in known else SAME if known[name] == digest else CHANGED
        checked.append(CheckedFile(name, digest, path.stat().st_size / 1e6, state))
    new = {one.name: one.sha256 for one in checked if one.state == NEW}
    if new:
        try:
            replace_whole(record, json.dumps(known | new, indent=1, sort_keys=True).encode())
        except OSError as error:
            raise ArgumentError(str(record), f"it cannot be written ({error})", "Give another --folder.") from error
    return checked


def _read(record: Path) -> dict[str, str]:
    if not record.exists():
        return {}
    remedy = "Delete it to record all files anew."
    try:
        known = json.loads(record.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ArgumentError(str(record), f"it cannot be read ({error})", remedy) from error
    if not isinstance(known, dict) or not all(isinstance(one, str) for one in known.values()):
        raise ArgumentError(str(record), "it is no record of files", remedy)
    return known


@dataclass(frozen=True)
class Verdict:
    """One question of the check, with the answer in numbers."""

    question: str
    passed: bool
    found: str


def check_electrons(plan: ElectronPlan, folder: Path) -> list[Verdict]:
    """Search the surroundings of all encounters from one of them; write ``electrons.png`` and ``electrons.html``."""
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
    """Search an hour of two stations from the most active frame of one of them; write ``aurora.png`` and its page."""
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
    """Samples at most `near` and at least `apart` from a time, and the number `of` their scores that is compared."""

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

    Windows around each of the `times` (n,) are compared that lie within the series and do not overlap those around the
    times `left_out`. `scores` (n,) are NaN for samples that are not searched. NaN if no window, or not the one around
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
