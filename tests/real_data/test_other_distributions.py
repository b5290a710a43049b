"""Pitch angle spectra of HOPE and ELFIN, windows of reduced distributions of FPI, and the layout of EPI-Lo.

HOPE: 100 samples of 2012-12-01; 20 of the electron samples were taken with a table of nine energies above 468 eV, and
the bins along the field hold no measurement. ELFIN: 2021-09-14, nearly no counts but in the last half spin. FPI: ten
events seen by four spacecraft. The EPI-Lo file says itself that its data are fake: only its layout is real.
"""

import os

import cdflib
import numpy as np
import pyspedas
import pytest
from pyspedas.projects.elfin.config import CONFIG as ELFIN
from pyspedas.projects.rbsp.config import CONFIG as RBSP
from pyspedas.tplot_tools import cdf_to_tplot

import pyspedas_similarity as sim
from pyspedas_similarity import tplot
from pyspedas_similarity.encoder.structure import block_slices
from pyspedas_similarity.encoder.weights import default_encoder
from pyspedas_similarity.imaging.recipes import SpectrumRecipe, WindowRecipe
from pyspedas_similarity.instruments import elfin_epd, rbsp_hope
from pyspedas_similarity.instruments.registry import recipe_of
from pyspedas_similarity.instruments.sample_images import as_samples, images
from pyspedas_similarity.search.reference import EVENT, Reference, Sample
from pyspedas_similarity.tplot import Variable

HOPE = "spectra/rbspa_rel04_ect-hope-PA-L3_20121201_v0.0.0.cdf"
ELFIN_B = "spectra/elb_l2_epdef_20210914_v01.cdf"
EPI_LO = "spectra/psp_isois-epilo_l2-ic_20190401_v0.0.0.cdf"
REDUCED = "mms/mms_des_reduced_events_01_10.npz"
HOPE_DAY, ELFIN_DAY = ["2012-12-01", "2012-12-02"], ["2021-09-14", "2021-09-15"]
# The best lengths and strides are not looked for here: about a second holds a passing beam, a quarter of it a step.
BEAMS = WindowRecipe(length_s=0.96, stride_s=0.24, axis_range=(-70000.0, 70000.0), axis_scale="linear")


def place(source, root, config, path, monkeypatch):
    """A folder laid out like the archive, with a link to the file."""
    target = root / path
    target.parent.mkdir(parents=True)
    os.symlink(source, target)
    monkeypatch.setitem(config, "local_data_dir", str(root))


@pytest.fixture
def hope(real_data, tmp_path, monkeypatch):
    path = "rbspa/l3/ect/hope/pitchangle/rel04/2012/rbspa_rel04_ect-hope-pa-l3_20121201_v7.1.0.cdf"
    place(real_data(HOPE), tmp_path, RBSP, path, monkeypatch)


@pytest.fixture
def elfin(real_data, tmp_path, monkeypatch):
    path = "elb/l2/epd/fast/electron/2021/elb_l2_epdef_20210914_v01.cdf"
    place(real_data(ELFIN_B), tmp_path, ELFIN, path, monkeypatch)


def made(name):
    """(variable, images) of a loaded variable, by the recipe of its instrument."""
    variable = tplot.read(name)
    return variable, np.concatenate(list(images(variable, recipe_of(variable))))[:, 0]


def energy_of(column, recipe):
    low, high = recipe.energy_range
    return low * (high / low) ** ((column + 0.5) / recipe.pixels)


@pytest.mark.parametrize("load", [rbsp_hope.load_electrons, rbsp_hope.load_protons])
def test_hope_peaks_stand_where_the_measurement_has_them(hope, load):
    (name,) = load(HOPE_DAY, "a", no_update=True)
    variable, pictures = made(name)
    recipe = recipe_of(variable)
    assert pictures.shape == (100, 32, 32)
    energies = variable.coordinates["v2"]
    full = energies[:, 0] != energies[:, 1]
    # Bins of 18 degrees around 18 to 162: 11.25 to 168.75 is measured.
    angles = (np.arange(32) + 0.5) / 32 * 180
    np.testing.assert_array_equal(np.isfinite(pictures[full][:, :, 20]).all(0), np.abs(angles - 90) < 78.75)
    columns = energy_of(np.arange(32), recipe)
    inside = (columns > 700) & (columns < 45000)  # the plasma sheet; ring current ions
    for i in np.flatnonzero(full)[::9]:
        energy_flux = np.nanmean(variable.values[i], axis=0) * energies[i]
        brightest = columns[inside][np.argmax(np.nanmean(10 ** (4 * pictures[i][2:30, inside]), axis=0))]
        # Bands of nearly one height may change places in the mean over a pixel, which holds two energies.
        near = np.abs(np.log(energies[i] / brightest)) < np.log(50000 / 15) / 32
        band = (energies[i] > 700) & (energies[i] < 45000)
        assert energy_flux[near].max() > 0.8 * energy_flux[band].max()


