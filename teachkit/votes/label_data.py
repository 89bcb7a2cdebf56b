"""A label set as arrays, beside its gold: what tests and figures are computed from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from teachkit.votes.intervals import Quality, quality
from teachkit.votes.splits import SPLITS

METRICS = ("accuracy", "low", "high", "n", "macro_f1")
"""The figures of quality on gold that a lock keeps."""
if TYPE_CHECKING:
    from teachkit.votes.calibration import PosteriorCalibration


@dataclass(frozen=True, slots=True)
class LabelData:
    """Labels and gold of N items, L labels.

    ``decided`` and ``gold``: codes [N], -1 for none; multichoice: [N, L] of 1, 0, -1. ``split`` [N]: index in
    ``SPLITS``.
    """

    labels: tuple[str, ...]
    multi: bool
    decided: Any
    gold: Any
    split: Any

    def quality(self, split: str | None = None) -> Quality:
        """Compare with gold, of one split or of all.

        Of a multichoice item every label must be right; its macro F1 is the mean F1 of the labels.
        """
        chosen = np.ones(len(self.split), dtype=bool) if split is None else self.split == SPLITS.index(split)
        decided, gold = self.decided[chosen], self.gold[chosen]
        if not self.multi:
            return quality(decided, gold, len(self.labels))
        known = (gold >= 0).all(axis=1)
        decided, gold = decided[known], gold[known]
        labeled = (decided >= 0).all(axis=1)
        right = (decided == gold).all(axis=1)
        whole = quality(np.where(labeled, right.astype(np.int64), -1), np.ones(len(gold), dtype=np.int64), 2)
        scores = [_f1(decided[:, k], gold[:, k]) for k in range(len(self.labels))]
        found = [s for s in scores if s is not None]
        return Quality(
            n=whole.n,
            labeled=whole.labeled,
            correct=whole.correct,
            accuracy=whole.accuracy,
            low=whole.low,
            high=whole.high,
            accuracy_labeled=whole.accuracy_labeled,
            macro_f1=sum(found) / len(found) if found else None,
        )

    def mean_error(self, split: str | None = None) -> tuple[int, int, float | None]:
        """Of ordered labels: labeled items with gold, items with gold, how many steps the former are off in the mean.

        The last is None without labeled items.
        """
        chosen = self.gold >= 0
        if split is not None:
            chosen = chosen & (self.split == SPLITS.index(split))
        both = chosen & (self.decided >= 0)
        steps = np.abs(self.decided[both].astype(np.int64) - self.gold[both])
        return len(steps), int(chosen.sum()), float(steps.sum() / len(steps)) if len(steps) else None

    @property
    def labeled(self) -> Any:
        """Which items have a label [N]."""
        return (self.decided >= 0).all(axis=1) if self.multi else self.decided >= 0

    def figures(self, split: str | None = None) -> dict[str, Any]:
        """Quality on gold, as the lock has it."""
        found = self.quality(split).as_dict()
        return {name: found[name] for name in METRICS}

    def same(self, one: Any, other: Any) -> bool:
        """Whether two answers about an item are the same."""
        return bool((one == other).all())

    def words(self, answer: Any) -> str | None:
        """An answer about an item for people; None where there is none."""
        if not (answer >= 0).all():
            return None
        if self.multi:
            return "|".join(name for name, code in zip(self.labels, answer, strict=True) if code == 1)
        return self.labels[int(answer)]

    def shares(self) -> list[float | None]:
        """The share of each label among the labeled items; None where there are none."""
        if self.multi:
            done = (self.decided >= 0).all(axis=1)
            return [float((self.decided[done, k] == 1).mean()) if done.any() else None for k in range(len(self.labels))]
        done = self.decided[self.decided >= 0]
        return [float((done == k).mean()) if len(done) else None for k in range(len(self.labels))]


def calibration_on(posterior: Any, labels: Any, gold: Any) -> PosteriorCalibration:
    """How far posteriors [N, L] keep their word on ``gold``; ``labels`` and ``gold`` are codes as in ``LabelData``.

    Items without a row (NaN) do not count. Of multichoice, each pair of item and label does, as no or yes.
    """
    from teachkit.votes.calibration import posterior_calibration

    there = ~np.isnan(posterior).any(axis=1)
    posterior, labels, gold = posterior[there], labels[there], gold[there]
    if gold.ndim == 2:
        yes = posterior.ravel()
        return posterior_calibration(np.stack([1 - yes, yes], axis=1), gold.ravel(), labels.ravel())
    return posterior_calibration(posterior, gold, labels)


def _f1(decided: Any, gold: Any) -> float | None:
    hit = int(((decided == 1) & (gold == 1)).sum())
    said, true = int((decided == 1).sum()), int((gold == 1).sum())
    return 2 * hit / (said + true) if said or true else None
