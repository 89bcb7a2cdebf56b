"""How well people (or any voters) agree, beyond chance. Undefined is said to be undefined, with the reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from teachkit.votes.votes import Votes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from teachkit.votes.answers import Answers

METRICS = ("nominal", "ordinal", "interval", "ratio")
SET_METRICS = ("jaccard", "masi")
NO_UNIT = "no unit has two votes"
NO_VARIATION = "no variation: only one label was given"
NO_VARIATION_OF_TWO = "no variation: both always say the same one label"
NO_SHARED_UNIT = "no unit has a vote of both"


@dataclass(frozen=True, slots=True)
class Agreement:
    """A coefficient with its bootstrap interval, or why there is none; ``n`` is the number of units used."""

    value: float | None
    n: int
    low: float | None = None
    high: float | None = None
    reason: str = ""


def krippendorff_alpha(
    votes: Any,
    *,
    metric: str = "nominal",
    values: Sequence[float] | Any | None = None,
    sets: Any | None = None,
    bootstrap: int = 0,
    seed: int | None = None,
) -> Agreement:
    """Krippendorff's alpha (2011), missing values allowed.

    Args:
        votes: ``Votes``, or a matrix of integers [N, V], -1 for abstain; a unit counts if two voters spoke of it.
        metric: How far two labels are apart: ``nominal``, ``ordinal``, ``interval``, ``ratio``; of sets of labels
            ``jaccard`` (1 - intersection / union) or ``masi`` (Passonneau 2006).
        values: [K] the number that each code stands for, of ``interval`` and ``ratio``; default: 0, 1, 2, …
        sets: [K, L] which labels each code holds (bool), of ``jaccard`` and ``masi``.
        bootstrap: So many resamples of the units give a 95 % interval.
        seed: Of the resamples; None: it follows from the votes.

    Raises:
        ValueError: there is no such metric, or it lacks ``sets``; the matrix is none of votes.
    """
    votes = _votes(votes)
    if metric in SET_METRICS:
        if sets is None or len(sets) != votes.n_labels:
            raise ValueError(f"metric '{metric}' needs sets, one row for each of the {votes.n_labels} codes")
        fixed = set_distance(sets, metric)
        return _measured(votes, lambda found: _alpha(found.pairs, fixed), bootstrap, seed)
    if metric not in METRICS:
        raise ValueError(f"metric is one of {', '.join((*METRICS, *SET_METRICS))}, not '{metric}'")
    place = np.arange(votes.n_labels, dtype=np.float64) if values is None else np.asarray(values, dtype=np.float64)
    if len(place) != votes.n_labels:
        raise ValueError(f"{len(place)} values for {votes.n_labels} codes")

    def alpha(found: _Pairs) -> float | None:
        return _alpha(found.pairs, _distance(place, metric, found.pairs.sum(axis=1)))

    return _measured(votes, alpha, bootstrap, seed)


def alpha_of_numbers(answers: Answers, *, bootstrap: int = 0, seed: int | None = None) -> Agreement:
    """Krippendorff's alpha with the interval metric, of answers that are numbers.

    Squared distances are sums of squares about means, so no pair is looked at, and time is linear in answers.
    """
    value = answers.value.astype(np.float64)
    per = np.bincount(answers.item, minlength=answers.n_items)
    used = np.flatnonzero(per >= 2)
    if not len(used):
        return Agreement(None, 0, reason=NO_UNIT)
    many = per[used].astype(np.float64)
    value = value - value[per[answers.item] >= 2].mean()  # so that squares lose no digits
    total = np.bincount(answers.item, weights=value, minlength=answers.n_items)[used]
    square = np.bincount(answers.item, weights=value**2, minlength=answers.n_items)[used]
    apart = 2 * np.maximum(many * square - total**2, 0.0) / (many - 1)

    def measure(weight: Any) -> float | None:
        n, all_values, squares = (float((weight * a).sum()) for a in (many, total, square))
        chance = 2 * (n * squares - all_values**2) / (n - 1)
        return None if chance <= 1e-12 * n * squares else 1 - float((weight * apart).sum()) / chance

    units = np.ones(len(used), dtype=np.int64)
    found = measure(units)
    if found is None:
        return Agreement(None, len(used), reason="no variation: only one number was given")
    seed = _seed_of(apart) if seed is None else seed
    return Agreement(found, len(used), *_interval(measure, units, bootstrap, seed))


def fleiss_kappa(votes: Any, *, bootstrap: int = 0, seed: int | None = None) -> Agreement:
    """Fleiss' kappa (1971), generalised to units with different numbers of votes (two or more)."""
    return _measured(_votes(votes), _fleiss, bootstrap, seed)


