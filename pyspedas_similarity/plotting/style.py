"""Style of figures: colors and sizes by keyword, fonts by matplotlib's rcParams."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, fields
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ArgumentError
from ..files import check_place, write_whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_LONGEST = 60
# Of the color-blind safe palette of Okabe and Ito (2008).
QUERY_COLOR = "#D55E00"
MATCH_COLOR = "#009E73"


@dataclass(frozen=True)
class Style:
    """Style options of figures; everything else follows ``matplotlib.rcParams``.

    Attributes
    ----------
    cmap : str
        Colors of what was measured; of frames 'gray' unless it is given.
    diverging : str
        Colors of what may be above or below zero.
    query, match, event : str
        Colors of the marks. The defaults are of the palette of Okabe and Ito (2008), safe for color-blind readers.
    figsize : (float, float) or None
        Inches; None: as the number of panels asks for.
    dpi : float
        Of a file that is written.
    title : str or None
        None: the picture's own.
    """

    cmap: str | None = None
    diverging: str = "PuOr_r"
    query: str = QUERY_COLOR
    match: str = MATCH_COLOR
    event: str = "#0072B2"
    figsize: tuple[float, float] | None = None
    dpi: float = 150.0
    title: str | None = None

    @classmethod
    def of(cls, keywords: Mapping[str, Any]) -> Style:
        """The style that keywords of a verb ask for; ArgumentError where there is no such choice."""
        from matplotlib import colormaps
        from matplotlib.colors import is_color_like

        known = [one.name for one in fields(cls)]
        unknown = [key for key in keywords if key not in known]
        if unknown:
            raise ArgumentError(", ".join(unknown), "a picture has no such choice", f"There are {', '.join(known)}.")
        style = cls(**keywords)
        for key in ("cmap", "diverging"):
            name = getattr(style, key)
            if name is not None and name not in colormaps:
                raise ArgumentError(key, f"found {name!r:.60}", "Give the name of a color map of matplotlib.")
        for key in ("query", "match", "event"):
            if not is_color_like(getattr(style, key)):
                raise ArgumentError(key, f"found {getattr(style, key)!r:.60}", "Give a color, as '#009E73'.")
        return style

    def size(self, width: float, height: float) -> tuple[float, float]:
        """Return the figure size in inches: the chosen one, or the given default."""
        return (width, height) if self.figsize is None else self.figsize

    def heading(self, own: str) -> str:
        """The title, as text that is drawn as it is."""
        return plain(own if self.title is None else self.title, 160)


def plain(text: object, longest: int = _LONGEST) -> str:
    """Text from names and metadata as it is: no formula of matplotlib, no line break, not too long for a title."""
    tidy = _CONTROL.sub("\ufffd", str(text))
    shown = tidy if len(tidy) <= longest else f"{tidy[: longest - 1]}…"
    return shown.replace("$", r"\$")


def color_limits(values: np.ndarray, lowest: float, highest: float) -> tuple[float, float]:
    """Return percentiles of the finite values as the ends of a color scale; 0 and 1 where there are none."""
    known = values[np.isfinite(values)]
    low, high = np.percentile(known, (lowest, highest)) if known.size else (0.0, 1.0)
    return float(low), float(high if high > low else low + 1)


def saved(figure: Figure, path: str | Path | None, style: Style) -> Figure:
    """Return a figure, written to a file if a path is given; its ending gives the format.

    An existing file is replaced. Nothing is left if the figure cannot be drawn.

    Raises
    ------
    ArgumentError
        If it cannot be written, or matplotlib does not support the format.
    """
    if path is None:
        return figure
    place = Path(path).expanduser()
    known = figure.canvas.get_supported_filetypes()
    form = place.suffix[1:].lower()
    if form not in known:
        raise ArgumentError(f"path {place}", f"found the ending {place.suffix!r}", "Give .png, .pdf or .svg.")
    check_place(place, (place.suffix.lower(),), overwrite=True)
    drawn = BytesIO()
    with warnings.catch_warnings():
        # A font may lack letters of a name; a box is drawn in their place.
        warnings.filterwarnings("ignore", "Glyph .* missing", UserWarning)
        figure.savefig(drawn, format=form, dpi=style.dpi)
    write_whole(place, drawn.getvalue(), overwrite=True)
    return figure
