"""Frames as files in the layout, names and variables of the THEMIS archive.

    root/thg/l1/asi/gako/2011/01/thg_l1_asf_gako_2011010617_v01.cdf

Variables and attributes follow the real files; the epoch is zero as theirs is. Every file says that it is simulated.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cdflib
import numpy as np


def write_frames(
    root: Path,
    site: str,
    start: np.datetime64,
    seconds: np.ndarray,
    values: np.ndarray,
    datatype: str = "asf",
    inside: Sequence[str] | None = None,
) -> Path:
    """Write the file of one hour, or of one day for thumbnails.

    Parameters
    ----------
    root : Path
    site : str
    start : numpy.datetime64
        Of the hour.
    seconds : numpy.ndarray, shape (n,)
        Unix seconds of the frames.
    values : numpy.ndarray, shape (n, rows, columns)
    datatype : {'asf', 'ast'}
    inside : sequence of str, optional
        Stations whose variables are in the file; default `site`.
    """
    year, month, day, rest = start.astype("datetime64[h]").astype(str).replace("T", "-").split("-")
    folder = Path(root, f"thg/l1/asi/{site}/{year}/{month}")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"thg_l1_{datatype}_{site}_{year}{month}{day}{rest if datatype == 'asf' else ''}_v01.cdf"
    path.unlink(missing_ok=True)
    cdf = cdflib.cdfwrite.CDF(path)
    cdf.write_globalattrs({"TEXT": {0: "SIMULATED: no camera saw this."}})
    for one in inside or [site]:
        name = f"thg_{datatype}_{one}"
        units = {"UNITS": "counts", "VAR_TYPE": "data", "DEPEND_0": f"{name}_epoch", "DEPEND_TIME": f"{name}_time"}
        _write(cdf, name, values, 12, units, list(values.shape[1:]), compress=6)
        for key, series in (("time", seconds), ("tend", seconds + 0.985)):
            _write(cdf, f"{name}_{key}", series, 45, {"VAR_TYPE": "support_data"})
        _write(cdf, f"{name}_epoch", np.zeros(len(seconds)), 31, {"VAR_TYPE": "support_data", "VIRTUAL": "TRUE"})
    cdf.close()
    return path


def _write(cdf, name, values, kind, attributes, sizes=(), compress=0):
    about = {"Variable": name, "Data_Type": kind, "Num_Elements": 1, "Rec_Vary": True, "Dim_Sizes": list(sizes)}
    cdf.write_var(about | {"Compress": compress}, var_attrs=attributes, var_data=values)
