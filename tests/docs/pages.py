"""The pages of ``docs/``: their fenced blocks, links, headings and marks."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"

_FENCE = re.compile(r"^(`{3,})(.*)$")
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: its info string in words, its lines, and the number (from 0) of its first line in the page."""

    language: str
    words: tuple[str, ...]
    lines: tuple[str, ...]
    start: int


def pages() -> list[Path]:
    """All pages, in the order of their paths."""
    return sorted(DOCS.rglob("*.md"))


def own_pages() -> list[Path]:
    """The pages whose snippets are run; decisions (``adr/``) and measurements are written to other rules."""
    return [page for page in pages() if not name_of(page).startswith(("adr/", "performance"))]


def name_of(page: Path) -> str:
    """A page as the tests call it: ``concepts/lock``."""
    return page.relative_to(DOCS).with_suffix("").as_posix()


def blocks(text: str) -> list[Block]:
    """The fenced blocks of a page, in its order."""
    found: list[Block] = []
    inside: list[str] | None = None
    fence, info, start = "", "", 0
    for number, line in enumerate(text.splitlines()):
        match = _FENCE.match(line)
        if inside is None and match:
            inside, fence, info, start = [], match[1], match[2].strip(), number + 1
        elif inside is not None and match and match[1] == fence and not match[2].strip():
            words = info.split()
            found.append(Block(words[0] if words else "", tuple(words[1:]), tuple(inside), start))
            inside = None
        elif inside is not None:
            inside.append(line)
    if inside is not None:
        raise ValueError(f"the block that starts in line {start} does not end")
    return found


def prose(text: str) -> str:
    """A page without its fenced blocks."""
    lines, drop = text.splitlines(), set()
    for block in blocks(text):
        drop |= set(range(block.start - 1, block.start + len(block.lines) + 1))
    return "\n".join(line for number, line in enumerate(lines) if number not in drop)


def links(text: str) -> list[str]:
    """The targets of a page's links."""
    without_code = re.sub(r"`[^`\n]*`", lambda m: "`" * len(m[0]), prose(text))
    return _LINK.findall(without_code)


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    found = set()
    for line in prose(text).splitlines():
        if line.startswith("#"):
            title = re.sub(r"[^\w\- ]", "", line.lstrip("#").strip().lower())
            found.add(title.replace(" ", "-"))
    return found


def project_of(text: str) -> str:
    """The project that a page's snippets start from: ``none``, ``fresh`` or ``built`` (the template)."""
    match = re.search(r"^<!-- project: (none|fresh|built) -->$", text, re.MULTILINE)
    return match[1] if match else "none"
