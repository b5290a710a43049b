"""Slices of distributions with analytic values, on the grid of FPI."""

import json

import numpy as np
import pyspedas
import pytest
import xarray

import pyspedas_similarity as sim
from pyspedas_similarity import tplot
from pyspedas_similarity.errors import ArgumentError, SimilarityError, TimeError, VariableError
from pyspedas_similarity.imaging.plasma import speed_of
from pyspedas_similarity.imaging.recipes import DistributionRecipe
from pyspedas_similarity.simulate.fpi import simulate_event, store

AZIMUTH, POLAR, ENERGY = np.arange(32) * 11.25 + 2.0, np.arange(16) * 11.25 + 5.625, np.geomspace(10, 17800, 32)
TIMES = np.datetime64("2020-01-01T00:00:00", "ns") + np.arange(20) * np.timedelta64(150, "ms")
NAME, FIELD, FLOW = "simulated1_dis_dist_brst", "simulated1_fgm_b_dmpa_brst_l2", "simulated1_dis_bulkv_dbcs_brst"
# A speed is known to half a bin of energy, a direction to half a sector of 11.25 degrees.
HALF_BIN = np.sqrt(ENERGY[1] / ENERGY[0]) ** 0.5
HALF_SECTOR = np.radians(11.25 / 2)
CUT = DistributionRecipe(depth=0, pixels=64)


def flights():
    """Velocity of each bin, km/s: (3, azimuth, polar, energy). A particle flies against the look direction."""
    phi, theta = np.radians(AZIMUTH)[:, None, None], np.radians(POLAR)[None, :, None]
    look = np.stack(np.broadcast_arrays(np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)))
    return -look * speed_of(ENERGY, "ion")


def maxwellian(thermal_speed, velocity=(0.0, 0.0, 0.0), peak=1e-20):
    distance = ((flights() - np.reshape(velocity, (3, 1, 1, 1))) ** 2).sum(axis=0)
    return peak * np.exp(-distance / thermal_speed**2)


def store_ions(density, field=None, flow=None):
    values = np.broadcast_to(density, (len(TIMES), *np.shape(density)[-3:])).astype(np.float32)
    attributes = {"data_att": {"units": "s^3/cm^6", "coord_sys": "dbcs"}}
    tplot.write(tplot.Variable(NAME, TIMES, values, {"v1": AZIMUTH, "v2": POLAR, "v3": ENERGY}, attributes))
    for name, vector in ((FIELD, field), (FLOW, flow)):
        if vector is not None:
            tplot.write(tplot.Variable(name, TIMES, np.broadcast_to(np.asarray(vector, float), (len(TIMES), 3))))
    return NAME


def speed_bounds(slices, plane):
    """Density of the bin that a pixel lies in is between those at the edges of the bin, for what falls with speed."""
    speed = np.hypot(slices.v1.values, slices.v2.values[:, None])
    inside = (speed * HALF_BIN < speed_of(ENERGY[-1], "ion")) & (speed / HALF_BIN > speed_of(ENERGY[0], "ion"))
    return speed, slices[plane].values[0], inside


@pytest.mark.parametrize("plane", ["xy", "xz", "yz"])
def test_an_isotropic_maxwellian_has_its_analytic_values(plane):
    slices = sim.velocity_slices(store_ions(maxwellian(300.0)), TIMES[3], recipe=CUT)
    speed, density, inside = speed_bounds(slices, plane)
    slowest, fastest = (1e-20 * np.exp(-((speed * edge) ** 2) / 300.0**2) for edge in (1 / HALF_BIN, HALF_BIN))
    assert (density[inside] <= slowest[inside] * 1.001).all() and (density[inside] >= fastest[inside] * 0.999).all()
    assert slices[plane].attrs["units"] == "s^3 cm^-6" and slices.v1.attrs["units"] == "km/s"
    ratio = np.log(density / (1e-20 * np.exp(-(speed**2) / 300.0**2)))[inside & (speed < 500)]
    assert np.median(ratio) == pytest.approx(0, abs=0.03)


