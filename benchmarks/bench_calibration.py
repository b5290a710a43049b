"""False discovery rate and power of fdr=0.05 on simulated embeddings.

    python -m benchmarks.bench_calibration

Unit vectors follow an autoregressive process with a memory of some samples (`memory` 0 is white noise). In the first
table nothing is planted, so all that passes is false. In the second, ten events of eight samples are planted in every
series, each a mixture of the query and noise with the given cosine.
"""

from __future__ import annotations

import argparse

import numpy as np
from scipy.signal import lfilter

from pyspedas_similarity.search.background import fit_background
from pyspedas_similarity.search.events import find_events
from pyspedas_similarity.search.scoring import decorrelation_lag, similarity

N, QUERY, LENGTH = 4000, 1000, 8
SECOND = np.timedelta64(1, "s")
TIMES = np.datetime64("2020-01-01", "ns") + np.arange(N) * SECOND


def noise(rng: np.random.Generator, dimension: int, memory: int) -> np.ndarray:
    """Return unit vectors, shape (N, dimension)."""
    keep = np.exp(-1 / memory) if memory else 0.0
    steps = rng.standard_normal((N + 10 * memory, dimension))
    found = lfilter([1], [1, -keep], steps, axis=0)[10 * memory :]
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def planted(embeddings: np.ndarray, cosine: float) -> np.ndarray:
    """Plant ten events in the embeddings, in place, and return their first samples."""
    events = np.arange(1500, 3900, 240)
    query = embeddings[QUERY]
    for event in events:
        inside = embeddings[event : event + LENGTH]
        orthogonal = inside - (inside @ query)[:, None] * query
        orthogonal /= np.linalg.norm(orthogonal, axis=1, keepdims=True)
        embeddings[event : event + LENGTH] = cosine * query + np.sqrt(1 - cosine**2) * orthogonal
    return events


def passing(embeddings: np.ndarray, fdr: float) -> tuple[np.ndarray, int]:
    """Return the sample numbers of the peaks of events that pass, and the number of stretches judged."""
    scores = similarity(embeddings, [embeddings[QUERY : QUERY + 1]])
    block = 2 * decorrelation_lag(scores)
    scores[max(QUERY - 4 * block, 0) : QUERY + 4 * block] = np.nan
    background = fit_background(scores, block)
    hits = find_events(TIMES, scores, background.threshold(fdr), block * SECOND)
    return ((hits.peak - TIMES[0]) // SECOND).astype(int), len(background.maxima)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=400)
    parser.add_argument("--fdr", type=float, default=0.05)
    chosen = parser.parse_args()
    cases = [(16, 0), (16, 5), (64, 0), (64, 5), (128, 15)]
    error = np.sqrt(chosen.fdr * (1 - chosen.fdr) / chosen.trials)
    print(f"nothing planted, fdr {chosen.fdr:g}, {chosen.trials} series of {N} samples; standard error {error:.3f}")
    print("dimension  memory  stretches  share of series in which anything passes  share of stretches that pass")
    for dimension, memory in cases:
        any_passes = false = judged = 0
        for trial in range(chosen.trials):
            peaks, stretches = passing(
                noise(np.random.default_rng([dimension, memory, trial]), dimension, memory), chosen.fdr
            )
            any_passes, false, judged = any_passes + (len(peaks) > 0), false + len(peaks), judged + stretches
        print(
            f"{dimension:9d}  {memory:6d}  {judged / chosen.trials:9.0f}  {any_passes / chosen.trials:40.3f}  "
            f"{false / judged:28.5f}"
        )
    trials = max(chosen.trials // 10, 1)
    print(f"\nten events planted, fdr {chosen.fdr:g}, {trials} series each")
    print("dimension  memory  cosine  power  share of what passes that is false")
    for dimension, memory in cases:
        for cosine in (0.5, 0.6, 0.7, 0.8, 0.9):
            found = false = 0
            for trial in range(trials):
                embeddings = noise(np.random.default_rng([dimension, memory, trial]), dimension, memory)
                events = planted(embeddings, cosine)
                peaks, _ = passing(embeddings, chosen.fdr)
                near = (peaks[:, None] >= events - 1) & (peaks[:, None] <= events + LENGTH)
                found, false = found + int(near.any(axis=0).sum()), false + int((~near.any(axis=1)).sum())
            share = false / max(found + false, 1)
            print(f"{dimension:9d}  {memory:6d}  {cosine:6.1f}  {found / (10 * trials):5.2f}  {share:33.3f}")


if __name__ == "__main__":
    main()
