"""Data of other packages become tplot variables, and tplot variables DataArrays."""

import datetime as dt
import json
from types import SimpleNamespace

import numpy as np
import pyspedas
import pytest
import pytplot
import xarray
from astropy import units
from astropy.time import Time
from astropy.utils.masked import Masked
from pyspedas import tplot_tools

import pyspedas_similarity as sim
from pyspedas_similarity import tplot
from pyspedas_similarity.errors import ArgumentError, SimilarityError, TimeError, VariableError
from pyspedas_similarity.instruments.frames import north_up

STEP = np.timedelta64(3_000_000_001, "ns")
TIMES = np.datetime64("2016-12-31T23:58:00.000000007", "ns") + np.arange(60) * STEP


def frames():
    rng = np.random.default_rng(0)
    made = rng.normal(1000, 10, (60, 64, 64))
    made[np.r_[10:20, 40:45]] += 200 * np.sin(np.arange(64) / 3.0)[:, None]
    return made.astype(np.uint16)


def stored(name):
    variable = tplot.read(name)
    np.testing.assert_array_equal(variable.times, TIMES[: len(variable.times)])
    return variable


def test_a_data_array_is_searched():
    array = xarray.DataArray(frames(), {"time": TIMES}, ("time", "y", "x"), name="sky", attrs={"units": "counts"})
    (name,) = sim.to_tplot(array)
    variable = stored(name)
    assert name == "sky" and variable.units == "counts" and variable.values.dtype == np.uint16
    np.testing.assert_array_equal(variable.values, frames())
    table = sim.intervals(sim.find_similar("sky", like=TIMES[14], exclude=20, errors="raise"))
    assert table["start"].isot[0] == str(TIMES[40]) and table["n_samples"][0] == 5


def test_axes_and_tables_of_a_data_array():
    energy, look = np.geomspace(10, 1e4, 6), np.arange(4.0)
    values = np.arange(60 * 24.0).reshape(6, 60, 4)
    coordinates = {"energy": energy, "epoch": TIMES, "look": look}
    (name,) = sim.to_tplot(xarray.DataArray(values, coordinates, ("energy", "epoch", "look")), "flux", units="eV")
    variable = stored(name)
    np.testing.assert_array_equal(variable.values, values.transpose(1, 0, 2))
    np.testing.assert_array_equal(variable.coordinates["v1"], energy)
    np.testing.assert_array_equal(variable.coordinates["v2"], look)
    assert variable.units == "eV"


def test_a_table_that_changes_with_time():
    energy = np.geomspace(10, 1e4, 6) * np.linspace(1, 2, 60)[:, None]
    array = xarray.DataArray(
        np.ones((60, 6)), {"time": TIMES, "energy_of_time": (("time", "energy"), energy)}, ("time", "energy"), "flux"
    )
    sim.to_tplot(array)
    np.testing.assert_array_equal(stored("flux").coordinates["v"], energy)
    back = sim.to_xarray("flux")
    np.testing.assert_array_equal(back.coords["v_of_time"], energy)


def test_out_to_netcdf_and_in_again(tmp_path):
    record = {"source": "sky", "threshold": 0.5, "station": {}, "seeds": []}
    found = {"start_ns": [int(TIMES[3].astype(int))], "end_ns": [int(TIMES[5].astype(int))]}
    found |= {"peak_ns": [int(TIMES[4].astype(int))], "score": [0.9], "n_samples": [2]}
    attributes = {"data_att": {"units": "1", "coord_sys": ""}, "similarity": {**record, "intervals": found}}
    bars = tplot.Variable("sky_similar", TIMES[:4], np.array([np.nan, 1, 1, np.nan]), {}, attributes)
    tplot.write(bars)
    before = sim.intervals("sky_similar")
    array = sim.to_xarray("sky_similar")
    assert array.dims == ("time",) and array.attrs["units"] == "1" and array.attrs["time_scale"] == "utc"
    path = tmp_path / "bars.nc"
    array.to_netcdf(path, engine="h5netcdf")
    with xarray.open_dataarray(path, engine="h5netcdf") as read:
        np.testing.assert_array_equal(read["time"].values, TIMES[:4])
        assert sim.to_tplot(read.load(), "again") == ["again"]
    np.testing.assert_array_equal(stored("again").values, bars.values)
    after = sim.intervals("again")
    assert after["start"].isot.tolist() == before["start"].isot.tolist() and after.meta == before.meta


