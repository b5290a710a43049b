"""Label benchmark: splits, accuracy against an oracle, and the command on tiny sets."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.table import Table

from benchmarks.__main__ import main
from benchmarks.data_sets.labeled import LabeledSet, electrons, has_enough_groups, thin_by_label
from benchmarks.data_sets.tasks import DataUnavailable
from benchmarks.labels import run as bench
from benchmarks.retrieval.plan import Plan
from pyspedas_similarity.encoder.supervised import LabelPlan
from pyspedas_similarity.errors import ArgumentError
from pyspedas_similarity.imaging.recipes import WindowRecipe

RECIPE = WindowRecipe(length_s=60, stride_s=60, pixels=16)
COUNTS = (1, 3, 10)
SHORT = LabelPlan(epochs=2, steps=1, batch_size=8, unjudged=1, freeze_batch_norm=False)


def labeled(n: int = 240, groups: int = 12, seed: int = 0) -> LabeledSet:
    """Stripes of three directions, every class in every group."""
    rng = np.random.default_rng(seed)
    kind, group = np.arange(n) % 3, np.arange(n) * groups // n
    down, right = np.mgrid[:16, :16]
    waves = np.stack([np.sin(down), np.sin(right), np.sin(down + right)])[kind]
    images = (waves + 0.1 * rng.standard_normal(waves.shape)).astype(np.float32)[:, None]
    label = np.array(["level", "upright", "oblique"])[kind]
    return LabeledSet("stripes", "stripes", "made so", True, RECIPE, lambda recipe: images, label, group, group)


@pytest.fixture(scope="module")
def stripes() -> LabeledSet:
    return labeled()


def test_no_group_is_on_both_sides_and_fewer_labels_are_a_subset_of_more(stripes):
    splits = bench.make_splits(stripes, COUNTS, 5)
    for one in splits:
        tested = set(stripes.group[one.test])
        for count, rows in one.labeled.items():
            assert not tested & set(stripes.group[rows]) and len(set(rows)) == len(rows)
            assert (np.unique(stripes.label[rows], return_counts=True)[1] == count).all()
        assert set(one.labeled[1]) < set(one.labeled[3]) < set(one.labeled[10])
        # In turn, so that three labels of a class come from three groups.
        for name in np.unique(stripes.label):
            rows = one.labeled[3][stripes.label[one.labeled[3]] == name]
            assert len(set(stripes.group[rows])) == 3
    assert len({tuple(one.test) for one in splits}) > 1


def test_embeddings_that_separate_the_classes_are_always_right(stripes):
    splits = bench.make_splits(stripes, COUNTS, 3)
    number = np.unique(stripes.label, return_inverse=True)[1]
    outcome = bench.by_classifier([np.eye(3, dtype=np.float32)[number]], stripes, splits)
    found = bench.accuracy_curve(outcome.correct, stripes, splits)
    assert set(found) == set(COUNTS)
    for accuracies in found.values():
        assert np.nanmin(accuracies) == 1


def test_random_labels_are_predicted_at_chance_level():
    stripes = labeled(n=600, groups=20)
    shuffled = np.random.default_rng(1).permutation(stripes.label)
    blind = LabeledSet(**(vars(stripes) | {"label": shuffled}))
    splits = bench.make_splits(blind, (10,), 6)
    vectors = np.random.default_rng(2).standard_normal((600, 8)).astype(np.float32)
    accuracies = bench.accuracy_curve(bench.by_classifier([vectors], blind, splits).correct, blind, splits)[10]
    low, high = np.nanpercentile(accuracies[1:], (2.5, 97.5))
    assert low < 1 / 3 < high and high - low < 0.2


def test_accuracy_is_the_mean_over_classes_and_splits(stripes):
    splits = bench.make_splits(stripes, (1,), 2)
    right = [stripes.label[splits[0].test] == "level", np.ones(len(splits[1].test), bool)]
    found = bench.accuracy_curve({1: right}, stripes, splits)[1]
    assert found[0] == pytest.approx((1 / 3 + 1) / 2)
    # A bootstrap sample has one split, the other, or both.
    assert np.nanmin(found) == pytest.approx(1 / 3) and np.nanmax(found) == 1


def test_the_interval_of_a_difference_is_of_pairs(stripes):
    splits = bench.make_splits(stripes, (1,), 4)
    rng = np.random.default_rng(3)
    once = [rng.random(len(one.test)) < 0.6 for one in splits]
    same = bench.accuracy_curve({1: once}, stripes, splits)[1] - bench.accuracy_curve({1: once}, stripes, splits)[1]
    assert np.nanmin(same) == np.nanmax(same) == 0


def test_a_sample_without_an_embedding_counts_as_wrong(stripes):
    splits = bench.make_splits(stripes, (3,), 1)
    number = np.unique(stripes.label, return_inverse=True)[1]
    vectors = np.eye(3, dtype=np.float32)[number]
    lost = splits[0].test[:7]
    vectors[lost] = np.nan
    right = bench.by_classifier([vectors], stripes, splits).correct[3][0]
    assert not right[:7].any() and right[7:].all()


def test_the_calibration_error_is_that_of_bins():
    # Of those at 0.95 nine in ten are right, of those at 0.55 all.
    sure = np.repeat([0.95, 0.55], [100, 50])
    right = np.r_[np.arange(100) % 10 > 0, np.ones(50, bool)]
    assert bench.calibration_error(sure, right) == pytest.approx((100 * 0.05 + 50 * 0.45) / 150)
    assert bench.calibration_error(np.ones(7), np.ones(7, bool)) == 0


def test_classes_of_one_group_are_excluded(stripes):
    group, label = np.array([0, 0, 1, 1, 2]), np.array(["a", "b", "a", "c", "c"])
    np.testing.assert_array_equal(has_enough_groups(label, group), [True, False, True, True, True])
    alone = LabeledSet(**(vars(stripes) | {"group": np.zeros(240, int)}))
    with pytest.raises(DataUnavailable, match="both sides"):
        bench.make_splits(alone, (1,), 1)


def test_thinning_takes_evenly_of_each_class_and_group():
    label, group = np.repeat(["a", "b"], 50), np.tile(np.arange(2), 50)
    rows = thin_by_label(label, group, 5)
    pairs = [(label[row], group[row]) for row in rows]
    assert len(rows) == 20 and {pairs.count(pair) for pair in set(pairs)} == {5}


def test_every_line_of_the_table_is_measured(stripes, monkeypatch):
    monkeypatch.setattr(bench, "FROM_NOTHING", SHORT)
    said: list[str] = []
    rows = bench.run_set(stripes, Plan(quick=True, encoders=("hog",)), said.append)
    assert list(dict.fromkeys(row["line"] for row in rows)) == ["pixels", "hog", "from nothing"]
    assert {row["labels"] for row in rows} == set(bench.QUICK_LABELS) and not said
    by_line = {(row["line"], row["labels"]): row for row in rows}
    assert by_line["pixels", 10]["accuracy"] == 1 and np.isnan(by_line["pixels", 10]["less_pixels"])
    one = by_line["hog", 10]
    assert one["less_pixels"] == pytest.approx(one["accuracy"] - 1)
    nothing = by_line["from nothing", 10]["accuracy"]
    assert one["less_nothing"] == pytest.approx(one["accuracy"] - nothing)
    assert one["accuracy_low"] <= one["accuracy"] <= one["accuracy_high"] and one["fewest"] == 10


def test_simulated_electrons_are_of_the_events_of_their_seeds():
    data = electrons(events=3, duration_s=4.0, most=2)
    assert set(data.group) <= {600, 601, 602} and data.simulated
    images = data.draw(data.recipe)
    assert images.shape == (len(data.label), *data.recipe.shape)
    assert (np.unique(np.char.add(data.label, data.group.astype(str)), return_counts=True)[1] <= 2).all()


def test_the_command_prints_saves_and_plots(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(bench, "QUICK", {"edr": {"events": 6, "duration_s": 6.0, "most": 2}})
    monkeypatch.setattr(bench, "FROM_NOTHING", SHORT)
    arguments = ["labels", "--quick", "--only", "regions", "edr", "--encoders", "spectrum"]
    assert main([*arguments, "--out", str(tmp_path)]) == 0
    printed, text = capsys.readouterr().out, (tmp_path / "labels.txt").read_text()
    assert all(line in printed for line in text.splitlines())
    assert "regions: left out, it is real data" in text and "edr [SIMULATED]" in text
    table = Table.read(tmp_path / "labels.ecsv", format="ascii.ecsv")
    assert set(table["line"]) == {"pixels", "spectrum", "from nothing"} and table["simulated"].all()
    assert ((table["accuracy"] >= 0) & (table["accuracy"] <= 1)).all()
    np.testing.assert_allclose(Table.read(tmp_path / "labels.csv", format="ascii.csv")["accuracy"], table["accuracy"])
    assert (tmp_path / "labels.png").stat().st_size > 10_000


def test_data_sets_without_labels_are_refused(tmp_path):
    with pytest.raises(ArgumentError, match="'movie', which has no labels"):
        bench.run(Plan(only=("movie",)), tmp_path)
