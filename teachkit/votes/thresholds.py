"""From which score on a cheap answer may stand, with a guarantee on how often it is right.

A cascade asks a cheap voter first, and a strong one where the cheap one's score is below a threshold. The threshold is
chosen on judged items so that, with probability 1 - delta over the draw of those items, the target is met: for
``precision`` by the cheap answers that stand, for ``accuracy`` by all answers of the cascade.

The method is Learn-then-Test (Angelopoulos, Bates, Candès, Jordan, Lei, *Learn then Test: Calibrating Predictive
Algorithms to Achieve Risk Control*, 2021): candidates are fixed before any judgment is looked at, each stands for the
hypothesis "this threshold misses the target", and a procedure rejects hypotheses such that it rejects a true one with
probability at most delta, whatever the scores are worth. Every candidate that was rejected may be used; the laxest is.

- A hypothesis is tested with an exact binomial tail: of n items that are drawn independently and fall to the candidate,
  the number of right ones is binomial with the candidate's own precision (or accuracy), given n. This is the test that
  Clopper and Pearson (1934) turn into a lower bound. Items drawn without replacement from a finite table vary less
  (Hoeffding 1963, section 6), so the test holds for them, too.
- Candidates are tested from the strictest to the laxest, in chains: each starts with a share of delta and goes on,
  with all of it, for as long as it rejects; at the start of the next chain its share is added to that one's (the
  fallback procedure, Wiens 2003; with one chain: fixed-sequence testing). A true hypothesis is only ever tested at
  what no other true one before it has used up.
- Candidates and starts depend on the scores of all rows that the cascade is for, on the number of judged items, and on
  target and delta. Judged items may be among the rows, of which they are a random sample; the guarantee is about those
  rows. They may not choose candidates by themselves, not even by their scores: a start that waits until enough judged
  items are accepted favours samples in which the stricter zone, which it skips, is thin.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

Kind = Literal["precision", "accuracy"]
_STEPS = 40  # candidates between the strictest and the laxest


@dataclass(frozen=True, slots=True)
class Candidates:
    """Thresholds, falling, and for each the share of delta that a chain starts with there (0: none starts)."""

    thresholds: tuple[float, ...]
    shares: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Tested:
    """One candidate: of ``n`` items ``right`` were right; ``p_value`` against ``level``, its part of delta."""

    threshold: float
    n: int
    right: int
    p_value: float
    level: float

    @property
    def passed(self) -> bool:
        """Whether the candidate is shown to meet the target."""
        return self.p_value <= self.level

    def as_dict(self) -> dict[str, float | int | bool]:
        """As plain values."""
        return {name: getattr(self, name) for name in (*self.__slots__, "passed")}


@dataclass(frozen=True, slots=True)
class Threshold:
    """Cheap answers with a score of ``threshold`` or more stand.

    ``accepted`` of the ``n_items`` judged items stand. ``right`` of ``n`` are right: of those, or of all for accuracy;
    ``bound`` is what is guaranteed, at least the target: the lower bound of Clopper and Pearson at the level of the
    test. ``trace`` holds all candidates that were tested.
    """

    threshold: float
    accepted: int
    n_items: int
    right: int
    n: int
    bound: float
    trace: tuple[Tested, ...]

    @property
    def share_accepted(self) -> float:
        """The share of the judged items whose cheap answer stands."""
        return self.accepted / self.n_items

    def as_dict(self) -> dict[str, Any]:
        """As plain values."""
        plain = {name: getattr(self, name) for name in self.__slots__ if name != "trace"}
        return {**plain, "share_accepted": self.share_accepted, "trace": [each.as_dict() for each in self.trace]}


@dataclass(frozen=True, slots=True)
class Refusal:
    """There is no threshold, and why: ``too few items`` (``needed`` at least, were all right), or ``target missed``."""

    reason: Literal["too few items", "target missed"]
    n_items: int
    needed: int
    trace: tuple[Tested, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """As plain values."""
        plain = {name: getattr(self, name) for name in self.__slots__ if name != "trace"}
        return {**plain, "trace": [each.as_dict() for each in self.trace]}


def items_needed(target: float, delta: float) -> int:
    """The least number of items that can show ``target`` at ``delta``: the least n with target**n <= delta.

    Raises:
        ValueError: one of them is not between 0 and 1; no number of items shows that all answers are right.
    """
    if not 0 < target < 1 or not 0 < delta < 1:
        raise ValueError(f"target and delta lie between 0 and 1, 0 and 1 left out; not {target} and {delta}")
    low, high = 0, 1
    while _power(target, high) > delta:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _power(target, middle) > delta else (low, middle)
    return high


def candidates(population: Any, n_items: int, *, target: float, delta: float, kind: Kind) -> Candidates:
    """Choose the thresholds to test, before any judgment is looked at.

    They are scores at even steps of the population's ranks, down to its lowest. For ``precision``, chains
    start where a little more items are to be expected above the threshold than a chain needs if all are right, at twice
    that, four times that, and so on, and at all items: fewer show nothing even if all are right, and with few more than
    that one error ends a chain. All starts have the same share; how many there are depends on ``target``, so in rare
    cases a higher target finds a threshold where a lower one finds none (never with the same candidates). For
    ``accuracy`` every candidate is tested on all items, and one chain starts at the strictest.

    Args:
        population: the scores [M] of all rows that the cascade is for; where one is not finite, the row's cheap answer
            never stands.
        n_items: how many judged items there will be.
        target: see ``fit_threshold``.
        delta: see ``fit_threshold``.
        kind: see ``fit_threshold``.
    """
    given = np.asarray(population, dtype=np.float64)
    scores = np.sort(given[np.isfinite(given)])[::-1]
    if not len(scores) or n_items < items_needed(target, delta):
        return Candidates((), ())
    if kind == "precision":
        per_item = len(given) / n_items
        starts = [min(len(scores), math.ceil(size * per_item)) for size in _starts(n_items, target, delta)]
    else:
        starts = [math.ceil(len(scores) / _STEPS)]
    first, last = starts[0], len(scores)
    shares = {float(scores[first + (last - first) * i // _STEPS - 1]): 0.0 for i in range(_STEPS + 1)}
    for start in starts:
        threshold = float(scores[start - 1])
        shares[threshold] = shares.get(threshold, 0.0) + 1 / len(starts)
    falling = sorted(shares, reverse=True)
    return Candidates(tuple(falling), tuple(shares[threshold] for threshold in falling))


def _starts(n_items: int, target: float, delta: float) -> list[int]:
    """Numbers of accepted items at which chains start, the last one all."""
    needed = items_needed(target, delta / 2)
    sizes, size = [], needed + math.isqrt(needed)
    while size < n_items:
        sizes.append(size)
        size *= 2
    if sizes and n_items < 1.4 * sizes[-1]:  # a start of its own would cost more than it finds
        sizes.pop()
    return [*sizes, n_items]


def fit_threshold(
    score: Any,
    right_cheap: Any,
    *,
    candidates: Candidates,
    target: float,
    delta: float,
    kind: Kind,
    right_strong: Any = None,
) -> Threshold | Refusal:
    """Find the laxest candidate that is shown to meet ``target``, or say why there is none.

    Args:
        score: of the cheap answers [N], never NaN; ``-inf`` for an item that has none, or whose cheap answer cannot
            stand. Raw scores: one that was calibrated on these very items knows their judgments.
        right_cheap: which cheap answers are right [N].
        candidates: from ``candidates``; not chosen on these items.
        target: the share of right answers, above 0 and below 1: of the cheap answers that stand (``precision``), or of
            the cascade's (``accuracy``).
        delta: the probability of a draw of items that makes the choice miss the target, above 0 and below 1.
        kind: ``precision`` or ``accuracy``.
        right_strong: for ``accuracy``: which strong answers are right [N]; ``None`` takes them for the truth.

    Raises:
        ValueError: a target or a delta out of range; arrays that do not fit.
    """
    needed = items_needed(target, delta)
    score, cheap = np.asarray(score, dtype=np.float64), np.asarray(right_cheap).astype(bool)
    strong = np.ones(len(score), dtype=bool) if right_strong is None else np.asarray(right_strong).astype(bool)
    if score.ndim != 1 or not score.shape == cheap.shape == strong.shape or np.isnan(score).any():
        raise ValueError("there is one score, never NaN, and one judgment for each item")
    if len(score) < needed:
        return Refusal("too few items", len(score), needed)
    trace, chosen, level = [], None, 0.0
    for threshold, share in zip(candidates.thresholds, candidates.shares, strict=True):
        level += share * delta
        if level == 0:
            continue
        stands = score >= threshold
        of = cheap[stands] if kind == "precision" else np.where(stands, cheap, strong)
        n, right = len(of), int(of.sum())
        tested = Tested(threshold, n, right, upper_tail(right, n, target), level)
        trace.append(tested)
        if tested.passed:
            chosen = tested
        else:
            level = 0.0
    if chosen is None:
        return Refusal("target missed", len(score), needed, tuple(trace))
    accepted = int((score >= chosen.threshold).sum())
    bound = _lower_bound(chosen, target)
    return Threshold(chosen.threshold, accepted, len(score), chosen.right, chosen.n, bound, tuple(trace))


def upper_tail(right: int, n: int, share: float) -> float:
    """The probability of ``right`` successes or more in ``n`` trials, each with probability ``share`` in (0, 1).

    Products, quotients and one exact sum, so the same bits everywhere; relative error below n / 10**15.
    """
    if right >= n:
        return _power(share, n) if right == n else 0.0
    trial = np.arange(1, n + 1)
    ratio = (n - trial + 1) / trial * (share / (1 - share))  # of the weights of neighbouring numbers of successes
    mode = min(n, int((n + 1) * share))
    weights = np.ones(n + 1)
    weights[mode + 1 :] = np.cumprod(ratio[mode:])
    weights[:mode] = np.cumprod(1 / ratio[:mode][::-1])[::-1]
    return math.fsum(weights[right:].tolist()) / math.fsum(weights.tolist())


def _lower_bound(tested: Tested, target: float) -> float:
    """Clopper and Pearson's bound at the level of a test that passed: the highest share that it still rejects."""
    low, high = target, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        inside = middle < 1 and upper_tail(tested.right, tested.n, middle) <= tested.level
        low, high = (middle, high) if inside else (low, middle)
    return low


def _power(base: float, exponent: int) -> float:
    """By squaring: the platform's ``pow`` may differ in the last bit."""
    result = 1.0
    while exponent:
        if exponent & 1:
            result *= base
        base, exponent = base * base, exponent >> 1
    return result
