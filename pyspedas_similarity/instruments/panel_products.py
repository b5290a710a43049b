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

# Keywords of pyspedas's loaders that are set here, or that a result must not record.
_OWN = {"trange", "probe", "sites", "suffix", "prefix", "time_clip", "varnames", "notplot", "downloadonly", "available"}
_OWN |= {"instrument", "always_prompt", "spdf", "username", "password", "uname", "passwd"}
_SITE = re.compile(r"[a-z0-9]{2,4}(?:_100ms)?")


@dataclass(frozen=True)
class Product:
    """Panels of one instrument that a loader of pyspedas makes.

    `loader` is project and function in ``pyspedas.projects``, such as 'mms.fgm'. `panels` are names of its variables
    with ``{probe}`` and keywords of the loader in braces; the first one is searched alone. `keywords` for the loader
    come after the caller's. `probes` are short names of spacecraft, the default first, empty for codes of stations on
    the ground; `called` is a regular expression for what may come before them. `prefix` goes in front of names that do
    not name the spacecraft. With `only` nothing else is loaded from the files.
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

    `probe` is one spacecraft, by default the first one, or code of a station on the ground, or several; `keywords` are
    further ones of the loader of pyspedas, such as ``data_rate`` or ``no_update``. ArgumentError for a probe or a
    keyword that does not exist; LoadError if the loader fails, or makes other variables only. The days of files that
    are not whole are left out, with one warning, where the loader says which files it reads; those of MMS do not.
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
_MMS = ("1", "2", "3", "4"), "mms"
_MOMENTS = ("numberdensity", "bulkv_gse", "temppara", "tempperp", "energyspectr_omni")
_HOPE = {"level": "l3", "datatype": "pitchangle"}


def _mms(title: str, loader: str, *panels: str, **keywords: str) -> Product:
    """Return a product of level 2 survey data, unless `keywords` say otherwise."""
    names = tuple(f"mms{{probe}}_{one}" for one in panels)
    options = {"level": "l2", "data_rate": "srvy"} | keywords
    return Product(title, f"mms.{loader}", names, options, *_MMS)


def _fpi(title: str, species: str, *panels: str) -> Product:
    names = tuple(f"mms{{probe}}_{species}_{one}_{{data_rate}}" for one in panels)
    return Product(title, "mms.fpi", names, {"data_rate": "fast", "datatype": f"{species}-moms"}, *_MMS)


def _themis(title: str, loader: str, *panels: str) -> Product:
    names = tuple(f"th{{probe}}_{one}" for one in panels)
    return Product(title, f"themis.{loader}", names, {}, ("a", "b", "c", "d", "e"), "themis|th", only=True)


def _rbsp(title: str, loader: str, prefix: str, *panels: str, **keywords: str) -> Product:
    called = "rbsp|van allen probes?"
    return Product(
        title, f"rbsp.{loader}", panels, keywords, ("a", "b"), called, prefix=f"rbsp{{probe}}_{prefix}_", only=True
    )


def _alone(
    title: str, loader: str, *panels: str, called: str = "", prefix: str = "", keywords: Mapping[str, Any]
) -> Product:
    """Return a product of a mission with one spacecraft."""
    mission = loader.partition(".")[0]
    return Product(title, loader, panels, keywords, (mission,), called=called, probe_key="", prefix=prefix)


def _psp(title: str, loader: str, *panels: str, **keywords: str) -> Product:
    names = (f"psp_{one}" for one in panels)
    return _alone(title, f"psp.{loader}", *names, called="parker solar probe", keywords=keywords)


PRODUCTS = {
    "mms_fgm": _mms("MMS FGM magnetic field, GSE", "fgm", "fgm_b_gse_{data_rate}_{level}"),
    "mms_dis_spectra": _fpi("MMS FPI ion energy spectra, of all directions", "dis", "energyspectr_omni"),
    "mms_des_spectra": _fpi("MMS FPI electron energy spectra, of all directions", "des", "energyspectr_omni"),
    "mms_dis_moms": _fpi(
        "MMS FPI ion moments: density; together also velocity (GSE), temperatures and energy spectra",
        "dis",
        *_MOMENTS,
    ),
    "mms_des_moms": _fpi(
        "MMS FPI electron moments: density; together also velocity (GSE), temperatures and energy spectra",
        "des",
        *_MOMENTS,
    ),
    "mms_edp": _mms(
        "MMS EDP electric field, GSE", "edp", "edp_dce_gse_{data_rate}_{level}", data_rate="fast", datatype="dce"
    ),
    "mms_edp_hfesp": _mms(
        "MMS EDP electric spectral density, high frequencies",
        "edp",
        "edp_hfesp_{data_rate}_{level}",
        datatype="hfesp",
    ),
    "mms_feeps_electrons": _mms(
        "MMS FEEPS electron energy spectra, of all directions",
        "feeps",
        "epd_feeps_{data_rate}_{level}_electron_intensity_omni",
        datatype="electron",
    ),
    "mms_feeps_ions": _mms(
        "MMS FEEPS ion energy spectra, of all directions",
        "feeps",
        "epd_feeps_{data_rate}_{level}_ion_intensity_omni",
        datatype="ion",
    ),
    "mms_eis_protons": _mms(
        "MMS EIS proton energy spectra, of all directions",
        "eis",
        "epd_eis_{data_rate}_{level}_{datatype}_proton_flux_omni",
        datatype="extof",
    ),
    "themis_fgm": _themis("THEMIS FGM magnetic field, spin fits, GSE", "fgm", "fgs_gse"),
    "themis_esa_ions": _themis(
        "THEMIS ESA ions: energy spectra; together also density and velocity (GSE)",
        "esa",
        "peif_en_eflux",
        "peif_density",
        "peif_velocity_gse",
    ),
    "themis_esa_electrons": _themis(
        "THEMIS ESA electrons: energy spectra; together also density and velocity (GSE)",
        "esa",
        "peef_en_eflux",
        "peef_density",
        "peef_velocity_gse",
    ),
    "themis_sst_ions": _themis("THEMIS SST ion energy spectra", "sst", "psif_en_eflux"),
    "themis_sst_electrons": _themis("THEMIS SST electron energy spectra", "sst", "psef_en_eflux"),
    "themis_fbk": _themis("THEMIS FBK filter banks: magnetic; together also electric", "fbk", "fb_scm1", "fb_edc12"),
    "themis_gmag": Product(
        "magnetometers on the ground, as THEMIS distributes them; probe is the code of a station",
        "themis.gmag",
        ("thg_mag_{probe}",),
        probe_key="sites",
        only=True,
    ),
    "rbsp_hope_electron_spectra": _rbsp(
        "Van Allen Probes HOPE electron energy spectra, spin averages of all directions",
        "hope",
        "hope",
        "FEDO",
        **_HOPE,
    ),
    "rbsp_hope_proton_spectra": _rbsp(
        "Van Allen Probes HOPE proton energy spectra, spin averages of all directions", "hope", "hope", "FPDO", **_HOPE
    ),
    "rbsp_mageis": _rbsp(
        "Van Allen Probes MagEIS electron energy spectra, spin averages", "mageis", "mageis", "FESA", level="l2"
    ),
    "rbsp_emfisis": _rbsp(
        "Van Allen Probes EMFISIS magnetic field, SM",
        "emfisis",
        "emfisis_{coord}",
        "Mag",
        level="l3",
        datatype="magnetometer",
        cadence="4sec",
        coord="sm",
    ),
    "rbsp_emfisis_wfr": _rbsp(
        "Van Allen Probes EMFISIS WFR spectral density, 2 Hz to 12 kHz: magnetic; together also electric",
        "emfisis",
        "emfisis",
        "BuBu",
        "EuEu",
        level="l2",
        datatype="wfr",
        wavetype="spectral-matrix-diagonal-merged",
    ),
    "rbsp_emfisis_hfr": _rbsp(
        "Van Allen Probes EMFISIS HFR electric spectral density, 10 to 400 kHz",
        "emfisis",
        "emfisis",
        "HFR_Spectra",
        level="l2",
        datatype="hfr",
        wavetype="spectra",
    ),
    "erg_pwe_ofa": _alone(
        "ERG PWE OFA spectral density: electric; together also magnetic",
        "erg.pwe_ofa",
        "erg_pwe_ofa_{level}_spec_E_spectra_132",
        "erg_pwe_ofa_{level}_spec_B_spectra_132",
        called="arase",
        keywords={"level": "l2", "ror": False},
    ),
    "erg_mgf": _alone(
        "ERG MGF magnetic field, SM",
        "erg.mgf",
        "erg_mgf_{level}_mag_{datatype}_{coord}",
        called="arase",
        keywords={"level": "l2", "datatype": "8sec", "coord": "sm", "ror": False},
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
    "wind_mfi": _alone("Wind MFI magnetic field, GSE", "wind.mfi", "BGSE", prefix="wind_", keywords={"datatype": "h0"}),
    "wind_swe": _alone(
        "Wind SWE protons: density; together also speed and thermal speed",
        "wind.swe",
        "Proton_Np_nonlin",
        "Proton_V_nonlin",
        "Proton_W_nonlin",
        prefix="wind_",
        keywords={"datatype": "h1"},
    ),
    "ace_mfi": _alone("ACE MFI magnetic field, GSE", "ace.mfi", "BGSEc", prefix="ace_", keywords={"datatype": "h3"}),
    "ace_swepam": _alone(
        "ACE SWEPAM protons: density; together also speed and temperature",
        "ace.swe",
        "Np",
        "Vp",
        "Tpr",
        prefix="ace_",
        keywords={"datatype": "h0"},
    ),
    "psp_fields": _psp(
        "Parker Solar Probe FIELDS magnetic field, RTN",
        "fields",
        "fld_{level}_mag_RTN_4_Sa_per_Cyc",
        level="l2",
        datatype="mag_rtn_4_per_cycle",
    ),
    "psp_spc": _psp(
        "Parker Solar Probe SPC protons: density; together also velocity (RTN) and thermal speed",
        "spc",
        "spc_np_moment",
        "spc_vp_moment_RTN",
        "spc_wp_moment",
        level="l3",
        datatype="l3i",
    ),
    "solo_mag": _alone(
        "Solar Orbiter MAG magnetic field, RTN",
        "solo.mag",
        "B_RTN",
        called="solar orbiter",
        prefix="solo_",
        keywords={"datatype": "rtn-normal"},
    ),
    "omni": _alone(
        "OMNI solar wind at the bow shock: Bz (GSM); together also By (GSM), speed, density and SYM-H",
        "omni.data",
        "BZ_GSM",
        "BY_GSM",
        "flow_speed",
        "proton_density",
        "SYM_H",
        prefix="omni_",
        keywords={"level": "hro", "datatype": "1min"},
    ),
}
"""Products by the names under which they are registered as instruments."""
