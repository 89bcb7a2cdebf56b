"""Where a key and a row's text may go. Nothing that stands in a project's repository can widen it.

A pull request can edit ``base_url``; it cannot edit the environment of whoever runs teachkit. So requests go to

- the hosts of known providers, with the key of that provider,
- this machine (loopback),
- hosts that the environment variable ``TEACHKIT_LLM_HOSTS`` names (``host`` or ``host:port``, with commas),

over https except to this machine, without redirects, and not to private addresses unless the variable names the host.
"""

from __future__ import annotations

import ipaddress
import os
import re
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.request import getproxies, proxy_bypass

from teachkit.llm.errors import HostNotAllowed, HostUnsafe, KeyBoundElsewhere, KeyMissing, KeyUnusable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from teachkit.llm.request import Endpoint

    Resolve = Callable[[str, int], Iterable[str]]

HOSTS_VARIABLE: Final = "TEACHKIT_LLM_HOSTS"

# host of a provider -> how the names of variables with its keys start
OFFICIAL_HOSTS: Final[Mapping[str, tuple[str, ...]]] = {
    "api.openai.com": ("OPENAI_",),
    **{f"{region}.api.openai.com": ("OPENAI_",) for region in ("us", "eu", "ae", "au", "in", "jp")},
    "api.anthropic.com": ("ANTHROPIC_",),
    "api.deepseek.com": ("DEEPSEEK_",),
    "api.fireworks.ai": ("FIREWORKS_",),
    "api.groq.com": ("GROQ_",),
    "api.mistral.ai": ("MISTRAL_",),
    "api.together.xyz": ("TOGETHER_",),
    "api.x.ai": ("XAI_",),
    "generativelanguage.googleapis.com": ("GEMINI_", "GOOGLE_"),
    "openrouter.ai": ("OPENROUTER_",),
}

_KEY: Final = re.compile(r"[\x21-\x7e]{8,}")


class Secret:
    """An API key that shows itself nowhere: not in a repr, a log, a format string, a pickle."""

    __slots__ = ("_value", "name")

    def __init__(self, name: str, value: str) -> None:
        self.name = name
        self._value = value

    def __repr__(self) -> str:
        return f"<the key in {self.name}>"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __reduce__(self) -> str:
        raise TypeError("a key is not pickled")

    def authorization(self) -> str:
        """The value of the header that carries it."""
        return f"Bearer {self._value}"

    def is_in(self, data: bytes) -> bool:
        """Whether these bytes hold the key."""
        return self._value.encode() in data

    def scrub(self, data: bytes) -> bytes:
        """Take the key out of bytes that came from a server that sends it back."""
        value = self._value.encode()
        for form in (value, value.replace(b"/", rb"\/")):
            if form in data:
                data = data.replace(form, b"[key]")
        return data


@dataclass(frozen=True, slots=True)
class Way:
    """A checked way to an endpoint: with which key, and through which proxy of the user's environment."""

    endpoint: Endpoint
    key: Secret | None
    proxy: str | None

    def __repr__(self) -> str:  # a proxy's URL may hold a password
        return f"Way({self.endpoint}, {self.key!r})"


def resolve(host: str, port: int) -> list[str]:
    """Return the addresses of a host, as the operating system knows them."""
    return [str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


def check_way(
    endpoint: Endpoint,
    key_variable: str | None,
    *,
    resolve: Resolve = resolve,
    environment: Mapping[str, str] | None = None,
) -> Way:
    """Return how to reach ``endpoint`` with the key in ``key_variable`` (``None``: without a key).

    Args:
        endpoint: where requests are meant to go.
        key_variable: the NAME of the environment variable that holds the key.
        resolve: from host and port to addresses.
        environment: instead of ``os.environ``.

    Raises:
        HostNotAllowed: the host is not a provider's, not this machine, and not in ``TEACHKIT_LLM_HOSTS``.
        HostUnsafe: no https, a private address, or an unknown host.
        KeyMissing: the variable is not set or empty.
        KeyUnusable: its value cannot be a key.
        KeyBoundElsewhere: the variable belongs to another provider.
    """
    variables = os.environ if environment is None else environment
    local = is_loopback(endpoint.host)
    allowed = _is_listed(endpoint, variables.get(HOSTS_VARIABLE, ""))
    if not (local or allowed or _is_official(endpoint)):
        raise HostNotAllowed(host=endpoint.netloc)
    if endpoint.scheme != "https" and not local:
        raise HostUnsafe(
            host=endpoint.netloc,
            problem="http can be read on the way",
            advice="use https; plain http is for this machine alone (127.0.0.1)",
        )
    proxy = None if local else _proxy(endpoint)
    if not (allowed or proxy):
        _check_addresses(endpoint, local=local, resolve=resolve)
    if key_variable and not (local or allowed):
        _check_binding(endpoint, key_variable)
    key = _read_key(endpoint, key_variable, variables) if key_variable else None
    return Way(endpoint, key, proxy)


def is_loopback(host: str) -> bool:
    """Whether a host is this machine by its very name: ``localhost``, 127.0.0.0/8 or ::1."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_official(endpoint: Endpoint) -> bool:
    return endpoint.host in OFFICIAL_HOSTS and endpoint.scheme == "https" and endpoint.port == 443


def _is_listed(endpoint: Endpoint, listed: str) -> bool:
    names = {name.strip().lower() for name in listed.split(",")}
    return endpoint.netloc in names or f"{endpoint.host}:{endpoint.port}" in names or endpoint.host in names


def _proxy(endpoint: Endpoint) -> str | None:
    """The proxy that the user's environment names for https; the project has no say."""
    return None if proxy_bypass(endpoint.host) else getproxies().get(endpoint.scheme)


def _check_addresses(endpoint: Endpoint, *, local: bool, resolve: Resolve) -> None:
    try:
        addresses = [ipaddress.ip_address(address.split("%")[0]) for address in resolve(endpoint.host, endpoint.port)]
    except OSError as error:
        advice = "check base_url and the network"
        raise HostUnsafe(host=endpoint.netloc, problem="no address is known for it", advice=advice) from error
    for address in addresses:
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
            address = address.ipv4_mapped
        if local and address.is_loopback:
            continue
        if local or not address.is_global or address.is_multicast:
            raise HostUnsafe(
                host=endpoint.netloc,
                problem=f"its address {address} is not a public one",
                advice=f"if that is meant, allow the host: {HOSTS_VARIABLE}={endpoint.netloc}",
            )


def _check_binding(endpoint: Endpoint, variable: str) -> None:
    prefixes = OFFICIAL_HOSTS[endpoint.host]
    if not variable.startswith(prefixes):
        raise KeyBoundElsewhere(name=variable, host=endpoint.netloc, prefixes=" or ".join(prefixes))


def _read_key(endpoint: Endpoint, variable: str, environment: Mapping[str, str]) -> Secret:
    value = environment.get(variable, "").strip()
    if not value:
        raise KeyMissing(name=variable, host=endpoint.netloc)
    if not _KEY.fullmatch(value):
        problem = "it is too short" if len(value) < 8 else "it has spaces, line breaks or letters that are not ASCII"
        raise KeyUnusable(name=variable, problem=problem)
    return Secret(variable, value)
