"""What watches a training: spread and rank tell collapse, precision tells who finds whom."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pyspedas_similarity.encoder.monitor import collapse_report, partner_precision
from pyspedas_similarity.errors import ArgumentError

pytest.importorskip("torch")


def test_collapse_report_knows_equal_spread_and_few_directions():
    rng = np.random.default_rng(0)
    spread = collapse_report(rng.normal(size=(2000, 64)))
    assert spread.std_of_normalized == pytest.approx(1 / 8, rel=0.02)
    assert 60 < spread.effective_rank <= 64 and not spread.collapsed
    constant = np.tile(rng.normal(size=64), (50, 1))
    same = collapse_report(constant)
    assert same.effective_rank == pytest.approx(1, abs=1e-3) and same.std_of_normalized < 1e-6 and same.collapsed
    two = collapse_report(np.eye(64)[rng.integers(0, 4, 400)])
    assert two.effective_rank == pytest.approx(4, rel=0.02) and not two.collapsed
    with_nan = np.vstack([constant, np.full((3, 64), np.nan)])
    assert collapse_report(with_nan) == same
    with pytest.raises(ArgumentError, match="1 rows"):
        collapse_report(constant[:1])


def test_partner_precision_is_the_mean_of_average_precisions():
    """By its definition, sample by sample: the share of partners among the first, at the rank of each partner."""
    rng = np.random.default_rng(1)
    embeddings = rng.normal(size=(60, 5))
    partners = np.where(rng.random((60, 3)) < 0.5, rng.integers(0, 60, (60, 3)), -1)
    partners[10:20] = -1
    units = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    expected = []
    for row in range(60):
        related = {int(j) for j in partners[row] if j >= 0} | {int(j) for j in np.nonzero((partners == row).any(1))[0]}
        related.discard(row)
        others = [j for j in np.argsort(-(units @ units[row])) if j != row]
        ranks = [rank for rank, j in enumerate(others, 1) if j in related]
        if ranks:
            expected.append(np.mean([found / rank for found, rank in enumerate(ranks, 1)]))
    assert partner_precision(embeddings, partners) == pytest.approx(np.mean(expected), abs=1e-9)


def test_partner_precision_of_perfect_pairs_and_of_none():
    rng = np.random.default_rng(2)
    once = rng.normal(size=(20, 8))
    pairs = np.concatenate([once, once + 1e-3 * rng.normal(size=once.shape)])
    partners = np.concatenate([np.arange(20, 40), np.full(20, -1)])[:, None]
    assert partner_precision(pairs, partners) == 1
    assert partner_precision(rng.normal(size=(40, 8)), partners) < 0.3
    assert math.isnan(partner_precision(pairs, np.full((40, 1), -1)))
    assert math.isnan(partner_precision(pairs, np.empty((40, 0), int)))
