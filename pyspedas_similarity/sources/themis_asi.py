"""THEMIS all-sky full frames, for which pyspedas has no loader, by its own download and CDF functions."""

from __future__ import annotations

import re
from typing import Any

from ..errors import ArgumentError, LoadError
from ..times import to_interval
from ..tplot import loaded_names

_HOUR = 3600.0
_LAYOUT = "thg/l1/asi/{site}/%Y/%m/thg_l1_asf_{site}_%Y%m%d%H_v01.cdf"


def load(trange: Any, probe: str = "", suffix: str = "", no_update: bool = False, site: str = "") -> list[str]:
    """Load the full frames of one station, as ``thg_asf_<site>`` (time, row, column).

    Parameters
    ----------
    trange : time range in any form
    probe, site : str
        The station's four letters, such as 'fsmi', under either name.
    suffix : str
    no_update : bool
        Use only files that are there.

    Returns
    -------
    list of str
        Empty where there is no file.

    Raises
    ------
    ArgumentError
        If the station is not four letters.
    LoadError
        If a file cannot be read.
    """
    site = str(site or probe or "").lower()
    if not re.fullmatch(r"[a-z]{4}", site):
        raise ArgumentError("site", f"found {site!r}", "Give the four letters of a THEMIS station, such as 'fsmi'.")
    from pyspedas.projects.themis.config import CONFIG
    from pyspedas.tplot_tools import cdf_to_tplot, time_clip
    from pyspedas.utilities.dailynames import dailynames
    from pyspedas.utilities.download import download

    trange = [str(time) for time in to_interval(trange)]
    name = f"thg_asf_{site}{suffix}"
    files = download(
        remote_file=dailynames(file_format=_LAYOUT.format(site=site), trange=trange, res=_HOUR),
        remote_path=CONFIG["remote_data_dir"],
        local_path=CONFIG["local_data_dir"],
        no_download=no_update or CONFIG["no_download"],
    )
    if not files:
        return []
    try:
        cdf_to_tplot(sorted(files), varnames=[f"thg_asf_{site}"], suffix=suffix)
    except (OSError, ValueError, KeyError) as error:
        raise LoadError(
            ", ".join(files), f"not readable as CDF ({error})", "Remove the file and load again."
        ) from error
    if name not in loaded_names():
        return []
    time_clip(name, *trange, suffix="")
    return [name] if name in loaded_names() else []
