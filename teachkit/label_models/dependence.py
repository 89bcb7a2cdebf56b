"""Voters that say the same for another reason than the label: copies, near-copies, one prompt in three wordings.

A label model that takes them for independent counts one opinion thrice. Each voter's evidence is therefore weighed by
1 / (1 + sum of its dependence on others), so that copies count together as one voter.

For two voters that use several labels, dependence is the agreement beyond chance (Cohen's kappa) that their
reliabilities do not explain: of conditionally independent voters kappa is nearly a product r_u r_v, as the agreement of
each with third parties shows (the rank-one structure of Dawid-Skene's second moments: Jaffe, Nadler, Kluger, AISTATS
2015). For two one-sided voters of the same label it is how much more often they fire on the same items than the
expected labels explain. Both are taken at the lower end of Wilson's interval, so that few shared items show nothing.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from teachkit.votes.jit import jit

if TYPE_CHECKING:
    from teachkit.votes import Votes

MOST_VOTERS = 512
"""Dependence is looked for among so many voters: those with most votes."""
MOST_PAIRS = 200_000_000
"""So many pairs of votes are looked at; beyond, a sample of the patterns chosen by what they say."""
ROUNDS = 20
GRADED, ONE_SIDED = 2.0, 3.0
"""Standard errors of the lower end: where reliabilities are estimated beside, and against expected labels."""
RELIABLE = 0.95
"""The greatest reliability: voters that always agree are copies, not infallible."""


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


def labels_said(votes: Votes) -> Any:
    """How often each voter says each label [V, K]."""
    out = np.zeros((len(votes.voters), votes.n_labels), dtype=np.int64)
    _labels_said(votes.indptr, votes.voter, votes.code, votes.counts, out)
    return out


@jit
def _labels_said(indptr: Any, voter: Any, code: Any, counts: Any, out: Any) -> None:  # pragma: no cover - compiled
    for p in range(len(counts)):
        for i in range(indptr[p], indptr[p + 1]):
            out[voter[i], code[i]] += counts[p]


def pairs_of(votes: Votes, said: Any, threads: int = 1) -> Pairs:
    """Count on how many items two voters both vote, and say the same; ``said`` is ``labels_said(votes)``."""
    per_voter = said.sum(axis=1)
    names = np.argsort(np.array(votes.voters, dtype=object), kind="stable") if len(votes.voters) else np.zeros(0, int)
    ranked = names[np.argsort(-per_voter[names], kind="stable")] if len(votes.voters) else names
    chosen = np.sort(ranked[:MOST_VOTERS][per_voter[ranked[:MOST_VOTERS]] > 0])
    place = np.full(len(votes.voters), -1, dtype=np.int64)
    place[chosen] = np.arange(len(chosen))
    work = float((votes.votes_per_pattern.astype(np.float64) ** 2).sum() / 2)
    step = max(1, int(np.ceil(work / MOST_PAIRS)))
    size, count = len(chosen), votes.n_patterns
    ends = [(count * i // threads, count * (i + 1) // threads) for i in range(threads)]

    def one(ends: tuple[int, int]) -> tuple[Any, Any, int]:
        agreed, shared = np.zeros((size, size), dtype=np.int64), np.zeros((size, size), dtype=np.int64)
        rows = (votes.indptr, votes.voter, votes.code, votes.counts)
        return agreed, shared, _count_pairs(*ends, *rows, place, step, agreed, shared)

    with ThreadPoolExecutor(threads) as pool:
        found = list(pool.map(one, ends)) if threads > 1 else [one(ends[0])]
    agreed, shared = (np.sum([f[i] for f in found], axis=0) for i in (0, 1))  # whole numbers: any order will do
    items = sum(f[2] for f in found)
    scale = items / max(votes.n_items, 1)
    return Pairs(chosen, agreed + agreed.T, shared + shared.T, said[chosen] * scale, float(items))


@jit
def _count_pairs(
    start: int,
    stop: int,
    indptr: Any,
    voter: Any,
    code: Any,
    counts: Any,
    place: Any,
    step: int,
    agreed: Any,
    shared: Any,
) -> int:  # pragma: no cover - compiled
    items = 0
    for p in range(start, stop):
        first, last = indptr[p], indptr[p + 1]
        if step > 1:
            mark = np.uint64(0)
            for i in range(first, last):
                word = (np.uint64(voter[i]) << np.uint64(16)) + np.uint64(code[i]) + np.uint64(1)
                word *= np.uint64(0x9E3779B97F4A7C15)
                mark += word ^ (word >> np.uint64(29))
            if mark % np.uint64(step):
                continue
        items += counts[p]
        for i in range(first, last):
            u = place[voter[i]]
            if u < 0:
                continue
            for j in range(first, i):
                v = place[voter[j]]
                if v >= 0:
                    shared[u, v] += counts[p]
                    if code[i] == code[j]:
                        agreed[u, v] += counts[p]
    return items


def excess_of_graded(pairs: Pairs, one_sided: Any) -> Any:
    """The dependence [V, V] of voters that use several labels; 0 for the others (``one_sided`` [V])."""
    out = np.zeros((len(pairs.chosen), len(pairs.chosen)))
    _graded(pairs.agreed, pairs.shared, pairs.votes, one_sided, out)
    return out


@jit
def _lower(agreed: float, of: float, z: float) -> float:  # pragma: no cover - compiled
    """The lower end of Wilson's interval of a share."""
    if of <= 0.0:
        return 0.0
    p = min(agreed / of, 1.0)
    middle = p + z * z / (2.0 * of)
    wide = z * np.sqrt(p * (1.0 - p) / of + z * z / (4.0 * of * of))
    return float(max((middle - wide) / (1.0 + z * z / of), 0.0))


