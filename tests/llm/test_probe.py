"""What a provider can do: asked of servers that can less and less."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from teachkit.llm import Endpoint, Price, Prices, Probe, Probed, capabilities_of
from teachkit.llm.errors import (
    AuthRefused,
    HostNotAllowed,
    LlmSetupError,
    ModelMissing,
    ModelUnknown,
    ProviderError,
    QuotaSpent,
    Unreachable,
)
from tests.llm.server import Server, like_llama_cpp

if TYPE_CHECKING:
    from collections.abc import Callable

    from teachkit.llm.transport import TransportName


def probed(server: Server, *, transport: TransportName = "openai", **more: Any) -> Probed:
    return Probe("here", server.url, transport=transport, **more).run()


def works(found: Probed) -> dict[str, bool]:
    return {one.name: one.works for one in found.findings}


def said(found: Probed, name: str) -> str:
    return next(one.said for one in found.findings if one.name == name)


@pytest.mark.parametrize("transport", ["openai", "fast"])
def test_a_server_that_can_everything(transport: TransportName) -> None:
    with Server(batches=True) as server:
        found = probed(server, transport=transport)
    assert works(found) == dict.fromkeys(works(found), True) | {"none": False}
    assert found.settings == {
        "model": "tiny",
        "structured_output": "json_schema",
        "limit_parameter": "max_completion_tokens",
        "logprobs": True,
        "batches": True,
    }
    assert server.gets == ["/v1/models", "/v1/batches?limit=1"]
    assert server.total == len(server.seen) == Probe("here", server.url).questions


def test_a_server_like_that_of_llama_cpp() -> None:
    with Server(script=like_llama_cpp, limits=("max_tokens",), logprobs=False) as server:
        found = probed(server)
    assert found.settings == {
        "model": "tiny",
        "structured_output": "json_object",
        "limit_parameter": "max_tokens",
        "logprobs": False,
        "batches": False,
    }
    assert said(found, "max_completion_tokens") == "ignored: 8 tokens instead of 4"
    assert said(found, "json_schema") == "refused (HTTP 500)"
    assert said(found, "none") == "the answer is not JSON"
    assert said(found, "logprobs") == "the answer brings none"
    assert said(found, "batches") == "refused (HTTP 404)"


def has(body: dict[str, Any], *names: str) -> bool:
    return any(name in body for name in names)


@pytest.mark.parametrize(
    ("refused", "shape"),
    [
        (lambda body: has(body, "response_format"), "tool"),
        (lambda body: has(body, "response_format", "tools"), "none"),
        (lambda body: has(body, "max_tokens"), "json_schema"),
    ],
)
@pytest.mark.parametrize(
    "fault", ["bad-request", "model", "schema", "misfit", "not-chat", "length", "refusal", "cut", "garbage"]
)
def test_the_strictest_form_that_works_is_taken(
    refused: Callable[[dict[str, Any]], bool], shape: str, fault: str
) -> None:
    """A 404 for one form ("no endpoint supports tools") is no unknown model: the first question was answered."""
    with Server(script=lambda body, nth, total: fault if refused(body) else "ok") as server:
        found = probed(server)
    assert found.settings["structured_output"] == shape
    assert found.settings["limit_parameter"] == "max_completion_tokens"


def test_a_failure_on_the_way_is_tried_again() -> None:
    with Server(script=lambda body, nth, total: ("429", "500", "ok")[min(nth, 2)]) as server:
        found = probed(server)
    assert found.settings["structured_output"] == "json_schema"
    assert server.total == 3 * Probe("here", server.url).questions


def test_a_model_is_needed_and_may_be_listed() -> None:
    with Server(models=None) as server:
        with pytest.raises(ModelMissing, match="provider 'here' names no model"):
            probed(server)
        assert server.total == 0
        found = probed(server, model="mine")
        assert found.model == "mine"
        assert said(found, "models") == "not listed (HTTP 404)"
        assert {seen.body["model"] for seen in server.seen} == {"mine"}
    with Server(models=tuple(f"m{n}" for n in range(9))) as server:
        assert said(probed(server), "models") == "m0, m1, m2, m3, m4, ..."


@pytest.mark.parametrize(
    ("fault", "error"), [("auth", AuthRefused), ("quota", QuotaSpent), ("model", ModelUnknown), ("cut", Unreachable)]
)
def test_what_every_question_would_meet_ends_it(fault: str, error: type[ProviderError]) -> None:
    with Server(script=lambda body, nth, total: fault) as server:
        with pytest.raises(error):
            probed(server)
        assert server.total == 1


def test_a_key_that_is_withdrawn_midway_ends_it() -> None:
    with Server(script=lambda body, nth, total: "ok" if total < 4 else "auth") as server, pytest.raises(AuthRefused):
        probed(server)


def test_nobody_there() -> None:
    with Server() as server:
        url = server.url
    with pytest.raises(Unreachable, match="does not answer"):
        Probe("here", url).run()


def test_a_host_that_nobody_allowed_is_refused_before_anything_is_sent() -> None:
    with pytest.raises(HostNotAllowed):
        Probe("here", "https://llm.example.org/v1")
    with pytest.raises(LlmSetupError):
        Probe("here", "https://api.openai.com/v1", key_variable="A_KEY_THAT_IS_NOT_SET")


def test_the_worst_cost_is_a_bound() -> None:
    price: Price = Prices.from_mapping({"as_of": "2026-11-01", "models": {"m": {"input": 1, "output": 2}}}).models["m"]
    with Server() as server:
        probe = Probe("here", server.url, model="m")
        worst = probe.worst(price)
        probe.run()
    wire = sum(len(seen.raw) for seen in server.seen)
    longest = sum(seen.body.get("max_completion_tokens", seen.body.get("max_tokens", 0)) for seen in server.seen)
    assert wire * 1e-6 + longest * 2e-6 <= worst < 0.02


@pytest.mark.parametrize(
    ("url", "known"),
    [
        ("https://api.openai.com/v1", True),
        ("https://eu.api.openai.com/v1", True),
        ("https://api.mistral.ai/v1", False),
        ("http://api.openai.com/v1", False),
        ("http://127.0.0.1:8080/v1", False),
    ],
)
def test_what_is_not_declared_is_not_assumed_but_of_openai(url: str, known: bool) -> None:
    endpoint = Endpoint.parse(url)
    found = capabilities_of(endpoint)
    assert (found.logprobs, found.decisions, found.batches) == (None, known, known)
    said = capabilities_of(endpoint, logprobs=False, decisions=not known, batches=not known)
    assert (said.logprobs, said.decisions, said.batches) == (False, not known, not known)
