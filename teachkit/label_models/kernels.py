"""The compiled loops of the label models: float64, a fixed order of every sum, ``log`` and ``exp`` of our own.

``log`` and ``exp`` of C libraries differ in the last bit; these use only +, -, *, /, frexp and ldexp, which IEEE 754
fixes, so a lock holds on a laptop and in CI. Patterns are cut in chunks of fixed size, whose partial sums are added
in the order of the chunks: the same bits for any number of threads.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

from teachkit.votes.jit import jit

if TYPE_CHECKING:
    from collections.abc import Callable

CHUNK = 65_536
_LN2_HIGH = 6.93147180369123816490e-01  # ln 2 with its last 32 bits cleared, so that n * _LN2_HIGH is exact
_LN2_LOW = 1.90821492927058770002e-10  # ln 2 - _LN2_HIGH
_INVERSE_LN2 = 1.44269504088896338700


@jit
def log(x: float) -> float:  # pragma: no cover - compiled
    """The natural logarithm of a positive number: ln m + e ln 2, ln m by the series of atanh((m-1)/(m+1))."""
    if x <= 0.0:
        return -np.inf
    m, e = math.frexp(x)
    if m < 0.70710678118654752440:
        m *= 2.0
        e -= 1
    s = (m - 1.0) / (m + 1.0)
    z = s * s
    series = 1.0 / 23.0
    for n in range(21, 2, -2):
        series = series * z + 1.0 / n
    return e * _LN2_HIGH + (2.0 * s + (2.0 * s * z * series + e * _LN2_LOW))


@jit
def exp(x: float) -> float:  # pragma: no cover - compiled
    """The exponential: 2^n times the Taylor series of the remainder, |r| <= ln 2 / 2."""
    if x < -745.0:
        return 0.0
    if x > 709.0:
        return np.inf
    n = math.floor(x * _INVERSE_LN2 + 0.5)
    r = (x - n * _LN2_HIGH) - n * _LN2_LOW
    series = 1.0
    for k in range(17, 0, -1):
        series = 1.0 + series * r / k
    return math.ldexp(series, int(n))


@jit
def log_all(values: Any) -> Any:  # pragma: no cover - compiled
    """``log`` of each number of a flat array."""
    out = np.empty(len(values))
    for i in range(len(values)):
        out[i] = log(values[i])
    return out


@jit
def _step(
    start: int,
    stop: int,
    indptr: Any,
    voter: Any,
    code: Any,
    counts: Any,
    clamp: Any,
    base: Any,
    table: Any,
    posterior: Any,
    sums: Any,
    mass: Any,
) -> float:  # pragma: no cover - compiled
    labels = base.shape[0]
    likelihood = 0.0
    for p in range(start, stop):
        if clamp[p] >= 0:
            for k in range(labels):
                posterior[p, k] = 0.0
            posterior[p, clamp[p]] = 1.0
        else:
            top = -np.inf
            for k in range(labels):
                value = base[k]
                for i in range(indptr[p], indptr[p + 1]):
                    value += table[voter[i], code[i], k]
                posterior[p, k] = value
                top = max(top, value)
            total = 0.0
            for k in range(labels):
                posterior[p, k] = exp(posterior[p, k] - top)
                total += posterior[p, k]
            for k in range(labels):
                posterior[p, k] /= total
            likelihood += counts[p] * (top + log(total))
        for k in range(labels):
            weight = counts[p] * posterior[p, k]
            mass[k] += weight
            for i in range(indptr[p], indptr[p + 1]):
                sums[voter[i], code[i], k] += weight
    return likelihood


def em_step(votes: Any, clamp: Any, base: Any, table: Any, *, threads: int = 1) -> tuple[Any, Any, Any, float]:
    """One E-step with the sums that an M-step needs.

    Args:
        votes: ``Votes`` (P patterns, V voters, K labels).
        clamp: [P] a known label, or -1.
        base: [K] log prior, with what silence says summed in.
        table: [V, K codes, K labels] log-likelihood of a vote, less that of silence.
        threads: how many chunks run at once; it changes no bit of the result.

    Returns:
        posterior [P, K], expected votes [V, K codes, K labels], expected items [K], log-likelihood.
    """
    shape = table.shape
    posterior = np.empty((votes.n_patterns, len(base)))
    starts = list(range(0, votes.n_patterns, CHUNK))

    def one(start: int) -> tuple[Any, Any, float]:
        sums, mass = np.zeros(shape), np.zeros(len(base))
        stop = min(start + CHUNK, votes.n_patterns)
        found = _step(
            start, stop, votes.indptr, votes.voter, votes.code, votes.counts, clamp, base, table, posterior, sums, mass
        )
        return sums, mass, found

    sums, mass, likelihood = np.zeros(shape), np.zeros(len(base)), 0.0
    for part in _in_order(one, starts, threads):
        sums += part[0]
        mass += part[1]
        likelihood += part[2]
    return posterior, sums, mass, likelihood


def _in_order(work: Callable[[int], Any], starts: list[int], threads: int) -> Any:
    if threads == 1 or len(starts) < 2:
        return map(work, starts)
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(work, starts))