def test_a_copy_goes_out():
    sim.to_tplot(np.arange(60.0), "x", TIMES)
    array = sim.to_xarray("x")
    array.values[:] = 0
    np.testing.assert_array_equal(stored("x").values, np.arange(60.0))


@pytest.mark.parametrize(
    "times",
    [
        TIMES,
        [str(time) for time in TIMES],
        [f"{time}Z" for time in TIMES],
        [str(time).replace("T", "/") for time in TIMES],
        Time(TIMES, format="datetime64", precision=9).tai,
        list(Time(TIMES, format="datetime64", precision=9)),
    ],
    ids=["datetime64", "ISO", "zone", "pyspedas", "TAI", "list of Time"],
)
def test_times_in_every_form_to_the_nanosecond(times):
    assert sim.to_tplot(np.arange(60.0), "x", times, errors="raise") == ["x"]
    stored("x")


def test_a_variable_of_pytplot_is_found_and_written_back():
    pytplot.store_data("theirs", data={"x": TIMES, "y": frames()})
    names = sim.find_similar("theirs", like=TIMES[14], exclude=20)
    assert set(names) <= set(pytplot.data_quants) and not set(names) & set(tplot_tools.data_quants)
    np.testing.assert_array_equal(sim.to_xarray(names[-1])["time"].values, TIMES)


def test_components_of_speasy():
    containers = pytest.importorskip("speasy.core.data_containers")
    products = pytest.importorskip("speasy.products")
    time = containers.VariableTimeAxis(TIMES)
    energy = containers.VariableAxis(np.array([10.0, 100, 1000]), name="energy")
    values = containers.DataContainer(np.arange(180.0).reshape(60, 3), {"UNITS": "eV", "bad": object()}, name="flux")
    variable = products.SpeasyVariable([time, energy], values, ["a", "b", "c"])
    assert sim.to_tplot(variable, errors="raise") == ["flux"]
    found = stored("flux")
    assert found.units == "eV"
    np.testing.assert_array_equal(found.values, np.arange(180.0).reshape(60, 3))
    np.testing.assert_array_equal(found.coordinates["v"], [10, 100, 1000])
    one = containers.DataContainer(np.arange(60.0).reshape(60, 1), {"UNITS": "nT"}, name="b")
    sim.to_tplot(products.SpeasyVariable([time], one, ["b"]))
    assert stored("b").values.shape == (60,)


def hapi(texts, **fields):
    """Data and metadata as hapiclient's hapi returns them."""
    texts = np.array(texts, "S")
    dtype = [("Time", texts.dtype)] + [(key, one.dtype, one.shape[1:]) for key, one in fields.items()]
    data = np.empty(len(texts), dtype)
    data["Time"] = texts
    for key, one in fields.items():
        data[key] = one
    parameters = [{"name": "Time", "type": "isotime", "units": "UTC", "fill": None}]
    return data, {"HAPI": "3.0", "parameters": parameters}


