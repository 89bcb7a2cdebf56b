"""A server that speaks ``/v1/chat/completions``, ``/v1/embeddings`` and ``/v1/decisions``, and fails as it is told to.

In a test::

    with Server() as server:
        server.url           # http://127.0.0.1:PORT/v1
        server.seen          # what came: headers and bodies

What to do with a request stands in the request: ``{"metadata": {"faults": ["429", "500"]}}`` fails its first two
sendings. Or ``Server(script=...)`` decides: a function of the body, how often this body came before, and how many
requests came in all.

A vector counts the words of its text, so texts that share words are near each other. ``Server(decide=...)`` says how
likely each option of a question is, or None to decline it.

By itself, for benchmarks: ``python -m tests.llm.server --mode faulty --latency 0.05`` prints its port; ``GET /stats``
counts.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import hashlib
import json
import math
import re
import struct
import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Self

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    Script = Callable[[dict[str, Any], int, int], str]

PATHS: Final = ("/chat/completions", "/embeddings", "/decisions")
DIMENSIONS: Final = 96
TOKENS: Final = 8  # of every answer

FAULTS: Final = (
    "ok", "429", "429-bare", "429-long", "500", "hang", "slow", "cut", "garbage", "not-chat", "schema", "refusal",
    "length", "content_filter", "filter-400", "quota", "auth", "model", "redirect", "bad-request", "echo-key",
    "no-usage", "costly", "misfit", "gateway", "gateway-429",
)  # fmt: skip


def faults_in_request(body: dict[str, Any], nth: int, total: int) -> str:
    """The fault that the request itself asks for, at its ``nth`` sending."""
    faults = (body.get("metadata") or {}).get("faults") or []
    return faults[nth] if nth < len(faults) else "ok"


def faulty(body: dict[str, Any], nth: int, total: int) -> str:
    """A bad day: 3 % 429, 2 % 500, 0.5 % hang, 0.5 % no JSON, at the first sending of a request."""
    if nth:
        return "ok"
    share = int(_digest(body.get("messages", body.get("input")))[:8], 16) / 2**32
    for limit, fault in ((0.03, "429"), (0.05, "500"), (0.055, "hang"), (0.06, "garbage")):
        if share < limit:
            return fault
    return "ok"


def like_llama_cpp(body: dict[str, Any], nth: int, total: int) -> str:
    """Refuses ``response_format: json_schema`` as llama.cpp's server does: with a 500, at every sending."""
    return "500" if (body.get("response_format") or {}).get("type") == "json_schema" else "ok"


MODES: Final[dict[str, Script]] = {"plain": faults_in_request, "faulty": faulty, "quota": lambda *_: "quota"}


@dataclass(slots=True)
class Bucket:
    """At most ``rate`` requests a second, ``burst`` at once; ``told``: rate-limit headers come with every reply."""

    rate: float
    burst: float
    told: bool = True
    level: float = field(init=False)
    at: float | None = None

    def __post_init__(self) -> None:
        self.level = self.burst

    def take(self, now: float) -> bool:
        self.level = min(self.burst, self.level + (now - (self.at or now)) * self.rate)
        self.at = now
        if self.level < 1:
            return False
        self.level -= 1
        return True

    def headers(self) -> dict[str, str]:
        if not self.told:
            return {}
        return {
            "x-ratelimit-limit-requests": f"{self.rate * 60:.0f}",
            "x-ratelimit-remaining-requests": f"{int(self.level)}",
            "x-ratelimit-reset-requests": f"{(self.burst - self.level) / self.rate * 1000:.0f}ms",
        }


@dataclass(frozen=True, slots=True)
class Seen:
    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    raw: bytes


