"""Vectors of texts: bodies, replies, and the executor around them."""

from __future__ import annotations

import base64
import json
import struct
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teachkit.llm import (
    Budget,
    ModelReply,
    Policy,
    Prices,
    Provider,
    Recording,
    Request,
    ResponseStore,
    Usage,
    ask,
    embedding_body,
    parse_reply,
)
from teachkit.llm.errors import BadRequestBody, ReplayMiss
from tests.llm.server import Server, embedding, vector_of

if TYPE_CHECKING:
    from pathlib import Path

PRICES = Prices.from_mapping({"as_of": "2026-11-01", "models": {"v": {"input": 2, "output": 0}}})
QUICK = Policy(backoff=0.001, grace=0.05)
ROW_TEXT = "a row that nobody sees"


def make(provider: Provider, text: object, *faults: str, **given: Any) -> Request:
    parameters = {"metadata": {"faults": list(faults)}} if faults else {}
    body = embedding_body(model="v", text=str(text), parameters=parameters, **given)
    return provider.request(body, api="embeddings", label=str(text))


def read(reply: object, **asked: Any) -> ModelReply:
    body = embedding_body(model="v", text="t", **asked)
    return parse_reply("embeddings", body, json.dumps(reply).encode())


@pytest.mark.parametrize("encoding_format", ["base64", "float"])
@pytest.mark.parametrize("dimensions", [None, 8])
def test_the_numbers_come_whichever_way_they_are_written(encoding_format: Any, dimensions: int | None) -> None:
    body = embedding_body(model="v", text="Schöne Straße", encoding_format=encoding_format, dimensions=dimensions)
    reply = parse_reply("embeddings", body, json.dumps(embedding(body)).encode())
    wanted = vector_of("Schöne Straße", dimensions or 96)
    assert reply.vector == struct.pack(f"<{len(wanted)}f", *wanted)
    assert (reply.status, reply.problem, reply.model) == ("answered", None, "v-2026-01-01")
    assert reply.usage == Usage(4, 0)


def test_the_body_is_what_the_client_of_openai_sends(server: Server) -> None:
    from openai import OpenAI

    with OpenAI(api_key="none", base_url=server.url) as client:
        client.embeddings.create(model="v", input="a text", encoding_format="base64", dimensions=7)
    assert server.asked("/embeddings") == [embedding_body(model="v", text="a text", dimensions=7)]


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=20))
def test_float32_numbers_come_back_to_the_bit(numbers: list[float]) -> None:
    packed = struct.pack(f"<{len(numbers)}f", *numbers)
    for given_as in (numbers, base64.b64encode(packed).decode()):
        assert read({"data": [{"embedding": given_as}]}).vector == packed


@pytest.mark.parametrize(
    ("vector", "problem"),
    [
        ([], "the vector is empty"),
        ("", "the vector is empty"),
        ([1e300], "the vector holds a number that is too large"),
        ([10**400], "the vector holds a number that is too large"),
        (base64.b64encode(struct.pack("<2f", 1, float("nan"))).decode(), "holds a number that is not finite"),
        (base64.b64encode(struct.pack("<2f", 1, float("inf"))).decode(), "holds a number that is not finite"),
        ([1.0, 2.0], "the vector has 2 numbers, not 3"),
        (base64.b64encode(b"12345").decode(), "not the embedding of one text"),
        ("no base64", "not the embedding of one text"),
        ([True], "not the embedding of one text"),
        (["1"], "not the embedding of one text"),
        ({"a": 1}, "not the embedding of one text"),
    ],
)
def test_what_is_no_vector(vector: Any, problem: str) -> None:
    reply = read({"data": [{"embedding": vector}], "usage": {"prompt_tokens": 3}, "model": "v"}, dimensions=3)
    assert problem in str(reply.problem)
    assert reply.vector == b""
    if "embedding" not in problem:
        assert reply.usage == Usage(3, 0), "it was paid all the same"


@pytest.mark.parametrize("data", [[], [{"embedding": [1.0]}, {"embedding": [2.0]}]])
def test_one_text_has_one_vector(data: Any) -> None:
    assert read({"data": data}).problem == "the reply is not the embedding of one text"


@given(st.binary() | st.recursive(st.none() | st.floats() | st.text(), lambda b: st.lists(b) | st.dictionaries(
    st.sampled_from(["data", "embedding", "usage", "model"]), b)).map(lambda v: json.dumps(v).encode()))  # fmt: skip
def test_no_reply_makes_the_parser_fail(raw: bytes) -> None:
    parse_reply("embeddings", embedding_body(model="v", text="t"), raw)


@pytest.mark.parametrize("name", ["model", "input", "dimensions", "encoding_format", "stream"])
def test_a_parameter_cannot_change_what_is_set_here(name: str) -> None:
    with pytest.raises(BadRequestBody, match=name):
        embedding_body(model="v", text="t", parameters={name: 1})


@pytest.mark.parametrize("text", ["", " \n"])
def test_an_empty_text_is_not_asked_about(text: str) -> None:
    with pytest.raises(BadRequestBody, match="an empty text has no vector"):
        embedding_body(model="v", text=text)


def test_the_kind_of_api_is_part_of_the_key(provider: Provider) -> None:
    body = embedding_body(model="v", text="t")
    kinds = {provider.request(body, api=api).key for api in ("chat", "embeddings", "decisions")}
    assert len(kinds) == 3


