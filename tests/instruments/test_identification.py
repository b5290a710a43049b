"""What a variable holds is decided by tables, units, names and metadata, and asked for where these do not decide."""

import numpy as np
import pytest
import xarray as xr

import pyspedas_similarity as sim
from pyspedas_similarity import tplot
from pyspedas_similarity.errors import VariableError
from pyspedas_similarity.imaging.recipes import FrameRecipe, SpectrumRecipe, WindowRecipe
from pyspedas_similarity.instruments import identification
from pyspedas_similarity.instruments.registry import recipe_of
from pyspedas_similarity.tplot import Variable

TIMES = np.datetime64("2020-01-01", "ns") + np.arange(20) * np.timedelta64(3, "s")
ENERGY, ANGLE = np.geomspace(10, 30000, 32), np.linspace(5, 175, 18)


def of(shape, tables=None, name="z", units="", dtype="f8", **attributes):
    values = np.random.default_rng(0).uniform(1, 200, (20, *shape)).astype(dtype)
    return Variable(name, TIMES, values, tables or {}, {"data_att": {"units": units}, **attributes})


def cdf(source="", **names):
    return {"VATT": names, "GATT": {"Logical_source": source}}


SPECTRA = [
    of((18, 32), {"v1": ANGLE, "v2": ENERGY}),
    of((32, 18), {"v1": ENERGY, "v2": ANGLE}),
    of((18, 32), {"v1": np.tile(ANGLE, (20, 1)), "v2": np.tile(ENERGY, (20, 1))}),
    of((64, 64), CDF=cdf(DEPEND_1="PITCH_ANGLE", DEPEND_2="FEDU_ENERGY")),
    of((80, 48), units="1/(cm^2 s sr keV)"),  # EPI-Lo, without tables
    of((17, 16), {"v1": np.arange(17), "v2": np.geomspace(50, 5800, 16)}, name="ela_pef_eflux", units="keV/(keV sr)"),
    of((64, 64), taken_from={"axes": ["alpha", "channel"]}),
]


@pytest.mark.parametrize("variable", SPECTRA)
def test_spectra_by_direction_are_no_frames_whoever_asks(variable):
    with pytest.raises(VariableError, match=r"not camera frames.*SpectrumRecipe\(energy_range="):
        recipe_of(variable)
    for given in (FrameRecipe(), None):
        tplot.write(variable)
        with pytest.raises(VariableError, match="not camera frames"):
            sim.find_similar(variable.name, like=TIMES[5], recipe=given, errors="raise", progress=False)
    with pytest.raises(VariableError, match="not camera frames"):
        sim.keogram(variable.name, errors="raise")


@pytest.mark.parametrize(("axes", "shape"), [(1, (32, 18)), (2, (18, 32))])
def test_the_recipe_that_is_proposed_works(axes, shape):
    tables = {"v1": ENERGY, "v2": ANGLE} if axes == 1 else {"v1": ANGLE, "v2": ENERGY}
    variable = of(shape, tables, name="spectra")
    text = identification.spectrum_recipe(variable).removeprefix("recipe=")
    recipe = eval(text, {"SpectrumRecipe": SpectrumRecipe})
    assert recipe == SpectrumRecipe(energy_range=(10.0, 30000.0), energy_axis=axes)
    tplot.write(variable)
    found = sim.find_similar("spectra", like=TIMES[5], recipe=recipe, k=1, errors="raise", progress=False)
    assert "spectra_similarity" in found


FRAMES = [
    of((64, 64)),
    of((64, 48), dtype="u2"),
    of((32, 20), units="R"),
    of((16, 20), data_att={"units": "counts", "site": "gill"}),
    of((64, 64), {"v1": np.arange(64), "v2": np.arange(64)}),
    of(
        (40, 64), {"v1": np.linspace(50, 60, 40), "v2": np.linspace(-110, -90, 64)}, taken_from={"axes": ["lat", "lon"]}
    ),
    of((64, 64), units="photons cm^-2 s^-1 sr^-1"),
]


@pytest.mark.parametrize("variable", FRAMES)
def test_frames_are_frames(variable):
    assert recipe_of(variable) == FrameRecipe()
    identification.check_camera_frames(variable)


