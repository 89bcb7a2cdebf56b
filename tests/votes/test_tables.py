from __future__ import annotations

import enum
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from teachkit.label_models import Majority
from teachkit.votes import Votes
from tests.votes.matrices import matrices, repeatable

ROWS = {
    "item": ["b", "a", "b", "a", "ü"],
    "voter": ["zoë", "ann", "ann", "zoë", "ann"],
    "label": ["spam", "ham", "ham", "ham", "spam"],
}


class Frame:
    """What of a data frame counts here: columns by name."""

    def __init__(self, columns: dict[str, Any]) -> None:
        self.columns = list(columns)
        self._of = {name: np.array(values, dtype=object) for name, values in columns.items()}

    def __getitem__(self, name: str) -> Any:
        return self._of[name]


def chunked(columns: dict[str, Any]) -> pa.Table:
    whole = pa.table(columns)
    return pa.concat_tables([whole.slice(0, 2), whole.slice(2)])


def encoded(columns: dict[str, Any]) -> pa.Table:
    return pa.table({name: pa.array(values).dictionary_encode() for name, values in columns.items()})


@pytest.mark.parametrize("form", [dict, pa.table, chunked, encoded, Frame])
def test_a_long_table_is_votes_in_any_form(form: Any) -> None:
    votes = Votes.from_table(form(ROWS))
    assert votes.items == ["b", "a", "ü"]
    assert votes.voters == ("ann", "zoë")
    assert votes.labels == ("ham", "spam")
    assert votes.to_dense().tolist() == [[0, 1], [0, 0], [1, -1]]


@repeatable
@given(matrices())
def test_a_long_table_is_the_matrix_that_it_lists(given_: tuple[Any, int]) -> None:
    matrix, k = given_
    rows, columns = np.nonzero(matrix >= 0)
    table = {"i": rows, "v": columns, "l": matrix[rows, columns]}
    votes = Votes.from_table(
        table, item="i", voter="v", label="l", items=range(len(matrix)), voters=range(matrix.shape[1]), labels=range(k)
    )
    assert votes.to_dense().tolist() == matrix.tolist()


def test_of_two_votes_of_a_voter_the_last_counts_and_a_missing_label_takes_back() -> None:
    table = {"item": [1, 1, 2, 2, 3], "voter": ["a"] * 5, "label": ["x", "y", "x", None, float("nan")]}
    votes = Votes.from_table(table)
    assert (votes.items, votes.labels) == ([1, 2, 3], ("x", "y"))
    assert votes.to_dense().tolist() == [[1], [-1], [-1]]


def test_missing_labels_of_number_columns_are_abstentions() -> None:
    votes = Votes.from_table({"item": [1, 2, 3], "voter": ["a", "a", "b"], "label": np.array([1.0, np.nan, 0.0])})
    assert votes.labels == (0.0, 1.0)
    assert votes.to_dense().tolist() == [[1, -1], [-1, -1], [-1, 0]]


class Kind(enum.Enum):
    HAM = 1
    SPAM = 2


@pytest.mark.parametrize("labels", [("x", 7), (Kind.HAM, Kind.SPAM), ((1, 2), (3, 4)), (True, False), (10**30, 1)])
def test_labels_are_any_hashables(labels: Any) -> None:
    votes = Votes.from_table({"item": [1, 2], "voter": ["a", "a"], "label": list(labels)})
    assert [votes.labels[code] for code in votes.to_dense()[:, 0]] == list(labels)  # type: ignore[index]


