"""Spectra by direction and windows of spectrograms against shapes whose place is known."""

import dataclasses

import numpy as np
import pytest

from pyspedas_similarity.errors import ArgumentError, VariableError
from pyspedas_similarity.imaging.recipes import SpectrumRecipe, WindowRecipe, recipe_from_dict
from pyspedas_similarity.imaging.windows import is_uneven, spectrum_images, window_images

ANGLE = np.linspace(5, 175, 18)  # bins of 10 degrees: all of 0 to 180 is measured
ENERGY = np.geomspace(5, 60000, 64)
RECIPE = SpectrumRecipe(energy_range=(10.0, 40000.0), energy_power=0.0, level="fixed", floor=1e-3, ceiling=1e3)
WINDOW = WindowRecipe(length_s=40, stride_s=10, axis_range=(-20.0, 20.0), axis_scale="linear", level="fixed")
VELOCITY = np.linspace(-25, 25, 51)


def blob(angle_peak, energy_peak, angle=ANGLE, energy=ENERGY):
    """One sample: a Gaussian in pitch angle (20 degrees wide) and log energy (a third of a decade)."""
    distance = ((angle[:, None] - angle_peak) / 20) ** 2 + (np.log10(energy / energy_peak) * 3) ** 2
    return 100 * np.exp(-0.5 * distance)[None]


def brightest(image):
    """(row, column) of the mean of the brightest parts, in pixels from the lower left corner."""
    weight = np.nan_to_num(image[0]) ** 8
    center = np.arange(len(weight)) + 0.5
    return weight.sum(1) @ center / weight.sum(), weight.sum(0) @ center / weight.sum()


@pytest.mark.parametrize(("angle", "energy"), [(90, 600), (40, 100), (140, 5000)])
@pytest.mark.parametrize("pixels", [16, 32, 64])
def test_a_gaussian_stands_at_its_angle_and_energy(angle, energy, pixels):
    image = spectrum_images(blob(angle, energy), ANGLE, ENERGY, dataclasses.replace(RECIPE, pixels=pixels))[0]
    row = angle / 180 * pixels
    column = np.log(energy / 10) / np.log(40000 / 10) * pixels
    assert brightest(image) == pytest.approx((row, column), abs=max(0.5, pixels / 32))


def test_a_pixel_is_the_mean_of_the_bins_in_it_by_their_share():
    # Eight energies an octave apart fill eight pixels an octave wide; two of 16 pitch angles fill a row.
    recipe = SpectrumRecipe((2**-0.5, 2**7.5), energy_power=0.0, level="fixed", floor=1e-3, ceiling=1e3, pixels=8)
    flux = np.random.default_rng(1).uniform(0.1, 10, (3, 16, 8))
    image = spectrum_images(flux, np.arange(16) * 11.25 + 5.625, 2.0 ** np.arange(8), recipe)[:, 0]
    expected = flux.reshape(3, 8, 2, 8).mean(2)
    np.testing.assert_allclose(1e-3 * 1e6**image, expected, rtol=1e-5)


@pytest.mark.parametrize("turn", ["angle", "energy", "both", "shuffled"])
def test_the_order_of_the_tables_does_not_matter(turn):
    rows = slice(None, None, -1) if turn in ("angle", "both") else slice(None)
    columns = np.random.default_rng(2).permutation(64) if turn == "shuffled" else slice(None, None, -1)
    columns = slice(None) if turn == "angle" else columns
    straight = spectrum_images(blob(60, 800), ANGLE, ENERGY, RECIPE)
    turned = spectrum_images(blob(60, 800)[:, rows][:, :, columns], ANGLE[rows], ENERGY[columns], RECIPE)
    np.testing.assert_allclose(turned, straight, atol=1e-6)


def test_energy_first_and_energy_last_are_the_same_image():
    turned = dataclasses.replace(RECIPE, energy_axis=1)
    np.testing.assert_array_equal(
        spectrum_images(blob(60, 800).swapaxes(1, 2), ENERGY, ANGLE, turned),
        spectrum_images(blob(60, 800), ANGLE, ENERGY, RECIPE),
    )


def test_tables_per_sample_are_those_of_their_sample():
    slower = ENERGY * 1.6
    angles = np.stack([ANGLE, ANGLE[::-1]])
    flux = np.concatenate([blob(60, 800), blob(60, 800, ANGLE[::-1], slower)])
    images = spectrum_images(flux, angles, np.stack([ENERGY, slower]), RECIPE)
    assert brightest(images[1]) == pytest.approx(brightest(images[0]), abs=0.5)
    alone = spectrum_images(flux[1:], ANGLE[::-1], slower, RECIPE)
    np.testing.assert_array_equal(images[1:], alone)


def test_bins_of_one_energy_share_their_place():
    # As in HOPE's burst table, where eight channels have one energy.
    flux = blob(90, 600)
    repeated = spectrum_images(np.repeat(flux, 8, axis=2), ANGLE, np.repeat(ENERGY, 8), RECIPE)
    np.testing.assert_allclose(repeated, spectrum_images(flux, ANGLE, ENERGY, RECIPE), atol=1e-6)


