"""Does judging refine a search? Average precision after rounds of ten answers from the truth, on simulated data.

    python -m benchmarks.bench_review [--seeds 40] [--events 60] [--nights 24]

For each seed the events (nights) are parted in two halves at random. One half is searched and judged as `sim.review`
does it: intervals above a threshold that is lowered until there are enough, the ten best that were not judged yet, one
answer each, from the truth at the best sample. Yes becomes a like, no an unlike, by three rules:

nearest   the rule of find_similar, and so of review: the nearest like, less what something unlike is nearer
likes     the same, with the answers yes alone
probe     logistic regression on likes and unlikes, as in classify; nearest as long as nothing was answered no

Measured is the average precision of all samples of the other half, which nobody judged: the same samples after every
round, and by every rule. 'yes' is how many of the last ten answers were yes: where it falls to nothing, the searched
half has no more to give.

Intervals are 95 %, of a bootstrap over the seeds' events; 'change' is of the same seeds and halves, against no answer.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.data_sets.edr import WITHOUT_REGION, images_of
from benchmarks.data_sets.labeled import CADENCE_MS, FRAMES
from benchmarks.data_sets.sky import simulate
from benchmarks.retrieval.encoders import encoders_of, recipe_of
from pyspedas_similarity.imaging.recipes import Recipe
from pyspedas_similarity.instruments.registry import ELECTRONS
from pyspedas_similarity.search.events import best_events, outside
from pyspedas_similarity.search.linear_classifier import fit_probe
from pyspedas_similarity.search.scoring import coherence_lag, default_threshold, similarity
from pyspedas_similarity.simulate.fpi import DES, simulate_event
from pyspedas_similarity.times import Span, cadence

ROUNDS, ANSWERS, BOOTSTRAPS = 3, 10, 2000
FIRST_EVENT, FIRST_NIGHT = 800, 900
RULES = ("nearest", "likes", "probe")


@dataclass(frozen=True, eq=False)
class Samples:
    """Samples of many series: arrays of one value for each."""

    times: np.ndarray
    series: np.ndarray
    group: np.ndarray
    label: np.ndarray
    askable: np.ndarray


def electrons(events: int, recipe: Recipe) -> tuple[Samples, np.ndarray]:
    """Crossings of reconnection sites, one in five without a diffusion region; asked for is the region of the seed."""
    images, times, label, group = [], [], [], []
    for number in range(events):
        has_region = number % WITHOUT_REGION != WITHOUT_REGION - 1
        instrument = replace(DES, cadence_ms=CADENCE_MS)
        one = simulate_event(FIRST_EVENT + number, duration_s=12.0, instrument=instrument, edr=has_region)
        images.append(images_of(one, recipe))
        times.append(one.times)
        label.append(one.region)
        group.append(np.full(len(one.times), number))
    label, group = np.concatenate(label), np.concatenate(group)
    return Samples(np.concatenate(times), group, group, label, np.ones(len(label), bool)), np.concatenate(images)


def nights(count: int, recipe: Recipe) -> tuple[Samples, np.ndarray]:
    """Two stations, every kind of aurora that is seen well; all other frames can be found, and are wrong."""
    sky = simulate(count, 1560.0, 15.0, 128, FIRST_NIGHT)
    label = np.where(sky.seen, sky.kind, "not seen")
    series = sky.night * 10 + np.unique(sky.station, return_inverse=True)[1]
    return Samples(sky.times, series, sky.night, label, sky.seen), sky.images(recipe)


def scores_of(embeddings: np.ndarray, likes: list[int], unlikes: list[int], rule: str) -> np.ndarray:
    if rule == "probe" and unlikes:
        rows = [*likes, *unlikes]
        labels = np.repeat(["like", "unlike"], [len(likes), len(unlikes)])
        probe = fit_probe(embeddings[rows], labels, np.arange(len(rows)))
        return probe.probabilities(embeddings)[:, probe.classes.index("like")]
    unlike = [] if rule == "likes" else [embeddings[[row]] for row in unlikes]
    return similarity(embeddings, [embeddings[[row]] for row in likes], unlike)


def offered(data: Samples, scores: np.ndarray, likes: list[int], judged: list[tuple], pool: np.ndarray, n: int) -> list:
    """The best intervals of all searched series that were not judged: (score, series, span, row of the peak)."""
    found = []
    for series in np.unique(data.series[pool]):
        rows = np.flatnonzero(data.series == series)
        times, part = data.times[rows], scores[rows]
        if not np.isfinite(part).any():
            continue
        exclude = 2 * coherence_lag(part) * cadence(times)
        seeds = [Span(data.times[row], data.times[row]) for row in likes if data.series[row] == series]
        part = np.where(outside(times, seeds, exclude), part, np.nan)
        if not np.isfinite(part).any():
            continue
        hits, _ = best_events(times, part, default_threshold(scores[rows]), exclude, n + len(judged))
        for start, end, peak, score in zip(hits.start, hits.end, hits.peak, hits.score, strict=True):
            old = [span for other, span in judged if other == series]
            if not any(span.start - exclude <= peak <= span.end + exclude for span in old):
                found.append((score, series, Span(start, end), rows[np.searchsorted(times, peak)]))
    return sorted(found, key=lambda one: -one[0])[:n]


def average_precision(scores: np.ndarray, right: np.ndarray) -> float:
    """Of a ranking of samples; those without a score come last."""
    order = np.argsort(-np.where(np.isfinite(scores), scores, -np.inf), kind="stable")
    hits = right[order]
    places = np.arange(1, len(hits) + 1)
    return float((hits * hits.cumsum() / places).sum() / hits.sum()) if hits.any() else np.nan


def one_review(data: Samples, embeddings: np.ndarray, seed: int, pool: np.ndarray, rule: str) -> dict[str, list[float]]:
    """Average precision after each round, and how many answers were yes."""
    right = data.askable & (data.label == data.label[seed])
    likes, unlikes, judged, kept, yes = [seed], [], [], [], []
    for _ in range(ROUNDS):
        kept.append(scores_of(embeddings, likes, unlikes, rule))
        page = offered(data, kept[-1], likes, judged, pool, ANSWERS)
        for _, series, span, row in page:
            judged.append((series, span))
            (likes if right[row] else unlikes).append(int(row))
        yes.append(sum(bool(right[row]) for *_, row in page))
    kept.append(scores_of(embeddings, likes, unlikes, rule))
    return {
        "precision": [average_precision(one[~pool], right[~pool]) for one in kept],
        "yes": [np.nan, *map(float, yes)],
    }


def drawn(data: Samples, count: int) -> list[tuple[int, np.ndarray]]:
    """Seeds, of each group and label in turn, each with the half of the groups that is searched."""
    rng = np.random.default_rng(0)
    pairs = sorted({(str(data.label[row]), int(data.group[row])) for row in np.flatnonzero(data.askable)})
    # What is asked for has to be in the other half as well.
    common = [pair for pair in pairs if sum(pair[0] == other[0] for other in pairs) >= 4]
    found = []
    for label, group in [common[i] for i in rng.permutation(len(common))][:count]:
        of_label = sorted({other for name, other in common if name == label} - {group})
        rest = sorted(set(data.group.tolist()) - set(of_label) - {group})
        halves = [rng.permutation(part)[: len(part) // 2] for part in (of_label, rest)]
        rows = np.flatnonzero(data.askable & (data.label == label) & (data.group == group))
        found.append((int(rng.choice(rows)), np.isin(data.group, np.concatenate([*halves, [group]]))))
    return found


def interval(values: np.ndarray, group: np.ndarray) -> tuple[float, float]:
    """Of the mean over seeds, groups drawn together."""
    rng = np.random.default_rng(1)
    names, which = np.unique(group, return_inverse=True)
    weights = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), BOOTSTRAPS)
    sums, counts = weights @ np.bincount(which, values), weights @ np.bincount(which)
    low, high = np.percentile(sums / counts, (2.5, 97.5))
    return float(low), float(high)


def table(name: str, encoder: str, data: Samples, embeddings: np.ndarray, seeds: list[tuple[int, np.ndarray]]) -> None:
    print(f"\n{name}, encoder {encoder}: {len(data.times)} samples of {len(np.unique(data.series))} series, ", end="")
    print(f"{len(seeds)} seeds of {len({int(data.group[seed]) for seed, _ in seeds})} events")
    print("rule     answers  precision  95 %           change  95 %           yes")
    group = np.array([data.group[seed] for seed, _ in seeds])
    for rule in RULES:
        found = [one_review(data, embeddings, seed, pool, rule) for seed, pool in seeds]
        values = np.array([one["precision"] for one in found])
        for done in range(ROUNDS + 1):
            now, change = values[:, done], values[:, done] - values[:, 0]
            low, high = interval(now, group)
            line = f"{rule:8s} {done * ANSWERS:7d}  {now.mean():9.3f}  {low:.3f} {high:.3f}  "
            if done:
                low, high = interval(change, group)
                yes = np.mean([one["yes"][done] for one in found])
                line += f"  {change.mean():+.3f}  {low:+.3f} {high:+.3f}  {yes:4.1f}"
            print(line.rstrip(), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=40)
    parser.add_argument("--events", type=int, default=60)
    parser.add_argument("--nights", type=int, default=24)
    chosen = parser.parse_args()
    regions, kinds = "simulated electrons, regions of a reconnection site", "simulated nights, kinds of aurora"
    for name, make, natural, encoders in (
        (regions, lambda recipe: electrons(chosen.events, recipe), ELECTRONS, ("pixels", "shipped")),
        (kinds, lambda recipe: nights(chosen.nights, recipe), FRAMES, ("oriented", "hybrid")),
    ):
        for encoder in encoders:
            recipe = recipe_of(encoder, natural)
            if recipe is None:
                continue
            data, images = make(recipe)
            embeddings = next(iter(encoders_of(encoder, images, recipe, 1))).encode(images)
            table(name, encoder, data, embeddings, drawn(data, chosen.seeds))


if __name__ == "__main__":
    main()
