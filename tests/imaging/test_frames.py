"""Frames to images: each step of the recipe, and the background that stands still."""

import dataclasses

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from pyspedas_similarity.errors import ArgumentError, VariableError
from pyspedas_similarity.imaging.camera_geometry import Map, View, direction_of, emission_position
from pyspedas_similarity.imaging.frames import (
    Background,
    _blurred,
    _gaussian,
    frame_images,
    missing_share,
    resampled_frames,
    running_background,
)
from pyspedas_similarity.imaging.recipes import FrameRecipe
from pyspedas_similarity.imaging.resampling import Disc, fitted_disc


def circular_mask(recipe: FrameRecipe) -> np.ndarray:
    """Pixels inside the recipe's circle in the middle of the frame: bool, shape (pixels, pixels)."""
    axis = np.arange(recipe.pixels) - (recipe.pixels - 1) / 2
    return np.hypot(axis[:, None], axis) <= recipe.mask_radius * recipe.pixels / 2


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
    frames[1, :128] = np.nan
    images = frame_images(frames, FrameRecipe())
    assert np.isnan(images[:2]).all()
    np.testing.assert_array_equal(images[2], frame_images(frames[2:], FrameRecipe())[0])


@pytest.mark.parametrize("curve", ["linear", "asinh"])
@pytest.mark.parametrize("lost", ["pixel", "column", "square", "half of the columns outside"])
def test_a_few_missing_pixels_are_filled_from_their_neighbors(lost, curve):
    frames, recipe = sky().astype(np.float64), FrameRecipe(curve=curve)
    whole, where = frame_images(frames, recipe), np.zeros((256, 256), bool)
    if lost == "pixel":
        where[128, 128] = True
    elif lost == "column":
        where[:, 100] = True
    elif lost == "square":
        where[100:130, 140:170] = True
    else:
        where[:, :12] = True  # outside of the mask
    frames[:, where] = np.nan
    images, mask = frame_images(frames, recipe), circular_mask(recipe)
    assert np.isfinite(images[:, 0, mask]).all()
    away = ~where.reshape(128, 2, 128, 2).any((1, 3)) & mask
    limits = {"pixel": 1e-3, "column": 0.1, "square": 0.5, "half of the columns outside": 1e-6}
    assert np.median(np.abs(images - whole)[:, 0, away]) < limits[lost] / 10
    for image, reference in zip(images[:, 0, mask], whole[:, 0, mask], strict=True):
        assert np.corrcoef(image, reference)[0, 1] > 1 - limits[lost] / 2


@pytest.mark.parametrize(("rows", "lost"), [(6, False), (40, True)])
def test_the_share_of_missing_pixels_that_loses_a_frame_is_stated_in_the_recipe(rows, lost):
    frames = sky().astype(np.float64)
    frames[1, 120 : 120 + rows] = np.nan
    share = missing_share(frames, FrameRecipe())
    assert (share[1] > FrameRecipe.most_missing) == lost and share[0] == share[2] == 0
    assert share[1] == pytest.approx(rows / 256 / (0.85 * np.pi / 4), rel=0.02)  # chords near the middle
    assert np.isnan(frame_images(frames, FrameRecipe())[1]).all() == lost
    assert "most_missing" not in FrameRecipe().to_dict()


def test_blocks_do_not_show():
    frames = sky(70, 64)
    images = frame_images(frames, FrameRecipe(pixels=32))
    np.testing.assert_allclose(images[65], frame_images(frames[65:66], FrameRecipe(pixels=32))[0], atol=1e-6)


@pytest.mark.parametrize("shape", [(3, 256), (2, 8, 256), (1, 2, 256, 256)])
def test_what_is_no_frame(shape):
    with pytest.raises(VariableError, match="frames"):
        frame_images(np.zeros(shape), FrameRecipe())


# --- Where pixels look ------------------------------------------------------------------------------------------------

SITE = (62.4, -145.2)
LOW = FrameRecipe(contrast_pixels=0.0, stretch=(0.0, 100.0), least_elevation=10.0)


def camera(site=SITE, size=256, turn=0.0, edge=80.0, offset=(0.0, 0.0)):
    """A camera with a disc as wide as the frame, whose rim is `edge` degrees from its zenith."""
    axis = np.arange(size) - (size - 1) / 2
    east, north = (axis - offset[1]) / (size / 2) * edge, -(axis[:, None] - offset[0]) / (size / 2) * edge
    zenith = np.hypot(east, north)
    azimuth = (np.degrees(np.arctan2(east, north)) + turn) % 360
    outside = zenith > edge
    return View(*site, np.where(outside, np.nan, azimuth), np.where(outside, np.nan, 90 - zenith))


