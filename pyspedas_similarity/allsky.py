"""The verbs that are about all-sky frames alone: load them, judge them, cut keograms out of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from . import tplot
from .manners import nothing_found, pyspedas_manners
from .sources import themis_asi

if TYPE_CHECKING:
    from .sources.asi_files import Skymap

__all__ = ["load_asi"]


@pyspedas_manners
def load_asi(
    trange: Any,
    site: str | Sequence[str],
    datatype: str = "asf",
    suffix: str = "",
    get_support_data: bool = False,
    varnames: str | Sequence[str] | None = None,
    time_clip: bool = True,
    no_update: bool = False,
    downloadonly: bool = False,
    notplot: bool = False,
    skymap: Skymap | str | Path | None = None,
) -> list[str] | dict[str, dict[str, np.ndarray]]:
    """Load full frames or thumbnails of THEMIS all-sky imagers, in the manner of pyspedas's loaders.

    Parameters
    ----------
    trange : time range in any form
        A range that ends at a full hour does not take that hour's file.
    site : str or list of str
        Four letters of a station, such as 'fsmi'.
    datatype : {'asf', 'ast'}
        Full frames, 256 x 256 every 3 s in hourly files, or thumbnails, 32 x 32 in daily ones.
    suffix : str
        Added to the names.
    get_support_data : bool
        With the ends of the exposures, ``thg_asf_<site>_tend`` in unix seconds, where the files have them.
    varnames : str or list of str, optional
        Only these variables, without suffix; ends of exposures so named come without `get_support_data`.
    time_clip : bool
        False: all frames of the files.
    no_update : bool
        Use only files that are in pyspedas's ``local_data_dir`` for THEMIS. Else those that are not there, or not
        whole, are downloaded from its ``remote_data_dir`` and kept; whole ones are not asked for again.
    downloadonly : bool
        Do not read the files; return where they are.
    notplot : bool
        Store nothing; return the arrays.
    skymap : Skymap or path of a .sav file, optional
        As the archive has it. Kept in the attributes, as ``skymap``, turned to the rows and columns of the frames.
    errors : {'log', 'raise'}
        What to do about bad input: log it and return [], or raise.

    Returns
    -------
    list of str
        ``thg_asf_<site>`` or ``thg_ast_<site>`` for each site, counts (time, row, column) as in the files, times to the
        microsecond. [] where nothing is found, after one warning. With `downloadonly` paths of files.
    dict
        With `notplot`: for each name 'x', unix seconds, and 'y'.

    Raises
    ------
    SimilarityError
        With ``errors='raise'``, for bad input.

    Notes
    -----
    Hours that could not be had are named in one warning; hours without a file, as by day, as information. For ranges
    longer than some hours, `find_similar` and `encode` with ``instrument='themis_asi'`` read file by file.
    """
    wanted = [varnames] if isinstance(varnames, str) else list(varnames or [])
    everything = not wanted or "*" in wanted
    support = get_support_data or any(name.endswith("_tend") for name in wanted)
    request = themis_asi.Request.read(trange, site, datatype, no_update=no_update, time_clip=time_clip, support=support)
    if downloadonly:
        return themis_asi.files(request) or nothing_found(f"there are no files of {request}")
    found = themis_asi.variables(request, skymap)
    chosen = [one for one in found if everything or one.name in wanted]
    if not chosen:
        there = f"only {', '.join(one.name for one in found)}" if found else "there are no data"
        return nothing_found(f"{there} of {request}")
    named = [replace(one, name=one.name + suffix) for one in chosen]
    if notplot:
        return {one.name: {"x": one.times.astype("int64") / 1e9, "y": one.values} for one in named}
    return [tplot.write(one) for one in named]
