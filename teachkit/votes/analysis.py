"""Analysis of labeling functions, with the terms that users of Snorkel know."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from teachkit.votes.intervals import wilson

if TYPE_CHECKING:
    from teachkit.votes.votes import Votes


@dataclass(frozen=True, slots=True)
class VoterAnalysis:
    """One voter: shares are of all items, except ``*_of_votes``, which are of the items that it votes on.

    ``accuracy`` is over its votes on items with gold, None if there are none; ``low`` and ``high`` its Wilson interval.
    """

    voter: str
    polarity: tuple[int, ...]
    votes: int
    coverage: float
    overlaps: float
    conflicts: float
    overlaps_of_votes: float | None
    conflicts_of_votes: float | None
    correct: int
    incorrect: int
    accuracy: float | None
    low: float | None
    high: float | None

    def as_dict(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


def analyze(votes: Votes, gold: Any | None = None) -> list[VoterAnalysis]:
    """Analyze every voter; ``gold`` are codes [N], -1 where unknown."""
    pattern, per = votes.entry_pattern, votes.votes_per_pattern
    weight = votes.counts[pattern]
    n, size = votes.n_items, len(votes.voters)
    several = per[pattern] > 1
    low = np.full(votes.n_patterns, np.iinfo(np.int16).max, dtype=np.int16)
    high = np.full(votes.n_patterns, -1, dtype=np.int16)
    np.minimum.at(low, pattern, votes.code)
    np.maximum.at(high, pattern, votes.code)
    differ = (low != high)[pattern]
    voted = _sum(votes.voter, weight, size)
    overlap = _sum(votes.voter, weight * several, size)
    conflict = _sum(votes.voter, weight * differ, size)
    right, judged = _against_gold(votes, gold, size)
    out = []
    for v, name in enumerate(votes.voters):
        polarity = tuple(int(c) for c in np.unique(votes.code[votes.voter == v]))
        interval = wilson(right[v], judged[v])
        out.append(
            VoterAnalysis(
                name,
                polarity,
                int(voted[v]),
                _share(voted[v], n) or 0.0,
                _share(overlap[v], n) or 0.0,
                _share(conflict[v], n) or 0.0,
                _share(overlap[v], voted[v]),
                _share(conflict[v], voted[v]),
                int(right[v]),
                int(judged[v] - right[v]),
                _share(right[v], judged[v]),
                interval[0] if interval else None,
                interval[1] if interval else None,
            )
        )
    return out


def conflict_rate(votes: Votes) -> float:
    """The share of items on which voters disagree."""
    if votes.n_items == 0:
        return 0.0
    low = np.full(votes.n_patterns, np.iinfo(np.int16).max, dtype=np.int16)
    high = np.full(votes.n_patterns, -1, dtype=np.int16)
    np.minimum.at(low, votes.entry_pattern, votes.code)
    np.maximum.at(high, votes.entry_pattern, votes.code)
    return float(votes.counts[(high >= 0) & (low != high)].sum() / votes.n_items)


def _against_gold(votes: Votes, gold: Any | None, size: int) -> tuple[Any, Any]:
    right, judged = np.zeros(size, np.int64), np.zeros(size, np.int64)
    if gold is None:
        return right, judged
    for label in np.unique(gold[gold >= 0]):
        known = np.bincount(votes.pattern_of[gold == label], minlength=votes.n_patterns)[votes.entry_pattern]
        judged += _sum(votes.voter, known, size)
        right += _sum(votes.voter, known * (votes.code == label), size)
    return right, judged


def _sum(index: Any, weight: Any, size: int) -> Any:
    return np.bincount(index, weights=weight.astype(np.float64), minlength=size).astype(np.int64)


def _share(part: float, whole: float) -> float | None:
    return float(part / whole) if whole else None
