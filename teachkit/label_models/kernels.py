"""The compiled loops of the label models: float64, a fixed order of every sum, ``log`` and ``exp`` of our own.

``log`` and ``exp`` of C libraries differ in the last bit; these use only +, -, *, / and the bits of a number, which
IEEE 754 fixes, so a lock holds on a laptop and in CI.

V voters, K labels. ``likelihood`` is [V, K + 1, K]: the probability of each outcome (a label; silence last) given the
true label. Expected votes ``sums`` are [V, K codes, K true labels], expected items ``mass`` [K].
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from teachkit.votes.jit import jit

_LN2_HIGH = 6.93147180369123816490e-01  # ln 2 with its last 32 bits cleared, so that n * _LN2_HIGH is exact
_LN2_LOW = 1.90821492927058770002e-10  # ln 2 - _LN2_HIGH
_INVERSE_LN2 = 1.44269504088896338700
_ROUND = 6755399441055744.0  # 1.5 * 2^52: adding it rounds to an integer, which is then in the low bits
_ROOT_HALF = 0.70710678118654752440
_INVERSE_FACTORIALS = tuple(1.0 / math.factorial(n) for n in range(14))
_INVERSE_ODDS = tuple(2.0 / (2 * n + 1) for n in range(12))

FLOOR = 1e-10
"""The least expected count or probability: what was never seen is unlikely, not impossible (as in crowd-kit)."""


@jit
def log(x: float) -> float:  # pragma: no cover - compiled
    """The natural logarithm, to 1 ulp: e ln 2 + ln m, ln(1 + f) = f - f²/2 + s(f²/2 + R(s²)), s = f/(2 + f).

    The form of fdlibm, R as the series of atanh; -inf for 0 and below.
    """
    if x <= 0.0:
        return -np.inf
    m, e = math.frexp(x)
    if m < _ROOT_HALF:
        m *= 2.0
        e -= 1
    f = m - 1.0
    s = f / (2.0 + f)
    z = s * s
    rest = _INVERSE_ODDS[11]
    for n in range(10, 0, -1):
        rest = _INVERSE_ODDS[n] + z * rest
    half = 0.5 * f * f
    return e * _LN2_HIGH - ((half - (s * (half + z * rest) + e * _LN2_LOW)) - f)


@jit
def exp(x: float) -> float:  # pragma: no cover - compiled
    """The exponential, to 1 ulp: 2^n times the Taylor series of the remainder, |r| <= ln 2 / 2; 0 below e^-708.

    Without a branch and with n in the low bits of a float, so that loops over it use vector instructions.
    """
    y = min(max(x, -708.0), 709.0)
    bits = y * _INVERSE_LN2 + _ROUND
    n = bits - _ROUND
    r = (y - n * _LN2_HIGH) - n * _LN2_LOW
    series = _INVERSE_FACTORIALS[13]
    for k in range(12, 1, -1):
        series = _INVERSE_FACTORIALS[k] + r * series
    power = np.int64((np.float64(bits).view(np.int64) + 1023) << 52).view(np.float64)
    found = (1.0 + (r + r * r * series)) * power
    return found if x >= -708.0 else 0.0


def log_all(values: Any) -> Any:
    """``log`` of each number of a flat array."""
    out = np.array(values, dtype=np.float64)
    _log_all(out)
    return out


def exp_all(values: Any) -> Any:
    """``exp`` of each number of a flat array."""
    out = np.array(values, dtype=np.float64)
    _exp_all(out)
    return out


@jit
def _exp_all(values: Any) -> None:  # pragma: no cover - compiled
    for i in range(len(values)):
        values[i] = exp(values[i])


@jit
def _log_all(values: Any) -> None:  # pragma: no cover - compiled
    for i in range(len(values)):
        values[i] = log(values[i])


# ---------------------------------------------------------------------------- over patterns


@jit
def shares(indptr: Any, code: Any, weight: Any, out: Any, mass: Any) -> None:  # pragma: no cover - compiled
    """The share of each label among the votes of a pattern, to ``out`` [P, K]; zeros without votes.

    Adds ``weight`` [P] times the share to ``mass`` [K].
    """
    for p in range(len(indptr) - 1):
        start, stop = indptr[p], indptr[p + 1]
        for k in range(len(mass)):
            out[p, k] = 0.0
        for i in range(start, stop):
            out[p, code[i]] += 1.0
        if stop > start:
            for k in range(len(mass)):
                out[p, k] /= stop - start
                mass[k] += weight[p] * out[p, k]


@jit
def weighted_shares(
    indptr: Any, voter: Any, code: Any, say: Any, weight: Any, out: Any, mass: Any
) -> None:  # pragma: no cover - compiled
    """``shares`` of votes that count ``say`` [V] each."""
    for p in range(len(indptr) - 1):
        total = 0.0
        for k in range(len(mass)):
            out[p, k] = 0.0
        for i in range(indptr[p], indptr[p + 1]):
            out[p, code[i]] += say[voter[i]]
            total += say[voter[i]]
        if total > 0.0:
            for k in range(len(mass)):
                out[p, k] /= total
                mass[k] += weight[p] * out[p, k]


@jit
def decided_shares(posterior: Any, clamp: Any) -> None:  # pragma: no cover - compiled
    """Put posteriors [P, K] on their greatest label, in equal parts where several tie; known labels stay."""
    for p in range(len(posterior)):
        if clamp[p] >= 0:
            continue
        top, several = 0.0, 0
        for x in posterior[p]:
            top = max(top, x)
        for k in range(posterior.shape[1]):
            found = posterior[p, k] >= top * (1.0 - 1e-9) and top > 0.0
            several += found
            posterior[p, k] = 1.0 if found else 0.0
        for k in range(posterior.shape[1]):
            posterior[p, k] /= max(several, 1)


@jit
def score(
    start: int, stop: int, indptr: Any, voter: Any, code: Any, base: Any, table: Any, out: Any
) -> None:  # pragma: no cover - compiled
    """Log-odds of patterns start..stop, to ``out`` (flat, [stop - start, K]).

    ``base`` [K] is the log prior with what silence says summed in, ``table`` [V K, K] the log-likelihood of a vote less
    that of silence.
    """
    labels = len(base)
    for p in range(start, stop):
        at = (p - start) * labels
        for k in range(labels):
            out[at + k] = base[k]
        for i in range(indptr[p], indptr[p + 1]):
            row = labels * np.int64(voter[i]) + code[i]
            for k in range(labels):
                out[at + k] += table[row, k]


@jit
def score_two(
    start: int, stop: int, indptr: Any, voter: Any, code: Any, base: Any, table: Any, out: Any
) -> None:  # pragma: no cover - compiled
    """``score`` of two labels, in registers: the same sums in the same order."""
    for p in range(start, stop):
        a, b = base[0], base[1]
        for i in range(indptr[p], indptr[p + 1]):
            row = 2 * np.int64(voter[i]) + code[i]
            a += table[row, 0]
            b += table[row, 1]
        out[2 * (p - start)] = a
        out[2 * (p - start) + 1] = b


@jit
def score_three(
    start: int, stop: int, indptr: Any, voter: Any, code: Any, base: Any, table: Any, out: Any
) -> None:  # pragma: no cover - compiled
    """``score`` of three labels, in registers: the same sums in the same order."""
    for p in range(start, stop):
        a, b, c = base[0], base[1], base[2]
        for i in range(indptr[p], indptr[p + 1]):
            row = 3 * np.int64(voter[i]) + code[i]
            a += table[row, 0]
            b += table[row, 1]
            c += table[row, 2]
        out[3 * (p - start)] = a
        out[3 * (p - start) + 1] = b
        out[3 * (p - start) + 2] = c


@jit
def normalise(start: int, stop: int, scores: Any, clamp: Any, posterior: Any) -> float:  # pragma: no cover - compiled
    """Posteriors [P, K] of patterns start..stop from their ``scores``, which are used up; the greatest change.

    ``clamp`` [P] is a known label, or -1.
    """
    labels = posterior.shape[1]
    for p in range(stop - start):
        top = scores[p * labels]
        for k in range(1, labels):
            top = max(top, scores[p * labels + k])
        for k in range(labels):
            scores[p * labels + k] -= top
    for i in range((stop - start) * labels):
        scores[i] = exp(scores[i])
    change = 0.0
    for p in range(start, stop):
        at = (p - start) * labels
        total = 0.0
        for k in range(labels):
            if clamp[p] >= 0:
                scores[at + k] = 1.0 if k == clamp[p] else 0.0
            total += scores[at + k]
        scale = 1.0 / total
        for k in range(labels):
            found = scores[at + k] * scale
            change = max(change, abs(found - posterior[p, k]))
            posterior[p, k] = found
    return change


@jit
def greatest(
    posterior: Any, voted: Any, prior: Any, tie: float, policy: int, out: Any
) -> None:  # pragma: no cover - compiled
    """The label with the greatest posterior, to ``out`` [P], where anybody voted.

    Posteriors within the share ``tie`` of the greatest are equal: then there is none (``policy`` 0), the one with the
    greater prior (1) unless that ties too, or the first (2).
    """
    labels = posterior.shape[1]
    for p in range(len(out)):
        if voted[p] == 0:
            continue
        top = posterior[p, 0]
        for k in range(1, labels):
            top = max(top, posterior[p, k])
        least, found, several = top * (1.0 - tie), -1, 0
        best = -1.0
        for k in range(labels):
            if posterior[p, k] >= least:
                several += 1
                if found < 0:
                    found = k
                best = max(best, prior[k])
        if several > 1 and policy < 2:
            found, several = -1, 0
            for k in range(labels):
                if policy == 1 and posterior[p, k] >= least and prior[k] >= best * (1.0 - tie):
                    found = k
                    several += 1
            if several > 1:
                found = -1
        out[p] = found


@jit
def evidence(
    start: int, stop: int, scores: Any, weight: Any, clamp: Any, labels: int
) -> float:  # pragma: no cover - compiled
    """The log-likelihood of patterns start..stop from their ``scores``, each ``weight`` times; known labels' alone."""
    found = 0.0
    for p in range(start, stop):
        at = (p - start) * labels
        top = scores[at]
        for k in range(1, labels):
            top = max(top, scores[at + k])
        total = 0.0
        for k in range(labels):
            total += exp(scores[at + k] - top)
        if weight[p] > 0.0:
            found += weight[p] * (scores[at + clamp[p]] if clamp[p] >= 0 else top + log(total))
    return found


