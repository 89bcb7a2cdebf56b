"""Decisions: bodies as the client of openai sends them, replies as it reads them, and the executor around them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teachkit.llm import (
    Budget,
    ChoiceQuestion,
    Policy,
    Prices,
    Provider,
    Request,
    ResponseStore,
    Usage,
    ask,
    decision_body,
    parse_reply,
)
from teachkit.llm.errors import BadRequestBody, ReplayMiss, UnboundedRequest
from teachkit.llm.recordings import Recording
from tests.llm.server import Server, chance, decision

if TYPE_CHECKING:
    from pathlib import Path

LABEL = ChoiceQuestion("label", "What is it?", ["ham", "spam", "ABSTAIN"], {"spam": "Wants something."})
TONE = ChoiceQuestion("tone", "How is it said?", ["kind", "grob", "größer"])
PRICE = {"input": 2, "output": 8, "max_output": 100}
PRICES = Prices.from_mapping({"as_of": "2026-11-01", "models": {"d": PRICE}})
QUICK = Policy(backoff=0.001, grace=0.05)


def make(provider: Provider, text: object, *faults: str, questions: Any = (LABEL, TONE)) -> Request:
    parameters = {"metadata": {"faults": list(faults)}} if faults else {}
    body = decision_body(model="d", input=str(text), questions=questions, parameters=parameters)
    return provider.request(body, api="decisions", label=str(text))


BODY = decision_body(model="d", input="some text", questions=[LABEL, TONE])


def reply(**changes: Any) -> Any:
    """A good reply to ``BODY``, but for changes in its first answer (``answers``: in the whole)."""
    whole = decision(BODY, "ok", chance)
    if "answers" in changes:
        return whole | changes
    whole["answers"][0] |= changes
    return whole


def read(whole: Any, body: Any = BODY) -> Any:
    return parse_reply("decisions", body, json.dumps(whole).encode())


@pytest.mark.parametrize("shown", ["a text", [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}]])
def test_body_and_reply_are_those_of_the_client_of_openai(server: Server, shown: Any) -> None:
    from openai import OpenAI

    ours = decision_body(model="d", input=shown, questions=[LABEL, TONE], parameters={"prompt_cache_key": "k"})
    with OpenAI(api_key="none", base_url=server.url) as client:
        theirs = client.decisions.create(
            model="d",
            input=shown,
            questions=[
                {
                    "type": "choice",
                    "name": "label",
                    "instructions": "What is it?",
                    "choices": [
                        {"value": "ham"},
                        {"value": "spam", "description": "Wants something."},
                        {"value": "ABSTAIN"},
                    ],
                },
                {
                    "type": "choice",
                    "name": "tone",
                    "instructions": "How is it said?",
                    "choices": [{"value": "kind"}, {"value": "grob"}, {"value": "größer"}],
                },
            ],
            prompt_cache_key="k",
        )
    assert server.asked("/decisions") == [ours]
    parsed = parse_reply("decisions", ours, theirs.to_json().encode())
    assert parsed.problem is None
    for answer in theirs.answers:
        assert answer.type == "choice"
        name = str(answer.name)
        assert parsed.data[name] == answer.choice
        assert parsed.probabilities[name] == {each.value: each.probability for each in answer.probabilities}
        assert parsed.confidence[name] == answer.confidence


def test_the_request_fits_the_types_of_the_client() -> None:
    from openai.types import DecisionCreateParams
    from pydantic import TypeAdapter

    TypeAdapter(DecisionCreateParams).validate_python(BODY)


def test_a_reply_is_read_like_an_answer_in_json_with_probabilities_beside() -> None:
    found = read(decision(BODY, "ok", lambda body, question: {"spam": 1.0, "kind": 0.0}))
    assert found.problem == "the answer to 'label' is none of its options"
    shares = {"label": {"ham": 0.2, "spam": 0.7, "ABSTAIN": 0.1}, "tone": {"größer": 1.0}}
    found = read(decision(BODY, "ok", lambda body, question: shares[question["name"]]))
    assert (found.status, found.problem) == ("answered", None)
    assert found.data == {"label": "spam", "tone": "größer"}
    assert found.probabilities == shares
    assert found.confidence == {"label": 0.7, "tone": 1}
    assert found.model == "d-2026-01-01"
    assert found.usage == Usage(len(json.dumps(BODY)) // 4, 8, cached=3, reasoning=1)


def test_a_question_may_be_declined_while_others_are_answered() -> None:
    found = read(decision(BODY, "ok", lambda body, q: None if q["name"] == "label" else {"kind": 1}))
    assert (found.status, found.refusal, found.problem) == ("refusal", "declined: label", None)
    assert found.data == {"tone": "kind"}
    assert set(found.probabilities) == {"tone"}


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"answers": reply()["answers"][:1]}, "2 questions were asked, and 1 answered"),
        ({"answers": []}, "the reply is not a list of decisions"),
        ({"choice": "other"}, "the answer to 'label' is none of its options"),
        ({"choice": True}, "the answer to 'label' is none of its options"),
        ({"choice": ["ham"]}, "the answer to 'label' is none of its options"),
        ({"name": "tone"}, "another question is answered in place of 'label'"),
        ({"type": "predicate"}, "the answer to 'label' is no choice"),
        ({"confidence": 1.5}, "the answer to 'label' holds a probability that is none"),
        ({"confidence": True}, "the answer to 'label' holds a probability that is none"),
        ({"probabilities": [{"value": "ham", "probability": -0.1}]}, "holds a probability that is none"),
        ({"probabilities": [{"value": "ham", "probability": 0.5}] * 2}, "an option of 'label' has two probabilities"),
        ({"probabilities": [{"value": "no", "probability": 0.5}]}, "is none of its options"),
        ({"probabilities": None}, "the reply is not a list of decisions"),
        ({"answers": 3}, "the reply is not a list of decisions"),
    ],
)
def test_what_is_no_decision(changes: Any, problem: str) -> None:
    found = read(reply(**changes))
    assert problem in found.problem
    assert found.data is None
    if "list" not in problem:
        assert found.usage is not None, "it was paid all the same"


def test_a_reply_without_names_goes_by_the_order() -> None:
    assert read(reply(name=None)).problem is None


@given(st.binary() | st.recursive(st.none() | st.floats() | st.text() | st.sampled_from(["choice", "refusal", "ham"]),
    lambda b: st.lists(b) | st.dictionaries(st.sampled_from(["answers", "type", "name", "choice", "probabilities",
    "usage", "confidence", "value", "probability"]), b)).map(lambda v: json.dumps(v).encode()))  # fmt: skip
def test_no_reply_makes_the_parser_fail(raw: bytes) -> None:
    parse_reply("decisions", BODY, raw)


@pytest.mark.parametrize(
    ("questions", "problem"),
    [
        ([], "asks 0 questions"),
        ([ChoiceQuestion(f"q{n}", "?", ["a", "b"]) for n in range(401)], "asks 401 questions"),
        ([LABEL, LABEL], "name of their own"),
        ([ChoiceQuestion("", "?", ["a", "b"])], "name of their own"),
        ([ChoiceQuestion("q", " ", ["a", "b"])], "says nothing"),
        ([ChoiceQuestion("q", "?", ["a"])], "has 1 options"),
        ([ChoiceQuestion("q", "?", [str(n) for n in range(256)])], "has 256 options"),
        ([ChoiceQuestion("q", "?", ["a", "a"])], "not all different"),
        ([ChoiceQuestion("q", "?", ["a", ""])], "not all different"),
    ],
)
def test_questions_that_cannot_be_asked(questions: Any, problem: str) -> None:
    with pytest.raises(BadRequestBody, match=problem):
        decision_body(model="d", input="t", questions=questions)


@pytest.mark.parametrize("name", ["model", "input", "questions", "stream"])
def test_a_parameter_cannot_change_what_is_set_here(name: str) -> None:
    with pytest.raises(BadRequestBody, match=name):
        decision_body(model="d", input="t", questions=[LABEL], parameters={name: 1})


@pytest.mark.parametrize("transport", ["openai", "fast"])
def test_every_end_of_a_request_is_told(server: Server, store: ResponseStore, transport: Any) -> None:
    provider = Provider(name="local", base_url=server.url, timeout=0.5, transport=transport)
    ends = {
        "ok": [], "429": ["429"], "500": ["500"], "hang": ["hang"], "garbage": ["garbage"], "schema": ["schema"] * 2,
        "never fits": ["schema"] * 3, "refusal": ["refusal"], "down": ["500"] * 6, "bad-request": ["bad-request"],
        "filter-400": ["filter-400"],
    }  # fmt: skip
    requests = [make(provider, name, *faults) for name, faults in ends.items()]
    with ask(requests, provider=provider, store=store, policy=QUICK) as answers:
        found = {answer.request.label: answer for answer in answers}
    assert {label: answer.status for label, answer in found.items()} == dict.fromkeys(ends, "ok") | {
        "never fits": "invalid_output", "refusal": "refusal", "down": "transient_exhausted", "bad-request": "error",
        "filter-400": "content_filter",
    }  # fmt: skip
    assert found["refusal"].detail == "the model declines"
    assert {seen.path for seen in server.seen} == {"/v1/decisions"}


def test_a_second_run_asks_nothing_and_money_is_counted(
    provider: Provider, store: ResponseStore, server: Server
) -> None:
    requests = [make(provider, n) for n in range(100)]
    with ask(requests, provider=provider, store=store, prices=PRICES) as answers:
        found = list(answers)
    tokens = [len(json.dumps(request.body)) // 4 for request in requests]
    assert server.total == 100
    assert answers.summary.cost == pytest.approx(sum(2 * each + 8 * 8 for each in tokens))
    assert answers.summary.output_tokens == 800
    with ask(requests, provider=provider, store=store, prices=PRICES) as answers:
        again = list(answers)
    assert server.total == 100
    assert {each.request.key: each.reply for each in again} == {each.request.key: each.reply for each in found}


def test_a_budget_needs_the_most_that_the_model_writes(provider: Provider, store: ResponseStore) -> None:
    price = PRICES.of("d")
    request = make(provider, "some text")
    parts = 1 + 2 + 3 + 3  # a text, questions, options
    assert price.worst(request) == (len(request.wire) + 64 + 16 * parts) * 2_000_000 + 100 * 8_000_000
    unbounded = Prices.from_mapping({"as_of": "2026-11-01", "models": {"d": {"input": 2, "output": 8}}})
    with pytest.raises(UnboundedRequest) as caught:
        list(ask([request], provider=provider, store=store, prices=unbounded, budget=Budget(10**6)))
    assert str(caught.value).endswith("set 'max_output' for model 'd' in the price table")
    outcome = ask([request], provider=provider, store=store, prices=PRICES, budget=Budget(1))
    assert [answer.status for answer in outcome] == ["not_run:budget"]


def test_a_recording_is_replayed_and_a_miss_shows_options_but_no_text(
    tmp_path: Path, provider: Provider, store: ResponseStore
) -> None:
    path, requests = tmp_path / "d.jsonl", [make(provider, f"text {n}") for n in range(5)]
    with ask(requests, provider=provider, store=store, mode="record", recording=Recording(path)) as answers:
        live = {answer.request.key: answer.reply for answer in answers}
    with ask(requests, provider=provider, mode="replay", recording=Recording(path)) as answers:
        assert {answer.request.key: answer.reply for answer in answers} == live
    body = decision_body(
        model="d", input="text 1", questions=[ChoiceQuestion("label", "What now?", ["ham", "eggs", "ABSTAIN"]), TONE]
    )
    other = provider.request(body, api="decisions", label="r1")
    with pytest.raises(ReplayMiss) as caught:
        list(ask([other], provider=provider, mode="replay", recording=Recording(path)))
    said = str(caught.value)
    assert 'questions[0].choices[1].value: recorded "spam", asked "eggs"' in said
    assert "questions[0].choices[1].description: recorded a text of 16 characters, not asked" in said
    assert "questions[0].instructions: differs from character 6 on" in said
    assert "What" not in said


@pytest.mark.parametrize("shown", ["a row that nobody sees", [{"role": "user", "content": "a row that nobody sees"}],
    [{"role": "user", "content": [{"type": "input_text", "text": "a row that nobody sees"}]}]])  # fmt: skip
def test_a_message_that_quotes_the_input_is_not_passed_on(provider: Provider, shown: Any) -> None:
    from teachkit.llm.transport import Reply
    from teachkit.llm.verdict import judge_reply

    request = provider.request(decision_body(model="d", input=shown, questions=[LABEL]), api="decisions")
    body = b'{"error": {"message": "Bad role user: a row that nobody sees", "code": "bad"}}'
    assert judge_reply(Reply(400, {}, body), request, None).said == "(its message quotes the request) (bad)"
    plain = b'{"error": {"message": "ham and spam and user", "code": "bad"}}'
    assert judge_reply(Reply(400, {}, plain), request, None).said == "ham and spam and user (bad)"
