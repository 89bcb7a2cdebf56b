"""Passes over the patterns of votes, in chunks, with the same bits for any number of threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from teachkit.label_models import kernels

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from teachkit.votes import Votes

CHUNK = 16_384
"""Patterns at a time: their votes stay in the processor's cache between the halves of a pass."""
GROUPS = 16
"""So many rows of chunks at most, each worked on by one thread: every change of hands costs time."""

_SCORE = {2: kernels.score_two, 3: kernels.score_three}
_COUNT = {2: kernels.count_two, 3: kernels.count_three}


class Sweep:
    """The E-step over some votes, and the sums that an M-step needs; all memory is taken once.

    The patterns are cut in chunks of fixed size, and these in groups that depend on nothing but their number; partial
    sums are added in the order of the groups.

    Args:
        votes: P patterns, V voters, K labels.
        clamp: [P] a known label, or -1; default: none is known.
        weight: [P] how often each pattern counts; default: as often as it occurs.
        threads: How many groups are worked on at once; it changes no bit of the result.
    """

    def __init__(self, votes: Votes, clamp: Any | None = None, weight: Any | None = None, *, threads: int = 1) -> None:
        patterns, labels = votes.n_patterns, votes.n_labels
        self.votes = votes
        self.clamp = np.full(patterns, -1, dtype=np.int64) if clamp is None else clamp
        self.weight = votes.counts.astype(np.float64) if weight is None else weight
        self.posterior = np.zeros((patterns, labels))
        self.sums, self.mass = np.zeros((len(votes.voters), labels, labels)), np.zeros(labels)
        self._rows = (votes.indptr, votes.voter, votes.code)
        self._score, self._count = _SCORE.get(labels, kernels.score), _COUNT.get(labels, kernels.count)
        chunks = [(start, min(start + CHUNK, patterns)) for start in range(0, patterns, CHUNK)]
        each = -(-len(chunks) // GROUPS)
        self._groups = [chunks[i : i + each] for i in range(0, len(chunks), each)] if chunks else []
        width = max(1, min(threads, len(self._groups)))
        self._benches = [_Bench(votes, min(CHUNK, patterns)) for _ in range(width)]
        self._pool = ThreadPoolExecutor(width) if width > 1 else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown()

    def infer(self, base: Any, table: Any) -> float:
        """New posteriors by these tables (see ``kernels.score``); the greatest change."""

        def one(group: Sequence[tuple[int, int]], bench: _Bench) -> float:
            return max(self._inferred(chunk, bench, base, table)[0] for chunk in group)

        return max(self._in_order(one), default=0.0)

    def count(self) -> None:
        """Sum up the posteriors: ``sums`` [V, K codes, K], ``mass`` [K]."""
        self._clear()
        for bench in self._in_order(self._counted):
            self._add(bench)

    def step(self, base: Any, table: Any) -> tuple[float, float]:
        """``infer`` and ``count`` in one pass; the greatest change, and the log-likelihood of these tables.

        It is that of the votes, and of the known labels.
        """

        def one(group: Sequence[tuple[int, int]], bench: _Bench) -> tuple[float, float, _Bench]:
            bench.clear()
            greatest, found = 0.0, 0.0
            for chunk in group:
                change, likelihood = self._inferred(chunk, bench, base, table)
                greatest, found = max(greatest, change), found + likelihood
                self._count(*chunk, *self._rows, self.weight, self.posterior, bench.sums, bench.mass)
            return greatest, found, bench

        self._clear()
        change, likelihood = 0.0, 0.0
        for greatest, found, bench in self._in_order(one):
            self._add(bench)
            change, likelihood = max(change, greatest), likelihood + found
        return change, likelihood

    def share(self, say: Any | None = None) -> Any:
        """Set posteriors to the shares of votes, which count ``say`` [V] each; zeros without. The sum of them [K]."""
        votes, weight, posterior = self.votes, self.weight, self.posterior

        def one(group: Sequence[tuple[int, int]], bench: _Bench) -> Any:
            ends, bench.mass[:] = (group[0][0], group[-1][1]), 0.0
            if say is None:
                kernels.shares(*ends, votes.indptr, votes.code, weight, posterior, bench.mass)
            else:
                kernels.weighted_shares(*ends, *self._rows, say, weight, posterior, bench.mass)
            return bench.mass

        return self._summed(one, np.zeros(votes.n_labels))

    def worth(self, share: Any) -> tuple[Any, Any]:
        """``kernels.worth`` of the votes, whose posteriors make voters right that often: ``share`` [V]."""

        def one(group: Sequence[tuple[int, int]], _: _Bench) -> Any:
            ends, found = (group[0][0], group[-1][1]), kernels.no_chances(len(share))
            kernels.chances(*ends, *self._rows, self.weight, self.posterior, share, found)
            return found

        return kernels.worth(self._summed(one, kernels.no_chances(len(share))), share)

    def _scored(self, chunk: tuple[int, int], bench: _Bench, base: Any, table: Any) -> None:
        """The log-odds of a chunk, to ``bench.scores``."""
        self._score(*chunk, *self._rows, base, table, bench.scores)

    def _inferred(self, chunk: tuple[int, int], bench: _Bench, base: Any, table: Any) -> tuple[float, float]:
        """New posteriors of a chunk; see ``kernels.normalise``."""
        self._scored(chunk, bench, base, table)
        found: tuple[float, float] = kernels.normalise(*chunk, bench.scores, self.weight, self.clamp, self.posterior)
        return found

    def _counted(self, group: Sequence[tuple[int, int]], bench: _Bench) -> _Bench:
        bench.clear()
        for chunk in group:
            self._count(*chunk, *self._rows, self.weight, self.posterior, bench.sums, bench.mass)
        return bench

    def _clear(self) -> None:
        self.sums[:], self.mass[:] = 0.0, 0.0

    def _add(self, bench: _Bench) -> None:
        self.sums += bench.sums.reshape(self.sums.shape)
        self.mass += bench.mass

    def _summed(self, work: Any, total: Any) -> Any:
        for found in self._in_order(work):
            total += found
        return total

    def _in_order(self, work: Any) -> Iterator[Any]:
        """The result of each group, in order; as many at once as there are benches."""
        width = len(self._benches)
        for start in range(0, len(self._groups), width):
            wave = self._groups[start : start + width]
            if self._pool is None:
                yield work(wave[0], self._benches[0])
            else:
                yield from self._pool.map(work, wave, self._benches)


class _Bench:
    """What a thread writes to."""

    def __init__(self, votes: Votes, patterns: int) -> None:
        voters, labels = len(votes.voters), votes.n_labels
        self.scores = np.empty(patterns * labels)
        self.sums, self.mass = np.zeros((voters * labels, labels)), np.zeros(labels)

    def clear(self) -> None:
        """Nothing is counted yet."""
        self.sums[:], self.mass[:] = 0.0, 0.0
