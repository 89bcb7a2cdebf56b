"""Skills that agree with the labels they lead to."""

from __future__ import annotations

from typing import Any, ClassVar

from teachkit.label_models.skills import SkillModel


class ZeroBasedSkill(SkillModel):
    """A voter's skill is how often it agrees with the vote weighted by skills, so both are found in turn.

    As in crowd-kit: skills move by ``rate`` of the way to the agreement in each step, until none moves by more than
    ``tolerance``. Here they start at 1, so that the first labels are the majority's.
    """

    name: ClassVar[str] = "zero_based_skill"
    version: ClassVar[int] = 1

    def __init__(
        self,
        *,
        class_prior: Any = "learned",
        rate: float = 0.5,
        n_iter: int = 100,
        tolerance: float = 1e-5,
        threads: int = 1,
    ) -> None:
        super().__init__(class_prior=class_prior, threads=threads)
        self.rate = rate
        self.n_iter = n_iter
        self.tolerance = tolerance

    @property
    def steps(self) -> int:  # type: ignore[override]
        """Steps at most."""
        return self.n_iter

    def _check(self) -> None:
        super()._check()
        if not 0 < self.rate <= 1 or self.n_iter < 1:
            raise ValueError("rate is above 0 and at most 1, n_iter 1 or more")

    def _skills(self, before: Any, agreement: Any) -> Any:
        return before + self.rate * (agreement - before)
