"""What a provider can do, found out by asking it: a few small questions that hold nothing of anybody's data."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from teachkit.llm import schema as schemas
from teachkit.llm.chat import StructuredOutput, chat_body, parse_chat
from teachkit.llm.errors import AuthRefused, ModelMissing, QuotaSpent, Unreachable
from teachkit.llm.limits import read_retry_after
from teachkit.llm.replies import ModelReply
from teachkit.llm.request import Endpoint, Request
from teachkit.llm.safety import check_way
from teachkit.llm.transport import TIMEOUT, NoReply, TransportName, make_transport
from teachkit.llm.verdict import judge_reply

if TYPE_CHECKING:
    from typing import TypeAlias

    from teachkit.llm.money import Price
    from teachkit.llm.transport import FastTransport, OpenAITransport

    Wire: TypeAlias = OpenAITransport | FastTransport

SHAPES: Final[tuple[StructuredOutput, ...]] = ("json_schema", "json_object", "tool", "none")  # the strictest first
LIMITS: Final = ("max_completion_tokens", "max_tokens")  # newer first

_SCHEMA: Final = schemas.label_schema(["red", "green"])
_SYSTEM, _USER = "Is the thing red or green?", 'Thing: "grass"'
_LONG: Final = "Write three sentences about a lighthouse."
_SHORT_ANSWER, _ANSWER = 4, 256  # tokens; a model that thinks first needs more than the answer has
_TRIES: Final = 3  # a request that fails on the way may have been unlucky
_LONGEST_WAIT: Final = 20.0  # seconds


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was tried: whether it works, and what was seen."""

    name: str
    works: bool
    said: str = ""


