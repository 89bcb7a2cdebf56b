"""Models that are fitted to how often pairs of voters say what, not to each item."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from teachkit.label_models.base import class_prior
from teachkit.label_models.kernels import exp_all
from teachkit.label_models.likelihood import LikelihoodModel
from teachkit.label_models.start import majority_start
from teachkit.label_models.sweep import Sweep
from teachkit.votes.together import outcomes_together

if TYPE_CHECKING:
    from teachkit.label_models.base import Learned
    from teachkit.votes import Votes

MOST_OUTCOMES = 4096
"""Voters times labels at most: their square is counted."""


class TooManyVoters(ValueError):
    """There are more voters and labels than pairs of them are counted; ``advice`` is what a build says to do."""

    advice = "write 'type: auto', which takes any number of voters"

    def __init__(self, voters: int, labels: int) -> None:
        super().__init__(
            f"{voters:,} voters of {labels:,} labels are too many for a model of pairs: voters times labels are "
            f"{MOST_OUTCOMES:,} at most"
        )


class MomentModel(LikelihoodModel):
    """A ``LikelihoodModel`` whose likelihoods come from one look at the votes."""

    def _fit(self, votes: Votes, clamp: Any) -> None:
        from teachkit.label_models.diagnostics import flips, identifiability

        weight = self._weight(votes, clamp)
        sweep = Sweep(votes, clamp, weight, threads=self.threads)
        majority = majority_start(sweep)
        if isinstance(self.class_prior, str) and self.class_prior == "learned":
            sweep.count()
            self.prior_ = class_prior("learned", sweep.mass, 1.0)
        else:
            self.prior_ = class_prior(self.class_prior, np.ones(votes.n_labels), 1.0)
        self.likelihood_, steps, change = self._of_moments(sweep)
        _, scored = sweep.step(*self._tables())
        self.learned_ = self._report(votes, sweep)
        self.diagnostics_ = {
            "iterations": steps,
            "converged": change <= self.tolerance,
            "max_change": change,
            "log_likelihood": scored if np.isfinite(scored) else None,
            "flips_against_majority": flips(majority, sweep),
            **identifiability(votes, self.informative_, self.threads),
        }

    def _of_moments(self, sweep: Sweep) -> tuple[Any, int, float]:
        """[V, K + 1, K], the steps that it took, and how much the last one changed; ``prior_`` is known."""
        raise TypeError(f"{type(self).__name__} does not define _of_moments")


class OneVersusRest(MomentModel):
    """Each label against the rest: what a vote for it, and a vote for another, say of the odds of it."""

    def _of_moments(self, sweep: Sweep) -> tuple[Any, int, float]:
        voters, labels, change = len(self.voters_), sweep.votes.n_labels, 0.0
        odds = np.zeros((voters, labels, labels))  # of a vote for c, the log-odds of y
        for y in range(1 if labels == 2 else labels):
            own_other, last = self._weigh(sweep, y)
            change = max(change, last)
            odds[:, :, y] = own_other[:, 1:]
            odds[:, y, y] = own_other[:, 0]
        if labels == 2:  # one against the other is the same question twice: half to each side
            odds[:, :, 0] *= 0.5
            odds[:, :, 1] = -odds[:, :, 0]
        out = np.ones((voters, labels + 1, labels))
        out[:, :labels] = exp_all(np.clip(odds, -30.0, 30.0).ravel()).reshape(odds.shape)
        return out, int(self.n_iter or 1), change

    def _report(self, votes: Votes, sweep: Sweep) -> list[Learned]:
        """Odds are no confusion matrix."""
        return [replace(found, confusion=None, support=None) for found in super()._report(votes, sweep)]

    def _weigh(self, sweep: Sweep, label: int) -> tuple[Any, float]:
        """[V, 2]: the log-odds of ``label`` that a vote for it makes, and one for another; what the last step moved."""
        raise TypeError(f"{type(self).__name__} does not define _weigh")


def outcome_counts(votes: Votes, threads: int = 1) -> Any:
    """On how many items voter u says c and voter v says d [V K, V K].

    Raises:
        TooManyVoters: there are too many voters and labels for that.
    """
    if len(votes.voters) * votes.n_labels > MOST_OUTCOMES:
        raise TooManyVoters(len(votes.voters), votes.n_labels)
    return outcomes_together(votes, threads)
