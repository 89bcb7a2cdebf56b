"""The compiled loops of what votes are worth: of how many known answers a voter's accuracy is as sure."""

from __future__ import annotations

from typing import Any

import numpy as np

from teachkit.label_models.kernels import log
from teachkit.votes.jit import jit
from teachkit.votes.parts import in_parts
from teachkit.votes.patterns import entries_of

_BINS = 64
_DROP = 1.920729410347  # half of 1.96 squared: the 95 % interval of a likelihood
_EDGE = 1e-12
_FEW = 64
"""For fewer voters one thread is as fast."""


def no_chances(voters: int) -> Any:
    """Of no votes what ``chances`` sums up: [V, bins, 2]."""
    return np.zeros((voters, _BINS, 2))


def within(share: Any) -> Any:
    """Accuracies a little away from 0 and 1."""
    return np.clip(share, _EDGE, 1.0 - _EDGE)


@jit
def chances(
    start: int, stop: int, indptr: Any, voter: Any, code: Any, weight: Any, posterior: Any, share: Any, found: Any
) -> None:  # pragma: no cover - compiled
    """Add to ``found`` [V, bins, 2] the votes of patterns start..stop, by how sure others are of what they say.

    A label that a voter gives has the probability q, and s = q (1 - a) / (q (1 - a) + (1 - q) a) without its own vote,
    where a is its accuracy ``share`` [V], away from 0 and 1. First the number of votes, then the sum of s.
    """
    for p in range(np.uint64(start), np.uint64(stop)):
        times = weight[p]
        for i in entries_of(indptr, p):
            v = np.uint64(voter[i])
            q, a = posterior[p, np.uint64(code[i])], share[v]
            mine = q * (1.0 - a)
            s = mine / (mine + (1.0 - q) * a)
            place = np.uint64(min(s * _BINS, _BINS - 1.0))
            found[v, place, 0] += times
            found[v, place, 1] += times * s


def worth(found: Any, share: Any, threads: int = 1) -> tuple[Any, Any]:
    """How many votes of known truth would say as much of each voter's accuracy [V], against less and against more.

    With s as in ``chances``, whose sums are ``found``, and a, the accuracy ``share`` [V], the mean of q: as a function
    of t, the log-likelihood of a voter's votes is the sum of log(t s + (1 - t)(1 - s)), concave with its top at t = a.
    That of a binomial sample of n trials falls by n KL(a, t) from there; the n found here is the one with which both
    fall by ``_DROP`` at the same t. It is the number of votes where each s is 0 or 1, and nothing where each is 1/2.
    The sum goes over ``_BINS`` means of s. Other voters are taken as they are. ``share`` is ``within`` its bounds.
    """
    below, above = np.zeros(len(share)), np.zeros(len(share))

    def one(start: int, stop: int) -> None:
        _worth(start, stop, found, share, np.empty((3, _BINS)), below, above)

    in_parts(one, len(share), threads, least=_FEW)
    return below, above


@jit
def _worth(
    start: int, stop: int, found: Any, share: Any, place: Any, below: Any, above: Any
) -> None:  # pragma: no cover - compiled
    """Of voters start..stop; ``place`` [3, bins] holds numbers and means of s, and the logarithms at the top."""
    for v in range(start, stop):
        a, bins, total = share[v], 0, 0.0
        for b in range(_BINS):
            if found[v, b, 0] > 0.0:
                s = min(found[v, b, 1] / found[v, b, 0], 1.0)
                place[0, bins], place[1, bins] = found[v, b, 0], s
                place[2, bins] = log(a * s + (1.0 - a) * (1.0 - s))
                total += found[v, b, 0]
                bins += 1
        for side in range(2):
            near, far = a, _EDGE if side == 0 else 1.0 - _EDGE
            middle, falls = far, total > 0.0
            for step in range(27):
                if _fall(bins, place, middle) < _DROP:
                    near = middle
                    falls = falls and step > 0
                else:
                    far = middle
                middle = 0.5 * (near + far)
            if not falls:
                continue
            apart = a * log(a / near) + (1.0 - a) * log((1.0 - a) / (1.0 - near))
            trials = min(_DROP / apart, total) if apart > 0.0 else total
            if side == 0:
                below[v] = trials
            else:
                above[v] = trials


@jit
def _fall(bins: int, place: Any, t: float) -> float:  # pragma: no cover - compiled
    """How much less likely a voter's votes are with the accuracy t than at the top."""
    fall = 0.0
    for b in range(bins):
        s = place[1, b]
        fall += place[0, b] * (place[2, b] - log(t * s + (1.0 - t) * (1.0 - s)))
    return fall