@pytest.mark.parametrize(
    ("changes", "options", "problem"),
    [
        ({"item": [None, "a", "b", "a", "c"]}, {}, "column 'item' is empty in row 0"),
        ({"voter": ["x", "x", np.nan, "x", "x"]}, {}, "column 'voter' is empty in row 2"),
        ({"label": ["x"]}, {}, "'item', 'voter' and 'label' are not of the same length"),
        ({"label": [None] * 5}, {}, "nothing tells the labels"),
        ({}, {"labels": ["ham", "eggs"]}, "not a known label: 'spam'"),
        ({}, {"voters": ["ann"]}, "not a known voter: 'zoë'"),
        ({}, {"items": ["a", "b"]}, "not a known item: 'ü'"),
        ({}, {"items": ["a", "b", "ü", "a"]}, "4 items are named, 3 different ones"),
        ({}, {"labels": ["ham", "spam", "ham"]}, "a label is named twice"),
        ({"voter": [1, "1", 1, 1, 1]}, {}, "two names of voter are both written '1'"),
        ({"label": [["x"], "x", "x", "x", "x"]}, {}, "row 0: list cannot be a name"),
        ({}, {"label": "answer"}, "no column 'answer', but 'item', 'voter', 'label'"),
        ({"item": list("abcdefgh"), "voter": ["x"] * 8, "label": ["y"] * 8}, {"items": ["z"]}, "and 3 more"),
    ],
)
def test_a_table_that_holds_no_votes_is_refused(changes: dict[str, Any], options: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Votes.from_table(ROWS | changes, **options)


def test_what_is_no_table_is_refused() -> None:
    with pytest.raises(ValueError, match="votes are a table with columns, not int"):
        Votes.from_table(3)


def test_without_rows_the_labels_must_be_named() -> None:
    empty: dict[str, Any] = {"item": [], "voter": [], "label": []}
    with pytest.raises(ValueError, match="name them with labels="):
        Votes.from_table(empty)
    votes = Votes.from_table(empty, labels=["a", "b"], voters=["x"], items=["i"])
    assert votes.to_dense().tolist() == [[-1]]


def test_labels_come_back_as_a_table() -> None:
    votes = Votes.from_table(ROWS, items=["b", "a", "ü", "silent"])
    table = Majority().fit(votes).label_table(votes)
    assert table.column_names == ["item", "label", "confidence", "posterior", "votes"]
    assert table.select(["item", "label", "votes"]).to_pylist() == [
        {"item": "b", "label": None, "votes": 2},
        {"item": "a", "label": "ham", "votes": 2},
        {"item": "ü", "label": "spam", "votes": 1},
        {"item": "silent", "label": None, "votes": 0},
    ]
    assert table["posterior"][1].as_py() == {"ham": 1.0, "spam": 0.0}
    assert table["confidence"].to_pylist() == [None, 1.0, 1.0, None]


def test_labels_of_votes_without_names_are_codes() -> None:
    votes = Votes.from_matrix([[1, 1], [0, -1], [-1, -1]])
    table = Majority().fit(votes).label_table(votes)
    assert table.select(["item", "label"]).to_pylist() == [
        {"item": 0, "label": 1},
        {"item": 1, "label": 0},
        {"item": 2, "label": None},
    ]


def test_labels_that_arrow_cannot_hold_come_back_as_text() -> None:
    votes = Votes.from_table({"item": [1, 2], "voter": ["a", "a"], "label": ["x", 7]})
    assert Majority().fit(votes).label_table(votes)["label"].to_pylist() == ["x", "7"]


@given(st.permutations(range(5)))
@repeatable
def test_the_order_of_rows_changes_the_order_of_items_only(order: list[int]) -> None:
    moved = Votes.from_table({name: [values[i] for i in order] for name, values in ROWS.items()})
    assert (moved.voters, moved.labels) == (("ann", "zoë"), ("ham", "spam"))
    rows = dict(zip(moved.items or (), moved.to_dense().tolist(), strict=True))
    assert rows == {"b": [0, 1], "a": [0, 0], "ü": [1, -1]}


def test_gold_by_name_is_codes() -> None:
    votes = Votes.from_table(ROWS)
    assert votes.codes_of({"a": "ham", "ü": "spam", "unasked": "ham", "b": None}).tolist() == [-1, 0, 1]
    with pytest.raises(ValueError, match="not a known label: 'eggs'"):
        votes.codes_of({"a": "eggs"})
    with pytest.raises(ValueError, match="for votes with names"):
        Votes.from_matrix([[0]]).codes_of({0: 0})


def test_votes_keep_their_names_when_patterns_are_regrouped() -> None:
    votes = Votes.from_table(ROWS)
    again = votes.regrouped(np.arange(votes.n_patterns), votes.pattern_of)
    assert (again.items, again.labels) == (votes.items, votes.labels)
