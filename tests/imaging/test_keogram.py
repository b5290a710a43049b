"""Keograms and ewograms of frames in which something stands at a known place."""

import numpy as np
import pytest

from pyspedas_similarity.errors import ArgumentError, VariableError
from pyspedas_similarity.imaging.camera_geometry import View, direction_of, emission_position
from pyspedas_similarity.imaging.keogram import ewogram, keogram

SIZE = 200


def fisheye(turned=0.0, latitude=60.0, longitude=-110.0, size=SIZE):
    """Zenith angle even from the middle to 85 degrees at the rim; up in the frame is azimuth `turned`."""
    along = (np.arange(size) - (size - 1) / 2) / (size / 2)
    right, up = np.meshgrid(along, -along)
    zenith = np.hypot(right, up) * 85
    azimuth = (np.degrees(np.arctan2(right, up)) + turned) % 360
    return View(latitude, longitude, np.where(zenith > 85, np.nan, azimuth), np.where(zenith > 85, np.nan, 90 - zenith))


def spot(view, azimuth, elevation, width=2.0):
    """Light around a direction, 0 elsewhere and where the lens shows nothing."""

    def vector(azimuth, elevation):
        azimuth, elevation = np.radians(azimuth), np.radians(elevation)
        return np.stack([np.cos(elevation) * np.sin(azimuth), np.cos(elevation) * np.cos(azimuth), np.sin(elevation)])

    cosine = np.einsum("i...,i->...", vector(view.azimuth, view.elevation), vector(azimuth, elevation))
    return np.nan_to_num(np.exp((cosine - 1) / np.radians(width) ** 2))


@pytest.mark.parametrize("turned", [0.0, 33.0, 180.0])
@pytest.mark.parametrize(("azimuth", "elevation", "expected"), [(0, 60, 30), (180, 40, -50), (0, 20, 70), (90, 90, 0)])
def test_a_star_on_the_meridian_is_in_its_bin(turned, azimuth, elevation, expected):
    view = fisheye(turned)
    found = keogram(spot(view, azimuth, elevation)[None], view)
    assert (found.name, found.units) == ("zenith angle", "deg")
    assert found.axis[found.values[0].argmax()] == expected
    assert found.values.max() > 0.5
    np.testing.assert_allclose(np.diff(found.axis), 1)
    assert found.axis[0] == -85 and found.axis[-1] == 85
    # The same star is not on the east-west circle, unless it stands in the zenith.
    assert (ewogram(spot(view, azimuth, elevation)[None], view).values.max() > 0.5) == (elevation == 90)


@pytest.mark.parametrize("turned", [0.0, -20.0])
@pytest.mark.parametrize(("azimuth", "expected"), [(90, 40), (270, -40)])
def test_a_star_in_the_east_is_in_its_bin(turned, azimuth, expected):
    view = fisheye(turned)
    found = ewogram(spot(view, azimuth, 50)[None], view, step_deg=2.0)
    assert found.axis[found.values[0].argmax()] == expected
    assert keogram(spot(view, azimuth, 50)[None], view).values.max() < 0.01


def test_values_are_means_over_the_strip():
    view = fisheye(12.0)
    frames = np.random.default_rng(1).uniform(0, 1, (3, SIZE, SIZE))
    found = keogram(frames, view, width=4.0)
    zenith, azimuth = np.radians(90 - view.elevation), np.radians(view.azimuth)
    across = np.degrees(np.arcsin(np.sin(zenith) * np.sin(azimuth)))
    along = np.degrees(np.arctan2(np.sin(zenith) * np.cos(azimuth), np.cos(zenith)))
    for k in (5, 60, 85, 130):
        pixels = (np.abs(across) <= 2) & (np.abs(along - found.axis[k]) < 0.5)
        np.testing.assert_allclose(found.values[:, k], frames[:, pixels].mean(axis=1), rtol=1e-5)


