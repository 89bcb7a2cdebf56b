"""Files and batches at a provider: few calls, made with patience; the one that buys is never repeated blindly.

Safe as ``teachkit.llm.transport`` is: a checked way, our own headers, no redirects, nothing from the environment.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar
from urllib.parse import quote

from teachkit.llm.batch_reply import METADATA, Page, read_batch, read_id, read_page
from teachkit.llm.errors import BatchOutage, BatchRefused, NoBatches
from teachkit.llm.limits import read_retry_after
from teachkit.llm.request import PATHS, Request
from teachkit.llm.transport import (
    CONNECT_TIMEOUT,
    TIMEOUT,
    NoReply,
    Reply,
    client_settings,
    headers_of,
    http_settings,
    read_reply,
    with_own_headers,
)
from teachkit.llm.verdict import judge_reply
from teachkit.store.atomic import sync, temporary_path, writing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    import httpx2
    from openai import OpenAI

    from teachkit.llm.batch_reply import RemoteBatch
    from teachkit.llm.safety import Way

T = TypeVar("T")

URL: Final = f"/v1{PATHS['chat']}"  # as providers want it in a batch, wherever their base URL ends

_PAGE: Final = 100  # batches of a list
_SILENT: Final = 1.5  # seconds that nobody is told to wait


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long to wait for a provider; seconds.

    A call that fails is made ``tries`` times in all, with waits that double from ``backoff`` to ``backoff_cap``, or as
    long as the provider says, up to ``told_cap``. ``file_timeout`` is for the silence of a file's transfer. ``settle``
    is how long after a call that may have made a batch a list is sure to show it.
    """

    tries: int = 6
    backoff: float = 1.0
    backoff_cap: float = 60.0
    told_cap: float = 600.0
    file_timeout: float = 600.0
    settle: float = 60.0
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.time

    def pause(self, attempt: int, told: float | None) -> float:
        """How long to wait after a failed try, counted from 0."""
        own = min(self.backoff_cap, self.backoff * 2**attempt)
        return own if told is None else min(told, self.told_cap)


PATIENT = Patience()


class Unclear(Exception):
    """A call may have made a batch, or not."""


