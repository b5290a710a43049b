"""Draw what a reference does to scores, on simulated electron distributions.

    python -m benchmarks.gallery_reference [FILE]

One query inside a diffusion region. Scores of samples in the diffusion regions of other crossings, and outside of
diffusion regions, by plain cosine and relative to the library.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.data_sets.edr import make_edr
from benchmarks.retrieval.run import sample_of
from pyspedas_similarity.encoder.structure import block_slices
from pyspedas_similarity.encoder.weights import default_encoder
from pyspedas_similarity.search.reference import Reference

FILE = Path(__file__).parent.parent / "docs" / "images" / "reference.png"
EVENTS, DURATION_S = 15, 12.0


def histogram(axes: Axes, scores: np.ndarray, is_edr: np.ndarray, title: str) -> None:
    """Draw the scores of both groups, each of area 1."""
    bins = np.linspace(min(scores.min(), -0.2), 1, 60)
    axes.hist(scores[~is_edr], bins, density=True, color="0.7", label="outside of diffusion regions")
    axes.hist(scores[is_edr], bins, density=True, color="tab:green", alpha=0.7, label="other diffusion regions")
    axes.set(title=title, xlabel="score", ylabel="share of samples per unit of score", xlim=(bins[0], 1))
    axes.legend(loc="upper left", frameon=False)


def main() -> None:
    """Draw the figure."""
    data = make_edr(EVENTS, DURATION_S)
    encoder = default_encoder(data.recipe.kind, data.recipe.hash)
    embeddings = encoder.encode(data.draw(data.recipe))
    task = data.tasks[0]
    query = task.queries[len(task.queries) // 2]
    others = data.group != data.group[query]
    is_edr = task.relevant(np.array([query]))[0][others]
    blocks = block_slices(embeddings.shape[1], encoder.card.blocks)
    view = Reference(sample_of(embeddings, data, blocks)).view([embeddings[[query]]])
    directions = view.directions(embeddings)
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    histogram(left, embeddings[others] @ embeddings[query], is_edr, "reference=None: plain cosine")
    histogram(right, directions[others] @ directions[query], is_edr, "reference='library'")
    figure.savefig(Path(sys.argv[1]) if len(sys.argv) > 1 else FILE, dpi=130)


if __name__ == "__main__":
    main()