@pytest.mark.parametrize("latitude", [57.0, 59.0, 60.0, 61.5, 63.0])
def test_an_arc_is_at_its_latitude(latitude):
    view = fisheye(25.0)
    north, _ = emission_position(view.azimuth, view.elevation, view.latitude, view.longitude, 110.0)
    arc = np.nan_to_num(np.exp(-(((north - latitude) / 0.2) ** 2)))
    found = keogram(arc[None], view, height_km=110.0)
    assert (found.name, found.units) == ("latitude", "deg")
    assert found.axis[found.values[0].argmax()] == pytest.approx(latitude, abs=0.11)
    np.testing.assert_allclose(np.diff(found.axis), 0.1)
    # Taken to be lower, the same light is nearer to the camera, by the ratio of the heights on a flat Earth.
    lower = keogram(arc[None], view, height_km=90.0)
    assert lower.axis[lower.values[0].argmax()] - 60 == pytest.approx((latitude - 60) * 90 / 110, abs=0.15)


@pytest.mark.parametrize("longitude", [-110.0, 179.5, -179.5])
def test_light_is_at_its_longitude_also_at_the_date_line(longitude):
    view = fisheye(0.0, longitude=longitude)
    azimuth, elevation = direction_of(np.array(60.0), np.array(longitude + 2.0), 110.0, (60.0, longitude))
    found = ewogram(spot(view, azimuth, elevation)[None], view, height_km=110.0, width=6.0)
    assert found.name == "longitude"
    assert found.axis[found.values[0].argmax()] == pytest.approx(longitude + 2.0, abs=0.2)
    np.testing.assert_allclose(np.diff(found.axis), 0.2)
    assert np.isfinite(found.values).all()


def test_bins_between_pixels_are_interpolated():
    view = fisheye(size=64)
    zenith_north = np.nan_to_num(90 - view.elevation) * np.sign(np.cos(np.radians(np.nan_to_num(view.azimuth))))
    found = keogram(zenith_north[None], view, step_deg=0.5, width=6.0)
    np.testing.assert_allclose(found.values[0], found.axis, atol=1.5)
    assert len(found.axis) > 64 and (np.diff(found.values[0][5:-5]) >= -1.0).all()


def test_without_a_view_the_middle_of_the_frame_is_taken():
    frames = np.random.default_rng(2).integers(0, 60000, (4, 30, 21)).astype(np.uint16)
    rows, columns = keogram(frames), ewogram(frames, width=4)
    np.testing.assert_allclose(rows.values, frames[:, ::-1, 8:13].mean(axis=2), rtol=1e-6)
    np.testing.assert_allclose(columns.values, frames[:, 13:17].mean(axis=1), rtol=1e-6)
    assert (rows.name, columns.name, rows.units) == ("row", "column", "pixel")
    np.testing.assert_array_equal(rows.axis, np.arange(30))
    np.testing.assert_array_equal(columns.axis, np.arange(21))
    assert rows.values.dtype == np.float32


def test_frames_are_read_in_blocks():
    class Lazy:
        shape, largest = (700, 40, 40), 0

        def __len__(self):
            return 700

        def __getitem__(self, rows):
            start, stop, _ = rows.indices(700)
            Lazy.largest = max(Lazy.largest, stop - start)
            return np.broadcast_to(np.arange(start, stop)[:, None, None], (stop - start, 40, 40))

    found = keogram(Lazy())
    np.testing.assert_array_equal(found.values[:, 7], np.arange(700))
    assert 0 < Lazy.largest <= 256
    assert keogram(np.zeros((0, 40, 40))).values.shape == (0, 40)


def test_a_pixel_that_is_no_number_spoils_its_own_bin_only():
    frames = np.ones((1, SIZE, SIZE))
    frames[0, 40, 100] = np.nan
    found = keogram(frames, fisheye())
    assert np.isnan(found.values).sum() == 1
    assert found.axis[np.isnan(found.values[0])] == round((99.5 - 40) / 100 * 85)


def test_what_cannot_be_used():
    view, frames = fisheye(), np.zeros((2, SIZE, SIZE))
    with pytest.raises(VariableError, match="view"):
        keogram(frames[:, :-1], view)
    with pytest.raises(VariableError, match="frames"):
        keogram(frames[0], view)
    with pytest.raises(ArgumentError, match="needs a view"):
        keogram(frames, height_km=110.0)
    with pytest.raises(ArgumentError, match="no pixel"):
        keogram(frames, View(60.0, 0.0, np.full((SIZE, SIZE), np.nan), np.full((SIZE, SIZE), np.nan)))
    for wrong in ({"width": 0}, {"width": 2.5}, {"width": 300}, {"step_deg": -1.0}, {"height_km": np.nan}):
        with pytest.raises(ArgumentError, match=next(iter(wrong))):
            keogram(frames, **wrong)