def test_parameters_of_hapi():
    flux = np.arange(120.0).reshape(60, 2)
    flux[7, 1] = -1e31
    data, meta = hapi([f"{time}Z" for time in TIMES], n=np.arange(60), flux=flux)
    meta["parameters"] += [
        {"name": "n", "units": "cm^-3", "fill": "-1"},
        {
            "name": "flux",
            "units": "eV",
            "fill": "-1e31",
            "bins": [{"name": "energy", "units": "eV", "centers": [10.0, 20.0]}],
        },
    ]
    assert sim.to_tplot((data, meta), errors="raise") == ["n", "flux"]
    assert stored("n").units == "cm^-3" and stored("n").values.dtype.kind == "i"
    found = stored("flux")
    expected = flux.copy()
    expected[7, 1] = np.nan
    np.testing.assert_array_equal(found.values, expected)
    np.testing.assert_array_equal(found.coordinates["v"], [10, 20])
    assert sim.to_tplot((data, meta), "ace", errors="raise") == ["ace_n", "ace_flux"]


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2016-12-31T23:58:00.000000007Z", "2016-12-31T23:58:00.000000007"),
        ("2016-366T23:58:00.000000007Z", "2016-12-31T23:58:00.000000007"),
        ("2015-060T00:00Z", "2015-03-01T00:00"),
        ("2016-060T12Z", "2016-02-29T12:00"),
        ("2016-060Z", "2016-02-29"),
        ("2016-02-29Z", "2016-02-29"),
        ("2016-02Z", "2016-02-01"),
        ("2016Z", "2016-01-01"),
        ("2016-02-29T12:30:15.5", "2016-02-29T12:30:15.5"),
    ],
)
def test_times_of_hapi(text, time):
    assert sim.to_tplot(hapi([text], n=np.arange(1)), errors="raise") == ["n"]
    assert tplot.read("n").times[0] == np.datetime64(time, "ns")


def test_times_of_hapi_agree_with_hapiclient():
    hapitime = pytest.importorskip("hapiclient.hapitime")
    texts = ["2016-366T23:58:00.000007Z", "2016-12-31T23:58:01Z"]
    for text in texts:
        sim.to_tplot(hapi([text], n=np.arange(1)), errors="raise")
        (theirs,) = hapitime.hapitime2datetime(np.array([text.encode()]))
        assert tplot.read("n").times[0] == np.datetime64(theirs.replace(tzinfo=None), "ns")


def imager():
    """An object with what is taken of asilib's Imager."""
    times = np.array([dt.datetime(2017, 9, 15, 2, 32) + dt.timedelta(seconds=3 * i) for i in range(60)], object)
    meta = {"array": "THEMIS", "location": "GILL", "lat": 56.4, "lon": -94.6, "resolution": (64, 64)}
    found = SimpleNamespace(time=times, image=frames().astype(int))
    return SimpleNamespace(data=found, meta=meta, skymap={"lat": np.ones((65, 65))})


def test_an_imager_by_its_attributes_is_searched():
    (name,) = sim.to_tplot(imager(), errors="raise")
    variable = tplot.read(name)
    assert name == "themis_asi_gill" and variable.times[1] == np.datetime64("2017-09-15T02:32:03", "ns")
    assert variable.attributes["data_att"]["site"] == "gill" and variable.attributes["data_att"]["latitude"] == 56.4
    found = sim.find_similar(name, like="2017-09-15/02:32:42", exclude=20, errors="raise")
    assert sim.intervals(found)["start"].isot[0] == "2017-09-15T02:34:00.000000000"


def test_an_imager_of_asilib():
    asilib = pytest.importorskip("asilib")
    times = imager().data.time
    images = frames().astype(int)
    meta = {**imager().meta, "cadence": 3, "alt": 0, "acknowledgment": ""}

    def read(path):
        return times, images

    file_info = {
        "path": ["one"],
        "start_time": [times[0]],
        "end_time": [times[-1] + dt.timedelta(seconds=3)],
        "loader": read,
        "time_range": [times[0], times[-1] + dt.timedelta(seconds=3)],
    }
    made = asilib.Imager(file_info, meta, {"lat": np.ones((65, 65))})
    (name,) = sim.to_tplot(made, errors="raise")
    variable = tplot.read(name)
    assert len(variable.times) == 60 and variable.times[-1] == np.datetime64("2017-09-15T02:34:57", "ns")
    np.testing.assert_array_equal(variable.values, images)


