"""From scores to probabilities, and how good these are: learnt and measured on items whose answer is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from teachkit.votes.intervals import wilson

_BOUNDS = (0.05, 20.0)  # of a temperature


@dataclass(frozen=True, slots=True)
class Isotonic:
    """The likeliest non-decreasing curve from scores to shares right (pool adjacent violators; Zadrozny & Elkan 2002).

    ``scores`` and ``shares`` [M] are its corners; between them it is straight, beyond them flat. Shares keep 1/(n+2)
    away from 0 and 1, as n items cannot tell a smaller chance.
    """

    scores: Any
    shares: Any

    def apply(self, scores: Any) -> Any:
        """Probabilities of scores [N]; NaN stays NaN."""
        found = np.interp(scores, self.scores, self.shares)
        return np.where(np.isnan(scores), np.nan, found)


def fit_isotonic(score: Any, right: Any) -> Isotonic:
    """Fit the curve to scores [N] and whether each was right [N].

    Raises:
        ValueError: there are none.
    """
    if not len(score):
        raise ValueError("there is nothing to calibrate on")
    values, group = np.unique(np.asarray(score, dtype=np.float64), return_inverse=True)
    count = np.bincount(group).astype(np.float64)
    hits = np.bincount(group, weights=np.asarray(right, dtype=np.float64))
    blocks: list[list[float]] = []  # hits, count, first, last
    for value, hit, many in zip(values, hits, count, strict=True):
        blocks.append([hit, many, value, value])
        while len(blocks) > 1 and blocks[-2][0] * blocks[-1][1] >= blocks[-1][0] * blocks[-2][1]:
            last = blocks.pop()
            blocks[-1] = [blocks[-1][0] + last[0], blocks[-1][1] + last[1], blocks[-1][2], last[3]]
    edge = 1 / (len(score) + 2)
    share = np.clip([hit / many for hit, many, _, _ in blocks], edge, 1 - edge)
    corners = np.array([[first, last] for _, _, first, last in blocks]).ravel()
    heights = np.repeat(share, 2)
    distinct = np.concatenate([[True], np.diff(corners) > 0])
    return Isotonic(corners[distinct], heights[distinct])


@dataclass(frozen=True, slots=True)
class Temperature:
    """One number that makes all probabilities more, or less, even (Guo et al. 2017): p^(1/T), scaled to sum to 1."""

    temperature: float

    def apply(self, probabilities: Any) -> Any:
        """Probabilities [N, K]; rows of zeros stay."""
        with np.errstate(divide="ignore"):
            logs = np.log(probabilities) / self.temperature
        top = logs.max(axis=1, keepdims=True)
        raised = np.exp(logs - np.where(np.isfinite(top), top, 0.0))
        total = raised.sum(axis=1, keepdims=True)
        return np.divide(raised, total, out=np.zeros_like(raised), where=total > 0)


def fit_temperature(probabilities: Any, truth: Any) -> Temperature:
    """Fit the temperature to probabilities [N, K] and true classes [N] by golden section on the log-likelihood.

    Raises:
        ValueError: there are none.
    """
    if not len(truth):
        raise ValueError("there is nothing to calibrate on")
    rows = np.arange(len(truth))
    floor = np.maximum(probabilities, 1e-9)  # what was not seen is unlikely, not impossible
    floor = floor / floor.sum(axis=1, keepdims=True)

    def loss(log_temperature: float) -> float:
        scaled = Temperature(float(np.exp(log_temperature))).apply(floor)
        return -float(np.log(np.maximum(scaled[rows, truth], 1e-300)).mean())

    low, high = np.log(_BOUNDS[0]), np.log(_BOUNDS[1])
    ratio = (np.sqrt(5) - 1) / 2
    a, b = high - ratio * (high - low), low + ratio * (high - low)
    at_a, at_b = loss(a), loss(b)
    for _ in range(60):
        if at_a <= at_b:
            high, b, at_b = b, a, at_a
            a = high - ratio * (high - low)
            at_a = loss(a)
        else:
            low, a, at_a = a, b, at_b
            b = low + ratio * (high - low)
            at_b = loss(b)
    return Temperature(float(np.exp((low + high) / 2)))


def cross_fitted(score: Any, right: Any, *, folds: int = 5) -> Any:
    """Isotonic probabilities of the items themselves [N], each by a curve that has not seen it: an honest measure.

    The folds are dealt out in the order of the items.
    """
    score, right = np.asarray(score, dtype=np.float64), np.asarray(right, dtype=bool)
    fold = np.arange(len(score)) % folds
    found = np.empty(len(score))
    for number in range(min(folds, len(score))):
        held = fold == number
        rest = ~held if (~held).any() else held
        found[held] = fit_isotonic(score[rest], right[rest]).apply(score[held])
    return found


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Items with a probability from ``low`` to ``high``: the mean of it, the share right, and that one's interval."""

    low: float
    high: float
    count: int
    probability: float
    share: float
    share_low: float
    share_high: float


def reliability(probability: Any, right: Any, *, bins: int = 10) -> list[ReliabilityBin]:
    """The reliability diagram over bins of equal width; bins without items are left out. 95 % Wilson intervals."""
    probability, right = np.asarray(probability, dtype=np.float64), np.asarray(right, dtype=bool)
    place = np.clip((probability * bins).astype(int), 0, bins - 1)
    found = []
    for number in range(bins):
        here = place == number
        count, hits = int(here.sum()), int(right[here].sum())
        interval = wilson(hits, count)
        if interval is not None:
            mean = float(probability[here].mean())
            found.append(ReliabilityBin(number / bins, (number + 1) / bins, count, mean, hits / count, *interval))
    return found


def expected_calibration_error(probability: Any, right: Any, *, bins: int = 10) -> float | None:
    """The mean distance of probability and share right over bins of equal width (Naeini et al. 2015)."""
    found = reliability(probability, right, bins=bins)
    total = sum(each.count for each in found)
    return sum(each.count * abs(each.probability - each.share) for each in found) / total if total else None


def brier(probability: Any, right: Any) -> float | None:
    """The mean squared distance of probability and outcome (Brier 1950)."""
    probability, right = np.asarray(probability, dtype=np.float64), np.asarray(right, dtype=np.float64)
    return float(((probability - right) ** 2).mean()) if len(right) else None


def auroc(score: Any, right: Any) -> float | None:
    """The chance that a right item scores above a wrong one, ties by half; None if all are right, or wrong."""
    score, right = np.asarray(score, dtype=np.float64), np.asarray(right, dtype=bool)
    hits, misses = int(right.sum()), int((~right).sum())
    if not hits or not misses:
        return None
    _, group, count = np.unique(score, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    rank = (last - (count - 1) / 2)[group]  # the mean rank of equal scores
    return float((rank[right].sum() - hits * (hits + 1) / 2) / (hits * misses))
