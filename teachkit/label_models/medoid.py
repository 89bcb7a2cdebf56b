"""The text that is nearest to all others: of several answers that hardly agree the most typical one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from teachkit.label_models.exact import hexed, unhexed
from teachkit.label_models.normalised_majority import TextModel, per_item
from teachkit.label_models.value_base import check_at_least, total
from teachkit.votes.values.text import normalised, text_distance

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from teachkit.label_models.base import Abstain
    from teachkit.votes.answers import Answers

_ROUNDS = 5


class Medoid(TextModel):
    """The answer with the least distance to all answers of the item, weighted by how reliable their voters are.

    Distances are those of ``teachkit.votes.values.text``. A voter is the more reliable the nearer its answers are to
    those of the others on the same items (to gold, where that is known): its mean distance d, drawn to the mean d0 of
    all voters by ``strength`` answers, gives it the weight d0 / d, as the inverse of a variance weighs a number.
    Weights are found in five rounds, from equal ones. Confidence is the mean closeness (1 minus distance) of all
    answers, weighted alike, to the label.
    """

    name: ClassVar[str] = "medoid"
    version: ClassVar[int] = 1

    weight_: Any

    def __init__(self, *, strength: float = 4.0, threads: int = 1) -> None:
        self.strength = strength
        self.threads = threads

    def fit(self, answers: Answers, *, gold: Any | None = None, abstain: Abstain = None) -> Self:
        """Learn how reliable each voter is."""
        check_at_least("strength", self.strength, 0.5)
        known = self._to_fit(answers, gold)
        self._count(answers)
        size = len(answers.voters)
        items = [(voters, _table(forms), _to_gold(forms, known[item])) for item, forms, _, voters in per_item(answers)]
        self.weight_ = np.ones(size)
        far, count = np.zeros(size), np.zeros(size)
        for _ in range(_ROUNDS):
            far, count = self._distances(items, size)
            mean = total(far) / total(count) if count.any() else 0.0
            if mean > 0:
                self.weight_ = mean / ((far + self.strength * mean) / (count + self.strength))
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
        conflict = float(answers.conflicting.mean()) if answers.n_items else 0.0
        weak = {one["voter"]: "shares items with no other voter" for one in self.learned_ if not one["compared"]}
        self.diagnostics_ = {"iterations": _ROUNDS, "converged": True, "weak_voters": weak, "conflict_rate": conflict}
        return self

    def _distances(self, items: Sequence[Any], size: int) -> tuple[Any, Any]:
        """Of each voter the sum of the distances of its answers, and how many could be compared."""
        far, count = [0.0] * size, [0] * size
        weights = self.weight_.tolist()
        for voters, table, to_gold in items:
            for place, voter in enumerate(voters):
                if to_gold is not None:
                    far[voter] += to_gold[place]
                    count[voter] += 1
                elif len(voters) > 1:
                    others = [(weights[v], d) for v, d in zip(voters, table[place], strict=True) if v != voter]
                    far[voter] += sum(w * d for w, d in others) / sum(w for w, _ in others)
                    count[voter] += 1
        return np.array(far), np.array(count, dtype=np.float64)

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


def _table(forms: Sequence[str]) -> list[list[float]]:
    return [[text_distance(a, b) for b in forms] for a in forms]


def _to_gold(forms: Sequence[str], gold: str | None) -> list[float] | None:
    return None if gold is None else [text_distance(form, normalised(gold)) for form in forms]
