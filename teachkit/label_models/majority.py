"""The share of the votes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from teachkit.label_models.base import LabelModel, Learned, as_votes, leave_one_out, majority_shares
from teachkit.votes.intervals import wilson

if TYPE_CHECKING:
    from collections.abc import Mapping

    from teachkit.votes import Votes


class Majority(LabelModel):
    """Each vote counts the same; the posterior of a label is its share of the votes.

    Abstaining says nothing. ``class_prior`` serves items without votes and the tie policy ``prior``: learned (the mean
    share), uniform, or given.
    """

    name: ClassVar[str] = "majority"
    version: ClassVar[int] = 1

    def __init__(self, *, class_prior: Any = "learned", threads: int = 1) -> None:
        self.class_prior = class_prior
        self.threads = threads

    def fit(self, votes: Any, *, gold: Any | None = None, abstain: Mapping[str, str] | None = None) -> Self:
        """Learn the class prior; gold is not used."""
        votes = as_votes(votes)
        self.voters_ = votes.voters
        share = majority_shares(votes)
        self.prior_ = self._prior(share, votes)
        right = np.zeros(len(votes.voters))
        weight = votes.counts[votes.entry_pattern].astype(np.float64)
        np.add.at(right, votes.voter, share[votes.entry_pattern, votes.code] * weight)
        total = np.bincount(votes.voter, weights=weight, minlength=len(votes.voters))
        self.learned_ = []
        for voter, good, all_ in zip(votes.voters, right, total, strict=True):
            interval = wilson(good, all_)
            low, high = interval or (None, None)
            self.learned_.append(Learned(voter, float(good / all_) if all_ else None, low, high, None))
        self.diagnostics_ = {"iterations": 0, "converged": True, "max_change": 0.0, "flips_against_majority": 0}
        return self

    def _prior(self, share: Any, votes: Votes) -> Any:
        k = votes.n_labels
        if not isinstance(self.class_prior, str):
            prior = np.asarray(self.class_prior, dtype=np.float64)
            return prior / prior.sum()
        if self.class_prior == "uniform":
            return np.full(k, 1.0 / k)
        weight = (share * votes.counts[:, None]).sum(axis=0) + 1.0
        return weight / weight.sum()

    def pattern_proba(self, votes: Votes) -> Any:
        """Vote shares [P, K]; the class prior where nobody votes."""
        share = majority_shares(votes)
        share[votes.votes_per_pattern == 0] = self.prior_
        return share

    def contributions(self, votes: Votes, pattern: int) -> dict[str, Any]:
        """The change of each share [K] that a vote makes (this model has no likelihood)."""
        return leave_one_out(self, votes, pattern)

    def voter_report(self) -> list[Learned]:
        """How often each voter agrees with the vote shares (its own vote counts in them)."""
        return self.learned_

    def parameters(self) -> dict[str, Any]:
        """The prior, exactly."""
        return {
            "model": self.name,
            "version": self.version,
            "voters": list(self.voters_),
            "prior": [float(x).hex() for x in self.prior_],
            "diagnostics": self.diagnostics_,
            "learned": [found.as_dict() for found in self.learned_],
        }

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, Any]) -> Self:
        """The fitted model again."""
        model = cls()
        model.voters_ = tuple(parameters["voters"])
        model.prior_ = np.array([float.fromhex(x) for x in parameters["prior"]])
        model.diagnostics_ = dict(parameters["diagnostics"])
        model.learned_ = [Learned(**found) for found in parameters["learned"]]
        return model
