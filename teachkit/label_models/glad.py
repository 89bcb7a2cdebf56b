"""Easy items and hard ones."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from teachkit.label_models.base import (
    Abstain,
    LabelModel,
    Learned,
    class_prior,
    item_weights,
    leave_one_out,
    none_known,
)
from teachkit.label_models.diagnostics import flips, identifiability, learned
from teachkit.label_models.exact import hexed, unhexed
from teachkit.label_models.glad_kernels import abilities, infer
from teachkit.label_models.kernels import log_all
from teachkit.label_models.start import majority_start
from teachkit.label_models.sweep import Sweep
from teachkit.votes.parts import in_parts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from teachkit.votes import Votes


class Glad(LabelModel):
    """A voter is right with probability 1 / (1 + exp(-a b)), a its ability, b > 0 how easy the item is.

    J. Whitehill et al., Whose Vote Should Count More, NIPS 2009; wrong votes are even over the other labels. Normal
    priors of mean 1 and variance 1 on abilities and on log b, as in crowd-kit. EM from the majority; abilities by
    Newton's steps, and each item's ease with its posterior. Items with the same votes are as easy as each other, and
    so are items that were not fitted: their ease is found from their votes and the abilities. Best for people of whom
    each item has several; an item with one vote has no difficulty to speak of. Silence says nothing. Votes on gold
    count as those on an item whose label is beyond doubt, no more.
    """

    name: ClassVar[str] = "glad"
    version: ClassVar[int] = 1

    abilities_: Any
    learned_: list[Learned]

    def __init__(
        self, *, class_prior: Any = "uniform", n_iter: int = 100, tolerance: float = 1e-5, threads: int = 1
    ) -> None:
        self.class_prior = class_prior
        self.n_iter = n_iter
        self.tolerance = tolerance
        self.threads = threads

    def fit(self, votes: Any, gold: Any | None = None, *, abstain: Abstain = None) -> Self:
        """Learn abilities; ``gold`` codes [N] (-1 unknown) are held fixed; ``abstain`` is not used."""
        self._check()
        folded, clamp = self._to_fit(votes, gold)
        weight = item_weights(folded, clamp)
        sweep = Sweep(folded, clamp, weight, threads=self.threads)
        majority = majority_start(sweep)
        sweep.count()
        rows = (folded.indptr, folded.voter, folded.code)
        self.abilities_, ease = np.ones(len(self.voters_)), np.zeros(folded.n_patterns)
        done, change = 0, math.inf
        while done < self.n_iter and change > self.tolerance:
            self.prior_ = class_prior(self.class_prior, sweep.mass, 1.0)
            abilities(*rows, weight, sweep.posterior, ease, self.abilities_)
            prior = log_all(np.maximum(self.prior_, 1e-300))
            change = self._infer(*rows, clamp, prior, self.abilities_, ease, sweep.posterior)
            sweep.count()
            done += 1
        self.prior_ = class_prior(self.class_prior, sweep.mass, 1.0)
        self.learned_ = learned(sweep)
        self.diagnostics_ = {
            "iterations": done,
            "converged": change <= self.tolerance,
            "max_change": change if done else None,
            "log_likelihood": None,
            "flips_against_majority": flips(majority, sweep),
            **identifiability(folded, np.zeros(len(self.voters_), dtype=bool), self.threads),
        }
        return self

    def _check(self) -> None:
        super()._check()
        if self.n_iter < 0:
            raise ValueError(f"n_iter is 0 or more, not {self.n_iter}")

    def pattern_proba(self, votes: Votes) -> Any:
        """Posterior of each pattern [P, K], with the ease that its votes show; the class prior where nobody votes."""
        found, ease = np.tile(self.prior_, (votes.n_patterns, 1)), np.zeros(votes.n_patterns)
        nothing = none_known(votes.n_patterns)
        prior = log_all(np.maximum(self.prior_, 1e-300))
        rows = (votes.indptr, votes.voter, votes.code)
        for _ in range(self.n_iter):
            if self._infer(*rows, nothing, prior, self.abilities_, ease, found) <= self.tolerance:
                break
        found[votes.votes_per_pattern == 0] = self.prior_
        return found

    def _infer(self, indptr: Any, *rest: Any) -> float:
        """``glad_kernels.infer`` of all patterns: each stands alone, so that threads change nothing."""
        return max(in_parts(lambda start, stop: infer(start, stop, indptr, *rest), len(indptr) - 1, self.threads))

    def contributions(self, votes: Votes, pattern: int) -> dict[str, Any]:
        """The change of each posterior [K] that a vote makes: ease ties the votes of an item together."""
        return leave_one_out(self, votes, pattern)

    def voter_report(self) -> list[Learned]:
        """How often each voter is right, by the posteriors."""
        return self.learned_

    def _exact(self) -> dict[str, Any]:
        return {
            "n_iter": self.n_iter,
            "tolerance": float(self.tolerance).hex(),
            "abilities": hexed(self.abilities_),
            "prior": hexed(self.prior_),
        }

    def _restore(self, parameters: Mapping[str, Any]) -> None:
        self.n_iter, self.tolerance = parameters["n_iter"], float.fromhex(parameters["tolerance"])
        self.abilities_ = unhexed(parameters["abilities"])
        self.prior_ = unhexed(parameters["prior"])
