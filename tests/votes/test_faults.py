"""Whose fault an error is: figures by hand, and what holds for any votes."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from teachkit.votes import Votes
from teachkit.votes.faults import FAULTS, INDEPENDENT, find_errors, near_copies, right_votes

UNCOVERED, WRONG, OUTVOTED, GOLD = range(4)


def errors(matrix: list[list[int]], gold: list[int], decided: list[int], sure: float = 1.0, **more: Any) -> list[str]:
    said, labels = np.array(matrix, dtype=np.int64), np.array(decided, dtype=np.int64)
    votes = Votes.from_matrix(said.reshape(len(matrix), len(matrix[0]) if matrix else 3), 2)
    posterior = np.full((len(gold), votes.n_labels), (1 - sure) / (votes.n_labels - 1))
    posterior[np.arange(len(gold)), np.maximum(labels, 0)] = sure
    truth = np.array(gold, dtype=np.int64)
    wrong = (truth >= 0) & (labels != truth)
    learned = more.get("learned", [None] * len(votes.voters))
    found = find_errors(votes, truth, labels, posterior, wrong, learned)
    assert found.rows.tolist() == np.flatnonzero(wrong).tolist()
    return [FAULTS[fault] for fault in found.fault[found.group_of]]


def test_nobody_voted_voters_are_wrong_or_right_ones_are_outvoted() -> None:
    matrix = [[-1, -1, -1], [0, -1, -1], [0, 1, 0], [1, 1, -1], [0, 1, -1]]
    found = errors(matrix, [1, 1, 1, 1, 1], [-1, 0, 0, 1, -1])
    assert found == ["uncovered", "wrong", "outvoted", "outvoted"]


def test_what_has_no_gold_is_no_error() -> None:
    assert errors([[0], [0]], [-1, 0], [0, 0]) == []
    assert errors([], [], []) == []


def reliable(matrix: list[list[int]], times: int = 9) -> tuple[list[list[int]], list[int], list[int]]:
    """An item with gold 1 that got 0, and for each voter items on which it alone votes, and is right."""
    voters = len(matrix[0])
    rest = [[0 if v == voter else -1 for v in range(voters)] for voter in range(voters) for _ in range(times)]
    return [*matrix, *rest], [1] * len(matrix) + [0] * len(rest), [0] * (len(matrix) + len(rest))


def test_gold_is_suspicious_where_reliable_independent_voters_agree_against_it_and_the_posterior_is_sure() -> None:
    matrix, gold, decided = reliable([[0, 0, 0, -1]])
    assert errors(matrix, gold, decided) == ["gold"]
    assert errors(matrix, gold, decided, sure=0.94) == ["wrong"]
    two, gold, decided = reliable([[0, 0, -1, -1]])
    assert errors(two, gold, decided) == ["wrong"]


def test_a_reliable_voter_for_gold_clears_it() -> None:
    matrix, gold, decided = reliable([[0, 0, 0, 1]])
    more = [[-1, -1, -1, 1]] * 9
    assert errors([*matrix, *more], [*gold, *[1] * 9], [*decided, *[1] * 9]) == ["outvoted"]
    never_right = [[-1, -1, -1, 1]] * 9
    assert errors([*matrix, *never_right], [*gold, *[0] * 9], [*decided, *[0] * 9]) == ["gold"]


def test_near_copies_count_once() -> None:
    rows = [[0, 0, 0, -1]] + [[0, 0, 0, 0]] * 12
    assert errors(rows, [1] + [0] * 12, [0] * 13) == ["wrong"]  # three that always say the same are one


def test_without_enough_gold_what_the_label_model_learned_counts() -> None:
    matrix, gold, decided = [[0, 0, 0, -1], [0, -1, -1, 0], [-1, 0, -1, 0], [-1, -1, 0, 0]], [1, -1, -1, -1], [0] * 4
    assert errors(matrix, gold, decided, learned=[0.9, 0.9, 0.9, None]) == ["gold"]
    assert errors(matrix, gold, decided, learned=[0.9, 0.9, 0.7, None]) == ["wrong"]
    assert errors(matrix, gold, decided) == ["wrong"]


def test_the_item_itself_does_not_make_its_voters_unreliable() -> None:
    """Each voter is right on four of its five other votes, and wrong on the item in question."""
    rows = [[0, 0, 0]] + [[0, -1, -1]] * 5 + [[-1, 0, -1]] * 5 + [[-1, -1, 0]] * 5
    others = [0, 0, 0, 0, 1] * 3
    assert errors(rows, [1, *others], [0] * 16)[0] == "gold"
    assert errors([*rows, [0, -1, -1]], [1, *others, 1], [0] * 17)[0] == "wrong"  # four of six


def test_near_copies_are_found_among_those_asked_for() -> None:
    matrix = np.array([[0, 0, 1], [1, 1, -1], [0, 0, 0], [-1, -1, 1]] * 5)
    votes = Votes.from_matrix(matrix, 2)
    assert near_copies(votes, np.array([0, 1, 2])).tolist() == [0, 0, 2]
    assert near_copies(votes, np.array([1, 2])).tolist() == [0, 1, 2]


MATRIX = st.integers(1, 5).flatmap(
    lambda v: st.lists(st.lists(st.integers(-1, 2), min_size=v, max_size=v), min_size=1, max_size=25)
)


@settings(max_examples=80, deadline=None)
@given(MATRIX, st.data())
def test_every_error_has_one_fault_that_its_votes_bear_out(matrix: list[list[int]], data: st.DataObject) -> None:
    n = len(matrix)
    gold = np.array(data.draw(st.lists(st.integers(-1, 2), min_size=n, max_size=n)))
    decided = np.array(data.draw(st.lists(st.integers(-1, 2), min_size=n, max_size=n)))
    share = np.array(data.draw(st.lists(st.sampled_from([0.0, 0.5, 0.97, 1.0]), min_size=n, max_size=n)))
    posterior = np.repeat(((1 - share) / 2)[:, None], 3, axis=1)
    posterior[np.arange(n), np.maximum(decided, 0)] = share
    votes = Votes.from_matrix(np.array(matrix), 3)
    wrong = (gold >= 0) & (gold != decided)
    found = find_errors(votes, gold, decided, posterior, wrong, [0.9] * len(votes.voters))
    assert found.counts.sum() == wrong.sum()
    for row, group in zip(found.rows, found.group_of, strict=True):
        said = [code for code in matrix[row] if code >= 0]
        fault = int(found.fault[group])
        assert (found.gold[group], found.label[group]) == (gold[row], decided[row])
        assert found.against[group] != gold[row]
        if fault == GOLD:
            assert said.count(decided[row]) >= INDEPENDENT
            assert posterior[row, decided[row]] >= 0.95
        else:
            assert fault == (UNCOVERED if not said else OUTVOTED if gold[row] in said else WRONG)


@settings(max_examples=40, deadline=None)
@given(MATRIX, st.data())
def test_right_votes_are_counted(matrix: list[list[int]], data: st.DataObject) -> None:
    gold = data.draw(st.lists(st.integers(-1, 2), min_size=len(matrix), max_size=len(matrix)))
    right, judged = right_votes(Votes.from_matrix(np.array(matrix), 3), np.array(gold))
    for voter in range(len(matrix[0])):
        for code in range(3):
            said = [g for row, g in zip(matrix, gold, strict=True) if row[voter] == code and g >= 0]
            assert (right[voter, code], judged[voter, code]) == (said.count(code), len(said))