@pytest.mark.parametrize(("stated", "units"), [({}, ""), ({"units": "Rayleigh"}, "Rayleigh"), ({"units": None}, "")])
def test_an_imager_has_the_units_that_it_states(stated, units):
    one = imager()
    one.meta |= stated
    assert tplot.read(sim.to_tplot(one, errors="raise")[0]).units == units
    assert tplot.read(sim.to_tplot(one, units="counts", errors="raise")[0]).units == "counts"


@pytest.mark.parametrize(("place", "kept"), [((None, None), {}), ((np.nan, -94.6), {"longitude": -94.6})])
def test_an_imager_without_a_known_place_has_none(place, kept):
    one = imager()
    one.meta |= dict(zip(("lat", "lon"), place, strict=True))
    one.skymap = {"az": np.ones((64, 64)), "el": np.ones((64, 64))}  # without a place it has no use
    about = tplot.read(sim.to_tplot(one, errors="raise")[0]).attributes["data_att"]
    assert {key: about[key] for key in ("latitude", "longitude") if key in about} == kept and "skymap" not in about


def test_an_imager_of_one_time():
    one = SimpleNamespace(data=(dt.datetime(2017, 9, 15), np.ones((8, 8))), meta={"location": "X"}, skymap={})
    (name,) = sim.to_tplot(one, errors="raise")
    assert tplot.read(name).values.shape == (1, 8, 8)


def test_an_imager_keeps_orientation_and_skymap():
    down, right = np.mgrid[:64, :64] - 31.5
    azimuth, zenith = np.degrees(np.arctan2(right, -down)) % 360, np.hypot(down, right) / 32 * 90
    raw = frames().astype(int)  # north up and east to the right
    asilib = np.s_[::-1, ::-1]  # the first pixel in the southeast
    turned = SimpleNamespace(time=imager().data.time, image=raw[:, *asilib])
    sky = {"az": azimuth[asilib], "el": np.ma.masked_less(90 - zenith[asilib], 0)}
    for skymap in ({}, sky):
        one = SimpleNamespace(data=turned, meta=imager().meta, skymap=skymap)
        (name,) = sim.to_tplot(one, errors="raise")
        variable = tplot.read(name)
        about = variable.attributes["data_att"]
        assert (about["first_row"], about["first_column"]) == ("south", "east")
        found, view = north_up(variable)
        np.testing.assert_array_equal(found, raw)
        assert (view is None) == (not skymap)
    np.testing.assert_allclose(view.azimuth, azimuth)
    assert (view.latitude, view.longitude) == (56.4, -94.6) and np.isnan(view.elevation[0, 0])
    with pytest.raises(ArgumentError, match="spectrograph"):
        spectrograph = SimpleNamespace(data=turned, meta={"array": "TREx_spectrograph"}, skymap={})
        sim.to_tplot(spectrograph, errors="raise")


def test_a_skymap_of_another_size_is_left_out_with_a_warning(caplog):
    sky = {"az": np.zeros((32, 32)), "el": np.full((32, 32), 45.0)}
    one = SimpleNamespace(data=imager().data, meta=imager().meta, skymap=sky)
    (name,) = sim.to_tplot(one, errors="raise")
    assert "skymap" not in tplot.read(name).attributes["data_att"]
    (warning,) = caplog.messages
    assert "the skymap of" in warning and "32 x 32, and the frames are 64 x 64" in warning


def test_times_with_a_zone_are_moved_to_utc():
    zone = dt.timezone(dt.timedelta(hours=9))
    times = [dt.datetime(2020, 1, 1, 9, tzinfo=zone), dt.datetime(2020, 1, 1, 10, tzinfo=zone)]
    sim.to_tplot(np.arange(2.0), "x", times, errors="raise")
    assert tplot.read("x").times.tolist() == np.array(["2020-01-01T00", "2020-01-01T01"], "M8[ns]").tolist()


def back():
    times = TIMES.copy()
    times[[3, 4]] = times[[4, 3]]
    return times


