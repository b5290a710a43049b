"""Maps of simulated nights by kind of aurora and of simulated electrons by region.

    python -m benchmarks.map_of_kinds [--encoder NAME|FOLDER ...] [--method umap|pca] [--out FOLDER]

For each: the share of the 10 nearest samples of other nights or events that are of the same kind, in the embedding and
in the map, and the trustworthiness of the map (Venna & Kaski 2001, by scikit-learn), which is 1 if all neighbors in the
map are neighbors in the embedding. All data are simulated.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from sklearn.manifold import trustworthiness

from benchmarks.data_sets.labeled import LabeledSet, electrons, nights
from benchmarks.retrieval.encoders import encoders_of, recipe_of
from pyspedas_similarity.errors import ArgumentError
from pyspedas_similarity.plotting.embedding_map import EmbeddingMap, embedding_map

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NEAREST = 10
# After Okabe & Ito (2008), distinguishable by all kinds of color vision; the markers differ as well.
_COLORS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#000000", "#999933", "#F0E442")
_MARKERS = "osD^vP*X<"


def share_of_kind(places: np.ndarray, kind: np.ndarray, group: np.ndarray) -> float:
    """Return the share of the nearest samples of other groups that are of the same kind."""
    distance = ((places[:, None] - places) ** 2).sum(axis=2)
    distance[group[:, None] == group] = np.inf
    nearest = np.argsort(distance, axis=1, kind="stable")[:, :NEAREST]
    return float((kind[nearest] == kind[:, None]).mean())


def table_and_map(data: LabeledSet, name: str, method: str, path: Path | None) -> None:
    recipe = recipe_of(name, data.recipe)
    if recipe is None:
        return
    images = data.draw(recipe)
    encoder = next(iter(encoders_of(name, images, recipe, 1)))
    embeddings = encoder.encode(images)
    known = np.isfinite(embeddings).all(axis=1)
    embeddings, kind, group = embeddings[known], data.label[known], data.group[known]
    found = embedding_map(embeddings, method)
    shares = [share_of_kind(values, kind, group) for values in (embeddings.astype(np.float64), found.places)]
    chance = float(((kind[:, None] == kind) & (group[:, None] != group)).sum() / (group[:, None] != group).sum())
    trust = trustworthiness(embeddings, found.places, n_neighbors=NEAREST, metric="cosine")
    title = Path(name).name
    line = f"{data.name:8s}{title:14s}{len(kind):6d}{chance:9.2f}{shares[0]:12.2f}{shares[1]:9.2f}{trust:17.3f}"
    print(f"{line}   {found.method}", flush=True)
    if path is not None:
        heading = {"nights": "Simulated all-sky frames, two stations, by kind of aurora"}
        heading = heading.get(data.name, "Simulated electrons at reconnection sites, by region")
        plot_embedding_map(found, kind, path, f"{heading}; encoder '{title}'")


def plot_embedding_map(
    found: EmbeddingMap, kind: np.ndarray, path: str | Path | None = None, title: str = ""
) -> Figure:
    """Draw a map with a color and a marker for each kind (n,), and write it to `path`, if given.

    Raise ArgumentError if there is not one kind for each place.
    """
    from matplotlib.figure import Figure

    kind = np.asarray(kind).astype(str)
    if kind.shape != found.places.shape[:1]:
        remedy = f"Give one for each of {len(found.places)} places."
        raise ArgumentError("kind", f"found the shape {kind.shape}", remedy)
    figure = Figure(figsize=(7.2, 5.4), layout="constrained")
    panel = figure.subplots()
    names, counts = np.unique(kind, return_counts=True)
    for number, name in enumerate(names):
        color = _COLORS[number % len(_COLORS)]
        # A color that is used again has another marker.
        marker = _MARKERS[(number + number // len(_COLORS)) % len(_MARKERS)]
        at = found.places[kind == name]
        style = {"color": color, "marker": marker, "linewidths": 0, "alpha": 0.75}
        panel.scatter(*at.T, s=14, label=f"{name} ({counts[number]})", **style)
    panel.set_xticks([])
    panel.set_yticks([])
    panel.set_title(title, fontsize="medium", loc="left")
    panel.set_xlabel(f"{found.method}; axes have no unit", fontsize="small")
    figure.legend(loc="outside right upper", fontsize="small", markerscale=1.6)
    if path is not None:
        figure.savefig(path, dpi=100)
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoder", nargs="+", default=["pixels", "structure"])
    parser.add_argument("--method", default="umap", choices=("umap", "pca"))
    parser.add_argument("--out", type=Path, help="folder for the pictures")
    chosen = parser.parse_args()
    print(
        "SIMULATED. Share of the 10 nearest of other groups that are of the same kind, and trustworthiness of the map."
    )
    print(f"{'set':8s}{'encoder':14s}{'n':>6s}{'chance':>9s}{'embedding':>12s}{'map':>9s}{'trustworthiness':>17s}")
    for data in (nights(), electrons()):
        for name in chosen.encoder:
            path = chosen.out and chosen.out / f"simulated_map_{data.name}_{Path(name).name}.png"
            table_and_map(data, name, chosen.method, path)


if __name__ == "__main__":
    main()
