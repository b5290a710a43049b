"""Figure of the label benchmark: every number of the table is drawn in its place."""

from __future__ import annotations

import numpy as np
from astropy.table import Table

from benchmarks.labels.figure import plot_label_curves

ACCURACIES = {"pixels": (0.3, 0.5), "mine": (0.4, 0.6), "mine, tuned": (0.4, 0.8), "from nothing": (0.2, 0.7)}


def table() -> Table:
    rows = [
        {"dataset": name, "simulated": name == "edr", "classes": 4, "line": line, "labels": labels}
        | {"accuracy": value, "accuracy_low": value - 0.1, "accuracy_high": value + 0.2}
        for name in ("regions", "edr")
        for line, values in ACCURACIES.items()
        for labels, value in zip((1, 30), values, strict=True)
    ]
    return Table(rows)


def test_each_line_has_its_values_and_interval(tmp_path):
    import matplotlib.pyplot as plt

    figure = plot_label_curves(table(), tmp_path / "labels.png")
    assert (tmp_path / "labels.png").stat().st_size > 5000 and not plt.get_fignums()
    assert [panel.get_title(loc="left") for panel in figure.axes] == [
        "regions (real data, 4 classes)",
        "edr (simulated, 4 classes)",
    ]
    panel = figure.axes[0]
    drawn = {bars.get_label(): bars for bars in panel.containers}
    for line, values in ACCURACIES.items():
        curve, _, (ends,) = drawn[line].lines
        np.testing.assert_allclose(curve.get_ydata(), values)
        np.testing.assert_allclose(curve.get_xdata(), [1, 30], rtol=0.12)  # shifted, to be visible
        np.testing.assert_allclose(ends.get_segments()[0][:, 1], [values[0] - 0.1, values[0] + 0.2])
    assert drawn["from nothing"].lines[0].get_linestyle() == "--"
    chance = [line for line in panel.get_lines() if line.get_label() == "chance"]
    assert list(chance[0].get_ydata()) == [0.25, 0.25]
    colors = {bars.lines[0].get_color() for bars in panel.containers}
    assert len(colors) == 3
    tuned, mine = drawn["mine, tuned"].lines[0], drawn["mine"].lines[0]
    assert tuned.get_color() == mine.get_color() and tuned.get_linestyle() == ":" != mine.get_linestyle()
