from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pyspedas_similarity.simulate.aurora import DRAW, Breakup, FoldedArc, Glow, Omega, Spiral
from pyspedas_similarity.simulate.sky import Camera


def ground(step: float = 2.0, reach: float = 300.0) -> tuple[np.ndarray, np.ndarray]:
    """East and north in km of an even grid, row 0 in the north, float32."""
    along = np.arange(-reach, reach + 1, step, np.float32)
    return tuple(np.meshgrid(along, -along))


def crossings(profile: np.ndarray) -> int:
    """How often a profile rises above half of its peak."""
    above = profile > 0.5 * profile.max()
    return int((above[1:] & ~above[:-1]).sum() + above[0])


@pytest.mark.parametrize("kind", list(DRAW))
@pytest.mark.parametrize("t_s", [-20.0, 0.0, 300.0])
def test_emission_is_finite_of_single_precision_and_changes_with_time(kind: str, t_s: float):
    shape = DRAW[kind](np.random.default_rng(5))
    x, y = ground(8.0)
    light = shape.emission(x, y, t_s)
    assert light.dtype == np.float32 and light.shape == x.shape
    assert np.isfinite(light).all() and light.min() >= 0
    assert kind == "quiet" or np.abs(shape.emission(x, y, t_s + 60.0) - light).max() > 0.2


@pytest.mark.parametrize("seed", range(5))
def test_a_folded_arc_folds_over_in_time(seed: int):
    x, y = ground(reach=400.0)
    arc = FoldedArc.draw(np.random.default_rng(seed))

    def most(t_s: float) -> int:
        return max(crossings(column) for column in arc.emission(x, y, t_s).T)

    # Before the folds grow each meridian crosses the line once.
    assert most(-300.0) == 1
    assert most(200.0) >= 2


def test_a_folded_arc_keeps_its_width_across():
    arc = replace(FoldedArc.draw(np.random.default_rng(0)), folds_km=np.zeros(2), drift_km_s=0.0)
    x, y = ground(1.0)
    light = arc.emission(x, y, 0.0)[:, 300]
    wide = (light > light.max() / np.e).sum()
    assert wide == pytest.approx(2 * arc.width_km, abs=4)


@pytest.mark.parametrize("seed", range(5))
def test_a_spiral_winds_up_around_its_middle(seed: int):
    spiral = replace(Spiral.draw(np.random.default_rng(seed)), drift_km_s=(0.0, 0.0), tilt=0.0)
    x, y = ground()
    middle = x.shape[1] // 2
    early, late = (spiral.emission(x, y, t)[:, middle] for t in (-300.0, 400.0))
    assert crossings(early) == 1 and crossings(late) >= 3
    # Two arms: half a turn leaves it as it is.
    whole = spiral.emission(x, y, 400.0)
    np.testing.assert_allclose(whole[::-1, ::-1], whole, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("seed", range(5))
def test_a_breakup_brightens_and_runs_poleward(seed: int):
    breakup = replace(Breakup.draw(np.random.default_rng(seed)), surge_km_s=0.0)
    x, y = ground(reach=400.0)
    near = np.abs(x[0]) < 20
    light = [breakup.emission(x, y, t)[:, near].max(axis=1) for t in (5.0, 40.0, 80.0)]
    front = [y[np.flatnonzero(one > 0.3 * one.max())[0], 0] for one in light]
    assert front[0] < front[1] < front[2] and front[2] - front[0] > 60
    assert light[1].max() > 1.5 * light[0].max()


def test_breakups_saturate_a_camera_here_and_there():
    x, y = ground(8.0, 400.0)
    full_kr = (65535 - Camera().dark_counts) / Camera().counts_per_kr
    share = [(Breakup.draw(np.random.default_rng(seed)).emission(x, y, 60.0) > full_kr).mean() for seed in range(20)]
    assert 0.2 < np.mean(np.array(share) > 0) < 0.9 and max(share) < 0.1


def test_omega_bands_drift_east_and_their_heads_are_wider_than_their_necks():
    omega = Omega.draw(np.random.default_rng(1))
    x, y = ground()
    later = omega.emission(x + np.float32(90 * omega.speed_km_s), y, 90.0)
    np.testing.assert_allclose(later, omega.emission(x, y, 0.0), rtol=1e-2, atol=1e-2)
    light = omega.emission(x, y, 0.0)
    assert omega.speed_km_s > 0
    poleward = light[y[:, 0] > omega.y_km + 30]
    assert crossings(poleward.max(axis=0)) >= 2


def test_glow_has_no_edges():
    x, y = ground()
    for seed in range(5):
        glow = Glow.draw(np.random.default_rng(seed)).emission(x, y, 0.0)
        steepest = max(np.abs(slope).max() for slope in np.gradient(glow, 2.0))
        assert steepest < 0.05 * glow.max()
