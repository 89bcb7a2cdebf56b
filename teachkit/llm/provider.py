"""A server that requests go to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from teachkit.llm.request import Endpoint, Request
from teachkit.llm.transport import TIMEOUT, TransportName

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from teachkit.llm.chat import StructuredOutput


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """A server that speaks the OpenAI API, and its limits.

    ``api_key_env`` NAMES the environment variable with the key (``None``: no key). ``concurrency`` is how many requests
    are under way at most, ``timeout`` the seconds that a whole request may take.
    """

    name: str
    base_url: str
    api_key_env: str | None = None
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    concurrency: int = 64
    timeout: float = TIMEOUT
    transport: TransportName = "openai"
    structured_output: StructuredOutput = "json_schema"

    @property
    def endpoint(self) -> Endpoint:
        """Where it is; part of every key.

        Raises:
            BadEndpoint: ``base_url`` cannot be used.
        """
        return Endpoint.parse(self.base_url)

    def request(
        self, body: Mapping[str, Any], *, api: str = "chat", repetition: int = 0, label: str = "", tag: object = None
    ) -> Request:
        """Make a request to this provider; see ``Request``."""
        return Request(self.endpoint, body, api=api, repetition=repetition, label=label, tag=tag)
