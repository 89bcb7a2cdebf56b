"""A comparison as the comment of a bot on a pull request: what matters at a glance, the rest folded away."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from teachkit.diff.report import Code, cut, sections
from teachkit.diff.words import alerts, headline, no_base, verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from teachkit.diff.report import Cell, Section, Table
    from teachkit.diff.result import Diff, End

MARKER = "<!-- teachkit diff -->"
"""The first line: a bot finds its own comment by it, and updates it."""

LIMIT = 65_000  # characters; GitHub takes 65,536
_ROWS = (1000, 200, 50, 20, 10, 5, 2)
_LABEL_SETS = (1000, 100, 20)
_SIGNS = {"same": "✅", "better": "🟢", "worse": "🔴", "open": "🟡", "unknown": "⚪"}
_ORDER = ("worse", "unknown", "open", "better", "same")


def markdown(diff: Diff, *, texts: bool = False, limit: int = LIMIT) -> str:
    """Write a comment of at most ``limit`` characters: long tables are cut, and say so.

    ``texts`` also shows what tasks show of items; without it, items are named by their keys alone, since whoever reads
    a pull request may not be meant to read the data.
    """
    found = sections(diff, texts=texts)
    for most in _LABEL_SETS:
        for rows in _ROWS:
            made = "\n".join(_lines(diff, cut(found, rows), most)) + "\n"
            if len(made) <= limit:
                return made
    return "\n".join([MARKER, f"### {_sign(diff)} {_plain(headline(diff))[: limit - 500]}", "", *_foot(diff)]) + "\n"


def _lines(diff: Diff, found: Sequence[Section], most: int) -> Iterator[str]:
    yield MARKER
    yield f"### {_sign(diff)} {_title(diff)}"
    if diff.base.problem is not None:
        yield from ("", f"**{no_base(diff.base)}:** {_plain(diff.base.problem.splitlines()[0])}")
    named, rest = [s for s in found if s.name], [s for s in found if not s.name]
    alone = len(named) == 1
    if alone and named[0].judgment not in headline(diff):
        yield from _judgment(named[0])
    for alert in alerts(diff):
        yield from ("", f"⚠️ {_plain(alert)}")
    for section in named[:most]:
        yield from _label_set(section, alone=alone)
    if len(named) > most:
        yield from ("", f"and {len(named) - most} more label sets: `teachkit diff` shows all")
    for section in rest:
        yield from _notes(section)
        for table in section.tables:
            yield from _folded(table)
    yield from ("", *_foot(diff))


def _sign(diff: Diff) -> str:
    verdicts = {verdict(s) for s in diff.label_sets}
    if diff.base.problem is not None:
        verdicts.add("unknown")
    if alerts(diff):
        verdicts.add("open")
    return _SIGNS[next((v for v in _ORDER if v in verdicts), "same")]


def _title(diff: Diff) -> str:
    changed = [s for s in diff.label_sets if s.status != "same"]
    if len(changed) <= 1:
        return _plain(headline(diff)).removesuffix(".")
    return f"Labels of {len(changed)} label sets change"


def _label_set(section: Section, *, alone: bool) -> Iterator[str]:
    if not alone:
        yield from ("", f"#### {_SIGNS[section.verdict]} {_plain(section.sentence)}")
        yield from _judgment(section)
    yield from _notes(section)
    for table in section.tables:
        yield from _open(table) if table.open else _folded(table)


def _judgment(section: Section) -> Iterator[str]:
    if section.judgment:
        yield from ("", f"**{_plain(section.judgment[0].upper() + section.judgment[1:])}**")


def _notes(section: Section) -> Iterator[str]:
    for note in section.notes:
        yield from ("", f"> {_plain(note)}")


def _open(table: Table) -> Iterator[str]:
    yield ""
    yield from _table(table)


def _folded(table: Table) -> Iterator[str]:
    count = len(table.rows) + table.more
    yield from ("", f"<details><summary>{table.title} ({count:,})</summary>", "")
    yield from _table(table)
    yield from ("", "</details>")


def _table(table: Table) -> Iterator[str]:
    yield "| " + " | ".join(_plain(name) or " " for name in table.columns) + " |"
    yield "|" + "|".join("--:" if i in table.numeric else "---" for i in range(len(table.columns))) + "|"
    for row in table.rows:
        yield "| " + " | ".join(_cell(cell) for cell in row) + " |"
    if table.more:
        yield from ("", f"and {table.more:,} more")


def _cell(cell: Cell) -> str:
    """A name or a text as code, in which nothing is a mention, a link or HTML."""
    if isinstance(cell, str):
        return _plain(cell)
    text = " ".join(cell.text.split())
    if not text:
        return ""
    fence = "`" * (max((len(run) for run in re.findall("`+", text)), default=0) + 1)
    edge = " " if text[0] == "`" or text[-1] == "`" else ""
    return f"{fence}{edge}{text}{edge}{fence}".replace("|", "\\|")


def _plain(text: str) -> str:
    """Text that Markdown and HTML leave as it is, and that calls nobody."""
    text = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    text = re.sub(r"([\\`*_\[\]|#~])", r"\\\1", text)
    return text.replace("@", "@\N{ZERO WIDTH SPACE}")


def _foot(diff: Diff) -> Iterator[str]:
    yield f"<sub>{_end('base', diff.base)} · {_end('head', diff.head)} · `teachkit diff`</sub>"


def _end(which: str, end: End) -> str:
    name = "" if end.commit is not None and end.name == end.commit else f" {_cell(Code(end.name))}"
    commit = f" {end.commit[:10]}" if end.commit is not None else ""
    return f"{which}{name}{commit}{', with uncommitted changes' if end.dirty else ''}"
