"""Analysis of labeling functions, with the terms that users of Snorkel know."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from teachkit.votes.answers import Answers
from teachkit.votes.counting import judge, tally, tally_matrix
from teachkit.votes.intervals import wilson
from teachkit.votes.votes import MOST_LABELS, Votes, as_matrix

if TYPE_CHECKING:
    from collections.abc import Sequence


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


def analyze(votes: Any, gold: Any | None = None, *, voters: Sequence[str] | None = None) -> list[VoterAnalysis]:
    """Analyze every voter.

    Args:
        votes: ``Votes``, or a matrix of integers [N, V], -1 for abstain (fastest in rows, as numpy lays them out).
        gold: Codes [N], -1 where unknown.
        voters: Names [V] for a matrix.

    Raises:
        ValueError: the matrix is none of votes; gold or names do not fit it.
    """
    if isinstance(votes, Votes):
        counts, seen = tally(votes.indptr, votes.voter, votes.code, votes.counts, len(votes.voters), votes.n_labels)
        if gold is not None:
            judge(votes.indptr, votes.voter, votes.code, votes.pattern_of, _truth(gold, votes.n_items), counts)
        return _analyses(votes.voters, votes.n_items, counts, seen)
    matrix = as_matrix(votes)
    names = [f"voter_{i}" for i in range(matrix.shape[1])] if voters is None else [str(name) for name in voters]
    if len(names) != matrix.shape[1]:
        raise ValueError(f"{len(names)} names for {matrix.shape[1]} voters")
    counts, seen, least = tally_matrix(matrix, None if gold is None else _truth(gold, len(matrix)))
    if least < -1 or seen.shape[1] > MOST_LABELS:
        raise ValueError(f"codes of votes are -1 for an abstention, and 0 to {MOST_LABELS - 1:,}")
    return _analyses(names, len(matrix), counts, seen)


def _analyses(names: Sequence[str], n: int, counts: Any, seen: Any) -> list[VoterAnalysis]:
    return [
        _analysis(name, n, tuple(np.flatnonzero(labels).tolist()), *found)
        for name, labels, found in zip(names, seen, counts.T.tolist(), strict=True)
    ]


def _analysis(
    name: str, n: int, polarity: tuple[int, ...], voted: int, overlap: int, conflict: int, judged: int, right: int
) -> VoterAnalysis:
    low, high = wilson(right, judged) or (None, None)
    return VoterAnalysis(
        name,
        polarity,
        voted,
        _share(voted, n) or 0.0,
        _share(overlap, n) or 0.0,
        _share(conflict, n) or 0.0,
        _share(overlap, voted),
        _share(conflict, voted),
        right,
        judged - right,
        _share(right, judged),
        low,
        high,
    )


def conflict_rate(votes: Votes | Answers) -> float:
    """The share of items on which voters disagree."""
    if isinstance(votes, Answers):
        return float(votes.conflicting.mean()) if votes.n_items else 0.0
    return overview(votes)[2]


def overview(votes: Votes, threads: int = 1) -> tuple[Any, Any, float]:
    """Votes of each voter [V], whether it gives each label [V, K], and the share of items on which voters disagree."""
    said, differing = votes.said(threads)
    return said.sum(axis=1), said > 0, differing / votes.n_items if votes.n_items else 0.0


def polarities(votes: Votes) -> list[tuple[int, ...]]:
    """The labels that each voter votes for."""
    return [tuple(np.flatnonzero(row).tolist()) for row in overview(votes)[1]]


def _truth(gold: Any, n: int) -> Any:
    """Gold as codes [N], -1 where unknown."""
    codes = np.asarray(gold)
    if codes.size and codes.dtype.kind not in "iub":
        raise ValueError(f"gold has integers, -1 where it is unknown, not {codes.dtype}")
    if codes.shape != (n,):
        raise ValueError(f"gold has {codes.size} codes for {n} items")
    return codes.astype(np.int64)


def _share(part: float, whole: float) -> float | None:
    return float(part / whole) if whole else None
