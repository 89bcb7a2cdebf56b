"""A server with files and batches, beside chat completions, that fails and dies as it is told to.

In a test::

    with BatchServer() as server:
        server.call_faults["create"] = ["500", "cut-after"]   # of the next calls of this kind
        ...
        server.finish()                                  # every batch is answered
        server.bought                                    # how often each custom_id was bought

Kinds of calls: ``upload``, ``create``, ``list``, ``retrieve``, ``cancel``, ``file``,
``content``. ``-after`` faults do what was
asked before they fail, the others do not.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from tests.llm.server import ERRORS, Server, error

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.llm.server import Connection

    Outcome = Callable[[str, dict[str, Any]], str]

MADE = 1_760_000_000


@dataclass(slots=True)
class Stored:
    """A batch, and what was asked in it: custom_id -> body."""

    whole: dict[str, Any]
    asked: dict[str, dict[str, Any]] = field(default_factory=dict)


class BatchServer(Server):
    """``page``: batches of a list at most; ``validates``: refuse files that a provider would refuse."""

    def __init__(self, *, page: int = 100, validates: bool = True, **more: Any) -> None:
        super().__init__(**more)
        self.page, self.validates = page, validates
        self.call_faults: defaultdict[str, list[str]] = defaultdict(list)
        self.calls: Counter[str] = Counter()
        self.headers: list[dict[str, str]] = []
        self.kinds: list[str] = []  # of the same calls
        self.on_call: Callable[[str, int, str], None] = lambda kind, nth, moment: None
        self.files: dict[str, bytes] = {}
        self.names: dict[str, str] = {}
        self.batches: dict[str, Stored] = {}
        self.bought: Counter[str] = Counter()
        self.hidden: set[str] = set()  # batches that a list does not show yet

    # -- what a test does

    def finish(
        self,
        outcome: Outcome = lambda key, body: "ok",
        *,
        status: str = "completed",
        only: str | None = None,
        change: Callable[[list[bytes]], list[bytes]] = lambda lines: lines,
    ) -> None:
        """Bring batches to their end. An outcome is a fault of a completion, ``expired``, ``none`` or ``HTTP n``."""
        for stored in self.batches.values():
            if stored.whole["status"] not in ("in_progress", "cancelling") or only not in (None, stored.whole["id"]):
                continue
            outputs: list[bytes] = []
            errors: list[bytes] = []
            for number, (key, body) in enumerate(reversed(stored.asked.items())):  # in no order that was promised
                what = outcome(key, body)
                if what == "none":
                    continue
                (outputs if _is_answer(what) else errors).append(self._line(number, key, body, what))
            whole = stored.whole
            whole |= {"status": status, f"{status}_at": MADE + 90}
            whole["output_file_id"] = self._store(b"".join(change(outputs))) if outputs else None
            whole["error_file_id"] = self._store(b"".join(errors)) if errors else None
            whole["request_counts"] |= {"completed": len(outputs), "failed": len(stored.asked) - len(outputs)}

    def file_of(self, batch: str, kind: str = "output") -> str:
        return str(self.batches[batch].whole[f"{kind}_file_id"])

    # -- what a client asks

    def serve_other(self, connection: Connection, method: str, path: str, headers: dict[str, str], raw: bytes) -> bool:
        url = urlsplit(path)
        kind, ident = _kind(method, url.path)
        if kind is None:
            return False
        nth, self.calls[kind] = self.calls[kind], self.calls[kind] + 1
        self.headers.append(headers)
        self.kinds.append(kind)
        self.on_call(kind, nth, "before")
        fault = self.call_faults[kind].pop(0) if self.call_faults[kind] else "ok"
        if fault in ERRORS:
            status, whole, more = ERRORS[fault]
            connection.write(status, whole, more)
        elif fault == "echo-key":
            connection.write(400, error(f"not with {headers.get('authorization')}", "bad", "bad"))
        elif fault == "hang":
            pass
        elif fault == "cut":
            connection.transport.abort()
        elif fault == "404":
            connection.write(404, error("Invalid URL", "invalid_request_error"))
        else:
            status, answer = getattr(self, f"_{kind}")(ident, parse_qs(url.query), headers, raw)
            self.on_call(kind, nth, "after")
            if fault == "cut-after":
                connection.transport.abort()
            elif fault == "500-after":
                connection.write(500, error("The server had an error", "server_error"))
            elif fault == "hang-after":
                pass
            elif fault == "garbage-after":
                connection.write(200, b"<html>all is well</html>")
            elif fault == "half" and isinstance(answer, bytes):
                _write_half(connection, answer)
            elif fault == "no-id-after":
                connection.write(200, {"hello": "world"})
            else:
                connection.write(status, answer)
        return True

    def _upload(self, ident: str, query: Any, headers: dict[str, str], raw: bytes) -> tuple[int, Any]:
        boundary = headers["content-type"].partition("boundary=")[2].encode()
        parts = raw.split(b"--" + boundary)[1:-1]
        found: dict[str, bytes] = {}
        shown = ""
        for part in parts:
            head, _, data = part.strip(b"\r\n").partition(b"\r\n\r\n")
            name = re.search(rb'name="(\w+)"', head)
            assert name
            found[name[1].decode()] = data
            if file_name := re.search(rb'filename="([^"]+)"', head):
                shown = file_name[1].decode()
        if found.get("purpose") != b"batch":
            return 400, error("purpose must be batch", "invalid_request_error")
        file_id = self._store(found["file"] + b"\n" if not found["file"].endswith(b"\n") else found["file"])
        self.names[file_id] = shown
        return 200, {"id": file_id, "object": "file", "purpose": "batch", "bytes": len(found["file"])}

    def _file(self, ident: str, query: Any, headers: dict[str, str], raw: bytes) -> tuple[int, Any]:
        if ident not in self.files:
            return 404, error(f"No such File object: {ident}", "invalid")
        return 200, {"id": ident, "object": "file", "purpose": "batch"}

    def _create(self, ident: str, query: Any, headers: dict[str, str], raw: bytes) -> tuple[int, Any]:
        asked = json.loads(raw)
        data = self.files.get(asked["input_file_id"])
        if data is None:
            return 400, error("no such file", "invalid_request_error", "invalid_file")
        if asked["completion_window"] != "24h" or asked["endpoint"] != "/v1/chat/completions":
            return 400, error("Invalid value", "invalid_request_error")
        number = len(self.batches)
        whole: dict[str, Any] = {
            "id": f"batch_{number}",
            "object": "batch",
            "endpoint": asked["endpoint"],
            "input_file_id": asked["input_file_id"],
            "completion_window": "24h",
            "status": "in_progress",
            "created_at": MADE + number,
            "expires_at": MADE + number + 86_400,
            "output_file_id": None,
            "error_file_id": None,
            "errors": None,
            "metadata": asked.get("metadata"),
        }
        stored = self.batches[whole["id"]] = Stored(whole)
        problem = self._problem(data) if self.validates else None
        if problem is None:
            for line in data.splitlines():
                one = json.loads(line)
                stored.asked[one["custom_id"]] = one["body"]
                self.bought[one["custom_id"]] += 1
        else:
            whole |= {"status": "failed", "failed_at": MADE + 9, "errors": {"object": "list", "data": [problem]}}
        whole["request_counts"] = {"total": len(stored.asked), "completed": 0, "failed": 0}
        return 200, whole

    def _list(self, ident: str, query: Any, headers: dict[str, str], raw: bytes) -> tuple[int, Any]:
        known = [stored.whole for name, stored in reversed(self.batches.items()) if name not in self.hidden]
        after = query.get("after", [None])[0]
        start = next((n + 1 for n, whole in enumerate(known) if whole["id"] == after), 0)
        size = min(self.page, int(query["limit"][0]))
        data = known[start : start + size]
        more = start + size < len(known)
        return 200, {"object": "list", "data": data, "has_more": more, "last_id": data[-1]["id"] if data else None}

    def _retrieve(self, ident: str, query: Any, headers: dict[str, str], raw: bytes) -> tuple[int, Any]:
        stored = self.batches.get(ident)
        return (200, stored.whole) if stored else (404, error(f"No batch found with id '{ident}'", "invalid"))

    def _cancel(self, ident: str, query: Any, headers: dict[str, str], raw: bytes) -> tuple[int, Any]:
        stored = self.batches.get(ident)
        if stored is None:
            return 404, error(f"No batch found with id '{ident}'", "invalid")
        if stored.whole["status"] != "in_progress":
            return 409, error(f"Cannot cancel a batch with status '{stored.whole['status']}'", "invalid")
        stored.whole |= {"status": "cancelling", "cancelling_at": MADE + 50}
        return 200, stored.whole

    def _content(self, ident: str, query: Any, headers: dict[str, str], raw: bytes) -> tuple[int, Any]:
        data = self.files.get(ident)
        return (404, error(f"No such File object: {ident}", "invalid")) if data is None else (200, data)

    # -- inside

    def _store(self, data: bytes) -> str:
        file_id = f"file-{len(self.files)}"
        self.files[file_id] = data
        return file_id

    def _line(self, number: int, key: str, body: dict[str, Any], what: str) -> bytes:
        line: dict[str, Any] = {"id": f"batch_req_{number}", "custom_id": key, "response": None, "error": None}
        if what == "expired":
            message = "This request could not be executed before the completion window expired."
            line["error"] = {"code": "batch_expired", "message": message}
        elif what.startswith("HTTP "):
            status = int(what[5:])
            said = f"Invalid: {body['messages'][-1]['content']}"
            line["response"] = {"status_code": status, "request_id": f"req_{key[:9]}", "body": error(said, "bad")}
        else:
            status, answer = (
                ERRORS[what][:2] if what in ERRORS else (200, self.reply_to("/v1/chat/completions", body, what))
            )
            line["response"] = {"status_code": status, "request_id": f"req_{key[:9]}", "body": answer}
        return json.dumps(line).encode() + b"\n"

    def _problem(self, data: bytes) -> dict[str, Any] | None:
        models, keys = set(), set()
        for number, raw in enumerate(data.splitlines(), 1):
            line = json.loads(raw)
            models.add(line["body"]["model"])
            text = line["body"]["messages"][-1]["content"]
            if "forbidden" in text:
                return {"code": "invalid_request", "message": f"Bad input: {text}", "line": number, "param": None}
            if line["custom_id"] in keys:
                return {"code": "duplicate_custom_id", "message": "The custom_id is used twice.", "line": number}
            keys.add(line["custom_id"])
        if len(models) > 1:
            return {"code": "mismatched_model", "message": "The file asks several models.", "line": None}
        return None


def _is_answer(what: str) -> bool:
    return what != "expired" and not what.startswith("HTTP ")


def _kind(method: str, path: str) -> tuple[str | None, str]:
    for wanted, pattern, kind in (
        ("POST", r"/v1/files", "upload"),
        ("GET", r"/v1/files/([^/]+)/content", "content"),
        ("GET", r"/v1/files/([^/]+)", "file"),
        ("POST", r"/v1/batches", "create"),
        ("GET", r"/v1/batches", "list"),
        ("GET", r"/v1/batches/([^/]+)", "retrieve"),
        ("POST", r"/v1/batches/([^/]+)/cancel", "cancel"),
    ):
        match = re.fullmatch(pattern, path)
        if match and method == wanted:
            return kind, match[1] if match.groups() else ""
    return None, ""


def _write_half(connection: Connection, data: bytes) -> None:
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/jsonl\r\ncontent-length: {len(data)}\r\n\r\n"
    connection.transport.write(head.encode() + data[: len(data) // 2])
    asyncio.get_running_loop().call_later(0.01, connection.transport.abort)
