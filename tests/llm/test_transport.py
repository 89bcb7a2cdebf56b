"""What goes over the wire, with both transports: our bytes, our headers, nothing from the environment."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any

import pytest

from teachkit.llm import Endpoint, NoReply, Reply, Request, chat_body, check_way, make_transport
from teachkit.llm.errors import FastMissing
from tests.llm.server import Server

if TYPE_CHECKING:
    from teachkit.llm.transport import TransportName

pytestmark = pytest.mark.parametrize("name", ["openai", "fast"])


def send(name: TransportName, url: str, *faults: str, key: str | None = None, timeout: float = 30.0) -> Reply:
    async def main() -> Reply:
        endpoint = Endpoint.parse(url)
        transport = make_transport(name, check_way(endpoint, key), timeout=timeout)
        parameters = {"temperature": 0.0, "metadata": {"faults": list(faults)}}
        try:
            return await transport.send(Request(endpoint, chat_body(model="m", user="naïve", parameters=parameters)))
        finally:
            await transport.close()

    return asyncio.run(main())


def test_the_wire_is_the_request_and_the_environment_has_no_say(name: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = "http://127.0.0.1:9/v1"
    for variable, value in {
        "OPENAI_BASE_URL": elsewhere,
        "OPENAI_API_KEY": "sk-of-somebody-else",
        "OPENAI_ADMIN_KEY": "admin-x",
        "OPENAI_ORG_ID": "org-x",
        "OPENAI_PROJECT_ID": "proj-x",
        "OPENAI_CUSTOM_HEADERS": "authorization: Bearer x\nx-y: z",
        "HTTP_PROXY": elsewhere,
        "http_proxy": elsewhere,
        "ALL_PROXY": elsewhere,
    }.items():
        monkeypatch.setenv(variable, value)
    with Server() as server:
        reply = send(name, server.url)
    (seen,) = server.seen
    assert reply.status == 200
    assert reply.headers["x-request-id"] == "req-1"
    plain = {"host", "accept", "accept-encoding", "connection", "user-agent", "content-type", "content-length"}
    assert set(seen.headers) <= plain
    assert seen.headers["user-agent"].startswith("teachkit/")
    wanted = Request(Endpoint.parse("http://x"), seen.body)
    assert seen.raw == wanted.wire
    assert seen.path == "/v1/chat/completions"


def test_the_key_is_a_header(name: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_KEY", "sk-a-key-of-ours")
    with Server() as server:
        send(name, server.url, key="LOCAL_KEY")
    assert server.seen[0].headers["authorization"] == "Bearer sk-a-key-of-ours"


@pytest.mark.parametrize(
    ("fault", "status"), [("429", 429), ("500", 500), ("auth", 401), ("model", 404), ("redirect", 307)]
)
def test_any_status_is_a_reply_and_is_sent_once(name: Any, fault: str, status: int) -> None:
    with Server() as server:
        reply = send(name, server.url, fault)
    assert reply.status == status
    assert server.total == 1
    assert reply.headers.get("retry-after-ms") == ("20" if fault == "429" else None)


def test_no_reply_says_whether_it_may_have_been_paid(name: Any) -> None:
    with Server() as server:
        for fault, timeout in (("cut", 30.0), ("hang", 0.05)):
            with pytest.raises(NoReply) as caught:
                send(name, server.url, fault, timeout=timeout)
            assert caught.value.maybe_paid
        url = server.url
    with pytest.raises(NoReply) as caught:
        send(name, url)
    assert not caught.value.maybe_paid


def test_fast_without_aiohttp_says_what_to_install(name: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "aiohttp", None)
    way = check_way(Endpoint.parse("http://127.0.0.1:9/v1"), None)
    if name == "fast":
        with pytest.raises(FastMissing, match=r"teachkit\[fast\]"):
            make_transport(name, way)