class BatchApi:
    """The batches of one provider. Use as a context manager."""

    def __init__(
        self,
        way: Way,
        *,
        timeout: float = TIMEOUT,
        patience: Patience | None = None,
        say: Callable[[str], None] = lambda text: None,
    ) -> None:
        """Take a checked way; ``timeout`` in seconds for the silence of a call; ``say`` is told what is waited for."""
        self.way = way
        self.say = say
        self.patience = patience or PATIENT
        self._timeout = timeout
        self._open: OpenAI | None = None
        self._below: httpx2.Client | None = None
        self._about = Request(way.endpoint, {}, label="batch")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._below is not None:
            self._below.close()
            self._open = self._below = None

    # ------------------------------------------------------------------ calls

    def upload(self, path: Path, name: str) -> str:
        """Upload a file of requests, as a stream; its id. Nothing is bought by it."""
        found: str = self._patiently("/files", lambda: self._send_file(path, name), read_id)
        return found

    def create(self, file_id: str, run_id: str, before: Callable[[], None]) -> RemoteBatch:
        """Buy: have an uploaded file answered within a day. ``run_id`` goes into the metadata.

        ``before`` is called before each try, and must write down that there is one.

        Raises:
            Unclear: the provider may have taken it, or not.
            ProviderError: it has not.
        """
        body = {"input_file_id": file_id, "endpoint": URL, "completion_window": "24h", "metadata": {METADATA: run_id}}

        def send() -> Reply:
            before()
            return self._post("/batches", body)

        made: RemoteBatch = self._patiently("/batches", send, read_batch, buys=True)
        return made

    def find(self, run_id: str, file_id: str | None) -> list[RemoteBatch]:
        """The batches that were made for a run or of its file, the oldest first; every page of the list is read.

        Raises:
            ProviderError: the list cannot be read to its end, so nobody knows.
        """
        found: list[RemoteBatch] = []
        after: str | None = None
        seen: set[str] = set()
        while True:
            query = {"limit": _PAGE} | ({"after": after} if after else {})
            page: Page = self._patiently("/batches", partial(self._get, "/batches", query), read_page)
            found += [b for b in page.batches if b.run_id == run_id or (file_id and b.input_file_id == file_id)]
            if not page.more:
                return sorted(found, key=lambda batch: (batch.created or 0.0, batch.id))
            after = page.last
            if after is None or after in seen:
                said = "its list of batches does not come to an end"
                raise BatchOutage(host=self.way.endpoint.netloc, tries=1, path="/batches", said=said)
            seen.add(after)

    def get(self, batch_id: str) -> RemoteBatch | None:
        """A batch as it is now; None if the provider does not know it."""
        path = f"/batches/{quote(batch_id, safe='')}"
        found: RemoteBatch | None = self._patiently(path, lambda: self._get(path), read_batch, may_miss=True)
        return found

    def sees(self, file_id: str) -> bool:
        """Whether the provider knows a file with this key: then its list of batches is the one that counts."""
        path = f"/files/{quote(file_id, safe='')}"
        return self._patiently(path, lambda: self._get(path), read_id, may_miss=True) is not None

    def cancel(self, batch_id: str) -> RemoteBatch | None:
        """Have a batch stopped; what is answered by then stays. None if the provider does not know it."""
        path = f"/batches/{quote(batch_id, safe='')}/cancel"
        found: RemoteBatch | None = self._patiently(path, lambda: self._post(path, {}), read_batch, may_miss=True)
        return found

    def download(self, file_id: str, to: Path) -> bool:
        """Write a file of a batch to ``to``, whole or not at all; False if the provider does not have it (any more).

        Raises:
            StoreUnwritable: the disk is full or cannot be written.
        """
        temporary = temporary_path(to.parent, f".{to.name}")
        try:
            path = f"/files/{quote(file_id, safe='')}/content"
            found = self._patiently(path, lambda: self._take_file(file_id, temporary), lambda _: True, may_miss=True)
            if found:
                with writing(to):
                    sync(temporary)
                    temporary.replace(to)
            return found is not None
        finally:
            with writing(temporary):
                temporary.unlink(missing_ok=True)

    # ------------------------------------------------------------------ patience

    def _patiently(
        self,
        path: str,
        send: Callable[[], Reply],
        read: Callable[[bytes], T],
        *,
        buys: bool = False,
        may_miss: bool = False,
    ) -> Any:
        """Call until a reply can be read; where it ``buys``, only while it is certain that nothing was bought."""
        host, said = self.way.endpoint.netloc, ""
        for attempt in range(self.patience.tries):
            told = None
            try:
                reply = send()
                verdict = judge_reply(reply, self._about, self.way.key.name if self.way.key else None)
                if verdict.kind == "answered":
                    return read(reply.body)
                if reply.status in (404, 405, 501):
                    if may_miss and reply.status == 404:
                        return None
                    if buys and reply.status == 404:
                        raise BatchRefused(host=host, what_for="a batch", status=404, said=verdict.said)
                    raise NoBatches(host=host, status=reply.status, path=path)
                if verdict.fatal is not None:
                    raise verdict.fatal
                if verdict.kind not in ("transient", "throttled"):
                    what_for = "a batch" if buys else "a file" if path == "/files" else path
                    raise BatchRefused(host=host, what_for=what_for, status=reply.status, said=verdict.said)
                unclear, said, told = verdict.kind == "transient", verdict.said, read_retry_after(reply.headers)
            except NoReply as error:
                unclear, said = error.maybe_paid, error.reason
            except ValueError as error:
                unclear, said = True, f"its reply cannot be read: {error}"
            if buys and unclear:
                raise Unclear(said)
            if attempt + 1 < self.patience.tries:
                wait = self.patience.pause(attempt, told)
                if wait > _SILENT:
                    self.say(f"{host}: {said or 'no reply'}; trying again in {wait:.0f} s")
                self.patience.sleep(wait)
        raise BatchOutage(host=host, tries=self.patience.tries, path=path, said=said)

    # ------------------------------------------------------------------ one exchange

    def _get(self, path: str, query: Mapping[str, object] | None = None) -> Reply:
        options: Any = {"params": query} if query else {}
        return self._exchange(lambda client, kind: client.get(path, cast_to=kind, options=options))

    def _post(self, path: str, body: Mapping[str, Any]) -> Reply:
        return self._exchange(lambda client, kind: client.post(path, cast_to=kind, body=body))

    def _send_file(self, path: Path, name: str) -> Reply:
        options: Any = {"headers": {"Content-Type": "multipart/form-data"}, "timeout": self._file_timeout()}
        with path.open("rb") as file:
            files = {"file": (name, file, "application/jsonl")}
            body = {"purpose": "batch"}
            return self._exchange(
                lambda client, kind: client.post("/files", cast_to=kind, body=body, files=files, options=options)
            )

    def _take_file(self, file_id: str, to: Path) -> Reply:
        """Write the content of a file line by line, without the key should a server put it there."""

        def take(client: OpenAI, kind: type[httpx2.Response]) -> httpx2.Response:
            url = f"{self.way.endpoint}/files/{quote(file_id, safe='')}/content"
            # not through ``client``: it asks for a stream by a header, and we send none but our own
            with self._http().stream("GET", url, timeout=self._file_timeout()) as response:
                if not response.is_success:
                    response.read()
                    return response
                with writing(to), to.open("wb") as file:
                    for piece in _lines(response.iter_bytes()):
                        file.write(self.way.key.scrub(piece) if self.way.key else piece)
            return kind(200)

        return self._exchange(take)

    def _exchange(self, call: Callable[[OpenAI, type[httpx2.Response]], httpx2.Response]) -> Reply:
        """Call once and return whatever reply came, of any status.

        Raises:
            NoReply: none came: timeout, refused or cut connection.
        """
        import httpx2
        from openai import APIConnectionError, APIStatusError

        try:
            response = call(self._client(), httpx2.Response)
        except APIStatusError as error:
            response = error.response
        except (APIConnectionError, httpx2.RequestError) as error:
            cause = error.__cause__ if isinstance(error, APIConnectionError) else error
            certain = isinstance(cause, (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout))
            raise NoReply(f"the connection failed ({type(cause or error).__name__})", maybe_paid=not certain) from None
        return read_reply(self.way, response.status_code, response.headers, response.content)

    def _file_timeout(self) -> httpx2.Timeout:
        import httpx2

        return httpx2.Timeout(self.patience.file_timeout, connect=min(self._timeout, CONNECT_TIMEOUT))

    def _client(self) -> OpenAI:
        if self._open is None:
            self._open = _make_client(self.way, self._http())
        return self._open

    def _http(self) -> httpx2.Client:
        if self._below is None:
            self._below = _make_http(self.way, self._timeout)
        return self._below


