"""Frames to images: mask, stretch, local contrast."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from pyspedas_similarity.errors import VariableError
from pyspedas_similarity.imaging.allsky import circular_mask, frame_images
from pyspedas_similarity.imaging.recipe import FrameRecipe


def sky(n=3, size=256, seed=0):
    """Smooth random brightness, as uint16 counts."""
    noise = gaussian_filter(np.random.default_rng(seed).random((n, size, size)), (0, size / 32, size / 32))
    return (2000 + 60000 * (noise - noise.min())).astype(np.uint16)


PLAIN = FrameRecipe(contrast_pixels=0.0, stretch=(0.0, 100.0))


def test_outside_the_circle_is_nan_and_inside_is_not():
    recipe = FrameRecipe()
    mask = circular_mask(recipe)
    images = frame_images(sky(), recipe)
    assert (np.isfinite(images) == mask).all()
    assert mask.sum() == pytest.approx(np.pi * (0.85 * 64) ** 2, rel=0.01)


def test_plain_stretch_is_the_area_mean_between_its_extremes():
    frames = sky()
    images = frame_images(frames, PLAIN)[:, 0]
    mean = frames.reshape(3, 128, 2, 128, 2).mean((2, 4))
    mask = circular_mask(PLAIN)
    for image, expected in zip(images, mean, strict=True):
        low, high = expected[mask].min(), expected[mask].max()
        np.testing.assert_allclose(image[mask], (expected[mask] - low) / (high - low), atol=1e-5)


def test_gain_and_offset_do_not_matter():
    frames = sky().astype(np.float64)
    recipe = FrameRecipe()
    np.testing.assert_allclose(frame_images(frames * 3 + 500, recipe), frame_images(frames, recipe), atol=1e-3)


def test_rows_and_columns_keep_their_place():
    frame = np.zeros((1, 256, 256))
    frame[0, 60:68, 180:188] = 1
    image = frame_images(frame, PLAIN)[0, 0]
    row, column = np.unravel_index(np.nanargmax(image), image.shape)
    assert 30 <= row < 34 and 90 <= column < 94


def test_local_contrast_takes_a_slope_off_and_keeps_a_faint_arc():
    columns = np.linspace(0, 1, 256)
    frame = np.tile(columns, (256, 1))
    frame[120:126] += 0.05
    plain, local = (frame_images(frame[None], FrameRecipe(contrast_pixels=c))[0, 0] for c in (0.0, 4.0))
    band, away = slice(60, 63), slice(80, 83)
    contrast = [np.nanmean(image[band, 40:90]) - np.nanmean(image[away, 40:90]) for image in (plain, local)]
    assert contrast[1] > 8 * contrast[0] > 0
    assert abs(np.nanmean(local[away, 40:60]) - np.nanmean(local[away, 70:90])) < 0.05


@pytest.mark.parametrize("size", [100, 256, 250, 512])
def test_any_frame_size_gives_the_same_picture(size):
    reference = frame_images(sky(1, 512), FrameRecipe())[0, 0]
    axis = (np.arange(size) + 0.5) / size * 512 - 0.5
    from scipy.ndimage import map_coordinates

    resampled = map_coordinates(sky(1, 512)[0].astype(float), np.meshgrid(axis, axis, indexing="ij"), order=1)
    image = frame_images(resampled[None], FrameRecipe())[0, 0]
    mask = np.isfinite(reference)
    assert np.corrcoef(image[mask], reference[mask])[0, 1] > 0.97


def test_frames_that_show_nothing():
    frames = sky().astype(np.float64)
    frames[0] = 7
    frames[1, 128, 128] = np.nan
    images = frame_images(frames, FrameRecipe())
    assert np.isnan(images[:2]).all()
    np.testing.assert_array_equal(images[2], frame_images(frames[2:], FrameRecipe())[0])


def test_blocks_do_not_show():
    frames = sky(70, 64)
    images = frame_images(frames, FrameRecipe(pixels=32))
    np.testing.assert_allclose(images[65], frame_images(frames[65:66], FrameRecipe(pixels=32))[0], atol=1e-6)


@pytest.mark.parametrize("shape", [(3, 256), (2, 8, 256), (1, 2, 256, 256)])
def test_what_is_no_frame(shape):
    with pytest.raises(VariableError, match="frames"):
        frame_images(np.zeros(shape), FrameRecipe())
