r"""Rules over words and regular expressions, as the fastest DuckDB expression that means the same.

Meaning. Words and phrases are compared with the column, both in lower case (by DuckDB's ``lower``) unless
``case_sensitive``; white space within a phrase stands for any run of it; with ``word_boundaries`` no letter, mark,
digit or underscore may touch a word's end that is one itself. ``regex`` is taken as written. All kinds given must hold;
``min_hits`` counts different words of ``any_of`` and the dictionary.

Speed. ``contains`` costs a quarter of any regular expression, so one is tested first where the expression needs a
literal; a long list of words becomes one alternation (8 times faster than so many ``contains``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from teachkit.graph.sql import literal, quote

VERSION = 1
_SINGLY = 4  # up to so many words, one `contains` each is faster than an alternation
_WORD = r"[\p{L}\p{M}\p{N}_]"
_BEFORE, _AFTER = r"(?:^|[^\p{L}\p{M}\p{N}_])", r"(?:$|[^\p{L}\p{M}\p{N}_])"


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
        return sorted({_normal(word, rule) for word in found})

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
    import duckdb

    try:
        with duckdb.connect() as connection:
            connection.execute("select regexp_matches('', ?)", [pattern]).fetchall()
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
    subject = quote(rule.column) if rule.case_sensitive else f"lower({quote(rule.column)})"
    any_of = sorted({_normal(w, rule) for w in (*rule.any_of, *rule.words)})
    parts = []
    if any_of:
        parts.append(_any(any_of, rule, subject, fast) if rule.min_hits == 1 else _count(any_of, rule, subject, fast))
    parts += [_one(word, rule, subject, fast) for word in sorted({_normal(w, rule) for w in rule.all_of})]
    if rule.regex is not None:
        parts.append(_regex(rule.regex, quote(rule.column), fast))
    none_of = sorted({_normal(w, rule) for w in rule.none_of})
    if none_of:
        parts.append(f"not {_any(none_of, rule, subject, fast)}")
    return " and ".join(f"({part})" for part in parts)


def _normal(word: str, rule: Rule) -> str:
    word = " ".join(word.split())
    return word if rule.case_sensitive else _lower(word)


def _lower(word: str) -> str:
    """Lower case as DuckDB has it: character by character."""
    return "".join(c.lower() if len(c.lower()) == 1 else c for c in word)


def _pattern(word: str, rule: Rule) -> str:
    body = r"\s+".join(_escape(part) for part in word.split(" "))
    if not rule.word_boundaries:
        return body
    return (_BEFORE if _is_word(word[0]) else "") + body + (_AFTER if _is_word(word[-1]) else "")


def _is_word(character: str) -> bool:
    import unicodedata

    return character == "_" or unicodedata.category(character)[0] in "LMN"


def _escape(text: str) -> str:
    return "".join("\\" + c if c in r"\.+*?()|[]{}^$" else c for c in text)


def _matches(subject: str, pattern: str) -> str:
    return f"regexp_matches({subject}, {literal(pattern)})"


def _one(word: str, rule: Rule, subject: str, fast: bool) -> str:
    exact = _matches(subject, _pattern(word, rule))
    if not fast:
        return exact
    if " " not in word and not rule.word_boundaries:
        return f"contains({subject}, {literal(word)})"
    need = max(word.split(" "), key=len)
    return f"contains({subject}, {literal(need)}) and {exact}"


def _any(words: list[str], rule: Rule, subject: str, fast: bool) -> str:
    if not fast:
        return "(" + " or ".join(_matches(subject, _pattern(w, rule)) for w in words) + ")"
    if len(words) <= _SINGLY:
        return "(" + " or ".join(f"({_one(w, rule, subject, fast)})" for w in words) + ")"
    return _matches(subject, "|".join(_pattern(w, rule) for w in words))


def _count(words: list[str], rule: Rule, subject: str, fast: bool) -> str:
    hits = " + ".join(f"cast({_one(w, rule, subject, fast)} as integer)" for w in words)
    count = f"({hits}) >= {rule.min_hits}"
    if not fast or len(words) <= _SINGLY:
        return count
    return f"{_any(words, rule, subject, fast)} and {count}"


def _regex(pattern: str, subject: str, fast: bool) -> str:
    exact = _matches(subject, pattern)
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
            end = _class_end(pattern, index)
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


def _class_end(pattern: str, start: int) -> int | None:
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
