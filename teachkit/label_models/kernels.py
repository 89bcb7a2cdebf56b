"""The compiled loops of the label models: float64, a fixed order of every sum, ``log`` and ``exp`` of our own.

``log`` and ``exp`` of C libraries differ in the last bit; these use only +, -, *, / and the bits of a number, which
IEEE 754 fixes, so a lock holds on a laptop and in CI.

V voters, K labels. ``likelihood`` is [V, K + 1, K]: the probability of each outcome (a label; silence last) given the
true label. Expected votes ``sums`` are [V, K codes, K true labels], expected items ``mass`` [K].
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from teachkit.votes.jit import jit
from teachkit.votes.parts import in_parts
from teachkit.votes.patterns import entries_of, row_of

if TYPE_CHECKING:
    from collections.abc import Callable

_LN2_HIGH = 6.93147180369123816490e-01  # ln 2 with its last 32 bits cleared, so that n * _LN2_HIGH is exact
_LN2_LOW = 1.90821492927058770002e-10  # ln 2 - _LN2_HIGH
_INVERSE_LN2 = 1.44269504088896338700
_ROUND = 6755399441055744.0  # 1.5 * 2^52: adding it rounds to an integer, which is then in the low bits
_ROOT_HALF = 0.70710678118654752440
_INVERSE_FACTORIALS = tuple(1.0 / math.factorial(n) for n in range(14))
_INVERSE_ODDS = tuple(2.0 / (2 * n + 1) for n in range(12))

_FULL = 1e280
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
    """``log`` of each number."""
    return each(_log_all, values)


def exp_all(values: Any) -> Any:
    """``exp`` of each number."""
    return each(_exp_all, values)


def each(loop: Callable[[Any], None], values: Any) -> Any:
    """What a compiled loop over a flat array makes of numbers, in their shape."""
    out = np.array(values, dtype=np.float64, order="C")
    loop(out.reshape(-1))
    return out


def in_order(values: Any) -> Any:
    """Sums over the last axis, from left to right: numpy's own add in an order that may depend on the machine."""
    return np.cumsum(values, axis=-1)[..., -1] if values.shape[-1] else np.zeros(values.shape[:-1])


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
def shares(
    start: int, stop: int, indptr: Any, code: Any, weight: Any, out: Any, mass: Any
) -> None:  # pragma: no cover - compiled
    """The share of each label among the votes of patterns start..stop, to ``out`` [P, K]; zeros without votes.

    Adds ``weight`` [P] times the share to ``mass`` [K].
    """
    for p in range(start, stop):
        total = indptr[p + 1] - indptr[p]
        for k in range(len(mass)):
            out[p, k] = 0.0
        for i in entries_of(indptr, p):
            out[p, np.uint64(code[i])] += 1.0
        if total > 0:
            for k in range(len(mass)):
                out[p, k] /= total
                mass[k] += weight[p] * out[p, k]


@jit
def shares_two(
    start: int, stop: int, indptr: Any, code: Any, weight: Any, out: Any, mass: Any
) -> None:  # pragma: no cover - compiled
    """``shares`` of two labels, from how many votes are for the second."""
    for p in range(start, stop):
        total, ones = indptr[p + 1] - indptr[p], 0
        for i in entries_of(indptr, p):
            ones += code[i]
        least = total if total > 0 else 1
        first, second = (total - ones) / least, ones / least
        out[p, 0], out[p, 1] = first, second
        mass[0] += weight[p] * first
        mass[1] += weight[p] * second


@jit
def weighted_shares(
    start: int, stop: int, indptr: Any, voter: Any, code: Any, say: Any, weight: Any, out: Any, mass: Any
) -> None:  # pragma: no cover - compiled
    """``shares`` of votes that count ``say`` [V] each."""
    for p in range(start, stop):
        total = 0.0
        for k in range(len(mass)):
            out[p, k] = 0.0
        for i in entries_of(indptr, p):
            own = say[np.uint64(voter[i])]
            out[p, np.uint64(code[i])] += own
            total += own
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
        for i in entries_of(indptr, p):
            row = row_of(voter[i], code[i], labels)
            for k in range(labels):
                out[at + k] += table[row, k]


