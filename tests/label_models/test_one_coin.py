from __future__ import annotations

import pytest

from teachkit.label_models import OneCoin
from teachkit.votes import Votes
from tests.label_models.examples import crowd

ACCURACIES = [0.95, 0.85, 0.75, 0.65, 0.6]


@pytest.mark.parametrize("labels", [2, 4])
def test_accuracies_are_learned(labels: int) -> None:
    votes, _ = crowd(4000, ACCURACIES, labels, coverage=0.7)
    found = OneCoin().fit(votes, abstain="at_random").voter_report()
    assert [f.accuracy for f in found] == pytest.approx(ACCURACIES, abs=0.05)


def test_intervals_hold_the_true_accuracy_about_as_often_as_they_say() -> None:
    held, total = 0, 0
    for seed in range(40):
        votes, _ = crowd(600, ACCURACIES, 2, coverage=0.6, seed=seed)
        for found, accuracy in zip(OneCoin().fit(votes, abstain="at_random").voter_report(), ACCURACIES, strict=True):
            assert found.low is not None
            assert found.high is not None
            held, total = held + (found.low <= accuracy <= found.high), total + 1
    assert 0.85 <= held / total <= 0.99


def test_without_priors_an_accuracy_is_the_share_of_right_votes() -> None:
    votes, _ = crowd(300, ACCURACIES)
    model = OneCoin(prior_strength=0, n_iter=200, tolerance=1e-12).fit(votes, abstain="at_random")
    for v, found in enumerate(model.voter_report()):
        assert found.accuracy == pytest.approx(float(model.likelihood_[v, 0, 0]), abs=1e-6)


def test_a_label_never_given_in_the_fit_still_counts_later() -> None:
    votes = Votes.from_matrix([[0, 0, 0]] * 8 + [[1, 1, -1]] * 8, 2)
    posterior = OneCoin().fit(votes).predict_proba([[-1, -1, 1]])
    assert posterior[0, 1] > 0.5
