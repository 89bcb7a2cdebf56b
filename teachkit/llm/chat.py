"""Chat completions: from texts, parameters and a schema to a body; from a reply to text, JSON and probabilities."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final, Literal

from teachkit.llm import schema as schemas
from teachkit.llm.errors import BadRequestBody
from teachkit.llm.replies import ModelReply, TokenChoice, Usage, count, loads, read_reply

if TYPE_CHECKING:
    from collections.abc import Mapping

StructuredOutput = Literal["json_schema", "json_object", "tool", "none"]

_OURS: Final = frozenset({"model", "messages", "response_format", "tools", "tool_choice", "stream", "n"})
_FENCE: Final = re.compile(r"```(?:json)?\s*\n(.*?)\n\s*```", re.DOTALL)
_TOLD: Final = "Answer with one JSON object and nothing else. It must fit this JSON Schema:\n"


def chat_body(
    *,
    model: str,
    user: str,
    system: str | None = None,
    parameters: Mapping[str, Any] | None = None,
    schema: Mapping[str, Any] | None = None,
    structured_output: StructuredOutput = "json_schema",
    name: str = "answer",
) -> dict[str, Any]:
    """Build the body of a chat completion.

    Args:
        model: as the provider calls it.
        user: the user's message; row text belongs here, inside a JSON string.
        system: the system message, if any.
        parameters: more of the body, such as ``temperature`` or ``max_completion_tokens``; passed on as they are.
        schema: JSON Schema of the answer; checked again when the reply is read.
        structured_output: how the provider takes a schema. ``json_schema``: strict, enforced there. ``json_object``:
            ``{"type": "json_object", "schema": ...}`` as llama.cpp takes it, and told in words. ``tool``: as the one
            function that must be called. ``none``: told in words only.
        name: how the provider calls the schema.

    Raises:
        BadRequestBody: ``parameters`` names what is set here, or asks for a stream or several answers.
        BadSchema: the schema has keywords that are not checked here.
    """
    given = dict(parameters or {})
    if taken := sorted(_OURS & set(given)):
        advice = "leave it out: repeated questions carry a repetition index, and answers are read whole"
        problem = f"'{taken[0]}' is not a parameter that a prompt can set"
        raise BadRequestBody(label=f"to '{model}'", problem=problem, advice=advice)
    shape: dict[str, Any] = {}
    if schema is not None:
        schemas.check_schema(schema)
        shape = _shape(schema, structured_output, name)
        if structured_output in ("json_object", "none"):
            system = "\n\n".join(filter(None, [system, _TOLD + json.dumps(schema, ensure_ascii=False)]))
    messages = [{"role": "system", "content": system}] if system else []
    messages.append({"role": "user", "content": user})
    return {"model": model, "messages": messages, **given, **shape}


def _shape(schema: Mapping[str, Any], how: StructuredOutput, name: str) -> dict[str, Any]:
    if how == "json_schema":
        wanted = {"name": name, "strict": True, "schema": schema}
        return {"response_format": {"type": "json_schema", "json_schema": wanted}}
    if how == "json_object":
        return {"response_format": {"type": "json_object", "schema": schema}}
    if how == "tool":
        function = {"name": name, "strict": True, "parameters": schema}
        return {
            "tools": [{"type": "function", "function": function}],
            "tool_choice": {"type": "function", "function": {"name": name}},
        }
    return {}


def schema_of(body: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the schema that a body asks its answer to fit, wherever it carries one; ``None`` if it was only told."""
    shape: Mapping[str, Any] = body.get("response_format", {})
    found: Mapping[str, Any] | None
    if shape.get("type") == "json_schema":
        found = shape["json_schema"].get("schema")
        return found
    if shape.get("type") == "json_object":
        found = shape.get("schema")
        return found
    for tool in body.get("tools", ()):
        found = tool.get("function", {}).get("parameters")
        return found
    return None


def parse_chat(raw: bytes) -> ModelReply:
    """Read the body of a reply with status 200. Never raises: what is wrong stands in ``problem``."""
    return read_reply(raw, _parse, "a chat completion", holder="choices")


def _parse(whole: dict[str, Any]) -> ModelReply:
    choice = whole["choices"][0]
    message = choice["message"]
    text = _text(message)
    refusal = message.get("refusal")
    finish = choice.get("finish_reason") or ""
    data, not_json = (None, None) if refusal or finish in ("length", "content_filter") else _answer(text)
    usage = whole.get("usage")
    return ModelReply(
        text=text,
        data=data,
        finish_reason=str(finish),
        refusal=None if refusal is None else str(refusal),
        usage=_usage(usage) if isinstance(usage, dict) else None,
        model=str(whole.get("model") or ""),
        system_fingerprint=whole.get("system_fingerprint"),
        tokens=_tokens(choice.get("logprobs") or {}),
        not_json=not_json,
    )


def _text(message: Mapping[str, Any]) -> str:
    calls = message.get("tool_calls") or ()
    text = calls[0]["function"]["arguments"] if calls else message.get("content")
    if text is None:
        return ""
    if not isinstance(text, str):
        raise TypeError("content is not text")
    return text


def _answer(text: str) -> tuple[Any, str | None]:
    found = json_in(text)
    if found is None:
        return None, "the answer is not JSON"
    try:
        json.dumps(found[0], ensure_ascii=False).encode()
    except (UnicodeEncodeError, RecursionError):  # JSON can name a half by its number, and no table can hold it
        return None, "the answer has half of a surrogate pair"
    return found[0], None


def json_in(text: str) -> tuple[Any, int] | None:
    """The JSON in an answer, and where it starts: all of it, or its one fenced block.

    Models without structured output write such a block.
    """
    for candidate, start in ((text, 0), *_only([(match[1], match.start(1)) for match in _FENCE.finditer(text)])):
        try:
            return loads(candidate), start
        except (ValueError, RecursionError):
            continue
    return None


def _only(found: list[tuple[str, int]]) -> list[tuple[str, int]]:
    return found if len(found) == 1 else []


def _usage(usage: Mapping[str, Any]) -> Usage:
    details = usage.get("prompt_tokens_details") or {}
    more = usage.get("completion_tokens_details") or {}
    return Usage(
        input=count(usage.get("prompt_tokens")),
        output=count(usage.get("completion_tokens")),
        cached=count(details.get("cached_tokens")),
        reasoning=count(more.get("reasoning_tokens")),
    )


def _tokens(logprobs: Any) -> tuple[TokenChoice, ...]:
    """The tokens of an answer; none if they are not as they should be: an answer is worth more than its tokens."""
    try:
        return tuple(
            TokenChoice(
                _token(each),
                float(each["logprob"]),
                tuple((_token(top), float(top["logprob"])) for top in each.get("top_logprobs") or ()),
            )
            for each in logprobs.get("content") or ()
        )
    except (TypeError, ValueError, KeyError, AttributeError):
        return ()


def _token(each: Mapping[str, Any]) -> str:
    given = each.get("bytes")
    return bytes(given).decode("utf-8", "surrogateescape") if given else str(each["token"])
