"""The compiled loops of ``bradley_terry``: scores of contestants, and voters with a bias to one side.

Q pairs (left, right) of contestants, C contestants, V voters, K outcomes: left, right and, if there is a third, a tie.
An outcome's place is 1/2 on the left, -1/2 on the right, 0 for a tie. All sums have a fixed order.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from teachkit.label_models.kernels import exp, log
from teachkit.votes.jit import jit

STEPS, HALVINGS = 100, 30
ENOUGH = 1e-13
"""A step that is expected to raise a likelihood by a lesser share of it is lost in rounding."""
PRECISE = 1e-14
"""Of the norm of what is to be solved, squared, so much may be left: Newton's steps mend the rest."""

WEIGHTS = 4
"""What is learned of a voter: reliability, log-odds of the left side, of a tie, of silence."""


# ---------------------------------------------------------------------------- contestants


@jit
def outcomes(
    left: Any, right: Any, scores: Any, tie: float, logs: Any, shares: Any
) -> None:  # pragma: no cover - compiled
    """The chance of each outcome of each pair, to ``shares`` [Q, K], its logarithm to ``logs`` [Q, K]."""
    labels = logs.shape[1]
    for p in range(len(left)):
        half = 0.5 * (scores[left[p]] - scores[right[p]])
        top = max(half, -half)
        if labels == 3:
            top = max(top, tie)
        total = exp(half - top) + exp(-half - top)
        if labels == 3:
            total += exp(tie - top)
        scale = top + log(total)
        logs[p, 0] = half - scale
        logs[p, 1] = -half - scale
        if labels == 3:
            logs[p, 2] = tie - scale
        for k in range(labels):
            shares[p, k] = exp(logs[p, k])


@jit
def _worth(counts: Any, logs: Any, scores: Any, tie: float, pull: float, tie_pull: float) -> float:
    # pragma: no cover - compiled
    found = -0.5 * tie_pull * tie * tie
    for c in range(len(scores)):
        found -= 0.5 * pull * scores[c] * scores[c]
    for p in range(counts.shape[0]):
        for k in range(counts.shape[1]):
            if counts[p, k] > 0.0:
                found += counts[p, k] * logs[p, k]
    return found


@jit
def solve(left: Any, right: Any, weight: Any, pull: float, wanted: Any, out: Any) -> None:
    # pragma: no cover - compiled
    """Solve (graph Laplacian of the weighted pairs + ``pull``) ``out`` = ``wanted`` by conjugate gradients."""
    count = len(wanted)
    diagonal = np.full(count, pull)
    for p in range(len(left)):
        if left[p] != right[p]:
            diagonal[left[p]] += weight[p]
            diagonal[right[p]] += weight[p]
    rest, ahead, moved = wanted.copy(), np.zeros(count), np.zeros(count)
    norm, before = 0.0, 0.0
    for c in range(count):
        out[c] = 0.0
        norm += wanted[c] * wanted[c] / diagonal[c]
    for step in range(10 * count + 100):
        now = 0.0
        for c in range(count):
            now += rest[c] * rest[c] / diagonal[c]
        if now <= PRECISE * norm or now == 0.0:
            return
        for c in range(count):
            ahead[c] = rest[c] / diagonal[c] + (now / before * ahead[c] if step else 0.0)
            moved[c] = pull * ahead[c]
        for p in range(len(left)):
            flow = weight[p] * (ahead[left[p]] - ahead[right[p]])
            moved[left[p]] += flow
            moved[right[p]] -= flow
        along = 0.0
        for c in range(count):
            along += ahead[c] * moved[c]
        for c in range(count):
            out[c] += now / along * ahead[c]
            rest[c] -= now / along * moved[c]
        before = now


