"""The compiled loops that count over rows of votes: who says what, agrees with whom, shares items with whom.

Rows are ``indptr``, ``voter`` and ``code`` as in ``patterns``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from teachkit.votes.jit import jit
from teachkit.votes.parts import in_parts
from teachkit.votes.patterns import BLOCK, entries_of

_MASK = 62  # labels that fit in the bits of one number
_MOST = 32_766


def said_by(
    indptr: Any, voter: Any, code: Any, counts: Any, n_voters: int, n_labels: int, threads: int = 1
) -> tuple[Any, int]:
    """How often each voter gives each label [V, K], and on how many items votes differ.

    ``counts`` is [P], how often each row occurs.
    """

    def one(start: int, stop: int) -> tuple[Any, int]:
        said = np.zeros((n_voters, n_labels), dtype=np.int64)
        return said, _said_by(start, stop, indptr, voter, code, counts, said)

    said, differing = zip(*in_parts(one, len(counts), threads), strict=True)
    return np.sum(said, axis=0), sum(differing)


@jit
def _said_by(
    start: int, stop: int, indptr: Any, voter: Any, code: Any, counts: Any, said: Any
) -> int:  # pragma: no cover - compiled
    differing = 0
    for p in range(start, stop):
        times, changes = counts[p], 0
        for i in entries_of(indptr, p):
            said[np.uint64(voter[i]), np.uint64(code[i])] += times
            changes |= code[i] ^ code[np.uint64(indptr[p])]
        differing += times if changes else 0
    return differing


def tally(indptr: Any, voter: Any, code: Any, counts: Any, n_voters: int, n_labels: int) -> tuple[Any, Any]:
    """Count what the analysis of labeling functions needs, in one pass over rows of votes.

    Args:
        indptr: [P + 1].
        voter: [nnz].
        code: [nnz].
        counts: [P] how often each row occurs.
        n_voters: V.
        n_labels: K.

    Returns:
        numbers [5, V] of the rows on which each voter votes, it and another vote, it votes and votes differ (the last
        two are for ``judge``); whether each voter gives each label [V, K].
    """
    found, seen = np.zeros((5, n_voters), dtype=np.int64), np.zeros((n_voters, n_labels), dtype=np.bool_)
    _tally(indptr, voter, code, counts, found, seen)
    return found, seen


@jit
def _tally(
    indptr: Any, voter: Any, code: Any, counts: Any, found: Any, seen: Any
) -> None:  # pragma: no cover - compiled
    for p in range(len(counts)):
        times, many = counts[p], indptr[p + 1] - indptr[p]
        low, high = np.int16(32767), np.int16(-1)
        for i in entries_of(indptr, p):
            low, high = min(low, code[i]), max(high, code[i])
        for i in entries_of(indptr, p):
            v = np.uint64(voter[i])
            seen[v, np.uint64(code[i])] = True
            found[0, v] += times
            found[1, v] += times if many > 1 else 0
            found[2, v] += times if low < high else 0


def judge(indptr: Any, voter: Any, code: Any, row_of: Any, truth: Any, counts: Any) -> None:
    """Add to rows 3 and 4 of ``counts`` each voter's votes on items with a known truth, and those that are right.

    ``row_of`` [N] is the row of each item's votes, ``truth`` [N] (int64) its label, -1 where it is unknown.
    """
    _judge(indptr, voter, code, row_of, truth, counts)


@jit
def _judge(
    indptr: Any, voter: Any, code: Any, row_of: Any, truth: Any, counts: Any
) -> None:  # pragma: no cover - compiled
    for item in range(len(truth)):
        if truth[item] >= 0:
            for i in range(indptr[row_of[item]], indptr[row_of[item] + 1]):
                counts[3, voter[i]] += 1
                counts[4, voter[i]] += code[i] == truth[item]


def tally_matrix(matrix: Any, truth: Any | None) -> tuple[Any, Any, int]:
    """``tally`` and ``judge`` of a matrix of integers [N, V], -1 for abstain, as it lies in memory.

    ``truth`` is [N] (int64, -1 unknown) or None. Returns counts [5, V], whether each voter gives each label [V, K], and
    the least number of the matrix; no code is above 32,766, or the result means nothing (K is then more).
    """
    voters = matrix.shape[1]
    counts, masks = np.zeros((5, voters), dtype=np.int64), np.zeros(voters, dtype=np.int64)
    given = np.zeros(0, dtype=np.int64) if truth is None else truth
    seen = np.zeros((voters, 0), dtype=np.bool_)
    least, greatest = -1, -1
    for start in range(0, len(matrix), BLOCK):
        block = np.ascontiguousarray(matrix[start : start + BLOCK])
        low, high = _tally_block(block, given[start : start + BLOCK], counts)
        least, greatest = min(least, int(low)), max(greatest, int(high))
        if least < -1 or greatest > _MOST:
            break
        if greatest < _MASK:
            _mask(block, masks)
        else:
            seen = np.pad(seen, ((0, 0), (0, max(0, greatest + 1 - seen.shape[1]))))
            _seen(block, seen)
    known = (masks[:, None] >> np.arange(_MASK) & 1).astype(bool)
    labels = greatest + 1
    out = np.zeros((voters, labels), dtype=bool)
    for found in (known[:, :labels], seen[:, :labels]):
        out[:, : found.shape[1]] |= found
    return counts, out, least


@jit
def _mask(block: Any, masks: Any) -> None:  # pragma: no cover - compiled
    """A bit in ``masks`` [V] for each label below ``_MASK`` that a voter gives; the lowest is that of silence."""
    for i in range(len(block)):
        for v in range(block.shape[1]):
            masks[v] |= (np.int64(1) << (np.int64(block[i, v]) + 1)) >> 1


@jit
def _seen(block: Any, seen: Any) -> None:  # pragma: no cover - compiled
    for i in range(len(block)):
        for v in range(block.shape[1]):
            if block[i, v] >= 0:
                seen[v, block[i, v]] = True


@jit
def _tally_block(block: Any, truth: Any, counts: Any) -> tuple[Any, Any]:  # pragma: no cover - compiled
    """Add a block's counts; three go in one number while it lasts, so that a vote is one addition without a branch."""
    voters = block.shape[1]
    spoken, judged = np.zeros(voters, dtype=np.int64), np.zeros(voters, dtype=np.int64)
    least, greatest = np.int64(-1), np.int64(-1)
    for i in range(len(block)):
        votes, high, low = np.int64(0), np.int64(-1), np.int64(_MOST + 1)
        for v in range(voters):
            c = np.int64(block[i, v])
            votes += np.int64(c >= 0)
            high = max(high, c)
            least = min(least, c)
            low = min(low, c if c >= 0 else np.int64(_MOST + 1))
        greatest = max(greatest, high)
        says = np.int64(1) + (np.int64(votes > 1) << 20) + (np.int64(low < high) << 40)
        for v in range(voters):
            spoken[v] += says if block[i, v] >= 0 else np.int64(0)
        if len(truth) and truth[i] >= 0:
            for v in range(voters):
                c = np.int64(block[i, v])
                judged[v] += (np.int64(1) if c >= 0 else np.int64(0)) + (
                    np.int64(1) << 20 if c == truth[i] else np.int64(0)
                )
    ones = (np.int64(1) << 20) - 1
    for v in range(voters):
        counts[0, v] += spoken[v] & ones
        counts[1, v] += (spoken[v] >> 20) & ones
        counts[2, v] += spoken[v] >> 40
        counts[3, v] += judged[v] & ones
        counts[4, v] += judged[v] >> 20
    return least, greatest


