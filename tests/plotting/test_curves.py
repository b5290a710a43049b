"""Learning curves: every number of the card is drawn where it belongs, and nothing of matplotlib's state changes."""

from __future__ import annotations

import numpy as np
import pytest

from pyspedas_similarity.encoder.cards import Card
from pyspedas_similarity.errors import EncoderError
from pyspedas_similarity.plotting.curves import plot_curves


def card(precision: list[float | None]) -> Card:
    record = {
        "plan": {"method": "vicreg", "backbone": "compact"},
        "n_samples": 700,
        "epochs_done": 3,
        "best_epoch": 2,
        "ended_by": "patience",
        "curves": {
            "loss": [3.0, 2.0, 1.5],
            "std_of_normalized": [0.05, 0.07, 0.06],
            "effective_rank": [30.0, 25.0, 20.0],
            "held_out_precision": precision,
        },
        "untrained": {"std_of_normalized": 0.04, "effective_rank": 40.0, "held_out_precision": precision[0]},
    }
    return Card("simulated", "window", "vicreg", training=record)


def test_each_curve_has_its_panel_level_and_the_epoch_kept(tmp_path):
    import matplotlib.pyplot as plt

    given = card([0.4, 0.6, 0.5])
    figure = plot_curves(given, tmp_path / "curves.png")
    assert (tmp_path / "curves.png").stat().st_size > 5000 and not plt.get_fignums()
    assert len(figure.axes) == 4
    curves = given.training["curves"]
    order = ["loss", "held_out_precision", "std_of_normalized", "effective_rank"]
    for panel, name in zip(figure.axes, order, strict=True):
        lines = panel.get_lines()
        np.testing.assert_array_equal(lines[0].get_xdata(), [1, 2, 3])
        np.testing.assert_array_equal(lines[0].get_ydata(), curves[name])
        assert list(lines[-1].get_xdata()) == [2, 2]
        if name != "loss":
            assert set(lines[1].get_ydata()) == {given.training["untrained"][name]}
    assert "ended after 3 epochs, no longer improving" in figure.axes[0].get_title(loc="left")


def test_without_held_out_partners_there_is_no_panel_of_them():
    figure = plot_curves(card([None, None, None]))
    assert [panel.get_ylabel().split("\n")[0] for panel in figure.axes] == ["loss", "spread of", "effective rank"]


def test_an_encoder_without_curves_is_refused():
    with pytest.raises(EncoderError, match="no learning curves"):
        plot_curves(Card("pixels", "frame", "fixed transform"))
