"""From requests to the files that are uploaded: what has no answer yet, each key once, cut where providers want it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, BinaryIO, Final

from teachkit.llm.batch_api import URL
from teachkit.llm.batch_state import (
    Batch,
    Row,
    forget,
    forget_requests,
    keep,
    load_batches,
    new_id,
    row_line,
    rows_path,
    upload_path,
)
from teachkit.llm.errors import BadMode, BadRequestBody, KeyInRequest
from teachkit.llm.money import microdollars
from teachkit.store.atomic import writing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from teachkit.llm.money import Price
    from teachkit.llm.request import Request
    from teachkit.llm.responses import ResponseStore
    from teachkit.llm.safety import Way

MOST_REQUESTS: Final = 50_000  # of one batch
MOST_BYTES: Final = 200_000_000  # of its file

_CHUNK: Final = 256  # requests that are looked up at once
_SEPARATORS: Final = {"\u2028".encode(): b"\\u2028", "\u2029".encode(): b"\\u2029", "\x85".encode(): b"\\u0085"}


@dataclass(slots=True)
class Lot:
    """What one caller's requests came to.

    ``requests`` counts different ones, of which ``answered`` have an answer in the store, ``waiting`` are in a batch
    that is open, and ``missing`` were written. ``size`` is the bytes of their bodies, ``unpriced`` how many have no
    price, ``worst`` what the others can cost at most, in picos at the price of a batch.
    """

    requests: int = 0
    answered: int = 0
    waiting: int = 0
    missing: int = 0
    size: int = 0
    unpriced: int = 0
    worst: int = 0


@dataclass(slots=True)
class Prepared:
    """Batches that are written and not bought, and what each caller's requests came to."""

    batches: list[Batch] = field(default_factory=list)
    lots: dict[str, Lot] = field(default_factory=dict)


def prepare(
    folder: Path,
    asked: Mapping[str, Iterable[Request]],
    *,
    way: Way,
    store: ResponseStore,
    waiting: set[str],
    price: Callable[[Request], Price | None],
    clock: Callable[[], float],
) -> Prepared:
    """Write batches of all requests that have no answer and are in no open batch; nothing is sent.

    Memory holds the keys, never the requests.

    Args:
        folder: where batches are kept.
        asked: by name of the caller, its requests; a request that two ask counts for the first.
        way: to their provider; one that holds its key is refused.
        store: the answers that are there.
        waiting: keys of open batches; those that are written are added.
        price: of a request, or None.
        clock: Unix time.

    Raises:
        LlmSetupError: a request cannot be put into a batch, or its cost has no bound.
        StoreUnwritable: the disk is full; nothing is left behind.
    """
    found = Prepared()
    writers: dict[str, _Writer] = {}
    seen: set[str] = set()
    try:
        for name, requests in asked.items():
            lot = found.lots[name] = Lot()
            source = iter(requests)
            while chunk := list(islice(source, _CHUNK)):
                fresh = {request.key: request for request in chunk if request.key not in seen}
                seen |= fresh.keys()
                lot.requests += len(fresh)
                there = store.get_many(list(fresh)).keys()
                lot.answered += len(there)
                for key, request in fresh.items():
                    if key in there:
                        continue
                    if key in waiting:
                        lot.waiting += 1
                        continue
                    line, worst = _line(request, way), _worst(request, price)
                    _count(lot, request, worst)
                    model = request.model  # a file is for one model
                    if model in writers and not writers[model].has_room(line):
                        found.batches.append(writers.pop(model).finish())
                    if model not in writers:
                        writers[model] = _Writer(folder, request, way, clock())
                    writers[model].add(name, request, line, worst)
                    waiting.add(key)
        while writers:
            found.batches.append(writers.popitem()[1].finish())
    except BaseException:
        for writer in writers.values():
            writer.abandon()
        drop(folder, found.batches)
        raise
    return found


def drop(folder: Path, batches: Iterable[Batch]) -> None:
    """Remove batches that were not bought."""
    for batch in batches:
        forget(folder, batch)


