"""What the model ``auto`` believes of its voters, given expected votes: the M-step, with every prior argued.

A voter has two channels. **Whether** it votes says something only where its silence is informative: P(votes | label).
**What** it says: P(vote | label, it votes), unless it is one-sided (an informative voter of one label says all by
voting).

*What* has three levels: the rows of a voter's confusion matrix are drawn to those of a voter that errs evenly with the
same accuracy, by ``kappa`` votes; accuracies to that of all voters, by ``nu`` votes; this to ``COMMON``, by
``FEW`` votes. How strong the first two are is learned (type II maximum likelihood: the marginal likelihood of Dirichlet
and Beta, I. J. Good, The Estimation of Probabilities, 1965): in a crowd of biased people the matrices win, in one whose
members have a few votes each the single accuracies do.

*Whether* is counted with restraint. Labeling functions fire together for reasons other than the label (long texts,
easy items), so a thousand items are not a thousand independent trials: their likelihood is raised to a power, as the
coarsened posterior does (J. W. Miller, D. B. Dunson, JASA 114, 2019), so that all items without gold weigh as
``ITEMS`` items do. Items with gold come to count in full as there are ``ITEMS`` of each label: a few of them say less
of a rare voter than all votes do.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from teachkit.label_models.kernels import each, each_flat, in_order, log, log_all
from teachkit.votes.jit import jit

COMMON, FEW = 0.7, 4.0
"""What accuracy voters are taken to have before any vote is seen, and how many votes that is worth."""
ITEMS = 30.0
"""How many items the votes of labeling functions are worth to what is believed of when they fire."""
FIRING = 3.0
"""How many items of each label the prior of P(votes | label) is worth."""
MOST = 0.995
"""The greatest probability that few votes can lead to."""
MARGIN = 1e-3
"""By how much (log-odds) the vote of a one-sided voter puts its label first where nobody else speaks."""

NU = np.array([2.0, 4.0, 8.0, 16.0, 32.0, 64.0])
KAPPA = np.array([1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0])

_STIRLING = (1.0 / 12.0, -1.0 / 360.0, 1.0 / 1260.0, -1.0 / 1680.0, 1.0 / 1188.0, -691.0 / 360360.0)
_HALF_LOG_TWO_PI = 0.91893853320467274178


@jit
def log_gamma(x: float) -> float:  # pragma: no cover - compiled
    """The logarithm of the gamma function for x > 0, to about 1e-13: Stirling's series above 8, reached by x + 1."""
    product = 1.0
    while x < 8.0:
        product *= x
        x += 1.0
    z = 1.0 / (x * x)
    series = _STIRLING[5]
    for n in range(4, -1, -1):
        series = _STIRLING[n] + z * series
    return (x - 0.5) * log(x) - x + _HALF_LOG_TWO_PI + series / x - log(product)


def log_gammas(values: Any) -> Any:
    """``log_gamma`` of each number."""
    return each(_log_gammas, values)


@jit
def _log_gammas(values: Any) -> None:  # pragma: no cover - compiled
    for i in range(len(values)):
        values[i] = log_gamma(values[i])


def rows_said(sums: Any, who: Any, strengths: Any, choose: bool, rows: Any) -> float:
    """What voters say where they vote: log P(c | y) to ``rows`` [V, K, K] for the voters ``who``.

    ``sums`` [V, K codes, K] are expected votes, ``strengths`` is (nu, kappa), chosen anew if ``choose``. Returns the
    accuracy that all are drawn to.
    """
    votes, labels = sums[who], sums.shape[1]
    right, total = in_order(np.diagonal(votes, axis1=1, axis2=2)), in_order(each_flat(votes))
    given = in_order(votes.swapaxes(1, 2))
    common = (COMMON * FEW + in_order(right)) / (FEW + in_order(total))
    common = float(min(max(common, 1.0 / labels + 0.01), 0.99))
    if choose:
        strengths[0] = NU[np.argmax([_likelihood_of_nu(nu, common, right, total) for nu in NU])]
    accuracy = (right + strengths[0] * common) / (total + strengths[0])
    accuracy = np.minimum(np.maximum(accuracy, 0.5 / labels), MOST)
    even = np.where(np.eye(labels, dtype=bool), accuracy[:, None, None], _rest(accuracy, labels)[:, None, None])
    if choose:
        strengths[1] = KAPPA[np.argmax([_likelihood_of_kappa(kappa, even, votes, given) for kappa in KAPPA])]
    kappa = strengths[1]
    rows[who] = log_all((votes + kappa * even) / (kappa + given)[:, None, :])
    return common


def _rest(accuracy: Any, labels: int) -> Any:
    """How often a voter that errs evenly gives one of the other labels."""
    return (1.0 - accuracy) / (labels - 1)


