"""Supervised training of networks: from random weights, or fine-tuning of pretrained weights.

Labels are few and come from few events, so classes have equal weight and whole events are held out for early stopping.
The network is then trained again on all labels for the same number of epochs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ..errors import ArgumentError
from .backbone import BACKBONES, build_backbone, load_weights, require_training, trained_backbone
from .runtime import check_shape, fill, is_usable, unit_length
from .training import own_randomness, training_device
from .views import ViewOptions, make_views

if TYPE_CHECKING:
    import torch

SCALE = 10.0
"""Factor between cosines and logits; without it the softmax could not reach high probabilities."""

_BLOCK = 256
_BATCH_NORM_IMAGES = 128
"""Number of images for batch normalization statistics; their means need no high accuracy."""


@dataclass(frozen=True)
class LabelPlan:
    """Options of supervised training; the defaults are for fine-tuning, `FROM_NOTHING` for random weights.

    Parameters
    ----------
    epochs, steps, batch_size : int
        Maximum number of epochs, batches per epoch and images per batch. Classes are equally frequent in an epoch,
        which may repeat labels or use only some; the held-out labels are evaluated after each epoch.
    backbone_rate, head_rate : float
        Initial learning rates of AdamW, with cosine decay to 0. That of a pretrained backbone is low.
    weight_decay : float
    held_out : float
        Maximum fraction of the labels, in whole groups, that is held out for early stopping.
    patience : int
        Epochs without a decrease of the held-out loss before training stops.
    unjudged : int
        Number of epochs if nothing can be held out: one label per class, or one event.
    freeze_batch_norm : bool
        Keep the batch normalization statistics of the backbone, which a few images estimate less accurately.
    views : ViewOptions, optional
        Limits of the augmentation; default `LIGHT`.
    seed : int
        Seed of order, views, held-out groups and random weights.

    Raises
    ------
    ArgumentError
        A value is out of its range.
    """

    epochs: int = 20
    steps: int = 4
    batch_size: int = 32
    backbone_rate: float = 3e-4
    head_rate: float = 3e-3
    weight_decay: float = 1e-2
    held_out: float = 0.3
    patience: int = 5
    unjudged: int = 10
    freeze_batch_norm: bool = True
    views: ViewOptions | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in {"epochs": 1, "steps": 1, "batch_size": 2, "patience": 1, "unjudged": 1, "seed": 0}.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not least <= value < 2**63:
                raise ArgumentError(name, f"{value!r}", f"Give a whole number from {least} up.")
        for name in ("backbone_rate", "head_rate"):
            if not 0 < getattr(self, name) < math.inf:
                raise ArgumentError(name, f"{getattr(self, name)}", "Give a finite number above 0.")
        for name in ("weight_decay", "held_out"):
            if not 0 <= getattr(self, name) < 1:
                raise ArgumentError(name, f"{getattr(self, name)}", "Give 0 up to below 1.")
        if self.views is None:
            object.__setattr__(self, "views", LIGHT)


LIGHT = ViewOptions(gain=0.1, noise=0.02, shift=0.03, rotation_deg=3.0, crop_scale_min=1.0, erase=0.1)
"""Weak augmentation for supervised training."""

FROM_NOTHING = LabelPlan(
    epochs=30, backbone_rate=1e-3, head_rate=2e-3, patience=6, unjudged=20, freeze_batch_norm=False
)


@dataclass(frozen=True, eq=False)
class Labeled:
    """Labeled images, filled; `truth` are positions in `classes`, `group` the event or night of each image."""

    images: np.ndarray
    classes: tuple[str, ...]
    truth: np.ndarray
    group: np.ndarray

    def sample_balanced(self, rows: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
        """Draw `count` of `rows` in random order, equally from all classes; a class repeats only when used up."""
        class_rows = [rows[self.truth[rows] == number] for number in np.unique(self.truth[rows])]
        each = -(-count // len(class_rows))
        drawn = [
            np.concatenate([rng.permutation(one) for _ in range(-(-each // len(one)))])[:each] for one in class_rows
        ]
        return rng.permutation(np.concatenate(drawn))[:count]

    def held_out(self, share: float, seed: int) -> np.ndarray:
        """Choose whole groups to hold out, such that all classes remain: mask (n,) bool, all False if impossible.

        First one group for each class, as long as half of the images remain, then others up to the fraction `share`.
        """
        names, number = np.unique(self.group, return_inverse=True)
        order = np.random.default_rng([seed, 0]).permutation(len(names))
        held = np.zeros(len(self.truth), bool)
        for wanted in (*range(len(self.classes)), None):
            for each in order:
                if wanted is not None and (held & (self.truth == wanted)).any():
                    break
                members = number == each
                more = held | members
                whole = len(np.unique(self.truth[~more])) == len(self.classes)
                useful = wanted is None or (members & (self.truth == wanted)).any()
                if share and useful and whole and more.sum() <= (share if wanted is None else 0.5) * len(held):
                    held = more
        return held


def make_labeled(images: np.ndarray, labels: np.ndarray, groups: np.ndarray) -> Labeled:
    """Check labeled images; those that cannot be encoded are omitted."""
    labels, groups = np.asarray(labels), np.asarray(groups)
    check_shape(images)
    if labels.shape != (len(images),) or groups.shape != (len(images),):
        found = f"{labels.shape} and {groups.shape} for {len(images)} images"
        raise ArgumentError("labels and groups", found, "Give one label and one group per image.")
    images = np.asarray(images, np.float32)
    usable = is_usable(images)
    classes, truth = np.unique(labels[usable].astype(str), return_inverse=True)
    if len(classes) < 2:
        found = f"found the class {', '.join(classes) or 'none'} in {usable.sum()} images that can be encoded"
        raise ArgumentError("labels", found, "Give two or more classes.")
    return Labeled(fill(images[usable])[0], tuple(classes.tolist()), truth, groups[usable])


@dataclass(frozen=True, eq=False)
class LabeledNetwork:
    """A backbone with a linear head, trained on labels.

    The head takes `SCALE` times the unit-length features. `curves` has 'loss', 'held_out_loss' and 'held_out_accuracy'
    (mean over classes) of each epoch with held-out labels; it is empty if nothing could be held out. `epochs` is the
    number for the training on all labels.
    """

    classes: tuple[str, ...]
    backbone: str
    weights: dict[str, np.ndarray] = field(repr=False)
    head: dict[str, np.ndarray] = field(repr=False)
    curves: dict[str, list[float]] = field(repr=False)
    epochs: int
    n_held_out: int

    def features(self, filled: np.ndarray) -> np.ndarray:
        """Compute the features (n, dimension) of filled images in torch."""
        import torch

        network = trained_backbone(self.backbone, filled.shape[1], self.weights)
        blocks = [filled[first : first + _BLOCK] for first in range(0, len(filled), _BLOCK)]
        with torch.no_grad():
            return np.concatenate([network(torch.from_numpy(np.ascontiguousarray(b))).numpy() for b in blocks])

    def predict(self, images: np.ndarray) -> np.ndarray:
        """Return the class with the highest logit of each image: (n,) str."""
        units = unit_length(self.features(fill(np.asarray(images, np.float32))[0]))
        logits = SCALE * np.nan_to_num(units) @ self.head["weight"].T + self.head["bias"]
        return np.array(self.classes)[logits.argmax(axis=1)]


def train_on_labels(
    labeled: Labeled, plan: LabelPlan, backbone: str = "compact", weights: Mapping[str, np.ndarray] | None = None
) -> LabeledNetwork:
    """Train a backbone, of given or random weights, and a linear head on labels.

    Cross-entropy loss with balanced classes. The head is linear on the unit-length features. For a pretrained backbone
    it is initialized with the mean embedding of each class (Qi et al. 2018, arXiv:1712.07136), so that the first steps
    do not distort the features of the backbone (Kumar et al. 2022, arXiv:2202.10054). On the CPU, the weights are
    reproducible bit for bit with the same images, plan and number of threads.
    """
    require_training()
    held = labeled.held_out(plan.held_out, plan.seed)
    device = training_device()
    epochs, curves = plan.unjudged, {}
    if held.any():
        with own_randomness(plan.seed, device):
            evaluated = _Run(labeled, plan, device, backbone, weights)
            epochs = evaluated.until_best(np.flatnonzero(~held), np.flatnonzero(held))
        curves = evaluated.curves
    with own_randomness(plan.seed, device):
        run = _Run(labeled, plan, device, backbone, weights)
        for epoch in range(epochs):
            run.one_epoch(np.arange(len(held)), epoch, plan.epochs if held.any() else epochs)
    state = {key: value.cpu().contiguous().numpy() for key, value in run.network.state_dict().items()}
    head = {key: value.detach().cpu().numpy() for key, value in run.head.state_dict().items()}
    return LabeledNetwork(labeled.classes, backbone, state, head, curves, epochs, int(held.sum()))


class _Run:
    """State of a training run: network, head and optimizer, with the same initial state for the same plan."""

    def __init__(
        self,
        labeled: Labeled,
        plan: LabelPlan,
        device: str,
        backbone: str,
        weights: Mapping[str, np.ndarray] | None,
    ) -> None:
        import torch
        from torch import nn

        self.labeled, self.plan, self.device = labeled, plan, device
        network = build_backbone(backbone, labeled.images.shape[1])
        self.head = nn.Linear(BACKBONES[backbone], len(labeled.classes)).to(device)
        if weights is not None:
            load_weights(network, weights)
        self.network = network.to(device=device, memory_format=torch.channels_last)
        if weights is not None:
            self._imprint()
        rates = ((self.network, plan.backbone_rate), (self.head, plan.head_rate))
        parts = [{"params": list(part.parameters()), "lr": rate, "start": rate} for part, rate in rates]
        self.optimizer = torch.optim.AdamW(parts, weight_decay=plan.weight_decay)
        self.curves: dict[str, list[float]] = {"loss": [], "held_out_loss": [], "held_out_accuracy": []}

    def _imprint(self) -> None:
        """Initialize the head with the mean embedding of each class."""
        import torch

        rows = np.arange(len(self.labeled.truth))
        units = unit_length(self._unit_features(rows).cpu().numpy())
        means = [np.nanmean(units[self.labeled.truth == number], axis=0) for number in np.unique(self.labeled.truth)]
        with torch.no_grad():
            self.head.weight.copy_(torch.from_numpy(np.nan_to_num(unit_length(np.array(means)))))
            self.head.bias.zero_()

    def until_best(self, training: np.ndarray, held: np.ndarray) -> int:
        """Train with early stopping on the held-out labels; return the best number of epochs."""
        losses = self.curves["held_out_loss"]
        for epoch in range(self.plan.epochs):
            self.curves["loss"].append(self.one_epoch(training, epoch, self.plan.epochs))
            loss, accuracy = self._evaluate(held)
            losses.append(loss)
            self.curves["held_out_accuracy"].append(accuracy)
            if epoch - int(np.argmin(losses)) >= self.plan.patience:
                break
        return int(np.argmin(losses)) + 1

    def one_epoch(self, rows: np.ndarray, epoch: int, epochs: int) -> float:
        """Train for one epoch on `rows` with balanced classes; return the mean loss."""
        import torch
        from torch.nn.functional import cross_entropy, normalize

        rng = np.random.default_rng([self.plan.seed, 1, epoch])
        generator = torch.Generator(self.device).manual_seed(int(rng.integers(2**63)))
        size, steps = self.plan.batch_size, self.plan.steps
        order = self.labeled.sample_balanced(rows, steps * size, rng)
        self.network.train(not self.plan.freeze_batch_norm)
        losses = []
        for step in range(steps):
            for part in self.optimizer.param_groups:
                part["lr"] = part["start"] * (1 + math.cos(math.pi * (epoch + step / steps) / epochs)) / 2
            batch = order[step * size : (step + 1) * size]
            views = make_views(self._images(batch), self.plan.views, generator)
            views = views.contiguous(memory_format=torch.channels_last)
            truth = torch.from_numpy(self.labeled.truth[batch]).to(self.device)
            loss = cross_entropy(self.head(SCALE * normalize(self.network(views))), truth)
            if not math.isfinite(loss.item()):
                raise ArgumentError("backbone_rate", "the loss is not finite", "Give a lower learning rate.")
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            losses.append(loss.item())
        self._update_batch_norm(rows)
        return float(np.mean(losses))

    def _update_batch_norm(self, rows: np.ndarray) -> None:
        """Recompute the batch normalization statistics; moving averages are inaccurate after few steps."""
        from torch.optim.swa_utils import update_bn

        if not self.plan.freeze_batch_norm:
            some = np.random.default_rng([self.plan.seed, 2]).permutation(rows)[:_BATCH_NORM_IMAGES]
            update_bn([self._images(some)], self.network)

    def _evaluate(self, rows: np.ndarray) -> tuple[float, float]:
        """Compute loss and accuracy on `rows`, with equal weight of all classes."""
        import torch
        from torch.nn.functional import cross_entropy

        truth = self.labeled.truth[rows]
        with torch.no_grad():
            logits = self.head(SCALE * self._unit_features(rows)).cpu()
        losses = cross_entropy(logits, torch.from_numpy(truth), reduction="none").numpy()
        right = logits.argmax(dim=1).numpy() == truth
        class_rows = [truth == number for number in np.unique(truth)]
        return tuple(float(np.mean([values[one].mean() for one in class_rows])) for values in (losses, right))

    def _unit_features(self, rows: np.ndarray) -> torch.Tensor:
        """Compute the unit-length features of images without augmentation and gradient."""
        import torch
        from torch.nn.functional import normalize

        self.network.eval()
        with torch.no_grad():
            blocks = [rows[first : first + _BLOCK] for first in range(0, len(rows), _BLOCK)]
            return torch.cat([normalize(self.network(self._images(block))) for block in blocks])

    def _images(self, rows: np.ndarray) -> torch.Tensor:
        import torch

        images = torch.from_numpy(self.labeled.images[rows]).to(self.device)
        return images.contiguous(memory_format=torch.channels_last)
