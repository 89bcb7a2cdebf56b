"""SQL as text: what runs of it, and the form in which two texts are compared.

Compared are tokens, not the syntax tree that sqlglot makes of them. The tree loses what DuckDB tells apart
(``not a in (2) = b`` and ``a not in (2) = b`` are written alike again; ``->`` binds otherwise), so two meanings could
share a fingerprint; and the text that it is written as changes with sqlglot's version, while a fingerprint is to hold
on a laptop and in CI.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from teachkit.graph.names import fold, quote

if TYPE_CHECKING:
    from collections.abc import Sequence

_RESERVED = frozenset(
    """
    all analyse analyze and any array as asc asymmetric both case cast check collate column constraint create default
    deferrable desc describe distinct do else end except false fetch for foreign from group having in initially
    intersect into lambda lateral leading limit not null offset on only or order pivot pivot_longer pivot_wider placing
    primary qualify references returning select show some summarize symmetric table then to trailing true union unique
    unpivot using variadic when where window with
    """.split()  # noqa: SIM905 - a page of names is easier to read than a list of strings
)
"""Words that DuckDB takes for a name only in quotes."""


def trimmed(sql: str) -> str:
    """SQL without what stands around it: white space, comments, semicolons."""
    tokens = _tokens(sql)
    return sql[tokens[0].start : tokens[-1].end + 1] if tokens else ""


def canonical(sql: str) -> str:
    """SQL with one space between its tokens, words in lower case, without comments and what is optional.

    Optional are quotes around names that need none, AS before a name, and one of two ways to write an operator.
    """
    tokens = _tokens(sql)
    inside: list[str] = []  # the words before the open parentheses
    written = ""
    for index, token in enumerate(tokens):
        if token.text == "(":
            inside.append(fold(tokens[index - 1].text) if index else "")
        elif token.text == ")" and inside:
            inside.pop()
        if not _is_optional(tokens, index, inside[-1] if inside else ""):
            written += ("" if index and _belongs(tokens[index - 1], token) else " ") + _word(sql, token)
    return written.strip()


def _tokens(sql: str) -> list[Any]:
    from sqlglot import TokenType
    from sqlglot.dialects.duckdb import DuckDB

    return [t for t in DuckDB().tokenize(sql) if t.token_type != TokenType.SEMICOLON]


def _word(sql: str, token: Any) -> str:
    written = sql[token.start : token.end + 1]
    match token.token_type.name:
        case "IDENTIFIER":
            name = fold(token.text)
            return name if re.fullmatch(r"[^\W\d]\w*", name) and name not in _RESERVED else quote(name)
        case "NEQ":
            return "<>"
        case "EQ":
            return "="
        case kind if kind.endswith("STRING"):
            return written
    return " ".join(fold(written).split())


def _is_optional(tokens: Sequence[Any], index: int, inside: str) -> bool:
    """Whether a token is AS before a name, where it may be left out."""
    if tokens[index].token_type.name != "ALIAS" or inside in _NEED_AS or index + 1 == len(tokens):
        return False
    following = tokens[index + 1]
    word = fold(following.text)
    return following.token_type.name in ("VAR", "IDENTIFIER") and word not in _RESERVED and word != "materialized"


_NEED_AS = ("cast", "try_cast", "replace", "rename", "pivot", "unpivot")
_OPERATOR = re.compile(r"[!~<>=|&^%*/@#?:.+-]+")


def _belongs(before: Any, token: Any) -> bool:
    """Whether two tokens without space between them may be one for DuckDB: ``.5``, ``x'00'``, ``!~~``, ``>>``."""
    if before.end + 1 != token.start:
        return False
    kind, kind_before = token.token_type.name, before.token_type.name
    if _OPERATOR.fullmatch(before.text) and _OPERATOR.fullmatch(token.text):
        return token.text[0] not in "+-@"
    number = "NUMBER" in (kind, kind_before) and "." in (before.text, token.text)
    return number or (kind.endswith("STRING") and bool(kind_before == "VAR"))
