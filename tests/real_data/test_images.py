"""FITS frames of the Poker Flat all-sky camera, whose names hold their times."""

import numpy as np
from astropy.io import fits

import pyspedas_similarity as sim
from pyspedas_similarity import tplot


def test_poker_flat_frames(real_data):
    first = real_data("asi/PKR_DASC_0558_20151007_082351.743.FITS")
    (name,) = sim.load_images(first.parent / "PKR_DASC_*.FITS", name="dasc", errors="raise")
    found = tplot.read(name)
    assert found.times.astype(str).tolist() == ["2015-10-07T08:23:51.743000000", "2015-10-07T08:23:55.961000000"]
    np.testing.assert_array_equal(found.values[0], fits.getdata(first))
    assert found.values.shape[1:] == (512, 512) and found.values.dtype.isnative