def separation(azimuth, elevation, other_azimuth, other_elevation):
    """Angle between directions, degrees."""
    a, e, b, f = (np.radians(angle) for angle in (azimuth, elevation, other_azimuth, other_elevation))
    return np.degrees(np.arccos(np.clip(np.sin(e) * np.sin(f) + np.cos(e) * np.cos(f) * np.cos(a - b), -1, 1)))


def centroid(image):
    """Row and column of the middle of the light."""
    light = np.nan_to_num(image)
    rows, columns = np.indices(light.shape)
    return (rows * light).sum() / light.sum(), (columns * light).sum() / light.sum()


@pytest.mark.parametrize("turn", [0.0, 137.0])
@pytest.mark.parametrize(("azimuth", "elevation"), [(0, 30), (90, 40), (200, 60), (300, 25)])
def test_a_light_is_at_its_azimuth_and_elevation_on_the_sky(azimuth, elevation, turn):
    view = camera(turn=turn, offset=(3.0, -5.0))
    frame = np.nan_to_num(np.exp(-0.5 * (separation(view.azimuth, view.elevation, azimuth, elevation) / 1.0) ** 2))
    image = frame_images(frame[None], dataclasses.replace(LOW, projection="sky"), view)[0, 0]
    # North up, east right; the rim, 80 degrees from the zenith, is at the edge, half of 128 pixels away.
    away = (90 - elevation) / 80 * 64
    expected = 63.5 - away * np.cos(np.radians(azimuth)), 63.5 + away * np.sin(np.radians(azimuth))
    np.testing.assert_allclose(centroid(np.where(image > 0.05, image, 0)), expected, atol=0.3)


@pytest.mark.parametrize("projection", ["geographic", "geomagnetic"])
def test_a_light_is_at_its_place_on_a_map(projection):
    view = camera(turn=40.0)
    place = emission_position(np.array([75.0]), np.array([50.0]), *SITE, 110.0)
    azimuth, elevation = direction_of(*place, 110.0, SITE)
    frame = np.nan_to_num(np.exp(-0.5 * (separation(view.azimuth, view.elevation, azimuth, elevation) / 1.0) ** 2))
    image = frame_images(frame[None], dataclasses.replace(LOW, projection=projection), view)[0, 0]
    row, column = (round(i) for i in centroid(np.where(image > 0.05, image, 0)))
    latitude, longitude = Map(*SITE, 800.0, 128, projection == "geomagnetic").positions()
    assert abs(latitude[row, column] - place[0][0]) < 6.25 / 111
    assert abs(longitude[row, column] - place[1][0]) < 6.25 / 111 / np.cos(np.radians(SITE[0]))


def test_two_cameras_see_an_arc_along_a_latitude_at_one_place_of_their_map():
    recipe = dataclasses.replace(LOW, projection="geographic", center=(63.0, -142.0), width_km=500.0)
    images = []
    for site, turn in ((SITE, 20.0), ((64.0, -139.0), -70.0)):
        view = camera(site, turn=turn)
        latitude, _ = emission_position(view.azimuth, view.elevation, *site, 110.0)
        arc = np.nan_to_num(np.exp(-0.5 * ((latitude - 63.2) / 0.1) ** 2))
        images.append(frame_images(arc[None], recipe, view)[0, 0])
    latitude, _ = Map(63.0, -142.0, 500.0, 128).positions()
    both = np.isfinite(images).all(axis=(0, 1))
    assert both.sum() > 80
    for image in images:
        ridge = np.argmax(np.nan_to_num(image[:, both]), axis=0)
        expected = np.argmin(np.abs(latitude[:, both] - 63.2), axis=0)
        assert np.abs(ridge - expected).max() <= 1


