from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from teachkit.votes.intervals import confusion, macro_f1, mcnemar, quality, wilson

NEWCOMBE = [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0000, 0.1611), (1, 29, 0.0061, 0.1718)]
"""R. G. Newcombe, Two-sided confidence intervals for the single proportion, Stat. Med. 17, 1998, table I, method 3."""


@pytest.mark.parametrize(("correct", "total", "low", "high"), NEWCOMBE)
def test_wilsons_interval_is_that_of_newcombes_table(correct: int, total: int, low: float, high: float) -> None:
    assert wilson(correct, total) == pytest.approx((low, high), abs=5e-5)


def test_without_trials_there_is_no_interval() -> None:
    assert wilson(0, 0) is None


def test_quality_says_both_denominators() -> None:
    labels, gold = np.array([0, 1, -1, 1, 0]), np.array([0, 0, 1, 1, -1])
    found = quality(labels, gold, 2)
    assert (found.n, found.labeled, found.correct) == (4, 3, 2)
    assert (found.accuracy, found.accuracy_labeled, found.coverage) == (0.5, 2 / 3, 0.75)
    assert (found.low, found.high) == wilson(2, 4)
    assert found.macro_f1 == pytest.approx((2 * 1 / (1 + 2) + 2 * 1 / (2 + 2)) / 2)
    assert found.as_dict()["coverage"] == 0.75


def test_quality_without_gold_is_unknown() -> None:
    found = quality(np.array([0, 1]), np.array([-1, -1]), 2)
    assert (found.n, found.accuracy, found.low, found.macro_f1, found.coverage) == (0, None, None, None, None)


def test_items_without_gold_change_no_figure() -> None:
    labels, gold = np.array([0, 1, 1, 2]), np.array([0, 1, -1, -1])
    assert macro_f1(labels, gold, 3) == 1.0
    assert confusion(labels, gold, 3).sum() == 2


def test_macro_f1_leaves_out_labels_that_nobody_has() -> None:
    assert macro_f1(np.array([0, 0]), np.array([0, 0]), 5) == 1.0


def test_the_last_column_of_a_confusion_is_unlabeled() -> None:
    table = confusion(np.array([0, 1, -1], dtype=np.int8), np.array([0, 0, 1], dtype=np.int16), 2)
    assert table.tolist() == [[1, 1, 0], [0, 0, 1]]


def test_mcnemar_is_a_fair_coin_for_each_disagreement() -> None:
    assert mcnemar(0, 0) == 1.0
    assert mcnemar(1, 0) == 1.0
    assert mcnemar(0, 5) == pytest.approx(2 / 32)
    assert mcnemar(1, 9) == pytest.approx(2 * 11 / 1024)
    assert mcnemar(5, 5) == 1.0


@given(st.integers(0, 200), st.integers(0, 200))
def test_mcnemar_is_a_probability_and_does_not_care_who_is_first(a: int, b: int) -> None:
    assert 0 < mcnemar(a, b) <= 1
    assert mcnemar(a, b) == mcnemar(b, a)


def test_next_to_no_trials_and_none_that_is_right() -> None:
    assert wilson(1e-277, 1.5e-277) == (0.0, 1.0)
    assert (wilson(0, 7) or (1.0, 0.0))[0] == 0.0
    assert (wilson(7, 7) or (1.0, 0.0))[1] == 1.0
