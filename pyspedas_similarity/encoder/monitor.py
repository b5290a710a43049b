"""Quality measures of embeddings during training: spread, effective rank, and precision of partners."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..errors import ArgumentError
from .runtime import unit_length

COLLAPSED_STD = 0.1
"""Spread, relative to 1/sqrt(dimension) of isotropic embeddings, below which training has collapsed."""
COLLAPSED_RANK = 2.0


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
