"""Methods: each loss is its paper's formula, gradients stop where they should, and each learns."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pyspedas_similarity.encoder.backbone import BACKBONES, build_backbone
from pyspedas_similarity.encoder.methods import FIRST_MOMENTUM, METHODS, build_model
from pyspedas_similarity.encoder.training import TrainingPlan, train_network
from pyspedas_similarity.encoder.views import ViewOptions

torch = pytest.importorskip("torch")


def model_of(method: str) -> torch.nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return build_model(method, build_backbone("compact", 1), BACKBONES["compact"])


@pytest.fixture
def views(bands):
    return torch.from_numpy(bands[:8]), torch.from_numpy(bands[8:16])


def projections(model: torch.nn.Module, views: tuple) -> list[np.ndarray]:
    with torch.no_grad():
        return [model.projection(model.backbone(view)).numpy().astype(float) for view in views]


def cosine(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    first, second = (each / np.linalg.norm(each, axis=1, keepdims=True) for each in (first, second))
    return first @ second.T


def loss_of(model: torch.nn.Module, views: tuple) -> float:
    with torch.no_grad():
        return float(model(*views))


@pytest.mark.parametrize("method", ["simsiam", "byol"])
def test_predicting_methods_compare_each_prediction_with_the_other_target(method, views):
    """Chen & He 2021, algorithm 1; Grill et al. 2020, equation 2, up to its constant 2 and factor 2."""
    model = model_of(method).eval()
    z = projections(model, views)
    with torch.no_grad():
        p = [model.prediction(torch.from_numpy(each).float()).numpy() for each in z]
    expected = -(np.diag(cosine(p[0], z[1])).mean() + np.diag(cosine(p[1], z[0])).mean()) / 2
    # Before the first step BYOL's target is the network itself.
    assert loss_of(model, views) == pytest.approx(expected, abs=1e-5)


def test_simclr_finds_the_other_view_among_all_others(views):
    """Chen et al. 2020, equation 1, at temperature 0.2."""
    model = model_of("simclr").eval()
    z = np.concatenate(projections(model, views))
    logits = np.exp(cosine(z, z) / 0.2)
    np.fill_diagonal(logits, 0)
    other = np.roll(np.arange(16), 8)
    expected = -np.log(logits[np.arange(16), other] / logits.sum(1)).mean()
    assert loss_of(model, views) == pytest.approx(expected, abs=1e-4)


def test_vicreg_is_invariance_variance_covariance(views):
    """Bardes et al. 2022, equations 1 to 6, with half of each of the variance terms."""
    model = model_of("vicreg").eval()
    z = projections(model, views)
    expected = 25 * np.mean((z[0] - z[1]) ** 2)
    for each in z:
        covariance = np.cov(each.T)
        expected += 25 * np.maximum(0, 1 - np.sqrt(np.diag(covariance) + 1e-4)).mean() / 2
        expected += ((covariance**2).sum() - (np.diag(covariance) ** 2).sum()) / each.shape[1]
    assert loss_of(model, views) == pytest.approx(expected, rel=1e-4)


def test_barlow_twins_brings_the_correlation_matrix_to_the_identity(views):
    """Zbontar et al. 2021, equation 1, with its weight of 0.005."""
    model = model_of("barlow_twins").eval()
    z = [(each - each.mean(0)) / np.sqrt(each.var(0) + 1e-5) for each in projections(model, views)]
    correlation = z[0].T @ z[1] / 8
    off = correlation - np.diag(np.diag(correlation))
    expected = ((1 - np.diag(correlation)) ** 2).sum() + 5e-3 * (off**2).sum()
    assert loss_of(model, views) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("method", ["simsiam", "byol"])
def test_no_gradient_goes_through_the_target(method, views):
    model = model_of(method)
    with torch.no_grad():
        for weight in model.prediction.parameters():
            weight.zero_()
    # With a predictor of zeros only the target could carry a gradient to the backbone.
    model(*views).backward()
    assert all(weight.grad is None or not weight.grad.any() for weight in model.backbone.parameters())


def test_byols_target_follows_slowly_and_more_slowly_at_the_end():
    model = model_of("byol")
    start = [weight.clone() for weight in model.target.parameters()]
    with torch.no_grad():
        for weight in model.online.parameters():
            weight.add_(1.0)
    model.follow(0.0)
    for weight, before in zip(model.target.parameters(), start, strict=True):
        torch.testing.assert_close(weight, before + (1 - FIRST_MOMENTUM), atol=1e-5, rtol=0)
    followed = [weight.clone() for weight in model.target.parameters()]
    model.follow(1.0)
    for weight, before in zip(model.target.parameters(), followed, strict=True):
        torch.testing.assert_close(weight, before, atol=1e-7, rtol=0)


@pytest.mark.parametrize("method", list(METHODS))
def test_every_method_lowers_its_loss_and_keeps_its_spread(method, bands):
    plan = TrainingPlan(method=method, epochs=5, batch_size=16, views=ViewOptions(shift=0.2), seed=3)
    if METHODS[method].optimizer == "sgd":
        plan = replace(plan, learning_rate=0.2)  # 20 steps are few
    network = train_network(bands[::2], plan, progress=False)
    losses = network.history.losses
    assert len(losses) == 5 and losses[-1] < losses[0] - 0.02 * abs(losses[0])
    assert not network.report.collapsed and network.history.ended_by == "plan"
