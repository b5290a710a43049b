"""Means over cells of a grid, whatever the cadence of the samples."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyspedas_similarity.imaging.panels import Grid, cell_means
from pyspedas_similarity.imaging.windows import rebinned

START = np.datetime64("2020-01-01", "ns")


def at(seconds):
    return START + np.round(np.asarray(seconds, float) * 1e9).astype("timedelta64[ns]")


def test_means_and_variances_are_those_of_the_samples_in_each_cell():
    times = np.arange(40) * 0.25
    values = np.random.default_rng(0).standard_normal((40, 2)) + 1e4
    cells = cell_means(at(times), values, Grid(START, 1e9, 10))
    parts = values.reshape(10, 4, 2)
    np.testing.assert_allclose(cells.means, parts.mean(axis=1), rtol=1e-7)
    np.testing.assert_allclose(cells.variance, parts.var(axis=1, ddof=1).sum(axis=1), rtol=1e-4)
    assert cells.known.all()


def test_cells_between_slow_samples_are_interpolated_at_their_centers():
    times = np.arange(0, 50, 5.0)
    cells = cell_means(at(times), times[:, None], Grid(START, 1e9, 45))
    assert cells.known.all()
    inside = cells.means[:, 0]
    centers = np.arange(45) + 0.5
    has_sample = np.isin(np.arange(45), times)
    np.testing.assert_allclose(inside[~has_sample], centers[~has_sample], rtol=1e-6)
    np.testing.assert_allclose(inside[has_sample], times[:9], rtol=1e-6)
    assert np.isnan(cells.variance).all()


def test_stamps_that_are_there_twice_are_no_gaps():
    times = np.arange(0, 50, 5.0)
    once = cell_means(at(times), times[:, None], Grid(START, 1e9, 45))
    twice = cell_means(at(np.repeat(times, 2)), np.repeat(times, 2)[:, None], Grid(START, 1e9, 45))
    np.testing.assert_array_equal(twice.known, once.known)
    np.testing.assert_array_equal(twice.means, once.means)


def test_a_gap_is_not_known_and_filled_with_a_straight_line():
    times = np.concatenate([np.arange(0, 20.0), np.arange(60, 80.0)])
    cells = cell_means(at(times), times[:, None], Grid(START, 1e9, 80))
    assert not cells.known[21:59].any()
    assert cells.known[:20].all() and cells.known[60:].all()
    assert np.all(np.diff(cells.means[19:61, 0]) > 0)
    assert list(cells.is_known(np.array([0, 10, 30, 60]), 20)) == [True, False, False, True]


def test_samples_with_a_nan_are_left_out():
    values = np.arange(20.0)[:, None].repeat(2, axis=1)
    values[5, 1] = np.nan
    cells = cell_means(at(np.arange(20) * 0.5), values, Grid(START, 1e9, 10))
    assert cells.means[2, 0] == 4  # sample 5 would make it 4.5


@given(st.floats(-100, 100), st.floats(0.1, 50), st.floats(0.01, 20), st.integers(-(10**9), 10**9))
@settings(max_examples=200, deadline=None)
def test_a_grid_has_an_edge_where_it_is_asked_for_and_covers_the_data(first, covered, cell, edge_ns):
    edge = START + np.timedelta64(edge_ns, "ns")
    ends = at([first, first + covered])
    grid = Grid.covering(*ends, edge, cell * 1e9)
    place = float(grid.places(edge))
    assert abs(place - round(place)) < 1e-3 or abs(place - round(place)) * grid.cell_ns < 2
    assert grid.places(ends[0]) >= -1e-3 - 2 / grid.cell_ns
    assert grid.places(ends[1]) <= grid.n + 1e-3 + 2 / grid.cell_ns


def test_rebinned_spectra_keep_the_mean_of_even_bins():
    table = np.geomspace(10, 10000, 32)
    values = np.random.default_rng(1).random((7, 32))
    np.testing.assert_allclose(rebinned(values, table, 16), values.reshape(7, 16, 2).mean(axis=2), rtol=1e-6)
    shuffled = np.random.default_rng(2).permutation(32)
    np.testing.assert_allclose(rebinned(values[:, shuffled], table[shuffled], 16), rebinned(values, table, 16))


def test_rebinned_spectra_follow_tables_that_change():
    table = np.where(np.arange(6)[:, None] % 2, np.linspace(0, 31, 32), np.linspace(31, 0, 32))
    values = table * 2.0
    made = rebinned(values, table, 8)
    np.testing.assert_allclose(made, np.broadcast_to(made[0], made.shape))
    np.testing.assert_allclose(made[0], 2 * np.arange(32).reshape(8, 4).mean(axis=1))


def test_a_bin_of_which_less_than_half_was_measured_is_nan():
    values = np.ones((2, 32))
    values[0, :3] = np.nan
    made = rebinned(values, np.arange(1.0, 33), 8)
    assert np.isnan(made[0, 0])
    assert made[0, 1] == pytest.approx(1)
    assert np.isfinite(made[1]).all()
