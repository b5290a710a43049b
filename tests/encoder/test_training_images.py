"""The library of a training: what is used, what is held out, whose partner is drawn; partners by time, as a plain loop
over all samples finds them."""

from __future__ import annotations

import numpy as np
import pytest

from pyspedas_similarity.encoder import training_images as module
from pyspedas_similarity.encoder.training_images import make_training_images, next_in_time, same_time
from pyspedas_similarity.errors import ArgumentError


@pytest.fixture
def images():
    return np.random.default_rng(0).normal(size=(100, 1, 8, 8)).astype(np.float32)


GROUPS = np.repeat(np.arange(10), 10)
NEXT = np.append(np.arange(1, 100), -1)
START = np.datetime64("2015-10-16T13:06", "ns")


def test_whole_groups_are_held_out_and_no_partner_crosses_the_split(images):
    found = make_training_images(images, NEXT, GROUPS, 0.3, seed=1)
    assert len(found.held_out) == 30 and len(found.training) == 70
    assert not set(GROUPS[found.held_out]) & set(GROUPS[found.training])
    row, column = np.nonzero(found.partners >= 0)
    partner = found.partners[row, column]
    np.testing.assert_array_equal(np.isin(row, found.held_out), np.isin(partner, found.held_out))
    # Only pairs on the border of a held-out and another group are gone.
    held = np.isin(np.arange(100), found.held_out)
    assert len(partner) == 99 - (held[1:] != held[:-1]).sum()
    others = {tuple(make_training_images(images, NEXT, GROUPS, 0.3, seed).held_out) for seed in range(6)}
    assert len(others) > 1


def test_nothing_is_held_out_without_something_to_judge_by(images):
    alone = np.full(100, -1)
    for positives, groups, share in ((None, GROUPS, 0.2), (NEXT, None, 0.2), (NEXT, GROUPS, 0), (alone, GROUPS, 0.2)):
        found = make_training_images(images, positives, groups, share)
        assert len(found.training) == 100 and not len(found.held_out)
    assert not len(make_training_images(images, NEXT, np.zeros(100), 0.2).held_out)


def test_the_smallest_group_is_held_out_where_each_is_larger_than_the_share(images):
    groups = np.repeat([0, 1, 2], [40, 25, 35])
    np.testing.assert_array_equal(make_training_images(images, NEXT, groups, 0.1).held_out, np.arange(40, 65))


def test_unusable_images_are_no_partners_and_are_left_out(images):
    images[5], images[50, 0, 0, 0] = np.nan, np.nan
    found = make_training_images(images, NEXT)
    assert 5 not in found.training and 50 in found.training
    assert found.partners[4, 0] == -1 and found.partners[5, 0] == -1 and found.partners[3, 0] == 4
    assert found.batch(np.array([50]))[0, 0, 0, 0] == 0 and np.isnan(images[50, 0, 0, 0])


def test_partners_are_drawn_with_their_share_and_evenly(images):
    positives = np.full((100, 3), -1)
    positives[:50] = [60, 70, -1]
    found = make_training_images(images, positives)
    rng = np.random.default_rng(3)
    drawn = np.stack([found.sample_partners(np.arange(100), 0.8, rng) for _ in range(200)])
    assert (drawn[:, 50:] == np.arange(50, 100)).all()
    for partner in (60, 70):
        assert np.mean(drawn[:, :50] == partner) == pytest.approx(0.4, abs=0.02)
    assert np.mean(drawn[:, :50] == np.arange(50)) == pytest.approx(0.2, abs=0.02)
    assert (found.sample_partners(np.arange(50), 0.0, rng) == np.arange(50)).all()
    assert np.isin(found.sample_partners(np.arange(50), 1.0, rng), [60, 70]).all()
    assert (make_training_images(images).sample_partners(np.arange(100), 1.0, rng) == np.arange(100)).all()


def test_the_probe_is_bounded_and_has_the_partners(images, monkeypatch):
    monkeypatch.setattr(module, "MAX_JUDGED", 20)
    rows, partners = make_training_images(images, np.roll(np.arange(100), -1)).evaluation_rows()
    assert 10 <= len(rows) <= 20 and len(partners) == len(rows)
    row, column = np.nonzero(partners >= 0)
    assert len(row) >= 10
    np.testing.assert_array_equal(rows[partners[row, column]], (rows[row] + 1) % 100)
    held = make_training_images(images, NEXT, GROUPS, 0.2)
    np.testing.assert_array_equal(held.evaluation_rows()[0], held.held_out)
    assert len(held.batch_norm_rows()) == 20 and np.isin(held.batch_norm_rows(), held.training).all()


