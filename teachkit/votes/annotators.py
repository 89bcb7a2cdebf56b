"""What an annotator's confusions say: whether the answers tell anything of the label, and how they lean."""

from __future__ import annotations

from typing import Any

import numpy as np

from teachkit.votes.intervals import wilson

ENOUGH = 20
"""Judgments that it takes to call an annotator anything."""
NOTHING = 0.05
"""A score below which answers say nearly nothing: that of a voter who is right in 61 % of two equally likely labels."""
FAST = 1 / 3
"""An annotator whose median time is under this part of the usual one may not have looked."""


def spammer_score(table: Any) -> tuple[float | None, float | None]:
    """How far an annotator is from one whose answers do not depend on the label.

    Raykar and Yu, "Eliminating spammers and ranking annotators for crowdsourced labeling tasks" (JMLR 13, 2012): a
    spammer's confusion matrix has equal rows; the score is the mean squared distance of rows, halved, 1 for a voter
    without error (or one who always errs in the same way), 0 for a spammer. Rows of few judgments differ by chance, so
    what chance alone gives is taken away.

    Args:
        table: [K, K] how often the label was i and the answer j; labels that never were have no row.

    Returns:
        The score less what chance gives (at least 0), and what chance gives; None, None of fewer than two labels.
    """
    counts = np.asarray(table, dtype=np.float64)
    total = counts.sum(axis=1)
    rows, n = counts[total > 0], total[total > 0]
    if len(rows) < 2:
        return None, None
    share, usual = rows / n[:, None], rows.sum(axis=0) / n.sum()
    pairs = len(rows) * (len(rows) - 1)
    score = float(((share[:, None, :] - share[None, :, :]) ** 2).sum() / 2) / pairs
    spread = float((usual * (1 - usual)).sum())
    chance = spread * float((1 / n[:, None] + 1 / n[None, :])[~np.eye(len(n), dtype=bool)].sum() / 2) / pairs
    return max(0.0, score - chance), chance


def remarks(table: Any, labels: Any, score: float | None) -> list[str]:
    """What stands out in confusions [K, K] (label, answer), in plain words; nothing of few judgments."""
    counts = np.asarray(table, dtype=np.float64)
    n, right = counts.sum(), float(np.trace(counts))
    if n < ENOUGH:
        return []
    said, true = counts.sum(axis=0), counts.sum(axis=1)
    most = int(said.argmax())
    if said[most] == n and (true > 0).sum() > 1:
        return [f"always says {labels[most]}, whatever the label"]
    expected = float((said * true).sum() / n**2)
    if score is not None and score < NOTHING:
        return ["spammer: its answers say nearly nothing of the label"]
    low, high = wilson(right, n) or (0.0, 1.0)
    if low <= expected <= high:
        return [f"not told apart from chance: right in {right / n:.0%}, by chance in {expected:.0%}"]
    if right / n < expected:
        return ["right less often than by chance: labels mixed up?"]
    spread = np.sqrt(np.maximum(counts.sum() * true / n * (1 - true / n), 1.0))
    lean = (said - true) / spread
    return [
        f"says {labels[c]} too {word}: {int(said[c])} times, expected {int(true[c])}"
        for c, word in ((int(lean.argmax()), "often"), (int(lean.argmin()), "seldom"))
        if abs(lean[c]) > 3  # three standard errors: a few annotators in a thousand by chance
    ]
