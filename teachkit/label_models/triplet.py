"""Accuracies from triplets of voters, in closed form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from teachkit.label_models.kernels import log_all
from teachkit.label_models.moment_kernels import triplets
from teachkit.label_models.moments import OneVersusRest, outcome_counts

if TYPE_CHECKING:
    from teachkit.label_models.base import Abstain
    from teachkit.votes import Votes

COMMON = 0.7


class Triplet(OneVersusRest):
    """FlyingSquid (D. Fu et al., Fast and Three-rious: Speeding Up Weak Supervision with Triplet Methods, ICML 2020).

    With votes of +1 and -1, conditionally independent, E[uv] = a_u a_v on the items that two voters share, so of three
    voters |a_u| is the root of E[uv] E[uw] / E[vw]. The mean over all triplets, weighed by the items that they share,
    drawn to an accuracy of 0.7 by ``strength`` votes. No step is repeated: the cheapest model that learns accuracies.
    Voters are taken to be better than chance. One accuracy for a voter, so voters that give one label each look as if
    they agreed with all of their kind: take ``auto`` or ``metal`` for these. Of more than two labels each stands
    against the rest. Silence says nothing. Gold holds its own items fixed and teaches nothing about voters.
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

    def _of_moments(self, votes: Votes, clamp: Any, weight: Any) -> tuple[Any, int]:
        self._counts = outcome_counts(votes, self.threads)
        try:
            return super()._of_moments(votes, clamp, weight)
        finally:
            del self._counts

    def _weigh(self, votes: Votes, clamp: Any, weight: Any, label: int) -> Any:
        voters, k = len(self.voters_), votes.n_labels
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
        accuracy = np.clip(accuracy, 0.05, 0.995)
        odds = log_all(accuracy / (1.0 - accuracy))
        return np.stack([odds, -odds], axis=1)
