"""Models in which each vote multiplies the odds of the labels, learned by EM."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from teachkit.label_models.base import Abstain, LabelModel, Learned, class_prior, entries, item_weights
from teachkit.label_models.diagnostics import flips, identifiability, learned
from teachkit.label_models.exact import hexed, unhexed
from teachkit.label_models.kernels import log_all, rights, tables
from teachkit.label_models.start import majority_start
from teachkit.label_models.sweep import Sweep

if TYPE_CHECKING:
    from collections.abc import Sequence

    from teachkit.votes import Votes

POLICIES = ("informative", "at_random")
FEW_STEPS, MANY_STEPS = 3, 100


class LikelihoodModel(LabelModel):
    """Models in which each vote multiplies the odds of the labels; subclasses say what is learned from expected votes.

    ``likelihood_`` [V, K + 1, K]: probability of each outcome (a label, or silence last) given the true label. For a
    voter whose silence is ``at_random`` the outcomes are given that it votes, and silence has probability 1.
    """

    likelihood_: Any
    informative_: Any
    learned_: list[Learned]
    silence_weight: float = 1.0

    def __init__(
        self,
        *,
        class_prior: Any = "learned",
        prior_strength: float = 1.0,
        n_iter: int | None = None,
        tolerance: float = 1e-6,
        threads: int = 1,
    ) -> None:
        self.class_prior = class_prior
        self.prior_strength = prior_strength
        self.n_iter = n_iter
        self.tolerance = tolerance
        self.threads = threads

    def fit(self, votes: Any, gold: Any | None = None, *, abstain: Abstain = None) -> Self:
        """Maximum a posteriori by EM from a majority start.

        Args:
            votes: ``Votes``, or a matrix of codes [N, V] with -1 for abstain.
            gold: Codes [N], -1 where unknown; known labels are held fixed.
            abstain: What silence says: ``informative`` or ``at_random``, for all voters or by name. None, or a voter
                without a name there: ``informative``.
        """
        self._check()
        folded, clamp = self._to_fit(votes, gold)
        self.informative_ = self._policies(abstain)
        self._fit(folded, clamp)
        return self

    def _check(self) -> None:
        super()._check()
        if self.n_iter is not None and self.n_iter < 0:
            raise ValueError(f"n_iter is 0 or more, not {self.n_iter}")
        if self.prior_strength < 0 or self.silence_weight < 0:
            raise ValueError("prior_strength and silence_weight are 0 or more")

    def _policies(self, abstain: Abstain) -> Any:
        """Whether silence is informative [V]."""
        return policies_of(abstain, self.voters_, "informative") == "informative"

    def _fit(self, votes: Votes, clamp: Any) -> None:
        weight = self._weight(votes, clamp)
        limit = self.n_iter if self.n_iter is not None else FEW_STEPS if self.informative_.any() else MANY_STEPS
        done, change, scored = 0, None, math.nan
        sweep = Sweep(votes, clamp, weight, threads=self.threads)
        majority = majority_start(sweep)
        sweep.count()
        self._learn(sweep.sums, sweep.mass)
        while done < limit and (change is None or change > self.tolerance):
            if done:
                self._learn(sweep.sums, sweep.mass)
            change, scored = sweep.step(*self._tables())
            done += 1
        self.learned_ = self._report(votes, sweep)
        self.diagnostics_ = {
            "iterations": done,
            "converged": change is not None and change <= self.tolerance,
            "max_change": change,
            "log_likelihood": scored if np.isfinite(scored) else None,
            "flips_against_majority": flips(majority, sweep),
            **identifiability(votes, self.informative_, self.threads),
        }

    def _weight(self, votes: Votes, clamp: Any) -> Any:
        return item_weights(votes, clamp, self.informative_)

    def _learn(self, sums: Any, mass: Any) -> None:
        self.prior_ = self._class_prior(mass)
        self.likelihood_ = self._likelihood(sums, mass)

    def _class_prior(self, mass: Any) -> Any:
        """Drawn to uniform by one item of each label; half-way where silence is informative.

        How often labeling functions vote for a label says little of how frequent it is.
        """
        by = math.fsum(mass) / len(mass) if self.informative_.any() else 1.0
        return class_prior(self.class_prior, mass, self.prior_strength * by)

    def _likelihood(self, sums: Any, mass: Any) -> Any:
        """[V, K + 1, K] from expected votes [V, K codes, K] and items [K]; ``prior_`` is known."""
        raise TypeError(f"{type(self).__name__} does not define _likelihood")

    def _tables(self) -> tuple[Any, Any]:
        return tables(self.likelihood_, self.prior_, self.informative_, float(self.silence_weight))

    def _report(self, votes: Votes, sweep: Sweep) -> list[Learned]:
        _, _, support = rights(sweep.sums)
        out = []
        for v, found in enumerate(learned(sweep)):
            items = sweep.mass if self.informative_[v] else support[v]
            rows = self.likelihood_[v] if self.informative_[v] else self.likelihood_[v, :-1]
            out.append(replace(found, confusion=[_numbers(row) for row in rows.T], support=_numbers(items)))
        return out

    def voter_report(self) -> list[Learned]:
        """What was learned of each voter: expected share of right votes with its interval, confusion with support."""
        return self.learned_

    def pattern_proba(self, votes: Votes) -> Any:
        """Posterior of each pattern [P, K]; the class prior where nobody votes."""
        sweep = Sweep(votes, threads=self.threads)
        sweep.infer(*self._tables())
        sweep.posterior[votes.votes_per_pattern == 0] = self.prior_
        return sweep.posterior

    def contributions(self, votes: Votes, pattern: int) -> dict[str, Any]:
        """Log-likelihood [K] that each voter adds: those that voted, and those whose silence says something.

        Prior (``log_prior``) plus all of them is the log posterior up to a constant. Empty where nobody votes: there
        the posterior is the prior.
        """
        said = {int(v): int(c) for v, c in entries(votes, pattern)}
        out = {}
        for index, voter in enumerate(self.voters_ if said else ()):
            if index in said:
                out[voter] = log_all(self.likelihood_[index, said[index]])
            elif self.informative_[index]:
                out[voter] = self.silence_weight * log_all(self.likelihood_[index, -1])
        return out

    @property
    def log_prior(self) -> Any:
        """[K] logarithm of the class prior."""
        return log_all(self.prior_)

    def _exact(self) -> dict[str, Any]:
        return {
            "informative": [bool(i) for i in self.informative_],
            "silence_weight": float(self.silence_weight).hex(),
            "prior": hexed(self.prior_),
            "shape": list(self.likelihood_.shape),
            "likelihood": hexed(self.likelihood_),
        }

    def _restore(self, parameters: Mapping[str, Any]) -> None:
        self.informative_ = np.array(parameters["informative"], dtype=bool)
        self.silence_weight = float.fromhex(parameters["silence_weight"])
        self.prior_ = unhexed(parameters["prior"])
        self.likelihood_ = unhexed(parameters["likelihood"]).reshape(parameters["shape"])


def policies_of(abstain: Abstain, voters: Sequence[str], default: str) -> Any:
    """What the silence of each voter says, as an array of words [V]; ``default`` where nothing is said of it.

    Raises:
        ValueError: it is no policy, or said of somebody who is no voter.
    """
    if not (abstain is None or isinstance(abstain, str | Mapping)):
        raise ValueError(f"abstain is one of {', '.join(POLICIES)}, or a mapping from voters, not {abstain!r}")
    by_name = abstain if isinstance(abstain, Mapping) else {}
    unknown = sorted(map(str, set(by_name) - set(voters)))
    if unknown:
        raise ValueError(f"abstain is given for voters that do not vote here: {', '.join(unknown)}")
    others = abstain if isinstance(abstain, str) else default
    policies = [by_name.get(voter, others) for voter in voters]
    for voter, policy in zip(voters, policies, strict=True):
        if policy not in POLICIES and policy != default:
            raise ValueError(f"silence of voter '{voter}' is one of {', '.join(POLICIES)}, not '{policy}'")
    return np.array(policies, dtype=object)


def _numbers(values: Any) -> list[float]:
    return [float(x) for x in values]