@jit
def score_two(
    start: int, stop: int, indptr: Any, voter: Any, code: Any, base: Any, table: Any, out: Any
) -> None:  # pragma: no cover - compiled
    """``score`` of two labels, in registers: the same sums in the same order."""
    at = np.uint64(0)
    for p in range(np.uint64(start), np.uint64(stop)):
        a, b = base[0], base[1]
        for i in entries_of(indptr, p):
            row = row_of(voter[i], code[i], 2)
            a += table[row, 0]
            b += table[row, 1]
        out[at], out[at + np.uint64(1)] = a, b
        at += np.uint64(2)


@jit
def score_three(
    start: int, stop: int, indptr: Any, voter: Any, code: Any, base: Any, table: Any, out: Any
) -> None:  # pragma: no cover - compiled
    """``score`` of three labels, in registers: the same sums in the same order."""
    at = np.uint64(0)
    for p in range(np.uint64(start), np.uint64(stop)):
        a, b, c = base[0], base[1], base[2]
        for i in entries_of(indptr, p):
            row = row_of(voter[i], code[i], 3)
            a += table[row, 0]
            b += table[row, 1]
            c += table[row, 2]
        out[at], out[at + np.uint64(1)], out[at + np.uint64(2)] = a, b, c
        at += np.uint64(3)


def _normaliser(fixed: int) -> Callable[..., tuple[float, float]]:
    """``normalise`` of so many labels, which makes its loops short; 0: of any number."""

    @jit
    def normalise(
        start: int, stop: int, scores: Any, weight: Any, clamp: Any, posterior: Any
    ) -> tuple[float, float]:  # pragma: no cover - compiled
        labels = np.uint64(fixed if fixed else posterior.shape[1])
        size, likelihood = np.uint64(stop - start), 0.0
        for i in range(size):
            p, at = np.uint64(start) + i, i * labels
            top = scores[at]
            for k in range(np.uint64(1), labels):
                top = max(top, scores[at + k])
            if weight[p] > 0.0:
                likelihood += weight[p] * (scores[at + np.uint64(clamp[p])] if clamp[p] >= 0 else top)
            for k in range(labels):
                scores[at + k] -= top
        for i in range(size * labels):
            scores[i] = exp(scores[i])
        change, product = 0.0, 1.0
        for i in range(size):
            p, at = np.uint64(start) + i, i * labels
            if clamp[p] >= 0:
                for k in range(labels):
                    scores[at + k] = 1.0 if k == np.uint64(clamp[p]) else 0.0
            total = 0.0
            for k in range(labels):
                total += scores[at + k]
            if weight[p] == 1.0:  # the logarithm of a product, while it fits in a number
                product *= total
                if product > _FULL:
                    likelihood += log(product)
                    product = 1.0
            elif weight[p] > 0.0:
                likelihood += weight[p] * log(total)
            scale, moved = 1.0 / total, 0.0
            for k in range(labels):
                found = scores[at + k] * scale
                moved = max(moved, abs(found - posterior[p, k]))
                posterior[p, k] = found
            change = max(change, moved)
        return change, likelihood + log(product)

    return normalise


_NORMALISE = {2: _normaliser(2), 3: _normaliser(3)}
_normalise = _normaliser(0)


def normalise(start: int, stop: int, scores: Any, weight: Any, clamp: Any, posterior: Any) -> tuple[float, float]:
    """Posteriors [P, K] of patterns start..stop from their ``scores``, which are used up.

    ``clamp`` [P] is a known label, or -1. Returns the greatest change, and the log-likelihood of the patterns, each
    ``weight`` times; of its known label alone where one is known.
    """
    return _NORMALISE.get(posterior.shape[1], _normalise)(start, stop, scores, weight, clamp, posterior)


@jit
def greatest(start: int, stop: int, posterior: Any, tie: float, out: Any) -> None:  # pragma: no cover - compiled
    """The label with the greatest posterior, to ``out`` [P], of patterns start..stop; -1 where several are.

    Posteriors within the share ``tie`` of the greatest are equal.
    """
    for p in range(start, stop):
        top, found, several = -1.0, -1, 0
        for x in posterior[p]:
            top = max(top, x)
        for k in range(posterior.shape[1]):
            if posterior[p, k] >= top * (1.0 - tie):
                found = k
                several += 1
        out[p] = found if several == 1 else -1


