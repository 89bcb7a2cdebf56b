"""Bodies, replies and schemas."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from teachkit.llm import ABSTAIN, Usage, chat_body, check_schema, label_schema, parse_chat
from teachkit.llm.chat import schema_of
from teachkit.llm.errors import BadRequestBody, BadSchema
from teachkit.llm.schema import problem
from tests.llm.server import completion

SCHEMA = label_schema(["ham", "spam"], reason=True)


@pytest.mark.parametrize("how", ["json_schema", "json_object", "tool", "none"])
def test_a_schema_goes_the_way_that_the_provider_takes(how: Any) -> None:
    body = chat_body(model="m", user="u", system="s", parameters={"seed": 7}, schema=SCHEMA, structured_output=how)
    assert body["seed"] == 7
    assert [m["role"] for m in body["messages"]] == ["system", "user"]
    assert (ABSTAIN in body["messages"][0]["content"]) == (how in ("json_object", "none"))
    assert schema_of(body) == (None if how == "none" else SCHEMA)
    reply = parse_chat(json.dumps(completion(body)).encode())
    if how != "none":
        assert reply.data["label"] in ("ham", "spam", ABSTAIN)
        assert problem(reply.data, SCHEMA) is None


def test_the_reason_comes_before_the_label_and_its_place_is_in_the_key() -> None:
    assert list(SCHEMA["properties"]) == SCHEMA["required"] == ["reason", "label"]
    several = label_schema(["a", "b"], several=True, abstain=False)
    assert several["properties"]["labels"]["items"]["enum"] == ["a", "b"]


@pytest.mark.parametrize("name", ["model", "messages", "stream", "n", "response_format"])
def test_a_parameter_cannot_change_what_is_set_here(name: str) -> None:
    with pytest.raises(BadRequestBody, match=name):
        chat_body(model="m", user="u", parameters={name: 1})


def test_a_reply_is_read_whole() -> None:
    body = chat_body(model="m", user="u", parameters={"logprobs": True, "top_logprobs": 2})
    reply = parse_chat(json.dumps(completion(body)).encode())
    assert reply.status == "answered"
    assert reply.model == "m-2026-01-01"
    assert reply.system_fingerprint == "fp_test"
    assert reply.usage == Usage(input=8, output=8)
    assert reply.tokens[0].top[1] == ("other", -2.5)
    assert reply.not_json == "the answer is not JSON"


@pytest.mark.parametrize(
    ("fault", "status"), [("refusal", "refusal"), ("length", "truncated"), ("content_filter", "content_filter")]
)
def test_what_the_model_says_of_its_answer(fault: str, status: str) -> None:
    reply = parse_chat(json.dumps(completion(chat_body(model="m", user="u"), fault)).encode())
    assert reply.status == status
    assert reply.data is None


@given(st.binary() | st.recursive(st.none() | st.integers() | st.text(), lambda b: st.lists(b) | st.dictionaries(
    st.sampled_from(["choices", "message", "content", "usage", "logprobs", "tool_calls", "finish_reason"]), b
)).map(lambda v: json.dumps(v).encode()))  # fmt: skip
def test_no_reply_makes_the_parser_fail(raw: bytes) -> None:
    parse_chat(raw)


@pytest.mark.parametrize(
    ("text", "data"), [('{"a": 1}', {"a": 1}), ('Sure:\n```json\n{"a": 1}\n```\nBye', {"a": 1}), ("NaN", None),
    ("```\n1\n```\n```\n2\n```", None),
     ("[" * 100_000, None)],
)  # fmt: skip
def test_json_is_found_where_models_write_it(text: str, data: object) -> None:
    raw = json.dumps({"choices": [{"message": {"content": text}, "finish_reason": "stop"}]}).encode()
    assert parse_chat(raw).data == data


@pytest.mark.parametrize("escapes", [1, 2])
def test_half_of_a_surrogate_pair_is_no_answer(escapes: int) -> None:
    text = '{"label": "a\ud83d"}' if escapes == 1 else '{"label": "a\\ud83d"}'
    reply = parse_chat(json.dumps({"choices": [{"message": {"content": text}, "finish_reason": "stop"}]}).encode())
    assert (reply.data, reply.not_json) == (None, "the answer has half of a surrogate pair")
    whole = text.replace("d83d", "d83d\\ude00").replace("\ud83d", "\U0001f600")
    reply = parse_chat(json.dumps({"choices": [{"message": {"content": whole}, "finish_reason": "stop"}]}).encode())
    assert reply.data == {"label": "a\U0001f600"}


_schemas: list[dict[str, Any]] = [
    SCHEMA,  # type: ignore[list-item]
    {"type": "array", "items": {"enum": ["a", 1, True, None]}, "minItems": 1, "maxItems": 2, "uniqueItems": True},
    {"type": ["integer", "null"], "minimum": 0, "maximum": 5},
    {"anyOf": [{"type": "string", "minLength": 2, "maxLength": 3}, {"const": 1}]},
    {"type": "object", "properties": {"x": {"type": "number"}}},
]
_answers = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-1, 6)
    | st.floats(-1, 6)
    | st.sampled_from(["a", "ham", "spam", "abc", ABSTAIN]),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.sampled_from(["label", "reason", "x"]), below),
)


@given(st.sampled_from(_schemas), _answers)
def test_the_check_agrees_with_jsonschema(schema: dict[str, Any], answer: Any) -> None:
    check_schema(schema)
    assert (problem(answer, schema) is None) == jsonschema.Draft202012Validator(schema).is_valid(answer)


@pytest.mark.parametrize(
    "schema", [{"pattern": "a"}, {"type": "text"}, {"properties": {"a": {"$ref": "x"}}}, {"items": 3},
               {"additionalProperties": {"type": "string"}}],
)  # fmt: skip
def test_what_cannot_be_checked_is_refused(schema: dict[str, Any]) -> None:
    with pytest.raises(BadSchema):
        chat_body(model="m", user="u", schema=schema)


@pytest.mark.parametrize("labels", [[], ["a", "a"], ["a", ABSTAIN]])
def test_labels_that_make_no_schema(labels: list[str]) -> None:
    with pytest.raises(BadSchema):
        label_schema(labels)


def test_a_problem_never_quotes_the_answer() -> None:
    found = problem({"label": "row text", "row text": 1}, SCHEMA)
    assert found
    assert "row text" not in found
