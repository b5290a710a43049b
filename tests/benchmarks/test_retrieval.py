"""Retrieval benchmark: the command on tiny data sets, its encoders and its table."""

import numpy as np
import pytest
from astropy.table import Table

from benchmarks.__main__ import main
from benchmarks.data_sets.tasks import DataSet, Task, negate, not_self, same_value
from benchmarks.retrieval import encoders, run
from benchmarks.retrieval.plan import Plan
from pyspedas_similarity.encoder.fitted import fit_pca
from pyspedas_similarity.encoder.fixed import fixed_encoder
from pyspedas_similarity.encoder.weights import save_encoder
from pyspedas_similarity.errors import ArgumentError
from pyspedas_similarity.imaging.recipes import WindowRecipe

TINY = {
    "edr": {"events": 3, "duration_s": 3.0},
    "nights": {"nights": 2, "duration_s": 240.0, "cadence_s": 12.0, "size": 32},
}
RECIPE = WindowRecipe(length_s=60, stride_s=60, pixels=16)


@pytest.fixture
def tiny(monkeypatch):
    monkeypatch.setattr("benchmarks.retrieval.plan.QUICK", TINY)


@pytest.fixture
def stripes():
    """Three kinds of stripes in four groups, with different directions."""
    rng = np.random.default_rng(0)
    kind, group = np.arange(120) % 3, np.arange(120) // 30
    down, right = np.mgrid[:16, :16]
    waves = np.stack([np.sin(down), np.sin(right), np.sin(down + right)])[kind]
    images = (waves + 0.1 * rng.standard_normal(waves.shape)).astype(np.float32)[:, None]
    task = Task("stripes", "t", "l", np.arange(120), same_value(kind), negate(same_value(group)), not_self(120), True)
    return DataSet("stripes", "stripes", True, RECIPE, lambda recipe: images, group, (task,))


