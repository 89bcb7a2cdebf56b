"""The compiled loops of ``plackett_luce``: utilities of an item's candidates, and how reliable voters are.

An answer is an order of candidates, the best first; a voter of reliability r chooses, one after the other, among those
that are left, with chances in proportion to e^(r u), u being a candidate's utility. Of E answers ``order`` holds the
candidates (numbered within their item), answer e from ``starts[e]`` to ``starts[e + 1]``; item i has the answers
``first[i]`` to ``first[i + 1]`` and the candidates ``base[i]`` to ``base[i + 1]``. All sums have a fixed order.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from teachkit.label_models.kernels import exp, log
from teachkit.votes.jit import jit

STEPS, HALVINGS = 50, 30
ENOUGH = 1e-13
_NODES = (0.0, -1.355626179974266, 1.355626179974266, -2.856970013872806, 2.856970013872806)
_WEIGHTS = (8 / 15, 0.22207592200561263, 0.22207592200561263, 0.011257411327720691, 0.011257411327720691)


@jit
def _answer(order: Any, start: int, stop: int, utility: Any, base: int, by: float, slope: Any, bend: Any) -> float:
    # pragma: no cover - compiled
    """The log-likelihood of one answer; adds to the gradient [M] and negative Hessian [M, M] unless these are empty."""
    found = 0.0
    for k in range(start, stop - 1):
        top = -np.inf
        for j in range(k, stop):
            top = max(top, by * utility[base + order[j]])
        total = 0.0
        for j in range(k, stop):
            total += exp(by * utility[base + order[j]] - top)
        found += by * utility[base + order[k]] - top - log(total)
        if len(slope) == 0:
            continue
        slope[order[k]] += by
        for j in range(k, stop):
            share = exp(by * utility[base + order[j]] - top) / total
            slope[order[j]] -= by * share
            bend[order[j], order[j]] += by * by * share
            for i in range(k, stop):
                other = exp(by * utility[base + order[i]] - top) / total
                bend[order[j], order[i]] -= by * by * share * other
    return found


@jit
def _cholesky(matrix: Any) -> None:  # pragma: no cover - compiled
    """The lower triangle of a positive definite matrix, in its place."""
    for j in range(len(matrix)):
        for i in range(j, len(matrix)):
            found = matrix[i, j]
            for k in range(j):
                found -= matrix[i, k] * matrix[j, k]
            matrix[i, j] = np.sqrt(found) if i == j else found / matrix[j, j]


@jit
def _solved(lower: Any, wanted: Any, out: Any) -> None:  # pragma: no cover - compiled
    size = len(lower)
    for i in range(size):
        found = wanted[i]
        for k in range(i):
            found -= lower[i, k] * out[k]
        out[i] = found / lower[i, i]
    for i in range(size - 1, -1, -1):
        found = out[i]
        for k in range(i + 1, size):
            found -= lower[k, i] * out[k]
        out[i] = found / lower[i, i]


@jit
def _item_worth(
    order: Any, starts: Any, voter: Any, low: int, high: int, utility: Any, base: int, size: int, by: Any, pull: float
) -> float:  # pragma: no cover - compiled
    none, flat = np.empty(0), np.empty((0, 0))
    found = 0.0
    for c in range(base, base + size):
        found -= 0.5 * pull * utility[c] * utility[c]
    for e in range(low, high):
        found += _answer(order, starts[e], starts[e + 1], utility, base, by[voter[e]], none, flat)
    return found


@jit
def fit_items(
    order: Any, starts: Any, voter: Any, first: Any, base: Any, by: Any, pull: float, utility: Any, spread: Any
) -> None:  # pragma: no cover - compiled
    """Move the ``utility`` of each candidate to the most likely one, by Newton's method, given reliabilities ``by``.

    ``pull`` is the precision of the prior around 0. ``spread`` becomes the covariance of the utilities of each item by
    Laplace's approximation, [M, M] of one item after the other.
    """
    block = 0
    for item in range(len(first) - 1):
        low, high, at = first[item], first[item + 1], base[item]
        size = base[item + 1] - at
        slope, bend, step = np.empty(size), np.empty((size, size)), np.empty(size)
        before = np.empty(size)
        worth = _item_worth(order, starts, voter, low, high, utility, at, size, by, pull)
        for _ in range(STEPS):
            for i in range(size):
                slope[i] = -pull * utility[at + i]
                before[i] = utility[at + i]
                for j in range(size):
                    bend[i, j] = pull if i == j else 0.0
            for e in range(low, high):
                _answer(order, starts[e], starts[e + 1], utility, at, by[voter[e]], slope, bend)
            _cholesky(bend)
            _solved(bend, slope, step)
            gain = 0.0
            for i in range(size):
                gain += slope[i] * step[i]
            if gain <= ENOUGH * (1.0 + abs(worth)):
                break
            share, found = 1.0, worth
            for _half in range(HALVINGS):
                for i in range(size):
                    utility[at + i] = before[i] + share * step[i]
                found = _item_worth(order, starts, voter, low, high, utility, at, size, by, pull)
                if found >= worth:
                    break
                share *= 0.5
            if found < worth:
                for i in range(size):
                    utility[at + i] = before[i]
                break
            worth = found
        for i in range(size):  # bend holds the triangle of where utilities are now, but for a step of no account
            for j in range(size):
                slope[j] = 1.0 if i == j else 0.0
            _solved(bend, slope, step)
            for j in range(size):
                spread[block + i * size + j] = step[j]
        block += size * size


@jit
def fit_reliabilities(
    order: Any,
    starts: Any,
    voter: Any,
    item: Any,
    base: Any,
    blocks: Any,
    utility: Any,
    spread: Any,
    middle: float,
    pull: float,
    by: Any,
    bend: Any,
) -> None:  # pragma: no cover - compiled
    """Move the reliability ``by`` [V] of each voter by a Newton step; ``bend`` [V]: the curvatures.

    What is climbed is the mean log-likelihood over utilities as they may be (``spread`` from ``blocks[i]`` on), not
    that of the likeliest ones: these follow whoever is believed most, who would then be believed ever more. An answer
    is broken into its pairs, each of m names counting 2/m (all pairs alike: H. Azari Soufiani et al., Generalized
    method-of-moments for rank aggregation, NIPS 2013); the mean over the difference of two utilities, which is normal,
    is Gauss and Hermite's of five points. A step that is more than 1 is cut to 1, so that none goes astray.
    """
    slope = np.empty(len(by))
    for v in range(len(by)):
        slope[v] = -pull * (by[v] - middle)
        bend[v] = pull
    for e in range(len(voter)):
        v, at, block = voter[e], base[item[e]], blocks[item[e]]
        size, names = base[item[e] + 1] - at, starts[e + 1] - starts[e]
        for k in range(starts[e], starts[e + 1]):
            a = order[k]
            for j in range(k + 1, starts[e + 1]):
                b = order[j]
                ahead = utility[at + a] - utility[at + b]
                wide = spread[block + a * size + a] + spread[block + b * size + b] - 2.0 * spread[block + a * size + b]
                wide = np.sqrt(max(wide, 0.0))
                for q in range(5):
                    found = ahead + wide * _NODES[q]
                    right = 1.0 / (1.0 + exp(-by[v] * found))
                    weight = 2.0 / names * _WEIGHTS[q]
                    slope[v] += weight * found * (1.0 - right)
                    bend[v] += weight * found * found * right * (1.0 - right)
    for v in range(len(by)):
        by[v] += min(max(slope[v] / bend[v], -1.0), 1.0)


@jit
def chances(difference: Any, out: Any) -> None:  # pragma: no cover - compiled
    """The logistic function of each difference."""
    for i in range(len(difference)):
        out[i] = 1.0 / (1.0 + exp(-difference[i]))
