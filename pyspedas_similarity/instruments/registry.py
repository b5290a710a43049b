"""The one list of instruments: name -> loader and image recipe.

A new instrument is a file here with a ``load`` function, and a line in `INSTRUMENTS`.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ..errors import ArgumentError
from ..imaging.recipes import DistributionRecipe, FrameRecipe, Recipe, SpectrumRecipe
from ..simulate import allsky, fpi
from ..tplot import Variable
from . import elfin_epd, identification, mms_fpi, rbsp_hope, simulated_fpi, themis_asi
from .segments import Piece, Segment


@dataclass(frozen=True)
class Instrument:
    """Loader and recipe of an instrument.

    Attributes
    ----------
    title : str
    load : callable
        ``load(trange, probe=..., suffix=..., **keywords) -> list of tplot names``; those that can be encoded come first
        and match `variables`.
    recipe : Recipe
    variables : str
        Glob of the tplot names that can be encoded.
    station : str
        Regular expression that finds the group ``probe`` or ``site`` in such a name.
    segments : callable or None
        ``segments(trange, probe=..., **keywords) -> iterator of Segment``: the same data piece by piece, for ranges of
        any length. Preferred to `load` where it is there.
    pieces : callable or None
        ``pieces(trange, probe=..., **keywords) -> iterator of Piece``: the files that `segments` goes through, each of
        which it reads alone with ``piece=``. With `segments` only.
    all_sky : bool
        True if its frames are those of an all-sky camera, of which only the usable ones are searched by
        otherwise.
    """

    title: str
    load: Callable[..., list[str]]
    recipe: Recipe
    variables: str
    station: str
    segments: Callable[..., Iterator[Segment]] | None = None
    pieces: Callable[..., Iterator[Piece]] | None = None
    all_sky: bool = False


# Chosen by the table of recipes in docs/benchmarks: the axes of the field first, then what takes flow, temperature and
# density out, the agyrotropy channel, and leaving photoelectrons out. A Maxwellian has 0.18 n / v^3 at its center and
# 1e-3 of that beyond 2.6 thermal speeds.
ELECTRONS = DistributionRecipe(
    species="electron",
    planes=("perp1-perp2", "par-perp1", "par-perp2"),
    speed_unit="thermal",
    speed_max=4.0,
    depth=1,
    subtract_velocity=True,
    density_unit="thermal",
    floor=1e-3,
    ceiling=1.0,
    agyrotropy=True,
    energy_min_ev=30.0,
)

# HOPE reaches from 15 or 25 eV to 52 keV. Electron samples of its table of nine energies hold nothing below 320 eV and
# so are unlike all others; a recipe with energies from 320 eV compares both. ELFIN's electrons, in keV, reach from 50
# to the open channel above 5800.
_HOPE = SpectrumRecipe(energy_range=(15.0, 50000.0))
_ELFIN = SpectrumRecipe(energy_range=(50.0, 5800.0))

_IONS, _FRAMES = DistributionRecipe(), FrameRecipe()
_MMS, _THEMIS = r"(?P<probe>mms\d)_", r"thg_as[ft]_(?P<site>[a-z]{4})"
# 'simulated_asf' is of no real site, 'simulated_asf_fsmi' of a simulated camera there.
_SIMULATED, _SIMULATED_PROBE = r"(?:simulated_asf_)?(?P<site>[a-z]{4,9})", r"(?P<probe>simulated\d)_"
_RBSP, _ELFIN_PROBE = r"(?P<probe>rbsp[ab])_", r"(?P<probe>el[ab])_"

INSTRUMENTS = {
    "mms_dis": Instrument(
        "MMS FPI ions",
        mms_fpi.load_ions,
        _IONS,
        "mms?_dis_dist_*",
        _MMS,
        mms_fpi.segments_ions,
        mms_fpi.pieces_ions,
    ),
    "mms_des": Instrument(
        "MMS FPI electrons",
        mms_fpi.load_electrons,
        ELECTRONS,
        "mms?_des_dist_*",
        _MMS,
        mms_fpi.segments_electrons,
        mms_fpi.pieces_electrons,
    ),
    "themis_asi": Instrument(
        "THEMIS all-sky imagers",
        themis_asi.load,
        _FRAMES,
        "thg_as[ft]_????*",
        _THEMIS,
        themis_asi.segments,
        themis_asi.pieces,
        all_sky=True,
    ),
    "rbsp_hope_electrons": Instrument(
        "Van Allen Probes HOPE electrons", rbsp_hope.load_electrons, _HOPE, "rbsp?_*hope*_FEDU*", _RBSP
    ),
    "rbsp_hope_protons": Instrument(
        "Van Allen Probes HOPE protons", rbsp_hope.load_protons, _HOPE, "rbsp?_*hope*_FPDU*", _RBSP
    ),
    "elfin_epd": Instrument(
        "ELFIN energetic electrons", elfin_epd.load, _ELFIN, "el[ab]_pef_[hf]s_Epat_nflux*", _ELFIN_PROBE
    ),
    "simulated_dis": Instrument("simulated MMS FPI ions", fpi.load, _IONS, "simulated?_dis_dist_*", _SIMULATED_PROBE),
    "simulated_des": Instrument(
        "simulated MMS FPI electrons",
        fpi.load_electrons,
        ELECTRONS,
        "simulated?_des_dist_*",
        _SIMULATED_PROBE,
        simulated_fpi.segments_electrons,
    ),
    "simulated_asi": Instrument(
        "simulated all-sky imagers", allsky.load, _FRAMES, "simulated_asf*", _SIMULATED, all_sky=True
    ),
}

# What points to an instrument in names that are not exactly those of its loader, and in the metadata of its files.
_CLUES = {
    "mms_dis": r"dis[_-]dist|fpi\w*[_-]dis(?![a-z])",
    "mms_des": r"des[_-]dist|fpi\w*[_-]des(?![a-z])",
    "rbsp_hope_electrons": r"(?<!rept_)(?<!mageis_)FEDU|hope.*electron",
    "rbsp_hope_protons": r"(?<!rept_)FPDU|hope.*proton",
    "elfin_epd": r"el[ab]_\w*e?pat|epat_|elfin|el[ab]_l2_epd",
}


def instrument_named(name: str) -> Instrument:
    """The registered instrument of this name; ArgumentError with the names there are if there is none."""
    if not isinstance(name, str) or name not in INSTRUMENTS:
        raise ArgumentError("instrument", f"found {name!r:.80}", f"Give one of {', '.join(INSTRUMENTS)}.")
    return INSTRUMENTS[name]


def instrument_of(variable: Variable) -> Instrument | None:
    """The instrument whose variables are called like this one, or None."""
    for instrument in INSTRUMENTS.values():
        if fnmatch.fnmatchcase(variable.name, instrument.variables):
            return instrument
    return None


def is_all_sky(variable: Variable, instrument: str | None = None) -> bool:
    """Return True if a variable is of a registered all-sky camera, whose usable frames only are searched by default."""
    known = instrument_named(instrument) if instrument else instrument_of(variable)
    return known is not None and known.all_sky


def recipe_of(variable: Variable, instrument: str | None = None) -> Recipe:
    """The recipe for a variable: its instrument's, or that of frames where nothing speaks against them.

    Raises
    ------
    VariableError
        If neither name nor content identify it; registered instruments and recipes in question are named.
    """
    known = instrument_named(instrument) if instrument else instrument_of(variable)
    if known is not None:
        return known.recipe
    if identification.may_be_frames(variable):
        identification.check_camera_frames(variable)  # a spectrograph
        return FrameRecipe()
    raise identification.unidentified(variable, _pointed_to(variable))


def _pointed_to(variable: Variable) -> dict[str, str]:
    """Registered instruments that a variable's name or metadata point to, with the kind of their images."""
    texts = " ".join(identification.source_texts(variable))
    return {
        name: INSTRUMENTS[name].recipe.kind for name, clue in _CLUES.items() if re.search(clue, texts, re.IGNORECASE)
    }


def station_of(variable: Variable) -> dict[str, str]:
    """Return {'probe': name} or {'site': name} from the variable's name; empty if it has none."""
    instrument = instrument_of(variable)
    found = re.match(instrument.station, variable.name) if instrument else None
    return found.groupdict() if found else {}
