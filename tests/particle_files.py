"""Simulated files of MMS HPCA, ERG and Cluster CIS, in the layout that pyspedas's loaders and get_dist functions read.

Names, axes and units follow what these functions ask for; what no reader here asks for is left out. Every file says in
its global attributes that it is simulated.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.fpi_files import _File

DAY = np.datetime64("2020-01-01T12:00:00", "ns")
SPIN = np.timedelta64(8_000, "ms")
_FOLDERS = {"hep": "erg_hep_l2_3dflux", "xep": "erg_xep_l2_2dflux"}
# Colatitudes of the anodes of HPCA by number: mms_get_hpca_info of pyspedas.
_HPCA_ANODES = np.array([123.75, 101.25, 78.75, 56.25, 33.75, 11.25, 11.25, 33.75])
_HPCA_ANODES = np.concatenate([_HPCA_ANODES, [56.25, 78.75, 101.25, 123.75, 146.25, 168.75, 168.75, 146.25]])


@dataclass(frozen=True)
class Layout:
    """Axes of a simulated variable.

    Attributes
    ----------
    shape : tuple of int
        Of one sample in the file.
    native : tuple of int
        Transposition from (energy, azimuth, anode, time), as in particle structures of ERG, to the file's axes.
    energies : numpy.ndarray
        In the file's unit.
    """

    shape: tuple[int, ...]
    native: tuple[int, ...]
    energies: np.ndarray


LAYOUTS = {
    "lepe": Layout((32, 12, 16), (3, 0, 2, 1), np.geomspace(20, 19000, 32)[::-1]),  # eV, descending
    "lepi": Layout((30, 8, 16), (3, 0, 2, 1), np.geomspace(25, 0.01, 30)),  # keV/q
    "mepe": Layout((32, 16, 16), (3, 1, 0, 2), np.geomspace(87, 7, 16)),  # keV
    "mepi": Layout((16, 16, 16), (3, 1, 0, 2), np.geomspace(180, 5, 16)),  # keV/q
    "hep": Layout((16, 15), (), np.geomspace(30, 1800, 16)),  # keV
}


def erg_path(root: Path, instrument: str) -> Path:
    """Where pyspedas keeps a file of ERG below its local data directory."""
    stem = _FOLDERS.get(instrument, f"erg_{instrument}_l2_3dflux")
    datatype = stem.rsplit("_", 1)[1]
    return root / f"satellite/erg/{instrument}/l2/{datatype}/2020/01/{stem}_20200101_v01_02.cdf"


def write_erg(root: Path, instrument: str, flux: np.ndarray, variable: str = "FEDU") -> Path:
    """Write flux, (spins, ...) in the file's axes, of LEP-e, LEP-i, MEP-e or MEP-i."""
    layout, n = LAYOUTS[instrument], len(flux)
    file = _File(erg_path(root, instrument), 0)
    file.epoch("Epoch", DAY + np.arange(n) * SPIN)
    if instrument == "lepe":
        # Lower and upper ends; the middle of both is their arithmetic mean.
        ends = layout.energies * np.array([[0.97], [1.03]])
        file.vary("FEDU_Energy", np.broadcast_to(ends, (n, 2, 32)), "eV", var_type="support_data")
        # Elevation and azimuth of the look directions of a fan.
        look = np.stack([np.linspace(-82.5, 82.5, 12), np.full(12, 90.0)])
        file.fixed("FEDU_Angle_SGA", look, "deg")
    else:
        file.fixed("Energy", layout.energies, "keV")
    for axis, length in enumerate(layout.shape):
        file.fixed(f"Number_{axis}", np.arange(length), "")
    depends = {f"DEPEND_{axis + 1}": f"Number_{axis}" for axis in range(3)}
    axis = 1 if instrument in ("lepe", "lepi") else 2
    depends[f"DEPEND_{axis}"] = "FEDU_Energy" if instrument == "lepe" else "Energy"
    file.vary(variable, flux, "/keV-s-sr-cm2", depends)
    return file.close()


