from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from teachkit.votes import Votes
from tests.votes.matrices import matrices, repeatable

FIELDS = ("indptr", "voter", "code", "counts", "pattern_of")


def assert_same(first: Votes, second: Votes) -> None:
    assert (first.voters, first.n_labels) == (second.voters, second.n_labels)
    for field in FIELDS:
        a, b = getattr(first, field), getattr(second, field)
        assert a.dtype == b.dtype
        assert a.tolist() == b.tolist()


def as_long(matrix: Any) -> tuple[Any, Any, Any]:
    item, voter = np.nonzero(matrix >= 0)
    return item, voter, matrix[item, voter]


@repeatable
@given(matrices(most_labels=20))
def test_patterns_are_the_distinct_rows_those_with_most_votes_first(given_: tuple[Any, int]) -> None:
    matrix, k = given_
    votes = Votes.from_matrix(matrix, k)
    rows = [tuple(row) for row in matrix.tolist()]
    distinct = sorted(dict.fromkeys(rows), key=lambda row: -sum(c >= 0 for c in row))
    assert votes.pattern_of.tolist() == [distinct.index(row) for row in rows]
    assert votes.counts.tolist() == [rows.count(row) for row in distinct]
    assert votes.to_dense().tolist() == matrix.tolist()
    assert votes.votes_per_pattern.tolist() == [sum(c >= 0 for c in row) for row in distinct]


@repeatable
@given(matrices(), st.randoms(use_true_random=False))
def test_single_votes_in_any_order_give_the_same_as_a_matrix(given_: tuple[Any, int], random: Any) -> None:
    matrix, k = given_
    votes = Votes.from_matrix(matrix, k)
    item, voter, code = as_long(matrix)
    order = list(range(len(item)))
    random.shuffle(order)
    long = (np.array(a, dtype=np.int64)[order] for a in (item, voter, code))
    assert_same(Votes.from_long(*long, voters=votes.voters, n_items=len(matrix), n_labels=k), votes)


@repeatable
@given(matrices(), st.integers(0, 5))
def test_two_groups_joined_are_the_votes_of_both(given_: tuple[Any, int], cut: int) -> None:
    matrix, k = given_
    names = [f"v{i}" for i in range(matrix.shape[1])]
    whole = Votes.from_matrix(matrix, k, names)
    parts = [Votes.from_matrix(m, k, n) for m, n in ((matrix[:, :cut], names[:cut]), (matrix[:, cut:], names[cut:]))]
    assert_same(Votes.joined(*parts), whole)


@pytest.mark.parametrize("k", [2, 3, 4, 15, 16, 127, 128, 255, 256, 1000])
def test_any_number_of_labels_survives_folding(k: int) -> None:
    random = np.random.default_rng(k)
    matrix = random.integers(-1, k, (200, 9))
    matrix[0], matrix[1] = k - 1, -1
    assert (Votes.from_matrix(matrix, k).to_dense() == matrix).all()


@pytest.mark.parametrize("kind", [np.int8, np.int16, np.int32, np.int64])
def test_columns_may_be_of_any_integers_strided_and_read_only(kind: Any) -> None:
    matrix = np.random.default_rng(0).integers(-1, 3, (40, 4)).astype(kind)
    matrix.setflags(write=False)
    assert_same(Votes.from_matrix(matrix, 3), Votes.from_matrix(matrix.astype(np.int64).copy(order="F"), 3))


def test_more_items_than_a_block_are_folded_alike() -> None:
    matrix = np.random.default_rng(0).integers(-1, 2, (40_000, 3))
    votes = Votes.from_matrix(matrix, 2)
    assert votes.n_patterns == 27
    assert votes.counts.sum() == 40_000
    assert (votes.to_dense() == matrix).all()


def test_of_two_votes_of_one_voter_on_one_item_the_last_counts() -> None:
    votes = Votes.from_long([0, 0, 1, 1], [0, 0, 0, 0], [1, 0, 1, -1], voters=["a"], n_items=2, n_labels=2)
    assert votes.to_dense().tolist() == [[0], [-1]]


def test_without_voters_all_items_are_one_silent_pattern() -> None:
    votes = Votes.from_columns([], [], 3, n_items=5)
    assert (votes.n_items, votes.n_patterns, votes.counts.tolist()) == (5, 1, [5])
    assert Votes.from_columns([], [], 3, n_items=0).n_patterns == 0


def test_the_labels_of_a_matrix_are_counted_from_its_greatest_code() -> None:
    assert Votes.from_matrix([[0, 4]]).n_labels == 5
    assert Votes.from_matrix([[-1, 0]]).n_labels == 2


@pytest.mark.parametrize(
    ("matrix", "problem"),
    [
        ([[0, 2]], "codes of voter 'voter_1' are not within -1..1"),
        ([[-2, 0]], "codes of voter 'voter_0' are not within -1..1"),
        ([[0.0, 1.0]], "votes are integers, -1 for an abstention, not float64"),
        ([["spam", "ham"]], "of a table with a row for each vote make Votes.from_table"),
        ([0, 1], "not of 1 dimensions"),
    ],
)
def test_a_matrix_that_holds_no_votes_is_refused(matrix: Any, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Votes.from_matrix(matrix, 2)


@pytest.mark.parametrize(
    ("long", "problem"),
    [
        (([2], [0], [0]), "items are not within 0..1"),
        (([0], [1], [0]), "voters are not within 0..0"),
        (([0], [0], [2]), "codes are not within -1..1"),
        (([0, 1], [0], [0]), "arrays of the same length"),
    ],
)
def test_single_votes_out_of_range_are_refused(long: Any, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Votes.from_long(*long, voters=["a"], n_items=2, n_labels=2)


def test_columns_of_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="voter 'b' has 2 codes for 3 items"):
        Votes.from_columns(["a", "b"], [np.zeros(3, np.int8), np.zeros(2, np.int8)], 2)
    with pytest.raises(ValueError, match="1 names for 2 voters"):
        Votes.from_columns(["a"], [np.zeros(3, np.int8)] * 2, 2)


def test_votes_on_other_items_or_labels_do_not_join() -> None:
    with pytest.raises(ValueError, match="same items and labels"):
        Votes.joined(Votes.from_matrix([[0]], 2), Votes.from_matrix([[0], [1]], 2))
    with pytest.raises(ValueError, match="same items and labels"):
        Votes.joined(Votes.from_matrix([[0]], 2), Votes.from_matrix([[0]], 3))
    with pytest.raises(ValueError, match="two voters are called 'voter_0'"):
        Votes.joined(Votes.from_matrix([[0]], 2), Votes.from_matrix([[1]], 2))


def test_regrouped_votes_have_the_patterns_that_are_asked_for() -> None:
    votes = Votes.from_matrix([[0, 1], [1, -1], [0, 1]], 2)
    split = votes.regrouped(np.array([1, 0, 0]), np.array([1, 0, 2]))
    assert split.to_dense().tolist() == votes.to_dense().tolist()
    assert split.counts.tolist() == [1, 1, 1]


def test_two_voters_have_two_names() -> None:
    with pytest.raises(ValueError, match="two voters are called 'a'"):
        Votes.from_matrix([[0, 1, 0]], 2, ["a", "b", "a"])
