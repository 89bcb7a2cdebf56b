"""What is believed of voters, given expected votes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from teachkit.label_models.hierarchy import MARGIN, chance_to_vote, log_gamma, rows_said, weigh_evidence
from tests.votes.matrices import repeatable


@repeatable
@given(st.floats(min_value=1e-6, max_value=1e9))
def test_log_gamma_is_that_of_the_standard_library(x: float) -> None:
    assert log_gamma(x) == pytest.approx(math.lgamma(x), rel=1e-12, abs=1e-11)


def expected_votes(confusion: Any, per_label: float, voters: int, seed: int = 0, spread: float = 0.0) -> Any:
    """Votes [V, codes, true] of voters with about this confusion [true, codes]."""
    random = np.random.default_rng(seed)
    labels = len(confusion)
    out = np.zeros((voters, labels, labels))
    for v in range(voters):
        for y in range(labels):
            row = random.dirichlet(confusion[y] / spread) if spread else confusion[y]
            out[v, :, y] = random.multinomial(int(per_label), row)
    return out


def learn(sums: Any) -> tuple[Any, Any, float]:
    rows, strengths = np.zeros_like(sums), np.array([4.0, 3.0])
    common = rows_said(sums, np.arange(len(sums)), strengths, True, rows)
    return np.exp(rows), strengths, common


def test_rows_are_probabilities_and_many_votes_are_believed() -> None:
    confusion = np.array([[0.8, 0.1, 0.1], [0.3, 0.6, 0.1], [0.05, 0.05, 0.9]])
    rows, _, _ = learn(expected_votes(confusion, 5000, 5, spread=0.02))
    assert rows.sum(axis=1) == pytest.approx(np.ones((5, 3)))
    assert pytest.approx(confusion, abs=0.1) == rows.mean(axis=0).T


def test_where_voters_err_evenly_matrices_are_drawn_to_one_accuracy() -> None:
    even = np.full((2, 2), 0.2) + 0.6 * np.eye(2)
    biased = np.array([[0.95, 0.05], [0.45, 0.55]])
    _, strong, _ = learn(expected_votes(even, 30, 40))
    _, weak, _ = learn(expected_votes(biased, 30, 40))
    assert strong[1] > 4 * weak[1]


def test_alike_voters_are_drawn_together_and_unlike_ones_are_not() -> None:
    even = np.full((2, 2), 0.2) + 0.6 * np.eye(2)
    alike = expected_votes(even, 20, 30)
    unlike = np.concatenate(
        [expected_votes(np.full((2, 2), e) + (1 - 2 * e) * np.eye(2), 20, 15) for e in (0.02, 0.48)]
    )
    assert learn(alike)[1][0] > 4 * learn(unlike)[1][0]


def test_a_voter_without_votes_is_taken_for_one_of_the_others() -> None:
    sums = expected_votes(np.full((2, 2), 0.1) + 0.8 * np.eye(2), 100, 6)
    sums[5] = 0.0
    rows, _, common = learn(sums)
    assert rows[5] == pytest.approx(np.array([[common, 1 - common], [1 - common, common]]))
    assert common == pytest.approx(0.9, abs=0.03)


def chances(sums: Any, mass: Any, own: int, gold: float = 0.0) -> Any:
    out = np.full((1, len(mass)), 0.5)
    prior = np.full(len(mass), 1.0 / len(mass))
    chance_to_vote(sums[None], mass, gold * sums[None], gold * mass, np.zeros(1, np.int64), np.array([own]), prior, out)
    return out[0]


def test_a_thousand_items_are_not_a_thousand_trials_but_gold_is() -> None:
    sums, mass = np.array([[0.0, 0.0], [5.0, 250.0]]), np.array([500.0, 500.0])
    doubted, known = chances(sums, mass, 1), chances(sums, mass, 1, gold=1.0)
    assert known == pytest.approx([0.012, 0.5], abs=0.01)
    assert known[0] < doubted[0] < 0.1 and 0.3 < doubted[1] < known[1] + 0.1


def test_more_of_the_same_items_change_little() -> None:
    sums, mass = np.array([[0.0, 0.0], [20.0, 80.0]]), np.array([300.0, 200.0])
    assert chances(100 * sums, 100 * mass, 1) == pytest.approx(chances(sums, mass, 1), abs=0.02)


def weigh(chance: Any, own: Any, prior: Any, *, refuted: bool = False, say: float = 1.0) -> tuple[Any, Any]:
    voters, labels = chance.shape
    base, evidence = np.log(prior), np.zeros((voters, labels + 1, labels))
    some = np.ones(voters, dtype=bool)
    weigh_evidence(
        np.zeros((voters, labels, labels)), chance, some, own, ~some | refuted, say * some, 0.25, base, evidence
    )
    return base, evidence


@repeatable
@given(st.integers(min_value=2, max_value=4), st.integers(min_value=1, max_value=5), st.randoms(use_true_random=False))
def test_a_lone_vote_of_a_one_sided_voter_puts_its_label_first(labels: int, voters: int, random: Any) -> None:
    chance = np.array([[random.uniform(0.001, 0.9) for _ in range(labels)] for _ in range(voters)])
    own = np.array([random.randrange(labels) for _ in range(voters)])
    prior = np.array([random.uniform(0.05, 1.0) for _ in range(labels)])
    base, evidence = weigh(chance, own, prior / prior.sum(), say=random.choice([1.0, 0.2]))
    for v in range(voters):
        odds = base - evidence[v, -1] + evidence[v, own[v]]
        assert (np.delete(odds, own[v]) <= odds[own[v]] - MARGIN + 1e-9).all()
        assert (evidence[v, own[v]] <= evidence[v, own[v], own[v]] + 1e-12).all()


def test_where_gold_shows_that_a_voter_is_wrong_it_is_believed() -> None:
    chance, own = np.array([[0.4, 0.05]]), np.array([1])
    base, evidence = weigh(chance, own, np.array([0.5, 0.5]), refuted=True)
    odds = base - evidence[0, -1] + evidence[0, 1]
    assert odds[0] > odds[1] + 1.0
