"""Trials of networks: the random library, training and resumption, joined encoders, and the comparison."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from astropy.table import Table
from safetensors.numpy import load

from benchmarks.data_sets.foreign import KINDS, OTHER_KINDS, data_set_of
from benchmarks.networks import electrons, trials
from benchmarks.networks.__main__ import BAD_INPUT, DONE, main
from benchmarks.networks.figure import TABLES, curves_of
from benchmarks.networks.judge import judge, with_default
from benchmarks.networks.trials import publish
from benchmarks.retrieval.encoders import is_encoder, label_of
from benchmarks.retrieval.plan import Plan
from pyspedas_similarity.encoder.weights import load_encoder
from pyspedas_similarity.errors import ArgumentError
from pyspedas_similarity.instruments.registry import ELECTRONS
from pyspedas_similarity.simulate.magnetopause import RANGES


@pytest.fixture(scope="module")
def library():
    return electrons.make_electrons(3)


def test_partners_are_the_other_images_of_an_instant(library):
    n = 3 * electrons.PER_EVENT * len(electrons.IMAGES_OF_INSTANT)
    assert library.images.shape == (n, *ELECTRONS.shape) and library.partners.shape == (n, 3)
    for row, partners in enumerate(library.partners):
        assert sorted([row, *partners]) == list(range(4 * (row // 4), 4 * (row // 4) + 4))
    assert np.unique(library.event, return_counts=True)[1].tolist() == [16, 16, 16]
    # The same plasma by another instrument is in the same state, with another image.
    np.testing.assert_array_equal(library.state[::4], library.state[1::4])
    assert (library.images[::4] != library.images[1::4]).any(axis=(1, 2, 3)).all()


def test_an_image_is_closer_to_its_partners_than_to_other_events(library):
    flat = np.nan_to_num(library.images.astype(np.float64)).reshape(len(library.images), -1)
    away = np.linalg.norm(flat[:, None] - flat, axis=2)
    partner = np.take_along_axis(away, library.partners[:, :2], axis=1).mean()
    assert partner < 0.7 * away[library.event[:, None] != library.event].mean()


def test_the_same_seed_gives_the_same_library_and_a_smaller_one_is_its_beginning(library):
    again = electrons.make_electrons(1)
    np.testing.assert_array_equal(again.images, library.images[:16])
    part = library.first(16)
    assert len(part.images) == 16 and part.partners.max() == 15


def test_parameters_are_drawn_from_wider_ranges():
    drawn = [electrons.random_parameters(np.random.default_rng(seed)) for seed in range(300)]
    turn = [one.crescent_turn for one in drawn]
    assert min(turn) < -150 and max(turn) > 150
    low, high, _ = RANGES["sheath_temperature"]
    temperature = [one.sheath_temperature for one in drawn]
    assert low / 1.6 <= min(temperature) < low and high < max(temperature) <= 1.6 * high
    low, high, _ = RANGES["loss_cone_angle"]
    assert all(low <= one.loss_cone_angle <= high for one in drawn)


def test_partners_by_state_are_of_other_events(library):
    found = trials.partners_of(library, trials.STATE, 0)
    rows, columns = np.nonzero(found >= 0)
    partners = found[rows, columns]
    assert len(rows) > 10
    assert (library.state[rows] == library.state[partners]).all()
    assert (library.event[rows] != library.event[partners]).all()
    assert trials.partners_of(library, trials.NONE, 0) is None


def test_the_library_is_made_once(tmp_path, library):
    path = tmp_path / "electrons.npz"
    found = electrons.load_or_make(path, 1)
    written = path.stat().st_mtime_ns
    np.testing.assert_array_equal(electrons.load_or_make(path, 1).images, found.images)
    assert path.stat().st_mtime_ns == written
    np.testing.assert_array_equal(found.images, library.images[:16])
    with pytest.raises(ArgumentError, match="it has 1 events, 2 are needed"):
        electrons.load_or_make(path, 2)


def test_a_trial_keeps_the_best_epoch_and_the_curve_and_a_finished_one_is_left_alone(tmp_path, library):
    pytest.importorskip("torch")
    trial = trials.trial_of("simsiam", 1, 48, 2, "compact")
    assert trial.name == "simsiam-compact-48" and trial.plan.momentum == 0.57
    folder = trials.run_trial(trial, library, ELECTRONS, tmp_path, progress=False)
    assert folder == tmp_path / "best" / trial.name / "seed1"
    kept = sorted(path.parent.name for path in (tmp_path / "epochs").glob("*/seed1"))
    assert kept == ["simsiam-compact-48-001", "simsiam-compact-48-002"]
    last, best = (
        load_encoder(each).encode(library.images[:5]) for each in (tmp_path / "epochs" / kept[1] / "seed1", folder)
    )
    np.testing.assert_allclose(last, best, atol=1e-6)  # without partners the last epoch is the best
    written = (folder / "card.json").stat().st_mtime_ns
    assert trials.run_trial(trial, library, ELECTRONS, tmp_path) == folder
    assert (folder / "card.json").stat().st_mtime_ns == written


def test_only_the_last_layers_are_adapted(tmp_path, library):
    pytest.importorskip("torch")
    from pyspedas_similarity.encoder.finetune import ADAPTATION_PLAN, adapt

    folder = trials.run_trial(trials.trial_of("vicreg", 0, 48, 1, "compact"), library, ELECTRONS, tmp_path, False)
    encoder = load_encoder(folder)
    found = adapt(encoder, library.images, library.partners, replace(ADAPTATION_PLAN, epochs=1, batch_size=16))
    before, after = (load(each.files["weights.safetensors"]) for each in (encoder, found))
    learned = [key for key, value in after.items() if key.endswith("weight") and (value != before[key]).any()]
    changed = {key.partition(".")[0] for key in learned}
    assert changed == {"12", "13", "16"}  # the last convolution, its normalization and the linear layer
    assert found.card.name == "vicreg-compact-48-adapted" and found.hash != encoder.hash
    assert found.encode(library.images[:3]).shape == (3, 128)


def test_names_of_joined_encoders(tmp_path):
    assert label_of(f"structure+{tmp_path}/net") == "structure+net"
    assert is_encoder("structure+mms_electrons") and not is_encoder("structure+nothing")
    assert with_default(["a"]) == ("a", "structure+a")


def test_the_summary_has_the_leads_over_the_default_encoder(tmp_path, library):
    event, region = library.event, np.where(np.arange(48) % 4 < 2, 3, 0)
    images = np.nan_to_num(library.images.astype(np.float32))
    images[region == 3, :, 4:9] += 0.5
    data = data_set_of(7, event, region, lambda recipe: images, KINDS)
    plan = Plan(encoders=("structure", "pixels", "structure+mms_electrons"), most=9)
    said: list[str] = []
    judged = judge(iter([(7, data), (8, replace(data, name="foreign-8"))]), plan, tmp_path, "networks", said.append)
    rows = {row["encoder"]: row for row in judged.summary()}
    assert rows["structure"]["lead"].value == 0 and rows["structure"]["groups"] == 6
    for name, row in rows.items():
        assert row["lead"].value == pytest.approx(row["ap"].value - rows["structure"]["ap"].value), name
        assert row["draws"] == pytest.approx((row["ap"].value, row["ap"].value))  # both draws are the same here
    table = Table.read(tmp_path / "networks.ecsv", format="ascii.ecsv")
    assert set(table["compared"]) == {"relative"} and len(table) == 6
    assert (tmp_path / "networks.txt").read_text().splitlines() == [line for each in said for line in each.split("\n")]


def test_other_kinds_are_tasks_of_their_own():
    event, region = np.repeat([0, 1], 6), np.tile(np.arange(6), 2)
    data = data_set_of(1, event, region, lambda recipe: np.zeros((12, 1, 4, 4)), KINDS | OTHER_KINDS)
    found = {task.name: region[task.queries].tolist() for task in data.tasks}
    assert found == {"foreign": [3, 3], "beams": [4, 4], "flat tops": [5, 5], "boundary": [1, 1]}


def test_curves_are_means_over_draws():
    names = ["vicreg-compact-6400-001", "vicreg-compact-6400-012", "structure+vicreg-compact-6400-001", "structure"]
    table = Table({"encoder": names * 2, "ap": [0.1, 0.4, 0.8, 0.9, 0.3, 0.6, 1.0, 0.9]})
    found = curves_of(table, "epoch")
    assert set(found) == {("vicreg, 6400 images", False), ("vicreg, 6400 images", True)}
    at, mean = found["vicreg, 6400 images", False]
    assert at.tolist() == [1, 12] and mean == pytest.approx([0.2, 0.5])


def test_commands(tmp_path, capsys):
    assert main(["plot", "--out", str(tmp_path)]) == BAD_INPUT
    assert "there is no curve.ecsv" in capsys.readouterr().err
    row = {"task": "foreign", "encoder": "vicreg-compact-6400-001", "ap": 0.5}
    for axis, name in TABLES.items():
        Table([row, row | {"task": "beams"}]).write(tmp_path / name, format="ascii.ecsv")
        image = tmp_path / f"{axis}.png"
        assert main(["plot", "--out", str(tmp_path), "--by", axis, "--image", str(image)]) == DONE
        assert image.stat().st_size > 10_000


def test_a_published_network_has_license_and_known_failures(tmp_path, library):
    pytest.importorskip("torch")
    trial = trials.run_trial(trials.trial_of("vicreg", 0, 48, 1, "compact"), library, ELECTRONS, tmp_path, False)
    found = load_encoder(publish(trial, tmp_path / "published"))
    assert (found.card.name, found.card.license) == ("mms_electrons", "BSD-3-Clause") and found.card.known_failures
    assert "0.4 million weights, trained by vicreg on 32 images" in found.card.description
    np.testing.assert_array_equal(found.encode(library.images), load_encoder(trial).encode(library.images))
