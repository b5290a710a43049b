"""Events on a time axis: what is drawn covers what was found, in few pieces."""

from __future__ import annotations

import numpy as np
import pytest

from pyspedas_similarity.errors import ArgumentError
from pyspedas_similarity.plotting.series import drawable
from pyspedas_similarity.plotting.style import Style, plain, saved

START = np.datetime64("2020-01-01", "ns")


def at(seconds):
    return START + (np.asarray(seconds, float) * 1e9).astype("timedelta64[ns]")


def seconds(times):
    return ((times - START) / np.timedelta64(1, "s")).tolist()


def test_long_intervals_stay_and_those_without_length_can_be_seen():
    starts, ends = drawable(at([100, 300]), at([150, 300]), at(0), at(600))
    assert seconds(starts) == [100, 299.5] and seconds(ends) == [150, 300.5]


def test_what_touches_becomes_one_and_what_is_outside_goes():
    starts, ends = drawable(at([10, 20, 15, 900, -50]), at([20, 30, 18, 910, 2]), at(0), at(600))
    assert seconds(starts) == [0, 10] and seconds(ends) == [2, 30]


def test_an_interval_inside_another_does_not_end_it():
    starts, ends = drawable(at([10, 20, 90]), at([100, 30, 95]), at(0), at(600))
    assert (seconds(starts), seconds(ends)) == ([10], [100])


def test_thousands_are_drawn_as_few_that_cover_them_all():
    rng = np.random.default_rng(0)
    begin = rng.uniform(0, 86400, 20_000)
    starts, ends = drawable(at(begin), at(begin + 0.1), at(0), at(86400))
    assert len(starts) <= 601
    place = np.searchsorted(starts, at(begin), side="right") - 1
    assert (place >= 0).all() and (at(begin) <= ends[place]).all()
    assert (starts[1:] > ends[:-1]).all()


def test_nothing_is_nothing():
    starts, _ = drawable(at([]), at([]), at(0), at(10))
    assert len(starts) == 0


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
