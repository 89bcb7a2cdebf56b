"""Intervals of what was learned of voters, by drawing the items again (B. Efron, Ann. Statist. 7, 1979).

A model that stops early, or draws what it learns to priors, has estimates that vary little and are still off. So what
is fitted to each drawing is Dawid-Skene with its weakest priors and all silence counted, until it converges: the
intervals say which accuracies go with the votes if voters err independently, whatever model gave the labels. What that
model learned is always within.

The drawings come from a generator of our own, seeded by the votes: the same votes have the same intervals, whatever the
order of items and voters.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np

from teachkit.label_models.base import Learned, class_prior
from teachkit.label_models.dawid_skene import DawidSkene
from teachkit.label_models.exact import marks_of_names
from teachkit.label_models.kernels import draw, rights
from teachkit.label_models.sweep import Sweep
from teachkit.votes.intervals import Z95, wilson

if TYPE_CHECKING:
    from collections.abc import Sequence

    from teachkit.votes import Votes

REPLICATES = 119
"""With these the 3rd and the 117th in order are the ends of a 95 % interval."""
MOST_PATTERNS = 50_000
"""Of more patterns a sample is drawn from, and the spread scaled by the root of the share of items that it has."""
_STEPS, _TOLERANCE = 200, 1e-4
_MOST_CELLS = 20_000_000  # of confusions that are kept, in all drawings
_MIX = (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB)  # splitmix64


class _Free(DawidSkene):
    """Dawid-Skene that follows the votes."""

    def _class_prior(self, mass: Any) -> Any:
        return class_prior(self.class_prior, mass, 1.0)


@dataclass(frozen=True, slots=True)
class Spread:
    """Low and high ends, NaN where a voter was hardly ever drawn: accuracy [2, V], confusion [2, V, K + 1, K]."""

    accuracy: Any
    confusion: Any | None
    level: float


def with_intervals(found: Sequence[Learned], spread: Spread, informative: Any) -> list[Learned]:
    """What was learned, with intervals by drawing again.

    Each holds what was learned, and is as wide at least as Wilson's for votes whose labels are known: of one vote that
    seems right, all drawings say that it is.
    """
    return [_with_interval(one, v, spread, bool(informative[v])) for v, one in enumerate(found)]


def _with_interval(found: Learned, v: int, spread: Spread, informative: bool) -> Learned:
    low, high = (float(x) for x in spread.accuracy[:, v])
    if found.accuracy is None or math.isnan(low):
        return found
    z = Z95 if spread.level == 0.95 else NormalDist().inv_cdf((1 + spread.level) / 2)
    least = wilson(found.accuracy * (found.votes or 0.0), found.votes or 0.0, z) or (found.accuracy, found.accuracy)
    low, high = min(low, least[0], found.accuracy), max(high, least[1], found.accuracy)
    cells = None
    if found.confusion is not None and spread.confusion is not None:
        outcomes = len(found.confusion[0])
        ends = spread.confusion[:, v].transpose(2, 1, 0).tolist()  # [true, outcome, end]
        cells = [
            [[min(cell, *end), max(cell, *end)] for cell, end in zip(row, given[:outcomes], strict=True)]
            for row, given in zip(found.confusion, ends, strict=True)
        ]
    return replace(found, low=low, high=high, spread=cells)


def bootstrap(
    votes: Votes, clamp: Any, informative: Any, *, replicates: int = REPLICATES, level: float = 0.95, threads: int = 1
) -> Spread:
    """The spread of accuracies and confusions over drawings of the items.

    Args:
        votes: The votes.
        clamp: [P] a known label, or -1.
        informative: [V] whether silence says something.
        replicates: How many drawings.
        level: The share of drawings within an interval.
        threads: See ``Sweep``.
    """
    if replicates < 19:
        raise ValueError(f"at least 19 drawings make an interval, not {replicates}")
    if not 0 < level < 1:
        raise ValueError(f"the level of an interval is between 0 and 1, not {level}")
    marks = marks_of(votes, clamp)
    order = np.argsort(marks, kind="stable")[:MOST_PATTERNS]  # marks are as good as random
    some = votes.regrouped(order, np.zeros(0, dtype=np.int64))
    counts, clamp = votes.counts[order], clamp[order]
    seed = _mix(np.array([int((marks * votes.counts.astype(np.uint64)).sum(dtype=np.uint64))], np.uint64))[0]
    model = _Free(silence_weight=1.0, threads=threads)
    model.voters_, model.informative_ = votes.voters, informative
    weight = counts.astype(np.float64)
    silent = np.diff(some.indptr) == 0
    idle = silent & (clamp < 0) if not informative.any() else np.zeros_like(silent)
    weight[idle] = 0.0
    sweep = Sweep(some, clamp, weight, threads=threads)
    _start(sweep)
    top = _settle(model, sweep, 1e-5)
    centre = _found(model, sweep)
    keep_cells = replicates * model.likelihood_.size <= _MOST_CELLS
    accuracies, cells = [], []
    item = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
    for number in range(replicates):
        weight = np.zeros(len(counts))
        draw(item, int(seed) ^ number, weight)
        weight[idle] = 0.0
        sweep = Sweep(some, clamp, weight, threads=threads)
        model.prior_, model.likelihood_ = top
        sweep.step(*model._tables())
        _settle(model, sweep, _TOLERANCE)
        accuracy, cell = _found(model, sweep)
        accuracies.append(accuracy)
        if keep_cells:
            cells.append(cell)
    scale = math.sqrt(counts.sum() / votes.n_items) if votes.n_items else 1.0
    confusion = _ends(np.array(cells), centre[1], scale, level) if keep_cells else None
    return Spread(_ends(np.array(accuracies), centre[0], scale, level), confusion, level)


def _start(sweep: Sweep) -> None:
    from teachkit.label_models.start import majority_start

    majority_start(sweep)
    sweep.count()


def _settle(model: _Free, sweep: Sweep, tolerance: float) -> tuple[Any, Any]:
    """EM until no posterior changes by more; the parameters."""
    for _ in range(_STEPS):
        model._learn(sweep.sums, sweep.mass)
        if sweep.step(*model._tables())[0] <= tolerance:
            break
    return model.prior_, model.likelihood_


def _found(model: _Free, sweep: Sweep) -> tuple[Any, Any]:
    """Accuracies [V], NaN without votes, and the likelihood [V, K + 1, K]."""
    right, total, _ = rights(sweep.sums)
    return np.where(total > 0, right / np.where(total > 0, total, 1.0), np.nan), model.likelihood_


def _ends(drawn: Any, centre: Any, scale: float, level: float) -> Any:
    """The ends [2, …] of the share ``level`` of what was drawn [B, …], NaN where fewer than half were."""
    tail = (1 - level) / 2
    ordered = np.sort(drawn, axis=0)  # NaN last
    known = (~np.isnan(drawn)).sum(axis=0)
    low = np.maximum((known + 1) * tail + 1e-9, 1).astype(np.int64) - 1
    both = [np.take_along_axis(ordered, at[None], axis=0)[0] for at in (low, np.maximum(known - 1 - low, 0))]
    ends = np.clip(centre + (np.stack(both) - centre) * scale, 0, 1)
    return np.where(known * 2 < len(drawn), np.nan, ends)


def marks_of(votes: Votes, clamp: Any) -> Any:
    """A number [P] for each pattern that depends on who says what there, not on the order of voters."""
    with np.errstate(over="ignore"):
        keys = marks_of_names(votes.voters)[votes.voter] + (votes.code.astype(np.uint64) + 1) * np.uint64(_MIX[0])
        before = np.concatenate([np.zeros(1, np.uint64), np.cumsum(_mix(keys), dtype=np.uint64)])
        sums = before[votes.indptr[1:]] - before[votes.indptr[:-1]]
        return _mix(sums + (np.asarray(clamp).astype(np.int64) + 2).astype(np.uint64) * np.uint64(_MIX[2]))


def _mix(words: Any) -> Any:
    """splitmix64's finish (G. L. Steele, D. Lea, C. H. Flood, OOPSLA 2014)."""
    with np.errstate(over="ignore"):
        words = (words ^ (words >> np.uint64(30))) * np.uint64(_MIX[1])
        words = (words ^ (words >> np.uint64(27))) * np.uint64(_MIX[2])
        return words ^ (words >> np.uint64(31))
