"""Time series and spectrograms that are used most, loaded by time range through pyspedas.

Names of variables are those that the loaders of pyspedas 2.2.2 make, and those of the files where they keep them.
"""

from __future__ import annotations

import inspect
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from .. import tplot
from ..conventions import check_keywords, probe_names
from ..errors import ArgumentError, LoadError, SimilarityError
from ..times import to_interval
from .checked_loading import load_checked, load_whole

logger = logging.getLogger(__name__)

_OWN = {"trange", "probe", "sites", "suffix", "prefix", "time_clip", "varnames", "notplot", "downloadonly", "available"}
_OWN |= {"instrument", "always_prompt", "spdf", "username", "password", "uname", "passwd"}
# Keywords of pyspedas's loaders that are set here, or that a result must not record.
_SITE = re.compile(r"[a-z0-9]{2,4}(?:_100ms)?")


@dataclass(frozen=True)
class Product:
    """Panels of one instrument that a loader of pyspedas makes.

    Attributes
    ----------
    loader : str
        Project and function in ``pyspedas.projects``, such as 'mms.fgm'.
    panels : tuple of str
        Names of its variables with ``{probe}`` and keywords of the loader in braces. The first one is searched alone.
    keywords : mapping
        For the loader; the caller's come before them.
    probes : tuple of str
        Short names of spacecraft, the default first; empty: codes of stations on the ground.
    called : str
        Regular expression for what may come before the short name of a probe.
    prefix : str
        In front of names that do not name the spacecraft.
    only : bool
        Load nothing else from the files.
    """

    title: str
    loader: str
    panels: tuple[str, ...]
    keywords: Mapping[str, Any] = field(default_factory=dict)
    probes: tuple[str, ...] = ()
    called: str = ""
    probe_key: str = "probe"
    prefix: str = ""
    only: bool = False

    @property
    def globs(self) -> tuple[str, ...]:
        """Globs of the names of its variables, of any probe and keywords, with any suffix."""
        names = [(self.prefix + one).replace("{probe}", "?" if self.probes else "*") + "*" for one in self.panels]
        return tuple(re.sub(r"\*+", "*", re.sub(r"{\w+}", "*", one)) for one in names)

    @property
    def station(self) -> str:
        """Regular expression of the probe or site in the name of a variable."""
        return _PROBE if self.probes else r"thg_mag_(?P<site>[a-z0-9]{2,4})"

    def function(self) -> Callable[..., Any]:
        """Return the loader."""
        project, _, name = self.loader.partition(".")
        return getattr(import_module(f"pyspedas.projects.{project}"), name)

    def stations(self, probe: Any) -> list[str]:
        """Return short names of spacecraft, or codes of stations; ArgumentError for those that do not exist."""
        if self.probes:
            return probe_names(self.probes[0] if probe is None else probe, self.called, self.probes)
        names = [probe] if isinstance(probe, str) else list(probe) if isinstance(probe, (list, tuple)) else []
        if not names or not all(isinstance(one, str) and _SITE.fullmatch(one.lower()) for one in names):
            remedy = "Give the code of one or more stations, such as 'fsmi'."
            raise ArgumentError("probe", f"found {probe!r:.60}", remedy)
        return [one.lower() for one in names]

    def named(self, station: str, options: Mapping[str, Any]) -> tuple[str, list[str]]:
        """Return the prefix for the loader, and the names that it makes behind it."""
        values = {**options, "probe": station}
        return self.prefix.format(**values), [one.format(**values) for one in self.panels]


def load(
    product: Product, trange: Any, probe: str | Sequence[str] | None = None, suffix: str = "", **keywords: Any
) -> list[str]:
    """Load the panels of a product; return names of those that have data, in the order of `Product.panels`.

    Parameters
    ----------
    probe : str, or several
        Spacecraft, or code of a station on the ground. Default: the first spacecraft.
    **keywords
        Further keywords of the loader of pyspedas, such as ``data_rate`` or ``no_update``.

    Raises
    ------
    ArgumentError
        For a probe or a keyword that does not exist.
    LoadError
        If the loader fails, or makes other variables only. The days of files that are not whole are left out, with one
        warning, where the loader says which files it reads; those of MMS do not.
    """
    function = product.function()
    _check_keywords(product, function, keywords)
    options = {**product.keywords, **keywords, "suffix": suffix, "time_clip": True}
    if product.loader.startswith("mms."):
        options["spdf"] = not keywords.get("no_update", False)  # the other archive asks for a user name
    texts, stations = [str(time) for time in to_interval(trange)], product.stations(probe)
    with tplot.preserved() as kept:
        for one in stations:
            kept += _load(product, function, one, options | {"trange": texts})
    return kept


