"""Every answer that was paid for, raw, in one SQLite file; safe for threads, processes, kill -9 and a full disk.

Answers are written through: the first of 64 answers or 250 ms ends the wait, and a thread of the store commits what
has come in. A row carries a digest of itself. A damaged file is set aside, never deleted: what is whole in it moves
to a new one.
"""

from __future__ import annotations

import json
import logging
import sqlite3
import threading
import time
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, fields
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, TypeVar

from teachkit.errors import StoreError, StoreTooNew, StoreUnwritable
from teachkit.llm.apis import parse_reply
from teachkit.llm.money import microdollars
from teachkit.llm.salvage import salvage_rows
from teachkit.store.atomic import locked, writing

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
    from pathlib import Path

    from teachkit.llm.replies import ModelReply
    from teachkit.llm.request import Request

log = logging.getLogger(__name__)

T = TypeVar("T")

FLUSH_ROWS: Final = 64
FLUSH_SECONDS: Final = 0.25
BUSY_SECONDS: Final = 60  # how long another process may hold the file
SCHEMA_VERSION: Final = 1

_BACKLOG: Final = 16 * FLUSH_ROWS  # a slow disk makes ``put`` wait beyond this
_PRAGMAS: tuple[str, ...] = ("synchronous=normal",)  # a power cut loses the last answers, not the file
_TABLE: Final = """
    create table if not exists responses (
      id integer primary key, key text not null, attempt integer not null, digest blob not null, status integer not
      null, body blob not null, endpoint text not null, api text not null, repetition integer not null, request text
      not null, model text, system_fingerprint text, request_id text, input_tokens integer, output_tokens integer,
      cached_tokens integer, reasoning_tokens integer, tries integer not null, started real not null,
      finished real not null, cost real)"""
_INDEX: Final = "create unique index if not exists responses_key on responses (key, attempt)"
_FREE_ATTEMPT: Final = "max(?, coalesce((select max(attempt) + 1 from responses where key = ?), 0))"


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """One answer as it came, and what is known of it.

    ``attempt`` counts the answers to one key from 0: an invalid one is asked again, and kept. ``tries`` counts the
    sendings that this answer took, failed ones included. ``started`` and ``finished`` are Unix time in seconds,
    ``cost`` micro-dollars (``None``: not priced).
    """

    key: str
    attempt: int
    status: int
    body: bytes
    endpoint: str
    api: str
    repetition: int
    request: str
    model: str | None = None
    system_fingerprint: str | None = None
    request_id: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None
    tries: int = 1
    started: float = 0.0
    finished: float = 0.0
    cost: float | None = None


def response_of(
    request: Request, reply: ModelReply, body: bytes, *, picos: int | None, earlier: Sequence[Response], **more: Any
) -> Response:
    """An answer as the store keeps it: to which request, what it says of itself, and what it cost.

    ``earlier`` are the answers that were given before, ``more`` what is known of the exchange (``status``,
    ``request_id``, ``started``, ``finished``, ``tries``).
    """
    usage = reply.usage
    return Response(
        key=request.key,
        attempt=earlier[-1].attempt + 1 if earlier else 0,
        body=body,
        endpoint=str(request.endpoint),
        api=request.api,
        repetition=request.repetition,
        request=request.wire.decode(),
        model=reply.model or None,
        system_fingerprint=reply.system_fingerprint,
        input_tokens=usage.input if usage else None,
        output_tokens=usage.output if usage else None,
        cached_tokens=usage.cached if usage else None,
        reasoning_tokens=usage.reasoning if usage else None,
        cost=None if picos is None else microdollars(picos),
        **more,
    )


def is_unusable(row: Response) -> bool:
    """Whether a reply that was kept holds no answer of a model; see ``ModelReply.unusable``."""
    if row.model is not None and b'"error"' not in row.body:  # most are, and need not be read for it
        return False
    return parse_reply(row.api, json.loads(row.request), row.body).unusable


_FIELDS: Final = tuple(field.name for field in fields(Response))
_SELECT: Final = f"select {', '.join(_FIELDS)}, digest from responses"
_INSERT: Final = (
    f"insert into responses ({', '.join(_FIELDS)}, digest) values "
    f"(?, {_FREE_ATTEMPT}, {', '.join('?' * (len(_FIELDS) - 1))})"
)