def write_hep(root: Path, flux: np.ndarray) -> Path:
    """Write flux, (spins * 16 sectors, energy, channel), of HEP-L."""
    n, energies = len(flux), LAYOUTS["hep"].energies
    file = _File(erg_path(root, "hep"), 0)
    file.epoch("Epoch_L", DAY + np.arange(n) * (SPIN // 16))
    axes = {"DEPEND_0": "Epoch_L"}
    file.fixed("FEDU_L_Energy", energies * np.array([[0.9], [1.1]]), "keV")
    file.fixed("FEDU_L_Azimuth", np.arange(15), "")
    depends = {"DEPEND_1": "FEDU_L_Energy", "DEPEND_2": "FEDU_L_Azimuth"}
    file.vary("FEDU_L", flux, "/keV-s-sr-cm2", axes | depends)
    angles = np.stack([np.linspace(-84, 84, 15), np.full(15, 90.0)])
    file.vary("FEDU_L_Angle_sga", np.broadcast_to(angles, (n, 2, 15)), "deg", axes, var_type="support_data")
    file.vary("sctno_L", (np.arange(n) % 16).astype(np.uint8), "", axes, var_type="support_data")
    return file.close()


def write_xep(root: Path, flux: np.ndarray) -> Path:
    """Write flux, (spins, energy, sector), of XEP."""
    file = _File(erg_path(root, "xep"), 0)
    file.epoch("Epoch", DAY + np.arange(len(flux)) * SPIN)
    energies = np.geomspace(400, 4500, 10)
    file.fixed("FEDU_SSD_Energy", np.stack([energies[:-1], energies[1:]], axis=1), "keV")
    file.fixed("Sector", np.arange(16), "")
    depends = {"DEPEND_1": "FEDU_SSD_Energy", "DEPEND_2": "Sector"}
    file.vary("FEDU_SSD", flux, "/keV-s-sr-cm2", depends)
    return file.close()


def write_hpca(root: Path, density: np.ndarray, species: str = "hplus") -> Path:
    """Write phase space density, (sweeps, anode, energy), sixteen sweeps for each half spin; whole half spins."""
    n, energies = len(density), np.geomspace(1, 40000, 63)
    sweep = np.timedelta64(625, "ms")
    stem = "mms1_hpca_srvy_l2_ion_20200101120000_v4.1.0.cdf"
    file = _File(root / "mms1/hpca/srvy/l2/ion/2020/01" / stem, 0)
    file.epoch("Epoch", DAY + np.arange(n) * sweep)
    # In the middle between two sweeps: a whole half spin of sweeps lies between two of these times.
    file.epoch("Epoch_Angles", DAY + np.arange(8, n, 16) * sweep - sweep // 2)
    file.fixed("mms1_hpca_centroid_elevation_angle", _HPCA_ANODES, "deg")
    file.fixed("mms1_hpca_ion_energy", energies, "eV")
    axes = {"DEPEND_1": "mms1_hpca_centroid_elevation_angle", "DEPEND_2": "mms1_hpca_ion_energy"}
    file.vary(f"mms1_hpca_{species}_phase_space_density", density, "s^3/cm^6", axes)
    backward = np.where((np.arange(16) >= 6) & (np.arange(16) <= 13), 180.0, 0.0)
    offset = 0.17 * np.arange(63)
    half = 11.25 * np.arange(16)[:, None, None] + backward[:, None] + offset
    turned = (half + 180 * np.arange(len(range(8, n, 16)))[:, None, None, None] + 3.0) % 360
    axes = {"DEPEND_0": "Epoch_Angles"}
    file.vary("mms1_hpca_azimuth_angles_per_ev_degrees", turned, "deg", axes, var_type="support_data")
    return file.close()


def write_cis(root: Path, density: np.ndarray, species: str = "ions") -> Path:
    """Write phase space density in s^3 km^-6, (spins, polar, azimuth, energy), of HIA ('ions') or CODIF."""
    hia = species == "ions"
    folder = "cis-hia/ions_3ddist_magmode_highsens" if hia else "cis-codif/proton_3ddist_highsens"
    kind = "cis-hia_hs_mag_ions" if hia else f"cis-codif_hs_{species}"
    path = root / f"c1/{folder}_phasespacedens/2020/c1_cp_{kind}_psd_20200101_v20200101.cdf"
    name = f"C1_CP_CIS_{'HIA_HS_MAG_IONS' if hia else 'CODIF_HS_H1'}_PSD"
    file = _File(path, 0)
    file.epoch("Epoch", DAY + np.arange(len(density)) * np.timedelta64(4, "s"))
    file.fixed(f"theta__{name}", np.arange(8) * 22.5 - 78.75, "deg")
    file.fixed(f"phi__{name}", np.arange(16) * 22.5 + 11.25, "deg")
    file.fixed(f"energy_table__{name}", np.geomspace(28000, 20, 31), "eV")
    axes = {f"DEPEND_{i + 1}": f"{key}__{name}" for i, key in enumerate(("theta", "phi", "energy_table"))}
    file.vary(f"ions_3d__{name}", density, "s^3/km^6", axes)
    return file.close()
