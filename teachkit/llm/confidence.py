"""How likely each label is by the log-probabilities of an answer's tokens.

A model writes a label token by token; beside each token it gives the likeliest rivals. Where the labels that fit what
is written so far part, each rival speaks for the label (or labels) that it can go on to. What no rival shows, or what
leads to several labels by a way that was not taken, is not seen: ``mass_seen`` says how much was.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from teachkit.llm.chat import ChatReply, TokenChoice

_IMPOSSIBLE = -9000.0  # providers write -9999.0 for a token that cannot be
_SPACE = " \t\r\n"


@dataclass(frozen=True, slots=True)
class LabelScores:
    """The probability of each label that was seen, of all that was seen; and how much of all that is."""

    probabilities: Mapping[str, float]
    mass_seen: float


def label_scores(reply: ChatReply, name: str, allowed: Sequence[str]) -> LabelScores | None:
    """Group the log-probabilities of the answer's property ``name`` by the ``allowed`` labels.

    Returns ``None`` where there are none, or where they do not belong to the answer's text. Never raises.
    """
    written = "".join(choice.token for choice in reply.tokens)
    begin = written.find(reply.text) if reply.text else -1
    value = _value_at(written, name, begin) if begin >= 0 else None
    if value is None:
        return None
    forms = {label: {json.dumps(label), json.dumps(label, ensure_ascii=False)} for label in allowed}
    found = dict.fromkeys(allowed, 0.0)
    reached, at = 1.0, 0
    for choice in reply.tokens:
        start, at = at, at + len(choice.token)
        if at <= value:
            continue
        before = written[value:start] if start > value else ""
        lead = written[start:value] if start < value else ""
        here = reached
        for token, probability in _rivals(choice).items():
            fitting = _fitting(before + _without(lead, token), forms) if _goes_on(lead, token) else []
            if len(fitting) == 1:
                found[fitting[0]] += here * probability
            if token == choice.token:
                reached = here * probability if len(fitting) > 1 else 0.0
        if reached == 0.0:
            break
    seen = math.fsum(found.values())
    if not 0 < seen < math.inf:
        return None
    return LabelScores({label: mass / seen for label, mass in found.items() if mass > 0}, min(seen, 1.0))


def _value_at(text: str, name: str, begin: int) -> int | None:
    """Where the value of a property of the JSON object in ``text`` begins; ``None`` if there is no such text value."""
    decoder = json.JSONDecoder()
    at = text.find("{", begin) + 1
    while at > 0:
        try:
            key, at = decoder.raw_decode(text, _skip(text, at))
            at = _skip(text, at)
            if text[at : at + 1] != ":":
                return None
            at = _skip(text, at + 1)
            if key == name:
                return at if text[at : at + 1] == '"' else None
            _, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            return None
        at = _skip(text, at)
        if text[at : at + 1] != ",":
            return None
        at += 1
    return None


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in _SPACE:
        at += 1
    return at


def _rivals(choice: TokenChoice) -> Mapping[str, float]:
    """Tokens with their probabilities, the one that was taken among them."""
    found = dict((*choice.top, (choice.token, choice.logprob)))
    return {token: math.exp(min(p, 0.0)) if p > _IMPOSSIBLE else 0.0 for token, p in found.items()}


def _goes_on(lead: str, token: str) -> bool:
    """Whether a token comes to the value: it begins as the one that was taken, or with other white space."""
    return token.startswith(lead) or not lead.strip()


def _without(lead: str, token: str) -> str:
    return token[len(lead) :] if token.startswith(lead) else token.lstrip(_SPACE)


def _fitting(text: str, forms: Mapping[str, Iterable[str]]) -> list[str]:
    """The labels that ``text`` can go on to, or has come to the end of."""
    return [label for label, ways in forms.items() if any(way.startswith(text) or text.startswith(way) for way in ways)]
