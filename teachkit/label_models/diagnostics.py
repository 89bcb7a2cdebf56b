"""What a fit can be doubted for: voters that the votes cannot judge, conflict, labels moved against majority."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from teachkit.label_models.base import Learned
from teachkit.label_models.kernels import rights, signatures
from teachkit.votes.analysis import overview
from teachkit.votes.intervals import wilson

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from teachkit.label_models.sweep import Sweep
    from teachkit.votes import Votes


ENOUGH = 3
"""Voters that it takes to judge each of them, without gold."""
CHANCE = 10
"""Equal votes that make a copy."""
NAMED = 5
NO_VOTES = "no votes"
MANY, MOVED = 50, 0.01
"""After so many steps a fit has settled that changes by no more than this, whatever its own tolerance: models that end
after a few do so on purpose."""


def identifiability(votes: Votes, informative: Any, threads: int = 1) -> dict[str, Any]:
    """Which voters the votes cannot judge, and why, and what else the votes leave open.

    The accuracy of a voter is known only against others: two at least, on the same items. A voter of one label whose
    silence is ``at_random`` says the same whatever the label. ``informative`` is [V].

    Returns:
        ``weak_voters``, from voter to reason; ``groups`` of voters that share no item with each other, how many;
        ``copies``, from voter to the first that says the same everywhere; ``rare_labels``, pairs of a label and how
        many voters give it, if fewer than three that are no copies do; ``most_votes`` on one item; ``conflict_rate``.
        ``doubts`` says it in sentences.
    """
    from teachkit.votes.counting import company

    others, group = company(votes.indptr, votes.voter, len(votes.voters))
    said, labels, conflict = overview(votes, threads)
    weak = {}
    for v, name in enumerate(votes.voters):
        if not labels[v].any():
            weak[name] = NO_VOTES
        elif others[v] < 2:
            weak[name] = f"shares items with {('no other voter', 'one other voter')[others[v]]}"
        elif labels[v].sum() == 1 and not informative[v] and votes.n_labels > 1:
            weak[name] = "votes for one label only, and its silence is at random"
    copies = _copies(votes, said, threads)
    givers = labels[[name not in copies for name in votes.voters]].sum(axis=0)
    return {
        "weak_voters": weak,
        "groups": len(np.unique(group[said > 0])),
        "copies": copies,
        "rare_labels": [[int(k), int(givers[k])] for k in np.flatnonzero(givers < ENOUGH)],
        "most_votes": int(votes.votes_per_pattern[votes.counts > 0].max(initial=0)),
        "conflict_rate": conflict,
    }


def _copies(votes: Votes, said: Any, threads: int) -> dict[str, str]:
    """From voter to the first, by name, that says the same everywhere; few votes are equal by chance."""
    marks = signatures(votes.indptr, votes.voter, votes.code, votes.counts, len(votes.voters), threads)
    first: dict[int, str] = {}
    copies = {}
    for name, mark, count in sorted(zip(votes.voters, marks.tolist(), said.tolist(), strict=True)):
        if count >= CHANCE and first.setdefault(mark, name) != name:
            copies[name] = first[mark]
    return copies


def doubts(diagnostics: Mapping[str, Any], labels: Sequence[str | None]) -> list[str]:
    """What a fit can be doubted for, in sentences; ``labels`` [K] are their names, None for one of no concern."""
    out = []
    if diagnostics.get("fallback"):
        out.append(f"The fit was not believed, and all voters count alike: {diagnostics['fallback']}.")
    most, groups = diagnostics.get("most_votes", ENOUGH), diagnostics.get("groups", 1)
    if most < 2:
        out.append("No item has two votes: nothing tells how often any voter is right.")
    elif most < ENOUGH:
        out.append("No item has three votes: of two voters that disagree, nothing tells which is right.")
    if groups > 1:
        out.append(f"The voters fall into {groups} groups that share no item: nothing compares one group with another.")
    for count, who in enumerate(("Nobody votes", "Only one voter votes", "Only two voters vote")):
        rare = [labels[code] for code, givers in diagnostics.get("rare_labels", ()) if givers == count]
        names = [name for name in rare if name is not None]
        why = "no item can be found to have it" if not count else "it takes three to tell how often each is right"
        if names:
            out.append(f"{who} for {_listed(names)}: {why}.")
    copies: dict[str, list[str]] = {}
    for copy, of in diagnostics.get("copies", {}).items():
        copies.setdefault(of, []).append(copy)
    out += [f"The same as {_listed([of])} says everywhere: {_listed(names)}." for of, names in copies.items()]
    reasons: dict[str, list[str]] = {}
    for voter, reason in diagnostics.get("weak_voters", {}).items():
        reasons.setdefault(reason, []).append(voter)
    out += [f"Votes cannot judge {_listed(names)}: {reason}." for reason, names in reasons.items()]
    steps, change = diagnostics.get("iterations", 0), diagnostics.get("max_change") or 0.0
    if diagnostics.get("converged") is False and steps >= MANY and change > MOVED:
        out.append(f"The fit has not settled after {steps} steps: by the last it still changed by {change:.2g}.")
    return out


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(f"'{name}'" for name in names[:NAMED]) + more


def flips(majority: Any, sweep: Sweep) -> int:
    """How many items have another label by the posteriors than by ``majority`` [P] (codes), where both have one."""
    mine = sweep.decided()
    return int(sweep.votes.counts[(majority >= 0) & (mine >= 0) & (majority != mine)].sum())


def learned(sweep: Sweep) -> list[Learned]:
    """How often each voter is right, by the sweep's posteriors and their sums.

    The interval is Wilson's for as many trials as the votes are worth (see ``worth_kernels``): what not knowing the
    labels costs is taken off. It takes other voters as they are; ``bootstrap`` does not.
    """
    right, total, _ = rights(sweep.sums)
    share = np.minimum(right / np.where(total > 0, total, 1.0), 1.0)
    below, above = sweep.worth(share)
    return [_learned(*found) for found in zip(sweep.votes.voters, share, total, below, above, strict=True)]


def _learned(voter: str, share: float, total: float, below: float, above: float) -> Learned:
    if total <= 0:
        return Learned(voter, None, None, None, None)
    share = float(share)
    low, _ = wilson(share * float(below), float(below)) or (0.0, 1.0)
    _, high = wilson(share * float(above), float(above)) or (0.0, 1.0)
    known = max(below, above) if min(below, above) == 0 else min(below, above)  # 0: the end of the scale is within
    return Learned(voter, share, low, high, None, worth=float(known), votes=float(total))
