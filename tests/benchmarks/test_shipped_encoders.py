"""Training of the encoders that come with the package, in its quick form, and what it leaves behind."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.__main__ import main
from benchmarks.data_sets.tasks import DataSet, Task, negate, not_self, same_value
from benchmarks.retrieval.cross_validation import cross_validated_scores
from benchmarks.shipped_encoders import distributions, windows
from benchmarks.shipped_encoders.paired_images import PairedImages, concatenate
from pyspedas_similarity.encoder import shipped
from pyspedas_similarity.encoder.cards import Card
from pyspedas_similarity.encoder.fitted import fit_pca
from pyspedas_similarity.encoder.weights import CARD, load_encoder
from pyspedas_similarity.errors import ArgumentError, EncoderError
from pyspedas_similarity.imaging.recipes import WindowRecipe
from pyspedas_similarity.instruments.registry import ELECTRONS


def small(values: list[int], positives: list[int], groups: list[str]) -> PairedImages:
    images = np.array(values, np.float32).reshape(-1, 1, 1, 1)
    return PairedImages(images, np.array(positives).reshape(len(values), -1), np.array(groups), groups[:1])


def test_joined_libraries_keep_their_partners():
    both = concatenate(small([0, 1, 2], [1, -1, 0], ["a", "a", "b"]), small([3, 4], [1, -1, -1, 0], ["c", "d"]))
    assert both.images.ravel().tolist() == [0, 1, 2, 3, 4]
    assert both.positives.tolist() == [[1, -1], [-1, -1], [0, -1], [4, -1], [-1, 3]]
    assert both.groups.tolist() == ["a", "a", "b", "c", "d"] and both.data == ["a", "c"]
    kept = both.select(np.array([True, False, True, True, True]))
    assert kept.positives.tolist() == [[-1, -1], [0, -1], [3, -1], [-1, 2]]


def test_partners_of_distributions_are_the_sibling_and_the_next_sample():
    found = distributions.training_images(quick=True)
    assert found.images.shape[1:] == ELECTRONS.shape and len(found.images) == len(found.groups)
    sibling, following = found.positives.T
    assert (sibling >= 0).all() and (sibling[sibling] == np.arange(len(sibling))).all()
    assert (found.groups[sibling] == found.groups).all() and (sibling != np.arange(len(sibling))).all()
    assert 0.4 < (following >= 0).mean() < 1
    images = np.nan_to_num(found.images.astype(np.float64))
    near = np.abs(images - images[following])[following >= 0].mean()
    assert near < np.abs(images - np.roll(images, 20, axis=0)).mean()


def test_partners_of_windows_are_in_their_own_event_or_pass():
    found = windows.training_images(quick=True)
    assert found.images.shape[1:] == (1, 32, 32) and not np.isnan(found.images).any()
    has = found.positives >= 0
    assert (found.groups[found.positives] == found.groups[:, None])[has].all() and has.any(axis=1).mean() > 0.9
    with pytest.raises(ArgumentError, match="--data"):
        windows.training_images()


def test_the_command_trains_and_saves_an_encoder(tmp_path, capsys):
    folder = tmp_path / "windows"
    command = ["train-shipped", "windows", "--quick", "--out", str(folder)]
    assert main(command) == 0
    encoder = load_encoder(folder)
    assert f"Saved windows ({encoder.hash})" in capsys.readouterr().out
    card = encoder.card
    assert (card.kind, card.channels, card.pixels, card.license) == ("window", 1, 32, "BSD-3-Clause")
    assert card.recipe_hash == "" and card.training["n_samples"] > 16 and "quick" in card.known_failures[-1]
    assert main(command) == 2
    assert "exists already" in capsys.readouterr().err


def test_each_group_is_asked_by_an_encoder_that_has_not_seen_it():
    rng = np.random.default_rng(0)
    kind, group = np.arange(120) % 3, np.arange(120) // 20
    down, right = np.mgrid[:16, :16]
    images = np.stack([np.sin(down), np.sin(right), np.sin(down + right)])[kind].astype(np.float32)[:, None]
    images += 0.1 * rng.standard_normal(images.shape).astype(np.float32)
    task = Task("stripes", "t", "l", np.arange(120), same_value(kind), negate(same_value(group)), not_self(120), True)
    recipe = WindowRecipe(length_s=60, stride_s=60, pixels=16)
    dataset = DataSet("stripes", "stripes", True, recipe, lambda _: images, group, (task,))
    library = PairedImages(images, np.full((120, 1), -1), np.char.add("stripes ", group.astype(str)), [])
    seen = []

    def fit(rest: PairedImages):
        seen.append(set(rest.groups))
        return fit_pca(rest.images, "window")

    everyone = set(np.char.add("stripes ", np.arange(6).astype(str)))
    scores = cross_validated_scores(dataset, library, fit)
    assert seen == [everyone - {f"stripes {each}"} for each in range(6)]
    assert scores["stripes"]["ap"].shape == (120,) and scores["stripes"]["ap"].mean() > 0.9
    free = cross_validated_scores(dataset, library, fit, leak_control=False)
    assert set(free["stripes"]["candidates"]) == {119} and set(scores["stripes"]["candidates"]) == {100}


def test_seeds_train_on_other_simulated_data():
    first, second = (windows.training_images(quick=True, seed=seed) for seed in (0, 1))
    assert set(first.groups) == {f"simulated event {windows.FIRST_SEED}"}
    assert set(second.groups) == {f"simulated event {windows.FIRST_SEED + 10_000}"}
    assert not np.array_equal(first.images, second.images)


@pytest.mark.parametrize("name", sorted(shipped.available()))
def test_what_is_shipped_runs_without_torch_and_is_what_its_card_says(name):
    code = (
        "import sys, numpy as np\n"
        "from pyspedas_similarity.encoder.shipped import shipped_encoder\n"
        f"encoder = shipped_encoder({name!r})\n"
        "shape = (2, encoder.card.channels, encoder.card.pixels, encoder.card.pixels)\n"
        "found = encoder.encode(np.random.default_rng(0).random(shape, np.float32))\n"
        "assert 'torch' not in sys.modules and np.isfinite(found).all()\n"
        "print(found.shape[1], encoder.hash)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    card = Card.from_json((shipped.FOLDER / name / CARD).read_text())
    assert done.stdout.split() == [str(card.dimension), card.hash]
    assert card.license and card.metrics and card.known_failures and card.training["data"]


def test_shipped_encoders_are_small():
    assert sum(path.stat().st_size for path in shipped.FOLDER.rglob("*") if path.is_file()) < 15e6


def test_the_shipped_encoder_is_chosen_by_kind_recipe_and_shape(tmp_path, monkeypatch):
    from pyspedas_similarity.encoder.weights import save_encoder

    images = np.random.default_rng(0).random((32, 1, 16, 16), np.float32)
    encoder = fit_pca(images, "window")
    fitting = replace(encoder, card=replace(encoder.card, recipe_hash="abc", recipe={"a": 1}))
    save_encoder(fitting, tmp_path / "windows")
    monkeypatch.setattr(shipped, "FOLDER", tmp_path)
    shipped.shipped_encoder.cache_clear()
    try:
        assert list(shipped.available()) == ["windows"]
        assert shipped.shipped_for("window", "abc", (1, 16, 16)).hash == fitting.hash
        for wrong in (("frame", "abc", (1, 16, 16)), ("window", "abd", (1, 16, 16)), ("window", "abc", (1, 32, 32))):
            with pytest.raises(EncoderError, match="none that came"):
                shipped.shipped_for(*wrong)
        with pytest.raises(EncoderError, match="none of the name 'sky'"):
            shipped.shipped_encoder("sky")
        # Its own recipe may take the place of a registered one, whatever the shape.
        instead = replace(fitting, card=replace(fitting.card, training={shipped.INSTEAD_OF: ["abd"]}))
        save_encoder(instead, tmp_path / "windows", overwrite=True)
        shipped.shipped_encoder.cache_clear()
        assert shipped.shipped_for("window", "abd", (1, 64, 64)).hash == instead.hash
    finally:
        shipped.shipped_encoder.cache_clear()
