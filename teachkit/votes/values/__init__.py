"""The kinds of task whose answers are values, not codes of labels: what an answer is, how near two are, how good."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from teachkit.votes.values.kind import ValueKind

_PLACES = {
    "number": "teachkit.votes.values.number:Number",
    "text": "teachkit.votes.values.text:Text",
    "ranking": "teachkit.votes.values.ranking:Ranking",
    "span": "teachkit.votes.values.span:Span",
}

VALUED = tuple(_PLACES)
"""The kinds of task whose votes are values."""

WITH_LABELS: tuple[str, ...] = ("span",)
"""Those of them whose answers are made of labels, which the task names."""

__all__ = ["VALUED", "WITH_LABELS", "NotAnAnswer", "shown_spans", "value_kind"]


class NotAnAnswer(ValueError):
    """A value is no answer of the kind: ``problem`` goes on after "the answer …", ``advice`` says what to write.

    ``row`` is set where a column was read.
    """

    def __init__(self, problem: str, advice: str, row: int | None = None) -> None:
        super().__init__(problem)
        self.problem = problem
        self.advice = advice
        self.row = row


@cache
def value_kind(name: str) -> ValueKind:
    """What is known of a kind of task whose answers are values; ``KeyError`` if there is no such kind."""
    module, _, attribute = _PLACES[name].partition(":")
    found: ValueKind = getattr(import_module(module), attribute)()
    return found


def shown_spans(spans: Iterable[Any]) -> str:
    """Places and labels for people, of tuples or of what Arrow has."""
    parts = [(s["start"], s["end"], s["label"]) if isinstance(s, dict) else s for s in spans]
    return ", ".join(f"{start}-{end} {label}" for start, end, label in parts) or "no spans"
