"""Maps of embeddings in two dimensions, and their figure, with query, matches and known events on top."""

from __future__ import annotations

import importlib
import logging
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ..conventions import check_choice
from ..encoder.fitted import mutually_distant
from ..errors import ArgumentError
from .style import Style, plain

if TYPE_CHECKING:
    from ..archive.neighbors import NeighborGraph

    Graph = Callable[[np.ndarray, int], NeighborGraph]
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

logger = logging.getLogger(__name__)

METHODS = ("auto", "umap", "pca")
NEIGHBORS, LEAST_DISTANCE = 15, 0.1
"""Of UMAP: how many neighbors make the graph, and how close points may come."""

FEWEST = 4
# After Okabe & Ito (2008), without the colors of the marks; the last one is for all others.
_KINDS = ("#56B4E9", "#E69F00", "#CC79A7", "#000000", "#F0E442", "#999933", "#882255")
_OTHERS = "0.6"
# Points, and so pixels of 1/72 inch.
_INSET_WIDTH = 62.0


@dataclass(frozen=True, eq=False)
class EmbeddingMap:
    """Places of embeddings (n, 2), NaN where there is none, and the method in words; axes have no meaning."""

    places: np.ndarray
    method: str


def embedding_map(
    embeddings: np.ndarray, method: str = "auto", seed: int = 0, graph: Graph | None = None
) -> EmbeddingMap:
    """Map embeddings (n, dimension) to a plane, similar ones near each other; rows with NaN have no place.

    `method` is one of `METHODS`: 'auto' and 'pca' take the first two principal components; 'umap' needs umap-learn and
    follows McInnes et al. 2018, arXiv:1802.03426, on cosine distances. The same `seed` gives the same map by UMAP on
    one machine. `graph`, such as ``Archive.graph``, makes a `NeighborGraph` of embeddings and a number of neighbors,
    which UMAP then takes instead of looking for them itself. ArgumentError for too few embeddings, an unknown method,
    or 'umap' where it is not installed.
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
    umap: Any, vectors: np.ndarray, neighbors: int, seed: int, near: tuple[np.ndarray, np.ndarray] | None = None
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


def _no_rows() -> np.ndarray:
    return np.array([], np.int64)


@dataclass(frozen=True, eq=False)
class MapMarks:
    """Rows that are marked, int; `faint` are events of a search that do not stand out of the background."""

    query: np.ndarray = field(default_factory=_no_rows)
    match: np.ndarray = field(default_factory=_no_rows)
    event: np.ndarray = field(default_factory=_no_rows)
    faint: np.ndarray = field(default_factory=_no_rows)

    @property
    def rows(self) -> np.ndarray:
        """All marked rows, each once."""
        return np.unique(np.concatenate([self.query, self.match, self.event, self.faint]))

    def among(self, rows: np.ndarray) -> MapMarks:
        """Return the marks as places in an ascending list of rows that holds them."""
        return MapMarks(*(np.searchsorted(rows, one) for one in (self.query, self.match, self.event, self.faint)))


@dataclass(frozen=True, eq=False)
class Colors:
    """Quantity shown by the color of a place: times (datetime64), numbers, or text for kinds."""

    values: np.ndarray
    label: str


def spread_places(places: np.ndarray, count: int) -> np.ndarray:
    """Return at most `count` numbers of places that are spread over a map, the one nearest to the median first.

    Places (n, 2) are NaN for samples that are not on the map. See `mutually_distant`.
    """
    known = np.flatnonzero(np.isfinite(places).all(axis=1))
    if not count or not len(known):
        return np.array([], np.int64)
    inside = places[known]
    extent = np.ptp(inside, axis=0)
    inside = inside / np.where(extent > 0, extent, 1)
    return known[mutually_distant(inside, np.median(inside, axis=0), count)]


def archive_map_figure(
    found: EmbeddingMap,
    colors: Colors,
    marks: MapMarks | None = None,
    style: Style | None = None,
    title: str = "",
    insets: Sequence[tuple[int, np.ndarray]] = (),
) -> Figure:
    """Draw a map with a color for each place, marks on top, and pictures of some places by number, lowest row first.

    ArgumentError if there is not one color for each place.
    """
    from matplotlib.figure import Figure

    if len(colors.values) != len(found.places):
        remedy = f"Give one for each of {len(found.places)} places."
        raise ArgumentError("colors", f"found {len(colors.values)}", remedy)
    style = style or Style()
    figure = Figure(figsize=style.size(7.4, 5.6), layout="constrained")
    panel = figure.subplots()
    if colors.values.dtype.kind in "Mfiu":
        _by_number(panel, found.places, colors, style)
    else:
        _by_kind(panel, found.places, colors)
    _marks(panel, found.places, marks or MapMarks(), style)
    _draw_insets(panel, found.places, insets)
    panel.set(xticks=[], yticks=[])
    panel.set_xlabel(f"{found.method}; axes have no unit", fontsize="small")
    panel.set_title(style.heading(title), fontsize="medium", loc="left")
    if panel.get_legend_handles_labels()[0]:
        figure.legend(loc="outside lower center", ncols=4, fontsize="small", markerscale=1.3)
    return figure


def _draw_insets(panel: Axes, places: np.ndarray, insets: Sequence[tuple[int, np.ndarray]]) -> None:
    """Draw each picture above its place; a line leads there."""
    from matplotlib.offsetbox import AnnotationBbox, OffsetImage

    for number, pixels in insets:
        picture = OffsetImage(pixels[::-1], zoom=_INSET_WIDTH / pixels.shape[1])
        looks = {"arrowprops": {"arrowstyle": "-", "lw": 0.8}, "bboxprops": {"lw": 0.6}, "pad": 0.1}
        at = {"xybox": (0, 22), "boxcoords": "offset points", "box_alignment": (0.5, 0.0)}
        panel.add_artist(AnnotationBbox(picture, places[number], **at, **looks, zorder=2))
    if insets:
        panel.margins(0.12, 0.18)


def _by_number(panel: Axes, places: np.ndarray, colors: Colors, style: Style) -> None:
    is_time = colors.values.dtype.kind == "M"
    values = colors.values.astype("datetime64[ns]").astype(np.int64) / 1e9 if is_time else colors.values.astype(float)
    looks = {"s": _size(len(places)), "linewidths": 0, "alpha": 0.75, "rasterized": True}
    known = np.isfinite(values)
    panel.scatter(*places[~known].T, color="0.8", **looks)
    drawn = panel.scatter(*places[known].T, c=values[known], cmap=style.cmap or "viridis", **looks)
    bar = panel.figure.colorbar(drawn, ax=panel, pad=0.02)
    bar.solids.set_alpha(1)
    bar.set_label(plain(colors.label), fontsize="small")
    if is_time and known.any():
        ticks = np.linspace(values[known].min(), values[known].max(), 5)
        bar.set_ticks(ticks, labels=_times(ticks))
    bar.ax.tick_params(labelsize="x-small")


def _times(seconds: np.ndarray) -> list[str]:
    """Dates, with the time of day where they lie within days, and seconds within minutes."""
    long = np.ptp(seconds)
    digits = 10 if long > 5 * 86400 else 16 if long > 600 else 19
    return [str(np.datetime64(int(one * 1e9), "ns"))[:digits].replace("T", "\n") for one in seconds]


def _by_kind(panel: Axes, places: np.ndarray, colors: Colors) -> None:
    kinds, counts = np.unique(colors.values.astype(str), return_counts=True)
    order = np.argsort(-counts, kind="stable")
    named = kinds[order][: len(_KINDS)]
    looks = {"s": _size(len(places)), "linewidths": 0, "alpha": 0.75, "rasterized": True}
    rest = ~np.isin(colors.values.astype(str), named)
    if rest.any():
        panel.scatter(*places[rest].T, color=_OTHERS, label=f"{len(kinds) - len(named)} others ({rest.sum()})", **looks)
    for kind, color, count in zip(named, _KINDS, counts[order], strict=False):
        at = places[colors.values.astype(str) == kind]
        panel.scatter(*at.T, color=color, label=f"{plain(kind or 'unnamed', 30)} ({count})", **looks)


def _size(n: int) -> float:
    """Area of a point: small where there are many."""
    return float(np.clip(20000 / max(n, 1), 2, 14))


def _marks(panel: Axes, places: np.ndarray, marks: MapMarks, style: Style) -> None:
    looks: tuple[tuple[str, np.ndarray, dict[str, Any]], ...] = (
        ("known event", marks.event, {"marker": "s", "s": 42, "facecolors": "none", "edgecolors": style.event}),
        ("does not stand out", marks.faint, {"marker": "o", "s": 46, "facecolors": "none", "edgecolors": "0.45"}),
        ("match", marks.match, {"marker": "o", "s": 46, "facecolors": "none", "edgecolors": style.match}),
        ("query", marks.query, {"marker": "*", "s": 190, "color": style.query, "edgecolors": "black"}),
    )
    for name, rows, look in looks:
        rows = rows[np.isfinite(places[rows]).all(axis=1)]
        if len(rows):
            width = 0.7 if name == "query" else 1.4
            panel.scatter(*places[rows].T, label=f"{name} ({len(rows)})", linewidths=width, zorder=3, **look)
