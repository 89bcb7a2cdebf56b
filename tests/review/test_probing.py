"""``teachkit debug --probe``: as people use it, against a real server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import yaml

from tests.llm.server import Server, like_llama_cpp
from tests.sandbox import REVIEWS, Sandbox

if TYPE_CHECKING:
    from pathlib import Path

PROFILES = """
    default: dev
    targets:
      dev:
        llm:
          providers: {providers}
    """


def project(folder: Path, providers: str) -> Sandbox:
    return Sandbox(folder, {**REVIEWS, "profiles.yml": PROFILES.format(providers=providers)})


def test_what_it_prints_can_be_written_to_the_profile(tmp_path: Path) -> None:
    with Server(script=like_llama_cpp, limits=("max_tokens",)) as server:
        sandbox = project(tmp_path, f'{{here: {{base_url: "{server.url}", model: tiny}}}}')
        shown = sandbox("debug", "--probe").out
        asked = server.total
    head, _, found = shown.partition("\n\n")
    assert head == f"provider here: 7 small questions to {server.url}, no price is known"
    assert "json_schema            no   refused (HTTP 500)\n" in shown
    assert "max_tokens             yes\n" in shown
    assert asked > 7
    settings = yaml.safe_load(found.partition("in profiles.yml:\n")[2])
    assert settings["here"]["structured_output"] == "json_object"
    whole = {"here": {"base_url": server.url, **settings["here"]}}
    sandbox.write({"profiles.yml": PROFILES.format(providers=whole)})
    sandbox("parse")


def test_it_says_what_it_can_cost_before_it_asks(tmp_path: Path) -> None:
    prices = 'as_of: "2026-11-25"\nmodels: {tiny: {input: 1000, output: 1000, context: 8000}}\n'
    with Server(script=lambda *_: "auth") as server:
        sandbox = project(tmp_path, f'{{here: {{base_url: "{server.url}", model: tiny}}}}')
        sandbox.write({"prices.yml": prices})
        refused = sandbox("debug", "--probe", code=1)
    assert "7 small questions" in refused.out
    assert "at most 4.4" in refused.out
    assert "[llm-auth-refused]" in refused.err
    assert refused.err.count("error:") == 1


def test_json_holds_the_same(tmp_path: Path) -> None:
    with Server() as server:
        sandbox = project(tmp_path, f'{{here: {{base_url: "{server.url}"}}}}')
        found = sandbox("debug", "--probe", "here", "--format", "json").json
    assert [*found] == ["provider", "endpoint", "worst_cost", "model", "findings", "settings"]
    assert (found["provider"], found["endpoint"], found["worst_cost"]) == ("here", server.url, None)
    assert {tuple(one) for one in found["findings"]} == {("name", "works", "said")}


def test_nothing_is_sent_without_the_flag(tmp_path: Path) -> None:
    with Server() as server:
        project(tmp_path, f'{{here: {{base_url: "{server.url}"}}}}')("debug")
        assert (server.total, server.gets) == (0, [])


REFUSED = {
    "an unknown host": ('{here: {base_url: "https://llm.example.org/v1"}}', (), 1, "llm-host-not-allowed"),
    "nobody there": ('{here: {base_url: "http://127.0.0.1:9/v1"}}', (), 1, "llm-unreachable"),
    "no key": ('{here: {base_url: "http://127.0.0.1:9/v1", api_key_env: NO_SUCH_KEY}}', (), 1, "llm-key-missing"),
    "no provider": ("{}", (), 2, "says which provider to ask nowhere"),
    "another provider": ('{here: {base_url: "http://127.0.0.1:9/v1"}}', ("her",), 2, "Did you mean 'here'?"),
    "several": (
        '{a: {base_url: "http://127.0.0.1:9/v1"}, b: {base_url: "http://127.0.0.1:9/v1"}}',
        (),
        2,
        "write '--probe NAME', one of: a, b.",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_one_clear_message(name: str, tmp_path: Path) -> None:
    providers, more, code, said = REFUSED[name]
    shown = project(tmp_path, providers)("debug", "--probe", *more, code=code)
    assert said in shown.err
    assert shown.err.count("error:") == 1


def test_a_key_is_never_shown(tmp_path: Path) -> None:
    key = {"OWN_KEY": "sk-canary-0123456789"}
    with Server(script=lambda *_: "echo-key") as server:
        sandbox = project(tmp_path, f'{{here: {{base_url: "{server.url}", api_key_env: OWN_KEY}}}}')
        shown = sandbox("debug", "--probe", code=1, env=key)
        assert server.seen[0].headers["authorization"] == "Bearer sk-canary-0123456789"
    assert "sk-canary" not in shown.all


def test_a_model_that_nobody_names(tmp_path: Path) -> None:
    with Server(models=None) as server:
        sandbox = project(tmp_path, f'{{here: {{base_url: "{server.url}"}}}}')
        assert "[llm-model-missing]" in sandbox("debug", "--probe", code=1).err
