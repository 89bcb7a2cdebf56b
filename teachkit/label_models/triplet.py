"""Accuracies from triplets of voters, in closed form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from teachkit.label_models.hierarchy import log_gammas
from teachkit.label_models.kernels import exp_all, in_order, log_all
from teachkit.label_models.moment_kernels import triplets
from teachkit.label_models.moments import OneVersusRest, outcome_counts

if TYPE_CHECKING:
    from teachkit.label_models.base import Abstain
    from teachkit.label_models.sweep import Sweep

COMMON = 0.7
WORTHS = np.array([4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0])
"""How many votes of known truth an accuracy by triplets may be worth."""


class Triplet(OneVersusRest):
    """FlyingSquid (D. Fu et al., Fast and Three-rious: Speeding Up Weak Supervision with Triplet Methods, ICML 2020).

    With votes of +1 and -1, conditionally independent, E[uv] = a_u a_v on the items that two voters share, so of three
    voters |a_u| is the root of E[uv] E[uw] / E[vw]. The mean over all triplets, weighed by the items that they share,
    drawn to an accuracy of 0.7 by ``strength`` votes. No step is repeated: the cheapest model that learns accuracies.
    Voters are taken to be better than chance. One accuracy for a voter, so voters that give one label each look as if
    they agreed with all of their kind: take ``auto`` or ``metal`` for these. Of more than two labels each stands
    against the rest. Silence says nothing.

    The paper takes no gold; here votes on it are added to an accuracy. How many of them the triplets are worth, gold
    itself shows (marginal likelihood, see ``with_right``): a standard error would know of chance alone, not of voters
    that depend on each other, and is 0 for those of one label each. So gold tells what triplets cannot, who is worse
    than chance. Gold is taken for a sample of the items; that of one label alone is not looked at.
    """

    name: ClassVar[str] = "triplet"
    version: ClassVar[int] = 2

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
        accuracy = np.clip(accuracy, 0.05, 0.995)
        accuracy = np.clip(with_right(accuracy, *self._shown(label)), 0.05, 0.995)
        odds = log_all(accuracy / (1.0 - accuracy))
        return np.stack([odds, -odds], axis=1), 0.0

    def _shown(self, label: int) -> tuple[Any, Any]:
        """How many votes on gold are right on whether it is ``label`` [V], and how many there are [V]."""
        gold = self._gold
        said, of_label = gold.sum(axis=(1, 2)), gold[:, :, label].sum(axis=1)  # whole numbers: any order will do
        if not of_label.any() or (said == of_label).all():
            return np.zeros(len(said)), np.zeros(len(said))
        wrong = of_label + gold[:, label].sum(axis=1) - 2.0 * gold[:, label, label]
        return said - wrong, said


def with_right(accuracy: Any, right: Any, said: Any) -> Any:
    """Accuracies [V] with ``right`` [V] of ``said`` [V] votes on items with gold; without any they keep their bits.

    Right votes are beta-binomial around the ``accuracy`` that was found without gold. How many votes that is worth, all
    voters' gold shows: the mean over ``WORTHS``, each as likely at first.
    """
    there = np.flatnonzero(said)
    if not len(there):
        return accuracy
    right, said, worth, out = right[there], said[there], WORTHS[:, None], accuracy.copy()
    a, b = worth * accuracy[there], worth * (1.0 - accuracy[there])
    gains = log_gammas(right + a) - log_gammas(a) + log_gammas(said - right + b) - log_gammas(b)
    likely = in_order(gains - log_gammas(said + worth) + log_gammas(worth))
    share = exp_all(likely - likely.max())
    out[there] = in_order(share * ((a + right) / (worth + said)).T) / in_order(share)
    return out