class Server:
    """The server, in a thread of its own."""

    def __init__(
        self,
        *,
        script: Script = faults_in_request,
        latency: float = 0.0,
        bucket: Bucket | None = None,
        keep_seen: bool = True,
        port: int = 0,
        answer: Callable[[dict[str, Any]], Any] = lambda body: None,
        shares: Callable[[dict[str, Any]], dict[str, float]] | None = None,
        decide: Callable[[dict[str, Any], dict[str, Any]], dict[str, float] | None] | None = None,
        vector: Callable[[str, int], list[float]] | None = None,
        models: tuple[str, ...] | None = ("tiny",),
        limits: tuple[str, ...] = ("max_completion_tokens", "max_tokens"),
        logprobs: bool = True,
        batches: bool = False,
    ) -> None:
        """``answer``: what to say to a body, None: anything that fits. ``shares``: how likely each label is to it.

        ``decide``: how likely each option is, from a body of decisions and one of its questions. ``vector``: that of a
        text, of so many numbers. ``models`` are listed (None: there is no list); ``limits`` are the limits on tokens
        that it obeys.
        """
        self.answer_to, self.shares, self.decide, self.vector = answer, shares, decide or chance, vector or vector_of
        self.script, self.latency, self.bucket, self.keep_seen = script, latency, bucket, keep_seen
        self.port = port
        self.models, self.limits, self.logprobs, self.lists_batches = models, limits, logprobs, batches
        self.gets: list[str] = []
        self.seen: list[Seen] = []
        self.faults: Counter[str] = Counter()
        self.nth: Counter[str] = Counter()
        self.total = 0
        self.on_request: Callable[[int], None] = lambda total: None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self.serve()), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def __enter__(self) -> Self:
        self._thread.start()
        self._started.wait()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._loop
        assert self._stop
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    async def serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        connections: set[asyncio.Transport] = set()
        server = await self._loop.create_server(
            lambda: Connection(self, connections), "127.0.0.1", self.port, backlog=512
        )
        self.port = server.sockets[0].getsockname()[1]
        self._started.set()
        await self._stop.wait()
        server.close()
        for connection in list(connections):
            connection.abort()
        await asyncio.sleep(0)

    def asked(self, path: str) -> list[dict[str, Any]]:
        """The bodies that came to a path, such as ``/embeddings``."""
        return [seen.body for seen in self.seen if seen.path.endswith(path)]

    def reply_to(self, path: str, body: dict[str, Any], fault: str) -> dict[str, Any]:
        if path.endswith("/embeddings"):
            return embedding(body, fault, self.vector)
        if path.endswith("/decisions"):
            return decision(body, fault, self.decide)
        return self.completion(body, fault)

    def completion(self, body: dict[str, Any], fault: str) -> dict[str, Any]:
        """What this server makes of a body: ``completion``, as far as it can."""
        asked = {**body, "logprobs": self.logprobs and body.get("logprobs")}
        whole = completion(asked, fault, self.answer_to(body), self.shares(body) if self.shares else None)
        limit = min((body[name] for name in self.limits if name in body), default=TOKENS)
        if fault == "ok" and limit < TOKENS:
            whole["choices"][0]["finish_reason"] = "length"
            whole["usage"]["completion_tokens"] = limit
        return whole

    def serve_other(self, connection: Connection, method: str, path: str, headers: dict[str, str], raw: bytes) -> bool:
        """Answer what is none of the questions, if it is known."""
        return False

    def stats(self) -> dict[str, Any]:
        return {"total": self.total, "faults": dict(self.faults), "distinct": len(self.nth)}


