r"""Rules over words and regular expressions, as the fastest DuckDB expression that means the same.

Meaning. Words and phrases are compared with the column, both in lower case (by DuckDB's ``lower``) unless
``case_sensitive``; white space within a phrase stands for any run of it, of any kind; with ``word_boundaries`` no
letter, mark, digit or underscore may touch a word's end that is one itself. ``regex`` is taken as written. All kinds
given must hold; ``min_hits`` counts different words of ``any_of`` and the dictionary. NULL gives NULL.

Speed, measured on 1,000,000 texts of 115 characters, 1 thread. A ``contains`` costs 30 ms, a regular expression 270.
So a literal that must be there is looked for first, one for each word of a short list; and a long list becomes one
alternation, which costs the same for 3 words and for 1,000 (one expression for each of 50 words: 50 times as much).
Longer lists are cut in pieces that RE2 has memory for: beyond, its automaton starts anew all the time, and a row
costs 20 to 300 times as much (5,000 phrases: 3 µs a row, in pieces of 16 KB 38; of Chinese words 2 instead of 150).
Hits are counted by one alternation too: for 500 words 44 times faster than a sum over the words.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

from teachkit.graph.names import literal, quote

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

VERSION = 1
_SINGLY = 2  # up to so many words, one `contains` each is no slower than an alternation
_LOOKED_FOR = 6  # up to so many words, looking for each before the alternation is faster than the alternation alone
_SUMMED = 4  # up to so many hits, a sum over the words is no slower than counting matches
_LARGEST = 10_000  # of an alternation, in bytes, with white space as _SPACE_SIZE of them: the automaton's states
_SPACE_SIZE = 16
WORD = r"\p{L}\p{M}\p{N}_"
_BEFORE, _AFTER = rf"(?:^|[^{WORD}])", rf"(?:$|[^{WORD}])"
SPACE = r"[\s\x0B\x1C-\x1F\x{85}\p{Z}]+"
_EDGE = "\x01"  # stands where a word begins or ends in a marked text


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule over one column; ``words`` is the content of a dictionary."""

    column: str = "text"
    any_of: tuple[str, ...] = ()
    all_of: tuple[str, ...] = ()
    none_of: tuple[str, ...] = ()
    regex: str | None = None
    words: tuple[str, ...] = ()
    min_hits: int = 1
    case_sensitive: bool = False
    word_boundaries: bool = True


def read_dictionary(text: str) -> tuple[str, ...]:
    """The words of a dictionary file: one a line; blank lines and lines that start with ``#`` are passed over."""
    lines = (line.strip() for line in text.splitlines())
    return tuple(dict.fromkeys(line for line in lines if line and not line.startswith("#")))


def rule_canonical(rule: Rule) -> Any:
    """What a rule means, as JSON-able values: order, repetition and (where it does not count) case are gone."""

    def words(found: tuple[str, ...]) -> list[str]:
        return sorted({normal_word(word, rule) for word in found})

    return {
        "column": rule.column,
        "any_of": words((*rule.any_of, *rule.words)),
        "all_of": words(rule.all_of),
        "none_of": words(rule.none_of),
        "regex": rule.regex,
        "min_hits": rule.min_hits,
        "case_sensitive": rule.case_sensitive,
        "word_boundaries": rule.word_boundaries,
        "version": VERSION,
    }


def check_regex(pattern: str) -> str | None:
    """What RE2 has against a pattern, None if nothing."""
    return _problem("select regexp_matches('', ?)", [pattern])


def check_group(pattern: str, group: int) -> str | None:
    """Why a pattern has no such group, None if it has; group 0 is the whole match."""
    names = ", ".join(f"'g{number}'" for number in range(group))
    if not group or _problem(f"select regexp_extract('', {literal(pattern)}, [{names}])", []) is None:
        return None
    return f"there is no group {group} in this regular expression"


def matches_nothing(pattern: str) -> bool:
    """Whether a pattern that RE2 takes matches the empty text."""
    import duckdb

    with duckdb.connect() as connection:
        return bool(connection.execute("select regexp_matches('', ?)", [pattern]).fetchall()[0][0])


def _problem(sql: str, values: list[str]) -> str | None:
    import duckdb

    try:
        with duckdb.connect() as connection:
            connection.execute(sql, values).fetchall()
    except duckdb.Error as error:
        return str(error).splitlines()[0].removeprefix("Invalid Input Error: ")
    return None


def compile_rule(rule: Rule) -> str:
    """The fast expression."""
    return _compile(rule, fast=True)


def plain_rule(rule: Rule) -> str:
    """The plain expression, a regular expression for each word: what ``compile_rule`` must equal."""
    return _compile(rule, fast=False)


