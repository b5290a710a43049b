"""Training an encoder on unlabeled images: reproducible from its seed, watched for collapse, resumed exactly."""

from __future__ import annotations

import copy
import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ArgumentError, EncoderError
from .backbone import BACKBONES, build_backbone, require_training
from .cards import Card
from .checkpoints import Checkpoint, read_checkpoint, write_checkpoint
from .export import as_encoder
from .methods import METHODS, build_model
from .monitor import CollapseReport, collapse_report, partner_precision
from .runtime import Encoder, unit_length
from .training_images import TrainingImages, make_training_images
from .views import VIEWS, ViewOptions, make_views

if TYPE_CHECKING:
    import torch
    from torch import nn

logger = logging.getLogger(__name__)

OPTIMIZERS = ("sgd", "adamw")
COLLAPSED_EPOCHS = 3
"""So many collapsed epochs on end stop a training; one alone may be a step too far that mends itself."""
BY_PARTNERS = "mean average precision of partners in held-out groups"
BY_EPOCH = "last epoch that had not collapsed"


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
        Passes over the images, and images a step; a smaller library is one batch.
    learning_rate : float, optional
        At the start, falling to 0 along a cosine (arXiv:1608.03983). By default the method's own, which is for a batch
        of 256, in proportion to the batch for 'sgd' (arXiv:1706.02677), to its root for 'adamw' (arXiv:2205.10287).
    optimizer : {'sgd', 'adamw'}, optional
        By default the method's own.
    momentum : float
        Of stochastic gradient descent, or of AdamW's first moment.
    weight_decay : float, optional
        By default the method's own.
    seed : int
        Decides weights, order, views, partners and which groups are held out.
    views : ViewOptions, optional
        How far two views of an image may differ; by default what `views.VIEWS` has for the kind of image.
    partner_share : float
        Where an image has partners, how often the second view is of one of them and not of the image itself.
    held_out : float
        Share of the images, in whole groups, kept for judging epochs, where there are partners and groups.
    patience : int
        Epochs without a better judgment before training stops.

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
        """The learning rate at the start."""
        if self.learning_rate is not None:
            return self.learning_rate
        share = self.batch_size / 256
        return METHODS[self.method].rate * (share if self.optimizer == "sgd" else math.sqrt(share))

    def as_dict(self) -> dict[str, Any]:
        """The plan as a card keeps it."""
        plain = {each.name: getattr(self, each.name) for each in fields(self)}
        return plain | {"learning_rate": self.rate, "views": None if self.views is None else self.views.as_dict()}


@dataclass(frozen=True)
class Judgment:
    """Measures of the embeddings after an epoch.

    Parameters
    ----------
    report : CollapseReport
        True if they distinguish images.
    precision : float
        Whether partners of held-out groups find each other; NaN where there are none.
    """

    report: CollapseReport
    precision: float

    def as_dict(self) -> dict[str, float | None]:
        """The numbers by name, None for NaN, which JSON has not."""
        return {
            "std_of_normalized": self.report.std_of_normalized,
            "effective_rank": self.report.effective_rank,
            "held_out_precision": None if math.isnan(self.precision) else self.precision,
        }

    @classmethod
    def from_dict(cls, record: dict[str, Any], dimension: int) -> Judgment:
        """The judgment that `as_dict` wrote."""
        precision = record["held_out_precision"]
        report = CollapseReport(record["std_of_normalized"], record["effective_rank"], dimension)
        return cls(report, math.nan if precision is None else precision)

    def better_than(self, other: Judgment) -> bool:
        """Return True if this judgment, the later one, is preferred."""
        if self.report.collapsed != other.report.collapsed:
            return other.report.collapsed
        return math.isnan(self.precision) or self.precision > other.precision


