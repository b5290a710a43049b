"""What stands still is found and taken off."""

import numpy as np
import pytest

from pyspedas_similarity.errors import ArgumentError, VariableError
from pyspedas_similarity.imaging.frames import Background, frame_images, resampled_frames, running_background
from pyspedas_similarity.imaging.recipes import FrameRecipe

RECIPE = FrameRecipe(pixels=32, contrast_pixels=0.0, stretch=(0.0, 100.0), background_s=120.0)
START = np.datetime64("2015-03-26T06:00:00", "ns")
ROW, COLUMN = np.indices((64, 64))
MOON, BUILDING = np.hypot(ROW - 20, COLUMN - 44) < 3, (ROW > 38) & (ROW < 50) & (COLUMN > 40) & (COLUMN < 48)


def times(n, step=3.0):
    return START + np.rint(np.arange(n) * step * 1e9).astype("timedelta64[ns]")


def scene(n=120):
    """A moon and a building that stand still, an arc that moves down by a quarter of a pixel a frame, and noise."""
    still = np.where(MOON, 3000.0, 0) + np.where(BUILDING, -300, 0) + 1000
    arc = 600 * np.exp(-0.5 * ((ROW - 15 - np.arange(n)[:, None, None] / 4) / 1.5) ** 2)
    return still + arc + np.random.default_rng(0).normal(0, 2, (n, 64, 64)), arc


def test_moon_and_building_go_and_the_arc_stays():
    frames, arc = scene()
    background = running_background(frames, times(120), RECIPE)
    images = frame_images(frames, RECIPE, background=background.at(times(120)))[:, 0]
    alone = frame_images(arc, FrameRecipe(pixels=32, contrast_pixels=0.0, stretch=(0.0, 100.0)))[:, 0]
    seen = np.isfinite(images[0])
    likeness = [np.corrcoef(image[seen], truth[seen])[0, 1] for image, truth in zip(images, alone, strict=True)]
    assert min(likeness) > 0.97
    plain = frame_images(frames, FrameRecipe(pixels=32, contrast_pixels=0.0, stretch=(0.0, 100.0)))[:, 0]
    assert np.corrcoef(plain[60][seen], alone[60][seen])[0, 1] < 0.6
    moon = resampled_frames(np.where(MOON, 1.0, 0)[None], RECIPE)[0]
    assert abs(images[:, moon > 0.9].mean() - alone[:, moon > 0.9].mean()) < 0.03
    assert plain[:, moon > 0.9].mean() > 0.8


def test_the_level_is_the_quantile_of_the_window():
    values = np.random.default_rng(1).permutation(41).astype(float)
    frames = values[:, None, None] + np.arange(64)[:, None] / 64 + np.zeros((41, 64, 64))
    background = running_background(frames, times(41), RECIPE)
    assert (background.times == times(41)[[0, 10, 20, 30, 40]]).all()
    light = resampled_frames(frames, RECIPE)
    expected = np.quantile(light, 0.2, axis=0)
    for level in background.levels:
        np.testing.assert_allclose(level, expected, atol=1e-4)


def test_levels_are_linear_between_knots_and_constant_beyond():
    levels = np.array([1.0, 3.0, 7.0], np.float32)[:, None, None] * np.ones((3, 2, 2), np.float32)
    background = Background(times(3, 10.0), levels)
    wanted = START + np.array([-5, 0, 4, 10, 15, 99]).astype("timedelta64[s]")
    np.testing.assert_allclose(background.at(wanted)[:, 0, 0], [1, 1, 1.8, 3, 5, 7], rtol=1e-6)
    np.testing.assert_allclose(Background(times(1), levels[:1]).at(wanted)[:, 1, 1], 1)


def test_a_level_that_changes_is_followed():
    """A sky that brightens steadily: the level rises with it, by as much an hour."""
    n = 400
    frames = np.arange(n, dtype=float)[:, None, None] + ROW / 64
    background = running_background(frames, times(n), RECIPE)
    middle = np.nanmean(background.levels, axis=(1, 2))
    inner = slice(3, -3)
    seconds = (background.times - START) / np.timedelta64(1, "s")
    rise = np.polyfit(seconds[inner], middle[inner], 1)[0]
    assert rise == pytest.approx(1 / 3, rel=0.02)
    # The lower fifth of a window of 40 frames lies 12 frames before its middle.
    assert np.allclose(middle[inner] - seconds[inner] / 3 - 0.5, -12, atol=1)


def test_frames_that_show_nothing_do_not_count():
    frames, _ = scene(80)
    expected = running_background(np.delete(frames, [10, 30, 50], 0), np.delete(times(80), [10, 30, 50]), RECIPE)
    frames[10], frames[30, :32], frames[50] = 0, np.nan, np.inf
    found = running_background(frames, times(80), RECIPE)
    np.testing.assert_array_equal(found.times, expected.times)
    np.testing.assert_allclose(found.levels, expected.levels, atol=1e-3)
    empty = running_background(np.zeros((5, 64, 64)), times(5), RECIPE)
    assert np.nanmax(np.abs(empty.levels)) == 0 and len(empty.times) == 1


class Lazy:
    """Frames that are there only while they are looked at, and count how often."""

    def __init__(self, frames):
        self.frames, self.shape, self.read = frames, frames.shape, 0

    def __len__(self):
        return len(self.frames)

    def __getitem__(self, rows):
        part = self.frames[rows]
        self.read += len(part)
        assert len(part) <= 40
        return part


def test_frames_are_read_one_by_one_and_once():
    frames, _ = scene(200)
    lazy = Lazy(frames)
    found = running_background(lazy, times(200), RECIPE)
    np.testing.assert_array_equal(found.levels, running_background(frames, times(200), RECIPE).levels)
    assert lazy.read <= 200


def test_a_gap_of_hours_is_no_matter():
    frames, _ = scene(80)
    at = times(80)
    at[40:] += np.timedelta64(5, "h")
    background = running_background(frames, at, RECIPE)
    assert len(background.times) < 20
    assert np.isfinite(background.at(at)[:, 16, 16]).all()


def test_what_is_refused():
    frames, _ = scene(10)
    with pytest.raises(ArgumentError, match="background_s"):
        running_background(frames, times(10), FrameRecipe())
    for wrong in (times(9), times(10)[::-1], np.full(10, np.datetime64("NaT", "ns"))):
        with pytest.raises(VariableError, match="frames"):
            running_background(frames, wrong, RECIPE)
    with pytest.raises(VariableError, match="frames"):
        running_background(frames[:0], times(0), RECIPE)
