"""Training an encoder on unlabelled images: reproducible from its seed, watched for collapse."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ArgumentError
from .backbone import BACKBONES, build_backbone
from .cards import Card
from .methods import METHODS
from .runtime import Encoder, fill, is_usable, unit_length
from .views import ViewOptions, make_views

if TYPE_CHECKING:
    import torch
    from torch import nn

logger = logging.getLogger(__name__)

FEWEST_IMAGES = 16
POSITIVES = ("views",)

COLLAPSED_STD = 0.1
"""Below this share of 1/sqrt(dimension), the spread of isotropic embeddings, training has collapsed."""
COLLAPSED_RANK = 2.0


@dataclass(frozen=True)
class TrainingPlan:
    """How to train.

    Parameters
    ----------
    method : str
        One of `methods.METHODS`.
    backbone : str
        One of `backbone.BACKBONES`.
    epochs, batch_size : int
        Passes over the images, and images a step; a smaller library is one batch.
    learning_rate : float, optional
        By default 0.2 * batch_size / 256, falling to 0 along a cosine (arXiv:1608.03983). Chen and He (2021) take 0.05
        on a million images; a library of some hundred gives too few steps for that to move anything.
    momentum, weight_decay : float
        Of stochastic gradient descent.
    seed : int
        Decides weights, order and views.
    views : ViewOptions
        How far two views of an image may differ.
    positives : {'views'}
        What counts as the same thing: two views of one image.

    Raises
    ------
    ArgumentError
        A value is unknown or out of its range.
    """

    method: str = "simsiam"
    backbone: str = "compact"
    epochs: int = 30
    batch_size: int = 64
    learning_rate: float | None = None
    momentum: float = 0.9
    weight_decay: float = 5e-4
    seed: int = 0
    views: ViewOptions = field(default_factory=ViewOptions)
    positives: str = "views"

    def __post_init__(self) -> None:
        known = {"method": METHODS, "backbone": BACKBONES, "positives": POSITIVES}
        for name, choices in known.items():
            if getattr(self, name) not in choices:
                raise ArgumentError(name, f"{getattr(self, name)!r}", f"Use one of {', '.join(choices)}.")
        for name, least in {"epochs": 1, "batch_size": 2, "seed": 0}.items():
            value = getattr(self, name)
            if not isinstance(value, int) or not least <= value < 2**63:
                raise ArgumentError(name, f"{value!r}", f"Give a whole number from {least} up.")
        if not 0 < self.rate < math.inf:
            raise ArgumentError("learning_rate", f"{self.rate}", "Give a finite number above 0.")
        if not (0 <= self.momentum < 1 and 0 <= self.weight_decay < 1):
            found = f"{self.momentum}, {self.weight_decay}"
            raise ArgumentError("momentum, weight_decay", found, "Give 0 up to below 1.")

    @property
    def rate(self) -> float:
        """The learning rate at the start."""
        return 0.2 * self.batch_size / 256 if self.learning_rate is None else self.learning_rate

    def as_dict(self) -> dict[str, Any]:
        """The plan as a card keeps it."""
        plain = {each.name: getattr(self, each.name) for each in fields(self)}
        return plain | {"learning_rate": self.rate, "views": self.views.as_dict()}


@dataclass(frozen=True, eq=False)
class TrainedNetwork:
    """What training gives.

    Parameters
    ----------
    weights : dict of str to numpy.ndarray
        The state of the backbone; the heads of the method are dropped.
    channels, pixels : int
        Shape of the images it was trained on.
    plan : TrainingPlan
        How it was trained.
    n_images : int
        How many images were usable.
    losses : list of float
        One a step.
    std_of_normalised : list of float
        One an epoch: spread of unit-length features over the images of a step, averaged over steps.
    report : CollapseReport
        On the embeddings of the training images at the end.
    """

    weights: dict[str, np.ndarray] = field(repr=False)
    channels: int
    pixels: int
    plan: TrainingPlan
    n_images: int
    losses: list[float] = field(repr=False)
    std_of_normalised: list[float]
    report: CollapseReport


@dataclass(frozen=True)
class CollapseReport:
    """Whether embeddings still tell images apart.

    Parameters
    ----------
    std_of_normalised : float
        Spread of unit-length embeddings, mean over dimensions.
    effective_rank : float
        How many directions they use (RankMe).
    dimension : int
        How many directions there are.
    """

    std_of_normalised: float
    effective_rank: float
    dimension: int

    @property
    def collapsed(self) -> bool:
        """True where the spread or the rank is below its threshold."""
        too_close = self.std_of_normalised < COLLAPSED_STD / math.sqrt(self.dimension)
        return too_close or self.effective_rank < COLLAPSED_RANK

    def __str__(self) -> str:
        return (
            f"spread {self.std_of_normalised:.2g} (isotropic: {1 / math.sqrt(self.dimension):.2g}), "
            f"effective rank {self.effective_rank:.1f} of {self.dimension}"
        )


def train(  # noqa: PLR0913  every argument but the images is by name, and a card needs each
    images: np.ndarray,
    *,
    kind: str,
    recipe: dict[str, Any],
    recipe_hash: str,
    data: list[str],
    plan: TrainingPlan,
    name: str,
    progress: bool = True,
) -> Encoder:
    """Train a network and hand it over as an encoder that already runs in ONNX Runtime.

    Parameters
    ----------
    images : numpy.ndarray
        (n, channels, pixels, pixels), NaN where nothing was measured.
    kind : {'distribution', 'frame', 'spectrum', 'window'}
        The kind of image.
    recipe, recipe_hash : dict, str
        How the images were made.
    data : list of str
        Names of the data the images come from.
    plan : TrainingPlan
        How to train.
    name : str
        Name of the encoder.
    progress : bool
        Show a progress bar in a terminal.

    Raises
    ------
    ArgumentError
        Fewer than 16 usable images, or images that are all the same.
    EncoderError
        A card field is not fit for JSON, or the network cannot be exported.
    """
    from .weights import finish

    # Before the long part, so that a wrong word does not cost a training run.
    card = Card(name, kind, plan.method, recipe=recipe, recipe_hash=recipe_hash, training={"data": data})
    return finish(train_network(images, plan, progress), card)


def train_network(images: np.ndarray, plan: TrainingPlan, progress: bool = True) -> TrainedNetwork:
    """Train a backbone on the CPU; the same images, plan and number of threads give the same weights to the last bit.

    Parameters
    ----------
    images : numpy.ndarray
        (n, channels, pixels, pixels), NaN where nothing was measured. Images that cannot be encoded are left out.
    plan : TrainingPlan
        How to train.
    progress : bool
        Show a progress bar in a terminal.

    Raises
    ------
    ArgumentError
        Fewer than 16 usable images, or images that are all the same.

    Notes
    -----
    Ctrl-C ends training with the last finished epoch and one warning; before the first is finished it goes through.
    """
    import torch

    library = torch.from_numpy(_library(images))
    with _own_randomness(plan.seed):
        backbone = build_backbone(plan.backbone, library.shape[1])
        model = METHODS[plan.method](backbone, BACKBONES[plan.backbone])
        losses, spreads = _run(model, library, plan, progress)
        _settle_normalisation(backbone, library, plan.batch_size)
        report = collapse_report(_features(backbone, library, plan.batch_size))
    if report.collapsed:
        logger.warning(
            "Training collapsed: %s. Its embeddings hardly tell images apart. Try a lower learning rate, "
            "stronger views, another seed, more varied images, or a fixed encoder.",
            report,
        )
    weights = {key: value.numpy().copy() for key, value in backbone.state_dict().items()}
    _, channels, pixels, _ = library.shape
    return TrainedNetwork(weights, channels, pixels, plan, len(library), losses, spreads, report)


def collapse_report(embeddings: np.ndarray) -> CollapseReport:
    """Spread and effective rank of embeddings (n, dimension); rows with NaN are left out.

    Notes
    -----
    The spread is the measure of Chen & He 2021; the effective rank is RankMe (Garrido et al. 2023, arXiv:2210.02885),
    the exponential of the entropy of the singular values, taken of the unit-length embeddings.

    Raises
    ------
    ArgumentError
        Fewer than two rows are finite.
    """
    import torch
    from lightly.utils.debug import std_of_l2_normalized

    units = unit_length(embeddings)
    units = units[np.isfinite(units).all(axis=1)]
    if len(units) < 2:
        raise ArgumentError("embeddings", f"{len(units)} rows with a direction", "Give two or more.")
    share = np.linalg.svd(units.astype(np.float64), compute_uv=False)
    share = share[share > 0] / share.sum()
    rank = float(np.exp(-(share * np.log(share)).sum()))
    return CollapseReport(float(std_of_l2_normalized(torch.from_numpy(units))), rank, units.shape[1])


def training_record(network: TrainedNetwork) -> dict[str, Any]:
    """What a card keeps of a training run."""
    packages = ("torch", "torchvision", "lightly", "numpy")
    return {
        "n_samples": network.n_images,
        "plan": network.plan.as_dict(),
        "epochs_done": len(network.std_of_normalised),
        "final_loss": network.losses[-1],
        "std_of_normalised": network.std_of_normalised,
        "effective_rank": network.report.effective_rank,
        "collapsed": network.report.collapsed,
        "versions": {name: version(name) for name in packages},
    }


def _library(images: np.ndarray) -> np.ndarray:
    """The usable images, filled, float32."""
    if np.ndim(images) != 4 or np.shape(images)[2] != np.shape(images)[3]:
        raise ArgumentError("images", f"shape {np.shape(images)}", "Give (n, channels, pixels, pixels).")
    images = np.asarray(images, np.float32)
    usable = is_usable(images)
    if usable.sum() < FEWEST_IMAGES:
        found = f"{usable.sum()} of {len(images)} can be used"
        raise ArgumentError("images", found, f"Give {FEWEST_IMAGES} or more, or use a fixed encoder.")
    filled, _ = fill(images[usable])
    if (filled == filled[0]).all():
        raise ArgumentError("images", f"all {len(filled)} usable ones are the same", "Give images that differ.")
    return filled


def _run(
    model: nn.Module, library: torch.Tensor, plan: TrainingPlan, progress: bool
) -> tuple[list[float], list[float]]:
    """Train `model` in place: the loss of each step and the spread of each epoch."""
    import torch
    from tqdm import tqdm

    generator = torch.Generator().manual_seed(plan.seed)
    optimiser = torch.optim.SGD(model.parameters(), plan.rate, plan.momentum, weight_decay=plan.weight_decay)
    size = min(plan.batch_size, len(library))
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, plan.epochs * (len(library) // size))
    losses: list[float] = []
    spreads: list[float] = []
    finished = None
    # disable=None: a bar in a terminal, nothing in a log.
    bar = tqdm(range(plan.epochs), "training", unit="epoch", delay=2, disable=None if progress else True)
    try:
        for _ in bar:
            step_losses, spread = _epoch(model, library, size, plan.views, generator, (optimiser, schedule))
            losses += step_losses
            spreads.append(spread)
            finished = {key: value.clone() for key, value in model.state_dict().items()}
            bar.set_postfix(loss=f"{losses[-1]:.3f}")
    except KeyboardInterrupt:
        if finished is None:
            raise
        model.load_state_dict(finished)
        logger.warning("Training was stopped: %d of %d epochs are finished and kept.", len(spreads), plan.epochs)
    finally:
        bar.close()
    return losses, spreads


def _epoch(
    model: nn.Module,
    library: torch.Tensor,
    size: int,
    views: ViewOptions,
    generator: torch.Generator,
    steering: tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler],
) -> tuple[list[float], float]:
    """One pass over the library in full batches: the loss of each step, the mean spread of features."""
    import torch
    from lightly.utils.debug import std_of_l2_normalized

    optimiser, schedule = steering
    order = torch.randperm(len(library), generator=generator)
    losses, spreads = [], []
    for first in range(0, len(order) - size + 1, size):
        batch = library[order[first : first + size]]
        loss, features = model(make_views(batch, views, generator), make_views(batch, views, generator))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        losses.append(loss.item())
        spreads.append(float(std_of_l2_normalized(features.detach())))
    return losses, float(np.mean(spreads))


def _settle_normalisation(backbone: nn.Module, library: torch.Tensor, size: int) -> None:
    """Set batch normalisation to the library's own statistics: moving averages lag behind in a short training."""
    from torch.optim.swa_utils import update_bn

    batches = list(library.split(size))
    if len(batches) > 1 and len(batches[-1]) == 1:
        batches.pop()  # batch normalisation needs two values
    update_bn(batches, backbone)


def _features(backbone: nn.Module, library: torch.Tensor, size: int) -> np.ndarray:
    """Features (n, dimension) of the library, as at use."""
    import torch

    backbone.eval()
    with torch.no_grad():
        return torch.cat([backbone(batch) for batch in library.split(size)]).numpy()


@contextmanager
def _own_randomness(seed: int) -> Iterator[None]:
    """torch's CPU generator at `seed` inside, as it was outside; deterministic algorithms inside."""
    import torch

    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        torch.use_deterministic_algorithms(True)
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(before[0], warn_only=before[1])