def test_a_thick_slice_is_the_mean_across_it():
    """Mean of a Maxwellian over all of velocity space along the normal: f(v1, v2, 0) sqrt(pi) vth / (2 vmax)."""
    recipe = DistributionRecipe(depth=32, pixels=64, planes=("xy",))
    slices = sim.velocity_slices(store_ions(maxwellian(250.0)), TIMES[0], recipe=recipe)
    speed = np.hypot(slices.v1.values, slices.v2.values[:, None])
    expected = 1e-20 * np.exp(-(speed**2) / 250.0**2) * np.sqrt(np.pi) * 250.0 / slices.thickness_km_s
    bright = expected > 1e-23
    assert slices.thickness_km_s == pytest.approx(65 * 2000 / 64)
    assert np.median(slices["xy"].values[0][bright] / expected[bright]) == pytest.approx(1, abs=0.05)


def beam_center(slices, plane):
    """Mean velocity along v1 and v2 of the brightest pixels, km/s."""
    density = slices[plane].values[0]
    weight = np.where(density > 0.1 * np.nanmax(density), density, 0)
    return np.array([weight.sum(0) @ slices.v1.values, weight.sum(1) @ slices.v2.values]) / weight.sum()


# Along B, across B along V, and along B x V, of a field along z and a flow along x: z, x, y.
@pytest.mark.parametrize(
    ("velocity", "plane", "expected"),
    [
        ((400, 0, 0), "xy", (400, 0)),
        ((0, -400, 0), "xy", (0, -400)),
        ((0, 0, 400), "xz", (0, 400)),
        ((0, -400, 0), "yz", (-400, 0)),
        ((0, 0, 400), "par-perp1", (400, 0)),
        ((-400, 0, 0), "par-perp1", (0, -400)),
        ((0, 400, 0), "par-perp2", (0, 400)),
        ((0, 400, 0), "perp1-perp2", (0, 400)),
        ((-400, 0, 0), "perp1-perp2", (-400, 0)),
    ],
)
def test_a_beam_stands_at_its_velocity(velocity, plane, expected):
    name = store_ions(maxwellian(60.0, velocity), field=(0, 0, 5), flow=(100, 0, 0))
    slices = sim.velocity_slices(name, TIMES[0], planes=plane, recipe=CUT)
    resolution = 400 * max(HALF_BIN - 1, HALF_SECTOR) + 2000 / 64
    np.testing.assert_allclose(beam_center(slices, plane), expected, atol=resolution)
    assert list(slices.data_vars) == ["axes", "origin", plane]


