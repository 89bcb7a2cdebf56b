"""Dawid–Skene for labels in order."""

from __future__ import annotations

from typing import Any

import numpy as np

from teachkit.label_models import DawidSkene, OrdinalDawidSkene
from teachkit.votes import Votes


def ratings(n_items: int, voters: int, per_item: int, seed: int = 0) -> tuple[Votes, Any]:
    """Ratings from 0 to 4 by people who lean and waver, each differently."""
    random = np.random.default_rng(seed)
    truth = random.integers(0, 5, n_items)
    lean, spread = random.normal(0, 0.6, voters), random.uniform(0.3, 1.2, voters)
    said = np.rint(truth[:, None] + lean + spread * random.normal(size=(n_items, voters))).clip(0, 4).astype(int)
    for row in said:
        row[random.choice(voters, voters - per_item, replace=False)] = -1
    return Votes.from_matrix(said, 5), truth


def test_where_votes_are_few_near_labels_help() -> None:
    gains = []
    for seed in range(5):
        votes, truth = ratings(150, 25, 4, seed)
        near, plain = (
            np.abs(m.fit(votes, abstain="at_random").predict_proba(votes) @ np.arange(5) - truth).mean()
            for m in (OrdinalDawidSkene(), DawidSkene())
        )
        gains.append(plain - near)
    assert np.mean(gains) > 0.03


def test_a_voter_that_leans_is_set_right() -> None:
    votes, truth = ratings(400, 6, 6, 3)
    model = OrdinalDawidSkene().fit(votes, abstain="at_random")
    rows = model.likelihood_[:, :5]  # [V, codes, true]
    leaning = ((np.arange(5)[None, :, None] * rows).sum(axis=1) - np.arange(5)).mean(axis=1)
    said = votes.to_dense()
    true_leaning = np.array([(said[:, v] - truth).mean() for v in range(6)])
    assert np.corrcoef(leaning, true_leaning)[0, 1] > 0.9


def test_unseen_labels_of_a_voter_are_likelier_the_nearer_they_are() -> None:
    votes, _ = ratings(60, 12, 3, 1)
    model = OrdinalDawidSkene().fit(votes, abstain="at_random")
    middle = model.likelihood_[:, :5, 2].mean(axis=0)
    assert middle[2] > middle[1] > middle[0]
    assert middle[2] > middle[3] > middle[4]
