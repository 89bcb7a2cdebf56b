"""From which score on a cheap model's answer may stand, so that a stated share is right: with a stated confidence.

Candidates are a fixed grid of thresholds, tested from the strictest down, each by an exact binomial bound at level
``delta``; the first that fails ends it. As the order is fixed beforehand, no correction for the number of tests is
needed (fixed-sequence testing; Learn then Test, Angelopoulos et al. 2021). For precision, thresholds at which too few
items stand are skipped, so that one bad answer among a handful does not end it all: the first is tested where half of
the errors that the target allows would pass. That looks at scores alone, never at what was right.

What it assumes: the sample is drawn like the items that the threshold is used on, its gold is right, and it was not
used to choose between several cascades.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

GRID = tuple(1 / (1 + math.exp(-x / 4)) for x in range(60, -61, -1))
"""Candidates, strictest first: dense near 1, where the scores of language models lie."""

ABOVE_ALL = 2.0
"""A threshold that no score reaches: the strong model answers everything."""


@dataclass(frozen=True, slots=True)
class Threshold:
    """Answers whose score is ``threshold`` or more stand. ``bound``: the share right is at least that, at 1 - delta.

    ``kept`` of ``sample`` items stand; ``tested`` is how many candidates were tried.
    """

    threshold: float
    bound: float
    kept: int
    sample: int
    tested: int


@dataclass(frozen=True, slots=True)
class Refusal:
    """No threshold can be promised; ``needed``: so many items must stand, all right, for any to pass."""

    reason: str
    needed: int


def fit_threshold(
    score: Any,
    right: Any,
    *,
    target: float,
    delta: float,
    right_strong: Any = None,
    kind: Literal["precision", "accuracy"] = "precision",
) -> Threshold | Refusal:
    """Find the lowest threshold that keeps the promise.

    Args:
        score: of the cheap model's answers [N]; below 0 where it has none, which then never stand.
        right: whether they are right [N].
        target: the share that must be right, between 0 and 1.
        delta: the chance of a sample that misleads, between 0 and 1.
        right_strong: whether the strong model is right [N]; None: what it says is the truth.
        kind: ``precision``: of the answers that stand; ``accuracy``: of all, those of the strong model included.

    Raises:
        ValueError: ``target`` or ``delta`` is not between 0 and 1.
    """
    if not (0 < target < 1 and 0 < delta < 1):
        raise ValueError("target and delta are between 0 and 1: no sample can promise 1")
    score, right = np.asarray(score, dtype=np.float64), np.asarray(right, dtype=bool)
    strong = np.ones(len(score), dtype=bool) if right_strong is None else np.asarray(right_strong, dtype=bool)
    needed = math.ceil(math.log(delta) / math.log(target))
    if len(score) < needed:
        return Refusal(f"it takes {needed} items at least, all right, and the sample has {len(score)}", needed)
    found: Threshold | None = None
    best = 0.0
    tested = 0
    enough = max(needed, min(_enough(target, delta), int((score >= 0).sum())))
    candidates = [*GRID, 0.0] if kind == "precision" else [ABOVE_ALL, *GRID, 0.0]
    for threshold in candidates:
        stands = score >= threshold
        kept = int(stands.sum())
        if kind == "precision":
            hits, trials = int((right & stands).sum()), kept
            if trials < enough:
                continue
        else:
            hits, trials = int(np.where(stands, right, strong).sum()), len(score)
        tested += 1
        bound = lower_bound(hits, trials, delta)
        best = max(best, bound)
        if bound < target:
            break
        found = Threshold(threshold, bound, kept, len(score), tested)
    if found is not None:
        return found
    if not tested:
        return Refusal(f"it takes {needed} items at least with a score, all right, and there are {kept}", needed)
    who = "the answers with the highest scores" if kind == "precision" else "the strong model alone"
    return Refusal(f"of {trials} items, {hits} are right by {who}, which shows no more than {best:.3f}", needed)


def _enough(target: float, delta: float) -> int:
    """So many items show the target with half of the errors that it allows."""
    trials = math.ceil(math.log(delta) / math.log(target))
    while lower_bound(trials - int(trials * (1 - target) / 2), trials, delta) < target:
        trials = math.ceil(trials * 1.1)
    return trials


def lower_bound(hits: int, trials: int, delta: float) -> float:
    """The exact lower bound of a share at confidence 1 - delta (Clopper & Pearson 1934)."""
    if hits == 0:
        return 0.0
    if hits == trials:
        return float(delta ** (1 / trials))
    k = np.arange(hits, trials + 1)
    ways = np.array([math.lgamma(trials + 1) - math.lgamma(i + 1) - math.lgamma(trials - i + 1) for i in k])
    low, high = 0.0, hits / trials
    for _ in range(60):
        middle = (low + high) / 2
        terms = (
            ways + k * math.log(middle) + (trials - k) * math.log1p(-middle) if middle > 0 else np.full(len(k), -np.inf)
        )
        if float(np.exp(terms).sum()) < delta:
            low = middle
        else:
            high = middle
    return low
