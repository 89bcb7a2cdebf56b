"""The text of a definition as its writer wrote it, with the numbers of its lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from teachkit.errors import Where

_MOST_LINES = 1500
_MOST_CHARACTERS = 150_000
_MOST_JUDGMENTS = 200  # lines of a file of annotations


def definition_text(root: Path, where: Where, fallback: str, *, judgments: bool = False) -> dict[str, Any]:
    """The lines that define something: of a YAML file its entry, of other files all.

    Returns:
        ``first`` (number of the first line), ``lines``, ``mark`` (number of the line where it is declared, or None),
        ``cut`` (how many lines are left out).
    """
    path = root / where.path
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines, where_line = fallback.splitlines(), None
    else:
        where_line = where.line
    first = 1
    if where_line and path.suffix in (".yml", ".yaml"):
        first = where_line
        lines = _entry(lines, where_line)
    most = _MOST_JUDGMENTS if judgments else _MOST_LINES
    shown = _clipped(lines[:most])
    mark = where_line if where_line and path.suffix == ".py" else None
    return {"first": first, "lines": shown, "mark": mark, "cut": len(lines) - len(shown)}


def _entry(lines: Sequence[str], number: int) -> list[str]:
    """The entry of a list that begins in a line: all that is further in than its dash."""
    if number > len(lines):
        return []
    first = lines[number - 1]
    depth = len(first) - len(first.lstrip())
    end = number
    while end < len(lines) and (not lines[end].strip() or len(lines[end]) - len(lines[end].lstrip()) > depth):
        end += 1
    found = [line[depth:] for line in lines[number - 1 : end]]
    while found and not found[-1].strip():
        found.pop()
    return found


def _clipped(lines: Sequence[str]) -> list[str]:
    """As many lines as a page can hold."""
    shown: list[str] = []
    left = _MOST_CHARACTERS
    for line in lines:
        left -= len(line)
        if left < 0:
            break
        shown.append(line)
    return shown
