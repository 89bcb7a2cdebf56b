"""The text that is nearest to all others: of several answers that hardly agree the most typical one."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from teachkit.label_models.exact import hexed, unhexed
from teachkit.label_models.normalised_majority import TextModel, per_item
from teachkit.label_models.value_base import check_at_least, sums, total
from teachkit.votes.values.text import normalised, text_distance

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from teachkit.label_models.base import Abstain
    from teachkit.votes.answers import Answers

_TOLERANCE = 1e-6


class Medoid(TextModel):
    """The answer with the least distance to all answers of the item, weighted by how reliable their voters are.

    Distances are those of ``teachkit.votes.values.text``. A voter is the more reliable the nearer its answers are to
    those of the others on the same items (to gold, where that is known): its mean distance d, drawn to the mean d0 of
    all voters by ``strength`` answers, gives it the weight d0 / d, as the inverse of a variance weighs a number.
    Distances to others count by their weights, so weights are found step by step, from equal ones, until they settle.
    Confidence is the mean closeness (1 minus distance) of all answers, weighted alike, to the label.
    """

    name: ClassVar[str] = "medoid"
    version: ClassVar[int] = 2

    weight_: Any

    def __init__(self, *, strength: float = 4.0, n_iter: int = 100, threads: int = 1) -> None:
        self.strength = strength
        self.n_iter = n_iter
        self.threads = threads

    def fit(self, answers: Answers, *, gold: Any | None = None, abstain: Abstain = None) -> Self:
        """Learn how reliable each voter is."""
        check_at_least("strength", self.strength, 0.5)
        check_at_least("n_iter", self.n_iter, 0)
        known = self._to_fit(answers, gold)
        self._count(answers)
        found = _compare(answers, known)
        steps, change = 0, np.inf
        self.weight_ = np.ones(len(answers.voters))
        far, count = found.distances(self.weight_)
        while steps < self.n_iter and change > _TOLERANCE:
            mean = total(far) / total(count) if count.any() else 0.0
            weight = self.weight_ if mean <= 0 else mean * (count + self.strength) / (far + self.strength * mean)
            steps, change = steps + 1, float(np.abs(weight - self.weight_).max(initial=0.0))
            self.weight_ = weight
            far, count = found.distances(weight)
        self.learned_ = [
            {
                "voter": name,
                "answers": int((answers.voter == v).sum()),
                "compared": int(count[v]),
                "distance": float(far[v] / count[v]) if count[v] else None,
                "weight": float(self.weight_[v]),
            }
            for v, name in enumerate(answers.voters)
        ]
        self.diagnostics_ = {
            "iterations": steps,
            "converged": change <= _TOLERANCE,
            "max_change": change if steps else None,
            "weak_voters": {
                one["voter"]: "shares items with no other voter" for one in self.learned_ if not one["compared"]
            },
            "conflict_rate": float(answers.conflicting.mean()) if answers.n_items else 0.0,
        }
        return self

    def _scores(self, forms: Sequence[str], voters: Sequence[int]) -> tuple[dict[str, float], dict[str, float]]:
        weights = [float(self.weight_[v]) for v in voters]
        whole = sum(weights)
        near, share = {}, {}
        for form in dict.fromkeys(forms):
            near[form] = sum(w * (1 - text_distance(form, f)) for w, f in zip(weights, forms, strict=True)) / whole
            share[form] = sum(w for w, f in zip(weights, forms, strict=True) if f == form) / whole
        return near, share

    def contributions(self, answers: Answers, item: int) -> dict[str, float]:
        """What part of the label's closeness to all answers is of each: they sum to 1."""
        one = self._known(answers).one_item(item)
        if not len(one.item):
            return {}
        label = self.predict(one, tie_policy="first").label[0]
        near = [
            float(self.weight_[v]) * (1 - text_distance(label, text))
            for v, text in zip(one.voter, one.value, strict=True)
        ]
        return {one.voters[int(v)]: n / sum(near) for v, n in zip(one.voter, near, strict=True)}

    def _exact(self) -> dict[str, Any]:
        return {**super()._exact(), "weight": hexed(self.weight_)}

    def _restore(self, parameters: Mapping[str, Any]) -> None:
        super()._restore(parameters)
        self.weight_ = unhexed(parameters["weight"])


@dataclass(frozen=True, slots=True)
class _Compared:
    """What each answer [M] is compared with: gold, or every other answer to its item, in pairs.

    ``voter`` [M]; ``gold`` [M], the distance to gold, NaN where it is unknown; of each pair ``entry``, ``other``, its
    voter, and ``distance``.
    """

    voter: Any
    gold: Any
    entry: Any
    other: Any
    distance: Any
    voters: int

    def distances(self, weight: Any) -> tuple[Any, Any]:
        """Of each voter [V] the sum of its answers' distances, to others by their weight, and how many they are."""
        size = len(self.voter)
        far = sums(self.entry, weight[self.other] * self.distance, size)
        whole = sums(self.entry, weight[self.other], size)
        far = np.where(np.isnan(self.gold), far / np.where(whole > 0, whole, 1.0), self.gold)
        compared = (whole > 0) | ~np.isnan(self.gold)
        return (
            sums(self.voter[compared], far[compared], self.voters),
            np.bincount(self.voter[compared], minlength=self.voters).astype(np.float64),
        )


def _compare(answers: Answers, known: Any) -> _Compared:
    gold, pairs, first = np.full(len(answers.value), np.nan), [], 0
    for item, forms, _, _ in per_item(answers):
        if known[item] is not None:
            wanted = normalised(known[item])
            gold[first : first + len(forms)] = [text_distance(form, wanted) for form in forms]
        else:
            for (i, one), (j, other) in combinations(enumerate(forms, first), 2):
                apart = text_distance(one, other)
                pairs += [(i, j, apart), (j, i, apart)]
        first += len(forms)
    entry, other, distance = (np.array(column) for column in zip(*pairs, strict=True)) if pairs else _NO_PAIRS
    return _Compared(answers.voter, gold, entry, answers.voter[other], distance, len(answers.voters))


_NO_PAIRS = (np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))
