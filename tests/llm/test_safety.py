"""Where a key may go, and that it shows nowhere."""

from __future__ import annotations

import copy
import logging
import pickle
import traceback
from typing import TYPE_CHECKING, Any

import pytest

from teachkit.llm import Endpoint, Provider, Recording, ResponseStore, ask, chat_body, check_way
from teachkit.llm.errors import (
    AuthRefused,
    HostNotAllowed,
    HostUnsafe,
    KeyBoundElsewhere,
    KeyInRequest,
    KeyMissing,
    KeyUnusable,
)
from tests.llm.server import Server

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

CANARY = "sk-canary/7f3a91c2+e85d"
ROW_TEXT = "a comment that no log may show"


def way(
    url: str, variable: str | None = None, *, addresses: Iterable[str] = ("104.18.6.192",), **environment: str
) -> Any:
    return check_way(Endpoint.parse(url), variable, resolve=lambda host, port: addresses, environment=environment)


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("teachkit.llm.safety.getproxies", dict)


def test_a_providers_own_host_gets_its_own_key() -> None:
    found = way("https://api.openai.com/v1", "OPENAI_API_KEY", OPENAI_API_KEY=f" {CANARY}\n")
    assert found.key.authorization() == f"Bearer {CANARY}"
    assert way("https://api.openai.com/v1").key is None


@pytest.mark.parametrize(
    ("url", "hosts"),
    [
        ("https://evil.example/v1", ""),
        ("https://api.openai.com.evil.example/v1", ""),
        ("https://api.openai.com:8443/v1", ""),
        ("http://api.openai.com/v1", ""),
        ("https://evil.example/v1", "example,other.example:443"),
        ("https://localhost.evil.example/v1", ""),
        ("https://2130706433/v1", ""),
    ],
)
def test_a_host_that_nobody_allowed_gets_nothing(url: str, hosts: str) -> None:
    with pytest.raises(HostNotAllowed, match="TEACHKIT_LLM_HOSTS"):
        way(url, "OPENAI_API_KEY", OPENAI_API_KEY=CANARY, TEACHKIT_LLM_HOSTS=hosts)


@pytest.mark.parametrize("hosts", ["llm.example", " a.example , LLM.example:443"])
def test_the_environment_allows_a_host_with_any_key(hosts: str) -> None:
    found = way("https://llm.example/v1", "MY_KEY", addresses=["10.0.0.7"], MY_KEY=CANARY, TEACHKIT_LLM_HOSTS=hosts)
    assert found.key


def test_plain_http_is_for_this_machine() -> None:
    with pytest.raises(HostUnsafe, match="https"):
        way("http://llm.example/v1", TEACHKIT_LLM_HOSTS="llm.example")
    for host in ("127.0.0.1:8080", "localhost", "[::1]:80", "127.9.9.9"):
        assert way(f"http://{host}/v1", addresses=["127.0.0.1", "::1"]).proxy is None


@pytest.mark.parametrize(
    "address",
    [
        "10.1.2.3",
        "192.168.0.1",
        "169.254.169.254",
        "fe80::1%eth0",
        "fd00::1",
        "127.0.0.1",
        "0.0.0.0",
        "::ffff:10.0.0.1",
        "224.0.0.1",
    ],
)
def test_a_private_address_behind_a_public_name_is_refused(address: str) -> None:
    with pytest.raises(HostUnsafe, match="not a public one"):
        way("https://api.openai.com/v1", addresses=["104.18.6.192", address])


def test_localhost_that_is_elsewhere_is_refused() -> None:
    with pytest.raises(HostUnsafe):
        way("http://localhost/v1", addresses=["104.18.6.192"])


def test_a_host_without_an_address_is_named() -> None:
    def fail(host: str, port: int) -> list[str]:
        raise OSError("no such host")

    with pytest.raises(HostUnsafe, match="no address is known"):
        check_way(Endpoint.parse("https://api.openai.com/v1"), None, resolve=fail, environment={})


def test_a_key_goes_to_no_other_provider() -> None:
    with pytest.raises(KeyBoundElsewhere, match="MISTRAL_"):
        way("https://api.mistral.ai/v1", "OPENAI_API_KEY", OPENAI_API_KEY=CANARY)


