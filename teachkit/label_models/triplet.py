"""Accuracies from triplets of voters, in closed form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from teachkit.label_models.kernels import log_all
from teachkit.label_models.moment_kernels import triplets
from teachkit.label_models.moments import OneVersusRest, outcome_counts

if TYPE_CHECKING:
    from teachkit.label_models.base import Abstain
    from teachkit.label_models.sweep import Sweep

COMMON = 0.7
ITEMS = 30.0
"""How many votes of known truth all others are worth, as ``auto`` has it."""


class Triplet(OneVersusRest):
    """FlyingSquid (D. Fu et al., Fast and Three-rious: Speeding Up Weak Supervision with Triplet Methods, ICML 2020).

    With votes of +1 and -1, conditionally independent, E[uv] = a_u a_v on the items that two voters share, so of three
    voters |a_u| is the root of E[uv] E[uw] / E[vw]. The mean over all triplets, weighed by the items that they share,
    drawn to an accuracy of 0.7 by ``strength`` votes; votes on items with gold are added to it as if it were worth
    ``ITEMS`` of these, for it rests on voters being independent and equally good at each label. No step is repeated:
    the cheapest model that learns accuracies. Voters are taken to be better than chance. One accuracy for a voter, so
    voters that give one label each look as if they agreed with all of their kind: take ``auto`` or ``metal`` for these.
    Of more than two labels each stands against the rest. Silence says nothing.
    """

    name: ClassVar[str] = "triplet"
    version: ClassVar[int] = 1

    def __init__(self, *, class_prior: Any = "uniform", strength: float = 4.0, threads: int = 1) -> None:
        super().__init__(class_prior=class_prior, n_iter=1, threads=threads)
        self.strength = strength

    def _check(self) -> None:
        super()._check()
        if self.strength < 0:
            raise ValueError("strength is 0 or more")

    def _policies(self, abstain: Abstain) -> Any:
        return np.zeros_like(super()._policies(abstain))

    def _of_moments(self, sweep: Sweep) -> tuple[Any, int, float]:
        self._counts, self._gold = outcome_counts(sweep.votes, self.threads), sweep.known()[0]
        try:
            return super()._of_moments(sweep)
        finally:
            del self._counts, self._gold

    def _weigh(self, sweep: Sweep, label: int) -> tuple[Any, float]:
        voters, k = len(self.voters_), sweep.votes.n_labels
        blocks = self._counts.reshape(voters, k, voters, k)
        shared, agreed = np.zeros((voters, voters)), np.zeros((voters, voters))
        said = np.zeros(voters)
        for c in range(k):
            said += np.diagonal(blocks[:, c, :, c])
            for d in range(k):
                shared += blocks[:, c, :, d]
                if (c == label) == (d == label):
                    agreed += blocks[:, c, :, d]
        found = np.empty(voters)
        triplets(said, agreed, shared, 0.5, 3.0, found)
        accuracy = np.where(found < 0, COMMON, (1.0 + found) / 2.0)
        trust = np.where(found < 0, 0.0, np.minimum(said, 1e6))
        accuracy = (accuracy * trust + COMMON * self.strength) / np.maximum(trust + self.strength, 1e-9)
        known, right = np.zeros(voters), np.zeros(voters)
        for c in range(k):
            for y in range(k):
                known += self._gold[:, c, y]
                if (c == label) == (y == label):
                    right += self._gold[:, c, y]
        accuracy = np.clip((accuracy * ITEMS + right) / (ITEMS + known), 0.05, 0.995)
        odds = log_all(accuracy / (1.0 - accuracy))
        return np.stack([odds, -odds], axis=1), 0.0
