"""Voters that say the same for another reason than the label: copies, near-copies, one prompt in three wordings.

A label model that takes them for independent counts one opinion thrice. Each voter's evidence is therefore weighed by
1 / (1 + sum of its dependence on others), so that copies count together as one voter.

For two voters that use several labels, dependence is the agreement beyond chance (Cohen's kappa) that their
reliabilities do not explain: of conditionally independent voters kappa is nearly a product r_u r_v, as the agreement of
each with third parties shows (the rank-one structure of Dawid-Skene's second moments: Jaffe, Nadler, Kluger, AISTATS
2015). For two one-sided voters of the same label it is how much more often they fire on the same items than the
expected labels explain. Both are taken at the lower end of Wilson's interval, so that few shared items show nothing.

Voters that err alike everywhere, such as wordings of one prompt, cannot be told by their votes from voters that are
right. So those of one source (``kin``) are taken for dependent from the start.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from teachkit.label_models.exact import marks_of_names
from teachkit.label_models.kernels import in_order
from teachkit.votes.jit import jit
from teachkit.votes.parts import in_parts
from teachkit.votes.patterns import entries_of
from teachkit.votes.together import outcomes_together

if TYPE_CHECKING:
    from collections.abc import Callable

    from teachkit.votes import Votes

MOST_VOTERS = 512
"""Dependence is looked for among so many voters: those with most votes."""
MOST_PAIRS = 200_000_000
"""So many pairs of votes are looked at; beyond, a sample of the patterns chosen by what they say."""
MOST_OUTCOMES = 1_024
"""So many voters times labels are counted with each other; beyond, pairs of voters alone are."""
ROUNDS = 20
GRADED, ONE_SIDED = 2.0, 3.0
"""Standard errors of the lower end: where reliabilities are estimated beside, and against expected labels."""
RELIABLE = 0.95
"""The greatest reliability: voters that always agree are copies, not infallible."""
KIN = 0.7
"""How dependent voters of one source are taken to be, where votes do not show more: any number of them say as much as
two (1 / 0.7^2) that are independent."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """Pairs of V voters: ``agreed`` and ``shared`` [V, V] items, ``votes`` [V, K] by label, of N items in all.

    ``chosen`` [V] are their numbers.
    """

    chosen: Any
    agreed: Any
    shared: Any
    votes: Any
    items: float


def pairs_of(votes: Votes, said: Any, threads: int = 1) -> Pairs:
    """Count on how many items two voters both vote, and say the same; ``said`` [V, K] is how often each says what."""
    per_voter = said.sum(axis=1)
    names = np.argsort(np.array(votes.voters, dtype=object), kind="stable") if len(votes.voters) else np.zeros(0, int)
    ranked = names[np.argsort(-per_voter[names], kind="stable")] if len(votes.voters) else names
    chosen = np.sort(ranked[:MOST_VOTERS][per_voter[ranked[:MOST_VOTERS]] > 0])
    place = np.full(len(votes.voters), -1, dtype=np.int64)
    place[chosen] = np.arange(len(chosen))
    work = float((votes.votes_per_pattern.astype(np.float64) ** 2).sum() / 2)
    step = max(1, int(np.ceil(work / MOST_PAIRS)))
    if step == 1 and len(votes.voters) * votes.n_labels <= MOST_OUTCOMES:
        agreed, shared, items = _of_outcomes(votes, chosen, threads)
    else:
        agreed, shared, items = _of_pairs(votes, place, step, threads)
    scale = items / max(votes.n_items, 1)
    return Pairs(chosen, agreed, shared, said[chosen] * scale, float(items))


def _of_outcomes(votes: Votes, chosen: Any, threads: int) -> tuple[Any, Any, int]:
    """``agreed`` and ``shared`` of some voters, from how often all say what together, and the items."""
    voters, labels = len(votes.voters), votes.n_labels
    both = outcomes_together(votes, threads).reshape(voters, labels, voters, labels)
    agreed, shared = np.einsum("ucvc->uv", both), both.sum(axis=(1, 3))
    for found in (agreed, shared):
        np.fill_diagonal(found, 0)
    within = np.ix_(chosen, chosen)
    return agreed[within], shared[within], int(votes.counts.sum())


def _of_pairs(votes: Votes, place: Any, step: int, threads: int) -> tuple[Any, Any, int]:
    """The same, of a sample of the patterns if ``step`` is above 1; ``place`` [V] is that of a voter, or -1."""
    marks, size = marks_of_names(votes.voters if step > 1 else ()), int(place.max(initial=-1)) + 1

    def one(start: int, stop: int) -> tuple[Any, Any, int]:
        agreed, shared = np.zeros(size * size, dtype=np.int64), np.zeros(size * size, dtype=np.int64)
        rows = (votes.indptr, votes.voter, votes.code, votes.counts)
        who, said = np.empty(size, dtype=np.uint64), np.empty(size, dtype=np.int64)
        items = _count_pairs(start, stop, *rows, place, marks, step, who, said, agreed, shared)
        return agreed.reshape(size, size), shared.reshape(size, size), items

    found = in_parts(one, votes.n_patterns, threads)
    agreed, shared = (np.sum([f[i] for f in found], axis=0) for i in (0, 1))
    return agreed + agreed.T, shared + shared.T, sum(f[2] for f in found)


@jit
def _count_pairs(
    start: int,
    stop: int,
    indptr: Any,
    voter: Any,
    code: Any,
    counts: Any,
    place: Any,
    marks: Any,
    step: int,
    who: Any,
    said: Any,
    agreed: Any,
    shared: Any,
) -> int:  # pragma: no cover - compiled
    """``agreed`` and ``shared`` are flat, and get the pairs below the diagonal of [V, V].

    ``who`` and ``said`` [V] are places to work in.
    """
    items, size = 0, np.uint64(len(who))
    for p in range(start, stop):
        if step > 1:
            mark = np.uint64(0)
            for i in entries_of(indptr, p):
                word = (marks[np.uint64(voter[i])] + np.uint64(code[i]) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
                mark += word ^ (word >> np.uint64(29))
            if mark % np.uint64(step):
                continue
        times = counts[p]
        items += times
        many = np.uint64(0)
        for i in entries_of(indptr, p):
            u = place[np.uint64(voter[i])]
            if u >= 0:
                who[many], said[many] = np.uint64(u), np.int64(code[i])
                many += np.uint64(1)
        for i in range(many):
            row = who[i] * size
            for j in range(i):
                shared[row + who[j]] += times
                agreed[row + who[j]] += times if said[i] == said[j] else np.int64(0)
    return items


def excess_of_graded(pairs: Pairs, one_sided: Any) -> Any:
    """The dependence [V, V] of voters that use several labels; 0 for the others (``one_sided`` [V])."""
    total, shared = np.maximum(pairs.votes.sum(axis=1), 1), pairs.shared
    together = (shared > 0) & ~one_sided[:, None] & ~one_sided[None, :]
    np.fill_diagonal(together, val=False)
    chance = _sum_of(lambda c: np.outer(pairs.votes[:, c] / total, pairs.votes[:, c] / total), pairs.votes.shape[1])
    left, weight = np.maximum(1.0 - chance, 1e-9), np.where(together, shared, 0).astype(np.float64)
    kappa = np.where(together, np.clip((pairs.agreed / np.maximum(shared, 1) - chance) / left, -1.0, 1.0), 0.0)
    low = (_lower(pairs.agreed, shared, GRADED) - chance) / left
    reliable, excess = np.full(len(total), 0.5), np.maximum(kappa, 0.0)
    for _ in range(ROUNDS):  # each pair says the less of its voters the more it depends
        trust = weight * (1.0 - excess) ** 2
        up, down = (in_order(trust * factor) for factor in (kappa * reliable, (reliable * reliable)[None, :]))
        reliable = np.where(down > 1e-9, np.clip(up / np.maximum(down, 1e-9), 0.02, RELIABLE), 0.5)
        explained = np.outer(reliable, reliable)
        excess = np.where(together, np.clip((low - explained) / (1.0 - explained), 0.0, 1.0), 0.0)
    return excess


def excess_of_one_sided(pairs: Pairs, one_sided: Any, chance: Any, mass: Any) -> Any:
    """The dependence [V, V] of voters that each vote for one label (``one_sided`` [V]); 0 for the others.

    ``chance`` [V, K] is P(votes | y), ``mass`` [K] the expected items of each label; both None: nothing is known but
    how often each votes.
    """
    total = pairs.votes.sum(axis=1).astype(np.float64)
    if chance is None:
        chance, mass = (total / max(pairs.items, 1.0))[:, None], np.array([pairs.items])
    most = np.maximum(np.maximum(total[:, None], total[None, :]), 1.0)
    both = one_sided[:, None] & one_sided[None, :] & (pairs.agreed > 0)
    np.fill_diagonal(both, val=False)
    expected = _sum_of(lambda y: mass[y] * np.outer(chance[:, y], chance[:, y]), len(mass))
    expected = np.minimum(expected / most, 1.0)
    found = (_lower(pairs.agreed, most, ONE_SIDED) - expected) / np.maximum(1.0 - expected, 1e-3)
    return np.where(both, np.clip(found, 0.0, 1.0), 0.0)


def excess_of_kin(pairs: Pairs, kin: Any) -> Any:
    """The squared dependence [V, V] of voters of one source, as far as they share items.

    ``kin`` [V] is the number of each voter's source, -1 for one that has its own.
    """
    mine, total = kin[pairs.chosen], np.maximum(pairs.votes.sum(axis=1), 1)
    same = (mine[:, None] == mine[None, :]) & (mine >= 0)[:, None]
    np.fill_diagonal(same, val=False)
    return np.where(same, KIN * KIN * np.minimum(pairs.shared / total[:, None], 1.0), 0.0)


def say_of(pairs: Pairs, voters: int, graded: Any, one_sided: Any, kin: Any, power: float) -> Any:
    """How much each voter's evidence counts [V]: 1 for independent voters, 1/n for each of n copies.

    ``graded`` counts squared, so that much weak dependence (hard items make a whole crowd err together) takes little;
    ``one_sided`` to ``power``, 1 or 3; ``kin``, from ``excess_of_kin``, where it is more than both.
    """
    out = np.ones(voters)
    other = one_sided if power == 1.0 else one_sided * one_sided * one_sided
    out[pairs.chosen] = 1.0 / (1.0 + in_order(np.maximum(graded * graded + other, kin)))
    return out


def _lower(agreed: Any, of: Any, z: float) -> Any:
    """The lower end of Wilson's interval of a share; 0 of nothing."""
    n = np.maximum(of, 1)
    p = np.minimum(agreed / n, 1.0)
    wide = z * np.sqrt(p * (1.0 - p) / n + z * z / (4.0 * n * n))
    return np.where(of > 0, np.maximum((p + z * z / (2.0 * n) - wide) / (1.0 + z * z / n), 0.0), 0.0)


def _sum_of(term: Callable[[int], Any], count: int) -> Any:
    """term(0) + term(1) + ..., in this order."""
    found = term(0)
    for index in range(1, count):
        found = found + term(index)
    return found
