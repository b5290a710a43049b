"""Distributions of MMS HPCA ions through pyspedas."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any

import numpy as np

from .. import tplot
from ..conventions import check_choice, probe_names
from ..errors import LoadError
from ..times import to_interval
from ..tplot import Variable
from .asi_files import to_times
from .mms_fpi import file_tree, level_2
from .particle_structures import from_particle_structures, structures_of

SPECIES = ("hplus", "heplus", "oplus")
# The longest files there are.
_LONGEST = {"brst": np.timedelta64(15, "m"), "srvy": np.timedelta64(25, "h")}
_ANGLES, _POLAR = "azimuth_angles_per_ev_degrees", "centroid_elevation_angle"
# From before and after the time range, so that its first and last half spin are whole.
_MARGIN = np.timedelta64(12, "s")


def load(
    trange: Any,
    probe: str | int | Sequence[str | int] = "1",
    suffix: str = "",
    species: str = "hplus",
    data_rate: str = "srvy",
    no_update: bool = False,
) -> list[str]:
    """Load ``mms<probe>_hpca_<species>_dist_<rate>``, one distribution for each half spin, of probe '1' to '4'.

    All of `trange` is in memory at once: an hour takes up to 0.5 GB. `species` is 'hplus', 'heplus' or 'oplus': of
    doubly charged ions pyspedas gives energies per charge, from which their speed does not follow. `data_rate` is
    'srvy' or 'brst'. `no_update` uses only files in pyspedas's ``local_data_dir`` for MMS. Returns the names of those
    that have data; LoadError if files cannot be loaded, or are not whole.
    """
    probes = probe_names(probe, "mms", ("1", "2", "3", "4"))
    check_choice("species", species, SPECIES)
    check_choice("data_rate", data_rate, _LONGEST)
    span = to_interval(trange)
    with tplot.preserved():
        found = [_load(one, span, species, data_rate, no_update) for one in probes]
    return [tplot.write(replace(one, name=one.name + suffix)) for one in found if one is not None]


def _load(
    probe: str, span: tuple[np.datetime64, np.datetime64], species: str, data_rate: str, no_update: bool
) -> Variable | None:
    """Return the distributions of one spacecraft; None where there are none."""
    from pyspedas.projects import mms
    from pyspedas.projects.mms.hpca_tools.mms_get_hpca_dist import mms_get_hpca_dist

    start, end = span[0] - _MARGIN, span[1] + _MARGIN
    _fetch(probe, start, end, data_rate, no_update)
    source, angles = (f"mms{probe}_hpca_{one}" for one in (f"{species}_phase_space_density", _ANGLES))
    options = {"datatype": "ion", "data_rate": data_rate, "varnames": [source, angles, f"mms{probe}_hpca_{_POLAR}"]}
    # Measured from the middle of each energy sweep, as mms_get_hpca_dist takes its times.
    options |= {"center_measurement": True, "time_clip": True, "no_update": True}
    try:
        mms.hpca(trange=[str(start), str(end)], probe=probe, **options)
    except Exception as error:  # values that are wrong lead loaders to nearly every exception there is
        found = f"not readable ({type(error).__name__}: {error})"
        raise LoadError(f"MMS{probe} HPCA", found, "See whether pyspedas reads the files alone.") from error
    if not {source, angles} <= set(tplot.loaded_names()):
        return None
    structures = structures_of(mms_get_hpca_dist, source, probe=probe, species=species)
    inside = [one for one in structures if span[0] <= to_times([one["start_time"]])[0] <= span[1]]
    return from_particle_structures(inside, f"mms{probe}_hpca_{species}_dist_{data_rate}") if inside else None


def _fetch(probe: str, start: np.datetime64, end: np.datetime64, data_rate: str, no_update: bool) -> None:
    """Make sure that the files are here, whole."""
    kind = level_2(probe, "hpca", data_rate, "ion", _LONGEST[data_rate])
    with closing(file_tree(no_update)) as tree:
        for file in tree.files(kind, start, end):
            tree.fetch(file)
    if tree.tally.lost:
        found = f"could not list the files: {tree.tally}"
        raise LoadError(f"MMS{probe} HPCA", found, "Try again, or with no_update=True.")