def percent_agreement(votes: Any) -> Agreement:
    """The share of pairs of votes on the same unit that are equal."""
    votes = _votes(votes)
    units = _units(votes)
    per, flat = votes.votes_per_pattern, votes.entry_pattern * votes.n_labels + votes.code
    same, times = np.unique(flat, return_counts=True)
    equal = int((units[same // votes.n_labels] * times * (times - 1)).sum())
    pairs = int((units * per * (per - 1)).sum())
    return Agreement(equal / pairs, int(units.sum())) if pairs else Agreement(None, 0, reason=NO_UNIT)


def cohen_kappa(
    first: Any, second: Any, n_labels: int, *, weights: str | None = None, bootstrap: int = 0, seed: int | None = None
) -> Agreement:
    """Cohen's kappa (1960) of two voters' codes [N], -1 abstains; ``weights`` None, 'linear' or 'quadratic' (1968).

    ``bootstrap`` resamples of the units give a 95 % interval.

    Raises:
        ValueError: a code is no label, ``n_labels`` or more, or no integer; there are not as many of both.
    """
    first, second = _codes(first), _codes(second)
    if first.shape != second.shape:
        raise ValueError(f"one voter has {first.size} codes, the other {second.size}")
    most = int(max(first.max(initial=-1), second.max(initial=-1)))
    if most >= n_labels:
        raise ValueError(f"code {most} is none of {n_labels} labels")
    both = (first >= 0) & (second >= 0)
    cells = first[both].astype(np.int64) * n_labels + second[both]
    table = np.bincount(cells, minlength=n_labels**2).reshape(n_labels, n_labels)
    return kappa_of_table(table, weights=weights, bootstrap=bootstrap, seed=seed)


def _codes(said: Any) -> Any:
    """Codes of any integer type, or none at all, as signed ones."""
    found = np.asarray(said)
    if found.size and found.dtype.kind not in "iub":
        raise ValueError(f"codes of votes are integers, -1 for an abstention, not {found.dtype}")
    return found.astype(np.int64)


def kappa_of_table(table: Any, *, weights: str | None = None, bootstrap: int = 0, seed: int | None = None) -> Agreement:
    """Cohen's kappa of two voters, from how many units the one says i of and the other j [K, K]."""
    if weights not in (None, "linear", "quadratic"):
        raise ValueError(f"weights are None, 'linear' or 'quadratic', not '{weights}'")
    table = np.asarray(table)
    n = int(table.sum())
    if not n:
        return Agreement(None, 0, reason=NO_SHARED_UNIT)
    distance = _distance(np.arange(len(table)), {None: "nominal", "quadratic": "interval"}.get(weights, "linear"), None)
    value = _cohen(table, distance)
    if value is None:
        return Agreement(None, n, reason=NO_VARIATION_OF_TWO)
    seed = _seed_of(table) if seed is None else seed

    def measure(cells: Any) -> float | None:
        return _cohen(cells.reshape(table.shape), distance)

    return Agreement(value, n, *_interval(measure, table.ravel(), bootstrap, seed))


@dataclass(frozen=True, slots=True)
class _Pairs:
    """Coincidences [K, K], votes by label [K], the sum over units of the share of equal pairs, the number of units."""

    pairs: Any
    votes: Any
    agreed: float
    n: float


def _votes(given: Any) -> Votes:
    """Votes as they are, or those of a matrix."""
    return given if isinstance(given, Votes) else Votes.from_matrix(given)


def _units(votes: Votes) -> Any:
    """How many units a pattern stands for [P]: those of its items that have two votes."""
    return np.where(votes.votes_per_pattern >= 2, votes.counts, 0)


def _measured(
    votes: Votes, coefficient: Callable[[_Pairs], float | None], bootstrap: int, seed: int | None
) -> Agreement:
    from teachkit.votes.counting import coincidences

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
    if bootstrap and seed is None:
        seed = _seed_of(coincidences(votes.indptr, votes.code, units.astype(np.float64), votes.n_labels)[0])
    return Agreement(value, n, *_interval(measure, units, bootstrap, seed or 0))


def _seed_of(content: Any) -> int:
    """A seed that the same content gives again."""
    from hashlib import sha256

    return int.from_bytes(
        sha256(np.ascontiguousarray(np.round(content, 6), dtype="<f8").tobytes()).digest()[:8], "little"
    )


def _interval(
    measure: Callable[[Any], float | None], units: Any, bootstrap: int, seed: int
) -> tuple[float | None, float | None]:
    """The 95 % interval over resamples of units, which fall in groups of ``units`` [G] each."""
    total = int(units.sum())
    if not bootstrap:
        return None, None
    random = np.random.default_rng(seed)
    found = [measure(random.multinomial(total, units / total)) for _ in range(bootstrap)]
    defined = [value for value in found if value is not None]
    if not defined:
        return None, None
    low, high = np.quantile(defined, [0.025, 0.975])
    return float(low), float(high)


def _alpha(pairs: Any, distance: Any) -> float | None:
    marginal = pairs.sum(axis=1)
    chance = (np.outer(marginal, marginal) * distance).sum() / (marginal.sum() - 1)
    return None if chance == 0 else float(1 - (pairs * distance).sum() / chance)


def _fleiss(found: _Pairs) -> float | None:
    share = found.votes / found.votes.sum()
    chance = float((share**2).sum())
    one_label = np.count_nonzero(found.votes) == 1
    return None if one_label else (found.agreed / found.n - chance) / (1 - chance)


def _cohen(table: Any, distance: Any) -> float | None:
    observed = table / table.sum()
    expected = np.outer(observed.sum(axis=1), observed.sum(axis=0))
    chance = float((expected * distance).sum())
    return None if chance == 0 else 1 - float((observed * distance).sum()) / chance


def set_distance(sets: Any, metric: str) -> Any:
    """The disagreement [K, K] of sets of labels, the rows of ``sets`` [K, L]; two empty sets agree.

    Jaccard's distance is 1 - intersection / union. MASI (Passonneau, LREC 2006) is 1 - Jaccard's index times 1 for
    equal sets, 2/3 if one holds the other, 1/3 if they merely overlap, 0 if they are apart.
    """
    held = np.asarray(sets, dtype=np.int64)
    size, both = held.sum(axis=1), held @ held.T
    union = size[:, None] + size[None, :] - both
    index = np.where(union == 0, 1.0, both / np.maximum(union, 1))
    if metric == "jaccard":
        return 1 - index
    least = np.minimum(size[:, None], size[None, :])
    shape = np.where(both == union, 1.0, np.where(both == least, 2 / 3, np.where(both > 0, 1 / 3, 0.0)))
    return 1 - index * shape


def _distance(values: Any, metric: str, marginal: Any) -> Any:
    """The disagreement [K, K] of two labels with these ``values``; ``ordinal`` depends on how often each is given."""
    place = np.cumsum(marginal) - marginal / 2 if metric == "ordinal" else values
    apart = np.abs(place[:, None] - place[None, :]).astype(np.float64)
    if metric == "nominal":
        return 1.0 - np.eye(len(place))
    if metric == "ratio":
        total = np.abs(place[:, None] + place[None, :])
        return np.divide(apart, total, out=np.zeros_like(apart), where=total > 0) ** 2
    return apart if metric == "linear" else apart**2
