from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from teachkit.label_models import DawidSkene, Majority, OneCoin
from teachkit.votes import Votes
from tests.label_models.examples import crowd, one_sided
from tests.votes.matrices import matrices, repeatable

CROWD = [
    [0, 0, 1, -1],
    [1, 1, 1, 0],
    [2, 2, -1, 2],
    [0, 1, 0, 0],
    [-1, 2, 2, 1],
    [1, 1, -1, 1],
    [2, 0, 2, 2],
    [0, 0, 0, -1],
]
CROWD_KIT = {
    1: [
        [0.902099406757, 0.097900593243, 1e-10],
        [0.0490455622113, 0.950954437789, 1e-10],
        [1e-10, 1e-10, 0.999999999999],
        [0.925224327017, 0.074775672983, 1e-10],
        [1e-10, 0.0765171504086, 0.923482849591],
        [1e-10, 0.999999999992, 1e-10],
        [0.00515886520549, 1e-10, 0.994841134795],
        [0.987051424343, 0.0129485756566, 1e-10],
    ],
    5: [
        [1.0, 1e-10, 1e-10],
        [9.86769680744e-06, 0.999990132303, 1e-10],
        [1e-10, 1e-10, 1.0],
        [1.0, 1e-10, 1e-10],
        [1e-10, 1e-10, 1.0],
        [1e-10, 1.0, 1e-10],
        [1e-10, 1e-10, 1.0],
        [1.0, 1e-10, 1e-10],
    ],
}
"""Posteriors of ``CROWD`` by DawidSkene of crowd-kit 1.4.2 after so many iterations."""


@pytest.mark.parametrize("iterations", [1, 5])
def test_without_priors_the_posteriors_are_those_of_crowd_kit(iterations: int) -> None:
    model = DawidSkene(prior_strength=0, n_iter=iterations, tolerance=-1.0).fit(CROWD, abstain="at_random")
    assert model.predict_proba(CROWD) == pytest.approx(np.array(CROWD_KIT[iterations]), abs=1e-8)


@repeatable
@given(matrices(most_items=8), st.sampled_from(["informative", "at_random", "mixed"]), st.sampled_from([0.0, 1.0, 2.5]))
def test_posteriors_equal_those_of_the_model_written_out(
    given_: tuple[Any, int], silence: str, strength: float
) -> None:
    matrix, k = given_
    informative = [silence == "informative" or (silence == "mixed" and v % 2 == 0) for v in range(matrix.shape[1])]
    policies = {f"voter_{v}": "informative" if i else "at_random" for v, i in enumerate(informative)}
    votes = Votes.from_matrix(matrix, k)
    model = DawidSkene(prior_strength=strength, n_iter=3, tolerance=-1.0).fit(votes, abstain=policies)
    expected = written_out(matrix.tolist(), k, informative, strength)
    assert model.predict_proba(votes) == pytest.approx(expected, abs=1e-9)


def written_out(rows: list[list[int]], k: int, informative: list[bool], strength: float) -> Any:
    """Three steps of the model of ``DawidSkene`` as its documentation states it, in plain loops over items."""
    n, voters, labels = len(rows), range(len(informative)), range(k)
    shares = [[row.count(y) / max(1, sum(c >= 0 for c in row)) for y in labels] for row in rows]
    voted = [max(row, default=-1) >= 0 for row in rows]
    some = sum(voted)
    mean = [sum(s[y] for s, said in zip(shares, voted, strict=True) if said) / some if some else 1 / k for y in labels]
    q = [share if said else mean for share, said in zip(shares, voted, strict=True)]
    counted = [i for i in range(n) if voted[i] or any(informative)]
    prior = [1 / k] * k
    for _ in range(3):
        mass = [sum(q[i][y] for i in counted) for y in labels]
        pseudo = strength * (sum(mass) / k if any(informative) else 1.0)
        total = sum(mass) + k * pseudo
        prior = [(mass[y] + pseudo) / total if total else 1 / k for y in labels]
        sums = [[[sum(q[i][y] for i in counted if rows[i][v] == c) for y in labels] for c in labels] for v in voters]
        right = [sum(sums[v][c][c] for c in labels) for v in voters]
        said = [sum(map(sum, sums[v])) for v in voters]
        by = 4.0 * strength
        common = (sum(right) + by * 0.7) / (sum(said) + by) if sum(said) + by else 0.7
        tables = []
        for v in voters:
            a = (right[v] + by * common) / (said[v] + by) if said[v] + by else common
            a = min(max(a, 1 / (2 * k)), 0.995 if strength else 1 - 1e-10)
            coin = coin_rows(sums[v], max(sum(mass), 1e-12), a, prior, k, informative[v])
            tables.append(confusion(sums[v], mass, coin, 3.0 * strength, k, informative[v]))
        for i in range(n):
            logs = [math.log(p) if p > 0 else -math.inf for p in prior]
            for v in voters:
                c = rows[i][v]
                for y in labels:
                    if c >= 0:
                        logs[y] += math.log(tables[v][c][y])
                    elif informative[v]:
                        logs[y] += 0.25 * math.log(tables[v][k][y])
            parts = [math.exp(x - max(logs)) for x in logs]
            q[i] = [part / sum(parts) for part in parts]
    return np.array([q[i] if voted[i] else prior for i in range(n)]).reshape(n, k)


