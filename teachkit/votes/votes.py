"""Votes as arrays: who said what on which item, with equal items folded into one pattern."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

Array = np.ndarray[Any, np.dtype[Any]]

MOST_LABELS = 32_766


@dataclass(frozen=True, slots=True)
class Votes:
    """The votes of some voters on N items, folded into P distinct patterns.

    Shapes: ``indptr`` [P+1], ``voter`` and ``code`` [nnz] (sorted by voter within a pattern), ``counts`` [P] items of
    each pattern, ``pattern_of`` [N]. Codes are 0..n_labels-1; who did not vote has no entry (abstains). ``items`` [N]
    and ``labels`` [n_labels] are the names of items and codes, None where they have none. Numbers of voters are
    uint16 (int32 from 65,537 voters on), codes int16, all else int64.
    """

    voters: tuple[str, ...]
    n_labels: int
    indptr: Array
    voter: Array
    code: Array
    counts: Array
    pattern_of: Array
    items: Sequence[Any] | None = None
    labels: tuple[Hashable, ...] | None = None
    _counted: dict[str, Any] = field(init=False, repr=False, compare=False, default_factory=dict)
    """What was counted once, and is asked for often."""

    @property
    def n_items(self) -> int:
        """N."""
        return len(self.pattern_of)

    @property
    def n_patterns(self) -> int:
        """P."""
        return len(self.counts)

    @classmethod
    def from_matrix(
        cls, matrix: Any, n_labels: int | None = None, voters: Sequence[str] | None = None, *, threads: int = 1
    ) -> Self:
        """From integers [N, V], -1 for abstain, as Snorkel has them; without ``n_labels``, the greatest code tells."""
        from teachkit.votes.packing import pack_matrix

        matrix = as_matrix(matrix)
        names = [f"voter_{i}" for i in range(matrix.shape[1])] if voters is None else voters
        k = max(2, int(matrix.max(initial=1)) + 1) if n_labels is None else n_labels
        _check_shape(names, k, matrix.shape[1])
        if matrix.size and (int(matrix.min()) < -1 or int(matrix.max()) >= k):
            for index, name in enumerate(names):
                _check_codes(matrix[:, index], -1, k, f"codes of voter '{name}'")
        return cls._folded(names, k, *pack_matrix(matrix, k, threads), threads)

    @classmethod
    def from_columns(
        cls,
        voters: Sequence[str],
        columns: Sequence[Array],
        n_labels: int,
        *,
        n_items: int | None = None,
        threads: int = 1,
    ) -> Self:
        """From one array [N] of codes for each voter, -1 for abstain; ``n_items`` is N where there are no voters.

        ``threads`` work at once.
        """
        from teachkit.votes.packing import pack

        count = len(columns[0]) if columns else n_items or 0
        _check_shape(voters, n_labels, len(columns))
        for name, column in zip(voters, columns, strict=True):
            if len(column) != count or (n_items is not None and len(column) != n_items):
                raise ValueError(f"voter '{name}' has {len(column)} codes for {n_items or count} items")
            _check_codes(column, -1, n_labels, f"codes of voter '{name}'")
        return cls._folded(voters, n_labels, *pack(columns, count, n_labels, threads), threads)

    @classmethod
    def _folded(cls, voters: Sequence[str], n_labels: int, words: Array, bits: int, threads: int) -> Self:
        """From packed words [N, W]."""
        from teachkit.votes.folding import fold
        from teachkit.votes.packing import lengths_of, unpack
        from teachkit.votes.patterns import by_length

        found = fold(words, threads)
        first, pattern_of, counts = by_length(*found, lengths_of(words, found[0], bits, threads), threads)
        return cls(tuple(voters), n_labels, *unpack(words, first, bits, len(voters), threads), counts, pattern_of)

    @classmethod
    def from_long(cls, item: Any, voter: Any, code: Any, *, voters: Sequence[str], n_items: int, n_labels: int) -> Self:
        """From one entry [M] for each vote; of two of one voter on one item the last counts. Never dense."""
        from teachkit.votes.folding import fold_rows
        from teachkit.votes.patterns import by_item, by_length, take

        _check_shape(voters, n_labels, len(voters))
        entries = [np.asarray(a) for a in (item, voter, code)]
        if len({a.shape for a in entries}) > 1 or entries[0].ndim != 1:
            raise ValueError("item, voter and code are arrays of the same length")
        for array, least, size, what in zip(
            entries, (0, 0, -1), (n_items, len(voters), n_labels), ("items", "voters", "codes"), strict=True
        ):
            _check_codes(array, least, size, what)
        items, who, said = (np.array(a, dtype=np.int64) for a in entries)
        rows = by_item(items, who, said, n_items, len(voters))
        found = fold_rows(*rows)
        first, pattern_of, counts = by_length(*found, np.diff(rows[0])[found[0]])
        return cls(tuple(voters), n_labels, *take(*rows, first), counts, pattern_of)

    @classmethod
    def from_table(
        cls,
        table: Any,
        *,
        item: str = "item",
        voter: str = "voter",
        label: str = "label",
        items: Any | None = None,
        voters: Sequence[Any] | None = None,
        labels: Sequence[Hashable] | None = None,
    ) -> Votes:
        """From a long table with one row for each vote: an Arrow table, a dict of arrays, a data frame.

        Of two votes of one voter on one item the last counts; a missing label (null, None, NaN) is an abstention, and
        takes back an earlier vote.

        Args:
            table: The table.
            item: The column that names the item; items come in order of first occurrence.
            voter: The column that names the voter; voters come sorted, as text.
            label: The column with the label, any hashable; labels come sorted where they have an order.
            items: All items, in order, if some may have no vote.
            voters: All voters, in order: those of a fitted model, for instance.
            labels: All labels, in the order of their codes.

        Raises:
            ValueError: a column is not there, an item or voter is missing in a row, a name is not among those given.
        """
        from teachkit.votes.tables import from_table

        return from_table(table, item=item, voter=voter, label=label, items=items, voters=voters, labels=labels)

    def codes_of(self, named: Mapping[Any, Hashable]) -> Array:
        """Codes [N] (-1 unknown) from labels by name of the item, as gold may be given; other items count for nothing.

        Raises:
            ValueError: the votes know no names, or not this label.
        """
        if self.items is None or self.labels is None:
            raise ValueError("labels by name are for votes with names: Votes.from_table(…)")
        code = {label: i for i, label in enumerate(self.labels)}
        unknown = next((label for label in named.values() if label is not None and label not in code), None)
        if unknown is not None:
            raise ValueError(f"not a known label: {unknown!r}")
        said = (named.get(item) for item in self.items)
        return np.array([-1 if label is None else code[label] for label in said], dtype=np.int64)

    @classmethod
    def joined(cls, first: Votes, second: Votes) -> Votes:
        """The votes of two groups of voters on the same items."""
        from teachkit.votes.folding import fold
        from teachkit.votes.patterns import by_length, join, take

        if first.n_items != second.n_items or first.n_labels != second.n_labels:
            raise ValueError("both must be votes on the same items and labels")
        voters = (*first.voters, *second.voters)
        _check_shape(voters, first.n_labels, len(voters))
        pairs = first.pattern_of.astype(np.int64) * max(1, second.n_patterns) + second.pattern_of
        folded = fold(pairs.view(np.uint64)[:, None])
        many = [votes.votes_per_pattern[votes.pattern_of[folded[0]]] for votes in (first, second)]
        found, pattern_of, counts = by_length(*folded, many[0] + many[1])
        left = take(first.indptr, first.voter, first.code, first.pattern_of[found])
        right = take(second.indptr, second.voter, second.code, second.pattern_of[found])
        rows = join(left, right, len(first.voters), len(voters))
        return cls(voters, first.n_labels, *rows, counts, pattern_of)

    def regrouped(self, patterns: Array, pattern_of: Array) -> Votes:
        """The same votes with other patterns: some of these [Q] (int64) in any order, and the new one of each item."""
        from teachkit.votes.patterns import take

        counts = np.bincount(pattern_of, minlength=len(patterns)).astype(np.int64)
        rows = take(self.indptr, self.voter, self.code, patterns)
        items = self.items if len(pattern_of) == self.n_items else None
        return Votes(self.voters, self.n_labels, *rows, counts, pattern_of, items, self.labels)

    def of_items(self, rows: Array) -> Votes:
        """The votes on some items [M], in any order."""
        patterns, pattern_of = np.unique(self.pattern_of[rows], return_inverse=True)
        items = None if self.items is None else tuple(self.items[row] for row in np.asarray(rows).tolist())
        return replace(self.regrouped(patterns, pattern_of), items=items)

    def keeping(self, entries: Array) -> Self:
        """The same patterns with some of their votes alone: ``entries`` is a mask [nnz]."""
        each = np.bincount(self.entry_pattern[entries], minlength=self.n_patterns)
        indptr = np.concatenate([[0], np.cumsum(each)]).astype(np.int64)
        return replace(self, indptr=indptr, voter=self.voter[entries], code=self.code[entries])

    @property
    def entry_pattern(self) -> Array:
        """The pattern of each entry [nnz]."""
        return np.repeat(np.arange(self.n_patterns), np.diff(self.indptr))

    @property
    def votes_per_pattern(self) -> Array:
        """How many voters did not abstain [P]; not to be written to."""
        if "lengths" not in self._counted:
            lengths = np.diff(self.indptr)
            lengths.flags.writeable = False
            self._counted["lengths"] = lengths
        found: Array = self._counted["lengths"]
        return found

    def said(self, threads: int = 1) -> tuple[Array, int]:
        """How often each voter gives each label [V, K], not to be written to, and on how many items votes differ."""
        from teachkit.votes.counting import said_by

        if "said" not in self._counted:
            rows = (self.indptr, self.voter, self.code, self.counts)
            said, differing = said_by(*rows, len(self.voters), self.n_labels, threads)
            said.flags.writeable = False
            self._counted["said"] = said, differing
        found: tuple[Array, int] = self._counted["said"]
        return found

    @property
    def votes_per_item(self) -> Array:
        """How many voters did not abstain [N]."""
        per: Array = self.votes_per_pattern[self.pattern_of]
        return per

    def to_dense(self) -> Array:
        """Codes [N, V], -1 for abstain."""
        dense = np.full((self.n_patterns, len(self.voters)), -1, dtype=np.int16)
        dense[self.entry_pattern, self.voter] = self.code
        return dense[self.pattern_of]


def _check_shape(voters: Sequence[str], n_labels: int, columns: int) -> None:
    if len(voters) != columns:
        raise ValueError(f"{len(voters)} names for {columns} voters")
    if len(set(voters)) < columns:
        twice = next(name for name in voters if list(voters).count(name) > 1)
        raise ValueError(f"two voters are called {twice!r}")
    if not 1 <= n_labels <= MOST_LABELS:
        raise ValueError(f"{n_labels} labels: votes have 1 to {MOST_LABELS:,}")


def as_matrix(given: Any) -> Array:
    """A matrix of integers [N, V]; ``ValueError`` for what is none."""
    matrix = np.asarray(given)
    if matrix.ndim != 2:
        raise ValueError(f"votes are a matrix of items by voters, not of {matrix.ndim} dimensions")
    if matrix.size == 0 or matrix.dtype.kind in "iub":
        return matrix if matrix.dtype.kind in "iub" else matrix.astype(np.int64)
    if matrix.dtype.kind == "f" and np.isnan(matrix).any():
        item, voter = np.argwhere(np.isnan(matrix))[0]
        raise ValueError(f"votes are integers, -1 for an abstention; item {item} has NaN in column {voter}")
    advice = "a matrix has codes, such as frame.fillna(-1).astype(int); of a table with a row for each vote make "
    advice += "Votes.from_table(table, item='task', voter='worker', label='label')"
    raise ValueError(f"votes are integers, -1 for an abstention, not {matrix.dtype}: {advice}")


def _check_codes(codes: Array, least: int, size: int, what: str) -> None:
    if len(codes) == 0:
        return
    if codes.dtype.kind not in "iub":
        raise ValueError(f"{what} are integers, not {codes.dtype}")
    if codes.min() < least or codes.max() >= size:
        raise ValueError(f"{what} are not within {least}..{size - 1}")