def test_the_frame_is_stated():
    velocity = np.array([300.0, 100.0, -200.0])
    name = store_ions(maxwellian(60.0, velocity), field=(3, -4, 2), flow=velocity)
    still = sim.velocity_slices(name, TIMES[0], planes="par-perp1", recipe=CUT)
    moved = sim.velocity_slices(name, TIMES[0], planes="par-perp1", recipe=DistributionRecipe(subtract_velocity=True))
    assert (still.attrs["frame"], moved.attrs["frame"]) == ("spacecraft", "plasma")
    np.testing.assert_array_equal(still["origin"][0], 0)
    np.testing.assert_allclose(moved["origin"][0], velocity)
    axes = still["axes"].values[0]
    np.testing.assert_allclose(axes @ axes.T, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(axes[0], np.array([3, -4, 2]) / np.sqrt(29))
    resolution = 380 * HALF_SECTOR + 2000 / 64
    np.testing.assert_allclose(beam_center(still, "par-perp1"), (axes @ velocity)[:2], atol=resolution)
    np.testing.assert_allclose(beam_center(moved, "par-perp1"), 0, atol=resolution)
    assert still.attrs["coordinate_system"] == "dbcs" and still.attrs["axes"].startswith("par along B")
    assert moved.attrs["thickness_km_s"] == pytest.approx(9 * 2000 / 32)
    assert json.loads(moved.attrs["recipe"])["subtract_velocity"] is True


def test_many_times_at_once_equal_one_by_one():
    store(simulate_event(3, duration_s=4.0))
    name = "simulated1_des_dist_brst"
    times = tplot.read(name).times[[100, 5, 40, 67]]
    recipe = DistributionRecipe("electron", ("par-perp1", "perp1-perp2"), speed_max=20000.0, subtract_velocity=True)
    together = sim.velocity_slices(name, times, recipe=recipe)
    single = [sim.velocity_slices(name, one, recipe=recipe) for one in times]
    xarray.testing.assert_identical(together, xarray.concat(single, "time", data_vars="minimal"))
    np.testing.assert_array_equal(together.time, times)
    assert np.nanmax(together["par-perp1"]) > 1e-28


def test_a_range_and_all_samples():
    name = store_ions(maxwellian(300.0) * np.arange(1, 21).reshape(-1, 1, 1, 1))
    every = sim.velocity_slices(name, planes="xy")
    part = sim.velocity_slices(name, trange=[str(TIMES[4]), str(TIMES[6])], planes="xy")
    xarray.testing.assert_identical(part, every.isel(time=slice(4, 7)))
    peak = every["xy"].max(("v1", "v2")).values
    np.testing.assert_allclose(peak / peak[0], np.arange(1, 21), rtol=1e-6)


def test_default_speeds_are_those_of_the_instrument_on_a_grid_of_its_own():
    store(simulate_event(3, duration_s=4.0))
    slices = sim.velocity_slices("simulated1_des_dist_brst", "2020-01-01/12:00:02")
    assert list(slices.data_vars)[2:] == ["perp1-perp2", "par-perp1", "par-perp2"]
    pixel = np.diff(slices.v1.values)
    np.testing.assert_allclose(pixel, pixel[0])
    assert len(slices.v1) == 64 and slices.attrs["frame"] == "plasma"
    # Half a pixel beyond the last middle: four thermal speeds, to two digits.
    edge = slices.v1.values[-1] + pixel[0] / 2
    assert edge == pytest.approx(float(f"{edge:.1e}"))
    assert slices.attrs["thickness_km_s"] == pytest.approx(3 * edge * 2 / 32, rel=0.2)


def test_tplot_variables_have_v1_first():
    velocity = (400.0, 0.0, 0.0)
    name = store_ions(maxwellian(60.0, velocity))
    expected = sim.velocity_slices(name, TIMES[[2, 9]], planes=["xy", "xz"])
    names = sim.velocity_slices(name, TIMES[[9, 2, 9]], planes=["xy", "xz"], output="tplot")
    assert names == [f"{NAME}_slice_xy", f"{NAME}_slice_xz"]
    for stored, plane in zip(map(tplot.read, names), ("xy", "xz"), strict=True):
        np.testing.assert_array_equal(stored.times, TIMES[[2, 9]])
        np.testing.assert_array_equal(stored.values, expected[plane].transpose("time", "v1", "v2"))
        np.testing.assert_array_equal(stored.coordinates["v1"], expected.v1)
        assert stored.units == "s^3 cm^-6" and stored.attributes["data_att"]["frame"] == "spacecraft"
    options = tplot.options_of(names[0])
    assert options["spec"] and options["spec_slices_to_use"] == {"v2": 32}
    np.testing.assert_array_equal(expected.v2[32], 2000 / 128)
    assert pyspedas.get_data(names[0]).y.shape == (2, 64, 64)


def test_tplot_draws_the_cut(tmp_path):
    names = sim.velocity_slices(store_ions(maxwellian(200.0)), planes="xy", output="tplot", newname="ions", suffix="_1")
    assert names == ["ions_slice_xy_1"]
    pyspedas.tplot(names, save_png=str(tmp_path / "cut"), display=False)
    assert (tmp_path / "cut.png").stat().st_size > 5000


def test_slices_are_saved_to_netcdf(tmp_path):
    slices = sim.velocity_slices(store_ions(maxwellian(300.0)), TIMES[:2], planes=("xy", "yz"))
    slices.to_netcdf(tmp_path / "slices.nc", engine="h5netcdf")
    with xarray.open_dataset(tmp_path / "slices.nc", engine="h5netcdf") as read:
        xarray.testing.assert_equal(read.load(), slices)
        assert read.attrs["frame"] == "spacecraft" and read["xy"].attrs["v1"] == "x"


def test_arrays():
    name = store_ions(maxwellian(300.0))
    arrays = sim.velocity_slices(name, TIMES[:2], planes=("xy", "yz"), output="arrays")
    expected = sim.velocity_slices(name, TIMES[:2], planes=("xy", "yz"))
    assert arrays.density.shape == (2, 2, 64, 64) and arrays.planes == ("xy", "yz")
    np.testing.assert_array_equal(arrays.density[:, 1], expected["yz"])
    np.testing.assert_array_equal(arrays.speed, expected.v1)


@pytest.mark.parametrize("times", ["2020-01-01/00:00:03.1", ["2020-01-01/00:00:01", "2021-01-01"], 0.0])
def test_a_time_without_a_sample_is_an_error(times):
    with pytest.raises(TimeError, match="has no sample there; it covers 2020-01-01T00:00:00"):
        sim.velocity_slices(store_ions(maxwellian(300.0)), times, planes="xy")


def test_a_gap_inside_the_data_is_an_error():
    name = store_ions(maxwellian(300.0))
    variable = tplot.read(name)
    times = np.where(np.arange(len(TIMES)) < 10, TIMES, TIMES + np.timedelta64(10, "s"))
    tplot.write(tplot.Variable(name, times, variable.values, variable.coordinates, variable.attributes))
    with pytest.raises(TimeError, match="^time 2020-01-01T00:00:05"):
        sim.velocity_slices(name, "2020-01-01/00:00:05", planes="xy")


@pytest.mark.parametrize("output", ["xarray", "tplot", "arrays"])
def test_no_times_give_what_is_empty(output):
    found = sim.velocity_slices(store_ions(maxwellian(300.0)), [], planes="xy", output=output)
    if output == "tplot":
        assert found == []
    elif output == "xarray":
        assert found["xy"].shape == (0, 64, 64) and found.sizes["time"] == 0
    else:
        assert found.density.shape == (0, 1, 64, 64)


@pytest.mark.parametrize(("output", "kind"), [("xarray", xarray.Dataset), ("arrays", sim.VelocitySlices)])
def test_errors_can_be_logged(output, kind, caplog):
    found = sim.velocity_slices("absent", output=output, errors="log")
    assert isinstance(found, kind) and "velocity_slices: absent" in caplog.text
    assert sim.velocity_slices("absent", output="tplot", errors="log") == []


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"planes": "par-perp1"}, VariableError, "need the magnetic field, and none is loaded"),
        ({"planes": ("xy", "par-perp1")}, ArgumentError, "recipe.planes: found"),
        ({"output": "pandas"}, ArgumentError, "output: found 'pandas'"),
        ({"times": TIMES[0], "trange": [str(TIMES[0]), str(TIMES[1])]}, ArgumentError, "trange: given with times"),
        ({"trange": ["2019-01-01", "2019-01-02"]}, TimeError, "time range 2019-01-01T00:00:00"),
        ({"recipe": sim.recipes.FrameRecipe()}, VariableError, "this is none"),
    ],
)
def test_bad_input(arguments, error, text):
    with pytest.raises(error, match=text):
        sim.velocity_slices(store_ions(maxwellian(300.0)), **arguments)