def _compile(rule: Rule, *, fast: bool) -> str:
    column = f"cast({quote(rule.column)} as varchar)"
    words = _Words(rule, column if rule.case_sensitive else f"lower({column})", fast=fast)
    parts = []
    any_of = words.normal((*rule.any_of, *rule.words))
    if any_of:
        parts.append(words.any(any_of) if rule.min_hits == 1 else words.count(any_of, rule.min_hits))
    parts += [words.one(word) for word in words.normal(rule.all_of)]
    if rule.regex is not None:
        parts.append(_regex(rule.regex, column, fast=fast))
    none_of = words.normal(rule.none_of)
    if none_of:
        parts.append(f"not ({words.any(none_of)})")
    return " and ".join(f"({part})" for part in parts)


class _Words:
    """SQL about words of one rule in one column."""

    def __init__(self, rule: Rule, subject: str, *, fast: bool) -> None:
        self.rule = rule
        self.subject = subject
        self.fast = fast

    def normal(self, words: Sequence[str]) -> list[str]:
        return sorted({normal_word(word, self.rule) for word in words})

    def one(self, word: str) -> str:
        """Whether a word is there."""
        (exact,) = self._alternations([word])
        if not self.fast:
            return self._matches(exact)
        if " " not in word and not self.rule.word_boundaries:
            return self._contains(word)
        return f"{self._contains(max(word.split(' '), key=len))} and {self._matches(exact)}"

    def any(self, words: Sequence[str]) -> str:
        """Whether one of the words is there."""
        if self.fast and len(words) > _SINGLY:
            exact = " or ".join(self._matches(p) for p in self._alternations(words))
            if len(words) > _LOOKED_FOR:
                return exact
            looked_for = dict.fromkeys(max(word.split(" "), key=len) for word in words)
            return f"({' or '.join(map(self._contains, looked_for))}) and ({exact})"
        return " or ".join(f"({self.one(w)})" for w in words)

    def count(self, words: Sequence[str], least: int) -> str:
        """Whether so many different words are there."""
        if not self.fast:
            return f"{_sum([f'cast({self.one(w)} as integer)' for w in words])} >= {least}"
        tokens = [w for w in words if self.rule.word_boundaries and all(map(is_word, w))]
        counts = list(self._tokens_there(tokens)) if len(tokens) > _SUMMED else []
        others = [w for w in words if w not in set(tokens)] if counts else words
        counts += (
            [self._how_many(others)] if len(others) > _SUMMED else [f"cast({self.one(w)} as integer)" for w in others]
        )
        # CASE, for DuckDB may try the parts of AND in any order.
        found = f"when {self.any(words)} then {_sum(counts)} >= {least}"
        return f"case {found} when {self.subject} is not null then false end"

    def _how_many(self, words: Sequence[str]) -> str:
        """How many of the words are there: each is looked for in one text whose words are marked."""
        text = f"regexp_replace({self.subject}, {literal(SPACE)}, ' ', 'g')"
        if self.rule.word_boundaries:
            text = f"regexp_replace({text}, '([{WORD}]+)', '{_EDGE}\\1{_EDGE}', 'g')"
            words = [marked_word(word) for word in words]
        found = f"list_filter([{', '.join(map(literal, words))}], lambda word: contains(marked, word))"
        return f"list_transform([{text}], lambda marked: len({found}))[1]"

    def _tokens_there(self, tokens: Sequence[str]) -> Iterator[str]:
        """How many of the words are there that are nothing but word characters: they cannot overlap.

        What stands between words is doubled, so that each match can have its own on either side.
        """
        doubled = rf"regexp_replace({self.subject}, '([^{WORD}])', '\1\1', 'g')"
        for piece in pieces(tokens):
            pattern = f"{_BEFORE}({'|'.join(map(escape, piece))}){_AFTER}"
            yield f"len(list_distinct(regexp_extract_all({doubled}, {literal(pattern)}, 1)))"

    def _alternations(self, words: Sequence[str]) -> Iterator[str]:
        """Patterns of which one matches exactly where one of the words is there."""
        groups: dict[tuple[str, str], list[str]] = {}
        for word in words:
            ends = ("", "")
            if self.rule.word_boundaries:
                ends = (_BEFORE if is_word(word[0]) else "", _AFTER if is_word(word[-1]) else "")
            groups.setdefault(ends, []).append(word)
        for (before, after), found in sorted(groups.items()):
            for piece in pieces(found):
                bodies = [SPACE.join(escape(part) for part in word.split(" ")) for word in piece]
                yield f"{before}(?:{'|'.join(bodies)}){after}" if len(bodies) > 1 else before + bodies[0] + after

    def _matches(self, pattern: str) -> str:
        return f"regexp_matches({self.subject}, {literal(pattern)})"

    def _contains(self, text: str) -> str:
        return f"contains({self.subject}, {literal(text)})"


def pieces(words: Sequence[str]) -> Iterator[list[str]]:
    """The words in runs that RE2 can take at once."""
    piece: list[str] = []
    size = 0
    for word in words:
        more = len(word.encode()) + _SPACE_SIZE * word.count(" ")
        if piece and size + more > _LARGEST:
            yield piece
            piece, size = [], 0
        piece.append(word)
        size += more
    if piece:
        yield piece


