"""Frames turned north up, with their view."""

from __future__ import annotations

import numpy as np
import pytest

from pyspedas_similarity.errors import VariableError
from pyspedas_similarity.imaging.camera_geometry import View
from pyspedas_similarity.imaging.frame_quality import FrameQuality, assess_frames
from pyspedas_similarity.imaging.recipes import FrameRecipe
from pyspedas_similarity.instruments import frames
from pyspedas_similarity.tplot import Variable

TIMES = np.datetime64("2020-01-02T06:00:00", "ns") + np.arange(600) * np.timedelta64(3, "s")


def movie(values: np.ndarray, view: View | None = None, **about: str) -> Variable:
    sky = {} if view is None else {"skymap": view}
    return Variable("movie", TIMES[: len(values)], values, attributes={"data_att": about, **sky})


@pytest.mark.parametrize(
    ("row", "column", "turned"),
    [
        ("north", "west", np.s_[:, :]),
        ("south", "west", np.s_[::-1, :]),
        ("north", "east", np.s_[:, ::-1]),
        ("south", "east", np.s_[::-1, ::-1]),
    ],
)
def test_north_is_up_and_east_to_the_right(row, column, turned):
    pixels = np.arange(6.0).reshape(2, 3)
    view = View(60.0, -110.0, pixels + 10, pixels + 20)
    found, seen = frames.north_up(movie(pixels[None], view, first_row=row, first_column=column))
    np.testing.assert_array_equal(found[0], pixels[turned])
    np.testing.assert_array_equal(seen.azimuth, pixels[turned] + 10)
    np.testing.assert_array_equal(seen.elevation, pixels[turned] + 20)
    assert (seen.latitude, seen.longitude) == (60.0, -110.0) and found.base is not None


def test_frames_that_do_not_say_how_they_lie_stay():
    pixels = np.arange(6.0).reshape(1, 2, 3)
    found, view = frames.north_up(movie(pixels))
    assert view is None and np.shares_memory(found, pixels)


def whole_sky(turned_deg=0.0, size=32):
    """A view with north up and east to the right, turned clockwise."""
    down, right = np.mgrid[:size, :size] - (size - 1) / 2
    azimuth = (np.degrees(np.arctan2(right, -down)) + turned_deg) % 360
    zenith = np.hypot(down, right) / (size / 2) * 90
    outside = zenith > 88
    return View(60.0, -110.0, np.where(outside, np.nan, azimuth), np.where(outside, np.nan, 90 - zenith))


@pytest.mark.parametrize("turned_deg", [0, 25, -25])
@pytest.mark.parametrize(("row", "column"), [(1, 1), (-1, 1), (1, -1), (-1, -1)])
def test_a_skymap_says_how_frames_are_turned(row, column, turned_deg):
    view, pixels = whole_sky(turned_deg), np.arange(1024.0).reshape(32, 32)
    turned = View(60.0, -110.0, view.azimuth[::row, ::column], view.elevation[::row, ::column])
    for about in ({}, {"first_row": "south", "first_column": "east"}):
        found, seen = frames.north_up(movie(pixels[None, ::row, ::column], turned, **about))
        np.testing.assert_array_equal(found[0], pixels)
        np.testing.assert_array_equal(seen.azimuth, view.azimuth)
    assert frames.sides_of(whole_sky(90)) == {}


@pytest.mark.parametrize("sky", [View(60.0, -110.0, np.zeros((3, 2)), np.zeros((3, 2))), "a skymap"])
def test_a_skymap_that_does_not_fit(sky):
    with pytest.raises(VariableError, match="movie.*skymap"):
        frames.north_up(movie(np.zeros((1, 2, 3)), sky))


def test_blocks_are_judged_like_the_whole():
    rng = np.random.default_rng(2)
    rows, columns = np.mgrid[:64, :64] - 31.5
    values = np.where(np.hypot(rows, columns) < 30, 900, 100) + rng.normal(0, 9, (300, 64, 64))
    values[256] = values[255]
    values[256 + 5] = 0
    found = frames.assess(movie(values), FrameRecipe())
    whole = assess_frames(values)
    np.testing.assert_array_equal(found.flag, whole.flag)
    np.testing.assert_allclose(found.activity, whole.activity, rtol=1e-3, atol=1e-4)
    assert found.flag[256] == 5 and isinstance(found, FrameQuality) and str(found).endswith("1 dropped, 1 duplicate")


def test_thumbnails_are_too_small_to_be_judged():
    assert not frames.can_be_judged(movie(np.zeros((1, 32, 32))))
    assert frames.can_be_judged(movie(np.zeros((1, 64, 64))))
