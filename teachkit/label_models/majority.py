"""The share of the votes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from teachkit.label_models.base import Abstain, LabelModel, Learned, class_prior, item_weights, leave_one_out
from teachkit.label_models.diagnostics import identifiability, learned
from teachkit.label_models.exact import hexed, unhexed
from teachkit.label_models.kernels import shares
from teachkit.label_models.start import majority_start
from teachkit.label_models.sweep import Sweep

if TYPE_CHECKING:
    from collections.abc import Mapping

    from teachkit.votes import Votes


class Majority(LabelModel):
    """Each vote counts the same; the posterior of a label is its share of the votes.

    Abstaining says nothing. ``class_prior`` serves items without votes and the tie policy ``prior``: learned (the mean
    share, drawn to uniform by one item of each label), uniform, or given. Known gold counts in it, and in the report.
    """

    name: ClassVar[str] = "majority"
    version: ClassVar[int] = 1

    learned_: list[Learned]

    def __init__(self, *, class_prior: Any = "learned", threads: int = 1) -> None:
        self.class_prior = class_prior
        self.threads = threads

    def fit(self, votes: Any, gold: Any | None = None, *, abstain: Abstain = None) -> Self:
        """Learn the class prior, and how often each voter agrees with the shares (its own vote counts in them)."""
        self._check()
        folded, clamp = self._to_fit(votes, gold)
        weight = item_weights(folded, clamp)
        sweep = Sweep(folded, clamp, weight, threads=self.threads)
        majority_start(sweep)
        sweep.count()
        self.learned_ = learned(sweep)
        self.prior_ = class_prior(self.class_prior, sweep.mass, 1.0)
        self.diagnostics_ = {
            "iterations": 0,
            "converged": True,
            "max_change": 0.0,
            "log_likelihood": None,
            "flips_against_majority": 0,
            **identifiability(folded, np.ones(len(self.voters_), dtype=bool), self.threads),
        }
        return self

    def pattern_proba(self, votes: Votes) -> Any:
        """Vote shares [P, K]; the class prior where nobody votes."""
        found = np.empty((votes.n_patterns, votes.n_labels))
        nothing = np.zeros(votes.n_patterns), np.zeros(votes.n_labels)
        shares(0, votes.n_patterns, votes.indptr, votes.code, nothing[0], found, nothing[1])
        found[votes.votes_per_pattern == 0] = self.prior_
        return found

    def contributions(self, votes: Votes, pattern: int) -> dict[str, Any]:
        """The change of each share [K] that a vote makes (this model has no likelihood)."""
        return leave_one_out(self, votes, pattern)

    def voter_report(self) -> list[Learned]:
        """How often each voter agrees with the vote shares and with gold."""
        return self.learned_

    def _exact(self) -> dict[str, Any]:
        return {"prior": hexed(self.prior_)}

    def _restore(self, parameters: Mapping[str, Any]) -> None:
        self.prior_ = unhexed(parameters["prior"])
