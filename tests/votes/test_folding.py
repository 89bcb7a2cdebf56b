from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from teachkit.votes import folding, packing
from teachkit.votes.folding import fold


def test_rows_that_differ_in_one_word_are_different_patterns() -> None:
    words = np.zeros((64, 3), dtype=np.uint64)
    words[np.arange(64), np.arange(64) % 3] = np.uint64(1) << np.arange(64, dtype=np.uint64)
    first, pattern_of, counts = fold(np.concatenate([words, words]))
    assert first.tolist() == list(range(64))
    assert pattern_of.tolist() == list(range(64)) * 2
    assert counts.tolist() == [2] * 64


@pytest.mark.parametrize("distinct", [1, 5, 3_000, 100_000])
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_patterns_come_in_order_of_first_occurrence(distinct: int, threads: int) -> None:
    """More rows than a block, and distinct ones of several blocks, which are dealt out into parts."""
    row = np.random.default_rng(distinct).integers(0, distinct, 100_000)
    _, first, inverse, counts = np.unique(row, return_index=True, return_inverse=True, return_counts=True)
    place = np.empty(len(first), dtype=np.int64)
    place[np.argsort(first)] = np.arange(len(first))
    words = np.stack([row, row // 7], axis=1).astype(np.uint64)
    found = fold(words, threads)
    assert found[0].tolist() == sorted(first.tolist())
    assert found[1].tolist() == place[inverse].tolist()
    assert found[2][place].tolist() == counts.tolist()


def test_rows_that_share_a_hash_are_told_apart_by_another_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    mix, seeds = folding._hash_words, []

    def poor(words: Any, seed: Any, out: Any, start: int, stop: int) -> None:
        mix(words, seed, out, start, stop)
        out[start:stop] %= np.uint64(3 if seed < 2 else 1 << 60)
        seeds.append(int(seed))

    monkeypatch.setattr(folding, "_hash_words", poor)
    row = np.random.default_rng(0).integers(0, 50, 300)
    first, pattern_of, counts = fold(row[:, None].astype(np.uint64))
    assert seeds == [0, 1, 2]
    assert len(first) == len(np.unique(row))
    assert row[first][pattern_of].tolist() == row.tolist()
    assert counts.tolist() == [(row == row[one]).sum() for one in first]


@pytest.mark.parametrize("first", [True, False])
def test_rows_that_differ_in_any_bits_find_their_places_soon(first: bool) -> None:
    """Rows that only the last, or the first, two of eight voters tell apart differ in the low bits of their hashes."""
    codes = np.random.default_rng(0).integers(-1, 200, (20_000, 2))
    matrix = np.full((20_000, 8), -1)
    matrix[:, slice(0, 2) if first else slice(6, 8)] = codes
    words, _ = packing.pack_matrix(matrix, 200)
    hashes = np.empty(2_000, dtype=np.uint64)
    folding._hash_words(words, np.uint64(0), hashes, 0, 2_000)
    distinct = len(np.unique(codes[:2_000], axis=0))
    for bits in (hashes & np.uint64(0xFFFF), hashes >> np.uint64(48)):  # of the place in a table, and of the part
        assert len(np.unique(bits)) > 0.95 * distinct
