"""What was compiled before, by content: read from the store's cache in two questions, written in one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from teachkit.store import Cache

_INDEX = "compiled:index"


class CacheMemo:
    """The compiler's memory: what the last compilation used is fetched at once; anything else one by one."""

    def __init__(self, cache: Cache) -> None:
        """Ask for what the last compilation used."""
        self._cache = cache
        index = cache.get_many([_INDEX]).get(_INDEX)
        self._index = set(json.loads(index)) if index else set()
        self._known = cache.get_many(self._index) if self._index else {}
        self._used: set[str] = set()
        self._new: dict[str, str] = {}

    def get(self, key: str) -> str | None:
        """The value kept under a key, or None."""
        self._used.add(key)
        if key in self._known or key in self._new:
            return self._known.get(key) or self._new.get(key)
        return None if not self._index else self._cache.get_many([key]).get(key)

    def put(self, key: str, value: str) -> None:
        """Keep a value once ``save`` is called."""
        self._new[key] = value

    def save(self) -> None:
        """Write what is new."""
        if self._used != self._index:
            self._new[_INDEX] = json.dumps(sorted(self._used))
        self._cache.put_many(self._new)
