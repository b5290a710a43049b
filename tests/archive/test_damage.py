"""Damage to each record of an archive: detection, messages, and repair without loss of intact rows."""

import os
import subprocess
import sys
import time

import numpy as np
import pytest

from pyspedas_similarity.archive.commit_records import commit_record_name, manifest_name, read_record, write_record
from pyspedas_similarity.archive.lance_store import LanceStore
from pyspedas_similarity.archive.locations import Folder, file_lock
from pyspedas_similarity.archive.rows import body_checksums, head_checksums
from pyspedas_similarity.errors import ArchiveError, BusyArchiveError, DamagedArchiveError
from tests.contracts import test_store as contract


@pytest.fixture
def store(tmp_path):
    made = LanceStore.create(tmp_path / "archive", contract.IDENTITY)
    for number in range(4):
        made.append(contract.make(10 * number, 10))
    return made


def flip(path, at=None):
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2 if at is None else at] ^= 4
    path.write_bytes(raw)


def record_path(store, version):
    return store.place.folder / commit_record_name(version)


def manifest_path(store, version):
    return store.place.folder / manifest_name(version)


def data_files(store):
    return [store.place.folder / "rows.lance" / "data" / name for name in store.snapshot().files()]


@pytest.mark.parametrize("which", ["commit record", "manifest"])
@pytest.mark.parametrize("version", [5, 4])
def test_a_damaged_commit_record_or_manifest_is_reported_and_repaired(store, which, version):
    path = record_path(store, version) if which == "commit record" else manifest_path(store, version)
    flip(path)
    with pytest.raises(DamagedArchiveError, match="repair"):
        LanceStore(store.place.folder).heads(version)
    report = LanceStore(store.place.folder).verify()
    assert not report.sound and any(f"version {version}" in one for one in report.problems)
    again = LanceStore(store.place.folder)
    again.repair()
    assert again.verify().sound
    assert contract.contents(again) == contract.as_dictionary(contract.make(0, 40))
    assert again.append(contract.make(40, 5)).added == 5


def test_two_lost_manifests_are_rebuilt_from_the_commit_records(store):
    flip(manifest_path(store, 5))
    manifest_path(store, 4).unlink()
    LanceStore(store.place.folder).repair()
    assert contract.contents(LanceStore(store.place.folder)) == contract.as_dictionary(contract.make(0, 40))


def test_a_lost_manifest_of_a_restored_version_is_restored_again(store):
    store.restore(3)
    store.append(contract.make(40, 5))
    flip(manifest_path(store, 6))
    flip(manifest_path(store, 7))
    LanceStore(store.place.folder).repair()
    expected = contract.Rows.joined([contract.make(0, 20), contract.make(40, 5)])
    assert contract.contents(LanceStore(store.place.folder)) == contract.as_dictionary(expected)


def test_a_missing_or_truncated_file_loses_only_its_rows(store):
    files = data_files(store)
    files[1].unlink()
    files[2].write_bytes(files[2].read_bytes()[:1000])
    again = LanceStore(store.place.folder)
    report = again.verify()
    assert (report.rows, report.damaged) == (20, 20)
    heads = again.heads()
    assert len(heads) == 20 and heads.damaged == 20
    again.repair()
    assert again.verify().sound
    expected = contract.Rows.joined([contract.make(0, 10), contract.make(30, 10)])
    assert contract.contents(again) == contract.as_dictionary(expected)
    # The lost rows can be added again.
    assert again.append(contract.make(0, 40)).added == 20
    assert contract.contents(again) == contract.as_dictionary(contract.make(0, 40))


def test_one_intact_identity_record_is_sufficient(store):
    flip(store.place.folder / "archive.json")
    again = LanceStore(store.place.folder)
    assert again.identity == contract.IDENTITY
    assert again.verify().problems == ("archive.json is damaged",)
    again.repair()
    assert again.verify().sound
    flip(store.place.folder / "archive.json")
    flip(store.place.folder / "archive.copy.json")
    with pytest.raises(DamagedArchiveError):
        LanceStore(store.place.folder)


def test_an_archive_without_readable_version_is_reported(store):
    for version in range(1, 6):
        flip(manifest_path(store, version))
    with pytest.raises(DamagedArchiveError, match="no version"):
        LanceStore(store.place.folder).repair()


