from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given

from teachkit.votes import Votes
from teachkit.votes.agreement import cohen_kappa, fleiss_kappa, krippendorff_alpha, percent_agreement
from tests.votes.matrices import matrices, repeatable

KRIPPENDORFF = """
1 2 3 3 2 1 4 1 2 . . .
1 2 3 3 2 2 4 1 2 5 . 3
. 3 3 3 2 3 4 2 2 5 1 .
1 2 3 3 2 4 4 1 2 5 1 .
"""
"""K. Krippendorff, Computing Krippendorff's Alpha-Reliability, 2011, section C: observers by units, labels from 1."""

FLEISS = """
0 0 0 0 14
0 2 6 4 2
0 0 3 5 6
0 3 9 2 0
2 2 8 1 1
7 7 0 0 0
3 2 6 3 0
2 5 3 2 2
6 5 2 1 0
0 2 2 3 7
"""
"""Ten subjects, fourteen raters, five categories: the worked example of Wikipedia's article; kappa is 0.210."""


def krippendorff() -> Votes:
    rows = [[-1 if c == "." else int(c) - 1 for c in line.split()] for line in KRIPPENDORFF.split("\n") if line]
    return Votes.from_matrix(np.array(rows).T, 5)


def fleiss() -> Votes:
    rows = [np.repeat(np.arange(5), [int(c) for c in line.split()]) for line in FLEISS.split("\n") if line]
    return Votes.from_matrix(np.array(rows), 5)


@pytest.mark.parametrize(("metric", "value"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849)])
def test_alpha_is_that_of_krippendorffs_example(metric: str, value: float) -> None:
    found = krippendorff_alpha(krippendorff(), metric=metric)
    assert found.value == pytest.approx(value, abs=5e-4)
    assert found.n == 11


def test_kappa_is_that_of_the_example_with_fourteen_raters() -> None:
    found = fleiss_kappa(fleiss())
    assert found.value == pytest.approx(0.210, abs=5e-4)
    assert found.n == 10


def test_cohens_kappa_is_that_of_fifty_grant_proposals() -> None:
    table = {(0, 0): 20, (0, 1): 5, (1, 0): 10, (1, 1): 15}  # observed 0.7, by chance 0.5
    first, second = (np.repeat([pair[i] for pair in table], list(table.values())) for i in (0, 1))
    assert cohen_kappa(first, second, 2).value == pytest.approx(0.4)


@pytest.mark.parametrize(("weights", "power"), [(None, 0), ("linear", 1), ("quadratic", 2)])
def test_weighted_kappa_equals_the_sum_over_cells(weights: str | None, power: int) -> None:
    table = [[20, 5, 0], [3, 15, 2], [0, 1, 4]]
    n = sum(map(sum, table))
    rows, columns = [sum(r) for r in table], [sum(c) for c in zip(*table, strict=True)]
    observed, chance = Fraction(0), Fraction(0)
    for i in range(3):
        for j in range(3):
            distance = 0 if i == j else abs(i - j) ** power
            observed += Fraction(distance * table[i][j], n)
            chance += Fraction(distance * rows[i] * columns[j], n * n)
    flat = [(i, j) for i in range(3) for j in range(3) for _ in range(table[i][j])]
    first, second = (np.array([pair[i] for pair in flat], dtype=np.int8) for i in (0, 1))
    assert cohen_kappa(first, second, 3, weights=weights).value == pytest.approx(float(1 - observed / chance))


def test_percent_agreement_counts_pairs() -> None:
    found = percent_agreement(Votes.from_matrix([[0, 0, 0], [0, 1, -1], [1, -1, -1], [0, 1, 1]], 2))
    assert found.value == pytest.approx((3 + 0 + 1) / (3 + 1 + 3))
    assert found.n == 3


@repeatable
@given(matrices(most_items=8))
def test_nominal_alpha_equals_its_definition_over_pairs(given_: tuple[Any, int]) -> None:
    matrix, k = given_
    units = [row[row >= 0].tolist() for row in matrix if (row >= 0).sum() >= 2]
    flat = [c for unit in units for c in unit]
    found = krippendorff_alpha(Votes.from_matrix(matrix, k))
    if len(set(flat)) < 2:
        assert found.value is None
        assert found.reason
        return
    n = len(flat)
    within = sum(Fraction(sum(a != b for a in unit for b in unit), len(unit) - 1) for unit in units) / n
    between = Fraction(sum(a != b for a in flat for b in flat), n * (n - 1))
    assert found.value == pytest.approx(float(1 - within / between))
    assert found.n == len(units)


