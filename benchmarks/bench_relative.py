"""Time of scores relative to a library, next to the plain product, in one run and for the same rows.

    python -m benchmarks.bench_relative [--rows N] [--output FILE]

Rows are simulated embeddings of frames (44 numbers) and of distributions of four channels (493). One thread.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.timing import Output, fastest
from pyspedas_similarity.archive.index import score_rows
from pyspedas_similarity.encoder.structure import BLOCKS, block_slices
from pyspedas_similarity.search.reference import QUESTIONS, SAMPLE, Reference, Sample

SHAPES = {"frames": (1, BLOCKS["frame"]), "distributions": (4, BLOCKS["other"])}
TRIES = 15


def rows_of(n: int, channels: int, blocks: dict[str, int]) -> np.ndarray:
    """Return embeddings that wander as those of successive samples do, (n, dimension) float32 of unit length."""
    dimension = channels * sum(blocks.values()) + 1
    rng = np.random.default_rng(0)
    rows = np.repeat(rng.standard_normal((-(-n // 50), dimension)).astype(np.float32), 50, axis=0)[:n]
    rows += 0.3 * rng.standard_normal(rows.shape, np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=300_000)
    parser.add_argument("--output", type=Path)
    chosen = parser.parse_args()
    say = Output(chosen.output)
    say(f"{chosen.rows} rows, one thread. Milliseconds of a plain product and of relative scores, fastest of {TRIES};")
    say("once for each library: fit of the view, and lengths of all rows.")
    say(f"{'rows of':15s}{'question':10s}{'plain':>8s}{'relative':>10s}{'ratio':>8s}{'view':>8s}{'lengths':>9s}")
    for name, (channels, blocks) in SHAPES.items():
        rows = rows_of(chosen.rows, channels, blocks)
        chosen_rows = np.linspace(0, len(rows) - 2, SAMPLE).astype(int)
        sample = Sample(rows[chosen_rows], rows[chosen_rows + 1], block_slices(rows.shape[1], blocks))
        for question in QUESTIONS:
            one = [rows[:1]]
            took_view = fastest(lambda s=sample, q=question, one=one: Reference(s, q).view(one))
            view = Reference(sample, question).view([rows[:1]])
            took_lengths = fastest(lambda view=view, rows=rows: view.lengths(rows))
            lengths = view.lengths(rows).astype(np.float32)
            weights = np.ascontiguousarray(view.weights(view.directions(rows[:1])), np.float32)
            offsets, out, query = (weights @ view.center).astype(np.float32), np.empty(len(rows), np.float32), rows[:1]
            plain = relative = np.inf
            for _ in range(TRIES):
                plain = min(plain, fastest(lambda r=rows, q=query, o=out: score_rows(r, q, None, None, o)))
                took = fastest(lambda r=rows, w=weights, c=offsets, n=lengths, o=out: score_rows(r, w, c, n, o))
                relative = min(relative, took)
            numbers = f"{1e3 * plain:8.1f}{1e3 * relative:10.1f}{relative / plain:8.2f}"
            say(f"{name:15s}{question:10s}{numbers}{1e3 * took_view:8.0f}{1e3 * took_lengths:9.0f}")


if __name__ == "__main__":
    with threadpool_limits(1):
        main()
