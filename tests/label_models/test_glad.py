"""GLAD: easy items and hard ones."""

from __future__ import annotations

import numpy as np
import pytest

from teachkit.label_models import Glad, Majority
from teachkit.votes import Votes
from tests.label_models.examples import crowd


def test_the_able_are_found_and_heard() -> None:
    votes, truth = crowd(600, [0.95, 0.9, 0.6, 0.55, 0.55], 3)
    model = Glad().fit(votes)
    assert model.abilities_.argsort()[::-1][:2].tolist() == [0, 1]
    right, majority = ((m.predict_proba(votes).argmax(axis=1) == truth).mean() for m in (model, Majority().fit(votes)))
    assert right > majority + 0.03


def test_a_voter_below_chance_counts_against_its_label() -> None:
    votes, truth = crowd(500, [0.9, 0.9, 0.85, 0.15], 2)
    model = Glad().fit(votes)
    assert model.abilities_[3] < 0 < model.abilities_[:3].min()
    assert (model.predict_proba(votes).argmax(axis=1) == truth).mean() > 0.95


def test_hard_items_leave_the_able_able() -> None:
    """On half of the items everybody guesses: who is right on the others is not taken for a guesser."""
    random = np.random.default_rng(1)
    truth = random.integers(0, 2, 800)
    chance = np.where(np.arange(800)[:, None] < 400, [[0.98, 0.97, 0.96, 0.95, 0.9]], 0.5)
    said = np.where(random.random((800, 5)) < chance, truth[:, None], 1 - truth[:, None])
    model = Glad().fit(Votes.from_matrix(said, 2))
    unanimous, split = (model.predict_proba(np.array([v])).max() for v in ([1, 1, 1, 1, 1], [1, 1, 1, 0, 0]))
    assert unanimous > 0.97
    assert split < 0.9


def test_the_slope_of_what_is_maximised_is_flat_where_it_ends() -> None:
    """The posterior of abilities and eases, by hand, at the end of a fit: no ability can be bettered."""
    votes, _ = crowd(200, [0.9, 0.8, 0.7, 0.6], 2)
    model = Glad(tolerance=1e-12, n_iter=2000).fit(votes)
    matrix, q = votes.to_dense(), model.predict_proba(votes)
    ease = np.zeros(len(matrix))
    right = np.take_along_axis(q, matrix, axis=1)
    for _ in range(500):  # gradient steps on log b, abilities held
        b = np.exp(ease)[:, None]
        chance = 1 / (1 + np.exp(-model.abilities_ * b))
        ease += 0.1 * ((model.abilities_ * b * (right - chance)).sum(axis=1) + 1 - ease)
    b = np.exp(ease)[:, None]
    chance = 1 / (1 + np.exp(-model.abilities_ * b))
    slope = (b * (right - chance)).sum(axis=0) + 1 - model.abilities_
    assert slope == pytest.approx(np.zeros(4), abs=0.05)


def test_gold_is_held() -> None:
    votes, truth = crowd(300, [0.3, 0.3, 0.35, 0.9], 2)
    gold = np.where(np.arange(300) < 100, truth, -1)
    model = Glad().fit(votes, gold=gold)
    assert model.abilities_[:3].max() < 0 < model.abilities_[3]
    with pytest.raises(ValueError, match="n_iter is 0 or more"):
        Glad(n_iter=-1).fit(votes)
