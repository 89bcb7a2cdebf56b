"""Where EM starts: at the shares of the votes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from teachkit.label_models.base import class_prior

if TYPE_CHECKING:
    from teachkit.label_models.sweep import Sweep


def majority_start(sweep: Sweep) -> Any:
    """Set the posteriors to vote shares: known labels, and the mean share where nobody votes; the majority [P]."""
    return _start(sweep, sweep.share())


def weighted_start(sweep: Sweep, say: Any) -> Any:
    """Set the posteriors to shares of votes that count ``say`` [V] each; as ``majority_start`` otherwise."""
    return _start(sweep, sweep.share(None if (say == 1.0).all() else say))


def _start(sweep: Sweep, mass: Any) -> Any:
    """The majority [P]; to the posteriors the mean share where nobody votes, and known labels."""
    posterior, votes = sweep.posterior, sweep.votes.votes_per_pattern
    majority = sweep.decided()
    posterior[votes == 0] = class_prior("learned", mass, 0.0)
    known = np.flatnonzero(sweep.clamp >= 0)
    posterior[known] = 0.0
    posterior[known, sweep.clamp[known]] = 1.0
    return majority
