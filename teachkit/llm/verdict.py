"""What an HTTP reply means: an answer, a wait, a failure on the way, one request refused, or all of them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from teachkit.llm.apis import texts_of
from teachkit.llm.errors import AuthRefused, ModelUnknown, ProviderError, QuotaSpent, RedirectRefused

if TYPE_CHECKING:
    from teachkit.llm.request import Request
    from teachkit.llm.transport import Reply

_NO_MONEY: Final = frozenset(
    {"insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "quota_exceeded", "access_terminated"}
)
_NO_MODEL: Final = frozenset({"model_not_found", "model_not_available", "invalid_model"})
_FILTERED: Final = frozenset({"content_filter", "content_policy_violation"})
_LONGEST: Final = 300  # characters of a provider's message
_WINDOW: Final = 24  # so many characters of a request in a message are a quotation


@dataclass(frozen=True, slots=True)
class Verdict:
    """``fatal`` is set where every further request would meet the same."""

    kind: Literal["answered", "throttled", "transient", "refused", "filtered", "fatal"]
    said: str = ""
    fatal: ProviderError | None = None


def judge_reply(reply: Reply, request: Request, key_name: str | None) -> Verdict:
    """Say what a reply means for this request and for all others."""
    status, host = reply.status, request.endpoint.netloc
    if 200 <= status < 300:
        return Verdict("answered")
    codes, said = read_error(reply.body, request)
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
        return frozenset(), "(no message)"
    codes = [error.get(name) for name in ("code", "type", "param")]
    known = [str(code) for code in codes if code is not None]
    message = str(error.get("message") or "")[:_LONGEST]
    if quotes(message, request):
        message = "(its message quotes the request)"
    return frozenset(known), " ".join(
        filter(None, [message, f"({', '.join(known)})" if known else ""])
    ) or "(no message)"


def quotes(message: str, request: Request) -> bool:
    """Whether a message holds some of a request's text."""
    texts = [text for text in texts_of(request) if text]
    pieces = [message[at : at + _WINDOW] for at in range(max(0, len(message) - _WINDOW + 1))]
    whole = any(len(text) >= 4 and text in message for text in texts)
    return whole or any(piece in text for text in texts for piece in pieces)
