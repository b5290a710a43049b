"""Checkpoints: what is written comes back, whole, for its own run only; a run resumed is the run uninterrupted."""

from __future__ import annotations

import errno
import logging
import os
import pickle
from dataclasses import replace

import numpy as np
import pytest

from pyspedas_similarity.encoder import checkpoints, training
from pyspedas_similarity.encoder.checkpoints import FILE, read_checkpoint, write_checkpoint
from pyspedas_similarity.encoder.training import train_network
from pyspedas_similarity.errors import EncoderError

torch = pytest.importorskip("torch")

RUN = {"plan": {"epochs": 3}, "data": "abc"}
TENSORS = {"a": np.arange(6, dtype=np.float32).reshape(2, 3).T, "count": np.array(7)}


@pytest.fixture
def short(plan):
    return replace(plan, epochs=4)


@pytest.fixture
def few(bands):
    """Half of the bands, to be quick."""
    return bands[::2]


def interrupted_in_epoch(number: int, monkeypatch) -> None:
    """Ctrl-C in the middle of the epoch of this number, counted from 1."""
    epoch = training._epoch

    def interrupted(*arguments):
        result = epoch(*arguments)
        if arguments[-1] == number - 1:
            raise KeyboardInterrupt
        return result

    monkeypatch.setattr(training, "_epoch", interrupted)


def assert_same(found, expected) -> None:
    assert found.history == expected.history
    assert list(found.weights) == list(expected.weights)
    for name, values in expected.weights.items():
        assert values.tobytes() == found.weights[name].tobytes(), name


def test_what_is_written_comes_back(tmp_path):
    assert read_checkpoint(tmp_path / "new", RUN) is None
    write_checkpoint(tmp_path / "new", RUN, TENSORS, {"losses": [0.1, 1 / 3]})
    tensors, record = read_checkpoint(tmp_path / "new", RUN)
    assert record == {"losses": [0.1, 1 / 3]} and tensors.keys() == TENSORS.keys()
    for name, values in TENSORS.items():
        assert tensors[name].dtype == values.dtype
        np.testing.assert_array_equal(tensors[name], values)
    assert [path.name for path in (tmp_path / "new").iterdir()] == [FILE]


def test_a_checkpoint_of_another_run_says_what_differs(tmp_path):
    write_checkpoint(tmp_path, RUN, TENSORS, {})
    with pytest.raises(EncoderError, match=r"another data\)"):
        read_checkpoint(tmp_path, RUN | {"data": "xyz"})
    with pytest.raises(EncoderError, match=r"another plan\)"):
        read_checkpoint(tmp_path, RUN | {"plan": {"epochs": 4}})


class Trap:
    """Writes a file when unpickled."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return open, (self.path, "w")


def test_damaged_and_foreign_files_are_refused(tmp_path):
    from safetensors.numpy import save

    write_checkpoint(tmp_path, RUN, TENSORS, {})
    whole = (tmp_path / FILE).read_bytes()
    flipped = bytearray(whole)
    flipped[-3] ^= 0x40
    trap = pickle.dumps(Trap(str(tmp_path / "sprung")))
    bare = save(TENSORS), save(TENSORS, {"checkpoint": "[]"}), save(TENSORS, {"checkpoint": "no json"})
    for content in (b"", whole[: len(whole) // 2], bytes(flipped), b"\xff" * 64, trap, *bare):
        (tmp_path / FILE).write_bytes(content)
        with pytest.raises(EncoderError, match=FILE):
            read_checkpoint(tmp_path, RUN)
    assert not (tmp_path / "sprung").exists()


def test_a_write_that_fails_leaves_the_checkpoint_before(tmp_path, monkeypatch):
    write_checkpoint(tmp_path, RUN, TENSORS, {"epoch": 1})

    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_checkpoint(tmp_path, RUN, TENSORS, {"epoch": 2})
    assert read_checkpoint(tmp_path, RUN)[1] == {"epoch": 1}
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


@pytest.mark.parametrize("method", ["simsiam", "byol"])
def test_a_resumed_training_ends_with_the_same_bits(method, few, short, tmp_path, monkeypatch):
    plan = replace(short, method=method, learning_rate=None, optimizer=None, weight_decay=None)
    relations = {"positives": np.roll(np.arange(64), -1), "groups": np.arange(64) // 8}
    straight = train_network(few, plan, progress=False, **relations)
    with monkeypatch.context() as patch:
        interrupted_in_epoch(3, patch)
        stopped = train_network(few, plan, progress=False, checkpoint=tmp_path, **relations)
    assert stopped.history.ended_by == "interrupt" and len(stopped.history.losses) == 2
    resumed = train_network(few, plan, progress=False, checkpoint=tmp_path, **relations)
    assert_same(resumed, straight)
    # Once more, and there is nothing left to do.
    monkeypatch.setattr(training, "_epoch", None)
    assert_same(train_network(few, plan, progress=False, checkpoint=tmp_path, **relations), straight)


def test_other_data_or_another_plan_does_not_resume(few, short, tmp_path):
    plan = replace(short, epochs=1)
    train_network(few, plan, progress=False, checkpoint=tmp_path)
    before = (tmp_path / FILE).read_bytes()
    with pytest.raises(EncoderError, match="another plan"):
        train_network(few, replace(plan, seed=9), progress=False, checkpoint=tmp_path)
    other = few.copy()
    other[3, 0, 2, 2] += 1e-3
    with pytest.raises(EncoderError, match="another data"):
        train_network(other, plan, progress=False, checkpoint=tmp_path)
    assert (tmp_path / FILE).read_bytes() == before


def test_a_full_disk_is_warned_of_once_and_costs_nothing_but_the_checkpoint(few, short, tmp_path, monkeypatch, caplog):
    straight = train_network(few, short, progress=False)
    write, calls = checkpoints.replace_whole, []

    def full_after_the_first(*arguments: object) -> None:
        calls.append(1)
        if len(calls) > 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(*arguments)

    monkeypatch.setattr(checkpoints, "replace_whole", full_after_the_first)
    with caplog.at_level(logging.WARNING):
        network = train_network(few, short, progress=False, checkpoint=tmp_path)
    assert_same(network, straight)
    messages = [record.getMessage() for record in caplog.records if "No space left" in record.getMessage()]
    assert len(calls) == 4 and len(messages) == 1 and str(tmp_path) in messages[0]
    monkeypatch.undo()
    resumed = train_network(few, short, progress=False, checkpoint=tmp_path)
    assert_same(resumed, straight)


def test_a_folder_that_cannot_be_made_is_refused_before_training(few, short, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("kept")
    monkeypatch.setattr(training, "_epoch", None)
    with pytest.raises(EncoderError, match="cannot be created"):
        train_network(few, short, progress=False, checkpoint=tmp_path / "file")
    assert (tmp_path / "file").read_text() == "kept"
