"""Snorkel's label model: likelihoods from how often pairs of voters say what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from teachkit.label_models.diagnostics import CHANCE
from teachkit.label_models.kernels import in_order
from teachkit.label_models.moment_kernels import complete
from teachkit.label_models.moments import MomentModel, outcome_counts

if TYPE_CHECKING:
    from teachkit.label_models.base import Abstain
    from teachkit.label_models.sweep import Sweep


class Metal(MomentModel):
    """Matrix completion on the overlaps of voters (A. Ratner et al., Training Complex Models, AAAI 2019; Snorkel).

    mu [V, K, K] is P(vote c | label y), silence being what is missing to 1. Off its diagonal blocks the matrix of
    P(u says c, v says d) is mu diag(prior) mu', so mu is found without looking at an item twice: here by alternating
    least squares, where Snorkel descends a gradient. It starts, as Snorkel does, from voters that are right with
    ``precision``, and is held there by the ridge ``l2``, which takes the place of Snorkel's early end: a gradient that
    is followed for a time t goes about as far as with a ridge of 1/t (100 steps of 0.01 with momentum 0.9, counted for
    both sides of a symmetric matrix and the square's 2, are 40). So voters that overlap little stay where they start.
    The class prior is given or uniform, as in Snorkel: pairs do not tell it. A vote
    counts by mu, silence does not, as in Snorkel. Pairs of copies, whose agreement is of another origin than the label,
    are left out, as the paper leaves out those that its graph of dependencies joins. Needs three voters that overlap;
    its cost does not grow with the number of steps. For labeling functions; people with few votes each share too few
    items.

    Snorkel takes no gold; here it teaches. The ridge says how far the start can be relied on beside pairs, whose errors
    (voters are not independent) no number of items mends. The start is taken for as good as ``strength`` votes of known
    truth: 16, as accuracies around 0.7 are spread over a half to nine tenths (0.7 0.3 / 0.11^2 - 1). Votes on gold come
    on top, as to a Dirichlet prior: first each voter's precision, then its P(vote | label) is the mean of both, and the
    ridge grows with the votes that are behind it. So gold of one voter also tells which others to believe. Gold is
    taken for a sample of the items; that of one label alone shows no precision.
    """

    name: ClassVar[str] = "metal"
    version: ClassVar[int] = 3

    def __init__(
        self,
        *,
        class_prior: Any = "uniform",
        precision: float = 0.7,
        l2: float = 0.025,
        strength: float = 16.0,
        n_iter: int = 50,
        tolerance: float = 1e-6,
        threads: int = 1,
    ) -> None:
        super().__init__(class_prior=class_prior, n_iter=n_iter, tolerance=tolerance, threads=threads)
        self.precision = precision
        self.l2 = l2
        self.strength = strength

    def _check(self) -> None:
        super()._check()
        if not (0 < self.precision < 1 and self.l2 >= 0 and self.strength > 0):
            raise ValueError("precision is between 0 and 1, l2 0 or more, strength above 0")

    def _policies(self, abstain: Abstain) -> Any:
        return np.zeros_like(super()._policies(abstain))

    def _of_moments(self, sweep: Sweep) -> tuple[Any, int, float]:
        votes = sweep.votes
        voters, k = len(self.voters_), votes.n_labels
        items = max(votes.n_items, 1)
        counts = outcome_counts(votes, self.threads)
        shares = counts / items
        prior = np.maximum(self.prior_, 1e-6)
        rates = np.diagonal(shares).reshape(voters, k)
        gold, _ = sweep.known()
        precision = self._precisions(gold)
        mu = np.empty((voters, k, k))
        for c in range(k):  # precision of a vote c: P(c | c) = rate precision / prior, the rest evenly
            own = np.minimum(rates[:, c] * precision / prior[c], 0.995)
            rest = np.maximum(rates[:, c] - own * prior[c], 0.0) / max(1.0 - prior[c], 1e-6)
            mu[:, c, :] = np.minimum(rest, 0.995)[:, None]
            mu[:, c, c] = own
        start = np.maximum(mu, 1e-6)
        ridge = np.full((voters, k), max(self.l2, 1e-9))
        if gold.any():
            start, ridge = self._with_gold(start, ridge, gold, in_order(rates)[:, None])
        mu = start.copy()
        blocks = counts.reshape(voters, k, voters, k)
        known = (blocks.sum(axis=(1, 3)) > 0) & ~_copies(blocks)
        steps, change = complete(shares, known, prior, start, ridge, int(self.n_iter or 0), self.tolerance, mu)
        out = np.ones((voters, k + 1, k))
        out[:, :k] = mu / np.maximum(in_order(mu.swapaxes(1, 2)), 1.0)[:, None, :]
        return out, steps, float(change)

    def _precisions(self, gold: Any) -> Any:
        """How often a vote of each voter is right [V], before pairs are seen; ``gold`` [V, K codes, K true] votes."""
        votes, strength = gold.sum(axis=(1, 2)), self.strength  # whole numbers: any order will do
        if np.count_nonzero(gold.sum(axis=(0, 1))) < 2:
            return np.full(len(votes), self.precision)
        return (strength * self.precision + np.einsum("vcc->v", gold)) / (strength + votes)

    def _with_gold(self, start: Any, ridge: Any, gold: Any, coverage: Any) -> tuple[Any, Any]:
        """``start`` [V, K codes, K] and ``ridge`` [V, K] with votes on gold; ``coverage`` [V, 1] is the share of votes.

        A row of the start is worth the items that bring ``strength`` votes of the voter. Gold may have more votes than
        other items have, so its items of a label count for as many as bring their votes by the start.
        """
        items = gold.sum(axis=(0, 1)) / in_order(in_order(np.moveaxis(start, 2, 0)))
        share = coverage * items / self.strength
        found = (start + coverage[:, :, None] * gold / self.strength) / (1.0 + share)[:, None, :]
        return np.clip(found, 1e-6, 0.995), ridge * (1.0 + share)


def _copies(blocks: Any) -> Any:
    """Which pairs of voters say the same everywhere [V, V], by how often they say what together [V, K, V, K]."""
    said, same = np.einsum("vcvc->vc", blocks), np.einsum("ucvc->uvc", blocks)
    found = (same == said[:, None, :]).all(axis=2) & (same == said[None, :, :]).all(axis=2)
    return found & (said.sum(axis=1) >= CHANCE)[:, None]
