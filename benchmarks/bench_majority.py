"""How much of a library may look like the query: retrieval at growing shares, relative and by plain cosines.

    python -m benchmarks.bench_majority [--data FOLDER] [--foreign FOLDER] [--output FILE]

Libraries of 200 samples are drawn: a share of them is of the query's kind, from other groups than the query, the rest
is not. The figure is the probability that a sample of the kind scores higher than one of the rest (AUC), the mean of 30
draws. The encoder is the default one.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.data_sets.foreign import default_folder, make_foreign
from benchmarks.data_sets.sky import EPISODES, make_movie
from benchmarks.data_sets.tasks import DataSet
from benchmarks.data_sets.windows import REGIONS, make_regions, read_regions
from benchmarks.timing import Output
from pyspedas_similarity.encoder.structure import block_slices
from pyspedas_similarity.encoder.weights import default_encoder
from pyspedas_similarity.search.reference import Reference, Sample

SHARES = (0.05, 0.25, 0.5, 0.75, 0.9)
SIZE, DRAWS, SEED = 200, 30, 0


def cases(data: Path, foreign: Path | None) -> Iterator[tuple[str, DataSet, np.ndarray]]:
    """Yield a name, a data set, and which of its samples are of the kind that is searched."""
    for passes in make_foreign(foreign, draws=(100, 101)):
        yield f"diffusion region, {passes.name}", passes, passes.tasks[0].relevant(np.zeros(1, int))[0]
    movie = make_movie(data)
    kinds = np.array([kind for kind, _, _ in EPISODES])[movie.group]
    for kind in ("streamer", "diffuse"):
        yield f"{kind}, Fort Smith", movie, kinds == kind
    windows, regions = make_regions(data), read_regions(data)
    for number, region in enumerate(REGIONS):
        if len(np.unique(windows.group[regions.label == number])) > 1:
            yield region, windows, regions.label == number


def draw_library(
    rng: np.random.Generator, of_kind: np.ndarray, group: np.ndarray, share: float
) -> tuple[int, np.ndarray]:
    """Return a query, and the rows of a library: first those of its kind, from other groups."""
    query = rng.choice(np.flatnonzero(of_kind))
    others, rest = np.flatnonzero(of_kind & (group != group[query])), np.flatnonzero(~of_kind)
    size = min(SIZE, int(len(others) / share), int(len(rest) / (1 - share)))
    count = max(round(size * share), 2)
    rows = [rng.choice(others, count, replace=False), rng.choice(rest, max(size - count, 2), replace=False)]
    return int(query), np.concatenate(rows)


def auc(scores: np.ndarray, count: int) -> float:
    """Return the probability that one of the first `count` scores is higher than one of the others."""
    ranks = np.argsort(np.argsort(scores))
    return float((ranks[:count].sum() - count * (count - 1) / 2) / (count * (len(scores) - count)))


def curves(embeddings: np.ndarray, data: DataSet, blocks: dict[str, int], of_kind: np.ndarray) -> np.ndarray:
    """Return the mean AUC by plain cosine and relative to the library: (2, shares)."""
    rng, found = np.random.default_rng(SEED), np.zeros((2, len(SHARES), DRAWS))
    following = data.next_of(embeddings)
    for i, share in enumerate(SHARES):
        for j in range(DRAWS):
            query, rows = draw_library(rng, of_kind, data.group, share)
            count, like = int(of_kind[rows].sum()), embeddings[[query]]
            sample = Sample(embeddings[rows], following[rows], block_slices(embeddings.shape[1], blocks))
            view = Reference(sample).view([like])
            found[0, i, j] = auc(embeddings[rows] @ like[0], count)
            found[1, i, j] = auc(view.directions(embeddings[rows]) @ view.directions(like)[0], count)
    return found.mean(axis=2)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--foreign", type=Path)
    parser.add_argument("--output", type=Path)
    chosen = parser.parse_args()
    say = Output(chosen.output)
    say(f"{'share of the library that is of the kind':44s}" + "".join(f"{share:>7.0%}" for share in SHARES))
    for name, data, of_kind in cases(chosen.data, chosen.foreign or default_folder(chosen.data)):
        encoder = default_encoder(data.recipe.kind, data.recipe.hash)
        embeddings = encoder.encode(data.draw(data.recipe))
        for how, values in zip(
            ("plain", "relative"), curves(embeddings, data, encoder.card.blocks, of_kind), strict=True
        ):
            say(f"{name:34s}{how:10s}" + "".join(f"{value:7.2f}" for value in values))


if __name__ == "__main__":
    main()
