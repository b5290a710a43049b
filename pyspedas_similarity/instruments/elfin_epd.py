"""Energy and pitch angle distributions of ELFIN electrons through pyspedas."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..conventions import probe_names
from ..errors import ArgumentError
from ..times import to_interval
from .checked_loading import load_checked


def load(
    trange: Any, probe: str | Sequence[str] = "a", suffix: str = "", fullspin: bool = False, **keywords: Any
) -> list[str]:
    """Load ``el<probe>_pef_hs_Epat_nflux``, number flux by pitch angle (degrees) and energy (keV), of probe 'a' or 'b'.

    `fullspin` loads full spins (``el<probe>_pef_fs_Epat_nflux``) instead of half spins. `suffix` must be empty: the
    loader, ``pyspedas.projects.elfin.epd``, has none; `keywords` are further ones of it, such as ``no_update``. Returns
    the names of those that have data; days of damaged files are left out, with one warning, and LoadError is raised if
    all are.
    """
    probes = probe_names(probe, "elfin|el", ("a", "b"))
    if suffix:
        raise ArgumentError("suffix", f"found {suffix!r}", "Leave it out: pyspedas.projects.elfin.epd has none.")
    from pyspedas.projects import elfin

    trange = [str(time) for time in to_interval(trange)]
    names = []
    for one in probes:
        wanted = f"el{one}_pef_{'fs' if fullspin else 'hs'}_Epat_nflux"
        names += load_checked(elfin.epd, wanted, trange, probe=one, level="l2", fullspin=fullspin, **keywords)
    return names
