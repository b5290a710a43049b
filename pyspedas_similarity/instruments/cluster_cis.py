"""Ion distributions of Cluster CIS (HIA and CODIF) through pyspedas."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from .. import tplot
from ..conventions import check_choice, probe_names
from ..errors import LoadError
from ..times import to_interval
from ..tplot import Variable
from .checked_loading import by_day, load_whole
from .particle_structures import from_particle_structures, structures_of

# Variable of the files by species as pyspedas calls it: 'ions' is HIA, the others are CODIF.
VARIABLES = {
    "ions": "ions_3d__C{probe}_CP_CIS_HIA_HS_MAG_IONS_PSD",
    "h1": "ions_3d__C{probe}_CP_CIS_CODIF_HS_H1_PSD",
    "he1": "ions_3d__C{probe}_CP_CIS_CODIF_HS_He1_PSD",
    "o1": "ions_3d__C{probe}_CP_CIS_CODIF_HS_O1_PSD",
}


def load(
    trange: Any, probe: str | int | Sequence[str | int] = "1", suffix: str = "", species: str = "ions", **keywords: Any
) -> list[str]:
    """Load ``cluster<probe>_hia_ions_dist`` or ``cluster<probe>_codif_<species>_dist`` of probe '1' to '4'.

    `species` is 'ions', all ions as protons, of HIA in the magnetospheric modes with high sensitivity, or 'h1', 'he1'
    or 'o1', of CODIF with high sensitivity; `keywords` are further ones of ``pyspedas.projects.cluster.cis``, such as
    ``no_update``. Returns the names of those that have data; days that cannot be read are left out, with one warning,
    and LoadError is raised if all are.
    """
    probes = probe_names(probe, "cluster|c", ("1", "2", "3", "4"))
    check_choice("species", species, VARIABLES)
    trange = [str(time) for time in to_interval(trange)]
    with tplot.preserved():
        found = [by_day(partial(_load, one, species, suffix, keywords), trange) for one in probes]
    return [tplot.write(one) for one in found if one is not None]


def _load(probe: str, species: str, suffix: str, keywords: dict[str, Any], trange: list[str]) -> Variable | None:
    from pyspedas.projects import cluster

    options = {"option": f"psd_{species}", "get_support_data": True, "time_clip": True, **keywords}
    load_whole(cluster.cis, trange=trange, probe=probe, **options)
    name = VARIABLES[species].format(probe=probe)
    # The files of helium and oxygen may spell them as the moments do, or in capitals.
    there = [one for one in tplot.loaded_names() if one.lower() == name.lower()]
    if not there:
        return None
    sensor = "hia" if species == "ions" else "codif"
    get_dist = getattr(cluster, f"cluster_get_{sensor}_dist", None)
    if get_dist is None:
        found = "this release of pyspedas makes no particle structures of Cluster"
        raise LoadError(there[0], found, "Install pyspedas 2.2.2 or newer.")
    structures = structures_of(get_dist, there[0], probe=probe)
    return from_particle_structures(structures, f"cluster{probe}_{sensor}_{species}_dist{suffix}")
