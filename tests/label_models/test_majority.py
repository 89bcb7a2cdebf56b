from __future__ import annotations

import numpy as np
import pytest

from teachkit.label_models import Majority
from teachkit.votes import Votes

MATRIX = [[0, 0, 1], [1, 1, 1], [-1, -1, -1], [0, 1, -1]]


def test_posteriors_are_shares_and_the_prior_without_votes() -> None:
    model = Majority().fit(MATRIX)
    prior = np.array([2 / 3 + 0 + 1 / 2 + 1, 1 / 3 + 1 + 1 / 2 + 1]) / 5
    assert model.prior_ == pytest.approx(prior)
    assert model.predict_proba(MATRIX) == pytest.approx(np.array([[2 / 3, 1 / 3], [0, 1], prior, [0.5, 0.5]]))
    assert model.predict(MATRIX).tolist() == [0, 1, -1, -1]
    assert model.predict(MATRIX, tie_policy="first").tolist() == [0, 1, -1, 0]
    assert model.predict(MATRIX, tie_policy="prior").tolist() == [0, 1, -1, 1]


def test_the_report_is_agreement_with_the_shares() -> None:
    found = Majority().fit(MATRIX).voter_report()
    assert [f.accuracy for f in found] == pytest.approx(
        [(2 / 3 + 1 + 1 / 2) / 3, (2 / 3 + 1 + 1 / 2) / 3, (1 / 3 + 1) / 2]
    )


def test_gold_counts_in_the_prior_and_in_the_report() -> None:
    gold = np.array([1, 1, 0, 0])
    model = Majority().fit(MATRIX, gold=gold)
    assert model.prior_ == pytest.approx([3 / 6, 3 / 6])
    assert [f.accuracy for f in model.voter_report()] == pytest.approx([2 / 3, 1 / 3, 1.0])


def test_a_contribution_is_the_change_of_the_share() -> None:
    votes = Votes.from_matrix(MATRIX, 2, ["a", "b", "c"])
    moved = Majority().fit(votes).contributions(votes, 0)
    assert {voter: change.tolist() for voter, change in moved.items()} == {
        "a": pytest.approx([2 / 3 - 1 / 2, 1 / 3 - 1 / 2]),
        "b": pytest.approx([2 / 3 - 1 / 2, 1 / 3 - 1 / 2]),
        "c": pytest.approx([2 / 3 - 1, 1 / 3]),
    }