def coin_rows(sums: Any, items: float, a: float, prior: list[float], k: int, informative: bool) -> Any:
    if not informative:
        return [[a if y == c else (1 - a) / (k - 1) for y in range(k)] for c in range(k)]
    rows = []
    for c in range(k):
        rate, share = max(sum(sums[c]) / items, 1e-10), min(max(prior[c], 1e-6), 1 - 1e-6)
        rows.append([rate * a / share if y == c else rate * (1 - a) / (1 - share) for y in range(k)])
    spoken = [sum(row[y] for row in rows) for y in range(k)]
    over = [max(s / 0.995, 1.0) for s in spoken]
    return [[row[y] / over[y] for y in range(k)] for row in rows] + [[1 - spoken[y] / over[y] for y in range(k)]]


def confusion(sums: Any, mass: list[float], coin: Any, pull: float, k: int, informative: bool) -> Any:
    counts = [list(row) for row in sums]
    if informative:
        counts.append([max(mass[y] - sum(row[y] for row in sums), 0.0) for y in range(k)])
    least = 1e-10 if pull == 0 else 0.0
    kept = [
        [max(x + pull * coin[r][y], least if sum(row) else 0.0) for y, x in enumerate(row)]
        for r, row in enumerate(counts)
    ]
    totals = [sum(row[y] for row in kept) for y in range(k)]
    return [[max(row[y] / totals[y], least) if totals[y] else 1 / len(kept) for y in range(k)] for row in kept]


def test_confusions_are_learned_where_errors_are_uneven() -> None:
    random = np.random.default_rng(0)
    truth = random.integers(0, 2, 4000)
    often, seldom = random.random((2, 4000, 5))
    matrix = np.where(truth[:, None] == 0, (often > 0.95).astype(int), (seldom > 0.3).astype(int))
    found = DawidSkene().fit(matrix, abstain="at_random").voter_report()
    for voter in found:
        assert voter.confusion is not None
        assert voter.confusion[0] == pytest.approx([0.95, 0.05], abs=0.03)
        assert voter.confusion[1] == pytest.approx([0.3, 0.7], abs=0.05)


def test_a_confusion_has_a_column_for_silence_where_it_is_informative() -> None:
    votes, _ = one_sided()
    spoken = DawidSkene().fit(votes, abstain="at_random").voter_report()[0]
    silent = DawidSkene().fit(votes).voter_report()[0]
    assert spoken.confusion is not None
    assert silent.confusion is not None
    assert [len(row) for row in spoken.confusion] == [2, 2]
    assert [len(row) for row in silent.confusion] == [3, 3]
    assert [sum(row) for row in silent.confusion] == pytest.approx([1.0, 1.0])
    assert silent.support is not None
    assert sum(silent.support) == pytest.approx(3000)


def test_labeling_functions_collapse_at_random_and_not_by_default() -> None:
    votes, truth = one_sided()
    covered = votes.votes_per_pattern[votes.pattern_of] > 0
    collapsed, plain = (DawidSkene().fit(votes, abstain=a).predict_proba(votes) for a in ("at_random", None))
    right = [(p.argmax(axis=1) == truth)[covered].mean() for p in (collapsed, plain)]
    assert right[0] < 0.6
    assert right[1] > 0.7


def test_a_crowd_is_weighed_better_than_by_majority() -> None:
    votes, truth = crowd(2000, [0.95, 0.9, 0.55, 0.55, 0.55, 0.55, 0.55])
    scores = [
        (model.fit(votes, abstain="at_random").predict_proba(votes).argmax(axis=1) == truth).mean()
        for model in (Majority(), OneCoin(), DawidSkene())
    ]
    assert min(scores[1:]) > scores[0] + 0.1


def test_snorkels_way_of_calling_works() -> None:
    matrix = np.array([[-1, 0, 0], [-1, -1, -1], [1, 0, -1], [-1, 0, -1], [0, 0, 0]])
    posterior = DawidSkene().fit(matrix).predict_proba(matrix)
    assert posterior.shape == (5, 2)
    assert DawidSkene().fit(matrix).predict(matrix).tolist() == [0, -1, int(posterior[2].argmax()), 0, 0]


def test_negative_strengths_are_refused() -> None:
    for name in ("row_strength", "accuracy_strength", "silence_weight", "prior_strength", "n_iter"):
        settings: dict[str, Any] = {name: -1}
        with pytest.raises(ValueError, match=name):
            DawidSkene(**settings).fit(CROWD)
