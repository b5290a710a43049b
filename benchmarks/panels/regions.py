"""Windows of ion spectrograms of six regions, as in the benchmark of retrieval: a window finds those of its region."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.data_sets.tasks import DataSet
from benchmarks.data_sets.windows import REGION_CADENCE_S, REGION_ENERGY_EV, make_regions, read_regions
from benchmarks.panels.methods import (
    COMPONENTS,
    POINTS,
    optional,
    principal_axes,
    unit,
    warped,
    z_normalized,
)
from benchmarks.retrieval.measures import Scores, relative
from benchmarks.retrieval.run import sample_of
from pyspedas_similarity.encoder.panel_features import block_weight
from pyspedas_similarity.encoder.structure import block_slices
from pyspedas_similarity.encoder.weights import default_encoder
from pyspedas_similarity.imaging.panels import Grid, cell_means
from pyspedas_similarity.imaging.recipes import PanelRecipe
from pyspedas_similarity.instruments.panels import Panel, panel_of
from pyspedas_similarity.library.panels import PanelSeries
from pyspedas_similarity.search.reference import KIND, Reference, Sample, sampled_rows
from pyspedas_similarity.times import Span
from pyspedas_similarity.tplot import Variable

_START = np.datetime64("2000-01-01", "ns")


def read_windows(data: Path) -> tuple[DataSet, Panel, list[Span]]:
    """Return the data set, and its windows one after another as a panel, with their intervals.

    Between two windows there is a gap of their length, so that nothing is interpolated from one to the next.
    """
    flux = read_regions(data).flux
    number, samples = flux.shape[:2]
    step = np.timedelta64(round(REGION_CADENCE_S * 1e9), "ns")
    places = (2 * samples * np.arange(number)[:, None] + np.arange(samples)).ravel()
    variable = Variable("regions", _START + places * step, flux.reshape(number * samples, -1), {"v": REGION_ENERGY_EV})
    starts = _START + 2 * samples * step * np.arange(number) - step // 2
    return make_regions(data), panel_of(variable, PanelRecipe()), [Span(one, one + samples * step) for one in starts]


def labels(data: Path) -> np.ndarray:
    """Return the number of the region of each window, an index into `windows.REGIONS`."""
    return read_regions(data).label


def ours(panel: Panel, spans: list[Span], recipe: PanelRecipe) -> Scores:
    """Return scores by the package's features of windows, relative to all of them."""
    recipe = PanelRecipe(length_s=float((spans[0].end - spans[0].start) / np.timedelta64(1, "s")), values=recipe.values)
    series = PanelSeries("regions", [panel], recipe, spans[0].start)
    made = np.concatenate([series.embedding_of(one) for one in spans])
    made -= made.mean(axis=0)
    blocks = {one.name: one.part for one in series.blocks}
    weights = {one.name: block_weight(one.name, panel.kind) for one in series.blocks}
    rows = sampled_rows(len(made), made.shape[1])
    # A search takes no differences between successive windows, because they overlap.
    following = np.full((len(rows), made.shape[1]), np.nan, np.float32)
    return relative(made, Reference(Sample(made[rows], following, blocks), KIND, weights))


def structure(data: DataSet) -> Scores:
    """Return scores by the default encoder of images, relative to all of them."""
    encoder = default_encoder(data.recipe.kind, data.recipe.hash)
    embeddings = encoder.encode(data.draw(data.recipe))
    blocks = block_slices(embeddings.shape[1], encoder.card.blocks)
    return relative(embeddings, Reference(sample_of(embeddings, data, blocks)))


def cells(panel: Panel, spans: list[Span]) -> np.ndarray:
    """Return the windows (n, channels, points) in cells of 1/32 of their length."""
    found = []
    for span in spans:
        rows = slice(*np.searchsorted(panel.times, [span.start, span.end]))
        grid = Grid(span.start, float((span.end - span.start) / np.timedelta64(1, "ns")) / POINTS, POINTS)
        found.append(cell_means(panel.times[rows], panel.values[rows], grid).means.T)
    return np.stack(found).astype(np.float64)


def z_scored(windows: np.ndarray) -> np.ndarray:
    """Return windows (n, channels, points) of channels less their means, over their standard deviations."""
    spread = windows.std(axis=(0, 2), keepdims=True)
    return (windows - windows.mean(axis=(0, 2), keepdims=True)) / np.where(spread > 0, spread, 1)


def by_correlation(windows: np.ndarray) -> Scores:
    """Return the negative sum over channels of z-normalized distances: what MASS computes."""
    normal = z_normalized(windows)

    def scores(rows: np.ndarray) -> np.ndarray:
        squares = 2 * (windows.shape[2] - np.einsum("qcp,ncp->qnc", normal[rows], normal, optimize=True))
        return -np.sqrt(np.maximum(squares, 0)).sum(axis=2)

    return scores


def by_distance(windows: np.ndarray) -> Scores:
    """Return the negative Euclidean distance of z-scored channels."""
    flat = z_scored(windows).reshape(len(windows), -1)
    return lambda rows: -np.linalg.norm(flat[rows][:, None] - flat[None], axis=2)


def by_components(windows: np.ndarray) -> Scores:
    """Return the cosine of principal components of stacked windows."""
    flat = z_scored(windows).reshape(len(windows), -1)
    center, axes = principal_axes(flat)
    made = unit((flat - center) @ axes[:, :COMPONENTS])
    return lambda rows: made[rows] @ made.T


def by_warping(windows: np.ndarray) -> Scores:
    """Return the negative distance by dynamic time warping of z-normalized windows."""
    optional("tslearn.metrics")
    normal = np.ascontiguousarray(z_normalized(windows).swapaxes(1, 2))
    return lambda rows: -warped(normal[rows], normal)


def methods(data: DataSet, panel: Panel, spans: list[Span]) -> dict[str, Callable[[], Scores]]:
    """Return the methods by name."""
    windows = cells(panel, spans)
    return {
        "ours": lambda: ours(panel, spans, PanelRecipe()),
        "ours, shape": lambda: ours(panel, spans, PanelRecipe(values="shape")),
        "structure": lambda: structure(data),
        "MASS": lambda: by_correlation(windows),
        "Euclidean": lambda: by_distance(windows),
        "PCA": lambda: by_components(windows),
        "DTW": lambda: by_warping(windows),
    }
