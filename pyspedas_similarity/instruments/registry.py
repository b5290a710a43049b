"""The one list of instruments: name -> loader and image recipe.

A new instrument is a file here with a ``load`` function, and a line in `INSTRUMENTS`.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from ..errors import ArgumentError
from ..imaging.recipes import DistributionRecipe, FrameRecipe, PanelRecipe, Recipe, SpectrumRecipe
from ..simulate import allsky, fpi
from ..tplot import Variable, preserved, read
from . import (
    cluster_cis,
    elfin_epd,
    erg_particles,
    identification,
    images,
    mms_fpi,
    mms_hpca,
    oath,
    panel_products,
    rbsp_hope,
    themis_asi,
)
from .companions import find_companions
from .segments import Piece, Segment

_DAY = np.timedelta64(1, "D")


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
    together : tuple of str
        Globs of further variables that `load` returns, which are searched with those of `variables` where several are
        searched together. For a `PanelRecipe` only.
    part : numpy.timedelta64
        Longest part of a time range that `load` is asked for at once, where there are no `segments`: one of
        some hundred megabytes.
    """

    title: str
    load: Callable[..., list[str]]
    recipe: Recipe
    variables: str
    station: str
    segments: Callable[..., Iterator[Segment]] | None = None
    pieces: Callable[..., Iterator[Piece]] | None = None
    all_sky: bool = False
    together: tuple[str, ...] = ()
    part: np.timedelta64 = _DAY

    @property
    def is_for_panels(self) -> bool:
        """True if its variables are time series or spectrograms, of which windows are searched."""
        return isinstance(self.recipe, PanelRecipe)

    def names_in(self, names: Iterable[str], together: bool = False) -> list[str]:
        """Return those names that are of its variables, without or with the further ones."""
        globs = (self.variables, *(self.together if together else ()))
        return [name for name in names if any(fnmatch.fnmatchcase(name, one) for one in globs)]


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

# Instruments with other ranges of energy and levels than FPI: in thermal units of what each measures. The flow stays in
# the image. A sector of 22.5 degrees is as wide as three pixels at two thermal speeds.
_THERMAL_IONS = DistributionRecipe(
    speed_unit="thermal", speed_max=4.0, depth=2, density_unit="thermal", floor=1e-3, ceiling=1.0
)
# An hour of distributions of HPCA or Cluster takes up to 0.5 GB while they are made of particle structures.
_HOURS = np.timedelta64(2, "h")
_THERMAL = {species: replace(_THERMAL_IONS, species=species) for species in ("ion", "electron", "helium", "oxygen")}
_LEPE = replace(_THERMAL["electron"], energy_min_ev=30.0)
# The electrons of XEP, in keV.
_XEP = SpectrumRecipe(energy_range=(400.0, 5000.0), energy_axis=1, direction="look")

_IONS, _FRAMES = DistributionRecipe(), FrameRecipe()
# Pictures that are cropped to the square around the circle of the default recipe.
_OATH = FrameRecipe(mask_radius=1.0)
_MMS, _THEMIS = r"(?P<probe>mms\d)_", r"thg_as[ft]_(?P<site>[a-z]{4})"
# 'simulated_asf' is of no real site, 'simulated_asf_fsmi' of a simulated camera there.
_SIMULATED, _SIMULATED_PROBE = r"(?:simulated_asf_)?(?P<site>[a-z]{4,9})", r"(?P<probe>simulated\d)_"
_ERG, _CLUSTER = r"(?P<probe>erg)_", r"(?P<probe>cluster\d)_"
_RBSP, _ELFIN_PROBE = r"(?P<probe>rbsp[ab])_", r"(?P<probe>el[ab])_"


def _hpca(title: str, species: str, recipe: str) -> Instrument:
    load = partial(mms_hpca.load, species=species)
    return Instrument(f"MMS HPCA {title}", load, _THERMAL[recipe], f"mms?_hpca_{species}_dist_*", _MMS, part=_HOURS)


def _erg(title: str, sensor: str, species: str, recipe: Recipe) -> Instrument:
    load = partial(erg_particles.load, sensor, species=species)
    return Instrument(f"ERG {title}", load, recipe, f"erg_{sensor}_{species}_dist*", _ERG)


def _cluster(title: str, sensor: str, species: str, recipe: str) -> Instrument:
    load, names = partial(cluster_cis.load, species=species), f"cluster?_{sensor}_{species}_dist*"
    return Instrument(f"Cluster CIS {title}", load, _THERMAL[recipe], names, _CLUSTER, part=_HOURS)


def _simulated_electrons(trange: Any, probe: Any = "1", **keywords: Any) -> Iterator[Segment]:
    """Yield the electrons of a simulated crossing with field and velocity, one segment for each spacecraft."""
    with preserved():
        names = [name for name in fpi.load_electrons(trange, probe, **keywords) if "_des_dist_" in name]
        segments = [Segment(one, find_companions(one, {})) for one in map(read, names)]
    yield from segments


