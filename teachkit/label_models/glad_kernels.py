"""The compiled loops of GLAD: abilities of voters, ease of items. ``ease`` holds log b."""

from __future__ import annotations

from typing import Any

import numpy as np

from teachkit.label_models.kernels import exp, log
from teachkit.votes.jit import jit

_NEWTON = 4


@jit
def _chance(x: float) -> float:  # pragma: no cover - compiled
    """The logistic function, away from 0 and 1."""
    found = 1.0 / (1.0 + exp(-min(max(x, -30.0), 30.0)))
    return float(min(max(found, 1e-9), 1.0 - 1e-9))


@jit
def abilities(
    indptr: Any, voter: Any, code: Any, weight: Any, posterior: Any, ease: Any, ability: Any
) -> None:  # pragma: no cover - compiled
    """Newton's steps on the ability of each voter [V], with a standard normal prior around 1."""
    slope, bend = np.zeros(len(ability)), np.zeros(len(ability))
    for _ in range(_NEWTON):
        for v in range(len(ability)):
            slope[v] = 1.0 - ability[v]
            bend[v] = 1.0
        for p in range(len(weight)):
            if weight[p] == 0.0:
                continue
            b = exp(ease[p])
            for i in range(indptr[p], indptr[p + 1]):
                v = voter[i]
                chance = _chance(ability[v] * b)
                slope[v] += weight[p] * b * (posterior[p, code[i]] - chance)
                bend[v] += weight[p] * b * b * chance * (1.0 - chance)
        for v in range(len(ability)):
            ability[v] += min(max(slope[v] / bend[v], -1.0), 1.0)


@jit
def infer(
    first: int,
    last: int,
    indptr: Any,
    voter: Any,
    code: Any,
    clamp: Any,
    prior: Any,
    ability: Any,
    ease: Any,
    posterior: Any,
) -> float:  # pragma: no cover - compiled
    """New ease [P] by posteriors [P, K], then new posteriors by it; the greatest change of a posterior.

    Of the patterns first..last.
    """
    labels = len(prior)
    scores = np.zeros(labels)
    change = 0.0
    for p in range(first, last):
        start, stop = indptr[p], indptr[p + 1]
        if start == stop and clamp[p] < 0:
            continue
        for _ in range(_NEWTON):
            b = exp(ease[p])
            slope, bend = 1.0 - ease[p], 1.0
            for i in range(start, stop):
                x = ability[voter[i]] * b
                chance = _chance(x)
                slope += x * (posterior[p, code[i]] - chance)
                bend += x * x * chance * (1.0 - chance)
            ease[p] += min(max(slope / bend, -1.0), 1.0)
            ease[p] = min(max(ease[p], -3.0), 5.0)
        b = exp(ease[p])
        for k in range(labels):
            scores[k] = prior[k]
        for i in range(start, stop):
            chance = _chance(ability[voter[i]] * b)
            wrong = log((1.0 - chance) / max(labels - 1, 1))
            right = log(chance)
            for k in range(labels):
                scores[k] += right if k == code[i] else wrong
        top = scores[0]
        for k in range(1, labels):
            top = max(top, scores[k])
        total = 0.0
        for k in range(labels):
            scores[k] = exp(scores[k] - top)
            if clamp[p] >= 0:
                scores[k] = 1.0 if k == clamp[p] else 0.0
            total += scores[k]
        for k in range(labels):
            found = scores[k] / total
            change = max(change, abs(found - posterior[p, k]))
            posterior[p, k] = found
    return change
