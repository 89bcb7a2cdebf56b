"""Worker agreement with aggregate, and skills that agree with their own labels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from teachkit.label_models import Majority, Wawa, ZeroBasedSkill
from teachkit.votes import Votes
from tests.label_models.examples import crowd


def plainly(matrix: Any, labels: int, rate: float, steps: int) -> tuple[Any, Any]:
    """Skills and shares, item by item."""
    skills = np.ones(matrix.shape[1])
    for _ in range(steps):
        shares = [[skills[row == k].sum() for k in range(labels)] for row in matrix]
        best = [[k for k in range(labels) if found[k] >= max(found) - 1e-12 and max(found) > 0] for found in shares]
        agreement = []
        for voter in range(matrix.shape[1]):
            said = [(row[voter], tops) for row, tops in zip(matrix, best, strict=True) if row[voter] >= 0]
            agreement.append(np.mean([(code in tops) / len(tops) for code, tops in said]) if said else 0.0)
        skills = skills + rate * (np.array(agreement) - skills)
    found = np.array([[skills[row == k].sum() for k in range(labels)] for row in matrix])
    return skills, found / found.sum(axis=1, keepdims=True)


@pytest.mark.parametrize(("model", "rate", "steps"), [(Wawa(), 1.0, 1), (ZeroBasedSkill(tolerance=0), 0.5, 100)])
def test_skills_are_what_they_are_by_hand(model: Any, rate: float, steps: int) -> None:
    votes, _ = crowd(120, [0.9, 0.8, 0.7, 0.6, 0.5], 3, coverage=0.7, seed=2)
    matrix = votes.to_dense()
    spoken = (matrix >= 0).any(axis=1)
    skills, shares = plainly(matrix[spoken], 3, rate, steps)
    model.fit(votes)
    assert model.skills_ == pytest.approx(skills, abs=1e-6)
    assert model.predict_proba(votes)[spoken] == pytest.approx(shares, abs=1e-6)


@pytest.mark.parametrize("name", [Wawa, ZeroBasedSkill])
def test_the_skilled_win(name: Any) -> None:
    votes, truth = crowd(500, [0.97, 0.95, 0.55, 0.55, 0.5, 0.5], 2, coverage=0.8)
    mine, majority = ((m.fit(votes).predict_proba(votes).argmax(axis=1) == truth).mean() for m in (name(), Majority()))
    assert mine > majority + 0.01


@pytest.mark.parametrize("name", [Wawa, ZeroBasedSkill])
def test_contributions_are_the_posterior_in_parts(name: Any) -> None:
    votes, _ = crowd(60, [0.9, 0.8, 0.6], 3, coverage=0.7)
    model = name().fit(votes)
    for pattern in range(votes.n_patterns):
        parts = model.contributions(votes, pattern)
        if parts:
            assert sum(parts.values()) == pytest.approx(model.pattern_proba(votes)[pattern])


def test_gold_is_what_voters_are_compared_with() -> None:
    matrix = np.array([[0, 0, 1]] * 10 + [[1, 1, 0]] * 10)
    votes = Votes.from_matrix(matrix, 2)
    assert Wawa().fit(votes).skills_.tolist() == [1.0, 1.0, 0.0]
    assert Wawa().fit(votes, gold=np.array([1] * 10 + [0] * 10)).skills_.tolist() == [0.0, 0.0, 1.0]


@pytest.mark.parametrize("parameters", [{"rate": 0}, {"rate": 1.5}, {"n_iter": 0}])
def test_bad_parameters_are_refused(parameters: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="rate is above 0 and at most 1, n_iter 1 or more"):
        ZeroBasedSkill(**parameters).fit(np.array([[0, 1], [1, 1]]))


def test_one_step_is_all_of_wawa_but_not_of_skills() -> None:
    votes, _ = crowd(300, [0.9, 0.7, 0.6], 2)
    assert Wawa().fit(votes).diagnostics_["converged"]
    assert not ZeroBasedSkill(n_iter=1).fit(votes).diagnostics_["converged"]
    assert ZeroBasedSkill().fit(votes).diagnostics_["converged"]
