r"""The stored looks of pictures.

A picture is compared by what it shows, not by its bytes: fonts, freetype and the placement of labels differ from one
machine to the next, and the bytes with them. Each panel is drawn alone, without any text, filling a small square, and
averaged to 12 x 12 colors; these are compared within a tolerance that anti-aliasing stays below and a visible change
does not. Limits of axes are compared as numbers, texts (titles, labels, legends) to the letter.

PYSPEDAS_SIMILARITY_WRITE_LOOKS=1 writes the stored looks anew; look at the pictures before you keep them:
``python -m benchmarks.gallery_pictures FOLDER``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

LOOKS = Path(__file__).parent / "looks"
SIDE, PIXELS = 12, 120
MOST, MOST_MEAN = 30, 2.0
"""Of 255: by how much one of the 12 x 12 cells, and all of them on average, may differ."""


def look_of(figure: Any) -> dict[str, Any]:
    """What a figure shows; the figure is taken apart for it."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # so that limits and color bars are settled
    panels = list(figure.axes)
    found = {"texts": _texts(figure), "limits": [_limits(panel) for panel in panels], "panels": []}
    figure.set_layout_engine("none")
    figure.set_dpi(100)
    figure.set_size_inches(PIXELS / 100, PIXELS / 100)
    for one in [*figure.texts, *figure.legends]:
        one.set_visible(False)
    for panel in panels:
        _bare(panel)
    for panel in panels:
        for other in panels:
            other.set_visible(other is panel)
        canvas.draw()
        pixels = np.asarray(canvas.buffer_rgba())[..., :3].astype(float)
        cells = pixels.reshape(SIDE, PIXELS // SIDE, SIDE, PIXELS // SIDE, 3).mean(axis=(1, 3))
        found["panels"].append(cells.round().astype(np.uint8).tobytes().hex())
    return found


def _texts(figure: Any) -> list[str]:
    parts = [*figure.texts, *(text for legend in figure.legends for text in legend.get_texts())]
    for panel in figure.axes:
        parts += [panel.title, panel._left_title, panel.xaxis.label, panel.yaxis.label, *panel.texts]
        legend = panel.get_legend()
        parts += legend.get_texts() if legend is not None else []
    return [one.get_text() for one in parts if one.get_text()]


def _limits(panel: Any) -> list[float]:
    return [float(f"{one:.7g}") for one in (*panel.get_xlim(), *panel.get_ylim())]


def _bare(panel: Any) -> None:
    """Without text, and as large as the figure."""
    panel.set_axes_locator(None)
    panel.set_aspect("auto")
    panel.set_position([0, 0, 1, 1])
    for axis in (panel.xaxis, panel.yaxis):
        axis.set_visible(False)
    for one in (panel.title, panel._left_title, panel._right_title, *panel.texts):
        one.set_visible(False)
    if panel.get_legend() is not None:
        panel.get_legend().set_visible(False)


def differences(look: dict[str, Any], stored: dict[str, Any]) -> list[str]:
    """What is not as it was stored, in words."""
    found = []
    if look["texts"] != stored["texts"]:
        found.append(f"texts: {sorted(set(look['texts']) ^ set(stored['texts']))}")
    if len(look["panels"]) != len(stored["panels"]):
        return [*found, f"{len(look['panels'])} panels in place of {len(stored['panels'])}"]
    for number, (mine, theirs) in enumerate(zip(look["limits"], stored["limits"], strict=True)):
        if not np.allclose(mine, theirs, rtol=1e-4, atol=1e-12):
            found.append(f"limits of panel {number}: {mine} in place of {theirs}")
    for number, pair in enumerate(zip(look["panels"], stored["panels"], strict=True)):
        mine, theirs = (np.frombuffer(bytes.fromhex(one), np.uint8).astype(float) for one in pair)
        apart = np.abs(mine - theirs)
        if apart.max() > MOST or apart.mean() > MOST_MEAN:
            found.append(f"picture of panel {number}: by {apart.max():.0f} at most, {apart.mean():.1f} on average")
    return found


@pytest.fixture
def compared() -> Callable[[Any, str], list[str]]:
    """Give what differs between a figure and its stored look; writes it where that is asked for."""

    def compare(figure: Any, name: str) -> list[str]:
        look, place = look_of(figure), LOOKS / f"{name}.json"
        if os.environ.get("PYSPEDAS_SIMILARITY_WRITE_LOOKS") == "1":
            place.write_text(json.dumps(look, indent=1) + "\n", encoding="utf-8")
        return differences(look, json.loads(place.read_text(encoding="utf-8")))

    return compare


@pytest.fixture
def changed() -> Callable[[Any, str], list[str]]:
    """The same for a figure that was changed on purpose: it is never stored."""

    def compare(figure: Any, name: str) -> list[str]:
        return differences(look_of(figure), json.loads((LOOKS / f"{name}.json").read_text(encoding="utf-8")))

    return compare
