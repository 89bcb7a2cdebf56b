"""Answers that are orders: names of candidates, the best first.

A name that an answer does not hold is not judged by it: it is neither better nor worse than the others. Two answers are
the same if they are the same list. Their distance is the share of pairs that they order otherwise among the pairs that
both hold (Kendall's tau is 1 minus twice the distance); it is 1 where they have no pair in common.
"""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from teachkit.votes.intervals import wilson
from teachkit.votes.values import NotAnAnswer
from teachkit.votes.values.kind import ValueKind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa

_ADVICE = "write the names of the candidates, the best first: a list, in CSV with | between them"


class Ranking(ValueKind):
    """Lists of different names, one at least."""

    name: ClassVar[str] = "ranking"
    noun: ClassVar[str] = "an order (a list of different names)"
    sql_type: ClassVar[str] = "VARCHAR[]"
    metrics: ClassVar[tuple[str, ...]] = ("tau", "first_match", "low", "high", "exact_match")

    @property
    def arrow_type(self) -> pa.DataType:
        """Names, the best first."""
        import pyarrow as pa

        return pa.list_(pa.string())

    @property
    def posterior_type(self) -> pa.DataType:
        """Each candidate with its score and its 95 % interval, the best first."""
        import pyarrow as pa

        numbers = [(name, pa.float64()) for name in ("score", "low", "high")]
        return pa.list_(pa.struct([("candidate", pa.string()), *numbers]))

    def read(self, value: Any, labels: Sequence[str] = ()) -> tuple[str, ...] | None:
        """A list of names, or a text with | between them; an empty one says nothing. A number is a name."""
        if isinstance(value, str):
            value = value.split("|") if value.strip() else []
        if value is None:
            return None
        if not isinstance(value, list | tuple):
            raise NotAnAnswer(f"is {value!r}, which is no list", _ADVICE)
        names = []
        for name in value:
            if isinstance(name, bool) or not isinstance(name, str | int) or not str(name).strip():
                raise NotAnAnswer(f"holds {name!r}, which is no name", _ADVICE)
            names.append(str(name).strip())
        twice = next((name for place, name in enumerate(names) if name in names[:place]), None)
        if twice is not None:
            raise NotAnAnswer(f"names '{twice}' twice", _ADVICE)
        return tuple(names) or None

    def takes(self, sql_type: str) -> bool:
        """Lists of texts or whole numbers."""
        inner = sql_type.removesuffix("[]")
        return inner != sql_type and not inner.endswith("]") and not inner.startswith(("STRUCT", "MAP", "BOOLEAN"))

    def schema(self, labels: Sequence[str] = ()) -> dict[str, Any]:
        """A list of texts."""
        return {"type": "array", "items": {"type": "string"}}

    def hashable(self, value: Any) -> Any:
        """A tuple."""
        return None if value is None else tuple(value)

    def plain(self, value: Any) -> Any:
        """A list."""
        return None if value is None else list(value)

    def show(self, value: Any) -> str:
        """``a > b > c``."""
        return " > ".join(value)

    def distance(self, one: Any, other: Any) -> Any:
        """See the module."""
        return np.array([_distance(a, b) for a, b in zip(one, other, strict=True)], dtype=np.float64)

    def quality(self, decided: Any, gold: Any) -> dict[str, Any]:
        """Mean tau; the share of items whose first is that of gold, with its Wilson interval; that of exact matches.

        Items without a label count as wrong; tau is over labeled items that have a pair in common with gold.
        """
        known = np.flatnonzero(~self.missing(gold))
        pairs = [(decided[i], gold[i]) for i in known if decided[i] is not None]
        n, labeled = len(known), len(pairs)
        if not n:
            return {"n": 0, "labeled": 0, **dict.fromkeys(self.metrics)}
        taus = [found for a, b in pairs if (found := tau(a, b)) is not None]
        first = sum(a[0] == b[0] for a, b in pairs)
        low, high = wilson(first, n) or (None, None)
        return {
            "n": n,
            "labeled": labeled,
            "tau": sum(taus) / len(taus) if taus else None,
            "first_match": first / n,
            "low": low,
            "high": high,
            "exact_match": sum(a == b for a, b in pairs) / n,
        }

    def summary(self, decided: Any) -> Mapping[str, float | None]:
        """How many candidates a label holds in the mean."""
        there = [len(d) for d in decided if d is not None]
        return {"length": sum(there) / len(there) if there else None}


def tau(one: Sequence[str], other: Sequence[str]) -> float | None:
    """Kendall's tau (Biometrika 30, 1938) of what both orders hold; None if that is less than two names."""
    place = {name: at for at, name in enumerate(other)}
    common = [place[name] for name in one if name in place]
    if len(common) < 2:
        return None
    right = sum(a < b for a, b in combinations(common, 2))
    pairs = len(common) * (len(common) - 1) // 2
    return 2 * right / pairs - 1


def _distance(one: Sequence[str], other: Sequence[str]) -> float:
    if tuple(one) == tuple(other):
        return 0.0
    found = tau(one, other)
    return 1.0 if found is None else (1 - found) / 2