@pytest.mark.parametrize("transport", ["openai", "fast"])
def test_every_end_of_a_request_is_told(server: Server, store: ResponseStore, transport: Any) -> None:
    provider = Provider(name="local", base_url=server.url, timeout=0.5, transport=transport)
    ends = {
        "ok": [], "429": ["429"], "500": ["500"], "hang": ["hang"], "cut": ["cut"], "garbage": ["garbage"],
        "schema": ["schema", "schema"], "never fits": ["schema"] * 3, "down": ["500"] * 6, "bad-request":
        ["bad-request"], "not-chat": ["not-chat"] * 3, "no reply": ["not-chat"] * 6,
    }  # fmt: skip
    requests = [make(provider, name, *faults) for name, faults in ends.items()]
    with ask(requests, provider=provider, store=store, policy=QUICK) as answers:
        found = {answer.request.label: answer.status for answer in answers}
    assert found == dict.fromkeys(ends, "ok") | {
        "never fits": "invalid_output", "no reply": "transient_exhausted", "down": "transient_exhausted",
        "bad-request": "error",
    }  # fmt: skip
    assert {seen.path for seen in server.seen} == {"/v1/embeddings"}


def test_a_second_run_asks_nothing_and_an_edited_text_alone(
    provider: Provider, store: ResponseStore, server: Server
) -> None:
    requests = [make(provider, f"text {n % 50}") for n in range(100)]
    with ask(requests, provider=provider, store=store, prices=PRICES) as answers:
        first = {answer.request.label: answer.reply for answer in answers}
    assert server.total == 50
    tokens = sum(len(f"text {n}") // 4 + 1 for n in range(50))
    assert (answers.summary.input_tokens, answers.summary.output_tokens) == (tokens, 0)
    assert answers.summary.cost == pytest.approx(2 * tokens)
    again = [*requests[1:], make(provider, "edited")]
    with ask(again, provider=provider, store=store, prices=PRICES) as answers:
        second = {answer.request.label: answer.reply for answer in answers}
    assert server.total == 51
    assert {label: reply for label, reply in second.items() if label != "edited"} == first
    assert {response.api for response in store.all()} == {"embeddings"}


def test_a_budget_needs_no_limit_of_output(provider: Provider, store: ResponseStore, server: Server) -> None:
    requests = [make(provider, f"text number {n}") for n in range(40)]
    price = PRICES.of("v")
    worst = price.worst(requests[-1])
    assert worst == 2_000_000 * (len(requests[-1].wire) + 64 + 16)
    budget = Budget(worst / 10**6 + 100)
    provider = Provider(name="local", base_url=server.url, concurrency=1)
    with ask(requests, provider=provider, store=store, prices=PRICES, budget=budget) as answers:
        found = [answer.status for answer in answers]
    assert 10 <= found.count("ok") < 20
    assert found.count("ok") + found.count("not_run:budget") == 40
    assert budget.spent <= budget.limit
    assert budget.overrun == 0


def test_a_recording_is_replayed_and_a_miss_shows_no_text(
    tmp_path: Path, provider: Provider, store: ResponseStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, requests = tmp_path / "v.jsonl", [make(provider, f"text {n}") for n in range(5)]
    with ask(requests, provider=provider, store=store, mode="record", recording=Recording(path)) as answers:
        live = {answer.request.key: answer.reply for answer in answers}
    assert {json.loads(line)["api"] for line in path.read_text().splitlines()} == {"embeddings"}

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr("socket.socket", refuse)
    with ask(requests, provider=provider, mode="replay", recording=Recording(path)) as answers:
        assert {answer.request.key: answer.reply for answer in answers} == live
    with pytest.raises(ReplayMiss) as caught:
        list(ask([make(provider, ROW_TEXT)], provider=provider, mode="replay", recording=Recording(path)))
    assert "input: differs from character 1 on (6 characters recorded, 22 asked)" in str(caught.value)
    assert ROW_TEXT not in str(caught.value).replace(f"the request '{ROW_TEXT}'", "")  # the label, here


def test_a_message_that_quotes_the_text_is_not_passed_on(provider: Provider) -> None:
    from teachkit.llm.transport import Reply
    from teachkit.llm.verdict import judge_reply

    body = json.dumps({"error": {"message": f"too long: {ROW_TEXT}", "code": "bad"}}).encode()
    said = judge_reply(Reply(400, {}, body), make(provider, ROW_TEXT), None).said
    assert said == "(its message quotes the request) (bad)"


@pytest.mark.parametrize("stored", [False, True])
def test_vectors_are_not_kept(
    provider: Provider, store: ResponseStore, monkeypatch: pytest.MonkeyPatch, stored: bool
) -> None:
    from teachkit.llm import embeddings

    plain, alive, most = embeddings._vector, 0, 0

    class Vector(bytes):
        """Bytes that are counted."""

        def __del__(self) -> None:
            nonlocal alive
            alive -= 1

    def counted(given: Any, dimensions: object) -> Any:
        nonlocal alive, most
        vector, problem = plain(given, dimensions)
        alive += 1
        most = max(most, alive)
        return Vector(vector), problem

    count = 3_000
    if stored:
        with ask((make(provider, n) for n in range(count)), provider=provider, store=store) as answers:
            for _ in answers:
                pass
    monkeypatch.setattr(embeddings, "_vector", counted)
    with ask((make(provider, n) for n in range(count)), provider=provider, store=store) as answers:
        assert sum(answer.status == "ok" for answer in answers) == count
    assert 0 < most < 1_000, "at most what is looked up at once, and what is under way"
