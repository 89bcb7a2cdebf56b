"""Models that weigh each vote by one number of its voter, its skill; posteriors are shares of the weighted votes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from teachkit.label_models.base import Abstain, LabelModel, Learned, class_prior, entries, item_weights
from teachkit.label_models.diagnostics import flips, identifiability, learned
from teachkit.label_models.exact import hexed, unhexed
from teachkit.label_models.kernels import decided_shares, rights, weighted_shares
from teachkit.label_models.start import majority_start, weighted_start
from teachkit.label_models.sweep import Sweep

if TYPE_CHECKING:
    from collections.abc import Mapping

    from teachkit.votes import Votes


class SkillModel(LabelModel):
    """Votes count as much as their voter's skill; subclasses say how skills are learned.

    Abstaining says nothing. On items with gold voters are compared with gold, on
    the others with the majority. A skill is a share of all votes, so gold of a few of the items hardly moves it.
    """

    skills_: Any
    learned_: list[Learned]
    closed: ClassVar[bool] = False
    """Whether the steps are all that there are."""
    steps: int = 1
    tolerance: float = 0.0

    def __init__(self, *, class_prior: Any = "learned", threads: int = 1) -> None:
        self.class_prior = class_prior
        self.threads = threads

    def fit(self, votes: Any, gold: Any | None = None, *, abstain: Abstain = None) -> Self:
        """Learn skills; ``gold`` codes [N] (-1 unknown) are held fixed; ``abstain`` is not used."""
        self._check()
        folded, clamp = self._to_fit(votes, gold)
        weight = item_weights(folded, clamp)
        sweep = Sweep(folded, clamp, weight, threads=self.threads)
        majority = majority_start(sweep)
        skills, done, change = np.ones(len(self.voters_)), 0, None
        while done < self.steps and (change is None or change > self.tolerance):
            weighted_start(sweep, skills)
            decided_shares(sweep.posterior, sweep.clamp)
            sweep.count()
            right, total, _ = rights(sweep.sums)
            found = self._skills(skills, np.where(total > 0, right / np.where(total > 0, total, 1.0), 0.0))
            change = float(np.abs(found - skills).max(initial=0.0))
            skills, done = found, done + 1
        self.skills_ = skills
        weighted_start(sweep, skills)
        sweep.count()
        self.prior_ = class_prior(self.class_prior, sweep.mass, 1.0)
        self.learned_ = learned(sweep)
        self.diagnostics_ = {
            "iterations": done,
            "converged": self.closed or (change is not None and change <= self.tolerance),
            "max_change": change,
            "log_likelihood": None,
            "flips_against_majority": flips(majority, sweep),
            **identifiability(folded, np.ones(len(self.voters_), dtype=bool), self.threads),
        }
        return self

    def _skills(self, before: Any, agreement: Any) -> Any:
        """New skills [V] from those before and from how often each voter agrees with the weighted votes [V]."""
        raise TypeError(f"{type(self).__name__} does not define _skills")

    def pattern_proba(self, votes: Votes) -> Any:
        """Shares of the weighted votes [P, K]; the class prior where nobody votes, or nobody that counts."""
        found = np.empty((votes.n_patterns, votes.n_labels))
        nothing = np.zeros(votes.n_labels)
        rows = (votes.indptr, votes.voter, votes.code)
        weighted_shares(0, len(found), *rows, self.skills_, np.zeros(len(found)), found, nothing)
        found[found.sum(axis=1) == 0.0] = self.prior_
        return found

    def contributions(self, votes: Votes, pattern: int) -> dict[str, Any]:
        """The share of the posterior [K] that each vote is; together they are the posterior."""
        said = [(int(v), int(c)) for v, c in entries(votes, pattern)]
        total = sum(float(self.skills_[v]) for v, _ in said)
        out = {}
        for voter, code in said:
            share = np.zeros(votes.n_labels)
            share[code] = self.skills_[voter] / total if total > 0 else 0.0
            out[self.voters_[voter]] = share
        return out

    def voter_report(self) -> list[Learned]:
        """How often each voter agrees with the weighted votes and with gold."""
        return self.learned_

    def _exact(self) -> dict[str, Any]:
        return {"skills": hexed(self.skills_), "prior": hexed(self.prior_)}

    def _restore(self, parameters: Mapping[str, Any]) -> None:
        self.skills_ = unhexed(parameters["skills"])
        self.prior_ = unhexed(parameters["prior"])
