"""Style of figures, and labels of axes and color bars from the metadata of a variable."""

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
from ..imaging.keogram import Keogram
from ..tplot import Variable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_LONGEST = 60
# Of the color-blind safe palette of Okabe and Ito (2008).
QUERY_COLOR = "#D55E00"
MATCH_COLOR = "#009E73"
# Powers as IDL writes them (!E-1!N, !U2!N), behind ^ or **, and as a signed number right after a letter (cm-3).
_POWER = re.compile(
    r"![EU](?P<idl>[-+.\d/]+)!N(?P<next>(?=[^\W\d]))?"
    r"|(?:\^|\*\*)[{(]?(?P<typed>[-+]?\d+(?:[./]\d+)?)[)}]?"
    r"|(?<=[A-Za-z])(?P<bare>-\d+)\b"
)
_KEYS = {"v": "depend_1_units", "v1": "depend_1_units", "v2": "depend_2_units", "v3": "depend_3_units"}
_UP = {"row": "north", "latitude": "north", "column": "east", "longitude": "east"}


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
    """Return a figure, written to a file if a path is given; an existing file is replaced only if it can be drawn.

    ArgumentError if it cannot be written, or matplotlib does not support the format of the ending.
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


def units_text(units: str, longest: int = 60) -> str:
    """Units for a label: powers as superscripts, all else as it is; empty where there are none."""

    def raised(found: re.Match[str]) -> str:
        power = found["idl"] or found["typed"] or found["bare"]
        return f"$^{{{power}}}${' ' if found['next'] is not None else ''}"

    return _POWER.sub(raised, plain(units.strip(), longest))


def brightness_unit(frames: Variable) -> str:
    """Return the label of the brightness of camera frames: their units as stored."""
    return units_text(frames.units) or "brightness, no unit stored"


def flux_unit(spectra: Variable) -> str:
    """Return the label of the values of spectra: their units as stored."""
    return units_text(spectra.units) or "no unit stored"


def bins_label(variable: Variable, key: str, otherwise: str = "energy") -> str:
    """Return the label of the axis of a table `key`, 'v' to 'v3', by the units that pyspedas keeps of it.

    `otherwise` is the quantity where the units do not say it.
    """
    units = str(variable.attributes.get("data_att", {}).get(_KEYS[key]) or "").strip(" []()")
    if "ev" in units.lower():
        return f"energy ({units_text(units)})"
    if units.lower().endswith("hz"):
        return f"frequency ({units_text(units)})"
    if re.fullmatch(r"k?m\s*(/\s*s|s\^?-1)", units):
        return f"velocity ({units_text(units)})"
    return otherwise


def slice_label(made: Keogram, frames: Variable, title: str = "keogram") -> str:
    """Return the label of the axis of a keogram or ewogram (`title`), with the direction that is up if known."""
    up = _UP.get(made.name, "north" if title == "keogram" else "east")
    if made.units == "deg":
        return f"{made.name} (deg), {up} up"
    known = {"row": "first_row", "column": "first_column"}[made.name] in frames.attributes.get("data_att", {})
    edge = "from the bottom" if made.name == "row" else "from the left"
    return f"{made.name}, {up} up" if known else f"{made.name} {edge}"
