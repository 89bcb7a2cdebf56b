"""Models of pairs of votes: MeTaL, triplets; and KOS, which shares their one-against-the-rest."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from teachkit.label_models import Kos, Majority, Metal, Triplet
from teachkit.label_models import moments as module
from teachkit.label_models.kos_kernels import votes_in_messages
from teachkit.label_models.moment_kernels import _solve
from teachkit.label_models.moments import outcome_counts
from teachkit.votes import Votes
from tests.label_models.examples import crowd


def right(model: Any, votes: Votes, truth: Any) -> float:
    return float((model.fit(votes).predict_proba(votes).argmax(axis=1) == truth).mean())


def functions(seed: int = 0, n_items: int = 8000) -> tuple[Votes, Any, Any]:
    """Three labels, seven voters of different confusion and coverage; the truth, and P(vote c | y) [V, K, K]."""
    random = np.random.default_rng(seed)
    truth = random.integers(0, 3, n_items)
    matrix, likelihood = np.full((n_items, 7), -1), np.zeros((7, 3, 3))
    for v in range(7):
        confusion = 0.6 * np.eye(3) + 0.4 * random.dirichlet(np.ones(3), 3)
        fires = random.uniform(0.4, 0.9, 3)
        likelihood[v] = (confusion * fires[:, None]).T
        for y in range(3):
            rows = np.flatnonzero((truth == y) & (random.random(n_items) < fires[truth]))
            matrix[rows, v] = random.choice(3, len(rows), p=confusion[y])
    return Votes.from_matrix(matrix, 3), truth, likelihood


def test_counts_of_outcomes_are_those_of_the_matrix() -> None:
    votes, _ = crowd(200, [0.9, 0.7, 0.6], 3, coverage=0.7)
    dense = votes.to_dense()
    hot = (dense[:, :, None] == np.arange(3)).reshape(200, 9).astype(int)
    assert (outcome_counts(votes) == hot.T @ hot).all()
    assert (outcome_counts(votes, 3) == hot.T @ hot).all()


def test_equations_are_solved() -> None:
    random = np.random.default_rng(0)
    a, b = random.normal(size=(5, 5)), random.normal(size=(5, 2))
    x = b.copy()
    _solve(a.copy(), x)
    assert a @ x == pytest.approx(b, abs=1e-10)


def test_metal_finds_likelihoods_from_pairs_alone() -> None:
    votes, truth, likelihood = functions()
    model = Metal(l2=1e-4, n_iter=2000, tolerance=1e-9).fit(votes)
    assert np.abs(model.likelihood_[:, :3] - likelihood).mean() < 0.03
    logs = np.where(votes.to_dense()[:, :, None] >= 0, np.log(likelihood[np.arange(7), votes.to_dense()]), 0.0)
    best = (logs.sum(axis=1).argmax(axis=1) == truth).mean()
    assert right(Metal(), votes, truth) > best - 0.02
    assert right(Metal(), votes, truth) > right(Majority(), votes, truth)


def test_voters_that_overlap_little_stay_where_they_start() -> None:
    matrix = np.full((300, 3), -1)
    matrix[:100, 0], matrix[100:200, 1], matrix[200:, 2] = 0, 1, 1
    model = Metal(precision=0.8).fit(Votes.from_matrix(matrix, 2))
    posterior = model.predict_proba(matrix)
    assert posterior[0] == pytest.approx([0.8, 0.2], abs=0.01)
    assert posterior[150] == pytest.approx([0.2, 0.8], abs=0.01)


def test_a_given_prior_is_kept() -> None:
    votes, _, _ = functions(n_items=500)
    model = Metal(class_prior=[0.8, 0.1, 0.1]).fit(votes)
    assert model.prior_ == pytest.approx([0.8, 0.1, 0.1])


def test_too_many_voters_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_OUTCOMES", 5)
    with pytest.raises(ValueError, match="3 voters of 2 labels are too many for a model of pairs: take auto"):
        Metal().fit(np.array([[0, 1, 1]]))


@pytest.mark.parametrize(
    ("model", "problem"),
    [
        (Metal(precision=1.0), "precision is between 0 and 1"),
        (Metal(l2=-1), "l2 0 or more"),
        (Triplet(strength=-1), "strength is 0 or more"),
    ],
)
def test_bad_parameters_are_refused(model: Any, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        model.fit(np.array([[0, 1, 1]]))


@pytest.mark.parametrize("labels", [2, 3])
def test_triplets_give_the_accuracies(labels: int) -> None:
    accuracies = [0.95, 0.85, 0.75, 0.65]
    votes, truth = crowd(20_000, accuracies, labels, coverage=0.8)
    model = Triplet().fit(votes)
    learned = [found.accuracy or 0.0 for found in model.voter_report()]
    assert learned == sorted(learned, reverse=True)
    if labels == 2:
        odds = 2 * np.log(model.likelihood_[:, 0, 0])
        assert 1 / (1 + np.exp(-odds)) == pytest.approx(accuracies, abs=0.03)
    assert right(Triplet(), votes, truth) > right(Majority(), votes, truth)


def test_without_triplets_voters_are_taken_to_be_as_usual() -> None:
    model = Triplet().fit(np.array([[0, 1], [1, 1], [0, 0], [1, 1]]))
    assert (1 / (1 + np.exp(-2 * np.log(model.likelihood_[:, 0, 0])))) == pytest.approx([0.7, 0.7])


def messages(matrix: Any, rounds: int) -> Any:
    """KOS by hand: messages along each edge of items and voters."""
    signs = {
        (i, v): 1.0 if row[v] == 1 else -1.0 for i, row in enumerate(matrix) for v in range(len(row)) if row[v] >= 0
    }
    to_item = dict.fromkeys(signs, 1.0)
    for _ in range(rounds):
        to_voter = {(i, v): sum(signs[j, u] * to_item[j, u] for j, u in signs if j == i and u != v) for i, v in signs}
        to_item = {(i, v): sum(signs[j, u] * to_voter[j, u] for j, u in signs if u == v and j != i) for i, v in signs}
        most = max(abs(x) for x in to_item.values())
        to_item = {edge: x / most for edge, x in to_item.items()}
    return np.array([sum(signs[j, u] * to_voter[j, u] for j, u in signs if u == v) for v in range(matrix.shape[1])])


@pytest.mark.parametrize("rounds", [1, 3])
def test_messages_are_those_of_each_edge(rounds: int) -> None:
    votes, _ = crowd(25, [0.9, 0.8, 0.7, 0.6], 2, coverage=0.7)
    trust = np.zeros(4)
    nothing, weight = np.full(votes.n_patterns, -1), votes.counts.astype(float)
    votes_in_messages(votes.indptr, votes.voter, votes.code, weight, nothing, 1, rounds, trust)
    by_hand = messages(votes.to_dense(), rounds)
    assert trust / np.abs(trust).max() == pytest.approx(by_hand / np.abs(by_hand).max(), abs=1e-9)


def test_kos_trusts_those_who_are_right() -> None:
    accuracies = list(np.random.default_rng(2).uniform(0.45, 0.95, 60))
    votes, truth = crowd(500, accuracies, 2, coverage=0.1, seed=2)
    spoken = votes.votes_per_pattern[votes.pattern_of] > 0
    mine, majority = (
        (m.fit(votes).predict_proba(votes).argmax(axis=1) == truth)[spoken].mean() for m in (Kos(), Majority())
    )
    assert mine > majority - 0.01
    weights = np.log(Kos().fit(votes).likelihood_[:, 0, 0])
    assert np.corrcoef(weights, accuracies)[0, 1] > 0.6


@pytest.mark.parametrize("model", [Metal(), Triplet()])
def test_gold_teaches_how_far_to_trust_a_voter(model: Any) -> None:
    """Three copies of a bad voter look right to each other; gold of other items shows what they are."""
    random = np.random.default_rng(0)
    truth = random.integers(0, 2, 3000)
    bad = np.where(random.random(3000) < 0.4, truth, 1 - truth)
    good = [np.where(random.random(3000) < 0.8, truth, 1 - truth) for _ in range(3)]
    votes = Votes.from_matrix(np.stack([bad, bad, bad, *good], axis=1), 2)
    gold = np.full(3000, -1)
    gold[:100] = truth[:100]
    rest = gold < 0
    alone = model.fit(votes).predict_proba(votes).argmax(axis=1)
    told = model.fit(votes, gold).predict_proba(votes).argmax(axis=1)
    assert (told == truth)[rest].mean() > (alone == truth)[rest].mean() + 0.1


@pytest.mark.parametrize("model", [Metal(), Triplet()])
def test_gold_of_no_item_changes_no_bit(model: Any) -> None:
    votes, _, _ = functions(n_items=400)
    before = model.fit(votes).likelihood_.tobytes()
    assert model.fit(votes, np.full(400, -1)).likelihood_.tobytes() == before


def test_much_gold_makes_the_likelihoods_of_metal_those_of_gold() -> None:
    votes, truth, likelihood = functions(1)
    found = Metal(class_prior="uniform").fit(votes, truth).likelihood_
    assert found[:, :3] == pytest.approx(likelihood, abs=0.04)


def test_a_model_says_whether_it_settled() -> None:
    votes, _, _ = functions(n_items=2000)
    assert Metal(n_iter=500).fit(votes).diagnostics_["converged"]
    early = Metal(n_iter=2).fit(votes).diagnostics_
    assert not early["converged"]
    assert early["iterations"] == 2
    assert early["max_change"] > 1e-6
    assert Triplet().fit(votes).diagnostics_["converged"]
    people, _ = crowd(600, [0.9, 0.8, 0.7, 0.6, 0.8], 2, coverage=0.7)
    assert not Kos(n_iter=1).fit(people).diagnostics_["converged"]
    assert Kos(n_iter=60).fit(people).diagnostics_["converged"]