def test_the_command_prints_and_saves_its_table(tiny, tmp_path, capsys):
    data_sets = ["--only", "edr", "nights", "projected", "movie"]
    encoders = ["--encoders", "pixels", "spectrum"]
    assert main(["retrieval", "--quick", *data_sets, *encoders, "--out", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    text = (tmp_path / "bench.txt").read_text()
    assert all(line in printed for line in text.splitlines())
    assert "movie: left out, it is real data" in text and "[SIMULATED]" in text
    table = Table.read(tmp_path / "bench.ecsv", format="ascii.ecsv")
    assert set(table["encoder"]) == {"pixels", "spectrum"}
    assert set(table["dataset"]) == {"edr", "nights", "nights-sky", "nights-map", "nights-moving"}
    assert table.meta["plan"]["quick"] is True and table["simulated"].all()
    assert set(table["compared"]) == set(run.COMPARED)
    for key in ("p@1", "p@5", "p@10", "ap", "r@10", "r@100"):
        assert ((table[key] >= 0) & (table[key] <= 1)).all()
    row = table[(table["task"] == "edr") & (table["compared"] == run.RELATIVE) & (table["encoder"] == "pixels")][0]
    assert row["p@10_low"] <= row["p@10"] <= row["p@10_high"] and row["candidates"] == 200
    assert row["gain@10"] == pytest.approx(row["p@10"] / row["base"])
    plain = Table.read(tmp_path / "bench.csv", format="ascii.csv")
    np.testing.assert_allclose(plain["ap"], table["ap"])


def test_an_encoder_that_separates_kinds_scores_one(stripes):
    rows = run.run_data_set(stripes, Plan(encoders=("pixels",)), print)
    assert [row["compared"] for row in rows] == list(run.COMPARED)
    assert rows[0]["ap"] == 1 and rows[0]["rank"] == 1 and rows[0]["gain@10"] == pytest.approx(3)
    assert rows[0]["two@6"] > 0.5 and rows[0]["dimension"] == 256 and rows[0]["ms_per_image"] > 0


def test_encoders_with_seeds_are_run_once_for_each(stripes, monkeypatch):
    images, asked = stripes.draw(RECIPE), []

    def untrained(images, kind, name, seed):
        asked.append((name, seed))
        return fixed_encoder("pixels", kind)

    monkeypatch.setattr(encoders, "fit_random", untrained)  # exporting a network takes long
    assert len(encoders.embed("random", images, RECIPE, seeds=3).embeddings) == 3
    assert asked == [("random", 0), ("random", 1), ("random", 2)]
    fitted = encoders.embed("pca", images, RECIPE, seeds=2)
    assert len(fitted.embeddings) == 2 and fitted.kilobytes > 1
    assert len(encoders.embed("pixels", images, RECIPE, seeds=2).embeddings) == 1


def test_saved_encoders_are_loaded_from_folders_with_their_seeds(stripes, tmp_path):
    images = stripes.draw(RECIPE)
    for seed in range(2):
        save_encoder(fit_pca(images[seed::2], "window"), tmp_path / "mine" / f"seed{seed}")
    save_encoder(fixed_encoder("pixels", "frame"), tmp_path / "other")
    plan = Plan(encoders=(str(tmp_path / "mine"), str(tmp_path / "mine" / "seed1"), str(tmp_path / "other")))
    rows = run.run_data_set(stripes, plan, print)
    # The encoder of frames does not apply to windows.
    assert [(row["encoder"], row["seeds"]) for row in rows if row["compared"] == run.RELATIVE] == [
        ("mine", 2),
        ("seed1", 1),
    ]


def test_a_folder_may_hold_an_encoder_for_each_data_set_or_kind(stripes, tmp_path):
    own, other = fit_pca(stripes.draw(RECIPE), "window", dimension=2), fit_pca(stripes.draw(RECIPE), "window")
    save_encoder(own, tmp_path / "trained" / "stripes" / "seed0")
    save_encoder(own, tmp_path / "trained" / "stripes" / "seed1")
    save_encoder(other, tmp_path / "trained" / "elsewhere" / "seed0")
    save_encoder(own, tmp_path / "general" / "window")
    save_encoder(fixed_encoder("pixels", "frame"), tmp_path / "general" / "frame")
    save_encoder(other, tmp_path / "none" / "elsewhere" / "seed0")
    plan = Plan(encoders=tuple(str(tmp_path / name) for name in ("trained", "general", "none")))
    rows = [row for row in run.run_data_set(stripes, plan, print) if row["compared"] == run.RELATIVE]
    # Nothing in the last is for this data set, and that is no error.
    assert [(row["encoder"], row["seeds"], row["dimension"]) for row in rows] == [
        ("trained", 2, 2),
        ("general", 1, 2),
    ]


def test_an_encoder_that_fails_is_reported_and_omitted(stripes):
    said = []
    few = DataSet("few", "", True, RECIPE, lambda recipe: stripes.draw(recipe)[:10], stripes.group[:10], ())
    assert run.run_data_set(few, Plan(encoders=("pca",)), said.append) == []
    assert len(said) == 1 and said[0].startswith("few: pca left out, images")


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"only": ("mars",)}, "--only"),
        ({"encoders": ("nonsense",)}, "--encoders"),
        ({"encoders": ("pixels", "pixels")}, "one name"),
        ({"seeds": 0}, "--seeds"),
    ],
)
def test_wrong_choices_are_refused(wrong, says):
    with pytest.raises(ArgumentError, match=says):
        Plan(**wrong)


def test_a_missing_or_unwritable_folder_is_refused(tmp_path, capsys):
    assert main(["retrieval", "--data", str(tmp_path / "no")]) == 2
    (tmp_path / "file").touch()
    assert main(["retrieval", "--out", str(tmp_path / "file")]) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_without_any_data_set_nothing_is_found(tmp_path, capsys):
    assert main(["retrieval", "--only", "reduced", "--out", str(tmp_path)]) == 1
    assert "give its folder with --data" in capsys.readouterr().out


def test_lead_is_over_the_best_encoder_without_training(stripes, tmp_path):
    save_encoder(fit_pca(stripes.draw(RECIPE), "window"), tmp_path / "mine")
    rows = run.run_data_set(stripes, Plan(encoders=("spectrum", "pixels", str(tmp_path / "mine"))), print)
    by_name = {row["encoder"]: row for row in rows if row["compared"] == run.RELATIVE}
    assert by_name["spectrum"]["ap"] < by_name["pixels"]["ap"] == 1
    assert by_name["mine"]["best_baseline"] == "pixels" and by_name["pixels"]["best_baseline"] == ""
    assert by_name["mine"]["lead"] == pytest.approx(by_name["mine"]["ap"] - 1)
    assert by_name["mine"]["lead_low"] <= by_name["mine"]["lead"] <= by_name["mine"]["lead_high"]