def test_a_version_without_commit_record_is_ignored_and_removed(store):
    record_path(store, 5).unlink()
    again = LanceStore(store.place.folder)
    assert again.latest() == 4
    assert contract.contents(again) == contract.as_dictionary(contract.make(0, 30))
    assert again.append(contract.make(50, 5)).version == 5
    expected = contract.Rows.joined([contract.make(0, 30), contract.make(50, 5)])
    assert contract.contents(again) == contract.as_dictionary(expected)


def test_rows_of_another_archive_fail_the_checksums(store, tmp_path):
    other = LanceStore.create(tmp_path / "other", contract.Identity("frame", "encoder-b", "recipe-a", 8))
    other.append(contract.make(0, 10))
    mine, theirs = data_files(store)[0], data_files(other)[0]
    mine.write_bytes(theirs.read_bytes())
    again = LanceStore(store.place.folder)
    assert again.heads().damaged == 10 and len(again.heads()) == 30


def test_a_held_lock_raises_and_is_released_when_its_holder_ends(store):
    script = (
        "import sys, time\nfrom pathlib import Path\nfrom pyspedas_similarity.archive.locations import file_lock\n"
        "with file_lock(Path(sys.argv[1]), 5, 'x'):\n    print('held', flush=True)\n    time.sleep(600)\n"
    )
    for name in ("maintenance.lock", "commit.lock"):
        path = store.place.folder / "locks" / name
        holder = subprocess.Popen([sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE, text=True)
        try:
            assert holder.stdout.readline() == "held\n"
            with pytest.raises(BusyArchiveError, match="compacting"), file_lock(path, 0.1, "compacting"):
                pass
            if name == "maintenance.lock":
                # Writers do not wait for maintenance; a second compaction raises at once.
                assert store.append(contract.make(100, 5)).added == 5
                with pytest.raises(BusyArchiveError):
                    store.compact()
        finally:
            holder.kill()
            holder.wait()
            holder.stdout.close()
        began = time.monotonic()
        store.compact()
        assert time.monotonic() - began < 20


def test_a_flipped_bit_anywhere_in_a_record_is_detected(tmp_path):
    path, place = tmp_path / "record", Folder(tmp_path)
    write_record(place, "record", {"a": 1, "b": ["å", None, 2.5]})
    assert read_record(place, "record") == {"a": 1, "b": ["å", None, 2.5]}
    whole = path.read_bytes()
    for bit in range(8 * len(whole)):
        raw = bytearray(whole)
        raw[bit // 8] ^= 1 << bit % 8
        path.write_bytes(raw)
        with pytest.raises(DamagedArchiveError):
            read_record(place, "record")
    for text in (b"", whole[:-1], whole + b"\n", whole * 2):
        path.write_bytes(text)
        with pytest.raises(DamagedArchiveError):
            read_record(place, "record")
    assert [one.name for one in tmp_path.iterdir()] == ["record"]


def test_checksums_follow_the_formula_and_detect_every_flipped_bit():
    import hashlib

    identity = contract.IDENTITY
    embedding = contract.make(3, 1).embeddings

    def weights(part, n):
        drawn = hashlib.shake_256(f"{identity.hash} {part}".encode()).digest(8 * n)
        return [int.from_bytes(drawn[8 * i : 8 * i + 8], "little") | 1 for i in range(n)]

    words = np.frombuffer(embedding.tobytes(), "<u4")
    first, *others = weights("embedding", 9)
    one, two, three = weights("beside", 3)
    head = 0x0123456789ABCDEF
    expected = first + sum(w * int(x) for w, x in zip(others, words, strict=True))
    expected += one + two * (head & 0xFFFFFFFF) + three * (head >> 32)
    heads = np.array([head], np.uint64)
    assert int(body_checksums(heads, embedding, identity)[0]) == expected % 2**64
    seen = {expected % 2**64}
    for bit in range(8 * embedding.nbytes):
        raw = bytearray(embedding.tobytes())
        raw[bit // 8] ^= 1 << bit % 8
        seen.add(int(body_checksums(heads, np.frombuffer(bytes(raw), "<f4").reshape(1, 8), identity)[0]))
    assert len(seen) == 1 + 8 * embedding.nbytes
    assert head_checksums([heads], identity)[0] != head_checksums([heads + np.uint64(1)], identity)[0]


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_raises(tmp_path):
    (tmp_path / "closed").mkdir(mode=0o500)
    with pytest.raises(ArchiveError, match="permissions"):
        LanceStore.create(tmp_path / "closed" / "archive", contract.IDENTITY)
