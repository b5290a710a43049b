"""Particle structures of pyspedas become distributions: as the direct path for FPI, and beams of known velocity."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from pyspedas.projects.mms.fpi_tools.mms_get_fpi_dist import mms_get_fpi_dist

import pyspedas_similarity as sim
from pyspedas_similarity import tplot
from pyspedas_similarity.errors import ArgumentError, LoadError, VariableError
from pyspedas_similarity.imaging.plasma import speed_of
from pyspedas_similarity.imaging.recipes import DistributionRecipe
from pyspedas_similarity.instruments import cluster_cis, erg_particles, mms_hpca, sample_images
from pyspedas_similarity.instruments.particle_structures import from_particle_structures
from pyspedas_similarity.instruments.registry import ELECTRONS, INSTRUMENTS, instrument_of, recipe_of
from pyspedas_similarity.simulate import fpi
from tests import particle_files

TRANGE = ["2020-01-01/11:59:59", "2020-01-01/12:10:00"]
DIRECTION = np.array([0.5, -0.62, 0.605]) / np.linalg.norm([0.5, -0.62, 0.605])


@pytest.fixture
def archive(tmp_path, monkeypatch):
    pytest.importorskip("pyspedas.projects.mms.config", reason="pyspedas before 2.2 keeps its settings elsewhere")
    from pyspedas.projects.cluster.config import CONFIG as CLUSTER
    from pyspedas.projects.erg.config import CONFIG as ERG
    from pyspedas.projects.mms.config import CONFIG as MMS

    for config in (CLUSTER, ERG, MMS):
        monkeypatch.setitem(config, "local_data_dir", str(tmp_path))
    return tmp_path


def images(variable, recipe):
    return np.concatenate(list(sample_images.images(variable, recipe)))


@pytest.mark.parametrize(
    ("species", "sensor", "recipe"),
    [("electron", "des", ELECTRONS.without_field()), ("ion", "dis", DistributionRecipe())],
)
def test_images_of_fpi_equal_those_of_the_direct_path(species, sensor, recipe):
    fpi.store(fpi.simulate_event(4, species, duration_s=3.0))
    name = f"simulated1_{sensor}_dist_brst"
    direct = tplot.read(name)
    found = from_particle_structures(mms_get_fpi_dist(name, probe="1"), "structures")
    assert np.abs(found.times - direct.times).max() <= np.timedelta64(1, "us")
    np.testing.assert_array_equal(found.values, direct.values)
    for key in ("v1", "v2", "v3"):
        tables = (
            np.broadcast_to(one.coordinates[key], (len(direct.times), 32 if key != "v2" else 16))
            for one in (found, direct)
        )
        np.testing.assert_allclose(*tables, rtol=1e-12)
    np.testing.assert_array_equal(images(found, recipe), images(direct, recipe))
    assert recipe_of(found).species == species


def test_structures_are_stored_and_searched():
    fpi.store(fpi.simulate_event(4, "ion", duration_s=9.0))
    name = "simulated1_dis_dist_brst"
    structures = mms_get_fpi_dist(name, probe="1")
    assert sim.to_tplot(structures, "ions", errors="raise") == ["ions"]
    like, recipe = tplot.read("ions").times[30], DistributionRecipe()
    scores = [sim.search(one, like=like, recipe=recipe).scores[one].values for one in ("ions", name)]
    np.testing.assert_allclose(*scores, atol=1e-6)
    with pytest.raises(ArgumentError, match="name: found None"):
        sim.to_tplot(structures, errors="raise")
    with pytest.raises(ArgumentError, match="times: given for particle structures"):
        sim.to_tplot(structures, "ions", times=[like], errors="raise")
    with pytest.raises(VariableError, match="overwrite=False"):
        sim.to_tplot(structures, "ions", overwrite=False, errors="raise")


def structure(energy=(100.0, 1000.0, 5000.0), latitude=(-60.0, 0.0, 60.0), sectors=8, **changes):
    """Simulated structure of one time with the number of each bin as its density."""
    shape = (len(energy), sectors, len(latitude))
    tables = np.meshgrid(energy, (np.arange(sectors) + 0.5) * 360 / sectors, latitude, indexing="ij")
    made = dict(zip(("energy", "phi", "theta"), tables, strict=True))
    made |= {"data": np.arange(float(np.prod(shape))).reshape(shape) + 1, "bins": np.ones(shape), "start_time": 0.0}
    made |= {"units_name": "df_cm", "mass": 1.04535e-2, "charge": 1.0, "species": "hplus", "project_name": "simulated"}
    return made | changes


def test_axes_and_look_directions():
    one = structure()
    found = from_particle_structures([one, one | {"start_time": 5.0}], "x")
    assert found.values.shape == (2, 8, 3, 3)
    np.testing.assert_array_equal(
        found.times, np.array(["1970-01-01T00:00:00", "1970-01-01T00:00:05"], "datetime64[ns]")
    )
    np.testing.assert_array_equal(found.coordinates["v2"], [30, 90, 150])
    np.testing.assert_allclose(found.coordinates["v1"], (np.arange(8) * 45 + 22.5 + 180) % 360)
    np.testing.assert_array_equal(found.values[0], one["data"].transpose(1, 2, 0))


def test_energies_ascend_and_those_measured_twice_are_averaged():
    one = structure(energy=(5000.0, 100.0, 1000.0, 1000.0, np.nan))
    found = from_particle_structures([one], "x")
    values, data = found.values[0].transpose(2, 0, 1), one["data"]
    np.testing.assert_allclose(found.coordinates["v3"], [100, 1000, 5000, 25000, 125000])
    np.testing.assert_array_equal(values[0], data[1])
    np.testing.assert_array_equal(values[1], (data[2] + data[3]) / 2)
    np.testing.assert_array_equal(values[2], data[0])
    assert np.isnan(values[3:]).all()


def test_bins_of_zero_are_not_measured():
    one = structure()
    one["bins"][1, 2, 0] = one["bins"][0, :, 1] = 0
    found = from_particle_structures([one], "x").values[0].transpose(2, 0, 1)
    np.testing.assert_array_equal(np.isnan(found), one["bins"] == 0)


def test_a_sample_without_energies_gets_no_image():
    empty = structure()
    empty["bins"][:] = 0
    found = from_particle_structures([structure(), empty], "x")
    made = images(sample_images.known_tables(found), DistributionRecipe(floor=1e-3, ceiling=1e3))
    assert np.isfinite(made[0]).any() and np.isnan(made[1]).all()


def test_a_sample_whose_angles_are_not_known_is_not_measured():
    lost = structure(phi=np.full((3, 8, 3), np.nan))
    found = from_particle_structures([lost, structure()], "x")
    assert np.isnan(found.values[0]).all() and np.isfinite(found.values[1]).all() and lost["bins"].all()
    assert found.coordinates["v1"].shape == (8,)


def test_azimuths_that_depend_on_the_energy_stay_within_a_quarter_of_a_sector():
    one = structure(energy=np.geomspace(100, 5000, 16))
    offset = np.linspace(0, 45, 16, endpoint=False)[:, None, None]
    one["phi"] = (one["phi"] + offset) % 360
    found = from_particle_structures([one | {"data": one["phi"]}], "x")
    assert found.values.shape == (1, 16, 3, 16)
    flight = (found.coordinates["v1"] + 180) % 360
    moved = (found.values[0] - flight[:, None, None] + 180) % 360 - 180
    assert np.abs(moved).max() <= 22.5 + 1e-3  # half a sector: the bin that the direction is in


def test_anodes_at_one_polar_angle_are_one_bin_and_gaps_are_not_filled():
    one = structure(latitude=(-30.0, 30.0, -30.0))
    one["phi"][:, :, :2] = np.arange(8)[:, None] * 22.5 + 11.25  # a half turn
    one["phi"][:, :, 2] = np.arange(8) * 22.5 + 191.25  # the other half, at -30 degrees only
    found = from_particle_structures([one | {"data": one["phi"], "dphi": np.full((3, 8, 3), 22.5)}], "x")
    np.testing.assert_array_equal(found.coordinates["v2"], [60, 120])
    flight = (found.coordinates["v1"] + 180) % 360
    moved = (found.values[0] - flight[:, None, None] + 180) % 360 - 180
    assert np.abs(moved[:, 0]).max() <= 11.25 + 1e-3
    beyond = (flight > 180 + 22.5) & (flight < 360 - 22.5)
    assert (
        np.isnan(found.values[0, beyond, 1]).all() and np.isfinite(found.values[0, ~beyond & (flight < 180), 1]).all()
    )


@pytest.mark.parametrize(
    ("units", "project", "species", "mass", "expected"),
    [
        ("df_km", "Cluster", "Ions", 1.04535e-2, 1e-30),
        ("psd", "Cluster", "o1", 0.167255, 1e-30),
        ("flux", "ERG", "hplus", 1.04535e-2, 0.5447e6 / 1000 / 1e30),
        ("flux", "ERG", "oplus", 0.167255, 256 * 0.5447e6 / 1000 / 1e30),
        ("eflux", "MMS", "hplus", 1.04535e-2, 0.5447e6 / 1000**2 / 1e30),
    ],
)
def test_units_become_those_of_phase_space_density(units, project, species, mass, expected):
    """f = j m^2 / (2 E): the last column is its factor at 1000 eV; pyspedas rounds it to four digits."""
    one = structure(units_name=units, project_name=project, species=species, mass=mass)
    found = from_particle_structures([one], "x")
    np.testing.assert_allclose(found.values[0, :, :, 1], one["data"][1] * expected, rtol=1e-6)
    assert found.units == "s^3/cm^6"
    if units == "flux":
        speed = speed_of(1000.0, recipe_of(found).species) * 1e5  # cm/s
        reference = speed**-4 * 2 * 1000.0  # j / v^2 * dE/(v dv) = j / v^2 * m: per eV, m = 2 E / v^2
        assert expected == pytest.approx(reference, rel=0.02)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"units_name": "counts"}, "which pyspedas does not convert"),
        ({"units_name": "flux", "species": "unknown", "project_name": "ERG"}, "which pyspedas does not convert"),
        ({"mass": 1.0}, "found particles of 1 eV"),
        ({"latitude": (0.0, 0.0, 0.0)}, "it is no 3-D distribution"),
        ({"phi": np.full((3, 8, 3), np.nan)}, "found no angles that are finite"),
        ({"theta": np.arange(72.0).reshape(3, 8, 3)}, "depend on energy or azimuth"),
        ({"data": np.zeros((3, 8))}, "found arrays of the shapes"),
    ],
)
def test_what_is_no_distribution_is_refused(changes, text):
    with pytest.raises(VariableError, match=text):
        from_particle_structures([structure(**changes)], "x")


@pytest.mark.parametrize("nothing", [None, 0, [], {}, [{}]])
def test_what_are_no_structures_is_refused(nothing):
    with pytest.raises(VariableError, match="no particle structures"):
        from_particle_structures(nothing, "x")


def test_structures_of_two_sizes_are_refused():
    with pytest.raises(VariableError, match="change in size"):
        from_particle_structures([structure(), structure(sectors=16)], "x")


def beam(flight, speed):
    """Phase space density of a beam along DIRECTION in bins that particles fly through with these velocities."""
    return 1e-20 * np.exp(-((flight - speed * DIRECTION) ** 2).sum(axis=-1) / (0.25 * speed) ** 2)


def flight_of(structure, species):
    """Velocities in a structure, km/s: (..., 3)."""
    phi, theta, speed = (
        np.radians(structure["phi"]),
        np.radians(structure["theta"]),
        speed_of(structure["energy"], species),
    )
    unit = (np.cos(theta) * np.cos(phi), np.cos(theta) * np.sin(phi), np.sin(theta))
    return np.stack(unit, axis=-1) * speed[..., None]


def check_beam(variable, species, speed, sector=22.5):
    """The center of the beam is where it was put, within half a sector; in every sample."""
    azimuth, polar, energy = (np.asarray(variable.coordinates[key]) for key in ("v1", "v2", "v3"))
    there = np.isfinite(variable.values).any(axis=(1, 2, 3))
    assert there.sum() >= len(there) - 2
    for number in np.flatnonzero(there):
        density = variable.values[number]
        rows = [table[number] if table.ndim == 2 else table for table in (azimuth, polar, energy)]
        phi, theta, energies = np.meshgrid(np.radians(rows[0]), np.radians(rows[1]), rows[2], indexing="ij")
        look = np.stack([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)], axis=-1)
        flight = -look * speed_of(energies, species)[..., None]
        volume = np.sin(theta) * speed_of(energies, species) ** 3
        weight = np.where(np.isfinite(density) & (density > 0), density, 0.0) * volume
        center = (weight[..., None] * flight).sum(axis=(0, 1, 2)) / weight.sum()
        across = center - center @ DIRECTION * DIRECTION
        assert np.linalg.norm(across) < speed * np.radians(sector / 2)
        assert center @ DIRECTION == pytest.approx(speed, rel=0.15)


def erg_flux(structure, species, name, speed):
    """Flux of the beam per keV in the bins of a structure of ERG."""
    mass_number = {"e": 1 / 1836, "hplus": 1.0, "oplus": 16.0}[name]
    density = beam(flight_of(structure, species), speed)
    return density * 1e30 * structure["energy"] / (mass_number**2 * 0.5447e6) * 1e3


@pytest.mark.parametrize(
    ("instrument", "species", "name", "variable", "speed"),
    [
        ("lepe", "electron", "e", "FEDU", 20000.0),
        ("lepi", "ion", "hplus", "FPDU", 800.0),
        ("lepi", "oxygen", "oplus", "FODU", 200.0),
        ("mepe", "electron", "e", "FEDU", 90000.0),
        ("mepi", "ion", "hplus", "FPDU", 2800.0),
        ("mepi", "oxygen", "oplus", "FODU", 700.0),
    ],
)
def test_a_simulated_beam_in_files_of_erg(archive, instrument, species, name, variable, speed):
    layout, source = particle_files.LAYOUTS[instrument], erg_particles.SOURCES[instrument]
    loader, get_dist = source.functions()
    particle_files.write_erg(archive, instrument, np.ones((3, *layout.shape)), variable)
    loader(trange=TRANGE, datatype="3dflux", no_update=True, ror=False)
    tables = get_dist(source.variables[name], species=name)
    flux = erg_flux(tables, species, name, speed) * (1e-3 if instrument == "lepe" else 1.0)  # that of LEP-e is per eV
    particle_files.write_erg(archive, instrument, flux.transpose(layout.native), variable)
    tplot.write(tplot.Variable(source.variables[name], np.array([0], "datetime64[ns]"), np.array([7.0])))
    (made,) = erg_particles.load(instrument, TRANGE, species=name, no_update=True)
    assert made == f"erg_{instrument}_{name}_dist"
    found = tplot.read(made)
    np.testing.assert_array_equal(found.times, particle_files.DAY + np.arange(3) * particle_files.SPIN)
    check_beam(found, species, speed)
    np.testing.assert_array_equal(tplot.read(source.variables[name]).values, [7.0])  # that of the user stays
    assert instrument_of(found).recipe.species == species
    made_images = images(sample_images.known_tables(found), recipe_of(found))
    assert np.isfinite(made_images).mean() > 0.3 and np.nanmax(made_images) > 0.2


def test_a_simulated_beam_in_files_of_hep(archive):
    speed, source = 300000.0, erg_particles.SOURCES["hep"]
    loader, get_dist = source.functions()
    particle_files.write_hep(archive, np.ones((6 * 16, 16, 15)))
    loader(trange=TRANGE, datatype="3dflux", no_update=True, ror=False)
    tables = get_dist(source.variables["e"])
    flux = erg_flux(tables, "electron", "e", speed)  # (energy, sector, channel, spin)
    particle_files.write_hep(archive, flux.transpose(3, 1, 0, 2).reshape(6 * 16, 16, 15) / flux.max() * 1e6)
    (made,) = erg_particles.load("hep", TRANGE, no_update=True)
    found = tplot.read(made)
    assert found.values.shape == (6, 16, 15, 16)
    check_beam(found, "electron", speed)


def test_electrons_of_xep_are_spectra_by_sector(archive):
    flux = np.random.default_rng(0).lognormal(3, 1, (12, 9, 16)).astype(np.float32)
    particle_files.write_xep(archive, flux)
    (made,) = erg_particles.load_xep(TRANGE, no_update=True)
    found = tplot.read(made)
    np.testing.assert_array_equal(found.values, flux)
    recipe = recipe_of(found)
    assert recipe.kind == "spectrum" and images(found, recipe).shape == (12, 1, 32, 32)
    scores = sim.search(made, like=found.times[4]).scores[made].values
    assert scores.argmax() == 4


def test_structures_of_xep_are_refused(archive):
    from pyspedas.projects.erg.satellite.erg.particle.erg_xep_get_dist import erg_xep_get_dist

    particle_files.write_xep(archive, np.ones((12, 9, 16)))
    (name,) = erg_particles.load_xep(TRANGE, no_update=True)
    with pytest.raises(VariableError, match="Search the loaded flux with a SpectrumRecipe"):
        from_particle_structures(erg_xep_get_dist(name), "x")


@pytest.mark.parametrize(
    ("species", "of", "speed"), [("hplus", "ion", 600.0), ("heplus", "helium", 300.0), ("oplus", "oxygen", 150.0)]
)
def test_a_simulated_beam_in_files_of_hpca(archive, species, of, speed):
    from pyspedas.projects import mms
    from pyspedas.projects.mms.hpca_tools.mms_get_hpca_dist import mms_get_hpca_dist

    sweeps, name = 16 * 8, f"mms1_hpca_{species}_phase_space_density"
    particle_files.write_hpca(archive, np.ones((sweeps, 16, 63)), species)
    mms.hpca(trange=TRANGE, probe="1", datatype="ion", no_update=True)
    tables = mms_get_hpca_dist(name, probe="1", species=species)
    density = np.zeros((sweeps, 16, 63))
    first = {one["start_time"]: number for number, one in enumerate(tables)}
    assert len(first) == len(tables) >= 6
    marked = np.broadcast_to(np.arange(sweeps)[:, None, None], density.shape).astype(np.float32)
    particle_files.write_hpca(archive, marked, species)
    mms.hpca(trange=TRANGE, probe="1", datatype="ion", no_update=True)
    for one, numbers in zip(tables, mms_get_hpca_dist(name, probe="1", species=species), strict=True):
        sweep = numbers["data"][0, :, 0]  # which ones pyspedas takes for a half spin; it has none at the ends
        if np.isfinite(sweep).all():
            density[sweep.astype(int)] = beam(flight_of(one, of), speed).transpose(1, 2, 0)
    particle_files.write_hpca(archive, density, species)
    (made,) = mms_hpca.load(TRANGE, species=species, no_update=True)
    found = tplot.read(made)
    assert made == f"mms1_hpca_{species}_dist_srvy" and found.values.shape == (len(tables), 64, 8, 63)
    check_beam(found, of, speed, sector=22.5)
    assert instrument_of(found).recipe.species == of


@pytest.mark.parametrize(("species", "sensor"), [("ions", "hia"), ("h1", "codif")])
def test_a_simulated_beam_in_files_of_cis(archive, species, sensor):
    from pyspedas.projects import cluster

    if not hasattr(cluster, "cluster_get_hia_dist"):
        pytest.skip("this release of pyspedas makes no particle structures of Cluster")
    name = cluster_cis.VARIABLES[species].format(probe=1)
    get_dist = cluster.cluster_get_hia_dist if species == "ions" else cluster.cluster_get_codif_dist
    particle_files.write_cis(archive, np.ones((5, 8, 16, 31)), species)
    cluster.cis(trange=TRANGE, probe="1", option=f"psd_{species}", no_update=True, get_support_data=True)
    density = [beam(flight_of(one, "ion"), 700.0).transpose(2, 1, 0) for one in get_dist(name, probe="1")]
    particle_files.write_cis(archive, np.stack(density) * 1e30, species)
    (made,) = cluster_cis.load(TRANGE, species=species, no_update=True)
    found = tplot.read(made)
    assert made == f"cluster1_{sensor}_{species}_dist" and found.values.shape == (5, 16, 8, 31)
    check_beam(found, "ion", 700.0)
    assert np.nanmax(found.values) == pytest.approx(1e-20, rel=0.5)


def test_a_registered_instrument_is_loaded_and_searched(archive):
    rng = np.random.default_rng(1)
    flux = rng.lognormal(0, 0.1, (20, 32, 16, 16)) * np.geomspace(1e3, 1e6, 16)[:, None]
    flux[[5, 14], :8] *= 30
    particle_files.write_erg(archive, "mepe", flux)
    found = sim.search(
        instrument="erg_mepe", trange=TRANGE, like="2020-01-01/12:00:40", k=1, load_keywords={"no_update": True}
    )
    assert found.events["peak"].isot[0][:23] == "2020-01-01T12:01:52.000"
    assert not [name for name in tplot.loaded_names() if name.startswith("erg_")]


def test_times_without_data_load_nothing(archive):
    nowhere = ["2021-01-01", "2021-01-02"]
    assert erg_particles.load("mepe", nowhere, no_update=True) == []
    assert erg_particles.load_xep(nowhere, no_update=True) == []
    assert cluster_cis.load(nowhere, no_update=True) == []
    assert mms_hpca.load(nowhere, no_update=True) == []


@pytest.mark.parametrize("name", [name for name in INSTRUMENTS if name.startswith(("erg_", "cluster_", "mms_hpca"))])
def test_probes_and_species_that_do_not_exist(name):
    with pytest.raises(ArgumentError, match="^probe: found '9'"):
        INSTRUMENTS[name].load(TRANGE, probe="9")
    with pytest.raises(ArgumentError, match="^species: found 'neutral'"):
        (cluster_cis.load, mms_hpca.load, partial(erg_particles.load, "lepi"))[len(name) % 3](TRANGE, species="neutral")


def test_a_function_of_pyspedas_that_fails_is_named(archive):
    particle_files.write_hep(archive, np.ones((2 * 16, 16, 15)))
    with pytest.raises(LoadError, match="erg_hep_get_dist of pyspedas"):
        erg_particles.load("hep", TRANGE, no_update=True)


def test_slices_of_a_beam_in_particle_structures(archive):
    one = structure(energy=np.geomspace(50, 20000, 24), latitude=np.arange(16) * 11.25 - 84.375, sectors=32)
    one["data"] = beam(flight_of(one, "ion"), 600.0)
    sim.to_tplot([one], "ions")
    recipe = DistributionRecipe(planes=("xy", "xz"), depth=32, pixels=64)
    slices = sim.velocity_slices("ions", recipe=recipe)
    for plane, (across, up) in (("xy", (0, 1)), ("xz", (0, 2))):
        density = np.nan_to_num(slices[plane].values[0])
        center = np.array([density.sum(0) @ slices.v1.values, density.sum(1) @ slices.v2.values]) / density.sum()
        np.testing.assert_allclose(center, 600 * DIRECTION[[across, up]], atol=50)
    assert replace(recipe, species="ion") == recipe