@jit
def fit_scores(left: Any, right: Any, counts: Any, pull: float, tie_pull: float, scores: Any, tie: float) -> float:
    # pragma: no cover - compiled
    """Move ``scores`` [C] to the most likely ones, given expected outcomes ``counts`` [Q, K]; the tie's log-odds.

    Newton's method on a concave function: the scores by conjugate gradients, then the tie; a step is halved until it
    is one upwards. ``pull`` and ``tie_pull`` are the precisions of the priors around 0.
    """
    pairs, labels = counts.shape
    logs, shares = np.empty((pairs, labels)), np.empty((pairs, labels))
    weight, slope, step, tried = np.empty(pairs), np.empty(len(scores)), np.empty(len(scores)), np.empty(len(scores))
    outcomes(left, right, scores, tie, logs, shares)
    worth = _worth(counts, logs, scores, tie, pull, tie_pull)
    for _ in range(STEPS):
        tie_slope, tie_weight = -tie_pull * tie, tie_pull
        for c in range(len(scores)):
            slope[c] = -pull * scores[c]
        for p in range(pairs):
            total = 0.0
            for k in range(labels):
                total += counts[p, k]
            lean = 0.5 * (shares[p, 0] - shares[p, 1])
            push = 0.5 * (counts[p, 0] - counts[p, 1]) - total * lean
            slope[left[p]] += push
            slope[right[p]] -= push
            weight[p] = total * (0.25 * (shares[p, 0] + shares[p, 1]) - lean * lean)
            if labels == 3:
                tie_slope += counts[p, 2] - total * shares[p, 2]
                tie_weight += total * shares[p, 2] * (1.0 - shares[p, 2])
        solve(left, right, weight, pull, slope, step)
        tie_step = tie_slope / tie_weight if labels == 3 else 0.0
        gain = tie_slope * tie_step
        for c in range(len(scores)):
            gain += slope[c] * step[c]
        if gain <= ENOUGH * (1.0 + abs(worth)):
            return tie
        share, risen = 1.0, False
        for _ in range(HALVINGS):
            for c in range(len(scores)):
                tried[c] = scores[c] + share * step[c]
            outcomes(left, right, tried, tie + share * tie_step, logs, shares)
            found = _worth(counts, logs, tried, tie + share * tie_step, pull, tie_pull)
            if found >= worth:
                risen = True
                break
            share *= 0.5
        if not risen:
            return tie
        for c in range(len(scores)):
            scores[c] = tried[c]
        tie += share * tie_step
        worth = found
    return tie


@jit
def known_weight(shares: Any, posterior: Any, pair: Any, weight: Any, out: Any) -> None:
    # pragma: no cover - compiled
    """What the votes say of each pair's difference of scores, to ``out`` [Q] (information: one over a variance).

    That of known outcomes, less what not knowing them costs (Louis, J. R. Stat. Soc. B 44, 1982); 0 at the least.
    ``posterior`` [P, K] and ``weight`` [P] are those of patterns, ``pair`` [P] says what they compare.
    """
    for i in range(len(pair)):
        p = pair[i]
        lean, seen = 0.5 * (shares[p, 0] - shares[p, 1]), 0.5 * (posterior[i, 0] - posterior[i, 1])
        prior = 0.25 * (shares[p, 0] + shares[p, 1]) - lean * lean
        open_ = 0.25 * (posterior[i, 0] + posterior[i, 1]) - seen * seen
        out[p] += weight[i] * (prior - open_)
    for p in range(len(out)):
        out[p] = max(out[p], 0.0)


@jit
def spreads(start: int, stop: int, left: Any, right: Any, weight: Any, pull: float, out: Any) -> None:
    # pragma: no cover - compiled
    """The variance of each of the scores start..stop against the mean of all, to ``out`` [C]."""
    count = len(out)
    unit, column = np.zeros(count), np.empty(count)
    for c in range(start, stop):
        unit[c] = 1.0
        solve(left, right, weight, pull, unit, column)
        unit[c] = 0.0
        out[c] = max(column[c] - 1.0 / (pull * count), 0.0)  # the mean has the variance of its prior, and no other


# ---------------------------------------------------------------------------- voters


@jit
def _place(outcome: int) -> float:  # pragma: no cover - compiled
    return 0.5 if outcome == 0 else -0.5 if outcome == 1 else 0.0


@jit
def _features(outcome: int, true: int, labels: int, out: Any) -> None:  # pragma: no cover - compiled
    """What the weights of a voter are multiplied by, for one outcome (silence last) and one truth."""
    for i in range(WEIGHTS):
        out[i] = 0.0
    if outcome == labels:
        out[0], out[3] = -0.5, 1.0
        return
    out[0] = -abs(_place(outcome) - _place(true))
    out[1] = _place(outcome)
    out[2] = 1.0 if outcome == 2 else 0.0


@jit
def _chances(weights: Any, true: int, outcomes_: int, labels: int, feature: Any, logs: Any) -> None:
    # pragma: no cover - compiled
    """The logarithm of the chance of each outcome, given one truth."""
    top = -np.inf
    for o in range(outcomes_):
        _features(o, true, labels, feature)
        found = 0.0
        for i in range(WEIGHTS):
            found += weights[i] * feature[i]
        logs[o] = found
        top = max(top, found)
    total = 0.0
    for o in range(outcomes_):
        total += exp(logs[o] - top)
    scale = top + log(total)
    for o in range(outcomes_):
        logs[o] -= scale


