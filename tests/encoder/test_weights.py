"""Encoders on disk: the same to the last bit, or refused."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import pickle
import shutil
from dataclasses import replace

import numpy as np
import pytest

from pyspedas_similarity.encoder.cards import Card
from pyspedas_similarity.encoder.fixed import FIXED, fixed_encoder
from pyspedas_similarity.encoder.runtime import fill
from pyspedas_similarity.encoder.training import as_trained_encoder, train_network
from pyspedas_similarity.encoder.weights import CARD, NETWORK, WEIGHTS, load_encoder, save_encoder
from pyspedas_similarity.errors import EncoderError

torch = pytest.importorskip("torch")


@pytest.fixture
def folder(trained, tmp_path):
    return save_encoder(trained, tmp_path / "models" / "bands")


def rewrite(folder, name: str, content: bytes) -> None:
    """Put another file in the folder and its checksum in the card, as someone hostile would."""
    (folder / name).write_bytes(content)
    card = json.loads((folder / CARD).read_text())
    card["weights_sha256" if name == WEIGHTS else "onnx_sha256"] = hashlib.sha256(content).hexdigest()
    (folder / CARD).write_text(json.dumps(card))


def test_embeddings_are_the_same_bits_after_saving_and_loading(trained, folder, bands):
    images = bands.copy()
    images[0], images[1, 0, :3] = np.nan, np.nan
    loaded = load_encoder(folder)
    assert loaded.encode(images).tobytes() == trained.encode(images).tobytes()
    assert loaded.card == trained.card and loaded.hash == trained.hash
    assert {path.name for path in folder.iterdir()} == {CARD, WEIGHTS, NETWORK}
    assert [path.name for path in folder.parent.iterdir()] == ["bands"]


def test_a_trained_encoder_treats_images_as_every_encoder_does(trained, bands):
    images = bands[:4].copy()
    images[1], images[2] = np.nan, 1.0
    found = trained.encode(images)
    assert np.isnan(found[1:3]).all()
    np.testing.assert_allclose(np.linalg.norm(found[[0, 3]], axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(found[[0, 3]], trained.encode(bands[[0, 3]]), atol=1e-6)
    assert trained.encode(bands[:0]).shape == (0, 128)


def test_the_network_is_the_backbone_that_was_trained(trained, bands):
    from safetensors.numpy import load

    from pyspedas_similarity.encoder.backbone import build_backbone

    with torch.random.fork_rng(devices=[]):
        backbone = build_backbone("compact", 1)
    weights = {key: torch.from_numpy(value) for key, value in load(trained.files[WEIGHTS]).items()}
    backbone.load_state_dict(weights)
    with torch.no_grad():
        expected = backbone.eval()(torch.from_numpy(bands)).numpy()
    found = trained.transform(*fill(bands))
    assert np.abs(found - expected).max() < 1e-4 * np.abs(expected).max()


def test_the_card_tells_how_it_was_trained(trained, bands, plan):
    card = trained.card
    assert (card.method, card.dimension, card.channels, card.pixels) == ("simsiam", 128, 1, 16)
    assert card.recipe == {"pixels": 16} and card.recipe_hash == "abcd"
    assert card.training["data"] == ["simulated bands"] and card.training["n_samples"] == len(bands)
    assert card.training["plan"] == plan.as_dict() and card.training["epochs_done"] == plan.epochs
    assert card.training["effective_rank"] > 2 and card.training["final_loss"] < 0
    assert card.weights_sha256 == hashlib.sha256(trained.files[WEIGHTS]).hexdigest()


def test_finishing_is_quiet_repeatable_and_without_traces_of_the_machine(bands, plan, caplog, capfd):
    network = train_network(bands, replace(plan, epochs=1), progress=False)
    state = torch.random.get_rng_state()
    with caplog.at_level(logging.DEBUG):
        capfd.readouterr()
        first, again = (as_trained_encoder(network, Card("bands", "frame", "simsiam")) for _ in range(2))
    assert capfd.readouterr() == ("", "") and not [each for each in caplog.records if each.levelno >= logging.INFO]
    assert first.hash == again.hash
    assert torch.equal(torch.random.get_rng_state(), state)
    for trace in (b"site-packages", b"encoder/backbone", os.getcwd().encode()):
        assert trace not in first.files[NETWORK]


@pytest.mark.parametrize("name", list(FIXED))
def test_a_fixed_encoder_is_its_card(name, tmp_path, bands):
    encoder = fixed_encoder(name, "frame")
    encoder = replace(encoder, card=replace(encoder.card, metrics={"recall": 0.5}))
    folder = save_encoder(encoder, tmp_path / name)
    assert [path.name for path in folder.iterdir()] == [CARD]
    loaded = load_encoder(folder)
    assert loaded.card == encoder.card
    np.testing.assert_array_equal(loaded.encode(bands), encoder.encode(bands))


def test_a_fixed_encoder_of_another_version_or_name_is_refused(tmp_path):
    encoder = fixed_encoder("pixels", "frame")
    older = replace(encoder.card, training={"transform_version": 0})
    with pytest.raises(EncoderError, match="another version"):
        load_encoder(save_encoder(replace(encoder, card=older), tmp_path / "older"))
    with pytest.raises(EncoderError, match="wavelets"):
        load_encoder(save_encoder(replace(encoder, card=replace(encoder.card, name="wavelets")), tmp_path / "other"))


def test_an_encoder_is_replaced_only_when_asked(trained, folder, bands):
    with pytest.raises(EncoderError, match="exists already"):
        save_encoder(fixed_encoder("pixels", "frame"), folder)
    np.testing.assert_array_equal(load_encoder(folder).encode(bands), trained.encode(bands))
    save_encoder(fixed_encoder("pixels", "frame"), folder, overwrite=True)
    assert load_encoder(folder).card.name == "pixels"
    assert [path.name for path in folder.parent.iterdir()] == ["bands"]


def test_what_is_no_encoder_is_never_replaced(trained, tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(EncoderError, match="other files"):
        save_encoder(trained, tmp_path, overwrite=True)
    with pytest.raises(EncoderError, match="other files"):
        save_encoder(trained, tmp_path / "thesis.tex", overwrite=True)
    with pytest.raises(EncoderError, match="cannot be written"):
        save_encoder(trained, tmp_path / "thesis.tex" / "encoder")
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_a_write_that_fails_leaves_the_old_encoder(folder, bands, trained, monkeypatch):
    def full(*arguments: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(EncoderError, match="no space left"):
        save_encoder(fixed_encoder("pixels", "frame"), folder, overwrite=True)
    np.testing.assert_array_equal(load_encoder(folder).encode(bands), trained.encode(bands))
    assert [path.name for path in folder.parent.iterdir()] == ["bands"]


@pytest.mark.parametrize("name", [CARD, WEIGHTS, NETWORK])
def test_missing_truncated_and_changed_files_are_refused_by_name(folder, name):
    content = (folder / name).read_bytes()
    changed = bytearray(content)
    changed[len(content) // 2] ^= 0xFF
    for damaged in (b"", content[: len(content) // 2], bytes(changed)):
        (folder / name).write_bytes(damaged)
        with pytest.raises(EncoderError, match=name):
            load_encoder(folder)
    (folder / name).unlink()
    with pytest.raises(EncoderError, match=name):
        load_encoder(folder)
    (folder / name).mkdir()
    with pytest.raises(EncoderError, match=name):
        load_encoder(folder)


@pytest.mark.parametrize("name", [WEIGHTS, NETWORK])
def test_truncated_and_foreign_files_are_refused_whatever_the_card_says(folder, name):
    content = (folder / name).read_bytes()
    half = content[: len(content) // 2]
    for foreign in (b"", b"\x00" * 64, b"PK\x03\x04", half, content[:100], b"\xff" * 8 + content):
        rewrite(folder, name, foreign)
        with pytest.raises(EncoderError, match=name):
            load_encoder(folder)


class Trap:
    """Writes a file when unpickled."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return open, (self.path, "w")


