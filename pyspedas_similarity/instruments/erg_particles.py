"""Distributions of particles measured by ERG (Arase) through pyspedas."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .. import tplot
from ..conventions import check_choice, probe_names
from ..errors import LoadError
from ..times import to_interval
from ..tplot import Variable
from .asi_files import to_times
from .checked_loading import by_day, load_checked, load_whole
from .particle_structures import from_particle_structures, structures_of
from .segments import concatenate

# Distributions that pyspedas puts into one structure, of some 0.5 MB each while they are made.
_BLOCK = 512


@dataclass(frozen=True)
class Source:
    """Loader in ``pyspedas.projects.erg``, its variables by species, and the maker of particle structures of them.

    `only`: the variable alone can be loaded, without the others in its file.
    """

    loader: str
    get_dist: str
    variables: dict[str, str]
    only: bool = False

    def functions(self) -> tuple[Callable[..., Any], Callable[..., Any]]:
        """Return the loader and the function that makes particle structures."""
        from importlib import import_module

        project = import_module("pyspedas.projects.erg")
        module = import_module(f"pyspedas.projects.erg.satellite.erg.particle.{self.get_dist}")
        return getattr(project, self.loader), getattr(module, self.get_dist)


SOURCES = {
    "lepe": Source("lepe", "erg_lepe_get_dist", {"e": "erg_lepe_l2_3dflux_FEDU"}),
    "lepi": Source(
        "lepi",
        "erg_lepi_get_dist",
        {"hplus": "erg_lepi_l2_3dflux_FPDU", "heplus": "erg_lepi_l2_3dflux_FHEDU", "oplus": "erg_lepi_l2_3dflux_FODU"},
        only=True,
    ),
    "mepe": Source("mepe", "erg_mepe_get_dist", {"e": "erg_mepe_l2_3dflux_FEDU"}, only=True),
    "mepi": Source(
        "mepi_nml",
        "erg_mepi_get_dist",
        {"hplus": "erg_mepi_l2_3dflux_FPDU", "oplus": "erg_mepi_l2_3dflux_FODU"},
        only=True,
    ),
    "hep": Source("hep", "erg_hep_get_dist", {"e": "erg_hep_l2_FEDU_L"}),
}


def load(
    instrument: str, trange: Any, probe: str = "erg", suffix: str = "", species: str | None = None, **keywords: Any
) -> list[str]:
    """Load ``erg_<instrument>_<species>_dist``, one distribution for each spin.

    `instrument` is 'lepe', 'lepi', 'mepe', 'mepi' or 'hep', of which the detector of lower energies, HEP-L, is taken;
    `species` is 'e', 'hplus', 'heplus' (not of MEP-i) or 'oplus', by default electrons or protons; `keywords` are
    further ones of pyspedas's loader, such as ``no_update``. Returns the name, or [] where there are no data; days that
    cannot be read are left out, with one warning, and LoadError is raised if all are.
    """
    probe_names(probe, "arase", ("erg",))
    source = SOURCES[instrument]
    species = next(iter(source.variables)) if species is None else species
    check_choice("species", species, source.variables)
    texts = [str(time) for time in to_interval(trange)]
    with tplot.preserved():
        found = by_day(lambda part: _load(source, to_interval(part), species, keywords), texts)
    return [] if found is None else [tplot.write(replace(found, name=f"erg_{instrument}_{species}_dist{suffix}"))]


def load_xep(trange: Any, probe: str = "erg", suffix: str = "", **keywords: Any) -> list[str]:
    """Load ``erg_xep_l2_FEDU_SSD``, electrons by energy (keV) and sector of the spin: it measures in one plane."""
    probe_names(probe, "arase", ("erg",))
    from pyspedas.projects import erg

    trange = [str(time) for time in to_interval(trange)]
    options = {"datatype": "2dflux", "time_clip": True, "ror": False, **keywords}
    return load_checked(erg.xep, f"erg_xep_l2_FEDU_SSD{suffix}", trange, suffix=suffix, **options)


def _load(
    source: Source, span: tuple[np.datetime64, np.datetime64], species: str, keywords: dict[str, Any]
) -> Variable | None:
    """Return the distributions inside a time range; None where there are none."""
    loader, get_dist = source.functions()
    name = source.variables[species]
    varnames = [name.rpartition("_")[2]] if source.only else []
    options = {"datatype": "3dflux", "ror": False, "get_support_data": not source.only, "varnames": varnames}
    load_whole(loader, trange=[str(time) for time in span], **options | keywords)
    if name not in tplot.loaded_names():
        return None
    seconds = get_dist(name, time_only=True)
    if np.ndim(seconds) == 0:  # which means that something is missing
        raise LoadError(name, f"{source.get_dist} of pyspedas makes no distribution of it", "See what it printed.")
    times = to_times(seconds)
    rows = np.flatnonzero((times >= span[0]) & (times <= span[1]))
    blocks = [rows[first : first + _BLOCK] for first in range(0, len(rows), _BLOCK)]
    parts = [
        from_particle_structures(structures_of(get_dist, name, species=species, index=one), name) for one in blocks
    ]
    return concatenate(parts) if parts else None
