"""Index on disk: used only if it is undamaged, matches the data files, and has a sufficient recall."""

import logging

import numpy as np
import pytest

from pyspedas_similarity.archive import lance_index
from pyspedas_similarity.archive.archive import Archive
from pyspedas_similarity.archive.commit_records import read_record, write_record
from pyspedas_similarity.archive.lance_store import LanceStore
from pyspedas_similarity.archive.rows import Identity, make_rows
from tests.contracts import test_store as contract

ROWS = 1500


@pytest.fixture
def store(tmp_path):
    made = LanceStore.create(tmp_path / "archive", contract.IDENTITY)
    made.append(contract.make(0, ROWS))
    made.build_index()
    return made


def again(store):
    return LanceStore(store.place)


def near(store):
    fresh = again(store)
    return fresh.near(fresh.heads())


def index_files(store):
    return [path for path in (store.place.folder / "rows.lance" / "_indices").rglob("*") if path.is_file()]


def flip(path):
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 4
    path.write_bytes(raw)


def test_what_is_kept_of_an_index(store):
    (path,) = (store.place.folder / "indexes").glob("*.json")
    record = read_record(store.place, f"indexes/{path.name}")
    assert record["uuid"] == path.stem and record["rows"] == ROWS and record["kind"] == "IVF_FLAT"
    assert record["recall"] >= 0.99 and record["cells"] // 2 in lance_index._CELLS_ASKED and record["n_queries"] == 200
    assert sorted(record["hashes"]) == sorted(one.name for one in index_files(store))
    assert list(record["files"].values()) == list(store.snapshot().files())
    assert near(store).recall == record["recall"]


@pytest.mark.parametrize("which", ["index.idx", "auxiliary.idx", "record", "gone", "no record"])
def test_a_damaged_index_is_not_used_and_can_be_built_again(store, which, caplog):
    (record,) = (store.place.folder / "indexes").glob("*.json")
    if which in ("gone", "no record"):
        (index_files(store)[0] if which == "gone" else record).unlink()
    else:
        flip(record if which == "record" else next(one for one in index_files(store) if one.name == which))
    with caplog.at_level(logging.WARNING):
        assert near(store) is None
    assert "build it again" in caplog.text
    assert again(store).verify().problems == ("its index is damaged and not used",)
    again(store).repair()
    assert again(store).verify().sound and near(store) is None
    assert contract.contents(again(store)) == contract.as_dictionary(contract.make(0, ROWS))
    again(store).build_index()
    assert near(store).recall >= 0.99
    assert len(list((store.place.folder / "indexes").glob("*.json"))) >= 1


def test_an_index_of_other_files_under_the_same_numbers_is_not_used(store):
    (path,) = (store.place.folder / "indexes").glob("*.json")
    record = read_record(store.place, f"indexes/{path.name}")
    write_record(
        store.place, f"indexes/{path.name}", record | {"files": dict.fromkeys(record["files"], "another.lance")}
    )
    assert near(store) is None


def test_an_index_that_misses_too_many_is_not_used_and_says_so(tmp_path, monkeypatch, caplog):
    rng = np.random.default_rng(0)
    embeddings = rng.standard_normal((4000, 64)).astype(np.float32)  # without close neighbors
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    start = contract.START + np.arange(4000) * contract.STEP
    archive = Archive(tmp_path / "archive")
    store = archive.begin(Identity("frame", "e", "r", 64))
    store.append(make_rows(embeddings, start, start + contract.STEP, "noise", ""))
    monkeypatch.setattr(lance_index, "_CELLS_ASKED", (1,))
    recall = archive.build_index()
    assert 0.1 < recall < 0.9
    monkeypatch.setattr("pyspedas_similarity.archive.index.FEW_ROWS", 100)
    with caplog.at_level(logging.WARNING):
        assert archive.index().way() == "product"
    assert "every search is exact" in caplog.text
    rows, _ = archive.index().nearest(embeddings[5], 10)
    np.testing.assert_array_equal(np.sort(rows), np.sort(np.argsort(-(embeddings @ embeddings[5]))[:10]))


