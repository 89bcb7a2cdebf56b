"""Items to look at: chosen by the hash of their keys, so that they are the same each time; texts cut to be read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from teachkit.printable import printable
from teachkit.voters.rules import Rule, words_spans

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from teachkit.build.execute import Executor
    from teachkit.graph import Node, TaskInfo

LONGEST = 300
"""Characters of a text that are kept."""
_BEFORE = 0.4  # of a cut text's width, what stands before its first match
_OPEN, _CLOSE = "\x02", "\x03"


@dataclass(frozen=True, slots=True)
class Excerpt:
    """A text of an item on one line, cut where it is long, and the places [start, end) in it that a rule matches."""

    text: str
    marks: tuple[tuple[int, int], ...] = ()

    def narrowed(self, width: int) -> Excerpt:
        """Cut to a width in characters, around the first match."""
        if len(self.text) <= width:
            return self
        first = self.marks[0] if self.marks else (0, 0)
        start = max(0, min(first[0] - int(width * _BEFORE), len(self.text) - width + 1))
        if first[1] <= width - 1:
            start = 0
        body = self.text[start : start + width - 1]
        before = "…" if start else ""
        after = "…" if start + len(body) < len(self.text) else ""
        body = body[: width - len(before) - len(after)]
        moved = len(before) - start
        end = len(before) + len(body)
        marks = [(max(s + moved, len(before)), min(e + moved, end)) for s, e in self.marks]
        whole = [e - s == old[1] - old[0] for (s, e), old in zip(marks, self.marks, strict=True)]
        kept = (m for number, m in enumerate(marks) if m[0] < m[1] and (whole[number] or number == 0))
        return Excerpt(before + body + after, tuple(kept))


def excerpt(text: str, spans: Sequence[tuple[int, int]] = (), width: int = LONGEST) -> Excerpt:
    """A text on one line: white space as one blank, what cannot be printed replaced, the ``spans`` of it marked."""
    line: list[str] = []
    places: list[int] = []
    last = max((end for _, end in spans), default=0)
    for index, character in enumerate(text):
        places.append(len(line))
        if character.isspace():
            if line and line[-1] != " ":
                line.append(" ")
        else:
            line.append(printable(character))
        if len(line) > LONGEST and index >= last + LONGEST * bool(last):
            break  # the rest would be cut anyway
    places.append(len(line))
    marks = [(places[start], places[end]) for start, end in spans if end < len(places)]
    found = "".join(line).rstrip()
    more = len(places) <= len(text)
    marks = [(start, min(end, len(found))) for start, end in marks]
    return Excerpt(found + ("…" if more else ""), tuple((s, e) for s, e in marks if s < e)).narrowed(width)


def order_of(run: Executor, task: TaskInfo) -> Any:
    """A number for each item [N] from the hash of its key: the order in which examples are taken."""
    from teachkit.build.gold import key_hashes

    return key_hashes(run, task)


def first_of(chosen: Any, order: Any, limit: int) -> list[int]:
    """The first ``limit`` rows of those that are ``chosen`` [N], in the given order."""
    import numpy as np

    rows = np.flatnonzero(chosen)
    if len(rows) > limit:
        rows = rows[np.argpartition(order[rows], limit)[: limit + 1]]
    found: list[int] = rows[np.argsort(order[rows], kind="stable")][:limit].tolist()
    return found


def shown_columns(task: TaskInfo, node: Node | None, columns: Sequence[str]) -> list[str]:
    """The columns of an item that are shown: what a voter reads first, then what the task shows."""
    read = list(node.spec.columns) if node is not None and len(node.spec.columns) <= 2 else []
    shown = list(dict.fromkeys([*read, *task.show]))
    if not shown:
        shown = [c for c in columns if c in ("text", "content", "body", "title")] or list(columns)
    hidden = {task.key, *task.secret_columns}
    return [c for c in shown if c not in hidden][:3]


def rows_of(run: Executor, task: TaskInfo, rows: Sequence[int], columns: Sequence[str]) -> dict[int, Mapping[str, Any]]:
    """Some rows of the dataset, counted over all its parts: the key (as ``key``) and columns as text."""
    from teachkit.engine.session import parquet
    from teachkit.graph import quote

    found: dict[int, Mapping[str, Any]] = {}
    start = 0
    names = ["key", *columns]
    texts = ", ".join(f"cast({quote(c)} as varchar)" for c in (task.key, *columns))
    for part in run.outputs[task.dataset].parts:
        here = [row - start for row in rows if start <= row < start + part.rows]
        if here:
            relation = parquet([run.store.path(part.key)], row_number=True)
            numbers = ", ".join(str(number) for number in here)
            sql = f"select file_row_number, {texts} from {relation} where file_row_number in ({numbers})"
            for number, *values in run.session.rows(sql):
                found[start + number] = dict(zip(names, values, strict=True))
        start += part.rows
    return found


def rule_of(node: Node) -> Rule | None:
    """The rule of words or of a regular expression that a labeling function is; None if it is anything else."""
    voter = node.canonical.get("voter") if isinstance(node.canonical, dict) else None
    rule = voter.get("rule") if isinstance(voter, dict) else None
    if not isinstance(rule, dict):
        return None
    return Rule(
        column=rule["column"],
        any_of=tuple(rule["any_of"]),
        all_of=tuple(rule["all_of"]),
        regex=rule["regex"],
        case_sensitive=rule["case_sensitive"],
        word_boundaries=rule["word_boundaries"],
    )


def spans_of(run: Executor, rule: Rule | None, texts: Sequence[str]) -> list[list[tuple[int, int]]]:
    """Where a rule matches each text."""
    if rule is None:
        return [[] for _ in texts]
    found = [words_spans(rule, text) for text in texts]
    if rule.regex is None or not texts:
        return found
    from teachkit.graph import literal

    plain = [text.replace(_OPEN, " ").replace(_CLOSE, " ") for text in texts]
    values = ", ".join(f"({number}, {literal(text)})" for number, text in enumerate(plain))
    mark = f"{_OPEN}\\0{_CLOSE}"
    replaced = f"regexp_replace(t, {literal(rule.regex)}, {literal(mark)}, 'g')"
    sql = f"select {replaced} from (values {values}) v(i, t) order by i"
    marked = [_unmarked(text) for (text,) in run.session.rows(sql)]
    return [_merged(words, spans) for words, spans in zip(found, marked, strict=True)]


def _unmarked(text: str) -> list[tuple[int, int]]:
    spans: list[tuple[int, int]] = []
    start = at = 0
    for character in text:
        if character == _OPEN:
            start = at
        elif character == _CLOSE:
            spans += [(start, at)] if start < at else []
        else:
            at += 1
    return spans


def _merged(first: list[tuple[int, int]], second: list[tuple[int, int]]) -> list[tuple[int, int]]:
    kept: list[tuple[int, int]] = []
    for start, end in sorted([*first, *second]):
        if kept and start < kept[-1][1]:
            kept[-1] = (kept[-1][0], max(end, kept[-1][1]))
        else:
            kept.append((start, end))
    return kept
