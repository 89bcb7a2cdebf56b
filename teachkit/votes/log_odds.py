"""How much more often a term stands in items of one label than in others.

Smoothed log-odds with an informative Dirichlet prior (Monroe, Colaresi, Quinn 2008, "Fightin' Words", section 3.3.3),
here of items that hold the term, not of its occurrences: a labeling function votes once on an item. As most items may
hold a term, the variance has all four terms of that of log-odds, not the two that matter for rare ones.
"""

from __future__ import annotations

from typing import Any

import numpy as np

STRENGTH = 10.0
"""How many items the prior counts as: a term that hardly any item tells of is as frequent in all labels."""


def z_scores(having: Any, of: float, others_having: Any, of_others: float, background: Any) -> Any:
    """The z-score of the log-odds of T terms: how sure it is that a term leans to a label.

    Args:
        having: Items of the label that hold each term [T]; weights, where labels are probabilities.
        of: All items of the label.
        others_having: Items of the other labels that hold it [T].
        of_others: All items of the other labels.
        background: The share of all items that hold it [T]: what the prior expects of every label.
    """
    prior = STRENGTH * np.clip(background, 1e-9, 1 - 1e-9)
    mine, theirs = having + prior, others_having + prior
    rest = np.maximum(of + STRENGTH - mine, 1e-9)
    others_rest = np.maximum(of_others + STRENGTH - theirs, 1e-9)
    odds = np.log(mine / rest) - np.log(theirs / others_rest)
    return odds / np.sqrt(1 / mine + 1 / rest + 1 / theirs + 1 / others_rest)