@jit
def _voter_worth(seen: Any, weights: Any, middle: Any, pull: Any, outcomes_: int, labels: int) -> float:
    # pragma: no cover - compiled
    feature, logs = np.empty(WEIGHTS), np.empty(labels + 1)
    found = 0.0
    for i in range(WEIGHTS):
        found -= 0.5 * pull[i] * (weights[i] - middle[i]) * (weights[i] - middle[i])
    for y in range(labels):
        _chances(weights, y, outcomes_, labels, feature, logs)
        for o in range(outcomes_):
            found += seen[o, y] * logs[o]
    return found


@jit
def _voter_slope(
    seen: Any, weights: Any, middle: Any, pull: Any, outcomes_: int, labels: int, slope: Any, bend: Any
) -> None:  # pragma: no cover - compiled
    """Gradient [W] and negative Hessian [W, W] of ``_voter_worth``."""
    feature, logs, mean = np.empty(WEIGHTS), np.empty(labels + 1), np.empty(WEIGHTS)
    for i in range(WEIGHTS):
        slope[i] = -pull[i] * (weights[i] - middle[i])
        for j in range(WEIGHTS):
            bend[i, j] = pull[i] if i == j else 0.0
    for y in range(labels):
        _chances(weights, y, outcomes_, labels, feature, logs)
        total = 0.0
        for i in range(WEIGHTS):
            mean[i] = 0.0
        for o in range(outcomes_):
            total += seen[o, y]
            _features(o, y, labels, feature)
            for i in range(WEIGHTS):
                mean[i] += exp(logs[o]) * feature[i]
        for o in range(outcomes_):
            _features(o, y, labels, feature)
            share = exp(logs[o])
            for i in range(WEIGHTS):
                slope[i] += (seen[o, y] - total * share) * feature[i]
                for j in range(WEIGHTS):
                    bend[i, j] += total * share * (feature[i] - mean[i]) * (feature[j] - mean[j])


@jit
def _inverse(matrix: Any, out: Any) -> bool:  # pragma: no cover - compiled
    """The inverse of a small matrix, by Gauss and Jordan, which is used up; false if it is not positive definite."""
    size = len(matrix)
    for i in range(size):
        for j in range(size):
            out[i, j] = 1.0 if i == j else 0.0
    for i in range(size):
        pivot = matrix[i, i]
        if pivot <= 0.0:
            return False
        for j in range(size):
            matrix[i, j] /= pivot
            out[i, j] /= pivot
        for r in range(size):
            if r != i:
                by = matrix[r, i]
                for j in range(size):
                    matrix[r, j] -= by * matrix[i, j]
                    out[r, j] -= by * out[i, j]
    return True


@jit
def fit_voters(seen: Any, informative: Any, middle: Any, pull: Any, weights: Any) -> None:
    # pragma: no cover - compiled
    """Move the ``weights`` [V, W] of each voter to the most likely ones, by Newton's method on a concave function.

    ``seen`` [V, K + 1, K] are expected outcomes (silence last) by truth, ``middle`` and ``pull`` [W] the centre and
    the precision of the prior.
    """
    labels = seen.shape[2]
    slope, step, tried = np.empty(WEIGHTS), np.empty(WEIGHTS), np.empty(WEIGHTS)
    bend, turned = np.empty((WEIGHTS, WEIGHTS)), np.empty((WEIGHTS, WEIGHTS))
    for v in range(len(weights)):
        outcomes_ = labels + 1 if informative[v] else labels
        worth = _voter_worth(seen[v], weights[v], middle, pull, outcomes_, labels)
        for _ in range(STEPS):
            _voter_slope(seen[v], weights[v], middle, pull, outcomes_, labels, slope, bend)
            _inverse(bend, turned)
            for i in range(WEIGHTS):
                step[i] = 0.0
                for j in range(WEIGHTS):
                    step[i] += turned[i, j] * slope[j]
            gain = 0.0
            for i in range(WEIGHTS):
                gain += slope[i] * step[i]
            if gain <= ENOUGH * (1.0 + abs(worth)):
                break
            share, risen, found = 1.0, False, worth
            for _ in range(HALVINGS):
                for i in range(WEIGHTS):
                    tried[i] = weights[v, i] + share * step[i]
                found = _voter_worth(seen[v], tried, middle, pull, outcomes_, labels)
                if found >= worth:
                    risen = True
                    break
                share *= 0.5
            if not risen:
                break
            for i in range(WEIGHTS):
                weights[v, i] = tried[i]
            worth = found


