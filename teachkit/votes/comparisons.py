"""Votes on comparisons: items that each hold one thing against another, and who of the two is better."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from teachkit.votes.votes import Array, Votes

if TYPE_CHECKING:
    from collections.abc import Sequence

LEFT, RIGHT, TIE = 0, 1, 2
"""The codes of the labels of a comparison; the third there may be or not."""


def _nobody() -> Array:
    return np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Comparisons(Votes):
    """Votes that know what each item compares; items are in one pattern only if they compare the same.

    ``contestants`` [C] are the names of all that is compared; ``left`` and ``right`` [P] what stands on which side.
    """

    contestants: tuple[str, ...] = ()
    left: Array = field(default_factory=_nobody)
    right: Array = field(default_factory=_nobody)

    @classmethod
    def of(cls, votes: Votes, left: Sequence[Any], right: Sequence[Any]) -> Self:
        """Votes on N items, and the names of what each of these compares.

        Raises:
            ValueError: names are missing, or there are more or fewer of them than items.
        """
        from teachkit.votes.patterns import take

        if not 2 <= votes.n_labels <= 3:
            raise ValueError(f"a comparison has 2 labels (left, right) or 3 (and tie), not {votes.n_labels}")
        if len(left) != votes.n_items or len(right) != votes.n_items:
            raise ValueError(f"{len(left)} left and {len(right)} right sides for {votes.n_items} items")
        names, place = _coded([*left, *right])
        a, b = place[: votes.n_items], place[votes.n_items :]
        count = max(1, len(names))
        pair = (votes.pattern_of.astype(np.int64) * count + a) * count + b
        found, first, pattern_of = np.unique(pair, return_index=True, return_inverse=True)
        order = np.argsort(first, kind="stable")  # patterns stand in the order in which items bring them up
        rank = np.empty(len(found), np.int64)
        rank[order] = np.arange(len(found))
        first, pattern_of = first[order], rank[pattern_of.ravel()]
        counts = np.bincount(pattern_of, minlength=len(found)).astype(np.int64)
        rows = take(votes.indptr, votes.voter, votes.code, votes.pattern_of[first].astype(np.int64))
        named = (votes.items, votes.labels)
        return cls(votes.voters, votes.n_labels, *rows, counts, pattern_of, *named, names, a[first], b[first])

    def regrouped(self, patterns: Array, pattern_of: Array) -> Comparisons:
        """The same votes with other patterns (see ``Votes.regrouped``); each compares what it did."""
        from teachkit.votes.patterns import take

        wanted = np.asarray(patterns, dtype=np.int64)
        counts = np.bincount(pattern_of, minlength=len(wanted)).astype(np.int64)
        rows = take(self.indptr, self.voter, self.code, wanted)
        items = self.items if len(pattern_of) == self.n_items else None
        sides = self.contestants, self.left[wanted], self.right[wanted]
        return Comparisons(self.voters, self.n_labels, *rows, counts, pattern_of, items, self.labels, *sides)


def _coded(names: Sequence[Any]) -> tuple[tuple[str, ...], Array]:
    """The different names, sorted, and the place of each."""
    for name in names:
        if not isinstance(name, str):
            raise ValueError(f"a side is named by a text, not by {name!r}")
    known = sorted(set(names))
    place = {name: index for index, name in enumerate(known)}
    return tuple(known), np.fromiter((place[name] for name in names), dtype=np.int64, count=len(names))
