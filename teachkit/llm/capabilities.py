"""What a provider can do beside answering: as its user says, or as is known of its host. Nothing else is assumed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from teachkit.llm.safety import OFFICIAL_HOSTS

if TYPE_CHECKING:
    from teachkit.llm.request import Endpoint


@dataclass(frozen=True, slots=True)
class Capabilities:
    """``logprobs`` is ``None`` where nobody knows (at OpenAI some models have them): who asks for them finds out."""

    logprobs: bool | None
    decisions: bool
    batches: bool


def capabilities_of(
    endpoint: Endpoint, *, logprobs: bool | None = None, decisions: bool | None = None, batches: bool | None = None
) -> Capabilities:
    """Fill in what is not said (``None``): OpenAI's own hosts take decisions and batches, others neither."""
    openai = endpoint.scheme == "https" and OFFICIAL_HOSTS.get(endpoint.host) == OFFICIAL_HOSTS["api.openai.com"]
    return Capabilities(logprobs, openai if decisions is None else decisions, openai if batches is None else batches)