def test_several_variables_go_to_tplot_only():
    variable = tplot.read(store_ions(maxwellian(300.0)))
    other = NAME.replace("1", "2")
    tplot.write(tplot.Variable(other, TIMES, variable.values, variable.coordinates, variable.attributes))
    with pytest.raises(ArgumentError, match="found 2 variables"):
        sim.velocity_slices("simulated?_dis_dist_brst", TIMES[0], planes="xy")
    names = sim.velocity_slices("simulated?_dis_dist_brst", TIMES[0], planes="xy", output="tplot")
    assert sorted(names) == [f"simulated{one}_dis_dist_brst_slice_xy" for one in (1, 2)]
    with pytest.raises(SimilarityError, match="overwrite=False"):
        sim.velocity_slices(NAME, TIMES[0], planes="xy", output="tplot", overwrite=False)


def test_what_was_not_measured_is_nan_and_what_was_not_counted_is_zero():
    density = maxwellian(300.0)
    density[..., :4], density[..., 20:] = np.nan, 0
    slices = sim.velocity_slices(store_ions(density), TIMES[0], planes="xy", recipe=CUT)
    speed = np.hypot(slices.v1.values, slices.v2.values[:, None])
    values, edges = slices["xy"].values[0], speed_of(np.sqrt(ENERGY[1:] * ENERGY[:-1]), "ion")
    assert np.isnan(values[speed < edges[3] * 0.999]).all() and (values[speed > edges[3] * 1.001] >= 0).all()
    assert (values[(speed > edges[19] * 1.001)] == 0).all()