def data_array(values=None, **coordinates):
    values = np.ones((60, 3)) if values is None else values
    return xarray.DataArray(values, coordinates, ("time", "y"), name="a")


BAD = {
    "unsorted": (lambda: (np.ones(60), "x", back()), VariableError, "times go back, from .* to "),
    "unsorted array": (lambda: (data_array(time=back()),), VariableError, "times go back"),
    "lengths": (lambda: (np.ones(59), "x", TIMES), VariableError, "60 times for values of the shape"),
    "a number": (lambda: (np.float64(3), "x", TIMES[:1]), VariableError, "shape"),
    "empty": (lambda: (np.ones(0), "x", TIMES[:0]), VariableError, "no sample"),
    "NaT": (lambda: (np.ones(60), "x", np.append(TIMES[1:], np.datetime64("NaT", "ns"))), TimeError, "not a time"),
    "text for values": (lambda: (np.full(60, "a"), "x", TIMES), VariableError, "not numbers"),
    "complex": (lambda: (np.ones(60) * 1j, "x", TIMES), VariableError, "not numbers"),
    "text for times": (lambda: (np.ones(2), "x", ["a", "b"]), TimeError, "x: time"),
    "nanoseconds as numbers": (lambda: (np.ones(60), "x", TIMES.tolist()), TimeError, "unix seconds"),
    "no times": (lambda: (np.ones(60), "x"), ArgumentError, "no times of its own"),
    "no name": (lambda: (np.ones(60), None, TIMES), ArgumentError, "no name"),
    "name of nothing": (lambda: (np.ones(60), " ", TIMES), ArgumentError, "name"),
    "five axes": (lambda: (np.ones((60, 1, 1, 1, 1)), "x", TIMES), VariableError, "axes in addition to time"),
    "array without times": (lambda: (data_array(y=np.arange(3)),), VariableError, "no one coordinate of times"),
    "array without name": (lambda: (data_array(time=TIMES).rename(None),), ArgumentError, "name"),
    "times beside their own": (lambda: (data_array(time=TIMES), None, TIMES), ArgumentError, "given for data"),
    "Dataset": (lambda: (data_array(time=TIMES).to_dataset(),), ArgumentError, "a Dataset with a"),
    "another thing": (lambda: ({"x": 1},), ArgumentError, "dict is not known"),
    "another calendar": (lambda: (another_calendar(),), TimeError, "is not one time"),
    "leap second": (lambda: hapi_bad(["2016-12-31T23:59:60.5Z"]), TimeError, "leap second"),
    "HAPI without parameters": (lambda: (hapi(["2016Z"]),), ArgumentError, "no other parameter"),
    "too far": (lambda: (np.ones(1), "x", np.array(["3000-01-01"], "M8[s]")), TimeError, "too far"),
}


def another_calendar():
    times = xarray.date_range("2000-01-01", periods=60, calendar="360_day", use_cftime=True)
    return xarray.DataArray(np.ones(60), {"time": times}, ("time",), "x")


def hapi_bad(texts):
    return (hapi(texts, n=np.arange(len(texts))),)


@pytest.mark.parametrize(("arguments", "error", "says"), BAD.values(), ids=BAD)
def test_bad_input_is_one_clear_error_and_stores_nothing(arguments, error, says, caplog):
    before = tplot.loaded_names()
    with pytest.raises(error, match=says) as caught:
        sim.to_tplot(*arguments(), errors="raise")
    assert isinstance(caught.value, SimilarityError) and caught.value.remedy.endswith(".")
    caplog.clear()
    assert sim.to_tplot(*arguments()) == []
    assert [record.getMessage() for record in caplog.records] == [f"to_tplot: {caught.value}"]
    assert tplot.loaded_names() == before


def test_overwrite_false_keeps_what_is_there():
    sim.to_tplot(np.arange(60.0), "x", TIMES)
    with pytest.raises(VariableError, match="it exists"):
        sim.to_tplot(np.zeros(60), "x", TIMES, overwrite=False, errors="raise")
    np.testing.assert_array_equal(pyspedas.get_data("x").y, np.arange(60.0))


