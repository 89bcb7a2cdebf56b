"""Marks of a merge that nobody resolved, found before a parser makes a riddle of them."""

from __future__ import annotations

import re

from teachkit.errors import MergeConflict, Where

_MARK = re.compile(r"^(?:(<{7,}|>{7,}|\|{7,})(?: .*)?|(={7,}))\r?$", re.MULTILINE)


def refuse_conflict(text: str, path: str, *, advice: str = "", lines: bool = False) -> None:
    """Raise ``MergeConflict`` if marks of a merge stand in a text, with the line of the first.

    ``lines``: in this kind of file (a judgment or a setting a line) no line may look like a mark. Elsewhere only what
    git writes together counts: a row of ``=`` underlines a heading, and ``>>>>>>>`` quotes a mail.
    """
    if not any(mark in text for mark in ("<<<<<<<", ">>>>>>>", "|||||||", "=======")):
        return
    divided: int | None = None  # where a row of '=' stands
    for match in _MARK.finditer(text):
        mark = match[1] or match[2]
        if lines or mark[0] == "<":
            raise _conflict(text, match.start(), mark, path, advice)
        if mark[0] == "=":
            divided = match.start() if divided is None else divided
        elif mark[0] == ">" and divided is not None:
            raise _conflict(text, divided, "=======", path, advice)


def _conflict(text: str, offset: int, mark: str, path: str, advice: str) -> MergeConflict:
    general = "keep one side or both, and remove the marks (a line that is meant to be so may be indented)"
    return MergeConflict(Where(path, text.count("\n", 0, offset) + 1), mark=mark, advice=advice or general)
