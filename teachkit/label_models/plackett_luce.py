"""Plackett–Luce: one order of an item's candidates from the orders of voters that are more or less reliable."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from teachkit.label_models import ranking_kernels as kernels
from teachkit.label_models.exact import hexed, unhexed
from teachkit.label_models.value_base import Z95, Predicted, ValueModel, check_at_least, check_tie_policy, total
from teachkit.votes.values.ranking import tau

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from teachkit.label_models.base import Abstain
    from teachkit.votes.answers import Answers

_MEAN = 1.0
_GOLD = 5.0  # of two candidates whose utilities are one apart, gold has them in the right order in 99 of 100 cases
_ROUNDS, _TOLERANCE = 300, 1e-8
_LOGISTIC = 1.702  # the logistic function of 1.702 z is the normal distribution's to one hundredth (Haley, 1952)
_TIE = 1e-6


class PlackettLuce(ValueModel):
    """Each candidate of an item has a utility; voters choose the best, then the best of the rest, and so on.

    R. L. Plackett (Appl. Statist. 24, 1975), R. D. Luce (Individual Choice Behavior, 1959), with a reliability for each
    voter over all items, as in X. Chen et al. (WSDM 2013): the chance to choose a candidate is in proportion to
    e^(r u). Of two candidates this is Bradley and Terry's model. Fitted by EM: utilities by Newton's method, with
    Laplace's approximation of how sure they are, then reliabilities over all that utilities may be.

    Utilities are normal around 0 with the spread 1, which fixes their scale; reliabilities are normal around 1 with
    ``reliability_spread``: before anything is known, of two candidates that are one spread apart the better one stands
    first in 73 % of answers. An answer that names some candidates says nothing of the others. The label orders all
    candidates that anybody named, by utility; ``confidence`` is the mean chance of its pairs to stand in this order.
    """

    name: ClassVar[str] = "plackett_luce"
    version: ClassVar[int] = 1
    kinds: ClassVar[tuple[str, ...]] = ("ranking",)

    reliability_: Any

    def __init__(self, *, reliability_spread: float = 0.5, n_iter: int = _ROUNDS, threads: int = 1) -> None:
        self.reliability_spread = reliability_spread
        self.n_iter = n_iter
        self.threads = threads

    def fit(self, answers: Answers, *, gold: Any | None = None, abstain: Abstain = None) -> Self:
        """Learn how reliable each voter is."""
        check_at_least("reliability_spread", self.reliability_spread, 1e-3)
        check_at_least("n_iter", self.n_iter, 1)
        known = self._to_fit(answers, gold)
        orders = _Orders(answers, known)
        pull = 1 / (self.reliability_spread * self.reliability_spread)
        self.reliability_ = np.full(len(self.voters_), _MEAN)
        curvature = np.full(len(self.voters_), pull)
        change, rounds = math.inf, 0
        while rounds < self.n_iter and change > _TOLERANCE:
            before = self.reliability_.copy()
            orders.fit(np.append(self.reliability_, _GOLD))
            orders.judge(self.reliability_, curvature, pull)
            change = float(np.abs(self.reliability_ - before).max(initial=0.0))
            rounds += 1
        label = self.predict(answers, tie_policy="first").label
        wanted = [mine if mine is not None else other for mine, other in zip(known, label, strict=True)]
        self.learned_ = [self._report(v, answers, wanted, curvature) for v in range(len(self.voters_))]
        compared = answers.votes_per_item + np.array([mine is not None for mine in known], dtype=np.int64) > 1
        weak = {
            name: "shares items with no other voter"
            for v, name in enumerate(self.voters_)
            if not compared[answers.item[answers.voter == v]].any()
        }
        conflict = float(answers.conflicting.mean()) if answers.n_items else 0.0
        self.diagnostics_ = {
            "iterations": rounds,
            "converged": change <= _TOLERANCE,
            "max_change": change if math.isfinite(change) else None,
            "weak_voters": weak,
            "conflict_rate": conflict,
        }
        return self

    def _report(self, v: int, answers: Answers, wanted: Sequence[Any], curvature: Any) -> dict[str, Any]:
        """What was learned of a voter; ``tau`` against gold where it is known, else against the labels."""
        mine = np.flatnonzero(answers.voter == v)
        found = [tau(answers.value[e], wanted[answers.item[e]]) for e in mine]
        taus = [one for one in found if one is not None]
        reliability, by = float(self.reliability_[v]), Z95 / math.sqrt(float(curvature[v]))
        return {
            "voter": self.voters_[v],
            "answers": len(mine),
            "reliability": reliability,
            "low": reliability - by,
            "high": reliability + by,
            "tau": total(taus) / len(taus) if taus else None,
        }

    def predict(self, answers: Answers, *, tie_policy: str = "abstain") -> Predicted:
        """The order of each item; two candidates of equal utility: none, or by name under the policy ``first``."""
        check_tie_policy(tie_policy)
        orders = _Orders(self._known(answers))
        orders.fit(np.append(self.reliability_, _GOLD))
        label, confidence = answers.of.empty(answers.n_items), np.full(answers.n_items, np.nan)
        posterior: list[Any] = [[] for _ in range(answers.n_items)]
        for item, names, utility, spread in orders.items():
            ranked = sorted(range(len(names)), key=lambda c: (-utility[c], names[c]))
            posterior[item] = [_scored(names[c], utility[c], spread[c][c]) for c in ranked]
            gaps = [utility[a] - utility[b] for a, b in pairwise(ranked)]
            if tie_policy == "first" or all(gap > _TIE for gap in gaps):
                label[item] = tuple(names[c] for c in ranked)
                confidence[item] = _right_order(ranked, utility, spread)
        return Predicted(label, confidence, posterior)

    def contributions(self, answers: Answers, item: int) -> dict[str, float]:
        """What part of the pairs that stand as in the label is each answer's, by reliability: they sum to 1."""
        one = self._known(answers).one_item(item)
        if not len(one.item):
            return {}
        label = self.predict(one, tie_policy="first").label[0]
        shares = [
            max(float(self.reliability_[v]), 0.0) * (1 + found) / 2 if (found := tau(value, label)) is not None else 0.0
            for v, value in zip(one.voter, one.value, strict=True)
        ]
        whole = total(shares)
        if not whole:  # nobody orders what the label orders: they named what there is
            shares, whole = [1.0] * len(shares), float(len(shares))
        return {one.voters[int(v)]: s / whole for v, s in zip(one.voter, shares, strict=True)}

    def _exact(self) -> dict[str, Any]:
        return {"reliability": hexed(self.reliability_)}

    def _restore(self, parameters: Mapping[str, Any]) -> None:
        self.reliability_ = unhexed(parameters["reliability"])