def test_level_of_the_sample_takes_the_amount_out():
    recipe = dataclasses.replace(RECIPE, level="sample", floor=1e-2, ceiling=1e2)
    one, many = (spectrum_images(blob(60, 800) * amount, ANGLE, ENERGY, recipe) for amount in (1e-7, 1e9))
    np.testing.assert_allclose(one, many, atol=1e-5)
    density = 1e-2 * 1e4 ** spectrum_images(np.full((1, 18, 64), 7.0), ANGLE, ENERGY, recipe)
    np.testing.assert_allclose(density, 1, rtol=1e-5)  # a flat sample is its own mean


def test_energy_power_makes_energy_flux():
    flat = np.broadcast_to(1 / ENERGY, (1, 18, 64))
    image = spectrum_images(flat, ANGLE, ENERGY, dataclasses.replace(RECIPE, energy_power=1.0))
    np.testing.assert_allclose(image, 0.5, atol=1e-6)


def test_nan_where_not_measured():
    energy = np.where(ENERGY > 1000, np.nan, ENERGY)
    angle = np.linspace(50, 130, 18)  # as ELFIN sees on some half spins
    image = spectrum_images(blob(90, 300, angle), angle, energy, RECIPE)[0, 0]
    rows, columns = np.isfinite(image).any(1), np.isfinite(image).any(0)
    centers = (np.arange(32) + 0.5) / 32
    np.testing.assert_array_equal(rows, np.abs(centers * 180 - 90) < 40 + 80 / 17 / 2)
    # The last energy below 1000 reaches half way to the next.
    highest = np.nanmax(energy) * (ENERGY[1] / ENERGY[0]) ** 0.5
    np.testing.assert_array_equal(columns, 10 * 4000**centers < highest)
    # A corner pixel may be covered by half in either direction and less in both.
    assert np.isfinite(image[np.ix_(rows, columns)][1:-1, :-1]).all()


def test_fill_values_empty_samples_and_zero_flux():
    flux = np.concatenate([blob(90, 600)] * 5)
    flux[0, :2] = -1e31  # the fill value of the files
    flux[1], flux[2], flux[3] = np.nan, 0, -1e31
    flux[4, 9, 30] = np.inf
    for level in ("sample", "fixed"):
        images = spectrum_images(flux, ANGLE, ENERGY, dataclasses.replace(RECIPE, level=level))
        assert np.isnan(images[[1, 3]]).all()
        assert (images[2] == 0).all()  # counted, and nothing there
        assert np.isnan(images[0, 0, :3]).all() and np.isfinite(images[0, 0, 4:]).all()
        assert np.isfinite(images[4]).mean() > 0.99 and np.nanmax(images[4]) <= 1


def test_looks_are_rows_by_number():
    recipe = dataclasses.replace(RECIPE, direction="look", pixels=40)
    flux = np.full((1, 80, 64), 1e-9)
    flux[0, 20:22] = 10
    image = spectrum_images(flux, np.full(80, np.nan), ENERGY, recipe)[0, 0]
    assert (image[10] > 0.5).all() and (np.delete(image, 10, axis=0) == 0).all()


def test_input_is_left_as_it_is_and_may_be_whole_numbers():
    counts = np.random.default_rng(3).poisson(3, (2, 18, 64))
    before = counts.copy()
    images = spectrum_images(counts, ANGLE, ENERGY, RECIPE)
    np.testing.assert_array_equal(counts, before)
    np.testing.assert_array_equal(images, spectrum_images(counts.astype(float), ANGLE, ENERGY, RECIPE))
    assert images.dtype == np.float32 and images.shape == (2, *RECIPE.shape)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"flux": np.zeros((2, 18))}, "spectrum"),
        ({"first": ANGLE[:-1]}, "pitch angle"),
        ({"second": ENERGY[:-1]}, "energy"),
        ({"second": np.ones((3, 64))}, "energy"),
        ({"first": ANGLE * 10}, "pitch angle"),
    ],
)
def test_spectra_that_do_not_fit(wrong, named):
    given = {"flux": np.zeros((2, 18, 64)), "first": ANGLE, "second": ENERGY, **wrong}
    with pytest.raises(VariableError, match=named):
        spectrum_images(**given, recipe=RECIPE)


def beam(length=40, n=1, axis=VELOCITY):
    """Windows in which a beam speeds up from -10 to 10."""
    speed = np.linspace(-10, 10, length)[:, None]
    return np.broadcast_to(np.exp(-0.5 * ((axis - speed) / 2) ** 2), (n, length, len(axis)))


def steady(n, length, step_s=1.0):
    """Times (n, length) of windows that follow each other."""
    seconds = (np.arange(n)[:, None] + np.arange(length)) * step_s
    return np.datetime64("2017-07-11", "ns") + (seconds * 1e9).astype("timedelta64[ns]")


