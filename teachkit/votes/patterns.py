"""The compiled loops that put votes in rows: folding equal items into one pattern, taking, joining.

Rows of votes are ``indptr`` [P+1] (int64), ``voter`` [nnz] and ``code`` [nnz] (int16), as in ``Votes``. Folding
is by open-addressing hash tables, and compares whole rows; patterns come in order of first occurrence, but in
blocks with the longest first (``by_length``).
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from teachkit.votes.jit import jit
from teachkit.votes.parts import in_parts

if TYPE_CHECKING:
    from collections.abc import Callable

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


def fold(words: Any, threads: int = 1) -> tuple[Any, Any, Any]:
    """Rows of 64-bit words [N, W] -> (first row of each pattern [P], pattern of each row [N], counts [P]).

    The first two are int32, the last int64.
    """
    return _folded(len(words), partial(_hash_words, words), partial(_are_words, words), threads)


def fold_rows(indptr: Any, voter: Any, code: Any, threads: int = 1) -> tuple[Any, Any, Any]:
    """``fold`` of rows of votes."""
    rows = indptr, voter, code
    return _folded(len(indptr) - 1, partial(_hash_rows, *rows), partial(_are_rows, *rows), threads)


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
