"""The contract of a store, which every store passes. The one in memory is so plain that it shows the tests right."""

import dataclasses

import numpy as np
import pytest

from pyspedas_similarity.archive.lance_store import LanceStore
from pyspedas_similarity.archive.locations import place_of
from pyspedas_similarity.archive.rows import Identity, Rows, content_hashes, make_rows
from pyspedas_similarity.errors import ArchiveError
from tests.contracts import memory_store

IDENTITY = Identity("frame", "encoder-a", "recipe-a", 8)
START = np.datetime64("2015-10-16T13:00:00.123456789", "ns")
STEP = np.timedelta64(3_000_000_001, "ns")
NAMES = ("thg_asf_fsmi", "it's; DROP TABLE rows --", "", "../../etc/passwd", "Kiruna å \U0001f30c\n", "a" * 300)


def make(first: int, n: int) -> Rows:
    """Rows first ... first + n - 1 of an endless series: what each holds follows from its number."""
    numbers = np.arange(first, first + n)
    embeddings = np.array([np.random.default_rng(number).standard_normal(8) for number in numbers]).reshape(n, 8)
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    start = START + numbers * STEP
    source = np.array([NAMES[number % len(NAMES)] for number in numbers], object)
    site = np.array([("fsmi", "", "mms1")[number % 3] for number in numbers], object)
    thumbnail = np.empty(n, object)
    thumbnail[:] = [(None, b"", b"\x00\xff" * number)[number % 3] for number in numbers]
    return make_rows(embeddings, start, start + STEP, source, site, numbers % 7 - 3, thumbnail)


def contents(store, version=None) -> dict[bytes, tuple]:
    """Everything a version holds, by content hash; all three ways of reading have to agree."""
    heads = store.heads(version)
    whole = store.take(heads, np.arange(len(heads)))
    embeddings = np.full((len(heads), IDENTITY.dimension), np.nan, np.float32)
    for numbers, block in store.blocks(heads):
        embeddings[numbers] = block
    assert heads.damaged == 0
    np.testing.assert_array_equal(embeddings, whole.embeddings)
    np.testing.assert_array_equal(heads.start, whole.start)
    np.testing.assert_array_equal(heads.end, whole.end)
    np.testing.assert_array_equal(heads.quality, whole.quality)
    assert [heads.sources[code] for code in heads.source] == whole.source.tolist()
    assert [heads.sites[code] for code in heads.site] == whole.site.tolist()
    return as_dictionary(whole, heads.ids)


def as_dictionary(rows: Rows, ids=None) -> dict[bytes, tuple]:
    ids = content_hashes(rows, IDENTITY) if ids is None else ids
    columns = zip(*(getattr(rows, one.name) for one in dataclasses.fields(Rows)), strict=True)
    return {bytes(key): (row[0].tobytes(), *row[1:]) for key, row in zip(ids.view("V16"), columns, strict=True)}


@pytest.fixture(params=["lance", "objects", "memory"])
def store(request, tmp_path):
    if request.param == "memory":
        return memory_store.MemoryStore(IDENTITY)
    if request.param == "objects":
        server = request.getfixturevalue("object_server")
        return LanceStore.create(place_of(f"s3://archives/{tmp_path.name}", server.options), IDENTITY)
    return LanceStore.create(tmp_path / "archive", IDENTITY)


def test_an_archive_that_was_begun_is_empty(store):
    assert store.identity == IDENTITY
    assert contents(store) == {}
    assert [(one.number, one.what, one.rows) for one in store.versions()] == [(1, "create", 0)]


def test_rows_come_back_bit_for_bit(store):
    rows = make(0, 40)
    assert store.append(rows) == store_answer(2, 40, 0)
    assert contents(store) == as_dictionary(rows)


def store_answer(version, added, skipped):
    from pyspedas_similarity.archive.store import Appended

    return Appended(version, added, skipped)


def test_the_same_data_twice_are_kept_once(store):
    store.append(make(0, 10))
    assert store.append(make(0, 10)) == store_answer(2, 0, 10)
    assert store.append(make(5, 10)) == store_answer(3, 5, 5)
    assert store.append(Rows.joined([make(20, 3), make(20, 3)])) == store_answer(4, 3, 3)
    assert contents(store) == as_dictionary(Rows.joined([make(0, 15), make(20, 3)]))
    assert [one.rows for one in store.versions()] == [0, 10, 15, 18]
    assert [one.added for one in store.versions()] == [0, 10, 5, 3]


def test_nothing_appended_makes_no_version(store):
    assert store.append(make(0, 0)) == store_answer(1, 0, 0)
    assert len(store.versions()) == 1


