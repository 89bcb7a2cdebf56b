"""Dawid–Skene for labels in order."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from teachkit.label_models.dawid_skene import DawidSkene
from teachkit.label_models.kernels import exp_all


class OrdinalDawidSkene(DawidSkene):
    """Dawid–Skene whose rows are drawn to those of a voter that errs to near labels.

    A voter has a leaning (it says on average so many steps above the truth) and a spread around it; its row for a
    label is that normal distribution over the labels. Each row of its confusion matrix is drawn to that row by
    ``row_strength`` votes, leaning and spread to those of all voters by ``accuracy_strength`` votes. So few votes show
    what a voter does on labels that it has hardly met: the ordinal labels of P. Welinder, P. Perona, CVPR Workshops
    2010, on the matrices of Dawid and Skene. For labels that have no order it is the wrong model.
    """

    name: ClassVar[str] = "ordinal_dawid_skene"
    version: ClassVar[int] = 1
    kinds: ClassVar[tuple[str, ...]] = ("ordinal", "choice")

    def _near_rows(self, sums: Any, coin: Any) -> Any:
        """The likelihood [V, K + 1, K] of voters that err to near labels; silence as in ``coin``."""
        voters, k, _ = sums.shape
        steps = np.arange(k)[:, None] - np.arange(k)[None, :]  # said less true
        total, first, second = np.zeros(voters), np.zeros(voters), np.zeros(voters)
        for c in range(k):
            for y in range(k):
                total += sums[:, c, y]
                first += sums[:, c, y] * steps[c, y]
                second += sums[:, c, y] * steps[c, y] ** 2
        strength = max(self.accuracy_strength * self.prior_strength, 1e-9)
        everyone = _sum(total) + strength
        lean, spread = _sum(first) / everyone, (_sum(second) + strength) / everyone
        lean_of = (first + strength * lean) / (total + strength)
        spread_of = (second + strength * spread) / (total + strength) - lean_of**2
        wide = np.maximum(spread_of, 0.05)
        logs = -((steps[None, :, :] - lean_of[:, None, None]) ** 2) / (2.0 * wide[:, None, None])
        near = exp_all(logs.ravel()).reshape(voters, k, k) + 1e-6
        whole = near[:, 0].copy()
        voted = coin[:, 0].copy()
        for c in range(1, k):
            whole += near[:, c]
            voted += coin[:, c]
        out = coin.copy()
        out[:, :k] = near / whole[:, None, :] * voted[:, None, :]
        return out

    def _coin(self, sums: Any, mass: Any) -> Any:
        return self._near_rows(sums, super()._coin(sums, mass))


def _sum(values: Any) -> float:
    """A sum in order."""
    found = 0.0
    for x in values:
        found += float(x)
    return found