@jit
def count(
    start: int, stop: int, indptr: Any, voter: Any, code: Any, weight: Any, posterior: Any, sums: Any, mass: Any
) -> None:  # pragma: no cover - compiled
    """Add the expected votes of patterns start..stop to ``sums`` [V K, K], the expected items to ``mass`` [K]."""
    labels = len(mass)
    for p in range(start, stop):
        for k in range(labels):
            mass[k] += weight[p] * posterior[p, k]
        for i in range(indptr[p], indptr[p + 1]):
            row = labels * np.int64(voter[i]) + code[i]
            for k in range(labels):
                sums[row, k] += weight[p] * posterior[p, k]


@jit
def count_two(
    start: int, stop: int, indptr: Any, voter: Any, code: Any, weight: Any, posterior: Any, sums: Any, mass: Any
) -> None:  # pragma: no cover - compiled
    """``count`` of two labels, in registers: the same sums in the same order."""
    for p in range(start, stop):
        a, b = weight[p] * posterior[p, 0], weight[p] * posterior[p, 1]
        mass[0] += a
        mass[1] += b
        for i in range(indptr[p], indptr[p + 1]):
            row = 2 * np.int64(voter[i]) + code[i]
            sums[row, 0] += a
            sums[row, 1] += b


@jit
def count_three(
    start: int, stop: int, indptr: Any, voter: Any, code: Any, weight: Any, posterior: Any, sums: Any, mass: Any
) -> None:  # pragma: no cover - compiled
    """``count`` of three labels, in registers: the same sums in the same order."""
    for p in range(start, stop):
        a, b, c = weight[p] * posterior[p, 0], weight[p] * posterior[p, 1], weight[p] * posterior[p, 2]
        mass[0] += a
        mass[1] += b
        mass[2] += c
        for i in range(indptr[p], indptr[p + 1]):
            row = 3 * np.int64(voter[i]) + code[i]
            sums[row, 0] += a
            sums[row, 1] += b
            sums[row, 2] += c