@jit
def _graded(agreed: Any, shared: Any, votes: Any, one_sided: Any, out: Any) -> None:  # pragma: no cover - compiled
    size, labels = votes.shape
    kappa, low = np.zeros((size, size)), np.zeros((size, size))
    total = np.zeros(size)
    for u in range(size):
        for c in range(labels):
            total[u] += votes[u, c]
    for u in range(size):
        for v in range(size):
            if u == v or one_sided[u] or one_sided[v] or shared[u, v] == 0:
                continue
            chance = 0.0
            for c in range(labels):
                chance += votes[u, c] / total[u] * (votes[v, c] / total[v])
            left = max(1.0 - chance, 1e-9)
            kappa[u, v] = min(max((agreed[u, v] / shared[u, v] - chance) / left, -1.0), 1.0)
            low[u, v] = (_lower(agreed[u, v], shared[u, v], GRADED) - chance) / left
            out[u, v] = max(kappa[u, v], 0.0)
    reliable, found = np.full(size, 0.5), np.zeros(size)
    for _ in range(ROUNDS):
        for u in range(size):
            up, down = 0.0, 0.0
            for v in range(size):
                if kappa[u, v] != 0.0 or low[u, v] != 0.0:
                    weight = shared[u, v] * (1.0 - out[u, v]) ** 2
                    up += weight * kappa[u, v] * reliable[v]
                    down += weight * reliable[v] * reliable[v]
            found[u] = min(max(up / down, 0.02), RELIABLE) if down > 1e-9 else 0.5
        for u in range(size):
            reliable[u] = found[u]  # element by element: a slice would have its error message compiled, for seconds
        for u in range(size):
            for v in range(size):
                if kappa[u, v] != 0.0 or low[u, v] != 0.0:
                    explained = reliable[u] * reliable[v]
                    out[u, v] = min(max((low[u, v] - explained) / (1.0 - explained), 0.0), 1.0)


def excess_of_one_sided(pairs: Pairs, one_sided: Any, chance: Any, mass: Any) -> Any:
    """The dependence [V, V] of voters that each vote for one label (``one_sided`` [V]); 0 for the others.

    ``chance`` [V, K] is P(votes | y), ``mass`` [K] the expected items of each label; both None: nothing is known but
    how often each votes.
    """
    out = np.zeros((len(pairs.chosen), len(pairs.chosen)))
    if chance is None:
        rates = pairs.votes.sum(axis=1) / max(pairs.items, 1.0)
        chance, mass = rates[:, None], np.array([pairs.items])
    _one_sided(pairs.agreed, pairs.votes, one_sided, chance, mass, out)
    return out


@jit
def _one_sided(
    agreed: Any, votes: Any, one_sided: Any, chance: Any, mass: Any, out: Any
) -> None:  # pragma: no cover - compiled
    size, labels = votes.shape
    total = np.zeros(size)
    for u in range(size):
        for c in range(labels):
            total[u] += votes[u, c]
    for u in range(size):
        for v in range(u):
            most = max(total[u], total[v])
            if not (one_sided[u] and one_sided[v]) or agreed[u, v] == 0:
                continue
            expected = 0.0
            for y in range(len(mass)):
                expected += mass[y] * chance[u, y] * chance[v, y]
            expected = min(expected / most, 1.0)
            found = (_lower(agreed[u, v], most, ONE_SIDED) - expected) / max(1.0 - expected, 1e-3)
            out[u, v] = out[v, u] = min(max(found, 0.0), 1.0)


def say_of(pairs: Pairs, voters: int, graded: Any, one_sided: Any, power: float) -> Any:
    """How much each voter's evidence counts [V]: 1 for independent voters, 1/n for each of n copies.

    ``graded`` counts squared, so that much weak dependence (hard items make a whole crowd err together) takes little;
    ``one_sided`` to ``power``.
    """
    out = np.ones(voters)
    _say(graded, one_sided, power, pairs.chosen, out)
    return out


@jit
def _say(graded: Any, one_sided: Any, power: float, chosen: Any, out: Any) -> None:  # pragma: no cover - compiled
    for u in range(len(chosen)):
        total = 1.0
        for v in range(len(chosen)):
            total += graded[u, v] * graded[u, v]
            total += one_sided[u, v] if power == 1.0 else one_sided[u, v] * one_sided[u, v] * one_sided[u, v]
        out[chosen[u]] = 1.0 / total
