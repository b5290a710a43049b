"""The seed beside its matches, as the encoder saw them and, for frames, as they were measured."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..imaging.recipe import DistributionRecipe, Recipe
from ..products import ATTRIBUTE
from ..sources.tplot_variable import images, select
from ..tplot import Variable
from .series import MATCH_COLOUR, SEED_COLOUR

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST = 7


def plot_gallery(source: Variable, bars: Variable, seed: Variable, recipe: Recipe, path: Path, title: str = "") -> Path:
    """Draw the seed and the best sample of each match side by side.

    Parameters
    ----------
    source : Variable
        The one that was searched.
    bars : Variable
        ``X_similar``.
    seed : Variable
        The seed's samples; of several, the middle one is drawn.
    recipe : Recipe
        How images were made.
    path : Path
        Picture to write; its ending says the format.
    title : str

    Returns
    -------
    Path
        Where it was written.
    """
    from matplotlib.figure import Figure

    found = bars.attributes[ATTRIBUTE]["intervals"]
    peaks = np.array(found["peak_ns"][:_MOST], "datetime64[ns]")
    middle = slice(len(seed.times) // 2, len(seed.times) // 2 + 1)
    shown = [select(seed, middle), *(select(source, np.flatnonzero(source.times == peak)[:1]) for peak in peaks)]
    headings = ["seed", *(f"{score:.3f}" for score in found["score"][:_MOST])]
    rows = _rows(recipe)
    figure = Figure(figsize=(1.6 * len(shown) + 0.6, 1.75 * len(rows) + 0.7), layout="constrained")
    panels = figure.subplots(len(rows), len(shown), squeeze=False)
    for column, (sample, heading) in enumerate(zip(shown, headings, strict=True)):
        picture = next(images(sample, recipe))[0]
        for row, kind in enumerate(rows):
            _draw(panels[row, column], sample, picture, kind, recipe)
            if column == 0:
                panels[row, column].set_ylabel(kind if kind != "frame" else "measured", fontsize="small")
        text = f"{heading}\n{str(sample.times[0])[11:23]}"
        panels[0, column].set_title(text, fontsize="small", color=SEED_COLOUR if column == 0 else "black")
        _frame(panels[:, column], SEED_COLOUR if column == 0 else MATCH_COLOUR)
    figure.suptitle(title or source.name, fontsize="medium")
    figure.supxlabel(_legend(recipe), fontsize="small")
    figure.savefig(path, dpi=120)
    return Path(path)


def _rows(recipe: Recipe) -> tuple[str, ...]:
    return recipe.planes if isinstance(recipe, DistributionRecipe) else ("frame", "as encoded")


def _legend(recipe: Recipe) -> str:
    if isinstance(recipe, DistributionRecipe):
        return f"planes of velocity to {recipe.speed_max:g} km/s; above: similarity and time of the best sample"
    return "above: similarity and time of the best frame"


def _draw(panel: Axes, sample: Variable, picture: np.ndarray, kind: str, recipe: Recipe) -> None:
    panel.set_xticks([])
    panel.set_yticks([])
    if isinstance(recipe, DistributionRecipe):
        edge = recipe.speed_max
        extent = (-edge, edge, -edge, edge)
        panel.imshow(picture[recipe.planes.index(kind)], origin="lower", extent=extent, cmap="viridis", vmin=0, vmax=1)
        panel.axhline(0, color="white", linewidth=0.3)
        panel.axvline(0, color="white", linewidth=0.3)
    elif kind == "frame":
        frame = sample.values[0].astype(np.float64)
        low, high = np.nanpercentile(frame, (1, 99.5))
        panel.imshow(frame, cmap="gray", vmin=low, vmax=max(high, low + 1))
    else:
        panel.imshow(picture[0], cmap="gray", vmin=-2, vmax=3)


def _frame(panels: np.ndarray, colour: str) -> None:
    for panel in panels:
        for spine in panel.spines.values():
            spine.set(color=colour, linewidth=1.5)
