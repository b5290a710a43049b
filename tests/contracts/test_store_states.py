"""Append, search, compact, reopen, roll back, give up: whatever the order, a store is a dictionary with a history.

PYSPEDAS_SIMILARITY_STEPS=2000 runs as many steps as issue 7 asks for; without it, some dozens.
"""

import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from pyspedas_similarity.archive.lance_store import LanceStore
from pyspedas_similarity.archive.rows import Rows
from tests.contracts import test_store as contract

STEPS = int(os.environ.get("PYSPEDAS_SIMILARITY_STEPS", "0"))


class StoreBesideDictionary(RuleBasedStateMachine):
    """A store on the disk beside plain dictionaries, one for each version."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="archive-states-"))
        self.store = LanceStore.create(self.folder, contract.IDENTITY)
        self.versions = {1: {}}
        self.checked = 0

    def teardown(self) -> None:
        shutil.rmtree(self.folder)

    @property
    def newest(self) -> int:
        return max(self.versions)

    @rule(first=st.integers(0, 60), n=st.integers(0, 25), twice=st.booleans())
    def append(self, first, n, twice):
        rows = contract.make(first, n)
        appended = self.store.append(Rows.joined([rows, rows]) if twice else rows)
        before = self.versions[self.newest]
        after = before | {key: row for key, row in contract.as_dictionary(rows).items() if key not in before}
        assert appended.added == len(after) - len(before)
        assert appended.skipped == n * (1 + twice) - appended.added
        if appended.added:
            self.versions[appended.version] = after
        assert appended.version == self.newest

    @rule(choice=st.integers(0, 10**6))
    def roll_back(self, choice):
        old = sorted(self.versions)[choice % len(self.versions)]
        number = self.store.restore(old)
        assert number > self.newest
        self.versions[number] = self.versions[old]

    @rule(rows_per_file=st.sampled_from([10, 30, 2**20]))
    def compact(self, rows_per_file):
        before = self.versions[self.newest]
        number = self.store.compact(rows_per_file)
        assert number >= self.newest
        self.versions[number] = before

    @rule(keep=st.integers(1, 6))
    def forget(self, keep):
        given_up = sorted(self.versions)[:-keep]
        assert self.store.forget(keep) == len(given_up)
        for version in given_up:
            del self.versions[version]

    @rule()
    def reopen(self):
        self.store = LanceStore(self.folder)

    @rule(seed=st.integers(0, 60), choice=st.integers(0, 10**6))
    def search(self, seed, choice):
        """The best score and where, beside a plain product over the dictionary."""
        version = sorted(self.versions)[choice % len(self.versions)]
        rows = self.versions[version]
        like = contract.make(seed, 1).embeddings[0]
        heads = self.store.heads(version)
        scores = np.full(len(heads), np.nan)
        for numbers, block in self.store.blocks(heads):
            scores[numbers] = block @ like
        found = dict(zip((bytes(key) for key in heads.ids.view("V16")), scores, strict=True))
        expected = {key: float(np.frombuffer(row[0], np.float32) @ like) for key, row in rows.items()}
        assert found.keys() == expected.keys()
        np.testing.assert_allclose([found[key] for key in expected], list(expected.values()), atol=1e-6)

    @rule()
    def inspect(self):
        assert self.store.verify().sound

    @invariant()
    def same(self):
        assert [one.number for one in self.store.versions()] == sorted(self.versions)
        assert contract.contents(self.store) == self.versions[self.newest]


StoreBesideDictionary.TestCase.settings = settings(
    max_examples=max(1, STEPS // 50) if STEPS else 3,
    stateful_step_count=50 if STEPS else 12,
    deadline=None,
    derandomize=not STEPS,
    suppress_health_check=list(HealthCheck),
    print_blob=False,
)
TestStoreBesideDictionary = StoreBesideDictionary.TestCase
