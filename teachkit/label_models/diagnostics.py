"""What a fit can be doubted for: voters that the votes cannot judge, conflict, labels moved against majority."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from teachkit.label_models.base import Learned, decide
from teachkit.label_models.kernels import rights, worth
from teachkit.votes.analysis import conflict_rate, polarities
from teachkit.votes.intervals import wilson

if TYPE_CHECKING:
    from teachkit.votes import Votes


def identifiability(votes: Votes, informative: Any) -> dict[str, Any]:
    """Which voters the votes cannot judge, and why; how many groups of voters share no item with each other.

    The accuracy of a voter is known only against others: two at least, on the same items. A voter of one label whose
    silence is ``at_random`` says the same whatever the label. ``informative`` is [V].
    """
    from teachkit.votes.patterns import company

    others, group = company(votes.indptr, votes.voter, len(votes.voters))
    labels = polarities(votes)
    weak = {}
    for v, name in enumerate(votes.voters):
        if not labels[v]:
            weak[name] = "no votes"
        elif others[v] < 2:
            weak[name] = f"shares items with {('no other voter', 'one other voter')[others[v]]}"
        elif len(labels[v]) == 1 and not informative[v] and votes.n_labels > 1:
            weak[name] = "votes for one label only, and its silence is at random"
    spoke = np.array([bool(found) for found in labels], dtype=bool)
    return {"weak_voters": weak, "groups": len(np.unique(group[spoke])), "conflict_rate": conflict_rate(votes)}


def flips(majority: Any, posterior: Any, votes: Votes, prior: Any) -> int:
    """How many items have another label than by ``majority`` [P] (codes), where both have one."""
    mine = decide(posterior, votes.votes_per_pattern, prior, "abstain")
    return int(votes.counts[(majority >= 0) & (mine >= 0) & (majority != mine)].sum())


def learned(votes: Votes, weight: Any, posterior: Any, sums: Any) -> list[Learned]:
    """How often each voter is right, by the posteriors [P, K] and their ``sums`` [V, K codes, K].

    The interval is Wilson's for as many trials as the votes are worth (see ``kernels.worth``): what not knowing the
    labels costs is taken off. It takes other voters as they are; ``bootstrap`` does not.
    """
    right, total, _ = rights(sums)
    share = np.minimum(right / np.where(total > 0, total, 1.0), 1.0)
    below, above = worth(votes.indptr, votes.voter, votes.code, weight, posterior, share)
    return [_learned(*found) for found in zip(votes.voters, share, total, below, above, strict=True)]


def _learned(voter: str, share: float, total: float, below: float, above: float) -> Learned:
    if total <= 0:
        return Learned(voter, None, None, None, None)
    share = float(share)
    low, _ = wilson(share * float(below), float(below)) or (0.0, 1.0)
    _, high = wilson(share * float(above), float(above)) or (0.0, 1.0)
    known = max(below, above) if min(below, above) == 0 else min(below, above)  # 0: the end of the scale is within
    return Learned(voter, share, low, high, None, worth=float(known), votes=float(total))
