"""One accuracy for each voter."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from teachkit.label_models.base import LikelihoodModel
from teachkit.label_models.dawid_skene import one_coin_rows


class OneCoin(LikelihoodModel):
    """Each voter is right with one probability, whatever the label (the one-coin model of Zhang et al., JMLR 17, 2016).

    The accuracy is drawn towards that of all voters by ``accuracy_strength`` votes. Silence is ``informative`` or
    ``at_random`` as in ``DawidSkene``, whose rows this model takes as they are.
    """

    name: ClassVar[str] = "one_coin"
    version: ClassVar[int] = 1

    def __init__(
        self,
        *,
        class_prior: Any = "learned",
        prior_strength: float = 1.0,
        accuracy_strength: float = 4.0,
        n_iter: int | None = None,
        tolerance: float = 1e-6,
        threads: int = 1,
    ) -> None:
        super().__init__(
            class_prior=class_prior, prior_strength=prior_strength, n_iter=n_iter, tolerance=tolerance, threads=threads
        )
        self.accuracy_strength = accuracy_strength

    def _likelihood(self, sums: Any, mass: Any) -> Any:
        rows = one_coin_rows(sums, mass, self.prior_, self.informative_, self.accuracy_strength * self.prior_strength)
        return np.maximum(rows, 1e-12)