@jit
def unseen(
    indptr: Any, voter: Any, code: Any, weight: Any, posterior: Any, weights: Any, informative: Any, out: Any
) -> None:  # pragma: no cover - compiled
    """Add to ``out`` [V, W, W] what not knowing the outcomes costs of what votes say of each voter's weights.

    The variance of each vote's gradient over the truths as they may be (Louis, J. R. Stat. Soc. B 44, 1982).
    """
    labels = posterior.shape[1]
    feature, logs = np.empty(WEIGHTS), np.empty(labels + 1)
    gradient, mean = np.empty((labels, WEIGHTS)), np.empty(WEIGHTS)
    expected = np.zeros((len(weights), labels, WEIGHTS))
    for v in range(len(weights)):
        outcomes_ = labels + 1 if informative[v] else labels
        for y in range(labels):
            _chances(weights[v], y, outcomes_, labels, feature, logs)
            for o in range(outcomes_):
                _features(o, y, labels, feature)
                for i in range(WEIGHTS):
                    expected[v, y, i] += exp(logs[o]) * feature[i]
    for p in range(len(weight)):
        for e in range(indptr[p], indptr[p + 1]):
            v = voter[e]
            for i in range(WEIGHTS):
                mean[i] = 0.0
            for y in range(labels):
                _features(code[e], y, labels, feature)
                for i in range(WEIGHTS):
                    gradient[y, i] = feature[i] - expected[v, y, i]
                    mean[i] += posterior[p, y] * gradient[y, i]
            for y in range(labels):
                by = weight[p] * posterior[p, y]
                for i in range(WEIGHTS):
                    for j in range(WEIGHTS):
                        out[v, i, j] += by * (gradient[y, i] - mean[i]) * (gradient[y, j] - mean[j])


@jit
def voter_spreads(seen: Any, informative: Any, middle: Any, pull: Any, weights: Any, lost: Any, spread: Any) -> None:
    # pragma: no cover - compiled
    """The variance of each weight, to ``spread`` [V, W]: of what is seen, less what is ``lost`` [V, W, W] (``unseen``).

    Where more seems lost than is known, half of it is taken, or a quarter, or none.
    """
    labels = seen.shape[2]
    slope, turned = np.empty(WEIGHTS), np.empty((WEIGHTS, WEIGHTS))
    bend, less = np.empty((WEIGHTS, WEIGHTS)), np.empty((WEIGHTS, WEIGHTS))
    for v in range(len(weights)):
        outcomes_ = labels + 1 if informative[v] else labels
        _voter_slope(seen[v], weights[v], middle, pull, outcomes_, labels, slope, bend)
        for share in (1.0, 0.5, 0.25, 0.0):
            for i in range(WEIGHTS):
                for j in range(WEIGHTS):
                    less[i, j] = bend[i, j] - share * lost[v, i, j]
            if _inverse(less, turned):
                break
        for i in range(WEIGHTS):
            spread[v, i] = turned[i, i]


@jit
def voter_likelihood(weights: Any, informative: Any, out: Any) -> None:  # pragma: no cover - compiled
    """The chance of each outcome given the truth, to ``out`` [V, K + 1, K]; silence at random has chance 1."""
    labels = out.shape[2]
    feature, logs = np.empty(WEIGHTS), np.empty(labels + 1)
    for v in range(len(weights)):
        outcomes_ = labels + 1 if informative[v] else labels
        for y in range(labels):
            _chances(weights[v], y, outcomes_, labels, feature, logs)
            out[v, labels, y] = 1.0
            for o in range(outcomes_):
                out[v, o, y] = exp(logs[o])


# ---------------------------------------------------------------------------- patterns


@jit
def add_priors(start: int, stop: int, pair: Any, logs: Any, scores: Any) -> None:  # pragma: no cover - compiled
    """Add the log prior of what each of the patterns start..stop compares to ``scores`` (flat, [stop - start, K])."""
    labels = logs.shape[1]
    for p in range(start, stop):
        for k in range(labels):
            scores[(p - start) * labels + k] += logs[pair[p], k]


@jit
def count_pairs(pair: Any, weight: Any, posterior: Any, out: Any) -> None:  # pragma: no cover - compiled
    """Add the expected outcomes of each pattern to those of its pair, ``out`` [Q, K]."""
    for p in range(len(pair)):
        for k in range(out.shape[1]):
            out[pair[p], k] += weight[p] * posterior[p, k]
