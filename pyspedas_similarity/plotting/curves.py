"""The learning curves of an encoder as a picture, from its card alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import EncoderError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ..encoder.cards import Card

_PANELS = {
    "loss": "loss",
    "held_out_precision": "mean average precision\nof held-out partners",
    "std_of_normalized": "spread of\nunit-length embeddings",
    "effective_rank": "effective rank",
}
_CURVE, _LEVEL, _KEPT = "#1f4e79", "0.55", "#c4432b"


def plot_curves(card: Card, path: str | Path | None = None) -> Figure:
    """Draw how training went, epoch by epoch.

    Parameters
    ----------
    card : Card
        Of a trained encoder.
    path : str or pathlib.Path, optional
        Picture to write; its ending gives the format.

    Returns
    -------
    matplotlib.figure.Figure
        One panel each for the loss, the precision of held-out partners where it was judged by, spread and effective
        rank. A gray level marks the network before training, a red line the epoch that was kept.

    Raises
    ------
    EncoderError
        The card has no learning curves.
    """
    from matplotlib.figure import Figure

    record = card.training
    curves = record.get("curves")
    if not curves:
        raise EncoderError(f"encoder {card.name}", "no learning curves on its card", "Give one that was trained.")
    drawn = [name for name in _PANELS if any(value is not None for value in curves[name])]
    figure = Figure(figsize=(6.4, 0.8 + 1.6 * len(drawn)), layout="constrained")
    panels = figure.subplots(len(drawn), 1, sharex=True, squeeze=False)[:, 0]
    for panel, name in zip(panels, drawn, strict=True):
        _draw(panel, name, record)
    panels[0].set_title(_heading(card), fontsize="medium", loc="left")
    panels[-1].legend(fontsize="x-small")
    panels[-1].set_xlabel("epoch")
    panels[-1].xaxis.get_major_locator().set_params(integer=True)
    if path is not None:
        figure.savefig(path, dpi=150)
    return figure


def _draw(panel: Axes, name: str, record: dict[str, Any]) -> None:
    values = np.array([np.nan if value is None else value for value in record["curves"][name]], float)
    epochs = np.arange(1, len(values) + 1)
    panel.plot(epochs, values, ".-", color=_CURVE, label="each epoch")
    before = record["untrained"].get(name)
    if before is not None:
        panel.axhline(before, color=_LEVEL, linestyle="--", label="before training")
    panel.axvline(record["best_epoch"], color=_KEPT, linewidth=1, label=f"kept: epoch {record['best_epoch']}")
    panel.set_ylabel(_PANELS[name], fontsize="small")
    panel.grid(color="0.92")
    panel.set_axisbelow(True)
    if name != "loss":
        panel.set_ylim(bottom=0)  # so that a small wobble looks small


def _heading(card: Card) -> str:
    record = card.training
    ended = {
        "plan": "as planned",
        "patience": "no longer improving",
        "collapse": "collapsed",
        "divergence": "loss not finite",
        "interrupt": "interrupted",
    }[record["ended_by"]]
    plan = record["plan"]
    found = f"{card.name}: {plan['method']}, {plan['backbone']}, {record['n_samples']} images"
    return f"{found}\nended after {record['epochs_done']} epochs, {ended}"
