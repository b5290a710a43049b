"""Training: it learns, it is reproducible, it leaves the world as it was, and it says so when it fails."""

from __future__ import annotations

import logging
import random
from dataclasses import replace

import numpy as np
import pytest

from pyspedas_similarity.encoder import training
from pyspedas_similarity.encoder.backbone import BACKBONES, build_backbone
from pyspedas_similarity.encoder.methods import METHODS
from pyspedas_similarity.encoder.training import TrainingPlan, collapse_report, train_network
from pyspedas_similarity.errors import ArgumentError

torch = pytest.importorskip("torch")


@pytest.fixture
def short(plan):
    return replace(plan, epochs=2)


def separation(embeddings: np.ndarray) -> float:
    """Share of images whose five nearest others are mostly of their own half."""
    cosines = embeddings @ embeddings.T
    np.fill_diagonal(cosines, -2)
    upright = np.arange(len(embeddings)) >= len(embeddings) // 2
    nearest = upright[np.argsort(-cosines, axis=1)[:, :5]]
    return float(np.mean((nearest.mean(axis=1) > 0.5) == upright))


def test_training_lowers_the_loss_and_tells_classes_apart(trained, bands, plan):
    network = train_network(bands, plan, progress=False)
    steps = len(bands) // plan.batch_size
    assert len(network.losses) == plan.epochs * steps and len(network.std_of_normalised) == plan.epochs
    assert np.mean(network.losses[-steps:]) < np.mean(network.losses[:steps]) - 0.2
    assert -1 <= min(network.losses)
    assert not network.report.collapsed
    assert separation(trained.encode(bands)) > 0.9
    shuffled = np.random.default_rng(0).permutation(len(bands))
    assert 0.3 < separation(trained.encode(bands[shuffled])) < 0.7


def test_the_seed_decides_every_weight(bands, short):
    first, again = (train_network(bands, short, progress=False) for _ in range(2))
    other = train_network(bands, replace(short, seed=4), progress=False)
    assert first.losses == again.losses and first.losses != other.losses
    for name, values in first.weights.items():
        assert values.tobytes() == again.weights[name].tobytes(), name
    assert not np.array_equal(first.weights["0.weight"], other.weights["0.weight"])


def test_the_world_stays_as_it_was(bands, short):
    images = bands.copy()
    torch.manual_seed(1)
    np.random.seed(1)
    random.seed(1)
    states = torch.random.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()
    train_network(images, short, progress=False)
    assert torch.equal(torch.random.get_rng_state(), states[0])
    assert np.array_equal(np.random.get_state()[1], states[1]) and random.getstate() == states[2]
    assert not torch.are_deterministic_algorithms_enabled() and torch.is_grad_enabled()
    assert np.array_equal(images, bands)


def test_unusable_images_are_left_out_of_training(bands, short):
    spoiled = np.concatenate([bands, np.full_like(bands[:2], np.nan), np.zeros_like(bands[:1])])
    network = train_network(spoiled, short, progress=False)
    assert network.n_images == len(bands)
    assert network.losses == train_network(bands, short, progress=False).losses


def test_too_few_or_equal_images_are_refused_with_their_number(bands, short):
    few = bands[:20].copy()
    few[:5] = np.nan
    with pytest.raises(ArgumentError, match="15 of 20 can be used"):
        train_network(few, short)
    with pytest.raises(ArgumentError, match="all 20 usable ones are the same"):
        train_network(np.repeat(bands[:1], 20, axis=0), short)
    with pytest.raises(ArgumentError, match="shape"):
        train_network(bands[:, 0], short)


def test_a_library_with_a_remainder_of_one_and_less_than_a_batch_trains(bands, short):
    assert len(train_network(bands[48:81], short, progress=False).losses) == 2
    assert len(train_network(bands[55:75], short, progress=False).losses) == 2


def test_collapse_report_knows_equal_spread_and_few_directions():
    rng = np.random.default_rng(0)
    spread = collapse_report(rng.normal(size=(2000, 64)))
    assert spread.std_of_normalised == pytest.approx(1 / 8, rel=0.02)
    assert 60 < spread.effective_rank <= 64 and not spread.collapsed
    constant = np.tile(rng.normal(size=64), (50, 1))
    same = collapse_report(constant)
    assert same.effective_rank == pytest.approx(1, abs=1e-3) and same.std_of_normalised < 1e-6 and same.collapsed
    two = collapse_report(np.eye(64)[rng.integers(0, 4, 400)])
    assert two.effective_rank == pytest.approx(4, rel=0.02) and not two.collapsed
    with_nan = np.vstack([constant, np.full((3, 64), np.nan)])
    assert collapse_report(with_nan) == same
    with pytest.raises(ArgumentError, match="1 rows"):
        collapse_report(constant[:1])