def test_images_may_stay_on_disk(images, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_BLOCK", 7)
    stored = np.lib.format.open_memmap(tmp_path / "images.npy", "w+", np.float16, images.shape)
    stored[:] = images
    found = make_training_images(np.load(tmp_path / "images.npy", mmap_mode="r"))
    assert isinstance(found.images, np.memmap) and len(found.training) == 100
    batch = found.batch(np.array([3, 90]))
    assert batch.dtype == np.float32
    np.testing.assert_array_equal(batch, images.astype(np.float16)[[3, 90]])


def test_the_hash_knows_images_and_relations(images):
    first = make_training_images(images, NEXT, GROUPS).hash()
    other = images.copy()
    other[99, 0, 7, 7] += 1
    partners = NEXT.copy()
    partners[3] = 7
    assert first == make_training_images(images.copy(), NEXT, GROUPS).hash()
    assert (
        len(
            {
                first,
                make_training_images(other, NEXT, GROUPS).hash(),
                make_training_images(images, partners, GROUPS).hash(),
            }
        )
        == 3
    )
    assert first != make_training_images(images, NEXT).hash()


@pytest.mark.parametrize(
    ("positives", "groups", "message"),
    [
        (NEXT.astype(float), None, "positives: float64"),
        (NEXT[:50], None, "positives"),
        (np.full(100, 100), None, "positives: 100 to 100"),
        (np.full(100, -2), None, "positives: -2"),
        (NEXT, GROUPS[:50], "groups: shape"),
        (NEXT, np.repeat([0, 1], [90, 10]) * 0 + np.arange(100) // 95, "groups"),
    ],
)
def test_relations_that_do_not_fit_are_named(images, positives, groups, message):
    if message == "groups":
        images = images[80:].repeat(5, axis=0)[:100]
        images[:80] = np.nan
    with pytest.raises(ArgumentError, match=message):
        make_training_images(images, positives, groups)


def test_too_few_or_equal_images_are_refused_with_their_number(images):
    few = images[:20].copy()
    few[:5] = np.nan
    with pytest.raises(ArgumentError, match="15 of 20 can be used"):
        make_training_images(few)
    with pytest.raises(ArgumentError, match="0 of 20 can be used"):
        make_training_images(np.full_like(few, np.nan))
    with pytest.raises(ArgumentError, match="10 of 10 can be used"):
        make_training_images(images[:10])
    with pytest.raises(ArgumentError, match="all 20 usable ones are equal"):
        make_training_images(np.repeat(images[:1], 20, axis=0))
    with pytest.raises(ArgumentError, match="shape"):
        make_training_images(images[:, 0])


def ms(number: float) -> np.timedelta64:
    return np.timedelta64(int(number), "ms")


@pytest.fixture
def samples():
    """300 samples of three sources at random times, some of them equal, in random order."""
    rng = np.random.default_rng(2)
    times = START + rng.integers(0, 400, 300) * ms(30)
    return times, rng.choice(["gill", "rank", "fsmi"], 300)


def test_next_in_time_is_the_first_later_sample_of_the_group(samples):
    times, group = samples
    found = next_in_time(times, group, ms(120))
    assert found.shape == (300, 1) and (found >= 0).mean() > 0.2 and (found < 0).mean() > 0.05
    for row, partner in enumerate(found[:, 0]):
        later = (group == group[row]) & (times > times[row]) & (times <= times[row] + ms(120))
        assert (partner >= 0) == later.any()
        if partner >= 0:
            assert later[partner] and times[partner] == times[later].min()


def test_same_time_is_the_nearest_sample_of_each_other_source(samples):
    times, source = samples
    found = same_time(times, source, ms(60))
    names = np.unique(source)
    assert found.shape == (300, 3) and 0.1 < (found >= 0).mean() < 0.66
    for row in range(300):
        for column, name in enumerate(names):
            away = np.abs(times - times[row])[source == name].min()
            expected = name != source[row] and away <= ms(60)
            partner = found[row, column]
            assert (partner >= 0) == expected
            if expected:
                assert source[partner] == name and abs(times[partner] - times[row]) == away


def test_one_source_or_no_sample_has_no_partners():
    times = START + np.arange(3) * ms(30)
    np.testing.assert_array_equal(same_time(times, np.array(["1"] * 3), ms(30)), np.full((3, 1), -1))
    assert next_in_time(times[:0], times[:0], ms(30)).shape == (0, 1)
    assert same_time(times[:0], np.array([], str), ms(30)).shape == (0, 0)
    np.testing.assert_array_equal(next_in_time(times, np.zeros(3), ms(30))[:, 0], [1, 2, -1])


@pytest.mark.parametrize(
    ("call", "subject"),
    [
        (lambda t: next_in_time(t.astype(float), np.zeros(3), ms(1)), "times"),
        (lambda t: next_in_time(np.array([np.datetime64("NaT", "ns")]), np.zeros(1), ms(1)), "times"),
        (lambda t: next_in_time(t, np.zeros(2), ms(1)), "group"),
        (lambda t: next_in_time(t, np.zeros(3), 3.0), "lag"),
        (lambda t: next_in_time(t, np.zeros(3), ms(0)), "lag"),
        (lambda t: same_time(t, np.zeros(3), ms(-1)), "tolerance"),
    ],
)
def test_bad_input_is_named(call, subject):
    with pytest.raises(ArgumentError, match=subject):
        call(START + np.arange(3) * ms(30))
