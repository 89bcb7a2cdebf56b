"""Analysis of labeling functions, with the terms that users of Snorkel know."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from teachkit.votes.answers import Answers
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
    voted = _sum(votes.voter, weight, size)
    overlap = _sum(votes.voter, weight * (per > 1)[pattern], size)
    conflict = _sum(votes.voter, weight * _differ(votes)[pattern], size)
    right, judged = _against_gold(votes, gold, size)
    out = []
    for v, (name, polarity) in enumerate(zip(votes.voters, polarities(votes), strict=True)):
        low, high = wilson(right[v], judged[v]) or (None, None)
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
                low,
                high,
            )
        )
    return out


def conflict_rate(votes: Votes | Answers) -> float:
    """The share of items on which voters disagree."""
    if isinstance(votes, Answers):
        return float(votes.conflicting.mean()) if votes.n_items else 0.0
    return float(votes.counts[_differ(votes)].sum() / votes.n_items) if votes.n_items else 0.0


def polarities(votes: Votes) -> list[tuple[int, ...]]:
    """The labels that each voter votes for."""
    k = votes.n_labels
    found = np.bincount(votes.voter.astype(np.int64) * k + votes.code, minlength=len(votes.voters) * k)
    return [tuple(np.flatnonzero(row).tolist()) for row in found.reshape(-1, k)]


def _differ(votes: Votes) -> Any:
    """Whether the votes of a pattern are not all equal [P]."""
    out = np.zeros(votes.n_patterns, dtype=bool)
    voted = np.flatnonzero(votes.votes_per_pattern)
    starts = votes.indptr[voted]
    if len(voted):
        out[voted] = np.minimum.reduceat(votes.code, starts) != np.maximum.reduceat(votes.code, starts)
    return out


def _against_gold(votes: Votes, gold: Any | None, size: int) -> tuple[Any, Any]:
    """Right votes and votes of each voter [V] on items with gold."""
    if gold is None:
        return np.zeros(size, np.int64), np.zeros(size, np.int64)
    gold = np.asarray(gold, dtype=np.int64)
    if gold.shape != (votes.n_items,):
        raise ValueError(f"gold has {gold.size} codes for {votes.n_items} items")
    known = np.flatnonzero(gold >= 0)
    k = max(votes.n_labels, int(gold.max(initial=0)) + 1)
    pairs, counts = np.unique(votes.pattern_of[known] * k + gold[known], return_counts=True)
    judged = votes.regrouped(pairs // k, np.zeros(0, np.int64))
    pattern = judged.entry_pattern
    right = counts[pattern] * (judged.code == (pairs % k)[pattern])
    return _sum(judged.voter, right, size), _sum(judged.voter, counts[pattern], size)


def _sum(index: Any, weight: Any, size: int) -> Any:
    return np.bincount(index, weights=weight.astype(np.float64), minlength=size).astype(np.int64)


def _share(part: float, whole: float) -> float | None:
    return float(part / whole) if whole else None
