from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from teachkit.votes.thresholds import (
    Candidates,
    Kind,
    Refusal,
    Threshold,
    candidates,
    fit_threshold,
    items_needed,
    upper_tail,
)


def exact_tail(right: int, n: int, share: Fraction) -> Fraction:
    return sum(
        (math.comb(n, k) * share**k * (1 - share) ** (n - k) for k in range(max(0, right), n + 1)), start=Fraction(0)
    )


@given(st.integers(1, 60), st.integers(0, 61), st.integers(1, 99))
def test_the_tail_is_exact(n: int, right: int, percent: int) -> None:
    assert upper_tail(right, n, percent / 100) == pytest.approx(float(exact_tail(right, n, Fraction(percent / 100))))


@pytest.mark.parametrize(
    ("right", "n", "share"), [(990, 1000, 0.95), (5, 1000, 0.5), (1999, 2000, 0.001), (2000, 2000, 0.99)]
)
def test_the_tail_is_exact_far_out(right: int, n: int, share: float) -> None:
    expected = exact_tail(right, n, Fraction(share))
    found = upper_tail(right, n, share)
    assert found == pytest.approx(float(expected), rel=1e-11) or (found == 0 and expected < Fraction(1, 10**300))


@pytest.mark.parametrize(
    ("target", "delta", "n"), [(0.95, 0.05, 59), (0.99, 0.05, 299), (0.9, 0.1, 22), (0.5, 0.5, 1), (0.5, 0.125, 3)]
)
def test_the_items_needed_are_those_of_the_textbook(target: float, delta: float, n: int) -> None:
    assert items_needed(target, delta) == n
    assert items_needed(1 - 1e-12, 0.05) == pytest.approx(math.log(20) * 1e12, rel=1e-3)


