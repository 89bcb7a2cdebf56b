"""Intervals by drawing items again hold the truth about as often as they say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from teachkit.label_models import DawidSkene, Majority, OneCoin
from teachkit.label_models import bootstrap as module
from teachkit.label_models.bootstrap import bootstrap
from teachkit.label_models.kernels import draw
from teachkit.votes import Votes
from tests.label_models.examples import crowd

if TYPE_CHECKING:
    from collections.abc import Callable

Simulated = tuple[Votes, Any, Any]


def people(random: Any) -> Simulated:
    accuracy = random.uniform(0.6, 0.95, 6)
    votes, _ = crowd(500, accuracy.tolist(), 2, coverage=0.7, seed=int(random.integers(1 << 30)))
    return votes, accuracy, "at_random"


def workers(random: Any) -> Simulated:
    """Forty, five for each item, four labels."""
    accuracy, truth = random.beta(7, 3, 40).clip(0.25, 0.98), random.integers(0, 4, 300)
    matrix = np.full((300, 40), -1)
    for item in range(300):
        for worker in random.choice(40, 5, replace=False):
            right = random.random() < accuracy[worker]
            matrix[item, worker] = truth[item] if right else (truth[item] + random.integers(1, 4)) % 4
    return Votes.from_matrix(matrix, 4), accuracy, "at_random"


def functions(random: Any, share: float = 0.5, most: float = 0.3) -> Simulated:
    """Eight that vote for one of two labels each."""
    truth, matrix, accuracy = random.random(2000) < share, np.full((2000, 8), -1), np.zeros(8)
    for v in range(8):
        of_label = share if v % 2 else 1 - share
        coverage, precision = random.uniform(0.1, most), random.uniform(0.6, 0.95)
        right, wrong = min(coverage * precision / of_label, 1), coverage * (1 - precision) / (1 - of_label)
        accuracy[v] = right * of_label / (right * of_label + wrong * (1 - of_label))
        matrix[random.random(2000) < np.where(truth == (v % 2 == 1), right, wrong), v] = v % 2
    return Votes.from_matrix(matrix, 2), accuracy, "informative"


def rare(random: Any) -> Simulated:
    return functions(random, share=0.2, most=0.2)


@pytest.mark.parametrize("simulate", [people, workers, functions, rare])
def test_nominal_90_percent_holds_the_truth_about_as_often(simulate: Callable[[Any], Simulated]) -> None:
    hits = []
    for seed in range(8):
        votes, accuracy, silence = simulate(np.random.default_rng(seed))
        model = DawidSkene().fit(votes, abstain=silence).bootstrap(votes, replicates=59, level=0.9)
        for found, true in zip(model.voter_report(), accuracy, strict=True):
            assert found.low is not None
            assert found.high is not None
            hits.append(found.low <= true <= found.high)
    assert 0.8 <= np.mean(hits) <= 0.99


def test_it_is_wider_than_what_takes_other_voters_as_known() -> None:
    votes, _, silence = rare(np.random.default_rng(0))
    model = DawidSkene().fit(votes, abstain=silence)
    before = [found.high - found.low for found in model.voter_report() if found.high and found.low]
    after = [found.high - found.low for found in model.bootstrap(votes).voter_report() if found.high and found.low]
    assert np.mean(after) > 1.2 * np.mean(before)


def test_the_same_votes_have_the_same_intervals_in_any_order() -> None:
    votes, _, _ = people(np.random.default_rng(1))
    dense, names = votes.to_dense(), list(votes.voters)
    moved = Votes.from_matrix(dense[::-1, ::-1], 2, names[::-1])
    first, again, other = (
        DawidSkene().fit(v, abstain="at_random").bootstrap(v).voter_report() for v in (votes, votes, moved)
    )
    assert first == again
    for one, same in zip(first, other[::-1], strict=True):
        assert (one.low, one.high) == pytest.approx((same.low, same.high), abs=1e-6)
    more = Votes.from_matrix(np.vstack([dense, dense[:1]]), 2, names)
    assert DawidSkene().fit(more, abstain="at_random").bootstrap(more).voter_report()[0].low != first[0].low


def test_what_was_learned_is_within_and_the_confusion_has_intervals() -> None:
    votes, _, silence = functions(np.random.default_rng(2))
    for model in (OneCoin(), DawidSkene()):
        for found in model.fit(votes, abstain=silence).bootstrap(votes).voter_report():
            assert found.low is not None
            assert found.accuracy is not None
            assert found.high is not None
            assert found.low <= found.accuracy <= found.high
            intervals = found.confusion_intervals()
            assert intervals is not None
            assert found.confusion is not None
            for row, ends in zip(found.confusion, intervals, strict=True):
                for cell, end in zip(row, ends, strict=True):
                    assert end is not None
                    assert 0 <= end[0] <= cell <= end[1] <= 1
                    assert end[1] - end[0] < 0.9
    for found in Majority().fit(votes).bootstrap(votes).voter_report():
        assert found.confusion_intervals() is None


def test_the_intervals_are_kept_with_the_parameters() -> None:
    votes, _, _ = people(np.random.default_rng(3))
    model = DawidSkene().fit(votes, abstain="at_random").bootstrap(votes)
    assert DawidSkene.from_parameters(model.parameters()).voter_report() == model.voter_report()


def test_gold_all_around_leaves_the_chance_of_the_items_alone() -> None:
    votes, truth = crowd(400, [0.8, 0.6])
    model = DawidSkene().fit(votes, truth, abstain="at_random").bootstrap(votes, truth)
    for found in model.voter_report():
        assert found.low is not None
        assert found.high is not None
        assert found.accuracy is not None
        normal = 2 * 1.96 * (found.accuracy * (1 - found.accuracy) / 400) ** 0.5
        assert found.high - found.low == pytest.approx(normal, rel=0.35)


def test_of_very_many_patterns_a_sample_is_drawn_and_the_spread_scaled(monkeypatch: pytest.MonkeyPatch) -> None:
    votes, _ = crowd(3000, [0.9, 0.8, 0.75, 0.7, 0.7, 0.65, 0.6], 3, coverage=0.8)
    clamp, silent = np.full(votes.n_patterns, -1), np.zeros(7, dtype=bool)
    whole = bootstrap(votes, clamp, silent).accuracy
    monkeypatch.setattr(module, "MOST_PATTERNS", votes.n_patterns // 3)
    part = bootstrap(votes, clamp, silent).accuracy
    assert np.diff(part, axis=0) == pytest.approx(np.diff(whole, axis=0), rel=0.6)


def test_confusions_that_would_not_fit_in_memory_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_CELLS", 10)
    votes, _ = crowd(50, [0.8, 0.7, 0.7])
    found = DawidSkene().fit(votes, abstain="at_random").bootstrap(votes).voter_report()[0]
    assert found.spread is None
    assert found.confusion_intervals() is not None


@pytest.mark.parametrize("matrix", [np.zeros((0, 2), int), np.full((4, 2), -1), np.zeros((3, 1), int), [[0, 1]]])
def test_few_votes_or_none_have_intervals_all_the_same(matrix: Any) -> None:
    votes = Votes.from_matrix(matrix, 2)
    for found in DawidSkene().fit(votes).bootstrap(votes).voter_report():
        assert (found.accuracy is None) == (found.low is None)


@pytest.mark.parametrize(
    ("options", "problem"), [({"replicates": 5}, "at least 19 drawings"), ({"level": 1.0}, "between 0 and 1, not 1.0")]
)
def test_what_makes_no_interval_is_refused(options: dict[str, Any], problem: str) -> None:
    votes = Votes.from_matrix([[0, 1]])
    with pytest.raises(ValueError, match=problem):
        Majority().fit(votes).bootstrap(votes, **options)


def test_as_many_items_are_drawn_as_there_are_each_as_likely() -> None:
    weight = np.zeros(4)
    for seed in range(200):
        draw(np.array([0, 1, 1, 2, 3, 3, 3, 3], dtype=np.int32), seed, weight)
    assert weight.sum() == 1600
    assert weight / 200 == pytest.approx([1, 2, 1, 4], rel=0.2)


@pytest.mark.parametrize("level", [0.9, 0.95])
def test_one_vote_that_seems_right_is_no_proof(level: float) -> None:
    """All drawings of one item are that item."""
    votes = Votes.from_matrix([[1, 1, 1]], 2)
    for found in DawidSkene().fit(votes, abstain="at_random").bootstrap(votes, level=level).voter_report():
        assert found.low is not None
        assert found.low < 0.4