INSTRUMENTS = {
    "mms_dis": Instrument(
        "MMS FPI ions", mms_fpi.load_ions, _IONS, "mms?_dis_dist_*", _MMS, mms_fpi.segments_ions, mms_fpi.pieces_ions
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
    "images": Instrument(
        "image files and movies", images.load, _FRAMES, "images_*", r"images_", images.segments, images.pieces
    ),
    "oath": Instrument(
        "OATH pictures of THEMIS all-sky imagers",
        oath.load,
        _OATH,
        "oath_*",
        r"oath_(?P<site>[a-z0-9]+)",
        oath.segments,
        oath.pieces,
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
    "mms_hpca_hplus": _hpca("protons", "hplus", "ion"),
    "mms_hpca_heplus": _hpca("He+", "heplus", "helium"),
    "mms_hpca_oplus": _hpca("O+", "oplus", "oxygen"),
    "erg_lepe": _erg("LEP-e electrons", "lepe", "e", _LEPE),
    "erg_lepi_hplus": _erg("LEP-i protons", "lepi", "hplus", _THERMAL["ion"]),
    "erg_lepi_heplus": _erg("LEP-i He+", "lepi", "heplus", _THERMAL["helium"]),
    "erg_lepi_oplus": _erg("LEP-i O+", "lepi", "oplus", _THERMAL["oxygen"]),
    "erg_mepe": _erg("MEP-e electrons", "mepe", "e", _THERMAL["electron"]),
    "erg_mepi_hplus": _erg("MEP-i protons", "mepi", "hplus", _THERMAL["ion"]),
    "erg_mepi_oplus": _erg("MEP-i O+", "mepi", "oplus", _THERMAL["oxygen"]),
    "erg_hep": _erg("HEP-L electrons", "hep", "e", _THERMAL["electron"]),
    "erg_xep": Instrument("ERG XEP electrons", erg_particles.load_xep, _XEP, "erg_xep_l2_FEDU_SSD*", _ERG),
    "cluster_hia": _cluster("HIA ions", "hia", "ions", "ion"),
    "cluster_codif_h1": _cluster("CODIF protons", "codif", "h1", "ion"),
    "cluster_codif_he1": _cluster("CODIF He+", "codif", "he1", "helium"),
    "cluster_codif_o1": _cluster("CODIF O+", "codif", "o1", "oxygen"),
    "simulated_dis": Instrument("simulated MMS FPI ions", fpi.load, _IONS, "simulated?_dis_dist_*", _SIMULATED_PROBE),
    "simulated_des": Instrument(
        "simulated MMS FPI electrons",
        fpi.load_electrons,
        ELECTRONS,
        "simulated?_des_dist_*",
        _SIMULATED_PROBE,
        _simulated_electrons,
    ),
    "simulated_asi": Instrument(
        "simulated all-sky imagers", allsky.load, _FRAMES, "simulated_asf*", _SIMULATED, all_sky=True
    ),
}
INSTRUMENTS |= {
    name: Instrument(
        product.title,
        partial(panel_products.load, product),
        PanelRecipe(),
        product.globs[0],
        product.station,
        together=product.globs[1:],
    )
    for name, product in panel_products.PRODUCTS.items()
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
        if instrument.names_in([variable.name], together=True):
            return instrument
    return None


def is_all_sky(variable: Variable, instrument: str | None = None) -> bool:
    """Return True if a variable is of a registered all-sky camera, whose usable frames only are searched by default."""
    known = instrument_named(instrument) if instrument else instrument_of(variable)
    return known is not None and known.all_sky


def recipe_of(variable: Variable, instrument: str | None = None) -> Recipe:
    """Return the recipe for a variable: its instrument's, or that of frames where nothing contradicts them.

    VariableError, with instruments and recipes in question, if neither name nor content identify it.
    """
    known = instrument_named(instrument) if instrument else instrument_of(variable)
    if known is not None:
        return known.recipe
    species = variable.attributes.get("data_att", {}).get("species")
    if species in _THERMAL and variable.values.ndim == 4:  # made of particle structures
        return _THERMAL[species]
    if identification.may_be_frames(variable):
        identification.check_camera_frames(variable)  # a spectrograph
        return FrameRecipe()
    raise identification.unidentified(variable, _pointed_to(variable))


def _pointed_to(variable: Variable) -> dict[str, str]:
    """Return the kinds of images by registered instruments that a name, or else the metadata, point to.

    Metadata of a file name all that is in it: electrons and protons of HOPE.
    """
    for text in (variable.name, " ".join(identification.source_texts(variable))):
        found = [name for name, clue in _CLUES.items() if re.search(clue, text, re.IGNORECASE)]
        if found:
            return {name: INSTRUMENTS[name].recipe.kind for name in found}
    return {}


def station_of(variable: Variable) -> dict[str, str]:
    """Return {'probe': name} or {'site': name} from the variable's name; empty if it has none."""
    instrument = instrument_of(variable)
    found = re.match(instrument.station, variable.name) if instrument else None
    return found.groupdict() if found else {}
