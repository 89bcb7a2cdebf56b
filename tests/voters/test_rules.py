"""Rules: the fast expression equals the plain one, and both what the words say."""

from __future__ import annotations

import re
import string
from functools import cache
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from teachkit.voters.rules import (
    SPACE,
    Rule,
    _lower,
    check_regex,
    compile_rule,
    plain_rule,
    read_dictionary,
    required_literal,
    rule_canonical,
)

if TYPE_CHECKING:
    from collections.abc import Sequence


@cache
def _connection() -> duckdb.DuckDBPyConnection:
    return duckdb.connect(config={"threads": "1"})


def _evaluate(expressions: Sequence[str], texts: Sequence[str | None]) -> list[tuple[Any, ...]]:
    connection = _connection()
    connection.register("given", pa.table({"text": pa.array(texts, pa.string())}))
    columns = ", ".join(f"({e}) as c{i}" for i, e in enumerate(expressions))
    return connection.execute(f"select {columns} from given").fetchall()


def matches(rule: Rule, *texts: str | None) -> list[bool | None]:
    rows = _evaluate([compile_rule(rule), plain_rule(rule)], list(texts))
    assert [r[0] for r in rows] == [r[1] for r in rows]
    return [r[0] for r in rows]


# ---------------------------------------------------------------------------- what the words say

