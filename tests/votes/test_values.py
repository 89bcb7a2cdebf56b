"""Kinds of answers that are values: what is one, what is the same, how far, how good."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from teachkit.votes import Answers, ValueData
from teachkit.votes.values import VALUED, NotAnAnswer, value_kind
from teachkit.votes.values.text import normalised, text_distance, token_f1
from tests.votes.matrices import repeatable

NUMBER, TEXT = value_kind("number"), value_kind("text")
words = st.text(alphabet="abc ABC.ßé東", max_size=8)


def test_kinds_have_types_that_arrow_knows() -> None:
    for name in VALUED:
        kind = value_kind(name)
        assert kind.name == name
        assert len(kind.array([None, None])) == 2
        assert kind.column(pa.array([], kind.arrow_type)).type == kind.arrow_type
        assert kind.metrics


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (3, 3.0),
        (2.5, 2.5),
        ("4", 4.0),
        (" -1e3 ", -1000.0),
        (Decimal("0.5"), 0.5),
        ("", None),
        (None, None),
        ("  ", None),
    ],
)
def test_numbers_are_read(value: Any, number: float | None) -> None:
    assert NUMBER.read(value) == number


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("abc", "'abc', which is not a number"),
        ("1,5", "which is not a number"),
        (True, "true, which is not a number"),
        ([1], "a list, which is not a number"),
        ("1_000", "which is not a number"),
        (float("nan"), "not a finite number"),
        ("inf", "not a finite number"),
        (10**400, "which is not a number"),
    ],
)
def test_what_is_no_number_is_refused(value: Any, says: str) -> None:
    with pytest.raises(NotAnAnswer, match=says) as error:
        NUMBER.read(value)
    assert error.value.advice.startswith("write ")


def test_a_comma_gets_a_hint() -> None:
    with pytest.raises(NotAnAnswer) as error:
        NUMBER.read("1,5")
    assert "a decimal point, not a comma" in error.value.advice


def test_a_column_says_which_row_is_wrong() -> None:
    with pytest.raises(NotAnAnswer) as error:
        NUMBER.column(pa.array([1.0, None, math.inf]))
    assert error.value.row == 2
    with pytest.raises(NotAnAnswer) as error:
        NUMBER.column(pa.array(["1", "x"]))
    assert error.value.row == 1
    assert NUMBER.column(pa.array([1.0, None, -0.0])).to_pylist() == [1.0, None, 0.0]


def test_texts_are_read_without_white_space_around_them() -> None:
    assert [TEXT.read(x) for x in (" a b ", "", None, 3)] == ["a b", None, None, "3"]
    for wrong in (True, ["a"], {"a": 1}):
        with pytest.raises(NotAnAnswer, match="which is not a text"):
            TEXT.read(wrong)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Köln", "KÖLN!", True),
        ("Straße", "STRASSE", True),
        ("ﬁne", "fine", True),
        ("a  b", "a-b", True),
        ("a", "b", False),
    ],
)
def test_what_counts_as_the_same_text(one: str, other: str, same: bool) -> None:
    assert (normalised(one) == normalised(other)) is same
    assert bool(TEXT.same([one], [other])[0]) is same


@repeatable
@given(words, words)
def test_the_distance_of_texts_is_symmetric_and_zero_for_the_same(one: str, other: str) -> None:
    found = text_distance(one, other)
    assert found == text_distance(other, one)
    assert 0 <= found <= 1
    assert (found == 0) >= (normalised(one) == normalised(other))
    assert normalised(normalised(one)) == normalised(one)


def test_a_typing_mistake_is_nearer_than_another_word() -> None:
    assert text_distance("München", "Munchen") < 0.5 < text_distance("München", "Berlin")
    assert text_distance("New York", "New York City") < 0.5
    assert text_distance("abc", "xyz") == 1.0
    assert token_f1("a b c", "a b d") == pytest.approx(2 / 3)


def test_quality_of_numbers() -> None:
    gold, decided = np.array([1.0, 2.0, 3.0, np.nan]), np.array([1.5, 1.0, np.nan, 9.0])
    found = NUMBER.quality(decided, gold)
    assert (found["n"], found["labeled"]) == (3, 2)
    assert found["mae"] == pytest.approx(0.75)
    assert found["rmse"] == pytest.approx(math.sqrt((0.25 + 1) / 2))
    assert found["bias"] == pytest.approx(-0.25)
    assert found["r2"] == pytest.approx(1 - 1.25 / 0.5)
    assert NUMBER.quality(decided[2:], gold[2:])["mae"] is None
    assert NUMBER.quality(np.array([1.0]), np.array([1.0]))["r2"] is None


def test_quality_of_texts_counts_items_without_a_label_as_wrong() -> None:
    gold, decided = TEXT.made(["a", "b c", "d", None]), TEXT.made(["A.", "b", None, "x"])
    found = TEXT.quality(decided, gold)
    assert (found["n"], found["labeled"]) == (3, 2)
    assert found["exact_match"] == pytest.approx(1 / 3)
    assert found["token_f1"] == pytest.approx((1 + 2 / 3) / 3)
    assert TEXT.quality(decided[3:], gold[3:])["exact_match"] is None


def test_labels_beside_gold() -> None:
    data = ValueData(NUMBER, np.array([1.0, np.nan]), np.array([1.0, 2.0]), np.array([1, 2]))
    assert data.labeled.tolist() == [True, False]
    assert data.figures("tune")["n"] == 1
    assert data.figures()["n"] == 2
    assert data.same(1.0, 1.0 + 1e-15)
    assert not data.same(1.0, np.nan)
    assert data.same(np.nan, np.nan)
    assert (data.words(np.nan), data.words(2.0)) == (None, "2")


def test_the_last_answer_of_a_voter_counts() -> None:
    found = Answers.from_long("number", [1, 0, 1], [0, 0, 0], np.array([5.0, 6.0, 7.0]), voters=["a"], n_items=2)
    assert (found.item.tolist(), found.value.tolist()) == ([0, 1], [6.0, 7.0])
    assert found.votes_per_item.tolist() == [1, 1]


def test_columns_may_be_plain_lists() -> None:
    found = Answers.from_columns("number", ["a", "b"], [[700, None], [690.0, 950.0]], 2)
    assert (found.item.tolist(), found.voter.tolist()) == ([0, 0, 1], [0, 1, 1])
    assert found.value.tolist() == [700.0, 690.0, 950.0]
    assert Answers.from_columns("text", ["a"], [["x", None]], 2).value.tolist() == ["x"]


def test_answers_that_do_not_fit_are_refused() -> None:
    for how, says in (
        ({"item": [5], "voter": [0], "value": np.array([1.0])}, "items are not within 0..1"),
        ({"item": [0], "voter": [3], "value": np.array([1.0])}, "voters are not within 0..0"),
        ({"item": [0, 1], "voter": [0], "value": np.array([1.0])}, "of the same length"),
        ({"item": [0], "voter": [0], "value": np.array([math.inf])}, "finite"),
    ):
        with pytest.raises(ValueError, match=says):
            Answers.from_long("number", how["item"], how["voter"], how["value"], voters=["a"], n_items=2)
    with pytest.raises(ValueError, match="2 names for 1 voters"):
        Answers.from_columns("text", ["a", "b"], [TEXT.made(["x"])], 1)
    with pytest.raises(ValueError, match="1 answers for 2 items"):
        Answers.from_columns("text", ["a"], [TEXT.made(["x"])], 2)
    one, other = (Answers.from_columns("text", ["a"], [TEXT.made(["x"] * n)], n) for n in (1, 2))
    with pytest.raises(ValueError, match="on the same items"):
        Answers.joined(one, other)
