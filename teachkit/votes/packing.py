"""The compiled loops that put the votes on an item in a few 64-bit words, to be compared at once, and take them out.

A vote takes as many bits as its label needs; zeros are silence.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from teachkit.votes.jit import jit
from teachkit.votes.parts import in_parts
from teachkit.votes.patterns import BLOCK, empty_entries, numbers_of


def pack(columns: Any, n_rows: int, n_labels: int, threads: int = 1) -> tuple[Any, int]:
    """Codes, an array [N] (-1 abstains) for each voter, as 64-bit words [N, W] with ``bits`` for each vote."""
    words, bits = _to_pack(n_rows, len(columns), n_labels)
    per_word = 64 // bits

    def part(first: int, last: int) -> None:
        for start in range(first, last, BLOCK):
            for index, column in enumerate(columns):
                block = np.array(column[start : min(start + BLOCK, last)], dtype=np.int16)
                _pack(block, words, start, index // per_word, index % per_word * bits)

    in_parts(part, n_rows, threads)
    return words, bits


def pack_matrix(matrix: Any, n_labels: int, threads: int = 1) -> tuple[Any, int]:
    """``pack`` of a matrix of integers [N, V]."""
    words, bits = _to_pack(len(matrix), matrix.shape[1], n_labels)

    def part(first: int, last: int) -> None:
        for start in range(first, last, BLOCK):
            block = np.ascontiguousarray(matrix[start : min(start + BLOCK, last)], dtype=np.int16)
            _pack_rows(block, words, start, bits)

    in_parts(part, len(matrix), threads)
    return words, bits


def _to_pack(n_rows: int, n_voters: int, n_labels: int) -> tuple[Any, int]:
    bits = next(b for b in (2, 4, 8, 16) if n_labels < 1 << b)
    return np.zeros((n_rows, max(1, -(-n_voters // (64 // bits)))), dtype=np.uint64), bits


@jit
def _pack_rows(block: Any, words: Any, start: int, bits: int) -> None:  # pragma: no cover - compiled
    """A sum of shifts by multiples of ``bits`` is done by vector instructions."""
    rows, voters = np.uint64(block.shape[0]), np.uint64(block.shape[1])
    per_word = np.uint64(64 // bits)
    for i in range(rows):
        for w in range(np.uint64(words.shape[1])):
            word, first = np.uint64(0), w * per_word
            for j in range(min(per_word, voters - first)):
                word |= np.uint64(block[i, first + j] + 1) << (j * np.uint64(bits))
            words[np.uint64(start) + i, w] = word


@jit
def _pack(codes: Any, words: Any, start: int, word: int, shift: int) -> None:  # pragma: no cover - compiled
    for i in range(len(codes)):
        words[start + i, word] |= np.uint64(codes[i] + 1) << np.uint64(shift)


def lengths_of(words: Any, rows: Any, bits: int, threads: int = 1) -> Any:
    """How many votes there are in some rows of packed words."""
    found = np.empty(len(rows), dtype=np.int64)
    in_parts(lambda start, stop: _lengths(start, stop, words, rows, bits, found), len(rows), threads)
    return found


def unpack(words: Any, rows: Any, bits: int, n_voters: int, threads: int = 1) -> tuple[Any, Any, Any]:
    """The votes in some rows of packed words: (indptr, voter, code)."""
    indptr = np.zeros(len(rows) + 1, dtype=np.int64)
    np.cumsum(lengths_of(words, rows, bits, threads), out=indptr[1:])
    voter, code = empty_entries(indptr[-1], numbers_of(n_voters))
    in_parts(lambda start, stop: _unpack(start, stop, words, rows, bits, indptr, voter, code), len(rows), threads)
    return indptr, voter, code


@jit
def _spoken(word: Any, bits: int) -> Any:  # pragma: no cover - compiled
    """The lowest bit of each vote in a word, set if it is one."""
    shift, ones = 1, np.uint64(0xFFFFFFFFFFFFFFFF) // ((np.uint64(1) << np.uint64(bits)) - np.uint64(1))
    while shift < bits:
        word |= word >> np.uint64(shift)
        shift *= 2
    return word & ones


@jit
def bits_set(word: Any) -> Any:  # pragma: no cover - compiled
    """How many bits are set (compiled to one instruction): H. S. Warren, Hacker's Delight, 2002, 5-1."""
    word -= (word >> np.uint64(1)) & np.uint64(0x5555555555555555)
    word = (word & np.uint64(0x3333333333333333)) + ((word >> np.uint64(2)) & np.uint64(0x3333333333333333))
    word = (word + (word >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return (word * np.uint64(0x0101010101010101)) >> np.uint64(56)


@jit
def _lengths(start: int, stop: int, words: Any, rows: Any, bits: int, out: Any) -> None:  # pragma: no cover - compiled
    for p in range(start, stop):
        found = np.uint64(0)
        for w in range(words.shape[1]):
            found += bits_set(_spoken(words[rows[p], w], bits))
        out[p] = np.int64(found)


@jit
def _unpack(
    start: int, stop: int, words: Any, rows: Any, bits: int, indptr: Any, voter: Any, code: Any
) -> None:  # pragma: no cover - compiled
    """From vote to vote, over the lowest bits of those that there are."""
    ones = (np.uint64(1) << np.uint64(bits)) - np.uint64(1)
    per_word, halvings = np.uint64(64 // bits), bits_set(np.uint64(bits - 1))  # shifts: a division takes 20 cycles
    for p in range(start, stop):
        at, row = np.uint64(indptr[p]), np.uint64(rows[p])
        for w in range(np.uint64(words.shape[1])):
            word = words[row, w]
            left = _spoken(word, bits)
            while left != np.uint64(0):
                place = bits_set((left & (~left + np.uint64(1))) - np.uint64(1))
                voter[at] = w * per_word + (place >> halvings)
                code[at] = np.int64((word >> place) & ones) - 1
                at += np.uint64(1)
                left &= left - np.uint64(1)