def test_what_was_never_measured_is_not_used(store):
    (path,) = (store.place.folder / "indexes").glob("*.json")
    write_record(
        store.place,
        f"indexes/{path.name}",
        read_record(store.place, f"indexes/{path.name}") | {"cells": 0, "recall": 0.0},
    )  # the state after a kill before the measurement
    assert near(store) is None


def test_an_index_is_replaced_and_the_old_version_keeps_its_own(store):
    store.append(contract.make(ROWS, 500))
    before = store.latest()
    old = {path.stem for path in (store.place.folder / "indexes").glob("*.json")}
    store.build_index()
    assert [len(one.segments) for one in store.snapshot().dataset.describe_indices()] == [1]
    fresh = again(store)
    assert fresh.near(fresh.heads(before)).recall >= 0.99
    fresh.forget(1)
    fresh.build_index()
    assert not old & {path.stem for path in (store.place.folder / "indexes").glob("*.json")}


def test_rows_whose_heads_are_damaged_are_not_proposed(store, monkeypatch):
    heads = store.heads()
    center = contract.make(7, 1).embeddings[0]
    assert 7 in store.near(heads).propose(center, 10)
    kept = np.delete(np.arange(ROWS), 7)
    names = ("ids", "start", "end", "source", "site", "quality", "place", "checksum")
    fewer = type(heads)(
        **{
            name: getattr(heads, name)[kept] if name in names else getattr(heads, name)
            for name in heads.__dataclass_fields__
        }
    )
    numbers = store.near(fewer).propose(center, 10)
    assert len(numbers) and contract.content_hashes(contract.make(7, 1), contract.IDENTITY)[0] not in fewer.ids[numbers]


@pytest.mark.parametrize(("dimension", "kind"), [(5, "IVF_FLAT"), (56, "IVF_FLAT"), (68, "IVF_FLAT"), (64, "IVF_RQ")])
def test_the_kind_follows_from_the_dimension(tmp_path, dimension, kind):
    rng = np.random.default_rng(0)
    embeddings = np.repeat(rng.standard_normal((120, dimension)), 10, axis=0)
    embeddings += 0.3 * rng.standard_normal((1200, dimension))
    embeddings = (embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)).astype(np.float32)
    start = contract.START + np.arange(1200) * contract.STEP
    store = LanceStore.create(tmp_path / "archive", Identity("frame", "e", "r", dimension))
    store.append(make_rows(embeddings, start, start + contract.STEP, "noise", ""))
    assert store.build_index() >= 0.99
    (path,) = (store.place.folder / "indexes").glob("*.json")
    assert read_record(store.place, f"indexes/{path.name}")["kind"] == kind
    heads = store.heads()
    found = store.near(heads).propose(embeddings[77], 10)
    scores = np.sort(store.embeddings(heads, found) @ embeddings[77])[::-1][:10]
    exact = np.sort(embeddings @ embeddings[77])[::-1][:10]
    assert (scores >= exact[-1] - 1e-6).sum() >= 9


def test_the_way_is_chosen_by_size(store, monkeypatch):
    index = Archive(store.place).index()
    center = contract.make(3, 1).embeddings[0]
    assert index.way() == "product" and index.recall("product") == 1
    exact = index.nearest(center, 10)
    monkeypatch.setattr("pyspedas_similarity.archive.index.FEW_ROWS", 1000)
    assert index.way() == "index" and index.way(k=5000) == "product" and index.recall("index") >= 0.99
    rows, scores = index.nearest(center, 10)
    assert len(np.intersect1d(rows, exact[0])) >= 9
    np.testing.assert_allclose(scores[0], 1, rtol=1e-6)
    assert (np.diff(scores) <= 0).all()
