from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from teachkit.label_models import kernels, worth_kernels
from teachkit.votes import Votes
from tests.votes.matrices import repeatable


@repeatable
@given(st.floats(min_value=-708.0, max_value=709.0))
def test_exp_is_within_two_ulp(x: float) -> None:
    assert abs(kernels.exp(x) - math.exp(x)) <= 2 * math.ulp(math.exp(x))


@repeatable
@given(st.floats(min_value=0.0, exclude_min=True, allow_infinity=False))
def test_log_is_within_two_ulp(x: float) -> None:
    assert abs(kernels.log(x) - math.log(x)) <= 2 * math.ulp(math.log(x))


def test_log_and_exp_are_within_two_ulp_everywhere_they_are_used() -> None:
    random = np.random.default_rng(0)
    for x in np.concatenate([random.uniform(-708, 0, 20_000), -(10.0 ** random.uniform(-18, 0, 20_000))]).tolist():
        assert abs(kernels.exp(x) - math.exp(x)) <= 2 * math.ulp(math.exp(x))
    for x in np.concatenate([random.uniform(0, 2, 20_000), 1 + random.uniform(-1e-3, 1e-3, 20_000)]).tolist():
        assert abs(kernels.log(x) - math.log(x)) <= 2 * math.ulp(math.log(x))


@pytest.mark.parametrize("around", [-707.0, -100.3, -1.0, -0.34657359, -0.3465, -1e-3, 0.0, 0.3466, 5.0, 708.0])
def test_exp_never_falls(around: float) -> None:
    steps = [around + i * max(abs(around), 1.0) * 2.0**-50 for i in range(-500, 500)]
    found = [kernels.exp(x) for x in steps]
    assert found == sorted(found)


@pytest.mark.parametrize("around", [1e-300, 1e-10, 0.25, 0.5, math.sqrt(0.5), 0.9999, 1.0, 1.5, 2.0, 1e10])
def test_log_never_falls(around: float) -> None:
    found = [kernels.log(around * (1 + i * 2.0**-50)) for i in range(-500, 500)]
    assert found == sorted(found)


def test_the_ends_of_log_and_exp_are_plain() -> None:
    assert kernels.log(1.0) == 0.0
    assert kernels.log(0.0) == kernels.log(-1.0) == -math.inf
    assert kernels.exp(0.0) == 1.0
    assert kernels.exp(-math.inf) == kernels.exp(-1e9) == kernels.exp(-708.5) == 0.0
    assert kernels.log_all([1.0, 0.0]).tolist() == [0.0, -math.inf]


@pytest.mark.parametrize("labels", [1, 2, 3, 7])
def test_posteriors_have_the_bits_of_the_plain_formula(labels: int) -> None:
    random = np.random.default_rng(labels)
    scores = random.normal(0, 30, (37, labels))
    posterior, clamp = np.zeros((37, labels)), np.full(37, -1)
    clamp[3] = labels - 1
    weight = np.ones(37)
    weight[4], weight[5] = 0.0, 2.5
    change, likelihood = kernels.normalise(0, 37, scores.ravel().copy(), weight, clamp, posterior)
    expected_likelihood = 0.0
    for p, row in enumerate(scores):
        parts = [kernels.exp(float(x) - float(row.max())) for x in row]
        total = 0.0
        for part in parts:
            total += part
        expected = [part * (1.0 / total) for part in parts] if p != 3 else [0.0] * (labels - 1) + [1.0]
        assert posterior[p].tolist() == expected
        own = math.log(total) + float(row.max()) if p != 3 else float(row[-1])
        expected_likelihood += weight[p] * own
    assert change == posterior.max()
    assert likelihood == pytest.approx(expected_likelihood)


def test_the_likelihood_of_many_items_fits_in_a_number() -> None:
    """The product of what items add up to is taken to its logarithm before it grows over."""
    n, labels = 5000, 4
    posterior = np.zeros((n, labels))
    _, likelihood = kernels.normalise(0, n, np.zeros(n * labels), np.ones(n), np.full(n, -1), posterior)
    assert likelihood == pytest.approx(n * math.log(labels))


