"""Before and after on the same items: against definitions, and against how often the intervals hold."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from teachkit.votes.intervals import macro_f1, mcnemar, quality
from teachkit.votes.paired import paired_accuracy, paired_macro_f1

PAIRS = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=80)


@given(PAIRS)
def test_a_difference_lies_within_its_interval_and_turns_round_with_its_sides(pairs: list[tuple[bool, bool]]) -> None:
    before, after = (np.array(side) for side in zip(*pairs, strict=True))
    found, back = paired_accuracy(before, after), paired_accuracy(after, before)
    assert found.delta is not None and found.delta_low is not None and found.delta_high is not None
    assert -1 <= found.delta_low <= found.delta <= found.delta_high <= 1
    assert back.delta_low is not None and back.delta_high is not None
    assert (back.delta_low, back.delta_high) == pytest.approx((-found.delta_high, -found.delta_low))
    assert (found.better, found.worse, found.p_value) == (back.worse, back.better, back.p_value)


@given(PAIRS)
def test_each_side_is_measured_as_quality_measures_it(pairs: list[tuple[bool, bool]]) -> None:
    before, after = (np.array(side) for side in zip(*pairs, strict=True))
    found, gold = paired_accuracy(before, after), np.ones(len(before), dtype=int)
    whole = quality(after.astype(int), gold, 2)
    assert (found.after, found.low, found.high) == (whole.accuracy, whole.low, whole.high)


def test_without_items_nothing_is_said() -> None:
    none = np.zeros(0, dtype=bool)
    assert paired_accuracy(none, none).delta is None
    assert paired_macro_f1(np.zeros((0, 3), bool), np.zeros((0, 3), bool), np.zeros((0, 3), bool)).delta is None


@pytest.mark.parametrize(
    ("cells", "n"),
    [
        ((0.7, 0.1, 0.1, 0.1), 40),
        ((0.9, 0.05, 0.0, 0.05), 60),
        ((0.5, 0.02, 0.08, 0.4), 130),
        ((0.3, 0.3, 0.1, 0.3), 25),
    ],
)
def test_the_interval_of_a_difference_holds_as_often_as_it_says(cells: tuple[float, ...], n: int) -> None:
    """Cells: both right, later alone, earlier alone, neither."""
    rng = np.random.default_rng(5)
    truth, held = cells[1] - cells[2], 0
    for _ in range(1500):
        drawn = rng.choice(4, size=n, p=cells)
        found = paired_accuracy((drawn == 0) | (drawn == 2), (drawn == 0) | (drawn == 1))
        assert found.delta_low is not None and found.delta_high is not None
        held += found.delta_low <= truth <= found.delta_high
    assert held / 1500 >= 0.93


@given(st.lists(st.tuples(*[st.integers(0, 3)] * 3), min_size=1, max_size=60))
def test_macro_f1_is_the_one_of_a_single_side(rows: list[tuple[int, int, int]]) -> None:
    gold, before, after = (np.array(side) for side in zip(*rows, strict=True))
    hot = [side[:, None] == np.arange(4) for side in (gold, before, after)]
    found = paired_macro_f1(*hot)
    assert found.before == pytest.approx(macro_f1(before, gold, 4))
    assert found.after == pytest.approx(macro_f1(after, gold, 4))
    assert found.delta == pytest.approx(found.after - found.before)  # type: ignore[operator]
    assert found.delta_low is not None and found.delta_high is not None and found.delta is not None
    assert found.delta_low <= found.delta <= found.delta_high


def test_the_intervals_of_macro_f1_hold_nearly_as_often_as_they_say() -> None:
    rng, n, labels = np.random.default_rng(6), 200, np.arange(3)
    whole = rng.choice(3, size=200_000, p=(0.5, 0.3, 0.2))

    def answers(gold: np.ndarray, right: float) -> np.ndarray:
        return np.where(rng.random(len(gold)) < right, gold, rng.integers(0, 3, len(gold)))

    def hot(side: np.ndarray) -> np.ndarray:
        return np.asarray(side[:, None] == labels)

    truth = paired_macro_f1(hot(whole), hot(answers(whole, 0.7)), hot(answers(whole, 0.8)))
    held = [0, 0]
    for _ in range(600):
        gold = rng.choice(3, size=n, p=(0.5, 0.3, 0.2))
        found = paired_macro_f1(hot(gold), hot(answers(gold, 0.7)), hot(answers(gold, 0.8)))
        held[0] += found.low <= truth.after <= found.high  # type: ignore[operator]
        held[1] += found.delta_low <= truth.delta <= found.delta_high  # type: ignore[operator]
    assert min(held) / 600 >= 0.92


def test_mcnemar_of_many_is_that_of_few_continued() -> None:
    """The exact test and the one by the normal curve meet where one takes over from the other."""
    for k in (430, 460, 490, 500):
        exact, normal = mcnemar(k, 1000 - k), mcnemar(k, 1001 - k)
        assert exact == pytest.approx(normal, rel=0.15, abs=0.004)
    assert mcnemar(400_000, 400_000) == pytest.approx(1.0)
    assert mcnemar(400_000, 410_000) < 1e-20
