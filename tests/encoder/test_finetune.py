"""Fine-tuning: what it gains where orientation decides, what it refuses, and what its card says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pyspedas_similarity.encoder.finetune import as_torch_encoder, backbone_of, fine_tune, tuned_network
from pyspedas_similarity.encoder.fitted import fit_random
from pyspedas_similarity.encoder.fixed import fixed_encoder
from pyspedas_similarity.encoder.runtime import Encoder
from pyspedas_similarity.encoder.supervised import FROM_NOTHING, LabelPlan, make_labeled, train_on_labels
from pyspedas_similarity.encoder.weights import WEIGHTS, load_encoder, save_encoder
from pyspedas_similarity.errors import ArgumentError, EncoderError

PIXELS, GROUPS = 16, 10
PLAN = LabelPlan(seed=2)


def draw(n: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Simulated level and upright bands under much noise: images (n, 1, 16, 16), labels and groups (n,)."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:PIXELS, :PIXELS] - (PIXELS - 1) / 2
    upright = np.arange(n) % 2
    across = np.stack([y, x])[upright] - rng.uniform(-5, 5, (n, 1, 1))
    images = np.exp(-(across**2) / 2) + 0.5 * rng.standard_normal(across.shape)
    return images.astype(np.float32)[:, None], np.array(["level", "upright"])[upright], np.arange(n) * GROUPS // n


def accuracy(embed, seed: int = 9) -> float:
    """Share of unseen bands whose nearest class mean, of the labeled ones, is their own."""
    images, labels, _ = draw(60, 0)
    unseen, truth, _ = draw(600, seed)
    known, asked = embed(images), embed(unseen)
    means = np.stack([known[labels == name].mean(axis=0) for name in ("level", "upright")])
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    return float((np.array(["level", "upright"])[(asked @ means.T).argmax(axis=1)] == truth).mean())


@pytest.fixture(scope="module")
def tuned(trained: Encoder) -> Encoder:
    return fine_tune(*draw(60, 0), trained, PLAN, data=["simulated bands"])


def test_it_tells_unseen_images_better(trained, tuned):
    before, after = accuracy(trained.encode), accuracy(tuned.encode)
    assert before < 0.93 and after > 0.98


def test_the_card_says_where_it_comes_from(trained, tuned):
    card = tuned.card
    record = card.training["fine_tuning"]
    assert card.name == "bands_tuned" and card.method == "fine-tuning" and card.kind == "frame"
    assert (card.dimension, card.channels, card.pixels) == (128, 1, PIXELS)
    assert record["from"] == {"name": "bands", "hash": trained.hash, "method": "simsiam"}
    assert record["labels"] == {"level": 30, "upright": 30} and record["n_groups"] == GROUPS
    assert 0 < record["n_held_out"] <= 18 and 1 <= record["epochs"] <= 20
    curves = record["curves"]
    assert record["epochs"] == int(np.argmin(curves["held_out_loss"])) + 1
    assert len(curves["loss"]) == len(curves["held_out_accuracy"]) >= record["epochs"]
    assert card.recipe == {"pixels": PIXELS} and card.recipe_hash == "abcd"
    assert card.training["data"] == ["simulated bands"] and "Fine-tuned" in card.known_failures[-1]


def test_same_seed_same_bits_and_torchs_generator_as_it_was(trained, tuned):
    import torch

    before = torch.random.get_rng_state()
    again = fine_tune(*draw(60, 0), trained, PLAN, data=["simulated bands"])
    assert torch.equal(torch.random.get_rng_state(), before)
    assert again.hash == tuned.hash and again.files[WEIGHTS] == tuned.files[WEIGHTS]
    other = tuned_network(*draw(60, 0), trained, replace(PLAN, seed=3))
    assert not all((other.weights[key] == value).all() for key, value in weights_of(tuned).items())


def weights_of(encoder: Encoder) -> dict[str, np.ndarray]:
    from safetensors.numpy import load

    return load(encoder.files[WEIGHTS])


def test_it_can_be_saved_loaded_and_tuned_on(tuned, tmp_path):
    save_encoder(tuned, tmp_path / "tuned")
    loaded = load_encoder(tmp_path / "tuned")
    images = draw(20, 1)[0]
    np.testing.assert_array_equal(loaded.encode(images), tuned.encode(images))
    assert backbone_of(loaded) == "compact"
    on = tuned_network(*draw(60, 0), loaded, replace(PLAN, epochs=1))
    assert on.epochs == 1 and on.classes == ("level", "upright")


def test_torch_and_export_agree(trained, tuned):
    network = tuned_network(*draw(60, 0), trained, PLAN)
    images = draw(40, 1)[0]
    np.testing.assert_allclose(as_torch_encoder(trained, network).encode(images), tuned.encode(images), atol=1e-4)


def test_batch_normalization_stays_frozen(trained, tuned):
    before, after = weights_of(trained), weights_of(tuned)
    running = [name for name in before if "running" in name]
    assert running and all((before[name] == after[name]).all() for name in running)
    assert any((before[name] != after[name]).any() for name in before if name.endswith("weight"))


def test_the_other_backbone_can_be_tuned():
    images, labels, groups = draw(20, 0)
    network = tuned_network(images, labels, groups, fit_random(images, "frame"), replace(PLAN, epochs=1, steps=1))
    assert network.backbone == "resnet18" and network.features(images).shape == (20, 512)


@pytest.mark.parametrize(
    ("kept", "reason"),
    [
        (slice(0, 18), r"9 labels of 'level' from 3 events.*10 labels or more of each class, from 2 events"),
        (slice(0, 60, 2), r"found the class level.*two or more classes"),
    ],
)
def test_too_few_labels_are_refused(trained, kept, reason):
    with pytest.raises(ArgumentError, match=reason):
        fine_tune(*(values[kept] for values in draw(60, 0)), trained)


def test_labels_of_one_event_are_refused(trained):
    images, labels, _ = draw(60, 0)
    with pytest.raises(ArgumentError, match=r"30 labels of 'level' from 1 event\b.*from 2 events or more"):
        fine_tune(images, labels, np.zeros(60, int), trained)


def test_what_cannot_be_tuned_is_refused(trained):
    images, labels, groups = draw(60, 0)
    with pytest.raises(EncoderError, match="pixels: it has no weights of compact or resnet18"):
        fine_tune(images, labels, groups, fixed_encoder("pixels", "frame"))
    with pytest.raises(EncoderError, match=r"images of shape \(1, 8, 8\), expected \(1, 16, 16\)"):
        fine_tune(images[:, :, :8, :8], labels, groups, trained)
    with pytest.raises(ArgumentError, match="one label and one group per image"):
        fine_tune(images, labels[:7], groups, trained)
    spoiled = replace(trained, card=replace(trained.card, training={"backbone": "resnet18"}))
    with pytest.raises(EncoderError, match="do not fit the network"):
        fine_tune(images, labels, groups, spoiled)


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"epochs": 0}, "epochs"),
        ({"steps": True}, "steps"),
        ({"backbone_rate": float("nan")}, "backbone_rate"),
        ({"held_out": 1.0}, "held_out"),
    ],
)
def test_plans_that_are_none(wrong, reason):
    with pytest.raises(ArgumentError, match=reason):
        LabelPlan(**wrong)


def test_a_rate_that_is_too_high_is_told(trained):
    with pytest.raises(ArgumentError, match="loss is not finite.*lower"):
        tuned_network(*draw(60, 0), trained, replace(PLAN, backbone_rate=1e30))


def test_whole_groups_are_held_out_and_no_class_is_lost():
    images, labels, groups = draw(60, 0)
    groups = np.where(labels == "level", 0, groups)  # of one class there is but one group
    labeled = make_labeled(images, labels, groups)
    held = labeled.held_out(0.3, seed=0)
    assert held.any() and set(groups[held]).isdisjoint(groups[~held]) and set(labels[held]) == {"upright"}
    assert not make_labeled(images, labels, np.zeros(60, int)).held_out(0.3, seed=0).any()
    assert not labeled.held_out(0, seed=0).any()


def test_an_epoch_has_all_classes_as_often_and_no_image_twice_before_all():
    images, labels, groups = draw(60, 0)
    labels[:50] = "level"
    labeled = make_labeled(images, labels, groups)
    order = labeled.sample_balanced(np.arange(60), 64, np.random.default_rng(0))
    counts = np.bincount(order, minlength=60)
    assert len(order) == 64 and (labeled.truth[order] == 0).sum() == 32
    for number in range(2):
        assert np.ptp(counts[labeled.truth == number]) <= 1


def test_from_nothing_it_learns_as_well():
    labeled = make_labeled(*draw(120, 0))
    network = train_on_labels(labeled, FROM_NOTHING)
    unseen, truth, _ = draw(400, 9)
    assert (network.predict(unseen) == truth).mean() > 0.9
