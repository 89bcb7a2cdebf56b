"""Which file each page is: safe on every file system, the same each time."""

from __future__ import annotations

import re
from typing import Any

from teachkit.hashing import digest

_PLAIN = re.compile(r"[a-z0-9_][a-z0-9_-]*(\.[a-z0-9_-]+)*")
_LONGEST = 80
_RESERVED = frozenset({"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(10))})


def file_stem(name: str) -> str:
    """A name as a file is called by it: itself where it is plain, else what is plain of it and a digest.

    Names that differ have stems that differ, also where capitals count for nothing.
    """
    if _PLAIN.fullmatch(name) and len(name) <= _LONGEST and name.partition(".")[0] not in _RESERVED:
        return name
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40]
    return f"{plain or 'x'}-{digest(['page', name])[:12]}"


def node_page(node_id: str) -> str:
    """The page of a node, from the site's folder."""
    return f"nodes/{file_stem(node_id)}.html"


def task_page(task: str) -> str:
    """The page of a task."""
    return f"tasks/{file_stem(task)}.html"


def item_page(label_set: str, key: Any) -> str:
    """The page of an item of a label set: a key may hold anything, so it is named by a digest."""
    return f"items/{file_stem(label_set)}/{digest(['item', str(key)])[:20]}.html"


def test_anchor(node_id: str) -> str:
    """The place of a test on the page of tests."""
    return f"tests.html#{file_stem(node_id)}"
