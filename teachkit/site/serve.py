"""Serves a site to a browser on this machine."""

from __future__ import annotations

import errno
import socket
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from teachkit.errors import BadOption, PortTaken

if TYPE_CHECKING:
    from pathlib import Path

_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})


class DocsServer(ThreadingHTTPServer):
    """A server of the files below one folder. ``serve_forever`` and ``server_close`` are those of ``http.server``."""

    daemon_threads = True

    def __init__(self, folder: Path, host: str, port: int) -> None:
        """Listen, and serve nothing yet.

        Raises:
            PortTaken: another program listens there, or the port is kept for the system.
            BadOption: no address of this machine has that name.
        """
        self.folder = folder
        self.host = host
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
            self.address_family = found[0][0]
            super().__init__((host, port), _Handler)
        except OSError as error:
            raise _explained(error, host, port) from error
        self.only_here = _is_loopback(str(self.server_address[0]))

    @property
    def url(self) -> str:
        """Where a browser finds it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.server_address[1]}/"


def _explained(error: OSError, host: str, port: int) -> PortTaken | BadOption:
    if error.errno in (errno.EADDRINUSE, errno.EACCES):
        problem = "another program uses it" if error.errno == errno.EADDRINUSE else "it is kept for the system"
        return PortTaken(None, port=port, host=host, problem=problem, other=max(port, 8000) + 1)
    problem = f"'{host}' is no address of this machine"
    return BadOption(None, option="--host", problem=problem, advice="write 127.0.0.1, or leave it out")


def _is_loopback(address: str) -> bool:
    return address.startswith("127.") or address == "::1"


class _Handler(SimpleHTTPRequestHandler):
    """Files of the folder with headers that keep a page to itself; no lists of folders, nothing logged."""

    server: DocsServer
    server_version = "teachkit"
    sys_version = ""

    def __init__(self, request: Any, client_address: Any, server: DocsServer) -> None:
        super().__init__(request, client_address, server, directory=str(server.folder))

    def do_GET(self) -> None:
        """Serve a file."""
        if self._is_meant():
            super().do_GET()

    def do_HEAD(self) -> None:
        """Serve what is known of a file."""
        if self._is_meant():
            super().do_HEAD()

    def _is_meant(self) -> bool:
        """Refuse what a page elsewhere asks for under a name that it has made to mean this machine."""
        name = self.headers.get("Host", "").rpartition(":")[0] or self.headers.get("Host", "")
        known = _LOOPBACK | {self.server.host, f"[{self.server.host}]"}
        if self.server.only_here and name not in known:
            self.send_error(403, "Not the name of this server")
            return False
        return True

    def end_headers(self) -> None:
        """Add what every answer says."""
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    def list_directory(self, path: Any) -> None:
        """Nothing: pages are found by their links."""
        self.send_error(404, "No such page")

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""
