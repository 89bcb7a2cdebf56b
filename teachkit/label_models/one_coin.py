"""One accuracy for each voter, and silence as an answer where it says something."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np

from teachkit.label_models.kernels import FLOOR, one_coin_rows, rights
from teachkit.label_models.likelihood import LikelihoodModel

COMMON = 0.7
"""The accuracy that all voters are drawn to."""


class OneCoin(LikelihoodModel):
    """Each voter is right with one probability, whatever the label (the one-coin model of Zhang et al., JMLR 17, 2016).

    The accuracy is drawn towards that of all voters by ``accuracy_strength`` votes, theirs towards 0.7; it is never
    taken for more than 0.995, so few votes never give certainty. ``prior_strength=0`` turns all priors off.

    Silence is, for each voter, ``at_random`` (it says nothing: a person was not asked) or ``informative`` (one more
    outcome: a labeling function that looked and stayed silent). ``fit`` without ``abstain`` takes it for informative,
    as a plain matrix with -1 is what labeling functions give: given only votes, those that vote for one label each
    look infallible and EM collapses, while people's votes lose little by it. As labeling functions are silent
    together, their silence counts by ``silence_weight`` only (1: as if they were independent), the learned class prior
    is drawn half-way to uniform, and EM stops after three steps (with about one vote for each item it drifts from the
    class to another split of the data). With all voters at random it runs until no posterior changes by more than
    ``tolerance``, 100 steps at most. ``n_iter`` sets the number of steps.
    """

    name: ClassVar[str] = "one_coin"
    version: ClassVar[int] = 1

    def __init__(
        self,
        *,
        class_prior: Any = "learned",
        prior_strength: float = 1.0,
        accuracy_strength: float = 4.0,
        silence_weight: float = 0.25,
        n_iter: int | None = None,
        tolerance: float = 1e-6,
        threads: int = 1,
    ) -> None:
        super().__init__(
            class_prior=class_prior, prior_strength=prior_strength, n_iter=n_iter, tolerance=tolerance, threads=threads
        )
        self.accuracy_strength = accuracy_strength
        self.silence_weight = silence_weight

    def _check(self) -> None:
        super()._check()
        if self.accuracy_strength < 0 or self.silence_weight < 0:
            raise ValueError("accuracy_strength and silence_weight are 0 or more")

    def _likelihood(self, sums: Any, mass: Any) -> Any:
        items = max(math.fsum(mass), 1e-12)
        return one_coin_rows(sums, items, self._accuracy(sums), self.prior_, self.informative_)

    def _accuracy(self, sums: Any) -> Any:
        """The accuracy of each voter [V], shrunk."""
        right, total, _ = rights(sums)
        strength = self.accuracy_strength * self.prior_strength
        votes = math.fsum(total) + strength
        common = (math.fsum(right) + strength * COMMON) / votes if votes > 0 else COMMON
        some = total + strength > 0
        accuracy = np.where(some, (right + strength * common) / np.where(some, total + strength, 1.0), common)
        return np.clip(accuracy, 1.0 / (2 * sums.shape[1]), 0.995 if strength > 0 else 1.0 - FLOOR)