SAID: dict[str, tuple[Rule, dict[str | None, bool | None]]] = {
    "a word": (
        Rule(any_of=("buy",)),
        {"Buy it": True, "BUY": True, "buyer": False, "rebuy": False, "b uy": False, "": False},
    ),
    "punctuation around a word": (
        Rule(any_of=("buy",)),
        {"(buy)": True, "buy!": True, "«buy»": True, "a-buy-b": True, "buy\n": True},
    ),
    "an underscore or digit at a word": (Rule(any_of=("buy",)), {"_buy": False, "buy2": False, "2 buy": True}),
    "letters of other scripts at a word": (
        Rule(any_of=("buy",)),
        {"äbuy": False, "buyя": False, "日buy": False, "buy。": True},
    ),
    "a mark on a letter": (Rule(any_of=("cafe",)), {"cafe\u0301": False, "cafe \u0301": True, "cafe": True}),
    "one of several words": (Rule(any_of=("a", "b", "c", "d")), {"x d y": True, "ad": False, "A": True}),
    "words that share what is between them": (
        Rule(any_of=("a", "b", "c"), min_hits=2),
        {"a b": True, "a a": False, "a,c": True, "ab": False},
    ),
    "a phrase": (
        Rule(any_of=("check out",)),
        {
            "Check  out": True,
            "check\n\tout": True,
            "check\u00a0out": True,
            "check\u3000 out": True,
            "checkout": False,
            "check outs": False,
            "check, out": False,
        },
    ),
    "all of them": (Rule(all_of=("a", "b c")), {"b c a": True, "a b": False, "A B C": True}),
    "none of them": (
        Rule(any_of=("buy",), none_of=("not", "never")),
        {"buy": True, "do not buy": False, "buy nothing": True, "Never buy": False},
    ),
    "hits are different words": (
        Rule(any_of=("a", "b"), words=("c", "a"), min_hits=2),
        {"a a a": False, "a b": True, "c a": True, "c": False},
    ),
    "hits among phrases": (
        Rule(any_of=("buy now", "now", "buy"), min_hits=2),
        {"buy now": True, "now": False, "buy then now": True, "buy": False},
    ),
    "three hits": (
        Rule(any_of=("buy now", "now", "buy", "c++"), min_hits=3),
        {"buy now": True, "c++ now": False, "c++, now buy": True},
    ),
    "words with other characters": (
        Rule(any_of=("c++", ".net", "a.b", "$5", "a|b", "[x]", "it's")),
        {
            "C++!": True,
            "cc++": False,
            "c+++": True,
            ".NET": True,
            "x.net": True,
            "a.b": True,
            "axb": False,
            "$5": True,
            "$55": False,
            "a|b": True,
            "[X]": True,
            "it's": True,
        },
    ),
    "without word boundaries": (
        Rule(any_of=("buy", "sell"), word_boundaries=False),
        {"rebuying": True, "ReSellers": True, "b u y": False},
    ),
    "a phrase without word boundaries": (
        Rule(any_of=("check out",), word_boundaries=False),
        {"recheck  outs": True, "checkout": False},
    ),
    "case counts": (Rule(any_of=("Buy",), case_sensitive=True), {"Buy": True, "buy": False, "BUY": False}),
    "a regular expression is taken as written": (
        Rule(regex="https?://[a-z]+"),
        {"see http://x": True, "HTTP://X": False, "https:/x": False},
    ),
    "a regular expression beside words": (
        Rule(regex="[0-9]{3}", any_of=("call",)),
        {"call 123": True, "call 12": False, "123": False},
    ),
    "anchors of a regular expression": (Rule(regex="^a.*z$"), {"abcz": True, "xaz": False, "a\nz": False, "az": True}),
    "nothing there": (Rule(any_of=("a",), none_of=("b",)), {None: None, "": False, " ": False}),
    "quotes": (Rule(any_of=("it's", 'say "x"')), {"it's": True, 'Say "X".': True, "its": False}),
    "Turkish": (
        Rule(any_of=("İstanbul", "ılık")),
        {"istanbul": True, "İSTANBUL": True, "ISTANBUL": True, "ılık": True, "ILIK": False},
    ),
    "German": (Rule(any_of=("straße", "ÜBEL")), {"Straße": True, "STRASSE": False, "STRAẞE": True, "übel": True}),
    "Greek": (Rule(any_of=("ΟΔΟΣ",)), {"οδοσ": True, "ΟΔΟΣ": True, "οδος": False}),
    "the Kelvin sign and the long s": (
        Rule(any_of=("k", "ſ")),
        {"\u212a": True, "K": True, "s": False, "S": False, "ſ": True},
    ),
    "Yorùbá with marks of their own": (
        Rule(any_of=("o\u0323\u0300",)),
        {"O\u0323\u0300 wa": True, "o\u0323": False, "o": False, "o\u0323\u0300\u0301": False},
    ),
    "Chinese has no boundaries within": (
        Rule(any_of=("垃圾",)),
        {"垃圾": True, "这是垃圾信息": False, "这是 垃圾。": True},
    ),
    "emoji": (Rule(any_of=("😀", "👍🏽")), {"ok 😀!": True, "a😀b": True, "👍🏽": True, "👍": False}),
}


@pytest.mark.parametrize("name", SAID)
def test_a_rule_says_what_its_words_say(name: str) -> None:
    rule, wanted = SAID[name]
    assert dict(zip(wanted, matches(rule, *wanted), strict=True)) == wanted


def test_a_column_of_numbers_is_read_as_text() -> None:
    sql = compile_rule(Rule(column="n", any_of=("7", "42")))
    assert _connection().execute(f"select {sql} from (values (7), (77), (NULL)) v(n)").fetchall() == [
        (True,),
        (False,),
        (None,),
    ]


def test_a_column_that_is_empty_throughout_gives_no_vote() -> None:
    for kind in ("varchar", "integer", '"NULL"'):
        sql = compile_rule(Rule(any_of=("a", "b", "c"), min_hits=2, none_of=("d",), regex="ab+c"))
        rows = (
            _connection().execute(f"select {sql} from (select cast(NULL as {kind}) as text from range(3))").fetchall()
        )
        assert rows == [(None,)] * 3


def test_white_space_in_a_phrase_is_what_python_calls_white_space() -> None:
    characters = [chr(i) for i in range(1, 0x110000) if not 0xD800 <= i < 0xE000 and (chr(i).isspace() or i < 0x3100)]
    found = matches(Rule(any_of=("a b",)), *(f"a{c}b" for c in characters))
    assert [bool(f) for f in found] == [c.isspace() for c in characters]


