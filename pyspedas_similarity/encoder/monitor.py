"""Quality measures of embeddings during training, spread, effective rank and precision of partners; their course."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ArgumentError
from .runtime import unit_length

if TYPE_CHECKING:
    from .training import TrainingPlan

COLLAPSED_STD = 0.1
"""Spread, relative to 1/sqrt(dimension) of isotropic embeddings, below which training has collapsed."""
COLLAPSED_RANK = 2.0

COLLAPSED_EPOCHS = 3
"""Number of consecutive collapsed epochs that stops a training; training can recover from a single one."""


@dataclass(frozen=True)
class CollapseReport:
    """Spread and effective rank of embeddings, see `collapse_report`."""

    std_of_normalized: float
    effective_rank: float
    dimension: int

    @property
    def collapsed(self) -> bool:
        """True if the spread or the rank is below its threshold."""
        too_close = self.std_of_normalized < COLLAPSED_STD / math.sqrt(self.dimension)
        return too_close or self.effective_rank < COLLAPSED_RANK

    def __str__(self) -> str:
        return (
            f"spread {self.std_of_normalized:.2g} (isotropic: {1 / math.sqrt(self.dimension):.2g}), "
            f"effective rank {self.effective_rank:.1f} of {self.dimension}"
        )


def collapse_report(embeddings: np.ndarray) -> CollapseReport:
    """Compute spread and effective rank of embeddings (n, dimension); rows with NaN are omitted.

    The spread is the standard deviation of the unit-length embeddings, mean over dimensions (Chen & He 2021); the
    effective rank is RankMe (Garrido et al. 2023, arXiv:2210.02885), the exponential of the entropy of their singular
    values.
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


def partner_precision(embeddings: np.ndarray, partners: np.ndarray) -> float:
    """Compute the mean average precision of retrieving the partners of each sample; NaN if there are none.

    Partners (n, k) are row numbers, -1 for none, and made symmetric. A row of embeddings with NaN is not used as a
    query and is ranked last.
    """
    n = len(embeddings)
    related = np.zeros((n, n), bool)
    row, column = np.nonzero(partners >= 0)
    related[row, partners[row, column]] = True
    related |= related.T
    np.fill_diagonal(related, False)
    units = np.nan_to_num(unit_length(embeddings)).astype(np.float64)
    cosine = units @ units.T
    np.fill_diagonal(cosine, -np.inf)  # exclude the query itself
    asking = np.flatnonzero(related.any(axis=1))
    order = np.argsort(-cosine[asking], axis=1, kind="stable")
    hits = np.take_along_axis(related[asking], order, axis=1)
    precision = np.cumsum(hits, axis=1) / np.arange(1, n + 1)
    return float(np.mean((precision * hits).sum(axis=1) / hits.sum(axis=1))) if len(asking) else math.nan


@dataclass(frozen=True)
class Evaluation:
    """Quality measures of the embeddings after an epoch; `precision` is NaN without held-out partners."""

    report: CollapseReport
    precision: float

    def as_dict(self) -> dict[str, float | None]:
        """Return the measures by name, with None for NaN, as JSON requires."""
        return {
            "std_of_normalized": self.report.std_of_normalized,
            "effective_rank": self.report.effective_rank,
            "held_out_precision": None if math.isnan(self.precision) else self.precision,
        }

    @classmethod
    def from_dict(cls, record: dict[str, Any], dimension: int) -> Evaluation:
        """Make an evaluation from the output of `as_dict`."""
        precision = record["held_out_precision"]
        report = CollapseReport(record["std_of_normalized"], record["effective_rank"], dimension)
        return cls(report, math.nan if precision is None else precision)

    def better_than(self, other: Evaluation) -> bool:
        """Return True if this evaluation, the later one, is preferred."""
        if self.report.collapsed != other.report.collapsed:
            return other.report.collapsed
        return math.isnan(self.precision) or self.precision > other.precision


@dataclass
class History:
    """Course of a run.

    `best_epoch` counts from 1 and is 0 before the first. `ended_by` is 'plan', 'patience', 'collapse', 'divergence',
    'interrupt', or '' while training continues.
    """

    untrained: Evaluation
    losses: list[float] = field(default_factory=list)
    evaluations: list[Evaluation] = field(default_factory=list)
    best_epoch: int = 0
    ended_by: str = ""

    @property
    def best(self) -> Evaluation:
        """Evaluation of the best epoch."""
        return self.evaluations[self.best_epoch - 1]

    def add(self, loss: float, evaluation: Evaluation, plan: TrainingPlan) -> bool:
        """Add an epoch and return True if it is the best so far; sets `ended_by` if training should end."""
        better = not self.best_epoch or evaluation.better_than(self.best)
        self.losses.append(loss)
        self.evaluations.append(evaluation)
        epochs = len(self.losses)
        if better:
            self.best_epoch = epochs
        last = self.evaluations[-COLLAPSED_EPOCHS:]
        if epochs == plan.epochs:
            self.ended_by = "plan"
        elif len(last) == COLLAPSED_EPOCHS and all(each.report.collapsed for each in last):
            self.ended_by = "collapse"
        elif epochs - self.best_epoch >= plan.patience and not math.isnan(evaluation.precision):
            self.ended_by = "patience"
        return better

    def as_dict(self) -> dict[str, Any]:
        """Return the history as a dict of JSON types."""
        curves = {"loss": list(self.losses)}
        for name in self.untrained.as_dict():
            curves[name] = [each.as_dict()[name] for each in self.evaluations]
        return {
            "curves": curves,
            "untrained": self.untrained.as_dict(),
            "best_epoch": self.best_epoch,
            "ended_by": self.ended_by,
        }

    @classmethod
    def from_dict(cls, record: dict[str, Any], dimension: int) -> History:
        """Make a history from the output of `as_dict`."""
        untrained = Evaluation.from_dict(record["untrained"], dimension)
        curves = record["curves"]
        rows = zip(*(curves[name] for name in record["untrained"]), strict=True)
        evaluations = [
            Evaluation.from_dict(dict(zip(record["untrained"], row, strict=True)), dimension) for row in rows
        ]
        return cls(untrained, list(curves["loss"]), evaluations, record["best_epoch"], record["ended_by"])
