"""The main job from end to end, on simulated or on real data: search, table, pictures."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from . import tplot
from .errors import ArgumentError
from .functions.search import search
from .instruments.file_checks import check_cdf, read_npz
from .instruments.registry import INSTRUMENTS
from .tplot import Variable

_SHOCK_FILE = "mms/mms1_fpi_brst_l2_dis-dist_20201119233433_v3.3.0.cdf"
_MOVIE_FILE = "asi/thg_asf_fsmi_20150326_movie.npz"
_SIMULATED_PASS = ("2020-01-01/00:00:00", "2020-01-01/00:05:00")
_SIMULATED_NIGHT = ("2020-01-02/06:00:00", "2020-01-02/06:30:00")


@dataclass(frozen=True)
class Case:
    """One search of the demonstration: `slug` begins the names of its files, `name` is the tplot variable to search."""

    slug: str
    title: str
    name: str
    like: str


def run(folder: Path, data: Path | None = None, seed: int = 0, say: Callable[[str], None] = print) -> list[str]:
    """Search simulated data, or real files in the folder `data`; print tables and write pictures.

    `say` takes the lines to print. Return the slugs of the searches that found something; raise ArgumentError if
    `folder` cannot be written or `data` lacks the files.
    """
    _make_folder(folder)
    with _stage("import pyspedas", say):
        import pyspedas.tplot_tools  # noqa: F401 - so that its time is not counted as loading
    with _stage("simulate" if data is None else "read", say):
        cases = _simulated_cases(seed) if data is None else _real_cases(data)
    found = [case.slug for case in cases if _search(case, folder, say)]
    say(f"{_peak_memory()}Tables and pictures are in {folder}.")
    return found


def _search(case: Case, folder: Path, say: Callable[[str], None]) -> bool:
    say(f"\n{case.title}\n  query: {case.like} in {case.name}")
    with _stage("search", say):
        found = search(case.name, case.like)
    if not len(found):
        say(f"  nothing found: {'; '.join(found.shortfalls)}")
        return False
    for line in found.own_event_lines():
        say(f"  {line}")
    source, table = tplot.read(case.name), found.events
    truth = _truth(source)
    if truth is not None:
        table["truth"] = [truth[row] for row in np.searchsorted(source.times, found.peak)]
    table.write(folder / f"{case.slug}_events.ecsv", format="ascii.ecsv", overwrite=True)
    columns = ["score", "peak", "duration", "stands_out", *(["truth"] if truth is not None else [])]
    say("\n".join(f"  {line}" for line in table[columns][:10].pformat(max_width=-1, show_unit=False)))
    if len(table) > 10:
        say(f"  ... and {len(table) - 10} more")
    with _stage("figures", say):
        found.plot_score(case.name, path=folder / f"{case.slug}_score.png", title=case.title)
        found.plot_matches(folder / f"{case.slug}_matches.png", title=case.title)
    return True


def _simulated_cases(seed: int) -> list[Case]:
    """A simulated pass and a simulated night; each query is the middle of the first episode of its kind."""
    distribution = INSTRUMENTS["simulated_dis"].load(_SIMULATED_PASS, seed=seed)[0]
    frames = INSTRUMENTS["simulated_asi"].load(_SIMULATED_NIGHT, seed=seed)[0]
    wanted = [("jet", distribution), ("magnetosphere", distribution), ("arc", frames), ("streamer", frames)]
    return [
        Case(f"simulated_{kind}", f"Simulated {kind}", name, _middle_of_first(tplot.read(name), kind))
        for kind, name in wanted
    ]


def _real_cases(data: Path) -> list[Case]:
    """The bow shock crossing of MMS1 on 2020-11-19 and the substorm over Fort Smith on 2015-03-26."""
    from pyspedas.tplot_tools import cdf_to_tplot

    for file in (_SHOCK_FILE, _MOVIE_FILE):
        if not (data / file).is_file():
            raise ArgumentError(f"--data {data}", f"there is no file {file}", "Give the folder with the real files.")
    check_cdf(data / _SHOCK_FILE, contents=True)
    shock = "mms1_dis_dist_brst"
    cdf_to_tplot([str(data / _SHOCK_FILE)], varnames=[shock])
    read = read_npz(data / _MOVIE_FILE)
    movie = tplot.write(Variable("thg_asf_fsmi", read["times"], read["frames"]))
    return [
        Case("shock_upstream", "MMS1 2020-11-19: upstream beam", shock, "2020-11-19/23:35:00"),
        Case("shock_ramp", "MMS1 2020-11-19: ramp", shock, "2020-11-19/23:36:12"),
        Case("shock_downstream", "MMS1 2020-11-19: downstream", shock, "2020-11-19/23:36:22"),
        Case("fsmi_arc", "Fort Smith 2015-03-26: growth-phase arc", movie, "2015-03-26/06:08:00"),
        Case("fsmi_streamer", "Fort Smith 2015-03-26: streamer", movie, "2015-03-26/06:24:00"),
    ]


def _truth(variable: Variable) -> list[str] | None:
    """Return the true kind of each sample of a simulated variable."""
    simulated = variable.attributes.get("simulated", {})
    return simulated.get("region") or simulated.get("kind")


def _middle_of_first(variable: Variable, kind: str) -> str:
    is_kind = np.array(_truth(variable)) == kind
    start = int(np.argmax(is_kind))
    after = np.flatnonzero(~is_kind[start:])
    length = int(after[0]) if len(after) else len(is_kind) - start
    return str(variable.times[start + length // 2])


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        found = f"it cannot be written ({error})"
        raise ArgumentError(f"folder {folder}", found, "Give another with --out.") from error


@contextmanager
def _stage(name: str, say: Callable[[str], None]) -> Iterator[None]:
    start = time.perf_counter()
    yield
    say(f"  [{name}: {time.perf_counter() - start:.1f} s]")


def _peak_memory() -> str:
    try:
        import resource
    except ImportError:  # not on Windows
        return ""
    # Linux counts kilobytes, macOS bytes.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)
    return f"Memory at peak: {peak:.0f} MB. "