def test_lower_case_is_duckdb_s_for_every_character() -> None:
    """Of all code points; DuckDB goes character by character, so words are lowered as texts are."""
    sql = "select i, lower(chr(i::int)) from range(1, 1114112) r(i) where i not between 55296 and 57343"
    rows = _connection().execute(sql).fetchall()
    assert [chr(i) for i, lowered in rows if _lower(chr(i)) != lowered] == []
    upper = "".join(chr(i) for i, lowered in rows if lowered != chr(i))
    assert _connection().execute("select lower(?)", [upper]).fetchall() == [(_lower(upper),)]


# ---------------------------------------------------------------------------- fast equals plain

PIECES = [
    *"abcxyz019_",
    *"ßİıſKΣςσÄäÖé",
    "e\u0301",
    "o\u0323\u0300",
    "\u0301",
    *"яЖ日本語한ا🙂",
    "👍🏽",
    *" -.,;:!?'\"/\\|+*()[]{}^$%#&@~`<>=",
    "\t",
    "\n",
    "\r",
    "\u00a0",
    "\u2003",
    "\u2028",
    "\u200b",
    "\x0b",
    "\x1c",
    "\x7f",
    "\x85",
]
LETTERS = [p for p in PIECES if p[0].isalnum()]
WORD = st.lists(st.sampled_from(LETTERS), min_size=1, max_size=4).map("".join)
ODD = st.lists(st.sampled_from(PIECES), min_size=1, max_size=5).map("".join).filter(lambda w: w.strip())
PHRASE = st.lists(WORD, min_size=2, max_size=3).map(" ".join)
WORDS = st.lists(WORD | ODD | PHRASE, min_size=1, max_size=7).map(tuple)
NO_WORDS = st.just(())


@st.composite
def rules_with_texts(draw: st.DrawFn) -> tuple[Rule, list[str | None]]:
    any_of, all_of, none_of = (
        draw(WORDS | NO_WORDS),
        draw(NO_WORDS | WORDS.map(lambda w: w[:2])),
        draw(NO_WORDS | WORDS),
    )
    rule = Rule(
        any_of=any_of,
        all_of=all_of if any_of or all_of else ("a",),
        none_of=none_of,
        words=draw(NO_WORDS | WORDS) if any_of else (),
        min_hits=draw(st.integers(1, 3)) if any_of else 1,
        case_sensitive=draw(st.booleans()),
        word_boundaries=draw(st.booleans()),
    )
    known = [*rule.any_of, *rule.all_of, *rule.none_of, *rule.words]
    known += [w.upper() for w in known] + [w.replace(" ", " \u00a0") for w in known]
    part = st.sampled_from(known) | st.sampled_from(PIECES) | st.sampled_from([" ", " ", ""])
    texts: list[str | None] = draw(st.lists(st.lists(part, max_size=9).map("".join), min_size=40, max_size=60))
    return rule, [*texts, None, ""]


@settings(max_examples=100, suppress_health_check=[HealthCheck.data_too_large, HealthCheck.too_slow])
@given(rules_with_texts())
def test_the_fast_expression_equals_the_plain_one(case: tuple[Rule, list[str | None]]) -> None:
    rule, texts = case
    matches(rule, *texts)


ASCII_WORD = st.text(string.ascii_letters + string.digits + "_", min_size=1, max_size=3)
ASCII_TEXT = st.lists(ASCII_WORD | st.sampled_from([" ", "  ", ".", "-", "\n", "!"]), max_size=8).map("".join)