def test_what_is_told_of_a_version(store):
    store.append(make(0, 10))
    assert store.version_info() == store.version_info(2) == store.versions()[1]
    assert store.version_info(1) == store.versions()[0]
    assert (
        store.version_info().number,
        store.version_info().what,
        store.version_info().rows,
        store.version_info().added,
    ) == (2, "append", 10, 10)
    with pytest.raises(ArchiveError, match="no version 3"):
        store.version_info(3)


@pytest.mark.parametrize("field", ["start", "end", "source", "site", "embeddings"])
def test_rows_that_differ_in_content_are_two(store, field):
    rows = make(3, 1)
    changed = {
        "start": rows.start - np.timedelta64(1, "ns"),
        "end": rows.end + np.timedelta64(1, "ns"),
        "source": np.array(["another"], object),
        "site": np.array(["another"], object),
        "embeddings": -rows.embeddings,
    }
    other = dataclasses.replace(rows, **{field: changed[field]})
    store.append(rows)
    assert store.append(other).added == 1
    assert contents(store) == as_dictionary(Rows.joined([rows, other]))


def test_quality_and_thumbnail_are_words_about_a_row_and_not_the_row(store):
    rows = make(4, 1)
    store.append(rows)
    other = dataclasses.replace(rows, quality=rows.quality + 1)
    assert store.append(other).added == 0
    assert contents(store) == as_dictionary(rows)


def test_an_older_version_stays_as_it_was(store):
    store.append(make(0, 10))
    store.append(make(10, 10))
    assert contents(store, 2) == as_dictionary(make(0, 10))
    assert contents(store, 3) == as_dictionary(make(0, 20))
    assert contents(store, 1) == {}


def test_going_back_makes_a_new_version_and_loses_none(store):
    store.append(make(0, 10))
    store.append(make(10, 10))
    assert store.restore(2) == 4
    assert contents(store) == as_dictionary(make(0, 10))
    assert contents(store, 3) == as_dictionary(make(0, 20))
    assert store.append(make(15, 2)).added == 2
    assert contents(store) == as_dictionary(Rows.joined([make(0, 10), make(15, 2)]))
    assert [one.what for one in store.versions()] == ["create", "append", "append", "restore", "append"]


def test_compaction_changes_no_row_and_no_older_version(store):
    for number in range(6):
        store.append(make(10 * number, 10))
    before = contents(store)
    store.compact()
    assert contents(store) == before == as_dictionary(make(0, 60))
    assert contents(store, 4) == as_dictionary(make(0, 30))
    assert store.append(make(0, 60)).added == 0
    newest = store.latest()
    assert store.compact() == newest  # nothing is left to do


def test_versions_given_up_are_gone_and_the_others_whole(store):
    for number in range(5):
        store.append(make(10 * number, 10))
    assert store.forget(2) == 4
    assert [one.number for one in store.versions()] == [5, 6]
    assert contents(store) == as_dictionary(make(0, 50))
    assert contents(store, 5) == as_dictionary(make(0, 40))
    with pytest.raises(ArchiveError, match="no version 2"):
        store.heads(2)
    with pytest.raises(ArchiveError):
        store.forget(0)
    assert store.append(make(50, 5)).added == 5
    assert contents(store) == as_dictionary(make(0, 55))


def test_a_version_that_never_was_is_told(store):
    for number in (0, 2, -1, 10**12):
        with pytest.raises(ArchiveError, match=f"no version {number}"):
            store.heads(number)
        with pytest.raises(ArchiveError):
            store.restore(number)
    assert store.latest() == 1


def test_rows_are_taken_in_the_order_asked_for(store):
    store.append(make(0, 10))
    store.append(make(10, 10))
    heads = store.heads()
    chosen = [17, 3, 3, 11, 0]
    rows = store.take(heads, chosen)
    np.testing.assert_array_equal(rows.start, heads.start[chosen])
    assert as_dictionary(rows) == {bytes(key): contents(store)[bytes(key)] for key in heads.ids[chosen].view("V16")}
    assert len(store.take(heads, [])) == 0


def bad(**changes):
    return dataclasses.replace(make(0, 2), **changes)


@pytest.mark.parametrize(
    ("rows", "complaint"),
    [
        (make_rows(np.eye(2, 5), [0, 1], [1, 2], "a"), "dimension"),
        (bad(embeddings=np.full((2, 8), np.nan, np.float32)), "finite"),
        (bad(embeddings=np.ones((2, 8), np.float32)), "length"),
        (bad(start=np.array(["NaT", "NaT"], "datetime64[ns]")), "times"),
        (bad(end=make(0, 2).start - STEP), "times"),
        (bad(source=np.array([1, 2], object)), "source"),
        (bad(site=np.array([None, "a"], object)), "site"),
        (bad(thumbnail=np.array(["a", "b"], object)), "thumbnail"),
    ],
)
def test_rows_that_cannot_be_kept_are_refused_whole(store, rows, complaint):
    with pytest.raises(ArchiveError, match=complaint):
        store.append(rows)
    assert store.latest() == 1


