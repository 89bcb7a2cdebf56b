"""How well people (or any voters) agree, beyond chance. Undefined is said to be undefined, with the reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from teachkit.votes.votes import Votes

NO_UNIT = "no unit has two votes"
NO_VARIATION = "no variation: only one label was given"


@dataclass(frozen=True, slots=True)
class Agreement:
    """A coefficient with its bootstrap interval, or why there is none; ``n`` is the number of units used."""

    value: float | None
    n: int
    low: float | None = None
    high: float | None = None
    reason: str = ""


def krippendorff_alpha(votes: Votes, *, metric: str = "nominal", bootstrap: int = 0, seed: int = 0) -> Agreement:
    """Krippendorff's alpha (2011), missing values allowed; ``metric`` is nominal, ordinal or interval.

    ``bootstrap`` resamples of the units give a 95 % interval.
    """
    if metric not in ("nominal", "ordinal", "interval"):
        raise ValueError(f"metric is nominal, ordinal or interval, not '{metric}'")
    return _measured(votes, lambda found: _alpha(found.pairs, metric), bootstrap, seed)


def fleiss_kappa(votes: Votes, *, bootstrap: int = 0, seed: int = 0) -> Agreement:
    """Fleiss' kappa (1971), generalised to units with different numbers of votes (two or more)."""
    return _measured(votes, _fleiss, bootstrap, seed)


def percent_agreement(votes: Votes) -> Agreement:
    """The share of pairs of votes on the same unit that are equal."""
    units = _units(votes)
    per, flat = votes.votes_per_pattern, votes.entry_pattern * votes.n_labels + votes.code
    same, times = np.unique(flat, return_counts=True)
    equal = int((units[same // votes.n_labels] * times * (times - 1)).sum())
    pairs = int((units * per * (per - 1)).sum())
    return Agreement(equal / pairs, int(units.sum())) if pairs else Agreement(None, 0, reason=NO_UNIT)


def cohen_kappa(
    first: Any, second: Any, n_labels: int, *, weights: str | None = None, bootstrap: int = 0, seed: int = 0
) -> Agreement:
    """Cohen's kappa (1960) of two voters' codes [N], -1 abstains; ``weights`` None, 'linear' or 'quadratic' (1968).

    ``bootstrap`` resamples of the units give a 95 % interval.
    """
    if weights not in (None, "linear", "quadratic"):
        raise ValueError(f"weights are None, 'linear' or 'quadratic', not '{weights}'")
    first, second = np.asarray(first), np.asarray(second)
    both = (first >= 0) & (second >= 0)
    cells = first[both].astype(np.int64) * n_labels + second[both]
    if not len(cells):
        return Agreement(None, 0, reason="no unit has a vote of both")

    def measure(weight: Any) -> float | None:
        table = np.bincount(cells, weights=weight, minlength=n_labels**2).reshape(n_labels, n_labels)
        return _cohen(table, weights)

    value = measure(np.ones(len(cells)))
    if value is None:
        return Agreement(None, len(cells), reason="no variation: both always say the same one label")
    return Agreement(value, len(cells), *_interval(measure, np.ones(len(cells), np.int64), bootstrap, seed))


@dataclass(frozen=True, slots=True)
class _Pairs:
    """Coincidences [K, K], votes by label [K], the sum over units of the share of equal pairs, the number of units."""

    pairs: Any
    votes: Any
    agreed: float
    n: float


def _units(votes: Votes) -> Any:
    """How many units a pattern stands for [P]: those of its items that have two votes."""
    return np.where(votes.votes_per_pattern >= 2, votes.counts, 0)


def _measured(votes: Votes, coefficient: Callable[[_Pairs], float | None], bootstrap: int, seed: int) -> Agreement:
    from teachkit.votes.patterns import coincidences

    units = _units(votes)
    n = int(units.sum())
    if n == 0:
        return Agreement(None, 0, reason=NO_UNIT)

    def measure(weight: Any) -> float | None:
        found = coincidences(votes.indptr, votes.code, weight.astype(np.float64), votes.n_labels)
        return coefficient(_Pairs(*found, float(n)))

    value = measure(units)
    if value is None:
        return Agreement(None, n, reason=NO_VARIATION)
    return Agreement(value, n, *_interval(measure, units, bootstrap, seed))


def _interval(
    measure: Callable[[Any], float | None], units: Any, bootstrap: int, seed: int
) -> tuple[float | None, float | None]:
    """The 95 % interval over resamples of units, which fall in groups of ``units`` [G] each."""
    random = np.random.default_rng(seed)
    group = np.repeat(np.arange(len(units)), units)
    draws = (random.integers(0, len(group), len(group)) for _ in range(bootstrap))
    found = [measure(np.bincount(group[drawn], minlength=len(units))) for drawn in draws]
    defined = [value for value in found if value is not None]
    if not defined:
        return None, None
    low, high = np.quantile(defined, [0.025, 0.975])
    return float(low), float(high)


def _alpha(pairs: Any, metric: str) -> float | None:
    marginal = pairs.sum(axis=1)
    distance = _distance(len(pairs), metric, marginal)
    chance = (np.outer(marginal, marginal) * distance).sum() / (marginal.sum() - 1)
    return None if chance == 0 else float(1 - (pairs * distance).sum() / chance)


def _fleiss(found: _Pairs) -> float | None:
    share = found.votes / found.votes.sum()
    chance = float((share**2).sum())
    one_label = np.count_nonzero(found.votes) == 1
    return None if one_label else (found.agreed / found.n - chance) / (1 - chance)


def _cohen(table: Any, weights: str | None) -> float | None:
    observed = table / table.sum()
    expected = np.outer(observed.sum(axis=1), observed.sum(axis=0))
    metric = {None: "nominal", "linear": "linear", "quadratic": "interval"}[weights]
    distance = _distance(len(table), metric, None)
    chance = float((expected * distance).sum())
    return None if chance == 0 else 1 - float((observed * distance).sum()) / chance


def _distance(k: int, metric: str, marginal: Any) -> Any:
    """The disagreement [K, K] of two labels; ``ordinal`` depends on how often each is given."""
    place = np.cumsum(marginal) - marginal / 2 if metric == "ordinal" else np.arange(k)
    apart = np.abs(place[:, None] - place[None, :]).astype(np.float64)
    if metric == "nominal":
        return (apart > 0).astype(np.float64)
    return apart if metric == "linear" else apart**2
