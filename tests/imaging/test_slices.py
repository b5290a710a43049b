"""Our planes against the slices of pyspedas, on simulated electrons and on made-up ions that show whose fault it is."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from pyspedas_similarity.imaging.plasma import ELECTRON_VOLT, MASS_KG, at_times, plasma_axes
from pyspedas_similarity.simulate.fpi import simulate_event, store
from pyspedas_similarity.tplot import Variable, read, write
from tests import slices

ELECTRONS = "simulated1_des_dist_brst"
# One each of a lens, an outflow, a diffusion region and a flat top.
SAMPLES = (5, 40, 67, 100)
# Of the 0 to 30 keV of DES, the part that fills a plane; pyspedas's grid reaches as far as the energies do.
ENERGIES = [0, 700]
ENERGIES_IONS = [0, 3000]
IONS = "made_up1_dis_dist_brst"
FIELD, VELOCITY = np.array([3.0, -4.0, 2.0]), np.array([-250.0, 180.0, 120.0])
AZIMUTH, POLAR, ENERGY = np.arange(32) * 11.25 + 2.0, np.arange(16) * 11.25 + 5.625, np.geomspace(10, 17800, 32)


@pytest.fixture
def electrons():
    event = simulate_event(3, duration_s=4.0)
    store(event)
    field = at_times(event.field[:, :3].astype(float), event.field_times, event.times, np.timedelta64(1, "s"))
    assert set(event.region[list(SAMPLES)]) == {"lens", "outflow", "edr", "flat_top"}
    return field, event.velocity.astype(float)


def store_ions(density):
    tables = {"v1": AZIMUTH[None], "v2": POLAR, "v3": ENERGY}
    times = np.array(["2020-01-01T00:00:00"], "datetime64[ns]")
    write(Variable(IONS, times, density[None].astype(np.float32), tables, {"data_att": {"units": "s^3/cm^6"}}))


def maxwellian(velocity, thermal_speed):
    speed = np.sqrt(2 * ENERGY * ELECTRON_VOLT / MASS_KG["ion"]) / 1e3
    phi, theta = np.radians(AZIMUTH)[:, None, None], np.radians(POLAR)[None, :, None]
    look = np.stack(np.broadcast_arrays(np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)))
    distance = ((-look * speed - velocity[:, None, None, None]) ** 2).sum(axis=0)
    return 1e-20 * np.exp(-distance / thermal_speed**2)


@pytest.mark.parametrize("rotation", slices.PLANES)
def test_electrons_rank_alike_and_differ_only_at_the_edges_of_bins(electrons, rotation):
    field, velocity = electrons
    pairs, left = [], []
    for i in SAMPLES:
        theirs, ours, axis = slices.pair(ELECTRONS, i, rotation, field[i], velocity[i], erange=ENERGIES)
        both = (theirs > 0) & (ours > 0)
        assert both.sum() > 900
        pairs.append((theirs[both], ours[both]))
        assert spearmanr(*pairs[-1])[0] >= 0.98
        differ = both & (np.abs(theirs - ours) > 0.01 * theirs)
        edge = slices.between_the_edges(read(ELECTRONS).coordinates["v3"][i].astype(float), "electron", axis)
        if rotation in ("xz", "yz"):  # the diagonals are the edge of the bins of 39 and 51 degrees and belong to either
            edge = edge | (np.eye(len(axis)) + np.eye(len(axis))[::-1] > 0)
        left.append((differ & ~edge).sum() / both.sum())
    assert spearmanr(*np.concatenate(pairs, axis=1))[0] >= 0.99
    assert max(left) == 0


def test_a_slice_leaves_out_bins_that_cover_a_single_pixel():
    number = np.arange(32 * 16 * 32, dtype=float).reshape(32, 16, 32) + 1
    store_ions(number)
    axis = slices.theirs(IONS, 0, "xy", FIELD, VELOCITY)["xgrid"]
    bins = np.rint(slices.ours(IONS, 0, "xy", FIELD, VELOCITY, axis.max(), floor=0.5, ceiling=2e4))
    numbers, pixels = np.unique(bins[np.isfinite(bins)].astype(int), return_counts=True)
    edge = slices.between_the_edges(ENERGY, "ion", axis)
    clear = ~np.isin(numbers, bins[edge])
    for count, shown in ((1, 0), (2, 2)):
        (chosen,) = numbers[clear & (pixels == count)][:1]
        store_ions(np.where(number == chosen, 1e-22, 0))
        theirs, ours, _ = slices.pair(IONS, 0, "xy", FIELD, VELOCITY)
        np.testing.assert_array_equal(ours > 0, bins == chosen)
        assert (theirs > 0).sum() == shown


def peak(plane, columns, rows):
    """Mean position of the brightest parts, km/s."""
    weight = np.where(plane > 0, plane, 0) ** 2
    return np.array([weight.sum(0) @ columns, weight.sum(1) @ rows]) / weight.sum()


def test_a_geometric_slice_shifts_by_the_bulk_velocity_in_other_axes():
    """``slice2d`` (2.2.1) with subtract_bulk moves the slice's axes by x and y of the velocity before its rotation."""
    store_ions(maxwellian(VELOCITY, 120.0))
    still = slices.theirs(IONS, 0, "bv", FIELD, VELOCITY, erange=ENERGIES_IONS)
    moved = slices.theirs(IONS, 0, "bv", FIELD, VELOCITY, erange=ENERGIES_IONS, subtract_bulk=True)
    np.testing.assert_array_equal(moved["data"], still["data"])
    np.testing.assert_allclose(still["xgrid"] - moved["xgrid"], VELOCITY[0])
    np.testing.assert_allclose(still["ygrid"] - moved["ygrid"], VELOCITY[1])

    axis = still["xgrid"]
    pixel = axis[1] - axis[0]
    found = peak(still["data"].T, axis, axis)
    flow = plasma_axes(FIELD[None], VELOCITY[None])[0] @ VELOCITY
    np.testing.assert_allclose(found, flow[:2], atol=pixel)  # that is where it should be moved away from
    missed = peak(moved["data"].T, moved["xgrid"], moved["ygrid"])
    np.testing.assert_allclose(missed, found - VELOCITY[:2], atol=1e-6)
    assert np.abs(missed).max() > 2 * pixel
    ours = slices.ours(IONS, 0, "bv", FIELD, VELOCITY, axis.max(), subtract_velocity=True)
    assert np.abs(peak(ours, axis, axis)).max() < pixel
