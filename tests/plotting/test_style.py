"""Units and names of axes as they are stored, in readable form; choices of style; files of figures."""

import numpy as np
import pytest
from matplotlib.mathtext import MathTextParser

from pyspedas_similarity.errors import ArgumentError
from pyspedas_similarity.imaging.keogram import Keogram
from pyspedas_similarity.plotting.style import Style, bins_label, brightness_unit, plain, saved, slice_label, units_text
from pyspedas_similarity.tplot import Variable


@pytest.mark.parametrize(
    ("units", "shown"),
    [
        ("s!E-1!Ncm!E-2!Nster!E-1!NkeV!E-1!N", "s$^{-1}$ cm$^{-2}$ ster$^{-1}$ keV$^{-1}$"),
        ("keV/(cm^2 s sr keV)", "keV/(cm$^{2}$ s sr keV)"),
        ("#/(cm^2*s*str*MeV)", "#/(cm$^{2}$*s*str*MeV)"),
        ("s^3/cm^6", "s$^{3}$/cm$^{6}$"),
        ("cm**-3", "cm$^{-3}$"),
        ("cm-3 s-1", "cm$^{-3}$ s$^{-1}$"),
        ("km/s", "km/s"),
        ("counts", "counts"),
        ("$100", r"\$100"),
        ("  ", ""),
    ],
)
def test_powers_are_superscripts(units, shown):
    assert units_text(units) == shown
    MathTextParser("agg").parse(units_text(units))


@pytest.mark.parametrize(
    ("stored", "label"),
    [
        ("eV", "energy (eV)"),
        ("[keV]", "energy (keV)"),
        ("km/s", "velocity (km/s)"),
        (None, "energy"),
        ("deg", "energy"),
    ],
)
def test_bins_are_named_by_their_units(stored, label):
    variable = Variable(
        "flux", np.zeros(0, "datetime64[ns]"), np.zeros(0), {}, {"data_att": {"depend_2_units": stored}}
    )
    assert bins_label(variable, "v2") == label


def test_slices_name_the_direction_that_is_known():
    frames = Variable("sky", np.zeros(0, "datetime64[ns]"), np.zeros(0))
    turned = Variable("sky", frames.times, frames.values, {}, {"data_att": {"first_column": "east"}})
    columns = Keogram(np.zeros((1, 2)), np.arange(2), "column", "pixel")
    angles = Keogram(np.zeros((1, 2)), np.arange(2), "zenith angle", "deg")
    assert slice_label(columns, frames, "ewogram") == "column from the left"
    assert slice_label(columns, turned, "ewogram") == "column, east up"
    assert slice_label(angles, frames, "ewogram") == "zenith angle (deg), east up"
    assert slice_label(angles, frames) == "zenith angle (deg), north up"
    assert brightness_unit(frames) == "brightness, no unit stored"


def test_text_is_drawn_as_it_is():
    assert plain("$x^2$ a_b") == r"\$x^2\$ a_b"
    assert plain("a\x00b\nc\u2028") == "a\ufffdb\ufffdc\ufffd"
    assert plain("x" * 500, 10) == "x" * 9 + "…"


def test_styles_are_checked_and_files_written_whole_or_refused(tmp_path):
    from matplotlib.figure import Figure

    assert Style.of({"cmap": "cividis", "figsize": (3, 2)}).size(9, 9) == (3, 2)
    for bad in ({"cmap": "no such"}, {"query": "no color"}, {"color_map": "gray"}):
        with pytest.raises(ArgumentError, match=next(iter(bad))):
            Style.of(bad)
    figure = Figure()
    figure.suptitle("字")  # not in the font: no warning
    saved(figure, tmp_path / "a.pdf", Style())
    assert (tmp_path / "a.pdf").read_bytes().startswith(b"%PDF")
    with pytest.raises(ArgumentError, match="ending '.doc'"):
        saved(figure, tmp_path / "a.doc", Style())
    with pytest.raises(ArgumentError, match=f"there is no folder {tmp_path / 'none'}") as caught:
        saved(figure, tmp_path / "none" / "a.png", Style())
    assert ".tmp" not in str(caught.value)