class _Orders:
    """Answers as arrays (see ``ranking_kernels``), the items' candidates in the order of their names.

    With ``gold`` [N], known orders are answers of one more voter.
    """

    def __init__(self, answers: Answers, gold: Any | None = None) -> None:
        entries = list(zip(answers.item.tolist(), answers.voter.tolist(), answers.value, strict=True))
        if gold is not None:
            entries += [(i, len(answers.voters), order) for i, order in enumerate(gold) if order is not None]
        entries.sort(key=lambda entry: entry[:2])
        named: dict[int, set[str]] = {}
        for at, _, order in entries:
            named.setdefault(at, set()).update(order)
        self.names = {at: sorted(names) for at, names in named.items()}
        place = {at: {name: c for c, name in enumerate(names)} for at, names in self.names.items()}
        row = {at: number for number, at in enumerate(self.names)}
        self.item = np.array([row[at] for at, _, _ in entries], dtype=np.int64)
        self.voter = np.array([v for _, v, _ in entries], dtype=np.int64)
        self.starts = _edges([len(order) for _, _, order in entries])
        self.order = np.array([place[at][name] for at, _, order in entries for name in order], dtype=np.int64)
        self.first = _edges(np.bincount(self.item, minlength=len(row)).tolist())
        self.base = _edges([len(names) for names in self.names.values()])
        sizes = np.diff(self.base)
        self.blocks = _edges((sizes * sizes).tolist())
        self.utility, self.spread = np.zeros(int(self.base[-1])), np.zeros(int(self.blocks[-1]))

    def fit(self, reliability: Any) -> None:
        """The most likely utilities."""
        by, about = np.ascontiguousarray(reliability), (self.order, self.starts, self.voter, self.first, self.base)
        kernels.fit_items(*about, by, 1.0, self.utility, self.spread)

    def judge(self, reliability: Any, curvature: Any, pull: float) -> None:
        """A step of the voters' reliabilities towards the most likely ones; gold's stays as it is."""
        about = (self.order, self.starts, self.voter, self.item, self.base, self.blocks, self.utility, self.spread)
        by, bend = np.append(reliability, _GOLD), np.append(curvature, pull)
        kernels.fit_reliabilities(*about, _MEAN, pull, by, bend)
        reliability[:], curvature[:] = by[:-1], bend[:-1]

    def items(self) -> Any:
        """Of each item that has answers: its number, the candidates, their utilities and variances."""
        for row, (at, names) in enumerate(self.names.items()):
            part, block = slice(self.base[row], self.base[row + 1]), slice(self.blocks[row], self.blocks[row + 1])
            spread = self.spread[block].reshape(len(names), len(names)).tolist()
            yield at, names, self.utility[part].tolist(), spread


def _edges(sizes: Sequence[int]) -> Any:
    return np.concatenate([[0], np.cumsum(np.array(sizes, dtype=np.int64))]).astype(np.int64)


def _scored(name: str, utility: float, variance: float) -> dict[str, Any]:
    by = Z95 * math.sqrt(variance)
    return {"candidate": name, "score": utility, "low": utility - by, "high": utility + by}


def _right_order(ranked: Sequence[int], utility: Sequence[float], spread: Sequence[Sequence[float]]) -> float:
    """The mean chance of two candidates to stand in the right order; 1 of one candidate."""
    gaps = []
    for place, a in enumerate(ranked):
        for b in ranked[place + 1 :]:
            variance = max(spread[a][a] + spread[b][b] - 2 * spread[a][b], 1e-12)
            gaps.append(_LOGISTIC * (utility[a] - utility[b]) / math.sqrt(variance))
    out = np.empty(len(gaps))
    kernels.chances(np.array(gaps, dtype=np.float64), out)
    return total(out) / len(out) if gaps else 1.0