def test_metadata_that_is_not_plain_is_left_behind():
    array = data_array(time=TIMES)
    array.attrs = {"units": "nT", "note": "mine", "odd": object()}
    sim.to_tplot(array)
    attributes = tplot.read("a").attributes
    assert attributes["taken_from"] == {"note": "mine"} and attributes["data_att"]["units"] == "nT"
    assert json.loads(sim.to_xarray("a").attrs["tplot"])["taken_from"] == {"note": "mine"}


@pytest.mark.parametrize("key", ["FILLVAL", "_FillValue", "missing_value", "fill"])
@pytest.mark.parametrize("kind", [np.float32, np.float64, np.int32])
def test_fill_values_that_attributes_state_are_not_measured(key, kind):
    fill = -9999 if kind is np.int32 else 9.96921e36
    values = np.arange(180.0).reshape(60, 3).astype(kind)
    values[[3, 7], 1] = fill
    (name,) = sim.to_tplot(xarray.DataArray(values, {"time": TIMES}, ("time", "v"), name="f", attrs={key: fill}))
    missing = np.isnan(stored(name).values)
    assert missing.sum() == 2 and missing[[3, 7], 1].all()
    np.testing.assert_array_equal(stored(name).values[~missing], values[~missing])


def test_masked_values_are_not_measured_and_quantities_keep_their_unit():
    values = np.arange(60.0)
    masked = np.ma.masked_greater(values, 50)
    (name,) = sim.to_tplot(masked, "masked", TIMES)
    assert np.isnan(stored(name).values).sum() == masked.mask.sum() == 9
    (name,) = sim.to_tplot(values * units.km / units.s, "speed", TIMES)
    assert stored(name).units == "km / s"
    np.testing.assert_array_equal(stored(name).values, values)


ENERGY = np.geomspace(10, 1e4, 6)


@pytest.mark.parametrize(
    "coordinates",
    [
        {"energy": ("channel", ENERGY)},
        {"channel": np.arange(6), "energy": ("channel", ENERGY)},
        {"channel": np.arange(6), "energy": (("time", "channel"), np.tile(ENERGY, (60, 1)))},
        {"v": ("channel", ENERGY), "spec_bins": ("channel", ENERGY)},  # as pyspedas.get_data(xarray=True) has them
    ],
)
def test_a_table_need_not_have_the_name_of_its_dimension(coordinates):
    values = np.ones((60, 6))
    (name,) = sim.to_tplot(xarray.DataArray(values, {"time": TIMES, **coordinates}, ("time", "channel"), name="flux"))
    found = stored(name).coordinates["v"]
    np.testing.assert_array_equal(np.broadcast_to(found, (60, 6))[0], ENERGY)


@pytest.mark.parametrize(
    ("dims", "coordinates", "attributes", "found"),
    [
        (("channel",), {"width": ("channel", ENERGY / 10)}, {}, "width goes along 'channel', and nothing with"),
        (
            ("channel",),
            {"energy_delta": (("time", "channel"), np.tile(ENERGY, (60, 1)))},
            {},
            "energy_delta goes along",
        ),
        (
            ("look", "channel"),
            {"energy": (("look", "channel"), ENERGY * np.arange(1, 4)[:, None])},
            {},
            "the dimensions",
        ),
        (("channel",), {}, {"DEPEND_1": "FEDU_ENERGY"}, "in 'FEDU_ENERGY', which is not among"),
    ],
)
def test_tables_that_would_be_lost_are_refused(dims, coordinates, attributes, found):
    shape = (60, 3, 6) if len(dims) == 2 else (60, 6)
    array = xarray.DataArray(np.ones(shape), {"time": TIMES, **coordinates}, ("time", *dims), name="flux")
    array.attrs = attributes
    with pytest.raises(VariableError, match=found):
        sim.to_tplot(array, errors="raise")


