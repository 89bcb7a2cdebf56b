"""Answers that are texts: what counts as the same answer, and how near two are.

Normalised, a text is in Unicode's NFKC form, case-folded, without punctuation and with single spaces. Two answers are
the same if their normalised forms are. Their distance is 1 minus Dice's coefficient of the pairs of neighbouring
characters of the normalised forms, with a mark before the first and after the last: it is 0 for the same, 1 for texts
with nothing in common, small for a typing mistake and for a word more or less, and needs no notion of a word, which
languages without spaces do not have.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from teachkit.votes.intervals import wilson
from teachkit.votes.values import NotAnAnswer
from teachkit.votes.values.kind import ValueKind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa

_EDGE = "\x00"


class Text(ValueKind):
    """Texts that are not empty."""

    name: ClassVar[str] = "text"
    noun: ClassVar[str] = "a text"
    sql_type: ClassVar[str] = "VARCHAR"
    metrics: ClassVar[tuple[str, ...]] = ("exact_match", "low", "high", "token_f1", "closeness")

    @property
    def arrow_type(self) -> pa.DataType:
        """UTF-8."""
        import pyarrow as pa

        return pa.string()

    @property
    def posterior_type(self) -> pa.DataType:
        """The different answers, each with its share of the votes, the greatest first."""
        import pyarrow as pa

        return pa.list_(pa.struct([("label", pa.string()), ("share", pa.float64())]))

    def read(self, value: Any, labels: Sequence[str] = ()) -> str | None:
        """A text without white space around it; one of nothing but white space says nothing. A number is a text."""
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            shown = str(value).lower() if isinstance(value, bool) else f"a {type(value).__name__}"
            raise NotAnAnswer(f"is {shown}, which is not a text", "write a text, or null to abstain")
        return str(value).strip() or None

    def takes(self, sql_type: str) -> bool:
        """All but booleans, lists, structs and the like."""
        nested = sql_type.endswith("]") or sql_type.startswith(("STRUCT", "MAP", "UNION", "BOOLEAN", "BLOB"))
        return not nested

    def schema(self, labels: Sequence[str] = ()) -> dict[str, Any]:
        """A text."""
        return {"type": "string"}

    def same(self, one: Any, other: Any) -> Any:
        """Whether the normalised forms are equal."""
        pairs = zip(one, other, strict=True)
        return np.array([a is not None and b is not None and normalised(a) == normalised(b) for a, b in pairs], bool)

    def distance(self, one: Any, other: Any) -> Any:
        """See the module."""
        return np.array([text_distance(a, b) for a, b in zip(one, other, strict=True)], dtype=np.float64)

    def quality(self, decided: Any, gold: Any) -> dict[str, Any]:
        """Share of exact matches with its Wilson interval, mean token F1, mean closeness (1 minus distance).

        All are over all items with gold: one without a label counts as wrong.
        """
        known = np.flatnonzero(~self.missing(gold))
        pairs = [(decided[i], gold[i]) for i in known if decided[i] is not None]
        n, labeled = len(known), len(pairs)
        if not n:
            return {"n": 0, "labeled": 0, **dict.fromkeys(self.metrics)}
        right = sum(normalised(a) == normalised(b) for a, b in pairs)
        low, high = wilson(right, n) or (None, None)
        return {
            "n": n,
            "labeled": labeled,
            "exact_match": right / n,
            "low": low,
            "high": high,
            "token_f1": sum(token_f1(a, b) for a, b in pairs) / n,
            "closeness": sum(1 - text_distance(a, b) for a, b in pairs) / n,
        }

    def summary(self, decided: Any) -> Mapping[str, float | None]:
        """How many different labels there are, and how long they are in the mean."""
        there = [d for d in decided if d is not None]
        length = sum(map(len, there)) / len(there) if there else None
        return {"distinct": float(len({normalised(d) for d in there})), "length": length}


@lru_cache(maxsize=1 << 16)
def normalised(text: str) -> str:
    """A text as it counts: NFKC, case-folded, without punctuation, with single spaces.

    Of a text that holds punctuation alone nothing would be left: it counts as it is.
    """
    plain = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    kept = "".join(" " if unicodedata.category(c)[0] in "PZC" else c for c in plain)
    return " ".join(kept.split()) or " ".join(plain.split())


@lru_cache(maxsize=1 << 16)
def _pairs(text: str) -> Counter[str]:
    marked = _EDGE + normalised(text) + _EDGE
    return Counter(marked[i : i + 2] for i in range(len(marked) - 1))


@lru_cache(maxsize=1 << 16)
def text_distance(one: str, other: str) -> float:
    """How far two answers are from each other, 0 to 1; see the module."""
    if normalised(one) == normalised(other):
        return 0.0
    return 1.0 - _dice(_pairs(one), _pairs(other))


def token_f1(one: str, other: str) -> float:
    """F1 of the words of the normalised forms, each counted as often as it stands there."""
    return _dice(Counter(normalised(one).split()), Counter(normalised(other).split()))


def _dice(one: Counter[str], other: Counter[str]) -> float:
    both = one.total() + other.total()
    return 2 * (one & other).total() / both if both else 1.0
