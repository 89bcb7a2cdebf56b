"""Where EM starts: at the shares of the votes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from teachkit.label_models.base import class_prior, decide
from teachkit.label_models.kernels import shares, weighted_shares

if TYPE_CHECKING:
    from teachkit.label_models.sweep import Sweep


def majority_start(sweep: Sweep) -> Any:
    """Set the posteriors to vote shares: known labels, and the mean share where nobody votes; the majority [P]."""
    votes, posterior = sweep.votes, sweep.posterior
    mass = np.zeros(votes.n_labels)
    shares(votes.indptr, votes.code, sweep.weight, posterior, mass)
    majority = decide(posterior, votes.votes_per_pattern, mass, "abstain")
    _complete(sweep, mass)
    return majority


def weighted_start(sweep: Sweep, say: Any) -> Any:
    """Set the posteriors to shares of votes that count ``say`` [V] each; as ``majority_start`` otherwise."""
    mass = np.zeros(sweep.votes.n_labels)
    weighted_shares(sweep.votes.indptr, sweep.votes.voter, sweep.votes.code, say, sweep.weight, sweep.posterior, mass)
    majority = decide(sweep.posterior, sweep.votes.votes_per_pattern, mass, "abstain")
    _complete(sweep, mass)
    return majority


def _complete(sweep: Sweep, mass: Any) -> None:
    """The mean share where nobody votes; known labels."""
    posterior = sweep.posterior
    posterior[sweep.votes.votes_per_pattern == 0] = class_prior("learned", mass, 0.0)
    known = np.flatnonzero(sweep.clamp >= 0)
    posterior[known] = 0.0
    posterior[known, sweep.clamp[known]] = 1.0
