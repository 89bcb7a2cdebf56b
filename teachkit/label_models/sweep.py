"""Passes over the patterns of votes, in chunks, with the same bits for any number of threads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import numpy as np

from teachkit.label_models import kernels, worth_kernels
from teachkit.label_models.base import decide, none_known
from teachkit.votes.parts import in_turns

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from teachkit.votes import Votes

T = TypeVar("T")
Chunk: TypeAlias = tuple[int, int]
Group: TypeAlias = "Sequence[Chunk]"

CHUNK = 16_384
"""Patterns at a time: their votes stay in the processor's cache between the halves of a pass."""
GROUPS = 16
"""So many rows of chunks at most: a thread works on one of them at a time, and every change of hands costs time."""

_SCORE = {2: kernels.score_two, 3: kernels.score_three}
_COUNT = {2: kernels.count_two, 3: kernels.count_three}


class Sweep:
    """The E-step over some votes, and the sums that an M-step needs; what is as long as the patterns is taken once.

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
        self.votes, self.threads = votes, threads
        self.clamp = none_known(patterns) if clamp is None else clamp
        self.weight = votes.counts.astype(np.float64) if weight is None else weight
        self.posterior = np.zeros((patterns, labels))
        self.sums, self.mass = np.zeros((len(votes.voters), labels, labels)), np.zeros(labels)
        self._rows = (votes.indptr, votes.voter, votes.code)
        self._score, self._count = _SCORE.get(labels, kernels.score), _COUNT.get(labels, kernels.count)
        self._share = kernels.shares_two if labels == 2 else kernels.shares
        chunks = [(start, min(start + CHUNK, patterns)) for start in range(0, patterns, CHUNK)]
        each = -(-len(chunks) // GROUPS)
        self._groups = [chunks[i : i + each] for i in range(0, len(chunks), each)] if chunks else []
        width = max(1, min(threads, len(self._groups)))
        self._scores = [np.empty(min(CHUNK, patterns) * labels) for _ in range(width)]  # one for each thread

    def infer(self, base: Any, table: Any) -> float:
        """New posteriors by these tables (see ``kernels.score``); the greatest change."""

        def one(group: Group, scores: Any) -> float:
            return max(self._inferred(chunk, scores, base, table)[0] for chunk in group)

        return max(self._by_groups(one), default=0.0)

    def count(self) -> None:
        """Sum up the posteriors: ``sums`` [V, K codes, K], ``mass`` [K]."""
        self.sums, self.mass = self._counted(self.weight)

    def known(self) -> tuple[Any, Any]:
        """What ``count`` sums up of the items with a known label alone: votes [V, K codes, K] and items [K]."""
        known = self.clamp >= 0
        return self._counted(np.where(known, self.weight, 0.0)) if known.any() else self._total([])

    def step(self, base: Any, table: Any) -> tuple[float, float]:
        """``infer`` and ``count`` in one pass; the greatest change, and the log-likelihood of these tables.

        It is that of the votes, and of the known labels.
        """

        def one(group: Group, scores: Any) -> tuple[Any, Any, float, float]:
            sums, mass = self._no_sums()
            greatest, found = 0.0, 0.0
            for chunk in group:
                change, likelihood = self._inferred(chunk, scores, base, table)
                greatest, found = max(greatest, change), found + likelihood
                self._count(*chunk, *self._rows, self.weight, self.posterior, sums, mass)
            return sums, mass, greatest, found

        found = self._by_groups(one)
        self.sums, self.mass = self._total([one[:2] for one in found])
        return max((one[2] for one in found), default=0.0), float(sum(one[3] for one in found))

    def share(self, say: Any | None = None) -> Any:
        """Set posteriors to the shares of votes, which count ``say`` [V] each; zeros without. The sum of them [K]."""
        votes, weight, posterior = self.votes, self.weight, self.posterior

        def one(group: Group, _: Any) -> Any:
            ends, mass = (group[0][0], group[-1][1]), np.zeros(votes.n_labels)
            if say is None:
                self._share(*ends, votes.indptr, votes.code, weight, posterior, mass)
            else:
                kernels.weighted_shares(*ends, *self._rows, say, weight, posterior, mass)
            return mass

        return _sum(self._by_groups(one), np.zeros(votes.n_labels))

    def decided(self) -> Any:
        """The label of each pattern [P] by its posterior, -1 where there is no vote or two are as likely."""
        return decide(self.posterior, self.votes.votes_per_pattern, None, "abstain", self.threads)

    def worth(self, share: Any) -> tuple[Any, Any]:
        """``worth_kernels.worth`` of the votes, whose posteriors make voters right that often: ``share`` [V]."""
        near = worth_kernels.within(share)

        def one(group: Group, _: Any) -> Any:
            found = worth_kernels.no_chances(len(share))
            worth_kernels.chances(group[0][0], group[-1][1], *self._rows, self.weight, self.posterior, near, found)
            return found

        total = _sum(self._by_groups(one), worth_kernels.no_chances(len(share)))
        return worth_kernels.worth(total, near, self.threads)

    def _scored(self, chunk: Chunk, scores: Any, base: Any, table: Any) -> None:
        """The log-odds of a chunk, to ``scores``."""
        self._score(*chunk, *self._rows, base, table, scores)

    def _inferred(self, chunk: Chunk, scores: Any, base: Any, table: Any) -> tuple[float, float]:
        """New posteriors of a chunk; see ``kernels.normalise``."""
        self._scored(chunk, scores, base, table)
        return kernels.normalise(*chunk, scores, self.weight, self.clamp, self.posterior)

    def _counted(self, weight: Any) -> tuple[Any, Any]:
        def one(group: Group, _: Any) -> tuple[Any, Any]:
            sums, mass = self._no_sums()
            for chunk in group:
                self._count(*chunk, *self._rows, weight, self.posterior, sums, mass)
            return sums, mass

        return self._total(self._by_groups(one))

    def _no_sums(self) -> tuple[Any, Any]:
        voters, labels, _ = self.sums.shape
        return np.zeros((voters * labels, labels)), np.zeros(labels)

    def _total(self, found: Sequence[tuple[Any, Any]]) -> tuple[Any, Any]:
        """What groups have counted, added in their order."""
        sums, mass = self._no_sums()
        for own_sums, own_mass in found:
            sums += own_sums
            mass += own_mass
        return sums.reshape(self.sums.shape), mass

    def _by_groups(self, work: Callable[[Group, Any], T]) -> list[T]:
        """``work(group, scores)`` of each group, in order."""

        def one(index: int) -> T:
            scores = self._scores.pop()
            found = work(self._groups[index], scores)
            self._scores.append(scores)
            return found

        return in_turns(one, len(self._groups), self.threads)


def _sum(found: Sequence[Any], total: Any) -> Any:
    for one in found:
        total += one
    return total
