"""Quality figures with their denominators and intervals."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

Z95 = 1.959963984540054
_EXACT = 1000
_NOTHING = 1e-100  # so many expected trials are none, and their square is no number


def wilson(correct: float, total: float, z: float = Z95) -> tuple[float, float] | None:
    """The Wilson score interval of a share (Wilson 1927), None without trials."""
    if total <= 0:
        return None
    if total < _NOTHING:
        return 0.0, 1.0
    share = correct / total
    middle = share + z * z / (2 * total)
    spread = z * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    scale = 1 + z * z / total
    low, high = max(0.0, (middle - spread) / scale), min(1.0, (middle + spread) / scale)
    return 0.0 if correct <= 0 else low, 1.0 if correct >= total else high


@dataclass(frozen=True, slots=True)
class Quality:
    """How labels compare with gold: over all items with gold (``n``), and over those with a label (``labeled``)."""

    n: int
    labeled: int
    correct: int
    accuracy: float | None
    low: float | None
    high: float | None
    accuracy_labeled: float | None
    macro_f1: float | None

    @property
    def coverage(self) -> float | None:
        """The share of gold items that have a label."""
        return self.labeled / self.n if self.n else None

    def as_dict(self) -> dict[str, float | int | None]:
        """As plain values."""
        return {
            "n": self.n,
            "labeled": self.labeled,
            "correct": self.correct,
            "accuracy": self.accuracy,
            "low": self.low,
            "high": self.high,
            "accuracy_labeled": self.accuracy_labeled,
            "macro_f1": self.macro_f1,
            "coverage": self.coverage,
        }


def quality(labels: Any, gold: Any, n_labels: int) -> Quality:
    """Compare codes [N] (-1 unlabeled) with gold [N] (-1 unknown); an unlabeled item counts as wrong."""
    table = confusion(labels, gold, n_labels)
    n, correct = int(table.sum()), int(table.trace())
    labeled = n - int(table[:, n_labels].sum())
    low, high = wilson(correct, n) or (None, None)
    accuracy, accuracy_labeled = correct / n if n else None, correct / labeled if labeled else None
    return Quality(n, labeled, correct, accuracy, low, high, accuracy_labeled, _macro_f1(table))


def macro_f1(labels: Any, gold: Any, n_labels: int) -> float | None:
    """The mean F1 of the classes that gold or labels have, over items with gold; None without gold."""
    return _macro_f1(confusion(labels, gold, n_labels))


def confusion(labels: Any, gold: Any, n_labels: int) -> Any:
    """Counts [gold, label] over items with gold; the last column is unlabeled."""
    labels, gold = np.asarray(labels), np.asarray(gold)
    known = gold >= 0
    said = np.where(labels[known] >= 0, labels[known], n_labels).astype(np.int64)
    flat = np.bincount(gold[known].astype(np.int64) * (n_labels + 1) + said, minlength=n_labels * (n_labels + 1))
    return flat.reshape(n_labels, n_labels + 1)


def _macro_f1(table: Any) -> float | None:
    hits, true, said = table.diagonal().tolist(), table.sum(axis=1).tolist(), table.sum(axis=0).tolist()
    scores = [2 * h / (s + t) for h, t, s in zip(hits, true, said, strict=False) if s or t]
    return math.fsum(scores) / len(scores) if scores else None


def mcnemar(only_a: int, only_b: int) -> float:
    """Two-sided p-value of McNemar's test (Psychometrika 12, 1947): a fair coin for each item that one alone has right.

    Exact up to a thousand such items, from there on by the normal curve with a correction for continuity.
    """
    n, k = only_a + only_b, min(only_a, only_b)
    if n > _EXACT:
        return math.erfc(max(0, n - 2 * k - 1) / math.sqrt(2 * n))
    tail = sum(math.comb(n, i) for i in range(k + 1))
    return min(1.0, float(2 * tail / 2**n))