def _model(rule: Rule, text: str) -> bool:
    """What a rule means, in Python and for ASCII."""

    def there(word: str) -> bool:
        body = r"\s+".join(map(re.escape, word.split()))
        if rule.word_boundaries:
            before = r"(?<![A-Za-z0-9_])" if word[0].isalnum() or word[0] == "_" else ""
            after = r"(?![A-Za-z0-9_])" if word[-1].isalnum() or word[-1] == "_" else ""
            body = before + body + after
        return re.search(body, text, 0 if rule.case_sensitive else re.IGNORECASE) is not None

    words = {w if rule.case_sensitive else w.lower() for w in (*rule.any_of, *rule.words)}
    hits = sum(map(there, words))
    return (not words or hits >= rule.min_hits) and all(map(there, rule.all_of)) and not any(map(there, rule.none_of))


@settings(max_examples=60, suppress_health_check=[HealthCheck.data_too_large])
@given(
    st.lists(ASCII_WORD | st.tuples(ASCII_WORD, ASCII_WORD).map(" ".join), min_size=1, max_size=6).map(tuple),
    st.lists(ASCII_WORD, max_size=2).map(tuple),
    st.lists(ASCII_WORD, max_size=2).map(tuple),
    st.integers(1, 3),
    st.booleans(),
    st.booleans(),
    st.lists(ASCII_TEXT, min_size=30, max_size=40),
)
def test_on_plain_text_a_rule_means_what_python_s_expressions_mean(
    any_of: tuple[str, ...],
    all_of: tuple[str, ...],
    none_of: tuple[str, ...],
    hits: int,
    case: bool,
    boundaries: bool,
    texts: list[str],
) -> None:
    rule = Rule(
        any_of=any_of, all_of=all_of, none_of=none_of, min_hits=hits, case_sensitive=case, word_boundaries=boundaries
    )
    assert matches(rule, *texts) == [_model(rule, text) for text in texts]


# ---------------------------------------------------------------------------- long lists


