"""Expectations under Dirichlet distributions, from basic operations."""

from __future__ import annotations

from typing import Any

import numpy as np

from teachkit.label_models.kernels import exp, log
from teachkit.votes.jit import jit


@jit
def digamma(x: float) -> float:  # pragma: no cover - compiled
    """The derivative of the logarithm of the gamma function for x > 0, to about 1e-12: asymptotic series above 8."""
    found = 0.0
    while x < 8.0:
        found -= 1.0 / x
        x += 1.0
    z = 1.0 / (x * x)
    series = z * (1.0 / 12.0 - z * (1.0 / 120.0 - z * (1.0 / 252.0 - z * (1.0 / 240.0 - z * (1.0 / 132.0)))))
    return float(found + log(x) - 0.5 / x - series)


def expected_shares(counts: Any, prior: Any) -> Any:
    """Exp E[log p] [V, K] of shares p ~ Dirichlet(prior + counts [V, K]); the shares that variational Bayes uses."""
    out = np.empty_like(counts)
    _expected_shares(counts, prior, out)
    return out


@jit
def _expected_shares(counts: Any, prior: Any, out: Any) -> None:  # pragma: no cover - compiled
    for v in range(len(counts)):
        total = 0.0
        for c in range(len(prior)):
            total += counts[v, c] + prior[c]
        whole = digamma(total)
        for c in range(len(prior)):
            out[v, c] = max(exp(digamma(counts[v, c] + prior[c]) - whole), 1e-12)
