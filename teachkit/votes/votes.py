"""Votes as arrays: who said what on which item, with equal items folded into one pattern."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, slots=True)
class Votes:
    """The votes of some voters on N items, folded into P distinct patterns.

    Shapes: ``indptr`` [P+1], ``voter`` and ``code`` [nnz] (sorted by voter within a pattern), ``counts`` [P] items of
    each pattern, ``pattern_of`` [N]. Codes are 0..n_labels-1; who did not vote has no entry (abstains).
    """

    voters: tuple[str, ...]
    n_labels: int
    indptr: Array
    voter: Array
    code: Array
    counts: Array
    pattern_of: Array

    @property
    def n_items(self) -> int:
        """N."""
        return len(self.pattern_of)

    @property
    def n_patterns(self) -> int:
        """P."""
        return len(self.counts)

    @classmethod
    def from_matrix(cls, matrix: Any, n_labels: int | None = None, voters: Sequence[str] | None = None) -> Self:
        """From integers [N, V], -1 for abstain, as Snorkel has them."""
        matrix = np.asarray(matrix)
        if matrix.ndim != 2:
            raise ValueError(f"votes are a matrix of items by voters, not of {matrix.ndim} dimensions")
        names = voters or [f"voter_{i}" for i in range(matrix.shape[1])]
        k = n_labels or max(2, int(matrix.max(initial=1)) + 1)
        return cls.from_columns(names, [matrix[:, i] for i in range(matrix.shape[1])], k, n_items=len(matrix))

    @classmethod
    def from_columns(
        cls, voters: Sequence[str], columns: Sequence[Array], n_labels: int, *, n_items: int | None = None
    ) -> Self:
        """From one array [N] of codes for each voter, -1 for abstain."""
        count = len(columns[0]) if columns else n_items or 0
        kind = np.int8 if n_labels <= 127 else np.int16
        matrix = np.empty((count, len(columns)), dtype=kind)
        for index, column in enumerate(columns):
            if len(column) and (column.min() < -1 or column.max() >= n_labels):
                raise ValueError(f"codes of voter '{voters[index]}' are not within -1..{n_labels - 1}")
            matrix[:, index] = column
        first, pattern_of, counts = distinct_rows(matrix)
        chosen = matrix[first]
        row, voter = np.nonzero(chosen >= 0)
        indptr = np.zeros(len(first) + 1, dtype=np.int64)
        np.cumsum(np.bincount(row, minlength=len(first)), out=indptr[1:])
        return cls(
            tuple(voters),
            n_labels,
            indptr,
            voter.astype(np.int32),
            chosen[row, voter].astype(np.int16),
            counts,
            pattern_of,
        )

    @classmethod
    def from_long(cls, item: Any, voter: Any, code: Any, *, voters: Sequence[str], n_items: int, n_labels: int) -> Self:
        """From one entry [M] for each vote; of two of one voter on one item the last counts. Never dense."""
        item, voter, code = np.asarray(item, np.int64), np.asarray(voter, np.int64), np.asarray(code, np.int64)
        order = np.lexsort((np.arange(len(item)), voter, item))
        item, voter, code = item[order], voter[order], code[order]
        last = np.ones(len(item), dtype=bool)
        last[:-1] = (item[1:] != item[:-1]) | (voter[1:] != voter[:-1])
        keep = last & (code >= 0)
        item, voter, code = item[keep], voter[keep], code[keep]
        indptr = np.zeros(n_items + 1, dtype=np.int64)
        np.cumsum(np.bincount(item, minlength=n_items), out=indptr[1:])
        patterns: dict[bytes, int] = {}
        first: list[int] = []
        pattern_of = np.empty(n_items, dtype=np.int64)
        packed = np.stack([voter, code], axis=1)
        for index in range(n_items):
            found = patterns.setdefault(packed[indptr[index] : indptr[index + 1]].tobytes(), len(first))
            if found == len(first):
                first.append(index)
            pattern_of[index] = found
        starts = np.asarray(first, dtype=np.int64)
        lengths = indptr[starts + 1] - indptr[starts]
        chosen = (
            np.concatenate([np.arange(indptr[s], indptr[s + 1]) for s in first]) if first else np.zeros(0, np.int64)
        )
        counts = np.bincount(pattern_of, minlength=len(first)).astype(np.int64)
        new_indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        return cls(
            tuple(voters),
            n_labels,
            new_indptr,
            voter[chosen].astype(np.int32),
            code[chosen].astype(np.int16),
            counts,
            pattern_of,
        )

    @classmethod
    def joined(cls, first: Votes, second: Votes) -> Votes:
        """The votes of two groups of voters on the same items."""
        if first.n_items != second.n_items or first.n_labels != second.n_labels:
            raise ValueError("both must be votes on the same items and labels")
        pair = first.pattern_of.astype(np.int64) * max(1, second.n_patterns) + second.pattern_of
        _, index, inverse, counts = np.unique(pair, return_index=True, return_inverse=True, return_counts=True)
        order = np.argsort(index, kind="stable")
        rank = np.empty_like(order)
        rank[order] = np.arange(len(order))
        left, right = first.pattern_of[index[order]], second.pattern_of[index[order]]
        voter, code, indptr = [], [], [0]
        offset = len(first.voters)
        for a, b in zip(left, right, strict=True):
            one, two = slice(first.indptr[a], first.indptr[a + 1]), slice(second.indptr[b], second.indptr[b + 1])
            voter += [first.voter[one], second.voter[two] + offset]
            code += [first.code[one], second.code[two]]
            indptr.append(indptr[-1] + (one.stop - one.start) + (two.stop - two.start))
        none32, none16 = np.zeros(0, np.int32), np.zeros(0, np.int16)
        return cls(
            (*first.voters, *second.voters),
            first.n_labels,
            np.asarray(indptr, np.int64),
            np.concatenate(voter).astype(np.int32) if voter else none32,
            np.concatenate(code).astype(np.int16) if code else none16,
            counts[order].astype(np.int64),
            rank[inverse].astype(np.int64),
        )

    @property
    def entry_pattern(self) -> Array:
        """The pattern of each entry [nnz]."""
        return np.repeat(np.arange(self.n_patterns), np.diff(self.indptr))

    @property
    def votes_per_pattern(self) -> Array:
        """How many voters did not abstain [P]."""
        return np.diff(self.indptr)

    def to_dense(self) -> Array:
        """Codes [N, V], -1 for abstain."""
        dense = np.full((self.n_patterns, len(self.voters)), -1, dtype=np.int16)
        dense[self.entry_pattern, self.voter] = self.code
        return dense[self.pattern_of]


def distinct_rows(matrix: Array) -> tuple[Array, Array, Array]:
    """The distinct rows of a matrix in order of first occurrence: (first row [P], pattern of each row [N], counts [P])."""
    if len(matrix) == 0 or matrix.shape[1] == 0:
        some = min(len(matrix), 1)
        return np.zeros(some, np.int64), np.zeros(len(matrix), np.int64), np.full(some, len(matrix), np.int64)
    from teachkit.votes.patterns import fold

    width = matrix.shape[1] * matrix.itemsize
    padded = np.zeros((len(matrix), -(-width // 8) * 8), dtype=np.uint8)
    padded[:, :width] = np.ascontiguousarray(matrix).view(np.uint8).reshape(len(matrix), width)
    return fold(padded.view(np.uint64))