@pytest.mark.parametrize("length", [16, 32, 40, 100])
def test_a_beam_that_speeds_up_climbs_to_the_right(length):
    recipe = dataclasses.replace(WINDOW, length_s=float(length))
    image = window_images(beam(length), steady(1, length), VELOCITY, recipe)[0, 0]
    columns = np.arange(32) + 0.5
    weight = image**8
    row = (weight * columns[:, None]).sum(0) / weight.sum(0)
    speed = (row / 32 - 0.5) * 40
    np.testing.assert_allclose(speed, -10 + 20 * columns / 32, atol=40 / 32)


def test_windows_with_tables_that_change_inside():
    # Two interleaved tables, as of FPI in burst.
    tables = np.where(np.arange(40)[:, None] % 2, VELOCITY, VELOCITY + 0.5)
    speed = np.linspace(-10, 10, 40)[:, None]
    values = np.exp(-0.5 * ((tables - speed) / 2) ** 2)[None]
    changing = window_images(values, steady(1, 40), tables[None], WINDOW)
    same = window_images(beam(), steady(1, 40), VELOCITY, WINDOW)
    assert np.nanmax(np.abs(changing - same)) < 0.1
    assert np.corrcoef(changing.ravel(), same.ravel())[0, 1] > 0.995
    np.testing.assert_allclose(
        window_images(beam(), steady(1, 40), np.broadcast_to(VELOCITY, (1, 40, 51)), WINDOW), same, atol=1e-6
    )


def test_a_window_across_a_gap_is_nan_and_no_other():
    times = steady(5, 40)
    times[3, 20:] += np.timedelta64(600, "ms")
    images = window_images(beam(n=5), times, VELOCITY, WINDOW)
    assert np.isnan(images[3]).all()
    assert np.isfinite(images[[0, 1, 2, 4]]).all()
    np.testing.assert_array_equal(is_uneven(times, WINDOW), np.arange(5) == 3)
    assert np.isfinite(window_images(beam(), times[0], VELOCITY, WINDOW)).all()


def test_many_windows_are_made_like_each_alone():
    values = np.random.default_rng(4).random((300, 40, 51))
    images = window_images(values, steady(300, 40), VELOCITY, WINDOW)  # more than one block
    alone = np.concatenate([window_images(values[i : i + 1], steady(1, 40), VELOCITY, WINDOW) for i in (0, 150, 299)])
    np.testing.assert_allclose(images[[0, 150, 299]], alone, atol=1e-6)


@pytest.mark.parametrize(
    "wrong",
    [
        {"values": np.zeros((2, 40))},
        {"times": steady(2, 39)},
        {"axis": VELOCITY[:-1]},
        {"axis": np.zeros((40, 51))},
    ],
)
def test_windows_that_do_not_fit(wrong):
    given = {"values": np.zeros((2, 40, 51)), "times": steady(2, 40), "axis": VELOCITY, **wrong}
    with pytest.raises(VariableError):
        window_images(**given, recipe=WINDOW)


@pytest.mark.parametrize("recipe", [SpectrumRecipe(), RECIPE, WINDOW, WindowRecipe(60, 10)])
def test_record_makes_the_same_recipe_again(recipe):
    again = recipe_from_dict(recipe.to_dict())
    assert again == recipe and again.hash == recipe.hash


def test_every_choice_changes_the_hash():
    spectrum = {"energy_range": (1.0, 2.0), "direction": "look", "energy_axis": 1, "energy_power": 0.0}
    window = {"length_s": 30.0, "stride_s": 5.0, "axis_range": (1.0, 2.0), "axis_scale": "linear"}
    both = {"level": "fixed", "floor": 1e-3, "ceiling": 10.0, "pixels": 64}
    for recipe, changes in ((SpectrumRecipe(), spectrum | both), (WindowRecipe(60, 10), window | both)):
        hashes = {dataclasses.replace(recipe, **{key: value}).hash for key, value in changes.items()} | {recipe.hash}
        assert len(hashes) == len(dataclasses.fields(recipe)) + 1
    assert WindowRecipe(60, 10).hash == WindowRecipe(60.0, 10.0).hash


@pytest.mark.parametrize(
    "make",
    [
        lambda: SpectrumRecipe(energy_range=(0.0, 10.0)),
        lambda: SpectrumRecipe(energy_range=(10.0, 1.0)),
        lambda: SpectrumRecipe(direction="gyrophase"),
        lambda: SpectrumRecipe(energy_axis=3),
        lambda: SpectrumRecipe(energy_power=float("nan")),
        lambda: SpectrumRecipe(level="mean"),
        lambda: SpectrumRecipe(floor=0.0),
        lambda: SpectrumRecipe(pixels=4),
        lambda: WindowRecipe(length_s=60, stride_s=0),
        lambda: WindowRecipe(length_s=-1, stride_s=1),
        lambda: WindowRecipe(length_s=float("nan"), stride_s=1),
        lambda: WindowRecipe(length_s=np.timedelta64(60, "s"), stride_s=1),
        lambda: WindowRecipe(60, 10, axis_range=(-5.0, 5.0)),
        lambda: WindowRecipe(60, 10, axis_scale="cubic"),
        lambda: WindowRecipe(60, 10, ceiling=1e-9),
    ],
)
def test_choices_that_make_no_sense(make):
    with pytest.raises(ArgumentError):
        make()