def test_a_file_of_hope_that_is_cut_short_costs_only_its_day(hope, tmp_path, caplog):
    (whole,) = tmp_path.rglob("rbspa*.cdf")
    cut = whole.with_name(whole.name.replace("20121201", "20121202"))
    cut.write_bytes(whole.read_bytes()[:-1000])
    (name,) = rbsp_hope.load_electrons(["2012-12-01", "2012-12-03"], "a", no_update=True)
    both = tplot.read(name)
    (warning,) = [one.getMessage() for one in caplog.records if one.levelname == "WARNING"]
    assert f"{name}: 1 of 2 files are left out: {cut}: this is not a whole CDF" in warning
    alone = tplot.read(rbsp_hope.load_electrons(HOPE_DAY, "a", no_update=True)[0])
    np.testing.assert_array_equal(both.times, alone.times)
    np.testing.assert_array_equal(both.values, alone.values)
    assert both.coordinates.keys() == alone.coordinates.keys() and both.units == alone.units


def test_hope_electrons_of_the_plasma_sheet_are_trapped(hope):
    # At some keV more electrons fly across the field than along it.
    (name,) = rbsp_hope.load_electrons(HOPE_DAY, "a", no_update=True)
    _, pictures = made(name)
    columns = slice(16, 21)  # 900 to 3000 eV
    across, along = pictures[:, 15:17, columns].mean((1, 2)), pictures[:, [2, 3, 28, 29], columns].mean((1, 2))
    assert np.mean(across > along) > 0.95


def test_hope_search_end_to_end(hope):
    (name,) = rbsp_hope.load_electrons(HOPE_DAY, "a", no_update=True)
    energies = tplot.read(name).coordinates["v2"]
    few = energies[:, 0] == energies[:, 1]
    times = tplot.read(name).times
    # 'pixels' compares what was not measured as well.
    names = sim.find_similar(name, like=times[40], encoder="pixels", reference=None, k=2, exclude=120, errors="raise")
    assert names == ["rbspa_hope_FEDU_similar", "rbspa_hope_FEDU_similarity"]
    scores = pyspedas.get_data(names[-1]).y
    assert len(scores) == 100 and scores[40] == pytest.approx(1) and np.isfinite(scores).all()
    # Samples of nine energies have no cold electrons to compare; all others are nearer to the seed than any of them.
    assert few.sum() == 20 and scores[few].max() < scores[~few].min()
    # The plasma changes slowly: full samples within five minutes are more alike than those beyond twelve.
    away = np.abs(times - times[40])
    near, far = away < np.timedelta64(5, "m"), away > np.timedelta64(12, "m")
    assert scores[~few & near].mean() > scores[~few & far].mean()
    table = sim.intervals(names)
    assert table["probe"][0] == "rbspa" and len(table) == 2


def test_elfin_counts_stand_at_their_angle_and_energy(elfin):
    names = elfin_epd.load(ELFIN_DAY, "b", no_update=True)
    names += elfin_epd.load(ELFIN_DAY, "b", no_update=True, fullspin=True)
    assert names == ["elb_pef_hs_Epat_nflux", "elb_pef_fs_Epat_nflux"]
    for name, samples in zip(names, (44, 21), strict=True):
        variable, pictures = made(name)
        assert pictures.shape == (samples, 32, 32)
        angles, energies = variable.coordinates["v1"], variable.coordinates["v2"]
        for picture, angle, flux in zip(pictures, angles, variable.values, strict=True):
            seen = np.isfinite(flux).all(1)
            rows = (np.flatnonzero(np.isfinite(picture).any(1)) + 0.5) / 32 * 180
            # Half spins run up and down in pitch angle; what was not seen is not invented.
            assert angle[seen].min() - 12 < rows.min() and rows.max() < angle[seen].max() + 12
            flux = np.nan_to_num(flux)[:, :-1] * energies[:-1]
            row, column = np.unravel_index(np.argmax(flux), flux.shape)
            at = (int(angle[row] / 180 * 32), int(np.log(energies[column] / 50) / np.log(5800 / 50) * 32))
            if flux.max() > 0:
                nearby = picture[max(at[0] - 1, 0) : at[0] + 2, max(at[1] - 1, 0) : at[1] + 2]
                assert np.nanmax(nearby) > 0.5  # where a sample's mean is
    # The last half spin: precipitation below 90 degrees, falling with energy, and few above.
    last = np.nan_to_num(made(names[0])[1][-1])
    assert last[10:15, :8].mean() > 0.5 > 0.2 > last[20:28].mean()