def marked_word(word: str) -> str:
    """A word with its edges: where a marked text holds it, no other word character touches it."""
    runs = groupby(word, is_word)
    return "".join(_EDGE + "".join(run) + _EDGE if is_word else "".join(run) for is_word, run in runs)


def _sum(terms: Sequence[str]) -> str:
    """A sum in balanced parentheses: DuckDB limits the depth of expressions."""
    if len(terms) == 1:
        return terms[0]
    half = len(terms) // 2
    return f"({_sum(terms[:half])} + {_sum(terms[half:])})"


def normal_word(word: str, rule: Rule) -> str:
    word = " ".join(word.split())
    return word if rule.case_sensitive else _lower(word)


def _lower(word: str) -> str:
    """Lower case as DuckDB has it: character by character."""
    return "".join("i" if c == "İ" else c.lower() if len(c.lower()) == 1 else c for c in word)


def is_word(character: str) -> bool:
    """Whether words are made of such characters."""
    import unicodedata

    return character == "_" or unicodedata.category(character)[0] in "LMN"


def escape(text: str) -> str:
    return "".join("\\" + c if c in r"\.+*?()|[]{}^$" else c for c in text)


def _regex(pattern: str, subject: str, *, fast: bool) -> str:
    exact = f"regexp_matches({subject}, {literal(pattern)})"
    need = required_literal(pattern) if fast else None
    return f"contains({subject}, {literal(need)}) and {exact}" if need else exact


def required_literal(pattern: str) -> str | None:
    r"""The longest string that every match of a regular expression holds, if that is certain; else None.

    Read are plain characters and escaped punctuation outside groups and classes; a flag, an alternation at the top or
    anything unknown ends the search. ``None`` is always right.
    """
    if re.search(r"\(\?", pattern) or "\\Q" in pattern:
        return None
    runs, current, index, depth = [], "", 0, 0
    while index < len(pattern):
        c = pattern[index]
        if c == "|" and depth == 0:
            return None
        if c == "[":
            end = class_end(pattern, index)
            if end is None:
                return None
            runs.append(current)
            current, index = "", end + 1
        elif c in "()":
            depth += 1 if c == "(" else -1
            runs.append(current)
            current, index = "", index + 1
        elif c == "\\":
            following = pattern[index + 1 : index + 2]
            index += 2
            if depth == 0 and following and not following.isalnum() and following.isascii():
                current += following
            elif following.isalnum() and following not in "dDsSwWbBAz":
                return None
            else:
                runs.append(current)
                current = ""
        elif c in ".^$":
            runs.append(current)
            current, index = "", index + 1
        elif c in "*?+{":
            if c == "{" and not re.match(r"\{\d+(,\d*)?\}", pattern[index:]):
                return None
            runs.append(current[:-1])
            current = ""
            index += len(re.match(r"\{\d+(,\d*)?\}|.", pattern[index:])[0])  # type: ignore[index]
            while index < len(pattern) and pattern[index] in "?+":
                index += 1
        else:
            current = current + c if depth == 0 else ""
            index += 1
    runs.append(current)
    best = max(runs, key=len)
    return best if len(best) >= 2 else None


def class_end(pattern: str, start: int) -> int | None:
    index = start + 1
    if pattern[index : index + 1] == "^":
        index += 1
    if pattern[index : index + 1] == "]":
        index += 1
    while index < len(pattern):
        if pattern[index] == "\\":
            index += 2
        elif pattern[index] == "[":
            return None
        elif pattern[index] == "]":
            return index
        else:
            index += 1
    return None


def words_spans(rule: Rule, text: str) -> list[tuple[int, int]]:
    """Where words of ``any_of``, ``all_of`` and the dictionary stand in a text: [start, end), in order, apart."""
    subject = text if rule.case_sensitive else _lower(text)
    found: list[tuple[int, int]] = []
    for word in {normal_word(word, rule) for word in (*rule.any_of, *rule.words, *rule.all_of)}:
        pattern = r"\s+".join(re.escape(part) for part in word.split(" "))
        spans = (match.span() for match in re.finditer(pattern, subject))
        found += [s for s in spans if not rule.word_boundaries or _stands_alone(subject, *s)]
    kept: list[tuple[int, int]] = []
    for start, end in sorted(found, key=lambda span: (span[0], -span[1])):
        if not kept or start >= kept[-1][1]:
            kept.append((start, end))
    return kept


def _stands_alone(text: str, start: int, end: int) -> bool:
    """Whether no word character touches the word at either end that is one itself."""
    before = start > 0 and is_word(text[start]) and is_word(text[start - 1])
    after = end < len(text) and is_word(text[end - 1]) and is_word(text[end])
    return not before and not after
