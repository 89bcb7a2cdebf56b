"""Coefficients of agreement against other implementations, and what must hold of them."""

from __future__ import annotations

import os
from typing import Any

import krippendorff
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from teachkit.votes import Answers, Votes
from teachkit.votes.agreement import (
    METRICS,
    alpha_of_numbers,
    cohen_kappa,
    fleiss_kappa,
    krippendorff_alpha,
    set_distance,
)
from teachkit.votes.pairs import (
    agreed_with,
    dropped,
    left_out,
    mean_kappa,
    pair_tables,
    stacked,
    votes_by_voter,
    without,
)
from tests.votes.matrices import matrices, repeatable

DATA = os.environ.get("TEACHKIT_DATA")


def theirs(matrix: Any, k: int, metric: Any) -> float:
    values = np.where(matrix.T < 0, np.nan, matrix.T.astype(float))
    found = krippendorff.alpha(reliability_data=values, level_of_measurement=metric, value_domain=list(range(k)))
    return float(found)


@repeatable
@given(matrices(most_items=15), st.sampled_from(METRICS))
def test_alpha_is_that_of_another_implementation(given_: tuple[Any, int], metric: str) -> None:
    matrix, k = given_
    found = krippendorff_alpha(Votes.from_matrix(matrix, k), metric=metric)
    if found.value is None:
        assert found.reason
    else:
        assert found.value == pytest.approx(theirs(matrix, k, metric))


@repeatable
@given(matrices(most_items=15), st.sampled_from([None, "linear", "quadratic"]))
def test_kappa_is_that_of_another_implementation(given_: tuple[Any, int], weights: str | None) -> None:
    matrix, k = given_
    if matrix.shape[1] < 2:
        return
    first, second = matrix[:, 0], matrix[:, 1]
    found = cohen_kappa(first, second, k, weights=weights)
    both = (first >= 0) & (second >= 0)
    if found.value is None:
        assert not both.any() or len({*first[both], *second[both]}) == 1
        return
    expected = cohen_kappa_score(first[both], second[both], labels=list(range(k)), weights=weights)
    assert found.value == pytest.approx(expected)
    tables = pair_tables(Votes.from_matrix(matrix, k))
    u, v = tables.chosen.tolist().index(0), tables.chosen.tolist().index(1)
    assert tables.kappa(u, v, weights=weights).value == pytest.approx(expected)
    assert tables.shared[u, v] == both.sum()
    assert tables.agreed[u, v] == (both & (first == second)).sum()


@repeatable
@given(matrices(most_items=10), st.randoms(use_true_random=False))
def test_order_of_items_voters_and_labels_does_not_matter(given_: tuple[Any, int], random: Any) -> None:
    matrix, k = given_
    rows, columns, names = list(range(matrix.shape[0])), list(range(matrix.shape[1])), list(range(k))
    for order in (rows, columns, names):
        random.shuffle(order)
    moved = matrix[rows][:, columns]
    renamed = np.where(moved < 0, -1, np.array(names)[moved])
    for measure in (krippendorff_alpha, fleiss_kappa):
        here, there = measure(Votes.from_matrix(matrix, k)), measure(Votes.from_matrix(renamed, k))
        assert (here.n, here.reason) == (there.n, there.reason)
        assert here.value is None or here.value == pytest.approx(there.value)


@repeatable
@given(matrices(most_items=10))
def test_voters_that_always_agree_have_one(given_: tuple[Any, int]) -> None:
    matrix, k = given_
    if not matrix.size or len({*matrix[:, 0]} - {-1}) < 2:
        return
    same = np.repeat(matrix[:, :1], 3, axis=1)
    for metric in METRICS:
        assert krippendorff_alpha(Votes.from_matrix(same, k), metric=metric).value == pytest.approx(1)
    assert fleiss_kappa(Votes.from_matrix(same, k)).value == pytest.approx(1)
    assert cohen_kappa(same[:, 0], same[:, 1], k).value == pytest.approx(1)


@repeatable
@given(matrices(most_items=10, most_labels=4))
def test_alpha_of_numbers_is_the_interval_alpha(given_: tuple[Any, int]) -> None:
    matrix, k = given_
    numbers = np.array([1e6, 1e6 + 0.5, 1e6 - 3, 1e6 + 7])[:k]
    columns = [np.where(matrix[:, v] < 0, np.nan, numbers[matrix[:, v]]) for v in range(matrix.shape[1])]
    answers = Answers.from_columns("number", [f"v{v}" for v in range(len(columns))], columns, len(matrix))
    found = alpha_of_numbers(answers)
    expected = krippendorff_alpha(Votes.from_matrix(matrix, k), metric="interval", values=numbers.tolist())
    assert found.n == expected.n
    assert (found.value is None) == (expected.value is None)
    assert found.value is None or found.value == pytest.approx(expected.value)


