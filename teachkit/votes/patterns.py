"""Folding equal rows into one, by an open-addressing hash table that compares whole rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from teachkit.votes.jit import jit


def fold(words: Any) -> tuple[Any, Any, Any]:
    """Rows of 64-bit words [N, W] -> (first row of each pattern [P], pattern of each row [N], counts [P])."""
    size = 1 << max(4, int(2 * len(words) - 1).bit_length())
    pattern_of = np.empty(len(words), dtype=np.int64)
    first = np.empty(len(words), dtype=np.int64)
    found = _fold(words, np.full(size, -1, dtype=np.int64), pattern_of, first)
    return first[:found].copy(), pattern_of, np.bincount(pattern_of, minlength=found).astype(np.int64)


@jit
def _fold(words: Any, table: Any, pattern_of: Any, first: Any) -> int:  # pragma: no cover - compiled
    mask = np.uint64(len(table) - 1)
    found = 0
    for row in range(words.shape[0]):
        h = np.uint64(14695981039346656037)
        for w in range(words.shape[1]):
            h = (h ^ words[row, w]) * np.uint64(0x9E3779B97F4A7C15)
            h ^= h >> np.uint64(29)
        slot = h & mask
        while True:
            pattern = table[slot]
            if pattern < 0:
                table[slot] = found
                first[found] = row
                pattern_of[row] = found
                found += 1
                break
            other = first[pattern]
            same = True
            for w in range(words.shape[1]):
                if words[row, w] != words[other, w]:
                    same = False
                    break
            if same:
                pattern_of[row] = pattern
                break
            slot = (slot + np.uint64(1)) & mask
    return found
