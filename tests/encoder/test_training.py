"""Training: it learns, it is reproducible, it leaves the world as it was, and it says so when it fails."""

from __future__ import annotations

import logging
import random
from dataclasses import asdict, replace

import numpy as np
import pytest

from pyspedas_similarity.encoder import training
from pyspedas_similarity.encoder.backbone import BACKBONES, build_backbone
from pyspedas_similarity.encoder.cards import Card
from pyspedas_similarity.encoder.monitor import COLLAPSED_EPOCHS, CollapseReport, Evaluation, History
from pyspedas_similarity.encoder.training import (
    TrainingPlan,
    train,
    train_network,
    training_record,
)
from pyspedas_similarity.encoder.views import VIEWS, ViewOptions
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
    curves = trained.card.training["curves"]
    assert [len(curve) for curve in curves.values()] == [plan.epochs] * 4
    assert curves["loss"][-1] < curves["loss"][0] - 0.2 and -1 <= min(curves["loss"])
    assert not trained.card.training["collapsed"]
    assert separation(trained.encode(bands)) > 0.9
    shuffled = np.random.default_rng(0).permutation(len(bands))
    assert 0.3 < separation(trained.encode(bands[shuffled])) < 0.7


def test_the_seed_decides_every_weight(bands, short):
    first, again = (train_network(bands, short, progress=False) for _ in range(2))
    other = train_network(bands, replace(short, seed=4), progress=False)
    assert first.history == again.history and first.history.losses != other.history.losses
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
    assert network.history.losses == train_network(bands, short, progress=False).history.losses


def test_too_few_images_or_foreign_partners_are_refused(bands, short):
    with pytest.raises(ArgumentError, match="10 of 10 can be used"):
        train_network(bands[:10], short)
    with pytest.raises(ArgumentError, match="positives"):
        train_network(bands, short, positives=np.arange(5))


@pytest.mark.parametrize("n", [33, 20])
def test_a_library_with_a_remainder_of_one_and_less_than_a_batch_trains(bands, short, n):
    network = train_network(bands[40 : 40 + n], short, progress=False)
    assert np.isfinite(network.history.losses).all() and network.n_images == n


