"""A map of embeddings: what lies near each other in two dimensions, by kind."""

from __future__ import annotations

import importlib
import logging
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..conventions import check_choice
from ..errors import ArgumentError

if TYPE_CHECKING:
    from ..archive.neighbors import NeighborGraph

    Graph = Callable[[np.ndarray, int], NeighborGraph]

logger = logging.getLogger(__name__)

METHODS = ("auto", "umap", "pca")
NEIGHBORS, LEAST_DISTANCE = 15, 0.1
"""Of UMAP: how many neighbors make the graph, and how close points may come."""

FEWEST = 4


@dataclass(frozen=True, eq=False)
class EmbeddingMap:
    """Places of embeddings in two dimensions.

    Attributes
    ----------
    places : numpy.ndarray, shape (n, 2)
        NaN where there is no embedding. Only who is whose neighbor has a meaning; axes have none.
    method : str
        How they were found, in words for a picture.
    """

    places: np.ndarray
    method: str


def embedding_map(
    embeddings: np.ndarray, method: str = "auto", seed: int = 0, graph: Graph | None = None
) -> EmbeddingMap:
    """Map embeddings to a plane, similar ones near each other.

    Parameters
    ----------
    embeddings : numpy.ndarray
        (n, dimension) of unit length; rows with NaN have no place.
    method : {'auto', 'umap', 'pca'}
        'umap' needs umap-learn (``pip install umap-learn``), 'pca' takes the first two principal components; 'auto'
        takes principal components. The map names its method.
    seed : int
        Of UMAP: the same seed gives the same map, on one machine.
    graph : callable, optional
        From embeddings without NaN and a number of neighbors to a `NeighborGraph`, such as ``Archive.graph``; UMAP
        then takes its neighbors. By default UMAP looks for them itself.

    Raises
    ------
    ArgumentError
        Too few embeddings, an unknown method, or 'umap' where it is not installed.

    Notes
    -----
    UMAP: McInnes et al. 2018, arXiv:1802.03426, on cosine distances, with its graph of neighbors by pynndescent.
    """
    check_choice("method", method, METHODS)
    if np.ndim(embeddings) != 2:
        raise ArgumentError("embeddings", f"found the shape {np.shape(embeddings)}", "Give (n, dimension).")
    known = np.isfinite(embeddings).all(axis=1)
    if known.sum() < FEWEST:
        raise ArgumentError("embeddings", f"found {known.sum()} without NaN", f"Give {FEWEST} or more.")
    places = np.full((len(embeddings), 2), np.nan)
    with warnings.catch_warnings():
        # UMAP warns at import of optional packages, that a seed leaves it one thread, and where few points
        # are apart from the rest.
        warnings.simplefilter("ignore")
        if method == "umap":
            logger.info("The map is made by UMAP, which is compiled at its first use: this can take a minute.")
            umap = _umap()
            neighbors = min(NEIGHBORS, int(known.sum()) - 1)
            vectors = embeddings[known].astype(np.float32)
            near = None if graph is None else _with_themselves(graph(vectors, neighbors - 1))
            places[known] = _by_umap(umap, vectors, neighbors, seed, near)
            return EmbeddingMap(places, f"UMAP, {neighbors} neighbors, seed {seed}")
    places[known], share = _principal(embeddings[known].astype(np.float64))
    return EmbeddingMap(places, f"first two principal components, {share:.0%} of the variance")


def _with_themselves(graph: NeighborGraph) -> tuple[np.ndarray, np.ndarray]:
    """Return neighbors and cosine distances as UMAP takes them: each row is its own first neighbor, -1 is none."""
    rows = np.arange(len(graph), dtype=np.int32)[:, None]
    distance = np.where(graph.neighbors < 0, np.inf, np.maximum(1 - graph.scores, 0)).astype(np.float32)
    near = np.hstack([rows, graph.neighbors.astype(np.int32)])
    return near, np.hstack([np.zeros((len(graph), 1), np.float32), distance])


def _by_umap(
    umap: Any,
    vectors: np.ndarray,
    neighbors: int,
    seed: int,
    near: tuple[np.ndarray, np.ndarray] | None = None,
) -> np.ndarray:
    """Places (n, 2), from a graph of neighbors by pynndescent however few they are, or from the one given."""
    given = {} if near is None else {"precomputed_knn": near}
    fitted = umap.UMAP(
        **given,
        n_neighbors=neighbors,
        min_dist=LEAST_DISTANCE,
        metric="cosine",
        random_state=seed,
        force_approximation_algorithm=True,
    )
    return fitted.fit_transform(vectors)


def _umap() -> Any:
    """Import umap-learn, or raise ArgumentError."""
    try:
        return importlib.import_module("umap")
    except ImportError as error:
        remedy = "Run: python -m pip install \"pyspedas-similarity[maps]\"; or method='pca'."
        raise ArgumentError("method", "'umap', and umap-learn is not installed", remedy) from error


def _principal(vectors: np.ndarray) -> tuple[np.ndarray, float]:
    """The first two principal components (n, 2), and their share of the variance."""
    left, size, _ = np.linalg.svd(vectors - vectors.mean(axis=0), full_matrices=False)
    power = size**2
    return left[:, :2] * size[:2], float(power[:2].sum() / power.sum()) if power.any() else 0.0
