"""From the files that a batch ends with to answers in the store; what cannot be used is counted, never fatal."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from teachkit.llm.batch_reply import read_word
from teachkit.llm.batch_state import open_upload, read_request, read_rows
from teachkit.llm.chat import parse_chat
from teachkit.llm.responses import response_of
from teachkit.llm.verdict import read_error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from teachkit.llm.batch_state import Batch
    from teachkit.llm.money import Price
    from teachkit.llm.replies import ModelReply
    from teachkit.llm.request import Request
    from teachkit.llm.responses import Response, ResponseStore

_CHUNK: Final = 256  # lines that are looked up at once


@dataclass(slots=True)
class Outputs:
    """What came of the requests of a batch.

    ``answers`` counts those that were answered, of which ``already`` were in the store; ``failures`` the others by
    kind, ``first`` tells of the first of them. ``odd`` counts lines that say nothing of a request. ``picos`` is what
    the answers cost (None: none has a price), ``unpriced`` how many have none.
    """

    answers: int = 0
    already: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    first: str = ""
    odd: Counter[str] = field(default_factory=Counter)
    picos: int | None = None
    unpriced: int = 0


@dataclass(frozen=True, slots=True)
class _Line:
    """One line, read: an answer has a ``body`` and its ``reply``, anything else an ``error`` and its ``kind``."""

    key: str
    body: bytes
    reply: ModelReply | None
    status: int
    request_id: str | None
    kind: str = ""
    error: bytes = b""


def read_outputs(
    folder: Path, batch: Batch, files: Iterable[Path], *, store: ResponseStore, price: Callable[[Request], Price | None]
) -> Outputs:
    """Put the answers in some files into the store; those that are there are left as they are.

    Of several lines about one request the first counts. Memory holds where each request is, never the files.

    Raises:
        BadBatchState: the requests of the batch cannot be read.
        StoreUnwritable: answers cannot be kept.
    """
    found, rows = Outputs(), dict(read_rows(folder, batch.id))
    done: set[str] = set()
    with open_upload(folder, batch) as upload:
        lines = (line for path in files for line in _read_lines(path, found))
        while chunk := list(islice(lines, _CHUNK)):
            there = store.get_many([line.key for line in chunk if line.key in rows])
            for line in chunk:
                if line.key not in rows:
                    found.odd["lines about a request that is not of this batch"] += 1
                elif line.key in done:
                    found.odd["lines about a request that had one before"] += 1
                else:
                    done.add(line.key)
                    request = read_request(upload, batch, rows[line.key])
                    if line.reply is None:
                        _count_failure(found, line, request)
                    else:
                        _keep_answer(found, line, line.reply, request, batch, there.get(line.key, []), store, price)
    if left := len(rows) - len(done):
        found.failures["no answer" if batch.status == "completed" else batch.status] += left
    return found


def _keep_answer(
    found: Outputs,
    line: _Line,
    parsed: ModelReply,
    request: Request,
    batch: Batch,
    there: list[Response],
    store: ResponseStore,
    price: Callable[[Request], Price | None],
) -> None:
    body, known = line.body, price(request)
    usage = parsed.usage
    cost = known.in_batch(known.cost(usage)) if known and usage else None
    found.answers += 1
    if cost is None:
        found.unpriced += 1
    else:
        found.picos = (found.picos or 0) + cost
    if any(each.body == body and each.request_id == line.request_id for each in there):
        found.already += 1  # a collection was broken off
        return
    at = batch.created or batch.made
    store.put(
        response_of(
            request,
            parsed,
            body,
            picos=cost,
            earlier=there,
            status=line.status,
            request_id=line.request_id,
            started=at,
            finished=batch.ended or at,
        )
    )


def _count_failure(found: Outputs, line: _Line, request: Request) -> None:
    found.failures[line.kind] += 1
    if not found.first:
        _, said = read_error(line.error, request)
        found.first = f"{request.name}: {said}"


def _read_lines(path: Path, found: Outputs) -> Iterator[_Line]:
    with path.open("rb") as file:
        for raw in file:
            if not raw.strip():
                continue
            line = _read_line(raw)
            if line is None:
                found.odd["lines that cannot be read"] += 1
            else:
                yield line


def _read_line(raw: bytes) -> _Line | None:
    try:
        whole: Any = json.loads(raw)
        key, response, error = whole["custom_id"], whole.get("response"), whole.get("error")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    if not isinstance(key, str):
        return None
    answer: dict[str, Any] = response if isinstance(response, dict) else {}
    status, body = answer.get("status_code"), answer.get("body")
    status = status if isinstance(status, int) else 0
    other = f"HTTP {status}" if status else "error"
    request_id = read_word(answer.get("request_id")) or read_word(whole.get("id"))
    if 200 <= status < 300 and isinstance(body, dict):
        said = json.dumps(body, separators=(",", ":")).encode()
        if not (parsed := parse_chat(said)).unusable:
            return _Line(key, said, parsed, status, request_id)
        other = "no chat completion"
    if not error and isinstance(body, dict):
        error = body.get("error")
    code = read_word(error.get("code")) or read_word(error.get("type")) if isinstance(error, dict) else None
    return _Line(key, b"", None, status, request_id, code or other, json.dumps({"error": error}).encode())
