"""Confident learning: which given labels are likely wrong, by probabilities that were found without them.

Northcutt, Jiang, Chuang 2021, "Confident Learning: Estimating Uncertainty in Dataset Labels", JAIR 70. A class's
threshold is the mean probability of it where it is given. An item counts in the confident joint under its given label
and, of the labels whose probability reaches their thresholds, the most probable one; where these differ it is an issue.
The joint is calibrated so that its rows sum to how often each label is given.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, slots=True)
class Confident:
    """What is found of M given labels of K classes.

    ``thresholds`` [K], NaN of a class that nobody gives; ``joint`` [K, K]: expected numbers, given by true, that sum to
    M; ``issues``: the likely wrong ones, the surest first; ``suggested`` [M], -1 where no label is confident;
    ``margin`` [M]: the probability of the suggested label less that of the given.
    """

    thresholds: Any
    joint: Any
    issues: Any
    suggested: Any
    margin: Any

    @property
    def noise(self) -> Any:
        """The share of each class's given labels that is expected to be wrong [K]; NaN of a class nobody gives."""
        given = self.joint.sum(axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            return 1 - np.diagonal(self.joint) / np.where(given > 0, given, np.nan)


def confident_learning(given: Any, probability: Any) -> Confident:
    """Find labels that are likely wrong.

    Args:
        given: The labels, codes [M] from 0 on.
        probability: Of each label [M, K], found without the given one: out of fold.
    """
    size, k = probability.shape
    counts = np.bincount(given, minlength=k)
    rows = np.arange(size)
    own = probability[rows, given] if size else np.zeros(0)
    with np.errstate(invalid="ignore", divide="ignore"):
        thresholds = np.bincount(given, weights=own, minlength=k) / np.where(counts > 0, counts, np.nan)
    # a class that nobody gives is never confident; rounding must not lift a threshold above all that made it
    reached = probability >= np.where(np.isnan(thresholds), np.inf, thresholds - 1e-12)
    best = np.where(reached, probability, -1.0).argmax(axis=1) if size else np.zeros(0, np.int64)
    suggested = np.where(reached.any(axis=1), best, -1)
    sure = suggested >= 0
    joint = np.zeros((k, k))
    np.add.at(joint, (given[sure], suggested[sure]), 1.0)
    bare = np.flatnonzero((joint.sum(axis=1) == 0) & (counts > 0))
    joint[bare, bare] = 1.0  # none of its items is confident: nothing says that they are wrong
    joint *= (counts / np.maximum(joint.sum(axis=1), 1e-300))[:, None]
    margin = np.where(sure, probability[rows, np.maximum(suggested, 0)] - own, -np.inf)
    wrong = np.flatnonzero(sure & (suggested != given) & (margin > 0))
    issues = wrong[np.lexsort((wrong, own[wrong], -margin[wrong]))]
    return Confident(thresholds, joint, issues, suggested, margin)


def folds_of(given: Any, order: Any, folds: int) -> Any:
    """A fold for each of M labels [M]: each class is spread over all of them, in an order that the items give."""
    ranked = np.lexsort((order, given))
    fold = np.empty(len(given), dtype=np.int64)
    fold[ranked] = np.arange(len(given)) % folds
    return fold
