"""Matches in a simulated pass, compared with its true jets: ``python -m benchmarks.join_simulated``.

The output is ``docs/results_join.txt``. The query is the middle of the first jet; the events are all jets of the
pass, and as many of the best matches are compared with them.
"""

import numpy as np

import pyspedas_similarity as sim
from pyspedas_similarity import tplot
from pyspedas_similarity.results.joins import summary_of
from pyspedas_similarity.simulate import fpi
from pyspedas_similarity.times import sample_ends

COLUMNS = ["status", "start", "end", "score", "event_start", "event_end", "overlap_s"]


def jets(name):
    """Return start and end of each jet of a simulated variable."""
    variable = tplot.read(name)
    is_jet = np.array(variable.attributes["simulated"]["region"]) == "jet"
    first = np.flatnonzero(is_jet & ~np.append(False, is_jet[:-1]))
    last = np.flatnonzero(is_jet & ~np.append(is_jet[1:], False))
    return [list(pair) for pair in zip(variable.times[first], sample_ends(variable.times)[last], strict=True)]


def main():
    name = fpi.load(["2020-01-01 00:00:00", "2020-01-01 00:20:00"], seed=1)[0]
    events = jets(name)
    query = events[0][0] + (events[0][1] - events[0][0]) // 2
    found = sim.find_similar(name, like=query, k=len(events), errors="raise")
    for interval in ("binomial", "bootstrap"):
        joined = sim.join_events(found, events, interval=interval, stretch=60)
        if interval == "binomial":
            joined["score"].info.format = ".3f"
            for column in ("start", "end", "event_start", "event_end"):
                joined[column].precision = 3
            print("\n".join(joined[COLUMNS].pformat(max_lines=-1, max_width=-1, show_unit=False)))
        print(summary_of(joined))


if __name__ == "__main__":
    main()
