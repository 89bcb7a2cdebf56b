"""Names and texts inside SQL."""

from __future__ import annotations

import string

_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


def fold(name: str) -> str:
    """A name as DuckDB compares it: A-Z in lower case, all else (``Ü``, ``Т``) as it is."""
    return name.translate(_LOWER)


def quote(identifier: str) -> str:
    """A name as a quoted SQL identifier."""
    return '"' + identifier.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A string as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"