@dataclass
class History:
    """History of a run; one entry for each epoch.

    Parameters
    ----------
    untrained : Judgment
        Of the network with random weights.
    losses : list of float
        One an epoch, mean over its steps.
    judgments : list of Judgment
        One an epoch.
    best_epoch : int
        Whose weights are kept, from 1; 0 before the first.
    ended_by : {'', 'plan', 'patience', 'collapse', 'divergence', 'interrupt'}
        Reason for the end; '' while training continues.
    """

    untrained: Judgment
    losses: list[float] = field(default_factory=list)
    judgments: list[Judgment] = field(default_factory=list)
    best_epoch: int = 0
    ended_by: str = ""

    @property
    def best(self) -> Judgment:
        """Judgment of the best epoch."""
        return self.judgments[self.best_epoch - 1]

    def add(self, loss: float, judgment: Judgment, plan: TrainingPlan) -> bool:
        """Add an epoch: True if it is the best so far; `ended_by` gives the reason if training should end."""
        better = not self.best_epoch or judgment.better_than(self.best)
        self.losses.append(loss)
        self.judgments.append(judgment)
        epochs = len(self.losses)
        if better:
            self.best_epoch = epochs
        last = self.judgments[-COLLAPSED_EPOCHS:]
        if epochs == plan.epochs:
            self.ended_by = "plan"
        elif len(last) == COLLAPSED_EPOCHS and all(each.report.collapsed for each in last):
            self.ended_by = "collapse"
        elif epochs - self.best_epoch >= plan.patience and not math.isnan(judgment.precision):
            self.ended_by = "patience"
        return better

    def as_dict(self) -> dict[str, Any]:
        """Return the history in values that JSON can hold."""
        curves = {"loss": list(self.losses)}
        for name in self.untrained.as_dict():
            curves[name] = [each.as_dict()[name] for each in self.judgments]
        return {
            "curves": curves,
            "untrained": self.untrained.as_dict(),
            "best_epoch": self.best_epoch,
            "ended_by": self.ended_by,
        }

    @classmethod
    def from_dict(cls, record: dict[str, Any], dimension: int) -> History:
        """The history that `as_dict` wrote."""
        untrained = Judgment.from_dict(record["untrained"], dimension)
        curves = record["curves"]
        rows = zip(*(curves[name] for name in record["untrained"]), strict=True)
        judgments = [Judgment.from_dict(dict(zip(record["untrained"], row, strict=True)), dimension) for row in rows]
        return cls(untrained, list(curves["loss"]), judgments, record["best_epoch"], record["ended_by"])


@dataclass(frozen=True, eq=False)
class TrainedNetwork:
    """Outcome of training.

    Parameters
    ----------
    weights : dict of str to numpy.ndarray
        The state of the backbone at its best epoch; the heads of the method are dropped.
    channels, pixels : int
        Shape of the images it was trained on.
    plan : TrainingPlan
        How it was trained.
    history : History
        How it went.
    n_images, n_held_out, n_with_partners : int
        How many images were trained on, kept for judging, and have a partner.
    device : str
        Where it was trained: 'cpu' or 'cuda'.
    """

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
        """On its embeddings."""
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
    """Train a network and return it as an encoder that runs in ONNX Runtime.

    Parameters
    ----------
    images, plan, progress, positives, groups, checkpoint
        As in `train_network`.
    kind, recipe, recipe_hash, name
        As in `Card`.
    data : list of str
        Names of the data the images come from.

    Raises
    ------
    ArgumentError, EncoderError
        As `train_network`; also if a field of the card does not fit into JSON, or the network cannot be exported.
    """
    require_training()
    # Before the long part, so that a wrong word does not cost a training run.
    card = Card(name, kind, plan.method, recipe=recipe, recipe_hash=recipe_hash, training={"data": data})
    plan = plan if plan.views is not None else replace(plan, views=VIEWS[kind])
    network = train_network(images, plan, progress, positives, groups, checkpoint)
    return as_trained_encoder(network, card)


