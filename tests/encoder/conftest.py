"""Simulated images of two classes, and one encoder trained on them for all tests of this room."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from pyspedas_similarity.encoder.runtime import Encoder
from pyspedas_similarity.encoder.training import TrainingPlan, train
from pyspedas_similarity.encoder.views import ViewOptions

PIXELS = 16
# Far more than the default rate: the tests have a few dozen steps to learn in.
PLAN = TrainingPlan(epochs=12, batch_size=32, learning_rate=0.2, views=ViewOptions(shift=0.2), seed=3)


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Images this small gain nothing from threads, which wait for each other on a busy machine."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def bands() -> np.ndarray:
    """Simulated level (first half) and upright bands at random places with noise, (128, 1, 16, 16) float32."""
    rng = np.random.default_rng(5)
    y, x = np.mgrid[:PIXELS, :PIXELS] - (PIXELS - 1) / 2
    images = [
        np.exp(-((across - rng.uniform(-5, 5)) ** 2) / 2) + 0.3 * rng.normal(size=x.shape)
        for across in (y, x)
        for _ in range(64)
    ]
    return np.array(images, np.float32)[:, None]


@pytest.fixture(scope="session")
def plan() -> TrainingPlan:
    return PLAN


@pytest.fixture(scope="session")
def trained(bands: np.ndarray) -> Encoder:
    recipe = {"pixels": PIXELS}
    return train(
        bands, kind="frame", recipe=recipe, recipe_hash="abcd", data=["simulated bands"], plan=PLAN, name="bands"
    )