def test_a_missing_key_is_named() -> None:
    for environment in ({}, {"OPENAI_API_KEY": "  "}):
        with pytest.raises(KeyMissing, match="OPENAI_API_KEY"):
            way("https://api.openai.com/v1", "OPENAI_API_KEY", **environment)


@pytest.mark.parametrize("value", ["tiny", "two words here", "sk-line\nbreak-here", "sk-ünïcode-key"])
def test_what_cannot_be_a_key_is_not_shown(value: str) -> None:
    with pytest.raises(KeyUnusable) as caught:
        way("https://api.openai.com/v1", "OPENAI_API_KEY", OPENAI_API_KEY=value)
    assert value not in str(caught.value)


def test_a_secret_shows_itself_nowhere() -> None:
    found = way("https://api.openai.com/v1", "OPENAI_API_KEY", OPENAI_API_KEY=CANARY)
    shown = [repr(found), str(found), f"{found.key}", f"{found.key:>60}", repr({"key": found.key}), "%s" % found.key]  # noqa: UP031
    assert not [text for text in shown if "canary" in text]
    for take in (pickle.dumps, copy.deepcopy):
        with pytest.raises(TypeError):
            take(found.key)


@pytest.mark.parametrize("transport", ["openai", "fast"])
@pytest.mark.parametrize("fault", ["ok", "echo-key", "cut", "500", "bad-request"])
def test_no_artefact_log_or_traceback_holds_the_key(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, transport: Any, fault: str
) -> None:
    monkeypatch.setenv("LOCAL_KEY", CANARY)
    caplog.set_level(logging.DEBUG)
    said = ""
    with Server(script=lambda body, nth, total: "ok" if nth and fault != "echo-key" else fault) as server:
        provider = Provider(name="local", base_url=server.url, api_key_env="LOCAL_KEY", transport=transport)
        requests = [provider.request(chat_body(model="m", user=f"{ROW_TEXT} {n}"), label=str(n)) for n in range(3)]
        recording = Recording(tmp_path / "r.jsonl")
        with ResponseStore(tmp_path / "r.sqlite") as store:
            try:
                with ask(requests, provider=provider, store=store, mode="record", recording=recording) as answers:
                    said += repr(list(answers)) + repr(provider) + repr(answers.summary)
            except AuthRefused as error:
                said += "".join(traceback.format_exception(error)) + repr(error.as_dict())
        assert {each.headers["authorization"] for each in server.seen} == {f"Bearer {CANARY}"}
    assert ("[key]" in said) == (fault == "echo-key")
    logs = "\n".join(f"{record.getMessage()} {record.args} {record.exc_text}" for record in caplog.records)
    loud = "\n".join(record.getMessage() for record in caplog.records if record.levelno > logging.DEBUG)
    assert ROW_TEXT not in loud
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    for place in (said.encode(), logs.encode(), written):
        assert b"canary" not in place


def test_a_request_that_holds_the_key_is_not_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_KEY", CANARY)
    with Server() as server, ResponseStore(tmp_path / "r.sqlite") as store:
        provider = Provider(name="local", base_url=server.url, api_key_env="LOCAL_KEY")
        request = provider.request(chat_body(model="m", user=f"my key is {CANARY}"), label="row 3")
        with pytest.raises(KeyInRequest, match="'row 3'") as caught:
            list(ask([request], provider=provider, store=store))
        assert server.total == 0
    assert CANARY not in str(caught.value)


def test_an_edited_base_url_sends_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)
    provider = Provider(name="openai", base_url="https://evil.example/v1", api_key_env="OPENAI_API_KEY")
    with ResponseStore(tmp_path / "r.sqlite") as store, pytest.raises(HostNotAllowed):
        list(ask([provider.request(chat_body(model="m", user=ROW_TEXT))], provider=provider, store=store))


@pytest.mark.parametrize("module", ["request", "apis", "money", "asking", "safety", "recordings", "responses"])
def test_heavy_packages_are_imported_on_use(module: str) -> None:
    import subprocess
    import sys

    heavy = ("openai", "httpx2", "aiohttp", "duckdb")
    code = f"import sys, teachkit.llm.{module}; print([name for name in {heavy} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
