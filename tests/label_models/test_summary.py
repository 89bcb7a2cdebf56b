from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from teachkit.label_models import lf_summary
from teachkit.votes import Votes
from teachkit.votes.analysis import analyze
from tests.votes.matrices import matrices, repeatable

L = [[-1, 0, 0], [-1, -1, -1], [1, 0, -1], [-1, 0, -1], [0, 0, 0]]


def test_the_columns_are_snorkels_and_the_figures_too() -> None:
    found = lf_summary(L, [0, 1, 0, -1, 0], names=["a", "b", "c"])
    assert found.column_names[:9] == [
        "voter",
        "j",
        "Polarity",
        "Coverage",
        "Overlaps",
        "Conflicts",
        "Correct",
        "Incorrect",
        "Emp. Acc.",
    ]
    assert found["voter"].to_pylist() == ["a", "b", "c"]
    assert found["Polarity"].to_pylist() == [[0, 1], [0], [0]]
    assert found["Coverage"].to_pylist() == pytest.approx([0.4, 0.8, 0.4])
    assert found["Overlaps"].to_pylist() == pytest.approx([0.4, 0.6, 0.4])
    assert found["Conflicts"].to_pylist() == pytest.approx([0.2, 0.2, 0.0])
    assert found["Correct"].to_pylist() == [1, 3, 2]
    assert found["Incorrect"].to_pylist() == [1, 0, 0]
    assert found["Emp. Acc."].to_pylist() == [0.5, 1.0, 1.0]
    assert all(low < 1 <= high for low, high in zip(found["Acc. low"].to_pylist()[1:], [1.0, 1.0], strict=True))


def test_without_gold_nothing_is_right_or_wrong_and_accuracy_is_null() -> None:
    found = lf_summary(L)
    assert found["Emp. Acc."].to_pylist() == [None] * 3
    assert found["Acc. low"].to_pylist() == [None] * 3
    assert found["Correct"].to_pylist() == [0] * 3


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.int32, np.int64, np.uint8])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("labels", [3, 62, 63, 120])
def test_a_matrix_of_any_sort_is_counted_as_votes_are(dtype: Any, order: Any, labels: int) -> None:
    random = np.random.default_rng(labels)
    matrix = random.integers(0 if dtype is np.uint8 else -1, labels, (40_000, 3))
    matrix[:20_000] = np.minimum(matrix[:20_000], 1)  # the first blocks have few labels
    gold = random.integers(-1, labels, 40_000)
    found = analyze(np.asarray(matrix.astype(dtype), order=order), gold)
    assert found == analyze(Votes.from_matrix(matrix, labels), gold)


@repeatable
@given(matrices(), st.data())
def test_matrix_and_votes_give_the_same(given_: tuple[Any, int], data: st.DataObject) -> None:
    matrix, k = given_
    n = len(matrix)
    gold = np.array(data.draw(st.lists(st.integers(-1, k - 1), min_size=n, max_size=n)), dtype=np.int64)
    votes = Votes.from_matrix(matrix, k)
    assert analyze(matrix, gold) == analyze(votes, gold)
    assert analyze(matrix) == analyze(votes)


def test_names_come_from_a_table() -> None:
    table = {"item": ["a", "a", "b"], "voter": ["x", "y", "x"], "label": ["no", "yes", "no"]}
    found = lf_summary(table, {"a": "no", "elsewhere": "yes"})
    assert found.select(["voter", "Polarity", "Correct", "Incorrect"]).to_pylist() == [
        {"voter": "x", "Polarity": ["no"], "Correct": 1, "Incorrect": 0},
        {"voter": "y", "Polarity": ["yes"], "Correct": 0, "Incorrect": 1},
    ]


def test_nothing_is_summed_up_to_nothing() -> None:
    assert lf_summary(np.zeros((0, 2), int))["Coverage"].to_pylist() == [0.0, 0.0]
    assert lf_summary(np.zeros((3, 0), int)).num_rows == 0


@pytest.mark.parametrize(
    ("matrix", "gold", "names", "problem"),
    [
        ([[0, -2]], None, None, "codes of votes are -1 for an abstention, and 0 to 32,765"),
        ([[0, 99_999]], None, None, "codes of votes are -1"),
        ([[0, 1]], [0, 1], None, "gold has 2 codes for 1 items"),
        ([[0, 1]], [0.5], None, "gold has integers"),
        ([[0, 1]], None, ["a"], "1 names for 2 voters"),
        ([[0, float("nan")]], None, None, "item 0 has NaN in column 1"),
    ],
)
def test_what_is_no_votes_is_refused(matrix: Any, gold: Any, names: Any, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        lf_summary(matrix, gold, names)
