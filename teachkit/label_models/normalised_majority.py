"""Majority of texts, where texts that differ in case, white space and punctuation alone are the same answer."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from teachkit.label_models.value_base import Predicted, ValueModel, check_tie_policy
from teachkit.votes.values.text import normalised

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from teachkit.label_models.base import Abstain
    from teachkit.votes.answers import Answers

_TIE = 1e-9


class TextModel(ValueModel):
    """A model that chooses one of an item's answers.

    Of the ways to write the chosen answer the most frequent one on the item is the label; where two are as frequent,
    the one that is more frequent on all items, and then the first by code point. A tie between answers is decided by
    the policy: ``abstain`` gives none, ``prior`` the answer that is more frequent on all items (none, if that ties
    too), ``first`` the first by code point.
    """

    kinds: ClassVar[tuple[str, ...]] = ("text",)

    answers_: dict[str, int]
    written_: dict[str, int]

    def _count(self, answers: Answers) -> None:
        self.answers_ = dict(sorted(Counter(normalised(x) for x in answers.value).items()))
        self.written_ = dict(sorted(Counter(answers.value.tolist()).items()))

    def _scores(self, forms: Sequence[str], voters: Sequence[int]) -> tuple[dict[str, float], dict[str, float]]:
        """Of each answer (normalised) on one item: by what it is chosen, and its share of the votes."""
        raise TypeError(f"{type(self).__name__} does not define _scores")

    def predict(self, answers: Answers, *, tie_policy: str = "abstain") -> Predicted:
        """The chosen answer of each item; ``confidence`` is its score."""
        check_tie_policy(tie_policy)
        answers = self._known(answers)
        label = answers.of.empty(answers.n_items)
        confidence = np.full(answers.n_items, np.nan)
        posterior: list[list[dict[str, Any]]] = [[] for _ in range(answers.n_items)]
        for item, forms, texts, voters in per_item(answers):
            score, share = self._scores(forms, voters)
            written = {form: self._written(form, forms, texts) for form in score}
            ranked = sorted(score, key=lambda form: (-share[form], -score[form], form))
            posterior[item] = [{"label": written[form], "share": share[form]} for form in ranked]
            best = self._best(score, tie_policy)
            if best is not None:
                label[item], confidence[item] = written[best], score[best]
        return Predicted(label, confidence, posterior)

    def _best(self, score: Mapping[str, float], tie_policy: str) -> str | None:
        top = max(score.values())
        tied = sorted(form for form, found in score.items() if found >= top * (1 - _TIE))
        if len(tied) == 1 or tie_policy == "first":
            return tied[0]
        if tie_policy == "abstain":
            return None
        often = {form: self.answers_.get(form, 0) for form in tied}
        most = [form for form in tied if often[form] == max(often.values())]
        return most[0] if len(most) == 1 else None

    def _written(self, form: str, forms: Sequence[str], texts: Sequence[str]) -> str:
        here = Counter(text for text, other in zip(texts, forms, strict=True) if other == form)
        return min(here, key=lambda text: (-here[text], -self.written_.get(text, 0), text))

    def _exact(self) -> dict[str, Any]:
        return {"answers": self.answers_, "written": self.written_}

    def _restore(self, parameters: Mapping[str, Any]) -> None:
        self.answers_, self.written_ = dict(parameters["answers"]), dict(parameters["written"])


class NormalisedMajority(TextModel):
    """The answer that most voters give, every voter counting the same; confidence is its share of the votes."""

    name: ClassVar[str] = "normalised_majority"
    version: ClassVar[int] = 1

    def __init__(self, *, threads: int = 1) -> None:
        self.threads = threads

    def fit(self, answers: Answers, *, gold: Any | None = None, abstain: Abstain = None) -> Self:
        """Count answers; note how often each voter gives the item's answer, or gold where it is known."""
        known = self._to_fit(answers, gold)
        self._count(answers)
        label = self.predict(answers, tie_policy="first").label
        right, count = Counter[int](), Counter[int]()
        for item, forms, _, voters in per_item(answers):
            wanted = normalised(label[item] if known[item] is None else known[item])
            for form, voter in zip(forms, voters, strict=True):
                count[voter] += 1
                right[voter] += form == wanted
        self.learned_ = [
            {"voter": name, "answers": count[v], "accuracy": right[v] / count[v] if count[v] else None}
            for v, name in enumerate(answers.voters)
        ]
        conflict = float(answers.conflicting.mean()) if answers.n_items else 0.0
        self.diagnostics_ = {"iterations": 0, "converged": True, "conflict_rate": conflict}
        return self

    def _scores(self, forms: Sequence[str], voters: Sequence[int]) -> tuple[dict[str, float], dict[str, float]]:
        share = {form: count / len(forms) for form, count in Counter(forms).items()}
        return share, share

    def contributions(self, answers: Answers, item: int) -> dict[str, float]:
        """Each vote for the label has the same part in it, others have none."""
        one = self._known(answers).one_item(item)
        if not len(one.item):
            return {}
        label = self.predict(one, tie_policy="first").label[0]
        inside = [normalised(text) == normalised(label) for text in one.value]
        return {one.voters[int(v)]: float(i) / sum(inside) for v, i in zip(one.voter, inside, strict=True)}


def per_item(answers: Answers) -> Any:
    """Of each item with answers: its number, their normalised forms, the texts, the numbers of the voters."""
    forms = [normalised(text) for text in answers.value]
    voters = answers.voter.tolist()
    starts = answers.starts.tolist()
    for item in np.flatnonzero(answers.votes_per_item).tolist():
        part = slice(starts[item], starts[item + 1])
        yield item, forms[part], answers.value[part].tolist(), voters[part]
