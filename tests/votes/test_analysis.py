from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from teachkit.votes import Votes
from teachkit.votes.analysis import analyze, conflict_rate, polarities
from teachkit.votes.intervals import wilson
from tests.votes.matrices import matrices, repeatable

SNORKEL = [[-1, 0, 0], [-1, -1, -1], [1, 0, -1], [-1, 0, -1], [0, 0, 0]]
"""The example in the documentation of Snorkel's LFAnalysis."""


def test_the_figures_are_those_of_snorkels_documentation() -> None:
    found = analyze(Votes.from_matrix(SNORKEL, 2))
    assert [f.polarity for f in found] == [(0, 1), (0,), (0,)]
    assert [f.coverage for f in found] == pytest.approx([0.4, 0.8, 0.4])
    assert [f.overlaps for f in found] == pytest.approx([0.4, 0.6, 0.4])
    assert [f.overlaps_of_votes for f in found] == pytest.approx([1.0, 0.75, 1.0])
    assert [f.conflicts for f in found] == pytest.approx([0.2, 0.2, 0.0])
    assert conflict_rate(Votes.from_matrix(SNORKEL, 2)) == pytest.approx(0.2)


@repeatable
@given(matrices(), st.data())
def test_analysis_equals_a_count_by_hand(given_: tuple[Any, int], data: st.DataObject) -> None:
    matrix, k = given_
    n = len(matrix)
    gold = np.array(data.draw(st.lists(st.integers(-1, k - 1), min_size=n, max_size=n)), dtype=np.int64)
    votes = Votes.from_matrix(matrix, k)
    for v, found in enumerate(analyze(votes, gold)):
        mine = matrix[:, v] >= 0
        several = (matrix >= 0).sum(axis=1) > 1
        differ = np.array([len(set(row[row >= 0].tolist())) > 1 for row in matrix], dtype=bool)
        judged = mine & (gold >= 0)
        right = int((matrix[judged, v] == gold[judged]).sum())
        assert found.polarity == tuple(sorted(set(matrix[mine, v].tolist())))
        assert found.votes == mine.sum()
        assert found.coverage == pytest.approx(mine.sum() / n if n else 0.0)
        assert found.overlaps == pytest.approx((mine & several).sum() / n if n else 0.0)
        assert found.conflicts == pytest.approx((mine & differ).sum() / n if n else 0.0)
        assert (found.correct, found.incorrect) == (right, int(judged.sum()) - right)
        assert (found.low, found.high) == (wilson(right, int(judged.sum())) or (None, None))
        assert (found.accuracy is None) == (not judged.any())
    if n:
        assert conflict_rate(votes) == pytest.approx(differ.mean() if matrix.shape[1] else 0.0)


def test_what_is_not_known_is_none_and_not_zero() -> None:
    silent, judge = analyze(Votes.from_matrix([[-1, 0], [-1, 1]], 2), np.array([-1, -1]))
    assert (silent.overlaps_of_votes, silent.conflicts_of_votes, silent.accuracy) == (None, None, None)
    assert (judge.correct, judge.incorrect, judge.accuracy, judge.low) == (0, 0, None, None)
    assert silent.as_dict()["voter"] == "voter_0"


def test_without_items_there_is_no_conflict() -> None:
    none = Votes.from_matrix(np.zeros((0, 2), int), 2)
    assert conflict_rate(none) == 0.0
    assert [f.coverage for f in analyze(none)] == [0.0, 0.0]


def test_gold_for_other_items_is_refused() -> None:
    with pytest.raises(ValueError, match="gold has 1 codes for 2 items"):
        analyze(Votes.from_matrix([[0], [1]], 2), np.array([0]))


def test_polarities_are_the_labels_that_a_voter_gives() -> None:
    assert polarities(Votes.from_matrix([[0, -1, 2], [2, -1, 2]], 3)) == [(0, 2), (), (2,)]
