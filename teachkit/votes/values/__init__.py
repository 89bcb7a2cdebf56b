"""The kinds of task whose answers are values, not codes of labels: what an answer is, how near two are, how good."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

from teachkit.votes.values.kind import NotAnAnswer

if TYPE_CHECKING:
    from teachkit.votes.values.kind import ValueKind

_PLACES = {"number": "teachkit.votes.values.number:Number", "text": "teachkit.votes.values.text:Text"}

VALUED = tuple(_PLACES)
"""The kinds of task whose votes are values."""

__all__ = ["VALUED", "NotAnAnswer", "value_kind"]


@cache
def value_kind(name: str) -> ValueKind:
    """What is known of a kind of task whose answers are values; ``KeyError`` if there is no such kind."""
    module, _, attribute = _PLACES[name].partition(":")
    found: ValueKind = getattr(import_module(module), attribute)()
    return found