@pytest.mark.parametrize(
    ("target", "delta"), [(1.0, 0.05), (1.5, 0.05), (0.0, 0.05), (0.9, 0.0), (0.9, 1.0), (math.nan, 0.05)]
)
def test_certainty_is_refused(target: float, delta: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        fit_threshold([0.5], [True], candidates=Candidates((), ()), target=target, delta=delta, kind="precision")
    with pytest.raises(ValueError, match="between 0 and 1"):
        candidates([0.5], 100, target=target, delta=delta, kind="accuracy")


@pytest.mark.parametrize("kind", ["precision", "accuracy"])
def test_as_many_items_as_are_needed_suffice_if_all_are_right(kind: Kind) -> None:
    for n in (58, 59, 80, 100, 119, 240, 1000):
        score = np.linspace(0.1, 0.9, n)
        found = fit(score, np.ones(n, dtype=bool), score, kind=kind)
        if n < 59:
            assert found == Refusal("too few items", 58, 59)
            continue
        assert isinstance(found, Threshold)
        assert (found.threshold, found.accepted, found.share_accepted) == (0.1, n, 1.0)
        assert found.bound >= 0.95


def fit(
    score: Any,
    right: Any,
    population: Any,
    *,
    target: float = 0.95,
    delta: float = 0.05,
    kind: Kind = "precision",
    strong: Any = None,
) -> Any:
    chosen = candidates(population, len(score), target=target, delta=delta, kind=kind)
    return fit_threshold(score, right, candidates=chosen, target=target, delta=delta, kind=kind, right_strong=strong)


def test_what_is_wrong_below_a_score_stays_below_the_threshold() -> None:
    score = np.linspace(0, 1, 1000)
    right = (score > 0.3) | (np.arange(1000) % 2 == 0)
    found = fit(score, right, score)
    assert isinstance(found, Threshold)
    assert 0.15 < found.threshold <= 0.3
    assert found.n == found.accepted == (score >= found.threshold).sum()
    assert found.right == right[score >= found.threshold].sum()
    last = found.trace[-1]
    assert not last.passed and last.threshold < found.threshold
    assert float(exact_tail(found.right, found.n, Fraction(found.bound))) == pytest.approx(found.trace[-2].level)


def test_accuracy_counts_all_items_and_what_the_strong_one_gets_wrong() -> None:
    score = np.linspace(0, 1, 1000)
    right = (score > 0.3) | (np.arange(1000) % 2 == 0)
    perfect = fit(score, right, score, kind="accuracy")
    assert isinstance(perfect, Threshold)
    assert perfect.n == 1000
    assert 0.2 < perfect.threshold < 0.25  # some 40 errors of 1,000
    strong = (np.arange(1000) > 240) | (np.arange(1000) % 10 != 0)
    worse = fit(score, right, score, kind="accuracy", strong=strong)
    assert isinstance(worse, Threshold) and worse.threshold > perfect.threshold
    stands = score >= worse.threshold
    assert worse.right == right[stands].sum() + strong[~stands].sum()
    assert fit(score, right, score, kind="accuracy", strong=np.arange(1000) % 10 != 0).reason == "target missed"


def test_a_chain_stops_at_its_first_failure_and_the_next_start_has_its_own_share() -> None:
    score = np.repeat([0.9, 0.8, 0.7, 0.6], 100)
    right = np.ones(400, dtype=bool)
    right[:20] = False  # the highest scores are not the best
    steps = Candidates((0.9, 0.8, 0.7, 0.6), (0.5, 0.0, 0.5, 0.0))
    found = fit_threshold(score, right, candidates=steps, target=0.9, delta=0.1, kind="precision")
    assert isinstance(found, Threshold)
    assert [(each.threshold, each.level, each.passed) for each in found.trace] == [
        (0.9, 0.05, False), (0.7, 0.05, True), (0.6, 0.05, True),
    ]  # fmt: skip
    alone = Candidates((0.9, 0.8, 0.7, 0.6), (1.0, 0.0, 0.0, 0.0))
    refused = fit_threshold(score, right, candidates=alone, target=0.9, delta=0.1, kind="precision")
    assert (refused.reason, len(refused.trace)) == ("target missed", 1)  # type: ignore[union-attr]
    both = fit_threshold(score[20:], right[20:], candidates=steps, target=0.9, delta=0.1, kind="precision")
    assert [each.level for each in both.trace] == [0.05, 0.05, 0.1, 0.1]


def test_candidates_stand_at_ranks_of_the_population() -> None:
    found = candidates(np.linspace(1, 0, 1001), 100, target=0.9, delta=0.05, kind="precision")
    assert found.thresholds[0] == pytest.approx(1 - (36 + 6) / 100, abs=0.002)
    assert (found.thresholds[-1], found.shares[0], found.shares[-1], sum(found.shares)) == (0.0, 0.5, 0.5, 1.0)
    assert 40 <= len(found.thresholds) == len(set(found.thresholds)) <= 42
    half = candidates([*np.linspace(1, 0, 1001), *[-math.inf] * 1001], 100, target=0.9, delta=0.05, kind="precision")
    assert half.thresholds[0] == pytest.approx(1 - 2 * (36 + 6) / 100, abs=0.002)
    whole = candidates(np.linspace(1, 0, 1001), 100, target=0.9, delta=0.05, kind="accuracy")
    assert whole.shares == (1.0, *[0.0] * 40)
    tied = candidates([0.9] * 500 + [0.2] * 500, 400, target=0.9, delta=0.05, kind="precision")
    assert tied.thresholds == (0.9, 0.2) and sum(tied.shares) == pytest.approx(1)
    nothing = candidates([math.nan, -math.inf], 400, target=0.9, delta=0.05, kind="precision")
    assert nothing == Candidates((), ()) == candidates([], 400, target=0.9, delta=0.05, kind="accuracy")
    assert fit_threshold(
        [-math.inf] * 400, [True] * 400, candidates=nothing, target=0.9, delta=0.05, kind="precision"
    ) == Refusal("target missed", 400, 29)  # fmt: skip


def test_an_item_without_a_score_is_never_accepted() -> None:
    score = np.concatenate([np.full(100, -math.inf), np.linspace(0, 1, 400)])
    right = np.isfinite(score)
    found = fit(score, right, score)
    assert isinstance(found, Threshold)
    assert (found.accepted, found.right, found.threshold) == (400, 400, 0.0)
    accurate = fit(score, right, score, kind="accuracy")
    assert (accurate.accepted, accurate.right, accurate.n) == (400, 500, 500)


@pytest.mark.parametrize("bad", [([0.5, math.nan], [True, True]), ([0.5], [True, True]), ([[0.5]], [[True]])])
def test_what_does_not_fit_is_refused(bad: Any) -> None:
    with pytest.raises(ValueError, match="one score"):
        fit_threshold(*bad, candidates=Candidates((), ()), target=0.5, delta=0.5, kind="precision")


def test_a_trace_is_plain_values() -> None:
    score = np.linspace(0, 1, 200)
    found = fit(score, score > 0.1, score).as_dict()
    assert found["trace"][0]["passed"] is True
    assert set(found) == {
        "threshold", "accepted", "n_items", "right", "n", "bound", "share_accepted", "trace",
    }  # fmt: skip
    refused = fit(score, score > 0.9, score).as_dict()
    assert (refused["reason"], refused["needed"], refused["n_items"]) == ("target missed", 59, 200)
    assert refused["trace"][0]["passed"] is False


JUDGED = st.lists(
    st.tuples(st.sampled_from([0.1, 0.5, 0.7, 0.9, 0.99]) | st.floats(0, 1), st.integers(0, 9)), max_size=300
)
KINDS = st.sampled_from(["precision", "accuracy"])


@given(JUDGED, KINDS, st.floats(0.5, 0.97), st.floats(0.01, 0.02), st.randoms())
def test_a_higher_target_is_never_laxer(items: Any, kind: Kind, target: float, more: float, random: Any) -> None:
    score, right = np.array([s for s, _ in items]), np.array([r > 0 for _, r in items], dtype=bool)
    steps = candidates(score, max(len(score), 100), target=0.6, delta=0.1, kind=kind)
    lax, strict = (
        fit_threshold(score, right, candidates=steps, target=t, delta=0.1, kind=kind) for t in (target, target + more)
    )
    if isinstance(strict, Threshold):
        assert isinstance(lax, Threshold)
        assert strict.threshold >= lax.threshold
        assert strict.bound >= target + more
        assert len(score) >= items_needed(target + more, 0.1) and strict.n >= items_needed(target + more, 0.1)
    order = random.sample(range(len(score)), len(score))
    again = fit_threshold(score[order], right[order], candidates=steps, target=target, delta=0.1, kind=kind)
    assert again == lax
    assert candidates(score[order], 100, target=target, delta=0.1, kind=kind) == candidates(
        score, 100, target=target, delta=0.1, kind=kind
    )


@dataclass(frozen=True)
class World:
    """Scores 0, 1, 2, … with their shares, and how often the cheap and the strong answer are right at each."""

    shares: tuple[float, ...]
    cheap: tuple[float, ...]
    strong: tuple[float, ...] | None = None

    def draw(self, random: Any, n: int) -> tuple[Any, Any, Any]:
        score = random.choice(len(self.shares), n, p=self.shares)
        strong = None if self.strong is None else random.random(n) < np.array(self.strong)[score]
        return score, random.random(n) < np.array(self.cheap)[score], strong

    def truth(self, kind: Kind, threshold: float) -> float:
        stands = np.arange(len(self.shares)) >= threshold
        share, cheap = np.array(self.shares), np.array(self.cheap)
        if kind == "precision":
            return float((share * cheap)[stands].sum() / share[stands].sum())
        strong = np.ones(len(share)) if self.strong is None else np.array(self.strong)
        return float((share * np.where(stands, cheap, strong)).sum())


FINE = 200
WORLDS = {
    "just below everywhere": World((1 / FINE,) * FINE, (0.895,) * FINE),
    "one score": World((1.0,), (0.895,)),
    "few scores with ties": World((0.3, 0.2, 0.2, 0.3), (0.5, 0.85, 0.93, 0.98)),
    "calibrated": World((1 / FINE,) * FINE, tuple(np.linspace(0.75, 1, FINE))),
    "the highest scores are wrong": World((1 / FINE,) * FINE, tuple([0.75] * 100 + [0.97] * 80 + [0.6] * 20)),
    "up and down": World((1 / FINE,) * FINE, tuple(0.9 + 0.09 * np.sin(np.arange(FINE) / 8))),
    "the strong one errs, too": World((0.25,) * 4, (0.6, 0.85, 0.9, 0.99), (0.85, 0.9, 0.95, 0.98)),
    "the strong one is below": World((0.5, 0.5), (0.7, 0.93), (0.86, 0.93)),
}
REPEATS, DELTA = 400, 0.1
TOLERATED = DELTA + 3 * math.sqrt(DELTA * (1 - DELTA) / REPEATS)


@pytest.mark.parametrize("kind", ["precision", "accuracy"])
@pytest.mark.parametrize("name", WORLDS)
def test_the_target_is_missed_no_more_often_than_said(name: str, kind: Kind) -> None:
    world, random = WORLDS[name], np.random.default_rng(11)
    steps = candidates(world.draw(random, 5000)[0], 150, target=0.9, delta=DELTA, kind=kind)
    found = []
    for _ in range(REPEATS):
        score, cheap, strong = world.draw(random, 150)
        fitted = fit_threshold(score, cheap, candidates=steps, target=0.9, delta=DELTA, kind=kind, right_strong=strong)
        if isinstance(fitted, Threshold):
            found.append(world.truth(kind, fitted.threshold) < 0.9)
    assert sum(found) / REPEATS <= TOLERATED
    if name in ("few scores with ties", "calibrated"):
        assert len(found) > REPEATS / 3  # nor is it too careful to be of use


def test_drawn_from_the_very_rows_the_guarantee_holds_for_them() -> None:
    random = np.random.default_rng(5)
    missed = 0
    for _ in range(REPEATS):
        score = random.choice(20, 600) / 20
        right = random.random(600) < 0.8 + 0.15 * score
        judged = random.choice(600, 150, replace=False)
        steps = candidates(score, 150, target=0.9, delta=DELTA, kind="precision")
        fitted = fit_threshold(
            score[judged], right[judged], candidates=steps, target=0.9, delta=DELTA, kind="precision"
        )
        missed += isinstance(fitted, Threshold) and right[score >= fitted.threshold].mean() < 0.9
    assert 0 < missed / REPEATS <= TOLERATED
