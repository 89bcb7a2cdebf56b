"""Pairs of voters: how often the one says i where the other says j."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from teachkit.votes.agreement import NO_UNIT, Agreement, kappa_of_table
from teachkit.votes.jit import jit
from teachkit.votes.patterns import numbers_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from teachkit.votes.votes import Votes

MOST_VOTERS = 200
"""Pairs are looked at of so many voters: those with most votes."""
MOST_CELLS = 10_000_000
"""So many numbers the tables of all pairs may have; many labels leave room for fewer voters."""


@dataclass(frozen=True, slots=True)
class PairTables:
    """``tables`` [V, V, K, K]: on how many items voter u says i and voter v says j; ``votes`` [V].

    ``chosen`` [V] are the numbers of the voters, those with most votes.
    """

    chosen: Any
    tables: Any
    votes: Any

    @property
    def shared(self) -> Any:
        """On how many items both vote [V, V]."""
        return self.tables.sum(axis=(2, 3))

    @property
    def agreed(self) -> Any:
        """On how many items both say the same [V, V]."""
        return np.trace(self.tables, axis1=2, axis2=3)

    def kappa(self, u: int, v: int, *, weights: str | None = None) -> Agreement:
        """Cohen's kappa of two voters."""
        return kappa_of_table(self.tables[u, v], weights=weights)


def pair_tables(votes: Votes) -> PairTables:
    """Tables of all pairs of voters that voted, in one pass over patterns; of ``MOST_VOTERS`` at most."""
    total = np.bincount(votes.voter, weights=votes.counts[votes.entry_pattern], minlength=len(votes.voters))
    most = max(2, min(MOST_VOTERS, int((MOST_CELLS / votes.n_labels**2) ** 0.5)))
    wanted = np.flatnonzero(total > 0)
    chosen = np.sort(wanted[np.argsort(-total[wanted], kind="stable")[:most]])
    place = np.full(len(votes.voters), -1, dtype=np.int64)
    place[chosen] = np.arange(len(chosen))
    tables = np.zeros((len(chosen), len(chosen), votes.n_labels, votes.n_labels), dtype=np.int64)
    _fill(votes.indptr, votes.voter, votes.code, votes.counts, place, tables)
    return PairTables(chosen, tables, total[chosen].astype(np.int64))


def left_out(votes: Votes, tables: PairTables) -> str:
    """What ``tables`` lack, in words; empty if it has every voter that voted."""
    voted = len(np.unique(votes.voter))
    return f"the {len(tables.chosen)} of {voted:,} voters with most votes" if voted > len(tables.chosen) else ""


def agreed_with(votes: Votes, among: Any) -> tuple[Any, Any]:
    """With how many votes of others each voter shares an item, and how many of these are equal [V], [V].

    Only votes of the voters of a mask [V] count, and only they get figures.
    """
    mine = np.asarray(among)[votes.voter]
    pattern, code, who = votes.entry_pattern[mine], votes.code[mine], votes.voter[mine]
    _, inverse, equal = np.unique(pattern * votes.n_labels + code, return_inverse=True, return_counts=True)
    every = np.bincount(pattern, minlength=votes.n_patterns)
    weight = votes.counts[pattern]
    size = len(votes.voters)
    others = np.bincount(who, weights=weight * (every[pattern] - 1), minlength=size)
    same = np.bincount(who, weights=weight * (equal[inverse] - 1), minlength=size)
    return others.astype(np.int64), same.astype(np.int64)


def mean_kappa(votes: Votes, *, weights: str | None = None) -> Agreement:
    """Cohen's kappa of all pairs of voters, the mean weighted by the units that they share (after Light 1971).

    ``n`` is the number of units with two votes. Pairs whose kappa is undefined do not count, nor voters beyond
    ``MOST_VOTERS``.
    """
    tables, total, weight, reason = pair_tables(votes), 0.0, 0, NO_UNIT
    for u in range(len(tables.chosen)):
        for v in range(u):
            found = tables.kappa(u, v, weights=weights)
            if found.value is not None:
                total, weight = total + found.value * found.n, weight + found.n
            elif found.n:
                reason = found.reason
    units = int(votes.counts[votes.votes_per_pattern >= 2].sum())
    return Agreement(total / weight, units) if weight else Agreement(None, units, reason=reason)


@jit
def _fill(
    indptr: Any, voter: Any, code: Any, counts: Any, place: Any, tables: Any
) -> None:  # pragma: no cover - compiled
    for p in range(len(counts)):
        for i in range(indptr[p], indptr[p + 1]):
            u = place[voter[i]]
            if u < 0:
                continue
            for j in range(indptr[p], i):
                v = place[voter[j]]
                if v >= 0:
                    tables[u, v, code[i], code[j]] += counts[p]
                    tables[v, u, code[j], code[i]] += counts[p]


def without(votes: Votes, left_out: Any) -> Votes:
    """The same votes, with the voters of a mask [V] silent; patterns that are then equal are one."""
    from teachkit.votes.folding import fold_rows

    silent = votes.keeping(~np.asarray(left_out)[votes.voter])
    first, new, _ = fold_rows(silent.indptr, silent.voter, silent.code)
    return silent.regrouped(first, new[votes.pattern_of].astype(np.int64))


def dropped(votes: Votes, left_out: Any) -> Votes:
    """The same votes without the voters of a mask [V]."""
    from dataclasses import replace

    left_out = np.asarray(left_out)
    number = np.cumsum(~left_out) - 1
    silent = without(votes, left_out)
    names = tuple(name for name, out in zip(votes.voters, left_out, strict=True) if not out)
    return replace(silent, voters=names, voter=number[silent.voter].astype(silent.voter.dtype))


def votes_by_voter(groups: Sequence[Votes]) -> dict[str, int]:
    """How many votes each voter has, all in all."""
    total: dict[str, int] = {}
    for votes in groups:
        per = np.bincount(votes.voter, weights=votes.counts[votes.entry_pattern], minlength=len(votes.voters))
        for name, n in zip(votes.voters, per.tolist(), strict=True):
            total[name] = total.get(name, 0) + int(n)
    return total


def stacked(groups: Sequence[Votes]) -> Votes:
    """Votes of several labels as votes on pairs of an item and a label; voters are joined by name."""
    from teachkit.votes.votes import Votes

    voters = tuple(dict.fromkeys(name for votes in groups for name in votes.voters))
    number = {name: i for i, name in enumerate(voters)}
    ends, start, indptr = 0, 0, [np.zeros(1, dtype=np.int64)]
    who, pattern_of = [], []
    for votes in groups:
        who.append(np.array([number[name] for name in votes.voters], dtype=numbers_of(len(voters)))[votes.voter])
        indptr.append(votes.indptr[1:] + ends)
        pattern_of.append(votes.pattern_of + start)
        ends, start = ends + len(votes.voter), start + votes.n_patterns
    return Votes(
        voters,
        max(votes.n_labels for votes in groups),
        np.concatenate(indptr),
        np.concatenate(who),
        np.concatenate([votes.code for votes in groups]),
        np.concatenate([votes.counts for votes in groups]),
        np.concatenate(pattern_of),
    )
