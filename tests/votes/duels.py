"""Votes on comparisons, for tests."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from teachkit.votes import Comparisons, Votes

PLACES = np.array([0.5, -0.5, 0.0])


@st.composite
def duels(draw: Any, *, most_items: int = 12, most_voters: int = 4, most_names: int = 4) -> Comparisons:
    """A few votes on what may be compared with itself, in both orders, or not at all."""
    n, v, k = draw(st.integers(0, most_items)), draw(st.integers(0, most_voters)), draw(st.sampled_from([2, 3]))
    flat = draw(st.lists(st.integers(-1, k - 1), min_size=n * v, max_size=n * v))
    matrix = np.array(flat, dtype=np.int64).reshape(n, v)
    name = st.sampled_from([f"m{i}" for i in range(draw(st.integers(1, most_names)))])
    left, right = (draw(st.lists(name, min_size=n, max_size=n)) for _ in range(2))
    return Comparisons.of(Votes.from_matrix(matrix, k), left, right)


def sides(votes: Comparisons) -> tuple[list[str], list[str]]:
    """What stands on the left and on the right of each item."""
    left, right = votes.left[votes.pattern_of], votes.right[votes.pattern_of]
    return [votes.contestants[c] for c in left], [votes.contestants[c] for c in right]


def tournament(
    n_items: int,
    scores: list[float],
    reliabilities: list[float],
    biases: list[float],
    *,
    tie: float | None = None,
    coverage: float = 1.0,
    seed: int = 0,
) -> tuple[Comparisons, Any]:
    """Comparisons m0, m1 … of these scores, by voters as ``bradley_terry`` takes them to be; who is better."""
    random = np.random.default_rng(seed)
    score, count = np.array(scores), len(scores)
    a = random.integers(0, count, n_items)
    b = (a + random.integers(1, count, n_items)) % count
    half = (score[a] - score[b]) / 2
    odds = np.stack([half, -half, *([np.full(n_items, tie)] if tie is not None else [])], axis=1)
    truth, place = _drawn(random, odds), PLACES[: odds.shape[1]]
    columns = [
        _drawn(random, -r * abs(place[None, :] - place[truth][:, None]) + bias * place[None, :])
        for r, bias in zip(reliabilities, biases, strict=True)
    ]
    matrix = np.stack(columns, axis=1)
    matrix[random.random(matrix.shape) >= coverage] = -1
    votes = Votes.from_matrix(matrix, odds.shape[1])
    return Comparisons.of(votes, [f"m{i}" for i in a], [f"m{i}" for i in b]), truth


def _drawn(random: Any, odds: Any) -> Any:
    shares = np.exp(odds)
    edges = np.cumsum(shares / shares.sum(axis=1, keepdims=True), axis=1)[:, :-1]
    return (random.random(len(odds))[:, None] > edges).sum(axis=1)
