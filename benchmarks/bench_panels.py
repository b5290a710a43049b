"""Search of windows of time series and spectrograms, compared with stumpy, aeon, DTW (tslearn) and PCA.

    python -m benchmarks.bench_panels [--data FOLDER] [--year] [--tables NAME ...]

Average precision on simulated panels and, with the folder of real files, on sibling spacecraft and on windows of six
regions; seconds and memory of a search. Methods and measures: docs/benchmarks/panels.rst. stumpy, aeon and tslearn are
needed for this benchmark only; what is not installed is left out with a message.
"""

from __future__ import annotations

import argparse
import logging
import os
import time
import warnings
from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.data_sets.tasks import DataUnavailable
from benchmarks.data_sets.windows import REGIONS
from benchmarks.panels import regions, speed
from benchmarks.panels.cases import QUERIES, read_crossings, sibling_cases, simulated_cases
from benchmarks.panels.measures import Events, average_precision, hits, without
from benchmarks.panels.methods import OTHERS, OURS, Case, Method
from benchmarks.retrieval.measures import measure_queries
from benchmarks.timing import in_one_thread

SEEDS = (50, 51, 52)
"""Of the simulated days; features and weights were chosen on seeds below 50."""

SPECTRA = ("ours", "ours, shape", "MASS, channels", "Euclidean", "PCA", "DTW")
"""Methods that differ where one spectrogram is searched for an event of the same duration."""


IN_A_YEAR = ("ours", "ours, any orientation", "ours, 3 durations", "MASS, channels", "Euclidean")
TABLES = ("simulated", "siblings", "regions", "burst")

SHORT = {
    "bow_shock": "bow shock",
    "flux_transfer_event": "flux transfer",
    "dipolarization": "dipolariz.",
    "current_sheet": "current sheet",
    "pc5_wave": "Pc5 wave",
    "whistler_burst": "whistlers",
}
"""Headings of the columns of the simulated kinds."""


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with the real files")
    parser.add_argument("--year", action="store_true", help="also search a year of 4 s data; needs 7 GB of memory")
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS, help="of the simulated days")
    parser.add_argument("--tables", nargs="+", choices=TABLES, default=TABLES, help="default: all")
    chosen = parser.parse_args()
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")  # of numba, about casts in the other packages
    print(f"one thread for products and for numba, {os.cpu_count()} cores")
    everything = available(OURS | OTHERS)
    if "simulated" in chosen.tables:
        print_simulated(everything, chosen.seeds)
    for name, table in (("siblings", print_siblings), ("regions", print_regions)):
        if chosen.data is not None and name in chosen.tables:
            try:
                table(everything, chosen.data)
            except DataUnavailable as reason:
                print(f"\n{name}: left out, {reason}")
    if "burst" in chosen.tables:
        print_speed(everything, "Two minutes of burst data, 4 panels, red noise; query of 4 s", speed.burst())
    if chosen.year:
        methods = {name: everything[name] for name in IN_A_YEAR if name in everything}
        title = "A year of 4 s data, 8 panels, 8 million samples, red noise; query of 600 s"
        print_speed(methods, title, speed.year(), repeats=1)


def available(methods: dict[str, Method]) -> dict[str, Method]:
    """Return the methods whose packages are installed, after a first call on a short series, which compiles them."""
    case, found = speed.burst(), {}
    for name, method in methods.items():
        try:
            method(case)
            found[name] = method
        except DataUnavailable as reason:
            print(f"{name}: left out, {reason}")
    return found


