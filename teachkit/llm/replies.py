"""A model's reply, parsed: the same whichever kind of API gave it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as the provider counts them; ``cached`` are among ``input``, ``reasoning`` among ``output``."""

    input: int
    output: int
    cached: int = 0
    reasoning: int = 0


@dataclass(frozen=True, slots=True)
class TokenChoice:
    """One token of the answer, its log-probability, and those of its rivals (itself included), best first.

    Of a token that ends within a character, the bytes that are none are lone surrogates (``surrogateescape``), if the
    provider says which bytes they are: so tokens put together are the answer.
    """

    token: str
    logprob: float
    top: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class ModelReply:
    """A reply, parsed. ``problem`` says why it is none of the kind of API that was asked.

    ``unusable``: not even its envelope is one, so nothing in it is a model's answer (an error of a gateway, the page of
    a proxy).

    Chat: ``data`` is the JSON in the answer, ``not_json`` says why there is none. Decisions, by the name of each
    question: ``data`` is the option that was chosen, ``probabilities`` those of all options, ``confidence`` the
    provider's own word for how sure it is; questions that were declined stand in ``refusal`` and in none of these.
    Embeddings: ``vector`` holds float32 numbers, least byte first.
    """

    text: str = ""
    data: Any = None
    finish_reason: str = ""
    refusal: str | None = None
    usage: Usage | None = None
    model: str = ""
    system_fingerprint: str | None = None
    tokens: tuple[TokenChoice, ...] = ()
    not_json: str | None = None
    problem: str | None = None
    unusable: bool = False
    vector: bytes = b""
    probabilities: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    confidence: Mapping[str, float] = field(default_factory=dict)

    @property
    def status(self) -> Literal["answered", "refusal", "content_filter", "truncated"]:
        """What the model says of its own answer, before anybody looks into it."""
        if self.refusal is not None:
            return "refusal"
        if self.finish_reason == "content_filter":
            return "content_filter"
        return "truncated" if self.finish_reason == "length" else "answered"


def read_reply(raw: bytes, parse: Callable[[Any], ModelReply], wanted: str, *, holder: str) -> ModelReply:
    """Parse the body of a reply; whatever is wrong with it stands in ``problem``, and nothing is raised.

    ``holder`` is the key of the list that holds what a model answered.
    """
    try:
        whole = loads(raw.decode())
    except (ValueError, RecursionError):
        return ModelReply(problem="the reply is not JSON", unusable=True)
    if not _holds_an_answer(whole, holder):
        return ModelReply(problem=f"the reply is not {wanted}", unusable=True)
    try:
        return parse(whole)
    except (TypeError, ValueError, KeyError, IndexError, AttributeError):
        return ModelReply(problem=f"the reply is not {wanted}")


def _holds_an_answer(whole: Any, holder: str) -> bool:
    found = whole.get(holder) if isinstance(whole, dict) else None
    if not isinstance(found, list) or not found or not isinstance(found[0], dict):
        return False
    return not (whole.get("error") or found[0].get("error"))  # some gateways put an error beside an empty answer


def loads(text: str) -> Any:
    """Read JSON, and no more than JSON: ``NaN`` is none.

    Raises:
        ValueError: it is not JSON.
    """
    return json.loads(text, parse_constant=_refuse_constant)


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def count(value: object) -> int:
    """A number of tokens as a provider reports it; 0 where it is none."""
    return max(0, value) if isinstance(value, int) else 0
