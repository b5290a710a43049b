"""The map of kinds draws every kind in its own color and marker."""

import numpy as np
import pytest

from benchmarks.map_of_kinds import plot_embedding_map
from pyspedas_similarity.errors import ArgumentError
from pyspedas_similarity.plotting.embedding_map import EmbeddingMap


def test_every_kind_has_its_color_and_marker_and_every_place_is_drawn(tmp_path):
    import matplotlib.pyplot as plt

    kind = np.array([f"kind {i % 12:02d}" for i in range(60)])
    places = np.random.default_rng(0).random((60, 2))
    figure = plot_embedding_map(EmbeddingMap(places, "by hand"), kind, tmp_path / "map.png", "title")
    assert (tmp_path / "map.png").stat().st_size > 5000 and not plt.get_fignums()
    drawn = figure.axes[0].collections
    assert len(drawn) == 12 and sum(len(one.get_offsets()) for one in drawn) == 60
    np.testing.assert_array_equal(drawn[3].get_offsets(), places[kind == "kind 03"])
    looks = {(tuple(one.get_facecolor()[0]), one.get_paths()[0].vertices.tobytes()) for one in drawn}
    assert len(looks) == 12
    assert "by hand" in figure.axes[0].get_xlabel() and "kind 03 (5)" in drawn[3].get_label()
    with pytest.raises(ArgumentError, match="one for each of 60 places"):
        plot_embedding_map(EmbeddingMap(places, "by hand"), kind[:5])
