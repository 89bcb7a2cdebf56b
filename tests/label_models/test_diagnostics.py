from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from teachkit.label_models import DawidSkene, Majority
from teachkit.label_models.diagnostics import doubts, identifiability
from teachkit.votes import Votes
from tests.label_models.examples import crowd


def test_voters_that_cannot_be_judged_are_named_with_the_reason() -> None:
    #        a  b  c  one silent alone
    rows = [
        [0, 1, 0, 1, -1, -1],
        [1, 1, 0, 1, -1, -1],
        [0, 0, 1, -1, -1, -1],
        [-1, -1, -1, -1, -1, 1],
        [-1, -1, -1, -1, -1, 0],
    ]
    votes = Votes.from_matrix(rows, 2, ["a", "b", "c", "one", "silent", "alone"])
    assert identifiability(votes, np.zeros(6, dtype=bool)) == {
        "weak_voters": {
            "one": "votes for one label only, and its silence is at random",
            "silent": "no votes",
            "alone": "shares items with no other voter",
        },
        "groups": 2,
        "copies": {},
        "rare_labels": [],
        "most_votes": 4,
        "conflict_rate": 0.6,
    }
    assert set(identifiability(votes, np.ones(6, dtype=bool))["weak_voters"]) == {"silent", "alone"}


def test_two_voters_judge_each_other_only() -> None:
    found = Majority().fit([[0, 1], [1, 1]]).diagnostics_
    assert set(found["weak_voters"].values()) == {"shares items with one other voter"}
    assert found["groups"] == 1


def test_flips_against_majority_are_counted() -> None:
    votes, _ = crowd(500, [0.95, 0.55, 0.55])
    model = DawidSkene().fit(votes, abstain="at_random")
    moved = (model.predict(votes) != Majority().fit(votes).predict(votes)).sum()
    assert moved > 50
    assert model.diagnostics_["flips_against_majority"] == moved


def test_an_interval_holds_the_learned_accuracy_and_widens_with_doubt() -> None:
    sure, doubtful = (
        DawidSkene().fit(crowd(300, [accuracy] * 5)[0], abstain="at_random").voter_report()[0]
        for accuracy in (0.95, 0.6)
    )
    for found in (sure, doubtful):
        assert found.accuracy is not None
        assert found.low is not None
        assert found.high is not None
        assert found.low < found.accuracy < found.high
    assert doubtful.high is not None
    assert doubtful.low is not None
    assert doubtful.high - doubtful.low > 1.5 * 2 * 1.96 * (0.6 * 0.4 / 300) ** 0.5


def test_a_voter_without_votes_has_no_accuracy() -> None:
    found = DawidSkene().fit(Votes.from_matrix([[0, -1], [1, -1]], 2)).voter_report()[1]
    assert (found.accuracy, found.low, found.high) == (None, None, None)


def test_all_gold_leaves_the_interval_of_plain_counts() -> None:
    from teachkit.votes.intervals import wilson

    votes, truth = crowd(50, [0.8])
    right = int((votes.to_dense()[:, 0] == truth).sum())
    found = DawidSkene().fit(votes, gold=truth, abstain="at_random").voter_report()[0]
    assert (found.low, found.high) == pytest.approx(wilson(right, 50))


def said(rows: Any, labels: list[str | None], silence: bool = True) -> list[str]:
    votes = Votes.from_matrix(rows, len(labels))
    return doubts(identifiability(votes, np.full(len(votes.voters), silence)), labels)


def test_labels_with_few_voters_are_named() -> None:
    rows = [[0, 0, 0, 1], [0, 1, 0, -1], [0, 0, 0, 2], [1, 0, 1, 0]]
    assert said(rows * 3, ["no", "yes", "perhaps", "never"]) == [
        "Nobody votes for 'never': no item can be found to have it.",
        "Only one voter votes for 'perhaps': it takes three to tell how often each is right.",
        "The same as 'voter_0' says everywhere: 'voter_2'.",
    ]
    assert "The same" not in str(said(rows, ["no", "yes", None, None]))  # four votes are equal by chance
    assert said([[0, 0, 1, 1], [0, 1, 0, 1], [0, 0, 0, 0]], [None, "yes"]) == []


def test_votes_that_do_not_meet_judge_nobody() -> None:
    alone = said([[0, -1, -1], [1, -1, -1], [-1, 0, -1], [-1, 1, -1], [-1, -1, 0], [-1, -1, 1]], ["a", "b"])
    assert alone[0] == "No item has two votes: nothing tells how often any voter is right."
    assert alone[1:] == [
        "The voters fall into 3 groups that share no item: nothing compares one group with another.",
        "Votes cannot judge 'voter_0', 'voter_1', 'voter_2': shares items with no other voter.",
    ]
    pairs = said([[0, 1, -1, -1], [1, 1, -1, -1], [0, 0, -1, -1], [-1, -1, 0, 1], [-1, -1, 1, 1]], ["a", "b"])
    assert pairs[0] == "No item has three votes: of two voters that disagree, nothing tells which is right."
    assert pairs[1].startswith("The voters fall into 2 groups")


def test_good_votes_leave_no_doubt() -> None:
    votes, _ = crowd(300, [0.9, 0.8, 0.7, 0.8])
    model = DawidSkene().fit(votes, abstain="at_random")
    assert doubts(model.diagnostics_, ["a", "b"]) == []
    strict = DawidSkene(n_iter=100, tolerance=0.0).fit(votes, abstain="at_random")
    assert not strict.diagnostics_["converged"]
    assert doubts(strict.diagnostics_, ["a", "b"]) == []


def test_a_fit_that_still_moves_after_many_steps_says_by_how_much() -> None:
    fit = {"converged": False, "iterations": 50, "max_change": 0.0256}
    assert doubts(fit, ["a", "b"]) == ["The fit has not settled after 50 steps: by the last it still changed by 0.026."]
    for settled in ({"max_change": 0.01}, {"converged": True}, {"iterations": 49}, {"max_change": None}):
        assert doubts(fit | settled, ["a", "b"]) == []


def test_many_weak_voters_are_not_all_listed() -> None:
    rows = np.where(np.eye(9, dtype=bool), 0, -1)
    assert "'voter_4' and 4 more: shares items" in said(rows, [None, None])[-1]


def test_voters_that_are_silent_are_no_copies_of_each_other() -> None:
    assert identifiability(Votes.from_matrix([[0, -1, -1]] * 20), np.ones(3, dtype=bool))["copies"] == {}


def test_gold_that_splits_patterns_hides_no_copy() -> None:
    rows = [[0, 1, 0], [1, 1, 1], [0, 0, 0], [1, 0, 1]] * 3
    assert DawidSkene().fit(rows, [0, 1, *[-1] * 10]).diagnostics_["copies"] == {"voter_2": "voter_0"}


def test_copies_of_a_voter_do_not_make_a_label_common() -> None:
    rows = [[0, 0, 0, -1], [1, 1, 1, -1], [0, 0, 0, 0], [1, 1, 1, 0]] * 3
    found = identifiability(Votes.from_matrix(rows, 2), np.ones(4, dtype=bool))
    assert found["rare_labels"] == [[0, 2], [1, 1]]