@pytest.mark.parametrize("name", ["psp_epilo_H_CountRate_ChanT", "psp_epilo_H_Counts_ChanT"])
def test_looks_of_epi_lo_have_the_energies_of_their_channels(real_data, name):
    # Random numbers in the right layout: 80 looks, energies that descend, 16 channels without any.
    cdf_to_tplot([str(real_data(EPI_LO))], prefix="psp_epilo_", get_support_data=True)
    table = pyspedas.get_data("psp_epilo_H_ChanT_Energy")
    loaded = tplot.read(name)  # its table has no time, so that pyspedas leaves it out of the variable
    variable = Variable(name, loaded.times, loaded.values, {"v2": np.asarray(table)[0]})
    recipe = SpectrumRecipe((30.0, 47000.0), direction="look", energy_power=0.0, pixels=40)
    pictures = np.concatenate(list(images(variable, recipe)))[:, 0]
    assert pictures.shape == (100, 40, 40) and np.isfinite(pictures).all()
    # Two looks in a row; the channel at 1090 keV, some pixels wide at its place, holds just that measurement.
    channel = int(np.argmin(np.abs(np.asarray(table)[0] - 1090)))
    column = int(np.log(1090 / 30) / np.log(47000 / 30) * 40)
    expected = loaded.values[:, :, channel].reshape(100, 40, 2).mean(2)
    level = 10.0 ** (4 * pictures[:, :, column] - 2)
    share = [np.corrcoef(level[i], expected[i])[0, 1] for i in range(100)]
    assert np.median(share) > 0.8


def reduced(real_data, event, spacecraft):
    """f(t, v_par) of one event and spacecraft under the name of a tplot variable."""
    with np.load(real_data(REDUCED), allow_pickle=False) as file:
        key = f"ev{event:02d}_mms{spacecraft}"
        times = cdflib.cdfepoch.to_datetime(file[f"{key}_orig_tt2000"]).astype("datetime64[ns]")
        return Variable(f"mms{spacecraft}_f", times, file[f"{key}_orig_f"], {"v": file[f"{key}_v_kms"]})


def test_fastest_electrons_stand_at_their_velocity(real_data):
    for event in (2, 6, 8):
        windows = as_samples(reduced(real_data, event, 1), BEAMS)
        pictures = np.concatenate(list(images(windows, BEAMS)))[:, 0]
        assert windows.values.shape[1:] == (32, 141)
        assert np.isfinite(pictures).all() and pictures.max() <= 1
        velocity = windows.coordinates["v2"]
        rows = (np.arange(32) + 0.5) / 32 * 140000 - 70000
        for values, picture in zip(windows.values, pictures, strict=True):
            peak = velocity[np.argmax(values.mean(0))]
            assert abs(rows[np.argmax((10 ** (4 * picture)).mean(1))] - peak) < 1.5 * 140000 / 32


def test_the_other_spacecraft_see_the_same_event_at_the_same_time(real_data):
    # Of event 10, the file repeats event 9 under MMS4.
    embedded, following, events, spacecraft, times = [], [], [], [], []
    encoder = default_encoder("window")
    for event, probe in ((event, probe) for event in range(1, 11) for probe in range(1, 5)):
        if (event, probe) != (10, 4):
            windows = as_samples(reduced(real_data, event, probe), BEAMS)
            own = np.concatenate([encoder.encode(block) for block in images(windows, BEAMS)])
            embedded.append(own)
            following.append(np.concatenate([own[1:], np.full_like(own[:1], np.nan)]))
            events += [event] * len(windows.times)
            spacecraft += [probe] * len(windows.times)
            times.append(windows.times)
    embedded, following, times = (np.concatenate(one) for one in (embedded, following, times))
    sample = Sample(embedded, following, block_slices(embedded.shape[1], encoder.card.blocks))
    embedded = Reference(sample, EVENT).view([embedded[:1]]).directions(embedded)
    events, spacecraft = np.array(events), np.array(spacecraft)
    scores = np.where(spacecraft[:, None] == spacecraft, -np.inf, embedded @ embedded.T)
    best = scores.argmax(1)
    others = spacecraft[:, None] != spacecraft
    chance = (((events[:, None] == events) & others).sum(1) / others.sum(1)).mean()
    # Measured: 0.987 the same event, 0.948 within a stride of the same time; by chance 0.11 and less.
    assert chance < 0.12
    assert np.mean(events[best] == events) > 0.95
    assert np.mean(np.abs(times[best] - times) <= np.timedelta64(240, "ms")) > 0.88


def test_a_window_is_found_in_the_series_of_the_sibling(real_data):
    # Five events within 90 s, joined: windows across the gaps between them have no score.
    for probe in (1, 2):
        parts = [reduced(real_data, event, probe) for event in (3, 4, 5, 6, 9)]
        times, values = (np.concatenate([getattr(part, key) for part in parts]) for key in ("times", "values"))
        tplot.write(Variable(f"mms{probe}_f", times, values, {"v": parts[0].coordinates["v"]}))
    seeds = [reduced(real_data, event, 1).times[sample] for event in (3, 4, 5, 6, 9) for sample in (50, 70, 90)]
    away = []
    for seed in seeds:
        sim.find_similar(["mms1_f", "mms2_f"], like=("mms1_f", seed), recipe=BEAMS, errors="raise")
        series = pyspedas.get_data("mms2_f_similarity", dt=True)
        assert len(series.y) == (len(tplot.read("mms2_f").times) - 32) // 8 + 1
        assert 0 < np.isnan(series.y).sum() < 20
        away.append(np.abs(series.times[np.nanargmax(series.y)] - seed))
    # Measured: all 15 within a window; a stride and a half is the seed's and the answer's own grid.
    assert np.mean(np.array(away) <= np.timedelta64(360, "ms")) > 0.8
