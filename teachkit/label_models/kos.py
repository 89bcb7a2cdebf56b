"""Messages between items and voters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from teachkit.label_models.kos_kernels import votes_in_messages
from teachkit.label_models.moments import OneVersusRest

if TYPE_CHECKING:
    from teachkit.label_models.base import Abstain
    from teachkit.label_models.sweep import Sweep

SURE = 2.1972245773362196
"""log(0.9 / 0.1): the evidence of the best voter; the messages themselves have no scale."""


class Kos(OneVersusRest):
    """Belief propagation between items and voters (D. Karger, S. Oh, D. Shah, NIPS 2011; Oper. Res. 62, 2014).

    An item tells each of its voters what the others say of it, a voter tells each of its items how often the others
    prove it right. After ``n_iter`` rounds a voter's weight is what its items say of it; it may be negative. It has
    settled if no weight moved by more than ``tolerance`` of the greatest in the last round. The paper
    starts with normal noise; this starts with every voter trusted alike, so that chance has no part. For two labels;
    of more each stands against the rest. Weights have no scale, so the best voter's is taken for an accuracy of 0.9:
    labels are right, posteriors want calibration. Made for many people with few votes each, about as many
    from each: where a few give most of the votes they decide, and it may be worse than the majority. Silence says
    nothing.
    """

    name: ClassVar[str] = "kos"
    version: ClassVar[int] = 1

    def __init__(
        self, *, class_prior: Any = "uniform", n_iter: int = 10, tolerance: float = 0.01, threads: int = 1
    ) -> None:
        super().__init__(class_prior=class_prior, n_iter=n_iter, tolerance=tolerance, threads=threads)

    def _policies(self, abstain: Abstain) -> Any:
        return np.zeros_like(super()._policies(abstain))

    def _weigh(self, sweep: Sweep, label: int) -> tuple[Any, float]:
        trust, votes = np.zeros(len(self.voters_)), sweep.votes
        rows = (votes.indptr, votes.voter, votes.code, sweep.weight, sweep.clamp)
        change = votes_in_messages(*rows, label, int(self.n_iter or 0), trust)
        greatest = float(np.abs(trust).max(initial=0.0))
        own = SURE * trust / greatest if greatest > 0 else np.full(len(trust), SURE / 2)
        return np.stack([own, -own], axis=1), float(change)
