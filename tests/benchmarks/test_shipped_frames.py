"""What the encoder of all-sky frames is trained on: who is whose partner, which night, which image."""

import numpy as np
import pytest

from benchmarks.data_sets.sky import STATIONS, camera_images
from benchmarks.shipped_encoders import frames
from pyspedas_similarity.simulate.allsky import simulate_nights

SAMPLES = 20
"""Of a station in a quick night: 300 s at 15 s."""


@pytest.fixture(scope="module")
def quick():
    return frames.training_images(quick=True)


def test_partners_are_later_frames_of_the_camera_and_the_neighbor_at_the_same_time(quick):
    rows = np.arange(4 * SAMPLES)
    camera, sample = np.divmod(rows, SAMPLES)
    soon, later, there = quick.positives.T
    np.testing.assert_array_equal(soon, np.where(sample + 2 < SAMPLES, rows + 2, -1))
    np.testing.assert_array_equal(later, np.where(sample + 6 < SAMPLES, rows + 6, -1))
    np.testing.assert_array_equal(there, (camera ^ 1) * SAMPLES + sample)


def test_groups_are_nights(quick):
    np.testing.assert_array_equal(quick.groups, np.repeat([3000, 3001], 2 * SAMPLES))


def test_images_belong_to_their_rows(quick):
    """A night made by itself: its second station's images lie where the partners say."""
    start = np.datetime64("2020-01-02T06:00:00", "ns")
    night = simulate_nights(start, 300.0, 3001, frames.PAIRS[1], frames.CADENCE_S, frames.FRAME_PIXELS)
    alone = night[frames.PAIRS[1][1]]
    expected = camera_images(alone.frames, alone.times, frames.RECIPE, alone.view)
    rows = quick.positives[2 * SAMPLES : 3 * SAMPLES, 2]
    np.testing.assert_array_equal(quick.images[rows], expected.astype(np.float16))


def test_no_partner_where_time_ends_or_the_neighbor_is_too_far():
    times = np.datetime64("2020-01-01", "ns") + np.array([0, 45, 100, 0, 0]) * np.timedelta64(1, "s")
    station = np.array(["gill", "gill", "gill", "tpas", "gako"])
    night = np.array([1, 1, 1, 1, 2])
    found = frames.positive_rows(times, station, night)
    np.testing.assert_array_equal(found, [[1, 2, 3], [2, -1, -1], [-1, -1, -1], [-1, -1, 0], [-1, -1, -1]])


def test_no_camera_or_night_of_the_benchmark_is_trained_on():
    assert not set(STATIONS) & {station for pair in frames.PAIRS for station in pair}
    assert frames.FIRST_SEED > 2000 + 100
