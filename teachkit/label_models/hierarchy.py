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

from teachkit.label_models.kernels import log
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


@jit
def rows_said(sums: Any, who: Any, strengths: Any, choose: bool, rows: Any) -> float:  # pragma: no cover - compiled
    """What voters say where they vote: log P(c | y) to ``rows`` [V, K, K] for the voters ``who``.

    ``sums`` [V, K codes, K] are expected votes, ``strengths`` is (nu, kappa), chosen anew if ``choose``. Returns the
    accuracy that all are drawn to.
    """
    labels, voters = sums.shape[1], len(who)
    right, total = np.zeros(voters), np.zeros(voters)
    all_right, all_votes = COMMON * FEW, FEW
    for i in range(voters):
        for c in range(labels):
            right[i] += sums[who[i], c, c]
            for y in range(labels):
                total[i] += sums[who[i], c, y]
        all_right += right[i]
        all_votes += total[i]
    common = min(max(all_right / all_votes, 1.0 / labels + 0.01), 0.99)
    if choose:
        best = -np.inf
        for nu in NU:
            a, b = nu * common, nu * (1.0 - common)
            found = 0.0
            for i in range(voters):
                found += log_gamma(right[i] + a) + log_gamma(total[i] - right[i] + b) - log_gamma(total[i] + nu)
            found -= voters * (log_gamma(a) + log_gamma(b) - log_gamma(nu))
            if found > best:
                best, strengths[0] = found, nu
    accuracy = np.empty(voters)
    for i in range(voters):
        found = (right[i] + strengths[0] * common) / (total[i] + strengths[0])
        accuracy[i] = min(max(found, 0.5 / labels), MOST)
    if choose:
        best = -np.inf
        for kappa in KAPPA:
            found = 0.0
            for i in range(voters):
                own, other = kappa * accuracy[i], kappa * (1.0 - accuracy[i]) / (labels - 1)
                for y in range(labels):
                    given = 0.0
                    for c in range(labels):
                        votes = sums[who[i], c, y]
                        if votes > 0.0:
                            given += votes
                            prior = own if c == y else other
                            found += log_gamma(votes + prior) - log_gamma(prior)
                    if given > 0.0:
                        found -= log_gamma(given + kappa) - log_gamma(kappa)
            if found > best:
                best, strengths[1] = found, kappa
    kappa = strengths[1]
    for i in range(voters):
        own, other = kappa * accuracy[i], kappa * (1.0 - accuracy[i]) / (labels - 1)
        for y in range(labels):
            given = kappa
            for c in range(labels):
                given += sums[who[i], c, y]
            for c in range(labels):
                rows[who[i], c, y] = log((sums[who[i], c, y] + (own if c == y else other)) / given)
    return float(common)


@jit
def chance_to_vote(
    sums: Any, mass: Any, gold_sums: Any, gold_mass: Any, who: Any, own: Any, prior: Any, chance: Any
) -> None:  # pragma: no cover - compiled
    """P(votes | y) to ``chance`` [V, K] for the voters ``who``, whose silence is informative.

    ``sums`` [V, K codes, K] and ``mass`` [K] are expected votes and items, ``gold_*`` those of items with gold, in
    them too. ``own`` [V] is the label of a one-sided voter, or -1. The prior of a one-sided voter is that of one with
    its precision, drawn to that of all; that of others, that voting says nothing.
    """
    labels = len(mass)
    items, known = 0.0, 0.0
    for y in range(labels):
        items += mass[y] - gold_mass[y]
        known += gold_mass[y]
    worth = ITEMS / (ITEMS + items)
    gold = known / (known + labels * ITEMS)
    right, total = np.zeros(len(who)), np.zeros(len(who))
    all_right, all_votes = COMMON * FEW, FEW
    for i in range(len(who)):
        v = who[i]
        if own[v] < 0:
            continue
        for c in range(labels):
            for y in range(labels):
                votes = worth * (sums[v, c, y] - gold_sums[v, c, y]) + gold * gold_sums[v, c, y]
                total[i] += votes
                if y == own[v]:
                    right[i] += votes
        all_right += right[i]
        all_votes += total[i]
    common = all_right / all_votes
    for i in range(len(who)):
        v, votes = who[i], 0.0
        for c in range(labels):
            for y in range(labels):
                votes += sums[v, c, y]
        rate = votes / max(items + known, 1e-12)
        accuracy = min(max((right[i] + FEW * common) / (total[i] + FEW), 0.5 / labels), MOST)
        for y in range(labels):
            expected = rate
            if own[v] >= 0 and labels > 1:
                share = min(max(prior[own[v]], 1e-6), 1.0 - 1e-6)
                expected *= accuracy / share if y == own[v] else (1.0 - accuracy) / (1.0 - share)
            voted = 0.0
            for c in range(labels):
                voted += worth * (sums[v, c, y] - gold_sums[v, c, y]) + gold * gold_sums[v, c, y]
            seen = worth * (mass[y] - gold_mass[y]) + gold * gold_mass[y]
            found = (voted + FIRING * min(expected, MOST)) / (seen + FIRING)
            chance[v, y] = min(max(found, 1e-6), 1.0 - 1e-6)


@jit
def weigh_evidence(
    rows: Any, chance: Any, informative: Any, own: Any, firm: Any, say: Any, silence: float, base: Any, evidence: Any
) -> None:  # pragma: no cover - compiled
    """What each outcome adds to the log-odds of each label: ``evidence`` [V, K + 1, K], silence last.

    ``base`` [K], the log prior, gets all silence added. A voter's evidence counts ``say`` [V] times, its silence
    ``silence`` times that. Voters are taken to be better than chance, as Snorkel does: the vote of a one-sided voter
    never counts against its label, and puts it first where nobody else speaks. ``firm`` [V]: gold shows what it is, so
    that this is not assumed.
    """
    voters, _, labels = evidence.shape
    for v in range(voters):
        for y in range(labels):
            for c in range(labels):
                found = rows[v, c, y]
                if informative[v]:
                    found += log(chance[v, y])
                evidence[v, c, y] = say[v] * found
            evidence[v, labels, y] = say[v] * silence * log(1.0 - chance[v, y]) if informative[v] else 0.0
            base[y] += evidence[v, labels, y]
    for v in range(voters):
        o = own[v]
        if o < 0 or firm[v]:
            continue
        least = evidence[v, o, o]
        for y in range(labels):
            if y != o:
                least = max(least, evidence[v, o, y])
                odds = evidence[v, o, y] - evidence[v, labels, y] + base[y]
                least = max(least, odds - base[o] + evidence[v, labels, o] + MARGIN)
        evidence[v, o, o] = least
