"""Votes weighted by how often their voter agrees with the majority, or by given weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from teachkit.label_models.base import LikelihoodModel

if TYPE_CHECKING:
    from collections.abc import Mapping

    from teachkit.votes import Votes


class Weighted(LikelihoodModel):
    """Each vote multiplies the odds of its label by its voter's weight; abstaining says nothing.

    The weight is that of a voter which errs evenly and agrees with the majority as often as this one does (worker
    agreement with aggregate, as in crowd-kit's Wawa), smoothed by ``prior_strength`` votes on either side; ``weights``
    (voter -> accuracy between 0 and 1) declares it instead.
    """

    name: ClassVar[str] = "weighted"
    version: ClassVar[int] = 1

    def __init__(
        self,
        *,
        weights: Mapping[str, float] | None = None,
        class_prior: Any = "learned",
        prior_strength: float = 1.0,
        threads: int = 1,
    ) -> None:
        super().__init__(class_prior=class_prior, prior_strength=prior_strength, n_iter=1, threads=threads)
        self.weights = weights

    def _learn(self, sums: Any, mass: Any, votes: Votes) -> None:
        self.informative_ = np.zeros(len(votes.voters), dtype=bool)
        super()._learn(sums, mass, votes)

    def _likelihood(self, sums: Any, mass: Any) -> Any:
        voters, k, _ = sums.shape
        out = np.ones((voters, k + 1, k))
        for v, name in enumerate(self.voters_):
            right, total = float(np.trace(sums[v])), float(sums[v].sum())
            learned = (
                (right + self.prior_strength) / (total + 2 * self.prior_strength)
                if total + self.prior_strength > 0
                else 0.5
            )
            a = min(max((self.weights or {}).get(name, learned), 1e-3), 1 - 1e-3)
            out[v, :k] = (1 - a) / max(k - 1, 1)
            out[v, np.arange(k), np.arange(k)] = a
        return out