def _make_http(way: Way, timeout: float) -> httpx2.Client:
    """What sends requests: without redirects, and nothing from the environment."""
    import httpx2

    waits = httpx2.Timeout(timeout, connect=min(timeout, CONNECT_TIMEOUT))
    only = headers_of(way) | {"accept": "*/*"}

    class Client(httpx2.Client):
        """Sends our headers and no others, whatever the layers above gathered from the environment."""

        def build_request(self, *args: Any, **given: Any) -> httpx2.Request:
            of_form = ("content-type",) if given.get("files") else ()  # the form names its own, with its boundary
            given["headers"] = {name: value for name, value in only.items() if name not in of_form}
            return with_own_headers(super().build_request(*args, **given), self)

    return Client(timeout=waits, verify=httpx2.create_ssl_context(), **http_settings(way))


def _make_client(way: Way, http: httpx2.Client) -> OpenAI:
    """The client of ``openai`` without its retries, redirects, models and environment; see ``OpenAITransport``."""
    from openai import OpenAI

    return OpenAI(timeout=http.timeout, http_client=http, **client_settings(way))


def _lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes, cut at the ends of lines."""
    rest: list[bytes] = []
    for piece in pieces:
        head, found, tail = piece.rpartition(b"\n")
        if found:
            yield b"".join([*rest, head, found])
            rest = []
        rest.append(tail)
    yield b"".join(rest)
