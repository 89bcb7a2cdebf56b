"""Made texts with known spans, and voters that mark them with errors of every sort."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from teachkit.votes import Answers
from teachkit.votes.values.span import figures

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Marker:
    """How a voter marks: the share of spans that it finds, how often its ends or label are wrong, what it invents.

    ``narrow`` is how often it marks a part of a span alone; ``invents`` is for each item.
    """

    finds: float = 0.8
    narrow: float = 0.0
    shifted: float = 0.0
    confuses: float = 0.0
    invents: float = 0.0
    reads_all: bool = False


LABELS = ("a", "b", "c")


def truth(random: np.random.Generator, items: int, labels: int = 2) -> list[tuple[Any, ...]]:
    """Up to five spans of 1 to 4 words of 5 characters, in texts of 40 words."""
    out = []
    for _ in range(items):
        spans, word = [], int(random.integers(0, 6))
        for _ in range(int(random.integers(0, 6))):
            length = int(random.integers(1, 5))
            spans.append((word * 5, (word + length) * 5 - 1, LABELS[int(random.integers(labels))]))
            word += length + int(random.integers(2, 5))
        out.append(tuple(spans))
    return out


def marked(random: np.random.Generator, spans: Sequence[Any], how: Marker, labels: int = 2) -> Any:
    found = []
    for start, end, name in spans:
        if random.random() > how.finds:
            continue
        words = (end + 1 - start) // 5
        if words > 1 and random.random() < how.narrow:
            first = int(random.integers(words))
            start, end = start + first * 5, start + first * 5 + 4
        elif random.random() < how.shifted:
            end += 5 * (1 if random.random() < 0.5 or words == 1 else -1)
        if labels > 1 and random.random() < how.confuses:
            name = LABELS[(LABELS.index(name) + 1) % labels]
        found.append((start, end, name))
    if random.random() < how.invents:
        start = 5 * int(random.integers(40))
        if all(e <= start or start + 4 <= s for s, e, _ in found):
            found.append((start, start + 4, LABELS[int(random.integers(labels))]))
    kept: list[Any] = []
    for span in sorted(found):
        if not kept or span[0] >= kept[-1][1]:
            kept.append(span)
    return tuple(kept) if kept or how.reads_all else None


def world(seed: int, markers: Sequence[Marker], *, items: int = 200, labels: int = 2) -> tuple[Answers, Any, Any]:
    """Answers, the truth, and what silence says by voter."""
    random = np.random.default_rng(seed)
    true = truth(random, items, labels)
    names = [f"v{i}" for i in range(len(markers))]
    columns = []
    for how in markers:
        column = np.full(items, None, dtype=object)
        for i, spans in enumerate(true):
            column[i] = marked(random, spans, how, labels)
        columns.append(column)
    policies = {n: "informative" if m.reads_all else "at_random" for n, m in zip(names, markers, strict=True)}
    return Answers.from_columns("span", names, columns, items), true, policies


def f1(found: Any, true: Any) -> float:
    return float(figures([(x or (), t) for x, t in zip(found, true, strict=True)])["f1"] or 0.0)


WORLDS = {
    "rules, some know parts": [
        Marker(0.5), Marker(0.6, narrow=0.5), Marker(0.4, narrow=0.9), Marker(0.3, invents=0.2),
        Marker(0.5, shifted=0.1),
    ],
    "rules, one marks too much": [
        Marker(0.6), Marker(0.5), Marker(0.7, shifted=0.8), Marker(0.5, invents=0.1), Marker(0.4)
    ],
    "five people": [Marker(0.85, shifted=0.15, confuses=0.05, invents=0.2, reads_all=True)] * 5,
    "three people and a spammer": [
        *[Marker(0.85, shifted=0.15, reads_all=True)] * 3, Marker(0.1, invents=1.0, reads_all=True)
    ],
    "people and rules": [
        Marker(0.8, shifted=0.2, reads_all=True), Marker(0.8, shifted=0.2, reads_all=True),
        Marker(0.4), Marker(0.5, narrow=0.5), Marker(0.3, confuses=0.5)
    ],
    "copies": [Marker(0.6, narrow=0.7)] + [Marker(0.6)] * 3,
}  # fmt: skip
"""Worlds by name."""