def test_a_collapsed_training_warns_once_with_what_it_saw(bands, short, monkeypatch, caplog):
    def constant_backbone(name: str, channels: int) -> torch.nn.Module:
        network = build_backbone(name, channels)
        torch.nn.init.zeros_(network[-1].weight)
        network[-1].weight.requires_grad_(False)
        return network

    monkeypatch.setattr(training, "build_backbone", constant_backbone)
    with caplog.at_level(logging.WARNING):
        network = train_network(bands, short, progress=False)
    assert network.report.collapsed and network.report.effective_rank == pytest.approx(1, abs=1e-3)
    messages = [record.getMessage() for record in caplog.records if record.name == training.__name__]
    assert len(messages) == 1
    assert "effective rank 1.0 of 128" in messages[0] and "lower learning rate" in messages[0]


def test_an_interrupt_keeps_the_last_finished_epoch(bands, short, monkeypatch, caplog):
    finished = train_network(bands, replace(short, epochs=4), progress=False)
    epoch, calls = training._epoch, []

    def interrupted(*arguments):
        calls.append(1)
        result = epoch(*arguments)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return result

    monkeypatch.setattr(training, "_epoch", interrupted)
    with caplog.at_level(logging.WARNING):
        network = train_network(bands, replace(short, epochs=4), progress=False)
    steps = len(bands) // short.batch_size
    assert network.losses == finished.losses[: 2 * steps] and len(network.std_of_normalised) == 2
    assert any("2 of 4 epochs" in record.getMessage() for record in caplog.records)


def test_an_interrupt_before_the_first_epoch_ends_goes_through(bands, short, monkeypatch):
    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "_epoch", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train_network(bands, short, progress=False)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("method", "magic"),
        ("backbone", "vgg"),
        ("positives", "labels"),
        ("epochs", 0),
        ("epochs", 1.5),
        ("batch_size", 1),
        ("seed", -1),
        ("learning_rate", 0),
        ("learning_rate", float("nan")),
        ("momentum", 1),
        ("weight_decay", -1),
    ],
)
def test_a_plan_out_of_range_is_refused(name, value):
    with pytest.raises(ArgumentError, match=name):
        TrainingPlan(**{name: value})


def test_the_learning_rate_follows_the_batch():
    assert TrainingPlan(batch_size=64).rate == pytest.approx(0.05)
    assert TrainingPlan(batch_size=64, learning_rate=0.3).rate == 0.3


@pytest.mark.parametrize("name", list(BACKBONES))
def test_backbones_give_features_of_their_dimension(name):
    with torch.random.fork_rng(devices=[]):
        network = build_backbone(name, 2).eval()
    with torch.no_grad():
        assert network(torch.ones(3, 2, 16, 16)).shape == (3, BACKBONES[name])
    with pytest.raises(ArgumentError, match="channels"):
        build_backbone(name, 0)


def test_simsiam_loss_is_the_papers_formula(bands):
    """Chen & He 2021, algorithm 1, written out with numpy."""
    with torch.random.fork_rng(devices=[]):
        model = METHODS["simsiam"](build_backbone("compact", 1), 128).eval()
    first, second = torch.from_numpy(bands[:8]), torch.from_numpy(bands[8:16])
    with torch.no_grad():
        loss, features = model(first, second)
        z = [model.projection(model.backbone(each)) for each in (first, second)]
        p = [model.prediction(each).numpy() for each in z]
        z = [each.numpy() for each in z]
        assert torch.equal(features, model.backbone(first))

    def distance(p: np.ndarray, z: np.ndarray) -> float:
        return -float(np.mean((p * z).sum(1) / np.linalg.norm(p, axis=1) / np.linalg.norm(z, axis=1)))

    assert float(loss) == pytest.approx(distance(p[0], z[1]) / 2 + distance(p[1], z[0]) / 2, abs=1e-5)


def test_simsiam_stops_the_gradient_through_the_target(bands):
    with torch.random.fork_rng(devices=[]):
        model = METHODS["simsiam"](build_backbone("compact", 1), 128)
    with torch.no_grad():
        for weight in model.prediction.parameters():
            weight.zero_()
    # With a predictor of zeros only the target could carry a gradient to the backbone.
    loss, _ = model(torch.from_numpy(bands[:8]), torch.from_numpy(bands[8:16]))
    loss.backward()
    assert all(weight.grad is None or not weight.grad.any() for weight in model.backbone.parameters())