@dataclass(frozen=True, slots=True)
class Recovery:
    """What became of a damaged file: answers that moved to the new one, answers lost at least, where the old one is."""

    recovered: int
    lost: int
    kept_at: str

    def __str__(self) -> str:
        lost = f"at least {self.lost} are lost" if self.lost else "no loss is known"
        return (
            f"the store of answers was damaged: {self.recovered} answers recovered, {lost}; "
            f"the damaged file is kept as {self.kept_at}"
        )


class ResponseStore:
    """Answers by request key. Use as a context manager, or call ``close``.

    ``recovery`` tells of a damaged file that was met, or is ``None``.
    """

    def __init__(self, path: Path, *, on_commit: Callable[[int], None] | None = None) -> None:
        """Name the file (``<store>/llm/responses.sqlite``); it is made when the first answer is written.

        ``on_commit`` is called after each commit, in whichever thread made it, with the number of answers in it.
        """
        self._path = path
        self._on_commit = on_commit
        self._connection: sqlite3.Connection | None = None
        self._database = threading.RLock()  # around the connection
        self._changed = threading.Condition()  # around what follows
        self._pending: dict[tuple[str, int], Response] = {}
        self._oldest = 0.0
        self._writer: threading.Thread | None = None
        self._closing = False
        self._error: StoreError | None = None
        self._recovering = False
        self.recovery: Recovery | None = None

    def __enter__(self) -> ResponseStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def get_many(self, keys: Collection[str]) -> dict[str, list[Response]]:
        """Return the answers to these keys, each key's in the order of their attempts; one query.

        Replies that earlier versions kept, and that hold no answer of a model, are passed over.

        Raises:
            StoreTooNew: a newer teachkit wrote the file.
            StoreUnwritable: the file cannot be opened.
        """
        found: dict[tuple[str, int], Response] = {}
        if keys and (self._connection or self._path.exists()):
            wanted = json.dumps(list(keys))
            where = "where key in (select value from json_each(?)) order by key, attempt"
            for row in self._attempt(lambda db: self._checked(db.execute(f"{_SELECT} {where}", [wanted]))):
                if not is_unusable(row):
                    found[row.key, row.attempt] = row
        wanted_keys = set(keys)
        with self._changed:
            found |= {at: row for at, row in self._pending.items() if row.key in wanted_keys}
        answers: dict[str, list[Response]] = {}
        for at in sorted(found):
            answers.setdefault(at[0], []).append(found[at])
        return answers

    def put(self, response: Response) -> None:
        """Keep an answer: it is on the disk after 64 more, 250 ms or ``flush``, whichever comes first.

        Where another process has stored the same attempt meanwhile, both are kept; the first is used from then on.

        Raises:
            StoreUnwritable: an earlier write failed (disk full, read-only); what is written is safe.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._error or len(self._pending) < _BACKLOG)
            self._raise_error()
            if not self._pending:
                self._oldest = time.monotonic()
            self._pending[response.key, response.attempt] = response
            if self._writer is None:
                self._writer = threading.Thread(target=self._write_until_closed, name="llm-responses", daemon=True)
                self._writer.start()
            if len(self._pending) == 1 or len(self._pending) >= FLUSH_ROWS:
                self._changed.notify_all()

    def flush(self) -> None:
        """Wait until everything that was put is on the disk.

        Raises:
            StoreUnwritable: it cannot be written.
        """
        with self._changed:
            self._raise_error()
        self._commit()

    def close(self) -> None:
        """Flush and close the file.

        Raises:
            StoreUnwritable: the last answers cannot be written.
        """
        with self._changed:
            self._closing = True
            self._changed.notify_all()
            writer, self._writer = self._writer, None
        if writer:
            writer.join()
        try:
            with self._changed:
                self._error = None  # one more try: the disk may have room again
            self._commit()
        finally:
            with self._database:
                self._disconnect()
            self._closing = False

    def usage(self, model: str | None = None) -> tuple[int, int]:
        """Sum up past usage for a token estimate: bytes of requests, input tokens; of one model or of all."""
        if not (self._connection or self._path.exists()):
            return 0, 0
        of_model = "and (? is null or request_model = ?)"
        query = f"""
            select coalesce(sum(size), 0), coalesce(sum(input_tokens), 0) from (
              select length(cast(request as blob)) as size, input_tokens,
                json_extract(request, '$.model') as request_model
              from responses where input_tokens > 0 order by id desc limit 10000) where true {of_model}"""
        sums: list[tuple[int, int]] = self._attempt(lambda db: db.execute(query, [model, model]).fetchall())
        return sums[0]

    def tokens(self, keys: Iterable[str]) -> tuple[int, int]:
        """The tokens in and out that all answers to some requests took; a key counts once."""
        if not (self._connection or self._path.exists()):
            return 0, 0
        query = """
            select coalesce(sum(input_tokens), 0), coalesce(sum(output_tokens), 0) from responses
            where key in (select value from json_each(?))"""
        wanted = json.dumps(sorted(set(keys)))
        sums: list[tuple[int, int]] = self._attempt(lambda db: db.execute(query, [wanted]).fetchall())
        return sums[0]

    def all(self) -> Iterator[Response]:
        """Every answer that is on the disk, in the order in which it was written."""
        last = 0
        query = f"{_SELECT.replace('select ', 'select id, ', 1)} where id > ? order by id limit 1000"

        def after(number: int) -> Callable[[sqlite3.Connection], tuple[list[Response], int]]:
            def read(db: sqlite3.Connection) -> tuple[list[Response], int]:
                rows = db.execute(query, [number]).fetchall()
                return self._checked(row[1:] for row in rows), rows[-1][0] if rows else number

            return read

        while self._connection or self._path.exists():
            rows, last = self._attempt(after(last))
            yield from rows
            if not rows:
                return

    # ------------------------------------------------------------------ writing

    def _write_until_closed(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._pending or self._closing)
                while not (self._closing or len(self._pending) >= FLUSH_ROWS):
                    left = self._oldest + FLUSH_SECONDS - time.monotonic()
                    if left <= 0:
                        break
                    self._changed.wait(left)
                if self._closing:
                    return
            try:
                self._commit()
            except StoreError as error:
                with self._changed:
                    self._error = error
                    self._changed.notify_all()
                return

    def _commit(self) -> None:
        with self._database:
            with self._changed:
                batch = dict(self._pending)
                self._oldest = time.monotonic()
            if not batch:
                return
            self._attempt(lambda db: self._insert(db, batch.values()))
            with self._changed:
                for at, row in batch.items():
                    if self._pending.get(at) is row:
                        del self._pending[at]
                self._changed.notify_all()
        if self._on_commit:
            self._on_commit(len(batch))

    def _insert(self, db: sqlite3.Connection, rows: Iterable[Response]) -> None:
        with _transaction(db):
            db.executemany(_INSERT, [_values(row) for row in rows])

    def _raise_error(self) -> None:
        if self._error:
            raise self._error

    # ------------------------------------------------------------------ the file

    def _attempt(self, action: Callable[[sqlite3.Connection], T]) -> T:
        """Do ``action``; a damaged file is recovered first, once."""
        with self._database:
            for last in (False, True):
                try:
                    return action(self._connect())
                except sqlite3.OperationalError as error:
                    self._disconnect()
                    if not _is_damage(error):
                        raise self._unwritable(error) from error
                    if last:
                        raise self._unwritable(error) from error
                except (sqlite3.DatabaseError, _DamagedRow) as error:
                    self._disconnect()
                    if last:
                        raise self._unwritable(error) from error
                self._recover()
            raise AssertionError("the second attempt returns or raises")

    def _connect(self) -> sqlite3.Connection:
        if self._connection is None:
            with writing(self._path):
                self._path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(
                self._path, timeout=BUSY_SECONDS, check_same_thread=False, isolation_level=None
            )
            try:
                self._prepare(connection)
            except BaseException:
                connection.close()
                raise
            self._connection = connection
        return self._connection

    def _prepare(self, db: sqlite3.Connection) -> None:
        for pragma in _PRAGMAS:
            db.execute(f"pragma {pragma}")
        found = db.execute("pragma user_version").fetchone()[0]
        if found > SCHEMA_VERSION:
            raise StoreTooNew(path=self._path, found=found, known=SCHEMA_VERSION)
        if found == SCHEMA_VERSION:
            return
        making = self._path.with_name(f"{self._path.name}.lock")
        with nullcontext() if self._recovering else locked(making):  # two processes cannot turn on the log at once
            db.execute("pragma journal_mode=wal")
            with _transaction(db):
                db.execute(_TABLE)
                db.execute(_INDEX)
                db.execute(f"pragma user_version={SCHEMA_VERSION}")

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _unwritable(self, error: Exception) -> StoreUnwritable:
        text = str(error)
        advice = (
            "free some space and build again: answers that are written are safe"
            if "full" in text
            else ("check the disk and who owns the folder, or name another one ('store:' in profiles.yml)")
        )
        return StoreUnwritable(path=self._path, problem=text, advice=advice)

    def _checked(self, rows: Iterable[Sequence[object]]) -> list[Response]:
        found = []
        for *values, seal in rows:
            row = Response(**dict(zip(_FIELDS, values, strict=True)))  # type: ignore[arg-type]
            if not _is_whole(row, seal):
                raise _DamagedRow(f"the answer to {row.key} is not what was written")
            found.append(row)
        return found

    def _recover(self) -> None:
        """Move what is whole in a damaged file to a new one; the damaged one stays beside it."""
        with locked(self._path.with_name(f"{self._path.name}.lock")):
            if self._is_sound():  # another process was here first
                return
            kept = self._free_name()
            with writing(kept):
                for ending in ("-wal", "-shm", ""):
                    part = self._path.with_name(self._path.name + ending)
                    if part.exists():
                        part.rename(kept.with_name(kept.name + ending))
            rows, highest = _whole_rows(kept)
            self._recovering = True
            try:
                self._insert(self._connect(), rows)
            finally:
                self._recovering = False
            self.recovery = Recovery(len(rows), max(0, highest - len(rows)), str(kept))
            log.warning("%s", self.recovery)

    def _is_sound(self) -> bool:
        try:
            db = sqlite3.connect(self._path, timeout=BUSY_SECONDS)
            try:
                if db.execute("pragma integrity_check(1)").fetchone()[0] != "ok":
                    return False
                self._checked(db.execute(_SELECT))
            finally:
                db.close()
        except (sqlite3.Error, _DamagedRow):
            return False
        return True

    def _free_name(self) -> Path:
        number = 1
        while (name := self._path.with_name(f"{self._path.name}.damaged-{number}")).exists():
            number += 1
        return name


class _DamagedRow(Exception):
    """A row is not what its digest says."""


@contextmanager
def _transaction(db: sqlite3.Connection) -> Iterator[None]:
    db.execute("begin immediate")
    try:
        yield
    except BaseException:
        if db.in_transaction:
            db.execute("rollback")
        raise
    db.execute("commit")


def _is_damage(error: sqlite3.OperationalError) -> bool:
    """Some damage is reported as operational: a lost table, a page that cannot be."""
    text = str(error)
    return any(sign in text for sign in ("no such table", "no such column", "malformed", "Could not decode"))


def _values(row: Response) -> tuple[object, ...]:
    key, attempt, *rest = (getattr(row, name) for name in _FIELDS)
    return key, attempt, key, *rest, _seal(row)


def _seal(row: Response) -> bytes:
    """A digest of what cannot be had again: the answer, and to what."""
    head = f"{row.key}\n{row.status}\n{row.endpoint}\n{row.api}\n{row.repetition}\n{row.request}\n"
    return sha256(head.encode(errors="surrogatepass") + row.body).digest()[:16]


def _is_whole(row: Response, seal: object) -> bool:
    try:
        return _seal(row) == seal
    except (TypeError, AttributeError):
        return False


def _whole_rows(path: Path) -> tuple[list[Response], int]:
    """The whole rows in a damaged file, and the highest row number that was met."""
    names = ("id", "key", "attempt", "digest", "status", "body", "endpoint", "api", "repetition", "request", "model",
             "system_fingerprint", "request_id", "input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens",
             "tries", "started", "finished", "cost")  # fmt: skip
    found: dict[int, Response] = {}
    highest = 0
    for number, values in salvage_rows(path, len(names)):
        given = dict(zip(names, values, strict=True))
        seal = given.pop("digest")
        given.pop("id")
        row = Response(**given)  # type: ignore[arg-type]
        if _is_whole(row, seal):
            found[number] = row
            highest = max(highest, number)
    return [found[number] for number in sorted(found)], highest
