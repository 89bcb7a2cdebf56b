"""What of a text a screen can show."""

from __future__ import annotations

_JOINERS = "\u200c\u200d\u200e\u200f"  # Persian and the scripts of India join by them, emoji too; marks of direction


def printable(text: str) -> str:
    """A text with whatever is no character to look at (controls, overrides of direction) replaced."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in _JOINERS else "\N{REPLACEMENT CHARACTER}" for c in text)
