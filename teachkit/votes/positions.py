"""How often voters on comparisons say that the left one is better: position bias, without a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from teachkit.votes.comparisons import LEFT, TIE
from teachkit.votes.intervals import wilson

if TYPE_CHECKING:
    from teachkit.votes.comparisons import Comparisons


@dataclass(frozen=True, slots=True)
class LeftShare:
    """The share of left among a voter's ``decided`` votes (those for a side), with its Wilson interval.

    ``swapped``: so many of them are on two things that the voter was shown in both orders, each order counting the
    same; among these a share of one half is no bias, whatever the things are. A thing against itself is in both orders.
    """

    voter: str
    decided: int
    left: float | None
    low: float | None
    high: float | None
    swapped: int
    swapped_left: float | None
    swapped_low: float | None
    swapped_high: float | None


def left_shares(votes: Comparisons) -> list[LeftShare]:
    """The share of left of each voter."""
    chosen = votes.code < TIE
    pattern, voter, code = votes.entry_pattern[chosen], votes.voter[chosen], votes.code[chosen]
    weight = votes.counts[pattern]
    return [
        _of_voter(name, votes, pattern[voter == v], code[voter == v] == LEFT, weight[voter == v])
        for v, name in enumerate(votes.voters)
    ]


def _of_voter(name: str, votes: Comparisons, pattern: Any, left: Any, weight: Any) -> LeftShare:
    decided, of_left = int(weight.sum()), int(weight[left].sum())
    swapped, swapped_left = _swapped(votes, pattern, left, weight)
    return LeftShare(name, decided, *_share(of_left, decided), round(swapped), *_share(swapped_left, swapped))


def _swapped(votes: Comparisons, pattern: Any, left: Any, weight: Any) -> tuple[float, float]:
    """How many votes stand against each other in both orders, and how many of these say left."""
    a, b = votes.left[pattern], votes.right[pattern]
    pair = np.minimum(a, b) * max(1, len(votes.contestants)) + np.maximum(a, b)
    found, group = np.unique(pair, return_inverse=True)
    given, of_left = np.zeros((2, len(found))), np.zeros((2, len(found)))
    for order, here in enumerate((a < b, a > b)):
        given[order] = np.bincount(group[here], weights=weight[here], minlength=len(found))
        of_left[order] = np.bincount(group[here & left], weights=weight[here & left], minlength=len(found))
    both = np.minimum(given[0], given[1])
    shares = np.divide(of_left, given, out=np.zeros_like(given), where=given > 0).sum(axis=0)
    same = a == b
    return float(2 * both.sum() + weight[same].sum()), float((both * shares).sum() + weight[same & left].sum())


def _share(part: float, total: float) -> tuple[float | None, float | None, float | None]:
    if total <= 0:
        return None, None, None
    low, high = wilson(part, total) or (None, None)
    return part / total, low, high