@pytest.mark.parametrize("name", [WEIGHTS, NETWORK, CARD])
def test_a_pickle_is_never_opened(folder, tmp_path, name):
    trap = pickle.dumps(Trap(str(tmp_path / "sprung")))
    if name == CARD:
        (folder / CARD).write_bytes(trap)
    else:
        rewrite(folder, name, trap)
    with pytest.raises(EncoderError, match=name):
        load_encoder(folder)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_refused(folder, value):
    import onnx
    from safetensors.numpy import load, save

    weights, network = (folder / WEIGHTS).read_bytes(), (folder / NETWORK).read_bytes()
    tensors = load(weights)
    tensors["0.weight"] = np.where(tensors["0.weight"] > 0, value, 0).astype(np.float32)
    rewrite(folder, WEIGHTS, save(tensors))
    with pytest.raises(EncoderError, match=f"{WEIGHTS}: tensor '0.weight' is not finite"):
        load_encoder(folder)

    rewrite(folder, WEIGHTS, weights)
    model = onnx.load_model_from_string(network)
    tensor = max(model.graph.initializer, key=lambda each: len(each.raw_data))
    values = np.frombuffer(tensor.raw_data, np.float32).copy()
    values[7] = value
    tensor.raw_data = values.tobytes()
    rewrite(folder, NETWORK, model.SerializeToString())
    with pytest.raises(EncoderError, match=f"{NETWORK}: tensor .* is not finite"):
        load_encoder(folder)


def test_a_missing_folder_is_named(folder):
    shutil.rmtree(folder)
    with pytest.raises(EncoderError, match="neither a name nor a folder. .*encoders with a name are .*structure"):
        load_encoder(folder)


@pytest.mark.parametrize(("name", "method"), [("hybrid", "fixed transform"), ("mms_electrons", "canonical")])
def test_an_encoder_that_was_removed_is_refused_with_what_to_do(folder, name, method):
    card = json.loads((folder / CARD).read_text()) | {"name": name, "method": method}
    (folder / CARD).write_text(json.dumps(card))
    with pytest.raises(EncoderError, match=rf"'{name}' \({method}\) was removed .* Use the version that wrote it"):
        load_encoder(folder)
