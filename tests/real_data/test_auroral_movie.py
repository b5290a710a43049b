"""The real frames of Fort Smith, 2015-03-26: growth-phase arc until 06:09:30, then breakup, patches, streamers."""

import numpy as np
import pyspedas
import pytest

import pyspedas_similarity as sim
from pyspedas_similarity import tplot
from pyspedas_similarity.tplot import Variable

FILE = "asi/thg_asf_fsmi_20150326_movie.npz"
ARC_ENDS = np.datetime64("2015-03-26T06:09:30", "ns")


@pytest.fixture
def movie(real_data):
    with np.load(real_data(FILE), allow_pickle=False) as file:
        tplot.write(Variable("thg_asf_fsmi", file["times"], file["frames"]))
    return "thg_asf_fsmi"


def test_a_seed_in_the_arc_phase_finds_the_arc_phase(movie):
    shares = []
    for second in range(0, 121, 30):
        seed = np.datetime64("2015-03-26T06:07:00", "ns") + np.timedelta64(second, "s")
        names = sim.find_similar(movie, like=seed, exclude=30, k=1, errors="raise")
        series = pyspedas.get_data(names[-1], dt=True)
        scores = np.where(np.abs(series.times - seed) > np.timedelta64(30, "s"), series.y, -np.inf)
        shares.append(np.mean(series.times[np.argsort(-scores)[:20]] < ARC_ENDS))
    # 0.65 half a minute before the breakup, where an encoder that compares the place in the frame as well has 0.8.
    assert min(shares[:4]) == 1 and shares[4] >= 0.6
    assert sim.intervals(names)["site"][0] == "fsmi"
