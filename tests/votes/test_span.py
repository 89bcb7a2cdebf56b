"""Answers that are spans: what is read as one, what is refused, and the figures against gold."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from teachkit.votes.values import NotAnAnswer, value_kind
from teachkit.votes.values.span import Span
from tests.votes.answer_tables import SPANS
from tests.votes.matrices import repeatable

SPAN: Any = value_kind("span")
LABELS = ("drug", "place")


def test_an_answer_is_read_in_every_form() -> None:
    wanted = ((0, 4, "drug"), (5, 9, "place"))
    for form in (
        [{"start": 5, "end": 9, "label": "place"}, {"start": 0, "end": 4, "label": "drug"}],
        [[0, 4, "drug"], (5, 9, "place")],
        [[0.0, 4, "drug"], [5, 9, "place"], [5, 9, "place"]],
        '[[0, 4, "drug"], {"start": 5, "end": 9, "label": "place"}]',
    ):
        assert SPAN.read(form, LABELS) == wanted
    assert SPAN.read([[0, 4], {"start": 6, "end": 9}], ("drug",)) == ((0, 4, "drug"), (6, 9, "drug"))
    assert SPAN.read([], LABELS) == SPAN.read("[]", LABELS) == ()
    assert SPAN.read(None) is None
    assert SPAN.read(" ") is None
    assert SPAN.read("null") is None


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ([[3, 3, "drug"]], "has a span from 3 to 3, which holds nothing"),
        ([[4, 3, "drug"]], "has a span from 4 to 3, which holds nothing"),
        ([[-1, 3, "drug"]], "has a span whose start is -1"),
        ([[0, 2**31, "drug"]], "has a span whose end is 2147483648"),
        ([[0, True, "drug"]], "has a span whose end is true"),
        ([[0, 1.5, "drug"]], "has a span whose end is the number 1.5"),
        ([["0", 1, "drug"]], "has a span whose start is a text"),
        ([{"end": 3, "label": "drug"}], "has a span without 'start'"),
        ([{"start": 0, "end": 3, "label": "drug", "text": "abc"}], "has a span with 'text'"),
        ([[0, 3]], "has a span without a label"),
        ([[0, 3, 7]], "has a span whose label is the number 7"),
        ([[0, 3, "drugs"]], "has a span with 'drugs', which is not a label of the task"),
        ([[0, 3, "drug"], [2, 5, "place"]], "has spans that overlap: 0-3 drug and 2-5 place"),
        ([[0, 3, "drug"], [0, 3, "place"]], "has spans that overlap: 0-3 drug and 0-3 place"),
        ([[0]], "holds a list, which is not a span"),
        ([None], "holds null, which is not a span"),
        ({"start": 0, "end": 3, "label": "drug"}, "is an object, which is not a list of spans"),
        (7, "is the number 7, which is not a list of spans"),
        ('"word"', "is a text, which is not a list of spans"),
        ("word", "is 'word', which is not JSON"),
        ("w" * 99, "is '" + "w" * 60 + "…', which is not JSON"),
    ],
)
def test_what_is_no_answer_is_refused(value: Any, problem: str) -> None:
    with pytest.raises(NotAnAnswer) as caught:
        SPAN.read(value, LABELS)
    assert caught.value.problem == problem
    assert caught.value.advice


def test_a_label_that_is_nearly_one_is_named() -> None:
    with pytest.raises(NotAnAnswer) as caught:
        SPAN.read([[0, 3, "drugs"]], LABELS)
    assert "did you mean 'drug'?" in caught.value.advice.lower()


def test_offsets_end_with_the_text() -> None:
    values = SPAN.made([((0, 3, "a"),), None, (), ((2, 5, "a"),)])
    SPAN.within(values, [3, None, None, 5])
    for lengths, row, has in (([3, 0, 0, 4], 3, 4), ([None, 0, 0, 9], 0, 0)):
        with pytest.raises(NotAnAnswer) as caught:
            SPAN.within(values, lengths)
        assert caught.value.row == row
        assert f"the text has {has} characters" in caught.value.problem


@repeatable
@given(answers=st.lists(st.none() | SPANS, max_size=6))
def test_answers_come_back_from_arrow_and_json(answers: list[Any]) -> None:
    column = SPAN.array(SPAN.made(answers))
    assert column.type == SPAN.arrow_type
    assert list(SPAN.values(column)) == answers
    assert [SPAN.read(json.dumps(SPAN.plain(a))) for a in answers] == answers
    assert list(SPAN.values(SPAN.column(column))) == answers


def by_counting(found: list[Any], gold: list[Any]) -> tuple[int, int, int]:
    """True positives, proposed and wanted spans, by going through all pairs."""
    right = wanted = said = 0
    for one, other in zip(found, gold, strict=True):
        if other is None:
            continue
        wanted += len(other)
        for span in one or []:
            said += 1
            right += sum(span[0] == o[0] and span[1] == o[1] and span[2] == o[2] for o in other)
    return right, said, wanted


@repeatable
@given(pairs=st.lists(st.tuples(st.none() | SPANS, st.none() | SPANS), max_size=6))
def test_figures_are_those_of_counting(pairs: list[Any]) -> None:
    found, gold = [p[0] for p in pairs], [p[1] for p in pairs]
    got = SPAN.quality(SPAN.made(found), SPAN.made(gold))
    right, said, wanted = by_counting(found, gold)
    assert got["precision"] == (right / said if said else None)
    assert got["recall"] == (right / wanted if wanted else None)
    assert got["f1"] == (None if said + wanted == 0 else 2 * right / (said + wanted))
    assert got["n"] == sum(g is not None for g in gold)
    for name, one in SPAN.quality_by_label(SPAN.made(found), SPAN.made(gold)).items():
        only = [[None if a is None else [s for s in a if s[2] == name] for a in side] for side in (found, gold)]
        right, said, wanted = by_counting(*only)
        assert one["f1"] == 2 * right / (said + wanted)
    if got["precision"] is not None:
        assert got["precision_low"] - 1e-12 <= got["precision"] <= got["precision_high"] + 1e-12


@repeatable
@given(one=SPANS, other=SPANS)
def test_distance_is_one_less_f1(one: Any, other: Any) -> None:
    (there,), (back,) = (SPAN.distance(SPAN.made([a]), SPAN.made([b])) for a, b in ((one, other), (other, one)))
    assert there == back
    assert 0 <= there <= 1
    assert (there == 0) == (one == other) == bool(SPAN.same([one], [other])[0])


def test_answers_conflict_where_spans_overlap_and_where_one_says_none() -> None:
    a, b, c = ((0, 3, "x"),), ((2, 5, "x"),), ((7, 9, "x"),)
    values, starts = SPAN.made([a, b, a, c, a, (), a, a, ()]), np.array([0, 2, 4, 6, 8, 9, 9])
    assert list(SPAN.conflicting(values, starts)) == [True, False, True, False, False, False]


def test_what_is_said_of_labels() -> None:
    assert SPAN.summary(SPAN.made([((0, 3, "x"), (4, 9, "y")), None, ()])) == {
        "spans": 2.0,
        "length": 4.0,
        "spans: x": 1.0,
        "spans: y": 1.0,
    }
    assert SPAN.summary(SPAN.made([]))["length"] is None
    assert SPAN.show(((0, 3, "x"),)) == "0-3 x"
    assert SPAN.show(()) == "no spans"


@pytest.mark.parametrize(
    ("sql_type", "fits"),
    [
        (Span.sql_type, True),
        ('STRUCT("start" BIGINT, "end" BIGINT)[]', True),
        ("VARCHAR", True),
        ("JSON", True),
        ('"NULL"', True),
        ("INTEGER[][]", False),
        ("INTEGER", False),
        ("VARCHAR[]", False),
        ('STRUCT("start" INTEGER)', False),
    ],
)
def test_which_sql_can_be_an_answer(sql_type: str, fits: bool) -> None:
    assert SPAN.takes(sql_type) is fits


def test_quotations_are_found_in_their_order() -> None:
    text = "é\u0301 aspirin 👩‍🚀 aspirin and zinc"
    first, second = text.index("aspirin"), text.rindex("aspirin")

    def quoted(*quotes: str) -> Any:
        return SPAN.read_reply([{"text": q, "label": "drug"} for q in quotes], LABELS, text)

    assert quoted("aspirin") == ((first, first + 7, "drug"),)
    assert quoted("aspirin", "aspirin") == ((first, first + 7, "drug"), (second, second + 7, "drug"))
    assert quoted("zinc", "aspirin") == ((first, first + 7, "drug"), (len(text) - 4, len(text), "drug"))
    assert quoted() == ()
    assert SPAN.read_reply(None, LABELS, text) is None
    for wrong in (("zinc", "zinc"), ("Aspirin",), ("",), ("aspirin 👩‍🚀", "aspirin", "aspirin")):
        with pytest.raises(NotAnAnswer) as caught:
            quoted(*wrong)
        assert "does not stand in the text" in caught.value.problem
    spans = quoted("zinc", "aspirin")
    assert SPAN.read_reply(SPAN.as_reply(spans, text), LABELS, text) == spans
