"""How well people (or any voters) agree, beyond chance. Undefined is said to be undefined, with the reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from teachkit.votes.votes import Votes


@dataclass(frozen=True, slots=True)
class Agreement:
    """A coefficient with its bootstrap interval, or why there is none; ``n`` is the number of units used."""

    value: float | None
    n: int
    low: float | None = None
    high: float | None = None
    reason: str = ""


def krippendorff_alpha(votes: Votes, *, metric: str = "nominal", bootstrap: int = 0, seed: int = 0) -> Agreement:
    """Krippendorff's alpha (2011), missing values allowed; ``metric`` is nominal, ordinal or interval."""
    units = votes.to_dense()
    table = _counts(units, votes.n_labels)
    table = table[table.sum(axis=1) >= 2]
    return _with_interval(table, lambda t: _alpha(t, metric), bootstrap, seed)


def fleiss_kappa(votes: Votes, *, bootstrap: int = 0, seed: int = 0) -> Agreement:
    """Fleiss' kappa (1971), generalised to units with different numbers of votes (two or more)."""
    table = _counts(votes.to_dense(), votes.n_labels)
    return _with_interval(table[table.sum(axis=1) >= 2], _fleiss, bootstrap, seed)


def percent_agreement(votes: Votes) -> Agreement:
    """The share of pairs of votes on the same unit that are equal."""
    table = _counts(votes.to_dense(), votes.n_labels)
    table = table[table.sum(axis=1) >= 2]
    n = table.sum(axis=1)
    pairs = (n * (n - 1)).sum()
    if not pairs:
        return Agreement(None, 0, reason="no unit has two votes")
    return Agreement(float((table * (table - 1)).sum() / pairs), len(table))


def cohen_kappa(first: Any, second: Any, n_labels: int, *, weights: str | None = None) -> Agreement:
    """Cohen's kappa (1960) of two voters' codes [N], -1 abstains; ``weights`` None or 'quadratic' (1968)."""
    both = (first >= 0) & (second >= 0)
    if not both.any():
        return Agreement(None, 0, reason="no unit has a vote of both")
    flat = np.bincount(first[both].astype(np.int64) * n_labels + second[both], minlength=n_labels**2)
    observed = flat.reshape(n_labels, n_labels) / both.sum()
    expected = np.outer(observed.sum(axis=1), observed.sum(axis=0))
    distance = _distance(n_labels, "interval" if weights == "quadratic" else "nominal", None)
    chance = float((expected * distance).sum())
    n = int(both.sum())
    if chance == 0:
        return Agreement(None, n, reason="no variation: both always say the same one label")
    return Agreement(1 - float((observed * distance).sum()) / chance, n)


def _counts(units: Any, k: int) -> Any:
    return np.stack([(units == c).sum(axis=1) for c in range(k)], axis=1).astype(np.float64)


def _with_interval(table: Any, measure: Any, bootstrap: int, seed: int) -> Agreement:
    if len(table) == 0:
        return Agreement(None, 0, reason="no unit has two votes")
    value = measure(table)
    if value is None:
        return Agreement(None, len(table), reason="no variation: only one label was given")
    if not bootstrap:
        return Agreement(value, len(table))
    random = np.random.default_rng(seed)
    found = [measure(table[random.integers(0, len(table), len(table))]) for _ in range(bootstrap)]
    defined = [f for f in found if f is not None]
    low, high = np.quantile(defined, [0.025, 0.975]) if defined else (None, None)
    return Agreement(value, len(table), None if low is None else float(low), None if high is None else float(high))


def _alpha(table: Any, metric: str) -> float | None:
    n = table.sum(axis=1)
    coincidence = np.zeros((table.shape[1], table.shape[1]))
    for counts, total in zip(table, n, strict=True):
        coincidence += (np.outer(counts, counts) - np.diag(counts)) / (total - 1)
    marginal = coincidence.sum(axis=1)
    total = marginal.sum()
    distance = _distance(table.shape[1], metric, marginal)
    expected = (np.outer(marginal, marginal) - np.diag(marginal)) * distance
    chance = expected.sum() / (total - 1)
    return None if chance == 0 else float(1 - (coincidence * distance).sum() / chance)


def _fleiss(table: Any) -> float | None:
    n = table.sum(axis=1)
    observed = float((((table * (table - 1)).sum(axis=1)) / (n * (n - 1))).mean())
    share = table.sum(axis=0) / table.sum()
    chance = float((share**2).sum())
    return None if chance == 1 else (observed - chance) / (1 - chance)


def _distance(k: int, metric: str, marginal: Any) -> Any:
    index = np.arange(k)
    if metric == "nominal":
        return (index[:, None] != index[None, :]).astype(np.float64)
    if metric == "interval":
        return ((index[:, None] - index[None, :]) ** 2).astype(np.float64)
    below = np.cumsum(marginal)
    rank = below - marginal / 2
    return (rank[:, None] - rank[None, :]) ** 2