def judged(method: Method, case: Case, events: Events) -> np.ndarray:
    """Return which peaks are right, best first; those within one length of the query do not count."""
    scored = method(case)
    scored[case.own] = without(scored[case.own], case.query.middle, None if case.elsewhere else case.length)
    return hits(scored, events, case.length // 2)


def print_simulated(methods: dict[str, Method], seeds: Sequence[int]) -> None:
    """Print average precision by kind of event, the range of the days, seconds and memory."""
    precision: dict[str, dict[tuple[str, int], list[float]]] = {name: defaultdict(list) for name in methods}
    costs: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for seed in seeds:
        for kind, case, events in simulated_cases(seed):
            for name, method in methods.items():
                found = []
                costs[name].append(speed.cost(lambda f=method, c=case, e=events, r=found: r.append(judged(f, c, e))))
                precision[name][kind, seed].append(average_precision(found[0], len(events.middle)))
    count = QUERIES * len(seeds)
    print(f"\nSimulated panels: field, density, velocity, ion spectrogram, wave power; days of seeds {list(seeds)}")
    print(f"average precision, mean of {count} queries of each kind")
    print(f"{'':28s}{''.join(f'{heading:>15s}' for heading in SHORT.values())}    mean  of a day   seconds      MB")
    for name, found in precision.items():
        kinds = [np.mean([found[kind, seed] for seed in seeds]) for kind in SHORT]
        days = [np.mean([found[kind, seed] for kind in SHORT]) for seed in seeds]
        seconds, memory = np.mean(costs[name], axis=0)[0], np.max(costs[name], axis=0)[1]
        print(
            f"{name:28s}{''.join(f'{one:15.2f}' for one in kinds)}{np.mean(kinds):8.2f}"
            f"  {min(days):.2f}-{max(days):.2f}{seconds:9.2f}{memory:8.0f}",
            flush=True,
        )


def print_siblings(methods: dict[str, Method], data: Path) -> None:
    """Print average precision by event, and the first rank, of the same time on other spacecraft."""
    methods = {name: methods[name] for name in SPECTRA if name in methods}
    crossings = read_crossings(data)
    print("\nSibling spacecraft: reduced electron distributions, MMS1-4, ten tail events, queries of 2 s [real data]")
    for logarithmic in (True, False):
        cases = list(sibling_cases(crossings, logarithmic))
        groups = list(dict.fromkeys(event for event, _, _ in cases))
        scale = "logarithms" if logarithmic else "values as they are"
        print(f"{scale}: average precision by event, {len(cases)} queries; share with a right answer first; worst rank")
        print(f"{'':28s}{''.join(f'{group:>7s}' for group in groups)}    mean   first   worst   seconds")
        for name, method in methods.items():
            print(f"{name:28s}{sibling_row(method, cases, groups)}", flush=True)


def sibling_row(method: Method, cases: Sequence[tuple[str, Case, Events]], groups: Sequence[str]) -> str:
    """Return the numbers of one method."""
    precision: dict[str, list[float]] = defaultdict(list)
    ranks, began = [], time.perf_counter()
    for event, case, events in cases:
        right = judged(method, case, events)
        precision[event].append(average_precision(right, len(events.middle)))
        ranks.append(right.argmax() + 1 if right.any() else len(right) + 1)
    seconds = (time.perf_counter() - began) / len(cases)
    means = [np.mean(precision[group]) for group in groups]
    numbers = f"{np.mean(means):8.2f}{np.mean(np.array(ranks) == 1):8.2f}{max(ranks):8d}{seconds:10.2f}"
    return "".join(f"{one:7.2f}" for one in means) + numbers


def print_regions(_: dict[str, Method], data: Path) -> None:
    """Print average precision by region and by pass."""
    windows, panel, spans = regions.read_windows(data)
    (task,), names = windows.tasks, np.array(REGIONS)[regions.labels(data)]
    answered = [name for name in REGIONS if name in names]
    print(
        f"\nRegions: {len(names)} ion spectrograms of 3 minutes; a window finds its region in other passes [real data]"
    )
    print("average precision by region, its mean over all windows, and by pass; precision of the first")
    rows, passes = [], []
    for name, make in regions.methods(windows, panel, spans).items():
        try:
            began = time.perf_counter()
            found = measure_queries(make(), windows.group, task)
        except DataUnavailable as reason:
            print(f"{name}: left out, {reason}")
            continue
        known = np.isfinite(found["ap"])
        answered = [one for one in answered if known[names == one].any()]
        means = "".join(f"{np.mean(found['ap'][known & (names == one)]):15.2f}" for one in answered)
        whole = f"{np.mean(found['ap'][known]):8.2f}{np.mean(found['p@1'][known]):8.2f}"
        rows.append(f"{name:28s}{means}{whole}{time.perf_counter() - began:10.1f}")
        groups = [one for one in np.unique(windows.group) if known[windows.group == one].any()]
        each = ", ".join(f"{one} {np.mean(found['ap'][known & (windows.group == one)]):.2f}" for one in groups)
        passes.append(f"{name:28s}{each}")
    heading = "".join(f"{one:>15s}" for one in answered)
    print("\n".join([f"{'':28s}{heading}    mean   first   seconds", *rows, "by pass:", *passes]), flush=True)


def print_speed(methods: dict[str, Method], title: str, case: Case, repeats: int = 3) -> None:
    """Print seconds and memory of one search by each method, and the ratio to MASS."""
    print(f"\n{title}")
    found = {name: min(speed.cost(partial(method, case)) for _ in range(repeats)) for name, method in methods.items()}
    base = found.get("MASS, channels", (np.nan, np.nan))[0]
    print(f"{'':28s}  seconds  times MASS       MB")
    for name, (seconds, memory) in found.items():
        print(f"{name:28s}{seconds:9.2f}{seconds / base:12.2f}{memory:9.0f}", flush=True)


if __name__ == "__main__":
    in_one_thread("benchmarks.bench_panels", ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"))
    main()
