"""Passes over the patterns of votes, in chunks, with the same bits for any number of threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from teachkit.label_models import kernels

if TYPE_CHECKING:
    from collections.abc import Iterator

    from teachkit.votes import Votes

CHUNK = 16_384
"""Patterns at a time: their votes stay in the processor's cache between the halves of a pass."""

_SCORE = {2: kernels.score_two, 3: kernels.score_three}
_COUNT = {2: kernels.count_two, 3: kernels.count_three}


class Sweep:
    """The E-step over some votes, and the sums that an M-step needs; all memory is taken once.

    The patterns are cut in chunks of fixed size; partial sums are added in the order of the chunks.

    Args:
        votes: P patterns, V voters, K labels.
        clamp: [P] a known label, or -1; default: none is known.
        weight: [P] how often each pattern counts; default: as often as it occurs.
        threads: How many chunks are worked on at once; it changes no bit of the result.
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
        self._chunks = [(start, min(start + CHUNK, patterns)) for start in range(0, patterns, CHUNK)]
        width = max(1, min(threads, len(self._chunks)))
        self._benches = [_Bench(votes, min(CHUNK, patterns)) for _ in range(width)]
        self._pool = ThreadPoolExecutor(width) if width > 1 else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown()

    def infer(self, base: Any, table: Any) -> float:
        """New posteriors by these tables (see ``kernels.score``); the greatest change."""
        found = self._in_order(lambda chunk, bench: self._infer(chunk, bench, base, table))
        return max((change for change, _ in found), default=0.0)

    def count(self) -> None:
        """Sum up the posteriors: ``sums`` [V, K codes, K], ``mass`` [K]."""
        self._add(self._in_order(lambda chunk, bench: self._counted(chunk, bench, 0.0)))

    def step(self, base: Any, table: Any) -> float:
        """``infer`` and ``count``, in one pass."""

        def both(chunk: tuple[int, int], bench: _Bench) -> tuple[float, _Bench]:
            return self._counted(chunk, bench, self._infer(chunk, bench, base, table)[0])

        return self._add(self._in_order(both))

    def log_likelihood(self, base: Any, table: Any) -> float:
        """The log-likelihood of the votes by these tables, and of the known labels."""

        def one(chunk: tuple[int, int], bench: _Bench) -> tuple[float, _Bench]:
            self._score(*chunk, *self._rows, base, table, bench.scores)
            return kernels.evidence(*chunk, bench.scores, self.weight, self.clamp, len(base)), bench

        return float(sum(found for found, _ in self._in_order(one)))

    def _infer(self, chunk: tuple[int, int], bench: _Bench, base: Any, table: Any) -> tuple[float, _Bench]:
        self._score(*chunk, *self._rows, base, table, bench.scores)
        return kernels.normalise(*chunk, bench.scores, self.clamp, self.posterior), bench

    def _counted(self, chunk: tuple[int, int], bench: _Bench, change: float) -> tuple[float, _Bench]:
        bench.sums[:], bench.mass[:] = 0.0, 0.0
        self._count(*chunk, *self._rows, self.weight, self.posterior, bench.sums, bench.mass)
        return change, bench

    def _add(self, found: Iterator[tuple[float, _Bench]]) -> float:
        self.sums[:], self.mass[:], greatest = 0.0, 0.0, 0.0
        for change, bench in found:
            self.sums += bench.sums.reshape(self.sums.shape)
            self.mass += bench.mass
            greatest = max(greatest, change)
        return greatest

    def _in_order(self, work: Any) -> Iterator[tuple[float, _Bench]]:
        """The result of each chunk, in order; as many chunks at once as there are benches."""
        width = len(self._benches)
        for start in range(0, len(self._chunks), width):
            wave = self._chunks[start : start + width]
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
