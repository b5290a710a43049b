"""Average precision of a search after rounds of ten judgments from the truth, on simulated data.

    python -m benchmarks.bench_review [--queries 40] [--events 60] [--nights 24]

For each query the events (nights) are split into two halves at random. One half is searched and judged as in
`sim.review`: events around peaks of the score outside the own event, the ten best that were not judged before, one
answer each, from the truth at the best sample. Yes becomes a like, no an unlike, by three rules:

nearest   the rule of find_similar and review: the nearest like, minus the excess of a nearer unlike
likes     the same, with the answers yes only
probe     logistic regression on likes and unlikes, as in classify; nearest until there is an answer no

The average precision is that of all samples of the other half, which was not judged: the same samples after every round
and for every rule. 'yes' is the number of answers yes among the last ten; when it approaches 0, the searched half has
no more matches.

Intervals are 95 %, from a bootstrap over the events of the queries; 'change' is relative to no answer, with the same
queries and halves.
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
from pyspedas_similarity.search.events import outside, own_event, peak_events
from pyspedas_similarity.search.linear_classifier import fit_linear_classifier
from pyspedas_similarity.search.scoring import ScoreScale, decorrelation_lag, similarity
from pyspedas_similarity.simulate.fpi import DES, simulate_event
from pyspedas_similarity.times import Span, cadence

ROUNDS, ANSWERS, BOOTSTRAPS = 3, 10, 2000
FIRST_EVENT, FIRST_NIGHT = 800, 900
RULES = ("nearest", "likes", "probe")


@dataclass(frozen=True, eq=False)
class Samples:
    """Samples of many series, one array element each."""

    times: np.ndarray
    series: np.ndarray
    group: np.ndarray
    label: np.ndarray
    askable: np.ndarray


def electrons(events: int, recipe: Recipe) -> tuple[Samples, np.ndarray]:
    """Return crossings of reconnection sites, one in five without a diffusion region, labeled by region."""
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
    """Return nights at two stations, labeled by clearly seen kind of aurora; all other frames are distractors."""
    sky = simulate(count, 1560.0, 15.0, 128, FIRST_NIGHT)
    label = np.where(sky.seen, sky.kind, "not seen")
    series = sky.night * 10 + np.unique(sky.station, return_inverse=True)[1]
    return Samples(sky.times, series, sky.night, label, sky.seen), sky.images(recipe)


def scores_of(embeddings: np.ndarray, likes: list[int], unlikes: list[int], rule: str) -> np.ndarray:
    if rule == "probe" and unlikes:
        rows = [*likes, *unlikes]
        labels = np.repeat(["like", "unlike"], [len(likes), len(unlikes)])
        probe = fit_linear_classifier(embeddings[rows], labels, np.arange(len(rows)))
        return probe.probabilities(embeddings)[:, probe.classes.index("like")]
    unlike = [] if rule == "likes" else [embeddings[[row]] for row in unlikes]
    return similarity(embeddings, [embeddings[[row]] for row in likes], unlike)


def offered(data: Samples, scores: np.ndarray, likes: list[int], judged: list[tuple], pool: np.ndarray, n: int) -> list:
    """Return the best intervals of all searched series not yet judged: (score, series, span, row of the peak)."""
    found = []
    for series in np.unique(data.series[pool]):
        rows = np.flatnonzero(data.series == series)
        times, part = data.times[rows], scores[rows]
        if not np.isfinite(part).any():
            continue
        gap = decorrelation_lag(part) * cadence(times)
        exclude = 2 * gap
        queries = [Span(data.times[row], data.times[row]) for row in likes if data.series[row] == series]
        scale = ScoreScale.of(part)
        own = own_event(times, part, queries, scale, gap) | ~outside(times, queries, exclude)
        hits = peak_events(times, np.where(own, np.nan, part), own, scale, gap, k=n + len(judged))
        for start, end, peak, score in zip(hits.start, hits.end, hits.peak, hits.score, strict=True):
            old = [span for other, span in judged if other == series]
            if not any(span.start - exclude <= peak <= span.end + exclude for span in old):
                found.append((score, series, Span(start, end), rows[np.searchsorted(times, peak)]))
    return sorted(found, key=lambda one: -one[0])[:n]


def average_precision(scores: np.ndarray, right: np.ndarray) -> float:
    """Return the average precision of a ranking; samples without a score are last."""
    order = np.argsort(-np.where(np.isfinite(scores), scores, -np.inf), kind="stable")
    hits = right[order]
    places = np.arange(1, len(hits) + 1)
    return float((hits * hits.cumsum() / places).sum() / hits.sum()) if hits.any() else np.nan


def one_review(
    data: Samples, embeddings: np.ndarray, query: int, pool: np.ndarray, rule: str
) -> dict[str, list[float]]:
    """Return the average precision after each round, and the number of answers yes."""
    right = data.askable & (data.label == data.label[query])
    likes, unlikes, judged, kept, yes = [query], [], [], [], []
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
    """Return queries, of each group and label in turn, each with the half of the groups that is searched."""
    rng = np.random.default_rng(0)
    pairs = sorted({(str(data.label[row]), int(data.group[row])) for row in np.flatnonzero(data.askable)})
    # The label of the query must be in the other half as well.
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
    """Return the interval of the mean over queries, resampled by group."""
    rng = np.random.default_rng(1)
    names, which = np.unique(group, return_inverse=True)
    weights = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), BOOTSTRAPS)
    sums, counts = weights @ np.bincount(which, values), weights @ np.bincount(which)
    low, high = np.percentile(sums / counts, (2.5, 97.5))
    return float(low), float(high)


def print_table(
    name: str, encoder: str, data: Samples, embeddings: np.ndarray, queries: list[tuple[int, np.ndarray]]
) -> None:
    """Print the table of one data set and encoder."""
    print(f"\n{name}, encoder {encoder}: {len(data.times)} samples of {len(np.unique(data.series))} series, ", end="")
    print(f"{len(queries)} queries of {len({int(data.group[query]) for query, _ in queries})} events")
    print("rule     answers  precision  95 %           change  95 %           yes")
    group = np.array([data.group[query] for query, _ in queries])
    for rule in RULES:
        found = [one_review(data, embeddings, query, pool, rule) for query, pool in queries]
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
    parser.add_argument("--queries", type=int, default=40)
    parser.add_argument("--events", type=int, default=60)
    parser.add_argument("--nights", type=int, default=24)
    chosen = parser.parse_args()
    regions, kinds = "simulated electrons, regions of a reconnection site", "simulated nights, kinds of aurora"
    for name, make, natural, encoders in (
        (regions, lambda recipe: electrons(chosen.events, recipe), ELECTRONS, ("pixels", "structure")),
        (kinds, lambda recipe: nights(chosen.nights, recipe), FRAMES, ("structure",)),
    ):
        for encoder in encoders:
            recipe = recipe_of(encoder, natural)
            if recipe is None:
                continue
            data, images = make(recipe)
            embeddings = next(iter(encoders_of(encoder, images, recipe, 1))).encode(images)
            print_table(name, encoder, data, embeddings, drawn(data, chosen.queries))


if __name__ == "__main__":
    main()