def test_numbers_that_do_not_vary_say_so_and_others_have_an_interval() -> None:
    same = Answers.from_columns("number", ["a", "b"], [np.array([2.0, 2.0]), np.array([2.0, 2.0])], 2)
    assert alpha_of_numbers(same).reason == "no variation: only one number was given"
    alone = Answers.from_columns("number", ["a"], [np.array([2.0, 3.0])], 2)
    assert alpha_of_numbers(alone).reason == "no unit has two votes"
    first = np.arange(20.0)
    near = Answers.from_columns("number", ["a", "b"], [first, first + np.tile([1.0, -1.0], 10)], 20)
    found = alpha_of_numbers(near, bootstrap=100)
    assert found.value is not None
    assert found.low is not None
    assert found.high is not None
    assert found.low < found.value < found.high
    assert found == alpha_of_numbers(near, bootstrap=100)


def test_distances_of_sets() -> None:
    sets = np.array([[1, 1, 0], [1, 0, 0], [0, 1, 1], [0, 0, 1], [0, 0, 0]])
    jaccard, masi = set_distance(sets, "jaccard"), set_distance(sets, "masi")
    assert jaccard[0].tolist() == pytest.approx([0, 1 / 2, 2 / 3, 1, 1])
    assert masi[0].tolist() == pytest.approx([0, 1 - 1 / 2 * 2 / 3, 1 - 1 / 3 * 1 / 3, 1, 1])
    assert (jaccard == jaccard.T).all()
    assert jaccard[4, 4] == masi[4, 4] == 0


def test_alpha_of_sets_equals_its_definition_over_pairs() -> None:
    sets = np.array([[1, 1], [1, 0], [0, 1]])
    matrix = np.array([[0, 0], [0, 1], [2, 2], [1, 2]])
    within = 2 * (0.5 + 1.0) / 8
    flat = matrix.ravel()
    distance = set_distance(sets, "jaccard")
    between = sum(distance[a, b] for a in flat for b in flat) / (8 * 7)
    found = krippendorff_alpha(Votes.from_matrix(matrix, 3), metric="jaccard", sets=sets)
    assert found.value == pytest.approx(1 - within / between)


def test_an_interval_follows_from_the_votes_alone() -> None:
    matrix = np.array([[0, 0, 1], [1, 1, 1], [0, 0, 0], [0, 1, 0], [1, 1, 0]])
    votes = Votes.from_matrix(matrix, 2)
    found = krippendorff_alpha(votes, bootstrap=50)
    assert found.low is not None
    assert found == krippendorff_alpha(votes, bootstrap=50)
    assert found != krippendorff_alpha(votes, bootstrap=50, seed=1)


@repeatable
@given(matrices(), st.integers(0, 4))
def test_votes_without_a_voter_are_those_of_the_others(given_: tuple[Any, int], who: int) -> None:
    matrix, k = given_
    if who >= matrix.shape[1]:
        return
    votes, mask = Votes.from_matrix(matrix, k), np.arange(matrix.shape[1]) == who
    silent = matrix.copy()
    silent[:, who] = -1
    assert (without(votes, mask).to_dense() == silent).all()
    assert (dropped(votes, mask).to_dense() == matrix[:, ~mask]).all()
    assert dropped(votes, mask).counts.sum() == len(matrix)
    both = stacked([votes, without(votes, mask)])
    assert (both.to_dense() == np.concatenate([matrix, silent])).all()


@pytest.mark.skipif(DATA is None, reason="TEACHKIT_DATA names no folder")
@pytest.mark.parametrize("name", ["crowd_bluebird", "crowd_dog", "crowd_rte"])
def test_alpha_of_a_real_crowd(name: str) -> None:
    from tests.label_models.test_real_votes import people

    votes, _ = people(name)
    matrix = votes.to_dense().astype(np.int64)
    found = krippendorff_alpha(votes, bootstrap=50)
    assert found.value == pytest.approx(theirs(matrix, votes.n_labels, "nominal"))
    assert found.low is not None
    assert found.low < (found.value or 0) < (found.high or 0)


@repeatable
@given(matrices())
def test_pairs_with_others_are_those_of_the_tables(given_: tuple[Any, int]) -> None:
    matrix, k = given_
    votes = Votes.from_matrix(matrix, k)
    others, same = agreed_with(votes, np.ones(matrix.shape[1], dtype=bool))
    tables = pair_tables(votes)
    assert others[tables.chosen].tolist() == tables.shared.sum(axis=1).tolist()
    assert same[tables.chosen].tolist() == tables.agreed.sum(axis=1).tolist()
    assert left_out(votes, tables) == ""
    assert votes_by_voter([votes, votes]) == {
        f"voter_{v}": 2 * (matrix[:, v] >= 0).sum() for v in range(len(votes.voters))
    }


def test_pairs_of_many_voters_are_those_of_the_ones_with_most_votes() -> None:
    matrix = np.full((3, 203), 1)
    matrix[1:, :3] = -1
    votes = Votes.from_matrix(matrix, 2)
    tables = pair_tables(votes)
    assert tables.chosen.tolist() == list(range(3, 203))
    assert left_out(votes, tables) == "the 200 of 203 voters with most votes"
    found = mean_kappa(Votes.from_matrix([[0, 0, 1], [1, 1, 1], [0, 1, -1], [1, -1, -1]], 2))
    assert found.value == pytest.approx((cohen_kappa([0, 1, 0], [0, 1, 1], 2).value or 0) * 3 / 7)
    assert found.n == 3
