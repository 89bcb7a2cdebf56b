"""A request to a model, and the key that names its answer.

The key is a digest of all that can change the answer: the whole body, the endpoint, the kind of API and which
repetition it is. Never of a chosen list of parameters: a cache that leaves one out credits old answers to a new
model.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from teachkit.hashing import canonical_json, digest
from teachkit.llm.errors import BadEndpoint, BadRequestBody

if TYPE_CHECKING:
    from collections.abc import Mapping

KEY_VERSION: Final = 1
PATHS: Final = {"chat": "/chat/completions", "embeddings": "/embeddings", "decisions": "/decisions"}
"""Kind of API -> path below the base URL; what else differs between them: ``teachkit.llm.apis``."""

_EXACT: Final = 2**53  # integers up to here are the same number in every JSON parser
_DEFAULT_PORTS: Final = {"https": 443, "http": 80}
_HOST: Final = re.compile(r"[a-z0-9]([a-z0-9.\-]*[a-z0-9])?\.?|[0-9a-f:.]+")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where requests go: scheme, host, port and path. No key, no user name, no query."""

    scheme: str
    host: str
    port: int
    path: str

    @classmethod
    def parse(cls, base_url: str) -> Endpoint:
        """Read a base URL such as ``https://api.openai.com/v1``.

        Raises:
            BadEndpoint: it is no http(s) URL, or holds a user name, a query or a fragment (which could be secret).
        """
        try:
            parts = urlsplit(base_url.strip())
            port = parts.port
            host = (parts.hostname or "").encode("idna").decode() if parts.hostname else ""
        except (ValueError, UnicodeError) as error:
            raise BadEndpoint(url=_without_secrets(base_url), problem="it is not a URL") from error
        if parts.scheme not in _DEFAULT_PORTS:
            raise BadEndpoint(url=_without_secrets(base_url), problem="it starts with neither https:// nor http://")
        if not _HOST.fullmatch(host):
            raise BadEndpoint(url=_without_secrets(base_url), problem="it names no host")
        if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
            raise BadEndpoint(
                url=_without_secrets(base_url), problem="a user name, a query or a fragment has no place in it"
            )
        path = parts.path.rstrip("/")
        return cls(parts.scheme, host.rstrip("."), port or _DEFAULT_PORTS[parts.scheme], path)

    @property
    def netloc(self) -> str:
        """The host, with its port where that is not the scheme's own: ``127.0.0.1:8080``."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.netloc}{self.path}"


def _without_secrets(url: str) -> str:
    """What of a URL may stand in a message."""
    url = re.sub(r"//[^/@]*@", "//...@", url)
    return re.sub(r"[?#].*", "?...", url)


@dataclass(frozen=True)
class Request:
    """One question to one model.

    ``body`` is the whole JSON body, as it goes over the wire; treat it as frozen. ``repetition`` counts from 0 and
    tells repeated questions apart, which a store would answer all alike otherwise. ``label`` names the request in
    messages (a row's key, never its text); ``tag`` is the caller's own. Neither is part of the key.
    """

    endpoint: Endpoint
    body: Mapping[str, Any]
    api: str = "chat"
    repetition: int = 0
    label: str = ""
    tag: object = None

    @cached_property
    def key(self) -> str:
        """The sha256 (64 hexadecimal digits) of everything that can change the answer.

        The order of keys in a JSON object does not count, that of lists does; ``1`` and ``1.0`` are one number.

        Raises:
            BadRequestBody: the body is not JSON.
        """
        return request_key(str(self.endpoint), self.api, self._plain_body, self.repetition)

    @cached_property
    def wire(self) -> bytes:
        """The body as UTF-8 JSON, in the order in which its keys were given.

        Raises:
            BadRequestBody: the body is not JSON.
        """
        import json

        return json.dumps(self._plain_body, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()

    @property
    def model(self) -> str:
        """The model that is asked, or an empty string."""
        model = self.body.get("model")
        return model if isinstance(model, str) else ""

    @property
    def name(self) -> str:
        """How messages call it: the label in quotes, or the start of the key."""
        return f"'{self.label}'" if self.label else f"with key {self.key[:12]}"

    @cached_property
    def _plain_body(self) -> dict[str, Any]:
        try:
            body = _plain(self.body)
            canonical_json(body).encode()
        except (TypeError, ValueError, RecursionError) as error:
            problem = "its text has half of a surrogate pair" if isinstance(error, UnicodeError) else str(error)
            name = f"'{self.label}'" if self.label else "of a row"
            advice = "a body holds what JSON knows: text, finite numbers, booleans, null, lists, objects"
            raise BadRequestBody(label=name, problem=problem, advice=advice) from None
        if not isinstance(body, dict):  # a Mapping always becomes one
            raise TypeError("the body of a request is a mapping")
        return body


def request_key(endpoint: str, api: str, body: Mapping[str, Any], repetition: int) -> str:
    """Return the key of a request from its parts; see ``Request.key``."""
    whole = {"version": KEY_VERSION, "endpoint": endpoint, "api": api, "body": _plain(body), "repetition": repetition}
    return digest(whole)


def _plain(value: object) -> Any:
    """Copy a JSON value; a float that is a whole number becomes an integer, as in RFC 8785."""
    kind = type(value)
    if kind is str or kind is bool or value is None or kind is int:
        return value
    if isinstance(value, float):
        if value != value or value in (float("inf"), float("-inf")):
            raise ValueError("NaN and infinity are not JSON")
        return int(value) if value.is_integer() and abs(value) < _EXACT else float(value)
    if isinstance(value, dict) or hasattr(value, "items"):
        pairs = list(value.items())
        if not all(type(name) is str for name, _ in pairs):
            raise TypeError("the keys of an object must be text")
        return {name: _plain(item) for name, item in pairs}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, str | int):  # their subclasses
        return str(value) if isinstance(value, str) else int(value)
    raise TypeError(f"{kind.__name__} is not JSON")
