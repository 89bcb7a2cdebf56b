"""What an HTTP reply means: an answer, a wait, a failure on the way, one request refused, or all of them."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal

from teachkit.llm.apis import parse_reply, texts_of
from teachkit.llm.errors import AuthRefused, ModelUnknown, ProviderError, QuotaSpent, RedirectRefused

if TYPE_CHECKING:
    from teachkit.llm.replies import ModelReply
    from teachkit.llm.request import Request
    from teachkit.llm.transport import Reply

_NO_MONEY: Final = frozenset(
    {"insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "quota_exceeded", "access_terminated"}
)
_NO_MODEL: Final = frozenset({"model_not_found", "model_not_available", "invalid_model"})
_FILTERED: Final = frozenset({"content_filter", "content_policy_violation"})
_STATUSES: Final = {str(status): status for status in range(400, 600)}  # as a code in the body of an error
_BAD_GATEWAY: Final = 502
_NO_MESSAGE: Final = "(no message)"
_LONGEST: Final = 300  # characters of a provider's message
_WINDOW: Final = 24  # so many characters of a request in a message are a quotation


@dataclass(frozen=True, slots=True)
class Verdict:
    """``fatal`` is set where every further request would meet the same, ``reply`` where ``judge_answer`` has read one.

    ``maybe_paid``: there is no answer, and the request may have reached the model all the same.
    """

    kind: Literal["answered", "throttled", "transient", "refused", "filtered", "fatal"]
    said: str = ""
    fatal: ProviderError | None = None
    reply: ModelReply | None = None
    maybe_paid: bool = False


def judge_answer(reply: Reply, request: Request, key_name: str | None) -> Verdict:
    """As ``judge_reply``, of a reply that should hold an answer: without one, status 200 is a failure on the way.

    Gateways answer so when the model behind them fails; the code in their error is the status that they mean.
    """
    verdict = judge_reply(reply, request, key_name)
    if verdict.kind != "answered":
        return verdict
    parsed = parse_reply(request.api, request.body, reply.body)
    if not parsed.unusable:
        return replace(verdict, reply=parsed)
    codes, said = read_error(reply.body, request)
    status = next((_STATUSES[code] for code in sorted(codes & _STATUSES.keys())), _BAD_GATEWAY)
    verdict = _judge_error(status, codes, said, request, key_name)
    told = said != _NO_MESSAGE
    if verdict.kind == "transient":
        verdict = replace(verdict, said=f"HTTP {reply.status}, but {parsed.problem}" + (f": {said}" if told else ""))
    return replace(verdict, maybe_paid=not told)


def judge_reply(reply: Reply, request: Request, key_name: str | None) -> Verdict:
    """Say what a reply means for this request and for all others."""
    if 200 <= reply.status < 300:
        return Verdict("answered")
    codes, said = read_error(reply.body, request)
    return _judge_error(reply.status, codes, said, request, key_name)


def _judge_error(status: int, codes: frozenset[str], said: str, request: Request, key_name: str | None) -> Verdict:
    host = request.endpoint.netloc
    if 300 <= status < 400:
        return Verdict("fatal", said, RedirectRefused(host=host, status=status))
    if status == 402 or codes & _NO_MONEY:
        return Verdict("fatal", said, QuotaSpent(host=host, said=said))
    if status in (401, 403):
        return Verdict("fatal", said, AuthRefused(host=host, name=key_name or "(no key)", status=status, said=said))
    if status == 404 or codes & _NO_MODEL:
        return Verdict("fatal", said, ModelUnknown(host=host, model=request.model, status=status, said=said))
    if status == 429:
        return Verdict("throttled", said)
    if status in (408, 409, 425) or status >= 500:
        return Verdict("transient", f"HTTP {status}")
    if codes & _FILTERED:
        return Verdict("filtered", said)
    return Verdict("refused", said)


def read_error(body: bytes, request: Request) -> tuple[frozenset[str], str]:
    """The codes and the message of an error's body; no message that quotes the request."""
    try:
        whole: Any = json.loads(body)
        error = whole.get("error", whole)
        error = {"message": error} if isinstance(error, str) else dict(error)
    except (ValueError, TypeError, AttributeError, RecursionError):
        return frozenset(), _NO_MESSAGE
    codes = [error.get(name) for name in ("code", "type", "param")]
    known = [str(code) for code in codes if code is not None]
    message = str(error.get("message") or "")[:_LONGEST]
    if quotes(message, request):
        message = "(its message quotes the request)"
    return frozenset(known), " ".join(filter(None, [message, f"({', '.join(known)})" if known else ""])) or _NO_MESSAGE


def quotes(message: str, request: Request) -> bool:
    """Whether a message holds some of a request's text."""
    texts = [text for text in texts_of(request) if text]
    pieces = [message[at : at + _WINDOW] for at in range(max(0, len(message) - _WINDOW + 1))]
    whole = any(len(text) >= 4 and text in message for text in texts)
    return whole or any(piece in text for text in texts for piece in pieces)
