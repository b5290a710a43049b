"""Draw every kind of figure of the package from simulated data.

    python -m benchmarks.gallery_pictures FOLDER [--only NAME ...]

Small ones are those of docs/images; numbers in the documentation are printed. All data are simulated.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
import numpy as np

mpl.use("Agg")

import pyspedas

import pyspedas_similarity as sim
from pyspedas_similarity.simulate import allsky, fpi, panels

PASS = ["2020-01-01/00:00:00", "2020-01-01/00:10:00"]
SITE = ["2020-01-01/00:00:00", "2020-01-01/00:00:20"]
NIGHT = ["2020-01-02/06:00:00", "2020-01-02/06:40:00"]


def middle_of_first(name: str, kind: str, key: str = "region") -> np.datetime64:
    """Return the middle of the first stay in a state, from the simulated truth."""
    state = np.array(pyspedas.get_data(name, metadata=True)["simulated"][key]) == kind
    first = int(np.argmax(state))
    after = np.flatnonzero(~state[first:])
    length = int(after[0]) if len(after) else len(state) - first
    return pyspedas.get_data(name, dt=True).times[first + length // 2]


def ions(folder: Path) -> None:
    """Draw jets in a pass along the magnetopause."""
    names = fpi.load(trange=PASS, seed=3)
    found = sim.find_similar(names[0], like=middle_of_first(names[0], "jet"), k=12, errors="raise")
    title = "Simulated ions: a jet and its matches"
    sim.plot_matches(found, folder / "matches_ions.png", title=title, errors="raise")
    sim.plot_matches(found, folder / "matches_ions_encoded.png", limit=3, encoded=True, errors="raise")
    above = ["simulated1_dis_energyspectr_omni_brst", "simulated1_dis_bulkv_dbcs_brst", names[0]]
    above = [one for one in above if one in pyspedas.tplot_names(quiet=True)]
    sim.plot_score(found, above, path=folder / "score_ions.png", title="Simulated ions", errors="raise")
    shown = ["simulated1_dis_numberdensity_brst", "simulated1_dis_bulkv_dbcs_brst", above[0]]
    shown = [one for one in shown if one in pyspedas.tplot_names(quiet=True)]
    made = sim.superposed_epochs(
        found, shown, before=10, after=10, path=folder / "simulated_epochs.png", dpi=90, errors="raise"
    )
    print(f"epochs: {len(made.centers)} events, {made.overlapping} windows overlap")
    drove = sim.what_drove(found, path=folder / "drove_ions.png", errors="raise")
    print(f"drove: score {drove.score:.3f}, strongest at {drove.strongest}, fall {np.nanmax(drove.change):.3f}")


def tour(folder: Path) -> None:
    """Draw the search of docs/tour.rst: all jets of five minutes."""
    names = fpi.load(trange=["2020-01-01/00:00:00", "2020-01-01/00:05:00"], seed=1)
    region = np.array(pyspedas.get_data(names[0], metadata=True)["simulated"]["region"])
    times, jets = pyspedas.get_data(names[0], dt=True).times, runs(region == "jet")
    longest = max(jets, key=len)
    query = times[longest[len(longest) // 2]]
    found = sim.find_similar(names[0], like=query, threshold="auto", errors="raise")
    table = sim.intervals(found)
    start, end = (table[key].to_value("datetime64") for key in ("start", "end"))
    hit = sum(bool(((start <= times[run[-1]]) & (end >= times[run[0]])).any()) for run in jets)
    print(f"tour: {len(table)} events overlap {hit} of {len(jets)} jets, one of which is the query")
    look = {"title": "Simulated ions: a jet and its matches", "figsize": (8.0, 5.4), "dpi": 110}
    above = ["simulated1_dis_energyspectr_omni_brst", "simulated1_dis_bulkv_dbcs_brst"]
    sim.plot_score(found, above, path=folder / "simulated_jet_score.png", errors="raise", **look)
    sim.plot_matches(found, folder / "simulated_matches_ions.png", title=look["title"], dpi=110, errors="raise")


def several_panels(folder: Path) -> None:
    """Draw the search of docs/examples/case_panels.py: current sheets by five variables."""
    made = panels.simulate_panels(np.datetime64("2020-01-01"), 86400.0, seed=0)
    names, sheets = panels.store(made), made.of_kind("current_sheet")
    recipe = sim.recipes.PanelRecipe(vectors="any_orientation", durations=(0.5, 1, 2))
    found = sim.search(names, like=[str(time) for time in sheets[3]], together=True, recipe=recipe)
    right = sum(
        bool(((sheets[:, 0] < end) & (sheets[:, 1] > start)).any())
        for start, end in zip(found.start, found.end, strict=True)
    )
    print(f"panels: {right} of {len(found)} events are current sheets; there are {len(sheets) - 1} besides the query")
    look = {"title": "Simulated current sheets: a query and its matches", "dpi": 100}
    found.plot_matches(folder / "simulated_panels_matches.png", limit=5, figsize=(9.5, 5.4), **look)
    range_shown = ["2020-01-01/00:00", "2020-01-01/08:00"]
    found.plot_score(trange=range_shown, path=folder / "simulated_panels_score.png", figsize=(9.0, 8.5), **look)


def electrons(folder: Path) -> None:
    """Draw crescents at a reconnection site, in the axes of the field."""
    names = fpi.load_electrons(trange=SITE, seed=2)
    kinds = sorted(set(pyspedas.get_data(names[0], metadata=True)["simulated"]["region"]))
    print("electron states:", ", ".join(kinds))
    kind = next((one for one in kinds if "crescent" in one or "diffusion" in one), kinds[0])
    found = sim.find_similar(names[0], like=middle_of_first(names[0], kind), k=5, exclude=0.3, errors="raise")
    sim.plot_matches(found, folder / "matches_electrons.png", title=f"Simulated electrons: {kind}", errors="raise")
    sim.what_drove(found, path=folder / "drove_electrons.png", errors="raise")


def cameras(folder: Path) -> None:
    """Draw a streamer in a night above one camera."""
    names = allsky.load(NIGHT, seed=0)
    query = middle_of_first(names[0], "streamer", "kind")
    found = sim.find_similar(names[0], like=query, k=3, errors="raise")
    kinds = np.array(pyspedas.get_data(names[0], metadata=True)["simulated"]["kind"])
    peaks = sim.intervals(found)["peak"].to_value("datetime64")
    print(f"streamer: {kinds[np.searchsorted(pyspedas.get_data(names[0], dt=True).times, peaks)]}")
    path = folder / "simulated_matches_frames.png"
    sim.plot_matches(found, path, title="Simulated frames: a streamer and its matches", dpi=110, errors="raise")
    path = folder / "simulated_keogram_score.png"
    sim.plot_keogram(found, path, title="Simulated night, query: a streamer", dpi=110, errors="raise")
    sim.what_drove(found, path=folder / "drove_frames.png", errors="raise")


def archive(folder: Path) -> None:
    """Draw an archive of a pass."""
    with tempfile.TemporaryDirectory() as place:
        kept = sim.open_archive(place)
        names = fpi.load(trange=PASS, seed=3)
        sim.add(kept, names[0])
        jet = middle_of_first(names[0], "jet")
        region = np.array(pyspedas.get_data(names[0], metadata=True)["simulated"]["region"])
        times = pyspedas.get_data(names[0], dt=True).times
        events = [[times[run[0]], times[run[-1]]] for run in runs(region == "jet")]
        found = sim.find_similar(archive=kept, like=jet, k=8, errors="raise")
        for color in ("time", "score", "source"):
            path = folder / ("simulated_archive_map.png" if color == "time" else f"archive_map_{color}.png")
            sim.plot_archive_map(kept, found, events=events, color=color, path=path, limit=3000, dpi=85, errors="raise")


def runs(inside: np.ndarray) -> list[np.ndarray]:
    """Return the rows of each stretch that is inside."""
    rows = np.flatnonzero(inside)
    return np.split(rows, np.flatnonzero(np.diff(rows) > 1) + 1) if len(rows) else []


PARTS: dict[str, Callable[[Path], None]] = {
    "tour": tour,
    "panels": several_panels,
    "ions": ions,
    "electrons": electrons,
    "cameras": cameras,
    "archive": archive,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", nargs="+", default=list(PARTS), choices=PARTS)
    chosen = parser.parse_args()
    chosen.folder.mkdir(parents=True, exist_ok=True)
    for name in chosen.only:
        began = time.perf_counter()
        PARTS[name](chosen.folder)
        print(f"{name}: {time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
