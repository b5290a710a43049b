"""Short versions of the fault injection tests in benchmarks/archive_faults.py."""

import ast
import contextlib
import logging
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import archive_faults as faults
from pyspedas_similarity.archive import fragments, locations, objects

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="kills, limits and file descriptors of POSIX")


def test_killed_writers_lose_nothing_acknowledged(tmp_path):
    found = faults.kill(3, 1, tmp_path)
    assert found["as it should be"], found
    assert found["kills"] == 3 and found["acknowledged batches"] >= 3


def test_killed_maintenance_changes_nothing(tmp_path):
    found = faults.compaction(2, 1, tmp_path)
    assert found["as it should be"], found
    assert found["kills"] == 2


def test_killed_building_of_an_index_changes_nothing(tmp_path):
    found = faults.index(4, 1, tmp_path)
    assert found["as it should be"], found
    assert found["kills"] == 4


def test_an_object_store_loses_nothing_acknowledged(tmp_path, monkeypatch):
    for module in (faults, objects):  # the killed worker processes use the default
        monkeypatch.setattr(module, "LEASE_S", 3.0)
    found = faults.objects(2, 1, tmp_path, ("kill", "compaction", "connections"))
    assert found["as it should be"], found
    assert (found["kill: kills"], found["compaction: kills"], found["connections: acknowledged"]) == (2, 1, 2)


def test_loss_of_power_loses_nothing_acknowledged(tmp_path):
    found = faults.power(8, 1, tmp_path)
    assert found["as it should be"], found
    assert found["losses of power after acknowledgement"] == 9 and found["losses of power at an fsync"] > 50


def test_a_missing_fsync_is_detected(tmp_path, monkeypatch):
    """Check the power failure test itself: it must fail without an fsync."""
    make_durable = locations.Folder.make_durable
    monkeypatch.setattr(
        locations.Folder,
        "make_durable",
        lambda place, *names: make_durable(place, *(n for n in names if "/data/" not in n)),
    )
    assert not faults.power(3, 1, tmp_path)["as it should be"]


def test_flipped_bits_are_found(tmp_path):
    found = faults.bitflips(30, 1, tmp_path)
    assert found["as it should be"], found
    assert found["flips"] == 30 and found["rows told to be damaged"] > 0


def test_silently_wrong_rows_are_detected(tmp_path, monkeypatch):
    """Check the flipped bit test itself: it must fail without checksums."""
    store = faults.LanceStore.create(tmp_path / "archive", faults.IDENTITY)
    store.append(faults.batch(0))
    truth, _ = faults.contents(store)
    like = faults.batch(0).embeddings[7]
    answer = faults.search(store, like)
    (file,) = (tmp_path / "archive" / "rows.lance" / "data").iterdir()
    raw = bytearray(file.read_bytes())
    raw[raw.find(faults.batch(0).embeddings[9].tobytes()) + 2] ^= 16
    file.write_bytes(raw)
    monkeypatch.setattr(fragments, "body_checksums", lambda heads, embeddings, identity: _Equal(len(heads)))
    assert faults._after_flip(tmp_path / "archive", truth, like, answer)["silently wrong rows"] == 1


class _Equal:
    """Array that is equal to any other."""

    def __init__(self, n: int) -> None:
        self.n = n

    def __eq__(self, other: object):
        return np.ones(self.n, bool)

    __hash__ = None


def test_writers_readers_and_compaction_at_once(tmp_path):
    found = faults.writers(3, 1, tmp_path, number=3, readers=1)
    assert found["as it should be"], found
    assert found["commits"] == 9


def test_a_full_disk_costs_only_the_batch(tmp_path):
    found = faults.full(8, 1, tmp_path)
    assert found["as it should be"], found
    assert found["typed errors"] >= 3


def test_mixing_is_refused(tmp_path):
    found = faults.mixing(50, 1, tmp_path)
    assert found["as it should be"], found


def test_hostile_names_stay_inside_and_nothing_is_unpickled(tmp_path):
    found = faults.hostile(45, 1, tmp_path)
    assert found["as it should be"], found
    assert found["kept"] == 44


def test_no_socket_is_opened(tmp_path):
    found = faults.offline(1, 1, tmp_path)
    assert found["as it should be"], found


def test_a_killed_worker_of_a_cluster_costs_nothing(tmp_path, monkeypatch):
    from pyspedas.projects.mms.mms_load_data_spdf import CONFIG

    monkeypatch.setitem(CONFIG, "local_data_dir", CONFIG["local_data_dir"])  # restored after the test
    with _log_as_before():
        found = faults.spread(1, 1, tmp_path)
    # The time of the kill is random here; tests/library/test_distributed.py kills a busy worker.
    assert {key: value for key, value in found.items() if key.startswith(("not ", "rows ", "left")) and value} == {}
    assert found["kills"] == 1 and found["samples"] == 1600


@contextlib.contextmanager
def _log_as_before():
    level = logging.root.manager.disable
    try:
        yield
    finally:
        logging.disable(level)


def test_no_source_file_of_the_package_can_unpickle():
    package = Path(__file__).parents[2] / "pyspedas_similarity"
    for path in package.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                modules = {getattr(node, "module", None), *(alias.name for alias in node.names)}
                assert not modules & {"pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}, path
            if isinstance(node, ast.Call):
                assert ast.unparse(node.func) not in ("torch.load", "pd.read_pickle"), path
                for keyword in node.keywords:
                    assert keyword.arg != "allow_pickle" or ast.unparse(keyword.value) == "False", path
