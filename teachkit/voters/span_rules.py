r"""Rules that mark places of a text, as DuckDB expressions that give lists of spans.

What a rule finds is put between two marks by one ``regexp_replace`` over all of the text, so that matches are those of
RE2 from left to right, each after the end of the one before. The text is then split at the marks, and the lengths of
the pieces, in code points, are the offsets. A text that holds the marks itself (control characters) has others in
their place while it is looked through, as many of them.

Of words with boundaries, the ends of every run of word characters are marked first: a word is then found with its
edges in one pattern, and neighbours need not share what stands between them. Of words that begin at the same place the
longest counts. ``lower`` of DuckDB changes each code point for one, so that offsets stay.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from teachkit.graph.names import literal, quote
from teachkit.voters.rules import SPACE, WORD, Rule, class_end, escape, marked_word, normal_word, pieces

if TYPE_CHECKING:
    from collections.abc import Sequence

MARKING = 1
"""Raised when the same rule marks other places."""

_BEGIN, _END, _EDGE = "\x02", "\x03", "\x01"
_MARKS = _EDGE + _BEGIN + _END
_FLAGS = re.compile(r"\(\?[a-zA-Z-]+\)")
_MOST_GROUPS = 9


def span_expression(rule: Rule, label: str, group: int | None) -> str | None:
    """The spans that a rule marks where it holds: of its regular expression, else of its words; NULL for none.

    None if ``group`` of the regular expression is not a part of it that every match has, once.
    """
    column = f"translate(cast({quote(rule.column)} as varchar), '{_MARKS}', '{chr(0xFFFD) * len(_MARKS)}')"
    if rule.regex is not None:
        around = around_group(rule.regex, group or 0)
        if around is None:
            return None
        marked = [f"regexp_replace({column}, {literal(around[0])}, {literal(around[1])}, 'g')"]
    else:
        marked = _words(rule, column if rule.case_sensitive else f"lower({column})")
    found = [_spans(text, label) for text in marked]
    whole = found[0] if len(found) == 1 else _leftmost(found)
    return f"list_transform([{whole}], lambda found: case when len(found) > 0 then found end)[1]"


def _words(rule: Rule, subject: str) -> list[str]:
    words = {normal_word(word, rule) for word in (*rule.any_of, *rule.words)}
    longest = sorted(words, key=lambda word: (-len(word), word))
    edge = marked_word if rule.word_boundaries else str
    if rule.word_boundaries:
        subject = f"regexp_replace({subject}, '([{WORD}]+)', '{_EDGE}\\1{_EDGE}', 'g')"
    found = []
    for piece in pieces(longest):
        bodies = [SPACE.join(escape(edge(part)) for part in word.split(" ")) for word in piece]
        pattern = literal(f"({'|'.join(bodies)})")
        found.append(f"regexp_replace({subject}, {pattern}, '{_BEGIN}\\1{_END}', 'g')")
    return found


def _spans(marked: str, label: str) -> str:
    """The list of what stands between the marks of a text; without what is empty."""
    start = "cast(list_sum(list_transform(parts[1:i], lambda part: length(part))) as integer)"
    end = f"cast({start} + length(string_split(rests[i + 1], '{_END}')[1]) as integer)"
    span = f'struct_pack("start" := {start}, "end" := {end}, "label" := {literal(label)})'
    split = f"[string_split(translate({marked}, '{_EDGE}', ''), '{_BEGIN}')]"
    plain = f"list_transform(rests, lambda rest: replace(rest, '{_END}', ''))"
    spans = f"list_transform(range(1, len(rests)), lambda i: list_transform([{plain}], lambda parts: {span})[1])"
    return f'list_filter(list_transform({split}, lambda rests: {spans})[1], lambda s: s."start" < s."end")'


def _leftmost(lists: Sequence[str]) -> str:
    """Several lists as one without overlaps: what begins first counts, then what is longest."""
    each = "list_transform(found, lambda s: [s])"
    key = "{'a': s.\"start\", 'b': -s.\"end\", 's': s}"
    order = f"list_transform(list_sort(list_transform(lists, lambda s: {key})), lambda x: x.s)"
    joined = f"list_transform([flatten([{', '.join(lists)}])], lambda lists: {order})[1]"
    both = 'case when x[1]."start" >= kept[-1]."end" then list_concat(kept, x) else kept end'
    reduced = f"list_reduce({each}, lambda kept, x: {both})"
    return f"list_transform([{joined}], lambda found: case when len(found) > 0 then {reduced} end)[1]"


def around_group(pattern: str, group: int) -> tuple[str, str] | None:
    """A pattern and a replacement that puts marks around a group; None if that is not a part of every match, once.

    Group 0 is the whole match. Else the pattern is taken apart at the group, which must stand outside all other
    groups and alternatives, without a repetition behind it.
    """
    if group == 0:
        return f"({pattern})", f"{_BEGIN}\\1{_END}"
    flags = ""
    while (lead := _FLAGS.match(pattern)) is not None:
        flags, pattern = flags + lead[0], pattern[lead.end() :]
    if "\\Q" in pattern or _FLAGS.search(pattern):
        return None
    found = _outer_groups(pattern)
    if found is None or group not in found:
        return None
    start, end, inside = found[group]
    if pattern[end : end + 1] in ("*", "+", "?", "{"):
        return None
    whole, last = group + 1, group + 1 + inside + 1
    if last > _MOST_GROUPS:
        return None
    before, mine, after = pattern[:start], pattern[start:end], pattern[end:]
    return f"{flags}({before}){mine}({after})", f"\\1{_BEGIN}\\{whole}{_END}\\{last}"


def _outer_groups(pattern: str) -> dict[int, tuple[int, int, int]] | None:
    """Of each group outside all others: where it begins and ends, and how many groups it holds.

    None where alternatives stand outside of groups, or the pattern is beyond this reading of it.
    """
    found: dict[int, tuple[int, int, int]] = {}
    opened: list[tuple[int, int]] = []  # number (0: captures nothing) and start
    index, count = 0, 0
    while index < len(pattern):
        c = pattern[index]
        if c == "\\":
            index += 1
        elif c == "[":
            end = class_end(pattern, index)
            if end is None:
                return None
            index = end
        elif c == "(":
            captures = pattern[index + 1 : index + 2] != "?" or pattern[index + 1 : index + 4] == "?P<"
            count += captures
            opened.append((count if captures else 0, index))
        elif c == ")":
            number, start = opened.pop()
            if not opened and number:
                found[number] = (start, index + 1, count - number)
        elif c == "|" and not opened:
            return None
        index += 1
    return found
