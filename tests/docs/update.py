"""Brings the pages up to date: ``python -m tests.docs.update [PAGE …]``; look at the diff before you commit it.

Tables are made anew. What a command prints is replaced where it differs from what the page says, with ``…`` for times,
digests and versions; a ``?`` below a command asks for it.
"""

from __future__ import annotations

import re
import sys
import tempfile
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

from tests.docs.pages import blocks, name_of, own_pages, project_of
from tests.docs.snippets import Command, Drift, Session, build_template, commands, matches, start
from tests.docs.tables import renewed

if TYPE_CHECKING:
    from collections.abc import Sequence

_VARYING = (
    (re.compile(r"\b\d{6}-[0-9a-f]{8}\b"), "…"),
    (re.compile(r"\b20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?\+00:00"), "…"),
    (re.compile(r"^index [0-9a-f]+\.\.[0-9a-f]+"), "index …"),
    (re.compile(r"(?<![\w.])(?=[0-9a-f]*\d)(?=[0-9a-f]*[a-f])[0-9a-f]{7,64}(?![\w.])"), "…"),
    (re.compile(r"\b\d+(\.\d+)? (ms|s)\b(?= *$|  |:)"), "…"),
    (re.compile(r'^( *"seconds": )[\d.]+'), r"\1…"),
    (re.compile(r'( time=")[\d.]+'), r"\1…"),
    (re.compile(r"\b(teachkit|python|duckdb|numba|numpy|pyarrow|sqlglot) \d[\w.]*"), r"\1 …"),
)


def main(wanted: list[str]) -> None:
    with tempfile.TemporaryDirectory(prefix="teachkit-docs-") as folder:
        place = Path(folder)
        home = place / "home"
        built = build_template(place / "built" / "comment_spam", home)
        for number, page in enumerate(own_pages()):
            if wanted and name_of(page) not in wanted:
                continue
            text = renewed(page.read_text(encoding="utf-8"))
            session = start(project_of(text), place / str(number) / "comment_spam", home, built)
            try:
                text = with_outputs(text, session, may_skip="coming-from" in page.name)
            except (Drift, AssertionError) as problem:
                sys.stderr.write(f"{name_of(page)}: {str(problem) or traceback.format_exc(limit=-1)}\n")
            page.write_text(text, encoding="utf-8")


def with_outputs(text: str, session: Session, *, may_skip: bool) -> str:
    """A page with what its commands print now."""
    lines, changes = text.splitlines(), list[tuple[Command, str]]()
    for block in blocks(text):
        if block.language != "console":
            session.run(block, may_skip=may_skip)
            continue
        for command in commands(block):
            printed = session.execute(command.text)
            if command.expected and not matches(command.expected, printed):
                changes.append((command, printed))
        session.succeeded()
    for command, printed in reversed(changes):
        lines[command.start : command.start + len(command.expected)] = shortened(command.expected, generalised(printed))
    return "\n".join(lines) + "\n"


def shortened(before: Sequence[str], printed: list[str]) -> list[str]:
    """Output without what a page left out before: as many lines as stood before, between and after lines of ``…``.

    Each part begins where a line begins with the same word.
    """
    parts: list[list[str]] = [[]]
    for line in before:
        if line.strip() == "…":
            parts.append([])
        else:
            parts[-1].append(line)
    found, at = [], 0
    for number, part in enumerate(parts):
        if number:
            found.append("…")
            if number == len(parts) - 1:
                at = max(at, len(printed) - len(part))
            elif part:
                word = part[0].split()[:1]
                at = next((i for i in range(at, len(printed)) if printed[i].split()[:1] == word), at)
        found += printed[at : at + len(part)] if len(parts) > 1 else printed
        at += len(part)
    return found


def generalised(printed: str) -> list[str]:
    """Lines of output with a wildcard for what differs from run to run."""
    found = []
    for line in printed.rstrip().splitlines():
        for pattern, instead in _VARYING:
            line = pattern.sub(instead, line).replace("……", "…")
        found.append(line.rstrip())
    return found


if __name__ == "__main__":
    main(sys.argv[1:])