@pytest.mark.parametrize("projection", ["none", "sky", "geographic", "geomagnetic"])
def test_what_is_too_low_is_nan_and_even_light_stays_even(projection):
    view = camera(edge=90.0)
    recipe = dataclasses.replace(LOW, least_elevation=30.0, projection=projection, width_km=700.0)
    light = resampled_frames(np.full((1, 256, 256), 7.0), recipe, view)[0]
    np.testing.assert_allclose(light[np.isfinite(light)], 7, rtol=1e-5)
    share = np.isfinite(light).mean()
    # Circles: of radius 60 of 90 degrees, of all, and of what lies 60 degrees from the zenith in a layer at 110 km.
    radius = {"none": 60 / 90, "sky": 1.0}.get(projection)
    if radius is None:
        latitude, _ = emission_position(np.array([0.0]), np.array([30.0]), *SITE, 110.0)
        radius = (latitude[0] - SITE[0]) * 111.4 / 350
    assert share == pytest.approx(np.pi / 4 * radius**2, rel=0.02)


@pytest.mark.parametrize("size", [250, 256, 300])
def test_the_area_mean_keeps_the_light(size):
    frames = sky(2, size).astype(float)
    light = resampled_frames(frames, FrameRecipe(mask_radius=1.5))
    np.testing.assert_allclose(light.mean(axis=(1, 2)), frames.mean(axis=(1, 2)), rtol=1e-5)


def test_a_projection_shows_no_stripes_that_are_not_there():
    """Lines one pixel wide are averaged to gray where a map's pixels are far larger."""
    view = camera(size=256)
    frame = np.tile([0.0, 1.0], (256, 128))
    recipe = dataclasses.replace(LOW, pixels=32, projection="sky")
    light = resampled_frames(frame[None], recipe, view)[0]
    assert np.nanstd(light) < 0.03 and abs(np.nanmean(light) - 0.5) < 0.01


@pytest.mark.parametrize("recipe", [LOW, FrameRecipe(projection="sky"), FrameRecipe(projection="geographic")])
def test_a_view_is_needed_and_must_fit(recipe):
    with pytest.raises(VariableError, match="where the pixels look is not known"):
        frame_images(sky(), recipe)
    with pytest.raises(VariableError, match="skymap"):
        frame_images(sky(), recipe, camera(size=128))


def test_a_map_of_elsewhere_is_refused():
    with pytest.raises(VariableError, match="nothing that the camera sees"):
        frame_images(sky(), dataclasses.replace(LOW, projection="geographic", center=(-60.0, 10.0)), camera())


def test_a_view_of_the_same_content_makes_the_same_images():
    one, other = camera(), camera()
    recipe = dataclasses.replace(LOW, projection="sky")
    np.testing.assert_array_equal(frame_images(sky(), recipe, one), frame_images(sky(), recipe, other))
    changed = dataclasses.replace(other, azimuth=(other.azimuth + 90) % 360)
    turned = frame_images(sky(), recipe, changed)[:, 0]
    np.testing.assert_allclose(turned, np.rot90(frame_images(sky(), recipe, one)[:, 0], -1, (1, 2)), atol=1e-4)


# --- Overlays, dark level, vignetting, disc, curve --------------------------------------------------------------------


def test_overlays_are_left_out():
    text = (0.4, 0.5, 0.3, 0.6)
    recipe = FrameRecipe(overlays=(text,))
    frames = sky()
    written = frames.copy()
    written[:, 103:128, 77:153] = 65535
    image, again = frame_images(written, recipe), frame_images(frames, recipe)
    np.testing.assert_array_equal(image, again)
    hidden = np.isnan(image[0, 0]) & circular_mask(recipe)
    rows, columns = np.nonzero(hidden)
    assert (rows.min(), rows.max() + 1) == (51, 64) and (columns.min(), columns.max() + 1) == (38, 77)


def test_the_dark_level_is_that_of_the_corners():
    frames = sky().astype(float)
    frames[:, np.hypot(*(np.indices((256, 256)) - 127.5)) > 128] = 300
    levels = np.array([0.0, 50.0, 1000.0])[:, None, None]
    recipe = FrameRecipe(dark="corners")
    light = resampled_frames(frames + levels, recipe)
    np.testing.assert_allclose(light, resampled_frames(frames - 300, FrameRecipe()), rtol=1e-4, atol=1e-2)


def test_vignetting_and_dark_level_are_undone():
    distance = np.hypot(*(np.indices((256, 256)) - 127.5)) / 128
    frame = np.where(distance < 1, 400 + 1000 * (1 - 0.6 * distance**2), 400)
    light = resampled_frames(frame[None], FrameRecipe(dark="corners", vignetting=0.6))[0]
    np.testing.assert_allclose(light[circular_mask(FrameRecipe())], 1000, rtol=1e-3)
    without = resampled_frames(frame[None], FrameRecipe())[0]
    assert np.nanmin(without) < 0.72 * np.nanmax(without)


