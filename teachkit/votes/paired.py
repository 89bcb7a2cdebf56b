"""Two sets of answers to the same items, before and after a change: is one better, and by how much?"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from teachkit.votes.intervals import Z95, mcnemar, wilson


@dataclass(frozen=True, slots=True)
class Paired:
    """A figure before and after on the same ``n`` items, with 95 % intervals; None where it is undefined.

    ``delta`` is after less before, with an interval that knows that the items are the same. ``better`` and ``worse``
    count items that the later and the earlier answers alone have right; ``p_value`` is McNemar's test of them.
    """

    n: int
    before: float | None
    after: float | None
    before_low: float | None
    before_high: float | None
    low: float | None
    high: float | None
    delta: float | None
    delta_low: float | None
    delta_high: float | None
    better: int | None = None
    worse: int | None = None
    p_value: float | None = None


def paired_accuracy(before: Any, after: Any) -> Paired:
    """Compare two accuracies from which answers are right [N]: Wilson intervals, and Newcombe's for the difference.

    The latter is method 10 of R. G. Newcombe, Statistics in Medicine 17 (1998) 2635-2650.
    """
    n = len(before)
    if not n:
        return Paired(0, None, None, None, None, None, None, None, None, None, 0, 0, 1.0)
    both, better, worse = int((before & after).sum()), int((after & ~before).sum()), int((before & ~after).sum())
    was, now = (both + worse) / n, (both + better) / n
    was_low, was_high = wilson(both + worse, n) or (0.0, 1.0)
    low, high = wilson(both + better, n) or (0.0, 1.0)
    phi = _phi(both, better, worse, n - both - better - worse)
    down = math.sqrt(max(0.0, (now - low) ** 2 - 2 * phi * (now - low) * (was_high - was) + (was_high - was) ** 2))
    up = math.sqrt(max(0.0, (high - now) ** 2 - 2 * phi * (high - now) * (was - was_low) + (was - was_low) ** 2))
    delta = now - was
    p_value = mcnemar(better, worse)
    return Paired(n, was, now, was_low, was_high, low, high, delta, delta - down, delta + up, better, worse, p_value)


def _phi(both: int, better: int, worse: int, neither: int) -> float:
    """The correlation of the two, corrected for continuity, 0 where it is undefined."""
    margins = (both + better) * (both + worse) * (better + neither) * (worse + neither)
    if not margins:
        return 0.0
    product, n = both * neither - better * worse, both + better + worse + neither
    return (max(product - n / 2, 0) if product > 0 else product) / math.sqrt(margins)


def paired_means(before: Any, after: Any, *, less_is_better: bool) -> Paired:
    """Compare two means of a figure of each item [N]: normal intervals, that of the difference over the same items.

    ``better`` and ``worse`` count the items that moved to either side; the p-value is that of the sign test.
    """
    n = len(before)
    if not n:
        return Paired(0, None, None, None, None, None, None, None, None, None, 0, 0, 1.0)
    moved = (before - after) if less_is_better else (after - before)
    better, worse = int((moved > 0).sum()), int((moved < 0).sum())
    was, now = math.fsum(before) / n, math.fsum(after) / n
    sides = [(mean - _spread(values), mean + _spread(values)) for mean, values in ((was, before), (now, after))]
    delta, off = now - was, _spread(after - before)
    p_value = mcnemar(better, worse)
    return Paired(n, was, now, *sides[0], *sides[1], delta, delta - off, delta + off, better, worse, p_value)


def paired_macro_f1(gold: Any, before: Any, after: Any) -> Paired:
    """Compare two macro F1 from indicator arrays [N, K] of bool: which labels hold, which were and which are said.

    Labels that neither hold nor are said do not count. Intervals are normal ones from the influence of each item on the
    figure (the delta method, as for F1 in K. Takahashi et al., Applied Intelligence 52 (2022) 4961-4972).
    """
    n = len(gold)
    was, was_moved = _macro_f1(gold, before)
    now, now_moved = _macro_f1(gold, after)
    if was is None or now is None:
        return Paired(n, was, now, None, None, None, None, None, None, None)
    spread = _spread(now_moved - was_moved)
    was_low, was_high = _around(was, _spread(was_moved), 0.0)
    low, high = _around(now, _spread(now_moved), 0.0)
    delta_low, delta_high = _around(now - was, spread, -1.0)
    return Paired(n, was, now, was_low, was_high, low, high, now - was, delta_low, delta_high)


def _macro_f1(gold: Any, said: Any) -> tuple[float | None, Any]:
    """The mean F1 of the labels, and the influence [N] of each item on it."""
    hits, sizes = gold & said, gold.astype(np.float64) + said
    total = sizes.mean(axis=0) if len(gold) else np.zeros(gold.shape[1])
    known = total > 0
    if not known.any():
        return None, np.zeros(len(gold))
    hit, size = hits[:, known].mean(axis=0), total[known]
    influence = 2 * (hits[:, known] * size - hit * sizes[:, known]) / size**2
    return float((2 * hit / size).mean()), influence.mean(axis=1)


def _spread(influence: Any) -> float:
    return Z95 * float(influence.std()) / math.sqrt(len(influence))


def _around(value: float, spread: float, least: float) -> tuple[float, float]:
    return max(least, value - spread), min(1.0, value + spread)
