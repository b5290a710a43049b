"""The first search on the two real files, ten queries each: ``python -m benchmarks.first_search``.

Prints the own event of each query and its ten best events, and draws the scores. For the substorm over Fort Smith it
also prints the kind of the episode that a peak lies in (labeled by eye, see ``benchmarks/data_sets/sky.py``), for the
bow shock the density and speed of the ions at the peak, so that it can be judged what was found. The queries are evenly
spread over each file.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np

import pyspedas_similarity as sim
from benchmarks.data_sets.sky import EPISODES, MOVIE_FILE, episodes_at
from pyspedas_similarity import tplot
from pyspedas_similarity.imaging.plasma import moments
from pyspedas_similarity.instruments.file_checks import read_npz
from pyspedas_similarity.instruments.registry import INSTRUMENTS
from pyspedas_similarity.instruments.sample_images import measured, select
from pyspedas_similarity.plotting.series import date_axis
from pyspedas_similarity.plotting.style import MATCH_COLOR, QUERY_COLOR
from pyspedas_similarity.results.search_result import SearchResult
from pyspedas_similarity.times import nearest_rows

SHOCK_FILE = "mms/mms1_fpi_brst_l2_dis-dist_20201119233433_v3.3.0.cdf"
N_QUERIES = 10


def main() -> None:
    """Run the searches and print their tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with the real files")
    parser.add_argument("--figure", type=Path, help="draw the scores in this file")
    chosen = parser.parse_args()
    logging.disable(logging.WARNING)
    shock, movie = load_shock(chosen.data), load_movie(chosen.data)
    searches = {
        "Bow shock, MMS1 ions, 2020-11-19": print_searches("Bow shock, MMS1 ions, 2020-11-19", shock, ions_at),
        "Fort Smith, 2015-03-26": print_searches("Substorm over Fort Smith, 2015-03-26", movie, kind_at),
    }
    if chosen.figure is not None:
        draw(searches, chosen.figure)


def load_shock(data: Path) -> str:
    """Load the ion distributions of the bow shock; return the name of the variable."""
    from pyspedas.tplot_tools import cdf_to_tplot

    return cdf_to_tplot([str(data / SHOCK_FILE)], varnames=["mms1_dis_dist_brst"])[0]


def load_movie(data: Path) -> str:
    """Load the frames of Fort Smith; return the name of the variable."""
    movie = read_npz(data / MOVIE_FILE)
    tplot.write(tplot.Variable("thg_asf_fsmi", movie["times"], movie["frames"]))
    return "thg_asf_fsmi"


def ions_at(time: np.datetime64) -> str:
    """Return density and speed of the ions of the sample at a time, from their distribution."""
    series = tplot.read("mms1_dis_dist_brst")
    row = nearest_rows(series.times, np.array([time]))
    found = moments(measured(select(series, row), INSTRUMENTS["mms_dis"].recipe))
    return f"{found.density[0]:.0f} cm^-3, {np.linalg.norm(found.velocity[0]):.0f} km/s"


def kind_at(time: np.datetime64) -> str:
    """Return the kind of the labeled episode at a time."""
    number = int(episodes_at(np.array([time]))[0])
    return EPISODES[number][0] if number >= 0 else "not labeled"


def print_searches(title: str, name: str, describe: Callable[[np.datetime64], str]) -> list[SearchResult]:
    """Print one search for each query; return them."""
    times = tplot.read(name).times
    print(f"\n{title}: {len(times)} samples, {times[0]} to {times[-1]}")
    found = []
    for row in ((np.arange(N_QUERIES) + 0.5) * len(times) / N_QUERIES).astype(int):
        found.append(sim.search(name, like=times[row], progress=False))
        print_search(found[-1], times[row], describe)
    return found


def print_search(found: SearchResult, query: np.datetime64, describe: Callable[[np.datetime64], str]) -> None:
    """Print the own event and the table of one search."""
    own = "; ".join(f"{row['start'].isot[11:22]} to {row['end'].isot[11:22]}" for row in found.own_events)
    print(f"\nquery {str(query)[11:22]} ({describe(query)}); own event {own}")
    print("  score  peak         seconds  deviations  stands out  at the peak")
    for event, peak in zip(found.events, found.peak, strict=True):
        numbers = (
            f"{event['score']:7.3f}  {str(peak)[11:22]}  {event['duration'].value:7.2f}  {event['deviations']:10.1f}"
        )
        print(f"{numbers}  {'yes' if event['stands_out'] else 'no':10s}  {describe(peak)}")


def draw(searches: dict[str, list[SearchResult]], path: Path) -> None:
    """Draw the scores of all searches: own events orange, events that stand out green, others light green."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 14), layout="constrained")
    panels = figure.subplots(N_QUERIES, len(searches), sharex="col", sharey=True)
    for column, (title, results) in zip(panels.T, searches.items(), strict=True):
        column[0].set_title(title)
        for panel, found in zip(column, results, strict=True):
            series = found.searched[0]
            panel.plot(series.times, series.scores, color="black", linewidth=0.7)
            for event, start, end in zip(found.events, found.start, found.end, strict=True):
                panel.axvspan(start, end, color=MATCH_COLOR, alpha=0.5 if event["stands_out"] else 0.15, linewidth=0)
            for span in series.own_events():
                panel.axvspan(span.start, span.end, color=QUERY_COLOR, alpha=0.3, linewidth=0)
            panel.axhline(series.record["threshold"], color="0.5", linestyle=":", linewidth=1)
            panel.set_ylim(-1.05, 1.05)
        date_axis(column[-1])
    figure.supylabel("similarity to the query in the orange event")
    figure.savefig(path, dpi=90)


if __name__ == "__main__":
    main()
