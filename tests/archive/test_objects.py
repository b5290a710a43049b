"""Archives in an object store: requests, concurrent writers, failures and messages.

The store is emulated on loopback, see tests/object_server.py. It also runs the contract of all stores, in
tests/contracts, and tests of killed writers, in tests/archive/test_faults.py.
"""

import json
import logging
import sys
import threading
import time
import traceback
from pathlib import Path

import numpy as np
import pytest
from pyspedas import tplot_tools

import pyspedas_similarity as sim
from pyspedas_similarity.archive import commits, maintenance, objects
from pyspedas_similarity.archive.archive import Archive
from pyspedas_similarity.archive.commit_records import commit_record_name, manifest_name
from pyspedas_similarity.archive.lance_store import LanceStore
from pyspedas_similarity.archive.locations import place_of
from pyspedas_similarity.errors import (
    ArchiveError,
    ArgumentError,
    BusyArchiveError,
    DamagedArchiveError,
    MixingError,
    SimilarityError,
)
from tests.contracts import test_store as contract

make, contents, as_dictionary, Rows = contract.make, contract.contents, contract.as_dictionary, contract.Rows


@pytest.fixture
def server(object_server):
    yield object_server
    object_server.fault = lambda number, method, path: None


@pytest.fixture
def place(server, tmp_path):
    return place_of(f"s3://archives/{tmp_path.name}", server.options)


@pytest.fixture
def store(place):
    made = LanceStore.create(place, contract.IDENTITY)
    for number in range(4):
        made.append(make(10 * number, 10))
    return made


def prefix(place):
    return place.address.removeprefix("s3://archives/") + "/"


def flip(server, place, name):
    raw = bytearray(server.objects(prefix(place))[prefix(place) + name])
    raw[len(raw) // 2] ^= 4
    server.replace(prefix(place) + name, bytes(raw))


# Requests


def test_nothing_is_contacted_before_something_is_needed(server, tmp_path):
    before = len(server.asked)
    archive = sim.open_archive(f"s3://archives/{tmp_path.name}/", storage_options=server.options)
    assert repr(archive) == f"<Archive 's3://archives/{tmp_path.name}'>"
    assert archive.path == f"s3://archives/{tmp_path.name}"
    assert len(server.asked) == before
    assert not archive.begun
    assert len(server.asked) == before + 1


def test_endpoint_and_credentials_can_come_from_the_environment(server, tmp_path, monkeypatch):
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    archive = sim.open_archive(f"s3://archives/{tmp_path.name}")
    archive.begin(contract.IDENTITY).append(make(0, 10))
    assert len(sim.open_archive(f"s3://archives/{tmp_path.name}")) == 10
    assert repr(archive) == f"<Archive 's3://archives/{tmp_path.name}', version 2, 10 samples>"


def test_a_search_finds_what_it_finds_in_a_folder(server, tmp_path):
    trange = ["2020-01-01 00:00:00", "2020-01-01 00:01:00"]
    address = f"s3://archives/{tmp_path.name}"
    tables = []
    for archive in (
        sim.open_archive(tmp_path / "folder"),
        sim.open_archive(address, storage_options=server.options),
    ):
        added = sim.add(archive, instrument="simulated_dis", trange=trange, progress=False)
        assert (added.version, added.added > 0) == (2, True)
        names = sim.find_similar(archive=archive, like="2020-01-01 00:00:30", k=3, errors="raise")
        tables.append(sim.intervals(names))
        told = json.dumps(tables[-1].meta, default=str)
        assert server.options["secret_access_key"] not in told and server.options["access_key_id"] not in told
    assert len(tables[0]) > 0
    assert (tables[0]["start"] == tables[1]["start"]).all()
    np.testing.assert_array_equal(tables[0]["score"], tables[1]["score"])
    assert address in told


def test_an_older_version_can_be_opened_and_gone_back_to(store, server):
    old = sim.open_archive(store.place.address, version=3, storage_options=server.options)
    assert len(old) == 20 and len(old.at(2)) == 10
    newest = Archive(store.place)
    assert newest.restore(3) == 6
    assert len(newest) == 20
    assert newest.compact(keep=1) == 7
    assert [one.number for one in newest.versions()] == [7]


# Invalid arguments


@pytest.mark.parametrize(
    ("address", "complaint"),
    [
        (
            "ftp://somewhere/ions",
            "ftp:// addresses are not supported. Give a folder, or an address .*: s3://, gs://, az://",
        ),
        ("https://host/ions", "https:// addresses are not supported"),
        ("memory://ions", "memory:// addresses are not supported"),
        (Path("s3://archives/ions"), "an address as a Path, which changes it. Give it as a str"),
        ("s3://archives", r"Give s3://bucket/prefix"),
        ("s3:///ions", r"Give s3://bucket/prefix"),
        ("s3://archives/a/../b", r"Give s3://bucket/prefix"),
        ("s3://archives/a//b", r"Give s3://bucket/prefix"),
        ("s3://key:hush@archives/ions", "more than a bucket and a prefix. Give credentials in the environment"),
        ("az://archives/ions?sig=hush", "more than a bucket and a prefix. Give credentials in the environment"),
    ],
)
def test_addresses_that_cannot_be_served_are_refused(address, complaint):
    with pytest.raises(ArgumentError, match=complaint) as caught:
        sim.open_archive(address)
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"no_such_option": "hush"}, "no_such_option"),
        ({"connect_timeout": "hush"}, "cannot be opened with .*connect_timeout"),
        ({"client_max_retries": "hush"}, "cannot be opened with .*client_max_retries"),
        ({"default_headers": "hush"}, "default_headers"),
    ],
)
def test_options_that_cannot_be_taken_are_refused_without_showing_them(options, complaint):
    with pytest.raises(ArgumentError, match=complaint) as caught:
        sim.open_archive("s3://archives/ions", storage_options=options)
    assert "hush" not in "".join(traceback.format_exception(caught.value))