@jit
def doubts(
    indptr: Any, voter: Any, code: Any, weight: Any, posterior: Any, out: Any
) -> None:  # pragma: no cover - compiled
    """For each voter, to ``out`` [V], the variance of its number of right votes that not knowing the labels leaves."""
    for p in range(len(weight)):
        for i in range(indptr[p], indptr[p + 1]):
            q = posterior[p, code[i]]
            out[voter[i]] += weight[p] * q * (1.0 - q)


# ---------------------------------------------------------------------------- over voters


def rights(sums: Any) -> tuple[Any, Any, Any]:
    """Expected right votes [V], votes [V], and votes by true label [V, K], of ``sums`` [V, K, K]."""
    voters, labels, _ = sums.shape
    right, total, support = np.zeros(voters), np.zeros(voters), np.zeros((voters, labels))
    _rights(sums, right, total, support)
    return right, total, support


@jit
def _rights(sums: Any, right: Any, total: Any, support: Any) -> None:  # pragma: no cover - compiled
    voters, labels, _ = sums.shape
    for v in range(voters):
        for c in range(labels):
            right[v] += sums[v, c, c]
            for y in range(labels):
                total[v] += sums[v, c, y]
                support[v, y] += sums[v, c, y]


def one_coin_rows(sums: Any, items: float, accuracy: Any, prior: Any, informative: Any) -> Any:
    """The likelihood [V, K + 1, K] of voters that are right with one ``accuracy`` [V] each.

    A voter ``at_random`` says the truth with its accuracy, any other label with equal chance. One whose silence is
    informative is described by its precision: P(vote c | true y) is its rate of c times the accuracy over the prior
    of c if y is c, times the rest over the prior of not c otherwise; so a voter of one label is one-sided.
    """
    voters, labels, _ = sums.shape
    out = np.ones((voters, labels + 1, labels))
    _one_coin_rows(sums, items, accuracy, prior, informative, out)
    return out


