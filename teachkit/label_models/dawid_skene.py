"""Dawid–Skene with priors, and with silence as an answer where it says something."""

from __future__ import annotations

from typing import Any, ClassVar

from teachkit.label_models.kernels import confusion_rows
from teachkit.label_models.one_coin import OneCoin


class DawidSkene(OneCoin):
    """A confusion matrix for each voter, by EM (A. P. Dawid, A. M. Skene, Appl. Statist. 28, 1979), with priors.

    Each row of a voter's matrix is drawn towards the row of a one-coin voter with the same accuracy
    (``row_strength`` votes of it), the accuracy towards that of all voters (``accuracy_strength`` votes), so few votes
    never give certainty. ``prior_strength=0`` turns all priors off; with ``abstain="at_random"`` that is the classic
    model.

    Silence, steps and the class prior are as in ``OneCoin``: for a plain matrix of labeling functions the defaults are
    right, for people's votes write ``fit(votes, abstain="at_random")``.
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
        silence_weight: float = 0.25,
        n_iter: int | None = None,
        tolerance: float = 1e-6,
        threads: int = 1,
    ) -> None:
        super().__init__(
            class_prior=class_prior,
            prior_strength=prior_strength,
            accuracy_strength=accuracy_strength,
            silence_weight=silence_weight,
            n_iter=n_iter,
            tolerance=tolerance,
            threads=threads,
        )
        self.row_strength = row_strength

    def _check(self) -> None:
        super()._check()
        if self.row_strength < 0:
            raise ValueError("row_strength is 0 or more")

    def _likelihood(self, sums: Any, mass: Any) -> Any:
        coin = self._coin(sums, mass)
        return confusion_rows(sums, mass, coin, self.informative_, float(self.row_strength * self.prior_strength))

    def _coin(self, sums: Any, mass: Any) -> Any:
        """The rows [V, K + 1, K] that a voter's are drawn to."""
        return super()._likelihood(sums, mass)
