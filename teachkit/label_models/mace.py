"""Who knows, and who fills in what comes to hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from teachkit.label_models.exact import hexed, unhexed
from teachkit.label_models.kernels import in_order, rights
from teachkit.label_models.likelihood import LikelihoodModel
from teachkit.label_models.priors import expected_shares

if TYPE_CHECKING:
    from collections.abc import Mapping

    from teachkit.label_models.base import Abstain


class Mace(LikelihoodModel):
    """A voter either knows the label or fills in by habit.

    D. Hovy et al., Learning Whom to Trust with MACE, NAACL 2013. It knows with one probability, its competence, and
    else gives each label as often as its habit has it. Few numbers for each voter, so it is at its best where people
    have few votes each and some are spammers; it cannot see that two labels are taken for each other. EM with
    variational Bayes, as in the paper: Beta(``alpha``, ``beta``) on competence and a Dirichlet of ``smoothing`` on
    habits. The paper restarts from chance many times and keeps the best; this starts once, at the majority, so that the
    outcome is no matter of chance. Silence says nothing.
    """

    name: ClassVar[str] = "mace"
    version: ClassVar[int] = 1

    def __init__(
        self,
        *,
        class_prior: Any = "uniform",
        alpha: float = 0.5,
        beta: float = 0.5,
        smoothing: float = 0.1,
        n_iter: int | None = 50,
        tolerance: float = 1e-6,
        threads: int = 1,
    ) -> None:
        super().__init__(class_prior=class_prior, n_iter=n_iter, tolerance=tolerance, threads=threads)
        self.alpha = alpha
        self.beta = beta
        self.smoothing = smoothing

    def _check(self) -> None:
        super()._check()
        if not (self.alpha > 0 and self.beta > 0 and self.smoothing > 0):
            raise ValueError("alpha, beta and smoothing are above 0")

    def _policies(self, abstain: Abstain) -> Any:
        return np.zeros_like(super()._policies(abstain))

    def fit(self, votes: Any, gold: Any | None = None, *, abstain: Abstain = None) -> Self:
        """As ``LikelihoodModel.fit``; ``abstain`` is not used."""
        self._knows: Any = None
        return super().fit(votes, gold, abstain=abstain)

    def _likelihood(self, sums: Any, mass: Any) -> Any:
        voters, k, _ = sums.shape
        _right, total, _ = rights(sums)
        if self._knows is None:  # at first half of the right votes are taken for knowledge
            self._knows, self._habit = np.full(voters, 0.5), np.full((voters, k), 1.0 / k)
        own = np.einsum("vcc->vc", sums)
        share = self._knows[:, None] / (self._knows[:, None] + (1.0 - self._knows[:, None]) * self._habit)
        known = np.where(own > 0, own * share, 0.0)
        said, knew = in_order(sums), in_order(known)
        pairs = np.stack([knew, np.maximum(total - knew, 0.0)], axis=1)
        competence = expected_shares(pairs, np.array([self.alpha, self.beta]))
        habit = expected_shares(np.maximum(said - known, 0.0), np.full(k, self.smoothing))
        self._knows = competence[:, 0] / (competence[:, 0] + competence[:, 1])
        self._habit = habit / in_order(habit)[:, None]
        out = np.ones((voters, k + 1, k))
        out[:, :k] = (competence[:, 1:] * habit)[:, :, None]
        out[:, np.arange(k), np.arange(k)] += competence[:, :1]
        return out

    def voter_competence(self) -> Mapping[str, float]:
        """How often each voter knows."""
        return {voter: float(x) for voter, x in zip(self.voters_, self._knows, strict=True)}

    def _exact(self) -> dict[str, Any]:
        return {**super()._exact(), "knows": hexed(self._knows)}

    def _restore(self, parameters: Mapping[str, Any]) -> None:
        super()._restore(parameters)
        self._knows = unhexed(parameters["knows"])