def paired(bands: np.ndarray) -> dict[str, np.ndarray]:
    """Partners that are near in the order of the bands' places, eight groups of both kinds of band."""
    place = np.concatenate([half.mean(axis=axis).argmax(1) for half, axis in ((bands[:64, 0], 2), (bands[64:, 0], 1))])
    positives = np.full(len(bands), -1)
    groups = np.tile(np.arange(8).repeat(8), 2)
    for upright in (0, 1):
        for group in range(8):
            rows = np.flatnonzero((groups == group) & (np.arange(len(bands)) // 64 == upright))
            rows = rows[np.argsort(place[rows], kind="stable")]
            positives[rows[:-1]] = rows[1:]
    return {"positives": positives, "groups": groups}


def test_partners_are_learnt_and_the_best_epoch_on_held_out_groups_is_kept(bands, plan):
    plan = replace(plan, method="vicreg", optimizer=None, learning_rate=None, weight_decay=None, epochs=6)
    network = train_network(bands, plan, progress=False, **paired(bands))
    history = network.history
    precisions = [each.precision for each in history.evaluations]
    assert (network.n_images, network.n_held_out) == (112, 16) and network.n_with_partners > 100
    assert history.best.precision == max(precisions) > history.untrained.precision
    record = training_record(network)
    assert record["chosen_by"] == training.BY_PARTNERS and record["best_epoch"] == np.argmax(precisions) + 1
    assert record["curves"]["held_out_precision"] == precisions
    assert record["held_out_precision"] == max(precisions)
    # The weights are those of the best epoch: a training that ends there gives them.
    with pytest.MonkeyPatch.context() as patch:
        add = History.add

        def ends_at_the_best(self, *arguments):
            better = add(self, *arguments)
            self.ended_by = "plan" if len(self.losses) == history.best_epoch else ""
            return better

        patch.setattr(History, "add", ends_at_the_best)
        ended = train_network(bands, plan, progress=False, **paired(bands))
    assert len(ended.history.losses) == history.best_epoch
    for name, values in network.weights.items():
        assert values.tobytes() == ended.weights[name].tobytes(), name


def test_without_partners_the_second_view_is_of_the_image_and_with_them_of_a_partner(bands, short, monkeypatch):
    shown = []
    monkeypatch.setattr(training, "make_views", lambda batch, *_: shown.append(batch) or batch)
    train_network(bands, replace(short, epochs=1), progress=False)
    assert all(torch.equal(first, second) for first, second in zip(shown[::2], shown[1::2], strict=True))
    shown.clear()
    partner = np.roll(np.arange(128), 1)
    train_network(bands, replace(short, epochs=1, partner_share=1.0), progress=False, positives=partner)
    rows = {bands[row].tobytes(): row for row in range(128)}
    for first, second in zip(shown[::2], shown[1::2], strict=True):
        for one, other in zip(first.numpy(), second.numpy(), strict=True):
            assert rows[other.tobytes()] == partner[rows[one.tobytes()]]


GOOD, BAD = CollapseReport(0.08, 30.0, 128), CollapseReport(1e-4, 1.1, 128)


def ran(evaluations: list[Evaluation], plan: TrainingPlan) -> tuple[History, list[bool]]:
    history, kept = History(Evaluation(GOOD, 0.1)), []
    for evaluation in evaluations:
        kept.append(history.add(0.0, evaluation, plan))
        if history.ended_by:
            break
    return history, kept


def test_patience_ends_a_training_that_no_longer_improves():
    plan = TrainingPlan(epochs=20, patience=3)
    history, kept = ran([Evaluation(GOOD, p) for p in (0.2, 0.5, 0.4, 0.5, 0.3, 0.9)], plan)
    assert (history.best_epoch, len(history.losses), history.ended_by) == (2, 5, "patience")
    assert kept == [True, True, False, False, False]
    # Without anything to judge by, every epoch is as good as the one before.
    history, kept = ran([Evaluation(GOOD, np.nan)] * 20, plan)
    assert (history.best_epoch, history.ended_by, all(kept)) == (20, "plan", True)


def test_collapse_on_end_stops_and_the_last_good_epoch_is_kept():
    plan = TrainingPlan(epochs=20)
    bad, good = Evaluation(BAD, np.nan), Evaluation(GOOD, np.nan)
    history, _ = ran([good, bad, bad, good, *[bad] * 9], plan)
    assert (history.best_epoch, len(history.losses), history.ended_by) == (4, 4 + COLLAPSED_EPOCHS, "collapse")
    # A collapsed epoch is never preferred, whatever it finds.
    history, _ = ran([Evaluation(GOOD, 0.2), Evaluation(BAD, 0.9), Evaluation(GOOD, 0.3)], plan)
    assert history.best_epoch == 3


def test_a_history_comes_back_from_its_record():
    for precision in (0.3, np.nan):
        history, _ = ran([Evaluation(GOOD, precision), Evaluation(BAD, precision)], TrainingPlan(epochs=5))
        again = History.from_dict(history.as_dict(), 128)
        assert again.as_dict() == history.as_dict() and again.best.report == history.best.report
        assert len(again.evaluations) == 2 and again.best_epoch == 1


def test_a_constant_encoder_trips_the_guard_which_stops_and_warns_once(bands, plan, monkeypatch, caplog):
    def constant_backbone(name: str, channels: int) -> torch.nn.Module:
        network = build_backbone(name, channels)
        torch.nn.init.zeros_(network[-1].weight)
        network[-1].weight.requires_grad_(False)
        return network

    monkeypatch.setattr(training, "build_backbone", constant_backbone)
    with caplog.at_level(logging.WARNING):
        network = train_network(bands, plan, progress=False)
    assert network.report.collapsed and network.report.effective_rank == pytest.approx(1, abs=1e-3)
    assert network.history.ended_by == "collapse" and len(network.history.losses) == COLLAPSED_EPOCHS < plan.epochs
    messages = [record.getMessage() for record in caplog.records if record.name == training.__name__]
    assert len(messages) == 1
    assert "effective rank 1.0 of 128" in messages[0] and "lower learning rate" in messages[0]


def test_a_dead_network_is_collapse_and_no_error(bands, short, monkeypatch):
    def dead_backbone(name: str, channels: int) -> torch.nn.Module:
        network = build_backbone(name, channels)
        for weight in network[-1].parameters():
            torch.nn.init.zeros_(weight).requires_grad_(False)
        return network

    monkeypatch.setattr(training, "build_backbone", dead_backbone)
    assert train_network(bands, short, progress=False).report == CollapseReport(0.0, 1.0, 128)


def test_a_loss_that_is_not_finite_ends_with_the_best_epoch_or_names_the_rate(bands, short, monkeypatch, caplog):
    epoch = training._epoch
    monkeypatch.setattr(training, "_epoch", lambda *a: np.nan if a[-1] == 1 else epoch(*a))
    with caplog.at_level(logging.WARNING):
        network = train_network(bands, short, progress=False)
    assert network.history.ended_by == "divergence" and network.history.best_epoch == 1
    assert any("infinite in epoch 2" in record.getMessage() for record in caplog.records)
    with pytest.raises(ArgumentError, match="learning_rate"):
        monkeypatch.undo()
        train_network(bands, replace(short, method="vicreg", optimizer="sgd", learning_rate=1e20), progress=False)


def test_an_interrupt_keeps_the_best_finished_epoch_and_marks_the_card(bands, short, monkeypatch, caplog):
    finished = train_network(bands, replace(short, epochs=4), progress=False)
    epoch = training._epoch

    def interrupted(*arguments):
        result = epoch(*arguments)
        if arguments[-1] == 2:
            raise KeyboardInterrupt
        return result

    monkeypatch.setattr(training, "_epoch", interrupted)
    with caplog.at_level(logging.WARNING):
        network = train_network(bands, replace(short, epochs=4), progress=False)
    assert network.history.losses == finished.history.losses[:2] and network.history.best_epoch == 2
    assert any("interrupted after 2 epochs" in record.getMessage() for record in caplog.records)
    record = training_record(network)
    assert record["interrupted"] and record["ended_by"] == "interrupt"
    assert not training_record(finished)["interrupted"]


def test_an_interrupt_before_the_first_epoch_ends_goes_through(bands, short, monkeypatch):
    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "_epoch", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train_network(bands, short, progress=False)


def test_a_plan_without_views_takes_those_of_the_kind(bands, short):
    keywords = {"recipe": {}, "recipe_hash": "", "data": ["simulated bands"], "name": "bands", "progress": False}
    encoder = train(bands, kind="window", plan=replace(short, views=None, epochs=1), **keywords)
    record = encoder.card.training["plan"]
    assert record["views"] == asdict(VIEWS["window"]) != asdict(ViewOptions())
    assert Card.from_json(encoder.card.to_json()) == encoder.card


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("method", "magic"),
        ("backbone", "vgg"),
        ("optimizer", "adam"),
        ("patience", 0),
        ("held_out", 1),
        ("partner_share", 1.1),
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


def test_the_learning_rate_follows_the_batch_and_the_method():
    assert TrainingPlan(batch_size=64).rate == pytest.approx(TrainingPlan(batch_size=256).rate / 4)
    root = TrainingPlan(method="simclr", batch_size=64)
    assert root.optimizer == "adamw" and root.rate == pytest.approx(replace(root, batch_size=256).rate / 2)
    assert TrainingPlan(batch_size=64, learning_rate=0.3).rate == 0.3
    assert TrainingPlan(weight_decay=0.0).weight_decay == 0.0


@pytest.mark.parametrize("name", list(BACKBONES))
def test_backbones_give_features_of_their_dimension(name):
    with torch.random.fork_rng(devices=[]):
        network = build_backbone(name, 2).eval()
    with torch.no_grad():
        assert network(torch.ones(3, 2, 16, 16)).shape == (3, BACKBONES[name])
    with pytest.raises(ArgumentError, match="channels"):
        build_backbone(name, 0)
