from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given

from teachkit.label_models import Majority, dependence
from teachkit.label_models.kernels import signatures
from teachkit.label_models.moments import outcome_counts
from teachkit.votes import Votes, folding, packing, parts, patterns
from teachkit.votes.analysis import overview
from teachkit.votes.counting import company
from tests.votes.matrices import matrices, repeatable


@repeatable
@given(matrices())
def test_company_is_whom_a_voter_shares_items_with(given_: tuple[Any, int]) -> None:
    matrix, k = given_
    votes = Votes.from_matrix(matrix, k)
    voted = matrix >= 0
    shared = (voted[:, :, None] & voted[:, None, :]).any(axis=0)
    others, group = company(votes.indptr, votes.voter, len(votes.voters))
    assert others.tolist() == [min(2, int(row.sum()) - int(row[v])) for v, row in enumerate(shared)]
    reach = shared | np.eye(len(shared), dtype=bool)
    for _ in range(len(reach)):
        reach = (reach.astype(int) @ reach.astype(int)) > 0
    assert group.tolist() == [int(np.flatnonzero(row)[0]) for row in reach]


@pytest.mark.parametrize("labels", [2, 3, 9, 200, 3000])  # 2, 2, 4, 8, 16 bits a vote
@pytest.mark.parametrize("voters", [1, 31, 32, 33, 70])
def test_votes_are_the_same_from_rows_from_columns_and_by_any_number_of_threads(
    labels: int, voters: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "LEAST", 1)
    monkeypatch.setattr(patterns, "BLOCK", 16)
    monkeypatch.setattr(packing, "BLOCK", 16)
    monkeypatch.setattr(folding, "BLOCK", 16)
    matrix = np.random.default_rng(voters).integers(-1, labels, (101, voters))
    matrix[7], matrix[8] = -1, labels - 1
    names = [f"v{i}" for i in range(voters)]
    found = [Votes.from_matrix(matrix, labels, names, threads=n) for n in (1, 2, 5)]
    found += [Votes.from_columns(names, list(matrix.T), labels, threads=n) for n in (1, 3)]
    for votes in found:
        assert votes.to_dense().tolist() == matrix.tolist()
        for name in ("indptr", "voter", "code", "counts", "pattern_of"):
            assert getattr(votes, name).tolist() == getattr(found[0], name).tolist()


@pytest.mark.parametrize("labels", [2, 5])
def test_counts_are_the_same_by_any_number_of_threads(labels: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "LEAST", 1)
    matrix = np.random.default_rng(labels).integers(-1, labels, (200, 6))

    def counted(threads: int) -> list[Any]:
        votes = Votes.from_matrix(matrix, labels)
        said, differing = votes.said(threads)
        pairs = dependence.pairs_of(votes, said, threads)
        found = (*overview(votes), said, differing, pairs.agreed, pairs.shared, outcome_counts(votes, threads))
        marks = signatures(votes.indptr, votes.voter, votes.code, votes.counts, 6, threads)
        return [np.asarray(x).tolist() for x in (*found, marks)]

    assert counted(1) == counted(2) == counted(7)


def test_pairs_and_outcomes_are_those_of_the_items() -> None:
    matrix = np.random.default_rng(3).integers(-1, 3, (150, 5))
    votes = Votes.from_matrix(matrix, 3)
    pairs = dependence.pairs_of(votes, votes.said()[0])
    outcomes = outcome_counts(votes)
    for u in range(5):
        for v in range(5):
            both = (matrix[:, u] >= 0) & (matrix[:, v] >= 0)
            if u != v:
                assert pairs.shared[u, v] == both.sum()
                assert pairs.agreed[u, v] == (both & (matrix[:, u] == matrix[:, v])).sum()
            for c in range(3):
                for d in range(3):
                    expected = ((matrix[:, u] == c) & (matrix[:, v] == d)).sum()
                    assert outcomes[u * 3 + c, v * 3 + d] == expected


def test_patterns_are_put_in_order_block_by_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patterns, "BLOCK", 50)
    lengths = np.random.default_rng(0).integers(0, 7, 2 * patterns.BLOCK + 5)
    row = np.arange(len(lengths))
    first, pattern_of, counts = patterns.by_length(row * 2, row, row * 3, lengths)
    assert (first[pattern_of] == row * 2).all()
    assert (counts[pattern_of] == row * 3).all()
    for start in range(0, len(row), patterns.BLOCK):
        block = row[start : start + patterns.BLOCK]
        assert (first[block] == 2 * block[np.argsort(-lengths[block], kind="stable")]).all()


@pytest.mark.parametrize(("voters", "kind"), [(65_536, np.uint16), (65_537, np.int32)])
def test_more_voters_than_two_bytes_can_tell_apart(voters: int, kind: Any) -> None:
    random = np.random.default_rng(0)
    item, code = random.integers(0, 40, 400), random.integers(0, 2, 400)
    voter = random.permutation(voters)[:400]
    voter[0] = voters - 1
    names = [f"v{i}" for i in range(voters)]
    votes = Votes.from_long(item, voter, code, voters=names, n_items=40, n_labels=2)
    assert votes.voter.dtype == kind
    found = np.flatnonzero(votes.voter == voters - 1)
    assert len(found) == 1
    assert votes.code[found[0]] == code[0]
    shares = Majority().fit(votes).predict_proba(votes)
    assert shares[item[0]][1] == pytest.approx(code[item == item[0]].mean())
