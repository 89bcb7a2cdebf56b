"""Whose fault an error of a label set is: of nobody who voted, of voters, of the label model, or of gold.

An error is an item whose label is not its gold. Exactly one of these holds:

- ``uncovered``: no voter voted;
- ``wrong``: voters voted, none of them for gold;
- ``outvoted``: a voter voted for gold, and the label model went elsewhere;
- ``gold``: what would be one of the last two, but many reliable and independent voters agree against gold, the
  posterior is sure of it, and no reliable voter says what gold says.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from teachkit.votes.votes import Votes

FAULTS = ("uncovered", "wrong", "outvoted", "gold")
RELIABLE = 0.8
"""From this precision on a voter is reliable: four of five of its votes for the label are right."""
JUDGED = 5
"""So many other votes on gold tell a voter's precision; with fewer, what the label model has learned does."""
INDEPENDENT = 3
"""So many voters, near-copies of each other counted once, have to agree against gold."""
SURE = 0.95
"""The least posterior of the label that stands against suspicious gold."""
NEAR_COPY = 0.9
"""Two voters are near-copies if both say so much of what either says: the share of their votes taken together."""
_DENSE = 50_000_000  # voters times patterns up to which near-copies are looked for


@dataclass(frozen=True, slots=True)
class Errors:
    """The E errors of one label set, folded into G groups of items with the same votes, gold and label.

    ``rows`` [E] and the group of each ``group_of`` [E]; of a group ``pattern``, ``judge`` (which fit decided),
    ``gold``, ``label`` (-1: without one), ``fault``, an index in ``FAULTS``, and ``against`` [G]: the label that stands
    against gold, which is ``label`` or, if there is none, the likeliest other one. ``votes`` has the groups as its
    patterns.
    """

    votes: Votes
    rows: Any
    group_of: Any
    pattern: Any
    judge: Any
    gold: Any
    label: Any
    against: Any
    fault: Any

    @property
    def counts(self) -> Any:
        """Items of each group [G]."""
        return np.bincount(self.group_of, minlength=len(self.pattern))


def find_errors(
    votes: Votes,
    gold: Any,
    decided: Any,
    posterior: Any,
    wrong: Any,
    learned: Sequence[float | None],
    judge: Any | None = None,
) -> Errors:
    """Fold the errors and say whose fault each is.

    Args:
        votes: All votes, V voters on N items.
        gold: Codes [N], -1 unknown.
        decided: Codes of the label set [N], -1 without a label.
        posterior: What the label model believes [N, K].
        wrong: Which items are errors [N]; they have gold.
        learned: What the label model believes of each voter's precision [V].
        judge: Which of several fits decided each item [N], a number from 0 on; default: one did.
    """
    rows = np.flatnonzero(wrong)
    decider = np.zeros(len(rows), dtype=np.int64) if judge is None else judge[rows]
    k, fits = votes.n_labels + 1, int(decider.max(initial=0)) + 1
    code = ((votes.pattern_of[rows].astype(np.int64) * fits + decider) * k + gold[rows]) * k + decided[rows] + 1
    found, first, group_of = np.unique(code, return_index=True, return_inverse=True)
    judged, of_gold, label = found // (k * k), found // k % k, found % k - 1
    pattern = judged // fits
    folded = votes.regrouped(pattern, group_of.ravel())
    shares = posterior[rows[first]].copy()
    shares[np.arange(len(found)), of_gold] = -1.0
    against = np.where(label >= 0, label, np.nan_to_num(shares, nan=-1.0).argmax(axis=1))
    sure = shares[np.arange(len(found)), against]
    fault = _faults(votes, folded, gold, of_gold, label, sure, learned)
    return Errors(folded, rows, group_of.ravel(), pattern, judged % fits, of_gold, label, against, fault)


