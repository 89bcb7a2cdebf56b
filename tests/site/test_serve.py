"""``docs serve``: a server on this machine alone, that says what is wrong and stops when it is told to."""

from __future__ import annotations

import contextlib
import http.client
import signal
import socket
import threading
from typing import TYPE_CHECKING

import pytest

from teachkit import Project
from teachkit.errors import BadOption, PortTaken

if TYPE_CHECKING:
    from collections.abc import Iterator

    from teachkit.site.serve import DocsServer
    from tests.sandbox import Sandbox


@contextlib.contextmanager
def serving(project: Sandbox) -> Iterator[DocsServer]:
    found = Project.load(project.root)
    found.generate_docs(items=2)
    with found.docs_server() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def ask(
    server: DocsServer, path: str, *, host: str | None = None, method: str = "GET"
) -> tuple[int, http.client.HTTPMessage, bytes]:
    port = int(server.server_address[1])
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        connection.request(method, path, headers={"Host": host or f"127.0.0.1:{port}"})
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()


def test_pages_are_served_to_this_machine_and_kept_nowhere(built: Sandbox) -> None:
    with serving(built) as server:
        status, headers, body = ask(server, "/")
        assert (status, b"<h1>reviews</h1>" in body) == (200, True)
        assert headers["Cache-Control"] == "no-store"
        assert headers["Content-Security-Policy"].startswith("default-src 'self'")
        assert "Python" not in headers["Server"]
        assert ask(server, "/static/site.css")[1]["Content-Type"].startswith("text/css")
        assert ask(server, "/static/site.js", method="HEAD")[0] == 200
        assert ask(server, "/nodes/")[0] == 404
        assert ask(server, "/../manifest.json")[0] == 404
        assert ask(server, "/%2e%2e/manifest.json")[0] == 404
        assert ask(server, "/", host="evil.example")[0] == 403
        assert ask(server, "/", host="evil.example", method="HEAD")[0] == 403
        assert ask(server, "/", host="localhost:1")[0] == 200
        assert ask(server, "/", method="POST")[0] == 501
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((_other_address(), int(server.server_address[1])), timeout=10)


def _other_address() -> str:
    """Loopback has more than one address; the server listens at one."""
    return "127.0.0.2"


def test_ctrl_c_ends_it_in_order(built: Sandbox) -> None:
    process = built.start("docs", "serve", "--port", "0", "--no-browser", "--items", "1")
    assert process.stdout is not None
    first, second = process.stdout.readline(), process.stdout.readline()
    assert first.startswith("the site of this project is at http://127.0.0.1:")
    assert second == "stop it with Ctrl-C\n"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (0, "stopped\n", "")


def test_a_port_that_is_taken_is_named_before_anything_is_made(built: Sandbox) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        found = built("docs", "serve", "--port", str(port), "--no-browser", "--items", "7", code=2)
    assert f"port {port} of 127.0.0.1 cannot be used: another program uses it  [port-taken]" in found.err
    assert f"--port {max(port, 8000) + 1}" in found.err
    assert "--port 0" in found.err


def test_a_name_that_is_no_address_is_refused(built: Sandbox) -> None:
    found = built("docs", "serve", "--host", "203.0.113.7", "--no-browser", code=2)
    assert "--host: '203.0.113.7' is no address of this machine" in found.err
    with pytest.raises(BadOption):
        Project.load(built.root).docs_server("no.such.host.invalid")


def test_a_port_of_the_system_is_said_to_be_one(built: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("socketserver.TCPServer.server_bind", refuse)
    with pytest.raises(PortTaken, match="kept for the system"):
        Project.load(built.root).docs_server(port=80)


@pytest.mark.parametrize("option", [["--port", "1"], ["--host", "localhost"], ["--no-browser"]])
def test_options_of_the_server_are_not_for_files(built: Sandbox, option: list[str]) -> None:
    found = built("docs", "generate", *option, code=2)
    assert f"{option[0]}: it is not for 'generate'" in found.err
