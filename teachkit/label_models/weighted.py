"""Votes weighted by how often their voter agrees with the majority, or by given weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from teachkit.label_models.kernels import rights
from teachkit.label_models.likelihood import LikelihoodModel

if TYPE_CHECKING:
    from collections.abc import Mapping

    from teachkit.label_models.base import Abstain
    from teachkit.votes import Votes


class Weighted(LikelihoodModel):
    """Each vote multiplies the odds of its label by its voter's weight; abstaining says nothing.

    The weight is that of a voter which errs evenly and agrees with the majority as often as this one does (worker
    agreement with aggregate, as in crowd-kit's Wawa), smoothed by ``prior_strength`` votes on either side; ``weights``
    (voter -> accuracy between 0 and 1) declares it instead, for all bands of a voter whose votes have scores.
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

    def _check(self) -> None:
        super()._check()
        for voter, weight in (self.weights or {}).items():
            if not 0 <= weight <= 1:
                raise ValueError(f"the weight of voter '{voter}' is an accuracy between 0 and 1, not {weight}")

    def _fit(self, votes: Votes, clamp: Any) -> None:
        super()._fit(votes, clamp)
        self.diagnostics_["converged"] = True  # one step is all there is

    def _policies(self, abstain: Abstain) -> Any:
        unknown = sorted(set(self.weights or {}) - {*self.voters_, *map(_whole, self.voters_)})
        if unknown:
            raise ValueError(f"weights are given for voters that do not vote here: {', '.join(unknown)}")
        return np.zeros_like(super()._policies(abstain))

    def _likelihood(self, sums: Any, mass: Any) -> Any:
        voters, k, _ = sums.shape
        right, total, _ = rights(sums)
        votes = total + 2 * self.prior_strength
        agreement = np.where(votes > 0, (right + self.prior_strength) / np.where(votes > 0, votes, 1.0), 0.5)
        declared = self.weights or {}
        chosen = [
            declared.get(name, declared.get(_whole(name), a)) for name, a in zip(self.voters_, agreement, strict=True)
        ]
        accuracy = np.clip(np.array(chosen, dtype=np.float64), 1e-3, 1 - 1e-3)
        out = np.ones((voters, k + 1, k))
        if k > 1:
            out[:, :k] = ((1 - accuracy) / (k - 1))[:, None, None]
            out[:, np.arange(k), np.arange(k)] = accuracy[:, None]
        return out


def _whole(voter: str) -> str:
    """The voter of which ``voter`` is a band, ``judge`` of ``judge[0.9]``; any other as it is."""
    return voter.partition("[")[0] if voter.endswith("]") else voter