@jit
def _one_coin_rows(
    sums: Any, items: float, accuracy: Any, prior: Any, informative: Any, out: Any
) -> None:  # pragma: no cover - compiled
    voters, labels, _ = sums.shape
    for v in range(voters):
        a = accuracy[v]
        for c in range(labels):
            rate = 0.0
            for y in range(labels):
                rate += sums[v, c, y]
            rate = max(rate / items, FLOOR)
            share = min(max(prior[c], 1e-6), 1.0 - 1e-6)
            for y in range(labels):
                if informative[v]:
                    out[v, c, y] = rate * a / share if y == c else rate * (1.0 - a) / (1.0 - share)
                elif labels > 1:
                    out[v, c, y] = a if y == c else (1.0 - a) / (labels - 1)
        for y in range(labels if informative[v] else 0):  # silence has what is left, 0.005 at least
            spoken = 0.0
            for c in range(labels):
                spoken += out[v, c, y]
            over = max(spoken / 0.995, 1.0)
            for c in range(labels):
                out[v, c, y] /= over
            out[v, labels, y] = 1.0 - spoken / over


def confusion_rows(sums: Any, mass: Any, coin: Any, informative: Any, pull: float) -> Any:
    """The likelihood [V, K + 1, K] of expected votes, each row drawn towards that of ``coin`` by ``pull`` votes.

    Without pull, an outcome that a voter has given counts at least ``FLOOR`` and one that it never gave has that
    probability.
    """
    out = np.ones_like(coin)
    _confusion_rows(sums, mass, coin, informative, pull, out)
    return out


@jit
def _confusion_rows(
    sums: Any, mass: Any, coin: Any, informative: Any, pull: float, out: Any
) -> None:  # pragma: no cover - compiled
    voters, labels, _ = sums.shape
    for v in range(voters):
        outcomes = labels + 1 if informative[v] else labels
        for y in range(labels):
            silent = mass[y]
            for c in range(labels):
                out[v, c, y] = sums[v, c, y]
                silent -= sums[v, c, y]
            if informative[v]:
                out[v, labels, y] = max(silent, 0.0)
        for r in range(outcomes):
            given = 0.0
            for y in range(labels):
                given += out[v, r, y]
                out[v, r, y] += pull * coin[v, r, y]
            if pull == 0.0 and given > 0.0:
                for y in range(labels):
                    out[v, r, y] = max(out[v, r, y], FLOOR)
        for y in range(labels):
            total = 0.0
            for r in range(outcomes):
                total += out[v, r, y]
            for r in range(outcomes):
                out[v, r, y] = out[v, r, y] / total if total > 0.0 else 1.0 / outcomes
                if pull == 0.0:
                    out[v, r, y] = max(out[v, r, y], FLOOR)


def tables(likelihood: Any, prior: Any, informative: Any, silence_weight: float) -> tuple[Any, Any]:
    """What ``score`` adds up: log prior with all silence [K]; log-likelihood of votes less that of silence [V K, K]."""
    voters, _, labels = likelihood.shape
    base, table = log_all(prior), np.empty((voters * labels, labels))
    _tables(likelihood, informative, silence_weight, base, table)
    return base, table


@jit
def _tables(
    likelihood: Any, informative: Any, silence_weight: float, base: Any, table: Any
) -> None:  # pragma: no cover - compiled
    labels = len(base)
    for v in range(likelihood.shape[0]):
        for y in range(labels):
            silence = silence_weight * log(likelihood[v, labels, y]) if informative[v] else 0.0
            base[y] += silence
            for c in range(labels):
                table[v * labels + c, y] = log(likelihood[v, c, y]) - silence