def test_an_untouched_archive_is_sound(store):
    store.append(make(0, 20))
    report = store.verify()
    assert (report.version, report.rows, report.damaged, report.problems, report.sound) == (2, 20, 0, (), True)
    assert store.repair() == report
    assert store.latest() == 2


def test_many_small_batches_and_large_ones(store):
    """More rows than are read at once, so that blocks have to be put together."""
    n = 9000
    rng = np.random.default_rng(0)
    embeddings = rng.standard_normal((n, 8))
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    start = START + np.arange(n) * STEP
    rows = make_rows(embeddings, start, start + STEP, "series")
    for first in range(0, 8000, 2000):
        store.append(rows.take(slice(first, first + 2000)))
    store.append(rows)
    assert contents(store) == as_dictionary(rows)
    store.compact()
    assert contents(store) == as_dictionary(rows)


@pytest.fixture
def indexed(store):
    """Two thousand rows and what proposes neighbors, which two hundred more came after."""
    store.append(make(0, 2000))
    if not getattr(getattr(store, "place", None), "locks", True):
        with pytest.raises(ArchiveError, match="in an object store. Every search is exact there"):
            store.build_index()
        assert store.near(store.heads()) is None
        pytest.skip("an index cannot be stored in an object store; a search there is exact")
    assert store.build_index() >= 0.99
    store.append(make(2000, 200))
    return store


def nearest(rows, allowed, center, k=10):
    return np.sort(np.where(allowed, rows.embeddings @ center, -np.inf))[::-1][:k]


def best_proposed(store, center, part=None, k=10):
    heads = store.heads()
    numbers = store.near(heads).propose(center, k, part)
    assert len(np.unique(numbers)) == len(numbers)
    return np.sort(store.embeddings(heads, numbers) @ center)[::-1][:k], store.take(heads, numbers)


def test_the_nearest_are_among_the_proposals_also_of_rows_that_came_later(indexed):
    rows, shares = make(0, 2200), []
    for number in (0, 999, *range(2000, 2100, 5)):
        right = nearest(rows, True, rows.embeddings[number])
        found, _ = best_proposed(indexed, rows.embeddings[number])
        np.testing.assert_allclose(found[0], 1, rtol=1e-6)
        shares.append((found >= right[-1] - 1e-6).mean())
    assert np.mean(shares) >= 0.97  # of few queries; Lance draws the cells anew each time


def test_proposals_are_of_the_part_asked_for_only(indexed):
    from pyspedas_similarity.archive.store import Part

    rows = make(0, 2200)
    spans = ((rows.start[100], rows.start[1200]), (rows.start[2050], rows.start[2100]))
    for names in (("it's; DROP TABLE rows --", ""), ("Kiruna å \U0001f30c\n", ""), ("", "mms1")):
        allowed = (rows.source == names[0]) & (rows.site == names[1])
        allowed &= np.any([(rows.start >= first) & (rows.start <= last) for first, last in spans], axis=0)
        allowed &= rows.quality == 0
        assert allowed.sum() >= 10
        found, whole = best_proposed(indexed, rows.embeddings[3], Part((names,), spans, True, allowed.mean()))
        np.testing.assert_allclose(found, nearest(rows, allowed, rows.embeddings[3]), atol=1e-6)
        assert set(whole.source) == {names[0]} and set(whole.site) == {names[1]} and not whole.quality.any()


def test_an_index_changes_no_row_and_outlives_maintenance(indexed):
    assert contents(indexed) == as_dictionary(make(0, 2200))
    assert [one.what for one in indexed.versions()] == ["create", "append", "index", "append"]
    indexed.compact()
    found, _ = best_proposed(indexed, make(7, 1).embeddings[0])
    np.testing.assert_allclose(found[0], 1, rtol=1e-6)
    indexed.restore(2)
    assert contents(indexed) == as_dictionary(make(0, 2000))


def test_too_few_rows_need_no_index(store):
    store.append(make(0, 999))
    with pytest.raises(ArchiveError, match="999 rows|an index cannot be stored in an object store"):
        store.build_index()
    assert store.near(store.heads()) is None


def test_embeddings_alone_are_those_of_the_rows(store):
    store.append(make(0, 40))
    store.append(make(40, 5))
    heads = store.heads()
    chosen = np.array([44, 3, 3, 0, 41])
    np.testing.assert_array_equal(store.embeddings(heads, chosen), store.take(heads, chosen).embeddings)
    assert store.embeddings(heads, np.zeros(0, int)).shape == (0, 8)
