"""Our planes against the slices of pyspedas on the real DIS burst of 2020-11-19.

There is no magnetic field of that time: one is made up, which turns the planes as well as a true one. Fewer than one
bin in fifty is filled, and most of them cover a few pixels.
"""

import os

import numpy as np
import pyspedas
import pytest
from pyspedas.projects.mms.config import CONFIG
from pyspedas.projects.mms.fpi_tools.mms_get_fpi_dist import mms_get_fpi_dist
from scipy.stats import spearmanr

import pyspedas_similarity as sim
from pyspedas_similarity.imaging.recipes import DistributionRecipe
from pyspedas_similarity.instruments.particle_structures import from_particle_structures
from pyspedas_similarity.tplot import read
from tests import slices

FILE = "mms/mms1_fpi_brst_l2_dis-dist_20201119233433_v3.3.0.cdf"
NAME = "mms1_dis_dist_brst"
# Foot and downstream of the bow shock, where most is filled.
SAMPLES = (660, 680, 700, 740, 760, 780, 790)
FIELD, VELOCITY = np.array([3.0, -4.0, 2.0]), np.array([-195.0, 133.0, -5.0])


@pytest.fixture
def burst(real_data, tmp_path, monkeypatch):
    source = real_data(FILE)
    folder = tmp_path / "mms1/fpi/brst/l2/dis-dist/2020/11/19"
    folder.mkdir(parents=True)
    os.symlink(source, folder / source.name)
    monkeypatch.setitem(CONFIG, "local_data_dir", str(tmp_path))
    trange = ["2020-11-19/23:34:33", "2020-11-19/23:36:34"]
    pyspedas.projects.mms.fpi(trange=trange, probe=1, data_rate="brst", datatype="dis-dist", no_update=True)
    return read(NAME)


@pytest.mark.parametrize("rotation", slices.PLANES)
def test_ions_rank_alike_and_each_difference_is_explained(burst, rotation):
    pairs, unexplained, left_out, single = [], 0, 0, 0
    for i in SAMPLES:
        theirs, ours, axis = slices.pair(NAME, i, rotation, FIELD, VELOCITY)
        both = (theirs > 0) & (ours > 0)
        pairs.append((theirs[both], ours[both]))
        edge = slices.between_the_edges(burst.coordinates["v3"][i].astype(float), "ion", axis)
        differ = (theirs > 0) & ~(np.abs(theirs - ours) <= 0.01 * theirs)
        unexplained += (differ & ~edge).sum()
        # What ours alone shows is in bins that cover a single pixel, but for points on the edge of two sectors.
        missing = (ours > 0) & (theirs == 0) & ~edge
        bins = bin_of_each_pixel(burst, i, rotation, axis)
        numbers, pixels = np.unique(bins[~edge], return_counts=True)
        left_out += missing.sum()
        single += np.isin(bins[missing], numbers[pixels == 1]).sum()
    pooled = np.concatenate(pairs, axis=1)
    assert pooled.shape[1] > 50
    assert spearmanr(*pooled)[0] >= 0.98
    assert unexplained == 0
    assert left_out > 0 and single >= 0.98 * left_out


def bin_of_each_pixel(burst, index, rotation, axis):
    """Number of the bin that each pixel (row, column) lies in; NaN beyond the energies."""
    shape = burst.values.shape[1:]
    numbers = np.arange(np.prod(shape), dtype=np.float32).reshape(1, *shape) + 1
    return np.rint(slices.ours_of(burst, numbers, index, rotation, FIELD, VELOCITY, axis.max(), floor=0.5, ceiling=2e4))


def test_all_slices_at_once_are_those_of_single_samples(burst):
    """Cuts of `velocity_slices`, all samples at once, against the images of single samples on the same grid."""
    half_width = 1000.0
    recipe = DistributionRecipe(pixels=slices.PIXELS, speed_max=half_width, depth=0)
    found = sim.velocity_slices(NAME, burst.times[list(SAMPLES)], planes=["xy", "xz"], recipe=recipe)
    outer = half_width * (slices.PIXELS - 1) / slices.PIXELS
    for number, i in enumerate(SAMPLES):
        for plane in ("xy", "xz"):
            expected = slices.ours(NAME, i, plane, FIELD, VELOCITY, outer)
            np.testing.assert_allclose(np.nan_to_num(found[plane].values[number]), np.nan_to_num(expected), rtol=1e-3)


def test_particle_structures_of_ions_are_what_was_loaded(burst):
    structures = from_particle_structures(mms_get_fpi_dist(NAME, probe="1"), "structures")
    np.testing.assert_array_equal(structures.values, burst.values)
    turned = structures.coordinates["v1"] - burst.coordinates["v1"]
    np.testing.assert_allclose((turned + 180) % 360 - 180, 0, atol=1e-4)
    np.testing.assert_allclose(structures.coordinates["v3"] / burst.coordinates["v3"], 1, rtol=1e-6)
