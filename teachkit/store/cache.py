"""What can be worked out again, kept because that takes time. Losing it costs seconds and never an answer."""

from __future__ import annotations

import json
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

MAX_BYTES = 64 << 20

_TABLE = "create table if not exists entries (key text primary key, value text not null)"
_GET = "select key, value from entries where key in (select value from json_each(?))"
_PUT = "insert or replace into entries values (?, ?)"
_DELETE_OLDER_HALF = """
    delete from entries where rowid in
    (select rowid from entries order by rowid limit (select (count(*) + 1) / 2 from entries))"""


class Cache:
    """Strings by string in one SQLite file; safe for threads, processes and kill -9.

    It never fails: a damaged file is thrown away, and where nothing can be written nothing is kept.
    """

    def __init__(self, path: Path, *, max_bytes: int = MAX_BYTES) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._connection: sqlite3.Connection | None = None
        self._mutex = threading.Lock()

    def get_many(self, keys: Iterable[str]) -> dict[str, str]:
        """Return the values of those keys that have one."""
        wanted = json.dumps(list(keys))
        found: dict[str, str] = {}
        self._attempt(lambda connection: found.update(connection.execute(_GET, [wanted])), create=False)
        return found

    def put_many(self, values: Mapping[str, str]) -> None:
        """Keep values; the ones written longest ago go when there is no room."""

        def put(connection: sqlite3.Connection) -> None:
            connection.executemany(_PUT, values.items())
            self._prune(connection)

        if values:
            self._attempt(put, create=True)

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        with self._mutex:
            self._forget()

    def _attempt(self, action: Callable[[sqlite3.Connection], None], *, create: bool) -> None:
        """Do ``action`` in a transaction, or nothing at all."""
        import sqlite3

        with self._mutex:
            try:
                if connection := self._open(create=create):
                    with connection:
                        action(connection)
            except (sqlite3.OperationalError, OSError):  # read-only, full, or busy for too long
                self._forget()
            except sqlite3.DatabaseError:  # not a database, or a torn one
                self._forget()
                self._discard()

    def _open(self, *, create: bool) -> sqlite3.Connection | None:
        import sqlite3

        if self._connection is None:
            if create:
                self._path.parent.mkdir(parents=True, exist_ok=True)
            elif not self._path.exists():
                return None
            self._connection = sqlite3.connect(self._path, timeout=5, check_same_thread=False)
        if create:
            self._connection.execute("pragma journal_mode=wal")
            self._connection.execute("pragma synchronous=normal")  # a power cut loses entries, not the file
            self._connection.execute(_TABLE)
        return self._connection

    def _prune(self, connection: sqlite3.Connection) -> None:
        pages, free, size = (
            connection.execute(f"pragma {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
        )
        if (pages - free) * size > self._max_bytes:
            connection.execute(_DELETE_OLDER_HALF)

    def _forget(self) -> None:
        if self._connection:
            self._connection.close()
        self._connection = None

    def _discard(self) -> None:
        for ending in ("", "-wal", "-shm"):
            with suppress(OSError):
                self._path.with_name(self._path.name + ending).unlink(missing_ok=True)