@pytest.mark.parametrize(
    "variable",
    [of((18, 32)), of((40, 64), {"v1": np.linspace(5, 175, 40), "v2": np.linspace(0, 350, 64)})],
)
def test_what_remains_open_is_asked_for_with_the_candidates(variable):
    with pytest.raises(VariableError, match=r"FrameRecipe\(\) for frames.*SpectrumRecipe\("):
        recipe_of(variable)


@pytest.mark.parametrize(
    ("shape", "advice"),
    [
        ((64, 64, 3), r"3 colors.*values\.mean\(axis=3\)"),
        ((64, 64, 4), r"4 colors.*values\.mean\(axis=3\)"),
        ((3, 64, 64), r"3 colors.*values\.mean\(axis=1\)"),
        ((64, 64, 1), r"one channel.*squeeze\(3\)"),
        ((1, 64, 64), r"one channel.*squeeze\(1\)"),
    ],
)
@pytest.mark.parametrize("name", ["z", "thg_asf_gill"])
def test_colors_and_channels_get_advice_that_works(shape, advice, name):
    variable = of(shape, name=name, dtype="u1")
    with pytest.raises(VariableError, match=advice):
        recipe_of(variable) if name == "z" else identification.check_camera_frames(variable)
    alone = variable.values.mean(axis=shape.index(min(shape)) + 1)
    assert recipe_of(Variable("z", TIMES, alone)) == FrameRecipe()


def test_spectrograms_and_time_series_are_not_asked_for_particles():
    with pytest.raises(VariableError, match=r"WindowRecipe\(length_s=\.\.\., .*axis_range=\(10, 3e\+04\)\)"):
        recipe_of(of((32,), {"v": ENERGY}))
    with pytest.raises(VariableError, match="values of its bins in v"):
        recipe_of(of((32,)))
    for shape in ((), (3,)):
        with pytest.raises(VariableError, match="no image is made") as caught:
            recipe_of(of(shape))
        assert "particles" not in str(caught.value)
    assert recipe_of(of((32,), {"v": ENERGY}, name="mms1_dis_dist_brst")).kind == "distribution"
    assert WindowRecipe(60, 3, axis_range=(10, 3e04)).kind == "window"


@pytest.mark.parametrize(
    ("variable", "instrument"),
    [
        (of((18, 32), {"v1": ANGLE, "v2": ENERGY}, name="FEDU"), "rbsp_hope_electrons"),
        (of((18, 32), {"v1": ANGLE, "v2": ENERGY}, name="f", CDF=cdf("rbspa_hope_FPDU")), "rbsp_hope_protons"),
        (of((18, 32), {"v1": ANGLE, "v2": ENERGY}, name="Epat_nflux_ela", CDF=cdf("ela_l2_epdef")), "elfin_epd"),
        (of((32, 16, 32), name="mine", CDF=cdf("mms1_fpi_brst_l2_des-dist")), "mms_des"),
        (of((32, 16, 32), name="my_mms2_dis_dist_fast"), "mms_dis"),
    ],
)
def test_a_registered_instrument_is_proposed_by_name(variable, instrument):
    with pytest.raises(VariableError, match=f"instrument='{instrument}'"):
        recipe_of(variable)


def test_the_name_counts_more_than_a_file_that_holds_both_species():
    about = cdf("rbspa_hope_PA_L3 HOPE electron and proton fluxes")
    variable = of((18, 32), {"v1": ANGLE, "v2": ENERGY}, name="FPDU", CDF=about)
    with pytest.raises(VariableError, match="instrument='rbsp_hope_protons'") as caught:
        recipe_of(variable)
    assert "electrons" not in str(caught.value)


def test_names_of_dimensions_of_xarray_decide():
    time = ("time", TIMES)
    values = np.random.default_rng(1).random((20, 64, 64))
    for dims, kind in ((("time", "pitch_angle", "energy"), "spectra"), (("time", "y", "x"), "frames")):
        (name,) = sim.to_tplot(xr.DataArray(values, dims=dims, coords={"time": time}, name="w"), errors="raise")
        if kind == "frames":
            assert recipe_of(tplot.read(name)) == FrameRecipe()
        else:
            with pytest.raises(VariableError, match="axes: angle pitch_angle, energy energy"):
                recipe_of(tplot.read(name))


def test_a_spectrograph_is_refused_by_name():
    for variable in (of((64, 64), name="trex_spect-02_asf_rabb"), of((64, 64), data_att={"imager": "spectrograph"})):
        with pytest.raises(VariableError, match="spectrograph"):
            recipe_of(variable)
