"""Rules that mark places, against Python that looks for the same."""

from __future__ import annotations

import re
import unicodedata
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from teachkit.voters.rules import Rule, matches_nothing
from teachkit.voters.span_rules import around_group, span_expression
from tests.votes.matrices import repeatable

CONNECTION = duckdb.connect()
PARTS = [
    "cancer",
    "breast",
    "Cancer",
    "ß",
    "é",
    "e\u0301",
    "👩\u200d🚀",
    "c++",
    " ",
    "  ",
    "_",
    "-",
    ".",
    "東京",
    "\x01\x02",
]
TEXTS = st.lists(st.sampled_from(PARTS), max_size=9).map("".join)
WORDS = st.lists(
    st.sampled_from(["cancer", "breast cancer", "breast", "c++", "é", "東京", "+", "e"]), min_size=1, max_size=4
)


def marks(text: str | None, rule: Rule, group: int | None = None) -> Any:
    sql = span_expression(rule, "X'y", group)
    assert sql is not None
    found = CONNECTION.execute(f"select {sql} from (select ?::varchar as text)", [text]).fetchall()[0][0]
    if found is None:
        return None
    assert all(span["label"] == "X'y" for span in found)
    return [(span["start"], span["end"]) for span in found]


def is_word(character: str) -> bool:
    return character == "_" or unicodedata.category(character)[0] in "LMN"


def by_hand(text: str, words: list[str], *, boundaries: bool, case: bool) -> Any:
    """The longest word at each place from left to right."""
    found, at = [], 0
    low = text if case else text.lower()
    while at < len(text):
        ends = []
        for word in words:
            body = r"\s+".join(re.escape(part) for part in (word if case else word.lower()).split())
            match = re.compile(body).match(low, at)
            if match is None:
                continue
            end = match.end()
            touches = (at > 0 and is_word(text[at - 1]) and is_word(word[0])) or (
                end < len(text) and is_word(text[end]) and is_word(word[-1])
            )
            if not (boundaries and touches):
                ends.append((len(word), end))
        if ends:
            found.append((at, max(ends)[1]))
            at = found[-1][1]
        else:
            at += 1
    return found or None


@repeatable
@given(text=TEXTS, words=WORDS, boundaries=st.booleans(), case=st.booleans())
def test_words_are_marked_where_they_stand(text: str, words: list[str], boundaries: bool, case: bool) -> None:
    rule = Rule(any_of=tuple(words), word_boundaries=boundaries, case_sensitive=case)
    assert marks(text, rule) == by_hand(text, words, boundaries=boundaries, case=case)


@repeatable
@given(text=TEXTS, pattern=st.sampled_from(["c\\w+", "(?i)can", "[^ ]+", "e\u0301?", "ß|é|東", " +", "."]))
def test_matches_are_marked_where_they_stand(text: str, pattern: str) -> None:
    plain = text.replace("\x01", "\ufffd").replace("\x02", "\ufffd")
    wanted = [m.span() for m in re.finditer(pattern, plain, re.ASCII)]
    assert marks(text, Rule(regex=pattern)) == (wanted or None)


@repeatable
@given(text=st.text(alphabet="ab1 é👩", max_size=12))
def test_a_group_is_marked_where_it_stands(text: str) -> None:
    for pattern, group in (("a(b+)1?", 1), ("(?:a|1)(b)(1)", 2), ("(?P<x>é+)(1)?", 1), ("([)(]?a\\(?)(b)", 2)):
        wanted = [m.span(group) for m in re.finditer(pattern, text)]
        assert marks(text, Rule(regex=pattern), group) == (wanted or None)


def test_a_text_that_is_null_has_no_places() -> None:
    assert marks(None, Rule(regex="a")) is None
    assert marks("", Rule(any_of=("a",))) is None


def test_words_of_several_alternations_are_marked_together() -> None:
    words = (*(f"word{i:05d}" for i in range(3000)), "word00001 word02999")
    text = "word02999, word00001 word02999; word00001 word00002 x"
    assert marks(text, Rule(words=words)) == [(0, 9), (11, 30), (32, 41), (42, 51)]
    assert marks("nothing", Rule(words=words)) is None


@pytest.mark.parametrize(
    ("pattern", "group"),
    [
        ("(a)|b", 1),
        ("(a)+", 1),
        ("(a){2}", 1),
        ("((a)b)", 2),
        ("a(?i)(b)", 1),
        ("\\Q(\\E(a)", 1),
        ("[a[:alpha:]](b)", 1),
        ("(a)(b)(c)(d)(e)(f)(g)(h)(i)", 9),
    ],
)
def test_a_group_that_may_not_be_in_a_match_is_refused(pattern: str, group: int) -> None:
    assert around_group(pattern, group) is None


def test_patterns_that_match_nothing_are_known() -> None:
    assert [matches_nothing(p) for p in ("a*", "a|", "^", "a+", "(?:b)a?")] == [True, True, True, False, False]