@pytest.mark.parametrize("labels", [2, 3])
def test_shares_are_those_of_the_votes(labels: int) -> None:
    matrix = np.random.default_rng(labels).integers(-1, labels, (300, 5))
    votes = Votes.from_matrix(matrix, labels)
    weight = votes.counts.astype(np.float64)
    plain, weighed = np.full((votes.n_patterns, labels), 9.0), np.full((votes.n_patterns, labels), 9.0)
    masses = np.zeros((2, labels))
    ends = (0, votes.n_patterns, votes.indptr)
    kernels.shares(*ends, votes.code, weight, plain, masses[0])
    kernels.weighted_shares(*ends, votes.voter, votes.code, np.ones(5), weight, weighed, masses[1])
    said = (matrix[:, :, None] == np.arange(labels)).sum(axis=1)
    expected = said / np.maximum(said.sum(axis=1), 1)[:, None]
    assert plain[votes.pattern_of].tolist() == weighed[votes.pattern_of].tolist() == expected.tolist()
    assert masses[0].tolist() == masses[1].tolist()
    assert masses[0] == pytest.approx(expected.sum(axis=0))


@pytest.mark.parametrize("labels", [2, 3])
def test_loops_for_few_labels_have_the_bits_of_the_general_one(labels: int) -> None:
    random = np.random.default_rng(labels)
    matrix = random.integers(-1, labels, (500, 6))
    votes = Votes.from_matrix(matrix, labels)
    rows: tuple[Any, ...] = (0, votes.n_patterns, votes.indptr, votes.voter, votes.code)
    base, table = random.normal(size=labels), random.normal(size=(6 * labels, labels))
    posterior, weight = random.random((votes.n_patterns, labels)), votes.counts.astype(np.float64)
    special: Any = {2: (kernels.score_two, kernels.count_two), 3: (kernels.score_three, kernels.count_three)}
    general: Any = (kernels.score, kernels.count)
    found = []
    for score, count in (general, special[labels]):
        out, sums, mass = np.zeros(votes.n_patterns * labels), np.zeros((6 * labels, labels)), np.zeros(labels)
        score(*rows, base, table, out)
        count(*rows, weight, posterior, sums, mass)
        found.append((out.tobytes(), sums.tobytes(), mass.tobytes()))
    assert found[0] == found[1]


def plain_worth(chances: list[float]) -> list[float]:
    """What the votes of one voter are worth, with these chances of their labels."""
    posterior = np.array([[q, 1 - q] for q in chances])
    n = len(chances)
    share = worth_kernels.within(np.array([math.fsum(chances) / n]))
    rows = (np.arange(n + 1), np.zeros(n, np.uint16), np.zeros(n, np.int16), np.ones(n), posterior)
    found = worth_kernels.no_chances(1)
    worth_kernels.chances(0, n, *rows, share, found)
    below, above = worth_kernels.worth(found, share)
    return [float(below[0]), float(above[0])]


def test_votes_on_known_labels_are_worth_themselves() -> None:
    assert plain_worth([1.0] * 30 + [0.0] * 10) == pytest.approx([40, 40], rel=1e-6)
    assert plain_worth([1.0] * 25) == [pytest.approx(25), 0.0]  # nothing is above


def test_votes_that_nobody_can_judge_are_worth_nothing() -> None:
    assert plain_worth([0.8] * 40) == [0.0, 0.0]


def test_votes_are_worth_less_the_less_their_labels_are_known() -> None:
    sure, fair, poor = (plain_worth([p] * 70 + [1 - p] * 30)[0] for p in (0.99, 0.9, 0.8))
    assert 100 > sure > 85 > fair > 50 > poor > 10
    spread = [0.95] * 80 + [0.15] * 20  # near the top the likelihood falls as Louis' information says
    share = sum(spread) / 100
    louis = 100 - sum(q * (1 - q) for q in spread) / (share * (1 - share))
    assert plain_worth(spread)[0] == pytest.approx(louis, rel=0.15)


def test_a_voter_that_others_confirm_is_worth_much_though_it_seems_never_to_err() -> None:
    assert plain_worth([1 - 1e-9] * 50 + [1 - 1e-6] * 5)[0] > 10
    assert plain_worth([1 - 1e-6] * 55)[0] == 0.0  # as likely as without others
