"""A comparison as one HTML page that needs nothing else, and as what a notebook shows."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from teachkit.diff.report import cut, sections
from teachkit.diff.words import alerts, headline, no_base

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from teachkit.diff.report import Cell, Section, Table
    from teachkit.diff.result import Diff, End

_ROWS_OF_A_FRAGMENT = 20
_LONG = 48  # characters of a name from which on it may be broken

STYLE = """
.tk-diff { --ink: #1c2024; --dim: #5d6570; --line: #d9dee4; --back: #ffffff; --soft: #f4f6f8;
  --better: #116b3a; --worse: #b3261e; --open: #7a5200;
  color: var(--ink); background: var(--back); font: 15px/1.5 system-ui, sans-serif; }
@media (prefers-color-scheme: dark) { .tk-diff { --ink: #e6e9ed; --dim: #9aa4b0; --line: #373e47; --back: #15181c;
  --soft: #1e2329; --better: #5fd08d; --worse: #ff8a80; --open: #f0c060; } }
.tk-diff h1, div.tk-diff h2 { font-size: 1.35rem; line-height: 1.3; margin: 0 0 .5rem; }
.tk-diff h2, .tk-diff h3 { font-size: 1.1rem; margin: 2rem 0 .25rem; }
.tk-diff p { margin: .4rem 0; }
.tk-diff .judgment { font-weight: 600; }
.tk-diff .better { color: var(--better); }
.tk-diff .worse { color: var(--worse); }
.tk-diff .open { color: var(--open); }
.tk-diff .note { border-left: 3px solid var(--line); padding-left: .75rem; color: var(--dim); }
.tk-diff .foot { color: var(--dim); margin-top: 2rem; font-size: .85rem; }
.tk-diff details { margin: .75rem 0; border-top: 1px solid var(--line); padding-top: .5rem; }
.tk-diff summary { cursor: pointer; font-weight: 600; }
.tk-diff .scroll { overflow-x: auto; }
.tk-diff table { border-collapse: collapse; margin: .5rem 0; font-size: .9rem; background: none; }
.tk-diff th, .tk-diff td { padding: .25rem .75rem .25rem 0; text-align: left; vertical-align: top;
  border-bottom: 1px solid var(--line); background: none; color: inherit; }
.tk-diff th { color: var(--dim); font-weight: 600; white-space: nowrap; }
.tk-diff .n { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
.tk-diff code { font: .92em ui-monospace, monospace; background: var(--soft); padding: 0 .25em; border-radius: 3px;
  color: inherit; white-space: nowrap; }
.tk-diff code.long, .tk-diff .prose { white-space: normal; overflow-wrap: anywhere; }
.tk-diff .prose { display: inline-block; min-width: 8rem; }
"""


def page(diff: Diff, *, texts: bool = True) -> str:
    """Write a whole page; ``texts`` shows what tasks show of items beside their keys."""
    title = escape(headline(diff))
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            f"<title>teachkit diff: {title}</title>",
            f"<style>html, body {{ margin: 0; }} .tk-diff {{ min-height: 100vh; box-sizing: border-box; "
            f"padding: 1.5rem max(1rem, calc(50vw - 34rem)); }}{STYLE}</style></head>",
            "<body>",
            *_body(diff, sections(diff, texts=texts), "main", 1),
            "</body></html>",
            "",
        ]
    )


def fragment(diff: Diff, *, styled: bool = True) -> str:
    """What a notebook shows, and a part of other pages, which have styles of their own: at most 20 rows in a table."""
    found = cut(sections(diff, texts=True), _ROWS_OF_A_FRAGMENT)
    return "\n".join([*([f"<style>{STYLE}</style>"] if styled else []), *_body(diff, found, "div", 2)])


def _body(diff: Diff, found: Sequence[Section], element: str, level: int) -> Iterator[str]:
    yield f'<{element} class="tk-diff">'
    yield f"<h{level}>{escape(headline(diff))}</h{level}>"
    yield f'<p class="note">{_end("base", diff.base)} · {_end("head", diff.head)}</p>'
    if diff.base.problem is not None:
        yield f'<p class="judgment worse">{no_base(diff.base)}: {escape(diff.base.problem)}</p>'
    alone = sum(bool(section.name) for section in found) == 1
    if alone and found[0].judgment not in headline(diff):
        yield from _judgment(found[0])
    for alert in alerts(diff):
        yield f'<p class="judgment open">⚠ {escape(alert)}</p>'
    for section in found:
        yield from _section(section, level + 1, alone=alone)
    yield f"</{element}>"


def _judgment(section: Section) -> Iterator[str]:
    if section.judgment:
        yield f'<p class="judgment {section.verdict}">{escape(section.judgment[0].upper() + section.judgment[1:])}</p>'


def _section(section: Section, level: int, *, alone: bool) -> Iterator[str]:
    yield f'<section id="{escape(section.name)}">' if section.name else "<section>"
    if section.name and not alone:
        yield f"<h{level}>{escape(section.sentence)}</h{level}>"
        yield from _judgment(section)
    for note in section.notes:
        yield f'<p class="note">{escape(note)}</p>'
    for table in section.tables:
        count = len(table.rows) + table.more
        yield f"<details{' open' if table.open else ''}><summary>{escape(table.title)} ({count:,})</summary>"
        yield from _table(table)
        yield "</details>"
    yield "</section>"


def _table(table: Table) -> Iterator[str]:
    yield '<div class="scroll"><table><thead><tr>'
    for index, name in enumerate(table.columns):
        yield f'<th scope="col"{_number(table, index)}>{escape(name)}</th>'
    yield "</tr></thead><tbody>"
    for row in table.rows:
        cells = "".join(f"<td{_number(table, i)}>{_cell(cell)}</td>" for i, cell in enumerate(row))
        yield f"<tr>{cells}</tr>"
    yield "</tbody></table></div>"
    if table.more:
        yield f"<p>and {table.more:,} more</p>"


def _number(table: Table, index: int) -> str:
    return ' class="n"' if index in table.numeric else ""


def _cell(cell: Cell) -> str:
    if isinstance(cell, str):
        return escape(cell)
    if cell.prose or not cell.text:
        return f'<span class="prose">{escape(cell.text)}</span>'
    long = ' class="long"' if len(cell.text) > _LONG else ""
    return f"<code{long}>{escape(cell.text)}</code>"


def _end(which: str, end: End) -> str:
    name = "" if end.commit is not None and end.name == end.commit else f" {escape(end.name)}"
    commit = f" <code>{end.commit[:10]}</code>" if end.commit is not None else ""
    return f"{which}{name}{commit}{', with uncommitted changes' if end.dirty else ''}"
