"""Folding: which rows of votes are the same, found out by hashes in the processor's cache."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from teachkit.votes.jit import jit
from teachkit.votes.parts import in_parts
from teachkit.votes.patterns import BLOCK, entries_of

if TYPE_CHECKING:
    from collections.abc import Callable


def fold(words: Any, threads: int = 1) -> tuple[Any, Any, Any]:
    """Rows of 64-bit words [N, W] -> (first row of each pattern [P], pattern of each row [N], counts [P]).

    The first two are int32, the last int64.
    """
    return _folded(len(words), partial(_hash_words, words), partial(_are_words, words), threads)


def fold_rows(indptr: Any, voter: Any, code: Any, threads: int = 1) -> tuple[Any, Any, Any]:
    """``fold`` of rows of votes."""
    rows = indptr, voter, code
    return _folded(len(indptr) - 1, partial(_hash_rows, *rows), partial(_are_rows, *rows), threads)


def _folded(rows: int, hash_of: Callable[..., None], are: Callable[..., bool], threads: int) -> tuple[Any, Any, Any]:
    """What ``fold`` gives.

    ``hash_of(seed, hashes, start, stop)`` writes the hashes of some rows, ``are(first, pattern_of, start, stop)`` says
    whether some rows equal the first row of their pattern. Where hashes alone are equal, another seed is tried.
    """
    seed, hashes = 0, np.empty(rows, dtype=np.uint64)
    while True:
        in_parts(partial(hash_of, np.uint64(seed), hashes), rows, threads)
        first, pattern_of, counts = _numbered(hashes, threads)
        if all(in_parts(partial(are, first, pattern_of), rows, threads)):
            return first, pattern_of, counts
        seed += 1


def _numbered(hashes: Any, threads: int) -> tuple[Any, Any, Any]:
    """What ``fold`` gives, of rows that are equal if their hashes [N] are.

    First each block, whose table stays in the processor's cache; then the rows that lead there, dealt out by the first
    bits of their hashes, so that their tables do, too.
    """
    leader = np.empty(len(hashes), dtype=np.int32)

    def near(start: int, stop: int) -> int:
        return _lead_near(start, stop, BLOCK, hashes, _table(BLOCK), leader)

    many = sum(in_parts(near, len(hashes), threads))
    bits = (many // BLOCK).bit_length()
    ends, rows, keys = np.zeros((1 << bits) + 2, np.int64), np.empty(many, np.int32), np.empty(many, np.uint64)
    _deal(hashes, leader, bits, ends, rows, keys)
    most = int(np.diff(ends).max())

    def far(start: int, stop: int) -> None:
        _lead_far(start, stop, ends, rows, keys, _table(most), np.empty(most, dtype=np.int32), leader)

    in_parts(far, 1 << bits, threads, least=2)
    first, counts = rows, np.zeros(many, dtype=np.int64)
    found = _number(leader, first, counts)
    return first[:found], leader, counts[:found]


def _table(rows: int) -> Any:
    """A hash table of which so many rows fill at most half."""
    return np.empty(1 << max(4, (2 * rows - 1).bit_length()), dtype=np.int32)


@jit
def _mix(h: Any, word: Any) -> Any:  # pragma: no cover - compiled
    h = (h ^ word) * np.uint64(0x9E3779B97F4A7C15)
    return h ^ (h >> np.uint64(29))


@jit
def _hash_words(words: Any, seed: Any, out: Any, start: int, stop: int) -> None:  # pragma: no cover - compiled
    for row in range(start, stop):
        h = _mix(np.uint64(14695981039346656037), seed)
        for w in range(words.shape[1]):
            h = _mix(h, words[row, w])
        out[row] = _mix(h, np.uint64(words.shape[1]))  # once more, so that the last word's high bits count


@jit
def _hash_rows(
    indptr: Any, voter: Any, code: Any, seed: Any, out: Any, start: int, stop: int
) -> None:  # pragma: no cover - compiled
    for row in range(start, stop):
        h = _mix(np.uint64(14695981039346656037), seed)
        for i in entries_of(indptr, row):
            h = _mix(h, (np.uint64(voter[i]) << np.uint64(16)) | np.uint64(code[i]))
        out[row] = _mix(h, np.uint64(indptr[row + 1] - indptr[row]))


@jit
def _are_words(words: Any, first: Any, pattern_of: Any, start: int, stop: int) -> bool:  # pragma: no cover - compiled
    for row in range(start, stop):
        other = first[pattern_of[row]]
        if other != row:
            for w in range(words.shape[1]):
                if words[row, w] != words[other, w]:
                    return False
    return True


@jit
def _are_rows(
    indptr: Any, voter: Any, code: Any, first: Any, pattern_of: Any, start: int, stop: int
) -> bool:  # pragma: no cover - compiled
    for row in range(start, stop):
        other = first[pattern_of[row]]
        begin, here = indptr[other], indptr[row]
        if indptr[other + 1] - begin != indptr[row + 1] - here:
            return False
        for i in range(indptr[row + 1] - here):
            if voter[here + i] != voter[begin + i] or code[here + i] != code[begin + i]:
                return False
    return True


@jit
def _lead(keys: Any, table: Any, leader: Any) -> None:  # pragma: no cover - compiled
    """The first place with the same key, to ``leader``; ``table`` is made empty first."""
    mask = np.uint64(len(table) - 1)
    for slot in range(len(table)):
        table[slot] = -1
    for i in range(len(keys)):
        place = keys[i] & mask
        while table[place] >= 0 and keys[table[place]] != keys[i]:
            place = (place + np.uint64(1)) & mask
        if table[place] < 0:
            table[place] = i
        leader[i] = table[place]


@jit
def _lead_near(
    start: int, stop: int, block: int, hashes: Any, table: Any, leader: Any
) -> int:  # pragma: no cover - compiled
    """The first row of the same hash among those of the same block, to ``leader`` [N]; how many rows lead."""
    many = 0
    for begin in range(start, stop, block):
        end = min(begin + block, stop)
        _lead(hashes[begin:end], table, leader[begin:end])
        for row in range(begin, end):
            leader[row] += begin
            many += leader[row] == row
    return many


@jit
def _deal(hashes: Any, leader: Any, bits: int, ends: Any, rows: Any, keys: Any) -> None:  # pragma: no cover - compiled
    """The rows that lead and their hashes by the hashes' first bits; those of part i come to ends[i]..ends[i + 1]."""
    shift = np.uint64(63 - bits)
    for row in range(len(leader)):
        ends[((hashes[row] >> np.uint64(1)) >> shift) + np.uint64(2)] += leader[row] == row
    for part in range(2, len(ends)):
        ends[part] += ends[part - 1]
    for row in range(len(leader)):
        if leader[row] == row:
            part = ((hashes[row] >> np.uint64(1)) >> shift) + np.uint64(1)
            rows[ends[part]], keys[ends[part]] = row, hashes[row]
            ends[part] += 1


@jit
def _lead_far(
    start: int, stop: int, ends: Any, rows: Any, keys: Any, table: Any, own: Any, leader: Any
) -> None:  # pragma: no cover - compiled
    """The first row of the same hash, to ``leader`` [N] of ``rows`` in the parts start..stop; ``own`` is a place."""
    for part in range(start, stop):
        begin, end = ends[part], ends[part + 1]
        _lead(keys[begin:end], table, own)
        for i in range(end - begin):
            leader[rows[begin + i]] = rows[begin + own[i]]


@jit
def _number(leader: Any, first: Any, counts: Any) -> int:  # pragma: no cover - compiled
    """From a row of the same kind, the first or one that it is known of, to the number of the pattern, in place.

    Returns how many patterns there are.
    """
    found = 0
    for row in range(len(leader)):
        if leader[row] == row:
            first[found] = row
            leader[row] = found
            found += 1
        else:
            leader[row] = leader[leader[row]]
        counts[leader[row]] += 1
    return found
