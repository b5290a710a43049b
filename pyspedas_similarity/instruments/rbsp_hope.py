"""Pitch angle distributions of Van Allen Probes HOPE through pyspedas."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from ..conventions import probe_names
from ..times import to_interval
from .checked_loading import load_checked


def load(flux: str, trange: Any, probe: str | Sequence[str] = "a", suffix: str = "", **keywords: Any) -> list[str]:
    """Load level 3 pitch angle data of HOPE on probe 'a' or 'b' with ``pyspedas.projects.rbsp.hope``.

    `flux` is the variable of the files, 'FEDU' or 'FPDU', s^-1 cm^-2 ster^-1 keV^-1 by pitch angle and energy;
    `keywords` are further ones of that loader, such as ``no_update`` or ``rel``. Returns the names of those that have
    data, with probe and instrument in front, which the files do not name; days of damaged files are left out, with one
    warning, and LoadError is raised if all are.
    """
    probes = probe_names(probe, "rbsp|van allen probes?", ("a", "b"))
    from pyspedas.projects import rbsp

    options = {"time_clip": True, "level": "l3", "datatype": "pitchangle", "varnames": [flux], **keywords}
    trange = [str(time) for time in to_interval(trange)]
    names = []
    for one in probes:  # one at a time: the loader would give both the same names
        prefix = f"rbsp{one}_hope_"
        wanted = f"{prefix}{flux}{suffix}"
        names += load_checked(rbsp.hope, wanted, trange, probe=one, prefix=prefix, suffix=suffix, **options)
    return names


load_electrons, load_protons = (partial(load, flux) for flux in ("FEDU", "FPDU"))
