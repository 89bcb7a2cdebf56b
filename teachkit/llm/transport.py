"""How one request reaches a provider and one reply comes back. No retries, no redirects, nothing from the environment.

Two ways, the same on the wire: through the client of ``openai`` (the default), or straight through ``aiohttp`` (extra
``fast``, about a fifth of the CPU time). Both send exactly ``Request.wire`` and the few headers of ``headers_of``: base
URLs, organisations, projects and extra headers that ``OPENAI_*`` variables name are not used.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

from teachkit.llm.errors import FastMissing, KeyInRequest
from teachkit.llm.request import PATHS
from teachkit.version import __version__

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    import aiohttp
    import httpx2
    from openai import AsyncOpenAI

    from teachkit.llm.request import Request
    from teachkit.llm.safety import Way

TIMEOUT: Final = 60.0  # seconds for a whole request; the client's own default is ten minutes
CONNECT_TIMEOUT: Final = 10.0

_POOL: Final = 8  # connections of one client

TransportName = Literal["openai", "fast"]


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back: the HTTP status, headers (names in lower case), the body as bytes."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class NoReply(Exception):
    """No whole reply came. ``maybe_paid``: the request may have reached the model all the same."""

    def __init__(self, reason: str, *, maybe_paid: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.maybe_paid = maybe_paid


class Transport(Protocol):
    """Sends requests to one endpoint. Used from one event loop."""

    async def send(self, request: Request) -> Reply:
        """Send once and return whatever HTTP reply came, of any status.

        Raises:
            NoReply: none came: timeout, refused or cut connection.
        """
        ...

    async def close(self) -> None:
        """Close all connections."""
        ...


def make_transport(
    name: TransportName, way: Way, *, timeout: float = TIMEOUT, connections: int = 64
) -> OpenAITransport | FastTransport:
    """Return the transport called ``name`` for a checked way; ``timeout`` in seconds for a whole request.

    Raises:
        FastMissing: ``fast`` without aiohttp.
    """
    kind = FastTransport if name == "fast" else OpenAITransport
    return kind(way, timeout=timeout, connections=connections)


def headers_of(way: Way) -> dict[str, str]:
    """The headers of every request, and no others."""
    headers = {
        "accept": "application/json",
        "content-type": "application/json",
        "user-agent": f"teachkit/{__version__}",
    }
    return headers | ({"authorization": way.key.authorization()} if way.key else {})


def client_settings(way: Way) -> dict[str, Any]:
    """How a client of ``openai`` is made: without its retries, and with nothing that it would take from outside."""
    return {
        "api_key": "held-by-teachkit",  # the real one is in our own headers only
        "admin_api_key": "",
        "organization": "",
        "project": "",
        "webhook_secret": "",
        "base_url": str(way.endpoint),
        "max_retries": 0,
    }


def http_settings(way: Way) -> dict[str, Any]:
    """How the HTTP client below it is made: without redirects, and with nothing from the environment."""
    return {"follow_redirects": False, "trust_env": False, "proxy": way.proxy}


def with_own_headers(request: httpx2.Request, client: httpx2.Client | httpx2.AsyncClient) -> httpx2.Request:
    """A request that was built with our headers, beside them what only the client can say of its connection."""
    for name in ("accept-encoding", "connection"):  # of the client, not from outside
        request.headers.setdefault(name, client.headers[name])
    return request


class OpenAITransport:
    """The client of ``openai`` without its retries, redirects, models and environment.

    ``client.post(path, cast_to=httpx2.Response)`` is its documented door for undocumented endpoints; it costs about 1
    ms of CPU a request, where ``chat.completions.create`` costs 1.6 ms.
    """

    def __init__(self, way: Way, *, timeout: float = TIMEOUT, connections: int = 64) -> None:
        """Take a checked way; ``timeout`` in seconds for a whole request; imports openai."""
        import httpx2
        from openai import APIConnectionError, APIStatusError, AsyncOpenAI

        self._way = way
        self._timeout = timeout
        self._response = httpx2.Response
        self._status_error, self._connection_error = APIStatusError, APIConnectionError
        self._not_connected = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)
        waits = httpx2.Timeout(timeout, connect=min(timeout, CONNECT_TIMEOUT))
        only = httpx2.Headers(headers_of(way))

        class Client(httpx2.AsyncClient):
            """Sends our headers and no others, whatever the layers above gathered from the environment."""

            def build_request(self, *args: Any, **given: Any) -> httpx2.Request:
                given["headers"] = only
                return with_own_headers(super().build_request(*args, **given), self)

        trust = httpx2.create_ssl_context()

        def client(size: int) -> AsyncOpenAI:
            limits = httpx2.Limits(max_connections=size, max_keepalive_connections=size)
            http = Client(timeout=waits, limits=limits, verify=trust, **http_settings(way))
            return AsyncOpenAI(timeout=waits, http_client=http, **client_settings(way))

        # httpcore2 looks at every connection of its pool several times a request: eight small pools cost less than one
        sizes = [min(_POOL, connections - at) for at in range(0, connections, _POOL)]
        self._clients = [client(size) for size in sizes]
        self._free = [each for each, size in zip(self._clients, sizes, strict=True) for _ in range(size)]

    async def send(self, request: Request) -> Reply:
        """See ``Transport``."""
        _check_no_key(request, self._way)
        path = PATHS[request.api]
        return await self._exchange(lambda client: client.post(path, cast_to=self._response, content=request.wire))

    async def get(self, path: str) -> Reply:
        """Read what is at a path below the base URL; otherwise as ``send``."""
        return await self._exchange(lambda client: client.get(path, cast_to=self._response))

    async def _exchange(self, call: Callable[[AsyncOpenAI], Awaitable[Any]]) -> Reply:
        taken = self._free.pop() if self._free else None
        client = taken or self._clients[0]
        try:
            async with asyncio.timeout(self._timeout):
                response = await call(client)
        except self._status_error as error:
            response = error.response
        except TimeoutError:
            raise NoReply(f"no whole reply within {self._timeout:g} s", maybe_paid=True) from None
        except self._connection_error as error:
            raise self._no_reply(error) from None
        finally:
            if taken:
                self._free.append(taken)
        return read_reply(self._way, response.status_code, response.headers, response.content)

    def _no_reply(self, error: Exception) -> NoReply:
        cause = error.__cause__
        name = type(cause or error).__name__
        return NoReply(f"the connection failed ({name})", maybe_paid=not isinstance(cause, self._not_connected))

    async def close(self) -> None:
        """See ``Transport``."""
        for client in self._clients:
            await client.close()


class FastTransport:
    """``aiohttp`` alone: about 0.2 ms of CPU a request. For local servers, where the provider is not the limit."""

    def __init__(self, way: Way, *, timeout: float = TIMEOUT, connections: int = 64) -> None:
        """Take a checked way; ``timeout`` in seconds for a whole request.

        Raises:
            FastMissing: aiohttp is not installed.
        """
        try:
            import aiohttp
        except ImportError as error:
            raise FastMissing from error
        self._way = way
        self._timeout = timeout
        self._failed, self._not_connected = aiohttp.ClientError, aiohttp.ClientConnectorError
        self._connections = connections
        self._session: aiohttp.ClientSession | None = None

    async def send(self, request: Request) -> Reply:
        """See ``Transport``."""
        _check_no_key(request, self._way)
        return await self._exchange("POST", PATHS[request.api], request.wire)

    async def get(self, path: str) -> Reply:
        """Read what is at a path below the base URL; otherwise as ``send``."""
        return await self._exchange("GET", path, None)

    async def _exchange(self, method: str, path: str, data: bytes | None) -> Reply:
        if self._session is None:
            self._session = self._open()  # aiohttp wants to be made inside its loop
        url = f"{self._way.endpoint}{path}"
        try:
            async with self._session.request(method, url, data=data, allow_redirects=False) as response:
                body = await response.read()
                return read_reply(self._way, response.status, response.headers, body)
        except TimeoutError:
            raise NoReply(f"no whole reply within {self._timeout:g} s", maybe_paid=True) from None
        except self._failed as error:
            maybe_paid = not isinstance(error, self._not_connected)
            raise NoReply(f"the connection failed ({type(error).__name__})", maybe_paid=maybe_paid) from None

    def _open(self) -> aiohttp.ClientSession:
        import aiohttp

        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._connections),
            headers=headers_of(self._way),
            timeout=aiohttp.ClientTimeout(total=self._timeout, sock_connect=min(self._timeout, CONNECT_TIMEOUT)),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            proxy=self._way.proxy,
        )

    async def close(self) -> None:
        """See ``Transport``."""
        if self._session is not None:
            await self._session.close()


def _check_no_key(request: Request, way: Way) -> None:
    if way.key and way.key.is_in(request.wire):
        raise KeyInRequest(label=request.name, name=way.key.name)


def read_reply(way: Way, status: int, headers: Mapping[str, str], body: bytes) -> Reply:
    """A reply without the key, should a server send it back, and with the headers that are of use."""
    kept = {name.lower(): value for name, value in headers.items() if name.lower().startswith(_KEPT_HEADERS)}
    if way.key:
        body = way.key.scrub(body)
        kept = {name: way.key.scrub(value.encode()).decode() for name, value in kept.items()}
    return Reply(status, kept, body)


_KEPT_HEADERS: Final = ("x-ratelimit-", "retry-after", "x-request-id", "x-should-retry", "content-type")