@jit
def count(
    start: int, stop: int, indptr: Any, voter: Any, code: Any, weight: Any, posterior: Any, sums: Any, mass: Any
) -> None:  # pragma: no cover - compiled
    """Add the expected votes of patterns start..stop to ``sums`` [V K, K], the expected items to ``mass`` [K]."""
    labels = len(mass)
    for p in range(start, stop):
        for k in range(labels):
            mass[k] += weight[p] * posterior[p, k]
        for i in entries_of(indptr, p):
            row = row_of(voter[i], code[i], labels)
            for k in range(labels):
                sums[row, k] += weight[p] * posterior[p, k]


@jit
def count_two(
    start: int, stop: int, indptr: Any, voter: Any, code: Any, weight: Any, posterior: Any, sums: Any, mass: Any
) -> None:  # pragma: no cover - compiled
    """``count`` of two labels, in registers: the same sums in the same order."""
    for p in range(np.uint64(start), np.uint64(stop)):
        a, b = weight[p] * posterior[p, 0], weight[p] * posterior[p, 1]
        mass[0] += a
        mass[1] += b
        for i in entries_of(indptr, p):
            row = row_of(voter[i], code[i], 2)
            sums[row, 0] += a
            sums[row, 1] += b


@jit
def count_three(
    start: int, stop: int, indptr: Any, voter: Any, code: Any, weight: Any, posterior: Any, sums: Any, mass: Any
) -> None:  # pragma: no cover - compiled
    """``count`` of three labels, in registers: the same sums in the same order."""
    for p in range(np.uint64(start), np.uint64(stop)):
        a, b, c = weight[p] * posterior[p, 0], weight[p] * posterior[p, 1], weight[p] * posterior[p, 2]
        mass[0] += a
        mass[1] += b
        mass[2] += c
        for i in entries_of(indptr, p):
            row = row_of(voter[i], code[i], 3)
            sums[row, 0] += a
            sums[row, 1] += b
            sums[row, 2] += c


def signatures(indptr: Any, voter: Any, code: Any, counts: Any, voters: int, threads: int = 1) -> Any:
    """A number [V] for each voter, equal for voters that say the same everywhere; rows that occur 0 times do not count.

    ``counts`` is [P].
    """

    def one(start: int, stop: int) -> Any:
        out = np.zeros(voters, dtype=np.uint64)
        _signatures(start, stop, indptr, voter, code, counts, out)
        return out

    return np.sum(in_parts(one, len(counts), threads), axis=0, dtype=np.uint64)


@jit
def _signatures(
    start: int, stop: int, indptr: Any, voter: Any, code: Any, counts: Any, out: Any
) -> None:  # pragma: no cover - compiled
    for p in range(start, stop):
        if counts[p] > 0:
            z = np.uint64(p + 1) * np.uint64(0x9E3779B97F4A7C15)
            z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            z ^= z >> np.uint64(31)
            for i in entries_of(indptr, p):
                out[np.uint64(voter[i])] += z * np.uint64(code[i] + 1)


def draw(item: Any, seed: int, weight: Any) -> None:
    """Draw as many items as there are, with replacement: adds 1 to ``weight`` [P] for each, ``item`` [N] its pattern.

    By splitmix64 (G. L. Steele, D. Lea, C. H. Flood, OOPSLA 2014), so that every release of numpy draws the same.
    """
    _draw(item, np.uint64(seed), weight)


@jit
def _draw(item: Any, seed: Any, weight: Any) -> None:  # pragma: no cover - compiled
    n = np.uint64(len(item))
    state = seed * np.uint64(0xD1342543DE82EF95)
    for _ in range(len(item)):
        state += np.uint64(0x9E3779B97F4A7C15)
        z = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
        weight[item[((z >> np.uint64(32)) * n) >> np.uint64(32)]] += 1.0


# ---------------------------------------------------------------------------- over voters


def rights(sums: Any) -> tuple[Any, Any, Any]:
    """Expected right votes [V], votes [V], and votes by true label [V, K], of ``sums`` [V, K, K]."""
    right = np.diagonal(sums, axis1=1, axis2=2)
    return in_order(right), in_order(each_flat(sums)), in_order(sums.swapaxes(1, 2))


def each_flat(values: Any) -> Any:
    """[V, ...] as [V, n]."""
    return values.reshape(len(values), math.prod(values.shape[1:]))


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
