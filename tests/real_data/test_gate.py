"""The three states of the sky that the real frames show."""

import numpy as np

from pyspedas_similarity.imaging.frame_quality import FLAGS, assess_frames
from pyspedas_similarity.instruments.asi_files import read_cdf, read_stream


def test_a_clear_sky_without_aurora(real_data):
    gate = assess_frames(read_cdf(real_data("asi/thg_l1_asf_gako_2011010617_v01.cdf")).values)
    assert gate.flag.tolist() == [FLAGS["usable"]] * 23
    assert gate.activity.max() < 0.7
    assert gate.features["stars"].min() > gate.features["stars"].max() / 2 > 0


def test_cloud_lit_by_the_moon(real_data):
    paths = [real_data(f"asi/20140310_060{minute}_gill_themis19_full.pgm.gz") for minute in range(3)]
    gate = assess_frames(read_stream(paths).values)
    assert len(gate.flag) == 60 and np.isin(gate.flag, (FLAGS["cloud"], FLAGS["moon or twilight"])).all()
    assert gate.activity.max() < 1


def test_aurora_in_a_movie(real_data):
    with np.load(real_data("asi/thg_asf_fsmi_20150326_movie.npz"), allow_pickle=False) as file:
        frames = file["frames"]
    gate = assess_frames(frames)
    assert np.mean((gate.flag == FLAGS["usable"]) & (gate.activity >= 1)) >= 0.95
    # The clock and the compass are no sky.
    without = assess_frames(frames, overlays=((0.9, 1.0, 0.0, 0.45), (0.8, 1.0, 0.65, 1.0)))
    assert np.mean((without.flag == FLAGS["usable"]) & (without.activity >= 1)) >= 0.95


def test_real_frames_of_another_gain_and_offset(real_data):
    frames = read_cdf(real_data("asi/thg_l1_asf_gako_2011010617_v01.cdf")).values.astype(np.float32)
    before, after = assess_frames(frames), assess_frames(frames * 2 + 100)
    np.testing.assert_array_equal(before.flag, after.flag)
    np.testing.assert_allclose(before.activity, after.activity, rtol=0.01)
