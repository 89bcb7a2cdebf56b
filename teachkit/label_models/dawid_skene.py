"""Dawid–Skene with priors, and with silence as an answer where it says something."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from teachkit.label_models.base import LikelihoodModel


class DawidSkene(LikelihoodModel):
    """A confusion matrix for each voter, maximum a posteriori by EM (A. P. Dawid, A. M. Skene, Appl. Statist. 28, 1979).

    Each row of a voter's matrix is drawn towards the row of a one-coin voter with the same accuracy
    (``row_strength`` votes of it), the accuracy towards that of all voters (``accuracy_strength`` votes), so few votes
    never give certainty. A voter whose silence is ``informative`` has silence as one more outcome; for one ``at_random``
    only its votes count. ``prior_strength=0`` turns all priors off: the classic model.
    """

    name: ClassVar[str] = "dawid_skene"
    version: ClassVar[int] = 1

    def __init__(
        self,
        *,
        class_prior: Any = "learned",
        prior_strength: float = 1.0,
        row_strength: float = 3.0,
        accuracy_strength: float = 4.0,
        n_iter: int | None = None,
        tolerance: float = 1e-6,
        threads: int = 1,
    ) -> None:
        super().__init__(
            class_prior=class_prior, prior_strength=prior_strength, n_iter=n_iter, tolerance=tolerance, threads=threads
        )
        self.row_strength = row_strength
        self.accuracy_strength = accuracy_strength

    def _likelihood(self, sums: Any, mass: Any) -> Any:
        voters, k, _ = sums.shape
        out = np.ones((voters, k + 1, k))
        counts = np.empty_like(out)
        counts[:, :k] = sums
        counts[:, k] = np.maximum(mass[None, :] - sums.sum(axis=1), 0.0)
        pull = self.row_strength * self.prior_strength
        coin = one_coin_rows(sums, mass, self.prior_, self.informative_, self.accuracy_strength * self.prior_strength)
        for v in range(voters):
            rows = k + 1 if self.informative_[v] else k
            top = counts[v, :rows] + pull * coin[v, :rows]
            total = top.sum(axis=0)
            out[v, :rows] = np.where(total > 0, top / np.where(total > 0, total, 1.0), 1.0 / rows)
        return out


def one_coin_rows(sums: Any, mass: Any, prior: Any, informative: Any, strength: float) -> Any:
    """The outcome probabilities [V, K + 1, K] of voters that have one accuracy each.

    A voter ``at_random`` says the truth with its accuracy, any other label with equal chance. One whose silence is
    informative is described by its precision: P(vote c | true y) is its rate of c times the accuracy over the prior
    of c if y is c, times the rest over the prior of not c otherwise; so a voter of one label is one-sided.
    """
    voters, k, _ = sums.shape
    right, total = np.trace(sums, axis1=1, axis2=2), sums.sum(axis=(1, 2))
    votes = total.sum()
    common = (right.sum() + strength * 0.7) / (votes + strength) if votes + strength > 0 else 0.7
    accuracy = np.where(
        total + strength > 0, (right + strength * common) / np.where(total + strength > 0, total + strength, 1), common
    )
    accuracy = np.minimum(np.maximum(accuracy, 1.0 / (2 * k)), 0.995)
    items = max(float(mass.sum()), 1e-12)
    out = np.ones((voters, k + 1, k))
    for v in range(voters):
        a = accuracy[v]
        if not informative[v]:
            out[v, :k] = (1 - a) / (k - 1) if k > 1 else 1.0
            out[v, np.arange(k), np.arange(k)] = a
            continue
        rate = sums[v].sum(axis=1) / items
        for c in range(k):
            share = min(max(float(prior[c]), 1e-6), 1 - 1e-6)
            out[v, c] = rate[c] * (1 - a) / (1 - share)
            out[v, c, c] = rate[c] * a / share
        spoken = out[v, :k].sum(axis=0)
        over = np.maximum(spoken / 0.995, 1.0)
        out[v, :k] /= over
        out[v, k] = 1.0 - out[v, :k].sum(axis=0)
    return out
