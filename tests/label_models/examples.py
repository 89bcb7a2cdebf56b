"""Votes whose truth is known."""

from __future__ import annotations

from typing import Any

import numpy as np

from teachkit.votes import Votes


def crowd(
    n_items: int, accuracies: list[float], labels: int = 2, *, coverage: float = 1.0, seed: int = 0
) -> tuple[Votes, Any]:
    """Voters of these accuracies, whose errors are even and whose silence says nothing; the truth."""
    random = np.random.default_rng(seed)
    size = (n_items, len(accuracies))
    truth = random.integers(0, labels, n_items)
    wrong = (truth[:, None] + random.integers(1, labels, size)) % labels
    matrix = np.where(random.random(size) < np.array(accuracies), truth[:, None], wrong)
    matrix[random.random(size) >= coverage] = -1
    return Votes.from_matrix(matrix, labels), truth


def one_sided(n_items: int = 3000, seed: int = 0) -> tuple[Votes, Any]:
    """Eight labeling functions, each for one of two labels, right in three of four of their votes; the truth."""
    random = np.random.default_rng(seed)
    truth = random.integers(0, 2, n_items)
    matrix = np.full((n_items, 8), -1)
    for v in range(8):
        label, coverage = v % 2, random.uniform(0.05, 0.2)
        rate = np.where(truth == label, 2 * coverage * 0.75, 2 * coverage * 0.25)
        matrix[random.random(n_items) < rate, v] = label
    return Votes.from_matrix(matrix, 2), truth