def as_trained_encoder(network: TrainedNetwork, card: Card) -> Encoder:
    """Return a trained network as an encoder, with shape, training record and checksums added to the card.

    Raises
    ------
    EncoderError
        The exported network gives other features than torch.
    """
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
) -> TrainedNetwork:
    """Train a backbone and keep its best epoch.

    On the CPU the same images, plan and number of threads give the same weights to the last bit, resumed or not; on a
    GPU, which is taken where there is one, to rounding.

    Parameters
    ----------
    images : numpy.ndarray
        (n, channels, pixels, pixels), NaN where nothing was measured. Images that cannot be encoded are left out.
    plan : TrainingPlan
        How to train.
    progress : bool
        Show a progress bar in a terminal.
    positives : numpy.ndarray, optional
        (n,) or (n, k) rows of `images` that saw the same thing, -1 for none: see `positives`. A second view may be of
        one of them.
    groups : numpy.ndarray, optional
        (n,) labels of events or nights. With `positives`, some groups are held out, and the epoch is kept whose
        embeddings find partners there best. Without, there is nothing to judge by but collapse: the last epoch is kept
        that had not collapsed.
    checkpoint : str or pathlib.Path, optional
        Folder for a checkpoint. If it has one of the same plan and data, training continues from there.

    Raises
    ------
    ArgumentError
        Fewer than 16 usable images, images that are all the same, relations that do not fit them, or a learning rate at
        which the first epoch fails.
    EncoderError
        The checkpoint is damaged, of another run, or its folder cannot be made.

    Notes
    -----
    Ctrl-C ends training with the best finished epoch and one warning; before the first is finished it goes through. A
    checkpoint that cannot be written, for lack of space, is reported once, and training continues.
    """
    require_training()
    plan = plan if plan.views is not None else replace(plan, views=ViewOptions())
    library = make_training_images(images, positives, groups, plan.held_out, plan.seed)
    if positives is not None and groups is not None and plan.held_out > 0 and not len(library.held_out):
        logger.warning("No group could be held out with partners in it: training is judged by collapse alone.")
    store = None if checkpoint is None else _Store(Path(checkpoint), plan, library)
    device = training_device()
    with own_randomness(plan.seed, device):
        run = _Run(plan, library, device)
        if store is not None:
            store.restore(run)
        run.until_end(store, progress)
    _warn_of(run.history)
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


class _Run:
    """A training that can go on from where it stands.

    All randomness of an epoch follows from the plan's seed and the number of the epoch, so there is no state of a
    generator to keep: weights, the optimizer's memory and the history are all of it.
    """

    def __init__(self, plan: TrainingPlan, library: TrainingImages, device: str) -> None:
        import torch

        self.plan, self.library, self.device = plan, library, device
        backbone = build_backbone(plan.backbone, library.images.shape[1])
        # Channels last: convolutions of few channels run up to four times as fast on a CPU.
        model = build_model(plan.method, backbone, BACKBONES[plan.backbone])
        self.model = model.to(device=device, memory_format=torch.channels_last)
        weights = [each for each in self.model.parameters() if each.requires_grad]
        if plan.optimizer == "sgd":
            self.optimizer = torch.optim.SGD(weights, plan.rate, plan.momentum, weight_decay=plan.weight_decay)
        else:
            betas = (plan.momentum, 0.999)
            self.optimizer = torch.optim.AdamW(weights, plan.rate, betas, weight_decay=plan.weight_decay)
        self.best: dict[str, np.ndarray] = {}
        self.history = History(_judge(_with_batch_norm(self), library, device))

    def until_end(self, store: _Store | None, progress: bool) -> None:
        """Train until the history or the user ends it."""
        from tqdm import tqdm

        done = len(self.history.losses)
        # disable=None: a bar in a terminal, nothing in a log.
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
        backbone = _with_batch_norm(self)
        judgment = _judge(backbone, self.library, self.device)
        # Contiguous: safetensors writes an array of another order of axes as if it were in this one.
        weights = {key: value.cpu().contiguous().numpy() for key, value in backbone.state_dict().items()}
        if self.history.add(loss, judgment, self.plan):
            self.best = weights