@dataclass(frozen=True, slots=True)
class Probed:
    """What was found. ``settings`` is how to say it in ``profiles.yml``, below the provider's name."""

    model: str
    findings: tuple[Finding, ...]
    settings: dict[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


class Probe:
    """A provider that is about to be probed; nothing is sent before ``run``."""

    def __init__(
        self,
        name: str,
        base_url: str,
        *,
        key_variable: str | None = None,
        model: str | None = None,
        transport: TransportName = "openai",
        timeout: float = TIMEOUT,
    ) -> None:
        """Check the way there; ``model`` by default the first that the provider lists.

        Raises:
            LlmSetupError: the host is not allowed, the key is missing, and so on.
        """
        self.name, self.model = name, model
        self.endpoint = Endpoint.parse(base_url)
        self._way = check_way(self.endpoint, key_variable)
        self._transport_name, self._timeout = transport, timeout

    @property
    def questions(self) -> int:
        """How many questions a model is asked."""
        return len(self._all(""))

    def worst(self, price: Price) -> float:
        """The most that it can cost, in USD."""
        return sum(price.worst(request) for request in self._all(self.model or "")) / 1e12

    def run(self) -> Probed:
        """Ask. Not from within a running event loop.

        Raises:
            ProviderError: nobody answers, or the key, the model or the quota is refused.
            ModelMissing: no model is named, and none is listed.
        """
        return asyncio.run(self._run())

    async def _run(self) -> Probed:
        transport = make_transport(self._transport_name, self._way, timeout=self._timeout, connections=1)
        try:
            return await self._probe(transport)
        finally:
            await transport.close()

    async def _probe(self, transport: Wire) -> Probed:
        models, listed = await self._models(transport)
        model = self.model or next(iter(models), None)
        if model is None:
            raise ModelMissing(provider=self.name, host=self.endpoint.netloc)
        found = [listed]
        for name in LIMITS:
            reply, said = await self._ask(transport, self._limited(model, name), first=name == LIMITS[0])
            found.append(_judge_limit(name, reply, said))
        limit = _first(found, LIMITS) or LIMITS[0]
        for how in SHAPES:
            reply, said = await self._ask(transport, self._shaped(model, how, limit))
            found.append(_judge_shape(how, reply, said))
        shape = _first(found, SHAPES) or "none"
        reply, said = await self._ask(transport, self._shaped(model, shape, limit, logprobs=True, top_logprobs=5))
        found += [_judge_logprobs(reply, said), await self._batches(transport)]
        works = {one.name: one.works for one in found}
        settings = {
            "model": model,
            "structured_output": shape,
            "limit_parameter": limit,
            "logprobs": works["logprobs"],
            "batches": works["batches"],
        }
        return Probed(model, tuple(found), settings)

    # ------------------------------------------------------------------ questions

    def _all(self, model: str) -> list[Request]:
        shaped = [self._shaped(model, how, LIMITS[0]) for how in SHAPES]
        logprobs = self._shaped(model, "json_schema", LIMITS[0], logprobs=True, top_logprobs=5)
        return [*(self._limited(model, name) for name in LIMITS), *shaped, logprobs]

    def _limited(self, model: str, name: str) -> Request:
        return Request(self.endpoint, chat_body(model=model, user=_LONG, parameters={name: _SHORT_ANSWER}), label=name)

    def _shaped(self, model: str, how: Any, limit: str, **more: Any) -> Request:
        body = chat_body(
            model=model,
            system=_SYSTEM,
            user=_USER,
            parameters={limit: _ANSWER, **more},
            schema=_SCHEMA,
            structured_output=how,
        )
        return Request(self.endpoint, body, label=how)

    # ------------------------------------------------------------------ answers

    async def _models(self, transport: Wire) -> tuple[list[str], Finding]:
        try:
            reply = await transport.get("/models")
        except NoReply as error:
            raise Unreachable(host=self.endpoint.netloc, reason=error.reason) from error
        listed = _listed(reply.body) if reply.status == 200 else None
        if listed is None:
            return [], Finding("models", False, f"not listed (HTTP {reply.status})")
        models = [str(each["id"]) for each in listed if isinstance(each, dict) and "id" in each]
        return models, Finding("models", True, ", ".join(models[:5]) + (", ..." if len(models) > 5 else ""))

    async def _batches(self, transport: Wire) -> Finding:
        try:
            reply = await transport.get("/batches?limit=1")
        except NoReply as error:
            return Finding("batches", False, error.reason)
        works = reply.status == 200 and _listed(reply.body) is not None
        return Finding("batches", works, "" if works else f"refused (HTTP {reply.status})")

    async def _ask(self, transport: Wire, request: Request, *, first: bool = False) -> tuple[ModelReply, str]:
        """The reply to a question, and why there is none.

        Raises:
            ProviderError: the key or the quota is refused; at the ``first`` question, anything that all would meet.
        """
        key = self._way.key.name if self._way.key else None
        said = ""
        for _ in range(_TRIES):
            try:
                reply = await transport.send(request)
            except NoReply as error:
                if first:
                    raise Unreachable(host=self.endpoint.netloc, reason=error.reason) from error
                return ModelReply(problem=error.reason), error.reason
            verdict = judge_reply(reply, request, key)
            if verdict.kind == "answered":
                parsed = parse_chat(reply.body)
                return parsed, parsed.problem or ""
            if verdict.fatal is not None and (first or isinstance(verdict.fatal, AuthRefused | QuotaSpent)):
                raise verdict.fatal
            said = f"refused (HTTP {reply.status})"
            if verdict.kind not in ("throttled", "transient"):
                break
            await asyncio.sleep(min(read_retry_after(reply.headers) or 0.1, _LONGEST_WAIT))
        return ModelReply(problem=said), said


def _listed(body: bytes) -> list[Any] | None:
    try:
        found = json.loads(body)["data"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return found if isinstance(found, list) else None


def _judge_limit(name: str, reply: ModelReply, said: str) -> Finding:
    if said:
        return Finding(name, False, said)
    tokens = reply.usage.output if reply.usage else None
    if tokens is not None and tokens > _SHORT_ANSWER:
        return Finding(name, False, f"ignored: {tokens} tokens instead of {_SHORT_ANSWER}")
    if reply.status == "truncated":
        return Finding(name, True)
    return Finding(name, False, "cannot be told: the answer was short by itself")


def _judge_shape(name: str, reply: ModelReply, said: str) -> Finding:
    if not said and reply.status != "answered":
        said = reply.status
    said = said or reply.not_json or schemas.problem(reply.data, _SCHEMA) or ""
    return Finding(name, not said, said)


def _judge_logprobs(reply: ModelReply, said: str) -> Finding:
    if not said and not any(token.top for token in reply.tokens):
        said = "the answer brings none"
    return Finding("logprobs", not said, said)


def _first(found: list[Finding], names: tuple[Any, ...]) -> Any:
    works = {one.name for one in found if one.works}
    return next((name for name in names if name in works), None)
