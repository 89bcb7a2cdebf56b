"""Texts cut to be read, and the places in them that a rule matches."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from teachkit.build.run import BuildOptions
from teachkit.cli.items import marked
from teachkit.graph.names import literal
from teachkit.review.excerpts import Excerpt, excerpt, first_of
from teachkit.review.tried import Wanted, open_tried
from teachkit.voters.rules import Rule, compile_rule, words_spans
from tests.review.test_try import ZOO
from tests.sandbox import Sandbox

if TYPE_CHECKING:
    from pathlib import Path

TEXT = st.text(st.sampled_from("ab ç日\n\t.\x00é́_"), max_size=60)


def test_a_text_is_one_line_and_its_marks_move_with_it() -> None:
    found = excerpt("  win \n\n free\x07 now", [(2, 5), (9, 13)])
    assert found.text == "win free� now"
    assert [found.text[s:e] for s, e in found.marks] == ["win", "free"]


def test_a_long_text_is_cut_around_its_first_match() -> None:
    text = "a" * 500 + " win " + "b" * 500
    found = excerpt(text, [(501, 504)], 40)
    assert len(found.text) == 40
    assert found.text.startswith("…a")
    assert found.text.endswith("b…")
    assert [found.text[s:e] for s, e in found.marks] == ["win"]
    assert excerpt("win " + "b" * 500, [(0, 3)], 40).text.startswith("win b")
    assert excerpt("a" * 30 + " win " + "b" * 500, [(31, 34)], 40).text.startswith("aaaa")
    assert excerpt(text).text == "a" * 299 + "…"
    assert excerpt("a " * 4000 + "win", [(8000, 8003)], 30).text.endswith("a win")


def test_a_match_that_is_cut_is_not_shown_as_one() -> None:
    found = excerpt("win " * 3 + "b" * 20 + " winner", [(0, 3), (33, 39)], 36)
    assert [found.text[s:e] for s, e in found.marks] == ["win"]
    assert marked(Excerpt("win or lose", ((0, 3), (7, 11)))) == "«win» or «lose»"


@settings(max_examples=200, deadline=None)
@given(TEXT, st.integers(4, 70), st.data())
def test_marks_stand_on_what_they_stood_on(text: str, width: int, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.sets(st.integers(0, len(text)), max_size=6)))
    spans = list(zip(cuts[::2], cuts[1::2], strict=False))
    found = excerpt(text, spans, width)
    assert len(found.text) <= width
    assert found.text.isprintable()
    assert len(marked(found, width)) <= width
    whole = excerpt(text, spans)
    kept = [whole.text[s:e] for s, e in whole.marks]
    for number, (start, end) in enumerate(found.marks):
        assert 0 <= start < end <= len(found.text)
        assert number == 0 or found.text[start:end] in kept
        assert found.text[start:end].strip("…") in "".join(kept)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(TEXT, min_size=1, max_size=5),
    st.lists(st.text("abç日é_ ", min_size=1, max_size=4), min_size=1, max_size=3),
)
def test_words_are_marked_exactly_where_the_rule_matches(texts: list[str], words: list[str]) -> None:
    words = [word for word in words if word.strip()]
    if not words:
        return
    for boundaries in (True, False):
        rule = Rule(any_of=tuple(words), word_boundaries=boundaries)
        plain = [text.replace("\x00", "") for text in texts]
        values = ", ".join(f"({n}, {literal(text)})" for n, text in enumerate(plain))
        sql = f"select {compile_rule(rule)} from (values {values}) v(n, text) order by n"
        matched = [row[0] for row in duckdb.execute(sql).fetchall()]
        assert [bool(words_spans(rule, text)) for text in plain] == matched


def test_words_that_follow_each_other_are_marked_each() -> None:
    rule = Rule(any_of=("free", "free money", "win"))
    text = "Free  money, WIN win wins"
    assert [text[s:e] for s, e in words_spans(rule, text)] == ["Free  money", "WIN", "win"]
    exact = Rule(any_of=("WIN",), case_sensitive=True)
    assert [text[s:e] for s, e in words_spans(exact, text)] == ["WIN"]
    part = Rule(all_of=("win",), word_boundaries=False)
    assert len(words_spans(part, text)) == 3


def test_those_with_the_smallest_hashes_come_first() -> None:
    import numpy as np

    order = np.array([5, 3, 9, 1, 7], dtype=np.uint64)
    assert first_of(np.array([True, True, True, False, True]), order, 2) == [1, 0]
    assert first_of(np.ones(5, dtype=bool), order, 9) == [3, 1, 0, 4, 2]
    assert first_of(np.zeros(5, dtype=bool), order, 3) == []


@pytest.mark.parametrize(
    ("regex", "found"), [("(f)(u)r+y", ["furry"]), ("x*", []), (r"\bd\w", ["do"]), ("(?i)FURRY|dog", ["furry", "dog"])]
)
def test_a_regular_expression_is_marked_as_duckdb_matches_it(regex: str, found: list[str], tmp_path: Path) -> None:
    from teachkit.build.execute import looking_at
    from teachkit.review.excerpts import rule_of, spans_of

    sandbox = Sandbox(tmp_path, ZOO)
    wanted = Wanted(regex=regex, label="cat")
    text = "\x02a furry do'g, dog"[:13] + " dog" if "dog" in regex else "\x02a furry do'g"
    with open_tried(sandbox.root, BuildOptions(), wanted) as (work, (node,)), looking_at(work) as run:
        (spans,) = spans_of(run, rule_of(node), [text])
    assert [text[s:e] for s, e in spans] == found
