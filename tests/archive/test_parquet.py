"""Export and import, from Python and from a shell; and the golden archive of format version 1."""

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest

from pyspedas_similarity.archive.archive import Archive, export_archive, import_archive
from pyspedas_similarity.archive.lance_store import LanceStore
from pyspedas_similarity.cli import main
from pyspedas_similarity.errors import ArchiveError, ArgumentError, DamagedArchiveError, MixingError
from tests.contracts import test_store as contract


@pytest.fixture
def archive(tmp_path):
    store = LanceStore.create(tmp_path / "kept", contract.IDENTITY)
    store.append(contract.make(0, 30))
    store.append(contract.make(30, 20))
    return Archive(tmp_path / "kept")


def test_export_and_import_keep_every_bit(archive, tmp_path):
    assert export_archive(archive, tmp_path / "all.parquet") == 50
    other = Archive(tmp_path / "other")
    appended = import_archive(other, tmp_path / "all.parquet")
    assert (appended.added, appended.skipped) == (50, 0)
    assert contract.contents(other.store) == contract.as_dictionary(contract.make(0, 50))
    assert other.identity == archive.identity
    assert import_archive(other, tmp_path / "all.parquet").added == 0
    assert export_archive(archive.at(2), tmp_path / "old.parquet") == 30


def test_what_cannot_be_exported_or_imported(archive, tmp_path):
    file = tmp_path / "all.parquet"
    export_archive(archive, file)
    with pytest.raises(ArchiveError, match="exists already"):
        export_archive(archive, file)
    stranger = LanceStore.create(tmp_path / "stranger", contract.Identity("frame", "other", "recipe-a", 8))
    with pytest.raises(MixingError, match="encoder"):
        import_archive(Archive(stranger.place.folder), file)
    for text in (b"", b"PAR1", b"no such thing" * 100):
        (tmp_path / "bad").write_bytes(text)
        with pytest.raises(ArgumentError, match="exported"):
            import_archive(Archive(tmp_path / "new"), tmp_path / "bad")
    with pytest.raises(ArgumentError):
        import_archive(Archive(tmp_path / "new"), tmp_path / "missing")
    assert not (tmp_path / "new").exists()


def test_a_flipped_bit_in_an_exported_file_is_found(archive, tmp_path):
    file = tmp_path / "all.parquet"
    export_archive(archive, file)
    whole = file.read_bytes()
    truth = contract.as_dictionary(contract.make(0, 50))
    rng = np.random.default_rng(0)
    refused = 0
    for number in range(60):
        raw = bytearray(whole)
        raw[rng.integers(len(raw))] ^= 1 << rng.integers(8)
        file.write_bytes(raw)
        other = Archive(tmp_path / f"flipped{number}")
        try:
            import_archive(other, file)
        except (DamagedArchiveError, ArgumentError, MixingError):
            refused += 1
        if other.begun and other.identity.compared == contract.IDENTITY.compared:
            kept = contract.contents(other.store)
            assert kept.items() <= truth.items()
    assert refused > 20


def test_from_a_shell(archive, tmp_path, capsys):
    folder, file = str(archive.path), str(tmp_path / "all.parquet")
    assert main(["archive", "info", folder, "--versions"]) == 0
    told = capsys.readouterr().out
    assert "version 3, 50 samples" in told and "encoder-a" in told and "version 2:" in told
    assert main(["archive", "verify", folder]) == 0
    assert "50 samples intact, 0 damaged" in capsys.readouterr().out
    assert main(["archive", "compact", folder, "--keep", "2"]) == 0
    assert [one.number for one in archive.versions()] == [3, 4]
    assert main(["archive", "export", folder, file]) == 0
    assert main(["archive", "import", str(tmp_path / "other"), file]) == 0
    assert "50 added, 0 there already" in capsys.readouterr().out
    assert main(["archive", "restore", folder, "3"]) == 0
    assert "version 5, 50 samples" in capsys.readouterr().out
    assert main(["archive", "info", str(tmp_path / "nowhere")]) == 2
    assert main(["archive", "restore", folder, "77"]) == 2


def test_damage_from_a_shell(archive, capsys):
    file = max((archive.path / "rows.lance" / "data").iterdir(), key=lambda path: path.stat().st_size)
    raw = bytearray(file.read_bytes())
    at = raw.find(contract.make(7, 1).embeddings.tobytes())
    raw[at] ^= 64
    file.write_bytes(raw)
    assert main(["archive", "verify", str(archive.path)]) == 1
    assert "49 samples intact, 1 damaged" in capsys.readouterr().out
    assert main(["archive", "export", str(archive.path), str(archive.path.parent / "all.parquet")]) == 2
    assert not (archive.path.parent / "all.parquet").exists()
    assert main(["archive", "compact", str(archive.path)]) == 2
    assert "repair" in capsys.readouterr().err
    assert main(["archive", "repair", str(archive.path)]) == 0
    assert "49 samples intact, 0 damaged" in capsys.readouterr().out


def test_the_golden_archive_of_format_1_opens_bit_for_bit(tmp_path):
    """Read an archive written by the first version with archives; the rows must never change."""
    golden = Path(__file__).parent / "golden" / "format-1"
    shutil.copytree(golden, tmp_path / "golden")
    store = LanceStore(tmp_path / "golden")
    assert store.identity == contract.IDENTITY
    written = bytes.fromhex(golden.with_name("format-1.embeddings.hex").read_text())
    rows = dataclasses.replace(contract.make(0, 12), embeddings=np.frombuffer(written, "<f4").reshape(12, 8))
    assert contract.contents(store) == contract.as_dictionary(rows)
    assert contract.contents(store, 2) == contract.as_dictionary(rows.take(slice(0, 7)))
    assert [(one.what, one.rows) for one in store.versions()] == [("create", 0), ("append", 7), ("append", 12)]
    assert store.verify().sound
    store.append(contract.make(12, 5))
    assert contract.contents(store) == contract.as_dictionary(contract.Rows.joined([rows, contract.make(12, 5)]))


def test_an_archive_of_another_format_is_refused(tmp_path):
    import json

    from pyspedas_similarity.archive.commit_records import write_record
    from pyspedas_similarity.archive.locations import Folder

    LanceStore.create(tmp_path / "later", contract.IDENTITY)
    for name in ("archive.json", "archive.copy.json"):
        record = json.loads((tmp_path / "later" / name).read_text().rpartition("\n")[0].rpartition("\n")[0])
        write_record(Folder(tmp_path / "later"), name, record | {"format_version": 2, "shards": 4})
    with pytest.raises(MixingError, match="layout is version 2; this version of the package reads 1"):
        LanceStore(tmp_path / "later")
