"""A label set whose labels are values, beside its gold: what tests and figures are computed from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from teachkit.votes.splits import SPLITS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from teachkit.votes.values.kind import ValueKind


@dataclass(frozen=True, slots=True)
class ValueData:
    """Labels and gold of N items: ``decided`` and ``gold`` [N] as ``kind`` has them.

    ``split`` [N]: index in ``SPLITS``.
    """

    kind: ValueKind
    decided: Any
    gold: Any
    split: Any

    @property
    def labeled(self) -> Any:
        """Which items have a label [N]."""
        return ~self.kind.missing(self.decided)

    def chosen(self, split: str | None = None) -> tuple[Any, Any]:
        """Labels and gold of the items of one split, or of all."""
        mine = np.ones(len(self.split), dtype=bool) if split is None else self.split == SPLITS.index(split)
        return self.decided[mine], self.gold[mine]

    def figures(self, split: str | None = None) -> Mapping[str, Any]:
        """Quality on gold, of one split or of all: ``n`` items with gold, ``labeled`` of them, the kind's metrics."""
        return self.kind.quality(*self.chosen(split))

    def same(self, one: Any, other: Any) -> bool:
        """Whether two answers about an item are the same; none is the same as none."""
        there = [not bool(self.kind.missing(self.kind.made([answer]))[0]) for answer in (one, other)]
        if not all(there):
            return there[0] == there[1]
        return bool(self.kind.same(self.kind.made([one]), self.kind.made([other]))[0])

    def words(self, answer: Any) -> str | None:
        """An answer about an item for people; None where there is none."""
        return None if self.kind.missing(self.kind.made([answer]))[0] else self.kind.show(answer)
