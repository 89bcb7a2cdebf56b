"""What the compiler remembers between runs."""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol

from teachkit.hashing import canonical_json, digest
from teachkit.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable


_VERSION = "4"
"""Raised when the compiler understands something otherwise than before."""


class Memo(Protocol):
    """Remembers what was compiled, by content; losing it costs only time."""

    def get(self, key: str) -> str | None:
        """The value kept under a key, or None."""
        ...

    def put(self, key: str, value: str) -> None:
        """Keep a value."""
        ...


class NoMemo:
    """Remembers nothing."""

    def get(self, key: str) -> str | None:
        """None."""
        return None

    def put(self, key: str, value: str) -> None:
        """Nothing."""


def remembered(memo: Memo, name: str, inputs: Any, make: Callable[[], Any]) -> Any:
    """The JSON-able value of ``make()``, made once for equal inputs."""
    key = f"{name}:{digest([*_tools(), inputs])}"
    found = memo.get(key)
    if found is not None:
        return json.loads(found)
    value = make()
    memo.put(key, canonical_json(value))
    return value


@cache
def _tools() -> tuple[str, ...]:
    """What else decides what is compiled: a memory of what another version understood must not be used."""
    from importlib.metadata import version

    return (__version__, _VERSION, *(version(name) for name in ("duckdb", "jinja2", "pydantic", "sqlglot")))