def coincidences(indptr: Any, code: Any, weight: Any, n_labels: int) -> tuple[Any, Any, float]:
    """Pairs of votes on the same row.

    Returns:
        Krippendorff's coincidences [K, K] (a row of n votes adds its n(n-1) ordered pairs, each 1/(n-1)), the number of
        votes for each label [K] and the sum over rows of the share of equal pairs; all weighted by ``weight`` [P] and
        over rows with two votes or more.
    """
    pairs, votes = np.zeros((n_labels, n_labels)), np.zeros(n_labels)
    return pairs, votes, float(_coincidences(indptr, code, weight, np.zeros(n_labels), pairs, votes))


@jit
def _coincidences(
    indptr: Any, code: Any, weight: Any, counts: Any, pairs: Any, votes: Any
) -> float:  # pragma: no cover - compiled
    agreed = 0.0
    for p in range(len(indptr) - 1):
        start, stop = indptr[p], indptr[p + 1]
        n = stop - start
        if n < 2 or weight[p] == 0.0:
            continue
        for i in range(start, stop):
            counts[code[i]] += 1.0
        equal = 0.0
        for i in range(start, stop):
            a = code[i]
            if counts[a] == 0.0:  # seen already
                continue
            equal += counts[a] * (counts[a] - 1.0)
            votes[a] += weight[p] * counts[a]
            pairs[a, a] += weight[p] * counts[a] * (counts[a] - 1.0) / (n - 1)
            for j in range(i + 1, stop):
                b = code[j]
                if b != a and counts[b] > 0.0:
                    pairs[a, b] += weight[p] * counts[a] / (n - 1)
                    pairs[b, a] += weight[p] * counts[a] / (n - 1)
            counts[a] = 0.0
        agreed += weight[p] * equal / (n * (n - 1))
    return agreed


def company(indptr: Any, voter: Any, n_voters: int) -> tuple[Any, Any]:
    """With whom voters share rows.

    Returns:
        for each voter [V], how many others (0, 1, or 2 for two or more); the group [V] of voters that are connected by
        rows that they share, named by its first voter.
    """
    others, group = np.zeros(n_voters, dtype=np.int64), np.arange(n_voters)
    _company(indptr, voter, np.full(n_voters, -1), others, group)
    return others, group


@jit
def _root(group: Any, v: Any) -> Any:  # pragma: no cover - compiled
    """Whose name the group of ``v`` has; the way there is halved for whoever asks next (as R. E. Tarjan's find)."""
    while group[v] != v:
        group[v] = group[group[v]]
        v = group[v]
    return v


@jit
def _company(indptr: Any, voter: Any, first: Any, others: Any, group: Any) -> None:  # pragma: no cover - compiled
    for p in range(len(indptr) - 1):
        if p % 4096 == 4095:  # where all is known that is asked, the other rows say nothing more
            known = True
            for u in range(len(group)):
                known = known and _root(group, u) == 0 and others[u] == 2
            if known:
                break
        start, stop = indptr[p], indptr[p + 1]
        for i in range(start, stop):
            v = np.int64(voter[i])
            if stop - start > 2:
                others[v] = 2
            elif stop - start == 2 and others[v] < 2:
                other = np.int64(voter[start]) + np.int64(voter[start + 1]) - v
                if first[v] != other:
                    others[v] += 1
                    first[v] = other
            a, b = _root(group, np.int64(voter[start])), _root(group, v)
            if a < b:
                group[b] = a
            else:
                group[a] = b
    for u in range(len(group)):  # a group's name is less than those of its members
        group[u] = group[group[u]]
