"""How sure a model was of a label: its log-probabilities grouped by label, or the share of repeated answers.

A reply is a sequence of tokens, and a label may be written in many: ``"spam"`` as ``"``, ``sp``, ``am``, ``"}``, or as
``"sp``, ``am"``, or with an escape. At each token of the label, the provider shows the most probable alternatives. One
that only one label can begin with is that label's, whatever would follow. One that several labels begin with is
followed further if it is the one that was written; what would have followed the others, nobody has seen.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from teachkit.llm.chat import json_in

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from teachkit.llm.replies import ModelReply, TokenChoice

    Spelling = Sequence[Sequence[bytes]]
    """Of each character of a label, the ways to write it in JSON; none of them begins with another."""
    Place = tuple[int, bytes]
    """How far a label is written: how many whole characters, and the beginning of the next one."""

_SPACE: Final = b" \t\n\r"
_END_MARKS: Final = re.compile(rb"\s*(<[^<>\s]{1,40}>\s*)*")  # <|im_end|>, </s>: some servers list them as tokens
_SHORT: Final = dict(
    zip('"\\/\b\f\n\r\t', (b'\\"', b"\\\\", b"\\/", b"\\b", b"\\f", b"\\n", b"\\r", b"\\t"), strict=True)
)


@dataclass(frozen=True, slots=True)
class LabelScores:
    """A probability for each allowed value, sum 1, over what was seen; ``mass_seen`` in (0, 1] is how much that was.

    A value with 0 was not among the alternatives that were shown, which is not to say that it is impossible.
    """

    probabilities: Mapping[str, float]
    mass_seen: float


def label_scores(reply: ModelReply, name: str, allowed: Iterable[str]) -> LabelScores | None:
    """Group the log-probabilities of an answer by label.

    Probabilities are conditional on what the model wrote before the label (a reason, white space). ``mass_seen`` is the
    mass that is known to be one label's. The rest is alternatives that were not shown, that begin no allowed value
    (``Spam`` where the label is ``spam``), or that several labels begin with and that were not written.

    Args:
        reply: with log-probabilities and alternatives (``logprobs`` and ``top_logprobs`` of the request).
        name: the property of the answer that holds the label.
        allowed: the values that the schema allows there: labels, and ABSTAIN if it may abstain.

    Returns:
        ``None`` if there are no log-probabilities, or no alternatives where labels part; if the tokens are not the
        reply's text; if there is no allowed value under that name; if no label has any mass.
    """
    spellings = {label: [_spellings(character) for character in label] for label in allowed}
    try:
        value, start = _value(reply.text, name), _start(reply)
        if value is None or start is None or value.text not in spellings:
            return None
        scores = _scores(_since(reply.tokens, -start, value.quote), value, spellings)
    except (ValueError, RecursionError):  # what is no text, no number, or nested beyond reading
        return None
    seen = math.fsum(scores.values()) if scores else 0.0
    if not scores or seen <= 0:
        return None
    return LabelScores({label: score / seen for label, score in scores.items()}, min(1.0, seen))  # above 1 by rounding


def repeat_scores(values: Sequence[str | None], allowed: Iterable[str]) -> Mapping[str, float]:
    """The share of each allowed value among the repeats that were answered with one of them.

    ``None`` is a repeat without an answer. Empty if none was answered.
    """
    labels = list(dict.fromkeys(allowed))
    counts = Counter(value for value in values if value in labels)
    answered = counts.total()
    return {label: counts[label] / answered for label in labels} if answered else {}


@dataclass(frozen=True, slots=True)
class _Value:
    """A string in an object: decoded, and at which bytes its key ends and its opening quotation mark stands."""

    text: str
    key_end: int
    quote: int


def _value(text: str, name: str) -> _Value | None:
    """Find the value of a property in an answer; of one that comes twice it is the last, as for any reader of JSON."""
    found = json_in(text)
    if found is None or not isinstance(found[0], dict):
        return None
    last = None
    for key, key_end, at, value in _properties(text, found[1]):
        if key == name:
            last = (value, key_end, at)
    if last is None or not isinstance(last[0], str):
        return None
    return _Value(last[0], len(text[: last[1]].encode()), len(text[: last[2]].encode()))


def _properties(text: str, at: int) -> Iterator[tuple[str, int, int, object]]:
    """Key, its end, where its value starts, and the value, of each property of the valid object at ``at``."""
    read = json.JSONDecoder().raw_decode
    at = _skip(text, at)
    while text[at] != "}":
        at = _skip(text, at + 1)  # over the brace, or a comma
        if text[at] == "}":
            return
        key, key_end = read(text, at)
        at = _skip(text, _skip(text, key_end) + 1)
        value, end = read(text, at)
        yield key, key_end, at, value
        at = _skip(text, end)


def _skip(text: str, at: int) -> int:
    while text[at] in " \t\n\r":
        at += 1
    return at


def _start(reply: ModelReply) -> int | None:
    """The byte of all tokens put together at which the reply's text begins; ``None`` if they are not that text.

    A server may strip the white space in front, and may list marks of the end among the tokens.
    """
    written, text = b"".join(_bytes(choice.token) for choice in reply.tokens), reply.text.encode()
    start = (len(written) - len(written.lstrip())) - (len(text) - len(text.lstrip()))
    same = written.startswith(text, start) and _END_MARKS.fullmatch(written, start + len(text))
    return start if same else None


def _bytes(token: str) -> bytes:
    return token.encode("utf-8", "surrogateescape")


def _since(choices: Sequence[TokenChoice], at: int, quote: int) -> Iterator[tuple[int, TokenChoice]]:
    """Tokens from the one that holds the byte ``quote``, each with the byte where it begins; the first is at ``at``."""
    for choice in choices:
        end = at + len(_bytes(choice.token))
        if end > quote:
            yield at, choice
        at = end


def _scores(
    choices: Iterator[tuple[int, TokenChoice]], value: _Value, spellings: Mapping[str, Spelling]
) -> dict[str, float]:
    """The mass of each label; empty if there are no alternatives where labels part."""
    scores = dict.fromkeys(spellings, 0.0)
    places: dict[str, Place] = dict.fromkeys(spellings, (0, b""))
    path, lead = 1.0, None
    for at, choice in choices:
        masses, own = _masses(choice), _bytes(choice.token)
        rests = {text: text for text in masses}
        if lead is None:
            lead = _lead(own[: value.quote - at], value.key_end - at)
            rests = {text: text[match.end() :] for text in masses if (match := lead.match(text))}
            if not rests[own]:
                masses = _beside(own, masses, rests)
        reached = {text: _reached(rest, places, spellings) for text, rest in rests.items()}
        for text, places_there in reached.items():
            if len(places_there) == 1:
                scores[next(iter(places_there))] += path * masses[text]
        if rests[own] and not choice.top:
            return {}
        places, path = reached[own], path * masses[own]
        if len(places) < 2:
            return scores
    return {}


def _masses(choice: TokenChoice) -> dict[bytes, float]:
    """The probabilities of a token and its rivals; tokens that read alike are one. The floor of -9999 is nothing."""
    own = _bytes(choice.token)
    masses: dict[bytes, float] = {}
    for token, logprob in choice.top:
        try:
            text = _bytes(token)
        except ValueError:  # no text in UTF-8, so the beginning of no label
            continue
        masses[text] = masses.get(text, 0.0) + _probability(logprob)
    masses[own] = max(masses.get(own, 0.0), _probability(choice.logprob))
    return masses


def _probability(logprob: float) -> float:
    if math.isnan(logprob):
        raise ValueError("a log-probability is no number")
    return math.exp(min(0.0, logprob))


def _lead(text: bytes, key_length: int) -> re.Pattern[bytes]:
    """What stands before a label in tokens that could be there instead of ``text``: other white space, the same key."""
    key = text[: max(0, key_length)]
    colon = rb"[ \t\n\r]*:" if b":" in text[len(key) :] else b""
    return re.compile(re.escape(key) + colon + rb'[ \t\n\r]*"')


def _beside(own: bytes, masses: Mapping[bytes, float], rests: Mapping[bytes, bytes]) -> dict[bytes, float]:
    """The masses where the token that was taken writes nothing of the label: beside it, only those count that do.

    Other white space before the label, or another way to go on, says nothing about the label.
    """
    total = masses[own] + math.fsum(mass for text, mass in masses.items() if rests.get(text))
    return {text: mass / total if total > 0 else 0.0 for text, mass in masses.items()}


def _reached(rest: bytes, places: Mapping[str, Place], spellings: Mapping[str, Spelling]) -> dict[str, Place]:
    """How far ``rest`` brings each of the labels that it fits to; the others are left out."""
    found = {label: _advance(rest, place, spellings[label]) for label, place in places.items()}
    return {label: place for label, place in found.items() if place is not None}


def _advance(rest: bytes, place: Place, spelling: Spelling) -> Place | None:
    done, begun = place
    rest = begun + rest
    while rest:
        if done == len(spelling):
            beyond = rest[1:].lstrip(_SPACE)
            return (done, b"") if rest.startswith(b'"') and beyond[:1] in (b"", b",", b"}") else None
        for way in spelling[done]:
            if way[0] == rest[0] and _same(rest[: len(way)], way[: len(rest)]):
                if len(rest) < len(way):
                    return done, rest
                done, rest = done + 1, rest[len(way) :]
                break
        else:
            return None
    return done, b""


def _same(written: bytes, way: bytes) -> bool:
    r"""Equality, but for the case of the digits of ``\u00E9``."""
    return written == way or (way.startswith(b"\\u") and b"U" not in written and written.lower() == way)


@lru_cache(maxsize=4096)
def _spellings(character: str) -> tuple[bytes, ...]:
    """The ways to write a character in a JSON string."""
    units = character.encode("utf-16-be", "surrogatepass")
    ways = [b"".join(b"\\u" + units[at : at + 2].hex().encode() for at in range(0, len(units), 2))]
    if character in _SHORT:
        ways.append(_SHORT[character])
    if character >= " " and character not in '"\\' and not "\ud800" <= character <= "\udfff":
        ways.append(character.encode())
    return tuple(ways)
