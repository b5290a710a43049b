"""A page of matches as one picture, for those who judge them at a shell."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from .report_page.content import Card
from .style import MATCH_COLOR, QUERY_COLOR

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLUMNS = 6


def plot_contact_sheet(cards: Sequence[Card], path: str | Path | None = None, title: str = "") -> Figure:
    """Draw cards side by side, each with its first picture, title, score and time.

    Parameters
    ----------
    cards : sequence of Card
        Queries are those without a row.
    path : str or Path, optional
        Picture to write; its ending gives the format.
    title : str
    """
    from matplotlib.figure import Figure

    rows = -(-len(cards) // _COLUMNS)
    figure = Figure(figsize=(1.9 * _COLUMNS, 2.4 * rows + 0.4), layout="constrained")
    panels = figure.subplots(rows, _COLUMNS, squeeze=False).ravel()
    for panel in panels[len(cards) :]:
        panel.axis("off")
    for panel, card in zip(panels, cards, strict=False):
        _draw(panel, card)
    figure.suptitle(title, fontsize="medium")
    if path is not None:
        figure.savefig(path, dpi=110)
    return figure


def _draw(panel: Axes, card: Card) -> None:
    import matplotlib.image

    panel.set_xticks([])
    panel.set_yticks([])
    # Names may hold what matplotlib takes for mathematics.
    text = f"{card.title}  {card.score}\n{card.when}".replace("$", r"\$")
    panel.set_title(text, fontsize="small")
    for spine in panel.spines.values():
        spine.set(color=QUERY_COLOR if card.row is None else MATCH_COLOR, linewidth=2)
    if card.pictures:
        panel.imshow(matplotlib.image.imread(BytesIO(card.pictures[0].png), format="png"))
    else:
        panel.text(0.5, 0.5, "no picture", ha="center", transform=panel.transAxes)