def _many(count: int, letters: str = string.ascii_lowercase) -> tuple[str, ...]:
    size = len(letters)
    return tuple("".join(letters[(i * (p + 3) + i // size**p) % size] for p in range(7)) + str(i) for i in range(count))


@pytest.mark.parametrize(
    "letters", [string.ascii_lowercase, "абвгдежзийклмнопрстуфхц", "一二三四五六七八九十日月火水木金土"]
)
def test_five_thousand_words_are_found(letters: str) -> None:
    words = _many(5000, letters)
    rows = [
        f"x {words[0]} y",
        f"{words[4999]}!",
        f"z{words[17]}",
        f"{words[17]}z",
        "nothing here",
        f"{words[5]}, {words[4000]}",
    ]
    for hits, wanted in ((1, [True, True, False, False, False, True]), (2, [False] * 5 + [True])):
        sql = compile_rule(Rule(words=words, min_hits=hits))
        assert [r[0] for r in _evaluate([sql], rows)] == wanted


def test_long_lists_with_phrases_and_without_boundaries_are_found() -> None:
    words = tuple(f"{a} {b}" for a, b in zip(_many(5000), _many(5000)[::-1], strict=True))
    for hits, wanted in ((1, [True, True, False, False, False]), (2, [False, True, False, False, False])):
        texts = [words[7].replace(" ", "  "), f"{words[0]}, {words[4999]}", f"{words[0]}x", f"x{words[9]}", "x"]
        assert [r[0] for r in _evaluate([compile_rule(Rule(words=words, min_hits=hits))], texts)] == wanted
    for hits, found in ((1, True), (2, False)):
        bare = compile_rule(Rule(words=_many(5000), word_boundaries=False, min_hits=hits))
        assert [r[0] for r in _evaluate([bare], [f"x{_many(5)[4]}x", "x"])] == [found, False]


def _odd_words(count: int, letters: str) -> list[str]:
    """Words, phrases, and words with other characters at their ends."""
    ends = ("{}", "{} x", "{}+", "-{}", "{}\u0301", "{} + {}")
    return [ends[i % len(ends)].format(w, w[::-1]) for i, w in enumerate(_many(count, letters))]


@settings(max_examples=12, suppress_health_check=list(HealthCheck))
@given(st.data(), st.sampled_from([string.ascii_lowercase, "абвгßıſkς", "一二三日月", "😀👍🏽é"]))
def test_the_fast_expression_of_a_long_list_equals_the_plain_one(data: st.DataObject, letters: str) -> None:
    known = _odd_words(60, letters)
    words = tuple(data.draw(st.lists(st.sampled_from(known), min_size=20, max_size=60, unique=True)))
    part = st.sampled_from(known) | st.sampled_from([" ", " ", "", "x", "\u00a0\t", "+", "_", "\x01", "\u0301"])
    texts = data.draw(st.lists(st.lists(part, max_size=6).map("".join), min_size=30, max_size=40))
    hits, case, edges = data.draw(st.integers(1, 4)), data.draw(st.booleans()), data.draw(st.booleans())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("teachkit.voters.rules._LARGEST", data.draw(st.sampled_from([1, 50, 400])))
        matches(Rule(words=words, min_hits=hits, case_sensitive=case, word_boundaries=edges), *texts, None, "")


@pytest.mark.parametrize("letters", [string.ascii_lowercase, "".join(chr(0x4E00 + i) for i in range(1500))])
def test_a_long_list_keeps_re2_on_its_automaton(letters: str) -> None:
    """No pattern is larger than what was measured; see the module's docstring."""
    words = tuple(f"{a} {b}" for a, b in zip(_many(2000, letters), _many(2000, letters)[::-1], strict=True))
    sql = compile_rule(Rule(words=words))
    sizes = [len(pattern.replace(SPACE, " " * 17).encode()) for pattern in sql.split("regexp_matches(")[1:]]
    assert len(sizes) > 5
    assert max(sizes) < 10_000 + 2000  # between the words stand bars, around them the boundaries
    assert sum(sizes) < 2.5 * sum(len(w.encode()) + 16 for w in words)


# ---------------------------------------------------------------------------- literals that must be there

LITERALS = {
    "https?://": "http",
    "https?": "http",
    "abc": "abc",
    "ab+c": None,
    "ab+cd": "cd",
    "abc*d": "ab",
    "a.bcd": "bcd",
    "abc|abd": None,
    "(abc|abd)ef": "ef",
    "(abc)": None,
    "(abc)?def": "def",
    "ab{2}cde": "cde",
    "abc{0,1}": "ab",
    "[abc]def": "def",
    "[^]x]def": "def",
    "[]x]def": "def",
    "[[:alpha:]]def": None,
    r"a\.bc": "a.bc",
    r"\babc\b": "abc",
    r"\d+ years": " years",
    r"abc\n": None,
    r"\x41bc": None,
    r"\Qa.b\E": None,
    "(?i)abc": None,
    "abc(?i:def)": None,
    "^abc$": "abc",
    "abc??def": "def",
    "größe": "größe",
    "x": None,
    "": None,
    "ab{cd": None,
}


@pytest.mark.parametrize("pattern", LITERALS)
def test_the_literal_that_must_be_there_is_found(pattern: str) -> None:
    assert required_literal(pattern) == LITERALS[pattern]


ATOMS = {
    "a": "a",
    "b": "b",
    "ab": "ab",
    "abc": "abc",
    "ä": "ä",
    r"\.": ".",
    r"\+": "+",
    r"\d": "17",
    r"\w": "ab1",
    r"\s": " \n",
    ".": "abx.",
    "[ab]": "ab",
    "[^a]": "bx+",
    "[]a]": "]a",
    r"[\]a]": "]a",
    "x": "x",
    "yz": "yz",
}
"""Parts of patterns, each with what it matches: a whole text of letters, else one of the characters."""
QUANTIFIERS = {
    "": (1, 1),
    "?": (0, 1),
    "*": (0, 3),
    "+": (1, 3),
    "{0}": (0, 0),
    "{2}": (2, 2),
    "{0,2}": (0, 2),
    "{1,}": (1, 3),
    "*?": (0, 3),
    "+?": (1, 3),
    "??": (0, 1),
}


@st.composite
def patterns(draw: st.DrawFn, depth: int = 2) -> tuple[str, str]:
    """A pattern and a text that it matches."""
    whole = text = ""
    for _ in range(draw(st.integers(1, 4))):
        part = draw(st.sampled_from(list(ATOMS)))
        match = part if part.isalpha() else draw(st.sampled_from(ATOMS[part]))
        if depth and draw(st.integers(0, 3)) == 0:
            inner = draw(st.lists(patterns(depth - 1), min_size=1, max_size=3))
            part = draw(st.sampled_from(["(", "(?:"])) + "|".join(p for p, _ in inner) + ")"
            match = draw(st.sampled_from([m for _, m in inner]))
        quantifier = draw(st.sampled_from(["", "", "", *QUANTIFIERS]))
        # A quantifier counts the last character of a part of several.
        head, repeated = ("", match) if not part.isalpha() else (match[:-1], match[-1])
        whole += part + quantifier
        text += head + repeated * draw(st.integers(*QUANTIFIERS[quantifier]))
    if depth == 2 and draw(st.integers(0, 5)) == 0:
        other, match = draw(patterns(1))
        whole, text = f"{whole}|{other}", draw(st.sampled_from([text, match]))
    return draw(st.sampled_from(["", "", "^"])) + whole + draw(st.sampled_from(["", "", "$"])), text


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.data())
def test_every_match_of_a_pattern_holds_the_literal(data: st.DataObject) -> None:
    pattern, text = data.draw(patterns())
    need = required_literal(pattern)
    texts = data.draw(st.lists(st.text("abäxyz.+1 ]\n", max_size=8), min_size=20, max_size=20))
    texts += [text, f"x{text}", f"{text}b", text.replace("a", "b")]
    plain = f"regexp_matches(text, '{pattern}')"
    rows = _evaluate([plain, compile_rule(Rule(regex=pattern))], texts)
    for given_text, (found, fast) in zip(texts, rows, strict=True):
        assert fast == found
        assert not found or need is None or need in given_text
    assert re.match(r"\^|.*\$$|.*\.", pattern) or rows[-4][0]


# ---------------------------------------------------------------------------- the rest


def test_a_dictionary_has_one_word_a_line() -> None:
    text = "# notes\n\n  good \nvery good\ngood\n #also a note\nö\r\nend"
    assert read_dictionary(text) == ("good", "very good", "ö", "end")
    assert read_dictionary("# nothing\n\n") == ()


def test_rules_that_mean_the_same_have_one_canonical_form() -> None:
    one = Rule(any_of=("Buy", "buy  now"), words=("x",), none_of=("NO",))
    same = Rule(any_of=("x", "buy now", "BUY", "buy"), none_of=("no", "No"))
    assert rule_canonical(one) == rule_canonical(same)
    for other in (
        Rule(any_of=("buy", "buy now"), none_of=("no",)),
        Rule(any_of=("buy", "buy now", "x")),
        Rule(any_of=("buy", "buy now", "x"), none_of=("no",), word_boundaries=False),
        Rule(any_of=("buy", "buy now", "x"), none_of=("no",), min_hits=2),
        Rule(any_of=("buy", "buy now", "x"), none_of=("no",), column="title"),
        Rule(any_of=("buy", "buy now", "x"), none_of=("no",), case_sensitive=True),
        Rule(any_of=("buy", "buy now", "x"), none_of=("no",), regex="a"),
    ):
        assert rule_canonical(other) != rule_canonical(one)


def test_a_regular_expression_that_re2_does_not_know_is_told() -> None:
    assert check_regex("a+b") is None
    for pattern in ("(?<=a)b", "(a", "a{2000}", r"(a)\1", "[z-a]", "*"):
        problem = check_regex(pattern)
        assert problem
        assert "Error" not in problem
