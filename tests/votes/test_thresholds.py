"""The threshold of a cascade: what it promises holds, and it refuses to promise what it cannot."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from teachkit.votes.thresholds import ABOVE_ALL, Refusal, Threshold, fit_threshold, lower_bound


@given(st.integers(1, 40), st.data())
def test_the_bound_is_exact(trials: int, data: st.DataObject) -> None:
    hits = data.draw(st.integers(0, trials))
    delta = data.draw(st.sampled_from([0.01, 0.05, 0.2]))
    bound = lower_bound(hits, trials, delta)
    if hits == 0:
        assert bound == 0
        return
    share = Fraction(bound)
    tail = sum(math.comb(trials, k) * share**k * (1 - share) ** (trials - k) for k in range(hits, trials + 1))
    assert float(tail) == pytest.approx(delta, rel=1e-6)


def made(random: Any, n: int, curve: Any, strong: float = 0.97) -> tuple[Any, Any, Any]:
    score = np.round(random.beta(4, 1, n), 2)  # with ties
    return score, random.uniform(size=n) < curve(score), random.uniform(size=n) < strong


CURVES = {
    "honest": lambda s: s,
    "steep": lambda s: np.where(s > 0.9, 0.99, 0.6),
    "odd": lambda s: 0.85 + 0.14 * np.sin(12 * s),  # not monotone
}


@pytest.mark.parametrize("curve", sorted(CURVES))
@pytest.mark.parametrize("kind", ["precision", "accuracy"])
def test_the_promise_is_broken_no_more_often_than_it_says(curve: str, kind: Any) -> None:
    target, delta, rounds = 0.9, 0.1, 300
    random = np.random.default_rng(11)
    score, right, strong = made(random, 400_000, CURVES[curve])  # stands for all items there are
    broken = 0
    for _ in range(rounds):
        chosen = random.integers(0, len(score), 250)
        found = fit_threshold(
            score[chosen], right[chosen], target=target, delta=delta, right_strong=strong[chosen], kind=kind
        )
        if isinstance(found, Threshold):
            stands = score >= found.threshold
            truth = right[stands].mean() if kind == "precision" else np.where(stands, right, strong).mean()
            broken += truth < target
    assert broken <= rounds * delta + 3 * math.sqrt(rounds * delta * (1 - delta))


def test_it_finds_what_can_be_kept() -> None:
    random = np.random.default_rng(2)
    score, right, strong = made(random, 2000, CURVES["steep"])
    found = fit_threshold(score, right, target=0.95, delta=0.05, kind="precision")
    assert isinstance(found, Threshold)
    assert 0.85 < found.threshold <= 0.91
    assert found.bound >= 0.95
    assert found.kept == int((score >= found.threshold).sum())
    whole = fit_threshold(score, right, target=0.9, delta=0.05, right_strong=strong, kind="accuracy")
    assert isinstance(whole, Threshold)
    assert whole.threshold < found.threshold  # the strong model makes good what the cheap one gets wrong


def test_too_small_a_sample_is_refused_with_how_many_it_takes() -> None:
    found = fit_threshold(np.ones(50), np.ones(50, dtype=bool), target=0.95, delta=0.05)
    assert isinstance(found, Refusal)
    assert found.needed == 59
    assert "takes 59 items at least" in found.reason
    assert isinstance(fit_threshold(np.ones(59), np.ones(59, dtype=bool), target=0.95, delta=0.05), Threshold)
    silent = fit_threshold(np.full(80, -1.0), np.zeros(80, dtype=bool), target=0.95, delta=0.05)
    assert isinstance(silent, Refusal)
    assert "there are 0" in silent.reason
    assert isinstance(fit_threshold(np.zeros(0), np.zeros(0, dtype=bool), target=0.9, delta=0.1), Refusal)


def test_a_weak_strong_model_is_refused_and_a_weak_cheap_one_keeps_nothing() -> None:
    score, wrong, right = np.linspace(0, 1, 300), np.zeros(300, dtype=bool), np.ones(300, dtype=bool)
    weak = fit_threshold(score, right, target=0.9, delta=0.05, right_strong=wrong, kind="accuracy")
    assert isinstance(weak, Refusal)
    assert "by the strong model alone" in weak.reason
    nothing = fit_threshold(score, wrong, target=0.9, delta=0.05, kind="precision")
    assert isinstance(nothing, Refusal)
    assert "the answers with the highest scores" in nothing.reason
    passes_all_on = fit_threshold(np.ones(300), wrong, target=0.9, delta=0.05, right_strong=right, kind="accuracy")
    assert isinstance(passes_all_on, Threshold)
    assert (passes_all_on.threshold, passes_all_on.kept) == (ABOVE_ALL, 0)


@pytest.mark.parametrize(("target", "delta"), [(1.0, 0.05), (0.0, 0.05), (0.9, 0.0), (0.9, 1.0)])
def test_no_sample_promises_everything(target: float, delta: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        fit_threshold(np.ones(5), np.ones(5, dtype=bool), target=target, delta=delta)


@given(st.permutations(range(120)))
def test_the_order_of_items_does_not_matter(order: list[int]) -> None:
    random = np.random.default_rng(4)
    score, right, strong = made(random, 120, CURVES["steep"])
    args: Any = {"target": 0.8, "delta": 0.1, "kind": "accuracy"}
    assert fit_threshold(score, right, right_strong=strong, **args) == fit_threshold(
        score[order], right[order], right_strong=strong[order], **args
    )
