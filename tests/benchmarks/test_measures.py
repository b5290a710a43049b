"""Measures against scikit-learn, brute force and what must come out."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from benchmarks.data_sets.tasks import Task, flagged, negate, not_self, same_value
from benchmarks.retrieval.measures import lead, measure_queries, plain, ranking, summarize


def unit(values):
    return values / np.linalg.norm(values, axis=1, keepdims=True)


def task_of(n, relevant, allowed, queries=None):
    return Task("t", "", "", np.arange(n) if queries is None else queries, relevant, allowed, not_self(n))


@pytest.fixture
def random_case():
    rng = np.random.default_rng(1)
    embeddings, label = unit(rng.standard_normal((200, 5))), rng.integers(0, 6, 200)
    return embeddings, label, np.arange(200) // 20


def test_measures_are_those_of_brute_force_and_scikit_learn(random_case):
    embeddings, label, group = random_case
    found = measure_queries(plain(embeddings), group, task_of(200, same_value(label), negate(same_value(group))))
    for query in (0, 57, 199):
        candidates = np.flatnonzero(group != group[query])
        scores = embeddings[candidates] @ embeddings[query]
        right = label[candidates] == label[query]
        assert found["ap"][query] == pytest.approx(average_precision_score(right, scores))
        in_order = [right[i] for i in sorted(range(len(scores)), key=lambda i: -scores[i])]
        for k in (1, 5, 10):
            assert found[f"p@{k}"][query] == pytest.approx(sum(in_order[:k]) / k)
        for k in (10, 100):
            assert found[f"r@{k}"][query] == pytest.approx(sum(in_order[:k]) / sum(in_order))
        assert found["rank"][query] == 1 + in_order.index(True)
        assert found["base"][query] == pytest.approx(right.mean())
        assert found["candidates"][query] == len(candidates)


def test_right_answers_of_two_groups_among_the_first_six():
    # Samples in order of their likeness to the query, row 0.
    embeddings = np.array([[np.cos(a), np.sin(a)] for a in np.linspace(0, 1, 10)])
    right = np.array([0, 1, 0, 0, 0, 0, 1, 1, 1, 1], bool)
    asked = task_of(10, flagged(right), not_self(10), np.array([0]))
    assert measure_queries(plain(embeddings), np.array([9, 1, 1, 1, 1, 1, 1, 1, 1, 1]), asked)["two@6"] == 0
    assert measure_queries(plain(embeddings), np.array([9, 1, 2, 2, 2, 2, 2, 2, 2, 2]), asked)["two@6"] == 1
    assert measure_queries(plain(embeddings), np.array([9, 1, 2, 2, 2, 2, 1, 2, 2, 2]), asked)["two@6"] == 0


def test_of_an_event_only_the_nearest_sample_counts():
    embeddings = np.array([[np.cos(a), np.sin(a)] for a in np.linspace(0, 1, 10)])
    right = np.array([0, 1, 1, 1, 1, 1, 1, 1, 0, 1], bool)
    asked = task_of(10, flagged(right), not_self(10), np.array([0]))
    # Six samples of event 1 come first: the second event stands at place seven of samples, but two of events.
    assert measure_queries(plain(embeddings), np.array([9, 1, 1, 1, 1, 1, 1, 2, 3, 3]), asked)["two@6e"] == 1
    # Of event 2 the nearest sample is wrong, of event 1 alone it is right.
    assert measure_queries(plain(embeddings), np.array([9, 1, 1, 1, 1, 1, 1, 1, 2, 2]), asked)["two@6e"] == 0
    # The second right event is the seventh.
    group = np.array([9, 1, 2, 3, 4, 5, 6, 7, 8, 8])
    right = np.array([0, 1, 0, 0, 0, 0, 0, 1, 0, 0], bool)
    asked = task_of(10, flagged(right), not_self(10), np.array([0]))
    assert measure_queries(plain(embeddings), group, asked)["two@6e"] == 0


def test_the_lead_is_a_difference_query_by_query():
    rng = np.random.default_rng(3)
    group = np.repeat(np.arange(20), 10)
    hard = rng.random(20)[group]  # what makes a group hard is hard for both
    mine, theirs = {"ap": hard + 0.1 + 0.01 * rng.standard_normal(200)}, {"ap": hard}
    found = lead([mine], [theirs], group)
    assert found.value == pytest.approx(0.1, abs=0.005) and 0.09 < found.low < found.value < found.high < 0.11
    assert lead([theirs, mine], [theirs], group).value == pytest.approx(found.value / 2)
    none = lead([{"ap": rng.random(200)}], [{"ap": rng.random(200)}], group)
    assert none.low < 0 < none.high
    assert np.isnan(lead([mine], [theirs], np.zeros(200)).low)


def test_the_query_without_leak_control_meets_its_own_group(random_case):
    embeddings, label, group = random_case
    asked = task_of(200, same_value(label), negate(same_value(group)))
    assert set(measure_queries(plain(embeddings), group, asked)["candidates"]) == {180}
    assert set(measure_queries(plain(embeddings), group, asked, leak_control=False)["candidates"]) == {199}


def test_what_has_no_embedding_is_never_found_and_finds_nothing(random_case):
    embeddings, label, group = random_case
    embeddings[3], embeddings[50] = np.nan, np.nan
    order, found = ranking(plain(embeddings)(np.array([0, 3])), not_self(200)(np.array([0, 3])))
    assert {3, 50, 0} == set(order[0][~found[0]]) and not found[1].any()
    measures = measure_queries(plain(embeddings), group, task_of(200, same_value(label), not_self(200)))
    assert measures["ap"][3] == 0 and measures["p@1"][3] == 0 and measures["rank"][3] == 200
    assert measures["candidates"][0] == 199  # what is not found still counts as a miss


def test_equal_scores_come_in_the_order_of_rows():
    order, _ = ranking(np.ones((1, 6)), not_self(6)(np.array([2])))
    assert order[0].tolist() == [0, 1, 3, 4, 5, 2]


def test_a_query_without_right_answer_is_not_a_number():
    asked = task_of(4, flagged(np.array([1, 0, 0, 0], bool)), not_self(4))
    found = measure_queries(plain(unit(np.eye(4))), np.arange(4), asked)
    assert np.isnan(found["ap"][0]) and np.isfinite(found["ap"][1:]).all()


def test_a_perfect_encoder_scores_one_and_a_random_one_the_base_rate():
    rng = np.random.default_rng(0)
    label, group = np.arange(1200) % 10, np.arange(1200) // 120
    asked = task_of(1200, same_value(label), negate(same_value(group)))
    perfect = summarize([measure_queries(plain(np.eye(10)[label]), group, asked)], group)
    for key in ("p@1", "p@5", "p@10", "ap", "two@6"):
        expected = 0 if key == "two@6" else 1  # equal scores: the first six are all of the first group
        assert perfect[key].value == expected
    assert perfect["rank"].value == 1 and perfect["gain@10"].value == pytest.approx(10)
    chance = summarize([measure_queries(plain(unit(rng.standard_normal((1200, 64)))), group, asked)], group)
    for key in ("p@1", "p@10", "ap"):
        assert chance[key].value == pytest.approx(0.1, abs=0.02)
    assert chance["gain@10"].value == pytest.approx(1, abs=0.1)


def scores_of(values):
    values = np.asarray(values, float)
    return {"p@10": values, "base": np.ones(len(values)), "rank": values}


def test_the_interval_is_that_of_the_mean_of_independent_groups():
    values = np.random.default_rng(2).random(400)
    found = summarize([scores_of(values)], np.arange(400))["p@10"]
    error = values.std() / 20
    assert found.value == pytest.approx(values.mean())
    assert found.high - found.low == pytest.approx(2 * 1.96 * error, rel=0.1)


def test_a_group_is_drawn_as_a_whole():
    values, group = np.repeat([0.0, 1.0, 0.0, 1.0], 100), np.repeat(np.arange(4), 100)
    found = summarize([scores_of(values)], group)["p@10"]
    # The mean of four draws of 0 or 1: each bound is a quarter or a whole, however many queries a group has.
    assert (found.low, found.high) == (0, 1)


def test_seeds_enter_the_mean_and_the_interval():
    group = np.arange(50)
    one = [scores_of(np.full(50, value)) for value in (1, 3)]
    found = summarize(one, group)
    assert found["p@10"].value == 2 and (found["p@10"].low, found["p@10"].high) == (1, 3)
    assert found["rank"].value == 2 and found["rank"].high == 3


def test_the_median_rank_is_that_of_the_queries_drawn():
    ranks = np.array([1, 1, 2, 50, 60, 70, 80.0])
    found = summarize([scores_of(ranks)], np.arange(7))["rank"]
    assert found.value == 50 and 1 <= found.low < 50 < found.high <= 80


def test_of_one_group_there_is_no_interval():
    found = summarize([scores_of([0.2, 0.4])], np.zeros(2))["p@10"]
    assert found.value == pytest.approx(0.3) and np.isnan([found.low, found.high]).all()