class Connection(asyncio.Protocol):
    def __init__(self, server: Server, connections: set[asyncio.Transport]) -> None:
        self.server, self.connections = server, connections
        self.buffer = b""
        self.loop = asyncio.get_running_loop()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.connections.add(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self.connections.discard(self.transport)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            head = self.buffer[:end].decode("latin-1").split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
            size = int(headers.get("content-length", 0))
            if len(self.buffer) < end + 4 + size:
                return
            raw, self.buffer = self.buffer[end + 4 : end + 4 + size], self.buffer[end + 4 + size :]
            method, path, _ = head[0].split(" ", 2)
            self.answer(method, path, headers, raw)

    def answer(self, method: str, path: str, headers: dict[str, str], raw: bytes) -> None:
        server = self.server
        if path == "/stats":
            self.write(200, server.stats())
            return
        if server.serve_other(self, method, path, headers, raw):
            return
        if method == "GET":
            server.gets.append(path)
            there = {"/v1/models": server.models, "/v1/batches?limit=1": () if server.lists_batches else None}
            if (listed := there.get(path)) is not None:
                self.write(200, {"object": "list", "data": [{"id": name, "object": "model"} for name in listed]})
                return
        if method != "POST" or not path.endswith(PATHS):
            self.write(404, error("no such path", "invalid_request_error", "unknown_url"))
            return
        body = json.loads(raw)
        name = hashlib.sha256(raw).hexdigest()
        nth, server.nth[name] = server.nth[name], server.nth[name] + 1
        server.total += 1
        if server.keep_seen:
            server.seen.append(Seen(path, headers, body, raw))
        more: dict[str, str] = {}
        fault = server.script(body, nth, server.total)
        if server.bucket:
            if not server.bucket.take(self.loop.time()):
                fault = "429" if server.bucket.told else "429-bare"
            more = server.bucket.headers()
        server.faults[fault] += 1
        server.on_request(server.total)
        delay = server.latency * (0.2 if fault.startswith("429") else 1)
        if delay:
            self.loop.call_later(delay, self.reply, path, fault, body, headers, more)
        else:
            self.reply(path, fault, body, headers, more)

    def reply(self, path: str, fault: str, body: dict[str, Any], headers: dict[str, str], more: dict[str, str]) -> None:
        if self.transport.is_closing() or fault == "hang":
            return
        if fault == "slow":
            self.loop.call_later(0.05, self.reply, path, "ok", body, headers, more)
        elif fault == "cut":
            self.transport.write(
                b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 900\r\n\r\n{"id"'
            )
            self.transport.close()
        elif fault == "garbage":
            self.write(200, b"<html>the proxy is having a rest</html>", more)
        elif fault in ERRORS:
            status, whole, own = ERRORS[fault]
            self.write(status, whole, more | own)
        elif fault == "echo-key":
            self.write(401, error(f"not your key: {headers.get('authorization')}", "auth", "bad"), more)
        else:
            whole = self.server.reply_to(path, body, fault)
            self.write(200, whole, more | {"x-request-id": f"req-{self.server.total}"})

    def write(self, status: int, whole: object, more: dict[str, str] | None = None) -> None:
        data = whole if isinstance(whole, bytes) else json.dumps(whole).encode()
        lines = [f"HTTP/1.1 {status} X", "content-type: application/json", f"content-length: {len(data)}"]
        lines += [f"{name}: {value}" for name, value in (more or {}).items()]
        self.transport.write("\r\n".join([*lines, "", ""]).encode() + data)


def error(message: str, kind: str, code: str | None = None) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


ERRORS: Final[dict[str, tuple[int, object, dict[str, str]]]] = {
    "429": (429, error("Rate limit reached", "requests", "rate_limit_exceeded"), {"retry-after-ms": "20"}),
    "429-bare": (429, error("slow down", "requests"), {}),
    "429-long": (429, error("slow down", "requests"), {"retry-after": "86400"}),
    "500": (500, error("The server had an error", "server_error"), {}),
    "quota": (429, error("You exceeded your current quota", "insufficient_quota", "insufficient_quota"), {}),
    "auth": (401, error("Incorrect API key provided", "invalid_request_error", "invalid_api_key"), {}),
    "model": (404, error("The model does not exist", "invalid_request_error", "model_not_found"), {}),
    "redirect": (307, b"", {"location": "http://127.0.0.1:9/v1/chat/completions"}),
    "bad-request": (400, error("Unsupported parameter: 'top_k'", "invalid_request_error", "unsupported_parameter"), {}),
    "filter-400": (400, error("filtered", "invalid_request_error", "content_filter"), {}),
    "not-chat": (200, {"hello": "world"}, {}),
    "gateway": (200, {"error": {"code": 502, "message": "Provider returned error"}}, {}),
    "gateway-429": (200, {"error": {"code": 429, "message": "Provider is busy"}}, {"retry-after-ms": "20"}),
}


def completion(
    body: dict[str, Any], fault: str = "ok", answer: Any = None, shares: dict[str, float] | None = None
) -> dict[str, Any]:
    """The answer to a body: the same for the same body, of its schema if it has one; or ``answer``."""
    wrong = {"schema": "violates the schema", "misfit": '{"mood": "JSON, and not what the schema asks for"}'}
    text = wrong.get(fault) or (_content(body) if answer is None else json.dumps(answer))
    if shares is not None and fault == "ok":
        text = json.dumps({"label": max(shares, key=lambda label: shares[label])})
    message: dict[str, Any] = {"role": "assistant", "content": text, "refusal": None}
    if fault == "refusal":
        message |= {"content": None, "refusal": "I cannot help with that"}
    elif body.get("tools") and fault != "schema":
        call = {"type": "function", "id": "call-1", "function": {"name": "answer", "arguments": text}}
        message |= {"content": None, "tool_calls": [call]}
    reasons = {"length": "length", "content_filter": "content_filter"}
    choice: dict[str, Any] = {
        "index": 0,
        "message": message,
        "finish_reason": reasons.get(fault, "stop"),
        "logprobs": None,
    }
    if body.get("logprobs"):
        top = [{"token": text, "logprob": -0.1}, {"token": "other", "logprob": -2.5}]
        choice["logprobs"] = {"content": [{"token": text, "logprob": -0.1, "top_logprobs": top}]}
        if shares is not None:
            choice["logprobs"] = {"content": _tokens(shares)}
    whole = {
        "id": f"chatcmpl-{_digest(body)[:12]}",
        "object": "chat.completion",
        "created": 1_760_000_000,
        "model": f"{body['model']}-2026-01-01",
        "system_fingerprint": "fp_test",
        "choices": [choice],
        "usage": {
            "prompt_tokens": len(json.dumps(body["messages"])) // 4,
            "completion_tokens": 1_000_000 if fault == "costly" else TOKENS,
            "prompt_tokens_details": {"cached_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0},
        },
    }
    if fault == "no-usage":
        del whole["usage"]
    return whole


def embedding(
    body: dict[str, Any], fault: str = "ok", vector: Callable[[str, int], list[float]] | None = None
) -> dict[str, Any]:
    """The vector of a text, or with the fault ``schema`` an empty one."""
    size = body.get("dimensions") or DIMENSIONS
    numbers = [] if fault == "schema" else (vector or vector_of)(body["input"], size)
    packed = base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()
    given = packed if body.get("encoding_format") == "base64" else numbers
    tokens = 1_000_000 if fault == "costly" else len(body["input"]) // 4 + 1
    whole = {
        "object": "list",
        "data": [{"object": "embedding", "index": 0, "embedding": given}],
        "model": f"{body['model']}-2026-01-01",
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }
    if fault == "no-usage":
        del whole["usage"]
    return whole


def vector_of(text: str, dimensions: int = DIMENSIONS) -> list[float]:
    """How often each word stands in a text, by a hash of it; the length is 1."""
    counts = [0.0] * dimensions
    for word in re.findall(r"\w+", text.lower()):
        counts[int(_digest(word)[:8], 16) % dimensions] += 1
    length = math.hypot(*counts)
    return [number / length for number in counts] if length else counts


def decision(body: dict[str, Any], fault: str, decide: Callable[..., dict[str, float] | None]) -> dict[str, Any]:
    """The answers to all questions; with the fault ``schema`` no option of theirs, with ``refusal`` none at all."""
    answers: list[dict[str, Any]] = []
    for question in body["questions"]:
        shares = None if fault == "refusal" else decide(body, question)
        if shares is None:
            answers.append({"type": "refusal", "name": question.get("name")})
            continue
        best = max(shares, key=lambda option: shares[option])
        answers.append(
            {
                "type": "choice",
                "name": question.get("name"),
                "choice": "none of these" if fault == "schema" else best,
                "confidence": shares[best],
                "probabilities": [{"value": option, "probability": share} for option, share in shares.items()],
            }
        )
    size = len(json.dumps(body)) // 4
    written = 1_000_000 if fault == "costly" else 4 * len(answers)
    whole = {
        "answers": answers,
        "model": f"{body['model']}-2026-01-01",
        "usage": {
            "input_tokens": size,
            "input_tokens_details": {"cache_write_tokens": 0, "cached_tokens": 3},
            "output_tokens": written,
            "output_tokens_details": {"reasoning_tokens": 1},
            "total_tokens": size + written,
        },
    }
    if fault == "no-usage":
        del whole["usage"]
    return whole


def chance(body: dict[str, Any], question: dict[str, Any]) -> dict[str, float]:
    """Shares by a hash of input and question; the first option of some order takes most."""
    options = [choice["value"] for choice in question["choices"]]
    first = int(_digest([body["input"], question])[:8], 16) % len(options)
    rest = 0.2 / max(1, len(options) - 1)
    return {option: 0.8 if number == first else rest for number, option in enumerate(options)}


def _tokens(shares: dict[str, float]) -> list[Any]:
    """Three tokens, the second of them the label, with its rivals."""
    label = max(shares, key=lambda each: shares[each])
    rivals = [{"token": each, "logprob": math.log(share)} for each, share in shares.items() if share > 0]
    return [
        {"token": '{"label": "', "logprob": 0.0, "top_logprobs": []},
        {"token": label, "logprob": math.log(shares[label]), "top_logprobs": rivals},
        {"token": '"}', "logprob": 0.0, "top_logprobs": []},
    ]


def _content(body: dict[str, Any]) -> str:
    number = int(_digest(body["messages"])[:8], 16)
    shape = body.get("response_format") or {}
    schema = (shape.get("json_schema") or {}).get("schema") or shape.get("schema")
    if body.get("tools"):
        schema = body["tools"][0]["function"]["parameters"]
    if not schema:
        return f"answer {number}"
    answer: dict[str, Any] = {}
    for name, below in schema["properties"].items():
        answer[name] = _value(below, number)
    return json.dumps(answer)


def _value(schema: dict[str, Any], number: int) -> Any:
    """A value that fits a schema."""
    if "enum" in schema:
        return schema["enum"][number % len(schema["enum"])]
    kind = schema.get("type", "string")
    kind = kind if isinstance(kind, str) else kind[number % len(kind)]
    match kind:
        case "array":
            return [_value(schema["items"], number)]
        case "object":
            return {name: _value(below, number) for name, below in schema["properties"].items()}
        case "string":
            return f"because {number}"
    return {"integer": number % 10, "number": number % 10 / 2, "boolean": number % 2 == 0, "null": None}[kind]


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mode", choices=sorted(MODES), default="plain")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds")
    parser.add_argument("--rate", type=float, help="requests a second")
    parser.add_argument("--burst", type=float, default=20.0)
    parser.add_argument("--untold", action="store_true", help="no rate-limit headers")
    options = parser.parse_args()
    bucket = Bucket(options.rate, options.burst, told=not options.untold) if options.rate else None
    server = Server(script=MODES[options.mode], latency=options.latency, bucket=bucket, keep_seen=False)

    async def serve() -> None:
        serving = asyncio.create_task(server.serve())
        while not server.port:
            await asyncio.sleep(0.01)
        print(server.port, flush=True)  # noqa: T201 - the port is what it is asked for
        await serving

    asyncio.run(serve())


if __name__ == "__main__":
    main()