class _Store:
    """The checkpoint of a run."""

    def __init__(self, folder: Path, plan: TrainingPlan, library: TrainingImages) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise EncoderError(str(folder), f"cannot be made ({error})", "Choose a folder that can be.") from error
        self.folder, self.warned = folder, False
        self.identity = {"plan": plan.as_dict(), "data": library.hash()}

    def restore(self, run: _Run) -> None:
        """Bring `run` to where the checkpoint stands, if there is one."""
        import torch

        found = read_checkpoint(self.folder, self.identity)
        if found is None:
            return
        parts: dict[str, dict[str, Any]] = {"model": {}, "best": {}, "optimizer": {}}
        for name, values in found.tensors.items():
            part, _, key = name.partition(".")
            parts[part][key] = values if part == "best" else torch.from_numpy(values)
        memory: dict[int, dict[str, torch.Tensor]] = {}
        for name, value in parts["optimizer"].items():
            index, _, key = name.partition(".")
            memory.setdefault(int(index), {})[key] = value
        try:
            run.model.load_state_dict(parts["model"])
            run.optimizer.load_state_dict({**run.optimizer.state_dict(), "state": memory})
            run.history = History.from_dict(found.record, BACKBONES[run.plan.backbone])
            run.best = {key: parts["best"][key] for key in run.model.backbone.state_dict()}
        except (RuntimeError, ValueError, KeyError, TypeError) as error:
            remedy = "Choose another folder, or remove it to start again."
            raise EncoderError(str(self.folder), f"does not fit the network ({error})", remedy) from error

    def save(self, run: _Run) -> None:
        """Write a checkpoint; a disk that takes none is warned of once."""
        tensors = {f"model.{key}": value.cpu().numpy() for key, value in run.model.state_dict().items()}
        tensors |= {f"best.{key}": value for key, value in run.best.items()}
        for index, memory in run.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{key}": value.cpu().numpy() for key, value in memory.items()}
        try:
            write_checkpoint(self.folder, self.identity, Checkpoint(tensors, run.history.as_dict()))
        except OSError as error:
            if not self.warned:
                logger.warning(
                    "No checkpoint can be written to %s (%s). Training continues; the previous one is kept.",
                    self.folder,
                    error,
                )
            self.warned = True


def _epoch(
    model: nn.Module, optimizer: torch.optim.Optimizer, library: TrainingImages, plan: TrainingPlan, epoch: int
) -> float:
    """One pass over the training images in full batches: the mean loss, NaN as soon as a step's is not finite."""
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
        for shown in (rows, library.drawn(rows, plan.partner_share, rng)):
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


def _with_batch_norm(run: _Run) -> nn.Module:
    """Return a copy of the backbone with batch normalization recomputed: moving averages lag in short training."""
    from torch.optim.swa_utils import update_bn

    backbone = copy.deepcopy(run.model.backbone)
    update_bn(_batches(run.library, run.library.batch_norm_rows(), run.device, least=2), backbone)
    return backbone.eval()


def _judge(backbone: nn.Module, library: TrainingImages, device: str) -> Judgment:
    """Look at the embeddings of some images: of held-out ones where there are any."""
    import torch

    rows, partners = library.probed()
    with torch.no_grad():
        embeddings = torch.cat([backbone(batch) for batch in _batches(library, rows, device)]).cpu().numpy()
    precision = partner_precision(embeddings, partners) if len(library.held_out) else math.nan
    if np.isfinite(unit_length(embeddings)).all(axis=1).sum() < 2:
        # No directions at all: what a constant would give.
        return Judgment(CollapseReport(0.0, 1.0, embeddings.shape[1]), precision)
    return Judgment(collapse_report(embeddings), precision)


def _batches(library: TrainingImages, rows: np.ndarray, device: str, least: int = 1) -> Iterator[torch.Tensor]:
    """Images of `rows` in batches of 256; a last one of fewer than `least` is left out."""
    import torch

    for first in range(0, len(rows), 256):
        part = rows[first : first + 256]
        if len(part) >= least:
            images = torch.from_numpy(library.batch(part)).to(device)
            yield images.contiguous(memory_format=torch.channels_last)


def _warn_of(history: History) -> None:
    """Warn once of collapse, divergence or interruption."""
    done, best = len(history.losses), history.best_epoch
    if history.ended_by == "interrupt":
        logger.warning("Training was interrupted: %d epochs are finished, epoch %d is kept.", done, best)
    if history.best.report.collapsed or history.ended_by == "collapse":
        logger.warning(
            "Training collapsed: %s after epoch %d, the one kept is %d. Collapsed embeddings hardly differ. "
            "Try a lower learning rate, stronger views, another seed, more varied images, or a fixed encoder.",
            history.judgments[-1].report,
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
    """torch's CPU generator at `seed` inside, as it was outside; on the CPU, deterministic algorithms inside."""
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
