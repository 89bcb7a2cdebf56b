from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from teachkit.label_models import sweep as module
from teachkit.label_models.sweep import Sweep
from teachkit.votes import Votes
from tests.votes.matrices import matrices, repeatable


def run(votes: Votes, threads: int) -> tuple[float, ...]:
    """A pass over some votes: all its results."""
    random = np.random.default_rng(0)
    k, v = votes.n_labels, len(votes.voters)
    base, table = random.normal(size=k), random.normal(size=(v * k, k))
    sweep = Sweep(votes, threads=threads)
    mass = sweep.share(np.linspace(0.1, 1.0, v))
    change, likelihood = sweep.step(base, table)
    known = np.concatenate(sweep.worth(np.full(v, 0.7)))
    found = (mass, known, sweep.posterior, sweep.sums, sweep.mass)
    return (change, likelihood, *(x for a in found for x in a.ravel().tolist()))


@repeatable
@given(matrices(most_items=12), st.sampled_from([1, 2, 5]))
def test_sums_are_those_over_items_whatever_the_chunk(given_: tuple[Any, int], chunk: int) -> None:
    matrix, k = given_
    votes = Votes.from_matrix(matrix, k)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "CHUNK", chunk)
        sweep = Sweep(votes)
        sweep.posterior[:] = np.random.default_rng(0).random(sweep.posterior.shape)
        sweep.count()
    share = sweep.posterior[votes.pattern_of]
    expected = np.zeros((matrix.shape[1], k, k))
    for row, shares in zip(matrix, share, strict=True):
        for v, c in enumerate(row):
            if c >= 0:
                expected[v, c] += shares
    assert sweep.sums == pytest.approx(expected)
    assert sweep.mass == pytest.approx(share.sum(axis=0))


@pytest.mark.parametrize("labels", [2, 3, 5])
def test_any_number_of_threads_gives_the_same_bits(labels: int, monkeypatch: pytest.MonkeyPatch) -> None:
    votes = Votes.from_matrix(np.random.default_rng(labels).integers(-1, labels, (4000, 9)), labels)
    monkeypatch.setattr(module, "CHUNK", 100)
    assert run(votes, 1) == run(votes, 2) == run(votes, 4) == run(votes, 64)


def test_real_chunks_give_the_same_bits_too() -> None:
    votes = Votes.from_matrix(np.random.default_rng(1).integers(-1, 2, (70_000, 14)), 2)
    assert votes.n_patterns > 3 * module.CHUNK
    assert run(votes, 1) == run(votes, 2) == run(votes, 4)


def test_weights_and_known_labels_count() -> None:
    votes = Votes.from_matrix([[0], [1], [1]], 2)
    sweep = Sweep(votes, np.array([1, -1]), np.array([5.0, 0.0]))
    sweep.step(np.zeros(2), np.array([[1.0, 0.0], [0.0, 1.0]]))
    assert sweep.posterior[0].tolist() == [0.0, 1.0]
    assert sweep.mass.tolist() == [0.0, 5.0]
    assert sweep.sums[0].tolist() == [[0.0, 5.0], [0.0, 0.0]]