@pytest.mark.parametrize("center", [(127.5, 127.5), (138.0, 121.0)])
def test_the_disc_is_found_beside_trees_and_the_moon(center):
    rng = np.random.default_rng(1)
    row, column = np.indices((256, 256))
    disc = np.hypot(row - center[0], column - center[1]) < 110
    frames = np.where(disc, 2000 + 5 * (row + column), 350) + rng.normal(0, 30, (9, 256, 256))
    frames[:, 120:150, 5:30] = 400  # a tree
    frames[:, 60:75, 220:250] = 60000  # the moon and its halo beyond the rim
    found = fitted_disc(frames)
    np.testing.assert_allclose((found.row, found.column, found.row_radius), (*center, 110), atol=1)
    recipe = FrameRecipe(circle="fitted", mask_radius=0.9)
    light = resampled_frames(frames, recipe)
    seen = np.argwhere(np.isfinite(light[0]))
    np.testing.assert_allclose(seen.mean(axis=0) * 2 + 0.5, center, atol=1)
    assert len(seen) == pytest.approx(np.pi * (0.9 * 110 / 2) ** 2, rel=0.02)
    np.testing.assert_array_equal(light, resampled_frames(frames, recipe, disc=found))


def test_no_disc_is_found_where_there_is_none():
    with pytest.raises(VariableError, match="no edge"):
        fitted_disc(sky())
    with pytest.raises(VariableError, match="no edge"):
        frame_images(np.zeros((2, 64, 64)), FrameRecipe(circle="fitted"))


def test_asinh_keeps_the_order_and_lifts_what_is_faint():
    frame = np.tile(np.linspace(0, 1, 256), (256, 1))
    linear, curved = (
        frame_images(frame[None], dataclasses.replace(PLAIN, curve=curve))[0, 0, 64] for curve in ("linear", "asinh")
    )
    seen = np.isfinite(linear)
    assert (np.diff(curved[seen]) > 0).all()
    np.testing.assert_allclose(curved[seen], np.arcsinh(10 * linear[seen]) / np.arcsinh(10), atol=1e-5)
    assert curved[seen][0] == 0 and curved[seen][-1] == pytest.approx(1)


def test_a_background_is_taken_off_and_must_fit():
    frames = sky().astype(float)
    recipe = dataclasses.replace(PLAIN, background_s=60.0)
    level = resampled_frames(sky(1, seed=5), recipe)[0]
    shifted = frames + np.repeat(np.repeat(np.nan_to_num(level), 2, 0), 2, 1)
    images = frame_images(shifted, recipe, background=np.broadcast_to(level, (3, 128, 128)))
    np.testing.assert_allclose(images, frame_images(frames, PLAIN), atol=1e-4)
    for background, wrong in ((None, recipe), (np.zeros((3, 64, 64)), recipe), (np.zeros((3, 128, 128)), PLAIN)):
        with pytest.raises(VariableError, match="background"):
            frame_images(frames, wrong, background=background)


def test_frames_are_not_changed():
    frames = sky()
    before = frames.copy()
    frame_images(frames, FrameRecipe(dark="corners", vignetting=0.3, curve="asinh"))
    np.testing.assert_array_equal(frames, before)


def test_the_disc_of_a_frame_touches_its_edges():
    disc = Disc.of_frame((100, 200))
    np.testing.assert_allclose(disc.distance(np.array([-0.5, 49.5]), np.array([99.5, 199.5])), 1)


@pytest.mark.parametrize(("pixels", "width"), [(32, 8.0), (60, 2.0), (128, 8.0), (130, 3.0)])
def test_blur_in_parts_is_that_of_the_whole_image_with_zeros_outside(pixels, width):
    light = np.random.default_rng(0).random((pixels * pixels, 3), np.float32)
    inside = np.flatnonzero(np.arange(pixels * pixels) % 7)
    images = np.zeros((3, pixels * pixels))
    images[:, inside] = light[inside].T
    images = images.reshape(3, pixels, pixels)
    expected = gaussian_filter(images, (0, width, width), mode="constant").reshape(3, -1)[:, inside].T
    np.testing.assert_allclose(_blurred(light[inside], inside, _gaussian(pixels, width)), expected, atol=1e-6)


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
