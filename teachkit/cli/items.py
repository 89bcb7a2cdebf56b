"""Items on the screen: a table whose last columns are texts, with what a rule matches between « and »."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from teachkit.cli.output import print_table, width_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from teachkit.cli.settings import Settings
    from teachkit.review.excerpts import Excerpt

_WIDTH = 100
_LEAST = 24
_SHORTEST = 4


def print_items(
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    columns: Sequence[str],
    texts: Sequence[Mapping[str, Excerpt]],
    settings: Settings,
) -> None:
    """Write a row for each item: cells below ``head``, then its texts in ``columns``, cut to fit the window."""
    used = sum(max([len(name), *(width_of(row[i]) for row in rows)]) + 2 for i, name in enumerate(head))
    longest = {c: max([len(c), *(width_of(marked(t[c])) for t in texts if c in t)]) for c in columns}
    left = max(window() - used, _LEAST)
    widths: dict[str, int] = {}
    for column in reversed(columns):  # the first, which is what a rule reads, gets what the others leave
        most = left if column == columns[0] else max(left // 5, _LEAST // 2)
        widths[column] = min(longest[column], max(most, _LEAST // 2))
        left -= widths[column] + 2
    cells = [[marked(t[c], widths[c]) if c in t else "" for c in columns] for t in texts]
    print_table([*head, *columns], [[*row, *more] for row, more in zip(rows, cells, strict=True)], settings)


def marked(text: Excerpt, width: int | None = None) -> str:
    """A text with its matches between « and », at most ``width`` columns of the screen with them."""
    found = _marked(text, width)
    characters = width or 0
    while width is not None and (wide := width_of(found)) > width and characters > _SHORTEST:
        characters = max(_SHORTEST, min(characters - 1, characters * width // wide))
        found = _marked(text, characters)
    return found


def _marked(text: Excerpt, width: int | None) -> str:
    """The same, in characters."""
    found = text
    if width is not None and len(text.text) + 2 * len(text.marks) > width:
        found = text.narrowed(max(_SHORTEST, width - 2 * min(len(text.marks), 2)))
        while found.marks and len(found.text) + 2 * len(found.marks) > width:
            found = type(found)(found.text, found.marks[:-1])
    out, at = "", 0
    for start, end in found.marks:
        out += f"{found.text[at:start]}«{found.text[start:end]}»"
        at = end
    return out + found.text[at:]


def window() -> int:
    """Columns of the terminal; without one, as wide as people read."""
    if not sys.stdout.isatty():
        return _WIDTH
    import shutil

    return max(shutil.get_terminal_size((_WIDTH, 24)).columns, 60)