def drop_unsent(folder: Path) -> None:
    """Remove what an earlier, killed submission prepared and never asked a provider for."""
    drop(folder, [batch for batch in load_batches(folder) if batch.phase == "prepared"])


def _line(request: Request, way: Way) -> bytes:
    """A line of the upload. The body is what goes over the wire otherwise, and so has the same key."""
    if request.endpoint != way.endpoint:
        problem = f"the request {request.name} is made for {request.endpoint}, not for {way.endpoint}"
        raise BadMode(problem=problem, advice="ask each provider by itself")
    if request.api != "chat":
        advice = "leave its prompt out of the selection, and let a build ask it"
        raise BadRequestBody(label=request.name, problem=f"a batch takes no '{request.api}' request", advice=advice)
    if way.key and way.key.is_in(request.wire):
        raise KeyInRequest(label=request.name, name=way.key.name)
    wire = request.wire
    for raw, escaped in _SEPARATORS.items():  # who reads lines may take these for the end of one
        wire = wire.replace(raw, escaped)
    line = b'{"custom_id":"%s","method":"POST","url":"%s","body":%s}\n' % (request.key.encode(), URL.encode(), wire)
    if len(line) > MOST_BYTES:
        problem = f"it has {len(line):,} bytes, and the file of a batch at most {MOST_BYTES:,}"
        raise BadRequestBody(label=request.name, problem=problem, advice="show less of the item")
    return line


def _worst(request: Request, price: Callable[[Request], Price | None]) -> int | None:
    known = price(request)
    return None if known is None else known.in_batch(known.worst(request))


def _count(lot: Lot, request: Request, worst: int | None) -> None:
    lot.missing += 1
    lot.size += len(request.wire)
    if worst is None:
        lot.unpriced += 1
    else:
        lot.worst += worst


class _Writer:
    """The files of one batch, while they are written."""

    def __init__(self, folder: Path, first: Request, way: Way, now: float) -> None:
        self._folder, self._id, self._now = folder, new_id(), now
        self._endpoint, self._model = str(first.endpoint), first.model
        self._key_name = way.key.name if way.key else None
        self._names: dict[str, int] = {}
        self._count = self._size = 0
        self._worst: int | None = 0
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
        self._lines, self._rows = self._make(upload_path(folder, self._id)), self._make(rows_path(folder, self._id))

    def _make(self, path: Path) -> BinaryIO:
        with writing(path):
            return path.open("wb")

    def has_room(self, line: bytes) -> bool:
        return self._count < MOST_REQUESTS and self._size + len(line) <= MOST_BYTES

    def add(self, name: str, request: Request, line: bytes, worst: int | None) -> None:
        row = Row(request.repetition, request.label, self._size, len(line))
        with writing(upload_path(self._folder, self._id)):
            self._lines.write(line)
            self._rows.write(row_line(request.key, row))
        self._count += 1
        self._size += len(line)
        self._names[name] = self._names.get(name, 0) + 1
        self._worst = None if worst is None or self._worst is None else self._worst + worst

    def finish(self) -> Batch:
        """Bring it all to the disk, the state last."""
        try:
            return self._finish()
        except BaseException:
            self.abandon()
            raise

    def _finish(self) -> Batch:
        with writing(upload_path(self._folder, self._id)):
            for file in (self._lines, self._rows):
                file.flush()
                os.fsync(file.fileno())
                file.close()
        batch = Batch(
            id=self._id,
            endpoint=self._endpoint,
            key_name=self._key_name,
            model=self._model,
            names=self._names,
            requests=self._count,
            worst=None if self._worst is None else microdollars(self._worst),
            made=self._now,
        )
        return keep(self._folder, batch)

    def abandon(self) -> None:
        """Leave nothing behind."""
        for file in (self._lines, self._rows):
            try:
                file.close()  # what it could not write, it tries again
            except OSError:
                continue
        forget_requests(self._folder, self._id)
