"""Files that start with YAML between two lines of ``---``."""

from __future__ import annotations


def split_front_matter(text: str) -> tuple[str, str, int]:
    """Front matter (its lines keep their numbers), body, and the body's first line."""
    lines = text.split("\n")
    if lines[0].rstrip() != "---":
        return "{}", text, 1
    end = next((i for i, line in enumerate(lines[1:], 1) if line.rstrip() == "---"), len(lines))
    return "\n" + "\n".join(lines[1:end]), "\n".join(lines[end + 1 :]), end + 2
