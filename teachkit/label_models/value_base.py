"""What a label model of answers that are values is.

A class of a user's own is one if it has ``fit(answers, *, gold=None, abstain=None)``, returning itself, and
``predict(answers)`` giving ``Predicted``; ``answers`` is ``teachkit.votes.Answers``. Whoever did not answer an item is
taken to be silent at random. Models of spans alone ask what it says that an answer marks nothing (``abstain``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from teachkit.label_models.base import TIE_POLICIES
from teachkit.label_models.estimator import Estimator, is_number
from teachkit.votes.answers import Answers, as_array
from teachkit.votes.values import value_kind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from teachkit.label_models.base import Abstain

Z95 = 1.959963984540054
"""How many standard deviations hold 95 % of a normal distribution on either side."""


@dataclass(frozen=True, slots=True)
class Predicted:
    """Labels of N items: ``label`` [N] as the kind of answer has them (NaN or None: none).

    ``confidence`` [N] is between 0 and 1, NaN where the model has none; ``posterior`` is what
    ``ValueKind.posterior_array`` takes.
    """

    label: Any
    confidence: Any
    posterior: Any


class ValueModel(Estimator):
    """A label model of answers that are values, on scikit-learn's contract: learned values end in an underscore."""

    name: ClassVar[str] = ""
    version: ClassVar[int] = 1
    kinds: ClassVar[tuple[str, ...]] = ()
    sort: ClassVar[str | None] = None
    measure: ClassVar[str] = "share"
    """What contributions are: ``weight`` in a mean (with the weight of the prior they sum to 1), or ``share``."""

    voters_: tuple[str, ...]
    diagnostics_: dict[str, Any]
    learned_: list[dict[str, Any]]

    def fit(self, answers: Answers, *, gold: Any | None = None, abstain: Abstain = None) -> Self:
        """Learn from answers; ``gold`` [N] (NaN or None: unknown) is held fixed."""
        raise TypeError(f"{type(self).__name__} does not define fit")

    def predict(self, answers: Answers, *, tie_policy: str = "abstain") -> Predicted:
        """The label of each item, and how sure it is; items without answers have none."""
        raise TypeError(f"{type(self).__name__} does not define predict")

    def contributions(self, answers: Answers, item: int) -> dict[str, float]:
        """What part in the label of an item the answer of each voter has."""
        raise TypeError(f"{type(self).__name__} does not define contributions")

    def prior_weight(self, answers: Answers, item: int) -> float | None:
        """What part of the label of an item is not of its answers but of what all items are like; None: no such."""
        return None

    def voter_report(self) -> list[dict[str, Any]]:
        """What was learned of each voter, as plain values."""
        return self.learned_

    def parameters(self) -> dict[str, Any]:
        """All that is needed to give the same labels, JSON-able and exact."""
        return {
            "model": self.name,
            "version": self.version,
            "voters": list(self.voters_),
            **self._exact(),
            "diagnostics": self.diagnostics_,
            "learned": self.learned_,
        }

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, Any]) -> Self:
        """The fitted model again: its labels have the same bits."""
        model = cls()
        model.voters_ = tuple(parameters["voters"])
        model.diagnostics_ = dict(parameters["diagnostics"])
        model.learned_ = list(parameters["learned"])
        model._restore(parameters)
        return model

    def _exact(self) -> dict[str, Any]:
        return {}

    def _restore(self, parameters: Mapping[str, Any]) -> None:
        return

    def _known(self, answers: Answers, kinds: Sequence[str] | None = None) -> Answers:
        """The answers, if they are of the voters that were fitted."""
        _check_answers(answers)
        if not hasattr(self, "voters_"):
            raise ValueError(f"{type(self).__name__} is not fitted yet: call fit first")
        if answers.voters != self.voters_:
            raise ValueError(f"fitted on the voters {list(self.voters_)}, not on {list(answers.voters)}")
        return answers

    def _to_fit(self, answers: Answers, gold: Any | None) -> Any:
        """The gold of each item [N], after a check of kind and sizes."""
        _check_answers(answers)
        if answers.kind not in self.kinds:
            raise ValueError(f"{self.name} decides answers of the kind {', '.join(self.kinds)}, not {answers.kind}")
        self.voters_ = answers.voters
        if gold is None:
            return value_kind(answers.kind).empty(answers.n_items)
        if len(gold) != answers.n_items:
            raise ValueError(f"gold has {len(gold)} answers for {answers.n_items} items")
        return as_array(answers.of, gold)


def _check_answers(given: Any) -> None:
    if not isinstance(given, Answers):
        advice = "make them with Answers.from_columns(kind, voters, columns, n_items)"
        raise ValueError(f"votes that are values are teachkit.votes.Answers, not {type(given).__name__}: {advice}")


def check_tie_policy(tie_policy: str) -> None:
    """Raise ``ValueError`` for what is no policy."""
    if tie_policy not in TIE_POLICIES:
        raise ValueError(f"tie_policy is one of {', '.join(TIE_POLICIES)}, not '{tie_policy}'")


def check_at_least(name: str, value: float, least: float) -> None:
    """Raise ``ValueError`` for a parameter that is no number from ``least`` up."""
    if not is_number(value) or value < least:
        raise ValueError(f"{name} is a number from {least:g} up, not {value!r}")


def total(values: Any) -> float:
    """The sum from first to last: numpy's own sum adds in an order that may depend on the machine."""
    return float(np.cumsum(values)[-1]) if len(values) else 0.0


def sums(index: Any, values: Any, size: int) -> Any:
    """The sum of the values of each index [size], from first to last."""
    return np.bincount(index, weights=values, minlength=size) if len(index) else np.zeros(size)


def number_or_none(value: float) -> float | None:
    """NaN as None."""
    return None if np.isnan(value) else float(value)
