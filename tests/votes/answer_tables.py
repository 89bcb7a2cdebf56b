"""Answers for property tests, and how they are told apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from hypothesis import strategies as st

from teachkit.votes import Answers
from teachkit.votes.values import value_kind

if TYPE_CHECKING:
    from collections.abc import Sequence

NUMBERS = st.integers(-40, 40).map(lambda x: x / 4)
TEXTS = st.sampled_from(["Köln", "köln ", "Koeln", "Bonn", "Bad Honnef", "bad-honnef", "東京", "?!", "a"])
ORDERS = st.lists(st.sampled_from(["a", "b", "ç", "東京"]), min_size=1, unique=True).map(tuple)


def _apart(found: list[tuple[int, int, str]]) -> tuple[tuple[int, int, str], ...]:
    kept: list[tuple[int, int, str]] = []
    for span in sorted(found):
        if not kept or span[0] >= kept[-1][1]:
            kept.append(span)
    return tuple(kept)


PLACES = st.tuples(st.integers(0, 12), st.integers(1, 5), st.sampled_from(["a", "ü"]))
SPANS = st.lists(PLACES.map(lambda p: (p[0], p[0] + p[1], p[2])), max_size=3).map(_apart)
VALUES: dict[str, st.SearchStrategy[Any]] = {"number": NUMBERS, "text": TEXTS, "span": SPANS, "ranking": ORDERS}


@st.composite
def tables(draw: Any, kind: str, *, most_items: int = 8, most_voters: int = 5) -> list[list[Any]]:
    """What each voter [V] says of each item [N], None where it is silent; of some voters and items, or none."""
    n, v = draw(st.integers(0, most_items)), draw(st.integers(0, most_voters))
    said = st.none() | VALUES[kind]
    return [draw(st.lists(said, min_size=n, max_size=n)) for _ in range(v)]


def answers(kind: str, table: Sequence[Sequence[Any]], voters: Sequence[str] = (), n_items: int = 0) -> Answers:
    """Answers from what each voter says."""
    about = value_kind(kind)
    names = voters or [f"v{number}" for number in range(len(table))]
    size = len(table[0]) if table else n_items
    return Answers.from_columns(kind, names, [about.made(column) for column in table], size)


def plain(values: Any, kind: str) -> list[Any]:
    """Labels as plain values, None where there are none."""
    about = value_kind(kind)
    return [None if none else v for v, none in zip(values, about.missing(values), strict=True)]


def close(one: Any, other: Any) -> bool:
    """Whether two arrays of numbers are the same but for last bits; NaN is NaN."""
    return bool(np.allclose(np.asarray(one, float), np.asarray(other, float), rtol=1e-6, atol=1e-6, equal_nan=True))