def test_a_folder_takes_no_options(tmp_path):
    with pytest.raises(ArgumentError, match="storage_options: a folder takes none"):
        sim.open_archive(tmp_path / "ions", storage_options={"region": "here"})


def test_a_missing_library_raises_with_a_remedy(monkeypatch):
    monkeypatch.setitem(sys.modules, "obstore", None)
    with pytest.raises(ArgumentError, match=r"needs the package obstore.*pip install 'pyspedas-similarity\[objects\]'"):
        sim.open_archive("s3://archives/ions")


def test_other_schemes_are_opened_by_the_same_library():
    assert (
        sim.open_archive("gs://archives/ions", storage_options={"skip_signature": "true"}).path == "gs://archives/ions"
    )
    assert sim.open_archive("az://archives/ions", storage_options={"account_name": "x"}).path == "az://archives/ions"


def test_the_workers_of_a_cluster_fill_an_archive_there(server, tmp_path):
    from distributed import Client, LocalCluster

    frames = np.random.default_rng(0).integers(0, 1000, (20, 32, 32)).astype(np.float32)
    times = np.datetime64("2020-01-01", "ns") + np.arange(20) * np.timedelta64(3, "s")
    tplot_tools.store_data("sky", data={"x": times, "y": frames})
    archive = sim.open_archive(f"s3://archives/{tmp_path.name}", storage_options=server.options)
    quiet = {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0"}
    with LocalCluster(n_workers=1, threads_per_worker=1, **quiet) as cluster, Client(cluster) as client:
        assert sim.add(archive, "sky", encoder="pixels", client=client).added == 20
    alone = sim.open_archive(tmp_path / "alone")
    sim.add(alone, "sky", encoder="pixels")
    assert archive.store.heads().ids.tobytes() == alone.store.heads().ids.tobytes()


def test_mixing_is_refused(store):
    other = contract.Identity("frame", "encoder-b", "recipe-a", 8)
    with pytest.raises(MixingError, match="encoder"):
        LanceStore.create(store.place, other)
    assert contents(store) == as_dictionary(make(0, 40))


# Unreachable store


def test_refused_connections_raise(server, tmp_path):
    options = server.options | {"endpoint": "http://127.0.0.1:9", "client_max_retries": "1"}
    archive = sim.open_archive(f"s3://archives/{tmp_path.name}", storage_options=options)
    began = time.monotonic()
    with pytest.raises(ArchiveError, match="it cannot be reached .*Check the address, the network and the credentials"):
        len(archive)
    assert time.monotonic() - began < 10


def test_a_store_that_does_not_respond_raises_in_bounded_time(tmp_path):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        options = {"endpoint": f"http://127.0.0.1:{silent.getsockname()[1]}", "allow_http": "true", "region": "x"}
        options |= {"access_key_id": "x", "secret_access_key": "y", "timeout": "1s", "client_retry_timeout": "1"}
        archive = sim.open_archive("s3://archives/ions", storage_options=options)
        began = time.monotonic()
        with pytest.raises(ArchiveError, match="it cannot be reached"):
            archive.begin(contract.IDENTITY)
        assert time.monotonic() - began < 15


def test_a_missing_bucket_raises(server):
    archive = sim.open_archive("s3://no-such-bucket/ions", storage_options=server.options)
    with pytest.raises(ArchiveError, match="no-such-bucket"):
        archive.begin(contract.IDENTITY)


def test_rows_that_could_not_be_read_are_not_called_damaged(store, server):
    """Otherwise a repair would remove them permanently."""
    fresh = LanceStore(place_of(store.place.address, server.options | {"client_max_retries": "0"}))
    server.fault = lambda number, method, path: "busy" if path.endswith(".lance") else None
    for doing in (fresh.heads, fresh.verify, fresh.repair, fresh.compact):
        with pytest.raises(ArchiveError, match="could not be reached") as caught:
            doing()
        assert not isinstance(caught.value, DamagedArchiveError)
    server.fault = lambda number, method, path: None
    assert fresh.verify().sound
    assert contents(fresh) == as_dictionary(make(0, 40))


@pytest.mark.parametrize("fault", ["lost", "unanswered", "busy"])
def test_a_connection_that_breaks_in_an_append_costs_nothing_acknowledged(store, server, fault):
    """Fail at each request in turn, once or permanently; a retry adds only the missing rows."""
    reader, expected, told = LanceStore(store.place), ids(make(0, 40)), 0
    hasty = LanceStore(place_of(store.place.address, server.options | {"client_max_retries": "0"}))
    cases = [*((turn, 1) for turn in range(20)), *((turn, 10**6) for turn in (0, 7, 12, 16, 18))]
    for number, (turn, many) in enumerate(cases):
        rows, first = make(40 + 5 * number, 5), len(server.asked) + 1 + turn
        server.fault = lambda at, method, path, first=first, many=many: fault if 0 <= at - first < many else None
        try:
            hasty.append(rows)
        except SimilarityError as error:
            assert isinstance(error, ArchiveError) and not isinstance(error, DamagedArchiveError)
            told += 1
        server.fault = lambda at, method, path: None
        assert sorted(reader.heads().ids.tolist()) in (sorted(expected), sorted(expected | ids(rows)))
        store.append(rows)
        expected |= ids(rows)
        assert sorted(reader.heads().ids.tolist()) == sorted(expected)
    assert told > 10
    assert store.verify().sound
    assert len(contents(store)) == 40 + 25 * 5


def ids(rows):
    return set(contract.content_hashes(rows, contract.IDENTITY).tolist())


# Concurrent processes


def test_a_missing_commit_record_is_created_by_the_next_writer(store, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(commits, "create_commit_record", lambda place, record: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            store.append(make(40, 5))
    reader = LanceStore(store.place)
    assert contents(reader) == as_dictionary(make(0, 40))  # not acknowledged, hence ignored
    assert store.append(make(45, 5)).version == 7
    assert contents(reader) == as_dictionary(make(0, 50))
    assert [(one.number, one.what, one.added) for one in reader.versions()][-2:] == [(6, "append", 5), (7, "append", 5)]
    assert store.append(make(40, 5)).added == 0


def test_a_suspended_writer_acknowledges_the_version_committed_on_its_behalf(store, monkeypatch):
    create_commit_record = commits.create_commit_record

    def suspended(place, record):
        monkeypatch.setattr(commits, "create_commit_record", create_commit_record)
        LanceStore(store.place).append(make(60, 5))
        create_commit_record(place, record)

    monkeypatch.setattr(commits, "create_commit_record", suspended)
    assert store.append(make(40, 5)) == contract.store_answer(6, 5, 0)
    assert contents(store) == as_dictionary(Rows.joined([make(0, 45), make(60, 5)]))


def test_a_suspended_writer_does_not_acknowledge_a_deleted_version(store, monkeypatch):
    create_commit_record = commits.create_commit_record

    def suspended(place, record):
        monkeypatch.setattr(commits, "create_commit_record", create_commit_record)
        other = LanceStore(store.place)
        other.append(make(60, 5))
        other.restore(5)  # without the rows of the suspended writer
        other.forget(1)
        create_commit_record(place, record)

    monkeypatch.setattr(commits, "create_commit_record", suspended)
    with pytest.raises(BusyArchiveError, match="deleted before it was acknowledged"):
        store.append(make(40, 5))
    assert contents(store) == as_dictionary(make(0, 40))
    assert store.append(make(40, 5)).added == 5
    assert contents(store) == as_dictionary(make(0, 45))
    assert store.verify().sound


def test_a_version_that_is_restored_and_given_up_at_once_is_whole(store, monkeypatch):
    """Files that only the old version uses may be deleted at any time, so they are copied."""
    store.compact()
    other, restored = LanceStore(store.place), maintenance._restore_change

    def given_up_meanwhile(*arguments):
        change = restored(*arguments)
        if other.latest() == 6:
            other.append(make(60, 5))
            other.forget(1)
        return change

    monkeypatch.setattr(maintenance, "_restore_change", given_up_meanwhile)
    with pytest.raises(ArchiveError, match="there is no version 3"):
        store.restore(3)
    assert store.verify().sound
    assert contents(store) == as_dictionary(Rows.joined([make(0, 40), make(60, 5)]))


def test_a_version_that_is_given_up_while_it_is_restored_is_there_again(store, monkeypatch):
    store.compact()
    other, restored = LanceStore(store.place), maintenance._restore_change

    def given_up_meanwhile(*arguments):
        change = restored(*arguments)
        assert other.forget(1) == 5
        return change

    monkeypatch.setattr(maintenance, "_restore_change", given_up_meanwhile)
    assert store.restore(3) == 7
    assert store.verify().sound
    assert contents(store) == as_dictionary(make(0, 20))


def test_a_conflicting_commit_is_retried_on_the_new_version(store, monkeypatch):
    """Two other writers commit first; some of their rows are equal to those of the retried batch."""
    import lance

    commit, others = lance.LanceDataset.commit, []

    def conflicting(*arguments, **keywords):
        if len(others) < 2:
            others.append(None)  # before the nested commit
            monkeypatch.setattr(lance.LanceDataset, "commit", commit)
            LanceStore(store.place).append(make(60 + 5 * len(others), 5))
            LanceStore(store.place).append(make(80 + 5 * len(others), 5))
            monkeypatch.setattr(lance.LanceDataset, "commit", staticmethod(conflicting))
        return commit(*arguments, **keywords)

    monkeypatch.setattr(lance.LanceDataset, "commit", staticmethod(conflicting))
    assert store.append(make(60, 10)) == contract.store_answer(10, 5, 5)
    assert len(others) == 2
    expected = Rows.joined([make(0, 40), make(60, 15), make(85, 10)])
    assert contents(store) == as_dictionary(expected)
    assert [one.rows for one in store.versions()][5:] == [45, 50, 55, 60, 65]
    assert store.verify().sound


def test_two_that_begin_at_once_make_one_archive(place, monkeypatch):
    import lance

    write_dataset, other = lance.write_dataset, []

    def conflicting(*arguments, **keywords):
        monkeypatch.setattr(lance, "write_dataset", write_dataset)
        other.append(LanceStore.create(place, contract.IDENTITY))
        other[0].append(make(0, 5))
        return write_dataset(*arguments, **keywords)

    monkeypatch.setattr(lance, "write_dataset", conflicting)
    store = LanceStore.create(place, contract.IDENTITY)
    assert len(other) == 1
    assert contents(store) == as_dictionary(make(0, 5))
    assert [one.number for one in store.versions()] == [1, 2]


def test_writers_in_many_threads_lose_nothing_and_double_nothing(store):
    failed = []

    def write(writer):
        try:
            own = LanceStore(store.place)
            for one in range(4):
                own.append(Rows.joined([make(1000 + 40 * writer + 10 * one, 10), make(500 + 10 * one, 10)]))
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(4)]
    for one in threads:
        one.start()
    compacted = 0
    while any(one.is_alive() for one in threads):
        before = store.latest()
        compacted += store.compact() > before
    for one in threads:
        one.join()
    assert failed == []
    assert compacted >= 1
    assert contents(store) == as_dictionary(Rows.joined([make(0, 40), make(500, 40), make(1000, 160)]))
    assert store.verify().sound


# Maintenance lease


def test_maintenance_is_done_by_one_at_a_time(store, place):
    with place.exclusive("maintenance", 0.1, "compacting"):
        with pytest.raises(BusyArchiveError, match="maintaining it"):
            LanceStore(store.place).compact()
        assert store.append(make(40, 5)).added == 5  # writers do not wait for it
    assert LanceStore(store.place).compact() == 7


def test_a_lease_that_is_not_renewed_expires(place, monkeypatch):
    monkeypatch.setattr(objects, "LEASE_S", 2.0)  # time stamps of the store have a resolution of one second
    dead = objects._Lease(place, "locks/maintenance.json")
    assert dead.acquire()
    began = time.monotonic()
    with place.exclusive("maintenance", 10.0, "compacting"):
        assert time.monotonic() - began > 1.0
        before = place.read("locks/maintenance.json")
        dead.release()  # the lease is held by another process now
        assert place.read("locks/maintenance.json") == before
    assert place.names("locks") == ["clock"]


def test_a_renewed_lease_does_not_expire(place, monkeypatch):
    monkeypatch.setattr(objects, "LEASE_S", 2.0)
    with place.exclusive("maintenance", 0.1, "compacting"):
        first = place.read("locks/maintenance.json")
        began = time.monotonic()
        with pytest.raises(BusyArchiveError), place.exclusive("maintenance", 4.5, "compacting"):
            pass
        assert time.monotonic() - began > 4.0
        assert place.read("locks/maintenance.json") != first


# Damage


@pytest.mark.parametrize("which", [commit_record_name, manifest_name])
@pytest.mark.parametrize("version", [5, 4])
def test_a_damaged_commit_record_or_manifest_is_reported_and_repaired(store, server, which, version):
    flip(server, store.place, which(version))
    with pytest.raises(DamagedArchiveError, match="repair"):
        LanceStore(store.place).heads(version)
    again = LanceStore(store.place)
    assert any(f"version {version}" in one for one in again.verify().problems)
    again.repair()
    assert again.verify().sound
    assert contents(again) == as_dictionary(make(0, 40))
    assert again.append(make(40, 5)).added == 5


def test_damaged_rows_are_omitted_and_reported(store, server):
    names = list(store.snapshot().files())
    data = server.objects(prefix(store.place))
    path = f"{prefix(store.place)}rows.lance/data/"
    raw = data[path + names[1]]
    server.replace(path + names[1], raw.replace(make(12, 1).embeddings.tobytes(), make(99, 1).embeddings.tobytes()))
    server.replace(path + names[2], None)
    assert server.objects(path)[path + names[1]] != raw
    again = LanceStore(store.place)
    report = again.verify()
    assert (report.rows, report.damaged) == (29, 11)
    assert not report.sound
    again.repair()
    assert again.verify().sound
    expected = Rows.joined([make(0, 12), make(13, 7), make(30, 10)])
    assert contents(again) == as_dictionary(expected)
    assert again.append(make(0, 40)).added == 11


def test_a_version_of_another_program_is_not_overwritten(store):
    import lance

    table = lance.dataset(store.place.rows, storage_options=store.place.options).to_table()
    lance.write_dataset(table, store.place.rows, mode="append", storage_options=store.place.options)
    assert contents(LanceStore(store.place)) == as_dictionary(make(0, 40))
    with pytest.raises(ArchiveError, match="version 6 was made by another program"):
        store.append(make(40, 5))


def test_a_version_that_another_program_makes_meanwhile_is_not_overwritten(store, monkeypatch):
    import lance

    commit = lance.LanceDataset.commit

    def conflicting(*arguments, **keywords):
        monkeypatch.setattr(lance.LanceDataset, "commit", commit)
        table = lance.dataset(store.place.rows, storage_options=store.place.options).to_table()
        lance.write_dataset(table, store.place.rows, mode="append", storage_options=store.place.options)
        return commit(*arguments, **keywords)

    monkeypatch.setattr(lance.LanceDataset, "commit", staticmethod(conflicting))
    with pytest.raises(ArchiveError, match="version 6 was made by another program"):
        store.append(make(40, 5))
    assert lance.dataset(store.place.rows, storage_options=store.place.options).count_rows() == 80


# Secrets


def test_credentials_are_never_shown(server, tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    options = server.options | {"client_max_retries": "0"}
    secrets = [options["access_key_id"], options["secret_access_key"]]
    archive = sim.open_archive(f"s3://archives/{tmp_path.name}", storage_options=options)
    said = [repr(archive)]
    store = archive.begin(contract.IDENTITY)
    store.append(make(0, 10))
    archive.compact(keep=1)
    said += [repr(archive), repr(store), repr(store.place), str(archive.path), repr(archive.verify())]
    for fault in ("busy", "lost"):
        server.fault = lambda number, method, path, fault=fault: fault
        for doing in (archive.verify, lambda: store.append(make(10, 5)), lambda: len(archive)):
            with pytest.raises(ArchiveError) as caught:
                doing()
            said += traceback.format_exception(caught.value)
    server.fault = lambda number, method, path: (path.endswith("manifest") and "busy") or None
    with pytest.raises(ArchiveError) as caught:
        store.append(make(10, 5))
    said += traceback.format_exception(caught.value)
    server.fault = lambda number, method, path: None
    said += [caplog.text, *server.objects(), *(repr(one) for one in server.objects().values())]
    assert len(said) > 20
    assert not [one for one in said for secret in secrets if secret in one]