def _likelihood_of_nu(nu: float, common: float, right: Any, total: Any) -> float:
    """The log-likelihood of right votes [V] if accuracies are of Beta(nu common, nu (1 - common))."""
    a, b = nu * common, nu * (1.0 - common)
    found = in_order(log_gammas(right + a) + log_gammas(total - right + b) - log_gammas(total + nu))
    alone = log_gammas([a, b, nu])
    return float(found - len(right) * (alone[0] + alone[1] - alone[2]))


def _likelihood_of_kappa(kappa: float, even: Any, votes: Any, given: Any) -> float:
    """The log-likelihood of votes [V, K codes, K] if rows are of a Dirichlet around those that err evenly."""
    there = votes > 0.0
    prior = kappa * even[there]
    found = in_order(log_gammas(votes[there] + prior) - log_gammas(prior))
    some = given[given > 0.0]
    return float(found - in_order(log_gammas(some + kappa) - log_gamma(float(kappa))))


def chance_to_vote(
    sums: Any, mass: Any, gold_sums: Any, gold_mass: Any, who: Any, own: Any, prior: Any, chance: Any
) -> None:
    """P(votes | y) to ``chance`` [V, K] for the voters ``who``, whose silence is informative.

    ``sums`` [V, K codes, K] and ``mass`` [K] are expected votes and items, ``gold_*`` those of items with gold, in
    them too. ``own`` [V] is the label of a one-sided voter, or -1. The prior of a one-sided voter is that of one with
    its precision, drawn to that of all; that of others, that voting says nothing.
    """
    labels, label = len(mass), own[who]
    sided = label >= 0
    items, known = float(in_order(mass - gold_mass)), float(in_order(gold_mass))
    worth, gold = ITEMS / (ITEMS + items), known / (known + labels * ITEMS)
    counted = worth * (sums[who] - gold_sums[who]) + gold * gold_sums[who]
    voted = in_order(counted.swapaxes(1, 2))
    right = np.where(sided, np.take_along_axis(voted, np.maximum(label, 0)[:, None], axis=1)[:, 0], 0.0)
    total = np.where(sided, in_order(each_flat(counted)), 0.0)
    common = (COMMON * FEW + in_order(right)) / (FEW + in_order(total))
    rate = in_order(each_flat(sums[who])) / max(items + known, 1e-12)
    expected = np.repeat(rate[:, None], labels, axis=1)
    if labels > 1:
        accuracy = np.minimum(np.maximum((right + FEW * common) / (total + FEW), 0.5 / labels), MOST)
        share = np.minimum(np.maximum(prior[np.maximum(label, 0)], 1e-6), 1.0 - 1e-6)
        its = np.arange(labels) == label[:, None]
        lift = np.where(its, (accuracy / share)[:, None], ((1.0 - accuracy) / (1.0 - share))[:, None])
        expected = np.where(sided[:, None], expected * lift, expected)
    seen = worth * (mass - gold_mass) + gold * gold_mass
    found = (voted + FIRING * np.minimum(expected, MOST)) / (seen + FIRING)
    chance[who] = np.minimum(np.maximum(found, 1e-6), 1.0 - 1e-6)


def weigh_evidence(
    rows: Any, chance: Any, informative: Any, own: Any, refuted: Any, say: Any, silence: float, base: Any, evidence: Any
) -> None:
    """What each outcome adds to the log-odds of each label: ``evidence`` [V, K + 1, K], silence last.

    ``base`` [K], the log prior, gets all silence added. A voter's evidence counts ``say`` [V] times, its silence
    ``silence`` times that. Voters are taken to be better than chance, as Snorkel does: the vote of a one-sided voter
    never counts against its label, and puts it first where nobody else speaks. Not so where gold shows otherwise:
    ``refuted`` [V].
    """
    votes = np.where(informative[:, None], log_all(chance), 0.0)
    evidence[:, :-1] = say[:, None, None] * (rows + votes[:, None, :])
    evidence[:, -1] = np.where(informative[:, None], say[:, None] * silence * log_all(1.0 - chance), 0.0)
    base[:] = all_silent(base, evidence)
    sided = np.flatnonzero((own >= 0) & ~refuted)
    label, number = own[sided], np.arange(len(sided))
    said, silent = evidence[sided, label], evidence[sided, -1]
    odds = said - silent + base - base[label][:, None] + silent[number, label][:, None] + MARGIN
    least = np.maximum(said, odds)
    least[number, label] = said[number, label]
    evidence[sided, label, label] = least.max(axis=1, initial=-np.inf)


def all_silent(log_prior: Any, evidence: Any) -> Any:
    """The log-odds [K] of an item on which nobody votes."""
    return in_order(np.concatenate([log_prior[None], evidence[:, -1]]).T)
