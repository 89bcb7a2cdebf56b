"""Snorkel's label model: likelihoods from how often pairs of voters say what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from teachkit.label_models.kernels import in_order
from teachkit.label_models.moment_kernels import complete
from teachkit.label_models.moments import MomentModel, outcome_counts

if TYPE_CHECKING:
    from teachkit.label_models.base import Abstain
    from teachkit.label_models.sweep import Sweep

ITEMS = 30.0
"""How many votes of known truth what pairs say of a vote is worth, as ``auto`` has it."""


class Metal(MomentModel):
    """Matrix completion on the overlaps of voters (A. Ratner et al., Training Complex Models, AAAI 2019; Snorkel).

    mu [V, K, K] is P(vote c | label y), silence being what is missing to 1. Off its diagonal blocks the matrix of
    P(u says c, v says d) is mu diag(prior) mu', so mu is found without looking at an item twice: here by alternating
    least squares, where Snorkel descends a gradient. It starts, as Snorkel does, from voters that are right with
    ``precision``, and is held there by the ridge ``l2``, which takes the place of Snorkel's early end: a gradient that
    is followed for a time t goes about as far as with a ridge of 1/t (100 steps of 0.01 with momentum 0.9, counted for
    both sides of a symmetric matrix and the square's 2, are 40). So voters that overlap little stay where they start.
    The class prior is given or uniform, as in Snorkel: pairs do not tell it. A vote
    counts by mu, silence does not, as in Snorkel. Needs three voters that overlap; its cost does not grow with the
    number of steps. For labeling functions; people with few votes each share too few items.

    Snorkel knows no gold. Here votes on items with gold are added to what mu says of the labels behind a voter's vote,
    code by code, as if that were worth ``ITEMS`` votes: it rests on voters being independent.
    """

    name: ClassVar[str] = "metal"
    version: ClassVar[int] = 1

    def __init__(
        self,
        *,
        class_prior: Any = "uniform",
        precision: float = 0.7,
        l2: float = 0.025,
        n_iter: int = 50,
        tolerance: float = 1e-6,
        threads: int = 1,
    ) -> None:
        super().__init__(class_prior=class_prior, n_iter=n_iter, tolerance=tolerance, threads=threads)
        self.precision = precision
        self.l2 = l2

    def _check(self) -> None:
        super()._check()
        if not (0 < self.precision < 1 and self.l2 >= 0):
            raise ValueError("precision is between 0 and 1, l2 0 or more")

    def _policies(self, abstain: Abstain) -> Any:
        return np.zeros_like(super()._policies(abstain))

    def _of_moments(self, sweep: Sweep) -> tuple[Any, int, float]:
        votes = sweep.votes
        voters, k = len(self.voters_), votes.n_labels
        items = max(votes.n_items, 1)
        counts = outcome_counts(votes, self.threads)
        shares = counts / items
        prior = np.maximum(self.prior_, 1e-6)
        rates = np.diagonal(shares).reshape(voters, k)
        mu = np.empty((voters, k, k))
        for c in range(k):  # precision of a vote c: P(c | c) = rate precision / prior, the rest evenly
            own = np.minimum(rates[:, c] * self.precision / prior[c], 0.995)
            rest = np.maximum(rates[:, c] - own * prior[c], 0.0) / max(1.0 - prior[c], 1e-6)
            mu[:, c, :] = np.minimum(rest, 0.995)[:, None]
            mu[:, c, c] = own
        mu = np.maximum(mu, 1e-6)
        start = mu.copy()
        blocks = counts.reshape(voters, k, voters, k)
        shared = np.zeros((voters, voters), dtype=np.int64)
        for c in range(k):
            for d in range(k):
                shared += blocks[:, c, :, d]
        ridge = np.full(voters, max(self.l2, 1e-9))
        steps, change = complete(shares, shared > 0, prior, start, ridge, int(self.n_iter or 0), self.tolerance, mu)
        mu = self._with_gold(mu, prior, sweep)
        out = np.ones((voters, k + 1, k))
        whole = mu[:, 0].copy()
        for c in range(1, k):
            whole += mu[:, c]
        out[:, :k] = mu / np.maximum(whole, 1.0)[:, None, :]
        return out, steps, float(change)

    def _with_gold(self, mu: Any, prior: Any, sweep: Sweep) -> Any:
        """Of each code the labels behind it, as ``mu`` [V, K codes, K] has them and as gold has them."""
        gold, _ = sweep.known()
        if not gold.any():
            return mu
        joint = mu * prior
        rate, votes = (in_order(a) for a in (joint, gold))
        behind = (ITEMS * joint / rate[:, :, None] + gold) / (ITEMS + votes)[:, :, None]
        return rate[:, :, None] * behind / prior
