from __future__ import annotations

import numpy as np
import pytest

from teachkit.label_models import DawidSkene, Majority
from teachkit.label_models.diagnostics import identifiability
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
