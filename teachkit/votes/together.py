"""On how many items two voters say what: counts of pairs of outcomes.

An outcome is a voter and a label, V K in all; its number is that of ``row_of``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from teachkit.votes.jit import jit
from teachkit.votes.packing import bits_set
from teachkit.votes.parts import in_parts
from teachkit.votes.patterns import entries_of, row_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from teachkit.votes.votes import Votes

_CACHE, _WORDS = 4_096, 32
"""Words of 64 patterns that fit in the processor's nearest cache; so many of one outcome are looked at at a time."""
_AT_ONCE = 4
"""So many pairs of words are compared in the time that it takes to count one pair of votes."""


def outcomes_together(votes: Votes, threads: int = 1) -> Any:
    """On how many items voter u says c and voter v says d [V K, V K]; on the diagonal, how often u says c."""
    size, each = len(votes.voters) * votes.n_labels, votes.votes_per_pattern
    planes = _planes(votes.counts)
    pairs = sum(-(-len(patterns) // 64) for patterns in planes) * size * (size + 1)
    if pairs <= _AT_ONCE * int((each * (each + 1)).sum()):
        both = _by_bits(votes, size, planes, threads)
    else:
        both = _by_votes(votes, size, threads)
    return both + np.tril(both, -1).T


def _planes(counts: Any) -> list[Any]:
    """For each bit, the patterns whose count has it."""
    several = np.flatnonzero(counts > 1)
    more = counts[several]
    higher = [several[(more >> bit & 1) > 0] for bit in range(1, int(more.max(initial=0)).bit_length())]
    return [np.flatnonzero(counts & 1), *higher]


def _by_bits(votes: Votes, size: int, planes: Sequence[Any], threads: int) -> Any:
    """All outcomes of 64 patterns at once, half of them."""
    total = np.zeros(size * size, dtype=np.int64)
    width = max(4, min(_WORDS, _CACHE // max(size, 1)))
    for bit, patterns in enumerate(planes):

        def one(start: int, stop: int, patterns: Any = patterns) -> Any:
            out, table = np.zeros(size * size, dtype=np.int64), np.empty((size, width), dtype=np.uint64)
            rows = votes.indptr, votes.voter, votes.code
            _compare(patterns[start:stop], *rows, votes.n_labels, table, out)
            return out

        for found in in_parts(one, len(patterns), threads):
            total += found << bit
    return total.reshape(size, size)


def _by_votes(votes: Votes, size: int, threads: int) -> Any:
    """From vote to vote; the same half."""

    def one(start: int, stop: int) -> Any:
        out, here = np.zeros(size * size, dtype=np.int64), np.empty(size, dtype=np.uint64)
        _count(start, stop, votes.indptr, votes.voter, votes.code, votes.counts, votes.n_labels, here, out)
        return out

    return np.sum(in_parts(one, votes.n_patterns, threads), axis=0).reshape(size, size)


@jit
def _compare(
    patterns: Any, indptr: Any, voter: Any, code: Any, labels: int, table: Any, out: Any
) -> None:  # pragma: no cover - compiled
    """Pairs of outcomes of some patterns, added to ``out`` (flat), on the diagonal of [V K, V K] or below it.

    ``table`` is a place to work in: a bit for each outcome and pattern.
    """
    size, width = np.uint64(table.shape[0]), np.uint64(table.shape[1])
    many = np.uint64(len(patterns))
    for begin in range(np.uint64(0), many, np.uint64(64) * width):
        for a in range(size):
            for w in range(width):
                table[a, w] = 0
        for n in range(min(np.uint64(64) * width, many - begin)):
            word, bit = n >> np.uint64(6), np.uint64(1) << (n & np.uint64(63))
            for i in entries_of(indptr, patterns[begin + n]):
                table[row_of(voter[i], code[i], labels), word] |= bit
        for a in range(size):
            for b in range(a + np.uint64(1)):
                found = np.uint64(0)
                for w in range(width):
                    found += bits_set(table[a, w] & table[b, w])
                out[a * size + b] += np.int64(found)


@jit
def _count(
    start: int, stop: int, indptr: Any, voter: Any, code: Any, counts: Any, labels: int, here: Any, out: Any
) -> None:  # pragma: no cover - compiled
    """The same of patterns start..stop, from vote to vote; ``here`` [V K] is a place to work in."""
    size = np.uint64(len(here))
    for p in range(start, stop):
        many = np.uint64(0)
        for i in entries_of(indptr, p):
            here[many] = row_of(voter[i], code[i], labels)
            many += np.uint64(1)
        for i in range(many):
            row = here[i] * size
            for j in range(i + np.uint64(1)):
                out[row + here[j]] += counts[p]