def _load(product: Product, function: Callable[..., Any], station: str, options: Mapping[str, Any]) -> list[str]:
    """Return the names of the panels of one spacecraft or station, without those of which there are no data."""
    prefix, names = product.named(station, options)
    call = dict(options)
    call |= {product.probe_key: station} if product.probe_key else {}
    call |= {"prefix": prefix} if product.prefix else {}
    call |= {"varnames": names} if product.only else {}
    wanted = [f"{prefix}{name}{options['suffix']}" for name in names]
    try:
        made = _made(function, wanted, call)
    except SimilarityError:
        raise
    except Exception as error:  # what a server answers leads loaders to nearly every exception there is
        found = f"it fails ({type(error).__name__}: {error})"
        remedy = "See whether pyspedas loads this time, and with another release of it."
        raise LoadError(f"pyspedas.projects.{product.loader}", found, remedy) from error
    there = [name for name in wanted if name in made and name in tplot.loaded_names()]
    if made and wanted[0] not in there:
        found = f"pyspedas.projects.{product.loader} made {', '.join(map(str, made[:8]))} instead"
        raise LoadError(wanted[0], found, "Load with pyspedas, and search by the names of loaded variables.")
    if made and len(there) < len(wanted):
        logger.warning("%s: there are no data of %s.", product.title, ", ".join(sorted({*wanted} - {*there})))
    return there


def _made(function: Callable[..., Any], wanted: list[str], call: dict[str, Any]) -> list[str]:
    """Call a loader; return the names of what it made, or of the wanted ones where a file is not whole."""
    if "downloadonly" not in inspect.signature(function).parameters:
        return list(function(**call) or [])
    try:
        return load_whole(function, **call)
    except LoadError:
        trange, rest = call["trange"], {key: one for key, one in call.items() if key != "trange"}
        return [name for one in wanted for name in load_checked(function, one, trange, **rest)]


def _check_keywords(product: Product, function: Callable[..., Any], given: Mapping[str, Any]) -> None:
    parameters = inspect.signature(function).parameters.values()
    if not any(one.kind is one.VAR_KEYWORD for one in parameters):
        check_keywords(given, [one.name for one in parameters if one.name not in _OWN], product.loader)


_PROBE = r"(?P<probe>mms\d|th[a-e]|rbsp[ab]|cluster\d|erg|wind|ace|psp|solo|omni)_"
_MMS: dict[str, Any] = {"probes": ("1", "2", "3", "4"), "called": "mms"}
_THEMIS: dict[str, Any] = {"probes": ("a", "b", "c", "d", "e"), "called": "themis|th", "only": True}
_RBSP: dict[str, Any] = {"probes": ("a", "b"), "called": "rbsp|van allen probes?", "only": True}


def _alone(name: str, called: str = "", prefix: str = "") -> dict[str, Any]:
    """Return what the products of a mission with one spacecraft have in common."""
    return {"probes": (name,), "called": called, "probe_key": "", "prefix": prefix}


def _fpi(title: str, species: str, *panels: str) -> Product:
    names = tuple(f"mms{{probe}}_{species}_{one}_{{data_rate}}" for one in panels)
    return Product(title, "mms.fpi", names, {"data_rate": "fast", "datatype": f"{species}-moms"}, **_MMS)


def _rates(level: str = "l2", rate: str = "srvy", **others: str) -> dict[str, str]:
    return {"data_rate": rate, "level": level, **others}


_FEEPS = "mms{probe}_epd_feeps_{data_rate}_{level}_"
_EIS = "mms{probe}_epd_eis_{data_rate}_{level}_{datatype}_proton_flux_omni"
_WFR = {"level": "l2", "datatype": "wfr", "wavetype": "spectral-matrix-diagonal-merged"}
_HFR = {"level": "l2", "datatype": "hfr", "wavetype": "spectra"}
_MAGNETOMETER = {"level": "l3", "datatype": "magnetometer", "cadence": "4sec", "coord": "sm"}