def test_undefined_agreement_says_why() -> None:
    alone = Votes.from_matrix([[0, -1], [-1, 1]], 2)
    for measure in (krippendorff_alpha, fleiss_kappa, percent_agreement):
        found = measure(alone)
        assert (found.value, found.n, found.reason) == (None, 0, "no unit has two votes")
    same = Votes.from_matrix([[0, 0], [0, 0]], 2)
    assert krippendorff_alpha(same).reason == fleiss_kappa(same).reason == "no variation: only one label was given"
    assert percent_agreement(same).value == 1.0
    assert cohen_kappa(np.array([0, -1]), np.array([-1, 0]), 2).reason == "no unit has a vote of both"
    assert cohen_kappa(np.array([0, 0]), np.array([0, 0]), 2).reason.startswith("no variation")
    assert cohen_kappa([], [], 2).reason == "no unit has a vote of both"
    assert cohen_kappa(np.array([0, 1], np.uint8), np.array([0, 1], np.uint8), 2).value == 1.0


def test_a_bootstrap_holds_the_value_and_repeats() -> None:
    votes = krippendorff()
    for measure in (krippendorff_alpha, fleiss_kappa):
        found = measure(votes, bootstrap=200, seed=3)
        assert found.value is not None
        assert found.low is not None
        assert found.high is not None
        assert found.low < found.value < found.high
        assert found == measure(votes, bootstrap=200, seed=3)
    first, second = np.array([0, 0, 1, 1, 0, 1]), np.array([0, 0, 1, 1, 1, 1])
    kappa = cohen_kappa(first, second, 2, bootstrap=100)
    assert kappa.low is not None
    assert kappa.high is not None
    assert kappa.low <= 2 / 3 <= kappa.high


def test_unknown_metrics_and_weights_are_refused() -> None:
    with pytest.raises(
        ValueError, match="metric is one of nominal, ordinal, interval, ratio, jaccard, masi, not 'log'"
    ):
        krippendorff_alpha(krippendorff(), metric="log")
    with pytest.raises(ValueError, match="metric 'masi' needs sets, one row for each of the 5 codes"):
        krippendorff_alpha(krippendorff(), metric="masi")
    with pytest.raises(ValueError, match="2 values for 5 codes"):
        krippendorff_alpha(krippendorff(), metric="ratio", values=[1, 2])
    with pytest.raises(ValueError, match="'linear' or 'quadratic', not 'cubic'"):
        cohen_kappa(np.array([0]), np.array([0]), 2, weights="cubic")


def test_a_matrix_is_read_as_votes() -> None:
    matrix = [[0, 0, -1], [1, 1, 1], [2, 1, 2], [0, 0, 0], [2, 2, -1]]
    votes = Votes.from_matrix(matrix)
    assert krippendorff_alpha(matrix, metric="ordinal") == krippendorff_alpha(votes, metric="ordinal")
    assert fleiss_kappa(np.array(matrix)) == fleiss_kappa(votes)
    assert percent_agreement(matrix) == percent_agreement(votes)
    with pytest.raises(ValueError, match="votes are integers, -1 for an abstention"):
        krippendorff_alpha([["a", "b"]])


@pytest.mark.parametrize(
    ("first", "second", "problem"),
    [
        ([0, 1], [0, 1, 1], "one voter has 2 codes, the other 3"),
        ([0.0, 1.0], [0, 1], "codes of votes are integers, -1 for an abstention, not float64"),
        (["a", "b"], ["a", "b"], "codes of votes are integers, -1 for an abstention, not <U1"),
    ],
)
def test_what_is_no_codes_of_two_voters_is_refused(first: Any, second: Any, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        cohen_kappa(first, second, 2)


def test_a_code_that_is_no_label_is_refused() -> None:
    with pytest.raises(ValueError, match="code 3 is none of 2 labels"):
        cohen_kappa([0, 0, 1], [3, 1, 1], 2)
