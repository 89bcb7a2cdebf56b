from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

from teachkit.votes import Comparisons, Votes
from teachkit.votes.positions import left_shares
from tests.votes.duels import duels, sides
from tests.votes.matrices import repeatable


@repeatable
@given(votes=duels())
def test_comparisons_are_the_votes_and_what_they_compare(votes: Comparisons) -> None:
    matrix, (left, right) = votes.to_dense(), sides(votes)
    again = Comparisons.of(Votes.from_matrix(matrix, votes.n_labels, votes.voters), left, right)
    assert again.to_dense().tolist() == matrix.tolist()
    assert sides(again) == (left, right)
    assert int(again.counts.sum()) == votes.n_items
    rows = list(zip(map(tuple, matrix.tolist()), left, right, strict=True))
    assert again.n_patterns == len(set(rows))


def test_patterns_stand_in_the_order_in_which_items_bring_them_up() -> None:
    votes = Comparisons.of(Votes.from_matrix([[1], [0], [1], [1]], 2), ["b", "a", "a", "b"], ["a", "b", "b", "a"])
    assert votes.pattern_of.tolist() == [0, 1, 2, 0]
    assert votes.counts.tolist() == [2, 1, 1]
    assert votes.contestants == ("a", "b")


def test_regrouped_comparisons_compare_what_they_did() -> None:
    votes = Comparisons.of(Votes.from_matrix([[1], [0]], 2), ["b", "a"], ["a", "c"])
    turned = votes.regrouped(np.array([1, 0]), np.array([1, 0]))
    assert sides(turned) == sides(votes)
    assert turned.to_dense().tolist() == votes.to_dense().tolist()


@pytest.mark.parametrize(
    ("k", "left", "right", "problem"),
    [
        (4, ["a"], ["b"], "2 labels .* or 3 .*, not 4"),
        (2, ["a", "b"], ["b"], "2 left and 1 right sides for 1 items"),
        (2, ["a"], [None], "a side is named by a text, not by None"),
        (2, [1], ["b"], "a side is named by a text, not by 1"),
    ],
)
def test_what_is_no_comparison_is_refused(k: int, left: list[str], right: list[str], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Comparisons.of(Votes.from_matrix([[0]], k), left, right)


def test_left_shares_are_of_decided_votes_and_of_those_in_both_orders() -> None:
    rows = [(0, "a", "b")] * 3 + [(0, "b", "a")] * 2 + [(2, "b", "a")] * 5 + [(1, "c", "a")] * 5 + [(0, "d", "d")] * 4
    votes = Votes.from_matrix([[code, -1] for code, _, _ in rows], 3)
    found, silent = left_shares(Comparisons.of(votes, [a for _, a, _ in rows], [b for _, _, b in rows]))
    assert found.decided == 14
    assert found.left == pytest.approx(9 / 14)
    assert (found.swapped, found.swapped_left) == (8, 1.0)  # twice two of a and b, and d against itself
    assert found.low is not None
    assert found.low < 9 / 14
    assert (silent.decided, silent.left, silent.low, silent.swapped, silent.swapped_left) == (0, None, None, 0, None)


def test_whoever_prefers_one_thing_in_both_orders_is_not_biased() -> None:
    rows = [(0, "a", "b")] * 9 + [(1, "b", "a")] * 3
    votes = Comparisons.of(
        Votes.from_matrix([[c] for c, _, _ in rows], 2), [a for _, a, _ in rows], [b for _, _, b in rows]
    )
    (found,) = left_shares(votes)
    assert found.left == 0.75
    assert (found.swapped, found.swapped_left) == (6, 0.5)