PRODUCTS = {
    "mms_fgm": Product(
        "MMS FGM magnetic field, GSE", "mms.fgm", ("mms{probe}_fgm_b_gse_{data_rate}_{level}",), _rates(), **_MMS
    ),
    "mms_dis_spectra": _fpi("MMS FPI ion energy spectra, of all directions", "dis", "energyspectr_omni"),
    "mms_des_spectra": _fpi("MMS FPI electron energy spectra, of all directions", "des", "energyspectr_omni"),
    "mms_dis_moms": _fpi(
        "MMS FPI ion moments: density; together also velocity (GSE), temperatures and energy spectra",
        "dis",
        *("numberdensity", "bulkv_gse", "temppara", "tempperp", "energyspectr_omni"),
    ),
    "mms_des_moms": _fpi(
        "MMS FPI electron moments: density; together also velocity (GSE), temperatures and energy spectra",
        "des",
        *("numberdensity", "bulkv_gse", "temppara", "tempperp", "energyspectr_omni"),
    ),
    "mms_edp": Product(
        "MMS EDP electric field, GSE",
        "mms.edp",
        ("mms{probe}_edp_dce_gse_{data_rate}_{level}",),
        _rates(rate="fast", datatype="dce"),
        **_MMS,
    ),
    "mms_edp_hfesp": Product(
        "MMS EDP electric spectral density, high frequencies",
        "mms.edp",
        ("mms{probe}_edp_hfesp_{data_rate}_{level}",),
        _rates(datatype="hfesp"),
        **_MMS,
    ),
    "mms_feeps_electrons": Product(
        "MMS FEEPS electron energy spectra, of all directions",
        "mms.feeps",
        (_FEEPS + "electron_intensity_omni",),
        _rates(datatype="electron"),
        **_MMS,
    ),
    "mms_feeps_ions": Product(
        "MMS FEEPS ion energy spectra, of all directions",
        "mms.feeps",
        (_FEEPS + "ion_intensity_omni",),
        _rates(datatype="ion"),
        **_MMS,
    ),
    "mms_eis_protons": Product(
        "MMS EIS proton energy spectra, of all directions", "mms.eis", (_EIS,), _rates(datatype="extof"), **_MMS
    ),
    "themis_fgm": Product("THEMIS FGM magnetic field, spin fits, GSE", "themis.fgm", ("th{probe}_fgs_gse",), **_THEMIS),
    "themis_esa_ions": Product(
        "THEMIS ESA ions: energy spectra; together also density and velocity (GSE)",
        "themis.esa",
        ("th{probe}_peif_en_eflux", "th{probe}_peif_density", "th{probe}_peif_velocity_gse"),
        **_THEMIS,
    ),
    "themis_esa_electrons": Product(
        "THEMIS ESA electrons: energy spectra; together also density and velocity (GSE)",
        "themis.esa",
        ("th{probe}_peef_en_eflux", "th{probe}_peef_density", "th{probe}_peef_velocity_gse"),
        **_THEMIS,
    ),
    "themis_sst_ions": Product("THEMIS SST ion energy spectra", "themis.sst", ("th{probe}_psif_en_eflux",), **_THEMIS),
    "themis_sst_electrons": Product(
        "THEMIS SST electron energy spectra", "themis.sst", ("th{probe}_psef_en_eflux",), **_THEMIS
    ),
    "themis_fbk": Product(
        "THEMIS FBK filter banks: magnetic; together also electric",
        "themis.fbk",
        ("th{probe}_fb_scm1", "th{probe}_fb_edc12"),
        **_THEMIS,
    ),
    "themis_gmag": Product(
        "magnetometers on the ground, as THEMIS distributes them; probe is the code of a station",
        "themis.gmag",
        ("thg_mag_{probe}",),
        probe_key="sites",
        only=True,
    ),
    "rbsp_hope_electron_spectra": Product(
        "Van Allen Probes HOPE electron energy spectra, spin averages of all directions",
        "rbsp.hope",
        ("FEDO",),
        {"level": "l3", "datatype": "pitchangle"},
        prefix="rbsp{probe}_hope_",
        **_RBSP,
    ),
    "rbsp_hope_proton_spectra": Product(
        "Van Allen Probes HOPE proton energy spectra, spin averages of all directions",
        "rbsp.hope",
        ("FPDO",),
        {"level": "l3", "datatype": "pitchangle"},
        prefix="rbsp{probe}_hope_",
        **_RBSP,
    ),
    "rbsp_mageis": Product(
        "Van Allen Probes MagEIS electron energy spectra, spin averages",
        "rbsp.mageis",
        ("FESA",),
        {"level": "l2"},
        prefix="rbsp{probe}_mageis_",
        **_RBSP,
    ),
    "rbsp_emfisis": Product(
        "Van Allen Probes EMFISIS magnetic field, SM",
        "rbsp.emfisis",
        ("Mag",),
        _MAGNETOMETER,
        prefix="rbsp{probe}_emfisis_{coord}_",
        **_RBSP,
    ),
    "rbsp_emfisis_wfr": Product(
        "Van Allen Probes EMFISIS WFR spectral density, 2 Hz to 12 kHz: magnetic; together also electric",
        "rbsp.emfisis",
        ("BuBu", "EuEu"),
        _WFR,
        prefix="rbsp{probe}_emfisis_",
        **_RBSP,
    ),
    "rbsp_emfisis_hfr": Product(
        "Van Allen Probes EMFISIS HFR electric spectral density, 10 to 400 kHz",
        "rbsp.emfisis",
        ("HFR_Spectra",),
        _HFR,
        prefix="rbsp{probe}_emfisis_",
        **_RBSP,
    ),
    "erg_pwe_ofa": Product(
        "ERG PWE OFA spectral density: electric; together also magnetic",
        "erg.pwe_ofa",
        ("erg_pwe_ofa_{level}_spec_E_spectra_132", "erg_pwe_ofa_{level}_spec_B_spectra_132"),
        {"level": "l2", "ror": False},
        **_alone("erg", "arase"),
    ),
    "erg_mgf": Product(
        "ERG MGF magnetic field, SM",
        "erg.mgf",
        ("erg_mgf_{level}_mag_{datatype}_{coord}",),
        {"level": "l2", "datatype": "8sec", "coord": "sm", "ror": False},
        **_alone("erg", "arase"),
    ),
    "cluster_fgm": Product(
        "Cluster FGM magnetic field, spin averages, GSE",
        "cluster.fgm",
        ("B_vec_xyz_gse__C{probe}_CP_FGM_SPIN",),
        {"datatype": "cp"},
        probes=("1", "2", "3", "4"),
        called="cluster|c",
        prefix="cluster{probe}_",
    ),
    "wind_mfi": Product(
        "Wind MFI magnetic field, GSE", "wind.mfi", ("BGSE",), {"datatype": "h0"}, **_alone("wind", prefix="wind_")
    ),
    "wind_swe": Product(
        "Wind SWE protons: density; together also speed and thermal speed",
        "wind.swe",
        ("Proton_Np_nonlin", "Proton_V_nonlin", "Proton_W_nonlin"),
        {"datatype": "h1"},
        **_alone("wind", prefix="wind_"),
    ),
    "ace_mfi": Product(
        "ACE MFI magnetic field, GSE", "ace.mfi", ("BGSEc",), {"datatype": "h3"}, **_alone("ace", prefix="ace_")
    ),
    "ace_swepam": Product(
        "ACE SWEPAM protons: density; together also speed and temperature",
        "ace.swe",
        ("Np", "Vp", "Tpr"),
        {"datatype": "h0"},
        **_alone("ace", prefix="ace_"),
    ),
    "psp_fields": Product(
        "Parker Solar Probe FIELDS magnetic field, RTN",
        "psp.fields",
        ("psp_fld_{level}_mag_RTN_4_Sa_per_Cyc",),
        {"level": "l2", "datatype": "mag_rtn_4_per_cycle"},
        **_alone("psp", "parker solar probe"),
    ),
    "psp_spc": Product(
        "Parker Solar Probe SPC protons: density; together also velocity (RTN) and thermal speed",
        "psp.spc",
        ("psp_spc_np_moment", "psp_spc_vp_moment_RTN", "psp_spc_wp_moment"),
        {"level": "l3", "datatype": "l3i"},
        **_alone("psp", "parker solar probe"),
    ),
    "solo_mag": Product(
        "Solar Orbiter MAG magnetic field, RTN",
        "solo.mag",
        ("B_RTN",),
        {"datatype": "rtn-normal"},
        **_alone("solo", "solar orbiter", prefix="solo_"),
    ),
    "omni": Product(
        "OMNI solar wind at the bow shock: Bz (GSM); together also By (GSM), speed, density and SYM-H",
        "omni.data",
        ("BZ_GSM", "BY_GSM", "flow_speed", "proton_density", "SYM_H"),
        {"level": "hro", "datatype": "1min"},
        **_alone("omni", prefix="omni_"),
    ),
}
"""Products by the names under which they are registered as instruments."""