def _faults(
    votes: Votes, folded: Votes, gold: Any, of_gold: Any, label: Any, sure: Any, learned: Sequence[float | None]
) -> Any:
    group = folded.entry_pattern
    for_gold = folded.code == of_gold[group]
    n_right = np.bincount(group[for_gold], minlength=len(of_gold))
    fault = np.where(folded.votes_per_pattern == 0, 0, np.where(n_right == 0, 1, 2))
    if not len(fault):
        return fault
    reliable = _reliable(votes, folded, gold, for_gold, learned)
    believes_gold = np.bincount(group[for_gold & reliable], minlength=len(fault)) > 0
    for_label = np.flatnonzero(reliable & (folded.code == label[group]))
    suspicious = (sure >= SURE) & ~believes_gold & (label >= 0)
    for_label = for_label[suspicious[group[for_label]]]
    suspicious &= np.bincount(group[for_label], minlength=len(fault)) >= INDEPENDENT
    for_label = for_label[suspicious[group[for_label]]]
    if len(for_label):
        copies = near_copies(votes, np.unique(folded.voter[for_label]))
        pairs = np.unique(group[for_label].astype(np.int64) * len(votes.voters) + copies[folded.voter[for_label]])
        suspicious &= np.bincount(pairs // len(votes.voters), minlength=len(fault)) >= INDEPENDENT
    return np.where(suspicious, FAULTS.index("gold"), fault)


def _reliable(votes: Votes, folded: Votes, gold: Any, for_gold: Any, learned: Sequence[float | None]) -> Any:
    """Whether the voter of each entry is reliable in what it says there, by gold of other items."""
    right, judged = right_votes(votes, gold)
    others = judged[folded.voter, folded.code] - 1
    hits = right[folded.voter, folded.code] - for_gold
    believed = np.array([np.nan if share is None else share for share in learned], dtype=np.float64)
    by_gold = hits >= RELIABLE * others
    return np.where(others >= JUDGED, by_gold, believed[folded.voter] >= RELIABLE)


def right_votes(votes: Votes, gold: Any) -> tuple[Any, Any]:
    """How many votes of each voter for each label are right, and how many are on items with gold [V, K]."""
    known = np.flatnonzero(gold >= 0)
    k, size = votes.n_labels, len(votes.voters)
    pairs, counts = np.unique(votes.pattern_of[known].astype(np.int64) * k + gold[known], return_counts=True)
    judged = votes.regrouped(pairs // k, np.zeros(0, np.int64))
    place = judged.voter.astype(np.int64) * k + judged.code
    weight = counts[judged.entry_pattern].astype(np.float64)
    hit = judged.code == (pairs % k)[judged.entry_pattern]
    every = np.bincount(place, weights=weight, minlength=size * k)
    right = np.bincount(place, weights=weight * hit, minlength=size * k)
    return right.reshape(size, k).astype(np.int64), every.reshape(size, k).astype(np.int64)


def near_copies(votes: Votes, among: Any) -> Any:
    """For each voter [V] the first of its near-copies ``among`` some voters (ascending), itself if it has none.

    Not looked for where there are so many voters and patterns that they are surely people.
    """
    group, size = np.arange(len(votes.voters)), len(among)
    if size < 2 or size * votes.n_patterns > _DENSE:
        return group
    said = np.full((size, votes.n_patterns), -1, dtype=np.int16)
    place = np.full(len(votes.voters), -1)
    place[among] = np.arange(size)
    mine = place[votes.voter] >= 0
    said[place[votes.voter[mine]], votes.entry_pattern[mine]] = votes.code[mine]
    total = [int(votes.counts[row >= 0].sum()) for row in said]
    for second in range(size):
        for first in range(second):
            both = (said[first] >= 0) & (said[second] >= 0)
            same = int(votes.counts[both & (said[first] == said[second])].sum())
            either = total[first] + total[second] - int(votes.counts[both].sum())
            if same and same >= NEAR_COPY * either:
                group[among[second]] = group[among[first]]
                break
    return group
