"""Simulated events as CDF files in the layout, names and variables of the MMS archive, so that pyspedas reads them.

    root/mms1/fpi/brst/l2/des-dist/2020/01/01/mms1_fpi_brst_l2_des-dist_20200101000000_v3.4.0.cdf
    root/mms1/fpi/brst/l2/des-moms/2020/01/01/mms1_fpi_brst_l2_des-moms_20200101000000_v3.4.0.cdf
    root/mms1/fgm/brst/l2/2020/01/01/mms1_fgm_brst_l2_20191231235959_v5.270.0.cdf
    root/mms1/fpi/fast/l2/des-dist/2020/01/mms1_fpi_fast_l2_des-dist_20200101000000_v3.4.0.cdf

Variables and attributes follow the real files of 2020-11-19; what no reader here asks for is left out. Every file says
in its global attributes that it is simulated.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

FPI_VERSION, FGM_VERSION = "v3.4.0", "v5.270.0"
MARGIN = np.timedelta64(1, "s")
_FILL = {np.dtype("float32"): np.float32(-1e31), np.dtype("uint8"): np.uint8(255), np.dtype("uint16"): np.uint16(65535)}
_FILL |= {np.dtype("uint32"): np.uint32(2**32 - 1), np.dtype("int64"): np.int64(-(2**63))}
_CDF_TYPE = {"float32": 44, "uint8": 11, "uint16": 12, "uint32": 14}


def write_tree(root: Path, event: Any, probe: str | None = None, segments: int = 1) -> list[Path]:
    """Write distributions, moments and magnetic field of a simulated event below `root`.

    Parameters
    ----------
    root : Path
        What `CONFIG['local_data_dir']` of pyspedas is set to, or what a server serves.
    event : simulate.fpi.SimulatedEvent
        Of one spacecraft; anything with its attributes will do.
    probe : str, optional
        '1' to '4' for the file names; default: the event's own.
    segments : int
        In burst the samples are split into that many files of each kind, one after another. Segments must begin in
        different seconds, because the names count seconds. Begin an event at least 2 s after midnight: the field
        begins before the distributions, and the loader searches the folders of the days it is asked for.

    Returns
    -------
    list of Path
        For each segment: distributions, moments, field.
    """
    probe = event.probe if probe is None else str(probe)
    paths = []
    for rows in np.array_split(np.arange(event.times.size), segments):
        paths += [_write_distributions(root, event, probe, rows), _write_moments(root, event, probe, rows)]
        first = event.field_times[0] if rows[0] == 0 else event.times[rows[0]] - MARGIN
        last = event.field_times[-1] if rows[-1] == event.times.size - 1 else event.times[rows[-1]] + MARGIN
        within = np.flatnonzero((event.field_times >= first) & (event.field_times <= last))
        paths.append(_write_field(root, event, probe, within))
    return paths


def _write_distributions(root: Path, event: Any, probe: str, rows: np.ndarray) -> Path:
    sensor, rate = f"d{event.species[0]}s", event.data_rate
    base = f"mms{probe}_{sensor}"
    file = _File(_path(root, probe, f"fpi_{rate}_l2_{sensor}-dist", event.times[rows[0]], FPI_VERSION), event.seed)
    file.epoch("Epoch", event.times[rows])
    _write_support(file, base, event, rows)
    file.vary(f"{base}_phi_{rate}", event.azimuth[rows], "deg", var_type="support_data")
    file.fixed(f"{base}_theta_{rate}", event.polar, "deg")
    file.vary(f"{base}_energy_{rate}", event.energy_ev[rows], "eV", var_type="support_data")
    axes = {f"DEPEND_{k + 1}": f"{base}_{axis}_{rate}" for k, axis in enumerate(("phi", "theta", "energy"))}
    for name, values in (("dist", event.distribution), ("disterr", event.error)):
        file.vary(f"{base}_{name}_{rate}", values[rows], "s^3/cm^6", axes, compress=1)
    return file.close()


def _write_moments(root: Path, event: Any, probe: str, rows: np.ndarray) -> Path:
    sensor, rate = f"d{event.species[0]}s", event.data_rate
    base = f"mms{probe}_{sensor}"
    file = _File(_path(root, probe, f"fpi_{rate}_l2_{sensor}-moms", event.times[rows[0]], FPI_VERSION), event.seed)
    file.epoch("Epoch", event.times[rows])
    _write_support(file, base, event, rows)
    file.vary(f"{base}_energy_{rate}", event.energy_ev[rows], "eV", var_type="support_data")
    spectrum = {"DEPEND_1": f"{base}_energy_{rate}"}
    file.vary(f"{base}_energyspectr_omni_{rate}", event.omni[rows], "keV/(cm^2 s sr keV)", spectrum)
    file.vary(f"{base}_numberdensity_{rate}", event.density[rows], "cm^-3")
    for frame in ("dbcs", "gse"):  # the same axes in the simulation
        file.vary(f"{base}_bulkv_{frame}_{rate}", event.velocity[rows], "km/s")
        file.vary(f"{base}_temptensor_{frame}_{rate}", event.temperature[rows], "eV")
    file.vary(f"{base}_temppara_{rate}", event.temperature_parallel[rows], "eV")
    file.vary(f"{base}_tempperp_{rate}", event.temperature_perpendicular[rows], "eV")
    return file.close()


def _write_support(file: _File, base: str, event: Any, rows: np.ndarray) -> None:
    rate, n = event.data_rate, rows.size
    file.vary(f"{base}_errorflags_{rate}", event.error_flags[rows].astype(np.uint32), "32-bit error flags")
    file.vary(f"{base}_compressionloss_{rate}", np.zeros(n, np.uint8), "0, 1")
    if rate == "brst":
        file.vary(f"{base}_steptable_parity_{rate}", event.parity[rows].astype(np.uint8), "0, 1")
        file.vary(f"{base}_startdelphi_count_{rate}", event.startdelphi_count[rows], "del-phi counts")


def _write_field(root: Path, event: Any, probe: str, rows: np.ndarray) -> Path:
    rate = "brst" if event.data_rate == "brst" else "srvy"
    file = _File(_path(root, probe, f"fgm_{rate}_l2", event.field_times[rows[0]], FGM_VERSION), event.seed)
    file.epoch("Epoch", event.field_times[rows])
    for frame in ("gse", "dmpa"):  # the same axes in the simulation
        file.vary(f"mms{probe}_fgm_b_{frame}_{rate}_l2", event.field[rows], "nT")
    file.vary(f"mms{probe}_fgm_flag_{rate}_l2", np.zeros(rows.size, np.uint32), "none", var_type="support_data")
    return file.close()


def _path(root: Path, probe: str, kind: str, start: np.datetime64, version: str) -> Path:
    """Where the archive keeps a file of this kind: fast data by month, burst data by day."""
    stamp = str(start.astype("datetime64[s]"))
    year, month, day = stamp[:10].split("-")
    instrument, rate, level, *datatype = kind.split("_")
    folder = Path(root, f"mms{probe}", instrument, rate, level, *datatype, year, month)
    if rate == "brst":
        folder /= day
    digits = "".join(character for character in stamp if character.isdigit())
    return folder / f"mms{probe}_{kind}_{digits if rate == 'brst' or datatype else digits[:8]}_{version}.cdf"


class _File:
    """A CDF file that is being written."""

    def __init__(self, path: Path, seed: int) -> None:
        import cdflib

        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        self.path = path
        self._cdf = cdflib.cdfwrite.CDF(path)
        source, kind = path.stem.rsplit("_", 2)[0].split("_", 1)
        told = {
            "TEXT": f"SIMULATED: no spacecraft measured this. Seed {seed}.",
            "Source_name": f"{source.upper()}>SIMULATED MMS Satellite Number {source[-1]}",
            "Logical_file_id": path.stem,
            "Logical_source": f"{source}_{kind}",
            "Data_type": kind.split("_", 1)[1],
            "Data_version": path.stem.rsplit("_v", 1)[1],
            "Generated_by": "SIMULATED",
        }
        self._cdf.write_globalattrs({name: {0: value} for name, value in told.items()})

    def epoch(self, name: str, times: np.ndarray) -> None:
        import cdflib

        text = np.datetime_as_string(times.astype("datetime64[ns]"), unit="ns").tolist()
        values = np.atleast_1d(cdflib.cdfepoch.parse(text))
        attributes = {"UNITS": "ns", "TIME_BASE": "J2000", "TIME_SCALE": "Terrestrial Time", "MONOTON": "INCREASE"}
        self._write(name, values, 33, {"VAR_TYPE": "support_data", **attributes})

    def vary(
        self,
        name: str,
        values: np.ndarray,
        units: str,
        axes: dict[str, str] | None = None,
        var_type: str = "data",
        compress: int = 0,
    ) -> None:
        """A variable with one record for each time."""
        values = np.asarray(values)
        values = values.astype(np.float32) if values.dtype.kind == "f" else values
        attributes = {"DEPEND_0": "Epoch", **(axes or {}), "UNITS": units, "VAR_TYPE": var_type}
        self._write(name, values, _CDF_TYPE[values.dtype.name], attributes, compress)

    def fixed(self, name: str, values: np.ndarray, units: str) -> None:
        """A variable that does not change."""
        values = np.asarray(values, np.float32)
        self._write(name, values, 44, {"UNITS": units, "VAR_TYPE": "support_data"}, varies=False)

    def _write(
        self, name: str, values: np.ndarray, cdf_type: int, attributes: dict, compress: int = 0, varies: bool = True
    ) -> None:
        fill = [_FILL[values.dtype], {33: "CDF_TIME_TT2000", 44: "CDF_FLOAT"}.get(cdf_type)]
        specification = {
            "Variable": name,
            "Data_Type": cdf_type,
            "Num_Elements": 1,
            "Rec_Vary": varies,
            "Dim_Sizes": list(values.shape[1:] if varies else values.shape),
            "Compress": compress,
        }
        attributes = {"CATDESC": f"simulated {name}", "FIELDNAM": name, "DISPLAY_TYPE": "time_series", **attributes}
        attributes["FILLVAL"] = fill if fill[1] else fill[0]
        self._cdf.write_var(specification, var_attrs=attributes, var_data=values if varies else values[None])

    def close(self) -> Path:
        self._cdf.close()
        return self.path
