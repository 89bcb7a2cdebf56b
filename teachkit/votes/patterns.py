"""The compiled loops that put votes in rows: ordering, taking, joining.

Rows of votes are ``indptr`` [P+1] (int64), ``voter`` [nnz] and ``code`` [nnz] (int16), as in ``Votes``. Patterns come
in order of first occurrence (``folding``), but in blocks with the longest first (``by_length``).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from teachkit.votes.jit import jit
from teachkit.votes.parts import in_parts

BLOCK = 16_384
"""Rows that are packed at a time: the words of a block stay in the processor's cache."""


@jit
def entries_of(indptr: Any, p: int) -> Any:  # pragma: no cover - compiled
    """Where the votes of row ``p`` stand; unsigned, as numba has to look whether a signed index counts from the end."""
    return range(np.uint64(indptr[p]), np.uint64(indptr[np.uint64(p) + np.uint64(1)]))


@jit
def row_of(voter: Any, code: Any, labels: int) -> Any:  # pragma: no cover - compiled
    """The row of a vote in tables [V K, ...]."""
    return np.uint64(labels) * np.uint64(voter) + np.uint64(code)


def numbers_of(voters: int) -> Any:
    """The type of a voter's number: votes are most of what is in memory, so it is a short one if all fit."""
    return np.uint16 if voters <= 65_536 else np.int32


def empty_entries(size: int, numbers: Any) -> tuple[Any, Any]:
    """Places for the voters and the codes of so many votes."""
    return np.empty(size, dtype=numbers), np.empty(size, dtype=np.int16)


def by_length(first: Any, pattern_of: Any, counts: Any, lengths: Any, threads: int = 1) -> tuple[Any, Any, Any]:
    """What ``fold`` found with patterns in another order, in each block those with most votes [P] first.

    A processor guesses how often a loop goes round. It guesses wrong at every pattern that has more or fewer votes than
    the one before, which takes as long as all its votes.
    """
    at = np.zeros(int(lengths.max(initial=0)) + 2, dtype=np.int64)
    moved, often, place = np.empty_like(first), np.empty_like(counts), np.empty(len(first), dtype=np.int32)
    _by_length(lengths, BLOCK, at, first, counts, moved, often, place)
    out = np.empty(len(pattern_of), dtype=np.int64)
    in_parts(lambda start, stop: _renumber(start, stop, place, pattern_of, out), len(out), threads)
    return moved, out, often


@jit
def _by_length(
    lengths: Any, block: int, at: Any, first: Any, counts: Any, moved: Any, often: Any, place: Any
) -> None:  # pragma: no cover - compiled
    """A stable counting sort of each block of ``first`` and ``counts``, to ``moved`` and ``often``.

    New places go to ``place``; ``at`` has room for each length, and one more.
    """
    for start in range(0, len(lengths), block):
        stop = min(start + block, len(lengths))
        most = len(at) - 2
        for n in range(len(at)):
            at[n] = 0
        for p in range(start, stop):
            at[most - lengths[p] + 1] += 1
        for n in range(most + 1):
            at[n + 1] += at[n]
        for p in range(start, stop):
            new = start + at[most - lengths[p]]
            at[most - lengths[p]] += 1
            moved[new], often[new], place[p] = first[p], counts[p], new


@jit
def _renumber(start: int, stop: int, place: Any, pattern_of: Any, out: Any) -> None:  # pragma: no cover - compiled
    for row in range(np.uint64(start), np.uint64(stop)):
        out[row] = place[np.uint64(pattern_of[row])]


def by_item(item: Any, voter: Any, code: Any, n_items: int, n_voters: int) -> tuple[Any, Any, Any]:
    """One entry [M] (int64) for each vote -> rows [n_items]; of two of one voter on one item the last counts."""
    order = np.arange(len(item))
    for key, size in ((voter, n_voters), (item, n_items)):
        place, out = np.zeros(size + 1, dtype=np.int64), np.empty_like(order)
        _sort(key, order, place, out)
        order = out
    indptr, (who, said) = np.zeros(n_items + 1, dtype=np.int64), empty_entries(len(item), numbers_of(n_voters))
    _last(item, voter, code, order, indptr, who, said)
    return indptr, who[: indptr[-1]].copy(), said[: indptr[-1]].copy()


@jit
def _sort(key: Any, order: Any, place: Any, out: Any) -> None:  # pragma: no cover - compiled
    """``order`` by key, stable (counting sort)."""
    for k in key:
        place[k + 1] += 1
    for k in range(len(place) - 1):
        place[k + 1] += place[k]
    for i in order:
        out[place[key[i]]] = i
        place[key[i]] += 1


@jit
def _last(
    item: Any, voter: Any, code: Any, order: Any, indptr: Any, who: Any, said: Any
) -> None:  # pragma: no cover - compiled
    m, kept, i = len(order), 0, 0
    for row in range(len(indptr) - 1):
        while i < m and item[order[i]] == row:
            entry = order[i]
            i += 1
            last = i == m or item[order[i]] != row or voter[order[i]] != voter[entry]
            if last and code[entry] >= 0:
                who[kept] = voter[entry]
                said[kept] = code[entry]
                kept += 1
        indptr[row + 1] = kept


def take(indptr: Any, voter: Any, code: Any, rows: Any) -> tuple[Any, Any, Any]:
    """Some rows of votes, in the order asked for."""
    rows = np.asarray(rows, dtype=np.int64)
    out = np.zeros(len(rows) + 1, dtype=np.int64)
    np.cumsum(indptr[rows + 1] - indptr[rows], out=out[1:])
    who, said = empty_entries(out[-1], voter.dtype)
    _take(indptr, voter, code, rows, who, said)
    return out, who, said


@jit
def _take(indptr: Any, voter: Any, code: Any, rows: Any, who: Any, said: Any) -> None:  # pragma: no cover - compiled
    at = 0
    for p in rows:
        for i in range(indptr[p], indptr[p + 1]):
            who[at] = voter[i]
            said[at] = code[i]
            at += 1


def join(left: tuple[Any, Any, Any], right: tuple[Any, Any, Any], offset: int, n_voters: int) -> tuple[Any, Any, Any]:
    """Rows of two groups of voters side by side, ``n_voters`` in all; the second's numbers are raised by ``offset``."""
    who, said = empty_entries(len(left[1]) + len(right[1]), numbers_of(n_voters))
    _join(*left, *right, offset, who, said)
    return left[0] + right[0], who, said


@jit
def _join(
    indptr: Any, voter: Any, code: Any, indptr2: Any, voter2: Any, code2: Any, offset: int, who: Any, said: Any
) -> None:  # pragma: no cover - compiled
    at = 0
    for p in range(len(indptr) - 1):
        for i in range(indptr[p], indptr[p + 1]):
            who[at] = voter[i]
            said[at] = code[i]
            at += 1
        for i in range(indptr2[p], indptr2[p + 1]):
            who[at] = voter2[i] + offset
            said[at] = code2[i]
            at += 1
