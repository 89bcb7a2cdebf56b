"""The mean and the median of the answers that are numbers: every voter counts the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from teachkit.label_models.value_base import Predicted, ValueModel, number_or_none, sums

if TYPE_CHECKING:
    from teachkit.label_models.base import Abstain
    from teachkit.votes.answers import Answers


class _Average(ValueModel):
    """A middle of an item's answers. The posterior's ``low`` and ``high`` are the least and the greatest of them.

    Its ``sd`` is the standard error by the item's own answers, so that one answer alone has none.
    """

    kinds: ClassVar[tuple[str, ...]] = ("number",)
    measure: ClassVar[str] = "weight"

    def __init__(self, *, threads: int = 1) -> None:
        self.threads = threads

    def fit(self, answers: Answers, *, gold: Any | None = None, abstain: Abstain = None) -> Self:
        """Note how far each voter is from the labels in the mean (its own answers count in them), or from gold."""
        known = self._to_fit(answers, gold)
        label = np.where(np.isnan(known), self._middles(answers), known)
        off = answers.value - label[answers.item]
        count = np.bincount(answers.voter, minlength=len(answers.voters)) if len(off) else np.zeros(len(answers.voters))
        with np.errstate(invalid="ignore", divide="ignore"):
            bias = sums(answers.voter, off, len(count)) / count
            sd = np.sqrt(sums(answers.voter, (off - bias[answers.voter]) ** 2, len(count)) / count)
        self.learned_ = [
            {"voter": name, "answers": int(count[v]), "bias": number_or_none(bias[v]), "sd": number_or_none(sd[v])}
            for v, name in enumerate(answers.voters)
        ]
        conflict = float(answers.conflicting.mean()) if answers.n_items else 0.0
        self.diagnostics_ = {"iterations": 0, "converged": True, "conflict_rate": conflict}
        return self

    def predict(self, answers: Answers, *, tie_policy: str = "abstain") -> Predicted:
        """The middle of each item's answers."""
        answers = self._known(answers)
        label, per = self._middles(answers), answers.votes_per_item
        low, high = np.full(answers.n_items, np.inf), np.full(answers.n_items, -np.inf)
        np.minimum.at(low, answers.item, answers.value)
        np.maximum.at(high, answers.item, answers.value)
        mean = sums(answers.item, answers.value, answers.n_items) / np.maximum(per, 1)
        square = sums(answers.item, (answers.value - mean[answers.item]) ** 2, answers.n_items)
        with np.errstate(invalid="ignore", divide="ignore"):
            sd = np.where(per > 1, np.sqrt(square / np.maximum(per - 1, 1) / per), np.nan)
        posterior = {
            "mean": label,
            "sd": sd,
            "low": np.where(per > 0, low, np.nan),
            "high": np.where(per > 0, high, np.nan),
        }
        return Predicted(label, np.full(answers.n_items, np.nan), posterior)

    def _middles(self, answers: Answers) -> Any:
        raise TypeError(f"{type(self).__name__} does not define _middles")


class Mean(_Average):
    """The arithmetic mean of the answers."""

    name: ClassVar[str] = "mean"
    version: ClassVar[int] = 1

    def _middles(self, answers: Answers) -> Any:
        with np.errstate(invalid="ignore", divide="ignore"):
            return sums(answers.item, answers.value, answers.n_items) / answers.votes_per_item

    def contributions(self, answers: Answers, item: int) -> dict[str, float]:
        """The same for all."""
        one = self._known(answers).one_item(item)
        return {one.voters[int(v)]: 1 / len(one.item) for v in one.voter}


class Median(_Average):
    """The middle one of the answers; of an even number the mean of the two in the middle. Outliers do not move it."""

    name: ClassVar[str] = "median"
    version: ClassVar[int] = 1

    def _middles(self, answers: Answers) -> Any:
        order = np.lexsort((answers.value, answers.item))
        value, starts, per = answers.value[order], answers.starts, answers.votes_per_item
        found = np.full(answers.n_items, np.nan)
        there = np.flatnonzero(per)
        lower, upper = starts[there] + (per[there] - 1) // 2, starts[there] + per[there] // 2
        found[there] = (value[lower] + value[upper]) / 2
        return found

    def contributions(self, answers: Answers, item: int) -> dict[str, float]:
        """The answers in the middle share the label, the others have no part in it."""
        one = self._known(answers).one_item(item)
        if not len(one.item):
            return {}
        ranked = np.sort(one.value)
        middle = {float(ranked[(len(ranked) - 1) // 2]), float(ranked[len(ranked) // 2])}
        inside = [float(x) in middle for x in one.value]
        return {one.voters[int(v)]: float(i) / sum(inside) for v, i in zip(one.voter, inside, strict=True)}
