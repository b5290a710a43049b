"""Panels that people use most: simulated variables in the layout in which pyspedas stores them, and their loaders.

Names, units, tables and options are those of the sources in `SOURCES`; values are simulated.
"""

import importlib.util
import shutil
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path

import numpy as np
import pyspedas
import pytest
from pyspedas import tplot_tools
from scipy.signal import lfilter

import pyspedas_similarity as sim
from pyspedas_similarity import tplot
from pyspedas_similarity.cli import main
from pyspedas_similarity.errors import ArgumentError, LoadError, VariableError
from pyspedas_similarity.imaging.recipes import PanelRecipe
from pyspedas_similarity.instruments.panel_products import PRODUCTS, Product
from pyspedas_similarity.instruments.panels import check_same, panel_of
from pyspedas_similarity.instruments.registry import INSTRUMENTS, instrument_of, station_of
from pyspedas_similarity.plotting.series import on_one_table

N, LENGTH, QUERY, MATCH = 1500, 96, 300, 1000
START = np.datetime64("2018-11-05T01:00:00", "ns")
TIMES = START + np.arange(N) * np.timedelta64(3, "s")
LIKE = [TIMES[QUERY], TIMES[QUERY + LENGTH]]
MIDDLE = TIMES[MATCH + LENGTH // 2]
TRANGE = ["2018-11-05/01:00", "2018-11-05/02:15"]

SOURCES = """
MMS FGM, FPI, HOPE: real files, read by cdf_to_tplot. FEEPS, EIS: mms_feeps_omni.py and mms_eis_omni.py, which store
    neither units nor coordinate system, but plot options. EDP: mms_edp_set_metadata.py.
THEMIS: themis/tests/test_themis.py, docstrings of fbk.py and gmag.py; level 2 files number components in a table,
    describe systems as 'GSE>Geocentric Solar Ecliptic', and have energies (time, energy) with NaN in unused modes.
RBSP EMFISIS: rbsp/tests/test_rbsp.py. MagEIS: unused channels have fill values in energy and flux.
ERG: erg/satellite/erg/pwe/pwe_ofa.py and mgf/mgf.py. Cluster: cluster/tests/test_cluster.py. Wind MFI: README.md.
ACE: ace/mfi.py, ace/swe.py. PSP: psp/tests. Solar Orbiter: solo/mag.py. OMNI: omni/tests.
Wind SWE, PSP SPC moments, MagEIS level 2 and WFR: names in the files, from programs of others that read them.
"""


@dataclass(frozen=True)
class Layout:
    """Layout of a simulated variable.

    Attributes
    ----------
    kind : {'lines', 'vector', 'spectrogram'}
    units : str
    system : str
        Coordinate system that is understood.
    log : bool
        True if the logarithm is taken.
    scale, display : str
        SCALETYP and DISPLAY_TYPE of the file.
    given : str or None
        COORDINATE_SYSTEM of the file.
    table : str
        What the bins are: see `_table`.
    unknown : int
        Number of bins at the upper end that are never measured.
    columns : int
    magnitude : bool
        True if a fourth column is the magnitude.
    calculated : bool
        True if pyspedas calculates it, and stores options only.
    """

    kind: str
    units: str
    system: str = ""
    log: bool = False
    scale: str = "linear"
    display: str = "time_series"
    given: str | None = None
    table: str = ""
    unknown: int = 0
    columns: int = 32
    magnitude: bool = False
    calculated: bool = False


def lines(units, **others):
    return Layout("lines", units, **others)


def vector(units, system, **others):
    return Layout("vector", units, system, **others)


def spectra(units, columns, **others):
    chosen = {"log": True, "scale": "log", "display": "spectrogram", "table": "fixed"} | others
    return Layout("spectrogram", units, columns=columns, **chosen)


FEEPS = spectra("1/(cm^2-sr-s-keV)", 15, calculated=True, unknown=2)
MOMENTS = {
    "numberdensity": lines("cm^-3", log=True, scale="log"),
    "bulkv_gse": vector("km/s", "gse", given="GSE>Geocentric Solar Ecliptic"),
    "temppara": lines("eV"),
    "tempperp": lines("eV"),
    "energyspectr_omni": spectra("keV/(cm^2 s sr keV)", 32, table="alternating"),
}
ESA = {
    "en_eflux": spectra("eV/(cm^2-s-sr-eV)", 32, table="descending, some NaN"),
    "density": lines("1/cm^3"),
    "velocity_gse": vector("km/s", "gse", given="GSE>Geocentric Solar Ecliptic", table="numbers"),
}
HOPE = spectra("s!E-1!Ncm!E-2!Nster!E-1!NkeV!E-1!N", 72, table="alternating")
SST = spectra("eV/(cm^2-s-sr-eV)", 16, table="each", unknown=4)
FILTERS = spectra("nT", 6, scale="linear", table="descending")

# What the loader calls its variables, behind the prefix that it is given.
LAYOUTS = {
    "mms_fgm": ("", {"mms1_fgm_b_gse_srvy_l2": vector("nT", "gse", given="GSE", magnitude=True)}),
    "mms_dis_spectra": ("", {"mms1_dis_energyspectr_omni_fast": MOMENTS["energyspectr_omni"]}),
    "mms_des_spectra": ("", {"mms1_des_energyspectr_omni_fast": MOMENTS["energyspectr_omni"]}),
    "mms_dis_moms": ("", {f"mms1_dis_{name}_fast": one for name, one in MOMENTS.items()}),
    "mms_des_moms": ("", {f"mms1_des_{name}_fast": one for name, one in MOMENTS.items()}),
    "mms_edp": ("", {"mms1_edp_dce_gse_fast_l2": vector("mV/m", "gse", given="GSE>Geocentric Solar Ecliptic")}),
    "mms_edp_hfesp": ("", {"mms1_edp_hfesp_srvy_l2": spectra("(V/m)^2/Hz", 100, table="linear from 0")}),
    "mms_feeps_electrons": ("", {"mms1_epd_feeps_srvy_l2_electron_intensity_omni": FEEPS}),
    "mms_feeps_ions": ("", {"mms1_epd_feeps_srvy_l2_ion_intensity_omni": FEEPS}),
    "mms_eis_protons": (
        "",
        {"mms1_epd_eis_srvy_l2_extof_proton_flux_omni": spectra("1/(cm^2-sr-s-keV)", 14, calculated=True)},
    ),
    "themis_fgm": ("", {"tha_fgs_gse": vector("nT", "gse", given="GSE>Geocentric Solar Ecliptic", table="numbers")}),
    "themis_esa_ions": ("", {f"tha_peif_{name}": one for name, one in ESA.items()}),
    "themis_esa_electrons": ("", {f"tha_peef_{name}": one for name, one in ESA.items()}),
    "themis_sst_ions": ("", {"tha_psif_en_eflux": SST}),
    "themis_sst_electrons": ("", {"tha_psef_en_eflux": SST}),
    "themis_fbk": ("", {"tha_fb_scm1": FILTERS, "tha_fb_edc12": replace(FILTERS, units="mV/m")}),
    "themis_gmag": ("", {"thg_mag_fsmi": vector("nT", "hdz", given="HDZ", table="numbers")}),
    "rbsp_hope_electron_spectra": ("rbspa_hope_", {"FEDO": HOPE}),
    "rbsp_hope_proton_spectra": ("rbspa_hope_", {"FPDO": HOPE}),
    "rbsp_mageis": (
        "rbspa_mageis_",
        {"FESA": spectra("cm!E-2!Ns!E-1!Nsr!E-1!NkeV!E-1!N", 25, table="filled", unknown=4)},
    ),
    "rbsp_emfisis": ("rbspa_emfisis_sm_", {"Mag": vector("nT", "sm")}),
    "rbsp_emfisis_wfr": (
        "rbspa_emfisis_",
        {"BuBu": spectra("nT^2/Hz", 65, table="one row"), "EuEu": spectra("V^2/m^2/Hz", 65, table="one row")},
    ),
    "rbsp_emfisis_hfr": ("rbspa_emfisis_", {"HFR_Spectra": spectra("V^2/m^2/Hz", 82)}),
    "erg_pwe_ofa": (
        "",
        {
            "erg_pwe_ofa_l2_spec_E_spectra_132": spectra("mV^2/m^2/Hz", 132),
            "erg_pwe_ofa_l2_spec_B_spectra_132": spectra("pT^2/Hz", 132),
        },
    ),
    "erg_mgf": ("", {"erg_mgf_l2_mag_8sec_sm": vector("nT", "sm")}),
    "cluster_fgm": ("cluster1_", {"B_vec_xyz_gse__C1_CP_FGM_SPIN": vector("nT", "gse", table="labels")}),
    "wind_mfi": ("wind_", {"BGSE": vector("nT", "gse", table="labels")}),
    "wind_swe": (
        "wind_",
        {"Proton_Np_nonlin": lines("n/cc"), "Proton_V_nonlin": lines("km/s"), "Proton_W_nonlin": lines("km/s")},
    ),
    "ace_mfi": ("ace_", {"BGSEc": vector("nT", "gse", table="labels")}),
    "ace_swepam": ("ace_", {"Np": lines("#/cc"), "Vp": lines("km/s"), "Tpr": lines("Kelvin")}),
    "psp_fields": ("", {"psp_fld_l2_mag_RTN_4_Sa_per_Cyc": vector("nT", "rtn", table="labels")}),
    "psp_spc": (
        "",
        {
            "psp_spc_np_moment": lines("cm^-3"),
            "psp_spc_vp_moment_RTN": vector("km/s", "rtn", table="labels"),
            "psp_spc_wp_moment": lines("km/s"),
        },
    ),
    "solo_mag": ("solo_", {"B_RTN": vector("nT", "rtn", given="RTN", table="labels")}),
    "omni": (
        "omni_",
        {
            "BZ_GSM": lines("nT"),
            "BY_GSM": lines("nT"),
            "flow_speed": lines("km/s"),
            "proton_density": lines("n/cc"),
            "SYM_H": lines("nT"),
        },
    ),
}
CASES = [(product, prefix, name) for product, (prefix, made) in LAYOUTS.items() for name in made]
PROBES = {"themis_gmag": "fsmi"}


def _series(columns, seed):
    noise = np.random.default_rng(seed).standard_normal((N, columns))
    values = lfilter([0.3], [1.0, -0.95], noise, axis=0)
    phase = np.linspace(-1, 1, LENGTH)[:, None]
    shape = 6 * np.exp(-((phase / 0.3) ** 2)) * np.cos(5 * phase + np.arange(columns))
    for at in (QUERY, MATCH):
        values[at : at + LENGTH] += shape
    return values


def _table(kind, columns):
    """Return bins as files give them: None, text or numbers of components, or energies and frequencies."""
    steps = np.geomspace(20.0, 20000.0, columns)
    rows = np.arange(N)[:, None]
    return {
        "": None,
        "labels": np.array(["x", "y", "z"]),
        "numbers": np.arange(1, columns + 1),
        "fixed": steps,
        "linear from 0": np.linspace(0, 60000, columns),
        "descending": steps[::-1],
        "each": np.broadcast_to(steps, (N, columns)).copy(),
        "one row": steps[None],
        "filled": np.where(np.arange(columns) < columns - 4, steps, -1e31),
        "alternating": np.where(rows % 2, steps, 1.05 * steps),
        "descending, some NaN": np.where((rows // 100) % 7 == 6, np.nan, steps[::-1]),
    }[kind]


def _values(layout, seed):
    if layout.kind == "vector":
        values = 5 * _series(3, seed)
        return np.hstack([values, np.linalg.norm(values, axis=1)[:, None]]) if layout.magnitude else values
    if layout.kind == "lines":
        values = _series(1, seed)[:, 0]
        return np.exp(0.3 * values) if layout.log else 100 + values
    bins = np.linspace(0, 1, layout.columns)
    weights = np.exp(-(((bins[:, None] - np.linspace(0, 1, 4)) / 0.3) ** 2))
    values = 10 ** (6 - 4 * bins + 0.3 * _series(4, seed) @ weights.T)
    values[:, layout.columns - layout.unknown :] = np.nan
    values[50, 3] = np.nan
    return values


def store(name, layout, seed=0):
    """Store a simulated variable as cdf_to_tplot does, or as the routines of pyspedas that calculate spectra."""
    data = {"x": TIMES, "y": _values(layout, seed).astype(np.float32)}
    columns = layout.columns if layout.kind == "spectrogram" else 3
    table = _table(layout.table, columns)
    if table is not None:
        data["v"] = table
    if layout.calculated:
        tplot_tools.store_data(name, data=data)
        pyspedas.options(name, opt_dict={"spec": 1, "ylog": 1, "zlog": 1, "ztitle": layout.units})
        return name
    about = {
        "SCALETYP": layout.scale,
        "DISPLAY_TYPE": layout.display,
        "UNITS": layout.units,
        "FILLVAL": np.float32(-1e31),
    }
    if table is not None:
        about["DEPEND_1"] = f"{name}_table"
    if layout.given is not None:
        about["COORDINATE_SYSTEM"] = layout.given
    system = (layout.given or "").split(">")[0]
    attributes = {
        "CDF": {"VATT": about, "GATT": {}, "FILENAME": "simulated.cdf", "LABELS": None},
        "data_att": {"coord_sys": system, "units": layout.units, "depend_1_units": None},
    }
    tplot_tools.store_data(name, data=data, attr_dict=attributes)
    if layout.display == "spectrogram":
        pyspedas.options(name, opt_dict={"spec": 1, "ylog": 1} | ({"zlog": 1} if layout.scale == "log" else {}))
    elif layout.scale == "log":
        pyspedas.options(name, "ylog", 1)
    return name


def seconds_off(found):
    return min(abs(float((one - MIDDLE) / np.timedelta64(1, "s"))) for one in found.peak[:1])


def test_every_product_is_registered_with_its_variables():
    assert PRODUCTS.keys() == LAYOUTS.keys()
    page = (Path(__file__).parents[2] / "docs" / "panels.rst").read_text(encoding="utf-8")
    for name, product in PRODUCTS.items():
        assert INSTRUMENTS[name].is_for_panels and INSTRUMENTS[name].title == product.title
        assert callable(product.function())
        prefix, made = LAYOUTS[name]
        full = [prefix + one for one in made]
        assert INSTRUMENTS[name].names_in(full) == full[:1]
        assert INSTRUMENTS[name].names_in(full, together=True) == full
        assert f"``{name}``\n     - {product.title}\n" in page
        assert all(f"``{product.prefix}{one}``" in page for one in product.panels)


@pytest.mark.parametrize(("product", "prefix", "name"), CASES)
def test_metadata_are_understood_and_a_simulated_event_is_found(product, prefix, name):
    layout = LAYOUTS[product][1][name]
    store(prefix + name, layout)
    panel = panel_of(tplot.read(prefix + name), PanelRecipe())
    assert (panel.kind, panel.logarithmic, panel.units) == (layout.kind, layout.log, layout.units)
    assert panel.system == layout.system
    columns = {"vector": 3, "lines": 1, "spectrogram": min(16, layout.columns - layout.unknown)}
    assert panel.values.shape == (N, columns[layout.kind])
    assert instrument_of(panel.variable).is_for_panels
    found = sim.search(prefix + name, LIKE)
    assert seconds_off(found) <= 9  # a cell
    assert found.score[0] > 0.8


def stand_in(product, made=None):
    """Return a loader that stores simulated variables as the loader of a product does, and one of the user's names."""
    calls = []

    def loader(trange=None, probe="1", sites=None, suffix="", prefix="", downloadonly=False, **keywords):
        calls.append({"trange": trange, "probe": probe, "sites": sites, "prefix": prefix, **keywords})
        if downloadonly:
            return []
        layouts = LAYOUTS[product][1] if made is None else made
        names = {f"{prefix}{name}{suffix}".replace("mms1", f"mms{probe}"): one for name, one in layouts.items()}
        for name, layout in names.items():
            store(name, layout)
        store("quality", lines(""))
        return [*names, "quality"]

    return loader, calls


@pytest.mark.parametrize("name", LAYOUTS)
def test_products_are_searched_by_instrument_and_time_range(name, monkeypatch):
    loader, calls = stand_in(name)
    monkeypatch.setattr(Product, "function", lambda self: loader)
    store("quality", lines("", log=True), seed=3)
    before = tplot.read("quality").values.copy()
    prefix, made = LAYOUTS[name]
    source = {"instrument": name, "trange": TRANGE, "probe": PROBES.get(name)}
    first = prefix + next(iter(made))
    names = sim.find_similar(like=LIKE, errors="raise", **source)
    assert names == [f"{first}_similar", f"{first}_similarity"]
    assert seconds_off(sim.result(names)) <= 9
    assert sim.result(names).record["station"] == station_of(replace(tplot.read("quality"), name=first)) != {}
    assert calls[-1]["time_clip"] and calls[-1]["trange"][0] == "2018-11-05T01:00:00.000000000"
    together = sim.search(like=LIKE, together=True, **source)
    assert [one["name"] for one in together.record["panels"]] == [prefix + one for one in made]
    kinds = [layout.kind for layout in made.values()]
    assert [one["kind"] for one in together.record["panels"]] == kinds
    logs = [layout.log for layout in made.values()]
    assert [one["logarithmic"] for one in together.record["panels"]] == logs
    np.testing.assert_array_equal(tplot.read("quality").values, before)
    assert set(tplot.loaded_names()) == {"quality", *names}
    loaded = INSTRUMENTS[name].load(TRANGE, probe=PROBES.get(name), suffix="_mine")
    assert loaded == [f"{prefix}{one}_mine" for one in made]
    assert set(tplot.loaded_names()) == {"quality", *names, *loaded}
    if not PRODUCTS[name].loader.endswith("gmag"):
        with pytest.raises(ArgumentError, match="probe"):
            sim.search(like=LIKE, instrument=name, trange=TRANGE, probe="9")


def test_several_spacecraft_are_searched_together_by_spacecraft(monkeypatch):
    loader, _ = stand_in("mms_dis_moms")
    monkeypatch.setattr(Product, "function", lambda self: loader)
    found = sim.search(like=LIKE, instrument="mms_dis_moms", trange=TRANGE, probe=[1, 2], together=True)
    assert [one.name for one in found.searched] == [f"mms{n}_dis_numberdensity_fast_together" for n in (1, 2)]
    assert [len(one.record["panels"]) for one in found.searched] == [5, 5]
    figure = found.plot_matches(limit=2)
    assert figure.axes


def test_mms_never_asks_for_a_user_name(monkeypatch):
    loader, calls = stand_in("mms_fgm")
    monkeypatch.setattr(Product, "function", lambda self: loader)
    assert INSTRUMENTS["mms_fgm"].load(TRANGE, probe="mms1") == ["mms1_fgm_b_gse_srvy_l2"]
    assert calls[-1]["spdf"] is True
    INSTRUMENTS["mms_fgm"].load(TRANGE, no_update=True)
    assert calls[-1]["spdf"] is False and calls[-1]["no_update"] is True


def test_keywords_change_names_and_unknown_ones_are_refused(monkeypatch):
    layout = LAYOUTS["mms_fgm"][1]["mms1_fgm_b_gse_srvy_l2"]
    loader, _ = stand_in("mms_fgm", {"mms1_fgm_b_gse_brst_l2": layout})
    with pytest.raises(ArgumentError, match="data_rate"):
        INSTRUMENTS["mms_fgm"].load(TRANGE, datarate="brst")
    for own in ("always_prompt", "varnames"):
        with pytest.raises(ArgumentError, match=own):
            sim.search(like=LIKE, instrument="mms_fgm", trange=TRANGE, load_keywords={own: True})
    monkeypatch.setattr(Product, "function", lambda self: loader)
    assert INSTRUMENTS["mms_fgm"].load(TRANGE, data_rate="brst") == ["mms1_fgm_b_gse_brst_l2"]


def test_faults_of_loaders_are_errors_of_this_package(monkeypatch):
    def use(loader):
        monkeypatch.setattr(Product, "function", lambda self: loader)
        return {"like": LIKE, "instrument": "mms_fgm", "trange": TRANGE}

    def broken(**keywords):
        store("quality", lines(""))
        raise KeyError("Epoch")

    for loader, error, text in (
        (broken, LoadError, "mms.fgm: it fails .KeyError"),
        (stand_in("mms_fgm", {"mms1_other": lines("nT")})[0], LoadError, "made mms1_other, quality instead"),
    ):
        with pytest.raises(error, match=text):
            sim.search(**use(loader))
        assert tplot.loaded_names() == []
        assert sim.find_similar(**use(loader)) == []  # logged
    for nothing in (None, []):
        found = sim.search(**use(lambda nothing=nothing, **keywords: nothing))
        assert len(found) == 0 and "no data of mms_fgm" in found.shortfalls[0]


def test_files_that_are_not_whole_are_named(tmp_path, monkeypatch):
    damaged = tmp_path / "simulated_20181105.cdf"
    damaged.write_bytes(b"not a CDF")

    def loader(trange=None, downloadonly=False, **keywords):
        assert downloadonly, "a damaged file is not read"
        return [str(damaged)]

    monkeypatch.setattr(Product, "function", lambda self: loader)
    with pytest.raises(LoadError, match="simulated_20181105"):
        sim.search(like=LIKE, instrument="omni", trange=TRANGE)


@pytest.mark.parametrize("probe", [None, 1, "", "fort smith", "../x", ["fsmi", 3]])
def test_stations_that_do_not_exist_are_refused(probe):
    with pytest.raises(ArgumentError, match="probe"):
        INSTRUMENTS["themis_gmag"].load(TRANGE, probe=probe)


def test_products_are_for_searches_only(tmp_path, monkeypatch, capsys):
    loader, _ = stand_in("themis_fgm")
    monkeypatch.setattr(Product, "function", lambda self: loader)
    source = {"instrument": "themis_fgm", "trange": TRANGE}
    for call in (
        lambda: sim.encode(errors="raise", **source),
        lambda: sim.add(tmp_path / "archive", errors="raise", **source),
        lambda: sim.train(**source),
        lambda: sim.search(like=LIKE, encoder="pca", **source),
    ):
        with pytest.raises(ArgumentError, match="searches only"):
            call()
    assert main(["info"]) == 0
    shown = capsys.readouterr().out
    assert "themis_fgm" in shown and "tha_peif" not in shown
    listed = shown[shown.index("time series and spectrograms") :]
    assert "OMNI solar wind at the bow shock: Bz (GSM); together also" in listed


def test_real_files_are_understood_as_the_simulated_ones(real_data):
    hope = real_data("spectra/rbspa_rel04_ect-hope-PA-L3_20121201_v0.0.0.cdf")
    moments = real_data("mms/mms1_fpi_brst_l2_dis-moms_20151016130524_v3.3.0.cdf")
    field = real_data("mms/mms1_fgm_brst_l2_20201119233633_v5.270.0.cdf")
    for path in (hope, moments, field):
        tplot_tools.cdf_to_tplot(str(path))
    pairs = {"FEDO": HOPE, "FPDO": HOPE, "mms1_fgm_b_gse_brst_l2": LAYOUTS["mms_fgm"][1]["mms1_fgm_b_gse_srvy_l2"]}
    pairs |= {f"mms1_dis_{name}_brst": one for name, one in MOMENTS.items()}
    for name, layout in pairs.items():
        panel = panel_of(tplot.read(name), PanelRecipe())
        assert (panel.kind, panel.units, panel.system) == (layout.kind, layout.units, layout.system)
        if not name.startswith("mms1_dis_temp"):  # the magnetopause: a factor of more than ten
            assert panel.logarithmic == layout.log


@pytest.mark.parametrize(
    ("name", "given", "system"),
    [
        ("b", "GSE>Geocentric Solar Ecliptic", "gse"),
        ("b_gsm", " ", "gsm"),
        ("b_gsm", "N/A", "gsm"),
        ("thc_fgs_dsl", None, "dsl"),
        ("ace_BGSEc", None, "gse"),
        ("erg_mgf_l2_mag_8sec_dsi", None, "dsi"),
        ("magnitude", None, ""),
    ],
)
def test_coordinate_systems_are_those_of_metadata_or_name(name, given, system):
    tplot_tools.store_data(
        name, data={"x": TIMES, "y": _series(3, 0)}, attr_dict={"CDF": {"VATT": {"Coordinate_System": given}}}
    )
    assert panel_of(tplot.read(name), PanelRecipe()).system == system


def test_bins_that_are_rarely_measured_and_tables_under_other_names():
    values = _values(spectra("", 8), 0)
    values[::3, 7] = np.nan  # more often measured than not
    values[N // 4 :, 2] = np.nan
    energies = np.geomspace(1, 100, 8)
    panel = panel_of(tplot.Variable("flux", TIMES, values, {"v1": energies}), PanelRecipe())
    assert panel.kind == "spectrogram" and panel.values.shape == (N, 7)


def test_panels_with_other_titles_of_the_color_bar_have_other_units():
    first, other = (store(name, FEEPS) for name in ("one", "two"))
    pyspedas.options(other, "ztitle", "[counts/s]")
    panels = [panel_of(tplot.read(name), PanelRecipe()) for name in (first, other)]
    assert [one.units for one in panels] == ["1/(cm^2-sr-s-keV)", "counts/s"]
    with pytest.raises(VariableError, match="units"):
        check_same(panels, "axes")


@pytest.mark.parametrize("table", ["alternating", "descending, some NaN", "filled", "linear from 0"])
def test_spectrograms_of_any_table_are_drawn(table):
    store("flux", spectra("nT^2/Hz", 32, table=table))
    figure = sim.search("flux", LIKE).plot_matches(limit=2)
    (mesh, *_) = figure.axes[0].collections
    shown, bins = mesh.get_array(), mesh.get_coordinates()[:, 0, 1]
    assert (np.diff(bins) > 0).all() and np.isfinite(bins).all()
    assert np.isfinite(np.ma.filled(shown, np.nan)).mean() > 0.9


def test_spectra_are_drawn_in_the_bins_of_one_table():
    values, tables = (
        np.array([[1.0, 2, 3], [4, 5, 6], [7, 8, 9]]),
        np.array([[3.0, 2, 1], [3.1, 2.1, 1.1], [np.nan] * 3]),
    )
    drawn, bins = on_one_table(values, tables)
    np.testing.assert_array_equal(bins, [1, 2, 3])
    np.testing.assert_array_equal(drawn, [[3, 2, 1], [6, 5, 4], [np.nan] * 3])


def settings_of(mission):
    """Return the module with the settings of a mission, which older releases of pyspedas call otherwise."""
    if importlib.util.find_spec(f"pyspedas.projects.{mission}.config") is not None:
        return import_module(f"pyspedas.projects.{mission}.config")
    return import_module(f"pyspedas.projects.{mission}.{mission}_config")


@pytest.mark.parametrize(
    ("product", "file", "place", "trange", "options"),
    [
        (
            "mms_dis_moms",
            "mms/mms1_fpi_brst_l2_dis-moms_20151016130524_v3.3.0.cdf",
            "mms1/fpi/brst/l2/dis-moms/2015/10/16/mms1_fpi_brst_l2_dis-moms_20151016130524_v3.3.0.cdf",
            ["2015-10-16/13:05:30", "2015-10-16/13:06:30"],
            {"data_rate": "brst"},
        ),
        (
            "mms_fgm",
            "mms/mms1_fgm_brst_l2_20201119233633_v5.270.0.cdf",
            "mms1/fgm/brst/l2/2020/11/19/mms1_fgm_brst_l2_20201119233633_v5.270.0.cdf",
            ["2020-11-19/23:36:40", "2020-11-19/23:37:30"],
            {"data_rate": "brst"},
        ),
        (
            "rbsp_hope_electron_spectra",
            "spectra/rbspa_rel04_ect-hope-PA-L3_20121201_v0.0.0.cdf",
            "rbspa/l3/ect/hope/pitchangle/rel04/2012/rbspa_rel04_ect-hope-pa-l3_20121201_v0.0.0.cdf",
            ["2012-12-01", "2012-12-01/00:30"],
            {},
        ),
    ],
)
def test_real_files_are_loaded_by_the_loaders_of_pyspedas(
    real_data, tmp_path, monkeypatch, product, file, place, trange, options
):
    project = settings_of(PRODUCTS[product].loader.partition(".")[0])
    monkeypatch.setitem(project.CONFIG, "local_data_dir", str(tmp_path))
    path = tmp_path / place
    path.parent.mkdir(parents=True)
    shutil.copyfile(real_data(file), path)
    prefix, made = LAYOUTS[product]
    expected = [prefix + one.replace("fast", "brst").replace("srvy", "brst") for one in made]
    assert INSTRUMENTS[product].load(trange, no_update=True, **options) == expected
    variable = tplot.read(expected[0])
    assert variable.times[0] >= np.datetime64(trange[0].replace("/", "T")) and len(variable.times) > 50
    like = variable.times[[10, 42]]
    keywords = {"load_keywords": {"no_update": True, **options}, "trange": trange}
    found = sim.search(like=like, instrument=product, together=True, k=1, **keywords)
    assert [one["name"] for one in found.record["panels"]] == expected
    assert tplot.loaded_names() == expected
