"""Real all-sky files: THEMIS frames and thumbnails, a raw stream of Gillam, and the skymap of Gakona."""

import cdflib
import numpy as np
import pytest

from pyspedas_similarity.errors import LoadError
from pyspedas_similarity.instruments.asi_files import read_cdf, read_skymap, read_stream
from pyspedas_similarity.instruments.themis_asi import STATIONS

FRAMES = "asi/thg_l1_asf_gako_2011010617_v01.cdf"
THUMBNAILS = "asi/thg_l1_ast_gako_20110505_v01.cdf"
STREAM = "asi/20140310_060{}_gill_themis19_full.pgm.gz"
SKYMAP = "asi/themis_skymap_gako_20110305.sav"


def test_frames_are_those_of_the_file(real_data):
    path = real_data(FRAMES)
    frames = read_cdf(path)
    with cdflib.CDF(path) as cdf:
        np.testing.assert_array_equal(frames.values, cdf.varget("thg_asf_gako"))
        np.testing.assert_array_equal(
            frames.times.astype("int64"), cdf.varget("thg_asf_gako_time").astype("int64") * 10**9
        )
    assert frames.values.shape == (23, 256, 256) and frames.values.dtype == np.uint16
    assert frames.name == "thg_asf_gako" and frames.units == "counts"


def test_thumbnails_have_times_although_their_epoch_has_none(real_data):
    path = real_data(THUMBNAILS)
    frames = read_cdf(path)
    with cdflib.CDF(path) as cdf:
        assert not np.any(cdf.varget("thg_ast_gako_epoch"))
        np.testing.assert_array_equal(frames.values, cdf.varget("thg_ast_gako"))
    assert frames.values.shape == (1075, 32, 32)
    assert str(frames.times[0]) == "2011-05-05T09:14:15.000000000"
    assert (np.diff(frames.times) > np.timedelta64(0, "ns")).all()


def test_a_raw_stream(real_data):
    frames = read_stream([real_data(STREAM.format(minute)) for minute in range(3)])
    assert frames.name == "thg_asf_gill" and frames.values.shape == (60, 256, 256)
    assert frames.values.dtype == np.uint16
    assert str(frames.times[0]) == "2014-03-10T06:00:00.063119000"
    assert str(frames.times[20]) == "2014-03-10T06:01:00.005432000"
    steps = np.diff(frames.times) / np.timedelta64(1, "s")
    np.testing.assert_allclose(steps, 3, atol=0.1)
    about = frames.attributes["data_att"]
    assert about["imager"] == "themis19"
    np.testing.assert_allclose((about["latitude"], about["longitude"]), STATIONS["gill"], atol=2e-3)
    # Big-endian counts: read the other way round, neighbors would differ by thousands.
    assert 2000 < np.median(frames.values) < 20000
    assert np.median(np.abs(np.diff(frames.values[:, 128].astype(int)))) < 200


def test_a_real_stream_that_is_cut_off(real_data, tmp_path):
    path = real_data(STREAM.format(0))
    cut = tmp_path / path.name
    cut.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(LoadError, match="not readable as gzip"):
        read_stream(cut)


def test_the_skymap(real_data):
    sky = read_skymap(real_data(SKYMAP))
    assert (sky.site, sky.imager) == ("gako", "themis20")
    np.testing.assert_allclose((sky.latitude, sky.longitude), STATIONS["gako"], atol=5e-3)
    assert sky.azimuth.shape == sky.elevation.shape == (256, 256)
    assert sky.map_latitude.shape == sky.map_longitude.shape == (3, 257, 257)
    assert sky.map_altitude_km.tolist() == [90, 110, 150]
    highest = np.unravel_index(np.nanargmax(sky.elevation), sky.elevation.shape)
    assert np.nanmax(sky.elevation) > 89.5 and np.abs(np.array(highest) - 127.5).max() < 5
    # What themisasi's own test has of this file.
    np.testing.assert_allclose((sky.elevation[29, 161], sky.azimuth[29, 161]), (15.458, 1.6255488), rtol=1e-4)
    # The zenith lies over the station, whatever the height.
    above = (np.array([sky.map_latitude, sky.map_longitude])[:, :, highest[0], highest[1]]).T
    np.testing.assert_allclose(above, [STATIONS["gako"] + np.array([0, 360])] * 3, atol=0.05)
