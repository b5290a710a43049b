"""Self-supervised training of an encoder: reproducible by seed, with collapse detection and exact resumption."""

from __future__ import annotations

import copy
import logging
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ArgumentError
from .backbone import BACKBONES, as_encoder, build_backbone, require_training
from .cards import Card
from .checkpoints import CheckpointStore
from .methods import METHODS, build_model
from .monitor import CollapseReport, Evaluation, History, collapse_report, partner_precision
from .runtime import Encoder, unit_length
from .training_images import TrainingImages, make_training_images
from .views import VIEWS, ViewOptions, make_views

if TYPE_CHECKING:
    import torch
    from torch import nn

logger = logging.getLogger(__name__)

OPTIMIZERS = ("sgd", "adamw")
BY_PARTNERS = "mean average precision of partners in held-out groups"
BY_EPOCH = "last epoch that had not collapsed"

AfterEpoch = Callable[[int, dict[str, np.ndarray]], None]
"""Function that is called with the number of an epoch and the weights of the backbone."""


@dataclass(frozen=True)
class TrainingPlan:
    """Options of training.

    Parameters
    ----------
    method : str
        One of `methods.METHODS`.
    backbone : str
        One of `backbone.BACKBONES`.
    epochs, batch_size : int
        Number of epochs, and images per batch; a smaller library is one batch.
    learning_rate : float, optional
        Initial learning rate, with cosine decay to 0 (arXiv:1608.03983). Default: that of the method for a batch of
        256, scaled linearly with the batch size for 'sgd' (arXiv:1706.02677), and with its square root for 'adamw'
        (arXiv:2205.10287).
    optimizer : {'sgd', 'adamw'}, optional
        Default: that of the method.
    momentum : float
        Momentum of SGD, or beta1 of AdamW.
    weight_decay : float, optional
        Default: that of the method.
    seed : int
        Seed of weights, order, views, partners and held-out groups.
    views : ViewOptions, optional
        Limits of the augmentation; default: `views.VIEWS` for the kind of image.
    partner_share : float
        Probability that the second view is one of a partner, if an image has partners.
    held_out : float
        Fraction of the images, in whole groups, held out to evaluate epochs, if there are partners and groups.
    patience : int
        Epochs without improvement before training stops.

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
    optimizer: str | None = None
    momentum: float = 0.9
    weight_decay: float | None = None
    seed: int = 0
    views: ViewOptions | None = None
    partner_share: float = 0.8
    held_out: float = 0.2
    patience: int = 10

    def __post_init__(self) -> None:
        known = {"method": METHODS, "backbone": BACKBONES, "optimizer": (None, *OPTIMIZERS)}
        for name, choices in known.items():
            if getattr(self, name) not in choices:
                remedy = f"Use one of {', '.join(str(each) for each in choices)}."
                raise ArgumentError(name, f"{getattr(self, name)!r}", remedy)
        for name, least in {"epochs": 1, "batch_size": 2, "seed": 0, "patience": 1}.items():
            value = getattr(self, name)
            if not isinstance(value, int) or not least <= value < 2**63:
                raise ArgumentError(name, f"{value!r}", f"Give a whole number from {least} up.")
        method = METHODS[self.method]
        if self.optimizer is None:
            object.__setattr__(self, "optimizer", method.optimizer)
        if self.weight_decay is None:
            object.__setattr__(self, "weight_decay", method.weight_decay)
        if not 0 < self.rate < math.inf:
            raise ArgumentError("learning_rate", f"{self.rate}", "Give a finite number above 0.")
        for name in ("momentum", "weight_decay", "held_out"):
            if not 0 <= getattr(self, name) < 1:
                raise ArgumentError(name, f"{getattr(self, name)}", "Give 0 up to below 1.")
        if not 0 <= self.partner_share <= 1:
            raise ArgumentError("partner_share", f"{self.partner_share}", "Give 0 up to 1.")

    @property
    def rate(self) -> float:
        """Initial learning rate."""
        if self.learning_rate is not None:
            return self.learning_rate
        share = self.batch_size / 256
        return METHODS[self.method].rate * (share if self.optimizer == "sgd" else math.sqrt(share))

    def as_dict(self) -> dict[str, Any]:
        """Return the plan as a dict of JSON types, for a card."""
        return asdict(self) | {"learning_rate": self.rate}


@dataclass(frozen=True, eq=False)
class TrainedNetwork:
    """Outcome of training; `weights` is the state dict of the backbone at its best epoch, without the heads."""

    weights: dict[str, np.ndarray] = field(repr=False)
    channels: int
    pixels: int
    plan: TrainingPlan
    history: History = field(repr=False)
    n_images: int
    n_held_out: int
    n_with_partners: int
    device: str

    @property
    def report(self) -> CollapseReport:
        """Measures of collapse at the best epoch."""
        return self.history.best.report


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
    positives: np.ndarray | None = None,
    groups: np.ndarray | None = None,
    checkpoint: str | Path | None = None,
) -> Encoder:
    """Train a network as `train_network` and return it as an encoder that runs in ONNX Runtime."""
    require_training()
    # Checked before the long training.
    card = Card(name, kind, plan.method, recipe=recipe, recipe_hash=recipe_hash, training={"data": data})
    plan = plan if plan.views is not None else replace(plan, views=VIEWS[kind])
    network = train_network(images, plan, progress, positives, groups, checkpoint)
    return as_trained_encoder(network, card)


def as_trained_encoder(network: TrainedNetwork, card: Card) -> Encoder:
    """Return a trained network as an encoder, with shape, training record and checksums added to the card."""
    plan = network.plan
    description = f"{plan.backbone} network trained by {plan.method} on {network.n_images} images, seed {plan.seed}."
    card = replace(
        card,
        description=card.description or description,
        channels=network.channels,
        pixels=network.pixels,
        training=card.training | training_record(network),
    )
    return as_encoder(plan.backbone, network.weights, card)


def train_network(
    images: np.ndarray,
    plan: TrainingPlan,
    progress: bool = True,
    positives: np.ndarray | None = None,
    groups: np.ndarray | None = None,
    checkpoint: str | Path | None = None,
    after_epoch: AfterEpoch | None = None,
) -> TrainedNetwork:
    """Train a backbone and keep its best epoch.

    Images are (n, channels, pixels, pixels), NaN where nothing was measured; those that cannot be encoded are omitted.
    `positives`, (n,) or (n, k), are row numbers of images of the same event, -1 for none; the second view may be one of
    them. With them and `groups`, (n,) labels of events or nights, some groups are held out, and the epoch with the
    highest precision of partners is kept; otherwise, the last epoch that has not collapsed. Training continues from a
    checkpoint of the same plan and data in the folder `checkpoint`. `after_epoch` is called after each epoch, not for
    those before a resumption.

    A GPU is used if available. On the CPU, the weights are reproducible bit for bit with the same images, plan and
    number of threads, also after resumption; on a GPU up to rounding. Ctrl-C ends training with the best finished epoch
    and one warning; before the end of the first epoch it raises KeyboardInterrupt. If a checkpoint cannot be written,
    one warning is logged and training continues.
    """
    require_training()
    plan = plan if plan.views is not None else replace(plan, views=ViewOptions())
    library = make_training_images(images, positives, groups, plan.held_out, plan.seed)
    if positives is not None and groups is not None and plan.held_out > 0 and not len(library.held_out):
        logger.warning("No group with partners could be held out: epochs are evaluated by collapse only.")
    store = None
    if checkpoint is not None:
        store = CheckpointStore(Path(checkpoint), {"plan": plan.as_dict(), "data": library.hash()})
    device = training_device()
    with own_randomness(plan.seed, device):
        run = Run(plan, library, device)
        if store is not None:
            store.restore(run)
        run.after_epoch = after_epoch
        run.until_end(store, progress)
    _log_warnings(run.history)
    _, channels, pixels, _ = library.images.shape
    n_with_partners = int((library.partners >= 0).any(axis=1).sum())
    counts = len(library.training), len(library.held_out), n_with_partners
    return TrainedNetwork(run.best, channels, pixels, plan, run.history, *counts, device)


def training_record(network: TrainedNetwork) -> dict[str, Any]:
    """Return the record of a training run for a card."""
    packages = ("torch", "torchvision", "lightly", "numpy")
    return {
        "n_samples": network.n_images,
        "n_held_out": network.n_held_out,
        "n_with_partners": network.n_with_partners,
        "plan": network.plan.as_dict(),
        "chosen_by": BY_PARTNERS if network.n_held_out else BY_EPOCH,
        **network.history.as_dict(),
        "interrupted": network.history.ended_by == "interrupt",
        "epochs_done": len(network.history.losses),
        "final_loss": network.history.losses[-1],
        **network.history.best.as_dict(),
        "collapsed": network.report.collapsed,
        "device": network.device,
        "versions": {name: version(name) for name in packages},
    }


class Run:
    """State of a training run: weights, optimizer state and history; random numbers depend on seed and epoch only."""

    def __init__(self, plan: TrainingPlan, library: TrainingImages, device: str) -> None:
        import torch

        self.plan, self.library, self.device = plan, library, device
        self.after_epoch: AfterEpoch | None = None
        backbone = build_backbone(plan.backbone, library.images.shape[1])
        # Channels last: convolutions with few channels are up to four times faster on a CPU.
        model = build_model(plan.method, backbone, BACKBONES[plan.backbone])
        self.model = model.to(device=device, memory_format=torch.channels_last)
        weights = [each for each in self.model.parameters() if each.requires_grad]
        if plan.optimizer == "sgd":
            self.optimizer = torch.optim.SGD(weights, plan.rate, plan.momentum, weight_decay=plan.weight_decay)
        else:
            betas = (plan.momentum, 0.999)
            self.optimizer = torch.optim.AdamW(weights, plan.rate, betas, weight_decay=plan.weight_decay)
        self.best: dict[str, np.ndarray] = {}
        self.history = History(_evaluate(_with_updated_batch_norm(self), library, device))

    def until_end(self, store: CheckpointStore | None, progress: bool) -> None:
        """Train until the history or an interrupt ends the training."""
        from tqdm import tqdm

        done = len(self.history.losses)
        # disable=None shows the bar only in a terminal.
        hidden = None if progress else True
        bar = tqdm(None, "training", self.plan.epochs, initial=done, unit="epoch", delay=2, disable=hidden)
        try:
            while not self.history.ended_by:
                self._one_epoch()
                if store is not None:
                    store.save(self)
                bar.update()
                bar.set_postfix(loss=f"{self.history.losses[-1]:.3f}")
        except KeyboardInterrupt:
            if not self.best:
                raise
            self.history.ended_by = "interrupt"
        finally:
            bar.close()

    def _one_epoch(self) -> None:
        loss = _epoch(self.model, self.optimizer, self.library, self.plan, len(self.history.losses))
        if not math.isfinite(loss):
            if not self.best:
                raise ArgumentError("learning_rate", "the loss is not finite in the first epoch", "Give a lower one.")
            self.history.ended_by = "divergence"
            return
        backbone = _with_updated_batch_norm(self)
        evaluation = _evaluate(backbone, self.library, self.device)
        # safetensors ignores strides, so the arrays must be contiguous.
        weights = {key: value.cpu().contiguous().numpy() for key, value in backbone.state_dict().items()}
        if self.history.add(loss, evaluation, self.plan):
            self.best = weights
        if self.after_epoch is not None:
            self.after_epoch(len(self.history.losses), weights)


def _epoch(
    model: nn.Module, optimizer: torch.optim.Optimizer, library: TrainingImages, plan: TrainingPlan, epoch: int
) -> float:
    """Train for one epoch in full batches; return the mean loss, or NaN as soon as a loss is not finite."""
    import torch

    device = next(model.parameters()).device
    rng = np.random.default_rng([plan.seed, 3, epoch])
    generator = torch.Generator(device).manual_seed(int(rng.integers(2**63)))
    order = rng.permutation(library.training)
    size = min(plan.batch_size, len(order))
    steps = len(order) // size
    losses = []
    model.train()
    for step in range(steps):
        done = (epoch + step / steps) / plan.epochs
        optimizer.param_groups[0]["lr"] = plan.rate * (1 + math.cos(math.pi * done)) / 2
        rows = order[step * size : (step + 1) * size]
        views = []
        for shown in (rows, library.sample_partners(rows, plan.partner_share, rng)):
            batch = torch.from_numpy(library.batch(shown)).to(device)
            view = make_views(batch, plan.views, generator)
            views.append(view.contiguous(memory_format=torch.channels_last))
        loss = model(*views)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        model.follow(done)
        losses.append(loss.item())
        if not math.isfinite(losses[-1]):
            return math.nan
    return float(np.mean(losses))


def _with_updated_batch_norm(run: Run) -> nn.Module:
    """Return a copy of the backbone with recomputed batch normalization; moving averages lag in short training."""
    from torch.optim.swa_utils import update_bn

    backbone = copy.deepcopy(run.model.backbone)
    update_bn(_batches(run.library, run.library.batch_norm_rows(), run.device, least=2), backbone)
    return backbone.eval()


def _evaluate(backbone: nn.Module, library: TrainingImages, device: str) -> Evaluation:
    """Evaluate the embeddings of some images, held-out ones if there are any."""
    import torch

    rows, partners = library.evaluation_rows()
    with torch.no_grad():
        embeddings = torch.cat([backbone(batch) for batch in _batches(library, rows, device)]).cpu().numpy()
    precision = partner_precision(embeddings, partners) if len(library.held_out) else math.nan
    if np.isfinite(unit_length(embeddings)).all(axis=1).sum() < 2:
        # All features are zero or not finite: complete collapse.
        return Evaluation(CollapseReport(0.0, 1.0, embeddings.shape[1]), precision)
    return Evaluation(collapse_report(embeddings), precision)


def _batches(library: TrainingImages, rows: np.ndarray, device: str, least: int = 1) -> Iterator[torch.Tensor]:
    """Yield images of `rows` in batches of 256; a last batch of fewer than `least` is omitted."""
    import torch

    for first in range(0, len(rows), 256):
        part = rows[first : first + 256]
        if len(part) >= least:
            images = torch.from_numpy(library.batch(part)).to(device)
            yield images.contiguous(memory_format=torch.channels_last)


def _log_warnings(history: History) -> None:
    """Log a warning of collapse, divergence or interruption."""
    done, best = len(history.losses), history.best_epoch
    if history.ended_by == "interrupt":
        logger.warning("Training was interrupted after %d epochs; epoch %d is kept.", done, best)
    if history.best.report.collapsed or history.ended_by == "collapse":
        logger.warning(
            "Training collapsed: %s after epoch %d, the one kept is %d. Collapsed embeddings hardly differ. "
            "Try a lower learning rate, stronger views, another seed, more varied images, or a fixed encoder.",
            history.evaluations[-1].report,
            done,
            best,
        )
    elif history.ended_by == "divergence":
        logger.warning("The loss became infinite in epoch %d; epoch %d is kept. Lower the rate.", done + 1, best)
    elif history.best.precision <= history.untrained.precision:
        logger.warning(
            "Training did not help: partners find each other with precision %.3f, before training with %.3f.",
            history.best.precision,
            history.untrained.precision,
        )


def training_device() -> str:
    """Return the device: 'cuda' if there is a GPU, else 'cpu'."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


@contextmanager
def own_randomness(seed: int, device: str) -> Iterator[None]:
    """Seed torch's CPU generator within the context and restore it; on the CPU, use deterministic algorithms."""
    import torch

    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        if device == "cpu":
            torch.use_deterministic_algorithms(True)
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(before[0], warn_only=before[1])
