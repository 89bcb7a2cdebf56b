from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given

from teachkit.votes import Votes
from teachkit.votes.patterns import company, fold
from tests.votes.matrices import matrices, repeatable


def test_rows_that_differ_in_one_word_are_different_patterns() -> None:
    words = np.zeros((64, 3), dtype=np.uint64)
    words[np.arange(64), np.arange(64) % 3] = np.uint64(1) << np.arange(64, dtype=np.uint64)
    first, pattern_of, counts = fold(np.concatenate([words, words]))
    assert first.tolist() == list(range(64))
    assert pattern_of.tolist() == list(range(64)) * 2
    assert counts.tolist() == [2] * 64


@repeatable
@given(matrices())
def test_company_is_whom_a_voter_shares_items_with(given_: tuple[Any, int]) -> None:
    matrix, k = given_
    votes = Votes.from_matrix(matrix, k)
    voted = matrix >= 0
    shared = (voted[:, :, None] & voted[:, None, :]).any(axis=0)
    others, group = company(votes.indptr, votes.voter, len(votes.voters))
    assert others.tolist() == [min(2, int(row.sum()) - int(row[v])) for v, row in enumerate(shared)]
    reach = shared | np.eye(len(shared), dtype=bool)
    for _ in range(len(reach)):
        reach = (reach.astype(int) @ reach.astype(int)) > 0
    assert group.tolist() == [int(np.flatnonzero(row)[0]) for row in reach]
