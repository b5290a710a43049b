"""Labels of axes and color bars: what a variable's metadata say, in readable form, and nothing that they do not say."""

from __future__ import annotations

import re

from ..imaging.keogram import Keogram
from ..tplot import Variable
from .style import plain

# Powers as IDL writes them (!E-1!N, !U2!N), behind ^ or **, and as a signed number right after a letter (cm-3).
_POWER = re.compile(
    r"![EU](?P<idl>[-+.\d/]+)!N(?P<next>(?=[^\W\d]))?"
    r"|(?:\^|\*\*)[{(]?(?P<typed>[-+]?\d+(?:[./]\d+)?)[)}]?"
    r"|(?<=[A-Za-z])(?P<bare>-\d+)\b"
)
_KEYS = {"v": "depend_1_units", "v1": "depend_1_units", "v2": "depend_2_units", "v3": "depend_3_units"}
_UP = {"row": "north", "latitude": "north", "column": "east", "longitude": "east"}


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
    """Label of the axis of a table of energies or velocities, by the units that pyspedas keeps of it.

    Parameters
    ----------
    variable : Variable
    key : {'v', 'v1', 'v2', 'v3'}
    otherwise : str
        The quantity where the units do not say it.
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
    """Label of the axis of a keogram or ewogram: with the direction that is up, where it is known.

    Parameters
    ----------
    made : Keogram
        Of `instruments.frames.north_up`.
    frames : Variable
        Says by ``first_row`` and ``first_column`` where its rows and columns lie.
    title : {'keogram', 'ewogram'}
    """
    up = _UP.get(made.name, "north" if title == "keogram" else "east")
    if made.units == "deg":
        return f"{made.name} (deg), {up} up"
    known = {"row": "first_row", "column": "first_column"}[made.name] in frames.attributes.get("data_att", {})
    edge = "from the bottom" if made.name == "row" else "from the left"
    return f"{made.name}, {up} up" if known else f"{made.name} {edge}"
