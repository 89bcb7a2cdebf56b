from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from teachkit.votes import Votes, parts, together
from tests.votes.matrices import matrices, repeatable


def expected(matrix: Any, k: int) -> Any:
    """Pairs of outcomes, by a matrix product."""
    hot = (matrix[:, :, None] == np.arange(k)).reshape(len(matrix), matrix.shape[1] * k).astype(np.int64)
    return hot.T @ hot


@repeatable
@given(matrices(most_items=40), st.sampled_from([0, 10**9]), st.sampled_from([1, 2, 3]))
def test_bits_and_votes_count_the_same_pairs(given_: tuple[Any, int], at_once: int, threads: int) -> None:
    matrix, k = given_
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(together, "_AT_ONCE", at_once)
        patch.setattr(parts, "LEAST", 1)
        found = together.outcomes_together(Votes.from_matrix(matrix, k), threads)
    assert found.tolist() == expected(matrix, k).tolist()


@pytest.mark.parametrize(("items", "voters", "labels"), [(5_000, 12, 3), (130, 30, 9), (64, 3, 2)])
def test_patterns_that_occur_once_and_often_count_by_bits(items: int, voters: int, labels: int) -> None:
    random = np.random.default_rng(items)
    matrix = random.integers(-1, labels, (items, voters))
    matrix = np.concatenate([matrix, np.repeat(matrix[:7], random.integers(1, 300, 7), axis=0)])
    votes = Votes.from_matrix(random.permutation(matrix), labels)
    assert int(votes.counts.max()) > 1
    size = voters * labels
    half = together._by_bits(votes, size, together._planes(votes.counts), 1)
    assert half.tolist() == np.tril(expected(matrix, labels)).tolist()
