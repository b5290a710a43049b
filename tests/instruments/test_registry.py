"""Which recipe, which station, which loader."""

import numpy as np
import pytest

from pyspedas_similarity.errors import ArgumentError, VariableError
from pyspedas_similarity.imaging.recipes import DistributionRecipe, FrameRecipe
from pyspedas_similarity.instruments import mms_fpi, themis_asi
from pyspedas_similarity.instruments.registry import ELECTRONS, instrument_named, recipe_of, station_of
from pyspedas_similarity.tplot import Variable

TIMES = np.datetime64("2020-01-01", "ns") + np.arange(2) * np.timedelta64(1, "s")


def variable(name, dimensions):
    return Variable(name, TIMES, np.zeros((2, *[16] * (dimensions - 1))))


@pytest.mark.parametrize(
    ("name", "dimensions", "recipe", "station"),
    [
        ("mms3_dis_dist_brst", 4, DistributionRecipe(), {"probe": "mms3"}),
        ("mms1_des_dist_fast_mine", 4, ELECTRONS, {"probe": "mms1"}),
        ("thg_asf_fsmi", 3, FrameRecipe(), {"site": "fsmi"}),
        ("thg_ast_gako", 3, FrameRecipe(), {"site": "gako"}),
        ("my_camera", 3, FrameRecipe(), {}),
        ("simulated1_dis_dist_brst", 4, DistributionRecipe(), {"probe": "simulated1"}),
        ("simulated_asf", 3, FrameRecipe(), {"site": "simulated"}),
    ],
)
def test_a_variable_knows_its_recipe_and_station(name, dimensions, recipe, station):
    assert recipe_of(variable(name, dimensions)) == recipe
    assert station_of(variable(name, dimensions)) == station


def test_what_the_name_does_not_tell_has_to_be_said():
    with pytest.raises(VariableError, match="instrument="):
        recipe_of(variable("dist", 4))
    assert recipe_of(variable("dist", 4), "mms_des") == ELECTRONS
    with pytest.raises(VariableError, match="no image"):
        recipe_of(variable("density", 1))
    with pytest.raises(ArgumentError, match="mms_dis"):
        instrument_named("mms_fpi")


def test_stations_and_probes_that_do_not_exist():
    trange = ["2020-01-01", "2020-01-02"]
    with pytest.raises(ArgumentError, match="probe"):
        mms_fpi.load_ions(trange, probe=5)
    with pytest.raises(ArgumentError, match="data_rate"):
        mms_fpi.load_ions(trange, data_rate="slow")
    for site in ("", "fort smith", "../x"):
        with pytest.raises(ArgumentError, match="site"):
            themis_asi.load(trange, site)
