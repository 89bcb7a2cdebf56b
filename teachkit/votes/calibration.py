"""Scores that say how often an answer is right: calibration on gold, and how far scores are from what they say.

A score is any number that is higher where an answer is more likely right. It is a probability once it was calibrated:
of the answers with 0.8, eight in ten are right. Nothing here may see gold of the test split before it is final.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from teachkit.votes.intervals import wilson

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

FLOOR = 1e-6
"""What a probability of 0 is taken for: a label outside the alternatives that were shown is not impossible."""
_WIDEST = 3.0  # of the log of a temperature: from 1/20 to 20
_IN_A_BIN = 10
_GOLDEN = (math.sqrt(5) - 1) / 2


class Calibrator(Protocol):
    """What a fit returns: it makes calibrated probabilities of raw scores, one row for each item."""

    def apply(self, scores: Any, /) -> Any:
        """Return an array of the same shape."""


@dataclass(frozen=True, slots=True)
class Isotonic:
    """A non-decreasing map from scores to probabilities: straight between its points, level beyond them."""

    scores: tuple[float, ...]
    probabilities: tuple[float, ...]

    def apply(self, scores: Any, /) -> Any:
        """Calibrated probabilities [N] of raw scores [N]."""
        x, y = np.asarray(self.scores), np.asarray(self.probabilities)
        given = np.clip(_finite(scores), x[0], x[-1])
        left = np.clip(np.searchsorted(x, given, side="right") - 1, 0, len(x) - 1)
        right = np.minimum(left + 1, len(x) - 1)
        width = np.where(right > left, x[right] - x[left], 1.0)
        share = (given - x[left]) / width
        return np.minimum(y[left] + (y[right] - y[left]) * share, y[right])  # rounding may not step over the next point

    def as_dict(self) -> dict[str, Any]:
        """As plain values, exact."""
        return {"scores": list(self.scores), "probabilities": list(self.probabilities)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Isotonic:
        """Read what ``as_dict`` wrote."""
        return cls(tuple(map(float, values["scores"])), tuple(map(float, values["probabilities"])))


def fit_isotonic(score: Any, right: Any) -> Isotonic | None:
    """Fit P(right | score) as a non-decreasing function of the score [N]; ``right`` [N] says which answers are.

    Pool adjacent violators (Ayer, Brunk, Ewing, Reid, Silverman, *An Empirical Distribution Function for Sampling with
    Incomplete Information*, Ann. Math. Statist. 26, 1955; for calibration: Zadrozny, Elkan, KDD 2002), equal scores
    pooled first. The maximum of the likelihood ends in a block that is always right, or begins in one that never is,
    be it of one item. So each block gets the mean of Jeffreys' posterior, (right + 1/2) / (items + 1), and blocks that
    are out of order after that are pooled again, with items + 1 as weights. That is never 0 or 1, and non-decreasing;
    it vanishes as blocks grow.

    Returns:
        ``None`` without items.
    """
    score, right = _judged(score, right)
    if not len(score):
        return None
    values, index = np.unique(score, return_inverse=True)
    ones, count = np.bincount(index, weights=right).astype(np.int64), np.bincount(index)
    likely = _pooled(list(zip(ones.tolist(), count.tolist(), range(len(values)), range(len(values)), strict=True)))
    blocks = _pooled([(2 * k + 1, 2 * n + 2, first, last) for k, n, first, last in likely])
    points: dict[float, float] = {}
    for k, n, first, last in blocks:
        points |= {float(values[first]): k / n, float(values[last]): k / n}
    return Isotonic(tuple(points), tuple(points.values()))


def _pooled(groups: list[tuple[int, int, int, int]]) -> list[tuple[int, int, int, int]]:
    """Pool neighbours (share = first / second number) until shares rise strictly. Integers, so exact."""
    stack: list[tuple[int, int, int, int]] = []
    for group in groups:
        k, n, first, last = group
        while stack and stack[-1][0] * n >= k * stack[-1][1]:
            before = stack.pop()
            k, n, first = k + before[0], n + before[1], before[2]
        stack.append((k, n, first, last))
    return stack


@dataclass(frozen=True, slots=True)
class Temperature:
    """Divides log-probabilities: above 1 probabilities become more even, below 1 more extreme. Order stays."""

    value: float

    def apply(self, probabilities: Any, /) -> Any:
        """Calibrated probabilities [N, K] of raw ones, rows sum to 1. A zero counts as ``FLOOR``."""
        logits = _logits(probabilities) / self.value
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        return odds / odds.sum(axis=1, keepdims=True)

    def as_dict(self) -> dict[str, float]:
        """As plain values."""
        return {"temperature": self.value}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Temperature:
        """Read what ``as_dict`` wrote."""
        return cls(float(values["temperature"]))


def fit_temperature(probabilities: Any, truth: Any, *, floor: float = FLOOR) -> Temperature | None:
    """Fit the one number that makes probabilities [N, K] of the true labels (codes [N], -1 unknown) most likely.

    Temperature scaling (Guo, Pleiss, Sun, Weinberger, *On Calibration of Modern Neural Networks*, ICML 2017) on
    log-probabilities. A standard normal prior on the log of the temperature, worth less than an item or two, keeps
    answers that are all right from becoming certain; the temperature lies between 1/20 and 20. By a grid and a golden
    section search; rounded to six decimals, so that the last bits of a platform's ``exp`` count for nothing. A
    probability below ``floor`` counts as that.

    Returns:
        ``None`` without an item whose truth is known.
    """
    logits, truth = _logits(probabilities, floor), np.asarray(truth)
    if truth.shape != logits.shape[:1] or (truth >= logits.shape[1]).any():
        raise ValueError("the truth is one code for each row of probabilities, below their number of columns")
    logits, truth = logits[truth >= 0], truth[truth >= 0].astype(np.int64)
    if not len(truth):
        return None
    logits = logits - logits[np.arange(len(truth)), truth][:, None]  # relative to the truth

    def loss(log_temperature: float) -> float:
        scaled = logits / math.exp(log_temperature)
        top = scaled.max(axis=1)
        return math.fsum((top + np.log(np.exp(scaled - top[:, None]).sum(axis=1))).tolist()) + log_temperature**2 / 2

    return Temperature(round(math.exp(_lowest(loss, -_WIDEST, _WIDEST)), 6))


def _lowest(loss: Callable[[float], float], low: float, high: float) -> float:
    """Where ``loss`` is lowest: around the best of 61 points, in case there are two valleys."""
    steps = [low + (high - low) * i / 60 for i in range(61)]
    best = min(range(61), key=lambda i: loss(steps[i]))
    low, high = steps[max(0, best - 1)], steps[min(60, best + 1)]
    for _ in range(40):
        a, b = high - (high - low) * _GOLDEN, low + (high - low) * _GOLDEN
        low, high = (low, b) if loss(a) <= loss(b) else (a, high)
    return (low + high) / 2


def cross_fitted(
    scores: Any,
    truth: Any,
    *,
    fit: Callable[[Any, Any], Calibrator | None] = fit_isotonic,
    folds: int = 5,
    seed: int = 0,
) -> Any:
    """Calibrate each item by a fit on the other folds, so that what is measured on the result is no self-praise.

    Args:
        scores: what ``fit`` takes: [N], or [N, K] for ``fit_temperature``.
        truth: what ``fit`` takes beside it.
        fit: ``fit_isotonic`` or ``fit_temperature``.
        folds: at least 2; as many as there are items, if those are fewer.
        seed: an item's fold depends on it, on its index and on the number of items, on no random generator.

    Returns:
        An array like ``scores``; NaN where the other folds have nothing to fit, as with one item.
    """
    if folds < 2:
        raise ValueError("there are at least 2 folds")
    scores, truth = np.asarray(scores, dtype=np.float64), np.asarray(truth)
    fold = folds_of(len(scores), folds, seed)
    found = np.full(scores.shape, np.nan)
    for held in range(folds):
        out = fold == held
        calibrator = fit(scores[~out], truth[~out]) if out.any() else None
        if calibrator is not None:
            found[out] = calibrator.apply(scores[out])
    return found


def folds_of(n: int, folds: int, seed: int) -> Any:
    """Folds of equal size (but for one item), by the order of a hash of the index: splitmix64, Steele et al. 2014."""
    index = np.arange(1, n + 1, dtype=np.uint64) + (np.uint64(seed % 2**32) << np.uint64(32))
    with np.errstate(over="ignore"):
        mixed = index * np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    rank = np.empty(n, dtype=np.int64)
    rank[np.argsort(mixed ^ (mixed >> np.uint64(31)), kind="stable")] = np.arange(n)
    return rank % folds


@dataclass(frozen=True, slots=True)
class Bin:
    """Items with a probability from ``low`` up to, not including, ``high`` (1 is in the last bin).

    ``mean`` is what they say, ``share`` how many are right, with its 95 % interval (Wilson); ``None`` without items.
    """

    low: float
    high: float
    count: int
    mean: float | None
    share: float | None
    share_low: float | None
    share_high: float | None

    def as_dict(self) -> dict[str, float | int | None]:
        """As plain values."""
        return {name: getattr(self, name) for name in self.__slots__}


def reliability(probability: Any, right: Any, bins: int | Sequence[float] = 10) -> list[Bin]:
    """Compare what probabilities [N] say with how many answers are right, bin by bin.

    ``bins`` is a number of bins of equal width, or the edges between bins, rising, each between 0 and 1.
    """
    probability, right = _judged(probability, right, share=True)
    inner = [i / bins for i in range(1, bins)] if isinstance(bins, int) else [float(edge) for edge in bins]
    edges = [0.0, *inner, 1.0]
    if edges != sorted(set(edges)):
        raise ValueError("edges of bins rise, each between 0 and 1")
    place = np.searchsorted(np.asarray(inner), probability, side="right")
    return [
        _bin(low, high, probability[place == i], right[place == i]) for i, (low, high) in enumerate(pairwise(edges))
    ]


def _bin(low: float, high: float, probability: Any, right: Any) -> Bin:
    count, correct = len(right), int(right.sum())
    interval = wilson(correct, count)
    if interval is None:
        return Bin(low, high, 0, None, None, None, None)
    return Bin(low, high, count, math.fsum(probability.tolist()) / count, correct / count, *interval)


def expected_calibration_error(probability: Any, right: Any, bins: int | Sequence[float] = 10) -> float | None:
    """The mean distance of what probabilities say from how many are right, over bins of equal width (or by edges).

    Naeini, Cooper, Hauskrecht, AAAI 2015; Guo et al., ICML 2017. Above 0 even for perfect probabilities if there are
    few items in a bin, as shares vary. ``None`` without items.
    """
    filled = [(b.count, b.mean, b.share) for b in reliability(probability, right, bins)]
    total = sum(count for count, _, _ in filled)
    gaps = [count * abs(mean - share) for count, mean, share in filled if mean is not None and share is not None]
    return math.fsum(gaps) / total if total else None


def brier(probability: Any, right: Any) -> float | None:
    """The mean squared distance of probabilities [N] from what came true (Brier 1950); ``None`` without items."""
    probability, right = _judged(probability, right, share=True)
    return math.fsum(((probability - right) ** 2).tolist()) / len(right) if len(right) else None


def equal_mass_edges(probability: Any, bins: int = 10) -> list[float]:
    """Edges between bins of about as many items each, for ``reliability`` where probabilities crowd.

    K. Nguyen, B. O'Connor, EMNLP 2015. Equal probabilities stay in one bin, so there may be fewer.
    """
    ordered = np.sort(_finite(probability))
    at = [len(ordered) * i // bins for i in range(1, bins)]
    return sorted({float(ordered[place]) for place in at if len(ordered) and 0 < ordered[place] < 1})


def log_loss(posterior: Any, truth: Any) -> float | None:
    """The mean of -ln of the probability of what came true (Good, J. R. Stat. Soc. B 14, 1952), in nats.

    Args:
        posterior: [N, K]; a probability below 1e-15 counts as that.
        truth: Codes [N].

    Returns:
        ``None`` without items.
    """
    chosen = _of_truth(posterior, truth)
    return math.fsum((-np.log(np.maximum(chosen, 1e-15))).tolist()) / len(chosen) if len(chosen) else None


def brier_score(posterior: Any, truth: Any) -> float | None:
    """The mean over items of the sum over labels of (probability - whether it came true) squared.

    The form of G. W. Brier, Mon. Weather Rev. 78, 1950: 0 is best, 2 worst; for two labels twice ``brier``.
    ``posterior`` is [N, K], ``truth`` codes [N]; ``None`` without items.
    """
    chosen = _of_truth(posterior, truth)
    squares = (np.asarray(posterior, dtype=np.float64) ** 2).sum(axis=1) - 2 * chosen + 1
    return math.fsum(squares.tolist()) / len(chosen) if len(chosen) else None


def _of_truth(posterior: Any, truth: Any) -> Any:
    posterior, truth = _finite(posterior), np.asarray(truth)
    if posterior.ndim != 2 or truth.shape != posterior.shape[:1]:
        raise ValueError("there is one row of probabilities and one code for each item")
    return posterior[np.arange(len(truth)), truth.astype(np.int64)]


@dataclass(frozen=True, slots=True)
class PosteriorCalibration:
    """How far posteriors keep their word on gold.

    ``brier`` (0 to 2) and ``log_loss`` (nats) are over all ``items`` with gold. The bins, and the expected calibration
    errors over bins of equal width and of equal mass (ten items each at least), are over the ``labeled`` ones among
    them, and look at the probability of the label. For a multichoice task each pair of item and label counts as one
    item with the labels no and yes.
    """

    items: int
    labeled: int
    expected_error: float | None
    expected_error_equal_mass: float | None
    brier: float | None
    log_loss: float | None
    bins: list[Bin]
    equal_mass_bins: list[Bin]


def posterior_calibration(posterior: Any, truth: Any, labels: Any, bins: int = 10) -> PosteriorCalibration:
    """Hold posteriors [N, K] against gold ``truth`` [N] (-1 unknown); ``labels`` [N] are the model's, -1 for none."""
    true, said = (np.asarray(codes).astype(np.int64) for codes in (truth, labels))
    known = np.flatnonzero(true >= 0)
    shares, true, said = np.asarray(posterior, dtype=np.float64)[known], true[known], said[known]
    done = np.flatnonzero(said >= 0)
    confidence = np.minimum(shares[done, said[done]], 1.0)
    right = said[done] == true[done]
    edges = equal_mass_edges(confidence, max(1, min(bins, len(done) // _IN_A_BIN)))
    return PosteriorCalibration(
        len(known),
        len(done),
        expected_calibration_error(confidence, right, bins),
        expected_calibration_error(confidence, right, edges),
        brier_score(shares, true),
        log_loss(shares, true),
        reliability(confidence, right, bins),
        reliability(confidence, right, edges),
    )


def auroc(score: Any, right: Any) -> float | None:
    """How often a right answer has the higher score than a wrong one; of equal scores half.

    The area under the ROC curve (Hanley, McNeil 1982). ``None`` without a right answer, or without a wrong one.
    """
    score, right = _judged(score, right)
    _, index = np.unique(score, return_inverse=True)
    size = int(index.max()) + 1 if len(index) else 0
    good, bad = np.bincount(index[right], minlength=size), np.bincount(index[~right], minlength=size)
    pairs = int(good.sum()) * int(bad.sum())
    return int((good * (2 * (np.cumsum(bad) - bad) + bad)).sum()) / (2 * pairs) if pairs else None


def _judged(score: Any, right: Any, *, share: bool = False) -> tuple[Any, Any]:
    score, right = _finite(score), np.asarray(right)
    if score.ndim != 1 or score.shape != right.shape:
        raise ValueError("there is one score and one judgment for each item")
    if share and ((score < 0) | (score > 1)).any():
        raise ValueError("a probability lies between 0 and 1")
    return score, right.astype(bool)


def _finite(values: Any) -> Any:
    values = np.asarray(values, dtype=np.float64)
    if not np.isfinite(values).all():
        raise ValueError("a score is a finite number")
    return values


def _logits(probabilities: Any, floor: float = FLOOR) -> Any:
    given = _finite(probabilities)
    if given.ndim != 2 or (given < 0).any():
        raise ValueError("probabilities are rows of numbers, none below 0")
    return np.log(np.maximum(given, floor))
