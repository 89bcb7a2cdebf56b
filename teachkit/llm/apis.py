"""What differs from one kind of API to another, beside its path (``teachkit.llm.request.PATHS``)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from teachkit.llm.chat import parse_chat
from teachkit.llm.decisions import parse_decisions
from teachkit.llm.embeddings import parse_embedding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from teachkit.llm.replies import ModelReply
    from teachkit.llm.request import Request

_PARSERS: Final[dict[str, Callable[[Mapping[str, Any], bytes], ModelReply]]] = {
    "chat": lambda body, raw: parse_chat(raw),
    "embeddings": parse_embedding,
    "decisions": parse_decisions,
}


def parse_reply(api: str, body: Mapping[str, Any], raw: bytes) -> ModelReply:
    """Read the reply to a request's body, of status 200. Never raises: what is wrong stands in ``problem``."""
    return _PARSERS[api](body, raw)


def output_limit(request: Request) -> int | None:
    """The most tokens that a request can be answered with; ``None``: it does not say.

    A vector is no token. Decisions know no limit: a price table's ``max_output`` has to give one.
    """
    if request.api == "embeddings":
        return 0
    limits = [request.body.get(name) for name in ("max_completion_tokens", "max_tokens")]
    return max((limit for limit in limits if isinstance(limit, int)), default=None)


def count_parts(request: Request) -> int:
    """Messages, questions and options: a provider may wrap some tokens around each."""
    questions = request.body.get("questions", ())
    given = request.body.get("messages", request.body.get("input", ()))
    options = sum(len(question.get("choices", ())) for question in questions)
    return (1 if isinstance(given, str) else len(given)) + len(questions) + options


def texts_of(request: Request) -> Iterator[str]:
    """The texts that a request shows to a model, which may be those of rows."""
    for name in ("messages", "input", "questions"):
        yield from _texts(request.body.get(name))


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _texts(each)
    elif isinstance(value, Mapping):
        for name in ("content", "text", "instructions"):
            yield from _texts(value.get(name))