def test_a_table_that_only_repeats_along_another_dimension_is_kept():
    energy = (("look", "channel"), np.tile(ENERGY, (3, 1)))
    array = xarray.DataArray(np.ones((60, 3, 6)), {"time": TIMES, "energy": energy}, ("time", "look", "channel"))
    sim.to_tplot(array, name="flux", errors="raise")
    np.testing.assert_array_equal(tplot.read("flux").coordinates["v2"], ENERGY)


@pytest.mark.parametrize(
    "attributes",
    [{"valid_range": [0, 50]}, {"VALIDMIN": 0.0, "VALIDMAX": 50.0}, {"valid_min": 0, "valid_max": np.float32(50)}],
)
def test_values_outside_of_the_valid_range_are_missing(attributes):
    values = np.arange(-10.0, 110.0, 2)
    array = xarray.DataArray(values, {"time": TIMES}, ("time",), name="n", attrs=attributes)
    sim.to_tplot(array, errors="raise")
    np.testing.assert_array_equal(tplot.read("n").values, np.where((values < 0) | (values > 50), np.nan, values))


def test_masked_quantities_and_masked_times():
    mask = np.arange(60) % 7 == 0
    for masked in (np.ma.array(np.arange(60.0), mask=mask), Masked(np.arange(60.0) * units.nT, mask=mask)):
        sim.to_tplot(masked, "m", TIMES, errors="raise")
        np.testing.assert_array_equal(np.isnan(tplot.read("m").values), mask)
    assert tplot.read("m").units == "nT"
    with pytest.raises(TimeError, match="masked"):
        sim.to_tplot(np.arange(60.0), "m", np.ma.array(TIMES, mask=mask), errors="raise")
    with pytest.raises(VariableError, match="not numbers"):
        sim.to_tplot(np.ma.array(np.full(60, "a"), mask=mask), "m", TIMES, errors="raise")


def test_bins_of_hapi_in_a_parameter_that_was_not_requested():
    data, meta = hapi(["2020-01-01T00:00Z"], flux=np.ones((1, 4)))
    meta["parameters"].append({"name": "flux", "bins": [{"name": "energy", "units": "eV", "centers": "energies"}]})
    with pytest.raises(VariableError, match="'energies', which is not in the data"):
        sim.to_tplot((data, meta), errors="raise")


def test_several_tables_of_one_dimension_are_refused():
    width = {"energy": ("channel", ENERGY), "width": ("channel", ENERGY / 10)}
    array = xarray.DataArray(np.ones((60, 6)), {"time": TIMES, **width}, ("time", "channel"), name="flux")
    with pytest.raises(VariableError, match="energy, width all go along 'channel'"):
        sim.to_tplot(array, errors="raise")
    sim.to_tplot(array.drop_vars("width"), errors="raise")


@pytest.mark.parametrize(
    ("bins", "expected"),
    [
        ({"centers": "energy"}, ENERGY),
        ({"ranges": [[0.5 * one, 2 * one] for one in ENERGY]}, ENERGY),
        ({"ranges": [[one - 1, one + 1] for one in range(-3, 3)]}, np.arange(-3.0, 3.0)),
        ({"centers": None}, None),
    ],
)
def test_bins_of_hapi_by_a_parameter_or_as_ranges(bins, expected):
    data = np.zeros(60, [("Time", "S30"), ("flux", "f8", (6,)), ("energy", "f8", (6,))])
    data["Time"], data["energy"] = [f"{time}Z" for time in TIMES], ENERGY
    about = {"name": "flux", "units": "1", "bins": [{"name": "energy", "units": "eV", **bins}]}
    sim.to_tplot((data, {"parameters": [{"name": "Time"}, about, {"name": "energy", "units": "eV"}]}), errors="raise")
    found = stored("flux").coordinates.get("v")
    if expected is None:
        assert found is None
    else:
        np.testing.assert_allclose(np.broadcast_to(found, (60, 6))[0], expected)
