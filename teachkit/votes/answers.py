"""Votes that are values: who answered what on which item, one entry for each answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from teachkit.votes.values import value_kind
from teachkit.votes.values.number import GREATEST

if TYPE_CHECKING:
    from collections.abc import Sequence

    from teachkit.votes.values.kind import ValueKind


def as_array(kind: ValueKind, values: Any) -> Any:
    """Answers as they are, if they are an array of numpy; else one of plain values, None where somebody is silent."""
    return values if isinstance(values, np.ndarray) else kind.made(values)


@dataclass(frozen=True, slots=True)
class Answers:
    """The answers of some voters on N items, M of them: sorted by item, and by voter within an item.

    ``item`` and ``voter`` [M] are numbers; ``value`` [M] is float64 of the kind ``number``, else plain values that can
    be hashed. Who did not answer has no entry (abstains).
    """

    kind: str
    voters: tuple[str, ...]
    item: Any
    voter: Any
    value: Any
    n_items: int

    @property
    def of(self) -> ValueKind:
        """What is known of the kind of answer."""
        return value_kind(self.kind)

    @classmethod
    def from_columns(cls, kind: str, voters: Sequence[str], columns: Sequence[Any], n_items: int) -> Self:
        """From one array [N] of each voter, as ``ValueKind`` has them (NaN or None: abstains)."""
        about = value_kind(kind)
        if len(voters) != len(columns):
            raise ValueError(f"{len(voters)} names for {len(columns)} voters")
        items, who, said = [], [], []
        for number, (name, given) in enumerate(zip(voters, columns, strict=True)):
            column = as_array(about, given)
            if len(column) != n_items:
                raise ValueError(f"voter '{name}' has {len(column)} answers for {n_items} items")
            there = np.flatnonzero(~about.missing(column))
            items.append(there)
            who.append(np.full(len(there), number, dtype=np.int64))
            said.append(column[there])
        none = np.zeros(0, dtype=np.int64)
        return cls.from_long(
            kind,
            np.concatenate(items) if items else none,
            np.concatenate(who) if who else none,
            np.concatenate(said) if said else about.empty(0),
            voters=voters,
            n_items=n_items,
        )

    @classmethod
    def from_long(cls, kind: str, item: Any, voter: Any, value: Any, *, voters: Sequence[str], n_items: int) -> Self:
        """From one entry [M] for each answer; of two of one voter on one item the last counts."""
        about = value_kind(kind)
        items, who = np.asarray(item, dtype=np.int64), np.asarray(voter, dtype=np.int64)
        if not len(items) == len(who) == len(value):
            raise ValueError("item, voter and value are arrays of the same length")
        for array, size, what in ((items, n_items, "items"), (who, len(voters), "voters")):
            if len(array) and (array.min() < 0 or array.max() >= size):
                raise ValueError(f"{what} are not within 0..{size - 1}")
        value = as_array(about, value)
        order = np.lexsort((np.arange(len(items)), who, items))
        order = order[~about.missing(value)[order]]
        if len(order):
            key = items[order] * max(1, len(voters)) + who[order]
            order = order[np.append(key[1:] != key[:-1], True)]
        found = value[order]
        if about.name == "number" and not (np.abs(found) <= GREATEST).all():
            raise ValueError(f"answers are finite numbers, none beyond {GREATEST:g}")
        return cls(kind, tuple(voters), items[order], who[order], found, n_items)

    @classmethod
    def joined(cls, first: Answers, second: Answers) -> Answers:
        """The answers of two groups of voters on the same items."""
        if first.n_items != second.n_items or first.kind != second.kind:
            raise ValueError("both must be answers of one kind on the same items")
        return cls.from_long(
            first.kind,
            np.concatenate([first.item, second.item]),
            np.concatenate([first.voter, second.voter + len(first.voters)]),
            np.concatenate([first.value, second.value]),
            voters=(*first.voters, *second.voters),
            n_items=first.n_items,
        )

    @property
    def votes_per_item(self) -> Any:
        """How many voters answered [N]."""
        return np.bincount(self.item, minlength=self.n_items).astype(np.int64)

    @property
    def starts(self) -> Any:
        """Where the entries of each item begin [N + 1]."""
        return np.concatenate([[0], np.cumsum(self.votes_per_item)])

    def chosen(self, entries: Any, n_items: int | None = None) -> Answers:
        """Some of the entries [M]: a mask."""
        return Answers(
            self.kind,
            self.voters,
            self.item[entries],
            self.voter[entries],
            self.value[entries],
            self.n_items if n_items is None else n_items,
        )

    def of_items(self, rows: Any) -> Answers:
        """The answers on some items [M] in this order, which are then all."""
        place = np.full(self.n_items, -1, dtype=np.int64)
        place[rows] = np.arange(len(rows))
        mine = self.chosen(place[self.item] >= 0, len(rows))
        order = np.argsort(place[mine.item], kind="stable")
        return Answers(self.kind, self.voters, place[mine.item][order], mine.voter[order], mine.value[order], len(rows))

    def one_item(self, item: int) -> Answers:
        """The answers on one item, which is then the only one."""
        return self.of_items(np.array([item]))

    @property
    def conflicting(self) -> Any:
        """Whether the answers on an item contradict each other [N]."""
        return self.of.conflicting(self.value, self.starts)
