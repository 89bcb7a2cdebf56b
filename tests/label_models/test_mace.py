"""MACE: who knows, and who fills in."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from teachkit.label_models import Mace, Majority
from teachkit.label_models.priors import digamma, expected_shares
from teachkit.votes import Votes
from tests.label_models.examples import crowd
from tests.votes.matrices import repeatable


@repeatable
@given(st.floats(min_value=1e-3, max_value=1e6))
def test_digamma_is_the_slope_of_log_gamma(x: float) -> None:
    """By its recurrence and its asymptote: psi(x + 1) = psi(x) + 1/x, log x - 1/x < psi(x) < log x - 1/(2x)."""
    assert digamma(x + 1.0) == pytest.approx(digamma(x) + 1.0 / x, rel=1e-10, abs=1e-10)
    assert np.log(x) - 1.0 / x < digamma(x) < np.log(x) - 0.5 / x


def test_digamma_of_one_is_eulers_constant() -> None:
    assert digamma(1.0) == pytest.approx(-0.5772156649015329, abs=1e-12)
    assert digamma(0.5) == pytest.approx(-1.9635100260214235, abs=1e-12)


def test_expected_shares_are_below_the_mean_and_near_it_with_many_counts() -> None:
    few, many = (expected_shares(n * np.array([[0.3, 0.7]]), np.ones(2))[0] for n in (2.0, 2e5))
    assert many == pytest.approx([0.3, 0.7], abs=1e-4)
    assert few.sum() < 0.95


def by_hand(matrix: Any, k: int, steps: int) -> Any:
    """The posteriors of MACE with variational Bayes, item by item, from a majority start."""
    voters = matrix.shape[1]
    q = np.array([[(row == c).sum() for c in range(k)] for row in matrix], dtype=float)
    q /= q.sum(axis=1, keepdims=True)
    knows, habit = np.full(voters, 0.5), np.full((voters, k), 1 / k)
    for _ in range(steps):
        knew, guessed = np.zeros(voters), np.zeros((voters, k))
        for row, posterior in zip(matrix, q, strict=True):
            for v, c in enumerate(row):
                if c >= 0:
                    share = posterior[c] * knows[v] / (knows[v] + (1 - knows[v]) * habit[v, c])
                    knew[v] += share
                    guessed[v, c] += 1 - share
        both = expected_shares(np.stack([knew, guessed.sum(axis=1)], axis=1), np.array([0.5, 0.5]))
        spread = expected_shares(guessed, np.full(k, 0.1))
        for i, row in enumerate(matrix):
            p = np.full(k, 1 / k)
            for v, c in enumerate(row):
                if c >= 0:
                    p *= both[v, 1] * spread[v, c] + both[v, 0] * (np.arange(k) == c)
            q[i] = p / p.sum()
        knows = both[:, 0] / both.sum(axis=1)
        habit = spread / spread.sum(axis=1, keepdims=True)
    return q


@pytest.mark.parametrize("steps", [1, 2, 7])
def test_posteriors_are_what_they_are_by_hand(steps: int) -> None:
    votes, _ = crowd(80, [0.9, 0.8, 0.7, 0.5], 3, coverage=0.9, seed=5)
    matrix = votes.to_dense()
    spoken = (matrix >= 0).any(axis=1)
    model = Mace(n_iter=steps, tolerance=0).fit(votes)
    assert model.predict_proba(votes)[spoken] == pytest.approx(by_hand(matrix[spoken], 3, steps), abs=1e-9)


def test_spammers_are_found() -> None:
    votes, truth = crowd(400, [0.85, 0.8, 0.8], 2)
    random = np.random.default_rng(0)
    always, chance = np.ones((400, 2), int), random.integers(0, 2, (400, 2))
    both = Votes.from_matrix(np.column_stack([votes.to_dense(), always, chance]), 2)
    model = Mace().fit(both)
    competence = list(model.voter_competence().values())
    assert min(competence[:3]) > 0.4 > 0.3 > max(competence[3:])
    assert (model.predict_proba(both).argmax(axis=1) == truth).mean() > (
        Majority().fit(both).predict_proba(both).argmax(axis=1) == truth
    ).mean()


def test_bad_parameters_are_refused() -> None:
    with pytest.raises(ValueError, match="alpha, beta and smoothing are above 0"):
        Mace(alpha=0).fit(np.array([[0, 1]]))


def test_what_voters_know_is_kept() -> None:
    model = Mace().fit(np.array([[0, 0, 1], [1, 1, 0], [0, 0, 0], [1, 1, 1]]))
    assert Mace.from_parameters(model.parameters()).voter_competence() == model.voter_competence()
